// Tokens in a test's hands: the commands that make them, and requests that carry them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { BINARY } from './server.mjs';
import { raw, sessionId, wire } from './wire.mjs';

/** `holdfast ARGS` to its end. */
export function holdfast(...args) {
	const { status, stdout, stderr } = spawnSync(BINARY, args, { encoding: 'utf8', timeout: 30_000 });
	return { status, stdout, stderr, lines: stdout.trim().split('\n').filter(Boolean).map((line) => line.startsWith('{') ? JSON.parse(line) : line) };
}

export const token = (server, ...args) => holdfast('token', args[0], '--data', server.dataDir ?? server, ...args.slice(1));

export function mint(server, scope, ...args) {
	const made = token(server, 'mint', '--json', '--scope', scope, ...args);
	assert.equal(made.status, 0, made.stderr);
	return made.lines[0];
}

export const as = (text, more = {}) => ({ ...more, headers: { ...more.headers, authorization: `Bearer ${text}` } });
export const json = (method, body, more = {}) => ({ method, body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...more.headers } });

/** A stranger: from loopback too, but with a Host that isn't. */
export const stranger = (server, path, headers = '', method = 'GET', body = '') => raw(server, `${method} ${path} HTTP/1.1\r\nHost: studio.example\r\n`
	+ `Connection: close\r\n${headers}${body ? `Content-Length: ${Buffer.byteLength(body)}\r\n` : ''}\r\n${body}`);

/** A sealed take by a token, over an anonymous connection; without one, by local. */
export async function take(t, server, bytes, { token: by, session = sessionId() } = {}) {
	const w = await wire(t, server, by ? { headers: { host: 'studio.example' } } : {});
	const { id } = await w.start({ sessionId: session, ...(by && { token: by }) });
	w.binary(bytes);
	w.send({ type: 'end', totalBytes: bytes.length });
	await w.next('saved');
	await w.close();
	return { id, session };
}

export const code = async (answer) => (await answer).body?.code ?? (await answer).status;
