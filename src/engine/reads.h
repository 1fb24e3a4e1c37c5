/* What reads.c (readers, pieces) and downloads.c (which answer a question gets) share. */
#ifndef HOLDFAST_ENGINE_READS_H
#define HOLDFAST_ENGINE_READS_H

#include "engine/internal.h"

enum { READER_PUBLISHED = 0xffff, NAME_WHOLE = UINT16_MAX + 1 };
_Static_assert((int)LIMIT_TRACKS < (int)READER_PUBLISHED, "it is no track's number");

/* The track of this name, its number; without a name the only one, or `main`. -1: there is none. */
int reads_find_track(const struct recording_info *info, const char *name);

/* For engine_read: [0, bytes) of a track … */
uint64_t reader_of_track(struct engine *e, const struct uuid *recording, uint16_t number, uint64_t bytes);
/* … or of an open file, which is the reader's from now on: it outlives its name. */
uint64_t reader_of_file(struct engine *e, const struct uuid *recording, struct vfs_file *file, uint64_t bytes);

/* All of a track but `reader`. */
void original_fill(const struct take *t, uint16_t number, struct engine_original *out);
/* The file's name: of the recording's id, the track's number (NAME_WHOLE: none) and an extension, if it is a plain one.
 */
void original_name(const struct uuid *recording, unsigned number, const char *ext, struct engine_original *out);

#endif
