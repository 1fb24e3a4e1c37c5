// Who may do what, with the real program: tokens, their end, pairing, signed URLs, other sites' pages.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { atEnd, startServer, until, within } from './support/server.mjs';
import { as, code, holdfast, json, mint, stranger, take, token } from './support/tokens.mjs';
import { api, complete, media, random, raw, sessionId, wire } from './support/wire.mjs';

const options = { timeout: 120_000 };

test('scopes and subjects, over HTTP and WebSocket', options, async (t) => {
	const server = await startServer(t);
	const anna = mint(server, 'record', '--subject', 'anna').token;
	const ben = mint(server, 'record', '--subject', 'ben').token;
	const play = mint(server, 'play').token;
	const admin = mint(server, 'admin').token;
	const listen = mint(server, 'listen').token;
	const a = await take(t, server, media(1000), { token: anna });
	const b = await take(t, server, media(2000, 2), { token: ben });
	const local = await take(t, server, media(3000, 3));
	const list = async (by) => (await api(server, '/api/recordings', by ? as(by) : {})).body.items?.map(({ id }) => id).sort();
	assert.deepEqual(await list(anna), [a.id]);
	assert.deepEqual(await list(ben), [b.id]);
	for (const by of [play, admin, undefined]) assert.deepEqual(await list(by), [a.id, b.id, local.id].sort());
	assert.equal(await code(api(server, '/api/recordings', as(listen))), 'forbidden_scope');
	for (const path of ['', '/original']) {
		assert.equal(await code(api(server, `/api/recordings/${a.id}${path}`, as(ben))), 'not_found');
		assert.equal((await api(server, `/api/recordings/${a.id}${path}`, as(anna))).status, 200);
		assert.equal((await api(server, `/api/recordings/${a.id}${path}`, as(play))).status, 200);
	}
	for (const [by, want] of [[play, 'forbidden_scope'], [ben, 'not_found'], [listen, 'forbidden_scope']]) {
		assert.equal(await code(api(server, `/api/recordings/${a.id}`, as(by, json('PATCH', { name: 'x' })))), want);
		assert.equal(await code(api(server, `/api/recordings/${a.id}/complete`, as(by, { method: 'POST' }))), want);
		assert.equal(await code(api(server, `/api/recordings/${a.id}`, as(by, { method: 'DELETE' }))), want);
	}
	assert.equal((await api(server, `/api/recordings/${a.id}`, as(anna, json('PATCH', { name: 'x' })))).status, 200);
	assert.equal((await api(server, `/api/recordings/${b.id}`, as(admin, { method: 'DELETE' }))).status, 200);
	assert.equal(await code(api(server, '/metrics', as(play))), 'forbidden_scope');
	assert.equal((await api(server, '/metrics', as(admin))).status, 200);
	for (const [by, want] of [[play, 'forbidden_scope'], ['nonsense', 'unauthorized'], [undefined, 'unauthorized']]) {
		const w = await wire(t, server, { headers: { host: 'studio.example' } });
		w.send({ type: 'start', sessionId: sessionId(), token: by });
		assert.equal((await w.error(want)).retry, false);
	}
	// only this one
	const one = mint(server, 'play', '--recording', a.id).token;
	assert.deepEqual(await list(one), [a.id]);
	assert.equal(await code(api(server, `/api/recordings/${local.id}`, as(one))), 'not_found');
	// an upgrade with a token: good ones are taken along, bad ones are refused
	const w = await wire(t, server, { headers: { host: 'studio.example', authorization: `Bearer ${anna}` } });
	await w.start({ sessionId: sessionId() });
	await assert.rejects(wire(t, server, { headers: { authorization: 'Bearer nonsense' } }));
});

test('GET /api/server tells who asks', options, async (t) => {
	const server = await startServer(t);
	const made = mint(server, 'record,play', '--subject', 'anna', '--expires', '2h');
	const { body } = await api(server, '/api/server', as(made.token));
	assert.deepEqual(body.grant, { subject: 'anna', scopes: ['record', 'play'], local: false, expiresAt: made.expiresAt });
	assert.ok(Math.abs(made.expiresAt - Date.now() - 7_200_000) < 60_000);
	assert.ok(body.version && body.freeBytes > 0 && body.totalBytes > body.freeBytes && body.reserveBytes > 0);
	assert.ok(Math.abs(body.time - Date.now()) < 10_000);
	assert.deepEqual([body.secure, body.lan], [false, false]);
	const local = (await api(server, '/api/server')).body.grant;
	assert.deepEqual(local, { subject: 'local', scopes: ['record', 'listen', 'play', 'import', 'admin'], local: true, expiresAt: null });
	assert.equal((await stranger(server, '/api/server')).status, 401);
	assert.equal((await stranger(server, '/api/server', `Authorization: Bearer ${made.token}\r\n`)).status, 200);
	for (const path of ['/', '/record', '/healthz', '/readyz']) assert.equal((await stranger(server, path)).status, 200, path);
	for (const path of ['/metrics', '/api/recordings', '/nothing']) assert.equal((await stranger(server, path)).status, 401, path);
});

test('a thousand mutations of a good token', options, async (t) => {
	const server = await startServer(t);
	const good = mint(server, 'admin').token;
	const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.';
	const next = random(7);
	const pick = (n) => Math.floor(next() * n);
	const mutants = new Set();
	while (mutants.size < 1000) {
		const at = pick(good.length);
		const mutant = [
			() => good.slice(0, at) + digits[pick(digits.length)] + good.slice(at + 1),
			() => good.slice(0, at) + good.slice(at + 1),
			() => good.slice(0, at) + digits[pick(digits.length)] + good.slice(at),
			() => good.slice(0, at),
			() => good + digits[pick(digits.length)],
			() => good.slice(0, -1) + digits[pick(digits.length)],
		][pick(6)]();
		if (mutant !== good) mutants.add(mutant);
	}
	for (const mutant of mutants) {
		const { status, body } = await api(server, '/api/server', as(mutant));
		assert.equal(status, 401, mutant);
		assert.equal(body.code, 'unauthorized');
	}
	assert.equal((await api(server, '/api/server', as(good))).status, 200);
	for (const header of ['Basic eDp5', 'Bearer', good, `Token ${good}`]) {
		const { status } = await raw(server, `GET /api/server HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: ${header}\r\n\r\n`);
		assert.equal(status, 401, header.slice(0, 10));
	}
	assert.equal((await api(server, `/api/server?token=${good}&access_token=${good}`, { headers: { host: 'localhost' } })).status, 200, 'local');
	assert.equal((await stranger(server, `/api/server?token=${good}`)).status, 401, 'never by query');
});

test('an expired token', options, async (t) => {
	const server = await startServer(t);
	const made = mint(server, 'record,play', '--expires', '2s');
	const w = await wire(t, server, { headers: { host: 'studio.example' } });
	await w.start({ sessionId: 'long', token: made.token });
	await until(async () => (await api(server, '/api/server', as(made.token))).body.code === 'token_expired', 10_000, 'its end');
	w.binary(media(1000)); // what is at work goes on
	await w.untilAcked(1000);
	w.send({ type: 'start', sessionId: 'long', token: made.token });
	assert.equal((await w.error('token_expired')).retry, false);
	assert.equal(token(server, 'list', '--json').lines[0].state, 'expired');
});

test('a revoked token: connections and downloads end, and so it stays', options, async (t) => {
	const server = await startServer(t);
	const made = mint(server, 'record,play'), other = mint(server, 'record');
	const w = await wire(t, server, { headers: { host: 'studio.example' } });
	const o = await wire(t, server, { headers: { host: 'studio.example' } });
	const { id } = await w.start({ sessionId: 'mine', token: made.token });
	await o.start({ sessionId: 'other', token: other.token });
	w.binary(media(30_000_000));
	await w.untilAcked(30_000_000, 60_000);
	// a download that is not read
	const download = net.connect(server.port, '127.0.0.1');
	atEnd(t, () => download.destroy());
	download.on('error', () => {});
	const ended = new Promise((resolve) => download.on('close', resolve));
	download.write(`GET /api/recordings/${id}/original HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${made.token}\r\n\r\n`);
	await new Promise((resolve) => download.once('data', resolve));
	download.pause();
	const { status, stdout } = token(server, 'revoke', made.id);
	assert.equal(status, 0);
	assert.equal(stdout, `revoked ${made.id}\n`);
	assert.equal((await w.error('token_revoked')).retry, false);
	assert.equal(await within(w.closed, 10_000, 'the end'), 1008);
	download.resume();
	await within(ended, 10_000, 'the end of the download');
	assert.equal(await code(api(server, '/api/server', as(made.token))), 'token_revoked');
	const again = await wire(t, server, { headers: { host: 'studio.example' } });
	again.send({ type: 'start', sessionId: 'mine', token: made.token });
	await again.error('token_revoked');
	o.binary(media(1000));
	await o.untilAcked(1000);
	assert.equal((await api(server, `/api/recordings/${id}`)).body.bytes, 30_000_000, 'what is durable stays');
	await server.kill();
	await server.start();
	assert.equal(await code(api(server, '/api/server', as(made.token))), 'token_revoked', 'over a crash too');
	assert.equal((await api(server, '/api/server', as(other.token))).status, 200);
	await server.stop();
	assert.equal(holdfast('verify', '--data', server.dataDir, '--rebuild').status, 0);
	await server.start();
	assert.equal(await code(api(server, '/api/server', as(made.token))), 'token_revoked', 'and over --rebuild');
});

test('rotation: one is survived, two are not', options, async (t) => {
	const server = await startServer(t);
	const made = mint(server, 'record');
	assert.equal(token(server, 'rotate').status, 0);
	assert.equal((await api(server, '/api/server', as(made.token))).status, 200);
	const w = await wire(t, server, { headers: { host: 'studio.example' } });
	await w.start({ sessionId: 's', token: made.token });
	assert.equal(token(server, 'rotate').status, 0);
	await w.error('token_revoked');
	assert.equal(await code(api(server, '/api/server', as(made.token))), 'unauthorized');
});

test('a take larger than the token allows', options, async (t) => {
	const server = await startServer(t);
	const made = mint(server, 'record', '--max-bytes', '100K').token;
	const w = await wire(t, server, { headers: { host: 'studio.example' } });
	const { id } = await w.start({ sessionId: 's', token: made });
	w.binary(media(100_000));
	await w.untilAcked(100_000);
	w.binary(media(200_000, 2)); // none of it, although its first pieces would fit
	const error = await w.error('quota_exceeded');
	assert.equal(error.retry, false);
	assert.equal(error.bytes, 100_000);
	assert.equal((await api(server, `/api/recordings/${id}`)).body.bytes, 100_000);
	await w.start({ sessionId: 's', token: made });
	w.send({ type: 'end', totalBytes: 100_000 });
	await w.next('saved');
});

test('a take of local goes on under a token', options, async (t) => {
	const server = await startServer(t);
	const session = sessionId();
	const first = await wire(t, server);
	const { id } = await first.start({ sessionId: session });
	first.binary(media(1000));
	await first.untilAcked(1000);
	await first.cut();
	const phone = mint(server, 'record').token;
	const w = await wire(t, server, { headers: { host: 'studio.example' } });
	const started = await w.start({ sessionId: session, token: phone });
	assert.deepEqual([started.id, started.bytes, started.resumed], [id, 1000, true]);
	w.binary(media(2000).subarray(1000));
	w.send({ type: 'end', totalBytes: 2000 });
	await w.next('saved');
	assert.equal((await api(server, `/api/recordings/session:${session}`, as(phone))).body.bytes, 2000);
	assert.equal((await api(server, `/api/recordings/session:${session}/complete`, as(phone, { method: 'POST' }))).status, 200);
	assert.equal((await complete(server, id)).status, 200);
});

test('pairing: once, again for a lost reply, and the old subject', options, async (t) => {
	const server = await startServer(t);
	const pair = (body) => stranger(server, '/api/pair', 'Content-Type: application/json\r\n', 'POST', JSON.stringify(body)).then(({ status, text }) => {
		const at = text.indexOf('\r\n\r\n');
		return { status, head: text.slice(0, at), body: JSON.parse(text.slice(at)) };
	});
	const code1 = token(server, 'pair').lines[0];
	assert.equal(token(server, 'pair').lines[0], code1, 'the same until it is used');
	for (const [body, want] of [[{}, 'bad_field'], [{ pairing: 5 }, 'bad_field'], [{ pairing: code1, nonce: 'n'.repeat(65) }, 'bad_field'],
		[{ pairing: code1, device: 'a\nb' }, 'bad_field'], [{ pairing: '' }, 'pairing_invalid'], [{ pairing: `${code1.slice(1)}A` }, 'pairing_invalid']])
		assert.equal((await pair(body)).body.code, want, JSON.stringify(body));
	// two at once: one has it
	const both = await Promise.all([pair({ pairing: code1, nonce: 'a', device: 'A phone' }), pair({ pairing: code1, nonce: 'b' })]);
	const [won, lost] = both[0].status === 200 ? both : both.toReversed();
	assert.equal(won.status, 200);
	assert.equal(lost.status, 403);
	assert.equal(lost.body.code, 'pairing_used');
	assert.match(won.head, /cache-control: no-store/i);
	assert.deepEqual(won.body.scopes, ['record']);
	assert.ok(Math.abs(won.body.expiresAt - Date.now() - 400 * 86_400_000) < 60_000);
	const nonce = won === both[0] ? 'a' : 'b';
	assert.deepEqual((await pair({ pairing: code1, nonce })).body, won.body, 'the reply was lost');
	assert.equal((await pair({ pairing: code1 })).body.code, 'pairing_used');
	const { id } = await take(t, server, media(100), { token: won.body.token });
	const code2 = token(server, 'pair').lines[0];
	assert.notEqual(code2, code1);
	const renewed = await pair({ pairing: code2, nonce: 'x', token: won.body.token });
	assert.equal(renewed.body.subject, won.body.subject);
	assert.equal((await api(server, `/api/recordings/${id}`, as(renewed.body.token))).status, 200);
	// a foreign page can't
	const foreign = await api(server, '/api/pair', json('POST', { pairing: token(server, 'pair').lines[0] }, { headers: { origin: 'https://evil.example' } }));
	assert.equal(foreign.body.code, 'forbidden_origin');
	assert.equal(token(server, 'list', '--json').lines.length, 2);
	await server.kill();
	await server.start();
	assert.equal((await pair({ pairing: code2, nonce: 'x' })).body.code, 'pairing_invalid');
	assert.equal((await api(server, '/api/server', as(renewed.body.token))).status, 200, 'who was paired stays so');
});

test('signed URLs: one recording, one track, for a while', options, async (t) => {
	const server = await startServer(t);
	const play = mint(server, 'play').token, anna = mint(server, 'record', '--subject', 'anna').token;
	const a = await take(t, server, media(5000)), b = await take(t, server, media(100, 2));
	const sign = (id, body, by) => api(server, `/api/recordings/${id}/sign`, as(by, json('POST', body)));
	for (const body of [{}, { what: 'all' }, { what: 5 }, { what: 'original', track: 5 }])
		assert.equal(await code(sign(a.id, body, play)), 'bad_field', JSON.stringify(body));
	assert.equal(await code(sign(a.id, { what: 'original', track: 'video' }, play)), 'not_found');
	assert.equal(await code(sign(a.id, { what: 'original' }, anna)), 'not_found');
	assert.equal(await code(sign('nothing', { what: 'original' }, play)), 'not_found');
	assert.equal((await stranger(server, `/api/recordings/${a.id}/sign`, '', 'POST', '{"what":"original"}')).status, 401);
	const byName = (await sign(`session:${a.session}`, { what: 'original' }, play)).body;
	assert.ok(byName.url.startsWith(`/api/recordings/${a.id}/original?exp=`), byName.url);
	const signed = (await sign(a.id, { what: 'original' }, play)).body;
	assert.ok(signed.url.startsWith(`/api/recordings/${a.id}/original?exp=`), signed.url);
	assert.ok(signed.expiresAt > Date.now() + 3_500_000 && signed.expiresAt <= Date.now() + 3_600_000);
	const got = await stranger(server, signed.url);
	assert.equal(got.status, 200);
	assert.match(got.text, /referrer-policy: no-referrer/i);
	assert.match(got.text, /x-content-type-options: nosniff/i);
	assert.match(got.text, /content-security-policy: sandbox/i);
	assert.match(got.text, /cross-origin-resource-policy: same-origin/i);
	assert.equal((await stranger(server, signed.url, 'Range: bytes=0-9\r\n')).status, 206);
	const query = signed.url.slice(signed.url.indexOf('?'));
	const exp = Number(/exp=(\d+)/.exec(query)[1]);
	for (const path of [`/api/recordings/${b.id}/original${query}`, `${signed.url}&track=main`, signed.url.replace(`exp=${exp}`, `exp=${exp + 1}`),
		signed.url.replace(/sig=(.)/, (_, c) => `sig=${c === 'A' ? 'B' : 'A'}`), signed.url.replace(/&sig=.*/, ''), `/api/recordings/${a.id}/original?sig=`])
		assert.equal((await stranger(server, path)).status, 401, path);
	assert.equal((await api(server, `/api/recordings/${b.id}/original${query}`)).status, 401, 'also from here: what is presented counts');
	for (const path of [`/api/recordings/${a.id}${query}`, `/api/recordings${query}`]) assert.equal((await stranger(server, path)).status, 401, path);
	// no longer than the token that asked for it
	const short = mint(server, 'play', '--expires', '3s');
	const soon = (await sign(a.id, { what: 'original', track: 'main' }, short.token)).body;
	assert.ok(soon.expiresAt <= short.expiresAt);
	assert.match(soon.url, /\?track=main&exp=/);
	assert.equal((await stranger(server, soon.url)).status, 200);
	await until(async () => (await stranger(server, soon.url)).status === 401, 10_000, 'its end');
	assert.match((await stranger(server, soon.url)).text, /token_expired/);
});

test('pages of --allow-origin may use it, others may not', options, async (t) => {
	const server = await startServer(t, { args: ['--allow-origin', 'https://studio.example', '--allow-origin', 'http://a:81,http://b'] });
	const made = mint(server, 'play').token;
	const from = (origin, more = {}) => api(server, '/api/recordings', { ...more, headers: { origin, ...more.headers } });
	const allowed = await from('https://studio.example', as(made));
	assert.equal(allowed.status, 200);
	assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://studio.example');
	assert.match(allowed.headers.get('vary'), /origin/i);
	const refused = await from('https://studio.example', as('nonsense'));
	assert.equal(refused.headers.get('access-control-allow-origin'), 'https://studio.example', 'so that the page can read the error');
	const preflight = (origin, method = 'OPTIONS', path = '/api/recordings/x') => raw(server, `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n`
		+ `Connection: close\r\nOrigin: ${origin}\r\nAccess-Control-Request-Method: PATCH\r\nAccess-Control-Request-Headers: authorization,content-type\r\n\r\n`);
	const asked = await preflight('http://a:81');
	assert.equal(asked.status, 204);
	assert.match(asked.text, /access-control-allow-methods: .*PATCH/i);
	assert.match(asked.text, /access-control-allow-headers: .*authorization/i);
	assert.match(asked.text, /access-control-allow-origin: http:\/\/a:81\r/i);
	assert.match(asked.text, /vary: origin/i);
	assert.equal((await preflight('http://a:81', 'OPTIONS', '/nothing')).status, 404);
	for (const origin of ['https://evil.example', 'http://studio.example', 'http://a', 'null', 'https://studio.example.evil']) {
		const answer = await preflight(origin);
		assert.equal(answer.status, 403, origin);
		assert.doesNotMatch(answer.text, /access-control/i);
	}
	const own = await from(server.url);
	assert.equal(own.status, 200);
	assert.equal(own.headers.get('access-control-allow-origin'), null);
	assert.match(own.headers.get('vary'), /origin/i);
	const w = await wire(t, server, { headers: { origin: 'https://studio.example' } });
	await w.start({ sessionId: sessionId() });
	const plain = await startServer(t);
	assert.equal((await api(plain, '/api/recordings', { headers: { origin: 'https://studio.example' } })).status, 403);
	assert.equal((await api(plain, '/api/recordings')).headers.get('vary'), null);
});

test('no secret in any log line, at debug level', options, async (t) => {
	const server = await startServer(t, { args: ['--log-level', 'debug'] });
	let said = '';
	server.child.stdout.on('data', (data) => (said += data));
	server.child.stderr.on('data', (data) => (said += data));
	const pairing = token(server, 'pair').lines[0];
	const paired = (await api(server, '/api/pair', json('POST', { pairing, nonce: 'secret-nonce' }))).body.token;
	const play = mint(server, 'play');
	const { id } = await take(t, server, media(1000), { token: paired });
	const { url } = (await api(server, `/api/recordings/${id}/sign`, as(play.token, json('POST', { what: 'original' })))).body;
	await stranger(server, url);
	await stranger(server, url.replace('sig=', 'sig=x'));
	await api(server, '/api/server', as(`${paired}x`));
	const w = await wire(t, server, { headers: { host: 'studio.example' } });
	w.send({ type: 'start', sessionId: sessionId(), token: `${paired}x` });
	await w.error('unauthorized');
	token(server, 'revoke', play.id);
	await server.stop();
	const { keys } = JSON.parse(readFileSync(join(server.dataDir, 'tokens.json')));
	for (const secret of [pairing, paired, play.token, new URL(url, server.url).searchParams.get('sig'), keys[0].secret, 'secret-nonce', 'hf1.'])
		assert.ok(!`${said}${server.output}`.includes(secret), `${secret} was logged`);
});
