// `holdfast verify`: what holds is said to hold, also while only the journal has it; what was damaged is found; the
// catalog is made again.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, cpSync, existsSync, openSync, readdirSync, readFileSync, readSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BINARY, startServer, tempDir } from './support/server.mjs';
import { api, assertOriginal, media, recording, sessionId, wire } from './support/wire.mjs';

const options = { timeout: 120_000 };

/** kill -9 leaves the socket file behind, which can't be copied. */
const noSocket = (path) => !path.endsWith('control.sock');

function verify(dir, ...args) {
	const { status, stdout, stderr } = spawnSync(BINARY, ['verify', '--data', dir, ...args], { encoding: 'utf8', timeout: 60_000 });
	return { status, stdout, stderr };
}

async function take(t, server, bytes, { end = true, ...start } = {}) {
	const w = await wire(t, server);
	const { id, sessionId: session } = await w.start({ sessionId: sessionId(), ...start });
	for (let at = 0; at < bytes.length; at += 60_000) w.binary(bytes.subarray(at, at + 60_000));
	await w.untilAcked(bytes.length);
	if (end) {
		w.send({ type: 'end', totalBytes: bytes.length });
		await w.next('saved');
	}
	return { id, session };
}

/** Two sealed takes and an open one. */
async function filled(t) {
	const server = await startServer(t);
	const first = await take(t, server, media(500_000, 1), { name: 'First' });
	const second = await take(t, server, media(70_000, 2));
	const open = await take(t, server, media(300_000, 3), { end: false });
	return { server, dir: server.dataDir, first, second, open };
}

function holds({ status, stdout, stderr }, recordings, bytes) {
	assert.equal(status, 0, stdout + stderr);
	assert.equal(stdout.trim().split('\n').at(-1), `${recordings} recordings, ${bytes} bytes, all hold`);
}

function flip(path, at) {
	const file = openSync(path, 'r+');
	const byte = Buffer.alloc(1);
	readSync(file, byte, 0, 1, at);
	byte[0] ^= 0x10;
	writeSync(file, byte, 0, 1, at);
	closeSync(file);
}

test('all holds: after a clean stop, and after kill -9 with the bytes in the journal only', options, async (t) => {
	const { server, dir, first, open } = await filled(t);
	const busy = verify(dir);
	assert.equal(busy.status, 1);
	assert.match(busy.stderr, /another process, probably a server, uses .*; stop it first/);
	await server.kill();
	const copy = join(tempDir(t), 'copy');
	cpSync(dir, copy, { recursive: true, filter: noSocket });
	holds(verify(dir), 3, 870_000);
	// it changed nothing: the files are those of the copy
	for (const name of readdirSync(join(copy, 'journal')))
		assert.ok(readFileSync(join(dir, 'journal', name)).equals(readFileSync(join(copy, 'journal', name))), name);
	assert.deepEqual(readdirSync(dir).filter(noSocket).sort(), readdirSync(copy).sort());
	await server.start();
	const w = await wire(t, server);
	assert.equal((await w.start({ sessionId: open.session })).bytes, 300_000);
	await assertOriginal(server, first.id, media(500_000, 1));
	await server.stop();
	holds(verify(dir), 3, 870_000);
	const json = verify(dir, '--json').stdout.trim().split('\n').map((line) => JSON.parse(line));
	assert.deepEqual(json, [{ type: 'summary', recordings: 3, bytes: 870_000, problems: 0 }]);
});

test('damage is found and named', options, async (t) => {
	const { server, dir, first, second, open } = await filled(t);
	await server.stop();
	const spool = (take) => join(dir, 'spool', take.id);
	const damages = {
		'a flipped bit': [() => flip(join(spool(first), '0'), 499_999), new RegExp(`^${first.id}: .*SHA-256 is not the one`, 'm')],
		'a spool cut short': [() => truncateSync(join(spool(second), '0'), 69_999), new RegExp(`^${second.id}: track 0: bytes 69999 to 70000 are missing`, 'm')],
		'an open take cut short': [() => truncateSync(join(spool(open), '0'), 0), new RegExp(`^${open.id}: track 0: bytes 0 to 300000 are missing`, 'm')],
		'a lost folder': [() => rmSync(spool(second), { recursive: true }), new RegExp(`^${second.id}: .*folder is missing`, 'm')],
		'a manifest that is none': [() => writeFileSync(join(spool(first), 'recording.json'), '{}'), new RegExp(`^${first.id}: .*recording.json`, 'm')],
		'no catalog': [() => rmSync(join(dir, 'catalog.db')), /^the catalog can't be read .*--rebuild makes it again/m],
		'a catalog that is none': [() => writeFileSync(join(dir, 'catalog.db'), 'x'.repeat(10_000)), /^the catalog can't be read/m],
	};
	const sound = join(tempDir(t), 'sound');
	cpSync(dir, sound, { recursive: true });
	for (const [what, [damage, said]] of Object.entries(damages)) {
		damage();
		const { status, stdout, stderr } = verify(dir);
		assert.equal(status, 1, what);
		assert.match(stdout, said, what + stderr);
		assert.match(stdout, /\d+ recordings?, \d+ bytes, \d+ problems?\n$/);
		rmSync(dir, { recursive: true });
		cpSync(sound, dir, { recursive: true });
	}
	holds(verify(dir), 3, 870_000);
});

test('a damaged record that was acknowledged is found', options, async (t) => {
	const { server, dir } = await filled(t);
	await server.kill();
	const marker = media(500_000, 1).subarray(100_000, 100_064);
	const segment = readdirSync(join(dir, 'journal')).map((name) => join(dir, 'journal', name)).find((path) => readFileSync(path).includes(marker));
	assert.ok(segment, 'the take stands in the journal');
	flip(segment, readFileSync(segment).indexOf(marker));
	const { status, stdout } = verify(dir);
	assert.equal(status, 1);
	assert.match(stdout, /^the journal's records \d+ to \d+ were durable and are damaged$/m);
});

test('--rebuild makes a broken catalog again, from the folders and the journal', options, async (t) => {
	for (const ending of ['stop', 'kill']) {
		const { server, dir, first, open } = await filled(t);
		const before = (await api(server, '/api/recordings')).body.items.map(({ attached, updatedAt, graceLeftMs, tracks, ...item }) => item);
		await server[ending]();
		writeFileSync(join(dir, 'catalog.db'), 'broken'.repeat(5000));
		rmSync(join(dir, 'catalog.db-wal'), { force: true });
		await assert.rejects(server.start(), /verify --rebuild/);
		const rebuilt = verify(dir, '--rebuild');
		holds(rebuilt, 3, 870_000);
		const aside = readdirSync(dir).filter((name) => /^catalog\.db\.\d{8}T\d{6}Z$/.test(name));
		assert.equal(aside.length, 1, 'the old catalog is kept');
		assert.ok(readFileSync(join(dir, aside[0])).toString().startsWith('broken'));
		holds(verify(dir), 3, 870_000);
		await server.start();
		const after = (await api(server, '/api/recordings')).body.items.map(({ attached, updatedAt, graceLeftMs, tracks, ...item }) => item);
		assert.deepEqual(after, before, ending);
		const w = await wire(t, server);
		assert.equal((await w.start({ sessionId: open.session })).bytes, 300_000);
		w.binary(media(10, 4));
		w.send({ type: 'end', totalBytes: 300_010 });
		await w.next('saved');
		await assertOriginal(server, first.id, media(500_000, 1));
		assert.equal((await recording(server, first.id)).name, 'First');
	}
});

test('a directory that is none', options, (t) => {
	const dir = tempDir(t);
	const { status, stderr } = verify(join(dir, 'nothing'));
	assert.equal(status, 1);
	assert.match(stderr, /is no directory/);
	assert.ok(!existsSync(join(dir, 'nothing')), 'none was made');
	holds(verify(dir), 0, 0);
});
