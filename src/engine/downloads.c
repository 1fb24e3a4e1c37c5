/* A question for a recording's bytes: file, original, thumbnail or waveform. The table (core/serving.h) says which of
 * the four classes the answer is of; here it gets its reader, or its body.
 *
 * What is published is opened before anybody is told that it is there, so that the download has its descriptor,
 * whatever replaces or removes the file afterwards. If a later revision took its place between the look at the row and
 * the opening, the question is asked again. */
#include "engine/reads.h"
#include "proto/http.h"
#include "proto/problem.h"
#include "store/media.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKS = 3 }; /* of one question: each sees a newer row */

struct download {
	struct waiter waiter;
	struct task task;
	struct engine *engine;
	struct grant grant;
	bool by_session;
	enum resource resource;
	char *track;
	engine_download_fn *done;
	void *arg;
	/* the opening */
	struct uuid id;
	struct media_info media;
	struct vfs_file *file;
	uint64_t bytes;
	enum err err;
	unsigned looks;
};

static void download_free(struct download *d)
{
	free(d->track);
	free(d);
}

/* --- bodies --- */

static json_t *progress_json(const struct engine *e, const struct recording_info *info)
{
	unsigned per_mille;
	return jobs_progress(e, info, &per_mille) ? json_real(per_mille / 1000.0) : json_null();
}

static const char *waits_for(const struct recording_info *info)
{
	switch (info->phase) {
	case PHASE_UPLOADING:
		return info->source_url ? "It is being fetched from its source." : "It is still being recorded.";
	case PHASE_QUEUED:
		return info->job.error == ERR_STORAGE_FULL ? "It waits for space on the disk."
							   : "It waits for a worker.";
	case PHASE_PROCESSING:
		return "A worker makes its file.";
	case PHASE_GENERATING_THUMBNAIL:
		return "Its picture and waveform are being made.";
	default:
		return "It is fetched again from its source.";
	}
}

static void not_yet_format(const struct engine *e, struct buf *out, const struct recording_info *info,
			   const struct serving *s)
{
	struct buf message;
	buf_init(&message);
	buf_add_text(&message, waits_for(info));
	if (s->retry_after_s == LIMIT_RECOVERING_S)
		buf_addf(&message, " Attempt %u of %d; the one before failed: %s",
			 info->job.attempt + (info->job.state == JOB_QUEUED), LIMIT_ATTEMPTS,
			 info->job.error_message ? info->job.error_message : err_text(info->job.error));
	must(message.failed ? NULL : message.data);
	json_t *body =
		json_pack("{s:s, s:s, s:I, s:i, s:o, s:I, s:s}", "status", "notYet", "phase", phase_name(info->phase),
			  "attempt", (json_int_t)info->job.attempt, "attempts", LIMIT_ATTEMPTS, "progress",
			  progress_json(e, info), "retryAfter", (json_int_t)s->retry_after_s, "message", message.data);
	json_format(out, must(body));
	json_decref(body);
	buf_release(&message);
}

/* `info` NULL: the asker is not to know of any recording. */
static void refusal_format(struct buf *out, const struct recording_info *info, const struct serving *s)
{
	const char *detail = NULL;
	json_t *extra = must(json_object());
	json_object_set_new(extra, "status", json_integer(s->status));
	json_object_set_new(extra, "title", json_string(http_phrase(s->status)));
	if (info) {
		json_object_set_new(extra, "phase", json_string(phase_name(info->phase)));
		json_object_set_new(extra, "attempt", json_integer(info->job.attempt));
		json_object_set_new(extra, "attempts", json_integer(LIMIT_ATTEMPTS));
		if (info->phase == PHASE_ERROR && s->err == info->error)
			detail = info->error_message;
	}
	if (s->retry_after_s > 0)
		json_object_set_new(extra, "retryAfter", json_integer(s->retry_after_s));
	problem_format(out, s->err, detail, extra);
	json_decref(extra);
}

static void answer(struct download *d, const struct recording_info *info, struct serving s)
{
	struct buf body;
	buf_init(&body);
	s.was_whole = info && info->sealed_ms != 0;
	if (s.status == 202)
		not_yet_format(d->engine, &body, info, &s);
	else
		refusal_format(&body, info, &s);
	must(body.failed ? NULL : body.data);
	d->done(d->arg, &s, NULL, body.data, body.len);
	buf_release(&body);
	download_free(d);
}

static void refuse(struct download *d, const struct recording_info *info, enum err err)
{
	answer(d, info, (struct serving){ .status = err_status(err), .err = err });
}

/* --- what is published --- */

static enum media_part part_of(enum resource resource)
{
	switch (resource) {
	case RESOURCE_THUMBNAIL:
		return MEDIA_THUMBNAIL;
	case RESOURCE_WAVEFORM:
		return MEDIA_WAVEFORM;
	default:
		return MEDIA_FILE;
	}
}

/* All but `reader`. A revision that is made again by another attempt may have other bytes: it was published later. */
static void published_fill(const struct download *d, struct engine_original *out)
{
	static const char *const mimes[] = { [MEDIA_THUMBNAIL] = "image/jpeg", [MEDIA_WAVEFORM] = "application/json" };
	static const char *const exts[] = { [MEDIA_THUMBNAIL] = "jpg", [MEDIA_WAVEFORM] = "json" };
	const struct media_info *media = &d->media;
	enum media_part part = part_of(d->resource);
	char id[UUID_TEXT];
	uuid_format(&d->id, id);
	memset(out, 0, sizeof *out);
	out->bytes = d->bytes;
	out->sealed = true;
	snprintf(out->etag, sizeof out->etag, "\"%s-r%u%c-%llx-%llx\"", id, media->revision, "ftw"[part],
		 (unsigned long long)d -> bytes, (unsigned long long)media -> published_ms);
	snprintf(out->mime, sizeof out->mime, "%s", part == MEDIA_FILE ? media->mime : mimes[part]);
	original_name(&d->id, NAME_WHOLE, part == MEDIA_FILE ? media->ext : exts[part], out);
}

static void open_run(struct task *task)
{
	struct download *d = list_entry(task, struct download, task);
	char path[MEDIA_PATH];
	enum media_part part = part_of(d->resource);
	media_part_path(&d->id, &d->media, part, path);
	d->err = vfs_open(d->engine->config.vfs, path, VFS_READ, &d->file);
	if (!d->err)
		d->err = vfs_file_size(d->file, &d->bytes);
	if (!d->err && part == MEDIA_FILE && d->bytes != d->media.bytes)
		d->err = ERR_CORRUPT;
	if (!d->err)
		return;
	vfs_file_close(d->file);
	d->file = NULL;
}

static void open_done(struct task *task)
{
	struct download *d = list_entry(task, struct download, task);
	struct engine *e = d->engine;
	e->reader_count--;
	if (d->err) { /* once more: there may be a newer one by now, or it was deleted */
		char id[UUID_TEXT];
		uuid_format(&d->id, id);
		take_want(e, (struct engine_ref){ id, &d->grant }, &d->waiter);
		return;
	}
	struct engine_original file;
	published_fill(d, &file);
	file.reader = reader_of_file(e, &d->id, d->file, d->bytes);
	d->done(d->arg, &(struct serving){ .status = 200 }, &file, NULL, 0);
	download_free(d);
}

/* --- the question --- */

static void give_track(struct download *d, const struct take *t)
{
	const struct recording_info *info = &t->rec.info;
	struct engine_original file;
	uint16_t number = d->resource == RESOURCE_ORIGINAL ? (uint16_t)reads_find_track(info, d->track) : 0;
	original_fill(t, number, &file);
	if (d->resource == RESOURCE_FILE) { /* published as it came: of the revision, and no byte more */
		d->media = info->media;
		d->id = info->id;
		d->bytes = info->media.bytes;
		published_fill(d, &file);
	}
	file.reader = reader_of_track(d->engine, &info->id, number, file.bytes);
	d->done(d->arg, &(struct serving){ .status = 200 }, &file, NULL, 0);
	download_free(d);
}

static void give(struct download *d, const struct take *t)
{
	const struct recording_info *info = &t->rec.info;
	bool as_is = d->resource == RESOURCE_FILE && info->media.as_is;
	if (d->engine->reader_count >= LIMIT_READERS) {
		refuse(d, info, ERR_BUSY);
	} else if (as_is && (info->track_count == 0 || info->tracks[0].bytes < info->media.bytes)) {
		refuse(d, info, ERR_CORRUPT);
	} else if (d->resource == RESOURCE_ORIGINAL || as_is) {
		give_track(d, t);
	} else if (d->looks++ == LOOKS) {
		bool moving = d->err == ERR_NOT_FOUND && info->job.id != 0 && info->job.state == JOB_RUNNING;
		enum err err = d->err == ERR_NOT_FOUND ? ERR_CORRUPT : d->err;
		refuse(d, info, moving ? ERR_BUSY : err);
	} else {
		d->id = info->id;
		d->media = info->media;
		d->task.run = open_run;
		d->task.done = open_done;
		d->engine->reader_count++; /* so that no more are opened at a time than may be read */
		exec_submit(d->engine->config.exec, LANE_POOL, &d->task);
	}
}

static void download_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	static const struct uuid none;
	struct download *d = list_entry(w, struct download, waiter);
	if (!err)
		err = take_judge(t, &d->grant, GRANT_READ, d->by_session);
	else if (err == ERR_NOT_FOUND && grant_judge(&d->grant, GRANT_READ, false, &none) == ERR_FORBIDDEN_SCOPE)
		err = ERR_FORBIDDEN_SCOPE; /* whether there is one or not: it may not ask */
	if (err) {
		refuse(d, NULL, err);
		return;
	}
	const struct recording_info *info = &t->rec.info;
	struct serving_facts facts = {
		.now_ms = engine_wall(e),
		.unserved = jobs_unserved(e, info),
		.has_track = reads_find_track(info, d->track) >= 0,
		.quarantined = info->phase == PHASE_ERROR && info->error == ERR_QUARANTINED,
	};
	struct serving s = serving_judge(d->resource, info, &facts);
	if (s.status == 200) {
		give(d, t);
		return;
	}
	struct uuid id = info->id;
	answer(d, info, s);
	if (s.fetch)
		fetching_want(e, &id);
}

void engine_download(struct engine *e, struct engine_ref ref, enum resource resource, const char *track,
		     engine_download_fn *done, void *arg)
{
	struct download *d = must(calloc(1, sizeof *d));
	d->waiter.go = download_go;
	d->engine = e;
	d->grant = *ref.grant;
	d->by_session = ref_by_session(ref.text);
	d->resource = resource;
	d->track = track ? must(strdup(track)) : NULL;
	d->done = done;
	d->arg = arg;
	take_want(e, ref, &d->waiter);
}
