/* What the SQLite catalog alone promises: its file, its schema, and what it does on storage that fails. */
#include "store/catalog_sqlite.h"
#include "support/vfs_fault.h"

#include <ftw.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#undef fail /* cmocka's macro hides the operation of that name */

struct fixture {
	char dir[64];
	struct vfs *vfs;
};

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	/* in memory where that is possible: nothing here needs a disk that is slow */
	snprintf(f->dir, sizeof f->dir, "%s/catalog-test-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(vfs_posix_open(f->dir, &f->vfs), ERR_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	vfs_free(f->vfs);
	nftw(f->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static struct catalog *open_catalog(struct vfs *vfs)
{
	struct catalog *c;
	assert_int_equal(catalog_sqlite_open(vfs, false, &c), ERR_OK);
	return c;
}

static struct uuid id_of(unsigned n)
{
	const uint8_t random[10] = { (uint8_t)(n >> 8), (uint8_t)n };
	return uuid_v7(1700000000000 + n, random);
}

/* Starts take n within a transaction; the error is that of the operation. */
static enum err start(struct catalog *c, unsigned n)
{
	char session[300];
	snprintf(session, sizeof session, "session-%0199u", n); /* long, so that a few fill a small disk */
	struct recording_info info = { .id = id_of(n), .principal = strdup("local"), .session_id = strdup(session) },
			      row;
	recording_info_add_track(&info, "main");
	bool inserted;
	enum err err = c->ops->start(c, &info, &inserted, &row);
	recording_info_release(&row);
	recording_info_release(&info);
	return err;
}

static enum err start_alone(struct catalog *c, unsigned n)
{
	enum err err = c->ops->begin(c);
	if (err != ERR_OK)
		return err;
	err = start(c, n);
	if (err == ERR_OK)
		return c->ops->commit(c);
	c->ops->rollback(c);
	return err;
}

static bool exists(struct catalog *c, unsigned n)
{
	struct uuid id = id_of(n);
	struct recording_info row;
	enum err err = c->ops->get(c, &id, &row);
	recording_info_release(&row);
	assert_true(err == ERR_OK || err == ERR_NOT_FOUND);
	return err == ERR_OK;
}

static void claim(struct catalog *c, unsigned n, enum sealed_by by, uint32_t revision)
{
	struct track_info track = { .sealed = true, .sealed_by = by, .total = BYTES_UNKNOWN };
	struct catalog_seal seal = {
		.id = id_of(n), .by = by, .revision = revision, .tracks = &track, .track_count = 1
	};
	enum catalog_outcome outcome;
	struct recording_info row;
	assert_int_equal(c->ops->claim(c, &seal, &outcome, &row), ERR_OK);
	assert_int_equal(outcome, CATALOG_CHANGED);
	recording_info_release(&row);
}

/* Asks the closed file, past the catalog; the rows' columns joined by blanks and ends of line. */
static void query(struct fixture *f, const char *sql, char *out, size_t size)
{
	char path[128];
	sqlite3 *db;
	sqlite3_stmt *stmt;
	size_t len = 0;
	snprintf(path, sizeof path, "%s/catalog.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	out[0] = '\0';
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(stmt); i++)
			len += (size_t)snprintf(out + len, size - len, "%s%s", i > 0 ? " " : "",
						(const char *)sqlite3_column_text(stmt, i));
		len += (size_t)snprintf(out + len, size - len, "\n");
	}
	sqlite3_finalize(stmt);
	sqlite3_close(db);
}

static void jobs_are_fenced_by_epoch(void **state)
{
	struct fixture *f = *state;
	struct catalog *c = open_catalog(f->vfs);
	struct uuid one = id_of(1), two = id_of(2);
	enum catalog_outcome outcome;
	struct recording_info row;
	char text[200];
	c->ops->begin(c);
	start(c, 1);
	start(c, 2);
	claim(c, 1, SEALED_BY_GRACE, 1);
	assert_int_equal(c->ops->reopen(c, &one, 1, &outcome, &row), ERR_OK); /* revision 1 is not wanted any more */
	recording_info_release(&row);
	claim(c, 1, SEALED_BY_END, 2);
	claim(c, 2, SEALED_BY_END, 1);
	assert_int_equal(c->ops->fail(c, &two, ERR_CORRUPT, NULL, 1, &outcome, &row), ERR_OK);
	recording_info_release(&row);
	c->ops->commit(c);
	catalog_close(c);
	query(f, "SELECT revision, state, epoch, kind FROM jobs ORDER BY id", text, sizeof text);
	assert_string_equal(text, "1 cancelled 1 finalize\n2 queued 0 finalize\n1 cancelled 1 finalize\n");
	c = open_catalog(f->vfs);
	c->ops->begin(c);
	claim(c, 2, SEALED_BY_COMPLETE, 1); /* the same job again, not a second */
	c->ops->commit(c);
	catalog_close(c);
	query(f, "SELECT revision, state, epoch, kind FROM jobs ORDER BY id", text, sizeof text);
	assert_string_equal(text, "1 cancelled 1 finalize\n2 queued 0 finalize\n1 queued 2 finalize\n");
}

static void events_tell_each_change_once(void **state)
{
	struct fixture *f = *state;
	struct catalog *c = open_catalog(f->vfs);
	struct uuid one = id_of(1), two = id_of(2);
	enum catalog_outcome outcome;
	struct recording_info row;
	char text[400];
	c->ops->begin(c);
	start(c, 1);
	start(c, 2);
	claim(c, 1, SEALED_BY_GRACE, 1);
	c->ops->reopen(c, &one, 22, &outcome, &row);
	recording_info_release(&row);
	c->ops->fail(c, &one, ERR_POISONED, NULL, 23, &outcome, &row);
	recording_info_release(&row);
	c->ops->remove(c, &one, 24, &outcome, &row);
	recording_info_release(&row);
	c->ops->abort(c, &two, NULL, 25, &outcome, &row);
	recording_info_release(&row);
	c->ops->commit(c);
	catalog_close(c);
	query(f, "SELECT seq, type, phase, revision, at FROM events ORDER BY seq", text, sizeof text);
	assert_string_equal(text, "1 recording.phase queued 1 0\n"
				  "2 recording.phase uploading 1 22\n"
				  "3 recording.failed error 1 23\n"
				  "4 recording.deleted deleted 1 24\n"
				  "5 recording.phase aborted 0 25\n");
}

static void a_newer_schema_is_refused(void **state)
{
	struct fixture *f = *state;
	char text[100];
	struct catalog *c = open_catalog(f->vfs);
	catalog_close(c);
	query(f, "PRAGMA user_version", text, sizeof text);
	assert_string_equal(text, "7\n");
	query(f, "PRAGMA user_version = 99", text, sizeof text);
	assert_int_equal(catalog_sqlite_open(f->vfs, false, &c), ERR_SCHEMA_NEWER);
	assert_null(c);
	assert_int_equal(catalog_sqlite_open(f->vfs, true, &c), ERR_SCHEMA_NEWER);
	query(f, "PRAGMA user_version", text, sizeof text);
	assert_string_equal(text, "99\n");
}

/* Runs statements on the closed file, past the catalog. */
static void run(struct fixture *f, const char *sql)
{
	char path[128];
	sqlite3 *db;
	snprintf(path, sizeof path, "%s/catalog.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* The first version's schema, as it was released, with what it wrote. */
static const char first_version[] =
	"CREATE TABLE recordings (id BLOB PRIMARY KEY NOT NULL, principal TEXT NOT NULL, session_id TEXT,"
	" ref TEXT UNIQUE, name TEXT, mime TEXT, ext TEXT, declared_tracks TEXT, ts INTEGER NOT NULL DEFAULT 0,"
	" phase TEXT NOT NULL, sealed_by TEXT, interrupted INTEGER NOT NULL DEFAULT 0,"
	" revision INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, attempt INTEGER NOT NULL DEFAULT 0,"
	" error_code TEXT, error_message TEXT, warnings TEXT, abort_reason TEXT, created_at INTEGER NOT NULL,"
	" updated_at INTEGER NOT NULL, sealed_at INTEGER, deleted_at INTEGER,"
	" UNIQUE (principal, session_id)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX recordings_phase ON recordings (phase, id);"
	"CREATE TABLE tracks (recording BLOB NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,"
	" number INTEGER NOT NULL, name TEXT NOT NULL, bytes INTEGER NOT NULL DEFAULT 0, total INTEGER,"
	" sealed INTEGER NOT NULL DEFAULT 0, sealed_by TEXT, sha256 BLOB, declared_sha256 BLOB, parts TEXT,"
	" PRIMARY KEY (recording, number)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE jobs (id INTEGER PRIMARY KEY, recording BLOB NOT NULL REFERENCES recordings (id)"
	" ON DELETE CASCADE, kind TEXT NOT NULL, revision INTEGER NOT NULL, state TEXT NOT NULL,"
	" epoch INTEGER NOT NULL DEFAULT 0, lease_until INTEGER NOT NULL DEFAULT 0,"
	" attempt INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, started_at INTEGER, last_error TEXT,"
	" UNIQUE (recording, kind, revision)) STRICT;"
	"CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, recording BLOB NOT NULL, type TEXT NOT NULL,"
	" phase TEXT NOT NULL, revision INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;"
	"CREATE INDEX events_recording ON events (recording);"
	"INSERT INTO recordings (id, principal, session_id, phase, sealed_by, revision, bytes, created_at, updated_at)"
	" VALUES (x'00000000000000000000000000000001', 'somebody', 's', 'queued', 'end', 1, 7, 5, 6);"
	"INSERT INTO tracks (recording, number, name, bytes, sealed)"
	" VALUES (x'00000000000000000000000000000001', 0, 'main', 7, 1);"
	"INSERT INTO jobs (id, recording, kind, revision, state, epoch, created_at)"
	" VALUES (41, x'00000000000000000000000000000001', 'finalize', 1, 'queued', 3, 6);"
	"INSERT INTO events (recording, type, phase, revision, at)"
	" VALUES (x'00000000000000000000000000000001', 'recording.phase', 'uploading', 0, 5),"
	" (x'00000000000000000000000000000001', 'recording.phase', 'queued', 1, 6);"
	"PRAGMA user_version = 1";

static enum err see_principal(void *arg, const struct catalog_event *event)
{
	assert_string_equal(event->principal, "somebody");
	++*(unsigned *)arg;
	return ERR_OK;
}

static void what_the_first_version_wrote_goes_on(void **state)
{
	struct fixture *f = *state;
	struct catalog *c;
	struct job_info job;
	struct recording_info row;
	struct catalog_event_filter filter = { .limit = 10, .principal = "somebody" };
	unsigned events = 0;
	run(f, first_version);
	assert_int_equal(catalog_sqlite_open(f->vfs, true, &c), ERR_NOT_SUPPORTED); /* nothing is written to read it */
	c = open_catalog(f->vfs);
	assert_int_equal(c->ops->events(c, &filter, see_principal, &events), ERR_OK);
	assert_int_equal(events, 2);
	c->ops->begin(c);
	assert_int_equal(c->ops->job_claim(c, JOB_FINALIZE, 100, 200, &job, &row), ERR_OK);
	assert_int_equal(job.id, 41);
	assert_int_equal(job.epoch, 4);
	assert_int_equal(row.phase, PHASE_PROCESSING);
	assert_int_equal(row.media.revision, 0);
	assert_int_equal(row.tracks[0].bytes, 7);
	job_info_release(&job);
	recording_info_release(&row);
	assert_int_equal(c->ops->events_trim(c, INT64_MAX), ERR_OK);
	c->ops->commit(c);
	catalog_close(c);
	char text[200];
	query(f, "SELECT seq, phase FROM events", text, sizeof text);
	assert_string_equal(text, "3 processing\n"); /* the newest of each stays */
	query(f, "PRAGMA foreign_key_check", text, sizeof text);
	assert_string_equal(text, "");
}

/* What is asked often must not read through tables that only grow. */
static void what_is_asked_often_has_its_index(void **state)
{
	static const enum catalog_statement often[] = {
		STATEMENT_JOB_FIRST,
		STATEMENT_JOB_LATEST,
		STATEMENT_JOB_GET,
		STATEMENT_JOB_OF,
		STATEMENT_JOB_SHOWN,
		STATEMENT_JOBS_RUNNING,
		STATEMENT_JOBS_IN,
		STATEMENT_TALLY,
		STATEMENT_EVENTS,
		STATEMENT_EVENTS_OF,
		STATEMENT_EVENTS_FOR,
		STATEMENT_EVENT_WAITS,
		STATEMENT_EVENT_BOUNDS,
		STATEMENT_EVENT_OLD,
		STATEMENT_EVENTS_TRIM,
		STATEMENT_JOB_RENEW,
		STATEMENT_EXPIRED_ORIGINALS,
		STATEMENT_EXPIRED_RECORDINGS,
		STATEMENT_FIND_SESSION,
		STATEMENT_FIND_REF,
		STATEMENT_UNFINISHED,
		STATEMENT_PUSH_SHOWN,
		STATEMENT_PUSH_GET,
		STATEMENT_PUSH_PARTS,
		STATEMENT_PUSH_PART,
		STATEMENT_PUSH_BEGIN,
		STATEMENT_PUSH_SWEEP,
		STATEMENT_PUSH_DROP,
		STATEMENT_SWEEP_NEXT,
	};
	struct fixture *f = *state;
	catalog_close(open_catalog(f->vfs));
	for (size_t i = 0; i < sizeof often / sizeof *often; i++) {
		char sql[2000], plan[4000];
		snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", catalog_sql(often[i]));
		query(f, sql, plan, sizeof plan);
		bool scans = strstr(plan, "SCAN recordings") || strstr(plan, "SCAN jobs") ||
			     strstr(plan, "SCAN events") || strstr(plan, "SCAN pushes") ||
			     strstr(plan, "SCAN push_parts");
		bool few = often[i] == STATEMENT_JOB_SHOWN || often[i] == STATEMENT_JOBS_RUNNING;
		bool sorts = strstr(plan, "TEMP B-TREE") && !few;
		if (scans || sorts)
			print_error("%s\n%s", catalog_sql(often[i]), plan);
		assert_false(scans || sorts);
	}
}

static void the_settings_hold(void **state)
{
	struct fixture *f = *state;
	char text[100];
	catalog_close(open_catalog(f->vfs));
	query(f, "PRAGMA journal_mode", text, sizeof text);
	assert_string_equal(text, "wal\n");
}

static void what_is_no_database_is_corrupt(void **state)
{
	struct fixture *f = *state;
	char junk[8192];
	memset(junk, 'x', sizeof junk);
	struct vfs_file *file;
	assert_int_equal(vfs_open(f->vfs, "catalog.db", VFS_WRITE | VFS_CREATE, &file), ERR_OK);
	assert_int_equal(vfs_file_write(file, junk, sizeof junk, 0), ERR_OK);
	vfs_file_close(file);
	struct catalog *c;
	assert_int_equal(catalog_sqlite_open(f->vfs, false, &c), ERR_CORRUPT);
	assert_int_equal(catalog_sqlite_open(f->vfs, true, &c), ERR_CORRUPT);
}

/* Copies the open catalog's files, as a machine that stops finds them; f->vfs is then on the copy. */
static void stop_machine(struct fixture *f, struct fixture *copy)
{
	static const char *const names[] = { "catalog.db", "catalog.db-wal" };
	void *state;
	setup(&state);
	*copy = *(struct fixture *)state;
	free(state);
	for (int i = 0; i < 2; i++) {
		char *data;
		size_t len;
		struct vfs_file *file;
		assert_int_equal(vfs_read_all(f->vfs, names[i], 64 * MIB, &data, &len), ERR_OK);
		assert_int_equal(vfs_open(copy->vfs, names[i], VFS_WRITE | VFS_CREATE, &file), ERR_OK);
		assert_int_equal(vfs_file_write(file, data, len, 0), ERR_OK);
		vfs_file_close(file);
		free(data);
	}
}

static void read_only_reads_and_writes_nothing(void **state)
{
	struct fixture *f = *state, *copy = calloc(1, sizeof *copy);
	struct catalog *c;
	assert_int_equal(catalog_sqlite_open(f->vfs, true, &c), ERR_NOT_FOUND);
	c = open_catalog(f->vfs);
	assert_int_equal(start_alone(c, 1), ERR_OK);
	stop_machine(f, copy); /* what was committed stands in the WAL only */
	catalog_close(c);
	struct fixture *both[] = { f, copy };
	for (int i = 0; i < 2; i++) {
		char *before, *after;
		size_t before_len, after_len;
		assert_int_equal(vfs_read_all(both[i]->vfs, "catalog.db", 64 * MIB, &before, &before_len), ERR_OK);
		assert_int_equal(catalog_sqlite_open(both[i]->vfs, true, &c), ERR_OK);
		assert_true(exists(c, 1));
		assert_int_not_equal(start_alone(c, 2), ERR_OK);
		assert_false(exists(c, 2));
		catalog_close(c);
		assert_int_equal(vfs_read_all(both[i]->vfs, "catalog.db", 64 * MIB, &after, &after_len), ERR_OK);
		assert_int_equal(before_len, after_len);
		assert_memory_equal(before, after, after_len);
		free(before);
		free(after);
	}
	assert_int_equal(vfs_unlink(f->vfs, "catalog.db-wal"), ERR_NOT_FOUND); /* none was made */
	assert_int_equal(vfs_unlink(copy->vfs, "catalog.db-wal"), ERR_OK);     /* nor removed */
	void *copied = copy;
	teardown(&copied);
}

static void a_seed_decides_what_the_file_holds(void **state)
{
	struct fixture *f = *state;
	char *files[3];
	size_t lens[3];
	for (unsigned i = 0; i < 3; i++) {
		catalog_sqlite_seed(i < 2 ? 7 : 8);
		struct catalog *c = open_catalog(f->vfs);
		for (unsigned n = 0; n < 20; n++)
			assert_int_equal(start_alone(c, n), ERR_OK);
		assert_int_equal(vfs_read_all(f->vfs, "catalog.db-wal", 64 * MIB, &files[i], &lens[i]), ERR_OK);
		catalog_close(c);
		assert_int_equal(vfs_unlink(f->vfs, "catalog.db"), ERR_OK);
	}
	assert_int_equal(lens[0], lens[1]);
	assert_memory_equal(files[0], files[1], lens[0]);
	assert_int_equal(lens[0], lens[2]);
	assert_memory_not_equal(files[0], files[2], lens[0]); /* the WAL's salts are drawn by lot */
	for (int i = 0; i < 3; i++)
		free(files[i]);
}

/* Storage that fails */

static void start_many(struct catalog *c, unsigned from, unsigned count)
{
	for (unsigned n = from; n < from + count; n++)
		assert_int_equal(start(c, n), ERR_OK);
}

static void full_storage_undoes_the_transaction_and_passes(void **state)
{
	struct fixture *f = *state;
	struct vfs *fault = vfs_fault_new(f->vfs);
	struct catalog *c = open_catalog(fault);
	assert_int_equal(start_alone(c, 1), ERR_OK);
	c->ops->begin(c);
	start_many(c, 100, 50);
	vfs_fault_fail(fault, FAULT_WRITE, 3, ERR_STORAGE_FULL, true);
	assert_int_equal(c->ops->commit(c), ERR_STORAGE_FULL);
	assert_int_equal(start_alone(c, 2), ERR_STORAGE_FULL);
	assert_true(exists(c, 1)); /* reading goes on */
	assert_false(exists(c, 100));
	vfs_fault_fail(fault, FAULT_WRITE, 0, ERR_OK, false);
	assert_int_equal(start_alone(c, 3), ERR_OK); /* and so does writing, when space is back */
	catalog_close(c);
	c = open_catalog(f->vfs);
	assert_true(exists(c, 1) && exists(c, 3));
	assert_false(exists(c, 2) || exists(c, 100) || exists(c, 149));
	catalog_close(c);
	vfs_free(fault);
}

/* A batch that does not fit the page cache is written, and may fail, before the commit: the rest of it must not stand.
 */
static void full_storage_amid_a_transaction_undoes_all_of_it(void **state)
{
	struct fixture *f = *state;
	struct vfs *fault = vfs_fault_new(f->vfs);
	struct catalog *c = open_catalog(fault);
	vfs_fault_fail(fault, FAULT_WRITE, 20, ERR_STORAGE_FULL, false);
	assert_int_equal(c->ops->begin(c), ERR_OK);
	enum err err = ERR_OK;
	unsigned n = 0;
	while (n < 20000 && err == ERR_OK)
		err = start(c, ++n);
	assert_int_equal(err, ERR_STORAGE_FULL);
	assert_int_equal(start(c, 30000), ERR_STORAGE_FULL);
	assert_int_equal(c->ops->commit(c), ERR_STORAGE_FULL);
	assert_false(exists(c, 1) || exists(c, n) || exists(c, 30000));
	assert_int_equal(start_alone(c, 1), ERR_OK);
	catalog_close(c);
	vfs_free(fault);
}

static void a_failed_sync_is_for_good(void **state)
{
	struct fixture *f = *state;
	struct vfs *fault = vfs_fault_new(f->vfs);
	struct catalog *c = open_catalog(fault);
	assert_int_equal(start_alone(c, 1), ERR_OK);
	vfs_fault_fail(fault, FAULT_SYNC, 1, ERR_SYNC_FAILED, false);
	assert_int_equal(start_alone(c, 2), ERR_SYNC_FAILED);
	unsigned syncs = vfs_fault_count(fault, FAULT_SYNC);
	assert_int_equal(start_alone(c, 3), ERR_SYNC_FAILED);
	assert_int_equal(c->ops->begin(c), ERR_SYNC_FAILED);
	assert_int_equal(vfs_fault_count(fault, FAULT_SYNC), syncs); /* nobody asked again */
	catalog_close(c);
	c = open_catalog(f->vfs);
	assert_true(exists(c, 1));
	assert_false(exists(c, 3));
	catalog_close(c);
	vfs_free(fault);
}

/* The commit's own sync passes; those of the checkpoint behind it do not, and SQLite would not say so. */
static void a_failed_sync_of_a_checkpoint_is_told(void **state)
{
	struct fixture *f = *state;
	struct vfs *fault = vfs_fault_new(f->vfs);
	unsigned told = 0;
	for (unsigned nth = 1; nth < 20; nth++) {
		struct catalog *c = open_catalog(fault);
		c->ops->begin(c);
		start_many(c, 10000 * nth, 4000);
		unsigned failed = vfs_fault_failed(fault);
		vfs_fault_fail(fault, FAULT_SYNC, nth, ERR_SYNC_FAILED, false);
		enum err err = c->ops->commit(c);
		failed = vfs_fault_failed(fault) - failed;
		vfs_fault_fail(fault, FAULT_SYNC, 0, ERR_OK, false);
		catalog_close(c);
		assert_int_equal(err, failed > 0 ? ERR_SYNC_FAILED : ERR_OK);
		told += failed;
		if (failed == 0)
			break;
	}
	assert_true(told >= 3); /* the WAL's for the commit and for the checkpoint, and the database's */
	vfs_free(fault);
}

/* Two commits and a close with the nth call of a kind failing; whether one did fail. */
static bool run_with_fault(struct vfs *below, enum fault_kind kind, unsigned nth, enum err err)
{
	struct vfs *fault = vfs_fault_new(below);
	struct catalog *c;
	bool acked[2] = { false, false };
	vfs_fault_fail(fault, kind, nth, err, false);
	enum err got = catalog_sqlite_open(fault, false, &c);
	if (got == ERR_OK) {
		for (unsigned n = 0; n < 2; n++) {
			got = start_alone(c, n);
			acked[n] = got == ERR_OK;
			if (err == ERR_STORAGE_FULL && got != ERR_OK)
				assert_false(exists(c, n));
		}
		catalog_close(c);
	}
	bool failed = vfs_fault_failed(fault) > 0;
	if (got == ERR_SYNC_FAILED)
		assert_true(failed && (kind == FAULT_SYNC || kind == FAULT_SYNC_DIR));
	vfs_free(fault);
	c = open_catalog(below); /* whatever happened, the next start finds what was acked */
	for (unsigned n = 0; n < 2; n++)
		assert_true(!acked[n] || exists(c, n));
	assert_int_equal(start_alone(c, 5), ERR_OK);
	catalog_close(c);
	return failed;
}

static void any_failing_call_costs_nothing_that_was_acked(void **state)
{
	static const struct {
		enum fault_kind kind;
		enum err err;
		unsigned least; /* calls there are at the least */
	} kinds[] = {
		{ FAULT_OPEN, ERR_WRITE_FAILED, 3 },  { FAULT_READ, ERR_READ_FAILED, 1 },
		{ FAULT_WRITE, ERR_WRITE_FAILED, 8 }, { FAULT_WRITE, ERR_STORAGE_FULL, 8 },
		{ FAULT_SYNC, ERR_SYNC_FAILED, 5 },   { FAULT_SYNC_DIR, ERR_SYNC_FAILED, 1 },
		{ FAULT_SIZE, ERR_READ_FAILED, 1 },   { FAULT_UNLINK, ERR_WRITE_FAILED, 1 },
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		unsigned nth = 1;
		bool failed = true;
		while (failed) {
			void *fresh;
			setup(&fresh);
			failed = run_with_fault(((struct fixture *)fresh)->vfs, kinds[i].kind, nth++, kinds[i].err);
			teardown(&fresh);
		}
		assert_true(nth > kinds[i].least);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(jobs_are_fenced_by_epoch),
		TEST(events_tell_each_change_once),
		TEST(a_newer_schema_is_refused),
		TEST(what_the_first_version_wrote_goes_on),
		TEST(what_is_asked_often_has_its_index),
		TEST(the_settings_hold),
		TEST(what_is_no_database_is_corrupt),
		TEST(read_only_reads_and_writes_nothing),
		TEST(a_seed_decides_what_the_file_holds),
		TEST(full_storage_undoes_the_transaction_and_passes),
		TEST(full_storage_amid_a_transaction_undoes_all_of_it),
		TEST(a_failed_sync_is_for_good),
		TEST(a_failed_sync_of_a_checkpoint_is_told),
		TEST(any_failing_call_costs_nothing_that_was_acked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
