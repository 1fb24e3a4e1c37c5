/* One stream from here to a foreign Icecast, by libshout, in a thread of its own: whatever that Icecast does, nobody
 * here waits for it.
 *
 * The loop says what is to be sent and feeds a queue of LIMIT_RELAY_QUEUE_BYTES; the thread connects and sends. A
 * stream that failed is said again by relay_begin, when its owner thinks that it is time. All functions are the loop
 * thread's, and none blocks. */
#ifndef HOLDFAST_WORK_RELAY_H
#define HOLDFAST_WORK_RELAY_H

#include "base/err.h"
#include "work/relay_url.h"

#include <stddef.h>

struct relay;

enum relay_state {
	RELAY_IDLE,
	RELAY_CONNECTING, /* may be fed already */
	RELAY_SENDING,
	RELAY_FAILED, /* until the next begin or end; relay_why says why */
};

enum { RELAY_WHY = 256 };

/* ERR_NO_MEMORY; ERR_INTERNAL: no thread. `url` is copied. `agent`: a static string, as which it is introduced. */
enum err relay_new(const struct relay_url *url, const char *agent, struct relay **out);
/* The thread ends when it can, and frees what is its own: it may hang for a while at a name that nobody resolves.
 * Accepts NULL. */
void relay_free(struct relay *r);

/* Is it a type that an Icecast takes from libshout? WebM, Ogg, MP3, AAC. */
bool relay_takes(const char *mime);

/* Begins, also instead of what is being sent. `mount` as relay_mount makes it; `name` for people, may be NULL. */
void relay_begin(struct relay *r, const char *mount, const char *mime, const char *name);
/* Takes as much as there is room for. */
size_t relay_feed(struct relay *r, const void *data, size_t len);
/* The title of what plays, for streams that don't carry it themselves (MP3, AAC); the newest counts. */
void relay_title(struct relay *r, const char *title);
/* What was fed is still sent, if that is quick; then the connection closes. */
void relay_end(struct relay *r);

enum relay_state relay_state(struct relay *r);
/* The end of a sentence, in out[RELAY_WHY]; it holds no password. */
void relay_why(struct relay *r, char out[RELAY_WHY]);

#endif
