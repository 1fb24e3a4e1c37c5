// A stranger on the network asks for TLS handshakes without end: they cost little, and nobody else waits for them.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { LAN } from './support/lan.mjs';
import { startServer, until } from './support/server.mjs';

test('a flood of handshakes from one address has its share, and delays no other', { timeout: 120_000 }, async (t) => {
	const namespace = ['unshare', '-n', 'sh', '-c', 'ip link set lo up && for i in 1 2 3; do ip addr add 10.77.0.$i/24 dev lo; done && exec "$@"', 'sh'];
	if (process.getuid() !== 0 || spawnSync(namespace[0], [...namespace.slice(1), 'true']).status !== 0) {
		t.skip('it takes root and a network namespace');
		return;
	}
	const server = await startServer(t, { wrapper: namespace, args: LAN });
	const port = await until(() => /listening on https:\/\/10\.77\.0\.\d:(\d+)/.exec(server.output)?.[1], 10_000, 'the network’s port');
	const handshakes = (from, count, ms) => new Promise((resolve, reject) => {
		const child = spawn('nsenter', ['-t', String(server.pid), '-n', process.execPath, join(import.meta.dirname, 'support/handshaker.mjs'), '10.77.0.1', port, from, `${count}`, `${ms}`]);
		let said = '';
		child.stdout.on('data', (data) => { said += data; });
		child.on('error', reject);
		child.on('close', () => resolve(JSON.parse(said)));
	});
	const flood = handshakes('10.77.0.2', 300, 6_000);
	const other = await handshakes('10.77.0.3', 6, 5_000);
	assert.equal(other.length, 6, 'another address is served meanwhile');
	assert.ok(other.at(-1) < 3_000, `${other.at(-1)} ms`);
	const done = await flood;
	t.diagnostic(`of 300 from one address ${done.length} in 6 s; six from another after ${other.at(-1)} ms`);
	assert.ok(done.length <= 32 + 7 * 8, `${done.length} handshakes`);
	assert.ok(done.length > 32 + 8, 'those that waited have their turn');
	const local = await handshakes('127.0.0.1', 100, 10_000);
	assert.equal(local.length, 100, 'this machine has no such limit');
});
