/* The catalog's contract about what goes to a bucket, run on every implementation of it: queued with the end of the
 * work before, kept part by part, cancelled with a sweep, and what retention may not take. */
#include "support/catalog_jobs_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#undef fail /* cmocka's macro hides the operation of that name */

enum { T = 100000 };

static int setup_pushing(void **state)
{
	int failed = setup(state);
	if (!failed)
		((struct fixture *)*state)->c->pushes = true;
	return failed;
}

/* Catalogs are opened anew without it. */
static void reopen_pushing(struct fixture *f)
{
	reopen_catalog(f);
	f->c->pushes = true;
}

/* Take n, complete; sealed by `by`. */
static void completed(struct fixture *f, unsigned n, enum sealed_by by)
{
	begin(f);
	complete_take(f, n, by, T);
	commit(f);
}

static const char *shown(struct fixture *f, unsigned n)
{
	static char text[300];
	struct recording_info row = row_of(f, n);
	if (row.push.revision == 0)
		snprintf(text, sizeof text, "none");
	else
		snprintf(text, sizeof text, "%s %u %s", job_state_name(row.push.state), row.push.revision,
			 row.push.key ? strchr(row.push.key, '/') + 1 + UUID_TEXT - 1 : "");
	recording_info_release(&row);
	return text;
}

static struct catalog_push push_of(struct fixture *f, unsigned n)
{
	struct catalog_push push;
	struct uuid id = id_of(n);
	assert_int_equal(f->c->ops->push_get(f->c, &id, 1, &push), ERR_OK);
	return push;
}

static enum err put(struct fixture *f, struct job_key key, const char *upload)
{
	const struct catalog_push push = { .sha256 = (char *)"abc", .part_bytes = 500, .upload = (char *)upload };
	return f->c->ops->push_begin(f->c, &key, &push, T + 7);
}

static enum err part(struct fixture *f, struct job_key key, unsigned number, const char *etag)
{
	struct catalog_push_part p = { .number = number, .bytes = 500, .sha256 = "def" };
	snprintf(p.etag, sizeof p.etag, "%s", etag);
	return f->c->ops->push_part(f->c, &key, &p, T + 9);
}

/* The only sweep is due then; 0: there is none. */
static void assert_sweep(struct fixture *f, int64_t due_ms)
{
	struct catalog_sweep sweep;
	enum err err = f->c->ops->sweep_next(f->c, &sweep);
	assert_int_equal(err, due_ms ? ERR_OK : ERR_NOT_FOUND);
	if (!due_ms)
		return;
	assert_int_equal(sweep.due_ms, due_ms);
	assert_non_null(strstr(sweep.key, "-r1.webm"));
}

static void the_end_of_the_work_queues_it(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 3);
	completed(f, 1, SEALED_BY_END);
	assert_string_equal(shown(f, 1), "queued 1 -r1.webm");
	assert_string_equal(shown(f, 2), "none");
	struct catalog_push push = push_of(f, 1);
	assert_true(!push.sha256 && !push.upload && push.part_bytes == 0 && push.part_count == 0);
	catalog_push_release(&push);
	f->c->pushes = false;
	completed(f, 2, SEALED_BY_END);
	assert_string_equal(shown(f, 2), "none");
	begin(f);
	struct job_key key = lease(f, JOB_PUSH, T);
	assert_true(key.id != 0);
	assert_int_equal(lease(f, JOB_PUSH, T).id, 0);
	assert_string_equal(shown(f, 1), "running 1 -r1.webm");
	assert_int_equal(done(f, key, T), ERR_OK);
	assert_int_equal(done(f, key, T), ERR_NOT_FOUND);
	commit(f);
	assert_string_equal(shown(f, 1), "done 1 -r1.webm");
	assert_phase(f, 1, PHASE_COMPLETE);
	assert_counts(f, 1, 2, 4); /* and no event of its own */
}

static void what_came_of_each_step_is_kept(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 1);
	completed(f, 1, SEALED_BY_END);
	begin(f);
	struct job_key key = lease(f, JOB_PUSH, T), stale = { key.id, key.epoch - 1 };
	assert_int_equal(put(f, stale, "u"), ERR_NOT_FOUND);
	assert_int_equal(put(f, key, NULL), ERR_OK);
	assert_int_equal(put(f, key, "u"), ERR_OK);
	assert_int_equal(part(f, stale, 1, "a"), ERR_NOT_FOUND);
	assert_int_equal(part(f, key, 2, "b"), ERR_OK);
	assert_int_equal(part(f, key, 1, "a"), ERR_OK);
	assert_int_equal(part(f, key, 2, "c"), ERR_OK); /* it was sent again */
	commit(f);
	reopen_pushing(f);
	struct catalog_push push = push_of(f, 1);
	assert_string_equal(push.sha256, "abc");
	assert_string_equal(push.upload, "u");
	assert_int_equal(push.part_bytes, 500);
	assert_int_equal(push.part_count, 2);
	assert_int_equal(push.parts[0].number, 1);
	assert_string_equal(push.parts[0].etag, "a");
	assert_string_equal(push.parts[0].sha256, "def");
	assert_string_equal(push.parts[1].etag, "c");
	assert_int_equal(push.parts[1].bytes, 500);
	catalog_push_release(&push);
	begin(f);
	assert_int_equal(put(f, key, "v"), ERR_OK); /* another upload has other parts */
	commit(f);
	push = push_of(f, 1);
	assert_string_equal(push.upload, "v");
	assert_int_equal(push.part_count, 0);
	catalog_push_release(&push);
	begin(f);
	assert_int_equal(part(f, key, 1, "a"), ERR_OK);
	assert_int_equal(done(f, key, T), ERR_OK);
	commit(f);
	push = push_of(f, 1);
	assert_true(!push.upload && push.part_count == 0);
	catalog_push_release(&push);
	assert_sweep(f, 0);
}

/* The attempts are those since something went on; there is no last one. */
static void it_is_tried_for_as_long_as_it_takes(void **state)
{
	struct fixture *f = *state;
	int64_t now_ms = T, due_ms = 0;
	start_takes(f, 1);
	completed(f, 1, SEALED_BY_END);
	begin(f);
	for (unsigned i = 0; i < 300; i++) {
		struct job_key key = lease(f, JOB_PUSH, now_ms);
		assert_true(key.id != 0);
		if (i == 200)
			assert_int_equal(put(f, key, "u"), ERR_OK);
		assert_int_equal(lose(f, key, ERR_BUCKET_FAILED, now_ms), JOB_QUEUED);
		assert_int_equal(f->c->ops->job_next(f->c, JOB_PUSH, &due_ms), ERR_OK);
		int64_t wait_ms = due_ms - now_ms;
		assert_true(wait_ms >= LIMIT_PUSH_RETRY_FIRST_MS && wait_ms <= LIMIT_PUSH_RETRY_MAX_MS);
		if (i == 0 || i == 200)
			assert_int_equal(wait_ms, LIMIT_PUSH_RETRY_FIRST_MS);
		if (i == 100)
			assert_int_equal(wait_ms, LIMIT_PUSH_RETRY_MAX_MS);
		now_ms = due_ms;
	}
	struct job_key key = lease(f, JOB_PUSH, now_ms);
	assert_int_equal(lose(f, key, ERR_BUCKET_REFUSED, now_ms), JOB_PARKED);
	assert_int_equal(lease(f, JOB_PUSH, now_ms + 86400000).id, 0);
	assert_int_equal(f->c->ops->unpark(f->c, JOB_NOTIFY, now_ms), ERR_OK);
	assert_int_equal(lease(f, JOB_PUSH, now_ms).id, 0);
	assert_int_equal(f->c->ops->unpark(f->c, JOB_PUSH, now_ms), ERR_OK);
	assert_true(lease(f, JOB_PUSH, now_ms).id != 0);
	commit(f);
}

/* How far it is when it is cancelled: not begun, begun, with an upload; and how it is cancelled. */
static void what_is_cancelled_is_swept(void **state)
{
	struct fixture *f = *state;
	for (unsigned n = 1; n <= 6; n++) {
		start_takes(f, n == 1 ? 6 : 0);
		completed(f, n, SEALED_BY_GRACE);
		begin(f);
		struct job_key key = lease(f, JOB_PUSH, T);
		unsigned far = (n - 1) % 3;
		if (far > 0)
			assert_int_equal(put(f, key, far == 2 ? "u" : NULL), ERR_OK);
		if (far == 2)
			assert_int_equal(part(f, key, 1, "a"), ERR_OK);
		assert_int_equal(n <= 3 ? reopen(f, n) : remove_take(f, n), CATALOG_CHANGED);
		assert_int_equal(part(f, key, 2, "b"), ERR_NOT_FOUND);
		assert_int_equal(done(f, key, T), ERR_NOT_FOUND);
		assert_int_equal(lose(f, key, ERR_BUCKET_FAILED, T), JOB_STATE_COUNT);
		commit(f);
		assert_string_equal(shown(f, n), "none");
		struct recording_info row = row_of(f, n);
		int64_t at_ms = row.updated_ms;
		recording_info_release(&row);
		assert_sweep(f, far == 0 ? 0 : far == 2 ? at_ms : at_ms + LIMIT_PUSH_SWEEP_MS);
		struct catalog_sweep sweep;
		begin(f);
		if (f->c->ops->sweep_next(f->c, &sweep) == ERR_OK) {
			assert_int_equal(f->c->ops->sweep_end(f->c, sweep.id, T + 99), ERR_OK);
			assert_sweep(f, T + 99);
			assert_int_equal(f->c->ops->sweep_end(f->c, sweep.id, 0), ERR_OK);
		}
		assert_sweep(f, 0);
		commit(f);
		assert_int_equal(f->c->ops->job_next(f->c, JOB_PUSH, &at_ms), ERR_NOT_FOUND);
	}
}

/* One that was refused is not asked for again behind a late resume, either. */
static void what_was_refused_is_cancelled_too(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 1);
	completed(f, 1, SEALED_BY_GRACE);
	begin(f);
	struct job_key key = lease(f, JOB_PUSH, T);
	assert_int_equal(lose(f, key, ERR_BUCKET_REFUSED, T), JOB_PARKED);
	assert_int_equal(reopen(f, 1), CATALOG_CHANGED);
	assert_int_equal(f->c->ops->unpark(f->c, JOB_PUSH, T), ERR_OK);
	assert_int_equal(lease(f, JOB_PUSH, T).id, 0);
	commit(f);
}

static enum err note(void *arg, const struct uuid *id)
{
	(void)id;
	++*(unsigned *)arg;
	return ERR_OK;
}

static unsigned expired(struct fixture *f, enum catalog_expiry what)
{
	unsigned count = 0;
	assert_int_equal(f->c->ops->expired(f->c, what, T + 9, T + 9, 10, note, &count), ERR_OK);
	return count;
}

static void retention_waits_for_the_bucket(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 2);
	completed(f, 1, SEALED_BY_END);
	completed(f, 2, SEALED_BY_GRACE);
	assert_int_equal(expired(f, EXPIRY_RECORDINGS) + expired(f, EXPIRY_ORIGINALS), 0);
	begin(f);
	for (unsigned i = 0; i < 2; i++) {
		struct job_key key = lease(f, JOB_PUSH, T);
		assert_int_equal(expired(f, EXPIRY_RECORDINGS), i);
		if (i == 1) {
			assert_int_equal(lose(f, key, ERR_BUCKET_REFUSED, T), JOB_PARKED);
			assert_int_equal(expired(f, EXPIRY_ORIGINALS), 1);
			assert_int_equal(f->c->ops->unpark(f->c, JOB_PUSH, T), ERR_OK);
			key = lease(f, JOB_PUSH, T);
		}
		assert_int_equal(done(f, key, T), ERR_OK);
	}
	commit(f);
	assert_int_equal(expired(f, EXPIRY_RECORDINGS), 2);
	assert_int_equal(expired(f, EXPIRY_ORIGINALS), 2);
}

/* Whoever takes the bucket away does not want to wait for it. */
static void without_a_bucket_nothing_waits(void **state)
{
	struct fixture *f = *state;
	start_takes(f, 1);
	completed(f, 1, SEALED_BY_END);
	f->c->pushes = false;
	assert_int_equal(expired(f, EXPIRY_RECORDINGS), 1);
}

static void what_was_complete_before(void **state)
{
	struct fixture *f = *state;
	unsigned count;
	f->c->pushes = false;
	start_takes(f, 5);
	for (unsigned n = 1; n <= 4; n++)
		completed(f, n, SEALED_BY_END);
	f->c->pushes = true;
	begin(f);
	assert_int_equal(f->c->ops->push_missing(f->c, T, 3, &count), ERR_OK);
	assert_int_equal(count, 3);
	assert_int_equal(f->c->ops->push_missing(f->c, T, 3, &count), ERR_OK);
	assert_int_equal(count, 1);
	assert_int_equal(f->c->ops->push_missing(f->c, T, 3, &count), ERR_OK);
	assert_int_equal(count, 0);
	for (unsigned n = 0; n < 4; n++)
		assert_int_equal(done(f, lease(f, JOB_PUSH, T), T), ERR_OK);
	assert_int_equal(f->c->ops->push_missing(f->c, T, 3, &count), ERR_OK);
	assert_int_equal(count, 0);
	assert_int_equal(lease(f, JOB_PUSH, T).id, 0);
	commit(f);
}

static void names_tell_recording_and_revision(void **state)
{
	(void)state;
	struct recording_info info = { .id = id_of(1), .media = { .revision = 12, .ext = "webm" } };
	char key[PUSH_KEY], id[UUID_TEXT], wanted[PUSH_KEY];
	uuid_format(&info.id, id);
	recording_info_push_key(&info, key);
	snprintf(wanted, sizeof wanted, "recordings/%s-r12.webm", id);
	assert_string_equal(key, wanted);
	info.media.ext[0] = '\0';
	recording_info_push_key(&info, key);
	snprintf(wanted, sizeof wanted, "recordings/%s-r12", id);
	assert_string_equal(key, wanted);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_pushing, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_end_of_the_work_queues_it),
		TEST(what_came_of_each_step_is_kept),
		TEST(it_is_tried_for_as_long_as_it_takes),
		TEST(what_is_cancelled_is_swept),
		TEST(what_was_refused_is_cancelled_too),
		TEST(retention_waits_for_the_bucket),
		TEST(without_a_bucket_nothing_waits),
		TEST(what_was_complete_before),
		cmocka_unit_test(names_tell_recording_and_revision),
	};
	int failed = 0;
	for (size_t i = 0; catalog_rig_choose(i); i++)
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	return failed;
}
