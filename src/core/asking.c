/* The show machine: its effects, and the questions that are not answered yet. See show.h. */
#include "core/hosting.h"

#include <stdlib.h>

void show_effects_init(struct show_effects *fx)
{
	*fx = (struct show_effects){ 0 };
}

void show_effects_release(struct show_effects *fx)
{
	free(fx->items);
	show_effects_init(fx);
}

void show_effects_add(struct show_effects *fx, struct show_effect effect)
{
	if (fx->count == fx->capacity) {
		size_t capacity = fx->capacity ? fx->capacity * 2 : 16;
		struct show_effect *items = realloc(fx->items, capacity * sizeof *items);
		if (!items)
			abort(); /* a decision that can't be carried out must not be forgotten */
		fx->items = items;
		fx->capacity = capacity;
	}
	fx->items[fx->count++] = effect;
}

const struct show_effect *show_effects_drain(struct show_effects *fx)
{
	if (fx->next == fx->count) {
		fx->next = fx->count = 0;
		return NULL;
	}
	return &fx->items[fx->next++];
}

void show_refuse(uint64_t conn, enum err err, struct show_effects *fx)
{
	show_effects_add(fx, (struct show_effect){ .type = SHOW_EFFECT_REFUSED, .conn = conn, .err = err });
}

void show_ask_free(struct show_ask *a)
{
	free(a->session);
	free(a);
}

void show_ask_append(struct show *s, struct show_ask *a)
{
	struct show_ask **at = &s->asks;
	while (*at)
		at = &(*at)->next;
	*at = a;
	s->ask_count++;
}

struct show_ask *show_ask_unlink(struct show *s, struct show_ask **at)
{
	struct show_ask *a = *at;
	*at = a->next;
	a->next = NULL;
	s->ask_count--;
	return a;
}

void show_ask_remove(struct show *s, struct show_ask **at)
{
	show_ask_free(show_ask_unlink(s, at));
}

void show_refuse_hosts(struct show *s, bool joined_only, enum err err, struct show_effects *fx)
{
	for (struct show_ask **at = &s->asks; *at;) {
		struct show_ask *a = *at;
		if (a->stop || (joined_only && !a->joined)) {
			at = &a->next;
			continue;
		}
		if (a->joined)
			s->conn = 0; /* this answer is all that it is told */
		show_refuse(a->conn, err, fx);
		show_ask_remove(s, at);
	}
}

void show_answer_stops(struct show *s, uint32_t finalised, struct show_effects *fx)
{
	for (struct show_ask **at = &s->asks; *at;) {
		struct show_ask *a = *at;
		bool ended = a->version == s->version ? s->settled : a->version == finalised;
		if (!a->stop || !ended || (s->begin && a->version == show_beginning(s))) {
			at = &a->next;
			continue;
		}
		show_effects_add(
			fx, (struct show_effect){
				    .type = SHOW_EFFECT_STOPPED, .conn = a->conn, .version = a->version, .id = a->id });
		show_ask_remove(s, at);
	}
}

struct show_ask *show_ask_new(struct show *s, uint64_t conn)
{
	struct show_ask *a = s->ask_count < LIMIT_SHOW_ASKS ? calloc(1, sizeof *a) : NULL;
	if (a)
		a->conn = conn;
	return a;
}

void show_answer_joined(struct show *s, struct show_effects *fx)
{
	for (struct show_ask **at = &s->asks; *at;) {
		struct show_ask *a = *at;
		if (a->stop && a->version == s->version)
			a->id = s->id;
		if (!a->joined) {
			at = &a->next;
			continue;
		}
		show_effects_add(fx, (struct show_effect){ .type = SHOW_EFFECT_HOSTED,
							   .conn = a->conn,
							   .version = s->version,
							   .id = s->id,
							   .recording = true });
		show_ask_remove(s, at);
	}
}
