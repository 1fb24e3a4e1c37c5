// Which sentence of the import page fits. Pure: rows and totals of import_list.js in, sentences out; the sentences stand in texts_import.js.
import { figuresText, stepText } from './finishing.js';
import { parsed, safeBytes, stateOf } from './import_list.js';
import { imports as texts } from './texts.js';
import { bytesText } from './ui.js';

export const MARKS = {
	adding: '◌', turn: '◌', uploading: '↑', held: '↑', missing: '?', fetching: '↓', queued: '◌', processing: '◌', ready: '✓', failed: '!', dropped: '–', refused: '!', stopped: '!',
};
const LOOKS = { ready: 'good', failed: 'bad', refused: 'bad', stopped: 'bad', missing: 'warn', held: 'warn' };

const HELD_FROM = 3; // attempts in a row that failed: before that it is no news

const wordsOf = ({ code, message }) => texts.problem[code] ?? (message || code);

function whyOf(row, state) {
	const { why } = texts;
	switch (state) {
	case 'missing': return safeBytes(row) > 0 ? why.missing(bytesText(safeBytes(row))) : why.missingNothing;
	case 'refused': return wordsOf(row.refusal);
	case 'stopped': return wordsOf(row.sent.problem);
	case 'held': return wordsOf({ code: row.sent.reason, message: row.sent.message });
	case 'failed': return row.recording ? stepText(row.recording) : '';
	case 'dropped': return (row.recording?.phase ?? row.status) === 'aborted' ? why.aborted : why.deleted;
	case 'fetching': return row.recording?.lastError ? stepText(row.recording) : '';
	case 'processing': return row.recording?.phase === 'generating_thumbnail' ? why.pictures : row.recording ? figuresText(row.recording) : '';
	case 'queued': return row.recording?.lastError ? stepText(row.recording) : '';
	default: return '';
	}
}

/** What a row says: { state, word, mark, look, amount, share, why, origin }. `share`: null, or 0 to 1 of a bar. */
export function rowSays(row) {
	const plain = stateOf(row);
	const state = plain === 'uploading' && row.sent.failures >= HELD_FROM ? 'held' : plain;
	const safe = safeBytes(row);
	const size = row.size ?? row.recording?.bytes ?? null;
	const partly = plain === 'uploading' || plain === 'missing' || plain === 'turn' && safe > 0;
	return {
		state: plain, word: row.url !== null && state === 'queued' ? texts.state.fetched : texts.state[state], mark: MARKS[state], look: LOOKS[state] ?? '',
		amount: plain === 'fetching' ? (safe > 0 ? bytesText(safe) : '') : size === null || size === 0 ? '' : partly && size > 0 ? texts.amount(bytesText(safe), bytesText(size)) : bytesText(size),
		share: plain === 'uploading' && size > 0 ? safe / size : plain === 'processing' || plain === 'fetching' ? row.recording?.progress ?? null : null,
		why: whyOf(row, state), origin: row.url ? texts.fromWeb(parsed(row.url)?.host ?? '') : '',
	};
}

/** Of all of it: { title, parts, bytes, may, done }. */
export function totalSays({ groups, states, items, files }) {
	const parts = ['working', 'missing', 'failed'].filter((group) => groups[group] > 0).map((group) => texts.parts[group](groups[group]));
	const toSend = (states.adding ?? 0) + (states.turn ?? 0) + (states.uploading ?? 0);
	return {
		title: texts.total(groups.ready, items), parts, bytes: files.bytes > 0 ? texts.bytes(bytesText(files.safe), bytesText(files.bytes)) : '',
		may: items === 0 ? '' : toSend > 0 ? texts.may.stay : groups.missing > 0 || groups.working === 0 ? '' : texts.may.leave,
		toSend, done: items > 0 && groups.working === 0 && groups.missing === 0,
	};
}

/** [group, share of the bar]: of what is under way as much as has arrived. They are drawn from the left; the rest is empty. */
export function barOf({ groups, items, arrived }) {
	return ['ready', 'failed', 'missing', 'working'].map((group) => [group, items === 0 ? 0 : (group === 'working' ? arrived : groups[group]) / items]);
}

/** What is to be known about the whole, as { look, text }. `view` is the batch's (batch.js), `held` the reason why uploads wait. */
export function noticesOf({ view, totals, held, now, gone, loadFailed }) {
	const { notice } = texts;
	const said = [];
	const away = view.link === 'waiting' && view.reason !== null || view.link === 'connecting' && view.reason !== null;
	if (gone) said.push({ look: 'warn', text: notice.gone });
	else if (view.link === 'stopped') said.push({ look: 'bad', text: notice.stopped(wordsOf({ code: view.reason, message: view.message })) });
	else if (away) {
		const s = Math.ceil(((view.retryAt ?? 0) - now) / 1000);
		said.push({ look: 'warn', text: `${notice.away} ${s > 0 ? notice.awayIn(s) : notice.awayNow}`, away: true });
	}
	if (held === 'storage_full') said.push({ look: 'bad', text: notice.full });
	if (view.link === 'live' && view.reason === 'rate_limited') said.push({ look: '', text: notice.slow });
	if (loadFailed) said.push({ look: 'bad', text: loadFailed });
	if (totals.groups.missing > 0) said.push({ look: 'warn', text: notice.missing(totals.groups.missing) });
	return said;
}

/** What became of a drop, in sentences; `unread`: paths. */
export function addedSays({ items = [], known = 0, goesOn = 0, empty = [], unread = [] }) {
	const said = [];
	if (items.length > 0) said.push(texts.added(items.length));
	if (goesOn > 0) said.push(texts.goesOn(goesOn));
	if (known > 0) said.push(texts.known(known));
	if (empty.length > 0) said.push(texts.empty(empty.length, empty[0]));
	if (unread.length > 0) said.push(texts.unread(unread.length, unread[0]));
	return said.length === 0 ? texts.nothing : said.join(' ');
}

const BAD_MOST = 5; // lines that are named

/** Lines that are no addresses: { title, lines }. */
export function badSays(bad) {
	const lines = bad.slice(0, BAD_MOST).map(({ line, why }) => texts.badUrl(line, texts.badWhy[why]));
	if (bad.length > BAD_MOST) lines.push(texts.badMore(bad.length - BAD_MOST));
	return { title: texts.badUrls(bad.length), lines };
}

/** What the voice says of progress: once at each quarter of all that is ready. */
export function milestone({ groups, items }, before) {
	if (items < 4) return { quarter: 0, text: '' };
	const quarter = Math.floor(groups.ready / items * 4);
	const text = quarter > before && quarter < 4 ? texts.say.share(groups.ready, items) : '';
	return { quarter: Math.max(quarter, before), text };
}
