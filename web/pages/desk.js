// The desk: the code for phones, and every recording live. It follows the server by WebSocket and reads older recordings page
// by page; after a lost link or a restart of the server it goes on where it was, with search, scroll and open renames as they
// were. What may be out of date is said to be.
import { openClient } from '../client/index.js';
import { AirList } from './air_list.js';
import { nameOf } from './finishing.js';
import { QrPanel } from './qr.js';
import { Row } from './rows.js';
import { Takes, kindOf } from './takes.js';
import { common, desk as texts, finish } from './texts.js';
import { at, bytesText, dateText, fillTexts, setAttribute, setText, timeText, Voice } from './ui.js';
import { keepToken, readToken, restoreToken } from './token.js';

const SEARCH_WAIT_MS = 250;
const REREAD_MS = 60_000; // the link tells of deletions only for what it has told of
const LONG_LIST = 150; // from here on the browser lays out only what is near the view
const BANNER_WAIT_MS = 1_500; // a link that is back at once needs no banner
const LOCKED = new Set(['unauthorized', 'token_expired', 'token_revoked', 'forbidden_scope']);

fillTexts({ ...common, ...texts });

await restoreToken();
const client = await openClient({ stores: ['memory'], token: readToken });
const { api } = client;
const voice = new Voice(at('voice'), texts.sayMany);
const qr = new QrPanel(api, (sentence) => voice.say(sentence));
const takes = new Takes();
const rows = new Map(); // id → Row, of those in the list
const kinds = new Map(); // id → the kind that was last told

let follower = null;
let view = { link: 'connecting', recordings: [], server: null, retryAt: null, reason: null, message: '' };
let lastLiveAt = null;
let downSince = performance.now();
let skew = 0; // the server's clock less ours
let next = null; // cursor of the page behind those that were read
let pagesRead = 0;
let listRead = false;
const search = { text: '', hits: new Set(), next: null, asked: 0, timer: null };
const show = new URLSearchParams(location.search).get('show'); // only the recordings of this one
const question = show === null ? {} : { show };

const isLive = () => view.link === 'live';
const clock = () => ({ now: performance.now(), wall: Date.now() + skew, live: isLive(), heardAt: (id) => takes.heardAt(id) });

function complain(sentence) {
	setText(at('trouble'), sentence);
	at('trouble').hidden = sentence === '';
}

// --- what a row can do ---

const actions = {
	url: (id, what, track) => api.url(id, what, track ?? undefined),
	pictureUrl: async (id) => (readToken() === null ? api.url(id, 'thumbnail') : (await api.sign(id, { what: 'thumbnail' })).url),
	complete: (id) => api.complete(id),
	async rename(id, name) {
		const changed = await api.rename(id, name);
		if (changed?.id === id) takes.set({ ...takes.get(id), name: changed.name }, takes.heardAt(id));
		else takes.set({ ...takes.get(id), name }, takes.heardAt(id));
		voice.say(texts.sayRenamed(name));
		render();
	},
	/** Without a token the link itself is right. With one, the address must be signed. */
	async download(event, take, what, track) {
		if (readToken() === null) return;
		const link = event.currentTarget;
		event.preventDefault();
		const { url } = await api.sign(take.id, { what, track: track ?? undefined });
		const signed = link.cloneNode();
		signed.href = url;
		signed.click();
	},
	askDelete,
};

// --- deletion ---

let asked = null; // the id that the dialog is about, or the show
const deleting = new Set(); // ids that this page deletes now: their end is no news

/** `yes()` does it, and rejects with what is said then. */
function ask({ title, text, yes, no, act }) {
	setText(at('ask-title'), title);
	setText(at('ask-text'), text);
	setText(at('ask-yes'), yes);
	setText(at('ask-no'), no);
	at('ask-error').hidden = true;
	at('ask-yes').disabled = false;
	at('ask-yes').onclick = async () => {
		at('ask-yes').disabled = true;
		at('ask-error').hidden = true;
		try {
			await act();
		} catch (error) {
			setText(at('ask-error'), error.message);
			at('ask-error').hidden = false;
			at('ask-yes').disabled = false;
		}
	};
	at('ask').showModal();
	at('ask-no').focus();
}

function askDelete(id) {
	const take = takes.get(id);
	asked = id;
	ask({
		title: texts.deleteTitle(nameOf(take)), yes: texts.deleteYes, no: texts.deleteNo, act: () => deleteAsked(id),
		text: kindOf(take) === 'live' ? texts.deleteLive(bytesText(take.bytes)) : texts.deleteText(bytesText(take.bytes), dateText(take.createdAt)),
	});
}

async function deleteAsked(id) {
	const name = nameOf(takes.get(id));
	const after = neighbour(id);
	deleting.add(id);
	try {
		await api.delete(id);
	} catch (error) {
		if (error.status !== 404 && error.status !== 410) throw new Error(texts.deleteFailed(error.message), { cause: error });
	} finally {
		deleting.delete(id);
	}
	at('ask').close();
	removeTakes([id]);
	focusOn(after);
	voice.say(texts.sayDeleted(name));
}

// --- shows ---

const air = new AirList({ api, section: at('shows'), list: at('shows-list'), onstop: askStop, say: (sentence) => voice.event(sentence) });

function askStop({ show: name, listeners }) {
	asked = null;
	ask({
		title: texts.airStopTitle(name), text: texts.airStopText(listeners), yes: texts.airStopYes, no: texts.airStopNo,
		async act() {
			await api.stopShow(name).catch((error) => {
				throw new Error(texts.airStopFailed(error.message), { cause: error });
			});
			at('ask').close();
			await air.ask();
			at('takes-title').focus();
		},
	});
}

/** The row that takes over the focus when this one goes. */
function neighbour(id) {
	const li = rows.get(id)?.li;
	return li?.nextElementSibling ?? li?.previousElementSibling ?? null;
}

function focusOn(li) {
	(li?.isConnected ? li.querySelector('a, button') : at('takes-title')).focus();
}

at('ask-no').addEventListener('click', () => at('ask').close());

/** They are gone. A row in which somebody works says so, and stays until it is dismissed. */
function removeTakes(ids) {
	for (const id of ids) {
		const row = rows.get(id);
		const after = neighbour(id);
		takes.remove(id);
		kinds.delete(id);
		rows.delete(id);
		if (asked === id && at('ask').open && !deleting.has(id)) {
			at('ask').close(); // there is nothing to ask about any more
			row?.li.remove();
			focusOn(after);
		} else if (row && !deleting.has(id) && row.li.contains(document.activeElement)) {
			row.bury(() => {
				const beside = row.li.nextElementSibling ?? row.li.previousElementSibling;
				row.li.remove();
				focusOn(beside);
			});
		} else {
			row?.li.remove();
		}
	}
	render();
}

// --- the list ---

let drawn = false;

/** Draws soon; many changes are drawn once. */
function render() {
	if (drawn) return;
	drawn = true;
	setTimeout(() => {
		drawn = false;
		draw();
	}, 0);
}

/** Rows never change places: the order is that of their beginnings. So none is moved, and none loses its focus. */
function drawList(shown) {
	const wanted = new Set(shown.map(({ id }) => id));
	for (const [id, row] of rows) {
		if (wanted.has(id)) continue;
		rows.delete(id);
		row.li.remove();
	}
	let cursor = at('list').firstElementChild;
	for (const take of shown) {
		while (cursor?.dataset.kind === 'gone') cursor = cursor.nextElementSibling;
		const row = rows.get(take.id);
		if (row) {
			if (row.take !== take) row.update(take);
			cursor = row.li.nextElementSibling;
		} else {
			const made = new Row(take, actions, clock);
			rows.set(take.id, made);
			at('list').insertBefore(made.li, cursor);
		}
	}
}

function draw() {
	const searching = search.text.trim() !== '';
	const found = takes.found(search.text, search.hits, show);
	const matching = new Set(found);
	const shown = searching ? takes.sorted().filter((take) => matching.has(take) || rows.get(take.id)?.editing) : found;
	drawList(shown);
	const more = (searching ? search.next : next) !== null;
	at('list').toggleAttribute('data-long', shown.length > LONG_LIST);
	at('more').hidden = !more;
	at('legend').hidden = shown.length === 0;
	setText(at('count'), !listRead ? texts.loading : searching ? texts.found(found.length, more) : texts.count(found.length, more));
	at('empty').hidden = !listRead || shown.length > 0;
	setText(at('empty-text'), searching ? texts.emptySearch(search.text.trim()) : show === null ? texts.empty : texts.emptyShow(show));
	setText(at('empty-more'), searching || show !== null ? '' : texts.emptyMore);
}

/** Reads again what was read, from the newest on, so that nothing that changed while the link was away is missed. */
let refreshing = null;

function refresh() {
	refreshing ??= readPages().finally(() => {
		refreshing = null;
	});
	return refreshing;
}

async function readPages() {
	const items = [];
	let cursor;
	try {
		for (let page = 0; page < Math.max(1, pagesRead); page++) {
			const answer = await api.list({ ...question, before: cursor });
			items.push(...answer.items);
			cursor = answer.next ?? null;
			if (cursor === null) break;
		}
	} catch (error) {
		if (error.status !== 0 && !LOCKED.has(error.code)) complain(texts.listFailed(error.message));
		return; // no answer at all: the banner says so, and the link coming back asks again
	}
	complain('');
	next = cursor;
	pagesRead = Math.max(1, pagesRead);
	listRead = true;
	removeTakes(takes.refreshed(items, next === null, performance.now()));
	render();
}

async function readMore() {
	const searching = search.text.trim() !== '';
	const before = searching ? search.next : next;
	const { asked: turn } = search;
	const last = at('list').lastElementChild;
	setAttribute(at('more'), 'aria-disabled', 'true');
	try {
		const answer = await api.list({ ...question, search: searching ? search.text.trim() : undefined, before });
		if (turn !== search.asked) return;
		takes.page(answer.items, performance.now());
		if (searching) {
			for (const { id } of answer.items) search.hits.add(id);
			search.next = answer.next ?? null;
		} else {
			next = answer.next ?? null;
			pagesRead += 1;
		}
		complain('');
		draw();
		if (at('more').hidden) last?.nextElementSibling?.querySelector('a')?.focus();
	} catch (error) {
		complain(texts.listFailed(error.message));
	} finally {
		setAttribute(at('more'), 'aria-disabled', null);
	}
}

at('more').addEventListener('click', () => {
	if (at('more').getAttribute('aria-disabled') === null) readMore();
});

// --- search: here at once, and on the server soon after ---

async function askSearch(spoken = true) {
	const text = search.text.trim();
	search.asked += 1;
	const turn = search.asked;
	if (text === '') return;
	try {
		const answer = await api.list({ ...question, search: text });
		if (turn !== search.asked) return;
		takes.page(answer.items, performance.now());
		search.hits = new Set(answer.items.map(({ id }) => id));
		search.next = answer.next ?? null;
		complain('');
		draw();
		if (spoken) voice.say(at('count').textContent);
	} catch (error) {
		if (turn === search.asked && error.status !== 0) complain(texts.listFailed(error.message));
	}
}

function searchChanged() {
	search.text = at('search').value;
	search.hits = new Set();
	search.next = null;
	search.asked += 1; // an answer that is on its way is for another text
	clearTimeout(search.timer);
	search.timer = setTimeout(() => askSearch(), SEARCH_WAIT_MS);
	const address = new URL(location.href);
	if (search.text.trim()) address.searchParams.set('search', search.text.trim());
	else address.searchParams.delete('search');
	history.replaceState(null, '', address); // a reload finds it again
	draw();
}

at('search').addEventListener('input', searchChanged);
at('search').addEventListener('keydown', (event) => {
	if (event.key !== 'Escape' || at('search').value === '') return;
	at('search').value = '';
	searchChanged();
});

// --- the link ---

function tell(changed, first) {
	let ofShows = false;
	for (const take of changed) {
		const kind = take.phase === 'complete' ? 'ready' : kindOf(take);
		const before = kinds.get(take.id);
		if (before === kind) continue;
		kinds.set(take.id, kind);
		ofShows ||= typeof take.show === 'string';
		if (first) continue;
		if (before !== undefined) voice.event(texts.sayState[kind](nameOf(take), take.error?.message ?? finish.noReason));
		else if (kind === 'live') voice.event(texts.sayStarted(nameOf(take)));
	}
	if (ofShows) air.ask();
}

/** Deleted by somebody else. */
function removeGone(ids) {
	for (const id of ids) {
		if (rows.has(id) && !deleting.has(id)) voice.event(texts.sayDeleted(nameOf(rows.get(id).take)));
	}
	if (ids.length > 0) removeTakes(ids);
}

async function checkGone(ids) {
	for (const id of ids) {
		await api.get(id).then((take) => takes.set(take, performance.now()), (error) => {
			if (error.status === 404 || error.status === 410) removeGone([id]);
		});
	}
	render();
}

function viewChanged(now) {
	const wasLive = isLive();
	const first = lastLiveAt === null;
	view = now;
	if (isLive()) {
		const { gone, unsure } = takes.follow(view.recordings, performance.now());
		removeGone(gone);
		if (unsure.length > 0) checkGone(unsure);
		tell(view.recordings, first);
		lastLiveAt = Date.now();
		listRead = true;
	}
	if (isLive() !== wasLive) linkChanged(first);
	if (view.link === 'stopped' && LOCKED.has(view.reason)) lock(view.reason);
	drawLink();
	render();
}

function linkChanged(first) {
	at('list').toggleAttribute('data-old', !isLive());
	qr.connected(isLive());
	for (const row of rows.values()) row.tick();
	if (isLive()) {
		if (!first && !at('banner').hidden) voice.say(texts.sayConnected);
		refresh();
		if (search.text.trim()) askSearch(false);
	} else {
		downSince = performance.now();
	}
}

function drawLink() {
	const { server } = view;
	const word = isLive() ? texts.live : lastLiveAt === null && view.link === 'connecting' ? texts.connecting : texts.offline;
	setText(at('link-text'), word);
	setAttribute(at('link-dot'), 'class', `dot ${isLive() ? 'good' : 'warn'}`);
	at('server').hidden = server === null;
	if (server !== null) {
		const left = Math.max(0, server.freeBytes - server.reserveBytes);
		setText(at('working'), texts.working(server.recordings));
		setText(at('space'), left > 0 ? texts.free(bytesText(left)) : texts.full);
		setAttribute(at('space'), 'class', left > 0 ? null : 'full');
		const title = server.recordings > 0 && isLive() ? `(${server.recordings}) ${common.brand}` : common.brand;
		if (document.title !== title) document.title = title;
	}
	drawBanner();
}

function drawBanner() {
	const shown = !isLive() && at('locked').hidden && performance.now() - downSince >= BANNER_WAIT_MS;
	if (shown && at('banner').hidden) voice.say(texts.sayLost);
	at('banner').hidden = !shown;
	if (!shown) return;
	const waitS = Math.ceil(((view.retryAt ?? 0) - Date.now()) / 1000);
	const trying = view.link === 'stopped' ? texts.bannerStopped(view.message || view.reason)
		: waitS > 0 ? texts.bannerRetry(waitS) : texts.bannerTrying;
	setText(at('banner-title'), texts.bannerTitle);
	setText(at('banner-text'), `${lastLiveAt === null ? texts.bannerNever : texts.bannerOld(timeText(lastLiveAt))} ${trying}`);
}

at('banner-now').addEventListener('click', () => {
	if (view.link === 'stopped') location.reload();
	else follower.reconnect();
});

/** This browser may not look at recordings: it says why, and takes a token. */
function lock(code) {
	setText(at('locked-why'), texts.lockedWhy[code]);
	at('locked').hidden = false;
	at('takes').hidden = true;
	at('shows').hidden = true;
	at('banner').hidden = true;
	at('link').hidden = true;
	qr.stop();
}

at('locked-form').addEventListener('submit', (event) => {
	event.preventDefault();
	keepToken(at('token').value.trim()).then(() => location.reload());
});

// --- begin ---

async function begin() {
	at('search').value = new URL(location.href).searchParams.get('search') ?? '';
	if (at('search').value) searchChanged();
	at('filter').hidden = show === null;
	setText(at('filter-text'), texts.filtered(show));
	draw();
	try {
		const server = await api.server();
		skew = server.time - Date.now();
		if (!server.grant.local && !server.grant.scopes.some((scope) => scope === 'admin' || scope === 'play'))
			setText(at('takes-title'), texts.takesTitleOwn);
	} catch (error) {
		if (LOCKED.has(error.code)) {
			lock(error.code);
			return;
		}
	}
	follower = client.follow({ onChange: viewChanged });
	refresh();
	qr.start();
	air.begin();
	setInterval(() => {
		for (const row of rows.values()) {
			const kind = kindOf(row.take);
			if (kind === 'live' || kind === 'lost') row.tick();
		}
		drawLink();
	}, 1000);
	setInterval(() => {
		if (pagesRead > 1 && isLive() && !document.hidden) refresh();
	}, REREAD_MS);
}

begin();
