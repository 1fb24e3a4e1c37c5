// The benchmark: Holdfast beside the raw limit of the disk and beside a peer, with ratios, and whether the goals hold.
// README.md in this folder says how to read it.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const root = path.resolve(here, '..');
const usage = `usage: bench/run [OPTION …]

  --build DIR       the build directory (build)
  --dir DIR         where data goes, on the disk to be measured (tmp)
  --only LIST       of raw,flat,paced,peer (all)
  --seconds T       measured length of each flat run (6)
  --paced-seconds T measured length of the paced run (50: three checkpoints)
  --runs N          flat runs of each kind; the median by MB/s counts (1)
  --serve ARG       one more argument for \`holdfast serve\` (repeatable)
  --trace           a line each second on standard error
  --json            the figures as JSON on standard output instead of the table
  --check           exit status 1 when a goal does not hold

The load client by hand: build/bench/load flat|paced --port P --pid PID …, see \`build/bench/load\`.`;

const goals = { rawShare: 0.5, cpuEarly: 1.2, cpuLate: 0.8, p99Ms: 100, maxMs: 1000, rssMb: 200, cores: 0.8, pacedMbPerS: 36 };

function parseArguments(argv) {
	const o = { build: 'build', dir: 'tmp', only: 'raw,flat,paced,peer', seconds: 6, pacedSeconds: 50, runs: 1, serve: [] };
	const valued = { build: String, dir: String, only: String, seconds: Number, 'paced-seconds': Number, runs: Number, serve: String };
	for (let i = 0; i < argv.length; i++) {
		let [, name, value] = /^--([a-z-]+)(?:=(.*))?$/s.exec(argv[i]) ?? [];
		if (name === 'help') {
			console.log(usage);
			process.exit(0);
		}
		if (['trace', 'json', 'check'].includes(name)) {
			o[name] = true;
			continue;
		}
		value ??= name in valued ? argv[++i] : undefined;
		if (value === undefined || (valued[name] === Number && !(Number(value) > 0))) {
			console.error(usage);
			process.exit(2);
		}
		const key = name.replace(/-(.)/, (_, letter) => letter.toUpperCase());
		if (key === 'serve') o.serve.push(value);
		else o[key] = valued[name](value);
	}
	o.build = path.resolve(root, o.build);
	o.dir = path.resolve(root, o.dir);
	o.only = o.only.split(',');
	return o;
}

const options = parseArguments(process.argv.slice(2));
const children = new Set();
let dataDirs = [];

function cleanUp() {
	for (const child of children) child.kill('SIGKILL');
	for (const dir of dataDirs) fs.rmSync(dir, { recursive: true, force: true });
}
process.on('exit', cleanUp);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));

const note = (text) => process.stderr.write(`-- ${text}\n`);

function freeBytes() {
	const { bavail, bsize } = fs.statfsSync(options.dir);
	return bavail * bsize;
}

function dataDir() {
	const dir = fs.mkdtempSync(path.join(options.dir, 'bench-'));
	dataDirs.push(dir);
	return dir;
}

function dropDir(dir) {
	fs.rmSync(dir, { recursive: true, force: true });
	dataDirs = dataDirs.filter((other) => other !== dir);
	// The next figure is not to pay for the write-back of this one.
	execFileSync('sync');
}

function start(command, args, env = {}) {
	const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } });
	children.add(child);
	child.ended = new Promise((resolve) => child.on('exit', (code, signal) => {
		children.delete(child);
		resolve(signal ?? code);
	}));
	return child;
}

// A server's port, once it prints that it listens.
function listening(child) {
	return new Promise((resolve, reject) => {
		let text = '';
		const late = setTimeout(() => reject(new Error(`the server does not listen: ${text}`)), 30000);
		child.stdout.on('data', (data) => {
			text += data;
			const found = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(text);
			if (!found) return;
			clearTimeout(late);
			resolve(Number(found[1]));
		});
		child.ended.then((status) => reject(new Error(`the server ended with ${status}: ${text}`)));
	});
}

async function stop(child) {
	child.kill('SIGTERM');
	const late = setTimeout(() => child.kill('SIGKILL'), 60000);
	const status = await child.ended;
	clearTimeout(late);
	return status;
}

async function tool(name, args) {
	const child = start(path.join(options.build, 'bench', name), args.map(String));
	let text = '';
	child.stdout.on('data', (data) => (text += data));
	const status = await child.ended;
	if (!text.trim()) throw new Error(`${name} ended with ${status}`);
	return { ...JSON.parse(text), good: status === 0 };
}

// Runs the load client against a server that is started for it and gone afterwards.
async function against(what, command, args, load, env) {
	const dir = dataDir();
	note(`${what} …`);
	const server = start(command, [...args, dir], env);
	try {
		const port = await listening(server);
		// Room for what start-up left to be done behind (filling the journal).
		await new Promise((resolve) => setTimeout(resolve, 2000));
		const extra = options.trace ? ['--trace'] : [];
		const figures = await tool('load', [...load, '--port', port, '--pid', server.pid, ...extra]);
		const status = await stop(server);
		if (status !== 0) note(`the server ended with ${status}`);
		return figures;
	} finally {
		if (children.has(server)) await stop(server);
		dropDir(dir);
	}
}

const holdfast = (what, load, ...args) =>
	against(what, path.join(options.build, 'holdfast'), ['serve', '--listen', '127.0.0.1:0', ...args, ...options.serve, '--data'], load);

async function flatRuns(what, run) {
	const figures = [];
	for (let i = 0; i < options.runs; i++) {
		// What 3 GB/s would write, journal aside.
		const need = (options.seconds + 3) * 3e9;
		if (freeBytes() < need) throw new Error(`less than ${(need / 1e9).toFixed(0)} GB free in ${options.dir}`);
		figures.push(await run(what));
	}
	figures.sort((a, b) => a.mbPerS - b.mbPerS);
	return figures[figures.length >> 1];
}

// Disks of virtual machines change their minds from minute to minute: the raw limit is taken before, between and after.
function rawRun() {
	note('raw disk …');
	return tool('raw', [options.dir, 2]);
}

function rawMedian(runs) {
	if (runs.length === 0) return undefined;
	const median = (key) => [...runs].sort((a, b) => a[key].mbPerS - b[key].mbPerS)[runs.length >> 1][key];
	const all = runs.map((run) => Math.round(run.buffered.mbPerS));
	return { buffered: median('buffered'), direct: runs.every((run) => run.direct) ? median('direct') : undefined,
		fresh: runs.every((run) => run.fresh) ? median('fresh') : undefined, all };
}

const fixed = (value, digits) => (value === undefined ? '–' : value.toFixed(digits));

function table(rows) {
	const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
	return rows.map((row) => row.map((cell, i) => (i ? String(cell).padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ')).join('\n');
}

function flatTable(r, raw) {
	const rows = [['64 x 16 KiB, flat out', 'MB/s', 'of raw', 'CPU-s/GB', 'of peer', 'ack p50', 'p99 ms', 'RSS MB', 'synced']];
	const rawRow = (name, f) => f && rows.push([name, fixed(f.mbPerS, 0), fixed(f.mbPerS / raw, 2), fixed(f.cpuPerGb, 2), '', fixed(f.p50Ms, 2), fixed(f.p99Ms, 2), '', 'yes']);
	const row = (name, f, synced) => f && rows.push([name, fixed(f.mbPerS, 0), raw ? fixed(f.mbPerS / raw, 2) : '–', fixed(f.serverCpuPerGb, 2),
		r.peer ? fixed(f.serverCpuPerGb / r.peer.serverCpuPerGb, 2) : '–', fixed(f.p50Ms, 1), fixed(f.p99Ms, 1), fixed(f.peakRssMb, 0), synced]);
	rawRow('raw disk, 1 MiB + fdatasync', r.raw?.buffered);
	rawRow('raw disk, the same, O_DIRECT', r.raw?.direct);
	rawRow('raw disk, O_DIRECT into new files', r.raw?.fresh);
	row('holdfast, SHA-256 as it comes', r.early, 'yes');
	row('holdfast, SHA-256 at the seal', r.late, 'yes');
	row('plain Node ws, appending', r.peer, 'no');
	return table(rows);
}

function pacedTable(p) {
	return table([
		['9,000 x 4 KiB a second', 'MB/s', 'ack p50', 'p99', 'p99.9', 'max ms', 'cores', 'RSS MB', 'sealing all'],
		['holdfast', fixed(p.mbPerS, 1), fixed(p.p50Ms, 1), fixed(p.p99Ms, 1), fixed(p.p999Ms, 1), fixed(p.maxMs, 1), fixed(p.serverCores, 2), fixed(p.peakRssMb, 0), `${fixed(p.endS, 1)} s`],
	]);
}

function judge(r, raw) {
	const list = [];
	const goal = (text, value, bound, atLeast) => value !== undefined && list.push({ text, value, bound, holds: atLeast ? value >= bound : value <= bound });
	const share = (f) => (f && raw ? f.mbPerS / raw : undefined);
	goal('early hash: share of raw ≥', share(r.early), goals.rawShare, true);
	goal('early hash: CPU-s/GB ≤', r.early?.serverCpuPerGb, goals.cpuEarly);
	goal('late hash: share of raw ≥', share(r.late), goals.rawShare, true);
	goal('late hash: CPU-s/GB ≤', r.late?.serverCpuPerGb, goals.cpuLate);
	goal('paced: MB/s acked ≥', r.paced?.mbPerS, goals.pacedMbPerS, true);
	goal('paced: ack p99 ms ≤', r.paced?.p99Ms, goals.p99Ms);
	goal('paced: ack max ms ≤', r.paced?.maxMs, goals.maxMs);
	goal('paced: peak RSS MB ≤', r.paced?.peakRssMb, goals.rssMb);
	goal('paced: cores ≤', r.paced?.serverCores, goals.cores);
	for (const key of ['early', 'late', 'paced']) {
		if (r[key]) list.push({ text: `${key}: every ack true, nothing failed`, value: r[key].failed, bound: 0, holds: r[key].good });
	}
	return list;
}

async function main() {
	const on = (name) => options.only.includes(name);
	fs.mkdirSync(options.dir, { recursive: true });
	if (!fs.existsSync(path.join(options.build, 'bench', 'load'))) execFileSync(path.join(root, 'dev'), ['build'], { stdio: 'inherit' });
	const r = {};
	const flat = ['flat', '--seconds', options.seconds, '--end'];
	const raws = [];
	// First: thousands of files that were deleted in the last minute make ext4 without a journal slow at making new ones.
	if (on('paced')) r.paced = await holdfast('holdfast paced', ['paced', '--seconds', options.pacedSeconds, '--end']);
	if (on('raw') || on('flat')) raws.push(await rawRun());
	if (on('flat')) {
		r.early = await flatRuns('holdfast flat out, SHA-256 as it comes', (what) => holdfast(what, flat, '--hash', 'early'));
		raws.push(await rawRun());
		r.late = await flatRuns('holdfast flat out, SHA-256 at the seal', (what) => holdfast(what, flat, '--hash', 'late'));
		raws.push(await rawRun());
	}
	r.raw = rawMedian(raws);
	if (on('peer')) {
		r.peer = await flatRuns('plain Node ws', (what) => against(what, process.execPath, [path.join(here, 'peer_ws.mjs')], flat));
	}

	const raw = r.raw?.buffered.mbPerS;
	const verdicts = judge(r, raw);
	if (options.json) {
		console.log(JSON.stringify({ ...r, goals: verdicts }, null, 2));
	} else {
		if (r.raw || r.peer) console.log(`\n${flatTable(r, raw)}`);
		if (r.paced) console.log(`\n${pacedTable(r.paced)}`);
		if (r.raw) console.log(`\nraw runs of this time (MB/s): ${r.raw.all.join(', ')}; the median counts`);
		if (verdicts.length) console.log('');
		for (const v of verdicts) console.log(`${v.holds ? 'holds' : 'FAILS'}  ${v.text} ${v.bound}: ${Number(v.value.toFixed(3))}`);
	}
	return options.check && verdicts.some((v) => !v.holds) ? 1 : 0;
}

main().then((status) => process.exit(status), (error) => {
	console.error(`bench: ${error.message}`);
	process.exit(1);
});
