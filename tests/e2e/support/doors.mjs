// The two ways by which a record page comes to its server, so that the same trials are made over both: http on loopback, where nobody
// needs a token, and https on the local network, where the page is that of a phone which was paired with the desk's link.
import { PHONE_ARGS, homeThatTrusts, phoneUrl, startLan } from './lan.mjs';
import { Profile, launch, openPage } from './page.mjs';
import { startProxy } from './proxy.mjs';
import { atEnd, startServer } from './server.mjs';
import { api } from './wire.mjs';

/** A server, and browsers that come to it. */
class Room {
	#t;
	#browsers = new Map();

	/** `at`: what pages are opened at. `path`: resolves with where a new visitor begins. `args`, `env`: of the browsers. */
	constructor(t, { server, at, path, args = [], env = {} }) {
		Object.assign(this, { server, at, path, args, env });
		this.#t = t;
	}

	/** Pages come through a proxy from here on. */
	async proxied() {
		this.proxy = await startProxy(this.#t, this.at);
		this.at = this.proxy;
		return this;
	}

	/** A new visitor's page. `allow: false`: the browser asks before it gives a device away, and nobody answers. */
	async open({ allow = true, ...options } = {}) {
		if (!this.#browsers.has(allow)) {
			const browser = await launch({ allow, args: this.args, env: this.env });
			atEnd(this.#t, () => browser.close());
			this.#browsers.set(allow, browser);
		}
		return openPage(this.#t, this.#browsers.get(allow), this.at, { path: await this.path(), ...options });
	}

	/** A browser with a profile that outlives it. */
	profile() {
		return new Profile(this.#t, { args: this.args, env: this.env }).start();
	}
}

/** A door is a function: (t, { args of the server, proxied }) → Room. */
export async function loopback(t, { args = [], proxied = false } = {}) {
	const server = await startServer(t, { args });
	const room = new Room(t, { server, at: server, path: async () => '/record' });
	return proxied ? room.proxied() : room;
}

export async function network(t, { args = [], proxied = false, workers } = {}) {
	const { server, body, port, der } = await startLan(t, { args, workers });
	server.options.args = [...args, '--lan', '--lan-port', String(port)]; // where it is found again after a restart
	const room = new Room(t, {
		server,
		at: { url: new URL(phoneUrl(body.url, body)).origin },
		path: async () => `/record${new URL((await api(server, '/api/lan')).body.pairUrl).hash}`,
		args: PHONE_ARGS,
		env: { HOME: homeThatTrusts(t, der) },
	});
	return proxied ? room.proxied() : room;
}
