// Records a file into Holdfast, over any number of dropped links.   node example-client.mjs ws://127.0.0.1:8480/ws FILE
import { randomUUID } from 'node:crypto';
import { fstatSync, openSync, readSync } from 'node:fs';
import WebSocket from 'ws';

const [url, path] = process.argv.slice(2);
const file = openSync(path), total = fstatSync(file).size; // the file keeps what is not acknowledged yet
const sessionId = randomUUID(); // the take's own name: the same on every connection
let attempts = 0;

const fail = (why) => { console.error(why); process.exit(1); };
const pause = () => Math.random() * Math.min(10_000, 200 * 2 ** attempts++);

function connect() {
	const ws = new WebSocket(url, 'holdfast.v1', { handshakeTimeout: 10_000 });
	let sent, acked, attached = false, silence, silenceMs = 50_000;
	const say = (message) => ws.readyState === WebSocket.OPEN && ws.send(JSON.stringify(message));
	const start = () => say({ type: 'start', sessionId, ext: path.split('.').pop(), from: 0 });
	const heard = () => { clearTimeout(silence); silence = setTimeout(() => ws.terminate(), silenceMs); };
	const pump = () => { // at most 4 MiB ahead of the acks
		while (attached && sent < total && sent - acked < 4 << 20) {
			const piece = Buffer.alloc(Math.min(64 << 10, total - sent));
			sent += readSync(file, piece, 0, piece.length, sent);
			ws.send(piece);
			if (sent === total) say({ type: 'end', totalBytes: total });
		}
	};
	ws.on('open', start).on('ping', heard).on('error', () => {});
	ws.on('close', () => { clearTimeout(silence); setTimeout(connect, pause()); });
	ws.on('message', (data) => {
		const message = JSON.parse(data);
		heard();
		if (message.type === 'started') { // go on from here, wherever we were
			if (message.bytes > total) fail('the server has more than this file');
			[attached, sent, acked, silenceMs] = [true, message.bytes, message.bytes, message.heartbeatMs * 2.5];
			if (sent === total) say({ type: 'end', totalBytes: total });
		} else if (message.type === 'ack') [acked, attempts] = [message.bytes, 0];
		else if (message.type === 'saved') { console.log(data.toString()); process.exit(message.bytes === total ? 0 : 1); }
		else if (message.type === 'aborted') fail(message.reason);
		else if (message.type === 'error') { // detached: nothing more goes out before the next `started`
			attached = false;
			if (message.retry || message.code === 'bytes_missing') setTimeout(start, pause()); else fail(message.message);
		}
		pump();
	});
}
connect();
