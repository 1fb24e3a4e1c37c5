// Tools that go on air with Icecast's source protocol: ffmpeg as it is, and by hand what others say.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ffmpeg } from './support/finishing.mjs';
import { basic, ffmpegSource, listen, PASSWORD, put, raw, sourcePort, TAKES_SOURCES } from './support/icecast.mjs';
import { make } from './support/material.mjs';
import { sharedServer, startServer, tempDir, until } from './support/server.mjs';
import { api, isSealed, recording, wire } from './support/wire.mjs';

const options = { timeout: 60_000 };
const GRACE = ['--grace', '2s'];
const server = sharedServer({ args: [...TAKES_SOURCES, ...GRACE], workers: 1 });

const show = async (name, on = server) => (await api(on, `/api/shows/${name}`)).body;
const versions = async (name, on = server) => (await api(on, `/api/recordings?show=${name}`)).body.items;
const live = (name, on = server) => until(async () => (await show(name, on)).state === 'live', 10_000, `${name} is on air`);

/** The show is off, and its one recording sealed: that. */
async function onlyVersion(name, on = server) {
	await until(async () => (await show(name, on)).state === 'off', 10_000, `${name} is off`);
	const items = await versions(name, on);
	assert.equal(items.length, 1, JSON.stringify(items));
	return until(async () => {
		const state = await recording(on, items[0].id);
		return isSealed(state) && state;
	}, 10_000, `${name} is sealed`);
}

const original = async (id, on = server) => (await api(on, `/api/recordings/${id}/original`)).bytes;

/** ffmpeg reads it to the end without a word. */
function assertDecodes(bytes, what) {
	const { status, stderr } = spawnSync('ffmpeg', ['-nostdin', '-v', 'error', '-i', 'pipe:0', '-f', 'null', '-'], { input: bytes, encoding: 'utf8' });
	assert.equal(`${status} ${stderr}`, '0 ', what);
}

const TOOLS = {
	mp3: { args: ['-c:a', 'libmp3lame', '-b:a', '128k', '-f', 'mp3', '-content_type', 'audio/mpeg'], mime: 'audio/mpeg' },
	aac: { args: ['-c:a', 'aac', '-b:a', '96k', '-f', 'adts', '-content_type', 'audio/aac'], mime: 'audio/aac' },
	ogg: { args: ['-c:a', 'libopus', '-b:a', '96k', '-f', 'ogg', '-page_duration', '100000', '-content_type', 'audio/ogg'], mime: 'audio/ogg' },
	webm: { args: ['-c:a', 'libopus', '-b:a', '96k', '-f', 'webm', '-cluster_time_limit', '500', '-content_type', 'audio/webm'], mime: 'audio/webm' },
};

describe('ffmpeg goes on air', { concurrency: 8 }, () => {
	for (const [kind, { args, mime }] of Object.entries(TOOLS)) {
		for (const legacy of [0, 1]) {
			test(`with ${kind}${legacy ? ', by SOURCE' : ''}`, options, async (t) => {
				const name = `ffmpeg-${kind}-${legacy}`;
				const port = await sourcePort(server);
				const source = ffmpegSource(t, `icecast://source:${PASSWORD}@127.0.0.1:${port}/${name}.${kind}`,
					['-t', '4', ...args, '-ice_name', 'Früh am Morgen', '-legacy_icecast', String(legacy)]);
				await live(name);
				const heard = await until(async () => { // on air is not yet heard: its first bytes may be on the way
					const got = await listen(`${server.url}/live/${name}`, 20_000);
					return got.status === 200 && got;
				}, 5000, 'something to hear');
				assert.equal(heard.headers.get('content-type').split(';')[0], mime);
				assertDecodes(heard.bytes, 'what was heard');
				const { code, said } = await source.ended;
				assert.equal(code, 0, said);
				const version = await onlyVersion(name);
				assert.equal(version.name, 'Früh am Morgen');
				assert.equal(version.show, name);
				assert.equal(version.version, 1);
				const bytes = await original(version.id);
				assertDecodes(bytes, 'what was recorded');
				assert.ok(bytes.includes(heard.bytes.subarray(-2000)), 'what was heard is what was recorded');
			});
		}
	}
});

test('a body in chunks is taken byte for byte, and its end is the end of the show', options, async (t) => {
	const port = await sourcePort(server);
	const bytes = make('mp3', 4);
	const source = raw(t, port).send(put('/chunks', 'Content-Type: audio/mpeg', 'Transfer-Encoding: chunked', 'Expect: 100-continue', 'Ice-Name: In chunks'));
	await source.saw(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
	let body = Buffer.alloc(0);
	for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7) % 9001 + 1) {
		const piece = bytes.subarray(at, at + size);
		body = Buffer.concat([body, Buffer.from(`${piece.length.toString(16)};x=y\r\n`), piece, Buffer.from('\r\n')]);
	}
	for (let at = 0; at < body.length; at += 3001) source.send(body.subarray(at, at + 3001));
	await live('chunks');
	source.send('0\r\n\r\n');
	const { text } = await source.over();
	assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
	assert.equal((await show('chunks')).state, 'off'); // at once, without a grace
	const version = await onlyVersion('chunks');
	assert.equal(version.interrupted, false);
	assert.ok((await original(version.id)).equals(bytes));
});

test('a body of a length that was said ends the show, too', options, async (t) => {
	const port = await sourcePort(server);
	const bytes = make('opus', 2);
	const source = raw(t, port).send(put('/counted.ogg', 'Content-Type: application/ogg', `Content-Length: ${bytes.length}`), bytes, 'GET / HTTP/1.1\r\n\r\n');
	assert.deepEqual((await source.over()).status, 200);
	const version = await onlyVersion('counted');
	assert.equal(version.interrupted, false);
	assert.ok((await original(version.id)).equals(bytes));
});

test('all that came before the connection ended is recorded, though the disk had no room for it at once', options, async (t) => {
	const bytes = Buffer.concat(Array(40).fill(make('mp3', 12)));
	for (let n = 0; n < 5; n++) {
		const source = raw(t, await sourcePort(server));
		source.send(put(`/burst-${n}`, 'Content-Type: audio/mpeg'));
		source.socket.end(bytes);
		await until(async () => (await show(`burst-${n}`)).version === 1, 10_000, 'on air');
		const { bytes: length } = await onlyVersion(`burst-${n}`);
		assert.equal(length, bytes.length);
	}
});

test('a source that comes back within the grace goes on with its recording', options, async (t) => {
	const port = await sourcePort(server);
	const [first, second] = [make('webm', 2), make('webm', 3)];
	const one = raw(t, port).send(put('/again', 'Content-Type: video/webm'));
	await (await one.saw(/ 200 OK/)).send(first);
	await live('again');
	await until(async () => (await versions('again'))[0]?.bytes === first.length, 10_000, 'all is durable');
	await one.cut();
	await until(async () => (await show('again')).state === 'waiting', 10_000, 'the show waits');
	const other = raw(t, port).send(put('/again', 'Content-Type: video/webm'));
	await (await other.saw(/ 200 OK/)).send(second);
	await until(async () => (await versions('again'))[0]?.bytes === first.length + second.length, 10_000, 'all is durable');
	assert.equal((await show('again')).state, 'live');
	await other.cut();
	const version = await onlyVersion('again');
	assert.equal(version.interrupted, true);
	assert.ok((await original(version.id)).equals(Buffer.concat([first, second])));
	assert.deepEqual(version.tracks[0].parts, [first.length]);
});

test('who may not is told so in words that its tool knows, and the connection closes', options, async (t) => {
	const port = await sourcePort(server);
	const media = 'Content-Type: audio/mpeg\r\n';
	const rows = [
		[`PUT /x HTTP/1.1\r\nHost: x\r\n${media}\r\n`, 401, /WWW-Authenticate: Basic/],
		[`SOURCE /x ICE/1.0\r\n${media}\r\n`, 401, /WWW-Authenticate: Basic/],
		[`SOURCE /x ICE/1.0\r\n${media}${basic('wrong')}\r\n\r\n`, 401],
		[`SOURCE /x ICE/1.0\r\n${media}${basic(PASSWORD, 'admin')}\r\n\r\n`, 401],
		[`SOURCE /x ICE/1.0\r\n${media}Authorization: Basic !!\r\n\r\n`, 400],
		[`SOURCE /a/b ICE/1.0\r\n${media}${basic()}\r\n\r\n`, 400],
		[`PUT /x HTTP/1.1\r\nHost: x\r\nContent-Type: audio/flac\r\n${basic()}\r\n\r\n`, 415],
		[`PUT /x HTTP/1.1\r\nHost: x\r\n${basic()}\r\n\r\n`, 415],
		[`POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n${basic()}\r\n\r\n`, 405],
		['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 404],
		[`GET /api/recordings HTTP/1.1\r\nHost: x\r\n${basic()}\r\n\r\n`, 404],
		['GET /admin/metadata?mode=updinfo&mount=/x&song=y HTTP/1.1\r\nHost: x\r\n\r\n', 401],
		[`GET /admin/metadata?mode=updinfo&mount=/x&song=y HTTP/1.1\r\nHost: x\r\n${basic()}\r\n\r\n`, 404],
		['nonsense\n\n', 400],
		[`PUT /x HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(9000)}\r\n\r\n`, 431],
		['OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n', 200, /Allow: .*SOURCE/],
		[`PUT /x HTTP/1.1\r\nHost: x\r\n${media}Content-Length: 0\r\n${basic()}\r\n\r\n`, 200],
	];
	for (const [request, status, more = /./] of rows) {
		const answer = await raw(t, port).send(request).over();
		assert.equal(answer.status, status, `${request}: ${answer.text}`);
		assert.match(answer.text, more);
	}
	assert.equal((await show('x')).version, 0);
	assert.doesNotMatch(server.output, new RegExp(PASSWORD));
});

test('a mount that is in use is refused until it is free', options, async (t) => {
	const port = await sourcePort(server);
	const one = raw(t, port).send(put('/busy', 'Content-Type: audio/mpeg'));
	await one.saw(/ 200 OK/);
	one.send(make('mp3', 1));
	await live('busy');
	const other = await raw(t, port).send(put('/busy.mp3', 'Content-Type: audio/mpeg')).over();
	assert.equal(other.status, 403);
	const browser = await wire(t, server);
	browser.send({ type: 'start', show: 'busy', mime: 'audio/webm', ext: 'webm' });
	await browser.error('show_on_air');
	await api(server, '/api/shows/busy/stop', { method: 'POST' });
	await one.over();
	assert.equal((await show('busy')).state, 'off');
	browser.send({ type: 'start', show: 'busy', mime: 'audio/webm', ext: 'webm' });
	await browser.when(() => browser.inbox.find((message) => message.type === 'started'), 'started');
	const third = await raw(t, port).send(put('/busy', 'Content-Type: audio/mpeg')).over();
	assert.equal(third.status, 403); // a browser has it now
	browser.send({ type: 'stop' });
	await browser.when(() => browser.inbox.find((message) => message.type === 'stopped'), 'stopped');
});

test('a source that fell silent gives way to the next one', options, async (t) => {
	const port = await sourcePort(server);
	const one = raw(t, port).send(put('/silent', 'Content-Type: audio/mpeg'));
	(await one.saw(/ 200 OK/)).send(make('mp3', 1));
	await live('silent');
	let other;
	await until(async () => { // as a tool does that tries again
		other = raw(t, port).send(put('/silent', 'Content-Type: audio/mpeg'));
		await other.saw(/^HTTP\/1\.\d \d+/);
		return / 200 OK/.test(other.text);
	}, 20_000, 'its turn');
	await one.over();
	other.send(make('mp3', 1));
	await until(async () => (await versions('silent'))[0].tracks[0].parts.length === 1, 10_000, 'it was heard');
	await other.cut();
	assert.equal((await onlyVersion('silent')).tracks[0].parts.length, 1);
});

test('titles reach the show', options, async (t) => {
	const port = await sourcePort(server);
	const source = raw(t, port).send(put('/titles', 'Content-Type: audio/mpeg'));
	await source.saw(/ 200 OK/);
	source.send(make('mp3', 1));
	await live('titles');
	const say = (song) => raw(t, port).send(`GET /admin/metadata?mode=updinfo&mount=/titles.mp3&song=${song} HTTP/1.0\r\n${basic()}\r\n\r\n`).over();
	assert.equal((await say('Bj%C3%B6rk%20-%20J%C3%B3ga')).status, 200);
	assert.equal((await show('titles')).title, 'Björk - Jóga');
	assert.equal((await say('')).status, 200);
	assert.equal((await show('titles')).title, '');
});

test('each show may have a password of its own', options, async (t) => {
	const dir = tempDir(t);
	const file = join(dir, 'passwords');
	writeFileSync(file, '# who may\nmorning early bird\n', { mode: 0o600 });
	const own = await startServer(t, { args: [...TAKES_SOURCES, '--source-password-file', file] });
	const port = await sourcePort(own);
	const ask = (mount, password) => raw(t, port).send(`PUT ${mount} HTTP/1.1\r\nHost: x\r\nContent-Type: audio/mpeg\r\nContent-Length: 0\r\n${basic(password)}\r\n\r\n`).over();
	assert.equal((await ask('/morning', 'early bird')).status, 200);
	assert.equal((await ask('/morning', PASSWORD)).status, 401);
	assert.equal((await ask('/evening', PASSWORD)).status, 200);
	assert.equal((await ask('/evening', 'early bird')).status, 401);
	assert.doesNotMatch(own.output, /early bird/);
});

test('a server that stops lets a source go, and its show goes on after the restart', options, async (t) => {
	const own = await startServer(t, { args: [...TAKES_SOURCES, '--grace', '20s'] });
	const bytes = make('mp3', 2);
	let source = raw(t, await sourcePort(own)).send(put('/restart', 'Content-Type: audio/mpeg'));
	(await source.saw(/ 200 OK/)).send(bytes);
	await until(async () => (await versions('restart', own))[0]?.bytes === bytes.length, 10_000, 'all is durable');
	await own.stop();
	await source.over();
	await own.start();
	source = raw(t, await sourcePort(own)).send(put('/restart', 'Content-Type: audio/mpeg', 'Transfer-Encoding: chunked'));
	(await source.saw(/ 200 OK/)).send(`${bytes.length.toString(16)}\r\n`, bytes, '\r\n0\r\n\r\n');
	await source.over();
	const version = await onlyVersion('restart', own);
	assert.ok((await original(version.id, own)).equals(Buffer.concat([bytes, bytes])));
});

test('the port speaks TLS, too, where the server has a certificate', options, async (t) => {
	const own = await startServer(t, { args: [...TAKES_SOURCES, '--lan', '--lan-port', '0', '--grace', '1s'] });
	const port = await sourcePort(own);
	const bytes = make('opus', 1);
	for (const scheme of ['http', 'https']) {
		const { stdout, stderr } = spawnSync('curl', ['-sSk', '-u', `source:${PASSWORD}`, '-T', '-', '-H', 'Content-Type: audio/ogg', '-w', '%{http_code}', `${scheme}://127.0.0.1:${port}/${scheme}`],
			{ input: bytes, encoding: 'utf8', timeout: 20_000 });
		assert.equal(`${stdout} ${stderr}`, '200 ');
		const version = await onlyVersion(scheme, own);
		assert.equal(version.interrupted, false); // curl ends a body in chunks
		assert.ok((await original(version.id, own)).equals(bytes));
	}
	const plain = await sourcePort(server);
	const { status } = spawnSync('curl', ['-sk', `https://127.0.0.1:${plain}/x`], { timeout: 20_000 });
	assert.equal(status, 35); // no handshake
});

test('curl puts a file on air', options, async (t) => {
	const port = await sourcePort(server);
	const file = join(tempDir(t), 'a.mp3');
	ffmpeg('-f', 'lavfi', '-i', 'sine', '-t', '2', file);
	const { stdout, stderr, status } = spawnSync('curl', ['-sS', '-u', `source:${PASSWORD}`, '-T', file, '-H', 'Content-Type: audio/mpeg', '-o', '/dev/null', '-w', '%{http_code}', `http://127.0.0.1:${port}/curl.mp3`], { encoding: 'utf8', timeout: 20_000 });
	assert.equal(`${status} ${stdout} ${stderr}`, '0 200 ');
	const version = await onlyVersion('curl');
	assert.ok((await original(version.id)).equals(readFileSync(file)));
});
