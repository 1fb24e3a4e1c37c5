// The player in Chromium before the stand-in: real media, every state, and the way from one to the next.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { visit } from './support/desk.mjs';
import { launch } from './support/page.mjs';
import { until } from './support/server.mjs';
import { finished, notYet, ready, recordingNow, startStandin, take, unserved } from './support/standin.mjs';

const options = { timeout: 60_000 };
const SECONDS = 8;
const PEAKS = Array.from({ length: 160 }, (_, i) => (i * 37) % 256);
let browser, audio, video, raw;

/** Eight seconds of media. `live`: as a MediaRecorder writes it, with clusters of unknown size, no length, no index. */
async function media(live, ...args) {
	const { stdout } = await promisify(execFile)('ffmpeg', ['-v', 'error', ...args, '-t', String(SECONDS), '-f', 'webm', ...(live ? ['-live', '1'] : []), 'pipe:1'],
		{ encoding: 'buffer', maxBuffer: 1e8 });
	return stdout;
}

const SOUND = ['-f', 'lavfi', '-i', 'sine=frequency=440', '-c:a', 'libopus'];
const PICTURE = ['-f', 'lavfi', '-i', 'testsrc=size=320x180:rate=10', '-f', 'lavfi', '-i', 'sine', '-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-g', '10', '-c:a', 'libopus'];

before(async () => {
	browser = await launch({ shell: true });
	audio = await media(false, ...SOUND);
	video = await media(false, ...PICTURE);
	raw = await media(true, ...SOUND);
});
after(() => browser?.close());

const at = (page) => page.evaluate(() => document.getElementById('media')?.currentTime);
const webm = (data, kind = 'audio') => ({ type: `${kind}/webm`, data });

/** The player before a stand-in that has `one`. `file`, `original`: their media; `peaks`. */
async function player(t, one, { file, original, peaks, path = `/play/${one.id}`, prepare = () => {}, ...more } = {}) {
	const server = await startStandin(t);
	server.put(one);
	if (file) server.files.set(one.id, file);
	if (original) server.originals.set(one.id, original);
	if (peaks) server.waveforms.set(one.id, peaks);
	prepare(server);
	const seen = await visit(t, browser, server.url + path, more);
	return { server, seen, page: seen.page };
}

const audioTake = (fields) => take({ name: 'Tones', mime: 'audio/webm;codecs=opus', bytes: raw.length, ...fields });
const readyAudio = (fields, file) => finished(audioTake(fields), { bytes: audio.length, duration: SECONDS, waveform: true, ...file });

test('the finished file: its length at once, waveform, seeking by key, click and drag, speed, both downloads', options, async (t) => {
	const { server, seen, page } = await player(t, readyAudio({ sha256: 'ab'.repeat(32) }), { file: webm(audio), original: webm(raw), peaks: PEAKS });
	const wave = page.locator('#wave');
	await page.locator('[data-wave=drawn]').waitFor();
	await seen.until('#clock', '0:00 / 0:08');
	assert.match(await seen.text('#facts'), /Ready[^]*Length\s+0:08[^]*SHA-256 of the original\s+abab/);
	assert.equal(await wave.getAttribute('role'), 'slider');
	assert.equal(await wave.getAttribute('aria-valuetext'), '0 seconds of 8 seconds');
	const goes = async (where, what) => until(async () => Math.abs(await at(page) - where) < 0.15, 5000, what);
	await wave.focus();
	for (const [key, where] of [['ArrowRight', 5], ['ArrowRight', 8], ['ArrowLeft', 3], ['End', 8], ['Home', 0], ['PageUp', 8], ['PageDown', 0]]) {
		await page.keyboard.press(key);
		await goes(where, key);
	}
	const box = await wave.boundingBox();
	await page.mouse.click(box.x + box.width / 4, box.y + 10);
	await goes(2, 'a click on its quarter');
	assert.match(await wave.getAttribute('aria-valuetext'), /^2 seconds of 8/);
	await page.mouse.move(box.x + box.width / 4, box.y + 10);
	await page.mouse.down();
	for (let i = 4; i <= 12; i++) await page.mouse.move(box.x + box.width * i / 16, box.y + 10);
	await page.mouse.up();
	await goes(6, 'dragged to three quarters');
	await page.locator('#title').focus();
	await page.keyboard.press('ArrowLeft');
	await goes(1, 'an arrow, wherever the focus is');
	await page.keyboard.press('.');
	await page.keyboard.press('>');
	await page.keyboard.press(',');
	assert.equal(await page.evaluate(() => document.getElementById('media').playbackRate), 1.25);
	assert.equal(await page.locator('#speed').inputValue(), '1.25');
	await page.keyboard.press('Space');
	await until(async () => await at(page) > 1.3, 5000, 'it plays');
	assert.equal(await seen.text('#toggle'), 'Pause');
	await page.keyboard.press('Space');
	assert.equal(await page.evaluate(() => document.getElementById('media').paused), true);
	await page.getByRole('button', { name: 'Sound off' }).click();
	assert.equal(await page.evaluate(() => document.getElementById('media').muted), true);
	assert.match(await page.getByRole('link', { name: 'Download', exact: true }).getAttribute('href'), /\/file$/);
	assert.match(await page.getByRole('link', { name: 'Download the original' }).getAttribute('href'), /\/original$/);
	assert.match(await page.getByRole('link', { name: 'Download the original' }).getAttribute('download'), /^Tones\.webm$/);
	assert.equal(server.questions, 1, 'what is there is not asked for again');
	seen.clean();
});

test('video stands above its waveform, with its thumbnail before it plays; without peaks there is a line', options, async (t) => {
	const one = finished(take({ name: 'Street', bytes: video.length }), { duration: SECONDS, thumbnail: true, waveform: true });
	const { seen, page } = await player(t, one, { file: webm(video, 'video') });
	await page.locator('video#media').waitFor();
	assert.match(await page.locator('video').getAttribute('poster'), /\/thumbnail/);
	const [picture, wave] = await Promise.all([page.locator('video').boundingBox(), page.locator('#wave').boundingBox()]);
	assert.ok(picture.y + picture.height <= wave.y);
	assert.equal(await page.locator('#wave').getAttribute('data-wave'), 'none');
	await page.locator('video').click();
	await until(async () => await at(page) > 0.2, 5000, 'a click plays it');
	assert.equal(await page.getByRole('button', { name: 'Full screen' }).isVisible(), true);
	seen.clean();
});

test('not yet: phase, attempt and progress, asked by Retry-After; then it plays by itself', options, async (t) => {
	const one = audioTake({ phase: 'queued' });
	const { server, seen, page } = await player(t, one, { file: webm(audio), peaks: PEAKS, prepare: (standin) => {
		standin.retryAfter = 2;
	} });
	await seen.until('#state', 'waits to be finished');
	server.change(one.id, { phase: 'processing', attempt: 1, progress: 0.1 });
	await seen.until('#state', /being finished, attempt 1\/3[^]*10 %/);
	server.change(one.id, { progress: 0.4 });
	await seen.until('#percent', '40 %');
	assert.equal(await page.locator('#progress').evaluate((bar) => bar.value), 0.4);
	server.change(one.id, { phase: 'queued', attempt: 1, progress: null, lastError: { code: 'worker_died', message: 'The worker died.' } });
	await seen.until('#state', 'Attempt 1/3 failed: The worker died. It is tried again.');
	server.change(one.id, { phase: 'processing', attempt: 2, progress: 0 });
	await seen.until('#state', 'attempt 2/3');
	server.put(finished(server.takes.get(one.id), { duration: SECONDS, waveform: true }));
	await seen.until('#clock', '/ 0:08');
	await page.locator('[data-wave=drawn]').waitFor();
	assert.equal(await page.locator('#state').isVisible(), false);
	seen.clean();
});

/** The link by WebSocket never comes up. */
const deaf = () => {
	window.WebSocket = class extends EventTarget {
		close() {}
	};
};

test('without the link HTTP alone does it: twelve questions, the time-out with how long it was, and one more round when asked to', options, async (t) => {
	const one = audioTake({ phase: 'processing', attempt: 1, progress: 0.4 });
	const { server, seen, page } = await player(t, one, { file: webm(audio), init: deaf, clock: true });
	await seen.until('#state', /being finished, attempt 1\/3[^]*Asked 1 of 12 times/);
	server.answers.set(one.id, notYet({ phase: 'processing', attempt: 2, progress: 0.7 }));
	await seen.forward(3);
	await seen.until('#state', /attempt 2\/3[^]*70 %/);
	for (let i = 0; i < 60 && !/can take minutes/.test(await seen.text('#state')); i++) await seen.forward(10);
	await seen.until('#state', /After \d min it is still not finished\. Long recordings can take minutes\./);
	assert.equal(server.questions, 12);
	await seen.forward(300);
	assert.equal(server.questions, 12, 'and not one more');
	server.answers.delete(one.id);
	server.takes.set(one.id, finished(one, { duration: SECONDS }));
	await page.getByRole('button', { name: 'Go on waiting' }).click();
	await page.locator('audio#media').waitFor({ state: 'attached' });
	await seen.until('#clock', '/ 0:08');
	seen.clean();
});

test('the original meanwhile, and over to the file at the same place, playing or not', options, async (t) => {
	for (const playing of [false, true]) {
		const one = audioTake({ phase: 'processing', attempt: 1 });
		const { server, seen, page } = await player(t, one, { file: webm(audio), original: webm(raw), peaks: PEAKS, prepare: (standin) => {
			standin.retryAfter = 60;
		} });
		await page.getByRole('button', { name: 'Play the original meanwhile' }).click();
		await seen.until('#clock', /\/ 0:0[78]/); // its length is found
		assert.match(await seen.text('#player'), /This is the original/);
		await page.locator('#wave').press('ArrowRight');
		await until(async () => await at(page) >= 4.9, 5000, 'five seconds on');
		if (playing) await page.getByRole('button', { name: 'Play', exact: true }).click();
		server.put(finished(server.takes.get(one.id), { duration: SECONDS, waveform: true }));
		await page.locator('#media[src*="/file"]').waitFor({ state: 'attached' });
		await page.locator('[data-wave=drawn]').waitFor();
		await until(async () => Math.abs(await at(page) - 5.5) < 1, 5000, 'it is where it was');
		if (playing) await until(() => page.evaluate(() => !document.getElementById('media').paused), 5000, 'it plays on');
		else assert.equal(await page.evaluate(() => document.getElementById('media').paused), true);
		seen.clean();
	}
});

test('a newer version is said to be coming, and takes the place of the older one', options, async (t) => {
	const one = readyAudio({ interrupted: true });
	const { server, seen, page } = await player(t, one, { file: webm(audio) });
	await seen.until('#state', 'this is what had arrived');
	await page.locator('#wave').press('ArrowRight');
	await until(async () => await at(page) >= 4.9, 5000, 'five seconds on');
	server.change(one.id, { phase: 'uploading', attached: true, interrupted: false });
	await seen.until('#state', 'a newer version of it is being made');
	server.put(finished({ ...server.takes.get(one.id), attached: false, revision: 2 }, { revision: 2, duration: SECONDS }));
	await page.locator('#media[src*="revision=2"]').waitFor({ state: 'attached' });
	await until(async () => Math.abs(await at(page) - 5) < 0.3, 5000, 'it is where it was');
	assert.match(await seen.text('#facts'), /Version\s+2/);
	seen.clean();
});

test('with a token, every address is signed and the token stays out of it', options, async (t) => {
	const one = readyAudio({}, { thumbnail: true });
	const { server, seen, page } = await player(t, one, { file: webm(audio), original: webm(raw), peaks: PEAKS,
		init: () => localStorage.setItem('holdfast.token', 'hf1.secret.token'), prepare: (standin) => {
			standin.token = 'hf1.secret.token';
		} });
	await page.locator('[data-wave=drawn]').waitFor();
	await seen.until('#clock', '/ 0:08');
	assert.ok(server.asked.some((line) => /\/file\?exp=.*&sig=good/.test(line)));
	const download = page.waitForEvent('download');
	await page.getByRole('link', { name: 'Download the original' }).click();
	assert.match((await download).url(), /\/original\?exp=.*sig=good/);
	assert.ok(!server.asked.some((line) => line.includes('hf1.secret')));
	seen.clean();
});

test('still being recorded: the figures follow, what is here can be played, and the end makes it whole', options, async (t) => {
	const one = recordingNow({ name: 'Growing', mime: 'audio/webm', bytes: 1_000_000 });
	const { server, seen, page } = await player(t, one, { original: webm(raw), file: webm(audio) });
	await seen.until('#state', 'still being recorded: 1.00 MB so far');
	assert.equal(await page.locator('#media').count(), 0);
	server.change(one.id, { bytes: 2_000_000 });
	await seen.until('#state', '2.00 MB so far');
	server.change(one.id, { attached: false, graceLeftMs: 30_000 });
	await seen.until('#state', 'Its sender is away');
	await page.getByRole('button', { name: 'Play what is here so far' }).click();
	await page.locator('#media').waitFor({ state: 'attached' });
	const sealed = server.change(one.id, { phase: 'queued', revision: 1, bytes: raw.length, graceLeftMs: null, interrupted: true });
	await seen.until('#state', 'waits to be finished');
	server.put(finished(sealed, { duration: SECONDS }));
	await seen.until('#state', 'this is what had arrived');
	await seen.until('#clock', '/ 0:08');
	server.remove(one.id);
	await seen.until('#title', 'This recording was deleted');
	assert.equal(await page.locator('#media').count(), 0);
	seen.clean();
});

test('failed: the job’s own words, not asked again, what was received can be had, and it can be tried again', options, async (t) => {
	const one = audioTake({ phase: 'error', attempt: 3, error: { code: 'worker_died', message: 'The worker died while it worked on it.' } });
	const { server, seen, page } = await player(t, one, { original: webm(raw) });
	await seen.until('#state', 'It could not be finished: The worker died while it worked on it.');
	assert.equal(await page.getByRole('link', { name: 'Download the original' }).isVisible(), true);
	assert.equal(await page.getByRole('button', { name: 'Try to play what was received' }).isVisible(), true);
	assert.equal(server.questions, 1);
	server.completions.set(one.id, [500, { status: 500, code: 'worker_died', detail: 'The worker died while it worked on it.' }, { 'retry-after': '420' }]);
	await page.getByRole('button', { name: 'Try again' }).click();
	await seen.until('#refusal', 'Not tried again: The worker died while it worked on it. It can be tried again in 7 min.');
	server.completions.delete(one.id);
	await page.getByRole('button', { name: 'Try again' }).click();
	await seen.until('#state', 'waits to be finished');
	seen.clean();
});

test('the worker is not responding: said, not asked again; when it is back, the page goes on', options, async (t) => {
	const one = audioTake();
	const { server, seen, page } = await player(t, one, { file: webm(audio), clock: true, prepare: (standin) => {
		standin.answers.set(one.id, unserved);
	} });
	await seen.until('#state', /The worker that finishes recordings is not responding[^]*saved/);
	await seen.forward(120);
	assert.equal(server.questions, 1);
	server.answers.delete(one.id);
	server.change(one.id, { phase: 'processing', attempt: 1, progress: 0 });
	await seen.until('#state', 'being finished, attempt 1/3');
	server.put(finished(server.takes.get(one.id), { duration: SECONDS }));
	await page.locator('#media').waitFor({ state: 'attached' });
	seen.clean();
});

test('the server is away: another matter, in its own words; the tries stand still, and it goes on', options, async (t) => {
	const one = audioTake({ phase: 'processing', attempt: 1, progress: 0.3 });
	const { server, seen, page } = await player(t, one, { file: webm(audio) });
	await seen.until('#state', 'attempt 1/3');
	await server.stop();
	await seen.until('#state', /The server cannot be reached\.[^]*(Next attempt in|Trying again)/);
	server.takes.set(one.id, finished(one, { duration: SECONDS }));
	await server.listen();
	await seen.until('#clock', '/ 0:08');
	assert.equal(await page.locator('#state').isVisible(), false);
});

test('thrown away, empty, never: said, and what there is can be had', options, async (t) => {
	const kept = await player(t, audioTake({ phase: 'aborted' }), { original: webm(raw) });
	await kept.seen.until('#state', 'Its sender threw it away.');
	assert.equal(await kept.page.getByRole('link', { name: 'Download the original' }).isVisible(), true);
	const empty = await player(t, take({ phase: 'aborted', bytes: 0 }));
	await empty.seen.until('#state', 'Nothing was received of it.');
	assert.equal(await empty.page.locator('#downloads').isVisible(), false);
	const gone = take({ phase: 'error', bytes: 0, fetch: 'now', error: { code: 'source_gone', message: 'The source says no.' } });
	const never = await player(t, gone, { prepare: (standin) => {
		standin.answers.set(gone.id, [404, { status: 404, code: 'source_gone', detail: 'The source says no.' }]);
	} });
	await never.seen.until('#state', 'There is no file of it, and there will be none: The source says no.');
	assert.equal(never.server.questions, 1);
});

test('not there, deleted, not allowed, no answer', options, async (t) => {
	const one = take();
	const { server, seen, page } = await player(t, one, { path: '/play/0199ffff-0000-7000-8000-000000000000' });
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
	assert.equal(await page.locator('#downloads').isVisible(), false);
	server.refuse = null;
	server.removed.clear();
	server.put(one);
	await page.getByRole('button', { name: 'Try again' }).click();
	await seen.until('#title', one.name);
	seen.clean();
});

test('what the browser cannot play is offered as a download', options, async (t) => {
	const { seen, page } = await player(t, ready({ mime: 'video/x-unheard-of', bytes: 5000, warnings: [{ code: 'not_media', message: 'No media.' }] },
		{ asIs: true, duration: null }), { file: { type: 'application/octet-stream', data: Buffer.alloc(5000, 'x') } });
	await seen.until('#state', /No media\. This browser cannot play this file \(video\/x-unheard-of\)/);
	assert.equal(await page.locator('#media').count(), 0);
	assert.equal(await page.getByRole('link', { name: 'Download', exact: true }).isVisible(), true);
	assert.equal(await page.getByRole('link', { name: 'Download the original' }).count(), 0, 'they are the same bytes');
	seen.clean();
});

test('several tracks: one file of them; the originals one at a time, each with its download', options, async (t) => {
	const tracks = ['video', 'audio'].map((track) => ({ track, bytes: video.length, attached: false, sealed: true }));
	const one = take({ name: 'Two', tracks, bytes: video.length * 2 });
	const { server, seen, page } = await player(t, one, { original: webm(video, 'video'), file: webm(video, 'video') });
	await page.getByRole('button', { name: 'Play the original meanwhile' }).click();
	await page.locator('#media[src*="track=video"]').waitFor();
	await page.getByLabel('Track').selectOption('audio');
	await page.locator('#media[src*="track=audio"]').waitFor();
	assert.match(await page.getByRole('link', { name: 'Download the original audio' }).getAttribute('href'), /track=audio/);
	server.put(finished(one, { duration: SECONDS }));
	await page.locator('#media[src*="/file"]').waitFor();
	assert.equal(await page.getByLabel('Track').isVisible(), false);
	seen.clean();
});

test('a recording is found by the name that its maker gave it', options, async (t) => {
	const one = readyAudio();
	const { seen, page } = await player(t, one, { file: webm(audio), path: '/play/ref:call%204711', prepare: (server) => {
		server.takes.set('ref:call 4711', one);
		server.files.set(one.id, webm(audio));
	} });
	await seen.until('#title', 'Tones');
	await page.locator('#media').waitFor({ state: 'attached' });
	seen.clean();
});
