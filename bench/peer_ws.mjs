// The peer for the benchmark: a plain Node `ws` server that appends what comes to a file for each take and acknowledges it when
// the write call has returned. It syncs nothing: what it acknowledged is lost with the power. It speaks just enough of
// holdfast.v1 for the load client.
//
//   node bench/peer_ws.mjs DIR      prints `listening on http://127.0.0.1:PORT`
import { createRequire } from 'node:module';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

const require = createRequire(import.meta.url);
const { WebSocketServer } = require('ws');

const dir = process.argv[2] ?? '.';
let takes = 0;

function serve(socket) {
	let file, bytes = 0, queue = [], writing = false, total;
	const send = (message) => socket.send(JSON.stringify(message));

	// What gathered while the last write was under way goes in one writev: as good as Node gets.
	async function write() {
		writing = true;
		while (queue.length > 0) {
			const chunks = queue;
			queue = [];
			await file.writev(chunks);
			bytes += chunks.reduce((sum, chunk) => sum + chunk.length, 0);
			send({ type: 'ack', bytes });
			if (socket.isPaused) socket.resume();
		}
		writing = false;
		if (bytes === total) send({ type: 'saved', bytes });
	}

	async function control(message) {
		if (message.type === 'start') {
			file = await open(join(dir, `take-${takes++}`), 'a');
			send({ type: 'started', sessionId: message.sessionId, resumed: false, bytes: 0 });
		} else if (message.type === 'end') {
			total = message.totalBytes;
			if (!writing && bytes === total) send({ type: 'saved', bytes });
		}
	}

	socket.on('message', (data, isBinary) => {
		if (!isBinary) return void control(JSON.parse(data));
		queue.push(data);
		if (queue.length > 64) socket.pause();
		if (!writing) write();
	});
	socket.on('error', () => {});
	socket.on('close', () => file?.close());
}

const server = new WebSocketServer({
	host: '127.0.0.1',
	port: 0,
	path: '/ws',
	perMessageDeflate: false,
	backlog: 1024,
	handleProtocols: () => 'holdfast.v1',
});
server.on('connection', serve);
server.on('listening', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
process.on('SIGTERM', () => process.exit(0));
