/* The one table of errors: every fallible function returns enum err, values leave by out-parameter.
 *
 * A row is: name, wire code, class, HTTP status, sentence. The class drives retry: what the caller did wrong and
 * what conflicts is never retried, what is transient may be, what is fatal stops the process. Foreign errors
 * (errno, SQLite's, libuv's) are translated once, where they enter. */
#ifndef HOLDFAST_BASE_ERR_H
#define HOLDFAST_BASE_ERR_H

#include <stdbool.h>

enum err_class { ERR_CLASS_NONE, ERR_CLASS_CALLER, ERR_CLASS_CONFLICT, ERR_CLASS_TRANSIENT, ERR_CLASS_FATAL };

#define ERR_TABLE(X)                                                                                                   \
	X(OK, "ok", NONE, 200, "")                                                                                     \
	/* what a client did wrong */                                                                                  \
	X(BAD_MESSAGE, "bad_message", CALLER, 400, "The message is not a JSON object with a type.")                    \
	X(BAD_FIELD, "bad_field", CALLER, 400, "A field is missing, of the wrong type or out of range.")               \
	X(BAD_REQUEST, "bad_request", CALLER, 400, "The request is malformed.")                                        \
	X(UNKNOWN_TYPE, "unknown_type", CALLER, 400, "This message type is unknown.")                                  \
	X(MESSAGE_TOO_LARGE, "message_too_large", CALLER, 413, "The message is larger than the limit.")                \
	X(HEADERS_TOO_LARGE, "headers_too_large", CALLER, 431, "The request headers are larger than the limit.")       \
	X(LENGTH_REQUIRED, "length_required", CALLER, 411, "A body needs a Content-Length.")                           \
	X(BINARY_WITHOUT_SESSION, "binary_without_session", CALLER, 409, "Media came before a take was started.")      \
	X(NO_SESSION, "no_session", CALLER, 409, "No take is open on this connection.")                                \
	X(SESSION_OPEN, "session_open", CONFLICT, 409, "Another take is open on this connection.")                     \
	X(SEALED, "sealed", CONFLICT, 409, "The track is sealed; nothing more can be appended.")                       \
	X(POSITION_CONFLICT, "position_conflict", CONFLICT, 409, "The client holds bytes from a later position only.") \
	X(TOTAL_MISMATCH, "total_mismatch", CONFLICT, 409, "The declared total does not fit what was received.")       \
	X(BYTES_MISSING, "bytes_missing", CONFLICT, 409, "Bytes that were declared have not arrived.")                 \
	X(CHECKSUM_MISMATCH, "checksum_mismatch", CONFLICT, 409, "The checksum of the received bytes is another one.") \
	X(TAKEN_OVER, "taken_over", CONFLICT, 409, "Another connection went on with this take.")                       \
	X(STORAGE_SLOW, "storage_slow", TRANSIENT, 503, "The storage did not keep up with what came.")                 \
	X(SHOW_ON_AIR, "show_on_air", CONFLICT, 409, "Somebody else is on air with this show.")                        \
	X(SHOW_STOPPED, "show_stopped", CONFLICT, 409, "The show was stopped.")                                        \
	X(NOT_ON_AIR, "not_on_air", TRANSIENT, 404, "Nobody is on air with this show.")                                \
	X(LENGTH_MISMATCH, "length_mismatch", CALLER, 400, "The length is another one than was declared before.")      \
	X(UPLOAD_INCOMPLETE, "upload_incomplete", CONFLICT, 409, "A partial upload is not complete yet.")              \
	X(ITEM_DIFFERS, "item_differs", CONFLICT, 409, "The batch has an item of this key, with other content.")       \
	X(RATE_LIMITED, "rate_limited", TRANSIENT, 429, "There were more new items than are allowed in this time.")    \
	X(AUTHORITY_FAILED, "authority_failed", TRANSIENT, 503, "Who may do what could not be asked for.")             \
	X(VERSION_UNSUPPORTED, "version_unsupported", CALLER, 412, "This version of the protocol is not spoken.")      \
	X(ABORTED, "aborted", CONFLICT, 409, "The take was aborted.")                                                  \
	X(DELETED, "deleted", CONFLICT, 410, "The recording was deleted.")                                             \
	X(NOT_FOUND, "not_found", CALLER, 404, "There is nothing of this name.")                                       \
	X(METHOD_NOT_ALLOWED, "method_not_allowed", CALLER, 405, "This method is not allowed here.")                   \
	X(RANGE_NOT_SATISFIABLE, "range_not_satisfiable", CALLER, 416, "The range lies outside the file.")             \
	X(FORBIDDEN_ORIGIN, "forbidden_origin", CALLER, 403, "This origin may not use the server.")                    \
	X(WRONG_HOST, "wrong_host", CALLER, 421, "The Host is none of this server's names and addresses.")             \
	X(UNAUTHORIZED, "unauthorized", CALLER, 401, "A token is needed.")                                             \
	X(TOKEN_EXPIRED, "token_expired", CALLER, 401, "The token has expired.")                                       \
	X(TOKEN_REVOKED, "token_revoked", CALLER, 401, "The token was revoked.")                                       \
	X(FORBIDDEN_SCOPE, "forbidden_scope", CALLER, 403, "The token does not allow this.")                           \
	X(QUOTA_EXCEEDED, "quota_exceeded", CALLER, 413, "The take is larger than the token allows.")                  \
	X(UNSUPPORTED_MEDIA, "unsupported_media", CALLER, 415, "Media of this type is not taken.")                     \
	X(PAIRING_INVALID, "pairing_invalid", CALLER, 403, "This is no pairing token of this server.")                 \
	X(PAIRING_USED, "pairing_used", CALLER, 403, "The pairing token was used already.")                            \
	X(PAIRING_EXPIRED, "pairing_expired", CALLER, 403, "The pairing token has expired.")                           \
	X(LIMIT_EXCEEDED, "limit_exceeded", CALLER, 429, "A limit of the server was reached.")                         \
	X(NOT_SUPPORTED, "not_supported", CALLER, 501, "This is not supported.")                                       \
	X(NO_FILE, "no_file", CALLER, 404, "There will never be a file of this recording.")                            \
	X(NO_THUMBNAIL, "no_thumbnail", CALLER, 404, "This recording has no picture.")                                 \
	X(NO_WAVEFORM, "no_waveform", CALLER, 404, "This recording has no sound that could be drawn.")                 \
	X(ORIGINAL_REMOVED, "original_removed", CONFLICT, 410, "The bytes as received were removed after publishing.") \
	X(URL_REFUSED, "url_refused", CALLER, 422, "This address may not be fetched.")                                 \
	X(SOURCE_GONE, "source_gone", CONFLICT, 404, "The source says that there is no such recording.")               \
	X(SOURCE_REFUSED, "source_refused", CONFLICT, 500, "The source refused to hand the recording out.")            \
	X(SOURCE_TOO_LARGE, "source_too_large", CONFLICT, 500, "The source sent more than the limit.")                 \
	X(SOURCE_CHANGED, "source_changed", CONFLICT, 500, "The source changed while it was being fetched.")           \
	X(ENDPOINT_GONE, "endpoint_gone", CONFLICT, 502, "The webhook's receiver says that it is gone.")               \
	X(BUCKET_REFUSED, "bucket_refused", CONFLICT, 502, "The bucket refused the recording.")                        \
	X(UPLOAD_GONE, "upload_gone", CONFLICT, 409, "The bucket knows nothing of this upload any more.")              \
	X(MEDIA_UNREADABLE, "media_unreadable", CONFLICT, 500, "The media could not be read.")                         \
	X(MEDIA_LIMIT, "media_limit", CONFLICT, 500, "The media needs more time, memory or space than allowed.")       \
	/* passing */                                                                                                  \
	X(HEARTBEAT_LOST, "heartbeat_lost", TRANSIENT, 408, "No byte came since the previous ping.")                   \
	X(SLOW_READER, "slow_reader", TRANSIENT, 408, "The replies were not read.")                                    \
	X(STORAGE_FULL, "storage_full", TRANSIENT, 507, "The storage is full; the take goes on when space returns.")   \
	X(BUSY, "busy", TRANSIENT, 503, "The state is changing; ask again.")                                           \
	X(SHUTTING_DOWN, "shutting_down", TRANSIENT, 503, "The server is stopping; the take goes on when it is back.") \
	X(WORKER_DIED, "worker_died", TRANSIENT, 500, "The worker died while it worked on the recording.")             \
	X(WORKER_SILENT, "worker_silent", TRANSIENT, 500, "The worker gave no sign of life until its lease ran out.")  \
	X(WORKER_NOT_PROCESSING_QUEUE, "worker_not_processing_queue", TRANSIENT, 500, "No worker serves the queue.")   \
	X(CHECK_FAILED, "check_failed", TRANSIENT, 500, "The finished file did not pass its check.")                   \
	X(SOURCE_FAILED, "source_failed", TRANSIENT, 500, "The source could not be reached, or it failed.")            \
	X(ENDPOINT_FAILED, "endpoint_failed", TRANSIENT, 502, "The webhook's receiver did not accept the event.")      \
	X(BUCKET_FAILED, "bucket_failed", TRANSIENT, 502, "The bucket could not be reached, or it failed.")            \
	/* the server's own trouble with one take */                                                                   \
	X(WRITE_FAILED, "write_failed", TRANSIENT, 500, "Writing to storage failed; nothing of it was acknowledged.")  \
	X(READ_FAILED, "read_failed", TRANSIENT, 500, "Reading from storage failed.")                                  \
	X(POISONED, "poisoned", CONFLICT, 500, "Storage failed under this take; it takes no more bytes.")              \
	X(CORRUPT, "corrupt", CONFLICT, 500, "Stored data is damaged.")                                                \
	X(QUARANTINED, "quarantined", CONFLICT, 500, "The take could not be recovered whole; it is in quarantine.")    \
	X(EXISTS, "exists", CONFLICT, 409, "It exists already.")                                                       \
	X(NO_MEMORY, "no_memory", TRANSIENT, 503, "The server is out of memory.")                                      \
	X(INTERNAL, "internal", FATAL, 500, "The server made an error.")                                               \
	/* what stops the process */                                                                                   \
	X(LOCKED, "locked", FATAL, 500, "Another process uses the data directory.")                                    \
	X(SYNC_FAILED, "sync_failed", FATAL, 500, "A sync failed; what it covered may be lost and is not acked.")      \
	X(SCHEMA_NEWER, "schema_newer", FATAL, 500, "The data directory was written by a newer version.")

enum err {
#define X(name, code, klass, status, text) ERR_##name,
	ERR_TABLE(X)
#undef X
		ERR_COUNT
};

/* The wire's name ("storage_full"), the sentence, the class, the HTTP status; all total functions, any thread. */
const char *err_code(enum err err);
const char *err_text(enum err err);
enum err_class err_class(enum err err);
int err_status(enum err err);
/* The error of a code; false, and *out untouched, when there is none. */
bool err_parse(const char *code, enum err *out);

/* What `retry` says on the wire: may the client try the same thing again later? */
static inline bool err_retry(enum err err)
{
	return err_class(err) == ERR_CLASS_TRANSIENT;
}

/* errno to err: ENOSPC and EDQUOT are STORAGE_FULL, ENOENT NOT_FOUND, EEXIST EXISTS, ENOMEM NO_MEMORY; all other
 * values are `otherwise`. */
enum err err_from_errno(int value, enum err otherwise);

#endif
