// Uploads in tus 1.0.0, by hand: every status and header of the specification, and that an upload is a recording like any other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, checksum, create, hanging, idOf, look, metadata, patch, refused, TUS, TYPE } from './support/files.mjs';
import { sharedServer, until } from './support/server.mjs';
import { as, mint } from './support/tokens.mjs';
import { api, assertOriginal, isSealed, media, recording } from './support/wire.mjs';

const server = sharedServer({ args: ['--allow-origin', 'https://studio.example'] });
const options = { timeout: 60_000 };

test('OPTIONS says what is spoken, to anybody', options, async () => {
	for (const path of ['/files', '/files/', '/files/01a21b7c-6267-7aab-b2fb-e3467cc254f8']) {
		const { status, headers } = await ask(server, 'OPTIONS', path, { 'Tus-Resumable': '9.9.9' });
		assert.equal(status, 204);
		assert.equal(headers['tus-resumable'], '1.0.0');
		assert.equal(headers['tus-version'], '1.0.0');
		assert.equal(headers['tus-extension'], 'creation,creation-with-upload,creation-defer-length,checksum,expiration,termination,concatenation');
		assert.equal(Number(headers['tus-max-size']), 2 ** 44);
		assert.equal(headers['tus-checksum-algorithm'], 'sha1,sha256,crc32c');
		assert.equal(headers['accept-patch'], 'application/offset+octet-stream, application/partial-upload');
		assert.match(headers['upload-limit'], /^max-size=\d+, min-size=0, max-age=604800$/);
	}
});

test('create, append twice, look between: then it is a recording', options, async () => {
	const bytes = media(300_000);
	const said = metadata({ filename: 'Böse Datei.WebM', filetype: 'video/webm', empty: '', bare: null });
	const path = await create(server, bytes.length, { 'Upload-Metadata': said });
	let state = await look(server, path);
	assert.equal(state.status, 200);
	assert.equal(state.headers['upload-offset'], '0');
	assert.equal(state.headers['upload-length'], String(bytes.length));
	assert.equal(state.headers['upload-metadata'], said, 'exactly as it came');
	assert.equal(state.headers['cache-control'], 'no-store');
	const left = Date.parse(state.headers['upload-expires']) - Date.now();
	assert.ok(left > 6.9 * 86400e3 && left < 7.1 * 86400e3, state.headers['upload-expires']);

	const first = await patch(server, path, 0, bytes.subarray(0, 100_000));
	assert.equal(first.status, 204);
	assert.equal(first.headers['upload-offset'], '100000');
	assert.ok(first.headers['upload-expires'], 'while it is unfinished');
	assert.equal((await recording(server, idOf(path))).phase, 'uploading');
	await assertOriginal(server, idOf(path), bytes.subarray(0, 100_000));
	const during = await ask(server, 'GET', path);
	assert.equal(during.status, 200);
	assert.ok(during.bytes.equals(bytes.subarray(0, 100_000)), 'what is durable, during the upload');

	const second = await patch(server, path, 100_000, bytes.subarray(100_000));
	assert.equal(second.status, 204);
	assert.equal(second.headers['upload-offset'], String(bytes.length));
	assert.equal(second.headers['upload-expires'], undefined, 'it is whole');
	state = await look(server, path);
	assert.equal(state.headers['upload-offset'], state.headers['upload-length']);
	const info = await until(async () => isSealed(await recording(server, idOf(path))) && recording(server, idOf(path)), 10_000, 'sealed');
	assert.equal(info.name, 'Böse Datei.WebM');
	assert.equal(info.mime, 'video/webm');
	await assertOriginal(server, idOf(path), bytes);
	assert.ok((await ask(server, 'GET', path)).bytes.equals(bytes));
});

test('creation with upload, whole or the first part', options, async () => {
	const bytes = media(5000);
	for (const part of [5000, 1234, 0]) {
		const made = await ask(server, 'POST', '/files', { ...TUS, 'Upload-Length': 5000, 'Content-Type': TYPE }, bytes.subarray(0, part));
		assert.equal(made.status, 201);
		assert.equal(made.headers['upload-offset'], String(part));
		assert.equal(Boolean(made.headers['upload-expires']), part < 5000);
		if (part < 5000) assert.equal((await patch(server, made.headers.location, part, bytes.subarray(part))).status, 204);
		await assertOriginal(server, idOf(made.headers.location), bytes);
	}
});

test('an upload of no bytes is whole at once', options, async () => {
	const path = await create(server, 0);
	const state = await look(server, path);
	assert.equal(state.headers['upload-offset'], '0');
	assert.equal(state.headers['upload-length'], '0');
	assert.equal(state.headers['upload-expires'], undefined);
	await until(async () => isSealed(await recording(server, idOf(path))), 10_000, 'sealed');
});

test('the length may come later, once', options, async () => {
	const bytes = media(3000);
	const path = await create(server, null, { 'Upload-Defer-Length': 1 });
	let state = await look(server, path);
	assert.equal(state.headers['upload-defer-length'], '1');
	assert.equal(state.headers['upload-length'], undefined);
	assert.equal((await patch(server, path, 0, bytes.subarray(0, 1000))).status, 204);
	assert.equal((await patch(server, path, 1000, bytes.subarray(1000, 2000), { 'Upload-Length': 3000 })).status, 204);
	state = await look(server, path);
	assert.equal(state.headers['upload-length'], '3000');
	assert.equal(state.headers['upload-defer-length'], undefined);
	refused(await patch(server, path, 2000, bytes.subarray(2000), { 'Upload-Length': 3001 }), 400, 'length_mismatch');
	assert.equal((await patch(server, path, 2000, bytes.subarray(2000), { 'Upload-Length': 3000 })).status, 204);
	await assertOriginal(server, idOf(path), bytes);
});

test('a length that is said later is not below what there is', options, async () => {
	const path = await create(server, null, { 'Upload-Defer-Length': 1 }, media(5));
	refused(await patch(server, path, 5, media(1), { 'Upload-Length': 3 }), 400, 'length_mismatch');
	refused(await patch(server, path, 5, media(3), { 'Upload-Length': 7 }), 413);
	assert.equal((await look(server, path)).headers['upload-defer-length'], '1', 'nothing was changed');
});

test('a checksum that fits is taken, another one discards its bytes', options, async () => {
	const bytes = media(9000);
	const path = await create(server, bytes.length);
	let offset = 0;
	for (const algorithm of ['sha1', 'sha256', 'crc32c']) {
		const piece = bytes.subarray(offset, offset + 3000);
		const wrong = await patch(server, path, offset, piece, { 'Upload-Checksum': checksum(algorithm, Buffer.from('other')) });
		refused(wrong, 460, 'checksum_mismatch', algorithm);
		assert.equal((await look(server, path)).headers['upload-offset'], String(offset), 'nothing of it counts');
		const right = await patch(server, path, offset, piece, { 'Upload-Checksum': checksum(algorithm, piece) });
		assert.equal(right.status, 204, algorithm);
		offset += 3000;
	}
	await assertOriginal(server, idOf(path), bytes);
	const whole = await ask(server, 'POST', '/files/', { ...TUS, 'Upload-Length': 9000, 'Content-Type': TYPE, 'Upload-Checksum': checksum('sha1', bytes) }, bytes);
	assert.equal(whole.status, 201);
	const wrong = refused(await ask(server, 'POST', '/files/', { ...TUS, 'Upload-Length': 9000, 'Content-Type': TYPE, 'Upload-Checksum': checksum('sha1', media(1)) }, bytes), 460);
	assert.equal((await patch(server, wrong.headers.location, 0, bytes)).status, 204, 'it was made, and can be gone on with');
});

test('partial uploads become one', options, async () => {
	const bytes = media(40_000);
	const parts = [];
	for (const [from, to] of [[0, 15_000], [15_000, 40_000]])
		parts.push(await create(server, to - from, { 'Upload-Concat': 'partial' }, bytes.subarray(from, to)));
	assert.equal((await look(server, parts[0])).headers['upload-concat'], 'partial');
	assert.equal((await api(server, `/api/recordings/${idOf(parts[0])}`)).status, 404, 'a partial upload is no recording');
	const list = `final;${parts[0]} http://127.0.0.1:${server.port}${parts[1]}`;
	const path = await create(server, null, { 'Upload-Concat': list, 'Upload-Metadata': metadata({ name: 'From parts' }) });
	const state = await look(server, path); // whole as soon as its client hears of it
	assert.equal(state.headers['upload-concat'], list, 'the list is given back as it came');
	assert.equal(state.headers['upload-length'], '40000');
	assert.equal(state.headers['upload-offset'], '40000');
	await assertOriginal(server, idOf(path), bytes);
	assert.equal((await patch(server, path, 40_000, media(1))).status, 403, 'a final upload takes no bytes');
	const unfinished = await create(server, 10, { 'Upload-Concat': 'partial' });
	refused(await ask(server, 'POST', '/files/', { ...TUS, 'Upload-Concat': `final;${unfinished}` }), 409, 'upload_incomplete');
});

test('DELETE ends an upload, also one that is under way: 204, then 410', options, async (t) => {
	const path = await create(server, 1000);
	const slow = await hanging(t, server, path, 0, media(10), 1000);
	await until(async () => (await recording(server, idOf(path))).bytes === 10, 10_000, 'durable');
	assert.equal((await ask(server, 'DELETE', path, TUS)).status, 204);
	await slow.ended;
	const gone = await look(server, path);
	assert.equal(gone.status, 410);
	assert.equal(gone.headers['upload-offset'], undefined);
	refused(await patch(server, path, 0, media(10)), 410, 'deleted');
	refused(await ask(server, 'DELETE', path, TUS), 410, 'deleted');
});

test('X-HTTP-Method-Override stands for the method', options, async () => {
	const bytes = media(100);
	const path = await create(server, 100);
	const sent = await ask(server, 'POST', path, { ...TUS, 'X-HTTP-Method-Override': 'PATCH', 'Content-Type': TYPE, 'Upload-Offset': 0 }, bytes.subarray(0, 50));
	assert.equal(sent.status, 204);
	const state = await ask(server, 'POST', path, { ...TUS, 'X-HTTP-Method-Override': 'HEAD' });
	assert.equal(state.headers['upload-offset'], '50');
	assert.equal((await ask(server, 'POST', path, { ...TUS, 'X-HTTP-Method-Override': 'DELETE' })).status, 204);
	assert.equal((await ask(server, 'POST', path, { ...TUS, 'X-HTTP-Method-Override': 'BREW' })).status, 405);
	assert.equal((await ask(server, 'GET', '/api/recordings', { 'X-HTTP-Method-Override': 'POST' })).status, 200, 'elsewhere it means nothing');
});

test('every answer says the version, and a wrong one is refused before anything is done', options, async () => {
	const path = await create(server, 10);
	for (const [method, at] of [['POST', '/files/'], ['PATCH', path], ['HEAD', path], ['DELETE', path]])
		for (const version of [{}, { 'Tus-Resumable': '0.2.2' }, { 'Tus-Resumable': '1.0.1' }, { 'Tus-Resumable': '' }]) {
			const wrong = await ask(server, method, at, { 'Upload-Length': 10, 'Content-Type': TYPE, 'Upload-Offset': 0, ...version });
			assert.equal(wrong.status, 412, `${method} ${JSON.stringify(version)}`);
			assert.equal(wrong.headers['tus-version'], '1.0.0');
			assert.equal(wrong.headers['tus-resumable'], '1.0.0');
		}
	assert.equal((await look(server, path)).headers['upload-offset'], '0');
	for (const answer of [await ask(server, 'PUT', path, TUS), await look(server, '/files/none'), await ask(server, 'POST', '/files/', { ...TUS, Host: 'elsewhere.example' })]) {
		assert.ok(answer.status >= 400);
		assert.equal(answer.headers['tus-resumable'], '1.0.0');
	}
});

test('pages of --allow-origin may do all of it, others nothing', options, async () => {
	const page = { Origin: 'https://studio.example' };
	for (const path of ['/files/', '/files/01a21b7c-6267-7aab-b2fb-e3467cc254f8']) {
		const { status, headers } = await ask(server, 'OPTIONS', path, { ...page, 'Access-Control-Request-Method': 'PATCH', 'Access-Control-Request-Headers': 'tus-resumable' });
		assert.equal(status, 204);
		assert.equal(headers['access-control-allow-origin'], page.Origin);
		for (const method of ['OPTIONS', 'POST', 'HEAD', 'PATCH', 'DELETE', 'GET']) assert.match(headers['access-control-allow-methods'], new RegExp(`\\b${method}\\b`));
		for (const name of ['Authorization', 'Content-Type', 'Tus-Resumable', 'Upload-Length', 'Upload-Defer-Length', 'Upload-Offset', 'Upload-Metadata',
			'Upload-Concat', 'Upload-Checksum', 'X-HTTP-Method-Override', 'Upload-Complete', 'Upload-Draft-Interop-Version', 'Content-Digest'])
			assert.match(headers['access-control-allow-headers'], new RegExp(`\\b${name}\\b`), name);
	}
	const made = await ask(server, 'POST', '/files/', { ...TUS, ...page, 'Upload-Length': 5 });
	assert.equal(made.status, 201);
	assert.equal(made.headers['access-control-allow-origin'], page.Origin);
	for (const name of ['Location', 'Upload-Offset', 'Upload-Length', 'Upload-Metadata', 'Upload-Concat', 'Upload-Expires', 'Tus-Resumable', 'Tus-Version',
		'Tus-Extension', 'Tus-Max-Size', 'Upload-Complete', 'Upload-Limit', 'Upload-Draft-Interop-Version'])
		assert.match(made.headers['access-control-expose-headers'], new RegExp(`\\b${name}\\b`), name);
	refused(await ask(server, 'POST', '/files/', { ...TUS, Origin: 'https://evil.example', 'Upload-Length': 5 }), 403, 'forbidden_origin');
});

test('who may: a token with record, import or admin, each its own', options, async () => {
	const outside = { Host: 'studio.example' };
	refused(await ask(server, 'POST', '/files/', { ...TUS, ...outside, 'Upload-Length': 5 }), 401, 'unauthorized');
	assert.equal((await ask(server, 'OPTIONS', '/files/', outside)).status, 204);
	const reader = as(mint(server, 'play').token).headers;
	refused(await ask(server, 'POST', '/files/', { ...TUS, ...outside, ...reader, 'Upload-Length': 5 }), 403, 'forbidden_scope');
	const path = await create(server, 5, { ...outside, ...as(mint(server, 'import', '--subject', 'ann').token).headers });
	const other = as(mint(server, 'record', '--subject', 'bob').token).headers;
	assert.equal((await look(server, path, { ...TUS, ...outside, ...other })).status, 404);
	refused(await patch(server, path, 0, media(5), { ...outside, ...other }), 404, 'not_found');
	assert.equal((await look(server, path)).headers['upload-offset'], '0');
	const small = as(mint(server, 'record', '--max-bytes', '1000').token).headers;
	assert.equal((await ask(server, 'POST', '/files/', { ...TUS, ...outside, ...small, 'Upload-Length': 1001 })).status, 413);
});

test('an empty body says nothing new, and an upload that is whole is not changed by one', options, async () => {
	const path = await create(server, 10);
	const nothing = await patch(server, path, 0, Buffer.alloc(0));
	assert.equal(nothing.status, 204);
	assert.equal(nothing.headers['upload-offset'], '0');
	assert.equal((await patch(server, path, 0, media(10))).status, 204);
	const again = await patch(server, path, 10, Buffer.alloc(0));
	assert.equal(again.status, 204);
	assert.equal(again.headers['upload-offset'], '10');
	assert.equal((await patch(server, path, 0, media(10))).status, 409);
});
