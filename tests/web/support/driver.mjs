// A machine of @holdfast/client in a test's hand: its store does everything at once unless told otherwise, and its socket opens at once.
import { TakeMachine } from '../../../web/client/machine.js';

export const START = { sessionId: 'x', mime: 'video/webm', ext: 'webm' };
export const fresh = () => ({ server: 's', start: START, parts: [{ number: 0, base: 0, mime: 'video/webm', ext: 'webm' }] });
export const stored = (more) => ({ ...fresh(), changedAt: 1, id: 'id', ...more });

export class Driver {
	now = 1_000;
	effects = [];
	sent = []; // control messages and byte counts
	row = null;
	bytes = new Map();
	store = true;
	opens = 0;

	constructor(row = fresh(), held = {}, options = {}) {
		this.machine = new TakeMachine(row, held, { random: () => 0.5, ...options });
	}

	feed(event) {
		const queue = [event];
		while (queue.length > 0) for (const effect of this.machine.feed(queue.shift(), this.now)) queue.push(...this.#perform(effect));
		return this;
	}

	#perform(effect) {
		this.effects.push(effect.type);
		switch (effect.type) {
		case 'open': this.opens += 1; return [{ type: 'opened', token: this.token ?? null }];
		case 'send': this.sent.push(effect.message); return [];
		case 'bytes': this.sent.push(effect.bytes.byteLength); return [];
		case 'meta':
			if (this.rowsFail) return [{ type: 'metaDone', ok: false }];
			this.row = structuredClone(effect.meta);
			return [{ type: 'metaDone', ok: true }];
		case 'append': return this.store ? [{ type: 'appended', part: effect.part, to: effect.to }] : [{ type: 'appendFailed', code: 'quota', message: 'full' }];
		case 'read': return [{ type: 'read', part: effect.part, at: effect.at, bytes: new Uint8Array(effect.length) }];
		default: return [];
		}
	}

	write(length) {
		return this.feed({ type: 'write', bytes: new Uint8Array(length) });
	}

	hears(message) {
		return this.feed({ type: 'message', message });
	}

	/** Connected, with so many bytes on the server. */
	started(bytes = 0, more = {}) {
		return this.hears({ type: 'started', id: 'id', bytes, heartbeatMs: 20_000, ...more });
	}

	later(ms) {
		this.now += ms;
		return this.feed({ type: 'tick' });
	}

	get last() {
		return this.sent.at(-1);
	}

	get link() {
		return this.machine.link;
	}
}

export const connected = (...args) => new Driver(...args).feed({ type: 'connect' }).started();
