// What `holdfast send` shows: bars in a terminal of any size, lines elsewhere.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultyDisk } from './support/faults.mjs';
import { startProxy } from './support/proxy.mjs';
import { manyFiles, put } from './support/sending.mjs';
import { BINARY, startServer, tempDir, until, within } from './support/server.mjs';
import { Screen, Terminal } from './support/terminal.mjs';
import { media } from './support/wire.mjs';

const options = { timeout: 120_000 };
const SEED = 1;

/** A server whose disk is slow, so that there is something to look at. */
async function slowServer(t, ms = 20) {
	const disk = faultyDisk(t);
	const server = await startServer(t, { env: disk.env });
	disk.set(`slow ${ms}`);
	return { server, disk };
}

test('the screen of these tests does what a terminal does', () => {
	const screen = new Screen(10, 3);
	screen.write('one\r\ntwo\x1b[K\r\nthr');
	screen.write('ee\x1b');
	screen.write('[1A\r2\x1b[K\x1b[31mr\x1b[0m\x1b[J');
	assert.deepEqual(screen.text, ['one', '2r']);
	screen.write('\r\n0123456789abc');
	assert.deepEqual(screen.text, ['one', '2r', '0123456789', 'abc']);
	screen.write('\x1b[9A\rX日本');
	assert.deepEqual(screen.text, ['one', 'X日本', '0123456789', 'abc'], 'not above the screen');
});

test('a bar for each file at work, one for all; what failed stays', options, async (t) => {
	const { server, disk } = await slowServer(t);
	const dir = tempDir(t);
	put(dir, Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`take ${i}.webm`, media(4_000_000, i)])));
	const terminal = new Terminal(t, 100, 24, [BINARY, 'send', '--to', server.url, '--spool', tempDir(t), '--jobs', '3', join(dir, 'none'), dir]);
	const { screen } = terminal;
	const bars = () => screen.visible.filter((line) => /take \d.webm +[━─]{10,} +\d+%/.test(line));
	await until(() => bars().length === 3 && bars().some((line) => /[1-9]\d*% +\d.* [KM]iB\/s/.test(line)), 20_000, 'three are at work');
	assert.match(screen.visible.at(-1), /^\d of 9 safe, 1 failed +[━─]{10,} +\d+%/);
	assert.ok(screen.visible.some((line) => /none: No such file/.test(line)));
	await until(() => /^[3-9] of 9 safe/.test(screen.visible.at(-1)), 60_000, 'some are safe');
	assert.ok(screen.text.length < 8, `nothing scrolls: ${screen.text.join('\n')}`);
	disk.set('');
	assert.equal(await within(terminal.exited, 60_000, 'the end'), 1);
	const text = screen.text.join('\n');
	assert.match(text, /9 files: 8 saved \(30\.5 MiB in \d+:\d\d\), 1 failed:\n  .*none: No such file or directory\n?$/);
	assert.doesNotMatch(text, /[━─]/, 'no bar is left');
	assert.ok(screen.widest <= 99);
});

test('thousands of files in terminals of any width', options, async (t) => {
	const server = await startServer(t);
	const dir = tempDir(t);
	put(dir, manyFiles(300, SEED, 2000));
	put(dir, { [`${'a long folder/'.repeat(10)}日本語の長い名前 ${'x'.repeat(60)}.webm`]: 'long', 'escape \x1b[31m\x1b[2J\r.webm': 'evil' });
	for (const [columns, rows, jobs] of [[200, 50, 8], [80, 24, 4], [44, 6, 8], [31, 4, 2], [12, 2, 1]]) {
		const terminal = new Terminal(t, columns, rows, [BINARY, 'send', '--to', server.url, '--spool', tempDir(t), '--jobs', String(jobs), dir]);
		assert.equal(await within(terminal.exited, 60_000, 'the end'), 0);
		const { screen } = terminal;
		assert.match(screen.text.join('').replaceAll(' ', ''), /302files:302saved\(.*\)$/, `${columns} columns`);
		assert.ok(screen.text.length <= 6, `${columns} columns: ${screen.text.join('\n')}`);
		if (columns > 40) assert.ok(screen.widest < columns, `${screen.widest} of ${columns} columns`);
		assert.doesNotMatch(terminal.raw, /\x1b\[2J|\x1b\[31mholdfast/, 'a name steers nothing');
	}
});

test('a terminal that is made narrower, and wider', options, async (t) => {
	const { server, disk } = await slowServer(t, 200);
	const dir = tempDir(t);
	put(dir, Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`take ${i}.webm`, media(20_000_000, i)])));
	const terminal = new Terminal(t, 120, 24, [BINARY, 'send', '--to', server.url, '--spool', tempDir(t), '--jobs', '3', dir]);
	for (const columns of [60, 40, 100]) {
		await until(() => terminal.screen.visible.some((line) => /\d\.webm +[━─]/.test(line)), 20_000, 'it draws');
		terminal.resize(columns, 24);
		const { length } = terminal.raw;
		await until(() => terminal.raw.length > length + 2000, 20_000, 'it goes on');
	}
	disk.set('');
	assert.equal(await within(terminal.exited, 60_000, 'the end'), 0);
	assert.match(terminal.screen.text.join('\n'), /^6 files: 6 saved .*\n?$/, 'nothing of the bars is left');
});

test('one file has one bar, and says where it is at last; a lost link is told', options, async (t) => {
	const { server, disk } = await slowServer(t, 200);
	const proxy = await startProxy(t, server);
	const dir = tempDir(t);
	put(dir, { 'take.webm': media(40_000_000, SEED) });
	const terminal = new Terminal(t, 80, 24, [BINARY, 'send', '--to', proxy.url, '--spool', tempDir(t), join(dir, 'take.webm')], { LC_ALL: 'C', NO_COLOR: '1' });
	await until(() => /take.webm +#+\.+ +\d+%/.test(terminal.screen.visible.join()), 20_000, 'a bar in ASCII');
	proxy.mode = 'refuse';
	proxy.cut();
	await until(() => /next try in \d+ s/.test(terminal.screen.visible.join()), 20_000, 'it says that it waits');
	proxy.heal();
	disk.set('');
	assert.equal(await within(terminal.exited, 60_000, 'the end'), 0);
	assert.match(terminal.screen.text.join(''), /^saved .*take.webm: 40000000 bytes, id [0-9a-f-]{36}/);
	assert.doesNotMatch(terminal.raw, /\x1b\[\d*m/, 'NO_COLOR');
	assert.doesNotMatch(terminal.raw, /[^\x00-\x7f]/, 'only ASCII where the terminal has no more');
});

test('without a terminal plain lines; with --quiet what failed, and nothing else', options, async (t) => {
	const server = await startServer(t);
	const dir = tempDir(t);
	put(dir, manyFiles(20, SEED));
	const run = (...args) => new Promise((resolve) => {
		execFile(BINARY, ['send', '--to', server.url, ...args], { encoding: 'utf8' }, (error, out, err) => resolve({ code: error?.code ?? 0, out, err }));
	});
	const spool = tempDir(t);
	const plain = await run('--spool', spool, dir, join(dir, 'none'));
	assert.equal(plain.code, 1);
	assert.equal(plain.out.trim().split('\n').filter((line) => /^saved .*: \d+ bytes, id [0-9a-f-]{36}, sha256 [0-9a-f]{64}, http/.test(line)).length, 20);
	assert.match(plain.err, /^holdfast: .*none: No such file/m);
	assert.match(plain.err, /^21 files: 20 saved \(.*\), 1 failed:\n  .*none: No such file or directory\n$/m);
	assert.doesNotMatch(plain.out + plain.err, /\x1b|\r/);
	const quiet = await run('--spool', tempDir(t), '--quiet', dir, join(dir, 'none'));
	assert.deepEqual([quiet.code, quiet.out, quiet.err], [1, '', `holdfast: ${join(dir, 'none')}: No such file or directory\n`]);
	const again = await run('--spool', spool, dir);
	assert.deepEqual([again.code, again.out, again.err], [0, '', '20 files: 0 saved (0 B in 0:00), 20 safe already\n']);
});
