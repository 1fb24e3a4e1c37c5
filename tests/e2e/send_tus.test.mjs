// `holdfast send` to servers that speak tus: @tus/server, and our own; links that are cut, deaths, offsets that surprise.
import assert from 'node:assert/strict';
import http from 'node:http';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileStore } from '@tus/file-store';
import { Server as TusServer } from '@tus/server';
import { startProxy } from './support/proxy.mjs';
import { assertEachOnce, manyFiles, put, recordings, Sending } from './support/sending.mjs';
import { atEnd, startServer, tempDir, until } from './support/server.mjs';
import { mint } from './support/tokens.mjs';
import { media, random, sha256 } from './support/wire.mjs';

const options = { timeout: 120_000 };
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);

/** @tus/server on a port of its own. `before(request, response)` may answer itself, and returns true then. */
async function startTus(t) {
	const directory = tempDir(t);
	const tus = new TusServer({ path: '/files', datastore: new FileStore({ directory }), respectForwardedHeaders: true });
	const at = { directory, requests: [], before: () => false };
	const server = http.createServer((request, response) => {
		at.requests.push(`${request.method} ${request.url}`);
		if (!at.before(request, response)) tus.handle(request, response);
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	atEnd(t, () => {
		server.closeAllConnections();
		server.close();
	});
	at.url = `http://127.0.0.1:${server.address().port}`;
	at.count = (method) => at.requests.filter((line) => line.startsWith(method)).length;
	/** Whole uploads: names to bytes. */
	at.whole = () => readdirSync(directory).filter((name) => name.endsWith('.json')).map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')))
		.map(({ id, size, metadata }) => ({ id, size, metadata, bytes: readFileSync(join(directory, id)) })).filter(({ size, bytes }) => size === bytes.length);
	return at;
}

function assertWhole(at, files) {
	const whole = at.whole();
	assert.deepEqual(whole.map(({ metadata }) => metadata.filename).sort(), Object.keys(files).sort());
	for (const { metadata, bytes } of whole) assert.equal(sha256(bytes), sha256(files[metadata.filename]), metadata.filename);
}

test('a folder to @tus/server, over a link that is cut', options, async (t) => {
	const tus = await startTus(t);
	const proxy = await startProxy(t, tus);
	const [dir, spool] = [tempDir(t), tempDir(t)];
	const files = put(dir, { ...manyFiles(60, SEED, 100_000), 'empty.webm': '', 'odd 名\n.bin': 'odd' });
	const chance = random(SEED);
	const send = new Sending(t, ['--to', `${proxy.url}/files`, '--spool', spool, dir]);
	for (let cuts = 0; cuts < 6; cuts++) await proxy.cutAfter(1 + Math.floor(chance() * 300_000));
	assert.equal((await send.ended()).saved, 62);
	delete files['odd 名\n.bin'];
	const expected = { ...files, 'odd 名\ufffd.bin': 'odd' };
	assertWhole(tus, expected);
	assert.equal(tus.whole().find(({ metadata }) => metadata.filename === 'part 0/take 0000.webm').metadata.filetype, 'video/webm');
	assert.deepEqual(readdirSync(spool), ['device', 'sent']);
	const posts = tus.count('POST');
	assert.equal((await new Sending(t, ['--to', `${proxy.url}/files`, '--spool', spool, dir]).ended()).skipped, 62);
	assert.equal(tus.count('POST'), posts, 'nothing is sent twice');
	assert.match(send.of('saved')[0].url, new RegExp(`^${proxy.url}/files/`));
});

test('kill -9 in the middle; the next run goes on at the server\'s offset, in the same upload', options, async (t) => {
	const tus = await startTus(t);
	const proxy = await startProxy(t, tus);
	const [dir, spool] = [tempDir(t), tempDir(t)];
	const files = put(dir, { 'take.webm': media(30_000_000, SEED) });
	const command = ['--tus', '--to', `${proxy.url}/files/`, '--spool', spool, '--tus-chunk', '2M', dir];
	for (let kills = 0; kills < 3; kills++) {
		const { toServer } = proxy;
		const send = new Sending(t, command);
		await until(() => proxy.toServer > toServer + 5_000_000, 20_000, 'bytes flow');
		await send.kill();
	}
	await new Sending(t, command).ended();
	assertWhole(tus, files);
	assert.equal(tus.count('POST'), 1);
	assert.ok(tus.count('HEAD') >= 3);
	assert.ok(proxy.toServer < 30_000_000 + 3 * 4_500_000, `${proxy.toServer} bytes were sent`);
});

test('what the server has forgotten begins anew; a file that changed between runs, too', options, async (t) => {
	const tus = await startTus(t);
	const proxy = await startProxy(t, tus);
	const [dir, spool] = [tempDir(t), tempDir(t)];
	const files = put(dir, { 'take.webm': media(20_000_000, SEED) });
	const command = ['--tus', '--to', `${proxy.url}/files`, '--spool', spool, '--tus-chunk', '1M', dir];
	const killed = new Sending(t, command);
	await until(() => proxy.toServer > 5_000_000, 20_000, 'bytes flow');
	await killed.kill();
	for (const name of readdirSync(tus.directory)) rmSync(join(tus.directory, name));
	await new Sending(t, command).ended();
	assertWhole(tus, files);
	files['take.webm'] = media(10_000_000, SEED + 1);
	const { toServer } = proxy;
	writeFileSync(join(dir, 'take.webm'), files['take.webm']);
	const again = new Sending(t, command);
	await until(() => proxy.toServer > toServer + 3_000_000, 20_000, 'bytes flow');
	await again.kill();
	files['take.webm'] = media(9_000_000, SEED + 2);
	writeFileSync(join(dir, 'take.webm'), files['take.webm']);
	await new Sending(t, command).ended();
	assert.ok(tus.whole().some(({ bytes }) => sha256(bytes) === sha256(files['take.webm'])));
});

test('answers that surprise: 409, 423, 500, 503', options, async (t) => {
	const tus = await startTus(t);
	const dir = tempDir(t);
	const files = put(dir, { 'take.webm': media(3_000_000, SEED) });
	const plan = [409, 423, 500, 503];
	tus.before = (request, response) => {
		if (request.method !== 'PATCH' || plan.length === 0) return false;
		response.writeHead(plan.shift(), { 'content-type': 'text/plain' });
		response.end('not now');
		return true;
	};
	const send = new Sending(t, ['--to', `${tus.url}/files`, '--spool', tempDir(t), dir]);
	await send.ended();
	assertWhole(tus, files);
	assert.equal(plan.length, 0);
	assert.ok(tus.count('HEAD') >= 3, 'it asks for the offset behind each');
});

test('a server that takes no large request: said so, and --tus-chunk serves', options, async (t) => {
	const tus = await startTus(t);
	const [dir, spool] = [tempDir(t), tempDir(t)];
	const files = put(dir, { 'take.webm': media(5_000_000, SEED), 'small.webm': media(1000, SEED) });
	tus.before = (request, response) => {
		if (request.method !== 'PATCH' || Number(request.headers['content-length']) <= 1024 * 1024) return false;
		response.writeHead(413, { connection: 'close' });
		response.end();
		return true;
	};
	const send = new Sending(t, ['--to', `${tus.url}/files`, '--spool', spool, dir]);
	const { saved, failed } = await send.ended(1);
	assert.deepEqual([saved, failed], [1, 1]);
	assert.match(send.of('failed')[0].error, /413.*--tus-chunk/);
	assert.equal((await new Sending(t, ['--to', `${tus.url}/files`, '--spool', spool, '--tus-chunk', '1M', dir]).ended()).saved, 1);
	assertWhole(tus, files);
	assert.equal(tus.count('POST'), 2);
});

test('Authorization; without it the run ends at once', options, async (t) => {
	const tus = await startTus(t);
	const dir = tempDir(t);
	const files = put(dir, manyFiles(40, SEED, 1000));
	tus.before = (request, response) => {
		if (request.method === 'OPTIONS' || request.headers.authorization === 'Bearer open sesame') return false;
		response.writeHead(401);
		response.end('who are you?\nreally');
		return true;
	};
	const refused = new Sending(t, ['--to', `${tus.url}/files`, '--spool', tempDir(t), dir]);
	const { failed, left } = await refused.ended(1);
	assert.ok(failed <= 8 && failed + left === 40);
	assert.match(refused.of('failed')[0].error, /unauthorized: .*401: who are you\?$/);
	await new Sending(t, ['--to', `${tus.url}/files`, '--spool', tempDir(t), '--token', 'open sesame', dir]).ended();
	assertWhole(tus, files);
});

test('our own /files/ while the server is killed; the same address without /files/ is asked nothing', options, async (t) => {
	const server = await startServer(t);
	const proxy = await startProxy(t, server);
	const dir = tempDir(t);
	const files = put(dir, { ...manyFiles(30, SEED, 200_000), 'large.webm': media(30_000_000, SEED), 'empty.webm': '' });
	const { token } = mint(server, 'record', '--subject', 'anna');
	const send = new Sending(t, [`${proxy.url}/files/`, '--spool', tempDir(t), '--token', token, dir]);
	for (let kills = 0; kills < 3; kills++) {
		const { toServer } = proxy;
		await until(() => proxy.toServer > toServer + 3_000_000 || send.of('summary').length, 20_000, 'bytes flow');
		await server.kill();
		await server.start();
	}
	assert.equal((await send.ended()).saved, 32);
	const there = (await recordings(server)).filter(({ phase }) => phase !== 'uploading');
	assert.deepEqual(new Set(there.map(({ owner }) => owner)), new Set(['anna']));
	// tus knows no way to ask for an upload whose creation was not answered: an empty file is whole by then, and is made once more
	const names = there.map(({ name }) => name).sort().filter((name, i, all) => name !== 'empty.webm' || all[i - 1] !== name);
	assert.deepEqual(names, Object.keys(files).sort());
	const takes = await startServer(t);
	await new Sending(t, [takes.url, '--spool', tempDir(t), dir]).ended();
	await assertEachOnce(takes, files);
});

test('an address that does not answer is asked again; the token goes to no other server', options, async (t) => {
	const [tus, other] = [await startTus(t), await startTus(t)];
	const proxy = await startProxy(t, tus);
	const dir = tempDir(t);
	const files = put(dir, { 'take.webm': 'bytes' });
	const seen = { tus: [], other: [] };
	tus.before = (request, response) => {
		seen.tus.push(request.headers.authorization);
		if (request.method !== 'POST') return false;
		fetch(`${other.url}/files`, { method: 'POST', headers: { 'tus-resumable': '1.0.0', 'upload-length': '5', 'upload-metadata': request.headers['upload-metadata'] } })
			.then((made) => response.writeHead(201, { 'tus-resumable': '1.0.0', location: made.headers.get('location') }).end());
		return true;
	};
	other.before = (request) => {
		seen.other.push(request.headers.authorization);
		return false;
	};
	proxy.mode = 'refuse';
	const send = new Sending(t, ['--to', `${proxy.url}/files`, '--spool', tempDir(t), '--token', 'secret', dir]);
	await until(() => send.of('note').some(({ message }) => /does not answer yet/.test(message)), 20_000, 'it says so');
	proxy.heal();
	await send.ended();
	assertWhole(other, files);
	assert.deepEqual(new Set(seen.tus), new Set(['Bearer secret']));
	assert.deepEqual(new Set(seen.other), new Set([undefined]));
});

test('a server behind a path that does not speak tus gets takes', options, async (t) => {
	const tus = await startTus(t);
	tus.before = (request, response) => {
		response.writeHead(404);
		response.end();
		return true;
	};
	const dir = tempDir(t);
	put(dir, { 'take.webm': 'bytes' });
	const send = new Sending(t, ['--to', `${tus.url}/studio`, '--spool', tempDir(t), dir]);
	await send.ended(1);
	assert.deepEqual(tus.requests, ['OPTIONS /studio', 'GET /studio/ws']);
});
