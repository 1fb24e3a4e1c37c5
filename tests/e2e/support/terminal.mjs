// A command in a terminal, and what is to be seen there: as much of a terminal as `holdfast` uses.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { atEnd } from './server.mjs';

const PTY = fileURLToPath(new URL('terminal.py', import.meta.url));

/** The width of a character: two for those of East Asia and most pictures. */
const wide = (c) => /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60\u{1f300}-\u{1faff}]/u.test(c) ? 2 : 1;

/** A screen of so many columns; lines that leave it at the top are kept. */
export class Screen {
	lines = [[]];
	row = 0;
	column = 0;
	widest = 0;
	#rest = '';

	constructor(columns, rows) {
		this.columns = columns;
		this.rows = rows;
	}

	get text() {
		return this.lines.map((line) => Array.from(line, (c) => c ?? ' ').join('').replaceAll('\0', '').trimEnd());
	}

	/** What is on the screen now. */
	get visible() {
		return this.text.slice(-this.rows);
	}

	write(text) {
		const all = this.#rest + text;
		let at = 0;
		this.#rest = '';
		while (at < all.length) {
			if (all[at] === '\x1b') {
				const match = /^\x1b\[([\d;?]*)([A-Za-z])/.exec(all.slice(at, at + 20));
				if (!match) {
					if (all.length - at >= 20) throw new Error(`unknown: ${JSON.stringify(all.slice(at, at + 20))}`);
					this.#rest = all.slice(at);
					return;
				}
				this.#control(match[2], Number(match[1] || 1));
				at += match[0].length;
				continue;
			}
			const c = String.fromCodePoint(all.codePointAt(at));
			at += c.length;
			this.#put(c);
		}
	}

	#control(letter, count) {
		if (letter === 'A') this.row = Math.max(this.row - count, this.lines.length - this.rows, 0);
		else if (letter === 'K') this.lines[this.row].length = Math.min(this.lines[this.row].length, this.column);
		else if (letter === 'J') {
			this.lines.length = this.row + 1;
			this.lines[this.row].length = Math.min(this.lines[this.row].length, this.column);
		} else if (letter !== 'm') throw new Error(`unknown: ${letter}`);
	}

	/** Lines that have no room any more wrap. */
	resize(columns, rows) {
		const lines = [];
		this.columns = columns;
		this.rows = rows;
		for (const [i, line] of this.lines.entries()) {
			if (i === this.row) [this.row, this.column] = [lines.length + Math.floor(Math.max(this.column - 1, 0) / columns), this.column - Math.floor(Math.max(this.column - 1, 0) / columns) * columns];
			for (let at = 0; at === 0 || at < line.length; at += columns) lines.push(line.slice(at, at + columns));
		}
		this.lines = lines;
	}

	#down() {
		this.row += 1;
		if (this.row === this.lines.length) this.lines.push([]);
	}

	#put(c) {
		if (c === '\r') this.column = 0;
		else if (c === '\n') this.#down();
		else {
			const width = wide(c);
			if (this.column + width > this.columns) { // wraps
				this.column = 0;
				this.#down();
			}
			this.lines[this.row][this.column] = c;
			if (width === 2) this.lines[this.row][this.column + 1] = '\0';
			this.column += width;
			this.widest = Math.max(this.widest, this.column);
		}
	}
}

export class Terminal {
	raw = '';

	constructor(t, columns, rows, command, env = {}) {
		this.screen = new Screen(columns, rows);
		this.child = spawn('python3', [PTY, columns, rows, ...command], { stdio: ['pipe', 'pipe', 'inherit'],
			env: { ...process.env, TERM: 'xterm-256color', LC_ALL: 'C.UTF-8', NO_COLOR: '', ...env } });
		this.child.stdin.on('error', () => {});
		this.child.stdout.setEncoding('utf8');
		this.child.stdout.on('data', (text) => {
			this.raw += text;
			this.screen.write(text);
		});
		this.exited = new Promise((resolve) => this.child.on('close', resolve));
		atEnd(t, () => this.child.kill('SIGKILL'));
	}

	resize(columns, rows) {
		this.screen.resize(columns, rows);
		this.child.stdin.write(`${columns} ${rows}\n`);
	}
}
