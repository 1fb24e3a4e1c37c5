// A folder as the store of takes, for programs in Node: what write() was given is synced before it counts as kept, and is found again after a
// crash. The face is that of stores.js. One process at a time: a file in the folder says whose it is.
//   ID/row.json       what the machine knows of the take, replaced as a whole
//   ID/PART-FROM      bytes of a part from position FROM on; a few MiB each, so that what the server has can be let go of
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

const SEGMENT_BYTES = 8 * 1024 * 1024;
const SEGMENT = /^(\d+)-(\d+)$/;

const missing = (error) => {
	if (error.code !== 'ENOENT') throw error;
	return null;
};

/** No room: what a page is told as well. */
const translated = (error) => (error.code === 'ENOSPC' || error.code === 'EDQUOT' ? new DOMException(error.message, 'QuotaExceededError') : error);

async function syncFolder(path) {
	const folder = await open(path, 'r');
	try {
		await folder.sync();
	} finally {
		await folder.close();
	}
}

/** The folder is this process's until it ends; one that was killed has left its name, and is not asked any more. */
function own(dir) {
	const path = join(dir, 'owner');
	for (;;) {
		try {
			writeFileSync(path, String(process.pid), { flag: 'wx' });
			return () => rmSync(path, { force: true });
		} catch (error) {
			if (error.code !== 'EEXIST') throw error;
			const pid = Number(readFileSync(path, 'utf8'));
			if (pid > 0 && (pid === process.pid || isAlive(pid))) throw new DOMException(`Process ${pid} uses ${dir}.`, 'InvalidStateError');
			rmSync(path, { force: true });
		}
	}
}

function isAlive(pid) {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		return error.code === 'EPERM';
	}
}

export class DirStore {
	kind = 'directory';
	#dir;
	#disown;
	#takes = new Map(); // id → { path, parts: Map of number → [{ name, from, to }], handles: Map of name → FileHandle }

	static async open(dir) {
		mkdirSync(dir, { recursive: true });
		const store = new DirStore();
		store.#dir = dir;
		store.#disown = own(dir);
		return store;
	}

	async #take(id) {
		const known = this.#takes.get(id);
		if (known) return known;
		const take = { path: join(this.#dir, createHash('sha256').update(id).digest('hex')), parts: new Map(), handles: new Map() };
		for (const name of await readdir(take.path).catch(missing) ?? []) {
			const [, part, from] = SEGMENT.exec(name) ?? [];
			if (part === undefined) continue;
			const { size } = await stat(join(take.path, name));
			this.#segments(take, Number(part)).push({ name, from: Number(from), to: Number(from) + size });
		}
		for (const segments of take.parts.values()) segments.sort((a, b) => a.from - b.from);
		this.#takes.set(id, take);
		return take;
	}

	#segments(take, part) {
		if (!take.parts.has(part)) take.parts.set(part, []);
		return take.parts.get(part);
	}

	#held({ parts }) {
		return Object.fromEntries([...parts].filter(([, segments]) => segments.length > 0).map(([part, segments]) => [part, { from: segments[0].from, to: segments.at(-1).to }]));
	}

	async list() {
		const found = [];
		for (const name of await readdir(this.#dir)) {
			if (!/^[0-9a-f]{64}$/.test(name)) continue;
			const row = await readFile(join(this.#dir, name, 'row.json'), 'utf8').then(JSON.parse).catch(() => null); // never begun, or being removed
			if (row) found.push({ row, held: this.#held(await this.#take(row.start.sessionId)) });
		}
		return found;
	}

	async load(id) {
		const take = await this.#take(id);
		const row = await readFile(join(take.path, 'row.json'), 'utf8').then(JSON.parse, missing);
		return row ? { row, held: this.#held(take) } : null;
	}

	async perform(id, op) {
		const take = await this.#take(id);
		try {
			switch (op.type) {
			case 'meta': return await this.#meta(take, op.meta);
			case 'append': return await this.#append(take, op);
			case 'read': return { type: 'read', part: op.part, at: op.at, bytes: await this.#read(take, op) };
			case 'drop': return await this.#drop(take, op);
			case 'dropPart': await this.#forget(take, op.part); return null;
			default: // dropAll, remove
				for (const part of [...take.parts.keys()]) await this.#forget(take, part);
				if (op.type === 'remove') await rm(take.path, { recursive: true, force: true });
				return null;
			}
		} catch (error) {
			throw translated(error);
		}
	}

	async #meta(take, meta) {
		await mkdir(take.path, { recursive: true });
		const fresh = join(take.path, 'row.new');
		const file = await open(fresh, 'w');
		try {
			await file.writeFile(JSON.stringify(meta));
			await file.sync();
		} finally {
			await file.close();
		}
		await rename(fresh, join(take.path, 'row.json'));
		await syncFolder(take.path);
		return { type: 'metaDone', ok: true };
	}

	async #handle(take, name) {
		if (!take.handles.has(name)) take.handles.set(name, await open(join(take.path, name), 'a+'));
		return take.handles.get(name);
	}

	async #append(take, { part, at, to, chunks }) {
		const segments = this.#segments(take, part);
		if (segments.length > 0 && segments.at(-1).to !== at) await this.#forget(take, part);
		const list = this.#segments(take, part);
		let last = list.at(-1);
		const begins = !last || last.to - last.from >= SEGMENT_BYTES;
		if (begins) {
			await mkdir(take.path, { recursive: true });
			last = { name: `${part}-${at}`, from: at, to: at };
			list.push(last);
		}
		const file = await this.#handle(take, last.name);
		try {
			await file.writev(chunks);
			await file.datasync();
		} catch (error) {
			await file.truncate(last.to - last.from).catch(() => {}); // what is there of it counts for nothing
			throw error;
		}
		if (begins) await syncFolder(take.path);
		last.to = to;
		return { type: 'appended', part, to };
	}

	/** One piece that begins at `at`: at most to the end of its segment. */
	async #read(take, { part, at, length }) {
		const segment = this.#segments(take, part).find(({ from, to }) => at >= from && at < to);
		if (!segment) throw new DOMException(`Bytes ${at} of part ${part} are not there.`, 'NotFoundError');
		const bytes = new Uint8Array(Math.min(length, segment.to - at));
		const { bytesRead } = await (await this.#handle(take, segment.name)).read(bytes, 0, bytes.byteLength, at - segment.from);
		return bytes.subarray(0, bytesRead);
	}

	async #drop(take, { part, to }) {
		const segments = this.#segments(take, part);
		while (segments.length > 0 && segments[0].to <= to) await this.#delete(take, segments.shift());
		return { type: 'dropped', part, from: segments[0]?.from ?? to, to: segments.at(-1)?.to ?? to };
	}

	async #delete(take, { name }) {
		await take.handles.get(name)?.close();
		take.handles.delete(name);
		await rm(join(take.path, name), { force: true });
	}

	async #forget(take, part) {
		const segments = this.#segments(take, part);
		take.parts.delete(part);
		for (const segment of segments) await this.#delete(take, segment);
	}

	async blobs(id, part, from, to) {
		const take = await this.#take(id);
		const blobs = [];
		for (let at = from; at < to;) {
			const bytes = await this.#read(take, { part, at, length: to - at });
			blobs.push(new Blob([bytes]));
			at += bytes.byteLength;
		}
		return blobs;
	}

	async release(id) {
		const take = this.#takes.get(id);
		this.#takes.delete(id);
		for (const file of take?.handles.values() ?? []) await file.close();
	}

	async close() {
		for (const id of [...this.#takes.keys()]) await this.release(id);
		this.#disown();
	}
}
