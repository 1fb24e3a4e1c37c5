/* The catalog's contract about batches, run on every implementation of it: items once, counts that are kept along,
 * and one end. */
#include "support/catalog_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#undef fail /* cmocka's macro hides the operation of that name */

enum { MOST = 8 };

static char owner[] = "ann", album[] = "album", url[] = "http://source.example/a";

static struct batch_info create(struct fixture *f, uint64_t total, bool expected)
{
	struct batch_info batch = { .principal = owner, .id = album, .total = total, .created_ms = 5 }, row;
	bool created;
	begin(f);
	assert_int_equal(f->c->ops->batch_create(f->c, &batch, &created, &row), ERR_OK);
	commit(f);
	assert_int_equal(created, expected);
	return row;
}

static void made(struct fixture *f, uint64_t total)
{
	struct batch_info row = create(f, total, true);
	batch_info_release(&row);
}

/* Item n: its key is its letter, and `content` what its client says of it. */
static struct catalog_item item_of(unsigned n, const char *key, uint8_t content)
{
	struct catalog_item item = { .info = { .id = id_of(n),
					       .principal = owner,
					       .batch = album,
					       .batch_key = (char *)(uintptr_t)key,
					       .upload = { .kind = UPLOAD_WHOLE, .length = 10 },
					       .phase = PHASE_UPLOADING,
					       .has_item = true,
					       .created_ms = 10,
					       .updated_ms = 10 } };
	item.info.item.bytes[0] = content;
	return item;
}

static enum err slice(struct fixture *f, struct catalog_item *items, unsigned count, uint64_t most)
{
	struct catalog_slice s = { owner, album, items, count, most, ERR_RATE_LIMITED };
	enum err refusal;
	begin(f);
	enum err err = f->c->ops->slice(f->c, &s, &refusal);
	assert_true(err == ERR_OK || err == ERR_NOT_FOUND);
	commit(f);
	return err == ERR_OK ? refusal : err;
}

static struct batch_info batch_of(struct fixture *f)
{
	struct batch_info row;
	assert_int_equal(f->c->ops->batch_get(f->c, owner, album, &row), ERR_OK);
	return row;
}

static void assert_batch(struct fixture *f, enum phase phase, uint64_t count, uint64_t items)
{
	struct batch_info row = batch_of(f);
	assert_int_equal(row.counts[phase], count);
	assert_int_equal(batch_info_items(&row), items);
	batch_info_release(&row);
}

static enum err note_completed(void *arg, const struct catalog_event *event)
{
	unsigned *count = arg;
	if (strcmp(event->type, "batch.completed") != 0)
		return ERR_OK;
	assert_string_equal(event->batch, "album");
	++*count;
	return ERR_OK;
}

static unsigned completions(struct fixture *f)
{
	unsigned count = 0;
	struct catalog_event_filter all = { .limit = LIMIT_EVENTS_PAGE };
	assert_int_equal(f->c->ops->events(f->c, &all, note_completed, &count), ERR_OK);
	return count;
}

static void a_batch_is_made_once(void **state)
{
	struct fixture *f = *state;
	struct batch_info row = create(f, 3, true);
	assert_int_equal(row.total, 3);
	assert_int_equal(row.completed_ms, 0);
	batch_info_release(&row);
	row = create(f, 4, false);
	assert_int_equal(row.total, 3);
	batch_info_release(&row);
	reopen_catalog(f);
	assert_batch(f, PHASE_UPLOADING, 0, 0);
	assert_int_equal(f->c->ops->batch_get(f->c, "bob", album, &row), ERR_NOT_FOUND);
	assert_int_equal(f->c->ops->batch_get(f->c, NULL, album, &row), ERR_OK);
	assert_string_equal(row.principal, "ann");
	batch_info_release(&row);
}

static void an_item_is_there_once(void **state)
{
	struct fixture *f = *state;
	struct catalog_item items[] = { item_of(1, "a", 1), item_of(2, "b", 1), item_of(3, "a", 1) };
	assert_int_equal(slice(f, items, 3, MOST), ERR_NOT_FOUND);
	made(f, BYTES_UNKNOWN);
	assert_int_equal(slice(f, items, 3, MOST), ERR_OK);
	assert_true(items[0].inserted && items[1].inserted && !items[2].inserted);
	assert_true(uuid_equal(&items[2].id, &items[0].id));
	assert_batch(f, PHASE_UPLOADING, 2, 2);
	reopen_catalog(f);
	struct catalog_item again[] = { item_of(11, "a", 1), item_of(12, "b", 2), item_of(13, "c", 1) };
	assert_int_equal(slice(f, again, 3, MOST), ERR_OK);
	assert_true(!again[0].inserted && again[0].err == ERR_OK && uuid_equal(&again[0].id, &items[0].id));
	assert_int_equal(again[1].err, ERR_ITEM_DIFFERS);
	assert_true(again[2].inserted);
	assert_batch(f, PHASE_UPLOADING, 3, 3);
}

static void a_source_is_fetched_once(void **state)
{
	struct fixture *f = *state;
	struct catalog_item item = item_of(1, "a", 1);
	made(f, 1);
	item.info.source_url = url;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(slice(f, &item, 1, MOST), ERR_OK);
		unsigned jobs;
		assert_int_equal(f->c->ops->job_count(f->c, &item.id, JOB_FETCH, &jobs), ERR_OK);
		assert_int_equal(jobs, 1);
		item.info.id = id_of(2);
	}
}

/* What is refused is refused whole; what is there is found all the same. */
static void too_many_change_nothing(void **state)
{
	struct fixture *f = *state;
	struct catalog_item items[] = { item_of(1, "a", 1), item_of(2, "b", 1), item_of(3, "c", 1) };
	made(f, 2);
	assert_int_equal(slice(f, items, 3, MOST), ERR_LIMIT_EXCEEDED);
	assert_batch(f, PHASE_UPLOADING, 0, 0);
	assert_int_equal(slice(f, items, 2, 1), ERR_RATE_LIMITED);
	assert_batch(f, PHASE_UPLOADING, 0, 0);
	assert_int_equal(slice(f, items, 2, 2), ERR_OK);
	assert_int_equal(slice(f, items, 2, 0), ERR_OK);
	assert_int_equal(slice(f, items, 3, 0), ERR_LIMIT_EXCEEDED);
	assert_batch(f, PHASE_UPLOADING, 2, 2);
}

/* Takes 1 to 3 as its items, sealed in turn. */
static void counts_follow_and_the_end_comes_once(void **state)
{
	struct fixture *f = *state;
	struct catalog_item items[] = { item_of(1, "a", 1), item_of(2, "b", 1), item_of(3, "c", 1) };
	made(f, 3);
	assert_int_equal(slice(f, items, 3, MOST), ERR_OK);
	begin(f);
	assert_int_equal(claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK), CATALOG_CHANGED);
	commit(f);
	assert_batch(f, PHASE_QUEUED, 1, 3);
	begin(f);
	assert_int_equal(claim(f, 1, SEALED_BY_END, 1, 10, ERR_OK), CATALOG_UNCHANGED);
	commit(f);
	assert_batch(f, PHASE_QUEUED, 1, 3);
	begin(f);
	assert_int_equal(fail_take(f, 2), CATALOG_CHANGED);
	commit(f);
	begin(f);
	assert_int_equal(remove_take(f, 3), CATALOG_CHANGED);
	commit(f);
	assert_int_equal(completions(f), 0);
	assert_batch(f, PHASE_DELETED, 1, 3);
	begin(f);
	assert_int_equal(remove_take(f, 1), CATALOG_CHANGED);
	commit(f);
	assert_int_equal(completions(f), 1);
	assert_batch(f, PHASE_DELETED, 2, 3);
	struct batch_info row = batch_of(f);
	assert_int_not_equal(row.completed_ms, 0);
	assert_int_equal(batch_info_failed(&row), 1);
	assert_int_equal(row.error_count, 1);
	assert_int_equal(row.errors[0].count, 1);
	batch_info_release(&row);
	/* it leaves `error`, and ends again: no second event */
	begin(f);
	assert_int_equal(claim(f, 2, SEALED_BY_END, 1, 10, ERR_OK), CATALOG_CHANGED);
	commit(f);
	row = batch_of(f);
	assert_int_equal(row.error_count, 0);
	assert_int_equal(row.counts[PHASE_QUEUED], 1);
	batch_info_release(&row);
	begin(f);
	assert_int_equal(remove_take(f, 2), CATALOG_CHANGED);
	commit(f);
	reopen_catalog(f);
	assert_int_equal(completions(f), 1);
	assert_batch(f, PHASE_DELETED, 3, 3);
	/* of one that was deleted nobody knows what it was: its slice is acked */
	struct catalog_item again = item_of(9, "a", 7);
	assert_int_equal(slice(f, &again, 1, 0), ERR_OK);
	assert_int_equal(again.err, ERR_OK);
	assert_int_equal(again.phase, PHASE_DELETED);
}

static void counts_go_with_a_rollback(void **state)
{
	struct fixture *f = *state;
	struct catalog_item item = item_of(1, "a", 1);
	struct catalog_slice s = { owner, album, &item, 1, MOST, ERR_RATE_LIMITED };
	enum err refusal;
	made(f, 1);
	begin(f);
	assert_int_equal(f->c->ops->slice(f->c, &s, &refusal), ERR_OK);
	f->c->ops->rollback(f->c);
	assert_batch(f, PHASE_UPLOADING, 0, 0);
}

/* A row that is put back brings its batch, whatever was there; one that is there moves. */
static void what_is_put_back_is_counted(void **state)
{
	struct fixture *f = *state;
	struct catalog_item item = item_of(1, "a", 1);
	struct batch_info row;
	begin(f);
	assert_int_equal(f->c->ops->restore(f->c, &item.info), ERR_OK);
	assert_int_equal(f->c->ops->restore(f->c, &item.info), ERR_OK);
	commit(f);
	assert_batch(f, PHASE_UPLOADING, 1, 1);
	item.info.phase = PHASE_ABORTED;
	begin(f);
	assert_int_equal(f->c->ops->restore(f->c, &item.info), ERR_OK);
	commit(f);
	row = batch_of(f);
	assert_int_equal(row.counts[PHASE_ABORTED], 1);
	assert_int_equal(batch_info_items(&row), 1);
	assert_int_equal(row.total, BYTES_UNKNOWN);
	batch_info_release(&row);
}

/* … without a total, which is said again: once, and not below what there is. Then it may be at its end. */
static void what_was_lost_is_said_again(void **state)
{
	struct fixture *f = *state;
	struct catalog_item items[] = { item_of(1, "a", 1), item_of(2, "b", 1) };
	struct batch_info row;
	begin(f);
	for (int i = 0; i < 2; i++) {
		items[i].info.phase = PHASE_ABORTED;
		assert_int_equal(f->c->ops->restore(f->c, &items[i].info), ERR_OK);
	}
	commit(f);
	row = create(f, 1, false);
	assert_int_equal(row.total, BYTES_UNKNOWN);
	batch_info_release(&row);
	assert_int_equal(completions(f), 0);
	row = create(f, 2, false);
	assert_int_equal(row.total, 2);
	assert_int_equal(row.completed_ms, 5);
	batch_info_release(&row);
	assert_int_equal(completions(f), 1);
	row = create(f, 3, false);
	assert_int_equal(row.total, 2);
	batch_info_release(&row);
	assert_int_equal(completions(f), 1);
}

static enum err count_row(void *arg, const struct recording_info *row)
{
	unsigned *count = arg;
	assert_string_equal(row->batch, "album");
	++*count;
	return ERR_OK;
}

static unsigned listed(struct fixture *f, int phase)
{
	struct catalog_filter filter = { .principal = owner, .batch = album, .phase = phase, .limit = 100 };
	unsigned count = 0;
	assert_int_equal(f->c->ops->list(f->c, &filter, count_row, &count), ERR_OK);
	return count;
}

static void items_are_listed(void **state)
{
	struct fixture *f = *state;
	struct catalog_item items[] = { item_of(1, "a", 1), item_of(2, "b", 1), item_of(3, "c", 1) };
	char words[] = "{\"n\":1}";
	items[0].info.meta = words;
	made(f, BYTES_UNKNOWN);
	assert_int_equal(slice(f, items, 3, MOST), ERR_OK);
	begin(f);
	assert_int_equal(fail_take(f, 2), CATALOG_CHANGED);
	commit(f);
	assert_int_equal(listed(f, -1), 3);
	assert_int_equal(listed(f, PHASE_ERROR), 1);
	struct recording_info row = row_of(f, 1);
	assert_string_equal(row.meta, words);
	assert_true(row.has_item);
	recording_info_release(&row);
}

static enum err count_batch(void *arg, const struct batch_info *batch)
{
	int64_t *last = arg;
	assert_true(*last == 0 || batch->seq < *last);
	*last = batch->seq;
	return ERR_OK;
}

static void batches_are_listed(void **state)
{
	struct fixture *f = *state;
	char name[] = "x";
	int64_t last = 0;
	for (int i = 0; i < 5; i++) {
		struct batch_info batch = { .principal = owner, .id = name, .total = BYTES_UNKNOWN }, row;
		bool created;
		name[0] = (char)('a' + i);
		begin(f);
		assert_int_equal(f->c->ops->batch_create(f->c, &batch, &created, &row), ERR_OK);
		commit(f);
		batch_info_release(&row);
	}
	assert_int_equal(f->c->ops->batch_list(f->c, owner, 0, 2, count_batch, &last), ERR_OK);
	assert_int_equal(last, 4);
	assert_int_equal(f->c->ops->batch_list(f->c, NULL, last, 9, count_batch, &last), ERR_OK);
	assert_int_equal(last, 1);
	last = 0;
	assert_int_equal(f->c->ops->batch_list(f->c, "bob", 0, 9, count_batch, &last), ERR_OK);
	assert_int_equal(last, 0);
}

static void what_is_missing_is_filled(void **state)
{
	struct fixture *f = *state;
	struct catalog_item item = item_of(1, "a", 1);
	char name[] = "mine", other[] = "other", mime[] = "audio/ogg";
	struct recording_info row, fill = { .id = id_of(1), .name = other, .mime = mime };
	made(f, BYTES_UNKNOWN);
	item.info.name = name;
	assert_int_equal(slice(f, &item, 1, MOST), ERR_OK);
	begin(f);
	assert_int_equal(f->c->ops->item_fill(f->c, &fill, &row), ERR_OK);
	commit(f);
	assert_string_equal(row.name, "mine");
	assert_string_equal(row.mime, "audio/ogg");
	recording_info_release(&row);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_batch_is_made_once),
		TEST(an_item_is_there_once),
		TEST(a_source_is_fetched_once),
		TEST(too_many_change_nothing),
		TEST(counts_follow_and_the_end_comes_once),
		TEST(counts_go_with_a_rollback),
		TEST(what_is_put_back_is_counted),
		TEST(what_was_lost_is_said_again),
		TEST(items_are_listed),
		TEST(batches_are_listed),
		TEST(what_is_missing_is_filled),
	};
	const char *name;
	int failed = 0;
	for (size_t i = 0; (name = catalog_rig_choose(i)); i++)
		failed += cmocka_run_group_tests_name(name, tests, NULL, NULL);
	return failed;
}
