// The desk before the real server: what clients do is what it shows, over a kill and a restart.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { listen, visit } from './support/desk.mjs';
import { launch } from './support/page.mjs';
import { startServer, until } from './support/server.mjs';
import { media, recording, sessionId, wire } from './support/wire.mjs';

const options = { timeout: 120_000 };
let browser;
before(async () => {
	browser = await launch({ shell: true });
});
after(() => browser?.close());

async function desk(t, server) {
	const seen = await visit(t, browser, `${server.url}/`, { init: listen });
	await seen.live();
	return seen;
}

test('a take from its first byte to its end, a lost link, a rename and a deletion', options, async (t) => {
	const server = await startServer(t, { args: ['--grace', '3s'] });
	const seen = await desk(t, server);
	await seen.until('#empty', 'Nothing is recorded yet');
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId(), name: 'Piano' });
	await seen.row('Piano').waitFor();
	await seen.until('.take[data-kind="live"] .word', 'Recording');
	await seen.until('#working', '1 recording now');
	w.binary(media(1_500_000));
	await w.untilAcked(1_500_000);
	await seen.until('.take .size', '1.50 MB');
	w.send({ type: 'end', totalBytes: 1_500_000 });
	await w.next('saved');
	await seen.until('.take[data-kind="saved"] .word', 'Saved');
	await seen.until('#working', 'Nobody is recording');

	const other = await wire(t, server);
	await other.start({ sessionId: sessionId(), name: 'Violin' });
	other.binary(media(10_000));
	await other.untilAcked(10_000);
	await other.cut();
	await seen.until('.take[data-kind="lost"] .why', /0:0[0-3] left/);
	await seen.until('.take[data-kind="short"] .word', 'Saved, cut short');

	await seen.row('Piano').getByRole('button', { name: /^Rename/ }).click();
	await seen.page.keyboard.type('Grand piano');
	await seen.page.keyboard.press('Enter');
	await seen.row('Grand piano').waitFor();
	await until(async () => (await recording(server, id)).name === 'Grand piano', 5000, 'renamed on the server');
	const second = await desk(t, server);
	await second.row('Grand piano').waitFor();
	await seen.row('Grand piano').getByRole('button', { name: /^Delete/ }).click();
	await seen.page.getByRole('button', { name: 'Delete for good' }).click();
	await seen.row('Grand piano').waitFor({ state: 'detached' });
	await second.row('Grand piano').waitFor({ state: 'detached' });
	await until(async () => /Grand piano: deleted\./.test(await second.said()), 5000, 'the other desk says that it was deleted');
	seen.clean();
	second.clean();
});

test('the server is killed and started again: the desk says so and finds its place', options, async (t) => {
	const server = await startServer(t);
	for (let i = 0; i < 130; i++) {
		const w = await wire(t, server);
		await w.start({ sessionId: sessionId(), name: `Scene ${String(i).padStart(3, '0')}` });
		w.binary(media(1000));
		w.send({ type: 'end', totalBytes: 1000 });
		await w.next('saved');
		await w.close();
	}
	const seen = await desk(t, server);
	const { page } = seen;
	await page.getByRole('button', { name: 'Show older ones' }).click();
	await seen.until('#count', '130 in all');
	await seen.row('Scene 010').getByRole('button', { name: /^Rename/ }).click();
	await page.keyboard.type('Half a na');
	const scroll = await page.evaluate(() => scrollY);
	await server.kill();
	await seen.until('#banner', 'may be out of date');
	await server.start();
	await seen.live();
	await page.locator('#banner').waitFor({ state: 'hidden' });
	await seen.until('#count', '130 in all');
	assert.equal(await page.getByLabel('New name').inputValue(), 'Half a na');
	assert.ok(Math.abs(await page.evaluate(() => scrollY) - scroll) < 50, 'it is where it was');
	await page.locator('#search').fill('scene 12');
	await seen.until('#count', '10 found');
	seen.clean();
});
