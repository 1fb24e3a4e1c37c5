// GET and HEAD …/original: the bytes as received, by range, with validators, in every phase.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedServer } from './support/server.mjs';
import { api, media, sessionId, wire } from './support/wire.mjs';

const SIZE = 1_000_003;
const bytes = media(SIZE);
const options = { timeout: 60_000 };
let path;

const server = sharedServer({}, async () => {
	const w = await wire({ after() {} }, server);
	const { id } = await w.start({ sessionId: sessionId(), mime: 'video/webm;codecs="vp8,opus"' });
	w.binary(bytes);
	w.send({ type: 'end', totalBytes: SIZE });
	await w.next('saved');
	await w.close();
	path = `/api/recordings/${id}/original`;
});

const get = (headers, more = {}) => api(server, path, { headers, ...more });

test('whole, with its headers', options, async () => {
	const { status, headers, bytes: got } = await get({});
	assert.equal(status, 200);
	assert.ok(got.equals(bytes));
	assert.equal(headers.get('content-length'), String(SIZE));
	assert.match(headers.get('content-type'), /^video\/webm/);
	assert.equal(headers.get('accept-ranges'), 'bytes');
	assert.match(headers.get('etag'), /^"[^"]+"$/);
	assert.equal(headers.get('x-content-type-options'), 'nosniff');
	assert.match(headers.get('content-security-policy'), /sandbox/);
	assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin');
});

test('ranges', options, async () => {
	const cases = [
		['bytes=0-0', 0, 0], ['bytes=0-99', 0, 99], ['bytes=999999-', 999_999, SIZE - 1], ['bytes=-1', SIZE - 1, SIZE - 1],
		['bytes=-500', SIZE - 500, SIZE - 1], ['bytes=4095-4097', 4095, 4097], ['bytes=1000-99999999999', 1000, SIZE - 1],
		['bytes=-99999999999', 0, SIZE - 1], ['bytes=262143-786433', 262_143, 786_433]];
	for (const [range, first, last] of cases) {
		const { status, headers, bytes: got } = await get({ range });
		assert.equal(status, 206, range);
		assert.equal(headers.get('content-range'), `bytes ${first}-${last}/${SIZE}`);
		assert.equal(headers.get('content-length'), String(last - first + 1));
		assert.ok(got.equals(bytes.subarray(first, last + 1)), range);
	}
});

test('what is no satisfiable range: 416; what is none at all: everything', options, async () => {
	for (const range of [`bytes=${SIZE}-`, `bytes=${SIZE + 5}-${SIZE + 9}`, 'bytes=-0', 'bytes=99999999999999999999999-']) {
		const { status, headers } = await get({ range });
		assert.equal(status, 416, range);
		assert.equal(headers.get('content-range'), `bytes */${SIZE}`);
	}
	for (const range of ['bytes=5-2', 'bytes=a-b', 'items=0-5', 'bytes=', 'bytes', 'bytes=0-1,5-6', 'bytes=--5']) {
		const { status, bytes: got } = await get({ range });
		assert.equal(status, 200, range);
		assert.equal(got.length, SIZE);
	}
});

test('If-Range and If-None-Match', options, async () => {
	const etag = (await get({})).headers.get('etag');
	assert.equal((await get({ range: 'bytes=0-9', 'if-range': etag })).status, 206);
	assert.equal((await get({ range: 'bytes=0-9', 'if-range': '"other"' })).status, 200);
	assert.equal((await get({ range: 'bytes=0-9', 'if-range': `W/${etag}` })).status, 200);
	assert.equal((await get({ range: 'bytes=0-9', 'if-range': 'Wed, 21 Oct 2015 07:28:00 GMT' })).status, 200);
	for (const value of [etag, `W/${etag}`, `"a", ${etag}`, '*']) {
		const { status, headers, bytes: got } = await get({ 'if-none-match': value });
		assert.equal(status, 304, value);
		assert.equal(headers.get('etag'), etag);
		assert.equal(got.length, 0);
	}
	assert.equal((await get({ 'if-none-match': '"other"' })).status, 200);
});

test('HEAD says the same without the bytes', options, async () => {
	const whole = await get({}, { method: 'HEAD' });
	assert.equal(whole.status, 200);
	assert.equal(whole.headers.get('content-length'), String(SIZE));
	assert.equal(whole.bytes.length, 0);
	const part = await get({ range: 'bytes=10-19' }, { method: 'HEAD' });
	assert.equal(part.bytes.length, 0);
	assert.ok(part.status === 206 || part.status === 200);
	assert.equal((await get({}, { method: 'POST' })).status, 405);
});

test('a take that still grows: the durable bytes, and an etag that changes', options, async (t) => {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId() });
	w.binary(bytes.subarray(0, 100_000));
	await w.untilAcked(100_000);
	const growing = `/api/recordings/${id}/original`;
	const first = await api(server, growing);
	assert.ok(first.bytes.equals(bytes.subarray(0, 100_000)));
	w.binary(bytes.subarray(100_000, 300_000));
	await w.untilAcked(300_000);
	const second = await api(server, growing);
	assert.ok(second.bytes.equals(bytes.subarray(0, 300_000)));
	assert.notEqual(second.headers.get('etag'), first.headers.get('etag'));
	const range = await api(server, growing, { headers: { range: 'bytes=0-9', 'if-range': first.headers.get('etag') } });
	assert.equal(range.status, 200);
});

test('uploaded media is never served as a page', options, async (t) => {
	for (const mime of ['text/html', 'image/svg+xml', 'application/xhtml+xml', 'text/javascript', 'video/webm\r\nx: y', '']) {
		const w = await wire(t, server);
		w.send({ type: 'start', sessionId: sessionId(), mime, ext: 'html' });
		const message = await w.when(() => w.inbox.shift(), 'an answer');
		if (message.type === 'error') continue; // refused is as good
		w.binary(Buffer.from('<script>alert(1)</script>'));
		w.send({ type: 'end', totalBytes: 25 });
		const { url } = await w.next('saved');
		const { headers } = await api(server, url);
		assert.doesNotMatch(headers.get('content-type') ?? '', /html|svg|xml|javascript/, mime);
		assert.match(headers.get('content-disposition') ?? '', /^attachment/, mime);
		assert.equal(headers.get('x'), null);
	}
});

test('a reader that stops reading holds nothing up', options, async (t) => {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId() });
	const big = media(20_000_000);
	w.binary(big);
	w.send({ type: 'end', totalBytes: big.length });
	await w.next('saved', 30_000);
	const slow = await fetch(`${server.url}/api/recordings/${id}/original`);
	const reader = slow.body.getReader();
	await reader.read();
	const whole = await api(server, `/api/recordings/${id}/original`);
	assert.ok(whole.bytes.equals(big));
	await reader.cancel();
});
