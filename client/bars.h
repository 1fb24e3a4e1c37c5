/* Bars in a terminal, redrawn in place. Pure, but for bars_size: what is drawn goes to a stream. */
#ifndef HOLDFAST_CLIENT_BARS_H
#define HOLDFAST_CLIENT_BARS_H

#include <holdfast/client.h>
#include <stdbool.h>
#include <stdio.h>

enum {
	BARS_LINES = 65,	/* --jobs, and the total */
	BARS_LINE = 2048,	/* bytes of one, colours and all */
	BARS_MAX_COLUMNS = 160, /* wider is no better to read */
};

struct bar {
	const char *label;
	uint64_t done, total; /* total UINT64_MAX: not known */
	uint64_t rate;	      /* bytes a second */
	const char *note;     /* in the bar's place, or NULL */
	bool is_total, has_failures;
};

struct bars_style {
	bool utf8, color;
	unsigned rows, columns; /* the terminal's; a line's at most */
	unsigned label_columns; /* bars_draw chooses them */
};

struct bars {
	unsigned drawn;		     /* lines that stand there */
	unsigned widths[BARS_LINES]; /* their columns, for a terminal that became narrower */
	unsigned label_columns;	     /* never shrinks, so that nothing jumps */
};

/* One line; returns its columns. */
unsigned bars_line(const struct bar *bar, const struct bars_style *style, char out[BARS_LINE]);
void bars_bytes(uint64_t bytes, char out[32]);	/* "1.5 MiB" */
void bars_count(uint64_t count, char out[32]);	/* "12,345" */
void bars_time(uint64_t seconds, char out[32]); /* "1:02:03" */

/* The lines in place of those before, as many as the terminal has room for; the last one always. */
void bars_draw(struct bars *b, const struct bar *list, unsigned count, struct bars_style style, FILE *to);
/* They go, and the cursor stands where they began. */
void bars_clear(struct bars *b, unsigned columns, FILE *to);
/* Of the terminal, or 24 and 80. */
void bars_size(int fd, struct bars_style *out);

#endif
