// Media in every container that is taken in, as recorders write it, and what damages it.
import { readFileSync } from 'node:fs';
import { ffmpeg } from './finishing.mjs';
import { random } from './wire.mjs';

const PICTURE = ['-f', 'lavfi', '-i', 'testsrc2=size=160x120:rate=15'];
const TONE = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'];
const VP8 = ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '16', '-g', '15'];
const H264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '15'];
const FRAGMENTS = ['-movflags', 'frag_keyframe+empty_moov+default_base_moof'];

/** What there is: where it ends is for ffmpeg to know (`-f`), `pipe` if it may be written into one. */
export const KINDS = {
	webm: { args: [...PICTURE, ...TONE, ...VP8, '-c:a', 'libopus', '-live', '1', '-f', 'webm'], pipe: true, mime: 'video/webm', streams: ['audio', 'video'] },
	fragments: { args: [...PICTURE, ...TONE, ...H264, '-c:a', 'aac', ...FRAGMENTS, '-f', 'mp4'], pipe: true, mime: 'video/mp4', streams: ['audio', 'video'] },
	mp4: { args: [...PICTURE, ...TONE, ...H264, '-c:a', 'aac', '-f', 'mp4'], mime: 'video/mp4', streams: ['audio', 'video'] },
	mkv: { args: [...PICTURE, ...TONE, ...H264, '-c:a', 'flac', '-f', 'matroska'], pipe: true, mime: 'video/x-matroska', streams: ['audio', 'video'] },
	opus: { args: [...TONE, '-c:a', 'libopus', '-f', 'ogg'], pipe: true, mime: 'audio/ogg', streams: ['audio'] },
	vorbis: { args: [...TONE, '-c:a', 'libvorbis', '-f', 'ogg'], pipe: true, mime: 'audio/ogg', streams: ['audio'] },
	wav: { args: [...TONE, '-f', 'wav'], pipe: true, mime: 'audio/wav', streams: ['audio'] },
	mp3: { args: [...TONE, '-c:a', 'libmp3lame', '-f', 'mp3'], pipe: true, mime: 'audio/mpeg', streams: ['audio'] },
	adts: { args: [...TONE, '-c:a', 'aac', '-f', 'adts'], pipe: true, mime: 'audio/aac', streams: ['audio'] },
	flac: { args: [...TONE, '-c:a', 'flac', '-f', 'flac'], pipe: true, mime: 'audio/flac', streams: ['audio'] },
};

/** So many seconds of this kind. `file`: where it may be made, needed for those that no pipe can take. `pipe`: as who can't seek writes it. */
export function make(kind, seconds, file, { pipe = true } = {}) {
	const one = KINDS[kind];
	const through = pipe && one.pipe;
	const bytes = ffmpeg(...one.args.slice(0, -2), '-t', String(seconds), ...one.args.slice(-2), through ? 'pipe:1' : file);
	return through ? bytes : readFileSync(file);
}

const LARGE = Buffer.from('7fffffffffffffff', 'hex');

/** What a seed makes of `bytes`; pieces of `other` may come into it. Half of all changes are near the beginning, where the structure is. */
export function mutate(bytes, other, seed) {
	const next = random(seed);
	const below = (limit) => Math.floor(next() * limit);
	let b = Buffer.from(bytes);
	for (let rounds = below(6) + 1; rounds > 0 && b.length > 0; rounds--) {
		const near = next() < 0.5 ? b.length : Math.min(b.length, 2048);
		const at = below(near);
		const changes = [
			() => {
				for (let i = below(64); i > 0; i--) b[below(near)] ^= 1 << below(8);
			},
			() => {
				if (next() < 0.25) b = b.subarray(0, at);
			},
			() => Buffer.from(b).copy(b, at, below(b.length), b.length),
			() => {
				const from = below(other.length);
				other.copy(b, at, from, Math.min(other.length, from + below(4096)));
			},
			() => b.subarray(at, at + below(512)).fill(0),
			() => {
				const lie = b.subarray(at, at + 4 * (below(2) + 1));
				[() => lie.fill(0xff), () => lie.fill(0), () => LARGE.copy(lie)][below(3)]();
			},
			() => {
				b = Buffer.concat([b.subarray(0, at), other.subarray(below(other.length)).subarray(0, below(4096)), b.subarray(at)]);
			},
		];
		changes[below(changes.length)]();
	}
	return b;
}
