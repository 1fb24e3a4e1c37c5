// One MediaRecorder and its states, without a page around it: what was emitted leaves here in order and once, and the end
// is told only when the last piece has been handed over (reading a piece is asynchronous, so it may come after `stop`).
//
// Nothing is kept: a piece is read, handed over and forgotten.

export const TIMESLICE_MS = 250; // what a crash of the page costs at most

const AUDIO_TYPES = ['audio/webm;codecs=opus', 'audio/mp4;codecs=mp4a.40.2', 'audio/mp4', 'audio/webm'];
const VIDEO_TYPES = ['video/webm;codecs=vp8,opus', 'video/webm;codecs=vp9,opus', 'video/webm',
	'video/mp4;codecs=avc1.42E01E,mp4a.40.2', 'video/mp4'];
const KEYFRAME_MS = 1000; // MP4 pieces end at keyframes only, which would be 5 s apart
const MP4 = /^(?:audio|video)\/mp4/;

/** The first type that this browser can record, or '' for its own choice. */
export function chooseType(video, isTypeSupported) {
	return (video ? VIDEO_TYPES : AUDIO_TYPES).find((type) => isTypeSupported(type)) ?? '';
}

export function extensionOf(mime) {
	return MP4.test(mime) ? 'mp4' : 'webm';
}

function optionsFor(mimeType) {
	if (!mimeType) return {};
	return MP4.test(mimeType) ? { mimeType, videoKeyFrameIntervalDuration: KEYFRAME_MS } : { mimeType };
}

/**
 * Records one part. `state` is new, recording, paused, stopping (the last pieces are being read) or stopped.
 * `why` tells the reason of the end: asked (stop() was called), ended (every device is gone, or sharing was ended), system (the
 * browser stopped it by itself), failed (`error` is the recorder's) or unreadable (a piece could not be read; the part ends before it).
 * `onbytes` gets each piece. What it returns is awaited before `stopped` resolves, not before the next piece: a slow disk holds up no
 * sending. If that rejects, no later piece is handed over. `onchange` hears of everything else.
 */
export class Recorder {
	state = 'new';
	why = null;
	error = null;
	emitted = 0; // bytes that the MediaRecorder gave out
	handed = 0; // bytes that onbytes has taken
	gone = new Set(); // kinds (audio, video) of tracks that ended while others go on
	muted = new Set(); // kinds of tracks that the system keeps silent or black at the moment

	#media;
	#tracks;
	#onbytes;
	#onchange;
	#now;
	#elapsedMs = 0;
	#since = null; // when it began to run, while it does
	#order = Promise.resolve(); // of the pieces' reading
	#taken = Promise.resolve(); // all that onbytes has returned
	#refused = false;
	#finish;

	constructor({ stream, video, onbytes, onchange = () => {}, MediaRecorder = globalThis.MediaRecorder, now = () => performance.now() }) {
		this.#onbytes = onbytes;
		this.#onchange = onchange;
		this.#now = now;
		this.#tracks = stream.getTracks();
		const mimeType = chooseType(video, (type) => MediaRecorder.isTypeSupported(type));
		this.#media = new MediaRecorder(stream, optionsFor(mimeType));
		this.mime = this.#media.mimeType || mimeType || (video ? 'video/webm' : 'audio/webm');
		this.stopped = new Promise((resolve) => {
			this.#finish = resolve;
		});
		this.#media.addEventListener('dataavailable', (event) => this.#piece(event.data));
		this.#media.addEventListener('stop', () => this.#ended());
		this.#media.addEventListener('error', (event) => this.#failed(event.error ?? new Error('unknown reason')));
		for (const track of this.#tracks) this.#watch(track);
	}

	start() {
		this.#media.start(TIMESLICE_MS);
		if (this.#media.mimeType) this.mime = this.#media.mimeType; // some browsers decide only now
		this.#since = this.#now();
		this.#to('recording');
	}

	pause() {
		if (this.state !== 'recording') return;
		this.flush();
		this.#media.pause();
		this.#halt();
		this.#to('paused');
	}

	resume() {
		if (this.state !== 'paused') return;
		this.#media.resume();
		this.#since = this.#now();
		this.#to('recording');
	}

	/** What the recorder still holds is to come out now: the page may be frozen or thrown away in a moment. */
	flush() {
		if (this.#media.state === 'recording') this.#media.requestData();
	}

	stop() {
		this.#stop('asked');
	}

	/** How long it has recorded, without pauses. */
	get elapsedMs() {
		return this.#elapsedMs + (this.#since === null ? 0 : this.#now() - this.#since);
	}

	get running() {
		return this.state === 'recording' || this.state === 'paused';
	}

	#stop(why) {
		if (!this.running) return;
		this.why ??= why;
		this.#halt();
		this.#to('stopping');
		if (this.#media.state !== 'inactive') this.#media.stop(); // else its `stop` event is already on its way
	}

	#halt() {
		this.#elapsedMs = this.elapsedMs;
		this.#since = null;
	}

	#piece(blob) {
		if (blob.size === 0) return; // legal, at the end above all
		this.emitted += blob.size;
		this.#order = this.#order.then(() => this.#hand(blob));
	}

	async #hand(blob) {
		if (this.#refused || this.why === 'unreadable') return; // a piece behind the gap
		let bytes;
		try {
			bytes = new Uint8Array(await blob.arrayBuffer());
		} catch (error) {
			this.error = error;
			this.why = 'unreadable';
			this.#stop('unreadable');
			return;
		}
		const taken = Promise.resolve(this.#onbytes(bytes));
		taken.catch(() => {
			this.#refused = true;
		});
		this.#taken = this.#taken.then(() => taken);
		this.#taken.catch(() => {}); // heard of at the end
		this.handed += bytes.byteLength;
		this.#onchange(this);
	}

	async #ended() {
		if (this.state === 'stopped') return;
		this.why ??= this.#tracks.every((track) => track.readyState === 'ended') ? 'ended' : 'system';
		this.#halt();
		if (this.state !== 'stopping') this.#to('stopping');
		for (const track of this.#tracks) track.stop();
		try {
			await this.#order;
			await this.#taken;
		} catch (error) {
			this.error ??= error; // whoever takes the bytes has said so already
		}
		this.#to('stopped');
		this.#finish(this.why);
	}

	#failed(error) {
		this.error ??= error;
		this.why ??= 'failed';
		if (this.#media.state !== 'inactive') this.#stop('failed'); // else `stop` follows by itself
	}

	#watch(track) {
		track.addEventListener('ended', () => {
			if (!this.running) return;
			this.muted.delete(track.kind);
			if (this.#tracks.every((one) => one.readyState === 'ended')) this.#stop('ended');
			else this.gone.add(track.kind);
			this.#onchange(this);
		});
		for (const event of ['mute', 'unmute']) {
			track.addEventListener(event, () => {
				if (event === 'mute') this.muted.add(track.kind);
				else this.muted.delete(track.kind);
				this.#onchange(this);
			});
		}
	}

	#to(state) {
		this.state = state;
		this.#onchange(this);
	}
}
