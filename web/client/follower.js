// Follows recordings by `subscribe`: always the newest states, over links that drop.
import { SUBPROTOCOL, clock, socketUrl, tokenOf } from './base.js';
import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS, OPEN_TIMEOUT_MS, START_TIMEOUT_MS } from './limits.js';

const QUIET_MS = 30_000; // nothing heard for so long: subscribe again, which must be answered, or the link is dead
const ALL_MOST = 100; // recordings that `subscribe {all: true}` tells of at once

const newestFirst = (a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1);

export class Follower {
	view = { link: 'connecting', reason: null, message: '', retryAt: null, recordings: [], server: null };
	#options;
	#ended;
	#socket = null;
	#known = new Map();
	#fresh = null; // ids heard of since `subscribe`, until `subscribed`: what is not among them is gone
	#attempts = 0;
	#timer = 0;
	#told = false;
	#closed = false;

	constructor(options, ended = () => {}) {
		this.#options = options;
		this.#ended = ended;
		this.#open();
	}

	reconnect() {
		if (this.#closed) return;
		this.#attempts = 0;
		this.#drop();
		this.#open();
	}

	close() {
		this.#closed = true;
		this.#drop();
		this.#ended();
	}

	#after(ms, action) {
		clearTimeout(this.#timer);
		this.#timer = setTimeout(action, ms);
	}

	#open() {
		this.#show({ link: 'connecting', retryAt: null });
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
		socket.onopen = mine(() => this.#subscribe());
		socket.onmessage = mine(({ data }) => this.#received(data));
		socket.onerror = () => {};
		socket.onclose = mine(({ code }) => this.#lost(code === 1006 ? 'network' : 'closed'));
	}

	#subscribe() {
		const { id, token } = this.#options;
		this.#fresh = new Set();
		this.#socket.send(JSON.stringify({ type: 'subscribe', ...(id ? { id } : { all: true }), token: tokenOf(token) ?? undefined }));
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
		if (message.type === 'status') this.#status(message);
		else if (message.type === 'subscribed') this.#subscribed();
		else if (message.type === 'error' && message.retry) this.#lost(message.code, message.message);
		else if (message.type === 'error') this.#stop(message);
		if (this.#socket && this.#fresh === null) this.#after(QUIET_MS, () => this.#subscribe());
	}

	#status({ type, of, ...fields }) {
		if (of === 'server') {
			this.#show({ server: fields });
		} else if (of === 'recording') {
			this.#fresh?.add(fields.id);
			if (fields.phase === 'deleted') this.#known.delete(fields.id);
			else this.#known.set(fields.id, fields);
			if (this.view.link === 'live') this.#list(); // before that the old picture stands still
		}
	}

	#subscribed() {
		const told = [...this.#known.values()].filter(({ id }) => this.#fresh?.has(id));
		// Of all recordings only the newest are told at once: of those beyond them nothing is known.
		const oldest = told.length < ALL_MOST ? -Infinity : Math.min(...told.map(({ createdAt }) => createdAt));
		for (const { id, createdAt } of [...this.#known.values()])
			if (!this.#fresh?.has(id) && createdAt >= oldest) this.#known.delete(id);
		this.#fresh = null;
		this.#attempts = 0;
		this.view = { ...this.view, link: 'live', reason: null, message: '', retryAt: null };
		this.#list();
	}

	#list() {
		this.#show({ recordings: [...this.#known.values()].sort(newestFirst) });
	}

	#stop({ code, message = '' }) {
		this.#drop();
		this.#show({ link: 'stopped', reason: code, message, retryAt: null });
	}

	#lost(reason, message = '') {
		this.#drop();
		const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(this.#attempts, 10)) * Math.random();
		this.#attempts += 1;
		this.#after(wait, () => this.#open());
		this.#show({ link: 'waiting', reason, message, retryAt: clock() + wait });
	}

	#drop() {
		clearTimeout(this.#timer);
		const socket = this.#socket;
		this.#socket = null;
		this.#fresh = null;
		socket?.close();
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
