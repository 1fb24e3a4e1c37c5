/* Uploads in the SQLite catalog: what their requests say of them, and those that nobody goes on with. */
#include "store/catalog_sqlite.h"

#include <assert.h>
#include <string.h>

void catalog_load_upload(sqlite3_stmt *stmt, struct upload_info *upload)
{
	upload->kind = (enum upload_kind)sqlite3_column_int(stmt, COLUMN_upload);
	upload->length = sqlite3_column_type(stmt, COLUMN_upload_length) == SQLITE_NULL
				 ? BYTES_UNKNOWN
				 : (uint64_t)sqlite3_column_int64(stmt, COLUMN_upload_length);
}

void catalog_bind_upload(sqlite3_stmt *stmt, const struct upload_info *upload)
{
	sqlite3_bind_int(stmt, COLUMN_upload + 1, (int)upload->kind);
	if (upload->kind != UPLOAD_NONE && upload->length != BYTES_UNKNOWN)
		sqlite3_bind_int64(stmt, COLUMN_upload_length + 1, (sqlite3_int64)upload->length);
	catalog_bind_text(stmt, COLUMN_upload_metadata + 1, upload->metadata);
	catalog_bind_text(stmt, COLUMN_upload_parts + 1, upload->parts);
	catalog_bind_text(stmt, COLUMN_upload_concat + 1, upload->concat);
}

enum err catalog_put_upload(struct catalog *base, const struct recording_info *info)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	assert(c->open);
	enum err err = catalog_statement_for(c, STATEMENT_PUT_UPLOAD, &info->id, &stmt);
	if (err != ERR_OK)
		return err;
	if (info->upload.length != BYTES_UNKNOWN)
		sqlite3_bind_int64(stmt, 2, (sqlite3_int64)info->upload.length);
	catalog_bind_text(stmt, 3, info->upload.metadata);
	catalog_bind_text(stmt, 4, info->name);
	catalog_bind_text(stmt, 5, info->mime);
	catalog_bind_text(stmt, 6, info->ext);
	sqlite3_bind_int64(stmt, 7, (sqlite3_int64)recording_info_bytes(info));
	sqlite3_bind_int64(stmt, 8, info->updated_ms);
	err = catalog_run(c, stmt);
	if (err != ERR_OK)
		return err;
	if (sqlite3_changes(c->db) == 0)
		return ERR_NOT_FOUND;
	return catalog_write_tracks(c, &info->id, info->tracks, info->track_count, NULL);
}

enum err catalog_find_final(struct catalog *base, const char *principal, const char *parts, struct recording_info *row)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	*row = (struct recording_info){ 0 };
	enum err err = catalog_statement(c, STATEMENT_FIND_FINAL, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 1, principal);
	catalog_bind_text(stmt, 2, parts);
	return catalog_load(c, stmt, row);
}

enum err catalog_uploads_expired(struct catalog *base, int64_t before_ms, unsigned limit,
				 enum err (*id)(void *arg, const struct uuid *id), void *arg)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	enum err err = catalog_statement(c, STATEMENT_UPLOADS_EXPIRED, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 1, before_ms);
	sqlite3_bind_int64(stmt, 2, limit);
	int rc;
	while (err == ERR_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
		struct uuid found;
		err = rc == SQLITE_ROW ? catalog_column_id(stmt, 0, &found) : catalog_error(c, rc);
		if (err == ERR_OK)
			err = id(arg, &found);
	}
	catalog_done(stmt);
	return err;
}
