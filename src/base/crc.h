/* CRC32C (Castagnoli), by ISA-L. */
#ifndef HOLDFAST_BASE_CRC_H
#define HOLDFAST_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* The CRC32C of `data` after bytes whose CRC32C was `crc` (0 to begin): crc32c(crc32c(0, a), b) is that of a then b.
 * Any thread. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
