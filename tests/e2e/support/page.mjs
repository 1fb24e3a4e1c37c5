// The recording page in a real browser: Debian's Chromium, headless, with its fake camera and microphone.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { SHELL, WHOLE } from './chromium.mjs';
import { atEnd, tempDir, until } from './server.mjs';
import { api, assertOriginal, isSealed, recording, sha256 } from './wire.mjs';

const run = promisify(execFile);
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
	'--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream', '--auto-select-desktop-capture-source=Entire screen'];
const ALLOW = '--use-fake-ui-for-media-stream';
/* In the list of what this device has. */
export const GO_ON = '#takes button:has-text("Go on recording")';
export const FINISH = '#takes button:has-text("Finish")';
const UNTIL_MS = 60_000;
const PIECE_MAX_BYTES = 200_000; // what one timeslice of the fake camera stays below, twice over

/** `allow`: pages get microphone and camera without a question. `env`: what is different in its environment. `shell`: the engine alone will do. */
export function launch({ allow = true, args = [], env = {}, shell = false } = {}) {
	return chromium.launch({ executablePath: shell ? SHELL : WHOLE, headless: true, args: [...ARGS, ...(allow ? [ALLOW] : []), ...args],
		env: { ...process.env, ...env } });
}

/** Keeps what every MediaRecorder of the page emits, beside the page's own code, and tells the test at once, for when the page dies. */
function spy() {
	window.emitted = [];
	let recorders = 0;
	let order = Promise.resolve();
	const tell = async (part, blob) => {
		const bytes = new Uint8Array(await blob.arrayBuffer());
		let text = '';
		for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
		await window.tellEmitted?.(part, btoa(text));
	};
	const Real = window.MediaRecorder;
	if (!Real) return;
	window.MediaRecorder = class extends Real {
		constructor(...args) {
			super(...args);
			const part = `${performance.timeOrigin} ${recorders++}`;
			window.recorder = this;
			this.addEventListener('dataavailable', ({ data }) => {
				window.emitted.push(data);
				order = order.then(() => tell(part, data)).catch(() => {});
			});
		}
	};
}

export class RecordPage {
	complaints = [];
	parts = new Map(); // what each recorder emitted, as far as the test was told: arrays of pieces

	/** The page as served at `at.url`, the server or a proxy. */
	async open(browser, at, { init = [], path = '/record', ...options } = {}) {
		this.context = await browser.newContext({ viewport: { width: 700, height: 900 }, ...options });
		await this.hear(init);
		await this.visit(at, path);
		return this;
	}

	/** Every page of the context is heard. */
	async hear(init = []) {
		await this.context.exposeBinding('tellEmitted', (source, part, text) => {
			if (!this.parts.has(part)) this.parts.set(part, []);
			this.parts.get(part).push(Buffer.from(text, 'base64'));
		});
		for (const script of [...init, spy]) await this.context.addInitScript(script);
	}

	/** Another page of the same browser and profile, which becomes the one at work. */
	async visit(at, path = '/record') {
		this.page = await this.context.newPage();
		this.page.on('pageerror', (error) => this.complaints.push(String(error)));
		this.page.on('console', (message) => {
			if (/Content Security Policy|TypeError|ReferenceError/.test(message.text())) this.complaints.push(message.text());
		});
		await this.page.goto(`${at.url}${path}`);
		await this.page.waitForSelector('body[data-state]');
		return this.page;
	}

	async record(source = 'microphone') {
		await this.page.check(`input[value="${source}"]`);
		await this.page.click('#record');
		await this.page.waitForSelector('body[data-state="recording"]');
	}

	/** Waits until the body's data-state or data-link is one of these. */
	until(what, ...values) {
		return this.page.waitForSelector(values.map((value) => `body[data-${what}="${value}"]`).join(', '), { timeout: UNTIL_MS });
	}

	/** Waits until so many bytes are shown as safe (or recorded). */
	untilSafe(bytes, id = 'safe') {
		return this.page.waitForFunction(([least, what]) => {
			const [, number, unit] = /([\d.]+) (\w+)/.exec(document.getElementById(what).textContent);
			return number * { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 }[unit] >= least;
		}, [bytes, id], { timeout: UNTIL_MS });
	}

	untilText(id, pattern) {
		return this.page.waitForFunction(([what, source]) => new RegExp(source).test(document.getElementById(what).textContent),
			[id, pattern.source], { timeout: UNTIL_MS });
	}

	text(id) {
		return this.page.textContent(`#${id}`);
	}

	/** Waits until a take in the list of this device is saved; its id. */
	async savedRow() {
		await this.page.waitForSelector('#takes li[data-link="saved"]', { timeout: UNTIL_MS });
		return (await this.page.getAttribute('#takes li[data-link="saved"] a', 'href')).replace('/play/', '');
	}

	/** What the recorders of this page, since it was loaded, emitted: bytes and SHA-256. */
	emitted() {
		return this.page.evaluate(async () => {
			const bytes = await new Blob(window.emitted).arrayBuffer();
			const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
			return { bytes: bytes.byteLength, sha256: Array.from(hash, (b) => b.toString(16).padStart(2, '0')).join('') };
		});
	}

	/** Stops, waits for saved, and asserts that the server has what the recorder emitted, and that it is media. */
	async finish(t, server, { stop = true } = {}) {
		if (stop) await this.page.click('#stop');
		await this.until('state', 'saved');
		const emitted = await this.emitted();
		const id = (await this.page.getAttribute('#original', 'href')).replace('/play/', '');
		const { bytes } = await api(server, `/api/recordings/${id}/original`);
		assert.equal(bytes.length, emitted.bytes);
		assert.equal(sha256(bytes), emitted.sha256);
		assert.equal(await this.text('error'), '');
		return this.settled(t, server, id);
	}

	/** The recording as it must be in the end, and what ffprobe finds in it. `cut`: a page died while it recorded. */
	async settled(t, server, id, { interrupted = false, cut = false } = {}) {
		const { bytes } = await api(server, `/api/recordings/${id}/original`);
		await assertOriginal(server, id, bytes);
		const state = await recording(server, id);
		assert.ok(isSealed(state), state.phase);
		assert.equal(state.interrupted, interrupted);
		assert.deepEqual(this.complaints, []);
		return { id, bytes, state, streams: await probe(t, bytes, { strict: !cut }) };
	}

	/**
	 * Asserts that `bytes` are the parts that the test heard of, one behind the other. Those listed in `cut` were recorded by a page
	 * that died: of them the last piece or two may be missing here or there, and no more.
	 */
	async assertParts(t, bytes, { cut = [] } = {}) {
		const parts = [...this.parts.values()].map((pieces) => Buffer.concat(pieces));
		let rest = bytes;
		for (const [number, part] of [...parts.entries()].reverse()) {
			const found = cut.includes(number) ? rest.subarray(rest.indexOf(part.subarray(0, 500))) : rest.subarray(-part.length);
			const both = Math.min(found.length, part.length);
			assert.ok(found.subarray(0, both).equals(part.subarray(0, both)), `part ${number} differs`);
			if (cut.includes(number)) assert.ok(Math.abs(found.length - part.length) < PIECE_MAX_BYTES, `${found.length} of ${part.length}`);
			else assert.equal(found.length, part.length);
			assert.ok(Number((await probe(t, found, { strict: !cut.includes(number) }))[0].nb_read_frames) > 0);
			rest = rest.subarray(0, rest.length - found.length);
		}
		assert.equal(rest.length, 0, 'nothing else is in the file');
		return parts;
	}
}

export async function openPage(t, browser, at, options) {
	const page = new RecordPage();
	atEnd(t, () => page.context?.close());
	return page.open(browser, at, options);
}

/** A browser with a profile of its own that can be killed and started again. */
export class Profile {
	constructor(t, { args = [], env = {} } = {}) {
		this.dir = join(tempDir(t), 'profile');
		this.args = args;
		this.env = { ...process.env, ...env };
		atEnd(t, () => this.kill());
	}

	async start() {
		const portFile = join(this.dir, 'DevToolsActivePort');
		rmSync(portFile, { force: true });
		this.child = spawn(WHOLE, ['--headless', ...ARGS, ALLOW, ...this.args, '--remote-debugging-port=0', `--user-data-dir=${this.dir}`],
			{ detached: true, stdio: 'ignore', env: this.env });
		this.exited = new Promise((resolve) => this.child.on('exit', resolve));
		this.port = await until(() => Number(readFileSync(portFile, 'utf8').split('\n')[0]), UNTIL_MS, 'the browser listens');
		return this;
	}

	/** The record page in this browser, with what `heard` has heard so far. */
	async open(at, heard = new RecordPage(), { init = [], path } = {}) {
		this.browser = await chromium.connectOverCDP(`http://127.0.0.1:${this.port}`);
		heard.context = this.browser.contexts()[0];
		await heard.hear(init);
		await heard.visit(at, path);
		return heard;
	}

	/** kill -9 of the browser and all its processes. */
	async kill() {
		if (!this.child || this.child.exitCode !== null || this.child.signalCode !== null) return;
		process.kill(-this.child.pid, 'SIGKILL');
		await this.exited;
		await this.browser?.close().catch(() => {});
	}
}

export const kinds = (streams) => streams.map(({ codec_type: type }) => type);

/** ffprobe must decode every frame without a complaint: [{ codec_type, codec_name, nb_read_frames }], audio first. */
export async function probe(t, bytes, { strict = true } = {}) {
	const file = join(tempDir(t), 'take');
	writeFileSync(file, bytes);
	const { stdout, stderr } = await run('ffprobe', ['-v', 'error', '-count_frames', '-of', 'json',
		'-show_entries', 'stream=codec_type,codec_name,nb_read_frames', file]);
	if (strict) assert.equal(stderr, '');
	return JSON.parse(stdout).streams.sort((a, b) => a.codec_type.localeCompare(b.codec_type));
}
