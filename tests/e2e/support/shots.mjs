// Screenshots of the recording page in its states, for people to look at: node shots.mjs DIR
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { launch, openPage } from './page.mjs';
import { startProxy } from './proxy.mjs';
import { startServer } from './server.mjs';
import { api, wire } from './wire.mjs';

const dir = process.argv[2] ?? 'tmp/shots';
mkdirSync(dir, { recursive: true });

const ends = [];
const t = { after: (end) => ends.push(end) };
const server = await startServer(t);
const browser = await launch();

async function states(name, source, options) {
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
	await page.context.close();
}

try {
	await states('phone-dark', 'camera', { viewport: { width: 320, height: 640 }, colorScheme: 'dark' });
	await states('tablet-light', 'camera', { viewport: { width: 700, height: 900 }, colorScheme: 'light' });
	await states('wide-dark', 'microphone', { viewport: { width: 1400, height: 900 }, colorScheme: 'dark' });
	console.log(`in ${dir}`);
} finally {
	await browser.close();
	for (const end of ends) await end();
}
