// Power cuts: every byte that was acked before the cut is found after it. The same with syncing switched off must lose
// some, which shows that the test can see a loss.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { diskOrSkip } from './support/disk.mjs';
import { faultyDisk } from './support/faults.mjs';
import { startServer } from './support/server.mjs';
import { api, media, random, sessionId, sha256, Wire } from './support/wire.mjs';

const options = { timeout: 300_000 };
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);
const CUTS = Number(process.env.HOLDFAST_CUTS ?? 6);
const STREAMS = 6; // one of them sends large messages, which take another way to the disk
const TAKE_BYTES = 12_000_000;

/** A client that sends as fast as acks come, takes of random length, and notes what it was promised. */
class Load {
	promises = []; // { id, session, seed, acked, saved }

	constructor(server, n, chance) {
		this.server = server;
		this.n = n;
		this.chance = chance;
	}

	async run() {
		this.wire = await new Wire(this.server.url).opened();
		while (this.wire.socket.readyState === 1) await this.#take();
	}

	async #take() {
		const { wire: w, n, chance } = this;
		const seed = Math.floor(chance() * 2 ** 32);
		const bytes = media(1 + Math.floor(chance() * TAKE_BYTES), seed);
		const session = sessionId();
		w.acked = 0;
		const { id } = await w.start({ sessionId: session });
		const promise = { id, session, bytes, acked: () => w.acked, saved: false };
		this.promises.push(promise);
		for (let at = 0; at < bytes.length;) {
			const size = 1 + Math.floor(chance() * (n === 0 ? 3_000_000 : 16_000));
			w.binary(bytes.subarray(at, at + size));
			at = Math.min(at + size, bytes.length);
			if (at - w.acked > 500_000) await w.untilAcked(at - 300_000);
		}
		w.send({ type: 'end', totalBytes: bytes.length, sha256: sha256(bytes) });
		await w.next('saved');
		promise.saved = true;
		promise.acked = () => bytes.length;
	}

	/** What stands promised at this very moment. */
	freeze() {
		return this.promises.map(({ id, session, bytes, acked, saved }) => ({ id, session, bytes, acked: acked(), saved }));
	}
}

/** What of a promise is broken: a sentence, or null. */
async function broken(server, { id, bytes, acked, saved }) {
	const { status, body } = await api(server, `/api/recordings/${id}`);
	if (status !== 200) return `recording ${id} is ${status}, ${acked} bytes of it were acked`;
	if (body.bytes < acked) return `${acked} bytes of ${id} were acked, ${body.bytes} are there`;
	if (saved && (body.phase !== 'queued' || body.sha256 !== sha256(bytes))) return `${id} was saved, now it is ${JSON.stringify(body)}`;
	const original = await api(server, `/api/recordings/${id}/original`);
	if (!original.bytes.equals(bytes.subarray(0, body.bytes))) return `the bytes of ${id} are others`;
	return null;
}

async function cutOnce(disk, server, chance) {
	const loads = Array.from({ length: STREAMS }, (_, n) => new Load(server, n, chance));
	const runs = loads.map((load) => load.run().catch(() => {})); // a cut ends them
	const cut = await disk.cutter();
	await new Promise((resolve) => setTimeout(resolve, 100 + chance() * 600)); // the moment is the point
	const promises = loads.flatMap((load) => load.freeze());
	await cut();
	await server.kill();
	await Promise.all(runs);
	disk.unmount();
	disk.mount();
	return promises;
}

for (const io of ['auto', 'buffered']) {
	test(`${CUTS} power cuts under load, --journal-io ${io} (HOLDFAST_SEED=${SEED})`, options, async (t) => {
		const disk = diskOrSkip(t, 3000);
		if (!disk) return;
		const chance = random(SEED);
		const server = await startServer(t, { dataDir: join(disk.path, 'data'), args: ['--journal-io', io, '--grace', '1h'] });
		let checked = 0;
		let acked = 0;
		for (let n = 1; n <= CUTS; n++) {
			const promises = await cutOnce(disk, server, chance);
			await server.start();
			for (const promise of promises) {
				assert.equal(await broken(server, promise), null, `cut ${n}`);
				checked += 1;
				acked += promise.acked;
			}
		}
		assert.ok(acked > CUTS * 100_000, `the load was real: ${acked} bytes`);
		t.diagnostic(`${CUTS} cuts, ${checked} takes, ${(acked / 1e6).toFixed(0)} MB acked before a cut, none lost`);
	});
}

test(`control: with syncing switched off, acked bytes are lost (HOLDFAST_SEED=${SEED})`, options, async (t) => {
	const disk = diskOrSkip(t, 3000);
	if (!disk) return;
	const chance = random(SEED);
	const faults = faultyDisk(t);
	faults.set('skip');
	const server = await startServer(t, { dataDir: join(disk.path, 'data'), env: faults.env,
		args: ['--journal-io', 'buffered', '--grace', '1h'] });
	for (let n = 1; n <= CUTS; n++) {
		const promises = await cutOnce(disk, server, chance);
		const started = await server.start().catch((error) => error);
		const losses = [];
		if (started === server) {
			for (const promise of promises) losses.push(await broken(server, promise));
		} else {
			losses.push(`the server does not start: ${String(started.message).split('\n').pop()}`);
		}
		const first = losses.find((loss) => loss !== null);
		if (first) {
			t.diagnostic(`lost at cut ${n} of at most ${CUTS}, as it must be: ${first}`);
			return;
		}
	}
	assert.fail('nothing was lost without syncing: this test cannot see a loss');
});
