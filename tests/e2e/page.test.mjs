// The recording page in Chromium, over links that drop: each take ends as exactly the bytes that the recorder emitted.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage } from './support/page.mjs';
import { startProxy } from './support/proxy.mjs';
import { atEnd, sharedServer, startServer, until } from './support/server.mjs';
import { api, random, recording, wire } from './support/wire.mjs';

const server = sharedServer();
const options = { timeout: 120_000 };
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);
let browser;
before(async () => {
	browser = await launch();
});
after(() => browser?.close());

const kinds = (streams) => streams.map(({ codec_type: type }) => type);

test('the microphone over a good link', options, async (t) => {
	const page = await openPage(t, browser, server);
	await page.page.fill('#name', 'Interview, part 1');
	await page.record('microphone');
	await page.until('link', 'sending');
	await page.untilSafe(10_000);
	const { state, streams } = await page.finish(t, server);
	assert.deepEqual(kinds(streams), ['audio']);
	assert.ok(Number(streams[0].nb_read_frames) > 5);
	assert.equal(state.name, 'Interview, part 1');
	assert.equal(state.revision, 1);
	assert.match(state.mime, /^audio\/webm/);
	assert.equal(await page.text('recorded'), await page.text('safe'));
	await page.record('microphone'); // and once more on the same page
	await page.page.waitForFunction(() => document.getElementById('safe').textContent.includes('kB'));
});

test(`the camera over a link that is cut at random bytes (HOLDFAST_SEED=${SEED})`, options, async (t) => {
	const chance = random(SEED);
	const proxy = await startProxy(t, server);
	const page = await openPage(t, browser, proxy);
	await page.record('camera');
	for (let cuts = 0; cuts < 6; cuts++) {
		await proxy.cutAfter(1 + Math.floor(chance() * 60_000));
		await page.until('link', 'sending');
	}
	const { streams } = await page.finish(t, server);
	assert.deepEqual(kinds(streams), ['audio', 'video']);
});

test('the screen', options, async (t) => {
	const page = await openPage(t, browser, server);
	await page.record('screen');
	await page.untilSafe(3_000);
	const { streams } = await page.finish(t, server);
	assert.ok(kinds(streams).includes('video'));
});

test('a link that is away for a while, and Stop pressed meanwhile', options, async (t) => {
	const proxy = await startProxy(t, server);
	const page = await openPage(t, browser, proxy);
	await page.record('camera');
	await page.untilSafe(50_000);
	proxy.mode = 'refuse';
	proxy.cut();
	/* between two looks the next attempt may begin: what is waited for is the text itself */
	await page.page.waitForFunction(() => /lost/.test(document.getElementById('link-text').textContent));
	await page.page.waitForFunction(() => /Next attempt in \d+ s/.test(document.getElementById('wait').textContent));
	const safe = await page.text('safe');
	await page.page.waitForFunction(() => document.getElementById('recorded').textContent.includes('kB')
		&& parseFloat(document.getElementById('recorded').textContent) > parseFloat(document.getElementById('safe').textContent) + 30);
	assert.equal(await page.text('safe'), safe, 'nothing is called safe that is not');
	await page.page.click('#stop');
	await page.until('state', 'finishing');
	await page.page.waitForFunction(() => /Leave this page open/.test(document.getElementById('link-text').textContent));
	const dialog = page.page.waitForEvent('dialog');
	page.page.close({ runBeforeUnload: true }).catch(() => {});
	const question = await dialog;
	assert.equal(question.type(), 'beforeunload');
	await question.dismiss();
	proxy.heal();
	await page.finish(t, server, { stop: false });
});

test('a half-open link', options, async (t) => {
	const own = await startServer(t, { args: ['--heartbeat', '1s'] });
	const proxy = await startProxy(t, own);
	const page = await openPage(t, browser, proxy);
	await page.record('camera');
	await page.untilSafe(50_000);
	proxy.mode = 'blackhole';
	await page.until('link', 'waiting', 'connecting');
	proxy.heal();
	await page.until('link', 'sending');
	await page.finish(t, own);
});

test('the server is killed and started again, three times', options, async (t) => {
	const own = await startServer(t);
	const page = await openPage(t, browser, own);
	await page.record('camera');
	for (let kills = 1; kills <= 3; kills++) {
		await page.untilSafe(kills * 60_000);
		await own.kill();
		await page.until('link', 'waiting', 'connecting');
		await own.start();
		await page.until('link', 'sending');
	}
	await page.finish(t, own);
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
	await page.until('link', 'waiting');
	await page.page.waitForFunction(() => parseFloat(document.getElementById('recorded').textContent)
		> parseFloat(document.getElementById('safe').textContent) + 30);
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
	await page.page.waitForFunction(() => /storage is full/.test(document.getElementById('link-text').textContent), null, { timeout: 30_000 });
	await own.kill();
	await own.start({ args: [] });
	await page.until('link', 'sending');
	await page.finish(t, own);
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
	assert.match(await page.text('error'), /Another page or program went on/);
	assert.equal(await page.page.getAttribute('#record', 'disabled'), null);
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
	await page.until('state', 'saved');
	assert.equal((await recording(server, take.id)).revision, 1);
	await until(async () => !(await page.page.isEnabled('#stop')), 5000, 'the recorder has stopped');
});

test('the microphone is not allowed: the page says what to do', options, async (t) => {
	const strict = await launch({ allow: false });
	atEnd(t, () => strict.close());
	const page = await openPage(t, strict, server);
	await page.page.click('#record');
	await page.page.waitForSelector('#error:not([hidden])');
	assert.match(await page.text('error'), /may not use the microphone. Allow it/);
	assert.equal(await page.page.isEnabled('#record'), true);
});

test('keyboard alone, names for a screen reader, no sideways scrolling at 320 px', options, async (t) => {
	const page = await openPage(t, browser, server, { viewport: { width: 320, height: 600 } });
	const { keyboard } = page.page;
	const focused = () => page.page.evaluate(() => document.activeElement.id || document.activeElement.value);
	await keyboard.press('Tab');
	assert.equal(await focused(), 'microphone');
	await keyboard.press('ArrowDown');
	assert.equal(await focused(), 'camera');
	await keyboard.press('ArrowUp');
	await keyboard.press('Tab');
	assert.equal(await focused(), 'name');
	await keyboard.press('Tab');
	assert.equal(await focused(), 'record');
	await keyboard.press('Enter');
	await page.until('state', 'recording');
	assert.equal(await focused(), 'stop', 'the focus does not fall off the disabled button');
	await page.untilSafe(5_000);
	assert.ok(await page.page.getByRole('status').textContent());
	await keyboard.press('Space');
	await page.until('state', 'saved');
	for (const [role, name] of [['radio', 'Microphone'], ['radio', 'Camera'], ['radio', 'Screen'], ['button', 'Record'], ['button', 'Stop'],
		['textbox', /Name/], ['progressbar', /safe/], ['link', 'Open the recording'], ['group', 'What to record']])
		assert.equal(await page.page.getByRole(role, { name }).count(), 1, `${role} ${name}`);
	assert.ok(await page.page.evaluate(() => document.documentElement.scrollWidth <= 320));
});
