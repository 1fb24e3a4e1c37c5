/* What the simulated clients record: bytes that any place can make again from a number, so that nobody stores them. */
#ifndef HOLDFAST_SIM_CONTENT_H
#define HOLDFAST_SIM_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void content_fill(uint64_t content, uint64_t off, void *data, size_t len);
/* The first offset at which the data is another; len when it is the same. */
size_t content_differs(uint64_t content, uint64_t off, const void *data, size_t len);
/* SHA-256 of `len` bytes from `from` on. */
void content_sha256(uint64_t content, uint64_t from, uint64_t len, uint8_t out[32]);

#endif
