// The record page in all its states looks as support/look.mjs asks.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertLook } from './support/look.mjs';
import { launch } from './support/page.mjs';
import { RECORD_SCENES, SCENE_ARGS } from './support/scenes_record.mjs';

let browser;
before(async () => {
	browser = await launch({ args: SCENE_ARGS, shell: true });
});
after(() => browser?.close());

for (const [name, scene] of Object.entries(RECORD_SCENES)) {
	test(`${name}: light and dark, narrow and wide`, { timeout: 120_000 }, async (t) => {
		const { page, complaints } = await scene(t, browser);
		await assertLook(page);
		assert.deepEqual(complaints, []);
	});
}
