// web/pages/devices.js, awake.js and meter.js with a browser of the test's own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Awake } from '../../web/pages/awake.js';
import { ability, listDevices, openSource } from '../../web/pages/devices.js';
import { decibels, share } from '../../web/pages/meter.js';

const names = { microphone: 'Microphone', camera: 'Camera', usual: 'usual', front: 'front', back: 'back', unnamed: (kind, n) => `${kind} ${n}` };
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('what this page can do', () => {
	const media = { mediaDevices: { getUserMedia() {} } };
	assert.equal(ability({ isSecureContext: true, navigator: media, MediaRecorder: class {} }), 'live');
	assert.equal(ability({ isSecureContext: false, navigator: {}, MediaRecorder: class {} }), 'insecure');
	assert.equal(ability({ isSecureContext: true, navigator: {} }), 'no_recorder');
	assert.equal(ability({ isSecureContext: true, navigator: media }), 'no_recorder');
});

test('which device is asked for', async () => {
	const asked = [];
	const media = { getUserMedia: async (wish) => asked.push(wish), getDisplayMedia: async (wish) => asked.push(wish) };
	await openSource({ source: 'microphone', microphone: '', camera: '' }, media);
	await openSource({ source: 'microphone', microphone: 'm1', camera: '' }, media);
	await openSource({ source: 'camera', microphone: '', camera: 'back' }, media);
	await openSource({ source: 'camera', microphone: 'm1', camera: 'c1' }, media);
	await openSource({ source: 'screen', microphone: 'm1', camera: 'c1' }, media);
	assert.deepEqual(asked, [{ audio: true }, { audio: { deviceId: { exact: 'm1' } } }, { audio: true, video: { facingMode: { ideal: 'environment' } } },
		{ audio: { deviceId: { exact: 'm1' } }, video: { deviceId: { exact: 'c1' } } }, { audio: true, video: true }]);
});

test('a camera without any microphone is said; a camera that is refused is refused', async () => {
	const error = (name) => Object.assign(new Error(name), { name });
	const lone = { getUserMedia: async ({ audio }) => {
		if (audio) throw error('NotFoundError');
		return 'stream';
	} };
	assert.deepEqual(await openSource({ source: 'camera', microphone: '', camera: '' }, lone), { stream: 'stream', soundless: true });
	const denied = { getUserMedia: async () => {
		throw error('NotAllowedError');
	} };
	await assert.rejects(openSource({ source: 'camera', microphone: '', camera: '' }, denied), { name: 'NotAllowedError' });
});

test('devices to choose from: directions on a phone, names once they are known', async () => {
	const media = { enumerateDevices: async () => [
		{ kind: 'audioinput', deviceId: 'default', label: 'Default' }, { kind: 'audioinput', deviceId: 'a', label: 'Desk microphone' },
		{ kind: 'videoinput', deviceId: 'v', label: '' }, { kind: 'videoinput', deviceId: '', label: '' }, { kind: 'audiooutput', deviceId: 'x', label: 'Speaker' }] };
	const found = await listDevices({ names, directions: true, media });
	assert.deepEqual(found.microphones.map(({ label }) => label), ['usual', 'Desk microphone']);
	assert.deepEqual(found.cameras.map(({ label }) => label), ['front', 'back', 'Camera 1']);
	const none = await listDevices({ names, directions: false, media: { enumerateDevices: async () => {
		throw new Error('no');
	} } });
	assert.deepEqual(none.cameras, [{ id: '', label: 'usual' }]);
});

class Lock extends EventTarget {
	async release() {
		this.dispatchEvent(new Event('release'));
	}
}

function screen() {
	const page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
	const locks = [];
	const source = { request: async () => locks[locks.push(new Lock()) - 1] };
	const show = (state) => {
		page.visibilityState = state;
		page.dispatchEvent(new Event('visibilitychange'));
	};
	return { page, locks, source, show };
}

test('the screen is kept on, and again when the page is visible again, and not longer than wanted', async () => {
	const { page, locks, source, show } = screen();
	const awake = new Awake({ page, source });
	await awake.hold();
	assert.equal(awake.state, 'held');
	show('hidden');
	await locks[0].release(); // the system takes it
	assert.equal(awake.state, 'waiting');
	assert.equal(locks.length, 1);
	show('visible');
	await turn();
	assert.equal(awake.state, 'held');
	assert.equal(locks.length, 2);
	await awake.release();
	assert.equal(awake.state, 'off');
	show('hidden');
	show('visible');
	await turn();
	assert.equal(locks.length, 2);
});

test('no wake lock here, or refused: known, and no error', async () => {
	const { page } = screen();
	const missing = new Awake({ page, source: null });
	await missing.hold();
	assert.equal(missing.state, 'missing');
	const refusing = new Awake({ page, source: { request: async () => {
		throw new Error('low power');
	} } });
	await refusing.hold();
	assert.equal(refusing.state, 'refused');
});

test('decibels on a meter', () => {
	assert.equal(decibels([0, 0]), -Infinity);
	assert.equal(decibels([0.5, -1]), 0);
	assert.equal(share(-Infinity), 0);
	assert.equal(share(0), 1);
	assert.equal(share(-30), 0.5);
});
