// What the recording page finds again: after a reload, a tab that crashed, a browser that was killed; and two tabs, a tab in the
// background, a page over plain http. In the end the server has what the recorders emitted.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Profile, launch, openPage } from './support/page.mjs';
import { startProxy } from './support/proxy.mjs';
import { atEnd, sharedServer, startServer, tempDir, until } from './support/server.mjs';
import { api, recording } from './support/wire.mjs';
import { mint } from './support/tokens.mjs';
import { RawTab } from './support/tab.mjs';

const server = sharedServer();
const options = { timeout: 120_000 };
let browser;
before(async () => {
	browser = await launch();
});
after(() => browser?.close());

const GO_ON = '#takes button:has-text("Go on recording")';
const FINISH = '#takes button:has-text("Finish")';

/** The one take of a server. */
async function only(at) {
	const { body } = await api(at, '/api/recordings');
	assert.equal(body.items.length, 1);
	return body.items[0];
}

async function savedRow(page) {
	await page.page.waitForSelector('#takes li[data-link="saved"]', { timeout: 30_000 });
	return (await page.page.getAttribute('#takes li[data-link="saved"] a', 'href')).replace('/play/', '');
}

test('a reload while it records, with the server away: offered, sent, gone on with as the next part', options, async (t) => {
	const own = await startServer(t);
	const proxy = await startProxy(t, own);
	const page = await openPage(t, browser, proxy);
	page.page.on('dialog', (dialog) => dialog.accept());
	await page.record('microphone');
	await page.untilSafe(10_000);
	proxy.mode = 'refuse';
	proxy.cut();
	await page.until('link', 'waiting', 'connecting');
	await page.untilSafe(40_000, 'recorded');
	proxy.heal(); // the page itself must come from somewhere; and its script must not have sent the rest before
	await page.page.reload();
	await page.page.waitForSelector('#takes li');
	await page.page.waitForSelector(GO_ON);
	await until(async () => /all of it safe/.test(await page.page.textContent('#takes h3')), 20_000, 'the rest is sent by itself');
	const { bytes: first } = await only(own);
	assert.ok(first >= 40_000);
	await page.page.click(GO_ON);
	await page.until('state', 'recording');
	assert.equal(await page.text('part'), 'Part 2 of this take');
	await page.untilSafe(first + 20_000);
	await page.page.click('#stop');
	await page.until('state', 'saved');
	const take = await only(own);
	const { bytes } = await page.settled(t, own, take.id, { cut: true });
	await page.assertParts(t, bytes, { cut: [0] });
});

test('the tab crashes; the next visit says whose it is and finishes it', options, async (t) => {
	const own = await startServer(t);
	const page = await openPage(t, browser, own);
	await page.record('camera');
	await page.untilSafe(100_000);
	const crashed = page.page.waitForEvent('crash');
	page.page.goto('chrome://crash').catch(() => {});
	await crashed;
	await page.visit(own);
	await page.page.waitForSelector(FINISH);
	assert.match(await page.page.textContent('#takes h3'), /^Your take from today \d\d:\d\d, /);
	await page.page.click(FINISH);
	const id = await savedRow(page);
	const { bytes } = await page.settled(t, own, id, { cut: true });
	await page.assertParts(t, bytes, { cut: [0] });
});

test('the browser is killed with the server away, and started again; gone on with, killed again, finished', options, async (t) => {
	const own = await startServer(t);
	const proxy = await startProxy(t, own);
	const profile = await new Profile(t).start();
	const page = await profile.open(proxy);
	await page.record('camera');
	await page.untilSafe(100_000);
	proxy.mode = 'refuse';
	proxy.cut();
	await page.untilSafe(300_000, 'recorded');
	const before = await page.text('safe');
	await profile.kill();
	proxy.heal();
	await profile.start();
	await profile.open(proxy, page);
	await page.page.waitForSelector(GO_ON);
	await until(async () => (await only(own)).bytes > 250_000, 20_000, `the rest is sent by itself; ${before} were safe`);
	await page.page.click(GO_ON);
	await page.until('state', 'recording');
	await page.untilSafe(400_000);
	await profile.kill();
	await profile.start();
	await profile.open(proxy, page);
	await page.page.waitForSelector(FINISH);
	await page.page.click(FINISH);
	const { bytes } = await page.settled(t, own, await savedRow(page), { cut: true });
	await page.assertParts(t, bytes, { cut: [0, 1] });
});

test('stopped while the server was away, and the browser killed: the next visit sends the rest with nobody’s help', options, async (t) => {
	const own = await startServer(t);
	const proxy = await startProxy(t, own);
	const profile = await new Profile(t).start();
	const page = await profile.open(proxy);
	await page.record('microphone');
	await page.untilSafe(10_000);
	proxy.mode = 'refuse';
	proxy.cut();
	await page.untilSafe(30_000, 'recorded');
	await page.page.click('#stop');
	await page.until('state', 'finishing');
	await profile.kill();
	proxy.heal();
	await profile.start();
	await profile.open(proxy, page);
	const { bytes } = await page.settled(t, own, await savedRow(page));
	await page.assertParts(t, bytes);
});

test('two tabs: the second one names the first, and takes over when that is gone', options, async (t) => {
	const own = await startServer(t);
	const page = await openPage(t, browser, own);
	await page.record('microphone');
	await page.untilSafe(10_000);
	const first = page.page;
	await page.visit(own);
	await page.page.waitForSelector('#takes li[data-link="elsewhere"]');
	assert.match(await page.page.textContent('#takes li'), /Another tab of this browser works on it/);
	assert.equal(await page.page.isVisible(GO_ON), false);
	assert.equal(await page.page.isVisible(FINISH), false);
	assert.equal((await only(own)).attached, true);
	const bytes = await first.textContent('#safe');
	await first.waitForFunction((text) => document.getElementById('safe').textContent !== text, bytes);
	assert.equal(await first.getAttribute('body', 'data-state'), 'recording', 'undisturbed');
	await first.close();
	await page.page.waitForSelector(FINISH, { timeout: 20_000 });
	await page.page.click(FINISH);
	const { bytes: all } = await page.settled(t, own, await savedRow(page), { cut: true });
	await page.assertParts(t, all, { cut: [0] });
});

test('a tab in the background records on, and says so when it is seen again; frozen, it loses nothing', options, async (t) => {
	const own = await startServer(t);
	const profile = await new Profile(t).start();
	const tab = await RawTab.open(t, profile.port, `${own.url}/record`);
	const other = await RawTab.open(t, profile.port, 'about:blank');
	await tab.activate();
	await tab.until(`document.body.dataset.state === 'idle'`);
	await tab.evaluate(`document.getElementById('record').click()`);
	await tab.until(`document.body.dataset.state === 'recording'`);
	await tab.until(`/kB/.test(document.getElementById('safe').textContent)`);
	await other.activate();
	await tab.until(`document.visibilityState === 'hidden'`);
	await tab.until(`/in the background. It records on/.test(document.getElementById('notices').textContent)`);
	const { bytes: before } = await only(own);
	await until(async () => (await only(own)).bytes > before + 20_000, 30_000, 'it goes on in the background');
	await tab.send('Page.setWebLifecycleState', { state: 'frozen' });
	await new Promise((resolve) => setTimeout(resolve, 4000)); // as long as it is frozen; there is nothing to wait for
	await tab.send('Page.setWebLifecycleState', { state: 'active' });
	await tab.activate();
	await tab.until(`document.visibilityState === 'visible'`);
	await tab.until(`/was in the background for \\d+ s/.test(document.getElementById('notices').textContent)`);
	await tab.evaluate(`document.getElementById('stop').click()`);
	await tab.until(`document.body.dataset.state === 'saved'`);
	const { id } = await only(own);
	const emitted = await tab.evaluate(`new Blob(window.emitted).arrayBuffer().then(async (bytes) => ({ bytes: bytes.byteLength, sha256:
		Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)), (b) => b.toString(16).padStart(2, '0')).join('') }))`);
	const state = await recording(own, id);
	assert.equal(state.bytes, emitted.bytes);
	assert.equal(state.sha256, emitted.sha256);
});

test('a take that is forgotten is asked about first', options, async (t) => {
	const own = await startServer(t);
	const proxy = await startProxy(t, own);
	const page = await openPage(t, browser, proxy);
	await page.record('microphone');
	await page.untilSafe(5_000);
	proxy.mode = 'refuse';
	proxy.cut();
	await page.untilSafe(20_000, 'recorded');
	await page.page.click('#stop');
	await page.until('state', 'finishing');
	proxy.mode = 'pass';
	await own.kill();
	const again = await startServer(t); // which knows nothing of it
	assert.ok(again);
	await page.page.click('#record'); // another take; the first one goes to the list
	await page.until('state', 'recording');
	await page.page.click('#stop');
	const row = '#takes li';
	await page.page.waitForSelector(`${row} button:has-text("Forget it")`, { timeout: 30_000 });
	await page.page.click(`${row} button:has-text("Forget it")`);
	assert.match(await page.page.textContent(row), /Really forget it\? .* that the server does not have are lost/);
	await page.page.click(`${row} button:has-text("Keep it")`);
	await page.page.click(`${row} button:has-text("Forget it")`);
	await page.page.click(`${row} button:has-text("Yes, forget it")`);
	await page.page.waitForFunction(() => document.querySelectorAll('#takes li').length === 0);
});

test('over plain http: why not live, the way to https, and the camera app’s file over a link that is cut', options, async (t) => {
	const own = await startServer(t);
	const proxy = await startProxy(t, own);
	const plain = await launch({ args: ['--host-resolver-rules=MAP rec.test 127.0.0.1'] });
	atEnd(t, () => plain.close());
	const { token } = mint(own, 'record');
	const page = await openPage(t, plain, { url: `http://rec.test:${proxy.port}` }, { init: [`localStorage.setItem('holdfast.token', '${token}')`] });
	assert.equal(await page.page.evaluate(() => isSecureContext), false);
	await page.page.route('**/api/trust', (route) => route.fulfill({ json: { url: 'https://192.168.1.5:8443', plainUrl: '', fingerprint: '', name: '' } }));
	await page.page.reload();
	await page.page.waitForSelector('#secure:visible');
	assert.equal(await page.page.getAttribute('#secure', 'href'), 'https://192.168.1.5:8443/record');
	assert.match(await page.page.textContent('#insecure'), /came over plain http, and browsers give the microphone and the camera only/);
	assert.equal(await page.page.getAttribute('#insecure a[href="/trust"]', 'href'), '/trust');
	assert.equal(await page.page.isVisible('#record'), false);
	assert.equal(await page.page.getAttribute('#file-video', 'accept'), 'video/*');
	assert.notEqual(await page.page.getAttribute('#file-video', 'capture'), null);
	assert.equal(await page.page.getByLabel('Record sound').count(), 1);
	const bytes = randomBytes(5_000_000);
	const file = join(tempDir(t), 'clip.mp4');
	writeFileSync(file, bytes);
	await page.page.setInputFiles('#file-video', file);
	for (let cuts = 0; cuts < 3; cuts++) await proxy.cutAfter(700_000);
	await page.page.reload(); // and the page is thrown away: the file is still known
	const id = await savedRow(page);
	const { bytes: got } = await api(own, `/api/recordings/${id}/original`);
	assert.ok(got.equals(bytes));
	assert.equal((await recording(own, id)).name, 'clip.mp4');
});
