/* What a seed lets happen: the sizes of the server, which faults there are, and when they strike. */
#include "onair.h"
#include "outside.h"
#include "uploader.h"

static uint64_t one_of(struct rng *rng, const uint64_t *values, size_t count)
{
	return values[rng_below(rng, count)];
}

static void choose_faults(struct plan *p, struct rng *rng)
{
	p->cuts = rng_chance(rng, 80);
	p->half_open = rng_chance(rng, 30);
	p->kills = rng_chance(rng, 45);
	p->powers = rng_chance(rng, 55);
	p->at_calls = rng_chance(rng, 60);
	p->stops = rng_chance(rng, 15);
	p->full = rng_chance(rng, 15);
	p->bad_writes = rng_chance(rng, 8);
	p->bad_syncs = rng_chance(rng, 14);
	p->slow = rng_chance(rng, 30);
	p->jumps = rng_chance(rng, 15);
	p->liars = rng_chance(rng, 20);
	p->deaf = rng_chance(rng, 5);
	p->burst = rng_chance(rng, 10);
}

/* From a stream of its own: what was drawn before there were shows stays as it was. */
static void choose_shows(struct world *w)
{
	struct rng rng = { rng_mix(w->sim.seed * 6151 + 29) };
	w->plan.shows = rng_chance(&rng, 40) ? 0 : 1 + (unsigned)rng_below(&rng, SHOWS);
	w->plan.takeover = rng_chance(&rng, 50);
	if (w->plan.shows > 0 && rng_chance(&rng, 25))
		w->plan.full = w->plan.tight = true; /* what fails under a show is half of its life */
}

static void choose_uploads(struct world *w)
{
	struct rng rng = { rng_mix(w->sim.seed * 4801 + 31) };
	w->plan.uploads = rng_chance(&rng, 40) ? 0 : 1 + (unsigned)rng_below(&rng, UPLOADS);
}

static void choose_batches(struct world *w)
{
	struct rng rng = { rng_mix(w->sim.seed * 9173 + 31) };
	w->plan.batches = rng_chance(&rng, 65) ? 0 : 1 + (unsigned)rng_below(&rng, 2);
}

void plan_make(struct world *w)
{
	static const uint64_t memories[] = { MIB, 2 * MIB, 4 * MIB, 8 * MIB };
	static const uint64_t segments[] = { 64 * KIB, 128 * KIB, 256 * KIB };
	static const uint64_t latencies[] = { 100, MS, 20 * MS, 200 * MS };
	struct plan *p = &w->plan;
	struct rng rng = rng_fork(&w->sim.rng, 42);
	choose_faults(p, &rng);
	p->takes = 1 + (unsigned)rng_below(&rng, 7);
	p->calm_us = w->sim.now_us + rng_between(&rng, 2, 25) * SECOND;
	p->grace_ms = (uint32_t)rng_between(&rng, 1500, 6000);
	p->heartbeat_ms = (uint32_t)rng_between(&rng, 1000, 8000);
	p->late_ms = rng_chance(&rng, 15) ? rng_between(&rng, 5000, 30000) : 7ULL * 24 * LATE_FOR_EVER;
	p->memory_bytes = one_of(&rng, memories, 4);
	p->segment_bytes = (uint32_t)one_of(&rng, segments, 3);
	p->journal_bytes = p->segment_bytes * rng_between(&rng, 4, 12);
	p->reserve_bytes = 64 * KIB;
	p->hash_early = rng_chance(&rng, 50);
	p->io = rng_chance(&rng, 50) ? JOURNAL_IO_AUTO : JOURNAL_IO_BUFFERED;
	p->latency_us = one_of(&rng, latencies, 4);
	p->capacity = 64 * GIB;
	p->watchers = (unsigned)rng_below(&rng, WATCHERS + 1);
	p->workers = rng_chance(&rng, 10) ? 0 : 1 + (unsigned)rng_below(&rng, SIM_WORKERS);
	p->breakdowns = rng_chance(&rng, 25);
	p->lease_ms = (uint32_t)rng_between(&rng, 1500, 8000);
	p->cursed = rng_chance(&rng, 30) ? 1 + (unsigned)rng_below(&rng, p->takes) : 0;
	p->imports = rng_chance(&rng, 35) ? 1 + (unsigned)rng_below(&rng, IMPORTS) : 0;
	p->fetch_ms = rng_chance(&rng, 25) ? rng_between(&rng, 3000, 10000) : 0;
	p->notifies = rng_chance(&rng, 30);
	p->queue_wait_ms = rng_chance(&rng, 30) ? (uint32_t)rng_between(&rng, 2000, 10000) : 0;
	p->retain_originals_ms = rng_chance(&rng, 12) ? rng_below(&rng, 20000) : UINT64_MAX;
	p->retain_ms = rng_chance(&rng, 6) ? rng_below(&rng, 30000) : UINT64_MAX;
	p->pushes = rng_chance(&rng, 40);
	p->push_part_bytes = rng_between(&rng, 64 * KIB, 256 * KIB);
	if (p->retain_ms != UINT64_MAX)
		p->imports = 0; /* a name that is free again would be registered anew */
	choose_shows(w);
	choose_uploads(w);
	choose_batches(w);
	if (p->burst) {
		p->takes = 1 + (unsigned)rng_below(&rng, 3);
		p->memory_bytes = 8 * MIB;
		p->latency_us = 100;
		p->calm_us = w->sim.now_us + 2 * SECOND;
		exec_sim_set_speed(w->exec, LANE_COMMIT, 3 * MS);
	}
}

static void crash_now(void *arg, uint64_t x)
{
	struct world *w = arg;
	struct plan *p = &w->plan;
	if (w->calm)
		return;
	if (w->engine && rng_chance(&w->sim.rng, 40) && p->at_calls)
		disk_die_after(w->disk, 1 + rng_below(&w->sim.rng, 60));
	else if (w->engine && rng_chance(&w->sim.rng, 40) && p->at_calls)
		w->crash_at_send = 1 + rng_below(&w->sim.rng, 10);
	else if (w->engine)
		world_crash(w, p->powers && (!p->kills || rng_chance(&w->sim.rng, 60)) ? CRASH_POWER : CRASH_KILL);
	else if (p->at_calls)
		disk_die_after(w->disk, 1 + rng_below(&w->sim.rng, 200)); /* in the next start */
	uint64_t wait =
		p->burst ? 5 * MS + rng_below(&w->sim.rng, 400 * MS) : 200 * MS + rng_below(&w->sim.rng, 8 * SECOND);
	sim_after(&w->sim, wait, crash_now, w, 0);
}

static void stop_now(void *arg, uint64_t x)
{
	struct world *w = arg;
	if (w->calm)
		return;
	world_stop(w);
	sim_after(&w->sim, SECOND + rng_below(&w->sim.rng, 12 * SECOND), stop_now, w, 0);
}

static void cut_now(void *arg, uint64_t x)
{
	struct world *w = arg;
	if (w->calm)
		return;
	struct link *link = link_pick(w);
	if (link)
		link_cut(link, w->plan.half_open && rng_chance(&w->net_rng, 30));
	sim_after(&w->sim, 50 * MS + rng_below(&w->net_rng, 3 * SECOND), cut_now, w, 0);
}

static void slow_now(void *arg, uint64_t x)
{
	struct world *w = arg;
	struct rng *rng = &w->sim.rng;
	if (w->calm)
		return;
	enum lane lane = (enum lane)rng_below(rng, LANE_COUNT);
	if (rng_chance(rng, 50))
		exec_sim_stall(w->exec, lane, w->sim.now_us + rng_below(rng, 3 * SECOND));
	else
		exec_sim_set_speed(w->exec, lane, 100ULL << rng_below(rng, 9));
	sim_after(&w->sim, 200 * MS + rng_below(rng, 3 * SECOND), slow_now, w, 0);
}

static void jump_now(void *arg, uint64_t x)
{
	struct world *w = arg;
	struct rng *rng = &w->sim.rng;
	if (w->calm)
		return;
	if (rng_chance(rng, 70))
		w->sim.wall_ms += (int64_t)rng_below(rng, 7200000) - 3600000;
	else
		w->sim.now_us += rng_below(rng, 3 * SECOND); /* the machine slept */
	sim_after(&w->sim, SECOND + rng_below(rng, 6 * SECOND), jump_now, w, 0);
}

static void full_now(void *arg, uint64_t x)
{
	struct world *w = arg;
	struct rng *rng = &w->sim.rng;
	bool full = x && !w->calm;
	uint64_t room = rng_below(rng, MIB);
	disk_set_capacity(w->disk, full ? disk_used(w->disk) + room : w->plan.capacity);
	sim_trace(&w->sim, full ? "full" : "room", NULL, room, 0);
	if (!w->calm)
		sim_after(&w->sim, SECOND + rng_below(rng, 6 * SECOND), full_now, w, !x);
}

static void fail_now(void *arg, uint64_t x)
{
	static const char *const places[] = { "spool/", "journal/", "catalog", NULL };
	struct world *w = arg;
	struct rng *rng = &w->sim.rng;
	if (w->calm)
		return;
	bool sync = w->plan.bad_syncs && (!w->plan.bad_writes || rng_chance(rng, 50));
	struct disk_fault fault = {
		.call = sync		      ? DISK_SYNC
			: rng_chance(rng, 80) ? DISK_WRITE
					      : DISK_READ,
		.prefix = places[rng_below(rng, 4)],
		.after = rng_below(rng, 20),
		.times = 1,
	};
	fault.err = sync ? ERR_SYNC_FAILED : fault.call == DISK_WRITE ? ERR_WRITE_FAILED : ERR_READ_FAILED;
	disk_heal(w->disk);
	disk_fail(w->disk, &fault);
	sim_after(&w->sim, 2 * SECOND + rng_below(rng, 8 * SECOND), fail_now, w, 0);
}

static void calm_now(void *arg, uint64_t x)
{
	struct world *w = arg;
	w->calm = true;
	sim_trace(&w->sim, "calm", NULL, 0, 0);
	disk_heal(w->disk);
	disk_set_capacity(w->disk, w->plan.capacity);
	if (!disk_dead(w->disk))
		disk_die_after(w->disk, 0);
	w->crash_at_send = 0;
	for (unsigned i = 0; i < LANE_COUNT; i++)
		exec_sim_set_speed(w->exec, (enum lane)i, 200);
}

void plan_begin(struct world *w)
{
	struct plan *p = &w->plan;
	struct sim *s = &w->sim;
	uint64_t span = p->calm_us - s->now_us;
	if (p->kills || p->powers)
		sim_after(s, rng_below(&s->rng, p->burst ? span / 20 : span), crash_now, w, 0);
	if (p->stops)
		sim_after(s, rng_below(&s->rng, span), stop_now, w, 0);
	if (p->cuts)
		sim_after(s, rng_below(&s->rng, span / 2), cut_now, w, 0);
	if (p->slow)
		sim_after(s, rng_below(&s->rng, span / 2), slow_now, w, 0);
	if (p->jumps)
		sim_after(s, rng_below(&s->rng, span), jump_now, w, 0);
	if (p->full)
		sim_after(s, rng_below(&s->rng, span), full_now, w, 1);
	if (p->bad_writes || p->bad_syncs)
		sim_after(s, rng_below(&s->rng, span), fail_now, w, 0);
	sim_after(s, span, calm_now, w, 0);
}
