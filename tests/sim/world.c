/* The server process of the simulation: started over the disk as it is, run under the simulated clock, killed, stopped.
 */
#include "onair.h"
#include "outside.h"
#include "uploader.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void trace_disk(void *arg, enum disk_call call, const char *path, uint64_t a, uint64_t b, enum err err)
{
	static const char *const names[DISK_CALLS] = { "d.open",    "d.read", "d.write",   "d.sync", "d.truncate",
						       "d.reserve", "d.name", "d.syncdir", "d.list" };
	struct world *w = arg;
	if (call == DISK_READ)
		return;
	sim_trace(&w->sim, names[call], path, a, b);
	if (err != ERR_OK)
		sim_trace(&w->sim, "d.error", err_code(err), err, 0);
}

void world_init(struct world *w, uint64_t seed, bool trace)
{
	memset(w, 0, sizeof *w);
	sim_init(&w->sim, seed, trace);
	struct rng root = { rng_mix(seed * 7919 + 17) };
	w->net_rng = rng_fork(&root, 1);
	w->client_rng = rng_fork(&root, 2);
	w->engine_rng = rng_fork(&root, 3);
	if (disk_new(rng_next(&root), &w->disk) != ERR_OK)
		abort();
	disk_set_trace(w->disk, trace_disk, w);
	w->exec = exec_sim_new(rng_next(&root));
	w->turn_at = UINT64_MAX;
	w->work_rng = rng_fork(&root, 4);
	workers_init(w);
	plan_make(w);
	w->outside = calloc(1, sizeof *w->outside);
	assert(w->outside);
	w->outside->w = w;
	w->outside->rng = rng_fork(&root, 5);
	sources_init(w);
	receiver_init(w);
	w->outside->push_rng = rng_fork(&root, 6);
	pushes_init(w);
	onair_init(w);
	uploaders_init(w);
}

void world_release(struct world *w)
{
	exec_sim_free(w->exec);
	free(w->workers);
	free(w->outside);
	free(w->onair);
	uploaders_release(w);
	disk_free(w->disk);
	sim_release(&w->sim);
}

void world_tally(struct world *w, enum tally_item item)
{
	w->tally.counts[item]++;
}

struct now world_now(const struct world *w)
{
	return (struct now){ w->sim.now_us / MS, (int64_t)(w->sim.now_us / MS) + w->sim.wall_ms };
}

void world_touched(struct world *w)
{
	if (w->turn_at != UINT64_MAX)
		return;
	/* A busy loop takes in several things before its turn ends. */
	w->turn_at = w->sim.now_us + (rng_chance(&w->sim.rng, 70) ? 0 : rng_below(&w->sim.rng, 2 * MS));
}

static void draw_random(void *arg, void *out, size_t len)
{
	struct world *w = arg;
	uint8_t *to = out;
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)rng_next(&w->engine_rng);
}

/* Start-up waits for its lanes: nothing else happens meanwhile. */
static void pump(void *arg)
{
	struct world *w = arg;
	bool completed;
	uint64_t at = exec_sim_next(w->exec);
	if (at == UINT64_MAX)
		sim_fail(&w->sim, "liveness", "start-up waits and nothing is under way");
	if (at > w->sim.now_us)
		w->sim.now_us = at;
	exec_sim_step(w->exec, w->sim.now_us, &completed);
}

static void start_again(void *arg, uint64_t x)
{
	struct world *w = arg;
	w->start_planned = false;
	if (!w->engine)
		world_start(w);
}

static void plan_start(struct world *w)
{
	if (w->start_planned)
		return;
	w->start_planned = true;
	uint64_t most = w->plan.burst ? 100 * MS : rng_chance(&w->sim.rng, 20) ? 20 * SECOND : 2 * SECOND;
	uint64_t away = rng_below(&w->sim.rng, most);
	sim_after(&w->sim, away + 10 * MS, start_again, w, 0);
}

static void start_failed(struct world *w, const char *what, enum err err)
{
	sim_trace(&w->sim, "no start", what, err, 0);
	bool faulty = disk_dead(w->disk) || disk_failures(w->disk) > 0 || err == ERR_STORAGE_FULL;
	if (!faulty)
		sim_fail(&w->sim, "it starts again", "%s answers %s", what, err_code(err));
	world_crash(w, rng_chance(&w->sim.rng, 50) && w->plan.powers ? CRASH_POWER : CRASH_KILL);
}

void world_start(struct world *w)
{
	struct catalog *catalog = NULL;
	w->life++;
	world_tally(w, TALLY_STARTS);
	w->checkpoints = 0;
	exec_sim_reset(w->exec);
	exec_sim_set_now(w->exec, w->sim.now_us);
	sim_trace(&w->sim, "start", NULL, w->life, 0);
	enum err err = catalog_sqlite_open(disk_vfs(w->disk), false, &catalog);
	if (err != ERR_OK) {
		start_failed(w, "the catalog", err);
		return;
	}
	catalog->webhooks = w->plan.notifies;
	catalog->pushes = w->plan.pushes;
	struct engine_config config = {
		.vfs = disk_vfs(w->disk),
		.exec = exec_sim_exec(w->exec),
		.catalog = catalog,
		.memory_bytes = w->plan.memory_bytes,
		.journal_bytes = w->plan.journal_bytes,
		.segment_bytes = w->plan.segment_bytes,
		.journal_io = w->plan.io,
		.grace_ms = w->plan.grace_ms,
		.heartbeat_ms = w->plan.heartbeat_ms,
		.late_resume_ms = w->plan.late_ms,
		.takeover = w->plan.takeover,
		.retain_originals_ms = w->plan.retain_originals_ms,
		.retain_ms = w->plan.retain_ms,
		.hash_early = w->plan.hash_early,
		.reserve_bytes = w->plan.reserve_bytes,
		.random = draw_random,
		.random_arg = w,
		.workers = workers_base(w),
		.worker_count = w->plan.workers,
		.fetcher = sources_base(w),
		.fetch_ms = w->plan.fetch_ms,
		.notifier = receiver_base(w),
		.pusher = pushes_base(w),
		.push_part_bytes = w->plan.push_part_bytes,
		.queue_wait_ms = w->plan.queue_wait_ms,
		.lease_ms = w->plan.lease_ms,
		.pump = pump,
		.pump_arg = w,
	};
	net_callbacks(w, &config.callbacks);
	struct engine *engine = NULL;
	err = engine_open(&config, world_now(w), &engine);
	if (err != ERR_OK || disk_dead(w->disk) || w->fatal) {
		start_failed(w, "the engine", err);
		return;
	}
	const struct engine_recovery *recovery = engine_recovery(engine);
	if ((recovery->damaged || recovery->quarantined) && disk_failures(w->disk) == 0)
		sim_fail(&w->sim, "no fault", "recovery found %u damaged stretches and quarantined %u takes",
			 recovery->damaged, recovery->quarantined);
	w->engine = engine;
	engine_listening(engine, world_now(w));
	w->up = true;
	oracle_listening(w);
	world_touched(w);
}

/* What the process held is lost: its memory is not freed, because nothing of it may run again. */
static void process_gone(struct world *w)
{
	net_crashed(w);
	workers_gone(w);
	sources_gone(w);
	followers_gone(w);
	batchers_gone(w);
	pushes_gone(w);
	onair_gone(w);
	uploaders_gone(w);
	w->engine = NULL;
	w->up = w->stopping = w->stopped = w->fatal = false;
	w->turn_at = UINT64_MAX;
	w->asking = w->open_requests = 0;
	w->crash_at_send = 0;
	exec_sim_reset(w->exec);
}

void world_crash(struct world *w, enum crash crash)
{
	enum disk_loss loss = (enum disk_loss)rng_below(&w->sim.rng, DISK_LOSSES);
	sim_trace(&w->sim, crash == CRASH_KILL ? "kill" : "power cut", NULL, crash, loss);
	world_tally(w, crash == CRASH_KILL ? TALLY_KILLS : TALLY_POWER_CUTS);
	if (w->engine)
		oracle_crashed(w);
	process_gone(w);
	if (crash == CRASH_KILL)
		disk_kill(w->disk);
	else
		disk_power_cut(w->disk, loss);
	plan_start(w);
}

static void on_stopped(void *arg)
{
	struct world *w = arg;
	if (w->stopped)
		sim_fail(&w->sim, "a clean stop", "it ended twice");
	w->stopped = true;
}

static void stop_watch(void *arg, uint64_t x)
{
	struct world *w = arg;
	if (w->life == x && w->engine && !disk_dead(w->disk) && !w->fatal)
		sim_fail(&w->sim, "a clean stop", "it does not come to its end");
}

void world_stop(struct world *w)
{
	if (!w->up || w->stopping || w->fatal)
		return;
	sim_trace(&w->sim, "stop", NULL, w->life, 0);
	w->stopping = true;
	sim_after(&w->sim, 2 * MINUTE, stop_watch, w, w->life);
	engine_stop(w->engine, world_now(w), on_stopped, w);
	world_touched(w);
}

/* The stop is over and the lanes are still: the process ends in order. */
static void finish_stop(struct world *w)
{
	struct sim *s = &w->sim;
	if (w->asking > 0)
		sim_fail(s, "every request is answered", "%u were not when the server stopped", w->asking);
	engine_close(w->engine);
	if (disk_open_files(w->disk) > 0)
		sim_fail(s, "a clean stop", "%u files were left open", disk_open_files(w->disk));
	sim_trace(s, "stopped", NULL, w->life, 0);
	world_tally(w, TALLY_STOPS);
	oracle_crashed(w);
	process_gone(w);
	disk_kill(w->disk);
	if (!w->ending)
		plan_start(w);
}

bool world_down(struct world *w)
{
	return !w->engine;
}

static void turn(struct world *w)
{
	w->turn_at = UINT64_MAX;
	engine_turn(w->engine, world_now(w));
}

/* When the engine itself wants to be called. */
static uint64_t engine_due(struct world *w)
{
	if (!w->engine || w->fatal)
		return UINT64_MAX;
	uint64_t wake = engine_next_wake(w->engine);
	uint64_t at = wake > UINT64_MAX / MS ? UINT64_MAX : wake * MS;
	return w->turn_at < at ? w->turn_at : at;
}

/* One thing happens. False: nothing ever will. */
static bool step(struct world *w, uint64_t until_us)
{
	struct sim *s = &w->sim;
	uint64_t due = engine_due(w), lanes = exec_sim_next(w->exec), event = sim_next(s);
	uint64_t at = due < lanes ? due : lanes;
	if (event < at)
		at = event;
	if (at > until_us) {
		s->now_us = until_us > s->now_us ? until_us : s->now_us;
		return false;
	}
	if (at > s->now_us)
		s->now_us = at;
	exec_sim_set_now(w->exec, s->now_us);
	if (due <= at) {
		turn(w);
	} else if (lanes <= at) {
		bool completed;
		if (w->engine && !w->fatal)
			engine_time(w->engine, world_now(w));
		exec_sim_step(w->exec, s->now_us, &completed);
		if (completed)
			world_touched(w);
	} else {
		sim_step(s);
	}
	return true;
}

static void after_step(struct world *w)
{
	if (disk_dead(w->disk) && w->engine) {
		world_crash(w, w->plan.powers && (!w->plan.kills || rng_chance(&w->sim.rng, 50)) ? CRASH_POWER
												 : CRASH_KILL);
	} else if (w->fatal && w->engine) {
		world_crash(w, CRASH_KILL);
	} else if (w->stopped && exec_sim_pending(w->exec) == 0) {
		finish_stop(w);
	}
}

void world_run(struct world *w, uint64_t until_us, bool (*done)(struct world *w))
{
	uint64_t here = 0, now = 0;
	while (!done || !done(w)) {
		if (!step(w, until_us))
			break;
		after_step(w);
		oracle_step(w);
		here = w->sim.now_us == now ? here + 1 : 0;
		now = w->sim.now_us;
		if (here > 200000)
			sim_fail(&w->sim, "liveness", "it goes round in circles");
	}
}
