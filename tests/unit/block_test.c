/* The pool of blocks: each block is whole, aligned and nobody else's; empty says so. */
#include "base/block.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 16 };

static void gives_every_block_once(void **state)
{
	struct block_pool pool;
	uint8_t *blocks[COUNT];
	assert_int_equal(block_pool_init(&pool, COUNT * LIMIT_BLOCK_BYTES + 100), ERR_OK);
	assert_int_equal(pool.count, COUNT);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(pool.free_count, COUNT - i);
		blocks[i] = block_get(&pool, NULL, false);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % LIMIT_BLOCK_BYTES, 0);
		memset(blocks[i], i, LIMIT_BLOCK_BYTES);
	}
	assert_null(block_get(&pool, NULL, false));
	for (int i = 0; i < COUNT; i++)
		for (int k = 0; k < LIMIT_BLOCK_BYTES; k++)
			assert_int_equal(blocks[i][k], i);
	for (int i = 0; i < COUNT; i += 2)
		block_put(&pool, blocks[i]);
	assert_int_equal(pool.free_count, COUNT / 2);
	for (int i = 0; i < COUNT / 2; i++)
		assert_non_null(block_get(&pool, NULL, false));
	assert_null(block_get(&pool, NULL, false));
	block_pool_release(&pool);
	block_pool_release(&pool); /* harmless on an empty one */
}

static void reuses_what_was_used_last(void **state)
{
	struct block_pool pool;
	assert_int_equal(block_pool_init(&pool, COUNT * LIMIT_BLOCK_BYTES), ERR_OK);
	uint8_t *block = block_get(&pool, NULL, false);
	for (int i = 0; i < 1000; i++) {
		block_put(&pool, block);
		assert_ptr_equal(block_get(&pool, NULL, false), block);
	}
	block_pool_release(&pool);
}

static bool neighbours(const uint8_t *a, const uint8_t *b)
{
	return b == a + LIMIT_BLOCK_BYTES;
}

/* Two that take turns get 64 neighbours each; who takes one stays low. */
static void gives_neighbours_to_who_takes_many(void **state)
{
	enum { MANY = 70, GROUPS = 6 };
	struct block_pool pool;
	uint8_t *a[MANY], *b[MANY];
	assert_int_equal(block_pool_init(&pool, (GROUPS * 64 + 3) * LIMIT_BLOCK_BYTES), ERR_OK);
	uint8_t *one = block_get(&pool, NULL, false);
	for (int i = 0; i < MANY; i++) {
		a[i] = block_get(&pool, i > 0 ? a[i - 1] : NULL, true);
		b[i] = block_get(&pool, i > 0 ? b[i - 1] : NULL, true);
		assert_true(i == 0 || i == 64 || neighbours(a[i - 1], a[i]));
		assert_true(i == 0 || i == 64 || neighbours(b[i - 1], b[i]));
	}
	assert_true(neighbours(a[63], b[0]));
	assert_true(neighbours(one, block_get(&pool, NULL, false)));
	for (int i = 0; i < MANY; i++)
		block_put(&pool, a[i]);
	assert_ptr_equal(block_get(&pool, NULL, true), a[0]);
	block_pool_release(&pool);
}

/* Without 64 neighbours anywhere all are given out all the same, each once. */
static void gives_the_last_one(void **state)
{
	enum { BLOCKS = 64 * 3 + 5 };
	struct block_pool pool;
	static uint8_t *blocks[BLOCKS];
	uint32_t x = 1;
	assert_int_equal(block_pool_init(&pool, BLOCKS * LIMIT_BLOCK_BYTES), ERR_OK);
	for (int round = 0; round < 20000; round++) {
		x = x * 1664525 + 1013904223;
		uint32_t i = (x >> 8) % BLOCKS;
		if (blocks[i]) {
			assert_int_equal(*(uint32_t *)blocks[i], i);
			block_put(&pool, blocks[i]);
			blocks[i] = NULL;
		} else {
			blocks[i] = block_get(&pool, blocks[(i + BLOCKS - 1) % BLOCKS], x >> 30 & 1);
			assert_non_null(blocks[i]);
			*(uint32_t *)blocks[i] = i;
		}
	}
	for (uint32_t i = 0; i < BLOCKS; i++)
		blocks[i] = blocks[i] ? blocks[i] : block_get(&pool, NULL, true);
	for (uint32_t i = 0; i < BLOCKS; i++)
		assert_non_null(blocks[i]);
	assert_null(block_get(&pool, blocks[0], true));
	block_pool_release(&pool);
}

static void too_small_is_an_error(void **state)
{
	struct block_pool pool;
	assert_int_equal(block_pool_init(&pool, LIMIT_BLOCK_BYTES - 1), ERR_NO_MEMORY);
	assert_null(block_get(&pool, NULL, false));
	block_pool_release(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_every_block_once),
		cmocka_unit_test(reuses_what_was_used_last),
		cmocka_unit_test(gives_neighbours_to_who_takes_many),
		cmocka_unit_test(gives_the_last_one),
		cmocka_unit_test(too_small_is_an_error),
	};
	return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
