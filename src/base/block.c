/* The pool of blocks, see block.h. A bit for each block, set while it is free, in groups of 64; the lowest are given
 * out first, so that the memory in use stays the memory last used: pages never handed out are never touched and cost
 * nothing. */
#include "base/block.h"
#include "base/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { GROUP = 64 };
#define ALL_FREE UINT64_MAX

enum err block_pool_init(struct block_pool *pool, size_t bytes)
{
	*pool = (struct block_pool){ 0 };
	size_t count = bytes / LIMIT_BLOCK_BYTES;
	if (count == 0 || count >= UINT32_MAX)
		return ERR_NO_MEMORY;
	uint32_t groups = (uint32_t)((count + GROUP - 1) / GROUP);
	pool->free = malloc(groups * sizeof *pool->free);
	if (!pool->free)
		return ERR_NO_MEMORY;
	void *region = mmap(NULL, count * LIMIT_BLOCK_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (region == MAP_FAILED) {
		free(pool->free);
		pool->free = NULL;
		return ERR_NO_MEMORY;
	}
	/* a hint: large pages are cheaper to fill, to hash and to hand to the disk */
	madvise(region, count * LIMIT_BLOCK_BYTES, MADV_HUGEPAGE);
	pool->region = region;
	pool->count = pool->free_count = (uint32_t)count;
	pool->groups = groups;
	for (uint32_t i = 0; i < groups; i++)
		pool->free[i] = ALL_FREE;
	if (count % GROUP)
		pool->free[groups - 1] = ((uint64_t)1 << count % GROUP) - 1;
	return ERR_OK;
}

void block_pool_release(struct block_pool *pool)
{
	if (pool->region)
		munmap(pool->region, (size_t)pool->count * LIMIT_BLOCK_BYTES);
	free(pool->free);
	*pool = (struct block_pool){ 0 };
}

static uint32_t index_of(const struct block_pool *pool, const uint8_t *block)
{
	assert(block >= pool->region && block < pool->region + (size_t)pool->count * LIMIT_BLOCK_BYTES);
	size_t distance = (size_t)(block - pool->region);
	assert(distance % LIMIT_BLOCK_BYTES == 0);
	return (uint32_t)(distance / LIMIT_BLOCK_BYTES);
}

static bool is_free(const struct block_pool *pool, uint32_t index)
{
	return pool->free[index / GROUP] >> index % GROUP & 1;
}

/* The first block of the lowest group that is free as a whole; `count`: there is none. */
static uint32_t lowest_group(struct block_pool *pool)
{
	while (pool->low_group < pool->groups && pool->free[pool->low_group] != ALL_FREE)
		pool->low_group++;
	return pool->low_group < pool->groups ? pool->low_group * GROUP : pool->count;
}

static uint32_t lowest(struct block_pool *pool)
{
	while (pool->free[pool->low] == 0)
		pool->low++;
	return pool->low * GROUP + (uint32_t)__builtin_ctzll(pool->free[pool->low]);
}

uint8_t *block_get(struct block_pool *pool, const uint8_t *before, bool more)
{
	if (pool->free_count == 0)
		return NULL;
	uint32_t index = before ? index_of(pool, before) + 1 : pool->count;
	if (index >= pool->count || !is_free(pool, index))
		index = more ? lowest_group(pool) : pool->count;
	if (index == pool->count)
		index = lowest(pool);
	pool->free[index / GROUP] &= ~((uint64_t)1 << index % GROUP);
	pool->free_count--;
	return pool->region + (size_t)index * LIMIT_BLOCK_BYTES;
}

void block_put(struct block_pool *pool, uint8_t *block)
{
	uint32_t index = index_of(pool, block), group = index / GROUP;
	assert(!is_free(pool, index));
	pool->free[group] |= (uint64_t)1 << index % GROUP;
	pool->free_count++;
	if (group < pool->low)
		pool->low = group;
	if (group < pool->low_group && pool->free[group] == ALL_FREE)
		pool->low_group = group;
}
