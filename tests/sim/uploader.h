/* Files that are uploaded by requests: some whole, some of parts, over requests that break, hang, carry wrong checksums
 * and are taken over; and what the server may say of them. */
#ifndef HOLDFAST_SIM_UPLOADER_H
#define HOLDFAST_SIM_UPLOADER_H

#include "world.h"

#include "store/catalog.h"

enum { UPLOADS = 6 };

struct uploaders;

void uploaders_init(struct world *w);
void uploaders_release(struct world *w);
void uploaders_begin(struct world *w);
/* The server process is gone, and all that was asked of it. */
void uploaders_gone(struct world *w);
/* All that can be whole is. */
bool uploaders_done(const struct world *w);
void uploaders_describe(const struct world *w, char *out, size_t size);
/* True: the status is about one of them. */
bool uploaders_status(struct world *w, const json_t *status);
void uploaders_check_all(struct world *w);
void uploaders_audit(struct world *w, struct catalog *catalog);

#endif
