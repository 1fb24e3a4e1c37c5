// The desk and the pages beside it in Chromium, before the stand-in or the real server.
import assert from 'node:assert/strict';
import { atEnd } from './server.mjs';

export class Visit {
	complaints = [];

	async open(browser, url, options = {}) {
		const { init, clock, ...context } = options;
		this.context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...context });
		this.page = await this.context.newPage();
		this.page.setDefaultTimeout(10_000);
		this.page.on('pageerror', (error) => this.complaints.push(String(error)));
		this.page.on('dialog', (dialog) => {
			this.complaints.push(`dialog: ${dialog.message()}`);
			dialog.dismiss();
		});
		this.page.on('console', (message) => {
			if (/Content Security Policy|TypeError|ReferenceError/.test(message.text())) this.complaints.push(message.text());
		});
		if (init) await this.page.addInitScript(init);
		if (clock) await this.page.clock.install();
		await this.page.goto(url);
		return this;
	}

	/** Opened with `clock`: so many seconds go by, one by one, and what the page asks meanwhile is answered. */
	async forward(seconds) {
		for (let i = 0; i < seconds; i++) {
			await this.page.clock.runFor(1000);
			await this.page.evaluate(() => fetch('/assets/icon.svg').then((response) => response.text()));
		}
	}

	/** The list item of the recording with this name. */
	row(name) {
		return this.page.locator('.take', { has: this.page.getByRole('heading', { name, exact: true }) });
	}

	text(selector) {
		return this.page.locator(selector).innerText();
	}

	/** Waits until the text of the first such element fits. */
	async until(selector, pattern) {
		const { source, flags } = pattern instanceof RegExp ? pattern : new RegExp(pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
		await this.page.waitForFunction(([css, text, how]) => new RegExp(text, how).test(document.querySelector(css)?.innerText ?? ''),
			[selector, source, flags]);
	}

	live() {
		return this.until('#link-text', /^Live$/);
	}

	focused() {
		return this.page.evaluate(() => {
			const { activeElement: at } = document;
			return at.getAttribute('aria-label') || at.id || at.innerText || at.tagName;
		});
	}

	/** All that the live region said since the page began, in order; needs `listen` as init script. */
	said() {
		return this.page.evaluate(() => window.said.join('\n'));
	}

	/** Tab until the element of this name has the focus, as somebody without a mouse. */
	async tabTo(name, most = 60) {
		for (let press = 0; press < most; press++) {
			await this.page.keyboard.press('Tab');
			if (await this.focused() === name) return;
		}
		assert.fail(`no ${name} within ${most} presses of Tab; the focus is on ${await this.focused()}`);
	}

	clean() {
		assert.deepEqual(this.complaints, []);
	}
}

/** Keeps what the live region says. */
export function listen() {
	window.said = [];
	addEventListener('DOMContentLoaded', () => {
		if (!document.getElementById('voice')) return;
		new MutationObserver((changes) => {
			for (const { addedNodes } of changes) for (const node of addedNodes) window.said.push(node.textContent);
		}).observe(document.getElementById('voice'), { childList: true });
	});
}

export async function visit(t, browser, url, options) {
	const one = new Visit();
	atEnd(t, () => one.context?.close());
	return one.open(browser, url, options);
}
