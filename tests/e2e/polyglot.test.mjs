// Uploads that are pages in disguise, on the real server: opened from the desk, played, or gone to by their address, none of
// their scripts runs, and nothing of them can speak as the server's own page.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { visit } from './support/desk.mjs';
import { launch } from './support/page.mjs';
import { sharedServer } from './support/server.mjs';
import { sessionId, wire } from './support/wire.mjs';

const server = sharedServer({ workers: 1 });
const options = { timeout: 120_000 };
const SCRIPT = "<script>parent.pwned=1;top.pwned=1;window.pwned=1;document.title='pwned';fetch('/api/recordings',{method:'DELETE'})</script>";
const UPLOADS = [
	['text/html', `<!doctype html><title>x</title><body onload="window.pwned=1">${SCRIPT}<img src=x onerror="window.pwned=1">`],
	['image/svg+xml', `<svg xmlns="http://www.w3.org/2000/svg" onload="window.pwned=1"><script>window.pwned=1;document.documentElement.id='pwned'</script></svg>`],
	['application/xhtml+xml', `<html xmlns="http://www.w3.org/1999/xhtml"><head><script>window.pwned=1</script></head></html>`],
	['video/webm', `\u001aE\u00df\u00a3<html>${SCRIPT}</html>`],
	['video/webm;codecs=vp8"><script>window.pwned=1</script>', `<html>${SCRIPT}</html>`],
	['audio/wav', `RIFF\u0000\u0000\u0000\u0000WAVE<script>window.pwned=1</script>`],
	['application/pdf', '%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj'],
	['text/javascript', 'window.pwned = 1;'],
	['multipart/x-mixed-replace;boundary=x', `--x\r\nContent-Type: text/html\r\n\r\n${SCRIPT}\r\n--x--`],
];
let browser;
before(async () => {
	browser = await launch({ shell: true });
});
after(() => browser?.close());

async function upload(t, mime, text, name) {
	const w = await wire(t, server);
	const { id } = await w.start({ sessionId: sessionId(), mime, ext: 'html', name });
	const data = Buffer.from(text, 'latin1');
	w.binary(data);
	w.send({ type: 'end', totalBytes: data.length });
	await w.next('saved');
	await w.close();
	return id;
}

/** Puts the upload into a page of ours in every way that could run it, and waits until each has loaded or was refused. A frame
 * whose content became a download tells nobody: it gets half a second to do its worst. */
function embed(url) {
	return Promise.all([['iframe', 'src'], ['script', 'src'], ['img', 'src'], ['video', 'src']].map(([tag, name]) => new Promise((resolve) => {
		const made = document.createElement(tag);
		made.onload = resolve;
		made.onerror = resolve;
		made.oncanplay = resolve;
		if (tag === 'iframe') setTimeout(resolve, 500);
		made[name] = url;
		document.body.append(made);
	})));
}

test('no script of an upload runs, however it is opened', options, async (t) => {
	const uploads = [];
	for (const [i, [mime, text]] of UPLOADS.entries()) {
		const name = `<b>${i}</b><script>window.pwned=1</script>`;
		uploads.push({ mime, name, id: await upload(t, mime, text, name) });
	}
	const seen = await visit(t, browser, `${server.url}/`);
	const { page, context } = seen;
	for (const { mime, name, id } of uploads) {
		const harmless = async (where) => {
			for (const one of context.pages())
				assert.deepEqual(await one.evaluate(() => [window.pwned, document.getElementById('pwned')]), [undefined, null], `${mime}, ${where}`);
		};
		const row = seen.row(name);
		const download = page.waitForEvent('download');
		await row.getByRole('link', { name: /^Download/ }).click();
		await (await download).cancel();
		await harmless('downloaded from the desk');
		await row.getByRole('link').first().click();
		await page.locator('body[data-state="unplayable"], #media').first().waitFor();
		await harmless('on the page that plays it');
		const address = `${server.url}/api/recordings/${id}/original`;
		const gone = await context.newPage();
		await gone.goto(address).catch((error) => assert.match(String(error), /Download is starting|ERR_ABORTED/));
		await harmless('gone to');
		await gone.close();
		await page.evaluate(embed, address);
		await harmless('inside a page of ours');
		await page.goto(`${server.url}/`);
	}
});
