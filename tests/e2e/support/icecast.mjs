// Icecast's protocol from both sides: sources that speak it to our port, and a real Icecast of Debian.
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { atEnd, tempDir, until, within } from './server.mjs';

export const PASSWORD = 'hackme-7';

/** The options of a server that takes sources in. */
export const TAKES_SOURCES = ['--source-listen', '127.0.0.1:0', '--source-password', PASSWORD];

/** The port that the server listens on for sources. */
export function sourcePort(server) {
	return until(() => Number(/sources at icecast:\/\/source@[^ ]*:(\d+)\/SHOW/.exec(server.output)?.[1]), 5000, 'the port for sources');
}

export const basic = (password = PASSWORD, user = 'source') => `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/** A connection to a port whose bytes a test sees. */
export class Raw {
	text = '';
	#closed = false;

	constructor(port) {
		this.socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
		this.socket.on('data', (data) => {
			this.text += data.toString('latin1');
		});
		this.socket.on('error', () => {});
		for (const event of ['end', 'close']) this.socket.on(event, () => {
			this.#closed = true;
		});
	}

	send(...parts) {
		for (const part of parts) this.socket.write(part);
		return this;
	}

	/** Waits until what came matches. */
	async saw(pattern, ms = 10_000) {
		await until(() => pattern.test(this.text) || (this.#closed && Promise.reject(new Error('closed'))), ms, `${pattern} in ${JSON.stringify(this.text)}`);
		return this;
	}

	/** Waits until the other side closes; the whole answer. */
	async over(ms = 10_000) {
		await until(() => this.#closed, ms, `the end behind ${JSON.stringify(this.text)}`);
		this.socket.destroy();
		return { text: this.text, status: Number(/^(?:HTTP\/1\.[01]|ICY) (\d+)/.exec(this.text)?.[1]) };
	}

	/** Breaks it. */
	async cut() {
		this.socket.resetAndDestroy();
		await until(() => this.socket.destroyed, 1000, 'destroyed');
	}
}

export function raw(t, port) {
	const one = new Raw(port);
	atEnd(t, () => one.socket.destroy());
	return one;
}

/** A request of a source: its head. */
export const put = (mount, ...fields) => `PUT ${mount} HTTP/1.1\r\nHost: x\r\n${[basic(), ...fields].map((field) => `${field}\r\n`).join('')}\r\n`;

/** ffmpeg as a source, in real time; { child, ended }. */
export function ffmpegSource(t, url, args, input = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000']) {
	const child = spawn('ffmpeg', ['-nostdin', '-v', 'warning', '-re', ...input, ...args, url], { stdio: ['ignore', 'ignore', 'pipe'] });
	const one = { child, said: '' };
	child.stderr.on('data', (data) => {
		one.said += data;
	});
	one.ended = new Promise((resolve) => {
		child.on('exit', (code, signal) => resolve({ code, signal, said: one.said }));
	});
	atEnd(t, async () => {
		if (child.exitCode === null) child.kill('SIGKILL');
		await one.ended;
	});
	return one;
}

/** Reads a stream for so long, or until it ends: { status, headers, bytes }. */
export async function listen(url, ms, headers = {}) {
	const stop = new AbortController();
	const response = await fetch(url, { headers, signal: stop.signal });
	const parts = [];
	const timer = setTimeout(() => stop.abort(), ms);
	try {
		for await (const part of response.body) parts.push(part);
	} catch (error) {
		if (error.name !== 'AbortError') throw error;
	}
	clearTimeout(timer);
	return { status: response.status, headers: response.headers, bytes: Buffer.concat(parts) };
}

async function freePort() {
	const server = net.createServer();
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	const { port } = server.address();
	await new Promise((resolve) => server.close(resolve));
	return port;
}

/** Debian's Icecast on a port of its own, which it keeps when it is started again. */
export class Icecast {
	constructor(dir, port) {
		Object.assign(this, { dir, port });
		const owner = process.getuid() === 0 ? '<changeowner><user>nobody</user><group>nogroup</group></changeowner>' : '';
		mkdirSync(join(dir, 'log'), { recursive: true });
		for (const each of [dir, join(dir, 'log')]) chmodSync(each, 0o777);
		this.config = join(dir, 'icecast.xml');
		writeFileSync(this.config, `<icecast><location>here</location><admin>nobody@localhost</admin><hostname>localhost</hostname>
			<limits><clients>100</clients><sources>10</sources></limits>
			<authentication><source-password>${PASSWORD}</source-password><admin-user>admin</admin-user><admin-password>${PASSWORD}</admin-password></authentication>
			<listen-socket><port>${port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
			<paths><basedir>${dir}</basedir><logdir>${dir}/log</logdir><webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot></paths>
			<logging><errorlog>error.log</errorlog><accesslog>access.log</accesslog><loglevel>3</loglevel></logging>
			<security><chroot>0</chroot>${owner}</security></icecast>\n`);
	}

	get url() {
		return `http://127.0.0.1:${this.port}`;
	}

	get log() {
		return readFileSync(join(this.dir, 'log/error.log'), 'utf8');
	}

	/** Debian's breaks now and then while it starts, by itself: then it is started again. */
	async start(tries = 5) {
		let said = '';
		this.killed = false;
		this.child = spawn('icecast2', ['-c', this.config], { stdio: ['ignore', 'pipe', 'pipe'] });
		for (const out of [this.child.stdout, this.child.stderr]) out.on('data', (data) => {
			said += data;
		});
		this.ended = new Promise((resolve) => {
			this.child.on('exit', (code, signal) => resolve(`${code} ${signal}`));
			this.child.on('error', resolve);
		});
		const up = until(() => fetch(`${this.url}/status-json.xsl`).then((response) => response.ok), 20_000, 'icecast2');
		up.catch(() => {});
		const broke = await Promise.race([up.then(() => null), this.ended]);
		if (broke === null) return this;
		if (tries === 1) throw new Error(`icecast2 ended: ${broke}\n${said}`);
		return this.start(tries - 1);
	}

	/** It ended, and nobody asked it to. */
	get broke() {
		return !this.killed && (this.child.exitCode !== null || this.child.signalCode !== null);
	}

	async kill() {
		this.killed = !this.broke;
		if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
		await within(this.ended, 5000, 'the end of icecast2');
	}

	/** What it says of its streams, by mount. */
	async mounts() {
		const { icestats } = await (await fetch(`${this.url}/status-json.xsl`)).json();
		const sources = [icestats.source ?? []].flat();
		return Object.fromEntries(sources.map((source) => [new URL(source.listenurl).pathname, source]));
	}
}

/** `run(icecast)`, again with another one should Debian's break in the middle by itself. */
export async function withIcecast(t, run, tries = 3) {
	const icecast = await startIcecast(t);
	try {
		await run(icecast);
	} catch (error) {
		if (!icecast.broke || tries === 1) throw error;
		t.diagnostic(`icecast2 broke: ${icecast.child.signalCode ?? icecast.child.exitCode}; another one`);
		await withIcecast(t, run, tries - 1);
	}
}

export async function startIcecast(t) {
	const icecast = new Icecast(tempDir(t), await freePort());
	atEnd(t, () => icecast.kill());
	return icecast.start();
}
