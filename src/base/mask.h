/* The four-byte mask of RFC 6455, section 5.3: bytes are copied and unmasked (or masked) with one pass. Pure. */
#ifndef HOLDFAST_BASE_MASK_H
#define HOLDFAST_BASE_MASK_H

#include <stddef.h>
#include <stdint.h>

/* Writes `len` bytes of `from`, each XORed with its byte of the mask, to `to` (the same place or one that does not
 * overlap), and turns the mask so that it fits the byte behind them. A mask of zeros copies. */
void mask_copy(uint8_t *to, const uint8_t *from, size_t len, uint8_t mask[4]);

/* Turns the mask past `len` bytes. */
void mask_skip(uint8_t mask[4], size_t len);

#endif
