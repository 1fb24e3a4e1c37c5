// The client of one page: its stores, the takes it works on, and what it shares among them.
import { makeApi } from './api.js';
import { Batch } from './batch.js';
import { ApiError, newSessionId, tokenOf } from './base.js';
import { Follower } from './follower.js';
import { openLocks } from './locks.js';
import { TakeMachine } from './machine.js';
import { FileStore, fingerprint, reopen, sameFile } from './store-file.js';
import { IdbStore } from './store-idb.js';
import { MemoryStore, OpfsStore } from './stores.js';
import { ShowFollower } from './shows.js';
import { sourceOf } from './sources.js';
import { Take } from './take.js';
import { Upload } from './upload.js';

const MEMORY_LIMIT_BYTES = 64 * 1024 * 1024; // what may wait in memory while the device is full
const MEMORY_STORE_BYTES = 1024 ** 3; // without any store: unsent bytes a page can hold without its tab being ended for it
const KINDS = ['opfs', 'indexeddb', 'memory'];
const NO_WEBSOCKET = 'This Node has no WebSocket: pass one to openClient, for instance { WebSocket } of the package ws.';

/** Stands for the one that is missing. */
class NoWebSocket {}

/** Where the ids of uploads are kept, so that a reload goes on with them: the page's localStorage, if it has one. */
function pageStorage() {
	try {
		return globalThis.document ? globalThis.localStorage : null;
	} catch {
		return null;
	}
}

export async function openClient(options = {}) {
	const settings = {
		...options, storeName: options.storeName ?? 'holdfast', stores: options.stores ?? KINDS,
		workerUrl: options.workerUrl ?? new URL('./store-worker.js', import.meta.url),
	};
	const memory = () => new MemoryStore({ limit: options.memoryLimitBytes ?? MEMORY_STORE_BYTES });
	const openers = { opfs: () => OpfsStore.open(settings), indexeddb: () => IdbStore.open(settings), memory };
	const stores = new Map(settings.stores.filter((one) => typeof one === 'object').map((store) => [store.kind, store]));
	settings.stores = settings.stores.map((one) => one.kind ?? one);
	const failures = [];
	for (const kind of new Set([...settings.stores, 'indexeddb'])) { // IndexedDB also for files and what an earlier visit left there
		if (stores.has(kind) || (kind === 'memory' && stores.size > 0)) continue;
		try {
			stores.set(kind, await openers[kind]());
		} catch (error) {
			if (settings.stores.includes(kind)) failures.push(`${kind}: ${error.message || error.name}`);
		}
	}
	const chosen = settings.stores.find((kind) => stores.has(kind));
	if (!chosen) stores.set('memory', memory());
	const client = new Client(settings, stores, chosen ?? 'memory', failures);
	client.finishAborts().catch(() => {});
	return client;
}

class Client {
	#stores;
	#idb;
	#shared; // what takes need of this
	#takes = new Map();
	#followers = new Set();
	#uploads = new Set();
	#storage;
	#persistAsked = false;
	#online = () => {
		for (const take of this.#takes.values()) take.online();
		for (const other of [...this.#followers, ...this.#uploads]) other.reconnect();
	};

	constructor(settings, stores, keptIn, failures) {
		this.server = new URL(settings.server ?? globalThis.location?.origin).origin;
		this.keptIn = keptIn;
		this.keptInReason = failures.length > 0 ? failures.join('; ') : null;
		this.#stores = stores;
		this.#idb = stores.get('indexeddb') ?? null;
		this.#shared = {
			server: this.server, token: settings.token ?? null, memoryLimit: settings.memoryLimitBytes ?? MEMORY_LIMIT_BYTES,
			WebSocket: settings.WebSocket ?? globalThis.WebSocket ?? NoWebSocket, locks: openLocks(settings.storeName, this.#idb),
			fetch: settings.fetch ?? ((...args) => globalThis.fetch(...args)),
		};
		this.#storage = settings.uploads === undefined ? pageStorage() : settings.uploads;
		this.api = makeApi({ server: this.server, token: () => tokenOf(settings.token), fetch: settings.fetch });
		globalThis.addEventListener?.('online', this.#online);
	}

	async begin({ sessionId = newSessionId(), ts = Date.now(), ...more }) {
		this.#link();
		const { mime, ext } = more;
		const store = this.#stores.get(this.keptIn);
		const row = this.#row({ sessionId, ts, ...more }, { mime, ext });
		const take = await this.#own(store, { row, held: {} });
		if (!this.#persistAsked) this.persist().catch(() => {});
		this.#persistAsked = true;
		return take;
	}

	#row(start, { mime, ext }) {
		const given = Object.fromEntries(Object.entries(start).filter(([, value]) => value !== undefined));
		return { server: this.server, start: given, parts: [{ number: 0, base: 0, mime, ext }] };
	}

	/** A new take that is worked on by this tab. */
	async #own(store, fresh) {
		const id = fresh.row.start.sessionId;
		const unlock = await this.#shared.locks.acquire(id);
		if (unlock === null) throw new ApiError('busy', '');
		return this.#locked(unlock, store, id, (stored) => {
			if (stored) throw new ApiError('session_exists', '');
			return this.#run(store, fresh, unlock, true);
		});
	}

	/** `use` of the take as it is stored now that nobody else changes it. If that fails, the lock is free again. */
	async #locked(unlock, store, id, use) {
		try {
			return use(await store.load(id));
		} catch (error) {
			await unlock();
			throw error;
		}
	}

	#run(store, stored, unlock, onAir) {
		const take = this.#take(store, stored, onAir);
		take.run(stored, unlock);
		return take;
	}

	#take(store, stored, onAir) {
		const take = new Take(this.#shared, store, stored, (gone) => {
			if (this.#takes.get(gone.sessionId) === gone) this.#takes.delete(gone.sessionId);
		}, onAir);
		this.#takes.set(take.sessionId, take);
		return take;
	}

	/** [{ store, row, held }] of all takes on this device. */
	async #stored() {
		const found = [];
		for (const store of this.#stores.values()) {
			const listed = await store.list().catch(() => []);
			found.push(...listed.map((take) => ({ store, ...take })));
		}
		return found;
	}

	async #find(id) {
		for (const store of this.#stores.values()) {
			const stored = await store.load(id);
			if (stored) return { store, ...stored };
		}
		throw new ApiError('unknown_take', '');
	}

	async unfinished() {
		const stored = (await this.#stored()).filter(({ row }) => (row.aborting ?? null) === null);
		const owned = await this.#shared.locks.owned(stored.map(({ row }) => row.start.sessionId));
		const listed = stored.map(({ store, row, held }) => {
			const { sessionId, name, mime, ext, ts } = row.start;
			const here = this.#takes.get(sessionId);
			if (here && (here.state.link === 'saved' || here.state.link === 'aborted')) return null;
			const kind = row.file ? 'file' : store.kind;
			const machine = new TakeMachine(row, row.file ? { 0: { from: 0, to: row.file.size } } : held, { keptIn: kind });
			const state = here?.state ?? machine.view();
			const owner = here && here.state.link !== 'standby' ? 'here' : owned.has(sessionId) ? 'other' : null;
			return {
				sessionId, server: row.server, here: row.server === this.server, id: state.id, name: name ?? '', mime, ext, begunAt: ts,
				changedAt: Math.round(row.changedAt ?? ts), keptBytes: state.keptBytes, safeBytes: state.safeBytes,
				heldBytes: machine.ledger.total - machine.ledger.heldFrom, keptIn: kind, parts: state.parts, ended: state.ended, owner,
				problem: state.problem, file: row.file?.name ?? null, show: row.start.show ?? null,
			};
		});
		return listed.filter(Boolean).sort((a, b) => b.begunAt - a.begunAt);
	}

	async resume(sessionId, { signal, onAir } = {}) {
		const known = this.#takes.get(sessionId);
		if (known) {
			known.again(onAir);
			return known;
		}
		const stored = await this.#open(await this.#find(sessionId));
		if (stored.row.server !== this.server) throw new ApiError('other_server', stored.row.server);
		const unlock = await this.#shared.locks.acquire(sessionId);
		if (unlock === null) {
			const take = this.#take(stored.store, stored, onAir);
			take.standby(signal);
			return take;
		}
		return this.#locked(unlock, stored.store, sessionId, (left) => { // as the tab before left it
			if (!left) throw new ApiError('unknown_take', '');
			return this.#run(stored.store, left, unlock, onAir);
		});
	}

	/** With the file in place of the store, if that is where the bytes are. */
	async #open(stored) {
		if (!stored.row.file) return stored;
		let file;
		try {
			file = await reopen(this.#idb, stored.row);
		} catch (error) {
			throw new ApiError(error.code ?? 'file_unreadable', error.message, { cause: error });
		}
		const store = new FileStore(file, this.#idb);
		return { store, row: stored.row, held: store.held };
	}

	async localCopy(sessionId) {
		const known = this.#takes.get(sessionId);
		if (known) return known.localCopy();
		const stored = await this.#open(await this.#find(sessionId));
		return new Take(this.#shared, stored.store, stored, () => {}).localCopy();
	}

	async discard(sessionId) {
		const known = this.#takes.get(sessionId);
		if (known) {
			await known.discard();
			return;
		}
		const unlock = await this.#shared.locks.acquire(sessionId);
		if (unlock === null) throw new ApiError('busy', '');
		try {
			const { store } = await this.#find(sessionId);
			await store.perform(sessionId, { type: 'remove' });
			await store.release(sessionId);
		} finally {
			await unlock();
		}
	}

	async sendFile(file, { name = file.name, ext, mime = file.type || 'application/octet-stream', handle = null } = {}) {
		const before = (await this.#stored()).find(({ row }) => row.file && row.server === this.server && sameFile(row.file, file)
			&& (row.aborting ?? null) === null && !this.#takes.has(row.start.sessionId));
		const unlock = before ? await this.#shared.locks.acquire(before.row.start.sessionId) : null;
		const store = new FileStore(file, this.#idb);
		if (unlock) {
			const take = await this.#locked(unlock, store, before.row.start.sessionId, (left) => {
				const ours = left && (left.row.aborting ?? null) === null;
				return ours ? this.#run(store, left, unlock) : null;
			});
			if (take) return take;
			await unlock(); // another tab ended that one: this is the next
		}
		const suffix = /\.([A-Za-z0-9]{1,16})$/.exec(file.name)?.[1] ?? 'bin';
		const start = { sessionId: newSessionId(), ts: Date.now(), mime, ext: ext ?? suffix.toLowerCase(), name: name.slice(0, 200) };
		await this.#idb?.putFile(start.sessionId, handle ?? file).catch(() => {}); // without it a reload needs the file again
		const row = { ...this.#row(start, start), file: fingerprint(file), ended: true };
		return this.#own(store, { row, held: store.held });
	}

	/** Takes that were thrown away when no server could hear of it. */
	async finishAborts() {
		for (const { row, store } of await this.#stored()) {
			if ((row.aborting ?? null) === null || row.server !== this.server) continue;
			const { sessionId } = row.start;
			const unlock = await this.#shared.locks.acquire(sessionId);
			if (!unlock) continue;
			const take = await this.#locked(unlock, store, sessionId, (left) => left && this.#run(store, left, unlock));
			if (!take) await unlock(); // another tab has done it
		}
	}

	async space() {
		const storage = globalThis.navigator?.storage;
		const estimate = await storage?.estimate?.().catch(() => null) ?? {};
		const { usage: usedBytes = null, quota: quotaBytes = null } = estimate;
		const leftBytes = usedBytes === null || quotaBytes === null ? null : Math.max(0, quotaBytes - usedBytes);
		return { usedBytes, quotaBytes, leftBytes, persisted: await storage?.persisted?.().catch(() => false) ?? false };
	}

	async persist() {
		return await globalThis.navigator?.storage?.persist?.() ?? false;
	}

	#link() {
		const { WebSocket, token } = this.#shared;
		if (WebSocket === NoWebSocket) throw new ApiError('no_websocket', NO_WEBSOCKET);
		return { server: this.server, token, WebSocket };
	}

	follow(options) {
		const follower = new Follower({ ...this.#link(), ...options }, () => this.#followers.delete(follower));
		this.#followers.add(follower);
		return follower;
	}

	followShow(show, { onChange }) {
		const follower = new ShowFollower({ ...this.#link(), api: this.api, show, onChange }, () => this.#followers.delete(follower));
		this.#followers.add(follower);
		return follower;
	}

	upload(data, options = {}) {
		const source = sourceOf(data, options);
		const known = this.#knownUpload(options.key ?? source.fingerprint, source.size);
		const upload = new Upload(this.#shared, source, { known, ...options }, (ended) => this.#uploads.delete(ended));
		this.#uploads.add(upload);
		return upload;
	}

	/** The id under which an earlier visit began it. null: nothing would tell it from others. */
	#knownUpload(key, size) {
		const storage = this.#storage;
		if (!key || size === null || !storage) return null;
		const name = `holdfast.upload ${this.server} ${key}`;
		const quietly = (work) => {
			try {
				return work() ?? null;
			} catch {
				return null; // no room: then a reload begins it anew
			}
		};
		return {
			get: () => quietly(() => storage.getItem(name)), set: (id) => quietly(() => storage.setItem(name, id)),
			forget: () => quietly(() => storage.removeItem(name)),
		};
	}

	batch(batchId, options = {}) {
		const batch = new Batch({ ...this.#link(), api: this.api, ...options, batchId }, () => this.#followers.delete(batch));
		this.#followers.add(batch);
		return batch;
	}

	reconnect() {
		for (const other of [...this.#takes.values(), ...this.#followers, ...this.#uploads]) other.reconnect();
	}

	async close() {
		globalThis.removeEventListener?.('online', this.#online);
		for (const follower of [...this.#followers]) follower.close();
		for (const upload of [...this.#uploads]) upload.release();
		await Promise.all([...this.#takes.values()].map((take) => take.release()));
		this.#shared.locks.close();
		for (const store of this.#stores.values()) await store.close();
	}
}
