// What happens to a take whose link is lost: grace, late resume, revisions, empty takes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedServer, startServer, until } from './support/server.mjs';
import { assertOriginal, complete, isSealed, media, recording, sessionId, sha256, wire } from './support/wire.mjs';

const GRACE_MS = 1000;
const server = sharedServer({ args: ['--grace', `${GRACE_MS}ms`] });
const options = { timeout: 60_000 };

const sealed = (at, id) => until(async () => {
	const state = await recording(at, id);
	return isSealed(state) && state;
}, 10_000, 'sealed');

test('grace seals what is there; a late resume goes on with it as the next revision', options, async (t) => {
	const session = sessionId();
	const w = await wire(t, server);
	const { id, graceMs } = await w.start({ sessionId: session });
	assert.equal(graceMs, GRACE_MS);
	w.binary(media(1000).subarray(0, 400));
	await w.untilAcked(400);
	const cutAt = Date.now();
	await w.cut();
	await until(async () => !(await recording(server, id)).attached, 1000, 'detached');
	assert.equal((await recording(server, id)).phase, 'uploading');
	const first = await sealed(server, id);
	assert.ok(Date.now() - cutAt >= GRACE_MS - 50, 'not before the grace is over');
	assert.equal(first.interrupted, true);
	assert.equal(first.revision, 1);
	assert.equal(first.sha256, sha256(media(1000).subarray(0, 400)));

	const late = await wire(t, server);
	const started = await late.start({ sessionId: session, resume: true, from: 400 });
	assert.equal(started.id, id);
	assert.equal(started.resumed, true);
	assert.equal(started.bytes, 400);
	assert.equal((await recording(server, id)).phase, 'uploading');
	late.binary(media(1000).subarray(400));
	late.send({ type: 'end', totalBytes: 1000, sha256: sha256(media(1000)) });
	await late.next('saved');
	const second = await recording(server, id);
	assert.ok(isSealed(second), second.phase);
	assert.equal(second.revision, 2);
	assert.equal(second.interrupted, false);
	await assertOriginal(server, id, media(1000));
});

test('a resume within the grace is nothing special', options, async (t) => {
	const session = sessionId();
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: session });
	w.binary(media(100));
	await w.untilAcked(100);
	await w.cut();
	const again = await wire(t, server);
	assert.equal((await again.start({ sessionId: session })).bytes, 100);
	// longer than a grace: being attached is what counts
	await assert.rejects(until(async () => (await recording(server, id)).phase !== 'uploading', 2 * GRACE_MS, 'no seal'));
	again.send({ type: 'end', totalBytes: 100 });
	await again.next('saved');
	assert.equal((await recording(server, id)).revision, 1);
});

test('grace seals below a declared total, and complete says what is missing', options, async (t) => {
	const session = sessionId();
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: session });
	w.binary(media(100));
	w.send({ type: 'end', totalBytes: 300 });
	await w.untilAcked(100);
	await w.cut();
	const state = await sealed(server, id);
	assert.equal(state.interrupted, true);
	assert.equal(state.bytes, 100);
	const refused = await complete(server, id, { tracks: [{ track: 'main', bytes: 300 }] });
	assert.equal(refused.status, 409);
	assert.equal(refused.body.code, 'bytes_missing');
	const late = await wire(t, server);
	assert.equal((await late.start({ sessionId: session })).bytes, 100);
	late.binary(media(300).subarray(100));
	late.send({ type: 'end', totalBytes: 300 });
	await late.next('saved');
	const done = await complete(server, id, { tracks: [{ track: 'main', bytes: 300 }] });
	assert.equal(done.status, 200);
	assert.match(done.body.status, /^already(Processing|Complete)$/);
	await assertOriginal(server, id, media(300));
});

test('a take without bytes is not sealed by grace', options, async (t) => {
	const session = sessionId();
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: session });
	await w.cut();
	await assert.rejects(until(async () => (await recording(server, id)).phase !== 'uploading', 2 * GRACE_MS, 'no seal'));
	const again = await wire(t, server);
	assert.equal((await again.start({ sessionId: session })).bytes, 0);
});

test('with several tracks the grace runs from the loss of the last one', options, async (t) => {
	const session = sessionId();
	const [video, audio] = [await wire(t, server), await wire(t, server)];
	const { id } = await video.start({ sessionId: session, track: 'video' });
	await audio.start({ sessionId: session, track: 'audio' });
	video.binary(media(100, 1));
	audio.binary(media(50, 2));
	await video.untilAcked(100);
	await audio.untilAcked(50);
	await video.cut();
	await assert.rejects(until(async () => (await recording(server, id)).phase !== 'uploading', 2 * GRACE_MS, 'no seal'));
	await audio.cut();
	const state = await sealed(server, id);
	assert.equal(state.bytes, 150);
	await assertOriginal(server, id, media(100, 1), '?track=video');
	await assertOriginal(server, id, media(50, 2), '?track=audio');
});

test('after a restart a take gets a full grace from when the server listens', options, async (t) => {
	const own = await startServer(t, { args: ['--grace', '2s'] });
	const session = sessionId();
	const w = await wire(t, own);
	const { id } = await w.start({ sessionId: session });
	w.binary(media(100));
	await w.untilAcked(100);
	await own.kill();
	await own.start();
	const listening = Date.now();
	assert.equal((await recording(own, id)).phase, 'uploading');
	const state = await sealed(own, id);
	const waited = Date.now() - listening;
	assert.ok(waited >= 1_800, `a full grace of 2 s, not ${waited} ms`);
	assert.equal(state.interrupted, true);
	assert.equal(state.bytes, 100);
});

test('once the time for a late resume is over, start answers saved', options, async (t) => {
	const own = await startServer(t, { args: ['--grace', '200ms', '--late-resume', '1s'] });
	const session = sessionId();
	const w = await wire(t, own);
	const { id } = await w.start({ sessionId: session });
	w.binary(media(100));
	await w.untilAcked(100);
	await w.cut();
	await sealed(own, id);
	const answer = async () => {
		const late = await wire(t, own);
		late.send({ type: 'start', sessionId: session, mime: 'video/webm', ext: 'webm' });
		const message = await late.when(() => late.inbox.shift(), 'an answer');
		if (message.type === 'started') { // still in time: it is sealed again by the next grace
			await late.cut();
			await sealed(own, id);
			await assert.rejects(until(() => false, 1500, 'the window passes'));
		}
		return message.type === 'saved';
	};
	await until(answer, 10_000, 'saved');
	const empty = await wire(t, own);
	const taken = sessionId();
	const nothing = await empty.start({ sessionId: taken });
	await empty.cut();
	await until(async () => (await recording(own, nothing.id)).phase === 'aborted', 5000, 'an empty take is aborted');
});
