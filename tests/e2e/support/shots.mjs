// Screenshots of every page in its states, for people to look at: node shots.mjs DIR [PART OF A NAME]. Each state comes light
// and dark, at 320, 1,280 and 2,560 px; the record page, which takes a real recording, as a phone, a tablet and a desk.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { visit } from './desk.mjs';
import { launch, openPage } from './page.mjs';
import { startProxy } from './proxy.mjs';
import { SCENES } from './scenes.mjs';
import { startServer } from './server.mjs';
import { api, wire } from './wire.mjs';

const [dir = 'tmp/shots', wanted = ''] = process.argv.slice(2);
const LOOKS = [['light', 320, 640], ['dark', 320, 640], ['light', 1280, 860], ['dark', 1280, 860], ['light', 2560, 1300], ['dark', 2560, 1300]];
mkdirSync(dir, { recursive: true });

/** What a test offers to whoever wants to be ended with it. */
class Ends {
	#ends = [];

	after(end) {
		this.#ends.push(end);
	}

	async run() {
		for (const end of this.#ends.reverse()) await end();
	}
}

async function sceneShots(browser, name, scene) {
	const t = new Ends();
	try {
		const { page } = await scene(t, (url) => visit(t, browser, url, { reducedMotion: 'reduce' }));
		for (const [colorScheme, width, height] of LOOKS) {
			await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
			await page.setViewportSize({ width, height });
			const file = `${name.replace(/[^\w]+/g, '-')}-${width}-${colorScheme}.png`;
			await page.screenshot({ path: join(dir, file), fullPage: width < 600 && await page.locator('#banner:visible, dialog:visible').count() === 0 });
		}
	} finally {
		await t.run();
	}
}

async function recordShots(browser, name, source, options) {
	const t = new Ends();
	try {
		const server = await startServer(t);
		const proxy = await startProxy(t, server);
		const page = await openPage(t, browser, proxy, options);
		const shot = (state) => page.page.screenshot({ path: join(dir, `record-${name}-${state}.png`), fullPage: true });
		await shot('1-idle');
		await page.record(source);
		await page.untilSafe(5_000);
		await shot('2-recording');
		proxy.mode = 'refuse';
		proxy.cut();
		await page.until('link', 'waiting');
		await shot('3-waiting');
		proxy.heal();
		await page.until('link', 'sending');
		await page.page.click('#stop');
		await page.until('state', 'saved');
		await shot('4-saved');
		await page.record(source);
		await page.untilSafe(3_000);
		const { body } = await api(server, '/api/recordings');
		await (await wire(t, server)).start({ sessionId: body.items.find((item) => item.attached).sessionId });
		await page.until('state', 'failed');
		await shot('5-taken-over');
	} finally {
		await t.run();
	}
}

const RECORD = {
	'phone-dark': ['camera', { viewport: { width: 320, height: 640 }, colorScheme: 'dark' }],
	'tablet-light': ['camera', { viewport: { width: 700, height: 900 }, colorScheme: 'light' }],
	'wide-dark': ['microphone', { viewport: { width: 1400, height: 900 }, colorScheme: 'dark' }],
};

const browser = await launch();
try {
	for (const [name, scene] of Object.entries(SCENES)) {
		if (name.includes(wanted)) await sceneShots(browser, name, scene);
	}
	for (const [name, [source, options]] of Object.entries(RECORD)) {
		if (`record-${name}`.includes(wanted)) await recordShots(browser, name, source, options);
	}
	console.log(`in ${dir}`);
} finally {
	await browser.close();
}
