/* What a bucket's answers are taken for: well-formed or not, ids, lists, errors. */
#include "work/s3_answer.h"
#include "work/s3_xml.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct visits {
	char text[1024];
};

static bool on_visit(void *arg, const char *path, const char *text)
{
	struct visits *v = arg;
	size_t len = strlen(v->text);
	snprintf(v->text + len, sizeof v->text - len, "%s=%s;", path, text ? text : "-");
	return true;
}

static void xml(void **state)
{
	static const struct {
		const char *text, *visits; /* NULL: refused */
	} rows[] = {
		{ "<a/>", "a=;" },
		{ "<a></a>", "a=;" },
		{ "<a>x</a>", "a=x;" },
		{ " \n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n <a xmlns=\"u:/v\" b='\">'><b> 1 </b>\n<c/></a >\n",
		  "a/b= 1 ;a/c=;a=-;" },
		{ "\xef\xbb\xbf<a><b><c>1</c></b><b/></a>", "a/b/c=1;a/b=-;a/b=;a=-;" },
		{ "<a>&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#xe9;&#x20ac;&#x1F600;</a>",
		  "a=<>&\"'AB\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80;" },
		{ "<a><a><a><a><a><a><a><a>8</a></a></a></a></a></a></a></a>",
		  "a/a/a/a/a/a/a/a=8;a/a/a/a/a/a/a=-;a/a/a/a/a/a=-;a/a/a/a/a=-;a/a/a/a=-;a/a/a=-;a/a=-;a=-;" },
		{ "<a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a>", NULL },
		{ "", NULL },
		{ "x", NULL },
		{ "<a>", NULL },
		{ "<a", NULL },
		{ "<a/", NULL },
		{ "<a></b>", NULL },
		{ "<a></ab>", NULL },
		{ "<ab></a>", NULL },
		{ "<a/><b/>", NULL },
		{ "<a/>x", NULL },
		{ "</a>", NULL },
		{ "<a>x<b/></a>", NULL },
		{ "<a><b/>x</a>", NULL },
		{ "<a b></a>", NULL },
		{ "<a b=c></a>", NULL },
		{ "<a b=\"c></a>", NULL },
		{ "<a b=\"<\"></a>", NULL },
		{ "<ab='c'/>", NULL },
		{ "<1/>", NULL },
		{ "< a/>", NULL },
		{ "<a>&nbsp;</a>", NULL },
		{ "<a>&#0;</a>", NULL },
		{ "<a>&#xd800;</a>", NULL },
		{ "<a>&#x110000;</a>", NULL },
		{ "<a>&#;</a>", NULL },
		{ "<a>&#x;</a>", NULL },
		{ "<a>&#000000065;</a>", NULL },
		{ "<a>&lt</a>", NULL },
		{ "&lt;<a/>", NULL },
		{ "<!DOCTYPE a><a/>", NULL },
		{ "<a><!-- x --></a>", NULL },
		{ "<a><![CDATA[x]]></a>", NULL },
		{ "<a><?php x?></a>", NULL },
		{ "<?xml version=\"1.0\"><a/>", NULL },
		{ "<?xml <a/>?><a/>", NULL },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct visits v = { "" };
		bool ok = s3_xml_read(rows[i].text, strlen(rows[i].text), on_visit, &v);
		if (ok != (rows[i].visits != NULL))
			fail_msg("%s: %d", rows[i].text, ok);
		if (ok)
			assert_string_equal(v.text, rows[i].visits);
	}
	assert_false(s3_xml_read("<a>\0</a>", 8, on_visit, &(struct visits){ "" }));
}

/* What is cut off anywhere is nothing. */
static void xml_that_is_cut(void **state)
{
	static const char text[] = "<?xml version=\"1.0\"?><a b=\"c\"><d>1&amp;</d><e/></a>";
	(void)state;
	for (size_t len = 0; len < sizeof text - 1; len++)
		assert_false(s3_xml_read(text, len, on_visit, &(struct visits){ "" }));
	assert_true(s3_xml_read(text, sizeof text - 1, on_visit, &(struct visits){ "" }));
}

static void xml_has_limits(void **state)
{
	struct buf b;
	(void)state;
	for (int over = 0; over < 2; over++) {
		buf_init(&b);
		buf_addf(&b, "<a>%0*d</a>", 4 * LIMIT_S3_KEY_BYTES + over, 0);
		assert_int_equal(s3_xml_read(b.data, b.len, on_visit, &(struct visits){ "" }), !over);
		buf_release(&b);
		buf_init(&b);
		buf_addf(&b, "<a%0*d/>", LIMIT_S3_XML_NAME_CHARS - 1 + over, 0);
		assert_int_equal(s3_xml_read(b.data, b.len, on_visit, &(struct visits){ "" }), !over);
		buf_release(&b);
	}
	buf_init(&b);
	s3_xml_add(&b, "\"a<b>&'");
	assert_string_equal(b.data, "&quot;a&lt;b&gt;&amp;'");
	buf_release(&b);
}

static void single_words(void **state)
{
	static const char created[] = "<InitiateMultipartUploadResult xmlns=\"x\"><Bucket>b</Bucket><Key>k</Key>"
				      "<UploadId>2~abc.d</UploadId></InitiateMultipartUploadResult>";
	static const char done[] = "<CompleteMultipartUploadResult><Location>l</Location><ETag>&quot;abc-2&quot;</ETag>"
				   "</CompleteMultipartUploadResult>";
	static const char failed[] = "<Error><Code>InternalError</Code><Message>Try again.</Message></Error>";
	static const char odd[] = "<Error><Code>a b</Code></Error>",
			  twice[] = "<Error><Code>a</Code><Code>b</Code></Error>";
	char upload[LIMIT_PUSH_UPLOAD_CHARS + 1], code[LIMIT_S3_CODE_CHARS + 1];
	struct s3_completed c;
	(void)state;
	assert_true(s3_created_read(created, sizeof created - 1, upload));
	assert_string_equal(upload, "2~abc.d");
	assert_false(s3_created_read(created, sizeof created - 2, upload));
	assert_string_equal(upload, "");
	assert_false(s3_created_read(failed, sizeof failed - 1, upload));
	assert_true(s3_completed_read(done, sizeof done - 1, &c));
	assert_string_equal(c.etag, "\"abc-2\"");
	assert_string_equal(c.code, "");
	assert_true(s3_completed_read(failed, sizeof failed - 1, &c));
	assert_string_equal(c.code, "InternalError");
	assert_string_equal(c.etag, "");
	static const char silent[] = "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>";
	assert_true(s3_completed_read(silent, sizeof silent - 1, &c)); /* radosgw 16 */
	assert_string_equal(c.etag, "");
	assert_string_equal(c.code, "");
	assert_false(s3_completed_read("<Other/>", 8, &c));
	assert_false(s3_completed_read("", 0, &c));
	assert_true(s3_error_read(failed, sizeof failed - 1, code));
	assert_false(s3_error_read(odd, sizeof odd - 1, code));
	assert_false(s3_error_read(twice, sizeof twice - 1, code));
	assert_string_equal(code, "");
	assert_false(s3_error_read("<html>no</html>", 15, code));
}

#define PART(n, size, etag)                                                                                            \
	"<Part><LastModified>2026-11-24T10:00:00.000Z</LastModified><PartNumber>" n "</PartNumber><ETag>" etag         \
	"</ETag><Size>" size "</Size></Part>"
#define PARTS(more, parts) "<ListPartsResult><IsTruncated>" more "</IsTruncated>" parts "</ListPartsResult>"

static void lists_of_parts(void **state)
{
	static const char *const bad[] = {
		PARTS("false", PART("0", "5", "e")),
		PARTS("false", PART("10001", "5", "e")),
		PARTS("false", PART("3", "5", "e")), /* not above the one before */
		PARTS("false", PART("4", "-5", "e")),
		PARTS("false", PART("4", "99999999999999999", "e")),
		PARTS("false", PART("4", "5", "")),
		PARTS("false", PART("5", "5", "e") PART("4", "5", "e")),
		PARTS("false", "<Part><PartNumber>4</PartNumber><ETag>e</ETag></Part>"),
		PARTS("false", "<Part><PartNumber>4</PartNumber><PartNumber>5</PartNumber></Part>"),
		PARTS("true", ""), /* it would never end */
		"<Error><Code>NoSuchUpload</Code></Error>",
		"<ListPartsResult>",
	};
	static const char first[] = PARTS("true", PART("1", "5242880", "&quot;a&quot;") PART("3", "7", "b"));
	struct s3_parts p = { 0 };
	(void)state;
	assert_true(s3_parts_read(first, sizeof first - 1, &p));
	assert_true(p.more);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (s3_parts_read(bad[i], strlen(bad[i]), &p))
			fail_msg("%s", bad[i]);
		assert_int_equal(p.count, 2);
		assert_false(p.more);
	}
	static const char second[] = PARTS("false", PART("10000", "0", "c"));
	assert_true(s3_parts_read(second, sizeof second - 1, &p));
	assert_int_equal(p.count, 3);
	assert_false(p.more);
	assert_int_equal(p.items[0].number, 1);
	assert_int_equal(p.items[0].bytes, 5242880);
	assert_string_equal(p.items[0].etag, "\"a\"");
	assert_int_equal(p.items[2].number, 10000);
	s3_parts_release(&p);
}

#define UPLOAD(key, id)                                                                                                \
	"<Upload><Key>" key "</Key><UploadId>" id "</UploadId><Initiator><ID>i</ID></Initiator>"                       \
	"<Initiated>2026-11-24T10:00:01.500Z</Initiated></Upload>"

static void lists_of_uploads(void **state)
{
	static const char page[] =
		"<ListMultipartUploadsResult><Prefix>takes/</Prefix><IsTruncated>true</IsTruncated>" UPLOAD(
			"takes/a&amp;b", "2~x") UPLOAD("others/a", "2~y")
			UPLOAD("takes/c", "2~z") "</ListMultipartUploadsResult>";
	static const char alone[] =
		"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>";
	static const char half[] =
		"<ListMultipartUploadsResult><Upload><Key>takes/a</Key></Upload></ListMultipartUploadsResult>";
	struct s3_uploads u = { .prefix = "takes/" };
	(void)state;
	assert_true(s3_uploads_read(page, sizeof page - 1, &u));
	assert_int_equal(u.count, 2);
	assert_true(u.more);
	assert_string_equal(u.items[0].key, "a&b");
	assert_string_equal(u.items[0].upload, "2~x");
	assert_int_equal(u.items[0].begun_ms, INT64_C(1795514401000));
	assert_string_equal(u.items[1].key, "c");
	assert_true(s3_uploads_read(alone, sizeof alone - 1, &u));
	assert_int_equal(u.count, 0);
	assert_false(u.more); /* no place to go on from */
	assert_false(s3_uploads_read(half, sizeof half - 1, &u));
	s3_uploads_release(&u);
	assert_int_equal(s3_date_read("2026-11-24"), 0);
	assert_int_equal(s3_date_read("yesterday at the usual hour"), 0);
}

static void refusals_have_meanings(void **state)
{
	static const struct {
		int status;
		const char *code;
		enum push_verb verb;
		int64_t skew_s;
		enum err err;
		const char *word; /* part of the sentence */
	} rows[] = {
		{ 500, "InternalError", PUSH_PART, 0, ERR_BUCKET_FAILED, "500 InternalError" },
		{ 503, "SlowDown", PUSH_PART, 0, ERR_BUCKET_FAILED, "503" },
		{ 502, "", PUSH_PART, 0, ERR_BUCKET_FAILED, "(502)" },
		{ 429, "", PUSH_PART, 0, ERR_BUCKET_FAILED, "429" },
		{ 408, "", PUSH_PART, 0, ERR_BUCKET_FAILED, "408" },
		{ 400, "RequestTimeout", PUSH_PART, 0, ERR_BUCKET_FAILED, "400" },
		{ 400, "BadDigest", PUSH_PART, 0, ERR_BUCKET_FAILED, "BadDigest" },
		{ 400, "XAmzContentSHA256Mismatch", PUSH_PART, 0, ERR_BUCKET_FAILED, "400" },
		{ 409, "ConditionalRequestConflict", PUSH_PUT, 0, ERR_BUCKET_FAILED, "409" },
		{ 307, "TemporaryRedirect", PUSH_PUT, 0, ERR_BUCKET_FAILED, "307" },
		{ 501, "NotImplemented", PUSH_PUT, 0, ERR_BUCKET_REFUSED, "501" },
		{ 403, "AccessDenied", PUSH_PUT, 10, ERR_BUCKET_REFUSED, "may not do this (403 AccessDenied)" },
		{ 403, "SignatureDoesNotMatch", PUSH_PUT, 0, ERR_BUCKET_REFUSED, "secret key" },
		{ 403, "InvalidAccessKeyId", PUSH_PUT, 0, ERR_BUCKET_REFUSED, "access key" },
		{ 403, "", PUSH_HEAD, 0, ERR_BUCKET_REFUSED, "403" },
		{ 400, "ExpiredToken", PUSH_HEAD, 0, ERR_BUCKET_REFUSED, "session" },
		{ 404, "NoSuchBucket", PUSH_PART, 0, ERR_BUCKET_REFUSED, "no such bucket" },
		{ 404, "NoSuchUpload", PUSH_PART, 0, ERR_UPLOAD_GONE, "upload" },
		{ 404, "", PUSH_ABORT, 0, ERR_UPLOAD_GONE, "upload" },
		{ 404, "NoSuchKey", PUSH_PARTS, 0, ERR_UPLOAD_GONE, "upload" }, /* radosgw 16 */
		{ 400, "InvalidPart", PUSH_COMPLETE, 0, ERR_UPLOAD_GONE, "InvalidPart" },
		{ 400, "EntityTooSmall", PUSH_COMPLETE, 0, ERR_BUCKET_REFUSED, "EntityTooSmall" },
		{ 404, "", PUSH_HEAD, 0, ERR_NOT_FOUND, "no such object" },
		{ 404, "NoSuchKey", PUSH_HEAD, 0, ERR_NOT_FOUND, "no such object" },
		{ 404, "", PUSH_PUT, 0, ERR_BUCKET_REFUSED, "404" },
		{ 412, "PreconditionFailed", PUSH_PUT, 0, ERR_EXISTS, "412" },
		{ 301, "PermanentRedirect", PUSH_PUT, 0, ERR_BUCKET_REFUSED, "region" },
		{ 400, "AuthorizationHeaderMalformed", PUSH_PUT, 0, ERR_BUCKET_REFUSED, "region" },
		{ 403, "RequestTimeTooSkewed", PUSH_PUT, 3600, ERR_BUCKET_FAILED,
		  "by 3600 s: this one is behind (403)" },
		{ 403, "AccessDenied", PUSH_PUT, -3600, ERR_BUCKET_FAILED, "by 3600 s: this one is ahead (403)" },
		{ 403, "RequestTimeTooSkewed", PUSH_PUT, 0, ERR_BUCKET_FAILED,
		  "clock and this machine's differ (403)" },
		{ 500, "", PUSH_PUT, 3600, ERR_BUCKET_FAILED, "(500)" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct s3_refusal r = { .status = rows[i].status, .skew_s = rows[i].skew_s };
		char message[S3_SENTENCE] = "";
		snprintf(r.code, sizeof r.code, "%s", rows[i].code);
		enum err err = s3_refusal_judge(&r, rows[i].verb, message);
		if (err != rows[i].err || !strstr(message, rows[i].word) || message[strlen(message) - 1] != '.')
			fail_msg("%d %s: %s, %s", rows[i].status, rows[i].code, err_code(err), message);
	}
	char message[S3_SENTENCE];
	struct s3_refusal elsewhere = { .status = 400, .region = true };
	assert_int_equal(s3_refusal_judge(&elsewhere, PUSH_HEAD, message), ERR_BUCKET_REFUSED);
	assert_non_null(strstr(message, "another region"));
}

static void plans(void **state)
{
	static const struct {
		uint64_t bytes, part, expected;
		unsigned parts;
	} rows[] = {
		{ 0, 16 * MIB, 0, 0 },
		{ 16 * MIB, 16 * MIB, 16 * MIB, 0 },
		{ 16 * MIB + 1, 16 * MIB, 16 * MIB, 2 },
		{ 32 * MIB, 16 * MIB, 16 * MIB, 2 },
		{ 160000 * MIB, 16 * MIB, 16 * MIB, 10000 },
		{ 160000 * MIB + 1, 16 * MIB, 17 * MIB, 9412 },
		{ 5 * 1024 * 1024 * MIB, 16 * MIB, 525 * MIB, 9987 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct push_plan plan = push_plan(rows[i].bytes, rows[i].part);
		assert_int_equal(plan.part_bytes, rows[i].expected);
		assert_int_equal(plan.parts, rows[i].parts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xml),
		cmocka_unit_test(xml_that_is_cut),
		cmocka_unit_test(xml_has_limits),
		cmocka_unit_test(single_words),
		cmocka_unit_test(lists_of_parts),
		cmocka_unit_test(lists_of_uploads),
		cmocka_unit_test(refusals_have_meanings),
		cmocka_unit_test(plans),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
