/* Clients that lie, babble or keep silent. Nothing is promised to them but that they harm nobody else; what of theirs
 * was read once stays as it was. */
#include "world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct liar {
	struct world *w;
	struct link *link;
	struct rng rng;
	unsigned number;
	uint64_t at; /* what it thinks its position is, if it thinks */
	bool silent;
};

static void liar_act(void *arg, uint64_t x);

static void say(struct liar *l, const char *text)
{
	link_text(l->link, text, strlen(text));
}

static void say_start(struct liar *l)
{
	static const char *const extras[] = {
		"",
		",\"resume\":true",
		",\"from\":0",
		",\"from\":99999999",
		",\"part\":true",
		",\"track\":\"main\"",
		",\"track\":\"other\"",
		",\"tracks\":[\"main\",\"main\"]",
		",\"tracks\":[]",
		",\"ts\":-5",
		",\"mime\":\"../../etc\",\"ext\":\"../sh\"",
		",\"name\":\"\\u0000\"",
		",\"sessionId\":\"twice\"",
	};
	char text[256];
	const char *extra = extras[rng_below(&l->rng, sizeof extras / sizeof *extras)];
	unsigned take = TAKES - 1 - (unsigned)rng_below(&l->rng, 2);
	snprintf(text, sizeof text, "{\"type\":\"start\",\"sessionId\":\"%s\"%s}", l->w->takes[take].session, extra);
	say(l, text);
}

static void say_end(struct liar *l)
{
	char text[200];
	uint64_t total = rng_chance(&l->rng, 50) ? l->at : rng_below(&l->rng, 1ULL << rng_below(&l->rng, 53));
	snprintf(text, sizeof text, "{\"type\":\"end\",\"totalBytes\":%" PRIu64 "%s}", total,
		 rng_chance(&l->rng, 30)
			 ? ",\"sha256\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\""
			 : "");
	say(l, text);
}

static void say_garbage(struct liar *l)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"null",
		"{\"type\":7}",
		"{\"type\":\"nonsense\"}",
		"{\"type\":\"start\"}",
		"{\"type\":\"subscribe\"}",
		"{\"type\":\"subscribe\",\"all\":true}",
		"{\"type\":\"subscribe\",\"all\":true,\"id\":\"x\"}",
		"{\"type\":\"subscribe\",\"id\":\"session:liar-0\"}",
		"{\"type\":\"subscribe\",\"id\":\"../../x\"}",
		"{\"type\":\"start\",\"sessionId\":\"\"}",
		"{\"type\":\"start\",\"sessionId\":5}",
		"{\"type\":\"end\"}",
		"{\"type\":\"end\",\"totalBytes\":-1}",
		"{\"type\":\"end\",\"totalBytes\":1e300}",
		"{\"type\":\"end\",\"totalBytes\":5,\"sha256\":\"zz\"}",
		"{\"type\":\"abort\",\"reason\":5}",
		"{\"type\":\"ack\",\"bytes\":99}",
		"{\"type\":\"saved\"}",
		"\xff\xfe\xfd",
		"{\"type\":\"start\",\"type\":\"end\"}",
		"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
		"]}",
	};
	if (rng_chance(&l->rng, 80)) {
		say(l, texts[rng_below(&l->rng, sizeof texts / sizeof *texts)]);
		return;
	}
	char text[300];
	size_t len = rng_below(&l->rng, sizeof text);
	for (size_t i = 0; i < len; i++)
		text[i] = (char)rng_next(&l->rng);
	link_text(l->link, text, len);
}

static void on_opened(void *arg, struct link *link)
{
	struct liar *l = arg;
	if (!l->silent)
		sim_after(&l->w->sim, rng_below(&l->rng, 50 * MS), liar_act, l, 0);
}

static void on_message(void *arg, struct link *link, const struct message_in *m)
{
	struct liar *l = arg;
	if (m->said == SAID_STARTED)
		l->at = m->bytes;
}

static void on_closed(void *arg, struct link *link)
{
}

static const struct peer liar_peer = { on_opened, on_message, on_closed };

static void liar_act(void *arg, uint64_t x)
{
	struct liar *l = arg;
	struct world *w = l->w;
	if (w->calm)
		return;
	if (!l->link || !link_usable(l->link)) {
		l->link = link_open(w, &liar_peer, l, &w->takes[TAKES - 1], 0);
		sim_after(&w->sim, SECOND + rng_below(&l->rng, SECOND), liar_act, l, 0);
		return;
	}
	uint64_t act = rng_below(&l->rng, 100);
	if (act < 30)
		say_start(l);
	else if (act < 70) {
		uint64_t n = rng_below(&l->rng, 1ULL << rng_below(&l->rng, 17));
		link_binary(l->link, rng_next(&l->rng), l->at, n);
		l->at += n;
	} else if (act < 80)
		say_end(l);
	else if (act < 93)
		say_garbage(l);
	else if (act < 95)
		say(l, "{\"type\":\"abort\",\"reason\":\"\"}");
	else
		link_hang_up(l->link);
	sim_after(&w->sim, rng_below(&l->rng, 300 * MS), liar_act, l, 0);
}

void liars_begin(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		struct take_truth *take = &w->takes[TAKES - 1 - i];
		snprintf(take->session, sizeof take->session, "liar-%u", i);
		take->track_count = 1;
		take->deleting = w->plan.retain_ms != UINT64_MAX;
	}
	if (!w->plan.liars)
		return;
	for (unsigned i = 0; i < 3; i++) {
		struct liar *l = calloc(1, sizeof *l);
		assert(l);
		l->w = w;
		l->number = i;
		l->silent = i == 2;
		l->rng = rng_fork(&w->client_rng, 5000 + i);
		sim_after(&w->sim, rng_below(&l->rng, 5 * SECOND), liar_act, l, 0);
	}
}
