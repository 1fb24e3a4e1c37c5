/* The memory that media waits in: one region of page-sized blocks, `--memory` in all.
 *
 * Block k of a track's chain covers the file offsets [4096k, 4096k + 4096): alignment in memory and in the file agree,
 * so that full blocks can be written with O_DIRECT. Loop thread only; lanes read blocks that the loop handed to them
 * and that do not change meanwhile. */
#ifndef HOLDFAST_BASE_BLOCK_H
#define HOLDFAST_BASE_BLOCK_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block_pool {
	uint8_t *region; /* mmap'ed, page-aligned */
	uint64_t *free;	 /* a bit for each block, by groups of 64 */
	uint32_t groups, free_count, count;
	uint32_t low, low_group; /* below these groups none has a free block, or is free as a whole */
};

enum err block_pool_init(struct block_pool *pool, size_t bytes);
void block_pool_release(struct block_pool *pool);

/* A block of LIMIT_BLOCK_BYTES, or NULL when none is free. The one behind `before` (NULL: none) if that is free. Else
 * where `more` will be asked for behind it, the first of 64 neighbours if there are so many: a disk takes a large write
 * from one place in memory in half the time that it needs for the same from many. */
uint8_t *block_get(struct block_pool *pool, const uint8_t *before, bool more);
void block_put(struct block_pool *pool, uint8_t *block);

#endif
