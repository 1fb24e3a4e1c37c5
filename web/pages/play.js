// Plays one recording: its finished file, or until there is one the original if somebody wants it, and then goes over to the file at the same
// place. While there is none it says why (finishing.js) and asks again as waiting.js decides; watch.js does the asking.
import { openClient } from '../client/index.js';
import { Player } from './player.js';
import { TRIES } from './waiting.js';
import { Watch } from './watch.js';
import { nameOf, originOf, playerSays, tryFailedText } from './finishing.js';
import { fileName, hasOriginal, kindOf } from './takes.js';
import { common, desk, finish, play as texts } from './texts.js';
import { at, bytesText, clockText, dateText, element, fillTexts, fullTimeText, setText } from './ui.js';
import { readToken, restoreToken } from './token.js';

const RESUMING = new Set(['live', 'lost', 'waiting', 'fetching']); // kinds of which more comes
const ENDED = new Set(['complete', 'error', 'aborted']);
const HAS_OBJECT = new Set(['ready', 'waiting', 'timedOut', 'unserved', 'failed', 'never', 'missing', 'busy', 'away']);

fillTexts({ ...common, ...texts });

const id = decodeURIComponent(location.pathname.replace(/^\/play\//, ''));
await restoreToken();
const client = await openClient({ stores: ['memory'], token: readToken });
const { api } = client;

const player = new Player({ onlength: lengthChanged, onerror: mediaFailed });
let take = null;
let track = null; // of the original; null where there is one
let loaded = null; // what the player was given: { key, what, signedUntil }
let length = null;
let broken = ''; // what the player said of what it was given
let refusal = ''; // why it is not tried again

// --- what is played ---

async function address(what) {
	const part = what === 'original' ? track ?? undefined : undefined;
	if (readToken() === null) return { url: api.url(id, what, part), expiresAt: Infinity };
	return api.sign(id, { what, track: part });
}

const mimeOf = (what) => (what === 'file' ? take.file?.mime : null) ?? take.mime ?? '';

/** Goes over to the file or to the original, and stays at its place. */
async function load(what) {
	const revision = what === 'file' ? take.file?.revision ?? 0 : take.revision;
	const key = `${what} ${revision} ${what === 'original' ? `${track} ${take.bytes}` : ''}`;
	if (loaded?.key === key) return;
	const mine = { key, what, signedUntil: Infinity };
	loaded = mine;
	broken = '';
	const file = what === 'file' ? take.file : null;
	const [{ url, expiresAt }, poster] = await Promise.all([address(what), file?.thumbnail ? address('thumbnail').catch(() => null) : null]);
	if (loaded !== mine) return;
	mine.signedUntil = expiresAt;
	player.load({
		kind: mimeOf(what).startsWith('audio/') ? 'audio' : 'video',
		url: `${url}#revision=${revision}`, // the browser's own cache tells two versions apart by their addresses
		poster: poster && `${poster.url}#revision=${revision}`,
		label: at('title').textContent, duration: file?.duration ?? null, bytes: file?.bytes ?? take.bytes, ...player.place,
	});
	show();
	if (!file?.waveform) return;
	const { peaks } = await api.waveform(id).catch(() => ({ peaks: null })); // then it is a plain line
	if (loaded === mine && Array.isArray(peaks)) player.peaks = peaks;
}

const begin = (what) => load(what).catch((error) => {
	loaded = null;
	broken = error.message;
	show();
});

function unload() {
	loaded = null;
	length = null;
	player.unload();
}

async function mediaFailed({ error, readyState, currentTime }) {
	const { what, signedUntil } = loaded;
	if (Date.now() > signedUntil) { // the address was good for an hour
		loaded = null;
		await begin(what);
	} else if (error.code === MediaError.MEDIA_ERR_NETWORK) {
		broken = texts.linkLost;
		watch.goOn();
	} else if (readyState > 0 && currentTime > 0) {
		broken = texts.broken;
	} else {
		player.unload();
		broken = texts.cannotPlay(mimeOf(what));
	}
	show();
}

function lengthChanged(seconds) {
	length = seconds;
	document.body.dataset.length = seconds ?? '';
	if (take !== null) showFacts();
}

// --- what is shown ---

/** Nothing to show but why. */
function giveUp(title, sentence) {
	watch.close();
	unload();
	take = null;
	setText(at('title'), title);
	document.title = `${title} – ${common.brand}`;
	say('warn', sentence);
	for (const part of ['again', 'so-far', 'facts', 'downloads', 'work', 'asks', 'refusal']) at(part).hidden = true;
	document.body.dataset.state = 'none';
}

function say(look, sentence) {
	setText(at('state-text'), sentence);
	at('state').className = `notice ${look}`;
	at('state').hidden = sentence === '';
}

function fact(name, ...value) {
	return element('div', {}, element('dt', {}, name), element('dd', {}, ...value));
}

function showFacts() {
	const kind = kindOf(take);
	const { file } = take;
	const state = take.phase === 'complete' && kind !== 'short' ? desk.ready : desk.state[kind];
	const facts = [
		fact(texts.state, state),
		fact(texts.length, lengthText()),
		fact(texts.size, bytesText(file && !file.asIs ? file.bytes : take.bytes)),
		fact(texts.recorded, element('time', { datetime: new Date(take.createdAt).toISOString(), title: fullTimeText(take.createdAt) }, dateText(take.createdAt))),
		fact(texts.origin, originOf(take)),
	];
	const type = (file?.mime ?? take.mime ?? '').replace(/;\s*codecs=/, ', ');
	if (type !== '') facts.push(fact(texts.type, type));
	if (take.show) facts.push(fact(texts.show, element('a', { href: `/?show=${encodeURIComponent(take.show)}` }, texts.showVersion(take.show, take.version))));
	if (take.ref) facts.push(fact(texts.ref, take.ref));
	if (file && !file.asIs) facts.splice(3, 0, fact(texts.sizeOriginal, bytesText(take.bytes)));
	const revision = file?.revision ?? take.revision;
	if (revision > 1) facts.push(take.show ? fact(texts.finishedTimes, texts.times(revision)) : fact(texts.version, String(revision)));
	if (take.sha256) facts.push(element('div', { class: 'whole' }, element('dt', {}, texts.sha256), element('dd', { class: 'mono small' }, take.sha256)));
	at('facts').replaceChildren(...facts);
	at('facts').hidden = false;
}

function lengthText() {
	const seconds = length ?? take.duration ?? null;
	if (seconds !== null) return clockText(seconds * 1000);
	return ENDED.has(take.phase) ? texts.noLength : texts.unknownLength;
}

/** The file first, then the bytes as they were received, each track of its own. */
function downloads() {
	const tracks = (take.tracks ?? []).map((one) => one.track);
	const links = [];
	if (take.file) links.push({ what: 'file', text: texts.download, name: fileName({ ...take, mime: take.file.mime }) });
	if (!hasOriginal(take) || take.file?.asIs && tracks.length < 2) return links;
	for (const one of tracks.length > 1 ? tracks : [null])
		links.push({ what: 'original', track: one, text: one === null ? texts.downloadOriginal : texts.downloadOriginalTrack(one), name: fileName(take, one) });
	return links;
}

let shownDownloads = '';

function showDownloads() {
	const links = downloads();
	const key = JSON.stringify(links);
	at('downloads').hidden = links.length === 0;
	if (key === shownDownloads) return; // what has the focus keeps it
	shownDownloads = key;
	at('downloads').replaceChildren(...links.map(({ what, track: one = null, text, name }) => element('a', {
		class: 'button', href: api.url(id, what, one ?? undefined), download: name, onclick: (event) => download(event, what, one),
	}, text)));
}

/** Without a token the link itself is right. With one, the address must be signed. */
async function download(event, what, one) {
	if (readToken() === null) return;
	const signed = event.currentTarget.cloneNode();
	event.preventDefault();
	try {
		signed.href = (await api.sign(id, { what, track: one ?? undefined })).url;
		signed.click();
	} catch (error) {
		say('bad', error.message);
	}
}

function showTracks() {
	const tracks = (take.tracks ?? []).map((one) => one.track);
	if (tracks.length > 1 && at('tracks').options.length !== tracks.length) {
		at('tracks').replaceChildren(...tracks.map((one) => element('option', { value: one }, one)));
		track ??= tracks[0];
		at('tracks').value = track;
	}
	at('tracks-label').hidden = tracks.length < 2 || loaded?.what !== 'original';
	at('is-original').hidden = loaded?.what !== 'original' || watch.waiting.state === 'ready';
}

/** Is the original of use now? */
function originalWanted(state) {
	if (!hasOriginal(take) || state === 'away') return false;
	if (broken !== '') return loaded?.what !== 'original' && !take.file?.asIs;
	return state !== 'ready' && loaded?.what !== 'original';
}

const BUTTONS = { goOn: texts.goOn, complete: finish.tryAgain, tryNow: texts.tryNow };

function showState() {
	const { state } = watch.waiting;
	const said = playerSays(watch);
	const kind = kindOf(take);
	say(broken && said.look !== 'bad' ? 'warn' : said.look, [said.sentence, broken].filter(Boolean).join(' '));
	at('work').hidden = said.progress === null;
	at('progress').value = said.progress ?? 0;
	setText(at('percent'), said.progress === null ? '' : finish.percent(said.progress));
	at('again').hidden = said.act === null;
	at('again').dataset.act = said.act;
	setText(at('again'), said.act === 'goOn' && state !== 'timedOut' ? texts.tryAgain : BUTTONS[said.act] ?? '');
	setText(at('refusal'), refusal);
	at('refusal').hidden = refusal === '';
	at('so-far').hidden = !originalWanted(state);
	setText(at('so-far'), RESUMING.has(kind) ? texts.playSoFar : kind === 'saved' || kind === 'short' ? texts.playOriginal : texts.playReceived);
	document.body.dataset.state = broken === '' ? state : 'unplayable';
	document.body.dataset.kind = kind;
	showTime();
}

/** What changes with time alone. */
function showTime() {
	const { state, tries } = watch.waiting;
	const seconds = Math.ceil((watch.nextMs ?? 0) / 1000);
	let line = '';
	if (state === 'away') line = seconds > 0 ? texts.awayIn(seconds) : texts.awayTrying;
	else if (state === 'waiting') line = texts.asks(seconds, tries, TRIES);
	setText(at('asks'), line);
	at('asks').hidden = line === '';
}

function show() {
	const { state } = watch.waiting;
	take = watch.take;
	if (take === null || !HAS_OBJECT.has(state) && state !== 'asking') return;
	const name = nameOf(take);
	setText(at('title'), name);
	const title = `${name} – ${common.brand}`;
	if (document.title !== title) document.title = title;
	if (state === 'asking') return;
	showState();
	showTracks();
	showFacts();
	showDownloads();
}

function changed() {
	const { state, answer } = watch.waiting;
	if (state === 'missing' && watch.take === null) giveUp(texts.notThereTitle, texts.notThere);
	else if (state === 'deleted') giveUp(texts.deletedTitle, texts.deleted);
	else if (state === 'refused') giveUp(texts.refusedTitle, texts.refused[answer.code] ?? answer.message);
	else if (watch.take === null && state !== 'asking') trouble();
	else show();
	if (take !== null && state === 'ready' && take.file?.bytes !== 0) begin('file'); // of nothing its warning says enough
	if (state !== 'failed') refusal = '';
}

/** There was an answer of some kind, or none, and nothing is known of the recording yet. */
function trouble() {
	const { look, sentence, act } = playerSays(watch);
	setText(at('title'), texts.troubleTitle);
	say(look || 'warn', sentence);
	at('again').hidden = false;
	at('again').dataset.act = act ?? 'goOn';
	setText(at('again'), act === 'tryNow' ? texts.tryNow : texts.tryAgain);
	document.body.dataset.state = watch.waiting.state;
	showTime();
}

// --- what can be done ---

async function finishAgain() {
	at('again').disabled = true;
	refusal = '';
	try {
		await api.complete(take.id);
	} catch (error) {
		refusal = tryFailedText(error);
	}
	at('again').disabled = false;
	watch.goOn();
	show();
}

at('again').addEventListener('click', () => {
	if (at('again').dataset.act === 'complete') finishAgain();
	else watch.goOn();
});
at('so-far').addEventListener('click', () => {
	loaded = null;
	begin('original');
});
at('tracks').addEventListener('change', () => {
	track = at('tracks').value;
	begin('original');
});

const watch = new Watch({ client, id, onchange: changed });
setInterval(showTime, 1000);
