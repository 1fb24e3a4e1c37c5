// Files and folders out of a drop or a file picker: [{ file, path }], in the order of their paths.

const byPath = (a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
const HIDDEN = /(^|\/)(\.DS_Store|Thumbs\.db|desktop\.ini)$/i; // what systems leave in folders

const later = (call) => new Promise((resolve, reject) => call(resolve, reject));

async function walk(entry, found, failed) {
	const path = entry.fullPath.replace(/^\//, '');
	try {
		if (entry.isFile) {
			found.push({ file: await later((...done) => entry.file(...done)), path });
			return;
		}
		const reader = entry.createReader();
		for (;;) { // a browser gives a hundred at a time
			const entries = await later((...done) => reader.readEntries(...done));
			if (entries.length === 0) return;
			for (const one of entries) await walk(one, found, failed);
		}
	} catch {
		failed.push(path);
	}
}

/** Of a drop event. The entries must be asked for at once: behind the first await there are none any more. → { files, failed: paths } */
export async function droppedFiles({ items, files }) {
	const entries = [...items ?? []].filter(({ kind }) => kind === 'file').map((item) => item.webkitGetAsEntry?.() ?? null);
	const plain = [...files ?? []].map((file) => ({ file, path: file.name }));
	const found = [];
	const failed = [];
	if (entries.length === 0 || entries.includes(null)) found.push(...plain);
	else for (const entry of entries) await walk(entry, found, failed);
	return { files: found.filter(({ path }) => !HIDDEN.test(path)).sort(byPath), failed };
}

/** Of an <input type=file>, of files or of a folder. */
export function chosenFiles(input) {
	const files = [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
	return files.filter(({ path }) => !HIDDEN.test(path)).sort(byPath);
}

/** The first address in what was dropped instead of files: a link from another window. */
export const droppedUrls = (data) => (data.getData('text/uri-list') || data.getData('text/plain') || '').split(/\r?\n/).filter((line) => !line.startsWith('#')).join('\n');
