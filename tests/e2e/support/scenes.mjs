// Every page in every state that a person may find it in, before the stand-in: for the accessibility tests and for the
// screenshots. A scene gets the test (or what stands for it) and open(url, options) → Visit, and returns the visit when the
// state is reached.
import { execFileSync } from 'node:child_process';
import { AIR_SCENES } from './scenes_air.mjs';
import { IMPORT_SCENES } from './scenes_import.mjs';
import { ready, recordingNow, startStandin, take, unserved } from './standin.mjs';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A week's work: something of everything, and names as people give them. */
export function week(now = Date.now()) {
	return [
		ready({ name: 'Tuesday rehearsal', createdAt: now - 50 * HOUR, bytes: 812e6 }, { thumbnail: true, duration: 5025 }),
		take({ name: 'Call 4711', owner: 'callcentre', createdAt: now - 30 * HOUR, bytes: 0, revision: 0, phase: 'uploading', mime: 'audio/mpeg', fetch: 'on_demand' }),
		ready({ name: 'Interview with R. Okafor', owner: 'phone-9c41', createdAt: now - 26 * HOUR, bytes: 148e6, mime: 'audio/webm;codecs=opus', revision: 2 },
			{ duration: 3723 }),
		ready({ name: 'Street, north side', owner: 'phone-9c41', createdAt: now - 7.2 * HOUR, bytes: 96.4e6, interrupted: true,
			warnings: [{ code: 'truncated', message: 'The end is missing.' }] }, { thumbnail: true, duration: 611 }),
		take({ name: 'Stage left', createdAt: now - 5 * HOUR, bytes: 31.2e6, phase: 'error', attempt: 3,
			error: { code: 'checksum_mismatch', message: 'The bytes are not those that the sender declared: their SHA-256 differs.' } }),
		take({ name: null, owner: 'phone-77ab', createdAt: now - 3 * HOUR, bytes: 0, phase: 'aborted' }),
		take({ name: 'Quartet', owner: 'desktop', createdAt: now - 2.6 * HOUR, bytes: 1.7e9, attempt: 1,
			lastError: { code: 'worker_died', message: 'The worker died while it worked on the recording.' } }),
		take({ name: 'Choir, first half', owner: 'desktop', createdAt: now - 2.4 * HOUR, bytes: 2.2e9, phase: 'processing', attempt: 2, progress: 0.4,
			lastError: { code: 'worker_died', message: 'The worker died while it worked on the recording.' } }),
		take({ name: 'Choir, second half', owner: 'desktop', createdAt: now - 2 * HOUR, bytes: 2.41e9,
			tracks: [{ track: 'video', bytes: 2.3e9, attached: false, sealed: true }, { track: 'audio', bytes: 1.1e8, attached: false, sealed: true }] }),
		recordingNow({ name: 'Kitchen table', owner: 'phone-77ab', createdAt: now - 31 * MINUTE, bytes: 402e6, attached: false, graceLeftMs: 24_000 }),
		recordingNow({ name: 'Piano, take 4', owner: 'phone-9c41', createdAt: now - 151_000, bytes: 24.3e6 }),
	];
}

async function desk(t, open, { lan = true, takes = week(), live = true, prepare = () => {} } = {}) {
	const server = await startStandin(t);
	if (lan) server.enableLan();
	for (const { id } of takes) server.thumbnails.set(id, PICTURE);
	server.put(...takes);
	prepare(server);
	const seen = await open(`${server.url}/`);
	if (live) await seen.live();
	if (live) await seen.page.locator(lan ? '#qr[src^="blob:"]' : '#pair-off').waitFor();
	if (live && takes.length > 0) await seen.until('#count', /\d/);
	return { server, seen, page: seen.page };
}

async function play(t, open, one, { selector, pattern, prepare = () => {} }) {
	const server = await startStandin(t);
	server.retryAfter = 600; // a scene stands still
	if (one) server.put(one);
	prepare(server, one);
	const seen = await open(`${server.url}/play/${one?.id ?? 'none'}`);
	await seen.until(selector ?? '#state', pattern);
	return seen;
}

/** What stands for a frame of a video. */
const PICTURE = { type: 'image/svg+xml', data: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="480" height="270"><path fill="#35506b" d="M0 0h480v270H0z"/>'
	+ '<circle cx="350" cy="80" r="42" fill="#f2c572"/><path fill="#1d2f3d" d="M0 270 150 110l90 90 60-50 180 120z"/></svg>') };

/** Peaks as of somebody who speaks. */
const PEAKS = Array.from({ length: 900 }, (_, i) => Math.round(Math.abs(Math.sin(i / 5) * Math.sin(i / 47) * Math.cos(i / 211)) * 190 + (i * 7919) % 29));

/** Eight seconds of a moving picture with sound. */
const film = () => execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=10', '-f', 'lavfi', '-i', 'sine', '-t', '8', '-c:v', 'libvpx',
	'-c:a', 'libopus', '-f', 'webm', 'pipe:1'], { maxBuffer: 1e8 });

/** Twenty seconds of nothing, as a WAV file. */
const TONE = Buffer.alloc(44 + 20 * 8000 * 2);
TONE.write('RIFF____WAVEfmt ', 0, 'latin1');
TONE.writeUInt32LE(TONE.length - 8, 4);
TONE.writeUInt32LE(16, 16);
[1, 1].forEach((value, i) => TONE.writeUInt16LE(value, 20 + 2 * i)); // PCM, one channel
TONE.writeUInt32LE(8000, 24);
TONE.writeUInt32LE(16_000, 28);
[2, 16].forEach((value, i) => TONE.writeUInt16LE(value, 32 + 2 * i)); // bytes and bits a sample
TONE.write('data', 36, 'latin1');
TONE.writeUInt32LE(TONE.length - 44, 40);

const refused = (server) => {
	server.refuse = [401, 'unauthorized', 'This needs a token.'];
};

export const SCENES = {
	desk: async (t, open) => (await desk(t, open)).seen,
	'desk, empty, without --lan': async (t, open) => (await desk(t, open, { lan: false, takes: [] })).seen,
	'desk, nothing found': async (t, open) => {
		const { seen, page } = await desk(t, open);
		await page.locator('#search').fill('harpsichord');
		await seen.until('#empty', 'harpsichord');
		return seen;
	},
	'desk, renaming': async (t, open) => {
		const { seen, page } = await desk(t, open);
		await page.getByRole('button', { name: 'Rename Stage left' }).click();
		return seen;
	},
	'desk, deleting': async (t, open) => {
		const { seen, page } = await desk(t, open);
		await page.getByRole('button', { name: 'Delete Piano, take 4' }).click();
		return seen;
	},
	'desk, not connected': async (t, open) => {
		const { server, seen } = await desk(t, open);
		await server.stop();
		await seen.page.locator('#banner').waitFor();
		await seen.until('#banner', 'may be out of date');
		return seen;
	},
	'desk, storage full': async (t, open) => {
		const { server, seen } = await desk(t, open);
		server.free = 0;
		server.put();
		server.put(take({ name: 'The last one' }));
		await seen.until('#space', 'full');
		return seen;
	},
	'desk, no grant': async (t, open) => {
		const { seen } = await desk(t, open, { live: false, prepare: refused });
		await seen.until('#locked', 'token');
		return seen;
	},
	'play, audio': async (t, open) => {
		const seen = await play(t, open, ready({ name: 'Interview with R. Okafor', owner: 'phone-9c41', mime: 'audio/wav', bytes: TONE.length, sha256: '5f0c2e9d'.repeat(8) },
			{ duration: 20, waveform: true }), { selector: '#clock', pattern: '0:00 / 0:20', prepare: (server, { id }) => {
			server.files.set(id, { type: 'audio/wav', data: TONE });
			server.waveforms.set(id, PEAKS);
		} });
		await seen.page.locator('[data-wave=drawn]').waitFor();
		await seen.page.locator('#wave').press('PageUp'); // to its end
		await seen.page.locator('#wave').press('ArrowLeft');
		await seen.until('#clock', '0:15');
		return seen;
	},
	'play, video': async (t, open) => {
		const data = film();
		const seen = await play(t, open, ready({ name: 'Street, north side', owner: 'phone-9c41', mime: 'video/webm', bytes: data.length,
			warnings: [{ code: 'truncated', message: 'The end is missing.' }] }, { duration: 8, waveform: true, thumbnail: true }),
		{ selector: '#clock', pattern: '0:00 / 0:08', prepare: (server, { id }) => {
			server.files.set(id, { type: 'video/webm', data });
			server.waveforms.set(id, PEAKS);
			server.thumbnails.set(id, PICTURE);
		} });
		await seen.page.locator('[data-wave=drawn]').waitFor();
		return seen;
	},
	'play, waiting': (t, open) => play(t, open, take({ name: 'Choir, first half', phase: 'processing', attempt: 1, progress: 0.4 }), { pattern: 'being finished, attempt 1/3' }),
	'play, recovering': (t, open) => play(t, open, take({ name: 'Choir, first half', phase: 'processing', attempt: 2, progress: 0.12,
		lastError: { code: 'worker_died', message: 'The worker died.' } }), { pattern: 'being finished, attempt 2/3' }),
	'play, the original meanwhile': async (t, open) => {
		const seen = await play(t, open, take({ name: 'Quartet', mime: 'audio/wav', bytes: TONE.length, attempt: 1,
			lastError: { code: 'worker_died', message: 'The worker died.' } }), { pattern: 'Attempt 1/3 failed', prepare: (server, { id }) => {
			server.originals.set(id, { type: 'audio/wav', data: TONE });
		} });
		await seen.page.getByRole('button', { name: 'Play the original meanwhile' }).click();
		await seen.until('#clock', '/ 0:20');
		return seen;
	},
	'play, timed out': async (t, open) => {
		const server = await startStandin(t);
		const one = server.put(take({ name: 'Three days', phase: 'processing', attempt: 1, progress: 0.4 }));
		const seen = await open(`${server.url}/play/${one.id}`, { clock: true });
		await seen.until('#state', 'being finished');
		await seen.forward(400);
		await seen.until('#state', 'can take minutes');
		return seen;
	},
	'play, worker not responding': (t, open) => play(t, open, take({ name: 'Choir, first half' }), { pattern: 'is not responding', prepare: (server, { id }) => {
		server.answers.set(id, unserved);
	} }),
	'play, server away': async (t, open) => {
		const server = await startStandin(t);
		server.retryAfter = 1;
		const one = server.put(take({ name: 'Choir, first half' }));
		const seen = await open(`${server.url}/play/${one.id}`);
		await seen.until('#state', 'waits to be finished');
		await server.stop();
		await seen.until('#state', 'cannot be reached');
		return seen;
	},
	'play, never': (t, open) => play(t, open, take({ name: 'Call 4711', bytes: 0, phase: 'error', fetch: 'now', error: { code: 'source_gone', message: 'The source says that there is no such recording.' } }),
		{ pattern: 'there will be none', prepare: (server, { id }) => {
			server.answers.set(id, [404, { status: 404, code: 'source_gone', detail: 'The source says that there is no such recording.' }]);
		} }),
	'play, still recording': (t, open) => play(t, open, recordingNow({ name: 'Piano, take 4' }), { pattern: 'still being recorded' }),
	'play, failed': (t, open) => play(t, open, take({ name: 'Stage left', phase: 'error', attempt: 3, error: { code: 'worker_died', message: 'The worker died while it worked on the recording.' } }),
		{ pattern: 'could not be finished' }),
	'play, cannot play': (t, open) => play(t, open, ready({ name: 'From the camera', mime: 'video/x-unheard-of',
		warnings: [{ code: 'not_media', message: 'It is no media.' }] }, { asIs: true, duration: null }), { pattern: 'cannot play' }),
	'play, not there': (t, open) => play(t, open, null, { selector: '#title', pattern: 'no such recording' }),
	'play, deleted': (t, open) => play(t, open, take(), { selector: '#title', pattern: 'was deleted', prepare: (server, one) => server.remove(one.id) }),
	'play, not allowed': (t, open) => play(t, open, take(), { selector: '#title', pattern: 'not yours', prepare: refused }),
	trust: async (t, open) => {
		const server = await startStandin(t);
		server.enableLan();
		const seen = await open(`${server.url}/trust`);
		await seen.page.locator('body[data-ready]').waitFor();
		return seen;
	},
	'trust, without --lan': async (t, open) => {
		const server = await startStandin(t);
		const seen = await open(`${server.url}/trust`);
		await seen.until('#none', 'no certificate');
		return seen;
	},
	...AIR_SCENES,
	...IMPORT_SCENES,
};
