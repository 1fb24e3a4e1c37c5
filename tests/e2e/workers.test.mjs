// Finished exactly once, whatever happens to the workers: many callers, stopped, killed and missing workers, a killed
// server; and the status is the truth all the while.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { ffprobe, file, follow, longWebm, phase, published, signalAll, take, webm, workersOf } from './support/finishing.mjs';
import { BINARY, startServer, tempDir, until } from './support/server.mjs';
import { api, assertOriginal, complete, media, recording, sessionId, wire } from './support/wire.mjs';

const options = { timeout: 180_000 };
const ROUNDS = Number(process.env.HOLDFAST_ROUNDS ?? 60);
const CALLERS = 64;
let dir, long, short;

before(() => {
	dir = mkdtempSync(join(tmpdir(), 'holdfast-media-'));
	long = readFileSync(longWebm(join(dir, 'long.webm'), 400));
	short = webm(3);
});
after(() => rmSync(dir, { recursive: true, force: true }));

function playable(t, bytes, seconds) {
	const path = join(dir, `${sessionId()}.webm`);
	writeFileSync(path, bytes);
	const { format } = ffprobe(path);
	assert.ok(Math.abs(Number(format.duration) - seconds) < 0.5, `duration ${format.duration}`);
}

test(`${CALLERS} callers of complete, ${ROUNDS} rounds: one job each`, options, async (t) => {
	const server = await startServer(t, { workers: 2 });
	const events = await follow(t, server);
	const ids = [];
	for (let round = 0; round < ROUNDS; round++) {
		const w = await wire(t, server);
		const { id } = await w.start({ sessionId: sessionId() });
		w.binary(short);
		await w.untilAcked(short.length);
		const answers = await Promise.all(Array.from({ length: CALLERS }, () => complete(server, id)));
		for (const { status, body } of answers) assert.equal(status, 200, JSON.stringify(body));
		assert.equal(answers.filter(({ body }) => body.status === 'started').length, 1);
		ids.push(id);
		w.socket.terminate();
	}
	for (const id of ids) {
		const state = await phase(server, id, 'complete', 60_000);
		assert.deepEqual([state.revision, state.attempt], [1, 1]);
		assert.deepEqual(published(server, id), ['1']);
	}
	await until(() => events.filter(({ type }) => type === 'recording.completed').length >= ids.length, 10_000, 'the events');
	for (const id of ids)
		assert.deepEqual(events.filter((event) => event.id === id).map((event) => event.phase),
			['queued', 'processing', 'generating_thumbnail', 'complete']);
});

test('the finished file is seekable, has its length, a picture and a waveform', options, async (t) => {
	const server = await startServer(t, { workers: 2 });
	const id = await take(t, server, short, { name: 'Monday' });
	const state = await phase(server, id, 'complete');
	assert.ok(Math.abs(state.duration - 3) < 0.2, `duration ${state.duration}`);
	assert.deepEqual(state.warnings, []);
	const whole = await file(server, id);
	assert.equal(whole.status, 200);
	assert.match(whole.headers.get('content-type'), /^video\/webm/);
	playable(t, whole.bytes, 3);
	const part = await file(server, id, { headers: { range: 'bytes=10-19' } });
	assert.equal(part.status, 206);
	assert.ok(part.bytes.equals(whole.bytes.subarray(10, 20)));
	const again = await file(server, id, { headers: { 'if-none-match': whole.headers.get('etag') } });
	assert.equal(again.status, 304);
	const picture = await api(server, `/api/recordings/${id}/thumbnail`);
	assert.equal(picture.headers.get('content-type'), 'image/jpeg');
	assert.equal(picture.bytes.readUInt16BE(0), 0xffd8);
	const { body: waveform } = await api(server, `/api/recordings/${id}/waveform`);
	assert.ok(waveform.peaks.length > 20 && Math.max(...waveform.peaks) > 10);
	await assertOriginal(server, id, short);
});

test('what is no media is published as it came', options, async (t) => {
	const server = await startServer(t, { workers: 1 });
	const id = await take(t, server, media(100_000));
	const state = await phase(server, id, 'complete');
	assert.deepEqual(state.warnings.map(({ code }) => code), ['not_media']);
	assert.ok((await file(server, id)).bytes.equals(media(100_000)));
	const empty = await api(server, `/api/recordings/${id}/thumbnail`);
	assert.deepEqual([empty.status, empty.body.code], [404, 'no_thumbnail']);
	const nothing = await phase(server, await take(t, server, Buffer.alloc(0)), 'complete');
	assert.deepEqual(nothing.warnings.map(({ code, message }) => [code, message]), [['not_media', 'Nothing was received.']]);
	assert.deepEqual([nothing.file.bytes, nothing.file.mime, nothing.file.asIs], [0, 'application/octet-stream', true]);
});

test('a worker stopped past its lease: the next attempt, and one file', options, async (t) => {
	const server = await startServer(t, { workers: 1, args: ['--lease', '4s'] });
	const id = await take(t, server, long);
	await phase(server, id, 'processing');
	const stopped = workersOf(server);
	signalAll(stopped, 'SIGSTOP');
	const first = await file(server, id);
	assert.deepEqual([first.status, first.body.attempt, first.body.attempts], [202, 1, 3]);
	const second = await until(async () => {
		const answer = await file(server, id);
		return answer.status === 202 && (answer.body.phase === 'queued' || answer.body.attempt === 2) && answer;
	}, 20_000, 'the lease to be lost');
	assert.equal(second.headers.get('retry-after'), '5');
	const state = await phase(server, id, 'complete', 60_000);
	assert.equal(state.attempt, 2);
	assert.deepEqual(published(server, id), ['1']);
	assert.ok(stopped.every((pid) => !workersOf(server).includes(pid)), 'the stopped one is gone');
});

test('a worker killed at every attempt: three in ten minutes, then error, and no new job', options, async (t) => {
	const server = await startServer(t, { workers: 1 });
	const events = await follow(t, server);
	const id = await take(t, server, long);
	for (let attempt = 1; attempt <= 3; attempt++) {
		await until(() => events.filter((event) => event.phase === 'processing').length >= attempt, 30_000, `attempt ${attempt}`);
		signalAll(workersOf(server), 'SIGKILL');
	}
	const state = await phase(server, id, 'error');
	assert.deepEqual([state.error.code, state.attempt], ['worker_died', 3]);
	const broken = await file(server, id);
	assert.deepEqual([broken.status, broken.body.code], [500, 'worker_died']);
	const refused = await complete(server, id);
	assert.deepEqual([refused.status, refused.body.code], [500, 'worker_died']);
	const wait = Number(refused.headers.get('retry-after'));
	assert.ok(wait > 500 && wait <= 600, `Retry-After ${wait}`);
	assert.equal((await recording(server, id)).phase, 'error', 'nothing was claimed');
	assert.deepEqual(published(server, id), []);
	await assertOriginal(server, id, long);
	assert.deepEqual(events.map((event) => event.phase),
		['queued', 'processing', 'queued', 'processing', 'queued', 'processing', 'error']);
});

test('the program of the workers is missing: log and status say so, without a flood, and it goes on once it is there', options, async (t) => {
	const bin = tempDir(t);
	cpSync(BINARY, join(bin, 'holdfast'));
	const server = await startServer(t, { workers: 1, wrapper: ['/bin/sh', '-c', `shift; exec ${bin}/holdfast "$@"`, 'sh'] });
	const id = await take(t, server, short);
	await until(() => /failures=4/.test(server.output), 15_000, 'four that could not be started');
	const told = server.output.split('\n').filter((line) => /could not be started/.test(line));
	assert.deepEqual(told.map((line) => /(\w+) slot=0 failures=(\d)/.exec(line)?.slice(1)), [['worker_gone', '1'], ['worker_gone', '2'], ['worker_gone', '4']]);
	assert.match(execFileSync(BINARY, ['status', '--data', server.dataDir]).toString(), /^finishing: 1 waiting, 0 at work, no worker lives$/m);
	cpSync(join(dirname(BINARY), 'holdfast-worker'), join(bin, 'holdfast-worker'));
	await phase(server, id, 'complete');
	assert.match(server.output, /worker_back slot=0/);
	assert.doesNotMatch(execFileSync(BINARY, ['status', '--data', server.dataDir]).toString(), /no worker/);
});

test('nobody serves the queue: said, and it goes on when a worker returns', options, async (t) => {
	const server = await startServer(t, { workers: 0, args: ['--queue-wait', '2s'] });
	const id = await take(t, server, short);
	const first = await file(server, id);
	assert.deepEqual([first.status, first.body.phase], [202, 'queued']);
	assert.ok(Number(first.headers.get('retry-after')) > 0);
	const broken = await until(async () => {
		const answer = await file(server, id);
		return answer.status !== 202 && answer;
	}, 10_000, 'the truth');
	assert.deepEqual([broken.status, broken.body.code], [500, 'worker_not_processing_queue']);
	assert.equal((await recording(server, id)).phase, 'queued');
	assert.equal((await complete(server, id)).body.status, 'alreadyProcessing');
	await server.stop();
	await server.start({ env: { HOLDFAST_WORKERS: '1' } });
	await phase(server, id, 'complete');
	assert.equal((await file(server, id)).status, 200);
});

test('the server is killed while a worker works: it ends too, and the take is finished once', options, async (t) => {
	const server = await startServer(t, { workers: 1 });
	const id = await take(t, server, long);
	await phase(server, id, 'processing');
	const workers = workersOf(server);
	await server.kill();
	await until(() => workers.every((pid) => {
		try {
			return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
		} catch {
			return true;
		}
	}), 5000, 'no worker outlives its server');
	await server.start();
	const state = await phase(server, id, 'complete', 60_000);
	assert.equal(state.attempt, 2);
	assert.deepEqual(published(server, id), ['1']);
	const events = await follow(t, server);
	await until(() => events.some(({ type }) => type === 'recording.completed'), 5000, 'the events');
	assert.equal(events.filter(({ type }) => type === 'recording.completed').length, 1);
	playable(t, (await file(server, id)).bytes, 400);
});

test('a late resume: the earlier revision is served until the next one is published', options, async (t) => {
	const server = await startServer(t, { workers: 1, args: ['--grace', '500ms'] });
	const session = sessionId();
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: session });
	const half = short.subarray(0, short.length >> 1);
	w.binary(half);
	await w.untilAcked(half.length);
	await w.cut();
	const first = await phase(server, id, 'complete');
	assert.deepEqual([first.revision, first.interrupted, first.file.revision], [1, true, 1]);
	const before = await file(server, id);
	const late = await wire(t, server);
	await late.start({ sessionId: session });
	assert.equal((await recording(server, id)).phase, 'uploading');
	assert.ok((await file(server, id)).bytes.equals(before.bytes), 'still the earlier one');
	late.binary(short.subarray(half.length));
	late.send({ type: 'end', totalBytes: short.length });
	await late.next('saved');
	const second = await phase(server, id, 'complete');
	assert.deepEqual([second.revision, second.interrupted, second.file.revision], [2, false, 2]);
	playable(t, (await file(server, id)).bytes, 3);
	await until(() => published(server, id).join() === '2', 10_000, 'the earlier one to go');
});

test('deletion is honest, also while a worker works', options, async (t) => {
	const server = await startServer(t, { workers: 1 });
	const id = await take(t, server, long);
	await phase(server, id, 'processing');
	assert.ok([200, 204].includes((await api(server, `/api/recordings/${id}`, { method: 'DELETE' })).status));
	for (const what of ['file', 'original', 'thumbnail', 'waveform']) {
		const { status, body } = await api(server, `/api/recordings/${id}/${what}`);
		assert.deepEqual([status, body.code], [410, 'deleted'], what);
	}
	await until(() => published(server, id).length === 0, 10_000, 'its files to go');
	const next = await take(t, server, short);
	await phase(server, next, 'complete');
});
