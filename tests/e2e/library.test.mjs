// libholdfast as a program meets it: installed, found by pkg-config, linked shared and static, with nothing in it but hf_*.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { atEnd, BINARY, ROOT, startServer, tempDir, until, within } from './support/server.mjs';
import { startProxy } from './support/proxy.mjs';
import { api, assertOriginal, media, random } from './support/wire.mjs';

const options = { timeout: 120_000 };
const SEED = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);
const EXAMPLE = join(ROOT, 'examples/record.c');

let root, prefix, libraries, flags;

after(() => rmSync(root, { recursive: true, force: true }));

before(() => {
	root = mkdtempSync(join(tmpdir(), 'holdfast-e2e-'));
	execFileSync('meson', ['install', '-C', dirname(BINARY), '--no-rebuild', '--quiet', '--tags', 'devel,runtime', '--destdir', root]);
	const pc = execFileSync('find', [root, '-name', 'holdfast.pc'], { encoding: 'utf8' }).trim();
	prefix = root + /^prefix=(.*)$/m.exec(readFileSync(pc, 'utf8'))[1];
	libraries = dirname(dirname(pc));
	flags = (...more) => execFileSync('pkg-config', [`--define-variable=prefix=${prefix}`, ...more, 'holdfast'],
		{ encoding: 'utf8', env: { ...process.env, PKG_CONFIG_PATH: dirname(pc) } }).trim().split(/\s+/);
});

const lines = (command, ...args) => execFileSync(command, args, { encoding: 'utf8' }).split('\n').filter(Boolean);

/** The built example in a folder of its own, where its spool is. */
class Recorder {
	said = '';

	constructor(t, dir, program, url) {
		this.child = spawn(program, [url], { cwd: dir, stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, LD_LIBRARY_PATH: libraries } });
		this.child.stdin.on('error', () => {});
		this.child.stdout.on('data', (data) => {
			this.said += data;
		});
		this.exited = new Promise((resolve) => this.child.on('close', resolve));
		atEnd(t, () => this.kill());
	}

	async kill() {
		this.child.kill('SIGKILL');
		await this.exited;
	}
}

test('the example, built with an installed shared library, over cut links and its own death', options, async (t) => {
	const dir = tempDir(t);
	const program = join(dir, 'record');
	execFileSync('cc', ['-Wall', '-Wextra', '-Werror', '-o', program, EXAMPLE, ...flags('--cflags', '--libs')]);
	assert.ok(lines('ldd', program).length > 0);
	assert.match(execFileSync('readelf', ['-d', program], { encoding: 'utf8' }), /NEEDED.*libholdfast\.so\.0\]/);
	const server = await startServer(t);
	const proxy = await startProxy(t, server);
	const chance = random(SEED);
	const [first, second] = [media(3_000_000, SEED), media(500_000, SEED + 1)];
	const killed = new Recorder(t, dir, program, proxy.url);
	killed.child.stdin.write(first);
	for (let cuts = 0; cuts < 3; cuts++) await proxy.cutAfter(1 + Math.floor(chance() * 500_000));
	await until(async () => (await api(server, '/api/recordings')).body.items[0]?.bytes === first.length, 20_000, 'all of it is there');
	await killed.kill();
	const again = new Recorder(t, dir, program, proxy.url);
	again.child.stdin.end(second);
	assert.equal(await within(again.exited, 30_000, 'the end'), 0);
	const [left, saved] = again.said.trim().split('\n');
	await assertOriginal(server, left, first);
	await assertOriginal(server, saved, second);
	assert.equal((await api(server, '/api/recordings')).body.items.length, 2);
	assert.deepEqual(readdirSync(join(dir, 'spool')), [], 'nothing is left in the spool');
});

test('the same, linked statically', options, async (t) => {
	const dir = tempDir(t);
	const program = join(dir, 'record');
	// a program's own functions may have any name that is none of hf_*
	writeFileSync(join(dir, 'own.c'), lines('nm', join(libraries, 'libholdfast.a')).filter((line) => / t [a-z]/.test(line))
		.map((line) => line.split(' ').at(-1)).filter((name) => /^(keep|url|wire|link|sender|hash|take)_\w+$/.test(name)).map((name) => `void ${name}(void); void ${name}(void) {}\n`).join(''));
	assert.ok(readFileSync(join(dir, 'own.c'), 'utf8').includes('url_parse'));
	// where both are, a linker takes the shared one if it is not told otherwise
	execFileSync('cc', ['-o', program, EXAMPLE, join(dir, 'own.c'), ...flags('--cflags', '--static', '--libs').map((flag) => flag === '-lholdfast' ? '-l:libholdfast.a' : flag)]);
	assert.doesNotMatch(execFileSync('readelf', ['-d', program], { encoding: 'utf8' }), /libholdfast/);
	const server = await startServer(t);
	const bytes = media(100_000, SEED);
	const recorder = new Recorder(t, dir, program, server.url);
	recorder.child.stdin.end(bytes);
	assert.equal(await within(recorder.exited, 30_000, 'the end'), 0);
	await assertOriginal(server, recorder.said.trim(), bytes);
});

test('only what the header declares can be linked to, and all of it', () => {
	const header = readFileSync(join(prefix, 'include/holdfast/client.h'), 'utf8');
	const declared = [...header.matchAll(/HF_API [^;]*?(hf_\w+)\(/g)].map((match) => match[1]).sort();
	const names = (out) => out.filter((line) => !line.endsWith(':')).map((line) => line.split(' ').at(-1)).sort();
	assert.ok(declared.length > 15);
	assert.deepEqual(names(lines('nm', '-D', '--defined-only', join(libraries, 'libholdfast.so'))), declared);
	assert.deepEqual(names(lines('nm', '-g', '--defined-only', join(libraries, 'libholdfast.a'))), declared);
});

test('C++ and strict C include the header; it says the version of the library', (t) => {
	const dir = tempDir(t);
	const source = `#include <holdfast/client.h>
#include <stdio.h>
int main(void) { printf("%d.%d.%d %s\\n", HF_VERSION_MAJOR, HF_VERSION_MINOR, HF_VERSION_PATCH, hf_version()); return 0; }\n`;
	for (const [compiler, name, ...standard] of [['c++', 'v.cc', '-std=c++11'], ['cc', 'v.c', '-std=c99']]) {
		writeFileSync(join(dir, name), source);
		execFileSync(compiler, [...standard, '-Wall', '-Wextra', '-Wpedantic', '-Werror', '-o', join(dir, 'v'), join(dir, name), ...flags('--cflags', '--libs')]);
		const [header, library] = execFileSync(join(dir, 'v'), { encoding: 'utf8', env: { ...process.env, LD_LIBRARY_PATH: libraries } }).trim().split(' ');
		assert.equal(header, library);
		assert.equal(library, flags('--modversion')[0]);
	}
});

test('the example stays short enough to be read', () => {
	assert.ok(readFileSync(EXAMPLE, 'utf8').split('\n').length <= 60);
});
