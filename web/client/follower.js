// Follows recordings by `subscribe`: always the newest states, over links that drop.
import { Channel } from './channel.js';

const ALL_MOST = 100; // recordings that `subscribe {all: true}` tells of at once

const newestFirst = (a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1);

export class Follower {
	view = { link: 'connecting', reason: null, message: '', retryAt: null, recordings: [], server: null };
	#options;
	#ended;
	#channel;
	#known = new Map();
	#fresh = null; // ids heard of since `subscribe`, until `subscribed`: what is not among them is gone
	#told = false;
	#closed = false;

	constructor(options, ended = () => {}) {
		this.#options = options;
		this.#ended = ended;
		this.#channel = new Channel({
			...options, question: () => this.#question(), onmessage: (message) => this.#received(message),
			onlink: (link) => {
				this.#fresh = null;
				this.#show(link);
			},
		});
		this.#channel.reconnect();
	}

	reconnect() {
		if (!this.#closed) this.#channel.reconnect();
	}

	close() {
		this.#closed = true;
		this.#channel.close();
		this.#ended();
	}

	#question() {
		const { id } = this.#options;
		this.#fresh = new Set();
		return id ? { id } : { all: true };
	}

	#received(message) {
		if (message.type === 'status') this.#status(message);
		else if (message.type === 'subscribed') this.#subscribed();
		else if (message.type === 'error') this.#stop(message);
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
		this.view = { ...this.view, link: 'live', reason: null, message: '', retryAt: null };
		this.#list();
	}

	#list() {
		this.#show({ recordings: [...this.#known.values()].sort(newestFirst) });
	}

	#stop({ code, message = '' }) {
		this.#channel.close();
		this.#show({ link: 'stopped', reason: code, message, retryAt: null });
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
