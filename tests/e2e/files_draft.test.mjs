// The IETF draft "Resumable Uploads for HTTP", interop 8, by a client of our own: interim responses too.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { ask, create, digest, DRAFT, hanging, idOf, look, PARTIAL, patch, refused, TUS } from './support/files.mjs';
import { sharedServer, startServer, until, within } from './support/server.mjs';
import { assertOriginal, isSealed, media, recording } from './support/wire.mjs';

const server = sharedServer();
const options = { timeout: 60_000 };
const PROBLEMS = 'https://iana.org/assignments/http-problem-types#';
const LIMIT = /^max-size=17592186044416, min-size=0, max-age=60\d{4}$/;

const begin = (body, headers, how) => ask(server, 'POST', '/files/', { ...DRAFT, ...headers }, body, how);
const append = (path, offset, complete, body, headers = {}, how = {}) =>
	ask(server, 'PATCH', path, { ...DRAFT, 'Content-Type': PARTIAL, 'Upload-Offset': offset, 'Upload-Complete': complete, ...headers }, body, how);

async function* slowly(pieces, ms) {
	for (const piece of pieces) {
		yield piece;
		await new Promise((resolve) => setTimeout(resolve, ms));
	}
}

/** The 104s of an answer. */
const supported = ({ interim }) => interim.filter(({ status }) => status === 104).map(({ headers }) => headers);

test('all at once: a 104 says where it is, then it is there', options, async () => {
	const bytes = media(300_000);
	const answer = await begin(bytes, { 'Upload-Complete': '?1', 'Content-Type': 'video/webm', 'Content-Disposition': 'attachment; filename="Film.webm"' });
	assert.equal(answer.status, 201);
	const path = answer.headers.location;
	assert.match(path, /^\/files\/[0-9a-f-]{36}$/);
	assert.equal(answer.headers['upload-complete'], '?1');
	assert.equal(answer.headers['upload-offset'], String(bytes.length));
	assert.equal(answer.headers['tus-resumable'], undefined);
	const [first, ...more] = supported(answer);
	assert.equal(first.location, path);
	assert.match(first['upload-limit'], LIMIT);
	assert.equal(first['upload-draft-interop-version'], '8');
	assert.equal(first['upload-offset'], undefined);
	for (const later of more) {
		assert.equal(later.location, undefined);
		assert.equal(later['upload-draft-interop-version'], '8');
		assert.ok(Number(later['upload-offset']) <= bytes.length);
	}
	const info = await until(async () => isSealed(await recording(server, idOf(path))) && recording(server, idOf(path)), 10_000, 'sealed');
	assert.equal(info.name, 'Film.webm');
	assert.equal(info.mime, 'video/webm');
	await assertOriginal(server, idOf(path), bytes);
});

test('PUT creates too, and a length that is known is checked', options, async () => {
	const made = await ask(server, 'PUT', '/files', { ...DRAFT, 'Upload-Complete': '?1', 'Upload-Length': 100 }, media(100));
	assert.equal(made.status, 201);
	const wrong = refused(await begin(media(100), { 'Upload-Complete': '?1', 'Upload-Length': 99 }), 400, 'length_mismatch');
	assert.equal(wrong.body.type, `${PROBLEMS}inconsistent-upload-length`);
	refused(await begin(media(100), { 'Upload-Complete': '?0', 'Upload-Length': 99 }), 400, 'length_mismatch');
});

test('in parts: created empty, appended, looked at, whole', options, async () => {
	const bytes = media(10_000);
	const made = await begin(undefined, { 'Upload-Complete': '?0', 'Upload-Length': bytes.length, 'Content-Length': 0 });
	assert.equal(made.status, 201);
	assert.equal(made.headers['upload-complete'], '?0');
	const path = made.headers.location;
	const first = await append(path, 0, '?0', bytes.subarray(0, 4000));
	assert.equal(first.status, 204);
	assert.equal(first.headers['upload-offset'], '4000');
	assert.equal(first.headers['upload-complete'], '?0');
	let state = await look(server, path, DRAFT);
	assert.equal(state.status, 204);
	assert.equal(state.headers['upload-offset'], '4000');
	assert.equal(state.headers['upload-complete'], '?0');
	assert.equal(state.headers['upload-length'], '10000');
	assert.match(state.headers['upload-limit'], LIMIT);
	assert.equal(state.headers['cache-control'], 'no-store');
	const last = await append(path, 4000, '?1', bytes.subarray(4000));
	assert.equal(last.status, 204);
	assert.equal(last.headers['upload-complete'], '?1');
	state = await look(server, path, DRAFT);
	assert.equal(state.headers['upload-complete'], '?1');
	assert.equal(state.headers['upload-offset'], '10000');
	await assertOriginal(server, idOf(path), bytes);
});

test('of unknown length, in chunks, ended by an empty append', options, async () => {
	const bytes = media(50_000);
	const made = await begin(slowly([bytes.subarray(0, 20_000)], 0), { 'Upload-Complete': '?0' });
	assert.equal(made.headers['upload-offset'], '20000');
	const path = made.headers.location;
	assert.equal((await look(server, path, DRAFT)).headers['upload-length'], undefined);
	assert.equal((await append(path, 20_000, '?0', slowly([bytes.subarray(20_000)], 0))).headers['upload-offset'], '50000');
	const end = await append(path, 50_000, '?1', Buffer.alloc(0));
	assert.equal(end.status, 204);
	assert.equal(end.headers['upload-complete'], '?1');
	assert.equal((await look(server, path, DRAFT)).headers['upload-length'], '50000');
	await assertOriginal(server, idOf(path), bytes);
	const again = await append(path, 50_000, '?1', Buffer.alloc(0));
	assert.equal(again.status, 204, 'an answer that was lost is given again');
	assert.equal(again.headers['upload-complete'], '?1');
});

test('104 with an offset says what is durable, about once a second', options, async () => {
	const made = await begin(undefined, { 'Upload-Complete': '?0', 'Content-Length': 0 });
	const path = made.headers.location;
	const pieces = Array.from({ length: 12 }, (_, n) => media(1000, n));
	const sent = await append(path, 0, '?0', slowly(pieces, 200));
	const offsets = supported(sent).map((said) => Number(said['upload-offset']));
	assert.ok(offsets.length >= 1 && offsets.length <= 5, String(offsets));
	assert.deepEqual(offsets, [...offsets].sort((a, b) => a - b));
	assert.ok(offsets.every((offset) => offset > 0 && offset <= 12_000 && offset % 1000 === 0), String(offsets));
	assert.ok(supported(sent).every((said) => said.location === undefined && said['upload-draft-interop-version'] === '8'));
});

test('what a 104 said is there after kill -9', options, async (t) => {
	const own = await startServer(t);
	const request = http.request({ host: '127.0.0.1', port: own.port, method: 'POST', path: '/files/', headers: { ...DRAFT, 'Upload-Complete': '?0' } });
	request.on('error', () => {});
	let path, told;
	const enough = new Promise((resolve) => request.on('information', ({ headers }) => {
		path = headers.location ?? path;
		told = Number(headers['upload-offset'] ?? 0);
		if (told > 0) resolve();
	}));
	const bytes = media(30_000_000);
	let at = 0;
	const timer = setInterval(() => request.write(bytes.subarray(at, at += 200_000)), 20);
	await within(enough, 20_000, 'a 104 with an offset').finally(() => clearInterval(timer));
	await own.kill();
	await own.start();
	const state = await look(own, path, DRAFT);
	assert.ok(Number(state.headers['upload-offset']) >= told, `${told} were promised, ${state.headers['upload-offset']} are there`);
	await assertOriginal(own, idOf(path), bytes.subarray(0, Number(state.headers['upload-offset'])));
});

test('no 104 for who has not asked for it, or speaks another version', options, async () => {
	for (const version of [{}, { 'Upload-Draft-Interop-Version': '7' }, { 'Upload-Draft-Interop-Version': 'x' }]) {
		const answer = await ask(server, 'POST', '/files/', { 'Upload-Complete': '?1', ...version }, media(100));
		assert.equal(answer.status, 201);
		assert.deepEqual(answer.interim, []);
	}
});

test('another offset is a mismatch, with both', options, async () => {
	const path = (await begin(media(100), { 'Upload-Complete': '?0' })).headers.location;
	for (const offset of [0, 99, 101]) {
		const wrong = refused(await append(path, offset, '?0', media(10)), 409, 'position_conflict');
		assert.equal(wrong.headers['upload-offset'], '100');
		assert.equal(wrong.headers['upload-complete'], '?0');
		assert.equal(wrong.body.type, `${PROBLEMS}mismatching-upload-offset`);
		assert.equal(wrong.body['expected-offset'], 100);
		assert.equal(wrong.body['provided-offset'], offset);
	}
	assert.equal((await append(path, 100, '?1', media(10))).status, 204);
	for (const offset of [0, 110]) {
		const over = refused(await append(path, offset, '?0', media(10)), 400);
		assert.equal(over.body.type, `${PROBLEMS}inconsistent-upload-length`);
		assert.equal(over.headers['upload-complete'], '?1');
	}
	const nothing = refused(await append(path, 0, '?0', Buffer.alloc(0)), 400);
	assert.equal(nothing.body.type, `${PROBLEMS}completed-upload`);
});

test('lengths that change', options, async () => {
	const path = (await begin(media(100), { 'Upload-Complete': '?0', 'Upload-Length': 200 })).headers.location;
	for (const [complete, length, bytes] of [['?0', 300, 10], ['?1', undefined, 10], ['?1', 110, 10], ['?0', 50, 10]]) {
		const wrong = await append(path, 100, complete, media(bytes), length ? { 'Upload-Length': length } : {});
		refused(wrong, 400, 'length_mismatch', `${complete} ${length}`);
		assert.equal(wrong.body.type, `${PROBLEMS}inconsistent-upload-length`);
	}
	assert.equal((await look(server, path, DRAFT)).headers['upload-offset'], '100');
	assert.equal((await append(path, 100, '?1', media(100), { 'Upload-Length': 200 })).status, 204);
});

test('digests of a body, and of the whole where it is one body', options, async () => {
	const bytes = media(1000);
	const path = (await begin(undefined, { 'Upload-Complete': '?0', 'Content-Length': 0 })).headers.location;
	refused(await append(path, 0, '?0', bytes, { 'Content-Digest': digest(media(999)) }), 400, 'checksum_mismatch');
	assert.equal((await look(server, path, DRAFT)).headers['upload-offset'], '0', 'nothing of it counts');
	assert.equal((await append(path, 0, '?0', bytes, { 'Content-Digest': `sha-512=:AAAA:, ${digest(bytes)}` })).status, 204);
	refused(await begin(bytes, { 'Upload-Complete': '?1', 'Repr-Digest': digest(media(999)) }), 400, 'checksum_mismatch');
	assert.equal((await begin(bytes, { 'Upload-Complete': '?1', 'Repr-Digest': digest(bytes) })).status, 201);
	for (const bad of ['', 'sha-256', 'sha-256=:AAAA:', 'sha-256=AAAA'])
		refused(await append(path, 1000, '?0', bytes, { 'Content-Digest': bad }), 400, 'bad_field', bad);
});

test('fields that are none', options, async () => {
	const path = (await begin(media(10), { 'Upload-Complete': '?0' })).headers.location;
	for (const complete of ['', '1', 'true', '?2', '?1, ?1']) refused(await append(path, 10, complete, media(1)), 400, 'bad_field', complete);
	for (const offset of ['', '-1', '1.0', 'x', '1, 1', '9999999999999999']) refused(await append(path, offset, '?0', media(1)), 400, 'bad_field', offset);
	for (const length of ['-1', '10.0', 'x', '9999999999999999'])
		assert.equal((await begin(media(10), { 'Upload-Complete': '?0', 'Upload-Length': length })).status, 201, 'as if it were not there');
	refused(await begin(media(10), {}), 400, 'bad_field', 'Upload-Complete is missing');
	refused(await append(path, 10, '?0', media(1), { 'Content-Type': 'application/octet-stream' }), 415, 'unsupported_media');
	refused(await begin(undefined, { 'Upload-Complete': '?0', 'Upload-Length': '999999999999999', 'Content-Length': 0 }), 413, 'message_too_large');
	assert.equal((await look(server, path, DRAFT)).headers['upload-offset'], '10');
});

test('DELETE, and both protocols on one upload', options, async (t) => {
	const path = await create(server, 1000, {}, media(100));
	assert.equal((await append(path, 100, '?0', media(200).subarray(100))).status, 204);
	assert.equal((await patch(server, path, 200, media(300).subarray(200))).status, 204);
	const slow = await hanging(t, server, path, 300, media(10), 700);
	await until(async () => (await recording(server, idOf(path))).bytes === 310, 10_000, 'durable');
	assert.equal((await look(server, path, DRAFT)).status, 204);
	await slow.ended;
	assert.equal((await ask(server, 'DELETE', path, DRAFT)).status, 204);
	assert.equal((await look(server, path, DRAFT)).status, 410);
	assert.equal((await look(server, path, TUS)).status, 410);
	refused(await append(path, 310, '?0', media(1)), 410, 'deleted');
});
