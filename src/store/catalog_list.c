/* Reads of the SQLite catalog that go over many rows: lists and counts. */
#include "store/catalog_sqlite.h"

#include <stdlib.h>
#include <string.h>

/* Ids are gathered before the callbacks, which may use the catalog and change what is listed. */
struct id_list {
	struct uuid *ids;
	size_t count, capacity;
};

static enum err id_list_add(struct id_list *list, sqlite3_stmt *stmt)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : LIMIT_LIST_ITEMS;
		struct uuid *ids = realloc(list->ids, capacity * sizeof *ids);
		if (!ids)
			return ERR_NO_MEMORY;
		list->ids = ids;
		list->capacity = capacity;
	}
	struct uuid *id = &list->ids[list->count];
	if (sqlite3_column_bytes(stmt, 0) != sizeof id->bytes)
		return ERR_CORRUPT;
	memcpy(id->bytes, sqlite3_column_blob(stmt, 0), sizeof id->bytes);
	list->count++;
	return ERR_OK;
}

/* Runs a bound SELECT of ids, gives it back, and calls `row` for each that still stands in `phase` (-1: any). */
static enum err each(struct catalog_sqlite *c, sqlite3_stmt *stmt, int phase,
		     enum err (*callback)(void *arg, const struct recording_info *row), void *arg)
{
	struct id_list list = { 0 };
	enum err err = ERR_OK;
	int rc;
	while (err == ERR_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE)
		err = rc == SQLITE_ROW ? id_list_add(&list, stmt) : catalog_error(c, rc);
	catalog_done(stmt);
	for (size_t i = 0; err == ERR_OK && i < list.count; i++) {
		struct recording_info row;
		err = catalog_load_id(c, &list.ids[i], &row);
		if (err == ERR_OK && (phase < 0 || row.phase == (enum phase)phase))
			err = callback(arg, &row);
		recording_info_release(&row);
	}
	free(list.ids);
	return err;
}

enum err catalog_list(struct catalog *base, const struct catalog_filter *filter,
		      enum err (*row)(void *arg, const struct recording_info *row), void *arg)
{
	struct catalog_sqlite *c = catalog_self(base);
	static const struct uuid zero;
	struct uuid before = filter->before;
	if (uuid_equal(&before, &zero))
		memset(&before, 0xff, sizeof before);
	if (filter->phase == PHASE_DELETED)
		return ERR_OK;
	sqlite3_stmt *stmt;
	enum catalog_statement which = filter->phase < 0 ? STATEMENT_LIST : STATEMENT_LIST_PHASE;
	if (filter->batch)
		which = filter->phase < 0 ? STATEMENT_LIST_BATCH : STATEMENT_LIST_BATCH_PHASE;
	enum err err = catalog_statement_for(c, which, &before, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 2, filter->principal);
	catalog_bind_text(stmt, 3, filter->search);
	sqlite3_bind_int64(stmt, 4, filter->limit < LIMIT_LIST_ITEMS ? filter->limit : LIMIT_LIST_ITEMS);
	catalog_bind_text(stmt, 6, filter->batch ? filter->batch : filter->show);
	if (filter->phase >= 0)
		catalog_bind_text(stmt, 5, phase_name((enum phase)filter->phase));
	return each(c, stmt, -1, row, arg);
}

enum err catalog_each_unfinished(struct catalog *base, enum err (*row)(void *arg, const struct recording_info *row),
				 void *arg)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	enum err err = catalog_statement(c, STATEMENT_UNFINISHED, &stmt);
	return err == ERR_OK ? each(c, stmt, PHASE_UPLOADING, row, arg) : err;
}

enum err catalog_each_waiting(struct catalog *base, enum err (*id)(void *arg, const struct uuid *id), void *arg)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct id_list list = { 0 };
	sqlite3_stmt *stmt;
	int rc;
	enum err err = catalog_statement(c, STATEMENT_WAITING, &stmt);
	if (err != ERR_OK)
		return err;
	while (err == ERR_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE)
		err = rc == SQLITE_ROW ? id_list_add(&list, stmt) : catalog_error(c, rc);
	catalog_done(stmt);
	for (size_t i = 0; err == ERR_OK && i < list.count; i++)
		err = id(arg, &list.ids[i]);
	free(list.ids);
	return err;
}

/* `kind` NULL: it names none. */
static enum err count_for(struct catalog_sqlite *c, enum catalog_statement which, const struct uuid *id,
			  const char *kind, unsigned *out)
{
	sqlite3_stmt *stmt;
	*out = 0;
	enum err err = catalog_statement_for(c, which, id, &stmt);
	if (err != ERR_OK)
		return err;
	if (kind)
		catalog_bind_text(stmt, 2, kind);
	int rc = sqlite3_step(stmt);
	err = catalog_error(c, rc);
	if (rc == SQLITE_ROW)
		*out = (unsigned)sqlite3_column_int64(stmt, 0);
	catalog_done(stmt);
	return err;
}

enum err catalog_job_count(struct catalog *base, const struct uuid *id, enum job_kind kind, unsigned *out)
{
	return count_for(catalog_self(base), STATEMENT_COUNT_JOBS, id, job_kind_name(kind), out);
}

enum err catalog_event_count(struct catalog *base, const struct uuid *id, unsigned *out)
{
	return count_for(catalog_self(base), STATEMENT_COUNT_EVENTS, id, NULL, out);
}
