/* The one table of what a question for a recording's bytes is answered with, see serving.h. docs/protocol.md says the
 * same in words; tests/unit/serving_test.c goes through it row by row. */
#include "core/serving.h"

#include "core/job.h"

#include <assert.h>
#include <string.h>

static const char *const resource_names[RESOURCE_COUNT] = {
	[RESOURCE_FILE] = "file",
	[RESOURCE_ORIGINAL] = "original",
	[RESOURCE_THUMBNAIL] = "thumbnail",
	[RESOURCE_WAVEFORM] = "waveform",
};

const char *resource_name(enum resource resource)
{
	assert(resource < RESOURCE_COUNT);
	return resource_names[resource];
}

bool resource_parse(const char *name, enum resource *out)
{
	for (int i = 0; i < RESOURCE_COUNT; i++) {
		if (strcmp(name, resource_names[i]) == 0) {
			*out = (enum resource)i;
			return true;
		}
	}
	return false;
}

/* What a row of the table may ask for. */
enum fact {
	THERE = 1 << 0,	      /* what is asked for can be read */
	AS_RECEIVED = 1 << 1, /* it would be read from the bytes as received */
	QUARANTINED = 1 << 2, /* … which were moved away, because they are not whole */
	REMOVED = 1 << 3,     /* … which retention took */
	UNFETCHED = 1 << 4,   /* its bytes are to come from a source, and are not all here */
	BEGINS = 1 << 5,      /* … and this question begins to fetch them */
	RECOVERING = 1 << 6,  /* an attempt failed, and another is made */
	UNSERVED = 1 << 7,    /* nobody works on the queue */
	GONE = 1 << 8,	      /* the source says that there is no such recording */
};

#define F   (1u << RESOURCE_FILE)
#define O   (1u << RESOURCE_ORIGINAL)
#define T   (1u << RESOURCE_THUMBNAIL)
#define W   (1u << RESOURCE_WAVEFORM)
#define ALL (F | O | T | W)

#define IN(phase) (1u << PHASE_##phase)
#define WORKING	  (IN(UPLOADING) | IN(QUEUED) | IN(PROCESSING) | IN(GENERATING_THUMBNAIL))
#define ANY	  ((1u << PHASE_COUNT) - 1)

enum { OWN_ERROR = ERR_COUNT }; /* the recording's own */

struct row {
	unsigned resources, phases, facts; /* of these, one of those, and all of them */
	int status;
	int err;
	unsigned retry_after_s;
	bool fetch;
};

/* The first row that fits is the answer; for each resource and phase there is a last one that asks for nothing. */
static const struct row table[] = {
	{ ALL, IN(DELETED), 0, 410, ERR_DELETED, 0, false },
	{ ALL, ANY, AS_RECEIVED | QUARANTINED, 500, ERR_QUARANTINED, 0, false },
	{ ALL, ANY, AS_RECEIVED | REMOVED, 410, ERR_ORIGINAL_REMOVED, 0, false },
	{ ALL, ANY, THERE, 200, ERR_OK, 0, false },
	{ ALL, IN(ABORTED), UNFETCHED, 404, ERR_NO_FILE, 0, false },
	{ ALL, ANY, UNFETCHED | BEGINS, 202, ERR_OK, LIMIT_NOT_YET_S, true },
	{ O, WORKING, UNFETCHED | RECOVERING, 202, ERR_OK, LIMIT_RECOVERING_S, false },
	{ O, WORKING, UNFETCHED, 202, ERR_OK, LIMIT_NOT_YET_S, false },
	{ ALL, IN(ERROR), UNFETCHED | GONE, 404, ERR_SOURCE_GONE, 0, false },
	{ O, IN(ERROR), UNFETCHED, 500, OWN_ERROR, 0, false },
	{ O, ANY, 0, 404, ERR_NOT_FOUND, 0, false }, /* no such track */
	{ F | T | W, IN(ABORTED), 0, 404, ERR_NO_FILE, 0, false },
	{ F | T | W, IN(QUEUED), UNSERVED, 500, ERR_WORKER_NOT_PROCESSING_QUEUE, LIMIT_RECOVERING_S, false },
	{ F | T | W, WORKING, RECOVERING, 202, ERR_OK, LIMIT_RECOVERING_S, false },
	{ F | T | W, WORKING, 0, 202, ERR_OK, LIMIT_NOT_YET_S, false },
	{ T, IN(COMPLETE), 0, 404, ERR_NO_THUMBNAIL, 0, false },
	{ W, IN(COMPLETE), 0, 404, ERR_NO_WAVEFORM, 0, false },
	{ F, IN(COMPLETE), 0, 500, ERR_CORRUPT, 0, false }, /* complete, and nothing was published: never */
	{ F | T | W, IN(ERROR), GONE, 404, ERR_SOURCE_GONE, 0, false },
	{ F | T | W, IN(ERROR), 0, 500, OWN_ERROR, 0, false },
};

static bool is_there(enum resource resource, const struct recording_info *info, bool has_track, bool fetched)
{
	switch (resource) {
	case RESOURCE_FILE:
		return info->media.revision > 0;
	case RESOURCE_THUMBNAIL:
		return info->media.revision > 0 && info->media.has_thumbnail;
	case RESOURCE_WAVEFORM:
		return info->media.revision > 0 && info->media.has_waveform;
	default:
		return has_track && fetched;
	}
}

static enum err own_error(const struct recording_info *info)
{
	if (info->error != ERR_OK)
		return info->error;
	return info->job.error != ERR_OK ? info->job.error : ERR_INTERNAL;
}

/* Does this question begin to fetch? Only what is fetched when somebody asks for it, and only the bytes themselves are
 * such a question: a page of thumbnails does not fetch everything. */
static bool begins(enum resource resource, const struct recording_info *info, int64_t now_ms)
{
	const struct job_info *job = &info->job;
	if (!info->on_demand || resource == RESOURCE_THUMBNAIL || resource == RESOURCE_WAVEFORM)
		return false;
	if (info->phase == PHASE_ERROR)
		return err_class(own_error(info)) == ERR_CLASS_TRANSIENT && job_closed_ms(job, now_ms) == 0;
	bool at_work = job->id != 0 && (job->state == JOB_QUEUED || job->state == JOB_RUNNING);
	return info->phase == PHASE_UPLOADING && !at_work;
}

static unsigned facts_of(enum resource resource, const struct recording_info *info, const struct serving_facts *facts)
{
	bool as_is = resource == RESOURCE_FILE && info->media.revision > 0 && info->media.as_is;
	bool fetched = !info->source_url || info->revision > 0;
	unsigned out = 0;
	out |= is_there(resource, info, facts->has_track, fetched) ? THERE : 0u;
	out |= resource == RESOURCE_ORIGINAL || as_is ? AS_RECEIVED : 0u;
	out |= facts->quarantined ? QUARANTINED : 0u;
	out |= info->original_removed ? REMOVED : 0u;
	out |= !fetched ? UNFETCHED : 0u;
	out |= !fetched && begins(resource, info, facts->now_ms) ? BEGINS : 0u;
	out |= info->job.id != 0 && job_recovering(&info->job) ? RECOVERING : 0u;
	out |= facts->unserved ? UNSERVED : 0u;
	out |= info->phase == PHASE_ERROR && own_error(info) == ERR_SOURCE_GONE ? GONE : 0u;
	return out;
}

struct serving serving_judge(enum resource resource, const struct recording_info *info,
			     const struct serving_facts *facts)
{
	unsigned known = facts_of(resource, info, facts);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		const struct row *row = &table[i];
		if (!(row->resources & 1u << resource) || !(row->phases & 1u << info->phase) ||
		    (row->facts & known) != row->facts)
			continue;
		enum err err = row->err == OWN_ERROR ? own_error(info) : (enum err)row->err;
		return (struct serving){ row->status, err, row->retry_after_s, row->fetch, false };
	}
	assert(!"a question that no row answers");
	return (struct serving){ 500, ERR_INTERNAL, 0, false, false };
}
