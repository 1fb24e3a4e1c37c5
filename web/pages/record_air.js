// The record page of a show, /record?show=NAME: what is on air, who listens, what is recorded, and what would happen if the page went on air
// now. It follows the show also before and after; live.js has the take.
import { at, setAttribute, setText } from './ui.js';
import { air as texts } from './texts.js';
import { againSentence, airSentence, alarmSentence, badge, beforeSentence, mayBegin, ownTake, showOf, validShow } from './words_air.js';

const ENDED = 'holdfast.ended'; // sessionStorage: the show that was ended in this tab: it does not go on air again by itself
const FIRST_MS = 5_000; // without an answer the person decides

/** What the page says instead of what it says of a recording. */
export const airTexts = (show) => ({ heading: texts.heading(show), record: texts.go, goOn: texts.row.goOn, stop: texts.end, takeHeading: texts.takeHeading,
	what: texts.what, name: texts.title, preview: texts.preview, recorded: texts.captured, safe: texts.safe, share: texts.share });

/** The show in the address: null if there is none, '' if that is no name of one. */
export function showInAddress({ search }) {
	const show = new URLSearchParams(search).get('show');
	return show === null ? null : validShow(show) ? show : '';
}

export class AirPage {
	name;
	mine = null; // this device's unfinished take that is on air
	elsewhere = false; // another tab has one
	looked = false; // all this is known
	decided = false; // whether it goes on air by itself: from here on the person does
	#client;
	#follower = null;
	#followed = null;
	#onchange;
	#ended;

	constructor({ client, name, onchange }) {
		this.name = name;
		this.#client = client;
		this.#onchange = onchange;
		this.#ended = this.#wasEnded();
		at('air-page').href = `/listen/${encodeURIComponent(name)}`;
		setText(at('air-page'), texts.listenPage);
		at('air-page').hidden = false;
	}

	/** Resolves when the show is known, or when it is not to be had. To be called again when this page was paired. */
	follow() {
		this.#follower?.close();
		return new Promise((resolve) => {
			setTimeout(resolve, FIRST_MS);
			this.#follower = this.#client.followShow(this.name, { onChange: ({ show, link }) => {
				if (show !== null) this.#followed = show;
				if (show !== null || link === 'stopped') resolve();
				this.#onchange();
			} });
		});
	}

	async look() {
		Object.assign(this, ownTake(await this.#client.unfinished(), this.name, this.#followed), { looked: true });
	}

	/** It can't be recorded: it is not gone on with as its next part; the next version is another take's. */
	get failed() {
		return this.#followed?.recording === 'recording_failed';
	}

	/** The take to go on with; null: a new one. */
	get take() {
		const there = this.#followed !== null && this.#followed.state !== 'off' && this.#followed.id === this.mine?.id;
		return there && !this.failed ? this.mine : null;
	}

	may({ able, access, source }) {
		return mayBegin({ able, access, source, ended: this.#ended, show: this.#followed, mine: this.mine !== null, elsewhere: this.elsewhere });
	}

	began() {
		this.#ended = false;
		this.mine = null;
		this.#remember(null);
	}

	ended() {
		this.#ended = true;
		this.mine = null;
		this.#remember(this.name);
	}

	#wasEnded() {
		try {
			return sessionStorage.getItem(ENDED) === this.name;
		} catch {
			return false;
		}
	}

	#remember(name) {
		try {
			if (name === null) sessionStorage.removeItem(ENDED);
			else sessionStorage.setItem(ENDED, name);
		} catch {
			// then a reload goes on air again
		}
	}

	/** All that is not of any other recording. `able`: this page may go on air. */
	render(live, { able }) {
		const show = showOf(live, this.#followed);
		const { word, look } = badge(live);
		const on = live.take !== null;
		document.body.dataset.air = on ? look : '';
		at('air').hidden = !on;
		setText(at('air-badge'), word);
		setAttribute(at('air-badge'), 'class', `badge ${look}`);
		setText(at('air-listeners'), on && show !== null && show.state !== 'off' ? texts.listeners(show.listeners) : '');
		this.#say('air-alarm', alarmSentence(live.state));
		this.#say('air-again', againSentence(live.state));
		const waits = !live.busy && live.stage !== 'interrupted' && able;
		const press = this.#ended || this.decided || live.take !== null ? texts.go : null;
		const before = this.elsewhere ? texts.elsewhere : beforeSentence(show, { mine: this.mine !== null, press, now: Date.now() });
		this.#say('air-before', waits ? before : '');
		setAttribute(at('air-before'), 'class', `notice ${show !== null && show.state !== 'off' && this.mine === null ? 'warn' : ''}`);
	}

	#say(id, sentence) {
		setText(at(id), sentence);
		at(id).hidden = sentence === '';
	}

	/** The take's link, in words. */
	sentence(live) {
		return airSentence(live.state, live.stage, Date.now());
	}
}
