// GET /api/events: every change of phase, once, in order, from where the client was on.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import net from 'node:net';
import { test } from 'node:test';
import { atEnd, sharedServer, startServer, until, within } from './support/server.mjs';
import { as, mint, take, token } from './support/tokens.mjs';
import { api, media, sessionId, wire } from './support/wire.mjs';

const options = { timeout: 60_000 };
const env = { HOLDFAST_WORKERS: '0' };
const server = sharedServer({ env });

/** A stream of events as it comes. */
class Stream {
	events = [];
	comments = 0;
	closed = false;
	#waiters = new Set();

	async open(t, on, path, headers) {
		this.controller = new AbortController();
		atEnd(t, () => this.close());
		this.response = await fetch(on.url + path, { headers, signal: this.controller.signal });
		this.status = this.response.status;
		if (this.status === 200) this.#read().catch(() => {}).finally(() => {
			this.closed = true;
			for (const waiter of this.#waiters) waiter();
		});
		return this;
	}

	async #read() {
		let text = '';
		for await (const piece of this.response.body.pipeThrough(new TextDecoderStream())) {
			text += piece;
			for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) this.#block(text.slice(0, end));
			for (const waiter of this.#waiters) waiter();
		}
	}

	#block(block) {
		const event = {};
		for (const line of block.split('\n')) {
			const at = line.indexOf(':');
			if (at === 0) this.comments++;
			else event[line.slice(0, at)] = line.slice(at + 1).replace(/^ /, '');
		}
		if (event.data) this.events.push({ id: event.id && Number(event.id), event: event.event, ...JSON.parse(event.data) });
	}

	when(check, what, ms = 10_000) {
		return within(new Promise((resolve) => {
			const waiter = () => {
				if (check()) resolve(this.#waiters.delete(waiter));
			};
			this.#waiters.add(waiter);
			waiter();
		}), ms, what);
	}

	close() {
		this.controller.abort();
	}
}

const stream = (t, path = '/api/events', headers = {}, on = server) => new Stream().open(t, on, path, headers);
const phases = (s) => s.events.map(({ event, phase }) => [event, phase]);

async function aborted(t, on = server) {
	const w = await wire(t, on);
	const { id } = await w.start({ sessionId: sessionId() });
	w.send({ type: 'abort' });
	await w.next('aborted');
	await w.close();
	return id;
}

test('every change of phase, as it happens', options, async (t) => {
	await aborted(t); // before: not told
	const s = await stream(t);
	assert.equal(s.status, 200);
	assert.match(s.response.headers.get('content-type'), /^text\/event-stream/);
	assert.equal(s.response.headers.get('cache-control'), 'no-store');
	const { id } = await take(t, server, media(1000));
	await s.when(() => s.events.length === 1, 'the seal');
	const [event] = s.events;
	assert.deepEqual({ ...event, at: undefined },
		{ id, event: 'recording.phase', phase: 'queued', revision: 1, at: undefined, type: 'recording.phase' });
	assert.ok(Math.abs(event.at - Date.now()) < 60_000);
	await api(server, `/api/recordings/${id}`, { method: 'DELETE' });
	await s.when(() => s.events.length === 2, 'the deletion');
	assert.deepEqual(phases(s)[1], ['recording.deleted', 'deleted']);
});

test('goes on behind the event that the client had, over a restart too', options, async (t) => {
	const own = await startServer(t, { env });
	const ids = [await aborted(t, own), await aborted(t, own), await aborted(t, own)];
	const all = await stream(t, '/api/events?after=0', {}, own);
	await all.when(() => all.events.length === 3, 'all of them');
	assert.deepEqual(all.events.map((event) => event.id), ids);
	all.close();
	await own.kill();
	await own.start();
	const seqs = [];
	for (const path of ['/api/events?after=0']) {
		const text = await firstBytes(own, path, (got) => got.split('\nid: ').length > 3);
		seqs.push(...[...text.matchAll(/^id: (\d+)$/gm)].map(([, seq]) => Number(seq)));
	}
	assert.equal(seqs.length, 3);
	for (const [path, headers] of [[`/api/events?after=${seqs[0]}`, {}], ['/api/events', { 'last-event-id': String(seqs[0]) }],
		['/api/events?after=0', { 'last-event-id': String(seqs[0]) }]]) {
		const rest = await stream(t, path, headers, own);
		await rest.when(() => rest.events.length === 2, 'the rest');
		assert.deepEqual(rest.events.map((event) => event.id), ids.slice(1));
		rest.close();
	}
	const ahead = await stream(t, '/api/events?after=4000', {}, own);
	await ahead.when(() => ahead.events.length === 1, 'that there is no such event');
	assert.deepEqual(ahead.events[0], { id: undefined, event: 'missed', after: 4000, first: seqs[0] });
	const next = await aborted(t, own);
	await ahead.when(() => ahead.events.length === 2, 'what comes then');
	assert.equal(ahead.events[1].id, next);
});

/** What the socket says until `check`. */
function firstBytes(on, path, check) {
	return within(new Promise((resolve, reject) => {
		let got = '';
		const socket = net.connect(on.port, '127.0.0.1', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`));
		socket.on('data', (data) => {
			got += data;
			if (!check(got)) return;
			socket.destroy();
			resolve(got);
		});
		socket.on('error', reject);
	}), 10_000, path);
}

test('many at once come in pages, each once and in order', options, async (t) => {
	const own = await startServer(t, { env });
	const live = await stream(t, '/api/events', {}, own);
	const w = await wire(t, own);
	for (let i = 0; i < 350; i++) {
		await w.start({ sessionId: randomUUID() });
		w.send({ type: 'abort' });
		await w.next('aborted');
	}
	await live.when(() => live.events.length === 350, 'all live');
	const later = await stream(t, '/api/events?after=0', {}, own);
	await later.when(() => later.events.length >= 350, 'all later');
	assert.deepEqual(later.events, live.events);
	assert.equal(new Set(later.events.map((event) => event.id)).size, 350);
});

test('who hears of what', options, async (t) => {
	const phone = mint(server, 'record'), desk = mint(server, 'play'), other = mint(server, 'listen');
	const own = await stream(t, '/api/events', as(phone.token).headers);
	const all = await stream(t, '/api/events', as(desk.token).headers);
	assert.equal((await stream(t, '/api/events', as(other.token).headers)).status, 403);
	assert.equal((await stream(t, '/api/events', as('hf1.x.y').headers)).status, 401);
	await take(t, server, media(10));
	const { id } = await take(t, server, media(10), { token: phone.token });
	await all.when(() => all.events.length === 2, 'both');
	await own.when(() => own.events.length === 1, 'its own');
	assert.equal(own.events[0].id, id);
	assert.equal(all.events[1].id, id);
});

test('a token that is revoked ends its stream', options, async (t) => {
	const desk = mint(server, 'play');
	const s = await stream(t, '/api/events', as(desk.token).headers);
	assert.equal(s.status, 200);
	assert.equal(token(server, 'revoke', desk.id).status, 0);
	await s.when(() => s.closed, 'the end');
});

test('what is no place in the stream', options, async () => {
	for (const after of ['x', '-1', '1.5', '1e3', '9'.repeat(19), '+1', ' 1'])
		assert.equal((await api(server, `/api/events?after=${encodeURIComponent(after)}`)).status, 400, after);
	assert.equal((await api(server, '/api/events', { headers: { 'last-event-id': 'x' } })).status, 400);
	assert.equal((await api(server, '/api/events', { method: 'POST' })).status, 405);
	const head = await api(server, '/api/events', { method: 'HEAD' });
	assert.equal(head.status, 200);
	assert.match(head.headers.get('content-type'), /event-stream/);
});

test('so many streams and no more; one that leaves makes room', options, async (t) => {
	const own = await startServer(t, { env });
	const streams = [];
	for (let i = 0; i < 64; i++) streams.push(await stream(t, '/api/events', {}, own));
	assert.ok(streams.every((s) => s.status === 200));
	const refused = await api(own, '/api/events');
	assert.equal(refused.status, 429);
	assert.equal(refused.body.code, 'limit_exceeded');
	streams[7].close();
	await until(async () => (await stream(t, '/api/events', {}, own)).status === 200, 10_000, 'room');
	const id = await aborted(t, own);
	await Promise.all(streams.filter((s) => s !== streams[7]).map((s) => s.when(() => s.events.length === 1, 'the event')));
	assert.equal(streams[0].events[0].id, id);
	await own.stop();
	await streams[0].when(() => streams[0].closed, 'the end');
});

test('says that it is there when nothing happens', options, async (t) => {
	const s = await stream(t);
	await s.when(() => s.comments > 0, 'a comment', 20_000);
	assert.deepEqual(s.events, []);
});

test('one that reads nothing holds nothing up, and gets it all when it reads', options, async (t) => {
	const own = await startServer(t, { env });
	const socket = net.connect({ port: own.port, host: '127.0.0.1' });
	atEnd(t, () => socket.destroy());
	socket.write('GET /api/events?after=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
	socket.pause();
	const w = await wire(t, own);
	for (let i = 0; i < 300; i++) {
		await w.start({ sessionId: randomUUID() });
		w.send({ type: 'abort' });
		await w.next('aborted');
	}
	let got = '';
	socket.on('data', (data) => {
		got += data;
	});
	socket.resume();
	await until(() => [...got.matchAll(/^id: /gm)].length === 300, 10_000, 'all of them');
	socket.write('whatever comes in is of no interest');
	await aborted(t, own);
	await until(() => [...got.matchAll(/^id: /gm)].length === 301, 10_000, 'one more');
});
