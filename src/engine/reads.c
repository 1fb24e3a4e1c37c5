/* Readers: of the bytes as received, from the spool and for an unsealed take the durable rest from memory; and of what
 * was published, by a descriptor of its own. */
#include "engine/reads.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	struct list link;
	struct engine *engine;
	uint64_t id;
	struct uuid recording;
	uint16_t number; /* READER_PUBLISHED: of no track */
	uint64_t bytes;
	struct vfs_file *file; /* its own descriptor; NULL until the first read from the spool */
	bool reading, closed;
};

struct open_request {
	struct waiter waiter;
	struct grant grant;
	bool by_session;
	char *track;
	void (*done)(void *arg, enum err err, const struct engine_original *original);
	void *arg;
};

static struct reader *reader_find(struct engine *e, uint64_t id)
{
	for (struct list *at = e->readers.next; at != &e->readers; at = at->next) {
		struct reader *r = list_entry(at, struct reader, link);
		if (r->id == id && !r->closed)
			return r;
	}
	return NULL;
}

static void reader_free(struct engine *e, struct reader *r)
{
	list_remove(&r->link);
	e->reader_count--;
	vfs_file_close(r->file);
	free(r);
}

void readers_free(struct engine *e)
{
	while (!list_empty(&e->readers))
		reader_free(e, list_entry(e->readers.next, struct reader, link));
}

static struct reader *reader_new(struct engine *e, const struct uuid *recording, uint16_t number, uint64_t bytes)
{
	struct reader *r = must(calloc(1, sizeof *r));
	r->engine = e;
	r->id = ++e->reader_next;
	r->recording = *recording;
	r->number = number;
	r->bytes = bytes;
	list_push(&e->readers, &r->link);
	e->reader_count++;
	return r;
}

uint64_t reader_of_track(struct engine *e, const struct uuid *recording, uint16_t number, uint64_t bytes)
{
	return reader_new(e, recording, number, bytes)->id;
}

uint64_t reader_of_file(struct engine *e, const struct uuid *recording, struct vfs_file *file, uint64_t bytes)
{
	struct reader *r = reader_new(e, recording, READER_PUBLISHED, bytes);
	r->file = file;
	return r->id;
}

void original_name(const struct uuid *recording, unsigned number, const char *ext, struct engine_original *out)
{
	char id[UUID_TEXT], plain[LIMIT_EXT_CHARS + 1] = "", part[16] = "";
	size_t n = 0;
	for (; ext && ext[n] && n < LIMIT_EXT_CHARS; n++) {
		bool letter = (ext[n] >= 'a' && ext[n] <= 'z') || (ext[n] >= 'A' && ext[n] <= 'Z') ||
			      (ext[n] >= '0' && ext[n] <= '9');
		if (!letter)
			break;
		plain[n] = ext[n];
	}
	bool usable = n > 0 && !ext[n];
	uuid_format(recording, id);
	if (number != NAME_WHOLE)
		snprintf(part, sizeof part, "-%u", number);
	snprintf(out->filename, sizeof out->filename, "%s%s%s%s", id, part, usable ? "." : "", usable ? plain : "");
}

void original_fill(const struct take *t, uint16_t number, struct engine_original *out)
{
	const struct track_info *track = &t->rec.info.tracks[number];
	char id[UUID_TEXT];
	uuid_format(&t->rec.info.id, id);
	memset(out, 0, sizeof *out);
	out->bytes = track->bytes;
	out->sealed = t->rec.tracks[number].stage == STAGE_SEALED;
	/* bytes of a track never change, so its length names its content */
	snprintf(out->etag, sizeof out->etag, "\"%s-%u-%llu\"", id, (unsigned)number, (unsigned long long)track->bytes);
	snprintf(out->mime, sizeof out->mime, "%s", t->rec.info.mime ? t->rec.info.mime : "");
	original_name(&t->rec.info.id, number == 0 && t->rec.info.track_count == 1 ? NAME_WHOLE : number,
		      t->rec.info.ext, out);
}

/* The track of this name; without one the only one, or `main`. */
int reads_find_track(const struct recording_info *info, const char *name)
{
	if (!name && info->track_count == 1)
		return 0;
	const struct track_info *track = recording_info_track(info, name ? name : "main");
	return track ? track->number : -1;
}

static enum err judge(const struct engine *e, const struct open_request *o, const struct take *t, enum err err)
{
	static const struct uuid none;
	if (err == ERR_NOT_FOUND && grant_judge(&o->grant, GRANT_READ, false, &none) == ERR_FORBIDDEN_SCOPE)
		return ERR_FORBIDDEN_SCOPE;
	if (err || (err = take_judge(t, &o->grant, GRANT_READ, o->by_session)))
		return err;
	if (t->rec.info.phase == PHASE_DELETED)
		return ERR_DELETED;
	if (t->rec.info.phase == PHASE_ERROR && t->rec.info.error == ERR_QUARANTINED)
		return ERR_QUARANTINED; /* its folder was moved */
	if (reads_find_track(&t->rec.info, o->track) < 0)
		return ERR_NOT_FOUND;
	if (e->reader_count >= LIMIT_READERS)
		return ERR_BUSY;
	return ERR_OK;
}

static void open_go(struct engine *e, struct waiter *w, struct take *t, enum err err)
{
	struct open_request *o = (struct open_request *)w;
	err = judge(e, o, t, err);
	if (err) {
		o->done(o->arg, err, NULL);
	} else {
		uint16_t number = (uint16_t)reads_find_track(&t->rec.info, o->track);
		struct engine_original original;
		original_fill(t, number, &original);
		original.reader = reader_of_track(e, &t->rec.info.id, number, original.bytes);
		o->done(o->arg, ERR_OK, &original);
	}
	free(o->track);
	free(o);
}

void engine_original(struct engine *e, struct engine_ref ref, const char *track,
		     void (*done)(void *arg, enum err err, const struct engine_original *original), void *arg)
{
	struct open_request *o = must(calloc(1, sizeof *o));
	o->waiter.go = open_go;
	o->grant = *ref.grant;
	o->by_session = ref_by_session(ref.text);
	o->track = track ? must(strdup(track)) : NULL;
	o->done = done;
	o->arg = arg;
	take_want(e, ref, &o->waiter);
}

struct read_op {
	struct task task;
	struct engine *engine;
	struct reader *reader;
	uint64_t offset;
	size_t len, got;
	enum err err;
	void (*done)(void *arg, enum err err, const void *data, size_t len);
	void *arg;
	char data[];
};

static void read_run(struct task *task)
{
	struct read_op *op = (struct read_op *)task;
	struct reader *r = op->reader;
	if (!r->file) {
		char path[SPOOL_PATH];
		spool_file_path(&r->recording, r->number, path);
		op->err = vfs_open(op->engine->config.vfs, path, VFS_READ, &r->file);
		if (op->err) {
			op->err = op->err == ERR_NOT_FOUND ? ERR_DELETED : op->err;
			return;
		}
	}
	op->err = vfs_file_read(r->file, op->data, op->len, op->offset, &op->got);
	if (!op->err && op->got == 0)
		op->err = ERR_CORRUPT; /* shorter than what was promised */
}

static void read_done(struct task *task)
{
	struct read_op *op = (struct read_op *)task;
	struct reader *r = op->reader;
	r->reading = false;
	if (r->closed)
		reader_free(op->engine, r);
	else
		op->done(op->arg, op->err, op->err ? NULL : op->data, op->err ? 0 : op->got);
	free(op);
}

/* The durable bytes that are not in the spool yet. */
static void read_memory(struct track_io *io, struct read_op *op)
{
	enum { MAX = LIMIT_READ_BYTES / LIMIT_BLOCK_BYTES + 2 };
	struct iovec iov[MAX];
	int count = chain_iov(&io->chain, op->offset, op->offset + op->len, iov, MAX);
	for (int i = 0; i < count; i++) {
		memcpy(op->data + op->got, iov[i].iov_base, iov[i].iov_len);
		op->got += iov[i].iov_len;
	}
}

void engine_read(struct engine *e, uint64_t reader, uint64_t offset, size_t len,
		 void (*done)(void *arg, enum err err, const void *data, size_t len), void *arg)
{
	struct reader *r = reader_find(e, reader);
	if (!r || r->reading || offset >= r->bytes) {
		done(arg, ERR_BAD_REQUEST, NULL, 0);
		return;
	}
	if (len > LIMIT_READ_BYTES)
		len = LIMIT_READ_BYTES;
	if (len > r->bytes - offset)
		len = (size_t)(r->bytes - offset);
	struct read_op *op = must(malloc(sizeof *op + len));
	*op = (struct read_op){ .engine = e, .reader = r, .offset = offset, .len = len, .done = done, .arg = arg };
	struct take *t = take_by_id(e, &r->recording);
	bool at_work = t && !t->loading && r->number != READER_PUBLISHED && r->number < t->io_count;
	struct track_io *io = at_work ? t->io[r->number] : NULL;
	if (io && offset >= io->spooled) {
		read_memory(io, op);
		done(arg, ERR_OK, op->data, op->got);
		free(op);
		return;
	}
	if (io && offset + len > io->spooled)
		op->len = (size_t)(io->spooled - offset);
	op->task.run = read_run;
	op->task.done = read_done;
	r->reading = true;
	exec_submit(e->config.exec, LANE_POOL, &op->task);
}

void engine_reader_close(struct engine *e, uint64_t reader)
{
	struct reader *r = reader_find(e, reader);
	if (!r)
		return;
	if (r->reading)
		r->closed = true;
	else
		reader_free(e, r);
}
