// An outside authority in a test's hands: it says what the test wants, and remembers what it was asked.
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { atEnd } from './server.mjs';

/** `answer(token, request)`: an object is a 200 with it as JSON; {status, text, headers} is sent as it is; null: never.
 * `tls`: {key, cert}, for localhost. */
export async function authority(t, answer, tls) {
	const a = { asked: [], heads: [], answer, sockets: new Set() };
	const hear = (request, response) => {
		let body = '';
		request.on('data', (data) => (body += data));
		request.on('end', async () => {
			a.heads.push({ method: request.method, url: request.url, headers: request.headers });
			const { token } = JSON.parse(body);
			a.asked.push(token);
			const said = await a.answer(token, request);
			if (said === null) return;
			const { status = 200, text = JSON.stringify(said), headers = {} } = 'status' in said || 'text' in said ? said : {};
			response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);
		});
	};
	a.server = tls ? createSecureServer(tls, hear) : createServer(hear);
	a.server.on('connection', (socket) => {
		a.sockets.add(socket);
		socket.on('close', () => a.sockets.delete(socket));
	});
	/** Listens; a second time on the same port. */
	a.listen = () => new Promise((resolve) => a.server.listen(a.port ?? 0, '127.0.0.1', () => {
		a.port = a.server.address().port;
		a.url = `${tls ? 'https://localhost' : 'http://127.0.0.1'}:${a.port}/check?by=holdfast`;
		resolve(a);
	}));
	/** Nobody answers there any more. */
	a.die = () => new Promise((resolve) => {
		a.server.close(resolve);
		for (const socket of a.sockets) socket.destroy();
	});
	atEnd(t, a.die);
	return a.listen();
}

/** How often it was asked about the token. */
export const times = (a, token) => a.asked.filter((asked) => asked === token).length;
