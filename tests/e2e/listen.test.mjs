// Listeners of shows: real players at every kind of stream, late, slow and many; what they get is what the host sent.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodes, listen, onAir, program } from './support/air.mjs';
import { ffmpeg } from './support/finishing.mjs';
import { basic, put, raw, sourcePort, TAKES_SOURCES } from './support/icecast.mjs';
import { make } from './support/material.mjs';
import { Server, atEnd, sharedServer, startServer, tempDir, until } from './support/server.mjs';
import { as, code, json, mint, stranger } from './support/tokens.mjs';
import { api, assertOriginal, media } from './support/wire.mjs';

const SECONDS = 6, SOUND_SECONDS = 30, SENT_MS = 3000; // of sound more than two bursts
const server = sharedServer({ args: ['--grace', '3s'] });
const options = { timeout: 90_000 };
let shows = 0;
const name = () => `show-${++shows}`;
const status = async (at, show) => (await api(at, `/api/shows/${show}`)).body;
const gone = (at, show) => until(async () => (await status(at, show)).listeners === 0, 10_000, 'nobody listens');

const live = {
	'webm of sound': () => ffmpeg('-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-t', String(SOUND_SECONDS), '-c:a', 'libopus',
		'-b:a', '96k', '-cluster_time_limit', '500', '-live', '1', '-f', 'webm', 'pipe:1'),
	webm: () => make('webm', SECONDS), fragments: () => make('fragments', SECONDS), opus: () => make('opus', SOUND_SECONDS),
	vorbis: () => make('vorbis', SOUND_SECONDS), mp3: () => make('mp3', SOUND_SECONDS), adts: () => make('adts', SOUND_SECONDS),
};

for (const [kind, bytes] of Object.entries(live)) {
	test(`${kind}: who comes early, late or in the middle hears what can be decoded`, options, async (t) => {
		const show = name(), stream = bytes();
		const host = await onAir(t, server, show, { mime: 'application/x-unknown', ext: 'bin' });
		const sending = host.sendOver(stream, SENT_MS);
		await until(async () => (await api(server, `/live/${show}`, { method: 'HEAD' })).status === 200, 5000, 'something to hear');
		const first = program(t, 'curl', ['-sS', '-N', `${server.url}/live/${show}`]);
		const early = listen(t, server, show);
		await until(() => host.sent > stream.length / 2, SENT_MS * 2, 'half of it');
		const late = listen(t, server, show, { version: '1.0' });
		const player = program(t, 'ffmpeg', ['-nostdin', '-hide_banner', '-v', 'error', '-i', `${server.url}/live/${show}`, '-t', '1', '-f', 'null', '-']);
		await sending;
		const { status: playerStatus, err } = await player.done;
		assert.deepEqual([playerStatus, err.replace(/.*Stream ends prematurely.*\n|.*Input\/output error\n/g, '')], [0, '']);
		host.send({ type: 'stop' });
		const stopped = await host.next('stopped');
		await Promise.all([early.closed, late.closed]);
		const { out, err: curlSays } = await first.done;
		assert.equal(curlSays, '');
		for (const [who, heard] of [['curl', out], ['early', early.body], ['late', late.body]]) {
			assert.equal(await decodes(t, heard), '', who);
			assert.ok(heard.length < stream.length + 10_000, who);
			const tail = heard.subarray(-2000);
			assert.equal(stream.indexOf(tail), stream.length - tail.length, `${who}: to the last byte`);
		}
		assert.ok(late.body.length < early.body.length || stream.length < 200_000 || kind === 'webm' || kind === 'fragments');
		assert.match(early.head, /content-type: (audio|video)\/(webm|mp4|ogg|mpeg|aac)\r/i);
		await assertOriginal(server, stopped.id, stream); // and all of it is recorded
		assert.deepEqual([(await status(server, show)).state, (await api(server, `/live/${show}`)).body.code], ['off', 'not_on_air']);
	});
}

test('a link that drops within the grace is no end, and nothing is heard twice', options, async (t) => {
	const show = name(), stream = make('mp3', 4);
	const first = await onAir(t, server, show, { sessionId: show, mime: 'audio/mpeg' });
	await first.sendOver(stream.subarray(0, 20_000), 200);
	const listener = await listen(t, server, show).heard(19_000); // what comes before the first frame is none of it
	await first.untilAcked(20_000);
	await first.cut();
	assert.equal((await status(server, show)).state, 'waiting');
	const again = await onAir(t, server, show, { sessionId: show, mime: 'audio/mpeg', from: 0 });
	assert.equal(again.started.bytes, 20_000);
	again.binary(stream.subarray(20_000));
	await listener.heard(stream.length - 1000);
	again.send({ type: 'end', totalBytes: stream.length });
	await again.next('saved');
	await listener.closed;
	assert.ok(stream.subarray(-listener.bytes).equals(listener.body));
	assert.equal(listener.socket.errored, null);
});

test('another kind of stream ends the answer, the same kind goes on', options, async (t) => {
	const show = name(), mp3 = make('mp3', 2), webm = live['webm of sound']();
	const host = await onAir(t, server, show, { sessionId: 'a', mime: 'audio/mpeg' });
	host.binary(mp3);
	const first = await listen(t, server, show).heard(mp3.length - 1000);
	const next = await onAir(t, server, show, { sessionId: 'b', mime: 'audio/mpeg' });
	next.binary(mp3);
	await first.heard(2 * mp3.length - 1000);
	assert.ok(first.body.subarray(-mp3.length).equals(mp3));
	const other = await onAir(t, server, show, { sessionId: 'c', mime: 'audio/webm' });
	other.binary(webm);
	await first.closed;
	const second = await listen(t, server, show).heard(1000);
	assert.match(second.head, /Content-Type: audio\/webm\r/);
	assert.equal((await status(server, show)).listeners, 1);
});

test('who asks for titles gets them between the media', options, async (t) => {
	const show = name(), mp3 = make('mp3', 8);
	const host = await onAir(t, server, show, { mime: 'audio/mpeg' });
	host.binary(mp3);
	const titled = listen(t, server, show, { fields: 'Icy-MetaData: 1\r\n' });
	const player = program(t, 'ffmpeg', ['-nostdin', '-hide_banner', '-v', 'error', '-i', `${server.url}/live/${show}`, '-t', '1', '-f', 'null', '-']);
	await titled.heard(48_000);
	assert.match(titled.head, /icy-metaint: 16000\r/);
	assert.match(titled.head, new RegExp(`icy-name: ${show}\r`));
	const { body } = titled;
	const plain = Buffer.concat([body.subarray(0, 16_000), body.subarray(16_001, 32_001)]); // nobody said a title: a zero each time
	assert.equal(body[16_000], 0);
	assert.ok(mp3.includes(plain));
	assert.deepEqual(await player.done.then(({ err }) => err), '');
});

test('a title that a source says reaches who asked for titles', options, async (t) => {
	const own = await startServer(t, { args: TAKES_SOURCES }), port = await sourcePort(own);
	const source = raw(t, port).send(put('/titled', 'Content-Type: audio/mpeg'));
	await source.saw(/ 200 OK/);
	source.send(make('mp3', 8));
	await until(async () => (await api(own, '/live/titled', { method: 'HEAD' })).status === 200, 5000, 'something to hear');
	const song = 'Björk - Jóga';
	await raw(t, port).send(`GET /admin/metadata?mode=updinfo&mount=/titled&song=${encodeURIComponent(song)} HTTP/1.0\r\n${basic()}\r\n\r\n`).over();
	const { body } = await listen(t, own, 'titled', { fields: 'Icy-MetaData: 1\r\n' }).heard(16_100);
	const text = body.subarray(16_001, 16_001 + body[16_000] * 16).toString();
	assert.equal(text.replace(/\0+$/, ''), `StreamTitle='${song}';`);
});

test('one who takes nothing any more is dropped, and nobody else hears of it', options, async (t) => {
	const show = name(), own = await startServer(t);
	const host = await onAir(t, own, show);
	host.binary(media(20_000));
	const good = await listen(t, own, show).heard(20_000), bad = await listen(t, own, show).heard(20_000);
	bad.socket.pause();
	const sent = [media(20_000)];
	const STALL_MS = 10_000, RING = 4 << 20, began = Date.now();
	const metrics = async () => (await api(own, '/metrics')).bytes.toString();
	for (let i = 2; !/holdfast_listeners_dropped_total 1\n/.test(await metrics()); i++) {
		assert.ok(i < 120, 'never dropped');
		sent.push(media(60_000, i));
		host.binary(sent.at(-1));
		await new Promise((resolve) => setTimeout(resolve, 300));
	}
	const stream = Buffer.concat(sent);
	assert.ok(Date.now() - began > STALL_MS && stream.length < RING, `${Date.now() - began} ms, ${stream.length}`);
	await good.heard(stream.length);
	assert.ok(good.body.equals(stream));
	assert.match(await metrics(), /holdfast_listeners 1\n/);
	bad.socket.resume();
	await bad.closed;
	assert.ok(stream.subarray(0, bad.bytes).equals(bad.body)); // what he got is whole
	await host.untilAcked(stream.length);
	assert.equal((await status(own, show)).recording, 'recording');
});

test('a thousand come, half of them leave, and the show goes on', options, async (t) => {
	const COUNT = 1000, show = name(), mp3 = make('mp3', 10);
	const host = await onAir(t, server, show, { mime: 'audio/mpeg' });
	host.binary(mp3.subarray(0, 64_000));
	await until(async () => (await api(server, `/live/${show}`, { method: 'HEAD' })).status === 200, 5000, 'something to hear');
	const all = Array.from({ length: COUNT }, () => listen(t, server, show));
	await Promise.all(all.map((one) => one.heard(1, 30_000)));
	const before = server.rss().now;
	for (let i = 0; i < COUNT; i += 2) all[i].socket.destroy();
	await until(async () => (await status(server, show)).listeners === COUNT / 2, 10_000, 'half of them');
	await host.sendOver(mp3.subarray(64_000), 1000);
	const stay = all.filter((_, i) => i % 2);
	await Promise.all(stay.map((one) => until(() => one.bytes > 0 && mp3.subarray(-500).equals(one.body.subarray(-500)), 30_000, 'the newest')));
	for (const one of stay.slice(0, 20)) assert.ok(mp3.includes(one.body));
	assert.ok(server.rss().now - before < 16e6, `${server.rss().now - before}`);
	for (const one of stay) one.socket.destroy();
	await gone(server, show);
});

test('by https, fast and slow', options, async (t) => {
	const dir = tempDir(t), cert = join(dir, 'cert.pem'), key = join(dir, 'key.pem'), show = name();
	assert.equal(spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert, '-days', '2',
		'-subj', '/CN=radio', '-addext', 'subjectAltName=IP:127.0.0.1']).status, 0);
	const own = new Server({ dataDir: join(dir, 'data') });
	atEnd(t, () => own.kill());
	own.start({ args: ['--tls-cert', cert, '--tls-key', key, '--listen-open'], startMs: 100_000 }).catch(() => {}); // it waits for a line of http
	const port = await until(() => /listening on https:\/\/127\.0\.0\.1:(\d+)/.exec(own.output)?.[1], 15_000, 'https');
	const at = { url: `https://127.0.0.1:${port}` };
	const host = await onAir(t, at, show, {}, as(mint(own, 'record').token, { ca: readFileSync(cert) }));
	const stream = media(4_000_000);
	host.binary(stream.subarray(0, 20_000));
	await host.untilAcked(20_000);
	const [fast, slow] = [[], ['--limit-rate', '150k']].map((more) => program(t, 'curl', ['-sS', '-N', '--cacert', cert, ...more, `${at.url}/live/${show}`]));
	await Promise.all([fast, slow].map((one) => new Promise((resolve) => one.stdout.once('data', resolve))));
	await host.sendOver(stream.subarray(20_000), 2000);
	host.send({ type: 'stop' });
	const [{ out: all, err }, { out: some }] = await Promise.all([fast.done, slow.done]);
	assert.equal(err, '');
	assert.ok(all.equals(stream));
	assert.ok(some.length > 100_000 && stream.subarray(0, 100_000).equals(some.subarray(0, 100_000)));
	assert.ok(stream.subarray(-1000).equals(some.subarray(-1000)) && some.length < stream.length);
});

test('shows over HTTP: what is on air, versions in the list, and two ways to stop', options, async (t) => {
	const own = await startServer(t);
	assert.deepEqual((await api(own, '/api/shows')).body, { items: [] });
	assert.deepEqual((await api(own, '/api/stream/stop', { method: 'POST' })).body, { stopped: null });
	const ids = [];
	for (const path of ['/api/shows/one/stop', '/api/stream/stop', '/api/stream/stop?show_id=one']) {
		const host = await onAir(t, own, 'one', { name: 'The one' });
		host.binary(media(100));
		await host.untilAcked(100);
		const { items } = (await api(own, '/api/shows')).body;
		assert.deepEqual(items.map(({ show, state, version, name: title }) => [show, state, version, title]), [['one', 'live', ids.length + 1, 'The one']]);
		const { status: answer, body } = await api(own, path, { method: 'POST' });
		assert.deepEqual([answer, body.stopped], [200, { show: 'one', version: ids.length + 1, id: host.started.id }]);
		ids.unshift(host.started.id);
	}
	const other = await onAir(t, own, 'two');
	other.binary(media(100));
	await other.untilAcked(100);
	assert.deepEqual((await api(own, '/api/recordings?show=one')).body.items.map(({ id, version }) => [id, version]), ids.map((id, i) => [id, 3 - i]));
	assert.deepEqual((await api(own, '/api/stream/stop', json('POST', { show_id: 'two' }))).body.stopped.id, other.started.id);
	assert.equal((await api(own, '/live/two')).body.code, 'not_on_air');
	assert.equal((await api(own, '/live/a%20b')).status, 404);
	assert.equal((await api(own, '/api/shows/never')).body.version, 0);
});

test('who may listen: by a token, by a signed URL, or everybody', options, async (t) => {
	const own = await startServer(t);
	const host = await onAir(t, own, 'one');
	host.binary(make('mp3', 1));
	await until(async () => (await api(own, '/live/one', { method: 'HEAD' })).status === 200, 5000, 'something to hear');
	const listener = mint(own, 'listen').token, importer = mint(own, 'import').token;
	assert.equal((await stranger(own, '/live/one', '', 'HEAD')).status, 401);
	assert.equal((await stranger(own, '/live/one', `Authorization: Bearer ${listener}\r\n`, 'HEAD')).status, 200);
	assert.equal(await code(api(own, '/live/one', as(importer))), 'forbidden_scope');
	assert.equal(await code(api(own, '/api/shows/one/stop', as(listener, { method: 'POST' }))), 'forbidden_scope');
	assert.equal(await code(api(own, '/api/shows/one/sign', as(importer, { method: 'POST' }))), 'forbidden_scope');
	const { body } = await api(own, '/api/shows/one/sign', as(listener, { method: 'POST' }));
	assert.match(body.url, /^\/live\/one\?exp=\d+&sig=[\w-]{43}$/);
	assert.ok(body.expiresAt > Date.now() && body.expiresAt <= Date.now() + 3_600_000);
	assert.equal((await stranger(own, body.url, '', 'HEAD')).status, 200);
	assert.equal((await stranger(own, body.url.replace('/live/one', '/live/two'), '', 'HEAD')).status, 401);
	assert.equal((await stranger(own, body.url.replace('/live/', '/api/shows/'))).status, 401);
	const open = await startServer(t, { args: ['--listen-open'] });
	const radio = await onAir(t, open, 'one');
	radio.binary(make('mp3', 1));
	await until(async () => (await api(open, '/live/one', { method: 'HEAD' })).status === 200, 5000, 'something to hear');
	const { text } = await stranger(open, '/live/one', '', 'HEAD');
	assert.match(text, /^HTTP\/1.1 200 [^]*Cross-Origin-Resource-Policy: cross-origin\r/);
	assert.equal((await stranger(open, '/api/shows/one')).status, 200);
	assert.equal((await stranger(open, '/api/recordings')).status, 401);
	assert.equal((await stranger(open, '/api/shows/one/stop', '', 'POST')).status, 401);
	assert.equal((await stranger(open, '/live/one', 'Authorization: Bearer hf1.x.y\r\n', 'HEAD')).status, 401);
});
