// Recordings that are fetched by URL: whole, resumed, refused, given up, on demand; each against a source in the test.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { startServer, tempDir, until } from './support/server.mjs';
import { bytesOf, file, sha256, startSource } from './support/source.mjs';

const OPEN = ['--fetch-allow', '127.0.0.0/8', '--fetch-http'];
// the worker's part is not this file's: what is sealed stays queued
const start = (t, args) => startServer(t, { args, env: { HOLDFAST_WORKERS: '0' } });
const WAIT_MS = 20_000;

async function register(server, fields) {
	const response = await fetch(`${server.url}/api/recordings`, {
		method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(fields),
	});
	return { status: response.status, body: await response.json() };
}

async function made(server, fields) {
	const { status, body } = await register(server, fields);
	assert.equal(status, 201, JSON.stringify(body));
	return body;
}

const show = async (server, id) => (await fetch(`${server.url}/api/recordings/${id}`)).json();

async function phase(server, id, wanted) {
	let last;
	await until(async () => (last = await show(server, id)).phase === wanted, WAIT_MS, `${id} in ${wanted}`).catch((error) => {
		throw new Error(`${error.message}\n${JSON.stringify(last)}\n${server.output}`);
	});
	return last;
}

async function original(server, id) {
	const response = await fetch(`${server.url}/api/recordings/${id}/original`);
	assert.equal(response.status, 200);
	return Buffer.from(await response.arrayBuffer());
}

test('a recording is fetched whole, and sealed as any other', async (t) => {
	const bytes = bytesOf(3_000_000);
	const source = await startSource(t, file(bytes));
	const server = await start(t, OPEN);
	const first = await made(server, { sourceUrl: source.url(), ref: 'call-1', name: 'A call' });
	assert.equal(first.phase, 'uploading');
	const row = await phase(server, first.id, 'queued');
	assert.equal(row.bytes, bytes.length);
	assert.equal(row.revision, 1);
	assert.equal(row.interrupted, false);
	assert.equal(row.tracks[0].track, 'main');
	assert.equal(row.tracks[0].sha256 ?? row.sha256, sha256(bytes));
	assert.deepEqual(await original(server, 'ref:call-1'), bytes);
	assert.equal(source.asked.length, 1);
	const again = await register(server, { sourceUrl: source.url(), ref: 'call-1' });
	assert.equal(again.status, 200);
	assert.equal(again.body.id, first.id);
	assert.equal((await register(server, { sourceUrl: source.url('/other'), ref: 'call-1' })).status, 409);
	assert.equal(source.asked.length, 1);
	await server.stop();
	await server.start();
	assert.equal((await show(server, first.id)).mime, 'audio/ogg', 'what the source says it is, not only while it is in memory');
});

test('drops are resumed by Range, in one attempt, and nothing is twice or missing', async (t) => {
	const bytes = bytesOf(2_000_000, 2);
	const source = await startSource(t, file(bytes, { drops: [300_000, 500_000, 1, 700_000] }));
	const server = await start(t, OPEN);
	const { id } = await made(server, { sourceUrl: source.url() });
	const row = await phase(server, id, 'queued');
	assert.equal(row.bytes, bytes.length);
	assert.deepEqual(await original(server, id), bytes);
	assert.ok(source.asked.length >= 5, `${source.asked.length} requests`);
	for (const { headers } of source.asked.slice(1)) {
		assert.match(headers.range, /^bytes=\d+-$/);
		assert.equal(headers['if-range'], '"one"');
	}
});

test('a killed server goes on behind its durable bytes', async (t) => {
	const bytes = bytesOf(4_000_000, 3);
	let stalled = true;
	const whole = file(bytes);
	const source = await startSource(t, (request, response, n) => {
		if (n > 0) return whole(request, response, n);
		response.writeHead(200, { 'Content-Length': bytes.length, ETag: '"one"' });
		response.write(bytes.subarray(0, 1_500_000));
		stalled = true;
		return undefined;
	});
	const server = await start(t, OPEN);
	const { id } = await made(server, { sourceUrl: source.url(), ref: 'killed' });
	await until(async () => (await show(server, id)).bytes === 1_500_000, WAIT_MS, 'the first part');
	assert.ok(stalled);
	await server.kill();
	await server.start();
	await phase(server, id, 'queued');
	assert.deepEqual(await original(server, id), bytes);
	assert.equal(source.asked[1].headers.range, 'bytes=1500000-');
	assert.equal(source.asked[1].headers['if-range'], '"one"');
});

test('a source without ranges is compared: the same bytes go on, others are source_changed', async (t) => {
	const bytes = bytesOf(2_000_000, 4), other = Buffer.from(bytes);
	other[700_123] ^= 1;
	const serve = (all) => (request, response, n) => {
		response.writeHead(200, { 'Content-Length': all[n ? 1 : 0].length });
		if (n === 0) response.write(all[0].subarray(0, 900_000), () => response.destroy());
		else response.end(all[1]);
	};
	const server = await start(t, OPEN);
	const same = await startSource(t, serve([bytes, bytes]));
	const changed = await startSource(t, serve([bytes, other]));
	const shorter = await startSource(t, serve([bytes, bytes.subarray(0, 100)]));
	const a = await made(server, { sourceUrl: same.url() });
	const b = await made(server, { sourceUrl: changed.url() });
	const c = await made(server, { sourceUrl: shorter.url() });
	await phase(server, a.id, 'queued');
	assert.deepEqual(await original(server, a.id), bytes);
	assert.equal(same.asked[1].headers.range, undefined);
	for (const { id } of [b, c]) {
		const row = await phase(server, id, 'error');
		assert.equal(row.error.code, 'source_changed');
	}
	assert.equal(changed.asked.length, 2, 'what repeats by nature is not tried again');
});

test('404 and 410 are final, 403 is refused, 5xx passes', async (t) => {
	const bytes = bytesOf(10_000, 5);
	const source = await startSource(t, (request, response) => {
		const status = Number(request.url.slice(1));
		const tries = source.asked.filter(({ url }) => url === request.url).length;
		if (status === 503 && tries > 1) file(bytes)(request, response, 0);
		else response.writeHead(status).end('no');
	});
	const server = await start(t, OPEN);
	const codes = { 404: 'source_gone', 410: 'source_gone', 403: 'source_refused', 401: 'source_refused' };
	const ids = {};
	for (const status of [404, 410, 403, 401, 503]) ids[status] = (await made(server, { sourceUrl: source.url(`/${status}`) })).id;
	for (const [status, code] of Object.entries(codes)) {
		const row = await phase(server, ids[status], 'error');
		assert.equal(row.error.code, code);
		assert.match(row.error.message, new RegExp(status));
		assert.equal(source.asked.filter(({ url }) => url === `/${status}`).length, 1);
	}
	for (const what of ['file', 'original'])
		assert.equal((await fetch(`${server.url}/api/recordings/${ids[404]}/${what}`)).status, 404);
	await phase(server, ids[503], 'queued');
	assert.deepEqual(await original(server, ids[503]), bytes);
	assert.equal(source.asked.filter(({ url }) => url === '/503').length, 2);
});

test('a source that always fails is given up after three attempts, with its last word', async (t) => {
	const source = await startSource(t, (request, response) => response.writeHead(502).end());
	const server = await start(t, OPEN);
	const { id } = await made(server, { sourceUrl: source.url() });
	const row = await phase(server, id, 'error');
	assert.equal(row.error.code, 'source_failed');
	assert.match(row.error.message, /All 3 attempts failed.*502/);
	assert.equal(source.asked.length, 3);
	assert.equal((await fetch(`${server.url}/api/recordings/${id}/file`)).status, 500);
	const complete = await fetch(`${server.url}/api/recordings/${id}/complete`, { method: 'POST' });
	assert.equal(complete.status, 500);
	assert.equal(source.asked.length, 3);
});

test('complete on a fetch that failed fetches again', async (t) => {
	let there = false;
	const bytes = bytesOf(1000, 9);
	const source = await startSource(t, (request, response) => (there ? file(bytes)(request, response, 0) : response.writeHead(404).end()));
	const server = await start(t, OPEN);
	const { id } = await made(server, { sourceUrl: source.url() });
	await phase(server, id, 'error');
	there = true;
	const again = await fetch(`${server.url}/api/recordings/${id}/complete`, { method: 'POST' });
	assert.equal(again.status, 200);
	assert.equal((await again.json()).status, 'started');
	await phase(server, id, 'queued');
	assert.deepEqual(await original(server, id), bytes);
	await server.kill(); // the row said error once, and the journal never did
	await server.start();
	assert.equal((await show(server, id)).phase, 'queued');
	assert.deepEqual(await original(server, id), bytes);
});

test('what is too large is cut off: by its length, and by counting', async (t) => {
	let sent = 0;
	const source = await startSource(t, (request, response) => {
		if (request.url === '/says') {
			response.writeHead(200, { 'Content-Length': 1_000_001 }).write('x');
			return;
		}
		response.writeHead(200);
		const more = () => {
			while (!response.destroyed && response.write(Buffer.alloc(65536))) sent += 65536;
		};
		response.on('drain', more);
		more();
	});
	const server = await start(t, [...OPEN, '--fetch-max', '1000000']);
	for (const path of ['/says', '/endless']) {
		const { id } = await made(server, { sourceUrl: source.url(path) });
		const row = await phase(server, id, 'error');
		assert.equal(row.error.code, 'source_too_large');
		assert.ok(row.bytes <= 1_000_000);
	}
	assert.ok(sent < 20_000_000, `${sent}`);
});

test('a slow source ends with the time it may take', async (t) => {
	const source = await startSource(t, (request, response) => {
		response.writeHead(200, { 'Content-Length': 1000 });
		const timer = setInterval(() => response.write('x'), 50);
		response.on('close', () => clearInterval(timer));
	});
	const server = await start(t, [...OPEN, '--fetch-timeout', '500ms']);
	const { id } = await made(server, { sourceUrl: source.url() });
	const row = await phase(server, id, 'error');
	assert.equal(row.error.code, 'source_failed');
	assert.match(row.error.message, /--fetch-timeout/);
});

test('credentials go to their host alone, and into no log or message', async (t) => {
	const bytes = bytesOf(1000, 6);
	const other = await startSource(t, file(bytes));
	const source = await startSource(t, (request, response) => {
		if (request.headers.authorization !== `Basic ${Buffer.from('ann:s3cr3t w0rd').toString('base64')}`)
			response.writeHead(401).end();
		else if (request.url === '/there') response.writeHead(302, { Location: other.url() }).end();
		else file(bytes)(request, response, 0);
	});
	const path = join(tempDir(t), 'credentials');
	writeFileSync(path, `[127.0.0.1:${source.port}]\nuser = ann\npassword = s3cr3t w0rd\n`, { mode: 0o600 });
	const server = await start(t, [...OPEN, '--fetch-credentials', path, '--log-level', 'debug']);
	await phase(server, (await made(server, { sourceUrl: source.url() })).id, 'queued');
	await phase(server, (await made(server, { sourceUrl: source.url('/there') })).id, 'queued');
	assert.equal(other.asked[0].headers.authorization, undefined);
	const refused = await register(server, { sourceUrl: `http://ann:s3cr3t@127.0.0.1:${source.port}/` });
	assert.equal(refused.status, 422);
	assert.equal(refused.body.code, 'url_refused');
	assert.doesNotMatch(server.output, /s3cr3t/);
	assert.doesNotMatch(JSON.stringify(refused.body), /s3cr3t/);
});

test('a credentials file that others can read is refused', async (t) => {
	const path = join(tempDir(t), 'credentials');
	writeFileSync(path, '[a]\nuser = b\npassword = c\n', { mode: 0o644 });
	await assert.rejects(start(t, ['--fetch-credentials', path]), /chmod 600/);
});

test('on demand: nothing is fetched until somebody asks, by ref', async (t) => {
	const bytes = bytesOf(50_000, 7);
	const source = await startSource(t, file(bytes));
	const server = await start(t, OPEN);
	const { id, phase: first } = await made(server, { sourceUrl: source.url(), ref: 'later', fetch: 'on_demand' });
	assert.equal(first, 'uploading');
	await server.stop();
	await server.start();
	for (const what of ['thumbnail', 'waveform']) await fetch(`${server.url}/api/recordings/ref:later/${what}`);
	await show(server, 'ref:later');
	assert.equal(source.asked.length, 0);
	const answers = await Promise.all(Array.from({ length: 8 }, () => fetch(`${server.url}/api/recordings/ref:later/file`)));
	for (const answer of answers) {
		assert.equal(answer.status, 202);
		assert.ok(Number(answer.headers.get('retry-after')) > 0);
	}
	await phase(server, id, 'queued');
	assert.deepEqual(await original(server, 'ref:later'), bytes);
	assert.equal(source.asked.length, 1);
});

test('complete makes no half of a recording that is being fetched', async (t) => {
	const bytes = bytesOf(200_000, 8);
	let release;
	const source = await startSource(t, (request, response) => {
		response.writeHead(200, { 'Content-Length': bytes.length });
		response.write(bytes.subarray(0, 100_000));
		release = () => response.end(bytes.subarray(100_000));
	});
	const server = await start(t, [...OPEN, '--grace', '200ms']);
	const { id } = await made(server, { sourceUrl: source.url() });
	await until(async () => (await show(server, id)).bytes === 100_000, WAIT_MS, 'the first half');
	const complete = await fetch(`${server.url}/api/recordings/${id}/complete`, { method: 'POST' });
	assert.equal(complete.status, 409);
	assert.equal((await complete.json()).code, 'bytes_missing');
	assert.equal((await fetch(`${server.url}/api/recordings/${id}/file`)).status, 202);
	release();
	const row = await phase(server, id, 'queued');
	assert.equal(row.interrupted, false);
	assert.deepEqual(await original(server, id), bytes);
});

test('deleting a recording ends its fetch', async (t) => {
	let closed;
	const gone = new Promise((resolve) => (closed = resolve));
	const source = await startSource(t, (request, response) => {
		response.on('close', closed);
		response.writeHead(200, { 'Content-Length': 1_000_000 });
		response.write(bytesOf(100_000));
	});
	const server = await start(t, OPEN);
	const { id } = await made(server, { sourceUrl: source.url() });
	await until(async () => (await show(server, id)).bytes === 100_000, WAIT_MS, 'the first part');
	assert.equal((await fetch(`${server.url}/api/recordings/${id}`, { method: 'DELETE' })).status, 200);
	await gone;
	assert.equal((await fetch(`${server.url}/api/recordings/${id}`)).status, 410);
	const next = await startSource(t, file(bytesOf(10)));
	await phase(server, (await made(server, { sourceUrl: next.url() })).id, 'queued'); // its place is free again
	assert.equal(source.asked.length, 1);
});

test('addresses that may not be fetched are refused before anybody connects', async (t) => {
	let connections = 0;
	const source = await startSource(t, file(bytesOf(10)));
	source.server.on('connection', () => connections++);
	const server = await start(t, []);
	for (const host of ['127.0.0.1', '127.1', '2130706433', '0x7f.1', '0177.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '0'])
		for (const scheme of ['http', 'https']) {
			const { status, body } = await register(server, { sourceUrl: `${scheme}://${host}:${source.port}/` });
			assert.equal(status, 422, `${scheme} ${host}`);
			assert.equal(body.code, 'url_refused');
		}
	const { id } = await made(server, { sourceUrl: `https://localhost:${source.port}/` }); // a name: judged when resolved
	const row = await phase(server, id, 'error');
	assert.equal(row.error.code, 'url_refused');
	assert.equal(connections, 0);
});

test('a redirect to a refused address ends in error', async (t) => {
	const source = await startSource(t, (request, response) => response.writeHead(302, { Location: 'http://[::1]:1/' }).end());
	const server = await start(t, OPEN);
	const { id } = await made(server, { sourceUrl: source.url() });
	const row = await phase(server, id, 'error');
	assert.equal(row.error.code, 'url_refused');
	assert.match(row.error.message, /redirect/i);
});

test('hundreds of recordings are fetched, a few at a time', async (t) => {
	let now = 0, most = 0;
	const source = await startSource(t, (request, response) => {
		most = Math.max(most, ++now);
		response.on('close', () => now--);
		setTimeout(() => file(bytesOf(5000, Number(request.url.slice(1)) + 1))(request, response, 0), 5);
	});
	const server = await start(t, OPEN);
	const ids = [];
	for (let i = 0; i < 200; i++) ids.push((await made(server, { sourceUrl: source.url(`/${i}`), ref: `many-${i}` })).id);
	for (const [i, id] of ids.entries()) {
		await phase(server, id, 'queued');
		if (i % 20 === 0) assert.deepEqual(await original(server, id), bytesOf(5000, i + 1));
	}
	assert.ok(most <= 4 && most > 1, `${most} at a time`);
	assert.equal(source.asked.length, 200);
});

