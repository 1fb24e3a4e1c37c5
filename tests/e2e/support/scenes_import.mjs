// The import page in every state that a person may find it in, before the stand-in; as in scenes.mjs, which takes them in.
import { finished, startStandin } from './standin.mjs';

const HOST = 'https://media.example.org';

/** Files as a picker gives them; a few bytes each. */
export const files = (names, size = 40_000) => names.map((name, i) => ({ name, mimeType: 'video/webm', buffer: Buffer.alloc(size, i) }));

async function open(t, visit, { prepare = () => {}, path = '/import', until = null } = {}) {
	const server = await startStandin(t);
	prepare(server);
	const seen = await visit(`${server.url}${path}`);
	await seen.page.locator('#filters button').first().waitFor({ state: 'attached' });
	if (until) await seen.until(...until);
	seen.page.on('dialog', (dialog) => dialog.accept());
	return Object.assign(seen, { server });
}

/** A batch that is under way, with something of everything. */
function mixed(server) {
	const { batches } = server;
	const upload = (key, fields) => ({ key, name: key, length: 81e6, ...fields });
	const web = (key, fields) => ({ key, name: key, sourceUrl: `${HOST}/${key}`, mime: 'audio/mpeg', ...fields });
	batches.put('mixed', [
		upload('Street, north side.mp4', { bytes: 81e6, phase: 'complete', upload: null, revision: 1 }),
		upload('2026/11 November/Interview with R. Okafor, second take, uncut.webm', { bytes: 31e6 }),
		upload('Quartet.webm', { length: 812e6 }),
		upload('Choir.webm', { bytes: 81e6, phase: 'processing', attempt: 1, progress: 0.4, upload: null }),
		upload('Stage left.webm', { bytes: 31.2e6, phase: 'error', attempt: 3, upload: null, error: { code: 'media_unreadable', message: 'The media could not be read.' } }),
		web('4711.mp3', { bytes: 2.4e6 }),
		web('4712.mp3', { phase: 'error', error: { code: 'source_gone', message: 'The source says that there is no such recording.' } }),
		web('4713.mp3', { bytes: 3e6, phase: 'queued' }),
		upload('Old.webm', { phase: 'deleted' }),
	]);
}

export const IMPORT_SCENES = {
	import: (t, visit) => open(t, visit),
	'import, come back': (t, visit) => open(t, visit, { prepare: mixed, path: '/import?batch=mixed', until: ['#items', 'Okafor'] }),
	'import, failed ones': async (t, visit) => {
		const seen = await open(t, visit, { prepare: mixed, path: '/import?batch=mixed', until: ['#items', 'Okafor'] });
		await seen.page.getByRole('button', { name: /^Failed/ }).click();
		return seen;
	},
	'import, uploading': async (t, visit) => {
		const seen = await open(t, visit, { prepare: ({ batches }) => {
			batches.cutAfter = 20_000;
			batches.finish = (one) => finished(one);
		} });
		await seen.page.locator('#files').setInputFiles(files(['Kitchen table.webm', 'Piano, take 4.webm', 'Street.webm', 'Tuesday.webm', 'Wednesday.webm'], 600_000));
		await seen.until('#items', 'Uploading');
		return seen;
	},
	'import, a thousand': async (t, visit) => {
		const seen = await open(t, visit, { path: '/import?batch=many', until: ['#pager', '1 to 100 of 1,000'], prepare: ({ batches }) => {
			batches.put('many', Array.from({ length: 1000 }, (_, i) => ({ key: `k${i}`, name: `Clip ${String(i).padStart(4, '0')}.webm`, length: 5e6, bytes: i < 700 ? 5e6 : 0,
				phase: i < 600 ? 'complete' : i < 640 ? 'error' : i < 700 ? 'queued' : 'uploading', ...(i < 640 && i >= 600 ? { error: { code: 'media_unreadable', message: 'The media could not be read.' } } : {}) })));
		} });
		return seen;
	},
	'import, ready': (t, visit) => open(t, visit, { path: '/import?batch=done', until: ['#count', 'All 3 are ready'], prepare: ({ batches }) => {
		batches.put('done', ['a', 'b', 'c'].map((key) => ({ key, name: `${key}.webm`, bytes: 12e6, phase: 'complete', upload: null })));
		batches.put('before', ['a', 'b', 'c'].map((key) => ({ key: `${key}2`, name: `${key}.webm`, bytes: 12e6, phase: 'complete', upload: null })), { name: 'Import of 09:30' });
	} }),
	'import, addresses with errors': async (t, visit) => {
		const seen = await open(t, visit);
		await seen.page.locator('#urls').fill(`${HOST}/a.mp3\nmedia.example.org/b.mp3\nftp://example.org/c.mp3\n${HOST}/a.mp3\nhttps://`);
		await seen.page.getByRole('button', { name: 'Fetch them' }).click();
		await seen.until('#urls-bad', 'Line 3');
		await seen.until('#items', 'a.mp3');
		return seen;
	},
	'import, refused items': async (t, visit) => {
		const seen = await open(t, visit, { prepare: ({ batches }) => {
			batches.refuseItem = ({ sourceUrl }) => (sourceUrl?.includes('10.0.0.1') ? { code: 'url_refused', message: 'This address may not be fetched.' } : null);
		} });
		await seen.page.locator('#urls').fill(`${HOST}/a.mp3\nhttp://10.0.0.1/b.mp3`);
		await seen.page.getByRole('button', { name: 'Fetch them' }).click();
		await seen.until('#items', 'does not fetch from this address');
		return seen;
	},
	'import, storage full': async (t, visit) => {
		const seen = await open(t, visit, { prepare: ({ batches }) => batches.refuse.set('PATCH', [507, 'storage_full', 'The storage is full.']) });
		await seen.page.locator('#files').setInputFiles(files(['Kitchen table.webm', 'Piano, take 4.webm']));
		await seen.until('#notices', 'storage is full');
		return seen;
	},
	'import, too large': async (t, visit) => {
		const seen = await open(t, visit, { prepare: ({ batches }) => batches.refuse.set('PATCH', [413, 'quota_exceeded', 'The take is larger than the token allows.']) });
		await seen.page.locator('#files').setInputFiles(files(['Kitchen table.webm']));
		await seen.until('#items', 'larger than');
		return seen;
	},
	'import, server away': async (t, visit) => {
		const seen = await open(t, visit, { prepare: mixed, path: '/import?batch=mixed', until: ['#items', 'Okafor'] });
		await seen.server.stop();
		await seen.until('#notices', 'cannot be reached');
		return seen;
	},
	'import, no such import': (t, visit) => open(t, visit, { path: '/import?batch=nothing', until: ['#notices', 'no such import'] }),
	'import, not allowed': (t, visit) => open(t, visit, { until: ['#locked', 'token'], prepare: (server) => {
		server.refuse = [401, 'unauthorized', 'This needs a token.'];
	} }),
	'import, wrong token': (t, visit) => open(t, visit, { until: ['#locked', 'does not allow importing'], prepare: (server) => {
		server.grant = { ...server.grant, local: false, scopes: ['play'] };
	} }),
};
