// Plays the original of one recording, and says what it is when there is nothing to play yet or any more. It follows the
// recording by WebSocket, so that one which is still growing becomes playable by itself.
import { openClient } from '../client/index.js';
import { fileName, kindOf } from './takes.js';
import { common, desk, play as texts } from './texts.js';
import { at, bytesText, clockText, dateText, element, fillTexts, fullTimeText, setAttribute, setText } from './ui.js';
import { readToken, restoreToken } from './token.js';

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 3];
const SEEK_S = 5;
const FAR_S = 1e101; // behind every end: the browser then finds the last timestamp
const FIND_BYTES = 256e6; // a browser's own file has no index: finding its end reads all of it
const SEALED = new Set(['saved', 'short']);

fillTexts({ ...common, ...texts });

const id = decodeURIComponent(location.pathname.replace(/^\/play\//, ''));
await restoreToken();
const client = await openClient({ stores: ['memory'], token: readToken });
const { api } = client;

let take = null;
let follower = null;
let media = null;
let track = null; // of the address; null where there is one
let loaded = null; // what the element was made for
let signedUntil = Infinity;
let length = null;

// --- words ---

function say(sentence, look = '') {
	setText(at('state-text'), sentence);
	at('state').className = `notice ${look}`;
	at('state').hidden = sentence === '';
}

/** Nothing to show but why. */
function giveUp(title, sentence, retry = false) {
	follower?.close();
	unload();
	take = null;
	setText(at('title'), title);
	document.title = `${title} – ${common.brand}`;
	say(sentence, 'warn');
	at('again').hidden = !retry;
	at('so-far').hidden = true;
	at('facts').hidden = true;
	at('download-line').hidden = true;
	document.body.dataset.state = 'none';
}

function refused(error) {
	if (error.status === 404 || error.code === 'not_found') giveUp(texts.notThereTitle, texts.notThere);
	else if (error.status === 410 || error.code === 'deleted') giveUp(texts.deletedTitle, texts.deleted);
	else if (texts.refused[error.code] || error.status === 401 || error.status === 403)
		giveUp(texts.refusedTitle, texts.refused[error.code] ?? error.message);
	else giveUp(texts.troubleTitle, error.message, true);
}

function fact(name, ...value) {
	return element('div', {}, element('dt', {}, name), element('dd', {}, ...value));
}

function showFacts() {
	const kind = kindOf(take);
	const facts = [
		fact(texts.state, desk.state[kind]),
		fact(texts.size, bytesText(take.bytes)),
		fact(texts.recorded, element('time', { datetime: new Date(take.createdAt).toISOString(), title: fullTimeText(take.createdAt) }, dateText(take.createdAt))),
		fact(texts.length, length === null ? texts.unknownLength : clockText(length * 1000)),
		fact(texts.origin, take.owner === 'local' ? desk.from('local').replace(/^from /, '') : take.owner),
		fact(texts.type, (take.mime ?? '').replace(/;\s*codecs=/, ', ')),
	];
	if (take.sha256) facts.push(element('div', { class: 'whole' }, element('dt', {}, texts.sha256), element('dd', { class: 'mono small' }, take.sha256)));
	at('facts').replaceChildren(...facts);
	at('facts').hidden = false;
}

function showState() {
	const size = bytesText(take.bytes);
	const kind = kindOf(take);
	const waits = kind === 'live' || kind === 'lost' || kind === 'waiting';
	if (kind === 'live') say(texts.recording(size));
	else if (waits) say(texts.lost(size), 'warn');
	else if (kind === 'failed') say(texts.failed(take.error?.message ?? desk.why.failedUnknown), 'bad');
	else if (kind === 'dropped') say(take.bytes > 0 ? texts.dropped : texts.empty);
	else if (take.bytes === 0) say(texts.empty);
	else say(kind === 'short' ? texts.short : '', 'warn');
	at('so-far').hidden = SEALED.has(kind) || take.bytes === 0 || media !== null;
	setText(at('so-far'), waits ? texts.playSoFar : texts.playReceived);
	at('again').hidden = true;
	document.body.dataset.state = kind;
}

// --- playing ---

function unload() {
	loaded = null;
	if (media === null) return;
	media.removeAttribute('src');
	media.load(); // lets go of the connection
	media.remove();
	media = null;
	at('controls').hidden = true;
	at('find').hidden = true;
}

async function address() {
	if (readToken() === null) {
		signedUntil = Infinity;
		return api.originalUrl(id, track ?? undefined);
	}
	const { url, expiresAt } = await api.sign(id, { what: 'original', track: track ?? undefined });
	signedUntil = expiresAt;
	return url;
}

/** MediaRecorder writes no length. Going far behind the end makes the browser find it; then back to where we were. */
function findLength() {
	const { currentTime, paused } = media;
	const mine = media;
	at('find').hidden = true;
	const found = () => {
		if (media !== mine || !Number.isFinite(mine.duration)) return;
		mine.removeEventListener('durationchange', found);
		mine.removeEventListener('seeked', found);
		mine.currentTime = currentTime;
		if (!paused) mine.play().catch(() => {});
		lengthChanged();
	};
	mine.addEventListener('durationchange', found);
	mine.addEventListener('seeked', found);
	mine.currentTime = FAR_S;
}

function lengthChanged() {
	if (media === null || take === null) return;
	length = Number.isFinite(media.duration) ? media.duration : null;
	document.body.dataset.length = length ?? '';
	showFacts();
}

function metadataCame() {
	lengthChanged();
	if (media.duration !== Infinity) return;
	if (take.bytes <= FIND_BYTES) findLength();
	else at('find').hidden = false;
}

async function mediaFailed(mine) {
	if (media !== mine) return;
	const { error, currentTime } = mine;
	if (Date.now() > signedUntil) { // the address was good for an hour
		unload();
		await load(currentTime).catch(refused);
		return;
	}
	if (error.code === MediaError.MEDIA_ERR_NETWORK) say(texts.linkLost, 'warn');
	else if (mine.readyState > 0 && currentTime > 0) say(texts.broken, 'warn');
	else {
		unload();
		say(texts.cannotPlay(take.mime), 'warn');
		document.body.dataset.state = 'unplayable';
	}
}

async function load(from = 0) {
	const kind = take.mime?.startsWith('audio/') ? 'audio' : 'video';
	const key = `${track} ${take.revision} ${take.bytes}`;
	if (loaded === key) return;
	unload();
	loaded = key;
	const url = await address();
	if (loaded !== key) return;
	media = element(kind, { id: 'media', controls: true, preload: 'metadata', playsinline: true, 'aria-label': at('title').textContent });
	const mine = media;
	mine.addEventListener('loadedmetadata', () => {
		mine.playbackRate = Number(at('speed').value);
		if (from > 0) mine.currentTime = from;
		metadataCame();
	});
	mine.addEventListener('durationchange', lengthChanged);
	mine.addEventListener('error', () => mediaFailed(mine));
	mine.addEventListener('ratechange', () => {
		if (SPEEDS.includes(mine.playbackRate)) at('speed').value = String(mine.playbackRate);
	});
	mine.src = url;
	at('stage').replaceChildren(mine);
	at('controls').hidden = false;
	at('so-far').hidden = true;
}

function begin() {
	load().catch(refused);
}

// --- controls ---

for (const rate of SPEEDS) at('speed').append(element('option', { value: rate, selected: rate === 1 }, texts.speedOf(rate)));
at('speed').addEventListener('change', () => {
	if (media) media.playbackRate = Number(at('speed').value);
});
at('tracks').addEventListener('change', () => {
	track = at('tracks').value;
	linkDownload();
	begin();
});
at('so-far').addEventListener('click', begin);
at('again').addEventListener('click', () => location.reload());
at('find').addEventListener('click', findLength);
at('download').addEventListener('click', async (event) => {
	if (readToken() === null) return; // the link itself is right
	event.preventDefault();
	const signed = at('download').cloneNode();
	try {
		signed.href = await address();
		signed.click();
	} catch (error) {
		say(error.message, 'bad');
	}
});

addEventListener('keydown', (event) => {
	if (media === null || event.ctrlKey || event.altKey || event.metaKey || event.target.closest('select, input')) return;
	const step = { '<': -1, '>': 1 }[event.key];
	if (step) {
		const now = SPEEDS.indexOf(Number(at('speed').value));
		at('speed').value = String(SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, now + step))]);
		media.playbackRate = Number(at('speed').value);
		return;
	}
	if (event.target === media) return; // the browser's own controls know the rest
	if (event.key === ' ' && !event.target.closest('a, button')) {
		if (media.paused) media.play().catch(() => {});
		else media.pause();
	} else if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
		media.currentTime = Math.max(0, media.currentTime + (event.key === 'ArrowLeft' ? -SEEK_S : SEEK_S));
	} else {
		return;
	}
	event.preventDefault();
});

// --- what the server says ---

function linkDownload() {
	setAttribute(at('download'), 'href', api.originalUrl(id, track ?? undefined));
	setAttribute(at('download'), 'download', fileName(take, track));
	at('download-line').hidden = take.bytes === 0;
}

function taken(now) {
	const before = take;
	take = now;
	const name = take.name?.trim() || desk.unnamed(dateText(take.createdAt));
	setText(at('title'), name);
	const title = `${name} – ${common.brand}`;
	if (document.title !== title) document.title = title;
	const tracks = (take.tracks ?? []).map((one) => one.track);
	if (tracks.length > 1 && at('tracks').options.length !== tracks.length) {
		at('tracks').replaceChildren(...tracks.map((one) => element('option', { value: one }, one)));
		track ??= tracks[0];
		at('tracks').value = track;
		at('tracks-label').hidden = false;
	}
	linkDownload();
	if (document.body.dataset.state !== 'unplayable' || before?.revision !== take.revision) showState();
	showFacts();
	const sealed = SEALED.has(kindOf(take));
	if (sealed && take.bytes > 0 && (before === null || !SEALED.has(kindOf(before)) || before.revision !== take.revision)) begin();
}

async function start() {
	try {
		taken(await api.get(id));
	} catch (error) {
		refused(error);
		return;
	}
	follower = client.follow({
		id: take.id,
		onChange(view) {
			if (take === null) return;
			const [now] = view.recordings;
			if (now && now !== take) taken(now);
			else if (view.reason === 'deleted' || (!now && view.link === 'live')) giveUp(texts.deletedTitle, texts.deleted);
		},
	});
}

start();
