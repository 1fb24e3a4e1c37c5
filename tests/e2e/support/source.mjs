// A source of recordings on loopback, as the test says: what was asked is kept, what is answered is a function.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

import { atEnd } from './server.mjs';

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Bytes that can be told apart at every position, the same for the same seed. */
export function bytesOf(length, seed = 1) {
	const bytes = Buffer.alloc(length);
	let x = seed;
	for (let i = 0; i < length; i++) {
		x = (Math.imul(x, 1103515245) + 12345) >>> 0;
		bytes[i] = x >>> 16;
	}
	return bytes;
}

/** `answer(request, response, n)`: the n-th request, from 0. */
export async function startSource(t, answer) {
	const asked = [];
	const server = createServer((request, response) => {
		asked.push({ method: request.method, url: request.url, headers: request.headers });
		response.on('error', () => {});
		answer(request, response, asked.length - 1);
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	atEnd(t, () => {
		server.closeAllConnections();
		return new Promise((resolve) => server.close(resolve));
	});
	const { port } = server.address();
	return { asked, port, server, url: (path = '/call') => `http://127.0.0.1:${port}${path}` };
}

/** Answers as a good web server would, with ranges; `drops`: after how many bytes each of the first answers breaks off. */
export function file(bytes, { etag = '"one"', mime = 'audio/ogg', drops = [] } = {}) {
	return (request, response, n) => {
		const match = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
		const from = match && (!request.headers['if-range'] || request.headers['if-range'] === etag) ? Number(match[1]) : 0;
		const headers = { 'Content-Type': mime, 'Content-Length': bytes.length - from, ETag: etag };
		if (match && from >= bytes.length) {
			response.writeHead(416, { 'Content-Range': `bytes */${bytes.length}` }).end();
			return;
		}
		if (from > 0) headers['Content-Range'] = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
		response.writeHead(from > 0 ? 206 : 200, headers);
		if (n < drops.length) response.write(bytes.subarray(from, from + drops[n]), () => response.destroy());
		else response.end(bytes.subarray(from));
	};
}
