// control.sock, `holdfast token` with and without a server, and `holdfast status`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { atEnd, BINARY, startServer, tempDir, until, within } from './support/server.mjs';
import { as, code, holdfast, mint, token } from './support/tokens.mjs';
import { api, media, sessionId, wire } from './support/wire.mjs';

const options = { timeout: 120_000 };

/** Lines to control.sock, and what it answers to each, until it closes or there were as many. */
function control(server, text, answers = 1) {
	return within(new Promise((resolve, reject) => {
		let got = '';
		const socket = net.connect(join(server.dataDir, 'control.sock'), () => socket.write(text));
		const finish = () => {
			socket.destroy();
			resolve(got.split('\n').slice(0, -1).map((line) => JSON.parse(line)));
		};
		socket.on('data', (data) => {
			got += data;
			if (got.split('\n').length > answers) finish();
		});
		socket.on('close', finish);
		socket.on('error', reject);
	}), 10_000, 'an answer');
}

test('control.sock: for its owner only, strict, bounded, and new after a crash', options, async (t) => {
	const server = await startServer(t);
	const path = join(server.dataDir, 'control.sock');
	assert.equal(statSync(path).mode & 0o777, 0o600);
	assert.equal(statSync(join(server.dataDir, 'tokens.json')).mode & 0o777, 0o600);
	for (const [text, want] of [['nonsense\n', 'bad_message'], ['[]\n', 'bad_message'], ['{"do":1}\n', 'unknown_type'], ['{"do":"nothing"}\n', 'unknown_type'],
		['{}\n', 'unknown_type'], ['{"do":"status","x":1}\n', 'unknown_type'], ['{"do":"token.list","x":1}\n', 'bad_field'], ['{"do":"token.revoke"}\n', 'bad_field'],
		['{"do":"token.mint","scopes":["root"],"expiresInMs":5000}\n', 'bad_field'], ['{"do":"token.mint","scopes":["play"],"expiresInMs":0}\n', 'bad_field'],
		['{"do":"token.mint","scopes":["play"],"expiresInMs":5000,"subject":"local"}\n', 'bad_field'],
		['{"do":"token.mint","scopes":["play"],"expiresInMs":5000,"recording":"x"}\n', 'bad_field'],
		['{"do":"token.mint","scopes":["play"],"expiresInMs":5000,"maxBytes":0}\n', 'bad_field'],
		['{"do":"status","do":"status"}\n', 'bad_message'], [`{"do":"${'x'.repeat(20_000)}"}\n`, 'bad_message']]) {
		const [answer] = await control(server, text);
		assert.equal(answer.ok, false, text);
		assert.equal(answer.code, want, text.slice(0, 60));
	}
	const many = await control(server, '{"do":"token.list"}\n'.repeat(50), 50);
	assert.equal(many.length, 50);
	assert.ok(many.every(({ ok }) => ok));
	// more connections than it takes: the others are closed, and it goes on
	const sockets = Array.from({ length: 40 }, () => net.connect(path));
	let closed = 0;
	for (const socket of sockets) socket.on('close', () => closed++).on('error', () => {});
	await until(() => closed >= 24, 10_000, 'those above the limit are closed');
	for (const socket of sockets) socket.destroy();
	await until(async () => (await control(server, '{"do":"status"}\n'))[0].ok, 10_000, 'room again');
	await server.kill();
	assert.ok(existsSync(path), 'left over');
	assert.equal(holdfast('status', '--data', server.dataDir).status, 1);
	await server.start();
	assert.equal(holdfast('status', '--data', server.dataDir).status, 0);
	await server.stop();
	assert.ok(!existsSync(path));
	writeFileSync(path, 'mine'); // not ours to remove: the server does its work without
	await server.start();
	assert.equal((await api(server, '/api/server')).status, 200);
	assert.equal(readFileSync(path, 'utf8'), 'mine');
	assert.match(server.output, /control_socket_failed/);
});

test('holdfast token without a server, and what it refuses', options, async (t) => {
	const server = await startServer(t);
	const made = mint(server, 'play', '--subject', 'anna', '--device', 'Her laptop');
	const busy = holdfast('verify', '--data', server.dataDir);
	assert.equal(busy.status, 1);
	assert.match(busy.stderr, /another process, probably a server, uses .*; stop it first/);
	await server.stop();
	const offline = mint(server.dataDir, 'record');
	const listed = token(server, 'list', '--json').lines;
	assert.deepEqual(listed.map(({ id }) => id), [made.id, offline.id]);
	assert.deepEqual([listed[0].subject, listed[0].device, listed[0].state], ['anna', 'Her laptop', 'valid']);
	assert.match(token(server, 'list').stdout, new RegExp(`^ID .*\n${made.id} +valid +play .*anna.*Her laptop`));
	const printed = token(server, 'mint', '--scope', 'play');
	assert.match(printed.stdout, /^hf1\.[\w-]+\.[\w-]+\n$/, 'the token alone, for scripts');
	assert.equal(token(server, 'revoke', made.id).status, 0);
	assert.equal(token(server, 'pair').status, 1);
	await server.start();
	assert.equal(await code(api(server, '/api/server', as(made.token))), 'token_revoked');
	assert.equal((await api(server, '/api/server', as(offline.token))).status, 200);
	assert.equal((await api(server, '/api/server', as(printed.stdout.trim()))).status, 200);
	for (const [args, status, said] of [[['mint'], 2, /--scope is missing/], [['mint', '--scope', 'root'], 1, /A scope is record/], [[], 2, /a command is missing/],
		[['nothing'], 2, /unknown command nothing/], [['revoke'], 2, /needs the ID/], [['revoke', 'nobody'], 1, /nothing of this name/], [['list', 'x'], 2, /unexpected argument x/],
		[['list', '--scope', 'play'], 2, /are for mint/], [['mint', '--scope', 'play', '--expires', 'soon'], 2, /--expires must be/],
		[['mint', '--scope', 'play', '--max-bytes', '0'], 2, /--max-bytes must be/], [['mint', '--scope', 'play', '--subject', 'local'], 1, /local/],
		[['mint', '--scope', 'play', '--recording', 'x'], 1, /id of one/], [['list', '--nothing'], 2, /unrecognized option/]]) {
		const answer = holdfast('token', ...args, '--data', server.dataDir);
		assert.equal(answer.status, status, `${args}: ${answer.stderr}`);
		assert.match(answer.stderr, said);
	}
	assert.equal(holdfast('token', 'list').status, 2);
	const nowhere = join(tempDir(t), 'nothing');
	assert.equal(holdfast('token', 'list', '--data', nowhere).status, 1);
	assert.ok(!existsSync(nowhere), 'none was made');
	assert.match(holdfast('token', '--help').stdout, /--max-bytes=SIZE/);
	await server.stop();
	writeFileSync(join(server.dataDir, 'tokens.json'), '{"version":1}');
	assert.match(token(server, 'list').stderr, /tokens\.json is damaged/);
	await assert.rejects(server.start(), /tokens\.json is damaged/);
});

test('holdfast status: once, as JSON, and live in a terminal', options, async (t) => {
	const server = await startServer(t);
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId(), name: 'Monday' });
	w.binary(media(200_000));
	await w.untilAcked(200_000);
	const once = holdfast('status', '--data', server.dataDir);
	assert.equal(once.status, 0);
	assert.ok(once.stdout.includes(`at ${server.url}, up `), once.stdout);
	assert.match(once.stdout, /1 recording open, 1 attached/);
	assert.match(once.stdout, new RegExp(`^uploading +attached +195\\.3 KiB  Monday +${id}$`, 'm'));
	assert.doesNotMatch(once.stdout, /\x1b/);
	const [figures] = holdfast('status', '--data', server.dataDir, '--json').lines;
	assert.deepEqual([figures.attached, figures.takes, figures.pid], [1, 1, server.pid]);
	assert.equal(figures.recordings[0].bytes, 200_000);
	assert.ok(figures.freeBytes > 0 && figures.totalBytes > figures.freeBytes);
	// in a terminal, by script(1), until Ctrl-C
	const live = spawn('script', ['-qefc', `exec ${BINARY} status --data ${server.dataDir}`, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
	atEnd(t, () => live.kill('SIGKILL'));
	let shown = '';
	live.stdout.on('data', (data) => (shown += data));
	const exited = new Promise((resolve) => live.on('exit', resolve));
	await until(() => shown.includes('Monday') && shown.includes('195.3 KiB'), 10_000, 'the first picture');
	w.binary(media(200_000));
	await until(() => shown.includes('390.6 KiB'), 10_000, 'the next one');
	live.stdin.write('\x03');
	assert.equal(await within(exited, 10_000, 'the end'), 0);
	assert.ok(shown.endsWith('\x1b[?1049l'), 'the terminal is as it was');
	await server.stop();
	const gone = holdfast('status', '--data', server.dataDir);
	assert.equal(gone.status, 1);
	assert.match(gone.stderr, /no server runs on/);
});
