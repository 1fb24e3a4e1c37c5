// Damaged media through the real workers of a real server, many at once: each take ends in `complete` or `error` with a code, soon, and the
// server neither grows nor leaves anything behind; sound takes among them are finished as ever. HOLDFAST_MUTANTS=2000 for the whole measure.
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { file, follow, phase, take, workersOf } from './support/finishing.mjs';
import { KINDS, make, mutate } from './support/material.mjs';
import { startServer, tempDir, until } from './support/server.mjs';
import { recording } from './support/wire.mjs';

const MUTANTS = Number(process.env.HOLDFAST_MUTANTS ?? 100);
const FIRST = Number(process.env.HOLDFAST_MUTANT ?? 1);
const AT_ONCE = 12;
const WORKERS = 2;
const SOUND_EVERY = 10; // so many takes, one is sound
const WORK_MS = 60_000; // from the claim of a worker to its end
const REASONS = ['media_unreadable', 'media_limit', 'check_failed'];
const MEDIA = {};

before((t) => {
	const dir = tempDir(t);
	for (const kind of Object.keys(KINDS)) MEDIA[kind] = make(kind, 1.5, join(dir, 'file'));
});

/**
 * What the server has open, without the sockets of its clients, which keep their connections for a while, and without the spools of takes that no
 * checkpoint has synced yet.
 */
function descriptors(server) {
	const dir = `/proc/${server.pid}/fd`;
	const open = readdirSync(dir).map((fd) => {
		try {
			return readlinkSync(join(dir, fd)).replace(/\d+/g, 'N');
		} catch {
			return 'socket:'; // closed meanwhile
		}
	});
	return open.filter((what) => !/^socket:|\/spool\//.test(what)).sort();
}

function leftovers(server) {
	const media = join(server.dataDir, 'media');
	return readdirSync(media).flatMap((id) => readdirSync(join(media, id)).filter((name) => name.endsWith('.tmp')).map((name) => `${id}/${name}`));
}

/** The take of a seed. */
function mutant(seed) {
	const kinds = Object.keys(MEDIA);
	const kind = kinds[seed % kinds.length];
	const other = kinds[(seed * 7 + 3) % kinds.length];
	const sound = seed % SOUND_EVERY === 0;
	return { seed, kind, sound, bytes: sound ? MEDIA[kinds[(seed / SOUND_EVERY) % kinds.length]] : mutate(MEDIA[kind], MEDIA[other], seed) };
}

async function judge(server, one) {
	const state = await recording(server, one.id);
	const what = `seed ${one.seed} (${one.kind}): ${state.phase} ${JSON.stringify(state.error ?? state.warnings)}`;
	const answer = await file(server, one.id);
	if (state.phase === 'complete') {
		assert.equal(answer.status, 200, what);
		assert.equal(answer.bytes.length, state.file.bytes, what);
		if (state.file.asIs) assert.ok(answer.bytes.equals(one.bytes), what);
		if (one.sound) assert.deepEqual([state.file.asIs, state.warnings, state.attempt], [false, [], 1], what);
		return state.file.asIs ? 'as it came' : 'a file';
	}
	assert.equal(state.phase, 'error', what);
	assert.ok(!one.sound, what);
	assert.ok(REASONS.includes(state.error.code), what);
	assert.deepEqual([answer.status, answer.body.code], [500, state.error.code], what);
	return `${state.error.code}: ${state.error.message.replace(/\d+/g, 'N').slice(0, 100)}`;
}

test(`${MUTANTS} damaged takes`, { timeout: 120_000 + MUTANTS * 5000 }, async (t) => {
	const server = await startServer(t, { workers: WORKERS });
	const events = await follow(t, server);
	const begun = {};
	const judged = {};
	let next = FIRST;
	let slowest = { ms: 0 };
	let failed = false;
	const warm = await take(t, server, MEDIA.webm);
	await phase(server, warm, 'complete', 60_000);
	await until(() => workersOf(server).length === WORKERS, 30_000, 'fresh workers wait');
	const files = descriptors(server);
	const work = async () => {
		while (next < FIRST + MUTANTS && !failed) {
			const one = mutant(next++);
			one.id = await take(t, server, one.bytes, { mime: KINDS[one.kind].mime });
			const seen = () => events.filter(({ id }) => id === one.id);
			await until(() => failed || seen().some(({ phase: now }) => ['complete', 'error'].includes(now)), WORK_MS * AT_ONCE, `seed ${one.seed} ends`);
			if (failed) return;
			const at = (which) => seen().find(({ phase: now }) => which.includes(now))?.at;
			const ms = at(['complete', 'error']) - (at(['processing']) ?? at(['queued']));
			if (ms > slowest.ms) slowest = { ms, seed: one.seed };
			assert.ok(ms < WORK_MS, `seed ${one.seed} took ${ms} ms`);
			const answer = await judge(server, one);
			judged[answer] = (judged[answer] ?? 0) + 1;
			if (events.length > 20_000) events.splice(0, 10_000);
			if (next - FIRST === Math.ceil(MUTANTS / 3)) Object.assign(begun, { rss: server.rss().now });
		}
	};
	await Promise.all(Array.from({ length: AT_ONCE }, () => work().catch((error) => {
		failed = true;
		throw error;
	})));
	await until(() => workersOf(server).length === WORKERS, 30_000, 'fresh workers wait, and no other');
	await until(() => descriptors(server).join() === files.join(), 20_000, `open as before: ${files}`).catch(() => assert.deepEqual(descriptors(server), files));
	assert.deepEqual(leftovers(server), []);
	const { now } = server.rss();
	assert.ok(now < begun.rss + 16e6, `memory grew from ${begun.rss} to ${now}`);
	const last = await take(t, server, MEDIA.fragments);
	assert.deepEqual((await phase(server, last, 'complete', 60_000)).warnings, []);
	t.diagnostic(`${JSON.stringify(judged, null, ' ')}; slowest ${slowest.ms} ms (seed ${slowest.seed}); memory ${begun.rss} to ${now}`);
});
