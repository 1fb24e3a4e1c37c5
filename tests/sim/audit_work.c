/* The end of a seed, what was made of the recordings: each change of phase has its event and no other, each revision
 * was claimed once and finished at most once, no more attempts than are allowed, and what is published is what was
 * sealed. */
#include "content.h"
#include "store/media.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What the events tell, one after the other. */
struct story {
	struct world *w;
	const struct take_truth *take;
	enum phase phase;
	uint32_t revision, finished; /* as of the newest; the last that was finished */
	unsigned seals, again;	     /* moves to `queued` from `uploading`, from `error` */
	int64_t leases[LIMIT_ATTEMPTS];
	unsigned lease_count; /* of this revision */
	int64_t seq, published_ms;
	bool interrupted; /* grace sealed it */
	unsigned count;
};

/* Clean stops and full disks give attempts back, and with a clock that jumps nobody can tell how long a window was. */
static void lease_seen(struct story *t, int64_t at_ms)
{
	int64_t *oldest = &t->leases[t->lease_count % LIMIT_ATTEMPTS];
	bool tells = !t->w->plan.jumps && !t->w->plan.stops && !t->w->plan.full;
	if (tells && t->lease_count >= LIMIT_ATTEMPTS && at_ms - *oldest < LIMIT_ATTEMPTS_MS)
		sim_fail(&t->w->sim, "three attempts", "%s: revision %" PRIu32 " was begun %u times in %" PRId64 " ms",
			 t->take->session, t->revision, t->lease_count + 1, at_ms - *oldest);
	*oldest = at_ms;
	t->lease_count++;
}

/* Nobody deleted it but the server: it is complete, and was published for as long as it is kept. */
static void deletion_seen(struct story *t, int64_t at_ms)
{
	struct world *w = t->w;
	if (t->take->fate == FATE_DELETE || w->plan.retain_ms == UINT64_MAX)
		return;
	world_tally(w, TALLY_EXPIRED);
	bool early = !w->plan.jumps && at_ms - t->published_ms < (int64_t)w->plan.retain_ms;
	bool resumable = t->interrupted && w->plan.late_ms >= LATE_FOR_EVER;
	if (t->phase != PHASE_COMPLETE || early || resumable)
		sim_fail(&w->sim, "the end is the end", "%s was %s for %" PRId64 " ms when it was removed",
			 t->take->session, phase_name(t->phase), at_ms - t->published_ms);
}

static enum err event_seen(void *arg, const struct catalog_event *event)
{
	struct story *t = arg;
	struct sim *s = &t->w->sim;
	const char *session = t->take->session;
	if (strncmp(event->type, "show.", 5) == 0) { /* beside the phases */
		bool live = strcmp(event->type, "show.live") == 0;
		if (event->phase != t->phase || t->phase != (live ? PHASE_UPLOADING : PHASE_ERROR))
			sim_fail(s, "one event a change", "%s: %s in phase %s", session, event->type,
				 phase_name(t->phase));
		t->seq = event->seq;
		t->count++;
		return ERR_OK;
	}
	if (!phase_may(t->phase, event->phase, SEALED_BY_GRACE))
		sim_fail(s, "one event a change", "%s: %s follows %s", session, phase_name(event->phase),
			 phase_name(t->phase));
	if (event->revision < t->revision)
		sim_fail(s, "finished once", "%s: an event of revision %" PRIu32 " behind one of %" PRIu32, session,
			 event->revision, t->revision);
	if (event->revision > t->revision)
		t->lease_count = 0;
	if (event->phase == PHASE_DELETED)
		deletion_seen(t, event->at_ms);
	t->seals += event->phase == PHASE_QUEUED && t->phase == PHASE_UPLOADING;
	t->again += event->phase == PHASE_QUEUED && t->phase == PHASE_ERROR;
	t->phase = event->phase;
	t->revision = event->revision;
	t->seq = event->seq;
	t->count++;
	if (event->phase == PHASE_GENERATING_THUMBNAIL || (event->phase == PHASE_COMPLETE && t->published_ms == 0))
		t->published_ms = event->at_ms;
	if (event->phase == PHASE_PROCESSING)
		lease_seen(t, event->at_ms);
	if (event->phase != PHASE_COMPLETE)
		return ERR_OK;
	if (event->revision <= t->finished)
		sim_fail(s, "finished once", "%s: revision %" PRIu32 " is announced again", session, event->revision);
	t->finished = event->revision;
	t->interrupted = strcmp(event->type, "recording.interrupted") == 0;
	return ERR_OK;
}

static void check_story(struct world *w, struct catalog *catalog, const struct take_truth *take,
			const struct recording_info *row, struct story *t)
{
	struct sim *s = &w->sim;
	struct catalog_event_filter filter = { .recording = &row->id, .limit = LIMIT_EVENTS_PAGE };
	unsigned before;
	do {
		before = t->count;
		filter.after = t->seq;
		if (catalog->ops->events(catalog, &filter, event_seen, t) != ERR_OK)
			sim_fail(s, "it starts again", "the events of %s can't be read", take->session);
	} while (t->count > before);
	if (t->phase != row->phase)
		sim_fail(s, "one event a change", "%s is %s, its last event says %s", take->session,
			 phase_name(row->phase), phase_name(t->phase));
	if (row->phase == PHASE_COMPLETE && t->finished != row->revision)
		sim_fail(s, "finished once", "%s is complete at revision %" PRIu32 ", announced is %" PRIu32,
			 take->session, row->revision, t->finished);
}

static void check_claims(struct world *w, struct catalog *catalog, const struct take_truth *take,
			 const struct recording_info *row, const struct story *t)
{
	struct sim *s = &w->sim;
	unsigned jobs = 0;
	catalog->ops->job_count(catalog, &row->id, JOB_FINALIZE, &jobs);
	if (row->phase == PHASE_DELETED || take->in_error || take->fate == FATE_WRONG_SHA)
		return;
	if (jobs != row->revision || t->seals != row->revision)
		sim_fail(s, "one claim a seal", "%s: %u jobs and %u claims for %" PRIu32 " revisions", take->session,
			 jobs, t->seals, row->revision);
	if (take->begun > row->revision + t->again)
		sim_fail(s, "one claim a seal", "%s: complete answered `started` %u times for %" PRIu32 " + %u claims",
			 take->session, take->begun, row->revision, t->again);
}

/* Which track's content stands at `off` of the published file, and where in it: they follow each other. */
static bool place_of(const struct take_truth *take, const struct recording_info *row, uint64_t off,
		     const struct track_truth **track, uint64_t *at, uint64_t *rest)
{
	for (uint32_t i = 0; i < row->track_count; i++) {
		uint64_t bytes = row->tracks[i].bytes;
		if (off >= bytes) {
			off -= bytes;
			continue;
		}
		for (unsigned k = 0; k < take->track_count; k++) {
			if (strcmp(take->tracks[k].name, row->tracks[i].name) == 0)
				*track = &take->tracks[k];
		}
		*at = off + (*track ? (*track)->shift : 0);
		*rest = bytes - off;
		return true;
	}
	return false;
}

static void check_bytes(struct world *w, const struct take_truth *take, const struct recording_info *row,
			struct vfs_file *file)
{
	static uint8_t data[65536];
	uint64_t off = 0, at = 0, rest = 0;
	const struct track_truth *track = NULL;
	while (place_of(take, row, off, &track, &at, &rest)) {
		size_t n = 0, len = rest < sizeof data ? (size_t)rest : sizeof data;
		enum err err = vfs_file_read(file, data, len, off, &n);
		size_t same = err == ERR_OK && track ? content_differs(track->content, at, data, n) : 0;
		if (err != ERR_OK || n == 0 || same < n)
			sim_fail(&w->sim, "published is what was sealed", "%s: the file has a wrong byte at %" PRIu64,
				 take->session, off + same);
		off += n;
	}
}

static enum err count_entry(void *arg, const char *name)
{
	++*(unsigned *)arg;
	return ERR_OK;
}

static void check_published(struct world *w, const struct take_truth *take, const struct recording_info *row)
{
	struct sim *s = &w->sim;
	char path[MEDIA_PATH], id[UUID_TEXT];
	unsigned count = 0;
	uuid_format(&row->id, id);
	snprintf(path, sizeof path, "media/%s", id);
	enum err err = vfs_list(disk_vfs(w->disk), path, count_entry, &count);
	if (row->phase == PHASE_DELETED && err != ERR_NOT_FOUND)
		sim_fail(s, "the end is the end", "%s is deleted and %s is there", take->session, path);
	if (row->phase == PHASE_COMPLETE && row->media.revision != row->revision)
		sim_fail(s, "finished once", "%s is complete with the file of revision %" PRIu32, take->session,
			 row->media.revision);
	if (row->phase == PHASE_COMPLETE && count != 1 && !oracle_excused(w, take))
		sim_fail(s, "finished once", "%s is complete and %s holds %u folders", take->session, path, count);
	if (row->media.revision == 0 || row->phase == PHASE_DELETED)
		return;
	const char *why = "";
	err = media_check(disk_vfs(w->disk), &row->id, &row->media, &why);
	if (err != ERR_OK)
		sim_fail(s, "published is what was sealed", "%s: %s", take->session, why);
	/* reopened, it has grown since; aborted then, or failed by its storage, too */
	bool same = row->media.revision == row->revision && row->phase == PHASE_COMPLETE;
	if (row->media.as_is || !same || !take->honest)
		return;
	struct vfs_file *file;
	uint64_t size = 0;
	media_part_path(&row->id, &row->media, MEDIA_FILE, path);
	err = vfs_open(disk_vfs(w->disk), path, VFS_READ, &file);
	if (err == ERR_OK)
		err = vfs_file_size(file, &size);
	if (err != ERR_OK || size != recording_info_bytes(row))
		sim_fail(s, "published is what was sealed", "%s: %s: %s, %" PRIu64 " bytes", take->session, path,
			 err_code(err), size);
	check_bytes(w, take, row, file);
	vfs_file_close(file);
}

void audit_work(struct world *w, struct catalog *catalog, const struct take_truth *take,
		const struct recording_info *row)
{
	struct story story = { .w = w, .take = take, .phase = PHASE_UPLOADING };
	check_story(w, catalog, take, row, &story);
	check_claims(w, catalog, take, row, &story);
	check_published(w, take, row);
}
