// `holdfast verify` on what was made of takes: published files, originals that retention took, recordings that were
// fetched; what holds is said to hold, damage is named, and a catalog that is made again knows all of it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { file, phase, take, webm } from './support/finishing.mjs';
import { BINARY, startServer, tempDir, until } from './support/server.mjs';
import { bytesOf, file as answerFile, startSource } from './support/source.mjs';
import { api, media, recording } from './support/wire.mjs';

const options = { timeout: 300_000 };

function verify(dir, ...args) {
	const { status, stdout, stderr } = spawnSync(BINARY, ['verify', '--data', dir, ...args], { encoding: 'utf8', timeout: 60_000 });
	return { status, stdout, stderr };
}

function holds({ status, stdout, stderr }, recordings) {
	assert.equal(status, 0, stdout + stderr);
	assert.match(stdout.trim().split('\n').at(-1), new RegExp(`^${recordings} recordings?, \\d+ bytes, all hold$`));
}

/** What a restart must not change of a recording. */
const lasting = ({ attached, updatedAt, graceLeftMs, attempt, progress, warnings, ...rest }) => rest;

const body = async (server, id) => (await file(server, id)).bytes;

test('published files hold, and what is missing or damaged of them is named', options, async (t) => {
	const server = await startServer(t, { workers: 1 });
	const id = await take(t, server, webm(2));
	const asIs = await take(t, server, media(50_000, 1));
	assert.equal((await phase(server, id, 'complete')).file.thumbnail, true);
	assert.equal((await phase(server, asIs, 'complete')).file.asIs, true);
	await server.stop();
	const dir = server.dataDir;
	holds(verify(dir), 2);
	const folder = join(dir, 'media', id, '1');
	const facts = JSON.parse(readFileSync(join(folder, 'media.json')));
	const name = join(folder, `file.${facts.ext}`);
	const damages = {
		'no file': [() => rmSync(name), /revision 1 was published, and its file is missing/],
		'a shorter file': [() => truncateSync(name, facts.bytes - 1), /revision 1 was published, and its file has another size/],
		'no thumbnail': [() => rmSync(join(folder, 'thumbnail.jpg')), /its thumbnail is missing/],
		'no waveform': [() => rmSync(join(folder, 'waveform.json')), /its waveform is missing/],
		'no facts': [() => rmSync(join(folder, 'media.json')), /its media.json is missing or unreadable/],
		'facts that are none': [() => writeFileSync(join(folder, 'media.json'), '{'), /its media.json is missing or unreadable/],
		'facts of another file': [() => writeFileSync(join(folder, 'media.json'), JSON.stringify({ ...facts, bytes: facts.bytes + 1 })), /its media.json says something else/],
		'no folder': [() => rmSync(folder, { recursive: true }), /its media.json is missing or unreadable/],
		'no media at all': [() => rmSync(join(dir, 'media'), { recursive: true }), /its media.json is missing or unreadable/],
	};
	const sound = join(tempDir(t), 'sound');
	cpSync(dir, sound, { recursive: true });
	for (const [what, [damage, said]] of Object.entries(damages)) {
		damage();
		const { status, stdout } = verify(dir);
		assert.equal(status, 1, what);
		assert.match(stdout, said, what);
		assert.match(stdout, new RegExp(`^${id}: `, 'm'), what);
		rmSync(dir, { recursive: true });
		cpSync(sound, dir, { recursive: true });
	}
	// the spool of what is served as it came is its file
	truncateSync(join(dir, 'spool', asIs, '0'), 49_999);
	assert.match(verify(dir).stdout, new RegExp(`^${asIs}: `, 'm'));
});

test('a catalog that is made again knows what was published; what is not whole is made again', options, async (t) => {
	const server = await startServer(t, { workers: 1 });
	const id = await take(t, server, webm(2), { name: 'Kept' });
	const asIs = await take(t, server, media(50_000, 1));
	const broken = await take(t, server, webm(1));
	for (const one of [id, asIs, broken]) await phase(server, one, 'complete');
	const before = await Promise.all([id, asIs, broken].map((one) => recording(server, one)));
	const bytes = await Promise.all([id, asIs, broken].map((one) => body(server, one)));
	await server.stop();
	const dir = server.dataDir;
	for (const suffix of ['', '-wal', '-shm']) rmSync(join(dir, `catalog.db${suffix}`), { force: true });
	truncateSync(join(dir, 'media', broken, '1', `file.${before[2].file.mime.includes('webm') ? 'webm' : 'mkv'}`), 10);
	holds(verify(dir, '--rebuild'), 3);
	holds(verify(dir), 3);
	await server.start();
	await phase(server, broken, 'complete');
	for (const [i, one] of [id, asIs, broken].entries()) {
		assert.deepEqual(lasting(await recording(server, one)), lasting(before[i]));
		assert.ok((await body(server, one)).equals(bytes[i]));
	}
	await server.stop();
	holds(verify(dir), 3);
});

test('originals that retention took are not missed, nor by a catalog that is made again', options, async (t) => {
	const server = await startServer(t, { workers: 1, args: ['--retain-originals', '0'] });
	const id = await take(t, server, webm(2));
	const asIs = await take(t, server, media(50_000, 1));
	await phase(server, id, 'complete');
	await phase(server, asIs, 'complete');
	const dir = server.dataDir;
	const spool = join(dir, 'spool', id, '0');
	await until(() => !existsSync(spool), 60_000, 'the original is removed');
	const before = await until(async () => (await recording(server, id)).originalRemoved && recording(server, id), 5000, 'it is said');
	const bytes = await body(server, id);
	const original = await api(server, `/api/recordings/${id}/original`);
	assert.equal(original.status, 410);
	assert.equal(original.body.code, 'original_removed');
	assert.equal((await file(server, asIs)).status, 200, 'what is served as it came keeps its bytes');
	await server.kill();
	holds(verify(dir), 2);
	await server.start();
	await server.stop();
	holds(verify(dir), 2);
	for (const suffix of ['', '-wal', '-shm']) rmSync(join(dir, `catalog.db${suffix}`), { force: true });
	holds(verify(dir, '--rebuild'), 2);
	await server.start();
	assert.deepEqual(lasting(await recording(server, id)), lasting(before));
	assert.ok((await body(server, id)).equals(bytes));
	assert.equal((await api(server, `/api/recordings/${id}/original`)).status, 410);
	await server.stop();
	holds(verify(dir), 2);
	// without its file nothing is left of it, and that is said
	rmSync(join(dir, 'media', id), { recursive: true });
	const { status, stdout } = verify(dir);
	assert.equal(status, 1);
	assert.match(stdout, new RegExp(`^${id}: `, 'm'));
});

test('recordings that are fetched: those that are whole, that wait, and whose source is gone', options, async (t) => {
	const sound = webm(2, { video: false });
	const source = await startSource(t, (request, response, n) => {
		if (request.url === '/gone') response.writeHead(404).end();
		else if (request.url === '/half') {
			response.writeHead(200, { 'Content-Length': 100_000, ETag: '"h"' });
			response.write(bytesOf(60_000));
		} else answerFile(sound, { mime: 'audio/webm' })(request, response, n);
	});
	const server = await startServer(t, { workers: 1, args: ['--fetch-allow', '127.0.0.0/8', '--fetch-http'] });
	const add = async (path, fields = {}) => {
		const response = await fetch(`${server.url}/api/recordings`, {
			method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ sourceUrl: source.url(path), ref: path.slice(1), ...fields }),
		});
		assert.equal(response.status, 201);
		return (await response.json()).id;
	};
	const whole = await add('/whole');
	const waits = await add('/waits', { fetch: 'on_demand' });
	const gone = await add('/gone');
	const half = await add('/half');
	await phase(server, whole, 'complete');
	await phase(server, gone, 'error');
	await until(async () => (await recording(server, half)).bytes === 60_000, 10_000, 'half of it is there');
	const before = await Promise.all([whole, waits].map((id) => recording(server, id)));
	const bytes = await body(server, whole);
	const dir = server.dataDir;
	await server.kill();
	holds(verify(dir), 4);
	await server.start();
	await until(async () => (await recording(server, half)).bytes === 60_000, 10_000, 'half of it is there');
	await server.stop();
	holds(verify(dir), 4);
	for (const suffix of ['', '-wal', '-shm']) rmSync(join(dir, `catalog.db${suffix}`), { force: true });
	holds(verify(dir, '--rebuild'), 4);
	await server.start();
	for (const [i, id] of [whole, waits].entries()) assert.deepEqual(lasting(await recording(server, id)), lasting(before[i]));
	assert.ok((await body(server, whole)).equals(bytes));
	assert.equal((await recording(server, 'ref:waits')).id, waits);
	await phase(server, gone, 'error'); // it is asked again, and says so again
	assert.equal((await file(server, waits)).status, 202);
	await phase(server, waits, 'complete');
	assert.ok((await body(server, waits)).equals(bytes));
	await server.stop();
	holds(verify(dir), 4);
});
