// The built server as a child process: started on a port of its own with a data directory of its own, and gone when
// the test is over.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const BINARY = process.env.HOLDFAST_BIN ?? join(ROOT, 'build/holdfast');

// How many workers a server has when its test does not say. With 0 takes stay queued.
const WORKERS = process.env.HOLDFAST_E2E_WORKERS ?? '0';

const START_MS = 30_000; // on a machine that is busy; what the server promises is in startup.test.mjs
const STOP_MS = 15_000;

const ends = new WeakMap();

/** Runs `end` when the test is over, the last registered first (a test's own hooks run the other way round). */
export function atEnd(t, end) {
	if (!ends.has(t)) {
		ends.set(t, []);
		t.after(async () => {
			for (const last of ends.get(t).reverse()) await last();
		});
	}
	ends.get(t).push(end);
}

/** A directory that is removed when the test ends. */
export function tempDir(t) {
	const dir = mkdtempSync(join(tmpdir(), 'holdfast-e2e-'));
	atEnd(t, () => rmSync(dir, { recursive: true, force: true }));
	return dir;
}

/** Rejects when `promise` takes longer than `ms`. */
export function within(promise, ms, what) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Asks again until `check` returns something true; an exception counts as not yet. */
export async function until(check, ms, what) {
	const end = Date.now() + ms;
	let last;
	for (;;) {
		try {
			const value = await check();
			if (value) return value;
			last = value;
		} catch (error) {
			last = error;
		}
		if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms; last: ${last?.stack ?? JSON.stringify(last)}`);
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

export class Server {
	output = '';

	constructor(options) {
		this.options = options;
		this.dataDir = options.dataDir;
	}

	/** Starts the process and waits until it listens. A second call, after it ended, starts it on the same port. */
	async start(more = {}) {
		const { args = [], env = {}, wrapper = [] } = { ...this.options, ...more };
		const command = [...wrapper, BINARY, 'serve', '--data', this.dataDir, '--listen', `127.0.0.1:${this.port ?? 0}`,
			'--journal-size', '64M', ...args]; // the least: it is filled with zeros at each first start
		const began = performance.now();
		const workers = String(this.options.workers ?? WORKERS);
		const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, HOLDFAST_WORKERS: workers, ...env } });
		this.child = child;
		this.output = '';
		this.pid = child.pid;
		let said = '';
		this.exited = new Promise((resolve) => {
			child.on('exit', (code, signal) => resolve({ code, signal }));
			child.on('error', (error) => resolve({ code: -1, signal: null, error }));
		});
		const listening = new Promise((resolve, reject) => {
			const hear = (data) => {
				this.output = (this.output + data).slice(-100_000);
				said += data;
				const match = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(said);
				if (match) resolve(Number(match[1]));
			};
			child.stdout.on('data', hear);
			child.stderr.on('data', hear);
			this.exited.then((end) => reject(new Error(`the server ended: ${JSON.stringify(end)}\n${said}`)));
		});
		listening.catch(() => {}); // who waits for it hears of it
		this.port = await within(listening, more.startMs ?? START_MS, `listening; the server said: ${said}`);
		this.startedMs = performance.now() - began;
		return this;
	}

	get url() {
		return `http://127.0.0.1:${this.port}`;
	}

	get running() {
		return this.child && this.child.exitCode === null && this.child.signalCode === null;
	}

	signal(name) {
		process.kill(this.pid, name);
	}

	/** kill -9, and wait until it is dead. */
	async kill() {
		if (this.running) this.child.kill('SIGKILL');
		return this.#ended('SIGKILL');
	}

	/** How it ended. A crash or a sanitizer's report fails the test, whatever it was about. */
	async #ended(asked) {
		const end = await within(this.exited, STOP_MS, `the end after ${asked}; the server said: ${this.output}`);
		if (/Sanitizer|runtime error|Assertion/.test(this.output) || (end.signal !== null && end.signal !== asked))
			throw new Error(`the server broke: ${JSON.stringify(end)}\n${this.output}`);
		return end;
	}

	/** Ctrl-C. */
	async stop(signal = 'SIGINT') {
		if (this.running) this.child.kill(signal);
		return this.#ended(signal);
	}

	/** Resident memory in bytes: now, and the most since the start or since forgetRss. */
	rss() {
		const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
		const field = (name) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)[1]) * 1024;
		return { now: field('VmRSS'), most: field('VmHWM') };
	}

	/** What recovery needed at the start is no matter any more. */
	forgetRss() {
		writeFileSync(`/proc/${this.pid}/clear_refs`, '5');
	}
}

/** A running server; options: args, env, wrapper (a command in front), dataDir, workers (0: takes stay queued). */
export async function startServer(t, options = {}) {
	const dataDir = options.dataDir ?? join(tempDir(t), 'data');
	const server = new Server({ ...options, dataDir });
	atEnd(t, () => server.kill());
	await server.start();
	return server;
}

/** One server for all tests of a file. It runs, and `prepare` is done with it, when the first test begins. */
export function sharedServer(options = {}, prepare = () => {}) {
	const dir = mkdtempSync(join(tmpdir(), 'holdfast-e2e-'));
	const server = new Server({ ...options, dataDir: join(dir, 'data') });
	before(async () => prepare(await server.start()));
	after(async () => {
		await server.kill();
		rmSync(dir, { recursive: true, force: true });
	});
	return server;
}
