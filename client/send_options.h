/* The command line of `holdfast send`. */
#ifndef HOLDFAST_CLIENT_SEND_OPTIONS_H
#define HOLDFAST_CLIENT_SEND_OPTIONS_H

#include "url.h"

#include <stdbool.h>

struct send_options {
	struct url to;
	const char *name, *mime, *session;
	char *spool; /* owned */
	bool json, quiet;
	char **inputs; /* FILEs, "-" is standard input; points into argv */
	int input_count;
};

enum { SEND_GO = -1 };

/* SEND_GO, or the exit status: 0 after --help, 2 after a sentence on standard error. *out is to be released. */
int send_options_parse(struct send_options *out, int argc, char **argv);
void send_options_release(struct send_options *o);

#endif
