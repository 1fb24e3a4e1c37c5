// The camera app's way: files that the device has, or that its own app records now, sent like takes. It needs no https.
import { at, setText } from './ui.js';
import { record as texts } from './texts.js';

/** `onTake` gets each file's take, `onError` a sentence. */
export class Files {
	#client;
	#onTake;
	#onError;

	constructor({ client, onTake, onError }) {
		this.#client = client;
		this.#onTake = onTake;
		this.#onError = onError;
		for (const id of ['file-video', 'file-audio', 'file-any']) at(id).addEventListener('change', (event) => this.#chosen(event.target));
	}

	show(insecure) {
		setText(at('files-title'), insecure ? texts.files.insecureHeading : texts.files.secureHeading);
		setText(at('files-text'), insecure ? texts.files.insecure : texts.files.secure);
		for (const id of ['file-video', 'file-audio']) at(id).closest('label').hidden = !insecure;
	}

	async #chosen(input) {
		for (const file of input.files) {
			if (file.size === 0) this.#onError(texts.files.empty(file.name));
			else await this.#send(file);
		}
		input.value = ''; // the same file may be chosen again
	}

	async #send(file) {
		try {
			await this.#onTake(await this.#client.sendFile(file));
		} catch (error) {
			this.#onError(texts.files.failed(file.name, error.message));
		}
	}
}
