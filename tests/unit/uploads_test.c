/* Uploads by requests: they begin, go on, are taken over, checked, joined and swept; whatever is told is durable. */
#include "base/crc.h"
#include "sim/disk.h"
#include "support/engine_rig.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct disk *disk;
	struct engine_rig *g;
	struct grant grant;
};

/* What a request heard. */
struct heard {
	char id[UUID_TEXT];
	unsigned begun, done;
	enum err err;
	bool has, paused;
	struct engine_upload upload;
	uint64_t durable;
	uint64_t number;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_int_equal(disk_new(1, &f->disk), ERR_OK);
	f->g = engine_rig_new(disk_vfs(f->disk));
	f->grant = *grant_local();
	assert_int_equal(engine_rig_open(f->g), ERR_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	engine_rig_free(f->g);
	disk_free(f->disk);
	free(f);
	return 0;
}

/* The power goes, and comes back. */
static void crash(struct fixture *f)
{
	engine_rig_close(f->g);
	assert_int_equal(engine_rig_open(f->g), ERR_OK);
}

static void heard(void *arg, enum err err, const struct engine_upload *upload)
{
	struct heard *h = arg;
	h->done++;
	h->err = err;
	h->has = upload != NULL;
	if (upload) {
		h->upload = *upload;
		uuid_format(&upload->id, h->id);
	}
}

static void begun(void *arg, const struct engine_upload *upload)
{
	(void)upload;
	((struct heard *)arg)->begun++;
}

static void paused(void *arg, bool is)
{
	((struct heard *)arg)->paused = is;
}

static void durable(void *arg, uint64_t offset)
{
	struct heard *h = arg;
	assert_true(offset >= h->durable);
	h->durable = offset;
}

static struct heard create(struct fixture *f, const struct engine_upload_new *upload)
{
	struct heard h = { 0 };
	struct engine_upload_new ask = *upload;
	ask.grant = &f->grant;
	engine_upload_create(f->g->e, &ask, heard, &h);
	engine_rig_turn(f->g);
	assert_int_equal(h.done, 1);
	return h;
}

static struct heard look(struct fixture *f, const char *id)
{
	struct heard h = { 0 };
	engine_upload_look(f->g->e, (struct engine_ref){ id, &f->grant }, heard, &h);
	engine_rig_turn(f->g);
	assert_int_equal(h.done, 1);
	return h;
}

static void begin(struct fixture *f, struct heard *h, const char *id, struct engine_append ask)
{
	*h = (struct heard){ 0 };
	ask.ref = (struct engine_ref){ id, &f->grant };
	ask.begun = begun;
	ask.pause = paused;
	ask.durable = durable;
	ask.done = heard;
	ask.arg = h;
	h->number = engine_append(f->g->e, &ask, f->g->now);
	engine_rig_turn(f->g);
}

static void send(struct fixture *f, struct heard *h, size_t from, size_t len)
{
	char *bytes = malloc(len + 1);
	for (size_t i = 0; i < len; i++)
		bytes[i] = engine_rig_byte(from + i);
	engine_append_data(f->g->e, h->number, (struct engine_media){ bytes, len, { 0 }, 0 }, f->g->now);
	engine_rig_turn(f->g);
	free(bytes);
}

/* A whole request. */
static struct heard append(struct fixture *f, const char *id, size_t from, size_t len, struct engine_append ask)
{
	struct heard h;
	ask.offset = from;
	ask.body = len;
	begin(f, &h, id, ask);
	if (h.done)
		return h;
	assert_int_equal(h.begun, 1);
	send(f, &h, from, len);
	engine_append_end(f->g->e, h.number, f->g->now);
	engine_rig_turn(f->g);
	return h;
}

static const struct engine_append plain = { .length = BYTES_UNKNOWN };

static bool shows(struct fixture *f, const char *id, const char *part)
{
	char *json = engine_rig_get(f->g, id);
	bool found = strstr(json, part) != NULL;
	if (!found)
		print_message("%s\n", json);
	free(json);
	return found;
}

static void read_done(void *arg, enum err err, const void *data, size_t len)
{
	size_t *at = arg;
	assert_int_equal(err, ERR_OK);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(((const char *)data)[i], engine_rig_byte(*at + i));
	*at += len;
}

static void opened(void *arg, enum err err, const struct engine_original *original)
{
	assert_int_equal(err, ERR_OK);
	*(struct engine_original *)arg = *original;
}

/* All of it is what was sent. */
static void assert_bytes(struct fixture *f, const char *id, size_t len)
{
	struct engine_original original = { 0 };
	engine_original(f->g->e, (struct engine_ref){ id, &f->grant }, NULL, opened, &original);
	engine_rig_turn(f->g);
	assert_int_equal(original.bytes, len);
	size_t at = 0;
	while (at < len) {
		size_t was = at;
		engine_read(f->g->e, original.reader, at, len - at, read_done, &at);
		engine_rig_turn(f->g);
		assert_true(at > was);
	}
	engine_reader_close(f->g->e, original.reader);
}

static void test_whole(void **state)
{
	struct fixture *f = *state;
	struct heard h =
		create(f, &(struct engine_upload_new){ .length = 100000, .metadata = "filename eA==", .name = "x" });
	assert_int_equal(h.err, ERR_OK);
	assert_int_equal(h.upload.offset, 0);
	assert_false(h.upload.complete);
	assert_true(h.upload.expires_ms > f->g->now.wall_ms);
	assert_true(shows(f, h.id, "\"upload\":{\"length\":100000,\"expiresAt\":"));
	h = append(f, h.id, 0, 60000, plain);
	assert_int_equal(h.err, ERR_OK);
	assert_int_equal(h.upload.offset, 60000);
	assert_int_equal(h.durable, 60000);
	assert_false(h.upload.complete);
	char id[UUID_TEXT];
	memcpy(id, h.id, sizeof id);
	crash(f);
	h = look(f, id);
	assert_int_equal(h.upload.offset, 60000);
	assert_int_equal(h.upload.length, 100000);
	assert_string_equal(h.upload.metadata, "filename eA==");
	engine_rig_pass(f->g, 120 * 1000); /* no grace ends it */
	assert_true(shows(f, id, "\"phase\":\"uploading\""));
	h = append(f, id, 60000, 40000, plain);
	assert_int_equal(h.err, ERR_OK);
	assert_true(h.upload.complete);
	assert_int_equal(h.upload.offset, 100000);
	assert_int_equal(h.upload.expires_ms, 0);
	assert_true(shows(f, id, "\"phase\":\"queued\""));
	assert_bytes(f, id, 100000);
	/* the answer was lost, and is asked for again */
	assert_int_equal(append(f, id, 100000, 0, plain).err, ERR_OK);
	assert_int_equal(append(f, id, 100000, 5, plain).err, ERR_SEALED);
	assert_int_equal(append(f, id, 60000, 40000, plain).err, ERR_POSITION_CONFLICT);
	assert_true(look(f, id).upload.complete);
}

static void test_empty(void **state)
{
	struct fixture *f = *state;
	struct heard h = create(f, &(struct engine_upload_new){ .length = 0 });
	engine_rig_turn(f->g);
	h = look(f, h.id);
	assert_true(h.upload.complete);
	assert_int_equal(h.upload.length, 0);
	assert_true(shows(f, h.id, "\"phase\":\"queued\""));
}

static void test_refusals(void **state)
{
	struct fixture *f = *state;
	struct heard h = create(f, &(struct engine_upload_new){ .length = 1000 });
	char id[UUID_TEXT];
	memcpy(id, h.id, sizeof id);
	append(f, id, 0, 400, plain);
	h = append(f, id, 300, 10, plain);
	assert_int_equal(h.err, ERR_POSITION_CONFLICT);
	assert_int_equal(h.upload.offset, 400);
	assert_int_equal(append(f, id, 500, 10, plain).err, ERR_POSITION_CONFLICT);
	assert_int_equal(append(f, id, 400, 601, plain).err, ERR_MESSAGE_TOO_LARGE);
	assert_int_equal(append(f, id, 400, 10, (struct engine_append){ .length = 999 }).err, ERR_LENGTH_MISMATCH);
	assert_int_equal(append(f, id, 400, 10, (struct engine_append){ .length = BYTES_UNKNOWN, .last = true }).err,
			 ERR_LENGTH_MISMATCH);
	assert_int_equal(look(f, id).upload.offset, 400);
	assert_int_equal(append(f, "00000000-0000-7000-8000-000000000000", 0, 1, plain).err, ERR_NOT_FOUND);
	/* a take is none */
	engine_rig_say(f->g, 0, "{\"type\":\"start\",\"sessionId\":\"s\"}");
	assert_int_equal(append(f, "session:s", 0, 1, plain).err, ERR_NOT_FOUND);
	/* somebody else's is not to be seen */
	snprintf(f->grant.subject, sizeof f->grant.subject, "other");
	f->grant.scopes = SCOPE_IMPORT;
	assert_int_equal(look(f, id).err, ERR_NOT_FOUND);
	f->grant.scopes = SCOPE_PLAY;
	assert_int_equal(look(f, id).err, ERR_FORBIDDEN_SCOPE);
	f->grant = *grant_local();
	f->grant.max_bytes = 500;
	assert_int_equal(append(f, id, 400, 200, plain).err, ERR_QUOTA_EXCEEDED);
	assert_int_equal(create(f, &(struct engine_upload_new){ .length = 501 }).err, ERR_QUOTA_EXCEEDED);
	f->grant = *grant_local();
	assert_int_equal(create(f, &(struct engine_upload_new){ .length = LIMIT_UPLOAD_BYTES + 1 }).err,
			 ERR_MESSAGE_TOO_LARGE);
}

/* A request that hangs: what it brought stays, and the next one goes on at once. */
static void test_taken_over(void **state)
{
	struct fixture *f = *state;
	struct heard h = create(f, &(struct engine_upload_new){ .length = 90000 }), old;
	begin(f, &old, h.id, (struct engine_append){ .length = BYTES_UNKNOWN, .body = 90000 });
	send(f, &old, 0, 30000);
	assert_int_equal(old.done, 0);
	assert_int_equal(old.durable, 0); /* more may come … */
	engine_rig_pass(f->g, 1000);
	assert_int_equal(old.durable, 30000); /* … but is not waited for */
	struct heard seen = look(f, h.id);
	assert_int_equal(seen.upload.offset, 30000);
	assert_int_equal(old.done, 1);
	assert_int_equal(old.err, ERR_TAKEN_OVER);
	send(f, &old, 30000, 100); /* nobody hears it */
	assert_int_equal(look(f, h.id).upload.offset, 30000);
	begin(f, &old, h.id, (struct engine_append){ .length = BYTES_UNKNOWN, .offset = 30000, .body = 60000 });
	send(f, &old, 30000, 5000);
	struct heard wrong = append(f, h.id, 30000, 10, plain); /* no reason to end it */
	assert_int_equal(wrong.err, ERR_POSITION_CONFLICT);
	assert_int_equal(old.done, 0);
	struct heard next = append(f, h.id, 35000, 55000, plain);
	assert_int_equal(old.err, ERR_TAKEN_OVER);
	assert_int_equal(next.err, ERR_OK);
	assert_true(next.upload.complete);
	assert_bytes(f, h.id, 90000);
}

/* Who asks how far it is hears it, though another one begins to send at once and does not stop. */
static void test_looked_at_amid(void **state)
{
	struct fixture *f = *state;
	struct heard h = create(f, &(struct engine_upload_new){ .length = 900000 }), seen = { 0 }, next;
	engine_upload_look(f->g->e, (struct engine_ref){ h.id, &f->grant }, heard, &seen);
	begin(f, &next, h.id, (struct engine_append){ .length = BYTES_UNKNOWN, .body = 900000 });
	for (size_t at = 0; at < 100000; at += 20000)
		send(f, &next, at, 20000);
	assert_int_equal(seen.done, 1);
	assert_int_equal(next.done, 0);
	engine_append_gone(f->g->e, next.number, f->g->now);
	engine_rig_turn(f->g);
}

static void test_gone(void **state)
{
	struct fixture *f = *state;
	struct heard h = create(f, &(struct engine_upload_new){ .length = 50000 }), lost;
	begin(f, &lost, h.id, (struct engine_append){ .length = BYTES_UNKNOWN, .body = 50000 });
	send(f, &lost, 0, 20000);
	engine_append_gone(f->g->e, lost.number, f->g->now);
	engine_rig_turn(f->g);
	assert_int_equal(lost.done, 0);
	assert_int_equal(look(f, h.id).upload.offset, 20000);
	/* gone with its very last byte: nothing is missing */
	begin(f, &lost, h.id, (struct engine_append){ .length = BYTES_UNKNOWN, .offset = 20000, .body = 30000 });
	send(f, &lost, 20000, 30000);
	engine_append_gone(f->g->e, lost.number, f->g->now);
	engine_rig_turn(f->g);
	assert_true(look(f, h.id).upload.complete);
}

static void test_length_later(void **state)
{
	struct fixture *f = *state;
	struct heard h = create(f, &(struct engine_upload_new){ .length = BYTES_UNKNOWN });
	char id[UUID_TEXT];
	memcpy(id, h.id, sizeof id);
	append(f, id, 0, 100, plain);
	assert_int_equal(look(f, id).upload.length, BYTES_UNKNOWN);
	assert_int_equal(append(f, id, 100, 0, (struct engine_append){ .length = 50 }).err, ERR_LENGTH_MISMATCH);
	h = append(f, id, 100, 0, (struct engine_append){ .length = 300 });
	assert_int_equal(h.err, ERR_OK);
	crash(f);
	assert_int_equal(look(f, id).upload.length, 300);
	assert_int_equal(append(f, id, 100, 200, (struct engine_append){ .length = 300 }).err, ERR_OK);
	assert_true(look(f, id).upload.complete);
	/* of a body whose end says it */
	h = create(f, &(struct engine_upload_new){ .length = BYTES_UNKNOWN });
	struct heard body;
	begin(f, &body, h.id, (struct engine_append){ .length = BYTES_UNKNOWN, .body = BYTES_UNKNOWN, .last = true });
	send(f, &body, 0, 70000);
	assert_int_equal(body.done, 0);
	engine_append_end(f->g->e, body.number, f->g->now);
	engine_rig_turn(f->g);
	assert_int_equal(body.err, ERR_OK);
	assert_true(body.upload.complete);
	assert_int_equal(body.upload.length, 70000);
}

static void digest(enum engine_digest kind, size_t len, uint8_t out[32])
{
	char *bytes = malloc(len);
	for (size_t i = 0; i < len; i++)
		bytes[i] = engine_rig_byte(i);
	if (kind == DIGEST_CRC32C) {
		uint32_t crc = crc32c(0, bytes, len);
		for (int i = 0; i < 4; i++)
			out[i] = (uint8_t)(crc >> (24 - 8 * i));
	} else {
		unsigned size = 0;
		uint8_t sum[EVP_MAX_MD_SIZE];
		EVP_Digest(bytes, len, sum, &size, kind == DIGEST_SHA1 ? EVP_sha1() : EVP_sha256(), NULL);
		memcpy(out, sum, size);
	}
	free(bytes);
}

static void test_checked(void **state)
{
	struct fixture *f = *state;
	for (int kind = DIGEST_CRC32C; kind <= DIGEST_SHA256; kind++) {
		struct heard h = create(f, &(struct engine_upload_new){ .length = 700000 });
		struct engine_append ask = { .length = BYTES_UNKNOWN, .digest = (enum engine_digest)kind };
		digest(ask.digest, 600000, ask.digest_value);
		ask.digest_value[3] ^= 1;
		struct heard a = append(f, h.id, 0, 600000, ask);
		assert_int_equal(a.done, 1);
		assert_int_equal(a.err, ERR_CHECKSUM_MISMATCH);
		assert_int_equal(look(f, h.id).upload.offset, 0);
		ask.digest_value[3] ^= 1;
		a = append(f, h.id, 0, 600000, ask);
		assert_int_equal(a.err, ERR_OK);
		assert_int_equal(a.upload.offset, 600000);
		assert_true(append(f, h.id, 600000, 100000, plain).upload.complete);
		assert_bytes(f, h.id, 700000);
		/* one that breaks leaves nothing */
		h = create(f, &(struct engine_upload_new){ .length = 1000 });
		ask.body = 1000;
		begin(f, &a, h.id, ask);
		send(f, &a, 0, 900);
		engine_append_gone(f->g->e, a.number, f->g->now);
		engine_rig_turn(f->g);
		assert_int_equal(look(f, h.id).upload.offset, 0);
	}
}

static void test_joined(void **state)
{
	struct fixture *f = *state;
	char parts[3 * UUID_TEXT] = "";
	struct engine_upload_new part = { .length = 300000, .partial = true };
	char ids[2][UUID_TEXT];
	for (unsigned i = 0; i < 2; i++) {
		struct heard h = create(f, &part);
		memcpy(ids[i], h.id, UUID_TEXT);
		snprintf(parts + strlen(parts), sizeof parts - strlen(parts), "%s%s", i ? " " : "", h.id);
	}
	struct heard first;
	begin(f, &first, ids[0], (struct engine_append){ .length = BYTES_UNKNOWN, .body = 300000 });
	send(f, &first, 0, 300000);
	assert_int_equal(first.err, ERR_OK);
	assert_true(first.upload.complete);
	const struct engine_upload_new final = { .length = BYTES_UNKNOWN,
						 .parts = parts,
						 .concat = "final;as it came" };
	assert_int_equal(create(f, &final).err, ERR_UPLOAD_INCOMPLETE);
	struct heard second;
	begin(f, &second, ids[1], (struct engine_append){ .length = BYTES_UNKNOWN, .body = 300000 });
	send(f, &second, 300000, 300000);
	assert_true(shows(f, ids[1], "not_found")); /* it is no recording */
	struct heard h = create(f, &final);
	assert_int_equal(h.err, ERR_OK);
	assert_true(h.upload.complete); /* it is not told before */
	struct heard seen = look(f, h.id);
	assert_true(seen.upload.complete);
	assert_int_equal(seen.upload.length, 600000);
	assert_string_equal(seen.upload.parts, parts);
	assert_string_equal(seen.upload.concat, final.concat);
	/* the parts hold engine_rig_byte(0 …) and engine_rig_byte(300000 …) */
	assert_bytes(f, h.id, 600000);
	assert_int_equal(append(f, h.id, 600000, 5, plain).err, ERR_SEALED);
	assert_int_equal(look(f, ids[0]).err, ERR_DELETED);
	assert_string_equal(create(f, &final).id, h.id); /* a lost answer */
	part.length = BYTES_UNKNOWN;
	part.parts = "00000000-0000-7000-8000-000000000000";
	assert_int_equal(create(f, &part).err, ERR_NOT_FOUND);
}

static void test_expired(void **state)
{
	struct fixture *f = *state;
	struct heard h = create(f, &(struct engine_upload_new){ .length = 1000 });
	append(f, h.id, 0, 10, plain);
	const uint64_t day_ms = 24 * 3600 * 1000;
	f->g->now.wall_ms += 6 * (int64_t)day_ms;
	append(f, h.id, 10, 10, plain); /* somebody is at it: a week more */
	f->g->now.wall_ms += 6 * (int64_t)day_ms;
	engine_rig_pass(f->g, 120 * 1000);
	assert_int_equal(look(f, h.id).err, ERR_OK);
	f->g->now.wall_ms += 2 * (int64_t)day_ms; /* and behind a clock that was set forward */
	assert_int_equal(append(f, h.id, 20, 10, plain).err, ERR_OK);
	f->g->now.wall_ms += 8 * (int64_t)day_ms;
	engine_rig_pass(f->g, 3500 * 1000);
	assert_int_equal(look(f, h.id).err, ERR_OK);
	engine_rig_pass(f->g, 101 * 1000);
	assert_int_equal(look(f, h.id).err, ERR_DELETED); /* swept or not */
	assert_int_equal(append(f, h.id, 30, 10, plain).err, ERR_DELETED);
	engine_rig_pass(f->g, 120 * 1000);
	assert_true(shows(f, h.id, "deleted"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_looked_at_amid, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_length_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_joined, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expired, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
