// Which sentence fits a situation. Pure: states in, sentences out; the sentences themselves stand in texts.js.
import { record as texts } from './texts.js';

const FEW_MINUTES = 10;
const QUIET_MS = 10_000;
const DAY_MS = 86_400_000;

/** Stages of the page: idle, asking, recording, paused, stopping, interrupted, finishing, saved, failed. */
const running = (stage) => stage === 'recording' || stage === 'paused';

const SIMPLE = { idle: 'idle', standby: 'standby', saved: 'saved', stopped: 'stopped', aborted: 'stopped', released: 'released' };

/** The state of the link in words. `state` is the take's (TakeState). */
export function linkSentence(state, stage) {
	const { link } = texts;
	if (SIMPLE[state.link]) return link[SIMPLE[state.link]];
	if (state.link === 'connecting' && state.reason === null) return state.id === null ? link.connecting : link.again;
	if (state.link === 'waiting' || state.link === 'connecting') // an attempt that may fail is no news yet
		return `${link.waiting[state.reason] ?? link.lost} ${meanwhile(state, stage)}`;
	if (stage === 'recording') return link.sending;
	if (stage === 'paused') return link.paused;
	return state.ended || state.emittedBytes > state.safeBytes || stage === 'stopping' ? link.rest : link.open;
}

function meanwhile(state, stage) {
	const fragile = state.keptIn === 'memory' || state.memoryBytes > 0;
	if (running(stage)) return fragile ? texts.link.goesOnInMemory : texts.link.goesOn;
	return fragile ? texts.link.keptInMemory : texts.link.kept;
}

/** Why the take will not go on. */
export function problemSentence({ code, message }) {
	return texts.problem[code] ?? texts.problem.other(message || code);
}

/** Why nothing could be recorded; `error` is of getUserMedia and its kind, `button` what is to be pressed again. */
export function mediaSentence(error, source, button = texts.page.record) {
	const { media } = texts;
	const what = texts.things[source];
	switch (error.name) {
	case 'NotAllowedError':
	case 'SecurityError':
		if (/system/i.test(error.message)) return media.deniedBySystem(what, button);
		return (source === 'screen' ? media.deniedScreen : media.denied)(what, button);
	case 'NotFoundError':
		return media.missing(what, button);
	case 'NotReadableError':
	case 'AbortError':
		return media.busy(what, button);
	case 'OverconstrainedError':
		return media.changed(what, button);
	default:
		return media.other(what, error.message || error.name);
	}
}

/** Why a part ended by itself: `why` is the recorder's, or memory_full. */
export function endedSentence(why, source, error) {
	if (why === 'ended') return texts.ended[source];
	const sentence = texts.ended[why] ?? texts.ended.system;
	return typeof sentence === 'function' ? sentence(error?.message ?? '') : sentence;
}

/**
 * What is to be known now, in the order of its weight. The view: { stage, state, recorder, source, awake, quietMs, hidden, hereMinutes,
 * thereMinutes, soundless }; `hidden` is null, { since: null } while it lasts, or what hiddenSentence said last.
 */
export function notices(view) {
	const { notice } = texts;
	const { state, recorder } = view;
	const on = running(view.stage);
	const said = [];
	const say = (condition, sentence) => condition && said.push(sentence);
	say(state?.deviceFull, notice.deviceFull);
	say(state && !state.done && state.keptIn === 'memory' && !state.deviceFull && state.link !== 'waiting', notice.inMemory); // else the link's
	if (!on) return said;
	say(recorder.muted.has('audio'), notice.mutedSound);
	say(recorder.muted.has('video') && view.source === 'camera', notice.mutedPicture);
	say(recorder.gone.has('audio'), notice.goneSound);
	say(recorder.gone.has('video'), notice.gonePicture);
	say(view.soundless, notice.noSound);
	say(view.stage === 'recording' && view.quietMs > QUIET_MS && recorder.muted.size + recorder.gone.size === 0, notice.quiet);
	say(view.hereMinutes !== null && view.hereMinutes < FEW_MINUTES && !state?.deviceFull, notice.lowHere(view.hereMinutes));
	say(view.thereMinutes !== null && view.thereMinutes < FEW_MINUTES, notice.lowThere(view.thereMinutes));
	say(view.awake === 'missing' || view.awake === 'refused', notice.screenOff);
	say(view.hidden, view.hidden);
	return said;
}

/** What an absence of `ms` in the background meant: `flowed` tells whether pieces came meanwhile. */
export function hiddenSentence(ms, flowed) {
	return (flowed ? texts.notice.wasHidden : texts.notice.wasHalted)(spanText(ms));
}

/** Whether closing the page now would lose something. */
export function wouldLose(stage, state) {
	if (running(stage) || stage === 'stopping') return true;
	if (!state || state.done && state.link !== 'stopped') return false;
	if (state.emittedBytes > Math.max(state.keptBytes, state.safeBytes) || state.memoryBytes > 0) return true;
	return state.keptIn === 'memory' && state.safeBytes < state.emittedBytes;
}

/** Monday 14:03, today 14:03, or 3 March, 14:03 when it is longer ago than a week. */
export function whenText(at, now = Date.now(), locale = 'en-GB') {
	const date = new Date(at);
	const time = date.toLocaleTimeString(locale, { hour: '2-digit', minute: '2-digit', hour12: false });
	if (date.toDateString() === new Date(now).toDateString()) return texts.today(time);
	if (now - at < 6 * DAY_MS) return `${date.toLocaleDateString(locale, { weekday: 'long' })} ${time}`;
	return `${date.toLocaleDateString(locale, { day: 'numeric', month: 'long' })}, ${time}`;
}

/** 12 s, 3 min. */
export function spanText(ms) {
	const seconds = Math.max(1, Math.round(ms / 1000));
	return seconds < 60 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

/** 25 min, 3 h 20 min, 12 days. */
export function minutesText(minutes) {
	if (minutes < 60) return `${minutes} min`;
	if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
	const days = Math.floor(minutes / 60 / 24);
	return days === 1 ? '1 day' : days > 999 ? 'more than 999 days' : `${days} days`;
}

/** Before there is anything to see: what fits, as far as it is known. */
export function roomSentence({ here, there }) {
	const { room, roomHere, roomThere } = texts.take;
	if (here === null && there === null) return '';
	if (there === null) return roomHere(minutesText(here));
	return here === null ? roomThere(minutesText(there)) : room(minutesText(here), minutesText(there));
}

/** The head line of an unfinished take; `notSafe` is null where another tab knows better. */
export function unfinishedTitle(take, notSafe, bytesText, now) {
	const { unfinished } = texts;
	const when = whenText(take.begunAt, now);
	if (notSafe === null) {
		if (take.file) return unfinished.filePlain(take.file);
		return take.name ? unfinished.namedPlain(take.name, when) : unfinished.takePlain(when);
	}
	if (take.file) return notSafe > 0 ? unfinished.file(take.file, bytesText(notSafe)) : unfinished.fileSafe(take.file);
	if (take.name) return notSafe > 0 ? unfinished.named(take.name, when, bytesText(notSafe)) : unfinished.namedSafe(take.name, when);
	return notSafe > 0 ? unfinished.take(when, bytesText(notSafe)) : unfinished.takeSafe(when);
}
