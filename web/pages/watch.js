// Watches one recording until its file is there, and afterwards: asks over HTTP as waiting.js decides, which is the truth, and follows the
// recording by WebSocket, which only makes it quicker and shows the figures. Without the link everything works, a little later.
import { Waiting, newsOf } from './waiting.js';

const GONE = new Set(['missing', 'deleted', 'refused']); // nothing more comes of it

export class Watch {
	take = null; // the recording's object, the newest that is known
	waiting = new Waiting();
	link = 'connecting'; // of the follower

	#client;
	#id;
	#onchange;
	#now;
	#after;
	#follower = null;
	#timer = 0;
	#closed = false;

	/** `id`: an id, `ref:…` or `session:…`. `onchange(watch)` after everything that may show. */
	constructor({ client, id, onchange, now = () => performance.now(), after = (ms, then) => setTimeout(then, ms) }) {
		this.#client = client;
		this.#id = id;
		this.#onchange = onchange;
		this.#now = now;
		this.#after = after;
		this.#wake();
	}

	get live() {
		return this.link === 'live';
	}

	get waitedMs() {
		return this.waiting.waitedMs(this.#now());
	}

	/** Until the next question; null if there is none by itself. */
	get nextMs() {
		return this.waiting.askAt === null ? null : Math.max(0, this.waiting.askAt - this.#now());
	}

	/** Ask now, and again as often as at first. */
	goOn() {
		this.waiting.goOn(this.#now());
		this.#wake();
		if (!this.live) this.#follower?.reconnect();
	}

	close() {
		this.#closed = true;
		clearTimeout(this.#timer);
		this.#follower?.close();
	}

	/** One timer: for the next question. */
	#wake() {
		clearTimeout(this.#timer);
		if (this.#closed || this.nextMs === null) return;
		this.#timer = this.#after(this.nextMs, () => {
			if (this.#closed) return;
			if (this.waiting.due(this.#now())) this.#ask();
			else this.#wake(); // timers count whole milliseconds, and may be early
		});
	}

	async #ask() {
		const { api } = this.#client;
		this.waiting.asked(this.#now());
		const object = this.take === null || !this.live ? api.get(this.#id).catch(() => null) : null;
		const answer = await api.ask(this.#id, 'file').catch(({ code, message }) => ({ status: 0, code, message, retryAfter: null }));
		const take = await object;
		if (this.#closed) return;
		if (take !== null) this.take = take;
		this.waiting.answered(answer, this.#now());
		// The object may be from before the answer, which then knew of a file that the object does not name.
		if (this.waiting.state === 'ready' && !this.take?.file) this.take = await api.get(this.#id).catch(() => this.take);
		if (this.#closed) return;
		if (GONE.has(this.waiting.state) && !(this.waiting.state === 'missing' && this.take !== null)) this.#follower?.close();
		else if (this.take !== null) this.#follow();
		this.#wake();
		this.#onchange(this);
	}

	#follow() {
		this.#follower ??= this.#client.follow({ id: this.take.id, onChange: (view) => this.#heard(view) });
	}

	#heard(view) {
		const came = view.link === 'live' && !this.live;
		this.link = view.link;
		const [take] = view.recordings;
		const news = take ? newsOf(this.take, take) : view.link === 'live' || view.reason === 'deleted' ? 'changed' : null;
		if (take) this.take = take;
		if (came) this.waiting.news('back', this.#now());
		if (news !== null) this.waiting.news(news, this.#now());
		if (came || news !== null) this.#wake();
		this.#onchange(this);
	}
}
