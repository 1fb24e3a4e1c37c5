// The HTTP side: JSON in, JSON out, with the token, and errors that carry the server's own words.
import { ApiError, newSessionId } from './base.js';
import { ANSWER_MS } from './limits.js';

const PAIR_TRIES = 3; // a lost reply is asked for again, with the same nonce
const PAIR_WAIT_MS = 700;

/** `session:` and `ref:` stay as they are; what is behind them is a name from outside. */
function at(id) {
	const [, kind = '', name] = /^(session:|ref:)?(.*)$/s.exec(id);
	return `/api/recordings/${kind}${encodeURIComponent(name)}`;
}

const showAt = (show) => `/api/shows/${encodeURIComponent(show)}`;

/** What an answer says about when to ask again, in seconds; null: nothing. */
function retryAfterOf(response, body) {
	if (typeof body.retryAfter === 'number') return body.retryAfter;
	const text = response.headers.get('Retry-After') ?? '';
	return /^\d+$/.test(text) ? Number(text) : null;
}

/** The object in an answer; {} where there is none. */
async function objectIn(response) {
	const body = await response.text().catch(() => '');
	try {
		return Object(JSON.parse(body));
	} catch { // a proxy's page, perhaps
		return {};
	}
}

/** What an answer that is no success says. */
export async function refused(response) {
	const problem = await objectIn(response);
	const code = typeof problem.code === 'string' ? problem.code : null;
	const message = problem.detail || problem.title || `${response.status} ${response.statusText}`.trim();
	const retry = response.status >= 500 || response.status === 429 || response.status === 408;
	const error = new ApiError(code ?? `http_${response.status}`, message, { status: response.status, retry });
	error.hasCode = code !== null;
	return Object.assign(error, { problem, retryAfter: retryAfterOf(response, problem) });
}

export function makeApi({ server, token, fetch = (...args) => globalThis.fetch(...args) }) {
	/** `read` makes of the answer what is wanted of it. */
	async function exchange(method, path, { body, headers = {}, authorized = true }, read) {
		const secret = authorized ? token() : null;
		if (secret) headers.Authorization = `Bearer ${secret}`;
		if (body !== undefined) headers['Content-Type'] = 'application/json';
		const stop = new AbortController();
		const timer = setTimeout(() => stop.abort(), ANSWER_MS);
		try {
			const response = await fetch(new URL(path, server), {
				method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: stop.signal, credentials: 'omit',
				cache: 'no-store',
			});
			return await read(response);
		} catch (error) {
			if (error instanceof ApiError) throw error;
			if (stop.signal.aborted) throw new ApiError('timeout', 'The server did not answer.', { retry: true, cause: error });
			throw new ApiError(error instanceof SyntaxError ? 'bad_answer' : 'network', error.message, { retry: true, cause: error });
		} finally {
			clearTimeout(timer);
		}
	}

	function request(method, path, body, options = {}) {
		return exchange(method, path, { ...options, body }, async (response) => {
			if (!response.ok) throw await refused(response);
			const text = await response.text();
			return text === '' ? null : JSON.parse(text);
		});
	}

	/** Asks whether it is there, for one byte of it. Rejects only where there was no answer. */
	function ask(id, what = 'file') {
		return exchange('GET', `${at(id)}/${what}`, { headers: { Range: 'bytes=0-0' } }, async (response) => {
			const { status } = response;
			const there = response.ok && status !== 202;
			const says = there ? {} : await objectIn(response);
			if (there) await response.body?.cancel(); // a server that knows no Range sends all of it
			const text = (value) => (typeof value === 'string' ? value : null);
			return {
				status, code: text(says.code), message: text(says.message) ?? text(says.detail) ?? text(says.title) ?? '',
				phase: text(says.phase), attempt: says.attempt ?? null, attempts: says.attempts ?? null, progress: says.progress ?? null,
				retryAfter: retryAfterOf(response, says),
			};
		});
	}

	/** The address of what a recording has: `file`, `original`, `thumbnail`, `waveform`. */
	const url = (id, what, track) => new URL(`${at(id)}/${what}${track ? `?track=${encodeURIComponent(track)}` : ''}`, server).href;

	/** A lost reply leaves it open whether the token was used: the same nonce gets the same answer again. */
	async function pair(pairing, { nonce = newSessionId(), device, token: old } = {}) {
		for (let tries = 1; ; tries++) {
			try {
				return await request('POST', '/api/pair', { pairing, nonce, device, token: old ?? token() ?? undefined }, { authorized: false });
			} catch (error) {
				if (!error.retry || tries === PAIR_TRIES) throw error; // the last words are the last real error
				await new Promise((resolve) => setTimeout(resolve, PAIR_WAIT_MS));
			}
		}
	}

	async function complete(id, tracks) {
		try {
			return await request('POST', `${at(id)}/complete`, tracks && { tracks });
		} catch (error) {
			// An old server says 409 without a code to who comes second: somebody did complete it.
			if (error.status === 409 && !error.hasCode) return { status: 'alreadyComplete', phase: null };
			throw error;
		}
	}

	return {
		request,
		pair,
		complete,
		server: () => request('GET', '/api/server'),
		list(options = {}) {
			const query = new URLSearchParams(Object.entries(options).filter(([, value]) => value !== undefined && value !== null && value !== ''));
			return request('GET', `/api/recordings${query.size === 0 || `${query}` === '' ? '' : `?${query}`}`);
		},
		get: (id) => request('GET', at(id)),
		rename: (id, name) => request('PATCH', at(id), { name }),
		delete: (id) => request('DELETE', at(id)),
		sign: (id, { what = 'original', track } = {}) => request('POST', `${at(id)}/sign`, { what, track }),
		createBatch: (batchId, { total, name } = {}) => request('POST', '/api/batches', { batchId, total, name }),
		batch: (batchId) => request('GET', `/api/batches/${encodeURIComponent(batchId)}`),
		batches: () => request('GET', '/api/batches'),
		shows: () => request('GET', '/api/shows'),
		show: (show) => request('GET', showAt(show)),
		stopShow: (show) => request('POST', `${showAt(show)}/stop`),
		signShow: (show) => request('POST', `${showAt(show)}/sign`),
		liveUrl: (show) => new URL(`/live/${encodeURIComponent(show)}`, server).href,
		lan: () => request('GET', '/api/lan'),
		trust: () => request('GET', '/api/trust'),
		ask,
		waveform: (id) => request('GET', `${at(id)}/waveform`),
		url,
		originalUrl: (id, track) => url(id, 'original', track),
	};
}
