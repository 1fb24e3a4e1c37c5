// The picture of a recording's sound, which is the slider of the player too: click, drag, keys. Drawn on a canvas of our own from the
// server's peaks; without peaks it is a plain line. The slider says its place in words.
import { play as texts } from './texts.js';
import { element, setAttribute } from './ui.js';

const STEP_S = 5;
const LEAP_S = 30;
const BAR_PX = 2;
const GAP_PX = 1;
const LINE_PX = 6; // the height of a line without peaks
const GAIN_MOST = 8; // a quiet recording is drawn larger, but noise stays noise

/** "1 minute 5 seconds" */
export function spanWords(seconds) {
	const s = Math.max(0, Math.round(seconds));
	return texts.span(Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60);
}

/** The peaks (0 to 255) as heights of `count` bars, 0 to 1: each bar is the highest of what it covers. */
export function barsOf(peaks, count) {
	const highest = peaks.reduce((most, peak) => Math.max(most, peak), 1);
	const gain = Math.min(GAIN_MOST, 255 / highest) / 255;
	return Array.from({ length: count }, (_, bar) => {
		const from = Math.floor(bar * peaks.length / count);
		const to = Math.max(from + 1, Math.floor((bar + 1) * peaks.length / count));
		let most = 0;
		for (let i = from; i < to && i < peaks.length; i++) most = Math.max(most, peaks[i]);
		return Math.min(1, most * gain);
	});
}

/** Where a key takes the slider, in seconds; null: not a key of its. */
export function keyTarget(key, at, duration) {
	const target = {
		ArrowLeft: at - STEP_S, ArrowDown: at - STEP_S, ArrowRight: at + STEP_S, ArrowUp: at + STEP_S,
		PageDown: at - LEAP_S, PageUp: at + LEAP_S, Home: 0, End: duration,
	}[key];
	return target === undefined ? null : Math.min(duration, Math.max(0, target));
}

export class Wave {
	duration = null;
	at = 0; // seconds

	#node;
	#canvas;
	#peaks = null;
	#bars = [];
	#dragged = null; // where the finger is, in seconds
	#onseek;
	#drawn = false;
	#said = '';

	/** Makes `node` the slider. `onseek(seconds)` when somebody wants to go there. */
	constructor(node, onseek) {
		this.#node = node;
		this.#onseek = onseek;
		this.#canvas = element('canvas', { 'aria-hidden': 'true' });
		node.append(this.#canvas);
		for (const [name, value] of Object.entries({ role: 'slider', tabindex: '0', 'aria-label': texts.position, 'aria-valuemin': '0' }))
			node.setAttribute(name, value);
		new ResizeObserver(() => this.#resized()).observe(node);
		matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
		node.addEventListener('pointerdown', (event) => this.#down(event));
		node.addEventListener('pointermove', (event) => this.#moved(event));
		node.addEventListener('pointerup', (event) => this.#up(event));
		node.addEventListener('pointercancel', () => this.#let());
		node.addEventListener('keydown', (event) => this.#key(event));
		this.show(0, null);
	}

	/** null: there are none. */
	set peaks(peaks) {
		this.#peaks = peaks;
		this.#node.dataset.wave = peaks === null ? 'none' : 'drawn';
		this.#resized();
	}

	/** Where it is, and how long all is (null: not known, nothing can be sought). */
	show(at, duration) {
		this.at = at;
		this.duration = duration;
		const said = duration === null ? spanWords(at) : texts.positionOf(spanWords(at), spanWords(duration));
		if (said !== this.#said) {
			this.#said = said;
			setAttribute(this.#node, 'aria-valuenow', String(Math.round(at)));
			setAttribute(this.#node, 'aria-valuemax', String(Math.max(Math.round(at), Math.round(duration ?? 0))));
			setAttribute(this.#node, 'aria-valuetext', said);
			setAttribute(this.#node, 'aria-disabled', duration === null ? 'true' : null);
		}
		this.#draw();
	}

	// --- seeking ---

	#place(event) {
		const { left, width } = this.#node.getBoundingClientRect();
		return Math.min(1, Math.max(0, (event.clientX - left) / width)) * this.duration;
	}

	#down(event) {
		if (this.duration === null || event.button !== 0) return;
		this.#node.setPointerCapture(event.pointerId);
		this.#drag(event);
	}

	#moved(event) {
		if (this.#dragged !== null) this.#drag(event);
	}

	#drag(event) {
		this.#dragged = this.#place(event);
		this.#onseek(this.#dragged);
		this.#draw();
	}

	#up(event) {
		if (this.#dragged === null) return;
		this.#onseek(this.#place(event));
		this.#let();
	}

	#let() {
		this.#dragged = null;
		this.#draw();
	}

	#key(event) {
		if (this.duration === null || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
		const target = keyTarget(event.key, this.at, this.duration);
		if (target === null) return;
		event.preventDefault();
		event.stopPropagation();
		this.#onseek(target);
	}

	// --- drawing ---

	#resized() {
		const { clientWidth, clientHeight } = this.#node;
		const scale = devicePixelRatio;
		Object.assign(this.#canvas, { width: Math.round(clientWidth * scale), height: Math.round(clientHeight * scale) });
		const count = Math.max(1, Math.floor(clientWidth / (BAR_PX + GAP_PX)));
		this.#bars = this.#peaks === null || this.#peaks.length === 0 ? [] : barsOf(this.#peaks, count);
		this.#draw();
	}

	#draw() {
		if (this.#drawn) return;
		this.#drawn = true;
		requestAnimationFrame(() => {
			this.#drawn = false;
			this.#paint();
		});
	}

	#paint() {
		const context = this.#canvas.getContext('2d');
		const style = getComputedStyle(this.#node);
		const colour = (name) => style.getPropertyValue(name);
		const scale = devicePixelRatio;
		const width = this.#canvas.width / scale;
		const height = this.#canvas.height / scale;
		const at = this.#dragged ?? this.at;
		const played = this.duration === null || this.duration === 0 ? 0 : Math.min(1, at / this.duration) * width;
		context.setTransform(scale, 0, 0, scale, 0, 0);
		context.clearRect(0, 0, width, height);
		const bar = (x, wide, high) => {
			const top = (height - high) / 2;
			const done = Math.min(wide, Math.max(0, played - x));
			context.fillStyle = colour('--accent');
			context.fillRect(x, top, done, high);
			context.fillStyle = colour('--edge');
			context.fillRect(x + done, top, wide - done, high);
		};
		if (this.#bars.length === 0) bar(0, width, LINE_PX);
		else for (const [i, share] of this.#bars.entries()) bar(i * (BAR_PX + GAP_PX), BAR_PX, Math.max(2, share * (height - 8)));
		if (this.duration === null) return;
		context.fillStyle = colour('--ink');
		context.fillRect(Math.min(width - 2, Math.max(0, played - 1)), 0, 2, height);
	}
}
