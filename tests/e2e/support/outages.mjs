// What a recording has to survive, as tests that a test file makes over a door (doors.mjs): links that break, devices and servers that
// go away, pages, tabs and browsers that die. Each take ends as exactly the bytes that the recorders emitted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FINISH, GO_ON, kinds } from './page.mjs';
import { until } from './server.mjs';
import { RawTab } from './tab.mjs';
import { api, only, random, recording } from './wire.mjs';

const options = { timeout: 120_000 };
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);

const OUTAGES = {
	[`the camera over a link that is cut at random bytes (HOLDFAST_SEED=${SEED})`]: async (t, enter) => {
		const chance = random(SEED);
		const room = await enter(t, { proxied: true });
		const page = await room.open();
		await page.record('camera');
		for (let cuts = 0; cuts < 6; cuts++) {
			await room.proxy.cutAfter(1 + Math.floor(chance() * 60_000));
			await page.until('link', 'sending');
		}
		const { streams } = await page.finish(t, room.server);
		assert.deepEqual(kinds(streams), ['audio', 'video']);
	},

	'a half-open link': async (t, enter) => {
		const room = await enter(t, { args: ['--heartbeat', '1s'], proxied: true });
		const { server, proxy } = room;
		const page = await room.open();
		await page.record('camera');
		await page.untilSafe(50_000);
		proxy.mode = 'blackhole';
		await page.until('link', 'waiting', 'connecting');
		proxy.heal();
		await page.until('link', 'sending');
		await page.finish(t, server);
	},

	'the server is killed and started again, three times': async (t, enter) => {
		const room = await enter(t);
		const { server } = room;
		const page = await room.open();
		await page.record('camera');
		for (let kills = 1; kills <= 3; kills++) {
			await page.untilSafe(kills * 60_000);
			await server.kill();
			await page.until('link', 'waiting', 'connecting');
			await server.start();
			await page.until('link', 'sending');
		}
		await page.finish(t, server);
	},

	'the microphone is not allowed, or there is none: the page says what to do': async (t, enter) => {
		const room = await enter(t);
		const page = await room.open({ allow: false });
		await page.page.click('#record');
		await page.page.waitForSelector('#error:not([hidden])');
		assert.match(await page.text('error'), /may not use the microphone. Allow it/);
		assert.equal(await page.page.isEnabled('#record'), true);
		const none = await room.open({ init: [() => {
			navigator.mediaDevices.getUserMedia = async () => {
				throw new DOMException('Requested device not found', 'NotFoundError');
			};
		}] });
		await none.page.click('#record');
		await none.untilText('error', /No microphone was found/);
	},

	'a microphone that is unplugged: nothing is lost, and it goes on as the next part': async (t, enter) => {
		const room = await enter(t);
		const { server } = room;
		const page = await room.open({ allow: false, permissions: ['microphone'] });
		await page.record('microphone');
		await page.untilSafe(10_000);
		await page.context.clearPermissions();
		await page.until('state', 'interrupted');
		assert.match(await page.text('error'), /The microphone is gone/);
		assert.equal(await page.page.evaluate(() => document.activeElement.id), 'go-on');
		await page.page.click('#go-on');
		await page.untilText('error', /may not use the microphone/);
		await page.until('state', 'interrupted');
		await page.context.grantPermissions(['microphone']);
		await page.page.click('#go-on');
		await page.until('state', 'recording');
		assert.equal(await page.text('part'), 'Part 2 of this take');
		await page.untilSafe(30_000);
		await page.page.click('#stop');
		await page.until('state', 'saved');
		const id = (await page.page.getAttribute('#original', 'href')).replace('/play/', '');
		const { bytes } = await api(server, `/api/recordings/${id}/original`);
		assert.equal((await page.assertParts(t, bytes)).length, 2);
		assert.equal((await recording(server, id)).revision, 1);
	},

	'a reload while it records, with the server away: offered, sent, gone on with as the next part': async (t, enter) => {
		const room = await enter(t, { proxied: true });
		const { server, proxy } = room;
		const page = await room.open();
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
		const { bytes: first } = await only(server);
		assert.ok(first >= 40_000);
		await page.page.click(GO_ON);
		await page.until('state', 'recording');
		assert.equal(await page.text('part'), 'Part 2 of this take');
		await page.untilSafe(first + 20_000);
		await page.page.click('#stop');
		await page.until('state', 'saved');
		const take = await only(server);
		const { bytes } = await page.settled(t, server, take.id, { cut: true });
		await page.assertParts(t, bytes, { cut: [0] });
	},

	'the tab crashes; the next visit says whose it is and finishes it': async (t, enter) => {
		const room = await enter(t);
		const { server } = room;
		const page = await room.open();
		await page.record('camera');
		await page.untilSafe(100_000);
		const crashed = page.page.waitForEvent('crash');
		page.page.goto('chrome://crash').catch(() => {});
		await crashed;
		await page.visit(room.at);
		await page.page.waitForSelector(FINISH);
		assert.match(await page.page.textContent('#takes h3'), /^Your take from today \d\d:\d\d, /);
		await page.page.click(FINISH);
		const id = await page.savedRow();
		const { bytes } = await page.settled(t, server, id, { cut: true });
		await page.assertParts(t, bytes, { cut: [0] });
	},

	'the browser is killed with the server away, and started again; gone on with, killed again, finished': async (t, enter) => {
		const room = await enter(t, { proxied: true });
		const { server, proxy } = room;
		const profile = await room.profile();
		const page = await profile.open(proxy, undefined, { path: await room.path() });
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
		await until(async () => (await only(server)).bytes > 250_000, 20_000, `the rest is sent by itself; ${before} were safe`);
		await page.page.click(GO_ON);
		await page.until('state', 'recording');
		await page.untilSafe(400_000);
		await profile.kill();
		await profile.start();
		await profile.open(proxy, page);
		await page.page.waitForSelector(FINISH);
		await page.page.click(FINISH);
		const { bytes } = await page.settled(t, server, await page.savedRow(), { cut: true });
		await page.assertParts(t, bytes, { cut: [0, 1] });
	},

	'two tabs: the second one names the first, and takes over when that is gone': async (t, enter) => {
		const room = await enter(t);
		const { server } = room;
		const page = await room.open();
		await page.record('microphone');
		await page.untilSafe(10_000);
		const first = page.page;
		await page.visit(room.at);
		await page.page.waitForSelector('#takes li[data-link="elsewhere"]');
		assert.match(await page.page.textContent('#takes li'), /Another tab of this browser works on it/);
		assert.equal(await page.page.isVisible(GO_ON), false);
		assert.equal(await page.page.isVisible(FINISH), false);
		assert.equal((await only(server)).attached, true);
		const bytes = await first.textContent('#safe');
		await first.waitForFunction((text) => document.getElementById('safe').textContent !== text, bytes);
		assert.equal(await first.getAttribute('body', 'data-state'), 'recording', 'undisturbed');
		await first.close();
		await page.page.waitForSelector(FINISH, { timeout: 20_000 });
		await page.page.click(FINISH);
		const { bytes: all } = await page.settled(t, server, await page.savedRow(), { cut: true });
		await page.assertParts(t, all, { cut: [0] });
	},

	'a tab in the background records on, and says so when it is seen again; frozen, it loses nothing': async (t, enter) => {
		const room = await enter(t);
		const { server } = room;
		const profile = await room.profile();
		const tab = await RawTab.open(t, profile.port, `${room.at.url}${await room.path()}`);
		const other = await RawTab.open(t, profile.port, 'about:blank');
		await tab.activate();
		await tab.until(`document.body.dataset.state === 'idle' && !document.getElementById('record').disabled`);
		await tab.evaluate(`document.getElementById('record').click()`);
		await tab.until(`document.body.dataset.state === 'recording'`);
		await tab.until(`/kB/.test(document.getElementById('safe').textContent)`);
		await other.activate();
		await tab.until(`document.visibilityState === 'hidden'`);
		await tab.until(`/in the background. It records on/.test(document.getElementById('notices').textContent)`);
		const { bytes: before } = await only(server);
		await until(async () => (await only(server)).bytes > before + 20_000, 30_000, 'it goes on in the background');
		await tab.send('Page.setWebLifecycleState', { state: 'frozen' });
		await new Promise((resolve) => setTimeout(resolve, 4000)); // as long as it is frozen; there is nothing to wait for
		await tab.send('Page.setWebLifecycleState', { state: 'active' });
		await tab.activate();
		await tab.until(`document.visibilityState === 'visible'`);
		await tab.until(`/was in the background for \\d+ s/.test(document.getElementById('notices').textContent)`);
		await tab.evaluate(`document.getElementById('stop').click()`);
		await tab.until(`document.body.dataset.state === 'saved'`);
		const { id } = await only(server);
		const emitted = await tab.evaluate(`new Blob(window.emitted).arrayBuffer().then(async (bytes) => ({ bytes: bytes.byteLength, sha256:
			Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)), (b) => b.toString(16).padStart(2, '0')).join('') }))`);
		const state = await recording(server, id);
		assert.equal(state.bytes, emitted.bytes);
		assert.equal(state.sha256, emitted.sha256);
	},
};

/** Makes the tests over this door: its share, by turns with the other one; HOLDFAST_OUTAGES=all makes them all over both. */
export function outages(enter, door) {
	const all = process.env.HOLDFAST_OUTAGES === 'all';
	for (const [i, [name, run]] of Object.entries(OUTAGES).entries()) {
		if (all || i % 2 === door) test(name, options, (t) => run(t, enter));
	}
}
