/* What work/pusher.h promises, against a real S3 server that is strict about signatures: Ceph's radosgw. What is in the
 * bucket is looked at with libcurl's own signing, which shares nothing with ours. */
#include "support/push_rig.h"
#include "support/radosgw.h"

#include "base/buf.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PART = LIMIT_PUSH_PART_MIN_BYTES };

#define NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct radosgw server;
static const struct s3_keys keys = { .access = "rgwkey", .secret = "rgwsecret" };

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
	buf_add(arg, data, size * count);
	return size * count;
}

/* A request of libcurl's own: `path` needs no encoding. The status; the body in `out`. */
static long ask(const char *method, const char *path, struct buf *out)
{
	char url[512];
	long status = 0;
	CURL *easy = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "x-amz-content-sha256: " NOTHING);
	assert_non_null(easy);
	snprintf(url, sizeof url, "http://127.0.0.1:%u%s", server.port, path);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, "aws:amz:us-east-1:s3");
	curl_easy_setopt(easy, CURLOPT_USERNAME, "rgwkey");
	curl_easy_setopt(easy, CURLOPT_PASSWORD, "rgwsecret");
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, out);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT, 30L);
	assert_int_equal(curl_easy_perform(easy), CURLE_OK);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(easy);
	curl_slist_free_all(headers);
	return status;
}

static int start_server(void **state)
{
	char why[4096];
	struct buf out;
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (!radosgw_start(&server, why, sizeof why)) {
		fprintf(stderr, "radosgw did not start: %s\n", why);
		return 1;
	}
	buf_init(&out);
	long status = ask("PUT", "/takes", &out);
	buf_release(&out);
	return status == 200 ? 0 : 1;
}

static int stop_server(void **state)
{
	(void)state;
	radosgw_stop(&server);
	return 0;
}

static void open_at(struct push_rig *g, const char *bucket, const struct s3_keys *with,
		    const struct pusher_s3_config *config)
{
	char url[160];
	if (g->p)
		push_rig_close(g);
	snprintf(url, sizeof url, "s3://%s?endpoint=http://127.0.0.1:%u", bucket, server.port);
	push_rig_open(g, url, with, config);
}

static int set_up(void **state)
{
	struct push_rig *g = calloc(1, sizeof *g);
	assert_non_null(g);
	push_rig_init(g);
	open_at(g, "takes/on%20air", &keys, NULL);
	*state = g;
	return 0;
}

static int tear_down(void **state)
{
	push_rig_release(*state);
	free(*state);
	return 0;
}

static void expect_ok(struct push_rig *g, struct push_step step)
{
	if (push_rig_do(g, step) != ERR_OK)
		fail_msg("%s: %s", err_code(g->err), g->message);
}

static void expect_err(struct push_rig *g, enum err err, struct push_step step)
{
	if (push_rig_do(g, step) != err)
		fail_msg("%s and not %s: %s", err_code(g->err), err_code(err), g->message);
}

/* What stands in the bucket is the file. */
static void expect_file(struct push_rig *g, const char *path)
{
	struct buf out;
	buf_init(&out);
	assert_int_equal(ask("GET", path, &out), 200);
	assert_int_equal(out.len, g->bytes);
	if (g->bytes > 0)
		assert_memory_equal(out.data, g->file, g->bytes);
	buf_release(&out);
}

static void hash(const struct push_rig *g, char out[65])
{
	struct push_body body = push_rig_body(g, 0, g->bytes);
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", body.sha256[i]);
}

static void small_files(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 100, LIMIT_READ_BYTES, 3 * MIB + 1 };
	struct push_rig *g = *state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		char key[32], path[64], sha[65];
		push_rig_file(g, sizes[i]);
		hash(g, sha);
		snprintf(key, sizeof key, "small-%zu", i);
		snprintf(path, sizeof path, "/takes/on%%20air/%s", key);
		expect_err(g, ERR_NOT_FOUND, (struct push_step){ .verb = PUSH_HEAD, .key = key });
		struct push_step put = { .verb = PUSH_PUT,
					 .key = key,
					 .body = push_rig_body(g, 0, sizes[i]),
					 .mime = "video/webm;codecs=\"vp8, opus\"",
					 .sha256 = sha,
					 .fresh = true };
		expect_ok(g, put);
		char etag[LIMIT_PUSH_ETAG_CHARS + 1];
		memcpy(etag, g->etag, sizeof etag);
		expect_err(g, ERR_EXISTS, put); /* it is there, and stays */
		expect_ok(g, (struct push_step){ .verb = PUSH_HEAD, .key = key });
		assert_int_equal(g->length, sizes[i]);
		assert_string_equal(g->sha256, sha);
		assert_string_equal(g->etag, etag);
		expect_file(g, path);
		put.fresh = false;
		expect_ok(g, put);
	}
}

static void names_of_all_kinds(void **state)
{
	static const char *const names[] = {
		"a b",
		"a+b",
		"a=b&c=d",
		"a@b:c!(d)*'e",
		"100%",
		"%41",
		"a//b",
		"x/../y",
		"./z",
		"t~ilde",
		"quo\"te",
		"a?b#c",
		"\xc3\xa9t\xc3\xa9/\xe6\x97\xa5\xe6\x9c\xac",
		"back\\slash",
		"semi;colon,comma",
		"<tag>&amp;",
		"$[]{}|^`",
	};
	struct push_rig *g = *state;
	push_rig_file(g, 10);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct push_step put = { .verb = PUSH_PUT, .key = names[i], .body = push_rig_body(g, 0, 10) };
		if (push_rig_do(g, put) != ERR_OK)
			fail_msg("%s: %s", names[i], g->message);
		expect_ok(g, (struct push_step){ .verb = PUSH_HEAD, .key = names[i] });
		assert_int_equal(g->length, 10);
	}
	/* uploads too, and what their list says of them */
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		expect_ok(g, (struct push_step){ .verb = PUSH_CREATE, .key = names[i] });
	expect_ok(g, (struct push_step){ .verb = PUSH_UPLOADS, .key = "" });
	assert_int_equal(g->upload_count, sizeof names / sizeof names[0]);
	assert_false(g->more);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		size_t at = 0;
		while (at < g->upload_count && strcmp(g->uploads[at].key, names[i]) != 0)
			at++;
		if (at == g->upload_count)
			fail_msg("no upload of %s", names[i]);
		struct push_upload u = g->uploads[at];
		assert_true(llabs(u.begun_ms - push_rig_now_ms()) < 60 * 1000);
		expect_ok(g, (struct push_step){ .verb = PUSH_ABORT, .key = u.key, .upload = u.upload });
		expect_ok(g, (struct push_step){ .verb = PUSH_UPLOADS, .key = "" });
	}
	assert_int_equal(g->upload_count, 0);
}

/* The ETag of an object in parts, as S3 makes it: the MD5 of their MD5s. That it is the right one says that the right
 * bytes are there, in their order. */
static void expected_etag(const struct push_rig *g, const struct push_plan *plan, char *out, size_t size)
{
	uint8_t md5s[16 * 16], all[16];
	assert_true(plan->parts <= 16);
	for (unsigned i = 0; i < plan->parts; i++) {
		uint64_t from = i * plan->part_bytes, left = g->bytes - from;
		uint64_t len = left < plan->part_bytes ? left : plan->part_bytes;
		assert_int_equal(EVP_Digest(g->file + from, len, md5s + 16 * i, NULL, EVP_md5(), NULL), 1);
	}
	assert_int_equal(EVP_Digest(md5s, (size_t)16 * plan->parts, all, NULL, EVP_md5(), NULL), 1);
	int at = snprintf(out, size, "\"");
	for (int i = 0; i < 16; i++)
		at += snprintf(out + at, size - (size_t)at, "%02x", all[i]);
	snprintf(out + at, size - (size_t)at, "-%u\"", plan->parts);
}

static struct push_step part_step(const struct push_rig *g, const char *upload, unsigned number)
{
	uint64_t from = (uint64_t)(number - 1) * PART, left = g->bytes - from;
	return (struct push_step){ .verb = PUSH_PART,
				   .key = "large",
				   .upload = upload,
				   .part = number,
				   .body = push_rig_body(g, from, left < PART ? left : PART) };
}

static void a_large_file_in_parts(void **state)
{
	struct push_rig *g = *state;
	char upload[LIMIT_PUSH_UPLOAD_CHARS + 1], sha[65], etag[64];
	push_rig_file(g, 2 * PART + 12345);
	hash(g, sha);
	struct push_plan plan = push_plan(g->bytes, PART);
	assert_int_equal(plan.parts, 3);
	expect_ok(g, (struct push_step){ .verb = PUSH_CREATE, .key = "large", .mime = "video/webm", .sha256 = sha });
	assert_true(strlen(g->upload) > 0);
	memcpy(upload, g->upload, sizeof upload);
	expect_ok(g, part_step(g, upload, 1));
	expect_ok(g, part_step(g, upload, 3));

	/* a crash: another process asks what is there, and sends what isn't */
	open_at(g, "takes/on%20air", &keys, NULL);
	struct push_step list = { .verb = PUSH_PARTS, .key = "large", .upload = upload };
	expect_ok(g, list);
	assert_int_equal(g->part_count, 2);
	assert_int_equal(g->parts[0].number, 1);
	assert_int_equal(g->parts[0].bytes, PART);
	assert_int_equal(g->parts[1].number, 3);
	assert_int_equal(g->parts[1].bytes, 12345);
	expect_ok(g, part_step(g, upload, 2));
	expect_ok(g, part_step(g, upload, 2)); /* once more: the same */
	char second[LIMIT_PUSH_ETAG_CHARS + 1];
	memcpy(second, g->etag, sizeof second);
	expect_ok(g, list);
	assert_int_equal(g->part_count, 3);
	assert_string_equal(g->parts[1].etag, second);

	struct push_part parts[3];
	memcpy(parts, g->parts, sizeof parts);
	struct push_step complete = {
		.verb = PUSH_COMPLETE, .key = "large", .upload = upload, .parts = parts, .part_count = 3, .fresh = true
	};
	expected_etag(g, &plan, etag, sizeof etag);
	expect_err(g, ERR_NOT_FOUND, (struct push_step){ .verb = PUSH_HEAD, .key = "large" });
	expect_ok(g, complete);
	expect_ok(g, (struct push_step){ .verb = PUSH_HEAD, .key = "large" });
	assert_int_equal(g->length, g->bytes);
	assert_string_equal(g->sha256, sha);
	assert_string_equal(g->etag, etag);
	expect_file(g, "/takes/on%20air/large");

	/* its answer was lost: harmless, whatever it says, and HEAD knows */
	enum err err = push_rig_do(g, complete);
	if (err != ERR_OK && err != ERR_EXISTS && err != ERR_UPLOAD_GONE)
		fail_msg("%s: %s", err_code(err), g->message);
	expect_file(g, "/takes/on%20air/large");
	expect_err(g, ERR_UPLOAD_GONE, list);
	expect_err(g, ERR_UPLOAD_GONE, part_step(g, upload, 1));
}

static void parts_that_are_not_right(void **state)
{
	struct push_rig *g = *state;
	char upload[LIMIT_PUSH_UPLOAD_CHARS + 1];
	static const uint8_t wrong[16] = { 1 };
	push_rig_file(g, PART + 100);
	expect_ok(g, (struct push_step){ .verb = PUSH_CREATE, .key = "large" });
	memcpy(upload, g->upload, sizeof upload);

	/* damaged behind the hash: refused, not kept */
	struct push_step step = part_step(g, upload, 1);
	g->file[PART / 2] ^= 1;
	expect_err(g, ERR_BUCKET_FAILED, step);
	g->file[PART / 2] ^= 1;
	step.body.md5 = wrong;
	expect_err(g, ERR_BUCKET_FAILED, step);
	assert_non_null(strstr(g->message, "BadDigest"));
	struct push_step list = { .verb = PUSH_PARTS, .key = "large", .upload = upload };
	expect_ok(g, list);
	assert_int_equal(g->part_count, 0);
	uint8_t md5[16];
	assert_int_equal(EVP_Digest(g->file, PART, md5, NULL, EVP_md5(), NULL), 1);
	step.body.md5 = md5;
	expect_ok(g, step);

	/* completing with what isn't there, or is another one, or too small */
	struct push_part parts[2] = { { .number = 1 },
				      { .number = 2, .etag = "\"00112233445566778899aabbccddeeff\"" } };
	memcpy(parts[0].etag, g->etag, sizeof g->etag);
	struct push_step complete = {
		.verb = PUSH_COMPLETE, .key = "large", .upload = upload, .parts = parts, .part_count = 2
	};
	expect_err(g, ERR_UPLOAD_GONE, complete);
	expect_ok(g, part_step(g, upload, 2));
	expect_err(g, ERR_UPLOAD_GONE, complete);
	step = part_step(g, upload, 2);
	step.part = 1; /* the short one is not the last */
	expect_ok(g, step);
	memcpy(parts[0].etag, g->etag, sizeof g->etag);
	memcpy(parts[1].etag, g->etag, sizeof g->etag);
	expect_err(g, ERR_BUCKET_REFUSED, complete);
	assert_non_null(strstr(g->message, "EntityTooSmall"));

	struct push_step abort_it = { .verb = PUSH_ABORT, .key = "large", .upload = upload };
	expect_ok(g, abort_it);
	push_rig_do(g, abort_it);
	assert_true(g->err == ERR_OK || g->err == ERR_UPLOAD_GONE);
	expect_err(g, ERR_UPLOAD_GONE, list);
}

/* What `fresh` is worth for an object in parts: this server looks at it for PUSH_PUT only, so that PUSH_HEAD before
 * completing is what keeps another's object from being replaced. A server that looks says ERR_EXISTS. */
static void completing_where_there_is_one(void **state)
{
	struct push_rig *g = *state;
	push_rig_file(g, 100);
	expect_ok(g, (struct push_step){ .verb = PUSH_PUT, .key = "twice", .body = push_rig_body(g, 0, 100) });
	expect_ok(g, (struct push_step){ .verb = PUSH_CREATE, .key = "twice" });
	char upload[LIMIT_PUSH_UPLOAD_CHARS + 1];
	memcpy(upload, g->upload, sizeof upload);
	struct push_step step = {
		.verb = PUSH_PART, .key = "twice", .upload = upload, .part = 1, .body = push_rig_body(g, 0, 50)
	};
	expect_ok(g, step);
	struct push_part part = { .number = 1, .bytes = 50 };
	memcpy(part.etag, g->etag, sizeof g->etag);
	expect_ok(g, (struct push_step){ .verb = PUSH_COMPLETE,
					 .key = "twice",
					 .upload = upload,
					 .parts = &part,
					 .part_count = 1,
					 .fresh = true });
	expect_ok(g, (struct push_step){ .verb = PUSH_HEAD, .key = "twice" });
	assert_int_equal(g->length, 50);
}

static void lists_have_pages(void **state)
{
	enum { MANY_PARTS = LIMIT_PUSH_LIST_PARTS + 5, MANY_UPLOADS = LIMIT_PUSH_LIST_UPLOADS + 5 };
	struct push_rig *g = *state;
	char upload[LIMIT_PUSH_UPLOAD_CHARS + 1];
	unsigned seen = 0;
	push_rig_file(g, 1);
	expect_ok(g, (struct push_step){ .verb = PUSH_CREATE, .key = "pages/a" });
	memcpy(upload, g->upload, sizeof upload);
	struct push_step step = {
		.verb = PUSH_PART, .key = "pages/a", .upload = upload, .body = push_rig_body(g, 0, 1)
	};
	for (step.part = 1; step.part <= MANY_PARTS; step.part++)
		expect_ok(g, step);
	expect_ok(g, (struct push_step){ .verb = PUSH_PARTS, .key = "pages/a", .upload = upload });
	assert_int_equal(g->part_count, MANY_PARTS);
	for (unsigned i = 0; i < MANY_PARTS; i++)
		assert_int_equal(g->parts[i].number, i + 1);
	for (unsigned i = 1; i < MANY_UPLOADS; i++) /* half of them of one name */
		expect_ok(g, (struct push_step){ .verb = PUSH_CREATE, .key = i % 2 ? "pages/a" : "pages/b" });
	expect_ok(g, (struct push_step){ .verb = PUSH_CREATE, .key = "other" });
	struct push_upload last;
	struct push_step list = { .verb = PUSH_UPLOADS, .key = "pages/" };
	do {
		expect_ok(g, list);
		seen += (unsigned)g->upload_count;
		for (size_t i = 0; i < g->upload_count; i++)
			assert_memory_equal(g->uploads[i].key, "pages/", 6);
		if (g->upload_count > 0)
			last = g->uploads[g->upload_count - 1];
		list.after = &last;
	} while (g->more && seen <= MANY_UPLOADS);
	assert_int_equal(seen, MANY_UPLOADS);
}

static void who_is_refused(void **state)
{
	struct push_rig *g = *state;
	const struct s3_keys other = { .access = "rgwkey", .secret = "another" },
			     nobody = { .access = "nobody", .secret = "rgwsecret" };
	push_rig_file(g, 10);
	struct push_step put = { .verb = PUSH_PUT, .key = "refused", .body = push_rig_body(g, 0, 10) };
	put.now_ms = push_rig_now_ms() - 3600 * 1000;
	expect_err(g, ERR_BUCKET_FAILED, put);
	assert_non_null(strstr(g->message, "this one is behind"));
	put.now_ms = push_rig_now_ms() + 3600 * 1000;
	expect_err(g, ERR_BUCKET_FAILED, put);
	assert_non_null(strstr(g->message, "this one is ahead"));
	put.now_ms = 0;
	open_at(g, "takes", &other, NULL);
	expect_err(g, ERR_BUCKET_REFUSED, put);
	assert_non_null(strstr(g->message, "SignatureDoesNotMatch"));
	expect_err(g, ERR_BUCKET_REFUSED, (struct push_step){ .verb = PUSH_HEAD });
	open_at(g, "takes", &nobody, NULL);
	expect_err(g, ERR_BUCKET_REFUSED, put);
	assert_non_null(strstr(g->message, "InvalidAccessKeyId"));
	open_at(g, "no-such-bucket", &keys, NULL);
	expect_err(g, ERR_BUCKET_REFUSED, put);
	assert_string_equal(g->message, "There is no such bucket (404 NoSuchBucket).");
	expect_err(g, ERR_BUCKET_REFUSED, (struct push_step){ .verb = PUSH_CREATE });
	open_at(g, "takes", &keys, NULL);
	expect_err(g, ERR_NOT_FOUND, (struct push_step){ .verb = PUSH_HEAD, .key = "refused" });
	char bogus[] = "2~bogus";
	expect_err(g, ERR_UPLOAD_GONE, (struct push_step){ .verb = PUSH_PARTS, .upload = bogus });
	put = (struct push_step){ .verb = PUSH_PART, .upload = bogus, .part = 1, .body = push_rig_body(g, 0, 10) };
	expect_err(g, ERR_UPLOAD_GONE, put);
}

static void with_tls(void **state)
{
	struct push_rig *g = *state;
	char url[128], sha[65];
	const struct pusher_s3_config trusting = { .ca_file = server.ca };
	snprintf(url, sizeof url, "s3://takes/tls?endpoint=https://127.0.0.1:%u", server.tls_port);
	push_rig_file(g, 2 * MIB);
	hash(g, sha);
	struct push_step put = { .verb = PUSH_PUT, .key = "t", .body = push_rig_body(g, 0, 2 * MIB), .sha256 = sha };
	push_rig_close(g);
	push_rig_open(g, url, &keys, NULL);
	expect_err(g, ERR_BUCKET_FAILED, put); /* the system does not know this certificate */
	push_rig_close(g);
	push_rig_open(g, url, &keys, &trusting);
	expect_ok(g, put);
	expect_file(g, "/takes/tls/t");
}

/* A bucket that stops in the middle of a part, and comes back. */
static void a_bucket_that_is_away_a_while(void **state)
{
	struct push_rig *g = *state;
	const struct pusher_s3_config hasty = { .stall_s = 1, .wait_ms = 500 };
	char upload[LIMIT_PUSH_UPLOAD_CHARS + 1];
	open_at(g, "takes/on%20air", &keys, &hasty);
	push_rig_file(g, 2 * PART);
	expect_ok(g, (struct push_step){ .verb = PUSH_CREATE, .key = "large" });
	memcpy(upload, g->upload, sizeof upload);
	expect_ok(g, part_step(g, upload, 1));
	push_rig_start(g, part_step(g, upload, 2));
	while (g->wants < 2)
		uv_run(&g->loop, UV_RUN_ONCE);
	assert_int_equal(kill(server.pid, SIGSTOP), 0);
	push_rig_wait(g);
	enum err first = g->err;
	enum err listed = push_rig_do(g, (struct push_step){ .verb = PUSH_PARTS, .key = "large", .upload = upload });
	assert_int_equal(kill(server.pid, SIGCONT), 0);
	assert_int_equal(first, ERR_BUCKET_FAILED);
	assert_int_equal(listed, ERR_BUCKET_FAILED);
	open_at(g, "takes/on%20air", &keys, NULL);
	expect_ok(g, part_step(g, upload, 2));
	expect_ok(g, (struct push_step){ .verb = PUSH_PARTS, .key = "large", .upload = upload });
	assert_int_equal(g->part_count, 2);
	struct push_part parts[2];
	memcpy(parts, g->parts, sizeof parts);
	expect_ok(g,
		  (struct push_step){
			  .verb = PUSH_COMPLETE, .key = "large", .upload = upload, .parts = parts, .part_count = 2 });
	expect_file(g, "/takes/on%20air/large");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(small_files),
		TEST(names_of_all_kinds),
		TEST(a_large_file_in_parts),
		TEST(parts_that_are_not_right),
		TEST(completing_where_there_is_one),
		TEST(lists_have_pages),
		TEST(who_is_refused),
		TEST(with_tls),
		TEST(a_bucket_that_is_away_a_while),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
