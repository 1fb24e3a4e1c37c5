/* The takes in memory: found by id and by (principal, sessionId), loaded from the catalog when asked for, evicted when
 * finished and clean. */
#include "engine/internal.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint64_t key_hash(const char *principal, const char *session_id)
{
	uint64_t h = 0xcbf29ce484222325ULL; /* FNV-1a */
	for (const char *p = principal; *p; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3ULL;
	h = (h ^ 0xff) * 0x100000001b3ULL;
	for (const char *p = session_id; *p; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3ULL;
	return h ^ h >> 32;
}

static struct take **id_slot(struct engine *e, const struct uuid *id)
{
	return &e->by_id[uuid_hash(id) & (e->table_size - 1)];
}

static struct take **key_slot(struct engine *e, const char *principal, const char *session_id)
{
	return &e->by_key[key_hash(principal, session_id) & (e->table_size - 1)];
}

struct take *take_by_id(struct engine *e, const struct uuid *id)
{
	struct take *t = *id_slot(e, id);
	while (t && !uuid_equal(&t->rec.info.id, id))
		t = t->next_by_id;
	return t;
}

struct take *take_by_key(struct engine *e, const char *principal, const char *session_id)
{
	struct take *t = *key_slot(e, principal, session_id);
	while (t && (strcmp(t->rec.info.principal, principal) != 0 || strcmp(t->rec.info.session_id, session_id) != 0))
		t = t->next_by_key;
	return t;
}

static void table_add(struct engine *e, struct take *t)
{
	if (!t->in_id_table) {
		struct take **slot = id_slot(e, &t->rec.info.id);
		t->next_by_id = *slot;
		*slot = t;
		t->in_id_table = true;
	}
	if (!t->in_key_table && t->rec.info.principal && t->rec.info.session_id) {
		struct take **slot = key_slot(e, t->rec.info.principal, t->rec.info.session_id);
		t->next_by_key = *slot;
		*slot = t;
		t->in_key_table = true;
	}
}

static void table_remove(struct engine *e, struct take *t)
{
	if (t->in_id_table) {
		struct take **at = id_slot(e, &t->rec.info.id);
		while (*at != t)
			at = &(*at)->next_by_id;
		*at = t->next_by_id;
		t->in_id_table = false;
	}
	if (t->in_key_table) {
		struct take **at = key_slot(e, t->rec.info.principal, t->rec.info.session_id);
		while (*at != t)
			at = &(*at)->next_by_key;
		*at = t->next_by_key;
		t->in_key_table = false;
	}
}

static struct take *take_new(struct engine *e)
{
	struct take *t = must(calloc(1, sizeof *t));
	list_init(&t->waiting);
	list_init(&t->changed);
	list_init(&t->grown);
	t->timer.kind = TIMER_TAKE;
	list_push(&e->takes, &t->link);
	e->take_count++;
	return t;
}

struct track_io *take_io(struct engine *e, struct take *t, uint16_t number)
{
	assert(number < t->rec.info.track_count);
	if (number >= t->io_count) {
		t->io = must(realloc(t->io, t->rec.info.track_count * sizeof *t->io));
		while (t->io_count < t->rec.info.track_count) {
			struct track_io *io = must(calloc(1, sizeof *io));
			uint64_t bytes = t->rec.tracks[t->io_count].accepted;
			io->take = t;
			io->number = (uint16_t)t->io_count;
			io->reserved = io->logged = io->spooled = io->synced = io->flush_to = bytes;
			/* a track without bytes may have no file yet, whatever else the folder holds */
			io->names_synced = t->manifest_on_disk && bytes > 0;
			io->chain.first = bytes / LIMIT_BLOCK_BYTES;
			list_init(&io->dirty);
			list_init(&io->spoolable);
			t->io[t->io_count++] = io;
		}
	}
	(void)e;
	return t->io[number];
}

/* Fills a take from a row; the row is empty afterwards. */
static void take_fill(struct engine *e, struct take *t, struct recording_info *info)
{
	table_remove(e, t);
	struct recording_info key = t->rec.info;
	must(recording_init(&t->rec, info, e->config.grace_ms, e->config.late_resume_ms) ? NULL : t);
	recording_info_release(&key);
	t->loading = false;
	table_add(e, t);
	if (e->storage_full)
		recording_freeze(&t->rec, true, e->now.mono_ms);
	follow_seen(t);
}

struct take *take_adopt(struct engine *e, struct recording_info *info)
{
	struct take *t = take_new(e);
	take_fill(e, t, info);
	return t;
}

void take_wait(struct take *t, struct waiter *w)
{
	list_push(&t->waiting, &w->link);
}

void take_wake(struct engine *e, struct take *t, enum err err)
{
	struct list ready;
	list_init(&ready);
	list_move(&ready, &t->waiting);
	take_pin(t);
	struct list *link;
	while ((link = list_pop(&ready))) {
		struct waiter *w = list_entry(link, struct waiter, link);
		w->go(e, w, err ? NULL : t, err);
	}
	take_unpin(e, t);
}

void take_pin(struct take *t)
{
	t->pins++;
}

void take_unpin(struct engine *e, struct take *t)
{
	assert(t->pins > 0);
	t->pins--;
	if (t->pins == 0)
		take_evict(e, t);
}

bool take_finished(const struct take *t)
{
	return !t->loading && t->rec.info.phase != PHASE_UPLOADING && t->rec.busy == BUSY_NONE;
}

bool take_clean(const struct take *t)
{
	for (uint32_t i = 0; i < t->io_count; i++) {
		const struct track_io *io = t->io[i];
		if (io->failed)
			continue;
		if (io->synced < t->rec.tracks[i].durable || io->writing || io->reserving || io->hashing)
			return false;
	}
	return !t->manifest_dirty && !t->manifest_writing;
}

/* A batch's item without a byte is its row: of a hundred thousand that wait, none needs to be in memory. */
static bool take_waits(const struct take *t)
{
	return !t->loading && !t->failing && t->rec.info.batch && t->rec.info.phase == PHASE_UPLOADING &&
	       t->rec.info.track_count == 0 && t->rec.busy == BUSY_NONE;
}

void take_evict(struct engine *e, struct take *t)
{
	if (t->pins > 0 || t->loading || !list_empty(&t->waiting))
		return;
	if (!t->gone && e->checkpoint.running)
		return; /* the checkpoint's record names it; its end comes back here */
	if (t->gone && t->deletion && jobs_hold(e, &t->rec.info.id))
		return; /* its end comes back here */
	if (t->gone && t->deletion)
		take_remove_files(e, t);
	if (t->gone || ((take_finished(t) || take_waits(t)) && take_clean(t) && !recording_attached(&t->rec)))
		take_free(e, t);
}

void take_free(struct engine *e, struct take *t)
{
	table_remove(e, t);
	follow_gone(e, t);
	timer_set(&e->timers, &t->timer, UINT64_MAX);
	for (uint32_t i = 0; i < t->io_count; i++) {
		struct track_io *io = t->io[i];
		list_remove(&io->dirty);
		list_remove(&io->spoolable);
		chain_free(e, &io->chain);
		EVP_MD_CTX_free(io->hash);
		vfs_file_close(io->file);
		free(io);
	}
	free(t->io);
	take_logged_clear(t);
	recording_release(&t->rec);
	list_remove(&t->link);
	e->take_count--;
	free(t);
}

/* Loading: a shell stands in the key table while the catalog is asked, so that two starts of one take meet. */
struct load_op {
	struct catalog_op op;
	struct take *shell; /* NULL for look-ups by id or ref, which meet in take_adopted */
	struct waiter *waiter;
	struct recording_info info; /* of a start: the row to insert */
	struct recording_info row;
	bool insert, inserted, by_id;
	bool limited, charged; /* its principal has made too many new ones, or a token was taken */
	struct grant grant;
	struct uuid id;
	char *ref;
};

/* A session of this principal, else one of `local` by the same name. */
static enum err find_session(struct catalog *c, const struct recording_info *key, struct recording_info *row)
{
	enum err err = c->ops->find_session(c, key->principal, key->session_id, row);
	if (err != ERR_NOT_FOUND || strcmp(key->principal, PRINCIPAL_LOCAL) == 0)
		return err;
	return c->ops->find_session(c, PRINCIPAL_LOCAL, key->session_id, row);
}

static enum err load_run(struct catalog *c, struct catalog_op *op)
{
	struct load_op *l = (struct load_op *)op;
	recording_info_release(&l->row);
	if (l->by_id)
		return c->ops->get(c, &l->id, &l->row);
	if (l->ref)
		return c->ops->find_ref(c, l->ref, &l->row);
	if (l->insert && strcmp(l->info.principal, PRINCIPAL_LOCAL) == 0)
		return c->ops->start(c, &l->info, &l->inserted, &l->row);
	enum err err = find_session(c, &l->info, &l->row);
	return err == ERR_NOT_FOUND && l->insert ? c->ops->start(c, &l->info, &l->inserted, &l->row) : err;
}

static void load_free(struct load_op *l)
{
	recording_info_release(&l->info);
	recording_info_release(&l->row);
	free(l->ref);
	free(l);
}

/* The take was not in the catalog, and there was no space to begin one when it was asked for. */
static enum err load_refusal(const struct load_op *l)
{
	if (l->op.err != ERR_NOT_FOUND || l->insert)
		return l->op.err;
	return l->limited ? ERR_RATE_LIMITED : ERR_STORAGE_FULL;
}

static void shell_done(struct engine *e, struct load_op *l)
{
	struct take *t = l->shell;
	enum err err = load_refusal(l);
	if (l->charged && !l->inserted)
		limit_give_back(e, &l->grant);
	if (err) {
		t->loading = false;
		t->gone = true;
		table_remove(e, t);
		take_wake(e, t, err);
		return;
	}
	struct take *there = take_by_id(e, &l->row.id);
	if (there && there != t) { /* a request brought it meanwhile */
		t->loading = false;
		t->gone = true;
		table_remove(e, t);
		list_move(&there->waiting, &t->waiting);
		take_evict(e, t);
		if (!there->loading)
			take_wake(e, there, ERR_OK);
		return;
	}
	take_fill(e, t, &l->row);
	take_pin(t);
	t->manifest_on_disk = !l->inserted;
	if (l->inserted) {
		/* a fresh take: its first waiter made it */
		if (!list_empty(&t->waiting))
			list_entry(t->waiting.next, struct waiter, link)->created = true;
		if (e->listening)
			recording_listen(&t->rec, e->now.mono_ms, &e->fx);
		follow_change(e, t);
		effects_add(&e->fx, (struct effect){ .type = EFFECT_LOG_OPEN, .track = EFFECT_NO_TRACK });
		effects_run(e, t);
	}
	take_wake(e, t, ERR_OK);
	take_unpin(e, t);
}

static void load_done(struct engine *e, struct catalog_op *op)
{
	struct load_op *l = (struct load_op *)op;
	if (l->shell) {
		shell_done(e, l);
		load_free(l);
		return;
	}
	struct take *t = NULL;
	if (op->err == ERR_OK) {
		t = take_by_id(e, &l->row.id); /* somebody may have been faster, or is about to be */
		if (!t && l->row.principal && l->row.session_id)
			t = take_by_key(e, l->row.principal, l->row.session_id);
		if (!t) {
			t = take_adopt(e, &l->row);
			t->manifest_on_disk = true; /* else it would not have left memory */
		}
	}
	if (t) {
		take_pin(t);
		if (t->loading)
			take_wait(t, l->waiter);
		else
			l->waiter->go(e, l->waiter, t, ERR_OK);
		take_unpin(e, t);
	} else {
		l->waiter->go(e, l->waiter, NULL, op->err);
	}
	load_free(l);
}

static struct load_op *load_new(void)
{
	struct load_op *l = must(calloc(1, sizeof *l));
	l->op.run = load_run;
	l->op.done = load_done;
	return l;
}

/* Puts a shell under the key and asks the catalog. */
static struct take *shell_new(struct engine *e, struct recording_info *info, const struct grant *grant)
{
	uint64_t retry_ms = 0;
	struct take *t = take_new(e);
	t->loading = true;
	t->rec.info.id = info->id;
	t->rec.info.principal = must(strdup(info->principal));
	t->rec.info.session_id = must(strdup(info->session_id));
	struct load_op *l = load_new();
	l->shell = t;
	l->grant = *grant;
	l->insert = l->charged = !space_refuses_new(e) && limit_take(e, grant, &retry_ms);
	l->limited = retry_ms > 0;
	l->info = *info;
	memset(info, 0, sizeof *info);
	table_add(e, t);
	catalog_submit(e, &l->op);
	return t;
}

void take_start(struct engine *e, struct recording_info *info, const struct grant *grant, struct waiter *w)
{
	struct take *t = take_by_key(e, info->principal, info->session_id);
	if (t && !t->loading) {
		recording_info_release(info);
		take_pin(t);
		w->go(e, w, t, ERR_OK);
		take_unpin(e, t);
		return;
	}
	if (t)
		recording_info_release(info);
	else
		t = shell_new(e, info, grant);
	take_wait(t, w);
	catalog_pump(e);
}

/* True when the take is in memory: the waiter has it, or waits for it to be loaded. */
static bool want_loaded(struct engine *e, struct take *t, struct waiter *w)
{
	if (!t)
		return false;
	if (t->loading) {
		take_wait(t, w);
		return true;
	}
	take_pin(t);
	w->go(e, w, t, ERR_OK);
	take_unpin(e, t);
	return true;
}

static void want_session(struct engine *e, struct engine_ref ref, const char *session, struct waiter *w)
{
	if (want_loaded(e, take_by_key(e, ref.grant->subject, session), w))
		return;
	struct load_op *l = load_new();
	l->waiter = w;
	l->info.principal = must(strdup(ref.grant->subject));
	l->info.session_id = must(strdup(session));
	catalog_submit(e, &l->op);
	catalog_pump(e);
}

void take_want(struct engine *e, struct engine_ref ref, struct waiter *w)
{
	struct uuid id;
	if (ref_by_session(ref.text)) {
		want_session(e, ref, ref.text + 8, w);
		return;
	}
	bool by_id = uuid_parse(ref.text, &id);
	if (!by_id && strncmp(ref.text, "ref:", 4) != 0) {
		w->go(e, w, NULL, ERR_NOT_FOUND);
		return;
	}
	if (by_id && want_loaded(e, take_by_id(e, &id), w))
		return;
	struct load_op *l = load_new();
	l->waiter = w;
	l->by_id = by_id;
	l->id = id;
	l->ref = by_id ? NULL : must(strdup(ref.text + 4));
	catalog_submit(e, &l->op);
	catalog_pump(e);
}
