// Clients that others wrote, against the real server: tus-js-client, Uppy in a browser, curl. Links break at random bytes, the
// server is killed in the middle, and what arrives is what was sent.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import * as tus from 'tus-js-client';
import { DRAFT, idOf, look, TUS } from './support/files.mjs';
import { launch } from './support/page.mjs';
import { startProxy } from './support/proxy.mjs';
import { atEnd, ROOT, sharedServer, startServer, tempDir, until, within } from './support/server.mjs';
import { api, assertOriginal, isSealed, media, random, recording } from './support/wire.mjs';

const server = sharedServer();
const options = { timeout: 180_000 };
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);
const run = promisify(execFile);

/** tus-js-client sends `source` to its end; the upload's path. */
function upload(at, source, more = {}) {
	return within(new Promise((resolve, reject) => {
		const sending = new tus.Upload(source, { endpoint: `${at.url}/files/`, retryDelays: Array(200).fill(20), onError: reject,
			onSuccess: () => resolve(new URL(sending.url).pathname), ...more });
		more.made?.(sending);
		sending.start();
	}), 120_000, 'the upload');
}

const sealed = (at, id) => until(async () => {
	const info = await recording(at, id);
	return isSealed(info) && info;
}, 20_000, 'sealed');

test('tus-js-client: a buffer, its Location a path, with name and type', options, async () => {
	const bytes = media(3_000_000);
	const path = await upload(server, bytes, { metadata: { filename: 'Film ä.mp4', filetype: 'video/mp4' } });
	const info = await sealed(server, idOf(path));
	assert.equal(info.name, 'Film ä.mp4');
	assert.equal(info.mime, 'video/mp4');
	await assertOriginal(server, idOf(path), bytes);
});

test('tus-js-client: in pieces, with the data at the creation, and instead of PATCH a POST', options, async () => {
	const bytes = media(1_000_000);
	for (const more of [{ chunkSize: 100_000 }, { uploadDataDuringCreation: true }, { uploadDataDuringCreation: true, chunkSize: 300_000 }, { overridePatchMethod: true },
		{ addRequestId: true }])
		await assertOriginal(server, idOf(await upload(server, bytes, more)), bytes);
});

test('tus-js-client: ended when it was whole, it is not there', options, async () => {
	const path = await upload(server, media(100_000), { metadata: { nonlatin: 'słońce', number: 100 } });
	await tus.Upload.terminate(`${server.url}${path}`);
	assert.equal((await fetch(`${server.url}${path}`)).status, 404);
	assert.equal((await look(server, path)).status, 410);
	assert.equal((await api(server, `/api/recordings/${idOf(path)}`)).status, 410);
});

test('tus-js-client: nothing at all', options, async () => {
	const path = await upload(server, Buffer.alloc(0));
	await sealed(server, idOf(path));
	await assertOriginal(server, idOf(path), Buffer.alloc(0));
});

test('tus-js-client: a stream whose length is not known before its end', options, async () => {
	const bytes = media(1_234_567);
	const stream = new PassThrough({ highWaterMark: 2_000_000 }); // a stream that has still to find its end makes this client wait for ever
	stream.end(bytes);
	const path = await upload(server, stream, { uploadLengthDeferred: true, chunkSize: 200_000 });
	await assertOriginal(server, idOf(path), bytes);
});

test('tus-js-client: several connections for one file', options, async () => {
	const bytes = media(5_000_001);
	const before = new Set((await api(server, '/api/recordings')).body.items.map(({ id }) => id));
	let client;
	const path = await upload(server, bytes, { parallelUploads: 4, metadata: { filename: 'parts.bin' }, made: (it) => { client = it; } });
	const info = await sealed(server, idOf(path));
	assert.equal(info.name, 'parts.bin');
	await assertOriginal(server, idOf(path), bytes);
	const listed = (await api(server, '/api/recordings')).body.items.map(({ id }) => id).filter((id) => !before.has(id));
	assert.deepEqual(listed, [idOf(path)], 'no part is listed');
	const ended = [];
	client.options.onAfterResponse = (request, response) => ended.push([request.getMethod(), response.getStatus()]);
	for (const part of client._parallelUploads) part.options.onAfterResponse = client.options.onAfterResponse;
	await client.abort(true); // it ends the parts, too, and an answer that says no is nobody's to catch
	await until(() => ended.length === 5, 10_000, 'all are ended');
	assert.deepEqual(ended, Array(5).fill(['DELETE', 204]));
});

test('tus-js-client speaks drafts, too', options, async () => {
	const bytes = media(700_000);
	for (const protocol of ['ietf-draft-03', 'ietf-draft-05']) {
		const path = await upload(server, bytes, { protocol, chunkSize: 300_000 });
		await assertOriginal(server, idOf(path), bytes);
	}
});

test(`tus-js-client over a link that breaks at random bytes (HOLDFAST_SEED=${SEED})`, options, async (t) => {
	const chance = random(SEED);
	const proxy = await startProxy(t, server);
	for (const more of [{}, { chunkSize: 500_000 }, { parallelUploads: 3 }, { uploadDataDuringCreation: true }]) {
		const bytes = media(4_000_000, 7);
		let cuts = 0, over = false;
		const cutting = (async () => {
			while (cuts < 8 && !over) {
				await Promise.race([proxy.cutAfter(Math.floor(chance() * 1_000_000) + 1), until(() => over, 120_000, 'the end')]);
				cuts++;
			}
		})();
		const path = await upload(proxy, bytes, more).finally(() => { over = true; });
		await cutting;
		await sealed(server, idOf(path)); // one of several parts is put together behind its creation
		await assertOriginal(server, idOf(path), bytes);
	}
});

test(`tus-js-client while the server is killed and started (HOLDFAST_SEED=${SEED})`, options, async (t) => {
	const chance = random(SEED);
	const own = await startServer(t);
	const bytes = media(40_000_000, 3);
	let sent = 0;
	const sending = upload(own, bytes, { chunkSize: 3_000_000, onProgress: (now) => { sent = now; } });
	sending.catch(() => {});
	for (let kill = 1; kill <= 3; kill++) {
		await until(() => sent > kill * 8_000_000 + chance() * 3_000_000, 60_000, 'progress');
		await own.kill();
		await own.start();
	}
	const path = await sending;
	await sealed(own, idOf(path));
	await assertOriginal(own, idOf(path), bytes);
});

test('curl: the whole file with one command, and a file that goes on', options, async (t) => {
	const bytes = media(2_000_000);
	const file = join(tempDir(t), 'film.mp4');
	writeFileSync(file, bytes);
	const curl = async (...args) => (await run('curl', ['-sS', '-i', '--max-time', '30', ...args])).stdout;
	const once = await curl('-T', file, '-H', 'Upload-Complete: ?1', '-H', 'Content-Type: video/mp4', `${server.url}/files`);
	assert.match(once, /^HTTP\/1\.1 100 [^]*HTTP\/1\.1 201 /);
	const path = /^Location: (\S+)/m.exec(once)[1];
	await assertOriginal(server, idOf(path), bytes);
	assert.equal((await recording(server, idOf(path))).mime, 'video/mp4');

	const chunked = await curl('-T', file, '-H', 'Transfer-Encoding: chunked', '-H', 'Upload-Complete: ?1', '-H', 'Upload-Draft-Interop-Version: 8', `${server.url}/files`);
	assert.match(chunked, /HTTP\/1\.1 104 Upload Resumption Supported\r\n[^]*HTTP\/1\.1 201 /);
	await assertOriginal(server, idOf(/^Location: (\S+)/m.exec(chunked)[1]), bytes);

	const made = await curl('-X', 'POST', '-H', 'Tus-Resumable: 1.0.0', '-H', `Upload-Length: ${bytes.length}`, `${server.url}/files/`);
	const tusPath = /^Location: (\S+)/m.exec(made)[1];
	writeFileSync(file, bytes.subarray(0, 777_777));
	const patched = await curl('-X', 'PATCH', '-T', file, '-H', 'Tus-Resumable: 1.0.0', '-H', 'Upload-Offset: 0', '-H', 'Content-Type: application/offset+octet-stream', server.url + tusPath);
	assert.match(patched, /HTTP\/1\.1 204 /);
	const { headers } = await look(server, tusPath, TUS);
	assert.equal(headers['upload-offset'], '777777');
	assert.equal((await look(server, tusPath, DRAFT)).headers['upload-offset'], '777777');
});

/** A page that has Uppy, served by somebody else than the server. */
async function uppyPage(t) {
	const { outputFiles: [{ text }] } = await build({ bundle: true, write: false, format: 'iife', platform: 'browser', logLevel: 'error',
		stdin: { resolveDir: ROOT, contents: `
			import Uppy from '@uppy/core';
			import Tus from '@uppy/tus';
			window.send = (endpoint, files, more) => new Promise((resolve, reject) => {
				const uppy = new Uppy().use(Tus, { endpoint, retryDelays: Array(100).fill(50), ...more });
				for (const [name, bytes] of files) uppy.addFile({ name, type: 'video/webm', data: new Blob([bytes], { type: 'video/webm' }) });
				uppy.upload().then(({ successful, failed }) => failed.length ? reject(new Error(String(failed[0].error))) : resolve(successful.map((file) => [file.name, file.uploadURL])), reject);
			});` } });
	const site = createServer((request, response) => {
		response.setHeader('Content-Type', request.url === '/uppy.js' ? 'text/javascript' : 'text/html');
		response.end(request.url === '/uppy.js' ? text : '<!doctype html><title>Uppy</title><script src="/uppy.js"></script>');
	});
	await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
	atEnd(t, () => new Promise((resolve) => {
		site.closeAllConnections();
		site.close(resolve);
	}));
	return `http://127.0.0.1:${site.address().port}`;
}

test(`Uppy on a page of elsewhere, over a link that breaks (HOLDFAST_SEED=${SEED})`, options, async (t) => {
	const page = await uppyPage(t);
	const own = await startServer(t, { args: ['--allow-origin', page] });
	const proxy = await startProxy(t, own);
	const browser = await launch({ shell: true });
	atEnd(t, () => browser.close());
	const tab = await browser.newPage();
	await tab.goto(page);
	const chance = random(SEED);
	let over = false, cuts = 0;
	const cutting = (async () => {
		while (cuts < 5 && !over) {
			await Promise.race([proxy.cutAfter(Math.floor(chance() * 1_500_000) + 1), until(() => over, 120_000, 'the end')]);
			cuts++;
		}
	})();
	const sent = await within(tab.evaluate(async (endpoint) => {
		const files = [0, 1, 2].map((n) => [`Film ${n}.webm`, Uint8Array.from({ length: 2_000_000 }, (_, i) => (i * 31 + (i >> 8) * 7 + n) & 255)]);
		return window.send(endpoint, files, {});
	}, `${proxy.url}/files/`), 120_000, 'Uppy').finally(() => { over = true; });
	await cutting;
	assert.equal(sent.length, 3);
	for (const [name, url] of sent) {
		const n = Number(/\d/.exec(name)[0]);
		const id = idOf(new URL(url).pathname);
		assert.equal((await recording(own, id)).name, name);
		await assertOriginal(own, id, Buffer.from(Uint8Array.from({ length: 2_000_000 }, (_, i) => (i * 31 + (i >> 8) * 7 + n) & 255)));
	}
});
