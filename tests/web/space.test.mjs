// web/pages/space.js: rates and minutes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rate, freeThere, minutesLeft } from '../../web/pages/space.js';

test('the rate is that of the last minute, and unknown at first', () => {
	const rate = new Rate();
	assert.equal(rate.perSecond, null);
	for (let at = 0; at <= 2000; at += 250) rate.add(at, at);
	assert.equal(rate.perSecond, null);
	for (let at = 2000; at <= 60_000; at += 250) rate.add(at, at);
	assert.ok(Math.abs(rate.perSecond - 1000) < 1);
	for (let at = 60_250; at <= 180_000; at += 250) rate.add(at, 60_000 + (at - 60_000) * 3);
	assert.ok(Math.abs(rate.perSecond - 3000) < 1, 'the first minute is forgotten');
});

test('an hour of pieces is kept in a bounded number of samples', () => {
	const rate = new Rate();
	for (let at = 0; at <= 3_600_000; at += 250) rate.add(at, at * 20);
	assert.ok(Math.abs(rate.perSecond - 20_000) < 1);
	assert.ok(rate.size <= 62, `${rate.size}`);
});

test('minutes', () => {
	assert.equal(minutesLeft(60_000, 1000), 1);
	assert.equal(minutesLeft(59_999, 1000), 0);
	assert.equal(minutesLeft(0, 1000), 0);
	assert.equal(minutesLeft(null, 1000), null);
	assert.equal(minutesLeft(100, null), null);
	assert.equal(minutesLeft(100, 0), null);
});

test('what is free on the server', () => {
	assert.equal(freeThere({ freeBytes: 100, reserveBytes: 30 }), 70);
	assert.equal(freeThere({ freeBytes: 10, reserveBytes: 30 }), 0);
	assert.equal(freeThere(null), null);
});
