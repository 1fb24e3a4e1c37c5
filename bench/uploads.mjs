// Uploads of large files: what a GB costs Holdfast (tus, synced before it is acknowledged), @tus/server (tus) and nginx
// (PUT), which sync nothing; in turns, by the same client, in the same minutes. README.md says how to read it.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const root = path.resolve(here, '..');
const usage = `usage: bench/uploads [OPTION …]

  --build DIR     the build directory (build)
  --dir DIR       where data goes, on the disk to be measured (tmp)
  --files N       at a time (4)
  --mib N         size of each (256)
  --runs N        of each; the median by CPU-s/GB counts (3)
  --only LIST     of holdfast,tus,nginx (all)
  --serve ARG     one more argument for \`holdfast serve\` (repeatable)
  --json          the figures as JSON
  --check         exit status 1 when a goal does not hold`;

const goals = { cpuOfTus: 0.5, cpuOfNginx: 1, rawShare: 0.8 };
const options = { build: 'build', dir: 'tmp', files: 4, mib: 256, runs: 3, only: 'holdfast,tus,nginx', serve: [] };
for (let argv = process.argv.slice(2); argv.length > 0;) {
	const [, name, inline] = /^--([a-z]+)(?:=(.*))?$/s.exec(argv.shift()) ?? [];
	if (name === 'json' || name === 'check') {
		options[name] = true;
	} else if (name === 'serve') {
		options.serve.push(inline ?? argv.shift());
	} else if (name in options) {
		const value = inline ?? argv.shift();
		options[name] = typeof options[name] === 'number' ? Number(value) : value;
	} else {
		console.log(usage);
		process.exit(name === 'help' ? 0 : 2);
	}
}
const build = path.resolve(root, options.build), base = path.resolve(root, options.dir);
fs.mkdirSync(base, { recursive: true });
const dir = fs.mkdtempSync(path.join(base, 'uploads-'));
const data = path.join(dir, 'data');
const children = new Set();
process.on('exit', () => {
	for (const child of children) child.kill('SIGKILL');
	fs.rmSync(dir, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));

function start(command, args) {
	const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
	children.add(child);
	child.text = '';
	child.stdout.on('data', (text) => (child.text += text));
	child.ended = new Promise((resolve, reject) => {
		child.on('error', reject);
		child.on('exit', (code, signal) => {
			children.delete(child);
			resolve(signal ?? code);
		});
	});
	child.ended.catch(() => {});
	return child;
}

async function until(check, what) {
	const end = Date.now() + 60_000;
	for (;;) {
		const value = await check();
		if (value) return value;
		if (Date.now() > end) throw new Error(`${what}: not within 60 s`);
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}

const listening = (child, what) => until(() => {
	if (child.exitCode !== null) throw new Error(`${what} ended with ${child.exitCode}`);
	return /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(child.text)?.[1];
}, what);

async function holdfast() {
	const child = start(path.join(build, 'holdfast'), ['serve', '--data', data, '--listen', '127.0.0.1:0', '--workers', '0', '--log-level', 'error', ...options.serve]);
	return { child, how: 'tus', port: await listening(child, 'holdfast') };
}

async function tus() {
	fs.mkdirSync(data);
	const child = start('node', [path.join(here, 'peer_tus.mjs'), data]);
	return { child, how: 'tus', port: await listening(child, '@tus/server') };
}

const freePort = () => new Promise((resolve) => {
	const server = net.createServer().listen(0, '127.0.0.1', () => {
		const { port } = server.address();
		server.close(() => resolve(port));
	});
});

const takes = (port) => new Promise((resolve) => {
	const socket = net.connect(port, '127.0.0.1');
	socket.on('connect', () => resolve(true)).on('error', () => resolve(false)).on('connect', () => socket.destroy());
});

// As Debian sets it up, with as many workers as there are cores; bodies wait where they will stay, so that they are moved by a rename.
async function nginx() {
	const port = await freePort(), config = path.join(dir, 'nginx.conf');
	fs.mkdirSync(path.join(data, 'body'), { recursive: true });
	const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${data}/${name === 'client_body' ? 'body' : name};`).join(' ');
	fs.writeFileSync(config, `${process.getuid() === 0 ? 'user root;' : ''} daemon off; worker_processes auto; pid ${dir}/nginx.pid; error_log stderr error;
events { worker_connections 768; }
http { access_log off; sendfile on; tcp_nopush on; ${places}
server { listen 127.0.0.1:${port}; root ${data}; location / { client_max_body_size 0; dav_methods PUT; create_full_put_path on; } } }`);
	const child = start('/usr/sbin/nginx', ['-c', config, '-e', 'stderr']);
	child.ended.catch(() => console.error('nginx is missing: apt-get install nginx-light'));
	await until(() => takes(port), 'nginx');
	await until(() => descendants(child.pid).length >= os.cpus().length, 'its workers');
	return { child, how: 'put', port, sizes: () => fs.readdirSync(data).filter((name) => name.endsWith('.bin')).map((name) => fs.statSync(path.join(data, name)).size) };
}

const descendants = (pid) => fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
const tool = (name, args) => JSON.parse(execFileSync(path.join(build, 'bench', name), args.map(String), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }));
const bytes = options.mib * 2 ** 20;

async function run(kind) {
	const server = await kind();
	// asynchronously: the pipes of the server are read meanwhile
	const client = start(path.join(build, 'bench/upload'), [server.how, server.port, options.files, bytes, server.child.pid, ...descendants(server.child.pid)].map(String));
	const status = await client.ended;
	if (status !== 0) throw new Error(`the client ended with ${status}`);
	if (server.sizes && server.sizes().some((size) => size !== bytes)) throw new Error('a file is not whole');
	server.child.kill('SIGTERM');
	await server.child.ended;
	fs.rmSync(data, { recursive: true, force: true });
	execFileSync('sync'); // what one of them left to be written is not in the way of the next
	return JSON.parse(client.text);
}

const kinds = { holdfast, tus, nginx };
const names = options.only.split(',');
const runs = Object.fromEntries(names.map((name) => [name, []]));
const raws = [];
const raw = () => {
	process.stderr.write('-- raw disk\n');
	raws.push(tool('raw', [base, 2]));
};
raw();
for (let i = 0; i < options.runs; i++) {
	for (const name of names) {
		process.stderr.write(`-- ${name}, run ${i + 1} of ${options.runs}\n`);
		runs[name].push(await run(kinds[name]));
	}
	raw();
}
const middle = (list, of) => [...list].sort((a, b) => of(a) - of(b))[(list.length - 1) >> 1];
const result = Object.fromEntries(names.map((name) => [name, middle(runs[name], (r) => r.cpuPerGb)]));
const rate = (name) => raws[0][name] && middle(raws, (r) => r[name].mbPerS)[name].mbPerS;
const disk = { buffered: rate('buffered'), direct: rate('direct'), fresh: rate('fresh') };
const ours = result.holdfast;
const ratios = {
	cpuOfTus: ours && result.tus && ours.cpuPerGb / result.tus.cpuPerGb,
	cpuOfNginx: ours && result.nginx && ours.cpuPerGb / result.nginx.cpuPerGb,
	rawShare: ours && middle(runs.holdfast, (r) => r.mbPerS).mbPerS / disk.buffered,
};
const holds = {
	cpuOfTus: ratios.cpuOfTus <= goals.cpuOfTus,
	cpuOfNginx: ratios.cpuOfNginx <= goals.cpuOfNginx,
	rawShare: ratios.rawShare >= goals.rawShare,
};
if (options.json) {
	console.log(JSON.stringify({ options, result, disk, ratios, runs, raws }));
} else {
	const label = { holdfast: 'holdfast, tus', tus: '@tus/server, tus', nginx: 'nginx, PUT' };
	console.log(`${options.files} × ${options.mib} MiB, the median of ${options.runs}; Linux ${execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim()}`);
	console.log('                    MB/s   of raw   CPU-s/GB   until answered   client   synced');
	for (const name of names) {
		const r = result[name];
		console.log(`${label[name].padEnd(17)}${r.mbPerS.toFixed(0).padStart(7)}${(r.mbPerS / disk.buffered).toFixed(2).padStart(9)}${r.cpuPerGb.toFixed(2).padStart(11)}`
			+ `${r.cpuPerGbUntilAnswered.toFixed(2).padStart(17)}${r.clientCpuPerGb.toFixed(2).padStart(9)}   ${name === 'holdfast' ? 'yes' : 'no'}`);
	}
	console.log(`raw disk, 1 MiB + fdatasync: ${disk.buffered.toFixed(0)} MB/s (the 1.00), O_DIRECT ${disk.direct?.toFixed(0) ?? '–'}, into new files ${disk.fresh?.toFixed(0) ?? '–'}`
		+ `; all runs: ${raws.map((r) => r.buffered.mbPerS.toFixed(0)).join(', ')}`);
	const say = (name, text) => ratios[name] && console.log(`${text}: ${ratios[name].toFixed(2)} (goal: ${name === 'rawShare' ? 'at least' : 'at most'} ${goals[name]}) ${holds[name] ? 'holds' : 'DOES NOT HOLD'}`);
	say('cpuOfTus', 'CPU a GB, Holdfast to @tus/server');
	say('cpuOfNginx', 'CPU a GB, Holdfast to nginx');
	say('rawShare', 'MB/s, Holdfast to the raw disk');
}
if (options.check && !Object.values(holds).every(Boolean)) process.exit(1);
