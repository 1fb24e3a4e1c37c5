/* Pushing by libcurl against a server in the same loop: what is sent, and what becomes of each way to fail. That what
 * is sent is right is tests/contract/pusher_test.c's, against a real one. */
#include "support/push_rig.h"
#include "support/web_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rig {
	struct push_rig push;
	struct web_server *server;
	struct web_request asked[8];
	unsigned count;
	char *body; /* of the last one; owned */
	size_t body_len;
	const char *answers[8]; /* for each; the last one with text goes on, NULL: none */
	bool at_once, hang_up, mute;
	char url[128];
};

static const struct s3_keys keys = { .access = "AK", .secret = "verysecret", .token = "verytoken" };
static const struct pusher_s3_config waits = { .wait_ms = 400, .complete_ms = 800, .stall_s = 1, .connect_ms = 1000 };

static void on_request(void *arg, struct web_peer *peer, const struct web_request *r)
{
	struct rig *g = arg;
	unsigned which = g->count < 8 ? g->count : 7;
	g->asked[which] = *r;
	free(g->body);
	g->body = malloc(r->body_len + 1);
	assert_non_null(g->body);
	memcpy(g->body, r->body, r->body_len);
	g->body_len = r->body_len;
	g->count++;
	if (g->answers[which])
		web_say(peer, g->answers[which]);
	if (g->hang_up)
		web_close(peer);
}

static bool on_head(void *arg, struct web_peer *peer, const struct web_request *r)
{
	struct rig *g = arg;
	char text[64];
	if (!g->at_once) {
		if (web_header(r, "expect", text, sizeof text))
			web_say(peer, "HTTP/1.1 100 Continue\r\n\r\n");
		return false;
	}
	g->count++;
	if (!g->mute || web_header(r, "expect", text, sizeof text))
		web_say(peer, g->answers[0]);
	web_close(peer);
	return true;
}

static int set_up(void **state)
{
	struct rig *g = calloc(1, sizeof *g);
	assert_non_null(g);
	push_rig_init(&g->push);
	g->server = web_server_new(&g->push.loop, on_request, g);
	web_server_on_head(g->server, on_head);
	snprintf(g->url, sizeof g->url, "s3://takes/on air?endpoint=http://127.0.0.1:%u&region=eu-west-1",
		 web_server_port(g->server));
	push_rig_open(&g->push, g->url, &keys, &waits);
	push_rig_file(&g->push, 100);
	*state = g;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *g = *state;
	if (g->push.p)
		push_rig_close(&g->push);
	web_server_free(g->server);
	push_rig_release(&g->push);
	free(g->body);
	free(g);
	return 0;
}

#define OK_ETAG "HTTP/1.1 200 OK\r\nETag: \"e1\"\r\nContent-Length: 0\r\n\r\n"

/* An answer with a body, in one of a few places. */
static const char *with_body(const char *status, const char *body)
{
	static char places[4][4096];
	static unsigned at;
	at = (at + 1) % 4;
	snprintf(places[at], sizeof places[0], "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body),
		 body);
	return places[at];
}

static void expect_header(const struct web_request *r, const char *name, const char *value)
{
	char text[1024];
	if (!web_header(r, name, text, sizeof text))
		fail_msg("no %s in %s", name, r->head);
	assert_string_equal(text, value);
}

static void expect_line(const struct web_request *r, const char *line)
{
	if (strncmp(r->head, line, strlen(line)) != 0)
		fail_msg("%s", r->head);
}

static void each_step_is_one_request(void **state)
{
	struct rig *g = *state;
	static const struct push_part parts[] = { { 1, 5, "\"a\"" }, { 2, 3, "\"b\"" } };
	static const struct push_upload after = { .key = "a b", .upload = "u/1" };
	const struct {
		struct push_step step;
		const char *answer, *line;
	} rows[] = {
		{ { .verb = PUSH_PUT, .body = push_rig_body(&g->push, 0, 100) },
		  OK_ETAG,
		  "PUT /takes/on%20air/take.webm HTTP/1.1\r\n" },
		{ { .verb = PUSH_CREATE, .key = "a+b/c" },
		  with_body("200 OK",
			    "<InitiateMultipartUploadResult><UploadId>u/1</UploadId></InitiateMultipartUploadResult>"),
		  "POST /takes/on%20air/a%2Bb/c?uploads= HTTP/1.1\r\n" },
		{ { .verb = PUSH_PART, .upload = "u/1", .part = 7, .body = push_rig_body(&g->push, 10, 90) },
		  OK_ETAG,
		  "PUT /takes/on%20air/take.webm?partNumber=7&uploadId=u%2F1 HTTP/1.1\r\n" },
		{ { .verb = PUSH_PARTS, .upload = "u/1" },
		  with_body("200 OK", "<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>"),
		  "GET /takes/on%20air/take.webm?max-parts=1000&uploadId=u%2F1 HTTP/1.1\r\n" },
		{ { .verb = PUSH_COMPLETE, .upload = "u/1", .parts = parts, .part_count = 2 },
		  with_body("200 OK",
			    "<CompleteMultipartUploadResult><ETag>\"e1\"</ETag></CompleteMultipartUploadResult>"),
		  "POST /takes/on%20air/take.webm?uploadId=u%2F1 HTTP/1.1\r\n" },
		{ { .verb = PUSH_HEAD }, OK_ETAG, "HEAD /takes/on%20air/take.webm HTTP/1.1\r\n" },
		{ { .verb = PUSH_ABORT, .upload = "u/1" },
		  "HTTP/1.1 204 No Content\r\n\r\n",
		  "DELETE /takes/on%20air/take.webm?uploadId=u%2F1 HTTP/1.1\r\n" },
		{ { .verb = PUSH_UPLOADS, .key = "", .after = &after },
		  with_body("200 OK", "<ListMultipartUploadsResult/>"),
		  "GET /takes?key-marker=on%20air%2Fa%20b&max-uploads=500&prefix=on%20air%2F&upload-id-marker=u%2F1&"
		  "uploads= HTTP/1.1\r\n" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		g->count = 0;
		g->answers[0] = rows[i].answer;
		if (push_rig_do(&g->push, rows[i].step) != ERR_OK)
			fail_msg("%s: %s", rows[i].line, g->push.message);
		assert_int_equal(g->count, 1);
		expect_line(&g->asked[0], rows[i].line);
		assert_null(strstr(g->asked[0].head, "verysecret"));
	}
	assert_int_equal(web_server_accepted(g->server), 1); /* one connection serves all */
}

static void a_file_is_put_with_all_that_is_known(void **state)
{
	struct rig *g = *state;
	static const uint8_t md5[16] = { 0xf9, 0x1f };
	static const char whole[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	char port[32], text[512];
	struct push_step step = { .verb = PUSH_PUT,
				  .body = push_rig_body(&g->push, 0, 100),
				  .now_ms = INT64_C(1440938160000),
				  .mime = "video/webm",
				  .sha256 = whole,
				  .fresh = true };
	step.body.md5 = md5;
	g->answers[0] = OK_ETAG;
	assert_int_equal(push_rig_do(&g->push, step), ERR_OK);
	const struct web_request *r = &g->asked[0];
	assert_string_equal(g->push.etag, "\"e1\"");
	snprintf(port, sizeof port, "127.0.0.1:%u", web_server_port(g->server));
	expect_header(r, "host", port);
	expect_header(r, "content-length", "100");
	expect_header(r, "content-type", "video/webm");
	expect_header(r, "content-md5", "+R8AAAAAAAAAAAAAAAAAAA==");
	expect_header(r, "if-none-match", "*");
	expect_header(r, "x-amz-meta-sha256", whole);
	assert_true(web_header(r, "x-amz-date", text, sizeof text));
	assert_memory_equal(text, "20150830T12360", 14); /* the step's time, and what has passed since */
	expect_header(r, "x-amz-security-token", "verytoken");
	assert_true(web_header(r, "x-amz-content-sha256", text, sizeof text));
	assert_int_equal(strlen(text), 64);
	assert_true(web_header(r, "authorization", text, sizeof text));
	static const char credential[] =
		"AWS4-HMAC-SHA256 Credential=AK/20150830/eu-west-1/s3/aws4_request, "
		"SignedHeaders=content-md5;content-type;host;if-none-match;x-amz-content-sha256;"
		"x-amz-date;x-amz-meta-sha256;x-amz-security-token, Signature=";
	assert_memory_equal(text, credential, sizeof credential - 1);
	assert_int_equal(g->body_len, 100);
	assert_memory_equal(g->body, g->push.file, 100);
}

static void a_body_comes_piece_by_piece(void **state)
{
	struct rig *g = *state;
	const uint64_t bytes = 5 * LIMIT_READ_BYTES + 7;
	for (int way = 0; way < 3; way++) {
		push_rig_file(&g->push, bytes + 1000);
		g->push.inline_reads = way == 1;
		g->push.backwards = way == 2;
		g->count = 0;
		g->answers[0] = OK_ETAG;
		struct push_step step = {
			.verb = PUSH_PART, .upload = "u", .part = 1, .body = push_rig_body(&g->push, 1000, bytes)
		};
		assert_int_equal(push_rig_do(&g->push, step), ERR_OK);
		assert_int_equal(g->push.wants, 6);
		assert_int_equal(g->push.most_reads, way == 1 ? 1 : 2);
		assert_int_equal(g->body_len, bytes);
		assert_memory_equal(g->body, g->push.file + 1000, bytes);
	}
}

static void an_empty_file_is_put(void **state)
{
	struct rig *g = *state;
	struct push_step step = { .verb = PUSH_PUT, .body = push_rig_body(&g->push, 0, 0) };
	g->answers[0] = OK_ETAG;
	assert_int_equal(push_rig_do(&g->push, step), ERR_OK);
	expect_header(&g->asked[0], "content-length", "0");
	expect_header(&g->asked[0], "x-amz-content-sha256",
		      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_int_equal(g->push.wants, 0);
}

static void answers_have_meanings(void **state)
{
	static const struct {
		enum push_verb verb;
		const char *status, *body; /* body NULL: `status` is all of it */
		enum err err;
		uint64_t after_ms;
	} rows[] = {
		{ PUSH_PART, "503 Slow\r\nRetry-After: 90", "<Error><Code>SlowDown</Code></Error>", ERR_BUCKET_FAILED,
		  90000 },
		{ PUSH_PART, "403 No", "<Error><Code>AccessDenied</Code></Error>", ERR_BUCKET_REFUSED, 0 },
		{ PUSH_PART, "404 No", "<Error><Code>NoSuchUpload</Code></Error>", ERR_UPLOAD_GONE, 0 },
		{ PUSH_PART, "404 No", "<Error><Code>NoSuchBucket</Code></Error>", ERR_BUCKET_REFUSED, 0 },
		{ PUSH_PART, "403 No\r\nDate: Fri, 27 Nov 2026 00:00:00 GMT",
		  "<Error><Code>AccessDenied</Code></Error>", ERR_BUCKET_FAILED,
		  0 }, /* the clock: the step's is of 2027 */
		{ PUSH_PART, "HTTP/1.1 403 No\r\nContent-Length: 500\r\n\r\n<Error>", NULL, ERR_BUCKET_REFUSED, 0 },
		{ PUSH_PART, "301 Moved\r\nx-amz-bucket-region: eu-west-2", "", ERR_BUCKET_REFUSED, 0 },
		{ PUSH_PART, "200 OK", "", ERR_BUCKET_FAILED, 0 }, /* no ETag */
		{ PUSH_HEAD, "HTTP/1.1 404 No\r\nContent-Length: 7\r\n\r\n", NULL, ERR_NOT_FOUND, 0 },
		{ PUSH_CREATE, "200 OK", "<html></html>", ERR_BUCKET_FAILED, 0 },
		{ PUSH_CREATE, "200 OK", "<InitiateMultipartUploadResult><UploadId>u</UploadId>", ERR_BUCKET_FAILED,
		  0 },
		{ PUSH_COMPLETE, "200 OK", "<Error><Code>InternalError</Code></Error>", ERR_BUCKET_FAILED, 0 },
		{ PUSH_COMPLETE, "200 OK", "<Error><Code>NoSuchUpload</Code></Error>", ERR_UPLOAD_GONE, 0 },
		{ PUSH_COMPLETE, "200 OK", "<Error><Code>PreconditionFailed</Code></Error>", ERR_EXISTS, 0 },
		{ PUSH_COMPLETE, "200 OK", "", ERR_BUCKET_FAILED, 0 },
		{ PUSH_COMPLETE, "412 No", "", ERR_EXISTS, 0 },
		{ PUSH_ABORT, "404 No", "", ERR_UPLOAD_GONE, 0 },
		{ PUSH_PARTS, "200 OK", "<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>",
		  ERR_BUCKET_FAILED, 0 },
		{ PUSH_PARTS, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<ListPartsResult/>", NULL,
		  ERR_BUCKET_FAILED, 0 },
		{ PUSH_HEAD, "nonsense\r\n\r\n", NULL, ERR_BUCKET_FAILED, 0 },
		{ PUSH_CREATE, NULL, NULL, ERR_BUCKET_FAILED, 0 }, /* the time-out … */
		{ PUSH_COMPLETE, NULL, NULL, ERR_BUCKET_FAILED, 0 },
		{ PUSH_PART, NULL, NULL, ERR_BUCKET_FAILED, 0 }, /* … and the stall */
	};
	struct rig *g = *state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct push_step step = {
			.verb = rows[i].verb, .upload = "u", .part = 1, .now_ms = INT64_C(1811548800000)
		};
		step.body = push_rig_body(&g->push, 0, 100);
		g->count = 0;
		g->answers[0] = rows[i].body ? with_body(rows[i].status, rows[i].body) : rows[i].status;
		g->hang_up = rows[i].status && !rows[i].body;
		enum err err = push_rig_do(&g->push, step);
		if (err != rows[i].err || g->push.retry_after_ms != rows[i].after_ms || !*g->push.message)
			fail_msg("%s: %s %s", rows[i].status, err_code(err), g->push.message);
		assert_int_equal(g->count, 1); /* nothing was followed or repeated */
		assert_null(strstr(g->push.message, "secret"));
	}
}

static void who_refuses_before_the_body_is_heard(void **state)
{
	struct rig *g = *state;
	push_rig_file(&g->push, 8 * MIB);
	/* with Expect: 100-continue; without, where the answer may be lost; without, and it is lost */
	for (int i = 0; i < 3; i++) {
		uint64_t len = i == 0 ? 8 * MIB : 512 * KIB;
		struct push_step step = {
			.verb = PUSH_PART, .upload = "u", .part = 1, .body = push_rig_body(&g->push, 0, len)
		};
		g->at_once = true;
		g->mute = i == 2;
		g->count = 0;
		g->answers[0] =
			with_body("403 No\r\nConnection: close", "<Error><Code>InvalidAccessKeyId</Code></Error>");
		assert_int_equal(push_rig_do(&g->push, step), ERR_BUCKET_REFUSED);
		assert_non_null(strstr(g->push.message, "access key"));
		assert_in_range(g->count, i == 2 ? 2 : 1, i == 0 ? 1 : 2);
		if (i == 0)
			assert_int_equal(g->push.wants, 0);
	}
}

static void nobody_there(void **state)
{
	struct rig *g = *state;
	char url[128];
	struct web_server *gone = web_server_new(&g->push.loop, on_request, g);
	snprintf(url, sizeof url, "s3://takes?endpoint=http://127.0.0.1:%u", web_server_port(gone));
	web_server_free(gone);
	push_rig_close(&g->push);
	push_rig_open(&g->push, url, &keys, &waits);
	assert_int_equal(push_rig_do(&g->push, (struct push_step){ .verb = PUSH_HEAD }), ERR_BUCKET_FAILED);
	assert_string_equal(g->push.message, "The bucket can't be connected to.");
}

/* 501 to If-None-Match: once asked without, and never again with. */
static void a_bucket_without_conditions(void **state)
{
	struct rig *g = *state;
	char text[64];
	struct push_step step = { .verb = PUSH_PUT, .fresh = true, .body = push_rig_body(&g->push, 0, 100) };
	g->answers[0] = with_body("501 No", "<Error><Code>NotImplemented</Code></Error>");
	g->answers[1] = g->answers[2] = OK_ETAG;
	assert_int_equal(push_rig_do(&g->push, step), ERR_OK);
	assert_int_equal(g->count, 2);
	expect_header(&g->asked[0], "if-none-match", "*");
	assert_false(web_header(&g->asked[1], "if-none-match", text, sizeof text));
	assert_int_equal(g->body_len, 100); /* sent anew, from its beginning */
	assert_memory_equal(g->body, g->push.file, 100);
	assert_int_equal(push_rig_do(&g->push, step), ERR_OK);
	assert_int_equal(g->count, 3);
	assert_false(web_header(&g->asked[2], "if-none-match", text, sizeof text));
	g->count = 0;
	assert_int_equal(push_rig_do(&g->push, step), ERR_BUCKET_REFUSED); /* and 501 to that is no */
}

static void a_list_has_pages(void **state)
{
	struct rig *g = *state;
	g->answers[0] =
		with_body("200 OK", "<ListPartsResult><IsTruncated>true</IsTruncated><Part><PartNumber>7</PartNumber>"
				    "<Size>5</Size><ETag>\"a\"</ETag></Part></ListPartsResult>");
	g->answers[1] =
		with_body("200 OK", "<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>9</PartNumber>"
				    "<Size>6</Size><ETag>\"b\"</ETag></Part></ListPartsResult>");
	assert_int_equal(push_rig_do(&g->push, (struct push_step){ .verb = PUSH_PARTS, .upload = "u" }), ERR_OK);
	expect_line(&g->asked[1],
		    "GET /takes/on%20air/take.webm?max-parts=1000&part-number-marker=7&uploadId=u HTTP/1.1\r\n");
	assert_int_equal(g->push.part_count, 2);
	assert_int_equal(g->push.parts[1].number, 9);
	assert_int_equal(g->push.parts[1].bytes, 6);
	assert_string_equal(g->push.parts[1].etag, "\"b\"");
}

static void a_head_is_read(void **state)
{
	struct rig *g = *state;
	static const char sha[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	char answer[512];
	snprintf(answer, sizeof answer,
		 "HTTP/1.1 200 OK\r\nContent-Length: 12345678901\r\nETag:  \"abc-3\" \r\nX-Amz-Meta-Sha256: %s\r\n\r\n",
		 sha);
	g->answers[0] = answer;
	assert_int_equal(push_rig_do(&g->push, (struct push_step){ .verb = PUSH_HEAD }), ERR_OK);
	assert_int_equal(g->push.length, UINT64_C(12345678901));
	assert_string_equal(g->push.etag, "\"abc-3\"");
	assert_string_equal(g->push.sha256, sha);
	g->answers[0] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-Amz-Meta-Sha256: else\r\n\r\n";
	g->count = 0;
	assert_int_equal(push_rig_do(&g->push, (struct push_step){ .verb = PUSH_HEAD }), ERR_OK);
	assert_string_equal(g->push.sha256, "");
}

static void answers_have_a_limit(void **state)
{
	struct rig *g = *state;
	const size_t size = LIMIT_PUSH_ANSWER_BYTES + 65536;
	char *answer = malloc(size + 1);
	assert_non_null(answer);
	memset(answer, ' ', size);
	answer[size] = '\0';
	memcpy(answer, "HTTP/1.1 200 OK\r\n\r\n", 19);
	g->answers[0] = answer;
	assert_int_equal(push_rig_do(&g->push, (struct push_step){ .verb = PUSH_PARTS, .upload = "u" }),
			 ERR_BUCKET_FAILED);
	assert_string_equal(g->push.message, "The bucket's answer is longer than the limit.");
	memcpy(answer, "HTTP/1.1 200 OK\r\nX:", 19);
	for (size_t at = 1000; at < size - 4; at += 1000)
		memcpy(answer + at, "\r\nX:", 4);
	g->count = 0;
	assert_int_equal(push_rig_do(&g->push, (struct push_step){ .verb = PUSH_HEAD }), ERR_BUCKET_FAILED);
	assert_string_equal(g->push.message, "The bucket's answer is longer than the limit.");
	free(answer);
}

/* A kept connection that the server closed meanwhile: the body begins again on another. */
static void a_closed_connection_is_not_the_end(void **state)
{
	struct rig *g = *state;
	struct push_step step = {
		.verb = PUSH_PART, .upload = "u", .part = 1, .body = push_rig_body(&g->push, 0, 100)
	};
	g->answers[0] = OK_ETAG;
	g->hang_up = true;
	assert_int_equal(push_rig_do(&g->push, step), ERR_OK);
	g->hang_up = false;
	g->count = 0;
	assert_int_equal(push_rig_do(&g->push, step), ERR_OK);
	assert_memory_equal(g->body, g->push.file, 100);
}

/* Our own disk that does not answer is a stall too: the step ends, and what comes then is dropped. */
static void a_reader_that_never_comes(void **state)
{
	struct rig *g = *state;
	struct push_step step = {
		.verb = PUSH_PART, .upload = "u", .part = 1, .body = push_rig_body(&g->push, 0, 100)
	};
	g->push.never = true;
	assert_int_equal(push_rig_do(&g->push, step), ERR_BUCKET_FAILED);
	assert_int_equal(g->push.read_count, 1);
	g->push.p->ops->feed(g->push.p, g->push.id, 0, g->push.file, 100);
}

static void what_is_cancelled_says_nothing_more(void **state)
{
	struct rig *g = *state;
	struct push_step part = {
		.verb = PUSH_PART, .upload = "u", .part = 1, .body = push_rig_body(&g->push, 0, 100)
	};
	push_rig_start(&g->push, part); /* before it began */
	g->push.p->ops->cancel(g->push.p, g->push.id);
	g->push.never = true;
	push_rig_start(&g->push, part); /* while it waits for its body */
	while (g->push.wants == 0)
		uv_run(&g->push.loop, UV_RUN_ONCE);
	g->push.p->ops->cancel(g->push.p, g->push.id);
	g->push.p->ops->feed(g->push.p, g->push.id, 0, g->push.file, 100);
	g->push.read_count = 0;
	g->push.cancel = true;
	push_rig_start(&g->push, part); /* from inside of libcurl */
	while (g->push.wants == 0)
		uv_run(&g->push.loop, UV_RUN_ONCE);
	assert_int_equal(g->push.done, 0);
	g->push.cancel = g->push.never = false;
	g->push.read_count = 0;
	push_rig_start(&g->push, (struct push_step){ .verb = PUSH_HEAD }); /* while it waits for its answer */
	while (g->count == 0)
		uv_run(&g->push.loop, UV_RUN_ONCE);
	g->push.p->ops->cancel(g->push.p, g->push.id);
	assert_int_equal(g->push.done, 0);
	g->answers[1] = OK_ETAG;
	assert_int_equal(push_rig_do(&g->push, (struct push_step){ .verb = PUSH_HEAD }), ERR_OK);
	push_rig_start(&g->push, part); /* tear_down closes over this one */
	uv_run(&g->push.loop, UV_RUN_NOWAIT);
}

static void names_that_are_none(void **state)
{
	struct rig *g = *state;
	char key[LIMIT_S3_KEY_BYTES];
	memset(key, 'k', sizeof key);
	key[sizeof key - 1] = '\0'; /* alone it would fit */
	assert_int_equal(push_rig_do(&g->push, (struct push_step){ .verb = PUSH_HEAD, .key = key }),
			 ERR_BUCKET_REFUSED);
	assert_int_equal(push_rig_do(&g->push, (struct push_step){ .verb = PUSH_HEAD, .key = "" }), ERR_BUCKET_REFUSED);
	assert_int_equal(g->count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_step_is_one_request),
		TEST(a_file_is_put_with_all_that_is_known),
		TEST(a_body_comes_piece_by_piece),
		TEST(an_empty_file_is_put),
		TEST(answers_have_meanings),
		TEST(who_refuses_before_the_body_is_heard),
		TEST(nobody_there),
		TEST(a_bucket_without_conditions),
		TEST(a_list_has_pages),
		TEST(a_head_is_read),
		TEST(answers_have_a_limit),
		TEST(a_closed_connection_is_not_the_end),
		TEST(a_reader_that_never_comes),
		TEST(what_is_cancelled_says_nothing_more),
		TEST(names_that_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
