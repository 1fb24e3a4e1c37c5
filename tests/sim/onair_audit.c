/* The end of a seed, what became of shows: every version that was ever given has its one recording, holds what one host
 * sent and nothing else, has ended, and was finished as often as it was begun. */
#include "content.h"
#include "onair.h"
#include "store/spool.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool begins_with(const struct air_take *take, const struct recording_info *row, const uint8_t *data, size_t n)
{
	if (strcmp(take->principal, row->principal) != 0)
		return false;
	if (row->session_id && strcmp(take->session, row->session_id) != 0)
		return false;
	return content_differs(take->content, row->shift, data, n) == n;
}

/* Nobody was told of it: whose its first bytes are. */
static struct air_take *owner_of(struct show_truth *show, const struct recording_info *row)
{
	struct onair *o = show->w->onair;
	uint8_t data[64];
	char path[SPOOL_PATH];
	struct vfs_file *file;
	size_t n = 0;
	if (row->track_count == 0 || row->tracks[0].bytes == 0)
		return NULL;
	spool_file_path(&row->id, 0, path);
	if (vfs_open(disk_vfs(show->w->disk), path, VFS_READ, &file) != ERR_OK)
		return NULL;
	size_t len = row->tracks[0].bytes < sizeof data ? (size_t)row->tracks[0].bytes : sizeof data;
	enum err err = vfs_file_read(file, data, len, 0, &n);
	vfs_file_close(file);
	for (unsigned i = 0; i < o->take_count && err == ERR_OK && n > 0; i++) {
		if (o->takes[i].show == show && begins_with(&o->takes[i], row, data, n))
			return &o->takes[i];
	}
	sim_fail(&show->w->sim, "one take, one version", "%s/%" PRIu32 " holds what nobody sent", show->name,
		 row->version);
}

static void check_ended(struct show_truth *show, struct version_truth *v, const struct recording_info *row)
{
	struct sim *s = &show->w->sim;
	const char *name = v->take.session;
	uint64_t bytes = recording_info_bytes(row);
	if (row->phase == PHASE_UPLOADING)
		sim_fail(s, "liveness", "%s is still uploading", name);
	if (row->phase == PHASE_ERROR && recording_info_broken(row)) {
		if (!onair_frail(show->w))
			sim_fail(s, "the status is the truth", "%s is in error without a fault: %s", name,
				 err_code(row->error));
		v->take.in_error = true;
	} else if (v->take.in_error && row->phase != PHASE_DELETED && row->phase != PHASE_ABORTED) {
		sim_fail(s, "the status is the truth", "%s was said to have failed and is %s", name,
			 phase_name(row->phase));
	}
	if (row->phase == PHASE_ABORTED) {
		if (!v->take.aborting && bytes > 0)
			sim_fail(s, "the end is the end", "%s holds %" PRIu64 " bytes and is aborted", name, bytes);
		v->take.aborted = true;
	}
	if (v->stopped && v->take.deleted && row->phase != PHASE_DELETED)
		sim_fail(s, "the end is the end", "%s is deleted and %s", name, phase_name(row->phase));
	bool spooled = row->phase == PHASE_ERROR && row->error == ERR_POISONED;
	bool there = row->phase != PHASE_DELETED && !spooled;
	if (there && v->promised > 0 && bytes + row->shift < v->promised)
		sim_fail(s, "acked bytes are there", "%s: %" PRIu64 " of %" PRIu64 " bytes", name, bytes + row->shift,
			 v->promised);
}

/* A version is begun once, and again by each late resume of its own take, which said its name. */
static void check_revisions(struct show_truth *show, const struct version_truth *v, const struct recording_info *row)
{
	unsigned most = v->whose && v->whose->session[0] ? v->whose->starts : 1;
	for (uint32_t i = 1; i < row->revision; i++)
		world_tally(show->w, TALLY_VERSIONS_AGAIN);
	if (row->revision > (most > 1 ? most : 1))
		sim_fail(&show->w->sim, "finished once", "%s has revision %" PRIu32 ", its take started %u times",
			 v->take.session, row->revision, most);
}

struct reopenings {
	struct show_truth *show;
	const char *name;
	enum phase phase;
	int64_t seq;
	unsigned count;
	bool interrupted;
};

/* What was ended by a word is never opened again; what was interrupted may be. */
static enum err event_seen(void *arg, const struct catalog_event *event)
{
	struct reopenings *r = arg;
	if (event->phase == PHASE_COMPLETE)
		r->interrupted = strcmp(event->type, "recording.interrupted") == 0;
	if (event->phase == PHASE_UPLOADING && r->phase == PHASE_COMPLETE && !r->interrupted)
		sim_fail(&r->show->w->sim, "the end is the end", "%s was complete and is open again", r->name);
	r->phase = event->phase;
	r->seq = event->seq;
	r->count++;
	return ERR_OK;
}

static void check_events(struct show_truth *show, struct catalog *catalog, const struct version_truth *v,
			 const struct recording_info *row)
{
	struct reopenings r = { .show = show, .name = v->take.session, .phase = PHASE_UPLOADING };
	struct catalog_event_filter filter = { .recording = &row->id, .limit = LIMIT_EVENTS_PAGE };
	unsigned before;
	do {
		before = r.count;
		filter.after = r.seq;
		if (catalog->ops->events(catalog, &filter, event_seen, &r) != ERR_OK)
			sim_fail(&show->w->sim, "it starts again", "the events of %s can't be read", r.name);
	} while (r.count > before);
}

static void audit_version(struct show_truth *show, struct catalog *catalog, uint32_t version)
{
	struct sim *s = &show->w->sim;
	struct version_truth *v = air_version(show, version);
	struct recording_info row;
	char id[UUID_TEXT];
	if (catalog->ops->show_version(catalog, show->name, version, &row) != ERR_OK)
		sim_fail(s, "versions rise by one", "%s has no version %" PRIu32, show->name, version);
	uuid_format(&row.id, id);
	if (v->take.id[0] && strcmp(v->take.id, id) != 0)
		sim_fail(s, "one version, one recording", "%s was %s, is %s", v->take.session, v->take.id, id);
	snprintf(v->take.id, sizeof v->take.id, "%s", id);
	snprintf(v->take.session, sizeof v->take.session, "%s/%" PRIu32, show->name, version);
	struct air_take *owner = row.original_removed || row.phase == PHASE_DELETED ? v->whose : owner_of(show, &row);
	if (v->whose && owner && owner != v->whose)
		sim_fail(s, "one take, one version", "%s holds what %s sent", v->take.session, owner->principal);
	v->whose = owner ? owner : v->whose;
	v->take.honest = v->take.on_air = true;
	v->take.deleting = v->take.deleting || show->w->plan.retain_ms != UINT64_MAX;
	v->take.track_count = 1;
	struct track_truth *track = &v->take.tracks[0];
	*track = (struct track_truth){
		.name = "main", .content = v->whose ? v->whose->content : 0, .total = BYTES_UNKNOWN, .shift = row.shift
	};
	check_ended(show, v, &row);
	check_revisions(show, v, &row);
	check_events(show, catalog, v, &row);
	recording_info_release(&row);
	audit_take(show->w, catalog, &v->take);
}

void onair_audit(struct world *w, struct catalog *catalog)
{
	for (unsigned i = 0; i < w->plan.shows; i++) {
		struct show_truth *show = &w->onair->shows[i];
		struct catalog_show counts;
		enum err err = catalog->ops->show_get(catalog, show->name, &counts);
		if (err == ERR_NOT_FOUND && show->newest == 0)
			continue;
		if (err != ERR_OK || counts.version < show->newest || counts.failed == counts.version)
			sim_fail(&w->sim, "versions rise by one",
				 "%s: %s, newest %" PRIu32 " (said: %" PRIu32 "), failed %" PRIu32, show->name,
				 err_code(err), counts.version, show->newest, counts.failed);
		for (uint32_t v = 1; v <= counts.version; v++)
			audit_version(show, catalog, v);
	}
}
