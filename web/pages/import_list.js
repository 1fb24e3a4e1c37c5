// What an import has, without a page: files and addresses that were given here, and what the server says of them, become one list. An item's key
// tells it again: the same file dropped another time, or on another day, is the same item.
import { hasOriginal, fetchFailed } from './takes.js';

const NAME_CHARS = 200; // what the server keeps of a name
const KEY_BYTES = 150; // of the name in a key: with figures and marks it stays below the server's 200
const URL_CHARS = 2000;

/**
 * adding     not acknowledged by the server yet
 * turn       its file is here and waits for its turn
 * uploading  it is being sent
 * missing    the server waits for the file, and this page does not have it
 * fetching   the server gets it from its address
 * queued, processing   all of it is there and is being finished
 * ready      can be played
 * failed, dropped   as the server says
 * refused    the server does not take it
 * stopped    it can't be sent from here
 */
export const GROUPS = {
	adding: 'working', turn: 'working', uploading: 'working', fetching: 'working', queued: 'working', processing: 'working',
	missing: 'missing', ready: 'ready', failed: 'failed', dropped: 'failed', refused: 'failed', stopped: 'failed',
};

const PHASES = { queued: 'queued', processing: 'processing', generating_thumbnail: 'processing', complete: 'ready', error: 'failed', aborted: 'dropped', deleted: 'dropped' };

const bytesIn = (text) => new TextEncoder().encode(text).byteLength;

/** Two times 32 bits of FNV-1a: tells apart what a person would import at once; it is no secret. */
function hashed(text) {
	const [a, b] = [0x811c9dc5, 0x01000193].map((seed) => {
		let hash = seed;
		for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
		return hash;
	});
	return a.toString(16).padStart(8, '0') + b.toString(16).padStart(8, '0');
}

/** Its end, which is what tells names apart. */
function shortened(text) {
	const chars = [...text];
	while (bytesIn(chars.join('')) > KEY_BYTES) chars.splice(0, Math.max(1, Math.ceil((bytesIn(chars.join('')) - KEY_BYTES) / 4)));
	return chars.join('');
}

const nameIn = (path) => path.slice(path.lastIndexOf('/') + 1);
const keyOfFile = ({ name, size, lastModified }) => `f:${size}:${lastModified}:${shortened(name)}`;

export function keyOfUrl(href) {
	const key = `u:${href}`;
	return bytesIn(key) <= KEY_BYTES + 40 ? key : `u:${hashed(href)}:${shortened(href)}`;
}

/** A folder dropped once and its file alone another time is still the same file. */
const samePath = (a, b) => a === b || a.endsWith(`/${b}`) || b.endsWith(`/${a}`);

const extOf = (name) => /\.([A-Za-z0-9]{1,16})$/.exec(name)?.[1].toLowerCase() ?? 'bin';

/** The last part of an address, as a name for people. */
function nameOfUrl(url) {
	const last = nameIn(url.pathname);
	let name = last;
	try {
		name = decodeURIComponent(last);
	} catch { /* it is a name all the same */ }
	return (name || url.host).slice(-NAME_CHARS);
}

export function parsed(text) {
	try {
		return new URL(text);
	} catch {
		return null;
	}
}

/** { urls: [{ url, name }], bad: [{ line, text, why }] } of one address a line; `why`: partial, scheme, broken, long. */
export function readUrls(text) {
	const urls = [];
	const bad = [];
	text.split(/\r?\n/).forEach((raw, i) => {
		const line = raw.trim();
		const refuse = (why) => bad.push({ line: i + 1, text: line, why });
		if (line === '') return;
		const url = parsed(line);
		if (line.length > URL_CHARS) refuse('long');
		else if (!/^[a-z][a-z0-9+.-]*:/i.test(line)) refuse('partial');
		else if (!/^https?:\/\//i.test(line)) refuse('scheme');
		else if (/\s/.test(line) || url === null) refuse('broken');
		else {
			url.hash = '';
			urls.push({ url: url.href, name: nameOfUrl(url) });
		}
	});
	return { urls, bad };
}

export class ImportList {
	#rows = new Map(); // key → row
	#paths = new Map(); // key → the path under which it came here

	/** In the order in which they were given. */
	get rows() {
		return [...this.#rows.values()];
	}

	get size() {
		return this.#rows.size;
	}

	get(key) {
		return this.#rows.get(key);
	}

	#put(key, fields) {
		const row = { key, name: '', url: null, size: null, file: null, id: null, fresh: false, status: null, recording: null, refusal: null, upload: null, sent: null, ...fields };
		this.#rows.set(key, row);
		return row;
	}

	/** The key of a file: a second one of the same name, size and date is another file if it lies elsewhere. */
	#keyOf(file, path) {
		const key = keyOfFile(file);
		const known = this.#rows.get(key);
		if (!known || samePath(this.#paths.get(key) ?? known.name, path.slice(-NAME_CHARS))) return key;
		return `f:${file.size}:${file.lastModified}:${hashed(path)}`;
	}

	/**
	 * [{ file, path }] → { items: for the batch, rows: whose file is here now and was not, known: how many were there already, empty: names }.
	 */
	addFiles(files) {
		const added = { items: [], rows: [], known: 0, empty: [] };
		for (const { file, path = file.name } of files) {
			if (file.size === 0) {
				added.empty.push(path);
				continue;
			}
			const key = this.#keyOf(file, path);
			const row = this.#rows.get(key);
			if (row) {
				if (this.#has(row, file)) added.rows.push(row);
				else added.known += 1;
			} else {
				const name = path.slice(-NAME_CHARS);
				this.#paths.set(key, name);
				added.items.push({ key, name, mime: file.type || 'application/octet-stream', ext: extOf(file.name), bytes: file.size });
				added.rows.push(this.#put(key, { name, size: file.size, file }));
			}
		}
		return added;
	}

	/** True: the server waits for it, and it was not here (or could not be read any more). */
	#has(row, file) {
		const state = stateOf(row);
		if (state !== 'missing' && state !== 'stopped') return false;
		row.file = file;
		row.size = file.size;
		row.upload = null;
		row.sent = null;
		return true;
	}

	/** → { items, rows, known } of what readUrls gave. */
	addUrls(urls) {
		const added = { items: [], rows: [], known: 0 };
		for (const { url, name } of urls) {
			const key = keyOfUrl(url);
			if (this.#rows.has(key)) {
				added.known += 1;
				continue;
			}
			added.items.push({ key, name, sourceUrl: url });
			added.rows.push(this.#put(key, { name, url }));
		}
		return added;
	}

	/** What the server said to a slice; returns the rows. */
	acked(acks) {
		const rows = [];
		for (const { key, id, status, isNew, error } of acks) {
			const row = this.#rows.get(key);
			if (!row) continue;
			Object.assign(row, { id: id ?? row.id, status: status ?? row.status, fresh: isNew === true, refusal: error ?? null });
			rows.push(row);
		}
		return rows;
	}

	/** A recording's object; returns its row. */
	recording(one) {
		if (typeof one.key !== 'string') return null;
		const url = one.fetch ? one.sourceUrl ?? '' : null;
		const row = this.#rows.get(one.key) ?? this.#put(one.key, { name: one.name ?? one.key, url });
		Object.assign(row, { id: one.id, status: one.phase, recording: one, refusal: null, name: one.name ?? row.name });
		if (row.url === null) row.size = one.upload?.length ?? (one.phase === 'uploading' ? row.size : one.bytes);
		return row;
	}

	/**
	 * The server's list, the newest first. Items of a visit before stand before what was given since, the oldest first. `heard`: keys of which the
	 * link told while the list was read, and that is newer.
	 */
	loaded(recordings, heard = new Set()) {
		const given = new Set([...this.#rows.values()].filter(({ file, recording }) => file !== null || recording === null).map(({ key }) => key));
		for (const one of [...recordings].reverse()) if (!heard.has(one.key) || !this.#rows.has(one.key)) this.recording(one);
		const all = [...this.#rows];
		this.#rows = new Map([...all.filter(([key]) => !given.has(key)), ...all.filter(([key]) => given.has(key))]);
	}

	/** { states: { ready: n, … }, groups: { working, missing, failed, ready }, items, files: { bytes, safe }, arrived: of those under way } */
	totals() {
		const states = {};
		const groups = { working: 0, missing: 0, failed: 0, ready: 0 };
		const files = { bytes: 0, safe: 0 };
		let arrived = 0;
		for (const row of this.#rows.values()) {
			const state = stateOf(row);
			states[state] = (states[state] ?? 0) + 1;
			groups[GROUPS[state]] += 1;
			if (state === 'uploading' || state === 'turn') arrived += row.size ? Math.min(1, safeBytes(row) / row.size) : 0;
			else if (state === 'queued' || state === 'processing') arrived += 1;
			if (row.url !== null || state === 'refused' || state === 'dropped') continue;
			files.bytes += row.size ?? 0;
			files.safe += Math.min(safeBytes(row), row.size ?? 0);
		}
		return { states, groups, items: this.#rows.size, files, arrived };
	}

	/** Rows of a group; of all without one. */
	of(group) {
		return group === null ? this.rows : this.rows.filter((row) => GROUPS[stateOf(row)] === group);
	}
}

export function stateOf(row) {
	if (row.refusal) return 'refused';
	const phase = row.recording?.phase ?? row.status;
	if (phase === null) return 'adding';
	if (phase !== 'uploading') return PHASES[phase] ?? 'queued';
	if (row.url !== null) return 'fetching';
	if (row.sent?.link === 'saved') return 'queued'; // the server’s word for it is on its way
	if (row.sent?.link === 'stopped') return 'stopped';
	if (row.file === null) return 'missing';
	return row.sent === null ? 'turn' : 'uploading';
}

/** What of it is on the server’s disk. */
export const safeBytes = (row) => (PHASES[row.recording?.phase ?? row.status] ? row.size ?? row.recording?.bytes ?? 0
	: Math.max(row.recording?.bytes ?? 0, row.sent?.bytes ?? 0));

/** Whether trying again makes sense: fetched or finished again by the server, or sent again from here. */
export function canRetry(row) {
	const state = stateOf(row);
	if (state === 'failed') return row.recording !== null && (hasOriginal(row.recording) || fetchFailed(row.recording));
	return state === 'stopped' && row.sent.problem?.resumable === true && row.file !== null;
}
