/* Shows in the SQLite catalog: which versions there are, and which one failed on air. */
#include "store/catalog_sqlite.h"

#include <stdlib.h>
#include <string.h>

static enum err statement_for(struct catalog_sqlite *c, enum catalog_statement which, const char *name,
			      sqlite3_stmt **out)
{
	enum err err = catalog_statement(c, which, out);
	if (err == ERR_OK)
		catalog_bind_text(*out, 1, name);
	return err;
}

enum err catalog_show_put(struct catalog_sqlite *c, const struct recording_info *info)
{
	sqlite3_stmt *stmt;
	enum err err = statement_for(c, STATEMENT_SHOW_PUT, info->show, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 2, info->version);
	return catalog_run(c, stmt);
}

enum err catalog_show_live(struct catalog_sqlite *c, const struct recording_info *info)
{
	enum err err = catalog_show_put(c, info);
	return err == ERR_OK ? catalog_write_event_of(c, info, "show.live", NULL, info->created_ms) : err;
}

enum err catalog_show_get(struct catalog *base, const char *name, struct catalog_show *out)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	*out = (struct catalog_show){ 0 };
	enum err err = statement_for(c, STATEMENT_SHOW_GET, name, &stmt);
	if (err != ERR_OK)
		return err;
	int rc = sqlite3_step(stmt);
	out->version = (uint32_t)sqlite3_column_int64(stmt, 0);
	out->failed = (uint32_t)sqlite3_column_int64(stmt, 1);
	err = rc == SQLITE_DONE ? ERR_NOT_FOUND : catalog_error(c, rc);
	catalog_done(stmt);
	return err;
}

enum err catalog_show_failed(struct catalog *base, const char *name, uint32_t version, int64_t now_ms)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct recording_info row;
	sqlite3_stmt *stmt;
	enum err err = statement_for(c, STATEMENT_SHOW_FAILED, name, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 2, version);
	err = catalog_run(c, stmt);
	if (err != ERR_OK || version == 0)
		return err;
	err = catalog_show_version(base, name, version, &row);
	if (err == ERR_OK)
		err = catalog_write_event_of(c, &row, "show.recording_failed", NULL, now_ms);
	recording_info_release(&row);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err catalog_show_version(struct catalog *base, const char *name, uint32_t version, struct recording_info *row)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	*row = (struct recording_info){ 0 };
	enum err err = statement_for(c, version ? STATEMENT_SHOW_VERSION : STATEMENT_SHOW_NEWEST, name, &stmt);
	if (err != ERR_OK)
		return err;
	if (version)
		sqlite3_bind_int64(stmt, 2, version);
	return catalog_load(c, stmt, row);
}

enum err catalog_each_show_failed(struct catalog *base, enum err (*show)(void *arg, const char *name), void *arg)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	enum err err = catalog_statement(c, STATEMENT_SHOWS_FAILED, &stmt);
	int rc;
	while (err == ERR_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
		char *name = NULL;
		err = rc == SQLITE_ROW ? catalog_column_text(stmt, 0, &name) : catalog_error(c, rc);
		if (err == ERR_OK)
			err = name ? show(arg, name) : ERR_CORRUPT;
		free(name);
	}
	if (stmt)
		catalog_done(stmt);
	return catalog_fail(c, err);
}
