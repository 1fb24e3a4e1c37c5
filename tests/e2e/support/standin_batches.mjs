// The stand-in's files and batches: uploads by tus in memory, slices and their acknowledgements, and who follows a batch. As standin.mjs, it
// proves nothing about the real server; a test says when something fails.
import { take } from './standin.mjs';

const WEEK_MS = 7 * 24 * 3_600_000;
const ENDED = new Set(['complete', 'error', 'aborted', 'deleted']);

export class StandinBatches {
	refuse = new Map(); // 'POST', 'HEAD', 'PATCH', 'slice' → [status, code, sentence] of all such questions
	cutAfter = null; // a PATCH's link is cut after so many bytes of it
	hold = new Set(); // ids whose PATCH is never answered
	finish = (one) => ({ ...one, phase: 'queued' }); // what becomes of an upload that is whole, or of an item with a URL
	refuseItem = () => null; // (item) → { code, message } of one that is refused
	heard = []; // slices as they came
	acked = 0; // slices that are acknowledged before the link is cut, see cutAcks
	cutAcks = Infinity;
	bytes = new Map(); // id → the Buffers that arrived
	#batches = new Map(); // id → { id, name, total, createdAt }
	#followers = new Set(); // { ws, batchId }
	#server;

	constructor(server) {
		this.#server = server;
	}

	itemsOf(batchId) {
		return [...this.#server.takes.values()].filter(({ batch }) => batch === batchId);
	}

	dataOf(id) {
		return Buffer.concat(this.bytes.get(id) ?? []);
	}

	/** A batch with items, as an earlier visit left it. */
	put(batchId, items = [], fields = {}) {
		this.#batches.set(batchId, { id: batchId, name: 'Import', total: null, createdAt: Date.now(), ...fields });
		return items.map((item) => this.#server.put(this.item(batchId, item)));
	}

	item(batchId, { key, bytes = 0, length = null, sourceUrl = null, ...more }) {
		return take({ phase: 'uploading', revision: 0, bytes, name: more.name ?? key, batch: batchId, key, sourceUrl, fetch: sourceUrl === null ? null : 'now',
			upload: sourceUrl === null ? { length, expiresAt: Date.now() + WEEK_MS } : null, sessionId: null, ...more });
	}

	object(batchId) {
		const batch = this.#batches.get(batchId);
		const items = this.itemsOf(batchId);
		const counts = Object.fromEntries(['uploading', 'queued', 'processing', 'generating_thumbnail', 'complete', 'error', 'aborted', 'deleted']
			.map((phase) => [phase, items.filter((one) => one.phase === phase).length]));
		const ended = items.filter(({ phase }) => ENDED.has(phase)).length;
		return { id: batch.id, name: batch.name, total: batch.total, counts, items: items.length, ended, failed: ended - counts.complete,
			complete: batch.total !== null && ended === batch.total, completedAt: null, errors: [], createdAt: batch.createdAt, updatedAt: Date.now() };
	}

	/** Tells those who follow the batch of `one`. */
	changed(one) {
		if (!one.batch || !this.#batches.has(one.batch)) return;
		for (const { ws, batchId } of this.#followers) {
			if (batchId !== one.batch) continue;
			ws.send(JSON.stringify({ type: 'status', of: 'recording', ...one }));
			ws.send(JSON.stringify({ type: 'status', of: 'batch', ...this.object(batchId) }));
		}
	}

	gone(ws) {
		for (const one of this.#followers) if (one.ws === ws) this.#followers.delete(one);
	}

	/** True: it was for a batch. */
	message(ws, message) {
		if (message.type === 'slice') this.#slice(ws, message);
		else if (message.type === 'subscribe' && message.batchId !== undefined) this.#subscribe(ws, message);
		else return false;
		return true;
	}

	#subscribe(ws, { batchId }) {
		const refused = this.#server.refuse ?? (this.#batches.has(batchId) ? null : [404, 'not_found', 'There is nothing of this name.']);
		if (refused) {
			ws.send(JSON.stringify({ type: 'error', of: 'subscription', code: refused[1], message: refused[2], retry: false, batchId }));
			return;
		}
		ws.send(JSON.stringify({ type: 'status', of: 'batch', ...this.object(batchId) }));
		ws.send(JSON.stringify({ type: 'subscribed', batchId }));
		this.#followers.add({ ws, batchId });
	}

	#slice(ws, { batchId, sliceId, items }) {
		this.heard.push({ batchId, sliceId, items: items.length });
		const refused = this.refuse.get('slice') ?? (this.#batches.has(batchId) ? null : [404, 'not_found', 'There is nothing of this name.']);
		if (refused) {
			const [status, code, message] = refused;
			ws.send(JSON.stringify({ type: 'error', code, message, retry: status >= 429, sliceId, batchId, ...(status === 429 ? { retryAfterMs: 50 } : {}) }));
			return;
		}
		const acks = items.map((item) => this.#take(batchId, item));
		if (this.acked++ >= this.cutAcks) { // done, and nobody heard of it
			this.cutAcks = Infinity;
			ws.terminate();
			return;
		}
		ws.send(JSON.stringify({ type: 'slice_ack', batchId, sliceId, items: acks }));
	}

	#take(batchId, item) {
		const error = this.refuseItem(item);
		if (error) return { key: item.key, id: null, status: null, isNew: false, error };
		const known = this.itemsOf(batchId).find(({ key }) => key === item.key);
		if (known) return { key: item.key, id: known.id, status: known.phase, isNew: false };
		const { bytes: length, ...rest } = item;
		const one = this.item(batchId, { ...rest, length });
		this.#server.put(item.sourceUrl ? this.finish(one) : one);
		return { key: item.key, id: one.id, status: one.phase, isNew: true };
	}

	/** [status, body] of a route about batches, or null. */
	answer(method, path, body) {
		if (path === '/api/batches' && method === 'POST') {
			const { batchId, total = null, name = null } = body;
			const known = this.#batches.has(batchId);
			if (!known) this.#batches.set(batchId, { id: batchId, name, total, createdAt: Date.now() });
			return [known ? 200 : 201, this.object(batchId)];
		}
		if (path === '/api/batches') return [200, { items: [...this.#batches.keys()].map((id) => this.object(id)), next: null }];
		const [, id] = /^\/api\/batches\/([^/]+)$/.exec(path) ?? [];
		if (id === undefined) return null;
		return this.#batches.has(id) ? [200, this.object(id)] : [404, { status: 404, code: 'not_found', detail: 'There is nothing of this name.' }];
	}

	// --- /files/ ---

	/** True: it was for an upload, and is answered. */
	files(request, response, path) {
		if (!path.startsWith('/files/')) return false;
		const id = path.slice('/files/'.length);
		const refused = this.#server.refuse ?? this.refuse.get(request.method);
		const problem = (status, code, detail) => response.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify({ status, code, detail }));
		if (refused) {
			request.resume();
			request.on('end', () => problem(...refused));
			return true;
		}
		response.setHeader('tus-resumable', '1.0.0');
		if (request.method === 'POST') {
			const length = request.headers['upload-length'];
			const one = take({ phase: 'uploading', revision: 0, bytes: 0, upload: { length: length === undefined ? null : Number(length), expiresAt: Date.now() + WEEK_MS }, batch: null, key: null });
			this.#server.put(one);
			response.writeHead(201, { location: `/files/${one.id}`, 'upload-offset': '0' }).end();
			return true;
		}
		const one = this.#server.takes.get(id);
		if (!one) problem(this.#server.removed?.has(id) ? 410 : 404, 'not_found', 'There is nothing of this name.');
		else if (request.method === 'HEAD') {
			const { length } = one.upload ?? { length: one.bytes };
			response.writeHead(200, { 'upload-offset': String(one.bytes), ...(length === null ? {} : { 'upload-length': String(length) }), 'cache-control': 'no-store' }).end();
		} else if (request.method === 'PATCH') this.#patch(request, response, one, problem);
		else {
			this.#server.remove(id);
			response.writeHead(204).end();
		}
		return true;
	}

	async #patch(request, response, one, problem) {
		if (Number(request.headers['upload-offset']) !== one.bytes || one.phase !== 'uploading') {
			request.resume();
			problem(409, one.phase === 'uploading' ? 'position_conflict' : 'sealed', 'Not there.');
			return;
		}
		const pieces = this.bytes.get(one.id) ?? [];
		this.bytes.set(one.id, pieces);
		const { socket } = request;
		let came = 0;
		const length = request.headers['upload-length'] === undefined ? one.upload.length : Number(request.headers['upload-length']);
		const grown = () => ({ ...this.#server.takes.get(one.id), bytes: one.bytes + came, upload: { ...one.upload, length } });
		try {
			for await (const piece of request) {
				const kept = this.cutAfter === null ? piece : piece.subarray(0, Math.max(0, this.cutAfter - came));
				pieces.push(kept);
				came += kept.length;
				if (this.cutAfter !== null && came >= this.cutAfter) throw new Error('cut');
			}
		} catch {
			if (came > 0) this.#server.put(grown());
			socket.destroy();
			return;
		}
		const now = grown();
		this.#server.put(now.bytes === length ? this.finish({ ...now, upload: null, revision: 1 }) : now);
		if (!this.hold.has(one.id)) response.writeHead(204, { 'upload-offset': String(now.bytes) }).end();
	}
}
