// The shows on air, on the desk: who is on air, since when, for how many; what is not recorded; Listen and Stop. It asks the server every few
// seconds, and when a recording of a show has news.
import { clockText, element, setAttribute, setText, timeText } from './ui.js';
import { desk as texts, finish } from './texts.js';

const ASK_MS = 4_000;

export const showTitle = ({ show, name }) => (name?.trim() && name.trim() !== show ? `${name.trim()} (${show})` : show);

class ShowRow {
	constructor(show, onstop) {
		this.badge = element('strong', { class: 'badge' });
		this.title = element('h3', {});
		this.figures = element('p', { class: 'soft small figure' });
		this.plays = element('p', { class: 'small' });
		this.trouble = element('p', { class: 'notice', hidden: true });
		const path = encodeURIComponent(show.show);
		this.li = element('li', { class: 'show', 'data-show': show.show },
			this.badge,
			element('div', { class: 'what' }, this.title, this.figures, this.plays, this.trouble),
			element('div', { class: 'actions' },
				element('a', { class: 'button', href: `/listen/${path}`, 'aria-label': texts.airListenTo(show.show) }, texts.airListen),
				element('a', { class: 'button', href: `/?show=${path}`, 'aria-label': texts.showOf(show.show) }, texts.airRecordings),
				this.stop = element('button', { class: 'button', type: 'button', 'aria-label': texts.airStopOf(show.show), onclick: () => onstop(this.show) }, texts.airStop)));
	}

	update(show, heardAt, now) {
		this.show = show;
		const failed = show.recording === 'recording_failed';
		setAttribute(this.li, 'data-state', show.state);
		setText(this.badge, texts.airState[show.state]);
		setAttribute(this.badge, 'class', `badge ${show.state === 'live' ? 'air' : 'warn'}`);
		setText(this.title, showTitle(show));
		setText(this.figures, texts.airFigures(timeText(show.since), show.listeners, show.version));
		setText(this.plays, show.title ? texts.airPlays(show.title) : '');
		this.plays.hidden = !show.title;
		const left = Math.max(0, (show.graceLeftMs ?? 0) - (now - heardAt));
		const said = [failed ? texts.airFailed(show.error?.message ?? finish.noReason) : '', show.state === 'waiting' ? texts.airWaiting(clockText(left)) : ''].filter(Boolean).join(' ');
		setText(this.trouble, said);
		setAttribute(this.trouble, 'class', `notice ${failed ? 'bad' : 'warn'}`);
		this.trouble.hidden = said === '';
	}
}

export class AirList {
	#api;
	#section;
	#list;
	#onstop;
	#say;
	#rows = new Map(); // by the show's name: { row, heardAt }
	#first = true;
	#asking = null;
	#again = false;

	/** `onstop(show)`: the person wants it stopped. `say`: speaks to who does not see. */
	constructor({ api, section, list, onstop, say }) {
		this.#api = api;
		this.#section = section;
		this.#list = list;
		this.#onstop = onstop;
		this.#say = say;
	}

	begin() {
		this.ask();
		setInterval(() => !document.hidden && this.ask(), ASK_MS);
		setInterval(() => this.#draw(), 1000);
		document.addEventListener('visibilitychange', () => !document.hidden && this.ask());
	}

	/** Asks now; if that is under way, once more after it. */
	async ask() {
		if (this.#asking) {
			this.#again = true;
			return this.#asking;
		}
		this.#asking = this.#api.shows().then(({ items }) => this.#heard(items), () => {}); // the banner tells of a server that is away
		await this.#asking;
		this.#asking = null;
		if (this.#again) {
			this.#again = false;
			this.ask();
		}
	}

	#heard(items) {
		const now = performance.now();
		const there = new Set(items.map(({ show }) => show));
		for (const [name, { row }] of this.#rows) {
			if (there.has(name)) continue;
			this.#rows.delete(name);
			row.li.remove();
			this.#say(texts.sayOffAir(name));
		}
		for (const show of [...items].sort((a, b) => (a.show < b.show ? -1 : 1))) {
			const known = this.#rows.get(show.show);
			if (!known) this.#add(show, now);
			else this.#tell(known.row.show, show);
			const one = this.#rows.get(show.show);
			one.heardAt = now;
			one.row.update(show, now, now);
		}
		this.#first = false;
		this.#section.hidden = this.#rows.size === 0;
	}

	#add(show, heardAt) {
		const row = new ShowRow(show, this.#onstop);
		const after = [...this.#rows].filter(([name]) => name > show.show).map(([, one]) => one.row.li)[0] ?? null;
		this.#list.insertBefore(row.li, after);
		this.#rows.set(show.show, { row, heardAt });
		this.#rows = new Map([...this.#rows].sort(([a], [b]) => (a < b ? -1 : 1)));
		if (!this.#first) this.#say(texts.sayOnAir(show.show));
		this.#tell(null, show);
	}

	#tell(before, show) {
		if (show.recording === 'recording_failed' && before?.recording !== 'recording_failed')
			this.#say(texts.sayAirFailed(show.show, show.error?.message ?? finish.noReason));
	}

	#draw() {
		const now = performance.now();
		for (const { row, heardAt } of this.#rows.values()) if (row.show.state === 'waiting') row.update(row.show, heardAt, now);
	}
}
