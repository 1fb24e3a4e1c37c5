// A recorder in another language that knows nothing but docs/protocol.md: two tracks become one file.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ffmpeg, ffprobe } from './support/finishing.mjs';
import { ROOT, startServer, tempDir } from './support/server.mjs';
import { recording } from './support/wire.mjs';

const run = promisify(execFile);

test('two tracks, complete from everywhere, one file with picture and sound', { timeout: 90_000 }, async (t) => {
	const server = await startServer(t, { workers: 2 });
	const dir = tempDir(t);
	const [video, audio, out] = ['video.webm', 'audio.webm', 'out.webm'].map((name) => join(dir, name));
	ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=15', '-t', '4', '-c:v', 'libvpx', '-b:v', '300k', '-deadline', 'realtime', '-cpu-used', '8', video);
	ffmpeg('-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-t', '4', '-c:a', 'libopus', audio);
	const { stdout } = await run('python3', [join(ROOT, 'tests/e2e/support/two_tracks.py'), `127.0.0.1:${server.port}`, video, audio, out]);
	const { id, said } = JSON.parse(stdout);
	assert.ok(said.every((one) => ['alreadyProcessing', 'alreadyComplete'].includes(one)), `${said}`); // the last `end` claimed it
	const { streams, format } = ffprobe(out);
	assert.deepEqual(streams.map(({ codec_type }) => codec_type).sort(), ['audio', 'video']);
	assert.ok(Math.abs(format.duration - 4) < 0.3, format.duration);
	const state = await recording(server, id);
	assert.deepEqual([state.revision, state.attempt, state.warnings, state.tracks.map(({ track }) => track).sort()], [1, 1, [], ['audio', 'video']]);
});
