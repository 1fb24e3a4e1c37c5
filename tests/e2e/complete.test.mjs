// The end of a recording: several tracks, and POST …/complete by its table.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { sharedServer } from './support/server.mjs';
import { api, assertOriginal, complete, media, recording, sessionId, sha256, tracksOf, wire } from './support/wire.mjs';

const server = sharedServer();
const options = { timeout: 60_000 };

async function taken(t, bytes = 100, fields = {}) {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId(), ...fields });
	w.binary(media(bytes));
	await w.untilAcked(bytes);
	return { w, id };
}

test('complete seals what is accepted; the attached connection gets saved', options, async (t) => {
	const { w, id } = await taken(t);
	const answer = await complete(server, id);
	assert.equal(answer.status, 200);
	assert.deepEqual({ status: answer.body.status, phase: answer.body.phase }, { status: 'started', phase: 'queued' });
	const saved = await w.next('saved');
	assert.equal(saved.bytes, 100);
	assert.equal(saved.sha256, sha256(media(100)));
	assert.equal((await complete(server, id)).body.status, 'alreadyProcessing');
	assert.equal((await complete(server, id, {})).body.status, 'alreadyProcessing');
	const state = await recording(server, id);
	assert.equal(state.revision, 1);
	assert.equal(state.interrupted, false);
	await assertOriginal(server, id, media(100));
});

test('of 64 concurrent callers exactly one starts it', options, async (t) => {
	for (let round = 0; round < 5; round++) {
		const { w, id } = await taken(t);
		const answers = await Promise.all(Array.from({ length: 64 }, () => complete(server, id)));
		const counts = {};
		for (const { status, body } of answers) {
			assert.equal(status, 200, JSON.stringify(body));
			counts[body.status] = (counts[body.status] ?? 0) + 1;
		}
		assert.deepEqual(counts, { started: 1, alreadyProcessing: 63 });
		await w.next('saved');
		assert.equal((await recording(server, id)).revision, 1);
	}
});

test('complete and end at the same time seal once', options, async (t) => {
	for (let round = 0; round < 10; round++) {
		const { w, id } = await taken(t);
		w.send({ type: 'end', totalBytes: 100 });
		const { status } = await complete(server, id);
		assert.equal(status, 200);
		assert.equal((await w.next('saved')).bytes, 100);
		assert.equal((await recording(server, id)).revision, 1);
	}
});

test('declared totals that are not there: 409 with what is missing, and nothing changes', options, async (t) => {
	const { w, id } = await taken(t);
	const refused = await complete(server, id, { tracks: [{ track: 'main', bytes: 250 }] });
	assert.equal(refused.status, 409);
	assert.match(refused.headers.get('content-type'), /^application\/problem\+json/);
	assert.equal(refused.body.code, 'bytes_missing');
	assert.equal(refused.body.status, 409);
	const missing = JSON.stringify(refused.body);
	assert.ok(missing.includes('main') && missing.includes('100'), `says what is there: ${missing}`);
	const unknown = await complete(server, id, { tracks: [{ track: 'main', bytes: 100 }, { track: 'audio', bytes: 5 }] });
	assert.equal(unknown.status, 409);
	assert.equal(unknown.body.code, 'bytes_missing');
	assert.equal((await recording(server, id)).phase, 'uploading');
	w.binary(media(250).subarray(100)); // the connection was left alone
	await w.untilAcked(250);
	const done = await complete(server, id, { tracks: [{ track: 'main', bytes: 250, sha256: sha256(media(250)) }] });
	assert.equal(done.body.status, 'started');
	assert.equal((await w.next('saved')).bytes, 250);
	const after = await complete(server, id, { tracks: [{ track: 'main', bytes: 251 }] });
	assert.equal(after.status, 409, 'totals are checked in every phase');
	assert.equal(after.body.code, 'bytes_missing');
});

test('what is no id is 404; a body that is none is 400', options, async (t) => {
	for (const id of [randomUUID(), 'nonsense', 'session:unknown', '..%2f..', 'session:', '%00', 'x'.repeat(500)]) {
		const { status, body } = await complete(server, id);
		assert.equal(status, 404, id);
		assert.equal(body.code, 'not_found');
		assert.equal((await api(server, `/api/recordings/${id}`)).status, 404);
		assert.equal((await api(server, `/api/recordings/${id}/original`)).status, 404);
	}
	const { w, id } = await taken(t);
	for (const text of ['{', '[]', '{"tracks": 5}', '{"tracks": [{"bytes": -1}]}', '{"tracks": [{"track": "main", "bytes": "x"}]}', '\xff']) {
		const { status, body } = await api(server, `/api/recordings/${id}/complete`, { method: 'POST', body: text });
		assert.equal(status, 400, text);
		assert.ok(body.code);
	}
	assert.equal((await recording(server, id)).phase, 'uploading');
	const unknown = await complete(server, id, { unknown: true });
	assert.equal(unknown.status, 200, 'unknown fields are ignored');
	await w.next('saved');
});

test('error can be claimed again, without an attempt to hide the checksum', options, async (t) => {
	const { w, id } = await taken(t);
	w.send({ type: 'end', totalBytes: 100, sha256: sha256('other') });
	await w.error('checksum_mismatch');
	assert.equal((await recording(server, id)).phase, 'error');
	const answer = await complete(server, id);
	assert.equal(answer.status, 200);
	assert.equal(answer.body.status, 'started');
	const state = await recording(server, id);
	assert.equal(state.phase, 'queued');
	assert.equal(state.revision, 1, 'claiming error again keeps the revision');
	await assertOriginal(server, id, media(100));
});

test('two tracks: each end seals its own, complete ends the recording', options, async (t) => {
	const session = sessionId();
	const [video, audio] = [await wire(t, server), await wire(t, server)];
	const { id } = await video.start({ sessionId: session, track: 'video', mime: 'video/mp4', ext: 'mp4' });
	const second = await audio.start({ sessionId: session, track: 'audio' });
	assert.equal(second.id, id);
	assert.equal(second.bytes, 0);
	const bytes = [media(200_000, 1), media(50_000, 2)];
	video.binary(bytes[0]);
	audio.binary(bytes[1]);
	await video.untilAcked(200_000);
	await audio.untilAcked(50_000);
	assert.equal((await recording(server, id)).bytes, 250_000);
	video.send({ type: 'end', totalBytes: 200_000, sha256: sha256(bytes[0]) });
	const saved = await video.next('saved');
	assert.equal(saved.bytes, 200_000);
	assert.ok((await api(server, saved.url)).bytes.equals(bytes[0]), 'url leads to the track');
	const half = await recording(server, id);
	assert.equal(half.phase, 'uploading');
	assert.deepEqual(tracksOf(half), [
		{ track: 'video', bytes: 200_000, attached: false, sealed: true },
		{ track: 'audio', bytes: 50_000, attached: true, sealed: false }]);
	const again = await wire(t, server);
	again.send({ type: 'start', sessionId: session, track: 'video' });
	assert.equal((await again.next('saved')).bytes, 200_000, 'a sealed track answers saved');
	audio.send({ type: 'end', totalBytes: 50_000 });
	await audio.next('saved');
	assert.equal((await recording(server, id)).phase, 'uploading', 'without `main` alone, complete decides');
	assert.equal((await complete(server, id)).body.status, 'started');
	assert.equal((await recording(server, id)).phase, 'queued');
	await assertOriginal(server, id, bytes[0], '?track=video');
	await assertOriginal(server, id, bytes[1], '?track=audio');
	assert.equal((await api(server, `/api/recordings/${id}/original?track=none`)).status, 404);
});

test('declared tracks: the recording ends when every one is sealed', options, async (t) => {
	const session = sessionId();
	const tracks = ['video', 'audio', 'cursor'];
	const wires = [];
	let id;
	for (const track of tracks) {
		const w = await wire(t, server);
		({ id } = await w.start({ sessionId: session, track, tracks }));
		w.binary(media(1000, wires.length + 1));
		wires.push(w);
	}
	for (const w of wires) {
		assert.equal((await recording(server, id)).phase, 'uploading');
		w.send({ type: 'end', totalBytes: 1000 });
		await w.next('saved');
	}
	const state = await recording(server, id);
	assert.equal(state.phase, 'queued');
	assert.equal(state.revision, 1);
	for (const [n, track] of tracks.entries()) await assertOriginal(server, id, media(1000, n + 1), `?track=${track}`);
});

test('one track is taken over while the other goes on', options, async (t) => {
	const session = sessionId();
	const [video, audio] = [await wire(t, server), await wire(t, server)];
	const { id } = await video.start({ sessionId: session, track: 'video' });
	await audio.start({ sessionId: session, track: 'audio' });
	video.binary(media(100, 1));
	audio.binary(media(100, 2));
	await video.untilAcked(100);
	const next = await wire(t, server);
	assert.equal((await next.start({ sessionId: session, track: 'video' })).bytes, 100);
	await video.error('taken_over');
	audio.binary(media(200, 2).subarray(100));
	await audio.untilAcked(200);
	next.binary(media(200, 1).subarray(100));
	await next.untilAcked(200);
	assert.equal((await complete(server, id, { tracks: [{ track: 'video', bytes: 200 }, { track: 'audio', bytes: 200 }] })).body.status,
		'started');
	await next.next('saved');
	await audio.next('saved');
	await assertOriginal(server, id, media(200, 1), '?track=video');
	await assertOriginal(server, id, media(200, 2), '?track=audio');
});

test('too many tracks are refused, the others go on', options, async (t) => {
	const session = sessionId();
	const first = await wire(t, server);
	const { id } = await first.start({ sessionId: session, track: 'track0' });
	let refused = 0;
	for (let n = 1; n <= 20; n++) {
		const w = await wire(t, server);
		w.send({ type: 'start', sessionId: session, track: `track${n}` });
		const message = await w.when(() => w.inbox.shift(), 'an answer');
		if (message.type === 'error') {
			assert.equal(message.code, 'limit_exceeded');
			refused += 1;
		}
	}
	assert.ok(refused > 0);
	first.binary(media(10));
	await first.untilAcked(10);
	assert.equal((await complete(server, id)).body.status, 'started');
});
