/* See show_rig.h. */
#include "support/show_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void show_rig_init(struct show_rig *r, bool takeover)
{
	memset(r, 0, sizeof *r);
	r->now = 1000;
	show_init(&r->s, "morning", GRACE_MS, takeover);
	show_effects_init(&r->fx);
	show_listen(&r->s, r->now);
}

int show_rig_setup(void **state)
{
	*state = malloc(sizeof(struct show_rig));
	show_rig_init(*state, false);
	return 0;
}

int show_rig_setup_takeover(void **state)
{
	*state = malloc(sizeof(struct show_rig));
	show_rig_init(*state, true);
	return 0;
}

int show_rig_teardown(void **state)
{
	struct show_rig *r = *state;
	show_release(&r->s);
	show_effects_release(&r->fx);
	free(r);
	return 0;
}

static void line(const struct show_effect *e, char *out, size_t size)
{
	static const char *const whys[] = { "none", "stop", "grace", "takeover", "failed", "elsewhere" };
	unsigned long long conn = e->conn;
	switch (e->type) {
	case SHOW_EFFECT_BEGIN:
		snprintf(out, size, "begin v%u%s%s", e->version, e->named ? " named" : "", e->again ? " again" : "");
		break;
	case SHOW_EFFECT_FINALISE:
		snprintf(out, size, "finalise v%u %s%s%s", e->version, whys[e->why], e->err ? " " : "",
			 e->err ? err_code(e->err) : "");
		break;
	case SHOW_EFFECT_MARK_OFF:
		snprintf(out, size, "mark off");
		break;
	case SHOW_EFFECT_STATUS:
		snprintf(out, size, "status");
		break;
	case SHOW_EFFECT_RELEASE:
		snprintf(out, size, "release c%llu %s", conn, err_code(e->err));
		break;
	case SHOW_EFFECT_MOVE:
		snprintf(out, size, "move c%llu v%u", conn, e->version);
		break;
	case SHOW_EFFECT_HOSTED:
		snprintf(out, size, "hosted c%llu v%u%s%s", conn, e->version, e->recording ? "" : " without ",
			 e->recording ? "" : err_code(e->err));
		break;
	case SHOW_EFFECT_ORDINARY:
		snprintf(out, size, "ordinary c%llu v%u", conn, e->version);
		break;
	case SHOW_EFFECT_REFUSED:
		snprintf(out, size, "refused c%llu %s", conn, err_code(e->err));
		break;
	case SHOW_EFFECT_STOPPED:
		snprintf(out, size, "stopped c%llu v%u", conn, e->version);
		break;
	}
}

void show_rig_expect_at(struct show_rig *r, const char *expected, int at)
{
	const struct show_effect *e;
	r->text[0] = 0;
	while ((e = show_effects_drain(&r->fx))) {
		size_t used = strlen(r->text);
		if (used)
			used += (size_t)snprintf(r->text + used, sizeof r->text - used, ", ");
		line(e, r->text + used, sizeof r->text - used);
		if (e->version && e->type != SHOW_EFFECT_ORDINARY && (e->type != SHOW_EFFECT_BEGIN || e->again))
			assert_int_equal(e->id.bytes[0], e->version);
	}
	if (strcmp(r->text, expected) != 0)
		fail_msg("line %d: \"%s\", expected \"%s\"", at, r->text, expected);
}

void show_rig_start_version(struct show_rig *r, uint64_t conn, const char *who, const char *session, uint32_t version)
{
	struct show_start start = { .conn = conn, .principal = who, .session = session, .version = version };
	show_host(&r->s, &start, r->now, &r->fx);
}

void show_rig_start(struct show_rig *r, uint64_t conn, const char *who, const char *session)
{
	show_rig_start_version(r, conn, who, session, 0);
}

void show_rig_begun(struct show_rig *r)
{
	struct uuid id = { .bytes = { (uint8_t)show_beginning(&r->s) } };
	show_begun(&r->s, &id, r->now, &r->fx);
}

void show_rig_failed(struct show_rig *r, enum err err)
{
	show_recording_failed(&r->s, r->s.version, err, r->now, &r->fx);
}

void show_rig_finalised(struct show_rig *r, uint32_t version)
{
	show_finalised(&r->s, version, r->now, &r->fx);
}

void show_rig_pass(struct show_rig *r, uint64_t ms)
{
	r->now += ms;
	show_tick(&r->s, r->now, &r->fx);
}

void show_rig_stop(struct show_rig *r, uint64_t conn)
{
	show_stop(&r->s, conn, &r->fx);
}

void show_rig_detach(struct show_rig *r, uint64_t conn)
{
	show_detached(&r->s, conn, r->now, &r->fx);
}

void show_rig_space_back(struct show_rig *r)
{
	show_space_back(&r->s, r->now, &r->fx);
}

void show_rig_forget(struct show_rig *r)
{
	while (show_effects_drain(&r->fx))
		;
}

/* Ann is on air with take A, on connection 1, version 1. */
void show_rig_on_air(struct show_rig *r)
{
	show_rig_start(r, 1, "ann", "A");
	show_rig_begun(r);
	assert_int_equal(r->s.state, SHOW_LIVE);
	show_rig_forget(r);
}
