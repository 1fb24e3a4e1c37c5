/* What recording.c, sealing.c and ending.c share; not for others. */
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
/* More is durable: goes on with an abort when all is. */
void recording_abort_advance(struct recording *r, struct effects *fx);
/* All tracks are hashed, their seals journaled or on the way: no storage of media is asked any more. */
bool recording_hashed_whole(const struct recording *r);
/* The catalog's word about the take. What an earlier error said is not said of a later state. */
bool recording_row_take(struct recording *r, const struct recording_info *row);

#endif
