/* Log lines: one write each, and nothing that a value holds can break out of its line or its place. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char captured[20000];

/* What `call` writes to standard error. */
static void capture(void (*call)(void))
{
	int pipe_fds[2], saved = dup(STDERR_FILENO);
	assert_int_equal(pipe(pipe_fds), 0);
	fflush(stderr);
	dup2(pipe_fds[1], STDERR_FILENO);
	call();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipe_fds[1]);
	size_t len = 0;
	ssize_t n;
	while ((n = read(pipe_fds[0], captured + len, sizeof captured - 1 - len)) > 0)
		len += (size_t)n;
	captured[len] = '\0';
	close(pipe_fds[0]);
}

static void log_plain(void)
{
	log_event(LOG_INFO, "take_sealed", "id", "01-ab", "bytes", log_number(18446744073709551615ULL), NULL);
}

static void a_line_has_time_level_event_and_pairs(void **state)
{
	capture(log_plain);
	int year, month, day, hour, minute, second, ms, end = 0;
	assert_int_equal(sscanf(captured, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour, &minute,
				&second, &ms, &end),
			 7);
	assert_int_equal(end, 24);
	assert_string_equal(captured + end, " info take_sealed id=01-ab bytes=18446744073709551615\n");
}

static const char *value;

static void log_value(void)
{
	log_event(LOG_WARN, "event", "name", value, NULL);
}

static void values_are_escaped(void **state)
{
	static const struct {
		const char *value, *written;
	} cases[] = {
		{ "plain-1.2/3:x", "plain-1.2/3:x" },
		{ "", "\"\"" },
		{ "two words", "\"two words\"" },
		{ "a=b", "\"a=b\"" },
		{ "quote\"back\\slash", "\"quote\\\"back\\\\slash\"" },
		{ "line\nfeed\rtab\t", "\"line\\x0afeed\\x0dtab\\x09\"" },
		{ "\x1b[31mred\x7f", "\"\\x1b[31mred\\x7f\"" },
		{ "caf\xc3\xa9", "\"caf\\xc3\\xa9\"" },
		{ "\xe2\x80\xa8\xe2\x80\xae\xc2\x85", "\"\\xe2\\x80\\xa8\\xe2\\x80\\xae\\xc2\\x85\"" },
		{ NULL, "\"\"" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char expected[256];
		value = cases[i].value;
		capture(log_value);
		snprintf(expected, sizeof expected, " warn event name=%s\n", cases[i].written);
		assert_string_equal(captured + 24, expected);
	}
}

/* Every byte, in a line that is far too long: printable, one newline, at its end. */
static void no_raw_control_character_ever(void **state)
{
	static char all[12000];
	for (size_t i = 0; i < sizeof all - 1; i++)
		all[i] = (char)(1 + i % 255);
	value = all;
	capture(log_value);
	size_t len = strlen(captured);
	assert_in_range(len, 3000, 4096);
	assert_int_equal(captured[len - 1], '\n');
	assert_string_equal(captured + len - 4, "…\n");
	for (size_t i = 0; i < len - 4; i++)
		assert_in_range((unsigned char)captured[i], ' ', '~');
}

static void log_two_levels(void)
{
	log_event(LOG_DEBUG, "quiet", NULL);
	log_event(LOG_ERROR, "loud", NULL);
}

static void the_level_decides(void **state)
{
	capture(log_two_levels);
	assert_null(strstr(captured, "quiet"));
	assert_non_null(strstr(captured, " error loud\n"));
	log_set_level(LOG_DEBUG);
	capture(log_two_levels);
	assert_non_null(strstr(captured, " debug quiet\n"));
	log_set_level(LOG_INFO);
}

static void several_numbers_at_once(void **state)
{
	const char *texts[8];
	for (unsigned i = 0; i < 8; i++)
		texts[i] = log_number(i * 11);
	for (unsigned i = 0; i < 8; i++) {
		char expected[8];
		snprintf(expected, sizeof expected, "%u", i * 11);
		assert_string_equal(texts[i], expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_time_level_event_and_pairs),
		cmocka_unit_test(values_are_escaped),
		cmocka_unit_test(no_raw_control_character_ever),
		cmocka_unit_test(the_level_decides),
		cmocka_unit_test(several_numbers_at_once),
	};
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
