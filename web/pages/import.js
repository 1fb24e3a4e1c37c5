// Importing: files and folders that are dropped or chosen, and addresses that the server fetches. What is imported is a batch of the server, whose
// name stands in the address and in this browser: who comes back finds it as it is, and the same files go on where they were.
import { ApiError, newSessionId, openClient } from '../client/index.js';
import { chosenFiles, droppedFiles, droppedUrls } from './import_drop.js';
import { canRetry, ImportList, readUrls, stateOf } from './import_list.js';
import { ItemRows } from './import_rows.js';
import { ImportSender } from './import_sender.js';
import { common, imports as texts } from './texts.js';
import { keepToken, readToken, restoreToken } from './token.js';
import { at, dateText, element, fillTexts, setAttribute, setText, Voice } from './ui.js';
import { addedSays, badSays, barOf, milestone, noticesOf, rowSays, totalSays } from './words_import.js';

const DRAW_MS = 250; // what happens meanwhile is drawn at once
const SLICE = 100; // items that are announced together
const LAST = 'holdfast.import';
const GROUPS = [null, 'working', 'missing', 'failed', 'ready'];
const LOCKED = new Set(['unauthorized', 'token_expired', 'token_revoked', 'forbidden_scope']);
const EARLIER_MOST = 10;

fillTexts({ ...common, ...texts.page });

await restoreToken();
const client = await openClient({ stores: ['memory'], token: readToken, uploads: null });
const { api } = client;
const voice = new Voice(at('voice'), texts.say.many);

const list = new ImportList();
let batch = null;
let view = { link: 'connecting', reason: null, message: '', retryAt: null };
let gone = false; // the address names an import that is not there
let loadFailed = '';
let loading = false;
let told = new Set(); // keys of which the link told since the list is being read
let quarter = 0;
const heard = { failed: new Set(), uploaded: true, done: true, lost: false }; // what the voice has said

const sender = new ImportSender({ upload: (file, options) => client.upload(file, options), onchange: () => draw(), onstop: stopped });
const rows = new ItemRows(at('items'), { retry });

function remembered(id) {
	try {
		if (id === undefined) return localStorage.getItem(LAST);
		if (id === null) localStorage.removeItem(LAST);
		else localStorage.setItem(LAST, id);
	} catch {
		// the address has it
	}
	return null;
}

// --- the batch ---

function follow(id, options) {
	batch = client.batch(id, { ...options, onChange: viewChanged, onItem: itemChanged, onLive: load });
}

/** The batch that things are added to; it is made when there is something. */
function ensureBatch() {
	if (batch !== null && !gone) return batch;
	batch?.close();
	gone = false;
	const id = newSessionId();
	const address = new URL(location.href);
	address.search = new URLSearchParams({ batch: id });
	history.replaceState(null, '', address);
	remembered(id);
	follow(id, { name: texts.batchName(dateText(Date.now())) });
	return batch;
}

function viewChanged(now) {
	view = now;
	if (view.link === 'stopped' && LOCKED.has(view.reason)) lock(view.reason);
	if (view.link === 'stopped' && view.reason === 'not_found' && list.size === 0) {
		gone = true;
		remembered(null);
	}
	const away = view.link === 'waiting' && view.reason !== null;
	if (away && !heard.lost) voice.say(texts.say.lost);
	if (view.link === 'live' && heard.lost) voice.say(texts.say.back);
	heard.lost = view.link === 'live' ? false : heard.lost || away;
	draw();
}

function itemChanged(recording) {
	told.add(recording.key);
	const row = list.recording(recording);
	if (row !== null) wake(row);
	draw();
}

/** A file that the server waits for, and that is here. */
function wake(row) {
	if (stateOf(row) === 'turn') sender.add([row]);
}

let reading = null;
let readAgain = false;

/** After the link came (again): what changed meanwhile. A link that comes again while the list is read has it read once more. */
function load() {
	readAgain = reading !== null;
	reading ??= read().finally(() => {
		reading = null;
		if (readAgain) load();
	});
}

async function read() {
	const mine = batch;
	loading = list.size === 0;
	draw();
	const found = [];
	const since = new Set();
	told = since;
	try {
		for await (const one of mine.items()) found.push(one);
		if (mine !== batch) return;
		const first = list.rows.every(({ recording }) => recording === null);
		if (first) quiet(found);
		list.loaded(found, since);
		loadFailed = '';
		sender.add(list.rows.filter((row) => stateOf(row) === 'turn'));
	} catch (error) {
		if (error instanceof ApiError && error.code === 'forbidden_scope') loadFailed = texts.notice.blind;
		else if (error instanceof ApiError && LOCKED.has(error.code)) lock(error.code);
		else if (error.status !== 0) loadFailed = texts.notice.listFailed(error.message);
	} finally {
		loading = false;
		draw();
	}
}

/** What has failed before this visit is no news. */
function quiet(found) {
	for (const { key, phase } of found) if (phase === 'error' || phase === 'aborted' || phase === 'deleted') heard.failed.add(key);
}

async function announce(items) {
	if (items.length === 0) return;
	heard.uploaded = false;
	heard.done = false;
	const mine = ensureBatch();
	const slices = [];
	for (let i = 0; i < items.length; i += SLICE) slices.push(items.slice(i, i + SLICE));
	await Promise.all(slices.map(async (slice) => {
		const acks = await mine.add(slice);
		sender.add(list.acked(acks).filter((row) => stateOf(row) === 'turn')); // the first are on their way while the last are announced
		draw();
	}));
}

function stopped(row) {
	const { code } = row.sent.problem;
	if (LOCKED.has(code)) lock(code);
	draw();
}

async function retry(row) {
	at('trouble').hidden = true;
	if (stateOf(row) === 'stopped') {
		sender.again(row);
		return;
	}
	try {
		await api.complete(row.id);
		heard.failed.delete(row.key);
		itemChanged(await api.get(row.id));
	} catch (error) {
		setText(at('trouble'), `${row.name}: ${texts.tryFailed(error.message)}`);
		at('trouble').hidden = false;
	}
}

// --- what is given ---

function tellAdded(sentence) {
	setText(at('added'), sentence);
	at('added').hidden = sentence === '';
}

function addFiles(files, unread = []) {
	const added = list.addFiles(files);
	const again = added.rows.filter((row) => !added.items.some(({ key }) => key === row.key));
	tellAdded(addedSays({ ...added, goesOn: again.length, unread }));
	sender.add(again.filter((row) => row.id !== null));
	if (again.length > 0) heard.uploaded = false;
	announce(added.items);
	draw();
}

function addUrls(text) {
	const { urls, bad } = readUrls(text);
	const added = list.addUrls(urls);
	tellAdded(urls.length === 0 ? '' : addedSays(added));
	announce(added.items);
	const said = badSays(bad);
	at('urls-bad').hidden = bad.length === 0;
	setAttribute(at('urls'), 'aria-invalid', bad.length > 0 ? 'true' : null);
	at('urls-bad').replaceChildren(...(bad.length === 0 ? [] : [element('p', {}, said.title), element('ul', {}, ...said.lines.map((line) => element('li', {}, line)))]));
	draw();
	return bad.map((one) => one.text).join('\n');
}

at('urls-form').addEventListener('submit', (event) => {
	event.preventDefault();
	at('urls').value = addUrls(at('urls').value);
	if (at('urls').value !== '') at('urls').focus();
});

for (const id of ['files', 'folder']) {
	at(id === 'files' ? 'choose-files' : 'choose-folder').addEventListener('click', () => at(id).click());
	at(id).addEventListener('change', ({ target }) => {
		const files = chosenFiles(target);
		target.value = ''; // the same may be chosen again
		if (files.length > 0) addFiles(files);
	});
}
at('choose-folder').hidden = !('webkitdirectory' in at('folder'));

let over = 0; // elements that what is dragged is over
const given = ({ dataTransfer }) => at('locked').hidden && [...dataTransfer?.types ?? []].some((type) => type === 'Files' || type === 'text/uri-list');

addEventListener('dragenter', (event) => {
	if (!given(event)) return;
	over += 1;
	at('over').hidden = false;
});
addEventListener('dragleave', (event) => {
	if (!given(event)) return;
	over = Math.max(0, over - 1);
	at('over').hidden = over === 0;
});
addEventListener('dragover', (event) => {
	if (given(event)) event.preventDefault();
});
addEventListener('drop', async (event) => {
	over = 0;
	at('over').hidden = true;
	if (!given(event)) return;
	event.preventDefault();
	const files = [...event.dataTransfer.types].includes('Files');
	const urls = files ? '' : droppedUrls(event.dataTransfer);
	const dropped = droppedFiles(event.dataTransfer);
	tellAdded(texts.notice.reading);
	if (!files) {
		at('urls').value = addUrls(urls);
		return;
	}
	const found = await dropped;
	addFiles(found.files, found.failed);
});

// --- what is seen ---

let drawn = false;

/** Draws soon; many changes are drawn once. */
function draw() {
	if (drawn) return;
	drawn = true;
	setTimeout(() => {
		drawn = false;
		drawNow();
	}, DRAW_MS);
}

function drawNow() {
	const totals = list.totals();
	const says = totalSays(totals);
	drawOverview(totals, says);
	drawNotices(totals);
	drawFilters(totals);
	drawList();
	speak(totals, says);
	document.body.dataset.link = view.link;
	document.body.dataset.done = String(says.done);
	const tab = texts.tab(totals.groups.ready, totals.items);
	if (document.title !== tab) document.title = tab;
}

function drawOverview(totals, says) {
	const any = totals.items > 0;
	at('overview').hidden = !any;
	at('items-section').hidden = !any;
	if (!any) return;
	for (const [group, share] of barOf(totals)) at('bar').querySelector(`[data-group=${group}]`).style.width = `${share * 100}%`;
	setAttribute(at('bar'), 'aria-label', texts.bar([says.title, ...says.parts]));
	setText(at('count'), says.title);
	setText(at('parts'), says.parts.join(' · '));
	setText(at('bytes'), says.bytes);
	at('bytes').hidden = says.bytes === '';
	setText(at('may'), says.may);
	at('may').hidden = says.may === '';
	at('again').hidden = !list.of('failed').some(canRetry);
}

const noticeRows = new Map(); // text without its figures → what shows it

function drawNotices(totals) {
	const held = sender.active.map(({ sent }) => sent).find((sent) => sent?.link === 'waiting')?.reason ?? null;
	const said = noticesOf({ view: batch === null ? { link: 'idle', reason: null } : view, totals, held, now: Date.now(), gone, loadFailed });
	if (loading) said.push({ look: '', text: texts.notice.loading });
	const key = ({ look, away, text }) => (away ? 'away' : `${look} ${text.replace(/\d+/g, '#')}`);
	const wanted = new Set(said.map(key));
	for (const [name, node] of noticeRows) {
		if (wanted.has(name)) continue;
		node.remove();
		noticeRows.delete(name);
	}
	for (const one of said) {
		const known = noticeRows.get(key(one));
		const text = known?.querySelector('.text') ?? element('span', { class: 'text' });
		setText(text, one.text);
		if (known) continue;
		const now = one.away ? element('button', { class: 'plain', type: 'button', onclick: () => client.reconnect() }, texts.page.tryNow) : null;
		const node = element('p', { class: `notice ${one.look}` }, text, ' ', now);
		noticeRows.set(key(one), node);
		at('notices').append(node);
	}
}

const filters = GROUPS.map((group) => {
	const button = element('button', { class: 'button', type: 'button', 'aria-pressed': 'false', onclick: () => {
		rows.reset(group);
		drawNow();
	} });
	at('filters').append(button);
	return { group, button };
});

function drawFilters({ groups, items }) {
	for (const { group, button } of filters) {
		const n = group === null ? items : groups[group];
		setText(button, texts.filterOf(texts.filter[group ?? 'all'], n));
		setAttribute(button, 'aria-pressed', String(rows.group === group));
		button.hidden = n === 0 && group !== null && rows.group !== group;
	}
}

function drawList() {
	const { from, to, all, page, pages } = rows.draw(list);
	at('pager').hidden = pages === 1;
	setText(at('pager-text'), texts.pager(from + 1, to, all));
	at('newer').disabled = page === 0;
	at('older').disabled = page === pages - 1;
	at('none').hidden = all > 0;
	setText(at('none'), texts.none[rows.group ?? 'all']);
}

/** What happened, to who does not see it: failures, each quarter of the way, and its end. */
function speak(totals, says) {
	for (const row of list.of('failed')) {
		if (heard.failed.has(row.key)) continue;
		heard.failed.add(row.key);
		voice.event(texts.say.failed(row.name, rowSays(row).why));
	}
	const now = milestone(totals, quarter);
	({ quarter } = now);
	if (now.text !== '' && !heard.done) voice.say(now.text);
	if (says.toSend === 0 && totals.groups.missing === 0 && !heard.uploaded && totals.items > 0) {
		heard.uploaded = true;
		if (!says.done && totals.files.bytes > 0) voice.say(texts.say.uploaded);
	}
	if (says.done && !heard.done) {
		heard.done = true;
		voice.say(texts.say.done(totals.groups.ready, totals.groups.failed));
	}
}

for (const [id, by] of [['newer', -1], ['older', 1]]) {
	at(id).addEventListener('click', () => {
		rows.turn(by);
		drawNow();
		at('items').focus({ preventScroll: true });
		at('items-section').scrollIntoView();
	});
}
at('again').addEventListener('click', async () => {
	for (const row of list.of('failed').filter(canRetry)) await retry(row);
});
at('another').addEventListener('click', () => {
	remembered(null);
	location.assign('/import?new');
});

addEventListener('beforeunload', (event) => {
	if (totalSays(list.totals()).toSend > 0) event.preventDefault();
});

// --- who may ---

function lock(code) {
	setText(at('locked-why'), texts.locked[code]);
	at('locked').hidden = false;
	at('give').hidden = true;
	at('earlier').hidden = true;
}

at('locked-form').addEventListener('submit', (event) => {
	event.preventDefault();
	keepToken(at('token').value.trim()).then(() => location.reload());
});

/** Imports of before, to come back to from another browser. */
async function showEarlier() {
	const { items } = await api.batches();
	const others = items.filter(({ id, items: n }) => id !== batch?.batchId && n > 0).slice(0, EARLIER_MOST);
	at('earlier').hidden = others.length === 0;
	at('earlier-list').replaceChildren(...others.map(({ id, name, counts, items: n, createdAt }) => element('li', {},
		element('a', { href: `/import?${new URLSearchParams({ batch: id })}` }, texts.earlierOf(name || texts.batchName(dateText(createdAt)), counts.complete ?? 0, n)))));
}

async function begin() {
	const question = new URLSearchParams(location.search);
	const id = question.get('batch') ?? (question.has('new') ? null : remembered());
	if (id) {
		history.replaceState(null, '', `/import?${new URLSearchParams({ batch: id })}`);
		remembered(id);
		follow(id, { existing: true });
	}
	drawNow();
	try {
		const { grant } = await api.server();
		if (!grant.local && !grant.scopes.some((scope) => scope === 'record' || scope === 'import' || scope === 'admin')) lock('forbidden_scope');
		else await showEarlier();
	} catch (error) {
		if (LOCKED.has(error.code)) lock(error.code);
	}
	setInterval(() => {
		if (view.link === 'waiting') draw();
	}, 1000);
}

begin();
