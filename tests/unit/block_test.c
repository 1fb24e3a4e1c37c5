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
		blocks[i] = block_get(&pool);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % LIMIT_BLOCK_BYTES, 0);
		memset(blocks[i], i, LIMIT_BLOCK_BYTES);
	}
	assert_null(block_get(&pool));
	for (int i = 0; i < COUNT; i++)
		for (int k = 0; k < LIMIT_BLOCK_BYTES; k++)
			assert_int_equal(blocks[i][k], i);
	for (int i = 0; i < COUNT; i += 2)
		block_put(&pool, blocks[i]);
	assert_int_equal(pool.free_count, COUNT / 2);
	for (int i = 0; i < COUNT / 2; i++)
		assert_non_null(block_get(&pool));
	assert_null(block_get(&pool));
	block_pool_release(&pool);
	block_pool_release(&pool); /* harmless on an empty one */
}

static void reuses_what_was_used_last(void **state)
{
	struct block_pool pool;
	assert_int_equal(block_pool_init(&pool, COUNT * LIMIT_BLOCK_BYTES), ERR_OK);
	uint8_t *block = block_get(&pool);
	for (int i = 0; i < 1000; i++) {
		block_put(&pool, block);
		assert_ptr_equal(block_get(&pool), block);
	}
	block_pool_release(&pool);
}

static void too_small_is_an_error(void **state)
{
	struct block_pool pool;
	assert_int_equal(block_pool_init(&pool, LIMIT_BLOCK_BYTES - 1), ERR_NO_MEMORY);
	assert_null(block_get(&pool));
	block_pool_release(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_every_block_once),
		cmocka_unit_test(reuses_what_was_used_last),
		cmocka_unit_test(too_small_is_an_error),
	};
	return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
