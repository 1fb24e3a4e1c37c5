/* The SHA-256 of what came, inside holdfast-worker: read before anything of it is parsed. One at a time. */
#ifndef HOLDFAST_WORK_DIGEST_H
#define HOLDFAST_WORK_DIGEST_H

#include "core/model.h"

/* Before the cage is closed: what the library looks up when it is first used. ERR_NO_MEMORY. */
enum err digest_prepare(void);
/* Of the descriptor's first `bytes` bytes. `alive` is told of every piece that was read, and gives up by false. After
 * digest_prepare. ERR_READ_FAILED: it can't be read, or is shorter; ERR_NO_MEMORY. */
enum err digest_make(int fd, uint64_t bytes, bool (*alive)(void *arg, uint64_t bytes), void *arg, struct sha256 *out);

#endif
