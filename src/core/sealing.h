/* What recording.c and sealing.c share; not for others. */
#ifndef HOLDFAST_CORE_SEALING_H
#define HOLDFAST_CORE_SEALING_H

#include "core/recording.h"

/* Begins to seal one open track, or all that are open. */
void recording_seal_track(struct recording *r, uint16_t track, enum sealed_by by, struct effects *fx);
void recording_seal_whole(struct recording *r, enum sealed_by by, struct effects *fx);
/* More is durable: goes on to hashing when all is. */
void recording_seal_advance(struct recording *r, uint16_t track, struct effects *fx);
/* Does the end of its tracks end the recording? */
bool recording_end_completes(const struct recording *r);
void recording_drop_conn(struct recording *r, uint16_t track, enum err err, struct effects *fx);
void recording_deadline_update(struct recording *r, uint64_t now);

#endif
