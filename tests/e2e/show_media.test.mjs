// Shows of real media: what the listeners hear decodes, also behind a restart and over a version that failed.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { diskOrSkip } from './support/disk.mjs';
import { webm } from './support/finishing.mjs';
import { atEnd, startServer, tempDir, until } from './support/server.mjs';
import { hostWire, recording, sessionId } from './support/wire.mjs';

const options = { timeout: 120_000 };

/** Sends a file at so many bytes a second, from where the server says; the host's stream, whatever the connection. */
class Host {
	constructor(t, server, show, bytes, rate) {
		Object.assign(this, { t, server, show, bytes, rate, session: sessionId() });
	}

	async start() {
		this.wire = await hostWire(this.t, this.server);
		const from = this.position === undefined ? 0 : this.wire.acked;
		const started = await this.wire.start({ show: this.show, sessionId: this.session, mime: 'audio/webm', from: this.kept ?? from });
		this.position = started.bytes;
		this.timer = setInterval(() => {
			const end = Math.min(this.bytes.length, this.position + Math.ceil(this.rate / 50));
			if (end > this.position) this.wire.binary(this.bytes.subarray(this.position, end));
			this.position = end;
		}, 20);
		atEnd(this.t, () => clearInterval(this.timer));
		return started;
	}

	async lose() {
		clearInterval(this.timer);
		this.kept = this.wire.acked;
		await this.wire.cut();
	}
}

/** What a listener hears within so many ms; the connection's end ends it, too. */
async function listen(server, show, ms) {
	const stop = new AbortController();
	const response = await fetch(`${server.url}/live/${show}`, { signal: stop.signal });
	assert.equal(response.status, 200);
	const pieces = [];
	const timer = setTimeout(() => stop.abort(), ms);
	try {
		for await (const piece of response.body) pieces.push(piece);
	} catch (error) {
		if (error.name !== 'AbortError') throw error;
	} finally {
		clearTimeout(timer);
	}
	return { type: response.headers.get('content-type'), bytes: Buffer.concat(pieces) };
}

/** Seconds of sound that decode without a complaint. */
function heard(t, bytes) {
	const path = join(tempDir(t), 'heard.webm');
	writeFileSync(path, bytes);
	const { status, stderr } = spawnSync('ffmpeg', ['-nostdin', '-v', 'error', '-i', path, '-f', 'null', '-'], { encoding: 'utf8' });
	// whoever stops listening does so amid a block
	const errors = stderr.split('\n').filter((line) => line && !line.endsWith('File ended prematurely'));
	assert.deepEqual([status, errors], [0, []], 'it decodes');
	const probe = execFileSync('ffprobe', ['-v', 'error', '-show_entries', 'packet=duration_time', '-of', 'csv=p=0', path]).toString();
	return probe.split('\n').reduce((sum, line) => sum + (Number(line.replace(',', '')) || 0), 0);
}

test('a show goes on behind a restart, with its header', options, async (t) => {
	const server = await startServer(t);
	const bytes = webm(60, { video: false });
	const host = new Host(t, server, 'morning', bytes, bytes.length / 10); // six times as fast as it plays
	const { id } = await host.start();
	const before = await listen(server, 'morning', 2500);
	assert.match(before.type, /^audio\/webm/);
	assert.ok(heard(t, before.bytes) > 5);
	await host.lose();
	await server.kill();
	await server.start();
	const again = await host.start();
	assert.deepEqual([again.id, again.version], [id, 1]);
	const after = await until(() => listen(server, 'morning', 2500).catch(() => null), 10_000, 'on air again');
	assert.match(after.type, /^audio\/webm/);
	assert.ok(heard(t, after.bytes) > 5);
	await until(() => host.position === bytes.length, 30_000, 'all is sent');
	host.wire.send({ type: 'end', totalBytes: bytes.length });
	const saved = await host.wire.next('saved', 10_000);
	assert.equal(saved.bytes, bytes.length);
});

test('the version behind a failure begins with the header and plays', options, async (t) => {
	const disk = diskOrSkip(t, 500);
	if (!disk) return;
	const ballast = join(disk.path, 'ballast');
	const server = await startServer(t, { dataDir: join(disk.path, 'data') });
	const bytes = webm(120, { video: false });
	const host = new Host(t, server, 'morning', bytes, bytes.length / 20);
	await host.start();
	await until(() => host.wire.acked > 10_000, 10_000, 'acked');
	const free = Number(execFileSync('df', ['--output=avail', '-B1', disk.path]).toString().split('\n')[1]);
	execFileSync('fallocate', ['-l', String(free - 4_000_000), ballast]);
	const listening = listen(server, 'morning', 14_000);
	await until(() => host.wire.statuses.some((s) => s.recording === 'recording_failed'), 40_000, 'recording_failed');
	rmSync(ballast);
	const moved = await host.wire.next('moved', 30_000);
	await until(() => host.wire.acked > moved.from + 20_000, 20_000, 'acked again');
	host.wire.send({ type: 'stop' });
	assert.equal((await host.wire.next('stopped', 10_000)).id, moved.id);
	const state = await recording(server, moved.id);
	assert.equal(state.version, 2);
	const original = Buffer.from(await (await fetch(`${server.url}/api/recordings/${moved.id}/original`)).arrayBuffer());
	assert.ok(heard(t, original) > 1, 'the recording plays from its first byte');
	assert.ok(heard(t, (await listening).bytes) > 10, 'listeners noticed nothing');
});
