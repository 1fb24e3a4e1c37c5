// Starting, stopping and the command line.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { atEnd, BINARY, Server, startServer, tempDir } from './support/server.mjs';
import { assertOriginal, media, recording, sessionId, wire } from './support/wire.mjs';

const options = { timeout: 120_000 };

test('it listens within 10 s of its first start, with the full journal, and says where to record', options, async (t) => {
	const server = await startServer(t, { args: ['--journal-size', '1G'] });
	assert.ok(server.startedMs < 10_000, `${server.startedMs} ms`);
	assert.ok(server.output.includes(`http://127.0.0.1:${server.port}/record`));
	t.diagnostic(`first start: ${server.startedMs.toFixed(0)} ms`);
});

test('recovery after a crash is quick, also with the journal full of a take', options, async (t) => {
	const server = await startServer(t);
	const w = await wire(t, server);
	const session = sessionId();
	const { id } = await w.start({ sessionId: session });
	const bytes = media(100_000_000);
	for (let at = 0; at < bytes.length; at += 8192) {
		w.binary(bytes.subarray(at, at + 8192));
		if (at - w.acked > 8_000_000) await w.untilAcked(at - 4_000_000);
	}
	await w.untilAcked(bytes.length, 60_000);
	await server.kill();
	await server.start();
	t.diagnostic(`start after a crash with 100 MB sent: ${server.startedMs.toFixed(0)} ms`);
	assert.ok(server.startedMs < 10_000, `${server.startedMs} ms`);
	assert.equal((await recording(server, id)).bytes, bytes.length);
	await assertOriginal(server, id, bytes);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
	test(`${signal} ends it cleanly, with a take on the link that goes on afterwards`, options, async (t) => {
		const server = await startServer(t);
		const session = sessionId();
		const w = await wire(t, server);
		const { id } = await w.start({ sessionId: session });
		w.binary(media(100_000));
		await w.untilAcked(100_000);
		const ended = server.stop(signal);
		assert.equal((await w.error('shutting_down')).retry, true);
		await w.closed;
		assert.deepEqual(await ended, { code: 0, signal: null });
		await server.start();
		const again = await wire(t, server);
		assert.equal((await again.start({ sessionId: session })).bytes, 100_000);
		again.send({ type: 'end', totalBytes: 100_000 });
		await again.next('saved');
		await assertOriginal(server, id, media(100_000));
		assert.equal((await server.stop(signal)).code, 0);
	});
}

test('a data directory has one server', options, async (t) => {
	const server = await startServer(t);
	const second = new Server({ dataDir: server.dataDir });
	atEnd(t, () => second.kill());
	await assert.rejects(second.start(), /the server ended/);
	assert.notEqual((await second.exited).code, 0);
	assert.match(second.output, /another process/i);
	await recording(server, (await (await wire(t, server)).start({ sessionId: sessionId() })).id);
});

test('a port that is taken, an address that is not loopback, a directory that is a file', options, async (t) => {
	const dir = tempDir(t);
	const taken = net.createServer();
	await new Promise((resolve) => taken.listen(0, '127.0.0.1', resolve));
	atEnd(t, () => taken.close());
	writeFileSync(join(dir, 'file'), '');
	for (const args of [['--data', join(dir, 'a'), '--listen', `127.0.0.1:${taken.address().port}`],
		['--data', join(dir, 'b'), '--listen', '0.0.0.0:0'], ['--data', join(dir, 'file'), '--listen', '127.0.0.1:0']]) {
		const { status, stderr } = spawnSync(BINARY, ['serve', '--journal-size', '256M', ...args], { encoding: 'utf8', timeout: 15_000 });
		assert.ok(status > 0, `${args}: status ${status}`);
		assert.match(stderr, /\S/);
	}
});

test('--help, --version and wrong options answer as a GNU program does', options, (t) => {
	const run = (...args) => spawnSync(BINARY, args, { encoding: 'utf8', timeout: 15_000 });
	for (const args of [['--help'], ['serve', '--help'], ['send', '--help'], ['verify', '--help']]) {
		const { status, stdout, stderr } = run(...args);
		assert.equal(status, 0, args.join(' '));
		assert.match(stdout, /^Usage: holdfast/);
		assert.equal(stderr, '');
	}
	const help = run('serve', '--help').stdout;
	for (const option of ['data', 'listen', 'grace', 'heartbeat', 'late-resume', 'memory', 'journal-size', 'config']) assert.match(help, new RegExp(`--${option}`));
	assert.match(run('--version').stdout, /^holdfast .*\d+\.\d+\.\d+/);
	for (const args of [['serve', '--nonsense'], ['serve', '--grace', 'soon', '--data', tempDir(t)], ['serve', '--grace'], ['nonsense'], [], ['send']]) {
		const { status, stdout, stderr } = run(...args);
		assert.ok(status === 1 || status === 2, `${args}: ${status}`);
		assert.equal(stdout, '');
		assert.match(stderr, /Try 'holdfast.* --help'/, args.join(' '));
	}
});

test('options come from the command line, then the environment, then the file', options, async (t) => {
	const dir = tempDir(t);
	const config = join(dir, 'holdfast.ini');
	writeFileSync(config, '# a comment\ngrace = 7s\nheartbeat = 5s\n');
	const grace = async (args, env) => {
		mkdirSync(join(dir, 'data'), { recursive: true });
		const server = await startServer(t, { dataDir: join(dir, 'data'), args, env });
		const { graceMs, heartbeatMs } = await (await wire(t, server)).start({ sessionId: sessionId() });
		await server.stop();
		return [graceMs, heartbeatMs];
	};
	assert.deepEqual(await grace(['--config', config]), [7000, 5000]);
	assert.deepEqual(await grace(['--config', config], { HOLDFAST_GRACE: '8s' }), [8000, 5000]);
	assert.deepEqual(await grace(['--config', config, '--grace', '9s'], { HOLDFAST_GRACE: '8s' }), [9000, 5000]);
});
