/* What the server says of shows, as it says it, and what listeners are fed: see onair.h. docs/testing.md lists the
 * invariants. */
#include "onair.h"
#include "content.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void onair_init(struct world *w)
{
	w->onair = calloc(1, sizeof *w->onair);
	assert(w->onair);
	w->onair->w = w;
	w->onair->rng.state = rng_mix(w->sim.seed * 104729 + 31);
	for (unsigned i = 0; i < SHOWS; i++) {
		struct show_truth *show = &w->onair->shows[i];
		show->w = w;
		show->number = i;
		snprintf(show->name, sizeof show->name, "show-%u", i);
	}
}

/* The disk is full for moments: versions fail, and there is space again while their shows are on air. */
static void tight_now(void *arg, uint64_t x)
{
	struct world *w = arg;
	struct rng *rng = &w->onair->rng;
	if (w->calm)
		return;
	uint64_t room = rng_below(rng, 48 * KIB);
	disk_set_capacity(w->disk, x ? disk_used(w->disk) + room : w->plan.capacity);
	sim_trace(&w->sim, x ? "tight" : "room", NULL, room, 0);
	uint64_t wait = x ? 50 * MS + rng_below(rng, 2 * SECOND) : SECOND + rng_below(rng, 4 * SECOND);
	sim_after(&w->sim, wait, tight_now, w, !x);
}

void onair_begin(struct world *w)
{
	if (w->plan.shows == 0)
		return;
	hosts_begin(w);
	onair_callers_begin(w);
	if (w->plan.tight)
		sim_after(&w->sim, rng_below(&w->onair->rng, 4 * SECOND), tight_now, w, 1);
}

bool onair_frail(const struct world *w)
{
	return w->plan.full || w->plan.bad_writes || w->plan.bad_syncs;
}

struct show_truth *show_named(struct world *w, const char *name)
{
	for (unsigned i = 0; name && i < w->plan.shows; i++) {
		if (strcmp(w->onair->shows[i].name, name) == 0)
			return &w->onair->shows[i];
	}
	return NULL;
}

struct air_take *air_take_new(struct world *w, struct show_truth *show, const char *principal, const char *session)
{
	struct onair *o = w->onair;
	if (o->take_count == AIR_TAKES)
		sim_fail(&w->sim, "liveness", "%d takes of hosts and no end", AIR_TAKES);
	struct air_take *take = &o->takes[o->take_count++];
	take->show = show;
	take->principal = principal;
	snprintf(take->session, sizeof take->session, "%s", session);
	take->content = rng_next(&o->rng);
	take->total = rng_chance(&o->rng, 10) ? rng_below(&o->rng, 4000) : 8000 + rng_below(&o->rng, 300 * KIB);
	if (w->plan.burst)
		take->total = 256 * KIB + rng_below(&o->rng, MIB);
	return take;
}

struct version_truth *air_version(struct show_truth *show, uint32_t version)
{
	if (version == 0 || version > AIR_VERSIONS)
		sim_fail(&show->w->sim, "versions rise by one", "%s is at version %" PRIu32, show->name, version);
	return &show->versions[version - 1];
}

/* The server names a version: always by the same id, and no other one by that. */
static struct version_truth *named(struct show_truth *show, uint32_t version, const char *id)
{
	struct sim *s = &show->w->sim;
	struct version_truth *v = air_version(show, version);
	if (version > show->newest)
		show->newest = version;
	for (uint32_t i = 1; id[0] && i <= AIR_VERSIONS; i++) {
		const char *other = show->versions[i - 1].take.id;
		if (strcmp(other, id) == 0 ? i != version : i == version && other[0])
			sim_fail(s, "one version, one recording", "version %" PRIu32 " of %s is %s, %" PRIu32 " is %s",
				 version, show->name, id, i, other);
	}
	if (!v->known) {
		v->known = true;
		v->take.honest = v->take.on_air = v->take.may_be_sealed = true;
		v->take.deleting = show->w->plan.retain_ms != UINT64_MAX;
		v->take.track_count = 1;
		v->take.tracks[0].total = v->take.tracks[0].delivered = BYTES_UNKNOWN / 2;
		memcpy(v->take.tracks[0].name, "main", sizeof "main");
		snprintf(v->take.session, sizeof v->take.session, "%s/%" PRIu32, show->name, version);
		world_tally(show->w, TALLY_VERSIONS);
	}
	snprintf(v->take.id, sizeof v->take.id, "%s", id[0] ? id : v->take.id);
	return v;
}

/* --- hosts --- */

static uint64_t grace_deadline(const struct show_truth *show)
{
	const struct world *w = show->w;
	if (show->attached > 0)
		return UINT64_MAX;
	uint64_t from = show->detached_us > w->listen_us ? show->detached_us : w->listen_us;
	return from / MS * MS + (uint64_t)w->plan.grace_ms * MS;
}

void onair_detached(struct world *w, struct link *link)
{
	const struct air_link *air = link_air(link);
	bool *told = link_told(link);
	if (!air->host || !*told)
		return;
	struct show_truth *show = host_show(air->host);
	*told = false;
	if (air->ordinary)
		return;
	show->attached--;
	show->detached_us = w->sim.now_us;
}

void onair_text(struct world *w, struct link *link, const char *text)
{
	struct air_link *air = link_air(link);
	struct show_truth *show = host_show(air->host);
	if (strstr(text, "\"type\":\"start\"")) {
		air->starts++;
		if (air->take && !*link_told(link))
			air->take->starts++;
		show->may_be_off =
			show->may_be_off || onair_frail(w); /* the other's version, for one that can't begin */
		return;
	}
	if (strstr(text, "\"type\":\"stop\""))
		air->stops++;
	show->may_be_off = true; /* stop, end, abort */
	if (strstr(text, "\"abort\"") && air->version)
		air_version(show, air->version)->take.aborting = true;
	if (strstr(text, "\"end\"") && air->version)
		air_version(show, air->version)->take.tracks[0].end_delivered = true;
}

/* Bytes [.., bytes) of its stream are durable, as far as they lie in the version. */
static void promise(struct world *w, struct version_truth *v, uint64_t bytes)
{
	struct sim *s = &w->sim;
	if (bytes > v->whose->delivered)
		sim_fail(s, "acked bytes were sent", "%s: %" PRIu64 " promised, %" PRIu64 " came in", v->take.session,
			 bytes, v->whose->delivered);
	if (bytes < v->promised)
		sim_fail(s, "acked bytes are there", "%s: %" PRIu64 " after %" PRIu64 " was promised", v->take.session,
			 bytes, v->promised);
	v->promised = bytes;
}

static struct air_take *take_of(struct show_truth *show, const char *principal, const char *session)
{
	struct onair *o = show->w->onair;
	for (unsigned i = 0; i < o->take_count; i++) {
		struct air_take *take = &o->takes[i];
		if (take->show == show && strcmp(take->principal, principal) == 0 &&
		    strcmp(take->session, session) == 0)
			return take;
	}
	sim_fail(&show->w->sim, "one take, one version", "%s of %s, and nobody named it so", session, show->name);
}

/* The server works on this version for the link, so what the link sends is this version's. */
static struct version_truth *works_on(struct world *w, struct link *link, const struct message_in *m)
{
	struct air_link *air = link_air(link);
	struct show_truth *show = host_show(air->host);
	struct version_truth *v = named(show, m->version, m->id);
	struct sim *s = &w->sim;
	if (v->take.deleted || (v->take.aborted && m->said == SAID_MOVED))
		sim_fail(s, "the end is the end", "%s goes on after its end", v->take.session);
	if (!air->take && m->session[0])
		air->take = take_of(show, host_principal(air->host), m->session);
	bool anew = m->bytes == 0 && !m->resumed && m->said == SAID_STARTED;
	if (!air->take && v->whose && !anew)
		air->take = v->whose; /* it named no take, and got the one on air */
	struct air_take *before = m->version > 1 ? air_version(show, m->version - 1)->whose : NULL;
	bool same = before && strcmp(before->principal, host_principal(air->host)) == 0;
	if (!air->take && !v->whose && !anew && same)
		air->take = before;
	if (!air->take && v->whose)
		air->take = v->whose;
	if (!air->take)
		air->take = air_take_new(w, show, host_principal(air->host), "");
	if (v->whose && v->whose != air->take)
		sim_fail(s, "one take, one version", "%s is %s's, and %s works on it", v->take.session,
			 v->whose->principal, host_principal(air->host));
	if (strcmp(air->take->principal, host_principal(air->host)) != 0)
		sim_fail(s, "one take, one version", "%s works on %s, which is %s's", host_principal(air->host),
			 v->take.session, air->take->principal);
	bool late = m->said == SAID_STARTED && m->resumed && v->whose && air->take->session[0];
	if (m->version < show->newest && !late)
		sim_fail(s, "versions rise by one", "%s goes on behind %" PRIu32, v->take.session, show->newest);
	v->whose = air->take;
	air->version = m->version;
	return v;
}

struct unrecorded {
	uint32_t version;
	bool failed;
};

static void got_unrecorded(void *arg, enum err err, const char *text, size_t len)
{
	struct unrecorded *u = arg;
	json_t *object = err ? NULL : json_loadb(text, len, 0, NULL);
	const char *recording = json_string_value(json_object_get(object, "recording"));
	u->failed = recording && strcmp(recording, "recording_failed") == 0 &&
		    json_integer_value(json_object_get(object, "version")) == u->version;
	json_decref(object);
}

/* It is on air, and this version has failed. */
static bool unrecorded(struct show_truth *show, uint32_t version)
{
	struct unrecorded u = { .version = version };
	engine_show(show->w->engine, show->name, grant_local(), got_unrecorded, &u); /* in memory: answered at once */
	return u.failed;
}

/* The broadcast has it, and no version. */
static void started_unrecorded(struct world *w, struct link *link, const struct message_in *m)
{
	struct air_link *air = link_air(link);
	struct show_truth *show = host_show(air->host);
	named(show, m->version, m->id);
	bool anew = m->bytes == 0 && !m->resumed;
	if (!air->take && m->session[0])
		air->take = take_of(show, host_principal(air->host), m->session);
	if (!air->take && !anew && show->host)
		air->take = show->host;
	if (!air->take)
		air->take = air_take_new(w, show, host_principal(air->host), "");
	if (strcmp(air->take->principal, host_principal(air->host)) != 0)
		sim_fail(&w->sim, "one take, one version", "%s goes on with what is %s's", host_principal(air->host),
			 air->take->principal);
	if (m->bytes > air->take->delivered)
		sim_fail(&w->sim, "acked bytes were sent", "%s begins at %" PRIu64 ", %" PRIu64 " came in", show->name,
			 m->bytes, air->take->delivered);
	show->host = air->take;
	air->version = 0;
	air->ordinary = false;
	air->starts -= air->starts > 0;
	if (!*link_told(link)) {
		*link_told(link) = true;
		show->attached++;
	}
	air->may_stop = show->on_air = true;
	show->may_be_off = show->enders > 0;
	world_tally(w, TALLY_HOSTED);
}

static void sent_started(struct world *w, struct link *link, const struct message_in *m)
{
	struct air_link *air = link_air(link);
	struct show_truth *show = host_show(air->host);
	if (m->version == 0)
		sim_fail(&w->sim, "one version, one recording", "a host of %s was told of no version", show->name);
	if (unrecorded(show, m->version)) {
		started_unrecorded(w, link, m);
		return;
	}
	struct version_truth *v = works_on(w, link, m);
	if (v->promised > 0 && m->bytes < v->promised)
		promise(w, v, m->bytes);
	if (m->bytes > v->whose->delivered)
		sim_fail(&w->sim, "acked bytes were sent", "%s begins at %" PRIu64 ", %" PRIu64 " came in",
			 v->take.session, m->bytes, v->whose->delivered);
	if (air->starts > 0)
		air->starts--;
	air->ordinary = m->version < show->newest;
	if (!*link_told(link)) {
		*link_told(link) = true;
		show->attached += !air->ordinary;
	}
	if (air->ordinary)
		return;
	air->may_stop = true;
	show->host = v->whose;
	show->on_air = true;
	show->may_be_off = show->enders > 0;
	world_tally(w, TALLY_HOSTED);
}

static void sent_stopped(struct world *w, struct link *link, const struct message_in *m)
{
	struct air_link *air = link_air(link);
	struct show_truth *show = host_show(air->host);
	if (air->stops == 0 && !air->may_stop)
		sim_fail(&w->sim, "a stop is answered once", "%s: nobody asked", show->name);
	if (air->stops > 0)
		air->stops--;
	else
		air->may_stop = false;
	if (m->version > 0)
		named(show, m->version, m->id)->stopped = true;
	onair_detached(w, link);
	world_tally(w, TALLY_STOPPED);
}

/* `saved`, `aborted`: a version of this link's take, or a take of that name. */
static void sent_end(struct world *w, struct link *link, const struct message_in *m)
{
	struct air_link *air = link_air(link);
	struct show_truth *show = host_show(air->host);
	struct version_truth *v = NULL;
	for (uint32_t i = 0; i < AIR_VERSIONS; i++) {
		if (m->id[0] && strcmp(show->versions[i].take.id, m->id) == 0)
			v = &show->versions[i];
	}
	if (v && v->whose && air->take && v->whose != air->take)
		sim_fail(&w->sim, "one take, one version", "%s is ended for another host", v->take.session);
	if (v && m->said == SAID_SAVED) {
		v->stopped = true;
		if (v->whose)
			promise(w, v, m->bytes);
		if (v->take.aborted || v->take.deleted)
			sim_fail(&w->sim, "the end is the end", "%s is saved after its end", v->take.session);
	}
	if (v && m->said == SAID_ABORTED) {
		if (!v->take.aborting && v->promised > 0)
			sim_fail(&w->sim, "the end is the end", "%s is aborted, and nobody said so", v->take.session);
		v->take.aborted = true;
	}
	show->may_be_off = true;
	onair_detached(w, link);
}

void onair_sent(struct world *w, struct link *link, const struct message_in *m)
{
	struct air_link *air = link_air(link);
	if (!air->host)
		return;
	switch (m->said) {
	case SAID_STARTED:
		sent_started(w, link, m);
		break;
	case SAID_ACK:
		if (!*link_told(link) || !air->version ||
		    air_version(host_show(air->host), air->version)->take.in_error)
			sim_fail(&w->sim, "acks belong to a start", "%s", host_show(air->host)->name);
		promise(w, air_version(host_show(air->host), air->version), m->bytes);
		break;
	case SAID_MOVED: {
		if (!*link_told(link))
			sim_fail(&w->sim, "acks belong to a start", "%s: moved", host_show(air->host)->name);
		uint32_t before = air->version ? air->version : m->version - 1;
		const struct version_truth *v = works_on(w, link, m);
		if (m->version <= before || m->from > v->whose->delivered)
			sim_fail(&w->sim, "versions rise by one",
				 "%s: moved from %" PRIu32 " at %" PRIu64 " of %" PRIu64, v->take.session, before,
				 m->from, v->whose->delivered);
		world_tally(w, TALLY_MOVED);
		break;
	}
	case SAID_STOPPED:
		sent_stopped(w, link, m);
		break;
	case SAID_SAVED:
	case SAID_ABORTED:
		sent_end(w, link, m);
		break;
	case SAID_ERROR:
		air->starts = air->stops = 0;
		air->may_stop = false;
		onair_detached(w, link);
		break;
	default:
		break;
	}
}

void onair_gone(struct world *w)
{
	for (unsigned i = 0; i < SHOWS; i++) {
		struct show_truth *show = &w->onair->shows[i];
		if (w->sim.now_us >= grace_deadline(show))
			show->may_be_off = true;
		show->attached = 0;
		show->enders = 0;
		show->broadcast = NULL;
		show->feed_count = 0;
		listener_leave(show);
		for (uint32_t v = 0; v < AIR_VERSIONS; v++) { /* it was said at once, and no transaction knew it yet */
			struct take_truth *take = &show->versions[v].take;
			take->in_error = take->in_error && take->told_error;
		}
	}
}

/* --- what listeners are fed --- */

static struct broadcast *broadcast_of(struct world *w, const struct show_truth *show)
{
	struct broadcast *b = NULL;
	if (!w->engine || engine_listen(w->engine, show->name, grant_local(), &b) != ERR_OK)
		return NULL;
	return b;
}

/* Another broadcast than the one that was heard, if it is. */
static void follow_broadcast(struct show_truth *show, struct broadcast *b, uint64_t fed)
{
	if (show->broadcast == b && show->life == show->w->life && (fed > 0 || show->feed_count == 0))
		return;
	listener_leave(show);
	show->broadcast = b;
	show->life = show->w->life;
	show->feed_count = 0;
	for (unsigned i = 0; i < show->w->onair->take_count; i++) {
		if (show->w->onair->takes[i].show == show)
			show->w->onair->takes[i].retired = false;
	}
}

uint64_t onair_fed(struct world *w, struct link *link)
{
	const struct air_link *air = link_air(link);
	if (!air->host)
		return 0;
	struct show_truth *show = host_show(air->host);
	struct broadcast *b = broadcast_of(w, show);
	if (!b)
		return UINT64_MAX;
	follow_broadcast(show, b, broadcast_fed(b));
	broadcast_hold(b); /* it may end with this piece */
	return broadcast_fed(b);
}

static void feed_add(struct show_truth *show, struct air_take *take, uint64_t off, uint64_t len)
{
	struct sim *s = &show->w->sim;
	struct air_feed *last = show->feed_count > 0 ? &show->feeds[show->feed_count - 1] : NULL;
	uint64_t at = last ? last->at + last->len : 0;
	if (take->retired)
		sim_fail(s, "what listeners hear", "%s: %s's take is heard after another one", show->name,
			 take->principal);
	if (last && last->take == take && last->off + last->len != off)
		sim_fail(s, "what listeners hear", "%s: %" PRIu64 " follows %" PRIu64, show->name, off,
			 last->off + last->len);
	if (last && last->take == take) {
		last->len += len;
		return;
	}
	if (last)
		last->take->retired = true;
	assert(show->feed_count < AIR_FEEDS);
	show->feeds[show->feed_count++] = (struct air_feed){ take, at, off, len };
}

void onair_delivered(struct world *w, struct link *link, const struct air_piece *piece)
{
	const struct air_link *air = link_air(link);
	if (!air->host)
		return;
	struct show_truth *show = host_show(air->host);
	struct air_take *take = air->take;
	if (take && take->content == piece->content && piece->off + piece->len > take->delivered)
		take->delivered = piece->off + piece->len;
	if (piece->fed == UINT64_MAX)
		return;
	uint64_t more = broadcast_fed(show->broadcast) - piece->fed;
	bool ended = broadcast_of(w, show) != show->broadcast;
	broadcast_release(show->broadcast);
	if (more > piece->len || (more > 0 && (!take || take->content != piece->content)))
		sim_fail(&w->sim, "what listeners hear", "%s: %" PRIu64 " bytes of %" PRIu64, show->name, more,
			 piece->len);
	if (more > 0)
		feed_add(show, take, piece->off + piece->len - more, more);
	const struct air_feed *last = show->feed_count > 0 ? &show->feeds[show->feed_count - 1] : NULL;
	uint64_t heard = last && last->take == take ? last->off + last->len : 0;
	bool alone = *link_told(link) && (air->version == 0 || air->version == show->newest) && show->on_air &&
		     !air->ordinary && !ended && show->attached == 1 && !show->may_be_off && air->starts == 0;
	if (alone && piece->len > 0 && heard < piece->off + piece->len && !w->fatal && !disk_dead(w->disk) &&
	    !w->stopping)
		sim_fail(&w->sim, "what listeners hear", "%s is on air: %" PRIu64 " came, %" PRIu64 " were heard",
			 show->name, piece->off + piece->len, heard);
}

void onair_heard(struct show_truth *show, uint64_t pos, const uint8_t *data, size_t len)
{
	for (unsigned i = 0; i < show->feed_count && len > 0; i++) {
		const struct air_feed *f = &show->feeds[i];
		if (pos >= f->at + f->len)
			continue;
		uint64_t rest = f->at + f->len - pos;
		size_t n = rest < len ? (size_t)rest : len;
		size_t same = content_differs(f->take->content, f->off + (pos - f->at), data, n);
		if (pos < f->at || same < n)
			sim_fail(&show->w->sim, "what listeners hear", "%s: a wrong byte at %" PRIu64, show->name,
				 pos + same);
		pos += n;
		data += n;
		len -= n;
	}
	if (len > 0)
		sim_fail(&show->w->sim, "what listeners hear", "%s: %zu bytes more than were sent", show->name, len);
	world_tally(show->w, TALLY_HEARD);
}

/* --- what is said of a show --- */

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}

static void check_failed(struct world *w, struct show_truth *show, struct version_truth *v, const json_t *object)
{
	const char *recording = text_of(object, "recording");
	bool failed = strcmp(recording, "recording_failed") == 0;
	if (failed != json_is_object(json_object_get(object, "error")))
		sim_fail(&w->sim, "the status is the truth", "%s is %s, and its error says otherwise", show->name,
			 recording);
	if (!failed)
		return;
	if (!onair_frail(w))
		sim_fail(&w->sim, "the status is the truth", "%s failed without a fault", show->name);
	if (!v->take.in_error)
		world_tally(w, TALLY_VERSIONS_FAILED);
	v->take.in_error = true;
}

void onair_status(struct world *w, const json_t *object, uint32_t newest)
{
	struct sim *s = &w->sim;
	struct show_truth *show = show_named(w, text_of(object, "show"));
	const char *state = text_of(object, "state");
	uint32_t version = (uint32_t)json_integer_value(json_object_get(object, "version"));
	uint64_t left = (uint64_t)json_integer_value(json_object_get(object, "graceLeftMs"));
	bool off = strcmp(state, "off") == 0;
	if (!show)
		sim_fail(s, "wire", "a status of no show");
	sim_trace(s, "show", state, show->number, version);
	if (version < newest)
		sim_fail(s, "versions rise by one", "%s is at %" PRIu32 ", was at %" PRIu32, show->name, version,
			 newest);
	struct version_truth *v = version ? named(show, version, text_of(object, "id")) : NULL;
	bool recording = strcmp(text_of(object, "recording"), "recording") == 0;
	if (v)
		check_failed(w, show, v, object);
	if (recording && (!v || v->take.in_error || v->take.aborted || v->take.deleted))
		sim_fail(s, "the status is the truth", "%s is recording version %" PRIu32 ", which has ended",
			 show->name, version);
	if (left > w->plan.grace_ms || (left > 0 && strcmp(state, "waiting") != 0))
		sim_fail(s, "a full grace", "%s is %s with %" PRIu64 " ms left", show->name, state, left);
	if (off && show->on_air && !show->may_be_off && s->now_us < grace_deadline(show))
		sim_fail(s, "a full grace", "%s went off air too early", show->name);
	show->on_air = !off;
	if (off)
		show->may_be_off = false;
}

bool onair_recording(struct world *w, const json_t *object)
{
	const char *name = text_of(object, "show");
	uint32_t version = (uint32_t)json_integer_value(json_object_get(object, "version"));
	struct known known;
	if (!name[0])
		return false;
	struct show_truth *show = show_named(w, name);
	if (!show)
		sim_fail(&w->sim, "wire", "a recording of no show: %s", name);
	struct version_truth *v = named(show, version, text_of(object, "id"));
	const char *phase = text_of(object, "phase");
	if (strcmp(phase, "deleted") == 0) {
		if (!v->take.deleting)
			sim_fail(&w->sim, "the end is the end", "%s is deleted, and nobody said so", v->take.session);
		v->take.deleted = true;
		return true;
	}
	if (v->whose && strcmp(text_of(object, "principal"), "") != 0 &&
	    strcmp(text_of(object, "principal"), v->whose->principal) != 0)
		sim_fail(&w->sim, "one take, one version", "%s is %s's", v->take.session, text_of(object, "principal"));
	oracle_know(&v->take, &known);
	oracle_status(w, &v->take, &known, object);
	if (strcmp(phase, "error") == 0 && !oracle_work_error(object))
		v->take.told_error = true;
	return true;
}
