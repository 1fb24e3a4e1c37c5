// Sends one take to a Holdfast server over WebSocket (docs/protocol.md) and loses nothing while links drop.
//
// Every byte given to push() is held in memory until the server has acknowledged it, which means that it is on the
// server's disk. The link is made, watched and made again here; what is sent again is decided by the server's count of
// durable bytes alone. Needs nothing of a page: it runs wherever there is a WebSocket.

export const SUBPROTOCOL = 'holdfast.v1';

const OPEN_TIMEOUT_MS = 5_000; // a stopped server's kernel still accepts: a connection may open never
const START_TIMEOUT_MS = 15_000; // the answer to `start` waits for a sync, not for a person
const HEARTBEAT_MS = 20_000; // until `started` says better
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 10_000; // well below the server's grace
const BACKOFF_FULL_MS = 2_000; // storage does not become free in a moment
const WINDOW_BYTES = 4 * 1024 * 1024; // unacknowledged on the wire; bufferedAmount proves nothing
const MESSAGE_BYTES = 64 * 1024;

// Errors that the protocol marks as final for the same message, but that a new `start` mends: its `bytes` says what to send.
const MENDED_BY_START = new Set(['bytes_missing', 'binary_without_session', 'no_session']);

/** A name for a take that no one else uses: 128 random bits, also where randomUUID is missing (plain http). */
export function newSessionId() {
	const bytes = crypto.getRandomValues(new Uint8Array(16));
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The server's WebSocket address for a page at `href`. */
export function socketUrl(href) {
	const url = new URL('/ws', href);
	url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
	return url.href;
}

/**
 * One take. `link` is what it is doing:
 *   idle        before connect()
 *   connecting  a connection is being made, or `start` waits for its answer
 *   sending     attached
 *   waiting     for the next attempt, at `retryAt` (Date.now's clock); `reason` says why
 *   saved       the server has sealed the take and holds `safe` bytes; final
 *   stopped     it will not go on; `reason` and `message` say why; final
 */
export class TakeSender {
	link = 'idle';
	reason = null; // a code of the protocol, or: closed, timeout, silence, network
	message = '';
	retryAt = 0;
	recorded = 0; // bytes given to push()
	safe = 0; // bytes the server has on disk
	reconnects = 0;
	id = null; // the recording's id, once started
	saved = null; // the server's `saved` message

	#url;
	#start;
	#onchange;
	#WebSocket;
	#socket = null;
	#attached = false;
	#pieces = []; // bytes [safe, recorded)
	#next = 0; // offset of the next byte to send
	#ended = false;
	#endSent = false;
	#heartbeatMs = HEARTBEAT_MS;
	#attempts = 0; // since the server last confirmed something new
	#watch = 0; // timer: what we wait for is overdue
	#retry = 0; // timer: the next attempt

	/** `start`: further fields of the start message: sessionId (needed), mime, ext, name, ts, track, tracks … */
	constructor({ url, start, onchange = () => {}, WebSocket = globalThis.WebSocket }) {
		this.#url = url;
		this.#start = start;
		this.#onchange = onchange;
		this.#WebSocket = WebSocket;
	}

	get held() {
		return this.recorded - this.safe;
	}

	get done() {
		return this.link === 'saved' || this.link === 'stopped';
	}

	connect() {
		if (this.link === 'idle') this.#open();
	}

	/** Appends bytes to the take. They must not change afterwards. */
	push(bytes) {
		if (this.#ended) throw new Error('the take has ended');
		if (this.done || bytes.byteLength === 0) return;
		this.#pieces.push(bytes);
		this.recorded += bytes.byteLength;
		this.#pump();
		this.#changed();
	}

	/** No more bytes come. `saved` follows when the server has them all. */
	end() {
		this.#ended = true;
		this.#pump();
	}

	/** Drops the link and makes a new one at once: for when the network is known to have changed. */
	reconnect() {
		if (this.done || this.link === 'idle') return;
		this.#attempts = 0;
		this.#drop();
		this.#open();
	}

	/** Lets the take be: no more attempts. What the server has stays there; what it has not is forgotten here. */
	close() {
		if (!this.done) this.#stop('closed', '');
	}

	#open() {
		clearTimeout(this.#retry);
		this.#to('connecting');
		let socket;
		try {
			socket = new this.#WebSocket(this.#url, SUBPROTOCOL);
		} catch (error) {
			this.#stop('bad_url', String(error.message ?? error));
			return;
		}
		this.#socket = socket;
		socket.binaryType = 'arraybuffer';
		this.#expect(OPEN_TIMEOUT_MS, 'timeout');
		const mine = (handle) => (event) => socket === this.#socket && handle(event);
		socket.onopen = mine(() => this.#sendStart());
		socket.onmessage = mine((event) => this.#received(event.data));
		socket.onerror = () => {}; // close follows and tells as much
		socket.onclose = mine((event) => this.#lost(event.code === 1006 ? 'network' : 'closed'));
	}

	#sendStart() {
		this.#expect(START_TIMEOUT_MS, 'timeout');
		this.#control({ type: 'start', ...this.#start, resume: this.id !== null, from: this.safe });
	}

	#control(message) {
		this.#socket.send(JSON.stringify(message));
	}

	#received(data) {
		let message;
		try {
			message = JSON.parse(data);
		} catch {
			this.#lost('protocol');
			return;
		}
		switch (message.type) {
		case 'started':
			this.#started(message);
			break;
		case 'ack':
			this.#acked(message.bytes);
			break;
		case 'saved':
			this.#finished(message);
			break;
		case 'aborted':
			this.#stop('aborted', message.reason ?? '');
			break;
		case 'error':
			this.#refused(message);
			break;
		default: // a newer server may say more than we know
		}
	}

	#started({ id, bytes, heartbeatMs }) {
		// Below `safe` the server would have lost what it acknowledged, above `recorded` it has a take that is not ours.
		if (!(bytes >= this.safe && bytes <= this.recorded)) {
			this.#stop('position_conflict', `The server holds ${bytes} bytes, this page has ${this.safe} to ${this.recorded}.`);
			return;
		}
		if (this.id !== null) this.reconnects += 1;
		if (bytes > this.safe) this.#attempts = 0;
		this.id = id;
		this.#heartbeatMs = heartbeatMs || HEARTBEAT_MS;
		this.#release(bytes);
		this.#next = bytes;
		this.#attached = true;
		this.#endSent = false;
		this.#expectMore();
		this.#to('sending');
		this.#pump();
	}

	#acked(bytes) {
		if (!this.#attached) return;
		if (!(bytes <= this.#next)) {
			this.#lost('protocol');
			return;
		}
		if (bytes > this.safe) {
			this.#attempts = 0;
			this.#release(bytes);
		}
		this.#expectMore();
		this.#pump();
		this.#changed();
	}

	#finished(message) {
		this.saved = message;
		this.id = message.id;
		this.#release(Math.min(message.bytes, this.recorded));
		this.#pieces = [];
		this.#drop();
		this.#to('saved');
	}

	#refused({ code, message, retry }) {
		if (retry || MENDED_BY_START.has(code)) this.#lost(code, message);
		else this.#stop(code, message ?? '');
	}

	/** Sends what the window allows, and the end behind the last byte. */
	#pump() {
		if (!this.#attached) return;
		const owed = this.#owed;
		this.#sendPieces();
		if (this.#ended && !this.#endSent && this.#next === this.recorded) {
			this.#control({ type: 'end', totalBytes: this.recorded });
			this.#endSent = true;
		}
		if (!owed) this.#expectMore();
	}

	#sendPieces() {
		let offset = this.safe;
		for (const piece of this.#pieces) {
			while (this.#next < offset + piece.byteLength) {
				if (this.#next - this.safe >= WINDOW_BYTES) return;
				const part = piece.subarray(this.#next - offset, this.#next - offset + MESSAGE_BYTES);
				this.#socket.send(part);
				this.#next += part.byteLength;
			}
			offset += piece.byteLength;
		}
	}

	/** Forgets the bytes below `bytes`. */
	#release(bytes) {
		let drop = bytes - this.safe;
		let whole = 0;
		while (whole < this.#pieces.length && this.#pieces[whole].byteLength <= drop) {
			drop -= this.#pieces[whole].byteLength;
			whole += 1;
		}
		this.#pieces.splice(0, whole);
		if (drop > 0) this.#pieces[0] = this.#pieces[0].subarray(drop);
		this.safe = bytes;
	}

	get #owed() {
		return this.#next > this.safe || this.#endSent;
	}

	/** The server's pings are invisible here, so its silence is judged while it owes an answer, and only then. */
	#expectMore() {
		this.#expect(this.#owed ? 2 * this.#heartbeatMs : 0, 'silence');
	}

	#expect(ms, reason) {
		clearTimeout(this.#watch);
		if (ms > 0) this.#watch = setTimeout(() => this.#lost(reason), ms);
	}

	/** Lets go of the socket, which may be half dead: nothing that it still says counts. */
	#drop() {
		clearTimeout(this.#watch);
		const socket = this.#socket;
		this.#socket = null;
		this.#attached = false;
		socket?.close();
	}

	#lost(reason, message = '') {
		this.#drop();
		const first = reason === 'storage_full' ? BACKOFF_FULL_MS : BACKOFF_FIRST_MS;
		const most = Math.min(BACKOFF_MAX_MS, first * 2 ** Math.min(this.#attempts, 10));
		const wait = most * (0.5 + Math.random() / 2);
		this.#attempts += 1;
		clearTimeout(this.#retry);
		this.#retry = setTimeout(() => this.#open(), wait);
		this.reason = reason;
		this.message = message;
		this.retryAt = Date.now() + wait;
		this.#to('waiting');
	}

	#stop(reason, message) {
		clearTimeout(this.#retry);
		this.#drop();
		this.#pieces = [];
		this.reason = reason;
		this.message = message;
		this.#to('stopped');
	}

	#to(link) {
		this.link = link;
		this.#changed();
	}

	#changed() {
		this.#onchange(this);
	}
}
