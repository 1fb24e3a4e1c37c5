// The token that this browser was given, or none: then the server takes the page for what its address says.
//
// localStorage answers at once, but reaches the disk seconds later: a browser that is killed soon after it was paired would have forgotten
// who it is, and with that whose its takes are. So a copy stands in IndexedDB, and is on the disk when keepToken has resolved.
const TOKEN = 'holdfast.token';
const COPY = 'token'; // the only store, and the only key in it
const COPY_WAIT_MS = 2000; // a browser whose IndexedDB does not answer holds nothing up

let unsaved = null; // where the browser keeps nothing

const done = (request) => new Promise((resolve, reject) => {
	request.onsuccess = () => resolve(request.result);
	request.onerror = () => reject(request.error);
});

/** What `work` finds or does with the copy; null where there can be none. */
async function withCopy(mode, work) {
	let database = null;
	try {
		const opening = indexedDB.open(TOKEN, 1);
		opening.onupgradeneeded = () => opening.result.createObjectStore(COPY);
		database = await done(opening);
		const transaction = database.transaction(COPY, mode, { durability: 'strict' });
		const finished = new Promise((resolve, reject) => {
			transaction.oncomplete = resolve;
			transaction.onabort = () => reject(transaction.error);
		});
		finished.catch(() => {}); // it is waited for below, if it comes to that
		const request = work(transaction.objectStore(COPY));
		await finished;
		return request.result ?? null;
	} catch {
		return null;
	} finally {
		database?.close();
	}
}

const soon = (promise) => Promise.race([promise, new Promise((resolve) => setTimeout(resolve, COPY_WAIT_MS, null))]);

export function readToken() {
	try {
		return localStorage.getItem(TOKEN) ?? unsaved;
	} catch {
		return unsaved;
	}
}

function set(token) {
	unsaved = token;
	try {
		if (token === null) localStorage.removeItem(TOKEN);
		else localStorage.setItem(TOKEN, token);
	} catch {
		// it lasts as long as the page
	}
}

/** readToken has it at once; null forgets it. */
export async function keepToken(token) {
	set(token);
	await soon(withCopy('readwrite', (store) => (token === null ? store.delete(COPY) : store.put(token, COPY))));
}

/** To be called before a page asks for the token: brings back one that localStorage has lost. */
export async function restoreToken() {
	if (readToken() !== null) return;
	const token = await soon(withCopy('readonly', (store) => store.get(COPY)));
	if (token !== null && readToken() === null) set(token);
}
