// What the listening page says. Pure: states in, sentences out; the sentences themselves stand in texts_air.js.
import { listen as texts } from './texts.js';

export const refusedCodes = new Set(Object.keys(texts.refused));

/** Which element plays it; sound where nothing is said. */
export const kindOf = (show) => (show?.mime?.startsWith('video/') ? 'video' : 'audio');

const NAMELESS = new Set(['local', 'source']); // the server's own machine, or whatever program has its password
const LOOKS = { live: 'air', waiting: 'warn', off: '' };
const WORDS = { live: 'air', waiting: 'waiting', off: 'off' };

/** What the player does about a show on air; '' while it plays. */
function playerSentence(radio, show, wanted) {
	switch (radio) {
	case 'connecting': return texts.connecting;
	case 'buffering': return texts.buffering;
	case 'again': return texts.again;
	case 'full': return texts.full;
	case 'blocked': return texts.press;
	case 'unplayable': return texts.cannotPlay(show.mime?.split(';')[0] ?? '');
	case 'paused': return texts.stopped;
	case 'off': return wanted ? '' : texts.stopped;
	default: return '';
	}
}

function offSentence(show, { link, wanted, blocked, dateText }) {
	const begins = wanted && !blocked ? texts.begins : texts.beginsAsk;
	const off = show.since !== null && show.version > 0 ? texts.offLast(dateText(show.since)) : texts.off;
	return `${off} ${link === 'waiting' ? texts.away : begins}`;
}

/** { badge, look, who, listeners, plays, sentence } of { link, show } and the player's state. */
export function listenSays({ view: { show, link }, radio, wanted, dateText, timeText }) {
	const nothing = { who: '', listeners: '', plays: '' };
	if (show === null) {
		const away = link === 'waiting';
		return { ...nothing, badge: away ? texts.state.away : texts.state.unknown, look: away ? 'warn' : '', sentence: away ? texts.away : '' };
	}
	const said = { ...nothing, badge: texts.state[WORDS[show.state]], look: LOOKS[show.state] };
	if (show.state === 'off') return { ...said, sentence: offSentence(show, { link, wanted, blocked: radio === 'blocked', dateText }) };
	const who = [...(show.owner && !NAMELESS.has(show.owner) ? [texts.who(show.owner)] : []), ...(show.since === null ? [] : [texts.since(timeText(show.since))])];
	const player = show.state === 'waiting' && radio !== 'blocked' && radio !== 'off' ? texts.waiting : playerSentence(radio, show, wanted);
	return {
		...said, who: who.join(' '), listeners: texts.listeners(show.listeners), plays: show.title ? texts.plays(show.title) : '',
		sentence: [player, ...(link === 'waiting' ? [texts.awayPlaying] : [])].filter(Boolean).join(' '),
	};
}
