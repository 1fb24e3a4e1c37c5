// The package as somebody gets it who installs it: packed, put into an empty project, used as its README says, and its types checked.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { promisify } from 'node:util';
import { startProxy } from './support/proxy.mjs';
import { atEnd, ROOT, sharedServer, tempDir, until, within } from './support/server.mjs';
import { bytesOf, file, startSource } from './support/source.mjs';
import { api, assertOriginal, media } from './support/wire.mjs';

const run = promisify(execFile);
const options = { timeout: 120_000 };
const README = readFileSync(join(ROOT, 'web/client/README.md'), 'utf8');
const server = sharedServer({ args: ['--fetch-allow', '127.0.0.0/8', '--fetch-http'], workers: 1 });
let tarball;

/** The code of the README that begins with the name of this file. */
const example = (name) => README.match(new RegExp('```js\\n(// ' + name.replace('.', '\\.') + ':[\\s\\S]*?)```'))[1];

/** An empty project that has the package installed. */
async function project(t) {
	const dir = tempDir(t);
	writeFileSync(join(dir, 'package.json'), '{ "name": "strangers", "type": "module", "private": true }\n');
	await run('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball], { cwd: dir });
	cpSync(join(ROOT, 'node_modules/ws'), join(dir, 'node_modules/ws'), { recursive: true });
	return dir;
}

/** Node of before 22 is told which WebSocket to use, as the README says. */
const runnable = (code) => (globalThis.WebSocket ? code : `import { WebSocket } from 'ws';\n${code.replaceAll('openClient({ ', 'openClient({ WebSocket, ')}`);

before(async () => {
	const dir = join(server.dataDir, '../pack');
	mkdirSync(dir, { recursive: true });
	const { stdout } = await run('npm', ['pack', '--pack-destination', dir], { cwd: join(ROOT, 'web/client') });
	tarball = join(dir, stdout.trim().split('\n').at(-1));
});

test('types: what the README shows is what index.d.ts says', options, async (t) => {
	const dir = await project(t);
	const browser = README.match(/```js\n(import \{ openClient \} from '@holdfast\/client';[\s\S]*?)```/)[1];
	const upload = README.match(/```js\n(const upload = [\s\S]*?)```/)[1];
	writeFileSync(join(dir, 'browser.ts'), browser);
	writeFileSync(join(dir, 'upload.ts'), `import type { Client } from '@holdfast/client';\ndeclare const client: Client;\ndeclare const file: File;\n${upload}`);
	const declared = 'declare const process: { argv: string[]; env: Record<string, string | undefined>; stdin: AsyncIterable<Uint8Array> };\n';
	for (const name of ['record', 'import']) writeFileSync(join(dir, `${name}.ts`), `${declared}${example(`${name}.mjs`).replace('token: process.env.HOLDFAST_TOKEN', 'token: process.env.HOLDFAST_TOKEN ?? null')}`);
	writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions: { strict: true, noEmit: true, target: 'es2022', module: 'nodenext', lib: ['es2022', 'dom', 'dom.iterable'], types: [], exactOptionalPropertyTypes: true } }));
	const done = await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', dir]).catch((error) => error);
	assert.equal(done.stdout, '');
	writeFileSync(join(dir, 'wrong.ts'), "import { openClient } from '@holdfast/client';\nvoid openClient({ sever: 1 });\n");
	const wrong = await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', dir]).catch((error) => error);
	assert.match(wrong.stdout, /wrong\.ts.*sever/);
});

test('every export of the package is there', options, async (t) => {
	const dir = await project(t);
	writeFileSync(join(dir, 'all.mjs'), `const names = Object.keys((await import('@holdfast/client')));
const more = Object.keys((await import('@holdfast/client/node.js')));
await import('@holdfast/client/machine.js');
console.log(JSON.stringify({ names, more, worker: import.meta.resolve('@holdfast/client/store-worker.js') }));\n`);
	const { stdout } = await run(process.execPath, [join(dir, 'all.mjs')]);
	const { names, more } = JSON.parse(stdout);
	assert.deepEqual(names.sort(), ['ApiError', 'SUBPROTOCOL', 'newSessionId', 'openClient']);
	assert.deepEqual(more.sort(), [...names, 'openFile'].sort());
});

test('a recording from a program: killed in the middle, sent by the next run, over cut links', options, async (t) => {
	const dir = await project(t);
	const proxy = await startProxy(t, server);
	writeFileSync(join(dir, 'record.mjs'), runnable(example('record.mjs')));
	const start = (name) => {
		const child = spawn(process.execPath, ['record.mjs', proxy.url, name], { cwd: dir, stdio: ['pipe', 'pipe', 'inherit'] });
		atEnd(t, () => child.kill('SIGKILL'));
		child.stdin.on('error', () => {});
		child.said = '';
		child.stdout.on('data', (data) => {
			child.said += data;
		});
		child.ended = new Promise((resolve) => child.on('close', resolve));
		return child;
	};
	const bytes = media(3_000_000, 4);
	const first = start('first');
	proxy.mode = 'refuse';
	first.stdin.write(bytes.subarray(0, 2_000_000));
	await until(() => {
		const spool = join(dir, 'holdfast-spool');
		const [take] = readdirSync(spool).filter((name) => /^[0-9a-f]{64}$/.test(name));
		return statSync(join(spool, take, '0-0')).size === 2_000_000;
	}, 20_000, 'it is kept');
	first.kill('SIGKILL');
	await first.ended;
	proxy.heal();
	const second = start('second');
	second.stdin.end(bytes);
	await proxy.cutAfter(1_000_000);
	assert.equal(await within(second.ended, 60_000, 'the end'), 0);
	await assertOriginal(server, second.said.trim(), bytes);
	const { items } = (await api(server, '/api/recordings')).body;
	const left = items.find(({ name }) => name === 'first');
	await assertOriginal(server, left.id, bytes.subarray(0, 2_000_000));
});

test('files and an address from a program, twice: nothing is there twice', options, async (t) => {
	const dir = await project(t);
	const call = bytesOf(40_000, 9);
	const source = await startSource(t, (request, response) => file(call)(request, response, 99));
	const films = [media(2_000_000, 5), media(300_000, 6)];
	for (const [i, film] of films.entries()) writeFileSync(join(dir, `film-${i}.mp4`), film);
	writeFileSync(join(dir, 'import.mjs'), runnable(example('import.mjs')));
	const proxy = await startProxy(t, server);
	const once = () => run(process.execPath, ['import.mjs', proxy.url, 'from-a-program', 'film-0.mp4', 'film-1.mp4', source.url('/call.ogg')], { cwd: dir });
	const first = once();
	await proxy.cutAfter(900_000);
	await first;
	await once();
	const items = await until(async () => {
		const { body } = await api(server, '/api/recordings?batch=from-a-program');
		return body.items.length === 3 && body.items.every((one) => one.phase !== 'uploading') && body.items;
	}, 30_000, 'all of it');
	const byKey = new Map(items.map((one) => [one.key, one.id]));
	for (const [i, film] of films.entries()) await assertOriginal(server, byKey.get(`film-${i}.mp4`), film);
	await assertOriginal(server, byKey.get(source.url('/call.ogg')), call);
});

test('an upload of a program that is killed goes on with the next run', options, async (t) => {
	const dir = await project(t);
	const film = media(40_000_000, 7);
	writeFileSync(join(dir, 'film.mp4'), film);
	const proxy = await startProxy(t, server);
	writeFileSync(join(dir, 'upload.mjs'), `import { openClient, openFile } from '@holdfast/client/node.js';
const client = await openClient({ server: process.argv[2], dir: 'spool' });
const { id, problem } = await client.upload(await openFile('film.mp4')).whenDone();
console.log(id ?? problem.code);
await client.close();\n`);
	const first = spawn(process.execPath, ['upload.mjs', proxy.url], { cwd: dir, stdio: 'inherit' });
	await proxy.cutAfter(9_000_000);
	first.kill('SIGKILL');
	const before = proxy.toServer;
	const { stdout } = await run(process.execPath, ['upload.mjs', proxy.url], { cwd: dir });
	await assertOriginal(server, stdout.trim(), film);
	assert.ok(proxy.toServer - before < film.length - 4_000_000, `${proxy.toServer - before} bytes were sent again`);
	assert.equal((await api(server, '/api/recordings?search=film.mp4')).body.items.filter(({ batch }) => batch === null).length, 1);
});

test('without a WebSocket it says what to do', { ...options, skip: globalThis.WebSocket !== undefined && 'this Node has one' }, async (t) => {
	const dir = await project(t);
	writeFileSync(join(dir, 'none.mjs'), `import { openClient } from '@holdfast/client/node.js';
const client = await openClient({ server: '${server.url}' });
await client.begin({ mime: 'video/webm', ext: 'webm' }).catch(({ code }) => console.log(code));
await client.close();\n`);
	assert.equal((await run(process.execPath, [join(dir, 'none.mjs')])).stdout.trim(), 'no_websocket');
});
