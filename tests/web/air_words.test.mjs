// What the record page, the listening page and the list of shows say of a show: words_air.js, words_listen.js, texts_air.js.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { air as texts, listen as heard } from '../../web/pages/texts.js';
import { showInAddress } from '../../web/pages/record_air.js';
import { airProblem, airSentence, alarmSentence, againSentence, badge, beforeSentence, isRemnant, mayBegin, ownTake, validShow } from '../../web/pages/words_air.js';
import { kindOf, listenSays } from '../../web/pages/words_listen.js';

const NOW = 1_000_000;
const SHOW = { show: 'morning', state: 'live', version: 3, id: 'v3', since: NOW - 60_000, graceLeftMs: null, recording: 'recording', error: null, owner: 'phone-7',
	name: null, mime: 'audio/webm', title: '', listeners: 12 };
const FAILED = { ...SHOW, recording: 'recording_failed', error: { code: 'storage_full', message: 'No space.' } };
const STATE = { link: 'sending', done: false, id: 'v3', ended: false, onAir: true, show: SHOW, version: 3, graceEndsAt: null, recordedAgain: null, unrecordedBytes: 0, reason: null,
	emittedBytes: 1000, safeBytes: 1000, problem: null };
const state = (more) => ({ ...STATE, ...more });
const live = (more, stage = 'recording') => ({ state: state(more), stage, rate: { perSecond: 1000 }, elapsedMs: 10_000 });
const lost = { link: 'waiting', reason: 'network', graceEndsAt: NOW + 22_500 };

test('the badge is on air only while the server says so', () => {
	const word = (...args) => badge(live(...args)).word;
	assert.deepEqual([word({}), word({ show: FAILED }), word(lost), word({ link: 'connecting', version: null }), word({ ended: true }, 'finishing'),
		word({ link: 'saved', done: true }, 'saved'), word({ link: 'stopped', done: true }, 'failed'), badge({ state: null, stage: 'idle' }).word],
	[texts.badge.air, texts.badge.failed, texts.badge.lost, texts.badge.going, texts.badge.ending, texts.badge.off, texts.badge.off, texts.badge.off]);
});

test('the link in words: what is recorded, how long the show waits, what becomes of the rest', () => {
	const say = (more, stage = 'recording') => airSentence(state(more), stage, NOW);
	assert.match(say({}), /recorded as version 3/);
	assert.match(say({ show: FAILED }), /not recorded/);
	assert.match(say(lost), /waits 23 s for you/);
	assert.match(say({ ...lost, link: 'connecting' }), /waits 23 s/, 'an attempt that may fail is no news');
	assert.match(say({ ...lost, graceEndsAt: NOW - 1 }), /may go off air at any moment/);
	assert.match(say({ link: 'connecting', version: null, id: null }), /Connecting/);
	assert.match(say({ link: 'waiting', version: null, reason: 'storage_full' }), /storage is full/);
	assert.match(say({ ended: true }, 'finishing'), /then the show is off air/);
	assert.match(say({ ...lost, ended: true }, 'finishing'), /by itself in 23 s/);
	assert.match(say({ ...lost, ended: true, graceEndsAt: NOW - 1 }, 'finishing'), /off air by now/);
	assert.match(say({ link: 'saved', done: true }, 'saved'), /Version 3 is saved/);
	assert.equal(say({ link: 'stopped', done: true }, 'failed'), texts.link.off);
});

test('a recording that fails is an alarm; that it goes on, and what is missing, is said from then on', () => {
	assert.equal(alarmSentence(state()), '');
	assert.equal(alarmSentence(null), '');
	assert.match(alarmSentence(state({ show: FAILED })), /No space\. The broadcast goes on/);
	assert.equal(againSentence(state({ unrecordedBytes: 0 })), '');
	assert.equal(againSentence(state({ show: FAILED, recordedAgain: 4 })), '', 'not while it has failed anew');
	assert.match(againSentence(state({ recordedAgain: 4, unrecordedBytes: 5000 })), /version 4\. 5\.00 kB/);
	assert.match(againSentence(state({ recordedAgain: 4 })), /version 4\. Nothing of it is missing/);
});

test('each way of not being on air has words of its own', () => {
	const codes = ['show_on_air', 'show_stopped', 'show_ended', 'taken_over', 'not_recorded', 'unauthorized', 'forbidden_scope'];
	assert.equal(new Set(codes.map((code) => airProblem({ code, message: '' }))).size, codes.length);
	assert.match(airProblem({ code: 'deleted' }), /deleted/);
	assert.match(airProblem({ code: 'news', message: 'what it is' }), /what it is/);
});

test('before it is on air: who is, and what would happen', () => {
	const say = (show, more) => beforeSentence(show, { mine: false, press: null, now: NOW, ...more });
	assert.equal(say(null), '');
	assert.match(say({ ...SHOW, state: 'off' }), /as soon as/);
	assert.match(say({ ...SHOW, state: 'off' }, { press: 'Go on air' }), /Press Go on air/);
	assert.match(say(SHOW), /phone-7 is on air/);
	assert.match(say({ ...SHOW, owner: 'local', state: 'waiting', graceLeftMs: 20_000 }), /Somebody at this server is on air.*waits 20 s/);
	assert.match(say(SHOW, { mine: true }), /waits for you/);
});

test('it goes on air by itself when nobody is, or when the show waits for it; never over somebody', () => {
	const fine = { able: 'live', access: 'ok', source: 'microphone', ended: false, show: { ...SHOW, state: 'off' }, mine: false, elsewhere: false };
	assert.ok(mayBegin(fine));
	assert.ok(mayBegin({ ...fine, show: SHOW, mine: true }));
	for (const no of [{ able: 'insecure' }, { access: 'unauthorized' }, { source: 'screen' }, { ended: true }, { show: null }, { show: SHOW }, { elsewhere: true }])
		assert.equal(mayBegin({ ...fine, ...no }), false, JSON.stringify(no));
});

test('its own take is the one that the show is on air with', () => {
	const one = { here: true, show: 'morning', ended: false, id: 'v3', owner: null, sessionId: 's' };
	const found = (more, show = SHOW) => ownTake([{ ...one, ...more }], 'morning', show);
	assert.equal(found({}).mine?.sessionId, 's');
	for (const other of [{ show: 'evening' }, { show: null }, { id: 'v2' }, { ended: true }, { here: false }]) assert.equal(found(other).mine, null, JSON.stringify(other));
	assert.equal(found({}, { ...SHOW, state: 'off' }).mine, null, 'a show of last week is not gone on with');
	assert.deepEqual(found({ owner: 'other' }), { mine: null, elsewhere: true });
});

test('what is let go of is little, and of a show that this page is not on air with', () => {
	const failed = (code, more) => live({ link: 'stopped', done: true, problem: { code }, id: null, emittedBytes: 2000, safeBytes: 0, ...more }, 'failed');
	assert.ok(isRemnant(failed('show_on_air')));
	assert.ok(isRemnant(failed('show_ended', { id: 'v3' })));
	assert.equal(isRemnant(failed('show_on_air', { emittedBytes: 60_000 })), false, 'a minute of it');
	assert.equal(isRemnant(failed('taken_over')), false);
	assert.equal(isRemnant(failed('show_on_air', { id: 'v3' })), false, 'it was on air before');
	assert.equal(isRemnant(live({})), false);
});

test('names of shows are those that the server takes', () => {
	for (const name of ['morning', 'a', 'A-b_c.9', 'x'.repeat(100)]) assert.ok(validShow(name), name);
	for (const name of ['', '.', '..', '.a', 'a b', 'ä', 'a/b', 'x'.repeat(101)]) assert.ok(!validShow(name), name);
	assert.deepEqual([showInAddress({ search: '' }), showInAddress({ search: '?show=morning' }), showInAddress({ search: '?show=a%2Fb' })], [null, 'morning', '']);
});

test('what listeners are told', () => {
	const say = (show, radio = 'playing', link = 'live', wanted = true) => listenSays({ view: { show, link }, radio, wanted, dateText: () => 'DATE', timeText: () => 'TIME' });
	assert.deepEqual(say({ ...SHOW, title: 'A song' }), { badge: heard.state.air, look: 'air', who: 'with phone-7 since TIME', listeners: '12 listeners', plays: 'Now: A song', sentence: '' });
	assert.equal(say({ ...SHOW, owner: 'local' }).who, 'since TIME');
	assert.equal(say(SHOW, 'blocked').sentence, heard.press);
	assert.equal(say(SHOW, 'unplayable').sentence, heard.cannotPlay('audio/webm'));
	assert.equal(say(SHOW, 'off', 'live', false).sentence, heard.stopped);
	assert.match(say({ ...SHOW, state: 'waiting' }, 'buffering').sentence, /goes on by itself/);
	assert.match(say({ ...SHOW, state: 'waiting' }, 'blocked').sentence, /Press Listen/);
	assert.match(say({ ...SHOW, state: 'off', version: 0, since: null }, 'off').sentence, /^Nobody is on air\. Leave this page open/);
	assert.match(say({ ...SHOW, state: 'off' }, 'off').sentence, /began DATE/);
	assert.match(say({ ...SHOW, state: 'off' }, 'off', 'live', false).sentence, /says when/);
	assert.match(say(SHOW, 'playing', 'waiting').sentence, /may be out of date/);
	assert.equal(say(null, 'off', 'waiting').sentence, heard.away);
	assert.equal(say(null, 'off', 'connecting').sentence, '');
	assert.deepEqual([kindOf(SHOW), kindOf({ mime: 'video/mp4' }), kindOf({ mime: null }), kindOf(null)], ['audio', 'video', 'audio', 'audio']);
});
