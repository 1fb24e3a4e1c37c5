/* Control messages of the WebSocket protocol holdfast.v1, both ways. docs/protocol.md is the page for people.
 *
 * Pure: no I/O, any thread. Outside text is judged here and nowhere else: what message_parse accepts has the right
 * types, valid UTF-8, lengths within limits.h and no control characters in names (they are refused, not mended). */
#ifndef HOLDFAST_PROTO_MESSAGE_H
#define HOLDFAST_PROTO_MESSAGE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"

#include <stdint.h>

#define MESSAGE_NO_BYTES UINT64_MAX /* an absent count */

enum message_type {
	MESSAGE_START,
	MESSAGE_END,
	MESSAGE_ABORT,
	MESSAGE_SUBSCRIBE,
	MESSAGE_STOP, /* of the show that the connection hosts: it says no more */
	MESSAGE_SLICE,
};

/* Strings are owned by the message, NULL when absent. */
struct message_start {
	char *session_id;		 /* 1 to LIMIT_SESSION_ID_CHARS characters; required without `show` and `id` */
	bool has_id;			 /* neither sessionId nor show is there then */
	struct uuid id;			 /* a batch's item */
	char *show;			 /* a valid name (core/show.h judges it); NULL when absent */
	char *mime, *ext, *name, *track; /* track: NULL is "main" */
	char *token;			 /* 1 to LIMIT_AUTHORITY_TOKEN_CHARS, not judged here */
	char **tracks;			 /* declared tracks, unique names, or NULL */
	uint32_t tracks_count;
	int64_t ts; /* ms, 0 when absent */
	bool resume, part;
	uint64_t from; /* MESSAGE_NO_BYTES when absent */
};

struct message_end {
	uint64_t total_bytes; /* required */
	bool has_sha256;
	uint8_t sha256[32];
};

/* Exactly one of all, id, batch and show. */
struct message_subscribe {
	bool all;
	char *show;
	char *batch; /* 1 to LIMIT_BATCH_ID_CHARS characters; owned */
	char *token; /* NULL when absent; owned */
	char *id;    /* as an {id} of a route, not judged further; owned */
};

/* One item of a slice. Its key is always there; `err`: a field of it is wrong, and `why` is a sentence. */
struct message_item {
	char *key;
	char *name, *mime, *ext, *source_url;
	uint64_t bytes; /* MESSAGE_NO_BYTES when absent */
	char *meta;	/* a JSON object as text: compact, its keys sorted */
	enum err err;
	char *why;
};

struct message_slice {
	char *batch_id, *slice_id;
	char *token; /* NULL when absent */
	struct message_item *items;
	uint32_t count; /* 1 to LIMIT_SLICE_ITEMS */
};

struct message {
	enum message_type type;
	union {
		struct message_start start;
		struct message_end end;
		char *abort_reason; /* NULL when absent */
		struct message_subscribe subscribe;
		struct message_slice slice;
	};
};

/* Parses one control message. Errors: MESSAGE_TOO_LARGE, BAD_MESSAGE (no JSON object, no type, too deep, duplicate
 * keys), UNKNOWN_TYPE, BAD_FIELD; then *out is empty and `detail` (of detail_size bytes) is a sentence that names the
 * field. But of a `subscribe` or a `slice` that is refused *out says what it is about, as far as that is understood (to
 * be released): its errors leave the take alone. */
enum err message_parse(const char *text, size_t len, struct message *out, char *detail, size_t detail_size);
void message_release(struct message *m);

/* The server's messages as JSON text into `out` (appended). Numbers are exact up to 2^53. */
struct message_started {
	const struct uuid *id;
	const char *session_id; /* NULL: it has none */
	const char *show;	/* NULL: it is of none, and has no version */
	uint32_t version;
	bool resumed;
	uint64_t bytes;
	uint32_t grace_ms, heartbeat_ms;
};
void message_started(struct buf *out, const struct message_started *started);
/* The host's stream is recorded as this version from its byte `from` on. */
void message_moved(struct buf *out, const char *show, uint32_t version, const struct uuid *id, uint64_t from);
/* `id` NULL: the show never was on air. */
void message_stopped(struct buf *out, const char *show, uint32_t version, const struct uuid *id);
void message_ack(struct buf *out, uint64_t bytes);
/* url: "/api/recordings/{id}/original", with ?track= where the take has several. `sha256` NULL: left out. */
void message_saved(struct buf *out, const struct uuid *id, uint64_t bytes, const uint8_t sha256[32], const char *url);
void message_aborted(struct buf *out, const struct uuid *id, const char *reason);
/* `message` NULL: err_text. `id` NULL and `bytes` MESSAGE_NO_BYTES: left out. */
void message_error(struct buf *out, enum err err, const char *message, const struct uuid *id, uint64_t bytes);

/* An error about a subscription, which detaches nothing; it names what `about` does. */
void message_subscription_error(struct buf *out, enum err err, const char *message,
				const struct message_subscribe *about);
/* The state as it is was told. */
void message_subscribed(struct buf *out, const struct message_subscribe *about);
/* What came of a slice's item; `id` NULL: there is none. */
struct message_outcome {
	const char *key;
	const struct uuid *id;
	const char *status;
	bool is_new;
	enum err err;
	const char *why; /* NULL: err_text */
};
void message_slice_ack(struct buf *out, const char *batch_id, const char *slice_id, const struct message_outcome *items,
		       size_t count);
/* An error about a slice, which detaches nothing. Ids NULL: the message had none. `retry_ms` 0: nothing is said. */
void message_slice_error(struct buf *out, enum err err, const char *message, const struct message_slice *about,
			 uint64_t retry_ms);

/* `of`: "recording", "batch" or "show"; `object` is its JSON object. */
void message_status(struct buf *out, const char *of, const char *object);
/* What the server itself shows; recordings: with somebody attached. */
struct server_figures {
	uint64_t free_bytes, total_bytes, reserve_bytes;
	unsigned recordings;
};
void message_status_server(struct buf *out, const struct server_figures *figures);

/* Lower-case hex of 32 bytes into out[65], and back (64 characters, either case). */
void sha256_format(const uint8_t sha256[32], char *out);
bool sha256_parse(const char *text, uint8_t out[32]);

/* True for valid UTF-8 without control characters (C0, DEL, C1) and of at most max_chars code points. */
bool text_valid(const char *text, size_t max_chars);

#endif
