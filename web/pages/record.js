// The record page: puts the recording under way (live.js), what is unfinished (unfinished.js), files (files.js) and the pairing on the
// screen. It never claims more than the server has confirmed: "safe" is what the server has on its disk.
import { openClient } from '../client/index.js';
import { at, bytesText, clockText, element, fillTexts, setAttribute, setText } from './ui.js';
import { air as airWords, record as texts } from './texts.js';
import { readToken, restoreToken } from './token.js';
import { endedSentence, hiddenSentence, linkSentence, mediaSentence, minutesText, notices, problemSentence, roomSentence,
	wouldLose } from './words.js';
import { USUAL_RATE, freeThere, minutesLeft } from './space.js';
import { ability, listDevices, openSource } from './devices.js';
import { AirPage, airTexts, showInAddress } from './record_air.js';
import { Awake } from './awake.js';
import { Files } from './files.js';
import { Live } from './live.js';
import { Meter } from './meter.js';
import { Pairing, grantOf } from './pairing.js';
import { Unfinished } from './unfinished.js';
import { Watch } from './watch.js';
import { airProblem, isRemnant } from './words_air.js';
import { saveCopy } from './copy.js';
import { savedSays } from './finishing.js';

const pairing = new Pairing();
pairing.take(location, history); // before anything else: the address is not to be copied with it
addEventListener('hashchange', () => {
	pairing.take(location, history);
	if (pairing.pending && page.unfinished) pair().then(startShow).catch(unexpected); // else main() does
});

const TICK_MS = 250;
const SPACE_MS = 10_000;
const SERVER_MS = 15_000;
const CHOICE = 'holdfast.source'; // what was recorded last, for the next time
const STALLED = new Set(['waiting', 'connecting', 'stopped', 'idle']);

const ui = Object.fromEntries(['access', 'error', 'take', 'preview', 'level', 'level-bar', 'elapsed', 'part', 'recorded', 'safe',
	'progress', 'link-text', 'light', 'wait', 'wait-text', 'try-now', 'notices', 'here', 'there', 'finish', 'finish-text', 'finish-figures', 'result', 'original', 'local', 'save',
	'save-text', 'setup', 'source', 'camera', 'camera-field', 'microphone', 'microphone-field', 'screen-sound', 'name', 'controls', 'record', 'go-on',
	'pause', 'stop', 'unfinished', 'takes', 'insecure', 'secure', 'files', 'fits'].map((id) => [id, at(id)]));
const page = {
	able: ability(), access: 'ok', accessSentence: '', accessKind: '', client: null, live: null, unfinished: null, awake: null, meter: null,
	hereBytes: null, thereBytes: null, loudness: 0, name: '', begunAt: 0, watch: null, air: null, resuming: null,
};
const show = showInAddress(location);
fillTexts({ ...texts.page, ...(show ? airTexts(show) : {}) });

// --- sentences of the page ---

function complain(sentence) {
	setText(ui.error, sentence);
	ui.error.hidden = sentence === '';
}

function unexpected(error) {
	console.error(error);
	complain(error.message || String(error));
}

function showAccess(code, { sentence = accessText(code), kind = 'warn' } = {}) {
	Object.assign(page, { access: code, accessSentence: sentence, accessKind: kind });
	render();
}

/** Over plain http the code that the desk shows by itself leads elsewhere. */
function accessText(code) {
	const plain = page.able === 'insecure' ? texts.access[`${code}Plain`] : undefined;
	return plain ?? texts.access[code] ?? '';
}

function renderAccess(live) {
	const asking = live.stage === 'asking';
	const sentence = asking ? texts.asking : page.accessSentence;
	setText(ui.access, sentence);
	setAttribute(ui.access, 'class', `notice ${asking ? '' : page.accessKind}`);
	ui.access.hidden = sentence === '';
}

const mayRecord = () => page.able === 'live' && show !== '' && ['ok', 'away', 'paired'].includes(page.access);

// --- what is on the screen ---

/** Too little to be kept: of a show that did not go on air, or was ended from elsewhere. */
const forgotten = (live) => live.take?.state.link === 'released';

const LIGHTS = { sending: 'good', saved: 'good', released: 'good', waiting: 'warn', connecting: 'warn', stopped: 'bad' };

function render() {
	const { live } = page;
	if (live === null) return;
	document.body.dataset.state = live.stage;
	document.body.dataset.link = live.state?.link ?? 'idle';
	ui.take.hidden = live.take === null || forgotten(live) && live.state.id === null;
	ui.setup.hidden = page.able !== 'live' || live.busy && live.stage !== 'asking' || live.stage === 'interrupted';
	ui.source.disabled = live.busy;
	ui.files.hidden = show !== null || live.busy || live.stage === 'interrupted';
	renderAccess(live);
	renderControls(live);
	if (live.take !== null) {
		renderFigures(live);
		renderLink(live);
		renderResult(live);
	}
	page.air?.render(live, { able: mayRecord() });
	renderNotices(live);
	renderRoom(live);
	const { elapsed: { textContent: time } } = ui;
	if (page.air) document.title = live.running ? airWords.tab.air(show, time) : airWords.tab.other(show);
	else document.title = live.running ? texts.tab.recording(time) : texts.tab.other;
}

function renderControls(live) {
	const interrupted = live.stage === 'interrupted';
	const on = live.running || live.stage === 'stopping';
	ui.controls.hidden = page.able !== 'live';
	ui.record.disabled = live.busy || !mayRecord();
	ui.record.hidden = on || interrupted;
	ui['go-on'].hidden = !interrupted;
	ui.pause.disabled = !live.running;
	ui.pause.hidden = !on || page.air !== null; // listeners would hear nothing, and not know why
	ui.stop.disabled = !live.running && !interrupted;
	ui.stop.hidden = !on && !interrupted;
	setText(ui.pause, live.stage === 'paused' ? texts.resume : texts.page.pause);
	setAttribute(ui.level, 'aria-valuenow', String(Math.round(page.loudness * 100)));
	page.loudness = 0;
}

function renderFigures(live) {
	const { state } = live;
	setText(ui.elapsed, clockText(live.elapsedMs));
	setText(ui.part, texts.take.part(live.part));
	ui.part.hidden = live.part < 2;
	setText(ui.recorded, bytesText(live.emitted));
	const safe = state.safeBytes - state.unrecordedBytes;
	setText(ui.safe, bytesText(safe));
	ui.progress.value = live.emitted === 0 ? 0 : safe / live.emitted;
}

function renderLink(live) {
	const { state } = live;
	setText(ui['link-text'], page.air?.sentence(live) ?? linkSentence(state, live.stage));
	ui.light.className = `dot ${LIGHTS[state.link] ?? ''}`;
	ui.wait.hidden = !(state.link === 'waiting' && state.retryAt !== null || state.link === 'connecting' && state.reason !== null);
	const seconds = Math.ceil((state.retryAt - Date.now()) / 1000);
	setText(ui['wait-text'], state.link === 'waiting' && seconds > 0 ? texts.take.wait(seconds) : texts.take.trying);
}

function renderResult(live) {
	const { state, stage } = live;
	ui.result.hidden = state.id === null || !(stage === 'saved' || stage === 'failed');
	if (state.id !== null) setAttribute(ui.original, 'href', `/play/${state.id}`);
	const { sentence, figures, ready } = page.watch === null ? { sentence: '', figures: '', ready: false } : savedSays(page.watch);
	setText(ui['finish-text'], sentence);
	setText(ui['finish-figures'], figures);
	ui.finish.hidden = sentence === '';
	setText(ui.original, ready ? texts.page.play : texts.page.result);
	document.body.dataset.finish = page.watch?.waiting.state ?? '';
	const left = state.emittedBytes > state.safeBytes;
	ui.local.hidden = !left || forgotten(live) || live.busy || !STALLED.has(state.link);
}

function renderNotices(live) {
	const minutes = room(live);
	const said = notices({
		stage: live.stage, state: live.state, recorder: live.recorder, source: live.source, soundless: live.soundless,
		awake: page.awake.state, quietMs: live.stage === 'recording' ? page.meter?.quietMs ?? 0 : 0,
		hidden: live.hidden === null ? null
			: live.hidden.since !== undefined ? texts.notice.hidden : hiddenSentence(live.hidden.ms, live.hidden.flowed),
		hereMinutes: minutes.here, thereMinutes: minutes.there,
	});
	if (said.join('\n') === [...ui.notices.children].map((node) => node.textContent).join('\n')) return;
	ui.notices.replaceChildren(...said.map((sentence) => element('p', { class: 'notice warn' }, sentence)));
}

// --- room here and there ---

function room(live) {
	const video = live.running ? live.source !== 'microphone' : chosen().source !== 'microphone';
	const perSecond = (live.running ? live.rate.perSecond : null) ?? (video ? USUAL_RATE.video : USUAL_RATE.audio);
	return { here: minutesLeft(page.hereBytes, perSecond), there: minutesLeft(page.thereBytes, perSecond) };
}

function renderRoom(live) {
	const all = room(live);
	setText(ui.fits, roomSentence(all));
	for (const [which, minutes] of Object.entries(all))
		setText(ui[which], minutes === null ? texts.take.unknown : minutes === 0 ? texts.take.full : minutesText(minutes));
}

async function askDevice() {
	page.hereBytes = (await page.client.space()).leftBytes;
}

async function askServer() {
	const { code, server } = await grantOf(page.client.api);
	if (server) page.thereBytes = freeThere(server);
	if (code === 'away' && page.live.busy) return; // the take's own link says so
	if (code !== page.access && !(code === 'ok' && page.access === 'paired')) showAccess(code);
}

// --- recording ---

function chosen() {
	return { source: new FormData(ui.setup).get('source') ?? 'microphone', microphone: ui.microphone.value, camera: ui.camera.value };
}

function remember(choice) {
	try {
		localStorage.setItem(CHOICE, choice.source);
	} catch {
		// asked again the next time
	}
}

function showSource(source) {
	ui['camera-field'].hidden = source !== 'camera';
	ui['microphone-field'].hidden = source === 'screen';
	ui['screen-sound'].hidden = source !== 'screen';
}

function restoreChoice() {
	let source = null;
	try {
		source = localStorage.getItem(CHOICE);
	} catch {
		// the first one then
	}
	const radio = [...ui.setup.elements.source].find(({ value }) => value === source);
	if (radio && !radio.disabled) radio.checked = true;
	showSource(chosen().source);
}

async function showDevices() {
	const directions = matchMedia('(pointer: coarse)').matches;
	const found = await listDevices({ names: texts.devices, directions });
	for (const [select, devices] of [[ui.microphone, found.microphones], [ui.camera, found.cameras]]) {
		const before = select.value;
		select.replaceChildren(...devices.map(({ id, label }) => element('option', { value: id }, label)));
		if (devices.some(({ id }) => id === before)) select.value = before;
	}
}

/** Begins a take, or the next part of `take`. */
async function begin(take = null) {
	const choice = chosen();
	const { live } = page;
	complain('');
	if (live.take !== null && live.take !== take) page.unfinished.adopt(live.leave()); // it is sent on, in the list below
	showAccess(page.access === 'paired' ? 'ok' : page.access);
	try {
		await live.begin({ source: choice.source, open: () => openSource(choice), name: ui.name.value.trim(), show: show || undefined, take });
	} catch (error) {
		if (error instanceof DOMException) complain(mediaSentence(error, choice.source, ui.record.textContent));
		else unexpected(error);
		if (take !== null && live.take !== take) await page.unfinished.adopt(take);
		(live.stage === 'interrupted' ? ui['go-on'] : ui.record).focus();
		return;
	}
	page.air?.began();
	if (take === null) Object.assign(page, { name: ui.name.value.trim(), begunAt: Date.now() });
	remember(choice);
	watch(live);
	ui.take.scrollIntoView({ block: 'start' });
	ui.stop.focus({ preventScroll: true }); // it stands at the bottom of the screen
	showDevices(); // now their names are known
	askDevice();
}

/** Begins a take; of a show that waits for one of this device's, goes on with that. */
async function start() {
	const own = page.air?.take ?? null;
	page.resuming = own?.sessionId ?? null;
	try {
		await begin(own && await page.client.resume(own.sessionId, { onAir: true }));
	} finally {
		page.resuming = null;
	}
}

/** A show is on air at once, if nothing is in the way and nobody else is on air. */
async function startShow() {
	if (!page.air || page.live.busy) return;
	await page.air.follow();
	await page.air.look();
	render();
	if (page.air.may({ able: page.able, access: mayRecord() ? 'ok' : page.access, source: chosen().source })) await start();
	page.air.decided = true;
	page.unfinished.look();
}

function watch(live) {
	page.meter?.close();
	page.meter = Meter.of(live.stream);
	ui.level.hidden = page.meter === null;
	if (live.stream.getVideoTracks().length > 0) {
		ui.preview.srcObject = live.stream;
		ui.preview.hidden = false;
		ui.preview.play().catch(() => {}); // a picture that does not play harms no recording
	}
	drawLevel();
}

function unwatch() {
	page.meter?.close();
	page.meter = null;
	ui.level.hidden = true;
	ui.preview.srcObject = null;
	ui.preview.hidden = true;
}

function drawLevel() {
	if (page.meter === null) return;
	if (page.live.stage === 'paused') page.meter.forgive();
	const level = page.meter.read();
	page.loudness = Math.max(page.loudness, level);
	ui['level-bar'].style.transform = `scaleX(${level.toFixed(3)})`;
	requestAnimationFrame(drawLevel);
}

let shownStage = 'idle';

/** The recording has news. */
function liveChanged(live) {
	if (live.stage !== shownStage) {
		const before = shownStage;
		shownStage = live.stage;
		stageChanged(live, before);
	}
	render();
}

/** What becomes of the take that is saved now. */
function watchFinish(live) {
	const id = live.stage === 'saved' ? live.state.id : null;
	page.watch?.close();
	page.watch = id === null ? null : new Watch({ client: page.client, id, onchange: render });
}

/** The focus follows when what had it is gone; it is left alone where the person has put it. */
function focusInstead(node) {
	const has = document.activeElement;
	if (has === document.body || has === ui.take || has.hidden || has.disabled) node.focus({ preventScroll: true });
}

function stageChanged(live, before) {
	watchFinish(live);
	render();
	if (live.running) page.awake.hold();
	else page.awake.release();
	if (!live.busy && page.meter !== null || !ui.preview.hidden && !live.busy) unwatch();
	if (live.stage === 'interrupted') {
		if (before !== 'asking') complain(endedSentence(live.why, live.source, live.error));
		ui['go-on'].focus();
	} else if (live.stage === 'failed') {
		const { problem } = live.state;
		complain((page.air ? airProblem : problemSentence)(problem ?? { code: 'aborted' }));
		if (page.air && isRemnant(live)) live.take.discard().catch(unexpected);
	} else if (live.stage === 'finishing' && before === 'interrupted') {
		complain('');
	}
	if (live.stage === 'saved') focusInstead(ui.original);
	else if (live.stage === 'failed') focusInstead(ui.record);
	else if (live.stage === 'stopping' || live.stage === 'finishing') focusInstead(ui.take);
	if (before === 'stopping') ui.name.value = '';
	if (!live.busy && live.stage !== 'interrupted' && live.take !== null) page.air?.ended();
}

async function save() {
	const { live } = page;
	try {
		const copy = await saveCopy(await live.take.localCopy(), page);
		setText(ui['save-text'], copy.from > 0 ? texts.take.copyBegins(bytesText(copy.from)) : '');
	} catch (error) {
		complain(texts.take.copyFailed(error.message));
	}
}

// --- assembly ---

function listen() {
	ui.setup.addEventListener('submit', (event) => {
		event.preventDefault();
		if (!ui.record.disabled) start().catch(unexpected);
	});
	ui.setup.addEventListener('change', () => {
		showSource(chosen().source);
		render();
	});
	ui['go-on'].addEventListener('click', () => begin(page.air?.failed ? null : page.live.take));
	ui.pause.addEventListener('click', () => (page.live.stage === 'paused' ? page.live.resume() : page.live.pause()));
	ui.stop.addEventListener('click', () => page.live.stop());
	ui['try-now'].addEventListener('click', () => page.client.reconnect());
	ui.save.addEventListener('click', save);
	document.addEventListener('visibilitychange', () => page.live.visible(document.visibilityState === 'visible'));
	for (const event of ['freeze', 'pagehide']) addEventListener(event, () => page.live.recorder?.flush());
	document.addEventListener('freeze', () => page.live.recorder?.flush());
	navigator.mediaDevices?.addEventListener?.('devicechange', showDevices);
	addEventListener('beforeunload', (event) => {
		if (!wouldLose(page.live.stage, page.live.state) && !page.unfinished.fragile) return;
		event.preventDefault();
		event.returnValue = ''; // older browsers ask only then
	});
	addEventListener('offline', () => page.client.reconnect()); // the old link would seem to be open for a long while
	addEventListener('storage', () => Promise.all([askServer(), page.unfinished.look()])); // another tab has paired
}

async function pair() {
	if (!pairing.pending) return askServer();
	showAccess('pairing', { kind: '' });
	const { code, message } = await pairing.pair(page.client.api, {
		device: navigator.userAgentData?.platform || navigator.platform || undefined,
		onwait: (waiting) => waiting && showAccess('pairing', { sentence: texts.access.pairingAway }),
	});
	const { code: granted, server } = await grantOf(page.client.api);
	if (server) page.thereBytes = freeThere(server);
	if (code === 'paired') showAccess('paired', { kind: 'good' });
	else {
		const sentence = texts.access[code] ?? texts.access.pairingFailed(message);
		showAccess(granted, { sentence: granted === 'ok' ? `${sentence} ${texts.access.still}` : sentence, kind: 'bad' });
	}
	page.unfinished.look(); // what waited for a token
}

/** Live recording is not possible here: why, where it is, and what can be done instead. */
async function explain() {
	document.body.dataset.state = page.able;
	if (page.able === 'no_recorder') complain(texts.media.noRecorder);
	else {
		ui.unfinished.before(ui.insecure, ui.files); // what can be done here comes first
		ui.insecure.hidden = false;
		const trust = await page.client.api.trust().catch(() => null);
		if (typeof trust?.url === 'string' && trust.url.startsWith('https:')) {
			ui.secure.href = new URL(`/record${location.search}`, trust.url).href;
			ui.secure.hidden = false;
		}
	}
}

async function main() {
	await restoreToken();
	page.client = await openClient({ token: readToken, workerUrl: '/assets/store-worker.js' });
	page.awake = new Awake({ onchange: () => render() });
	if (show) page.air = new AirPage({ client: page.client, name: show, onchange: render });
	page.live = new Live({ client: page.client, onchange: liveChanged });
	page.unfinished = new Unfinished({
		client: page.client, section: ui.unfinished, list: ui.takes, onGoOn: begin,
		mayGoOn: () => mayRecord() && !page.live.busy, except: () => page.live.take?.sessionId ?? page.resuming, show,
		ready: () => page.air?.looked ?? true,
	});
	page.unfinished.onerror = unexpected;
	const files = new Files({ client: page.client, onTake: (take) => page.unfinished.adopt(take), onError: complain });
	files.show(page.able !== 'live');
	if (!navigator.mediaDevices?.getDisplayMedia) {
		const screen = ui.setup.querySelector('[value=screen]');
		screen.disabled = true;
		screen.closest('label').title = texts.noScreen;
	}
	listen();
	restoreChoice();
	render();
	if (page.able === 'live') showDevices();
	else explain();
	page.unfinished.look();
	askDevice().then(render, unexpected);
	if (show === '') complain(airWords.badName);
	await pair();
	setInterval(render, TICK_MS);
	setInterval(() => askDevice().catch(() => {}), SPACE_MS);
	setInterval(() => !pairing.pending && askServer(), SERVER_MS);
	await startShow();
}

main().catch(unexpected);
