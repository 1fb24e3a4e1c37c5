/* See catalog_rig.h. */
#include "support/catalog_rig.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#undef fail /* cmocka's macro hides the operation of that name */

/* The implementations */

static enum err open_sqlite(struct fixture *f)
{
	return catalog_sqlite_open(f->vfs, false, &f->c);
}

static const struct {
	const char *name;
	enum err (*open)(struct fixture *f);
} implementations[] = {
	{ "sqlite", open_sqlite },
};

static size_t current; /* of implementations */

const char *catalog_rig_choose(size_t index)
{
	current = index;
	return index < sizeof implementations / sizeof *implementations ? implementations[index].name : NULL;
}

/* The fixture */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	/* in memory where that is possible: nothing here needs a disk that is slow */
	snprintf(f->dir, sizeof f->dir, "%s/catalog-test-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(vfs_posix_open(f->dir, &f->vfs), ERR_OK);
	assert_int_equal(implementations[current].open(f), ERR_OK);
	*state = f;
	return 0;
}

int teardown(void **state)
{
	struct fixture *f = *state;
	catalog_close(f->c);
	vfs_free(f->vfs);
	nftw(f->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

void reopen_catalog(struct fixture *f)
{
	catalog_close(f->c);
	assert_int_equal(implementations[current].open(f), ERR_OK);
}

void begin(struct fixture *f)
{
	assert_int_equal(f->c->ops->begin(f->c), ERR_OK);
}

void commit(struct fixture *f)
{
	assert_int_equal(f->c->ops->commit(f->c), ERR_OK);
}

struct uuid id_of(unsigned n)
{
	const uint8_t random[10] = { (uint8_t)(n >> 8), (uint8_t)n };
	return uuid_v7(1700000000000 + n, random);
}

struct recording_info take(unsigned n)
{
	char session[32];
	snprintf(session, sizeof session, "session-%u", n);
	struct recording_info info = {
		.id = id_of(n),
		.principal = strdup("local"),
		.session_id = strdup(session),
		.created_ms = 1000 + n,
		.updated_ms = 1000 + n,
	};
	recording_info_add_track(&info, "main")->bytes = 10;
	return info;
}

void start(struct fixture *f, struct recording_info info)
{
	struct recording_info row;
	bool inserted;
	assert_int_equal(f->c->ops->start(f->c, &info, &inserted, &row), ERR_OK);
	assert_true(inserted);
	recording_info_release(&row);
	recording_info_release(&info);
}

void start_takes(struct fixture *f, unsigned count)
{
	begin(f);
	for (unsigned n = 1; n <= count; n++)
		start(f, take(n));
	commit(f);
}

struct recording_info row_of(struct fixture *f, unsigned n)
{
	struct uuid id = id_of(n);
	struct recording_info row;
	assert_int_equal(f->c->ops->get(f->c, &id, &row), ERR_OK);
	return row;
}

void assert_phase(struct fixture *f, unsigned n, enum phase phase)
{
	struct recording_info row = row_of(f, n);
	assert_string_equal(phase_name(row.phase), phase_name(phase));
	recording_info_release(&row);
}

void assert_counts(struct fixture *f, unsigned n, unsigned jobs, unsigned events)
{
	struct uuid id = id_of(n);
	unsigned count, all = 0;
	for (int kind = 0; kind < JOB_KIND_COUNT; kind++) {
		assert_int_equal(f->c->ops->job_count(f->c, &id, (enum job_kind)kind, &count), ERR_OK);
		all += count;
	}
	assert_int_equal(all, jobs);
	assert_int_equal(f->c->ops->event_count(f->c, &id, &count), ERR_OK);
	assert_int_equal(count, events);
}

enum catalog_outcome claim(struct fixture *f, unsigned n, enum sealed_by by, uint32_t revision, uint64_t bytes,
			   enum err error)
{
	struct track_info track = {
		.bytes = bytes,
		.total = bytes,
		.sealed = true,
		.sealed_by = by,
		.has_sha256 = true,
	};
	memset(track.sha256.bytes, 0xab, sizeof track.sha256.bytes);
	struct catalog_seal seal = {
		.id = id_of(n),
		.by = by,
		.revision = revision,
		.tracks = &track,
		.track_count = 1,
		.error = error,
		.error_message = error == ERR_OK ? NULL : "It went wrong.",
		.now_ms = 5000 + revision,
	};
	enum catalog_outcome outcome;
	struct recording_info row;
	assert_int_equal(f->c->ops->claim(f->c, &seal, &outcome, &row), ERR_OK);
	assert_true(uuid_equal(&row.id, &seal.id));
	recording_info_release(&row);
	return outcome;
}

enum catalog_outcome reopen(struct fixture *f, unsigned n)
{
	struct uuid id = id_of(n);
	enum catalog_outcome outcome;
	struct recording_info row;
	assert_int_equal(f->c->ops->reopen(f->c, &id, 7000, &outcome, &row), ERR_OK);
	if (outcome == CATALOG_CHANGED)
		assert_int_equal(row.phase, PHASE_UPLOADING);
	recording_info_release(&row);
	return outcome;
}

enum catalog_outcome fail_take(struct fixture *f, unsigned n)
{
	struct uuid id = id_of(n);
	enum catalog_outcome outcome;
	struct recording_info row;
	assert_int_equal(f->c->ops->fail(f->c, &id, ERR_POISONED, "Bad disk.", 7000, &outcome, &row), ERR_OK);
	recording_info_release(&row);
	return outcome;
}

enum catalog_outcome remove_take(struct fixture *f, unsigned n)
{
	struct uuid id = id_of(n);
	enum catalog_outcome outcome;
	struct recording_info row;
	assert_int_equal(f->c->ops->remove(f->c, &id, 9000, &outcome, &row), ERR_OK);
	assert_int_equal(row.phase, PHASE_DELETED);
	recording_info_release(&row);
	return outcome;
}
