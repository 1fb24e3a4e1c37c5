// What the machine of @holdfast/client decides, one situation each.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as limits from '../../web/client/limits.js';
import { TakeMachine } from '../../web/client/machine.js';
import { Driver, START, connected, fresh, stored } from './support/driver.mjs';

test('a byte is sent only when the store has it', () => {
	const machine = new TakeMachine(fresh(), {}, {});
	machine.feed({ type: 'connect' }, 0);
	machine.feed({ type: 'metaDone', ok: true }, 0);
	machine.feed({ type: 'opened', token: 't' }, 0);
	machine.feed({ type: 'message', message: { type: 'started', id: 'id', bytes: 0 } }, 0);
	const types = (effects) => effects.map(({ type }) => type);
	const wrote = types(machine.feed({ type: 'write', bytes: new Uint8Array(10) }, 0));
	assert.ok(wrote.includes('append') && !wrote.includes('bytes'));
	assert.equal(machine.view().keptBytes, 0);
	assert.ok(types(machine.feed({ type: 'appended', part: 0, to: 10 }, 0)).includes('bytes'));
	assert.equal(machine.view().keptBytes, 10);
	assert.equal(machine.view().safeBytes, 0);
});

test('the start carries the token and the lowest byte that is held', () => {
	const driver = new Driver(stored({ safe: 500 }), { 0: { from: 300, to: 900 } });
	driver.token = 'hf1.x';
	driver.feed({ type: 'connect' });
	assert.deepEqual(driver.last, { type: 'start', ...START, resume: true, from: 300, token: 'hf1.x' });
});

test('of a file it tells how much was read and how much is safe: two figures, and neither goes back', () => {
	const size = 10 * 1024 * 1024;
	const driver = new Driver(stored({ ended: true, file: { name: 'a', size, lastModified: 1 } }), { 0: { from: 0, to: size } }, { keptIn: 'file' });
	driver.feed({ type: 'connect' }).started();
	const figures = () => [driver.machine.view().readBytes, driver.machine.view().safeBytes];
	const [read, safe] = figures();
	assert.ok(read > 0 && read < size, `${read} bytes: what the window allows`);
	assert.equal(safe, 0);
	driver.hears({ type: 'ack', bytes: 1000 });
	assert.ok(figures()[0] >= read);
	assert.equal(figures()[1], 1000);
	driver.feed({ type: 'closed', reason: 'network' });
	driver.later(60_000);
	assert.ok(figures()[0] >= read, 'it is read again, and was read all the same');
	assert.deepEqual(new Driver(stored({ safe: 500 }), { 0: { from: 300, to: 900 } }).machine.view().readBytes, 500, 'what is safe was read');
});

test('at most the window is on the wire, in messages of 64 KiB', () => {
	const driver = connected();
	for (let i = 0; i < 6; i++) driver.write(1024 * 1024);
	const bytes = driver.sent.filter((entry) => typeof entry === 'number');
	assert.equal(bytes.reduce((sum, length) => sum + length, 0), limits.WINDOW_BYTES);
	assert.equal(Math.max(...bytes), limits.MESSAGE_BYTES);
	assert.equal(driver.machine.ledger.unkept, 0);
	driver.hears({ type: 'ack', bytes: 2 * 1024 * 1024 });
	assert.equal(driver.sent.filter((entry) => typeof entry === 'number').reduce((sum, length) => sum + length, 0), 6 * 1024 * 1024);
});

test('a part begun while the earlier one is still being sent waits for its boundary', () => {
	const driver = new Driver(stored({ safe: 100 }), { 0: { from: 0, to: 300 } });
	driver.feed({ type: 'connect' }).feed({ type: 'part', mime: 'audio/mp4', ext: 'mp4' }).write(50);
	driver.started(100);
	assert.equal(driver.last, 200, 'the rest of the first part, and no more');
	driver.hears({ type: 'ack', bytes: 250 });
	assert.equal(driver.opens, 1);
	driver.hears({ type: 'ack', bytes: 300 });
	assert.equal(driver.opens, 2);
	assert.equal(driver.row.parts[1].base, 300, 'the store knows the boundary first');
	assert.deepEqual(driver.last, { type: 'start', ...START, mime: 'audio/mp4', ext: 'mp4', resume: true, from: 300, part: true });
	driver.started(300);
	assert.equal(driver.last, 50);
	driver.feed({ type: 'end' });
	assert.deepEqual(driver.last, { type: 'end', totalBytes: 350 });
});

test('after a crash the count alone tells whether the boundary was declared', () => {
	const row = stored({ parts: [...fresh().parts, { number: 1, base: 300, mime: 'a', ext: 'b' }] });
	const held = { 0: { from: 0, to: 300 }, 1: { from: 0, to: 50 } };
	const undeclared = new Driver(row, held).feed({ type: 'connect' }).started(300);
	assert.equal(undeclared.last.part, true);
	const declared = new Driver(row, held).feed({ type: 'connect' }).started(310);
	assert.equal(declared.last, 40);
	assert.equal(declared.opens, 1);
});

test('the boundary waits while the store cannot be told of it', () => {
	const driver = new Driver(stored(), { 0: { from: 0, to: 300 } }).feed({ type: 'connect' });
	driver.feed({ type: 'part' }).write(50);
	driver.rowsFail = true;
	driver.started(300);
	assert.equal(driver.opens, 1);
	driver.feed({ type: 'connect' }).started(300); // not after a reconnect either
	assert.equal(driver.opens, 2);
	driver.rowsFail = false;
	driver.later(limits.STORE_RETRY_MS);
	assert.equal(driver.opens, 3);
	assert.equal(driver.last.part, true);
});

test('silence is judged only while something is owed', () => {
	const driver = connected();
	driver.later(10 * 60_000);
	assert.equal(driver.link, 'sending');
	driver.write(10);
	assert.equal(driver.machine.nextWake() <= driver.now + 2.5 * 20_000, true);
	driver.later(2.5 * 20_000);
	assert.equal(driver.link, 'waiting');
	assert.equal(driver.machine.reason, 'silence');
});

test('waits double up to their ceiling, and progress makes them short again', () => {
	const driver = connected();
	const wait = () => {
		driver.feed({ type: 'closed', reason: 'network' });
		const ms = driver.machine.nextWake() - driver.now;
		driver.later(ms);
		return ms;
	};
	assert.deepEqual([wait(), wait(), wait()], [100, 200, 400]);
	for (let i = 0; i < 10; i++) wait();
	assert.equal(wait(), limits.BACKOFF_MAX_MS / 2);
	driver.started(0).write(10).hears({ type: 'ack', bytes: 10 });
	assert.equal(wait(), 100);
});

test('taken_over is final, but not when one of our own late starts did it', () => {
	const error = { type: 'error', code: 'taken_over', retry: false };
	const driver = connected().hears(error);
	assert.equal(driver.link, 'stopped');
	assert.equal(driver.machine.problem.code, 'taken_over');
	const late = new Driver().feed({ type: 'connect' });
	late.later(limits.START_TIMEOUT_MS); // the first start went unanswered
	late.later(limits.BACKOFF_MAX_MS).started();
	late.hears(error);
	assert.equal(late.link, 'waiting');
	late.later(limits.BACKOFF_MAX_MS).started();
	late.hears(error);
	assert.equal(late.link, 'stopped', 'once for each');
});

test('errors go by retry; bytes_missing is mended by a new start', () => {
	for (const [code, retry, link] of [['storage_full', true, 'waiting'], ['bytes_missing', false, 'waiting'], ['new_code', true, 'waiting'],
		['new_code', false, 'stopped'], ['unauthorized', false, 'stopped'], ['position_conflict', false, 'stopped']]) {
		const driver = connected().write(10).hears({ type: 'error', code, message: 'Because.', retry, bytes: 5 });
		assert.equal(driver.link, link, code);
		assert.equal(driver.machine.view()[link === 'waiting' ? 'message' : 'problem'].message ?? driver.machine.message, 'Because.');
		assert.ok(!driver.effects.some((type) => type.startsWith('drop') || type === 'remove'), 'nothing is thrown away');
	}
});

test('what a stopped take is still given is kept', () => {
	const driver = connected().write(10).hears({ type: 'error', code: 'deleted', retry: false });
	driver.write(20);
	assert.equal(driver.machine.view().keptBytes, 30);
	assert.equal(driver.row.problem.code, 'deleted');
});

test('saved with fewer bytes than are kept, or more than were given, is told and nothing is dropped', () => {
	const saved = (bytes) => connected().write(100).feed({ type: 'end' }).hears({ type: 'saved', id: 'id', bytes, sha256: '', url: '' });
	assert.equal(saved(100).link, 'saved');
	assert.equal(saved(60).machine.problem.code, 'saved_short');
	assert.equal(saved(160).machine.problem.code, 'server_has_more');
	assert.ok(!saved(60).effects.includes('remove'));
	assert.ok(saved(100).effects.includes('remove'));
	assert.equal(connected().write(100).hears({ type: 'saved', id: 'id', bytes: 100, sha256: '', url: '' }).machine.problem.code, 'sealed',
		'completed from elsewhere while it is being recorded');
});

test('a server that holds more than this device ever had is not guessed over', () => {
	const driver = new Driver(stored(), { 0: { from: 0, to: 100 } }).feed({ type: 'connect' }).started(150);
	assert.equal(driver.machine.problem.code, 'server_has_more');
	const overrun = new Driver(stored({ overrun: true }), { 0: { from: 0, to: 100 } }).feed({ type: 'connect' }).started(150);
	assert.equal(overrun.link, 'sending', 'unless the store knows that it could not keep all');
});

test('a server that was set back gets again what is still here', () => {
	const driver = connected().write(300_000).hears({ type: 'ack', bytes: 200_000 });
	driver.feed({ type: 'closed', reason: 'network' }).later(limits.BACKOFF_MAX_MS).started(0);
	assert.equal(driver.link, 'sending');
	assert.equal(driver.machine.view().safeBytes, 0);
});

test('a full device: bytes go from memory once the store was told, up to the limit, and the store is used again', () => {
	const driver = connected(fresh(), {}, { memoryLimit: 1_000 });
	driver.write(100).hears({ type: 'ack', bytes: 100 });
	driver.store = false;
	driver.write(400);
	assert.equal(driver.machine.view().deviceFull, true);
	assert.equal(driver.row.overrun, true);
	assert.equal(driver.last, 400);
	driver.write(500).write(200);
	assert.equal(driver.machine.view().writeRefused, 'memory_full');
	assert.equal(driver.machine.view().memoryBytes, 900);
	driver.hears({ type: 'ack', bytes: 600 });
	assert.equal(driver.machine.view().memoryBytes, 400);
	driver.write(10);
	assert.equal(driver.machine.view().emittedBytes, 1000, 'no byte behind the refused ones');
	driver.store = true;
	driver.later(limits.STORE_RETRY_MS);
	assert.equal(driver.machine.view().deviceFull, false);
	assert.equal(driver.machine.view().keptBytes, 1000);
});

test('an end is noted only when all before it is on a disk', () => {
	const driver = new Driver().feed({ type: 'connect' });
	driver.store = false;
	driver.write(100).feed({ type: 'end' });
	assert.equal(driver.row.ended, false);
	assert.equal(driver.machine.noted, false);
	driver.started(0).hears({ type: 'ack', bytes: 100 });
	driver.later(limits.STORE_RETRY_MS);
	assert.equal(driver.row.ended, true);
	assert.equal(driver.machine.noted, true);
});

test('abort: forgotten here at once, told to the server when it can be reached', () => {
	const driver = new Driver(stored(), { 0: { from: 50, to: 100 } });
	driver.feed({ type: 'abort', reason: 'no' });
	assert.equal(driver.row.aborting, 'no');
	assert.ok(driver.effects.includes('dropAll'));
	assert.equal(driver.last.from, 0, 'any length is right');
	driver.started(70);
	assert.deepEqual(driver.last, { type: 'abort', reason: 'no' });
	driver.hears({ type: 'aborted', id: 'id', reason: 'no' });
	assert.equal(driver.link, 'aborted');
	assert.ok(driver.effects.includes('remove'));
	const unknown = new Driver().feed({ type: 'abort' });
	assert.equal(unknown.link, 'aborted', 'no server has heard of it');
	assert.equal(unknown.opens, 0);
});

test('the position that is asked to be declared is refused: a plain start tells where the server is', () => {
	const driver = new Driver(stored(), { 0: { from: 0, to: 300 } }).feed({ type: 'connect' }).feed({ type: 'part' }).write(50).started(300);
	assert.equal(driver.last.part, true);
	driver.hears({ type: 'error', code: 'position_conflict', retry: false, bytes: 200 });
	assert.equal(driver.link, 'waiting');
	driver.later(limits.BACKOFF_MAX_MS);
	assert.equal(driver.last.part, undefined);
	driver.started(200);
	assert.equal(driver.last, 100);
});

test('an answer without sense is no answer', () => {
	assert.equal(new Driver().feed({ type: 'connect' }).hears({ type: 'started', id: 'id' }).machine.reason, 'protocol');
	assert.equal(connected().write(5).hears({ type: 'ack', bytes: 6 }).machine.reason, 'protocol');
	assert.equal(connected().write(5).hears({ type: 'ack' }).machine.reason, 'protocol');
});
