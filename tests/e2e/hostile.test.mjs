// Media that lie or blow up, through the real workers: each ends with a file or a code, in bounded time, and within the memory of a worker.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { BOMBS } from './support/bombs.mjs';
import { file, take, webm, phase, workersOf } from './support/finishing.mjs';
import { atEnd, sharedServer, until } from './support/server.mjs';
import { recording } from './support/wire.mjs';

const server = sharedServer({ workers: 2 });
const options = { timeout: 180_000 };
const WORK_MS = 60_000;
const WORKER_BYTES = 1.2e9; // resident; its address space ends at 2 GiB
const GROWTH = 1024 * 1024;
const REASONS = ['media_unreadable', 'media_limit', 'check_failed'];

/** The most that any worker of the server had resident while this runs. */
function watchMemory(t) {
	const seen = { most: 0 };
	const timer = setInterval(() => {
		for (const pid of workersOf(server)) {
			try {
				seen.most = Math.max(seen.most, Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024);
			} catch {
				// it ended meanwhile
			}
		}
	}, 20);
	atEnd(t, () => clearInterval(timer));
	return seen;
}

for (const [name, build] of Object.entries(BOMBS)) {
	test(name, options, async (t) => {
		const [bytes, may] = build();
		const memory = watchMemory(t);
		const id = await take(t, server, bytes, { name });
		const began = Date.now();
		const state = await until(async () => {
			const now = await recording(server, id);
			return ['complete', 'error'].includes(now.phase) && now;
		}, WORK_MS, 'it ends');
		const answer = await file(server, id);
		const kind = state.phase === 'error' ? 'error' : state.file.asIs ? 'asIs' : 'file';
		t.diagnostic(`${bytes.length} bytes: ${kind} after ${Date.now() - began} ms, ${Math.round(memory.most / 1e6)} MB; ${JSON.stringify(state.error ?? state.warnings)}`);
		assert.ok(may.split(' ').includes(kind), `${kind}, not ${may}: ${JSON.stringify(state.error ?? state.warnings)}`);
		assert.equal(state.attempt, 1, 'what is so by nature is not tried again');
		if (kind === 'error') assert.ok(REASONS.includes(state.error.code), JSON.stringify(state.error));
		if (kind === 'asIs') assert.ok(answer.bytes.equals(bytes));
		if (kind === 'file') assert.ok(answer.bytes.length <= 2 * bytes.length + GROWTH, `${answer.bytes.length} bytes of ${bytes.length}`);
		assert.equal(answer.status, kind === 'error' ? 500 : 200);
		assert.ok(memory.most < WORKER_BYTES, `${memory.most} bytes`);
	});
}

test('an empty take', options, async (t) => {
	const id = await take(t, server, Buffer.alloc(0));
	const state = await phase(server, id, 'complete');
	assert.deepEqual([state.file.bytes, state.file.asIs], [0, true]);
	assert.equal((await file(server, id)).bytes.length, 0);
});

test('and the server is as it was', options, async (t) => {
	const id = await take(t, server, webm(3));
	const state = await phase(server, id, 'complete');
	assert.deepEqual([state.warnings, state.attempt], [[], 1]);
	assert.ok(server.rss().now < 200e6, `${server.rss().now} bytes`);
});
