// @holdfast/client: takes recordings and files to a Holdfast server and keeps every byte until the server has it on disk.
// Knows nothing of pages: no sentence for people is made here except those that the server itself sent (`message`).

/** A code of docs/protocol.md, or one of this client's own (see `Problem` and `TakeState.reason`). */
export type Code = string;

export interface ClientOptions {
	/** The server's address, for instance `https://192.168.1.5:8443`. Default: the page's own origin. */
	server?: string;
	/** The token, or a function that gives the present one (asked before each `start` and each request). null: none. */
	token?: string | null | (() => string | null);
	/** Names the stores on the device. Clients of one origin that use the same name share their takes. Default `holdfast`. */
	storeName?: string;
	/** Kinds of store to try, in this order. Default `['opfs', 'indexeddb', 'memory']`. In Node: see node.d.ts. */
	stores?: (KeptIn | object)[];
	/** Where the ids of uploads are remembered for the next visit. Default: localStorage, if there is one. null: nowhere. */
	uploads?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | null;
	/** Where `store-worker.js` is served, if not beside this module (bundlers). Without it OPFS can't be used. */
	workerUrl?: string | URL;
	/** Bytes of a take that may wait in memory while the device is full. Default 64 MiB; with no store at all 1 GiB for all takes. */
	memoryLimitBytes?: number;
	/** Of Node before 22: that of the package `ws`. Without one, only upload() and `api` work. */
	WebSocket?: WebSocketLike;
	fetch?: typeof globalThis.fetch;
}

/** What is needed of a WebSocket class: the browser's, Node's, and that of `ws` have it. */
export type WebSocketLike = new (url: string, protocol: string) => object;

/**
 * `opfs`, `indexeddb`: survives reload, crash and kill. `directory`: the same, in Node. `file`: the user's own File is read again. `memory`: dies
 * with the page.
 */
export type KeptIn = 'opfs' | 'indexeddb' | 'directory' | 'file' | 'memory';

/** Opens the stores of this device. Give-ups of takes (`abort`) that no server has heard of yet are sent in the background. */
export function openClient(options?: ClientOptions): Promise<Client>;

export interface Client {
	readonly server: string;
	/** Where new takes are kept. `memory` only if nothing else works: say so to the user. */
	readonly keptIn: KeptIn;
	/** Why not in something better: what the better store answered. null if the first choice works. */
	readonly keptInReason: string | null;
	readonly api: Api;

	/** Begins a take. Nothing needs to be connected: bytes are kept, and sent when there is a server. */
	begin(start: StartOptions): Promise<Take>;
	/** What is neither saved nor aborted, on this device, for every server; newest first. Takes with a `problem` are included. */
	unfinished(): Promise<UnfinishedTake[]>;
	/**
	 * Goes on with an unfinished take: it connects and sends what is kept by itself. Then `end()` it, or `part()` and write on.
	 * If another tab owns it, the take is `standby` until that tab goes (or `signal` aborts): see TakeState.link.
	 * Rejects with `unknown_take` if this device does not know it, `other_server` if it is another server's, and for a file with
	 * `file_permission` (call it in a click), `file_changed` or `file_unreadable`.
	 * `onAir`: a take of a show goes on air with it. Without that it is only recorded to its end (one that is at work stays as it is).
	 */
	resume(sessionId: string, options?: { signal?: AbortSignal; onAir?: boolean }): Promise<Take>;
	/** What is still kept of an unfinished take, without resuming it; see Take.localCopy. */
	localCopy(sessionId: string): Promise<LocalCopy>;
	/** Forgets a take on this device. What the server has of it stays there. Rejects with `busy` while another tab owns it. */
	discard(sessionId: string): Promise<void>;
	/**
	 * Sends a file. It is not copied while it can be read again; for a reload its handle (if given), else the File, is put into
	 * IndexedDB. A file that was begun before and not finished (same name, size and date) goes on where it was.
	 */
	sendFile(file: File, options?: FileOptions): Promise<Take>;
	/**
	 * A file to /files/, by tus: a File, a Blob, bytes, a stream (or anything that is iterated over and gives bytes), in Node what openFile() gives.
	 * Begins at once and goes on by itself over lost links and restarts of the server. What was begun before and is the same (a File's name, size
	 * and date; an openFile()'s path, size and date; `key`) goes on where it was. Nothing of it is held longer than one request.
	 */
	upload(data: Blob | BufferSource | AsyncIterable<Uint8Array | string> | Iterable<Uint8Array> | UploadSource, options?: UploadOptions): Upload;
	/** A set of items, under a name of your own; it is made on the server if it is not there. */
	batch(batchId: string, options?: BatchOptions): Batch;
	/** navigator.storage.persist() and estimate(). */
	space(): Promise<DeviceSpace>;
	/** Asks the browser not to evict what is kept. true: granted. Also asked by begin(). */
	persist(): Promise<boolean>;
	follow(options: FollowOptions): Follower;
	/** One show, on air or not. */
	followShow(show: string, options: { onChange: (view: ShowView) => void }): ShowFollower;
	/** Try now instead of waiting: the user asked, or the network is known to be back (the `online` event is heard by itself). */
	reconnect(): void;
	/** Lets go of all takes, locks and stores. What is kept stays for the next visit. */
	close(): Promise<void>;
}

export interface UploadOptions {
	/** Default: the file's. */
	name?: string;
	mime?: string;
	/** More Upload-Metadata. */
	metadata?: Record<string, string | number>;
	/** Tells it again after a reload; default: see Client.upload. Streams have none of their own, and need `size` for it. */
	key?: string;
	/** Of a stream, if it is known. */
	size?: number;
	/** A MIME type for a stream. */
	type?: string;
	/** It fills this upload or batch's item (Ack.id) instead of one of its own. */
	id?: string;
	/** With `id`: what the server has of it, where that is known (0 if Ack.isNew). It is asked otherwise. */
	bytes?: number | null;
}

/** For sources of your own. `fingerprint` tells it from all others, or is null; read() is asked again for what did not arrive. */
export interface UploadSource {
	name: string;
	type: string;
	size: number | null;
	fingerprint: string | null;
	/** Shorter only at the end. */
	read(from: number, to: number): Promise<Blob | Uint8Array>;
}

export interface Upload {
	readonly id: string | null;
	/** The newest state; a new object at each change. */
	readonly state: UploadState;
	/** Calls back now and at every change. Returns what unsubscribes. */
	onState(listener: (state: UploadState) => void): () => void;
	/** Resolves when state.done, whatever the end was: look at it. */
	whenDone(): Promise<UploadState>;
	/** Try now instead of waiting; or again, after a problem that is `resumable`. */
	reconnect(): void;
	/** Stops. What has arrived stays on the server until its time is over; upload() goes on with it. */
	release(): void;
	/** The server throws it away. */
	abort(): Promise<void>;
}

export interface UploadState {
	/** As TakeState.link. `saved`: the server has all of it on its disk; what becomes of the recording then, `api.get(id)` or follow() tell. */
	link: 'connecting' | 'sending' | 'waiting' | 'saved' | 'aborted' | 'stopped' | 'released';
	done: boolean;
	/** The recording's id, once known. */
	id: string | null;
	/** null: not known yet. */
	size: number | null;
	/** On the server's disk. */
	bytes: number;
	/** Why it waits: a code of the protocol, `network` or `timeout`. */
	reason: Code | null;
	message: string;
	/** When the next attempt is due (Date.now's clock). */
	retryAt: number | null;
	/** Attempts in a row that brought nothing. */
	failures: number;
	/**
	 * Why it is `stopped`: a code of the protocol that is final, or `file_changed`, `file_unreadable`, `length_mismatch` (the server has another
	 * file under this id). `resumable`: reconnect() may help.
	 */
	problem: { code: Code; message: string; resumable: boolean } | null;
}

export interface BatchOptions {
	/** How many items it will have: it is complete when so many have ended. Without it, it stays open. */
	total?: number;
	name?: string;
	/** It must be there; it is followed (and added to), and not made. */
	existing?: boolean;
	/** At every change of `view`, at most once a turn of the event loop. */
	onChange?: (view: BatchView) => void;
	/** An item that changed, since the link is live. */
	onItem?: (recording: Recording) => void;
	/** The link is live (again): what changed before is in items(). */
	onLive?: () => void;
}

export interface Batch {
	readonly batchId: string;
	readonly view: BatchView;
	/**
	 * Sends them in slices of 100, all up front, and again after a reconnect until they are acknowledged. Resolves when all are, in their order. An
	 * item whose key is there already is acknowledged with what it has come to. Never rejects because of an item: see Ack.error.
	 */
	add(items: BatchItem[]): Promise<Ack[]>;
	/** Its items as the server has them now, the newest first, a page at a time. */
	items(options?: { phase?: string }): AsyncIterable<Recording>;
	reconnect(): void;
	/** What is not acknowledged yet is let go of (`released`). */
	close(): void;
}

export interface BatchItem {
	/** Unique in the batch, at most 200 characters: the same key is the same item. */
	key: string;
	name?: string;
	mime?: string;
	ext?: string;
	/** The server fetches it. Without one it waits for its bytes: upload(file, { id }). */
	sourceUrl?: string;
	/** The length of an upload. */
	bytes?: number;
	meta?: Record<string, unknown>;
}

export interface Ack {
	key: string;
	/** The recording's. null: it was refused. */
	id: string | null;
	/** Its phase as it is now. */
	status: Recording['phase'] | null;
	isNew: boolean;
	/** Why this item was refused (`item_differs`, `url_refused`, `bad_field`, or what its slice was refused for). */
	error?: { code: Code; message: string };
}

export interface BatchView {
	/** `live`: `batch` is up to date. */
	link: 'connecting' | 'live' | 'waiting' | 'stopped';
	/** Why it waits or has stopped; also `rate_limited` while it is live and slices wait. */
	reason: Code | null;
	message: string;
	retryAt: number | null;
	batch: BatchStatus | null;
	/** Items that were added and are not acknowledged. */
	unsent: number;
}

export interface BatchStatus {
	id: string;
	name: string | null;
	total: number | null;
	/** By phase. */
	counts: Record<string, number>;
	items: number;
	ended: number;
	failed: number;
	complete: boolean;
	completedAt: number | null;
	errors: { code: Code; count: number }[];
	createdAt: number;
	updatedAt: number;
}

export interface StartOptions {
	/** 1 to 200 characters; made here (128 random bits) if not given. */
	sessionId?: string;
	mime: string;
	ext: string;
	name?: string;
	/** When it was begun, ms since 1970. Default: now. */
	ts?: number;
	track?: string;
	tracks?: string[];
	/** The show that goes on air with it, at once. */
	show?: string;
}

export interface FileOptions {
	/** Default: the file's name. */
	name?: string;
	ext?: string;
	mime?: string;
	/** A handle of the file (file picker): kept instead of the file. */
	handle?: FileSystemFileHandle;
}

export interface Take {
	readonly sessionId: string;
	/** The show that it was begun for, else null. */
	readonly show: string | null;
	/** The newest state; a new object at each change, never changed itself. */
	readonly state: TakeState;
	/** Calls back now and at every change (changes within one turn are told once). Returns what unsubscribes. */
	onState(listener: (state: TakeState) => void): () => void;
	/**
	 * Bytes in the order of the calls. Resolves when they are kept (on the device; while it is full: in memory).
	 * Need not be awaited: order is kept, and end() waits for the last one. A Uint8Array must not be changed afterwards.
	 * Rejects with `memory_full` (device full and no link: stop the recorder, then end(); what was kept before is safe), with
	 * `unreadable` (the Blob could not be read: the take can be ended before it, no later bytes are taken: there are no gaps),
	 * with `ended`, or with `state.problem`'s code.
	 */
	write(bytes: Blob | ArrayBuffer | Uint8Array): Promise<void>;
	/**
	 * What comes now begins with a container header of its own, as after a reload: the next part of the same take.
	 * To be called before its first write. mime and ext may differ; they are kept with the part.
	 */
	part(options?: { mime?: string; ext?: string }): void;
	/**
	 * No more bytes come (those written before are awaited). Resolves when the end is noted on the device: from here on the rest
	 * needs no user, `whenDone` tells. May be called in any state but done.
	 */
	end(): Promise<void>;
	/** Throws the take away, here and on the server, as soon as that can be reached; it is not listed any more. */
	abort(reason?: string): Promise<void>;
	/** Resolves when state.done, whatever the end was: look at it. */
	whenDone(): Promise<TakeState>;
	/** The bytes that this device still has. Works in every state, also when `problem` is set; changes nothing. */
	localCopy(): Promise<LocalCopy>;
	/** Stops working on it and lets other tabs have it. Everything stays kept. */
	release(): Promise<void>;
	/** Forgets it on this device, also after a problem. What the server has stays there. */
	discard(): Promise<void>;
	/** `onAir`: it goes on air (or off, and is recorded to its end), if it was begun for a show. */
	reconnect(options?: { onAir?: boolean }): void;
}

/**
 * idle        not connected: nothing to do
 * standby     another tab owns the take; this one takes over when that goes
 * connecting  a connection is being made, or `start` waits for its answer
 * sending     attached
 * waiting     for the next attempt, at `retryAt`; `reason` says why
 * saved       sealed on the server; final
 * aborted     thrown away by abort(); final
 * stopped     it will not go on by itself; `problem` says why, and nothing was thrown away; final
 * released    release() or close() was called; final for this object
 */
export type Link = 'idle' | 'standby' | 'connecting' | 'sending' | 'waiting' | 'saved' | 'aborted' | 'stopped' | 'released';

export interface TakeState {
	sessionId: string;
	link: Link;
	/** saved, aborted, stopped or released. */
	done: boolean;
	/** The recording's id on the server, once known. */
	id: string | null;
	/** Handed to write(), its conversion finished. For a file: its size. */
	emittedBytes: number;
	/** Of those: on this device's disk or on the server's. What a crash of the page would leave. emitted - kept is at risk. */
	keptBytes: number;
	/** Of those: on the server's disk. */
	safeBytes: number;
	/** How far it was read, to be sent: above safeBytes is what is on its way, or was when the link dropped. */
	readBytes: number;
	/** Bytes on this device that the server has not confirmed: keptBytes - safeBytes. */
	unsentBytes: number;
	keptIn: KeptIn;
	/** The device has no room (or its store fails): new bytes wait in memory (up to memoryLimitBytes) until the server has them. */
	deviceFull: boolean;
	/** Of emittedBytes: in memory only, on neither disk. */
	memoryBytes: number;
	/** write() refuses: memoryLimitBytes is reached, or a Blob could not be read. */
	writeRefused: 'memory_full' | 'unreadable' | null;
	/** end() was called (in this or an earlier page). */
	ended: boolean;
	/** Parts so far, 1 or more. */
	parts: number;
	/** Why it waits: a code of the protocol, or `network`, `closed`, `timeout`, `silence`, `protocol`. Kept until the next progress. */
	reason: Code | null;
	/** What the server said with it; '' if nothing. */
	message: string;
	/** When the next attempt is due (Date.now's clock); null if none is planned. */
	retryAt: number | null;
	reconnects: number;
	problem: Problem | null;
	/** Set when saved. */
	saved: { id: string; bytes: number; sha256: string; url: string } | null;
	/** It is to be on air: begun for a show, and not only recorded to its end. */
	onAir: boolean;
	/** What the server last said of its show. While `show.recording` is `recording_failed` it is broadcast, and in no recording. */
	show: Show | null;
	/** The version of the show that it is recorded as; null before that is known, and without a show. */
	version: number | null;
	/** While the link is lost: the show stays on air at least until then (Date.now's clock). */
	graceEndsAt: number | null;
	/** The version that it is recorded as since the server could record again; null: that was no question. */
	recordedAgain: number | null;
	/** Of safeBytes: were broadcast, but are in no recording, because the server's storage had failed. */
	unrecordedBytes: number;
}

/**
 * Why a take stopped. Codes of the protocol that are final (`taken_over`, `position_conflict`, `deleted`, `aborted`, `unauthorized`,
 * `token_expired`, `token_revoked`, `forbidden_scope`, `quota_exceeded`, `sealed`, `total_mismatch`, `checksum_mismatch`, …), or:
 *   server_has_more   the server holds bytes that this device never gave: not the same take
 *   saved_short       finished from elsewhere with fewer bytes than are kept here
 *   sealed            finished from elsewhere while it was being recorded: what the server has is all that was kept by then
 *   unknown_take      another tab finished or discarded it while this one waited
 *   taken_over_here   another tab of this device took it (only where Web Locks are missing)
 *   file_unreadable, file_changed, file_permission   of sendFile
 *   store_failed      the device's store can't be read
 *   show_ended        the show was stopped from elsewhere
 *   not_recorded      the show was ended while it was not recorded: what follows safeBytes is on this device alone
 * Of a show also `show_on_air` (somebody else is on air) and `show_stopped` (it was stopped while this start waited).
 * `unauthorized`, `token_*`, `forbidden_scope`, `file_unreadable`, `store_failed` and `show_*` are over when their cause is (`resumable`): reconnect().
 * resume() tries again whatever the problem was, also after `taken_over`.
 */
export interface Problem {
	code: Code;
	message: string;
	/** The server's byte count, where it told one. */
	serverBytes: number | null;
	/** reconnect() may help: the cause can be mended. */
	resumable: boolean;
}

export interface UnfinishedTake {
	sessionId: string;
	server: string;
	/** It belongs to this client's server, so resume() will work. */
	here: boolean;
	id: string | null;
	name: string;
	mime: string;
	ext: string;
	/** When it was begun (`ts`), ms since 1970. */
	begunAt: number;
	/** Last byte kept or confirmed, ms since 1970; begunAt if not known. */
	changedAt: number;
	/** As in TakeState; safeBytes as last heard, so possibly too low. */
	keptBytes: number;
	safeBytes: number;
	/** Bytes that can be had by localCopy(). */
	heldBytes: number;
	keptIn: KeptIn;
	parts: number;
	/** Its end was declared: resume() is all it needs. */
	ended: boolean;
	/** A tab (`other`, or this client: `here`) works on it now. */
	owner: 'here' | 'other' | null;
	problem: Problem | null;
	/** The file's name for sendFile(), else null. */
	file: string | null;
	show: string | null;
}

export interface LocalCopy {
	/** Position in the take of the first byte. 0: the copy is whole. Above: what is below was confirmed by the server and dropped here. */
	from: number;
	bytes: number;
	mime: string;
	ext: string;
	/** Positions in the take at which a new part (a container header of its own) begins. */
	parts: number[];
	/** Reads from the disk as it is read; also of 10 GB. */
	stream(): ReadableStream<Uint8Array>;
	/** The same as a Blob; made of the device's files where it can. */
	blob(): Promise<Blob>;
}

export interface DeviceSpace {
	/** null: the browser does not tell. */
	usedBytes: number | null;
	quotaBytes: number | null;
	leftBytes: number | null;
	persisted: boolean;
}

export interface FollowOptions {
	/** All recordings this token may see, or one. Default: all. */
	id?: string;
	/** Called at every change, at most once a turn of the event loop. */
	onChange: (view: FollowerView) => void;
}

export interface FollowerView {
	/** `live`: what is shown is up to date. `waiting`: the link is lost, shown is what was last heard. */
	link: 'connecting' | 'live' | 'waiting' | 'stopped';
	reason: Code | null;
	message: string;
	retryAt: number | null;
	/** Newest first. Deleted ones are gone. */
	recordings: Recording[];
	server: ServerStatus | null;
}

export interface Follower {
	readonly view: FollowerView;
	reconnect(): void;
	close(): void;
}

/** A named place on air. */
export interface Show {
	show: string;
	/** `waiting`: its host's link is lost, and may come back for `graceLeftMs`. */
	state: 'off' | 'live' | 'waiting';
	/** Of the present recording, off air of the last one; 0 and null if there never was one. */
	version: number;
	id: string | null;
	since: number | null;
	graceLeftMs: number | null;
	/** `recording_failed`: on air all the same; `error` says why. */
	recording: 'recording' | 'none' | 'recording_failed';
	error: { code: Code; message: string } | null;
	/** Off air it has none of these. */
	owner: string | null;
	name: string | null;
	mime: string | null;
	/** Of what plays; '' if nobody said. */
	title: string;
	listeners: number;
}

export interface ShowView {
	/** `polling`: asked for every few seconds, because there is no live link. */
	link: 'connecting' | 'live' | 'polling' | 'waiting' | 'stopped';
	reason: Code | null;
	message: string;
	retryAt: number | null;
	/** null before the first answer. */
	show: Show | null;
}

export interface ShowFollower {
	readonly view: ShowView;
	reconnect(): void;
	close(): void;
}

export interface ServerStatus {
	freeBytes: number;
	totalBytes: number;
	reserveBytes: number;
	/** Attached takes. */
	recordings: number;
}

export interface Recording {
	id: string;
	/** null for who may read it and not change it. */
	sessionId: string | null;
	name: string | null;
	owner: string;
	phase: 'uploading' | 'queued' | 'processing' | 'generating_thumbnail' | 'complete' | 'error' | 'aborted' | 'deleted';
	attached: boolean;
	interrupted: boolean;
	revision: number;
	bytes: number;
	/** Of the bytes as received, of a recording of one track; of a file by /files/ not before it is finished. */
	sha256: string | null;
	mime: string;
	error: { code: Code; message: string } | null;
	tracks: { track: string; bytes: number; attached: boolean; sealed: boolean }[];
	createdAt: number;
	updatedAt: number;
	graceLeftMs: number | null;
	/** Of finishing (or fetching) it: attempts taken of those that it has, and how much of the present one is done, 0 to 1. */
	attempt: number;
	attempts: number;
	progress: number | null;
	/** Of an attempt that failed, while it is tried again. */
	lastError: { code: Code; message: string } | null;
	/** The newest finished file. `asIs`: the bytes as they were received. */
	file: { revision: number; bytes: number; mime: string; duration: number | null; asIs: boolean; thumbnail: boolean; waveform: boolean } | null;
	/** Of `file`, in seconds. */
	duration: number | null;
	warnings: { code: Code; message: string }[];
	sourceUrl: string | null;
	fetch: 'now' | 'on_demand' | null;
	/** Its way to a bucket; `key` is the object's name there, `error` of the last attempt. null: none is asked for. */
	push: { state: 'queued' | 'pushing' | 'done' | 'failed'; revision: number; key: string | null; error: { code: Code; message: string } | null } | null;
	originalRemoved: boolean;
	/** The show that it is a version of. */
	show: string | null;
	version: number | null;
	/** It comes by upload(), until it is whole. */
	upload: { length: number | null; expiresAt: number } | null;
	/** The batch that it is an item of, and its key there. */
	batch: string | null;
	key: string | null;
}

/** What a recording has, each with an address of its own. */
export type Resource = 'file' | 'original' | 'thumbnail' | 'waveform';

/** The answer to Api.ask: 200 or 206 it is there, 202 not yet, 404 and 410 never, 500 broken. */
export interface FileAnswer {
	status: number;
	code: Code | null;
	message: string;
	phase: Recording['phase'] | null;
	attempt: number | null;
	attempts: number | null;
	progress: number | null;
	/** Seconds. */
	retryAfter: number | null;
}

/** Every call rejects with ApiError. `id`: the recording's id, `session:` and the take's own name, or `ref:` and its maker's. */
export interface Api {
	server(): Promise<{
		version: string; time: number; freeBytes: number; totalBytes: number; reserveBytes: number; secure: boolean; lan: boolean;
		grant: { subject: string; scopes: string[]; local: boolean; expiresAt: number | null };
	}>;
	list(options?: { before?: string; search?: string; phase?: string; show?: string; batch?: string }): Promise<{ items: Recording[]; next: string | null }>;
	get(id: string): Promise<Recording>;
	rename(id: string, name: string): Promise<Recording>;
	delete(id: string): Promise<void>;
	/** An old server's 409 without a problem `code` counts as success: `{status: 'alreadyComplete', phase: null}`. */
	complete(id: string, tracks?: { track: string; bytes: number; sha256?: string }[]): Promise<{ status: string; phase: string | null }>;
	/** Whether it is there. Every answer is one; it rejects only where there was none. */
	ask(id: string, what?: Resource): Promise<FileAnswer>;
	waveform(id: string): Promise<{ version: 1; duration: number; perSecond: number; peaks: number[] }>;
	sign(id: string, options?: { what?: Resource; track?: string }): Promise<{ url: string; expiresAt: number }>;
	/** One pairing. `nonce` is made here and kept over the tries of this call: a lost reply is asked for again. */
	pair(pairing: string, options?: { nonce?: string; device?: string; token?: string | null }):
		Promise<{ token: string; subject: string; scopes: string[]; expiresAt: number }>;
	/** It is there already: the same object. With another total or name: `exists`. */
	createBatch(batchId: string, options?: { total?: number; name?: string }): Promise<BatchStatus>;
	batch(batchId: string): Promise<BatchStatus>;
	batches(): Promise<{ items: BatchStatus[]; next: string | null }>;
	/** What is on air. */
	shows(): Promise<{ items: Show[] }>;
	show(show: string): Promise<Show>;
	/** Off the air at once; null: it never was on it. */
	stopShow(show: string): Promise<{ stopped: { show: string; version: number; id: string } | null }>;
	/** The address of its stream for a media element, which can't send a token. */
	signShow(show: string): Promise<{ url: string; expiresAt: number }>;
	liveUrl(show: string): string;
	lan(): Promise<Record<string, unknown>>;
	trust(): Promise<Record<string, unknown>>;
	/** Anything else: JSON in, JSON out, with the token. */
	request(method: string, path: string, body?: unknown): Promise<unknown>;
	/** The address of what a recording has (with a token: sign() it for a media element). */
	url(id: string, what: Resource, track?: string): string;
	originalUrl(id: string, track?: string): string;
}

/** Thrown by Api and by Client and Take (there `status` is 0). */
export class ApiError extends Error {
	/** The problem's code; `network` (no answer), `timeout`, `http_N` (an answer without a code) or `unknown_take`, `busy` … */
	readonly code: Code;
	/** HTTP status; 0: there was no answer. */
	readonly status: number;
	/** Whether the same thing may work later. */
	readonly retry: boolean;
	/** Seconds until the same may work, where the server said so. */
	readonly retryAfter?: number | null;
	/** What the server said for people, or the last real error in words. */
	readonly message: string;
	readonly cause?: unknown;
}

/** A name for a take that no one else uses: 128 random bits, also over plain http. */
export function newSessionId(): string;
export const SUBPROTOCOL: 'holdfast.v1';
