// The worker behind OpfsStore: takes on the device's disk in the origin private file system, through sync access handles,
// which Safari has only in workers.
//
// A take is a folder:
//   row              two slots that are written in turn, in place: the newest whole one counts. Made at full size at once, so that
//                    the end of a take can still be noted when the device has no room
//   pN-FROM.seg      bytes of part N from local offset FROM: records of length, CRC-32 and payload, one an append. A record that
//   pN-FROM-g.seg    the power cut tore is none. -g: begins behind a gap, what is before it is not needed any more
// The last segment of a part stays even when all of it may go, so that the part's length is known; it is at most SEGMENT_BYTES
// (or one append) long. An append is answered after flush().

const SEGMENT_BYTES = 1024 * 1024;
const SLOT_BYTES = 64 * 1024; // 400 parts that wait to be sent
const HEAD = 8;
const OPEN_TRIES = 50; // a tab that died may hold its handles for a moment longer
const OPEN_WAIT_MS = 40;

const CRC = new Uint32Array(256).map((_, n) => {
	for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
	return n;
});

function crc32(chunks) {
	let crc = 0xffffffff;
	for (const bytes of chunks) for (let i = 0; i < bytes.length; i++) crc = CRC[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
	return (crc ^ 0xffffffff) >>> 0;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A sync access handle; waits for one that another tab is about to let go. */
async function access(dir, name, create = false) {
	const file = await dir.getFileHandle(name, { create });
	for (let tries = 1; ; tries++) {
		try {
			return await file.createSyncAccessHandle();
		} catch (error) {
			if (error.name !== 'NoModificationAllowedError' && error.name !== 'InvalidStateError') throw error;
			if (tries === OPEN_TRIES) throw error;
			await pause(OPEN_WAIT_MS);
		}
	}
}

/** All of it or an exception: a short write is a full device. */
function writeAll(handle, bytes, at) {
	const done = handle.write(bytes, { at });
	if (done !== bytes.byteLength) throw new DOMException('The device has no more room.', 'QuotaExceededError');
}

/** A file's bytes without a handle of its own: also of a take that another tab works on, whose files change meanwhile. */
async function contents(dir, name) {
	for (let tries = 1; ; tries++) {
		try {
			const file = await (await dir.getFileHandle(name)).getFile();
			return new Uint8Array(await file.arrayBuffer());
		} catch (error) {
			if (error.name !== 'NotReadableError' || tries === OPEN_TRIES) throw error;
			await pause(OPEN_WAIT_MS);
		}
	}
}

// Rows

function slot(bytes, i) {
	const view = new DataView(bytes.buffer, bytes.byteOffset + i * SLOT_BYTES, SLOT_BYTES);
	const length = view.getUint32(0);
	if (length === 0 || length > SLOT_BYTES - 12) return null;
	const body = new Uint8Array(view.buffer, view.byteOffset + 8, length + 4);
	if (view.getUint32(4) !== crc32([body])) return null;
	return { turn: view.getUint32(8), text: new TextDecoder().decode(body.subarray(4)) };
}

/** The newest whole row: { turn, row }; turn 0 and null if there is none. */
function readRow(bytes) {
	if (bytes.length < 2 * SLOT_BYTES) return { turn: 0, row: null };
	const best = [slot(bytes, 0), slot(bytes, 1)].filter(Boolean).sort((a, b) => b.turn - a.turn)[0];
	return best ? { turn: best.turn, row: JSON.parse(best.text) } : { turn: 0, row: null };
}

// Segments

/** The records of a segment: [{ at, pos, length }], `at` local to the part; ends before `limit` and at the first torn one. */
function readRecords(bytes, from, limit) {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const records = [];
	let at = from;
	for (let pos = 0; pos + HEAD <= bytes.length && at < limit;) {
		const length = view.getUint32(pos);
		if (length === 0 || pos + HEAD + length > bytes.length) break;
		if (view.getUint32(pos + 4) !== crc32([bytes.subarray(pos + HEAD, pos + HEAD + length)])) break;
		records.push({ at, pos: pos + HEAD, length });
		at += length;
		pos += HEAD + length;
	}
	return records;
}

/** Names of a folder's segments: Map of part → [{ name, from, gap, to, records }], ordered; `to` and records unknown yet. */
async function segmentsOf(dir) {
	const parts = new Map();
	for await (const name of dir.keys()) {
		const match = /^p(\d+)-(\d+)(-g)?\.seg$/.exec(name);
		if (!match) continue;
		const part = Number(match[1]);
		if (!parts.has(part)) parts.set(part, []);
		parts.get(part).push({ name, from: Number(match[2]), gap: match[3] !== undefined, to: null, records: null });
	}
	for (const [part, segments] of parts) {
		segments.sort((a, b) => a.from - b.from);
		const first = segments.findLastIndex ? segments.findLastIndex(({ gap }) => gap) : segments.map(({ gap }) => gap).lastIndexOf(true);
		parts.set(part, segments.slice(Math.max(0, first)));
	}
	return parts;
}

async function fill(dir, segments, i) {
	const segment = segments[i];
	if (segment.records) return;
	segment.records = readRecords(await contents(dir, segment.name), segment.from, segments[i + 1]?.from ?? Infinity);
	segment.to = segment.records.reduce((to, { length }) => to + length, segment.from);
}

async function heldOf(dir) {
	const held = {};
	const parts = await segmentsOf(dir);
	for (const [part, segments] of parts) {
		await fill(dir, segments, segments.length - 1);
		held[part] = { from: segments[0].from, to: segments.at(-1).to };
	}
	return { held, parts };
}

// One take that this tab works on

class Folder {
	#root;
	#name;
	#dir = null;
	#row = null; // { handle, turn }
	#parts = new Map();
	#open = null; // { part, segment, handle, size }: the segment that is written to
	#reading = null; // { name, handle }

	constructor(root, name) {
		this.#root = root;
		this.#name = name;
	}

	async #folder(create = false) {
		if (this.#dir) return this.#dir;
		this.#dir = await this.#root.getDirectoryHandle(this.#name, { create });
		this.#parts = (await heldOf(this.#dir)).parts;
		return this.#dir;
	}

	async meta({ meta }) {
		const dir = await this.#folder(true);
		if (!this.#row) {
			const handle = await access(dir, 'row', true);
			this.#row = { handle, turn: 0 };
			if (handle.getSize() < 2 * SLOT_BYTES) {
				writeAll(handle, new Uint8Array(2 * SLOT_BYTES), 0);
			} else {
				const bytes = new Uint8Array(2 * SLOT_BYTES);
				handle.read(bytes, { at: 0 });
				this.#row.turn = readRow(bytes).turn;
			}
		}
		const text = new TextEncoder().encode(JSON.stringify(meta));
		if (text.length > SLOT_BYTES - 12) throw new RangeError('The row of the take is too long.');
		const bytes = new Uint8Array(12 + text.length);
		const view = new DataView(bytes.buffer);
		const turn = this.#row.turn + 1;
		view.setUint32(0, text.length);
		view.setUint32(8, turn);
		bytes.set(text, 12);
		view.setUint32(4, crc32([bytes.subarray(8)]));
		writeAll(this.#row.handle, bytes, (turn % 2) * SLOT_BYTES);
		this.#row.handle.flush();
		this.#row.turn = turn;
		return { type: 'metaDone', ok: true };
	}

	/** The segment to append to: the one that is open, or a new one. */
	async #segmentFor(part, at) {
		const open = this.#open;
		if (open && open.part === part && open.segment.to === at && open.size < SEGMENT_BYTES) return open;
		this.#shut();
		const dir = await this.#folder();
		const segments = this.#parts.get(part) ?? [];
		const end = segments.at(-1)?.to ?? null;
		const gap = end !== null && end !== at;
		const segment = { name: `p${part}-${at}${gap ? '-g' : ''}.seg`, from: at, gap, to: at, records: [] };
		const handle = await access(dir, segment.name, true);
		handle.truncate(0); // a torn one of the same name
		if (segments.at(-1)?.name === segment.name) segments.pop();
		if (gap) for (const old of segments.splice(0)) await dir.removeEntry(old.name);
		segments.push(segment);
		this.#parts.set(part, segments);
		this.#open = { part, segment, handle, size: 0 };
		return this.#open;
	}

	async append({ part, at, to, chunks }) {
		const open = await this.#segmentFor(part, at);
		const head = new DataView(new ArrayBuffer(HEAD));
		head.setUint32(0, to - at);
		head.setUint32(4, crc32(chunks));
		let pos = open.size;
		try {
			writeAll(open.handle, new Uint8Array(head.buffer), pos);
			pos += HEAD;
			for (const chunk of chunks) {
				writeAll(open.handle, chunk, pos);
				pos += chunk.byteLength;
			}
			open.handle.flush();
		} catch (error) {
			try {
				open.handle.truncate(open.size);
			} catch {
				this.#shut(); // what is torn is not read; the next append begins another segment
			}
			throw error;
		}
		open.segment.records.push({ at, pos: open.size + HEAD, length: to - at });
		open.segment.to = to;
		open.size = pos;
		return { type: 'appended', part, to };
	}

	/** The segments of a part that hold some of [from, to), with their records. */
	async #holding(part, from, to) {
		const dir = await this.#folder();
		const segments = this.#parts.get(part) ?? [];
		const found = [];
		for (let i = 0; i < segments.length; i++) {
			const end = segments[i + 1]?.from ?? segments[i].to;
			if (segments[i].from >= to || end <= from) continue;
			await fill(dir, segments, i);
			found.push(segments[i]);
		}
		return found;
	}

	async #handleOf(segment) {
		if (this.#open?.segment === segment) return this.#open.handle;
		if (this.#reading?.name === segment.name) return this.#reading.handle;
		this.#reading?.handle.close();
		this.#reading = null;
		const handle = await access(await this.#folder(), segment.name);
		this.#reading = { name: segment.name, handle };
		return handle;
	}

	async read({ part, at, length }) {
		const bytes = new Uint8Array(length);
		let done = 0;
		for (const segment of await this.#holding(part, at, at + length)) {
			const handle = await this.#handleOf(segment);
			for (const record of segment.records) {
				const skip = at + done - record.at;
				if (skip < 0 || skip >= record.length || done === length) continue;
				const here = bytes.subarray(done, done + Math.min(length - done, record.length - skip));
				if (handle.read(here, { at: record.pos + skip }) !== here.length) throw new DOMException('A file is too short.', 'NotReadableError');
				done += here.length;
			}
		}
		if (done !== length) throw new DOMException(`Bytes ${at + done} of part ${part} are not there.`, 'NotFoundError');
		return { type: 'read', part, at, bytes };
	}

	async drop({ part, to, hard }) {
		const dir = await this.#folder();
		const segments = this.#parts.get(part) ?? [];
		const last = segments.at(-1);
		if (hard && last && last.to <= to && last.from < last.to) {
			this.#shut();
			await this.#segmentFor(part, last.to); // an empty one says where the part has got to
		}
		while (segments.length > 1 && segments[1].from <= to) {
			const [old] = segments.splice(0, 1);
			await this.#remove(dir, old.name);
		}
		return { type: 'dropped', part, from: segments[0]?.from ?? 0, to: segments.at(-1)?.to ?? 0 };
	}

	async #remove(dir, name) {
		if (this.#reading?.name === name) {
			this.#reading.handle.close();
			this.#reading = null;
		}
		if (this.#open?.segment.name === name) this.#shut();
		await dir.removeEntry(name);
	}

	async dropPart({ part }) {
		const dir = await this.#folder();
		for (const { name } of this.#parts.get(part) ?? []) await this.#remove(dir, name);
		this.#parts.delete(part);
		return null;
	}

	async dropAll() {
		for (const part of [...this.#parts.keys()]) await this.dropPart({ part });
		return null;
	}

	async remove() {
		this.close();
		await this.#root.removeEntry(this.#name, { recursive: true }).catch((error) => {
			if (error.name !== 'NotFoundError') throw error;
		});
		return null;
	}

	/** Blobs of [from, to): slices of the files; of the one that is being written, its bytes: a file that changes can't be read. */
	async blobs({ part, from, to }) {
		const dir = await this.#folder();
		const blobs = [];
		for (const segment of await this.#holding(part, from, to)) {
			const written = this.#open?.segment === segment;
			const file = written ? null : await (await dir.getFileHandle(segment.name)).getFile();
			for (const { at, pos, length } of segment.records) {
				const begin = Math.max(from - at, 0);
				const end = Math.min(to - at, length);
				if (begin >= end) continue;
				if (file) {
					blobs.push(file.slice(pos + begin, pos + end));
				} else {
					const bytes = new Uint8Array(end - begin);
					this.#open.handle.read(bytes, { at: pos + begin });
					blobs.push(new Blob([bytes]));
				}
			}
		}
		return blobs;
	}

	#shut() {
		this.#open?.handle.close();
		this.#open = null;
	}

	close() {
		this.#shut();
		this.#reading?.handle.close();
		this.#reading = null;
		this.#row?.handle.close();
		this.#row = null;
		this.#dir = null;
	}
}

// Messages

let root = null;
const folders = new Map();

/** A name for a folder: any sessionId will do. */
function folderName(id) {
	const name = `t-${encodeURIComponent(id).replace(/[*.]/g, (c) => `%${c.charCodeAt(0).toString(16)}`).replaceAll('%', '=')}`;
	return name.length <= 200 ? name : `${name.slice(0, 180)}-${crc32([new TextEncoder().encode(id)])}`;
}

async function load(name) {
	const dir = await root.getDirectoryHandle(name);
	const { row } = readRow(await contents(dir, 'row'));
	return row === null ? null : { row, held: (await heldOf(dir)).held };
}

const calls = {
	async open(_, { storeName }) {
		root = await (await navigator.storage.getDirectory()).getDirectoryHandle(storeName, { create: true });
		const probe = await access(root, 'probe', true); // throws where there are no sync access handles
		probe.close();
	},
	async list() {
		const takes = [];
		for await (const name of root.keys()) {
			if (!name.startsWith('t-')) continue;
			const take = await load(name).catch(() => null); // being removed, or never begun
			if (take) takes.push(take);
		}
		return takes;
	},
	load: (id) => load(folderName(id)).catch((error) => {
		if (error.name === 'NotFoundError') return null;
		throw error;
	}),
	close(id) {
		folders.get(id)?.close();
		folders.delete(id);
	},
};

async function perform({ call, id, op }) {
	if (call in calls) return calls[call](id, op);
	if (!folders.has(id)) folders.set(id, new Folder(root, folderName(id)));
	const result = await folders.get(id)[call](op);
	if (call === 'remove') folders.delete(id);
	return result;
}

let queue = Promise.resolve();
onmessage = ({ data }) => {
	queue = queue.then(async () => {
		try {
			postMessage({ n: data.n, result: await perform(data) });
		} catch (error) {
			postMessage({ n: data.n, error: { name: error.name, message: error.message } });
		}
	});
};
