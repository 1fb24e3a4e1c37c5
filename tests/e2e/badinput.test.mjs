// Bad input: each has its code, and nothing is lost. After every test an honest take still works.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { atEnd, sharedServer, until } from './support/server.mjs';
import { api, assertOriginal, media, raw, recording, sessionId, wire, Wire } from './support/wire.mjs';

const server = sharedServer();
const options = { timeout: 60_000 };

afterEach(async () => {
	const w = await new Wire(server.url).opened();
	const { id } = await w.start({ sessionId: sessionId() });
	w.binary(media(1000));
	w.send({ type: 'end', totalBytes: 1000 });
	await w.next('saved');
	await assertOriginal(server, id, media(1000));
	await w.close();
});

/** Sends the text in the middle of a take: the error must be `code`, and the take must go on without loss. */
async function inTheMiddle(t, text, code) {
	const session = sessionId();
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: session });
	w.binary(media(100));
	w.send(text);
	await w.error(code);
	const started = await w.start({ sessionId: session });
	assert.equal(started.bytes, 100);
	w.binary(media(200).subarray(100));
	w.send({ type: 'end', totalBytes: 200 });
	await w.next('saved');
	await assertOriginal(server, id, media(200));
	await w.close();
}

test('malformed JSON', options, async (t) => {
	for (const text of ['', '{', '[]', '"start"', '5', 'null', '{}', '{"type": 5}', '{"type": null}', '{"type":"end","type":"end"}', '{"a":1}x',
		'[' .repeat(100_000), '{"a":'.repeat(1000)]) {
		await inTheMiddle(t, text, 'bad_message');
	}
});

test('unknown types', options, async (t) => {
	for (const type of ['nonsense', '', 'ack', 'started', 'START', 'x'.repeat(100_000)])
		await inTheMiddle(t, JSON.stringify({ type }), 'unknown_type');
});

test('wrong types and values out of range', options, async (t) => {
	for (const totalBytes of [-1, 1.5, '100', null, true, [], 2 ** 63, 1e300, undefined])
		await inTheMiddle(t, JSON.stringify({ type: 'end', totalBytes }), 'bad_field');
	for (const sha of [5, '', 'xyz', 'a'.repeat(63), 'g'.repeat(64), 'a'.repeat(65)])
		await inTheMiddle(t, JSON.stringify({ type: 'end', totalBytes: 100, sha256: sha }), 'bad_field');
	const bad = { sessionId: [undefined, '', 5, null, 'x'.repeat(201), 'a\u0000b', 'a\nb', {}], name: [5, 'x'.repeat(201), 'a\u0007b', 'a\u0085b'],
		track: [5, '', 'x'.repeat(65), 'a\u0000'], tracks: ['x', [5], ['a', 'a'], Array.from({ length: 17 }, (_, i) => `t${i}`)],
		mime: [5, 'x'.repeat(201), 'a\r\nb: c'], ext: [5, 'x'.repeat(17), 'a\u0000b'], from: [-1, 'x', 1.5], ts: ['x'], resume: ['x'], part: [1] };
	for (const [field, values] of Object.entries(bad)) {
		for (const value of values) {
			const w = await wire(t, server);
			w.send({ type: 'start', sessionId: sessionId(), mime: 'video/webm', ext: 'webm', [field]: value });
			const error = await w.error('bad_field');
			assert.ok(error.message.includes(field), `names the field ${field}: ${error.message}`);
			await w.close();
		}
	}
});

test('text that is no UTF-8', options, async (t) => {
	const w = await wire(t, server);
	w.socket.send(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), { binary: false });
	const answer = await w.when(() => w.inbox.shift() ?? w.socket.readyState === 3, 'an error or a close');
	if (answer !== true) assert.equal(answer.code, 'bad_message');
});

test('huge control messages', options, async (t) => {
	for (const size of [256 * 1024 + 1, 5_000_000]) {
		const session = sessionId();
		const w = await wire(t, server);
		const { id } = await w.start({ sessionId: session });
		w.binary(media(100));
		w.send(`{"type":"end","x":"${'y'.repeat(size)}"}`);
		await w.error('message_too_large');
		const other = await wire(t, server);
		assert.equal((await other.start({ sessionId: session })).bytes, 100);
		other.send({ type: 'end', totalBytes: 100 });
		await other.next('saved');
		await assertOriginal(server, id, media(100));
	}
	const w = await wire(t, server); // the largest that is allowed
	const start = JSON.stringify({ type: 'start', sessionId: sessionId(), mime: 'video/webm', ext: 'webm', more: '' });
	w.send(start.replace('"more":""', `"more":"${'y'.repeat(256 * 1024 - start.length)}"`));
	await w.next('started');
});

test('names full of slashes, dots and odd characters stay names', options, async (t) => {
	const names = ['../../../etc/passwd', '/etc/passwd', 'a/b/c', '..', '.', 'C:\\x', '%2e%2e%2f', "'; DROP TABLE recording; --", '💾 \u202e x', '"<b>&'];
	for (const name of names) {
		const w = await wire(t, server);
		const session = `${name}${sessionId()}`;
		const { id } = await w.start({ sessionId: session, name, track: name, ext: undefined });
		w.binary(media(50));
		w.send({ type: 'end', totalBytes: 50 });
		await w.next('saved');
		const state = await recording(server, id);
		assert.equal(state.name, name);
		assert.equal(state.sessionId, session);
		assert.equal(state.tracks[0].track, name);
		await assertOriginal(server, id, media(50), `?track=${encodeURIComponent(name)}`);
		assert.equal((await api(server, `/api/recordings/session:${encodeURIComponent(session)}`)).body?.id, id);
		await w.close();
	}
	for (const folder of readdirSync(join(server.dataDir, 'spool'))) assert.match(folder, /^[0-9a-f-]{36}$/);
	for (const ext of ['../x', 'a/b', '"x"', '.', 'webm;x']) {
		const w = await wire(t, server);
		w.send({ type: 'start', sessionId: sessionId(), mime: 'video/webm', ext });
		const message = await w.when(() => w.inbox.shift(), 'an answer');
		if (message.type === 'error') continue;
		const { headers } = await api(server, `/api/recordings/${message.id}/original`);
		assert.doesNotMatch(headers.get('content-disposition') ?? '', /\/|\.\./);
	}
});

test('a foreign Origin is 403, none and the own one pass', options, async (t) => {
	for (const origin of ['http://evil.example', 'null', 'https://127.0.0.1:1', 'http://127.0.0.1.evil.example', 'http://127.0.0.1:1']) {
		const answer = await raw(server, `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
			+ `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: holdfast.v1\r\nOrigin: ${origin}\r\n\r\n`, 500);
		assert.equal(answer.status, 403, `${origin}: ${answer.text}`);
		assert.equal((await api(server, '/api/recordings', { method: 'GET', headers: { origin } })).status, 403, origin);
	}
	await wire(t, server, { origin: server.url });
	assert.equal((await api(server, '/api/recordings', { headers: { origin: server.url } })).status, 200);
});

test('a Host that is not loopback, or a request from behind a proxy, has no token', options, async () => {
	const get = (headers) => raw(server, `GET /api/recordings HTTP/1.1\r\n${headers}\r\nConnection: close\r\n\r\n`);
	assert.equal((await get(`Host: 127.0.0.1:${server.port}`)).status, 200);
	assert.equal((await get(`Host: localhost:${server.port}`)).status, 200);
	for (const headers of ['Host: evil.example', `Host: evil.example:${server.port}`, `Host: 127.0.0.1:${server.port}\r\nX-Forwarded-For: 1.2.3.4`,
		`Host: 127.0.0.1:${server.port}\r\nForwarded: for=1.2.3.4`, `Host: 127.0.0.1:${server.port}\r\nX-Forwarded-Proto: https`]) {
		const { status } = await get(headers);
		assert.ok(status === 401 || status === 403 || status === 400, `${headers}: ${status}`);
	}
});

const HEAD = () => `Host: 127.0.0.1:${server.port}\r\nConnection: close\r\n`;

test('Content-Length twice, negative or endless is 400', options, async () => {
	for (const length of ['Content-Length: 2\r\nContent-Length: 2', 'Content-Length: 2\r\nContent-Length: 3', 'Content-Length: -1',
		'Content-Length: +2', 'Content-Length: 2, 2', 'Content-Length: 2x', 'Content-Length: 0x2', 'Content-Length: ', 'Content-Length: 99999999999999999999999']) {
		const { status, text } = await raw(server, `POST /api/recordings/x/complete HTTP/1.1\r\n${HEAD()}${length}\r\n\r\n{}`);
		assert.equal(status, 400, `${length}: ${text}`);
	}
});

test('a body above the limit is 413; a chunked one is decoded or 411, never left hanging', options, async () => {
	const { status } = await raw(server, `POST /api/recordings/x/complete HTTP/1.1\r\n${HEAD()}Content-Length: 100000000\r\n\r\n{}`);
	assert.equal(status, 413);
	const chunked = await raw(server, `POST /api/recordings/x/complete HTTP/1.1\r\n${HEAD()}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`);
	assert.ok([404, 411].includes(chunked.status), chunked.text);
	const both = await raw(server, `POST /api/recordings/x/complete HTTP/1.1\r\n${HEAD()}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`);
	assert.ok([400, 411].includes(both.status), both.text);
	assert.equal(both.text.split('HTTP/1.1').length, 2, 'one answer: nothing was smuggled');
});

test('Expect: 100-continue is answered', options, async () => {
	const { text } = await raw(server, `POST /api/recordings/x/complete HTTP/1.1\r\n${HEAD()}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`, 1000);
	assert.match(text, /^HTTP\/1\.1 (100|404|417)/);
});

test('20 KB of headers are answered, far more are refused', options, async () => {
	const much = (bytes) => Array.from({ length: bytes / 1000 }, (_, i) => `X-Padding-${i}: ${'p'.repeat(980)}`).join('\r\n');
	const fine = await raw(server, `GET /api/recordings HTTP/1.1\r\n${HEAD()}${much(20_000)}\r\n\r\n`);
	assert.equal(fine.status, 200, fine.text.slice(0, 200));
	for (const size of [40_000, 1_000_000]) {
		const { status, text } = await raw(server, `GET /api/recordings HTTP/1.1\r\n${HEAD()}${much(size)}\r\n\r\n`);
		assert.ok(status === 431 || text === '', `${size}: ${text.slice(0, 200)}`);
	}
	const long = await raw(server, `GET /api/recordings?x=${'y'.repeat(100_000)} HTTP/1.1\r\n${HEAD()}\r\n`);
	assert.ok([400, 414, 431].includes(long.status) || long.text === '', long.text.slice(0, 200));
});

test('Upgrade: h2c and CONNECT open nothing', options, async () => {
	const h2c = await raw(server, `GET /api/recordings HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n`
		+ 'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n', 1500);
	assert.notEqual(h2c.status, 101, h2c.text);
	const prior = await raw(server, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00', 1500);
	assert.ok(prior.status === 0 || prior.status >= 400, prior.text);
	const connect = await raw(server, `CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\nraw bytes`, 1500);
	assert.ok(connect.closed, 'CONNECT must end the connection');
	assert.ok(connect.status === 0 || connect.status >= 400, connect.text);
	const foreign = await raw(server, `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nUpgrade: nonsense\r\nConnection: Upgrade\r\n\r\n`, 1500);
	assert.notEqual(foreign.status, 101);
});

test('nonsense instead of HTTP, wrong methods, wrong paths', options, async () => {
	for (const text of ['\x16\x03\x01\x02\x00\x01\x00', '\x00\x00\x00\x00\r\n\r\n', 'GET\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', ' \r\n\r\n', 'x'.repeat(100_000)]) {
		const { status } = await raw(server, text, 1000);
		assert.ok(status === 0 || status >= 400, text.slice(0, 30));
	}
	for (const path of ['/..%2f..%2fetc/passwd', '/%00', '//', '/record/../../x', '/api/', '/api/recordings/a/b/c', '/ws/x'])
		assert.ok([400, 404].includes((await raw(server, `GET ${path} HTTP/1.1\r\n${HEAD()}\r\n`)).status), path);
	for (const method of ['PUT', 'TRACE', 'OPTIONS', 'BREW', 'PROPFIND']) {
		const { status } = await raw(server, `${method} /api/recordings HTTP/1.1\r\n${HEAD()}\r\n`, 1500);
		assert.ok(status === 0 || status >= 400, `${method}: ${status}`);
	}
});

test('WebSocket frames that break the rules', options, async (t) => {
	const upgrade = `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
		+ 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: holdfast.v1\r\n\r\n';
	const frames = {
		'not masked': [0x81, 0x02, 0x7b, 0x7d],
		'reserved opcode': [0x83, 0x80, 1, 2, 3, 4],
		'reserved bit': [0xc1, 0x80, 1, 2, 3, 4],
		'long control frame': [0x89, 0xfe, 0x00, 0x80, 1, 2, 3, 4],
		'continuation of nothing': [0x80, 0x80, 1, 2, 3, 4],
		'length of 2^63': [0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4],
	};
	for (const [name, frame] of Object.entries(frames)) {
		const socket = net.connect(server.port, '127.0.0.1');
		atEnd(t, () => socket.destroy());
		socket.on('error', () => {});
		const closed = new Promise((resolve) => socket.on('close', () => resolve(true)));
		const upgraded = new Promise((resolve) => socket.once('data', resolve));
		socket.write(upgrade);
		assert.match(String(await upgraded), /^HTTP\/1\.1 101/);
		socket.write(Buffer.from(frame));
		socket.resume();
		await until(() => Promise.race([closed, false]), 5000, `${name}: closed`).catch((error) => {
			// a frame whose length never comes may wait for its bytes, within the heartbeat
			if (name !== 'length of 2^63') throw error;
		});
	}
});

test('connections that say nothing are closed and hold nobody up', { timeout: 90_000 }, async (t) => {
	const sockets = Array.from({ length: 1000 }, () => net.connect(server.port, '127.0.0.1'));
	atEnd(t, () => sockets.forEach((socket) => socket.destroy()));
	let closed = 0;
	for (const socket of sockets) {
		socket.on('error', () => {});
		socket.on('close', () => closed++);
		socket.resume();
	}
	await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.on('connect', resolve))));
	sockets[0].write('GET /api/recordings HTTP/1.1\r\nHo'); // and one that never ends its headers
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId() });
	w.binary(media(100_000));
	await w.untilAcked(100_000, 2000);
	w.send({ type: 'end', totalBytes: 100_000 });
	await w.next('saved', 2000);
	await assertOriginal(server, id, media(100_000));
	await until(() => closed === 1000, 40_000, 'all of them closed');
	assert.ok(server.rss().most < 250e6, `${server.rss().most}`);
});

test('a client that never reads its acks loses nothing and costs no memory', options, async (t) => {
	const session = sessionId();
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: session });
	w.socket._socket.pause();
	const bytes = media(20_000 * 100);
	for (let at = 0; at < bytes.length; at += 100) w.binary(bytes.subarray(at, at + 100));
	await until(async () => (await recording(server, id)).bytes === bytes.length, 30_000, 'all bytes durable');
	assert.ok(server.rss().most < 250e6, `${server.rss().most}`);
	w.socket._socket.resume();
	await w.untilAcked(bytes.length);
	w.send({ type: 'end', totalBytes: bytes.length });
	await w.next('saved');
	await assertOriginal(server, id, bytes);
});
