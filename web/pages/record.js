// The recording page: microphone, camera or screen through MediaRecorder, sent by client.js while it is being recorded.
//
// The page never claims more than the server has confirmed: "safe" is what the server acknowledged. A take ends only
// when the last piece of the recorder has been handed over, whatever the link did meanwhile.
import { TakeSender, newSessionId, socketUrl } from '../client.js';

const TIMESLICE_MS = 250; // what a crash of the page costs at most
const TICK_MS = 250;
const HELD_MAX_BYTES = 1024 ** 3; // unsent bytes a page can hold without its tab being ended for it

const AUDIO_TYPES = ['audio/webm;codecs=opus', 'audio/mp4;codecs=mp4a.40.2', 'audio/mp4', 'audio/webm'];
const VIDEO_TYPES = ['video/webm;codecs=vp8,opus', 'video/webm;codecs=vp9,opus', 'video/webm',
	'video/mp4;codecs=avc1.42E01E,mp4a.40.2', 'video/mp4'];

const SOURCES = {
	microphone: {
		what: 'microphone', types: AUDIO_TYPES,
		open: () => navigator.mediaDevices.getUserMedia({ audio: true }),
	},
	camera: {
		what: 'camera or microphone', types: VIDEO_TYPES,
		open: () => navigator.mediaDevices.getUserMedia({ audio: true, video: true }),
	},
	screen: {
		what: 'screen', types: VIDEO_TYPES,
		open: () => navigator.mediaDevices.getDisplayMedia({ audio: true, video: true }),
	},
};

const WAITING = {
	storage_full: 'The server’s storage is full.',
	shutting_down: 'The server is being stopped.',
};
const LINK_LOST = 'The link to the server is lost.';

const STOPPED = {
	taken_over: 'Another page or program went on with this take, so this page has stopped sending it.',
	aborted: 'This take was given up on the server.',
	deleted: 'This recording was deleted on the server.',
	sealed: 'This take was already finished on the server, which takes no more bytes for it.',
	position_conflict: 'The server’s copy of this take does not fit what this page has recorded.',
	poisoned: 'The server’s storage failed under this take. What is safe can be downloaded.',
	limit_exceeded: 'The server takes no more recordings at the moment.',
};

const at = (id) => document.getElementById(id);
const ui = Object.fromEntries(['setup', 'source', 'name', 'record', 'stop', 'error', 'preview', 'take', 'link-text', 'wait',
	'elapsed', 'recorded', 'safe', 'progress', 'result', 'original'].map((id) => [id, at(id)]));

let take = null; // the one on show; each take's handlers hold their own

function show(state) {
	document.body.dataset.state = state;
	const busy = state === 'asking' || state === 'recording' || state === 'finishing';
	ui.source.disabled = busy;
	ui.name.disabled = busy;
	ui.record.disabled = busy;
	ui.stop.disabled = state !== 'recording';
	ui.take.hidden = take === null;
	if (state === 'recording') ui.stop.focus();
}

function complain(sentence) {
	ui.error.textContent = sentence;
	ui.error.hidden = sentence === '';
}

function timeText(ms) {
	const s = Math.floor(ms / 1000);
	const two = (n) => String(n).padStart(2, '0');
	const minutes = Math.floor(s / 60) % 60;
	return s >= 3600 ? `${Math.floor(s / 3600)}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

function bytesText(n) {
	const units = ['B', 'kB', 'MB', 'GB', 'TB'];
	let unit = 0;
	while (n >= 1000 && unit < units.length - 1) {
		n /= 1000;
		unit += 1;
	}
	return `${unit === 0 ? n : n.toFixed(n < 10 ? 2 : 1)} ${units[unit]}`;
}

function mediaSentence(error, source) {
	switch (error.name) {
	case 'NotAllowedError':
		return source === SOURCES.screen
			? 'No screen was chosen, or the browser may not record it.'
			: `The browser may not use the ${source.what}. Allow it for this page and try again.`;
	case 'NotFoundError':
		return `No ${source.what} was found.`;
	case 'NotReadableError':
		return `The ${source.what} cannot be read. Another program may be using it.`;
	default:
		return `The ${source.what} could not be opened: ${error.message || error.name}`;
	}
}

function linkSentence(sender) {
	switch (sender.link) {
	case 'connecting':
		return sender.id === null ? 'Connecting to the server' : 'Connecting to the server again';
	case 'sending':
		return document.body.dataset.state === 'finishing' ? 'Sending the rest' : 'Sending';
	case 'waiting':
		return `${WAITING[sender.reason] ?? LINK_LOST} ${document.body.dataset.state === 'recording'
			? 'The recording goes on here.' : 'Leave this page open: the rest is still to be sent.'}`;
	case 'saved':
		return 'Saved';
	case 'stopped':
		return 'Stopped';
	default:
		return '';
	}
}

/** Text of a live region is set only when it differs: a screen reader hears each change once. */
function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

function render() {
	if (take === null) return;
	const { sender } = take;
	document.body.dataset.link = sender.link;
	setText(ui['link-text'], linkSentence(sender));
	const waitS = Math.max(0, Math.ceil((sender.retryAt - Date.now()) / 1000));
	ui.wait.hidden = sender.link !== 'waiting';
	setText(ui.wait, `Next attempt in ${waitS} s`);
	setText(ui.elapsed, timeText(take.elapsedMs ?? performance.now() - take.startedAt));
	setText(ui.recorded, bytesText(take.emitted));
	setText(ui.safe, bytesText(sender.safe));
	ui.progress.value = take.emitted === 0 ? 0 : sender.safe / take.emitted;
	ui.result.hidden = !sender.done || sender.id === null;
	if (sender.id !== null) ui.original.href = sender.saved?.url ?? `/api/recordings/${sender.id}/original`;
	document.title = document.body.dataset.state === 'recording' ? `● ${ui.elapsed.textContent} – Holdfast` : 'Record – Holdfast';
}

function stopRecorder(mine) {
	if (mine.recorder.state !== 'inactive') mine.recorder.stop();
}

/** The sender has news. Its last word may come while the recorder still runs: then there is no point in going on. */
function senderChanged(sender) {
	if (take?.sender !== sender) return;
	if (sender.done && !take.closed) {
		take.closed = true;
		stopRecorder(take);
		if (sender.link === 'stopped') {
			complain(STOPPED[sender.reason] ?? `The server refused this take: ${sender.message || sender.reason}`);
		} else if (sender.saved.bytes < take.emitted) {
			complain('The take was finished from elsewhere: the server has only what the figures below call safe.');
		}
		show(sender.link === 'saved' ? 'saved' : 'failed');
	}
	render();
}

/** Hands the recorder's pieces over in their order. A piece that can't be read ends the take before it: no gaps. */
function collect(mine, blob) {
	mine.emitted += blob.size;
	mine.handedOver = mine.handedOver.then(async () => {
		if (mine.broken || mine.sender.done) return;
		try {
			mine.sender.push(new Uint8Array(await blob.arrayBuffer()));
		} catch (error) {
			mine.broken = true;
			complain(`A piece of the recording could not be read (${error.message}). The take ends before it.`);
			stopRecorder(mine);
		}
	});
	if (mine.sender.held > HELD_MAX_BYTES) {
		complain('The link was lost for so long that this page can hold no more. The recording was stopped; what was recorded is sent as soon as possible. Leave this page open.');
		stopRecorder(mine);
	}
}

async function recorderStopped(mine) {
	mine.elapsedMs = performance.now() - mine.startedAt;
	for (const track of mine.stream.getTracks()) track.stop();
	ui.preview.srcObject = null;
	ui.preview.hidden = true;
	if (!mine.sender.done) show('finishing');
	render();
	await mine.handedOver; // the last piece is still being read
	if (!mine.sender.done) mine.sender.end();
}

function begin(stream, source) {
	const mimeType = source.types.find((type) => MediaRecorder.isTypeSupported(type));
	const recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
	const mime = recorder.mimeType || mimeType || 'video/webm';
	const sender = new TakeSender({
		url: socketUrl(location.href),
		start: {
			sessionId: newSessionId(), mime, ext: /^(audio|video)\/mp4/.test(mime) ? 'mp4' : 'webm',
			name: ui.name.value.trim() || undefined, ts: Date.now(),
		},
		onchange: senderChanged,
	});
	const mine = { sender, stream, recorder, startedAt: performance.now(), elapsedMs: null, emitted: 0,
		handedOver: Promise.resolve(), broken: false, closed: false };
	take = mine;
	recorder.ondataavailable = (event) => collect(mine, event.data);
	recorder.onstop = () => recorderStopped(mine);
	recorder.onerror = (event) => complain(`The recorder failed: ${event.error?.message ?? 'unknown reason'}. What was recorded until then is sent.`);
	recorder.start(TIMESLICE_MS);
	sender.connect();
	if (stream.getVideoTracks().length > 0) {
		ui.preview.srcObject = stream;
		ui.preview.hidden = false;
		ui.preview.play().catch(() => {}); // a picture that does not play harms no recording
	}
	show('recording');
}

async function recordPressed(event) {
	event.preventDefault();
	const source = SOURCES[new FormData(ui.setup).get('source')];
	complain('');
	take = null;
	if (!navigator.mediaDevices || !window.MediaRecorder) {
		complain(window.isSecureContext
			? 'This browser cannot record.'
			: 'Browsers record only on pages that came over https, or from this same machine (http://localhost).');
		return;
	}
	show('asking');
	let stream;
	try {
		stream = await source.open();
		begin(stream, source);
	} catch (error) {
		for (const track of stream?.getTracks() ?? []) track.stop();
		complain(mediaSentence(error, source));
		take = null;
		show('idle');
		ui.record.focus();
	}
}

ui.setup.addEventListener('submit', recordPressed);
ui.stop.addEventListener('click', () => stopRecorder(take));
for (const name of ['offline', 'online']) addEventListener(name, () => take?.sender.reconnect());
addEventListener('beforeunload', (event) => {
	if (take !== null && !take.sender.done) {
		event.preventDefault();
		event.returnValue = ''; // older browsers ask only then
	}
});
setInterval(render, TICK_MS);
show('idle');
