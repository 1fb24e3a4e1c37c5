// What the pages share: elements, texts, figures, and the voice for screen readers. Text from outside only ever becomes the
// text of an element or the value of an attribute, never markup.

export const at = (id) => document.getElementById(id);

/**
 * An element: element('a', { class: 'plain', href: '/' }, 'text', child …). `true` sets an attribute without a value; null
 * and false leave it out; a function is a listener (`onclick`). A string child is text.
 */
export function element(tag, attributes = {}, ...children) {
	const made = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (typeof value === 'function') made.addEventListener(name.slice(2), value);
		else if (value === true) made.setAttribute(name, '');
		else if (value !== null && value !== false && value !== undefined) made.setAttribute(name, String(value));
	}
	made.append(...children.filter((child) => child !== null && child !== undefined));
	return made;
}

/** Only a change is written: what a reader has selected stays, and a live region says each thing once. */
export function setText(node, text) {
	if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
	if (value === null) node.removeAttribute(name);
	else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Puts the sentences of `texts` where the page has data-text, data-label (its name for a screen reader) or data-placeholder. */
export function fillTexts(texts, root = document) {
	for (const node of root.querySelectorAll('[data-text]')) node.textContent = texts[node.dataset.text];
	for (const node of root.querySelectorAll('[data-label]')) node.setAttribute('aria-label', texts[node.dataset.label]);
	for (const node of root.querySelectorAll('[data-placeholder]')) node.placeholder = texts[node.dataset.placeholder];
	for (const node of root.querySelectorAll('[data-alt]')) node.alt = texts[node.dataset.alt];
}

/** Makes a link to the record page of the server at `url`, with its address as text. */
export function recordLink(node, url) {
	if (!/^https?:\/\//.test(url ?? '')) return;
	const { href } = new URL('/record', url);
	setText(node, href);
	setAttribute(node, 'href', href);
}

// --- figures ---

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** 0 B, 999 B, 1.25 kB, 16.4 MB, 312 GB: three digits, so that growing is seen and nothing jumps. */
export function bytesText(bytes) {
	let value = bytes;
	let unit = 0;
	while (value >= 999.5 && unit < UNITS.length - 1) {
		value /= 1000;
		unit += 1;
	}
	if (unit === 0) return `${Math.round(value)} B`;
	return `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)} ${UNITS[unit]}`;
}

/** 0:07, 12:31, 1:02:03 */
export function clockText(ms) {
	const s = Math.max(0, Math.floor(ms / 1000));
	const two = (n) => String(n).padStart(2, '0');
	const minutes = Math.floor(s / 60) % 60;
	return s >= 3600 ? `${Math.floor(s / 3600)}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short' });
const DAY_YEAR = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const FULL = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'medium' });

export const timeText = (ms) => TIME.format(ms);
export const fullTimeText = (ms) => FULL.format(ms);

/** 14:03 today, Tue, 4 Nov 14:03 within half a year, 4 Nov 2024 before. */
export function dateText(ms, now = Date.now()) {
	if (new Date(ms).toDateString() === new Date(now).toDateString()) return TIME.format(ms);
	if (Math.abs(now - ms) < 180 * 24 * 3600 * 1000) return `${DAY.format(ms)} ${TIME.format(ms)}`;
	return DAY_YEAR.format(ms);
}

// --- the voice ---

const VOICE_WAIT_MS = 1_500; // what happens together is said together
const VOICE_MOST = 3; // events at once; more become `many`

/** Says sentences through a polite live region, a few at a time. Of a crowd of events only `many(n)` is said. */
export class Voice {
	#region;
	#many;
	#sentences = [];
	#events = [];
	#timer = null;

	constructor(region, many) {
		this.#region = region;
		this.#many = many;
	}

	say(sentence) {
		this.#sentences.push(sentence);
		this.#timer ??= setTimeout(() => this.#speak(), VOICE_WAIT_MS);
	}

	/** One of the things that may happen by the dozen. */
	event(sentence) {
		this.#events.push(sentence);
		this.#timer ??= setTimeout(() => this.#speak(), VOICE_WAIT_MS);
	}

	#speak() {
		const events = this.#events.length > VOICE_MOST ? [this.#many(this.#events.length)] : this.#events;
		const said = [...this.#sentences, ...events];
		this.#timer = null;
		this.#sentences = [];
		this.#events = [];
		this.#region.replaceChildren(...said.map((sentence) => element('p', {}, sentence)));
	}
}
