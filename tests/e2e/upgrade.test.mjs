// A data directory that the version before workers left behind: what waits there is finished, what was cut goes on.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { file, follow, phase, take, webm } from './support/finishing.mjs';
import { ROOT, startServer, until } from './support/server.mjs';
import { assertOriginal, recording, sessionId, wire } from './support/wire.mjs';

const bytes = webm(2);
const options = { timeout: 90_000 };

for (const how of ['stop', 'kill']) {
	test(`what an earlier version had queued is finished, what was open goes on (${how})`, options, async (t) => {
		const server = await startServer(t, { workers: 0 });
		const done = [await take(t, server, bytes, { name: 'one' }), await take(t, server, bytes)];
		const half = bytes.subarray(0, bytes.length >> 1);
		const w = await wire(t, server);
		const session = sessionId();
		const { id } = await w.start({ sessionId: session, mime: 'video/webm' });
		w.binary(half);
		await w.untilAcked(half.length);
		await server[how]();
		execFileSync('python3', [join(ROOT, 'tests/e2e/support/downgrade.py'), join(server.dataDir, 'catalog.db')]);

		await server.start({ env: { HOLDFAST_WORKERS: '1' } });
		for (const one of done) {
			const state = await phase(server, one, 'complete');
			assert.deepEqual([state.revision, state.attempt, state.file.revision, state.warnings], [1, 1, 1, []]);
			assert.equal((await file(server, one)).status, 200);
			await assertOriginal(server, one, bytes);
		}
		assert.equal((await recording(server, done[0])).name, 'one');
		const again = await wire(t, server);
		assert.equal((await again.start({ sessionId: session, from: half.length })).bytes, half.length);
		again.binary(bytes.subarray(half.length));
		again.send({ type: 'end', totalBytes: bytes.length });
		await again.next('saved');
		assert.deepEqual((await phase(server, id, 'complete')).warnings, []);
		const events = await follow(t, server);
		await until(() => events.filter(({ type }) => type === 'recording.completed').length === 3, 10_000, 'all events, from the oldest on');
		assert.deepEqual(events.filter((event) => event.id === id).map((event) => event.phase),
			['queued', 'processing', 'generating_thumbnail', 'complete']);
	});
}
