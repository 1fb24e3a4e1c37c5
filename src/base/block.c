/* The pool of blocks, see block.h. Free blocks are a stack by index, so that the memory in use stays the memory last
 * used; pages never handed out are never touched and cost nothing. */
#include "base/block.h"
#include "base/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#define NO_BLOCK UINT32_MAX

enum err block_pool_init(struct block_pool *pool, size_t bytes)
{
	*pool = (struct block_pool){ .free_head = NO_BLOCK };
	size_t count = bytes / LIMIT_BLOCK_BYTES;
	if (count == 0 || count >= NO_BLOCK)
		return ERR_NO_MEMORY;
	pool->next = malloc(count * sizeof *pool->next);
	if (!pool->next)
		return ERR_NO_MEMORY;
	void *region = mmap(NULL, count * LIMIT_BLOCK_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (region == MAP_FAILED) {
		free(pool->next);
		pool->next = NULL;
		return ERR_NO_MEMORY;
	}
	/* a hint: large pages are cheaper to fill, to hash and to hand to the disk */
	madvise(region, count * LIMIT_BLOCK_BYTES, MADV_HUGEPAGE);
	pool->region = region;
	pool->count = pool->free_count = (uint32_t)count;
	for (uint32_t i = 0; i < pool->count; i++)
		pool->next[i] = i + 1 < pool->count ? i + 1 : NO_BLOCK;
	pool->free_head = 0;
	return ERR_OK;
}

void block_pool_release(struct block_pool *pool)
{
	if (pool->region)
		munmap(pool->region, (size_t)pool->count * LIMIT_BLOCK_BYTES);
	free(pool->next);
	*pool = (struct block_pool){ .free_head = NO_BLOCK };
}

uint8_t *block_get(struct block_pool *pool)
{
	if (pool->free_count == 0)
		return NULL;
	uint32_t index = pool->free_head;
	pool->free_head = pool->next[index];
	pool->free_count--;
	return pool->region + (size_t)index * LIMIT_BLOCK_BYTES;
}

void block_put(struct block_pool *pool, uint8_t *block)
{
	assert(block >= pool->region && block < pool->region + (size_t)pool->count * LIMIT_BLOCK_BYTES);
	size_t distance = (size_t)(block - pool->region);
	assert(distance % LIMIT_BLOCK_BYTES == 0 && pool->free_count < pool->count);
	uint32_t index = (uint32_t)(distance / LIMIT_BLOCK_BYTES);
	pool->next[index] = pool->free_head;
	pool->free_head = index;
	pool->free_count++;
}
