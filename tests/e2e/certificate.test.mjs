// The operator's certificate is renewed while the server works: no restart, no cut connection, and nothing broken is taken.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { atEnd, Server, tempDir, until, within } from './support/server.mjs';
import { as, mint } from './support/tokens.mjs';
import { media, sessionId, Wire } from './support/wire.mjs';

const options = { timeout: 120_000 };

function certificate(dir, name) {
	const cert = join(dir, `${name}.crt`), key = join(dir, `${name}.key`);
	const { status } = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert,
		'-days', '2', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1']);
	assert.equal(status, 0);
	return { cert, key, fingerprint: new X509Certificate(readFileSync(cert)).fingerprint256 };
}

/** Whose certificate a newcomer gets. */
function served(port) {
	return within(new Promise((resolve, reject) => {
		const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
			resolve(socket.getPeerX509Certificate().fingerprint256);
			socket.destroy();
		});
		socket.on('error', reject);
	}), 10_000, 'a handshake');
}

test('a renewed certificate is taken without a restart; a broken one is not', options, async (t) => {
	const dir = tempDir(t), cert = join(dir, 'cert.pem'), key = join(dir, 'key.pem');
	const put = (from, to) => { // as the tools do that renew: a whole file takes the place of the old one
		writeFileSync(`${to}.new`, from);
		renameSync(`${to}.new`, to);
	};
	const [first, second, third] = ['first', 'second', 'third'].map((name) => certificate(dir, name));
	put(readFileSync(first.cert), cert);
	put(readFileSync(first.key), key);
	const server = new Server({ dataDir: join(dir, 'data') });
	atEnd(t, () => server.kill());
	server.start({ args: ['--tls-cert', cert, '--tls-key', key], startMs: 100_000 }).catch(() => {}); // it waits for a line of http
	const port = await until(() => /listening on https:\/\/127\.0\.0\.1:(\d+)/.exec(server.output)?.[1], 15_000, 'https');
	assert.equal(await served(port), first.fingerprint);
	const w = new Wire(`https://127.0.0.1:${port}`, as(mint(server, 'record').token, { ca: readFileSync(cert) }));
	atEnd(t, () => w.socket.terminate());
	await w.opened();
	await w.start({ sessionId: sessionId() });
	const taken = (whose) => until(async () => await served(port) === whose.fingerprint, 30_000, 'the new certificate');
	const refused = (why) => until(() => /tls_certificate_refused.*/.exec(server.output.split('\n').findLast((line) => line.includes('tls_certificate')) ?? '')?.[0].match(why),
		30_000, 'a word about it');

	put(readFileSync(second.cert), cert); // the key is still the old one's
	server.signal('SIGHUP');
	await refused(/the key is not that of the certificate/);
	assert.equal(await served(port), first.fingerprint);
	put(readFileSync(second.key), key);
	server.signal('SIGHUP');
	await taken(second);

	put('-----BEGIN CERTIFICATE-----\nnonsense\n', cert);
	server.signal('SIGHUP');
	await refused(/no certificate in PEM form/);
	assert.equal(await served(port), second.fingerprint);

	put(readFileSync(third.cert), cert); // and nobody tells the server
	put(readFileSync(third.key), key);
	await taken(third);

	w.binary(media(500_000)); // who was connected before all this still is
	await w.untilAcked(500_000);
	await w.close();
	assert.equal((await server.stop('SIGTERM')).code, 0);
});
