// A real S3 server, Ceph's radosgw (tests/support/radosgw.sh), with a bucket, and a look into it by requests that are
// signed here: nothing of the server's own code has a part in that.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { atEnd, ROOT, tempDir, until, within } from './server.mjs';

const SCRIPT = join(ROOT, 'tests/support/radosgw.sh');
const START_MS = 120_000;
const KEY = 'rgwkey';
const SECRET = 'rgwsecret';
const BUCKET = 'takes';

const hash = (data) => createHash('sha256').update(data).digest('hex');
const hmac = (key, data) => createHmac('sha256', key).update(data).digest();

async function freePorts(count) {
	const servers = await Promise.all(Array.from({ length: count }, () => new Promise((resolve) => {
		const server = net.createServer().listen(0, '127.0.0.1', () => resolve(server));
	})));
	const ports = servers.map((server) => server.address().port);
	await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
	return ports;
}

class Bucket {
	/** Ceph's own setting up fails now and then on a busy machine: it is begun anew then. */
	async start(t, tries = 3) {
		const line = await this.#begin(t);
		const [, pid] = /^ready (\d+)/.exec(line) ?? [];
		if (!pid && tries > 1) {
			t.diagnostic(`radosgw: ${line.slice(0, 200)}; once more`);
			return this.start(t, tries - 1);
		}
		if (!pid) assert.fail(line);
		this.pid = Number(pid);
		assert.equal((await this.ask('PUT', `/${BUCKET}`)).status, 200);
		return this;
	}

	async #begin(t) {
		this.dir = mkdtempSync('/tmp/holdfast-s3-'); // short: sockets are in it
		const [mon, http, tls] = await freePorts(3);
		this.port = http;
		const script = spawn(SCRIPT, [this.dir, mon, http, tls], { stdio: ['pipe', 'pipe', 'inherit'] });
		const { dir } = this;
		atEnd(t, async () => {
			if (this.again) this.again.kill('SIGKILL');
			script.stdin.end();
			if (script.exitCode === null) await new Promise((resolve) => script.on('exit', resolve));
			rmSync(dir, { recursive: true, force: true });
		});
		return within(new Promise((resolve) => {
			let said = '';
			script.stdout.on('data', (data) => {
				said += data;
				if (said.includes('\n')) resolve(said);
			});
			script.on('exit', () => resolve(`it ended: ${said}`));
		}), START_MS, 'radosgw');
	}

	get endpoint() {
		return `http://127.0.0.1:${this.port}`;
	}

	/** A signed request; `query` sorted and encoded as it is to be sent. */
	ask(method, path, query = '') {
		const at = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
		const scope = `${at.slice(0, 8)}/us-east-1/s3/aws4_request`;
		const headers = { host: `127.0.0.1:${this.port}`, 'x-amz-content-sha256': hash(''), 'x-amz-date': at };
		const names = Object.keys(headers).join(';');
		const canonical = [method, path, query, ...Object.entries(headers).map(([name, value]) => `${name}:${value}`), '', names, hash('')].join('\n');
		const key = ['us-east-1', 's3', 'aws4_request'].reduce(hmac, hmac(`AWS4${SECRET}`, at.slice(0, 8)));
		const signature = createHmac('sha256', key).update(['AWS4-HMAC-SHA256', at, scope, hash(canonical)].join('\n')).digest('hex');
		const authorization = `AWS4-HMAC-SHA256 Credential=${KEY}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
		return fetch(`${this.endpoint}${path}${query && `?${query}`}`, { method, headers: { ...headers, authorization } });
	}

	/** { bytes, mime, sha256 } of an object; null: there is none. */
	async get(key) {
		const response = await this.ask('GET', `/${BUCKET}/${key}`);
		const bytes = Buffer.from(await response.arrayBuffer());
		if (response.status === 404) return null;
		assert.equal(response.status, 200, bytes.toString());
		return { bytes, mime: response.headers.get('content-type'), sha256: response.headers.get('x-amz-meta-sha256') };
	}

	async #names(query, tag) {
		const response = await this.ask('GET', `/${BUCKET}`, query);
		const text = await response.text();
		assert.equal(response.status, 200, text);
		return [...text.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, 'g'))].map(([, name]) => name);
	}

	keys() {
		return this.#names('list-type=2', 'Key');
	}

	/** Uploads in parts that were begun and are neither complete nor aborted. */
	uploads() {
		return this.#names('uploads=', 'UploadId');
	}

	/** radosgw dies; what is in the store stays. */
	kill() {
		process.kill(this.pid, 'SIGKILL');
	}

	async restart() {
		this.again = spawn('radosgw', ['-f', '-n', 'client.rgw'], { stdio: 'ignore', env: { ...process.env, CEPH_CONF: join(this.dir, 'ceph.conf') } });
		this.pid = this.again.pid;
		await until(async () => (await this.ask('GET', `/${BUCKET}`, 'list-type=2')).status === 200, START_MS, 'radosgw is back');
	}

	/** The server's options for pushing here, below `live/`; `endpoint`: a proxy before it. */
	args(t, { endpoint = this.endpoint, secret = SECRET } = {}) {
		const file = join(tempDir(t), 'keys');
		writeFileSync(file, `[default]\naws_access_key_id = ${KEY}\naws_secret_access_key = ${secret}\n`, { mode: 0o600 });
		return ['--push', `s3://${BUCKET}/live?endpoint=${endpoint}`, '--push-credentials', file, '--push-part', '5M'];
	}
}

export const startBucket = (t) => new Bucket().start(t);
