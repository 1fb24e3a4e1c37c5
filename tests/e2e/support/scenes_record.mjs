// The record page in the states that a person may find it in, with the real server, real recordings and broken links: for the
// accessibility test and for the screenshots. A scene gets the test (or what stands for it) and the browser, and returns the RecordPage.
import { openPage } from './page.mjs';
import { startProxy } from './proxy.mjs';
import { startServer } from './server.mjs';
import { mint, token } from './tokens.mjs';
import { api, wire } from './wire.mjs';

/** What the scenes at a foreign name need of the browser. */
export const SCENE_ARGS = ['--host-resolver-rules=MAP rec.test 127.0.0.1'];

async function opened(t, browser, options = {}) {
	const server = await startServer(t);
	const proxy = await startProxy(t, server);
	const page = await openPage(t, browser, proxy, { reducedMotion: 'reduce', ...options });
	page.page.on('dialog', (dialog) => dialog.accept());
	return Object.assign(page, { server, proxy });
}

async function recording(t, browser, source, options) {
	const page = await opened(t, browser, options);
	await page.record(source);
	await page.untilSafe(source === 'microphone' ? 20_000 : 80_000);
	return page;
}

async function away(page) {
	page.proxy.mode = 'refuse';
	page.proxy.cut();
	await page.untilText('wait-text', /Next attempt/);
	return page;
}

async function interrupted(page) {
	await page.page.evaluate(() => {
		for (const track of window.recorder.stream.getTracks()) {
			track.stop();
			track.dispatchEvent(new Event('ended'));
		}
	});
	await page.until('state', 'interrupted');
	return page;
}

/** Saved, and this is what questions for its file get. */
async function savedWith(t, browser, answer, pattern) {
	const page = await recording(t, browser, 'microphone');
	await page.page.route(/\/api\/recordings\/[^/]+\/file$/, (route) => route.fulfill(answer));
	await page.page.click('#stop');
	await page.until('state', 'saved');
	await page.untilText('finish', pattern);
	return page;
}

/** The same page at a name that is not loopback for the server, and plain http for the browser. */
async function foreign(t, browser, init = []) {
	const server = await startServer(t);
	const proxy = await startProxy(t, server);
	const at = { url: `http://rec.test:${proxy.port}` };
	return Object.assign(await openPage(t, browser, at, { init, reducedMotion: 'reduce' }), { server, proxy });
}

const live = () => {
	Object.defineProperty(navigator, 'mediaDevices', { value: { getUserMedia: () => Promise.reject(new Error('no')), enumerateDevices: async () => [], addEventListener() {} } });
};

export const RECORD_SCENES = {
	idle: (t, browser) => opened(t, browser),
	camera: (t, browser) => recording(t, browser, 'camera'),
	microphone: (t, browser) => recording(t, browser, 'microphone'),
	paused: async (t, browser) => {
		const page = await recording(t, browser, 'microphone');
		await page.page.click('#pause');
		await page.until('state', 'paused');
		return page;
	},
	'link lost': async (t, browser) => away(await recording(t, browser, 'camera')),
	'muted by the system': async (t, browser) => {
		const page = await recording(t, browser, 'microphone');
		await page.page.evaluate(() => window.recorder.stream.getAudioTracks()[0].dispatchEvent(new Event('mute')));
		await page.untilText('notices', /muted/);
		return page;
	},
	unplugged: async (t, browser) => interrupted(await recording(t, browser, 'microphone')),
	'stopped while the server is away': async (t, browser) => {
		const page = await away(await recording(t, browser, 'microphone'));
		await page.page.click('#stop');
		await page.until('state', 'finishing');
		await page.untilText('wait-text', /Next attempt/);
		return page;
	},
	saved: async (t, browser) => {
		const page = await recording(t, browser, 'camera');
		await page.page.click('#stop');
		await page.until('state', 'saved');
		return page;
	},
	'saved and ready': (t, browser) => savedWith(t, browser, { status: 206, body: 'x' }, /ready to play/),
	'saved, the worker not responding': (t, browser) => savedWith(t, browser, { status: 500, contentType: 'application/problem+json',
		body: JSON.stringify({ status: 500, code: 'worker_not_processing_queue', detail: 'No worker serves the queue.' }) }, /not responding/),
	'taken over': async (t, browser) => {
		const page = await recording(t, browser, 'microphone');
		const { body } = await api(page.server, '/api/recordings');
		await (await wire(t, page.server)).start({ sessionId: body.items[0].sessionId });
		await page.until('state', 'failed');
		return page;
	},
	unfinished: async (t, browser) => {
		const page = await recording(t, browser, 'microphone');
		await page.page.reload();
		await page.page.waitForSelector('#takes button:has-text("Finish")');
		return page;
	},
	'another tab': async (t, browser) => {
		const page = await recording(t, browser, 'microphone');
		await page.visit(page.proxy);
		await page.page.waitForSelector('#takes li[data-link="elsewhere"]');
		return page;
	},
	'permission denied': async (t, browser) => {
		const page = await opened(t, browser, { init: [() => {
			navigator.mediaDevices.getUserMedia = async () => {
				throw new DOMException('Permission denied', 'NotAllowedError');
			};
		}] });
		await page.page.click('#record');
		await page.untilText('error', /Allow it/);
		return page;
	},
	'not paired': async (t, browser) => {
		const page = await foreign(t, browser, [live]);
		await page.untilText('access', /not paired/);
		return page;
	},
	'used code': async (t, browser) => {
		const page = await foreign(t, browser, [live]);
		const { pairing } = token(page.server, 'pair', '--json').lines[0];
		await api(page.server, '/api/pair', { method: 'POST', body: JSON.stringify({ pairing }), headers: { 'content-type': 'application/json' } });
		await page.page.evaluate((code) => location.assign(`#pair=${code}`), pairing);
		await page.untilText('access', /used already/);
		return page;
	},
	'plain http': async (t, browser) => {
		const page = await foreign(t, browser);
		await page.page.evaluate((text) => localStorage.setItem('holdfast.token', text), mint(page.server, 'record').token);
		await page.page.reload();
		await page.page.waitForSelector('#access', { state: 'hidden' });
		await page.page.setInputFiles('#file-video', { name: 'Garden.mp4', mimeType: 'video/mp4', buffer: Buffer.alloc(3_000_000, 'x') });
		await page.page.waitForSelector('#takes li');
		return page;
	},
};
