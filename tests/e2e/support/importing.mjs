// Files for the import page, and the page in a test's hands.
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { visit } from './desk.mjs';
import { tempDir } from './server.mjs';
import { random } from './wire.mjs';

/** Files on the disk with contents of their own: [{ name, path, data }]. A browser that is handed their paths reads them itself. */
export function filesOnDisk(t, n, { least = 20_000, most = 200_000, seed = 1, dir = tempDir(t), name = (i) => `take-${String(i).padStart(4, '0')}.webm` } = {}) {
	const chance = random(seed);
	return Array.from({ length: n }, (_, i) => {
		const data = Buffer.alloc(least + Math.floor(chance() * (most - least)));
		for (let at = 0; at + 4 <= data.length; at += 4) data.writeUInt32LE(Math.floor(chance() * 2 ** 32), at);
		const one = { name: name(i), path: join(dir, name(i)), data };
		mkdirSync(dirname(one.path), { recursive: true });
		writeFileSync(one.path, data);
		utimesSync(one.path, 1_700_000_000 + i, 1_700_000_000 + i); // as files have that were made before today
		return one;
	});
}

export class ImportPage {
	constructor(seen) {
		this.seen = seen;
		this.page = seen.page;
	}

	give(files) {
		return this.page.locator('#files').setInputFiles(files.map(({ path }) => path));
	}

	async fetch(urls) {
		await this.page.locator('#urls').fill(urls.join('\n'));
		await this.page.getByRole('button', { name: 'Fetch them' }).click();
	}

	counts(pattern, timeout = 60_000) {
		const { source, flags } = pattern;
		return this.page.waitForFunction(([text, how]) => new RegExp(text, how).test(`${document.getElementById('count').textContent} ${document.getElementById('parts').textContent}`),
			[source, flags], { timeout });
	}

	get batchId() {
		return new URL(this.page.url()).searchParams.get('batch');
	}

	async reload() {
		await this.page.reload();
	}
}

/** `at`: what has a url. */
export async function openImport(t, browser, at, { path = '/import', ...options } = {}) {
	const seen = await visit(t, browser, `${at.url}${path}`, options);
	seen.page.removeAllListeners('dialog');
	seen.page.on('dialog', (dialog) => dialog.accept()); // leaving while files are sent is asked about
	await seen.page.locator('#filters button').first().waitFor({ state: 'attached' }); // it listens
	return new ImportPage(seen);
}
