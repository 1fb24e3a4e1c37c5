// The example client of docs/protocol.md, run as it stands there: what the page says is enough to write a client.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startProxy } from './support/proxy.mjs';
import { atEnd, ROOT, startServer, tempDir, within } from './support/server.mjs';
import { assertOriginal, media, random, recording, sha256 } from './support/wire.mjs';

const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);

test(`the example client, over cuts and a server that is killed (HOLDFAST_SEED=${SEED})`, { timeout: 120_000 }, async (t) => {
	const chance = random(SEED);
	const server = await startServer(t);
	const proxy = await startProxy(t, server);
	const path = join(tempDir(t), 'take.webm');
	const bytes = media(20_000_000, SEED);
	writeFileSync(path, bytes);
	const cut = proxy.cutAfter(1 + Math.floor(chance() * 3_000_000));
	const child = spawn(process.execPath, [join(ROOT, 'docs/example-client.mjs'), `ws://127.0.0.1:${proxy.port}/ws`, path],
		{ stdio: ['ignore', 'pipe', 'inherit'] });
	atEnd(t, () => child.kill('SIGKILL'));
	let out = '';
	child.stdout.on('data', (data) => {
		out += data;
	});
	const exited = new Promise((resolve) => child.on('close', resolve));
	await cut;
	for (let cuts = 0; cuts < 4; cuts++) await proxy.cutAfter(1 + Math.floor(chance() * 3_000_000));
	const last = proxy.cutAfter(1_000_000);
	await last;
	await server.kill();
	await server.start();
	assert.equal(await within(exited, 60_000, 'the end of the example'), 0, out);
	const saved = JSON.parse(out);
	assert.equal(saved.sha256, sha256(bytes));
	await assertOriginal(server, saved.id, bytes);
	assert.equal((await recording(server, saved.id)).revision, 1);
});
