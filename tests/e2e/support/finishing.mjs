// Takes that are finished by real workers: media made by ffmpeg, events as they are told, and the workers themselves.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { atEnd, until } from './server.mjs';
import { api, recording, sessionId, wire } from './wire.mjs';

const PIECE = 1 << 20;

/** Runs ffmpeg with these arguments; its standard output. */
export function ffmpeg(...args) {
	return execFileSync('ffmpeg', ['-nostdin', '-v', 'error', '-y', ...args], { maxBuffer: 1 << 30 });
}

/** What ffprobe says of a file: { format, streams }, and what is asked for beside it. */
export function ffprobe(file, ...more) {
	return JSON.parse(execFileSync('ffprobe', ['-v', 'error', '-of', 'json', '-show_format', '-show_streams', ...more, file], { maxBuffer: 1 << 30 }));
}

/** A tone and a picture as a stream of WebM without length and cues, as a browser sends it. */
export function webm(seconds, { video = true } = {}) {
	const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=15', '-c:v', 'libvpx', '-b:v', '200k', '-deadline', 'realtime', '-cpu-used', '8', '-g', '30'];
	return ffmpeg(...(video ? picture.slice(0, 4) : []), '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000',
		...(video ? picture.slice(4) : []), '-c:a', 'libopus', '-b:a', '32k', '-t', String(seconds), '-f', 'webm', '-live', '1', 'pipe:1');
}

/** The same take again and again as one file, which a worker is busy with for a while. Made once, as `file`. */
export function longWebm(file, seconds, bitrate = '4M') {
	const short = `${file}.short.webm`;
	ffmpeg('-f', 'lavfi', '-i', 'nullsrc=size=640x360:rate=25,geq=random(1)*255:128:128', '-f', 'lavfi', '-i', 'sine=frequency=330:sample_rate=48000',
		'-t', '4', '-c:v', 'libvpx', '-b:v', bitrate, '-minrate', bitrate, '-maxrate', bitrate, '-deadline', 'realtime', '-cpu-used', '16', '-c:a', 'libopus', short);
	ffmpeg('-stream_loop', '-1', '-i', short, '-t', String(seconds), '-c', 'copy', file);
	return file;
}

/** Sends the bytes as one take and ends it; its id. */
export async function take(t, server, bytes, fields = {}) {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId(), ...fields });
	for (let at = 0; at < bytes.length; at += PIECE) w.binary(bytes.subarray(at, at + PIECE));
	w.send({ type: 'end', totalBytes: bytes.length });
	await w.next('saved', 60_000);
	await w.close();
	return id;
}

export const file = (server, id, options) => api(server, `/api/recordings/${id}/file`, options);

/** Waits for a phase; the recording. */
export function phase(server, id, wanted, ms = 30_000) {
	return until(async () => {
		const state = await recording(server, id);
		return state.phase === wanted && state;
	}, ms, `phase ${wanted}`);
}

/** The process ids of the server's workers. */
export function workersOf(server) {
	const found = [];
	for (const name of readdirSync('/proc')) {
		if (!/^\d+$/.test(name)) continue;
		try {
			const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
			const [, comm, state, parent] = /\((.*)\) (\S) (\d+)/.exec(stat);
			if (comm === 'holdfast-worker' && Number(parent) === server.pid && state !== 'Z') found.push(Number(name));
		} catch {
			// it ended meanwhile
		}
	}
	return found;
}

export function signalAll(pids, name) {
	for (const pid of pids) {
		try {
			process.kill(pid, name);
		} catch {
			// it ended meanwhile
		}
	}
}

/** Follows /api/events from the very first; the events so far stand in the list that is returned. */
export async function follow(t, server) {
	const events = [];
	const stop = new AbortController();
	atEnd(t, () => stop.abort());
	const response = await fetch(`${server.url}/api/events?after=0`, { signal: stop.signal });
	assert.equal(response.status, 200);
	(async () => {
		let rest = '';
		for await (const piece of response.body) {
			rest += Buffer.from(piece).toString();
			const blocks = rest.split('\n\n');
			rest = blocks.pop();
			for (const block of blocks) {
				const field = (name) => new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1];
				if (field('data')) events.push({ seq: Number(field('id')), type: field('event'), ...JSON.parse(field('data')) });
			}
		}
	})().catch(() => {}); // the server went, or the test ended
	return events;
}

/** What was published of a recording: the names below media/<id>/. */
export function published(server, id) {
	try {
		return readdirSync(join(server.dataDir, 'media', id)).sort();
	} catch {
		return [];
	}
}

export const size = (path) => statSync(path).size;
