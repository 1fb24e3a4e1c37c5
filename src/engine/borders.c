/* What other files of the engine will say; until they are here: nothing is fetched, and every queue is served. */
#include "engine/internal.h"

__attribute__((weak)) bool jobs_unserved(const struct engine *e, const struct recording_info *info)
{
	(void)e;
	(void)info;
	return false;
}

__attribute__((weak)) bool jobs_progress(const struct engine *e, const struct recording_info *info, unsigned *per_mille)
{
	(void)e;
	*per_mille = info->job.progress;
	return info->job.id != 0 && info->job.state == JOB_RUNNING;
}

__attribute__((weak)) void fetching_want(struct engine *e, const struct uuid *id)
{
	(void)e;
	(void)id;
}

__attribute__((weak)) void engine_unpark(struct engine *e, void (*done)(void *arg, enum err err), void *arg)
{
	(void)e;
	done(arg, ERR_NOT_SUPPORTED);
}
