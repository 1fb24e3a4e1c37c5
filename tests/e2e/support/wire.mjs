// The protocol by hand: a connection whose every message a test sees, and the HTTP side.
import assert from 'node:assert/strict';
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import WebSocket from 'ws';
import { atEnd, within } from './server.mjs';

export { WebSocket };

const WAIT_MS = 10_000;

/** `length` bytes that are the same for the same seed and never repeat. */
export function media(length, seed = 1) {
	const iv = Buffer.alloc(16);
	iv.writeUInt32BE(seed);
	return createCipheriv('aes-128-ctr', Buffer.alloc(16), iv).update(Buffer.alloc(length));
}

export const sha256 = (data) => createHash('sha256').update(data).digest('hex');
export const sessionId = () => randomBytes(16).toString('hex');

/** Numbers in [0, 1) that a seed decides, so that a failing run can be had again. */
export function random(seed) {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let x = Math.imul(state ^ (state >>> 15), state | 1);
		x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
		return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
	};
}

/** One WebSocket. Acks are kept apart from the other messages, which stand in the order of their coming. */
export class Wire {
	acked = 0;
	acks = [];
	inbox = [];
	statuses = null; // an array: they come here, and not into the inbox
	#waiters = new Set();

	constructor(url, options = {}) {
		this.socket = new WebSocket(url.replace(/^http/, 'ws') + '/ws', 'holdfast.v1', options);
		this.closed = new Promise((resolve) => this.socket.on('close', (code) => resolve(code)));
		this.closed.then(() => this.#news());
		this.socket.on('error', () => {});
		this.socket.on('message', (data) => this.#received(JSON.parse(data)));
	}

	#received(message) {
		if (message.type === 'ack') {
			assert.ok(message.bytes >= this.acked, `acks go back from ${this.acked} to ${message.bytes}`);
			this.acked = message.bytes;
			this.acks.push(message.bytes);
		} else if (this.statuses && message.type === 'status') {
			this.statuses.push(message);
		} else {
			this.inbox.push(message);
		}
		this.#news();
	}

	#news() {
		for (const waiter of this.#waiters) waiter();
	}

	/** Resolves as soon as `check` returns something true; it is asked at every message. */
	when(check, what, ms = WAIT_MS) {
		let waiter;
		const promise = new Promise((resolve, reject) => {
			waiter = () => {
				const value = check();
				if (value) {
					this.#waiters.delete(waiter); // before the next message, which may come at once
					resolve(value);
				} else if (this.socket.readyState === WebSocket.CLOSED) reject(new Error(`${what}: the connection closed`));
			};
			this.#waiters.add(waiter);
			waiter();
		});
		return within(promise, ms, what).finally(() => this.#waiters.delete(waiter));
	}

	opened() {
		return within(new Promise((resolve, reject) => {
			this.socket.on('open', () => resolve(this));
			this.socket.on('close', (code) => reject(new Error(`closed with ${code} before it opened`)));
		}), WAIT_MS, 'open');
	}

	send(message) {
		this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
	}

	binary(data) {
		this.socket.send(data);
	}

	/** The next message that is no ack must be of this type. */
	async next(type, ms = WAIT_MS) {
		const message = await this.when(() => this.inbox.shift(), `next message (${type})`, ms);
		assert.equal(message.type, type, `expected ${type}: ${JSON.stringify(message)}`);
		return message;
	}

	/** The next message must be this error. */
	async error(code, ms = WAIT_MS) {
		const message = await this.next('error', ms);
		assert.equal(message.code, code, JSON.stringify(message));
		assert.equal(typeof message.message, 'string');
		assert.equal(typeof message.retry, 'boolean');
		return message;
	}

	async start(fields = {}) {
		this.send({ type: 'start', mime: 'video/webm', ext: 'webm', ...fields });
		return this.next('started');
	}

	untilAcked(bytes, ms = WAIT_MS) {
		return this.when(() => this.acked >= bytes, `an ack of ${bytes} bytes, got ${this.acked}`, ms);
	}

	/** Ends the connection without a goodbye. */
	async cut() {
		this.socket.terminate();
		await this.closed;
	}

	async close() {
		this.socket.close();
		await within(this.closed, WAIT_MS, 'close');
	}
}

/** The host of a show hears of it unasked. */
export async function hostWire(t, server, options) {
	const w = await wire(t, server, options);
	w.statuses = [];
	return w;
}

export function wire(t, server, options) {
	const w = new Wire(server.url, options);
	atEnd(t, () => w.socket.terminate());
	return w.opened();
}

/** A request to the API: { status, headers, body } with the body parsed where it is JSON. */
export async function api(server, path, options = {}) {
	const response = await fetch(server.url + path, { signal: AbortSignal.timeout(WAIT_MS), redirect: 'manual', ...options });
	const bytes = Buffer.from(await response.arrayBuffer());
	const json = /json/.test(response.headers.get('content-type') ?? '');
	return { status: response.status, headers: response.headers, bytes, body: json && bytes.length > 0 ? JSON.parse(bytes) : undefined };
}

export function complete(server, id, body) {
	return api(server, `/api/recordings/${id}/complete`, {
		method: 'POST', headers: { 'content-type': 'application/json' }, body: body === undefined ? '' : JSON.stringify(body),
	});
}

export async function recording(server, id) {
	const { status, body } = await api(server, `/api/recordings/${id}`);
	assert.equal(status, 200, JSON.stringify(body));
	return body;
}

/** The one recording of a server. */
export async function only(server) {
	const { body } = await api(server, '/api/recordings');
	assert.equal(body.items.length, 1);
	return body.items[0];
}

/** Whether it was sealed, however far its work has come. */
export const isSealed = (state) => ['queued', 'processing', 'generating_thumbnail', 'complete'].includes(state.phase);

/** The tracks of a recording with the fields that the protocol promises; there may be more. */
export function tracksOf(state) {
	return state.tracks.map(({ track, bytes, attached, sealed }) => ({ track, bytes, attached, sealed }));
}

/** The bytes as received must be these. */
export async function assertOriginal(server, id, expected, query = '') {
	const { status, bytes } = await api(server, `/api/recordings/${id}/original${query}`);
	assert.equal(status, 200);
	assert.equal(bytes.length, expected.length, 'length');
	assert.ok(bytes.equals(expected), `the bytes differ, first at ${bytes.findIndex((byte, i) => byte !== expected[i])}`);
}

/** Writes raw bytes to the port and reads until the server closes or `ms` pass; { text, closed }. */
export function raw(server, text, ms = 3000) {
	return new Promise((resolve) => {
		let got = '';
		const socket = net.connect(server.port, '127.0.0.1', () => socket.write(text));
		const finish = (closed) => {
			clearTimeout(timer);
			socket.destroy();
			resolve({ text: got, closed, status: Number(/^HTTP\/1\.[01] (\d+)/.exec(got)?.[1] ?? 0) });
		};
		const timer = setTimeout(() => finish(false), ms);
		socket.on('data', (data) => {
			got += data.toString('latin1');
		});
		socket.on('error', () => finish(true));
		socket.on('close', () => finish(true));
	});
}
