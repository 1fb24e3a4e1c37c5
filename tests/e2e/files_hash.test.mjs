// The SHA-256 of files over HTTP: none until their worker has read them, then the right one, whatever they are; and what a
// client said that it should be.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { create, idOf, patch } from './support/files.mjs';
import { phase, webm } from './support/finishing.mjs';
import { BINARY, startServer, until } from './support/server.mjs';
import { complete, isSealed, media, recording, sha256 } from './support/wire.mjs';

const options = { timeout: 120_000 };

/** A whole upload; its id. */
async function upload(server, bytes, pieces = 1) {
	const path = await create(server, bytes.length);
	for (let i = 0, at = 0; i < pieces && bytes.length > 0; i++) {
		const end = i + 1 === pieces ? bytes.length : Math.floor(bytes.length / pieces) * (i + 1);
		assert.equal((await patch(server, path, at, bytes.subarray(at, end))).status, 204);
		at = end;
	}
	await until(async () => isSealed(await recording(server, idOf(path))), 10_000, 'sealed');
	return idOf(path);
}

function assertHash(state, wanted) {
	assert.equal(state.sha256, wanted, state.phase);
	assert.deepEqual(state.tracks.map(({ sha256, sealed }) => [sha256, sealed]), [[wanted, true]]);
}

function verify(dir, ...args) {
	const { status, stdout, stderr } = spawnSync(BINARY, ['verify', '--data', dir, ...args], { encoding: 'utf8', timeout: 60_000 });
	assert.equal(status, 0, stdout + stderr);
}

test('nobody has it before a worker has read the file; then it stays', options, async (t) => {
	const files = [webm(2), media(5_000_000, 3), Buffer.from('no media'), Buffer.alloc(0)];
	let server = await startServer(t, { workers: 0 });
	const ids = [];
	for (const bytes of files) ids.push(await upload(server, bytes, 3));
	for (const id of ids) {
		const state = await recording(server, id);
		assert.equal(state.phase, 'queued');
		assertHash(state, null);
	}
	await server.stop();
	verify(server.dataDir);

	server = await startServer(t, { workers: 1, dataDir: server.dataDir });
	for (const [i, id] of ids.entries()) assertHash(await phase(server, id, 'complete'), sha256(files[i]));
	assert.equal((await recording(server, ids[0])).file.asIs, false, 'media: read twice, told once');
	await server.stop();
	verify(server.dataDir);

	rmSync(join(server.dataDir, 'catalog.db'));
	verify(server.dataDir, '--rebuild');
	server = await startServer(t, { workers: 0, dataDir: server.dataDir });
	for (const [i, id] of ids.entries()) {
		const state = await recording(server, id);
		assert.equal(state.phase, 'complete');
		assertHash(state, sha256(files[i]));
	}
});

test('what complete says is compared once somebody knows better', options, async (t) => {
	const bytes = media(300_000);
	let server = await startServer(t, { workers: 0 });
	const [wrong, right] = [await upload(server, bytes), await upload(server, bytes)];
	const say = (id, data) => complete(server, id, { tracks: [{ track: 'main', bytes: bytes.length, sha256: sha256(data) }] });
	for (const [id, data] of [[wrong, 'other'], [right, bytes]]) {
		const answer = await say(id, data);
		assert.equal(answer.status, 200);
		assert.equal(answer.body.status, 'alreadyProcessing');
		assertHash(await recording(server, id), null);
	}
	await server.kill();

	server = await startServer(t, { workers: 1, dataDir: server.dataDir });
	const failed = await phase(server, wrong, 'error');
	assert.equal(failed.error.code, 'checksum_mismatch');
	assert.equal(failed.bytes, bytes.length, 'they are kept');
	assertHash(failed, sha256(bytes));
	assertHash(await phase(server, right, 'complete'), sha256(bytes));
	const refused = await say(right, 'other');
	assert.equal(refused.body.code, 'checksum_mismatch', JSON.stringify(refused.body));
	assert.equal((await say(wrong, 'other')).body.code, 'checksum_mismatch');
	assert.equal((await say(wrong, bytes)).body.status, 'started');
	assertHash(await phase(server, wrong, 'complete'), sha256(bytes));
});
