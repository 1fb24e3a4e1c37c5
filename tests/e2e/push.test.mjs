// Finished recordings go to a bucket, a real one: whole, once, and through whatever dies on the way.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { startBucket } from './support/bucket.mjs';
import { make } from './support/material.mjs';
import { Proxy } from './support/proxy.mjs';
import { BINARY, startServer, tempDir, until } from './support/server.mjs';
import { api, media, recording, sessionId, sha256, wire } from './support/wire.mjs';

const options = { timeout: 300_000 };
const PUSHED_MS = 120_000; // radosgw on a machine that is busy
const MIB = 1 << 20;
const PART = 5 * MIB;

async function sent(t, server, bytes, fields = {}) {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId(), ...fields });
	for (let at = 0; at < bytes.length; at += MIB) {
		w.binary(bytes.subarray(at, at + MIB));
		await w.untilAcked(Math.min(at + MIB, bytes.length));
	}
	w.send({ type: 'end', totalBytes: bytes.length });
	await w.next('saved');
	await w.close();
	return id;
}

const stateOf = async (server, id) => (await recording(server, id)).push?.state;
const pushed = (server, id) => until(async () => (await stateOf(server, id)) === 'done', PUSHED_MS, `${id} is pushed; ${server.output.slice(-2000)}`);

/** What is in the bucket is what the server hands out, under the key that it names. */
async function assertThere(bucket, server, id) {
	const { push, file, phase } = await recording(server, id);
	assert.equal(phase, 'complete');
	assert.equal(push.revision, file.revision);
	assert.equal(push.error, null);
	assert.match(push.key, new RegExp(`^recordings/${id}-r1(\\.[a-z0-9]+)?$`));
	const { status, bytes } = await api(server, `/api/recordings/${id}/file`);
	assert.equal(status, 200);
	const object = await bucket.get(`live/${push.key}`);
	assert.ok(object, `${push.key} is there`);
	assert.equal(object.bytes.length, file.bytes);
	assert.equal(sha256(object.bytes), sha256(bytes));
	assert.equal(object.sha256, sha256(bytes));
	assert.equal(object.mime, file.mime);
	return object;
}

test('a finished recording is in the bucket, with the right bytes, and the figures say so', options, async (t) => {
	const bucket = await startBucket(t);
	const server = await startServer(t, { args: bucket.args(t), workers: 2 });
	const film = await sent(t, server, make('webm', 3), { name: 'A film' });
	const host = await wire(t, server);
	host.send({ type: 'start', show: 'morning', mime: 'audio/mpeg', ext: 'mp3' });
	const { id: show } = await host.when(() => host.inbox.find(({ type }) => type === 'started'), 'on air');
	const sound = make('mp3', 3);
	host.binary(sound);
	await host.untilAcked(sound.length);
	host.send({ type: 'stop' });
	const large = await sent(t, server, media(2 * PART + 1000), { mime: 'application/octet-stream', ext: 'bin' });
	await pushed(server, film);
	await pushed(server, large);
	assert.equal((await assertThere(bucket, server, film)).mime, 'video/webm');
	await assertThere(bucket, server, large);
	await pushed(server, show);
	const { push: { key } } = await recording(server, show);
	assert.match(key, new RegExp(`^morning/${show}-r1\\.mp3$`));
	assert.equal((await bucket.get(`live/${key}`)).mime, 'audio/mpeg');
	assert.deepEqual((await bucket.keys()).length, 3);
	assert.deepEqual(await bucket.uploads(), []);
	const metrics = await (await fetch(`${server.url}/metrics`)).text();
	assert.match(metrics, /holdfast_jobs\{kind="push",state="queued"\} 0/);
	assert.doesNotMatch(server.output, /rgwsecret/);

	// started anew nothing is sent again
	await server.stop();
	const proxy = await new Proxy(bucket.endpoint).listen();
	t.after(() => proxy.close());
	await server.start({ args: bucket.args(t, { endpoint: proxy.url }) });
	await new Promise((resolve) => setTimeout(resolve, 1500));
	assert.equal(proxy.connections, 0);
	assert.equal(await stateOf(server, large), 'done');

	// nor when the catalog is made anew from the folders: the bucket is asked, and has it
	await server.stop();
	const { status, stderr } = spawnSync(BINARY, ['verify', '--rebuild', '--data', server.dataDir], { encoding: 'utf8' });
	assert.equal(status, 0, stderr);
	await server.start({ args: bucket.args(t, { endpoint: proxy.url }) });
	await pushed(server, film);
	await pushed(server, large);
	assert.ok(proxy.connections > 0);
	assert.ok(proxy.toServer < 100_000, `${proxy.toServer} bytes`);
});

test('a server that is killed amid a push goes on behind the parts that were there', options, async (t) => {
	const bucket = await startBucket(t);
	const proxy = await new Proxy(bucket.endpoint).listen();
	t.after(() => proxy.close());
	const server = await startServer(t, { args: bucket.args(t, { endpoint: proxy.url }), workers: 1 });
	const total = 8 * PART;
	const cut = proxy.cutAfter(4.5 * PART);
	const id = await sent(t, server, media(total), { mime: 'application/octet-stream', ext: 'bin' });
	await cut;
	await server.kill();
	assert.equal((await bucket.uploads()).length, 1);
	const before = proxy.toServer;
	await server.start();
	await pushed(server, id);
	await assertThere(bucket, server, id);
	assert.deepEqual(await bucket.uploads(), []);
	const resent = proxy.toServer - before;
	t.diagnostic(`${before} bytes before, ${resent} behind it, of ${total}`);
	assert.ok(resent < 4.5 * PART, `${resent} bytes`);
});

test('a bucket that dies amid a push is waited for, and gets the rest', options, async (t) => {
	const bucket = await startBucket(t);
	const proxy = await new Proxy(bucket.endpoint).listen();
	t.after(() => proxy.close());
	const server = await startServer(t, { args: bucket.args(t, { endpoint: proxy.url }), workers: 1 });
	const cut = proxy.cutAfter(3.5 * PART);
	const id = await sent(t, server, media(6 * PART + 1), { mime: 'application/octet-stream', ext: 'bin' });
	await cut;
	bucket.kill();
	const failed = await until(async () => {
		const { push } = await recording(server, id);
		return push.state === 'queued' && push.error && push;
	}, PUSHED_MS, 'it fails');
	assert.equal(failed.error.code, 'bucket_failed');
	assert.match(failed.error.message, /\.$/);
	await until(() => (server.output.match(/push_failed/g) ?? []).length >= 2, PUSHED_MS, 'it is tried again');
	assert.equal((await api(server, `/api/recordings/${id}/file`)).status, 200);
	const status = spawnSync(BINARY, ['status', '--data', server.dataDir], { encoding: 'utf8' }).stdout;
	assert.match(status, /pushing: 1 waiting|pushing: 0 waiting, 1 at work/);
	await bucket.restart();
	assert.equal((await fetch(`${server.url}/api/push/retry`, { method: 'POST' })).status, 204);
	await pushed(server, id);
	await assertThere(bucket, server, id);
	assert.deepEqual(await bucket.uploads(), []);
});

test('a refusal is shown and waits for somebody; what is deleted meanwhile leaves no upload behind', options, async (t) => {
	const bucket = await startBucket(t);
	const server = await startServer(t, { args: bucket.args(t, { secret: 'not-the-secret' }), workers: 1 });
	const id = await sent(t, server, media(1000), { mime: 'application/octet-stream', ext: 'bin' });
	const { push } = await until(async () => {
		const state = await recording(server, id);
		return state.push?.state === 'failed' && state;
	}, PUSHED_MS, 'it is refused');
	assert.equal(push.error.code, 'bucket_refused');
	assert.doesNotMatch(server.output + JSON.stringify(push), /not-the-secret|rgwsecret/);
	await server.stop();

	const proxy = await new Proxy(bucket.endpoint).listen();
	t.after(() => proxy.close());
	await server.start({ args: bucket.args(t, { endpoint: proxy.url }) }); // with the right one
	await pushed(server, id);
	await assertThere(bucket, server, id);

	const cut = proxy.cutAfter(1.5 * PART);
	const gone = await sent(t, server, media(4 * PART), { mime: 'application/octet-stream', ext: 'bin' });
	await cut;
	proxy.pause();
	assert.equal((await fetch(`${server.url}/api/recordings/${gone}`, { method: 'DELETE' })).status, 200);
	proxy.heal();
	await until(async () => (await bucket.uploads()).length === 0, PUSHED_MS, 'the upload is swept');
	assert.equal((await bucket.keys()).length, 1);
});

test('a file that is no longer what was sealed is not pushed', options, async (t) => {
	const server = await startServer(t, { workers: 1 });
	const id = await sent(t, server, media(100_000), { mime: 'application/octet-stream', ext: 'bin' });
	const { file } = await until(async () => {
		const state = await recording(server, id);
		return state.phase === 'complete' && state;
	}, PUSHED_MS, 'it is complete');
	assert.equal(file.asIs, true);
	await server.stop();
	const path = join(server.dataDir, 'spool', id, '0');
	const bytes = readFileSync(path);
	bytes[50_000] ^= 1;
	writeFileSync(path, bytes);
	const keys = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
	await server.start({ args: ['--push', 's3://takes?endpoint=http://127.0.0.1:9'], env: keys }); // nobody is there, and nobody is asked
	const { push } = await until(async () => {
		const state = await recording(server, id);
		return state.push?.state === 'failed' && state;
	}, PUSHED_MS, 'it is refused');
	assert.equal(push.error.code, 'corrupt');
});

test('what is wrong with the options is said before anything is done', options, async (t) => {
	const dir = tempDir(t);
	const serve = (args, env = {}) => spawnSync(BINARY, ['serve', '--data', `${dir}/data`, '--listen', '127.0.0.1:0', ...args],
		{ encoding: 'utf8', timeout: 20_000, env: { ...process.env, AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', ...env } });
	const said = (args, env) => {
		const { status, stderr } = serve(args, env);
		assert.ok(status === 1 || status === 2, `${status}: ${stderr}`);
		return stderr;
	};
	assert.match(said(['--push', 'https://bucket/x']), /--push/);
	assert.match(said(['--push', 's3://takes?endpoint=http://10.0.0.1:80'], { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' }), /--push/);
	assert.match(said(['--push', 's3://takes?endpoint=http://127.0.0.1:80']), /--push-credentials is missing/);
	assert.match(said(['--push-credentials', `${dir}/none`]), /--push is missing/);
	assert.match(said(['--push', 's3://takes?region=eu-west-1', '--push-part', '1M']), /5M/);
});
