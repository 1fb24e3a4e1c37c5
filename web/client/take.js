// One take in this page: performs what its machine decides. The socket, the store and the timer are here, the decisions are not.
import { ApiError, SUBPROTOCOL, clock, socketUrl, tokenOf } from './base.js';
import { copyOf } from './copy.js';
import { TakeMachine } from './machine.js';
import { failure } from './stores.js';

const TIMER_MOST_MS = 2 ** 31 - 1;

export class Take {
	#client; // { server, token, memoryLimit, WebSocket, locks }: of client.js
	#store;
	#machine; // while another tab owns the take: by what is stored, and never fed
	#running = false;
	#socket = null;
	#timer = 0;
	#order = Promise.resolve(); // of write, part and end
	#ops = Promise.resolve(); // of the store
	#unlock = null; // lets go of the lock
	#written = 0;
	#waiting = new Set(); // { check, settle }: asked at every change
	#listeners = new Set();
	#told = false;
	#state;
	#gone; // tells client.js
	#waits = new AbortController();
	#onAir;

	/** `stored`: { row, held } as loaded, or of a new take. `onAir`: one of a show goes on air, too. */
	constructor(client, store, stored, gone, onAir = false) {
		this.#client = client;
		this.#store = store;
		this.#gone = gone;
		this.#onAir = onAir;
		this.sessionId = stored.row.start.sessionId;
		this.show = stored.row.start.show ?? null;
		this.#machine = this.#machineFor(stored);
		this.#state = { sessionId: this.sessionId, ...this.#machine.view() };
	}

	#machineFor({ row, held }) {
		return new TakeMachine(row, held, { keptIn: this.#store.kind, memoryLimit: this.#client.memoryLimit, onAir: this.#onAir });
	}

	get state() {
		return this.#state;
	}

	// For client.js

	/** This tab owns it now. */
	run(stored, unlock) {
		this.#unlock = unlock;
		this.#machine = this.#machineFor(stored);
		this.#running = true;
		this.feed({ type: 'connect' });
	}

	/** Waits for the tab that owns it; what that one leaves is gone on with. */
	async standby(signal) {
		this.#show({ ...this.#state, link: 'standby' });
		signal?.addEventListener('abort', () => this.#waits.abort(), { once: true });
		if (signal?.aborted) this.#waits.abort();
		const unlock = await this.#client.locks.acquire(this.sessionId, { wait: true, signal: this.#waits.signal });
		if (unlock === null) {
			this.#leave();
			return;
		}
		const stored = await this.#store.load(this.sessionId).catch(() => null);
		if (stored && !this.#waits.signal.aborted) {
			this.run(stored, unlock);
			return;
		}
		await unlock();
		const problem = { code: 'unknown_take', message: '', serverBytes: null, resumable: false };
		if (stored) {
			this.#leave();
			return;
		}
		this.#show({ ...this.#state, link: 'stopped', done: true, problem }); // finished or discarded there
		this.#gone(this);
	}

	/** The network is known to be back. */
	online() {
		if (this.#running && !this.#machine.done) this.feed({ type: 'connect' });
	}

	/** The user wants it to go on, whatever stopped it. */
	again(onAir) {
		this.#onAir = onAir ?? this.#onAir;
		if (this.#running && (!this.#machine.done || this.#machine.link === 'stopped')) this.feed({ type: 'connect', onAir });
	}

	feed(event) {
		for (const effect of this.#machine.feed(event, clock())) this.#perform(effect);
		this.#schedule();
		this.#show({ sessionId: this.sessionId, ...this.#machine.view() });
	}

	// For the user

	write(data) {
		const mine = this.#order.then(async () => {
			const bytes = await this.#bytesOf(data);
			this.#demand();
			// A store that works gets the time that it needs; a full device can't be waited for.
			await this.#when(() => this.#machine.deviceFull || this.#machine.refusal(bytes.byteLength) !== 'memory_full');
			const code = this.#machine.refusal(bytes.byteLength);
			if (code !== null) {
				if (code === 'memory_full') this.feed({ type: 'refuse', code });
				throw new ApiError(code, '');
			}
			this.#written += bytes.byteLength;
			this.feed({ type: 'write', bytes });
			return this.#written;
		});
		this.#order = mine.catch(() => {});
		return mine.then((end) => this.#when(() => this.#machine.deviceFull || this.#written - this.#machine.ledger.unkept >= end));
	}

	part({ mime, ext } = {}) {
		this.#order = this.#order.then(() => this.#running && this.feed({ type: 'part', mime, ext }));
	}

	async end() {
		const mine = this.#order.then(() => {
			this.#demand();
			this.feed({ type: 'end' });
		});
		this.#order = mine.catch(() => {});
		await mine;
		await this.#when(() => this.#machine.noted || this.#state.done);
	}

	async abort(reason = '') {
		this.#demand();
		this.feed({ type: 'abort', reason });
		await this.#when(() => this.#machine.noted || this.#state.done);
	}

	whenDone() {
		return this.#when(() => this.#state.done && this.#state);
	}

	onState(listener) {
		this.#listeners.add(listener);
		listener(this.#state);
		return () => this.#listeners.delete(listener);
	}

	reconnect({ onAir } = {}) {
		if (!this.#state.done || this.#state.problem?.resumable) this.again(onAir);
	}

	async release() {
		this.#waits.abort();
		if (!this.#running) return;
		this.feed({ type: 'release' });
		await this.#drain();
		await this.#letGo();
	}

	async discard() {
		if (!this.#unlock) throw new ApiError('busy', '');
		this.feed({ type: 'release' });
		this.#ask({ type: 'remove' });
		await this.#drain();
	}

	async localCopy() {
		return copyOf(this.#store, this.sessionId, this.#machine.ledger);
	}

	// The effects

	#perform(effect) {
		switch (effect.type) {
		case 'open': this.#open(); break;
		case 'close': this.#close(); break;
		case 'send': this.#socket.send(JSON.stringify(effect.message)); break;
		case 'bytes': this.#socket.send(effect.bytes); break;
		default: this.#ask(effect);
		}
	}

	#open() {
		const lost = (reason) => this.feed({ type: 'closed', reason });
		let socket;
		try {
			socket = new this.#client.WebSocket(socketUrl(this.#client.server), SUBPROTOCOL);
		} catch {
			queueMicrotask(() => lost('network'));
			return;
		}
		this.#socket = socket;
		socket.binaryType = 'arraybuffer';
		const mine = (handle) => (event) => socket === this.#socket && handle(event);
		socket.onopen = mine(() => this.feed({ type: 'opened', token: tokenOf(this.#client.token) }));
		socket.onmessage = mine(({ data }) => {
			let message;
			try {
				message = JSON.parse(data);
			} catch {
				lost('protocol');
				return;
			}
			this.feed({ type: 'message', message });
		});
		socket.onerror = () => {}; // close follows and tells as much
		socket.onclose = mine(({ code }) => lost(code === 1006 ? 'network' : 'closed'));
	}

	/** What a socket that was let go of still says counts for nothing. */
	#close() {
		const socket = this.#socket;
		this.#socket = null;
		try {
			socket?.close();
		} catch { /* it was not even open */ }
	}

	/** The store's answers come in the order of what it was asked. */
	#ask(op) {
		this.#ops = this.#ops.then(async () => {
			let event;
			try {
				event = await this.#store.perform(this.sessionId, op);
			} catch (error) {
				event = failure(op, error);
			}
			if (event) this.feed(event);
			if (op.type === 'remove') await this.#letGo();
		});
	}

	#schedule() {
		clearTimeout(this.#timer);
		const at = this.#machine.nextWake();
		if (at === Infinity) return;
		this.#timer = setTimeout(() => this.feed({ type: 'tick' }), Math.min(TIMER_MOST_MS, Math.max(0, at - clock()) + 1));
	}

	#show(state) {
		this.#state = state;
		for (const waiter of this.#waiting) {
			const value = waiter.check();
			if (!value && state.link !== 'released') continue;
			this.#waiting.delete(waiter);
			waiter.settle(value);
		}
		if (this.#told || this.#listeners.size === 0) return;
		this.#told = true;
		queueMicrotask(() => { // several changes of one turn are one
			this.#told = false;
			for (const listener of this.#listeners) listener(this.#state);
		});
	}

	/** Resolves when `check` says so; rejects when the take is left before that. */
	#when(check) {
		return new Promise((resolve, reject) => {
			const settle = (value) => (value ? resolve(value === true ? undefined : value) : reject(new ApiError('released', '')));
			const value = check();
			if (value || this.#state.link === 'released') settle(value);
			else this.#waiting.add({ check, settle });
		});
	}

	async #bytesOf(data) {
		if (data instanceof Uint8Array) return data;
		if (data instanceof ArrayBuffer) return new Uint8Array(data);
		if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
		try {
			return new Uint8Array(await data.arrayBuffer());
		} catch (error) {
			if (this.#running) this.feed({ type: 'refuse', code: 'unreadable' }); // nothing later is taken: there are no gaps
			throw new ApiError('unreadable', error.message, { cause: error });
		}
	}

	#demand() {
		if (!this.#running) throw new ApiError(this.#state.link === 'standby' ? 'busy' : 'released', '');
	}

	// Leaving

	/** Until the store has done all that it was asked, also what its answers led to. */
	async #drain() {
		clearTimeout(this.#timer);
		for (let before = null; before !== this.#ops;) {
			before = this.#ops;
			await before;
		}
	}

	async #letGo() {
		const unlock = this.#unlock;
		this.#unlock = null;
		if (!unlock) return;
		await this.#store.release(this.sessionId);
		await unlock();
		this.#gone(this);
	}

	#leave() {
		this.#show({ ...this.#state, link: 'released', done: true });
		this.#gone(this);
	}
}
