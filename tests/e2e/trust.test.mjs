// The page that explains how to trust the server's own certificate, before the stand-in.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { visit } from './support/desk.mjs';
import { launch } from './support/page.mjs';
import { startStandin } from './support/standin.mjs';

const options = { timeout: 60_000 };
const SYSTEMS = {
	android: 'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36',
	ios: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1',
	macos: 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15',
	windows: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
	linux: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
};
let browser;
before(async () => {
	browser = await launch({ shell: true });
});
after(() => browser?.close());

async function trust(t, context) {
	const server = await startStandin(t);
	server.enableLan();
	const seen = await visit(t, browser, `${server.url}/trust`, context);
	await seen.page.locator('body[data-ready]').waitFor();
	return { server, seen, page: seen.page };
}

test('each visitor finds the own system first and open, in four lines', options, async (t) => {
	for (const [system, userAgent] of Object.entries(SYSTEMS)) {
		const { seen, page } = await trust(t, { userAgent });
		const shown = await page.locator('details').evaluateAll((all) => all.map((one) => [one.dataset.system, one.open, one.querySelectorAll('li').length]));
		assert.deepEqual(shown.map(([, , lines]) => lines), [4, 4, 4, 4, 4]);
		assert.deepEqual(shown[0].slice(0, 2), [system, true]);
		assert.equal(shown.filter(([, open]) => open).length, 1);
		seen.clean();
	}
	const ipad = await trust(t, { userAgent: SYSTEMS.macos, hasTouch: true, init: () => {
		Object.defineProperty(navigator, 'maxTouchPoints', { value: 5 });
	} });
	assert.equal(await ipad.page.locator('details').first().getAttribute('data-system'), 'ios', 'an iPad calls itself a Mac');
	assert.equal(await ipad.page.locator('.buttons a').first().getAttribute('id'), 'profile');
});

test('the certificate, what to compare, and the way without', options, async (t) => {
	const { server, seen, page } = await trust(t);
	assert.equal(await page.locator('#ca').getAttribute('href'), '/trust/ca.crt');
	assert.equal(await page.locator('#profile').getAttribute('href'), '/trust/holdfast.mobileconfig');
	assert.equal((await seen.text('#fingerprint')).replace(/\s/g, ''), server.trust.fingerprint);
	assert.match(await seen.text('#until'), /24 November 2036/);
	assert.match(await seen.text('main'), /private addresses only/);
	assert.equal(await page.locator('#url').getAttribute('href'), 'https://192.168.1.5:8443/record');
	assert.equal(await page.locator('#plain').getAttribute('href'), 'http://192.168.1.5:8443/record');
	await page.keyboard.press('Tab');
	await seen.tabTo('macOS');
	await page.keyboard.press('Enter');
	assert.equal(await page.locator('details[data-system="macos"]').evaluate((one) => one.open), true);
	seen.clean();
});

test('a server without a certificate says so', options, async (t) => {
	const server = await startStandin(t);
	const seen = await visit(t, browser, `${server.url}/trust`);
	await seen.until('#none', 'has no certificate to trust');
	assert.equal(await seen.page.locator('#known').isVisible(), false);
	assert.equal(await seen.page.locator('#without').isVisible(), false);
});
