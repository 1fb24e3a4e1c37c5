/* WebSocket frames, see frame.h. */
#include "proto/frame.h"

#include "base/mask.h"

#include <string.h>

enum {
	BIT_FINAL = 0x80,
	BITS_RESERVED = 0x70,
	BIT_MASKED = 0x80,
	BIT_CONTROL = 0x08,
	LENGTH_16 = 126, /* the length stands in the next two bytes */
	LENGTH_64 = 127, /* in the next eight */
};

static bool opcode_known(unsigned opcode)
{
	return opcode <= FRAME_BINARY || (opcode >= FRAME_CLOSE && opcode <= FRAME_PONG);
}

/* The whole head's length, judged by its first two bytes; 0 when they break the protocol. */
static uint8_t head_judge(const struct frame_reader *r)
{
	unsigned opcode = r->head[0] & 0x0f, length = r->head[1] & 0x7f;
	if ((r->head[0] & BITS_RESERVED) || !opcode_known(opcode) || !(r->head[1] & BIT_MASKED))
		return 0;
	if (opcode & BIT_CONTROL) {
		if (!(r->head[0] & BIT_FINAL) || length > FRAME_CONTROL_MAX)
			return 0;
	} else if ((opcode == FRAME_CONTINUATION) != (r->message != 0)) {
		return 0;
	}
	return (uint8_t)(2 + (length == LENGTH_64 ? 8 : length == LENGTH_16 ? 2 : 0) + 4);
}

/* Takes the complete head over; false when its length is not the shortest form. */
static bool head_take(struct frame_reader *r)
{
	unsigned length = r->head[1] & 0x7f, wide = length == LENGTH_64 ? 8 : length == LENGTH_16 ? 2 : 0;
	uint64_t value = wide ? 0 : length;
	for (unsigned i = 0; i < wide; i++)
		value = value << 8 | r->head[2 + i];
	if ((wide == 2 && value < LENGTH_16) || (wide == 8 && (value <= UINT16_MAX || value >> 63)))
		return false;
	memcpy(r->mask, r->head + 2 + wide, sizeof r->mask);
	r->remaining = value;
	r->opcode = r->head[0] & 0x0f;
	r->final = r->head[0] & BIT_FINAL;
	r->in_payload = true;
	r->control_len = 0;
	if (r->opcode == FRAME_TEXT || r->opcode == FRAME_BINARY) {
		r->message = r->opcode;
		r->begun = false;
	}
	return true;
}

/* Collects the head; FRAME_PIECE means that it is complete. */
static enum frame_result head_read(struct frame_reader *r, uint8_t **data, size_t *len)
{
	if (r->head_need == 0)
		r->head_need = 2;
	while (*len > 0) {
		r->head[r->head_len++] = *(*data)++;
		--*len;
		if (r->head_len < r->head_need)
			continue;
		if (r->head_len > 2)
			return head_take(r) ? FRAME_PIECE : FRAME_WRONG;
		r->head_need = head_judge(r);
		if (r->head_need == 0)
			return FRAME_WRONG;
	}
	return FRAME_MORE;
}

static void frame_end(struct frame_reader *r)
{
	r->in_payload = false;
	r->head_len = r->head_need = 0;
}

/* A control frame is handed on whole. */
static enum frame_result control_read(struct frame_reader *r, const uint8_t *data, size_t len,
				      struct frame_piece *piece)
{
	mask_copy(r->control + r->control_len, data, len, r->mask);
	r->control_len = (uint8_t)(r->control_len + len);
	if (r->remaining > 0)
		return FRAME_MORE;
	*piece = (struct frame_piece){ r->opcode, true, true, r->control, r->control_len, { 0 } };
	frame_end(r);
	return FRAME_PIECE;
}

enum frame_result frame_read(struct frame_reader *r, uint8_t **data, size_t *len, struct frame_piece *piece)
{
	if (!r->in_payload) {
		enum frame_result result = head_read(r, data, len);
		if (result != FRAME_PIECE)
			return result;
	}
	if (r->remaining > 0 && *len == 0)
		return FRAME_MORE;
	uint8_t *begin = *data;
	size_t taken = r->remaining < *len ? (size_t)r->remaining : *len;
	*data += taken;
	*len -= taken;
	r->remaining -= taken;
	if (r->opcode & BIT_CONTROL)
		return control_read(r, begin, taken, piece);
	bool last = r->final && r->remaining == 0;
	*piece = (struct frame_piece){ r->message, !r->begun, last, begin, taken, { 0 } };
	if (r->message == FRAME_TEXT) {
		mask_copy(begin, begin, taken, r->mask);
	} else {
		memcpy(piece->mask, r->mask, sizeof piece->mask);
		mask_skip(r->mask, taken);
	}
	r->begun = true;
	if (r->remaining == 0)
		frame_end(r);
	if (last)
		r->message = 0;
	return FRAME_PIECE;
}

size_t frame_head(uint8_t out[FRAME_HEAD_MAX], enum frame_opcode opcode, uint64_t len)
{
	unsigned wide = len < LENGTH_16 ? 0 : len <= UINT16_MAX ? 2 : 8;
	out[0] = (uint8_t)(BIT_FINAL | opcode);
	out[1] = (uint8_t)(wide == 0 ? len : wide == 2 ? LENGTH_16 : LENGTH_64);
	for (unsigned i = 0; i < wide; i++)
		out[2 + i] = (uint8_t)(len >> (8 * (wide - 1 - i)));
	return 2 + wide;
}

unsigned frame_close_code(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 1005;
	unsigned code = len >= 2 ? (unsigned)data[0] << 8 | data[1] : 0;
	bool legal = (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
		     (code >= 3000 && code <= 4999);
	return legal ? code : 1002;
}
