/* WebSocket frames, cut at every byte, and every way to break the protocol. */
#include "proto/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct wire {
	uint8_t data[300 * 1024];
	size_t len;
};

static struct wire wire;

/* Appends a client's frame whose payload counts up from `from`. */
static void add(unsigned first, size_t len, unsigned from)
{
	static const uint8_t mask[4] = { 0x12, 0xfe, 0x00, 0x9b };
	uint8_t head[FRAME_HEAD_MAX];
	size_t n = frame_head(head, first & 0x0f, len);
	head[0] = (uint8_t)first;
	head[1] |= 0x80;
	memcpy(wire.data + wire.len, head, n);
	memcpy(wire.data + wire.len + n, mask, 4);
	wire.len += n + 4;
	for (size_t i = 0; i < len; i++)
		wire.data[wire.len++] = (uint8_t)(from + i) ^ mask[i & 3];
}

/* What a reader makes of the wire when it comes in pieces of `step`: a line a message or control frame. */
static void read_all(size_t step, char *out, size_t size)
{
	static uint8_t copy[sizeof wire.data];
	struct frame_reader r = { 0 };
	struct frame_piece piece;
	size_t at = 0, total = 0;
	unsigned next = 0;
	int used = 0;
	bool in_order = true;
	memcpy(copy, wire.data, wire.len);
	out[0] = '\0';
	while (at < wire.len) {
		uint8_t *data = copy + at;
		size_t len = wire.len - at < step ? wire.len - at : step;
		at += len;
		enum frame_result result;
		while ((result = frame_read(&r, &data, &len, &piece)) == FRAME_PIECE) {
			if (piece.opcode >= FRAME_CLOSE) {
				used += snprintf(out + used, size - (size_t)used, "%d:%zu:%d ", piece.opcode, piece.len,
						 piece.len ? piece.data[piece.len - 1] : -1);
				continue;
			}
			assert_int_equal(piece.first, total == 0 && next == 0);
			for (size_t i = 0; i < piece.len; i++)
				in_order &= (piece.data[i] ^ piece.mask[i & 3]) == (uint8_t)(total + i);
			total += piece.len;
			next = 1;
			if (piece.last) {
				used += snprintf(out + used, size - (size_t)used, "%d:%zu%s ", piece.opcode, total,
						 in_order ? "" : "!");
				total = next = 0;
			}
		}
		assert_int_equal(len, result == FRAME_MORE ? 0 : len);
		if (result == FRAME_WRONG) {
			snprintf(out + used, size - (size_t)used, "wrong");
			return;
		}
	}
}

static void expect(const char *expected)
{
	char out[1000];
	static const size_t steps[] = { 1, 2, 3, 5, 7, 13, 64, 1000, 65536, sizeof wire.data };
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		read_all(steps[i], out, sizeof out);
		assert_string_equal(out, expected);
	}
	wire.len = 0;
}

static void messages_of_all_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 4, 7, 8, 9, 125, 126, 127, 4096, 65535, 65536, 70001 };
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		add(0x80 | (i & 1 ? FRAME_TEXT : FRAME_BINARY), sizes[i], 0);
	expect("2:0 1:1 2:2 1:3 2:4 1:7 2:8 1:9 2:125 1:126 2:127 1:4096 2:65535 1:65536 2:70001 ");
}

static void fragments_with_control_frames_between(void **state)
{
	add(FRAME_BINARY, 5, 0);
	add(0x80 | FRAME_PING, 3, 7);
	add(FRAME_CONTINUATION, 0, 5);
	add(FRAME_CONTINUATION, 200, 5);
	add(0x80 | FRAME_PONG, 0, 0);
	add(0x80 | FRAME_CONTINUATION, 0, 205);
	add(FRAME_TEXT, 0, 0);
	add(0x80 | FRAME_CONTINUATION, 2, 0);
	add(0x80 | FRAME_CLOSE, 125, 0);
	expect("9:3:9 10:0:-1 2:205 1:2 8:125:124 ");
}

static void broken_frames(void **state)
{
	static const struct {
		const char *name, *expected;
		uint8_t bytes[14];
		size_t len;
	} rows[] = {
		{ "not masked", "wrong", { 0x81, 0x02 }, 2 },
		{ "reserved bit 1", "wrong", { 0xc1, 0x80 }, 2 },
		{ "reserved bit 3", "wrong", { 0x91, 0x80 }, 2 },
		{ "reserved opcode", "wrong", { 0x83, 0x80 }, 2 },
		{ "reserved control opcode", "wrong", { 0x8b, 0x80 }, 2 },
		{ "fragmented control frame", "wrong", { 0x09, 0x80 }, 2 },
		{ "long control frame", "wrong", { 0x89, 0xfe }, 2 },
		{ "continuation of nothing", "wrong", { 0x80, 0x80 }, 2 },
		{ "short length in 16 bits", "wrong", { 0x82, 0xfe, 0, 125, 1, 2, 3, 4 }, 8 },
		{ "16 bit length in 64 bits", "wrong", { 0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4 }, 14 },
		{ "length of 2^63", "wrong", { 0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4 }, 14 },
		{ "length of 2^63 - 1",
		  "",
		  { 0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4 },
		  14 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		memcpy(wire.data, rows[i].bytes, rows[i].len);
		wire.len = rows[i].len;
		expect(rows[i].expected);
	}
	add(FRAME_TEXT, 1, 0);
	add(0x80 | FRAME_TEXT, 1, 0);
	expect("wrong"); /* a message inside a message */
	add(0x80 | FRAME_TEXT, 1, 0);
	add(0x80 | FRAME_CONTINUATION, 1, 0);
	expect("1:1 wrong");
}

static void heads_are_shortest(void **state)
{
	uint8_t head[FRAME_HEAD_MAX];
	assert_int_equal(frame_head(head, FRAME_TEXT, 0), 2);
	assert_memory_equal(head, "\x81\x00", 2);
	assert_int_equal(frame_head(head, FRAME_BINARY, 125), 2);
	assert_memory_equal(head, "\x82\x7d", 2);
	assert_int_equal(frame_head(head, FRAME_PING, 126), 4);
	assert_memory_equal(head, "\x89\x7e\x00\x7e", 4);
	assert_int_equal(frame_head(head, FRAME_TEXT, 65535), 4);
	assert_int_equal(frame_head(head, FRAME_TEXT, 65536), 10);
	assert_memory_equal(head, "\x81\x7f\0\0\0\0\0\x01\0\0", 10);
}

static void close_codes_are_judged(void **state)
{
	static const unsigned legal[] = { 1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999 };
	static const unsigned illegal[] = { 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535 };
	for (size_t i = 0; i < sizeof legal / sizeof *legal; i++)
		assert_int_equal(frame_close_code((uint8_t[]){ (uint8_t)(legal[i] >> 8), (uint8_t)legal[i], 'x' }, 3),
				 legal[i]);
	for (size_t i = 0; i < sizeof illegal / sizeof *illegal; i++)
		assert_int_equal(frame_close_code((uint8_t[]){ (uint8_t)(illegal[i] >> 8), (uint8_t)illegal[i] }, 2),
				 1002);
	assert_int_equal(frame_close_code(NULL, 0), 1005);
	assert_int_equal(frame_close_code((uint8_t[]){ 3 }, 1), 1002);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_of_all_sizes),  cmocka_unit_test(fragments_with_control_frames_between),
		cmocka_unit_test(broken_frames),	  cmocka_unit_test(heads_are_shortest),
		cmocka_unit_test(close_codes_are_judged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
