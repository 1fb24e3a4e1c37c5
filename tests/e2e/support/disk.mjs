// A disk of the test's own: ext4 in a file on a loop device, whose power can be cut. Needs root and loop devices.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { atEnd, tempDir } from './server.mjs';

// EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: what was not synced is gone, as when the power fails.
const CUTTER = `
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print("ready", flush=True)
sys.stdin.readline()
fcntl.ioctl(fd, 0x8004587d, struct.pack("I", 2))
print("cut", flush=True)
`;

export class Disk {
	constructor(t, megabytes) {
		const dir = tempDir(t);
		this.image = join(dir, 'disk.img');
		this.path = join(dir, 'mnt');
		mkdirSync(this.path);
		execFileSync('truncate', ['-s', `${megabytes}M`, this.image]);
		execFileSync('mkfs.ext4', ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', this.image]);
		atEnd(t, () => this.unmount());
		this.mount();
	}

	mount() {
		execFileSync('mount', ['-o', 'loop', this.image, this.path], { stdio: 'pipe' });
		this.mounted = true;
	}

	unmount() {
		if (!this.mounted) return;
		execFileSync('umount', [this.path], { stdio: 'pipe' });
		this.mounted = false;
	}

	/** Gets ready to cut; the function it returns cuts at once and resolves when it is done. */
	async cutter() {
		const child = spawn('python3', ['-c', CUTTER, this.path], { stdio: ['pipe', 'pipe', 'inherit'] });
		const line = () => new Promise((resolve, reject) => {
			child.stdout.once('data', (data) => resolve(String(data)));
			child.once('close', (code) => reject(new Error(`the cutter ended with ${code}`)));
		});
		await line();
		return async () => {
			const cut = line();
			const ended = new Promise((resolve) => child.once('exit', resolve));
			child.stdin.write('\n');
			await cut;
			await ended;
		};
	}
}

/** A disk, or null after the test was marked as skipped with the reason. */
export function diskOrSkip(t, megabytes) {
	if (process.getuid() !== 0) {
		t.skip('mounting a disk of its own needs root');
		return null;
	}
	try {
		return new Disk(t, megabytes);
	} catch (error) {
		t.skip(`no loop devices or ext4 here: ${String(error.stderr ?? error.message).trim()}`);
		return null;
	}
}
