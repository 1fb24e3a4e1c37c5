// The peer of bench/uploads: @tus/server with its FileStore, as its README sets it up. node peer_tus.mjs DIR
import { createServer } from 'node:http';
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';

const tus = new Server({ path: '/files', datastore: new FileStore({ directory: process.argv[2] }) });
const server = createServer(tus.handle.bind(tus)).listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
