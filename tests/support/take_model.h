/* A random life of one take: connections that do anything at any time, storage that answers in any order, and a memory
 * of what was promised, against which each step is checked. Made of a seed only. */
#ifndef HOLDFAST_TESTS_TAKE_MODEL_H
#define HOLDFAST_TESTS_TAKE_MODEL_H

#include "core/recording.h"

struct take_model;

struct take_model_counts { /* what happened, over all models that share it */
	unsigned attached, accepted, saved, claims, reopened, aborted, failed, restarts;
};

struct take_model *take_model_new(uint64_t seed, struct take_model_counts *counts);
void take_model_free(struct take_model *m);
uint32_t take_model_random(struct take_model *m, uint32_t below);

/* One random call, or one answer of storage, with all that must hold behind it. */
void take_model_step(struct take_model *m);
/* It has come to an end from which nothing leads back. */
bool take_model_over(const struct take_model *m);
/* Storage answers everything: then nothing is under way and nobody waits. */
void take_model_settle(struct take_model *m);
/* The promise that was broken, or NULL; and the last steps. */
const char *take_model_broken(const struct take_model *m);
const char *take_model_trace(struct take_model *m);

#endif
