/* A request's bytes under a checksum: they are put aside in a file, hashed as they come, and only when all are there
 * and fit are they handed on, to be appended like any. Until then the upload is as it was, whatever happens; the file
 * promises nothing and is never synced. */
#include "engine/uploads.h"

#include "base/crc.h"

#include <stdlib.h>
#include <string.h>

enum stage { STAGE_TAKE, STAGE_HAND, STAGE_END };

/* A piece that waits to be written. */
struct piece {
	struct list link;
	size_t len;
	char data[];
};

struct checked {
	struct task task;
	struct upload_append *append; /* NULL: nobody waits for it */
	struct engine *engine;
	char path[32];
	struct vfs_file *file; /* the lane's */
	struct list pieces;    /* struct piece: the first is being written while `busy` */
	size_t waiting;	       /* bytes of them */
	uint64_t written, handed;
	EVP_MD_CTX *hash; /* NULL: crc */
	uint32_t crc;
	enum stage stage;
	bool busy; /* a lane has it */
	bool paused;
	bool all; /* no more come */
	enum err err;
	char *read; /* LIMIT_READ_BYTES, in STAGE_HAND */
	size_t got;
};

static void pump(struct checked *c);

static const EVP_MD *digest_of(enum engine_digest digest)
{
	return digest == DIGEST_SHA1 ? EVP_sha1() : digest == DIGEST_SHA256 ? EVP_sha256() : NULL;
}

struct checked *checked_new(struct upload_append *a)
{
	struct checked *c = must(calloc(1, sizeof *c));
	const EVP_MD *md = digest_of(a->ask.digest);
	c->append = a;
	c->engine = a->engine;
	snprintf(c->path, sizeof c->path, "aside/%llu", (unsigned long long)a->id);
	list_init(&c->pieces);
	if (md) {
		c->hash = must(EVP_MD_CTX_new());
		must(EVP_DigestInit_ex(c->hash, md, NULL) == 1 ? c : NULL);
	}
	a->engine->uploads.at_work++;
	return c;
}

static void checked_free(struct checked *c)
{
	struct list *link;
	while ((link = list_pop(&c->pieces)))
		free(list_entry(link, struct piece, link));
	EVP_MD_CTX_free(c->hash);
	free(c->read);
	c->engine->uploads.at_work--;
	free(c);
}

/* --- on a lane --- */

static enum err file_open(struct checked *c)
{
	struct vfs *vfs = c->engine->config.vfs;
	enum err err = vfs_mkdir(vfs, "aside");
	if (err && err != ERR_EXISTS)
		return err;
	return vfs_open(vfs, c->path, VFS_READ | VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, &c->file);
}

static void write_run(struct task *task)
{
	struct checked *c = (struct checked *)task;
	const struct piece *p = list_entry(c->pieces.next, struct piece, link);
	c->err = c->file ? ERR_OK : file_open(c);
	if (!c->err)
		c->err = vfs_file_write(c->file, p->data, p->len, c->written);
}

static void read_run(struct task *task)
{
	struct checked *c = (struct checked *)task;
	uint64_t left = c->written - c->handed;
	c->err = vfs_file_read(c->file, c->read, left < LIMIT_READ_BYTES ? (size_t)left : LIMIT_READ_BYTES, c->handed,
			       &c->got);
	if (!c->err && c->got == 0)
		c->err = ERR_READ_FAILED;
}

static void remove_run(struct task *task)
{
	struct checked *c = (struct checked *)task;
	if (!c->file)
		return;
	vfs_file_close(c->file);
	vfs_unlink(c->engine->config.vfs, c->path); /* or at the next start */
}

static void remove_done(struct task *task)
{
	checked_free((struct checked *)task);
}

/* --- on the loop --- */

static void submit(struct checked *c, void (*run)(struct task *task), void (*done)(struct task *task))
{
	c->busy = true;
	c->task.run = run;
	c->task.done = done;
	exec_submit(c->engine->config.exec, LANE_SPOOL, &c->task);
}

static void pause_update(struct checked *c)
{
	bool pause = c->stage == STAGE_TAKE && c->waiting >= LIMIT_CHECKED_BYTES;
	if (pause == c->paused || !c->append)
		return;
	c->paused = pause;
	append_pause(c->append, pause);
}

static void write_done(struct task *task)
{
	struct checked *c = (struct checked *)task;
	struct piece *p = list_entry(list_pop(&c->pieces), struct piece, link);
	c->busy = false;
	c->waiting -= p->len;
	c->written += c->err ? 0 : p->len;
	free(p);
	if (c->err && c->append)
		append_over(c->append, c->err);
	pause_update(c);
	pump(c);
}

static void read_done(struct task *task)
{
	struct checked *c = (struct checked *)task;
	c->busy = false;
	if (c->err && c->append)
		append_over(c->append, c->err);
	if (!c->err && c->append && !c->append->over) {
		c->handed += c->got;
		append_take(c->append, c->read, c->got);
	}
	pump(c);
}

static bool fits(struct checked *c)
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	if (c->hash) {
		must(EVP_DigestFinal_ex(c->hash, sum, &len) == 1 ? c : NULL);
		return memcmp(sum, c->append->ask.digest_value, len) == 0;
	}
	for (unsigned i = 0; i < 4; i++)
		sum[i] = (uint8_t)(c->crc >> (24 - 8 * i));
	return memcmp(sum, c->append->ask.digest_value, 4) == 0;
}

/* All is written: is it what it should be? */
static void compare(struct checked *c)
{
	if (!fits(c)) {
		append_over(c->append, ERR_CHECKSUM_MISMATCH);
		c->stage = STAGE_END;
		return;
	}
	c->read = must(malloc(LIMIT_READ_BYTES));
	c->stage = STAGE_HAND;
}

/* The next step, unless a lane has it. */
static void pump(struct checked *c)
{
	if (c->busy)
		return;
	if (!c->append) {
		submit(c, remove_run, remove_done);
		return;
	}
	if (c->append->over)
		return; /* checked_drop is next */
	if (!list_empty(&c->pieces)) {
		submit(c, write_run, write_done);
		return;
	}
	if (c->stage == STAGE_TAKE && c->all)
		compare(c);
	if (c->stage != STAGE_HAND)
		return;
	const struct conn *conn = conn_find(c->engine, c->append->conn);
	if (c->handed < c->written && conn && !conn->paused) {
		submit(c, read_run, read_done);
	} else if (c->handed == c->written) {
		c->stage = STAGE_END;
		append_finish(c->append);
	}
}

void checked_add(struct checked *c, const void *data, size_t len)
{
	struct piece *p = must(malloc(sizeof *p + len));
	p->len = len;
	memcpy(p->data, data, len);
	list_push(&c->pieces, &p->link);
	c->waiting += len;
	if (c->hash)
		must(EVP_DigestUpdate(c->hash, data, len) == 1 ? c : NULL);
	else
		c->crc = crc32c(c->crc, data, len);
	pause_update(c);
	pump(c);
}

void checked_end(struct checked *c)
{
	c->all = true;
	pump(c);
}

void checked_resume(struct checked *c)
{
	pump(c);
}

void checked_drop(struct checked *c)
{
	c->append = NULL;
	pump(c);
}
