// The player in Chromium: real media from the real server, and every state before the stand-in.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { visit } from './support/desk.mjs';
import { launch } from './support/page.mjs';
import { until } from './support/server.mjs';
import { recordingNow, startStandin, take } from './support/standin.mjs';

const options = { timeout: 60_000 };
const SECONDS = 8;
let browser, audio, video;

/** Media as a MediaRecorder writes it: clusters of unknown size, no length, no index. */
async function media(...args) {
	const { stdout } = await promisify(execFile)('ffmpeg', ['-v', 'error', ...args, '-t', String(SECONDS), '-f', 'webm', '-live', '1', 'pipe:1'],
		{ encoding: 'buffer', maxBuffer: 1e8 });
	return stdout;
}

before(async () => {
	browser = await launch();
	audio = await media('-f', 'lavfi', '-i', 'sine=frequency=440', '-c:a', 'libopus');
	video = await media('-f', 'lavfi', '-i', 'testsrc=size=320x180:rate=10', '-f', 'lavfi', '-i', 'sine', '-c:v', 'libvpx', '-g', '10', '-c:a', 'libopus');
});
after(() => browser?.close());

const duration = (page) => page.evaluate(() => document.getElementById('media')?.duration);

async function standin(t, one, original, path = `/play/${one.id}`) {
	const server = await startStandin(t);
	server.put(one);
	if (original) server.originals.set(one.id, original);
	const seen = await visit(t, browser, server.url + path);
	return { server, seen, page: seen.page };
}

test('audio and video without a length: it is found, seeking works, and keys play, seek and change the speed', options, async (t) => {
	for (const [mime, data] of [['audio/webm;codecs=opus', audio], ['video/webm;codecs=vp8,opus', video]]) {
		const { seen, page } = await standin(t, take({ name: 'Tones', mime, bytes: data.length, sha256: 'ab'.repeat(32) }), { type: mime.split(';')[0], data });
		await page.locator(mime.startsWith('audio') ? 'audio#media' : 'video#media').waitFor();
		await until(async () => Math.abs(await duration(page) - SECONDS) < 0.5, 10_000, 'the length is found');
		await until(() => page.evaluate(() => document.getElementById('media').currentTime === 0), 5000, 'back at the beginning');
		assert.match(await seen.text('#facts'), /Length\s+0:0[78]/);
		assert.match(await seen.text('#facts'), /SHA-256\s+abab/);
		await page.keyboard.press('ArrowRight');
		await until(() => page.evaluate(() => document.getElementById('media').currentTime >= 4.9), 5000, 'five seconds on');
		await page.keyboard.press('ArrowLeft');
		await page.keyboard.press('>');
		assert.equal(await page.evaluate(() => document.getElementById('media').playbackRate), 1.25);
		assert.equal(await page.locator('#speed').inputValue(), '1.25');
		await page.keyboard.press('Space');
		await until(() => page.evaluate(() => document.getElementById('media').currentTime > 0.3), 5000, 'it plays');
		await page.keyboard.press('Space');
		assert.equal(await page.evaluate(() => document.getElementById('media').paused), true);
		assert.match(await page.getByRole('link', { name: 'Download the original' }).getAttribute('download'), /^Tones\.webm$/);
		seen.clean();
	}
});

test('with a token, the address is signed and the token stays out of it', options, async (t) => {
	const one = take({ mime: 'audio/webm', bytes: audio.length });
	const server = await startStandin(t);
	server.put(one);
	server.originals.set(one.id, { type: 'audio/webm', data: audio });
	server.token = 'hf1.secret.token';
	const seen = await visit(t, browser, `${server.url}/play/${one.id}`, { init: () => localStorage.setItem('holdfast.token', 'hf1.secret.token') });
	await until(async () => Math.abs(await duration(seen.page) - SECONDS) < 0.5, 10_000, 'it plays');
	assert.ok(server.asked.some((line) => /original\?exp=.*&sig=good/.test(line)));
	assert.ok(!server.asked.some((line) => line.includes('hf1.secret')));
	seen.clean();
});

test('still being recorded: the figures follow, what is here can be played, and the end makes it whole', options, async (t) => {
	const one = recordingNow({ name: 'Growing', mime: 'audio/webm', bytes: 1_000_000 });
	const { server, seen, page } = await standin(t, one, { type: 'audio/webm', data: audio });
	await seen.until('#state', 'still being recorded: 1.00 MB so far');
	assert.equal(await page.locator('#media').count(), 0);
	server.change(one.id, { bytes: 2_000_000 });
	await seen.until('#state', '2.00 MB so far');
	server.change(one.id, { attached: false, graceLeftMs: 30_000 });
	await seen.until('#state', 'Its sender is away');
	await page.getByRole('button', { name: 'Play what is here so far' }).click();
	await page.locator('#media').waitFor();
	server.change(one.id, { phase: 'queued', revision: 1, bytes: audio.length, graceLeftMs: null, interrupted: true });
	await seen.until('#state', 'this is what had arrived');
	await until(async () => Math.abs(await duration(page) - SECONDS) < 0.5, 10_000, 'it is loaded anew');
	server.remove(one.id);
	await seen.until('#title', 'This recording was deleted');
	assert.equal(await page.locator('#media').count(), 0);
	seen.clean();
});

test('failed, thrown away, empty: said, and what there is can be had', options, async (t) => {
	const failed = take({ phase: 'error', error: { code: 'corrupt', message: 'The disk lost a block.' } });
	const { seen, page } = await standin(t, failed);
	await seen.until('#state', 'It failed: The disk lost a block.');
	assert.equal(await page.getByRole('link', { name: 'Download the original' }).isVisible(), true);
	assert.equal(await page.getByRole('button', { name: 'Try to play what was received' }).isVisible(), true);
	const dropped = await standin(t, take({ phase: 'aborted', bytes: 0 }));
	await dropped.seen.until('#state', 'Nothing was received of it.');
	assert.equal(await dropped.page.locator('#download').isVisible(), false);
});

test('not there, deleted, not allowed, no answer', options, async (t) => {
	const one = take();
	const { server, seen, page } = await standin(t, one, null, '/play/0199ffff-0000-7000-8000-000000000000');
	await seen.until('#title', 'There is no such recording');
	server.remove(one.id);
	await page.goto(`${server.url}/play/${one.id}`);
	await seen.until('#title', 'This recording was deleted');
	for (const [status, code, pattern] of [[401, 'unauthorized', /asks for a token/], [401, 'token_expired', /expired/],
		[401, 'token_revoked', /revoked/], [403, 'forbidden_scope', /does not allow/]]) {
		server.refuse = [status, code, 'No.'];
		await page.reload();
		await seen.until('#state', pattern);
		assert.equal(await seen.text('#title'), 'This recording is not yours to see');
	}
	server.refuse = [503, 'busy', 'The server is busy.'];
	await page.reload();
	await seen.until('#state', 'The server is busy.');
	assert.equal(await page.getByRole('button', { name: 'Try again' }).isVisible(), true);
	assert.equal(await page.locator('#download').isVisible(), false);
	seen.clean();
});

test('what the browser cannot play is offered as a download', options, async (t) => {
	const { seen, page } = await standin(t, take({ mime: 'video/x-unheard-of', bytes: 5000 }),
		{ type: 'application/octet-stream', data: Buffer.alloc(5000, 'x') });
	await seen.until('#state', 'This browser cannot play this file (video/x-unheard-of)');
	assert.equal(await page.locator('#media').count(), 0);
	assert.equal(await page.getByRole('link', { name: 'Download the original' }).isVisible(), true);
	seen.clean();
});

test('several tracks: one at a time, each with its download', options, async (t) => {
	const tracks = ['video', 'audio'].map((track) => ({ track, bytes: video.length, attached: false, sealed: true }));
	const { server, seen, page } = await standin(t, take({ name: 'Two', tracks, bytes: video.length * 2 }), { type: 'video/webm', data: video });
	await page.locator('#media').waitFor();
	assert.match(await page.locator('#media').getAttribute('src'), /track=video/);
	await page.getByLabel('Track').selectOption('audio');
	await page.locator('#media[src*="track=audio"]').waitFor();
	assert.match(await page.locator('#download').getAttribute('href'), /track=audio/);
	assert.ok(server.asked.length > 0);
	seen.clean();
});
