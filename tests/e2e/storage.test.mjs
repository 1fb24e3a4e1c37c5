// A disk that really is full, and gets space again.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { diskOrSkip } from './support/disk.mjs';
import { startServer } from './support/server.mjs';
import { Taker } from './support/taker.mjs';
import { media, sessionId, wire } from './support/wire.mjs';

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
