// One recording on the desk: a list item that is made once and then changed in place, so that focus, selection and an open
// rename survive every update. Names and reasons from outside are text, never markup.
import { desk as texts } from './texts.js';
import { fileName, graceLeft, kindOf } from './takes.js';
import { bytesText, clockText, dateText, element, fullTimeText, setAttribute, setText } from './ui.js';

const MARKS = { live: '●', lost: '◌', waiting: '◌', saved: '✓', short: '✓', failed: '!', dropped: '–' };
const COLOURS = { live: 'live', lost: 'warn', waiting: 'warn', saved: 'good', short: 'good', failed: 'bad', dropped: '' };

export const nameOf = (take) => take.name?.trim() || texts.unnamed(dateText(take.createdAt));

function mediaOf(take) {
	if (take.mime?.startsWith('audio/')) return texts.kindAudio;
	return take.mime?.startsWith('video/') ? texts.kindVideo : texts.kindOther;
}

/** Where it comes from and what it is: "from phone-7 · video · 2 tracks, 1 sending". */
function originText(take) {
	const parts = [texts.from(take.owner), mediaOf(take)];
	const names = (take.tracks ?? []).map(({ track }) => track);
	if (names.length > 1) parts.push(texts.tracks(names.length, take.tracks.filter(({ attached }) => attached).length));
	if (take.revision > 1) parts.push(texts.revision(take.revision));
	return parts.join(' · ');
}

/** The tracks that are downloaded apart; [null] where there is one. */
function downloads(take) {
	const tracks = take.tracks ?? [];
	return tracks.length > 1 ? tracks.map(({ track }) => track) : [null];
}

export class Row {
	#actions;
	#editing = null;
	#downloadKey = null;
	#clock;

	/** `actions`: rename(id, name) and download(take, track), which return promises, and askDelete(id). `clock`: see tick(). */
	constructor(take, actions, clock) {
		this.take = take;
		this.#actions = actions;
		this.#clock = clock;
		this.mark = element('span', { class: 'mark', 'aria-hidden': 'true' });
		this.word = element('span', { class: 'word' });
		this.link = element('a', { href: `/play/${encodeURIComponent(take.id)}` });
		this.title = element('h3', { class: 'name' }, this.link);
		this.origin = element('p', { class: 'origin soft small' });
		this.why = element('p', { class: 'why small' });
		this.trouble = element('p', { class: 'notice bad', role: 'alert', hidden: true });
		this.size = element('span', { class: 'figure size' });
		this.time = element('time', {});
		this.span = element('span', { class: 'figure' });
		this.renameButton = element('button', { class: 'plain', type: 'button', onclick: () => this.edit() }, texts.rename);
		// Where the name leads too; for those who look for a word to click on. Tab finds the name.
		this.play = element('a', { class: 'plain', href: this.link.href, tabindex: '-1' }, texts.play);
		this.downloads = element('span', { class: 'downloads' });
		this.deleteButton = element('button', { class: 'plain danger', type: 'button',
			onclick: () => actions.askDelete(this.take.id) }, texts.delete);
		this.li = element('li', { class: 'take' },
			element('p', { class: 'state' }, this.mark, this.word),
			this.what = element('div', { class: 'what' }, this.title, this.origin, this.why, this.trouble),
			element('p', { class: 'figures' }, this.size, element('span', { class: 'when' }, this.time, ' ', this.span)),
			this.buttons = element('div', { class: 'actions' }, this.play, this.downloads, this.renameButton, this.deleteButton));
		this.update(take);
	}

	get editing() {
		return this.#editing !== null;
	}

	update(take) {
		this.take = take;
		const kind = kindOf(take);
		const name = nameOf(take);
		setAttribute(this.li, 'data-kind', kind);
		setText(this.mark, MARKS[kind]);
		setAttribute(this.mark, 'class', `mark ${COLOURS[kind]}`);
		setText(this.word, texts.finishing[take.phase] ?? texts.state[kind]);
		setText(this.link, name);
		setAttribute(this.link, 'title', texts.playOf(name));
		setAttribute(this.play, 'aria-label', texts.playOf(name));
		setText(this.origin, originText(take));
		setText(this.size, bytesText(take.bytes));
		setText(this.time, dateText(take.createdAt));
		setAttribute(this.time, 'datetime', new Date(take.createdAt).toISOString());
		setAttribute(this.time, 'title', fullTimeText(take.createdAt));
		setAttribute(this.renameButton, 'aria-label', texts.renameOf(name));
		setAttribute(this.deleteButton, 'aria-label', texts.deleteOf(name));
		this.#updateDownloads(name);
		this.tick();
	}

	/** What changes with time alone. The clock tells { now, heardAt(id), wall, live }. */
	tick() {
		const { take } = this;
		const kind = kindOf(take);
		const clock = this.#clock();
		setText(this.span, kind === 'live' && clock.live ? texts.running(clockText(clock.wall - take.createdAt)) : '');
		let why = '';
		if (kind === 'lost') {
			why = clock.live ? texts.why.lost(clockText(graceLeft(take, clock.heardAt(take.id) ?? clock.now, clock.now)))
				: texts.why.lostStale;
		} else if (kind === 'failed') {
			why = `${take.error?.message ? texts.why.failed(take.error.message) : texts.why.failedUnknown} ${texts.kept}`;
		} else if (texts.why[kind]) {
			why = texts.why[kind];
		}
		setText(this.why, why);
		this.why.hidden = why === '';
	}

	#updateDownloads(name) {
		const { take } = this;
		const tracks = downloads(take);
		const key = JSON.stringify([tracks, name, take.mime]);
		if (key === this.#downloadKey) return;
		const focused = this.downloads.contains(document.activeElement);
		this.#downloadKey = key;
		this.downloads.replaceChildren(...tracks.map((track) => element('a', {
			class: 'plain', href: this.#actions.originalUrl(take.id, track), download: fileName(take, track),
			'aria-label': texts.downloadOf(name, track),
			onclick: (event) => this.#download(event, track),
		}, track === null ? texts.download : `${texts.download} ${track}`)));
		if (focused) this.downloads.querySelector('a').focus();
	}

	async #download(event, track) {
		this.complain('');
		try {
			await this.#actions.download(event, this.take, track);
		} catch (error) {
			this.complain(texts.downloadFailed(error.message));
		}
	}

	complain(sentence) {
		setText(this.trouble, sentence);
		this.trouble.hidden = sentence === '';
	}

	// --- rename in place ---

	edit() {
		if (this.editing) return;
		const input = element('input', { class: 'input', type: 'text', maxlength: 200, autocomplete: 'off', 'aria-label': texts.newName });
		input.value = this.take.name ?? '';
		const save = element('button', { class: 'button', type: 'submit' }, texts.save);
		const cancel = element('button', { class: 'plain', type: 'button', onclick: () => this.#close() }, texts.cancel);
		const form = element('form', { class: 'rename', onsubmit: (event) => this.#submit(event) }, input, save, cancel);
		form.addEventListener('keydown', (event) => {
			if (event.key !== 'Escape' || event.isComposing) return;
			event.stopPropagation();
			this.#close();
		});
		this.#editing = { form, input, save };
		this.title.hidden = true;
		this.what.prepend(form);
		setAttribute(this.li, 'data-editing', '');
		input.focus();
		input.select();
	}

	async #submit(event) {
		event.preventDefault();
		const editing = this.#editing;
		const name = editing.input.value.trim();
		if (editing.save.disabled) return;
		if (name === '' || name === this.take.name) {
			this.#close();
			return;
		}
		editing.save.disabled = true;
		this.complain('');
		try {
			await this.#actions.rename(this.take.id, name);
			if (this.#editing === editing) this.#close();
		} catch (error) {
			editing.save.disabled = false; // what was typed stays
			this.complain(texts.renameFailed(error.message));
			if (this.#editing === editing) editing.input.focus();
		}
	}

	#close() {
		const { form } = this.#editing;
		const focused = form.contains(document.activeElement);
		this.#editing = null;
		this.title.hidden = false;
		form.remove();
		this.li.removeAttribute('data-editing');
		this.complain('');
		if (focused) this.renameButton.focus();
	}

	/** Deleted elsewhere while somebody works in this row: it says so and waits to be dismissed. */
	bury(ondismiss) {
		const dismiss = element('button', { class: 'plain', type: 'button', onclick: ondismiss }, texts.dismiss);
		const focused = this.li.contains(document.activeElement);
		this.#editing = null;
		this.li.removeAttribute('data-editing');
		this.li.setAttribute('data-kind', 'gone');
		this.li.replaceChildren(element('p', { class: 'gone' }, texts.goneElsewhere(nameOf(this.take))), dismiss);
		if (focused) dismiss.focus();
	}
}
