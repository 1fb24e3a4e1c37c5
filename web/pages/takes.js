// The desk's picture of the recordings, without a page: what the link tells live and what was read page by page become one
// list, newest first, that never claims a recording which is gone. Also what state a recording is in, for people.

const FOLLOWED_LEAST = 100; // of all recordings the link tells at least so many, the newest, if there are as many

const byAge = (a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
const folded = (text) => text.normalize('NFC').toLocaleLowerCase();

export class Takes {
	#all = new Map(); // id → { take, heardAt }
	#followed = new Set(); // ids that the link told of, since it is live
	#sorted = null;

	get size() {
		return this.#all.size;
	}

	get(id) {
		return this.#all.get(id)?.take;
	}

	/** When the state came, by the clock that was given; the rest of a grace counts from there. */
	heardAt(id) {
		return this.#all.get(id)?.heardAt;
	}

	#put(take, now) {
		const known = this.#all.get(take.id);
		if (known?.take === take) return;
		this.#all.set(take.id, { take, heardAt: now });
		this.#sorted = null;
	}

	/**
	 * What the link shows now (newest first). Returns the ids that it does not show any more although it should: those are
	 * deleted. What is older than all that it shows may only have left its window: those are `unsure`, and kept.
	 */
	follow(recordings, now) {
		const shown = new Set(recordings.map(({ id }) => id));
		const oldest = recordings.at(-1);
		const gone = [];
		const unsure = [];
		for (const id of this.#followed) {
			const take = this.get(id);
			if (!take || shown.has(id)) continue;
			if (recordings.length >= FOLLOWED_LEAST && byAge(take, oldest) > 0) unsure.push(id);
			else gone.push(id);
		}
		for (const id of gone) this.remove(id);
		for (const take of recordings) this.#put(take, now);
		this.#followed = shown;
		return { gone, unsure };
	}

	/** A page of the list, read when the request was answered. What the link tells is newer. */
	page(items, now) {
		for (const take of items) {
			if (!this.#followed.has(take.id)) this.#put(take, now);
		}
	}

	/** Pages read anew from the newest on, down to the last of `items`: what is missing in them is gone. `all`: it is all there is. */
	refreshed(items, all, now) {
		const there = new Set(items.map(({ id }) => id));
		const oldest = items.at(-1);
		const gone = this.sorted().filter((take) => !there.has(take.id) && !this.#followed.has(take.id)
			&& (all || (oldest && byAge(take, oldest) < 0))).map(({ id }) => id);
		for (const id of gone) this.remove(id);
		this.page(items, now);
		return gone;
	}

	/** One recording, as the answer to a change of ours. */
	set(take, now) {
		this.#put(take, now);
	}

	remove(id) {
		this.#followed.delete(id);
		if (this.#all.delete(id)) this.#sorted = null;
	}

	sorted() {
		this.#sorted ??= [...this.#all.values()].map(({ take }) => take).sort(byAge);
		return this.#sorted;
	}

	/** Those of `show` (null: of all) whose name or reference has `search` in it, or that the server found for it (`hits`, ids). */
	found(search, hits, show = null) {
		const wanted = folded(search.trim());
		const all = show === null ? this.sorted() : this.sorted().filter((take) => take.show === show);
		if (wanted === '') return all;
		return all.filter((take) => hits.has(take.id) || [take.name, take.ref].some((text) => folded(text ?? '').includes(wanted)));
	}
}

/**
 * What a recording is doing, for people:
 *   live     somebody sends
 *   lost     the link is lost, the grace runs
 *   waiting  nobody sends, and no grace runs: an upload that comes back by itself, or storage is full
 *   saved    sealed: everything declared is on disk
 *   short    the same, but its link was lost and the server ended it
 *   failed   the server says why
 *   dropped  thrown away by its sender
 *   fetching the server gets it from elsewhere, or will when somebody asks for it
 */
export function kindOf(take) {
	switch (take.phase) {
	case 'uploading':
		if (take.fetch) return 'fetching';
		if (take.attached) return 'live';
		return typeof take.graceLeftMs === 'number' ? 'lost' : 'waiting';
	case 'error':
		return 'failed';
	case 'aborted':
		return 'dropped';
	default:
		return take.interrupted ? 'short' : 'saved';
	}
}

/** What the server could not get from elsewhere: nothing of it is served. */
export const fetchFailed = ({ phase, error }) => phase === 'error' && /^(source_|url_refused)/.test(error?.code ?? '');

/** Whether the bytes as received can be had. */
export const hasOriginal = (take) => take.bytes > 0 && !take.originalRemoved && !fetchFailed(take);

/** What is left of the grace; it stands still while nothing is heard. */
export function graceLeft(take, heardAt, now) {
	return Math.max(0, take.graceLeftMs - (now - heardAt));
}

/** A file's name for a download: the recording's, without what file systems dislike. `take.mime` gives its ending. */
export function fileName(take, track = null) {
	const clean = (take.name?.trim() || take.ref || '').replace(/[\u0000-\u001f\u007f<>:"/\\|?*]+/g, ' ').trim().replace(/^\.+|\.+$/g, '') || 'recording';
	const subtype = /^\w+\/([\w.+-]+)/.exec(take.mime ?? '')?.[1] ?? '';
	const ends = { webm: 'webm', mp4: 'mp4', ogg: 'ogg', mpeg: take.mime?.startsWith('audio') ? 'mp3' : 'mpg', wav: 'wav', 'x-wav': 'wav',
		'x-matroska': 'mkv', quicktime: 'mov', aac: 'aac', flac: 'flac', 'x-m4a': 'm4a' };
	const end = ends[subtype];
	const stem = track === null || track === 'main' ? clean : `${clean} ${track.replace(/[^\w-]+/g, '_')}`;
	return end && !stem.toLowerCase().endsWith(`.${end}`) ? `${stem}.${end}` : stem;
}
