// web/pages/pairing.js against answers of the test's own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pairing, careful, grantOf } from '../../web/pages/pairing.js';

function store() {
	const map = new Map();
	return careful(() => ({
		getItem: (key) => map.get(key) ?? null, setItem: (key, value) => map.set(key, value), removeItem: (key) => map.delete(key),
	}));
}

class Refusal extends Error {
	constructor(status, code, message = '') {
		super(message);
		Object.assign(this, { status, code, retry: status === 0 || status >= 500 });
	}
}

/** An api whose calls are answered by `answers` in turn: a value, or a Refusal to throw. */
function setup(answers) {
	const asked = [];
	const next = async () => {
		const answer = answers.shift();
		if (answer instanceof Error) throw answer;
		return answer;
	};
	const api = {
		pair: (pairing, options) => {
			asked.push({ pairing, ...options });
			return next();
		},
		server: next,
	};
	const options = { tokens: memory(), session: store(), wait: async () => {} };
	return { asked, api, options, pairing: new Pairing(options) };
}

function memory(token = null) {
	return { read: () => token, keep: (given) => {
		token = given;
	} };
}

const location = (hash) => ({ hash, pathname: '/record', search: '?x=1' });

function fakeHistory() {
	return { state: null, replaced: [], replaceState(state, title, url) {
		this.replaced.push(url);
	} };
}

test('the fragment leaves the address, the token is kept, the pairing is forgotten', async () => {
	const { pairing, api, asked } = setup([{ token: 'hf1.a.b' }]);
	const history = fakeHistory();
	pairing.take(location('#pair=ABC'), history);
	assert.deepEqual(history.replaced, ['/record?x=1']);
	assert.equal(pairing.pending, true);
	assert.equal((await pairing.pair(api, { device: 'phone' })).code, 'paired');
	assert.equal(pairing.token, 'hf1.a.b');
	assert.equal(asked[0].pairing, 'ABC');
	assert.match(asked[0].nonce, /^[0-9a-f]{32}$/);
	assert.equal(asked[0].device, 'phone');
	assert.equal(asked[0].token, null);
	assert.equal(pairing.pending, false);
	assert.equal((await pairing.pair(api)).code, 'nothing');
});

test('a fragment without a pairing token stays', () => {
	const history = fakeHistory();
	setup([]).pairing.take(location('#other'), history);
	assert.deepEqual(history.replaced, []);
});

test('a lost reply is asked again with the same nonce, also after a reload', async () => {
	const { pairing, api, options, asked } = setup([new Refusal(0, 'network'), new Refusal(503, 'busy'), { token: 't' }]);
	pairing.take(location('#pair=ABC'), fakeHistory());
	const waits = [];
	let loops = 0;
	const first = new Pairing({ ...options, wait: () => new Promise((resolve) => {
		if (++loops < 2) resolve();
	}) });
	first.pair(api, { onwait: (value) => waits.push(value) }); // and the page is reloaded in its second wait
	while (loops < 2) await new Promise((resolve) => setImmediate(resolve));
	assert.deepEqual(waits, [true, true]);
	const second = new Pairing(options);
	second.take(location('#pair=ABC'), fakeHistory());
	assert.equal((await second.pair(api)).code, 'paired');
	assert.equal(asked.length, 3);
	assert.equal(new Set(asked.map(({ nonce }) => nonce)).size, 1);
});

test('the old token is presented, and a revoked one is not insisted on', async () => {
	const { pairing, api, options, asked } = setup([new Refusal(401, 'token_revoked'), { token: 'new' }]);
	options.tokens.keep('old');
	pairing.take(location('#pair=ABC'), fakeHistory());
	assert.equal((await pairing.pair(api)).code, 'paired');
	assert.equal(asked[0].token, 'old');
	assert.equal(asked[1].token, null);
	assert.equal(pairing.token, 'new');
});

for (const code of ['pairing_used', 'pairing_expired', 'pairing_invalid']) {
	test(`${code} is told and the old token stays`, async () => {
		const { pairing, api, options } = setup([new Refusal(403, code, 'words')]);
		options.tokens.keep('old');
		pairing.take(location('#pair=ABC'), fakeHistory());
		assert.deepEqual(await pairing.pair(api), { code, message: 'words' });
		assert.equal(pairing.token, 'old');
		assert.equal(pairing.pending, false);
	});
}

test('what the server grants', async () => {
	const { api } = setup([{ freeBytes: 1, grant: { scopes: ['record'] } }, { grant: { scopes: ['play'] } },
		new Refusal(401, 'token_expired'), new Refusal(401, 'http_401'), new Refusal(404, 'not_found'), new Refusal(0, 'network')]);
	for (const code of ['ok', 'forbidden_scope', 'token_expired', 'unauthorized', 'ok', 'away'])
		assert.equal((await grantOf(api)).code, code);
});

test('storage that is switched off: the token lasts as long as the page', async () => {
	const { api } = setup([{ token: 't' }]);
	const broken = () => careful(() => {
		throw new Error('SecurityError');
	});
	const pairing = new Pairing({ tokens: memory(), session: broken() });
	pairing.take(location('#pair=ABC'), fakeHistory());
	assert.equal((await pairing.pair(api)).code, 'paired');
	assert.equal(pairing.token, 't');
});
