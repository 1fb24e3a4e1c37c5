/* A pusher in a test's hands, on a loop with whatever it pushes to: one step at a time, its file in memory, and what
 * came of it. */
#ifndef HOLDFAST_TESTS_PUSH_RIG_H
#define HOLDFAST_TESTS_PUSH_RIG_H

#include "work/pusher_s3.h"

#include <stdbool.h>

enum { RIG_PARTS = 2100, RIG_UPLOADS = 600 };

struct push_rig {
	uv_loop_t loop;
	uv_timer_t deadline, reading;
	struct pusher *p;
	uint64_t id; /* of the step */
	/* the file */
	uint8_t *file; /* owned */
	uint64_t bytes;
	bool inline_reads; /* fed from inside of want */
	bool backwards;	   /* of two reads the later one first */
	bool never;	   /* nothing is fed */
	bool cancel;	   /* from inside of want */
	struct {
		uint64_t id, offset;
		size_t len;
	} reads[4];
	unsigned read_count, wants, most_reads;
	/* what came of it */
	unsigned done;
	bool late;
	enum err err;
	char message[256], upload[LIMIT_PUSH_UPLOAD_CHARS + 1], etag[LIMIT_PUSH_ETAG_CHARS + 1], sha256[65];
	uint64_t retry_after_ms, length;
	struct push_part parts[RIG_PARTS];
	size_t part_count;
	struct push_upload uploads[RIG_UPLOADS];
	size_t upload_count;
	bool more, closed;
};

void push_rig_init(struct push_rig *g);
/* Opens a pusher for an s3:// URL. */
void push_rig_open(struct push_rig *g, const char *url, const struct s3_keys *keys,
		   const struct pusher_s3_config *with);
void push_rig_close(struct push_rig *g);
/* Nothing may be left on the loop but what the caller closes. */
void push_rig_release(struct push_rig *g);
/* The file: `bytes` of a pattern. */
void push_rig_file(struct push_rig *g, uint64_t bytes);
/* A body with its hash. */
struct push_body push_rig_body(const struct push_rig *g, uint64_t offset, uint64_t len);
/* Starts a step, under an id of its own. */
void push_rig_start(struct push_rig *g, struct push_step step);
void push_rig_wait(struct push_rig *g);
/* Both; the error, with its message in g->message. */
enum err push_rig_do(struct push_rig *g, struct push_step step);
/* Wall clock. */
int64_t push_rig_now_ms(void);

#endif
