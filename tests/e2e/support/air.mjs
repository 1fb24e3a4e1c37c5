// A show on air and those who listen to it: a host by WebSocket that sends as a recorder does, and listeners whose every byte a test
// has.
import { spawn } from 'node:child_process';
import net from 'node:net';
import { atEnd, within } from './server.mjs';
import { hostWire } from './wire.mjs';

const TICK_MS = 50;

/** The host of `show`. `send` sends bytes over `ms` in pieces that fit no boundary. */
export async function onAir(t, server, show, fields = {}, options) {
	const host = await hostWire(t, server, options);
	host.started = await host.start({ show, sessionId: undefined, ...fields });
	host.sent = 0;
	host.sendOver = async (bytes, ms = 0) => {
		const piece = Math.max(1, Math.ceil(bytes.length / Math.max(1, ms / TICK_MS)));
		for (let at = 0; at < bytes.length; at += piece) {
			host.binary(bytes.subarray(at, at + piece));
			host.sent += Math.min(piece, bytes.length - at);
			if (ms > 0) await new Promise((resolve) => setTimeout(resolve, TICK_MS));
		}
	};
	return host;
}

/** One listener on a socket of his own. `text`, `body`: what came; `closed` resolves when the server is through with him. */
export function listen(t, server, show, { fields = '', version = '1.1', path = `/live/${show}` } = {}) {
	const socket = net.connect(server.port, '127.0.0.1');
	const pieces = [];
	let cut = -1, head;
	const listener = {
		socket,
		bytes: 0, // of the body
		closed: new Promise((resolve) => socket.on('close', resolve)),
		get head() { return head; },
		get status() { return Number(/^HTTP\/1\.1 (\d+)/.exec(head ?? '')?.[1] ?? 0); },
		get body() { return Buffer.concat(pieces); },
		heard: (count, ms = 10_000) => within(new Promise((resolve) => {
			const look = () => {
				if (listener.bytes >= count) resolve(listener);
				else socket.once('data', () => setImmediate(look));
			};
			look();
		}), ms, `${count} bytes heard`),
	};
	let early = Buffer.alloc(0);
	socket.on('data', (data) => {
		if (cut < 0) {
			early = Buffer.concat([early, data]);
			cut = early.indexOf('\r\n\r\n');
			if (cut < 0) return;
			head = early.subarray(0, cut + 2).toString('latin1');
			data = early.subarray(cut + 4);
		}
		listener.bytes += data.length;
		pieces.push(data);
	});
	socket.on('error', () => {});
	socket.write(`GET ${path} HTTP/${version}\r\nHost: 127.0.0.1\r\n${fields}\r\n`);
	atEnd(t, () => socket.destroy());
	return listener;
}

/** A program to its end: { status, out, err }; `input` goes into it. */
export function program(t, command, args, { input } = {}) {
	const child = spawn(command, args, { stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'] });
	atEnd(t, () => child.kill('SIGKILL'));
	const out = [], err = [];
	child.stdout.on('data', (data) => out.push(data));
	child.stderr.on('data', (data) => err.push(data));
	child.stdin?.on('error', () => {});
	child.stdin?.end(input);
	child.done = new Promise((resolve) => child.on('close', (status) => resolve({ status, out: Buffer.concat(out), err: Buffer.concat(err).toString() })));
	return child;
}

/** What ffmpeg has to say against these bytes: '' when all of them decode. */
export async function decodes(t, bytes) {
	const { status, err } = await program(t, 'ffmpeg', ['-nostdin', '-hide_banner', '-v', 'error', '-i', 'pipe:0', '-f', 'null', '-'], { input: bytes }).done;
	return status === 0 ? err : `${err} (ended with ${status})`;
}
