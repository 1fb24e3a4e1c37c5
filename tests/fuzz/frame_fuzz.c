/* Fuzzes frame_read: whole or cut at every byte, the same bytes must mean the same. */
#include "proto/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
	uint64_t bytes, pieces_ended, hash;
	bool wrong;
};

static struct sum read_all(const uint8_t *input, size_t size, size_t step)
{
	struct frame_reader r = { 0 };
	struct frame_piece piece;
	struct sum sum = { .hash = 14695981039346656037ULL };
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		return sum;
	memcpy(copy, input, size);
	for (size_t at = 0; at < size && !sum.wrong; at += step) {
		uint8_t *data = copy + at;
		size_t len = size - at < step ? size - at : step;
		enum frame_result result;
		while ((result = frame_read(&r, &data, &len, &piece)) == FRAME_PIECE) {
			assert(piece.opcode < FRAME_CLOSE ||
			       (piece.first && piece.last && piece.len <= FRAME_CONTROL_MAX));
			for (size_t i = 0; i < piece.len; i++)
				sum.hash = (sum.hash ^ piece.data[i] ^ piece.mask[i & 3]) * 1099511628211ULL;
			sum.bytes += piece.len;
			sum.pieces_ended += piece.last;
		}
		assert(result == FRAME_WRONG || len == 0);
		sum.wrong = result == FRAME_WRONG;
	}
	free(copy);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sum whole = read_all(data, size, size ? size : 1), bytewise = read_all(data, size, 1),
		   cut = read_all(data, size, 7);
	assert(whole.wrong == bytewise.wrong && whole.wrong == cut.wrong);
	assert(whole.hash == bytewise.hash && whole.hash == cut.hash && whole.bytes == cut.bytes);
	assert(whole.pieces_ended == bytewise.pieces_ended && whole.pieces_ended == cut.pieces_ended);
	frame_close_code(data, size);
	return 0;
}
