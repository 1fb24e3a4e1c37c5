// A tab driven by the browser's own protocol: unlike a page of Playwright's it can be in the background.
import WebSocket from 'ws';
import { atEnd, until } from './server.mjs';

const SPY = `
	window.emitted = [];
	window.MediaRecorder = class extends MediaRecorder {
		constructor(...args) {
			super(...args);
			this.addEventListener('dataavailable', ({ data }) => window.emitted.push(data));
		}
	};
`;

export class RawTab {
	#socket;
	#asked = new Map();
	#next = 1;

	/** A tab at `url` in the browser that listens on `port`. */
	static async open(t, port, url) {
		const tab = new RawTab();
		tab.base = `http://127.0.0.1:${port}/json`;
		const { id, webSocketDebuggerUrl } = await (await fetch(`${tab.base}/new?about:blank`, { method: 'PUT' })).json();
		tab.id = id;
		tab.#socket = new WebSocket(webSocketDebuggerUrl);
		atEnd(t, () => tab.#socket.terminate());
		await new Promise((resolve, reject) => {
			tab.#socket.on('open', resolve);
			tab.#socket.on('error', reject);
		});
		tab.#socket.on('message', (text) => {
			const { id: answered, result, error } = JSON.parse(text);
			const asked = tab.#asked.get(answered);
			tab.#asked.delete(answered);
			if (error) asked?.reject(new Error(error.message));
			else asked?.resolve(result);
		});
		await tab.send('Page.enable');
		await tab.send('Page.addScriptToEvaluateOnNewDocument', { source: SPY });
		await tab.send('Page.navigate', { url });
		return tab;
	}

	send(method, params = {}) {
		const id = this.#next++;
		this.#socket.send(JSON.stringify({ id, method, params }));
		return new Promise((resolve, reject) => this.#asked.set(id, { resolve, reject }));
	}

	async evaluate(expression) {
		const { result, exceptionDetails } = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
		if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
		return result.value;
	}

	until(expression) {
		return until(() => this.evaluate(expression), 30_000, expression);
	}

	/** Brings it to the front; the one that was there is hidden. */
	async activate() {
		await (await fetch(`${this.base}/activate/${this.id}`)).text();
	}
}
