// A server of files and batches for the client in Node: the stand-in's, without pages, and a client that speaks to it.
import http from 'node:http';
import { WebSocketServer, WebSocket } from 'ws';
import { openClient } from '../../../web/client/node.js';
import { StandinBatches } from '../../e2e/support/standin_batches.mjs';

class FilesServer {
	takes = new Map();
	refuse = null;
	removed = new Set();
	batches = new StandinBatches(this);
	asked = [];

	async listen(port = 0) {
		this.http = http.createServer((request, response) => this.#answer(request, response));
		this.sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'holdfast.v1' });
		this.http.on('upgrade', (request, socket, head) => this.sockets.handleUpgrade(request, socket, head, (ws) => {
			ws.on('message', (data) => this.batches.message(ws, JSON.parse(data)));
			ws.on('close', () => this.batches.gone(ws));
		}));
		await new Promise((resolve) => this.http.listen(this.port ?? port, '127.0.0.1', resolve));
		this.port = this.http.address().port;
		return this;
	}

	async stop() {
		for (const ws of this.sockets.clients) ws.terminate();
		this.http.closeAllConnections();
		await new Promise((resolve) => this.http.close(resolve));
	}

	put(one) {
		this.takes.set(one.id, one);
		this.batches.changed(one);
		return one;
	}

	remove(id) {
		this.takes.delete(id);
		this.removed.add(id);
	}

	async #answer(request, response) {
		this.asked.push(request.method);
		const url = new URL(request.url, 'http://x');
		if (this.batches.files(request, response, url.pathname)) return;
		const parts = [];
		for await (const part of request) parts.push(part);
		const text = Buffer.concat(parts).toString();
		const batch = url.searchParams.get('batch');
		const [status, body] = batch === null ? this.batches.answer(request.method, url.pathname, text === '' ? {} : JSON.parse(text))
			: [200, { items: this.batches.itemsOf(batch), next: null }];
		response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
	}
}

/** { server, client }; `options` are openClient's. */
export async function filesServer(t, options = {}) {
	const server = await new FilesServer().listen();
	const client = await openClient({ server: `http://127.0.0.1:${server.port}`, stores: ['memory'], WebSocket, ...options });
	t.after(async () => {
		await client.close();
		await server.stop();
	});
	return { server, client };
}
