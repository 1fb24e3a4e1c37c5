/* What an outside authority said, as it is kept: in memory, the one seen last being the last to go, and in the catalog.
 * By the SHA-256 of tokens; see authorities.h. */
#include "engine/authorities_private.h"

#include "base/log.h"
#include "proto/base64url.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024, ID_BYTES = 16 };

bool said_equal(const struct sha256 *a, const struct sha256 *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static void id_of(const struct sha256 *hash, char out[LIMIT_TOKEN_ID_CHARS + 1])
{
	_Static_assert(BASE64URL_CHARS(ID_BYTES) == LIMIT_TOKEN_ID_CHARS, "half of the hash is an id");
	base64url_format(hash->bytes, ID_BYTES, out);
}

/* --- what is known --- */

static struct known **bucket_of(struct engine *e, const struct sha256 *hash)
{
	return &e->authorities.table[(hash->bytes[30] << 8 | hash->bytes[31]) & (BUCKETS - 1)];
}

static void known_free(struct engine *e, struct known *k)
{
	struct known **at = bucket_of(e, &k->hash);
	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	list_remove(&k->recent);
	e->authorities.known_count--;
	free(k);
}

/* A clock that was set back lets nothing last longer than it could have lasted. */
bool said_over(const struct engine *e, int64_t expires_ms)
{
	int64_t left_ms = expires_ms - engine_wall(e);
	return left_ms <= 0 || left_ms > LIMIT_AUTHORITY_KEEP_S * 1000LL;
}

struct known *known_find(struct engine *e, const struct sha256 *hash)
{
	struct known *k = *bucket_of(e, hash);
	while (k && !said_equal(&k->hash, hash))
		k = k->next;
	if (k && said_over(e, k->expires_ms)) {
		known_free(e, k);
		return NULL;
	}
	return k;
}

struct known *known_add(struct engine *e, const struct sha256 *hash, const struct authority_answer *answer,
			int64_t expires_ms)
{
	struct authorities *a = &e->authorities;
	struct known *k = known_find(e, hash);
	if (k)
		known_free(e, k);
	if (a->known_count >= LIMIT_AUTHORITY_KNOWN)
		known_free(e, list_entry(a->recent.next, struct known, recent));
	k = must(calloc(1, sizeof *k));
	k->hash = *hash;
	k->allow = answer->allow;
	k->expires_ms = expires_ms;
	k->grant = (struct grant){
		.scopes = answer->scopes,
		.max_bytes = answer->max_bytes,
		.rate_per_s = answer->rate_per_s,
		.rate_burst = answer->rate_burst,
		.expires_ms = expires_ms,
	};
	memcpy(k->grant.subject, answer->subject, sizeof k->grant.subject);
	id_of(hash, k->grant.token_id);
	k->next = *bucket_of(e, hash);
	*bucket_of(e, hash) = k;
	list_push(&a->recent, &k->recent);
	a->known_count++;
	return k;
}

/* --- the catalog --- */

struct said_op *said_op_new(struct engine *e, enum err (*run)(struct catalog *c, struct catalog_op *op),
			    void (*done)(struct engine *e, struct catalog_op *op))
{
	struct said_op *o = must(calloc(1, sizeof *o));
	o->op.run = run;
	o->op.done = done;
	o->now_ms = engine_wall(e);
	return o;
}

void said_op_free(struct said_op *o)
{
	catalog_authority_release(&o->said);
	free(o);
}

static enum err put_run(struct catalog *c, struct catalog_op *op)
{
	struct said_op *o = (struct said_op *)op;
	return c->ops->authority_put(c, &o->said, o->now_ms);
}

/* What could not be kept is asked for again after a restart. */
static void put_done(struct engine *e, struct catalog_op *op)
{
	(void)e;
	if (op->err && op->err != ERR_SHUTTING_DOWN)
		log_event(LOG_WARN, "authority_not_kept", "code", err_code(op->err), NULL);
	said_op_free((struct said_op *)op);
}

void said_keep(struct engine *e, const struct known *k, const struct authority_answer *answer)
{
	struct buf text;
	struct said_op *o = said_op_new(e, put_run, put_done);
	buf_init(&text);
	authority_answer_format(&text, answer);
	o->said = (struct catalog_authority){
		.token = k->hash,
		.subject = must(strdup(answer->subject)),
		.answer = must(buf_take(&text)),
		.expires_ms = k->expires_ms,
	};
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

/* --- forgetting --- */

struct forget_op {
	struct catalog_op op;
	char *subject; /* owned; NULL: everybody's */
	struct sha256 *tokens;
	size_t count, capacity;
	void (*done)(void *arg, enum err err, const char *token_id);
	void *arg;
};

static enum err forget_each(void *arg, const struct sha256 *token)
{
	struct forget_op *o = arg;
	if (o->count == o->capacity) {
		size_t capacity = o->capacity ? o->capacity * 2 : 16;
		struct sha256 *tokens = realloc(o->tokens, capacity * sizeof *tokens);
		if (!tokens)
			return ERR_NO_MEMORY;
		o->tokens = tokens;
		o->capacity = capacity;
	}
	o->tokens[o->count++] = *token;
	return ERR_OK;
}

static enum err forget_run(struct catalog *c, struct catalog_op *op)
{
	struct forget_op *o = (struct forget_op *)op;
	o->count = 0;
	return c->ops->authority_forget(c, o->subject, forget_each, o);
}

/* Also those whose row could not be written; of a question under way the answer is still to come, and newer. */
static void forget_known(struct engine *e, struct forget_op *o)
{
	struct authorities *a = &e->authorities;
	for (struct list *at = a->recent.next, *next; at != &a->recent; at = next) {
		struct known *k = list_entry(at, struct known, recent);
		next = at->next;
		if (o->subject && (!k->allow || strcmp(k->grant.subject, o->subject) != 0))
			continue;
		if (k->allow)
			must(forget_each(o, &k->hash) == ERR_OK ? o : NULL);
		known_free(e, k);
	}
}

static int compare_tokens(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct sha256));
}

static void forget_done(struct engine *e, struct catalog_op *op)
{
	struct forget_op *o = (struct forget_op *)op;
	char id[LIMIT_TOKEN_ID_CHARS + 1];
	if (!op->err && e->authorities.table)
		forget_known(e, o);
	if (!op->err && o->count > 0)
		qsort(o->tokens, o->count, sizeof *o->tokens, compare_tokens);
	for (size_t i = 0; !op->err && i < o->count; i++) {
		if (i > 0 && said_equal(&o->tokens[i], &o->tokens[i - 1]))
			continue;
		id_of(&o->tokens[i], id);
		o->done(o->arg, ERR_OK, id);
	}
	o->done(o->arg, op->err, NULL);
	free(o->subject);
	free(o->tokens);
	free(o);
}

void engine_authority_forget(struct engine *e, const char *subject,
			     void (*done)(void *arg, enum err err, const char *token_id), void *arg)
{
	struct forget_op *o = must(calloc(1, sizeof *o));
	o->op.run = forget_run;
	o->op.done = forget_done;
	o->subject = subject ? must(strdup(subject)) : NULL;
	o->done = done;
	o->arg = arg;
	catalog_submit(e, &o->op);
	catalog_pump(e);
}

/* --- life --- */

void known_init(struct engine *e)
{
	e->authorities.table = must(calloc(BUCKETS, sizeof *e->authorities.table));
	list_init(&e->authorities.recent);
}

void known_release(struct engine *e)
{
	while (!list_empty(&e->authorities.recent))
		known_free(e, list_entry(e->authorities.recent.next, struct known, recent));
	free(e->authorities.table);
	e->authorities.table = NULL;
}
