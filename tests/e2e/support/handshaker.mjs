// handshaker.mjs HOST PORT FROM COUNT MS: begins so many TLS handshakes at once from one address, and prints how many were done, and when.
import tls from 'node:tls';

const [host, port, localAddress, count, ms] = process.argv.slice(2);
const began = performance.now();
const done = [];
for (let i = 0; i < Number(count); i += 1) {
	const socket = tls.connect({ host, port: Number(port), localAddress, rejectUnauthorized: false }, () => {
		done.push(Math.round(performance.now() - began));
		if (done.length === Number(count)) finish();
	});
	socket.on('error', () => {});
}
function finish() {
	process.stdout.write(JSON.stringify(done), () => process.exit(0));
}
setTimeout(finish, Number(ms));
