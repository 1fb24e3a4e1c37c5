// Listening to a show: plays it, says who is on air, and begins by itself when somebody comes. It follows the show (shows.js of the client);
// radio.js keeps the stream.
import { openClient } from '../client/index.js';
import { Radio } from './radio.js';
import { readToken, keepToken, restoreToken } from './token.js';
import { common, listen as texts } from './texts.js';
import { at, dateText, element, fillTexts, setAttribute, setText, timeText } from './ui.js';
import { validShow } from './words_air.js';
import { kindOf, listenSays, refusedCodes } from './words_listen.js';

fillTexts({ ...common, ...texts.page });

const name = decodeURIComponent(location.pathname.replace(/^\/listen\//, ''));
await restoreToken();
const client = await openClient({ stores: ['memory'], token: readToken });
const { api } = client;

let view = { link: 'connecting', show: null, reason: null, message: '' };
let wanted = true; // the person listens, or would

async function address() {
	if (readToken() === null) return api.liveUrl(name);
	return new URL((await api.signShow(name)).url, location.href).href;
}

const radio = new Radio({
	stage: at('stage'), address, onchange: heard,
	make: (kind) => element(kind, { id: 'media', preload: 'none', playsinline: true, 'aria-label': texts.page.playerLabel }),
	probe: async (url) => (await fetch(url, { method: 'HEAD', cache: 'no-store' })).status,
});

const onAir = () => view.show !== null && view.show.state !== 'off';
const titleOf = (show) => show?.name?.trim() || name;

const SOUNDS = new Set(['playing', 'buffering']);

function heard() {
	if (view.show?.state === 'off' && radio.on && !SOUNDS.has(radio.state)) radio.stop(); // what there is left is played to its end
	draw();
}

/** The player does what the show and the person want. */
function settle() {
	radio.still(view.show?.state === 'waiting');
	heard();
	if (onAir() && wanted && (radio.on || radio.state === 'off')) radio.play({ kind: kindOf(view.show), label: titleOf(view.show) });
}

function draw() {
	const { show, link } = view;
	const said = listenSays({ view, radio: radio.state, wanted, now: Date.now(), dateText, timeText });
	const title = titleOf(show);
	setText(at('title'), title);
	setText(at('badge'), said.badge);
	setAttribute(at('badge'), 'class', `badge ${said.look}`);
	setText(at('who'), said.who);
	setText(at('listeners'), said.listeners);
	setText(at('plays'), said.plays);
	at('plays').hidden = said.plays === '';
	setText(at('says'), said.sentence);
	at('says').hidden = said.sentence === '';
	setText(at('toggle'), radio.on ? texts.page.stop : texts.page.play);
	setText(at('mute'), radio.muted ? texts.unmute : texts.mute);
	at('controls').hidden = !onAir() && !radio.on;
	at('locked').hidden = link !== 'stopped';
	at('listening').hidden = link === 'stopped';
	at('others').hidden = link === 'stopped' || readToken() !== null;
	const tab = onAir() ? texts.tab.air(title) : texts.tab.off(title);
	if (document.title !== tab) document.title = tab;
	document.body.dataset.state = show?.state ?? 'unknown';
	document.body.dataset.player = radio.state;
	document.body.dataset.link = link;
	tellSystem(title, show);
}

/** What a lock screen or a headset shows. */
function tellSystem(title, show) {
	if (!navigator.mediaSession || !globalThis.MediaMetadata) return;
	const playing = show?.title || title;
	if (navigator.mediaSession.metadata?.title !== playing) navigator.mediaSession.metadata = new MediaMetadata({ title: playing, artist: title });
}

/** There is nothing to listen to for this browser. */
function refuse({ reason, message }) {
	const needsToken = refusedCodes.has(reason);
	setText(at('locked-title'), needsToken ? texts.refusedTitle : texts.notThereTitle);
	setText(at('locked-why'), needsToken ? texts.refused[reason] : reason === 'not_found' ? texts.notThere : message || texts.notThere);
	at('locked-form').hidden = !needsToken;
	radio.stop();
}

function changed(now) {
	const was = onAir();
	view = now;
	if (view.link === 'stopped') refuse(view);
	else if (onAir() && !was && radio.state === 'unplayable') radio.stop(); // another show, another try
	settle();
	draw();
}

function press() {
	wanted = !radio.on;
	if (wanted) radio.play({ kind: kindOf(view.show), label: titleOf(view.show) });
	else radio.stop();
	draw();
}

at('toggle').addEventListener('click', press);
at('mute').addEventListener('click', () => radio.sound({ muted: !radio.muted }));
at('volume').addEventListener('input', () => radio.sound({ volume: Number(at('volume').value), muted: false }));
at('locked-form').addEventListener('submit', (event) => {
	event.preventDefault();
	keepToken(at('token').value.trim()).then(() => location.reload());
});
for (const action of ['play', 'pause', 'stop']) {
	try {
		navigator.mediaSession?.setActionHandler(action, () => (action === 'play') !== radio.on && press());
	} catch {
		// this browser knows no such button
	}
}
setText(at('address'), api.liveUrl(name));
setAttribute(at('address'), 'href', api.liveUrl(name));

if (validShow(name)) client.followShow(name, { onChange: changed });
else changed({ ...view, link: 'stopped', reason: 'not_found', message: '' });
draw();
