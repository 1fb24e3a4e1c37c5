// web/pages/watch.js: one recording watched over HTTP and the link, before an api and a follower that say what a test wants.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Watch } from '../../web/pages/watch.js';

const settle = () => new Promise((resolve) => setImmediate(resolve));
const answer = (status, more = {}) => ({ status, code: null, message: '', phase: 'processing', attempt: 1, attempts: 3, progress: 0.5, retryAfter: 1, ...more });
const TAKE = { id: '0199', phase: 'processing', attempt: 1, file: null };

/** A world whose clock is moved by hand. Its timers come half a millisecond early, as a browser's do that cuts the fraction off. */
class World {
	time = 0.7;
	timers = [];
	asked = 0;
	got = 0;
	said = answer(202);
	object = TAKE;
	views = [];
	followed = [];

	constructor() {
		const api = {
			ask: async () => {
				this.asked += 1;
				if (this.said instanceof Error) throw this.said;
				return this.said;
			},
			get: async () => {
				this.got += 1;
				if (this.object === null) throw Object.assign(new Error('not there'), { status: 404 });
				return this.object;
			},
		};
		const client = { api, follow: (options) => {
			this.followed.push(options);
			this.tell = (view) => options.onChange({ link: 'live', reason: null, recordings: [], ...view });
			return { close: () => this.followed.push('closed'), reconnect: () => this.followed.push('reconnect') };
		} };
		this.watch = new Watch({ client, id: 'ref:x', onchange: () => this.views.push(this.watch.waiting.state), now: () => this.time,
			after: (ms, then) => this.timers.push({ at: this.time + Math.floor(ms), then }) });
	}

	/** So much time goes by, and everything happens that is due in it. */
	async pass(ms) {
		const end = this.time + ms;
		for (;;) {
			const next = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
			if (!next) break;
			this.timers.splice(this.timers.indexOf(next), 1);
			this.time = Math.max(this.time, next.at) + 0.01;
			next.then();
			await settle();
		}
		this.time = end;
	}
}

test('it goes on asking although timers are early, and follows under the id that it was told', async () => {
	const world = new World();
	await world.pass(10);
	assert.deepEqual([world.asked, world.watch.waiting.state, world.followed[0].id], [1, 'waiting', '0199']);
	await world.pass(600_000);
	assert.equal(world.asked, 12);
	assert.equal(world.watch.waiting.state, 'timedOut');
	world.watch.goOn();
	world.said = answer(206);
	world.object = { ...TAKE, phase: 'complete', file: { revision: 1 } };
	await world.pass(10);
	assert.equal(world.watch.waiting.state, 'ready');
	assert.equal(world.watch.take.file.revision, 1, 'the object is read behind the answer');
});

test('the link makes it quicker, and only the answer counts', async () => {
	const world = new World();
	await world.pass(10);
	world.tell({ recordings: [{ ...TAKE, phase: 'complete', file: { revision: 1 } }] });
	assert.equal(world.watch.waiting.state, 'waiting', 'the link alone makes nothing ready');
	world.said = answer(206);
	await world.pass(10);
	assert.deepEqual([world.asked, world.watch.waiting.state, world.got], [2, 'ready', 1]);
	world.tell({ recordings: [] }); // deleted
	world.said = answer(410, { code: 'deleted' });
	await world.pass(10);
	assert.equal(world.watch.waiting.state, 'deleted');
	assert.equal(world.followed.at(-1), 'closed');
	assert.equal(world.watch.nextMs, null);
});

test('no such recording: one question and no link; no server: asked on and on', async () => {
	const nothing = new World();
	nothing.said = answer(404, { code: 'not_found' });
	nothing.object = null;
	await nothing.pass(600_000);
	assert.deepEqual([nothing.asked, nothing.watch.waiting.state, nothing.watch.take, nothing.followed.length], [1, 'missing', null, 0]);
	const away = new World();
	away.said = Object.assign(new Error('Failed to fetch'), { code: 'network' });
	away.object = null;
	await away.pass(600_000);
	assert.ok(away.asked > 20);
	away.said = answer(202);
	away.object = TAKE;
	await away.pass(31_000);
	assert.equal(away.watch.waiting.state, 'waiting');
	assert.equal(away.watch.take, TAKE);
});

test('closed is closed', async () => {
	const world = new World();
	await world.pass(10);
	const shown = world.views.length;
	world.watch.close();
	await world.pass(600_000);
	assert.deepEqual([world.asked, world.views.length], [1, shown]);
});
