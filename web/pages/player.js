// The media element with the controls around it. What it plays can be exchanged for another form of the same recording without losing the
// place: load() again.
import { Wave } from './wave.js';
import { play as texts } from './texts.js';
import { at, clockText, element, setAttribute, setText } from './ui.js';

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 3];
const SEEK_S = 5;
const FAR_S = 1e101; // behind every end: the browser then finds the last timestamp
const FIND_BYTES = 256e6; // a browser's own file has no index: finding its end reads all of it
const KEYS = { '<': -1, ',': -1, '>': 1, '.': 1 };

export class Player {
	media = null;
	#wave;
	#onlength;
	#onerror;
	#wanted = null; // the place, while the element is on its way elsewhere or not there yet
	#sent = null; // where it was sent last
	#finding = false; // it was sent behind its end to find that
	#known = null; // the length that the server told, in seconds
	#bytes = 0;

	/** `onlength(seconds or null)`; `onerror(media)` when it can't go on. */
	constructor({ onlength, onerror }) {
		this.#onlength = onlength;
		this.#onerror = onerror;
		this.#wave = new Wave(at('wave'), (seconds) => this.seek(seconds));
		for (const rate of SPEEDS) at('speed').append(element('option', { value: rate, selected: rate === 1 }, texts.speedOf(rate)));
		at('speed').addEventListener('change', () => this.#setSpeed(Number(at('speed').value)));
		at('toggle').addEventListener('click', () => this.toggle());
		at('mute').addEventListener('click', () => {
			if (this.media) this.media.muted = !this.media.muted;
		});
		at('volume').addEventListener('input', () => {
			if (this.media) Object.assign(this.media, { volume: Number(at('volume').value), muted: false });
		});
		at('full').addEventListener('click', () => this.#fullScreen());
		at('find').addEventListener('click', () => this.#findLength());
		addEventListener('keydown', (event) => this.#key(event));
	}

	/** Where it is, in seconds, and whether it plays. */
	get place() {
		return this.media === null ? { from: 0, playing: false } : { from: this.#wanted ?? this.media.currentTime, playing: !this.media.paused && !this.media.ended };
	}

	/** `kind`: audio or video. `duration`: if it is known. `bytes`: its size. `from`, `playing`: as `place` gave them. */
	load({ kind, url, label, poster = null, peaks = null, duration = null, bytes, from = 0, playing = false }) {
		this.unload();
		this.#known = duration;
		this.#bytes = bytes;
		this.#wanted = from > 0 ? from : null;
		this.#sent = null;
		const media = element(kind, { id: 'media', preload: 'metadata', playsinline: true, 'aria-label': label, poster });
		this.media = media;
		const mine = (handle) => () => media === this.media && handle();
		const events = {
			loadedmetadata: () => {
				media.playbackRate = Number(at('speed').value);
				this.#settled();
				this.#metadataCame();
				if (playing) media.play().catch(() => {});
			},
			durationchange: () => {
				this.#settled();
				this.#lengthChanged();
			},
			timeupdate: () => this.#moved(),
			seeking: () => this.#moved(),
			seeked: () => this.#settled(),
			play: () => this.#playing(),
			pause: () => this.#playing(),
			ended: () => this.#playing(),
			volumechange: () => this.#sound(),
			error: () => this.#onerror(media),
			ratechange: () => {
				if (SPEEDS.includes(media.playbackRate)) at('speed').value = String(media.playbackRate);
			},
		};
		for (const [name, handle] of Object.entries(events)) media.addEventListener(name, mine(handle));
		if (kind === 'video') {
			media.addEventListener('click', () => this.toggle());
			media.addEventListener('dblclick', () => this.#fullScreen());
			media.addEventListener('fullscreenchange', () => {
				media.controls = document.fullscreenElement === media; // there ours can't be seen
			});
		}
		media.volume = Number(at('volume').value);
		media.src = url;
		at('stage').replaceChildren(media);
		at('full').hidden = kind !== 'video';
		at('player').hidden = false;
		this.#wave.peaks = peaks;
		this.#wave.show(from, duration);
		this.#playing();
		this.#moved();
	}

	/** The peaks came later. */
	set peaks(peaks) {
		this.#wave.peaks = peaks;
	}

	unload() {
		const { media } = this;
		this.media = null;
		this.#wanted = null;
		this.#finding = false;
		at('player').hidden = true;
		at('find').hidden = true;
		if (media === null) return;
		media.removeAttribute('src');
		media.load(); // lets go of the connection
		media.remove();
	}

	toggle() {
		if (this.media === null) return;
		if (this.media.paused) this.media.play().catch(() => {});
		else this.media.pause();
	}

	/** A seek while another is under way waits for it: a drag asks for the newest place only. */
	seek(seconds) {
		const { media } = this;
		if (media === null) return;
		this.#wanted = seconds;
		this.#sent = null;
		this.#settled();
	}

	/** Unless it is on its way: on to where it is wanted by now. Where it then arrives counts, be it near or far. */
	#settled() {
		const { media } = this;
		if (media.readyState > 0 && (this.#finding ? Number.isFinite(media.duration) : !media.seeking)) {
			this.#finding = false;
			if (this.#wanted === this.#sent) this.#wanted = null;
			else if (this.#wanted !== null) this.#send(this.#wanted);
		}
		this.#moved();
	}

	#send(seconds) {
		this.#sent = seconds;
		this.media.currentTime = seconds;
	}

	get #duration() {
		if (this.media !== null && Number.isFinite(this.media.duration)) return this.media.duration;
		return this.#known;
	}

	// --- its length ---

	/** MediaRecorder writes no length. Going far behind the end makes the browser find it; then back to where we were. */
	#findLength() {
		const { media } = this;
		const { paused } = media;
		at('find').hidden = true;
		this.#wanted ??= media.currentTime;
		this.#finding = true;
		media.addEventListener('seeked', () => {
			if (media === this.media && !paused) media.play().catch(() => {}); // at the end it would have stopped
		}, { once: true });
		this.#send(FAR_S);
	}

	#metadataCame() {
		this.#lengthChanged();
		if (this.media.duration !== Infinity || this.#known !== null) return;
		if (this.#bytes <= FIND_BYTES) this.#findLength();
		else at('find').hidden = false;
	}

	#lengthChanged() {
		this.#moved();
		this.#onlength(this.#duration);
	}

	// --- what is on the screen ---

	#moved() {
		const { media } = this;
		if (media === null) return;
		const duration = this.#duration;
		const now = Math.min(this.#wanted ?? media.currentTime, duration ?? Infinity);
		this.#wave.show(now, duration);
		setText(at('clock'), duration === null ? clockText(now * 1000) : `${clockText(now * 1000)} / ${clockText(duration * 1000)}`);
	}

	#playing() {
		const { media } = this;
		const plays = !media.paused && !media.ended;
		setText(at('toggle'), plays ? texts.pause : texts.play);
		document.body.dataset.playing = String(plays);
		if (plays) this.#follow(media);
	}

	/** While it plays the picture moves with every frame; timeupdate alone comes four times a second. */
	#follow(media) {
		if (media !== this.media || media.paused) return;
		this.#moved();
		requestAnimationFrame(() => this.#follow(media));
	}

	#sound() {
		setText(at('mute'), this.media.muted ? texts.unmute : texts.mute);
		setAttribute(at('volume'), 'aria-valuetext', `${Math.round(this.media.volume * 100)} %`);
		at('volume').value = String(this.media.volume);
	}

	#setSpeed(rate) {
		at('speed').value = String(rate);
		if (this.media) this.media.playbackRate = rate;
	}

	#fullScreen() {
		if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
		else if (this.media.requestFullscreen) this.media.requestFullscreen().catch(() => {});
		else this.media.webkitEnterFullscreen?.(); // iPhones
	}

	// --- keys, wherever the focus is ---

	#key(event) {
		const { media } = this;
		if (media === null || event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || event.target.closest('select, input')) return;
		const step = KEYS[event.key];
		if (step) {
			const now = SPEEDS.indexOf(Number(at('speed').value));
			this.#setSpeed(SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, now + step))]);
		} else if (event.target === media && media.controls) {
			return; // the browser's own controls know the rest
		} else if (event.key === ' ' && !event.target.closest('a, button')) {
			this.toggle();
		} else if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
			const to = (this.#wanted ?? media.currentTime) + (event.key === 'ArrowLeft' ? -SEEK_S : SEEK_S);
			this.seek(Math.min(this.#duration ?? to, Math.max(0, to)));
		} else {
			return;
		}
		event.preventDefault();
	}
}
