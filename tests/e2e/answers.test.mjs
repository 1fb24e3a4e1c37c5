// What a file answers, as far as no worker is needed: not yet, never, the original in every phase; signed URLs;
// recordings by URL on a server that fetches nothing.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { atEnd, sharedServer, within } from './support/server.mjs';
import { mint, stranger } from './support/tokens.mjs';
import { api, complete, media, sessionId, wire } from './support/wire.mjs';

const options = { timeout: 60_000 };
const server = sharedServer({ env: { HOLDFAST_WORKERS: '0' } });
const RESOURCES = ['file', 'original', 'thumbnail', 'waveform'];

/** A recording that was ended and waits for a worker. */
async function queued(t, bytes = media(50_000)) {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId() });
	w.binary(bytes);
	w.send({ type: 'end', totalBytes: bytes.length });
	await w.next('saved');
	await w.close();
	return id;
}

const get = (id, what, more) => api(server, `/api/recordings/${id}/${what}`, more);

test('not yet: 202, when to come back, and how far it is', options, async (t) => {
	const id = await queued(t);
	for (const what of ['file', 'thumbnail', 'waveform']) {
		const { status, headers, body } = await get(id, what, { headers: { range: 'bytes=0-9' } });
		assert.equal(status, 202, what);
		assert.equal(headers.get('retry-after'), '2');
		assert.equal(headers.get('cache-control'), 'no-store');
		assert.match(headers.get('content-type'), /^application\/json/);
		assert.equal(headers.get('etag'), null);
		const { message, ...rest } = body;
		assert.deepEqual(rest, { status: 'notYet', phase: 'queued', attempt: 0, attempts: 3, progress: null, retryAfter: 2 });
		assert.equal(typeof message, 'string');
		const head = await get(id, what, { method: 'HEAD' });
		assert.equal(head.status, 202);
		assert.equal(head.headers.get('retry-after'), '2');
		assert.equal(head.bytes.length, 0);
	}
	assert.equal((await get(id, 'original')).status, 200);
});

test('while it is recorded, the original grows and the file is not yet', options, async (t) => {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId() });
	w.binary(media(1000));
	await w.untilAcked(1000);
	const { status, body } = await get(id, 'file');
	assert.equal(status, 202);
	assert.equal(body.phase, 'uploading');
	assert.equal((await get(id, 'original')).bytes.length, 1000);
	w.send({ type: 'abort' });
	await w.next('aborted');
	for (const what of ['file', 'thumbnail', 'waveform']) {
		const never = await get(id, what);
		assert.equal(never.status, 404);
		assert.equal(never.body.code, 'no_file');
		assert.equal(never.body.phase, 'aborted');
		assert.match(never.headers.get('content-type'), /problem\+json/);
		assert.equal(never.headers.get('retry-after'), null);
	}
	assert.equal((await get(id, 'original')).status, 200);
});

test('a checksum that does not fit: broken, with its own reason, and the original is there', options, async (t) => {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId() });
	w.binary(media(1000));
	w.send({ type: 'end', totalBytes: 1000, sha256: '00'.repeat(32) });
	await w.error('checksum_mismatch');
	const { status, body } = await get(id, 'file');
	assert.equal(status, 500);
	assert.equal(body.status, 500);
	assert.equal(body.title, 'Internal Server Error');
	assert.equal(body.code, 'checksum_mismatch');
	assert.equal(body.phase, 'error');
	assert.equal((await get(id, 'original')).bytes.length, 1000);
});

test('deleted: 410 for everything; unknown: 404', options, async (t) => {
	const id = await queued(t);
	assert.equal((await api(server, `/api/recordings/${id}`, { method: 'DELETE' })).status, 200);
	for (const what of RESOURCES) {
		const gone = await get(id, what);
		assert.equal(gone.status, 410, what);
		assert.equal(gone.body.code, 'deleted');
		for (const unknown of ['0199aaaa-0000-7000-8000-000000000000', 'session:nobody', 'ref:nobody', 'x']) {
			const none = await get(unknown, what);
			assert.equal(none.status, 404);
			assert.equal(none.body.code, 'not_found');
			assert.equal(none.body.phase, undefined);
		}
	}
	assert.equal((await get(id, 'files')).status, 404);
	assert.equal((await get(id, 'file', { method: 'POST' })).status, 405);
});

test('signed URLs, each for its resource alone', options, async (t) => {
	const id = await queued(t);
	const { token } = mint(server, 'play');
	const sign = (body) => api(server, `/api/recordings/${id}/sign`, {
		method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify(body),
	});
	for (const what of RESOURCES) {
		const { status, body } = await sign({ what });
		assert.equal(status, 200, what);
		const wanted = what === 'original' ? 200 : 202;
		const as = async (url) => (await stranger(server, url)).status;
		assert.equal(await as(body.url), wanted);
		for (const other of RESOURCES.filter((name) => name !== what))
			assert.equal(await as(body.url.replace(`/${what}?`, `/${other}?`)), 401, `${what} as ${other}`);
	}
	for (const wrong of [{ what: 'all' }, { what: 7 }, {}, { what: 'file', track: 'main' }]) assert.equal((await sign(wrong)).status, 400);
	assert.equal((await sign({ what: 'original', track: 'main' })).status, 200);
});

test('a recording by its URL: refused by who fetches nothing, and by what is no such request', options, async () => {
	const register = (body) => api(server, '/api/recordings', {
		method: 'POST', headers: { 'content-type': 'application/json' }, body: typeof body === 'string' ? body : JSON.stringify(body),
	});
	const url = 'https://provider.example/1.wav';
	const wrong = [{}, { sourceUrl: '' }, { sourceUrl: 7 }, { sourceUrl: url, ref: 'x'.repeat(201) }, { sourceUrl: 'x'.repeat(2001) },
		{ sourceUrl: url, fetch: 'later' }, { sourceUrl: url, name: 'a\u0000b' }, { sourceUrl: url, ext: 'x'.repeat(17) }];
	for (const body of wrong) {
		const answer = await register(body);
		assert.equal(answer.status, 400, JSON.stringify(body));
		assert.equal(answer.body.code, 'bad_field');
	}
	for (const body of ['', '[]', '{', 'null']) assert.equal((await register(body)).status, 400, body);
	for (const fetch of [undefined, 'now', 'on_demand']) {
		const { status, body } = await register({ sourceUrl: 'ftp://x', fetch });
		assert.ok(status === 501 || status === 422, `${status} ${body.code}`); // without a fetcher the one, with it the other
	}
	const { token } = mint(server, 'play');
	const { status } = await api(server, '/api/recordings', {
		method: 'POST', headers: { authorization: `Bearer ${token}` }, body: JSON.stringify({ sourceUrl: url }),
	});
	assert.equal(status, 403);
});

test('complete, asked again and again, and the answers to it', options, async (t) => {
	const id = await queued(t);
	const { status, body } = await complete(server, id);
	assert.equal(status, 200);
	assert.equal(body.status, 'alreadyProcessing');
});

test('the figures name the queues', options, async (t) => {
	await queued(t);
	const { bytes } = await api(server, '/metrics');
	const text = bytes.toString();
	for (const kind of ['finalize', 'fetch', 'notify'])
		for (const state of ['queued', 'running', 'failed', 'parked'])
			assert.match(text, new RegExp(`^holdfast_jobs\\{kind="${kind}",state="${state}"\\} \\d+$`, 'm'));
	assert.match(text, /^holdfast_workers_alive \d+$/m);
	assert.match(text, /^holdfast_event_streams \d+$/m);
});

test('as many downloads as there may be: the next one waits, and who asks how far it is hears it at once', options, async (t) => {
	const id = await queued(t, media(12_000_000));
	const slow = await Promise.all(Array.from({ length: 256 }, async () => {
		const socket = net.connect(server.port, '127.0.0.1');
		atEnd(t, () => socket.destroy());
		socket.write(`GET /api/recordings/${id}/original HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
		await once(socket, 'readable'); // and it reads no further
		return socket;
	}));
	let answered = false;
	const next = get(id, 'original').finally(() => {
		answered = true;
	});
	for (const what of ['file', 'thumbnail', 'waveform']) assert.equal((await get(id, what)).status, 202);
	assert.equal((await get('session:nobody', 'original')).status, 404);
	assert.equal(answered, false);
	slow[9].destroy();
	assert.equal((await within(next, 20_000, 'its turn')).bytes.length, 12_000_000);
});
