// The list, renaming and deletion.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sharedServer, until } from './support/server.mjs';
import { api, complete, media, recording, sessionId, wire } from './support/wire.mjs';

const server = sharedServer();
const options = { timeout: 60_000 };

async function taken(t, name) {
	const w = await wire(t, server);
	const session = sessionId();
	const { id } = await w.start({ sessionId: session, name });
	w.binary(media(100));
	w.send({ type: 'end', totalBytes: 100 });
	await w.next('saved');
	await w.close();
	return { id, session };
}

test('the list: newest first, in pages, by name and by phase', options, async (t) => {
	const ids = [];
	for (let n = 0; n < 230; n++) ids.unshift((await taken(t, `take ${n}${n % 10 === 0 ? ' special' : ''}`)).id);
	const got = [];
	let next = null;
	let pages = 0;
	do {
		const { body } = await api(server, `/api/recordings${next ? `?before=${encodeURIComponent(next)}` : ''}`);
		assert.ok(body.items.length <= 100);
		got.push(...body.items);
		next = body.next;
		pages += 1;
	} while (next);
	assert.equal(pages, 3);
	assert.deepEqual(got.map(({ id }) => id).sort(), ids.sort());
	got.reduce((newer, item) => {
		assert.ok(item.createdAt <= newer.createdAt, 'newest first');
		return item;
	});
	const special = (await api(server, '/api/recordings?search=special')).body.items;
	assert.equal(special.length, 23);
	assert.equal((await api(server, '/api/recordings?search=%25')).body.items.length, 0, 'no wildcards');
	assert.equal((await api(server, '/api/recordings?phase=queued')).body.items.length, 100);
	assert.equal((await api(server, '/api/recordings?phase=uploading')).body.items.length, 0);
	for (const query of ['phase=nonsense', 'before=nonsense']) {
		const { status } = await api(server, `/api/recordings?${query}`);
		assert.ok(status === 400 || status === 200, `${query}: ${status}`);
	}
});

test('rename', options, async (t) => {
	const { id } = await taken(t, 'before');
	const patch = (body) => api(server, `/api/recordings/${id}`, { method: 'PATCH', body });
	assert.equal((await patch(JSON.stringify({ name: 'after, ünïcode' }))).status, 200);
	assert.equal((await recording(server, id)).name, 'after, ünïcode');
	for (const body of ['{"name": 5}', `{"name": "${'x'.repeat(201)}"}`, '{"name": "a\\u0000b"}', '{', ''])
		assert.equal((await patch(body)).status, 400, body);
	assert.equal((await recording(server, id)).name, 'after, ünïcode');
});

test('delete: 410 from then on, everywhere, and the bytes go', options, async (t) => {
	const { id, session } = await taken(t, 'gone');
	const spool = join(server.dataDir, 'spool', id);
	const deleted = await api(server, `/api/recordings/${id}`, { method: 'DELETE' });
	assert.ok(deleted.status === 200 || deleted.status === 204, `${deleted.status}`);
	for (const path of ['', '/original']) {
		const { status, body } = await api(server, `/api/recordings/${id}${path}`);
		assert.equal(status, 410, path);
		assert.equal(body.code, 'deleted');
	}
	assert.equal((await complete(server, id)).status, 410);
	assert.ok(!(await api(server, '/api/recordings?search=gone')).body.items.some((item) => item.id === id));
	const w = await wire(t, server);
	w.send({ type: 'start', sessionId: session });
	assert.equal((await w.error('deleted')).retry, false);
	await until(() => !existsSync(spool), 10_000, 'the bytes are removed');
});

test('delete of a take that is being recorded ends it', options, async (t) => {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId() });
	w.binary(media(100));
	await w.untilAcked(100);
	const { status } = await api(server, `/api/recordings/${id}`, { method: 'DELETE' });
	assert.ok(status === 200 || status === 204, `${status}`);
	await w.when(() => w.inbox.some((message) => ['deleted', 'aborted'].includes(message.code ?? message.type)), 'it is told');
	assert.equal((await api(server, `/api/recordings/${id}`)).status, 410);
});
