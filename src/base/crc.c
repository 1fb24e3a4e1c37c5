/* CRC32C by ISA-L, see crc.h. ISA-L leaves the initial and final inversion to the caller. */
#include "base/crc.h"

#include <isa-l/crc.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *next = data;
	crc = ~crc;
	while (len > 0) { /* ISA-L takes an int */
		int piece = len > (1 << 30) ? 1 << 30 : (int)len;
		crc = crc32_iscsi((unsigned char *)next, piece, crc);
		next += piece;
		len -= (size_t)piece;
	}
	return ~crc;
}
