// The HTTP helpers and the follower of @holdfast/client, against a server that says what a test wants.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { makeApi } from '../../web/client/api.js';
import { Follower } from '../../web/client/follower.js';

async function listen(t, answer) {
	const server = http.createServer(async (request, response) => {
		let body = '';
		for await (const piece of request) body += piece;
		answer({ method: request.method, url: request.url, headers: request.headers, body }, response);
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		server.closeAllConnections();
		return new Promise((resolve) => server.close(resolve));
	});
	return { server, url: `http://127.0.0.1:${server.address().port}` };
}

const json = (response, status, body, type = 'application/json') => response.writeHead(status, { 'Content-Type': type }).end(JSON.stringify(body));

test('requests carry the token and the names as they are', async (t) => {
	const seen = [];
	const { url } = await listen(t, (request, response) => {
		seen.push(request);
		json(response, 200, { items: [] });
	});
	let token = 'hf1.a';
	const api = makeApi({ server: url, token: () => token });
	await api.list({ search: 'a b&c', before: undefined });
	token = null;
	await api.rename('session:x/y', 'Über');
	assert.equal(seen[0].url, '/api/recordings?search=a+b%26c');
	assert.equal(seen[0].headers.authorization, 'Bearer hf1.a');
	assert.equal(seen[1].url, '/api/recordings/session:x%2Fy');
	assert.equal(seen[1].headers.authorization, undefined);
	assert.deepEqual(JSON.parse(seen[1].body), { name: 'Über' });
	assert.equal(api.originalUrl('a', 'audio'), `${url}/api/recordings/a/original?track=audio`);
});

test('shows have their own routes', async (t) => {
	const seen = [];
	const { url } = await listen(t, ({ method, url: path }, response) => {
		seen.push(`${method} ${path}`);
		json(response, 200, { items: [] });
	});
	const api = makeApi({ server: url, token: () => null });
	await api.shows();
	await api.show('a b');
	await api.stopShow('morning');
	await api.signShow('morning');
	await api.list({ show: 'morning' });
	assert.deepEqual(seen, ['GET /api/shows', 'GET /api/shows/a%20b', 'POST /api/shows/morning/stop', 'POST /api/shows/morning/sign', 'GET /api/recordings?show=morning']);
	assert.equal(api.liveUrl('a b'), `${url}/live/a%20b`);
});

test('an error carries its code, its status and the server’s own words', async (t) => {
	const { url } = await listen(t, (request, response) => {
		if (request.url === '/api/server') json(response, 401, { title: 'No', status: 401, code: 'token_expired', detail: 'The token has expired.' }, 'application/problem+json');
		else response.writeHead(502).end('<html>a proxy</html>');
	});
	const api = makeApi({ server: url, token: () => null });
	await assert.rejects(api.server(), { code: 'token_expired', status: 401, retry: false, message: 'The token has expired.' });
	await assert.rejects(api.get('x'), { code: 'http_502', status: 502, retry: true });
	const dead = makeApi({ server: 'http://127.0.0.1:1', token: () => null });
	await assert.rejects(dead.get('x'), { code: 'network', status: 0, retry: true });
});

test('an old server’s 409 without a code counts as success to complete, and to nothing else', async (t) => {
	let coded = false;
	const { url } = await listen(t, (request, response) => {
		if (coded) json(response, 409, { code: 'bytes_missing', detail: 'Bytes are missing.' });
		else response.writeHead(409).end('already done');
	});
	const api = makeApi({ server: url, token: () => null });
	assert.deepEqual(await api.complete('x'), { status: 'alreadyComplete', phase: null });
	await assert.rejects(api.rename('x', 'y'), { code: 'http_409', status: 409 });
	coded = true;
	await assert.rejects(api.complete('x'), { code: 'bytes_missing' });
});

test('pairing: a lost reply is asked for again with the same nonce; a refusal is not', async (t) => {
	const seen = [];
	const { url } = await listen(t, (request, response) => {
		seen.push(JSON.parse(request.body));
		if (seen.length === 1) response.destroy();
		else if (seen.length === 2) json(response, 200, { token: 'hf1.b' });
		else json(response, 403, { code: 'pairing_used', detail: 'Used.' });
	});
	const api = makeApi({ server: url, token: () => 'hf1.old' });
	assert.equal((await api.pair('abc')).token, 'hf1.b');
	assert.equal(seen[0].nonce, seen[1].nonce);
	assert.equal(seen[1].token, 'hf1.old');
	await assert.rejects(api.pair('abc'), { code: 'pairing_used' });
	assert.equal(seen.length, 3);
});

test('the follower: a picture at `subscribed`, changes, and its place again after a cut without what is gone', async (t) => {
	const { server, url } = await listen(t, (request, response) => response.writeHead(404).end());
	const wss = new WebSocketServer({ server });
	const asked = [];
	let recordings = [{ id: '1', createdAt: 1, phase: 'uploading' }, { id: '2', createdAt: 2, phase: 'complete' }];
	let socket;
	wss.on('connection', (client) => {
		socket = client;
		client.on('message', (data) => {
			asked.push(JSON.parse(data));
			for (const fields of recordings) client.send(JSON.stringify({ type: 'status', of: 'recording', ...fields }));
			client.send(JSON.stringify({ type: 'status', of: 'server', freeBytes: 7 }));
			client.send(JSON.stringify({ type: 'subscribed', all: true }));
		});
	});
	const say = (fields) => socket.send(JSON.stringify({ type: 'status', of: 'recording', ...fields }));
	const views = [];
	const waiters = new Set();
	const follower = new Follower({ server: url, token: 'hf1.c', WebSocket, onChange: (view) => {
		views.push(view);
		for (const waiter of waiters) waiter(view);
	} });
	t.after(() => {
		follower.close();
		wss.close();
	});
	const when = (check) => new Promise((resolve) => {
		const waiter = (view) => check(view) && resolve(view);
		waiters.add(waiter);
		waiter(follower.view);
	});
	const ids = ({ recordings: list }) => list.map(({ id }) => id).join();
	const first = await when(({ link }) => link === 'live');
	assert.equal(ids(first), '2,1');
	assert.deepEqual(first.server, { freeBytes: 7 });
	assert.deepEqual(asked, [{ type: 'subscribe', all: true, token: 'hf1.c' }]);
	say({ id: '3', createdAt: 3, phase: 'uploading' });
	say({ id: '2', createdAt: 2, phase: 'deleted' });
	await when((view) => ids(view) === '3,1');
	recordings = [{ id: '3', createdAt: 3, phase: 'complete' }];
	socket.terminate();
	await when(({ link }) => link === 'waiting');
	assert.equal(ids(follower.view), '3,1', 'what was last heard stays until there is something newer');
	const again = await when((view) => view.link === 'live' && ids(view) === '3');
	assert.equal(again.recordings[0].phase, 'complete');
	socket.send(JSON.stringify({ type: 'error', code: 'token_revoked', message: 'Revoked.', retry: false, all: true }));
	const end = await when(({ link }) => link === 'stopped');
	assert.equal(end.reason, 'token_revoked');
	assert.equal(end.message, 'Revoked.');
});

test('whether a file is there: one byte is asked for, and every answer is one; only silence is an error', async (t) => {
	const says = [
		[206, {}, 'x'], [200, {}, 'xxxxxxxx'],
		[202, { 'Retry-After': '7' }, { status: 'notYet', phase: 'processing', attempt: 2, attempts: 3, progress: 0.4, message: 'It is being finished.' }],
		[202, { 'Retry-After': '7' }, { phase: 'queued', retryAfter: 5 }],
		[500, {}, { code: 'worker_died', detail: 'The worker died.', attempt: 3, attempts: 3, phase: 'error' }],
		[410, {}, { code: 'deleted', title: 'Gone' }], [502, { 'Retry-After': 'Thu, 01 Jan 2026 00:00:00 GMT' }, '<html>a proxy</html>'], [404, {}, 'null'],
	];
	const seen = [];
	const { url } = await listen(t, (request, response) => {
		seen.push(request);
		const [status, headers, body] = says[seen.length - 1];
		response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
	});
	const api = makeApi({ server: url, token: () => 'hf1.a' });
	const got = [];
	for (let i = 0; i < says.length; i++) got.push(await api.ask('ref:a/b'));
	assert.equal(seen[0].url, '/api/recordings/ref:a%2Fb/file');
	assert.equal(seen[0].headers.range, 'bytes=0-0');
	assert.equal(seen[0].headers.authorization, 'Bearer hf1.a');
	assert.deepEqual(got.map(({ status, code, retryAfter }) => [status, code, retryAfter]), [[206, null, null], [200, null, null], [202, null, 7],
		[202, null, 5], [500, 'worker_died', null], [410, 'deleted', null], [502, null, null], [404, null, null]]);
	assert.deepEqual(got[2], { status: 202, code: null, message: 'It is being finished.', phase: 'processing', attempt: 2, attempts: 3, progress: 0.4, retryAfter: 7 });
	assert.equal(got[4].message, 'The worker died.');
	await assert.rejects(makeApi({ server: 'http://127.0.0.1:1', token: () => null }).ask('x'), { code: 'network', status: 0 });
	assert.equal(api.url('x', 'thumbnail'), `${url}/api/recordings/x/thumbnail`);
});

test('a refusal tells when it is over', async (t) => {
	const { url } = await listen(t, (request, response) => {
		response.setHeader('Retry-After', '420');
		json(response, 500, { code: 'worker_died', detail: 'The worker died.' }, 'application/problem+json');
	});
	await assert.rejects(makeApi({ server: url, token: () => null }).complete('x'), { code: 'worker_died', retryAfter: 420 });
});
