// `holdfast send` in a test's hands, and folders for it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { atEnd, BINARY, within } from './server.mjs';
import { api, media, random, sha256 } from './wire.mjs';

/** One run with --json; its lines stand in `lines` as they come. `args`: all but --json. */
export class Sending {
	lines = [];
	errors = '';

	constructor(t, args, { command = [], ...more } = {}) {
		const [program, ...rest] = [...command, BINARY, 'send', '--json', ...args];
		this.child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], ...more });
		let text = '';
		this.child.stdout.on('data', (data) => {
			text += data;
			const lines = text.split('\n');
			text = lines.pop();
			this.lines.push(...lines.map((line) => JSON.parse(line)));
		});
		this.child.stderr.on('data', (data) => {
			this.errors += data;
		});
		this.exited = new Promise((resolve) => this.child.on('close', (code, signal) => resolve({ code, signal })));
		atEnd(t, () => this.kill());
	}

	of(type) {
		return this.lines.filter((line) => line.type === type);
	}

	async kill() {
		this.child.kill('SIGKILL');
		await this.exited;
	}

	/** Its summary; it must end with this status. */
	async ended(code = 0, ms = 90_000) {
		const end = await within(this.exited, ms, `holdfast send to end; it said ${JSON.stringify(this.lines.slice(-5))}${this.errors}`);
		assert.equal(end.code, code, JSON.stringify(this.lines.slice(-8)) + this.errors);
		const [saved, skipped, failed] = ['saved', 'skipped', 'failed'].map((type) => this.of(type).length);
		return this.of('summary').at(-1) ?? { type: 'summary', files: 1, saved, skipped, failed, left: 1 - saved - skipped - failed };
	}
}

/** Files in `dir`: names to contents. */
export function put(dir, files) {
	for (const [name, bytes] of Object.entries(files)) {
		const path = join(dir, name);
		mkdirSync(dirname(path), { recursive: true });
		writeFileSync(path, bytes);
	}
	return files;
}

/** Names to contents, of many small ones. */
export function manyFiles(count, seed, most = 20_000) {
	const chance = random(seed);
	return Object.fromEntries(Array.from({ length: count }, (_, i) =>
		[`part ${Math.floor(i / 50)}/take ${String(i).padStart(4, '0')}.webm`, media(1 + Math.floor(chance() * most), seed + i)]));
}

/** All recordings, newest first. */
export async function recordings(server) {
	const items = [];
	for (let before = ''; before !== null;) {
		const { body } = await api(server, `/api/recordings${before && `?before=${encodeURIComponent(before)}`}`);
		items.push(...body.items);
		before = body.next;
	}
	return items;
}

/** These files are on the server: each of them once, whole, and no other. */
export async function assertEachOnce(server, files) {
	const there = await recordings(server);
	assert.deepEqual(there.map(({ name }) => name).sort(), Object.keys(files).sort());
	for (const { id, name, revision } of there) {
		assert.ok(revision === undefined || revision <= 1, `${name}: revision ${revision}`);
		const { bytes } = await api(server, `/api/recordings/${id}/original`);
		assert.equal(sha256(bytes), sha256(files[name]), name);
	}
}
