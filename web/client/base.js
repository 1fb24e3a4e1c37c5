// What all of the client needs: names, addresses, the error, tokens.

export const SUBPROTOCOL = 'holdfast.v1';

export class ApiError extends Error {
	name = 'ApiError';

	constructor(code, message, { status = 0, retry = false, cause } = {}) {
		super(message || code, { cause });
		this.code = code;
		this.status = status;
		this.retry = retry;
	}
}

/** A name for a take that no one else uses: 128 random bits, also where randomUUID is missing (plain http). */
export function newSessionId() {
	const bytes = crypto.getRandomValues(new Uint8Array(16));
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The server's WebSocket address. */
export function socketUrl(server) {
	const url = new URL('/ws', server);
	url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
	return url.href;
}

/** A clock that never goes back, close to Date.now's. */
export const clock = () => performance.timeOrigin + performance.now();

/** The present token, or null. */
export function tokenOf(token) {
	return (typeof token === 'function' ? token() : token) || null;
}
