// @holdfast/client/node.js: what programs in Node have and pages have not: a folder that takes are kept in, files by their path, and ids of
// uploads that outlive the program.
import { webcrypto } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { openClient as openAny } from './client.js';
import { DirStore } from './store-dir.js';

export * from './index.js';

globalThis.crypto ??= webcrypto; // Node 18 has it under this name only

/** The ids of uploads, in a file. Written as a whole at each change: a handful of lines. */
function uploadsIn(path) {
	const all = new Map();
	try {
		for (const [name, id] of Object.entries(JSON.parse(readFileSync(path, 'utf8')))) all.set(name, id);
	} catch { /* there is none yet, or it is of no use: uploads are begun anew */ }
	const save = () => {
		writeFileSync(`${path}.new`, JSON.stringify(Object.fromEntries(all)));
		renameSync(`${path}.new`, path);
	};
	return {
		getItem: (name) => all.get(name) ?? null,
		setItem(name, id) {
			all.set(name, id);
			save();
		},
		removeItem(name) {
			if (all.delete(name)) save();
		},
	};
}

/** As openClient of index.js; `dir`: where takes are kept until the server has them. Without it they are in memory. */
export async function openClient({ dir = null, ...options } = {}) {
	if (dir === null) return openAny({ stores: ['memory'], ...options });
	const store = await DirStore.open(dir);
	try {
		return await openAny({ ...options, stores: [store], uploads: options.uploads ?? uploadsIn(join(dir, 'uploads.json')) });
	} catch (error) {
		await store.close();
		throw error;
	}
}

/** A file of the disk for upload(): it is read piece by piece. */
export async function openFile(path, { name = basename(path), type = '' } = {}) {
	const before = await stat(path);
	if (!before.isFile()) throw Object.assign(new Error(`${path} is no file.`), { code: 'file_unreadable' });
	return {
		name, type, size: before.size, lastModified: Math.floor(before.mtimeMs), fingerprint: `${resolve(path)}|${before.size}|${before.mtimeMs}`,
		async read(from, to) {
			const file = await open(path, 'r');
			try {
				const now = await file.stat();
				if (now.size !== before.size || now.mtimeMs !== before.mtimeMs) throw Object.assign(new Error(`${path} was changed.`), { code: 'file_changed' });
				const bytes = new Uint8Array(Math.min(to, before.size) - from);
				let at = 0;
				while (at < bytes.byteLength) {
					const { bytesRead } = await file.read(bytes, at, bytes.byteLength - at, from + at);
					if (bytesRead === 0) break;
					at += bytesRead;
				}
				return bytes.subarray(0, at);
			} finally {
				await file.close();
			}
		},
	};
}
