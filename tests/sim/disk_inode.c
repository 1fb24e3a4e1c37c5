/* Contents of the simulated disk's files, see disk.h: pages with a cached and a durable image. */
#include "disk_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void *xrealloc(void *old, size_t size)
{
	void *p = realloc(old, size);
	assert(p || size == 0);
	return p;
}

static uint8_t *page_get(struct disk *disk)
{
	void *p = disk->free_pages;
	if (!p)
		return xrealloc(NULL, PAGE);
	memcpy(&disk->free_pages, p, sizeof p);
	return p;
}

static void page_put(struct disk *disk, uint8_t *page)
{
	if (!page)
		return;
	memcpy(page, &disk->free_pages, sizeof disk->free_pages);
	disk->free_pages = page;
}

static bool all_zero(const uint8_t *data, size_t len)
{
	return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

struct inode *inode_new(bool dir)
{
	struct inode *inode = calloc(1, sizeof *inode);
	assert(inode);
	inode->dir = dir;
	return inode;
}

void inode_ref(struct inode *inode)
{
	inode->refs++;
}

static void entries_release(struct disk *disk, struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++) {
		free(entries->items[i].name);
		inode_unref(disk, entries->items[i].inode);
	}
	free(entries->items);
}

void inode_unref(struct disk *disk, struct inode *inode)
{
	if (!inode || --inode->refs > 0)
		return;
	for (size_t i = 0; i < inode->page_count; i++) {
		page_put(disk, inode->pages[i].cur);
		page_put(disk, inode->pages[i].dur);
	}
	free(inode->pages);
	free(inode->touched);
	entries_release(disk, &inode->cur);
	entries_release(disk, &inode->dur);
	disk->used -= inode->allocated;
	free(inode);
}

void inode_read(const struct inode *inode, void *data, size_t len, uint64_t off)
{
	uint8_t *to = data;
	while (len > 0) {
		size_t index = off / PAGE, at = off % PAGE, n = PAGE - at < len ? PAGE - at : len;
		const uint8_t *cur = index < inode->page_count ? inode->pages[index].cur : NULL;
		if (cur)
			memcpy(to, cur + at, n);
		else
			memset(to, 0, n);
		to += n;
		off += n;
		len -= n;
	}
}

enum err inode_allocate(struct disk *disk, struct inode *inode, uint64_t end)
{
	uint64_t want = (end + PAGE - 1) / PAGE * PAGE;
	if (want <= inode->allocated)
		return ERR_OK;
	uint64_t more = want - inode->allocated;
	if (disk->used + more > disk->capacity)
		return ERR_STORAGE_FULL;
	disk->used += more;
	inode->allocated = want;
	return ERR_OK;
}

static void grow_pages(struct inode *inode, size_t count)
{
	if (count <= inode->page_count)
		return;
	size_t capacity = inode->page_count ? inode->page_count : 4;
	while (capacity < count)
		capacity *= 2;
	inode->pages = xrealloc(inode->pages, capacity * sizeof *inode->pages);
	memset(inode->pages + inode->page_count, 0, (capacity - inode->page_count) * sizeof *inode->pages);
	inode->page_count = capacity;
}

/* From here on the two images of a page differ. */
static void page_touch(struct disk *disk, struct inode *inode, size_t index)
{
	struct page *page = &inode->pages[index];
	if (page->dirty || page->cut || page->lost)
		return;
	assert(!page->dur);
	if (page->cur) {
		page->dur = page_get(disk);
		memcpy(page->dur, page->cur, PAGE);
	}
	if (inode->touched_count == inode->touched_capacity) {
		inode->touched_capacity = inode->touched_capacity ? 2 * inode->touched_capacity : 16;
		inode->touched = xrealloc(inode->touched, inode->touched_capacity * sizeof *inode->touched);
	}
	inode->touched[inode->touched_count++] = (uint32_t)index;
}

static uint8_t sector_mask(size_t at, size_t len)
{
	size_t first = at / SECTOR, last = (at + len - 1) / SECTOR;
	return (uint8_t)((0xffu << first) & (0xffu >> (PAGE_SECTORS - 1 - last)));
}

static void page_set(struct disk *disk, struct page *page, const uint8_t *data, size_t len, size_t at)
{
	if (!page->cur) {
		if (all_zero(data, len))
			return;
		page->cur = page_get(disk);
		memset(page->cur, 0, PAGE);
	}
	memcpy(page->cur + at, data, len);
}

void inode_write(struct disk *disk, struct inode *inode, const void *data, size_t len, uint64_t off)
{
	const uint8_t *from = data;
	grow_pages(inode, (off + len + PAGE - 1) / PAGE);
	if (off + len > inode->size)
		inode->size = off + len;
	while (len > 0) {
		size_t index = off / PAGE, at = off % PAGE, n = PAGE - at < len ? PAGE - at : len;
		page_touch(disk, inode, index);
		struct page *page = &inode->pages[index];
		uint8_t mask = sector_mask(at, n);
		page_set(disk, page, from, n, at);
		page->dirty |= mask;
		page->lost &= (uint8_t)~mask;
		from += n;
		off += n;
		len -= n;
	}
}

/* Zeros in the page cache behind the new end; on the platter that is pending. */
void inode_truncate(struct disk *disk, struct inode *inode, uint64_t size)
{
	static const uint8_t zeros[PAGE];
	for (uint64_t off = size; off < inode->size;) {
		size_t index = off / PAGE, at = off % PAGE;
		size_t n = inode->size - off < PAGE - at ? inode->size - off : PAGE - at;
		grow_pages(inode, index + 1);
		page_touch(disk, inode, index);
		struct page *page = &inode->pages[index];
		/* The rest of a sector that stays is rewritten; whole sectors are gone. */
		if (at % SECTOR)
			page->dirty |= (uint8_t)(1u << (at / SECTOR));
		size_t whole = (at + SECTOR - 1) / SECTOR * SECTOR;
		if (whole < at + n)
			page->cut |= sector_mask(whole, at + n - whole);
		page_set(disk, page, zeros, n, at);
		off += n;
	}
	inode->size = size;
	if (size < inode->cut_size)
		inode->cut_size = size;
	uint64_t keep = (size + PAGE - 1) / PAGE * PAGE;
	if (keep < inode->allocated) {
		disk->used -= inode->allocated - keep;
		inode->allocated = keep;
	}
}

/* Once no sector differs, one image is enough. */
static void touched_settle(struct disk *disk, struct inode *inode)
{
	size_t kept = 0;
	for (size_t i = 0; i < inode->touched_count; i++) {
		struct page *page = &inode->pages[inode->touched[i]];
		if (page->dirty || page->cut || page->lost) {
			inode->touched[kept++] = inode->touched[i];
			continue;
		}
		page_put(disk, page->dur);
		page->dur = NULL;
		if (page->cur && all_zero(page->cur, PAGE)) {
			page_put(disk, page->cur);
			page->cur = NULL;
		}
	}
	inode->touched_count = kept;
}

static void copy_sector(struct disk *disk, uint8_t **to, const uint8_t *from, unsigned sector)
{
	if (!*to) {
		if (!from)
			return;
		*to = page_get(disk);
		memset(*to, 0, PAGE);
	}
	if (from)
		memcpy(*to + sector * SECTOR, from + sector * SECTOR, SECTOR);
	else
		memset(*to + sector * SECTOR, 0, SECTOR);
}

void inode_sync(struct disk *disk, struct inode *inode)
{
	for (size_t i = 0; i < inode->touched_count; i++) {
		struct page *page = &inode->pages[inode->touched[i]];
		uint8_t done = page->dirty | page->cut;
		for (unsigned s = 0; page->lost && s < PAGE_SECTORS; s++) {
			if (done & (1u << s) && !(page->lost & (1u << s)))
				copy_sector(disk, &page->dur, page->cur, s);
		}
		page->dirty = page->cut = 0;
	}
	touched_settle(disk, inode);
	inode->dur_size = inode->cut_size = inode->size;
}

/* Some sectors made it, the others are dropped; all of them are clean from now on. */
void inode_sync_fail(struct disk *disk, struct inode *inode)
{
	for (size_t i = 0; i < inode->touched_count; i++) {
		struct page *page = &inode->pages[inode->touched[i]];
		for (unsigned s = 0; s < PAGE_SECTORS; s++) {
			if (!(page->dirty & (1u << s)))
				continue;
			if (rng_chance(&disk->rng, 30))
				copy_sector(disk, &page->dur, page->cur, s);
			else
				page->lost |= (uint8_t)(1u << s);
		}
		page->dirty = 0;
	}
	touched_settle(disk, inode);
}

void inode_evict(struct disk *disk, struct inode *inode)
{
	for (size_t i = 0; i < inode->touched_count; i++) {
		struct page *page = &inode->pages[inode->touched[i]];
		for (unsigned s = 0; s < PAGE_SECTORS; s++) {
			if (page->lost & (1u << s))
				copy_sector(disk, &page->cur, page->dur, s);
		}
		page->lost = 0;
	}
	touched_settle(disk, inode);
}

/* A sector that was under way when the power went: a piece of the new over the old, or trash. What was not written
 * stays: disks write sectors whole, and SQLite builds on that (SQLITE_IOCAP_POWERSAFE_OVERWRITE). */
static void tear_sector(struct disk *disk, struct page *page, unsigned sector, const uint8_t *old)
{
	static const uint8_t zeros[SECTOR];
	if (!page->cur) {
		page->cur = page_get(disk);
		memset(page->cur, 0, PAGE);
	}
	uint8_t *at = page->cur + sector * SECTOR;
	const uint8_t *was = old ? old + sector * SECTOR : zeros;
	size_t cut = rng_below(&disk->rng, SECTOR);
	bool trash = rng_chance(&disk->rng, 50);
	for (size_t i = cut; i < SECTOR; i++) {
		if (at[i] != was[i])
			at[i] = trash ? (uint8_t)rng_next(&disk->rng) : was[i];
	}
}

static bool kept(struct disk *disk, enum disk_loss loss)
{
	return loss == DISK_LOSS_NONE || (loss != DISK_LOSS_ALL && rng_chance(&disk->rng, 50));
}

static void page_power_cut(struct disk *disk, struct page *page, enum disk_loss loss, bool cut_kept)
{
	for (unsigned s = 0; s < PAGE_SECTORS; s++) {
		uint8_t bit = (uint8_t)(1u << s);
		if (!((page->dirty | page->cut | page->lost) & bit))
			continue;
		/* What stands there if the last write is dropped. */
		const uint8_t *old = (page->cut & bit) && cut_kept ? NULL : page->dur;
		if ((page->dirty & bit) && !(page->lost & bit) && kept(disk, loss))
			continue;
		if ((page->dirty & bit) && loss == DISK_LOSS_TEAR && rng_chance(&disk->rng, 30))
			tear_sector(disk, page, s, old);
		else
			copy_sector(disk, &page->cur, old, s);
	}
	page->dirty = page->cut = page->lost = 0;
}

static void drop_behind(struct disk *disk, struct inode *inode, uint64_t size)
{
	static const uint8_t zeros[PAGE];
	for (size_t i = size / PAGE; i < inode->page_count; i++) {
		size_t at = i == size / PAGE ? size % PAGE : 0;
		if (inode->pages[i].cur)
			page_set(disk, &inode->pages[i], zeros, PAGE - at, at);
	}
	inode->size = size;
}

void inode_power_cut(struct disk *disk, struct inode *inode, enum disk_loss loss)
{
	bool cut_kept = inode->cut_size < inode->dur_size && kept(disk, loss);
	uint64_t base = cut_kept ? inode->cut_size : inode->dur_size, size = base;
	for (size_t i = 0; i < inode->touched_count; i++)
		page_power_cut(disk, &inode->pages[inode->touched[i]], loss, cut_kept);
	if (inode->size > base && kept(disk, loss)) {
		size = inode->size;
		if (loss >= DISK_LOSS_MIX && rng_chance(&disk->rng, 30))
			size = base + rng_below(&disk->rng, size - base);
	}
	drop_behind(disk, inode, size);
	touched_settle(disk, inode);
	inode->dur_size = inode->cut_size = size;
	/* What was reserved and never used may be found again or not; here it is given back. */
	disk->used -= inode->allocated;
	inode->allocated = (size + PAGE - 1) / PAGE * PAGE;
	disk->used += inode->allocated;
}
