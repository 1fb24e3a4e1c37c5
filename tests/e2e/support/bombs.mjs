// Media that lie or blow up: small files that claim to be, or would become, much more than they are. Formats: RFC 8794 and 9559 (EBML,
// Matroska), ISO/IEC 14496-12 (boxes), RFC 9639 (FLAC), RFC 2083 (PNG), RFC 3533 (Ogg), RIFF.
import { deflateSync } from 'node:zlib';

const hex = (text) => Buffer.from(text.replace(/\s/g, ''), 'hex');
const be = (bytes, value) => {
	const out = Buffer.alloc(bytes);
	for (let i = bytes - 1, rest = BigInt(value); i >= 0; i--, rest >>= 8n) out[i] = Number(rest & 255n);
	return out;
};
const join = (...pieces) => Buffer.concat(pieces.flat(Infinity).map((piece) => (typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece)));

/** An EBML element with a size of eight bytes. */
const el = (id, ...content) => {
	const body = join(content);
	return Buffer.concat([hex(id), be(8, (1n << 56n) | BigInt(body.length)), body]);
};
const num = (id, value, bytes = 8) => el(id, be(bytes, value));
const box = (type, ...content) => {
	const body = join(content);
	return Buffer.concat([be(4, body.length + 8), Buffer.from(type, 'latin1'), body]);
};

const EBML = el('1a45dfa3', num('4286', 1), num('42f7', 1), num('42f2', 4), num('42f3', 8), el('4282', 'webm'), num('4287', 4), num('4285', 2));
const INFO = el('1549a966', num('2ad7b1', 1000000));
const OPUS_HEAD = join('OpusHead', hex('01 01 3801 80bb0000 0000 00'));
const sound = (n = 1, ...more) => el('ae', num('d7', n), num('73c5', n), num('83', 2), el('86', 'A_OPUS'), el('63a2', OPUS_HEAD), el('e1', el('b5', hex('40e7700000000000')), num('9f', 1)), ...more);
const picture = (codec, width, height, ...more) => el('ae', num('d7', 1), num('73c5', 1), num('83', 1), el('86', codec), el('e0', num('b0', width), num('ba', height)), ...more);
const block = (ms, data, track = 1) => el('a3', be(1, 0x80 | track), be(2, ms), hex('80'), data);
const segment = (...content) => join(EBML, el('18538067', INFO, content));
const cluster = (...blocks) => el('1f43b675', num('e7', 0), blocks);
const packets = (n) => Array.from({ length: n }, (_, i) => block(i * 20, hex('f8fffe')));
const clusters = (n) => cluster(...packets(n));

function crcOf(poly, bits, bytes) {
	let crc = 0;
	const top = 1 << (bits - 1);
	for (const byte of bytes) {
		crc ^= byte << (bits - 8);
		for (let i = 0; i < 8; i++) crc = (crc & top ? (crc << 1) ^ poly : crc << 1) & (2 ** bits - 1);
	}
	return be(bits / 8, crc);
}

/** Frames of 65,535 samples of silence in eight channels, forty bytes each. */
function flac(frames, samples) {
	const utf8 = (n) => Buffer.from(String.fromCodePoint(n), 'utf8');
	const info = join(hex('ffff ffff 000000 000000'), be(8, (655350n << 44n) | (7n << 41n) | (15n << 36n) | BigInt(samples)), Buffer.alloc(16));
	const out = [Buffer.from('fLaC'), hex('80000022'), info];
	for (let i = 0; i < frames; i++) {
		const head = join(hex('fff8 7e 78'), utf8(i < 0xd800 ? i : i + 0x800), be(2, 65534), be(2, 65535));
		const body = join(head, crcOf(0x07, 8, head), Array(8).fill(hex('000000')));
		out.push(body, crcOf(0x8005, 16, body));
	}
	return Buffer.concat(out);
}

function crc32(bytes) {
	let crc = ~0;
	for (const byte of bytes) {
		crc ^= byte;
		for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return be(4, ~crc >>> 0);
}

/** A picture of nothing, with `rows` rows really there. */
function png(width, height, rows) {
	const chunk = (type, data) => join(be(4, data.length), type, data, crc32(join(type, data)));
	return join(hex('89504e470d0a1a0a'), chunk('IHDR', join(be(4, width), be(4, height), hex('08 00 00 00 00'))),
		chunk('IDAT', deflateSync(Buffer.alloc((width + 1) * rows), { level: 9 })), chunk('IEND', Buffer.alloc(0)));
}

const attached = (data) => segment(el('1654ae6b', sound()), el('1941a469', el('61a7', el('466e', 'cover.png'), el('4660', 'image/png'), num('46ae', 7), el('465c', data))), clusters(50));

function wav({ channels = 1, rate = 48000, bits = 16, claims, bytes = 4000 }) {
	const le = (n, value) => be(n, value).reverse();
	return join('RIFF', le(4, (claims ?? bytes) + 36), 'WAVEfmt ', le(4, 16), le(2, 1), le(2, channels), le(4, rate), le(4, (rate * channels * bits) / 8 % 2 ** 32),
		le(2, (channels * bits) / 8 % 65536), le(2, bits), 'data', le(4, claims ?? bytes), Buffer.alloc(bytes, 7));
}

const mvhd = box('mvhd', be(4, 0), be(8, 0), be(4, 1000), be(4, 1000), hex('00010000 0100'), be(10, 0), hex('00010000'), be(12, 0), hex('00010000'), be(12, 0), hex('40000000'), be(24, 0), be(4, 2));
const tkhd = box('tkhd', be(4, 3), be(8, 0), be(4, 1), be(4, 0), be(4, 1000), be(16, 0), hex('00010000'), be(12, 0), hex('00010000'), be(12, 0), hex('40000000'), be(8, 0));
const pcm = (channels = 1) => box('sowt', be(6, 0), be(2, 1), be(8, 0), be(2, channels), be(2, 16), be(4, 0), hex('bb800000'));
/* The second version of a sound's description counts channels with 32 bits and has its rate as a double. */
const pcm2 = box('lpcm', be(6, 0), be(2, 1), be(2, 2), be(6, 0), be(2, 3), be(2, 16), hex('fffe'), be(2, 0), hex('00010000'), be(4, 72), hex('7e37e43c8800759c'), be(4, 0xffffffff),
	hex('7f000000'), be(4, 16), be(4, 12), be(4, 0xffffffff), be(4, 1));
const trak = (entry, { count = 10, times = count, chunks = 1, per = count, size = 2 } = {}) => box('trak', tkhd, box('mdia', box('mdhd', be(4, 0), be(8, 0), be(4, 48000), be(4, 48000), be(4, 0)),
	box('hdlr', be(8, 0), 'soun', be(13, 0)), box('minf', box('smhd', be(8, 0)), box('stbl', box('stsd', be(4, 0), be(4, 1), entry), box('stts', be(4, 0), count ? [be(4, 1), be(4, times), be(4, 1)] : be(4, 0)),
		box('stsc', be(4, 0), count ? [be(4, 1), be(4, 1), be(4, per), be(4, 1)] : be(4, 0)), box('stsz', be(4, 0), be(4, size), be(4, count)),
		box('stco', be(4, 0), be(4, chunks), Array.from({ length: Math.min(chunks, 1) }, () => be(4, 1000)))))));
const ftyp = box('ftyp', 'qt  ', be(4, 0), 'qt  ');
const mp4 = (...content) => join(ftyp, box('moov', mvhd, content), box('mdat', Buffer.alloc(4000, 5)));
const fragment = (count) => box('moof', box('mfhd', be(4, 0), be(4, 1)), box('traf', box('tfhd', hex('00020018'), be(4, 1), be(4, 1), be(4, 2)), box('trun', hex('00000001'), be(4, count), be(4, 100))));
const fragmented = (...content) => join(box('ftyp', 'isom', be(4, 0), 'isomiso5'), box('moov', mvhd, trak(pcm(), { count: 0, times: 0, chunks: 0 }), box('mvex', box('trex', be(4, 0), be(4, 1), be(4, 1), be(4, 1), be(4, 2), be(4, 0)))), content);

function nested(levels, wrap, inner) {
	const heads = [];
	let size = inner.length;
	for (let i = 0; i < levels; i++) {
		const head = wrap(size);
		heads.push(head);
		size += head.length;
	}
	return Buffer.concat([...heads.reverse(), inner]);
}

function oggStreams(n) {
	const page = (i) => join('OggS', hex('00 02'), be(8, 0), be(4, i), be(4, 0), be(4, 0), hex('01 13'), OPUS_HEAD);
	return Buffer.concat(Array.from({ length: n }, (_, i) => page(i)));
}

const zlibTrack = picture('V_VP8', 64, 64, el('6d80', el('6240', num('5031', 0), num('5032', 1), num('5033', 0), el('5034', num('4254', 0)))));

/** name → [bytes, what it may come to]; 'error' stands for error with a code, 'file' for a finished file, 'asIs' for published as it came. */
export const BOMBS = {
	'one byte': () => [Buffer.from('x'), 'asIs'],
	'the first four bytes of WebM': () => [hex('1a45dfa3'), 'asIs'],
	'a WAV of 65,535 channels': () => [wav({ channels: 65535 }), 'asIs'],
	'a WAV of a rate of 4 GHz': () => [wav({ rate: 0xffffffff }), 'asIs file error'],
	'a WAV that claims 2 GB': () => [wav({ claims: 0x7ffffff0 }), 'file'],
	'a FLAC that claims 68 billion samples': () => [flac(20, 2n ** 36n - 1n), 'file'],
	'a FLAC of half an hour at 655 kHz in eight channels': () => [flac(18_000, 0), 'file'],
	'an MP4 of 10^9 samples': () => [mp4(trak(pcm(), { count: 1e9 })), 'asIs file error'],
	'an MP4 of 10^9 samples of no bytes': () => [mp4(trak(pcm(), { count: 1e9, size: 0 })), 'asIs file error'],
	'an MP4 of 10^9 chunks': () => [mp4(trak(pcm(), { count: 1e9, chunks: 1e9, per: 1 })), 'asIs file error'],
	'an MP4 of 2^32 channels at 10^300 Hz': () => [mp4(trak(pcm2)), 'asIs file error'],
	'an MP4 of 3,000 tracks': () => [mp4(Array.from({ length: 3000 }, () => trak(pcm()))), 'asIs file error'],
	'an MP4 of boxes in boxes': () => [join(ftyp, nested(100_000, (size) => join(be(4, size + 8), 'moov'), trak(pcm()))), 'asIs file error'],
	'an MP4 of metadata in metadata': () => [join(ftyp, nested(100_000, (size) => join(be(4, size + 8), 'udta'), trak(pcm()))), 'asIs file error'],
	'an MP4 with an index that is inflated to 500 MB': () => [join(ftyp, box('moov', box('cmov', box('dcom', 'zlib'), box('cmvd', be(4, 500e6), deflateSync(Buffer.alloc(500e6), { level: 9 }))))), 'asIs file error'],
	'a fragment of 10^9 samples': () => [fragmented(fragment(1e9), box('mdat', Buffer.alloc(4000))), 'asIs file error'],
	'a fragment that claims so many samples that their index would be 60 MB': () => [fragmented(fragment(4e6), box('mdat', Buffer.alloc(4000))), 'file error'],
	'100,000 empty fragments': () => [fragmented(Array.from({ length: 100_000 }, () => fragment(0))), 'asIs file error'],
	'a WebM of 5,000 tracks': () => [segment(el('1654ae6b', Array.from({ length: 5000 }, (_, i) => sound(i + 1))), clusters(50)), 'asIs file error'],
	'a WebM of tags in tags': () => [segment(nested(50_000, (size) => join(hex('67c8'), be(8, (1n << 56n) | BigInt(size))), num('4484', 1)), el('1654ae6b', sound()), clusters(50)), 'asIs file error'],
	'a WebM of clusters in clusters': () => [segment(el('1654ae6b', sound()), nested(50_000, (size) => join(hex('1f43b675'), be(8, (1n << 56n) | BigInt(size))), clusters(50))), 'asIs file error'],
	'a picture of 65,535 by 65,535': () => [segment(el('1654ae6b', picture('V_VP8', 65535, 65535)), cluster(block(0, hex('100200 9d012a ff3f ff3f 00000000000000000000')))), 'asIs file error'],
	'a picture of 2^63 by 1': () => [segment(el('1654ae6b', picture('V_VP9', 2n ** 63n - 1n, 1)), clusters(50)), 'asIs file error'],
	'a cover of 65,535 by 65,535': () => [attached(png(65535, 65535, 2000)), 'file'],
	'a cover that is inflated to 60 MB': () => [attached(png(8000, 8000, 8000)), 'file'],
	'packets that are inflated to 10 GB': () => {
		const small = deflateSync(Buffer.alloc(9_000_000), { level: 9 });
		return [segment(el('1654ae6b', zlibTrack), cluster(Array.from({ length: 1100 }, (_, i) => block(i, small)))), 'error'];
	},
	'a clock that leaps to the end of time': () => [segment(el('1654ae6b', sound()), clusters(50), el('1f43b675', num('e7', 2n ** 62n), packets(50))), 'file'],
	'a clock of one tick in 300 years': () => [join(EBML, el('18538067', el('1549a966', num('2ad7b1', 2n ** 63n - 1n)), el('1654ae6b', sound()), clusters(50))), 'asIs file error'],
	'an element of 2^56 bytes': () => [join(segment(el('1654ae6b', sound()), clusters(50)), hex('ec 01 fffffffffffffe')), 'file'],
	'an Ogg of 3,000 streams': () => [oggStreams(3000), 'asIs file error'],
	'an ID3 tag of 256 MB': () => [join('ID3', hex('0400 00 7f7f7f7f'), Buffer.alloc(2000)), 'asIs file error'],
};
