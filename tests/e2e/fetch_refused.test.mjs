// Addresses that must not be reached, each with somebody listening there: private ones, metadata, redirects and names
// that lead to them. In a network namespace of its own, so that a mistake reaches nobody.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createSecureServer } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { startNames } from './support/names.mjs';
import { startServer, until } from './support/server.mjs';
import { bytesOf } from './support/source.mjs';

const INSIDE = process.env.HOLDFAST_TEST_NETNS === '1';
const PUBLIC = ['93.184.216.34', '2606:2800:220::34']; // on this namespace's own loopback
const CLOSED = ['10.0.0.1', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.100.100.200', '192.0.0.192', '198.18.0.1',
	'168.63.129.16', '127.0.0.9', 'fd00:ec2::254', '::1', '2001:db8::1', '64:ff9b::a00:1', '2002:a00:1::'];
const WAIT_MS = 30_000;

function outside(t) {
	if (process.getuid() !== 0 || spawnSync('unshare', ['-n', '-m', 'true']).status !== 0) {
		t.skip('a network namespace needs root');
		return;
	}
	const { status, stdout, stderr } = spawnSync('unshare', ['-n', '-m', process.execPath, '--test', fileURLToPath(import.meta.url)],
		{ env: { ...process.env, HOLDFAST_TEST_NETNS: '1', NODE_TEST_CONTEXT: undefined }, encoding: 'utf8', timeout: 180_000 });
	assert.equal(status, 0, stdout + stderr);
	assert.match(stdout, /^# pass [1-9]/m);
	assert.match(stdout, /^# skipped 0/m);
}

/** The namespace: every address is our own, and this test names the hosts. */
function furnish(dir) {
	const ip = (...args) => execFileSync('ip', args);
	ip('link', 'set', 'lo', 'up');
	for (const address of [...PUBLIC, ...CLOSED])
		if (address !== '::1' && !address.startsWith('127.'))
			ip('addr', 'add', `${address}/${address.includes(':') ? '128' : '32'}`, 'dev', 'lo', ...(address.includes(':') ? ['nodad'] : []));
	const resolv = join(dir, 'resolv.conf');
	writeFileSync(resolv, 'nameserver 127.0.0.1\noptions timeout:2 attempts:2\n');
	execFileSync('mount', ['--bind', resolv, '/etc/resolv.conf']);
}

function authority(dir) {
	const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
	openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem', '-out', 'cert.pem',
		'-days', '2', '-subj', '/CN=test', '-addext', 'subjectAltName=DNS:*.fetch.test,IP:93.184.216.34,IP:2606:2800:220::34');
	return { key: readFileSync(join(dir, 'key.pem')), cert: readFileSync(join(dir, 'cert.pem')), file: join(dir, 'cert.pem') };
}

const listening = (server, port, host) => new Promise((resolve, reject) => {
	server.on('error', reject);
	server.listen({ port, host, ipv6Only: true }, resolve);
});

if (!INSIDE) {
	test('in a network namespace', { timeout: 200_000 }, outside);
} else {
	const dir = mkdtempSync(join(tmpdir(), 'holdfast-netns-'));
	process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
	furnish(dir);
	const tls = authority(dir);
	const bytes = bytesOf(20_000);
	let reached = [], redirect = null, names = {}, served = 0;

	test('nothing closed is ever reached', { timeout: 170_000 }, async (t) => {
		const traps = [];
		for (const address of CLOSED)
			for (const port of [80, 443]) {
				const trap = createServer((socket) => {
					reached.push(`${address}:${port}`);
					socket.destroy();
				});
				traps.push(trap);
				await listening(trap, port, address);
			}
		for (const address of PUBLIC) {
			const site = createSecureServer(tls, (request, response) => {
				served++;
				const to = request.url === '/redirect' ? redirect : null;
				if (to) response.writeHead(302, { Location: to, Connection: 'close' }).end();
				else response.writeHead(200, { 'Content-Length': bytes.length }).end(bytes);
			});
			traps.push(site);
			await listening(site, 443, address);
			const plain = createServer((socket) => {
				reached.push(`${address}:80`);
				socket.destroy();
			});
			traps.push(plain);
			await listening(plain, 80, address);
		}
		const asked = {};
		const socket = await startNames((name) => {
			const addresses = names[name];
			return typeof addresses === 'function' ? addresses((asked[name] = (asked[name] ?? 0) + 1)) : addresses;
		});
		t.after(() => {
			socket.close();
			for (const trap of traps) trap.close().closeAllConnections?.();
		});
		const server = await startServer(t, { args: ['--fetch-ca', tls.file], env: { HOLDFAST_WORKERS: '0' } });

		/** How it ended: 'refused' at once, else the code of its error, or 'fetched'. */
		const attempt = async (sourceUrl) => {
			const response = await fetch(`${server.url}/api/recordings`, {
				method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ sourceUrl }),
			});
			const { id, code } = await response.json();
			if (response.status === 422) return code === 'url_refused' ? 'refused' : code;
			assert.equal(response.status, 201);
			let row;
			await until(async () => {
				row = await (await fetch(`${server.url}/api/recordings/${id}`)).json();
				return row.phase !== 'uploading';
			}, WAIT_MS, sourceUrl);
			return row.phase === 'error' ? row.error.code : 'fetched';
		};
		const host = (address) => (address.includes(':') ? `[${address}]` : address);

		await t.test('what is public is fetched, so the rest means something', async () => {
			names = { 'good.fetch.test': PUBLIC };
			for (const url of ['https://good.fetch.test/', ...PUBLIC.map((address) => `https://${host(address)}/`)])
				assert.equal(await attempt(url), 'fetched', `${url}\n${server.output}`);
			assert.ok(served >= 3);
		});

		await t.test('addresses as they are', async () => {
			for (const address of CLOSED)
				for (const scheme of ['http', 'https']) assert.equal(await attempt(`${scheme}://${host(address)}/`), 'refused', address);
			for (const spelling of ['0xa9fea9fe', '2852039166', '0251.0376.0251.0376', '10.1', '0xa.1', '[::ffff:10.0.0.1]'])
				assert.equal(await attempt(`https://${spelling}/`), 'refused', spelling);
			for (const address of PUBLIC) assert.equal(await attempt(`http://${host(address)}/`), 'refused', 'plain http');
		});

		await t.test('names that lead there', async () => {
			for (const [i, address] of CLOSED.entries()) {
				names[`closed${i}.fetch.test`] = [address];
				assert.equal(await attempt(`https://closed${i}.fetch.test/`), 'url_refused', address);
			}
			names['all.fetch.test'] = CLOSED;
			assert.equal(await attempt('https://all.fetch.test/'), 'url_refused');
		});

		await t.test('a name with both: only the public address is connected to', async () => {
			names['both.fetch.test'] = ['10.0.0.1', 'fd00:ec2::254', PUBLIC[0], '192.168.1.1'];
			assert.equal(await attempt('https://both.fetch.test/'), 'fetched');
		});

		await t.test('redirects that lead there', async () => {
			names['redirects.fetch.test'] = [PUBLIC[0]];
			names['inner.fetch.test'] = ['169.254.169.254'];
			const places = CLOSED.flatMap((address) => [`http://${host(address)}/`, `https://${host(address)}/`]);
			for (const place of [...places, 'https://inner.fetch.test/', 'http://inner.fetch.test/', `http://${PUBLIC[0]}/`, 'http://good.fetch.test/',
				'//inner.fetch.test/', 'https://0x7f.1/']) {
				redirect = place;
				assert.equal(await attempt('https://redirects.fetch.test/redirect'), 'url_refused', place);
			}
		});

		await t.test('a name that changes its mind between two questions', async () => {
			names['rebind.fetch.test'] = (n) => (n <= 2 ? [PUBLIC[0]] : ['10.0.0.1']); // a question for each family
			redirect = 'https://rebind.fetch.test/redirect';
			assert.notEqual(await attempt('https://rebind.fetch.test/redirect'), 'fetched');
			names['rebind2.fetch.test'] = (n) => (n <= 2 ? ['10.0.0.1'] : [PUBLIC[0]]);
			assert.equal(await attempt('https://rebind2.fetch.test/'), 'url_refused');
		});

		assert.deepEqual(reached, []);
	});
}
