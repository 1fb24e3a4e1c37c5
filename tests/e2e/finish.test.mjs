// From a take to what plays, with the real server and its real workers: a browser and ffmpeg record, the pages show what becomes of it, and
// Chromium plays the finished file with the right length and seeks in it. What a question for the file gets, class by class.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { visit } from './support/desk.mjs';
import { launch, openPage } from './support/page.mjs';
import { BINARY, sharedServer, startServer, tempDir, until } from './support/server.mjs';
import { api, complete, recording, sessionId, wire } from './support/wire.mjs';

const run = promisify(execFile);
const options = { timeout: 180_000 };
const FINISHED_MS = 60_000;
const server = sharedServer({ workers: 2 });
let browser;
before(async () => {
	browser = await launch({ shell: true });
});
after(() => browser?.close());

const PICTURE = ['-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25'];
const TONE = ['-f', 'lavfi', '-i', 'sine=440'];

/** Media as a live encoder writes it: no length, no index. */
async function encoded(seconds, ...args) {
	const { stdout } = await run('ffmpeg', ['-v', 'error', ...args, '-t', String(seconds), '-f', 'webm', '-live', '1', 'pipe:1'], { encoding: 'buffer', maxBuffer: 1e9 });
	return stdout;
}

/** A take with this one track, sent and ended; its id. */
async function sent(t, at, bytes, fields = {}) {
	const w = await wire(t, at);
	const { id } = await w.start({ sessionId: sessionId(), ...fields });
	w.binary(bytes);
	w.send({ type: 'end', totalBytes: bytes.length });
	await w.next('saved');
	await w.close();
	return id;
}

const file = (at, id, init) => api(at, `/api/recordings/${id}/file`, init);
const finished = (at, id) => until(async () => (await recording(at, id)).phase === 'complete', FINISHED_MS, 'it is finished');

/** What ffprobe says of the finished file. */
async function probed(t, at, id) {
	const { status, bytes } = await file(at, id);
	assert.equal(status, 200);
	const path = join(tempDir(t), 'file');
	writeFileSync(path, bytes);
	const { stdout } = await run('ffprobe', ['-v', 'error', '-count_packets', '-of', 'json', '-show_entries', 'format=duration:stream=codec_type,nb_read_packets', path]);
	const { format, streams } = JSON.parse(stdout);
	return { seconds: Number(format.duration), kinds: streams.map(({ codec_type: kind }) => kind).sort() };
}

/** The player of this recording, when it has what it plays. */
async function playing(t, at, id) {
	const seen = await visit(t, browser, `${at.url}/play/${id}`);
	await seen.page.locator('#media').waitFor({ state: 'attached', timeout: FINISHED_MS });
	await until(() => seen.page.evaluate(() => document.getElementById('media').readyState >= 1), 20_000, 'it is loaded');
	return seen;
}

/** It has this length, seeks to a place and plays from there. */
async function assertPlays(seen, seconds, slack = 0.5) {
	const { page } = seen;
	const media = (read) => page.evaluate(`(${read})(document.getElementById('media'))`);
	const length = await media((m) => m.duration);
	assert.ok(Math.abs(length - seconds) < slack, `${length} s long, not ${seconds}`);
	assert.ok(Math.abs(await media((m) => m.seekable.end(0)) - length) < 0.01, 'all of it can be sought');
	const box = await page.locator('#wave').boundingBox();
	await page.mouse.click(box.x + box.width * 0.75, box.y + box.height / 2);
	const there = length * 0.75;
	await until(async () => Math.abs(await media((m) => m.currentTime) - there) < 0.3 && !await media((m) => m.seeking), 10_000, 'it seeks');
	await page.getByRole('button', { name: 'Play', exact: true }).click();
	await until(async () => await media((m) => m.currentTime) > there + 0.2, 10_000, 'it plays on from there');
	await page.getByRole('button', { name: 'Pause', exact: true }).click();
	seen.clean();
}

test('a camera recorded by the page: it says what becomes of it, and it plays with picture, waveform and length', options, async (t) => {
	const page = await openPage(t, browser, server);
	await page.page.fill('#name', 'From the camera');
	await page.record('camera');
	await page.untilText('elapsed', /0:0[4-9]|0:[1-5]/); // long enough to seek in
	await page.page.click('#stop');
	await page.until('state', 'saved');
	const seconds = await page.page.evaluate(() => Number(document.getElementById('elapsed').textContent.split(':')[1]));
	await page.untilText('finish', /finished and ready to play/);
	assert.equal(await page.text('original'), 'Play it');
	const id = (await page.page.getAttribute('#original', 'href')).replace('/play/', '');
	const { kinds } = await probed(t, server, id);
	assert.deepEqual(kinds, ['audio', 'video']);
	const state = await recording(server, id);
	assert.deepEqual(state.warnings, []);
	assert.equal(state.file.thumbnail && state.file.waveform, true);
	const seen = await playing(t, server, id);
	await seen.page.locator('[data-wave=drawn]').waitFor();
	assert.match(await seen.page.locator('video').getAttribute('poster'), /thumbnail/);
	await assertPlays(seen, seconds + 0.5, 1.5);
	const desk = await visit(t, browser, `${server.url}/`);
	await desk.row('From the camera').getByText('Ready', { exact: true }).waitFor();
	await until(() => desk.row('From the camera').locator('img').evaluate((img) => img.naturalWidth > 0), 10_000, 'its picture is on the desk');
	desk.clean();
});

test('what ffmpeg pipes into `holdfast send` plays with the right length, and seeking reads ranges', options, async (t) => {
	const bytes = await encoded(30, ...PICTURE, ...TONE, '-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-g', '25', '-b:v', '1M', '-c:a', 'libopus');
	const child = spawn(BINARY, ['send', '--to', server.url, '--spool', join(tempDir(t), 'spool'), '--json', '--mime', 'video/webm', '-'], { stdio: ['pipe', 'pipe', 'inherit'] });
	let said = '';
	child.stdout.on('data', (data) => {
		said += data;
	});
	child.stdin.end(bytes);
	assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0, said);
	const { id } = JSON.parse(said.trim().split('\n').at(-1));
	await finished(server, id);
	const { seconds } = await probed(t, server, id);
	assert.ok(Math.abs(seconds - 30) < 0.2, `${seconds} s`);
	const seen = await visit(t, browser, 'about:blank');
	const ranges = [];
	seen.page.on('request', (request) => {
		if (request.url().includes('/file') && request.resourceType() === 'media') ranges.push(request.headers().range);
	});
	await seen.page.goto(`${server.url}/play/${id}`);
	await until(() => seen.page.evaluate(() => document.getElementById('media')?.readyState >= 1), 20_000, 'it is loaded');
	await assertPlays(seen, 30);
	assert.ok(ranges.length > 0 && ranges.every((range) => /^bytes=\d+-/.test(range)), ranges.join());
});

test('two tracks become one file', options, async (t) => {
	const session = sessionId();
	const media = { video: await encoded(6, ...PICTURE, '-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-g', '25'), audio: await encoded(6, ...TONE, '-c:a', 'libopus') };
	let id;
	for (const track of ['video', 'audio']) {
		const w = await wire(t, server);
		({ id } = await w.start({ sessionId: session, track, tracks: ['video', 'audio'], mime: `${track}/webm`, name: 'Two tracks' }));
		w.binary(media[track]);
		await w.untilAcked(media[track].length);
		await w.close();
	}
	const totals = Object.entries(media).map(([track, { length }]) => ({ track, bytes: length }));
	assert.equal((await complete(server, id, { tracks: totals })).status, 200);
	await finished(server, id);
	const { kinds, seconds } = await probed(t, server, id);
	assert.deepEqual(kinds, ['audio', 'video']);
	assert.ok(Math.abs(seconds - 6) < 0.3);
	const seen = await playing(t, server, id);
	assert.match(await seen.text('#downloads'), /Download\s+Download the original video\s+Download the original audio/);
	await assertPlays(seen, 6);
});

test('not yet, never, gone: 202 with when to ask again, 404, 410, and the player says each', options, async (t) => {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId(), name: 'Growing' });
	const bytes = await encoded(4, ...TONE, '-c:a', 'libopus');
	w.binary(bytes);
	await w.untilAcked(bytes.length);
	const waiting = await file(server, id);
	assert.equal(waiting.status, 202);
	assert.ok(Number(waiting.headers.get('retry-after')) > 0);
	assert.deepEqual([waiting.body.status, waiting.body.phase, waiting.body.attempts], ['notYet', 'uploading', 3]);
	const seen = await visit(t, browser, `${server.url}/play/${id}`);
	await seen.until('#state', 'still being recorded');
	w.send({ type: 'end', totalBytes: bytes.length });
	await w.next('saved');
	await seen.page.locator('audio#media').waitFor({ state: 'attached', timeout: FINISHED_MS });
	await seen.until('#clock', /\/ 0:0[34]/);
	assert.equal((await file(server, id, { method: 'HEAD' })).status, 200);
	assert.equal((await file(server, id, { headers: { range: 'bytes=0-0' } })).status, 206);
	assert.equal((await file(server, id, { headers: { range: 'bytes=99999999-' } })).status, 416);
	assert.equal((await api(server, `/api/recordings/${id}`, { method: 'DELETE' })).status, 200);
	await seen.until('#title', 'This recording was deleted');
	const deleted = await file(server, id);
	assert.deepEqual([deleted.status, deleted.body.code], [410, 'deleted']);
	const unknown = await file(server, '01970000-0000-7000-8000-000000000000');
	assert.deepEqual([unknown.status, unknown.body.code], [404, 'not_found']);
	const aborted = await wire(t, server);
	const { id: thrown } = await aborted.start({ sessionId: sessionId() });
	aborted.send({ type: 'abort', reason: 'not wanted' });
	await aborted.next('aborted');
	const never = await file(server, thrown);
	assert.deepEqual([never.status, never.body.code], [404, 'no_file']);
	await seen.page.goto(`${server.url}/play/${thrown}`);
	await seen.until('#state', 'Nothing was received of it.');
	seen.clean();
});

test('nobody works on the queue: 500 with its code, the original meanwhile, and it goes on with the first worker', options, async (t) => {
	const alone = await startServer(t, { args: ['--workers', '0', '--queue-wait', '1s'] });
	const bytes = await encoded(8, ...TONE, '-c:a', 'libopus');
	const id = await sent(t, alone, bytes, { mime: 'audio/webm', name: 'Alone' });
	const stuck = await until(async () => {
		const answer = await file(alone, id);
		return answer.status === 500 && answer;
	}, 20_000, 'it is told that nobody works');
	assert.equal(stuck.body.code, 'worker_not_processing_queue');
	assert.equal((await recording(alone, id)).phase, 'queued', 'it stays where it is');
	const seen = await visit(t, browser, `${alone.url}/play/${id}`);
	const { page } = seen;
	await seen.until('#state', 'The worker that finishes recordings is not responding');
	await page.getByRole('button', { name: 'Play the original meanwhile' }).click();
	await seen.until('#clock', /\/ 0:0[78]/);
	await page.locator('#wave').press('ArrowRight');
	await until(() => page.evaluate(() => document.getElementById('media').currentTime >= 4.9), 5000, 'five seconds on');
	await alone.stop();
	await alone.start({ args: ['--workers', '1'] });
	await page.locator('#media[src*="/file"]').waitFor({ state: 'attached', timeout: FINISHED_MS });
	await until(() => page.evaluate(() => Math.abs(document.getElementById('media').currentTime - 5) < 0.3), 10_000, 'it is where it was');
	assert.equal((await file(alone, id)).status, 200);
});

test('what is no media is published as it came, with a warning, and the player offers it', options, async (t) => {
	const bytes = Buffer.from('This is a text, whatever it calls itself.\n'.repeat(100));
	const id = await sent(t, server, bytes, { name: 'Letter' });
	await finished(server, id);
	const state = await recording(server, id);
	assert.equal(state.file.asIs, true);
	assert.ok(state.warnings.some(({ code }) => code === 'not_media'), JSON.stringify(state.warnings));
	assert.ok((await file(server, id)).bytes.equals(bytes));
	const seen = await visit(t, browser, `${server.url}/play/${id}`);
	await seen.until('#state', /published as it came[^]*This browser cannot play this file/);
	assert.equal(await seen.page.getByRole('link', { name: 'Download', exact: true }).isVisible(), true);
});

test('a take that breaks off is what could be read of it, with a warning', options, async (t) => {
	const whole = await encoded(10, ...PICTURE, ...TONE, '-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-g', '25', '-b:v', '1M', '-c:a', 'libopus');
	const id = await sent(t, server, whole.subarray(0, Math.floor(whole.length * 0.6)), { name: 'Broken off' });
	await finished(server, id);
	const { seconds } = await probed(t, server, id);
	assert.ok(seconds > 3 && seconds < 9, `${seconds} s`);
	const seen = await playing(t, server, id);
	await assertPlays(seen, seconds);
});
