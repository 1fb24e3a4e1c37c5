/* The queue of effects, see effect.h. */
#include "core/effect.h"

#include <stdlib.h>

void effects_init(struct effects *fx)
{
	*fx = (struct effects){ 0 };
}

void effects_release(struct effects *fx)
{
	free(fx->items);
	effects_init(fx);
}

void effects_add(struct effects *fx, struct effect effect)
{
	if (fx->count == fx->capacity) {
		size_t capacity = fx->capacity ? fx->capacity * 2 : 16;
		struct effect *items = realloc(fx->items, capacity * sizeof *items);
		if (!items)
			abort(); /* a decision that can't be carried out must not be forgotten */
		fx->items = items;
		fx->capacity = capacity;
	}
	fx->items[fx->count++] = effect;
}

const struct effect *effects_drain(struct effects *fx)
{
	if (fx->next == fx->count) {
		fx->next = fx->count = 0;
		return NULL;
	}
	return &fx->items[fx->next++];
}
