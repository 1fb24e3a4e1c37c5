/* One lease of a finalize job, from the claim to its end.
 *
 * Guarantees: one step at a time; the files stay open until the worker is gone; what it made is published only by the
 * transaction that finds the lease's epoch right, and only durable; two leases of one recording never overlap, so that
 * cleaning up behind one takes nothing from the next. */
#include "engine/jobs.h"

#include "base/log.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void lease_fail(struct lease *l, enum err err, const char *message)
{
	if (l->failure)
		return;
	if (err == ERR_STORAGE_FULL)
		jobs_no_room(l->engine, &l->info.id);
	/* the sync of one file, which is thrown away: another attempt writes another one */
	l->failure = err == ERR_SYNC_FAILED ? ERR_WRITE_FAILED : err;
	l->failure_message = message ? must(strdup(message)) : NULL; /* the job machine keeps as much as is text */
}

static void lease_free(struct lease *l)
{
	job_info_release(&l->job);
	recording_info_release(&l->info);
	free(l->file_warnings);
	free(l->end_warnings);
	free(l->failure_message);
	free(l);
}

void lease_drop(struct lease *l)
{
	for (uint32_t i = 0; i < LIMIT_TRACKS; i++)
		vfs_file_close(l->tracks[i].file);
	if (l->opened)
		media_attempt_close(l->engine->config.vfs, &l->attempt,
				    false); /* the next start removes what is left */
	lease_free(l);
}

static void submit(struct lease *l, void (*run)(struct task *task), void (*done)(struct task *task))
{
	l->task.run = run;
	l->task.done = done;
	l->busy = true;
	l->err = ERR_OK;
	exec_submit(l->engine->config.exec, LANE_POOL, &l->task);
}

static struct lease *lease_of(struct task *task)
{
	return list_entry(task, struct lease, task);
}

/* --- files --- */

/* What was sealed is in the spools: its seal waited for that, or recovery has put it there. */
static enum err track_open(struct lease *l, uint32_t i)
{
	const struct track_info *info = &l->info.tracks[i];
	struct worker_track *track = &l->tracks[i];
	char path[SPOOL_PATH];
	uint64_t size = 0;
	if (info->bytes == 0)
		return ERR_OK; /* it may have no file, and nothing is to be read of it */
	spool_file_path(&l->info.id, (uint16_t)i, path);
	enum err err = vfs_open(l->engine->config.vfs, path, VFS_READ, &track->file);
	if (!err)
		err = vfs_file_size(track->file, &size);
	if (err == ERR_NOT_FOUND || (!err && size < info->bytes))
		return ERR_CORRUPT;
	track->name = info->name;
	track->bytes = info->bytes;
	track->parts = info->parts;
	track->part_count = info->part_count;
	return err;
}

/* The file is about as large as what it is made of, and the reserve is not for it. */
static enum err room_judge(const struct lease *l)
{
	struct vfs_space space;
	enum err err = vfs_space(l->engine->config.vfs, &space);
	bool room = err || space.free_bytes >= recording_info_bytes(&l->info) + l->reserve;
	return room ? err : ERR_STORAGE_FULL;
}

static void open_run(struct task *task)
{
	struct lease *l = lease_of(task);
	for (uint32_t i = 0; i < l->info.track_count && !l->err; i++)
		l->err = track_open(l, i);
	if (!l->err)
		l->err = room_judge(l);
	if (l->err)
		return;
	l->err = media_attempt_open(l->engine->config.vfs, &l->info.id, l->job.revision, l->key.epoch, &l->attempt);
	l->opened = l->err == ERR_OK;
}

static void open_done(struct task *task)
{
	struct lease *l = lease_of(task);
	l->busy = false;
	if (l->err)
		lease_fail(l, l->err, NULL);
	else
		l->stage = LEASE_OPENED;
	lease_advance(l);
}

#define NOTHING_CAME "[{\"code\":\"not_media\",\"message\":\"Nothing was received.\"}]"

/* Nothing was recorded: that is what is published, and no worker could make more of it. */
static void give_nothing(struct lease *l)
{
	if (l->slot)
		slot_release(l->slot);
	l->slot = NULL;
	l->filed = l->ended = true;
	l->file = l->end = (struct media_info){ .as_is = true, .duration_ms = -1, .mime = "application/octet-stream" };
	l->file_warnings = must(strdup(NOTHING_CAME));
	l->end_warnings = must(strdup(NOTHING_CAME));
}

/* What was sealed without its SHA-256 gets it now: from the worker, which reads it anyway. */
static void hash_want(struct lease *l, uint32_t i)
{
	const struct track_info *info = &l->info.tracks[i];
	struct track_hash *hash = &l->hashes[l->hash_count];
	if (info->has_sha256)
		return;
	if (l->tracks[i].file) {
		l->tracks[i].hash = true;
		l->wanted++;
		return;
	}
	hash->track = (uint16_t)i;
	must(EVP_Digest("", 0, hash->sha256.bytes, NULL, EVP_sha256(), NULL) == 1 ? l : NULL);
	l->hash_count++;
}

static void give(struct lease *l)
{
	struct engine *e = l->engine;
	struct worker_job *job = &l->given_job;
	uint32_t count = 0;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < l->info.track_count; i++) {
		hash_want(l, i);
		if (!l->tracks[i].file)
			continue;
		bytes += l->tracks[i].bytes;
		l->numbers[count] = (uint16_t)i;
		l->tracks[count] = l->tracks[i];
		if (count++ != i)
			l->tracks[i] = (struct worker_track){ 0 };
	}
	l->stage = LEASE_GIVEN;
	if (count == 0) {
		give_nothing(l);
		lease_advance(l);
		return;
	}
	assert(l->slot); /* whoever is gone has made the lease fail */
	*job = (struct worker_job){
		.recording = l->info.id,
		.revision = l->job.revision,
		.tracks = l->tracks,
		.track_count = count,
		.file = l->attempt.files[MEDIA_FILE],
		.thumbnail = l->attempt.files[MEDIA_THUMBNAIL],
		.waveform = l->attempt.files[MEDIA_WAVEFORM],
		.max_output_bytes = bytes * LIMIT_OUTPUT_TIMES + LIMIT_OUTPUT_SPARE_BYTES,
		.max_ms = LIMIT_JOB_MS + bytes / LIMIT_JOB_BYTES_A_MS,
	};
	l->given = true;
	l->renewed_ms = l->slot->heard_ms = e->now.mono_ms;
	slot_arm(l->slot);
	worker_give(e->config.workers, l->slot->number, job);
}

void lease_gone(struct lease *l, const struct worker_event *event)
{
	if (!l->ended)
		lease_fail(l, event->err ? event->err : ERR_WORKER_DIED, event->message);
}

/* --- sealing and finishing --- */

/* What the database and the file's names say of it; the worker is not asked. */
static void media_stamp(struct lease *l, struct media_info *media, int64_t published_ms)
{
	media->revision = l->job.revision;
	media->published_ms = published_ms;
	if (media->as_is)
		media->bytes = l->info.track_count > 0 ? l->info.tracks[0].bytes : 0;
}

static void seal_run(struct task *task)
{
	struct lease *l = lease_of(task);
	uint64_t size = 0;
	if (!l->file.as_is)
		l->err = vfs_file_size(l->attempt.files[MEDIA_FILE], &size);
	if (!l->err && !l->file.as_is && size != l->file.bytes)
		l->err = ERR_CHECK_FAILED;
	if (!l->err)
		l->err = media_attempt_seal(l->engine->config.vfs, &l->attempt, &l->file);
}

static void seal_done(struct task *task)
{
	struct lease *l = lease_of(task);
	l->busy = false;
	if (l->err)
		lease_fail(l, l->err, NULL);
	else
		l->stage = LEASE_SEALED;
	lease_advance(l);
}

static void finish_run(struct task *task)
{
	struct lease *l = lease_of(task);
	struct vfs *vfs = l->engine->config.vfs;
	l->err = media_attempt_finish(vfs, &l->attempt, &l->end);
	if (!l->err && media_remove(vfs, &l->info.id, l->keep) != ERR_OK) /* before nobody comes by again */
		jobs_log("media_left", &l->info.id);
}

static void finish_done(struct task *task)
{
	struct lease *l = lease_of(task);
	l->busy = false;
	if (l->err == ERR_NOT_FOUND)
		l->fenced = true; /* another attempt has published since */
	else if (l->err)
		lease_fail(l, l->err, NULL);
	else
		l->stage = LEASE_FINISHED;
	lease_advance(l);
}

/* The file is published, and what was to decorate it came to nothing by its nature, or for the last time: the recording
 * is complete without. */
static bool poor_end(const struct lease *l)
{
	bool last = l->job.attempt >= LIMIT_ATTEMPTS, again = err_class(l->failure) == ERR_CLASS_TRANSIENT;
	return l->failure != ERR_SHUTTING_DOWN && (last || !again);
}

static void end_poorly(struct lease *l)
{
	bool twice = l->poor; /* not even that could be written down beside the file: then the row alone says it */
	json_t *all = l->file_warnings ? json_loads(l->file_warnings, 0, NULL) : NULL;
	if (!json_is_array(all)) {
		json_decref(all);
		all = json_array();
	}
	const char *why = l->failure_message ? l->failure_message : err_text(l->failure);
	json_array_append_new(all, json_pack("{s:s, s:s}", "code", "no_thumbnail_made", "message", why));
	json_array_append_new(all, json_pack("{s:s, s:s}", "code", "no_waveform_made", "message", why));
	free(l->end_warnings);
	l->end_warnings = must(json_dumps(all, JSON_COMPACT));
	json_decref(all);
	l->end = l->file;
	l->end.has_thumbnail = l->end.has_waveform = false;
	free(l->failure_message);
	l->failure_message = NULL;
	l->failure = ERR_OK;
	l->ended = l->poor = true;
	if (twice)
		l->stage = LEASE_FINISHED;
}

/* --- the end --- */

static void close_run(struct task *task)
{
	struct lease *l = lease_of(task);
	struct vfs *vfs = l->engine->config.vfs;
	for (uint32_t i = 0; i < LIMIT_TRACKS; i++) {
		vfs_file_close(l->tracks[i].file);
		l->tracks[i].file = NULL;
	}
	if (l->opened)
		media_attempt_close(vfs, &l->attempt, !l->published);
}

static void close_done(struct task *task)
{
	struct lease *l = lease_of(task);
	struct engine *e = l->engine;
	struct uuid id = l->info.id;
	list_remove(&l->link);
	e->jobs.lease_count--;
	lease_free(l);
	struct take *t = take_by_id(e, &id);
	if (t)
		take_evict(e, t); /* a deletion may have waited for this */
	for (struct list *at = e->jobs.leases.next; at != &e->jobs.leases && !e->failed; at = at->next) {
		struct lease *next = list_entry(at, struct lease, link);
		if (next->stage == LEASE_WAITS && uuid_equal(&next->info.id, &id))
			lease_advance(next);
	}
}

static void lease_end(struct lease *l)
{
	if (l->slot && l->slot->process == PROCESS_LEASED && !l->given) {
		slot_release(l->slot); /* it is as good as before */
		l->slot = NULL;
	}
	if (l->slot && l->slot->process != PROCESS_OVER)
		slot_kill(l->slot);
	if (l->slot || l->renewing)
		return; /* it holds the files until it is gone */
	submit(l, close_run, close_done);
}

static bool must_wait(const struct lease *l)
{
	const struct list *leases = &l->engine->jobs.leases;
	for (const struct list *at = leases->next; at != &l->link; at = at->next) {
		if (uuid_equal(&list_entry(at, struct lease, link)->info.id, &l->info.id))
			return true;
	}
	return false;
}

/* It comes to nothing: the job hears why, unless a later epoch has it. */
static void give_up(struct lease *l)
{
	if (l->fenced) {
		l->stage = LEASE_OVER;
		lease_end(l);
	} else {
		lease_failed(l);
	}
}

static void advance_published(struct lease *l)
{
	if (l->failure && !l->fenced && poor_end(l))
		end_poorly(l);
	if (l->fenced || l->failure)
		give_up(l);
	else if (l->stage == LEASE_FINISHED)
		lease_done(l);
	else if (l->ended) {
		struct media_info end = l->file; /* what was published stays what it is */
		end.has_thumbnail = l->end.has_thumbnail;
		end.has_waveform = l->end.has_waveform;
		l->end = end;
		submit(l, finish_run, finish_done);
	}
}

void lease_advance(struct lease *l)
{
	struct engine *e = l->engine;
	bool over = l->fenced || l->failure;
	if (l->busy || e->failed)
		return;
	switch (l->stage) {
	case LEASE_WAITS:
		if (over)
			give_up(l);
		else if (!must_wait(l))
			submit(l, open_run, open_done);
		break;
	case LEASE_OPENED:
		if (over)
			give_up(l);
		else
			give(l);
		break;
	case LEASE_GIVEN:
		if (over) {
			give_up(l);
		} else if (l->filed) {
			media_stamp(l, &l->file, engine_wall(e));
			submit(l, seal_run, seal_done);
		}
		break;
	case LEASE_SEALED:
		if (over)
			give_up(l);
		else
			lease_publish(l);
		break;
	case LEASE_PUBLISHED:
		advance_published(l);
		break;
	case LEASE_FINISHED:
		if (l->fenced)
			give_up(l);
		else
			lease_done(l);
		break;
	case LEASE_OVER:
		lease_end(l);
		break;
	}
}

/* Progress is told at most so often; the lease is written anew each third of it. */
void lease_turn(struct lease *l)
{
	struct engine *e = l->engine;
	uint64_t now = e->now.mono_ms;
	if (l->stage >= LEASE_GIVEN && l->stage < LEASE_OVER && !l->fenced && !l->failure) {
		if (l->progress != l->told_progress && now >= l->told_ms + LIMIT_STATUS_BYTES_MS) {
			l->told_ms = now;
			l->told_progress = l->progress;
			take_row_told(e, &l->info);
		}
		if (l->given && !l->renewing && now >= l->renewed_ms + e->config.lease_ms / 3)
			lease_renew(l);
	}
	if (l->stage == LEASE_WAITS && now >= l->since_ms + e->config.lease_ms)
		lease_fail(l, ERR_WORKER_SILENT, "An earlier worker on this recording does not go away.");
	lease_advance(l);
}

void lease_new(struct engine *e, struct slot *slot, struct job_info *job, struct recording_info *row)
{
	struct lease *l = must(calloc(1, sizeof *l));
	l->engine = e;
	l->slot = slot;
	l->job = *job;
	l->info = *row;
	memset(job, 0, sizeof *job);
	memset(row, 0, sizeof *row);
	l->key = (struct job_key){ l->job.id, l->job.epoch };
	l->keep = l->info.media.revision;
	l->since_ms = e->now.mono_ms;
	l->reserve = space_reserve(e);
	list_push(&e->jobs.leases, &l->link);
	e->jobs.lease_count++;
	if (e->stopping) /* which has killed its worker: the first reason stands */
		lease_fail(l, ERR_SHUTTING_DOWN, NULL);
	if (slot) {
		slot->lease = l;
		slot->process = PROCESS_LEASED;
	} else {
		lease_fail(l, ERR_WORKER_DIED, NULL);
	}
	take_row(e, &l->info);
	jobs_look_soon(e);
	lease_advance(l);
}
