/* What is published of a recording, in the SQLite catalog, and what retention may take. */
#include "store/catalog_sqlite.h"

#include <assert.h>
#include <stdlib.h>

enum err catalog_publish(struct catalog_sqlite *c, const struct recording_info *row, const struct media_info *media,
			 const char *warnings)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement_for(c, STATEMENT_PUBLISH, &row->id, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 2, media->revision);
	sqlite3_bind_int(stmt, 3, media->as_is);
	sqlite3_bind_int(stmt, 4, media->has_thumbnail);
	sqlite3_bind_int(stmt, 5, media->has_waveform);
	sqlite3_bind_int64(stmt, 6, (sqlite3_int64)media->bytes);
	sqlite3_bind_int64(stmt, 7, media->duration_ms);
	catalog_bind_text(stmt, 8, media->mime);
	catalog_bind_text(stmt, 9, media->ext);
	sqlite3_bind_int64(stmt, 10, media->published_ms);
	catalog_bind_text(stmt, 11, warnings);
	return catalog_run(c, stmt);
}

enum err catalog_expired(struct catalog *base, enum catalog_expiry what, int64_t before_ms, int64_t late_before_ms,
			 unsigned limit, enum err (*callback)(void *arg, const struct uuid *id), void *arg)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct uuid *ids =
		calloc(limit ? limit : 1, sizeof *ids); /* gathered: the callbacks may change what is found */
	sqlite3_stmt *stmt;
	unsigned count = 0;
	int rc;
	if (!ids)
		return catalog_fail(c, ERR_NO_MEMORY);
	enum err err = catalog_statement(
		c, what == EXPIRY_ORIGINALS ? STATEMENT_EXPIRED_ORIGINALS : STATEMENT_EXPIRED_RECORDINGS, &stmt);
	if (err == ERR_OK) {
		sqlite3_bind_int64(stmt, 1, before_ms);
		sqlite3_bind_int64(stmt, 2, late_before_ms);
		sqlite3_bind_int64(stmt, 3, limit);
		sqlite3_bind_int(stmt, 4, c->base.pushes);
		while (err == ERR_OK && count < limit && (rc = sqlite3_step(stmt)) != SQLITE_DONE)
			err = rc == SQLITE_ROW ? catalog_column_id(stmt, 0, &ids[count++]) : catalog_error(c, rc);
		catalog_done(stmt);
	}
	for (unsigned i = 0; err == ERR_OK && i < count; i++)
		err = callback(arg, &ids[i]);
	free(ids);
	return err;
}

enum err catalog_original_removed(struct catalog *base, const struct uuid *id, bool gone, int64_t now_ms,
				  struct recording_info *row)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	assert(c->open);
	*row = (struct recording_info){ 0 };
	enum err err = catalog_statement_for(c, STATEMENT_ORIGINAL_REMOVED, id, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int(stmt, 2, gone ? 2 : 1);
	sqlite3_bind_int64(stmt, 3, now_ms);
	err = catalog_run(c, stmt);
	return err == ERR_OK ? catalog_load_id(c, id, row) : err;
}

enum err catalog_put_validator(struct catalog *base, const struct uuid *id, const char *validator)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	assert(c->open);
	enum err err = catalog_statement_for(c, STATEMENT_PUT_VALIDATOR, id, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 2, validator);
	err = catalog_run(c, stmt);
	return err == ERR_OK && sqlite3_changes(c->db) == 0 ? ERR_NOT_FOUND : err;
}

enum err catalog_get_validator(struct catalog *base, const struct uuid *id, char **out)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	*out = NULL;
	enum err err = catalog_statement_for(c, STATEMENT_GET_VALIDATOR, id, &stmt);
	if (err != ERR_OK)
		return err;
	int rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		err = catalog_fail(c, catalog_column_text(stmt, 0, out));
	else
		err = rc == SQLITE_DONE ? ERR_NOT_FOUND : catalog_error(c, rc);
	catalog_done(stmt);
	return err;
}
