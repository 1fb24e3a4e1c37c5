// An outside authority says what tokens allow that are none of ours: asked once, kept for a while, never more than it
// said.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { authority, times } from './support/authority.mjs';
import { startServer, tempDir, until, within } from './support/server.mjs';
import { as, code, holdfast, json, mint, stranger, token as tokens } from './support/tokens.mjs';
import { api, media, sessionId, wire } from './support/wire.mjs';

const options = { timeout: 120_000 };
const STRANGE = { headers: { host: 'studio.example' } };
const jwt = (name) => `eyJhbGciOiJIUzI1NiJ9.${Buffer.from(name).toString('base64url')}.c2lnbmF0dXJl`;

/** Knows anna, ben and others by name: what they may do stands in `people`. */
const people = (known) => (token) => known[Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()] ?? { allow: false };
const allow = (subject, scopes, more = {}) => ({ allow: true, subject, scopes, ...more });

const start = (t, a, more = {}) => startServer(t, { ...more, args: ['--auth-url', a.url, ...(more.args ?? [])] });
const grantOf = async (server, token) => (await api(server, '/api/server', as(token))).body.grant;
const listCode = (server, token) => code(api(server, '/api/recordings', as(token)));

test('allowed, refused, and by scope; asked once for each', options, async (t) => {
	const a = await authority(t, people({
		anna: allow('x:anna', ['record', 'teleport']), ben: allow('x:ben', ['play']), none: allow('x:none', []),
		admin: allow('x:root', ['admin', 'record', 'listen', 'play', 'import']),
	}));
	const server = await start(t, a);
	const anna = jwt('anna'), ben = jwt('ben');
	const grant = await grantOf(server, anna);
	assert.deepEqual([grant.subject, grant.scopes, grant.local], ['x:anna', ['record'], false]);
	assert.ok(Math.abs(grant.expiresAt - Date.now() - 3_600_000) < 10_000);
	assert.equal(await listCode(server, anna), 200);
	assert.equal(await listCode(server, jwt('none')), 'forbidden_scope');
	assert.equal((await api(server, '/metrics', as(jwt('admin')))).status, 200);
	assert.equal(await code(api(server, '/metrics', as(ben))), 'forbidden_scope');
	for (let i = 0; i < 3; i++) assert.equal(await listCode(server, jwt('mallory')), 'unauthorized');
	// each was asked about once, as agreed, and the token in the body alone
	assert.deepEqual(a.asked.toSorted(), ['anna', 'ben', 'none', 'admin', 'mallory'].map(jwt).toSorted());
	for (const { method, url, headers } of a.heads) {
		assert.deepEqual([method, url, headers['content-type'], headers.authorization], ['POST', '/check?by=holdfast', 'application/json', undefined]);
		assert.match(headers['user-agent'], /^holdfast\//);
	}
	// what can't be a token, and what looks like one of ours, is nobody else's business
	const own = mint(server, 'record').token;
	assert.equal((await api(server, '/api/server', as(own))).status, 200);
	for (const bad of [`${own}x`, 'hf1.e30.AAAA', 'two words', 'x'.repeat(8193)]) assert.equal(await listCode(server, bad), 'unauthorized');
	assert.equal((await stranger(server, '/api/recordings', 'Authorization: Bearer \r\n')).status, 401);
	assert.equal((await stranger(server, '/api/recordings', 'Authorization: Basic eDp5\r\n')).status, 401);
	assert.equal(a.asked.length, 5);
	assert.equal(await listCode(server, jwt('x'.repeat(6000))), 'unauthorized');
	assert.equal(a.asked.length, 6, 'a long one is asked about');
	// a stranger's takes are his own
	const w = await wire(t, server, STRANGE);
	const { id } = await w.start({ sessionId: 's', token: anna });
	assert.equal((await api(server, `/api/recordings/${id}`, as(anna))).status, 200);
	assert.equal((await api(server, `/api/recordings/${id}`, as(ben))).status, 200, 'play sees all');
	w.send({ type: 'end', totalBytes: 0 });
	const figures = (await api(server, '/metrics')).body ?? await (await fetch(`${server.url}/metrics`)).text();
	for (const line of ['authority_asked_total 6', 'authority_failed_total 0', 'authority_refused_total 2', 'authority_waiting 0'])
		assert.ok(String(figures).includes(`holdfast_${line}\n`), line);
	assert.match(holdfast('status', '--data', server.dataDir).stdout, /authority: asked 6 times, 0 failed, 2 refused/);
});

test('without --auth-url nothing is asked, and a foreign token is none', options, async (t) => {
	const server = await startServer(t);
	assert.equal(await listCode(server, jwt('anna')), 'unauthorized');
	const w = await wire(t, server, STRANGE);
	w.send({ type: 'start', sessionId: 's', token: jwt('anna') });
	await w.error('unauthorized');
	assert.doesNotMatch(holdfast('status', '--data', server.dataDir).stdout, /authority/);
});

test('what is known lasts over a restart, with the authority dead; who is new waits for it', options, async (t) => {
	const a = await authority(t, people({ anna: allow('x:anna', ['record']), ben: allow('x:ben', ['record']) }));
	const server = await start(t, a);
	assert.equal((await grantOf(server, jwt('anna'))).subject, 'x:anna');
	await until(() => holdfast('status', '--data', server.dataDir).status === 0, 5000, 'a turn');
	await a.die();
	await server.stop();
	await server.start();
	assert.equal((await grantOf(server, jwt('anna'))).subject, 'x:anna');
	const w = await wire(t, server, STRANGE);
	await w.start({ sessionId: 's', token: jwt('anna') });
	// who is new is neither let in nor turned away for good
	const refused = await stranger(server, '/api/recordings', `Authorization: Bearer ${jwt('ben')}\r\n`);
	assert.equal(refused.status, 503);
	assert.match(refused.text, /"code":"authority_failed"/);
	assert.match(refused.text, /^Retry-After: \d+\r$/im);
	const v = await wire(t, server, STRANGE);
	v.send({ type: 'start', sessionId: 't', token: jwt('ben') });
	assert.equal((await v.error('authority_failed')).retry, true);
	await assert.rejects(wire(t, server, { headers: { host: 'studio.example', authorization: `Bearer ${jwt('ben')}` } }));
	await a.listen();
	await v.start({ sessionId: 't', token: jwt('ben') });
	assert.equal(times(a, jwt('anna')), 1);
	// a crash
	await a.die();
	await server.kill();
	await server.start();
	assert.equal(await listCode(server, jwt('anna')), 200);
});

test('fifty requests and ten connections at once ask once', options, async (t) => {
	let release;
	const gate = new Promise((resolve) => (release = resolve));
	const a = await authority(t, async (token) => {
		await gate;
		return people({ anna: allow('x:anna', ['record']) })(token);
	});
	const server = await start(t, a);
	const wires = await Promise.all(Array.from({ length: 10 }, () => wire(t, server, STRANGE)));
	wires.forEach((w, i) => w.send({ type: 'start', sessionId: `s${i}`, token: jwt('anna') }));
	const requests = Array.from({ length: 50 }, () => api(server, '/api/recordings', as(jwt('anna'))));
	await until(() => a.asked.length > 0, 10_000, 'the question');
	// meanwhile others are served
	assert.equal((await api(server, '/api/recordings')).status, 200);
	// and one who leaves is not waited for
	const { signal, abort } = (() => {
		const c = new AbortController();
		return { signal: c.signal, abort: () => c.abort() };
	})();
	const left = fetch(`${server.url}/api/recordings`, { ...as(jwt('anna')), signal }).catch(() => 'left');
	const gone = await wire(t, server, STRANGE);
	gone.send({ type: 'start', sessionId: 'gone', token: jwt('anna') });
	await gone.cut();
	abort();
	assert.equal(await left, 'left');
	release();
	for (const { status } of await Promise.all(requests)) assert.equal(status, 200);
	for (const w of wires) assert.equal((await w.next('started')).resumed, false);
	assert.deepEqual(a.asked, [jwt('anna')]);
});

test('a slow answer: what comes behind `start` keeps its order', options, async (t) => {
	let release;
	const gate = new Promise((resolve) => (release = resolve));
	const a = await authority(t, async (token) => {
		await gate;
		return people({ anna: allow('x:anna', ['record'], { maxBytes: 100_000 }) })(token);
	});
	const server = await start(t, a, { args: ['--heartbeat', '1s'] });
	const own = mint(server, 'record').token;
	const w = await wire(t, server, STRANGE);
	w.send({ type: 'start', sessionId: 's', mime: 'video/webm', ext: 'webm', token: jwt('anna') });
	w.send({ type: 'subscribe', all: true, token: own });
	await until(() => a.asked.length === 1, 10_000, 'the question');
	const other = await wire(t, server, STRANGE); // whoever waits is not silent: this one is, and is cut off
	await other.error('unauthorized');
	assert.deepEqual(w.inbox, [], 'nothing overtakes it');
	release();
	w.statuses = [];
	const both = [await w.when(() => w.inbox.shift(), 'one'), await w.when(() => w.inbox.shift(), 'another')];
	assert.deepEqual(both.map(({ type }) => type).toSorted(), ['started', 'subscribed']);
	const { id } = both.find(({ type }) => type === 'started');
	const again = await wire(t, server, { headers: { host: 'studio.example', authorization: `Bearer ${jwt('anna')}` } });
	assert.equal((await again.start({ sessionId: 's' })).id, id);
	again.binary(media(100_001));
	await again.error('quota_exceeded');
	// an upgrade waits too
	const up = await wire(t, server, { headers: { host: 'studio.example', authorization: `Bearer ${jwt('anna')}` } });
	await up.start({ sessionId: 'u' });
	assert.equal(a.asked.length, 1);
	await assert.rejects(wire(t, server, { headers: { host: 'studio.example', authorization: `Bearer ${jwt('mallory')}` } }));
	assert.equal(a.asked.length, 2);
});

test('an upload waits for its answer with its body behind it', options, async (t) => {
	let release;
	const gate = new Promise((resolve) => (release = resolve));
	const a = await authority(t, async (token) => {
		await gate;
		return people({ anna: allow('x:anna', ['record'], { maxBytes: 1_000_000 }), ben: allow('x:ben', ['record']) })(token);
	});
	const server = await start(t, a);
	const bytes = media(300_000);
	const tus = (method, path, by, headers, body) => fetch(server.url + path, { method, body, headers: { 'tus-resumable': '1.0.0', authorization: `Bearer ${jwt(by)}`, ...headers } });
	const OFFSET = { 'content-type': 'application/offset+octet-stream' };
	const made = tus('POST', '/files/', 'anna', { ...OFFSET, 'upload-length': '600000' }, bytes);
	const refused = tus('POST', '/files/', 'mallory', { ...OFFSET, 'upload-length': '600000' }, bytes);
	await until(() => a.asked.length === 2, 10_000, 'the questions');
	release();
	assert.equal((await refused).status, 401);
	const answer = await made, location = answer.headers.get('location');
	assert.deepEqual([answer.status, answer.headers.get('upload-offset')], [201, '300000']);
	assert.equal((await tus('PATCH', location, 'ben', { ...OFFSET, 'upload-offset': '300000' }, bytes)).status, 404, 'it is not his');
	const more = await tus('PATCH', location, 'anna', { ...OFFSET, 'upload-offset': '300000' }, bytes);
	assert.deepEqual([more.status, more.headers.get('upload-offset')], [204, '600000']);
	assert.equal((await tus('POST', '/files/', 'anna', { 'upload-length': '1000001' })).status, 413);
	assert.equal(times(a, jwt('anna')), 1);
});

test('slices wait in their order, and have the rate that was said', options, async (t) => {
	let release;
	const gate = new Promise((resolve) => (release = resolve));
	const a = await authority(t, async (token) => {
		await gate;
		return people({ anna: allow('x:anna', ['import'], { rate: { perSecond: 1, burst: 100 } }) })(token);
	});
	const server = await start(t, a);
	const w = await wire(t, server, STRANGE);
	const slice = (sliceId, from, count) => w.send({
		type: 'slice', batchId: 'b', sliceId, token: jwt('anna'), items: Array.from({ length: count }, (_, i) => ({ key: `k${from + i}` })),
	});
	slice('s0', 0, 1);
	await until(() => a.asked.length === 1, 10_000, 'the question');
	assert.deepEqual(w.inbox, []);
	release();
	assert.equal((await w.error('not_found')).sliceId, 's0', 'there is no such batch yet');
	assert.equal((await api(server, '/api/batches', json('POST', { batchId: 'b' }, as(jwt('anna'))))).status, 201);
	slice('s1', 0, 100);
	assert.equal((await w.next('slice_ack')).items.filter(({ isNew }) => isNew).length, 100);
	slice('s2', 100, 90);
	const limited = await w.error('rate_limited');
	assert.ok(limited.sliceId === 's2' && limited.retryAfterMs > 30_000, JSON.stringify(limited));
	slice('s3', 0, 100);
	assert.ok((await w.next('slice_ack')).items.every(({ isNew }) => !isNew), 'what is there costs nothing');
	assert.equal(a.asked.length, 1);
	// the limit stands in the catalog: it holds behind a crash, with nobody there who could be asked
	await a.die();
	await server.kill();
	await server.start();
	const again = await wire(t, server, STRANGE);
	const more = (sliceId, from, count) => again.send({
		type: 'slice', batchId: 'b', sliceId, token: jwt('anna'), items: Array.from({ length: count }, (_, i) => ({ key: `k${from + i}` })),
	});
	more('s4', 100, 100);
	more('s5', 200, 50);
	more('s6', 0, 100);
	const answers = [await again.when(() => again.inbox.shift(), 'an answer'), await again.when(() => again.inbox.shift(), 'an answer'),
		await again.when(() => again.inbox.shift(), 'an answer')].toSorted((x, y) => x.sliceId.localeCompare(y.sliceId));
	assert.deepEqual(answers.map((x) => [x.sliceId, x.type, x.code]), [['s4', 'slice_ack', undefined], ['s5', 'error', 'rate_limited'], ['s6', 'slice_ack', undefined]]);
	assert.equal((await api(server, '/api/batches/b', as(jwt('anna')))).body.items, 200);
});

test('an answer that is none lets nobody in', options, async (t) => {
	const deep = '['.repeat(100_000);
	const good = allow('x:anna', ['record']);
	const wrong = [
		{ text: '' }, { text: 'yes' }, { text: 'true' }, { text: '[]' }, { text: '{' }, { text: deep }, { text: '{"allow":true}' }, { text: '{"allow":"true","subject":"a","scopes":[]}' },
		{ text: '{"allow":true,"allow":true,"subject":"a","scopes":["record"]}' }, { text: `${JSON.stringify(good)}x` },
		{ ...good, allow: 1 }, { ...good, subject: '' }, { ...good, subject: 5 }, { ...good, subject: 'local' }, { ...good, subject: 'source' },
		{ ...good, subject: 'x'.repeat(201) }, { ...good, subject: 'a\u0000b' }, { ...good, subject: 'a\nb' }, { ...good, scopes: 'record' },
		{ ...good, scopes: [5] }, { ...good, scopes: undefined }, { ...good, maxBytes: 0 }, { ...good, maxBytes: -1 }, { ...good, maxBytes: 1e300 }, { ...good, maxBytes: 1.5 },
		{ ...good, rate: 5 }, { ...good, rate: { perSecond: 1 } }, { ...good, rate: { perSecond: 0, burst: 1 } }, { ...good, rate: { perSecond: 1, burst: 1e7 } },
		{ ...good, expiresIn: 0 }, { ...good, expiresIn: -5 }, { ...good, expiresIn: '60' },
		{ text: `${JSON.stringify(good).slice(0, -1)},"more":"${'x'.repeat(20_000)}"}` },
		{ status: 500, text: JSON.stringify(good) }, { status: 204, text: '' }, { status: 201, text: JSON.stringify(good) },
		{ status: 302, text: JSON.stringify(good), headers: { location: 'http://127.0.0.1:1/' } },
	];
	const a = await authority(t, (token) => wrong[Number(Buffer.from(token.split('.')[1], 'base64url'))] ?? good);
	const server = await start(t, a);
	for (let i = 0; i < wrong.length; i++) assert.equal(await listCode(server, jwt(String(i))), 'authority_failed', JSON.stringify(wrong[i]).slice(0, 200));
	// nothing of that is remembered
	wrong.length = 0;
	assert.equal(await listCode(server, jwt('0')), 200);
	// a refusal is one by its status, whatever its page says
	for (const status of [401, 403]) {
		a.answer = () => ({ status, text: 'x'.repeat(100_000) });
		assert.equal(await listCode(server, jwt(`refused-${status}`)), 'unauthorized');
	}
});

test('expiresIn: asked again when it is over, and what is at work goes on', options, async (t) => {
	const a = await authority(t, people({ anna: allow('x:anna', ['record'], { expiresIn: 2, rate: { perSecond: 5, burst: 10 } }) }));
	const server = await start(t, a);
	const w = await wire(t, server, { headers: { host: 'studio.example', authorization: `Bearer ${jwt('anna')}` } });
	await w.start({ sessionId: 's' });
	assert.equal(await listCode(server, jwt('anna')), 200);
	assert.equal(a.asked.length, 1);
	await until(async () => {
		assert.equal(await listCode(server, jwt('anna')), 200);
		return a.asked.length === 2;
	}, 10_000, 'the second question');
	w.binary(media(1000));
	await w.untilAcked(1000);
	w.send({ type: 'start', sessionId: 's' }); // as with a token of ours: this connection's rights are over …
	assert.equal((await w.error('token_expired')).retry, false);
	await w.start({ sessionId: 's', token: jwt('anna') }); // … and the token says what they are now
	// the authority is dead, and the time is over
	await a.die();
	await until(async () => (await listCode(server, jwt('anna'))) === 'authority_failed', 10_000, 'the end');
	await a.listen();
	a.answer = () => ({ allow: false });
	assert.equal(await listCode(server, jwt('anna')), 'unauthorized');
});

test('who asks: a secret, and what the options refuse', options, async (t) => {
	const a = await authority(t, people({ anna: allow('x:anna', ['record']) }));
	const dir = tempDir(t), secret = join(dir, 'secret');
	const refused = (...args) => {
		const { status, stderr } = holdfast('serve', '--data', join(dir, 'data'), '--listen', '127.0.0.1:0', ...args);
		assert.notEqual(status, 0, args.join(' '));
		return stderr;
	};
	writeFileSync(secret, 'we-are-the-studio\n', { mode: 0o644 });
	assert.match(refused('--auth-secret-file', secret), /--auth-url is missing/);
	assert.match(refused('--auth-url', a.url, '--auth-secret-file', secret), /chmod 600/);
	chmodSync(secret, 0o600);
	for (const url of ['http://authority.example/', 'ftp://127.0.0.1/', 'https://user:pass@authority.example/', 'authority', 'http://127.0.0.1.example/'])
		assert.match(refused('--auth-url', url), /must be a URL like https/);
	assert.match(refused('--auth-url', a.url, '--auth-ca', join(dir, 'none')), /No such file/);
	const server = await start(t, a, { args: ['--auth-secret-file', secret] });
	assert.equal(await listCode(server, jwt('anna')), 200);
	assert.equal(a.heads[0].headers.authorization, 'Bearer we-are-the-studio');
	writeFileSync(secret, 'two words\n');
	assert.match(refused('--auth-url', a.url, '--auth-secret-file', secret), /no secret/);
});

test('https: only who has a certificate that is trusted is believed', options, async (t) => {
	const dir = tempDir(t), file = (name) => join(dir, name);
	const made = (name, host) => {
		execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${host}`,
			'-addext', `subjectAltName=DNS:${host}`, '-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)], { stdio: 'ignore' });
		return { key: readFileSync(file(`${name}.key`)), cert: readFileSync(file(`${name}.pem`)) };
	};
	const who = people({ anna: allow('x:anna', ['record']) });
	const right = await authority(t, who, made('right', 'localhost')), wrong = await authority(t, who, made('wrong', 'other.example'));
	for (const [a, ca, want] of [[right, 'right', 200], [right, 'wrong', 'authority_failed'], [right, null, 'authority_failed'], [wrong, 'wrong', 'authority_failed']]) {
		const server = await start(t, a, { args: ca ? ['--auth-ca', file(`${ca}.pem`)] : [] });
		assert.equal(await listCode(server, jwt('anna')), want, `${ca} for ${a.url}`);
		await server.stop();
	}
	assert.deepEqual([right.asked.length, wrong.asked.length], [1, 0], 'nobody else was shown the token');
});

test('one that never answers: an error in time, and a stop that does not wait', options, async (t) => {
	const a = await authority(t, () => null);
	const server = await start(t, a);
	const began = performance.now();
	assert.equal(await listCode(server, jwt('anna')), 'authority_failed');
	const took = performance.now() - began;
	assert.ok(took > 4000 && took < 9900, `${took} ms`);
	const waiting = code(api(server, '/api/recordings', as(jwt('anna'))));
	const w = await wire(t, server, STRANGE);
	w.send({ type: 'start', sessionId: 's', token: jwt('anna') });
	await until(() => a.asked.length === 2, 10_000, 'the question');
	const stopping = performance.now();
	assert.equal((await server.stop()).code, 0);
	assert.ok(performance.now() - stopping < 6000);
	assert.equal(await waiting, 'shutting_down');
	await within(w.closed, 5000, 'the end');
});

test('forgotten: asked again, and what works under it is cut off', options, async (t) => {
	const a = await authority(t, people({ anna: allow('x:anna', ['record']), ben: allow('x:ben', ['record']) }));
	const server = await start(t, a);
	const w = await wire(t, server, STRANGE), v = await wire(t, server, STRANGE);
	await w.start({ sessionId: 's', token: jwt('anna') });
	await v.start({ sessionId: 't', token: jwt('ben') });
	assert.deepEqual([tokens(server, 'forget', 'x:nobody').stdout, tokens(server, 'forget', 'x:anna').stdout],
		['forgot nothing of x:nobody\n', 'forgot 1 token of x:anna\n']);
	assert.equal((await w.error('token_revoked')).retry, false);
	a.answer = () => ({ allow: false });
	assert.equal(await listCode(server, jwt('anna')), 'unauthorized');
	assert.equal(await listCode(server, jwt('ben')), 200);
	assert.equal(times(a, jwt('anna')), 2);
	v.binary(media(10));
	await v.untilAcked(10);
	await server.kill();
	await server.start();
	assert.equal(await listCode(server, jwt('anna')), 'unauthorized', 'over a crash too');
	assert.equal(tokens(server, 'forget', '--all').stdout, 'forgot 1 token\n');
	assert.equal(await listCode(server, jwt('ben')), 'unauthorized');
	assert.match(tokens(server, 'forget').stderr, /forget needs/);
	await server.stop();
	assert.match(tokens(server, 'forget', '--all').stderr, /no server runs/);
});

test('no token and no secret in any log line, at debug level', options, async (t) => {
	const a = await authority(t, people({ anna: allow('x:anna', ['record']) }));
	const secret = join(tempDir(t), 'secret');
	writeFileSync(secret, 'we-are-the-studio', { mode: 0o600 });
	const server = await start(t, a, { args: ['--log-level', 'debug', '--auth-secret-file', secret] });
	let said = server.output;
	for (const stream of [server.child.stdout, server.child.stderr]) stream.on('data', (data) => (said += data));
	const session = sessionId();
	assert.equal(await listCode(server, jwt('anna')), 200);
	assert.equal(await listCode(server, jwt('mallory')), 'unauthorized');
	const w = await wire(t, server, STRANGE);
	await w.start({ sessionId: session, token: jwt('anna') });
	a.answer = () => ({ text: 'nonsense' });
	assert.equal(await listCode(server, jwt('other')), 'authority_failed');
	await a.die();
	assert.equal(await listCode(server, jwt('another')), 'authority_failed');
	await api(server, '/api/recordings', json('POST', {}, as(jwt('anna'))));
	await server.stop();
	said += server.output;
	assert.match(said, /authority_failed why="?Its answer is none/);
	assert.match(said, /authority_answered allow="?yes/);
	for (const text of ['eyJ', ...['anna', 'mallory', 'other', 'another'].map((name) => jwt(name).split('.')[1]), 'we-are-the-studio'])
		assert.ok(!said.includes(text), `${text} was logged`);
});
