/* The client's machine, without sockets: what it sends when, what it makes of the answers, and when it gives up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sender.h"

#include <stdio.h>
#include <string.h>

enum { NOW = 1000 };

static struct sender s;

static void begin(uint64_t low, uint64_t written)
{
	sender_init(&s, &(struct sender_setup){ .low = low, .written = written, .max_unacked = 100000, .seed = 7 },
		    NOW);
}

static struct wire_message message(enum wire_type type, uint64_t bytes)
{
	return (struct wire_message){ .type = type, .bytes = bytes, .heartbeat_ms = 20000 };
}

static void receive(enum wire_type type, uint64_t bytes, uint64_t now_ms)
{
	struct wire_message m = message(type, bytes);
	sender_message(&s, &m, now_ms);
}

static void receive_error(const char *code, bool retry, uint64_t now_ms)
{
	struct wire_message m = message(WIRE_ERROR, WIRE_NO_BYTES);
	snprintf(m.code, sizeof m.code, "%s", code);
	snprintf(m.text, sizeof m.text, "Sentence.");
	m.retry = retry;
	sender_message(&s, &m, now_ms);
}

static void connect_at(uint64_t now_ms)
{
	assert_int_equal(sender_link(&s, now_ms), SENDER_LINK_CONNECT);
	assert_int_equal(sender_link(&s, now_ms), SENDER_LINK_KEEP);
	assert_false(sender_wants_out(&s));
	sender_link_up(&s, now_ms);
	assert_int_equal(sender_out(&s).type, SENDER_OUT_START);
	assert_false(sender_wants_out(&s));
}

static void attach(uint64_t bytes, uint64_t now_ms)
{
	connect_at(now_ms);
	receive(WIRE_STARTED, bytes, now_ms);
	assert_int_equal(s.state, SENDER_ATTACHED);
}

static void expect_bytes(uint64_t offset, size_t len)
{
	struct sender_out out = sender_out(&s);
	assert_int_equal(out.type, SENDER_OUT_BYTES);
	assert_int_equal(out.offset, offset);
	assert_int_equal(out.len, len);
}

static void expect_failed(const char *code)
{
	assert_int_equal(s.state, SENDER_FAILED);
	assert_string_equal(s.code, code);
	assert_false(sender_wants_out(&s));
	assert_int_equal(sender_link(&s, NOW + 1000000), SENDER_LINK_CLOSE);
	assert_int_equal(sender_link(&s, NOW + 2000000), SENDER_LINK_KEEP);
}

static void test_whole_take(void **state)
{
	begin(0, 0);
	attach(0, NOW);
	assert_false(sender_wants_out(&s));
	sender_written(&s, 70000);
	expect_bytes(0, 65536);
	expect_bytes(65536, 4464);
	assert_false(sender_wants_out(&s));
	receive(WIRE_ACK, 70000, NOW);
	sender_ended(&s);
	assert_false(sender_wants_out(&s)); /* `end` waits for the digest */
	sender_hashed(&s, "ab");
	assert_int_equal(sender_out(&s).type, SENDER_OUT_END);
	assert_false(sender_wants_out(&s));
	receive(WIRE_SAVED, 70000, NOW);
	assert_int_equal(s.state, SENDER_SAVED);
	assert_int_equal(sender_link(&s, NOW), SENDER_LINK_CLOSE);
	assert_int_equal(sender_next_wake(&s), UINT64_MAX);
}

static void test_window(void **state)
{
	begin(0, 1000000);
	attach(0, NOW);
	expect_bytes(0, 65536);
	expect_bytes(65536, 100000 - 65536);
	assert_false(sender_wants_out(&s));
	receive(WIRE_ACK, 10, NOW);
	expect_bytes(100000, 10);
	assert_false(sender_wants_out(&s));
}

static void test_binary_only_after_started_and_from_its_bytes(void **state)
{
	begin(0, 1000);
	connect_at(NOW);
	receive(WIRE_ACK, 0, NOW);
	assert_false(sender_wants_out(&s));
	receive(WIRE_STARTED, 300, NOW);
	expect_bytes(300, 700);
	/* the link drops, the server had only 900 of it: what is lost is sent again, no more and no less */
	sender_link_lost(&s, "gone", 0, NOW);
	assert_int_equal(s.state, SENDER_DOWN);
	assert_false(sender_wants_out(&s));
	attach(900, s.retry_at);
	expect_bytes(900, 100);
	assert_int_equal(s.reconnects, 1);
}

static void test_started_before_start_is_ignored(void **state)
{
	begin(0, 10);
	sender_link(&s, NOW);
	sender_link_up(&s, NOW);
	receive(WIRE_STARTED, 0, NOW);
	assert_int_equal(s.state, SENDER_STARTING);
}

static void test_positions_that_can_not_be(void **state)
{
	begin(0, 1000);
	connect_at(NOW);
	receive(WIRE_STARTED, 1001, NOW); /* more than we ever had */
	expect_failed("position_conflict");
	begin(500, 1000);
	connect_at(NOW);
	receive(WIRE_STARTED, 499, NOW); /* less than we still hold */
	expect_failed("position_conflict");
	begin(0, 1000);
	attach(0, NOW);
	receive(WIRE_ACK, 1, NOW); /* never sent */
	expect_failed("position_conflict");
}

static void test_acks_do_not_go_back(void **state)
{
	begin(0, 1000);
	attach(0, NOW);
	sender_out(&s);
	receive(WIRE_ACK, 600, NOW);
	receive(WIRE_ACK, 400, NOW);
	assert_int_equal(s.acked, 600);
	sender_released(&s, 600);
	assert_int_equal(s.low, 600);
}

static void test_tail_lost_with_the_power(void **state)
{
	sender_init(&s, &(struct sender_setup){ .written = 1000, .may_adopt = true }, NOW);
	sender_ended(&s);
	connect_at(NOW);
	receive(WIRE_STARTED, 1500, NOW);
	assert_true(s.adopted);
	assert_int_equal(s.written, 1500);
	sender_hashed(&s, "");
	assert_int_equal(sender_out(&s).type, SENDER_OUT_END);
}

static void test_backoff(void **state)
{
	struct backoff b;
	uint64_t ceiling = BACKOFF_FIRST_MS, sum = 0;
	backoff_init(&b, 42);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t wait = backoff_next_ms(&b);
		assert_true(wait <= ceiling);
		ceiling = ceiling * 2 < BACKOFF_MAX_MS ? ceiling * 2 : BACKOFF_MAX_MS;
		sum += wait;
	}
	/* full jitter: half of the ceiling on average */
	assert_in_range(sum / 1000, BACKOFF_MAX_MS * 4 / 10, BACKOFF_MAX_MS * 6 / 10);
	backoff_reset(&b);
	assert_true(backoff_next_ms(&b) <= BACKOFF_FIRST_MS);
}

static void test_reconnects_for_ever(void **state)
{
	uint64_t now = NOW;
	begin(0, 10);
	for (unsigned i = 0; i < 500; i++) {
		assert_int_equal(sender_link(&s, now), SENDER_LINK_CONNECT);
		sender_link_lost(&s, "refused", 0, now);
		assert_int_equal(s.state, SENDER_DOWN);
		assert_in_range(s.retry_at, now, now + BACKOFF_MAX_MS);
		if (s.retry_at > now)
			assert_int_equal(sender_link(&s, s.retry_at - 1), SENDER_LINK_KEEP);
		assert_int_equal(sender_next_wake(&s), s.retry_at);
		now = s.retry_at;
	}
	assert_true(s.backoff.attempts == 500);
	attach(0, now);
	sender_out(&s);
	receive(WIRE_ACK, 10, now);
	assert_int_equal(s.backoff.attempts, 0); /* progress */
}

static void test_http_refusals(void **state)
{
	const struct {
		int status;
		bool final;
	} rows[] = { { 404, true },  { 403, true },  { 401, true }, { 429, false },
		     { 408, false }, { 503, false }, { 200, false } };
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin(0, 10);
		sender_link(&s, NOW);
		sender_link_lost(&s, "upgrade refused", rows[i].status, NOW);
		assert_int_equal(s.state, rows[i].final ? SENDER_FAILED : SENDER_DOWN);
		/* there is no link to close any more */
		if (rows[i].final)
			assert_int_equal(sender_link(&s, NOW), SENDER_LINK_KEEP);
	}
}

static void test_timeouts(void **state)
{
	begin(0, 10);
	sender_link(&s, NOW);
	assert_int_equal(sender_next_wake(&s), NOW + SENDER_CONNECT_MS);
	assert_int_equal(sender_link(&s, NOW + SENDER_CONNECT_MS - 1), SENDER_LINK_KEEP);
	assert_int_equal(sender_link(&s, NOW + SENDER_CONNECT_MS), SENDER_LINK_CLOSE);
	assert_int_equal(s.state, SENDER_DOWN);
	uint64_t now = s.retry_at;
	connect_at(now);
	assert_int_equal(sender_link(&s, now + SENDER_START_MS), SENDER_LINK_CLOSE);
	now = s.retry_at;
	attach(0, now);
	/* two heartbeats and a half of silence; anything at all counts */
	assert_int_equal(sender_next_wake(&s), now + 50000);
	sender_received(&s, now + 40000);
	assert_int_equal(sender_link(&s, now + 89999), SENDER_LINK_KEEP);
	assert_int_equal(sender_link(&s, now + 90000), SENDER_LINK_CLOSE);
	assert_int_equal(s.state, SENDER_DOWN);
	assert_string_equal(s.code, "link_lost");
}

static void test_storage_full_starts_again_on_the_same_link(void **state)
{
	begin(0, 1000);
	attach(0, NOW);
	expect_bytes(0, 1000);
	receive_error("storage_full", true, NOW);
	assert_int_equal(s.state, SENDER_WAITING);
	receive(WIRE_ACK, 200, NOW);			     /* was on its way */
	receive_error("binary_without_session", false, NOW); /* an answer to what was pipelined */
	assert_int_equal(s.state, SENDER_WAITING);
	assert_false(sender_wants_out(&s));
	uint64_t now = s.retry_at;
	assert_int_equal(sender_link(&s, now), SENDER_LINK_KEEP);
	assert_int_equal(sender_out(&s).type, SENDER_OUT_START);
	receive(WIRE_STARTED, 200, now);
	expect_bytes(200, 800);
}

static void test_error_says_more_than_the_loss_behind_it(void **state)
{
	begin(0, 10);
	attach(0, NOW);
	receive_error("shutting_down", true, NOW);
	sender_link_lost(&s, "closed", 0, NOW);
	assert_int_equal(s.state, SENDER_DOWN);
	assert_string_equal(s.code, "shutting_down");
}

static void test_bytes_missing_goes_on(void **state)
{
	begin(0, 10);
	sender_ended(&s);
	sender_hashed(&s, "");
	attach(0, NOW);
	expect_bytes(0, 10);
	assert_int_equal(sender_out(&s).type, SENDER_OUT_END);
	receive_error("bytes_missing", false, NOW);
	uint64_t now = s.retry_at;
	assert_int_equal(sender_link(&s, now), SENDER_LINK_KEEP);
	assert_int_equal(sender_out(&s).type, SENDER_OUT_START);
	receive(WIRE_STARTED, 4, now);
	expect_bytes(4, 6);
	assert_int_equal(sender_out(&s).type, SENDER_OUT_END); /* again */
}

static void test_end_is_repeated_until_saved(void **state)
{
	begin(0, 10);
	sender_ended(&s);
	sender_hashed(&s, "");
	attach(10, NOW);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(sender_out(&s).type, SENDER_OUT_END);
		sender_link_lost(&s, "gone", 0, s.attached_at);
		attach(10, s.retry_at);
	}
	sender_link_lost(&s, "gone", 0, s.attached_at);
	connect_at(s.retry_at);
	receive(WIRE_SAVED, 10, NOW); /* the answer to `start` when `saved` was what got lost */
	assert_int_equal(s.state, SENDER_SAVED);
	assert_string_equal(s.code, "");
}

static void test_final_errors(void **state)
{
	const char *const codes[] = { "taken_over",	"position_conflict", "deleted", "checksum_mismatch",
				      "aborted",	"poisoned",	     "sealed",	"unauthorized",
				      "limit_exceeded", "made_up_later" };
	for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		begin(0, 10);
		attach(0, NOW);
		receive_error(codes[i], false, NOW);
		expect_failed(codes[i]);
	}
	begin(0, 10);
	attach(0, NOW);
	receive(WIRE_ABORTED, WIRE_NO_BYTES, NOW);
	expect_failed("aborted");
}

static void test_saved_must_be_all_of_it(void **state)
{
	begin(0, 10);
	attach(0, NOW);
	receive(WIRE_SAVED, 5, NOW); /* somebody completed it on the server */
	expect_failed("sealed");
	begin(0, 10);
	attach(0, NOW);
	receive(WIRE_SAVED, 10, NOW); /* all that there is so far, but more may come */
	expect_failed("sealed");
	begin(0, 10);
	sender_ended(&s);
	sender_hashed(&s, "aa");
	attach(10, NOW);
	struct wire_message m = message(WIRE_SAVED, 10);
	snprintf(m.sha256, sizeof m.sha256, "bb");
	sender_message(&s, &m, NOW);
	expect_failed("checksum_mismatch");
}

static void test_abort(void **state)
{
	begin(0, 10);
	sender_abort(&s); /* the server can't know of it */
	assert_int_equal(s.state, SENDER_ABORTED);
	begin(0, 10);
	attach(0, NOW);
	sender_abort(&s);
	assert_int_equal(sender_out(&s).type, SENDER_OUT_ABORT);
	assert_false(sender_wants_out(&s));
	sender_link_lost(&s, "gone", 0, NOW);
	attach(0, s.retry_at);
	assert_int_equal(sender_out(&s).type, SENDER_OUT_ABORT); /* again */
	receive(WIRE_ABORTED, WIRE_NO_BYTES, NOW);
	assert_int_equal(s.state, SENDER_ABORTED);
	/* an earlier run may have begun it: the server is told */
	sender_init(&s, &(struct sender_setup){ .written = 5, .begun = true }, NOW);
	sender_abort(&s);
	assert_int_equal(s.state, SENDER_DOWN);
}

static void test_the_link_of_another_take(void **state)
{
	begin(0, 10);
	sender_adopt_link(&s, "the other", NOW);
	assert_int_equal(sender_link(&s, NOW), SENDER_LINK_KEEP); /* it is there */
	assert_int_equal(sender_out(&s).type, SENDER_OUT_START);
	/* what still comes of the other take is none of ours */
	struct wire_message late = message(WIRE_SAVED, 99);
	snprintf(late.id, sizeof late.id, "the other");
	sender_message(&s, &late, NOW);
	receive(WIRE_ACK, 99, NOW);
	assert_int_equal(s.state, SENDER_STARTING);
	receive(WIRE_STARTED, 0, NOW);
	assert_int_equal(s.state, SENDER_ATTACHED);
	expect_bytes(0, 10);
	sender_link_lost(&s, "gone", 0, NOW);
	assert_int_equal(s.state, SENDER_DOWN); /* from here on it makes its own */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_take),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_binary_only_after_started_and_from_its_bytes),
		cmocka_unit_test(test_started_before_start_is_ignored),
		cmocka_unit_test(test_positions_that_can_not_be),
		cmocka_unit_test(test_acks_do_not_go_back),
		cmocka_unit_test(test_tail_lost_with_the_power),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_reconnects_for_ever),
		cmocka_unit_test(test_http_refusals),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_storage_full_starts_again_on_the_same_link),
		cmocka_unit_test(test_error_says_more_than_the_loss_behind_it),
		cmocka_unit_test(test_bytes_missing_goes_on),
		cmocka_unit_test(test_end_is_repeated_until_saved),
		cmocka_unit_test(test_final_errors),
		cmocka_unit_test(test_saved_must_be_all_of_it),
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_the_link_of_another_take),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
