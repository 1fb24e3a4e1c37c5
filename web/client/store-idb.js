// Takes in IndexedDB: where there is no OPFS (plain http, older browsers), and for files that are sent as they are.
//
//   rows    sessionId → row                      written with the strictest durability, as everything here
//   chunks  [sessionId, part, from, to] → bytes  one an append
//   files   sessionId → File or handle
//   leases  sessionId → { owner }                which tab may write, where there are no Web Locks (see locks.js): every
//                                                write looks there in its own transaction, so a tab that lost its take changes nothing

const VERSION = 1;
const MOST = Number.MAX_SAFE_INTEGER;

const done = (request) => new Promise((resolve, reject) => {
	request.onsuccess = () => resolve(request.result);
	request.onerror = () => reject(request.error);
});

const finished = (transaction) => new Promise((resolve, reject) => {
	transaction.oncomplete = () => resolve();
	transaction.onabort = () => reject(transaction.error ?? new DOMException('The transaction was given up.', 'AbortError'));
});

const ofTake = (id) => IDBKeyRange.bound([id], [id, MOST, MOST, MOST]);
const ofPart = (id, part) => IDBKeyRange.bound([id, part], [id, part, MOST, MOST]);

/** { part: { from, to } } by the keys alone. Behind a gap only the last stretch counts. */
function heldBy(keys) {
	const held = {};
	for (const [, part, from, to] of keys) {
		if (held[part]?.to !== from) held[part] = { from, to };
		else held[part].to = to;
	}
	return held;
}

export class IdbStore {
	kind = 'indexeddb';
	#db;
	#fenced = new Map(); // id → owner, for takes that a lease gives to this tab
	#queues = new Map(); // id → the last operation

	static async open({ storeName }) {
		if (typeof indexedDB === 'undefined') throw new DOMException('This browser has no IndexedDB.', 'NotSupportedError');
		const request = indexedDB.open(storeName, VERSION);
		request.onupgradeneeded = () => {
			for (const name of ['rows', 'chunks', 'files', 'leases']) request.result.createObjectStore(name);
		};
		const store = new IdbStore();
		store.#db = await done(request);
		store.#db.onversionchange = () => store.#db.close(); // a newer version of this wants to open it
		return store;
	}

	#write(names) {
		return this.#db.transaction([...names, 'leases'], 'readwrite', { durability: 'strict' });
	}

	/** Who may write to a take: null forgets. */
	fence(id, owner) {
		if (owner === null) this.#fenced.delete(id);
		else this.#fenced.set(id, owner);
	}

	/** Takes the lease if `expected` still holds it; the owner that holds it now. */
	async lease(id, expected, owner) {
		const transaction = this.#write([]);
		const leases = transaction.objectStore('leases');
		const present = (await done(leases.get(id)))?.owner ?? null;
		if (present === expected) {
			if (owner === null) leases.delete(id);
			else leases.put({ owner }, id);
		}
		await finished(transaction);
		return present === expected ? owner : present;
	}

	async leaseOf(id) {
		return (await done(this.#db.transaction('leases').objectStore('leases').get(id)))?.owner ?? null;
	}

	async list() {
		const transaction = this.#db.transaction(['rows', 'chunks']);
		const [rows, keys] = await Promise.all([
			done(transaction.objectStore('rows').getAll()), done(transaction.objectStore('chunks').getAllKeys()),
		]);
		return rows.map((row) => ({ row, held: heldBy(keys.filter(([id]) => id === row.start.sessionId)) }));
	}

	async load(id) {
		const transaction = this.#db.transaction(['rows', 'chunks']);
		const [row, keys] = await Promise.all([
			done(transaction.objectStore('rows').get(id)), done(transaction.objectStore('chunks').getAllKeys(ofTake(id))),
		]);
		return row ? { row, held: heldBy(keys) } : null;
	}

	perform(id, op) {
		const before = this.#queues.get(id) ?? Promise.resolve();
		const mine = before.then(() => this.#perform(id, op));
		this.#queues.set(id, mine.catch(() => {}));
		return mine;
	}

	async #perform(id, op) {
		if (op.type === 'read') return this.#read(id, op);
		const transaction = this.#write(['rows', 'chunks', 'files']);
		const ended = finished(transaction);
		ended.catch(() => {});
		const owner = this.#fenced.get(id);
		if (owner !== undefined && (await done(transaction.objectStore('leases').get(id)))?.owner !== owner) {
			transaction.abort();
			return { type: 'lost' };
		}
		const event = await this.#change(transaction, id, op);
		await ended;
		return event;
	}

	async #change(transaction, id, op) {
		const chunks = transaction.objectStore('chunks');
		switch (op.type) {
		case 'meta':
			transaction.objectStore('rows').put(op.meta, id);
			return { type: 'metaDone', ok: true };
		case 'append':
			return this.#append(chunks, id, op);
		case 'drop':
			return this.#drop(chunks, id, op);
		case 'dropPart':
			chunks.delete(ofPart(id, op.part));
			return null;
		default: // dropAll, remove
			chunks.delete(ofTake(id));
			if (op.type !== 'remove') return null;
			transaction.objectStore('rows').delete(id);
			transaction.objectStore('files').delete(id);
			transaction.objectStore('leases').delete(id);
			return null;
		}
	}

	#append(chunks, id, { part, at, to, chunks: pieces }) {
		let [bytes] = pieces;
		if (pieces.length > 1) {
			bytes = new Uint8Array(to - at);
			let pos = 0;
			for (const piece of pieces) {
				bytes.set(piece, pos);
				pos += piece.byteLength;
			}
		} else if (bytes.byteLength !== bytes.buffer.byteLength) {
			bytes = bytes.slice(); // else all of what it is a view of would be stored
		}
		chunks.put(bytes, [id, part, at, to]);
		return { type: 'appended', part, to };
	}

	/** The last chunk of a part stays, so that the part's length is known. */
	async #drop(chunks, id, { part, to }) {
		const keys = await done(chunks.getAllKeys(ofPart(id, part)));
		while (keys.length > 1 && keys[1][2] <= to) chunks.delete(keys.shift());
		const held = heldBy(keys)[part] ?? { from: 0, to: 0 };
		return { type: 'dropped', part, ...held };
	}

	/** One piece that begins at op.at, to the end of its chunk at most. */
	async #read(id, { part, at, length }) {
		const chunks = this.#db.transaction('chunks').objectStore('chunks');
		const cursor = await done(chunks.openCursor(IDBKeyRange.bound([id, part], [id, part, at, MOST]), 'prev'));
		const [, , from, to] = cursor?.key ?? [0, 0, 0, 0];
		if (at < from || at >= to) throw new DOMException(`Bytes ${at} of part ${part} are not there.`, 'NotFoundError');
		return { type: 'read', part, at, bytes: cursor.value.subarray(at - from, at - from + length) };
	}

	async blobs(id, part, from, to) {
		const blobs = [];
		for (let at = from; at < to;) {
			const { bytes } = await this.#read(id, { part, at, length: to - at });
			blobs.push(new Blob([bytes]));
			at += bytes.byteLength;
		}
		return blobs;
	}

	/** For sendFile: the file, or the handle, that a reload needs. */
	async putFile(id, file) {
		const transaction = this.#db.transaction('files', 'readwrite', { durability: 'strict' });
		transaction.objectStore('files').put(file, id);
		await finished(transaction);
	}

	async getFile(id) {
		return await done(this.#db.transaction('files').objectStore('files').get(id)) ?? null;
	}

	async release(id) {
		await this.#queues.get(id);
		this.#queues.delete(id);
	}

	async close() {
		await Promise.all(this.#queues.values());
		this.#db.close();
	}
}
