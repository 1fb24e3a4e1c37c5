// Where takes are kept on the device. All stores have the same face:
//   kind                       opfs, indexeddb, memory
//   list()                     [{ row, held }]
//   load(id)                   { row, held } or null
//   perform(id, op)            does one store effect of machine.js, after those before it; resolves to the event for the machine, or null
//   blobs(id, part, from, to)  Blobs of what is kept in between
//   release(id), close()       lets go of files; what is kept stays
// IdbStore is in store-idb.js.

const OPEN_MS = 8_000; // a worker that can't be loaded says so, or is silent

/** What a store's failure means for the machine. */
export function failure(op, error) {
	const code = error.name === 'QuotaExceededError' ? 'quota' : 'store_failed';
	const message = String(error.message || error.name || error);
	switch (op.type) {
	case 'append': return { type: 'appendFailed', code, message };
	case 'meta': return { type: 'metaDone', ok: false, code, message };
	case 'read': return { type: 'readFailed', code: 'store_failed', message };
	default: return null; // what could not be dropped costs room and is tried again at the next visit
	}
}

export class OpfsStore {
	kind = 'opfs';
	#worker;
	#calls = new Map();
	#n = 0;
	#broken = null;

	/** Rejects where there is no OPFS, no worker, or no sync access handles. */
	static async open({ storeName, workerUrl }) {
		if (!globalThis.navigator?.storage?.getDirectory || typeof Worker === 'undefined')
			throw new DOMException(globalThis.isSecureContext ? 'This browser has no private file system.' : 'The page did not come over https.', 'NotSupportedError');
		const store = new OpfsStore();
		store.#worker = new Worker(workerUrl, { type: 'module', name: 'holdfast-store' });
		store.#worker.onmessage = ({ data }) => store.#answered(data);
		store.#worker.onerror = (event) => store.#break(event.message || 'The worker could not be loaded.');
		const timer = setTimeout(() => store.#break('The worker does not answer.'), OPEN_MS);
		try {
			await store.#call('open', null, { storeName });
		} catch (error) {
			store.#worker.terminate();
			throw error;
		} finally {
			clearTimeout(timer);
		}
		return store;
	}

	#answered({ n, result, error }) {
		const call = this.#calls.get(n);
		this.#calls.delete(n);
		if (error) call?.reject(new DOMException(error.message, error.name));
		else call?.resolve(result);
	}

	#break(message) {
		this.#broken = new DOMException(message, 'InvalidStateError');
		for (const { reject } of this.#calls.values()) reject(this.#broken);
		this.#calls.clear();
	}

	#call(call, id, op) {
		if (this.#broken) return Promise.reject(this.#broken);
		return new Promise((resolve, reject) => {
			this.#n += 1;
			this.#calls.set(this.#n, { resolve, reject });
			this.#worker.postMessage({ n: this.#n, call, id, op });
		});
	}

	list() {
		return this.#call('list');
	}

	load(id) {
		return this.#call('load', id);
	}

	perform(id, op) {
		return this.#call(op.type, id, op);
	}

	blobs(id, part, from, to) {
		return this.#call('blobs', id, { part, from, to });
	}

	release(id) {
		return this.#call('close', id);
	}

	async close() {
		this.#break('The store was closed.');
		this.#worker.terminate();
	}
}

/** The last resort: it dies with the page. Bytes stand here once; `limit` for all takes together. */
export class MemoryStore {
	kind = 'memory';
	#takes = new Map(); // id → { row, parts: Map of number → { from, chunks } }
	#bytes = 0;

	constructor({ limit = Infinity } = {}) {
		this.limit = limit;
	}

	#held(take) {
		return Object.fromEntries([...take.parts].map(([number, { from, to }]) => [number, { from, to }]));
	}

	async list() {
		return [...this.#takes.values()].filter(({ row }) => row).map((take) => ({ row: take.row, held: this.#held(take) }));
	}

	async load(id) {
		const take = this.#takes.get(id);
		return take?.row ? { row: take.row, held: this.#held(take) } : null;
	}

	async perform(id, op) {
		if (!this.#takes.has(id)) this.#takes.set(id, { row: null, parts: new Map() });
		const take = this.#takes.get(id);
		switch (op.type) {
		case 'meta':
			take.row = op.meta;
			return { type: 'metaDone', ok: true };
		case 'append':
			return this.#append(take, op);
		case 'read':
			return { type: 'read', part: op.part, at: op.at, bytes: this.#slice(take, op) };
		case 'drop':
			return this.#drop(take.parts.get(op.part), op);
		case 'dropPart':
			this.#forget(take, op.part);
			return null;
		default: // dropAll, remove
			for (const number of [...take.parts.keys()]) this.#forget(take, number);
			if (op.type === 'remove') this.#takes.delete(id);
			return null;
		}
	}

	#append(take, { part: number, at, to, chunks }) {
		if (this.#bytes + to - at > this.limit) throw new DOMException('The memory for recordings is used up.', 'QuotaExceededError');
		if (take.parts.get(number)?.to !== at) {
			this.#forget(take, number);
			take.parts.set(number, { from: at, to: at, chunks: [] });
		}
		const part = take.parts.get(number);
		part.chunks.push(...chunks);
		part.to = to;
		this.#bytes += to - at;
		return { type: 'appended', part: number, to };
	}

	/** One piece that begins at op.at: at most to the end of its chunk, so that nothing is copied. */
	#slice(take, { part: number, at, length }) {
		const part = take.parts.get(number);
		let begin = part.from;
		for (const chunk of part.chunks) {
			if (at < begin + chunk.byteLength) return chunk.subarray(at - begin, Math.min(chunk.byteLength, at - begin + length));
			begin += chunk.byteLength;
		}
		throw new DOMException(`Bytes ${at} of part ${number} are not there.`, 'NotFoundError');
	}

	#drop(part, { part: number, to }) {
		if (!part) return { type: 'dropped', part: number, from: 0, to: 0 };
		let whole = 0;
		while (whole < part.chunks.length && part.from + part.chunks[whole].byteLength <= to) {
			part.from += part.chunks[whole].byteLength;
			this.#bytes -= part.chunks[whole].byteLength;
			whole += 1;
		}
		part.chunks.splice(0, whole);
		return { type: 'dropped', part: number, from: part.from, to: part.to };
	}

	#forget(take, number) {
		const part = take.parts.get(number);
		if (part) this.#bytes -= part.to - part.from;
		take.parts.delete(number);
	}

	async blobs(id, number, from, to) {
		const take = this.#takes.get(id);
		const blobs = [];
		for (let at = from; at < to;) {
			const bytes = this.#slice(take, { part: number, at, length: to - at });
			blobs.push(new Blob([bytes]));
			at += bytes.byteLength;
		}
		return blobs;
	}

	async release() {}

	async close() {
		this.#takes.clear();
	}
}
