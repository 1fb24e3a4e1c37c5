// The import page in Chromium before the real server: two hundred files and twenty addresses over cut links, a reload in the middle, the same
// files again; each is there once, byte for byte.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { filesOnDisk, openImport } from './support/importing.mjs';
import { launch } from './support/page.mjs';
import { startProxy } from './support/proxy.mjs';
import { sharedServer, startServer, until } from './support/server.mjs';
import { bytesOf, file, startSource } from './support/source.mjs';
import { mint } from './support/tokens.mjs';
import { api, assertOriginal, random } from './support/wire.mjs';

const options = { timeout: 300_000 };
const OPEN = ['--fetch-allow', '127.0.0.0/8', '--fetch-http'];
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);
const server = sharedServer({ args: OPEN, workers: 1 });
let browser;
before(async () => {
	browser = await launch({ shell: true, args: ['--host-resolver-rules=MAP rec.test 127.0.0.1'] });
});
after(() => browser?.close());

/** All of a batch’s items by their names. */
async function itemsOf(at, batchId) {
	const found = new Map();
	for (let before = ''; before !== null;) {
		const { body } = await api(at, `/api/recordings?batch=${batchId}${before === '' ? '' : `&before=${before}`}`);
		for (const one of body.items) {
			assert.ok(!found.has(one.name), `${one.name} is there twice`);
			found.set(one.name, one);
		}
		before = body.next ?? null;
	}
	return found;
}

const isReady = (n) => new RegExp(`^All ${n} are ready`);

test('200 files and 20 addresses over cut links, a reload, the same files again: each once', options, async (t) => {
	t.diagnostic(`HOLDFAST_SEED=${SEED}`);
	const chance = random(SEED);
	const sources = Array.from({ length: 20 }, (_, i) => bytesOf(30_000 + i, i + 1));
	const source = await startSource(t, (request, response) => file(sources[Number(/\d+/.exec(request.url)[0])], { mime: 'audio/x-unheard-of' })(request, response, 99));
	const files = filesOnDisk(t, 200, { seed: SEED, most: 300_000 });
	const proxy = await startProxy(t, server);
	const one = await openImport(t, browser, proxy);
	let over = false;
	let still = false; // while the page itself is loaded
	const cutting = (async () => {
		while (!over) {
			await new Promise((resolve) => setTimeout(resolve, 300 + chance() * 900)); // links that last so long
			if (!still) proxy.cut();
		}
	})();
	t.after(() => {
		over = true;
	});
	await one.give(files);
	await one.fetch(sources.map((_, i) => source.url(`/call-${i}.ogg`)));
	await one.counts(/of 220/);
	await until(async () => (await api(server, `/api/batches/${one.batchId}`)).body.ended > 20, 120_000, 'some are through');
	const { batchId } = one;
	still = true;
	await one.reload();
	still = false;
	await one.counts(/needed|ready/);
	assert.equal(one.batchId, batchId);
	await one.give(files.slice(0, 150));
	await one.give(files);
	await until(async () => {
		const { counts } = (await api(server, `/api/batches/${batchId}`)).body;
		return !(counts.uploading > 0);
	}, 180_000, 'all of it is on the server');
	over = true;
	await cutting;
	await one.counts(isReady(220), 180_000);
	const found = await itemsOf(server, batchId);
	assert.equal(found.size, 220);
	for (const { name, data } of files) await assertOriginal(server, found.get(name).id, data);
	for (const [i, data] of sources.entries()) await assertOriginal(server, found.get(`call-${i}.ogg`).id, data);
	assert.equal((await api(server, '/api/recordings?search=take-0007')).body.items.length, 1);
	one.seen.clean();
});

test('a server that is killed in the middle: it goes on by itself', options, async (t) => {
	const own = await startServer(t, { workers: 1 });
	const files = filesOnDisk(t, 60, { seed: SEED + 1, most: 2_000_000 });
	const one = await openImport(t, browser, own);
	await one.give(files);
	await until(async () => (await api(own, `/api/batches/${one.batchId}`)).body.counts.uploading < 40, 60_000, 'some are through');
	await own.kill();
	await one.seen.until('#notices', 'cannot be reached');
	await own.start();
	await one.counts(isReady(60), 120_000);
	const found = await itemsOf(own, one.batchId);
	for (const { name, data } of files) await assertOriginal(own, found.get(name).id, data);
	one.seen.clean();
});

test('the page goes away: addresses are fetched without it', options, async (t) => {
	const data = bytesOf(50_000, 3);
	const waits = [];
	const source = await startSource(t, (request, response, n) => waits.push(() => file(data, { mime: 'audio/x-unheard-of' })(request, response, n + 99)));
	const one = await openImport(t, browser, server);
	await one.fetch(Array.from({ length: 5 }, (_, i) => source.url(`/later-${i}`)));
	await until(() => waits.length > 0, 20_000, 'the server asks');
	const url = one.page.url();
	await one.seen.context.close();
	const open = setInterval(() => {
		for (const answer of waits.splice(0)) answer();
	}, 50);
	t.after(() => clearInterval(open));
	const again = await openImport(t, browser, { url: new URL(url).origin }, { path: new URL(url).pathname + new URL(url).search });
	await again.counts(isReady(5));
	const found = await itemsOf(server, again.batchId);
	for (let i = 0; i < 5; i++) await assertOriginal(server, found.get(`later-${i}`).id, data);
});

test('an address that may not be fetched, and one that is not there, say so; the second may be tried again', options, async (t) => {
	let there = false;
	const source = await startSource(t, (request, response) => (there ? file(bytesOf(1000), { mime: 'audio/x-unheard-of' })(request, response, 99) : response.writeHead(404).end()));
	const one = await openImport(t, browser, server);
	await one.fetch(['http://10.1.2.3/x.ogg', source.url('/gone.ogg')]);
	await one.counts(/2 failed/);
	await one.seen.until('#items', 'does not fetch from this address');
	await one.seen.until('#items', 'The source answered 404');
	there = true;
	await one.page.getByRole('button', { name: 'Try again: gone.ogg' }).click();
	await one.counts(/1 of 2 ready/);
});

test('elsewhere it asks for a token, and works with one that may import', options, async (t) => {
	const at = { url: `http://rec.test:${server.port}` };
	const one = await openImport(t, browser, at);
	await one.seen.until('#locked', 'From elsewhere it needs one');
	await one.page.fill('#token', mint(server, 'listen').token);
	await one.page.getByRole('button', { name: 'Open' }).click();
	await one.seen.until('#locked', 'does not allow importing');
	await one.page.fill('#token', mint(server, 'record').token);
	await one.page.getByRole('button', { name: 'Open' }).click();
	await one.page.locator('#locked').waitFor({ state: 'hidden' });
	await one.give(filesOnDisk(t, 3, { seed: SEED + 2 }));
	await one.counts(isReady(3));
	await one.page.evaluate((token) => localStorage.setItem('holdfast.token', token), mint(server, 'import').token);
	await one.page.goto(`${at.url}/import?new`);
	const files = filesOnDisk(t, 3, { seed: SEED + 3 });
	await one.give(files);
	await one.counts(isReady(3));
	const found = await itemsOf(server, one.batchId);
	for (const { name, data } of files) await assertOriginal(server, found.get(name).id, data);
	one.seen.clean();
});
