"""A desktop recorder, written from docs/protocol.md alone: two tracks on a connection each, complete from many threads, then the file.
two_tracks.py HOST:PORT VIDEO AUDIO OUT"""
import base64, hashlib, json, os, socket, struct, sys, threading, time, urllib.error, urllib.request, uuid

host, video, audio, out = sys.argv[1:]
session = str(uuid.uuid4())


class Track(threading.Thread):
	"""One connection: start, the bytes, end, saved."""

	def __init__(self, name, path):
		super().__init__()
		self.name, self.data = name, open(path, 'rb').read()

	def send(self, opcode, payload):
		mask = os.urandom(4)
		length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b'\xfe' + struct.pack('>H', len(payload))
		self.socket.sendall(bytes([0x80 | opcode]) + length + mask + bytes(b ^ mask[i & 3] for i, b in enumerate(payload)))

	def say(self, **message):
		self.send(1, json.dumps(message).encode())

	def hear(self):
		"""The next message; pings are answered. Fields and types that are not known are ignored."""
		while True:
			opcode, length = self.file.read(1)[0] & 15, self.file.read(1)[0]
			length = struct.unpack('>H', self.file.read(2))[0] if length == 126 else length
			payload = self.file.read(length)
			if opcode == 1:
				return json.loads(payload)
			if opcode == 9:
				self.send(10, payload)

	def run(self):
		self.socket = socket.create_connection(host.split(':'))
		self.file = self.socket.makefile('rb')
		self.socket.sendall((f'GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
			f'Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Protocol: holdfast.v1\r\n\r\n').encode())
		while self.file.readline().strip():
			pass
		self.say(type='start', sessionId=session, track=self.name, tracks=['video', 'audio'], mime=f'{self.name}/webm', ext='webm')
		started = self.hear()
		for at in range(started['bytes'], len(self.data), 16384):
			self.send(2, self.data[at:at + 16384])
		self.say(type='end', totalBytes=len(self.data), sha256=hashlib.sha256(self.data).hexdigest())
		while (message := self.hear())['type'] == 'ack':
			pass
		assert message['type'] == 'saved', message
		self.id = message['id']


def ask(path, body=None):
	try:
		return urllib.request.urlopen(urllib.request.Request(f'http://{host}{path}', body and json.dumps(body).encode(), {'Content-Type': 'application/json'}))
	except urllib.error.HTTPError as error:
		return error


def complete(said):
	said.append(json.load(ask(f'/api/recordings/session:{session}/complete', totals))['status'])


tracks = [Track('video', video), Track('audio', audio)]
for track in tracks: track.start()
for track in tracks: track.join()
totals = {'tracks': [{'track': track.name, 'bytes': len(track.data)} for track in tracks]}
said = []
callers = [threading.Thread(target=complete, args=[said]) for _ in range(16)]
for caller in callers: caller.start()
for caller in callers: caller.join()
for _ in range(12):
	answer = ask(f'/api/recordings/{tracks[0].id}/file')
	if answer.status != 202: break
	time.sleep(int(answer.headers['Retry-After']))
assert answer.status == 200, answer.read()
open(out, 'wb').write(answer.read())
print(json.dumps({'id': tracks[0].id, 'said': sorted(set(said))}))
