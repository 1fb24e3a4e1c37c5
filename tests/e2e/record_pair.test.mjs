// The recording page as a phone meets it: at an address that grants nothing by itself. Pairing with a lost reply, codes that are no good,
// tokens that run out or are withdrawn while it records. `rec.test` is not loopback for the server, and https enough for the browser.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch, openPage } from './support/page.mjs';
import { startProxy } from './support/proxy.mjs';
import { atEnd, startServer } from './support/server.mjs';
import { as, mint, token } from './support/tokens.mjs';
import { api } from './support/wire.mjs';

const options = { timeout: 120_000 };

/** A server, the page's address by a foreign name, and a browser that takes that for secure. */
async function setup(t) {
	const server = await startServer(t);
	const proxy = await startProxy(t, server);
	const at = { url: `http://rec.test:${proxy.port}` };
	const browser = await launch({ args: ['--host-resolver-rules=MAP rec.test 127.0.0.1', `--unsafely-treat-insecure-origin-as-secure=${at.url}`] });
	atEnd(t, () => browser.close());
	return { server, proxy, at, browser };
}

const code = (server) => {
	const made = token(server, 'pair', '--json');
	assert.equal(made.status, 0, made.stderr);
	return made.lines[0].pairing;
};

const kept = (page) => page.page.evaluate(() => localStorage.getItem('holdfast.token'));
const subjectOf = (text) => JSON.parse(Buffer.from(text.split('.')[1], 'base64url')).u;

/** Opens the page with the token already kept, as on a second visit. */
const withToken = (text) => [`localStorage.getItem('holdfast.token') ?? localStorage.setItem('holdfast.token', ${JSON.stringify(text)})`];

/** Whether the list of who holds this token has the recording: it shows its own subject's only. */
async function owns(server, text, id) {
	const { body } = await api(server, '/api/recordings', as(text));
	return body.items.some((item) => item.id === id);
}

test('not paired: the page says how, and records nothing; the code pairs it, also when the first reply is lost', options, async (t) => {
	const { server, at, browser } = await setup(t);
	const page = await openPage(t, browser, at);
	await page.untilText('access', /not paired yet. Open the desk on the computer and scan the code/);
	assert.equal(await page.page.isEnabled('#record'), false);
	const asked = [];
	await page.page.route('**/api/pair', async (route) => {
		asked.push(route.request().postDataJSON());
		const response = await route.fetch({ url: `${server.url}/api/pair`, headers: { 'content-type': 'application/json' } });
		if (asked.length === 1) await route.abort(); // the server has answered, and nobody heard it
		else await route.fulfill({ response });
	});
	const pairing = code(server);
	await page.page.goto(`${at.url}/record#pair=${pairing}`);
	await page.untilText('access', /This device is paired/);
	assert.equal(await page.page.evaluate(() => location.hash), '');
	assert.ok(asked.length >= 2);
	assert.equal(new Set(asked.map(({ nonce }) => nonce)).size, 1);
	assert.equal(asked[0].pairing, pairing);
	const subject = subjectOf(await kept(page));
	await page.record('microphone');
	await page.untilSafe(10_000);
	assert.doesNotMatch(await page.text('there'), /not known/);
	const { id } = await page.finish(t, server);
	assert.ok(await owns(server, await kept(page), id));

	await page.page.reload(); // the token is kept
	await page.page.waitForFunction(() => !document.getElementById('record').disabled);
	assert.equal(await page.page.isVisible('#access'), false);

	await page.page.goto(`${at.url}/record#pair=${code(server)}`); // a new code: who it is stays
	await page.untilText('access', /This device is paired/);
	assert.equal(subjectOf(await kept(page)), subject);
});

test('a code that comes into the address while the page is still beginning pairs it', options, async (t) => {
	const { server, at, browser } = await setup(t);
	const early = `document.addEventListener('DOMContentLoaded', () => { location.hash = '#pair=${code(server)}'; })`;
	const page = await openPage(t, browser, at, { init: [early] });
	await page.untilText('access', /This device is paired/);
	assert.equal(await page.page.evaluate(() => location.hash), '');
});

test('codes that are no good: used, unknown; the old pairing stays', options, async (t) => {
	const { server, at, browser } = await setup(t);
	const used = code(server);
	await api(server, '/api/pair', { method: 'POST', body: JSON.stringify({ pairing: used }), headers: { 'content-type': 'application/json' } });
	const page = await openPage(t, browser, at, { path: `/record#pair=${used}` });
	await page.untilText('access', /was used already. Open the desk/);
	assert.equal(await page.page.isEnabled('#record'), false);
	await page.page.goto(`${at.url}/record#pair=nonsense`);
	await page.untilText('access', /no code of this server/);
	const paired = await openPage(t, browser, at, { path: '/record#pair=nonsense', init: withToken(mint(server, 'record').token) });
	await paired.untilText('access', /no code of this server.*stays paired as it was/);
	assert.equal(await paired.page.isEnabled('#record'), true);
});

test('a token that has run out, is withdrawn, or allows something else: each has its own words', options, async (t) => {
	const { server, at, browser } = await setup(t);
	const withdrawn = mint(server, 'record');
	assert.equal(token(server, 'revoke', withdrawn.id).status, 0);
	for (const [text, pattern] of [[withdrawn.token, /was withdrawn on the server/], [mint(server, 'play').token, /does not allow recording/]]) {
		const page = await openPage(t, browser, at, { init: withToken(text) });
		await page.untilText('access', pattern);
		assert.equal(await page.page.isEnabled('#record'), false);
	}
	const page = await openPage(t, browser, at, { init: withToken(mint(server, 'record', '--expires', '1s').token) });
	await page.page.waitForTimeout(1500); // until it has run out
	await page.page.reload();
	await page.untilText('access', /has run out. Scan the code on the desk/);
});

test('withdrawn while it records: what was recorded stays here, and goes on after the next pairing', options, async (t) => {
	const { server, at, browser } = await setup(t);
	const first = mint(server, 'record', '--subject', 'phone-1');
	const page = await openPage(t, browser, at, { init: withToken(first.token) });
	await page.page.waitForFunction(() => !document.getElementById('record').disabled);
	await page.record('microphone');
	await page.untilSafe(10_000);
	assert.equal(token(server, 'revoke', first.id).status, 0);
	await page.until('state', 'failed');
	assert.match(await page.text('error'), /was withdrawn on the server/);
	const second = mint(server, 'record', '--subject', 'phone-1');
	await page.page.evaluate((text) => localStorage.setItem('holdfast.token', text), second.token);
	await page.page.reload();
	await page.page.waitForSelector('#takes button:has-text("Finish")');
	await page.page.click('#takes button:has-text("Finish")');
	await page.page.waitForSelector('#takes li[data-link="saved"]');
	const id = (await page.page.getAttribute('#takes a', 'href')).replace('/play/', '');
	const { bytes } = await page.settled(t, server, id, { cut: true });
	await page.assertParts(t, bytes, { cut: [0] });
	assert.ok(await owns(server, second.token, id));
});

test('more than the token allows: said, and what is safe stays', options, async (t) => {
	const { server, at, browser } = await setup(t);
	const page = await openPage(t, browser, at, { init: withToken(mint(server, 'record', '--max-bytes', '60K').token) });
	await page.page.waitForFunction(() => !document.getElementById('record').disabled);
	await page.record('microphone');
	await page.until('state', 'failed');
	assert.match(await page.text('error'), /reached the size that the server allows/);
	await page.page.waitForSelector('#save:visible');
});
