// Follows one show: by `subscribe`, and where that is not to be had (a link that drops, a proxy without WebSockets, a server that lets
// anybody listen but knows nobody by a token) by asking over HTTP now and then.
import { Channel } from './channel.js';

const POLL_MS = 4_000;
const NEEDS_TOKEN = new Set(['unauthorized', 'token_expired', 'token_revoked', 'forbidden_scope']);

export class ShowFollower {
	view = { link: 'connecting', reason: null, message: '', retryAt: null, show: null };
	#options;
	#ended;
	#channel;
	#timer = 0;
	#asking = false;
	#socketWorks = true; // or the next poll's answer is the last word
	#told = false;
	#closed = false;

	/** { server, token, WebSocket, api, show, onChange } */
	constructor(options, ended = () => {}) {
		this.#options = options;
		this.#ended = ended;
		this.#channel = new Channel({
			...options, question: () => ({ show: options.show }), onmessage: (message) => this.#received(message),
			onlink: (link) => this.#linked(link),
		});
		this.#channel.reconnect();
	}

	reconnect() {
		if (this.#closed) return;
		this.#socketWorks = true;
		this.#channel.reconnect();
	}

	close() {
		this.#closed = true;
		clearTimeout(this.#timer);
		this.#channel.close();
		this.#ended();
	}

	#linked(link) {
		if (this.view.link !== 'polling') this.#show(link); // while answers come, the link is no news
		if (link.link === 'waiting') this.#poll();
	}

	#received({ type, of, code, message = '', ...fields }) {
		if (type === 'status' && of === 'show') {
			if (fields.show === this.#options.show) this.#show({ show: fields });
		} else if (type === 'subscribed') {
			clearTimeout(this.#timer);
			this.#show({ link: 'live', reason: null, message: '', retryAt: null });
		} else if (type === 'error') {
			this.#socketWorks = false;
			this.#channel.close();
			if (NEEDS_TOKEN.has(code)) this.#poll(); // it may be open to anybody
			else this.#stop(code, message);
		}
	}

	#stop(reason, message) {
		clearTimeout(this.#timer);
		this.#channel.close();
		this.#show({ link: 'stopped', reason, message, retryAt: null });
	}

	async #poll() {
		clearTimeout(this.#timer);
		if (this.#asking || this.#closed) return;
		this.#asking = true;
		try {
			const show = await this.#options.api.show(this.#options.show);
			if (this.view.link !== 'live') this.#show({ link: 'polling', reason: null, message: '', retryAt: null, show });
		} catch (error) {
			if (error.status >= 400 && error.status < 500 && error.status !== 429) this.#stop(error.code, error.message);
			else if (this.view.link !== 'live') this.#show({ link: 'waiting', reason: error.code, message: error.message });
		} finally {
			this.#asking = false;
		}
		const over = this.#closed || this.view.link === 'stopped' || this.view.link === 'live' && this.#socketWorks;
		if (!over) this.#timer = setTimeout(() => this.#poll(), POLL_MS);
	}

	#show(changes) {
		this.view = { ...this.view, ...changes };
		if (this.#told) return;
		this.#told = true;
		queueMicrotask(() => {
			this.#told = false;
			if (!this.#closed) this.#options.onChange(this.view);
		});
	}
}
