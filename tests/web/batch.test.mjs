// web/client/batch.js: slices up front, again after a lost link, and each item once; refusals of a slice, of an item, of all.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { slicesOf } from '../../web/client/batch.js';
import { filesServer } from './support/files.mjs';

const options = { timeout: 30_000 };
const items = (n, from = 0) => Array.from({ length: n }, (_, i) => ({ key: `k${from + i}`, name: `Item ${from + i}`, bytes: 10 }));
const reached = (batch, check) => new Promise((resolve) => {
	const timer = setInterval(() => {
		if (!check(batch.view)) return;
		clearInterval(timer);
		resolve();
	}, 5);
});

test('slices: a hundred items, and no message beyond what the server reads', () => {
	assert.deepEqual(slicesOf(items(250)).map((slice) => slice.length), [100, 100, 50]);
	const large = slicesOf(Array.from({ length: 100 }, (_, i) => ({ key: `k${i}`, meta: 'ü'.repeat(2000) })));
	assert.equal(large.flat().length, 100);
	for (const slice of large) assert.ok(Buffer.byteLength(JSON.stringify(slice)) < 250_000);
	assert.deepEqual(slicesOf([]), []);
});

test('items are added once, acknowledged in their order, and followed', options, async (t) => {
	const { server, client } = await filesServer(t);
	const heard = new Map();
	const batch = client.batch('b1', { total: 250, name: 'Mine', onItem: (one) => heard.set(one.id, one) });
	const acks = await batch.add(items(250));
	assert.deepEqual(acks.map(({ key }) => key), items(250).map(({ key }) => key));
	assert.ok(acks.every(({ isNew, status, id }) => isNew && status === 'uploading' && id));
	const again = await batch.add(items(2));
	assert.deepEqual(again.map(({ isNew, id }) => [isNew, id]), [[false, acks[0].id], [false, acks[1].id]]);
	await reached(batch, ({ link, batch: object }) => link === 'live' && object.items === 250);
	assert.equal(batch.view.batch.name, 'Mine');
	server.put({ ...server.takes.get(acks[3].id), phase: 'complete' });
	await reached(batch, ({ batch: object }) => object.counts.complete === 1);
	assert.equal(heard.get(acks[3].id).phase, 'complete');
	assert.equal(batch.view.unsent, 0);
	const listed = [];
	for await (const one of batch.items()) listed.push(one.key);
	assert.equal(listed.length, 250);
});

test('a link that is lost after the work and before the acks: sent again, each item once', options, async (t) => {
	const { server, client } = await filesServer(t);
	server.batches.cutAcks = 1;
	const batch = client.batch('b1');
	let lives = 0;
	const acks = await batch.add(items(300));
	assert.equal(acks.length, 300);
	assert.equal(server.takes.size, 300);
	assert.ok(server.batches.heard.length >= 5, 'what was not acknowledged came again');
	assert.ok(acks.some(({ isNew }) => !isNew) && acks.every(({ id }) => id));
	const follower = client.batch('b1', { existing: true, onLive: () => lives++ });
	await reached(follower, ({ link }) => link === 'live');
	await server.stop();
	await reached(follower, ({ link }) => link === 'waiting');
	await server.listen();
	client.reconnect();
	await reached(follower, () => lives === 2);
	follower.close();
});

test('a server that is not there yet: the batch is made, and its items are sent, when it is', options, async (t) => {
	const { server, client } = await filesServer(t);
	await server.stop();
	const batch = client.batch('b1');
	const adding = batch.add(items(3));
	await reached(batch, ({ link, unsent }) => link === 'waiting' && unsent === 3);
	await server.listen();
	assert.equal((await adding).length, 3);
});

test('too many new items for now: the slice is sent again; the link stays', options, async (t) => {
	const { server, client } = await filesServer(t);
	const batch = client.batch('b1');
	await reached(batch, ({ link }) => link === 'live');
	server.batches.refuse.set('slice', [429, 'rate_limited', 'Too many.']);
	const adding = batch.add(items(3));
	await reached(batch, ({ reason }) => reason === 'rate_limited');
	assert.equal(batch.view.link, 'live');
	server.batches.refuse.clear();
	assert.equal((await adding).length, 3);
	assert.equal(batch.view.reason, null);
});

test('a refused slice names each of its items; one refused item only itself', options, async (t) => {
	const { server, client } = await filesServer(t);
	const batch = client.batch('b1');
	server.batches.refuseItem = ({ key }) => (key === 'k1' ? { code: 'url_refused', message: 'No.' } : null);
	const acks = await batch.add(items(3));
	assert.deepEqual(acks.map(({ error }) => error?.code), [undefined, 'url_refused', undefined]);
	server.batches.refuse.set('slice', [403, 'forbidden_scope', 'Not for you.']);
	const refused = await batch.add(items(2, 10));
	assert.deepEqual(refused.map(({ key, id, error }) => [key, id, error.code]), [['k10', null, 'forbidden_scope'], ['k11', null, 'forbidden_scope']]);
	assert.equal(batch.view.link, 'live');
});

test('a batch that is not there stops; a closed one lets go of what waits', options, async (t) => {
	const { client } = await filesServer(t);
	const nothing = client.batch('nothing', { existing: true });
	await reached(nothing, ({ link, reason }) => link === 'stopped' && reason === 'not_found');
	const adding = nothing.add(items(1));
	nothing.close();
	assert.equal((await adding)[0].error.code, 'released');
	await assert.rejects(nothing.add(items(1)), { code: 'released' });
});
