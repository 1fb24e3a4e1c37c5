/* Opening and closing the journal, and what it says about itself. */
#include "store/journal_private.h"

#include <assert.h>
#include <stdlib.h>

uint32_t journal_segment_bytes(uint64_t size_bytes)
{
	uint64_t bytes = size_bytes / LIMIT_SEGMENTS_MIN / MIB * MIB;
	bytes = bytes > LIMIT_SEGMENT_BYTES ? LIMIT_SEGMENT_BYTES : bytes;
	return bytes < LIMIT_SEGMENT_MIN_BYTES ? LIMIT_SEGMENT_MIN_BYTES : (uint32_t)bytes;
}

static enum err check_config(struct journal *j)
{
	const struct journal_config *c = &j->config;
	assert(c->vfs && c->exec && c->random);
	assert(c->segment_bytes >= 64 * KIB && c->segment_bytes % JOURNAL_BLOCK == 0 && c->segment_bytes <= GIB);
	j->segment_bytes = c->segment_bytes;
	j->segments = calloc(LIMIT_SEGMENTS_MAX, sizeof *j->segments);
	j->writer.buffer = aligned_alloc(JOURNAL_BLOCK, JOURNAL_WRITE_BYTES);
	return j->segments && j->writer.buffer ? ERR_OK : ERR_NO_MEMORY;
}

/* What depends on the size of the segments, which those on the disk decide. */
static void derive_sizes(struct journal *j)
{
	uint64_t count = (j->config.size_bytes + j->segment_bytes - 1) / j->segment_bytes;
	count = count < LIMIT_SEGMENTS_MIN ? LIMIT_SEGMENTS_MIN : count;
	j->target_count = count > LIMIT_SEGMENTS_MAX ? LIMIT_SEGMENTS_MAX : (unsigned)count;
	uint64_t quarter = (j->segment_bytes - JOURNAL_DATA) / 4 / JOURNAL_BLOCK * JOURNAL_BLOCK;
	j->append_max = quarter < LIMIT_APPEND_BYTES ? (uint32_t)quarter : LIMIT_APPEND_BYTES;
	uint64_t half = j->segment_bytes / 2;
	j->batch_bytes = half < LIMIT_BATCH_BYTES ? half : LIMIT_BATCH_BYTES;
}

static bool any_direct(const struct journal *j)
{
	for (unsigned i = 0; i < j->segment_count; i++)
		if (j->segments[i].file && j->segments[i].file->direct)
			return true;
	return false;
}

enum err journal_open(const struct journal_config *config, struct journal **out)
{
	*out = NULL;
	struct journal *j = calloc(1, sizeof *j);
	if (!j)
		return ERR_NO_MEMORY;
	j->config = *config;
	enum err err = check_config(j);
	if (err == ERR_OK)
		err = segments_open(j);
	if (err == ERR_OK && config->io == JOURNAL_IO_DIRECT && !any_direct(j))
		err = ERR_NOT_SUPPORTED;
	if (err != ERR_OK) {
		journal_close(j);
		return err;
	}
	derive_sizes(j);
	*out = j;
	return ERR_OK;
}

uint32_t journal_append_max(const struct journal *j)
{
	return j->append_max;
}

void journal_status(const struct journal *j, struct journal_status *out)
{
	*out = (struct journal_status){
		.next_sequence = j->next_sequence,
		.durable_sequence = j->durable,
		.replay_from = j->replay_from,
		.segments_free = journal_count_free(j),
		.direct = any_direct(j),
		.batches = j->batches,
		.bytes_written = j->bytes_written,
	};
	for (unsigned i = 0; i < j->segment_count; i++) {
		out->segments += j->segments[i].state != SEGMENT_ABSENT;
		out->segments_ready += segment_is_ready(&j->segments[i]);
	}
	if (out->segments < j->target_count)
		out->segments = j->target_count;
}

static void free_owned(struct gather *g)
{
	for (size_t i = 0; i < g->count; i++)
		free(g->entries[i].owned);
	free(g->entries);
	free(g->pieces);
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	assert(!j->busy && !j->filler.busy);
	for (unsigned i = 0; j->segments && i < j->segment_count; i++)
		vfs_file_close(j->segments[i].file);
	free_owned(&j->gathering);
	free_owned(&j->committing);
	free(j->filler.zeros);
	free(j->writer.buffer);
	free(j->segments);
	free(j->holds);
	free(j);
}
