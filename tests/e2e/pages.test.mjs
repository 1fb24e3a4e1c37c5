// How the server hands out its pages: types, entity tags, policy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedServer } from './support/server.mjs';
import { api } from './support/wire.mjs';

const server = sharedServer();
const PAGES = ['/', '/record', '/trust', '/play/0199ffff-0000-7000-8000-000000000000', '/play/session%3Amine', '/listen/morning', '/import'];

test('pages and their files: type, policy, entity tag', async () => {
	for (const page of PAGES) {
		const { status, headers, bytes } = await api(server, page);
		assert.equal(status, 200, page);
		assert.equal(headers.get('content-type'), 'text/html; charset=utf-8', page);
		const files = [...bytes.toString().matchAll(/(?:href|src)="(\/assets\/[^"]+)"/g)].map(([, path]) => path);
		assert.ok(files.length > 0, page);
		for (const path of [page, ...files]) {
			const { status: found, headers: of } = await api(server, path);
			assert.equal(found, 200, path);
			assert.match(of.get('content-security-policy'), /default-src 'self';.*object-src 'none'/, path);
			assert.equal(of.get('x-content-type-options'), 'nosniff', path);
			assert.equal(of.get('cache-control'), 'no-cache', path);
			if (path.endsWith('.js')) assert.equal(of.get('content-type'), 'text/javascript; charset=utf-8');
			if (path.endsWith('.css')) assert.equal(of.get('content-type'), 'text/css; charset=utf-8');
			const etag = of.get('etag');
			assert.equal((await api(server, path, { headers: { 'if-none-match': etag } })).status, 304, path);
			assert.equal((await api(server, path, { headers: { 'if-none-match': '"other"' } })).status, 200, path);
		}
		assert.doesNotMatch(bytes.toString(), /<script(?![^>]* src=)|<style|\son\w+=|\sstyle=/, `${page}: nothing inline`);
	}
});

test('a file that is not there is not found, whatever its name', async () => {
	for (const path of ['/assets/none.js', '/assets/..%2frecord', '/assets/%2e%2e%2frecord', '/assets/record.html', '/assets/',
		`/assets/${'x'.repeat(500)}`, '/record.js', '/assets/record.js/x', '/%7Bid%7D', '/assets'])
		assert.equal((await api(server, path)).status, 404, path);
	assert.equal((await api(server, '/assets/record.js', { method: 'POST' })).status, 405);
});
