// The user's own file as the store of a take: it is read again instead of copied. Its row, and the handle or File that a reload
// needs, stand in IndexedDB if that works; otherwise it can be sent as long as the page lives.

const sameAs = (file, { size, lastModified }) => file.size === size && file.lastModified === lastModified;

/** What names a file among those that were begun: { name, size, lastModified }. */
export const fingerprint = ({ name, size, lastModified }) => ({ name, size, lastModified });

export const sameFile = (a, b) => a.name === b.name && sameAs(a, b);

/** The File of a stored take, or an error whose `code` says why not: file_permission, file_changed, file_unreadable. */
export async function reopen(idb, row) {
	const fail = (code, cause) => Object.assign(new Error(cause?.message ?? code), { code });
	const kept = await idb.getFile(row.start.sessionId);
	if (!kept) throw fail('file_unreadable');
	let file = kept;
	if (typeof kept.getFile === 'function') { // a handle: the user may have to allow it again, in a click
		if (await kept.queryPermission?.({ mode: 'read' }) === 'prompt' && await kept.requestPermission({ mode: 'read' }).catch(() => 'denied') !== 'granted')
			throw fail('file_permission');
		file = await kept.getFile().catch((error) => {
			throw fail(error.name === 'NotAllowedError' ? 'file_permission' : 'file_unreadable', error);
		});
	}
	if (!sameAs(file, row.file)) throw fail('file_changed');
	return file;
}

export class FileStore {
	kind = 'file';
	#file;
	#idb;

	constructor(file, idb) {
		this.#file = file;
		this.#idb = idb;
	}

	get held() {
		return { 0: { from: 0, to: this.#file.size } };
	}

	async load(id) {
		const stored = await this.#idb?.load(id);
		return stored ? { row: stored.row, held: this.held } : null;
	}

	async perform(id, op) {
		switch (op.type) {
		case 'meta':
			// Without IndexedDB nothing outlives the page, and nothing more could be done about it.
			return this.#idb ? this.#idb.perform(id, op).catch(() => ({ type: 'metaDone', ok: true })) : { type: 'metaDone', ok: true };
		case 'read':
			return this.#read(op);
		case 'drop':
			return { type: 'dropped', part: op.part, from: 0, to: this.#file.size }; // all of it is still here
		case 'remove':
			await this.#idb?.perform(id, op);
			return null;
		default:
			return null;
		}
	}

	async #read({ part, at, length }) {
		try {
			return { type: 'read', part, at, bytes: new Uint8Array(await this.#file.slice(at, at + length).arrayBuffer()) };
		} catch (error) {
			// The browser's File is of the moment when it was chosen: a file that was changed since can't be read through it.
			return { type: 'readFailed', code: error.name === 'NotReadableError' ? 'file_changed' : 'file_unreadable', message: error.message };
		}
	}

	async blobs(id, part, from, to) {
		return [this.#file.slice(from, to)];
	}

	async release(id) {
		await this.#idb?.release(id);
	}
}
