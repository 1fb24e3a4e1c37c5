/* A growable byte buffer; after a failed allocation it is `failed` and stays so, checked once at the end. */
#ifndef HOLDFAST_BASE_BUF_H
#define HOLDFAST_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* always NUL-terminated when not NULL; owned */
	size_t len, capacity;
	bool failed;
};

void buf_init(struct buf *b);
void buf_release(struct buf *b);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_add_text(struct buf *b, const char *text);
__attribute__((format(printf, 2, 3))) void buf_addf(struct buf *b, const char *format, ...);

/* The bytes leave the buffer to the caller, who frees them; NULL when failed. */
char *buf_take(struct buf *b);

#endif
