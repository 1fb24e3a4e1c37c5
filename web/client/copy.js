// What this device still has of a take, as one Blob: to be saved when the server stays away.

/** A LocalCopy (index.d.ts) of what the ledger says is here. Nothing is read before it is asked for. */
export function copyOf(store, id, ledger) {
	const stretch = ledger.stretch();
	const { mime, ext } = ledger.parts[0];
	const sizeOf = ({ from, kept, chunks }) => kept - from + chunks.reduce((sum, bytes) => sum + bytes.byteLength, 0);
	async function blob() {
		const pieces = [];
		for (const { number, from, kept, chunks } of stretch) {
			if (from < kept) pieces.push(...await store.blobs(id, number, from, kept));
			pieces.push(...chunks);
		}
		return new Blob(pieces, { type: mime });
	}
	return {
		from: stretch[0].at,
		bytes: stretch.reduce((sum, part) => sum + sizeOf(part), 0),
		mime,
		ext,
		parts: stretch.filter((part) => part.at > 0 && part.from === 0 && sizeOf(part) > 0).map(({ at }) => at),
		blob,
		stream() {
			let reader = null;
			return new ReadableStream({
				async pull(controller) {
					reader ??= (await blob()).stream().getReader();
					const { done, value } = await reader.read();
					if (done) controller.close();
					else controller.enqueue(value);
				},
				cancel: (reason) => reader?.cancel(reason),
			});
		},
	};
}
