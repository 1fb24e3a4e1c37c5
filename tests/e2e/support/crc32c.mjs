// CRC32C (Castagnoli), bit by bit folded into a table: for checksums that a test says.
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
	let value = byte;
	for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
	return value >>> 0;
});

export function crc32c(bytes) {
	let sum = 0xffffffff;
	for (const byte of bytes) sum = TABLE[(sum ^ byte) & 0xff] ^ (sum >>> 8);
	return (sum ^ 0xffffffff) >>> 0;
}
