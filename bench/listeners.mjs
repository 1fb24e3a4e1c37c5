// Listeners: what a GB delivered costs Holdfast and what it costs Icecast, in turns, in the same minutes. README.md says
// how to read it.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const root = path.resolve(here, '..');
const usage = `usage: bench/listeners [OPTION …]

  --build DIR     the build directory (build)
  --listeners N   how many (2000)
  --seconds T     measured length of each run (20)
  --runs N        of each; the median by CPU-s/GB counts (3)
  --only NAME     holdfast or icecast (both)
  --json          the figures as JSON
  --check         exit status 1 when a goal does not hold`;

const goals = { cpuRatio: 0.5 };
const options = { build: 'build', listeners: 2000, seconds: 20, runs: 3, only: 'holdfast,icecast' };
for (let argv = process.argv.slice(2); argv.length > 0;) {
	const [, name, inline] = /^--([a-z]+)(?:=(.*))?$/s.exec(argv.shift()) ?? [];
	if (name === 'json' || name === 'check') {
		options[name] = true;
	} else if (name in options) {
		const value = inline ?? argv.shift();
		options[name] = typeof options[name] === 'number' ? Number(value) : value;
	} else {
		console.log(usage);
		process.exit(name === 'help' ? 0 : 2);
	}
}
const build = path.resolve(root, options.build);
fs.mkdirSync(path.join(root, 'tmp'), { recursive: true });
const dir = fs.mkdtempSync(path.join(root, 'tmp/listeners-'));
const children = new Set();
process.on('exit', () => {
	for (const child of children) child.kill('SIGKILL');
	fs.rmSync(dir, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));

function start(command, args, more = {}) {
	const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], ...more });
	children.add(child);
	child.text = '';
	child.stdout.on('data', (data) => {
		child.text += data;
	});
	child.ended = new Promise((resolve) => child.on('exit', (code, signal) => {
		children.delete(child);
		resolve(signal ?? code);
	}));
	return child;
}

async function until(check, what) {
	const end = Date.now() + 30_000;
	for (;;) {
		const value = await check();
		if (value) return value;
		if (Date.now() > end) throw new Error(`${what}: not within 30 s`);
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}

const freePort = () => new Promise((resolve) => {
	const server = net.createServer().listen(0, '127.0.0.1', () => {
		const { port } = server.address();
		server.close(() => resolve(port));
	});
});

const takes = (port) => new Promise((resolve) => {
	const socket = net.connect(port, '127.0.0.1');
	socket.on('connect', () => resolve(true)).on('error', () => resolve(false)).on('close', () => {});
	socket.on('connect', () => socket.destroy());
});

async function holdfast() {
	const child = start(path.join(build, 'holdfast'), ['serve', '--data', path.join(dir, 'data'), '--listen', '127.0.0.1:0',
		'--journal-size', '64M', '--workers', '0', '--log-level', 'error']);
	const port = await until(() => /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(child.text)?.[1], 'holdfast');
	return { child, port, host: 'ws' };
}

// As Debian configures it, but for what a run of so many needs: listeners, and no burst of logging.
async function icecast() {
	const port = await freePort();
	const config = path.join(dir, 'icecast.xml');
	const owner = process.getuid() === 0 ? '<changeowner><user>nobody</user><group>nogroup</group></changeowner>' : '';
	fs.chmodSync(dir, 0o777);
	fs.writeFileSync(config, `<icecast><location>x</location><admin>x</admin>
<limits><clients>${options.listeners + 100}</clients><sources>2</sources><queue-size>524288</queue-size><client-timeout>30</client-timeout>
<header-timeout>15</header-timeout><source-timeout>10</source-timeout><burst-on-connect>1</burst-on-connect><burst-size>65535</burst-size></limits>
<authentication><source-password>bench</source-password><admin-user>admin</admin-user><admin-password>bench</admin-password></authentication>
<hostname>localhost</hostname><listen-socket><port>${port}</port><bind-address>127.0.0.1</bind-address></listen-socket><fileserve>0</fileserve>
<paths><basedir>/usr/share/icecast2</basedir><logdir>${dir}</logdir><webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot></paths>
<logging><accesslog>-</accesslog><errorlog>icecast.log</errorlog><loglevel>1</loglevel></logging>
<security><chroot>0</chroot>${owner}</security></icecast>`);
	const child = start('sh', ['-c', 'ulimit -n 16384; exec icecast2 -c "$0"', config], { stdio: ['ignore', 'pipe', 'ignore'] });
	child.ended.then((status) => status === 'SIGTERM' || status === 'SIGKILL' || status === 0 || console.error(`icecast2 ended with ${status}`));
	await until(() => takes(port), 'icecast2');
	return { child, port, host: 'put' };
}

async function run(kind) {
	const server = await kind();
	const client = start(path.join(build, 'bench/listen'), ['--host', server.host, '--port', server.port, '--pid', server.child.pid,
		'--listeners', options.listeners, '--seconds', options.seconds].map(String));
	await client.ended;
	server.child.kill('SIGTERM');
	await server.child.ended;
	fs.rmSync(path.join(dir, 'data'), { recursive: true, force: true });
	if (!client.text) throw new Error('no figures came');
	return JSON.parse(client.text);
}

const kinds = { holdfast, icecast };
const names = options.only.split(',');
const runs = Object.fromEntries(names.map((name) => [name, []]));
for (let i = 0; i < options.runs; i++) {
	for (const name of names) {
		process.stderr.write(`-- ${name}, run ${i + 1} of ${options.runs}\n`);
		runs[name].push(await run(kinds[name]));
	}
}
const median = (list) => [...list].sort((a, b) => a.cpuPerGb - b.cpuPerGb)[(list.length - 1) >> 1];
const result = Object.fromEntries(names.map((name) => [name, { ...median(runs[name]), lost: Math.max(...runs[name].map((r) => r.lost)), gaps: Math.max(...runs[name].map((r) => r.gaps)) }]));
const ratio = result.holdfast && result.icecast ? result.holdfast.cpuPerGb / result.icecast.cpuPerGb : NaN;
if (options.json) {
	console.log(JSON.stringify({ options, result, ratio, runs }));
} else {
	const kernel = execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim();
	console.log(`${options.listeners} listeners of 128 kbit/s, ${options.seconds} s, the median of ${options.runs}; Linux ${kernel}`);
	console.log('            MB/s   CPU-s/GB   lost  gaps   in to out p50      p99      max (ms)   RSS MB');
	for (const name of names) {
		const r = result[name];
		console.log(`${name.padEnd(9)}${r.mbPerS.toFixed(1).padStart(7)}${r.cpuPerGb.toFixed(2).padStart(11)}${String(r.lost).padStart(7)}${String(r.gaps).padStart(6)}`
			+ `${r.p50Ms.toFixed(0).padStart(16)}${r.p99Ms.toFixed(0).padStart(9)}${r.maxMs.toFixed(0).padStart(9)}${r.rssMb.toFixed(0).padStart(16)}`);
	}
	if (ratio) console.log(`CPU a GB, Holdfast to Icecast: ${ratio.toFixed(2)} (goal: at most ${goals.cpuRatio}) ${ratio <= goals.cpuRatio ? 'holds' : 'DOES NOT HOLD'}`);
}
if (options.check && (ratio > goals.cpuRatio || names.some((name) => name === 'holdfast' && result[name].lost + result[name].gaps > 0))) process.exit(1);
