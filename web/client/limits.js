// Every limit of the machine, with its reason.

export const OPEN_TIMEOUT_MS = 10_000; // a stopped server's kernel still accepts: a connection may open never
export const START_TIMEOUT_MS = 15_000; // the answer to `start` waits for a sync, not for a person
export const HEARTBEAT_MS = 20_000; // until `started` says better
export const SILENT_HEARTBEATS = 2.5; // as docs/protocol.md has it
export const BACKOFF_FIRST_MS = 200;
export const BACKOFF_MAX_MS = 10_000; // well below the server's grace
export const BACKOFF_AIR_MS = 2_000; // a show's grace is short, and each second of it is one that listeners wait
export const BACKOFF_FULL_MS = 2_000; // storage does not become free in a moment
export const WINDOW_BYTES = 4 * 1024 * 1024; // unacknowledged on the wire; bufferedAmount proves nothing
export const MESSAGE_BYTES = 64 * 1024;
export const READ_BYTES = 512 * 1024; // read back from the store at once
export const APPEND_BYTES = 4 * 1024 * 1024; // given to the store at once
export const DROP_BYTES = 256 * 1024; // the store is not told of every ack
export const STORE_RETRY_MS = 2_000; // a full device may have room again
export const STALE_STARTS = 3; // that pages before this one may have left on the way
export const NOTE_MS = 5_000; // how often a mere count of safe bytes is noted
