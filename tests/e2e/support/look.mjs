// How a page must look in every state, for everybody: axe-core finds nothing serious or critical, light and dark; nothing scrolls
// sideways at 320 px and nothing is lost at 2,560.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/* What colours and room decide; the rest is the same at every width and in both schemes. */
const SEEN = ['color-contrast', 'link-in-text-block', 'target-size', 'scrollable-region-focusable', 'meta-viewport'];

/** Serious and critical findings, as lines; `rules`: of these only. */
async function findings(page, rules) {
	if (!rules) await page.evaluate(AXE);
	return page.evaluate(async (runOnly) => {
		const { violations } = await window.axe.run(document, { resultTypes: ['violations'], ...(runOnly ? { runOnly } : {}) });
		return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
			.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join('\n\t')}`);
	}, rules);
}

export async function assertLook(page) {
	for (const [colorScheme, width] of [['light', 1280], ['dark', 320], ['dark', 2560]]) {
		await page.emulateMedia({ colorScheme });
		await page.setViewportSize({ width, height: 900 });
		const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
		assert.ok(overflow <= 0, `${width} px: ${overflow} px too wide`);
		if (width < 2000) assert.deepEqual(await findings(page, width === 320 ? SEEN : undefined), [], `${colorScheme}, ${width} px`);
	}
}
