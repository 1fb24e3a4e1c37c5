// The local network: TLS by a private authority, its pages, and recording over it.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { LAN, lanOf, startLan } from './support/lan.mjs';
import { startProxy } from './support/proxy.mjs';
import { atEnd, BINARY, Server, startServer, tempDir, until, within } from './support/server.mjs';
import { as, mint } from './support/tokens.mjs';
import { api, assertOriginal, media, random, sessionId, sha256, Wire } from './support/wire.mjs';

const options = { timeout: 120_000 };

/** A request on a connection of its own: { status, headers, bytes, certificate }. */
function ask(url, more = {}) {
	const { request } = url.startsWith('https') ? https : http;
	return within(new Promise((resolve, reject) => {
		const asked = request(url, { agent: false, ...more }, (response) => {
			const certificate = response.socket.getPeerX509Certificate?.();
			const parts = [];
			response.on('data', (part) => parts.push(part));
			response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, bytes: Buffer.concat(parts), certificate }));
			response.on('error', reject);
		});
		asked.on('error', reject);
		asked.end();
	}), 10_000, url);
}

/** What a device has that came by the network's door: there nobody is local. */
const known = (lan, scope = 'record') => as(mint(lan.server, scope).token, { ca: lan.ca });

const openssl = (...args) => spawnSync('openssl', args, { encoding: 'utf8', timeout: 15_000 });

test('one port speaks https, to those who trust the authority, and http', options, async (t) => {
	const lan = await startLan(t);
	for (const version of ['TLSv1.2', 'TLSv1.3']) {
		for (const name of ['127.0.0.1', 'localhost']) {
			const page = await ask(`https://${name}:${lan.port}/record`, { ca: lan.ca, minVersion: version, maxVersion: version });
			assert.equal(page.status, 200);
			assert.equal(page.headers['strict-transport-security'], undefined);
			assert.match(page.bytes.toString(), /<html/);
		}
	}
	await assert.rejects(ask(`${lan.url}/record`), /self.signed|unable to (verify|get)/i);
	await assert.rejects(ask(`${lan.url}/record`, { ca: lan.ca, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }), /version|protocol/i);
	await assert.rejects(ask(`https://[::ffff:127.0.0.1]:${lan.port}/`, { ca: lan.ca, servername: 'example.com' }), /example\.com|altname/i);
	const secure = await ask(`${lan.url}/record`, { ca: lan.ca });
	const plain = await ask(`http://127.0.0.1:${lan.port}/record`);
	assert.equal(plain.status, 200);
	assert.ok(plain.bytes.equals(secure.bytes));
	const foreign = await ask(`${lan.url}/record`, { ca: lan.ca, headers: { host: 'evil.example' }, checkServerIdentity: () => undefined });
	assert.equal(foreign.status, 421);
	assert.equal(JSON.parse(foreign.bytes).code, 'wrong_host');
	// also who comes from loopback by a loopback name has no grant here: what forwards a stranger does that
	for (const url of [lan.url, `http://127.0.0.1:${lan.port}`])
		assert.equal((await ask(`${url}/api/recordings`, { ca: lan.ca })).status, 401);
	assert.equal((await ask(`${lan.url}/api/recordings`, known(lan))).status, 200);
	for (const path of ['/', '/record', '/api/trust', '/trust/ca.crt', '/trust/holdfast.mobileconfig'])
		assert.equal((await ask(lan.url + path, { ca: lan.ca })).status, 200, path);
});

test('what phones are told: the authority, a profile, a code', options, async (t) => {
	const lan = await startLan(t);
	const fingerprint = createHash('sha256').update(lan.der).digest('hex').toUpperCase().match(/../g).join(':');
	const trust = (await api(lan.server, '/api/trust')).body;
	assert.equal(trust.fingerprint, fingerprint);
	assert.match(trust.name, /^Holdfast on /);
	const certificate = new X509Certificate(lan.der);
	assert.ok(certificate.ca);
	assert.equal(new Date(certificate.validTo).getTime(), trust.notAfter);
	assert.equal(lan.body.fingerprint, fingerprint);
	assert.equal(lan.body.url, trust.url);
	assert.equal(lan.body.plainUrl, trust.url.replace('https', 'http'));
	assert.ok(lan.body.pairUrl.startsWith(`${lan.body.url}/record`));
	assert.ok(Array.isArray(lan.body.addresses));
	// through the network's own port the addresses are those that the client came by
	const asked = JSON.parse((await ask(`http://127.0.0.1:${lan.port}/api/trust`, { headers: { host: `localhost.:${lan.port}` } })).bytes);
	assert.equal(new URL(asked.url).protocol, 'https:');
	const certificates = await ask(`http://127.0.0.1:${lan.port}/trust/ca.crt`);
	assert.equal(certificates.headers['content-type'], 'application/x-x509-ca-cert');
	const profile = await ask(`http://127.0.0.1:${lan.port}/trust/holdfast.mobileconfig`);
	assert.equal(profile.headers['content-type'], 'application/x-apple-aspen-config');
	const file = join(tempDir(t), 'profile');
	writeFileSync(file, profile.bytes);
	const read = JSON.parse(execFileSync('python3', ['-c', `import base64, json, plistlib, sys
print(json.dumps(plistlib.load(open(sys.argv[1], "rb")), default=lambda data: base64.b64encode(data).decode()))`, file], { encoding: 'utf8' }));
	assert.equal(read.PayloadType, 'Configuration');
	assert.equal(read.PayloadContent.length, 1);
	assert.equal(read.PayloadContent[0].PayloadType, 'com.apple.security.root');
	assert.equal(read.PayloadContent[0].PayloadContent, lan.der.toString('base64'));
	for (const { PayloadUUID } of [read, read.PayloadContent[0]])
		assert.match(PayloadUUID, /^[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/);
	assert.notEqual(read.PayloadUUID, read.PayloadContent[0].PayloadUUID);
	const code = await api(lan.server, '/api/lan/qr.svg');
	assert.match(code.headers.get('content-type'), /^image\/svg\+xml/);
	assert.match(code.bytes.toString(), /^<svg [^>]*viewBox="0 0 (\d+) \1"/);
	assert.equal(lan.body.plainPairUrl, lan.body.pairUrl.replace('https', 'http'));
	assert.ok((await api(lan.server, '/api/lan/qr.svg?scheme=https')).bytes.equals(code.bytes));
	const plain = await api(lan.server, '/api/lan/qr.svg?scheme=http');
	assert.match(plain.bytes.toString(), /^<svg /);
	assert.ok(!plain.bytes.equals(code.bytes));
	const wrong = await api(lan.server, '/api/lan/qr.svg?scheme=ftp');
	assert.equal(wrong.body.code, 'bad_field');
	await lan.server.stop();
	await lan.server.start();
	const again = await api(lan.server, '/trust/holdfast.mobileconfig');
	assert.ok(again.bytes.equals(profile.bytes), 'the profile is the same after a restart');
});

test('without --lan there is no such port, no authority and no question about it', options, async (t) => {
	const server = await startServer(t);
	assert.deepEqual((await api(server, '/api/lan')).body, { enabled: false });
	for (const path of ['/api/lan/qr.svg', '/api/trust', '/trust/ca.crt', '/trust/holdfast.mobileconfig'])
		assert.equal((await api(server, path)).status, 404, path);
	assert.ok(!existsSync(join(server.dataDir, 'tls')));
	assert.doesNotMatch(server.output, /https/);
});

test('the authority vouches for this machine and for nothing public', options, async (t) => {
	const { server } = await startLan(t);
	const dir = tempDir(t);
	const at = (name) => join(dir, name);
	const ca = join(server.dataDir, 'tls/ca.pem'), leaf = join(server.dataDir, 'tls/leaf.pem');
	await until(() => existsSync(leaf), 5_000, 'the certificate in its file');
	for (const file of [ca, leaf]) assert.equal(statSync(file).mode & 0o777, 0o600);
	assert.equal(openssl('verify', '-CAfile', ca, '-purpose', 'sslserver', '-verify_ip', '127.0.0.1', leaf).status, 0);
	const sign = (name, alternatives) => {
		writeFileSync(at('ext'), `subjectAltName=${alternatives}\nbasicConstraints=CA:FALSE\n`);
		assert.equal(openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at('key'), '-out', at('req'), '-subj', `/CN=${name}`).status, 0);
		assert.equal(openssl('x509', '-req', '-in', at('req'), '-CA', ca, '-CAkey', ca, '-CAcreateserial', '-CAserial', at('serial'), '-extfile', at('ext'), '-out', at('cert'), '-days', '1').status, 0);
		return openssl('verify', '-CAfile', ca, '-purpose', 'sslserver', at('cert'));
	};
	assert.equal(sign('mine', 'DNS:other.local,IP:192.168.7.7').status, 0);
	for (const alternatives of ['DNS:example.com', 'IP:8.8.8.8', 'DNS:local.example.com', 'DNS:a.local,IP:2001:4860:4860::8888']) {
		const { status, stderr } = sign('theirs', alternatives);
		assert.notEqual(status, 0, alternatives);
		assert.match(stderr, /permitted subtree violation/);
	}
	// nor does a client that trusts it accept such a server
	sign('theirs', 'DNS:example.com');
	const impostor = tls.createServer({ key: readFileSync(at('key')), cert: readFileSync(at('cert')) });
	await new Promise((resolve) => impostor.listen(0, '127.0.0.1', resolve));
	atEnd(t, () => impostor.close());
	impostor.on('tlsClientError', () => {});
	const client = tls.connect({ port: impostor.address().port, host: '127.0.0.1', servername: 'example.com', ca: readFileSync(ca) });
	const refused = await within(new Promise((resolve) => client.on('error', resolve).on('secureConnect', () => resolve(null))), 5_000, 'the handshake');
	assert.match(String(refused), /permitted subtree violation/);
});

test('a restart changes neither the authority nor the certificate', options, async (t) => {
	const lan = await startLan(t);
	const before = await ask(`${lan.url}/record`, { ca: lan.ca });
	await until(() => existsSync(join(lan.server.dataDir, 'tls/leaf.pem')), 5_000, 'the certificate in its file');
	await lan.server.kill();
	await lan.server.start();
	const again = await lanOf(lan.server);
	assert.ok(again.der.equals(lan.der));
	const after = await ask(`${again.url}/record`, { ca: lan.ca });
	assert.equal(after.certificate.fingerprint256, before.certificate.fingerprint256);
});

test('a damaged authority is never replaced', options, async (t) => {
	const lan = await startLan(t);
	const ca = join(lan.server.dataDir, 'tls/ca.pem');
	await until(() => existsSync(join(lan.server.dataDir, 'tls/leaf.pem')), 5_000, 'the certificate in its file');
	await lan.server.stop();
	const whole = readFileSync(ca);
	const refuses = async (sentence) => {
		const { status, stderr } = spawnSync(BINARY, ['serve', '--journal-size', '256M', '--data', lan.server.dataDir, '--listen', '127.0.0.1:0', ...LAN], { encoding: 'utf8', timeout: 15_000 });
		assert.equal(status, 1);
		assert.match(stderr, sentence);
		assert.match(stderr, /phones trust that authority/);
		assert.ok(stderr.includes(ca));
	};
	for (const [bytes, sentence] of [[whole.subarray(0, 300), /no certificate/], [Buffer.alloc(0), /no key/], [Buffer.alloc(300_000, 65), /damaged/],
		[readFileSync(join(lan.server.dataDir, 'tls/leaf.pem')), /not that of an authority/]]) {
		writeFileSync(ca, bytes);
		await refuses(sentence);
		assert.ok(readFileSync(ca).equals(bytes), 'it is left as it was');
	}
	unlinkSync(ca);
	await refuses(/is missing/);
	assert.ok(!existsSync(ca));
	writeFileSync(ca, whole);
	await lan.server.start();
	assert.ok((await lanOf(lan.server)).der.equals(lan.der));
});

test('recording over wss with cut links ends byte for byte equal', options, async (t) => {
	const lan = await startLan(t);
	const proxy = await startProxy(t, lan);
	const dice = random(42), session = sessionId(), bytes = media(24_000_000);
	const phone = known(lan);
	let at = 0, id, cuts = 0;
	const connect = async () => {
		const w = new Wire(`https://127.0.0.1:${proxy.port}`, phone);
		atEnd(t, () => w.socket.terminate());
		await w.opened();
		return w;
	};
	while (at < bytes.length) {
		const w = await connect();
		const started = await w.start({ sessionId: session, from: at });
		id = started.id;
		assert.ok(started.bytes >= at, 'nothing that was acknowledged is gone');
		at = started.bytes;
		if (cuts < 8) {
			proxy.cutAfter(1 + Math.floor(dice() * 3_000_000));
			cuts += 1;
		}
		for (let sent = at; sent < bytes.length && w.socket.readyState === 1;) {
			const piece = 1 + Math.floor(dice() * 200_000);
			w.binary(bytes.subarray(sent, sent + piece));
			sent = Math.min(sent + piece, bytes.length);
			if (sent - Math.max(w.acked, at) > 2_000_000) await w.untilAcked(sent - 1_000_000).catch(() => {});
		}
		await Promise.race([w.closed, w.untilAcked(bytes.length, 30_000).catch(() => {})]);
		at = Math.max(at, w.acked);
		if (at < bytes.length) continue;
		w.send({ type: 'end', totalBytes: bytes.length });
		assert.equal((await w.next('saved')).sha256, sha256(bytes));
		await w.close();
	}
	assert.equal(cuts, 8);
	assert.ok(proxy.connections >= 8);
	await assertOriginal(lan.server, id, bytes);
	// and back over TLS, whole and in part
	const original = await ask(`${lan.url}/api/recordings/${id}/original`, phone);
	assert.ok(original.bytes.equals(bytes));
	const part = await ask(`${lan.url}/api/recordings/${id}/original`, { ...phone, headers: { ...phone.headers, range: 'bytes=1000000-1999999' } });
	assert.equal(part.status, 206);
	assert.ok(part.bytes.equals(bytes.subarray(1_000_000, 2_000_000)));
});

test('a reader that stops for a while gets the rest when it goes on', options, async (t) => {
	const lan = await startLan(t);
	const phone = known(lan);
	const w = new Wire(lan.url, phone);
	atEnd(t, () => w.socket.terminate());
	await w.opened();
	const bytes = media(30_000_000);
	const { id } = await w.start({ sessionId: sessionId() });
	for (let at = 0; at < bytes.length; at += 1_000_000) {
		w.binary(bytes.subarray(at, at + 1_000_000));
		await w.untilAcked(at + 1_000_000, 30_000);
	}
	lan.server.forgetRss();
	const hash = createHash('sha256');
	await within(new Promise((resolve, reject) => {
		https.get(`${lan.url}/api/recordings/${id}/original`, { ...phone, agent: false }, (response) => {
			let count = 0, pauses = 0;
			response.on('data', (data) => {
				hash.update(data);
				count += data.length;
				if (count > (pauses + 1) * 6_000_000) {
					pauses += 1;
					response.pause();
					setTimeout(() => response.resume(), 300);
				}
			});
			response.on('end', resolve);
		}).on('error', reject);
	}), 60_000, 'the download');
	assert.equal(hash.digest('hex'), sha256(bytes));
});

test('200 handshakes that go nowhere do not hurt an honest client, and are cut', options, async (t) => {
	const lan = await startLan(t);
	const hello = await new Promise((resolve) => { // what a client says first
		const trap = net.createServer((socket) => {
			socket.once('data', (data) => {
				resolve(data);
				socket.destroy();
				trap.close();
			});
			socket.on('error', () => {});
		});
		trap.listen(0, '127.0.0.1', () => tls.connect({ port: trap.address().port, host: '127.0.0.1' }).on('error', () => {}));
	});
	const began = performance.now();
	const ends = [];
	for (let i = 0; i < 200; i += 1) {
		const socket = net.connect(lan.port, '127.0.0.1');
		atEnd(t, () => socket.destroy());
		socket.on('error', () => {});
		ends.push(new Promise((resolve) => socket.on('close', resolve)));
		socket.resume();
		if (i % 4 === 1) socket.write(hello.subarray(0, 1));
		if (i % 4 === 2) socket.write(hello.subarray(0, hello.length - 1));
		if (i % 4 === 3) socket.write(hello); // and no answer to the server's
		if (i % 8 === 2) { // a byte now and then buys no time
			const timer = setInterval(() => socket.write('x'), 2_000);
			socket.on('close', () => clearInterval(timer));
		}
	}
	let slowest = 0;
	for (let i = 0; i < 20; i += 1) {
		const asked = performance.now();
		assert.equal((await ask(`${lan.url}/record`, { ca: lan.ca })).status, 200);
		slowest = Math.max(slowest, performance.now() - asked);
	}
	t.diagnostic(`slowest of 20 requests beside them: ${slowest.toFixed(0)} ms`);
	await within(Promise.all(ends), 15_000, 'the end of the half-open ones');
	t.diagnostic(`all cut after ${((performance.now() - began) / 1000).toFixed(1)} s`);
	const lines = lan.server.output.match(/tls_handshake_failed/g)?.length ?? 0;
	assert.ok(lines <= 3, `${lines} log lines`);
	assert.equal((await ask(`${lan.url}/record`, { ca: lan.ca })).status, 200);
});

test('the certificate follows the addresses', options, async (t) => {
	const namespace = ['unshare', '-n', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];
	if (process.getuid() !== 0 || spawnSync(namespace[0], [...namespace.slice(1), 'true']).status !== 0) {
		t.skip('it takes root and a network namespace');
		return;
	}
	const server = await startServer(t, { wrapper: namespace, args: LAN });
	const inside = (...command) => spawnSync('nsenter', ['-t', String(server.pid), '-n', ...command], { encoding: 'utf8', timeout: 10_000, input: '' });
	const ca = join(server.dataDir, 'tls/ca.pem');
	await until(() => /no address on a local network yet/.test(server.output), 5_000, 'what it says without one');
	const port = () => /listening on https:\/\/10\.77\.0\.1:(\d+)/.exec(server.output)?.[1];
	assert.equal(inside('ip', 'addr', 'add', '10.77.0.1/24', 'dev', 'lo').status, 0);
	await until(port, 10_000, 'the new address');
	await until(() => /phones record at https:\/\/10\.77\.0\.1:/.test(server.output), 5_000, 'what phones do');
	const serves = (address, to = address) => {
		const { status, stdout } = inside('openssl', 's_client', '-connect', `${to}:${port()}`, '-CAfile', ca, '-verify_return_error', '-verify_ip', address);
		return { ok: status === 0 && stdout.includes('Verify return code: 0'), certificate: new X509Certificate(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/.exec(stdout)[0]) };
	};
	const first = serves('10.77.0.1');
	assert.ok(first.ok);
	assert.match(first.certificate.subjectAltName, /IP Address:10\.77\.0\.1/);
	assert.equal(inside('ip', 'addr', 'add', '192.168.99.9/24', 'dev', 'lo').status, 0);
	assert.equal(inside('ip', 'addr', 'add', '203.0.113.9/24', 'dev', 'lo').status, 0);
	await until(() => serves('192.168.99.9').ok, 15_000, 'a certificate for the new address');
	assert.ok(serves('10.77.0.1').ok);
	const second = serves('10.77.0.1').certificate;
	assert.notEqual(second.fingerprint256, first.certificate.fingerprint256);
	// the public one is outside of what the authority may sign for
	assert.doesNotMatch(second.subjectAltName, /203\.0\.113\.9/);
	await until(() => /lan_addresses_left_out count=1 first=203\.0\.113\.9/.test(server.output), 5_000, 'a log line about it');
	assert.doesNotMatch(server.output, /https:\/\/203/);
	assert.equal(inside('ip', 'addr', 'del', '10.77.0.1/24', 'dev', 'lo').status, 0);
	await until(() => !/10\.77\.0\.1/.test(serves('192.168.99.9').certificate.subjectAltName), 15_000, 'a certificate without the old address');
	await until(() => !/10\.77\.0\.1/.test(new X509Certificate(readFileSync(join(server.dataDir, 'tls/leaf.pem'))).subjectAltName), 5_000, 'it is kept');
});

test('--tls-cert and --tls-key: https on --listen, on any address, and nothing else there', options, async (t) => {
	const dir = tempDir(t);
	const cert = join(dir, 'cert.pem'), key = join(dir, 'key.pem'), other = join(dir, 'other.pem');
	assert.equal(openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=recorder', '-addext', 'subjectAltName=DNS:recorder.example,IP:127.0.0.1').status, 0);
	assert.equal(openssl('genrsa', '-out', other, '2048').status, 0);
	const serve = (...args) => spawnSync(BINARY, ['serve', '--journal-size', '256M', '--data', join(dir, 'data'), ...args], { encoding: 'utf8', timeout: 15_000 });
	for (const [args, sentence] of [
		[['--listen', '127.0.0.1:0', '--tls-cert', cert], /--tls-key is missing/],
		[['--listen', '127.0.0.1:0', '--tls-cert', join(dir, 'none'), '--tls-key', key], /cannot read .*none: No such file/],
		[['--listen', '127.0.0.1:0', '--tls-cert', key, '--tls-key', key], /no certificate in PEM form/],
		[['--listen', '127.0.0.1:0', '--tls-cert', cert, '--tls-key', other], /the key is not that of the certificate/],
		[['--listen', '0.0.0.0:0'], /only loopback addresses/],
	]) {
		const { status, stderr } = serve(...args);
		assert.ok(status === 1 || status === 2, `${args}`);
		assert.match(stderr, sentence);
	}
	const server = new Server({ dataDir: join(dir, 'data') });
	atEnd(t, () => server.kill());
	server.start({ args: ['--listen', '0.0.0.0:0', '--tls-cert', cert, '--tls-key', key], startMs: 100_000 })
		.catch(() => {}); // it waits for a line that this server does not print
	const port = await until(() => /listening on https:\/\/0\.0\.0\.0:(\d+)/.exec(server.output)?.[1], 10_000, 'https');
	const page = await ask(`https://127.0.0.1:${port}/record`, { ca: readFileSync(cert) });
	assert.equal(page.status, 200);
	assert.equal(page.headers['strict-transport-security'], undefined);
	const plain = await ask(`http://127.0.0.1:${port}/record`);
	assert.equal(plain.status, 400);
	assert.match(plain.bytes.toString(), /https only/);
	assert.equal((await ask(`https://127.0.0.1:${port}/api/recordings`, { ca: readFileSync(cert) })).status, 401); // nor is anybody local here
	const w = new Wire(`https://127.0.0.1:${port}`, as(mint(server, 'record').token, { ca: readFileSync(cert) }));
	atEnd(t, () => w.socket.terminate());
	await w.opened();
	await w.start({ sessionId: sessionId() });
	w.binary(media(500_000));
	await w.untilAcked(500_000);
	await w.close();
	assert.equal((await server.stop('SIGTERM')).code, 0);
});

test('a terminal gets the code, a file does not', options, async (t) => {
	const dir = tempDir(t);
	const command = (data) => `stty cols 120 2>/dev/null; exec ${BINARY} serve --data ${data} --listen 127.0.0.1:0 --journal-size 256M --lan --lan-port 0`;
	if (spawnSync('unshare', ['-n', 'true']).status !== 0) {
		t.skip('it takes a network namespace with an address of its own');
		return;
	}
	const run = (wrapped) => spawnSync('timeout', ['-s', 'INT', '4', 'unshare', '-n', 'sh', '-c', `ip link set lo up; ip addr add 192.168.44.5/24 dev lo; ${wrapped}`],
		{ encoding: 'utf8', timeout: 30_000, env: { ...process.env, TERM: 'xterm-256color' } }).stdout;
	const file = run(command(join(dir, 'a')));
	assert.match(file, /listening on https:\/\/192\.168\.44\.5:\d+\n/);
	assert.match(file, /phones record at https:\/\/192\.168\.44\.5:\d+\/record\n/);
	assert.match(file, /http:\/\/192\.168\.44\.5:\d+\/record, which records with the camera app/);
	assert.doesNotMatch(file, /\x1b|\u2580|pair=/);
	const terminal = run(`script -qefc '${command(join(dir, 'b'))}' /dev/null </dev/null`);
	const rows = terminal.split(/\r?\n/).filter((line) => line.startsWith('\x1b[38;5;16;48;5;231m'));
	assert.ok(rows.length >= 15, `${rows.length} rows: ${terminal}`);
	for (const row of rows) assert.match(row, /^\x1b\[38;5;16;48;5;231m[ \u2580\u2584\u2588]{29,}\x1b\[0m$/);
});
