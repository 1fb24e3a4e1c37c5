// The list of an import: one page of its items, each a list item that is made once and then changed in place. Names are text, never markup.
import { canRetry } from './import_list.js';
import { imports as texts } from './texts.js';
import { element, setAttribute, setText } from './ui.js';
import { rowSays } from './words_import.js';

export const PAGE_ROWS = 100; // more is more than anybody reads at once, and is drawn in a moment

class ItemRow {
	#row;

	constructor(row, { retry }) {
		this.#row = row;
		this.mark = element('span', { class: 'mark', 'aria-hidden': 'true' });
		this.word = element('span', { class: 'word' });
		this.name = element('span', {});
		this.link = element('a', {});
		this.origin = element('span', { class: 'soft small' });
		this.amount = element('p', { class: 'amount figure' });
		this.bar = element('progress', { max: 1 });
		this.why = element('p', { class: 'why small' });
		this.again = element('button', { class: 'plain', type: 'button', onclick: () => retry(this.#row) }, texts.tryAgain);
		this.li = element('li', { class: 'item' }, element('p', { class: 'state' }, this.mark, this.word),
			element('div', { class: 'what' }, element('p', { class: 'name' }, this.name, this.link, ' ', this.origin), this.bar, this.why), this.amount, this.again);
		this.update();
	}

	update() {
		const row = this.#row;
		const says = rowSays(row);
		const ready = says.state === 'ready';
		setAttribute(this.li, 'data-state', says.state);
		setAttribute(this.li, 'data-look', says.look);
		setText(this.mark, says.mark);
		setAttribute(this.mark, 'class', `mark ${says.look}`);
		setText(this.word, says.word);
		setText(this.name, ready ? '' : row.name);
		setText(this.link, ready ? row.name : '');
		this.link.hidden = !ready;
		setAttribute(this.link, 'href', ready ? `/play/${encodeURIComponent(row.id)}` : null);
		setText(this.origin, says.origin);
		setText(this.amount, says.amount);
		this.bar.hidden = says.share === null;
		if (says.share !== null) {
			this.bar.value = says.share;
			setAttribute(this.bar, 'aria-label', texts.progressOf(row.name));
		}
		setText(this.why, says.why);
		this.why.hidden = says.why === '';
		const focused = this.again === document.activeElement;
		this.again.hidden = !canRetry(row);
		setAttribute(this.again, 'aria-label', texts.tryAgainOf(row.name));
		if (focused && this.again.hidden) this.li.parentElement?.focus();
	}
}

export class ItemRows {
	#list;
	#actions;
	#shown = new Map(); // key → ItemRow
	#page = 0;
	group = null;

	constructor(list, actions) {
		this.#list = list;
		this.#actions = actions;
	}

	reset(group) {
		this.group = group;
		this.#page = 0;
	}

	turn(by) {
		this.#page += by;
	}

	/** Rows that change while they are looked at stay where they are: a filter is applied anew when it is chosen, or when rows come. */
	draw(imports) {
		const rows = imports.of(this.group);
		const pages = Math.max(1, Math.ceil(rows.length / PAGE_ROWS));
		this.#page = Math.min(Math.max(0, this.#page), pages - 1);
		const from = this.#page * PAGE_ROWS;
		const wanted = rows.slice(from, from + PAGE_ROWS);
		const keys = new Set(wanted.map(({ key }) => key));
		for (const [key, row] of this.#shown) {
			if (keys.has(key)) continue;
			const focused = row.li.contains(document.activeElement);
			row.li.remove();
			this.#shown.delete(key);
			if (focused) this.#list.focus();
		}
		let cursor = this.#list.firstElementChild;
		for (const row of wanted) {
			const known = this.#shown.get(row.key);
			if (known) known.update();
			const item = known ?? new ItemRow(row, this.#actions);
			this.#shown.set(row.key, item);
			if (item.li === cursor) cursor = cursor.nextElementSibling;
			else this.#list.insertBefore(item.li, cursor);
		}
		return { from, to: from + wanted.length, all: rows.length, page: this.#page, pages };
	}
}
