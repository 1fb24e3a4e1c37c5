// Errors of the protocol that a client does not judge by `retry` alone.

// Final for the same message, but a new `start` mends them: its `bytes` says what to send.
export const MENDED_BY_START = new Set(['bytes_missing', 'binary_without_session', 'no_session', 'session_open']);
// Final, but over when their cause is; nothing is lost by trying again.
export const RESUMABLE = new Set(['unauthorized', 'token_expired', 'token_revoked', 'forbidden_scope', 'forbidden_origin', 'file_permission',
	'file_unreadable', 'store_failed', 'show_on_air', 'show_stopped', 'show_ended']);
