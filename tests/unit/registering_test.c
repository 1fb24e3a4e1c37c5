/* Recordings by their URL, and the events that all changes of phase write, through the engine's face. */
#include "engine/engine.h"
#include "sim/disk.h"
#include "support/engine_rig.h"
#include "work/fetcher.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A fetcher that only judges: what is on "evil" is refused. */
static enum err judge(struct fetcher *f, const char *url, const char **why)
{
	(void)f;
	*why = "That is no public address.";
	return strstr(url, "evil") ? ERR_URL_REFUSED : ERR_OK;
}

static void start(struct fetcher *f, const struct fetch *fetch)
{
	(void)f;
	(void)fetch;
}

static void pause_fetch(struct fetcher *f, uint64_t id, bool paused)
{
	(void)f;
	(void)id;
	(void)paused;
}

static void cancel(struct fetcher *f, uint64_t id)
{
	(void)f;
	(void)id;
}

static const struct fetcher_ops fetcher_ops = { judge, start, pause_fetch, cancel };
static struct fetcher the_fetcher = { .ops = &fetcher_ops };
static struct disk *the_disk;

static int setup(void **state)
{
	if (disk_new(7, &the_disk) != ERR_OK)
		return -1;
	struct engine_rig *g = engine_rig_new(disk_vfs(the_disk));
	g->fetcher = &the_fetcher;
	*state = g;
	return engine_rig_open(g) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
	engine_rig_free(*state);
	disk_free(the_disk);
	return 0;
}

/* --- registering --- */

struct answer {
	enum err err;
	bool created;
	json_t *body;
	unsigned count;
	char id[UUID_TEXT];
};

static void registered(void *arg, enum err err, bool created, const char *json, size_t len)
{
	struct answer *a = arg;
	a->err = err;
	a->created = created;
	a->body = json ? json_loadb(json, len, 0, NULL) : NULL;
	const char *id = json_string_value(json_object_get(a->body, "id"));
	snprintf(a->id, sizeof a->id, "%s", id ? id : "");
	a->count++;
}

static struct answer add_as(struct engine_rig *g, const struct engine_source *source)
{
	struct answer a = { 0 };
	engine_register(g->e, source, registered, &a);
	engine_rig_turn(g);
	assert_int_equal(a.count, 1);
	assert_non_null(a.body);
	return a;
}

/* Registers; what came of it. The body is given back. */
static struct answer add(struct engine_rig *g, const char *url, const char *ref, const struct grant *grant)
{
	struct answer a =
		add_as(g, &(struct engine_source){ .grant = grant, .url = url, .ref = ref, .on_demand = true });
	json_decref(a.body);
	return a;
}

static const struct grant anna = { .subject = "anna", .scopes = SCOPE_RECORD, .expires_ms = INT64_MAX };
static const struct grant importer = { .subject = "desk", .scopes = SCOPE_IMPORT, .expires_ms = INT64_MAX };

static void a_recording_by_its_url(void **state)
{
	struct engine_rig *g = *state;
	struct answer a = add_as(g, &(struct engine_source){ .grant = grant_local(),
							     .url = "https://provider.example/1",
							     .ref = "call-1",
							     .name = "Ms Rossi",
							     .mime = "audio/wav",
							     .ext = "wav",
							     .on_demand = true });
	assert_int_equal(a.err, ERR_OK);
	assert_true(a.created);
	assert_string_equal(json_string_value(json_object_get(a.body, "ref")), "call-1");
	assert_string_equal(json_string_value(json_object_get(a.body, "name")), "Ms Rossi");
	assert_string_equal(json_string_value(json_object_get(a.body, "mime")), "audio/wav");
	assert_string_equal(json_string_value(json_object_get(a.body, "phase")), "uploading");
	assert_true(json_is_null(json_object_get(a.body, "sessionId")));
	json_decref(a.body);
	engine_rig_close(g); /* what was answered is durable */
	assert_int_equal(engine_rig_open(g), ERR_OK);
	char *json = engine_rig_get(g, "ref:call-1");
	assert_non_null(strstr(json, a.id));
	free(json);
}

static void by_its_ref_it_is_the_same(void **state)
{
	struct engine_rig *g = *state;
	struct answer first = add(g, "https://provider.example/1", "call-1", grant_local());
	struct answer again = add(g, "https://provider.example/1", "call-1", grant_local());
	struct answer other = add(g, "https://provider.example/2", "call-1", grant_local());
	assert_int_equal(first.err, ERR_OK);
	assert_int_equal(again.err, ERR_OK);
	assert_false(again.created);
	assert_string_equal(first.id, again.id);
	assert_int_equal(other.err, ERR_EXISTS);
	assert_string_equal(other.id, first.id);
	/* who may not see it hears only that the name is taken */
	struct answer foreign = add(g, "https://provider.example/1", "call-1", &anna);
	assert_int_equal(foreign.err, ERR_EXISTS);
	assert_string_equal(foreign.id, "");
	/* two at the same time */
	struct answer a = { 0 }, b = { 0 };
	struct engine_source source = {
		.grant = &anna, .url = "https://provider.example/3", .ref = "call-3", .on_demand = true
	};
	engine_register(g->e, &source, registered, &a);
	engine_register(g->e, &source, registered, &b);
	engine_rig_turn(g);
	assert_true(a.created && !b.created);
	assert_string_equal(a.id, b.id);
	json_decref(a.body);
	json_decref(b.body);
	/* without one, each is another */
	struct answer one = add(g, "https://provider.example/1", NULL, grant_local());
	struct answer two = add(g, "https://provider.example/1", NULL, grant_local());
	assert_true(one.created && two.created);
	assert_string_not_equal(one.id, two.id);
}

static void who_may_register(void **state)
{
	struct engine_rig *g = *state;
	struct grant play = anna, bound = anna;
	play.scopes = SCOPE_PLAY | SCOPE_LISTEN;
	bound.has_resource = true;
	assert_int_equal(add(g, "https://provider.example/1", "1", &play).err, ERR_FORBIDDEN_SCOPE);
	assert_int_equal(add(g, "https://provider.example/1", "1", &bound).err, ERR_FORBIDDEN_SCOPE);
	struct answer a = add(g, "https://provider.example/1", "1", &anna);
	struct answer b = add(g, "https://provider.example/2", "2", &importer);
	assert_true(a.created && b.created);
	assert_true(!add(g, "https://provider.example/2", "2", &importer).err);
	char *json = engine_rig_get(g, "ref:2");
	assert_non_null(strstr(json, "\"owner\":\"desk\""));
	free(json);
}

static void what_is_refused(void **state)
{
	struct engine_rig *g = *state;
	struct answer a =
		add_as(g, &(struct engine_source){ .grant = grant_local(), .url = "https://evil/1", .ref = "1" });
	assert_int_equal(a.err, ERR_URL_REFUSED);
	assert_string_equal(json_string_value(json_object_get(a.body, "code")), "url_refused");
	assert_string_equal(json_string_value(json_object_get(a.body, "detail")), "That is no public address.");
	json_decref(a.body);
	char *json = engine_rig_get(g, "ref:1");
	assert_string_equal(json, "not_found");
	free(json);
	engine_rig_close(g);
	g->fetcher = NULL;
	assert_int_equal(engine_rig_open(g), ERR_OK);
	assert_int_equal(add(g, "https://provider.example/1", "1", grant_local()).err, ERR_NOT_SUPPORTED);
}

/* --- what is asked of it --- */

static void asked(void *arg, const struct serving *serving, const struct engine_original *file, const char *body,
		  size_t len)
{
	(void)file;
	(void)body;
	(void)len;
	*(struct serving *)arg = *serving;
}

static void the_first_question_fetches(void **state)
{
	struct engine_rig *g = *state;
	struct serving s;
	add(g, "https://provider.example/1", "call-1", grant_local());
	struct engine_ref ref = { "ref:call-1", grant_local() };
	engine_download(g->e, ref, RESOURCE_WAVEFORM, NULL, asked, &s);
	engine_rig_turn(g);
	assert_int_equal(s.status, 202);
	assert_false(s.fetch);
	engine_download(g->e, ref, RESOURCE_ORIGINAL, NULL, asked, &s);
	engine_rig_turn(g);
	assert_int_equal(s.status, 202);
	assert_true(s.fetch);
}

/* --- events --- */

struct page {
	enum err err;
	size_t count;
	int64_t first, last;
	struct {
		int64_t seq;
		char type[LIMIT_EVENT_TYPE_CHARS + 1];
		enum phase phase;
	} events[LIMIT_EVENTS_PAGE];
	unsigned answers;
};

static void events_came(void *arg, enum err err, const struct engine_event *events, size_t count, int64_t first,
			int64_t last)
{
	struct page *p = arg;
	p->err = err;
	p->count = count;
	p->first = first;
	p->last = last;
	for (size_t i = 0; i < count; i++) {
		p->events[i].seq = events[i].seq;
		p->events[i].phase = events[i].phase;
		snprintf(p->events[i].type, sizeof p->events[i].type, "%s", events[i].type);
	}
	p->answers++;
}

static struct page *events_as(struct engine_rig *g, int64_t after, const struct grant *grant)
{
	static struct page p;
	p = (struct page){ 0 };
	engine_events(g->e, grant, after, events_came, &p);
	engine_rig_turn(g);
	assert_int_equal(p.answers, 1);
	return &p;
}

static void abort_take(struct engine_rig *g, const char *session)
{
	char text[128];
	snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"%s\"}", session);
	uint64_t conn = engine_rig_say(g, 0, text);
	engine_rig_say(g, conn, "{\"type\":\"abort\"}");
	engine_conn_closed(g->e, conn, g->now);
}

static void wake(void *arg)
{
	++*(unsigned *)arg;
}

static void events_in_pages_and_wakes(void **state)
{
	struct engine_rig *g = *state;
	unsigned wakes = 0;
	struct engine_watch watch = { .wake = wake, .arg = &wakes };
	engine_events_watch(g->e, &watch);
	assert_int_equal(events_as(g, 0, grant_local())->count, 0);
	assert_int_equal(wakes, 0);
	uint64_t conn = engine_rig_say(g, 0, "{\"type\":\"start\",\"sessionId\":\"a\"}");
	assert_int_equal(wakes, 0); /* no change of phase */
	engine_rig_media(g, conn, 0, 100);
	engine_rig_turn(g);
	engine_rig_say(g, conn, "{\"type\":\"end\",\"totalBytes\":100}");
	assert_int_equal(wakes, 1);
	struct page *p = events_as(g, 0, grant_local());
	assert_int_equal(p->count, 1);
	assert_int_equal(p->events[0].phase, PHASE_QUEUED);
	assert_string_equal(p->events[0].type, "recording.phase");
	int64_t first = p->events[0].seq;
	assert_int_equal(p->last, first);
	assert_int_equal(events_as(g, first, grant_local())->count, 0);
	for (unsigned i = 0; i < 150; i++) {
		char session[16];
		snprintf(session, sizeof session, "s%u", i);
		abort_take(g, session);
	}
	assert_int_equal(wakes, 151);
	int64_t after = first;
	unsigned total = 0;
	while ((p = events_as(g, after, grant_local()))->count > 0) {
		for (size_t i = 0; i < p->count; i++) {
			assert_true(p->events[i].seq > after);
			after = p->events[i].seq;
		}
		total += (unsigned)p->count;
	}
	assert_int_equal(total, 150);
	assert_int_equal(wakes, 151); /* questions wake nobody */
	engine_events_unwatch(&watch);
	abort_take(g, "last");
	assert_int_equal(wakes, 151);
}

static void events_of_whom(void **state)
{
	struct engine_rig *g = *state;
	struct grant all = anna, none = anna;
	all.scopes = SCOPE_PLAY;
	none.scopes = SCOPE_LISTEN;
	abort_take(g, "a");
	uint64_t conn = engine_conn_open(g->e, &anna, g->now);
	engine_rig_say(g, conn, "{\"type\":\"start\",\"sessionId\":\"b\"}");
	engine_rig_say(g, conn, "{\"type\":\"abort\"}");
	assert_int_equal(events_as(g, 0, grant_local())->count, 2);
	assert_int_equal(events_as(g, 0, &all)->count, 2);
	assert_int_equal(events_as(g, 0, &anna)->count, 1);
	assert_int_equal(events_as(g, 0, &none)->err, ERR_FORBIDDEN_SCOPE);
	char *json = engine_rig_get(g, "session:a");
	json_t *object = json_loads(json, 0, NULL);
	struct grant one = all;
	one.has_resource = true;
	assert_true(uuid_parse(json_string_value(json_object_get(object, "id")), &one.resource));
	assert_int_equal(events_as(g, 0, &one)->count, 1);
	json_decref(object);
	free(json);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_recording_by_its_url), TEST(by_its_ref_it_is_the_same),	TEST(who_may_register),
		TEST(what_is_refused),	      TEST(the_first_question_fetches), TEST(events_in_pages_and_wakes),
		TEST(events_of_whom),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
