/* What `holdfast send` tells about a take: one line redrawn on a terminal, plain lines now and then elsewhere, or JSON.
 * Progress goes to standard error, what was saved and all JSON to standard output. */
#ifndef HOLDFAST_CLIENT_PROGRESS_H
#define HOLDFAST_CLIENT_PROGRESS_H

#include <holdfast/client.h>
#include <stdbool.h>

enum { SHOW_SAMPLES = 16 };

struct progress {
	bool json, quiet, terminal;
	const char *label; /* of the take at work */
	bool line_open;	   /* a line is being redrawn */
	uint64_t shown_ms; /* when the last line came */
	enum hf_state shown_state;
	uint64_t shown_safe;
	struct {
		uint64_t ms, bytes;
	} samples[SHOW_SAMPLES]; /* of bytes_safe, for the rate; a ring */
	unsigned sample_next, sample_count;
};

void progress_init(struct progress *s, bool json, bool quiet);
void progress_begin(struct progress *s, const char *label);
/* `note`: more than the state tells, like a full local disk; or NULL. */
void progress_bytes(struct progress *s, const struct hf_take *take, const char *note, uint64_t now_ms);
void progress_saved(struct progress *s, const struct hf_take *take, const char *url);
/* A sentence on a take that will not be saved by this run. */
void progress_failed(struct progress *s, const char *label, const char *why);
/* A sentence that is no failure. */
__attribute__((format(printf, 2, 3))) void progress_note(struct progress *s, const char *format, ...);

#endif
