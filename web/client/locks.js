// One tab owns a take. Web Locks where there are some: a lock goes with its tab, however that ends. Elsewhere (plain http) a row
// in IndexedDB names the owner, who is asked over a BroadcastChannel whether it is still there; that may be wrong about a
// frozen tab, so every write of IdbStore looks at the row in its own transaction: who lost a take can't change it any more.
import { newSessionId } from './base.js';

const ANSWER_MS = 1_000; // a living tab answers at once, also a hidden one: messages are not held up as timers are
const AGAIN_MS = 3_000; // how often a waiting tab asks

const after = (ms, signal) => new Promise((resolve) => {
	const timer = setTimeout(resolve, ms);
	signal?.addEventListener('abort', () => {
		clearTimeout(timer);
		resolve();
	}, { once: true });
});

class WebLocks {
	#prefix;

	constructor(storeName) {
		this.#prefix = `${storeName}:`;
	}

	/** Resolves to a function that lets go; to null if another has it and `wait` is not set, or if `signal` aborts the wait. */
	acquire(id, { wait = false, signal } = {}) {
		return new Promise((resolve, reject) => {
			const options = wait ? { signal } : { ifAvailable: true };
			navigator.locks.request(this.#prefix + id, options, (lock) => {
				if (lock === null) {
					resolve(null);
					return undefined;
				}
				return new Promise((letGo) => resolve(async () => letGo()));
			}).catch((error) => (error.name === 'AbortError' ? resolve(null) : reject(error)));
		});
	}

	/** The takes that some tab owns. */
	async owned() {
		const { held } = await navigator.locks.query();
		return new Set(held.filter(({ name }) => name.startsWith(this.#prefix)).map(({ name }) => name.slice(this.#prefix.length)));
	}

	close() {}
}

class Leases {
	#store;
	#owner = newSessionId();
	#mine = new Set();
	#channel;
	#waiters = new Set();

	constructor(storeName, store) {
		this.#store = store;
		this.#channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(`${storeName}:owners`);
		if (this.#channel) this.#channel.onmessage = ({ data }) => this.#heard(data);
	}

	#heard({ ask, alive }) {
		if (ask === this.#owner) this.#channel.postMessage({ alive: this.#owner });
		for (const waiter of this.#waiters) waiter(alive);
	}

	async #lives(owner) {
		if (!this.#channel) return false; // fenced, so still safe: the older tab hears that it lost the take
		let heard = false;
		let wake;
		const answered = new Promise((resolve) => {
			wake = (alive) => {
				if (alive !== owner) return;
				heard = true;
				resolve();
			};
		});
		this.#waiters.add(wake);
		this.#channel.postMessage({ ask: owner });
		await Promise.race([answered, after(ANSWER_MS)]);
		this.#waiters.delete(wake);
		return heard;
	}

	async acquire(id, { wait = false, signal } = {}) {
		if (this.#mine.has(id)) return null;
		for (;;) {
			if (!this.#store) break; // nothing is shared with other tabs
			const owner = await this.#store.leaseOf(id);
			const free = owner === null || owner === this.#owner || !(await this.#lives(owner));
			if (free && await this.#store.lease(id, owner, this.#owner) === this.#owner) break;
			if (!wait) return null;
			await after(AGAIN_MS, signal);
			if (signal?.aborted) return null;
		}
		this.#mine.add(id);
		this.#store?.fence(id, this.#owner);
		return async () => {
			this.#mine.delete(id);
			this.#store?.fence(id, null);
			await this.#store?.lease(id, this.#owner, null).catch(() => {});
		};
	}

	async owned(ids) {
		const found = new Set(this.#mine);
		await Promise.all(ids.map(async (id) => {
			const owner = this.#store ? await this.#store.leaseOf(id) : null;
			if (owner !== null && owner !== this.#owner && await this.#lives(owner)) found.add(id);
		}));
		return found;
	}

	close() {
		this.#channel?.close();
	}
}

/** `store`: the IdbStore, or null. */
export function openLocks(storeName, store) {
	return globalThis.navigator?.locks ? new WebLocks(storeName) : new Leases(storeName, store);
}
