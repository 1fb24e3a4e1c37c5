// Which version of a take's row the store has: pure, used by machine.js. One put is under way at a time.

export class RowKeeper {
	parts = -1; // the highest part of the stored row
	noted = false; // the stored row says ended or aborting
	overrun = false; // it was told that the server may get ahead of it, or could not be told
	failed = false; // the last put
	#wanted = 0;
	#stored = -1;
	#sent = null; // { version, row } that is not yet answered

	/** The row was loaded: it is what is stored. */
	loaded(parts) {
		this.parts = parts;
		this.#stored = 0;
	}

	/** Something changed that must be stored. */
	want() {
		this.#wanted += 1;
	}

	/** The store has the newest. */
	get current() {
		return this.#stored >= this.#wanted;
	}

	/** The effect to perform now, or null. `row`: makes the row. */
	next(row) {
		if (this.#sent !== null || this.current) return null;
		this.#sent = { version: this.#wanted, row: row() };
		return { type: 'meta', meta: this.#sent.row };
	}

	answered(ok) {
		const { version, row } = this.#sent;
		this.#sent = null;
		this.overrun ||= row.overrun;
		this.failed = !ok;
		if (!ok) return;
		this.#stored = version;
		this.parts = row.parts.at(-1).number;
		if (row.aborting !== null || row.ended) this.noted = true;
	}
}
