/* See uploader.h. */
#include "uploader.h"

#include "content.h"
#include "outside.h"

#include "base/crc.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 3, PIECE_MAX = 48 * 1024 };

/* One resource under /files/. */
struct resource_truth {
	char id[ID_TEXT];  /* "" until it was told */
	uint64_t from;	   /* its byte 0 is this one of the content */
	uint64_t length;   /* what its client wants to send */
	uint64_t promised; /* told to be durable */
	uint64_t given;	   /* the most that the server can have */
	bool whole;	   /* told to be complete */
	bool said;	   /* its length was */
};

struct uploader {
	struct world *w;
	unsigned number;
	struct rng rng;
	struct grant grant;
	uint64_t content;
	struct resource_truth file, pieces[PIECES]; /* with pieces, `file` is made of them */
	unsigned piece_count;
	bool later;		/* its length is said with a request that brings bytes */
	bool deleting, deleted; /* somebody asked for that, or it happened */
	bool orphan;		/* an answer to its creation was lost: there may be another one */
	bool says, lies, said;	/* … its SHA-256, by `complete`; a wrong one; it did */
	bool believed;		/* … the wrong one was taken */
	unsigned asking;	/* calls without an answer */
	unsigned life;
	struct request *request; /* that brings bytes, NULL: none */
};

/* A request that brings bytes. */
struct request {
	struct uploader *u;
	struct resource_truth *file;
	uint64_t number, offset, body, sent;
	unsigned life;
	bool wrong, misplaced; /* its checksum, its offset */
	bool paused, begun, hangs;
	enum engine_digest digest;
};

/* A call that is answered once. */
struct call {
	struct uploader *u;
	struct resource_truth *file;
	uint64_t promised; /* when it was asked */
	bool whole, deleted;
};

struct uploaders {
	struct uploader all[UPLOADS];
	unsigned count;
};

static void step(void *arg, uint64_t x);

static bool faulty(const struct world *w)
{
	return (w->plan.bad_writes || w->plan.bad_syncs) && disk_failures(w->disk) > 0;
}

static bool passing(const struct world *w, enum err err)
{
	if (w->fatal || disk_dead(w->disk) || err == ERR_SHUTTING_DOWN || err == ERR_BUSY)
		return true;
	return faulty(w) || (err == ERR_STORAGE_FULL && w->plan.full);
}

static void unexpected(const struct uploader *u, const char *what, enum err err)
{
	sim_fail(&u->w->sim, "the status is the truth", "%s of upload %u answers %s", what, u->number, err_code(err));
}

/* Somebody asked for its deletion, or its time is over. */
static bool may_go(const struct uploader *u)
{
	return u->deleting || (u->w->plan.retain_ms != UINT64_MAX && u->file.id[0]);
}

/* --- what it was told --- */

static void promise(const struct uploader *u, struct resource_truth *file, uint64_t bytes)
{
	if (bytes > file->given)
		sim_fail(&u->w->sim, "acked bytes were sent", "upload %u has %" PRIu64 " bytes, %" PRIu64 " were sent",
			 u->number, bytes, file->given);
	if (bytes > file->promised)
		file->promised = bytes;
}

static void told(struct uploader *u, const struct call *c, const struct engine_upload *upload)
{
	struct resource_truth *file = c->file;
	struct sim *s = &u->w->sim;
	char id[ID_TEXT];
	uuid_format(&upload->id, id);
	sim_trace(s, "upload", id, upload->offset, upload->complete);
	if (file->id[0] && strcmp(file->id, id) != 0)
		sim_fail(s, "one take, one id", "upload %u was %s, is %s", u->number, file->id, id);
	snprintf(file->id, sizeof file->id, "%s", id);
	if (upload->phase == PHASE_ERROR && faulty(u->w))
		return; /* storage failed under it: what its spool does not hold is in quarantine */
	if (upload->kind == UPLOAD_FINAL) {
		if (upload->complete && upload->offset != file->length)
			sim_fail(s, "one take, one file", "upload %u is joined to %" PRIu64 " bytes", u->number,
				 upload->offset);
	} else if (upload->offset < c->promised) {
		sim_fail(s, "acked bytes are there", "upload %u: %" PRIu64 " of %" PRIu64 " bytes", u->number,
			 upload->offset, c->promised);
	}
	if (upload->length != BYTES_UNKNOWN && upload->length != file->length)
		sim_fail(s, "the status is the truth", "upload %u is to have %" PRIu64 " bytes", u->number,
			 upload->length);
	if (upload->length == BYTES_UNKNOWN && file->said && c->whole)
		sim_fail(s, "the status is the truth", "upload %u forgot its length", u->number);
	if (c->whole && !upload->complete)
		sim_fail(s, "finished once", "upload %u was complete, and is not", u->number);
	if (upload->complete && upload->offset != file->length)
		sim_fail(s, "one take, one file", "upload %u is complete with %" PRIu64 " bytes", u->number,
			 upload->offset);
	if (upload->complete && c->deleted)
		sim_fail(s, "the end is the end", "upload %u is back", u->number);
	if (upload->kind != UPLOAD_FINAL)
		promise(u, file, upload->offset);
	file->said = file->said || upload->length != BYTES_UNKNOWN;
	file->whole = file->whole || upload->complete;
}

static struct call *call_new(struct uploader *u, struct resource_truth *file)
{
	struct call *c = calloc(1, sizeof *c);
	assert(c);
	*c = (struct call){ u, file, file->promised, file->whole, u->deleted };
	u->asking++;
	u->w->asking++;
	u->w->open_requests++;
	return c;
}

static void call_over(struct call *c)
{
	c->u->asking--;
	c->u->w->asking--;
	c->u->w->open_requests--;
	free(c);
}

static void created(void *arg, enum err err, const struct engine_upload *upload)
{
	struct call *c = arg;
	struct uploader *u = c->u;
	if (err == ERR_OK)
		told(u, c, upload);
	else if (!passing(u->w, err) && !(may_go(u) && (err == ERR_DELETED || err == ERR_NOT_FOUND)))
		unexpected(u, "creation", err);
	call_over(c);
}

static void looked(void *arg, enum err err, const struct engine_upload *upload)
{
	struct call *c = arg;
	struct uploader *u = c->u;
	/* a part is removed once the whole is there */
	bool gone = err == ERR_DELETED && (may_go(u) || (c->file != &u->file && u->file.id[0]));
	if (err == ERR_OK)
		told(u, c, upload);
	else if (gone)
		u->deleted = u->deleted || c->file == &u->file;
	else if (!passing(u->w, err))
		unexpected(u, "the state", err);
	call_over(c);
}

static void removed(void *arg, enum err err, const char *json, size_t len)
{
	struct call *c = arg;
	(void)json;
	(void)len;
	if (err == ERR_OK || err == ERR_DELETED)
		c->u->deleted = true;
	else if (!passing(c->u->w, err) && err != ERR_STORAGE_FULL)
		unexpected(c->u, "deletion", err);
	call_over(c);
}

/* One that has its checksum wrong hears so now, or the status says it later. */
static void completed(void *arg, enum err err, const char *json, size_t len)
{
	struct call *c = arg;
	struct uploader *u = c->u;
	struct world *w = u->w;
	(void)json;
	(void)len;
	sim_trace(&w->sim, "upload complete", err_code(err), u->number, u->lies);
	bool gone = may_go(u) && (err == ERR_DELETED || err == ERR_NOT_FOUND);
	bool differs = err == ERR_CHECKSUM_MISMATCH && u->lies;
	if (err == ERR_OK)
		u->believed = u->lies;
	else if (!gone && !differs && !passing(w, err) && err != ERR_STORAGE_FULL && w->failures == 0)
		unexpected(u, "completion", err);
	call_over(c);
}

/* --- requests that bring bytes --- */

static void request_over(struct request *r)
{
	if (r->u->request == r)
		r->u->request = NULL;
	r->u->asking--;
	r->u->w->open_requests--;
	free(r);
}

static void on_begun(void *arg, const struct engine_upload *upload)
{
	struct request *r = arg;
	if (upload->offset != r->offset || r->misplaced)
		sim_fail(&r->u->w->sim, "one take, one file", "upload %u takes bytes at %" PRIu64 ", has %" PRIu64,
			 r->u->number, r->offset, upload->offset);
	r->begun = true;
}

static void on_pause(void *arg, bool paused)
{
	((struct request *)arg)->paused = paused;
}

static void on_durable(void *arg, uint64_t offset)
{
	struct request *r = arg;
	if (r->digest != DIGEST_NONE && r->sent < r->body)
		sim_fail(&r->u->w->sim, "checked bytes count whole", "upload %u: %" PRIu64 " are durable amid a body",
			 r->u->number, offset);
	promise(r->u, r->file, offset);
}

static void on_done(void *arg, enum err err, const struct engine_upload *upload)
{
	struct request *r = arg;
	struct uploader *u = r->u;
	struct world *w = u->w;
	struct call c = { u, r->file, r->file->promised, r->file->whole, u->deleted };
	world_tally(w, err ? TALLY_UPLOAD_REFUSALS : TALLY_UPLOAD_REQUESTS);
	sim_trace(&w->sim, "upload request", err_code(err), r->offset, r->sent);
	bool gone = (err == ERR_DELETED || err == ERR_ABORTED) && (may_go(u) || r->file != &u->file);
	bool conflict = err == ERR_POSITION_CONFLICT || err == ERR_SEALED;
	if (err == ERR_OK && (r->wrong || r->misplaced) && r->body > 0)
		sim_fail(&w->sim, "checked bytes count whole", "upload %u: a %s request is taken", u->number,
			 r->wrong ? "wrong" : "misplaced");
	if (err == ERR_OK && upload->offset != r->offset + r->body)
		sim_fail(&w->sim, "acked bytes are there", "upload %u answers %" PRIu64 " behind %" PRIu64 "+%" PRIu64,
			 u->number, upload->offset, r->offset, r->body);
	if (upload)
		told(u, &c, upload);
	bool fine = err == ERR_OK || conflict || gone || err == ERR_TAKEN_OVER ||
		    (err == ERR_CHECKSUM_MISMATCH && r->wrong) || (err == ERR_SEALED && r->file->whole);
	if (!fine && !passing(w, err))
		unexpected(u, "a request", err);
	request_over(r);
}

static void checksum(struct request *r, uint8_t out[32])
{
	uint8_t *bytes = malloc(r->body + 1), sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	assert(bytes);
	content_fill(r->u->content, r->file->from + r->offset, bytes, r->body);
	if (r->digest == DIGEST_CRC32C) {
		uint32_t crc = crc32c(0, bytes, r->body);
		for (int i = 0; i < 4; i++)
			out[i] = (uint8_t)(crc >> (24 - 8 * i));
	} else {
		EVP_Digest(bytes, r->body, sum, &len, r->digest == DIGEST_SHA1 ? EVP_sha1() : EVP_sha256(), NULL);
		memcpy(out, sum, len);
	}
	free(bytes);
	out[0] ^= r->wrong;
}

static void request_begin(struct uploader *u, struct resource_truth *file)
{
	struct rng *rng = &u->rng;
	struct request *r = calloc(1, sizeof *r);
	uint64_t left = file->length - file->promised;
	assert(r);
	*r = (struct request){ .u = u, .file = file, .offset = file->promised, .life = u->w->life };
	r->body = rng_chance(rng, 40) ? left : 1 + rng_below(rng, left < 200 * KIB ? left : 200 * KIB);
	r->body = r->body < left ? r->body : left;
	if (!u->w->calm) {
		r->misplaced = rng_chance(rng, 5) && file->promised > 3;
		r->hangs = rng_chance(rng, 10);
		r->digest = rng_chance(rng, 25) ? (enum engine_digest)(1 + rng_below(rng, 3)) : DIGEST_NONE;
		r->wrong = r->digest != DIGEST_NONE && rng_chance(rng, 30);
	}
	if (r->misplaced)
		r->offset -= 1 + rng_below(rng, 3);
	struct engine_append ask = {
		.ref = { file->id, &u->grant },
		.offset = r->offset,
		.length = u->later && rng_chance(rng, 50) ? file->length : BYTES_UNKNOWN,
		.body = r->body,
		.last = u->later && r->offset + r->body == file->length,
		.digest = r->digest,
		.begun = on_begun,
		.pause = on_pause,
		.durable = on_durable,
		.done = on_done,
		.arg = r,
	};
	if (rng_chance(rng, 20))
		ask.body = BYTES_UNKNOWN;
	checksum(r, ask.digest_value);
	u->asking++;
	u->w->open_requests++;
	u->request = r;
	r->number = engine_append(u->w->engine, &ask, world_now(u->w));
}

/* A piece more of the request at work, or its end, or it breaks. */
static void request_go_on(struct uploader *u)
{
	static uint8_t bytes[PIECE_MAX];
	struct request *r = u->request;
	struct world *w = u->w;
	struct rng *rng = &u->rng;
	if (!w->calm && w->plan.cuts && rng_chance(rng, 8)) {
		sim_trace(&w->sim, "upload cut", NULL, r->offset, r->sent);
		world_tally(w, TALLY_UPLOAD_CUTS);
		engine_append_gone(w->engine, r->number, world_now(w));
		request_over(r);
		return;
	}
	if (!r->begun || r->paused || (r->hangs && r->sent * 2 > r->body && !w->calm))
		return;
	uint64_t len = 1 + rng_below(rng, PIECE_MAX), left = r->body - r->sent;
	len = len < left ? len : left;
	if (len > 0) {
		content_fill(u->content, r->file->from + r->offset + r->sent, bytes, len);
		r->sent += len;
		if (r->offset + r->sent > r->file->given)
			r->file->given = r->offset + r->sent;
		uint64_t number = r->number;
		engine_append_data(w->engine, number, (struct engine_media){ bytes, len, { 0 }, 0 }, world_now(w));
	}
	if (u->request && r->sent == r->body)
		engine_append_end(w->engine, r->number, world_now(w));
}

/* --- what it does next --- */

static void create(struct uploader *u, struct resource_truth *file, bool partial)
{
	char parts[PIECES * ID_TEXT] = "";
	for (unsigned i = 0; file == &u->file && i < u->piece_count; i++)
		snprintf(parts + strlen(parts), sizeof parts - strlen(parts), "%s%s", i ? " " : "", u->pieces[i].id);
	struct engine_upload_new upload = {
		.grant = &u->grant,
		.length = u->later || parts[0] ? BYTES_UNKNOWN : file->length,
		.metadata = "filename dXBsb2Fk",
		.name = "upload",
		.partial = partial,
		.parts = parts[0] ? parts : NULL,
	};
	file->said = upload.length != BYTES_UNKNOWN;
	engine_upload_create(u->w->engine, &upload, created, call_new(u, file));
}

/* What is to be sent next; NULL: nothing. */
static struct resource_truth *next_file(struct uploader *u)
{
	for (unsigned i = 0; i < u->piece_count; i++) {
		if (!u->pieces[i].whole)
			return &u->pieces[i];
	}
	return u->file.whole ? NULL : &u->file;
}

static void ask_removal(struct uploader *u)
{
	u->deleting = true;
	engine_delete(u->w->engine, (struct engine_ref){ u->file.id, &u->grant }, removed, call_new(u, &u->file));
}

static bool wants_to_say(const struct uploader *u)
{
	return u->says && !u->said && u->file.whole;
}

static void say_hash(struct uploader *u)
{
	struct engine_total total = { .bytes = u->file.length, .has_sha256 = true };
	content_sha256(u->content, 0, u->file.length, total.sha256.bytes);
	total.sha256.bytes[5] ^= u->lies;
	u->said = true;
	engine_complete(u->w->engine, (struct engine_ref){ u->file.id, &u->grant }, &total, 1, completed,
			call_new(u, &u->file));
}

static void do_something(struct uploader *u)
{
	struct rng *rng = &u->rng;
	struct resource_truth *file = next_file(u);
	bool made = file == &u->file && u->piece_count > 0;
	if (wants_to_say(u) && !u->request && rng_chance(rng, 30))
		say_hash(u);
	if (!file)
		return;
	if (u->request && u->request->file == file && !rng_chance(rng, u->request->hangs ? 10 : 3)) {
		request_go_on(u);
		return;
	}
	if (u->asking > (u->request != NULL))
		return;
	if (!file->id[0])
		create(u, file, file != &u->file);
	else if (u->number == 1 && file == &u->file && !u->w->calm && rng_chance(rng, 3))
		ask_removal(u);
	else if (made || u->request || rng_chance(rng, 15) || file->promised == file->length)
		engine_upload_look(u->w->engine, (struct engine_ref){ file->id, &u->grant }, looked, call_new(u, file));
	else
		request_begin(u, file);
}

static void step(void *arg, uint64_t x)
{
	struct uploader *u = arg;
	struct world *w = u->w;
	(void)x;
	if (u->deleted || u->deleting || (!next_file(u) && !u->request && !wants_to_say(u)))
		return;
	if (w->up && !w->stopping && !w->fatal) {
		do_something(u);
		world_touched(w);
	}
	sim_after(&w->sim, MS + rng_below(&u->rng, rng_chance(&u->rng, 10) ? SECOND : 60 * MS), step, u, 0);
}

/* --- for the world --- */

static void uploader_init(struct world *w, struct uploader *u, unsigned number)
{
	*u = (struct uploader){ .w = w, .number = number, .rng = { rng_mix(w->sim.seed * 7919 + number) } };
	u->grant = *grant_local();
	u->content = rng_next(&u->rng);
	u->later = rng_chance(&u->rng, 30);
	u->says = rng_chance(&u->rng, 30);
	u->lies = u->says && rng_chance(&u->rng, 30);
	u->file.length = rng_chance(&u->rng, 5) ? 0 : rng_below(&u->rng, rng_chance(&u->rng, 20) ? 2 * MIB : 200 * KIB);
	u->piece_count = rng_chance(&u->rng, 30) && u->file.length > 100 ? 2 + (unsigned)rng_below(&u->rng, 2) : 0;
	uint64_t at = 0;
	for (unsigned i = 0; i < u->piece_count; i++) {
		uint64_t left = u->file.length - at;
		u->pieces[i].from = at;
		u->pieces[i].length = i + 1 == u->piece_count ? left : rng_below(&u->rng, left);
		at += u->pieces[i].length;
	}
	if (u->piece_count > 0 || u->file.length == 0)
		u->later = false;
	if (u->number == 1 && u->piece_count > 0)
		u->number += UPLOADS; /* that one may be deleted, which is simpler to judge whole */
}

void uploaders_init(struct world *w)
{
	w->uploaders = calloc(1, sizeof *w->uploaders);
	assert(w->uploaders);
	w->uploaders->count = w->plan.uploads;
	for (unsigned i = 0; i < w->plan.uploads; i++)
		uploader_init(w, &w->uploaders->all[i], i);
}

void uploaders_release(struct world *w)
{
	free(w->uploaders);
}

void uploaders_begin(struct world *w)
{
	for (unsigned i = 0; i < w->uploaders->count; i++) {
		struct uploader *u = &w->uploaders->all[i];
		sim_after(&w->sim, rng_below(&u->rng, w->plan.calm_us * 3 / 4), step, u, 0);
	}
}

void uploaders_gone(struct world *w)
{
	for (unsigned i = 0; i < w->uploaders->count; i++) {
		struct uploader *u = &w->uploaders->all[i];
		u->asking = 0;
		u->request = NULL; /* as all that the process had, it is left to itself */
	}
}

bool uploaders_done(const struct world *w)
{
	for (unsigned i = 0; i < w->uploaders->count; i++) {
		struct uploader *u = &w->uploaders->all[i];
		if (!u->deleting && !u->deleted && next_file(u) && !faulty(w))
			return false;
	}
	return true;
}

void uploaders_describe(const struct world *w, char *out, size_t size)
{
	for (unsigned i = 0; i < w->uploaders->count; i++) {
		struct uploader *u = &w->uploaders->all[i];
		const struct resource_truth *file = next_file(u);
		if (!file || u->deleting || u->deleted)
			continue;
		snprintf(out, size, "upload %u (%s) has %" PRIu64 " of %" PRIu64 " bytes, %u asked, %s", u->number,
			 file->id, file->promised, file->length, u->asking, u->request ? "at a request" : "idle");
		return;
	}
}

static struct uploader *by_id(struct world *w, const char *id)
{
	for (unsigned i = 0; id && i < w->uploaders->count; i++) {
		if (strcmp(w->uploaders->all[i].file.id, id) == 0)
			return &w->uploaders->all[i];
	}
	return NULL;
}

bool uploaders_status(struct world *w, const json_t *status)
{
	struct sim *s = &w->sim;
	const char *id = json_string_value(json_object_get(status, "id"));
	struct uploader *u = by_id(w, id);
	for (unsigned i = 0; id && i < w->uploaders->count; i++) {
		for (unsigned k = 0; k < w->uploaders->all[i].piece_count; k++) {
			if (strcmp(w->uploaders->all[i].pieces[k].id, id) == 0)
				sim_fail(s, "a part is no recording", "a status of %s", id);
		}
	}
	if (!u) /* its creation's answer was lost, or is on its way */
		return json_is_object(json_object_get(status, "upload"));
	const char *phase = json_string_value(json_object_get(status, "phase"));
	uint64_t bytes = (uint64_t)json_integer_value(json_object_get(status, "bytes"));
	bool gone = phase && strcmp(phase, "deleted") == 0;
	if (gone && !may_go(u))
		sim_fail(s, "the end is the end", "upload %u is deleted, and nobody said so", u->number);
	if (!gone && u->piece_count == 0)
		promise(u, &u->file, bytes);
	u->deleted = u->deleted || gone;
	return true;
}

void uploaders_check_all(struct world *w)
{
	for (unsigned i = 0; i < w->uploaders->count && w->engine; i++) {
		struct uploader *u = &w->uploaders->all[i];
		if (u->file.id[0])
			engine_upload_look(w->engine, (struct engine_ref){ u->file.id, &u->grant }, looked,
					   call_new(u, &u->file));
	}
	world_touched(w);
}

/* A wrong SHA-256 was taken before anybody knew better: nothing is finished that it does not fit. */
static void believed_audit(const struct uploader *u, struct catalog *catalog)
{
	struct recording_info row;
	struct uuid id;
	if (!uuid_parse(u->file.id, &id) || catalog->ops->get(catalog, &id, &row) != ERR_OK)
		return;
	if (row.phase == PHASE_COMPLETE)
		sim_fail(&u->w->sim, "saved is what was sent",
			 "upload %u is complete with another SHA-256 than was declared", u->number);
	if (row.phase == PHASE_ERROR && row.error == ERR_CHECKSUM_MISMATCH)
		world_tally(u->w, TALLY_HASH_DIFFERS);
	recording_info_release(&row);
}

/* As a take of one track it is audited like any. */
void uploaders_audit(struct world *w, struct catalog *catalog)
{
	for (unsigned i = 0; i < w->uploaders->count; i++) {
		const struct uploader *u = &w->uploaders->all[i];
		struct take_truth take = { .honest = true, .track_count = 1, .fate = FATE_NONE };
		if (!u->file.id[0] || faulty(w))
			continue;
		snprintf(take.session, sizeof take.session, "upload %u", u->number);
		memcpy(take.id, u->file.id, sizeof take.id);
		take.deleting = may_go(u);
		take.deleted = u->deleted;
		take.fate = u->deleting ? FATE_DELETE : FATE_NONE;
		struct track_truth *track = &take.tracks[0];
		snprintf(track->name, sizeof track->name, "main");
		track->content = u->content;
		track->total = u->file.length;
		track->promised = u->piece_count ? 0 : u->file.promised;
		track->known = true;
		track->final = u->file.whole;
		track->saved_bytes = u->file.length;
		take.late_hash = true;
		take.early_hash = u->said;
		if (u->said && u->lies)
			take.fate = u->deleting ? FATE_DELETE : FATE_WRONG_SHA;
		audit_take(w, catalog, &take);
		if (u->believed)
			believed_audit(u, catalog);
		if (u->file.whole)
			world_tally(w, TALLY_UPLOADED);
	}
}
