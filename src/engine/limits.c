/* How many new recordings and items a principal may make: a token bucket for each that has a limit.
 *
 * Tokens are for what is new. Whether an item is new the catalog says, so a slice holds as many tokens as it could need
 * while it is asked, and gives back what it did not. One that needs more than are free waits for those before it, and
 * is judged alone: so no slice is refused because of another that made nothing. */
#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

struct limit {
	struct list link; /* limits.recent */
	struct limit *next;
	char subject[LIMIT_PRINCIPAL_CHARS + 1];
	struct token_rate rate;
	struct token_bucket bucket;
	uint64_t held;	     /* tokens of what is under way */
	unsigned under_way;  /* … which is so many */
	struct list waiting; /* struct limited */
};

static bool rate_of(const struct engine *e, const struct grant *g, struct token_rate *rate)
{
	*rate = (struct token_rate){ g->rate_per_s, g->rate_burst };
	if (rate->per_s == 0 && !grant_is_local(g))
		*rate = (struct token_rate){ e->config.rate_per_s, e->config.rate_burst };
	if (rate->burst < LIMIT_SLICE_ITEMS) /* else a whole slice could never be taken */
		rate->burst = LIMIT_SLICE_ITEMS;
	return rate->per_s > 0;
}

static struct limit **slot_of(const struct engine *e, const char *subject)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	for (const char *p = subject; *p; p++)
		h = (h ^ (unsigned char)*p) * 16777619u;
	return &e->limits.table[(h ^ h >> 16) & (LIMIT_BUCKET_TABLE - 1)];
}

static void limit_free(struct engine *e, struct limit *l)
{
	struct limit **at = slot_of(e, l->subject);
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	list_remove(&l->link);
	e->limits.count--;
	free(l);
}

/* The one that was asked for longest ago goes: it is full again, or its principal gains some tokens. */
static void limit_make_room(struct engine *e)
{
	for (struct list *at = e->limits.recent.next; at != &e->limits.recent; at = at->next) {
		struct limit *l = list_entry(at, struct limit, link);
		if (l->under_way > 0 || !list_empty(&l->waiting))
			continue;
		limit_free(e, l);
		return;
	}
}

static struct limit *limit_of(struct engine *e, const struct grant *g)
{
	struct token_rate rate;
	if (!rate_of(e, g, &rate))
		return NULL;
	struct limit **slot = slot_of(e, g->subject), *l = *slot;
	while (l && strcmp(l->subject, g->subject) != 0)
		l = l->next;
	if (!l) {
		if (e->limits.count >= LIMIT_RATE_BUCKETS)
			limit_make_room(e);
		l = must(calloc(1, sizeof *l));
		snprintf(l->subject, sizeof l->subject, "%s", g->subject);
		token_bucket_init(&l->bucket, rate, e->now.mono_ms);
		list_init(&l->link);
		list_init(&l->waiting);
		l->next = *slot;
		*slot = l;
		e->limits.count++;
	}
	l->rate = rate;
	list_remove(&l->link);
	list_push(&e->limits.recent, &l->link);
	return l;
}

static uint64_t tokens_free(struct engine *e, struct limit *l)
{
	uint64_t tokens = token_bucket_tokens(&l->bucket, l->rate, e->now.mono_ms);
	return tokens > l->held ? tokens - l->held : 0;
}

static void begin(struct engine *e, struct limited *a, uint64_t tokens)
{
	a->held = tokens < a->wanted ? tokens : a->wanted;
	a->limit->held += a->held;
	a->limit->under_way++;
	a->go(e, a);
}

static void limit_pump(struct engine *e, struct limit *l)
{
	while (!list_empty(&l->waiting)) {
		struct limited *a = list_entry(l->waiting.next, struct limited, link);
		uint64_t tokens = tokens_free(e, l);
		if (tokens < a->wanted && l->under_way > 0)
			return;
		list_remove(&a->link);
		begin(e, a, tokens);
	}
}

void limited_ask(struct engine *e, const struct grant *grant, struct limited *a)
{
	struct limit *l = limit_of(e, grant);
	list_init(&a->link);
	a->limit = l;
	if (!l) {
		a->held = UINT64_MAX;
		a->go(e, a);
		return;
	}
	list_push(&l->waiting, &a->link);
	limit_pump(e, l);
}

void limited_done(struct engine *e, struct limited *a, uint64_t made)
{
	struct limit *l = a->limit;
	if (!l)
		return;
	l->held -= a->held;
	l->under_way--;
	token_bucket_take(&l->bucket, made);
	a->limit = NULL;
	limit_pump(e, l);
}

uint64_t limited_wait_ms(struct engine *e, const struct limited *a, uint64_t count)
{
	if (!a->limit)
		return 0;
	token_bucket_tokens(&a->limit->bucket, a->limit->rate, e->now.mono_ms);
	return token_bucket_wait_ms(&a->limit->bucket, a->limit->rate, count);
}

bool limit_take(struct engine *e, const struct grant *grant, uint64_t *retry_ms)
{
	struct limit *l = limit_of(e, grant);
	*retry_ms = 0;
	if (!l)
		return true;
	if (tokens_free(e, l) > 0) {
		token_bucket_take(&l->bucket, 1);
		return true;
	}
	*retry_ms = token_bucket_wait_ms(&l->bucket, l->rate, l->held + 1);
	if (*retry_ms == 0) /* what is under way holds them all */
		*retry_ms = 1;
	return false;
}

void limit_give_back(struct engine *e, const struct grant *grant)
{
	struct limit *l = limit_of(e, grant);
	if (l)
		l->bucket.level += 1000; /* above the burst it is cut with the next look */
}

void limits_release(struct engine *e)
{
	while (!list_empty(&e->limits.recent))
		limit_free(e, list_entry(e->limits.recent.next, struct limit, link));
}
