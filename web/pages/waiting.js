// When to ask again for a recording's file, and what the answers mean. Pure: answers and news in, a state and the time of the next
// question out; the words stand in finishing.js. It follows docs/protocol.md, "What a file answers": only "not yet" (202) is asked again,
// and not for ever. A server that can't be reached is another matter: it has said nothing.

export const TRIES = 12; // questions that are answered by "not yet", until a person decides
const WAIT_FIRST_MS = 2000;
const WAIT_GROWTH = 1.5;
const WAIT_MOST_MS = 60_000;
const AWAY_FIRST_MS = 1000;
const AWAY_MOST_MS = 30_000;

const GATEWAY = new Set([502, 503, 504]); // without a code of ours, a proxy says that it did not reach the server

/**
 * What an answer means. The answer: { status, code, message, phase, attempt, attempts, progress, retryAfter }, `status` 0 when there was none.
 *   ready      it is there
 *   waiting    not yet
 *   missing    there is no such recording
 *   never      there is one, and it will never have a file
 *   deleted
 *   refused    not for this token
 *   unserved   it waits, and nobody works on what waits
 *   failed     with the reason
 *   busy       passing trouble of the server; asked again when somebody wants it
 *   away       the server could not be reached
 */
export function meaning({ status, code }) {
	if (status === 202) return 'waiting';
	if (status >= 200 && status < 400 || status === 416) return 'ready'; // 416: there is a file, and it is empty
	if (status === 404) return code === null || code === 'not_found' ? 'missing' : 'never';
	if (status === 410) return code === null || code === 'deleted' ? 'deleted' : 'never';
	if (status === 401 || status === 403) return 'refused';
	if (status === 0 || code === null && GATEWAY.has(status)) return 'away';
	if (status !== 500) return 'busy';
	return code === 'worker_not_processing_queue' ? 'unserved' : 'failed';
}

export class Waiting {
	/** asking, until there is a first answer; what meaning() says; or timedOut: it was "not yet" TRIES times. */
	state = 'asking';
	answer = null; // the newest that came from the server
	trouble = null; // the code of why none came the last time
	tries = 0; // answers of "not yet" in this round
	askAt = 0; // null: not by itself
	#asking = false;
	#again = false; // something happened since the question was sent
	#began = null;
	#away = 0;

	/** Is it time to ask? */
	due(now) {
		return !this.#asking && this.askAt !== null && now >= this.askAt;
	}

	/** How long somebody has been waiting for it, in ms. */
	waitedMs(now) {
		return this.#began === null ? 0 : now - this.#began;
	}

	/** The question was sent. */
	asked(now) {
		this.#asking = true;
		this.askAt = null;
		this.#began ??= now;
	}

	answered(answer, now) {
		this.#asking = false;
		this.state = meaning(answer);
		this.askAt = null;
		if (this.state === 'away') {
			this.askAt = now + Math.min(AWAY_MOST_MS, AWAY_FIRST_MS * 2 ** Math.min(this.#away, 10));
			this.#away += 1;
			this.trouble = answer.code;
		} else {
			this.answer = answer;
			this.trouble = null;
			this.#away = 0;
		}
		if (this.state === 'waiting') this.#notYet(answer, now);
		else if (this.state === 'ready') this.#began = null;
		if (this.#again && this.state !== 'timedOut') this.askAt = now;
		this.#again = false;
	}

	#notYet({ retryAfter }, now) {
		this.tries += 1;
		if (this.tries >= TRIES) {
			this.state = 'timedOut';
			return;
		}
		const growing = Math.min(WAIT_MOST_MS, WAIT_FIRST_MS * WAIT_GROWTH ** (this.tries - 1));
		this.askAt = now + Math.max(growing, (retryAfter ?? 0) * 1000);
	}

	/** A person wants to know, or to go on waiting: a new round. */
	goOn(now) {
		this.tries = 0;
		this.#soon(now);
	}

	/**
	 * What is known from elsewhere, and makes a question worth while:
	 *   published  there is a file, or another one
	 *   sealed     its bytes are complete: from here on the waiting is another
	 *   changed    it is in another phase, or in another attempt
	 *   back       the server can be reached again
	 * Only the answer to the question counts.
	 */
	news(what, now) {
		if (what === 'back' && this.state !== 'away' && this.state !== 'busy') return;
		const round = what === 'sealed' || !['asking', 'waiting', 'timedOut', 'away'].includes(this.state);
		if (round) this.tries = 0;
		this.#soon(now);
	}

	#soon(now) {
		if (this.#asking) this.#again = true;
		else this.askAt = now;
	}
}

/** What happened to the recording that is worth a question; null: nothing. `before` is null at first. */
export function newsOf(before, take) {
	if (before === null || before === take) return null;
	if ((take.file?.revision ?? 0) !== (before.file?.revision ?? 0)) return 'published';
	if (before.phase === 'uploading' && take.phase !== 'uploading') return 'sealed';
	return before.phase !== take.phase || before.attempt !== take.attempt ? 'changed' : null;
}
