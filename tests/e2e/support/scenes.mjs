// Every page in every state that a person may find it in, before the stand-in: for the accessibility tests and for the
// screenshots. A scene gets the test (or what stands for it) and open(url, options) → Visit, and returns the visit when the
// state is reached.
import { recordingNow, startStandin, take } from './standin.mjs';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A week's work: something of everything, and names as people give them. */
export function week(now = Date.now()) {
	return [
		take({ name: 'Tuesday rehearsal', createdAt: now - 50 * HOUR, bytes: 812e6 }),
		take({ name: 'Interview with R. Okafor', owner: 'phone-9c41', createdAt: now - 26 * HOUR, bytes: 148e6, mime: 'audio/webm;codecs=opus', revision: 2 }),
		take({ name: 'Street, north side', owner: 'phone-9c41', createdAt: now - 7.2 * HOUR, bytes: 96.4e6, interrupted: true }),
		take({ name: 'Stage left', createdAt: now - 5 * HOUR, bytes: 31.2e6, phase: 'error',
			error: { code: 'checksum_mismatch', message: 'The bytes are not those that the sender declared: their SHA-256 differs.' } }),
		take({ name: null, owner: 'phone-77ab', createdAt: now - 3 * HOUR, bytes: 0, phase: 'aborted' }),
		take({ name: 'Choir, second half', owner: 'desktop', createdAt: now - 2 * HOUR, bytes: 2.41e9,
			tracks: [{ track: 'video', bytes: 2.3e9, attached: false, sealed: true }, { track: 'audio', bytes: 1.1e8, attached: false, sealed: true }] }),
		recordingNow({ name: 'Kitchen table', owner: 'phone-77ab', createdAt: now - 31 * MINUTE, bytes: 402e6, attached: false, graceLeftMs: 24_000 }),
		recordingNow({ name: 'Piano, take 4', owner: 'phone-9c41', createdAt: now - 151_000, bytes: 24.3e6 }),
	];
}

async function desk(t, open, { lan = true, takes = week(), live = true, prepare = () => {} } = {}) {
	const server = await startStandin(t);
	if (lan) server.enableLan();
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
	if (one) server.put(one);
	prepare(server, one);
	const seen = await open(`${server.url}/play/${one?.id ?? 'none'}`);
	await seen.until(selector ?? '#state', pattern);
	return seen;
}

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
	'play, audio': (t, open) => play(t, open, take({ name: 'Interview with R. Okafor', owner: 'phone-9c41', mime: 'audio/wav', bytes: TONE.length,
		sha256: '5f0c2e9d'.repeat(8) }), { selector: '#facts', pattern: '0:20', prepare: (server, { id }) => {
		server.originals.set(id, { type: 'audio/wav', data: TONE });
	} }),
	'play, still recording': (t, open) => play(t, open, recordingNow({ name: 'Piano, take 4' }), { pattern: 'still being recorded' }),
	'play, failed': (t, open) => play(t, open, take({ name: 'Stage left', phase: 'error', error: { code: 'corrupt', message: 'The disk lost a block.' } }),
		{ pattern: 'It failed' }),
	'play, cannot play': (t, open) => play(t, open, take({ name: 'From the camera', mime: 'video/x-unheard-of' }), { pattern: 'cannot play' }),
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
};
