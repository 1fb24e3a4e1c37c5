// Following recordings: subscribe, status, subscribed.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sharedServer, startServer, until } from './support/server.mjs';
import { WebSocket, api, media, recording, sessionId, wire } from './support/wire.mjs';

const server = sharedServer({ args: ['--grace', '3s'] });
const options = { timeout: 60_000 };

/** A connection that keeps the newest status of each recording, and counts. */
class Follower {
	states = new Map();
	count = 0;

	static async open(t, at, subscription = { all: true }) {
		const follower = new Follower();
		follower.wire = await wire(t, at);
		// before the wire's own, which asks who waits
		follower.wire.socket.prependListener('message', (data) => follower.#hear(JSON.parse(data)));
		await follower.subscribe(subscription);
		return follower;
	}

	#hear(message) {
		if (message.of === 'server') this.server = message;
		if (message.of !== 'recording') return;
		this.count += 1;
		this.states.set(message.id, message);
	}

	async subscribe(subscription) {
		this.wire.send({ type: 'subscribe', ...subscription });
		const answer = (m) => m.type === 'subscribed' || m.type === 'error';
		const message = await this.wire.when(() => this.wire.inbox.find(answer), 'subscribed');
		assert.deepEqual(message, { type: 'subscribed', ...subscription });
		this.wire.inbox = this.wire.inbox.filter((m) => m !== message);
	}

	/** Resolves with the newest status of the recording once `check` likes it. */
	when(id, check, what, ms) {
		return this.wire.when(() => this.states.has(id) && check(this.states.get(id)) && this.states.get(id), what, ms);
	}

	/** The newest status must be what GET answers, but for the time that runs down. */
	async assertIsTheState(at, id) {
		const { type, of, graceLeftMs, ...status } = this.states.get(id);
		const { graceLeftMs: left, ...state } = await recording(at, id);
		assert.equal(type, 'status');
		assert.equal(of, 'recording');
		assert.equal(left === null, graceLeftMs === null);
		assert.deepEqual(status, state);
	}
}

const http = (id, method, body) => api(server, `/api/recordings/${id}`, { method, body: body && JSON.stringify(body) });

test('another connection\'s take, live: begun, growing, left, resumed, renamed, saved, deleted', options, async (t) => {
	const follower = await Follower.open(t, server);
	const session = sessionId();
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: session, name: 'live' });
	const begun = await follower.when(id, (s) => s.attached, 'it is told of the take');
	assert.equal(begun.owner, 'local');
	assert.equal(begun.phase, 'uploading');
	assert.equal(begun.graceLeftMs, null);
	await until(() => follower.server.recordings === 1, 5000, 'one recording is attached');
	assert.ok(follower.server.freeBytes > 0 && follower.server.totalBytes >= follower.server.freeBytes);
	assert.ok(follower.server.reserveBytes > 0);

	let sent = 0;
	const before = follower.count;
	const began = Date.now();
	while (Date.now() - began < 2000) {
		w.binary(media(1000));
		sent += 1000;
		await new Promise((resolve) => setTimeout(resolve, 10));
	}
	assert.ok(follower.count - before <= 6, `${follower.count - before} statuses in two seconds`);
	await w.untilAcked(sent);
	await follower.when(id, (s) => s.bytes === sent, 'all bytes are told');

	await w.cut();
	const left = await follower.when(id, (s) => !s.attached, 'the cut is told');
	assert.ok(left.graceLeftMs > 2000 && left.graceLeftMs <= 3000, `${left.graceLeftMs} ms`);
	await until(async () => (await recording(server, id)).graceLeftMs < left.graceLeftMs - 500, 3000, 'it runs down');
	const back = await wire(t, server);
	await back.start({ sessionId: session });
	await follower.when(id, (s) => s.attached && s.graceLeftMs === null, 'it is back');

	assert.equal((await http(id, 'PATCH', { name: 'renamed' })).body.name, 'renamed');
	await follower.when(id, (s) => s.name === 'renamed', 'the new name');
	back.send({ type: 'end', totalBytes: sent });
	await back.next('saved');
	await follower.when(id, (s) => s.phase === 'queued' && s.revision === 1, 'saved');
	await follower.assertIsTheState(server, id);
	await http(id, 'DELETE');
	await follower.when(id, (s) => s.phase === 'deleted', 'deleted');
});

test('grace that runs out is told, and so is a late resume', options, async (t) => {
	const w = await wire(t, server);
	const session = sessionId();
	const { id } = await w.start({ sessionId: session });
	w.binary(media(500));
	await w.untilAcked(500);
	const follower = await Follower.open(t, server, { id });
	await w.close();
	await follower.when(id, (s) => s.phase === 'queued' && s.interrupted, 'grace sealed it');
	await follower.assertIsTheState(server, id);
	const late = await wire(t, server);
	await late.start({ sessionId: session });
	await follower.when(id, (s) => s.phase === 'uploading' && s.attached && !s.tracks[0].sealed, 'it is open again');
	late.send({ type: 'end', totalBytes: 500 });
	await late.next('saved');
	await follower.when(id, (s) => s.revision === 2, 'its second revision');
});

test('deletion of a take that is being recorded: the recorder and who follows hear of it, and the files go', options, async (t) => {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId() });
	w.binary(media(1000));
	await w.untilAcked(1000);
	const follower = await Follower.open(t, server, { id });
	await http(id, 'DELETE');
	assert.equal((await w.error('deleted')).retry, false);
	await follower.when(id, (s) => s.phase === 'deleted', 'deleted');
	await until(() => !existsSync(join(server.dataDir, 'spool', id)), 10_000, 'the files are gone');
});

test('errors about a subscription detach nothing', options, async (t) => {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId() });
	const refused = [
		[{ id: 'nonsense' }, 'not_found'], [{ id: '0199c0de-0000-7000-8000-000000000001' }, 'not_found'],
		[{}, 'bad_field'], [{ all: true, id }, 'bad_field'], [{ all: 'yes' }, 'bad_field'], [{ id: 5 }, 'bad_field'],
	];
	for (const [fields, code] of refused) {
		w.send({ type: 'subscribe', ...fields });
		const error = await w.error(code);
		assert.equal(error.of, 'subscription');
		assert.equal(error.retry, false);
		if (code === 'not_found') assert.equal(error.id, fields.id);
	}
	w.binary(media(100));
	await w.untilAcked(100);
	w.send({ type: 'subscribe', id });
	assert.equal((await w.next('status')).bytes, 100);
	assert.deepEqual(await w.next('subscribed'), { type: 'subscribed', id });
	w.send({ type: 'end', totalBytes: 100 });
	await w.when(() => w.inbox.some((m) => m.type === 'saved') && w.inbox.some((m) => m.phase === 'queued'), 'saved, and told');
});

test('a restart: who subscribes again finds everything as it is', options, async (t) => {
	const own = await startServer(t);
	const w = await wire(t, own);
	const { id } = await w.start({ sessionId: sessionId(), name: 'first' });
	w.binary(media(70_000));
	await w.untilAcked(70_000);
	await api(own, `/api/recordings/${id}`, { method: 'PATCH', body: '{"name": "second"}' });
	const before = await Follower.open(t, own);
	assert.equal(before.states.get(id).name, 'second');
	await own.kill();
	await before.wire.closed;
	await own.start();
	const after = await Follower.open(t, own);
	const state = after.states.get(id);
	assert.equal(state.name, 'second');
	assert.equal(state.bytes, 70_000);
	assert.equal(state.attached, false);
	assert.ok(state.graceLeftMs > 20_000);
	await after.assertIsTheState(own, id);
	await own.stop();
	assert.equal(await after.wire.closed, 1001);
});

test('all of many: the newest hundred first', options, async (t) => {
	const ids = [];
	for (let n = 0; n < 120; n++) {
		const w = await wire(t, server);
		ids.push((await w.start({ sessionId: sessionId() })).id);
		w.send({ type: 'abort' });
		await w.next('aborted');
		await w.close();
	}
	const follower = await Follower.open(t, server);
	assert.equal(follower.count, 100);
	for (const id of ids.slice(-100)) assert.equal(follower.states.get(id)?.phase, 'aborted');
});

test('2,000 takes, one follower: few messages, and nobody forgotten', { timeout: 120_000 }, async (t) => {
	const TAKES = 2000;
	const own = await startServer(t);
	const takes = [];
	for (let n = 0; n < TAKES; n += 100) {
		takes.push(...await Promise.all(Array.from({ length: 100 }, async () => {
			const w = await wire(t, own);
			w.id = (await w.start({ sessionId: sessionId() })).id;
			return w;
		})));
	}
	const follower = await Follower.open(t, own);
	const before = follower.count;
	const piece = media(200);
	const began = Date.now();
	let rounds = 0;
	while (Date.now() - began < 5000) {
		for (const w of takes) w.binary(piece);
		rounds += 1;
		await Promise.all(takes.map((w) => w.untilAcked(rounds * 200, 30_000)));
	}
	const seconds = (Date.now() - began) / 1000;
	const rate = (follower.count - before) / seconds;
	assert.ok(rate <= 250, `${rate} statuses a second`);
	await until(() => takes.every(({ id }) => follower.states.get(id)?.bytes === rounds * 200), 30_000, 'every take\'s last bytes are told');
	t.diagnostic(`${Math.round(rate)} statuses a second while ${TAKES} takes had ${Math.round(rounds / seconds * 10) / 10} acks a second each`);
});

test('a follower that does not read for ten seconds is sent the newest, and not cut off', options, async (t) => {
	const names = Array.from({ length: 16 }, (_, n) => `${n}-`.padEnd(64, 'x'));
	const session = sessionId();
	let id;
	for (const track of names) {
		const w = await wire(t, server);
		({ id } = await w.start({ sessionId: session, track, tracks: names }));
	}
	const follower = await Follower.open(t, server);
	follower.wire.socket.pause();
	const before = follower.count;
	const began = Date.now();
	let renames = 0;
	while (Date.now() - began < 10_000) {
		await Promise.all(Array.from({ length: 8 }, () => http(id, 'PATCH', { name: `${renames++} `.padEnd(200, 'ü') })));
	}
	assert.equal((await http(id, 'PATCH', { name: 'the last' })).status, 200);
	const { most } = server.rss();
	follower.wire.socket.resume();
	await follower.when(id, (s) => s.name === 'the last', 'the newest state');
	assert.equal(follower.wire.socket.readyState, WebSocket.OPEN);
	await follower.assertIsTheState(server, id);
	assert.ok(most < 400e6, `${most} bytes in memory`);
	t.diagnostic(`${renames} changes, ${follower.count - before} statuses`);
});
