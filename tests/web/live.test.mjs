// web/pages/live.js with devices, a recorder and a client of the test's own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Live } from '../../web/pages/live.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

class FakeTake {
	sessionId = 's1';
	calls = [];
	refuse = null;
	#listeners = new Set();

	constructor(more = {}) {
		this.state = { link: 'sending', done: false, emittedBytes: 0, safeBytes: 0, parts: 1, problem: null, ended: false, ...more };
	}

	change(more) {
		this.state = { ...this.state, ...more };
		for (const listener of this.#listeners) listener(this.state);
	}

	onState(listener) {
		this.#listeners.add(listener);
		listener(this.state);
	}

	async write(bytes) {
		if (this.refuse) throw this.refuse;
		this.change({ emittedBytes: this.state.emittedBytes + bytes.byteLength });
	}

	part(kind) {
		this.calls.push(`part ${kind.ext}`);
		this.change({ parts: this.state.parts + 1 });
	}

	async end() {
		this.calls.push('end');
		this.change({ ended: true });
	}
}

class FakeRecorder {
	state = 'new';
	mime = 'video/webm';
	emitted = 0;
	elapsedMs = 0;
	flushed = 0;
	error = null;
	stops = 0;

	constructor(options) {
		this.options = options;
		this.stopped = new Promise((resolve) => {
			this.finish = (why) => {
				this.state = 'stopped';
				options.onchange();
				resolve(why);
			};
		});
	}

	to(state) {
		this.state = state;
		this.options.onchange();
	}

	start() {
		this.to('recording');
	}

	pause() {
		this.to('paused');
	}

	resume() {
		this.to('recording');
	}

	flush() {
		this.flushed += 1;
	}

	stop() {
		this.stops += 1;
		if (this.state !== 'stopping') this.to('stopping');
	}

	emit(length) {
		this.emitted += length;
		return this.options.onbytes(new Uint8Array(length)).catch(() => {});
	}
}

function setup({ take = new FakeTake() } = {}) {
	const made = [];
	const stages = [];
	const timers = [];
	const clock = { now: 0 };
	const begun = [];
	const live = new Live({
		client: { begin: async (start) => {
			begun.push(start);
			return take;
		} },
		onchange: ({ stage }) => stages.at(-1) === stage || stages.push(stage),
		make: (options) => made[made.push(new FakeRecorder(options)) - 1],
		now: () => clock.now,
		after: (ms, then) => timers.push(then),
	});
	const tracks = [{ stopped: false, stop() {
		this.stopped = true;
	} }];
	const open = async () => ({ stream: { getTracks: () => tracks, getVideoTracks: () => [] }, soundless: false });
	return { live, take, made, stages, timers, clock, begun, open, tracks };
}

test('record, stop, saved: end comes only when the recorder has handed over its last piece', async () => {
	const { live, take, made, stages, begun, open } = setup();
	await live.begin({ source: 'microphone', open, name: 'A' });
	assert.deepEqual(begun, [{ mime: 'video/webm', ext: 'webm', name: 'A' }]);
	await made[0].emit(10);
	live.stop();
	await turn();
	assert.deepEqual(take.calls, []);
	await made[0].emit(5);
	made[0].finish('asked');
	await turn();
	assert.deepEqual(take.calls, ['end']);
	assert.equal(live.emitted, 15);
	take.change({ done: true, link: 'saved' });
	assert.deepEqual(stages, ['asking', 'recording', 'stopping', 'finishing', 'saved']);
});

test('the device refuses: everything is as before, and its tracks are let go', async () => {
	const { live, stages, begun, open, tracks } = setup();
	await assert.rejects(live.begin({ source: 'camera', open: async () => {
		throw new Error('NotAllowed');
	} }), /NotAllowed/);
	assert.equal(live.stage, 'idle');
	assert.deepEqual(begun, []);
	const broken = new Live({ client: { begin: async () => {
		throw new Error('store');
	} }, make: (options) => new FakeRecorder(options) });
	await assert.rejects(broken.begin({ source: 'camera', open }), /store/);
	assert.equal(tracks[0].stopped, true);
	assert.deepEqual(stages, ['asking', 'idle']);
});

test('a part that ends by itself does not end the take: it goes on as its next part, or is finished', async () => {
	const { live, take, made, open } = setup();
	await live.begin({ source: 'microphone', open });
	await made[0].emit(10);
	made[0].finish('ended');
	await turn();
	assert.equal(live.stage, 'interrupted');
	assert.equal(live.why, 'ended');
	assert.deepEqual(take.calls, []);
	await live.begin({ source: 'microphone', open, take });
	assert.deepEqual(take.calls, ['part webm']);
	assert.equal(live.part, 2);
	assert.equal(live.stage, 'recording');
	await made[1].emit(7);
	assert.equal(live.emitted, 17);
	made[1].finish('system');
	await turn();
	live.stop();
	await turn();
	assert.deepEqual(take.calls, ['part webm', 'end']);
	assert.equal(live.stage, 'finishing');
});

test('to go on fails: it is interrupted as before', async () => {
	const { live, take, made, open } = setup();
	await live.begin({ source: 'microphone', open });
	made[0].finish('ended');
	await turn();
	await assert.rejects(live.begin({ source: 'microphone', take, open: async () => {
		throw new Error('still unplugged');
	} }));
	assert.equal(live.stage, 'interrupted');
});

test('a take without a byte needs no boundary', async () => {
	const { live, take, open } = setup();
	await live.begin({ source: 'microphone', open, take });
	assert.deepEqual(take.calls, []);
});

test('a write that is refused stops the recorder, and the take is not ended over the gap', async () => {
	const { live, take, made, open } = setup();
	await live.begin({ source: 'microphone', open });
	await made[0].emit(10);
	take.refuse = Object.assign(new Error('full'), { code: 'memory_full' });
	await made[0].emit(10);
	assert.equal(made[0].stops, 1);
	made[0].finish('asked');
	await turn();
	assert.equal(live.stage, 'interrupted');
	assert.equal(live.why, 'memory_full');
	assert.deepEqual(take.calls, []);
});

test('the take is stopped while it records: the recorder stops, and it has failed', async () => {
	const { live, take, made, open } = setup();
	await live.begin({ source: 'microphone', open });
	take.change({ done: true, link: 'stopped', problem: { code: 'taken_over' } });
	assert.equal(made[0].stops, 1);
	made[0].finish('asked');
	await turn();
	assert.equal(live.stage, 'failed');
	assert.deepEqual(take.calls, []);
});

test('the take is finished from elsewhere while it records', async () => {
	const { live, take, made, open } = setup();
	await live.begin({ source: 'microphone', open });
	take.change({ done: true, link: 'saved' });
	made[0].finish('asked');
	await turn();
	assert.equal(live.stage, 'saved');
});

test('hidden: what the recorder holds comes out first; afterwards it is known whether it recorded on', async () => {
	const { live, made, timers, clock, open } = setup();
	await live.begin({ source: 'microphone', open });
	live.visible(false);
	assert.equal(made[0].flushed, 1);
	assert.deepEqual(live.hidden, { since: 0 });
	await made[0].emit(100);
	clock.now = 60_000;
	live.visible(true);
	assert.equal(live.hidden, null);
	timers.shift()();
	assert.deepEqual(live.hidden, { ms: 60_000, flowed: true });
	live.visible(false);
	clock.now = 120_000;
	live.visible(true);
	timers.shift()();
	assert.deepEqual(live.hidden, { ms: 60_000, flowed: false });
	live.visible(false);
	clock.now = 121_000;
	live.visible(true);
	assert.equal(timers.length, 0, 'a glance elsewhere needs no words');
});

test('a take that is left is somebody else’s', async () => {
	const { live, take, made, open, stages } = setup();
	await live.begin({ source: 'microphone', open });
	live.stop();
	made[0].finish('asked');
	await turn();
	assert.equal(live.leave(), take);
	assert.equal(live.stage, 'idle');
	take.change({ done: true, link: 'saved' });
	assert.equal(stages.at(-1), 'idle');
});
