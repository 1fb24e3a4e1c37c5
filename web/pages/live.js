// One recording under way: devices, recorder and take together, without a page around them.
//
// A part that ends by itself (a device unplugged, the system, a failure) does not end the take: it is `interrupted`, and goes on as its
// next part, or is finished, as the person likes. What was emitted until then is with the client, which keeps and sends it.
import { Rate } from './space.js';
import { Recorder, extensionOf } from './recorder.js';

const SETTLE_MS = 2000; // what was held back while hidden comes out within this
const SHORT_MS = 3000; // an absence that needs no words

/**
 * `stage`: idle, asking (for the device), recording, paused, stopping (the last pieces are being read), interrupted (between two
 * parts), finishing (all was recorded, the rest is being sent), saved, failed.
 */
export class Live {
	stage = 'idle';
	take = null;
	state = null; // the take's, newest
	recorder = null;
	source = null;
	stream = null;
	soundless = false;
	why = null; // of the last part's end, if it was not asked for: the recorder's `why`, or the code of a refused write
	error = null;
	rate = new Rate();
	hidden = null; // { ms, flowed } of the last absence, { since } while it lasts

	#client;
	#onchange;
	#make;
	#now;
	#after;
	#refused = null;
	#hiddenFrom = 0;
	#base = 0; // bytes of the take before this part

	constructor({ client, onchange = () => {}, make = (options) => new Recorder(options), now = () => performance.now(),
		after = (ms, then) => setTimeout(then, ms) }) {
		this.#client = client;
		this.#onchange = onchange;
		this.#make = make;
		this.#now = now;
		this.#after = after;
	}

	get running() {
		return this.stage === 'recording' || this.stage === 'paused';
	}

	/** No other recording may begin here. */
	get busy() {
		return this.running || this.stage === 'asking' || this.stage === 'stopping';
	}

	get part() {
		return this.state?.parts ?? 1;
	}

	get elapsedMs() {
		return this.recorder?.elapsedMs ?? 0;
	}

	/** All bytes of the take that were recorded, also those that are still being read. */
	get emitted() {
		return Math.max(this.state?.emittedBytes ?? 0, this.#base + (this.recorder?.emitted ?? 0));
	}

	/**
	 * Begins a take (on air with `show`), or the next part of `take`. `open` resolves with { stream, soundless }. Rejects with the error of the device (or of
	 * the client), and everything is as before.
	 */
	async begin({ source, open, name, show, take = null }) {
		const before = this.stage;
		this.#to('asking');
		let stream = null;
		try {
			const opened = await open();
			stream = opened.stream;
			await this.#start(opened, source, { name: name || undefined, ...(show && { show }) }, take);
		} catch (error) {
			for (const track of stream?.getTracks() ?? []) track.stop();
			if (this.stage === 'asking') this.#to(before);
			throw error;
		}
	}

	async #start({ stream, soundless }, source, more, take) {
		const recorder = this.#make({
			stream,
			video: stream.getVideoTracks().length > 0,
			onbytes: (bytes) => this.#write(bytes),
			onchange: () => this.#recorderChanged(recorder),
		});
		const kind = { mime: recorder.mime, ext: extensionOf(recorder.mime) };
		if (take === null) this.#adopt(await this.#client.begin({ ...kind, ...more }));
		else {
			if (take !== this.take) this.#adopt(take);
			if (take.show && !take.state.onAir) take.reconnect({ onAir: true });
			if (take.state.emittedBytes > 0) take.part(kind);
		}
		Object.assign(this, { recorder, source, stream, soundless, why: null, error: null, hidden: null });
		this.#base = this.take.state.emittedBytes;
		this.#refused = null;
		this.rate = new Rate();
		recorder.start();
		recorder.stopped.then((why) => this.#partEnded(recorder, why));
	}

	/** Follows this take from here on. */
	#adopt(take) {
		this.take = take;
		this.state = take.state;
		take.onState((state) => {
			if (this.take !== take || state.link === 'released') return; // let go of: what it came to is known
			this.state = state;
			if (state.done) this.#takeDone();
			this.#onchange(this);
		});
	}

	async #write(bytes) {
		const { take } = this;
		try {
			await take.write(bytes);
		} catch (error) {
			this.#refused ??= error;
			this.recorder.stop(); // nothing behind a gap
			throw error;
		}
	}

	pause() {
		this.recorder?.pause();
	}

	resume() {
		this.recorder?.resume();
	}

	/** Ends the take: at once if nothing runs any more, else behind the recorder's last piece. */
	stop() {
		if (this.running) this.recorder.stop();
		else if (this.stage === 'interrupted') this.#finish();
	}

	/** Lets the take be; it goes on being sent, and somebody else shows it. */
	leave() {
		const { take } = this;
		Object.assign(this, { take: null, state: null, recorder: null, source: null, why: null, error: null, hidden: null });
		this.#to('idle');
		return take;
	}

	/** The page was hidden or shown. */
	visible(is) {
		if (!is && this.running) {
			this.recorder.flush();
			this.hidden = { since: this.#now() };
			this.#hiddenFrom = this.recorder.emitted;
		} else if (is && this.hidden?.since !== undefined) {
			const ms = this.#now() - this.hidden.since;
			this.hidden = null;
			if (ms >= SHORT_MS && this.stage === 'recording') this.#judge(this.recorder, ms);
		}
		this.#onchange(this);
	}

	/** Whether the recording went on while the page was hidden is known a moment later. */
	#judge(recorder, ms) {
		const before = this.#hiddenFrom;
		const usual = this.rate.perSecond ?? 0;
		this.#after(SETTLE_MS, () => {
			if (this.recorder !== recorder || this.hidden !== null) return;
			const grown = recorder.emitted - before;
			this.hidden = { ms, flowed: grown > 0 && grown >= usual * ms / 1000 / 4 };
			this.#onchange(this);
		});
	}

	#recorderChanged(recorder) {
		if (this.recorder !== recorder) return;
		if (recorder.state === 'recording') this.rate.add(recorder.elapsedMs, recorder.emitted);
		if (recorder.state !== this.stage && ['recording', 'paused', 'stopping'].includes(recorder.state)) this.#to(recorder.state);
		else this.#onchange(this);
	}

	async #partEnded(recorder, why) {
		if (this.recorder !== recorder) return;
		this.error = this.#refused ?? recorder.error;
		if (this.state.done) {
			this.#to(this.state.link === 'saved' ? 'saved' : 'failed');
		} else if (this.#refused !== null || why !== 'asked') {
			this.why = this.#refused?.code ?? why;
			this.#to('interrupted');
		} else {
			await this.#finish();
		}
	}

	async #finish() {
		this.#to('finishing');
		try {
			await this.take.end();
		} catch (error) {
			this.error = error;
		}
		if (this.state.done) this.#takeDone();
	}

	/** The take's last word; it may come while the recorder still runs: then there is no point in going on. */
	#takeDone() {
		if (this.stage === 'saved' || this.stage === 'failed') return;
		if (this.running) this.recorder.stop();
		else if (this.stage !== 'stopping' && this.stage !== 'asking') this.#to(this.state.link === 'saved' ? 'saved' : 'failed');
	}

	#to(stage) {
		this.stage = stage;
		this.#onchange(this);
	}
}
