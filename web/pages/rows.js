// One recording on the desk: a list item that is made once and then changed in place, so that focus, selection and an open
// rename survive every update. Names and reasons from outside are text, never markup.
import { desk as texts, finish } from './texts.js';
import { nameOf, originOf, stepText, tryFailedText, warningTexts } from './finishing.js';
import { fileName, graceLeft, hasOriginal, kindOf } from './takes.js';
import { bytesText, clockText, dateText, element, fullTimeText, setAttribute, setText } from './ui.js';

const MARKS = { live: '●', lost: '◌', waiting: '◌', saved: '✓', short: '✓', failed: '!', dropped: '–', fetching: '◌' };
const COLOURS = { live: 'live', lost: 'warn', waiting: 'warn', saved: 'good', short: 'good', failed: 'bad', dropped: '', fetching: '' };

function mediaOf(take) {
	const mime = take.file?.mime ?? take.mime ?? '';
	if (mime.startsWith('audio/')) return texts.kindAudio;
	return mime.startsWith('video/') ? texts.kindVideo : texts.kindOther;
}

/** Where it comes from and what it is: "from phone-7 · video · 3:12 · 2 tracks, 1 sending". */
function originText(take) {
	const parts = [texts.from(originOf(take)), mediaOf(take)];
	if (typeof take.duration === 'number') parts.push(clockText(take.duration * 1000));
	const names = (take.tracks ?? []).map(({ track }) => track);
	if (names.length > 1) parts.push(texts.tracks(names.length, take.tracks.filter(({ attached }) => attached).length));
	if (take.revision > 1) parts.push((take.show ? texts.revisionOf : texts.revision)(take.revision));
	return parts.join(' · ');
}

/** The word for its state. Saved is about its bytes; ready, about what was made of them. */
function wordOf(take, kind) {
	if (kind === 'fetching' && take.fetch === 'on_demand' && take.bytes === 0 && !(take.attempt > 0)) return texts.notFetched;
	if (kind === 'saved' && take.file && take.file.revision === take.revision) return texts.ready;
	return texts.state[kind];
}

/** What can be downloaded: the file, and the bytes as they were received, each track of its own. */
function downloadsOf(take) {
	const tracks = (take.tracks ?? []).map(({ track }) => track);
	const links = take.file ? [{ what: 'file', track: null, name: fileName({ ...take, mime: take.file.mime }) }] : [];
	if (!hasOriginal(take) || take.file?.asIs && tracks.length < 2) return links;
	return [...links, ...(tracks.length > 1 ? tracks : [null]).map((track) => ({ what: 'original', track, name: fileName(take, track) }))];
}

let seen = null;

/** Calls a row's `seen()` once, when it comes near the view. */
function whenSeen(row) {
	seen ??= new IntersectionObserver((entries) => {
		for (const { isIntersecting, target } of entries) {
			if (!isIntersecting) continue;
			seen.unobserve(target);
			target.row.seen();
		}
	}, { rootMargin: '300px' });
	row.li.row = row;
	seen.observe(row.li);
}

export class Row {
	#actions;
	#editing = null;
	#downloadKey = null;
	#pictureKey = null;
	#clock;

	/**
	 * `actions`: rename(id, name), download(event, take, what, track), complete(id) and pictureUrl(id), which return promises, url(id, what, track)
	 * and askDelete(id). `clock`: see tick().
	 */
	constructor(take, actions, clock) {
		this.take = take;
		this.#actions = actions;
		this.#clock = clock;
		this.mark = element('span', { class: 'mark', 'aria-hidden': 'true' });
		this.word = element('span', { class: 'word' });
		this.link = element('a', { href: `/play/${encodeURIComponent(take.id)}` });
		this.title = element('h3', { class: 'name' }, this.link);
		this.show = element('a', {});
		this.originText = element('span', {});
		this.origin = element('p', { class: 'origin soft small' }, this.show, this.originText);
		this.why = element('p', { class: 'why small' });
		this.step = element('p', { class: 'step small figure' });
		this.warnings = element('p', { class: 'warnings small' });
		this.picture = element('img', { class: 'picture', alt: '', width: 96, height: 54, hidden: true });
		this.trouble = element('p', { class: 'notice bad', role: 'alert', hidden: true });
		this.size = element('span', { class: 'figure size' });
		this.time = element('time', {});
		this.span = element('span', { class: 'figure' });
		this.renameButton = element('button', { class: 'plain', type: 'button', onclick: () => this.edit() }, texts.rename);
		// Where the name leads too; for those who look for a word to click on. Tab finds the name.
		this.play = element('a', { class: 'plain', href: this.link.href, tabindex: '-1' }, texts.play);
		this.downloads = element('span', { class: 'downloads' });
		this.again = element('button', { class: 'plain', type: 'button', hidden: true, onclick: () => this.#finishAgain() }, finish.tryAgain);
		this.deleteButton = element('button', { class: 'plain danger', type: 'button',
			onclick: () => actions.askDelete(this.take.id) }, texts.delete);
		this.li = element('li', { class: 'take' },
			element('p', { class: 'state' }, this.mark, this.word),
			this.picture,
			this.what = element('div', { class: 'what' }, this.title, this.origin, this.step, this.why, this.warnings, this.trouble),
			element('p', { class: 'figures' }, this.size, element('span', { class: 'when' }, this.time, ' ', this.span)),
			this.buttons = element('div', { class: 'actions' }, this.play, this.downloads, this.again, this.renameButton, this.deleteButton));
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
		setText(this.word, wordOf(take, kind));
		setText(this.link, name);
		setAttribute(this.link, 'title', texts.playOf(name));
		setAttribute(this.play, 'aria-label', texts.playOf(name));
		this.#updateOrigin();
		setText(this.size, bytesText(take.bytes));
		setText(this.time, dateText(take.createdAt));
		setAttribute(this.time, 'datetime', new Date(take.createdAt).toISOString());
		setAttribute(this.time, 'title', fullTimeText(take.createdAt));
		setAttribute(this.renameButton, 'aria-label', texts.renameOf(name));
		setAttribute(this.deleteButton, 'aria-label', texts.deleteOf(name));
		setAttribute(this.again, 'aria-label', finish.tryAgainOf(name));
		this.#updateWork(kind);
		this.#updatePicture();
		this.#updateDownloads(name);
		this.tick();
	}

	#updateOrigin() {
		const { show, version } = this.take;
		this.show.hidden = typeof show !== 'string';
		setText(this.originText, `${this.show.hidden ? '' : ' · '}${originText(this.take)}`);
		if (this.show.hidden) return;
		setText(this.show, texts.showVersion(show, version));
		setAttribute(this.show, 'href', `/?show=${encodeURIComponent(show)}`);
		setAttribute(this.show, 'title', texts.showOf(show));
	}

	#updateWork(kind) {
		const { take } = this;
		const step = kind === 'failed' ? '' : stepText(take); // a failure's reason is its `why`
		setText(this.step, step);
		this.step.toggleAttribute('data-again', take.attempt > 0 && take.lastError !== null);
		this.step.hidden = step === '';
		const warnings = warningTexts(take).join(' ');
		setText(this.warnings, warnings);
		this.warnings.hidden = warnings === '';
		const focused = this.again === document.activeElement;
		this.again.hidden = kind !== 'failed' || take.sessionId === null;
		if (focused && this.again.hidden) this.link.focus();
	}

	// --- its picture ---

	#updatePicture() {
		const { take } = this;
		const key = take.file?.thumbnail ? take.file.revision : null;
		if (key === this.#pictureKey) return;
		this.#pictureKey = key;
		this.picture.hidden = key === null;
		this.picture.removeAttribute('src');
		if (key !== null) whenSeen(this);
	}

	/** Only who is looked at loads its picture. */
	async seen() {
		const key = this.#pictureKey;
		const url = key === null ? null : await this.#actions.pictureUrl(this.take.id).catch(() => null);
		if (key !== this.#pictureKey) return;
		this.picture.onerror = () => {
			this.picture.hidden = true;
		};
		if (url === null) this.picture.hidden = true;
		else this.picture.src = `${url}#revision=${key}`;
	}

	async #finishAgain() {
		if (this.again.getAttribute('aria-disabled') !== null) return;
		setAttribute(this.again, 'aria-disabled', 'true');
		this.complain('');
		try {
			await this.#actions.complete(this.take.id);
		} catch (error) {
			this.complain(tryFailedText(error));
		}
		setAttribute(this.again, 'aria-disabled', null);
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
			why = `${texts.why.failed(stepText(take))} ${hasOriginal(take) ? texts.kept : ''}`.trim();
		} else if (texts.why[kind]) {
			why = texts.why[kind];
		}
		setText(this.why, why);
		this.why.hidden = why === '';
	}

	#updateDownloads(name) {
		const { take } = this;
		const links = downloadsOf(take);
		const key = JSON.stringify([links, name]);
		if (key === this.#downloadKey) return;
		const focused = this.downloads.contains(document.activeElement);
		this.#downloadKey = key;
		this.downloads.replaceChildren(...links.map(({ what, track, name: file }) => element('a', {
			class: 'plain', href: this.#actions.url(take.id, what, track), download: file,
			'aria-label': what === 'file' ? texts.downloadOf(name) : texts.originalOf(name, track),
			onclick: (event) => this.#download(event, what, track),
		}, what === 'file' ? texts.download : track === null ? texts.original : `${texts.original} ${track}`)));
		if (focused) (this.downloads.querySelector('a') ?? this.link).focus();
	}

	async #download(event, what, track) {
		this.complain('');
		try {
			await this.#actions.download(event, this.take, what, track);
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
