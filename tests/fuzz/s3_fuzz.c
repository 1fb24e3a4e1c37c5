/* Fuzzes s3_xml_read and what is made of it: whatever answers at a bucket's address. The first byte chooses the reader.
 */
#include "work/s3_answer.h"
#include "work/s3_xml.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_visit(void *arg, const char *path, const char *text)
{
	unsigned *visits = arg, depth = 1;
	for (const char *p = path; *p; p++)
		depth += *p == '/';
	assert(*path && depth <= LIMIT_S3_XML_DEPTH);
	assert(!text || strlen(text) <= 4 * LIMIT_S3_KEY_BYTES);
	++*visits;
	return true;
}

static bool clean(const char *text, size_t size)
{
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	}
	return len < size;
}

static void parts(const char *text, size_t size)
{
	struct s3_parts p = { 0 };
	unsigned last = 0;
	for (int page = 0; page < 2; page++) {
		size_t before = p.count;
		bool ok = s3_parts_read(text, size, &p);
		assert(ok ? !p.more || p.count > before : p.count == before && !p.more);
	}
	assert(p.count <= LIMIT_PUSH_PARTS);
	for (size_t i = 0; i < p.count; i++) {
		assert(p.items[i].number > last && p.items[i].number <= LIMIT_PUSH_PARTS);
		assert(p.items[i].bytes <= LIMIT_NUMBER && *p.items[i].etag &&
		       clean(p.items[i].etag, sizeof p.items[i].etag));
		last = p.items[i].number;
	}
	s3_parts_release(&p);
}

static void uploads(const char *text, size_t size)
{
	struct s3_uploads u = { .prefix = "takes/" };
	bool ok = s3_uploads_read(text, size, &u);
	assert(ok || (u.count == 0 && !u.more));
	assert(u.count <= LIMIT_PUSH_LIST_UPLOADS && (!u.more || u.count > 0));
	for (size_t i = 0; i < u.count; i++) {
		assert(clean(u.items[i].key, sizeof u.items[i].key) && u.items[i].begun_ms >= 0);
		assert(*u.items[i].upload && clean(u.items[i].upload, sizeof u.items[i].upload));
	}
	s3_uploads_release(&u);
}

static void words(const char *text, size_t size)
{
	struct s3_refusal r = { .status = 400 };
	struct s3_completed c;
	char upload[LIMIT_PUSH_UPLOAD_CHARS + 1], message[S3_SENTENCE];
	if (s3_error_read(text, size, r.code))
		assert(*r.code && strlen(r.code) <= LIMIT_S3_CODE_CHARS);
	enum err err = s3_refusal_judge(&r, PUSH_COMPLETE, message);
	assert(err != ERR_OK && clean(message, sizeof message) && message[strlen(message) - 1] == '.');
	if (s3_created_read(text, size, upload))
		assert(*upload && clean(upload, sizeof upload));
	if (s3_completed_read(text, size, &c))
		assert((c.whole || *c.code) && clean(c.etag, sizeof c.etag));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned visits = 0;
	if (size == 0)
		return 0;
	unsigned which = data[0];
	data++;
	size--;
	char *text = malloc(size ? size : 1); /* an exact copy, so that a read behind the end is seen */
	if (!text)
		return 0;
	memcpy(text, data, size);
	if (s3_xml_read(text, size, on_visit, &visits))
		assert(visits > 0);
	if (which % 3 == 0)
		words(text, size);
	else if (which % 3 == 1)
		parts(text, size);
	else
		uploads(text, size);
	free(text);
	return 0;
}
