// A phone on the local network: a Chromium that trusts the server's authority, paired by the desk's link, over https. It goes through every
// outage that the page on loopback goes through (record_again.test.mjs); the desk sees it, and it stays itself when it pairs again. And a
// phone that does not trust the authority: what it is told, and the way that it has.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { listen, visit } from './support/desk.mjs';
import { network } from './support/doors.mjs';
import { PHONE_ARGS, phoneUrl, startLan } from './support/lan.mjs';
import { outages } from './support/outages.mjs';
import { GO_ON, launch, openPage } from './support/page.mjs';
import { startProxy } from './support/proxy.mjs';
import { atEnd, tempDir, until } from './support/server.mjs';
import { as } from './support/tokens.mjs';
import { api, only, recording } from './support/wire.mjs';

const options = { timeout: 120_000 };

const lanOf = async (server) => (await api(server, '/api/lan')).body;
const tokenOf = (page) => page.page.evaluate(() => localStorage.getItem('holdfast.token'));
const subjectOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).u;

async function browserFor(t, options) {
	const browser = await launch(options);
	atEnd(t, () => browser.close());
	return browser;
}

/** The media element plays for a moment. */
async function assertPlays(page) {
	await page.waitForSelector('#media');
	await page.waitForFunction(() => Number.isFinite(document.getElementById('media').duration));
	await page.evaluate(() => document.getElementById('media').play());
	await page.waitForFunction(() => document.getElementById('media').currentTime > 0.3);
	assert.equal(await page.evaluate(() => document.getElementById('media').error), null);
}

outages(network, 1);

test('from the code on the desk to a take that both play', options, async (t) => {
	const room = await network(t, { workers: 1 });
	const { server } = room;
	const seen = await visit(t, await browserFor(t), `${server.url}/`, { init: listen });
	await seen.live();
	await seen.page.locator('#qr').waitFor();
	const { pairUrl, addresses } = await lanOf(server);
	const picture = await seen.page.getAttribute('#qr', 'src');
	const { pathname, hash } = new URL(pairUrl);
	assert.equal(await seen.page.getAttribute('#pair-url', 'href'), pairUrl.replace(hash, ''));

	const page = await room.open({ path: pathname + hash, viewport: { width: 390, height: 760 } });
	assert.equal(page.page.url(), phoneUrl(pairUrl, { addresses }).replace(hash, ''), 'the code is out of the address');
	await page.untilText('access', /This device is paired/);
	await seen.until('#pair-until', 'A phone was paired. This is the code for the next one.');
	await seen.page.waitForFunction((before) => document.getElementById('qr').src !== before, picture);
	assert.notEqual((await lanOf(server)).pairUrl, pairUrl);

	const subject = subjectOf(await tokenOf(page));
	await page.page.fill('#name', 'From the porch');
	await page.record('camera');
	const row = seen.row('From the porch');
	await row.and(seen.page.locator('[data-kind="live"]')).waitFor();
	assert.ok((await row.locator('.origin').innerText()).startsWith(`from ${subject}`));
	const size = await row.locator('.size').innerText();
	await until(async () => await row.locator('.size').innerText() !== size, 10_000, 'the desk follows');
	await page.untilSafe(200_000);
	const { id, state } = await page.finish(t, server);
	assert.equal(state.owner, subject);
	await row.and(seen.page.locator('[data-kind="saved"]')).waitFor();

	await row.getByRole('link', { name: 'From the porch', exact: true }).click();
	await assertPlays(seen.page);
	await page.page.click('#original');
	await assertPlays(page.page);
	assert.match(await page.page.getAttribute('#media', 'src'), /\/(original|file)\?exp=\d+&sig=/, 'no token is in the address');
	assert.equal(new URL(page.page.url()).pathname, `/play/${id}`);
	seen.clean();
	assert.deepEqual(page.complaints, []);
});

test('a code that was used pairs nobody else, and a phone without one sees nothing', options, async (t) => {
	const room = await network(t);
	const path = await room.path();
	const first = await room.open({ path });
	await first.untilText('access', /This device is paired/);
	const second = await room.open({ path });
	await second.untilText('access', /was used already. Open the desk on the computer/);
	assert.equal(await second.page.isEnabled('#record'), false);
	assert.equal(await tokenOf(second), null);
	await second.page.goto(`${room.at.url}/`);
	await second.page.waitForSelector('#locked:not([hidden])');
	await second.page.goto(`${room.at.url}${await room.path()}`);
	await second.untilText('access', /This device is paired/);
	assert.notEqual(subjectOf(await tokenOf(second)), subjectOf(await tokenOf(first)));
});

test('a browser that is killed as soon as it was paired comes back paired', options, async (t) => {
	const room = await network(t);
	const profile = await room.profile();
	const page = await profile.open(room.at, undefined, { path: await room.path() });
	await page.untilText('access', /This device is paired/);
	const token = await tokenOf(page);
	await profile.kill();
	await profile.start();
	await profile.open(room.at, page);
	assert.equal(await tokenOf(page), token);
});

test('paired again, it is the same phone and finds its unfinished take', options, async (t) => {
	const room = await network(t, { proxied: true });
	const { server, proxy } = room;
	const page = await room.open();
	await page.record('microphone');
	await page.untilSafe(10_000);
	proxy.mode = 'refuse';
	proxy.cut();
	await page.untilSafe(40_000, 'recorded');
	const old = await tokenOf(page);
	page.page.on('dialog', (dialog) => dialog.accept());
	await page.page.close();
	proxy.heal();
	await page.visit(room.at, await room.path());
	await page.untilText('access', /This device is paired/);
	const fresh = await tokenOf(page);
	assert.notEqual(fresh, old);
	assert.equal(subjectOf(fresh), subjectOf(old));
	await until(async () => (await only(server)).bytes >= 40_000, 20_000, 'the rest is sent by itself');
	await page.page.click(GO_ON);
	await page.until('state', 'recording');
	assert.equal(await page.text('part'), 'Part 2 of this take');
	await page.untilSafe(60_000);
	await page.page.click('#stop');
	await page.until('state', 'saved');
	const { id, owner } = await only(server);
	assert.equal(owner, subjectOf(fresh));
	assert.equal((await api(server, `/api/recordings/${id}`, as(fresh))).status, 200);
	const { bytes } = await page.settled(t, server, id, { cut: true });
	await page.assertParts(t, bytes, { cut: [0] });
});

test('without the authority: the browser refuses https; over plain http the page says why, and the camera app’s file arrives whole', options, async (t) => {
	const { server, body } = await startLan(t);
	const browser = await browserFor(t, { args: PHONE_ARGS, env: { HOME: tempDir(t) } });
	const stranger = await (await browser.newContext()).newPage();
	await assert.rejects(stranger.goto(phoneUrl(body.pairUrl, body)), /ERR_CERT_AUTHORITY_INVALID/);
	assert.equal((await lanOf(server)).pairUrl, body.pairUrl, 'the code is not used up');

	const proxy = await startProxy(t, { url: new URL(phoneUrl(body.plainUrl, body)).origin });
	const page = await openPage(t, browser, proxy);
	await page.untilText('access', /press “Show the code for this way” there, and scan that code/);
	await page.page.goto(`${proxy.url}/record${new URL(body.plainPairUrl).hash}`);
	await page.untilText('access', /This device is paired/);
	assert.equal(await page.page.evaluate(() => isSecureContext), false);
	assert.match(await page.page.textContent('#insecure'), /came over plain http, and browsers give the microphone and the camera only/);
	assert.equal(await page.page.isVisible('#record'), false);
	await page.page.waitForSelector('#secure:visible');
	assert.equal(await page.page.getAttribute('#secure', 'href'), `${new URL(phoneUrl(body.url, body)).origin}/record`);
	await page.page.click('#insecure a[href="/trust"]');
	await page.page.waitForSelector('body[data-ready]');
	assert.equal((await page.text('fingerprint')).replace(/\s/g, ''), body.fingerprint);
	const certificate = page.page.waitForEvent('download');
	await page.page.click('#ca');
	assert.equal((await certificate).suggestedFilename(), 'holdfast-ca.crt');

	await page.page.goBack();
	const bytes = randomBytes(5_000_000);
	const file = join(tempDir(t), 'porch.mp4');
	writeFileSync(file, bytes);
	for (const [id, kind] of [['file-video', 'video/*'], ['file-audio', 'audio/*']]) {
		assert.equal(await page.page.getAttribute(`#${id}`, 'accept'), kind);
		assert.notEqual(await page.page.getAttribute(`#${id}`, 'capture'), null);
	}
	await page.page.setInputFiles('#file-video', file);
	for (let cuts = 0; cuts < 3; cuts++) await proxy.cutAfter(700_000);
	assert.match(await page.page.textContent('#takes .figure'), /^5\.00 MB in all, \S+ \S*B read, \S+ \S*B safe on the server$/);
	const id = await page.savedRow();
	const { bytes: got } = await api(server, `/api/recordings/${id}/original`);
	assert.ok(got.equals(bytes));
	const { name, owner } = await recording(server, id);
	assert.equal(name, 'porch.mp4');
	assert.equal(owner, subjectOf(await tokenOf(page)));
	assert.deepEqual(page.complaints, []);
});
