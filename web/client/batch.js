// A batch: items are added in slices, which are sent up front and sent again after a lost link until they are acknowledged; then its counts and
// items are followed. An item that was added before is acknowledged with what it has come to, and is no second one.
import { ApiError, clock, newSessionId } from './base.js';
import { Channel } from './channel.js';
import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS, RATE_WAIT_MS, SLICES_SENT, SLICE_BYTES, SLICE_ITEMS } from './limits.js';

/** Items as arrays that one message can carry. */
export function slicesOf(items) {
	const slices = [];
	let bytes = 0;
	for (const item of items) {
		const size = new TextEncoder().encode(JSON.stringify(item)).byteLength + 1;
		if (slices.length === 0 || slices.at(-1).length === SLICE_ITEMS || bytes + size > SLICE_BYTES) {
			slices.push([]);
			bytes = 0;
		}
		slices.at(-1).push(item);
		bytes += size;
	}
	return slices;
}

export class Batch {
	#options;
	#ended;
	#channel;
	#slices = new Map(); // sliceId → { items, sent, settle }: not acknowledged yet, in the order in which they came
	#open = false; // the channel takes messages
	#created;
	#creating = false;
	#tries = 0;
	#timer = 0; // until the batch is created again
	#pause = 0; // until slices are sent again: there were too many
	#told = false;
	#closed = false;
	view = { link: 'connecting', reason: null, message: '', retryAt: null, batch: null, unsent: 0 };

	/** { server, token, WebSocket, api, batchId, total, name, existing, onChange, onItem, onLive } */
	constructor(options, ended = () => {}) {
		this.#options = options;
		this.#ended = ended;
		this.#created = options.existing === true;
		this.#channel = new Channel({
			...options, question: () => ({ batchId: options.batchId }), onmessage: (message) => this.#received(message),
			onopen: () => {
				this.#open = true;
				this.#pump();
			},
			onlink: (link) => {
				this.#lost();
				this.#show(link);
			},
		});
		this.reconnect();
	}

	get batchId() {
		return this.#options.batchId;
	}

	reconnect() {
		if (this.#closed) return;
		this.#tries = 0;
		if (this.#created) this.#channel.reconnect();
		else this.#create();
	}

	close() {
		this.#closed = true;
		clearTimeout(this.#timer);
		clearTimeout(this.#pause);
		this.#channel.close();
		this.#lost();
		for (const { items, settle } of this.#slices.values()) settle(this.#refused(items, new ApiError('released', '')));
		this.#slices.clear();
		this.#ended();
	}

	/** Resolves when all are acknowledged: [{ key, id, status, isNew, error? }] in their order. */
	async add(items) {
		if (this.#closed) throw new ApiError('released', '');
		const acked = slicesOf(items).map((slice) => new Promise((settle) => {
			this.#slices.set(newSessionId(), { items: slice, sent: false, settle });
		}));
		this.#count();
		this.#pump();
		return (await Promise.all(acked)).flat();
	}

	/** Its items, as the server has them now, the newest first. */
	async* items({ phase } = {}) {
		let before;
		do {
			const { items, next } = await this.#options.api.list({ batch: this.batchId, phase, before });
			yield* items;
			before = next ?? undefined;
		} while (before !== undefined);
	}

	async #create() {
		clearTimeout(this.#timer);
		if (this.#creating) return;
		this.#creating = true;
		this.#show({ link: 'connecting', retryAt: null });
		try {
			const { api, batchId, total, name } = this.#options;
			const batch = await api.createBatch(batchId, { total, name });
			this.#created = true;
			this.#show({ batch });
			if (!this.#closed) this.#channel.reconnect();
		} catch (error) {
			if (!error.retry) this.#stop(error);
			else this.#createLater(error);
		} finally {
			this.#creating = false;
		}
	}

	#createLater({ code, message, retryAfter }) {
		if (this.#closed) return;
		const wait = Math.max((retryAfter ?? 0) * 1000, Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(this.#tries, 10)) * (0.5 + Math.random() / 2));
		this.#tries += 1;
		this.#timer = setTimeout(() => this.#create(), wait);
		this.#show({ link: 'waiting', reason: code, message, retryAt: clock() + wait });
	}

	/** What was sent and not acknowledged is sent again on the next link. */
	#lost() {
		this.#open = false;
		for (const slice of this.#slices.values()) slice.sent = false;
	}

	#pump() {
		if (!this.#open || this.#pause !== 0) return;
		let sent = 0;
		for (const [sliceId, slice] of this.#slices) {
			if (++sent > SLICES_SENT) return;
			if (slice.sent) continue;
			slice.sent = true;
			this.#channel.send({ type: 'slice', batchId: this.batchId, sliceId, items: slice.items });
		}
	}

	#received(message) {
		if (message.sliceId !== undefined) this.#answered(message);
		else if (message.type === 'status') this.#status(message);
		else if (message.type === 'subscribed') this.#live();
		else if (message.type === 'error') this.#stop(message);
	}

	#answered({ type, sliceId, items, code, message, retry, retryAfterMs }) {
		const slice = this.#slices.get(sliceId);
		if (!slice) return; // acknowledged twice: it was sent twice
		if (type === 'error' && retry) {
			slice.sent = false;
			this.#later(retryAfterMs ?? RATE_WAIT_MS, { code, message });
			return;
		}
		if (type !== 'slice_ack' && type !== 'error') return;
		this.#slices.delete(sliceId);
		slice.settle(type === 'error' ? this.#refused(slice.items, { code, message }) : items);
		if (this.view.reason !== null && type === 'slice_ack') this.#show({ reason: null, message: '' });
		this.#count();
		this.#pump();
	}

	#refused(items, { code, message = '' }) {
		return items.map(({ key }) => ({ key, id: null, status: null, isNew: false, error: { code, message } }));
	}

	#later(ms, { code, message }) {
		this.#show({ reason: code, message });
		clearTimeout(this.#pause);
		this.#pause = setTimeout(() => {
			this.#pause = 0;
			this.#pump();
		}, ms);
	}

	#status({ type, of, ...fields }) {
		if (of === 'batch' && fields.id === this.batchId) this.#show({ batch: fields });
		else if (of === 'recording') this.#options.onItem?.(fields);
	}

	#live() {
		const fresh = this.view.link !== 'live';
		this.#show({ link: 'live', retryAt: null, ...(this.#pause === 0 ? { reason: null, message: '' } : {}) });
		if (fresh) this.#options.onLive?.();
	}

	#stop({ code, message = '' }) {
		this.#channel.close();
		this.#lost();
		this.#show({ link: 'stopped', reason: code, message, retryAt: null });
	}

	#count() {
		let unsent = 0;
		for (const { items } of this.#slices.values()) unsent += items.length;
		this.#show({ unsent });
	}

	#show(changes) {
		this.view = { ...this.view, ...changes };
		if (this.#told) return;
		this.#told = true;
		queueMicrotask(() => {
			this.#told = false;
			if (!this.#closed) this.#options.onChange?.(this.view);
		});
	}
}
