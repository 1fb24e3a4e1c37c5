// web/pages/radio.js with an element and a clock of the test's own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Radio } from '../../web/pages/radio.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

class FakeMedia extends EventTarget {
	static refuse = null; // what play() rejects with
	attributes = new Map();
	currentTime = 0;
	paused = true;
	error = null;

	constructor(kind) {
		super();
		this.kind = kind;
	}

	set src(url) {
		this.attributes.set('src', url);
	}

	get src() {
		return this.attributes.get('src');
	}

	hasAttribute(name) {
		return this.attributes.has(name);
	}

	removeAttribute(name) {
		this.attributes.delete(name);
	}

	async play() {
		if (FakeMedia.refuse) throw FakeMedia.refuse;
		this.paused = false;
	}

	pause() {
		this.paused = true;
	}

	load() {
		this.currentTime = 0;
	}

	tell(name, more = {}) {
		Object.assign(this, more);
		this.dispatchEvent(new Event(name));
	}
}

/** A radio that plays, unless told otherwise; `made` are its elements, `urls` what it asked for. */
async function radio(t, { status = 200, refuse = null, plays = true } = {}) {
	t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
	FakeMedia.refuse = refuse;
	const it = { now: 0, made: [], asked: 0, heard: () => {}, status };
	it.radio = new Radio({
		stage: { replaceChildren() {} }, now: () => it.now, probe: async () => it.status,
		address: async () => `/live/morning?${++it.asked}`,
		make: (kind) => {
			it.made.push(new FakeMedia(kind));
			return it.made.at(-1);
		},
		onchange: ({ state }) => it.heard(state),
	});
	it.media = () => it.made.at(-1);
	it.later = async (ms) => {
		for (let passed = 0; passed < ms; passed += 500) {
			it.now += 500;
			t.mock.timers.tick(500);
			await turn();
		}
	};
	it.radio.play({ kind: 'audio', label: 'Morning' });
	await turn();
	if (plays) it.media().tell('timeupdate', { currentTime: 1 });
	return it;
}

test('it plays, and gives the connection up when it is stopped', async (t) => {
	const it = await radio(t);
	assert.deepEqual([it.radio.state, it.media().src, it.media().kind], ['playing', '/live/morning?1', 'audio']);
	it.radio.play({ kind: 'audio', label: 'Morning' });
	await turn();
	assert.equal(it.asked, 1, 'what plays is left alone');
	it.radio.stop();
	assert.deepEqual([it.radio.state, it.media().hasAttribute('src')], ['off', false]);
	await it.later(60_000);
	assert.equal(it.asked, 1);
});

test('a stream that ends is opened again, with growing waits until it plays', async (t) => {
	const it = await radio(t);
	it.media().tell('ended');
	assert.equal(it.radio.state, 'again');
	await it.later(1_000);
	assert.deepEqual([it.radio.state, it.asked, it.made.length], ['connecting', 2, 1]);
	it.media().tell('ended');
	await it.later(1_000);
	assert.equal(it.asked, 2);
	await it.later(1_000);
	assert.equal(it.asked, 3);
	it.media().tell('timeupdate', { currentTime: 1 });
	it.media().tell('ended');
	await it.later(1_000);
	assert.equal(it.asked, 4, 'from the beginning again');
	it.media().tell('timeupdate', { currentTime: 1 });
	await it.later(6_000);
	it.media().tell('ended');
	await it.later(500);
	assert.equal(it.asked, 5, 'at once, when it had played for a while');
});

test('who stops it when it hears that the stream is lost has stopped it', async (t) => {
	const it = await radio(t);
	it.heard = (state) => state === 'again' && it.radio.stop();
	it.media().tell('ended');
	await it.later(5_000);
	assert.deepEqual([it.radio.state, it.asked], ['off', 1]);
});

test('a stream that stands still is opened again; not while its sender is away', async (t) => {
	const it = await radio(t);
	it.radio.still(true);
	await it.later(60_000);
	assert.deepEqual([it.radio.state, it.asked], ['playing', 1]);
	it.radio.still(false);
	await it.later(7_000);
	assert.equal(it.asked, 1, 'it has its time anew');
	await it.later(4_000);
	assert.equal(it.asked, 2);
});

test('where a click is needed it waits for one, and is no listener meanwhile', async (t) => {
	const it = await radio(t, { refuse: new DOMException('no', 'NotAllowedError'), plays: false });
	assert.deepEqual([it.radio.state, it.radio.on, it.media().hasAttribute('src')], ['blocked', false, false]);
	FakeMedia.refuse = null;
	it.radio.play({ kind: 'audio', label: 'Morning' });
	await turn();
	it.media().tell('playing');
	assert.equal(it.radio.state, 'playing');
});

test('what is there and can’t be played is given up after three tries', async (t) => {
	const it = await radio(t, { plays: false });
	for (let tries = 0; tries < 3; tries++) {
		it.media().tell('error', { error: { code: 4 } });
		await it.later(4_000);
	}
	assert.deepEqual([it.radio.state, it.asked], ['unplayable', 3]);
});

test('what is not there is asked for again', async (t) => {
	const it = await radio(t, { status: 404, plays: false });
	for (let tries = 0; tries < 5; tries++) {
		it.media().tell('error', { error: { code: 4 } });
		await it.later(16_000);
	}
	assert.notEqual(it.radio.state, 'unplayable');
	assert.ok(it.asked > 5);
});

test('a server without room for another listener is asked again, and it is said', async (t) => {
	const it = await radio(t, { status: 503, plays: false });
	it.media().tell('error', { error: { code: 4 } });
	await turn();
	assert.equal(it.radio.state, 'full');
	await it.later(1_000);
	assert.equal(it.asked, 2);
});

test('a picture needs another element, which is as loud', async (t) => {
	const it = await radio(t);
	it.radio.sound({ volume: 0.4, muted: true });
	it.radio.play({ kind: 'video', label: 'Morning' });
	await turn();
	assert.deepEqual([it.media().kind, it.media().volume, it.media().muted, it.made[0].hasAttribute('src')], ['video', 0.4, true, false]);
	it.made[0].tell('ended');
	assert.equal(it.radio.state, 'connecting', 'the old one has nothing to say any more');
});

test('paused by the system is stopped', async (t) => {
	const it = await radio(t);
	it.media().tell('pause');
	assert.deepEqual([it.radio.state, it.radio.on], ['paused', false]);
});
