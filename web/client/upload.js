// A file on its way to /files/, by tus 1.0.0. It goes on where it was over lost links, reloads and restarts of the server. `bytes` is what the
// server has said is on its disk; nothing is read ahead, and nothing of the file is held longer than one request.
//
// Why not tus-js-client: its progress is of bytes that left, not of bytes that arrived; it would be more code than all of this client; and it
// would know nothing of the tokens, errors and waits that are here already.
import { refused } from './api.js';
import { ApiError, clock, tokenOf } from './base.js';
import {
	ANSWER_MS, BACKOFF_FIRST_MS, BACKOFF_FULL_MS, BACKOFF_MAX_MS, PATCH_FAST_MS, PATCH_FIRST_BYTES, PATCH_LEAST_BYTES, PATCH_MOST_BYTES, PATCH_MS,
	PATCH_SLOW_MS,
} from './limits.js';

const GONE = new Set([404, 410]);
const MOVED = new Set([409, 423]); // HEAD tells where to go on …
const MOVED_MOST = 8; // … but if that is again and again no news, there is something else
const BARE = { 401: 'unauthorized', 403: 'forbidden_scope', 404: 'not_found', 410: 'deleted', 507: 'storage_full' }; // HEAD's answers have no words
const FINAL = new Set(['aborted', 'poisoned', 'quarantined', 'corrupt', 'not_supported']);
const RESUMABLE = new Set(['unauthorized', 'token_expired', 'token_revoked', 'forbidden_scope', 'file_unreadable']);

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** Upload-Metadata: what has a value. */
export const metadataOf = (fields) => Object.entries(fields).filter(([, value]) => value !== undefined && value !== null && value !== '')
	.map(([name, value]) => `${name} ${base64(String(value))}`).join(',');

const idIn = (location) => /\/files\/([^/?#]+)$/.exec(location ?? '')?.[1] ?? null;

function countIn(response, name) {
	const text = response.headers.get(name) ?? '';
	if (!/^\d{1,15}$/.test(text)) throw new ApiError('bad_answer', `The answer has no ${name}.`, { retry: true });
	return Number(text);
}

export class Upload {
	#shared;
	#source;
	#metadata;
	#known; // { get(), set(id), forget() } of the upload's id
	#ended;
	#item; // it fills a batch's item, or was named by its id: there is no other that could be made
	#bytes = null; // where to go on; null: the server is to be asked
	#size; // null: not known yet
	#declared = false; // the server has heard it
	#piece = PATCH_FIRST_BYTES;
	#tries = 0; // since there was progress
	#leave = new AbortController(); // of this run
	#wake = () => {};
	#listeners = new Set();
	#waiting = [];
	#told = false;
	#state;

	/** `shared`: { server, token, fetch }; `more`: { id, bytes, name, mime, metadata, known }, all as Client.upload says. */
	constructor(shared, source, { id = null, bytes = null, name = source.name, mime = source.type, metadata = {}, known = null }, ended = () => {}) {
		this.#shared = shared;
		this.#source = source;
		this.#size = source.size;
		this.#metadata = metadataOf({ ...metadata, filename: name, filetype: mime });
		this.#known = known;
		this.#item = id !== null;
		this.#ended = ended;
		this.#bytes = id === null ? null : bytes;
		this.#state = { link: 'connecting', done: false, id: id ?? known?.get() ?? null, size: source.size, bytes: bytes ?? 0, reason: null, message: '', retryAt: null, failures: 0, problem: null };
		this.#run();
	}

	get state() {
		return this.#state;
	}

	get id() {
		return this.#state.id;
	}

	onState(listener) {
		this.#listeners.add(listener);
		listener(this.#state);
		return () => this.#listeners.delete(listener);
	}

	whenDone() {
		return this.#state.done ? Promise.resolve(this.#state) : new Promise((resolve) => this.#waiting.push(resolve));
	}

	reconnect() {
		this.#tries = 0;
		if (this.#state.link === 'stopped' && this.#state.problem.resumable) {
			this.#leave = new AbortController();
			this.#bytes = null;
			this.#show({ link: 'connecting', done: false, problem: null });
			this.#run();
		} else {
			this.#wake();
		}
	}

	/** Stops; what has arrived stays, and the next upload() of the same file goes on with it. */
	release() {
		this.#leave.abort();
		this.#wake();
		if (!this.#state.done) this.#end({ link: 'released' });
	}

	/** The server throws away what it has of it. */
	async abort() {
		this.release();
		const { id } = this.#state;
		this.#known?.forget();
		if (id === null) return;
		await this.#request('DELETE', {}).catch((error) => {
			if (!GONE.has(error.status)) throw error;
		});
		this.#show({ link: 'aborted' });
	}

	// --- the way there ---

	async #run() {
		const { signal } = this.#leave;
		while (!signal.aborted) {
			try {
				await this.#send(signal);
				if (signal.aborted) return;
				this.#known?.forget();
				this.#end({ link: 'saved', reason: null, message: '', retryAt: null });
				return;
			} catch (error) {
				if (signal.aborted) return;
				if (!await this.#goesOn(error)) return;
			}
		}
	}

	async #send(signal) {
		this.#show({ link: this.#bytes === null ? 'connecting' : 'sending', retryAt: null });
		if (this.#state.id === null) await this.#create();
		else if (this.#bytes === null) await this.#ask();
		while (!signal.aborted && (this.#size === null || this.#bytes < this.#size || !this.#declared)) {
			this.#show({ link: 'sending' });
			await this.#patch(signal);
		}
	}

	/**
	 * Without a byte of it: a reply that is lost then leaves an empty upload, which is swept when its time is over. With the bytes, it would
	 * leave a recording, and the next try a second one.
	 */
	async #create() {
		const size = this.#size;
		const headers = size === null ? { 'Upload-Defer-Length': '1' } : { 'Upload-Length': String(size) };
		if (this.#metadata !== '') headers['Upload-Metadata'] = this.#metadata;
		const response = await this.#request('POST', headers);
		const id = idIn(response.headers.get('Location'));
		if (id === null) throw new ApiError('bad_answer', 'The answer does not say where the upload is.', { retry: true });
		this.#known?.set(id);
		this.#declared = size !== null;
		this.#bytes = 0;
		this.#show({ id, bytes: 0 });
	}

	async #ask() {
		const response = await this.#request('HEAD', {});
		const bytes = countIn(response, 'Upload-Offset');
		const length = response.headers.get('Upload-Length') === null ? null : countIn(response, 'Upload-Length');
		if (this.#size !== null && (bytes > this.#size || (length !== null && length !== this.#size)))
			throw new ApiError('length_mismatch', 'The server has an upload of another length under this name.');
		this.#declared = length !== null;
		if (length !== null) this.#size = length;
		this.#moved(bytes);
	}

	#moved(bytes) {
		if (bytes > this.#state.bytes) this.#tries = 0;
		this.#bytes = bytes;
		this.#show({ bytes, size: this.#size, ...(this.#tries === 0 ? { reason: null, message: '', failures: 0 } : {}) });
	}

	/** One piece of it. */
	async #patch(signal) {
		const from = this.#bytes;
		const size = this.#size;
		const to = Math.min(from + this.#piece, size ?? Infinity);
		const body = await this.#read(from, to);
		if (signal.aborted) return;
		const length = body.size ?? body.byteLength;
		const last = size === null && length < to - from;
		const whole = last ? from + length : size;
		if (size !== null && length < to - from) throw new ApiError('file_changed', 'The file is shorter than it was.');
		const headers = { 'Upload-Offset': String(from), 'Content-Type': 'application/offset+octet-stream' };
		if (whole !== null && !this.#declared) headers['Upload-Length'] = String(whole); // a batch's item may have been made without
		const began = performance.now();
		this.#bytes = null; // what arrives when this breaks the server must say
		const response = await this.#request('PATCH', headers, body, signal);
		const took = performance.now() - began;
		if (took < PATCH_FAST_MS) this.#piece = Math.min(this.#piece * 2, PATCH_MOST_BYTES);
		else if (took > PATCH_SLOW_MS) this.#smaller();
		this.#tries = 0;
		this.#size = whole;
		this.#declared ||= whole !== null;
		this.#moved(countIn(response, 'Upload-Offset'));
	}

	#smaller() {
		this.#piece = Math.max(this.#piece / 2, PATCH_LEAST_BYTES);
	}

	async #read(from, to) {
		try {
			return await this.#source.read(from, to);
		} catch (error) {
			throw new ApiError(error.code === 'file_changed' || error.name === 'NotReadableError' ? 'file_changed' : 'file_unreadable', error.message, { cause: error });
		}
	}

	async #request(method, headers, body, signal) {
		const { server, token, fetch } = this.#shared;
		const secret = tokenOf(token);
		const stop = new AbortController();
		const timer = setTimeout(() => stop.abort(), method === 'PATCH' ? PATCH_MS : ANSWER_MS);
		const leave = () => stop.abort();
		signal?.addEventListener('abort', leave, { once: true });
		try {
			const response = await fetch(new URL(`/files/${method === 'POST' ? '' : this.#state.id}`, server), {
				method, body, signal: stop.signal, credentials: 'omit', cache: 'no-store',
				headers: { 'Tus-Resumable': '1.0.0', ...headers, ...(secret ? { Authorization: `Bearer ${secret}` } : {}) },
			});
			if (response.ok) return response;
			const problem = await refused(response);
			if (!problem.hasCode) problem.code = BARE[response.status] ?? problem.code;
			throw problem;
		} catch (error) {
			if (error instanceof ApiError) throw error;
			throw new ApiError(stop.signal.aborted ? 'timeout' : 'network', error.message, { retry: true, cause: error });
		} finally {
			clearTimeout(timer);
			signal?.removeEventListener('abort', leave);
		}
	}

	// --- what is in the way ---

	/** False: it will not go on by itself. */
	async #goesOn(error) {
		if (GONE.has(error.status) && !this.#item) { // its time was over: there is nothing to go on with
			this.#known?.forget();
			this.#bytes = null;
			this.#show({ id: null, bytes: 0 });
		} else if (FINAL.has(error.code) || !(error.retry || MOVED.has(error.status) && this.#tries < MOVED_MOST)) {
			this.#stop(error);
			return false;
		}
		if (error.code === 'network' && this.#state.link === 'sending') {
			const trouble = await this.#unreadable();
			if (trouble) {
				this.#stop(trouble);
				return false;
			}
		}
		if (error.code === 'network' || error.code === 'timeout') this.#smaller();
		if (MOVED.has(error.status) && this.#tries === 0) this.#tries = 1; // a browser sent it twice, perhaps: it is asked at once
		else await this.#wait(error);
		return true;
	}

	/** A file that can't be read any more looks like a lost link to whoever hands it over whole. */
	async #unreadable() {
		const at = this.#state.bytes;
		try {
			const first = await this.#read(at, at + 1);
			if (typeof first.arrayBuffer === 'function') await first.arrayBuffer();
			return null;
		} catch (error) {
			return error instanceof ApiError ? error : new ApiError('file_changed', error.message, { cause: error });
		}
	}

	async #wait(error) {
		const full = error.code === 'storage_full';
		const most = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(this.#tries, 10));
		const asked = Number.isFinite(error.retryAfter) ? error.retryAfter * 1000 : 0;
		const ms = Math.max(asked, full ? BACKOFF_FULL_MS : 0, most * (0.5 + Math.random() / 2));
		this.#tries += 1;
		this.#show({ link: 'waiting', reason: error.code, message: error.message, retryAt: clock() + ms, failures: this.#tries });
		await new Promise((resolve) => {
			const timer = setTimeout(resolve, ms);
			this.#wake = () => {
				clearTimeout(timer);
				resolve();
			};
		});
		this.#wake = () => {};
	}

	#stop({ code, message }) {
		this.#end({ link: 'stopped', retryAt: null, problem: { code, message, resumable: RESUMABLE.has(code) } });
	}

	#end(changes) {
		this.#show({ ...changes, done: true });
		for (const resolve of this.#waiting.splice(0)) resolve(this.#state);
		this.#ended(this);
	}

	#show(changes) {
		this.#state = { ...this.#state, ...changes };
		if (this.#told || this.#listeners.size === 0) return;
		this.#told = true;
		queueMicrotask(() => {
			this.#told = false;
			for (const listener of this.#listeners) listener(this.#state);
		});
	}
}
