/* Questions to an outside authority, see authorities.h.
 *
 * A token is looked for in memory, then in the catalog (authorities_kept.c), then the authority is asked; each token by
 * one question, however many wait for it. Tokens stand here as text only while they wait to be asked about. What is
 * said of one is for that one alone; a failure is remembered by nobody. */
#include "engine/authorities_private.h"

#include "base/log.h"
#include "proto/token.h"
#include "work/authority.h"

#include <stdlib.h>
#include <string.h>

struct question {
	struct list link;
	uint64_t number;
	uint64_t origin;
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

/* --- shares --- */

static const struct token_rate share_rate = { LIMIT_AUTHORITY_SHARE_PER_S, LIMIT_AUTHORITY_SHARE };

static struct token_bucket *share_of(struct engine *e, uint64_t origin)
{
	return &e->authorities.shares[origin % LIMIT_AUTHORITY_SHARES];
}

/* A question that is new takes a token; it comes back when the answer was that he may. */
static bool share_take(struct engine *e, uint64_t origin)
{
	if (origin == 0)
		return true;
	if (token_bucket_tokens(share_of(e, origin), share_rate, e->now.mono_ms) == 0)
		return false;
	token_bucket_take(share_of(e, origin), 1);
	return true;
}

static void share_give_back(struct engine *e, uint64_t origin)
{
	if (origin != 0)
		share_of(e, origin)->level += 1000; /* above the burst it is cut with the next look */
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
		share_give_back(e, q->origin);
	if (k->allow)
		said_keep(e, k, &q->answer);
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
	bool kept = q && !op->err && !said_over(e, o->said.expires_ms) &&
		    authority_answer_parse(o->said.answer, strlen(o->said.answer), &answer, &why) && answer.allow;
	if (kept) {
		e->authorities.cached++;
		share_give_back(e, q->origin);
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
		if (said_equal(&list_entry(at, struct question, link)->hash, &hash))
			q = list_entry(at, struct question, link);
	if (!q && a->question_count >= LIMIT_AUTHORITY_QUESTIONS) {
		say_failed(e, "Too many tokens wait to be asked about.");
		return ERR_AUTHORITY_FAILED;
	}
	if (!q && !share_take(e, asked->origin)) {
		say_failed(e, "Too many unknown tokens come from one address.");
		return ERR_AUTHORITY_FAILED;
	}
	if (!q) {
		q = question_new(e, &hash, token);
		q->origin = asked->origin;
	}
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

/* --- life --- */

void authorities_init(struct engine *e)
{
	struct authorities *a = &e->authorities;
	list_init(&a->recent);
	list_init(&a->questions);
	if (!e->config.authority)
		return;
	known_init(e);
	a->shares = must(calloc(LIMIT_AUTHORITY_SHARES, sizeof *a->shares));
	for (unsigned i = 0; i < LIMIT_AUTHORITY_SHARES; i++)
		token_bucket_init(&a->shares[i], share_rate, 0);
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
	known_release(e);
	free(e->authorities.shares);
	e->authorities.shares = NULL;
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
