// A stand-in for the server: it serves the built pages and answers their questions from a list in memory, so that a test can
// put a page into any state at once. What it says has the shape of docs/protocol.md; it keeps nothing and proves nothing
// about the real server.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { basename, extname, join } from 'node:path';
import { WebSocketServer } from 'ws';
import { atEnd, ROOT } from './server.mjs';
import { StandinBatches } from './standin_batches.mjs';
import { StandinShows } from './standin_shows.mjs';

const TYPES = { '.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8',
	'.svg': 'image/svg+xml' };
const PAGES = { 'desk.html': '/', 'record.html': '/record', 'trust.html': '/trust', 'play.html': '/play/', 'listen.html': '/listen/',
	'import.html': '/import' };
const POLICY = "default-src 'self'; media-src 'self' blob:; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
	+ "form-action 'self'; frame-ancestors 'none'";
const PAGE_SIZE = 100;
const GB = 1e9;
const FINGERPRINT = 'F1:0C:9A:27:54:BE:03:D8:61:7E:4F:AA:92:1B:C5:30:8D:E6:77:42:19:FB:06:CD:A8:53:3E:90:64:D1:2B:7F';

function builtFiles() {
	const build = join(process.env.HOLDFAST_BUILD ?? join(ROOT, 'build'));
	const files = new Map();
	for (const line of readFileSync(join(build, 'web/pages.list'), 'utf8').trim().split('\n')) {
		const name = basename(line);
		const file = { type: TYPES[extname(name)], data: readFileSync(join(build, line)) };
		files.set(PAGES[name] ?? (name.endsWith('.html') ? `/${name.slice(0, -5)}` : `/assets/${name}`), file);
	}
	return files;
}

let made = 0;

/** A recording's object, saved ten minutes ago if nothing else is said. Later ones are newer. */
export function take(fields = {}) {
	made += 1;
	const createdAt = fields.createdAt ?? Date.now() - 600_000 + made;
	const bytes = fields.bytes ?? 24_300_000 + made * 1000;
	return {
		id: `0199${String(made).padStart(4, '0')}-0000-7000-8000-${String(made).padStart(12, '0')}`, sessionId: `session-${made}`,
		owner: 'local', name: `Take ${made}`, phase: 'queued', attached: false, interrupted: false, revision: 1, bytes, sha256: null,
		mime: 'video/webm;codecs=vp8,opus', error: null, attempt: 0, attempts: 3, progress: null, duration: null, warnings: [], file: null,
		sourceUrl: null, fetch: null, originalRemoved: false, lastError: null, tracks: [{ track: 'main', bytes, attached: false, sealed: true }],
		updatedAt: createdAt, graceLeftMs: null, show: null, version: null, ...fields, createdAt,
	};
}

/** The same, finished: its file can be had. `file` and `fields` change what is said of it. */
export function ready(fields = {}, file = {}) {
	const one = take({ phase: 'complete', ...fields });
	return finished(one, file);
}

export const finished = (one, { duration = 192.4, ...file } = {}) => ({
	...one, phase: 'complete', duration, attempt: 1, progress: null,
	file: { revision: one.revision || 1, bytes: one.bytes, mime: one.mime.split(';')[0], duration, asIs: false, thumbnail: false, waveform: false, ...file },
});

export const recordingNow = (fields) => take({ phase: 'uploading', attached: true, revision: 0, createdAt: Date.now() - 75_000, ...fields });

export class Standin {
	shows = new StandinShows();
	batches = new StandinBatches(this);
	takes = new Map();
	originals = new Map(); // id → { type, data }
	files = new Map(); // id → the same, of the finished file
	thumbnails = new Map();
	waveforms = new Map(); // id → the peaks
	answers = new Map(); // id → [status, body, headers]: what a question for its file gets, if not what fits its phase
	completions = new Map(); // id → the same for `complete`
	retryAfter = 1;
	free = 212 * GB;
	lan = { enabled: false };
	trust = null;
	grant = { subject: 'local', scopes: ['record', 'listen', 'play', 'import', 'admin'], local: true, expiresAt: null };
	refuse = null; // [status, code, sentence]: everything that needs a grant is answered with it
	fail = new Map(); // 'PATCH' and the like → the same, for changes
	asked = []; // "GET /api/…" in order
	questions = 0; // whether a file is there, by a page; a media element asks for more of it
	#files = builtFiles();
	#subscribers = new Set();

	async listen(port = 0) {
		this.http = http.createServer((request, response) => this.#answer(request, response));
		const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'holdfast.v1' });
		this.http.on('upgrade', (request, socket, head) => sockets.handleUpgrade(request, socket, head, (ws) => {
			ws.on('message', (data, isBinary) => this.#refusesShow(ws, data, isBinary) || this.shows.message(ws, data, isBinary) || this.batches.message(ws, JSON.parse(data))
				|| this.#heard(ws, JSON.parse(data)));
			ws.on('close', () => {
				this.#subscribers.delete(ws);
				this.shows.gone(ws);
				this.batches.gone(ws);
			});
		}));
		this.sockets = sockets;
		await new Promise((resolve) => this.http.listen(this.port ?? port, '127.0.0.1', resolve));
		this.port = this.http.address().port;
		return this;
	}

	get url() {
		return `http://127.0.0.1:${this.port}`;
	}

	/** As a killed server: every connection is gone, and new ones are refused until listen(). */
	async stop() {
		for (const ws of this.sockets.clients) ws.terminate();
		this.http.closeAllConnections();
		await new Promise((resolve) => this.http.close(resolve));
	}

	get newest() {
		return [...this.takes.values()].sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1));
	}

	/** Adds or changes recordings and tells who follows. */
	put(...changed) {
		for (const one of changed) {
			this.takes.set(one.id, one);
			this.#tell({ type: 'status', of: 'recording', ...one }, one.id);
			this.batches.changed(one);
		}
		if (changed.length > 0) this.#tell(this.#server());
		return changed[0];
	}

	change(id, fields) {
		return this.put({ ...this.takes.get(id), ...fields, updatedAt: Date.now() });
	}

	remove(id) {
		const one = this.takes.get(id);
		this.takes.delete(id);
		this.removed = (this.removed ?? new Set()).add(id);
		this.#tell({ type: 'status', of: 'recording', ...one, phase: 'deleted' }, id);
	}

	enableLan(minutes = 10) {
		this.pairing = (this.pairing ?? 0) + 1;
		this.lan = { enabled: true, url: 'https://192.168.1.5:8443', plainUrl: 'http://192.168.1.5:8443',
			pairUrl: `https://192.168.1.5:8443/record#pair=hfp_${this.pairing}_Zk3v9QxT2bW7mLr8`,
			plainPairUrl: `http://192.168.1.5:8443/record#pair=hfp_${this.pairing}_Zk3v9QxT2bW7mLr8`, pairExpiresAt: Date.now() + minutes * 60_000,
			fingerprint: FINGERPRINT, addresses: ['192.168.1.5'] };
		this.trust = { fingerprint: FINGERPRINT, name: 'Holdfast on studio-laptop', notAfter: Date.UTC(2036, 10, 24),
			url: this.lan.url, plainUrl: this.lan.plainUrl };
	}

	#server() {
		return { type: 'status', of: 'server', freeBytes: this.free, totalBytes: 500 * GB, reserveBytes: 0.25 * GB,
			recordings: [...this.takes.values()].filter(({ attached }) => attached).length };
	}

	#tell(message, id) {
		for (const [ws, wanted] of [...this.#subscribers].map((one) => [one, one.wanted]))
			if (wanted === 'all' || (id !== undefined && wanted === id)) ws.send(JSON.stringify(message));
	}

	/** A show is not followed by whom it knows by no token. */
	#refusesShow(ws, data, isBinary) {
		const { type, show } = isBinary ? {} : JSON.parse(data);
		if (!this.refuse || type !== 'subscribe' || show === undefined) return false;
		ws.send(JSON.stringify({ type: 'error', of: 'subscription', code: this.refuse[1], message: this.refuse[2], retry: false, show }));
		return true;
	}

	#heard(ws, message) {
		if (message.type !== 'subscribe') return;
		if (this.refuse) {
			ws.send(JSON.stringify({ type: 'error', code: this.refuse[1], message: this.refuse[2], retry: false, all: message.all }));
			return;
		}
		ws.wanted = message.all ? 'all' : message.id;
		const shown = message.all ? this.newest.slice(0, PAGE_SIZE) : this.newest.filter(({ id }) => id === message.id);
		for (const one of shown) ws.send(JSON.stringify({ type: 'status', of: 'recording', ...one }));
		ws.send(JSON.stringify({ type: 'subscribed', ...(message.all ? { all: true } : { id: message.id }) }));
		if (message.all) ws.send(JSON.stringify(this.#server()));
		this.#subscribers.add(ws);
	}

	// --- HTTP ---

	async #answer(request, response) {
		const url = new URL(request.url, this.url);
		const path = decodeURIComponent(url.pathname);
		const file = this.#files.get(/^\/(?:play|listen)\//.exec(path)?.[0] ?? path);
		if (file) {
			response.writeHead(200, { 'content-type': file.type, 'content-security-policy': POLICY, 'x-content-type-options': 'nosniff',
				'cache-control': 'no-cache' }).end(file.data);
			return;
		}
		this.asked.push(`${request.method} ${request.url}`);
		if (path.endsWith('/file') && request.headers.range === 'bytes=0-0') this.questions += 1;
		if (path.startsWith('/live/')) {
			this.shows.listen(request, response, path.slice(6));
			return;
		}
		if (this.batches.files(request, response, path)) return;
		response.setHeader('cache-control', 'no-store');
		const parts = [];
		for await (const part of request) parts.push(part);
		const text = Buffer.concat(parts).toString();
		const [status, body, headers = {}] = this.#api(request, url, path, text === '' ? {} : JSON.parse(text));
		for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
		if (body?.data) this.#media(request, response, body);
		else if (typeof body === 'string') response.writeHead(status, { 'content-type': 'image/svg+xml' }).end(body);
		else response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' })
			.end(body === undefined ? undefined : JSON.stringify(body));
	}

	#media(request, response, { type, data }) {
		const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
		const headers = { 'content-type': type, 'accept-ranges': 'bytes' };
		if (!range) {
			response.writeHead(200, { ...headers, 'content-length': data.length }).end(data);
			return;
		}
		const from = Number(range[1]);
		const to = Math.min(range[2] === '' ? data.length - 1 : Number(range[2]), data.length - 1);
		response.writeHead(206, { ...headers, 'content-range': `bytes ${from}-${to}/${data.length}`, 'content-length': to - from + 1 })
			.end(data.subarray(from, to + 1));
	}

	#api({ method, headers }, url, path, body) {
		const problem = ([status, code, detail]) => [status, { status, code, title: detail, detail }];
		if (path === '/api/trust') return this.trust ? [200, this.trust] : problem([404, 'not_found', 'There is no such thing here.']);
		const signed = url.searchParams.get('sig') === 'good' && /\/(original|file|thumbnail|waveform)$/.test(path);
		if (this.refuse && !signed) return problem(this.refuse);
		if (this.token && !signed && headers.authorization !== `Bearer ${this.token}`)
			return problem([401, 'unauthorized', 'This needs a token.']);
		if (this.fail.has(method)) return problem(this.fail.get(method));
		if (path === '/api/server') return [200, { version: '0.1.0', time: Date.now(), secure: false, lan: this.lan.enabled, grant: this.grant,
			freeBytes: this.free, totalBytes: 500 * GB, reserveBytes: 0.25 * GB }];
		if (path === '/api/lan') return [200, this.lan];
		if (path === '/api/lan/qr.svg') return [200, qrLike(url.searchParams.get('scheme') === 'http' ? this.lan.plainPairUrl : this.lan.pairUrl)];
		const ofShows = this.shows.answer(method, path);
		if (ofShows !== null) return ofShows;
		const ofBatches = this.batches.answer(method, path, body);
		if (ofBatches !== null) return ofBatches;
		if (path === '/api/recordings') return [200, this.#list(url.searchParams)];
		const [, id, rest] = /^\/api\/recordings\/([^/]+)(?:\/(\w+))?$/.exec(path) ?? [];
		const found = this.takes.get(id);
		if (!found) return problem(this.removed?.has(id) ? [410, 'deleted', 'The recording was deleted.'] : [404, 'not_found', 'There is no such recording.']);
		if (rest === 'sign') return [200, { url: `/api/recordings/${id}/${body.what}?exp=1&sig=good`, expiresAt: Date.now() + 3_600_000 }];
		if (rest === 'file') return this.#file(found);
		if (rest === 'thumbnail') return this.thumbnails.has(id) ? [200, this.thumbnails.get(id)] : problem([404, 'no_thumbnail', 'This recording has no picture.']);
		if (rest === 'waveform')
			return this.waveforms.has(id) ? [200, { version: 1, duration: found.duration, perSecond: 20, peaks: this.waveforms.get(id) }]
				: problem([404, 'no_waveform', 'This recording has no sound that could be drawn.']);
		if (rest === 'complete') return this.completions.get(id) ?? [200, { status: 'started', phase: this.change(id, { phase: 'queued', error: null }).phase }];
		if (rest === 'original') return [200, this.originals.get(id) ?? { type: 'application/octet-stream', data: Buffer.from('nothing') }];
		if (method === 'PATCH') return [200, this.change(id, { name: body.name })];
		if (method === 'DELETE') {
			this.remove(id);
			return [204];
		}
		return [200, found];
	}

	/** As the server's own table has it, in the main. */
	#file(one) {
		if (this.answers.has(one.id)) return this.answers.get(one.id);
		if (one.file) return [200, this.files.get(one.id) ?? { type: 'application/octet-stream', data: Buffer.from('nothing') }];
		const { phase, attempt, attempts, progress, error } = one;
		if (phase === 'aborted') return [404, { status: 404, code: 'no_file', detail: 'There will never be a file of this recording.', phase }];
		if (phase === 'error') return [500, { status: 500, code: error.code, detail: error.message, phase, attempt, attempts }];
		return notYet({ phase, attempt, attempts, progress }, this.retryAfter);
	}

	#list(query) {
		const search = (query.get('search') ?? '').toLowerCase();
		const show = query.get('show');
		const batch = query.get('batch');
		const all = this.newest.filter((one) => (one.name ?? '').toLowerCase().includes(search) && (show === null || one.show === show)
			&& (batch === null || one.batch === batch));
		const from = query.get('before') ? all.findIndex(({ id }) => id === query.get('before')) + 1 : 0;
		const items = all.slice(from, from + PAGE_SIZE);
		return { items, next: from + PAGE_SIZE < all.length ? items.at(-1).id : null };
	}
}

/** What a question for a file gets that there will be: a 202. */
export const notYet = (fields, retryAfter = 1) => [202, { status: 'notYet', attempts: 3, attempt: 0, progress: null, retryAfter,
	message: 'It is not finished yet.', ...fields }, { 'retry-after': String(retryAfter) }];

/** What it gets when nobody works on what waits. */
export const unserved = [500, { status: 500, code: 'worker_not_processing_queue', detail: 'No worker serves the queue.', phase: 'queued', attempt: 0, attempts: 3 }];

/** A picture that looks like a QR code and differs with the text; nothing can scan it. */
function qrLike(text) {
	const n = 33;
	let state = 1;
	for (const char of text) state = (state * 31 + char.charCodeAt(0)) >>> 0;
	const dark = [];
	const eye = (x, y) => [[0, 0], [n - 7, 0], [0, n - 7]].some(([ex, ey]) => x >= ex && x < ex + 7 && y >= ey && y < ey + 7);
	const ring = (x, y, ex, ey) => Math.max(Math.abs(x - ex - 3), Math.abs(y - ey - 3));
	for (let y = 0; y < n; y++) {
		for (let x = 0; x < n; x++) {
			state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
			const inEye = eye(x, y);
			const on = inEye ? [[0, 0], [n - 7, 0], [0, n - 7]].some(([ex, ey]) => [0, 1, 3].includes(ring(x, y, ex, ey))) : state >>> 31 === 1;
			if (on) dark.push(`M${x + 4} ${y + 4}h1v1h-1z`);
		}
	}
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${n + 8} ${n + 8}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h${n + 8}v${n + 8}H0z"/><path d="${dark.join('')}"/></svg>`;
}

export async function startStandin(t) {
	const standin = await new Standin().listen();
	atEnd(t, () => standin.stop());
	return standin;
}
