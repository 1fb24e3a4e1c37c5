// What can be uploaded, with one face: { name, type, size (null: not known before its end), fingerprint (null: nothing tells it
// from others), read(from, to) }. read() gives a Blob or bytes, shorter only at the end; it is asked again for what did not arrive.
import { ApiError } from './base.js';

const joined = (pieces, length) => {
	const all = new Uint8Array(length);
	let at = 0;
	for (const piece of pieces) {
		all.set(piece, at);
		at += piece.byteLength;
	}
	return all;
};

/** What comes only once: kept from the last position that was asked for on. */
class StreamSource {
	fingerprint = null;
	#iterator;
	#pieces = []; // what was read and may be asked for again
	#from = 0;
	#to = 0;
	#over = false;

	constructor(stream, { name = '', type = '', size = null }) {
		Object.assign(this, { name, type, size });
		this.#iterator = (stream[Symbol.asyncIterator] ?? stream[Symbol.iterator]).call(stream);
	}

	#forget(from) {
		while (this.#pieces.length > 0 && this.#from < from) {
			const [piece] = this.#pieces;
			const drop = Math.min(piece.byteLength, from - this.#from);
			this.#from += drop;
			if (drop === piece.byteLength) this.#pieces.shift();
			else this.#pieces[0] = piece.subarray(drop);
		}
	}

	async read(from, to) {
		if (from < this.#from) throw new ApiError('file_unreadable', 'The stream is past what the server has of it.');
		this.#forget(from);
		while (this.#to < to && !this.#over) {
			const { value, done } = await this.#iterator.next();
			if (done) {
				this.#over = true;
			} else {
				const piece = typeof value === 'string' ? new TextEncoder().encode(value) : new Uint8Array(value.buffer ?? value, value.byteOffset ?? 0, value.byteLength);
				if (piece.byteLength > 0) this.#pieces.push(piece);
				this.#to += piece.byteLength;
				this.#forget(from); // what the server has already is read over
			}
		}
		const all = joined(this.#pieces, this.#to - this.#from);
		this.#pieces = all.byteLength > 0 ? [all] : [];
		return all.subarray(0, Math.max(0, to - this.#from));
	}
}

/** A File or Blob, a source as above (openFile of node.js), or anything that can be iterated over and gives bytes. */
export function sourceOf(data, { name, type, size } = {}) {
	if (typeof data?.read === 'function' && 'fingerprint' in data) return data;
	if (typeof Blob !== 'undefined' && data instanceof Blob) {
		return {
			name: data.name ?? '', type: data.type, size: data.size,
			fingerprint: data.name === undefined ? null : `${data.name}|${data.size}|${data.lastModified}`,
			read: async (from, to) => data.slice(from, to),
		};
	}
	if (data?.[Symbol.asyncIterator] || (typeof data === 'object' && data?.[Symbol.iterator] && !ArrayBuffer.isView(data)))
		return new StreamSource(data, { name, type, size });
	if (data instanceof ArrayBuffer || ArrayBuffer.isView(data))
		return sourceOf(new Blob([data]), {});
	throw new TypeError('A File, a Blob, bytes, a stream, or what openFile() gives.');
}
