/* Control messages: what is accepted, what is refused with which code, and what the server writes. */
#include "proto/message.h"

#include "base/limits.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#define SHA "ABCDEFabcdef0123456789abcdef0123456789abcdef0123456789abcdef0123"

static struct message parsed(const char *text)
{
	struct message m;
	char detail[128];
	assert_int_equal(message_parse(text, strlen(text), &m, detail, sizeof detail), ERR_OK);
	assert_string_equal(detail, "");
	return m;
}

/* Refused with `err`, *out empty, and a sentence that holds `word`. */
static void refused(const char *text, enum err err, const char *word)
{
	struct message m, empty = { 0 };
	char detail[128];
	memset(&m, 0x55, sizeof m);
	enum err found = message_parse(text, strlen(text), &m, detail, sizeof detail);
	if (found != err || !strstr(detail, word))
		print_error("%s: %s (%s)\n", text, err_code(found), detail);
	assert_int_equal(found, err);
	assert_non_null(strstr(detail, word));
	assert_memory_equal(&m, &empty, sizeof m);
}

static void a_full_start(void **state)
{
	struct message m =
		parsed("{\"type\":\"start\",\"sessionId\":\"a/b ü\",\"mime\":\"video/webm;codecs=vp8,opus\","
		       "\"ext\":\"webm\",\"name\":\"Take \\ud83c\\udfa5\",\"track\":\"video\",\"tracks\":[\"video\","
		       "\"audio\"],\"ts\":1700000000000,\"resume\":true,\"part\":true,\"from\":4096.0,\"new\":[{}]}");
	assert_int_equal(m.type, MESSAGE_START);
	assert_string_equal(m.start.session_id, "a/b ü");
	assert_string_equal(m.start.mime, "video/webm;codecs=vp8,opus");
	assert_string_equal(m.start.ext, "webm");
	assert_string_equal(m.start.name, "Take 🎥");
	assert_string_equal(m.start.track, "video");
	assert_int_equal(m.start.tracks_count, 2);
	assert_string_equal(m.start.tracks[1], "audio");
	assert_true(m.start.resume && m.start.part);
	assert_int_equal(m.start.ts, 1700000000000);
	assert_int_equal(m.start.from, 4096);
	message_release(&m);
}

static void a_short_start(void **state)
{
	struct message m = parsed(
		" {\"sessionId\":\"s\",\"type\":\"start\",\"mime\":\"\",\"ext\":\"\",\"name\":null,\"from\":null}\n");
	assert_null(m.start.mime);
	assert_null(m.start.ext);
	assert_null(m.start.name);
	assert_null(m.start.track);
	assert_null(m.start.tracks);
	assert_false(m.start.resume || m.start.part);
	assert_true(m.start.from == MESSAGE_NO_BYTES);
	message_release(&m);
}

static void ends_and_aborts(void **state)
{
	struct message m = parsed("{\"type\":\"end\",\"totalBytes\":9007199254740991,\"sha256\":\"" SHA "\"}");
	assert_int_equal(m.type, MESSAGE_END);
	assert_int_equal(m.end.total_bytes, 9007199254740991);
	assert_true(m.end.has_sha256);
	char hex[65];
	sha256_format(m.end.sha256, hex);
	assert_int_equal(strcasecmp(hex, SHA), 0);
	message_release(&m);
	m = parsed("{\"type\":\"end\",\"totalBytes\":0}");
	assert_false(m.end.has_sha256);
	message_release(&m);
	m = parsed("{\"type\":\"abort\",\"reason\":\"why\"}");
	assert_string_equal(m.abort_reason, "why");
	message_release(&m);
	m = parsed("{\"type\":\"abort\"}");
	assert_null(m.abort_reason);
	message_release(&m);
}

static void what_is_no_message(void **state)
{
	static const char *const texts[] = {
		"",
		"x",
		"null",
		"1",
		"\"start\"",
		"[]",
		"[{\"type\":\"abort\"}]",
		"{",
		"{}",
		"{\"type\":\"abort\"} x",
		"{\"type\":1}",
		"{\"type\":null}",
		"{\"type\":[]}",
		"{'type':'abort'}",
		"{\"type\":\"abort\",}",
		"{\"type\":\"abort\",\"type\":\"abort\"}",
		"{\"type\":\"abort\",\"x\":{\"a\":1,\"a\":2}}",
		"{\"type\":\"abort\",\"reason\":\"\xff\"}",
		"{\"type\":\"abort\",\"reason\":\"\\ud800\"}",
		"{\"type\":\"abort\",\"reason\":\"a\nb\"}",
		"\xef\xbb\xbf{\"type\":\"abort\"}",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		refused(texts[i], ERR_BAD_MESSAGE, " ");
	refused("{\"type\":\"\"}", ERR_UNKNOWN_TYPE, "type");
	refused("{\"type\":\"Start\"}", ERR_UNKNOWN_TYPE, "type");
	refused("{\"type\":\"slices\"}", ERR_UNKNOWN_TYPE, "type");
	refused("{\"type\":\"start\\u0000\",\"sessionId\":\"s\"}", ERR_UNKNOWN_TYPE, "type");
}

static void fields_of_the_wrong_kind(void **state)
{
	static const struct {
		const char *field, *value;
	} rows[] = {
		{ "mime", "1" },
		{ "mime", "\"a\\u0000\"" },
		{ "mime", "{}" },
		{ "ext", "true" },
		{ "ext", "\"a/b\"" },
		{ "ext", "\"..\"" },
		{ "ext", "\"12345678901234567\"" },
		{ "name", "[]" },
		{ "name", "\"a\\nb\"" },
		{ "name", "\"a\\u0085b\"" },
		{ "name", "\"a\\u007fb\"" },
		{ "track", "\"\"" },
		{ "track", "7" },
		{ "tracks", "{}" },
		{ "tracks", "[]" },
		{ "tracks", "\"a\"" },
		{ "tracks", "[1]" },
		{ "tracks", "[\"\"]" },
		{ "tracks", "[\"a\",\"a\"]" },
		{ "resume", "1" },
		{ "part", "\"true\"" },
		{ "ts", "\"now\"" },
		{ "ts", "-1" },
		{ "from", "-1" },
		{ "from", "0.5" },
		{ "from", "9007199254740992" },
		{ "from", "\"0\"" },
		{ "from", "1e30" },
		{ "tracks", "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]" },
	};
	char text[256];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"s\",\"%s\":%s}", rows[i].field,
			 rows[i].value);
		refused(text, ERR_BAD_FIELD, rows[i].field);
	}
	refused("{\"type\":\"start\"}", ERR_BAD_FIELD, "sessionId");
	refused("{\"type\":\"start\",\"sessionId\":null}", ERR_BAD_FIELD, "sessionId");
	refused("{\"type\":\"start\",\"sessionId\":\"\"}", ERR_BAD_FIELD, "sessionId");
	refused("{\"type\":\"start\",\"sessionId\":5}", ERR_BAD_FIELD, "sessionId");
	refused("{\"type\":\"end\"}", ERR_BAD_FIELD, "totalBytes");
	refused("{\"type\":\"end\",\"totalBytes\":\"5\"}", ERR_BAD_FIELD, "totalBytes");
	refused("{\"type\":\"end\",\"totalBytes\":-5}", ERR_BAD_FIELD, "totalBytes");
	refused("{\"type\":\"end\",\"totalBytes\":9999999999999999999999}", ERR_BAD_FIELD, "totalBytes");
	refused("{\"type\":\"end\",\"totalBytes\":1e999}", ERR_BAD_FIELD, "range");
	refused("{\"type\":\"end\",\"totalBytes\":5,\"sha256\":\"ab\"}", ERR_BAD_FIELD, "sha256");
	refused("{\"type\":\"end\",\"totalBytes\":5,\"sha256\":5}", ERR_BAD_FIELD, "sha256");
	refused("{\"type\":\"abort\",\"reason\":5}", ERR_BAD_FIELD, "reason");
}

/* A start whose session id is `count` times `piece`. */
static char *start_of(const char *piece, size_t count)
{
	struct buf out;
	buf_init(&out);
	buf_add_text(&out, "{\"type\":\"start\",\"sessionId\":\"");
	for (size_t i = 0; i < count; i++)
		buf_add_text(&out, piece);
	buf_add_text(&out, "\"}");
	return buf_take(&out);
}

static void limits_hold(void **state)
{
	char *text = start_of("ü", LIMIT_SESSION_ID_CHARS);
	struct message m = parsed(text);
	message_release(&m);
	free(text);
	text = start_of("a", LIMIT_SESSION_ID_CHARS + 1);
	refused(text, ERR_BAD_FIELD, "too long");
	free(text);
	text = start_of("a", LIMIT_CONTROL_BYTES);
	refused(text, ERR_MESSAGE_TOO_LARGE, "limit");
	free(text);
}

static void nesting_is_bounded(void **state)
{
	char text[20 * 1000];
	for (int depth = LIMIT_JSON_DEPTH - 2; depth < 9000; depth = depth < LIMIT_JSON_DEPTH ? depth + 1 : 8999) {
		int len = snprintf(text, sizeof text, "{\"type\":\"abort\",\"x\":");
		memset(text + len, '[', (size_t)depth);
		memset(text + len + depth, ']', (size_t)depth);
		memcpy(text + len + 2 * depth, "}", 2);
		if (depth + 1 <= LIMIT_JSON_DEPTH) {
			struct message m = parsed(text);
			message_release(&m);
		} else {
			refused(text, ERR_BAD_MESSAGE, "deep");
		}
		if (depth == 8999)
			break;
	}
	struct message m =
		parsed("{\"type\":\"abort\",\"reason\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[\"}");
	message_release(&m);
}

static void subscriptions(void **state)
{
	struct message m = parsed("{\"type\":\"subscribe\",\"all\":true,\"id\":null,\"new\":1}");
	assert_int_equal(m.type, MESSAGE_SUBSCRIBE);
	assert_true(m.subscribe.all);
	assert_null(m.subscribe.id);
	message_release(&m);
	m = parsed("{\"type\":\"subscribe\",\"all\":false,\"id\":\"session:a/b\"}");
	assert_false(m.subscribe.all);
	assert_string_equal(m.subscribe.id, "session:a/b");
	message_release(&m);
}

/* What is refused says what it is about. */
static void subscriptions_refused(void **state)
{
	static const struct {
		const char *text, *word, *id;
		bool all;
	} cases[] = {
		{ "{\"type\":\"subscribe\"}", "Either", NULL, false },
		{ "{\"type\":\"subscribe\",\"all\":false}", "Either", NULL, false },
		{ "{\"type\":\"subscribe\",\"all\":true,\"id\":\"x\"}", "Either", "x", true },
		{ "{\"type\":\"subscribe\",\"all\":true,\"id\":5}", "id", NULL, true },
		{ "{\"type\":\"subscribe\",\"id\":\"\"}", "id", NULL, false },
		{ "{\"type\":\"subscribe\",\"id\":\"a\\u0000b\"}", "control", NULL, false },
		{ "{\"type\":\"subscribe\",\"all\":1}", "all", NULL, false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct message m;
		char detail[128];
		enum err err = message_parse(cases[i].text, strlen(cases[i].text), &m, detail, sizeof detail);
		assert_int_equal(err, ERR_BAD_FIELD);
		assert_non_null(strstr(detail, cases[i].word));
		assert_int_equal(m.type, MESSAGE_SUBSCRIBE);
		assert_int_equal(m.subscribe.all, cases[i].all);
		if (cases[i].id)
			assert_string_equal(m.subscribe.id, cases[i].id);
		else
			assert_null(m.subscribe.id);
		message_release(&m);
	}
}

static void subscriptions_to_a_batch(void **state)
{
	struct message m = parsed("{\"type\":\"subscribe\",\"batchId\":\"b 1\"}");
	assert_string_equal(m.subscribe.batch, "b 1");
	message_release(&m);
	char detail[128];
	static const char both[] = "{\"type\":\"subscribe\",\"batchId\":\"b\",\"all\":true}";
	assert_int_equal(message_parse(both, sizeof both - 1, &m, detail, sizeof detail), ERR_BAD_FIELD);
	assert_string_equal(m.subscribe.batch, "b");
	message_release(&m);
}

#define ID "018bcfe5-6800-7386-887c-6a9eeeb569a4"

static void a_start_of_an_item(void **state)
{
	struct message m = parsed("{\"type\":\"start\",\"id\":\"" ID "\",\"ext\":\"wav\",\"track\":\"main\"}");
	char id[UUID_TEXT];
	assert_true(m.start.has_id);
	uuid_format(&m.start.id, id);
	assert_string_equal(id, ID);
	assert_null(m.start.session_id);
	message_release(&m);
	refused("{\"type\":\"start\",\"id\":\"x\"}", ERR_BAD_FIELD, "id");
	refused("{\"type\":\"start\",\"id\":7}", ERR_BAD_FIELD, "id");
	refused("{\"type\":\"start\",\"id\":\"" ID "\",\"sessionId\":\"s\"}", ERR_BAD_FIELD, "id");
	refused("{\"type\":\"start\",\"id\":\"" ID "\",\"show\":\"s\"}", ERR_BAD_FIELD, "id");
	refused("{\"type\":\"start\",\"id\":\"" ID "\",\"track\":\"x\"}", ERR_BAD_FIELD, "track");
}

#define SLICE "{\"type\":\"slice\",\"batchId\":\"b\",\"sliceId\":\"s\",\"items\":"

static void a_slice(void **state)
{
	struct message m =
		parsed(SLICE "[{\"key\":\"a\",\"name\":\"n\",\"mime\":\"\",\"ext\":\"wav\",\"sourceUrl\":\"https://x\","
			     "\"bytes\":7,\"meta\":{\"z\":1,\"a\":[2,2.5,{\"c\":-3e2,\"b\":null}],\"big\":1e300}},"
			     "{\"key\":\"b\"}]}");
	assert_int_equal(m.type, MESSAGE_SLICE);
	assert_int_equal(m.slice.count, 2);
	const struct message_item *item = m.slice.items;
	assert_string_equal(item->key, "a");
	assert_string_equal(item->source_url, "https://x");
	assert_null(item->mime);
	assert_int_equal(item->bytes, 7);
	assert_string_equal(item->meta,
			    "{\"a\":[2,2.5,{\"b\":null,\"c\":-300}],\"big\":1.0000000000000001e300,\"z\":1}");
	assert_int_equal(item[1].bytes, MESSAGE_NO_BYTES);
	assert_int_equal(item[1].err, ERR_OK);
	message_release(&m);
}

/* What is wrong with an item is that item's alone, as long as it can be named. */
static void items_are_refused_alone(void **state)
{
	static const char *const wrong[] = { "\"name\":5",   "\"bytes\":-1",   "\"bytes\":1e15",  "\"ext\":\"/\"",
					     "\"meta\":[1]", "\"meta\":\"x\"", "\"sourceUrl\":{}" };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		char text[256];
		snprintf(text, sizeof text, SLICE "[{\"key\":\"a\",%s},{\"key\":\"b\"}]}", wrong[i]);
		struct message m = parsed(text);
		assert_int_equal(m.slice.items[0].err, ERR_BAD_FIELD);
		assert_non_null(m.slice.items[0].why);
		assert_int_equal(m.slice.items[1].err, ERR_OK);
		message_release(&m);
	}
	size_t size = LIMIT_ITEM_META_BYTES + 256;
	char *text = malloc(size), x[LIMIT_ITEM_META_BYTES + 1];
	memset(x, 'x', sizeof x);
	x[sizeof x - 1] = '\0';
	snprintf(text, size, SLICE "[{\"key\":\"a\",\"meta\":{\"x\":\"%s\"}}]}", x);
	struct message m = parsed(text);
	assert_int_equal(m.slice.items[0].err, ERR_BAD_FIELD);
	message_release(&m);
	free(text);
}

/* … and of the whole: the error says which slice it is about, as far as that is known. */
static void slices_refused(void **state)
{
	static const struct {
		const char *text, *word, *slice;
	} cases[] = {
		{ "{\"type\":\"slice\"}", "sliceId", NULL },
		{ "{\"type\":\"slice\",\"sliceId\":\"s\"}", "batchId", "s" },
		{ "{\"type\":\"slice\",\"sliceId\":\"s\",\"batchId\":5}", "batchId", "s" },
		{ "{\"type\":\"slice\",\"sliceId\":\"s\",\"batchId\":\"b\"}", "items", "s" },
		{ SLICE "{}}", "items", "s" },
		{ SLICE "[]}", "items", "s" },
		{ SLICE "[1]}", "items", "s" },
		{ SLICE "[{}]}", "key", "s" },
		{ SLICE "[{\"key\":\"a\"},{\"key\":\"\"}]}", "key", "s" },
		{ SLICE "[{\"key\":\"a\\u0000\"}]}", "key", "s" },
		{ SLICE "[{\"key\":\"a\"}],\"token\":1}", "token", "s" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct message m;
		char detail[128];
		assert_int_equal(message_parse(cases[i].text, strlen(cases[i].text), &m, detail, sizeof detail),
				 ERR_BAD_FIELD);
		assert_non_null(strstr(detail, cases[i].word));
		assert_int_equal(m.type, MESSAGE_SLICE);
		if (cases[i].slice)
			assert_string_equal(m.slice.slice_id, cases[i].slice);
		else
			assert_null(m.slice.slice_id);
		message_release(&m);
	}
}

static void slices_are_answered(void **state)
{
	struct uuid id;
	assert_true(uuid_parse(ID, &id));
	struct buf out;
	buf_init(&out);
	const struct message_outcome items[] = {
		{ .key = "a\"", .id = &id, .status = "queued", .is_new = true },
		{ .key = "b", .err = ERR_URL_REFUSED, .why = "No." },
	};
	message_slice_ack(&out, "b", "s", items, 2);
	assert_string_equal(out.data, "{\"type\":\"slice_ack\",\"batchId\":\"b\",\"sliceId\":\"s\",\"items\":["
				      "{\"key\":\"a\\\"\",\"id\":\"" ID "\",\"status\":\"queued\",\"isNew\":true},"
				      "{\"key\":\"b\",\"id\":null,\"status\":null,\"isNew\":false,"
				      "\"error\":{\"code\":\"url_refused\",\"message\":\"No.\"}}]}");
	out.len = 0;
	char s[] = "s", b[] = "b";
	message_slice_error(&out, ERR_RATE_LIMITED, "Slowly.", &(struct message_slice){ .slice_id = s, .batch_id = b },
			    9);
	assert_string_equal(out.data,
			    "{\"type\":\"error\",\"code\":\"rate_limited\",\"message\":\"Slowly.\",\"retry\":true,"
			    "\"of\":\"slice\",\"batchId\":\"b\",\"sliceId\":\"s\",\"retryAfterMs\":9}");
	buf_release(&out);
}

static void states_are_written(void **state)
{
	struct server_figures figures = { 1, 9007199254740992, 3, 4 };
	struct buf out;
	buf_init(&out);
	message_subscribed(&out, &(struct message_subscribe){ .all = true });
	assert_string_equal(out.data, "{\"type\":\"subscribed\",\"all\":true}");
	out.len = 0;
	message_subscribed(&out, &(struct message_subscribe){ .id = (char[]){ "a\"b" } });
	assert_string_equal(out.data, "{\"type\":\"subscribed\",\"id\":\"a\\\"b\"}");
	out.len = 0;
	message_status(&out, "recording", "{\"id\":1}");
	assert_string_equal(out.data, "{\"type\":\"status\",\"of\":\"recording\",\"id\":1}");
	out.len = 0;
	message_status_server(&out, &figures);
	assert_string_equal(out.data, "{\"type\":\"status\",\"of\":\"server\",\"freeBytes\":1,\"totalBytes\":"
				      "9007199254740992,\"reserveBytes\":3,\"recordings\":4}");
	out.len = 0;
	message_subscription_error(&out, ERR_BUSY, NULL, &(struct message_subscribe){ .all = true });
	assert_string_equal(out.data, "{\"type\":\"error\",\"code\":\"busy\",\"message\":\"The state is changing; ask "
				      "again.\",\"retry\":true,\"of\":\"subscription\",\"all\":true}");
	buf_release(&out);
}

static void the_server_writes(void **state)
{
	struct uuid id = { .bytes = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };
	uint8_t sha256[32] = { 0xab };
	struct buf out;
	buf_init(&out);
	message_ack(&out, 9007199254740992);
	assert_string_equal(out.data, "{\"type\":\"ack\",\"bytes\":9007199254740992}");
	out.len = 0;
	struct message_started started = { &id, "a\"\\\n\x7f\xffü", NULL, 0, true, 5, 30000, 20000 };
	message_started(&out, &started);
	assert_string_equal(out.data,
			    "{\"type\":\"started\",\"id\":\"01020304-0506-0708-090a-0b0c0d0e0f10\","
			    "\"sessionId\":\"a\\\"\\\\\\u000a\\u007f\xef\xbf\xbdü\",\"resumed\":true,\"bytes\":5,"
			    "\"graceMs\":30000,\"heartbeatMs\":20000}");
	out.len = 0;
	message_started(&out, &(struct message_started){ &id, NULL, "morning", 3, false, 0, 30000, 20000 });
	assert_string_equal(out.data,
			    "{\"type\":\"started\",\"id\":\"01020304-0506-0708-090a-0b0c0d0e0f10\","
			    "\"sessionId\":null,\"resumed\":false,\"bytes\":0,\"graceMs\":30000,\"heartbeatMs\":20000,"
			    "\"show\":\"morning\",\"version\":3}");
	out.len = 0;
	message_moved(&out, "morning", 4, &id, 1 << 20);
	assert_string_equal(out.data, "{\"type\":\"moved\",\"show\":\"morning\",\"version\":4,"
				      "\"id\":\"01020304-0506-0708-090a-0b0c0d0e0f10\",\"from\":1048576}");
	out.len = 0;
	message_stopped(&out, "morning", 0, NULL);
	assert_string_equal(out.data, "{\"type\":\"stopped\",\"show\":\"morning\",\"version\":0,\"id\":null}");
	out.len = 0;
	message_saved(&out, &id, 5, sha256, "/api/x?track=a");
	assert_string_equal(
		out.data, "{\"type\":\"saved\",\"id\":\"01020304-0506-0708-090a-0b0c0d0e0f10\",\"bytes\":5,\"sha256\":"
			  "\"ab00000000000000000000000000000000000000000000000000000000000000\",\"url\":"
			  "\"/api/x?track=a\"}");
	out.len = 0;
	message_aborted(&out, &id, NULL);
	assert_string_equal(out.data, "{\"type\":\"aborted\",\"id\":\"01020304-0506-0708-090a-0b0c0d0e0f10\"}");
	out.len = 0;
	message_aborted(&out, &id, "empty");
	assert_string_equal(
		out.data,
		"{\"type\":\"aborted\",\"id\":\"01020304-0506-0708-090a-0b0c0d0e0f10\",\"reason\":\"empty\"}");
	out.len = 0;
	message_error(&out, ERR_STORAGE_FULL, "Full.", &id, 7);
	assert_string_equal(out.data,
			    "{\"type\":\"error\",\"code\":\"storage_full\",\"message\":\"Full.\",\"retry\":true,"
			    "\"id\":\"01020304-0506-0708-090a-0b0c0d0e0f10\",\"bytes\":7}");
	out.len = 0;
	message_error(&out, ERR_TAKEN_OVER, NULL, NULL, MESSAGE_NO_BYTES);
	json_t *json = json_loads(out.data, 0, NULL);
	assert_int_equal(json_object_size(json), 4);
	assert_true(json_is_false(json_object_get(json, "retry")));
	assert_string_equal(json_string_value(json_object_get(json, "message")), err_text(ERR_TAKEN_OVER));
	json_decref(json);
	buf_release(&out);
}

static void texts_are_judged(void **state)
{
	static const char *const good[] = { "", "a", "ü€🎥", "../..", "\xf4\x8f\xbf\xbf", "\xc2\xa0" };
	static const char *const bad[] = { "\x01",
					   "\x7f",
					   "\xc2\x9f",
					   "\xc2",
					   "\xc0\x80",
					   "\xe0\x82\xa0",
					   "\xed\xa0\x80",
					   "\xf4\x90\x80\x80",
					   "\xf5\x80\x80\x80",
					   "\xf0\x82\x82\xac",
					   "\x80",
					   "a\xe2\x82" };
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(text_valid(good[i], 5));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(text_valid(bad[i], 5));
	assert_true(text_valid("üüüüü", 5));
	assert_false(text_valid("üüüüüü", 5));
}

static void hashes_are_judged(void **state)
{
	uint8_t sha256[32] = { 9 };
	assert_false(sha256_parse("", sha256));
	assert_false(sha256_parse(SHA "0", sha256));
	assert_false(sha256_parse("xBCDEFabcdef0123456789abcdef0123456789abcdef0123456789abcdef0123", sha256));
	assert_false(sha256_parse("ABCDEFabcdef0123456789abcdef0123456789abcdef0123456789abcdef012 ", sha256));
	assert_int_equal(sha256[0], 9);
	assert_true(sha256_parse(SHA, sha256));
	assert_int_equal(sha256[0], 0xab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_start),
		cmocka_unit_test(a_short_start),
		cmocka_unit_test(ends_and_aborts),
		cmocka_unit_test(what_is_no_message),
		cmocka_unit_test(fields_of_the_wrong_kind),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(the_server_writes),
		cmocka_unit_test(subscriptions),
		cmocka_unit_test(subscriptions_refused),
		cmocka_unit_test(subscriptions_to_a_batch),
		cmocka_unit_test(a_start_of_an_item),
		cmocka_unit_test(a_slice),
		cmocka_unit_test(items_are_refused_alone),
		cmocka_unit_test(slices_refused),
		cmocka_unit_test(slices_are_answered),
		cmocka_unit_test(states_are_written),
		cmocka_unit_test(texts_are_judged),
		cmocka_unit_test(hashes_are_judged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
