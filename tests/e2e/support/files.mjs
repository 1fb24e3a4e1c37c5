// Uploads over HTTP by hand: one request at a time, every header in sight, interim responses too.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import { crc32c } from './crc32c.mjs';

export const TYPE = 'application/offset+octet-stream';
export const PARTIAL = 'application/partial-upload';
export const TUS = { 'Tus-Resumable': '1.0.0' };
export const DRAFT = { 'Upload-Draft-Interop-Version': '8' };

const WAIT_MS = 20_000;

/** `at`: anything with a port. Answers also when the server refuses before the body's end. `body`: bytes, or an async
 * iterable of pieces, which goes out in chunks unless a Content-Length is given. */
export function ask(at, method, path, headers = {}, body = undefined, { agent, signal } = {}) {
	return new Promise((resolve, reject) => {
		const interim = [];
		let answered = false;
		const request = http.request({ host: '127.0.0.1', port: at.port, method, path, agent, signal,
			headers: { Host: `127.0.0.1:${at.port}`, ...headers, ...(Buffer.isBuffer(body) && { 'Content-Length': body.length }) } });
		request.setTimeout(WAIT_MS, () => request.destroy(new Error(`${method} ${path}: no answer`)));
		request.on('information', ({ statusCode, headers: said }) => interim.push({ status: statusCode, headers: said }));
		request.on('error', (error) => answered || reject(error));
		request.on('response', (response) => {
			answered = true;
			const pieces = [];
			response.on('data', (piece) => pieces.push(piece));
			response.on('error', reject);
			response.on('end', () => {
				const bytes = Buffer.concat(pieces);
				const json = /json/.test(response.headers['content-type'] ?? '') && bytes.length > 0;
				resolve({ status: response.statusCode, headers: response.headers, bytes, body: json ? JSON.parse(bytes) : undefined, interim });
			});
		});
		if (body === undefined || Buffer.isBuffer(body)) request.end(body);
		else send(request, body).catch((error) => answered || reject(error));
	});
}

async function send(request, pieces) {
	for await (const piece of pieces) if (!request.write(piece)) await new Promise((resolve) => request.once('drain', resolve).once('close', resolve));
	request.end();
}

/** Upload-Metadata. A value that is null has none. */
export const metadata = (values) => Object.entries(values).map(([key, value]) => value === null ? key : `${key} ${Buffer.from(value).toString('base64')}`).join(',');

/** Upload-Checksum. */
export function checksum(algorithm, bytes) {
	if (algorithm !== 'crc32c') return `${algorithm} ${createHash(algorithm).update(bytes).digest('base64')}`;
	const sum = Buffer.alloc(4);
	sum.writeUInt32BE(crc32c(bytes));
	return `crc32c ${sum.toString('base64')}`;
}

/** Content-Digest. */
export const digest = (bytes) => `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`;

/** A new upload in tus; its path. `more`: headers instead of Upload-Length. */
export async function create(at, length, more = {}, body = undefined) {
	const made = await ask(at, 'POST', '/files/', { ...TUS, ...(length !== null && { 'Upload-Length': length }), ...(body && { 'Content-Type': TYPE }), ...more }, body);
	assert.equal(made.status, 201, JSON.stringify(made.body));
	assert.match(made.headers.location, /^\/files\/[0-9a-f-]{36}$/);
	assert.equal(made.headers['tus-resumable'], '1.0.0');
	return made.headers.location;
}

export const patch = (at, path, offset, body, more = {}, how = {}) =>
	ask(at, 'PATCH', path, { ...TUS, 'Content-Type': TYPE, 'Upload-Offset': offset, ...more }, body, how);
export const look = (at, path, more = TUS) => ask(at, 'HEAD', path, more);
export const idOf = (path) => path.split('/').pop();

/** The answer is this error, as a problem of its status. */
export function refused(answer, status, code, what = '') {
	assert.equal(answer.status, status, `${what}: ${JSON.stringify(answer.body)}`);
	assert.match(answer.headers['content-type'], /^application\/problem\+json/, what);
	assert.equal(answer.body.status, status, what);
	if (code) assert.equal(answer.body.code, code, what);
	return answer;
}

/** An upload that hangs: its head is sent, and `bytes` of the body that it announces. */
export async function hanging(t, at, path, offset, bytes, announced) {
	const socket = net.connect(at.port, '127.0.0.1');
	t.after(() => socket.destroy());
	const state = { socket, got: '', closed: false };
	socket.on('data', (data) => {
		state.got += data;
	});
	socket.on('error', () => {});
	state.ended = new Promise((resolve) => socket.on('close', () => {
		state.closed = true;
		resolve();
	}));
	await new Promise((resolve) => socket.on('connect', resolve));
	socket.write(`PATCH ${path} HTTP/1.1\r\nHost: 127.0.0.1:${at.port}\r\nTus-Resumable: 1.0.0\r\nContent-Type: ${TYPE}\r\nUpload-Offset: ${offset}\r\n`
		+ `Content-Length: ${announced}\r\n\r\n`);
	socket.write(bytes);
	return state;
}
