// How far the connection of a take has got and how long it is waited for: pure, used by machine.js.
import {
	BACKOFF_FIRST_MS, BACKOFF_FULL_MS, BACKOFF_MAX_MS, HEARTBEAT_MS, OPEN_TIMEOUT_MS, SILENT_HEARTBEATS, START_TIMEOUT_MS,
} from './limits.js';

export class Link {
	stage = 'closed'; // closed, opening, starting, attached
	deadline = Infinity; // what is waited for on the connection is overdue
	retryAt = Infinity; // the next connection
	/** Our own starts that went unanswered: each may still reach the server, late, and take over from us. */
	stale = 0;
	#heartbeatMs = HEARTBEAT_MS;
	#attempts = 0; // since the server last confirmed something new
	#answered = false; // the `start` of this connection
	#random;

	constructor(random) {
		this.#random = random;
	}

	opening(now) {
		this.stage = 'opening';
		this.retryAt = Infinity;
		this.deadline = now + OPEN_TIMEOUT_MS;
	}

	starting(now) {
		this.stage = 'starting';
		this.#answered = false;
		this.deadline = now + START_TIMEOUT_MS;
	}

	attached(heartbeatMs) {
		this.stage = 'attached';
		this.deadline = Infinity;
		this.#heartbeatMs = heartbeatMs || HEARTBEAT_MS;
	}

	heard() {
		this.#answered = true;
		if (this.stage === 'attached') this.deadline = Infinity; // set again by what is still owed
	}

	/** The server's pings are invisible here, so its silence is judged while it owes an answer, and only then. */
	owes(now) {
		if (this.deadline === Infinity) this.deadline = now + SILENT_HEARTBEATS * this.#heartbeatMs;
	}

	/** There was progress, or the user asks: the next wait is a short one. */
	fresh() {
		this.#attempts = 0;
	}

	/** It is let go of. */
	closed() {
		if (this.stage === 'starting' && !this.#answered) this.stale += 1;
		this.stage = 'closed';
		this.deadline = Infinity;
	}

	/** A random time below a ceiling that doubles, up to `longest`. */
	wait(now, reason, longest = BACKOFF_MAX_MS) {
		const first = reason === 'storage_full' ? BACKOFF_FULL_MS : BACKOFF_FIRST_MS;
		const most = Math.min(longest, first * 2 ** Math.min(this.#attempts, 10));
		this.#attempts += 1;
		this.retryAt = now + most * this.#random();
	}

	/** `taken_over` was said: whether that may have been one of our own starts, come late. Each counts once. */
	tookOverFromItself() {
		if (this.stale === 0) return false;
		this.stale -= 1;
		return true;
	}
}
