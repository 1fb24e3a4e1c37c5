// Plays a stream that never ends by itself: connects again when it ends, fails or stands still, for as long as it is wanted, and tells what it
// does. The element is made once a kind, so that a browser that has allowed it sound goes on allowing it.

const RETRY_FIRST_MS = 1_000;
const RETRY_MOST_MS = 15_000;
const SOUND_MS = 5_000; // who has played so long is connected again at once: another recorder began, and this browser takes that for the end
const STALL_MS = 8_000; // nothing was played for so long, although there is something to play
const CONNECT_MS = 15_000; // until the first sound
const LOOK_MS = 1_000;
const IDLE = new Set(['off', 'paused', 'blocked', 'unplayable']);
const TRIES = 3; // a stream that is there and still can't be played is none for this browser

export class Radio {
	/**
	 * off, connecting, playing, buffering, again (waits for the next attempt), full (the same: the server has no room), paused (by the system:
	 * a call, a headset), blocked (the browser wants a click first), unplayable
	 */
	state = 'off';
	volume = 1;
	muted = false;

	#stage;
	#address;
	#make;
	#probe;
	#now;
	#onchange;
	#media = null;
	#kind = null;
	#label = '';
	#turn = 0; // of connections: what an earlier one still says counts for nothing
	#beganAt = 0; // this connection
	#movedAt = 0; // when it last played on, or began to
	#at = 0; // its time then
	#played = false; // this connection
	#attempts = 0;
	#timer = 0;
	#still = false; // the sender is away: nothing comes, and nothing is wrong

	/**
	 * `stage`: the node that the element is put into. `address()` resolves with where the stream is; `probe(url)` with the status that it answers.
	 * `make(kind)` makes the element.
	 */
	constructor({ stage, address, make, probe, onchange, now = () => performance.now() }) {
		this.#stage = stage;
		this.#address = address;
		this.#make = make;
		this.#probe = probe;
		this.#onchange = onchange;
		this.#now = now;
		setInterval(() => this.#look(), LOOK_MS);
	}

	get on() {
		return !IDLE.has(this.state);
	}

	/** Plays; `kind`: audio or video. To be called in a click where the browser demands one. */
	play({ kind, label }) {
		this.#label = label;
		if (this.on && kind === this.#kind) return;
		this.#attempts = 0;
		this.#connect(kind);
	}

	stop() {
		this.#leave('off');
	}

	/** The sender is away (or back): meanwhile silence is no reason to connect again. */
	still(is) {
		if (this.#still && !is) this.#movedAt = this.#now();
		this.#still = is;
	}

	sound({ volume = this.volume, muted = this.muted }) {
		Object.assign(this, { volume, muted });
		if (this.#media) Object.assign(this.#media, { volume, muted });
		this.#onchange(this);
	}

	#to(state) {
		if (this.state === state) return;
		this.state = state;
		this.#onchange(this);
	}

	/** Nothing is loaded any more: the server has one listener less. */
	#leave(state) {
		this.#turn += 1;
		clearTimeout(this.#timer);
		if (this.#media?.hasAttribute('src')) {
			this.#media.pause();
			this.#media.removeAttribute('src');
			this.#media.load();
		}
		this.#to(state);
	}

	#element(kind) {
		if (this.#kind === kind) return this.#media;
		const media = this.#make(kind);
		const mine = (handle) => () => media === this.#media && media.hasAttribute('src') && handle();
		const events = {
			playing: () => this.#plays(),
			timeupdate: () => media.currentTime !== this.#at && this.#plays(),
			waiting: () => this.state === 'playing' && this.#to('buffering'),
			ended: () => this.#lost(),
			error: () => this.#failed(media.error),
			pause: () => media.ended || this.state === 'connecting' || this.#leave('paused'),
		};
		for (const [name, handle] of Object.entries(events)) media.addEventListener(name, mine(handle));
		Object.assign(media, { volume: this.volume, muted: this.muted });
		this.#kind = kind;
		this.#media = media;
		this.#stage.replaceChildren(media);
		return media;
	}

	async #connect(kind) {
		this.#leave('connecting');
		if (this.state !== 'connecting') return;
		const media = this.#element(kind);
		const turn = this.#turn;
		Object.assign(media, { title: this.#label });
		this.#played = false;
		this.#at = 0;
		this.#beganAt = this.#movedAt = this.#now();
		try {
			const url = await this.#address();
			if (turn !== this.#turn) return;
			media.src = url;
			await media.play();
		} catch (error) {
			if (turn !== this.#turn) return;
			if (error.name === 'NotAllowedError') this.#leave('blocked');
			else if (!media.error && error.name !== 'AbortError') this.#lost(); // else its own event tells
		}
	}

	#plays() {
		this.#at = this.#media.currentTime;
		this.#movedAt = this.#now();
		if (this.#at > 0) { // it did play, and is not only about to
			this.#played = true;
			this.#attempts = 0;
		}
		this.#to('playing');
	}

	#look() {
		if (this.#still || !['connecting', 'playing', 'buffering'].includes(this.state)) return;
		if (this.#now() - this.#movedAt > (this.#played ? STALL_MS : CONNECT_MS)) this.#lost();
	}

	/** Why an element has no stream is asked of the server: it only says that it has none. */
	async #failed(error) {
		const turn = this.#turn;
		const never = error?.code === 4 && !this.#played; // MEDIA_ERR_SRC_NOT_SUPPORTED: also for what is not there
		const status = never ? await this.#probe(this.#media.src).catch(() => 0) : 0;
		if (turn !== this.#turn) return;
		if (never && status === 200 && this.#attempts + 1 >= TRIES) this.#leave('unplayable');
		else this.#lost(status === 503 ? 'full' : 'again');
	}

	#lost(state = 'again') {
		const sound = this.#played && this.#now() - this.#beganAt > SOUND_MS;
		const wait = sound ? 0 : Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** this.#attempts);
		this.#attempts += 1;
		this.#leave(state);
		if (this.state !== state) return; // who heard of it has stopped it
		this.#timer = setTimeout(() => this.#connect(this.#kind), wait);
	}
}
