/* The catalog's contract about shows, run on every implementation of it: versions and their numbers. */
#include "support/catalog_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#undef fail /* cmocka's macro hides the operation of that name */

static struct recording_info version_of(unsigned n, uint32_t version, uint32_t first, const char *session)
{
	static char local[] = "local", morning[] = "morning";
	return (struct recording_info){
		.id = id_of(n),
		.principal = local,
		.session_id = (char *)(uintptr_t)session,
		.show = morning,
		.version = version,
		.first = first,
		.phase = PHASE_UPLOADING,
		.created_ms = 1,
		.updated_ms = 1,
	};
}

static bool begin_version(struct fixture *f, struct recording_info info)
{
	struct recording_info row;
	bool inserted;
	begin(f);
	enum err err = f->c->ops->start(f->c, &info, &inserted, &row);
	assert_true(err == ERR_OK || (err == ERR_EXISTS && !inserted));
	recording_info_release(&row);
	commit(f);
	return inserted;
}

static void assert_show(struct fixture *f, uint32_t version, uint32_t failed)
{
	struct catalog_show show;
	assert_int_equal(f->c->ops->show_get(f->c, "morning", &show), ERR_OK);
	assert_int_equal(show.version, version);
	assert_int_equal(show.failed, failed);
}

static void a_version_is_given_once(void **state)
{
	struct fixture *f = *state;
	struct catalog_show show;
	struct recording_info row;
	assert_int_equal(f->c->ops->show_get(f->c, "morning", &show), ERR_NOT_FOUND);
	assert_int_equal(f->c->ops->show_version(f->c, "morning", 0, &row), ERR_NOT_FOUND);
	assert_true(begin_version(f, version_of(1, 1, 1, "a")));
	assert_true(begin_version(f, version_of(2, 2, 1, NULL)));
	assert_true(begin_version(f, version_of(3, 3, 1, NULL))); /* none has no session twice */
	assert_false(begin_version(f, version_of(4, 2, 1, NULL)));
	assert_false(begin_version(f, version_of(4, 4, 4, "a")));
	reopen_catalog(f);
	assert_show(f, 3, 0);
	assert_int_equal(f->c->ops->show_version(f->c, "morning", 0, &row), ERR_OK);
	struct uuid id = id_of(3);
	assert_true(uuid_equal(&row.id, &id));
	assert_string_equal(row.show, "morning");
	assert_int_equal(row.version, 3);
	assert_int_equal(row.first, 1);
	assert_null(row.session_id);
	recording_info_release(&row);
	assert_int_equal(f->c->ops->show_version(f->c, "morning", 1, &row), ERR_OK);
	assert_string_equal(row.session_id, "a");
	recording_info_release(&row);
	assert_int_equal(f->c->ops->show_version(f->c, "evening", 1, &row), ERR_NOT_FOUND);
}

static void a_deleted_version_is_not_given_again(void **state)
{
	struct fixture *f = *state;
	struct recording_info row;
	enum catalog_outcome outcome;
	struct uuid id = id_of(1);
	assert_true(begin_version(f, version_of(1, 1, 1, "a")));
	begin(f);
	assert_int_equal(f->c->ops->remove(f->c, &id, 2, &outcome, &row), ERR_OK);
	recording_info_release(&row);
	commit(f);
	assert_false(begin_version(f, version_of(2, 1, 1, "b")));
	assert_show(f, 1, 0);
	assert_int_equal(f->c->ops->show_version(f->c, "morning", 0, &row), ERR_OK);
	assert_int_equal(row.phase, PHASE_DELETED);
	recording_info_release(&row);
}

/* A row that rolls back takes the show's number with it; one that is put back brings it. */
static void numbers_stand_and_fall_with_their_rows(void **state)
{
	struct fixture *f = *state;
	struct catalog_show show;
	struct recording_info row, info = version_of(1, 7, 5, NULL);
	bool inserted;
	begin(f);
	assert_int_equal(f->c->ops->start(f->c, &info, &inserted, &row), ERR_OK);
	recording_info_release(&row);
	f->c->ops->rollback(f->c);
	assert_int_equal(f->c->ops->show_get(f->c, "morning", &show), ERR_NOT_FOUND);
	begin(f);
	info.shift = 99;
	assert_int_equal(f->c->ops->restore(f->c, &info), ERR_OK);
	commit(f);
	assert_show(f, 7, 0);
	row = row_of(f, 1);
	assert_int_equal(row.first, 5);
	assert_int_equal(row.shift, 99);
	recording_info_release(&row);
}

enum { NAMES = 100 };

static enum err note(void *arg, const char *name)
{
	size_t len = strlen(arg);
	snprintf((char *)arg + len, NAMES - len, "%s ", name);
	return ERR_OK;
}

static void what_failed_on_air_is_marked(void **state)
{
	struct fixture *f = *state;
	char names[NAMES] = "";
	begin_version(f, version_of(1, 1, 1, "a"));
	assert_int_equal(f->c->ops->each_show_failed(f->c, note, names), ERR_OK);
	assert_string_equal(names, "");
	begin(f);
	assert_int_equal(f->c->ops->show_failed(f->c, "morning", 1, 7), ERR_OK);
	commit(f);
	reopen_catalog(f);
	assert_show(f, 1, 1);
	assert_int_equal(f->c->ops->each_show_failed(f->c, note, names), ERR_OK);
	assert_string_equal(names, "morning ");
	begin_version(f, version_of(2, 2, 1, NULL));
	assert_show(f, 2, 1);
	begin(f);
	assert_int_equal(f->c->ops->show_failed(f->c, "morning", 0, 0), ERR_OK);
	commit(f);
	assert_show(f, 2, 0);
}

static enum err count(void *arg, const struct recording_info *row)
{
	*(unsigned *)arg = *(unsigned *)arg * 10 + row->version;
	return ERR_OK;
}

static void a_list_may_be_of_one_show(void **state)
{
	struct fixture *f = *state;
	struct catalog_filter filter = { .show = "morning", .phase = -1, .limit = 10 };
	unsigned seen = 0;
	start_takes(f, 9);
	begin_version(f, version_of(20, 1, 1, "a"));
	begin_version(f, version_of(21, 2, 2, "b"));
	assert_int_equal(f->c->ops->list(f->c, &filter, count, &seen), ERR_OK);
	assert_int_equal(seen, 21);
	filter.show = "evening";
	seen = 0;
	assert_int_equal(f->c->ops->list(f->c, &filter, count, &seen), ERR_OK);
	assert_int_equal(seen, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_version_is_given_once),
		TEST(a_deleted_version_is_not_given_again),
		TEST(numbers_stand_and_fall_with_their_rows),
		TEST(what_failed_on_air_is_marked),
		TEST(a_list_may_be_of_one_show),
	};
	const char *name;
	int failed = 0;
	for (size_t i = 0; (name = catalog_rig_choose(i)); i++)
		failed += cmocka_run_group_tests_name(name, tests, NULL, NULL);
	return failed;
}
