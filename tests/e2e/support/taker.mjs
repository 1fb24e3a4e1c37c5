// A take sent by the page's own sender (web/client.js) from Node, and what is asked of it in the end.
import assert from 'node:assert/strict';
import { TakeSender } from '../../../web/client.js';
import { atEnd, within } from './server.mjs';
import { assertOriginal, recording, sessionId, sha256, WebSocket } from './wire.mjs';

export class Taker {
	bytes = [];
	#watchers = new Set();

	/** `at`: anything with a `url`: the server or a proxy in front of it. */
	constructor(t, at, start = {}) {
		this.sender = new TakeSender({
			url: at.url.replace(/^http/, 'ws') + '/ws',
			start: { sessionId: sessionId(), mime: 'video/webm', ext: 'webm', ...start },
			WebSocket,
			onchange: () => {
				for (const watcher of this.#watchers) watcher();
			},
		});
		atEnd(t, () => {
			this.stop();
			this.sender.close();
		});
		this.sender.connect();
	}

	push(bytes) {
		this.bytes.push(Buffer.from(bytes));
		this.sender.push(bytes);
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
		this.sender.end();
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
