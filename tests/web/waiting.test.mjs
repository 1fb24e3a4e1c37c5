// web/pages/waiting.js: when a question for a file is asked again, and when it is not; and finishing.js: what is said meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TRIES, Waiting, meaning, newsOf } from '../../web/pages/waiting.js';
import { nameOf, originOf, playerSays, savedSays, stepText, tryFailedText, warningTexts } from '../../web/pages/finishing.js';
import { hasOriginal } from '../../web/pages/takes.js';

const answer = (status, more = {}) => ({ status, code: null, message: '', phase: null, attempt: null, attempts: null, progress: null, retryAfter: null, ...more });
const notYet = (more = {}) => answer(202, { phase: 'processing', attempt: 1, attempts: 3, retryAfter: 2, ...more });

/** Asks as often as it wants to, and answers the same; the waits between, in ms. */
function waits(waiting, said, now = 0, most = 100) {
	const between = [];
	for (let i = 0; i < most && waiting.askAt !== null; i++) {
		between.push(waiting.askAt - now);
		now = Math.max(now, waiting.askAt);
		assert.ok(waiting.due(now));
		waiting.asked(now);
		assert.ok(!waiting.due(now + 1e9), 'one question at a time');
		waiting.answered(said, now);
	}
	return { between, now };
}

test('each class of answers has its meaning', () => {
	for (const [status, code, expected] of [[200, null, 'ready'], [206, null, 'ready'], [304, null, 'ready'], [416, 'range_not_satisfiable', 'ready'],
		[202, null, 'waiting'], [404, 'not_found', 'missing'], [404, null, 'missing'], [404, 'no_file', 'never'], [404, 'source_gone', 'never'],
		[410, 'deleted', 'deleted'], [410, null, 'deleted'], [410, 'original_removed', 'never'], [401, 'unauthorized', 'refused'],
		[403, 'forbidden_scope', 'refused'], [500, 'worker_not_processing_queue', 'unserved'], [500, 'worker_died', 'failed'], [500, null, 'failed'],
		[503, 'busy', 'busy'], [429, 'limit_exceeded', 'busy'], [502, null, 'away'], [503, null, 'away'], [0, 'network', 'away'], [0, 'timeout', 'away']])
		assert.equal(meaning(answer(status, { code })), expected, `${status} ${code}`);
});

test('"not yet" is asked again twelve times in all, slower and slower, never sooner than Retry-After', () => {
	const waiting = new Waiting();
	const { between, now } = waits(waiting, notYet());
	assert.equal(between.length, TRIES);
	assert.equal(TRIES, 12);
	assert.equal(waiting.state, 'timedOut');
	assert.equal(waiting.askAt, null);
	assert.deepEqual(between.slice(0, 4), [0, 2000, 3000, 4500]);
	for (const [i, wait] of between.entries()) assert.ok(i < 2 || wait >= between[i - 1] && wait <= 60_000, between.join());
	assert.equal(waiting.waitedMs(now), now);
	assert.ok(now > 3 * 60_000 && now < 6 * 60_000, `${now} ms in all`);
	const slow = waits(new Waiting(), notYet({ retryAfter: 30 }));
	assert.ok(slow.between.slice(1).every((wait) => wait >= 30_000));
	assert.ok(waits(new Waiting(), notYet({ retryAfter: null })).between[1] > 0);
});

test('whoever goes on waiting gets another round, and is told how long it was in all', () => {
	const waiting = new Waiting();
	const { now } = waits(waiting, notYet());
	waiting.goOn(now + 10_000);
	const again = waits(waiting, notYet(), now + 10_000);
	assert.equal(again.between.length, TRIES);
	assert.equal(waiting.waitedMs(again.now), again.now);
});

test('nothing but "not yet" and silence is asked again by itself', () => {
	for (const [status, code] of [[200, null], [404, 'not_found'], [404, 'no_file'], [410, 'deleted'], [401, 'unauthorized'], [403, 'forbidden_scope'],
		[500, 'worker_not_processing_queue'], [500, 'worker_died'], [503, 'busy'], [429, 'limit_exceeded']]) {
		const waiting = new Waiting();
		assert.equal(waits(waiting, answer(status, { code })).between.length, 1, `${status} ${code}`);
	}
});

test('a server that is away is asked for ever, does not use up the tries, and says nothing about the recording', () => {
	const waiting = new Waiting();
	waiting.asked(0);
	waiting.answered(notYet(), 0);
	const { between, now } = waits(waiting, answer(0, { code: 'network' }), 0, 50);
	assert.equal(between.length, 50);
	assert.equal(Math.max(...between), 30_000);
	assert.equal(waiting.tries, 1);
	assert.equal(waiting.state, 'away');
	assert.equal(waiting.answer.status, 202, 'the last that it said');
	waits(waiting, notYet(), now);
	assert.equal(waiting.state, 'timedOut');
	assert.equal(waiting.tries, TRIES);
});

test('news makes it ask at once, and never more often in a round', () => {
	const waiting = new Waiting();
	waits(waiting, notYet());
	waiting.news('changed', 1e6);
	assert.equal(waits(waiting, notYet(), 1e6).between.length, 1, 'a changed phase is worth one question');
	assert.equal(waiting.state, 'timedOut');
	waiting.news('sealed', 2e6);
	assert.equal(waits(waiting, notYet(), 2e6).between.length, TRIES, 'from the seal on it is another waiting');
	waiting.news('published', 3e6);
	assert.ok(waiting.due(3e6));
	waiting.asked(3e6);
	waiting.news('published', 3e6 + 1);
	waiting.answered(notYet(), 3e6 + 5);
	assert.equal(waiting.state, 'timedOut', 'over is over');
	const failed = new Waiting();
	waits(failed, answer(500, { code: 'worker_died' }));
	failed.news('back', 10);
	assert.equal(failed.askAt, null, 'a link that is back says nothing about what failed');
	failed.news('changed', 20);
	assert.equal(waits(failed, notYet(), 20).between.length, TRIES, 'it was begun again');
	const away = new Waiting();
	away.asked(0);
	away.answered(answer(0, { code: 'network' }), 0);
	away.news('back', 1);
	assert.ok(away.due(1));
});

test('news that comes while a question is on its way is asked about behind it', () => {
	const waiting = new Waiting();
	waiting.asked(0);
	waiting.news('changed', 1);
	assert.equal(waiting.due(1e9), false);
	waiting.answered(notYet(), 5);
	assert.ok(waiting.due(5));
});

test('what of a recording is news', () => {
	const before = { phase: 'processing', attempt: 1, progress: 0.1, file: null };
	assert.equal(newsOf(null, before), null);
	assert.equal(newsOf(before, { ...before, progress: 0.2 }), null);
	assert.equal(newsOf(before, { ...before, attempt: 2 }), 'changed');
	assert.equal(newsOf(before, { ...before, phase: 'error' }), 'changed');
	assert.equal(newsOf(before, { ...before, phase: 'complete', file: { revision: 1 } }), 'published');
	assert.equal(newsOf({ ...before, phase: 'uploading' }, { ...before, phase: 'queued' }), 'sealed');
});

// --- words ---

const take = (more = {}) => ({ phase: 'queued', attached: false, bytes: 5_000_000, attempt: 0, attempts: 3, progress: null, lastError: null, error: null,
	file: null, fetch: null, sessionId: 's', graceLeftMs: null, revision: 1, warnings: [], ...more });

test('a row’s step: progress, attempt, and what failed', () => {
	assert.equal(stepText(take()), 'Waits to be finished.');
	assert.equal(stepText(take({ lastError: { message: 'The storage is full.' } })), 'Waits to be finished. The attempt before failed: The storage is full.');
	assert.equal(stepText(take({ phase: 'processing', attempt: 1, progress: 0.409 })), 'Being finished: 40 %.');
	assert.match(stepText(take({ phase: 'processing', attempt: 2, progress: 0.4, lastError: { message: 'The worker died.' } })),
		/^Being finished: 40 %, attempt 2\/3\. .*The worker died\.$/);
	assert.equal(stepText(take({ attempt: 1, lastError: { message: 'The worker died.' } })), 'Attempt 1/3 failed: The worker died. It is tried again.');
	const last = 'All 3 attempts failed; the last one: The worker died.'; // as the server says it, once
	assert.equal(stepText(take({ phase: 'error', attempt: 3, error: { message: last } })), last);
	assert.equal(stepText(take({ phase: 'error', attempt: 1, error: { message: 'It is no media.' } })), 'It is no media.');
	assert.equal(stepText(take({ phase: 'uploading' })), '');
	assert.match(stepText(take({ phase: 'uploading', fetch: 'now', progress: 0.5 })), /fetched: 50 %/);
	assert.equal(stepText(take({ phase: 'uploading', fetch: 'now', attempt: 1, lastError: { message: 'The source answered 500.' } })),
		'Being fetched. The attempt before failed: The source answered 500.');
	assert.match(stepText(take({ phase: 'uploading', fetch: 'on_demand', bytes: 0 })), /when somebody first plays it/);
	assert.deepEqual(warningTexts(take({ warnings: [{ code: 'truncated', message: 'The media end in the middle.' }, { code: 'new_one', message: 'Said by the server.' }] })),
		['The media end in the middle.', 'Said by the server.']);
	assert.match(tryFailedText({ message: 'The worker died.', retryAfter: 420 }), /The worker died\. It can be tried again in 7 min\./);
});

/** What the player says after these answers. */
function says(answers, object, { live = false } = {}) {
	const waiting = new Waiting();
	let now = 0;
	for (const one of answers) {
		waiting.asked(now);
		waiting.answered(one, now);
		now = waiting.askAt ?? now;
	}
	return playerSays({ waiting, take: object, live, waitedMs: waiting.waitedMs(now) });
}

test('the player: the phase, the attempt, the progress; then how long it waited', () => {
	const one = says([notYet({ attempt: 2, progress: 0.4 })], take());
	assert.match(one.sentence, /being finished, attempt 2\/3; then it plays here by itself/);
	assert.equal(one.progress, 0.4);
	assert.equal(one.act, null);
	const followed = says([notYet({ attempt: 1, progress: 0.1 })], take({ phase: 'processing', attempt: 3, progress: 0.7 }), { live: true });
	assert.match(followed.sentence, /attempt 3\/3/, 'the link is newer');
	assert.equal(followed.progress, 0.7);
	const over = says(Array(TRIES).fill(notYet()), take({ phase: 'processing', attempt: 1, progress: 0.4 }));
	assert.match(over.sentence, /^After \d min it is still not finished\. Long recordings can take minutes\./);
	assert.equal(over.act, 'goOn');
	const recording = Array(TRIES).fill(notYet({ phase: 'uploading' }));
	assert.match(says(recording, take({ phase: 'uploading', attached: true }), { live: true }).sentence, /still being recorded: 5\.00 MB so far/);
	assert.match(says(recording, take({ phase: 'uploading', attached: true })).sentence, /^After \d min it is still being recorded/);
});

test('the player: never, broken, unserved and away are four different things', () => {
	const said = [
		says([answer(404, { code: 'no_file', message: 'There will never be a file.' })], take({ phase: 'aborted', bytes: 0 })),
		says([answer(404, { code: 'source_gone', message: 'The source says that there is no such recording.' })], take({ phase: 'error' })),
		says([answer(500, { code: 'worker_died', message: 'The worker died.' })], take({ phase: 'error', attempt: 3, error: { code: 'worker_died', message: 'The worker died.' } })),
		says([answer(500, { code: 'worker_not_processing_queue', message: 'No worker.' })], take()),
		says([answer(0, { code: 'network', message: 'Failed to fetch' })], take()),
		says([answer(503, { code: 'busy', message: 'The state is changing.' })], take()),
	];
	for (const [i, pattern] of [/Nothing was received/, /there will be none: The source says/, /could not be finished: The worker died\. .*is kept/,
		/worker that finishes recordings is not responding/, /server cannot be reached/, /could not tell: The state is changing/].entries())
		assert.match(said[i].sentence, pattern);
	assert.deepEqual(said.map(({ act }) => act), [null, null, 'complete', 'goOn', 'tryNow', 'goOn']);
	const theirs = says([answer(500, { code: 'worker_died', message: 'It died.' })], take({ phase: 'error', sessionId: null, error: { message: 'It died.' } }));
	assert.equal(theirs.act, 'goOn', 'who may only read it cannot have it finished again');
});

test('the player: a file that is there, with what is to be known of it', () => {
	const file = { revision: 1 };
	assert.equal(says([answer(206)], take({ phase: 'complete', file })).sentence, '');
	assert.match(says([answer(206)], take({ phase: 'complete', file, warnings: [{ code: 'truncated', message: 'It is cut.' }] })).sentence, /It is cut/);
	assert.match(says([answer(206)], take({ phase: 'complete', file, interrupted: true })).sentence, /link was lost/);
	assert.match(says([answer(206)], take({ phase: 'queued', revision: 2, file })).sentence, /newer version/);
});

test('what could not be fetched is not said to be kept: nothing of it is served', () => {
	const error = { code: 'source_failed', message: 'The source answered 500.' };
	const one = take({ phase: 'error', fetch: 'now', attempt: 3, error });
	const said = says([answer(500, error)], one);
	assert.equal(said.sentence, 'It could not be fetched: The source answered 500.');
	assert.equal(said.act, 'complete');
	assert.equal(hasOriginal(one), false);
	assert.equal(hasOriginal(take({ phase: 'error', error: { code: 'worker_died', message: 'It died.' } })), true);
	assert.equal(hasOriginal(take({ originalRemoved: true })), false);
});

test('a name: what people gave it, else the reference it was registered by, else its time', () => {
	assert.equal(nameOf(take({ name: ' Ms Rossi ', ref: 'call-1' })), 'Ms Rossi');
	assert.equal(nameOf(take({ name: null, ref: 'call-1' })), 'call-1');
	assert.match(nameOf(take({ name: null, ref: null, createdAt: 0 })), /^Recording of /);
	assert.equal(originOf(take({ owner: 'local' })), 'this machine');
	assert.equal(originOf(take({ owner: 'phone-7' })), 'phone-7');
	assert.equal(originOf(take({ owner: 'local', fetch: 'now', sourceUrl: 'https://provider.example/calls/1?key=x' })), 'provider.example');
	assert.equal(originOf(take({ owner: 'local', fetch: 'now', sourceUrl: null })), 'elsewhere');
});

test('the record page after it was saved', () => {
	const saved = (answers, object) => {
		const waiting = new Waiting();
		for (const one of answers) waiting.answered(one, 0);
		return savedSays({ waiting, take: object, live: false });
	};
	assert.match(saved([notYet({ phase: 'queued' })], take()).sentence, /waits there to be finished; this page may be closed/);
	assert.deepEqual(saved([notYet({ attempt: 2, progress: 0.4 })], take()),
		{ sentence: 'The server finishes it; this page may be closed.', figures: '40 %, attempt 2/3', ready: false });
	assert.deepEqual(saved([answer(206)], take({ phase: 'complete', file: {} })), { sentence: 'It is finished and ready to play.', figures: '', ready: true });
	assert.match(saved([answer(500, { code: 'worker_not_processing_queue' })], take()).sentence, /worker is not responding. All of it is safe/);
	assert.match(saved([answer(500, { message: 'The worker died.' })], take()).sentence, /The worker died\..*is safe/);
});
