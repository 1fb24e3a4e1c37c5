// A disk that really is full, and gets space again.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { diskOrSkip } from './support/disk.mjs';
import { file, longWebm, phase, take } from './support/finishing.mjs';
import { startServer, tempDir, until } from './support/server.mjs';
import { Taker } from './support/taker.mjs';
import { api, media, recording, sessionId, wire } from './support/wire.mjs';

test('a disk fills up under running takes; they go on when there is space', { timeout: 120_000 }, async (t) => {
	const disk = diskOrSkip(t, 700);
	if (!disk) return;
	const ballast = join(disk.path, 'ballast');
	execFileSync('fallocate', ['-l', '250M', ballast]);
	const server = await startServer(t, { dataDir: join(disk.path, 'data'), args: ['--grace', '1s'] });
	const takers = [1, 2].map((n) => {
		const taker = new Taker(t, server);
		let piece = 0;
		taker.feed(() => media(500_000, ++piece * 8 + n), 10);
		return taker;
	});
	await takers[0].when((sender) => sender.reason === 'storage_full', 60_000, 'storage_full');
	for (const taker of takers) taker.stop();
	const w = await wire(t, server);
	w.send({ type: 'start', sessionId: sessionId(), mime: 'video/webm', ext: 'webm' });
	assert.equal((await w.error('storage_full')).retry, true);
	rmSync(ballast);
	for (const taker of takers) {
		taker.push(media(1_000_000));
		await taker.finish(server, 60_000);
	}
});

test('no room for the finished file: it waits, no attempt is counted, and it is made when there is space', { timeout: 120_000 }, async (t) => {
	const disk = diskOrSkip(t, 800);
	if (!disk) return;
	const bytes = readFileSync(longWebm(join(tempDir(t), 'long.webm'), 240));
	const server = await startServer(t, { dataDir: join(disk.path, 'data'), workers: 0 });
	const id = await take(t, server, bytes);
	await server.stop();
	const free = Number(execFileSync('df', ['--output=avail', '-B1', disk.path]).toString().split('\n')[1]);
	const ballast = join(disk.path, 'ballast');
	execFileSync('fallocate', ['-l', String(free - 80_000_000), ballast]);
	await server.start({ env: { HOLDFAST_WORKERS: '1' } });
	const waits = await until(async () => {
		const state = await recording(server, id);
		return state.lastError && state;
	}, 20_000, 'an attempt');
	assert.deepEqual([waits.phase, waits.attempt, waits.lastError.code], ['queued', 0, 'storage_full']);
	assert.equal((await file(server, id)).status, 202);
	assert.equal((await api(server, `/api/recordings/${id}/original`, { method: 'HEAD' })).status, 200);
	await assert.rejects(until(async () => (await recording(server, id)).phase === 'error', 4_000, 'given up'));
	assert.doesNotMatch(server.output, / storage_full /, 'there is room for recordings, and they are taken');
	rmSync(ballast);
	const done = await phase(server, id, 'complete', 60_000);
	assert.equal(done.attempt, 1);
	const lines = server.output.split('\n').filter((line) => line.includes(id));
	assert.ok(lines.length <= 3, lines.join('\n'));
});
