// A server on the local network, and a browser that trusts its authority.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { startServer, tempDir } from './server.mjs';
import { api } from './wire.mjs';

export const LAN = ['--lan', '--lan-port', '0'];

/** A server with --lan, see lanOf. */
export async function startLan(t, { args = [], ...more } = {}) {
	return lanOf(await startServer(t, { args: [...LAN, ...args], ...more }));
}

/** { server, body (of /api/lan), port, der and ca (PEM) of the authority, url on loopback }. */
export async function lanOf(server) {
	const { body } = await api(server, '/api/lan');
	assert.equal(body.enabled, true);
	const port = Number(new URL(body.url).port);
	const der = (await api(server, '/trust/ca.crt')).bytes;
	const ca = new X509Certificate(der).toString();
	return { server, body, port, der, ca, url: `https://127.0.0.1:${port}` };
}

/**
 * The address as a phone has it: the one that the server tells, or, on a machine without a private address, the machine's name, which
 * then leads to loopback. Either way whoever comes by it is nobody in particular to the server.
 */
export function phoneUrl(told, { addresses }) {
	const url = new URL(told);
	if (addresses.length === 0) url.hostname = `${hostname().split('.')[0]}.local`;
	return url.href;
}

/** What a browser needs for that. */
export const PHONE_ARGS = [`--host-resolver-rules=MAP *.local 127.0.0.1`];

/** A home directory whose owner told the browser to trust this authority. */
export function homeThatTrusts(t, der) {
	const home = tempDir(t);
	const store = join(home, '.pki/nssdb');
	const file = join(home, 'ca.crt');
	const certutil = (...args) => execFileSync('certutil', ['-d', `sql:${store}`, ...args]);
	mkdirSync(store, { recursive: true });
	writeFileSync(file, der);
	certutil('-N', '--empty-password');
	certutil('-A', '-t', 'C,,', '-n', 'holdfast', '-i', file);
	return home;
}
