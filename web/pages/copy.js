// Hands the bytes that are left on this device over to the person, as a download.
import { timeText } from './ui.js';

const FORBIDDEN = /[\\/:*?"<>|\u0000-\u001f]+/g; // in names of files, on one system or another
const NAME_MAX = 80;
const GONE_MS = 60_000; // the browser has opened it by then

/** `from` above 0: what is before it is on the server, and the name says so. */
export function copyName({ name, begunAt, from, ext }) {
	const date = new Date(begunAt);
	const two = (n) => String(n).padStart(2, '0');
	const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
	const title = (name || `Take ${day} ${timeText(begunAt)}`).replace(FORBIDDEN, '.').slice(0, NAME_MAX);
	return from > 0 ? `${title} (from byte ${from}).${ext}` : `${title}.${ext}`;
}

/** `copy` is a LocalCopy. Resolves with it once the browser was given the bytes. */
export async function saveCopy(copy, { name, begunAt }) {
	const url = URL.createObjectURL(await copy.blob());
	const link = document.createElement('a');
	link.href = url;
	link.download = copyName({ name, begunAt, from: copy.from, ext: copy.ext });
	document.body.append(link);
	link.click();
	link.remove();
	setTimeout(() => URL.revokeObjectURL(url), GONE_MS);
	return copy;
}
