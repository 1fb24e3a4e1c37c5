// A desktop recorder's upload: `video` and `audio`, each a stream of fragments on a connection of its own, and `complete` from many threads with
// and without totals. One file, in sync.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ffmpeg, ffprobe, file, follow, phase } from './support/finishing.mjs';
import { sharedServer, tempDir } from './support/server.mjs';
import { assertOriginal, complete, media, recording, sessionId, wire } from './support/wire.mjs';

const options = { timeout: 120_000 };
const SECONDS = 6;
const CALLERS = 32;
const PICTURE = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25'];
const TONE = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'];
const FRAGMENTS = ['-movflags', 'frag_keyframe+empty_moov+default_base_moof', '-frag_duration', '500000'];
const CLOCK = ['-movflags', 'empty_moov+default_base_moof+frag_discont+delay_moov']; // fragments say when they are, and do not begin at 0
const LIVE = ['-live', '1', '-f', 'webm'];
const stream = (seconds, ...args) => ffmpeg(...args.slice(0, 4), '-t', String(seconds), ...args.slice(4), 'pipe:1');
const h264 = (seconds, ...more) => stream(seconds, ...PICTURE, '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '25', ...FRAGMENTS, ...more, '-f', 'mp4');
const aac = (seconds, ...more) => stream(seconds, ...TONE, '-c:a', 'aac', ...FRAGMENTS, ...more, '-f', 'mp4');
const vp8 = (seconds) => stream(seconds, ...PICTURE, '-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-g', '25', ...LIVE);
const opus = (seconds) => stream(seconds, ...TONE, '-c:a', 'libopus', ...LIVE);
const made = {
	mp4: { video: h264(SECONDS), audio: aac(SECONDS) },
	webm: { video: vp8(SECONDS), audio: opus(SECONDS) },
	both: { video: h264(SECONDS), audio: opus(SECONDS) },
	late: { video: h264(SECONDS, '-output_ts_offset', '100', ...CLOCK), audio: aac(SECONDS, '-output_ts_offset', '100.4', ...CLOCK) },
	longer: { video: h264(SECONDS), audio: aac(SECONDS * 3) },
	shorter: { video: h264(SECONDS * 2), audio: aac(1) },
};
const server = sharedServer({ workers: 2 }); // behind what takes so long that nobody would hear it listen

/** Both tracks begun, nothing sent: { id, video, audio }. */
async function begin(t, kind = 'video/mp4') {
	const session = sessionId();
	const links = {};
	let id;
	for (const track of ['video', 'audio']) {
		links[track] = await wire(t, server);
		({ id } = await links[track].start({ sessionId: session, track, tracks: ['video', 'audio'], mime: kind }));
	}
	return { id, ...links };
}

/** Sent in small pieces, both at once. */
async function send(link, bytes, from = 0) {
	for (let at = from; at < bytes.length; at += 10_000) link.binary(bytes.subarray(at, at + 10_000));
	if (bytes.length > from) await link.untilAcked(bytes.length);
}

const totals = (tracks) => ({ tracks: Object.entries(tracks).map(([track, { length }]) => ({ track, bytes: length })) });

/** Sends all, calls complete, and waits: the state, what ffprobe says of the file, and the file. */
async function finished(t, tracks) {
	const { id, video, audio } = await begin(t);
	await Promise.all([send(video, tracks.video), send(audio, tracks.audio)]);
	assert.equal((await complete(server, id, totals(tracks))).status, 200);
	const state = await phase(server, id, 'complete', 60_000);
	const { bytes } = await file(server, id);
	return { state, ...probe(t, bytes) };
}

function probe(t, bytes) {
	const path = join(tempDir(t), 'file');
	writeFileSync(path, bytes);
	const { format, streams } = ffprobe(path);
	const found = { bytes, seconds: Number(format.duration), kinds: streams.map(({ codec_type: kind }) => kind).sort() };
	for (const kind of found.kinds) {
		const lines = ffprobePackets(path, kind[0]);
		found[kind] = { packets: lines.length, first: lines[0], last: lines.at(-1) };
	}
	return found;
}

/** The presentation times of a stream's packets, in order. */
function ffprobePackets(path, stream) {
	return ffprobe(path, '-select_streams', stream, '-show_packets').packets.map(({ pts_time: time }) => Number(time)).sort((a, b) => a - b);
}

const near = (a, b, slack, what) => assert.ok(Math.abs(a - b) <= slack, `${what}: ${a}, not ${b}`);

/** The packets of the original, and the same times. */
function assertSame(t, got, tracks, { shift = 0 } = {}) {
	for (const kind of ['video', 'audio']) {
		const was = probe(t, tracks[kind])[kind];
		assert.equal(got[kind].packets, was.packets, kind);
		near(got[kind].first, was.first - shift, 0.03, `first ${kind}`);
		near(got[kind].last - got[kind].first, was.last - was.first, 0.03, `length of ${kind}`);
	}
}

for (const [name, mime] of [['mp4', 'video/mp4'], ['webm', 'video/webm'], ['both', 'video/mp4']]) {
	test(`fragments of ${name}: one file, in sync`, options, async (t) => {
		const got = await finished(t, made[name]);
		assert.deepEqual([got.state.warnings, got.state.file.mime, got.kinds], [[], mime, ['audio', 'video']]);
		assert.deepEqual([got.state.file.thumbnail, got.state.file.waveform], [true, true]);
		near(got.seconds, SECONDS, 0.1, 'length');
		near(got.state.duration, SECONDS, 0.1, 'length told');
		assertSame(t, got, made[name]);
		if (mime === 'video/mp4') assert.ok(got.bytes.indexOf('moov') < got.bytes.indexOf('mdat'), 'the index comes first');
		await assertOriginal(server, got.state.id, made[name].audio, '?track=audio');
	});
}

test('tracks that began at different times of one clock keep what lies between them', options, async (t) => {
	const got = await finished(t, made.late);
	near(got.audio.first - got.video.first, 0.4, 0.05, 'between them');
	near(got.seconds, SECONDS + 0.4, 0.1, 'length');
	assert.deepEqual(got.state.warnings, []);
});

for (const name of ['longer', 'shorter']) {
	test(`a track that is ${name} than the other`, options, async (t) => {
		const got = await finished(t, made[name]);
		assertSame(t, got, made[name]);
		near(got.seconds, name === 'longer' ? SECONDS * 3 : SECONDS * 2, 0.15, 'length');
	});
}

test('a track without a byte, and one of garbage: the other is published, and it is said', options, async (t) => {
	for (const bad of [Buffer.alloc(0), media(50_000), Buffer.from('x')]) {
		for (const [broken, whole] of [['audio', 'video'], ['video', 'audio']]) {
			const got = await finished(t, { ...made.mp4, [broken]: bad });
			assert.deepEqual(got.kinds, [whole]);
			assert.deepEqual(got.state.warnings.map(({ code }) => code), ['tracks_differ'], `${bad.length} bytes of ${broken}`);
			assert.equal(got.state.tracks.find(({ track }) => track === broken).bytes, bad.length);
			await assertOriginal(server, got.state.id, bad, `?track=${broken}`);
		}
	}
	const none = await finished(t, { video: media(1000, 1), audio: media(1000, 2) }).catch((error) => error);
	assert.ok(none instanceof Error, 'ffprobe finds nothing in it');
});

test(`complete from ${CALLERS} threads, before and after the last bytes, with and without totals`, options, async (t) => {
	const events = await follow(t, server);
	const { id, video, audio } = await begin(t);
	const half = made.mp4.audio.subarray(0, made.mp4.audio.length >> 1);
	await Promise.all([send(video, made.mp4.video), send(audio, half)]);
	const early = await Promise.all(Array.from({ length: CALLERS }, () => complete(server, id, totals(made.mp4))));
	for (const { status, body } of early) {
		assert.deepEqual([status, body.code], [409, 'bytes_missing']);
		assert.deepEqual(body.tracks, [{ track: 'audio', declared: made.mp4.audio.length, bytes: half.length }]);
	}
	assert.equal((await recording(server, id)).phase, 'uploading', 'nothing changed');
	await send(audio, made.mp4.audio, half.length);
	const answers = await Promise.all(Array.from({ length: CALLERS }, (_, i) => complete(server, id, i % 2 ? totals(made.mp4) : undefined)));
	for (const { status, body } of answers) assert.equal(status, 200, JSON.stringify(body));
	assert.equal(answers.filter(({ body }) => body.status === 'started').length, 1);
	const state = await phase(server, id, 'complete', 60_000);
	assert.deepEqual([state.revision, state.attempt, state.warnings], [1, 1, []]);
	const late = await Promise.all(Array.from({ length: CALLERS }, (_, i) => complete(server, id, i % 2 ? totals(made.mp4) : undefined)));
	for (const { status, body } of late) assert.deepEqual([status, body.status], [200, 'alreadyComplete']);
	assertSame(t, probe(t, (await file(server, id)).bytes), made.mp4);
	assert.equal(events.filter((event) => event.id === id && event.phase === 'queued').length, 1);
});
