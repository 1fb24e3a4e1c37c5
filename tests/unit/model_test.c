/* The table of phases against a list written by hand, and the nouns' copies. */
#include "core/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct move {
	enum phase from, to;
	bool only_grace;
};

/* Every move that there is. What is not in this list must be refused. */
static const struct move moves[] = {
	{ PHASE_UPLOADING, PHASE_QUEUED, false },
	{ PHASE_UPLOADING, PHASE_ERROR, false },
	{ PHASE_UPLOADING, PHASE_ABORTED, false },
	{ PHASE_UPLOADING, PHASE_DELETED, false },
	{ PHASE_QUEUED, PHASE_PROCESSING, false },
	{ PHASE_QUEUED, PHASE_ERROR, false },
	{ PHASE_QUEUED, PHASE_UPLOADING, true },
	{ PHASE_QUEUED, PHASE_DELETED, false },
	{ PHASE_PROCESSING, PHASE_GENERATING_THUMBNAIL, false },
	{ PHASE_PROCESSING, PHASE_QUEUED, false },
	{ PHASE_PROCESSING, PHASE_ERROR, false },
	{ PHASE_PROCESSING, PHASE_UPLOADING, true },
	{ PHASE_PROCESSING, PHASE_DELETED, false },
	{ PHASE_GENERATING_THUMBNAIL, PHASE_COMPLETE, false },
	{ PHASE_GENERATING_THUMBNAIL, PHASE_QUEUED, false },
	{ PHASE_GENERATING_THUMBNAIL, PHASE_ERROR, false },
	{ PHASE_GENERATING_THUMBNAIL, PHASE_UPLOADING, true },
	{ PHASE_GENERATING_THUMBNAIL, PHASE_DELETED, false },
	{ PHASE_COMPLETE, PHASE_UPLOADING, true },
	{ PHASE_COMPLETE, PHASE_DELETED, false },
	{ PHASE_ERROR, PHASE_QUEUED, false },
	{ PHASE_ERROR, PHASE_UPLOADING, true },
	{ PHASE_ERROR, PHASE_DELETED, false },
	{ PHASE_ABORTED, PHASE_DELETED, false },
};

static bool expected(enum phase from, enum phase to, enum sealed_by by)
{
	for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
		if (moves[i].from == from && moves[i].to == to)
			return !moves[i].only_grace || by == SEALED_BY_GRACE;
	}
	return false;
}

static void phases_move_by_the_list_only(void **state)
{
	for (int from = 0; from < PHASE_COUNT; from++) {
		for (int to = 0; to < PHASE_COUNT; to++) {
			for (int by = SEALED_BY_NONE; by <= SEALED_BY_GRACE; by++) {
				bool may = phase_may((enum phase)from, (enum phase)to, (enum sealed_by)by);
				if (may != expected((enum phase)from, (enum phase)to, (enum sealed_by)by))
					fail_msg("%s to %s, sealed by %d: %d", phase_name((enum phase)from),
						 phase_name((enum phase)to), by, may);
			}
		}
	}
}

static void phases_have_names(void **state)
{
	for (int i = 0; i < PHASE_COUNT; i++) {
		enum phase phase = PHASE_COUNT;
		assert_true(phase_parse(phase_name((enum phase)i), &phase));
		assert_int_equal(phase, i);
	}
	enum phase phase = PHASE_ERROR;
	assert_false(phase_parse("Queued", &phase));
	assert_false(phase_parse("", &phase));
	assert_int_equal(phase, PHASE_ERROR);
	assert_string_equal(phase_name(PHASE_GENERATING_THUMBNAIL), "generating_thumbnail");
}

static void tracks_are_dense_and_limited(void **state)
{
	struct recording_info info = { 0 };
	for (int i = 0; i < LIMIT_TRACKS; i++) {
		char name[] = { 't', (char)('a' + i), 0 };
		struct track_info *track = recording_info_add_track(&info, name);
		assert_non_null(track);
		assert_int_equal(track->number, i);
		assert_true(track->total == BYTES_UNKNOWN);
		assert_false(track->sealed);
		track->bytes = 10;
	}
	assert_null(recording_info_add_track(&info, "one too many"));
	assert_int_equal(recording_info_bytes(&info), 10 * LIMIT_TRACKS);
	assert_ptr_equal(recording_info_track(&info, "tc"), &info.tracks[2]);
	assert_null(recording_info_track(&info, "t"));
	recording_info_release(&info);
	assert_int_equal(info.track_count, 0);
	recording_info_release(&info); /* a released one is an empty one */
}

static void parts_ascend_once_each(void **state)
{
	struct recording_info info = { 0 };
	struct track_info *track = recording_info_add_track(&info, "main");
	assert_true(track_info_add_part(track, 0));
	assert_true(track_info_add_part(track, 500));
	assert_true(track_info_add_part(track, 100));
	assert_true(track_info_add_part(track, 300));
	assert_true(track_info_add_part(track, 300));
	assert_true(track_info_add_part(track, 500));
	assert_int_equal(track->part_count, 3);
	assert_int_equal(track->parts[0], 100);
	assert_int_equal(track->parts[1], 300);
	assert_int_equal(track->parts[2], 500);
	for (uint64_t i = 3; i < LIMIT_PARTS; i++)
		assert_true(track_info_add_part(track, 1000 + i));
	assert_false(track_info_add_part(track, 999999));
	assert_true(track_info_add_part(track, 300)); /* not new, so it needs no room */
	assert_int_equal(track->part_count, LIMIT_PARTS);
	recording_info_release(&info);
}

static void copies_are_deep(void **state)
{
	char *declared[] = { (char *)"video", (char *)"audio" };
	struct recording_info from = {
		.principal = (char *)"local",
		.session_id = (char *)"s",
		.name = (char *)"a title",
		.declared_tracks = declared,
		.declared_count = 2,
		.phase = PHASE_QUEUED,
		.revision = 3,
	};
	track_info_add_part(recording_info_add_track(&from, "video"), 77);
	recording_info_add_track(&from, "audio");
	struct recording_info copy;
	assert_int_equal(recording_info_copy(&copy, &from), ERR_OK);
	assert_ptr_not_equal(copy.name, from.name);
	assert_string_equal(copy.name, "a title");
	assert_null(copy.ref);
	assert_string_equal(copy.declared_tracks[1], "audio");
	assert_ptr_not_equal(copy.declared_tracks, from.declared_tracks);
	assert_ptr_not_equal(copy.tracks, from.tracks);
	assert_ptr_not_equal(copy.tracks[0].parts, from.tracks[0].parts);
	assert_int_equal(copy.tracks[0].parts[0], 77);
	assert_null(copy.tracks[1].parts);
	assert_int_equal(copy.revision, 3);
	for (uint32_t i = 0; i < from.track_count; i++) {
		free(from.tracks[i].name);
		free(from.tracks[i].parts);
	}
	free(from.tracks);
	recording_info_release(&copy);
}

/* All scopes × own or not × bound to this, to another or to none: what is expected is written anew from the rules. */
static void grants(void **state)
{
	struct uuid one = { { 1 } }, other = { { 2 } };
	for (unsigned scopes = 0; scopes <= SCOPE_ALL; scopes++) {
		for (unsigned i = 0; i < 12; i++) {
			bool own = i & 1, change = i & 2;
			unsigned bound = i / 4; /* to none, to this, to another */
			struct grant g = { .scopes = scopes,
					   .has_resource = bound > 0,
					   .resource = bound == 2 ? other : one };
			enum err expected = ERR_OK;
			bool admin = scopes & SCOPE_ADMIN, play = scopes & SCOPE_PLAY,
			     record = scopes & (SCOPE_RECORD | SCOPE_IMPORT);
			if (!admin && !play && !record)
				expected = ERR_FORBIDDEN_SCOPE;
			else if (bound == 2 || (!admin && !play && !own))
				expected = ERR_NOT_FOUND;
			else if (change && !admin && !(record && own))
				expected = ERR_FORBIDDEN_SCOPE;
			assert_int_equal(grant_judge(&g, change ? GRANT_CHANGE : GRANT_READ, own, &one), expected);
		}
	}
	assert_true(grant_is_local(grant_local()));
	assert_int_equal(grant_judge(grant_local(), GRANT_CHANGE, false, &one), ERR_OK);
	struct grant named = *grant_local();
	named.token_id[0] = 'x'; /* a token is never local, whatever it says */
	assert_false(grant_is_local(&named));
}

static void scopes(void **state)
{
	unsigned scope, all = 0;
	for (unsigned i = 0; i < SCOPE_COUNT; i++) {
		assert_true(scope_parse(scope_name(i), strlen(scope_name(i)), &scope));
		assert_int_equal(scope, 1u << i);
		all |= scope;
	}
	assert_int_equal(all, SCOPE_ALL);
	assert_false(scope_parse("root", 4, &scope));
	assert_false(scope_parse("recor", 5, &scope));
	assert_false(scope_parse("record\0", 7, &scope));
	assert_false(scope_parse("", 0, &scope));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grants),
		cmocka_unit_test(scopes),
		cmocka_unit_test(phases_move_by_the_list_only),
		cmocka_unit_test(phases_have_names),
		cmocka_unit_test(tracks_are_dense_and_limited),
		cmocka_unit_test(parts_ascend_once_each),
		cmocka_unit_test(copies_are_deep),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
