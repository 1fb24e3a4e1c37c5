/* The recording's object as the API shows it. */
#include "engine/internal.h"

#include "core/job.h"
#include "proto/problem.h"

#include <stdlib.h>

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *sha256_or_null(bool has, const struct sha256 *sha256)
{
	char hex[65];
	if (!has)
		return json_null();
	sha256_format(sha256->bytes, hex);
	return json_string(hex);
}

static json_t *tracks_json(const struct recording_info *info, const struct recording *live)
{
	json_t *tracks = json_array();
	for (uint32_t i = 0; i < info->track_count; i++) {
		const struct track_info *t = &info->tracks[i];
		/* sealed is what is durable: a seal on its way is not shown */
		bool sealed = live ? live->tracks[i].stage == STAGE_SEALED : t->sealed;
		json_t *parts = json_array();
		for (uint32_t k = 0; k < t->part_count; k++)
			json_array_append_new(parts, json_integer((json_int_t)t->parts[k]));
		json_array_append_new(tracks,
				      json_pack("{s:s, s:I, s:b, s:b, s:o, s:o}", "track", t->name, "bytes",
						(json_int_t)t->bytes, "attached", live ? live->tracks[i].conn != 0 : 0,
						"sealed", (int)sealed, "sha256",
						sha256_or_null(sealed && t->has_sha256, &t->sha256), "parts", parts));
	}
	return tracks;
}

static json_t *error_json(const struct recording_info *info)
{
	if (info->phase != PHASE_ERROR)
		return json_null();
	const char *message = info->error_message ? info->error_message : err_text(info->error);
	return json_pack("{s:s, s:s}", "code", err_code(info->error), "message", message);
}

/* Of an attempt that failed, while it is tried again. */
static json_t *last_error_json(const struct recording_info *info)
{
	const struct job_info *job = &info->job;
	if (job->error == ERR_OK || !job_recovering(job))
		return json_null();
	return json_pack("{s:s, s:s}", "code", err_code(job->error), "message",
			 job->error_message ? job->error_message : err_text(job->error));
}

static json_t *progress_json(const struct engine *e, const struct recording_info *info)
{
	unsigned per_mille;
	return jobs_progress(e, info, &per_mille) ? json_real(per_mille / 1000.0) : json_null();
}

static json_t *duration_json(const struct media_info *media)
{
	return media->revision > 0 && media->duration_ms >= 0 ? json_real((double)media->duration_ms / 1000.0)
							      : json_null();
}

static json_t *warnings_json(const struct recording_info *info)
{
	json_t *warnings = info->warnings ? json_loads(info->warnings, 0, NULL) : NULL;
	if (json_is_array(warnings))
		return warnings;
	json_decref(warnings);
	return json_array();
}

/* The newest that was published, whatever the phase is. */
static json_t *file_json(const struct recording_info *info)
{
	const struct media_info *media = &info->media;
	if (media->revision == 0)
		return json_null();
	return json_pack("{s:i, s:I, s:s, s:o, s:b, s:b, s:b}", "revision", (int)media->revision, "bytes",
			 (json_int_t)media->bytes, "mime", media->mime, "duration", duration_json(media), "asIs",
			 (int)media->as_is, "thumbnail", (int)media->has_thumbnail, "waveform",
			 (int)media->has_waveform);
}

/* Its way to the bucket. */
static json_t *push_json(const struct recording_info *info)
{
	static const char *const states[JOB_STATE_COUNT] = {
		[JOB_QUEUED] = "queued", [JOB_RUNNING] = "pushing", [JOB_DONE] = "done",
		[JOB_FAILED] = "failed", [JOB_PARKED] = "failed",
	};
	const struct push_info *push = &info->push;
	if (push->revision == 0 || !states[push->state])
		return json_null();
	json_t *error = push->error ? json_pack("{s:s, s:s}", "code", err_code(push->error), "message",
						push->error_message ? push->error_message : err_text(push->error))
				    : json_null();
	return json_pack("{s:s, s:i, s:o, s:o}", "state", states[push->state], "revision", (int)push->revision, "key",
			 text_or_null(push->key), "error", error);
}

static void add_work(const struct engine *e, json_t *object, const struct recording_info *info, bool may_change)
{
	json_object_set_new(object, "duration", duration_json(&info->media));
	json_object_set_new(object, "attempt", json_integer(info->job.attempt));
	json_object_set_new(object, "attempts", json_integer(LIMIT_ATTEMPTS));
	json_object_set_new(object, "progress", progress_json(e, info));
	json_object_set_new(object, "error", error_json(info));
	json_object_set_new(object, "lastError", last_error_json(info));
	json_object_set_new(object, "warnings", warnings_json(info));
	json_object_set_new(object, "file", file_json(info));
	json_object_set_new(object, "sourceUrl", text_or_null(may_change ? info->source_url : NULL));
	json_object_set_new(object, "fetch",
			    text_or_null(!info->source_url ? NULL
					 : info->on_demand ? "on_demand"
							   : "now"));
	json_object_set_new(object, "push", push_json(info));
	json_object_set_new(object, "originalRemoved", json_boolean(info->original_removed));
}

static json_t *meta_json(const struct recording_info *info)
{
	json_t *meta = info->meta ? json_loads(info->meta, 0, NULL) : NULL;
	return meta ? meta : json_null();
}

/* How an upload stands: what it is to have, and until when it waits. */
static json_t *upload_json(const struct engine *e, const struct recording_info *info)
{
	if (info->upload.kind == UPLOAD_NONE)
		return json_null();
	bool waits = info->phase == PHASE_UPLOADING;
	json_t *length =
		info->upload.length == BYTES_UNKNOWN ? json_null() : json_integer((json_int_t)info->upload.length);
	json_t *expires = waits ? json_integer((json_int_t)(info->updated_ms + (int64_t)e->config.upload_expires_ms))
				: json_null();
	return json_pack("{s:o, s:o}", "length", length, "expiresAt", expires);
}

static json_t *grace_json(const struct engine *e, const struct recording *live)
{
	uint64_t left = live ? recording_time_left(live, e->now.mono_ms) : UINT64_MAX;
	return left == UINT64_MAX ? json_null() : json_integer((json_int_t)left);
}

/* By the session of a take of `local` it can be changed under any token that records: who may only read is not told. */
static bool may_change(const struct recording_info *info, const struct grant *reader)
{
	if (!reader)
		return true;
	bool own = info->principal && strcmp(info->principal, reader->subject) == 0;
	return grant_judge(reader, GRANT_CHANGE, own, &info->id) == ERR_OK;
}

void recording_json(const struct engine *e, struct buf *out, const struct recording_info *info,
		    const struct recording *live, const struct grant *reader)
{
	char id[UUID_TEXT];
	uuid_format(&info->id, id);
	const struct track_info *only = info->track_count == 1 ? &info->tracks[0] : NULL;
	bool changer = may_change(info, reader);
	bool sealed = only && (live ? live->tracks[0].stage == STAGE_SEALED : only->sealed);
	json_t *object = json_object();
	must(object);
	json_object_set_new(object, "id", json_string(id));
	json_object_set_new(object, "sessionId", text_or_null(changer ? info->session_id : NULL));
	json_object_set_new(object, "owner", text_or_null(info->principal));
	json_object_set_new(object, "ref", text_or_null(info->ref));
	json_object_set_new(object, "name", text_or_null(info->name));
	json_object_set_new(object, "phase", json_string(phase_name(info->phase)));
	json_object_set_new(object, "attached", json_boolean(live && recording_attached(live)));
	json_object_set_new(object, "graceLeftMs", grace_json(e, live));
	json_object_set_new(object, "interrupted", json_boolean(info->interrupted));
	json_object_set_new(object, "revision", json_integer(info->revision));
	json_object_set_new(object, "bytes", json_integer((json_int_t)recording_info_bytes(info)));
	json_object_set_new(object, "sha256", sha256_or_null(sealed && only->has_sha256, only ? &only->sha256 : NULL));
	json_object_set_new(object, "mime", text_or_null(info->mime));
	json_object_set_new(object, "ext", text_or_null(info->ext));
	add_work(e, object, info, changer);
	json_object_set_new(object, "abortReason",
			    text_or_null(info->phase == PHASE_ABORTED ? info->abort_reason : NULL));
	json_object_set_new(object, "show", text_or_null(info->show));
	json_object_set_new(object, "version", info->show ? json_integer(info->version) : json_null());
	json_object_set_new(object, "upload", upload_json(e, info));
	json_object_set_new(object, "batch", text_or_null(info->batch));
	json_object_set_new(object, "key", text_or_null(info->batch_key));
	json_object_set_new(object, "meta", meta_json(info));
	json_object_set_new(object, "tracks", tracks_json(info, live));
	json_object_set_new(object, "createdAt", json_integer((json_int_t)info->created_ms));
	json_object_set_new(object, "updatedAt", json_integer((json_int_t)info->updated_ms));
	json_format(out, object);
	json_decref(object);
	must(out->failed ? NULL : out);
}

void engine_unfinished(const struct engine *e, unsigned max, struct buf *out)
{
	const char *comma = "";
	buf_add_text(out, "[");
	for (const struct list *at = e->takes.next; at != &e->takes && max > 0; at = at->next) {
		const struct take *t = list_entry(at, struct take, link);
		if (t->loading || t->rec.info.phase != PHASE_UPLOADING || t->rec.info.upload.kind == UPLOAD_PARTIAL)
			continue;
		buf_add_text(out, comma);
		recording_json(e, out, &t->rec.info, &t->rec, NULL);
		comma = ",";
		max--;
	}
	buf_add_text(out, "]");
}
