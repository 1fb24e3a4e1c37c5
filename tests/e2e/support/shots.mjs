// Screenshots of every page in its states, for people to look at: node shots.mjs DIR [PART OF A NAME]. Each state comes light
// and dark, at 320, 1,280 and 2,560 px; the record page's are those of real recordings.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { visit } from './desk.mjs';
import { launch } from './page.mjs';
import { SCENES } from './scenes.mjs';
import { RECORD_SCENES, SCENE_ARGS } from './scenes_record.mjs';

const [dir = 'tmp/shots', wanted = ''] = process.argv.slice(2);
const LOOKS = [['light', 320, 640], ['dark', 320, 640], ['light', 1280, 860], ['dark', 1280, 860], ['light', 2560, 1300], ['dark', 2560, 1300]];
mkdirSync(dir, { recursive: true });

/** What a test offers to whoever wants to be ended with it. */
class Ends {
	#ends = [];

	after(end) {
		this.#ends.push(end);
	}

	async run() {
		for (const end of this.#ends.reverse()) await end();
	}
}

/** `scene` gets what stands for a test, and answers with what has the page. */
async function sceneShots(name, scene) {
	const t = new Ends();
	try {
		const { page } = await scene(t);
		for (const [colorScheme, width, height] of LOOKS) {
			await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
			await page.setViewportSize({ width, height });
			const file = `${name.replace(/[^\w]+/g, '-')}-${width}-${colorScheme}.png`;
			await page.screenshot({ path: join(dir, file), fullPage: width < 600 && await page.locator('#banner:visible, dialog:visible').count() === 0 });
		}
	} finally {
		await t.run();
	}
}

const browser = await launch({ args: SCENE_ARGS });
try {
	for (const [name, scene] of Object.entries(SCENES)) {
		if (name.includes(wanted)) await sceneShots(name, (t) => scene(t, (url, more = {}) => visit(t, browser, url, { reducedMotion: 'reduce', ...more })));
	}
	for (const [name, scene] of Object.entries(RECORD_SCENES)) {
		if (`record, ${name}`.includes(wanted)) await sceneShots(`record, ${name}`, (t) => scene(t, browser));
	}
	console.log(`in ${dir}`);
} finally {
	await browser.close();
}
