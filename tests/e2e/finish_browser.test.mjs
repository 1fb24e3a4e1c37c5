// What a real Chromium records and what ffmpeg pipes into `holdfast send`, finished by real workers: every packet that came is in the file,
// with its length, and Chromium plays it and seeks in it by Range.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { visit } from './support/desk.mjs';
import { phase } from './support/finishing.mjs';
import { KINDS, make } from './support/material.mjs';
import { GO_ON, launch, openPage } from './support/page.mjs';
import { startProxy } from './support/proxy.mjs';
import { BINARY, sharedServer, tempDir, until } from './support/server.mjs';
import { api } from './support/wire.mjs';

const options = { timeout: 180_000 };
const FINISHED_MS = 60_000;
const PIPED_S = 10;
const dir = mkdtempSync(join(tmpdir(), 'holdfast-finish-'));
const server = sharedServer({ workers: 2 });
let browser;
before(async () => {
	browser = await launch();
});
after(async () => {
	await browser?.close();
	rmSync(dir, { recursive: true, force: true });
});

/** What ffprobe reads of these bytes: the streams' kinds, packets by kind, and how long it lasts by the packets and by its header. */
function read(bytes) {
	const path = join(dir, 'read');
	writeFileSync(path, bytes);
	const said = JSON.parse(execFileSync('ffprobe', ['-v', 'quiet', '-of', 'json', '-show_packets', '-show_entries',
		'packet=codec_type,pts_time,duration_time:stream=codec_type:format=duration', path], { maxBuffer: 1e9 }));
	const packets = {};
	const times = { first: Infinity, last: 0 };
	for (const { codec_type: kind, pts_time: time, duration_time: length } of said.packets) {
		packets[kind] = (packets[kind] ?? 0) + 1;
		times.first = Math.min(times.first, Number(time));
		times.last = Math.max(times.last, Number(time) + Number(length ?? 0));
	}
	return { kinds: said.streams.map(({ codec_type: kind }) => kind).sort(), packets, seconds: times.last - times.first, length: Number(said.format.duration) };
}

/** It plays at this address: its length, and seeking to the middle and the end, by Range. */
async function assertPlays(t, url, selector, seconds, kind) {
	const seen = await visit(t, browser, 'about:blank');
	const { page } = seen;
	const ranges = [];
	page.on('response', (response) => {
		if (/\/file/.test(response.url()) && response.request().headers().range) ranges.push(response.status());
	});
	await page.goto(url);
	await page.locator(selector).waitFor({ state: 'attached', timeout: FINISHED_MS });
	const media = (what, arg) => page.evaluate(`(${what})(document.querySelector('${selector}'), ${JSON.stringify(arg)})`);
	await until(() => media((m) => m.readyState >= 1), 20_000, 'it is loaded');
	const length = await media((m) => m.duration);
	assert.ok(Math.abs(length - seconds) < 0.25, `${kind}: ${length} s long, not ${seconds}`);
	for (const share of [0.5, 0.95, 0]) {
		await media((m, to) => {
			m.muted = true;
			m.currentTime = to;
		}, length * share);
		await until(() => media((m, to) => !m.seeking && m.readyState >= 2 && Math.abs(m.currentTime - to) < 0.1, length * share), 20_000, `seeks to ${share}`);
		await media((m) => m.play());
		await until(() => media((m, to) => m.currentTime > to + 0.1 || m.ended, length * share), 20_000, `plays on from ${share}`);
		await media((m) => m.pause());
	}
	assert.equal(await media((m) => m.error), null);
	assert.ok(ranges.length > 0 && ranges.every((status) => status === 206), ranges.join());
	assert.equal(await media((m) => m.videoWidth > 0), kind === 'video');
	return seen;
}

/** Finished, whole, and playable, from the file itself and on its page. `original`: what of it counts. */
async function assertFinished(t, id, { kinds, seconds, warnings = [], original = undefined }) {
	const state = await phase(server, id, 'complete', FINISHED_MS);
	assert.deepEqual(state.warnings, warnings);
	assert.deepEqual([state.file.asIs, state.attempt], [false, 1]);
	const [came, made] = await Promise.all(['original', 'file'].map(async (what) => (await api(server, `/api/recordings/${id}/${what}`)).bytes));
	const was = original ?? read(came);
	const is = read(made);
	assert.deepEqual(is.kinds, kinds);
	if (was.packets) assert.deepEqual(is.packets, was.packets, 'every packet');
	assert.ok(Math.abs(is.length - was.seconds) < 0.15, `${is.length} s in its header, ${was.seconds} s of packets came`);
	assert.ok(Math.abs(state.duration - is.length) < 0.01, `${state.duration} s told`);
	if (seconds) assert.ok(Math.abs(is.length - seconds) < 0.25, `${is.length} s, not ${seconds}`);
	const pictures = kinds.includes('video');
	assert.equal(state.file.thumbnail, pictures);
	assert.equal(state.file.waveform, kinds.includes('audio'));
	if (pictures) assert.equal((await api(server, `/api/recordings/${id}/thumbnail`)).bytes.readUInt16BE(0), 0xffd8);
	if (kinds.includes('audio')) {
		const { body } = await api(server, `/api/recordings/${id}/waveform`);
		assert.ok(Math.abs(body.peaks.length / body.perSecond - is.length) < 1.1 && Math.max(...body.peaks) > 5, JSON.stringify(body).slice(0, 100));
	}
	const kind = pictures ? 'video' : 'audio';
	await assertPlays(t, `${server.url}/api/recordings/${id}/file`, 'video', is.length, kind);
	const seen = await assertPlays(t, `${server.url}/play/${id}`, '#media', is.length, kind);
	seen.clean();
	return state;
}

/** Only MP4 is known to the page's MediaRecorder. */
function mp4Only() {
	const real = MediaRecorder.isTypeSupported.bind(MediaRecorder);
	MediaRecorder.isTypeSupported = (type) => !type.includes('webm') && real(type);
}

const TAKES = [
	['microphone', 'WebM', ['audio'], 20_000],
	['camera', 'WebM', ['audio', 'video'], 300_000],
	['screen', 'WebM', undefined, 10_000],
	['microphone', 'MP4', ['audio'], 20_000],
	['camera', 'MP4', ['audio', 'video'], 600_000],
];
for (const [source, container, kinds, bytes] of TAKES) {
	test(`${source}, ${container}`, options, async (t) => {
		const page = await openPage(t, browser, server, { init: container === 'MP4' ? [mp4Only] : [] });
		await page.record(source);
		await page.untilSafe(bytes);
		const { id, state, streams } = await page.finish(t, server);
		assert.ok(state.mime.includes(container.toLowerCase()), state.mime);
		await assertFinished(t, id, { kinds: kinds ?? streams.map(({ codec_type: kind }) => kind).sort() });
	});
}

test('paused in the middle', options, async (t) => {
	const page = await openPage(t, browser, server);
	await page.record('camera');
	await page.untilSafe(200_000);
	await page.page.getByRole('button', { name: 'Pause', exact: true }).click();
	await page.until('state', 'paused');
	await page.page.waitForTimeout(3000); // which must not be in the file
	const before = (await page.emitted()).bytes;
	await page.page.getByRole('button', { name: 'Resume', exact: true }).click();
	await page.until('state', 'recording');
	await page.untilSafe(before + 200_000);
	const { id } = await page.finish(t, server);
	await assertFinished(t, id, { kinds: ['audio', 'video'] });
});

test('a link that is cut in the middle, twice', options, async (t) => {
	const proxy = await startProxy(t, server);
	const page = await openPage(t, browser, proxy);
	await page.record('camera');
	for (const bytes of [100_000, 400_000]) {
		await page.untilSafe(bytes);
		proxy.mode = 'refuse';
		proxy.cut();
		await page.until('link', 'waiting', 'connecting');
		await page.untilSafe(bytes + 150_000, 'recorded');
		proxy.heal();
		await page.until('link', 'sending');
	}
	const { id } = await page.finish(t, server);
	await assertFinished(t, id, { kinds: ['audio', 'video'] });
});

for (const source of ['microphone', 'camera']) {
	test(`${source}, and the page is reloaded in the middle: two parts, one file`, options, async (t) => {
		const page = await openPage(t, browser, server);
		await page.record(source);
		await page.untilSafe(source === 'camera' ? 300_000 : 20_000);
		await page.page.reload();
		await page.page.click(GO_ON);
		await page.until('state', 'recording');
		await page.untilSafe(source === 'camera' ? 600_000 : 40_000);
		await page.page.click('#stop');
		await page.until('state', 'saved');
		const id = (await page.page.getAttribute('#original', 'href')).replace('/play/', '');
		const { bytes } = await api(server, `/api/recordings/${id}/original`);
		const [{ parts }] = (await phase(server, id, 'complete', FINISHED_MS)).tracks;
		assert.equal(parts.length, 1);
		/* the first part ends where the page was when it died: in the middle of a block, which can't be read */
		const pieces = [bytes.subarray(0, parts[0]), bytes.subarray(parts[0])].map(read);
		const packets = {};
		for (const piece of pieces) for (const [kind, count] of Object.entries(piece.packets)) packets[kind] = (packets[kind] ?? 0) + count;
		const state = await phase(server, id, 'complete');
		await assertFinished(t, id, { kinds: pieces[0].kinds, warnings: state.warnings, original: { packets, seconds: pieces[0].seconds + pieces[1].seconds } });
		for (const { code } of state.warnings) assert.equal(code, 'truncated');
	});
}

for (const kind of ['webm', 'fragments', 'opus', 'wav', 'mp3']) {
	test(`ffmpeg | holdfast send, ${kind}`, options, async (t) => {
		const bytes = make(kind, PIPED_S, join(dir, 'make'));
		const child = spawn(BINARY, ['send', '--to', server.url, '--spool', join(tempDir(t), 'spool'), '--json', '--mime', KINDS[kind].mime, '-'],
			{ stdio: ['pipe', 'pipe', 'inherit'] });
		let said = '';
		child.stdout.on('data', (data) => {
			said += data;
		});
		child.stdin.end(bytes);
		assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0, said);
		const { id } = JSON.parse(said.trim().split('\n').at(-1));
		const was = read(bytes);
		/* sound without packets of its own is cut into others */
		await assertFinished(t, id, { kinds: KINDS[kind].streams, seconds: PIPED_S, ...(kind === 'wav' ? { original: { ...was, packets: undefined } } : {}) });
	});
}
