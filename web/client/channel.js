// A WebSocket that subscribes to something, and is opened again for as long as it is wanted. What is said on it is its user's.
import { SUBPROTOCOL, clock, socketUrl, tokenOf } from './base.js';
import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS, OPEN_TIMEOUT_MS, START_TIMEOUT_MS } from './limits.js';

const QUIET_MS = 30_000; // nothing heard for so long: subscribe again, which must be answered, or the link is dead

export class Channel {
	#options;
	#socket = null;
	#asked = false; // `subscribe`, and not yet answered
	#attempts = 0;
	#timer = 0;

	/**
	 * { server, token, WebSocket } of the client; `question()`: what is subscribed to; `onlink({ link, reason, message, retryAt })`: connecting or
	 * waiting; `onmessage(message)`: all but errors of the link that are over when it is tried again; `onopen()`: it is connected, and send()
	 * works. To be begun with reconnect().
	 */
	constructor(options) {
		this.#options = options;
	}

	reconnect() {
		this.#attempts = 0;
		this.close();
		this.#open();
	}

	close() {
		clearTimeout(this.#timer);
		const socket = this.#socket;
		this.#socket = null;
		socket?.close();
	}

	/** After onopen, until the link is lost. */
	send(message) {
		this.#socket.send(JSON.stringify({ ...message, token: tokenOf(this.#options.token) ?? undefined }));
	}

	#after(ms, action) {
		clearTimeout(this.#timer);
		this.#timer = setTimeout(action, ms);
	}

	#open() {
		this.#options.onlink({ link: 'connecting', retryAt: null });
		let socket;
		try {
			socket = new this.#options.WebSocket(socketUrl(this.#options.server), SUBPROTOCOL);
		} catch {
			this.#lost('network');
			return;
		}
		this.#socket = socket;
		this.#after(OPEN_TIMEOUT_MS, () => this.#lost('timeout'));
		const mine = (handle) => (event) => socket === this.#socket && handle(event);
		socket.onopen = mine(() => {
			this.#subscribe();
			this.#options.onopen?.();
		});
		socket.onmessage = mine(({ data }) => this.#received(data));
		socket.onerror = () => {};
		socket.onclose = mine(({ code }) => this.#lost(code === 1006 ? 'network' : 'closed'));
	}

	#subscribe() {
		const { question, token } = this.#options;
		this.#asked = true;
		this.#socket.send(JSON.stringify({ type: 'subscribe', ...question(), token: tokenOf(token) ?? undefined }));
		this.#after(START_TIMEOUT_MS, () => this.#lost('silence'));
	}

	#received(data) {
		let message;
		try {
			message = JSON.parse(data);
		} catch {
			this.#lost('protocol');
			return;
		}
		if (message.type === 'error' && message.retry && message.sliceId === undefined) {
			this.#lost(message.code, message.message);
			return;
		}
		if (message.type === 'subscribed') {
			this.#asked = false;
			this.#attempts = 0;
		}
		this.#options.onmessage(message);
		if (this.#socket && !this.#asked) this.#after(QUIET_MS, () => this.#subscribe());
	}

	#lost(reason, message = '') {
		this.close();
		const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(this.#attempts, 10)) * Math.random();
		this.#attempts += 1;
		this.#after(wait, () => this.#open());
		this.#options.onlink({ link: 'waiting', reason, message, retryAt: clock() + wait });
	}
}
