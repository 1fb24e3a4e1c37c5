// The machine of @holdfast/client against a simulated server, link and device, by seeds; and its decisions one by one.
// HOLDFAST_SEEDS=20000 runs more of them, HOLDFAST_SEED=n only that one, with its trace.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from './support/world.mjs';

const ONE = process.env.HOLDFAST_SEED;
const SEEDS = ONE ? [Number(ONE)] : Array.from({ length: Number(process.env.HOLDFAST_SEEDS ?? 4_000) }, (_, i) => i + 1);

/** One take's life, with every kind of trouble that `seed` picks, and a check of what the server has in the end. */
function live(seed) {
	const world = new World(seed);
	const { chance } = world;
	world.feed({ type: 'connect' });
	const trouble = chance() * 0.15; // quiet lives and wild ones
	const length = 40 + Math.floor(chance() * 400);
	const deviceTrouble = chance() < 0.5;
	let ended = false;
	for (let step = 0; step < length; step++) {
		const what = chance();
		if (what < trouble) {
			const kind = chance();
			if (kind < 0.25) world.cut();
			else if (kind < 0.35) world.restartServer();
			else if (kind < 0.45) world.server.full = !world.server.full;
			else if (kind < 0.6 && deviceTrouble) {
				world.store.full = !world.store.full;
				world.store.rowsFail = false;
			} else if (kind < 0.7) world.feed({ type: 'connect' });
			else if (kind < 0.8) world.part();
			else if (kind < 0.95) {
				if (!world.crash()) return world; // nothing was ever kept, and nothing was promised
				ended = world.machine.ended;
				if (chance() < 0.8) world.feed({ type: 'connect' });
				if (!ended && chance() < 0.9) world.part();
				else if (!ended) {
					world.feed({ type: 'end' });
					ended = true;
				}
				world.feed({ type: 'connect' });
			}
		} else if (what < 0.3 && !ended) {
			world.write(1 + Math.floor(chance() * 30));
		} else if (what < 0.55) {
			world.stepStore();
		} else if (what < 0.9) {
			world.stepLink();
		} else if (what < 0.97) {
			world.server.commit();
		} else {
			world.wake();
		}
		if (world.machine.done) break;
	}
	world.feed({ type: 'end' });
	world.settle();
	return world;
}

test(`${SEEDS.length} lives of a take: what the server has in the end is what was emitted`, { timeout: 600_000 }, () => {
	const seen = { pages: 0, parts: 0, saved: 0 };
	for (const seed of SEEDS) {
		let world;
		try {
			world = live(seed);
			if (world.store.row === null && world.machine.link !== 'saved') continue;
			assert.equal(world.machine.link, 'saved', JSON.stringify(world.machine.view()));
			assert.equal(world.store.row, null);
			assert.equal(world.store.parts.size, 0, 'the device is empty again');
			world.check();
			seen.saved += 1;
			seen.pages += world.pages;
			seen.parts += world.server.parts.size;
		} catch (error) {
			error.message = `HOLDFAST_SEED=${seed}: ${error.message}`;
			throw error;
		}
	}
	if (!ONE) assert.ok(seen.saved > SEEDS.length * 0.9 && seen.pages > seen.saved && seen.parts > SEEDS.length / 4, JSON.stringify(seen));
});
