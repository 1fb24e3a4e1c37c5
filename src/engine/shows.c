/* Shows in memory: from the catalog when somebody asks, and back when nothing needs them; what the show machine decides
 * is carried out here, in its order. See shows.h. */
#include "engine/shows.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What the catalog has of one. */
struct found_show {
	struct catalog_show counts;
	struct recording_info newest, first; /* of the newest's host; empty: there is none */
};

struct air *air_find(const struct engine *e, const char *name)
{
	for (const struct list *at = e->shows.airs.next; at != &e->shows.airs; at = at->next) {
		struct air *air = list_entry(at, struct air, link);
		if (strcmp(air->show.name, name) == 0)
			return air;
	}
	return NULL;
}

void air_due(struct engine *e, struct air *air)
{
	if (list_empty(&air->due))
		list_push(&e->shows.due, &air->due);
}

struct air *air_of(const struct engine *e, const struct take *t)
{
	struct air *air = t->rec.info.show ? air_find(e, t->rec.info.show) : NULL;
	return air && !air->loading && air->show.version == t->rec.info.version ? air : NULL;
}

/* --- to memory and back --- */

static struct air *air_new(struct engine *e, const char *name)
{
	struct air *air = must(calloc(1, sizeof *air));
	show_init(&air->show, name, e->config.grace_ms, e->config.takeover);
	show_effects_init(&air->fx);
	list_init(&air->due);
	list_init(&air->waiting);
	list_init(&air->watches);
	air->timer.kind = TIMER_AIR;
	list_push(&e->shows.airs, &air->link);
	e->shows.count++;
	return air;
}

static void air_free(struct engine *e, struct air *air)
{
	timer_set(&e->timers, &air->timer, UINT64_MAX);
	list_remove(&air->link);
	list_remove(&air->due);
	e->shows.count--;
	air_off(e, air);
	show_release(&air->show);
	show_effects_release(&air->fx);
	free(air->name);
	free(air->mime);
	free(air->ext);
	free(air);
}

static bool air_idle(const struct air *air)
{
	return !air->loading && air->pins == 0 && list_empty(&air->waiting) && list_empty(&air->watches) &&
	       show_at_rest(&air->show);
}

static enum err show_read(struct catalog *c, const char *name, struct found_show *out)
{
	enum err err = c->ops->show_get(c, name, &out->counts);
	if (!err)
		err = c->ops->show_version(c, name, 0, &out->newest);
	if (!err && out->newest.first != out->newest.version)
		err = c->ops->show_version(c, name, out->newest.first, &out->first);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static void found_show_release(struct found_show *f)
{
	recording_info_release(&f->newest);
	recording_info_release(&f->first);
	*f = (struct found_show){ 0 };
}

/* `first`: the row of its host's first version; the same one, or empty when that is gone. While the server runs nothing
 * is on air that is not in memory, whatever a row says that is behind. */
static void restore(struct engine *e, struct air *air, const struct recording_info *info,
		    const struct recording_info *first, uint32_t failed)
{
	bool open = info->phase == PHASE_UPLOADING, running = e->listening;
	bool grace = open || (info->sealed_by == SEALED_BY_GRACE && info->phase != PHASE_DELETED);
	struct show_past past = {
		.version = info->version,
		.first = info->first,
		.id = info->id,
		.principal = info->principal,
		.session = first->session_id,
		.since_ms = first->principal ? first->created_ms : info->created_ms,
		.take = running							? SHOW_TAKE_NONE
			: open							? SHOW_TAKE_RECORDING
			: info->phase == PHASE_ERROR && failed == info->version ? SHOW_TAKE_FAILED
										: SHOW_TAKE_NONE,
		.ended = grace ? SHOW_WHY_GRACE : SHOW_WHY_ELSEWHERE,
		.error = info->error,
		.marked = failed == info->version,
	};
	must(show_restore(&air->show, &past, &air->fx) ? NULL : air);
	if (past.take == SHOW_TAKE_NONE)
		return;
	free(air->name);
	free(air->mime);
	air->aired = info->shift + recording_info_bytes(info);
	air->name = info->name ? must(strdup(info->name)) : NULL;
	air->mime = info->mime ? must(strdup(info->mime)) : NULL;
}

static void restore_newest(struct engine *e, struct air *air, const struct found_show *f)
{
	const struct recording_info *newest = &f->newest;
	const struct take *t = newest->show ? take_by_id(e, &newest->id) : NULL;
	if (t && !t->loading)
		newest = &t->rec.info;
	if (newest->show && newest->version > air->show.version)
		restore(e, air, newest, newest->first == newest->version ? newest : &f->first, f->counts.failed);
	if (f->counts.version > air->show.version) { /* its row is gone, its number stays */
		struct show_past past = { .version = f->counts.version,
					  .first = f->counts.version,
					  .principal = "",
					  .ended = SHOW_WHY_ELSEWHERE,
					  .marked = f->counts.failed == f->counts.version };
		must(show_restore(&air->show, &past, &air->fx) ? NULL : air);
	}
}

struct air_op {
	struct catalog_op op;
	struct air *air;
	struct found_show found;
};

static enum err air_run(struct catalog *c, struct catalog_op *op)
{
	struct air_op *o = (struct air_op *)op;
	found_show_release(&o->found);
	return show_read(c, o->air->show.name, &o->found);
}

static void air_done(struct engine *e, struct catalog_op *op)
{
	struct air_op *o = (struct air_op *)op;
	struct air *air = o->air;
	struct list ready, *link;
	air->loading = false;
	if (!op->err)
		restore_newest(e, air, &o->found);
	list_init(&ready);
	list_move(&ready, &air->waiting);
	air->pins++;
	while ((link = list_pop(&ready))) {
		struct air_waiter *w = list_entry(link, struct air_waiter, link);
		w->go(e, w, op->err ? NULL : air, op->err);
	}
	air->pins--;
	found_show_release(&o->found);
	if (op->err && list_empty(&air->watches))
		air_free(e, air);
	else
		air_due(e, air);
	free(o);
}

void air_want(struct engine *e, const char *name, struct air_waiter *w)
{
	struct air *air = air_find(e, name);
	list_init(&w->link);
	if (!show_name_valid(name)) {
		w->go(e, w, NULL, ERR_NOT_FOUND);
		return;
	}
	if (!air && e->shows.count >= (w->host ? LIMIT_SHOWS : LIMIT_SHOWS_ASKED)) {
		w->go(e, w, NULL, ERR_BUSY);
		return;
	}
	if (air && !air->loading) {
		w->go(e, w, air, ERR_OK);
		air_due(e, air);
		return;
	}
	if (!air) {
		struct air_op *o = must(calloc(1, sizeof *o));
		air = air_new(e, name);
		air->loading = true;
		o->op.run = air_run;
		o->op.done = air_done;
		o->air = air;
		catalog_submit(e, &o->op);
		catalog_pump(e);
	}
	list_push(&air->waiting, &w->link);
}

/* --- start-up --- */

/* The unfinished versions of a show, the oldest first. */
static struct take *next_unfinished(const struct engine *e, const char *name, uint32_t above)
{
	struct take *next = NULL;
	for (const struct list *at = e->takes.next; at != &e->takes; at = at->next) {
		struct take *t = list_entry(at, struct take, link);
		const struct recording_info *info = &t->rec.info;
		bool later = info->show && info->version > above && strcmp(info->show, name) == 0;
		if (later && info->phase == PHASE_UPLOADING && (!next || info->version < next->rec.info.version))
			next = t;
	}
	return next;
}

/* Nothing is in the version yet: its host's stream goes on where the one before it failed. */
static enum err recover_reach(struct catalog *c, struct air *air, uint32_t version)
{
	struct recording_info before = { 0 };
	enum err err = c->ops->show_version(c, air->show.name, version, &before);
	if (!err && before.shift + recording_info_bytes(&before) > air->aired)
		air->aired = before.shift + recording_info_bytes(&before);
	recording_info_release(&before);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err recover_show(void *arg, const char *name)
{
	struct engine *e = arg;
	struct catalog *c = e->config.catalog;
	struct found_show f = { 0 };
	if (air_find(e, name))
		return ERR_OK;
	struct air *air = air_new(e, name);
	enum err err = show_read(c, name, &f);
	for (struct take *t; !err && (t = next_unfinished(e, name, air->show.version));) {
		const struct recording_info *info = &t->rec.info;
		struct recording_info first = { 0 };
		t->rec.on_air = true;
		if (info->first != info->version)
			err = c->ops->show_version(c, name, info->first, &first);
		if (err == ERR_NOT_FOUND)
			err = ERR_OK;
		if (!err)
			restore(e, air, info, info->first == info->version ? info : &first, f.counts.failed);
		recording_info_release(&first);
		if (!err && info->first != info->version && recording_info_bytes(info) == 0)
			err = recover_reach(c, air, info->version - 1);
	}
	if (!err)
		restore_newest(e, air, &f);
	found_show_release(&f);
	air_due(e, air);
	return err;
}

enum err shows_recover(struct engine *e)
{
	struct catalog *c = e->config.catalog;
	enum err err = ERR_OK;
	for (struct list *at = e->takes.next; !err && at != &e->takes; at = at->next) {
		const struct recording_info *info = &list_entry(at, struct take, link)->rec.info;
		if (info->show && info->phase == PHASE_UPLOADING)
			err = recover_show(e, info->show);
	}
	return err ? err : c->ops->each_show_failed(c, recover_show, e);
}

void shows_init(struct engine *e)
{
	list_init(&e->shows.airs);
	list_init(&e->shows.due);
	list_init(&e->shows.stops);
}

void shows_release(struct engine *e)
{
	e->config.callbacks.air = NULL; /* the network is gone before the engine is */
	air_stops_end(e);
	while (!list_empty(&e->shows.airs))
		air_free(e, list_entry(e->shows.airs.next, struct air, link));
}

void shows_listening(struct engine *e)
{
	for (struct list *at = e->shows.airs.next; at != &e->shows.airs; at = at->next) {
		struct air *air = list_entry(at, struct air, link);
		show_listen(&air->show, e->now.mono_ms);
		air_due(e, air);
	}
	shows_space_back(e);
}

/* --- what happens to versions past the machine --- */

bool shows_on_air(const struct engine *e, const struct take *t)
{
	const struct air *air = air_of(e, t);
	return air && air->show.state != SHOW_OFF && air->show.take != SHOW_TAKE_NONE;
}

bool shows_failed(struct engine *e, struct take *t, enum err err)
{
	struct air *air = air_of(e, t);
	if (!air || air->show.state == SHOW_OFF || air->show.take != SHOW_TAKE_RECORDING)
		return false;
	char id[UUID_TEXT];
	uuid_format(&t->rec.info.id, id);
	log_event(LOG_ERROR, "recording_failed", "show", air->show.name, "version", log_number(air->show.version), "id",
		  id, "code", err_code(err), NULL);
	air->reached = t->rec.info.shift + (t->rec.info.track_count ? t->rec.tracks[0].durable : 0);
	air->reached_turn = air->show.turn;
	show_recording_failed(&air->show, air->show.version, err, e->now.mono_ms, &air->fx);
	air_due(e, air);
	return true;
}

void shows_look(struct engine *e, struct take *t)
{
	const struct recording *r = &t->rec;
	if (!r->info.show)
		return;
	struct air *air = air_of(e, t);
	if (!air || air->show.take != SHOW_TAKE_RECORDING)
		return;
	if (r->info.phase == PHASE_ERROR && recording_info_broken(&r->info)) {
		shows_failed(e, t, r->info.error);
		return;
	}
	bool ending = !recording_at_rest(r) && r->busy != BUSY_REOPENING;
	if (!ending && r->info.phase == PHASE_UPLOADING && !(r->info.track_count && recording_whole(r)))
		return;
	show_ended(&air->show, r->info.version, &air->fx);
	air_await(e, air, t);
	air_due(e, air);
}

void shows_space_back(struct engine *e)
{
	if (!e->listening || space_refuses_new(e))
		return;
	for (struct list *at = e->shows.airs.next; at != &e->shows.airs; at = at->next) {
		struct air *air = list_entry(at, struct air, link);
		if (air->loading || air->show.take != SHOW_TAKE_FAILED)
			continue;
		show_space_back(&air->show, e->now.mono_ms, &air->fx);
		air_due(e, air);
	}
}

/* --- effects --- */

static void carry_out(struct engine *e, struct air *air, const struct show_effect *fx)
{
	switch (fx->type) {
	case SHOW_EFFECT_BEGIN:
		air_begin(e, air, fx);
		break;
	case SHOW_EFFECT_FINALISE:
		air_finalise(e, air, fx);
		break;
	case SHOW_EFFECT_MARK_OFF:
		air_mark_off(e, air);
		break;
	case SHOW_EFFECT_STATUS:
		air->changed = true;
		if (show_view(&air->show).state == SHOW_OFF)
			air_off(e, air);
		break;
	default:
		air_to_conn(e, air, fx);
	}
}

static void air_settle(struct engine *e, struct air *air)
{
	const struct show_effect *next;
	air->pins++;
	while (!e->failed && (next = show_effects_drain(&air->fx))) {
		struct show_effect fx = *next; /* the queue may move under it */
		carry_out(e, air, &fx);
	}
	air->pins--;
	air_tell(e, air);
	if (air_idle(air)) {
		air_free(e, air);
		return;
	}
	uint64_t wake = e->listening ? show_next_wake(&air->show) : UINT64_MAX;
	uint64_t look = air_look(e, air);
	timer_set(&e->timers, &air->timer, wake < look ? wake : look);
}

void shows_timer(struct engine *e, struct timer *timer)
{
	struct air *air = list_entry(timer, struct air, timer);
	if (e->listening && !air->loading)
		show_tick(&air->show, e->now.mono_ms, &air->fx);
	air_due(e, air);
}

void shows_turn(struct engine *e)
{
	struct list *link;
	while (!e->failed && (link = list_pop(&e->shows.due))) {
		struct air *air = list_entry(link, struct air, due);
		if (!air->loading)
			air_settle(e, air);
	}
}
