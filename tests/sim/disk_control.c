/* What the world does to the simulated disk: faults, deaths, counts. See disk.h. */
#include "disk_impl.h"

#include <assert.h>

void disk_set_trace(struct disk *disk, disk_trace_fn *trace, void *arg)
{
	disk->trace = trace;
	disk->trace_arg = arg;
}

void disk_set_capacity(struct disk *disk, uint64_t bytes)
{
	disk->capacity = bytes;
}

uint64_t disk_used(const struct disk *disk)
{
	return disk->used;
}

void disk_fail(struct disk *disk, const struct disk_fault *fault)
{
	assert(disk->fault_count < FAULTS);
	disk->faults[disk->fault_count++] = *fault;
}

void disk_heal(struct disk *disk)
{
	disk->fault_count = 0;
}

void disk_die_after(struct disk *disk, uint64_t calls)
{
	disk->die_after = calls;
}

bool disk_dead(const struct disk *disk)
{
	return disk->dead;
}

static void evict(struct disk *disk, struct inode *inode, void *arg)
{
	if (rng_chance(&disk->rng, 50))
		inode_evict(disk, inode);
}

void disk_kill(struct disk *disk)
{
	disk_close_all(disk);
	disk->dead = false;
	disk->die_after = 0;
	tree_each(disk, disk->root, evict, NULL);
}

static void lose(struct disk *disk, struct inode *inode, void *arg)
{
	if (!inode->dir)
		inode_power_cut(disk, inode, *(enum disk_loss *)arg);
}

void disk_power_cut(struct disk *disk, enum disk_loss loss)
{
	disk_close_all(disk);
	disk->dead = false;
	disk->die_after = 0;
	tree_power_cut(disk, loss);
	tree_each(disk, disk->root, lose, &loss);
}

uint64_t disk_count(const struct disk *disk, enum disk_call call)
{
	return disk->counts[call];
}

uint64_t disk_changes(const struct disk *disk)
{
	return disk->change_calls;
}

uint64_t disk_resyncs(const struct disk *disk)
{
	return disk->resyncs;
}

unsigned disk_open_files(const struct disk *disk)
{
	unsigned count = 0;
	for (const struct disk_file *f = disk->files; f; f = f->next)
		count++;
	return count;
}

uint64_t disk_failures(const struct disk *disk)
{
	return disk->failures;
}
