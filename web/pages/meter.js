// How loud a stream is. Listens beside the recorder and changes nothing of what it records.

const FLOOR_DB = -60; // what is shown as silence
const QUIET_DB = -70; // less is no room but a dead or muted microphone
const SIZE = 1024;

/** Decibels below full scale as a share of the meter, 0 to 1. */
export function share(db) {
	return Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
}

/** The peak of samples in -1 … 1, in decibels below full scale. */
export function decibels(samples) {
	let peak = 0;
	for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
	return peak === 0 ? -Infinity : 20 * Math.log10(peak);
}

export class Meter {
	#context;
	#analyser;
	#source;
	#samples = new Float32Array(SIZE);
	#heardAt;
	#now;

	/** Null when the stream has no sound or the browser can't measure it. */
	static of(stream, now = () => performance.now()) {
		if (stream.getAudioTracks().length === 0 || !globalThis.AudioContext) return null;
		try {
			return new Meter(stream, now);
		} catch {
			return null;
		}
	}

	constructor(stream, now) {
		this.#now = now;
		this.#heardAt = now();
		this.#context = new AudioContext();
		this.#analyser = this.#context.createAnalyser();
		this.#analyser.fftSize = SIZE;
		this.#source = this.#context.createMediaStreamSource(stream);
		this.#source.connect(this.#analyser); // and to no speaker
	}

	/** The level now, 0 to 1. */
	read() {
		if (this.#context.state === 'suspended') this.#context.resume().catch(() => {});
		this.#analyser.getFloatTimeDomainData(this.#samples);
		const db = decibels(this.#samples);
		if (db > QUIET_DB || this.#context.state !== 'running') this.#heardAt = this.#now();
		return share(db);
	}

	/** Since when nothing at all was heard, in ms. */
	get quietMs() {
		return this.#now() - this.#heardAt;
	}

	/** A pause is no silence. */
	forgive() {
		this.#heardAt = this.#now();
	}

	close() {
		this.#source.disconnect();
		this.#context.close().catch(() => {});
	}
}
