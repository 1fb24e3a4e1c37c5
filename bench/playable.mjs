// How long it is from `end` to what can be played: `saved`, the first 200 of /file, and `complete`, for takes as recorders send them.
// The takes are made on the spot from a clip that is repeated, and everything is removed afterwards.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import WebSocket from 'ws';

const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '..');
const usage = `usage: bench/playable [--build DIR] [--dir DIR] [--runs N] [--only audio-10s,audio-10min,audio-3h,video-10s,video-10min] [--json]

  --runs N    of each take; the fastest of each counts, because what else runs only slows (3)`;

const options = { build: 'build', dir: 'tmp', runs: '3', only: 'audio-10s,audio-10min,audio-3h,video-10s,video-10min' };
for (let i = 2; i < process.argv.length; i++) {
	const name = process.argv[i].replace(/^--/, '');
	if (name === 'json') options.json = true;
	else if (name in options && i + 1 < process.argv.length) options[name] = process.argv[++i];
	else {
		console.log(usage);
		process.exit(name === 'help' ? 0 : 2);
	}
}

const ASK_MS = 5; // between two questions: what is measured is the server, not a client's patience
const WINDOW = 4 << 20;
const PIECE = 64 << 10;
fs.mkdirSync(path.resolve(root, options.dir), { recursive: true });
const dir = fs.mkdtempSync(path.join(path.resolve(root, options.dir), 'playable-'));
const sound = ['-f', 'lavfi', '-i', 'anoisesrc=d=10:a=0.3:r=48000', '-c:a', 'libopus', '-b:a', '64k', '-vbr', 'off'];
const film = ['-f', 'lavfi', '-i', 'testsrc2=s=1280x720:r=30:d=10,noise=alls=12:allf=t', ...sound.slice(0, 4), '-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8',
	'-g', '150', '-b:v', '2M', '-minrate', '2M', '-maxrate', '2M', ...sound.slice(4)];
const lengths = { '10s': 10, '10min': 600, '3h': 10800 };

function ffmpeg(...args) {
	execFileSync('ffmpeg', ['-nostdin', '-v', 'error', '-y', ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** As a browser sends it: no length, no index. */
function makeTake(name) {
	const [kind, length] = name.split('-');
	const clip = path.join(dir, `${kind}.webm`);
	const file = path.join(dir, `${name}.webm`);
	if (!fs.existsSync(clip)) ffmpeg(...(kind === 'video' ? film : sound), clip);
	ffmpeg('-stream_loop', String(lengths[length] / 10 - 1), '-i', clip, '-c', 'copy', '-live', '1', file);
	return file;
}

async function serve() {
	const server = spawn(path.resolve(root, options.build, 'holdfast'), ['serve', '--data', path.join(dir, 'data'), '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'pipe'] });
	let said = '';
	const url = await new Promise((resolve, reject) => {
		const hear = (data) => {
			said += data;
			const match = /listening on (http:\S+)/.exec(said);
			if (match) resolve(match[1]);
		};
		server.stdout.on('data', hear);
		server.stderr.on('data', hear);
		server.on('exit', () => reject(new Error(`the server ended: ${said}`)));
	});
	return { server, url };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Sends a take whole, then its `end`; what came when, in ms after that. */
async function run(url, file) {
	const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, 'holdfast.v1');
	const heard = { acked: 0 };
	let news = () => {};
	socket.on('message', (data) => {
		const message = JSON.parse(data);
		if (message.type === 'ack') heard.acked = message.bytes;
		else heard[message.type] = message;
		news();
	});
	const when = async (check) => {
		while (!check()) await new Promise((resolve) => { news = resolve; });
	};
	await new Promise((resolve, reject) => { socket.on('open', resolve); socket.on('error', reject); });
	socket.send(JSON.stringify({ type: 'start', sessionId: crypto.randomUUID(), mime: 'video/webm', ext: 'webm', from: 0 }));
	await when(() => heard.started);
	const bytes = fs.readFileSync(file);
	for (let at = 0; at < bytes.length; at += PIECE) {
		socket.send(bytes.subarray(at, at + PIECE));
		await when(() => at - heard.acked < WINDOW);
	}
	await when(() => heard.acked === bytes.length);
	await pause(1000); // a live take comes slowly: nothing of it waits to be written when it ends
	const began = performance.now();
	socket.send(JSON.stringify({ type: 'end', totalBytes: bytes.length }));
	await when(() => heard.saved);
	const took = { mb: bytes.length / 1e6, savedMs: performance.now() - began };
	const recording = `${url}/api/recordings/${heard.started.id}`;
	while ((await fetch(`${recording}/file`, { method: 'HEAD' })).status !== 200) await pause(ASK_MS);
	took.playableMs = performance.now() - began;
	for (;;) {
		const { phase, error } = await (await fetch(recording)).json();
		if (phase === 'error') throw new Error(error.message);
		if (phase === 'complete') break;
		await pause(ASK_MS);
	}
	took.completeMs = performance.now() - began;
	socket.close();
	await fetch(recording, { method: 'DELETE' });
	return took;
}

const { server, url } = await serve();
try {
	const rows = [];
	for (const name of options.only.split(',')) {
		const file = makeTake(name);
		const all = [];
		for (let i = 0; i < Number(options.runs); i++) all.push(await run(url, file));
		const row = { name, mb: all[0].mb };
		for (const key of ['savedMs', 'playableMs', 'completeMs']) row[key] = Math.min(...all.map((one) => one[key]));
		rows.push(row);
		fs.rmSync(file);
	}
	if (options.json) console.log(JSON.stringify(rows, null, '\t'));
	else {
		const columns = ['name', 'mb', 'savedMs', 'playableMs', 'completeMs'];
		const text = (value) => (typeof value === 'string' ? value : value < 10 ? value.toFixed(1) : value.toFixed(0)).padStart(13);
		console.log(columns.map(text).join(''));
		for (const row of rows) console.log(columns.map((key) => text(row[key])).join(''));
	}
} finally {
	server.removeAllListeners('exit');
	const gone = new Promise((resolve) => server.on('exit', resolve));
	server.kill('SIGINT');
	await gone;
	fs.rmSync(dir, { recursive: true, force: true });
}
