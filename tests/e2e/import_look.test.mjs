// The import page in Chromium before the stand-in: what it does with files, folders and addresses that are given, refused, lost and given again.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { listen } from './support/desk.mjs';
import { filesOnDisk, openImport } from './support/importing.mjs';
import { launch } from './support/page.mjs';
import { startProxy } from './support/proxy.mjs';
import { finished, startStandin } from './support/standin.mjs';

const options = { timeout: 120_000 };
let browser;
before(async () => {
	browser = await launch({ shell: true });
});
after(() => browser?.close());

async function standin(t) {
	const server = await startStandin(t);
	server.batches.finish = (one) => finished(one);
	return server;
}

const byName = (server) => new Map([...server.takes.values()].map((one) => [one.name, one]));

function assertAll(server, files) {
	assert.equal(server.takes.size, files.length);
	const found = byName(server);
	for (const { name, data } of files) assert.ok(server.batches.dataOf(found.get(name).id).equals(data), name);
}

test('files are sent, become ready, and lead to their player; the same again changes nothing', options, async (t) => {
	const server = await standin(t);
	const files = filesOnDisk(t, 12);
	const one = await openImport(t, browser, server, { init: listen });
	await one.give(files);
	await one.counts(/^All 12 are ready/);
	assertAll(server, files);
	assert.match(await one.page.getByRole('link', { name: 'take-0003.webm' }).getAttribute('href'), /^\/play\/0199/);
	await one.give(files);
	await one.seen.until('#added', '12 were here already');
	assert.equal(server.takes.size, 12);
	await one.page.waitForFunction(() => window.said.some((said) => /All 12 are ready/.test(said)));
	assert.ok((await one.seen.said()).split('\n').length <= 5, 'the voice is not chatty');
	one.seen.clean();
});

test('a reload in the middle: the list comes back, files are asked for, and the same files go on', options, async (t) => {
	const server = await standin(t);
	const proxy = await startProxy(t, server);
	const files = filesOnDisk(t, 40);
	const one = await openImport(t, browser, proxy);
	server.batches.cutAfter = 7000;
	await one.give(files);
	await one.counts(/[1-9]\d* of 40 ready|under way/);
	await one.page.waitForFunction(() => document.querySelectorAll('.item[data-state=uploading]').length > 0);
	const id = one.batchId;
	await one.reload();
	await one.counts(/files needed/);
	assert.equal(one.batchId, id);
	await one.seen.until('#notices', 'Drop the same files or folders');
	proxy.cut();
	server.batches.cutAfter = null;
	await one.give(files);
	await one.seen.until('#added', 'go on where they were');
	await one.counts(/^All 40 are ready/);
	assertAll(server, files);
	one.seen.clean();
});

test('another visit without the address finds the last import; another import begins empty', options, async (t) => {
	const server = await standin(t);
	const one = await openImport(t, browser, server);
	await one.give(filesOnDisk(t, 2));
	await one.counts(/^All 2 are ready/);
	const id = one.batchId;
	await one.page.goto(`${server.url}/import`);
	await one.counts(/^All 2 are ready/);
	assert.equal(one.batchId, id);
	await one.page.getByRole('button', { name: 'Begin another import' }).click();
	await one.page.waitForURL(/new/);
	await one.seen.until('#earlier', '2 of 2 ready');
	assert.equal(await one.page.locator('#overview').isVisible(), false);
	await one.page.locator('#earlier a').click();
	await one.counts(/^All 2 are ready/);
});

test('folders that are dropped: files of the same name, size and date in two of them are two', options, async (t) => {
	const server = await standin(t);
	const one = await openImport(t, browser, server);
	await one.page.evaluate(() => {
		const file = (name, text) => new File([text], name, { lastModified: 1_700_000_000_000, type: 'audio/ogg' });
		const entry = (path, made) => ({ isFile: true, fullPath: path, file: (done) => done(made) });
		const folder = (path, entries) => ({ isFile: false, fullPath: path, createReader() {
			const left = [...entries];
			return { readEntries: (done) => done(left.splice(0, 1)) };
		} });
		const root = folder('/tour', [folder('/tour/a', [entry('/tour/a/1.ogg', file('1.ogg', 'first')), entry('/tour/a/.DS_Store', file('.DS_Store', 'x'))]),
			folder('/tour/b', [entry('/tour/b/1.ogg', file('1.ogg', 'other'))]), entry('/tour/empty.ogg', file('empty.ogg', ''))]);
		const event = new DragEvent('drop', { bubbles: true, cancelable: true });
		Object.defineProperty(event, 'dataTransfer', { value: { types: ['Files'], items: [{ kind: 'file', webkitGetAsEntry: () => root }], files: [] } });
		document.body.dispatchEvent(event);
	});
	await one.counts(/^All 2 are ready/);
	await one.seen.until('#added', 'tour/empty.ogg is empty');
	const found = byName(server);
	assert.deepEqual([...found.keys()].sort(), ['tour/a/1.ogg', 'tour/b/1.ogg']);
	assert.equal(server.batches.dataOf(found.get('tour/b/1.ogg').id).toString(), 'other');
});

test('addresses: once each, the wrong ones stay in the box, failed ones are tried again', options, async (t) => {
	const server = await standin(t);
	server.batches.finish = (one) => (one.name === 'bad.mp3' ? { ...one, phase: 'error', error: { code: 'source_failed', message: 'The source could not be reached.' } } : finished(one));
	const one = await openImport(t, browser, server);
	await one.fetch(['https://m.example/a.mp3', 'https://m.example/a.mp3', 'nonsense', 'https://m.example/bad.mp3']);
	await one.counts(/1 of 2 ready.*1 failed/);
	assert.equal(await one.page.locator('#urls').inputValue(), 'nonsense');
	await one.seen.until('#items', 'The source could not be reached.');
	server.batches.finish = (take) => finished(take);
	await one.page.getByRole('button', { name: 'Failed 1' }).click();
	assert.equal(await one.page.locator('.item').count(), 1);
	await one.page.getByRole('button', { name: 'Try again: bad.mp3' }).click();
	await one.page.waitForFunction(() => document.querySelector('.item') === null || !document.querySelector('.item[data-state=failed]'));
	one.seen.clean();
});

test('an import that is not there: what is dropped begins another', options, async (t) => {
	const server = await standin(t);
	const one = await openImport(t, browser, server, { path: '/import?batch=nothing' });
	await one.seen.until('#notices', 'no such import');
	await one.give(filesOnDisk(t, 2));
	await one.counts(/^All 2 are ready/);
	assert.notEqual(one.batchId, 'nothing');
	assert.equal(await one.page.locator('#notices .notice').count(), 0);
	one.seen.clean();
});

test('with the keyboard alone: an address is given, tried again, and its player found', options, async (t) => {
	const server = await standin(t);
	server.batches.finish = (one) => ({ ...one, phase: 'error', error: { code: 'source_failed', message: 'The source could not be reached.' } });
	const one = await openImport(t, browser, server);
	await one.seen.tabTo('urls');
	await one.page.keyboard.type('https://m.example/a.mp3');
	await one.seen.tabTo('Fetch them');
	await one.page.keyboard.press('Enter');
	await one.counts(/1 failed/);
	server.batches.finish = (take) => finished(take);
	await one.seen.tabTo('Try again: a.mp3');
	await one.page.keyboard.press('Enter');
	await one.page.waitForFunction(() => document.activeElement.id === 'items'); // the button is gone; the focus is near
	const [{ id }] = server.takes.values();
	server.change(id, { ...finished(server.takes.get(id)) });
	await one.counts(/It is ready/);
	await one.seen.tabTo('a.mp3');
	one.seen.clean();
});

test('10,000 items stay quick', options, async (t) => {
	const server = await standin(t);
	server.batches.put('many', Array.from({ length: 10_000 }, (_, i) => ({ key: `k${i}`, name: `Clip ${i}`, bytes: 10, phase: i % 7 === 0 ? 'error' : 'complete', upload: null,
		...(i % 7 === 0 ? { error: { code: 'x', message: 'Broken.' } } : {}) })));
	const one = await openImport(t, browser, server, { path: '/import?batch=many' });
	await one.counts(/of 10,000 ready/);
	assert.ok(await one.page.locator('.item').count() <= 100);
	const ms = await one.page.evaluate(async () => {
		const began = performance.now();
		document.querySelector('#filters button:nth-child(4)').click();
		await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
		return performance.now() - began;
	});
	t.diagnostic(`a filter over 10,000 items is drawn within ${Math.round(ms)} ms`);
	await one.page.getByRole('button', { name: 'Next' }).click();
	await one.seen.until('#pager-text', '101 to 200');
});
