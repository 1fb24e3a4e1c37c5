// The shows of the stand-in: who goes on air is heard by whoever listens, and a test says when its recording fails. As standin.mjs, it keeps
// nothing and proves nothing about the real server.

const GRACE_MS = 30_000;
let made = 0;

const uuid = () => {
	made += 1;
	return `019a${String(made).padStart(4, '0')}-0000-7000-8000-${String(made).padStart(12, '0')}`;
};

/** A show's object, on air if nothing else is said. */
export const onAir = (show, fields = {}) => ({
	show, state: 'live', version: 1, id: uuid(), since: Date.now() - 754_000, graceLeftMs: null, recording: 'recording', error: null, owner: 'local',
	name: null, mime: 'audio/webm;codecs=opus', title: '', listeners: 12, ...fields,
});

export class StandinShows {
	#shows = new Map(); // name → { status, chunks, listeners, host, bytes, session }
	#followers = new Set(); // { ws, name }
	refuse = null; // the code that every start of a show gets
	heard = []; // messages of hosts, media as its length

	get items() {
		return [...this.#shows.values()].map(({ status }) => status).filter(({ state }) => state !== 'off');
	}

	get(name) {
		return this.#shows.get(name)?.status ?? onAir(name, { state: 'off', version: 0, id: null, since: null, recording: 'none', listeners: 0 });
	}

	#at(name) {
		if (!this.#shows.has(name)) this.#shows.set(name, { status: this.get(name), chunks: [], listeners: new Set(), host: null, bytes: 0, session: null });
		return this.#shows.get(name);
	}

	/** Puts a show into a state and tells whoever follows it, and its host. */
	put(name, fields) {
		const show = this.#at(name);
		show.status = { ...show.status, ...fields };
		this.#tell(name);
		return show.status;
	}

	/** What listeners hear, without a host. */
	feed(name, data) {
		const show = this.#at(name);
		show.chunks.push(data);
		for (const response of show.listeners) response.write(data);
	}

	/** What it has sent since it is on air. */
	sent(name) {
		return Buffer.concat(this.#at(name).chunks);
	}

	#tell(name) {
		const show = this.#at(name);
		const message = JSON.stringify({ type: 'status', of: 'show', ...show.status });
		for (const ws of new Set([...[...this.#followers].filter((one) => one.name === name).map((one) => one.ws), ...(show.host ? [show.host] : [])])) ws.send(message);
	}

	#count(name) {
		this.put(name, { listeners: this.#at(name).listeners.size });
	}

	fail(name, error = { code: 'storage_full', message: 'There is no space left on the server.' }) {
		this.put(name, { recording: 'recording_failed', error });
	}

	/** Storage is back: the next version begins here. */
	recover(name) {
		const show = this.#at(name);
		const { version } = show.status;
		show.host?.send(JSON.stringify({ type: 'moved', show: name, version: version + 1, id: uuid(), from: show.bytes }));
		this.put(name, { version: version + 1, recording: 'recording', error: null });
	}

	/** The host's link is gone. */
	cut(name) {
		this.#at(name).host?.terminate();
	}

	stop(name) {
		const show = this.#at(name);
		if (show.status.state === 'off') return { stopped: null };
		const { version, id } = show.status;
		if (show.host) show.host.send(JSON.stringify({ type: 'stopped', show: name, version, id }));
		this.#off(name);
		return { stopped: { show: name, version, id } };
	}

	#off(name) {
		const show = this.#at(name);
		show.host = null;
		this.put(name, { state: 'off', recording: 'none', graceLeftMs: null, listeners: 0 });
		for (const response of show.listeners) response.end();
		show.listeners.clear();
	}

	/** True: it was for a show. */
	message(ws, data, isBinary) {
		if (isBinary) return this.#media(ws, data);
		const message = JSON.parse(data);
		if (message.type === 'subscribe' && message.show !== undefined) {
			this.#followers.add({ ws, name: message.show });
			ws.send(JSON.stringify({ type: 'status', of: 'show', ...this.get(message.show) }));
			ws.send(JSON.stringify({ type: 'subscribed', show: message.show }));
			return true;
		}
		if (message.type === 'start' && message.show) this.#start(ws, message);
		else if (ws.hosts === undefined) return false;
		else if (message.type === 'end' || message.type === 'stop') this.#end(ws, message);
		return true;
	}

	#start(ws, message) {
		this.heard.push(message);
		if (this.refuse) {
			ws.send(JSON.stringify({ type: 'error', code: this.refuse, message: 'No.', retry: false }));
			return;
		}
		const { show: name, sessionId, mime, name: title = null } = message;
		const show = this.#at(name);
		const resumed = show.session === sessionId && show.status.state !== 'off';
		if (!resumed) Object.assign(show, { session: sessionId, bytes: 0, chunks: [] });
		const version = resumed ? show.status.version : show.status.version + 1;
		show.host = ws;
		ws.hosts = name;
		const id = resumed ? show.status.id : uuid();
		ws.send(JSON.stringify({ type: 'started', id, sessionId, resumed, bytes: show.bytes, graceMs: GRACE_MS, heartbeatMs: 20_000, show: name, version }));
		this.put(name, { state: 'live', version, id, since: resumed ? show.status.since : Date.now(), graceLeftMs: null, recording: resumed ? show.status.recording : 'recording',
			owner: 'local', name: title, mime });
	}

	#media(ws, data) {
		const show = ws.hosts === undefined ? null : this.#at(ws.hosts);
		if (show?.host !== ws) return true;
		this.heard.push(data.length);
		show.bytes += data.length;
		this.feed(ws.hosts, data);
		if (show.status.recording === 'recording') ws.send(JSON.stringify({ type: 'ack', bytes: show.bytes }));
		return true;
	}

	#end(ws, message) {
		this.heard.push(message);
		const show = this.#at(ws.hosts);
		const { id, version } = show.status;
		ws.send(JSON.stringify(message.type === 'end' ? { type: 'saved', id, bytes: message.totalBytes, sha256: '0'.repeat(64), url: `/api/recordings/${id}/original` }
			: { type: 'stopped', show: ws.hosts, version, id }));
		show.host = null;
		this.#off(ws.hosts);
	}

	gone(ws) {
		for (const one of this.#followers) if (one.ws === ws) this.#followers.delete(one);
		const show = ws.hosts === undefined ? null : this.#at(ws.hosts);
		if (show?.host !== ws) return;
		show.host = null;
		this.put(ws.hosts, { state: 'waiting', graceLeftMs: GRACE_MS });
	}

	/** [status, body] of a route about shows, or null. */
	answer(method, path) {
		if (path === '/api/shows') return [200, { items: this.items }];
		const [, name, rest] = /^\/api\/shows\/([^/]+)(?:\/(\w+))?$/.exec(path) ?? [];
		if (name === undefined) return null;
		if (rest === 'sign') return [200, { url: `/live/${name}?exp=1&sig=good`, expiresAt: Date.now() + 3_600_000 }];
		return [200, rest === 'stop' ? this.stop(name) : this.get(name)];
	}

	/** GET /live/NAME */
	listen(request, response, name) {
		const show = this.#at(name);
		if (show.status.state === 'off') {
			response.writeHead(404, { 'content-type': 'application/problem+json' }).end(JSON.stringify({ status: 404, code: 'not_on_air', detail: 'Nobody is on air.' }));
			return;
		}
		response.writeHead(200, { 'content-type': show.status.mime, 'cache-control': 'no-store' });
		if (request.method === 'HEAD') {
			response.end();
			return;
		}
		show.listeners.add(response);
		for (const chunk of show.chunks) response.write(chunk);
		response.on('close', () => {
			if (show.listeners.delete(response)) this.#count(name);
		});
		this.#count(name);
	}
}
