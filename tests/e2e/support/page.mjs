// The recording page in a real browser: Debian's Chromium, headless, with its fake camera and microphone.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { atEnd, tempDir } from './server.mjs';
import { api, assertOriginal, recording, sha256 } from './wire.mjs';

const run = promisify(execFile);
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
	'--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream', '--auto-select-desktop-capture-source=Entire screen'];

export function launch({ allow = true } = {}) {
	return chromium.launch({
		executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
		headless: true,
		args: allow ? [...ARGS, '--use-fake-ui-for-media-stream'] : ARGS,
	});
}

/** Keeps what every MediaRecorder of the page emits, beside the page's own code. */
function spy() {
	window.emitted = [];
	const Real = window.MediaRecorder;
	window.MediaRecorder = class extends Real {
		constructor(...args) {
			super(...args);
			this.addEventListener('dataavailable', (event) => window.emitted.push(event.data));
		}
	};
}

export class RecordPage {
	complaints = [];

	/** The page as served at `at.url`, the server or a proxy. */
	async open(browser, at, options = {}) {
		this.context = await browser.newContext({ viewport: { width: 700, height: 900 }, ...options });
		this.page = await this.context.newPage();
		this.page.on('pageerror', (error) => this.complaints.push(String(error)));
		this.page.on('console', (message) => {
			if (/Content Security Policy|TypeError|ReferenceError/.test(message.text())) this.complaints.push(message.text());
		});
		await this.page.addInitScript(spy);
		await this.page.goto(`${at.url}/record`);
		await this.page.waitForSelector('body[data-state="idle"]');
		return this;
	}

	async record(source = 'microphone') {
		await this.page.check(`input[value="${source}"]`);
		await this.page.click('#record');
		await this.page.waitForSelector('body[data-state="recording"]');
	}

	/** Waits until the body's data-state or data-link is one of these. */
	until(what, ...values) {
		return this.page.waitForSelector(values.map((value) => `body[data-${what}="${value}"]`).join(', '), { timeout: 30_000 });
	}

	/** Waits until so many bytes are safe, by what the page shows. */
	untilSafe(bytes) {
		return this.page.waitForFunction((least) => {
			const [, number, unit] = /([\d.]+) (\w+)/.exec(document.getElementById('safe').textContent);
			return number * { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 }[unit] >= least;
		}, bytes, { timeout: 30_000 });
	}

	text(id) {
		return this.page.textContent(`#${id}`);
	}

	/** What the recorder emitted: bytes and SHA-256. */
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
		const path = await this.page.getAttribute('#original', 'href');
		const { bytes } = await api(server, path);
		assert.equal(bytes.length, emitted.bytes);
		assert.equal(sha256(bytes), emitted.sha256);
		const id = /recordings\/([^/]+)\//.exec(path)[1];
		await assertOriginal(server, id, bytes);
		const state = await recording(server, id);
		assert.equal(state.phase, 'queued');
		assert.equal(state.interrupted, false);
		assert.deepEqual(this.complaints, []);
		assert.equal(await this.text('error'), '');
		return { id, bytes, state, streams: await probe(t, bytes) };
	}
}

export async function openPage(t, browser, at, options) {
	const page = new RecordPage();
	atEnd(t, () => page.context?.close());
	return page.open(browser, at, options);
}

/** ffprobe must decode every frame without a complaint: [{ codec_type, codec_name, nb_read_frames }], audio first. */
export async function probe(t, bytes) {
	const file = join(tempDir(t), 'take');
	writeFileSync(file, bytes);
	const { stdout, stderr } = await run('ffprobe', ['-v', 'error', '-count_frames', '-of', 'json',
		'-show_entries', 'stream=codec_type,codec_name,nb_read_frames', file]);
	assert.equal(stderr, '');
	return JSON.parse(stdout).streams.sort((a, b) => a.codec_type.localeCompare(b.codec_type));
}
