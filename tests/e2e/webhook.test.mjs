// Webhooks: signed as in Standard Webhooks (checked here by another implementation), in order, repeated, parked.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { startSource } from './support/source.mjs';
import { BINARY, startServer, tempDir, until } from './support/server.mjs';
import { json } from './support/tokens.mjs';
import { complete, media, sessionId, wire } from './support/wire.mjs';

const WAIT_MS = 30_000;
const FIRST_WAIT_MS = 5000; // before an event is sent again

/** A receiver: `answer(message, n)` gives the status, or [status, headers]; null: no answer at all. */
async function receiver(t, answer = () => 204) {
	const secret = randomBytes(24);
	const got = [];
	const source = await startSource(t, async (request, response) => {
		const parts = [];
		for await (const part of request) parts.push(part);
		const body = Buffer.concat(parts).toString();
		const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature } = request.headers;
		const expected = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64');
		assert.equal(signature, `v1,${expected}`);
		assert.ok(Math.abs(Date.now() / 1000 - Number(timestamp)) < 60);
		assert.equal(request.method, 'POST');
		assert.equal(request.headers['content-type'], 'application/json');
		const message = { id, at: performance.now(), ...JSON.parse(body) };
		got.push(message);
		const said = answer(message, got.length - 1);
		if (said === null) return;
		const [status, headers] = Array.isArray(said) ? said : [said, {}];
		response.writeHead(status, headers).end();
	});
	const file = join(tempDir(t), 'secret');
	writeFileSync(file, `whsec_${secret.toString('base64')}\n`, { mode: 0o600 });
	return { got, source, args: ['--webhook', source.url('/hook'), '--webhook-secret-file', file] };
}

const start = (t, args) => startServer(t, { args, env: { HOLDFAST_WORKERS: '0' } });

/** A take that is sealed, and then perhaps deleted: two events. */
async function take(t, server, { remove = true, name } = {}) {
	const w = await wire(t, server);
	const session = sessionId();
	const { id } = await w.start({ sessionId: session, name });
	w.binary(media(100));
	await w.untilAcked(100);
	assert.equal((await complete(server, id)).status, 200);
	if (remove) assert.equal((await fetch(`${server.url}/api/recordings/${id}`, { method: 'DELETE' })).status, 200);
	return { id, session };
}

const of = (hook, id) => hook.got.filter(({ data }) => data.id === id);
const work = (server) => {
	const { status, stdout } = spawnSync(BINARY, ['status', '--data', server.dataDir, '--json'], { encoding: 'utf8' });
	assert.equal(status, 0);
	return JSON.parse(stdout).work;
};

test('events are signed, in order, each once, and say what happened', async (t) => {
	const hook = await receiver(t);
	const server = await start(t, hook.args);
	const takes = [];
	for (let i = 0; i < 20; i++) takes.push(await take(t, server, { name: `Täke ${i}` }));
	await until(() => takes.every(({ id }) => of(hook, id).some(({ type }) => type === 'recording.deleted')), WAIT_MS, 'all');
	for (const { id, session } of takes) {
		const mine = of(hook, id);
		const types = mine.map(({ type, data }) => (type === 'recording.phase' ? data.phase : type));
		assert.deepEqual(types.slice(-2), ['queued', 'recording.deleted'], JSON.stringify(types));
		const seqs = mine.map(({ data }) => data.seq);
		assert.deepEqual(seqs, [...new Set(seqs)].sort((a, b) => a - b));
		const queued = mine.at(-2);
		assert.match(queued.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
		assert.equal(queued.data.revision, 1);
		assert.equal(queued.data.sessionId, session);
		assert.ok(Math.abs(Date.parse(queued.data.at) - Date.now()) < 60_000);
	}
	assert.equal(new Set(hook.got.map(({ id }) => id)).size, hook.got.length);
	await until(() => Object.values(work(server).notify).every((n) => n === 0), WAIT_MS, 'nothing waits');
});

test('one that fails is repeated under its id; what comes behind it waits', async (t) => {
	const hook = await receiver(t, (message, n) => (n === 0 ? 500 : 204));
	const server = await start(t, hook.args);
	const { id } = await take(t, server);
	const other = await take(t, server); // another recording does not wait for it
	await until(() => of(hook, other.id).length >= 2, WAIT_MS, 'the other one');
	assert.equal(of(hook, id).length, 1);
	await until(() => of(hook, id).length >= 3, WAIT_MS, 'the rest');
	const [first, again, next] = of(hook, id);
	assert.equal(again.id, first.id);
	assert.deepEqual(again.data, first.data);
	assert.ok(again.at - first.at >= FIRST_WAIT_MS - 100, `${again.at - first.at}`);
	assert.ok(next.data.seq > first.data.seq);
});

test('Retry-After is honoured; a redirect is not followed', async (t) => {
	const hook = await receiver(t, (message, n) => [[429, { 'Retry-After': '8' }], [307, { Location: '/hook' }], 204][Math.min(n, 2)]);
	const server = await start(t, hook.args);
	await take(t, server, { remove: false });
	await until(() => hook.got.length >= 2, WAIT_MS, 'the second');
	assert.ok(hook.got[1].at - hook.got[0].at >= 7900, `${hook.got[1].at - hook.got[0].at}`);
	await until(() => work(server).notify.queued === 1, WAIT_MS, 'it waits');
	assert.equal(hook.got.length, 2);
});

test('410 parks at once; it is shown, and goes on when asked to', async (t) => {
	let gone = true;
	const hook = await receiver(t, () => (gone ? 410 : 204));
	const server = await start(t, hook.args);
	const { id } = await take(t, server);
	await until(() => work(server).notify.parked === 1, WAIT_MS, 'parked');
	const { lastError } = work(server);
	assert.equal(lastError.kind, 'notify');
	assert.equal(lastError.id, id);
	assert.match(lastError.message, /410/);
	assert.match(server.output, /webhook_parked/);
	const shown = spawnSync(BINARY, ['status', '--data', server.dataDir], { encoding: 'utf8' }).stdout;
	assert.match(shown, /webhooks: 0 waiting, 0 at work, 1 parked/);
	assert.match(shown, /last error, of .*410/);
	assert.equal(hook.got.length, 1);
	gone = false;
	assert.equal((await fetch(`${server.url}/api/webhooks/retry`, { method: 'POST' })).status, 204);
	await until(() => of(hook, id).some(({ type }) => type === 'recording.deleted'), WAIT_MS, 'the rest');
	assert.equal(hook.got[1].id, hook.got[0].id);
	await until(() => work(server).notify.parked === 0, WAIT_MS, 'nothing parked');
});

test('a killed server repeats the event that was on its way, and loses none', async (t) => {
	const hook = await receiver(t, (message, n) => (n === 0 ? null : 204));
	const server = await start(t, hook.args);
	const { id } = await take(t, server);
	await until(() => hook.got.length === 1, WAIT_MS, 'the first');
	await server.kill();
	await server.start();
	await until(() => of(hook, id).some(({ type }) => type === 'recording.deleted'), WAIT_MS, 'the rest');
	assert.equal(hook.got[1].id, hook.got[0].id);
});

test('a clean stop does not wait for a receiver that hangs', async (t) => {
	const hook = await receiver(t, () => null);
	const server = await start(t, hook.args);
	await take(t, server);
	await until(() => hook.got.length === 1, WAIT_MS, 'the first');
	const began = performance.now();
	assert.equal((await server.stop()).code, 0);
	assert.ok(performance.now() - began < 5000);
});

test('batch.completed: told once, behind what its last item became', async (t) => {
	const hook = await receiver(t);
	const elsewhere = await startSource(t, (request, response) => response.writeHead(404).end());
	const server = await start(t, [...hook.args, '--fetch-allow', '127.0.0.0/8', '--fetch-http']);
	const made = await fetch(`${server.url}/api/batches`, json('POST', { batchId: 'b', total: 2 }));
	assert.equal(made.status, 201);
	const w = await wire(t, server);
	w.send({ type: 'slice', batchId: 'b', sliceId: 's', items: [{ key: 'gone', sourceUrl: elsewhere.url('/nothing') }, { key: 'file', bytes: 3 }] });
	const { items } = await w.next('slice_ack');
	const upload = await fetch(`${server.url}/files/`, { method: 'POST', body: 'abc', headers: { 'tus-resumable': '1.0.0', 'upload-length': '3',
		'content-type': 'application/offset+octet-stream', 'upload-metadata': `recording ${Buffer.from(items[1].id).toString('base64')}` } });
	assert.equal(upload.status, 201);
	const of = () => hook.got.filter(({ type }) => type === 'batch.completed');
	await until(async () => (await (await fetch(`${server.url}/api/recordings/${items[0].id}`)).json()).phase === 'error', WAIT_MS, 'the source is not there');
	assert.equal((await complete(server, items[1].id)).status, 200);
	assert.equal((await fetch(`${server.url}/api/recordings/${items[1].id}`, { method: 'DELETE' })).status, 200);
	const [told] = await until(() => of().length > 0 && of(), WAIT_MS, 'batch.completed');
	assert.deepEqual([told.data.batch, told.data.total, told.data.failed], ['b', 2, 1]);
	assert.ok(hook.got.filter(({ data }) => data.id === told.data.id).length > 1, 'what became of its item is told, too');
	await server.kill();
	await server.start();
	const w2 = await wire(t, server);
	w2.send({ type: 'slice', batchId: 'b', sliceId: 's', items: [{ key: 'file', bytes: 3 }] });
	assert.equal((await w2.next('slice_ack')).items[0].status, 'deleted');
	await take(t, server, { remove: false });
	await until(() => hook.got.at(-1).type !== 'batch.completed' && hook.got.at(-1).data.batch === undefined, WAIT_MS, 'an event behind it');
	assert.equal(new Set(of().map(({ id }) => id)).size, 1, 'once');
});

test('without its secret there is no webhook', async (t) => {
	await assert.rejects(start(t, ['--webhook', 'http://127.0.0.1:1/']), /--webhook-secret-file is missing/);
	const file = join(tempDir(t), 'secret');
	writeFileSync(file, 'whsec_short\n', { mode: 0o600 });
	await assert.rejects(start(t, ['--webhook', 'http://127.0.0.1:1/', '--webhook-secret-file', file]), /no secret/);
	await assert.rejects(start(t, ['--webhook', 'ftp://a/', '--webhook-secret-file', file]), /must be a URL/);
});
