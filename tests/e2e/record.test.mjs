// The recording page in Chromium, over links that drop and with devices that fail: each take ends as exactly the bytes that the
// recorder emitted. Broken links, and what pages, tabs and browsers that die leave behind, are in record_again.test.mjs.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { kinds, launch, openPage, probe } from './support/page.mjs';
import { startProxy } from './support/proxy.mjs';
import { sharedServer, startServer, until } from './support/server.mjs';
import { api, recording, wire } from './support/wire.mjs';

const server = sharedServer();
const options = { timeout: 120_000 };
let browser;
before(async () => {
	browser = await launch();
});
after(() => browser?.close());

async function away(proxy, page) {
	proxy.mode = 'refuse';
	proxy.cut();
	await page.until('link', 'waiting', 'connecting');
}

/** So much more is recorded than is safe. */
function untilAhead(page, bytes) {
	return page.page.waitForFunction((least) => {
		const [recorded, safe] = ['recorded', 'safe'].map((id) => {
			const [, number, unit] = /([\d.]+) (\w+)/.exec(document.getElementById(id).textContent);
			return number * { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 }[unit];
		});
		return recorded >= safe + least;
	}, bytes, { timeout: 60_000 });
}

test('the microphone over a good link', options, async (t) => {
	const page = await openPage(t, browser, server);
	await page.page.fill('#name', 'Interview, part 1');
	await page.record('microphone');
	await page.until('link', 'sending');
	await page.page.waitForFunction(() => document.getElementById('level').getAttribute('aria-valuenow') > 20, null, { timeout: 20_000 });
	await page.untilSafe(10_000);
	const { state, streams } = await page.finish(t, server);
	assert.deepEqual(kinds(streams), ['audio']);
	assert.ok(Number(streams[0].nb_read_frames) > 5);
	assert.equal(state.name, 'Interview, part 1');
	assert.equal(state.revision, 1);
	assert.match(state.mime, /^audio\/webm/);
	assert.equal(await page.text('recorded'), await page.text('safe'));
	await page.record('microphone'); // and once more on the same page
	await page.untilSafe(1_000);
});

test('the screen', options, async (t) => {
	const page = await openPage(t, browser, server);
	const told = page.page.getByText('the microphone is not.');
	assert.equal(await told.isVisible(), false);
	await page.page.getByLabel('Screen', { exact: true }).check();
	assert.ok(await told.isVisible(), 'whose sound is recorded');
	await page.record('screen');
	await page.untilSafe(3_000);
	const { streams } = await page.finish(t, server);
	assert.ok(kinds(streams).includes('video'));
});

test('a browser that records MP4 alone', options, async (t) => {
	const page = await openPage(t, browser, server, { init: [() => {
		const real = MediaRecorder.isTypeSupported.bind(MediaRecorder);
		MediaRecorder.isTypeSupported = (type) => !type.includes('webm') && real(type);
	}] });
	await page.record('camera');
	await page.untilSafe(200_000);
	const { state, streams } = await page.finish(t, server);
	assert.match(state.mime, /^video\/mp4/);
	assert.deepEqual(kinds(streams), ['audio', 'video']);
});

test('Pause and Resume', options, async (t) => {
	const page = await openPage(t, browser, server);
	await page.record('microphone');
	await page.untilSafe(10_000);
	await page.page.getByRole('button', { name: 'Pause', exact: true }).click();
	await page.until('state', 'paused');
	await page.untilText('link-text', /paused/);
	await page.page.waitForFunction(() => document.getElementById('recorded').textContent === document.getElementById('safe').textContent);
	const before = (await page.emitted()).bytes;
	const time = await page.text('elapsed');
	await page.page.waitForTimeout(1500); // nothing may happen in it
	assert.equal((await page.emitted()).bytes, before);
	assert.equal(await page.text('elapsed'), time);
	await page.page.getByRole('button', { name: 'Resume', exact: true }).click();
	await page.until('state', 'recording');
	await page.untilSafe(before + 10_000);
	await page.finish(t, server);
});

test('a link that is away for a while, and Stop pressed meanwhile: the page may be closed, the rest is sent at the next visit', options, async (t) => {
	const proxy = await startProxy(t, server);
	const page = await openPage(t, browser, proxy);
	await page.record('camera');
	await page.untilSafe(50_000);
	await away(proxy, page);
	/* between two looks the next attempt may begin: what is waited for is the text itself */
	await page.untilText('link-text', /is lost. The recording goes on here/);
	await page.untilText('wait-text', /Next attempt in \d+ s/);
	const safe = await page.text('safe');
	await untilAhead(page, 30_000);
	assert.equal(await page.text('safe'), safe, 'nothing is called safe that is not');
	const dialog = page.page.waitForEvent('dialog');
	page.page.close({ runBeforeUnload: true }).catch(() => {});
	const question = await dialog;
	assert.equal(question.type(), 'beforeunload');
	await question.dismiss();
	await page.page.click('#stop');
	await page.until('state', 'finishing');
	await page.untilText('link-text', /You may close this page/);
	const closed = page.page.waitForEvent('close');
	page.page.on('dialog', (asked) => assert.fail(`asked ${asked.type()}`));
	await page.page.close({ runBeforeUnload: true });
	await closed;
	await page.visit(server).catch(() => {}); // another origin: it is not offered there
	assert.equal(await page.page.isVisible('#unfinished'), false);
	proxy.heal();
	await page.visit(proxy);
	await page.page.waitForSelector('#takes li[data-link="saved"]', { timeout: 30_000 });
	assert.match(await page.page.textContent('#takes h3'), /^Your take from today \d\d:\d\d, all of it safe$/);
	const id = (await page.page.getAttribute('#takes a', 'href')).replace('/play/', '');
	const { bytes, streams } = await page.settled(t, server, id);
	await page.assertParts(t, bytes);
	assert.deepEqual(kinds(streams), ['audio', 'video']);
});

test('the copy on this device is saved while the server stays away', options, async (t) => {
	const proxy = await startProxy(t, server);
	const page = await openPage(t, browser, proxy);
	await page.record('microphone');
	await page.untilSafe(10_000);
	await away(proxy, page);
	await untilAhead(page, 20_000);
	await page.page.click('#stop');
	await page.until('state', 'finishing');
	const download = page.page.waitForEvent('download');
	await page.page.getByRole('button', { name: 'Save the copy on this device' }).click();
	const saved = await download;
	/* what the server has confirmed is dropped here in large pieces: the copy begins at or before that, and its name says where */
	const from = Number(/\(from byte (\d+)\)\.webm$/.exec(saved.suggestedFilename())?.[1] ?? 0);
	const rest = readFileSync(await saved.path());
	const whole = Buffer.concat([...page.parts.values()][0]);
	assert.ok(rest.equals(whole.subarray(from)), 'all that the server did not confirm');
	proxy.heal();
	await page.finish(t, server, { stop: false });
});

test('the server was never there: the copy is the whole take and plays', options, async (t) => {
	const proxy = await startProxy(t, server);
	const page = await openPage(t, browser, proxy);
	await page.until('state', 'idle');
	proxy.mode = 'refuse';
	proxy.cut();
	await page.record('camera');
	await page.untilSafe(100_000, 'recorded');
	await page.page.click('#stop');
	await page.until('state', 'finishing');
	const download = page.page.waitForEvent('download');
	await page.page.click('#save');
	const saved = await download;
	assert.match(saved.suggestedFilename(), /^Take \d{4}-\d\d-\d\d \d\d\.\d\d\.webm$/);
	const copy = readFileSync(await saved.path());
	assert.ok(copy.equals(Buffer.concat([...page.parts.values()][0])));
	assert.deepEqual(kinds(await probe(t, copy)), ['audio', 'video']);
	proxy.heal();
	await page.finish(t, server, { stop: false });
});

test('the server stands still (SIGSTOP) and goes on', options, async (t) => {
	const own = await startServer(t, { args: ['--heartbeat', '1s'] });
	const page = await openPage(t, browser, own);
	await page.record('microphone');
	await page.untilSafe(10_000);
	own.signal('SIGSTOP');
	await page.until('link', 'waiting', 'connecting');
	own.signal('SIGCONT');
	await page.until('link', 'sending');
	await page.finish(t, own);
});

test('the browser goes offline and comes back', options, async (t) => {
	const page = await openPage(t, browser, server);
	await page.record('camera');
	await page.untilSafe(50_000);
	await page.context.setOffline(true);
	await page.until('link', 'waiting', 'connecting');
	await untilAhead(page, 30_000);
	await page.context.setOffline(false);
	await page.until('link', 'sending');
	await page.finish(t, server);
});

test('full storage: the page says so, waits, and goes on', options, async (t) => {
	const own = await startServer(t);
	const page = await openPage(t, browser, own);
	await page.record('microphone');
	await page.untilSafe(10_000);
	await own.kill();
	await own.start({ args: ['--reserve', '1000T'] });
	await page.untilText('link-text', /storage is full/);
	await own.kill();
	await own.start({ args: [] });
	await page.until('link', 'sending');
	await page.finish(t, own);
});

test('the device is full while the server is away: said, held in memory, and all of it sent', options, async (t) => {
	const proxy = await startProxy(t, server);
	const page = await openPage(t, browser, proxy);
	const cdp = await page.context.newCDPSession(page.page);
	await page.record('camera');
	await page.untilSafe(50_000);
	await away(proxy, page);
	const { usage } = await page.page.evaluate(() => navigator.storage.estimate());
	await cdp.send('Storage.overrideQuotaForOrigin', { origin: proxy.url, quotaSize: usage + 100_000 });
	await page.untilText('notices', /This device is full/);
	await page.untilText('link-text', /Leave this page open/);
	await untilAhead(page, 300_000);
	proxy.heal();
	await page.until('link', 'sending');
	await page.finish(t, server);
});

test('another connection takes the take over: the page stops and says why', options, async (t) => {
	const page = await openPage(t, browser, server);
	await page.record('microphone');
	await page.untilSafe(5_000);
	const { body } = await api(server, '/api/recordings');
	const take = body.items.find((item) => item.attached);
	const w = await wire(t, server);
	await w.start({ sessionId: take.sessionId });
	await page.until('state', 'failed');
	assert.match(await page.text('error'), /Another device or program went on/);
	assert.equal(await page.page.isEnabled('#record'), true);
	w.send({ type: 'abort', reason: 'test' });
	await w.next('aborted');
});

test('the take is finished from elsewhere: the page stops and does not call more safe than is', options, async (t) => {
	const page = await openPage(t, browser, server);
	await page.record('microphone');
	await page.untilSafe(5_000);
	const { body } = await api(server, '/api/recordings');
	const take = body.items.find((item) => item.attached);
	await api(server, `/api/recordings/${take.id}/complete`, { method: 'POST' });
	await page.until('state', 'saved', 'failed');
	const { bytes, revision } = await recording(server, take.id);
	assert.equal(revision, 1);
	await until(async () => !(await page.page.isEnabled('#stop')), 5000, 'the recorder has stopped');
	const emitted = (await page.emitted()).bytes;
	assert.equal(await page.page.getAttribute('body', 'data-state'), emitted > bytes ? 'failed' : 'saved');
});

test('a camera whose microphone is unplugged records on and says so; muted by the system is said while it lasts', options, async (t) => {
	const page = await openPage(t, browser, server);
	await page.record('camera');
	await page.untilSafe(30_000);
	await page.page.evaluate(() => {
		const [audio] = window.recorder.stream.getAudioTracks();
		audio.dispatchEvent(new Event('mute'));
	});
	await page.untilText('notices', /system has muted the microphone/);
	await page.page.evaluate(() => {
		const [audio] = window.recorder.stream.getAudioTracks();
		audio.dispatchEvent(new Event('unmute'));
		audio.stop();
		audio.dispatchEvent(new Event('ended'));
	});
	await page.untilText('notices', /recorded on without sound/);
	assert.doesNotMatch(await page.text('notices'), /muted/);
	await page.finish(t, server);
});

test('keyboard alone, names for a screen reader, no sideways scrolling at 320 px', options, async (t) => {
	const page = await openPage(t, browser, server, { viewport: { width: 320, height: 600 } });
	const { keyboard } = page.page;
	const focused = () => page.page.evaluate(() => document.activeElement.id || document.activeElement.value);
	await page.page.focus('input[value=microphone]');
	await keyboard.press('ArrowDown');
	assert.equal(await focused(), 'camera');
	await keyboard.press('ArrowUp');
	for (const next of ['microphone', 'name', 'record']) {
		await keyboard.press('Tab');
		assert.equal(await focused(), next);
	}
	await keyboard.press('Enter');
	await page.until('state', 'recording');
	assert.equal(await focused(), 'stop', 'the focus does not fall off the button that is gone');
	await page.untilSafe(5_000);
	for (const [role, name] of [['button', 'Pause'], ['button', 'Stop'], ['progressbar', /safe/], ['meter', 'Level of the sound']])
		assert.equal(await page.page.getByRole(role, { name, exact: true }).count(), 1, `${role} ${name}`);
	assert.ok(await page.page.evaluate(() => document.documentElement.scrollWidth <= 320));
	await keyboard.press('Space');
	await page.until('state', 'saved');
	for (const [role, name] of [['radio', 'Microphone'], ['radio', 'Camera'], ['radio', 'Screen'], ['button', 'Record'],
		['textbox', /Name/], ['combobox', 'Microphone'], ['link', /^(Open the recording|Play it)$/], ['group', 'What to record']])
		assert.equal(await page.page.getByRole(role, { name, exact: true }).count(), 1, `${role} ${name}`);
	assert.ok(await page.page.evaluate(() => document.documentElement.scrollWidth <= 320));
	assert.equal(await focused(), 'original', 'the result');
});
