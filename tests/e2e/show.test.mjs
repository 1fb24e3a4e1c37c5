// Shows on the wire: on air by `start`, one recording over lost links, versions, hosts, stops.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { diskOrSkip } from './support/disk.mjs';
import { sharedServer, startServer, until } from './support/server.mjs';
import { holdfast, mint, stranger } from './support/tokens.mjs';
import { api, assertOriginal, hostWire, isSealed, media, recording, sessionId, sha256, wire, WebSocket } from './support/wire.mjs';

const GRACE_MS = 1500;
const server = sharedServer({ args: ['--grace', `${GRACE_MS}ms`] });
const options = { timeout: 60_000 };
let shows = 0;
const show = () => `show-${++shows}`;

const ended = (at, id) => until(async () => {
	const state = await recording(at, id);
	return isSealed(state) && state;
}, 10_000, 'sealed');

test('a show is on air and recorded from its first byte', options, async (t) => {
	const name = show();
	const follower = await wire(t, server);
	follower.send({ type: 'subscribe', show: name });
	const off = await follower.next('status');
	assert.deepEqual([off.of, off.show, off.state, off.version, off.id], ['show', name, 'off', 0, null]);
	assert.equal((await follower.next('subscribed')).show, name);

	const host = await hostWire(t, server);
	const started = await host.start({ show: name, sessionId: sessionId(), mime: 'audio/webm', name: 'Morning' });
	assert.deepEqual([started.show, started.version, started.bytes, started.resumed], [name, 1, 0, false]);
	const live = await follower.next('status');
	assert.deepEqual([live.state, live.version, live.id, live.recording, live.name], ['live', 1, started.id, 'recording', 'Morning']);
	host.binary(media(1000));
	await host.untilAcked(1000);
	host.send({ type: 'end', totalBytes: 1000 });
	await host.next('saved');
	const over = await until(async () => { const s = await follower.next('status'); return s.state === 'off' && s; }, 5000, 'off');
	assert.deepEqual([over.version, over.id], [1, started.id]);
	const state = await ended(server, started.id);
	assert.deepEqual([state.show, state.version, state.interrupted], [name, 1, false]);
	await assertOriginal(server, started.id, media(1000));
});

test('a lost link goes on in the same recording, with and without a name for the take', options, async (t) => {
	for (const session of [sessionId(), undefined]) {
		const name = show();
		const first = await hostWire(t, server);
		const { id } = await first.start({ show: name, sessionId: session });
		first.binary(media(1000).subarray(0, 400));
		await first.untilAcked(400);
		await first.cut();
		const again = await hostWire(t, server);
		const started = await again.start({ show: name, sessionId: session, from: 400 });
		assert.deepEqual([started.id, started.version, started.bytes, started.resumed], [id, 1, 400, true]);
		again.binary(media(1000).subarray(400));
		await again.untilAcked(1000);
		again.send({ type: 'stop' });
		const stopped = await again.next('stopped');
		assert.deepEqual([stopped.show, stopped.version, stopped.id], [name, 1, id]);
		assert.equal((await ended(server, id)).revision, 1);
		await assertOriginal(server, id, media(1000));
	}
});

test('grace ends a show; the same take goes on with its version, another gets the next', options, async (t) => {
	const name = show(), session = sessionId();
	const first = await hostWire(t, server);
	const { id } = await first.start({ show: name, sessionId: session });
	first.binary(media(1000).subarray(0, 400));
	await first.untilAcked(400);
	await first.cut();
	const sealed = await ended(server, id);
	assert.equal(sealed.interrupted, true);
	const late = await hostWire(t, server);
	const started = await late.start({ show: name, sessionId: session, from: 400 });
	assert.deepEqual([started.id, started.version, started.bytes], [id, 1, 400]);
	late.binary(media(1000).subarray(400));
	await late.untilAcked(1000);
	const other = await hostWire(t, server);
	const next = await other.start({ show: name, sessionId: sessionId() });
	assert.deepEqual([next.version, next.bytes, next.resumed], [2, 0, false]);
	assert.notEqual(next.id, id);
	assert.equal((await late.next('error')).code, 'taken_over');
	assert.equal((await ended(server, id)).revision, 2);
	await assertOriginal(server, id, media(1000));
});

test('a restart gives a show its grace, and the host goes on', options, async (t) => {
	const own = await startServer(t, { args: ['--grace', `${GRACE_MS}ms`] });
	const name = show(), session = sessionId();
	const host = await hostWire(t, own);
	const { id } = await host.start({ show: name, sessionId: session });
	host.binary(media(1000).subarray(0, 400));
	await host.untilAcked(400);
	await own.kill();
	await own.start();
	const follower = await wire(t, own);
	follower.send({ type: 'subscribe', show: name });
	const waiting = await follower.next('status');
	assert.deepEqual([waiting.state, waiting.version, waiting.recording], ['waiting', 1, 'recording']);
	const again = await hostWire(t, own);
	const started = await again.start({ show: name, sessionId: session, from: 400 });
	assert.deepEqual([started.id, started.version, started.bytes], [id, 1, 400]);
	again.binary(media(1000).subarray(400));
	await again.untilAcked(1000);
	await again.cut();
	const sealed = await ended(own, id);
	assert.deepEqual([sealed.interrupted, sealed.revision], [true, 1]);
	await assertOriginal(own, id, media(1000));
});

test('a stop over HTTP ends a show whose host goes on sending', options, async (t) => {
	const name = show();
	const host = await hostWire(t, server);
	const { id } = await host.start({ show: name, sessionId: sessionId() });
	const timer = setInterval(() => host.binary(media(2000)), 5);
	t.after(() => clearInterval(timer));
	await host.untilAcked(20_000);
	const answers = await Promise.all([1, 2, 3].map(() => api(server, `/api/shows/${name}/stop`, { method: 'POST' })));
	for (const { status, body } of answers) assert.deepEqual([status, body.stopped], [200, { show: name, version: 1, id }]);
	const saved = await host.next('saved');
	assert.ok(saved.bytes >= 20_000);
	assert.deepEqual(host.inbox, []);
	assert.equal((await ended(server, id)).revision, 1);
	const again = await api(server, '/api/stream/stop', { method: 'POST' });
	assert.deepEqual([again.status, again.body], [200, { stopped: null }]);
	const never = await api(server, `/api/shows/${show()}/stop`, { method: 'POST' });
	assert.deepEqual([never.status, never.body], [200, { stopped: null }]);
	const off = await api(server, `/api/shows/${name}`);
	assert.deepEqual([off.body.state, off.body.version, off.body.id], ['off', 1, id]);
	const versions = await api(server, `/api/recordings?show=${name}`);
	assert.deepEqual(versions.body.items.map((item) => [item.id, item.version]), [[id, 1]]);
});

test('names of shows are judged, and a show is one stream', options, async (t) => {
	for (const bad of ['', 'a b', '../x', '.', 'ä', 'x'.repeat(101)]) {
		const w = await wire(t, server);
		w.send({ type: 'start', show: bad, sessionId: sessionId() });
		assert.equal((await w.next('error')).code, 'bad_field', bad);
	}
	const w = await wire(t, server);
	w.send({ type: 'start', show: show(), track: 'video', sessionId: sessionId() });
	assert.equal((await w.next('error')).code, 'bad_field');
	w.send({ type: 'stop' });
	assert.equal((await w.next('error')).code, 'no_session');
});

test('/ws/stream is on air by its query', options, async (t) => {
	const name = show();
	const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws/stream?show_id=${name}&mime=audio%2Fmpeg&name=Night`);
	t.after(() => socket.terminate());
	const inbox = [];
	socket.on('message', (data) => inbox.push(JSON.parse(data)));
	const heard = (type) => until(() => inbox.find((m) => m.type === type), 5000, type);
	const started = await heard('started');
	assert.deepEqual([started.show, started.version, started.bytes, started.sessionId], [name, 1, 0, null]);
	socket.send(media(500));
	await until(() => inbox.some((m) => m.type === 'ack' && m.bytes === 500), 5000, 'acked');
	const state = await recording(server, started.id);
	assert.deepEqual([state.name, state.mime, state.bytes, state.show], ['Night', 'audio/mpeg', 500, name]);
	socket.send(JSON.stringify({ type: 'stop' }));
	assert.equal((await heard('stopped')).id, started.id);
	const bad = new WebSocket(`${server.url.replace('http', 'ws')}/ws/stream`);
	const [, response] = await new Promise((resolve) => bad.on('unexpected-response', (...all) => resolve(all)));
	assert.equal(response.statusCode, 400);
	bad.on('error', () => {});
	bad.terminate();
});

test('a full disk fails the version, not the show; the next version begins when there is space', { timeout: 120_000 }, async (t) => {
	const disk = diskOrSkip(t, 500);
	if (!disk) return;
	const ballast = join(disk.path, 'ballast');
	const own = await startServer(t, { dataDir: join(disk.path, 'data'), args: ['--grace', '2s'] });
	const free = Number(execFileSync('df', ['--output=avail', '-B1', disk.path]).toString().split('\n')[1]);
	execFileSync('fallocate', ['-l', String(free - 60_000_000), ballast]);
	const name = show(), session = sessionId();
	const host = await hostWire(t, own);
	const first = await host.start({ show: name, sessionId: session });
	const sent = [];
	let position = 0;
	const push = (bytes) => {
		const piece = media(bytes, sent.length + 1);
		sent.push(piece);
		position += bytes;
		host.binary(piece);
	};
	const timer = setInterval(() => push(500_000), 10);
	t.after(() => clearInterval(timer));
	const failed = await until(() => host.statuses.find((s) => s.recording === 'recording_failed'), 30_000, 'recording_failed');
	assert.deepEqual([failed.state, failed.version, failed.error.code], ['live', 1, 'storage_full']);
	const events = await fetch(`${own.url}/api/events?after=0`);
	let told = '';
	for await (const piece of events.body) {
		told += Buffer.from(piece).toString();
		if (told.includes('show.recording_failed')) break;
	}
	assert.match(told, new RegExp(`event: show.live\\ndata: .*"id":"${first.id}","phase":"uploading",.*"show":"${name}","version":1}`));
	assert.match(told, /event: recording.failed\n/);
	assert.match(own.output, / error recording_failed .*code=storage_full/);
	const state = await until(async () => { const s = await recording(own, first.id); return s.phase === 'error' && s; }, 5000, 'error');
	assert.deepEqual([state.error.code, state.version], ['storage_full', 1]);
	clearInterval(timer);
	const slow = setInterval(() => push(50_000), 100);
	t.after(() => clearInterval(slow));
	rmSync(ballast);
	const moved = await host.next('moved', 30_000);
	assert.deepEqual([moved.show, moved.version], [name, 2]);
	assert.ok(moved.from > host.acked, `${moved.from} ${host.acked}`);
	await until(() => host.acked > moved.from + 500_000, 10_000, 'acks go on');
	clearInterval(slow);
	host.send({ type: 'end', totalBytes: position });
	const saved = await host.next('saved', 10_000);
	assert.deepEqual([saved.id, saved.bytes], [moved.id, position]);
	const all = Buffer.concat(sent);
	const second = await recording(own, moved.id);
	assert.equal(second.sha256, sha256(all.subarray(moved.from)));
	assert.deepEqual([second.version, second.sessionId], [2, null]);
	const before = await recording(own, first.id);
	await assertOriginal(own, first.id, all.subarray(0, before.bytes));
	assert.ok(before.bytes >= 1_000_000);
});

test('a catalog that is made again from the folders knows versions', options, async (t) => {
	const own = await startServer(t, { args: ['--grace', '1s'] });
	const host = await hostWire(t, own);
	const { id } = await host.start({ show: 'morning', sessionId: sessionId() });
	host.binary(media(1000));
	await host.untilAcked(1000);
	host.send({ type: 'stop' });
	await host.next('stopped');
	await own.stop();
	rmSync(join(own.dataDir, 'catalog.db'));
	const made = holdfast('verify', '--data', own.dataDir, '--rebuild');
	assert.equal(made.status, 0, made.stderr + made.stdout);
	await own.start();
	const state = await recording(own, id);
	assert.deepEqual([state.show, state.version, state.bytes], ['morning', 1, 1000]);
	const next = await hostWire(t, own);
	assert.equal((await next.start({ show: 'morning', sessionId: sessionId() })).version, 2);
});

test('those who only follow leave room for hosts, however many shows they name', options, async (t) => {
	const own = await startServer(t);
	const answers = await Promise.all(Array.from({ length: 9 }, async (_, n) => {
		const follower = await hostWire(t, own);
		for (let i = 0; i < 40; i++) follower.send({ type: 'subscribe', show: `none-${n}-${i}` });
		await until(() => follower.inbox.length === 40, 10_000, 'answers');
		return follower.inbox.map(({ type, code }) => code ?? type);
	}));
	const count = (what) => answers.flat().filter((one) => one === what).length;
	assert.equal(count('subscribed') + count('busy') + count('limit_exceeded'), 360);
	for (const one of answers) assert.ok(one.filter((what) => what === 'subscribed').length <= 32);
	assert.ok(count('subscribed') >= 100 && count('busy') > 0, `${count('subscribed')} ${count('busy')}`);
	const host = await hostWire(t, own);
	assert.equal((await host.start({ show: 'morning', sessionId: sessionId() })).version, 1);
});

test('who is not the host is refused, or takes over as the next version; listening has its own scope', options, async (t) => {
	for (const takeover of [false, true]) {
		const own = await startServer(t, { args: ['--grace', '2s', ...(takeover ? ['--takeover'] : [])] });
		const anna = mint(own, 'record').token, bert = mint(own, 'record').token, ear = mint(own, 'listen').token;
		const far = { headers: { host: 'studio.example' } };
		const host = await hostWire(t, own, far);
		const first = await host.start({ show: 'morning', sessionId: sessionId(), token: anna });
		host.binary(media(1000));
		await host.untilAcked(1000);
		const other = await hostWire(t, own, far);
		other.send({ type: 'start', show: 'morning', token: bert });
		if (takeover) {
			const second = await other.next('started');
			assert.deepEqual([second.version, second.bytes], [2, 0]);
			assert.equal((await host.next('error')).code, 'taken_over');
			other.binary(media(500, 9));
			await other.untilAcked(500);
			assert.equal((await recording(own, second.id)).bytes, 500);
		} else {
			assert.deepEqual(await other.next('error').then(({ code, retry }) => [code, retry]), ['show_on_air', false]);
			host.binary(media(1000));
			await host.untilAcked(2000);
		}
		assert.equal((await recording(own, first.id)).bytes, takeover ? 1000 : 2000);
		const head = (token) => stranger(own, '/live/morning', token ? `Authorization: Bearer ${token}\r\n` : '', 'HEAD');
		assert.equal((await head()).status, 401);
		assert.equal((await head(ear)).status, 200);
		const stop = (token) => stranger(own, '/api/shows/morning/stop', `Authorization: Bearer ${token}\r\n`, 'POST');
		assert.equal((await stop(ear)).status, 403);
		assert.equal((await stop(takeover ? anna : bert)).status, 403);
		assert.equal((await stop(takeover ? bert : anna)).status, 200);
	}
});
