// A name server for a test's own network namespace: each name has the addresses that the test says, per question.
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

/** The sixteen bytes of an IPv6 address. */
function bytes6(text) {
	const v4 = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
	const hex = (a, b) => ((Number(a) << 8) | Number(b)).toString(16);
	const plain = v4 ? `${v4[1]}${hex(v4[2], v4[3])}:${hex(v4[4], v4[5])}` : text;
	const [head, tail] = plain.split('::').map((half) => half.split(':').filter(Boolean));
	const groups = tail ? [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail] : head;
	return Buffer.from(groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]));
}

function question(message) {
	const labels = [];
	let at = 12;
	while (message[at]) {
		labels.push(message.subarray(at + 1, at + 1 + message[at]).toString());
		at += 1 + message[at];
	}
	return { name: labels.join('.').toLowerCase(), type: message.readUInt16BE(at + 1), end: at + 5 };
}

/** `addresses(name)` is called once for each question; at 127.0.0.1:53. */
export async function startNames(addresses) {
	const socket = createSocket('udp4');
	socket.on('message', (message, peer) => {
		const { name, type, end } = question(message);
		const wanted = (addresses(name, type) ?? []).filter((address) => (isIPv6(address) ? 28 : 1) === type);
		const head = Buffer.from(message.subarray(0, end));
		head.writeUInt16BE(0x8580, 2); // an answer, with authority
		head.writeUInt16BE(wanted.length, 6);
		head.writeUInt32BE(0, 8);
		const answers = wanted.map((address) => {
			const data = isIPv6(address) ? bytes6(address) : Buffer.from(address.split('.').map(Number));
			const record = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, data.length]); // lives for no time
			return Buffer.concat([record, data]);
		});
		socket.send(Buffer.concat([head, ...answers]), peer.port, peer.address);
	});
	await new Promise((resolve) => socket.bind(53, '127.0.0.1', resolve));
	return socket;
}
