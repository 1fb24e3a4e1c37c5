// A batch of many items, sent as slices over a link that drops: is each item there once, and do time and memory bend with
// their number? The items are uploads that wait: there are no bytes, so the slices are all there is.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import WebSocket from 'ws';

const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '..');
const usage = `usage: bench/batch [--build DIR] [--dir DIR] [--items N] [--drop MS] [--json]

  --items N   of the batch; looked at after each quarter of them, too (100000)
  --drop MS   the link is cut so long after it was opened (2000)
  --ahead N   slices are sent so far ahead of their acks (64)`;

const options = { build: 'build', dir: 'tmp', items: '100000', drop: '2000', ahead: '64' };
for (let i = 2; i < process.argv.length; i++) {
	const name = process.argv[i].replace(/^--/, '');
	if (name === 'json') options.json = true;
	else if (name in options && i + 1 < process.argv.length) options[name] = process.argv[++i];
	else {
		console.log(usage);
		process.exit(name === 'help' ? 0 : 2);
	}
}

const EACH = 100;
const items = Math.ceil(Number(options.items) / (4 * EACH)) * 4 * EACH, drop = Number(options.drop), ahead = Number(options.ahead);
fs.mkdirSync(path.resolve(root, options.dir), { recursive: true });
const dir = fs.mkdtempSync(path.join(path.resolve(root, options.dir), 'batch-'));

async function start() {
	const child = spawn(path.resolve(root, options.build, 'holdfast'), ['serve', '--data', path.join(dir, 'data'), '--listen', '127.0.0.1:0',
		'--workers', '0', '--journal-size', '64M'], { stdio: ['ignore', 'pipe', 'inherit'] });
	const port = await new Promise((resolve, reject) => {
		let said = '';
		child.stdout.on('data', (data) => {
			const match = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(said += data);
			if (match) resolve(Number(match[1]));
		});
		child.on('exit', (code) => reject(new Error(`the server ended with ${code}`)));
	});
	return { child, url: `http://127.0.0.1:${port}` };
}

function stat(child) {
	const status = fs.readFileSync(`/proc/${child.pid}/status`, 'utf8');
	const times = fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
	return { rssMb: Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024, cpuS: (Number(times[11]) + Number(times[12])) / 100 };
}

const slice = (n) => JSON.stringify({ type: 'slice', batchId: 'bench', sliceId: String(n), items: Array.from({ length: EACH }, (_, i) => ({
	key: `item-${n * EACH + i}`, name: `Recording ${n * EACH + i}`, mime: 'audio/wav', ext: 'wav', bytes: 1_000_000 })) });

/** Sends until all are acked; says so at each quarter. */
async function send(server, quarter) {
	const slices = items / EACH, acked = new Set(), ids = new Map();
	let created = 0, resent = 0, links = 0;
	while (acked.size < slices) {
		const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws`, 'holdfast.v1');
		await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
		links++;
		const cut = setTimeout(() => socket.terminate(), drop);
		const waiting = new Set();
		let next = 0;
		const more = () => {
			for (; waiting.size < ahead && next < slices; next++) {
				if (acked.has(next)) continue;
				waiting.add(next);
				socket.send(slice(next));
			}
		};
		socket.on('message', (data) => {
			const m = JSON.parse(data);
			if (m.type === 'status') return;
			if (m.type !== 'slice_ack') throw new Error(JSON.stringify(m));
			const n = Number(m.sliceId);
			waiting.delete(n);
			for (const item of m.items) {
				created += item.isNew;
				if (ids.has(item.key) && ids.get(item.key) !== item.id) throw new Error(`${item.key} has two recordings`);
				ids.set(item.key, item.id);
			}
			resent += m.items.every((item) => !item.isNew);
			acked.add(n);
			if (acked.size % (slices / 4) === 0) quarter(acked.size * EACH);
			if (acked.size === slices) socket.terminate();
			else more();
		});
		const closed = new Promise((resolve) => socket.once('close', resolve));
		socket.on('error', () => {});
		more();
		await closed;
		clearTimeout(cut);
	}
	return { created, resent, links, distinct: new Set(ids.values()).size };
}

const server = await start();
const json = { 'content-type': 'application/json' };
await fetch(`${server.url}/api/batches`, { method: 'POST', headers: json, body: JSON.stringify({ batchId: 'bench', total: items }) });
const base = stat(server.child), began = performance.now();
const rows = [];
const result = await send(server, (count) => {
	const { rssMb, cpuS } = stat(server.child);
	rows.push({ items: count, seconds: (performance.now() - began) / 1000, cpuS: cpuS - base.cpuS, rssMb: rssMb - base.rssMb });
});
const asked = performance.now();
const state = await (await fetch(`${server.url}/api/batches/bench`)).json();
const askedMs = performance.now() - asked;
server.child.removeAllListeners('exit');
server.child.kill('SIGKILL');
await new Promise((resolve) => server.child.once('exit', resolve));
const restarted = performance.now();
const again = await start();
const startMs = performance.now() - restarted;
const after = stat(again.child);
const kept = await (await fetch(`${again.url}/api/batches/bench`)).json();
again.child.removeAllListeners('exit');
again.child.kill('SIGKILL');
await new Promise((resolve) => again.child.once('exit', resolve));
fs.rmSync(dir, { recursive: true });

const last = rows.at(-1);
for (const row of rows) Object.assign(row, { share: row.items / items, time: row.seconds / last.seconds / (row.items / items),
	memory: row.rssMb / last.rssMb / (row.items / items) });
const once = result.created <= items && result.distinct === items && state.items === items && kept.items === items;
if (options.json) {
	console.log(JSON.stringify({ items, drop, baseRssMb: base.rssMb, rows, ...result, askedMs, startMs, afterRssMb: after.rssMb, once }));
} else {
	console.log(`${items} items, ${result.links} links of ${drop} ms, ${result.resent} slices acked again; the server had ${base.rssMb.toFixed(1)} MiB before\n`);
	console.log('| items | seconds | of linear | CPU-s | RSS, more than before |\n| ---: | ---: | ---: | ---: | ---: |');
	for (const row of rows)
		console.log(`| ${row.items} | ${row.seconds.toFixed(2)} | ${row.time.toFixed(2)} | ${row.cpuS.toFixed(2)} | ${row.rssMb.toFixed(1)} MiB |`);
	console.log(`\nGET of the batch: ${askedMs.toFixed(1)} ms. Killed and started again: ${(startMs / 1000).toFixed(2)} s, ${after.rssMb.toFixed(1)} MiB.`);
	console.log(`Each item once: ${once ? 'yes' : 'NO'}.`);
}
process.exit(once ? 0 : 1);
