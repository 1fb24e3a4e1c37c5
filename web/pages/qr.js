// The desk's panel for pairing a phone: the code, what it says as text, and how long it is good. A code that was used or has
// expired is replaced: the server is asked now and then while the page is looked at.
import { desk as texts } from './texts.js';
import { at, recordLink as link, setText, timeText } from './ui.js';
import { readToken } from './token.js';

const ASK_MS = 3_000; // a phone that was paired is noticed within this
const ASK_OFF_MS = 30_000; // --lan takes a restart

export class QrPanel {
	#api;
	#say;
	#shown = null; // the pairing link on show
	#pairUrl = null; // of the server's last answer: another one when a phone was paired
	#plain = false; // the code for phones that do not trust the certificate
	#expiresAt = null;
	#picture = null; // its object URL
	#timer = null;

	constructor(api, say) {
		this.#api = api;
		this.#say = say;
		at('pair-copy').addEventListener('click', () => this.#copy());
		at('pair-swap').addEventListener('click', () => this.#swap());
		document.addEventListener('visibilitychange', () => this.#ask());
	}

	start() {
		return this.#ask();
	}

	stop() {
		clearTimeout(this.#timer);
		at('pair').hidden = true;
	}

	/** The link to the server is lost or back. */
	connected(live) {
		at('pair').toggleAttribute('data-old', !live);
		if (this.#shown !== null) this.#until(live ? this.#validity() : texts.pairStale);
		if (live) this.#ask();
	}

	#validity() {
		const sentence = this.#expiresAt === null ? '' : texts.pairUntil(timeText(this.#expiresAt));
		return this.#plain ? texts.pairIsPlain(sentence) : sentence;
	}

	#until(sentence) {
		setText(at('pair-until'), sentence);
	}

	async #ask() {
		clearTimeout(this.#timer);
		if (document.hidden) return;
		let wait = ASK_MS;
		try {
			const lan = await this.#api.lan();
			if (lan.enabled) await this.#show(lan);
			else wait = ASK_OFF_MS;
			at('pair-on').hidden = !lan.enabled;
			at('pair-off').hidden = lan.enabled;
			at('pair').hidden = false;
		} catch (error) {
			if (error.status === 401 || error.status === 403) {
				this.stop(); // this browser may not pair others
				return;
			}
		}
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.#ask(), wait);
	}

	async #show(lan) {
		const url = this.#plain ? lan.plainPairUrl : lan.pairUrl;
		if (url === this.#shown) return;
		const used = this.#pairUrl !== null && lan.pairUrl !== this.#pairUrl && Date.now() < this.#expiresAt;
		const token = readToken();
		const answer = await fetch(`/api/lan/qr.svg?scheme=${this.#plain ? 'http' : 'https'}`, { cache: 'no-store', headers: token ? { authorization: `Bearer ${token}` } : {} });
		if (!answer.ok) throw new Error(answer.statusText);
		const picture = URL.createObjectURL(new Blob([await answer.arrayBuffer()], { type: 'image/svg+xml' }));
		at('qr').src = picture;
		at('qr').hidden = false;
		if (this.#picture) URL.revokeObjectURL(this.#picture);
		this.#picture = picture;
		this.#shown = url;
		this.#pairUrl = lan.pairUrl;
		this.#expiresAt = lan.pairExpiresAt ?? null;
		link(at('pair-url'), lan.url);
		link(at('pair-plain'), lan.plainUrl);
		setText(at('pair-swap'), this.#plain ? texts.pairShowSecure : texts.pairShowPlain);
		at('pair-swap').hidden = typeof lan.plainPairUrl !== 'string';
		this.#until(used ? texts.pairUsed : this.#validity());
		if (used) this.#say(texts.pairUsed);
	}

	async #swap() {
		this.#plain = !this.#plain;
		await this.#ask();
		this.#say(this.#validity());
	}

	async #copy() {
		try {
			await navigator.clipboard.writeText(this.#shown);
			this.#until(texts.pairCopied);
			this.#say(texts.pairCopied);
		} catch {
			this.#until(texts.pairCopyFailed);
			this.#say(texts.pairCopyFailed);
		}
	}
}
