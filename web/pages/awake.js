// Keeps the screen on while it is wanted. The system takes the lock away whenever the page is hidden; it is taken again as soon
// as the page is visible.

export class Awake {
	state = 'off'; // off, held, waiting (the page is hidden), refused (by the system: low power, no battery saver exception), missing
	#page;
	#source;
	#lock = null;
	#wanted = false;
	#asking = false;
	#onchange;

	constructor({ page = document, source = navigator.wakeLock, onchange = () => {} } = {}) {
		this.#page = page;
		this.#source = source;
		this.#onchange = onchange;
		page.addEventListener('visibilitychange', () => this.#settle());
	}

	hold() {
		this.#wanted = true;
		return this.#settle();
	}

	async release() {
		this.#wanted = false;
		const lock = this.#lock;
		this.#lock = null;
		this.#to('off');
		await lock?.release().catch(() => {});
	}

	async #settle() {
		if (!this.#wanted || this.#lock !== null || this.#asking) return;
		if (!this.#source) return this.#to('missing');
		if (this.#page.visibilityState !== 'visible') return this.#to('waiting');
		this.#asking = true;
		try {
			const lock = await this.#source.request('screen');
			if (this.#wanted) this.#keep(lock);
			else await lock.release();
		} catch {
			if (this.#wanted) this.#to(this.#page.visibilityState === 'visible' ? 'refused' : 'waiting');
		} finally {
			this.#asking = false;
		}
	}

	#keep(lock) {
		this.#lock = lock;
		this.#to('held');
		lock.addEventListener('release', () => {
			if (this.#lock !== lock) return;
			this.#lock = null;
			this.#to('waiting');
			this.#settle(); // taken away while visible: asked for again, once
		});
	}

	#to(state) {
		if (this.state === state) return;
		this.state = state;
		this.#onchange(state);
	}
}
