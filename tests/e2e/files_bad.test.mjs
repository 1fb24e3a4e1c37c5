// Bad input to uploads: each has its code, nothing is changed by it, and an honest upload still works.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { ask, checksum, create, hanging, idOf, look, metadata, patch, refused, TUS, TYPE } from './support/files.mjs';
import { sharedServer, until } from './support/server.mjs';
import { assertOriginal, media, raw, recording } from './support/wire.mjs';

const server = sharedServer();
const options = { timeout: 60_000 };
const post = (headers, body) => ask(server, 'POST', '/files/', { ...TUS, ...headers }, body);

afterEach(async () => {
	const path = await create(server, 1000, {}, media(1000));
	await assertOriginal(server, idOf(path), media(1000));
});

const NUMBERS = ['-1', '+1', '1.5', '1e3', '0x10', 'ten', '', '1,2', '1 2', '"1"', '?1'];
const ENDLESS = ['17592186044417', '9223372036854775808', '18446744073709551616', '99999999999999999999999999999999999999'];

test('lengths that are none, negative or beyond every limit', options, async () => {
	for (const length of NUMBERS) refused(await post({ 'Upload-Length': length }), 400, 'bad_field', length);
	for (const length of ENDLESS) refused(await post({ 'Upload-Length': length }), 413, 'message_too_large', length);
	refused(await post({}), 400, 'bad_field');
	refused(await post({ 'Upload-Length': 5, 'Upload-Defer-Length': 1 }), 400, 'bad_field');
	for (const defer of ['0', '2', 'true', '']) refused(await post({ 'Upload-Defer-Length': defer }), 400, 'bad_field', defer);
	refused(await post({ 'Upload-Length': ['5', '6'] }), 400, 'bad_field', 'twice');
});

test('offsets behind, ahead, none and beyond every limit', options, async () => {
	const path = await create(server, 100, {}, media(50));
	for (const offset of [0, 49, 51, 99, 100, 101, 2 ** 44]) {
		const wrong = refused(await patch(server, path, offset, media(10)), 409, 'position_conflict', String(offset));
		assert.equal(wrong.headers['tus-resumable'], '1.0.0');
	}
	for (const offset of [...NUMBERS, ...ENDLESS]) refused(await patch(server, path, offset, media(10)), 400, 'bad_field', offset);
	refused(await ask(server, 'PATCH', path, { ...TUS, 'Content-Type': TYPE }, media(10)), 400, 'bad_field');
	refused(await patch(server, path, ['50', '50'], media(10)), 400, 'bad_field', 'twice');
	assert.equal((await look(server, path)).headers['upload-offset'], '50');
});

test('more bytes than the length', options, async () => {
	refused(await ask(server, 'POST', '/files/', { ...TUS, 'Upload-Length': 10, 'Content-Type': TYPE }, media(11)), 413);
	const path = await create(server, 10);
	refused(await patch(server, path, 0, media(11)), 413);
	assert.equal((await look(server, path)).headers['upload-offset'], '0', 'a body that can not fit is refused whole');
	const chunks = await patch(server, path, 0, (async function* () {
		yield media(6);
		yield media(6);
	})());
	assert.equal(chunks.status, 413);
	assert.ok(Number((await look(server, path)).headers['upload-offset']) <= 10);
});

test('a large body that is refused gets its answer, and not a reset', options, async () => {
	for (const [how, headers] of [['at its end', {}], ['before it', { Expect: '100-continue' }]]) {
		const body = media(20_000_000);
		const answer = await patch(server, '/files/01a21b7c-6267-7aab-b2fb-e3467cc254f8', 0, body, headers);
		refused(answer, 404, 'not_found', how);
		assert.equal(answer.headers.connection, 'close');
	}
	const path = await create(server, 100);
	const small = refused(await patch(server, path, 7, media(50)), 409, 'position_conflict');
	assert.equal(small.headers.connection, 'keep-alive', 'what is left of a small one is dropped');
	const two = await raw(server, `PATCH ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nContent-Type: ${TYPE}\r\nUpload-Offset: 7\r\nContent-Length: 5\r\n\r\n12345`
		+ `HEAD ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nConnection: close\r\n\r\n`);
	assert.match(two.text, /^HTTP\/1\.1 409 [^]*HTTP\/1\.1 200 OK\r\n/);
});

test('checksums of the wrong length, or of unknown kinds', options, async () => {
	const path = await create(server, 100);
	const right = checksum('sha1', media(10));
	for (const sum of ['', 'sha1', 'sha1 ', 'sha1 Zg==', `${right}AAAA`, right.replace('=', ''), right.replace('sha1', 'sha256'), 'md5 1B2M2Y8AsgTpgAmY7PhCfg==', 'crc32 AAAAAA==', 'SHA1 x'])
		refused(await patch(server, path, 0, media(10), { 'Upload-Checksum': sum }), 400, 'bad_field', sum);
	assert.equal((await look(server, path)).headers['upload-offset'], '0');
});

test('metadata that is none', options, async () => {
	for (const text of ['a Zg', 'a Zm9_', 'a Zg== Zg==', ',', 'a Zg==,', 'a,a', 'ä Zg==', 'a  Zg==', 'recording bm9uZQ==', 'recording']) {
		const header = Buffer.from(text, 'utf8').toString('latin1');
		refused(await post({ 'Upload-Length': 5, 'Upload-Metadata': header }), 400, 'bad_field', text);
	}
	refused(await post({ 'Upload-Length': 5, 'Upload-Metadata': metadata({ a: 'x'.repeat(8000) }) }), 431, 'headers_too_large');
	const odd = await create(server, 5, { 'Upload-Metadata': '' });
	assert.equal((await look(server, odd)).status, 200, 'no pairs at all: some clients say that');
	const binary = `filename ${Buffer.from([0, 255, 10]).toString('base64')},filetype ${Buffer.from('<script>').toString('base64')}`;
	const path = await create(server, 5, { 'Upload-Metadata': binary });
	assert.equal((await look(server, path)).headers['upload-metadata'], binary);
});

test('10 MB of metadata', options, async () => {
	const { status } = await raw(server, `POST /files/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 5\r\nUpload-Metadata: a ${'QUFB'.repeat(2_600_000)}\r\n\r\n`);
	assert.equal(status, 431);
});

test('other types of bodies', options, async () => {
	const path = await create(server, 100);
	for (const type of ['', 'application/octet-stream', 'application/offset', 'application/offset+octet-streams', 'application/json'])
		refused(await patch(server, path, 0, media(10), { 'Content-Type': type }), 415, 'unsupported_media', type);
	refused(await ask(server, 'POST', '/files/', { ...TUS, 'Upload-Length': 10, 'Content-Type': 'video/mp4' }, media(10)), 415, 'unsupported_media');
	assert.equal((await patch(server, path, 0, media(10), { 'Content-Type': 'Application/Offset+Octet-Stream; x=y' })).status, 204);
});

test('ids that are none, or of no upload', options, async () => {
	for (const id of ['x', '..', '%2e%2e%2fapi', '00000000-0000-0000-0000-000000000000', 'session:x', 'ref:x']) {
		assert.equal((await look(server, `/files/${id}`)).status, 404, id);
		assert.equal((await patch(server, `/files/${id}`, 0, media(1))).status, 404, id);
		assert.equal((await ask(server, 'DELETE', `/files/${id}`, TUS)).status, 404, id);
		assert.equal((await ask(server, 'GET', `/files/${id}`)).status, 404, id);
	}
});

test('final uploads of what is none', options, async () => {
	const whole = await create(server, 5, {}, media(5));
	const partial = await create(server, 5, { 'Upload-Concat': 'partial' }, media(5));
	for (const text of ['', 'final', 'final;', 'whole', `final;${partial},${partial}`, 'final;/files/x', `final;https://a/x${idOf(partial)}`, `final;${`${partial} `.repeat(300)}`])
		refused(await post({ 'Upload-Concat': text }), 400, 'bad_field', text.slice(0, 99));
	refused(await post({ 'Upload-Concat': `final;${partial}`, 'Upload-Length': 5 }), 400, 'bad_field');
	const missing = await post({ 'Upload-Concat': `final;${partial} /files/00000000-0000-0000-0000-000000000000` });
	assert.equal(missing.status, 404);
	const mixed = await post({ 'Upload-Concat': `final;${whole}` });
	assert.ok(mixed.status >= 400 && mixed.status < 500, 'a whole upload is no part');
	const body = await post({ 'Upload-Concat': `final;${partial}`, 'Content-Type': TYPE }, media(5));
	assert.equal(body.status, 403);
});

test('chunks that are none end the request; what came before stays', options, async () => {
	const path = await create(server, 100);
	const head = `PATCH ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nContent-Type: ${TYPE}\r\nUpload-Offset: 0\r\nTransfer-Encoding: chunked\r\n\r\n`;
	const { status, closed } = await raw(server, `${head}5\r\n12345\r\nnonsense\r\n`);
	assert.equal(status, 400);
	assert.ok(closed);
	assert.equal((await look(server, path)).headers['upload-offset'], '5');
	const both = await raw(server, head.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\n'));
	assert.equal(both.status, 400);
	const gzip = await raw(server, head.replace('chunked', 'gzip, chunked'));
	assert.equal(gzip.status, 411);
});

test('two clients on one upload: the later one has it, the earlier one is ended at once', options, async (t) => {
	const path = await create(server, 1000);
	const first = await hanging(t, server, path, 0, media(100), 1000);
	await until(async () => (await recording(server, idOf(path))).bytes === 100, 10_000, 'durable');
	const began = Date.now();
	assert.equal((await look(server, path)).headers['upload-offset'], '100', 'what came is kept');
	await first.ended;
	assert.ok(Date.now() - began < 2000, 'at once');
	assert.equal(first.got, '', 'there is nothing to be said to it');
	const second = await hanging(t, server, path, 100, media(100), 900);
	await until(async () => (await recording(server, idOf(path))).bytes === 200, 10_000, 'durable');
	refused(await patch(server, path, 100, media(10)), 409, 'position_conflict');
	const third = await patch(server, path, 200, media(800));
	assert.equal(third.status, 204, JSON.stringify(third.body));
	await second.ended;
});
