// @holdfast/client: see index.d.ts for what there is, README.md for how it is used.
export { ApiError, SUBPROTOCOL, newSessionId } from './base.js';
export { openClient } from './client.js';
