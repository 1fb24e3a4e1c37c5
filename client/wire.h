/* The client's end of the protocol holdfast.v1: its messages as JSON, the server's out of it. Pure. docs/protocol.md is
 * the page for people. */
#ifndef HOLDFAST_CLIENT_WIRE_H
#define HOLDFAST_CLIENT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_NO_BYTES UINT64_MAX /* an absent count */

enum { WIRE_TEXT = 512 };

enum wire_type { WIRE_STARTED, WIRE_ACK, WIRE_SAVED, WIRE_ABORTED, WIRE_ERROR, WIRE_UNKNOWN };

/* What is absent is "" or zero, bytes WIRE_NO_BYTES. Texts that do not fit are cut. */
struct wire_message {
	enum wire_type type;
	uint64_t bytes;
	uint32_t heartbeat_ms;
	bool resumed, retry;
	char id[64], url[WIRE_TEXT], sha256[65];
	char code[64], text[WIRE_TEXT]; /* of an error; `text` also the reason of `aborted` */
};

/* False for what is no JSON object with a type, or lacks a field that its type needs. Unknown types are WIRE_UNKNOWN.
 */
bool wire_parse(const char *text, size_t len, struct wire_message *out);

struct wire_start {
	const char *session_id;
	const char *name, *mime, *ext, *track; /* NULL: left out */
	uint64_t from;			       /* the lowest byte still held */
	bool resume;
	const char *token;	   /* NULL: none */
	const char *const *tracks; /* NULL: not declared; else ended by NULL */
};

/* JSON text to be freed, or NULL when memory is out. */
char *wire_format_start(const struct wire_start *start);
char *wire_format_end(uint64_t total_bytes, const char *sha256_or_null);
char *wire_format_abort(const char *reason_or_null);

#endif
