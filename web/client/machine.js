// The machine that keeps and sends one take: feed(event, now) → effects, nextWake(). Pure: no timer, socket, store or clock.
//
// What it guarantees, whatever the order of events and wherever the page dies:
// - A byte is sent only when the store has it, so that after a crash the server never has more than the device knows of. Only
//   while the device is full bytes are sent from memory; the store was told so before (`overrun`).
// - Bytes leave the store only below what the server acknowledged.
// - A part's boundary is declared while the server has exactly the bytes before it: everything before is sent and acknowledged
//   first, then a new connection says `part: true` with `from` at the boundary, which the server notes with the first
//   byte that follows. So the server's count alone tells, after any crash, whether the boundary is still to be declared.
//
// Events: { type, … } as in the switch of feed(). Effects:
//   open, close                              a WebSocket; what a closed one still says must not be fed
//   send { message }, bytes { bytes }        on it
//   append { part, at, to, chunks }          → appended { part, to } | appendFailed { code, message }; one at a time
//   meta { meta }                            → metaDone { ok, message }; one at a time
//   read { part, at, length }                → read { part, at, bytes } | readFailed { code, message }; one at a time
//   drop { part, to, hard }                  → dropped { part, from, to }; `hard`: give space back even if it costs
//   dropPart { part }, dropAll, remove       no answer
// The store does what it is told in this order.
import { Air, savedProblem } from './air.js';
import { MENDED_BY_START, RESUMABLE } from './codes.js';
import { Ledger } from './ledger.js';
import { DROP_BYTES, MESSAGE_BYTES, NOTE_MS, READ_BYTES, STALE_STARTS, STORE_RETRY_MS, WINDOW_BYTES } from './limits.js';
import { Link } from './link.js';
import { Reader } from './reader.js';
import { RowKeeper } from './rows.js';
import { viewOf } from './view.js';

export class TakeMachine {
	link = 'idle';
	problem = null;
	reason = null;
	message = '';
	reconnects = 0;
	saved = null;
	refused = null; // why bytes are not taken any more: memory_full, unreadable
	deviceFull = false; // or its store fails
	storeMessage = ''; // what it said
	safe; // bytes that the server has
	id; // the recording's, once known
	ended; // no more bytes come
	aborting; // it is thrown away: the reason, or null
	ledger;
	air; // its show

	#options;
	#meta; // what does not change of the stored row
	#overrun;
	#out = [];
	#now = 0;
	#conn;
	#declaring = -1; // part whose boundary this connection declares
	#cur = 0; // part that is being sent
	#next = 0; // position of the next byte to send; readTo: the highest that it was
	#readTo = 0;
	#final = null; // end, stop or abort: was sent on this connection
	#reader = new Reader();
	#appending = null;
	#rows = new RowKeeper();
	#storeRetryAt = Infinity;
	#noteAt = Infinity;
	#written = false; // in this page
	#lost = false; // the store belongs to somebody else
	#known; // a server may have heard of it

	/**
	 * `row`: as stored, or for a new take { server, start, parts: [{ number: 0, base: 0, mime, ext }] }. `held`: what the store has of
	 * each part: { number: { from, to } }. Options: random, keptIn, memoryLimit, onAir; window, message, read, drop as the limits above.
	 */
	constructor(row, held, options) {
		const { id = null, ended = false, aborting = null, overrun = false, safe = 0, problem = null, unrecorded = 0, parts, next, ...rest } = row;
		this.#options = {
			memoryLimit: Infinity, keptIn: 'opfs', random: Math.random, onAir: true,
			window: WINDOW_BYTES, message: MESSAGE_BYTES, read: READ_BYTES, drop: DROP_BYTES, ...options,
		};
		this.#conn = new Link(this.#options.random);
		this.#meta = rest;
		this.air = new Air(rest.start.show, this.#options.onAir, unrecorded);
		this.id = id;
		this.ended = ended;
		this.aborting = aborting;
		this.#overrun = overrun;
		this.#rows.noted = ended || aborting !== null;
		this.safe = safe;
		this.problem = problem;
		this.ledger = new Ledger(parts.map((part) => {
			const { from = 0, to = 0 } = held?.[part.number] ?? {};
			return { ...part, from, kept: to };
		}), next);
		this.safe = Math.min(Math.max(safe, this.ledger.heldFrom), this.ledger.total);
		this.#known = rest.changedAt !== undefined; // stored by a page before this one
		if (!this.#known) return;
		this.#conn.stale = STALE_STARTS;
		this.#rows.overrun = overrun;
		this.#rows.loaded(parts.at(-1).number);
	}

	get noted() { // the end or the throwing away, on the device
		return this.#rows.noted;
	}

	get done() {
		return ['saved', 'aborted', 'stopped', 'released'].includes(this.link);
	}

	/** Why `length` more bytes can't be taken: a code, or null. A take that has stopped takes them: they are kept for localCopy(). */
	refusal(length) {
		if (this.ended || this.aborting !== null) return 'ended';
		if (this.link === 'saved' || this.link === 'released' || this.#lost) return this.problem?.code ?? this.link;
		if (this.refused !== null) return this.refused;
		return this.ledger.unkept + length > this.#options.memoryLimit && this.ledger.unkept > 0 ? 'memory_full' : null;
	}

	nextWake() {
		if (this.done && this.link !== 'stopped') return Infinity;
		return Math.min(this.#conn.deadline, this.link === 'waiting' ? this.#conn.retryAt : Infinity, this.#storeRetryAt, this.#noteAt, this.air.askAt);
	}

	feed(event, now) {
		this.#now = now;
		switch (event.type) {
		case 'connect': this.#connect(event.onAir); break;
		case 'write': this.#write(event.bytes); break;
		case 'refuse': this.refused ??= event.code; break;
		case 'part': this.#addPart(event); break;
		case 'end': this.#end(); break;
		case 'abort': this.#abort(event.reason ?? ''); break;
		case 'release': this.#leave('released'); break;
		case 'lost': this.#lost = true; this.#stop('taken_over_here', ''); break;
		case 'opened': this.#opened(event.token ?? null); break;
		case 'message': this.#received(event.message); break;
		case 'closed': this.#unlink(event.reason ?? 'closed', ''); break;
		case 'appended': this.#appended(event); break;
		case 'appendFailed': this.#appending = null; this.#storeTrouble(event.message ?? ''); break;
		case 'metaDone': this.#metaDone(event); break;
		case 'read': this.#reader.answered(event); break;
		case 'readFailed': this.#reader.answered(null); this.#stop(event.code ?? 'store_failed', event.message ?? ''); break;
		case 'dropped': this.ledger.dropped(event.part, event.from, event.to); break;
		case 'tick': this.#tick(); break;
		default: throw new Error(`unknown event ${event.type}`);
		}
		this.#pump();
		this.#work();
		this.ledger.settle();
		const out = this.#out;
		this.#out = [];
		return out;
	}

	// What the user does

	#connect(onAir = this.air.wanted) {
		if (this.link === 'saved' || this.link === 'aborted' || this.link === 'released' || this.#lost) return;
		if (this.problem !== null) this.#note();
		this.problem = null;
		this.air.wanted = onAir && this.#meta.start.show !== undefined;
		this.#conn.fresh();
		this.#drop();
		this.#open();
	}

	#write(bytes) {
		const code = this.refusal(bytes.byteLength);
		if (code === 'memory_full') this.refused = code; // from here on nothing is taken: there are no gaps
		if (code !== null || bytes.byteLength === 0) return;
		this.#written = true;
		this.ledger.add(bytes);
	}

	#addPart({ mime, ext }) {
		if (this.ended || this.aborting !== null) return;
		const { last } = this.ledger;
		this.ledger.addPart(mime ?? last.mime, ext ?? last.ext, this.#overrun);
		this.refused = null; // whatever was missed was missed between two parts
		this.#note();
	}

	#end() {
		if (this.ended || this.aborting !== null) return;
		this.ended = true;
		this.#note();
	}

	#abort(reason) {
		if (this.link === 'saved' || this.link === 'released' || this.aborting !== null || this.#lost) return;
		this.aborting = reason;
		this.ended = false;
		this.ledger.forget();
		if (!this.#known) {
			this.#leave('aborted');
			return;
		}
		this.#out.push({ type: 'dropAll' });
		this.#note();
		if (this.#conn.stage !== 'attached') this.#connect(); // also a take that had stopped
	}

	// The link

	#open() {
		this.link = 'connecting';
		this.#conn.opening(this.#now);
		this.#out.push({ type: 'open' });
	}

	#opened(token) {
		if (this.#conn.stage !== 'opening') return;
		this.#conn.starting(this.#now);
		this.#known = true;
		const part = this.#declaring >= 0 ? this.ledger.parts[this.#declaring] : null;
		const from = this.aborting !== null ? 0 : part?.base ?? this.ledger.heldFrom; // to abort, nothing will be sent: any length is right
		const message = { type: 'start', ...this.air.names(this.#meta.start, this.#now, this), resume: this.id !== null, from };
		if (part) Object.assign(message, { part: true, mime: part.mime, ext: part.ext });
		if (token !== null) message.token = token;
		this.#out.push({ type: 'send', message });
	}

	#received(message) {
		this.#conn.heard();
		this.air.heard(this.#now);
		switch (message.type) {
		case 'started': this.#started(message); break;
		case 'ack': this.#ack(message.bytes); break;
		case 'saved': this.#finished(message); break;
		case 'aborted': this.#over('aborted', message.reason ?? ''); break;
		case 'status': if (message.of === 'show') this.air.said(message); break;
		case 'moved': this.#moved(message); break;
		case 'stopped': this.#offAir(); break;
		case 'error': this.#error(message); break;
		default: // a newer server may say more than we know
		}
	}

	#started(message) {
		const { id, bytes, heartbeatMs } = message;
		if (this.#conn.stage !== 'starting') return;
		if (!(bytes >= 0)) return this.#unlink('protocol', '');
		if (this.id !== null && this.#declaring < 0) this.reconnects += 1;
		if (this.id !== id) {
			this.id = id;
			this.#note();
		}
		this.#conn.attached(heartbeatMs);
		const unrecorded = this.air.started(message, this.safe);
		this.#final = null;
		this.#reader.forget();
		this.link = 'sending';
		if (this.aborting !== null) return;
		const declared = this.#declaring >= 0 && this.ledger.parts[this.#declaring].base === bytes ? this.#declaring : -1;
		this.#declaring = -1;
		const place = declared >= 0 ? { i: declared } : this.ledger.locate(bytes, this.#overrun);
		if (place.problem) {
			this.#stop(place.problem, '', bytes);
			return;
		}
		this.#cur = place.i;
		this.#next = bytes;
		if (!unrecorded) this.#progress(bytes);
		if (place.boundary) this.#declare(this.#cur);
	}

	/** This part's bytes must wait for its boundary, which only the beginning of a connection can declare. */
	#declare(i) {
		this.#drop();
		this.#declaring = i;
		this.#open();
	}

	#ack(bytes) {
		if (this.#conn.stage !== 'attached' || this.aborting !== null) return;
		if (!(bytes <= this.#next)) {
			this.#unlink('protocol', '');
			return;
		}
		this.#progress(bytes);
	}

	/** The server has `bytes`. It may be fewer than before: then it was set back, and what is still here is sent again. */
	#progress(bytes) {
		if (bytes > this.safe) {
			this.#conn.fresh();
			this.reason = null;
			this.message = '';
			if (this.#noteAt === Infinity) this.#noteAt = this.#now + NOTE_MS;
		}
		this.safe = bytes;
		const gone = this.ledger.acked(this.#cur, bytes);
		for (const part of gone) this.#out.push({ type: 'dropPart', part });
		if (gone.length > 0) {
			this.#cur -= gone.length;
			this.#note();
		}
		this.#noteEnd();
		const drop = this.ledger.droppable(bytes, this.deviceFull ? 1 : this.#options.drop);
		if (drop !== null && !this.#lost) this.#out.push({ type: 'drop', ...drop, hard: this.deviceFull });
	}

	#finished(message) {
		const { id, bytes, sha256, url } = message;
		this.saved = { id, bytes, sha256, url };
		this.id = id;
		this.safe = Math.min(bytes, this.ledger.total);
		this.#over(savedProblem({ bytes, total: this.ledger.total, overrun: this.#overrun, ended: this.ended, written: this.#written,
			show: this.#meta.start.show !== undefined }), '', bytes);
	}

	/** The server is done with it; `problem`: if not as it should be. */
	#over(problem, message = '', bytes = null) {
		if (this.aborting !== null) this.#leave('aborted'); // what was finished before can't be undone here
		else if (problem !== null) this.#stop(problem, message, bytes);
		else this.#leave('saved');
	}

	/** Space is back: what lies between the last acknowledged byte and this one is in no recording, and never will be. */
	#moved(message) {
		const { id, from } = message;
		if (this.#conn.stage !== 'attached') return;
		if (!(from >= this.ledger.heldFrom && from <= this.#next)) return this.#unlink('protocol', '');
		this.air.moves(message, Math.max(0, from - this.safe));
		this.id = id;
		this.#progress(from);
		this.#note();
	}

	/** The show has ended, while nothing was recorded or by `stop`. */
	#offAir() {
		if (this.#conn.stage !== 'attached') return;
		this.#over(!this.ended ? 'show_ended' : this.safe < this.ledger.total ? 'not_recorded' : null);
	}

	#error({ code, message = '', retry, bytes = null }) {
		// The boundary's place was right when it was asked for: the server was set back meanwhile. A plain start tells by how much.
		const moved = code === 'position_conflict' && this.#declaring >= 0;
		const ourselves = code === 'taken_over' && this.#conn.tookOverFromItself();
		if (retry || ourselves || moved || MENDED_BY_START.has(code)) this.#unlink(code, message);
		else if (this.aborting !== null && !RESUMABLE.has(code)) this.#leave('aborted'); // deleted, sealed …: nothing is left to abort
		else this.#stop(code, message, bytes);
	}

	/** Lets go of the socket, which may be half dead: nothing that it still says counts. */
	#drop() {
		if (this.#conn.stage !== 'closed') this.#out.push({ type: 'close' });
		if (this.#conn.stage === 'attached') this.air.lost(this.#now);
		this.#conn.closed();
		this.#declaring = -1;
		this.#reader.forget();
	}

	/** The link is of no more use: another one after a wait. */
	#unlink(reason, message) {
		if (this.#conn.stage === 'closed') return;
		this.#drop();
		this.#conn.wait(this.#now, reason, this.air.longestWait(this.#now));
		this.reason = reason;
		this.message = message;
		this.link = 'waiting';
	}

	/** It will not go on by itself; everything that is kept stays. */
	#stop(code, message, serverBytes = null) {
		if (this.link === 'saved' || this.link === 'aborted' || this.link === 'released') return;
		this.#drop();
		this.problem = { code, message, serverBytes, resumable: RESUMABLE.has(code) };
		this.link = 'stopped';
		this.#note();
	}

	#leave(link) {
		if (this.link === 'saved' || this.link === 'aborted' || this.link === 'released') return;
		this.#drop();
		this.link = link;
		this.problem = null;
		if (link === 'released') return;
		this.ledger.forget();
		this.#out.push({ type: 'remove' });
	}

	#tick() {
		if (this.#now >= this.#conn.deadline) this.#unlink(this.#conn.stage === 'attached' ? 'silence' : 'timeout', '');
		if (this.link === 'waiting' && this.#now >= this.#conn.retryAt) this.#open();
		if (this.#now >= this.#storeRetryAt) this.#storeRetryAt = Infinity;
		if (this.#now >= this.#noteAt) this.#note();
	}

	// Sending

	/** Sends what the window allows, boundaries between parts, and the end behind the last byte. */
	#pump() {
		if (this.#conn.stage !== 'attached') return;
		if (this.aborting !== null) this.#sendFinal({ type: 'abort', reason: this.aborting.slice(0, 200) || undefined });
		else while (this.#sendSome());
		if (this.#conn.stage !== 'attached') return;
		const question = this.#final === null ? this.air.asks(this.#now) : null;
		if (question !== null) this.#out.push({ type: 'send', message: question });
		if (this.#final !== null || question !== null || !this.air.failed && this.#next > this.safe) this.#conn.owes(this.#now);
	}

	#sendFinal(message) {
		if (this.#final !== message.type) this.#out.push({ type: 'send', message });
		this.#final = message.type;
	}

	/** One step; false when there is nothing more to do now. */
	#sendSome() {
		const room = this.air.failed ? Infinity : this.#options.window - (this.#next - this.safe);
		const part = this.ledger.parts[this.#cur];
		const local = this.#next - part.base;
		if (local === part.emitted) return this.#partSent();
		if (room <= 0) return false;
		// From memory alone only once the store knows, or can't be told, that the server may get ahead of it.
		const unkept = this.deviceFull && this.#rows.overrun;
		const bytes = this.ledger.inMemory(this.#cur, local, unkept) ?? this.#reader.at(part, local, this.#options.read, this.#out);
		if (bytes === null) return false;
		const message = bytes.subarray(0, Math.min(this.#options.message, room));
		this.#out.push({ type: 'bytes', bytes: message });
		this.#readTo = Math.max(this.#readTo, this.#next += message.byteLength);
		return true;
	}

	/** The part that was being sent has no more bytes: on to the next one's boundary, or to the end. */
	#partSent() {
		const after = this.ledger.after(this.#cur);
		if (after < 0) {
			if (this.ended) this.#sendFinal(this.air.failed ? { type: 'stop' } : { type: 'end', totalBytes: this.#next });
			return false;
		}
		if (this.safe < this.#next) return false;
		const part = this.ledger.parts[after];
		if (part.base === null) {
			part.base = this.#next;
			this.#note();
		}
		// The store must know where the part begins before the server can get ahead of that.
		if (this.#rows.current) this.#declare(after);
		return false;
	}

	// The store

	#note() {
		this.#rows.want();
		this.#noteAt = Infinity;
	}

	#row() {
		return {
			...this.#meta, id: this.id, overrun: this.#overrun, safe: this.safe, problem: this.problem, aborting: this.aborting,
			unrecorded: this.air.unrecorded, ended: this.ended && this.ledger.unkept === 0, // an end that the bytes before it may not survive is none
			parts: this.ledger.rows(), next: this.ledger.nextNumber, changedAt: this.#now,
		};
	}

	/** Gives the store what it has to keep. */
	#work() {
		if (this.link === 'saved' || this.link === 'aborted' || this.#lost) return;
		const later = this.#now < this.#storeRetryAt && this.#storeRetryAt !== Infinity;
		const row = later && this.#rows.failed ? null : this.#rows.next(() => this.#row());
		if (row !== null) this.#out.push(row);
		if (later) return;
		const append = this.#appending === null ? this.ledger.nextAppend() : null;
		if (append === null || append.part > this.#rows.parts) return; // a part's row comes before its bytes
		this.#appending = append;
		this.#out.push({ type: 'append', ...append });
	}

	#metaDone({ ok, message = '' }) {
		this.#rows.answered(ok);
		if (ok) this.#noteEnd();
		else this.#storeTrouble(message);
	}

	#appended({ part, to }) {
		this.#appending = null;
		this.ledger.appended(part, to);
		if (this.ledger.unkept === 0) this.deviceFull = false;
		this.#noteEnd();
	}

	/** An end is noted when all before it is on one of the two disks. */
	#noteEnd() {
		if (this.ended && !this.#rows.noted && this.ledger.unkept === 0 && this.#rows.current) this.#note();
	}

	/** The store takes nothing more at the moment: memory must do, and the server may get ahead of the store. */
	#storeTrouble(message) {
		this.storeMessage = message;
		this.deviceFull = true;
		this.#storeRetryAt = this.#now + STORE_RETRY_MS;
		if (!this.#overrun) this.#note();
		this.#overrun = true;
	}

	/** As in index.d.ts, without the sessionId. */
	view() {
		return viewOf(this, { keptIn: this.#options.keptIn, readTo: this.#readTo, retryAt: this.#conn.retryAt });
	}
}
