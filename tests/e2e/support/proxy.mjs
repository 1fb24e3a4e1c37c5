// A link that can be broken: a TCP proxy between a client and the server.
import net from 'node:net';
import { atEnd } from './server.mjs';

/** Sends a reset, unless a goodbye is under way already: Node can't do both and would hang at its own exit. */
function reset(socket) {
	if (socket.writableEnded) socket.destroy();
	else socket.resetAndDestroy();
}

export class Proxy {
	/** pass: bytes go through. refuse: connections are reset. blackhole: connections stay open and nothing comes out.
	 * pause: nothing is read either, so that senders feel it. */
	mode = 'pass';
	toServer = 0; // bytes forwarded to the server so far
	connections = 0; // accepted so far
	#cutAt = Infinity;
	#onCut = () => {};
	#pairs = new Set();
	#server;
	#url;

	/** `url`: of the server. The proxy has the same one, but for the port. */
	constructor(url) {
		this.#url = new URL(url);
		this.target = Number(this.#url.port);
		const host = this.#url.hostname.replace(/^\[|\]$/g, '');
		this.host = net.isIP(host) ? host : '127.0.0.1'; // a name is made up, and leads here
	}

	async listen() {
		this.#server = net.createServer((client) => this.#accept(client));
		await new Promise((resolve) => this.#server.listen(0, this.host, resolve));
		this.port = this.#server.address().port;
		return this;
	}

	get url() {
		return Object.assign(new URL(this.#url), { port: this.port }).origin;
	}

	#accept(client) {
		this.connections += 1;
		if (this.mode === 'refuse') {
			reset(client);
			return;
		}
		const server = net.connect(this.target, this.host);
		const pair = { client, server };
		this.#pairs.add(pair);
		client.on('data', (data) => this.#up(pair, data));
		server.on('data', (data) => {
			if (this.mode !== 'blackhole') client.write(data);
		});
		if (this.mode === 'pause') client.pause();
		for (const socket of [client, server]) {
			socket.setNoDelay(true);
			socket.on('error', () => {});
			socket.on('close', () => this.#close(pair));
		}
	}

	#close(pair) {
		if (this.mode === 'blackhole') return; // half-open: neither side hears of the other's end
		this.#pairs.delete(pair);
		pair.client.destroy();
		pair.server.destroy();
	}

	#up(pair, data) {
		if (this.mode === 'blackhole') return;
		const rest = this.#cutAt - this.toServer;
		if (data.length < rest) {
			this.toServer += data.length;
			pair.server.write(data);
			return;
		}
		// exactly up to the byte, then both sides are reset once the server has had it
		this.#cutAt = Infinity;
		this.toServer += rest;
		const onCut = this.#onCut;
		pair.client.pause();
		pair.server.write(data.subarray(0, rest), () => {
			reset(pair.client);
			pair.server.end(() => pair.server.destroy());
			onCut();
		});
	}

	/** Cuts the link when `bytes` more have gone to the server; resolves when it was cut. */
	cutAfter(bytes) {
		this.#cutAt = this.toServer + bytes;
		return new Promise((resolve) => {
			this.#onCut = resolve;
		});
	}

	/** Resets every connection now. */
	cut() {
		for (const { client, server } of this.#pairs) {
			reset(client);
			reset(server);
		}
		this.#pairs.clear();
	}

	pause() {
		this.mode = 'pause';
		for (const { client, server } of this.#pairs) {
			client.pause();
			server.pause();
		}
	}

	heal() {
		this.mode = 'pass';
		for (const { client, server } of this.#pairs) {
			client.resume();
			server.resume();
		}
	}

	async close() {
		this.mode = 'refuse';
		this.cut();
		await new Promise((resolve) => this.#server.close(resolve));
	}
}

/** `at`: anything with a `url`. */
export async function startProxy(t, at) {
	const proxy = await new Proxy(at.url).listen();
	atEnd(t, () => proxy.close());
	return proxy;
}
