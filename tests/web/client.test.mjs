// What a page's client does with a take that another tab had meanwhile: on stores that a test holds in its hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openClient } from '../../web/client/client.js';
import { FileStore, fingerprint } from '../../web/client/store-file.js';
import { IdbStore } from '../../web/client/store-idb.js';
import { MemoryStore } from '../../web/client/stores.js';

/** A link on which nobody ever answers. */
class Silence {
	send() {}
	close() {}
}

/** A device's store that several tabs share, in place of IndexedDB. */
class SharedStore extends MemoryStore {
	kind = 'indexeddb';
	files = new Map();
	leases = new Map();
	beforeLoad = () => {}; // a test's last word before a row is read
	fence() {}
	async leaseOf(id) {
		return this.leases.get(id) ?? null;
	}
	async lease(id, expected, owner) {
		await this.beforeLease?.(id);
		if ((this.leases.get(id) ?? null) !== expected) return this.leases.get(id);
		if (owner === null) this.leases.delete(id);
		else this.leases.set(id, owner);
		return owner;
	}
	async load(id) {
		await this.beforeLoad(id);
		return super.load(id);
	}
	async putFile(id, file) {
		this.files.set(id, file);
	}
	async getFile(id) {
		return this.files.get(id) ?? null;
	}
	async close() {}
}

async function openTab(t, shared) {
	IdbStore.open = async () => shared;
	const client = await openClient({ server: 'http://127.0.0.1:1', stores: ['indexeddb'], WebSocket: Silence });
	t.after(() => client.close());
	return client;
}

const row = (sessionId, more) => ({ server: 'http://127.0.0.1:1', start: { sessionId, ts: 1, mime: 'a/b', ext: 'b' }, parts: [{ number: 0, base: 0 }], ...more });

/** The store does `what` just when this tab has the lock. */
function onceLocked(shared, what) {
	shared.beforeLease = async (id) => {
		shared.beforeLease = null;
		await what(id);
	};
}

/** Nobody has the take: another try gets its lock. */
async function assertFree(shared, client, id) {
	assert.equal(await shared.leaseOf(id), null, 'the lock is free');
	assert.deepEqual((await client.unfinished()).filter(({ owner }) => owner !== null), []);
}

test('a take that another tab ended between the look and the lock is unknown, and nobody has its lock', async (t) => {
	const shared = new SharedStore();
	const client = await openTab(t, shared);
	await shared.perform('x', { type: 'meta', meta: row('x') });
	onceLocked(shared, (id) => shared.perform(id, { type: 'remove' }));
	await assert.rejects(client.resume('x'), { code: 'unknown_take' });
	await assertFree(shared, client, 'x');
	assert.deepEqual(await shared.list(), [], 'nothing of it came back');
	await assert.rejects(client.resume('x'), { code: 'unknown_take' });
});

test('a take is gone on with as the tab before left it', async (t) => {
	const shared = new SharedStore();
	const client = await openTab(t, shared);
	await shared.perform('x', { type: 'meta', meta: row('x') });
	onceLocked(shared, (id) => shared.perform(id, { type: 'append', part: 0, at: 0, to: 3, chunks: [new Uint8Array(3)] }));
	const take = await client.resume('x');
	assert.equal(take.state.keptBytes, 3);
});

for (const [name, begin] of [
	['resume', (client) => client.resume('x')],
	['begin', (client) => client.begin({ sessionId: 'x', mime: 'a/b', ext: 'b' })],
]) {
	test(`${name}: a store that can't be read keeps no lock and no take`, async (t) => {
		const shared = new SharedStore();
		const client = await openTab(t, shared);
		if (name === 'resume') await shared.perform('x', { type: 'meta', meta: row('x') });
		onceLocked(shared, () => {
			shared.beforeLoad = () => {
				throw new Error('the device is gone');
			};
		});
		await assert.rejects(begin(client), /the device is gone/);
		shared.beforeLoad = () => {};
		await assertFree(shared, client, 'x');
		assert.equal((await begin(client)).sessionId, 'x', 'it works when the device is back');
	});
}

test('a file whose take another tab ended meanwhile is sent as a new take', async (t) => {
	const shared = new SharedStore();
	const client = await openTab(t, shared);
	const file = new File(['abc'], 'a.webm', { lastModified: 7 });
	await shared.perform('x', { type: 'meta', meta: row('x', { file: fingerprint(file), ended: true }) });
	onceLocked(shared, (id) => shared.perform(id, { type: 'remove' }));
	const take = await client.sendFile(file);
	assert.notEqual(take.sessionId, 'x');
	assert.equal(await shared.leaseOf('x'), null, 'the lock is free');
	assert.equal(await shared.load('x'), null, 'the ended take did not come back');
});

test('a take whose removal another tab has finished is not aborted once more', async (t) => {
	const shared = new SharedStore();
	await shared.perform('x', { type: 'meta', meta: row('x', { aborting: 'no' }) });
	onceLocked(shared, (id) => shared.perform(id, { type: 'remove' }));
	const client = await openTab(t, shared);
	await client.finishAborts();
	await assertFree(shared, client, 'x');
	assert.deepEqual(await shared.list(), []);
});

test('every store says null of a take that it does not know', async () => {
	const file = new File(['abc'], 'a.webm');
	assert.equal(await new FileStore(file, null).load('x'), null);
	assert.equal(await new FileStore(file, new SharedStore()).load('x'), null);
	assert.equal(await new MemoryStore().load('x'), null);
});
