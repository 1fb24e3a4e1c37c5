// Where the bytes of one take are: in the device's store, in memory, on the server. Pure bookkeeping, used by machine.js.
//
// A take is a row of parts. A byte's place is (part, local offset); its position on the server's track is the part's
// `base` + local. The base of a part that follows another is null until the server's count has told where the other
// really ended: the server may hold bytes that a full device could not keep.
//
//   part { number, base, from, kept, emitted, mime, ext }    local offsets, from <= kept <= emitted
//   [from, kept) is in the store; [kept, emitted) is in memory, in `chunks`
//
// What the server has acknowledged counts as kept: `kept` is never below it.

import { APPEND_BYTES } from './limits.js';

export class Ledger {
	parts;
	unkept = 0; // bytes in `chunks`
	#chunks = []; // { part (number), at, bytes }: not yet in the store, in order
	#fresh = []; // just stored, still here until settle(): may be sent without reading them back
	#next; // number of the next part
	#dropping = { part: -1, to: 0 }; // what the store was told last

	/** `parts`: as loaded from the store: [{ number, base, from, kept, mime, ext }], at least one. */
	constructor(parts, next) {
		// A part without a byte says nothing, unless it is the one to be gone on with.
		this.parts = parts.filter((part, i) => i === parts.length - 1 || part.kept > 0 || part.base !== null)
			.map((part) => ({ ...part, emitted: part.kept }));
		this.parts.forEach((part, i) => { // its files are gone, its row was not yet rewritten: all of it was safe
			const after = this.parts[i + 1];
			if (after && after.base !== null && part.kept === 0) part.from = part.kept = part.emitted = after.base - part.base;
		});
		if (this.parts[0].base === null) this.parts[0].base = 0;
		this.#next = next ?? this.parts.at(-1).number + 1;
	}

	get last() {
		return this.parts.at(-1);
	}

	get nextNumber() {
		return this.#next;
	}

	/** Position at which part i begins, as far as is known now. */
	base(i) {
		let base = 0;
		for (let k = 0; k <= i; k++) base = this.parts[k].base ?? base + this.parts[k - 1].emitted;
		return base;
	}

	get total() {
		return this.base(this.parts.length - 1) + this.last.emitted;
	}

	get kept() {
		return this.total - this.unkept;
	}

	/** The lowest byte that is still here. */
	get heldFrom() {
		return this.parts[0].base + this.parts[0].from;
	}

	add(bytes) {
		this.#chunks.push({ part: this.last.number, at: this.last.emitted, bytes });
		this.last.emitted += bytes.byteLength;
		this.unkept += bytes.byteLength;
	}

	/** Begins the next part; one that has no byte yet, here or on the server, is used again. */
	addPart(mime, ext, overrun) {
		if (this.last.emitted > 0 || (overrun && this.last.base !== null)) {
			this.parts.push({ number: this.#next, base: null, from: 0, kept: 0, emitted: 0, mime, ext });
			this.#next += 1;
		} else {
			Object.assign(this.last, { mime, ext });
		}
	}

	/** What the store should get next: { part, at, to, chunks }, or null. All of it is of one part. */
	nextAppend() {
		const first = this.#chunks[0];
		if (first === undefined) return null;
		const chunks = [];
		let to = first.at;
		for (const chunk of this.#chunks) {
			if (chunk.part !== first.part || (chunks.length > 0 && to - first.at + chunk.bytes.byteLength > APPEND_BYTES)) break;
			chunks.push(chunk.bytes);
			to += chunk.bytes.byteLength;
		}
		return { part: first.part, at: first.at, to, chunks };
	}

	/** The store has the part up to `to`. */
	appended(number, to) {
		const part = this.parts.find((candidate) => candidate.number === number);
		if (!part || to <= part.kept) return; // acknowledged meanwhile
		part.kept = to;
		while (this.#chunks.length > 0 && this.#chunks[0].part === number && this.#chunks[0].at < to) {
			const chunk = this.#chunks.shift();
			this.unkept -= chunk.bytes.byteLength;
			this.#fresh.push(chunk);
		}
	}

	/** Memory forgets what is stored. */
	settle() {
		this.#fresh = [];
	}

	/** Memory forgets everything, also what was not stored: the take is thrown away. */
	forget() {
		this.#fresh = [];
		this.#chunks = [];
		this.unkept = 0;
		for (const part of this.parts) part.from = part.kept = part.emitted;
	}

	/** Bytes in memory at (i, local): those stored a moment ago and, if `unkept`, those that are not. null: none. */
	inMemory(i, local, unkept) {
		const { number } = this.parts[i];
		const has = (chunk) => chunk.part === number && chunk.at <= local && local < chunk.at + chunk.bytes.byteLength;
		const chunk = this.#fresh.find(has) ?? (unkept ? this.#chunks.find(has) : undefined);
		return chunk === undefined ? null : chunk.bytes.subarray(local - chunk.at);
	}

	/**
	 * The server has `bytes`: memory lets go of what is below. Returns the numbers of the parts that nobody needs any more.
	 * `i`: the part that is being sent.
	 */
	acked(i, bytes) {
		const part = this.parts[i];
		const local = bytes - part.base;
		if (local > part.kept) { // what the full device could not keep is safe now; what the store has is below it
			part.from = part.kept = local;
			while (this.#chunks.length > 0 && this.#chunks[0].part === part.number && this.#chunks[0].at < local) {
				const chunk = this.#chunks[0];
				const below = Math.min(local - chunk.at, chunk.bytes.byteLength);
				this.unkept -= below;
				if (below === chunk.bytes.byteLength) this.#chunks.shift();
				else this.#chunks[0] = { part: chunk.part, at: local, bytes: chunk.bytes.subarray(below) };
			}
		}
		const gone = [];
		while (this.parts.length > 1 && this.parts[1].base !== null && bytes > this.parts[1].base) gone.push(this.parts.shift().number);
		return gone;
	}

	/**
	 * The server has `bytes`: what the store may drop now, { part, to }, if that is `least` or more than before; else null. From now on
	 * it can't be counted on.
	 */
	droppable(bytes, least) {
		const [first] = this.parts;
		const to = Math.min(bytes - first.base, first.kept);
		if (to - (this.#dropping.part === first.number ? this.#dropping.to : 0) < least) return null;
		this.#dropping = { part: first.number, to };
		first.from = Math.max(first.from, to);
		return this.#dropping;
	}

	/** It did, and holds [from, to). */
	dropped(number, from, to) {
		const part = this.parts.find((candidate) => candidate.number === number);
		if (part && to === part.kept) part.from = from;
	}

	/**
	 * The server has `bytes`. Where to go on: { i }, with `boundary` if that is the beginning of the first part that is left, which is
	 * to be declared again; or { problem }. A beginning of another part counts as the end of the one before: whether it was declared
	 * can't be known there.
	 * `overrun`: the server may have more than the device kept.
	 */
	locate(bytes, overrun) {
		if (bytes < this.heldFrom) return { problem: 'position_conflict' };
		let i = this.parts.length - 1;
		while (this.parts[i].base === null || this.parts[i].base > bytes) i -= 1;
		if (i > 0 && bytes === this.parts[i].base) i -= 1; // stands at the end of the part before
		const part = this.parts[i];
		if (bytes === part.base && part.number > 0) return { i, boundary: true }; // set back to before what is left here
		if (bytes > part.base + part.emitted) {
			const after = this.parts[i + 1];
			if (after && after.base !== null && after.base !== bytes) return { problem: 'position_conflict' };
			if (!overrun && after?.base !== bytes) return { problem: 'server_has_more' };
			part.from = part.kept = part.emitted = bytes - part.base;
		}
		return { i };
	}

	/** The next part after i that has bytes; -1 if there is none. */
	after(i) {
		return this.parts.findIndex((part, k) => k > i && part.emitted > 0);
	}

	/** What is here in one stretch up to the last byte: [{ number, at, from, kept, chunks }], `at` the position of its first byte. */
	stretch() {
		let found = [];
		this.parts.forEach((part, i) => {
			if (part.from > 0) found = [];
			const chunks = this.#chunks.filter((chunk) => chunk.part === part.number).map(({ bytes }) => bytes);
			found.push({ number: part.number, at: this.base(i) + part.from, from: part.from, kept: part.kept, chunks });
		});
		return found;
	}

	/** For the store: what it can't know from the bytes. */
	rows() {
		return this.parts.map(({ number, base, mime, ext }) => ({ number, base, mime, ext }));
	}
}
