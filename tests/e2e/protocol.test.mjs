// The WebSocket protocol on one track, message by message.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedServer, startServer } from './support/server.mjs';
import { api, assertOriginal, complete, media, recording, sessionId, sha256, tracksOf, wire } from './support/wire.mjs';

const server = sharedServer();
const options = { timeout: 60_000 };

test('a take from start to saved', options, async (t) => {
	const w = await wire(t, server);
	assert.equal(w.socket.protocol, 'holdfast.v1');
	const session = sessionId();
	const started = await w.start({ sessionId: session, name: 'First take', ts: 1_700_000_000_000 });
	assert.match(started.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
	assert.deepEqual(started, { type: 'started', id: started.id, sessionId: session, resumed: false, bytes: 0,
		graceMs: 30_000, heartbeatMs: 20_000 });
	const bytes = media(100_000);
	w.binary(bytes.subarray(0, 1));
	w.binary(bytes.subarray(1, 70_000));
	await w.untilAcked(70_000);
	const during = await recording(server, started.id);
	assert.equal(during.phase, 'uploading');
	assert.equal(during.attached, true);
	assert.equal(during.bytes, 70_000);
	assert.equal(during.revision, 0);
	await assertOriginal(server, started.id, bytes.subarray(0, 70_000));
	w.binary(bytes.subarray(70_000));
	await w.untilAcked(100_000);
	w.send({ type: 'end', totalBytes: 100_000, sha256: sha256(bytes) });
	const saved = await w.next('saved');
	assert.deepEqual(saved, { type: 'saved', id: started.id, bytes: 100_000, sha256: sha256(bytes), url: saved.url });
	assert.ok((await api(server, saved.url)).bytes.equals(bytes));
	const done = await recording(server, started.id);
	assert.equal(done.id, started.id);
	assert.equal(done.sessionId, session);
	assert.equal(done.name, 'First take');
	assert.equal(done.phase, 'queued');
	assert.equal(done.attached, false);
	assert.equal(done.interrupted, false);
	assert.equal(done.revision, 1);
	assert.equal(done.bytes, 100_000);
	assert.equal(done.sha256, sha256(bytes));
	assert.equal(done.mime, 'video/webm');
	assert.deepEqual(tracksOf(done), [{ track: 'main', bytes: 100_000, attached: false, sealed: true }]);
	assert.deepEqual(await recording(server, `session:${session}`), done);
	const list = await api(server, '/api/recordings');
	assert.ok(list.body.items.some((item) => item.id === started.id));
});

test('start repeated on its connection answers started again', options, async (t) => {
	const w = await wire(t, server);
	const session = sessionId();
	const first = await w.start({ sessionId: session });
	w.binary(media(500));
	const again = await w.start({ sessionId: session });
	assert.equal(again.id, first.id);
	assert.equal(again.bytes, 500, 'what was accepted, once it is durable');
	w.binary(media(1000).subarray(500));
	w.send({ type: 'end', totalBytes: 1000 });
	await w.next('saved');
	await assertOriginal(server, first.id, media(1000));
});

test('end repeated answers saved again, start after the seal too', options, async (t) => {
	const w = await wire(t, server);
	const session = sessionId();
	const { id } = await w.start({ sessionId: session });
	w.binary(media(10));
	w.send({ type: 'end', totalBytes: 10 });
	const saved = await w.next('saved');
	w.send({ type: 'end', totalBytes: 10 });
	assert.deepEqual(await w.next('saved'), saved);
	const other = await wire(t, server);
	other.send({ type: 'start', sessionId: session, mime: 'video/webm', ext: 'webm' });
	assert.deepEqual(await other.next('saved'), saved);
	assert.equal((await recording(server, id)).revision, 1);
});

test('end may come before the last bytes', options, async (t) => {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId() });
	w.send({ type: 'end', totalBytes: 3000 });
	w.binary(media(3000).subarray(0, 2000));
	await w.untilAcked(2000);
	assert.equal((await recording(server, id)).phase, 'uploading');
	w.binary(media(3000).subarray(2000));
	assert.equal((await w.next('saved')).bytes, 3000);
	await assertOriginal(server, id, media(3000));
});

test('bytes_missing when nothing comes for 10 s after end; the take goes on after it', options, async (t) => {
	const w = await wire(t, server);
	const session = sessionId();
	const { id } = await w.start({ sessionId: session });
	w.binary(media(100));
	w.send({ type: 'end', totalBytes: 200 });
	const began = Date.now();
	const error = await w.error('bytes_missing', 15_000);
	assert.ok(Date.now() - began > 9_000);
	assert.equal(error.bytes, 100);
	w.binary(media(50)); // detached: dropped
	const started = await w.start({ sessionId: session });
	assert.equal(started.bytes, 100);
	assert.equal(started.resumed, true);
	w.binary(media(200).subarray(100));
	w.send({ type: 'end', totalBytes: 200 });
	await w.next('saved');
	await assertOriginal(server, id, media(200));
});

test('checksum_mismatch keeps the bytes and puts the recording in error', options, async (t) => {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId() });
	w.binary(media(100));
	w.send({ type: 'end', totalBytes: 100, sha256: sha256('other') });
	assert.equal((await w.error('checksum_mismatch')).retry, false);
	const state = await recording(server, id);
	assert.equal(state.phase, 'error');
	assert.equal(state.error.code, 'checksum_mismatch');
	await assertOriginal(server, id, media(100));
});

test('a total below what came is total_mismatch, and nothing is lost', options, async (t) => {
	const w = await wire(t, server);
	const session = sessionId();
	const { id } = await w.start({ sessionId: session });
	w.binary(media(100));
	w.send({ type: 'end', totalBytes: 50 });
	await w.error('total_mismatch');
	assert.equal((await w.start({ sessionId: session })).bytes, 100);
	w.send({ type: 'end', totalBytes: 150 });
	w.binary(media(200).subarray(100)); // more than declared
	await w.error('total_mismatch');
	assert.equal((await w.start({ sessionId: session })).bytes, 100);
	w.send({ type: 'end', totalBytes: 100 });
	await w.next('saved');
	await assertOriginal(server, id, media(100));
});

test('abort ends the take for good', options, async (t) => {
	const w = await wire(t, server);
	const session = sessionId();
	const { id } = await w.start({ sessionId: session });
	w.binary(media(100));
	await w.untilAcked(100);
	w.send({ type: 'abort', reason: 'wrong microphone' });
	assert.deepEqual(await w.next('aborted'), { type: 'aborted', id, reason: 'wrong microphone' });
	assert.equal((await recording(server, id)).phase, 'aborted');
	w.send({ type: 'start', sessionId: session, mime: 'video/webm', ext: 'webm' });
	assert.equal((await w.next('aborted')).id, id);
	const { status, body } = await complete(server, id);
	assert.equal(status, 409);
	assert.equal(body.code, 'aborted');
	await assertOriginal(server, id, media(100));
	await w.start({ sessionId: sessionId() }); // the connection is free for another take
});

test('a second connection takes over; what the first still sends is dropped', options, async (t) => {
	const session = sessionId();
	const old = await wire(t, server);
	const { id } = await old.start({ sessionId: session });
	old.binary(media(100));
	await old.untilAcked(100);
	const w = await wire(t, server);
	const started = await w.start({ sessionId: session, from: 0 });
	assert.equal(started.id, id);
	assert.equal(started.resumed, true);
	assert.equal(started.bytes, 100);
	const taken = await old.error('taken_over');
	assert.equal(taken.retry, false);
	old.binary(Buffer.alloc(50, 'x'));
	old.send({ type: 'end', totalBytes: 150 });
	w.binary(media(300).subarray(100));
	await w.untilAcked(300);
	w.send({ type: 'end', totalBytes: 300 });
	await w.next('saved');
	await assertOriginal(server, id, media(300));
	assert.equal(old.inbox.length, 0, 'a detached connection hears nothing more');
});

test('bytes accepted before a take-over are counted, not repeated', options, async (t) => {
	const session = sessionId();
	const old = await wire(t, server);
	const { id } = await old.start({ sessionId: session });
	const bytes = media(4_000_000);
	for (let at = 0; at < 2_000_000; at += 10_000) old.binary(bytes.subarray(at, at + 10_000));
	const w = await wire(t, server);
	const { bytes: from } = await w.start({ sessionId: session });
	assert.ok(from >= old.acked && from <= 2_000_000, `${from}`);
	w.binary(bytes.subarray(from));
	w.send({ type: 'end', totalBytes: bytes.length });
	await w.next('saved');
	await assertOriginal(server, id, bytes);
});

test('position_conflict when the client holds only later bytes', options, async (t) => {
	const session = sessionId();
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: session });
	w.binary(media(100));
	await w.untilAcked(100);
	const other = await wire(t, server);
	other.send({ type: 'start', sessionId: session, mime: 'video/webm', ext: 'webm', from: 101 });
	assert.equal((await other.error('position_conflict')).retry, false);
	other.binary(media(10));
	w.binary(media(200).subarray(100)); // the first connection was not disturbed
	w.send({ type: 'end', totalBytes: 200 });
	await w.next('saved');
	await assertOriginal(server, id, media(200));
});

test('session_open when a connection starts another take before the first is saved', options, async (t) => {
	const session = sessionId();
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: session });
	w.binary(media(100));
	w.send({ type: 'start', sessionId: sessionId(), mime: 'video/webm', ext: 'webm' });
	w.binary(Buffer.from('meant for the other take')); // pipelined: must go nowhere
	await w.error('session_open');
	assert.equal((await w.start({ sessionId: session })).bytes, 100);
	w.send({ type: 'end', totalBytes: 100 });
	await w.next('saved');
	await assertOriginal(server, id, media(100));
});

test('several takes one after the other on one connection', options, async (t) => {
	const w = await wire(t, server);
	for (let n = 1; n <= 3; n++) {
		const { id } = await w.start({ sessionId: sessionId() });
		w.binary(media(1000, n));
		w.send({ type: 'end', totalBytes: 1000 });
		assert.equal((await w.next('saved')).id, id);
		w.acked = 0;
		await assertOriginal(server, id, media(1000, n));
	}
});

test('sealed: media after saved', options, async (t) => {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId() });
	w.binary(media(10));
	w.send({ type: 'end', totalBytes: 10 });
	await w.next('saved');
	w.binary(media(10));
	assert.equal((await w.error('sealed')).retry, false);
	await assertOriginal(server, id, media(10));
});

test('binary_without_session, and nothing before start is kept', options, async (t) => {
	const w = await wire(t, server);
	w.binary(media(10));
	await w.error('binary_without_session');
	const { id } = await w.start({ sessionId: sessionId() });
	w.binary(media(20));
	w.send({ type: 'end', totalBytes: 20 });
	await w.next('saved');
	await assertOriginal(server, id, media(20));
	const other = await wire(t, server);
	other.send({ type: 'end', totalBytes: 0 });
	await other.error('no_session');
});

test('empty messages are legal anywhere', options, async (t) => {
	const w = await wire(t, server);
	w.binary(Buffer.alloc(0));
	const { id } = await w.start({ sessionId: sessionId() });
	w.binary(Buffer.alloc(0));
	w.binary(media(5));
	w.binary(Buffer.alloc(0));
	w.send({ type: 'end', totalBytes: 5 });
	w.binary(Buffer.alloc(0));
	await w.next('saved');
	w.binary(Buffer.alloc(0));
	await assertOriginal(server, id, media(5));
	assert.equal(w.inbox.length, 0);
});

test('an error detaches: what was pipelined behind it leaves no hole', options, async (t) => {
	const session = sessionId();
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: session });
	w.binary(media(300).subarray(0, 100));
	w.send('{"type": "end", "totalBytes": "many"}');
	w.binary(media(300).subarray(100, 200));
	w.send({ type: 'end', totalBytes: 200 });
	await w.error('bad_field');
	const started = await w.start({ sessionId: session });
	assert.equal(started.bytes, 100);
	w.binary(media(300).subarray(100));
	w.send({ type: 'end', totalBytes: 300 });
	await w.next('saved');
	await assertOriginal(server, id, media(300));
});

test('resume: true of an unknown take begins it', options, async (t) => {
	const w = await wire(t, server);
	const started = await w.start({ sessionId: sessionId(), resume: true, from: 0 });
	assert.equal(started.resumed, false);
	assert.equal(started.bytes, 0);
});

test('messages of every size arrive in order', options, async (t) => {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId() });
	const sizes = [1, 2, 4095, 4096, 4097, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 5_000_000, 3];
	const total = sizes.reduce((sum, size) => sum + size, 0);
	const bytes = media(total);
	let at = 0;
	for (const size of sizes) w.binary(bytes.subarray(at, at += size));
	await w.untilAcked(total, 30_000);
	w.send({ type: 'end', totalBytes: total, sha256: sha256(bytes) });
	await w.next('saved');
	await assertOriginal(server, id, bytes);
});

test('a peer that is silent for two pings is cut off, one that answers is not', options, async (t) => {
	const quick = await startServer(t, { args: ['--heartbeat', '1s', '--grace', '30s'] });
	const good = await wire(t, quick);
	const dead = await wire(t, quick, { autoPong: false });
	const session = sessionId();
	assert.equal((await dead.start({ sessionId: session })).heartbeatMs, 1000);
	await good.start({ sessionId: sessionId() });
	dead.binary(media(10));
	const error = await dead.error('heartbeat_lost');
	assert.equal(error.retry, true);
	await dead.closed;
	good.binary(media(10));
	await good.untilAcked(10);
	assert.equal((await good.start({ sessionId: session }).catch((e) => e)).message.includes('session_open'), true);
});
