// Sends the files of an import, a few at a time. Nothing of a file is held but its name for the browser.
import { stateOf } from './import_list.js';

const PARALLEL = 4; // a browser has six connections to a server, and the page itself asks for things

export class ImportSender {
	#upload;
	#onchange;
	#queue = new Set();
	#active = new Set();
	#hurt = () => {};

	/** `upload(file, { id, bytes })`: the client's; `onchange(row)`; `onstop(row)`: it can't go on by itself. */
	constructor({ upload, onchange, onstop = () => {} }) {
		this.#upload = upload;
		this.#onchange = onchange;
		this.#hurt = onstop;
	}

	/** Rows that the server has acknowledged, and whose file is here. */
	add(rows) {
		for (const row of rows) this.#queue.add(row);
		this.#pump();
	}

	get busy() {
		return this.#active.size > 0 || this.#queue.size > 0;
	}

	get active() {
		return [...this.#active];
	}

	#pump() {
		for (const row of this.#queue) {
			if (this.#active.size >= PARALLEL) return;
			this.#queue.delete(row);
			if (stateOf(row) === 'turn') this.#send(row);
		}
	}

	#send(row) {
		this.#active.add(row);
		const upload = this.#upload(row.file, { id: row.id, bytes: row.fresh ? 0 : null });
		row.fresh = false; // the next time the server is asked where to go on
		row.upload = upload;
		upload.onState((state) => {
			if (row.upload !== upload) return;
			row.sent = state;
			this.#onchange(row);
			if (!state.done || !this.#active.delete(row)) return;
			if (state.link === 'saved') row.file = null;
			else if (state.link === 'stopped') this.#hurt(row);
			this.#pump();
		});
	}

	/** After a problem that is over, or may be. */
	again(row) {
		row.upload = null;
		row.sent = null;
		this.#onchange(row);
		this.add([row]);
	}
}
