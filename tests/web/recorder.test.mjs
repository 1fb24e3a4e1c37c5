// web/pages/recorder.js with a MediaRecorder of the test's own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Recorder, chooseType, extensionOf } from '../../web/pages/recorder.js';

class Track extends EventTarget {
	readyState = 'live';

	constructor(kind) {
		super();
		this.kind = kind;
	}

	stop() {
		this.readyState = 'ended';
	}

	unplug() {
		this.readyState = 'ended';
		this.dispatchEvent(new Event('ended'));
	}
}

class FakeMedia extends EventTarget {
	static isTypeSupported = (type) => type.startsWith('video/webm') || type.startsWith('audio/webm');
	static last = null;
	state = 'inactive';
	calls = [];

	constructor(stream, options) {
		super();
		this.mimeType = options.mimeType ?? '';
		this.options = options;
		FakeMedia.last = this;
	}

	start(timeslice) {
		this.timeslice = timeslice;
		this.state = 'recording';
	}

	requestData() {
		this.calls.push('requestData');
	}

	pause() {
		this.calls.push('pause');
		this.state = 'paused';
	}

	resume() {
		this.state = 'recording';
	}

	stop() {
		this.calls.push('stop');
		this.state = 'inactive';
	}

	emit(blob) {
		const event = new Event('dataavailable');
		event.data = blob;
		this.dispatchEvent(event);
	}

	fire(type, error) {
		const event = new Event(type);
		event.error = error;
		this.dispatchEvent(event);
	}
}

/** A blob whose reading the test completes. */
function slow(text) {
	const blob = { size: text.length };
	blob.arrayBuffer = () => new Promise((resolve, reject) => {
		blob.read = () => resolve(new TextEncoder().encode(text).buffer);
		blob.fail = () => reject(new Error('gone'));
	});
	return blob;
}

function setup(kinds = ['audio']) {
	const tracks = kinds.map((kind) => new Track(kind));
	const clock = { now: 0 };
	const got = [];
	const recorder = new Recorder({
		stream: { getTracks: () => tracks },
		video: kinds.includes('video'),
		MediaRecorder: FakeMedia,
		now: () => clock.now,
		onbytes: (bytes) => {
			got.push(new TextDecoder().decode(bytes));
		},
	});
	recorder.start();
	return { recorder, media: FakeMedia.last, tracks, clock, got };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('pieces leave in their order, however their reading ends, and the end comes last', async () => {
	const { recorder, media, got, tracks } = setup();
	const [a, b, c] = [slow('a'), slow('b'), slow('c')];
	media.emit(a);
	media.emit(b);
	recorder.stop();
	media.emit(c);
	media.fire('stop');
	let ended = false;
	recorder.stopped.then(() => {
		ended = true;
	});
	await turn();
	assert.equal(b.read, undefined, 'one piece at a time is in memory');
	a.read();
	await turn();
	b.read();
	await turn();
	assert.deepEqual(got, ['a', 'b']);
	assert.equal(ended, false, 'the last piece is still being read');
	assert.equal(recorder.state, 'stopping');
	c.read();
	assert.equal(await recorder.stopped, 'asked');
	assert.deepEqual(got, ['a', 'b', 'c']);
	assert.equal(recorder.emitted, 3);
	assert.equal(recorder.handed, 3);
	assert.equal(tracks[0].readyState, 'ended', 'the microphone is let go');
});

test('empty pieces are legal', async () => {
	const { recorder, media, got } = setup();
	media.emit(new Blob([]));
	media.emit(new Blob(['x']));
	media.emit(new Blob([]));
	recorder.stop();
	media.emit(new Blob([]));
	media.fire('stop');
	await recorder.stopped;
	assert.deepEqual(got, ['x']);
});

test('a piece that cannot be read ends the part before it', async () => {
	const { recorder, media, got } = setup();
	const [a, b, c] = [slow('a'), slow('b'), slow('c')];
	for (const piece of [a, b, c]) media.emit(piece);
	await turn();
	a.read();
	await turn();
	b.fail();
	await turn();
	assert.ok(media.calls.includes('stop'));
	media.fire('stop');
	assert.equal(await recorder.stopped, 'unreadable');
	assert.equal(c.read, undefined, 'nothing behind a gap');
	assert.deepEqual(got, ['a']);
});

test('a taker that refuses a piece gets no later one, and the end still comes', async () => {
	const got = [];
	const recorder = new Recorder({
		stream: { getTracks: () => [new Track('audio')] }, MediaRecorder: FakeMedia,
		onbytes: async (bytes) => {
			got.push(bytes.byteLength);
			throw new Error('full');
		},
	});
	recorder.start();
	FakeMedia.last.emit(new Blob(['a']));
	FakeMedia.last.emit(new Blob(['bb']));
	recorder.stop();
	FakeMedia.last.fire('stop');
	await recorder.stopped;
	assert.deepEqual(got, [1]);
	assert.match(recorder.error.message, /full/);
});

test('a slow disk holds up no later piece, only the end', async () => {
	const got = [];
	let kept;
	const recorder = new Recorder({
		stream: { getTracks: () => [new Track('audio')] }, MediaRecorder: FakeMedia,
		onbytes: (bytes) => {
			got.push(bytes.byteLength);
			return got.length === 1 ? new Promise((resolve) => {
				kept = resolve;
			}) : Promise.resolve();
		},
	});
	recorder.start();
	FakeMedia.last.emit(new Blob(['a']));
	FakeMedia.last.emit(new Blob(['bb']));
	recorder.stop();
	FakeMedia.last.fire('stop');
	let ended = false;
	recorder.stopped.then(() => {
		ended = true;
	});
	while (got.length < 2) await turn();
	await turn();
	assert.equal(ended, false);
	kept();
	await recorder.stopped;
});

test('time counts what was recorded, not pauses; a pause flushes first', () => {
	const { recorder, media, clock } = setup();
	clock.now = 1000;
	recorder.pause();
	assert.deepEqual(media.calls, ['requestData', 'pause']);
	clock.now = 5000;
	assert.equal(recorder.elapsedMs, 1000);
	recorder.pause(); // twice is once
	recorder.resume();
	clock.now = 5500;
	assert.equal(recorder.elapsedMs, 1500);
	recorder.stop();
	clock.now = 9000;
	assert.equal(recorder.elapsedMs, 1500);
	recorder.resume();
	assert.equal(recorder.state, 'stopping');
});

test('one device of two is unplugged: the other goes on; both: the part ends', async () => {
	const { recorder, media, tracks } = setup(['audio', 'video']);
	tracks[0].unplug();
	assert.equal(recorder.state, 'recording');
	assert.deepEqual([...recorder.gone], ['audio']);
	media.emit(new Blob(['x']));
	tracks[1].unplug();
	assert.equal(recorder.state, 'stopping');
	media.fire('stop');
	assert.equal(await recorder.stopped, 'ended');
	assert.equal(recorder.handed, 1);
});

test('the browser stops by itself', async () => {
	const { recorder, media } = setup();
	media.state = 'inactive';
	media.emit(new Blob(['x']));
	media.fire('stop');
	assert.equal(await recorder.stopped, 'system');
	assert.equal(recorder.handed, 1);
});

test('a failure of the recorder is told as such', async () => {
	const { recorder, media } = setup();
	media.emit(new Blob(['x']));
	media.fire('error', new Error('encoder'));
	media.fire('stop');
	assert.equal(await recorder.stopped, 'failed');
	assert.equal(recorder.error.message, 'encoder');
	assert.equal(recorder.handed, 1);
});

test('what the system mutes is known while it lasts', () => {
	const { recorder, tracks } = setup(['audio', 'video']);
	tracks[1].dispatchEvent(new Event('mute'));
	assert.deepEqual([...recorder.muted], ['video']);
	tracks[1].dispatchEvent(new Event('unmute'));
	assert.equal(recorder.muted.size, 0);
});

test('types: WebM first, MP4 where there is nothing else, with keyframes every second', () => {
	assert.equal(chooseType(false, () => true), 'audio/webm;codecs=opus');
	assert.equal(chooseType(true, (type) => type === 'video/mp4'), 'video/mp4');
	assert.equal(chooseType(false, (type) => type === 'audio/mp4'), 'audio/mp4');
	assert.equal(chooseType(true, () => false), '');
	assert.equal(extensionOf('video/mp4;codecs=avc1'), 'mp4');
	assert.equal(extensionOf('audio/webm;codecs=opus'), 'webm');
	class Safari extends FakeMedia {
		static isTypeSupported = (type) => type === 'video/mp4';
	}
	const recorder = new Recorder({ stream: { getTracks: () => [] }, video: true, MediaRecorder: Safari, onbytes: () => {} });
	assert.equal(recorder.mime, 'video/mp4');
	assert.equal(FakeMedia.last.options.videoKeyFrameIntervalDuration, 1000);
});
