/* A show machine for tests: names that read as what happens, and its effects as text. */
#ifndef HOLDFAST_TESTS_SUPPORT_SHOW_RIG_H
#define HOLDFAST_TESTS_SUPPORT_SHOW_RIG_H

#include "core/show.h"

enum { GRACE_MS = 30000 };

/* A show, and what it has decided since the last look. The id of version n is n in its first byte. */
struct show_rig {
	struct show s;
	struct show_effects fx;
	uint64_t now;
	char text[2000];
};

/* cmocka's; with setup_takeover another principal may take over. */
int show_rig_setup(void **state);
int show_rig_setup_takeover(void **state);
int show_rig_teardown(void **state);
/* The effects since the last look are these, in this order. */
void show_rig_expect_at(struct show_rig *r, const char *expected, int at);
void show_rig_start_version(struct show_rig *r, uint64_t conn, const char *who, const char *session, uint32_t version);
void show_rig_start(struct show_rig *r, uint64_t conn, const char *who, const char *session);
void show_rig_begun(struct show_rig *r);
void show_rig_failed(struct show_rig *r, enum err err);
void show_rig_finalised(struct show_rig *r, uint32_t version);
void show_rig_pass(struct show_rig *r, uint64_t ms);
void show_rig_stop(struct show_rig *r, uint64_t conn);
void show_rig_detach(struct show_rig *r, uint64_t conn);
void show_rig_space_back(struct show_rig *r);
void show_rig_forget(struct show_rig *r);
/* Ann is on air with take A, on connection 1, version 1. */
void show_rig_on_air(struct show_rig *r);

#define show_rig_expect(r, expected) show_rig_expect_at(r, expected, __LINE__)

#endif
