// The recording page on loopback through every outage (support/outages.mjs; phone.test.mjs makes the same as a phone), what it does about
// takes that are left over, and how it is over plain http. In the end the server has what the recorders emitted.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { loopback } from './support/doors.mjs';
import { outages } from './support/outages.mjs';
import { Profile, launch, openPage } from './support/page.mjs';
import { startProxy } from './support/proxy.mjs';
import { atEnd, startServer, tempDir } from './support/server.mjs';
import { api, recording } from './support/wire.mjs';
import { mint } from './support/tokens.mjs';

const options = { timeout: 120_000 };
let browser;
before(async () => {
	browser = await launch();
});
after(() => browser?.close());

outages(loopback, 0);

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
	const { bytes } = await page.settled(t, own, await page.savedRow());
	await page.assertParts(t, bytes);
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
	const id = await page.savedRow();
	const { bytes: got } = await api(own, `/api/recordings/${id}/original`);
	assert.ok(got.equals(bytes));
	assert.equal((await recording(own, id)).name, 'clip.mp4');
});
