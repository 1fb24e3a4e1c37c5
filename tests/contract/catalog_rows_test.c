/* The catalog's contract about rows, run on every implementation of it: starts, tracks, lists, transactions, restoring.
 */
#include "support/catalog_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#undef fail /* cmocka's macro hides the operation of that name */

static void start_is_once_for_a_session(void **state)
{
	struct fixture *f = *state;
	struct recording_info first = take(1), second = take(2), row;
	first.name = strdup("the first");
	first.mime = strdup("video/webm");
	first.declared_tracks = calloc(2, sizeof(char *));
	first.declared_tracks[0] = strdup("video");
	first.declared_tracks[1] = strdup("audio \"x\"");
	first.declared_count = 2;
	first.ts = -5;
	free(second.session_id);
	second.session_id = strdup(first.session_id);
	bool inserted;
	begin(f);
	assert_int_equal(f->c->ops->start(f->c, &first, &inserted, &row), ERR_OK);
	assert_true(inserted);
	recording_info_release(&row);
	assert_int_equal(f->c->ops->start(f->c, &second, &inserted, &row), ERR_OK);
	assert_false(inserted);
	assert_true(uuid_equal(&row.id, &first.id));
	assert_string_equal(row.name, "the first");
	assert_int_equal(row.track_count, 1);
	recording_info_release(&row);
	commit(f);
	/* another principal's session of the same name is another take */
	free(second.principal);
	second.principal = strdup("somebody");
	begin(f);
	assert_int_equal(f->c->ops->start(f->c, &second, &inserted, &row), ERR_OK);
	assert_true(inserted);
	recording_info_release(&row);
	commit(f);
	assert_int_equal(f->c->ops->find_session(f->c, "local", first.session_id, &row), ERR_OK);
	assert_true(uuid_equal(&row.id, &first.id));
	assert_string_equal(row.mime, "video/webm");
	assert_null(row.ext);
	assert_int_equal(row.ts, -5);
	assert_int_equal(row.declared_count, 2);
	assert_string_equal(row.declared_tracks[1], "audio \"x\"");
	assert_int_equal(row.phase, PHASE_UPLOADING);
	assert_true(row.tracks[0].total == BYTES_UNKNOWN);
	recording_info_release(&row);
	assert_int_equal(f->c->ops->find_session(f->c, "local", "nobody", &row), ERR_NOT_FOUND);
	recording_info_release(&first);
	recording_info_release(&second);
}

static void a_ref_is_once_and_an_id_too(void **state)
{
	struct fixture *f = *state;
	struct recording_info first = take(1), second = take(2), third = take(1), row;
	free(first.session_id);
	free(second.session_id);
	first.session_id = second.session_id = NULL;
	first.ref = strdup("call-1");
	second.ref = strdup("call-1");
	free(third.session_id);
	third.session_id = strdup("of another session");
	bool inserted;
	begin(f);
	assert_int_equal(f->c->ops->start(f->c, &first, &inserted, &row), ERR_OK);
	assert_true(inserted);
	recording_info_release(&row);
	assert_int_equal(f->c->ops->start(f->c, &second, &inserted, &row), ERR_OK);
	assert_false(inserted);
	assert_true(uuid_equal(&row.id, &first.id));
	recording_info_release(&row);
	assert_int_equal(f->c->ops->start(f->c, &third, &inserted, &row), ERR_EXISTS);
	recording_info_release(&row);
	commit(f);
	assert_int_equal(f->c->ops->find_ref(f->c, "call-1", &row), ERR_OK);
	recording_info_release(&row);
	assert_int_equal(f->c->ops->find_ref(f->c, "call-2", &row), ERR_NOT_FOUND);
	recording_info_release(&first);
	recording_info_release(&second);
	recording_info_release(&third);
}

static void put_tracks_keeps_everything_of_a_track(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 1);
	struct recording_info info = take(1), unknown = take(2);
	struct track_info *audio = recording_info_add_track(&info, "audio");
	audio->bytes = LIMIT_NUMBER;
	audio->total = 0;
	audio->sealed = true;
	audio->sealed_by = SEALED_BY_COMPLETE;
	audio->has_declared_sha256 = true;
	memset(audio->declared_sha256.bytes, 0x5c, 32);
	assert_true(track_info_add_part(audio, 7));
	assert_true(track_info_add_part(audio, 700000000000));
	info.tracks[0].bytes = 44;
	info.updated_ms = 4321;
	begin(f);
	assert_int_equal(f->c->ops->put_tracks(f->c, &info), ERR_OK);
	assert_int_equal(f->c->ops->put_tracks(f->c, &unknown), ERR_NOT_FOUND);
	commit(f);
	reopen_catalog(f);
	struct recording_info row = row_of(f, 1);
	assert_int_equal(row.updated_ms, 4321);
	assert_int_equal(row.track_count, 2);
	assert_int_equal(row.tracks[0].bytes, 44);
	assert_false(row.tracks[0].sealed);
	struct track_info *t = &row.tracks[1];
	assert_string_equal(t->name, "audio");
	assert_int_equal(t->number, 1);
	assert_true(t->bytes == LIMIT_NUMBER && t->total == 0 && t->sealed && !t->has_sha256);
	assert_int_equal(t->sealed_by, SEALED_BY_COMPLETE);
	assert_true(t->has_declared_sha256);
	assert_memory_equal(&t->declared_sha256, &audio->declared_sha256, 32);
	assert_int_equal(t->part_count, 2);
	assert_int_equal(t->parts[1], 700000000000);
	assert_counts(f, 1, 0, 0);
	recording_info_release(&row);
	recording_info_release(&info);
	recording_info_release(&unknown);
}

static void rename_writes_no_event(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 1);
	struct uuid id = id_of(1);
	struct recording_info row;
	begin(f);
	assert_int_equal(f->c->ops->rename(f->c, &id,
					   "\xc3\x9c"
					   "bung; DROP TABLE recordings",
					   777, &row),
			 ERR_OK);
	recording_info_release(&row);
	commit(f);
	row = row_of(f, 1);
	assert_string_equal(row.name, "\xc3\x9c"
				      "bung; DROP TABLE recordings");
	assert_int_equal(row.updated_ms, 777);
	recording_info_release(&row);
	assert_counts(f, 1, 0, 0);
}

/* Lists */

struct seen {
	struct fixture *f;
	unsigned count;
	struct uuid ids[3 * LIMIT_LIST_ITEMS];
	enum err answer;
};

static enum err see(void *arg, const struct recording_info *row)
{
	struct seen *seen = arg;
	assert_true(seen->count < sizeof seen->ids / sizeof *seen->ids);
	assert_int_equal(row->track_count, 1);
	seen->ids[seen->count++] = row->id;
	return seen->answer;
}

static unsigned list(struct fixture *f, const struct catalog_filter *filter, struct seen *seen)
{
	*seen = (struct seen){ .f = f };
	assert_int_equal(f->c->ops->list(f->c, filter, see, seen), ERR_OK);
	return seen->count;
}

static void lists_page_from_the_newest(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 250);
	begin(f);
	remove_take(f, 100);
	commit(f);
	struct catalog_filter filter = { .phase = -1, .limit = 100000 };
	struct seen seen;
	unsigned n = 250, pages = 0, count;
	while ((count = list(f, &filter, &seen)) > 0) {
		assert_true(count <= LIMIT_LIST_ITEMS);
		for (unsigned i = 0; i < count; i++, n--) {
			if (n == 100)
				n--;
			struct uuid id = id_of(n);
			assert_true(uuid_equal(&seen.ids[i], &id));
		}
		filter.before = seen.ids[count - 1];
		pages++;
	}
	assert_int_equal(n, 0);
	assert_int_equal(pages, 3);
	filter = (struct catalog_filter){ .phase = -1, .limit = 7 };
	assert_int_equal(list(f, &filter, &seen), 7);
	seen = (struct seen){ .answer = ERR_LIMIT_EXCEEDED };
	assert_int_equal(f->c->ops->list(f->c, &filter, see, &seen), ERR_LIMIT_EXCEEDED);
	assert_int_equal(seen.count, 1);
}

static unsigned search(struct fixture *f, const char *text)
{
	struct catalog_filter filter = { .phase = -1, .limit = 100, .search = text };
	struct seen seen;
	return list(f, &filter, &seen);
}

static void lists_filter(void **state)
{
	struct fixture *f = *state;
	begin(f);
	for (unsigned n = 1; n <= 5; n++) {
		struct recording_info info = take(n);
		if (n == 2) {
			free(info.principal);
			info.principal = strdup("somebody");
		}
		if (n == 3)
			info.ref = strdup("call-4711");
		if (n == 3)
			info.name = strdup("Gro\xc3\x9f"
					   "e \xc3\x9c"
					   "bung 100%_A");
		start(f, info);
	}
	claim(f, 4, SEALED_BY_END, 1, 10, ERR_OK);
	commit(f);
	struct seen seen;
	struct catalog_filter filter = { .phase = -1, .limit = 100, .principal = "somebody" };
	assert_int_equal(list(f, &filter, &seen), 1);
	filter = (struct catalog_filter){ .phase = PHASE_QUEUED, .limit = 100 };
	assert_int_equal(list(f, &filter, &seen), 1);
	struct uuid id = id_of(4);
	assert_true(uuid_equal(&seen.ids[0], &id));
	filter.phase = PHASE_UPLOADING;
	filter.principal = "local";
	assert_int_equal(list(f, &filter, &seen), 3);
	filter.phase = PHASE_DELETED;
	assert_int_equal(list(f, &filter, &seen), 0);
	assert_int_equal(search(f, "SESSION-"), 5);
	assert_int_equal(search(f, "session-4"), 1);
	assert_int_equal(search(f, "Call-47"), 1);
	assert_int_equal(search(f, "\xc3\xbc"
				   "BUNG"),
			 1); /* upper and lower case beyond ASCII */
	assert_int_equal(search(f, "100%_a"), 1);
	assert_int_equal(search(f, "1%a"), 0); /* nothing in it is a wildcard */
	assert_int_equal(search(f, "_"), 1);
	assert_int_equal(search(f, "nothing like it"), 0);
	assert_int_equal(search(f, ""), 5);
}

static enum err claim_seen(void *arg, const struct recording_info *row)
{
	struct seen *seen = arg;
	unsigned n = row->id.bytes[7]; /* as id_of made it */
	assert_int_equal(claim(seen->f, n, SEALED_BY_GRACE, 1, 10, ERR_OK), CATALOG_CHANGED);
	return see(arg, row);
}

static void unfinished_are_listed_and_may_be_changed_meanwhile(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 150);
	begin(f);
	claim(f, 7, SEALED_BY_END, 1, 10, ERR_OK);
	remove_take(f, 9);
	commit(f);
	struct seen seen = { .f = f };
	begin(f);
	assert_int_equal(f->c->ops->each_unfinished(f->c, claim_seen, &seen), ERR_OK);
	assert_int_equal(seen.count, 148);
	seen.count = 0;
	assert_int_equal(f->c->ops->each_unfinished(f->c, see, &seen), ERR_OK);
	assert_int_equal(seen.count, 0);
	commit(f);
}

/* Transactions */

static void rollback_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 1);
	begin(f);
	start(f, take(2));
	assert_int_equal(claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK), CATALOG_CHANGED);
	assert_phase(f, 1, PHASE_QUEUED); /* its own writes are seen */
	f->c->ops->rollback(f->c);
	assert_phase(f, 1, PHASE_UPLOADING);
	assert_counts(f, 1, 0, 0);
	struct uuid id = id_of(2);
	struct recording_info row;
	assert_int_equal(f->c->ops->get(f->c, &id, &row), ERR_NOT_FOUND);
	reopen_catalog(f);
	assert_int_equal(f->c->ops->get(f->c, &id, &row), ERR_NOT_FOUND);
	begin(f); /* closed in the middle: the same */
	start(f, take(2));
	reopen_catalog(f);
	assert_int_equal(f->c->ops->get(f->c, &id, &row), ERR_NOT_FOUND);
}

static void a_closed_catalog_keeps_everything(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 30);
	begin(f);
	for (unsigned n = 1; n <= 30; n += 3)
		claim(f, n, SEALED_BY_GRACE, 1, n, ERR_OK);
	commit(f);
	reopen_catalog(f);
	for (unsigned n = 1; n <= 30; n++) {
		assert_phase(f, n, n % 3 == 1 ? PHASE_QUEUED : PHASE_UPLOADING);
		assert_counts(f, n, n % 3 == 1, n % 3 == 1);
	}
	begin(f);
	start(f, take(31));
	commit(f);
}

static void restore_puts_a_row_back(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 2);
	struct recording_info lost = take(3), known = take(1), foreign = take(4);
	lost.phase = known.phase = PHASE_QUEUED;
	lost.revision = known.revision = 2;
	lost.sealed_by = known.sealed_by = SEALED_BY_GRACE;
	lost.sealed_ms = 99;
	lost.tracks[0].sealed = true;
	recording_info_add_track(&known, "audio");
	free(foreign.session_id);
	foreign.session_id = strdup("session-2"); /* taken by another one */
	for (int i = 0; i < 2; i++) {
		begin(f);
		assert_int_equal(f->c->ops->restore(f->c, &lost), ERR_OK);
		assert_int_equal(f->c->ops->restore(f->c, &known), ERR_OK);
		assert_int_equal(f->c->ops->restore(f->c, &foreign), ERR_EXISTS);
		commit(f);
	}
	assert_counts(f, 3, 1, 0);
	assert_counts(f, 1, 1, 1); /* its phase changed, once */
	struct recording_info row = row_of(f, 3);
	assert_int_equal(row.revision, 2);
	assert_int_equal(row.sealed_by, SEALED_BY_GRACE);
	assert_int_equal(row.sealed_ms, 99);
	assert_true(row.tracks[0].sealed);
	recording_info_release(&row);
	row = row_of(f, 1);
	assert_int_equal(row.track_count, 2);
	recording_info_release(&row);
	assert_phase(f, 2, PHASE_UPLOADING);
	recording_info_release(&lost);
	recording_info_release(&known);
	recording_info_release(&foreign);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(start_is_once_for_a_session),
		TEST(a_ref_is_once_and_an_id_too),
		TEST(put_tracks_keeps_everything_of_a_track),
		TEST(rename_writes_no_event),
		TEST(lists_page_from_the_newest),
		TEST(lists_filter),
		TEST(unfinished_are_listed_and_may_be_changed_meanwhile),
		TEST(rollback_leaves_nothing),
		TEST(a_closed_catalog_keeps_everything),
		TEST(restore_puts_a_row_back),
	};
	const char *name;
	int failed = 0;
	for (size_t i = 0; (name = catalog_rig_choose(i)); i++)
		failed += cmocka_run_group_tests_name(name, tests, NULL, NULL);
	return failed;
}
