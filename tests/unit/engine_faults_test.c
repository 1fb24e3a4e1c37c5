/* One life of the engine, with every call of its disk failing in turn: it may refuse, detach, stop and be started
 * again, but each byte that it acked is there after a power cut, and no sync that failed is asked for again.
 *
 * Some calls are skipped, so that this ends soon; HOLDFAST_FAULTS=all fails each of them, HOLDFAST_FAULTS=write:17 the
 * 17th write only. */
#include "support/engine_life.h"
#include "support/share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void stopped(void *arg)
{
	*(bool *)arg = true;
}

/* The fixed story. Two takes: one is ended, one is left to its grace and resumed late. */
static void live(struct life *l)
{
	struct client *a = &l->clients[0], *b = &l->clients[1];
	bool done = false;
	client_reach(l, a, 50000, 7000);
	client_reach(l, b, 30000, 30000);
	client_reach(l, a, 50000 + 1400000, 60000); /* more than one record holds: straight to its spool */
	life_pass(l, 62);			    /* a checkpoint */
	client_reach(l, a, 1480000, 20000);
	client_end(l, a);
	client_leave(l, b);
	life_pass(l, 33); /* its grace */
	life_crash(l, false, DISK_LOSS_NONE);
	client_reach(l, b, 45000, 5000);
	client_end(l, b);
	if (!a->lost) {
		a->saved = false;
		client_end(l, a); /* it asks again */
	}
	if (!life_is_up(l))
		return;
	engine_stop(l->g->e, l->g->now, stopped, &done);
	life_pass(l, 12);
	if (!done && l->lives == 1)
		life_broken(l, "a stop that does not end", "");
}

/* --- every call in turn --- */

struct series {
	const char *label;
	enum disk_call call; /* DISK_CALLS: `kind` of the fault layer */
	enum fault_kind kind;
	enum err err;
	unsigned times; /* how many calls in a row */
	unsigned stride;
};

static void arm(struct life *l, const struct series *s)
{
	struct disk_fault fault = { .call = s->call, .after = l->nth - 1, .times = s->times, .err = s->err };
	if (s->call == DISK_CALLS)
		vfs_fault_fail(l->g->vfs, s->kind, l->nth, s->err, false);
	else
		disk_fail(l->disk, &fault);
}

/* A life in which the nth call fails. False when nothing was left to fail. */
static bool one_life(const struct series *s, unsigned nth, unsigned *bad)
{
	struct life l;
	life_begin(&l, s->label, nth);
	arm(&l, s);
	live(&l);
	bool failed = disk_failures(l.disk) > 0 || vfs_fault_failed(l.g->vfs) > 0;
	if (!failed && (!l.clients[0].was_saved || !l.clients[1].was_saved))
		life_broken(&l, "nothing failed, and not all was saved", "");
	vfs_fault_fail(l.g->vfs, s->kind, 0, ERR_OK, false);
	life_end(&l, (enum disk_loss)(nth % DISK_LOSSES));
	*bad += l.broken;
	return failed;
}

static const struct series all[] = {
	{ "open", DISK_OPEN, 0, ERR_READ_FAILED, 1, 1 },
	{ "read", DISK_READ, 0, ERR_READ_FAILED, 1, 2 },
	{ "write", DISK_WRITE, 0, ERR_WRITE_FAILED, 1, 3 },
	{ "write-full", DISK_WRITE, 0, ERR_STORAGE_FULL, 1, 4 },
	{ "sync", DISK_SYNC, 0, ERR_SYNC_FAILED, 1, 1 },
	{ "sync-dir", DISK_SYNC_DIR, 0, ERR_SYNC_FAILED, 1, 1 },
	{ "truncate", DISK_TRUNCATE, 0, ERR_WRITE_FAILED, 1, 1 },
	{ "reserve", DISK_RESERVE, 0, ERR_WRITE_FAILED, 1, 1 },
	{ "reserve-full", DISK_RESERVE, 0, ERR_STORAGE_FULL, 1, 1 },
	{ "name", DISK_NAME, 0, ERR_WRITE_FAILED, 1, 1 },
	{ "list", DISK_LIST, 0, ERR_READ_FAILED, 1, 1 },
	{ "size", DISK_CALLS, FAULT_SIZE, ERR_READ_FAILED, 1, 1 },
	{ "space", DISK_CALLS, FAULT_SPACE, ERR_READ_FAILED, 1, 11 },
	{ "write-long", DISK_WRITE, 0, ERR_WRITE_FAILED, 30, 7 },
	{ "write-full-long", DISK_WRITE, 0, ERR_STORAGE_FULL, 30, 7 },
	{ "reserve-full-long", DISK_RESERVE, 0, ERR_STORAGE_FULL, 30, 3 },
	{ "name-long", DISK_NAME, 0, ERR_WRITE_FAILED, 30, 3 },
	{ "open-long", DISK_OPEN, 0, ERR_READ_FAILED, 30, 5 },
};

static void no_failing_call_costs_an_acked_byte(void **state)
{
	const char *wanted = getenv("HOLDFAST_FAULTS");
	bool every = wanted && strcmp(wanted, "all") == 0;
	unsigned bad = 0;
	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		const struct series *s = &all[i];
		size_t len = strlen(s->label);
		unsigned only = wanted && !every ? (unsigned)strtoul(wanted + strcspn(wanted, ":") + 1, NULL, 10) : 0;
		if (only && (strncmp(wanted, s->label, len) != 0 || wanted[len] != ':'))
			continue;
		unsigned nth = only ? only : 1;
		while (one_life(s, nth, &bad) && !only)
			nth += every ? 1 : s->stride * share();
		print_message("%s: %u calls\n", s->label, nth - 1);
	}
	assert_int_equal(bad, 0);
}

/* --- faults that stay for a while --- */

static void fail_at(struct life *l, enum disk_call call, const char *prefix, unsigned times, enum err err)
{
	struct disk_fault fault = { .call = call, .prefix = prefix, .times = times, .err = err };
	disk_fail(l->disk, &fault);
}

static void say_end(struct life *l, const struct client *c)
{
	char text[64];
	snprintf(text, sizeof text, "{\"type\":\"end\",\"totalBytes\":%zu}", c->position);
	engine_rig_say(l->g, c->conn, text);
}

/* The spool of `a` fails, and so does the copy of its bytes: the journal must keep them. Others go on as long as it has
 * room, without a storm of checkpoints that can free nothing, and go on again when the copy was possible. */
static void what_failed_is_rescued_when_there_is_space(void **state)
{
	struct life l;
	struct client *a = &l.clients[0], *b = &l.clients[1];
	struct engine_status status;
	(void)state;
	life_begin(&l, "rescue", 1);
	client_reach(&l, a, 60000, 60000);
	client_reach(&l, b, 10000, 60000);
	fail_at(&l, DISK_WRITE, "spool/", 1, ERR_STORAGE_FULL);
	fail_at(&l, DISK_WRITE, "quarantine/", 0, ERR_STORAGE_FULL);
	say_end(&l, a);
	assert_true(a->lost);
	assert_string_equal(a->code, "poisoned");
	for (int i = 0; i < 60; i++) { /* three journals full */
		engine_rig_media(l.g, b->conn, b->position, 60000);
		b->position += 60000;
		life_pass(&l, 1);
	}
	engine_status(l.g->e, &status);
	assert_true(status.paused && b->promised < b->position && !l.g->fatal);
	assert_true(status.checkpoints < 20);
	disk_heal(l.disk);
	life_pass(&l, 10);
	engine_status(l.g->e, &status);
	assert_false(status.paused);
	assert_int_equal(b->promised, b->position); /* nothing of what waited was dropped */
	client_end(&l, b);
	life_pass(&l, 120);
	life_end(&l, DISK_LOSS_ALL);
	assert_false(l.broken);
}

/* Where not even a sync of what was acked can be had, only recovery helps: the process says so once it must. */
static void what_can_not_be_rescued_is_left_to_recovery(void **state)
{
	struct life l;
	struct client *a = &l.clients[0], *b = &l.clients[1];
	(void)state;
	life_begin(&l, "recovery", 1);
	client_reach(&l, a, 60000, 60000);
	client_reach(&l, b, 10000, 60000);
	fail_at(&l, DISK_TRUNCATE, "spool/", 1, ERR_WRITE_FAILED);
	fail_at(&l, DISK_SYNC, "spool/", 1, ERR_SYNC_FAILED);
	say_end(&l, a);
	assert_true(a->lost && !l.g->fatal);
	assert_int_equal(disk_failures(l.disk), 2); /* its spool was to be synced, once */
	client_reach(&l, b, 4000000, 60000);
	assert_int_equal(l.lives, 2); /* it stopped, was started, and the clients went on */
	client_end(&l, b);
	life_end(&l, DISK_LOSS_ALL);
	assert_false(l.broken);
}

static void a_checkpoint_that_fails_is_not_tried_in_circles(void **state)
{
	struct life l;
	struct engine_status status;
	(void)state;
	life_begin(&l, "checkpoint", 1);
	client_reach(&l, &l.clients[0], 60000, 60000);
	fail_at(&l, DISK_NAME, "spool/", 0, ERR_WRITE_FAILED);
	life_pass(&l, 61);
	uint64_t before = disk_failures(l.disk);
	life_pass(&l, 30);
	assert_in_range(disk_failures(l.disk) - before, 10, 100);
	disk_heal(l.disk);
	life_pass(&l, 5);
	engine_status(l.g->e, &status);
	assert_int_equal(status.checkpoints, 1);
	client_end(&l, &l.clients[0]);
	life_end(&l, DISK_LOSS_ALL);
	assert_false(l.broken);
}

static void completed(void *arg, enum err err, const char *json, size_t len)
{
	assert_int_equal(err, ERR_OK);
	assert_non_null(strstr(json, "started"));
	*(bool *)arg = len > 0;
}

/* A transaction that waited for space must not undo what a later one wrote. */
static void transactions_of_a_take_keep_their_order(void **state)
{
	static const char *const starts[] = { "{\"type\":\"start\",\"sessionId\":\"a\",\"track\":\"main\"}",
					      "{\"type\":\"start\",\"sessionId\":\"a\",\"track\":\"audio\"}" };
	struct life l;
	uint64_t conns[2];
	bool done = false;
	(void)state;
	life_begin(&l, "order", 1);
	assert_true(life_is_up(&l));
	for (int i = 0; i < 2; i++) {
		conns[i] = engine_rig_say(l.g, 0, starts[i]);
		engine_rig_media(l.g, conns[i], 0, 1000);
		engine_rig_turn(l.g);
	}
	fail_at(&l, DISK_WRITE, "catalog", 2, ERR_STORAGE_FULL);
	engine_rig_say(l.g, conns[0], "{\"type\":\"end\",\"totalBytes\":1000}");
	assert_int_equal(disk_failures(l.disk), 2); /* with others, and alone */
	engine_rig_media(l.g, conns[1], 1000, 1000);
	engine_complete(l.g->e, (struct engine_ref){ "session:a", grant_local() }, NULL, 0, completed, &done);
	engine_rig_turn(l.g);
	life_pass(&l, 70); /* it is tried again, and the take leaves memory */
	assert_true(done);
	char *json = engine_rig_get(l.g, "session:a");
	assert_non_null(strstr(json, "\"bytes\":3000"));
	assert_null(strstr(json, "\"sealed\":false"));
	free(json);
	life_end(&l, DISK_LOSS_ALL);
	assert_false(l.broken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_failing_call_costs_an_acked_byte),
		cmocka_unit_test(what_failed_is_rescued_when_there_is_space),
		cmocka_unit_test(what_can_not_be_rescued_is_left_to_recovery),
		cmocka_unit_test(a_checkpoint_that_fails_is_not_tried_in_circles),
		cmocka_unit_test(transactions_of_a_take_keep_their_order),
	};
	const char *only = getenv("ONLY");
	if (only)
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
