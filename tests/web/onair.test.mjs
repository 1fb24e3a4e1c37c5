// A take of a show: what the client does on air, while the server can't record, and when somebody else ends the show.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ShowFollower } from '../../web/client/shows.js';
import * as limits from '../../web/client/limits.js';
import { Driver, START, fresh, stored } from './support/driver.mjs';

const GRACE_MS = 30_000;
const MB = 1024 * 1024;
const HELLO = { version: 3, graceMs: GRACE_MS, show: 'morning' };
const start = { ...START, show: 'morning' };
const show = (more) => ({ type: 'status', of: 'show', show: 'morning', state: 'live', version: 3, recording: 'recording', error: null, listeners: 0, ...more });
const failed = show({ recording: 'recording_failed', error: { code: 'storage_full', message: 'No space.' } });
const sum = (driver) => driver.sent.filter((one) => typeof one === 'number').reduce((all, length) => all + length, 0);

/** On air, with so many bytes written and acknowledged. */
function onAir(bytes = 0, row = fresh()) {
	const driver = new Driver({ ...row, start }).feed({ type: 'connect' }).started(0, HELLO).hears(show());
	if (bytes > 0) driver.write(bytes).hears({ type: 'ack', bytes });
	return driver;
}

test('its start names the show, and what is heard of the show is shown', () => {
	const driver = onAir();
	assert.equal(driver.sent[0].show, 'morning');
	const { onAir: on, show: said, version } = driver.machine.view();
	assert.deepEqual([on, said.state, said.listeners, version], [true, 'live', 0, 3]);
	driver.hears(show({ listeners: 12 })).hears(show({ show: 'evening', listeners: 99 }));
	assert.equal(driver.machine.view().show.listeners, 12);
});

test('what is only resumed does not go on air', () => {
	const row = { ...stored({ safe: 100 }), start };
	const driver = new Driver(row, { 0: { from: 0, to: 300 } }, { onAir: false }).feed({ type: 'connect' });
	assert.ok(!('show' in driver.last));
	driver.started(100);
	assert.equal(driver.machine.view().onAir, false);
	driver.feed({ type: 'connect', onAir: true });
	assert.equal(driver.last.show, 'morning', 'until somebody wants it');
});

test('an end that the server hears within the grace is on air, one that it hears later is not', () => {
	for (const [away, named] of [[GRACE_MS - 5_000, true], [GRACE_MS + 5_000, false]]) {
		const driver = onAir(100).feed({ type: 'closed', reason: 'network' });
		assert.equal(driver.machine.view().graceEndsAt, driver.now + GRACE_MS);
		driver.write(50).feed({ type: 'end' });
		driver.now += away;
		driver.feed({ type: 'connect' });
		assert.equal('show' in driver.last, named, `after ${away} ms`);
		driver.started(100, HELLO);
		assert.equal(driver.machine.view().graceEndsAt, null);
		assert.deepEqual(driver.last, { type: 'end', totalBytes: 150 });
		driver.hears({ type: 'saved', id: 'id', bytes: 150, sha256: '', url: '' });
		assert.equal(driver.link, 'saved');
	}
});

test('while the show waits, the link is tried every two seconds at most', () => {
	const driver = new Driver({ ...fresh(), start }, {}, { random: () => 1 }).feed({ type: 'connect' }).started(0, HELLO);
	driver.feed({ type: 'closed', reason: 'network' });
	const end = driver.now + GRACE_MS;
	const waits = [];
	while (driver.now < end + 60_000) {
		waits.push([driver.now < end, driver.machine.view().retryAt - driver.now]);
		driver.now = driver.machine.view().retryAt;
		driver.feed({ type: 'tick' }).feed({ type: 'closed', reason: 'network' });
	}
	assert.equal(Math.max(...waits.filter(([soon]) => soon).map(([, ms]) => ms)), limits.BACKOFF_AIR_MS);
	assert.equal(Math.max(...waits.map(([, ms]) => ms)), limits.BACKOFF_MAX_MS);
});

test('while it is not recorded no ack is waited for, and nothing that is not on the server is called safe', () => {
	const driver = onAir(1000).hears(failed);
	for (let i = 0; i < 6; i++) driver.write(MB);
	assert.equal(sum(driver), 1000 + 6 * MB, 'more than the window');
	assert.equal(driver.machine.view().safeBytes, 1000);
	assert.ok(!driver.effects.includes('drop'), 'it may be wanted as a copy');
});

test('a dead link is noticed also when nothing is acknowledged', () => {
	const driver = onAir(1000).hears(failed).write(10);
	const wake = () => {
		driver.now = driver.machine.nextWake();
		driver.feed({ type: 'tick' });
	};
	const asked = () => driver.sent.filter(({ type }) => type === 'subscribe').length;
	while (asked() === 0) wake();
	assert.deepEqual(driver.last, { type: 'subscribe', show: 'morning' });
	driver.hears(failed).hears({ type: 'subscribed', show: 'morning' });
	while (asked() === 1) wake();
	assert.equal(driver.link, 'sending', 'an answer is an answer');
	while (driver.link === 'sending') wake();
	assert.deepEqual([driver.link, driver.machine.view().reason], ['waiting', 'silence']);
});

test('recorded again: what lies between is let go of, and counting goes on', () => {
	const driver = onAir(1000).hears(failed).write(MB);
	driver.hears({ type: 'moved', show: 'morning', version: 4, id: 'id4', from: 500_000 });
	const { id, version, recordedAgain, safeBytes, unrecordedBytes, show: said } = driver.machine.view();
	assert.equal(recordedAgain, 4);
	assert.deepEqual([id, version, safeBytes, unrecordedBytes, said.recording], ['id4', 4, 500_000, 499_000, 'recording']);
	assert.equal(driver.machine.ledger.heldFrom, 500_000);
	assert.equal(driver.row.unrecorded, 499_000, 'the device knows it, too');
	driver.hears({ type: 'ack', bytes: 700_000 });
	assert.equal(driver.machine.view().safeBytes, 700_000);
	driver.feed({ type: 'end' }).hears({ type: 'saved', id: 'id4', bytes: 1000 + MB, sha256: '', url: '' });
	assert.deepEqual([driver.link, driver.machine.view().safeBytes], ['saved', 1000 + MB]);
});

test('a place for the next version that was never sent is no place', () => {
	const driver = onAir(1000).hears(failed).hears({ type: 'moved', show: 'morning', version: 4, id: 'id4', from: 5000 });
	assert.equal(driver.machine.view().reason, 'protocol');
});

test('back on the link while it is still not recorded: sending goes on, nothing is called safe', () => {
	const driver = onAir(1000).hears(failed).write(5000).feed({ type: 'closed', reason: 'network' });
	driver.feed({ type: 'connect' });
	driver.started(4000, HELLO);
	assert.equal(driver.machine.view().safeBytes, 1000);
	assert.equal(driver.last, 2000);
});

test('back on the link, and it is recorded again: the gap is known', () => {
	const driver = onAir(1000).hears(failed).write(5000).feed({ type: 'closed', reason: 'network' });
	driver.feed({ type: 'connect' }).started(4000, { ...HELLO, version: 4 });
	const { safeBytes, unrecordedBytes, version } = driver.machine.view();
	assert.deepEqual([safeBytes, unrecordedBytes, version], [4000, 3000, 4]);
});

test('an end while it is not recorded is a stop, and what is not recorded stays here', () => {
	const driver = onAir(1000).hears(failed).write(500).feed({ type: 'end' });
	assert.deepEqual(driver.last, { type: 'stop' });
	driver.hears({ type: 'stopped', show: 'morning', version: 3, id: 'id' });
	assert.deepEqual([driver.link, driver.machine.view().problem.code], ['stopped', 'not_recorded']);
	assert.equal(driver.machine.ledger.total - driver.machine.ledger.heldFrom, 1500);
	const late = onAir(1000).write(10).feed({ type: 'end' }).hears(failed); // it failed under the end
	assert.deepEqual(late.last, { type: 'stop' });
});

test('stopped from elsewhere', () => {
	const saved = onAir(1000).write(10).hears({ type: 'saved', id: 'id', bytes: 1010, sha256: '', url: '' });
	const stopped = onAir(1000).hears(failed).hears({ type: 'stopped', show: 'morning', version: 3, id: 'id' });
	for (const driver of [saved, stopped]) assert.deepEqual([driver.link, driver.machine.view().problem.code], ['stopped', 'show_ended']);
	assert.ok(saved.machine.view().problem.resumable);
});

// --- following a show ---

class Socket {
	static all = [];
	sent = [];
	constructor() {
		Socket.all.push(this);
	}

	send(text) {
		this.sent.push(JSON.parse(text));
	}

	say(message) {
		this.onmessage({ data: JSON.stringify(message) });
	}

	close() {
		this.closed = true;
	}
}

/** A follower with its views and what it asked over HTTP, which `answer` answers. */
function follow(t, answer = () => Promise.reject(Object.assign(new Error('no'), { status: 0, code: 'network' }))) {
	Socket.all = [];
	t.mock.timers.enable({ apis: ['setTimeout'] });
	const asked = [];
	const api = { show: (name) => {
		asked.push(name);
		return answer(asked.length);
	} };
	const follower = new ShowFollower({ server: 'http://127.0.0.1:1', token: null, WebSocket: Socket, api, show: 'morning', onChange: () => {} });
	t.after(() => follower.close());
	return { follower, asked, socket: () => Socket.all.at(-1) };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a show is followed by its link', async (t) => {
	const { follower, asked, socket } = follow(t);
	socket().onopen();
	assert.deepEqual(socket().sent, [{ type: 'subscribe', show: 'morning' }]);
	socket().say(show());
	socket().say({ type: 'subscribed', show: 'morning' });
	assert.deepEqual([follower.view.link, follower.view.show.state], ['live', 'live']);
	socket().say(show({ state: 'off' }));
	assert.equal(follower.view.show.state, 'off');
	assert.deepEqual(asked, []);
});

test('without the link it is asked for, and the link is tried on', async (t) => {
	const { follower, asked, socket } = follow(t, async () => show({ listeners: 5 }));
	socket().onclose({ code: 1006 });
	await turn();
	assert.deepEqual([follower.view.link, follower.view.show.listeners], ['polling', 5]);
	t.mock.timers.tick(4_000);
	await turn();
	assert.equal(asked.length, 2);
	assert.ok(Socket.all.length > 1);
	socket().onopen();
	socket().say(show());
	socket().say({ type: 'subscribed', show: 'morning' });
	assert.equal(follower.view.link, 'live');
	t.mock.timers.tick(20_000);
	await turn();
	assert.equal(asked.length, 2, 'and then no more');
});

test('a server that knows nobody by a token but lets anybody listen is asked', async (t) => {
	const { follower, asked, socket } = follow(t, async () => show());
	socket().onopen();
	socket().say({ type: 'error', of: 'subscription', code: 'unauthorized', message: 'A token is needed.', retry: false });
	await turn();
	assert.deepEqual([follower.view.link, asked.length, socket().closed], ['polling', 1, true]);
	t.mock.timers.tick(4_000);
	await turn();
	assert.deepEqual([Socket.all.length, asked.length], [1, 2]);
});

test('one that lets nobody listen says so, and is left alone', async (t) => {
	const { follower, asked, socket } = follow(t, () => Promise.reject(Object.assign(new Error('A token is needed.'), { status: 401, code: 'unauthorized' })));
	socket().onopen();
	socket().say({ type: 'error', of: 'subscription', code: 'unauthorized', message: 'A token is needed.', retry: false });
	await turn();
	assert.deepEqual([follower.view.link, follower.view.reason], ['stopped', 'unauthorized']);
	t.mock.timers.tick(60_000);
	await turn();
	assert.equal(asked.length, 1);
});

test('the limits of the machine hold for a show, too', () => {
	const driver = onAir();
	for (let i = 0; i < 6; i++) driver.write(MB);
	assert.equal(sum(driver), limits.WINDOW_BYTES);
});
