// A small world for the machine of @holdfast/client: a server, a link and a device's store that a seed drives, with crashes
// of the page at any step, and an oracle that knows what was emitted and what was promised.
import assert from 'node:assert/strict';
import { STALE_STARTS } from '../../../web/client/limits.js';
import { TakeMachine } from '../../../web/client/machine.js';
import { random } from '../../e2e/support/wire.mjs';

/** Byte `i` of a part: the same part has the same bytes whoever asks, and another part others. */
export const byteOf = (part, i) => (Math.imul(part * 7919 + i + 1, 2654435761) >>> 13) & 255;

/** The server's side of one take, as far as src/core/recording.c decides it. */
export class SimServer {
	data = [];
	durable = 0;
	parts = new Set();
	phase = 'uploading';
	conn = null;
	#total = null;
	#part = false; // the next byte begins a part

	constructor(chance) {
		this.chance = chance;
	}

	receive(conn, message) {
		if (conn.dead) return;
		if (message instanceof Uint8Array) this.#media(conn, message);
		else if (message.type === 'start') this.#start(conn, message);
		else if (message.type === 'end') this.#end(conn, message);
		else if (message.type === 'abort') this.#abort(conn);
	}

	#error(conn, code, retry) {
		if (this.conn === conn) this.conn = null;
		conn.attached = false;
		conn.say({ type: 'error', code, message: '', retry, bytes: this.durable });
	}

	#start(conn, { from, part }) {
		if (this.phase === 'saved') return conn.say(this.saved());
		if (this.phase === 'aborted') return conn.say({ type: 'aborted', id: 'id', reason: '' });
		if (this.phase === 'deleted') return this.#error(conn, 'deleted', false);
		if (this.full) return this.#error(conn, 'storage_full', true);
		if (from > this.data.length) return this.#error(conn, 'position_conflict', false);
		if (this.conn && this.conn !== conn) this.#error(this.conn, 'taken_over', false);
		this.conn = conn;
		conn.attached = true;
		conn.pending = this.data.length;
		this.#part = Boolean(part);
		this.#total = null;
		return this.commit();
	}

	#media(conn, bytes) {
		if (this.conn !== conn || !conn.attached) return;
		assert.ok(!('pending' in conn), 'nothing binary between start and started');
		if (this.#part && this.data.length > 0 && bytes.length > 0) this.parts.add(this.data.length);
		if (bytes.length > 0) this.#part = false;
		this.data.push(...bytes);
		if (this.#total !== null) assert.ok(this.data.length <= this.#total);
	}

	#end(conn, { totalBytes }) {
		if (this.conn !== conn) return;
		assert.equal(totalBytes, this.data.length, 'the end stands behind the last byte');
		this.#total = totalBytes;
	}

	#abort(conn) {
		if (this.conn !== conn) return;
		this.phase = 'aborted';
		conn.say({ type: 'aborted', id: 'id', reason: '' });
		this.conn = null;
	}

	saved() {
		return { type: 'saved', id: 'id', bytes: this.data.length, sha256: '', url: '/x' };
	}

	/** A commit has ended: all of it is durable, and what waited for that leaves. */
	commit() {
		this.durable = this.data.length;
		const { conn } = this;
		if (!conn) return;
		if ('pending' in conn) {
			conn.say({ type: 'started', id: 'id', bytes: conn.pending, resumed: true, heartbeatMs: 20_000 });
			delete conn.pending;
		} else if (this.chance() < 0.8) {
			conn.say({ type: 'ack', bytes: this.durable });
		}
		if (this.#total === this.data.length) {
			this.phase = 'saved';
			conn.say(this.saved());
			this.conn = null;
		}
	}

	/** kill -9: what was not durable never was. */
	restart() {
		this.data.length = this.durable;
		this.conn = null;
		this.#total = null;
	}
}

class Conn {
	up = [];
	down = [];
	dead = false; // for the server
	say(message) {
		if (!this.dead) this.down.push(message);
	}
}

/** The device: a row and the bytes of each part. What is asked of it is done in order and later, and dies with the page. */
export class SimStore {
	row = null;
	parts = new Map(); // number → { from, bytes }
	queue = [];
	full = false;
	rowsFail = false;

	constructor(chance) {
		this.chance = chance;
	}

	held() {
		return Object.fromEntries([...this.parts].map(([number, { from, bytes }]) => [number, { from, to: from + bytes.length }]));
	}

	/** Does the first thing in the queue; returns the event for the machine, or null. */
	step() {
		const op = this.queue.shift();
		switch (op?.type) {
		case 'meta':
			if (this.full && this.rowsFail) return { type: 'metaDone', ok: false };
			this.row = structuredClone(op.meta);
			return { type: 'metaDone', ok: true };
		case 'append':
			return this.#append(op);
		case 'read': {
			const part = this.parts.get(op.part);
			assert.ok(part && op.at >= part.from && op.at + op.length <= part.from + part.bytes.length, 'only what is held is read');
			return { type: 'read', part: op.part, at: op.at, bytes: Uint8Array.from(part.bytes.slice(op.at - part.from, op.at - part.from + op.length)) };
		}
		case 'drop': {
			const part = this.parts.get(op.part);
			if (!part) return null;
			const most = Math.max(0, Math.min(op.to - part.from, part.bytes.length));
			const cut = op.hard ? most : Math.floor(this.chance() * (most + 1)); // whole segments only
			part.bytes.splice(0, cut);
			part.from += cut;
			return { type: 'dropped', part: op.part, from: part.from, to: part.from + part.bytes.length };
		}
		case 'dropPart': this.parts.delete(op.part); return null;
		case 'dropAll': this.parts.clear(); return null;
		case 'remove': this.parts.clear(); this.row = null; return null;
		default: return null;
		}
	}

	#append(op, bytes = op.chunks.flatMap((chunk) => [...chunk])) {
		if (this.full) return { type: 'appendFailed', code: 'quota', message: 'full' };
		assert.equal(bytes.length > 0 && op.to - op.at, op.chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
		const part = this.parts.get(op.part);
		if (part && part.from + part.bytes.length === op.at) part.bytes.push(...bytes);
		else if (!part || part.from + part.bytes.length < op.at) this.parts.set(op.part, { from: op.at, bytes: [...bytes] }); // behind a gap
		else assert.fail(`append at ${op.at} into [${part.from}, ${part.from + part.bytes.length})`);
		return { type: 'appended', part: op.part, to: op.to };
	}

	/** The page dies: an append that was under way may be there in part. */
	crash() {
		const op = this.queue[0];
		if (op?.type === 'append' && this.chance() < 0.5) {
			const bytes = op.chunks.flatMap((chunk) => [...chunk]);
			this.#append(op, bytes.slice(0, 1 + Math.floor(this.chance() * bytes.length)));
		}
		this.queue = [];
	}
}

export class World {
	now = 1_000_000;
	pages = 0;
	emitted = []; // { part, bytes, promised }: of each part, how many bytes were emitted and how many were told kept
	conn = null;
	done = null;
	steps = 0;
	log = [];

	constructor(seed, options = {}) {
		this.chance = random(seed);
		this.seed = seed;
		this.options = { window: 64, message: 8, read: 24, drop: 16, memoryLimit: 200, random: this.chance, ...options };
		this.server = new SimServer(this.chance);
		this.store = new SimStore(this.chance);
		this.open({ server: 's', start: { sessionId: 'x', mime: 'a', ext: 'b' }, parts: [{ number: 0, base: 0, mime: 'a', ext: 'b' }] });
		this.emitted.push({ part: 0, bytes: 0, promised: 0 });
	}

	open(row) {
		this.pages += 1;
		this.machine = new TakeMachine(row, this.store.held(), this.options);
	}

	get last() {
		return this.emitted.at(-1);
	}

	feed(event) {
		const before = this.machine.safe;
		this.trace(event);
		for (const effect of this.machine.feed(event, this.now)) this.#perform(effect);
		this.log.push(event.type === 'message' ? event.message.type : event.type);
		const { machine } = this;
		assert.ok(machine.ledger.unkept <= this.options.memoryLimit + 64, 'memory is bounded');
		assert.ok(machine.safe <= this.server.durable || machine.safe === before, 'nothing is called safe that is not');
		const view = machine.view();
		assert.ok(view.safeBytes <= view.keptBytes && view.keptBytes <= view.emittedBytes);
		// What the user was told: so much of each part would survive.
		if (machine.aborting === null && !machine.done) machine.ledger.parts.forEach((part, i) => {
			const entry = this.emitted.find(({ part: number }) => number === part.number);
			const kept = Math.min(part.emitted, view.keptBytes - machine.ledger.base(i));
			if (entry) entry.promised = Math.max(entry.promised, kept);
		});
	}

	/** HOLDFAST_SEED=n tells what happened. */
	trace(...what) {
		if (process.env.HOLDFAST_SEED) console.log(...what.map((x) => (typeof x === 'string' ? x : JSON.stringify(x, (key, value) => (value instanceof Uint8Array ? `${value.length} bytes` : value)))));
	}

	#perform(effect) {
		this.trace('    ', effect);
		switch (effect.type) {
		case 'open': this.conn = new Conn(); this.connOpen = false; break;
		case 'close':
			this.conns ??= [];
			if (this.conn) this.conns.push(this.conn); // what is on its way may still arrive
			this.conn = null;
			break;
		case 'send': this.conn.up.push(effect.message); break;
		case 'bytes':
			assert.ok(effect.bytes.byteLength <= this.options.message);
			this.conn.up.push(effect.bytes.slice());
			break;
		default: this.store.queue.push(effect);
		}
	}

	write(length) {
		if (this.machine.refusal(length) !== null) {
			this.feed({ type: 'refuse', code: this.machine.refusal(length) });
			return;
		}
		const { last } = this;
		this.feed({ type: 'write', bytes: Uint8Array.from({ length }, (_, i) => byteOf(last.part, last.bytes + i)) });
		last.bytes += length;
	}

	part() {
		if (this.machine.refusal(0) === 'ended') return;
		this.feed({ type: 'part', mime: 'c', ext: 'd' });
		const { number } = this.machine.ledger.last;
		const gone = this.emitted.filter((entry) => entry.part >= number); // of a page that died before any of it was kept
		assert.ok(gone.every(({ promised }) => promised === 0));
		this.emitted = [...this.emitted.filter((entry) => entry.part < number), { part: number, bytes: 0, promised: 0 }];
	}

	/** The page is gone, at once; another one opens the take from the store. False: there is nothing to open. */
	crash() {
		this.store.crash();
		this.conns = [...this.conns ?? [], this.conn].filter((conn) => conn !== null);
		for (const conn of this.conns.splice(0, this.conns.length - STALE_STARTS)) conn.dead = true;
		this.conn = null;
		this.trace('crash', this.store.row, this.store.held(), this.emitted);
		if (this.store.row === null) return false;
		for (const entry of this.emitted) entry.crashed = true;
		this.open(structuredClone(this.store.row));
		return true;
	}

	// What happens by itself, one thing at a time; each returns whether there was anything to do.

	stepStore() {
		if (this.store.queue.length === 0) return false;
		const event = this.store.step();
		if (event) this.feed(event);
		return true;
	}

	stepLink() {
		const { conn } = this;
		if (conn && !this.connOpen) {
			this.connOpen = true;
			this.feed({ type: 'opened', token: null });
			return true;
		}
		const old = this.conns?.[0];
		if (old && this.chance() < 0.5) { // the server hears what a closed connection had sent, or not
			const message = old.up.shift();
			if (message && this.chance() < 0.9) this.server.receive(old, message);
			else this.conns.shift().dead = true;
			return true;
		}
		if (conn?.up.length > 0 && this.chance() < 0.6) {
			this.server.receive(conn, conn.up.shift());
			return true;
		}
		if (conn?.down.length > 0) {
			this.feed({ type: 'message', message: conn.down.shift() });
			return true;
		}
		return false;
	}

	cut() {
		if (!this.conn) return;
		const { conn } = this;
		if (this.chance() < 0.5) conn.dead = true; // the server hears nothing more of it
		else (this.conns ??= []).push(conn);
		this.conn = null;
		this.feed({ type: 'closed', reason: 'network' });
	}

	restartServer() {
		for (const conn of this.conns ?? []) conn.dead = true;
		this.conns = [];
		this.server.restart();
		if (this.conn) {
			this.conn.dead = true;
			this.conn = null;
			this.feed({ type: 'closed', reason: 'network' });
		}
	}

	/** Time goes on to the next thing that the machine waits for. */
	wake() {
		const at = this.machine.nextWake();
		if (at === Infinity) return false;
		this.now = Math.max(this.now, at);
		this.feed({ type: 'tick' });
		return true;
	}

	/** No more trouble: everything runs until the machine is done. */
	settle() {
		this.store.full = false;
		this.server.full = false;
		for (let i = 0; i < 20_000 && !this.machine.done; i++) {
			const did = [this.stepStore(), this.stepLink()];
			this.server.commit();
			if (!did.includes(true)) this.wake();
		}
		while (this.stepStore());
	}

	/** The server's bytes are the emitted ones, part by part, nothing twice, nothing missing, boundaries where they belong. */
	check() {
		const { data, parts } = this.server;
		let at = 0;
		const begins = new Set();
		for (const { part, bytes, promised, crashed } of this.emitted) {
			if (at > 0 && parts.has(at)) begins.add(at);
			const end = [...parts, data.length].filter((offset) => offset > at).sort((a, b) => a - b)[0] ?? at;
			let length = 0;
			while (at + length < end && data[at + length] === byteOf(part, length)) length += 1;
			const wanted = `part ${part}: of ${bytes} bytes ${promised} were promised, ${length} are there, at ${at} of ${data.length}`;
			assert.ok(length >= promised && length <= bytes, wanted);
			if (!crashed) assert.equal(length, bytes, wanted);
			at += length;
		}
		assert.equal(at, data.length, 'nothing twice');
		assert.deepEqual([...parts].filter((offset) => !begins.has(offset)), [], 'no boundary where no part begins');
	}
}
