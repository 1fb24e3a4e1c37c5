// The desk in Chromium, before a stand-in for the server that can be put into any state at once.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { listen, visit } from './support/desk.mjs';
import { launch } from './support/page.mjs';
import { finished, ready, recordingNow, startStandin, take } from './support/standin.mjs';
import { until } from './support/server.mjs';

const options = { timeout: 60_000 };
let browser;
before(async () => {
	browser = await launch({ shell: true });
});
after(() => browser?.close());

async function desk(t, takes = [], more = {}) {
	const server = await startStandin(t);
	server.put(...takes);
	more.prepare?.(server);
	const seen = await visit(t, browser, `${server.url}/${more.query ?? ''}`, { init: listen, ...more.context });
	if (more.live !== false) await seen.live();
	return { server, seen, page: seen.page };
}

const names = (page) => page.locator('.take .name').allInnerTexts();

test('every state in words: who, how much, since when, why', options, async (t) => {
	const { seen } = await desk(t, [
		take({ name: 'Thrown', phase: 'aborted', owner: 'phone-1' }),
		take({ name: 'Broken', phase: 'error', error: { code: 'checksum_mismatch', message: 'The bytes differ from their checksum.' } }),
		take({ name: 'Short', interrupted: true }),
		ready({ name: 'Whole', bytes: 24_300_000, mime: 'audio/webm', revision: 2, warnings: [{ code: 'truncated', message: 'The end is missing.' }] }),
		take({ name: 'Both', tracks: ['video', 'audio'].map((track) => ({ track, bytes: 1, attached: false, sealed: true })) }),
		take({ name: 'Working', phase: 'processing', attempt: 2, progress: 0.409, lastError: { code: 'worker_died', message: 'The worker died.' } }),
		take({ name: 'Waiting for it' }),
		take({ name: 'Recovering', attempt: 1, lastError: { code: 'worker_died', message: 'The worker died.' } }),
		take({ name: 'Given up', phase: 'error', attempt: 3, error: { code: 'worker_died', message: 'All 3 attempts failed; the last one: The worker died.' } }),
		take({ name: 'Call', phase: 'uploading', revision: 0, bytes: 0, fetch: 'on_demand' }),
		take({ name: 'Fetched', phase: 'uploading', revision: 0, bytes: 1000, fetch: 'now', attempt: 1, progress: 0.25 }),
		recordingNow({ name: 'Away', attached: false }),
		recordingNow({ name: 'Lost', attached: false, graceLeftMs: 24_900, owner: 'phone-2' }),
		recordingNow({ name: 'Now', owner: 'phone-3', bytes: 1_250_000, createdAt: Date.now() - 60_000 }),
	]);
	const says = async (name, ...patterns) => {
		const text = (await seen.row(name).innerText()).replace(/\s+/g, ' ');
		for (const pattern of patterns) assert.match(text, pattern, name);
	};
	await says('Now', /Recording/, /from phone-3 · video/, /1\.25 MB/, /· 1:0\d/);
	await says('Lost', /Link lost/, /0:2\d left for its sender to come back/);
	await says('Away', /Waiting/, /may go on at any time/);
	await says('Whole', /Ready/, /24\.3 MB/, /audio · 3:12 · version 2/, /\d\d:\d\d/, /The end is missing/, /Play Download Original/);
	await says('Both', /2 tracks/, /Original video/, /Original audio/);
	await says('Working', /Saved/, /Being finished: 40 %, attempt 2\/3\. The attempt before failed: The worker died\./, /Play Original Rename/);
	await says('Waiting for it', /Saved/, /Waits to be finished/);
	await says('Recovering', /Attempt 1\/3 failed: The worker died\. It is tried again\./);
	await says('Given up', /Failed/, /All 3 attempts failed; the last one: The worker died\./, /Try again/);
	await says('Call', /Not fetched yet/, /when somebody first plays it/);
	await says('Fetched', /Being fetched: 25 %/);
	await says('Short', /Saved, cut short/, /the recording goes on/);
	await says('Broken', /Failed/, /The bytes differ from their checksum\./, /can be downloaded/);
	await says('Thrown', /Thrown away/);
	assert.match(await seen.text('#legend'), /Saved means: .* survives a power cut/);
	assert.match(await seen.text('#server'), /1 recording now\s+212 GB free/);
	assert.deepEqual((await names(seen.page)).slice(0, 3), ['Now', 'Lost', 'Away'], 'newest first');
	seen.clean();
});

test('it follows: bytes grow in silence, events are said, focus stays', options, async (t) => {
	const now = recordingNow({ name: 'Piano', bytes: 1000 });
	const { server, seen, page } = await desk(t, [take({ name: 'Old' }), now]);
	await seen.row('Piano').getByRole('button', { name: 'Rename Piano' }).focus();
	for (let i = 1; i <= 5; i++) server.change(now.id, { bytes: i * 1_000_000 });
	await seen.until('.take[data-kind="live"] .size', '5.00 MB');
	assert.equal(await seen.focused(), 'Rename Piano');
	server.put(recordingNow({ name: 'Violin', createdAt: Date.now() }));
	server.change(now.id, { phase: 'queued', attached: false, revision: 1 });
	await until(async () => /Piano: saved/.test(await seen.said()), 5000, 'said that it is saved');
	assert.match(await seen.said(), /Violin: recording began/);
	assert.doesNotMatch(await seen.said(), /MB/);
	assert.deepEqual(await names(page), ['Violin', 'Piano', 'Old']);
	assert.equal(await seen.focused(), 'Rename Piano', 'a new row above moved no focus');
	server.change(now.id, { phase: 'error', error: { code: 'corrupt', message: 'The disk lost a block.' } });
	await until(async () => /Piano: failed\. The disk lost a block\./.test(await seen.said()), 5000, 'said why it failed');
	seen.clean();
});

test('the grace runs down by itself, and stands still when nothing is heard', options, async (t) => {
	const { server, seen } = await desk(t, [recordingNow({ name: 'Lost', attached: false, graceLeftMs: 90_000 })]);
	await seen.until('.why', /^1:29 left/);
	await seen.until('.why', /^1:28 left/);
	await server.stop();
	await seen.until('.why', /was being waited for/);
	seen.clean();
});

test('what failed is tried again from its row, or the row says from when on it can be', options, async (t) => {
	const one = take({ name: 'Given up', phase: 'error', attempt: 3, error: { code: 'worker_died', message: 'The worker died.' } });
	const theirs = take({ name: 'Theirs', phase: 'error', sessionId: null, error: { code: 'worker_died', message: 'The worker died.' } });
	const { server, seen, page } = await desk(t, [one, theirs]);
	server.completions.set(one.id, [500, { status: 500, code: 'worker_died', detail: 'The worker died.' }, { 'retry-after': '300' }]);
	await seen.tabTo('Try again to finish Given up');
	await page.keyboard.press('Enter');
	await seen.until('.take:has(.notice:not([hidden])) .notice', 'Not tried again: The worker died. It can be tried again in 5 min.');
	server.completions.clear();
	await page.keyboard.press('Enter');
	await until(async () => /Waits to be finished/.test(await seen.row('Given up').innerText()), 5000, 'it waits again');
	assert.equal(await seen.focused(), 'Given up', 'the button is gone: the focus is on the name');
	assert.equal(await seen.row('Theirs').getByRole('button', { name: /Try again/ }).isVisible(), false);
	server.put(finished(server.takes.get(one.id)));
	await until(async () => /Given up: ready to play/.test(await seen.said()), 5000, 'said that it is ready');
	seen.clean();
});

test('pictures are loaded for who looks at them, signed where there is a token', options, async (t) => {
	const picture = { type: 'image/svg+xml', data: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="16" height="9"><path d="M0 0h16v9H0z"/></svg>') };
	const many = Array.from({ length: 60 }, (_, i) => ready({ name: `Film ${i}` }, { thumbnail: true }));
	const asked = (server, what) => server.asked.filter((line) => line.includes(what)).length;
	const { server, seen, page } = await desk(t, many, { prepare: (one) => {
		for (const { id } of many) one.thumbnails.set(id, picture);
		one.token = 'hf1.good.token';
	}, context: { init: () => localStorage.setItem('holdfast.token', 'hf1.good.token') } });
	const shown = (name) => seen.row(name).locator('img').evaluate((img) => img.complete && img.naturalWidth > 0);
	await until(() => shown('Film 59'), 5000, 'the newest is shown');
	assert.ok(asked(server, '/thumbnail?exp=1&sig=good') > 0);
	assert.ok(asked(server, '/sign') < 30, `${asked(server, '/sign')} signed`);
	await seen.row('Film 0').scrollIntoViewIfNeeded();
	await until(() => shown('Film 0'), 5000, 'the oldest too, once it is looked at');
	assert.equal(await page.locator('.take img[alt=""]').count(), 60);
	seen.clean();
});

test('many events at once are said as one', options, async (t) => {
	const takes = Array.from({ length: 12 }, (_, i) => recordingNow({ name: `Channel ${i}` }));
	const { server, seen } = await desk(t, takes);
	for (const { id } of takes) server.change(id, { phase: 'queued', attached: false });
	await until(async () => /12 recordings changed/.test(await seen.said()), 5000, 'said as one');
	assert.doesNotMatch(await seen.said(), /Channel/);
});

test('rename without a mouse; Escape gives up; a refusal keeps what was typed', options, async (t) => {
	const { server, seen, page } = await desk(t, [take({ name: 'Before' })]);
	await seen.tabTo('Rename Before');
	await page.keyboard.press('Enter');
	assert.equal(await seen.focused(), 'New name');
	await page.keyboard.type('Thrown away');
	await page.keyboard.press('Escape');
	assert.equal(await seen.focused(), 'Rename Before');
	await page.keyboard.press('Enter');
	await page.keyboard.type('After');
	server.fail.set('PATCH', [503, 'busy', 'The server is busy.']);
	await page.keyboard.press('Enter');
	await seen.until('.take .notice', 'Not renamed: The server is busy.');
	assert.equal(await page.getByLabel('New name').inputValue(), 'After');
	server.fail.clear();
	await page.keyboard.press('Enter');
	await seen.row('After').waitFor();
	assert.equal(await seen.focused(), 'Rename After');
	assert.equal(server.newest[0].name, 'After');
	seen.clean();
});

test('an open rename survives updates, and a deletion elsewhere is told in its place', options, async (t) => {
	const one = recordingNow({ name: 'Mine' });
	const { server, seen, page } = await desk(t, [take({ name: 'Other' }), one]);
	await seen.row('Mine').getByRole('button', { name: 'Rename Mine' }).click();
	await page.keyboard.type('Half a na');
	server.change(one.id, { bytes: 77_000_000, name: 'Theirs' });
	await seen.until('.take[data-kind="live"] .size', '77.0 MB');
	assert.equal(await page.getByLabel('New name').inputValue(), 'Half a na');
	assert.equal(await seen.focused(), 'New name');
	server.remove(one.id);
	await seen.until('.take[data-kind="gone"]', '“Theirs” was deleted elsewhere.');
	assert.equal(await seen.focused(), 'Dismiss');
	await page.keyboard.press('Enter');
	assert.deepEqual(await names(page), ['Other']);
	assert.equal(await seen.focused(), 'Other');
	seen.clean();
});

test('delete without a mouse: asked first, Keep is the default, the focus goes on', options, async (t) => {
	const { server, seen, page } = await desk(t, [take({ name: 'Third' }), take({ name: 'Second' }), take({ name: 'First' })]);
	await seen.tabTo('Delete Second');
	await page.keyboard.press('Enter');
	assert.match(await seen.text('dialog'), /Delete “Second”\?[^]*cannot be undone/);
	assert.equal(await seen.focused(), 'ask-no');
	await page.keyboard.press('Escape');
	assert.equal(await seen.focused(), 'Delete Second');
	assert.equal(server.takes.size, 3);
	await page.keyboard.press('Enter');
	await page.keyboard.press('Enter');
	assert.equal(server.takes.size, 3, 'Enter on the default keeps it');
	await page.keyboard.press('Enter');
	server.fail.set('DELETE', [503, 'busy', 'The server is busy.']);
	await page.keyboard.press('Tab');
	await page.keyboard.press('Enter');
	await seen.until('#ask-error', 'Not deleted: The server is busy.');
	server.fail.clear();
	await page.getByRole('button', { name: 'Delete for good' }).press('Enter');
	await until(async () => (await names(page)).length === 2, 5000, 'the row is gone');
	assert.deepEqual(await names(page), ['First', 'Third']);
	assert.equal(await seen.focused(), 'Third');
	assert.equal(server.takes.size, 2);
	await page.getByRole('button', { name: 'Delete First' }).click();
	assert.match(await seen.text('dialog'), /removed from this machine/);
	seen.clean();
});

test('thousands: page by page, and search on the server beyond what was read', options, async (t) => {
	const begun = Date.now() - 1e9;
	const many = Array.from({ length: 250 }, (_, i) => take({ name: `Number ${String(i).padStart(3, '0')}`, createdAt: begun + i * 1000 }));
	const { server, seen, page } = await desk(t, many);
	await seen.until('#count', 'the newest 100');
	await page.locator('#more').focus();
	await page.keyboard.press('Enter');
	await seen.until('#count', 'the newest 200');
	assert.equal(await seen.focused(), 'more', 'the focus stays on the button');
	await page.keyboard.press('Enter');
	await seen.until('#count', '250 in all');
	assert.equal(await page.locator('.take').count(), 250);
	assert.equal(await seen.focused(), 'Number 049', 'the button is gone: the focus is on the first new one');
	await page.reload();
	await seen.live();
	await page.locator('#search').focus();
	await page.keyboard.type('number 007');
	await seen.row('Number 007').waitFor();
	await seen.until('#count', '1 found');
	await until(() => server.asked.some((line) => /search=number(\+|%20)007/.test(line)), 5000, 'the server was asked');
	await page.reload();
	await seen.row('Number 007').waitFor();
	assert.equal(await page.locator('.take').count(), 1, 'a reload finds the search again');
	await page.locator('#search').fill('nothing like it');
	await seen.until('#empty', 'No recording has “nothing like it” in its name or reference.');
	await page.locator('#search').press('Escape');
	await until(async () => await page.locator('.take').count() >= 100, 5000, 'all again');
	seen.clean();
});

test('the server goes and comes back: search, scroll and open rename stay; what is old is called old', options, async (t) => {
	const begun = Date.now() - 1e8;
	const many = Array.from({ length: 130 }, (_, i) => take({ name: `Scene ${String(i).padStart(3, '0')}`, createdAt: begun + i * 1000 }));
	const { server, seen, page } = await desk(t, [...many, recordingNow({ name: 'Scene now' })]);
	await page.getByRole('button', { name: 'Show older ones' }).click();
	await seen.until('#count', '131 in all');
	await page.locator('#search').fill('scene');
	await seen.row('Scene 010').getByRole('button', { name: /^Rename/ }).click();
	await page.keyboard.type('A new na');
	const scroll = await page.evaluate(() => scrollY);
	assert.ok(scroll > 1000);
	await server.stop();
	await seen.until('#banner', /Not connected to the server\. What you see is as of \d\d:\d\d and may be out of date/);
	assert.match(await seen.text('#link'), /Not connected/);
	server.takes.delete(many[20].id); // an old one is deleted while nobody could hear it, beyond the first page
	server.takes.delete(many[125].id); // and a new one
	server.takes.set(many[5].id, { ...many[5], name: 'Scene five, renamed' });
	await server.listen();
	// It may find the server by itself before: then the button is gone.
	await page.evaluate(() => document.getElementById('banner-now').click());
	await seen.live();
	await page.locator('#banner').waitFor({ state: 'hidden' });
	await seen.row('Scene five, renamed').waitFor();
	await seen.row('Scene 020').waitFor({ state: 'detached' });
	await seen.row('Scene 125').waitFor({ state: 'detached' });
	assert.equal(await page.locator('#search').inputValue(), 'scene');
	assert.equal(await page.getByLabel('New name').inputValue(), 'A new na');
	const moved = Math.abs(await page.evaluate(() => scrollY) - scroll);
	assert.ok(moved < 400, `scrolled by ${moved} px, which is no more than the two rows that went`);
	await until(async () => /Connected to the server again/.test(await seen.said()), 5000, 'said that it is back');
	assert.match(await seen.said(), /connection to the server is lost/);
	seen.clean();
});

test('the code for phones: shown, replaced when a phone used it, with the ways beside it', options, async (t) => {
	const { server, seen, page } = await desk(t, [], { prepare: (one) => one.enableLan() });
	await page.locator('#qr[src^="blob:"]').waitFor();
	assert.match(await seen.text('#pair-on'), /https:\/\/192\.168\.1\.5:8443[^]*http:\/\/192\.168\.1\.5:8443/);
	assert.match(await seen.text('#pair-until'), /valid until \d\d:\d\d/);
	const before = await page.locator('#qr').getAttribute('src');
	assert.ok(await page.evaluate(() => document.getElementById('qr').naturalWidth > 0));
	server.enableLan();
	await seen.until('#pair-until', 'A phone was paired.');
	const secure = await page.locator('#qr').getAttribute('src');
	assert.notEqual(secure, before);
	await page.getByRole('button', { name: 'Show the code for this way' }).click();
	await seen.until('#pair-until', /for the camera app, over plain http. The code pairs one phone and is valid until \d\d:\d\d/);
	assert.notEqual(await page.locator('#qr').getAttribute('src'), secure);
	server.enableLan();
	await seen.until('#pair-until', 'A phone was paired.');
	assert.match(server.asked.filter((line) => /qr\.svg/.test(line)).at(-1), /qr\.svg\?scheme=http$/, 'it stays with the chosen way');
	await page.getByRole('button', { name: 'Show the code for https again' }).click();
	await seen.until('#pair-until', /^The code pairs one phone/);
	await server.stop();
	await seen.until('#pair-until', 'this code may be out of date');
	seen.clean();
});

test('--lan is off: it says how to turn it on', options, async (t) => {
	const { seen, page } = await desk(t);
	await seen.until('#pair', /holdfast serve --lan/);
	assert.equal(await page.locator('#pair-on').isVisible(), false);
	assert.match(await seen.text('#empty'), /Nothing is recorded yet/);
});

test('no grant: it says why, and takes a token', options, async (t) => {
	const { server, seen, page } = await desk(t, [take({ name: 'Secret' })], { live: false, prepare: (one) => {
		one.refuse = [401, 'unauthorized', 'This needs a token.'];
	} });
	await seen.until('#locked', /opens by itself only on the machine/);
	assert.equal(await page.locator('.take').count(), 0);
	assert.equal(await page.locator('#pair').isVisible(), false);
	server.refuse = null;
	server.token = 'hf1.good.token';
	server.grant = { subject: 'reader', scopes: ['play'], local: false, expiresAt: Date.now() + 1e9 };
	await page.getByLabel('Token').fill('hf1.good.token');
	await page.getByRole('button', { name: 'Open' }).click();
	await seen.row('Secret').waitFor();
	const download = page.waitForEvent('download');
	await seen.row('Secret').getByRole('link', { name: 'Download the original of Secret' }).click();
	assert.match((await download).url(), /sig=good/, 'with a token, the address of a download is signed');
	seen.clean();
});

test('a full storage is said', options, async (t) => {
	const { server, seen } = await desk(t);
	server.free = 1000;
	server.put(take());
	await seen.until('#space', 'Storage is full');
});

test('names are text, whatever stands in them', options, async (t) => {
	const nasty = ['<img src=x onerror=window.pwned=1>', '"><script>window.pwned=1</script>', 'javascript:window.pwned=1//',
		'\'-window.pwned++-\'', '<svg/onload=window.pwned=1>', '{{constructor.constructor("window.pwned=1")()}}', '&lt;b&gt;', '\u202etxt.exe'];
	const { server, seen, page } = await desk(t, nasty.map((name) => take({ name, owner: name, mime: `video/webm;codecs="${name}"`,
		phase: 'error', error: { code: 'x', message: name } })));
	await seen.until('#count', `${nasty.length} in all`);
	assert.deepEqual((await names(page)).sort(), [...nasty].sort());
	await page.getByRole('button', { name: `Rename ${nasty[0]}`, exact: true }).click();
	await page.keyboard.press('Escape');
	await page.getByRole('button', { name: `Delete ${nasty[1]}`, exact: true }).click();
	assert.match(await seen.text('dialog'), /"><script>window/);
	await page.keyboard.press('Escape');
	await page.locator('#search').fill('<img src=x onerror=window.pwned=1>no');
	await seen.until('#empty', '<img src=x');
	server.put(recordingNow({ name: nasty[4] }));
	await until(async () => (await seen.said()).includes(nasty[4]), 5000, 'said as text');
	await page.goto(`${server.url}/play/${server.newest.find(({ name }) => name === nasty[0]).id}`);
	await seen.until('#title', '<img src=x');
	assert.equal(await page.evaluate(() => window.pwned), undefined);
	assert.equal(await page.locator('main img, main svg, main script').count(), 0);
	seen.clean();
});
