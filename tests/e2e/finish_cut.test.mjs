// Takes that end in the middle, at any byte: all that can be read is there, nothing is made up, and it is said.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { file, phase, take } from './support/finishing.mjs';
import { KINDS, make } from './support/material.mjs';
import { sharedServer } from './support/server.mjs';
import { random } from './support/wire.mjs';

const CUTS = Number(process.env.HOLDFAST_CUTS ?? 4);
const SEED = Number(process.env.HOLDFAST_SEED ?? 1);
const SECONDS = 4;
const options = { timeout: 60_000 + CUTS * 10_000 };
/* An MP4 whose index stands at its end has none when it is cut. What is piped as WAV does not say how long it is, and ends anywhere. */
const CUT = ['webm', 'fragments', 'mkv', 'opus', 'vorbis', 'wav', 'flac', 'mp3', 'adts'];
const dir = mkdtempSync(join(tmpdir(), 'holdfast-cut-'));
const server = sharedServer({ workers: 2 });
after(() => rmSync(dir, { recursive: true, force: true }));

/** Each stream's packets and its end, as ffprobe reads them, and where packets begin; nothing of what it can't open. */
function read(bytes) {
	const path = join(dir, 'read');
	writeFileSync(path, bytes);
	const { stdout } = spawnSync('ffprobe', ['-v', 'quiet', '-of', 'json', '-show_packets', '-show_entries', 'packet=codec_type,pts_time,size,pos', path], { maxBuffer: 1e9 });
	const streams = {};
	const places = new Set();
	for (const { codec_type: kind, pts_time: time, size, pos } of JSON.parse(stdout).packets ?? []) {
		streams[kind] ??= { packets: 0, bytes: 0, last: 0 };
		streams[kind].packets += 1;
		streams[kind].bytes += Number(size);
		streams[kind].last = Math.max(streams[kind].last, Number(time));
		places.add(Number(pos));
	}
	return { streams, places };
}

for (const kind of CUT) {
	test(`${kind}, cut at ${CUTS} places`, options, async (t) => {
		const next = random(SEED + kind.length * 100);
		const whole = make(kind, SECONDS, join(dir, 'make'), { pipe: kind !== 'wav' });
		const { places } = read(whole);
		for (let i = 0; i < CUTS; i++) {
			let at = Math.floor(whole.length * (0.1 + 0.89 * next()));
			while (places.has(at)) at += 1; // between two frames no cut can be seen
			const cut = whole.subarray(0, at);
			const id = await take(t, server, cut, { mime: KINDS[kind].mime });
			const state = await phase(server, id, 'complete', 60_000);
			const what = `cut at ${at} of ${whole.length}: ${JSON.stringify(state.warnings)}`;
			const was = read(cut).streams;
			assert.equal(state.file.asIs, Object.keys(was).length === 0, what); // the first page of an Ogg is a second long
			if (state.file.asIs) continue;
			const got = read((await file(server, id)).bytes).streams;
			assert.deepEqual(Object.keys(got).sort(), Object.keys(was).sort(), what);
			for (const stream of Object.keys(was)) {
				/* ffprobe shows the last packet also where only its beginning is there */
				if (kind === 'wav') assert.ok(Math.abs(got[stream].bytes - was[stream].bytes) < 4, what);
				else assert.ok(was[stream].packets - got[stream].packets <= 1 && got[stream].packets <= was[stream].packets,
					`${what}; ${stream}: ${got[stream].packets} of ${was[stream].packets} packets`);
				assert.ok(Math.abs(got[stream].last - was[stream].last) < 0.2, `${what}; ${stream} ends at ${got[stream].last}, not ${was[stream].last}`);
			}
			assert.ok(state.duration > 0 && state.duration <= SECONDS + 0.1, `${what}; ${state.duration} s`);
			assert.equal(state.warnings[0]?.code, 'truncated', what);
		}
	});
}

test('an MP4 without its index is published as it came', options, async (t) => {
	make('mp4', SECONDS, join(dir, 'whole.mp4'));
	const whole = readFileSync(join(dir, 'whole.mp4'));
	const id = await take(t, server, whole.subarray(0, whole.length >> 1));
	const state = await phase(server, id, 'complete', 60_000);
	assert.deepEqual([state.file.asIs, state.warnings.map(({ code }) => code)], [true, ['not_media']]);
});
