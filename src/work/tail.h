/* Was a part cut off in the middle? libav reads what is there and does not tell, so the end of the bytes is looked at.
 */
#ifndef HOLDFAST_WORK_TAIL_H
#define HOLDFAST_WORK_TAIL_H

#include "work/input.h"

/* `last`: where in the part the last packet stood, -1 if that is not known. False also where it can't be seen: MP3,
 * ADTS and FLAC are frames, one after the other, and a cut between two of them is as good an end as any. */
bool tail_cut(const struct range *range, enum container container, int64_t last);

#endif
