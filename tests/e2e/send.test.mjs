// `holdfast send`: files, and what ffmpeg records live, over links that drop, a server that dies, and its own death.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultyDisk } from './support/faults.mjs';
import { probe } from './support/page.mjs';
import { startProxy } from './support/proxy.mjs';
import { atEnd, BINARY, sharedServer, startServer, tempDir, until, within } from './support/server.mjs';
import { api, assertOriginal, isSealed, media, random, recording, sessionId, sha256 } from './support/wire.mjs';

const server = sharedServer();
const options = { timeout: 120_000 };
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);

/** One run of `holdfast send --json`; its lines stand in `lines` as they come. */
class Send {
	lines = [];
	errors = '';

	constructor(t, at, spool, ...args) {
		this.child = spawn(BINARY, ['send', '--to', at.url, '--spool', spool, '--json', ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
		this.child.stdin.on('error', () => {});
		let text = '';
		this.child.stdout.on('data', (data) => {
			text += data;
			const lines = text.split('\n');
			text = lines.pop();
			this.lines.push(...lines.map((line) => JSON.parse(line)));
		});
		this.child.stderr.on('data', (data) => {
			this.errors += data;
		});
		this.exited = new Promise((resolve) => this.child.on('close', (code, signal) => resolve({ code, signal })));
		atEnd(t, () => this.kill());
	}

	get safe() {
		return this.lines.findLast((line) => 'bytesSafe' in line)?.bytesSafe ?? 0;
	}

	async kill() {
		this.child.kill('SIGKILL');
		await this.exited;
	}

	/** It must end well; its last word: { id, bytes, sha256, url, reconnects }. */
	async saved(ms = 60_000) {
		const { code } = await within(this.exited, ms, `holdfast send to end; it said ${JSON.stringify(this.lines.slice(-3))}${this.errors}`);
		assert.equal(code, 0, JSON.stringify(this.lines.slice(-5)) + this.errors);
		return this.lines.findLast((line) => line.type === 'saved');
	}
}

/** A file of pseudo-random bytes, and they. */
function file(t, length) {
	const path = join(tempDir(t), 'take.bin');
	const bytes = media(length, SEED);
	writeFileSync(path, bytes);
	return { path, bytes };
}

/** ffmpeg that records a test picture and a tone in real time; what it writes goes to `send` and into `bytes`. */
class Ffmpeg {
	#chunks = [];

	constructor(t, send, seconds) {
		this.child = spawn('ffmpeg', ['-v', 'error', '-re', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25', '-re', '-f', 'lavfi', '-i', 'sine=440',
			'-t', String(seconds), '-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '2M', '-c:a', 'libopus',
			'-f', 'webm', '-cluster_time_limit', '500', '-flush_packets', '1', 'pipe:1'], { stdio: ['ignore', 'pipe', 'inherit'] });
		this.child.stdout.on('data', (data) => {
			this.#chunks.push(data);
			send.child.stdin.write(data);
		});
		this.child.stdout.on('end', () => send.child.stdin.end());
		atEnd(t, () => this.child.kill('SIGKILL'));
	}

	get bytes() {
		return Buffer.concat(this.#chunks);
	}
}

test('a file, with its name, type and checksum', options, async (t) => {
	const path = join(tempDir(t), 'take one.webm');
	execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25', '-t', '3', '-c:v', 'libvpx', '-cpu-used', '8', path]);
	const saved = await new Send(t, server, tempDir(t), path).saved();
	const bytes = readFileSync(path);
	assert.equal(saved.sha256, sha256(bytes));
	await assertOriginal(server, saved.id, bytes);
	const state = await recording(server, saved.id);
	assert.equal(state.name, 'take one.webm');
	assert.equal(state.mime, 'video/webm');
	assert.ok(isSealed(state), state.phase);
	await probe(t, bytes);
});

test('ffmpeg, live, over a link that is cut at random moments', options, async (t) => {
	const chance = random(SEED);
	const proxy = await startProxy(t, server);
	const send = new Send(t, proxy, tempDir(t), '-', '--name', 'On air');
	const ffmpeg = new Ffmpeg(t, send, 8);
	for (let cuts = 0; cuts < 6; cuts++) await proxy.cutAfter(1 + Math.floor(chance() * 100_000));
	const saved = await send.saved();
	assert.ok(saved.reconnects >= 3, JSON.stringify(saved));
	await assertOriginal(server, saved.id, ffmpeg.bytes);
	const streams = await probe(t, ffmpeg.bytes);
	assert.deepEqual(streams.map(({ codec_name: name, codec_type: type }) => [type, name]), [['audio', 'opus'], ['video', 'vp8']]);
	assert.equal((await recording(server, saved.id)).name, 'On air');
});

test('ffmpeg, live, while the server is killed and started again', options, async (t) => {
	const own = await startServer(t);
	const send = new Send(t, own, tempDir(t), '-');
	const ffmpeg = new Ffmpeg(t, send, 10);
	for (let kills = 0; kills < 4; kills++) {
		const { safe } = send;
		await until(() => send.safe > safe + 50_000, 20_000, 'bytes are safe');
		await own.kill();
		await own.start();
	}
	const saved = await send.saved();
	assert.equal(saved.sha256, sha256(ffmpeg.bytes));
	await assertOriginal(own, saved.id, ffmpeg.bytes);
	await probe(t, ffmpeg.bytes);
	assert.equal((await recording(own, saved.id)).interrupted, false);
});

test('a half-open link, and a server that stands still', options, async (t) => {
	const own = await startServer(t, { args: ['--heartbeat', '1s'] });
	const proxy = await startProxy(t, own);
	const send = new Send(t, proxy, tempDir(t), '-');
	const ffmpeg = new Ffmpeg(t, send, 25); // a connection made into the black hole takes 10 s to be given up
	await until(() => send.safe > 50_000, 20_000, 'bytes are safe');
	proxy.mode = 'blackhole';
	const before = proxy.connections;
	await until(() => proxy.connections > before, 20_000, 'the sender notices and connects again');
	proxy.heal();
	const { safe } = send;
	await until(() => send.safe > safe, 20_000, 'it goes on');
	own.signal('SIGSTOP');
	const now = proxy.connections;
	await until(() => proxy.connections > now, 30_000, 'the sender notices and connects again');
	own.signal('SIGCONT');
	const saved = await send.saved();
	await assertOriginal(own, saved.id, ffmpeg.bytes);
});

test('a file is gone on with after kill -9 of the sender, five times', options, async (t) => {
	const { path, bytes } = file(t, 60_000_000);
	const spool = tempDir(t);
	const disk = faultyDisk(t);
	const own = await startServer(t, { env: disk.env });
	disk.set('slow 30'); // so that there is something left to kill
	for (let kills = 0, safe = 0; kills < 5; kills++) {
		const send = new Send(t, own, spool, path);
		await until(() => send.safe > safe, 20_000, 'bytes are safe');
		safe = send.safe;
		await send.kill();
	}
	disk.set('');
	const saved = await new Send(t, own, spool, path).saved();
	assert.equal(saved.sha256, sha256(bytes));
	await assertOriginal(own, saved.id, bytes);
	const { body } = await api(own, '/api/recordings');
	assert.equal(body.items.length, 1, 'one take, one recording');
	assert.equal(body.items[0].revision, 1);
});

test('standard input: what was read before kill -9 of the sender is finished by the next run', options, async (t) => {
	const spool = tempDir(t);
	const proxy = await startProxy(t, server);
	const bytes = media(3_000_000, SEED);
	const send = new Send(t, proxy, spool, '-', '--session', sessionId());
	send.child.stdin.write(bytes.subarray(0, 1_000_000));
	await until(() => send.safe === 1_000_000, 20_000, 'the first part is safe');
	proxy.mode = 'refuse';
	proxy.cut();
	send.child.stdin.write(bytes.subarray(1_000_000));
	await until(() => send.lines.some((line) => line.bytesRead === bytes.length), 20_000, 'all of it is read');
	await send.kill();
	const saved = await new Send(t, server, spool).saved();
	if (saved === undefined) { // takes are kept by the address they were begun for
		proxy.heal();
		const again = await new Send(t, proxy, spool).saved();
		assert.equal(again.bytes, bytes.length);
		await assertOriginal(server, again.id, bytes);
	} else {
		await assertOriginal(server, saved.id, bytes);
	}
});

test('at most 4 MiB are unacknowledged', options, async (t) => {
	const disk = faultyDisk(t);
	const own = await startServer(t, { env: disk.env });
	const proxy = await startProxy(t, own);
	const { path, bytes } = file(t, 30_000_000);
	disk.set('slow 30');
	const send = new Send(t, proxy, tempDir(t), path);
	await until(() => send.safe > 0, 20_000, 'it has begun');
	disk.set('hold');
	let before = -1;
	await until(() => { // nothing goes on any more
		const still = proxy.toServer === before;
		before = proxy.toServer;
		return still && new Promise((resolve) => setTimeout(() => resolve(proxy.toServer === before), 500));
	}, 20_000, 'the sender waits');
	assert.ok(proxy.toServer < bytes.length, 'the file was not sent whole');
	const { body } = await api(own, '/api/recordings');
	const unacked = proxy.toServer - body.items[0].bytes;
	assert.ok(unacked < 4 * 1024 * 1024 + 0.01 * proxy.toServer, `${unacked} bytes, frames and all`);
	disk.set('');
	const saved = await send.saved();
	assert.equal(saved.sha256, sha256(bytes));
});

test('without --json, plain lines; a server that is not there is told and waited for', options, async (t) => {
	const proxy = await startProxy(t, server);
	proxy.mode = 'refuse';
	const { path, bytes } = file(t, 100_000);
	const child = spawn(BINARY, ['send', '--to', proxy.url, '--spool', tempDir(t), path], { stdio: ['ignore', 'pipe', 'pipe'] });
	atEnd(t, () => child.kill('SIGKILL'));
	let [out, errors] = ['', ''];
	child.stdout.on('data', (data) => {
		out += data;
	});
	child.stderr.on('data', (data) => {
		errors += data;
	});
	const exited = new Promise((resolve) => child.on('close', resolve));
	await until(() => /next try in \d+ s|connecting/.test(errors), 10_000, 'it says that it waits');
	proxy.heal();
	assert.equal(await within(exited, 30_000, 'the end'), 0);
	assert.match(out, new RegExp(`^saved .*: 100000 bytes, id [0-9a-f-]{36}, sha256 ${sha256(bytes)}`));
	assert.doesNotMatch(errors, /\x1b|\r/, 'no terminal control where there is no terminal');
});
