// What is on air here goes to a real Icecast too, whatever happens to it; and to another server of ours, whose port for
// sources hears what libshout says.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { ffmpegSource, listen, PASSWORD, raw, sourcePort, startIcecast, TAKES_SOURCES, withIcecast } from './support/icecast.mjs';
import { make } from './support/material.mjs';
import { startServer, until } from './support/server.mjs';
import { api, wire } from './support/wire.mjs';

const options = { timeout: 200_000 };

const url = (port, mount = '/{show}') => `icecast://source:${PASSWORD}@127.0.0.1:${port}${mount}`;
const count = (text, pattern) => [...text.matchAll(pattern)].length;

function assertDecodes(bytes, what, but = /^$/) {
	const { status, stderr } = spawnSync('ffmpeg', ['-nostdin', '-v', 'error', '-i', 'pipe:0', '-f', 'null', '-'], { input: bytes, encoding: 'utf8' });
	const said = stderr.split('\n').filter((line) => line && !but.test(line)).join('\n');
	assert.equal(`${status} ${said}`, '0 ', what);
}

/** Up to the end of the last frame that is whole: an Icecast cuts a stream's end anywhere. */
function wholeFrames(adts) {
	let at = 0;
	while (at + 7 <= adts.length) {
		assert.equal(adts.readUInt16BE(at) & 0xfff6, 0xfff0, `a frame begins at ${at}`);
		const length = (adts.readUIntBE(at + 3, 3) >> 5) & 0x1fff;
		if (at + length > adts.length) break;
		at += length;
	}
	return adts.subarray(0, at);
}

/** ffmpeg on air with `show` for so long. */
async function onAir(t, server, show, seconds, args) {
	const port = await sourcePort(server);
	return ffmpegSource(t, `icecast://source:${PASSWORD}@127.0.0.1:${port}/${show}`, ['-t', String(seconds), ...args, '-ice_name', `The ${show}`]);
}

const MP3 = ['-c:a', 'libmp3lame', '-b:a', '128k', '-f', 'mp3', '-content_type', 'audio/mpeg'];
const TOOLS = {
	mp3: MP3,
	aac: ['-c:a', 'aac', '-f', 'adts', '-content_type', 'audio/aac'],
	ogg: ['-c:a', 'libopus', '-f', 'ogg', '-page_duration', '100000', '-content_type', 'audio/ogg'],
	webm: ['-c:a', 'libopus', '-f', 'webm', '-cluster_time_limit', '500', '-content_type', 'audio/webm'],
};

test('a real Icecast has every show that is on air, in every format', options, (t) => withIcecast(t, async (icecast) => {
	const server = await startServer(t, { args: [...TAKES_SOURCES, '--grace', '1s', '--icecast', url(icecast.port)] });
	for (const [kind, args] of Object.entries(TOOLS)) await onAir(t, server, kind, 12, args);
	await Promise.all(Object.keys(TOOLS).map(async (kind) => {
		const mounts = await until(async () => (await icecast.mounts())[`/${kind}`] && icecast.mounts(), 10_000, `${kind} at the Icecast`);
		assert.equal(mounts[`/${kind}`].server_name, `The ${kind}`);
		const { bytes, headers } = await listen(`${icecast.url}/${kind}`, 30_000); // to its end
		assert.ok(bytes.length > 30_000, `${kind}: ${bytes.length}`);
		assertDecodes(kind === 'aac' ? wholeFrames(bytes) : bytes, `${kind}, ${headers.get('content-type')}`, /File ended prematurely/); // in a cluster
	}));
	await until(async () => Object.keys(await icecast.mounts()).length === 0, 30_000, 'all are off');
	assert.doesNotMatch(server.output, new RegExp(PASSWORD));
	assert.equal(count(server.output, /icecast_failed/g), 0);
}));

test('an Icecast that is killed gets the stream again when it is back', options, async (t) => {
	const icecast = await startIcecast(t);
	const server = await startServer(t, { args: [...TAKES_SOURCES, '--icecast', url(icecast.port, '/all.mp3')] });
	await onAir(t, server, 'morning', 40, MP3);
	await until(async () => (await icecast.mounts())['/all.mp3'], 10_000, 'on air');
	await icecast.kill();
	await until(() => /icecast_failed/.test(server.output), 10_000, 'the failure in the log');
	assertDecodes((await listen(`${server.url}/live/morning`, 2000)).bytes, 'our own listener'); // nobody here notices
	await icecast.start();
	await until(async () => (await icecast.mounts())['/all.mp3'], 20_000, 'on air again');
	const heard = await until(async () => {
		const { bytes } = await listen(`${icecast.url}/all.mp3`, 2000);
		return bytes.length > 4000 && bytes;
	}, 10_000, 'something to hear there');
	assertDecodes(heard, 'a listener there');
	await until(() => count(server.output, /icecast_connected/g) === 2, 5000, 'both connections in the log');
	assert.ok(count(server.output, /icecast_failed/g) <= 2, server.output);
	const { status } = await api(server, '/api/shows/morning/stop', { method: 'POST' });
	assert.equal(status, 200);
	await until(async () => !(await icecast.mounts())['/all.mp3'], 5000, 'off there, too');
});

test('a wrong password is said once, and it is not the password', options, (t) => withIcecast(t, async (icecast) => {
	const server = await startServer(t, { args: [...TAKES_SOURCES, '--icecast', `icecast://:not-it@127.0.0.1:${icecast.port}/x`] });
	await onAir(t, server, 'morning', 20, MP3);
	await until(() => /icecast_failed/.test(server.output), 10_000, 'the failure in the log');
	await until(() => count(icecast.log, /\/x|401|bad or missing password/g) > 2, 10_000, 'it tries again');
	assert.equal(count(server.output, /icecast_failed/g), 1);
	assert.doesNotMatch(server.output, /not-it/);
	await icecast.kill();
}));

test('titles go on to the Icecast', options, (t) => withIcecast(t, async (icecast) => {
	const server = await startServer(t, { args: [...TAKES_SOURCES, '--icecast', url(icecast.port)] });
	await onAir(t, server, 'morning', 20, MP3);
	await until(async () => (await icecast.mounts())['/morning'], 10_000, 'on air');
	const port = await sourcePort(server);
	const basic = Buffer.from(`source:${PASSWORD}`).toString('base64');
	await raw(t, port).send(`GET /admin/metadata?mode=updinfo&mount=/morning&song=Bj%C3%B6rk HTTP/1.0\r\nAuthorization: Basic ${basic}\r\n\r\n`).over();
	await until(async () => (await icecast.mounts())['/morning'].title === 'Björk', 10_000, 'the title');
}));

test('another format after another host is another stream there', options, (t) => withIcecast(t, async (icecast) => {
	const server = await startServer(t, { args: ['--icecast', url(icecast.port)] });
	const type = (wanted) => until(async () => (await icecast.mounts())['/morning']?.server_type === wanted, 15_000, wanted);
	const host = async (sessionId, kind, mime) => {
		const one = await wire(t, server);
		one.send({ type: 'start', show: 'morning', sessionId, mime, ext: kind });
		await one.when(() => one.inbox.find((message) => message.type === 'started'), 'started');
		one.binary(make(kind, 12));
		return one;
	};
	await host('a', 'webm', 'video/webm');
	await type('video/webm');
	await host('b', 'opus', 'audio/ogg');
	await type('audio/ogg');
	await until(() => count(server.output, /icecast_connected/g) === 2, 5_000, 'both connections');
	assert.equal(count(server.output, /icecast_failed/g), 0);
	await host('c', 'fragments', 'video/mp4');
	await until(() => /icecast_type show=morning type=video\/mp4/.test(server.output), 10_000, 'that MP4 is not pushed');
}));

test('libshout at our own port: one server pushes to another', options, async (t) => {
	const far = await startServer(t, { args: [...TAKES_SOURCES, '--grace', '1s'] });
	const server = await startServer(t, { args: [...TAKES_SOURCES, '--icecast', url(await sourcePort(far), '/far-{show}.webm')] });
	const host = await wire(t, server);
	host.send({ type: 'start', show: 'morning', mime: 'audio/webm;codecs=opus', ext: 'webm', name: 'Morning' });
	await host.when(() => host.inbox.find((message) => message.type === 'started'), 'started');
	const bytes = make('webm', 12);
	for (let at = 0; at < bytes.length; at += 4000) host.binary(bytes.subarray(at, at + 4000));
	await until(async () => (await api(far, '/api/shows/far-morning')).body.state === 'live', 10_000, 'on air there');
	assert.equal((await api(far, '/api/shows/far-morning')).body.name, 'Morning');
	host.send({ type: 'stop' });
	await host.when(() => host.inbox.find((message) => message.type === 'stopped'), 'stopped');
	await until(async () => (await api(far, '/api/shows/far-morning')).body.state === 'off', 10_000, 'off there');
	const [version] = (await api(far, '/api/recordings?show=far-morning')).body.items;
	const { bytes: got } = await api(far, `/api/recordings/${version.id}/original`);

	assertDecodes(got, `what came there: ${got.length} of ${bytes.length}, up to ${bytes.indexOf(got.subarray(-2000)) + 2000}, parts ${version.tracks[0].parts}, version ${version.version}\n${server.output}\n${far.output}`);
	assert.ok(got.subarray(-2000).equals(bytes.subarray(-2000)), 'all of it came');
});
