// How a device comes to trust this server's own certificate authority: the visitor's system first, with what to download and
// the fingerprint to compare. The way without a certificate stands below.
import { common, trust as texts } from './texts.js';
import { at, element, fillTexts, recordLink, setText } from './ui.js';

const DATE = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long' });

/** The visitor's system: a key of texts.steps. An iPad calls itself a Mac, but has fingers on it. */
export function systemOf({ userAgent, maxTouchPoints = 0 }) {
	if (/Android/.test(userAgent)) return 'android';
	if (/iPhone|iPad|iPod/.test(userAgent)) return 'ios';
	if (/Macintosh|Mac OS X/.test(userAgent)) return maxTouchPoints > 1 ? 'ios' : 'macos';
	if (/Windows/.test(userAgent)) return 'windows';
	return 'linux';
}

/** 32 bytes in groups that an eye can follow. */
function fingerprintLines(text) {
	const bytes = text.split(':');
	const lines = [];
	for (let from = 0; from < bytes.length; from += 8) lines.push(bytes.slice(from, from + 8).join(':') + (from + 8 < bytes.length ? ':' : ''));
	return lines;
}

function showSystems() {
	const own = systemOf(navigator);
	const order = [own, ...Object.keys(texts.steps).filter((key) => key !== own)];
	for (const key of order) {
		const { name, lines } = texts.steps[key];
		at('systems').append(element('details', { class: 'panel', open: key === own, 'data-system': key },
			element('summary', {}, element('span', {}, name), key === own ? element('span', { class: 'soft small' }, ` ${texts.yours}`) : null),
			element('ol', { class: 'steps' }, ...lines.map((line) => element('li', {}, line)))));
	}
	if (own === 'ios') at('ca').before(at('profile'));
	at(own === 'ios' ? 'profile' : 'ca').classList.add('strong');
}

function showCertificate(trust) {
	setText(at('name'), trust.name);
	setText(at('until'), DATE.format(trust.notAfter));
	at('fingerprint').append(...fingerprintLines(trust.fingerprint).map((line) => element('span', {}, line)));
	recordLink(at('url'), trust.url);
	recordLink(at('plain'), trust.plainUrl);
	at('known').hidden = false;
	at('without').hidden = !trust.plainUrl;
}

function say(sentence) {
	setText(at('none'), sentence);
	at('none').hidden = false;
}

async function show() {
	fillTexts({ ...common, ...texts });
	showSystems();
	try {
		const answer = await fetch('/api/trust');
		if (answer.ok) showCertificate(await answer.json());
		else say(answer.status === 404 ? texts.off : texts.failed(`${answer.status} ${answer.statusText}.`));
	} catch (error) {
		say(texts.failed(`${error.message}.`));
	}
	document.body.dataset.ready = '';
}

show();
