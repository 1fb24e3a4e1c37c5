// @holdfast/client in Chromium, on the device's real stores: what was kept survives, one tab owns a take, a full device loses nothing.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Profile, barePage, bytesOf, launchBare, startBare } from './support/bare.mjs';
import { sharedServer, startServer, until } from './support/server.mjs';
import { api, recording } from './support/wire.mjs';

const server = sharedServer();
const options = { timeout: 120_000 };
let browser;
before(async () => {
	browser = await launchBare();
});
after(() => browser?.close());

async function original(at, id) {
	const { bytes } = await api(at, `/api/recordings/${id}/original`);
	return Buffer.from(bytes);
}

async function openContext(t) {
	const context = await browser.newContext();
	t.after(() => context.close());
	return context;
}

/** The server has noted that parts begin there, and nowhere else. It writes that into the take's folder when it stops. */
async function assertParts(at, id, ...begins) {
	await at.stop();
	const { tracks } = JSON.parse(readFileSync(join(at.dataDir, 'spool', id, 'recording.json'), 'utf8'));
	assert.deepEqual(tracks[0].parts, begins);
}

/** What the server has is these bytes: [seed, length] after each other. */
async function assertTake(at, id, ...pieces) {
	const bytes = await original(at, id);
	const wanted = Buffer.concat(pieces.map(([seed, length]) => bytesOf(seed, 0, length)));
	assert.equal(bytes.length, wanted.length);
	assert.ok(bytes.equals(wanted), 'the bytes are those that were written');
}

const STORES = [['opfs', (bare) => bare.url], ['indexeddb', (bare) => bare.url], ['plain http', (bare) => bare.plainUrl], ['memory', (bare) => bare.url]];

for (const [name, urlOf] of STORES) {
	const stores = name === 'plain http' ? undefined : [name];
	const kind = name === 'plain http' ? 'indexeddb' : name;

	test(`${name}: a take over a link that drops, and an empty device after it`, options, async (t) => {
		const bare = await startBare(t, server);
		const page = await barePage(await openContext(t), urlOf(bare), { stores });
		assert.equal(page.keptIn, kind);
		await page.evaluate(() => begin());
		await page.evaluate(() => write(1, 0, 700_000));
		bare.cut('pass');
		await page.evaluate(() => write(1, 700_000, 1_500_000));
		bare.cut();
		await page.evaluate(() => write(1, 1_500_000, 3_000_000));
		const offline = await page.evaluate(() => take.state);
		assert.equal(offline.emittedBytes, 3_000_000);
		assert.equal(offline.keptBytes, kind === 'memory' ? offline.safeBytes : 3_000_000);
		const copy = await page.evaluate(async () => {
			const { from, bytes, blob } = await take.localCopy();
			const got = new Uint8Array(await (await blob()).arrayBuffer());
			return { from, bytes, right: got.length === bytes && bytesOf(1, from, bytes).every((byte, i) => byte === got[i]) };
		});
		assert.ok(copy.right && copy.from + copy.bytes === 3_000_000 && copy.from <= offline.safeBytes, JSON.stringify(copy));
		bare.heal();
		const state = await page.evaluate(() => finish());
		assert.equal(state.link, 'saved', JSON.stringify(state));
		assert.equal(state.safeBytes, 3_000_000);
		await assertTake(server, state.id, [1, 3_000_000]);
		assert.deepEqual(await page.evaluate(() => client.unfinished()), []);
		if (kind === 'opfs') assert.deepEqual(await page.evaluate(() => folders()), []);
	});

	if (kind === 'memory') continue;

	test(`${name}: a reload without a link; the take goes on as its next part`, options, async (t) => {
		const own = await startServer(t);
		const bare = await startBare(t, own);
		const page = await barePage(await openContext(t), urlOf(bare), { stores });
		const id = await page.evaluate(() => begin());
		await page.evaluate(() => write(1, 0, 400_000));
		bare.cut();
		await page.evaluate(() => write(1, 400_000, 900_000));
		await page.reload();
		await page.waitForFunction(() => window.ready);
		await page.evaluate((given) => open(given), { stores });
		const [found, ...none] = await page.evaluate(() => client.unfinished());
		assert.deepEqual(none, []);
		assert.equal(found.sessionId, id);
		assert.equal(found.keptBytes, 900_000);
		assert.equal(found.name, 'bare');
		assert.equal(found.ended, false);
		assert.equal(found.owner, null);
		await page.evaluate(async (sessionId) => {
			window.take = await client.resume(sessionId);
			take.part({ mime: 'audio/webm', ext: 'webm' });
			await write(2, 0, 300_000); // while bytes of the first part are still to be sent
		}, id);
		bare.heal();
		await page.evaluate(() => write(2, 300_000, 500_000));
		const state = await page.evaluate(() => finish());
		assert.equal(state.link, 'saved', JSON.stringify(state));
		await assertTake(own, state.id, [1, 900_000], [2, 500_000]);
		await assertParts(own, state.id, 900_000);
	});
}

test('a crashed tab: the next one finds the take and sends the rest', options, async (t) => {
	const bare = await startBare(t, server);
	const context = await openContext(t);
	const page = await barePage(context, bare.url);
	const id = await page.evaluate(() => begin());
	bare.cut();
	await page.evaluate(() => write(3, 0, 1_200_000));
	const crashed = page.waitForEvent('crash');
	page.goto('chrome://crash').catch(() => {});
	await crashed;
	const next = await barePage(context, bare.url);
	bare.heal();
	const state = await next.evaluate(async (sessionId) => {
		window.take = await client.resume(sessionId);
		return finish();
	}, id);
	assert.equal(state.link, 'saved', JSON.stringify(state));
	await assertTake(server, state.id, [3, 1_200_000]);
});

for (const store of ['opfs', 'indexeddb']) {
	test(`${store}: kill -9 of the browser while it writes; the same profile has all that was called kept`, options, async (t) => {
		const own = await startServer(t);
		const bare = await startBare(t, own);
		const profile = new Profile(t);
		const page = await barePage(await profile.launch(), bare.url, { stores: [store] });
		const id = await page.evaluate(() => begin());
		await page.evaluate(() => write(4, 0, 200_000));
		await page.evaluate(() => until(({ safeBytes }) => safeBytes === 200_000));
		bare.cut();
		let kept = 0;
		await page.exposeFunction('keptIs', (bytes) => {
			kept = bytes;
		});
		page.evaluate(async () => {
			take.onState(({ keptBytes }) => keptIs(keptBytes));
			for (let at = 200_000; ; at += 10_000) await write(4, at, at + 10_000, 5_000);
		}).catch(() => {});
		while (kept < 1_000_000) await new Promise((resolve) => setTimeout(resolve, 5));
		await profile.kill();
		const told = kept;
		bare.heal();
		const again = await barePage(await profile.launch(), bare.url, { stores: [store] });
		const [found] = await again.evaluate(() => client.unfinished());
		assert.equal(found.sessionId, id);
		assert.ok(found.keptBytes >= told, `${found.keptBytes} of ${told} bytes that were called kept`);
		const state = await again.evaluate(async (sessionId) => {
			window.take = await client.resume(sessionId);
			take.part();
			await write(5, 0, 100_000);
			return finish();
		}, id);
		assert.equal(state.link, 'saved', JSON.stringify(state));
		await assertTake(own, state.id, [4, found.keptBytes], [5, 100_000]);
		await assertParts(own, state.id, found.keptBytes);
	});
}

for (const [name, urlOf] of STORES.slice(0, 3).filter(([kind]) => kind !== 'indexeddb')) {
	test(`${name}: two tabs; the second waits and takes over when the first goes`, options, async (t) => {
		const bare = await startBare(t, server);
		const context = await openContext(t);
		const first = await barePage(context, urlOf(bare));
		const second = await barePage(context, urlOf(bare));
		const id = await first.evaluate(() => begin());
		await first.evaluate(() => write(6, 0, 100_000));
		const [seen] = await second.evaluate(() => client.unfinished());
		assert.equal(seen.owner, 'other');
		const link = await second.evaluate(async (sessionId) => {
			window.take = await client.resume(sessionId);
			return take.state.link;
		}, id);
		assert.equal(link, 'standby');
		await assert.rejects(second.evaluate(() => write(7, 0, 10)), /busy/);
		await assert.rejects(second.evaluate((sessionId) => client.discard(sessionId), id), /busy/);
		bare.cut();
		await first.evaluate(() => write(6, 100_000, 600_000));
		assert.equal(await second.evaluate(() => take.state.link), 'standby');
		await first.close();
		await second.evaluate(() => until((state) => state.link !== 'standby'));
		bare.heal();
		const state = await second.evaluate(() => finish());
		assert.equal(state.link, 'saved', JSON.stringify(state));
		await assertTake(server, state.id, [6, 600_000]);
	});
}

for (const store of ['opfs', 'indexeddb']) {
	test(`${store}: a full device: recording goes on in memory, and all of it arrives`, options, async (t) => {
		const bare = await startBare(t, server);
		const context = await new Profile(t).launch();
		const cdp = await context.newCDPSession(await context.newPage());
		// before the stores are opened: Chromium remembers for half a minute how much room IndexedDB has
		await cdp.send('Storage.overrideQuotaForOrigin', { origin: bare.url.slice(0, -1), quotaSize: 1_500_000 });
		const page = await barePage(context, bare.url, { stores: [store], memoryLimitBytes: 6_000_000 });
		await page.evaluate(() => begin());
		await page.evaluate(() => write(8, 0, 500_000));
		await page.evaluate(() => until(({ safeBytes }) => safeBytes === 500_000));
		bare.cut();
		await page.evaluate(() => write(8, 500_000, 4_000_000));
		const full = await page.evaluate(() => take.state);
		assert.equal(full.deviceFull, true);
		assert.equal(full.emittedBytes, 4_000_000);
		assert.ok(full.memoryBytes > 0 && full.keptBytes === 4_000_000 - full.memoryBytes, JSON.stringify(full));
		await assert.rejects(page.evaluate(() => write(9, 0, 8_000_000, 1_000_000)), /memory_full/);
		assert.equal(await page.evaluate(() => take.state.writeRefused), 'memory_full');
		bare.heal();
		const state = await page.evaluate(() => finish());
		assert.equal(state.link, 'saved', JSON.stringify(state));
		const bytes = await original(server, state.id);
		assert.ok(bytes.subarray(0, 4_000_000).equals(bytesOf(8, 0, 4_000_000)));
		assert.ok(bytes.subarray(4_000_000).equals(bytesOf(9, 0, bytes.length - 4_000_000)), 'what was taken before the refusal, without a gap');
	});
}

test('a server that has forgotten the take: nothing is thrown away, and the copy on this device can be had', options, async (t) => {
	const own = await startServer(t);
	const bare = await startBare(t, own);
	const page = await barePage(await openContext(t), bare.url);
	const id = await page.evaluate(() => begin());
	await page.evaluate(() => write(1, 0, 6_000_000, 200_000));
	await page.evaluate(() => until(({ safeBytes }) => safeBytes === 6_000_000));
	bare.cut();
	await page.evaluate(() => write(1, 6_000_000, 7_000_000));
	const other = await startServer(t);
	bare.server = other;
	bare.heal();
	const state = await page.evaluate(() => until(({ link }) => link === 'stopped'));
	assert.equal(state.problem.code, 'position_conflict');
	await page.evaluate(() => write(1, 7_000_000, 7_300_000)); // the recorder's last bytes
	const copy = await page.evaluate(async () => {
		const { from, bytes, stream } = await take.localCopy();
		let at = from;
		for (const reader = stream().getReader(); ;) {
			const { done, value } = await reader.read();
			if (done) break;
			const wanted = bytesOf(1, at, value.length);
			if (!value.every((byte, i) => byte === wanted[i])) return 'wrong';
			at += value.length;
		}
		return { from, bytes, to: at };
	});
	assert.ok(copy.from > 0 && copy.from <= 6_000_000 && copy.to === 7_300_000 && copy.bytes === copy.to - copy.from, JSON.stringify(copy));
	const [listed] = await page.evaluate(() => client.unfinished());
	assert.equal(listed.problem.code, 'position_conflict');
	await page.evaluate(() => take.release());
	await page.evaluate((sessionId) => client.discard(sessionId), id);
	assert.deepEqual(await page.evaluate(() => client.unfinished()), []);
	assert.deepEqual(await page.evaluate(() => folders()), []);
});

for (const [name, urlOf] of STORES.filter(([kind]) => kind === 'opfs' || kind === 'plain http')) {
	test(`${name}: a file is sent, over a cut and a reload`, options, async (t) => {
		const bare = await startBare(t, server);
		const page = await barePage(await openContext(t), urlOf(bare));
		await page.evaluate(async () => {
			const pieces = Array.from({ length: 20 }, (_, i) => bytesOf(2, i * 1_000_000, 1_000_000));
			window.take = await client.sendFile(new File(pieces, 'IMG_1.MOV', { type: 'video/quicktime', lastModified: 5 }));
			await until(({ safeBytes }) => safeBytes > 2_000_000);
		});
		bare.cut();
		await page.reload();
		await page.waitForFunction(() => window.ready);
		await page.evaluate(() => open());
		const [found] = await page.evaluate(() => client.unfinished());
		assert.equal(found.file, 'IMG_1.MOV');
		assert.equal(found.ended, true);
		bare.heal();
		const state = await page.evaluate(async (sessionId) => {
			window.take = await client.resume(sessionId);
			return take.whenDone();
		}, found.sessionId);
		assert.equal(state.link, 'saved', JSON.stringify(state));
		assert.equal(state.keptIn, 'file');
		await assertTake(server, state.id, [2, 20_000_000]);
		assert.deepEqual(await page.evaluate(() => client.unfinished()), []);
	});
}

test('thrown away without a link: the server hears of it at the next visit', options, async (t) => {
	const bare = await startBare(t, server);
	const page = await barePage(await openContext(t), bare.url);
	await page.evaluate(() => begin());
	await page.evaluate(() => write(1, 0, 100_000));
	const { id } = await page.evaluate(() => until(({ safeBytes }) => safeBytes === 100_000));
	bare.cut();
	await page.evaluate(() => take.abort('the user threw it away'));
	assert.deepEqual(await page.evaluate(() => client.unfinished()), []);
	await page.reload();
	await page.waitForFunction(() => window.ready);
	bare.heal();
	await page.evaluate(() => open());
	await until(async () => (await recording(server, id)).phase === 'aborted', 20_000, 'the end of the take');
	await until(async () => (await page.evaluate(() => folders())).length === 0, 5_000, 'an empty device');
});

test('100 MB recorded: disk and memory stay flat', options, async (t) => {
	const bare = await startBare(t, server);
	const page = await barePage(await openContext(t), bare.url);
	await page.evaluate(() => begin());
	const cdp = await page.context().newCDPSession(page);
	await cdp.send('Performance.enable');
	const piece = 250_000;
	const figures = [];
	for (let round = 0; round < 10; round++) {
		figures.push(await page.evaluate(async ([from, size]) => {
			const bytes = new Uint8Array(size);
			for (let i = 0; i < 40; i++) await take.write(new Blob([bytes]));
			await until(({ safeBytes, emittedBytes }) => safeBytes === emittedBytes);
			return { used: (await navigator.storage.estimate()).usage, memory: take.state.memoryBytes, unsent: take.state.unsentBytes };
		}, [round * 40 * piece, piece]));
	}
	assert.ok(figures.every(({ memory, unsent }) => memory === 0 && unsent === 0));
	assert.ok(Math.max(...figures.map(({ used }) => used)) < 4_000_000, JSON.stringify(figures));
	await cdp.send('HeapProfiler.collectGarbage');
	const { metrics } = await cdp.send('Performance.getMetrics');
	const heap = metrics.find(({ name }) => name === 'JSHeapUsedSize').value;
	assert.ok(heap < 10_000_000, `${heap} bytes of heap`);
	assert.equal((await page.evaluate(() => finish())).safeBytes, 100_000_000);
});
