// The server dies (kill -9) or its disk does: what was acked is there, nothing that was not synced was ever acked.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultyDisk } from './support/faults.mjs';
import { BINARY, startServer, tempDir, until } from './support/server.mjs';
import { Taker } from './support/taker.mjs';
import { api, assertOriginal, complete, media, random, recording, sessionId, sha256, Wire, wire } from './support/wire.mjs';

const options = { timeout: 180_000 };
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);
const KILLS = Number(process.env.HOLDFAST_KILLS ?? 4); // a share of what one may ask for

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

for (const args of [[], ['--journal-io', 'buffered', '--hash', 'late', '--memory', '8M']]) {
	test(`kill -9 at ${KILLS} random moments under load ${args.join(' ')} (HOLDFAST_SEED=${SEED})`, options, async (t) => {
		const chance = random(SEED);
		const server = await startServer(t, { args });
		const takers = Array.from({ length: 6 }, (_, n) => {
			const taker = new Taker(t, server);
			let piece = 0;
			taker.feed(() => media(1 + Math.floor(chance() * (n === 0 ? 2_000_000 : 20_000)), ++piece * 8 + n), n === 0 ? 100 : 10);
			return taker;
		});
		for (let kills = 0; kills < KILLS; kills++) {
			await pause(chance() * 800); // the moment is the point
			const before = takers.map(({ sender }) => [sender.id, sender.safe]);
			await server.kill();
			await server.start();
			assert.ok(server.startedMs < 10_000, `listening after ${server.startedMs} ms`);
			for (const [id, safe] of before) {
				if (id === null) continue;
				const { bytes } = await recording(server, id);
				assert.ok(bytes >= safe, `kill ${kills}: ${safe} bytes of ${id} were acked, ${bytes} are there`);
			}
		}
		for (const taker of takers) await taker.finish(server, 60_000);
		assert.equal((await server.stop()).code, 0);
		const quarantine = join(server.dataDir, 'quarantine');
		assert.deepEqual(existsSync(quarantine) ? readdirSync(quarantine) : [], []);
		const verify = spawnSync(BINARY, ['verify', '--data', server.dataDir], { encoding: 'utf8' });
		assert.equal(verify.status, 0, verify.stdout + verify.stderr);
	});
}

test('kill -9 between end and saved: the take is sealed once, or goes on', options, async (t) => {
	const server = await startServer(t);
	const chance = random(SEED);
	for (let round = 0; round < 12; round++) {
		const session = sessionId();
		const w = await new Wire(server.url).opened();
		const { id } = await w.start({ sessionId: session });
		const bytes = media(300_000, round + 1);
		w.binary(bytes);
		w.send({ type: 'end', totalBytes: bytes.length, sha256: sha256(bytes) });
		await pause(chance() * 12);
		await server.kill();
		const { acked } = w;
		const wasSaved = w.inbox.some(({ type }) => type === 'saved');
		await server.start();
		const again = await wire(t, server);
		again.send({ type: 'start', sessionId: session, mime: 'video/webm', ext: 'webm', from: 0 });
		const answer = await again.when(() => again.inbox.shift(), 'an answer');
		if (answer.type === 'started') {
			assert.ok(!wasSaved, 'saved was said, so it must be sealed');
			assert.ok(answer.bytes >= acked);
			again.binary(bytes.subarray(answer.bytes));
			again.send({ type: 'end', totalBytes: bytes.length });
			await again.next('saved');
		} else {
			assert.equal(answer.type, 'saved');
			assert.equal(answer.sha256, sha256(bytes));
		}
		const state = await recording(server, answer.id);
		assert.equal(id, answer.id);
		assert.equal(state.phase, 'queued');
		assert.equal(state.revision, 1);
		await assertOriginal(server, id, bytes);
	}
});

test('kill -9 while complete is asked: one revision, and the answer holds', options, async (t) => {
	const server = await startServer(t);
	const chance = random(SEED + 2);
	for (let round = 0; round < 8; round++) {
		const w = await new Wire(server.url).opened();
		const { id } = await w.start({ sessionId: sessionId() });
		w.binary(media(50_000));
		await w.untilAcked(50_000);
		const asked = complete(server, id).then(({ body }) => body.status, () => null);
		await pause(chance() * 8);
		await server.kill();
		const answer = await asked;
		await server.start();
		const state = await recording(server, id);
		if (answer === 'started') assert.equal(state.phase, 'queued');
		const again = await complete(server, id);
		assert.equal(again.status, 200);
		assert.equal((await recording(server, id)).revision, 1);
		await assertOriginal(server, id, media(50_000));
	}
});

test('a recording started and killed at once is there when its `started` was seen', options, async (t) => {
	const server = await startServer(t);
	for (let round = 0; round < 5; round++) {
		const session = sessionId();
		const w = await new Wire(server.url).opened();
		const { id } = await w.start({ sessionId: session, name: `round ${round}` });
		await server.kill();
		await server.start();
		const state = await recording(server, `session:${session}`);
		assert.equal(state.id, id);
		assert.equal(state.name, `round ${round}`);
	}
});

test('no ack leaves before its sync', options, async (t) => {
	const disk = faultyDisk(t);
	const server = await startServer(t, { env: disk.env });
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId() });
	w.binary(media(1000));
	await w.untilAcked(1000);
	disk.set('hold');
	w.binary(media(5000).subarray(1000));
	const other = await wire(t, server);
	other.send({ type: 'start', sessionId: sessionId(), mime: 'video/webm', ext: 'webm' });
	await assert.rejects(w.untilAcked(1001, 1500), /nothing within/);
	assert.equal(other.inbox.length, 0, 'no `started` either');
	assert.equal((await recording(server, id)).bytes, 1000, 'the loop is not blocked, and says only what is durable');
	disk.set('');
	await w.untilAcked(5000);
	await other.next('started');
	disk.set('hold');
	w.send({ type: 'end', totalBytes: 5000 });
	await assert.rejects(w.next('saved', 1500), /nothing within/);
	disk.set('');
	await w.next('saved');
});

test('a failed sync: nothing is acked, the process says so and stops, and a new one goes on', options, async (t) => {
	const disk = faultyDisk(t);
	const server = await startServer(t, { env: disk.env });
	const session = sessionId();
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: session });
	w.binary(media(1000));
	await w.untilAcked(1000);
	disk.set('fail');
	w.binary(media(5000).subarray(1000));
	const { code, signal } = await server.exited;
	assert.equal(signal, null);
	assert.notEqual(code, 0);
	assert.match(server.output, /sync/);
	await w.closed;
	assert.equal(w.acked, 1000);
	disk.set('');
	await server.start();
	const again = await wire(t, server);
	const { bytes } = await again.start({ sessionId: session, from: 1000 });
	assert.ok(bytes >= 1000);
	again.binary(media(5000).subarray(bytes));
	again.send({ type: 'end', totalBytes: 5000 });
	await again.next('saved');
	await assertOriginal(server, id, media(5000));
});

test('a slow disk: the server stops reading, memory stays bounded, nothing is lost', options, async (t) => {
	const LIMIT = 16 * 1024 * 1024 + 12e6; // and what threads, SQLite and sockets take
	const disk = faultyDisk(t);
	const server = await startServer(t, { env: disk.env, args: ['--memory', '16M'] });
	server.forgetRss();
	const idle = server.rss().now;
	disk.set('slow 150');
	const bytes = media(96_000_000);
	const wires = await Promise.all([1, 2, 3].map(() => wire(t, server)));
	const ids = await Promise.all(wires.map(async (w) => (await w.start({ sessionId: sessionId() })).id));
	for (const w of wires) {
		for (let at = 0; at < bytes.length; at += 100_000) w.binary(bytes.subarray(at, at + 100_000));
	}
	await until(() => wires.some((w) => w.acked > 20_000_000), 60_000, 'progress');
	const grown = server.rss().most - idle;
	assert.ok(grown < LIMIT, `grew by ${grown} bytes, --memory 16M`);
	disk.set('');
	for (const [n, w] of wires.entries()) {
		w.send({ type: 'end', totalBytes: bytes.length });
		await w.next('saved', 60_000);
		await assertOriginal(server, ids[n], bytes);
	}
	const most = server.rss().most - idle;
	t.diagnostic(`grew by ${(most / 1e6).toFixed(1)} MB, --memory 16M`);
	assert.ok(most < LIMIT, `grew by ${most} bytes, --memory 16M`);
});

test('full storage: storage_full, and the take goes on when there is space', options, async (t) => {
	const server = await startServer(t, { args: ['--reserve', '1000T'] });
	const w = await wire(t, server);
	w.send({ type: 'start', sessionId: sessionId(), mime: 'video/webm', ext: 'webm' });
	assert.equal((await w.error('storage_full')).retry, true);
	await server.stop();
	await server.start({ args: [] });
	const session = sessionId();
	const first = await wire(t, server);
	const { id } = await first.start({ sessionId: session });
	first.binary(media(100));
	await first.untilAcked(100);
	await server.stop();
	await server.start({ args: ['--reserve', '1000T', '--grace', '500ms'] });
	const full = await wire(t, server);
	full.send({ type: 'start', sessionId: session, mime: 'video/webm', ext: 'webm' });
	assert.equal((await full.error('storage_full')).retry, true);
	await assert.rejects(until(async () => (await recording(server, id)).phase !== 'uploading', 1500, 'no seal'),
		undefined, 'the grace stands still');
	await assertOriginal(server, id, media(100));
	await server.stop();
	await server.start({ args: [] });
	const again = await wire(t, server);
	assert.equal((await again.start({ sessionId: session })).bytes, 100);
	again.send({ type: 'end', totalBytes: 100 });
	await again.next('saved');
});

test('the catalog is made again from the folders', options, async (t) => {
	const dataDir = join(tempDir(t), 'data');
	const server = await startServer(t, { dataDir });
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId(), name: 'Kept' });
	w.binary(media(100_000));
	w.send({ type: 'end', totalBytes: 100_000 });
	await w.next('saved');
	const before = await recording(server, id);
	const list = (await api(server, '/api/recordings')).body;
	await server.stop();
	const rebuilt = spawnSync(BINARY, ['verify', '--rebuild', '--data', dataDir], { encoding: 'utf8' });
	assert.equal(rebuilt.status, 0, rebuilt.stdout + rebuilt.stderr);
	await server.start();
	const after = await recording(server, id);
	for (const field of ['id', 'sessionId', 'name', 'phase', 'revision', 'bytes', 'sha256', 'mime', 'createdAt'])
		assert.deepEqual(after[field], before[field], field);
	assert.equal((await api(server, '/api/recordings')).body.items.length, list.items.length);
	await assertOriginal(server, id, media(100_000));
});
