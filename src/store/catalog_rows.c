/* Rows of the SQLite catalog: recording_info to columns and back, and the running of prepared statements.
 *
 * SQLite's result codes become errors here, and nowhere else. A statement that was taken is always given back, so that
 * none keeps a transaction from ending. */
#include "store/catalog_sqlite.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static enum err translate(const struct catalog_sqlite *c, int rc)
{
	if (vfs_sqlite_sync_failed(c->files))
		return ERR_SYNC_FAILED;
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return ERR_STORAGE_FULL;
	case SQLITE_NOMEM:
		return ERR_NO_MEMORY;
	case SQLITE_CONSTRAINT:
		return ERR_EXISTS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_CORRUPT;
	case SQLITE_IOERR:
		if (rc == SQLITE_IOERR_NOMEM)
			return ERR_NO_MEMORY;
		return rc == SQLITE_IOERR_READ || rc == SQLITE_IOERR_SHORT_READ ? ERR_READ_FAILED : ERR_WRITE_FAILED;
	default:
		return ERR_WRITE_FAILED;
	}
}

enum err catalog_fail(struct catalog_sqlite *c, enum err err)
{
	if (c->open && err != ERR_OK && err != ERR_NOT_FOUND && err != ERR_EXISTS && c->failed == ERR_OK)
		c->failed = err;
	return err;
}

enum err catalog_error(struct catalog_sqlite *c, int rc)
{
	if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
		return ERR_OK;
	return catalog_fail(c, translate(c, rc));
}

enum err catalog_statement(struct catalog_sqlite *c, enum catalog_statement which, sqlite3_stmt **out)
{
	*out = NULL;
	if (c->open && c->failed != ERR_OK) /* SQLite may have rolled back: what came now would stand alone */
		return c->failed;
	*out = c->statements[which];
	if (*out)
		return ERR_OK;
	int rc = sqlite3_prepare_v3(c->db, catalog_sql(which), -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
	c->statements[which] = *out;
	return catalog_error(c, rc);
}

enum err catalog_statement_for(struct catalog_sqlite *c, enum catalog_statement which, const struct uuid *id,
			       sqlite3_stmt **out)
{
	enum err err = catalog_statement(c, which, out);
	if (err == ERR_OK)
		catalog_bind_id(*out, 1, id);
	return err;
}

void catalog_done(sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

void catalog_bind_id(sqlite3_stmt *stmt, int at, const struct uuid *id)
{
	sqlite3_bind_blob(stmt, at, id->bytes, sizeof id->bytes, SQLITE_STATIC);
}

void catalog_bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

enum err catalog_run(struct catalog_sqlite *c, sqlite3_stmt *stmt)
{
	enum err err = catalog_error(c, sqlite3_step(stmt));
	catalog_done(stmt);
	return err;
}

enum err catalog_run_for(struct catalog_sqlite *c, enum catalog_statement which, const struct uuid *id)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement_for(c, which, id, &stmt);
	return err == ERR_OK ? catalog_run(c, stmt) : err;
}

enum err catalog_column_text(sqlite3_stmt *stmt, int at, char **out)
{
	*out = NULL;
	if (sqlite3_column_type(stmt, at) == SQLITE_NULL)
		return ERR_OK;
	const char *text = (const char *)sqlite3_column_text(stmt, at);
	*out = text ? strdup(text) : NULL;
	return *out ? ERR_OK : ERR_NO_MEMORY;
}

enum err catalog_column_id(sqlite3_stmt *stmt, int at, struct uuid *out)
{
	if (sqlite3_column_bytes(stmt, at) != sizeof out->bytes)
		return ERR_CORRUPT;
	memcpy(out->bytes, sqlite3_column_blob(stmt, at), sizeof out->bytes);
	return ERR_OK;
}

static bool column_sha256(sqlite3_stmt *stmt, int at, struct sha256 *out)
{
	if (sqlite3_column_bytes(stmt, at) != sizeof out->bytes)
		return false;
	memcpy(out->bytes, sqlite3_column_blob(stmt, at), sizeof out->bytes);
	return true;
}

static enum err column_sealed_by(sqlite3_stmt *stmt, int at, enum sealed_by *out)
{
	const char *text = (const char *)sqlite3_column_text(stmt, at);
	*out = SEALED_BY_NONE;
	return !text || sealed_by_parse(text, out) ? ERR_OK : ERR_CORRUPT;
}

/* A column of JSON, NULL for NULL; *out is to be released. */
static enum err column_json(sqlite3_stmt *stmt, int at, json_t **out)
{
	const char *text = (const char *)sqlite3_column_text(stmt, at);
	*out = text ? json_loads(text, 0, NULL) : NULL;
	return !text || json_is_array(*out) ? ERR_OK : ERR_CORRUPT;
}

static enum err load_declared(sqlite3_stmt *stmt, struct recording_info *row)
{
	json_t *names;
	enum err err = column_json(stmt, COLUMN_declared_tracks, &names);
	size_t count = json_array_size(names);
	if (err == ERR_OK && count > 0) {
		row->declared_tracks = calloc(count, sizeof *row->declared_tracks);
		err = row->declared_tracks ? ERR_OK : ERR_NO_MEMORY;
	}
	for (size_t i = 0; err == ERR_OK && i < count; i++) {
		const char *name = json_string_value(json_array_get(names, i));
		char *copy = name ? strdup(name) : NULL;
		if (copy)
			row->declared_tracks[row->declared_count++] = copy;
		else
			err = name ? ERR_NO_MEMORY : ERR_CORRUPT;
	}
	json_decref(names);
	return err;
}

static enum err load_parts(sqlite3_stmt *stmt, int at, struct track_info *track)
{
	json_t *parts;
	enum err err = column_json(stmt, at, &parts);
	for (size_t i = 0; err == ERR_OK && i < json_array_size(parts); i++) {
		json_t *offset = json_array_get(parts, i);
		if (!json_is_integer(offset) || json_integer_value(offset) <= 0)
			err = ERR_CORRUPT;
		else if (!track_info_add_part(track, (uint64_t)json_integer_value(offset)))
			err = ERR_NO_MEMORY;
	}
	json_decref(parts);
	return err;
}

static enum err load_track(sqlite3_stmt *stmt, struct recording_info *row)
{
	const char *name = (const char *)sqlite3_column_text(stmt, 1);
	if (sqlite3_column_int64(stmt, 0) != row->track_count || row->track_count >= LIMIT_TRACKS || !name)
		return ERR_CORRUPT;
	struct track_info *track = recording_info_add_track(row, name);
	if (!track)
		return ERR_NO_MEMORY;
	track->bytes = (uint64_t)sqlite3_column_int64(stmt, 2);
	if (sqlite3_column_type(stmt, 3) != SQLITE_NULL)
		track->total = (uint64_t)sqlite3_column_int64(stmt, 3);
	track->sealed = sqlite3_column_int(stmt, 4) != 0;
	enum err err = column_sealed_by(stmt, 5, &track->sealed_by);
	track->has_sha256 = column_sha256(stmt, 6, &track->sha256);
	track->has_declared_sha256 = column_sha256(stmt, 7, &track->declared_sha256);
	return err == ERR_OK ? load_parts(stmt, 8, track) : err;
}

static enum err load_tracks(struct catalog_sqlite *c, struct recording_info *row)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement(c, STATEMENT_GET_TRACKS, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_id(stmt, 1, &row->id);
	int rc;
	while (err == ERR_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE)
		err = rc == SQLITE_ROW ? load_track(stmt, row) : catalog_error(c, rc);
	catalog_done(stmt);
	return err;
}

static enum err load_texts(sqlite3_stmt *stmt, struct recording_info *row)
{
	const struct {
		int at;
		char **out;
	} texts[] = {
		{ COLUMN_principal, &row->principal },
		{ COLUMN_session_id, &row->session_id },
		{ COLUMN_ref, &row->ref },
		{ COLUMN_name, &row->name },
		{ COLUMN_mime, &row->mime },
		{ COLUMN_ext, &row->ext },
		{ COLUMN_error_message, &row->error_message },
		{ COLUMN_abort_reason, &row->abort_reason },
		{ COLUMN_warnings, &row->warnings },
		{ COLUMN_source_url, &row->source_url },
		{ COLUMN_show, &row->show },
		{ COLUMN_upload_metadata, &row->upload.metadata },
		{ COLUMN_upload_parts, &row->upload.parts },
		{ COLUMN_batch, &row->batch },
		{ COLUMN_batch_key, &row->batch_key },
		{ COLUMN_item_meta, &row->meta },
		{ COLUMN_upload_concat, &row->upload.concat },
	};
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < sizeof texts / sizeof *texts; i++)
		err = catalog_column_text(stmt, texts[i].at, texts[i].out);
	return err;
}

enum err catalog_column_copy(sqlite3_stmt *stmt, int at, char *out, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(stmt, at);
	size_t len = text ? strlen(text) : 0;
	if (len >= size)
		return ERR_CORRUPT;
	memcpy(out, text ? text : "", len + 1);
	return ERR_OK;
}

static enum err load_media(sqlite3_stmt *stmt, struct media_info *media)
{
	media->revision = (uint32_t)sqlite3_column_int64(stmt, COLUMN_media_revision);
	if (media->revision == 0)
		return ERR_OK;
	media->as_is = sqlite3_column_int(stmt, COLUMN_media_as_is) != 0;
	media->has_thumbnail = sqlite3_column_int(stmt, COLUMN_media_thumbnail) != 0;
	media->has_waveform = sqlite3_column_int(stmt, COLUMN_media_waveform) != 0;
	media->bytes = (uint64_t)sqlite3_column_int64(stmt, COLUMN_media_bytes);
	media->duration_ms = sqlite3_column_int64(stmt, COLUMN_media_duration);
	media->published_ms = sqlite3_column_int64(stmt, COLUMN_published_at);
	enum err err = catalog_column_copy(stmt, COLUMN_media_mime, media->mime, sizeof media->mime);
	return err == ERR_OK ? catalog_column_copy(stmt, COLUMN_media_ext, media->ext, sizeof media->ext) : err;
}

static enum err load_columns(sqlite3_stmt *stmt, struct recording_info *row)
{
	if (catalog_column_id(stmt, COLUMN_id, &row->id) != ERR_OK)
		return ERR_CORRUPT;
	row->ts = sqlite3_column_int64(stmt, COLUMN_ts);
	row->created_ms = sqlite3_column_int64(stmt, COLUMN_created_at);
	row->updated_ms = sqlite3_column_int64(stmt, COLUMN_updated_at);
	row->sealed_ms = sqlite3_column_int64(stmt, COLUMN_sealed_at);
	row->interrupted = sqlite3_column_int(stmt, COLUMN_interrupted) != 0;
	row->revision = (uint32_t)sqlite3_column_int64(stmt, COLUMN_revision);
	const char *phase = (const char *)sqlite3_column_text(stmt, COLUMN_phase);
	if (!phase || !phase_parse(phase, &row->phase))
		return ERR_CORRUPT;
	row->on_demand = sqlite3_column_int(stmt, COLUMN_on_demand) != 0;
	row->original_removed = sqlite3_column_int(stmt, COLUMN_original_removed) != 0;
	row->version = (uint32_t)sqlite3_column_int64(stmt, COLUMN_version);
	row->first = (uint32_t)sqlite3_column_int64(stmt, COLUMN_show_first);
	row->shift = (uint64_t)sqlite3_column_int64(stmt, COLUMN_show_shift);
	catalog_load_upload(stmt, &row->upload);
	row->has_item = column_sha256(stmt, COLUMN_item_content, &row->item);
	catalog_column_error(stmt, COLUMN_error_code, &row->error);
	enum err err = column_sealed_by(stmt, COLUMN_sealed_by, &row->sealed_by);
	if (err == ERR_OK)
		err = load_media(stmt, &row->media);
	if (err == ERR_OK)
		err = load_texts(stmt, row);
	return err == ERR_OK ? load_declared(stmt, row) : err;
}

static enum err load_job(struct catalog_sqlite *c, struct recording_info *row)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement_for(c, STATEMENT_JOB_SHOWN, &row->id, &stmt);
	if (err == ERR_OK)
		err = catalog_load_job(c, stmt, &row->job);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err catalog_load(struct catalog_sqlite *c, sqlite3_stmt *stmt, struct recording_info *row)
{
	*row = (struct recording_info){ 0 };
	int rc = sqlite3_step(stmt);
	enum err err = rc == SQLITE_ROW ? load_columns(stmt, row) : catalog_error(c, rc);
	catalog_done(stmt);
	if (rc == SQLITE_DONE)
		return ERR_NOT_FOUND;
	if (err == ERR_OK)
		err = load_tracks(c, row);
	if (err == ERR_OK)
		err = load_job(c, row);
	if (err == ERR_OK)
		err = catalog_load_push(c, row);
	if (err != ERR_OK)
		recording_info_release(row);
	return catalog_fail(c, err);
}

enum err catalog_load_id(struct catalog_sqlite *c, const struct uuid *id, struct recording_info *row)
{
	sqlite3_stmt *stmt;
	*row = (struct recording_info){ 0 };
	enum err err = catalog_statement(c, STATEMENT_GET, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_id(stmt, 1, id);
	return catalog_load(c, stmt, row);
}

/* Binds the array as text; it is freed by SQLite. An empty one is NULL. Takes the array. */
static bool bind_json(sqlite3_stmt *stmt, int at, json_t *array)
{
	char *text = json_array_size(array) > 0 ? json_dumps(array, JSON_COMPACT) : NULL;
	bool ok = array && (text || json_array_size(array) == 0);
	if (text)
		ok = sqlite3_bind_text(stmt, at, text, -1, free) == SQLITE_OK;
	json_decref(array);
	return ok;
}

static bool bind_declared(sqlite3_stmt *stmt, const struct recording_info *info)
{
	if (info->declared_count == 0)
		return true;
	json_t *names = json_array();
	for (uint32_t i = 0; i < info->declared_count; i++) {
		if (json_array_append_new(names, json_string(info->declared_tracks[i])) != 0) {
			json_decref(names);
			return false;
		}
	}
	return bind_json(stmt, COLUMN_declared_tracks + 1, names);
}

static bool bind_parts(sqlite3_stmt *stmt, int at, const struct track_info *track)
{
	if (track->part_count == 0)
		return true;
	json_t *parts = json_array();
	for (uint32_t i = 0; i < track->part_count; i++) {
		if (json_array_append_new(parts, json_integer((json_int_t)track->parts[i])) != 0) {
			json_decref(parts);
			return false;
		}
	}
	return bind_json(stmt, at, parts);
}

static void bind_media(sqlite3_stmt *stmt, const struct media_info *media)
{
	sqlite3_bind_int64(stmt, COLUMN_media_revision + 1, media->revision);
	sqlite3_bind_int(stmt, COLUMN_media_as_is + 1, media->as_is);
	sqlite3_bind_int(stmt, COLUMN_media_thumbnail + 1, media->has_thumbnail);
	sqlite3_bind_int(stmt, COLUMN_media_waveform + 1, media->has_waveform);
	sqlite3_bind_int64(stmt, COLUMN_media_bytes + 1, (sqlite3_int64)media->bytes);
	sqlite3_bind_int64(stmt, COLUMN_media_duration + 1, media->duration_ms);
	catalog_bind_text(stmt, COLUMN_media_mime + 1, media->mime);
	catalog_bind_text(stmt, COLUMN_media_ext + 1, media->ext);
	sqlite3_bind_int64(stmt, COLUMN_published_at + 1, media->published_ms);
}

static void bind_sha256(sqlite3_stmt *stmt, int at, bool has, const struct sha256 *sha256)
{
	if (has)
		sqlite3_bind_blob(stmt, at, sha256->bytes, sizeof sha256->bytes, SQLITE_STATIC);
}

static bool bind_row(sqlite3_stmt *stmt, const struct recording_info *info)
{
	catalog_bind_id(stmt, COLUMN_id + 1, &info->id);
	catalog_bind_text(stmt, COLUMN_principal + 1, info->principal);
	catalog_bind_text(stmt, COLUMN_session_id + 1, info->session_id);
	catalog_bind_text(stmt, COLUMN_ref + 1, info->ref);
	catalog_bind_text(stmt, COLUMN_name + 1, info->name);
	catalog_bind_text(stmt, COLUMN_mime + 1, info->mime);
	catalog_bind_text(stmt, COLUMN_ext + 1, info->ext);
	sqlite3_bind_int64(stmt, COLUMN_ts + 1, info->ts);
	catalog_bind_text(stmt, COLUMN_phase + 1, phase_name(info->phase));
	catalog_bind_text(stmt, COLUMN_sealed_by + 1, sealed_by_name(info->sealed_by));
	sqlite3_bind_int(stmt, COLUMN_interrupted + 1, info->interrupted);
	sqlite3_bind_int64(stmt, COLUMN_revision + 1, info->revision);
	sqlite3_bind_int64(stmt, COLUMN_bytes + 1, (sqlite3_int64)recording_info_bytes(info));
	sqlite3_bind_int64(stmt, COLUMN_attempt + 1, 0);
	catalog_bind_text(stmt, COLUMN_error_code + 1, info->error == ERR_OK ? NULL : err_code(info->error));
	catalog_bind_text(stmt, COLUMN_error_message + 1, info->error_message);
	catalog_bind_text(stmt, COLUMN_abort_reason + 1, info->abort_reason);
	sqlite3_bind_int64(stmt, COLUMN_created_at + 1, info->created_ms);
	sqlite3_bind_int64(stmt, COLUMN_updated_at + 1, info->updated_ms);
	catalog_bind_text(stmt, COLUMN_warnings + 1, info->warnings);
	catalog_bind_text(stmt, COLUMN_source_url + 1, info->source_url);
	sqlite3_bind_int(stmt, COLUMN_on_demand + 1, info->on_demand);
	/* whose files may still be there: 1; retention looks once more */
	sqlite3_bind_int(stmt, COLUMN_original_removed + 1, info->original_removed);
	bind_media(stmt, &info->media);
	catalog_bind_text(stmt, COLUMN_show + 1, info->show);
	sqlite3_bind_int64(stmt, COLUMN_version + 1, info->version);
	sqlite3_bind_int64(stmt, COLUMN_show_first + 1, info->first);
	sqlite3_bind_int64(stmt, COLUMN_show_shift + 1, (sqlite3_int64)info->shift);
	catalog_bind_upload(stmt, &info->upload);
	catalog_bind_text(stmt, COLUMN_batch + 1, info->batch);
	catalog_bind_text(stmt, COLUMN_batch_key + 1, info->batch_key);
	catalog_bind_text(stmt, COLUMN_item_meta + 1, info->meta);
	bind_sha256(stmt, COLUMN_item_content + 1, info->has_item, &info->item);
	if (info->sealed_ms != 0)
		sqlite3_bind_int64(stmt, COLUMN_sealed_at + 1, info->sealed_ms);
	return bind_declared(stmt, info);
}

enum err catalog_write_row(struct catalog_sqlite *c, enum catalog_statement which, const struct recording_info *info)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement(c, which, &stmt);
	if (err != ERR_OK)
		return err;
	if (!bind_row(stmt, info)) {
		catalog_done(stmt);
		return catalog_fail(c, ERR_NO_MEMORY);
	}
	return catalog_run(c, stmt);
}

static enum err write_track(struct catalog_sqlite *c, const struct uuid *id, const struct track_info *track,
			    const char *name)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement(c, STATEMENT_PUT_TRACK, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_id(stmt, 1, id);
	sqlite3_bind_int(stmt, 2, track->number);
	catalog_bind_text(stmt, 3, name);
	sqlite3_bind_int64(stmt, 4, (sqlite3_int64)track->bytes);
	if (track->total != BYTES_UNKNOWN)
		sqlite3_bind_int64(stmt, 5, (sqlite3_int64)track->total);
	sqlite3_bind_int(stmt, 6, track->sealed);
	catalog_bind_text(stmt, 7, sealed_by_name(track->sealed_by));
	bind_sha256(stmt, 8, track->has_sha256, &track->sha256);
	bind_sha256(stmt, 9, track->has_declared_sha256, &track->declared_sha256);
	if (!bind_parts(stmt, 10, track)) {
		catalog_done(stmt);
		return catalog_fail(c, ERR_NO_MEMORY);
	}
	return catalog_run(c, stmt);
}

enum err catalog_write_hash(struct catalog_sqlite *c, const struct uuid *id, const struct track_hash *hash)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement_for(c, STATEMENT_TRACK_HASHED, id, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int(stmt, 2, hash->track);
	bind_sha256(stmt, 3, true, &hash->sha256);
	return catalog_run(c, stmt);
}

enum err catalog_write_tracks(struct catalog_sqlite *c, const struct uuid *id, const struct track_info *tracks,
			      uint32_t count, const struct recording_info *row)
{
	enum err err = ERR_OK;
	for (uint32_t i = 0; err == ERR_OK && i < count; i++) {
		const char *name = tracks[i].name;
		if (!name && row && tracks[i].number < row->track_count)
			name = row->tracks[tracks[i].number].name;
		err = write_track(c, id, &tracks[i], name ? name : "");
	}
	return err;
}
