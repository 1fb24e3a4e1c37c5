// Links that drop: cut at random byte positions, half-open, stalled, refused. Every take ends byte for byte equal.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startProxy } from './support/proxy.mjs';
import { sharedServer, startServer, until } from './support/server.mjs';
import { Taker } from './support/taker.mjs';
import { assertOriginal, media, random, recording, sessionId, Wire, wire } from './support/wire.mjs';

const server = sharedServer();
const options = { timeout: 120_000 };
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);

test(`a take by hand, cut 60 times at random bytes (HOLDFAST_SEED=${SEED})`, options, async (t) => {
	const chance = random(SEED);
	const proxy = await startProxy(t, server);
	const bytes = media(3_000_000, SEED);
	const session = sessionId();
	let acked = 0;
	let id;
	for (let cuts = 0; ; cuts++) {
		const w = await new Wire(proxy.url).opened();
		const cut = cuts < 60 ? proxy.cutAfter(1 + Math.floor(chance() ** 3 * 100_000)) : null;
		w.send({ type: 'start', sessionId: session, mime: 'video/webm', ext: 'webm', from: acked });
		const started = await Promise.race([w.next('started').catch(() => null), cut].filter(Boolean));
		if (started) {
			id = started.id;
			assert.ok(started.bytes >= acked, `acked ${acked}, and then only ${started.bytes} are there`);
			for (let at = started.bytes; at < bytes.length;) {
				const size = 1 + Math.floor(chance() * 20_000);
				w.binary(bytes.subarray(at, at + size));
				at += size;
			}
			if (!cut) {
				w.send({ type: 'end', totalBytes: bytes.length });
				await w.next('saved');
				await w.close();
				break;
			}
			await cut;
		}
		await w.closed;
		acked = Math.max(acked, w.acked);
	}
	await assertOriginal(server, id, bytes);
	assert.equal((await recording(server, id)).revision, 1);
});

test(`eight senders at once over links that are cut at random bytes (HOLDFAST_SEED=${SEED})`, options, async (t) => {
	const chance = random(SEED + 1);
	const one = async (n) => {
		const proxy = await startProxy(t, server);
		const taker = new Taker(t, proxy);
		let total = 0;
		taker.feed(() => media(1 + Math.floor(chance() * 30_000), ++total * 8 + n), 5);
		for (let cuts = 0; cuts < 12; cuts++) {
			await proxy.cutAfter(1 + Math.floor(chance() * 200_000));
			if (chance() < 0.3) { // and sometimes it is away for a while
				proxy.mode = 'refuse';
				await taker.when((sender) => sender.link === 'waiting' && sender.reason === 'network', 10_000, 'waiting');
				proxy.heal();
			}
		}
		await taker.finish(server);
		assert.ok(taker.sender.reconnects > 3);
	};
	await Promise.all(Array.from({ length: 8 }, (_, n) => one(n)));
});

test('a half-open link: the server and the sender both notice, and the take goes on', options, async (t) => {
	const own = await startServer(t, { args: ['--heartbeat', '1s', '--grace', '30s'] });
	const proxy = await startProxy(t, own);
	const taker = new Taker(t, proxy);
	let n = 0;
	taker.feed(() => media(5000, ++n), 20);
	await taker.when((sender) => sender.safe > 100_000, 10_000, 'bytes are safe');
	proxy.mode = 'blackhole';
	const connections = proxy.connections;
	await taker.when((sender) => sender.link !== 'sending', 10_000, 'the sender notices the silence');
	await until(async () => !(await recording(own, taker.sender.id)).attached, 10_000, 'the server notices');
	proxy.heal();
	await taker.finish(own);
	assert.ok(proxy.connections > connections);
});

test('a resume before the server has noticed that the old link died', options, async (t) => {
	const proxy = await startProxy(t, server);
	const session = sessionId();
	const old = await new Wire(proxy.url).opened();
	const { id } = await old.start({ sessionId: session });
	old.binary(media(100));
	await old.untilAcked(100);
	proxy.mode = 'blackhole';
	old.binary(Buffer.alloc(50, 'lost'));
	old.socket.terminate();
	assert.equal((await recording(server, id)).attached, true);
	const w = await wire(t, server);
	assert.equal((await w.start({ sessionId: session, from: 100 })).bytes, 100);
	w.binary(media(200).subarray(100));
	w.send({ type: 'end', totalBytes: 200 });
	await w.next('saved');
	await assertOriginal(server, id, media(200));
});

test('a link that stalls, and goes on', options, async (t) => {
	const proxy = await startProxy(t, server);
	const taker = new Taker(t, proxy);
	let n = 0;
	taker.feed(() => media(50_000, ++n), 5);
	for (let round = 0; round < 3; round++) {
		const { safe } = taker.sender;
		await taker.when((sender) => sender.safe > safe + 1_000_000, 10_000, 'bytes are safe');
		proxy.pause();
		await taker.when((sender) => sender.recorded - sender.safe > 6_000_000, 10_000, 'bytes pile up');
		proxy.heal();
	}
	await taker.finish(server);
	assert.equal(taker.sender.reconnects, 0, 'nothing had to be made anew');
});

test('a server that stands still (SIGSTOP) and goes on (SIGCONT)', options, async (t) => {
	const own = await startServer(t, { args: ['--heartbeat', '1s'] });
	const taker = new Taker(t, own);
	let n = 0;
	taker.feed(() => media(20_000, ++n), 10);
	await taker.when((sender) => sender.safe > 500_000, 10_000, 'bytes are safe');
	own.signal('SIGSTOP');
	await taker.when((sender) => sender.link !== 'sending', 20_000, 'the sender notices');
	await taker.when((sender) => sender.link === 'waiting' && sender.reason === 'timeout', 20_000, 'a new connection opens never');
	own.signal('SIGCONT');
	await taker.finish(own);
});

test('a take goes on over another way to the server', options, async (t) => {
	const [wlan, cable] = [await startProxy(t, server), await startProxy(t, server)];
	const session = sessionId();
	const bytes = media(500_000);
	let id;
	for (let at = 0, turn = 0; at < bytes.length; turn++) {
		const w = await wire(t, turn % 2 ? wlan : cable);
		const started = await w.start({ sessionId: session, from: at });
		id = started.id;
		assert.equal(started.bytes, at);
		w.binary(bytes.subarray(at, at + 50_000));
		at += 50_000;
		await w.untilAcked(at);
		if (at === bytes.length) {
			w.send({ type: 'end', totalBytes: at });
			await w.next('saved');
		}
	}
	await assertOriginal(server, id, bytes);
});
