// Batches: slices sent up front and again after a lost link, each item once, one end; over the raw protocol against the
// real server and a source of its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startServer, until } from './support/server.mjs';
import { bytesOf, file, startSource } from './support/source.mjs';
import { as, json, mint } from './support/tokens.mjs';
import { api, media, wire } from './support/wire.mjs';

const OPEN = ['--fetch-allow', '127.0.0.0/8', '--fetch-http'];
const options = { timeout: 120_000 };

const create = (server, body, more) => api(server, '/api/batches', json('POST', body, more));
const batch = async (server, id, more) => (await api(server, `/api/batches/${encodeURIComponent(id)}`, more)).body;
const list = async (server, query) => (await api(server, `/api/recordings?${query}`)).body;
const keys = (from, count) => Array.from({ length: count }, (_, i) => `k${from + i}`);
const slice = (batchId, n, items) => ({ type: 'slice', batchId, sliceId: `s${n}`, items });

/** The answer to a slice: its ack, or an error that names it. */
const answer = (w, sliceId, ms) => w.when(() => {
	const at = w.inbox.findIndex((m) => m.sliceId === sliceId);
	return at < 0 ? undefined : w.inbox.splice(at, 1)[0];
}, `the answer to ${sliceId}`, ms);

async function ask(w, message) {
	w.send(message);
	return answer(w, message.sliceId);
}

/** All events of the outbox, as they stand there. */
async function events(server) {
	const controller = new AbortController();
	const response = await fetch(`${server.url}/api/events?after=0`, { signal: controller.signal });
	const decoder = new TextDecoder();
	let text = '';
	const found = () => [...text.matchAll(/^data: (\{.*\})$/gm)].map((m) => JSON.parse(m[1]));
	try {
		const late = setTimeout(() => controller.abort(), 1000);
		for await (const piece of response.body) text += decoder.decode(piece);
		clearTimeout(late);
	} catch { /* it never ends by itself */ }
	return found();
}

test('made once: the same question has the same answer', options, async (t) => {
	const server = await startServer(t);
	const first = await create(server, { batchId: 'b 1/ü', total: 3, name: 'Kongress' });
	assert.equal(first.status, 201);
	assert.equal((await create(server, { batchId: 'b 1/ü', total: 3, name: 'Kongress' })).status, 200);
	assert.equal((await create(server, { batchId: 'b 1/ü', total: 4, name: 'Kongress' })).status, 409);
	assert.equal((await create(server, { batchId: 'b 1/ü', total: 3 })).status, 409);
	const { body } = first;
	assert.deepEqual([body.id, body.total, body.items, body.ended, body.failed, body.complete, body.completedAt],
		['b 1/ü', 3, 0, 0, 0, false, null]);
	assert.deepEqual(await batch(server, 'b 1/ü'), body);
	for (const wrong of [{}, { batchId: '' }, { batchId: 5 }, { batchId: 'a\nb' }, { batchId: 'x'.repeat(201) }, { batchId: 'x', total: 0 },
		{ batchId: 'x', total: -1 }, { batchId: 'x', total: 1.5 }, { batchId: 'x', total: 1e8 }, { batchId: 'x', name: 7 }])
		assert.equal((await create(server, wrong)).status, 400, JSON.stringify(wrong));
	assert.equal((await api(server, '/api/batches/none')).status, 404);
	await create(server, { batchId: 'second' });
	const all = (await api(server, '/api/batches')).body;
	assert.deepEqual(all.items.map((b) => b.id), ['second', 'b 1/ü']);
	assert.equal(all.next, null);
	assert.equal((await api(server, '/api/batches?before=x')).status, 400);
});

test('slices sent up front, the link cut, the unacked ones again: each item once, fetched once, one end', options, async (t) => {
	const bytes = bytesOf(40_000);
	const source = await startSource(t, file(bytes));
	const server = await startServer(t, { args: OPEN, workers: 2 });
	const SLICES = 12, EACH = 10;
	await create(server, { batchId: 'calls', total: SLICES * EACH });
	const slices = Array.from({ length: SLICES }, (_, n) => slice('calls', n, keys(n * EACH, EACH).map((key) => ({
		key, name: `Call ${key}`, sourceUrl: source.url(`/${key}`), meta: { key, n, half: n / 2 } }))));
	const acks = new Map(), made = new Map();
	const take = (m) => {
		assert.equal(m.type, 'slice_ack', JSON.stringify(m));
		acks.set(m.sliceId, m);
		for (const item of m.items) {
			assert.equal(made.get(item.key) ?? item.id, item.id, 'a key has one recording');
			made.set(item.key, item.id);
		}
	};
	for (let round = 0; acks.size < SLICES; round++) {
		const w = await wire(t, server);
		for (const s of slices) if (!acks.has(s.sliceId)) w.send(s);
		// the first links break with acks on the way, and the server is killed under one of them
		const left = SLICES - acks.size, want = round < 3 ? Math.min(2, left) : left;
		for (let i = 0; i < want; i++) take(await w.next('slice_ack'));
		if (round === 1) {
			await server.kill();
			await server.start();
		} else if (round < 3) {
			await w.cut();
			w.inbox.forEach(take);
		}
	}
	await until(async () => (await batch(server, 'calls')).complete, 60_000, 'all of them').catch(async (error) => {
		throw new Error(`${error.message}\n${JSON.stringify(await batch(server, 'calls'))}\n${server.output}`);
	});
	const state = await batch(server, 'calls');
	assert.equal(state.items, SLICES * EACH);
	assert.equal(state.ended, SLICES * EACH);
	assert.equal(made.size, SLICES * EACH);
	assert.equal(new Set(made.values()).size, SLICES * EACH);
	const asked = new Map();
	for (const { url } of source.asked) asked.set(url, (asked.get(url) ?? 0) + 1);
	assert.equal(asked.size, SLICES * EACH);
	const ended = (await events(server)).filter((e) => e.type === 'batch.completed');
	assert.equal(ended.length, 1);
	assert.deepEqual([ended[0].batch, ended[0].total, ended[0].failed], ['calls', SLICES * EACH, state.failed]);
	// once more, all of it: nothing is new, and each says what it is by now
	const w = await wire(t, server);
	for (const s of slices) w.send(s);
	for (const s of slices) {
		const ack = await answer(w, s.sliceId);
		for (const item of ack.items) {
			assert.equal(item.isNew, false);
			assert.equal(item.id, made.get(item.key));
			assert.ok(['complete', 'error'].includes(item.status), item.status);
		}
	}
	const row = (await api(server, `/api/recordings/${made.get('k15')}`)).body;
	assert.deepEqual([row.batch, row.key, row.meta], ['calls', 'k15', { key: 'k15', n: 1, half: 0.5 }]);
	assert.equal((await events(server)).filter((e) => e.type === 'batch.completed').length, 1);
});

test('an item that differs, and one that is refused, are refused alone', options, async (t) => {
	const server = await startServer(t);
	await create(server, { batchId: 'b' });
	const w = await wire(t, server);
	const first = await ask(w, slice('b', 1, [{ key: 'a', name: 'one', meta: { x: 1, y: [1, 2] } }, { key: 'c' }]));
	assert.deepEqual(first.items.map((i) => [i.key, i.status, i.isNew, i.error]),
		[['a', 'uploading', true, undefined], ['c', 'uploading', true, undefined]]);
	const [{ id }] = first.items;
	const again = await ask(w, slice('b', 2, [{ key: 'a', name: 'two' }, { key: 'c' }, { key: 'd', bytes: -1 }, { key: 'e', sourceUrl: 'http://127.0.0.1/x' },
		{ key: 'f', meta: 'text' }, { key: 'g' }, { key: 'g' }, { key: 'h', ext: '../x' }]));
	assert.deepEqual(again.items.map((i) => [i.key, i.isNew, i.error?.code]), [['a', false, 'item_differs'], ['c', false, undefined],
		['d', false, 'bad_field'], ['e', false, 'url_refused'], ['f', false, 'bad_field'], ['g', true, undefined], ['g', false, undefined],
		['h', false, 'bad_field']]);
	assert.equal(again.items[0].id, id);
	assert.equal(again.items[2].id, null);
	assert.equal((await api(server, `/api/recordings/${id}`)).body.name, 'one');
	// what a person changes since is no difference, nor is the order of an object's members
	await api(server, `/api/recordings/${id}`, json('PATCH', { name: 'by hand' }));
	const same = await ask(w, slice('b', 3, [{ key: 'a', name: 'one', meta: { y: [1, 2], x: 1 } }]));
	assert.equal(same.items[0].error, undefined);
	assert.equal((await api(server, `/api/recordings/${id}`)).body.name, 'by hand');
	await api(server, `/api/recordings/${id}`, { method: 'DELETE' });
	const gone = await ask(w, slice('b', 4, [{ key: 'a', name: 'one' }]));
	assert.deepEqual([gone.items[0].status, gone.items[0].isNew, gone.items[0].error], ['deleted', false, undefined]);
	assert.equal((await batch(server, 'b')).counts.deleted, 1);
	assert.deepEqual((await list(server, 'batch=b')).items.map((r) => r.key), ['g', 'c']);
	assert.deepEqual((await list(server, 'batch=b&phase=error')).items, []);
});

test('a slice that is refused names itself, and leaves the take alone', options, async (t) => {
	const server = await startServer(t);
	await create(server, { batchId: 'three', total: 3 });
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: 'a take' });
	w.binary(media(1000));
	await w.untilAcked(1000);
	const refused = async (message, code) => {
		w.send(message);
		const error = await w.error(code);
		assert.equal(error.of, 'slice');
		assert.equal(error.sliceId, typeof message.sliceId === 'string' ? message.sliceId : undefined);
		return error;
	};
	assert.equal((await refused(slice('nobody\'s', 1, [{ key: 'a' }]), 'not_found')).batchId, 'nobody\'s');
	assert.match((await refused(slice('three', 2, keys(0, 4).map((key) => ({ key }))), 'limit_exceeded')).message, /total/);
	assert.equal((await batch(server, 'three')).items, 0);
	await refused(slice('three', 3, []), 'bad_field');
	await refused(slice('three', 4, keys(0, 101).map((key) => ({ key }))), 'bad_field');
	await refused(slice('three', 5, [{ name: 'no key' }]), 'bad_field');
	await refused(slice('three', 6, [{ key: 'x'.repeat(201) }]), 'bad_field');
	await refused(slice('three', 7, 'text'), 'bad_field');
	await refused({ ...slice('three', 8, [{ key: 'a' }]), sliceId: 5 }, 'bad_field');
	await refused({ ...slice('three', 9, [{ key: 'a' }]), batchId: undefined }, 'bad_field');
	assert.equal((await ask(w, slice('three', 10, keys(0, 3).map((key) => ({ key }))))).type, 'slice_ack');
	w.binary(media(2000).subarray(1000));
	w.send({ type: 'end', totalBytes: 2000 });
	assert.equal((await w.next('saved')).id, id);
});

test('a batch of ten million, and no more', options, async (t) => {
	const server = await startServer(t);
	assert.equal((await create(server, { batchId: 'huge', total: 10_000_000 })).status, 201);
	assert.equal((await create(server, { batchId: 'more', total: 10_000_001 })).status, 400);
	await create(server, { batchId: 'million', total: 1_000_000 });
	const a = await wire(t, server), b = await wire(t, server);
	// two connections at once, half of the slices from both
	const slices = Array.from({ length: 60 }, (_, n) => slice('million', n, keys(n * 100, 100).map((key) => ({ key }))));
	for (const s of slices.slice(0, 40)) a.send(s);
	for (const s of slices.slice(20)) b.send(s);
	const made = [];
	for (const [w, some] of [[a, slices.slice(0, 40)], [b, slices.slice(20)]])
		for (const s of some) made.push(...(await answer(w, s.sliceId, 30_000)).items.filter((i) => i.isNew).map((i) => i.key));
	assert.equal(made.length, 6000);
	assert.equal(new Set(made).size, 6000);
	assert.equal((await batch(server, 'million')).counts.uploading, 6000);
	await server.kill();
	await server.start();
	assert.equal((await batch(server, 'million')).items, 6000);
	const page = await list(server, 'batch=million');
	assert.equal(page.items.length, 100);
	assert.equal((await list(server, `batch=million&before=${page.next}`)).items.length, 100);
});

test('an item is filled by start with its id: it waits for its client, and ends the batch', options, async (t) => {
	const server = await startServer(t, { workers: 2, args: ['--grace', '100ms'] });
	await create(server, { batchId: 'files', total: 2 });
	const w = await wire(t, server);
	const { items } = await ask(w, slice('files', 1, [{ key: 'a', name: 'A file' }, { key: 'b', mime: 'audio/wav' }]));
	const follower = await wire(t, server);
	follower.send({ type: 'subscribe', batchId: 'files' });
	const status = await follower.next('status');
	assert.deepEqual([status.of, status.id, status.items, status.complete], ['batch', 'files', 2, false]);
	assert.deepEqual(await follower.next('subscribed'), { type: 'subscribed', batchId: 'files' });
	follower.statuses = [];
	const [{ id }] = items;
	const started = await w.start({ id, mime: 'text/plain', ext: 'txt', name: 'not this' });
	assert.deepEqual([started.id, started.sessionId, started.bytes], [id, null, 0]);
	w.binary(media(5000));
	await w.untilAcked(5000);
	await w.cut();
	await server.kill();
	await server.start();
	const again = await wire(t, server);
	again.statuses = [];
	again.send({ type: 'subscribe', batchId: 'files' });
	assert.deepEqual(await again.next('subscribed'), { type: 'subscribed', batchId: 'files' });
	// long after its grace: it has none
	await new Promise((resolve) => setTimeout(resolve, 500));
	assert.equal((await api(server, `/api/recordings/${id}`)).body.phase, 'uploading');
	const w2 = await wire(t, server);
	const back = await w2.start({ id });
	assert.equal(back.bytes, 5000);
	w2.binary(media(9000).subarray(5000));
	w2.send({ type: 'end', totalBytes: 9000 });
	assert.equal((await w2.next('saved')).bytes, 9000);
	const row = (await api(server, `/api/recordings/${id}`)).body;
	assert.deepEqual([row.name, row.mime, row.ext], ['A file', 'text/plain', 'txt']);
	const w3 = await wire(t, server);
	await w3.start({ id: items[1].id });
	w3.send({ type: 'abort', reason: 'not wanted' });
	await w3.next('aborted');
	const last = await again.when(() => again.statuses.findLast((m) => m.of === 'batch' && m.complete), 'the end', 30_000);
	assert.deepEqual([last.ended, last.counts.aborted, last.total], [2, 1, 2]);
	assert.ok(again.statuses.some((m) => m.of === 'recording' && m.id === id), 'its items, too');
	const completed = (await events(server)).filter((e) => e.type === 'batch.completed');
	assert.equal(completed.length, 1);
	const w4 = await wire(t, server);
	for (const wrong of ['00000000-0000-7000-8000-000000000000', 'x', 5, null]) {
		w4.send({ type: 'start', id: wrong });
		await w4.error(wrong === '00000000-0000-7000-8000-000000000000' ? 'not_found' : 'bad_field');
	}
});

test('batches are their principal\'s; a rate is for what is new', options, async (t) => {
	const server = await startServer(t, { args: ['--rate', '1:100'] });
	const ann = mint(server, 'record', '--sub', 'ann').token ?? mint(server, 'record', '--sub', 'ann').text;
	const bob = mint(server, 'import', '--sub', 'bob').token;
	await create(server, { batchId: 'b' }, as(ann));
	assert.equal((await api(server, '/api/batches/b', as(bob))).status, 404);
	assert.equal((await create(server, { batchId: 'b', total: 5 }, as(bob))).status, 201);
	assert.equal((await batch(server, 'b')).total, 5, 'who sees all finds the newest where he has none');
	const w = await wire(t, server);
	const by = (token, message) => ({ ...message, token });
	const first = await ask(w, by(ann, slice('b', 1, keys(0, 100).map((key) => ({ key })))));
	assert.equal(first.type, 'slice_ack');
	w.send(by(ann, slice('b', 2, keys(100, 50).map((key) => ({ key })))));
	const limited = await answer(w, 's2');
	assert.equal(limited.code, 'rate_limited');
	assert.equal(limited.retry, true);
	assert.ok(limited.retryAfterMs > 40_000 && limited.retryAfterMs <= 50_000, limited.retryAfterMs);
	assert.equal((await batch(server, 'b', as(ann))).items, 100);
	const again = await ask(w, by(ann, slice('b', 3, keys(0, 100).map((key) => ({ key })))));
	assert.equal(again.type, 'slice_ack', 'what is there costs nothing');
	assert.ok(again.items.every((i) => !i.isNew));
	assert.equal((await ask(w, by(bob, slice('b', 4, [{ key: 'x' }])))).type, 'slice_ack', 'another\'s bucket is another');
	const take = await wire(t, server);
	take.send({ type: 'start', sessionId: 'new', token: ann });
	const refusal = await take.when(() => take.inbox.shift(), 'an answer');
	assert.ok(refusal.type === 'started' || refusal.code === 'rate_limited', JSON.stringify(refusal));
	// the same bucket over HTTP: what is new waits, what is there does not
	const registered = (ref) => api(server, '/api/recordings', json('POST', { sourceUrl: 'https://pbx.example/a.wav', ref, fetch: 'on_demand' }, as(ann)));
	const files = (more) => fetch(`${server.url}/files/`, { method: 'POST', headers: { 'tus-resumable': '1.0.0', ...more, ...as(ann).headers } });
	const drained = async (make) => until(async () => {
		const answer = await make();
		return answer.status === 429 && answer;
	}, 20_000, 'an empty bucket');
	let n = 0;
	const late = await drained(() => registered(`r${n++}`));
	assert.equal(late.body.code, 'rate_limited');
	assert.equal(late.headers.get('retry-after'), '1');
	if (n > 1) assert.equal((await registered('r0')).status, 200, 'what is there costs nothing');
	const file = await drained(() => files({ 'upload-length': '5' }));
	assert.equal(file.headers.get('retry-after'), '1');
	assert.equal(file.headers.get('tus-resumable'), '1.0.0');
	assert.equal((await file.json()).code, 'rate_limited');
	assert.equal((await files({ 'upload-length': '5', 'upload-concat': 'partial' })).status, 201, 'no recording');
	assert.equal((await until(async () => {
		const answer = await files({ 'upload-length': '5' });
		return answer.status === 201 && answer;
	}, 5000, 'a token')).status, 201);
	for (let i = 0; i < 150; i++) assert.equal((await ask(w, slice('none', i, [{ key: 'a' }]))).code, 'not_found', 'local has no limit');
});
