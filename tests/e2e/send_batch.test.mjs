// `holdfast send` with many files and folders: all of them once, whatever dies meanwhile; what fails, fails alone.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, readdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultyDisk } from './support/faults.mjs';
import { startLan } from './support/lan.mjs';
import { startProxy } from './support/proxy.mjs';
import { assertEachOnce, manyFiles, put, recordings, Sending } from './support/sending.mjs';
import { atEnd, BINARY, startServer, tempDir, until } from './support/server.mjs';
import { as, mint } from './support/tokens.mjs';
import { api, assertOriginal, media, random } from './support/wire.mjs';

const options = { timeout: 180_000 };
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);

test('a folder: names relative to it, hidden files, links and sockets left out, odd names', options, async (t) => {
	const server = await startServer(t);
	const [dir, spool] = [tempDir(t), tempDir(t)];
	const files = put(dir, { 'a.webm': 'one', 'sub/deep/b.webm': 'two', 'sub/empty': '', '-dash': 'three', ' spaces ': 'four',
		'日本 語.webm': 'five', 'new\nline': 'six', [`${'long/'.repeat(60)}name.webm`]: 'seven' });
	put(dir, { '.hidden': 'h', '.folder/x': 'h' });
	writeFileSync(Buffer.concat([Buffer.from(`${dir}/bytes`), Buffer.from([0xff, 0xfe])]), 'eight');
	symlinkSync('a.webm', join(dir, 'link'));
	symlinkSync('.', join(dir, 'sub/around'));
	const socket = net.createServer().listen(join(dir, 'socket'));
	atEnd(t, () => socket.close());
	await until(() => readdirSync(dir).includes('socket'), 5000, 'the socket');
	const send = new Sending(t, ['--to', server.url, '--spool', spool, dir, join(dir, 'a.webm')]); // one of them twice
	const summary = await send.ended();
	assert.deepEqual(summary, { type: 'summary', files: 9, saved: 9, skipped: 0, failed: 0, left: 0 });
	assert.equal(send.of('note').map(({ message }) => message).filter((text) => /2 hidden|2 symbolic links|1 of other/.test(text)).length, 3);
	delete files['new\nline'];
	const long = Object.keys(files).at(-1);
	delete files[long];
	await assertEachOnce(server, { ...files, 'new\ufffdline': 'six', 'bytes\ufffd\ufffd': 'eight', [`\u2026${long.slice(-199)}`]: 'seven' });
	assert.deepEqual(readdirSync(spool), ['device', 'sent']);
	const hidden = await new Sending(t, ['--to', server.url, '--spool', spool, '--hidden', dir]).ended();
	assert.deepEqual([hidden.saved, hidden.skipped], [2, 9]);
	// the spool may lie in the folder
	const inside = await new Sending(t, ['--to', server.url, '--spool', join(dir, 'sub/spool'), dir]).ended();
	assert.equal(inside.files, 9);
});

test('a file named twice, by a link, with a dash in front, and none', options, async (t) => {
	const server = await startServer(t);
	const dir = tempDir(t);
	put(dir, { '-n.webm': 'one', '.dot': 'two' });
	symlinkSync('-n.webm', join(dir, 'link.webm'));
	const send = new Sending(t, [server.url, '--spool', tempDir(t), '--', '-n.webm', 'link.webm', './-n.webm', '.dot'], { cwd: dir });
	assert.equal((await send.ended()).saved, 2);
	await assertEachOnce(server, { '-n.webm': 'one', '.dot': 'two' });
	assert.deepEqual(await new Sending(t, [server.url, '--spool', tempDir(t)]).ended(), { type: 'summary', files: 0, saved: 0, skipped: 0, failed: 0, left: 0 });
});

test('200 files: kill -9 of sender and server in the middle, again and again; the same command goes on', options, async (t) => {
	const server = await startServer(t);
	const proxy = await startProxy(t, server);
	const [dir, spool] = [tempDir(t), tempDir(t)];
	const files = put(dir, manyFiles(200, SEED));
	const chance = random(SEED);
	const command = ['--to', proxy.url, '--spool', spool, dir];
	for (let kills = 0, ended = 0; kills < 6; kills++) {
		const send = new Sending(t, command);
		const wanted = 1 + Math.floor(chance() * 40);
		await until(() => send.of('saved').length >= wanted || send.of('summary').length, 30_000, 'some are safe');
		if (kills % 2) {
			await server.kill();
			await server.start();
			ended = send.of('saved').length;
			await until(() => send.of('saved').length > ended || send.of('summary').length, 30_000, 'it goes on');
		}
		await send.kill();
	}
	const last = new Sending(t, command);
	const { saved, skipped, failed } = await last.ended();
	assert.deepEqual([saved + skipped, failed], [200, 0]);
	await assertEachOnce(server, files);
	for (const name of readdirSync(spool)) assert.ok(['device', 'sent'].includes(name) || !readdirSync(join(spool, name)).includes('meta.json'), 'no take is left, at most a folder that was being made');
	// all is safe: the server is not even asked
	const { connections } = proxy;
	const again = new Sending(t, command);
	assert.deepEqual(await again.ended(), { type: 'summary', files: 200, saved: 0, skipped: 200, failed: 0, left: 0 });
	assert.equal(proxy.connections, connections);
	assert.match(again.of('skipped')[0].id, /^[0-9a-f-]{36}$/);
	// a file that has changed is another one
	const [name] = Object.keys(files);
	writeFileSync(join(dir, name), 'changed');
	assert.equal((await new Sending(t, command).ended()).saved, 1);
	assert.equal((await new Sending(t, [...command, '--again', '--jobs', '16']).ended()).saved, 200);
});

test('what the spool loses with the power does not make a second recording', options, async (t) => {
	const server = await startServer(t);
	const proxy = await startProxy(t, server);
	const [dir, spool] = [tempDir(t), tempDir(t)];
	const files = put(dir, { 'small.webm': 'small', 'large.webm': media(20_000_000) });
	const command = ['--to', proxy.url, '--spool', spool, dir];
	const send = new Sending(t, command);
	await until(async () => (await recordings(server)).some(({ bytes }) => bytes > 5_000_000), 30_000, 'the large one has begun');
	await send.kill();
	const lose = () => {
		for (const name of readdirSync(spool)) if (name !== 'device') rmSync(join(spool, name), { recursive: true });
	};
	lose();
	assert.equal((await new Sending(t, command).ended()).saved, 2);
	lose();
	assert.equal((await new Sending(t, command).ended()).saved, 2, 'the server knows both');
	await assertEachOnce(server, files);
});

test('1,000 small files over a link that is cut, few connections', options, async (t) => {
	const server = await startServer(t);
	const proxy = await startProxy(t, server);
	const dir = tempDir(t);
	const files = put(dir, manyFiles(1000, SEED, 4000));
	const send = new Sending(t, ['--to', proxy.url, '--spool', tempDir(t), '--jobs', '8', dir]);
	for (let cuts = 0; cuts < 5; cuts++) {
		await proxy.cutAfter(200_000);
		proxy.cut();
	}
	assert.equal((await send.ended()).saved, 1000);
	await assertEachOnce(server, files);
	assert.ok(proxy.connections < 100, `a connection goes on with the next file: ${proxy.connections}`);
});

test('what fails, fails alone: vanished, changed, unreadable, no such file', options, async (t) => {
	const disk = faultyDisk(t);
	const server = await startServer(t, { env: disk.env });
	const root = tempDir(t);
	chmodSync(root, 0o755);
	const [dir, spool] = [join(root, 'takes'), join(root, 'spool')];
	const files = put(dir, { 'a.webm': media(20_000_000, SEED), 'b.webm': 'vanishes', 'c.webm': 'fine', 'locked/d.webm': 'unreadable folder', 'e.webm': 'unreadable' });
	mkdirSync(spool);
	chmodSync(spool, 0o777);
	chmodSync(join(dir, 'locked'), 0);
	chmodSync(join(dir, 'e.webm'), 0);
	atEnd(t, () => chmodSync(join(dir, 'locked'), 0o755));
	const nobody = process.getuid() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
	disk.set('slow 200');
	const send = new Sending(t, ['--to', server.url, '--spool', spool, '--jobs', '1', dir, join(root, 'none')], { command: nobody });
	await until(async () => (await recordings(server))[0]?.bytes > 0, 20_000, 'the first is at work');
	disk.set('hold');
	appendFileSync(join(dir, 'a.webm'), 'more');
	unlinkSync(join(dir, 'b.webm'));
	disk.set('');
	const summary = await send.ended(1);
	assert.deepEqual(summary, { type: 'summary', files: 6, saved: 1, skipped: 0, failed: 5, left: 0 });
	const why = Object.fromEntries(send.of('failed').map(({ source, error }) => [source.slice(root.length + 1), error]));
	assert.deepEqual(Object.keys(why).sort(), ['none', 'takes/a.webm', 'takes/b.webm', 'takes/e.webm', 'takes/locked']);
	assert.match(why['takes/a.webm'], /^source_changed: /);
	assert.match(why['takes/b.webm'], /No such file/);
	assert.match(why['takes/e.webm'], /Permission denied/);
	assert.match(why['takes/locked'], /Permission denied/);
	// what has changed is sent anew, as it is now
	const again = new Sending(t, ['--to', server.url, '--spool', spool, dir], { command: nobody });
	const { saved, skipped } = await again.ended(1);
	assert.deepEqual([saved, skipped], [1, 1]);
	await assertOriginal(server, again.of('saved')[0].id, Buffer.concat([files['a.webm'], Buffer.from('more')]));
});

test('Ctrl-C leaves what is not done to the next run', options, async (t) => {
	const disk = faultyDisk(t);
	const server = await startServer(t, { env: disk.env });
	const [dir, spool] = [tempDir(t), tempDir(t)];
	const files = put(dir, manyFiles(30, SEED, 2_000_000));
	disk.set('slow 20');
	const send = new Sending(t, ['--to', server.url, '--spool', spool, dir]);
	await until(() => send.of('saved').length > 2, 30_000, 'some are safe');
	send.child.kill('SIGINT');
	const { saved, failed, left } = await send.ended(1, 5000);
	assert.deepEqual([saved + left, failed], [30, 0]);
	assert.ok(left > 0);
	disk.set('');
	assert.equal((await new Sending(t, ['--to', server.url, '--spool', spool, dir]).ended()).skipped, saved);
	await assertEachOnce(server, files);
});

test('two at once on the same folder send each file once', options, async (t) => {
	const server = await startServer(t);
	const [dir, spool] = [tempDir(t), tempDir(t)];
	const files = put(dir, manyFiles(60, SEED));
	const both = [0, 1].map(() => new Sending(t, ['--to', server.url, '--spool', spool, dir]));
	await Promise.all(both.map((send) => send.exited));
	for (const send of both) for (const { error } of send.of('failed')) assert.match(error, /another process is at work/);
	const last = await new Sending(t, ['--to', server.url, '--spool', spool, dir]).ended();
	assert.equal(last.saved + last.skipped, 60);
	await assertEachOnce(server, files);
});

test('a token: by file, by environment; a wrong one is told once and not a thousand times', options, async (t) => {
	const server = await startServer(t);
	const [dir, spool] = [tempDir(t), tempDir(t)];
	const files = put(join(dir, 'takes'), manyFiles(50, SEED, 2000));
	const command = ['--to', server.url, '--spool', spool, join(dir, 'takes')];
	const refused = new Sending(t, command, { env: { ...process.env, HOLDFAST_TOKEN: 'hf1.nonsense' } });
	const summary = await refused.ended(1);
	assert.ok(summary.failed >= 1 && summary.failed <= 8, JSON.stringify(summary));
	assert.equal(summary.failed + summary.left, 50);
	assert.match(refused.of('failed')[0].error, /^unauthorized: /);
	assert.deepEqual(await recordings(server), []);
	writeFileSync(join(dir, 'token'), `${mint(server, 'record', '--subject', 'anna').token}\n`);
	assert.equal((await new Sending(t, [...command, '--token-file', join(dir, 'token')]).ended()).saved, 50);
	const there = await recordings(server);
	assert.deepEqual(new Set(there.map(({ owner }) => owner)), new Set(['anna']));
	await assertEachOnce(server, files);
	assert.equal(spawnSync('grep', ['-rq', 'hf1', spool]).status, 1, 'no token in the spool');
});

test('over TLS of a private authority: refused without --ca, sent with it', options, async (t) => {
	const lan = await startLan(t);
	const dir = tempDir(t);
	put(dir, { 'take.webm': 'bytes', 'ca.pem': lan.ca });
	const { token } = mint(lan.server, 'record');
	const command = ['--to', lan.url, '--spool', join(dir, 'spool'), '--token', token, join(dir, 'take.webm')];
	const refused = new Sending(t, command);
	await until(() => refused.lines.some(({ error }) => error), 20_000, 'it says why');
	await refused.kill();
	const send = new Sending(t, [...command, '--ca', join(dir, 'ca.pem')]);
	await send.ended();
	const { status } = await api(lan.server, `/api/recordings/${send.of('saved')[0].id}/original`, as(token));
	assert.equal(status, 200);
});

test('wrong command lines', options, async (t) => {
	const wrong = [['--jobs', '0', 'x'], ['--jobs', '65', 'x'], ['--tus-chunk', '-1', 'x'], ['--tus', '-'], ['--token-file', '/none', 'x'], ['--name', 'n', 'x', 'y'], ['-', '-']];
	for (const args of wrong) {
		const send = new Sending(t, ['--to', 'http://127.0.0.1:1', '--spool', tempDir(t), ...args]);
		assert.equal((await send.exited).code, 2, args.join(' '));
		assert.match(send.errors, /^holdfast: .*\nTry/, args.join(' '));
	}
	const help = execFileSync(BINARY, ['send', '--help'], { encoding: 'utf8' });
	for (const line of help.split('\n')) assert.ok(line.length <= 100, line);
});
