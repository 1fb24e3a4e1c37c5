/* A real S3 server for a test's time: radosgw.sh as a child process, which ends with this one. */
#ifndef HOLDFAST_TESTS_RADOSGW_H
#define HOLDFAST_TESTS_RADOSGW_H

#include <stdbool.h>
#include <sys/types.h>

struct radosgw {
	char dir[64], ca[96]; /* ca: its certificate */
	unsigned port, tls_port;
	pid_t script, pid; /* pid: radosgw's own, for whoever wants to stop it a while */
	int hold;	   /* the script's standard input */
};

/* False: `why` says why not. Ports are free ones; when somebody else takes one meanwhile, others are tried. */
bool radosgw_start(struct radosgw *r, char *why, int size);
/* Ends everything of it and removes its files. */
void radosgw_stop(struct radosgw *r);

#endif
