/* Opening the SQLite catalog: its settings, its schema in numbered migrations, and the function that searches.
 *
 * A migration is never changed once it was released: a new one is added. Each runs in a transaction with the number
 * that says so, hence it ran whole or not at all. */
#include "store/catalog_sqlite.h"

#include "base/log.h"

#include <assert.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#define CATALOG_PATH "catalog.db"

/* An item comes into a phase, and leaves one; for the triggers of migration 5. */
#define BATCH_ENTER                                                                                                    \
	"INSERT INTO batch_counts VALUES (NEW.principal, NEW.batch, NEW.phase, 1) "                                    \
	"ON CONFLICT (principal, batch, phase) DO UPDATE SET count = count + 1; "                                      \
	"INSERT INTO batch_errors SELECT NEW.principal, NEW.batch, coalesce(NEW.error_code, 'internal'), 1 "           \
	"WHERE NEW.phase = 'error' ON CONFLICT (principal, batch, code) DO UPDATE SET count = count + 1; "             \
	"UPDATE batches SET updated_at = max(updated_at, NEW.updated_at) "                                             \
	"WHERE principal = NEW.principal AND id = NEW.batch; "
#define BATCH_LEAVE                                                                                                    \
	"UPDATE batch_counts SET count = count - 1 "                                                                   \
	"WHERE principal = OLD.principal AND batch = OLD.batch AND phase = OLD.phase; "                                \
	"UPDATE batch_errors SET count = count - 1 WHERE principal = OLD.principal AND batch = OLD.batch "             \
	"AND OLD.phase = 'error' AND code = coalesce(OLD.error_code, 'internal'); "

static const char *const migrations[] = {
	"CREATE TABLE recordings ("
	" id BLOB PRIMARY KEY NOT NULL, principal TEXT NOT NULL, session_id TEXT, ref TEXT UNIQUE, name TEXT, mime "
	"TEXT,"
	" ext TEXT, declared_tracks TEXT, ts INTEGER NOT NULL DEFAULT 0, phase TEXT NOT NULL, sealed_by TEXT,"
	" interrupted INTEGER NOT NULL DEFAULT 0, revision INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT "
	"0,"
	" attempt INTEGER NOT NULL DEFAULT 0, error_code TEXT, error_message TEXT, warnings TEXT, abort_reason TEXT,"
	" created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, sealed_at INTEGER, deleted_at INTEGER,"
	" UNIQUE (principal, session_id)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX recordings_phase ON recordings (phase, id);"
	"CREATE TABLE tracks ("
	" recording BLOB NOT NULL REFERENCES recordings (id) ON DELETE CASCADE, number INTEGER NOT NULL,"
	" name TEXT NOT NULL, bytes INTEGER NOT NULL DEFAULT 0, total INTEGER, sealed INTEGER NOT NULL DEFAULT 0,"
	" sealed_by TEXT, sha256 BLOB, declared_sha256 BLOB, parts TEXT,"
	" PRIMARY KEY (recording, number)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE jobs ("
	" id INTEGER PRIMARY KEY, recording BLOB NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,"
	" kind TEXT NOT NULL, revision INTEGER NOT NULL, state TEXT NOT NULL, epoch INTEGER NOT NULL DEFAULT 0,"
	" lease_until INTEGER NOT NULL DEFAULT 0, attempt INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL,"
	" started_at INTEGER, last_error TEXT, UNIQUE (recording, kind, revision)) STRICT;"
	"CREATE TABLE events ("
	" seq INTEGER PRIMARY KEY AUTOINCREMENT, recording BLOB NOT NULL, type TEXT NOT NULL, phase TEXT NOT NULL,"
	" revision INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;"
	"CREATE INDEX events_recording ON events (recording);",
	/* work after the take */
	"ALTER TABLE recordings ADD COLUMN source_url TEXT;"
	"ALTER TABLE recordings ADD COLUMN on_demand INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE recordings ADD COLUMN validator TEXT;"
	/* 1: nobody is to be given it any more; 2: its files are gone */
	"ALTER TABLE recordings ADD COLUMN original_removed INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE recordings ADD COLUMN media_revision INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE recordings ADD COLUMN media_as_is INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE recordings ADD COLUMN media_thumbnail INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE recordings ADD COLUMN media_waveform INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE recordings ADD COLUMN media_bytes INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE recordings ADD COLUMN media_duration INTEGER NOT NULL DEFAULT -1;"
	"ALTER TABLE recordings ADD COLUMN media_mime TEXT;"
	"ALTER TABLE recordings ADD COLUMN media_ext TEXT;"
	"ALTER TABLE recordings ADD COLUMN published_at INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX recordings_published ON recordings (interrupted, published_at)"
	" WHERE phase = 'complete' AND media_revision > 0;"
	"CREATE INDEX recordings_originals ON recordings (interrupted, published_at)"
	" WHERE phase = 'complete' AND media_revision > 0 AND media_as_is = 0 AND original_removed < 2;"
	/* the number of a job that is no more must not come again: a late result would be taken for the new one's */
	"ALTER TABLE jobs RENAME TO old_jobs;"
	"CREATE TABLE jobs ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, recording BLOB NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,"
	" kind TEXT NOT NULL, revision INTEGER NOT NULL, state TEXT NOT NULL, epoch INTEGER NOT NULL DEFAULT 0,"
	" attempt INTEGER NOT NULL DEFAULT 0, window_at INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL,"
	" queued_at INTEGER NOT NULL DEFAULT 0, started_at INTEGER NOT NULL DEFAULT 0,"
	" lease_until INTEGER NOT NULL DEFAULT 0, not_before INTEGER NOT NULL DEFAULT 0,"
	" progress INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL DEFAULT 0, error_code TEXT,"
	" error_message TEXT, UNIQUE (recording, kind, revision)) STRICT;"
	"INSERT INTO jobs (id, recording, kind, revision, state, epoch, created_at, queued_at, not_before)"
	" SELECT id, recording, kind, revision, state, epoch, created_at, created_at, created_at FROM old_jobs;"
	"DROP TABLE old_jobs;"
	"CREATE INDEX jobs_state ON jobs (state, kind, not_before);"
	"CREATE INDEX jobs_queued ON jobs (kind, queued_at) WHERE state = 'queued';"
	"ALTER TABLE events ADD COLUMN principal TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE events ADD COLUMN newest INTEGER NOT NULL DEFAULT 1;" /* of its recording */
	"UPDATE events SET principal = coalesce("
	"(SELECT principal FROM recordings WHERE id = events.recording), ''),"
	" newest = seq = (SELECT max(seq) FROM events AS e WHERE e.recording = events.recording);"
	"CREATE INDEX events_principal ON events (principal);"
	"CREATE INDEX events_old ON events (at) WHERE newest = 0;",
	/* shows on air */
	"ALTER TABLE recordings ADD COLUMN show TEXT;"
	"ALTER TABLE recordings ADD COLUMN version INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE recordings ADD COLUMN show_first INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE recordings ADD COLUMN show_shift INTEGER NOT NULL DEFAULT 0;"
	"CREATE UNIQUE INDEX recordings_show ON recordings (show, version) WHERE show IS NOT NULL;"
	/* the newest version that was ever given; the one that failed under a show that is on air all the same, else 0
	 */
	"CREATE TABLE shows ("
	" name TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, failed INTEGER NOT NULL DEFAULT 0)"
	" STRICT, WITHOUT ROWID;"
	"CREATE INDEX shows_failed ON shows (name) WHERE failed > 0;",
	/* pushing to a bucket */
	"CREATE TABLE pushes ("
	" recording BLOB NOT NULL REFERENCES recordings (id) ON DELETE CASCADE, revision INTEGER NOT NULL,"
	" key TEXT NOT NULL, sha256 TEXT, part_bytes INTEGER NOT NULL DEFAULT 0, upload TEXT,"
	" done_at INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (recording, revision)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE push_parts ("
	" recording BLOB NOT NULL, revision INTEGER NOT NULL, number INTEGER NOT NULL, bytes INTEGER NOT NULL,"
	" etag TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (recording, revision, number),"
	" FOREIGN KEY (recording, revision) REFERENCES pushes (recording, revision) ON DELETE CASCADE)"
	" STRICT, WITHOUT ROWID;"
	/* of what was given up: uploads of these keys are aborted */
	"CREATE TABLE push_sweeps ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, due_at INTEGER NOT NULL) STRICT;"
	"CREATE INDEX push_sweeps_due ON push_sweeps (due_at);",
	/* uploads over HTTP, and the items of batches */
	"ALTER TABLE recordings ADD COLUMN upload INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE recordings ADD COLUMN upload_length INTEGER;"
	"ALTER TABLE recordings ADD COLUMN upload_metadata TEXT;"
	"ALTER TABLE recordings ADD COLUMN upload_parts TEXT;"
	"ALTER TABLE recordings ADD COLUMN batch TEXT;"
	"ALTER TABLE recordings ADD COLUMN batch_key TEXT;"
	"CREATE INDEX recordings_uploads ON recordings (updated_at) WHERE upload > 0 AND phase = 'uploading';"
	"CREATE INDEX recordings_finals ON recordings (principal, upload_parts) WHERE upload_parts IS NOT NULL;"
	"CREATE UNIQUE INDEX recordings_batch ON recordings (principal, batch, batch_key) WHERE batch IS NOT NULL;"
	"ALTER TABLE recordings ADD COLUMN item_meta TEXT;"
	/* SHA-256 of what its client said of it when it was new: a person may rename it since */
	"ALTER TABLE recordings ADD COLUMN item_content BLOB;"
	"CREATE INDEX recordings_batch_id ON recordings (principal, batch, id) WHERE batch IS NOT NULL;"
	"CREATE INDEX recordings_batch_phase ON recordings (principal, batch, phase, id) WHERE batch IS NOT NULL;"
	"CREATE TABLE batches ("
	" seq INTEGER PRIMARY KEY AUTOINCREMENT, principal TEXT NOT NULL, id TEXT NOT NULL, name TEXT, total INTEGER,"
	" created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, completed_at INTEGER NOT NULL DEFAULT 0,"
	" UNIQUE (principal, id)) STRICT;"
	"CREATE INDEX batches_principal ON batches (principal, seq);"
	"CREATE INDEX batches_id ON batches (id, seq);"
	/* how many of its items stand in a phase, and in `error` for which reason; kept by the triggers, so that no
	 * way to change a row misses them. A row stays, and stays in its batch */
	"CREATE TABLE batch_counts ("
	" principal TEXT NOT NULL, batch TEXT NOT NULL, phase TEXT NOT NULL, count INTEGER NOT NULL,"
	" PRIMARY KEY (principal, batch, phase)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE batch_errors ("
	" principal TEXT NOT NULL, batch TEXT NOT NULL, code TEXT NOT NULL, count INTEGER NOT NULL,"
	" PRIMARY KEY (principal, batch, code)) STRICT, WITHOUT ROWID;"
	"CREATE TRIGGER batch_item_new AFTER INSERT ON recordings WHEN NEW.batch IS NOT NULL BEGIN " BATCH_ENTER "END;"
	"CREATE TRIGGER batch_item_moved AFTER UPDATE OF phase, error_code ON recordings "
	"WHEN NEW.batch IS NOT NULL AND (NEW.phase <> OLD.phase "
	"OR NEW.error_code IS NOT OLD.error_code) BEGIN " BATCH_LEAVE BATCH_ENTER "END;"
	"ALTER TABLE events ADD COLUMN batch TEXT;"
	/* of batch.completed, as it was then */
	"ALTER TABLE events ADD COLUMN batch_total INTEGER;"
	"ALTER TABLE events ADD COLUMN batch_failed INTEGER;",
	/* what an outside authority said of a token, by the token's SHA-256 */
	"CREATE TABLE authorities ("
	" token BLOB PRIMARY KEY NOT NULL, subject TEXT NOT NULL, answer TEXT NOT NULL, expires_at INTEGER NOT NULL)"
	" STRICT, WITHOUT ROWID;"
	"CREATE INDEX authorities_expired ON authorities (expires_at);",
	/* a final upload's list of parts as its client wrote it */
	"ALTER TABLE recordings ADD COLUMN upload_concat TEXT;",
};

enum { SCHEMA_VERSION = sizeof migrations / sizeof *migrations };

/* Case-insensitive search */

enum { FOLD_CHARS = LIMIT_SESSION_ID_CHARS + 1 };

/* One character of valid UTF-8; bytes that are none count for themselves. */
static wint_t next_char(const unsigned char **at)
{
	const unsigned char *s = *at;
	unsigned more = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc0 ? 1 : 0;
	wint_t c = more == 3 ? s[0] & 0x07 : more == 2 ? s[0] & 0x0f : more == 1 ? s[0] & 0x1f : s[0];
	for (unsigned i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			*at = s + 1;
			return s[0];
		}
		c = c << 6 | (s[i] & 0x3f);
	}
	*at = s + 1 + more;
	return c;
}

/* Lower-case characters of the text, at most FOLD_CHARS of them. */
static size_t fold(locale_t locale, const unsigned char *text, wint_t out[FOLD_CHARS])
{
	size_t count = 0;
	while (text && *text && count < FOLD_CHARS) {
		wint_t c = next_char(&text);
		if (locale)
			c = towlower_l(c, locale);
		else if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		out[count++] = c;
	}
	return count;
}

/* contains(text, part): SQLite's LIKE knows upper and lower case of ASCII only. */
static void sql_contains(sqlite3_context *context, int count, sqlite3_value **values)
{
	locale_t locale = sqlite3_user_data(context);
	wint_t text[FOLD_CHARS], part[FOLD_CHARS];
	size_t text_len = fold(locale, sqlite3_value_text(values[0]), text);
	size_t part_len = fold(locale, sqlite3_value_text(values[1]), part);
	bool found = false;
	for (size_t i = 0; !found && i + part_len <= text_len; i++)
		found = memcmp(text + i, part, part_len * sizeof *part) == 0;
	sqlite3_result_int(context, found);
}

static void free_contains(void *locale)
{
	if (locale)
		freelocale(locale);
}

static enum err add_contains(struct catalog_sqlite *c)
{
	locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	return catalog_error(c, sqlite3_create_function_v2(c->db, "contains", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
							   locale, sql_contains, NULL, NULL, free_contains));
}

void catalog_sqlite_seed(unsigned seed)
{
	sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)(seed ? seed : 1), NULL);
}

/* Opening */

static enum err exec(struct catalog_sqlite *c, const char *sql)
{
	return catalog_error(c, sqlite3_exec(c->db, sql, NULL, NULL, NULL));
}

/* The first column of the first row, as a number. */
static enum err query_number(struct catalog_sqlite *c, const char *sql, int64_t *out)
{
	sqlite3_stmt *stmt;
	*out = 0;
	enum err err = catalog_error(c, sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL));
	if (err != ERR_OK)
		return err;
	err = catalog_error(c, sqlite3_step(stmt));
	*out = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return err;
}

/* journal_mode answers what it is now; SQLite may refuse in silence. */
static enum err set_wal(struct catalog_sqlite *c)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_error(c, sqlite3_prepare_v2(c->db, "PRAGMA journal_mode = WAL", -1, &stmt, NULL));
	if (err != ERR_OK)
		return err;
	int rc = sqlite3_step(stmt);
	const char *mode = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
	err = catalog_error(c, rc);
	if (err == ERR_OK && (!mode || strcmp(mode, "wal") != 0))
		err = ERR_WRITE_FAILED;
	sqlite3_finalize(stmt);
	return err;
}

static enum err configure(struct catalog_sqlite *c, bool read_only)
{
	char sql[256];
	/* EXCLUSIVE before the first read: the WAL's index is then in this process's memory */
	snprintf(sql, sizeof sql,
		 "PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"
		 "PRAGMA cache_size = -%d; PRAGMA foreign_keys = ON; PRAGMA secure_delete = FAST",
		 LIMIT_CATALOG_CACHE_KIB);
	enum err err = exec(c, sql);
	if (err == ERR_OK && !read_only)
		err = set_wal(c);
	snprintf(sql, sizeof sql, "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = %d", LIMIT_CATALOG_WAL_PAGES);
	return err == ERR_OK ? exec(c, sql) : err;
}

static enum err migrate_to(struct catalog_sqlite *c, int version)
{
	char sql[64];
	snprintf(sql, sizeof sql, "PRAGMA user_version = %d; COMMIT", version);
	enum err err = exec(c, "BEGIN IMMEDIATE");
	if (err == ERR_OK)
		err = exec(c, migrations[version - 1]);
	if (err == ERR_OK)
		err = exec(c, sql);
	if (err != ERR_OK && sqlite3_get_autocommit(c->db) == 0)
		exec(c, "ROLLBACK");
	return err;
}

static enum err migrate(struct catalog_sqlite *c, bool read_only)
{
	int64_t version;
	enum err err = query_number(c, "PRAGMA user_version", &version);
	if (err != ERR_OK)
		return err;
	if (version > SCHEMA_VERSION)
		return ERR_SCHEMA_NEWER;
	if (version < 0 || (read_only && version == 0))
		return ERR_CORRUPT; /* nobody but a server that died at its first start leaves that */
	if (read_only && version < SCHEMA_VERSION)
		return ERR_NOT_SUPPORTED; /* an earlier version's, and nothing may be written */
	int64_t from = version;
	while (err == ERR_OK && version < SCHEMA_VERSION)
		err = migrate_to(c, (int)++version);
	if (err == ERR_OK && from > 0 && from < version)
		log_event(LOG_INFO, "catalog_upgraded", "from", log_number((uint64_t)from), "to",
			  log_number((uint64_t)version), NULL);
	return err;
}

/* After a failed sync the page cache may show, as clean, frames that never reached the disk. SQLite would take them for
 * committed and append behind them, and a power cut would take it all. Written once more they are dirty, and this sync
 * makes them what they seem to be. */
static enum err rewrite_wal(struct vfs *vfs)
{
	enum { PIECE = 64 * 1024 };
	struct vfs_file *file;
	enum err err = vfs_open(vfs, CATALOG_PATH "-wal", VFS_READ | VFS_WRITE, &file);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	char *piece = malloc(PIECE);
	uint64_t off = 0;
	size_t got = 1;
	err = piece ? ERR_OK : ERR_NO_MEMORY;
	while (err == ERR_OK && got > 0) {
		err = vfs_file_read(file, piece, PIECE, off, &got);
		if (err == ERR_OK && got > 0)
			err = vfs_file_write(file, piece, got, off);
		off += got;
	}
	if (err == ERR_OK)
		err = vfs_file_sync(file);
	free(piece);
	vfs_file_close(file);
	return err;
}

static enum err open_db(struct catalog_sqlite *c, bool read_only)
{
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	flags |= read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	int rc = sqlite3_open_v2(CATALOG_PATH, &c->db, flags, vfs_sqlite_name(c->files));
	if ((rc & 0xff) == SQLITE_CANTOPEN && read_only)
		return ERR_NOT_FOUND;
	enum err err = catalog_error(c, rc);
	if (err == ERR_OK)
		err = configure(c, read_only);
	if (err == ERR_OK)
		err = migrate(c, read_only);
	return err == ERR_OK ? add_contains(c) : err;
}

enum err catalog_sqlite_open(struct vfs *vfs, bool read_only, struct catalog **out)
{
	*out = NULL;
	struct catalog_sqlite *c = calloc(1, sizeof *c);
	if (!c)
		return ERR_NO_MEMORY;
	c->base.ops = &catalog_sqlite_ops;
	enum err err = vfs_sqlite_register(vfs, read_only, &c->files);
	if (err == ERR_OK && !read_only)
		err = rewrite_wal(vfs);
	if (err == ERR_OK)
		err = open_db(c, read_only);
	if (err == ERR_OK && vfs_sqlite_sync_failed(c->files))
		err = ERR_SYNC_FAILED;
	if (err != ERR_OK) {
		catalog_sqlite_close(&c->base);
		return err;
	}
	*out = &c->base;
	return ERR_OK;
}

void catalog_sqlite_close(struct catalog *base)
{
	struct catalog_sqlite *c = catalog_self(base);
	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(c->statements[i]);
	int rc = sqlite3_close(c->db);
	assert(rc == SQLITE_OK); /* anything else is a statement that was not given back */
	vfs_sqlite_unregister(c->files);
	free(c);
}

void catalog_close(struct catalog *c)
{
	if (c)
		c->ops->close(c);
}
