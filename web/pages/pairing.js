// Pairing a device with the server, and what the server says about the token that this browser keeps.
//
// The pairing token comes in the page's fragment, which no server sees, and leaves the address at once. It works once, so a
// lost reply is asked again with the same nonce; both are kept for this tab until an answer has come.
import { keepToken, readToken } from './token.js';

const PENDING = 'holdfast.pairing'; // sessionStorage: { pairing, nonce }
const FIRST_WAIT_MS = 500;
const MOST_WAIT_MS = 10_000;

/** Storage may be switched off altogether: then what it would keep lasts as long as the page. */
export function careful(storage) {
	const memory = new Map();
	return {
		get(key) {
			try {
				return storage().getItem(key) ?? memory.get(key) ?? null;
			} catch {
				return memory.get(key) ?? null;
			}
		},
		set(key, value) {
			memory.set(key, value);
			try {
				storage().setItem(key, value);
			} catch {
				// kept in memory
			}
		},
		remove(key) {
			memory.delete(key);
			try {
				storage().removeItem(key);
			} catch {
				// nothing was there
			}
		},
	};
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function newNonce() {
	return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export class Pairing {
	#tokens;
	#session;
	#wait;

	constructor({ tokens = { read: readToken, keep: keepToken }, session = careful(() => sessionStorage), wait: pause = wait } = {}) {
		this.#tokens = tokens;
		this.#session = session;
		this.#wait = pause;
	}

	get token() {
		return this.#tokens.read();
	}

	/** To be called before anything else: takes the pairing token out of the address and keeps it for pair(). */
	take(location, history) {
		const pairing = new URLSearchParams(location.hash.slice(1)).get('pair');
		if (pairing === null) return;
		history.replaceState(history.state, '', location.pathname + location.search);
		if (this.#pending?.pairing === pairing) return; // the same code again: the nonce of the first time counts
		this.#session.set(PENDING, JSON.stringify({ pairing, nonce: newNonce() }));
	}

	get #pending() {
		try {
			return JSON.parse(this.#session.get(PENDING));
		} catch {
			return null;
		}
	}

	get pending() {
		return this.#pending !== null;
	}

	/**
	 * Pairs, if a pairing token waits; asks until the server answers, and `onwait(true)` is called while it does not. `api` is the
	 * client's. Resolves with { code: 'paired' }, { code: 'nothing' } or { code, message } of the refusal.
	 */
	async pair(api, { device, onwait = () => {} } = {}) {
		const pending = this.#pending;
		if (pending === null) return { code: 'nothing' };
		for (let pause = FIRST_WAIT_MS; ; pause = Math.min(2 * pause, MOST_WAIT_MS)) {
			try {
				const { token } = await api.pair(pending.pairing, { nonce: pending.nonce, device, token: this.token });
				await this.#tokens.keep(token); // on the disk before it is called paired
				this.#session.remove(PENDING);
				onwait(false);
				return { code: 'paired' };
			} catch (error) {
				if (error.status === 401 && this.token !== null) { // revoked or broken: worth nothing, and a new name then
					await this.#tokens.keep(null);
					continue;
				}
				if (!error.retry) {
					this.#session.remove(PENDING);
					onwait(false);
					return { code: error.code ?? 'internal', message: error.message };
				}
			}
			onwait(true);
			await this.#wait(pause);
		}
	}
}

/**
 * What the server grants this page: { code: 'ok', server } (null from a server without that route), { code: 'away' } when it does not
 * answer, or the refusal's code: unauthorized, token_expired, token_revoked, forbidden_scope.
 */
export async function grantOf(api) {
	try {
		const server = await api.server();
		const scopes = server?.grant?.scopes;
		return { code: scopes === undefined || scopes.includes('record') ? 'ok' : 'forbidden_scope', server };
	} catch (error) {
		if (error.status === 401 || error.status === 403) return { code: /^http_/.test(error.code) ? 'unauthorized' : error.code };
		if (error.status === 404) return { code: 'ok', server: null };
		return { code: 'away' };
	}
}
