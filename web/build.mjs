// Builds the pages: node build.mjs OUT LIST DEPFILE. Each script of web/pages/ that has a page of its name beside it is
// bundled with what it imports, and so are style sheets and every …-worker.js of the pages and the client; pages and
// pictures are taken as they are. The results stand flat in the folder OUT, their names in LIST, and what they were made
// of in DEPFILE, for ninja. Needs nothing but this folder and esbuild from node_modules.
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const WEB = fileURLToPath(new URL('.', import.meta.url));
const COPIED = new Set(['.html', '.svg']);
const FOLDERS = ['pages', 'client'].map((name) => join(WEB, name)).filter(existsSync);

const [out, list, depfile] = process.argv.slice(2);
const { build } = await import('esbuild').catch(() => {
	console.error('esbuild is missing; `./dev setup` installs it.');
	process.exit(1);
});

const files = FOLDERS.flatMap((folder) => readdirSync(folder).sort().map((name) => join(folder, name)));
const copied = files.filter((file) => COPIED.has(extname(file)));
const bundled = files.filter((file) => file.endsWith('.css') || file.endsWith('-worker.js')
	|| (file.endsWith('.js') && existsSync(file.replace(/\.js$/, '.html'))));

rmSync(out, { recursive: true, force: true }); // a page that is gone must not be served on
mkdirSync(out, { recursive: true });
const { metafile } = await build({
	absWorkingDir: WEB,
	entryPoints: bundled,
	entryNames: '[name]',
	outdir: join(process.cwd(), out),
	bundle: true,
	format: 'esm',
	target: ['chrome109', 'firefox115', 'safari16'],
	charset: 'utf8',
	legalComments: 'none',
	minifyWhitespace: true,
	minifySyntax: true, // names stay: whoever looks at a running page can read it
	metafile: true,
	logLevel: 'warning',
}).catch(() => process.exit(1)); // esbuild has said why
for (const file of copied) copyFileSync(file, join(out, basename(file)));

const made = [...bundled, ...copied].map((file) => join(out, basename(file))).sort();
writeFileSync(list, made.map((file) => `${file}\n`).join(''));
const inputs = [...FOLDERS, ...copied, ...Object.keys(metafile.inputs).map((file) => join(WEB, file))];
const escaped = (file) => relative(process.cwd(), file).replace(/[ #$]/g, '\\$&');
writeFileSync(depfile, `${list}: ${inputs.map(escaped).join(' ')}\n`);
