// What a finalize job costs: its stream copy beside `ffmpeg -c copy` on the same file in the same run, and its other
// steps. The files are made on the spot from a clip that is repeated, and removed afterwards.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '..');
const usage = `usage: bench/remux [--build DIR] [--dir DIR] [--mb SIZE] [--runs N] [--only webm,mp4,frag,audio] [--json]

  --mb SIZE   of each file (1000)
  --runs N    of each program, in turns; the fastest of each counts, because what else runs only slows (5)`;

const options = { build: 'build', dir: 'tmp', mb: '1000', runs: '5', only: 'webm,mp4,frag,audio' };
for (let i = 2; i < process.argv.length; i++) {
	const name = process.argv[i].replace(/^--/, '');
	if (name === 'json') options.json = true;
	else if (name in options && i + 1 < process.argv.length) options[name] = process.argv[++i];
	else {
		console.log(usage);
		process.exit(name === 'help' ? 0 : 2);
	}
}

const goal = 1.1;
const dir = fs.mkdtempSync(path.join(path.resolve(root, options.dir), 'remux-'));
const job = path.resolve(root, options.build, 'src/work/media_try');
const video = ['-f', 'lavfi', '-i', 'testsrc2=s=1280x720:r=30:d=10,noise=alls=12:allf=t'];
const audio = ['-f', 'lavfi', '-i', 'anoisesrc=d=10:a=0.3:r=48000'];
const vp8 = ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-g', '150', '-b:v', '8M', '-c:a', 'libopus', '-b:a', '128k'];
const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '150', '-b:v', '8M', '-c:a', 'aac', '-b:a', '128k'];
// What comes from a recorder: no length, no index.
const kinds = {
	webm: { ext: 'webm', codecs: vp8, form: ['-live', '1'] },
	mp4: { ext: 'mp4', codecs: h264, form: [] },
	frag: { ext: 'mp4', codecs: h264, form: ['-movflags', 'frag_keyframe+empty_moov+default_base_moof'] },
	audio: { ext: 'webm', codecs: ['-vn', '-c:a', 'libopus', '-b:a', '128k'], form: ['-live', '1'], hours: 3 },
};

function ffmpeg(...args) {
	execFileSync('ffmpeg', ['-nostdin', '-v', 'error', '-y', ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function timed(work) {
	const began = process.hrtime.bigint();
	work();
	return Number(process.hrtime.bigint() - began) / 1e6;
}

function settle(file) {
	return timed(() => execFileSync('sync', ['-d', file]));
}

function makeInput(name, kind) {
	const clip = path.join(dir, `clip-${name}.${kind.ext}`);
	const file = path.join(dir, `in-${name}.${kind.ext}`);
	ffmpeg(...(kind.hours ? audio : [...video, ...audio]), ...kind.codecs, clip);
	const loops = kind.hours ? kind.hours * 360 : Math.ceil((Number(options.mb) * 1e6) / fs.statSync(clip).size);
	ffmpeg('-stream_loop', String(loops), '-i', clip, '-c', 'copy', ...kind.form, file);
	fs.rmSync(clip);
	settle(file);
	return file;
}

function runJob(input) {
	const out = path.join(dir, 'job');
	const result = JSON.parse(execFileSync(job, [input, '-o', out], { encoding: 'utf8' }));
	if (result.error !== 'ok' || result.asIs) throw new Error(`${input}: ${result.message}`);
	result.syncMs = settle(path.join(out, 'file'));
	fs.rmSync(out, { recursive: true });
	return result;
}

function runPeer(input, ext) {
	const out = path.join(dir, `peer.${ext}`);
	const ms = timed(() => ffmpeg('-i', input, '-c', 'copy', out));
	const syncMs = settle(out);
	fs.rmSync(out);
	return { ms, syncMs };
}

function measure(name) {
	const kind = kinds[name];
	const input = makeInput(name, kind);
	const jobs = [];
	const peers = [];
	for (let i = 0; i < Number(options.runs); i++) {
		peers.push(runPeer(input, kind.ext));
		jobs.push(runJob(input));
	}
	const least = (list, key) => Math.min(...list.map((one) => one[key]));
	const row = { name, mb: Math.round(fs.statSync(input).size / 1e6), seconds: jobs[0].durationMs / 1000, ffmpegMs: least(peers, 'ms') };
	for (const key of ['copyMs', 'checkMs', 'thumbnailMs', 'waveformMs', 'syncMs']) row[key] = least(jobs, key);
	row.ratio = row.copyMs / row.ffmpegMs;
	fs.rmSync(input);
	return row;
}

try {
	const rows = options.only.split(',').map(measure);
	if (options.json) console.log(JSON.stringify(rows, null, '\t'));
	else {
		const columns = ['name', 'mb', 'seconds', 'ffmpegMs', 'copyMs', 'ratio', 'checkMs', 'thumbnailMs', 'waveformMs', 'syncMs'];
		const text = (value) => (typeof value === 'string' ? value : value < 10 ? value.toFixed(2) : value.toFixed(0)).padStart(12);
		console.log(columns.map(text).join(''));
		for (const row of rows) console.log(columns.map((key) => text(row[key])).join(''));
		for (const row of rows) console.log(`${row.name}: ${row.ratio <= goal ? 'holds' : 'does NOT hold'}: ${row.ratio.toFixed(2)} ≤ ${goal}`);
	}
} finally {
	fs.rmSync(dir, { recursive: true, force: true });
}
