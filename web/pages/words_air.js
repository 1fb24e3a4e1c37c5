// Which sentence fits a show on air, for the record page. Pure: states in, sentences out; the sentences themselves stand in texts_air.js.
import { air as texts } from './texts.js';
import { record } from './texts.js';
import { bytesText, timeText } from './ui.js';

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/; // as the server judges it
const RUNNING = new Set(['recording', 'paused', 'stopping', 'interrupted']);

export const validShow = (name) => NAME.test(name);

/** "23 s"; '' when it is over, or not known. */
export function graceText(endsAt, now) {
	const seconds = endsAt === null ? 0 : Math.ceil((endsAt - now) / 1000);
	return seconds > 0 ? texts.seconds(seconds) : '';
}

export const whoText = (owner) => ({ local: texts.before.local, source: texts.before.source })[owner] ?? owner;

/** The show as the page last heard of it: by the take while that is connected, else by whoever follows the show. */
export const showOf = (live, followed) => (live.state?.link === 'sending' && live.state.show ? live.state.show : followed);

const failed = (state) => state.onAir && state.show?.recording === 'recording_failed';

/** What stands at the top: { word, look }, `look`: air, warn, bad or ''. */
export function badge(live) {
	const { state, stage } = live;
	const { badge: words } = texts;
	const said = (word, look) => ({ word, look });
	if (state === null || state.done || stage === 'saved' || stage === 'failed') return said(words.off, '');
	if (state.link !== 'sending') return state.version === null ? said(words.going, 'warn') : said(words.lost, 'warn');
	if (state.ended || stage === 'finishing') return said(words.ending, 'warn');
	return failed(state) ? said(words.failed, 'bad') : said(words.air, 'air');
}

/** The state of the link in words. */
export function airSentence(state, stage, now) {
	const { link } = texts;
	if (state.link === 'saved') return state.version === null ? link.savedPlain : link.saved(state.version);
	if (state.done || !state.onAir && !state.ended) return link.off;
	const ending = state.ended || stage === 'finishing';
	if (state.link === 'sending') {
		if (ending) return failed(state) ? link.restFailed : link.rest;
		if (failed(state)) return link.failed;
		return link.air(state.version);
	}
	const why = record.link.waiting[state.reason];
	const left = graceText(state.graceEndsAt, now);
	if (state.version === null) return why ? `${why} ${link.going}` : link.going;
	if (ending) return left === '' ? link.restLostLate : link.restLost(left);
	return left === '' ? link.lostSoon : link.lost(left);
}

/** What is to be alarmed about: the sentence, or ''. */
export function alarmSentence(state) {
	return state !== null && failed(state) && !state.done ? texts.alarm(state.show.error?.message ?? '') : '';
}

/** That it is recorded again after a failure: the sentence, or ''. */
export function againSentence(state) {
	if (state === null || state.recordedAgain === null || failed(state)) return '';
	return state.unrecordedBytes > 0 ? texts.again(state.recordedAgain, bytesText(state.unrecordedBytes)) : texts.againWhole(state.recordedAgain);
}

export function airProblem({ code, message }) {
	return texts.problem[code] ?? record.problem[code] ?? record.problem.other(message || code);
}

/** Before this page is on air: what the show does, and what would happen. `mine`: the take on air is one of this page's. */
export function beforeSentence(show, { mine, press, now }) {
	const { before } = texts;
	if (show === null) return '';
	if (show.state === 'off') return press === null ? before.off : before.press(press);
	if (mine) return before.mine;
	if (show.state === 'live') return before.live(whoText(show.owner), timeText(show.since));
	return before.waiting(whoText(show.owner), graceText(now + (show.graceLeftMs ?? 0), now) || texts.seconds(0));
}

/**
 * Whether the page goes on air by itself: everything is allowed, nobody is on air (or the take on air is this device's own), and the person did
 * not end the show in this tab just before. `mine`: an unfinished take of this device that is on air.
 */
export function mayBegin({ able, access, source, ended, show, mine, elsewhere }) {
	if (able !== 'live' || access !== 'ok' || source === 'screen' || ended || elsewhere) return false;
	return show !== null && (show.state === 'off' || mine);
}

/** Which of this device's unfinished takes is the one on air: { sessionId, …}, or null. `other`: another tab has it. */
export function ownTake(unfinished, name, show) {
	const takes = unfinished.filter((take) => take.here && take.show === name && !take.ended && take.id !== null);
	const elsewhere = takes.some(({ owner }) => owner === 'other');
	const mine = show !== null && show.state !== 'off' ? takes.find((take) => take.owner === null && take.id === show.id) ?? null : null;
	return { mine, elsewhere };
}

/** Little enough of a take that did not go on air (any more) to be let go of. */
export function isRemnant(live) {
	const { problem, emittedBytes, safeBytes } = live.state;
	if (!problem || RUNNING.has(live.stage)) return false;
	const left = (live.rate.perSecond ?? 0) > 0 ? (emittedBytes - safeBytes) / live.rate.perSecond : live.elapsedMs / 1000;
	return left < 5 && (problem.code === 'show_ended' || live.state.id === null && ['show_on_air', 'show_stopped'].includes(problem.code));
}
