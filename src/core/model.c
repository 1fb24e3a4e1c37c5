/* The nouns as data, see model.h. The table of phases stands here and nowhere else. */
#include "core/model.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const phase_names[PHASE_COUNT] = {
#define X(name, text) [PHASE_##name] = text,
	PHASE_TABLE(X)
#undef X
};

#define TO(phase) (1u << PHASE_##phase)

/* A row: where each phase may go. */
static const unsigned phase_table[PHASE_COUNT] = {
	[PHASE_UPLOADING] = TO(QUEUED) | TO(ERROR) | TO(ABORTED) | TO(DELETED),
	[PHASE_QUEUED] = TO(PROCESSING) | TO(ERROR) | TO(UPLOADING) | TO(DELETED),
	[PHASE_PROCESSING] = TO(GENERATING_THUMBNAIL) | TO(QUEUED) | TO(ERROR) | TO(UPLOADING) | TO(DELETED),
	[PHASE_GENERATING_THUMBNAIL] = TO(COMPLETE) | TO(QUEUED) | TO(ERROR) | TO(UPLOADING) | TO(DELETED),
	[PHASE_COMPLETE] = TO(UPLOADING) | TO(DELETED),
	[PHASE_ERROR] = TO(QUEUED) | TO(UPLOADING) | TO(DELETED),
	[PHASE_ABORTED] = TO(DELETED),
	[PHASE_DELETED] = 0,
};

const char *phase_name(enum phase phase)
{
	assert(phase < PHASE_COUNT);
	return phase_names[phase];
}

bool phase_parse(const char *name, enum phase *out)
{
	for (int i = 0; i < PHASE_COUNT; i++) {
		if (strcmp(name, phase_names[i]) == 0) {
			*out = (enum phase)i;
			return true;
		}
	}
	return false;
}

bool phase_may(enum phase from, enum phase to, enum sealed_by by)
{
	assert(from < PHASE_COUNT && to < PHASE_COUNT);
	if ((phase_table[from] & 1u << to) == 0)
		return false;
	return to != PHASE_UPLOADING || by == SEALED_BY_GRACE;
}

bool phase_ended(enum phase phase)
{
	return phase == PHASE_COMPLETE || phase == PHASE_ERROR || phase == PHASE_ABORTED || phase == PHASE_DELETED;
}

static const char *const sealed_by_names[] = {
	[SEALED_BY_NONE] = NULL,
	[SEALED_BY_END] = "end",
	[SEALED_BY_COMPLETE] = "complete",
	[SEALED_BY_GRACE] = "grace",
};

const char *sealed_by_name(enum sealed_by by)
{
	assert(by <= SEALED_BY_GRACE);
	return sealed_by_names[by];
}

bool sealed_by_parse(const char *name, enum sealed_by *out)
{
	for (int i = SEALED_BY_END; i <= SEALED_BY_GRACE; i++) {
		if (strcmp(name, sealed_by_names[i]) == 0) {
			*out = (enum sealed_by)i;
			return true;
		}
	}
	return false;
}

static const char *const job_kind_names[JOB_KIND_COUNT] = {
	[JOB_FINALIZE] = "finalize",
	[JOB_FETCH] = "fetch",
	[JOB_NOTIFY] = "notify",
	[JOB_PUSH] = "push",
};

static const char *const job_state_names[JOB_STATE_COUNT] = {
	[JOB_QUEUED] = "queued",       [JOB_RUNNING] = "running", [JOB_DONE] = "done",
	[JOB_CANCELLED] = "cancelled", [JOB_FAILED] = "failed",	  [JOB_PARKED] = "parked",
};

/* The index of `name` among `count` names, or -1. */
static int name_find(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -1;
}

const char *job_kind_name(enum job_kind kind)
{
	assert(kind < JOB_KIND_COUNT);
	return job_kind_names[kind];
}

bool job_kind_parse(const char *name, enum job_kind *out)
{
	int found = name_find(job_kind_names, JOB_KIND_COUNT, name);
	if (found >= 0)
		*out = (enum job_kind)found;
	return found >= 0;
}

const char *job_state_name(enum job_state state)
{
	assert(state < JOB_STATE_COUNT);
	return job_state_names[state];
}

bool job_state_parse(const char *name, enum job_state *out)
{
	int found = name_find(job_state_names, JOB_STATE_COUNT, name);
	if (found >= 0)
		*out = (enum job_state)found;
	return found >= 0;
}

void job_info_release(struct job_info *job)
{
	free(job->error_message);
	*job = (struct job_info){ 0 };
}

enum err job_info_copy(struct job_info *out, const struct job_info *from)
{
	*out = *from;
	out->error_message = from->error_message ? strdup(from->error_message) : NULL;
	if (!from->error_message || out->error_message)
		return ERR_OK;
	*out = (struct job_info){ 0 };
	return ERR_NO_MEMORY;
}

static void track_info_release(struct track_info *track)
{
	free(track->name);
	free(track->parts);
}

void recording_info_release(struct recording_info *info)
{
	char *const texts[] = { info->principal,    info->session_id,	 info->ref,	      info->name,
				info->mime,	    info->ext,		 info->error_message, info->abort_reason,
				info->warnings,	    info->source_url,	 info->show,	      info->upload.metadata,
				info->upload.parts, info->upload.concat, info->batch,	      info->batch_key,
				info->meta };
	job_info_release(&info->job);
	free(info->push.key);
	free(info->push.error_message);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
	for (uint32_t i = 0; i < info->declared_count; i++)
		free(info->declared_tracks[i]);
	free(info->declared_tracks);
	for (uint32_t i = 0; i < info->track_count; i++)
		track_info_release(&info->tracks[i]);
	free(info->tracks);
	*info = (struct recording_info){ 0 };
}

/* NULL stays NULL; false when memory is out. */
static bool copy_text(char **out, const char *from)
{
	*out = from ? strdup(from) : NULL;
	return !from || *out;
}

/* *out is empty, or holds all of `from`, or, when false is returned, what track_info_release can free. */
static bool track_info_copy(struct track_info *out, const struct track_info *from)
{
	*out = *from;
	out->parts = NULL;
	out->part_count = 0;
	if (!copy_text(&out->name, from->name))
		return false;
	if (from->part_count == 0)
		return true;
	out->parts = malloc(from->part_count * sizeof *from->parts);
	if (!out->parts)
		return false;
	memcpy(out->parts, from->parts, from->part_count * sizeof *from->parts);
	out->part_count = from->part_count;
	return true;
}

static bool copy_texts(struct recording_info *out, const struct recording_info *from)
{
	/* every member is set, also behind a failure, so that release finds no foreign pointer */
	bool ok = copy_text(&out->principal, from->principal);
	ok &= copy_text(&out->session_id, from->session_id);
	ok &= copy_text(&out->ref, from->ref);
	ok &= copy_text(&out->name, from->name);
	ok &= copy_text(&out->mime, from->mime);
	ok &= copy_text(&out->ext, from->ext);
	ok &= copy_text(&out->error_message, from->error_message);
	ok &= copy_text(&out->abort_reason, from->abort_reason);
	ok &= copy_text(&out->warnings, from->warnings);
	ok &= copy_text(&out->source_url, from->source_url);
	ok &= copy_text(&out->show, from->show);
	ok &= copy_text(&out->upload.metadata, from->upload.metadata);
	ok &= copy_text(&out->upload.parts, from->upload.parts);
	ok &= copy_text(&out->upload.concat, from->upload.concat);
	ok &= copy_text(&out->batch, from->batch);
	ok &= copy_text(&out->batch_key, from->batch_key);
	ok &= copy_text(&out->meta, from->meta);
	ok &= job_info_copy(&out->job, &from->job) == ERR_OK;
	ok &= copy_text(&out->push.key, from->push.key);
	ok &= copy_text(&out->push.error_message, from->push.error_message);
	return ok;
}

static bool copy_declared(struct recording_info *out, const struct recording_info *from)
{
	if (from->declared_count == 0)
		return true;
	out->declared_tracks = calloc(from->declared_count, sizeof *out->declared_tracks);
	if (!out->declared_tracks)
		return false;
	for (uint32_t i = 0; i < from->declared_count; i++) {
		if (!copy_text(&out->declared_tracks[i], from->declared_tracks[i]))
			return false;
		out->declared_count++;
	}
	return true;
}

static bool copy_tracks(struct recording_info *out, const struct recording_info *from)
{
	if (from->track_count == 0)
		return true;
	out->tracks = calloc(from->track_count, sizeof *out->tracks);
	if (!out->tracks)
		return false;
	for (uint32_t i = 0; i < from->track_count; i++) {
		bool ok = track_info_copy(&out->tracks[i], &from->tracks[i]);
		out->track_count++;
		if (!ok)
			return false;
	}
	return true;
}

enum err recording_info_copy(struct recording_info *out, const struct recording_info *from)
{
	*out = *from;
	out->declared_tracks = NULL;
	out->declared_count = 0;
	out->tracks = NULL;
	out->track_count = 0;
	bool ok = copy_texts(out, from);
	if (ok && copy_declared(out, from) && copy_tracks(out, from))
		return ERR_OK;
	recording_info_release(out);
	return ERR_NO_MEMORY;
}

void recording_info_push_key(const struct recording_info *info, char out[PUSH_KEY])
{
	char id[UUID_TEXT];
	const struct media_info *media = &info->media;
	uuid_format(&info->id, id);
	snprintf(out, PUSH_KEY, "%s/%s-r%u%s%s", info->show ? info->show : "recordings", id, media->revision,
		 media->ext[0] ? "." : "", media->ext);
}

bool recording_info_broken(const struct recording_info *info)
{
	bool unwritten = info->show && info->sealed_by == SEALED_BY_NONE; /* a version that storage had no room for */
	return info->phase == PHASE_ERROR && (info->error == ERR_POISONED || info->error == ERR_QUARANTINED ||
					      info->error == ERR_CORRUPT || unwritten);
}

uint64_t recording_info_bytes(const struct recording_info *info)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < info->track_count; i++)
		sum += info->tracks[i].bytes;
	return sum;
}

struct track_info *recording_info_track(const struct recording_info *info, const char *name)
{
	for (uint32_t i = 0; i < info->track_count; i++) {
		if (strcmp(info->tracks[i].name, name) == 0)
			return &info->tracks[i];
	}
	return NULL;
}

struct track_info *recording_info_add_track(struct recording_info *info, const char *name)
{
	if (info->track_count >= LIMIT_TRACKS)
		return NULL;
	struct track_info *tracks = realloc(info->tracks, (info->track_count + 1) * sizeof *tracks);
	if (!tracks)
		return NULL;
	info->tracks = tracks;
	struct track_info *track = &tracks[info->track_count];
	*track = (struct track_info){ .number = (uint16_t)info->track_count, .total = BYTES_UNKNOWN };
	track->name = strdup(name);
	if (!track->name)
		return NULL;
	info->track_count++;
	return track;
}

bool track_info_add_part(struct track_info *track, uint64_t offset)
{
	uint32_t at = track->part_count;
	while (at > 0 && track->parts[at - 1] > offset)
		at--;
	if (offset == 0 || (at > 0 && track->parts[at - 1] == offset))
		return true;
	if (track->part_count >= LIMIT_PARTS)
		return false;
	uint64_t *parts = realloc(track->parts, (track->part_count + 1) * sizeof *parts);
	if (!parts)
		return false;
	memmove(parts + at + 1, parts + at, (track->part_count - at) * sizeof *parts);
	parts[at] = offset;
	track->parts = parts;
	track->part_count++;
	return true;
}

const struct grant *grant_local(void)
{
	static const struct grant local = {
		.subject = PRINCIPAL_LOCAL,
		.scopes = SCOPE_ALL,
		.max_bytes = UINT64_MAX,
		.expires_ms = INT64_MAX,
	};
	return &local;
}

bool grant_is_local(const struct grant *g)
{
	return g->token_id[0] == '\0' && strcmp(g->subject, PRINCIPAL_LOCAL) == 0;
}

enum err grant_judge(const struct grant *g, enum grant_use use, bool own, const struct uuid *recording)
{
	bool all = g->scopes & SCOPE_ADMIN, mine = own && g->scopes & SCOPE_OWN;
	bool reads = all || mine || g->scopes & SCOPE_PLAY;
	if (!(g->scopes & (SCOPE_ADMIN | SCOPE_OWN | SCOPE_PLAY)))
		return ERR_FORBIDDEN_SCOPE;
	if (!reads || (g->has_resource && !uuid_equal(&g->resource, recording)))
		return ERR_NOT_FOUND;
	return use == GRANT_READ || all || mine ? ERR_OK : ERR_FORBIDDEN_SCOPE;
}

void batch_info_release(struct batch_info *batch)
{
	free(batch->principal);
	free(batch->id);
	free(batch->name);
	free(batch->errors);
	*batch = (struct batch_info){ 0 };
}

uint64_t batch_info_items(const struct batch_info *batch)
{
	uint64_t sum = 0;
	for (int i = 0; i < PHASE_COUNT; i++)
		sum += batch->counts[i];
	return sum;
}

uint64_t batch_info_ended(const struct batch_info *batch)
{
	uint64_t sum = 0;
	for (int i = 0; i < PHASE_COUNT; i++)
		sum += phase_ended((enum phase)i) ? batch->counts[i] : 0;
	return sum;
}

uint64_t batch_info_failed(const struct batch_info *batch)
{
	return batch->counts[PHASE_ERROR] + batch->counts[PHASE_ABORTED];
}
