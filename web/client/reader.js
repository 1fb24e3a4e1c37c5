// Bytes that are read back from the store, one read at a time: pure, used by machine.js.

export class Reader {
	#asked = false;
	#read = null; // { part, at, bytes }

	/** The bytes of `part` from `local` on, as far as they were read; null: they must be waited for. Asks for them in `effects`, `most` at once. */
	at(part, local, most, effects) {
		const read = this.#read;
		if (read && read.part === part.number && read.at <= local && local < read.at + read.bytes.byteLength) return read.bytes.subarray(local - read.at);
		this.#read = null;
		if (local < part.kept && !this.#asked) {
			this.#asked = true;
			effects.push({ type: 'read', part: part.number, at: local, length: Math.min(most, part.kept - local) });
		}
		return null;
	}

	/** The answer; null: it failed. */
	answered(read) {
		this.#asked = false;
		this.#read = read;
	}

	forget() {
		this.#read = null;
	}
}
