// web/pages/import_list.js, import_sender.js and words_import.js: what an import has, what is sent when, and what is said of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canRetry, ImportList, keyOfUrl, readUrls, safeBytes, stateOf } from '../../web/pages/import_list.js';
import { ImportSender } from '../../web/pages/import_sender.js';
import { addedSays, badSays, barOf, milestone, noticesOf, rowSays, totalSays } from '../../web/pages/words_import.js';
import { imports as texts } from '../../web/pages/texts.js';

const file = (name, size = 100, lastModified = 7) => ({ name, size, lastModified, type: 'video/webm' });
const given = (...files) => files.map((one) => (one.file ? one : { file: one, path: one.name }));
const recording = (key, fields = {}) => ({ id: `id-${key}`, key, name: key, phase: 'uploading', bytes: 0, fetch: null, upload: { length: 100, expiresAt: 1 }, error: null, lastError: null,
	attempt: 0, ...fields });
const acks = (items, more = {}) => items.map(({ key }) => ({ key, id: `id-${key}`, status: 'uploading', isNew: true, ...more }));

test('the same file is the same item, however it comes; another one is not', () => {
	const list = new ImportList();
	const { items, rows } = list.addFiles(given(file('a.webm'), file('b.webm')));
	assert.deepEqual(items.map(({ name, bytes, ext }) => [name, bytes, ext]), [['a.webm', 100, 'webm'], ['b.webm', 100, 'webm']]);
	assert.equal(rows.length, 2);
	assert.equal(list.addFiles(given(file('a.webm'))).known, 1);
	assert.equal(list.addFiles(given(file('a.webm', 101))).items.length, 1, 'another size');
	assert.equal(list.addFiles(given(file('a.webm', 100, 8))).items.length, 1, 'another date');
	assert.equal(list.addFiles([{ file: file('a.webm'), path: 'tour/a.webm' }]).known, 1, 'in its folder');
	const two = list.addFiles([{ file: file('1.webm'), path: 'x/1.webm' }, { file: file('1.webm'), path: 'y/1.webm' }]);
	assert.equal(new Set(two.items.map(({ key }) => key)).size, 2, 'two folders');
	assert.deepEqual(list.addFiles(given(file('nothing', 0))).empty, ['nothing']);
});

test('keys stay below what the server takes, and long names stay apart', () => {
	const list = new ImportList();
	const long = 'ü'.repeat(250);
	const { items } = list.addFiles(given(file(`${long}1.webm`), file(`${long}2.webm`)));
	assert.equal(new Set(items.map(({ key }) => key)).size, 2);
	const url = `https://example.org/${'x'.repeat(1900)}`;
	for (const key of [...items.map((item) => item.key), keyOfUrl(`${url}1`), keyOfUrl(`${url}2`)]) assert.ok(Buffer.byteLength(key) <= 200, `${Buffer.byteLength(key)}`);
	assert.notEqual(keyOfUrl(`${url}1`), keyOfUrl(`${url}2`));
	assert.notEqual(keyOfUrl(`https://a.example/${'x'.repeat(300)}`), keyOfUrl(`https://b.example/${'x'.repeat(300)}`));
	assert.ok(items.every(({ name }) => name.length <= 200));
});

test('addresses, one a line: what is none is said with its line', () => {
	const { urls, bad } = readUrls(' https://a.example/x%20y.mp3#t=1 \n\nb.example/z.mp3\nftp://c/d\nhttps://a b/\nhttp://\nHTTPS://A.example/x%20y.mp3\nhttps://a.example/' + 'l'.repeat(2000));
	assert.deepEqual(urls, [{ url: 'https://a.example/x%20y.mp3', name: 'x y.mp3' }, { url: 'https://a.example/x%20y.mp3', name: 'x y.mp3' }]);
	assert.deepEqual(bad.map(({ line, why }) => [line, why]), [[3, 'partial'], [4, 'scheme'], [5, 'broken'], [6, 'broken'], [8, 'long']]);
	assert.equal(badSays(bad).lines.length, 5);
	const list = new ImportList();
	const added = list.addUrls(urls);
	assert.deepEqual([added.items.length, added.known], [1, 1]);
	assert.deepEqual(readUrls('https://a.example').urls[0].name, 'a.example');
});

test('an item from its announcement to its end', () => {
	const list = new ImportList();
	const { items: [item] } = list.addFiles(given(file('a.webm')));
	const row = list.get(item.key);
	const seen = [stateOf(row)];
	const now = (change) => {
		change();
		seen.push(stateOf(row));
	};
	now(() => list.acked(acks([item])));
	now(() => {
		row.sent = { link: 'sending', bytes: 10 };
	});
	assert.deepEqual(list.totals().files, { bytes: 100, safe: 10 });
	assert.equal(list.totals().arrived, 0.1);
	now(() => {
		row.sent = { link: 'saved', bytes: 100 };
	});
	now(() => list.recording(recording(item.key, { phase: 'processing', bytes: 100, upload: null })));
	now(() => list.recording(recording(item.key, { phase: 'complete', bytes: 100, upload: null })));
	assert.deepEqual(seen, ['adding', 'turn', 'uploading', 'queued', 'processing', 'ready']);
	assert.deepEqual(list.totals().groups, { working: 0, missing: 0, failed: 0, ready: 1 });
	assert.equal(safeBytes(row), 100);
});

test('another visit: the list comes back in its order, asks for files, and takes the same ones', () => {
	const list = new ImportList();
	const key = new ImportList().addFiles(given(file('a.webm'))).items[0].key;
	const { items: [fresh] } = list.addFiles(given(file('new.webm')));
	list.loaded([recording('k3', { phase: 'complete' }), recording(key, { bytes: 40, name: 'a.webm' }), recording('k1', { fetch: 'now', sourceUrl: 'https://x/1', upload: null })]);
	assert.deepEqual(list.rows.map((row) => row.key), ['k1', key, 'k3', fresh.key]);
	assert.deepEqual(list.rows.map(stateOf), ['fetching', 'missing', 'ready', 'adding']);
	assert.equal(rowSays(list.get(key)).why, texts.why.missing('40 B'));
	const again = list.addFiles(given(file('a.webm')));
	assert.deepEqual([again.items.length, again.rows.length, stateOf(list.get(key))], [0, 1, 'turn']);
	list.recording(recording('k3', { phase: 'error', error: { code: 'x', message: 'Broken.' } }));
	list.loaded([recording('k3', { phase: 'complete' })], new Set(['k3']));
	assert.equal(stateOf(list.get('k3')), 'failed', 'what the link told is newer');
});

test('what is refused, and what may be tried again', () => {
	const list = new ImportList();
	const { items } = list.addUrls([{ url: 'https://x/1', name: '1' }, { url: 'https://x/2', name: '2' }]);
	list.acked([{ key: items[0].key, id: null, status: null, isNew: false, error: { code: 'url_refused', message: 'No.' } }]);
	assert.equal(rowSays(list.get(items[0].key)).why, texts.problem.url_refused);
	assert.equal(canRetry(list.get(items[0].key)), false);
	const failed = list.recording(recording(items[1].key, { fetch: 'now', phase: 'error', error: { code: 'source_gone', message: 'Gone.' } }));
	assert.deepEqual([rowSays(failed).why, canRetry(failed)], ['Gone.', true]);
	const sent = list.recording(recording('f'));
	sent.file = file('f');
	for (const resumable of [true, false]) {
		sent.sent = { link: 'stopped', bytes: 0, problem: { code: 'file_changed', message: '', resumable } };
		assert.deepEqual([stateOf(sent), canRetry(sent), rowSays(sent).why], ['stopped', resumable, texts.problem.file_changed]);
	}
	assert.equal(stateOf(list.recording(recording('d', { phase: 'deleted' }))), 'dropped');
});

/** An upload in a test's hand. */
class Upload {
	constructor(name, options) {
		Object.assign(this, { name, options });
	}

	onState(listener) {
		this.listener = listener;
		listener({ link: 'connecting', bytes: 0, done: false, failures: 0 });
	}

	end(link, problem = null) {
		this.listener({ link, bytes: 100, done: true, problem, failures: 0 });
	}
}

test('four files at a time; one that stops makes room, and goes on when it may', () => {
	const list = new ImportList();
	const uploads = [];
	const stopped = [];
	const sender = new ImportSender({ upload: (one, options) => {
		uploads.push(new Upload(one.name, options));
		return uploads.at(-1);
	}, onchange: () => {}, onstop: (row) => stopped.push(row.name) });
	const { items } = list.addFiles(given(...Array.from({ length: 6 }, (_, i) => file(`${i}.webm`))));
	const rows = list.acked(acks(items));
	rows[1].fresh = false;
	sender.add(rows);
	sender.add(rows);
	assert.deepEqual(uploads.map(({ name }) => name), ['0.webm', '1.webm', '2.webm', '3.webm']);
	assert.deepEqual(uploads.slice(0, 2).map(({ options }) => options.bytes), [0, null], 'only of new ones it is known that nothing is there');
	uploads[0].end('saved');
	assert.equal(rows[0].file, null, 'it is let go of');
	uploads[1].end('stopped', { code: 'unauthorized', resumable: true });
	assert.deepEqual([uploads.length, stopped, stateOf(rows[1])], [6, ['1.webm'], 'stopped']);
	sender.again(rows[1]);
	for (const upload of uploads.slice(2)) upload.end('saved');
	assert.deepEqual([uploads.at(-1).name, uploads.length], ['1.webm', 7]);
	uploads.at(-1).end('saved');
	assert.equal(sender.busy, false);
});

test('what is said of all of it', () => {
	const totals = (groups, states = {}, more = {}) => ({ groups: { working: 0, missing: 0, failed: 0, ready: 0, ...groups }, states,
		items: Object.values(groups).reduce((a, b) => a + b, 0), files: { bytes: 0, safe: 0 }, arrived: 0, ...more });
	assert.equal(totalSays(totals({ ready: 1000 })).title, 'All 1,000 are ready.');
	assert.equal(totalSays(totals({ ready: 1 })).title, 'It is ready.');
	const under = totalSays(totals({ ready: 1, working: 2, failed: 1 }, { uploading: 1, turn: 1 }));
	assert.deepEqual([under.title, under.parts, under.may, under.done], ['1 of 4 ready', ['2 under way', '1 failed'], texts.may.stay, false]);
	assert.equal(totalSays(totals({ working: 2 }, { fetching: 2 })).may, texts.may.leave);
	assert.equal(totalSays(totals({ missing: 1 })).may, '');
	assert.equal(totalSays(totals({ ready: 1, failed: 1 })).done, true);
	assert.deepEqual(barOf(totals({ ready: 1, working: 3 }, {}, { arrived: 1.5 })), [['ready', 0.25], ['failed', 0], ['missing', 0], ['working', 0.375]]);
	const none = totals({});
	const notices = (view, more = {}) => noticesOf({ view: { link: 'live', reason: null, ...view }, totals: none, held: null, now: 1000, gone: false, loadFailed: '', ...more }).map(({ text }) => text);
	assert.deepEqual(notices({}), []);
	assert.match(notices({ link: 'waiting', reason: 'network', retryAt: 4000 })[0], /cannot be reached.* in 3 s/);
	assert.match(notices({ link: 'stopped', reason: 'forbidden_scope' })[0], /does not allow/);
	assert.match(notices({ link: 'stopped', reason: 'not_found' }, { gone: true })[0], /no such import/);
	assert.match(notices({}, { held: 'storage_full' })[0], /full/);
	assert.match(notices({ reason: 'rate_limited' })[0], /so many/);
	assert.equal(addedSays({ items: [1], known: 2, goesOn: 1, empty: ['x'], unread: ['y'] }),
		'1 item was added. 1 file goes on where it was. 2 were here already. x is empty and was left out. y could not be read.');
	assert.equal(addedSays({}), texts.nothing);
	assert.deepEqual(milestone(totals({ ready: 5, working: 5 }), 1), { quarter: 2, text: texts.say.share(5, 10) });
	assert.equal(milestone(totals({ ready: 5, working: 5 }), 2).text, '');
});
