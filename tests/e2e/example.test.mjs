// The client that docs/protocol.md leads to: a stranger's forty lines lose nothing either.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startProxy } from './support/proxy.mjs';
import { atEnd, ROOT, startServer, tempDir, until, within } from './support/server.mjs';
import { assertOriginal, media, random, sha256 } from './support/wire.mjs';

const options = { timeout: 120_000 };
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);
const CLIENT = join(ROOT, 'docs/example-client.mjs');

test('the example records a file over dropped links and a server that is killed', options, async (t) => {
	const server = await startServer(t);
	const proxy = await startProxy(t, server);
	const chance = random(SEED);
	const bytes = media(40_000_000, SEED);
	const path = join(tempDir(t), 'take.webm');
	writeFileSync(path, bytes);
	const child = spawn(process.execPath, [CLIENT, `${proxy.url.replace('http', 'ws')}/ws`, path], { stdio: ['ignore', 'pipe', 'inherit'] });
	atEnd(t, () => child.kill('SIGKILL'));
	let said = '';
	child.stdout.on('data', (data) => {
		said += data;
	});
	const exited = new Promise((resolve) => child.on('close', resolve));
	for (let cuts = 0; cuts < 5; cuts++) await proxy.cutAfter(1 + Math.floor(chance() * 4_000_000));
	const { toServer } = proxy;
	await until(() => proxy.toServer > toServer, 20_000, 'it goes on');
	await server.kill();
	await server.start();
	assert.equal(await within(exited, 60_000, 'the end'), 0);
	const saved = JSON.parse(said);
	assert.equal(saved.sha256, sha256(bytes));
	await assertOriginal(server, saved.id, bytes);
});

test('the example stays short enough to be read', () => {
	assert.ok(readFileSync(CLIENT, 'utf8').split('\n').length <= 50);
});
