/* `holdfast send`, inside: send.c is the program, batch.c its files and takes, input.c standard input. */
#ifndef HOLDFAST_CLIENT_BATCH_H
#define HOLDFAST_CLIENT_BATCH_H

#include "files.h"
#include "progress.h"
#include "send_options.h"
#include "sent.h"
#include "tus.h"

enum { INPUT_BYTES = 64 * 1024 };

/* Standard input on its way into its take. */
struct input {
	bool wanted, eof, ended, failed;
	struct hf_take *take; /* made when the first byte came */
	char buffer[INPUT_BYTES];
	size_t waiting;	       /* bytes in the buffer that the spool had no room for */
	uint64_t last_call_ms; /* when reading ends after Ctrl-C; 0: not asked to */
};

/* What an earlier run left for this server. */
struct leftover {
	char *session, *source, *failed; /* owned; source NULL: from standard input */
	bool done;
};

/* A take, or an upload by tus, at work. */
struct job {
	struct hf_take *take; /* owned, but for standard input's */
	struct tus *tus;      /* owned */
	const char *label;
	uint64_t size; /* as the totals count it */
	bool resumed;
	uint64_t begun_safe; /* was safe before this run; UINT64_MAX: not known yet */
	struct show_item item;
};

struct send {
	struct send_options options;
	struct progress show;
	struct input input;
	struct files files;
	struct sent sent;
	struct leftover *leftovers; /* owned */
	unsigned leftover_count, next_leftover;
	size_t next_file;
	struct tus_server *tus; /* NULL: takes */
	struct job jobs[SEND_JOBS_MAX + 1];
	unsigned job_count;
	struct hf_take *spares[SEND_JOBS_MAX + 1]; /* owned: saved, their connections are for the next */
	unsigned spare_count;
	struct show_totals totals;
	uint64_t settled_sent; /* made safe by this run, of what has ended */
	char **failures;       /* owned: lines for the end, then NULL */
	size_t failure_count;
	bool failed;  /* something was not saved */
	bool refused; /* by the server, as it would refuse the next */
};

void send_fail(struct send *s, const char *label, const char *why);
struct hf_options send_take_options(const struct send *s);

/* Collects what is to be sent: leftovers, files, folders. */
void batch_collect(struct send *s);
/* Begins as many as may be at work. False when there is nothing left to begin. */
bool batch_begin(struct send *s);
/* Standard input's take joins those at work. */
void batch_add_input(struct send *s);
/* Works for at most timeout_ms, or until `fd` is readable; what has ended is settled. */
void batch_run(struct send *s, int fd, int timeout_ms);
/* Those at work are left for the next run. */
void batch_leave(struct send *s);
void batch_show(struct send *s, uint64_t now_ms);
void batch_release(struct send *s);

/* Standard input: reads what is there and has it spooled. `interrupted`: it is to end soon. */
void input_turn(struct send *s, bool interrupted, uint64_t now_ms);
/* To wait for; -1 when there is nothing to wait for. */
int input_fd(const struct send *s);
/* Why reading waits, or NULL. */
const char *input_note(const struct send *s);

#endif
