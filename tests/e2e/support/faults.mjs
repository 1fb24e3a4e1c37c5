// The faulty disk: builds faults.c once and steers it by its file.
import { execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tempDir } from './server.mjs';

const SOURCE = fileURLToPath(new URL('faults.c', import.meta.url));

/** { env, set }: start the server with `env`; set('slow 200'), set('hold'), set('fail'), set('skip'), set('') take effect at once. */
export function faultyDisk(t) {
	const dir = tempDir(t);
	const library = join(dir, 'faults.so');
	execFileSync('cc', ['-shared', '-fPIC', '-O1', '-D_GNU_SOURCE', '-o', library, SOURCE, '-ldl']);
	const file = join(dir, 'fault');
	const set = (text) => {
		writeFileSync(`${file}.new`, text);
		renameSync(`${file}.new`, file);
	};
	const sanitizer = [process.env.ASAN_OPTIONS, 'verify_asan_link_order=0'].filter(Boolean).join(':');
	return { env: { LD_PRELOAD: library, HOLDFAST_FAULTS: file, ASAN_OPTIONS: sanitizer }, set };
}
