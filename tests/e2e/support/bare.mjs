// A bare page with @holdfast/client in it, served beside a holdfast server's /ws and /api on one origin, so that the modules are
// tried as they stand in web/client; and browsers that keep their profile over kill -9.
import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { SHELL } from './chromium.mjs';
import { ROOT, atEnd, tempDir, until } from './server.mjs';

const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
	'--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP rec.test 127.0.0.1'];

/** Bytes [from, from + length) of what a seed stands for; they can't be compressed, as media can't. Also run in the page. */
function bytesInPage(seed, from, length) {
	const bytes = new Uint8Array(length);
	for (let i = 0; i < length; i++) {
		let x = Math.imul((seed << 24) + from + i + 1, 0x9e3779b1);
		x = Math.imul(x ^ (x >>> 15), 0x85ebca6b);
		bytes[i] = (x ^ (x >>> 13)) & 255;
	}
	return bytes;
}

const PAGE = `<!doctype html><meta charset="utf-8"><title>bare</title><script type="module" src="/bare.js"></script>`;

/** In the page: what a test does again and again. */
const SCRIPT = `import * as holdfast from '/client/index.js';
const bytesOf = ${bytesInPage};
Object.assign(window, {
	holdfast, bytesOf,
	async open(options) {
		window.client = await holdfast.openClient({ token: null, ...options });
		return window.client.keptIn;
	},
	async begin(more) {
		window.take = await client.begin({ mime: 'video/webm', ext: 'webm', name: 'bare', ...more });
		return take.sessionId;
	},
	// Writes [from, to) of seed in pieces, as Blobs and arrays by turns; 'kept': waits until all of it is kept.
	async write(seed, from, to, piece = 20_000) {
		const all = [];
		for (let at = from; at < to; at += piece) {
			const bytes = bytesOf(seed, at, Math.min(piece, to - at));
			all.push(take.write(all.length % 2 ? bytes : new Blob([bytes])));
		}
		await Promise.all(all);
	},
	until(check) {
		return new Promise((resolve) => {
			const stop = take.onState((state) => check(state) && queueMicrotask(() => { stop(); resolve(state); }));
		});
	},
	async finish() {
		await take.end();
		return take.whenDone();
	},
	async folders(storeName = 'holdfast') {
		const names = [];
		const root = await (await navigator.storage.getDirectory()).getDirectoryHandle(storeName).catch(() => null);
		for await (const name of root?.keys() ?? []) if (name.startsWith('t-')) names.push(name);
		return names;
	},
});
window.ready = true;`;

export const bytesOf = (seed, from, length) => Buffer.from(bytesInPage(seed, from, length).buffer);

export class Bare {
	mode = 'pass'; // refuse: no connection to the server gets through
	#links = new Set();

	constructor(server) {
		this.server = server;
	}

	async listen() {
		this.http = http.createServer((request, response) => this.#serve(request, response));
		this.http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
		await new Promise((resolve) => this.http.listen(0, '127.0.0.1', resolve));
		this.port = this.http.address().port;
		this.url = `http://127.0.0.1:${this.port}/`;
		this.plainUrl = `http://rec.test:${this.port}/`; // not a secure context
		return this;
	}

	async #serve(request, response) {
		const path = new URL(request.url, 'http://x').pathname;
		if (path.startsWith('/api/')) {
			this.#forward(request, response);
			return;
		}
		const script = { 'Content-Type': 'text/javascript', 'Cache-Control': 'no-store' };
		if (path === '/') response.writeHead(200, { 'Content-Type': 'text/html' }).end(PAGE);
		else if (path === '/bare.js') response.writeHead(200, script).end(SCRIPT);
		else if (/^\/client\/[\w-]+\.js$/.test(path)) response.writeHead(200, script).end(await readFile(join(ROOT, 'web', path)));
		else response.writeHead(404).end();
	}

	#headers(request) {
		return { ...request.headers, host: `127.0.0.1:${this.server.port}`, ...(request.headers.origin && { origin: this.server.url }) };
	}

	#forward(request, response) {
		if (this.mode === 'refuse') {
			request.socket.destroy();
			return;
		}
		const up = http.request({ port: this.server.port, path: request.url, method: request.method, headers: this.#headers(request) }, (answer) => {
			response.writeHead(answer.statusCode, answer.headers);
			answer.pipe(response);
		});
		up.on('error', () => request.socket.destroy());
		request.pipe(up);
	}

	#upgrade(request, socket, head) {
		socket.on('error', () => {});
		if (this.mode === 'refuse') {
			socket.destroy();
			return;
		}
		const up = net.connect(this.server.port, '127.0.0.1', () => {
			const lines = Object.entries(this.#headers(request)).map(([name, value]) => `${name}: ${value}\r\n`);
			up.write(`GET ${request.url} HTTP/1.1\r\n${lines.join('')}\r\n`);
			up.write(head);
			up.pipe(socket).pipe(up);
		});
		const link = { socket, up };
		this.#links.add(link);
		const end = () => {
			this.#links.delete(link);
			socket.destroy();
			up.destroy();
		};
		for (const side of [socket, up]) side.on('close', end).on('error', end);
	}

	cut(mode = 'refuse') {
		this.mode = mode;
		for (const { socket, up } of this.#links) {
			socket.destroy();
			up.destroy();
		}
	}

	heal() {
		this.mode = 'pass';
	}

	close() {
		this.cut();
		this.http.closeAllConnections();
		return new Promise((resolve) => this.http.close(resolve));
	}
}

export async function startBare(t, server) {
	const bare = await new Bare(server).listen();
	atEnd(t, () => bare.close());
	return bare;
}

/** A page that is ready; `client` is opened in it with these options. */
export async function barePage(context, url, options = {}) {
	const page = await context.newPage();
	await page.goto(url);
	await page.waitForFunction(() => window.ready);
	page.keptIn = await page.evaluate((given) => window.open(given), options);
	return page;
}

/** A browser with a profile of its own on the disk: kill() is kill -9 of all its processes, launch() again finds what it kept. */
export class Profile {
	constructor(t) {
		this.dir = tempDir(t);
		atEnd(t, () => this.kill());
	}

	async launch() {
		const portFile = join(this.dir, 'DevToolsActivePort');
		await rm(portFile, { force: true });
		this.child = spawn(SHELL,
			['--headless', ...ARGS, '--remote-debugging-port=0', `--user-data-dir=${this.dir}`], { detached: true, stdio: 'ignore' });
		this.exited = new Promise((resolve) => this.child.on('exit', resolve));
		const port = await until(() => existsSync(portFile) && readFileSync(portFile, 'utf8').split('\n')[0], 20_000, 'the browser');
		this.browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`);
		[this.context] = this.browser.contexts();
		return this.context;
	}

	async kill() {
		if (!this.child) return;
		try {
			process.kill(-this.child.pid, 'SIGKILL'); // its own process group
		} catch { /* it ended by itself */ }
		await this.exited;
		await this.browser?.close().catch(() => {});
		this.child = null;
	}
}

export function launchBare() {
	return chromium.launch({ executablePath: SHELL, headless: true, args: ARGS });
}
