// Every page in its main states looks as support/look.mjs asks; the record page's are in record_look.test.mjs.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { visit } from './support/desk.mjs';
import { assertLook } from './support/look.mjs';
import { launch } from './support/page.mjs';
import { SCENES } from './support/scenes.mjs';

let browser;
before(async () => {
	browser = await launch({ shell: true });
});
after(() => browser?.close());

for (const [name, scene] of Object.entries(SCENES)) {
	test(`${name}: light and dark, narrow and wide`, { timeout: 120_000 }, async (t) => {
		const { page, ...seen } = await scene(t, (url, more = {}) => visit(t, browser, url, { reducedMotion: 'reduce', ...more }));
		await assertLook(page);
		assert.deepEqual(seen.complaints, []);
	});
}
