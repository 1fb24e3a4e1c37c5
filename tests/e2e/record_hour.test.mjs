// The pieces of a quarter of an hour (HOLDFAST_MINUTES=60: of an hour), as fast as the page takes them: the page's memory and what it keeps on the device stay flat, and the server has every byte.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { launch } from './support/page.mjs';
import { atEnd, sharedServer } from './support/server.mjs';
import { api, recording } from './support/wire.mjs';

const server = sharedServer();
const PIECES = Number(process.env.HOLDFAST_MINUTES ?? 10) * 240; // at 250 ms
const EARLY = 2_000;
const PIECE_BYTES = 4_000;
const GROWTH_MAX_BYTES = 3_000_000; // held pieces would be 6 MB, of an hour 50
let browser;
before(async () => {
	browser = await launch({ shell: true });
});
after(() => browser?.close());

/** A recorder that emits as fast as the page takes pieces off it, up to `window.emitUpTo`; nothing of it is kept. */
function quickRecorder(length) {
	window.emitUpTo = 0;
	window.emittedPieces = 0;
	window.MediaRecorder = class extends EventTarget {
		static isTypeSupported = () => true;
		state = 'inactive';
		mimeType = 'audio/webm;codecs=opus';

		start() {
			this.state = 'recording';
			this.timer = setInterval(() => this.step(), 4);
		}

		step() {
			if (window.emittedPieces < window.emitUpTo) this.emit(window.emittedPieces++);
		}

		emit(number) {
			const bytes = new Uint8Array(length).map((_, i) => (number * 31 + i * 7) & 255);
			this.dispatchEvent(Object.assign(new Event('dataavailable'), { data: new Blob([bytes]) }));
		}

		requestData() {}

		stop() {
			clearInterval(this.timer);
			this.state = 'inactive';
			this.dispatchEvent(new Event('stop'));
		}
	};
}

function digest(pieces) {
	const hash = createHash('sha256');
	for (let number = 0; number < pieces; number++)
		hash.update(new Uint8Array(PIECE_BYTES).map((_, i) => (number * 31 + i * 7) & 255));
	return hash.digest('hex');
}

test('pieces of long recordings: memory flat, nothing piles up on the device', { timeout: 240_000 }, async (t) => {
	const context = await browser.newContext();
	atEnd(t, () => context.close());
	const page = await context.newPage();
	await page.addInitScript(quickRecorder, PIECE_BYTES);
	await page.goto(`${server.url}/record`);
	await page.waitForSelector('body[data-state="idle"]');
	await page.click('#record');
	await page.waitForSelector('body[data-state="recording"]');
	const cdp = await context.newCDPSession(page);
	const measure = async (pieces) => {
		await page.evaluate((most) => {
			window.emitUpTo = most;
		}, pieces);
		await page.waitForFunction((most) => window.emittedPieces === most, pieces, { timeout: 200_000 });
		await page.waitForFunction(() => document.getElementById('safe').textContent === document.getElementById('recorded').textContent, null,
			{ timeout: 60_000 });
		await cdp.send('HeapProfiler.collectGarbage');
		const { usedSize, embedderHeapUsedSize = 0, backingStorageSize = 0 } = await cdp.send('Runtime.getHeapUsage');
		const { usage } = await page.evaluate(() => navigator.storage.estimate());
		return { heap: usedSize + embedderHeapUsedSize + backingStorageSize, usage };
	};
	const early = await measure(EARLY);
	const late = await measure(PIECES);
	t.diagnostic(`heap ${early.heap} → ${late.heap} B, on the device ${early.usage} → ${late.usage} B`);
	assert.ok(late.heap - early.heap < GROWTH_MAX_BYTES, `the heap grew from ${early.heap} to ${late.heap}`);
	assert.ok(late.usage < 10_000_000, `${late.usage} bytes are kept on the device`);
	await page.click('#stop');
	await page.waitForSelector('body[data-state="saved"]');
	const { body } = await api(server, '/api/recordings');
	const state = await recording(server, body.items[0].id);
	assert.equal(state.bytes, PIECES * PIECE_BYTES);
	assert.equal(state.sha256, digest(PIECES));
});
