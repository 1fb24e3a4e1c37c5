// A host in Chromium, on air over lost links, reloads, other hosts and a full disk. What was recorded is what the
// recorder emitted. What the pages say in states that a real server is seldom in stands in support/scenes_air.mjs.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { visit } from './support/desk.mjs';
import { diskOrSkip } from './support/disk.mjs';
import { launch, openPage, probe } from './support/page.mjs';
import { startProxy } from './support/proxy.mjs';
import { sharedServer, startServer, until } from './support/server.mjs';
import { mint } from './support/tokens.mjs';
import { api, hostWire, isSealed, recording, sessionId, wire } from './support/wire.mjs';

const server = sharedServer();
const options = { timeout: 120_000 };
let browser;
let shows = 0;
before(async () => {
	browser = await launch();
});
after(() => browser?.close());

const show = () => `page-${++shows}`;
const onAir = (page) => page.page.waitForSelector('body[data-air="air"]', { timeout: 60_000 });

/** The page of a show, which is on air by itself unless `idle`. */
async function host(t, at, name, { idle = false, ...more } = {}) {
	const page = await openPage(t, browser, at, { path: `/record?show=${name}`, ...more });
	page.page.on('dialog', (dialog) => dialog.accept());
	if (!idle) await onAir(page);
	return page;
}

const versions = async (at, name) => (await api(at, '/api/recordings')).body.items.filter((one) => one.show === name).sort((a, b) => a.version - b.version);

test('on air at once, recorded from the first byte, and off air by one button', options, async (t) => {
	const name = show();
	const page = await host(t, server, name);
	await page.untilText('link-text', /recorded as version 1/);
	assert.equal(await page.page.getByRole('button', { name: 'Pause' }).isVisible(), false);
	await page.untilSafe(20_000);
	assert.match(await page.page.title(), new RegExp(`^● .* ${name}`));
	const { state } = await page.finish(t, server);
	assert.deepEqual([state.show, state.version, state.revision], [name, 1, 1]);
	await page.untilText('link-text', /Off air\. Version 1 is saved/);
	assert.equal(await page.text('air-badge'), 'Off air');
	await page.page.reload(); // whoever has ended a show is not on air by a reload
	await page.untilText('air-before', /Press Go on air/);
	assert.equal((await versions(server, name)).length, 1);
	await page.page.click('#record');
	await onAir(page);
	await page.untilText('link-text', /recorded as version 2/);
});

test('links that drop: the page says how long the show waits, and all of it is one recording', options, async (t) => {
	const name = show();
	const proxy = await startProxy(t, server);
	const page = await host(t, proxy, name);
	await page.untilSafe(10_000);
	for (let drop = 0; drop < 2; drop++) {
		proxy.mode = 'refuse';
		proxy.cut();
		await page.untilText('link-text', /The show waits \d+ s for you/);
		assert.equal(await page.text('air-badge'), 'Link lost');
		await page.untilSafe(30_000 * (drop + 1), 'recorded');
		proxy.heal();
		await onAir(page);
	}
	await page.untilSafe(70_000);
	const { state } = await page.finish(t, server);
	assert.deepEqual([state.show, state.version, state.interrupted], [name, 1, false]);
	assert.equal((await versions(server, name)).length, 1);
});

test('a reload in the grace goes on by itself, as the next part of the same recording', options, async (t) => {
	const name = show();
	const page = await host(t, server, name);
	await page.untilSafe(20_000);
	await page.page.reload();
	await onAir(page);
	await page.untilText('part', /Part 2/);
	await page.untilSafe(40_000);
	await page.page.click('#stop');
	await page.until('state', 'saved');
	const [one, ...more] = await versions(server, name);
	assert.deepEqual(more, []);
	const { bytes } = await page.settled(t, server, one.id, { cut: true });
	await page.assertParts(t, bytes, { cut: [0] });
});

test('somebody else is on air: the page says so, and does not go on air by itself', options, async (t) => {
	const name = show();
	const other = await hostWire(t, server);
	await other.start({ show: name, sessionId: sessionId(), mime: 'audio/webm', token: mint(server, 'record', '--subject', 'other').token });
	const page = await host(t, server, name, { idle: true });
	await page.untilText('air-before', /other is on air with this show/);
	assert.equal((await versions(server, name)).length, 1);
	await page.page.click('#record');
	await page.untilText('error', /Somebody else is on air/);
	await page.until('state', 'failed');
	assert.equal(await page.page.locator('#takes li').count(), 0, 'nothing is left of it');
	other.send({ type: 'stop' });
	await other.next('stopped').catch(() => {});
	await page.untilText('air-before', /Press Go on air/);
	await page.page.click('#record');
	await onAir(page);
	await page.untilText('link-text', /recorded as version 2/);
});

test('taken over by another device of the same person: the page is off air and says so', options, async (t) => {
	const name = show();
	const page = await host(t, server, name);
	await page.untilSafe(10_000);
	const other = await hostWire(t, server);
	const { version } = await other.start({ show: name, sessionId: sessionId(), mime: 'audio/webm' });
	assert.equal(version, 2);
	await page.untilText('error', /has taken over this show/);
	assert.equal(await page.text('air-badge'), 'Off air');
});

test('the disk of the server is full: an alarm, the broadcast goes on, and the next version when there is space', options, async (t) => {
	const disk = diskOrSkip(t, 700);
	if (!disk) return;
	const own = await startServer(t, { dataDir: join(disk.path, 'data') });
	const name = show();
	const page = await host(t, own, name);
	await page.untilSafe(10_000);
	const ballast = join(disk.path, 'ballast');
	const free = Number(execFileSync('df', ['--output=avail', '-B1', disk.path]).toString().split('\n')[1]);
	execFileSync('fallocate', ['-l', String(free), ballast]);
	await page.page.waitForSelector('#air-alarm:not([hidden])', { timeout: 60_000 });
	await page.untilText('link-text', /On air\. It is not recorded/);
	assert.match(await page.text('air-alarm'), /The broadcast goes on/);
	rmSync(ballast);
	await page.untilText('air-again', /recorded again, as version 2/);
	await onAir(page);
	const safe = await page.text('safe');
	await page.page.waitForFunction((before) => document.getElementById('safe').textContent !== before, safe);
	await page.page.click('#stop');
	await page.until('state', 'saved');
	const all = await versions(own, name);
	assert.deepEqual(all.map(({ version }) => version), [1, 2]);
	const [first, second] = await Promise.all(all.map(({ id }) => recording(own, id)));
	assert.equal(first.phase, 'error');
	assert.ok(isSealed(second));
	const [before, after] = await Promise.all(all.map(async ({ id }) => (await api(own, `/api/recordings/${id}/original`)).bytes));
	const emitted = Buffer.concat([...page.parts.values()].flat());
	assert.ok(before.length > 0 && before.equals(emitted.subarray(0, before.length)), 'what was recorded until then stays');
	assert.equal(emitted.indexOf(after.subarray(-5000)), emitted.length - 5000, 'and it is recorded to the end');
	const streams = await probe(t, after);
	assert.ok(Number(streams[0].nb_read_frames) > 5, 'the next version plays by itself');
});

test('stopped on the desk: the host hears who did it, nobody listens any more, and the recording is a version', options, async (t) => {
	const name = show();
	const page = await host(t, server, name);
	await page.untilSafe(20_000);
	const desk = await visit(t, browser, `${server.url}/?show=${name}`);
	await desk.page.getByRole('button', { name: `Stop ${name}` }).click();
	await desk.page.getByRole('button', { name: 'End the show' }).click();
	await page.untilText('error', /ended from elsewhere/);
	await desk.page.locator(`[data-show="${name}"]`).waitFor({ state: 'detached' });
	await desk.until('#list', `${name}, version 1`);
	const [one] = await versions(server, name);
	assert.deepEqual([one.show, one.version, isSealed(one)], [name, 1, true]);
	assert.equal(await page.page.locator('#takes li').count(), 0);
	desk.clean();
});

/** Cuts the link, lets so much more be said, and waits until the show's grace is over. */
async function leftBehind(page, proxy, name, own) {
	await page.untilSafe(10_000);
	proxy.mode = 'refuse';
	proxy.cut();
	await page.untilSafe(40_000, 'recorded');
	await until(async () => (await api(own, `/api/shows/${name}`)).body.state === 'off', 30_000, 'off air');
}

/** Follows a show that is off air; what it returns tells the states that it was in since. */
async function statesOf(t, own, name) {
	const follower = await wire(t, own);
	follower.send({ type: 'subscribe', show: name });
	const { state } = await follower.next('status');
	await follower.next('subscribed');
	return () => [...new Set([state, ...follower.inbox.filter(({ type }) => type === 'status').map((one) => one.state)])];
}

test('ended while the link was lost, and the grace is over: the rest is recorded, and not broadcast', options, async (t) => {
	const own = await startServer(t, { args: ['--grace', '2s'] });
	const proxy = await startProxy(t, own);
	const name = show();
	const page = await host(t, proxy, name);
	await leftBehind(page, proxy, name, own);
	await page.page.click('#stop');
	await page.untilText('link-text', /off air by now/);
	const states = await statesOf(t, own, name);
	proxy.heal();
	const { id, state } = await page.finish(t, own, { stop: false });
	assert.deepEqual([state.show, state.version, state.revision], [name, 1, 2]);
	assert.deepEqual((await versions(own, name)).map((one) => one.id), [id]);
	assert.deepEqual(states(), ['off']);
});

test('what is left of a show is sent from the page of recordings, and does not go on air', options, async (t) => {
	const own = await startServer(t, { args: ['--grace', '2s'] });
	const proxy = await startProxy(t, own);
	const name = show();
	const page = await host(t, proxy, name);
	await leftBehind(page, proxy, name, own);
	const states = await statesOf(t, own, name);
	proxy.heal();
	await page.page.close();
	await page.visit(proxy, '/record');
	await page.page.getByText(`It was on air as “${name}”`).waitFor();
	assert.equal(await page.page.getByRole('button', { name: 'Go on' }).isVisible(), false);
	await page.page.getByRole('button', { name: 'Finish' }).click();
	const { bytes } = await page.settled(t, own, await page.savedRow(), { cut: true });
	await page.assertParts(t, bytes, { cut: [0] });
	assert.deepEqual(states(), ['off']);
});
