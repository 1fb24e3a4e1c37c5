/* Answers of an outside authority: kept, looked up, asked for. See authorities.h.
 *
 * A token is looked for in memory, then in the catalog, then the authority is asked; each token by one question,
 * however many wait for it. Tokens are kept as their SHA-256, and as text only while they wait to be asked about. What
 * is said of one is for that one alone; a failure is remembered by nobody. */
#include "engine/internal.h"

#include "base/log.h"
#include "proto/authority.h"
#include "proto/base64url.h"
#include "proto/token.h"
#include "work/authority.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024, ID_BYTES = 16 };

/* An answer in memory. */
struct known {
	struct list recent;
	struct known *next; /* of its bucket */
	struct sha256 hash;
	bool allow;
	struct grant grant;
	int64_t expires_ms;
};

struct question {
	struct list link;
	uint64_t number;
	struct sha256 hash;
	char *token; /* owned, wiped; NULL once it is asked */
	bool looking, asked, answered;
	enum err err;
	struct authority_answer answer;
	uint64_t since_ms;
	struct list waiting; /* struct engine_asked */
};

static struct sha256 hash_of(const char *token)
{
	struct sha256 hash;
	unsigned len;
	int done = EVP_Digest(token, strlen(token), hash.bytes, &len, EVP_sha256(), NULL);
	must(done == 1 ? &hash : NULL);
	return hash;
}

static bool hash_equal(const struct sha256 *a, const struct sha256 *b)
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
static bool is_over(const struct engine *e, int64_t expires_ms)
{
	int64_t left_ms = expires_ms - engine_wall(e);
	return left_ms <= 0 || left_ms > LIMIT_AUTHORITY_KEEP_S * 1000LL;
}

static struct known *known_find(struct engine *e, const struct sha256 *hash)
{
	struct known *k = *bucket_of(e, hash);
	while (k && !hash_equal(&k->hash, hash))
		k = k->next;
	if (k && is_over(e, k->expires_ms)) {
		known_free(e, k);
		return NULL;
	}
	return k;
}

static struct known *known_add(struct engine *e, const struct sha256 *hash, const struct authority_answer *answer,
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

struct said_op {
	struct catalog_op op;
	struct catalog_authority said; /* owned */
	int64_t now_ms;
	uint64_t number; /* of the question */
};

static struct said_op *said_op_new(struct engine *e, enum err (*run)(struct catalog *c, struct catalog_op *op),
				   void (*done)(struct engine *e, struct catalog_op *op))
{
	struct said_op *o = must(calloc(1, sizeof *o));
	o->op.run = run;
	o->op.done = done;
	o->now_ms = engine_wall(e);
	return o;
}

static void said_op_free(struct said_op *o)
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

static void keep(struct engine *e, const struct known *k, const struct authority_answer *answer)
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

/* --- questions --- */

static struct question *question_find(struct engine *e, uint64_t number)
{
	for (struct list *at = e->authorities.questions.next; at != &e->authorities.questions; at = at->next) {
		struct question *q = list_entry(at, struct question, link);
		if (q->number == number)
			return q;
	}
	return NULL;
}

static void token_wipe(struct question *q)
{
	if (q->token)
		explicit_bzero(q->token, strlen(q->token));
	free(q->token);
	q->token = NULL;
}

/* Tells all who wait; q is gone. `k` NULL: nothing is known, because of `err`. */
static void question_end(struct engine *e, struct question *q, enum err err, const struct known *k)
{
	struct list waiting;
	struct grant grant = { 0 };
	if (k) {
		err = k->allow ? ERR_OK : ERR_UNAUTHORIZED;
		grant = k->grant;
	}
	list_init(&waiting);
	list_move(&waiting, &q->waiting);
	list_remove(&q->link);
	e->authorities.question_count--;
	token_wipe(q);
	free(q);
	for (struct list *link; (link = list_pop(&waiting));) {
		struct engine_asked *asked = list_entry(link, struct engine_asked, link);
		asked->done(asked->arg, err, err == ERR_OK ? &grant : NULL);
	}
}

/* Failures are many at once, and of one cause. */
static void say_failed(struct engine *e, const char *why)
{
	struct authorities *a = &e->authorities;
	a->failed++;
	if (a->said_ms && e->now.mono_ms < a->said_ms + LIMIT_AUTHORITY_LOG_MS) {
		a->unsaid++;
		return;
	}
	log_event(LOG_WARN, "authority_failed", "why", why, "more", log_number(a->unsaid), NULL);
	a->said_ms = e->now.mono_ms ? e->now.mono_ms : 1;
	a->unsaid = 0;
}

static void on_authority(void *arg, uint64_t number, enum err err, const struct authority_answer *answer,
			 const char *why)
{
	struct engine *e = arg;
	struct question *q = question_find(e, number);
	if (!q)
		return;
	e->authorities.asking--;
	q->answered = true;
	q->err = err;
	if (err == ERR_OK)
		q->answer = *answer;
	else
		say_failed(e, why);
}

static void question_settle(struct engine *e, struct question *q)
{
	if (q->err != ERR_OK) {
		question_end(e, q, ERR_AUTHORITY_FAILED, NULL);
		return;
	}
	int64_t lasts_ms = q->answer.allow ? q->answer.expires_in_s * 1000LL : LIMIT_AUTHORITY_REFUSED_MS;
	const struct known *k = known_add(e, &q->hash, &q->answer, engine_wall(e) + lasts_ms);
	e->authorities.refused += !k->allow;
	if (k->allow)
		keep(e, k, &q->answer);
	log_event(LOG_DEBUG, "authority_answered", "allow", k->allow ? "yes" : "no", "id", k->grant.token_id, "subject",
		  k->grant.subject, NULL);
	question_end(e, q, ERR_OK, k);
}

/* Asks about those whose turn it is. Who has waited for as long as an answer may take is not kept any longer. */
static void questions_pump(struct engine *e)
{
	struct authorities *a = &e->authorities;
	struct authority *authority = e->config.authority;
	for (struct list *at = a->questions.next; at != &a->questions && a->asking < LIMIT_AUTHORITY_AT_ONCE;) {
		struct question *q = list_entry(at, struct question, link);
		at = at->next;
		if (q->looking || q->asked)
			continue;
		q->asked = true;
		if (e->now.mono_ms - q->since_ms > LIMIT_AUTHORITY_WAIT_MS) {
			q->answered = true;
			q->err = ERR_AUTHORITY_FAILED;
			say_failed(e, "It has too many questions to answer.");
			continue;
		}
		a->asking++;
		a->asked++;
		authority->ops->ask(authority, q->number, q->token);
		token_wipe(q);
	}
}

static struct question *question_answered(struct engine *e)
{
	for (struct list *at = e->authorities.questions.next; at != &e->authorities.questions; at = at->next) {
		struct question *q = list_entry(at, struct question, link);
		if (q->answered)
			return q;
	}
	return NULL;
}

void authorities_turn(struct engine *e)
{
	struct question *q;
	if (list_empty(&e->authorities.questions))
		return;
	do {
		while ((q = question_answered(e)))
			question_settle(e, q);
		questions_pump(e);
	} while (question_answered(e));
}

static enum err look_run(struct catalog *c, struct catalog_op *op)
{
	struct said_op *o = (struct said_op *)op;
	struct sha256 token = o->said.token;
	catalog_authority_release(&o->said);
	return c->ops->authority_get(c, &token, &o->said);
}

static void look_done(struct engine *e, struct catalog_op *op)
{
	struct said_op *o = (struct said_op *)op;
	struct question *q = question_find(e, o->number);
	struct authority_answer answer;
	const char *why;
	bool kept = q && !op->err && !is_over(e, o->said.expires_ms) &&
		    authority_answer_parse(o->said.answer, strlen(o->said.answer), &answer, &why) && answer.allow;
	if (kept) {
		e->authorities.cached++;
		question_end(e, q, ERR_OK, known_add(e, &q->hash, &answer, o->said.expires_ms));
	} else if (q) {
		q->looking = false; /* the turn asks */
	}
	said_op_free(o);
}

static struct question *question_new(struct engine *e, const struct sha256 *hash, const char *token)
{
	struct question *q = must(calloc(1, sizeof *q));
	struct said_op *o = said_op_new(e, look_run, look_done);
	q->number = o->number = ++e->authorities.numbers;
	q->hash = o->said.token = *hash;
	q->token = must(strdup(token));
	q->looking = true;
	q->since_ms = e->now.mono_ms;
	list_init(&q->waiting);
	list_push(&e->authorities.questions, &q->link);
	e->authorities.question_count++;
	catalog_submit(e, &o->op);
	catalog_pump(e);
	return q;
}

enum err authorities_ask(struct engine *e, const char *token, struct engine_asked *asked, struct grant *out)
{
	struct authorities *a = &e->authorities;
	struct question *q = NULL;
	if (!a->table || token_is_ours(token) || !authority_token_valid(token))
		return ERR_UNAUTHORIZED;
	struct sha256 hash = hash_of(token);
	struct known *k = known_find(e, &hash);
	if (k) {
		list_remove(&k->recent);
		list_push(&a->recent, &k->recent);
		a->cached++;
		*out = k->grant;
		return k->allow ? ERR_OK : ERR_UNAUTHORIZED;
	}
	if (e->stopping || e->failed)
		return ERR_SHUTTING_DOWN;
	if (!asked)
		return ERR_BUSY;
	for (struct list *at = a->questions.next; !q && at != &a->questions; at = at->next)
		if (hash_equal(&list_entry(at, struct question, link)->hash, &hash))
			q = list_entry(at, struct question, link);
	if (!q && a->question_count >= LIMIT_AUTHORITY_QUESTIONS) {
		say_failed(e, "Too many tokens wait to be asked about.");
		return ERR_AUTHORITY_FAILED;
	}
	if (!q)
		q = question_new(e, &hash, token);
	list_push(&q->waiting, &asked->link);
	return ERR_BUSY;
}

enum err engine_authority(struct engine *e, const char *token, struct engine_asked *asked, struct grant *out,
			  struct now now)
{
	engine_clock(e, now);
	return authorities_ask(e, token, asked, out);
}

void engine_authority_leave(struct engine_asked *asked)
{
	list_remove(&asked->link);
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
		if (i > 0 && hash_equal(&o->tokens[i], &o->tokens[i - 1]))
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

void authorities_init(struct engine *e)
{
	struct authorities *a = &e->authorities;
	list_init(&a->recent);
	list_init(&a->questions);
	if (!e->config.authority)
		return;
	a->table = must(calloc(BUCKETS, sizeof *a->table));
	e->config.authority->done = on_authority;
	e->config.authority->arg = e;
}

void authorities_stop(struct engine *e)
{
	struct authority *authority = e->config.authority;
	while (!list_empty(&e->authorities.questions)) {
		struct question *q = list_entry(e->authorities.questions.next, struct question, link);
		if (q->asked && !q->answered) {
			authority->ops->cancel(authority, q->number);
			e->authorities.asking--;
		}
		question_end(e, q, ERR_SHUTTING_DOWN, NULL);
	}
}

void authorities_release(struct engine *e)
{
	authorities_stop(e);
	while (!list_empty(&e->authorities.recent))
		known_free(e, list_entry(e->authorities.recent.next, struct known, recent));
	free(e->authorities.table);
	e->authorities.table = NULL;
}

void authorities_status(const struct engine *e, struct engine_status *out)
{
	const struct authorities *a = &e->authorities;
	out->authority = (struct engine_authority_figures){
		.used = a->table != NULL,
		.asked = a->asked,
		.failed = a->failed,
		.refused = a->refused,
		.cached = a->cached,
		.waiting = a->question_count,
	};
}
