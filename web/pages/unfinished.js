// The takes and files of this device that are not saved yet, each a row: what is left of it, what becomes of it, what can be done. What
// needs nobody is done at once: the rest of each is sent.
import { bytesText, element, setText } from './ui.js';
import { air, record as texts } from './texts.js';
import { linkSentence, problemSentence, unfinishedTitle } from './words.js';
import { airProblem } from './words_air.js';
import { saveCopy } from './copy.js';

const LOOK_MS = 2000; // how soon a take is noticed whose tab was closed
const HIDDEN_WAIT_MS = 10_000; // a tab in the background leaves that to others first, for instance to the one that reloads

const words = texts.unfinished;

/** How much of a take the server has not confirmed, by the newest that is known. */
export function notSafe({ info, state }) {
	return state ? Math.max(0, state.emittedBytes - state.safeBytes) : Math.max(0, info.keptBytes - info.safeBytes);
}

/** Whether this tab should take the work on: `freeMs` is for how long nobody has had it. */
export function shouldResume({ info, take, refused }, { hidden, freeMs }) {
	if (take || refused || !info.here || info.owner !== null) return false;
	if (info.problem && !info.problem.resumable) return false;
	if (hidden && freeMs < HIDDEN_WAIT_MS) return false;
	return info.ended || info.keptBytes > info.safeBytes || info.file !== null;
}

function openSentence(info, show) {
	if (!info.show) return words.open;
	return info.show === show ? air.row.openHere : air.row.open(info.show);
}

/** The sentence under a row's title. `show`: the one that the page is about. */
export function rowSentence({ info, take, state, refused }, show = null) {
	if (!info.here) return words.otherServer(info.server);
	if (!take && info.owner === 'other') return words.elsewhere;
	const problem = refused ?? state?.problem ?? (take ? null : info.problem);
	if (problem) return info.show ? airProblem(problem) : problemSentence(problem);
	const over = state?.done && state.link !== 'released';
	const idle = !info.ended && !state?.ended && notSafe({ info, state }) === 0;
	if (!over && idle) return openSentence(info, show);
	return state ? linkSentence(state, 'finishing') : openSentence(info, show);
}

export class Unfinished {
	#client;
	#section;
	#list;
	#onGoOn;
	#mayGoOn;
	#show; // that the page is about: null on the page of recordings
	#ready; // before that nothing is touched
	#rows = new Map(); // by sessionId: { info, take, state, freeSince, nodes }
	#except = () => null; // the take that the page shows itself
	#now;

	constructor({ client, section, list, onGoOn, mayGoOn, except, show = null, ready = () => true, now = () => Date.now() }) {
		Object.assign(this, { onerror: () => {} });
		this.#client = client;
		this.#section = section;
		this.#list = list;
		this.#onGoOn = onGoOn;
		this.#mayGoOn = mayGoOn;
		this.#show = show;
		this.#ready = ready;
		this.#except = except;
		this.#now = now;
		setInterval(() => this.look(), LOOK_MS);
		document.addEventListener('visibilitychange', () => this.look());
	}

	#looking = false;

	/** Looks again at what this device has. */
	async look() {
		if (this.#looking || !this.#ready()) return;
		this.#looking = true;
		try {
			const found = await this.#client.unfinished();
			const except = this.#except();
			for (const info of found) if (info.sessionId !== except) this.#seen(info);
			this.#forget(new Set(found.map(({ sessionId }) => sessionId)), except);
			await this.#resumeAll();
		} catch (error) {
			this.onerror(error);
		} finally {
			this.#looking = false;
		}
		this.render();
	}

	/** A take of this page that it no longer shows itself. */
	adopt(take) {
		if (take.state.link === 'released') return this.look(); // it was let go of
		this.#waiting.set(take.sessionId, take);
		return this.look();
	}

	#waiting = new Map(); // takes that have no row yet

	/** Something would be lost if the page were closed now. */
	get fragile() {
		return [...this.#rows.values()].some(({ state, info }) => state && !state.done && info.file === null
			&& (state.memoryBytes > 0 || (state.keptIn === 'memory' && state.safeBytes < state.emittedBytes)));
	}

	#seen(info) {
		let row = this.#rows.get(info.sessionId);
		if (!row) {
			row = { info, take: null, state: null, freeSince: this.#now(), refused: null, asking: false, nodes: null };
			row.nodes = this.#build(row);
			this.#rows.set(info.sessionId, row);
			this.#list.append(row.nodes.item);
		}
		if (info.owner === 'other') row.freeSince = null;
		else row.freeSince ??= this.#now();
		row.info = info;
		const take = this.#waiting.get(info.sessionId);
		this.#waiting.delete(info.sessionId);
		if (take) this.#follow(row, take);
	}

	/** Rows that were saved meanwhile stay, with their link; what another tab has finished, or what was thrown away, goes. */
	#forget(known, except) {
		for (const [sessionId, row] of this.#rows) {
			if (sessionId !== except && (known.has(sessionId) || row.state?.link === 'saved')) continue;
			row.nodes.item.remove();
			this.#rows.delete(sessionId);
		}
	}

	async #resumeAll() {
		for (const row of this.#rows.values()) {
			const freeMs = row.freeSince === null ? 0 : this.#now() - row.freeSince;
			const hidden = document.visibilityState === 'hidden';
			if (!shouldResume(row, { hidden, freeMs })) continue;
			await this.#take(row).catch(({ code, message }) => {
				row.refused = { code, message };
			});
		}
	}

	/** The row's take, resumed if it is not yet at work. */
	async #take(row) {
		if (row.take && !row.state.done) return row.take;
		const take = await this.#client.resume(row.info.sessionId, row.info.show === null ? {} : { onAir: false });
		this.#follow(row, take);
		return take;
	}

	#follow(row, take) {
		row.take = take;
		row.refused = null;
		take.onState((state) => {
			if (row.take !== take) return;
			row.state = state;
			this.#settle(row, take, state);
			this.render();
		});
	}

	/** All is safe and nobody goes on with it: the link is given up, so that the server may finish what it has. */
	#settle(row, take, state) {
		if (state.link === 'released') {
			row.take = null;
		} else if (state.link === 'standby') { // another tab was quicker; it is looked at again later
			take.release().catch(this.onerror);
		} else if (state.link === 'stopped' && state.problem?.resumable) {
			row.take = null; // looked at again when its cause may be over
			row.info = { ...row.info, problem: state.problem, owner: 'other' }; // but not before the next look
		} else if (!state.done && !state.ended && state.link === 'sending' && notSafe(row) === 0 && row.info.file === null) {
			take.release().catch(this.onerror);
		}
	}

	#build(row) {
		const title = element('h3', { id: `row-${row.info.sessionId}` });
		const figures = element('p', { class: 'soft small figure' });
		const bar = element('progress', { max: 1, value: 0, 'aria-label': texts.page.share });
		const text = element('p', { role: 'status' });
		const sure = element('p', { class: 'notice warn', hidden: true });
		const button = (name, what) => element('button', { type: 'button', class: 'button', hidden: true, onclick: () => this.#press(row, what) }, name);
		const nodes = {
			title, figures, bar, text, sure,
			goOn: button(row.info.show === null ? words.goOn : air.row.goOn, 'goOn'), finish: button(words.finish, 'finish'), save: button(words.save, 'save'),
			discard: button(words.discard, 'discard'), yes: button(words.discardYes, 'yes'), no: button(words.discardNo, 'no'),
			result: element('a', { class: 'button', hidden: true }, words.result),
		};
		const buttons = element('div', { class: 'buttons' },
			nodes.result, nodes.goOn, nodes.finish, nodes.save, nodes.discard, nodes.yes, nodes.no);
		nodes.item = element('li', { class: 'panel', 'aria-labelledby': title.id, 'data-session': row.info.sessionId },
			title, figures, bar, text, sure, buttons);
		return nodes;
	}

	async #press(row, what) {
		try {
			await this.#act(row, what);
		} catch (error) {
			this.onerror(error);
		}
		this.render();
	}

	async #act(row, what) {
		const { info } = row;
		if (what === 'goOn') {
			const take = await this.#take(row);
			row.take = null; // the page shows it now
			row.nodes.item.remove();
			this.#rows.delete(info.sessionId);
			await this.#onGoOn(take);
		} else if (what === 'finish') {
			await (await this.#take(row)).end();
		} else if (what === 'save') {
			const copy = await (row.take?.localCopy() ?? this.#client.localCopy(info.sessionId));
			await saveCopy(copy, info);
			if (copy.from > 0) setText(row.nodes.sure, texts.take.copyBegins(bytesText(copy.from)));
			row.nodes.sure.hidden = copy.from === 0;
		} else if (what === 'yes') {
			await (row.take && !row.state?.done ? row.take.discard() : this.#client.discard(info.sessionId));
			row.nodes.item.remove();
			this.#rows.delete(info.sessionId);
		} else {
			row.asking = what === 'discard';
			setText(row.nodes.sure, row.asking ? words.discardSure(bytesText(notSafe(row))) : '');
			row.nodes.sure.hidden = !row.asking;
			this.#draw(row);
			row.nodes[row.asking ? 'no' : 'discard'].focus();
		}
	}

	render() {
		this.#section.hidden = this.#rows.size === 0;
		for (const row of this.#rows.values()) this.#draw(row);
	}

	#draw(row) {
		const { info, state, nodes } = row;
		const all = state?.emittedBytes ?? info.keptBytes;
		const left = notSafe(row);
		const saved = state?.link === 'saved';
		const mine = info.here && (row.take !== null || info.owner !== 'other');
		const stuck = row.refused !== null || state?.link === 'stopped' || (info.problem !== null && row.take === null);
		const elsewhere = row.take === null && info.owner === 'other' && !stuck;
		setText(nodes.title, (info.show ? air.row.title(info.show) : '') + unfinishedTitle(info, elsewhere ? null : left, bytesText));
		nodes.figures.hidden = elsewhere;
		nodes.bar.hidden = elsewhere;
		setText(nodes.figures, (info.file ? words.fileFigures : words.figures)(bytesText(all), bytesText(all - left), bytesText(state?.readBytes ?? all - left)));
		nodes.bar.value = all === 0 ? 0 : (all - left) / all;
		setText(nodes.text, rowSentence(row, this.#show));
		nodes.item.dataset.link = state?.link ?? (mine ? 'idle' : 'elsewhere');
		const open = mine && !saved && !stuck && !info.ended && !state?.ended && info.file === null;
		nodes.goOn.hidden = !open || row.asking || info.show !== this.#show || !this.#mayGoOn();
		nodes.finish.hidden = !open || row.asking;
		nodes.save.hidden = saved || elsewhere || row.asking || info.file !== null || left === 0 || (mine && !stuck && state?.link !== 'waiting');
		nodes.discard.hidden = saved || row.asking || !(stuck || (mine && state?.link === 'waiting') || !info.here);
		nodes.yes.hidden = !row.asking;
		nodes.no.hidden = !row.asking;
		const id = state?.id ?? info.id;
		nodes.result.hidden = !saved;
		if (id !== null) nodes.result.href = `/play/${id}`;
	}
}
