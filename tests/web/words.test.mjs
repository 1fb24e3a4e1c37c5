// web/pages/words.js: which sentence fits; every code of the protocol has one of its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { record as texts } from '../../web/pages/texts.js';
import { endedSentence, linkSentence, mediaSentence, minutesText, notices, problemSentence, spanText, unfinishedTitle, whenText,
	wouldLose } from '../../web/pages/words.js';
import { copyName } from '../../web/pages/copy.js';
import { notSafe, rowSentence, shouldResume } from '../../web/pages/unfinished.js';

const STATE = {
	link: 'sending', done: false, id: 'x', emittedBytes: 100, keptBytes: 100, safeBytes: 100, unsentBytes: 0, keptIn: 'opfs',
	deviceFull: false, memoryBytes: 0, ended: false, reason: null, problem: null,
};
const state = (more) => ({ ...STATE, ...more });

test('the link in words', () => {
	const say = (more, stage = 'recording') => linkSentence(state(more), stage);
	assert.equal(say({ link: 'connecting', id: null }), 'Connecting to the server');
	assert.equal(say({ link: 'connecting' }), 'Connecting to the server again');
	assert.match(say({ link: 'connecting', reason: 'network' }), /is lost/, 'no flicker at every attempt');
	assert.match(say({}), /sending while you record/);
	assert.match(say({}, 'paused'), /paused/);
	assert.match(say({ ended: true }, 'finishing'), /sending the rest/);
	assert.match(say({}, 'interrupted'), /can go on/);
	assert.match(say({ link: 'waiting', reason: 'network' }), /is lost\. The recording goes on here, and .* kept on this device/);
	assert.match(say({ link: 'waiting', reason: 'network', keptIn: 'memory' }), /Leave this page open/);
	assert.match(say({ link: 'waiting', reason: 'network', memoryBytes: 1 }, 'finishing'), /Leave this page open/);
	assert.match(say({ link: 'waiting', reason: 'storage_full' }, 'finishing'), /storage is full.*You may close this page/);
	for (const link of ['idle', 'standby', 'saved', 'stopped', 'aborted', 'released']) assert.ok(say({ link }).length > 5, link);
});

test('each refusal of a device has its own sentence', () => {
	const say = (name, message = '', source = 'microphone') => mediaSentence(Object.assign(new Error(message), { name }), source);
	const said = [say('NotAllowedError'), say('NotAllowedError', 'Permission denied by system'), say('NotAllowedError', '', 'screen'),
		say('NotFoundError'), say('NotReadableError'), say('OverconstrainedError'), say('TypeError', 'strange')];
	assert.equal(new Set(said).size, said.length);
	assert.match(said[0], /Allow it for this page/);
	assert.match(said[6], /strange/);
});

test('each end of a part, and each problem of the protocol', () => {
	const said = ['microphone', 'camera', 'screen'].map((source) => endedSentence('ended', source));
	said.push(endedSentence('system', 'camera'), endedSentence('failed', 'camera', new Error('encoder')), endedSentence('unreadable', 'camera', new Error('gone')),
		endedSentence('memory_full', 'camera'));
	assert.equal(new Set(said).size, said.length);
	assert.match(said[4], /encoder/);
	for (const code of ['taken_over', 'taken_over_here', 'unauthorized', 'token_expired', 'token_revoked', 'forbidden_scope', 'quota_exceeded',
		'deleted', 'aborted', 'sealed', 'server_has_more', 'saved_short', 'store_failed', 'file_unreadable', 'file_changed'])
		assert.equal(problemSentence({ code, message: '' }), texts.problem[code], code);
	assert.match(problemSentence({ code: 'news', message: 'what it is' }), /what it is/);
});

test('what is to be known: one sentence for each condition, none without', () => {
	const quiet = { stage: 'recording', state: state(), recorder: { muted: new Set(), gone: new Set() }, source: 'camera', soundless: false, awake: 'held',
		quietMs: 0, hidden: null, hereMinutes: 100, thereMinutes: null };
	assert.deepEqual(notices(quiet), []);
	const cases = [
		{ recorder: { muted: new Set(['audio']), gone: new Set() } }, { recorder: { muted: new Set(['video']), gone: new Set() } },
		{ recorder: { muted: new Set(), gone: new Set(['audio']) } }, { recorder: { muted: new Set(), gone: new Set(['video']) } },
		{ soundless: true }, { quietMs: 20_000 }, { hereMinutes: 3 }, { thereMinutes: 3 }, { awake: 'missing' }, { hidden: 'hidden' },
		{ state: state({ deviceFull: true, memoryBytes: 5 }) }, { state: state({ keptIn: 'memory' }) }];
	const said = cases.map((more) => notices({ ...quiet, ...more }));
	for (const [i, sentences] of said.entries()) assert.equal(sentences.length, 1, JSON.stringify(cases[i]));
	assert.equal(new Set(said.map(([sentence]) => sentence)).size, cases.length);
	assert.deepEqual(notices({ ...quiet, stage: 'saved', recorder: null, awake: 'missing', state: state({ done: true, keptIn: 'memory' }) }), []);
	assert.deepEqual(notices({ ...quiet, stage: 'idle', recorder: null, state: null }), []);
});

test('a warning at closing only while something would be lost', () => {
	assert.equal(wouldLose('idle', null), false);
	assert.equal(wouldLose('recording', state()), true);
	assert.equal(wouldLose('paused', state()), true);
	assert.equal(wouldLose('stopping', state()), true);
	assert.equal(wouldLose('finishing', state({ safeBytes: 0 })), false, 'kept on the device');
	assert.equal(wouldLose('finishing', state({ safeBytes: 0, keptBytes: 50 })), true);
	assert.equal(wouldLose('finishing', state({ safeBytes: 0, keptIn: 'memory' })), true);
	assert.equal(wouldLose('finishing', state({ keptIn: 'memory' })), false, 'all is on the server');
	assert.equal(wouldLose('finishing', state({ memoryBytes: 1, deviceFull: true })), true);
	assert.equal(wouldLose('saved', state({ done: true, link: 'saved', keptIn: 'memory', safeBytes: 0 })), false);
	assert.equal(wouldLose('failed', state({ done: true, link: 'stopped', keptIn: 'memory', safeBytes: 0 })), true);
});

test('times and sizes as people say them', () => {
	const at = new Date(2026, 10, 24, 14, 3).getTime(); // a Tuesday
	assert.equal(whenText(at, new Date(2026, 10, 24, 18).getTime()), 'today 14:03');
	assert.equal(whenText(at, new Date(2026, 10, 26, 18).getTime()), 'Tuesday 14:03');
	assert.equal(whenText(at, new Date(2026, 11, 26).getTime()), '24 November, 14:03');
	assert.equal(minutesText(0), '0 min');
	assert.equal(minutesText(200), '3 h 20 min');
	assert.equal(minutesText(3000), '2 days');
	assert.equal(spanText(41_000), '41 s');
	assert.equal(spanText(125_000), '2 min');
	const take = { begunAt: at, file: null, name: '' };
	const now = new Date(2026, 10, 26).getTime();
	const size = () => '12 MB';
	assert.equal(unfinishedTitle(take, 12, size, now), 'Your take from Tuesday 14:03, 12 MB not yet safe');
	assert.equal(unfinishedTitle({ ...take, name: 'A' }, 12, size, now), '“A” from Tuesday 14:03, 12 MB not yet safe');
	assert.match(unfinishedTitle({ ...take, file: 'a.mp4' }, 0, size, now), /The file “a.mp4”, all of it safe/);
	assert.equal(copyName({ name: 'a/b: "c"', begunAt: at, from: 0, ext: 'webm' }), 'a.b. .c..webm');
	assert.equal(copyName({ name: '', begunAt: at, from: 7, ext: 'mp4' }), 'Take 2026-11-24 14.03 (from byte 7).mp4');
});

const INFO = { here: true, owner: null, problem: null, ended: false, keptBytes: 10, safeBytes: 5, file: null, server: 'https://a' };

test('what this tab takes up by itself', () => {
	const resumes = (info, more = {}) => shouldResume({ info: { ...INFO, ...info }, take: null }, { hidden: false, freeMs: 0, ...more });
	assert.equal(resumes({}), true);
	assert.equal(resumes({ owner: 'other' }), false);
	assert.equal(resumes({ here: false }), false);
	assert.equal(resumes({ safeBytes: 10 }), false, 'nothing is left to send, and nobody has said that it is over');
	assert.equal(resumes({ safeBytes: 10, ended: true }), true);
	assert.equal(resumes({ problem: { resumable: false } }), false);
	assert.equal(resumes({ problem: { resumable: true } }), true);
	assert.equal(resumes({}, { hidden: true, freeMs: 5000 }), false);
	assert.equal(resumes({}, { hidden: true, freeMs: 10_000 }), true);
});

test('a row says where the take is, why it waits and what can be done', () => {
	const say = (info, more = {}) => rowSentence({ info: { ...INFO, ...info }, take: null, state: null, ...more });
	assert.match(say({ here: false }), /https:\/\/a/);
	assert.match(say({ owner: 'other' }), /Another tab/);
	assert.match(say({ problem: { code: 'token_expired', message: '' } }), /run out/);
	assert.match(say({ safeBytes: 10 }), /Go on with it/);
	assert.match(say({}, { take: {}, state: state({ safeBytes: 5 }) }), /sending the rest/);
	assert.match(say({}, { take: {}, state: state({ link: 'saved', done: true }) }), /Saved/);
	assert.equal(notSafe({ info: INFO, state: null }), 5);
	assert.equal(notSafe({ info: INFO, state: state({ safeBytes: 60 }) }), 40);
});
