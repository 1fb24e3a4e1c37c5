// Uploads that are cut off, hang, wait too long or come by the thousand: what arrived is kept, and no offset is told that is not on
// the disk.
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { ask, create, hanging, idOf, look, metadata, patch, refused, TUS, TYPE } from './support/files.mjs';
import { startProxy } from './support/proxy.mjs';
import { atEnd, sharedServer, startServer, until } from './support/server.mjs';
import { api, assertOriginal, isSealed, media, random, recording } from './support/wire.mjs';

const server = sharedServer();
const options = { timeout: 120_000 };
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);

async function* pieces(bytes, size) {
	for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Sends the rest again and again until all is there; how often a link broke. `told`: hears each offset. */
async function persist(at, path, bytes, told = () => {}, how = (rest) => rest) {
	for (let broken = 0; ; broken++) {
		const { headers } = await until(() => look(at, path), 20_000, 'the offset');
		const offset = Number(headers['upload-offset']);
		told(offset);
		if (offset === bytes.length) return broken;
		await patch(at, path, offset, how(bytes.subarray(offset))).catch(() => {});
	}
}

for (const [name, how] of [['counted bodies', (rest) => rest], ['bodies in chunks', (rest) => pieces(rest, 10_007)]])
	test(`${name}, cut at random bytes: what arrived is kept (HOLDFAST_SEED=${SEED})`, options, async (t) => {
		const chance = random(SEED);
		const proxy = await startProxy(t, server);
		const bytes = media(3_000_000, 5);
		const path = await create(server, bytes.length);
		let before = 0, cuts = 0;
		const broken = await persist(proxy, path, bytes, (offset) => {
			assert.ok(offset >= before, `${offset} after ${before}`);
			before = offset;
			if (cuts++ < 10) proxy.cutAfter(Math.floor(chance() * 400_000) + 300);
		}, how);
		assert.ok(broken > 0);
		await assertOriginal(server, idOf(path), bytes);
	});

test('exactly what arrived before a cut is there', options, async (t) => {
	const path = await create(server, 1_000_000);
	const { socket } = await hanging(t, server, path, 0, media(123_457), 1_000_000);
	await until(async () => (await recording(server, idOf(path))).bytes === 123_457, 10_000, 'durable');
	socket.resetAndDestroy();
	assert.equal((await look(server, path)).headers['upload-offset'], '123457');
	await assertOriginal(server, idOf(path), media(123_457));
});

test(`kill -9 in the middle: no offset that was told is taken back (HOLDFAST_SEED=${SEED})`, options, async (t) => {
	const chance = random(SEED);
	const own = await startServer(t);
	const bytes = media(8_000_000, 9);
	const said = metadata({ filename: 'a.webm' });
	const path = await create(own, bytes.length, { 'Upload-Metadata': said });
	let told = 0, over = false;
	const sending = (async () => {
		while (!over) {
			try {
				const { status, headers } = await look(own, path);
				assert.equal(status, 200);
				const offset = Number(headers['upload-offset']);
				assert.ok(offset >= told, `${told} were told, ${offset} are there`);
				assert.equal(headers['upload-metadata'], said);
				told = offset;
				if (offset === bytes.length) return;
				const { headers: after } = await patch(own, path, offset, bytes.subarray(offset, offset + 200_000));
				told = Number(after['upload-offset'] ?? told);
			} catch (error) {
				if (error.name === 'AssertionError') throw error;
				await new Promise((resolve) => setTimeout(resolve, 10));
			}
		}
	})();
	sending.catch(() => {});
	for (let kill = 0; kill < 4; kill++) {
		await new Promise((resolve) => setTimeout(resolve, chance() * 300)); // the moment is the point
		await own.kill();
		await own.start();
	}
	await sending.finally(() => { over = true; });
	await until(async () => isSealed(await recording(own, idOf(path))), 10_000, 'sealed');
	await assertOriginal(own, idOf(path), bytes);
});

test('a request that hangs is taken over at once, also by one that sends', options, async (t) => {
	const bytes = media(500_000);
	const path = await create(server, bytes.length);
	const proxy = await startProxy(t, server);
	let offset = 0;
	for (const end of [100_000, 200_000, 300_000]) { // links that died without a word
		await hanging(t, proxy, path, offset, bytes.subarray(offset, end), bytes.length - offset);
		await until(async () => (await recording(server, idOf(path))).bytes === end, 10_000, 'durable');
		proxy.mode = 'blackhole';
		const began = Date.now();
		if (end !== 200_000) assert.equal((await look(server, path)).headers['upload-offset'], String(end));
		assert.ok(Date.now() - began < 2000, 'not the rest of a time-out');
		offset = end;
		proxy.mode = 'pass';
	}
	assert.equal((await patch(server, path, offset, bytes.subarray(offset))).status, 204);
	await assertOriginal(server, idOf(path), bytes);
	proxy.mode = 'pass';
});

test('a download during an upload has what is durable, and does not hold the upload up', options, async (t) => {
	const bytes = media(2_000_000);
	const path = await create(server, bytes.length);
	await hanging(t, server, path, 0, bytes.subarray(0, 700_000), bytes.length);
	await until(async () => (await recording(server, idOf(path))).bytes === 700_000, 10_000, 'durable');
	const part = await ask(server, 'GET', path, { Range: 'bytes=699990-' });
	assert.equal(part.status, 206);
	assert.ok(part.bytes.equals(bytes.subarray(699_990, 700_000)));
	const whole = await ask(server, 'GET', path);
	assert.equal(whole.status, 200);
	assert.ok(whole.bytes.equals(bytes.subarray(0, 700_000)));
	assert.equal((await patch(server, path, 700_000, bytes.subarray(700_000))).status, 204);
	await assertOriginal(server, idOf(path), bytes);
});

test('a thousand small uploads over eight connections', options, async (t) => {
	const own = await startServer(t);
	const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
	atEnd(t, () => agent.destroy());
	const paths = await Promise.all(Array.from({ length: 1000 }, async (_, n) => {
		const bytes = media(1000 + n, n);
		const made = await ask(own, 'POST', '/files/', { ...TUS, 'Content-Type': TYPE, 'Upload-Length': bytes.length, 'Upload-Metadata': metadata({ filename: `${n}.bin` }) }, bytes, { agent });
		assert.equal(made.status, 201, JSON.stringify(made.body));
		assert.equal(made.headers['upload-offset'], String(bytes.length));
		return made.headers.location;
	}));
	assert.equal(new Set(paths).size, 1000);
	for (const n of [0, 1, 499, 998, 999]) {
		assert.equal((await recording(own, idOf(paths[n]))).name, `${n}.bin`);
		await assertOriginal(own, idOf(paths[n]), media(1000 + n, n));
	}
});

test('a large body in chunks of any size, and Expect', options, async () => {
	const bytes = media(5_000_000);
	for (const size of [5_000_000, 65_536, 1013]) {
		const path = await create(server, null, { 'Upload-Defer-Length': 1 });
		const sent = await patch(server, path, 0, pieces(bytes, size), { 'Upload-Length': bytes.length, Expect: '100-continue' });
		assert.equal(sent.status, 204, JSON.stringify(sent.body));
		assert.deepEqual(sent.interim.map(({ status }) => status), [100]);
		await assertOriginal(server, idOf(path), bytes);
	}
});

test('many requests on one connection, one behind the other in one piece', options, async (t) => {
	const bytes = media(40_000);
	const path = await create(server, bytes.length);
	const head = (offset, length) => `PATCH ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nContent-Type: ${TYPE}\r\nUpload-Offset: ${offset}\r\nContent-Length: ${length}\r\n\r\n`;
	const all = [];
	for (let at = 0; at < bytes.length; at += 4000) all.push(Buffer.from(head(at, 4000)), bytes.subarray(at, at + 4000));
	const socket = net.connect(server.port, '127.0.0.1', () => socket.write(Buffer.concat(all)));
	t.after(() => socket.destroy());
	let got = '';
	socket.on('data', (data) => {
		got += data;
	});
	await until(() => got.split('HTTP/1.1 204').length === 11, 10_000, 'ten answers');
	assert.match(got, /Upload-Offset: 40000\r\n/);
	await assertOriginal(server, idOf(path), bytes);
});

test('a stop ends an upload under way, which goes on afterwards', options, async (t) => {
	const own = await startServer(t);
	const bytes = media(300_000);
	const path = await create(own, bytes.length);
	const slow = await hanging(t, own, path, 0, bytes.subarray(0, 100_000), bytes.length);
	await until(async () => (await recording(own, idOf(path))).bytes === 100_000, 10_000, 'durable');
	const began = Date.now();
	assert.equal((await own.stop()).code, 0);
	assert.ok(Date.now() - began < 10_000, 'it does not wait for the body');
	await slow.ended;
	await own.start();
	assert.equal((await look(own, path)).headers['upload-offset'], '100000');
	assert.equal((await patch(own, path, 100_000, bytes.subarray(100_000))).status, 204);
	await assertOriginal(own, idOf(path), bytes);
});

test('what nobody goes on with expires, and is 410 then; what is whole stays', options, async (t) => {
	const own = await startServer(t, { args: ['--upload-expires', '2s'] });
	const left = await create(own, 1000, {}, media(10));
	const whole = await create(own, 1000, {}, media(1000));
	const expires = Date.parse((await look(own, left)).headers['upload-expires']);
	assert.ok(Math.abs(expires - Date.now() - 2000) < 2000, String(expires));
	await until(async () => (await look(own, left)).status === 410, 20_000, 'expired');
	assert.equal((await look(own, left)).headers['upload-offset'], undefined);
	refused(await patch(own, left, 10, media(10)), 410, 'deleted');
	refused(await ask(own, 'DELETE', left, TUS), 410, 'deleted');
	await until(async () => (await ask(own, 'GET', left)).status === 410, 10_000, 'swept');
	assert.equal((await api(own, `/api/recordings/${idOf(left)}`)).status, 410);
	await assertOriginal(own, idOf(whole), media(1000));
	assert.equal((await look(own, whole)).status, 200);
});
