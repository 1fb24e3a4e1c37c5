// The listening page in Chromium: what studios' programs send, before and during the show, with titles; and a host in Chromium over lost links.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { basic, ffmpegSource, PASSWORD, raw, sourcePort, TAKES_SOURCES } from './support/icecast.mjs';
import { launch, openPage, probe } from './support/page.mjs';
import { startProxy } from './support/proxy.mjs';
import { visit } from './support/desk.mjs';
import { sharedServer, startServer } from './support/server.mjs';
import { mint } from './support/tokens.mjs';
import { api } from './support/wire.mjs';

const server = sharedServer({ args: TAKES_SOURCES });
const options = { timeout: 120_000 };
let browser;
let shows = 0;
before(async () => {
	browser = await launch({ args: ['--autoplay-policy=no-user-gesture-required', '--host-resolver-rules=MAP rec.test 127.0.0.1'] });
});
after(() => browser?.close());

const show = () => `listen-${++shows}`;
const onAir = (page) => page.page.waitForSelector('body[data-air="air"]', { timeout: 60_000 });

async function host(t, at, name, more = {}) {
	const page = await openPage(t, browser, at, { path: `/record?show=${name}`, ...more });
	page.page.on('dialog', (dialog) => dialog.accept());
	await onAir(page);
	return page;
}

function countStreams() {
	window.opened = 0;
	addEventListener('loadstart', () => {
		window.opened += 1;
	}, true);
}

/** The listening page; sound is allowed without a click (see `launch` above). */
async function listener(t, at, name) {
	const seen = await visit(t, browser, `${at.url}/listen/${name}`, { init: countStreams });
	seen.player = (...states) => seen.page.waitForSelector(states.map((state) => `body[data-player="${state}"]`).join(', '), { timeout: 30_000 });
	seen.time = () => seen.page.evaluate(() => document.getElementById('media').currentTime);
	seen.plays = async (seconds = 1) => {
		await seen.player('playing');
		const from = await seen.time();
		await seen.page.waitForFunction((least) => document.getElementById('media').currentTime > least, from + seconds, { timeout: 30_000 });
	};
	return seen;
}

test('a listener who was there before: it begins by itself, stays over a lost link, and ends with the show', options, async (t) => {
	const name = show();
	const proxy = await startProxy(t, server);
	const seen = await listener(t, server, name);
	await seen.until('#says', 'begins by itself when somebody comes');
	const page = await host(t, proxy, name);
	await seen.plays();
	const opened = await seen.page.evaluate(() => window.opened);
	assert.match(await seen.text('#listeners'), /^1 listener$/);
	await page.untilText('air-listeners', /^1 listener$/);
	proxy.mode = 'refuse';
	proxy.cut();
	await seen.until('#badge', /back in a moment/i);
	await page.page.waitForTimeout(3_000); // for so long the host is away
	proxy.heal();
	await seen.until('#badge', /^on air$/i);
	await seen.plays(2);
	assert.equal(await seen.page.evaluate(() => window.opened), opened, 'one connection for all of it');
	await page.page.click('#stop');
	await page.until('state', 'saved');
	await seen.until('#says', 'Nobody is on air');
	await seen.player('off');
	await page.page.click('#record');
	await onAir(page);
	await seen.plays();
	seen.clean();
});

test('a listener who comes late sees a picture, and one who stops is none', options, async (t) => {
	const name = show();
	const page = await host(t, server, name, { init: [() => localStorage.setItem('holdfast.source', 'camera')] });
	await page.untilSafe(150_000);
	const seen = await listener(t, server, name);
	await seen.plays();
	assert.ok(await seen.page.evaluate(() => document.querySelector('video').videoWidth) > 0);
	await page.untilText('air-listeners', /^1 listener$/);
	await seen.page.getByRole('button', { name: 'Stop' }).click();
	await page.untilText('air-listeners', /^0 listeners$/);
	await seen.page.getByRole('button', { name: 'Listen' }).click();
	await seen.plays();
});

test('a reload of the host: the listener plays on', options, async (t) => {
	const name = show();
	const page = await host(t, server, name);
	const seen = await listener(t, server, name);
	await seen.plays();
	await page.page.reload();
	await onAir(page);
	await page.untilText('part', /Part 2/);
	await page.untilSafe(60_000);
	await seen.plays(2);
});

test('elsewhere a listener needs a token, and plays by a signed address', options, async (t) => {
	const name = show();
	await host(t, server, name);
	const at = { url: `http://rec.test:${server.port}` };
	const seen = await listener(t, at, name);
	await seen.until('#locked', 'asks for a token');
	await seen.page.fill('#token', mint(server, 'listen').token);
	await seen.page.getByRole('button', { name: 'Open' }).click();
	await seen.plays();
	assert.match(await seen.page.evaluate(() => document.getElementById('media').src), /sig=/);
});

test('where anybody may listen no token is needed', options, async (t) => {
	const own = await startServer(t, { args: ['--listen-open'] });
	const name = show();
	await host(t, own, name);
	const seen = await listener(t, { url: `http://rec.test:${own.port}` }, name);
	await seen.plays();
	await seen.until('#who', /since/);
});

test('three lost links of 2, 10 and 25 s: one recording, and what a listener gets decodes without an error', { timeout: 180_000 }, async (t) => {
	const name = show();
	const proxy = await startProxy(t, server);
	const page = await host(t, proxy, name);
	await page.untilSafe(10_000);
	const heard = [];
	const stream = await fetch(`${server.url}/live/${name}`);
	const ended = (async () => {
		for await (const piece of stream.body) heard.push(piece);
	})();
	for (const seconds of [2, 10, 25]) {
		proxy.mode = 'refuse';
		proxy.cut();
		await page.untilText('link-text', /The show waits \d+ s for you/);
		await page.page.waitForTimeout(seconds * 1000); // so long the link is away
		proxy.heal();
		await onAir(page);
		await page.page.waitForFunction(() => document.getElementById('recorded').textContent === document.getElementById('safe').textContent, null, { timeout: 30_000 });
	}
	const { id, bytes, state } = await page.finish(t, server);
	await ended;
	assert.deepEqual((await api(server, `/api/recordings?show=${name}`)).body.items.map((one) => one.id), [id]);
	assert.deepEqual([state.interrupted, state.revision], [false, 1]);
	const [sound] = await probe(t, Buffer.concat(heard)); // strict: without a complaint
	const [all] = await probe(t, bytes);
	assert.ok(Number(all.nb_read_frames) - Number(sound.nb_read_frames) < 100, `${sound.nb_read_frames} of ${all.nb_read_frames} frames: what came before it is all it has not`);
});

const TOOLS = {
	mp3: ['-c:a', 'libmp3lame', '-b:a', '128k', '-f', 'mp3', '-content_type', 'audio/mpeg'],
	aac: ['-c:a', 'aac', '-b:a', '96k', '-f', 'adts', '-content_type', 'audio/aac'],
	ogg: ['-c:a', 'libopus', '-b:a', '96k', '-f', 'ogg', '-page_duration', '100000', '-content_type', 'audio/ogg'],
	webm: ['-c:a', 'libopus', '-b:a', '96k', '-f', 'webm', '-cluster_time_limit', '500', '-content_type', 'audio/webm'],
};

for (const [kind, args] of Object.entries(TOOLS)) {
	test(`${kind} from ffmpeg: it begins by itself, comes late, and says what plays`, options, async (t) => {
		const name = show();
		const port = await sourcePort(server);
		const first = await listener(t, server, name);
		await first.until('#says', 'begins by itself');
		ffmpegSource(t, `icecast://source:${PASSWORD}@127.0.0.1:${port}/${name}.${kind}`, [...args, '-ice_name', 'Früh am Morgen']);
		await first.plays();
		await first.until('#title', /^Früh am Morgen$/);
		raw(t, port).send(`GET /admin/metadata?mode=updinfo&mount=/${name}.${kind}&song=Nina%20Simone HTTP/1.0\r\n${basic()}\r\n\r\n`);
		await first.until('#plays', 'Now: Nina Simone');
		const late = await listener(t, server, name);
		await late.plays();
		await late.until('#listeners', '2 listeners');
		assert.equal(await late.page.evaluate(() => window.opened), 1);
	});
}
