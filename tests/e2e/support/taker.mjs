// A take sent by the pages' own client (web/client/) from Node, kept in memory, and what is asked of it in the end.
import assert from 'node:assert/strict';
import { openClient } from '../../../web/client/index.js';
import { atEnd, within } from './server.mjs';
import { assertOriginal, recording, sessionId, sha256, WebSocket } from './wire.mjs';

export class Taker {
	bytes = [];
	#watchers = new Set();
	#take = null;
	#begun;

	/** `at`: anything with a `url`: the server or a proxy in front of it. */
	constructor(t, at, start = {}) {
		this.#begun = this.#begin(t, at, { sessionId: sessionId(), mime: 'video/webm', ext: 'webm', ...start });
		this.#begun.catch(() => {}); // who waits for something hears of it
	}

	async #begin(t, at, start) {
		const client = await openClient({ server: at.url, stores: ['memory'], storeName: start.sessionId, WebSocket });
		atEnd(t, () => {
			this.stop();
			return client.close();
		});
		this.#take = await client.begin(start);
		this.#take.onState(() => {
			for (const watcher of this.#watchers) watcher();
		});
	}

	/** What is known of it: link, reason, message, id, saved, reconnects; recorded and safe in bytes. */
	get sender() {
		const { emittedBytes = 0, safeBytes = 0, problem = null, ...state } = this.#take?.state ?? { link: 'idle', id: null };
		return { ...state, recorded: emittedBytes, safe: safeBytes, reason: problem?.code ?? state.reason ?? null };
	}

	push(bytes) {
		this.bytes.push(Buffer.from(bytes));
		this.#begun.then(() => this.#take.write(bytes)).catch(() => {}); // the state tells
	}

	/** Pushes pieces at a steady pace until stop() or end(). */
	feed(next, everyMs) {
		this.timer = setInterval(() => this.push(next()), everyMs);
	}

	when(check, ms, what) {
		let watcher;
		return within(new Promise((resolve, reject) => {
			watcher = () => {
				if (check(this.sender)) resolve();
				else if (this.sender.link === 'stopped') reject(new Error(`${what}: stopped: ${this.sender.reason} ${this.sender.message}`));
			};
			this.#watchers.add(watcher);
			watcher();
		}), ms, what).finally(() => this.#watchers.delete(watcher)).catch((error) => {
			const { link, reason, recorded, safe } = this.sender;
			throw new Error(`${error.message} ${JSON.stringify({ link, reason, recorded, safe })}`);
		});
	}

	stop() {
		clearInterval(this.timer);
	}

	/** Ends the take and asserts that the server has exactly its bytes. */
	async finish(server, ms = 30_000) {
		this.stop();
		await this.#begun;
		await this.#take.end();
		await this.when((sender) => sender.link === 'saved', ms, 'saved');
		const bytes = Buffer.concat(this.bytes);
		assert.equal(this.sender.saved.bytes, bytes.length);
		assert.equal(this.sender.saved.sha256, sha256(bytes));
		await assertOriginal(server, this.sender.id, bytes);
		const state = await recording(server, this.sender.id);
		assert.equal(state.phase, 'queued');
		assert.equal(state.interrupted, false);
		return state;
	}
}
