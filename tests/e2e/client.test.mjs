// web/client.js against a server that misbehaves in ways that the real one does not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { atEnd, until } from './support/server.mjs';
import { Taker } from './support/taker.mjs';
import { media } from './support/wire.mjs';

const options = { timeout: 30_000 };

/** A server whose `on` functions decide what it says; `got` are the bytes it heard, by their place in the take. */
async function fake(t, on) {
	const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
	await new Promise((resolve) => server.on('listening', resolve));
	atEnd(t, () => {
		for (const socket of server.clients) socket.terminate();
		server.close();
	});
	const state = { url: `http://127.0.0.1:${server.address().port}`, starts: [], ends: [], connections: 0, got: 0, safe: 0, all: [] };
	server.on('connection', (socket) => {
		state.connections += 1;
		const say = (message) => socket.send(JSON.stringify(message));
		state.say = say;
		state.started = (more = {}) => {
			state.got = state.safe;
			say({ type: 'started', id: 'x', bytes: state.safe, heartbeatMs: 200, ...more });
		};
		socket.on('message', (data, binary) => {
			if (binary) {
				state.all.push({ at: state.got, data });
				state.got += data.length;
				on.binary?.(state, data, socket);
				return;
			}
			const message = JSON.parse(data);
			if (message.type === 'start') {
				state.starts.push(message);
				(on.start ?? state.started)(state, message, socket);
			} else {
				state.ends.push(message);
				on.end?.(state, message, socket);
			}
		});
	});
	return state;
}

test('no more than 4 MiB are on the way without an ack', options, async (t) => {
	const server = await fake(t, { start: (state) => state.started({ heartbeatMs: 60_000 }) });
	const taker = new Taker(t, server);
	for (let n = 0; n < 20; n++) taker.push(media(1_000_000, n));
	await until(() => server.got >= 4 * 1024 * 1024, 5000, 'the window is used');
	await new Promise((resolve) => setTimeout(resolve, 300)); // nothing more may come
	assert.ok(server.got <= 4 * 1024 * 1024 + 64 * 1024, `${server.got}`);
	server.say({ type: 'ack', bytes: 2_500_001 });
	await until(() => server.got >= 2_500_001 + 4 * 1024 * 1024, 5000, 'the window moves');
	assert.equal(taker.sender.safe, 2_500_001);
	assert.equal(taker.sender.held, 20_000_000 - 2_500_001);
});

test('an ack inside a piece: a resume goes on at that very byte', options, async (t) => {
	const server = await fake(t, {
		binary: (state, data, socket) => {
			if (state.connections === 1 && state.got === 300_000) {
				state.safe = 123_457;
				state.say({ type: 'ack', bytes: 123_457 });
				setTimeout(() => socket.terminate(), 50);
			}
		},
	});
	const taker = new Taker(t, server);
	taker.push(media(300_000));
	await until(() => server.starts.length === 2 && server.got === 300_000, 10_000, 'sent again');
	assert.equal(server.starts[1].from, 123_457);
	assert.equal(server.starts[1].resume, true);
	assert.equal(server.starts[1].sessionId, server.starts[0].sessionId);
	const bytes = media(300_000);
	for (const { at, data } of server.all) assert.ok(data.equals(bytes.subarray(at, at + data.length)), `at ${at}`);
});

test('silence while an answer is owed makes a new link; silence while none is owed does not', options, async (t) => {
	const server = await fake(t, {});
	const taker = new Taker(t, server);
	await taker.when((sender) => sender.link === 'sending', 5000, 'sending');
	await new Promise((resolve) => setTimeout(resolve, 1000)); // five heartbeats with nothing to say
	assert.equal(server.connections, 1);
	taker.push(media(10));
	await taker.when((sender) => sender.link === 'waiting', 5000, 'waiting');
	assert.equal(taker.sender.reason, 'silence');
	await until(() => server.connections === 2, 5000, 'a new link');
});

test('a server that takes connections and never answers start', { timeout: 60_000 }, async (t) => {
	const server = await fake(t, { start: () => {} });
	const taker = new Taker(t, server);
	await taker.when((sender) => sender.link === 'waiting' && sender.reason === 'timeout', 20_000, 'waiting');
});

for (const [what, reply] of Object.entries({
	'more bytes than were ever recorded': { type: 'started', id: 'x', bytes: 11, heartbeatMs: 1000 },
	'no number of bytes': { type: 'started', id: 'x', heartbeatMs: 1000 },
})) {
	test(`started with ${what} stops`, options, async (t) => {
		const server = await fake(t, { start: (state) => state.say(reply) });
		const taker = new Taker(t, server);
		taker.push(media(10));
		await until(() => taker.sender.link === 'stopped', 5000, 'stopped');
		assert.equal(taker.sender.reason, 'position_conflict');
	});
}

test('a server that lost what it had acked is not sent to as if nothing were', options, async (t) => {
	const server = await fake(t, {
		binary: (state, data, socket) => {
			state.say({ type: 'ack', bytes: state.got });
			setTimeout(() => socket.terminate(), 20); // and then it has nothing any more
		},
	});
	const taker = new Taker(t, server);
	taker.push(media(1000));
	await until(() => taker.sender.link === 'stopped', 5000, 'stopped');
	assert.equal(taker.sender.reason, 'position_conflict');
});

test('retry: false stops, retry: true waits and starts again', options, async (t) => {
	const refused = await fake(t, { start: (state) => state.say({ type: 'error', code: 'taken_over', message: 'm', retry: false }) });
	const first = new Taker(t, refused);
	await until(() => first.sender.link === 'stopped', 5000, 'stopped');
	assert.equal(first.sender.reason, 'taken_over');
	assert.equal(first.sender.message, 'm');
	const busy = await fake(t, { start: (state) => {
		if (state.starts.length < 3) state.say({ type: 'error', code: 'shutting_down', message: 'm', retry: true });
		else state.started();
	} });
	const second = new Taker(t, busy);
	await second.when((sender) => sender.link === 'waiting' && sender.reason === 'shutting_down', 5000, 'waiting');
	await second.when((sender) => sender.link === 'sending', 10_000, 'sending');
	assert.equal(busy.starts.length, 3);
});

test('an ack of bytes that were never sent makes a new link', options, async (t) => {
	const server = await fake(t, { binary: (state) => state.connections === 1 && state.say({ type: 'ack', bytes: 10_000 }) });
	const taker = new Taker(t, server);
	taker.push(media(100));
	await until(() => server.connections === 2, 5000, 'a new link');
	assert.equal(taker.sender.safe, 0);
});

test('end goes behind the last byte, and again after a resume', options, async (t) => {
	const server = await fake(t, {
		end: (state, message, socket) => {
			assert.equal(state.got, message.totalBytes);
			if (state.connections === 1) socket.terminate();
			else state.say({ type: 'saved', id: 'x', bytes: state.got, sha256: '', url: '/x' });
		},
	});
	const taker = new Taker(t, server);
	taker.push(media(500_000));
	taker.sender.end();
	await taker.when((sender) => sender.link === 'saved', 10_000, 'saved');
	assert.equal(server.ends.length, 2);
	assert.throws(() => taker.sender.push(media(1)), /ended/);
});
