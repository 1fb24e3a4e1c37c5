// What becomes of a recording once its bytes are saved, in words: for the desk, the player and the record page. Pure: a recording's object
// and the state of waiting.js in, sentences out; the sentences themselves stand in texts.js.
import { desk, finish as texts, play, record } from './texts.js';
import { bytesText, dateText } from './ui.js';
import { fetchFailed, hasOriginal, kindOf } from './takes.js';
import { spanText } from './words.js';

const FINISHING = new Set(['queued', 'processing']);

export const nameOf = (take) => take.name?.trim() || take.ref || desk.unnamed(dateText(take.createdAt));

/** Where it comes from: the host that it is fetched from, where that may be known; else whose it is. */
export function originOf(take) {
	if (take.fetch) return URL.canParse(take.sourceUrl ?? '') ? new URL(take.sourceUrl).host : desk.elsewhere;
	return take.owner === 'local' ? desk.thisMachine : take.owner;
}

const messageOf = (error) => error?.message || texts.noReason;

/** "40 %, attempt 2/3", as far as there is something to say. */
export function figuresText({ progress = null, attempt = 0, attempts = 3 }) {
	const parts = [];
	if (progress !== null) parts.push(texts.percent(progress));
	if (attempt > 1) parts.push(texts.attempt(attempt, attempts));
	return texts.joined(...parts);
}

const withFigures = (sentence, take) => sentence(figuresText(take) === '' ? '' : texts.figures(figuresText(take)));

/** What is being done to it, or what came of it, in a line; '' when there is nothing to say. */
export function stepText(take) {
	const { step } = texts;
	const failedOnce = take.attempt > 0 && take.lastError;
	const trying = (sentence) => [withFigures(sentence, take), ...(failedOnce ? [step.before(messageOf(take.lastError))] : [])].join(' ');
	switch (take.phase) {
	case 'uploading':
		if (!take.fetch) return '';
		if (take.fetch === 'on_demand' && take.bytes === 0 && !(take.attempt > 0)) return step.notFetched;
		return trying(step.fetching);
	case 'queued':
		if (failedOnce) return step.again(take.attempt, take.attempts ?? 3, messageOf(take.lastError));
		return take.lastError ? `${step.queued} ${step.before(messageOf(take.lastError))}` : step.queued; // no space: that is no attempt of its own
	case 'processing':
		return trying(step.processing);
	case 'generating_thumbnail':
		return step.pictures;
	case 'error':
		return messageOf(take.error ?? take.lastError); // it says how often it was tried
	default:
		return '';
	}
}

/** What is to be known about the finished file, a sentence each. */
export function warningTexts(take) {
	return (take.warnings ?? []).map(({ code, message }) => texts.warning[code] ?? message ?? code);
}

/** Why `complete` did not start it again: the server's words, and from when on it may be asked again. */
export function tryFailedText({ message, retryAfter = null }) {
	const said = texts.tryFailed(message);
	return retryAfter > 0 ? `${said} ${texts.tryLater(spanText(retryAfter * 1000))}` : said;
}

/** The newest that is known about the work: the object while it is followed, else what the answer said. */
export function workOf({ take, live, waiting }) {
	const { answer } = waiting;
	if (take !== null && (live || answer === null || answer.phase === null)) return take;
	if (answer === null) return {};
	const { phase, attempt, attempts, progress } = answer;
	return { ...take, phase: phase ?? take?.phase, attempt: attempt ?? 0, attempts: attempts ?? 3, progress };
}

function notYetSentence(work) {
	const size = bytesText(work.bytes ?? 0);
	if (work.phase === 'uploading') {
		if (work.fetch) return [play.fetching, ...(work.attempt > 0 && work.lastError ? [texts.step.before(messageOf(work.lastError))] : [])].join(' ');
		return kindOf(work) === 'live' ? play.recording(size) : play.lost(size);
	}
	const failedOnce = work.attempt > 0 && work.lastError;
	if (work.phase === 'queued') return failedOnce ? stepText(work) : play.queued;
	const attempt = work.attempt > 0 ? play.attempt(texts.attempt(work.attempt, work.attempts ?? 3)) : '';
	return play.processing(attempt);
}

function timedOutSentence(work, waitedMs) {
	const span = spanText(waitedMs);
	if (work.phase !== 'uploading') return [play.timedOut(span), play.timedOutNow(stepText(work))].join(' ');
	return work.fetch ? play.timedOutFetching(span) : play.timedOutRecording(span);
}

/** What there is to say about a file that is there. */
function readySentences(take) {
	const said = [];
	if (take === null) return said;
	if (take.file && take.revision > take.file.revision || take.phase === 'uploading') said.push(play.newer);
	else if (take.interrupted) said.push(play.short);
	return [...said, ...warningTexts(take)];
}

/**
 * What the player says: { look, sentence, progress, act }. `look`: '', warn or bad. `progress`: null, or 0 to 1 of a bar. `act`: what its
 * button does: null, goOn (ask again), complete (have it finished again), tryNow.
 */
export function playerSays(watch) {
	const { waiting, take, live, waitedMs } = watch;
	const { state, answer } = waiting;
	const work = workOf(watch);
	const said = (look, sentence, act = null) => ({ look, sentence, act, progress: null });
	switch (state) {
	case 'ready':
		return said('warn', readySentences(take).join(' '));
	case 'timedOut':
		if (work.phase === 'uploading' && live) return said('', notYetSentence(work)); // the link tells when that is over
		return said('warn', timedOutSentence(work, waitedMs), 'goOn');
	case 'waiting': {
		const lost = work.phase === 'uploading' && !work.fetch && kindOf(work) !== 'live';
		const again = FINISHING.has(work.phase) && work.attempt > 1 || work.phase === 'queued' && work.attempt > 0;
		return { ...said(lost || again ? 'warn' : '', notYetSentence(work)), progress: work.phase === 'uploading' && !work.fetch ? null : work.progress ?? null };
	}
	case 'unserved':
		return said('bad', play.unserved, 'goOn');
	case 'failed': {
		const error = take?.phase === 'error' ? stepText(take) : messageOf(answer);
		const mine = take?.phase === 'error' && take.sessionId !== null;
		const failed = take !== null && fetchFailed(take) ? play.failedFetch(error) : play.failed(error);
		return said('bad', [failed, ...(take !== null && hasOriginal(take) ? [play.failedKept] : [])].join(' '), mine ? 'complete' : 'goOn');
	}
	case 'never':
	case 'missing': // there is an object of it, or the page would have given up
		if (take?.phase === 'aborted') return said('', take.bytes > 0 ? play.dropped : play.empty);
		return said('', play.never(messageOf(answer)));
	case 'busy':
		return said('warn', play.busy(messageOf(answer)), 'goOn');
	case 'away':
		return said('warn', play.away[waiting.trouble] ?? play.away.other, 'tryNow');
	default:
		return said('', '');
	}
}

/** What the record page says about a take that it has saved: { sentence, figures, ready }. The figures move and are not read aloud at each step. */
export function savedSays(watch) {
	const { waiting } = watch;
	const work = workOf(watch);
	const words = record.finish;
	const said = (sentence, { figures = '', ready = false } = {}) => ({ sentence, figures, ready });
	switch (waiting.state) {
	case 'ready':
		return said(words.ready, { ready: true });
	case 'waiting':
		if (work.phase !== 'processing') return said(words.queued);
		return said(words.processing, { figures: figuresText(work) });
	case 'timedOut':
		return said(words.later);
	case 'unserved':
		return said(words.unserved);
	case 'failed':
		return said(words.failed(messageOf(waiting.answer)));
	default:
		return said(''); // the page's own link says when the server is away
	}
}
