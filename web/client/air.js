// What a take on air is beside a take: whether its `start` names the show, the newest that the server said of that, and what follows for
// the link. Pure, used by machine.js.
//
// While the version has failed nothing is acknowledged, and nothing is waited for: bytes go out as they come. A link that is dead then
// would never show, so the server is asked about the show now and then, which it must answer.
import { BACKOFF_AIR_MS, BACKOFF_MAX_MS, HEARTBEAT_MS } from './limits.js';

export class Air {
	wanted; // it is to be on air, not only recorded
	status = null; // the show's object, the newest
	version = null;
	again = null; // the version that it is recorded as since its recording failed, in this page
	unrecorded = 0; // bytes that are in no recording: their version had failed
	askAt = Infinity;
	graceEndsAt = null; // not before: the server may have noticed the loss of the link later
	#show;
	#graceMs = 0;
	#heartbeatMs = HEARTBEAT_MS;

	/** `show`: undefined for a take that has none. `unrecorded`: as stored. */
	constructor(show, wanted, unrecorded) {
		this.#show = show;
		this.wanted = show !== undefined && wanted;
		this.unrecorded = unrecorded;
	}

	/** `start`, with its show only if it is to go on air: the rest of a take that has ended meanwhile is not. */
	names({ show, ...start }, now, { ended, aborting }) {
		const late = ended && this.graceEndsAt !== null && now > this.graceEndsAt;
		return this.wanted && !late && aborting === null ? { ...start, show } : start;
	}

	get failed() {
		return this.wanted && this.status?.recording === 'recording_failed';
	}

	/**
	 * `started` came; `safe`: so much was acknowledged. True: its `bytes` is no news, because what follows the last acknowledged one is in no
	 * recording.
	 */
	started({ version = null, bytes, graceMs = 0, heartbeatMs }, safe) {
		const failed = this.failed && version === this.version;
		if (this.failed && !failed) this.moves({ version }, Math.max(0, bytes - safe));
		this.version = version;
		this.#graceMs = graceMs;
		this.#heartbeatMs = heartbeatMs || HEARTBEAT_MS;
		this.graceEndsAt = null;
		return failed;
	}

	said({ type, of, ...status }) {
		if (status.show !== this.#show) return;
		this.status = status;
		if (!this.failed) this.askAt = Infinity;
	}

	/** It is recorded again: `gap` bytes were not. */
	moves({ version }, gap) {
		this.version = this.again = version;
		this.unrecorded += gap;
		this.askAt = Infinity;
		if (this.failed) this.status = { ...this.status, version, recording: 'recording', error: null };
	}

	lost(now) {
		this.askAt = Infinity;
		if (this.wanted) this.graceEndsAt ??= now + this.#graceMs;
	}

	/** Between two attempts to come back. */
	longestWait(now) {
		return this.graceEndsAt !== null && now < this.graceEndsAt ? BACKOFF_AIR_MS : BACKOFF_MAX_MS;
	}

	heard(now) {
		if (this.askAt !== Infinity) this.askAt = now + this.#heartbeatMs;
	}

	/** While it has failed: the question that is to be asked now; else null. */
	asks(now) {
		if (!this.failed) return null;
		const due = now >= this.askAt;
		if (due || this.askAt === Infinity) this.askAt = now + this.#heartbeatMs;
		return due ? { type: 'subscribe', show: this.#show } : null;
	}
}

/**
 * What `saved` means for a take: the code of the problem, or null: all of it is there. `written`: by this page, so more may come of its
 * recorder.
 */
export function savedProblem({ bytes, total, overrun, ended, written, show }) {
	if (show && !ended && written) return 'show_ended';
	if (bytes < total) return 'saved_short';
	if (bytes > total && !overrun) return 'server_has_more';
	return !ended && written ? 'sealed' : null; // what the recorder still gives is kept here
}
