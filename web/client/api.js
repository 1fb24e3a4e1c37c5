// The HTTP side: JSON in, JSON out, with the token, and errors that carry the server's own words.
import { ApiError, newSessionId } from './base.js';

const ANSWER_MS = 30_000;
const PAIR_TRIES = 3; // a lost reply is asked for again, with the same nonce
const PAIR_WAIT_MS = 700;

const at = (id) => `/api/recordings/${id.startsWith('session:') ? `session:${encodeURIComponent(id.slice(8))}` : encodeURIComponent(id)}`;

/** What an answer that is no success says. */
async function refused(response) {
	const body = await response.text().catch(() => '');
	let problem = {};
	try {
		problem = JSON.parse(body) ?? {};
	} catch { /* a proxy's page, perhaps */ }
	const code = typeof problem.code === 'string' ? problem.code : null;
	const message = problem.detail || problem.title || `${response.status} ${response.statusText}`.trim();
	const retry = response.status >= 500 || response.status === 429 || response.status === 408;
	const error = new ApiError(code ?? `http_${response.status}`, message, { status: response.status, retry });
	error.hasCode = code !== null;
	return Object.assign(error, { problem });
}

export function makeApi({ server, token, fetch = (...args) => globalThis.fetch(...args) }) {
	async function request(method, path, body, { authorized = true } = {}) {
		const headers = {};
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
			if (!response.ok) throw await refused(response);
			const text = await response.text();
			return text === '' ? null : JSON.parse(text);
		} catch (error) {
			if (error instanceof ApiError) throw error;
			if (stop.signal.aborted) throw new ApiError('timeout', 'The server did not answer.', { retry: true, cause: error });
			throw new ApiError(error instanceof SyntaxError ? 'bad_answer' : 'network', error.message, { retry: true, cause: error });
		} finally {
			clearTimeout(timer);
		}
	}

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
		lan: () => request('GET', '/api/lan'),
		trust: () => request('GET', '/api/trust'),
		originalUrl: (id, track) => new URL(`${at(id)}/original${track ? `?track=${encodeURIComponent(track)}` : ''}`, server).href,
	};
}
