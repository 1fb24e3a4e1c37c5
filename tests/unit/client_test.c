/* The client's small parts: messages, addresses, guesses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guess.h"
#include "url.h"
#include "wire.h"

#include <stdlib.h>
#include <string.h>

static bool parse(const char *text, struct wire_message *m)
{
	return wire_parse(text, strlen(text), m);
}

static void test_server_messages(void **state)
{
	struct wire_message m;
	assert_true(parse("{\"type\":\"started\",\"id\":\"x\",\"resumed\":true,\"bytes\":7,\"heartbeatMs\":5000}", &m));
	assert_int_equal(m.type, WIRE_STARTED);
	assert_int_equal(m.bytes, 7);
	assert_int_equal(m.heartbeat_ms, 5000);
	assert_true(m.resumed);
	assert_string_equal(m.id, "x");
	assert_true(parse("{\"type\":\"error\",\"code\":\"storage_full\",\"retry\":true,\"message\":\"m\"}", &m));
	assert_true(m.retry);
	assert_string_equal(m.code, "storage_full");
	assert_int_equal(m.bytes, WIRE_NO_BYTES);
	assert_true(parse("{\"type\":\"aborted\",\"id\":\"x\",\"reason\":\"r\"}", &m));
	assert_string_equal(m.text, "r");
	assert_true(parse("{\"type\":\"status\"}", &m));
	assert_int_equal(m.type, WIRE_UNKNOWN);
	const char *const wrong[] = { "",
				      "null",
				      "[1]",
				      "{}",
				      "{\"type\":1}",
				      "{\"type\":\"ack\"}",
				      "{\"type\":\"ack\",\"bytes\":-1}",
				      "{\"type\":\"ack\",\"bytes\":1.5}",
				      "{\"type\":\"ack\",\"bytes\":\"1\"}",
				      "{\"type\":\"started\",\"bytes\":1",
				      "{\"type\":\"error\"}" };
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(parse(wrong[i], &m));
}

static void test_long_texts_are_cut(void **state)
{
	struct wire_message m;
	char text[3000] = "{\"type\":\"error\",\"code\":\"";
	memset(text + strlen(text), 'c', 2000);
	memcpy(text + strlen(text), "\"}", 3);
	assert_true(parse(text, &m));
	assert_int_equal(strlen(m.code), sizeof m.code - 1);
}

static void test_client_messages(void **state)
{
	struct wire_start start = { .session_id = "s\"1", .mime = "video/webm", .from = 5, .resume = true };
	char *text = wire_format_start(&start);
	assert_string_equal(text, "{\"type\":\"start\",\"sessionId\":\"s\\\"1\",\"mime\":\"video/webm\",\"from\":5,"
				  "\"resume\":true}");
	free(text);
	start = (struct wire_start){ .session_id = "s",
				     .track = "video",
				     .token = "hf1.x",
				     .tracks = (const char *const[]){ "video", "audio", NULL } };
	text = wire_format_start(&start);
	assert_string_equal(
		text, "{\"type\":\"start\",\"sessionId\":\"s\",\"track\":\"video\",\"from\":0,\"token\":\"hf1.x\","
		      "\"tracks\":[\"video\",\"audio\"]}");
	free(text);
	start.session_id = "\xff"; /* no UTF-8 */
	assert_null(wire_format_start(&start));
	text = wire_format_end(9, NULL);
	assert_string_equal(text, "{\"type\":\"end\",\"totalBytes\":9}");
	free(text);
	text = wire_format_end(9, "ab");
	assert_string_equal(text, "{\"type\":\"end\",\"totalBytes\":9,\"sha256\":\"ab\"}");
	free(text);
	text = wire_format_abort("why");
	assert_string_equal(text, "{\"type\":\"abort\",\"reason\":\"why\"}");
	free(text);
}

static void test_addresses(void **state)
{
	const struct {
		const char *text, *form;
	} rows[] = {
		{ "http://127.0.0.1:8480", "ws://127.0.0.1:8480/ws" },
		{ "http://127.0.0.1:8480/", "ws://127.0.0.1:8480/ws" },
		{ "127.0.0.1:8480", "ws://127.0.0.1:8480/ws" },
		{ "ws://127.0.0.1:8480/ws", "ws://127.0.0.1:8480/ws" },
		{ "ws://127.0.0.1:8480", "ws://127.0.0.1:8480/ws" },
		{ "HTTPS://Example.ORG", "wss://example.org:443/ws" },
		{ "https://example.org/rec/", "wss://example.org:443/rec/ws" },
		{ "wss://example.org/rec", "wss://example.org:443/rec" },
		{ "http://[::1]:9", "ws://[::1]:9/ws" },
	};
	struct url url;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_true(url_parse(rows[i].text, &url));
		assert_string_equal(url.text, rows[i].form);
	}
	assert_true(url_parse("http://[::1]:9", &url));
	assert_string_equal(url.host, "::1");
	assert_string_equal(url.authority, "[::1]:9");
	const char *const wrong[] = {
		"",	      "http://",     "http://:80",    "http://h:0",	   "http://h:65536",
		"http://h:",  "http://h:1x", "http://user@h", "http://h/?q=1",	   "http://h/#f",
		"http://h /", "http://[::1", "http://[::1]x", "http://h\r\nX: y/", "http://h/\x01"
	};
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(url_parse(wrong[i], &url));
}

static void test_guesses(void **state)
{
	assert_string_equal(guess_from_name("a/b.c/take.WebM").mime, "video/webm");
	assert_null(guess_from_name("a.webm/take").mime);
	assert_null(guess_from_name("take.xyz").ext);
	assert_string_equal(guess_from_mime("audio/webm;codecs=opus").ext, "weba");
	assert_string_equal(guess_from_bytes("\x1a\x45\xdf\xa3....B\x82\x84webm", 16).ext, "webm");
	assert_string_equal(guess_from_bytes("\x1a\x45\xdf\xa3....B\x82\x88matroska", 19).ext, "mkv");
	assert_string_equal(guess_from_bytes("OggS\0", 5).mime, "audio/ogg");
	assert_string_equal(guess_from_bytes("\0\0\0 ftypisom", 12).ext, "mp4");
	assert_string_equal(guess_from_bytes("\0\0\0 ftypM4A ", 12).ext, "m4a");
	assert_string_equal(guess_from_bytes("RIFF\0\0\0\0WAVEfmt ", 16).ext, "wav");
	assert_null(guess_from_bytes("RIFF\0\0\0\0AVI ", 12).ext);
	assert_null(guess_from_bytes("", 0).ext);
	assert_null(guess_from_bytes("Ogg", 3).ext);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_messages), cmocka_unit_test(test_long_texts_are_cut),
		cmocka_unit_test(test_client_messages), cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_guesses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
