/* The catalog's contract about what an outside authority said, run on every implementation of it. */
#include "support/catalog_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct sha256 token_of(unsigned n)
{
	struct sha256 token = { { 0 } };
	memcpy(token.bytes + 3, &n, sizeof n);
	return token;
}

/* Within a transaction. */
static void put(struct fixture *f, unsigned n, const char *subject, int64_t expires_ms, int64_t now_ms)
{
	char answer[32];
	snprintf(answer, sizeof answer, "{\"n\":%u}", n);
	struct catalog_authority said = {
		.token = token_of(n), .subject = (char *)(uintptr_t)subject, .answer = answer, .expires_ms = expires_ms
	};
	assert_int_equal(f->c->ops->authority_put(f->c, &said, now_ms), ERR_OK);
}

static bool has(struct fixture *f, unsigned n, int64_t expires_ms)
{
	char answer[32];
	struct sha256 token = token_of(n);
	struct catalog_authority said;
	enum err err = f->c->ops->authority_get(f->c, &token, &said);
	if (err == ERR_NOT_FOUND) {
		assert_null(said.answer);
		return false;
	}
	snprintf(answer, sizeof answer, "{\"n\":%u}", n);
	assert_int_equal(err, ERR_OK);
	assert_string_equal(said.answer, answer);
	assert_int_equal(said.expires_ms, expires_ms);
	catalog_authority_release(&said);
	return true;
}

static void what_was_said_is_kept(void **state)
{
	struct fixture *f = *state;
	assert_false(has(f, 1, 0));
	begin(f);
	put(f, 1, "anna", 100, 1);
	put(f, 2, "ben", 200, 1);
	commit(f);
	reopen_catalog(f);
	assert_true(has(f, 1, 100));
	assert_true(has(f, 2, 200));
	begin(f);
	put(f, 1, "anna", 300, 1); /* the newer one counts */
	commit(f);
	assert_true(has(f, 1, 300));
	begin(f);
	put(f, 3, "eve", 300, 1);
	f->c->ops->rollback(f->c);
	assert_false(has(f, 3, 300));
}

static void what_has_expired_goes(void **state)
{
	struct fixture *f = *state;
	begin(f);
	for (unsigned n = 0; n < LIMIT_AUTHORITY_TRIM + 5; n++)
		put(f, n, "anna", 100 + n, 1);
	put(f, 1000, "ben", 5000, 99);
	assert_true(has(f, 0, 100));
	put(f, 1001, "ben", 6000, 100);
	assert_false(has(f, 0, 100));
	assert_true(has(f, 1, 101));
	put(f, 1002, "ben", 7000, 1000); /* so many with one, the oldest first */
	assert_false(has(f, LIMIT_AUTHORITY_TRIM, 0));
	assert_true(has(f, LIMIT_AUTHORITY_TRIM + 4, 100 + LIMIT_AUTHORITY_TRIM + 4));
	put(f, 1003, "ben", 8000, 1000);
	assert_false(has(f, LIMIT_AUTHORITY_TRIM + 4, 0));
	commit(f);
	assert_true(has(f, 1000, 5000));
	assert_true(has(f, 1003, 8000));
}

/* Without an end they would fill the disk of who asks for rights with ever new tokens. */
static void there_are_only_so_many(void **state)
{
	struct fixture *f = *state;
	begin(f);
	for (unsigned n = 0; n < 10; n++)
		put(f, n, "anna", 1000 + n, 1);
	commit(f);
	assert_true(has(f, 0, 1000));
	for (unsigned n = 10; n < LIMIT_AUTHORITY_ROWS + 2; n++) {
		if (n % 1000 == 10)
			begin(f);
		put(f, n, "anna", 1000 + n, 1);
		if (n % 1000 == 9 || n == LIMIT_AUTHORITY_ROWS + 1)
			commit(f);
	}
	assert_false(has(f, 0, 0));
	assert_false(has(f, 1, 0));
	assert_true(has(f, 2, 1002));
	assert_true(has(f, LIMIT_AUTHORITY_ROWS + 1, 1000 + LIMIT_AUTHORITY_ROWS + 1));
}

static unsigned told;

static enum err on_each(void *arg, const struct sha256 *token)
{
	unsigned n;
	(void)arg;
	memcpy(&n, token->bytes + 3, sizeof n);
	told |= 1u << n;
	return ERR_OK;
}

static void a_subject_is_forgotten(void **state)
{
	struct fixture *f = *state;
	begin(f);
	put(f, 1, "anna", 100, 1);
	put(f, 2, "ben", 200, 1);
	put(f, 3, "anna", 300, 1);
	put(f, 4, "eve", 400, 1);
	told = 0;
	assert_int_equal(f->c->ops->authority_forget(f->c, "nobody", on_each, NULL), ERR_OK);
	assert_int_equal(told, 0);
	assert_int_equal(f->c->ops->authority_forget(f->c, "anna", on_each, NULL), ERR_OK);
	commit(f);
	assert_int_equal(told, 1u << 1 | 1u << 3);
	reopen_catalog(f);
	assert_false(has(f, 1, 0) || has(f, 3, 0));
	assert_true(has(f, 2, 200));
	begin(f);
	told = 0;
	assert_int_equal(f->c->ops->authority_forget(f->c, NULL, on_each, NULL), ERR_OK);
	commit(f);
	assert_int_equal(told, 1u << 2 | 1u << 4);
	assert_false(has(f, 2, 0) || has(f, 4, 0));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_was_said_is_kept),
		TEST(what_has_expired_goes),
		TEST(there_are_only_so_many),
		TEST(a_subject_is_forgotten),
	};
	const char *name;
	int failed = 0;
	for (size_t i = 0; (name = catalog_rig_choose(i)); i++)
		failed += cmocka_run_group_tests_name(name, tests, NULL, NULL);
	return failed;
}
