/* Slices through the engine's face: acked behind their transaction, many on their way, and a rate for what is new. */
#include "base/limits.h"
#include "engine/engine.h"
#include "sim/disk.h"
#include "support/engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct disk *the_disk;
static uint32_t the_rate, the_burst;

/* The token is the subject; each has the test's rate. */
static enum err grant_of(void *arg, const char *token, struct grant *out)
{
	(void)arg;
	*out = (struct grant){ .scopes = SCOPE_IMPORT | SCOPE_RECORD,
			       .max_bytes = UINT64_MAX,
			       .expires_ms = INT64_MAX,
			       .rate_per_s = the_rate,
			       .rate_burst = the_burst };
	snprintf(out->subject, sizeof out->subject, "%s", token);
	return ERR_OK;
}

static int setup(void **state)
{
	if (disk_new(7, &the_disk) != ERR_OK)
		return -1;
	struct engine_rig *g = engine_rig_new(disk_vfs(the_disk));
	g->grant = grant_of;
	the_rate = the_burst = 0;
	*state = g;
	return engine_rig_open(g) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
	engine_rig_free(*state);
	disk_free(the_disk);
	return 0;
}

static void made(void *arg, enum err err, bool created, const char *json, size_t len)
{
	(void)json;
	(void)len;
	assert_int_equal(err, ERR_OK);
	*(bool *)arg = created;
}

static void create(struct engine_rig *g, const char *subject)
{
	struct grant grant;
	bool created = false;
	grant_of(NULL, subject, &grant);
	engine_batch_create(g->e, &(struct engine_batch_new){ &grant, "b", NULL, BYTES_UNKNOWN }, made, &created);
	engine_rig_turn(g);
	assert_true(created);
}

/* `count` items from `from` on, without a turn behind it. */
static void slice(struct engine_rig *g, uint64_t conn, const char *subject, unsigned from, unsigned count)
{
	char text[8192];
	int len = snprintf(text, sizeof text,
			   "{\"type\":\"slice\",\"token\":\"%s\",\"batchId\":\"b\",\"sliceId\":\"%u\",\"items\":[",
			   subject, from);
	for (unsigned i = from; i < from + count; i++)
		len += snprintf(text + len, sizeof text - (size_t)len, "%s{\"key\":\"%u\"}", i > from ? "," : "", i);
	len += snprintf(text + len, sizeof text - (size_t)len, "]}");
	engine_conn_text(g->e, conn, text, (size_t)len, g->now);
}

static unsigned heard(const struct engine_rig *g, const char *word)
{
	unsigned count = 0;
	for (unsigned i = 0; i < g->sent_count && i < RIG_SENT; i++)
		count += g->sent[i] && strstr(g->sent[i], word) != NULL;
	return count;
}

static unsigned takes_of(const struct engine_rig *g)
{
	struct engine_status status;
	engine_status(g->e, &status);
	return status.takes;
}

/* Before the commit nothing leaves; behind it nothing is in memory. */
static void an_ack_is_durable(void **state)
{
	struct engine_rig *g = *state;
	create(g, "ann");
	uint64_t conn = engine_conn_open(g->e, grant_local(), g->now);
	slice(g, conn, "ann", 0, 50);
	slice(g, conn, "ann", 50, 50);
	assert_int_equal(heard(g, "slice_ack"), 0);
	engine_rig_turn(g);
	assert_int_equal(heard(g, "slice_ack"), 2);
	assert_int_equal(takes_of(g), 0);
	engine_rig_close(g);
	disk_power_cut(the_disk, DISK_LOSS_ALL);
	assert_int_equal(engine_rig_open(g), ERR_OK);
	assert_int_equal(takes_of(g), 0);
	engine_rig_forget(g);
	conn = engine_conn_open(g->e, grant_local(), g->now);
	slice(g, conn, "ann", 0, 50);
	engine_rig_turn(g);
	assert_int_equal(heard(g, "\"isNew\":false"), 1);
	assert_int_equal(heard(g, "\"isNew\":true"), 0);
}

/* One that reads nothing is not read from; nothing of it is dropped. */
static void too_many_wait(void **state)
{
	struct engine_rig *g = *state;
	create(g, "ann");
	g->room = 0;
	uint64_t conn = engine_conn_open(g->e, grant_local(), g->now);
	unsigned before = g->paused;
	for (unsigned i = 0; i < LIMIT_SLICES_WAITING + 5; i++)
		slice(g, conn, "ann", i, 1);
	engine_rig_turn(g);
	assert_int_equal(heard(g, "slice_ack"), 0);
	assert_true(g->paused > before);
	g->room = UINT32_MAX;
	engine_conn_drained(g->e, conn, g->now);
	engine_rig_turn(g);
	engine_rig_forget(g);
	slice(g, conn, "ann", LIMIT_SLICES_WAITING + 4, 1); /* what was held was taken */
	engine_rig_turn(g);
	assert_int_equal(heard(g, "\"isNew\":false"), 1);
}

static void a_rate_is_for_what_is_new(void **state)
{
	struct engine_rig *g = *state;
	create(g, "ann");
	create(g, "bob");
	the_rate = 10;
	the_burst = 5; /* raised to a slice */
	uint64_t conn = engine_conn_open(g->e, grant_local(), g->now);
	/* the first makes 60, the same again none, the third would need 60 of 40 */
	slice(g, conn, "ann", 0, 60);
	slice(g, conn, "ann", 0, 60);
	slice(g, conn, "ann", 60, 60);
	slice(g, conn, "ann", 60, 40);
	slice(g, conn, "bob", 0, 100);
	engine_rig_turn(g);
	assert_int_equal(heard(g, "slice_ack"), 4);
	assert_int_equal(heard(g, "rate_limited"), 1);
	assert_int_equal(heard(g, "\"retryAfterMs\":2000"), 1);
	engine_rig_forget(g);
	slice(g, conn, "ann", 0, 100); /* with an empty bucket */
	slice(g, conn, "ann", 100, 1);
	engine_rig_turn(g);
	assert_int_equal(heard(g, "slice_ack"), 1);
	assert_int_equal(heard(g, "\"retryAfterMs\":100,") + heard(g, "\"retryAfterMs\":100}"), 1);
	engine_rig_pass(g, 1000);
	engine_rig_forget(g);
	slice(g, conn, "ann", 100, 10);
	engine_rig_turn(g);
	assert_int_equal(heard(g, "slice_ack"), 1);
}

static void a_start_counts_where_it_makes_a_take(void **state)
{
	struct engine_rig *g = *state;
	the_rate = 1;
	create(g, "ann");
	static const char mine[] = "{\"type\":\"start\",\"sessionId\":\"a\",\"token\":\"ann\"}";
	uint64_t conn = engine_rig_say(g, 0, mine);
	assert_int_equal(heard(g, "\"started\""), 1);
	slice(g, conn, "ann", 0, 99);
	engine_rig_turn(g);
	assert_int_equal(heard(g, "slice_ack"), 1);
	engine_rig_forget(g);
	engine_rig_say(g, 0, "{\"type\":\"start\",\"sessionId\":\"b\",\"token\":\"ann\"}");
	assert_int_equal(heard(g, "rate_limited"), 1);
	engine_rig_forget(g);
	engine_rig_say(g, 0, mine); /* one that is there goes on */
	assert_int_equal(heard(g, "\"started\""), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_ack_is_durable, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(a_rate_is_for_what_is_new, setup, teardown),
		cmocka_unit_test_setup_teardown(a_start_counts_where_it_makes_a_take, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
