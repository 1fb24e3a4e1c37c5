// How fast a recording grows, and how many minutes fit into what is free: here on the device and there on the server.

const WINDOW_MS = 60_000; // long enough to smooth keyframes, short enough to follow a change of scene
const STEP_MS = 1000; // samples are at least so far apart, so that their number is bounded
const TRUST_MS = 3000; // a container's header and the first pieces say little

/** What recordings usually take, in bytes a second, for before there is a measurement: the browsers' own defaults. */
export const USUAL_RATE = { audio: 16_000, video: 330_000 };

export class Rate {
	#samples = []; // { at, bytes }, oldest first

	/** `at`: recorded time in ms (pauses don't count); `bytes`: all that was recorded until then. */
	add(at, bytes) {
		const last = this.#samples.at(-1);
		if (last && at - last.at < STEP_MS) return;
		this.#samples.push({ at, bytes });
		while (this.#samples.length > 2 && at - this.#samples[1].at >= WINDOW_MS) this.#samples.shift();
	}

	get size() {
		return this.#samples.length;
	}

	/** Bytes a second over the last minute; null while there is too little to tell. */
	get perSecond() {
		const first = this.#samples[0];
		const last = this.#samples.at(-1);
		if (!first || last.at - first.at < TRUST_MS) return null;
		return (last.bytes - first.bytes) * 1000 / (last.at - first.at);
	}
}

/** Whole minutes that fit into `freeBytes`; null when either number is not known. */
export function minutesLeft(freeBytes, perSecond) {
	if (!Number.isFinite(freeBytes) || !(perSecond > 0)) return null;
	return Math.max(0, Math.floor(freeBytes / perSecond / 60));
}

/** What the server has for recordings, of its `GET /api/server` or its status; null where it does not say. */
export function freeThere(server) {
	if (!Number.isFinite(server?.freeBytes)) return null;
	return Math.max(0, server.freeBytes - (server.reserveBytes ?? 0));
}
