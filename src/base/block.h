/* The memory that media waits in: one region of page-sized blocks, `--memory` in all.
 *
 * Block k of a track's chain covers the file offsets [4096k, 4096k + 4096): alignment in memory and in the file agree,
 * so that full blocks can be written with O_DIRECT. Loop thread only; lanes read blocks that the loop handed to them
 * and that do not change meanwhile. */
#ifndef HOLDFAST_BASE_BLOCK_H
#define HOLDFAST_BASE_BLOCK_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct block_pool {
	uint8_t *region; /* mmap'ed, page-aligned */
	uint32_t *next;	 /* free list by index */
	uint32_t free_head;
	uint32_t free_count, count;
};

enum err block_pool_init(struct block_pool *pool, size_t bytes);
void block_pool_release(struct block_pool *pool);

/* A block of LIMIT_BLOCK_BYTES, or NULL when none is free. */
uint8_t *block_get(struct block_pool *pool);
void block_put(struct block_pool *pool, uint8_t *block);

#endif
