// web/client/upload.js and sources.js: files by tus, over links that break, and answers that are no success.
import assert from 'node:assert/strict';
import { File } from 'node:buffer'; // Node 18 has it there only
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { metadataOf } from '../../web/client/upload.js';
import { sourceOf } from '../../web/client/sources.js';
import { filesServer } from './support/files.mjs';

const options = { timeout: 30_000 };

/** localStorage, of one visit after another. */
function storage() {
	const all = new Map();
	return { all, getItem: (name) => all.get(name) ?? null, setItem: (name, value) => all.set(name, value), removeItem: (name) => all.delete(name) };
}

const file = (data, name = 'a.webm') => new File([data], name, { type: 'video/webm', lastModified: 7 });

test('a file arrives whole, in pieces whose answers are its progress', options, async (t) => {
	const { server, client } = await filesServer(t);
	const data = randomBytes(5_000_000);
	const upload = client.upload(file(data));
	const told = [];
	upload.onState(({ bytes }) => told.push(bytes));
	const state = await upload.whenDone();
	assert.deepEqual([state.link, state.bytes, state.size], ['saved', data.length, data.length]);
	assert.ok(server.batches.dataOf(state.id).equals(data));
	assert.ok(told.length > 3 && told.every((bytes, i) => i === 0 || bytes >= told[i - 1]), `${told}`);
});

test('a link that breaks in every piece: what came is kept, and nothing is sent twice', options, async (t) => {
	const { server, client } = await filesServer(t);
	const data = randomBytes(1_000_000);
	server.batches.cutAfter = 60_001;
	const state = await client.upload(file(data)).whenDone();
	assert.equal(state.link, 'saved');
	assert.ok(server.batches.dataOf(state.id).equals(data));
	assert.ok(server.asked.filter((method) => method === 'HEAD').length >= 9);
});

test('another visit goes on with the same file, after the server was away; another file does not', options, async (t) => {
	const uploads = storage();
	const { server, client } = await filesServer(t, { uploads });
	const data = randomBytes(3_000_000);
	server.batches.cutAfter = 400_000;
	const first = client.upload(file(data));
	await new Promise((resolve) => first.onState(({ bytes }) => bytes > 0 && resolve()));
	first.release();
	assert.equal((await first.whenDone()).link, 'released');
	await server.stop();
	const again = client.upload(file(data));
	await new Promise((resolve) => again.onState(({ link }) => link === 'waiting' && resolve()));
	server.batches.cutAfter = null;
	await server.listen();
	again.reconnect();
	const state = await again.whenDone();
	assert.deepEqual([state.link, state.id], ['saved', first.id]);
	assert.ok(server.batches.dataOf(state.id).equals(data));
	assert.equal(uploads.all.size, 0, 'what is done is not remembered');
	const other = await client.upload(file(randomBytes(10), 'b.webm')).whenDone();
	assert.notEqual(other.id, first.id);
	assert.equal(server.asked.filter((method) => method === 'POST').length, 2);
});

test('an upload whose time was over is begun anew; a batch’s item is not', options, async (t) => {
	const uploads = storage();
	const { server, client } = await filesServer(t, { uploads });
	const data = randomBytes(100_000);
	uploads.setItem(`holdfast.upload ${client.server} a.webm|100000|7`, '0199dead-0000-7000-8000-000000000000');
	server.removed.add('0199dead-0000-7000-8000-000000000000');
	const state = await client.upload(file(data)).whenDone();
	assert.equal(state.link, 'saved');
	assert.ok(server.batches.dataOf(state.id).equals(data));
	const item = await client.upload(file(data), { id: '0199dead-0000-7000-8000-000000000000' }).whenDone();
	assert.deepEqual([item.link, item.problem.code, item.problem.resumable], ['stopped', 'deleted', false]);
});

test('refusals: what is over when its cause is, what is final, what is waited for', options, async (t) => {
	const { server, client } = await filesServer(t);
	server.refuse = [401, 'unauthorized', 'A token is needed.'];
	const upload = client.upload(file(randomBytes(1000)));
	const refused = await upload.whenDone();
	assert.deepEqual([refused.link, refused.problem], ['stopped', { code: 'unauthorized', message: 'A token is needed.', resumable: true }]);
	server.refuse = null;
	upload.reconnect();
	assert.equal((await upload.whenDone()).link, 'saved');
	server.batches.refuse.set('POST', [413, 'quota_exceeded', 'Too large.']);
	assert.equal((await client.upload(file(randomBytes(1000))).whenDone()).problem.code, 'quota_exceeded');
	server.batches.refuse.set('POST', [507, 'storage_full', 'Full.']);
	const waiting = client.upload(file(randomBytes(1000)));
	await new Promise((resolve) => waiting.onState(({ link, reason }) => link === 'waiting' && reason === 'storage_full' && resolve()));
	server.batches.refuse.clear();
	waiting.reconnect();
	assert.deepEqual([(await waiting.whenDone()).link, waiting.state.reason], ['saved', null]);
});

test('a file that changed meanwhile is no lost link', options, async (t) => {
	const { server, client } = await filesServer(t);
	const source = sourceOf(file(randomBytes(3_000_000)));
	const { read } = source;
	let reads = 0;
	source.read = async (...span) => {
		reads += 1;
		if (reads > 1) throw new DOMException('It changed.', 'NotReadableError');
		return read(...span);
	};
	const state = await client.upload(source).whenDone();
	assert.deepEqual([state.link, state.problem.code], ['stopped', 'file_changed']);
	assert.equal(server.takes.get(state.id).bytes, 1024 * 1024);
});

test('a stream of unknown size, over a broken link', options, async (t) => {
	const { server, client } = await filesServer(t);
	const data = randomBytes(2_500_000);
	async function* pieces() {
		for (let at = 0; at < data.length; at += 70_000) yield data.subarray(at, at + 70_000);
	}
	server.batches.cutAfter = 300_000;
	const upload = client.upload(pieces(), { name: 'stream.webm', type: 'video/webm' });
	const stop = upload.onState(({ bytes }) => {
		if (bytes < 900_000) return;
		server.batches.cutAfter = null;
		queueMicrotask(() => stop());
	});
	const state = await upload.whenDone();
	assert.deepEqual([state.link, state.size], ['saved', data.length]);
	assert.ok(server.batches.dataOf(state.id).equals(data));
});

test('an item whose length nobody has said is whole at the end, also when only that was missing', options, async (t) => {
	const { server, client } = await filesServer(t);
	const data = randomBytes(1_500_000);
	const [one, other, empty] = server.batches.put('b', [{ key: 'k' }, { key: 'l' }, { key: 'm' }]);
	assert.equal((await client.upload(file(data), { id: one.id, bytes: 0 }).whenDone()).link, 'saved');
	assert.ok(server.batches.dataOf(one.id).equals(data));
	server.batches.bytes.set(other.id, [data]);
	server.put({ ...other, bytes: data.length });
	assert.equal((await client.upload(file(data), { id: other.id }).whenDone()).link, 'saved');
	assert.equal((await client.upload(file(Buffer.alloc(0)), { id: empty.id }).whenDone()).link, 'saved');
	assert.deepEqual([one, other, empty].map(({ id }) => server.takes.get(id).phase), ['queued', 'queued', 'queued']);
});

test('abort: the server has nothing of it any more', options, async (t) => {
	const { server, client } = await filesServer(t);
	server.batches.cutAfter = 1000;
	const upload = client.upload(file(randomBytes(1_000_000)));
	await new Promise((resolve) => upload.onState(({ bytes }) => bytes > 0 && resolve()));
	await upload.abort();
	assert.equal(upload.state.link, 'aborted');
	assert.ok(server.removed.has(upload.id));
});

test('metadata: names of any script, and nothing empty', () => {
	assert.equal(metadataOf({ filename: 'Früh am Morgen.webm', filetype: '', recording: undefined }),
		`filename ${Buffer.from('Früh am Morgen.webm').toString('base64')}`);
	assert.equal(metadataOf({ a: 1, b: 'x' }), 'a MQ==,b eA==');
});
