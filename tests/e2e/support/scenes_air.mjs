// Shows in every state that a host, a listener or the desk may find them in, before the stand-in; as in scenes.mjs, which takes them in.
import { execFileSync } from 'node:child_process';
import { ready, recordingNow, startStandin, take } from './standin.mjs';
import { onAir } from './standin_shows.mjs';

const NO_SPACE = { code: 'storage_full', message: 'There is no space left on the server’s disk.' };
const AWAY = { graceLeftMs: 23_000, state: 'waiting' };

/** Some seconds of sound, as a browser's recorder gives them. */
export const sound = () => execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', 'sine=440', '-t', '8', '-c:a', 'libopus', '-f', 'webm', '-live', '1', 'pipe:1'], { maxBuffer: 1e8 });

async function desk(t, open, prepare, path = '/') {
	const server = await startStandin(t);
	const hours = (n) => Date.now() - n * 3_600_000;
	server.put(
		ready({ name: 'Tuesday rehearsal', createdAt: hours(50), bytes: 812e6 }, { duration: 5025 }),
		take({ name: 'Monday', show: 'morning', version: 1, createdAt: hours(26), phase: 'error', bytes: 31.2e6, mime: 'audio/webm', error: NO_SPACE }),
		ready({ name: 'Monday', show: 'morning', version: 2, createdAt: hours(25.9), bytes: 61e6, mime: 'audio/webm', revision: 2 }, { duration: 3720 }),
		recordingNow({ name: 'Tuesday', show: 'morning', version: 3, createdAt: hours(0.4), bytes: 24.3e6, mime: 'audio/webm' }),
	);
	prepare(server.shows);
	const seen = await open(`${server.url}${path}`);
	await seen.live();
	return seen;
}

const two = (shows) => {
	shows.put('morning', onAir('morning', { name: 'Tuesday', version: 3, title: 'Nina Simone – Sinnerman' }));
	shows.put('late-night', onAir('late-night', { ...AWAY, owner: 'phone-9c41', listeners: 1 }));
};

/** A browser that plays sound only behind a click. What it says of that itself is no help: whoever drives it by program counts as a person. */
export function clickFirst() {
	const { play } = HTMLMediaElement.prototype;
	let clicked = false;
	addEventListener('pointerdown', () => {
		clicked = true;
	}, { capture: true, once: true });
	HTMLMediaElement.prototype.play = function played() {
		return clicked ? play.call(this) : Promise.reject(new DOMException('A click is needed.', 'NotAllowedError'));
	};
}

async function listen(t, open, prepare, until) {
	const server = await startStandin(t);
	prepare(server.shows, server);
	const seen = await open(`${server.url}/listen/morning`, { init: clickFirst });
	await seen.until(...until);
	return Object.assign(seen, { server });
}

/** The host's page on air. */
async function host(t, open, prepare = () => {}) {
	const server = await startStandin(t);
	prepare(server.shows, server);
	const seen = await open(`${server.url}/record?show=morning`);
	seen.page.on('dialog', (dialog) => dialog.accept());
	return Object.assign(seen, { server, shows: server.shows });
}

async function hosting(t, open) {
	const seen = await host(t, open, (shows) => shows.put('morning', { version: 2, state: 'off' }));
	await seen.page.waitForSelector('body[data-air="air"]');
	await seen.until('#link-text', 'recorded as version 3');
	return seen;
}

export const AIR_SCENES = {
	'desk, shows on air': async (t, open) => {
		const seen = await desk(t, open, two);
		await seen.until('#shows', 'late-night');
		return seen;
	},
	'desk, a show that is not recorded': async (t, open) => {
		const seen = await desk(t, open, (shows) => shows.put('morning', onAir('morning', { version: 3, recording: 'recording_failed', error: NO_SPACE })));
		await seen.until('#shows', 'not recorded');
		return seen;
	},
	'desk, stopping a show': async (t, open) => {
		const seen = await desk(t, open, two);
		await seen.page.getByRole('button', { name: 'Stop morning' }).click();
		return seen;
	},
	'desk, the recordings of one show': async (t, open) => {
		const seen = await desk(t, open, () => {}, '/?show=morning');
		await seen.until('#count', '3');
		return seen;
	},
	'play, of a show': async (t, open) => {
		const server = await startStandin(t);
		const one = server.put(take({ name: 'Monday', show: 'morning', version: 2, phase: 'processing', attempt: 1, progress: 0.4, revision: 2 }));
		const seen = await open(`${server.url}/play/${one.id}`);
		await seen.until('#facts', 'morning, version 2');
		return seen;
	},
	'listen, nobody on air': (t, open) => listen(t, open, () => {}, ['#says', 'Nobody is on air']),
	'listen, before a click': (t, open) => listen(t, open, (shows) => {
		shows.put('morning', onAir('morning', { name: 'Good morning', owner: 'phone-9c41', title: 'Nina Simone – Sinnerman' }));
		shows.feed('morning', sound());
	}, ['#says', 'Press Listen']),
	'listen, playing': async (t, open) => {
		const seen = await listen(t, open, (shows) => {
			shows.put('morning', onAir('morning', { name: 'Good morning', title: 'Nina Simone – Sinnerman' }));
			shows.feed('morning', sound());
		}, ['#says', 'Press Listen']);
		await seen.page.getByRole('button', { name: 'Listen' }).click();
		await seen.page.waitForSelector('body[data-player="playing"]');
		return seen;
	},
	'listen, the host away': (t, open) => listen(t, open, (shows) => shows.put('morning', onAir('morning', AWAY)), ['#badge', /back in a moment/i]),
	'listen, not allowed': (t, open) => listen(t, open, (shows, server) => {
		server.refuse = [401, 'unauthorized', 'This needs a token.'];
	}, ['#locked', 'asks for a token']),
	'host, on air': (t, open) => hosting(t, open),
	'host, not recorded': async (t, open) => {
		const seen = await hosting(t, open);
		seen.shows.fail('morning', NO_SPACE);
		await seen.until('#air-alarm', 'broadcast goes on');
		return seen;
	},
	'host, recorded again': async (t, open) => {
		const seen = await hosting(t, open);
		seen.shows.fail('morning', NO_SPACE);
		await seen.until('#air-alarm', 'broadcast goes on');
		await seen.page.waitForFunction((before) => document.getElementById('recorded').textContent !== before, await seen.text('#recorded'));
		seen.shows.recover('morning');
		await seen.until('#air-again', 'as version 4');
		return seen;
	},
	'host, link lost': async (t, open) => {
		const seen = await hosting(t, open);
		await seen.server.stop();
		await seen.until('#link-text', /waits \d+ s for you/);
		return seen;
	},
	'host, somebody else on air': async (t, open) => {
		const seen = await host(t, open, (shows) => shows.put('morning', onAir('morning', { owner: 'phone-9c41' })));
		await seen.until('#air-before', 'phone-9c41 is on air');
		return seen;
	},
	'host, refused': async (t, open) => {
		const seen = await host(t, open, (shows) => {
			shows.refuse = 'show_on_air';
		});
		await seen.until('#error', 'Somebody else is on air');
		return seen;
	},
	'host, ended': async (t, open) => {
		const seen = await hosting(t, open);
		await seen.page.waitForFunction(() => document.getElementById('elapsed').textContent !== '0:00');
		await seen.page.click('#stop');
		await seen.until('#link-text', 'Off air. Version 3 is saved');
		return seen;
	},
};
