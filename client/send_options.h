/* The command line of `holdfast send`. */
#ifndef HOLDFAST_CLIENT_SEND_OPTIONS_H
#define HOLDFAST_CLIENT_SEND_OPTIONS_H

#include "url.h"

#include <stdbool.h>

struct send_options {
	struct url to;
	const char *address; /* the same as it was given: of a tus server */
	enum { SEND_ASK, SEND_TUS, SEND_HOLDFAST } protocol;
	const char *name, *mime, *session;
	const char *ca_file;
	char *spool; /* owned */
	char *token; /* owned, or NULL */
	unsigned jobs;
	uint64_t tus_chunk; /* 0: a file is one request */
	bool json, quiet, hidden, again;
	char **inputs; /* FILEs, "-" is standard input; points into argv */
	int input_count;
};

enum { SEND_GO = -1, SEND_JOBS_MAX = 64 };

/* SEND_GO, or the exit status: 0 after --help, 2 after a sentence on standard error. *out is to be released. */
int send_options_parse(struct send_options *out, int argc, char **argv);
void send_options_release(struct send_options *o);

#endif
