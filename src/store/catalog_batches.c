/* Batches in the SQLite catalog: what there is of them, and the slices that make their items.
 *
 * Guarantees: (principal, batch, key) is one item; an item and its fetch job are one transaction; how many items stand
 * in which phase is kept along by triggers (catalog_schema.c), so that no question counts rows; a batch is complete
 * once, in the transaction that ends its last item, together with one event. */
#include "store/catalog_sqlite.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static enum err load_batch(sqlite3_stmt *stmt, struct batch_info *row)
{
	row->seq = sqlite3_column_int64(stmt, 0);
	row->total =
		sqlite3_column_type(stmt, 4) == SQLITE_NULL ? BYTES_UNKNOWN : (uint64_t)sqlite3_column_int64(stmt, 4);
	row->created_ms = sqlite3_column_int64(stmt, 5);
	row->updated_ms = sqlite3_column_int64(stmt, 6);
	row->completed_ms = sqlite3_column_int64(stmt, 7);
	enum err err = catalog_column_text(stmt, 1, &row->principal);
	if (err == ERR_OK)
		err = catalog_column_text(stmt, 2, &row->id);
	return err == ERR_OK ? catalog_column_text(stmt, 3, &row->name) : err;
}

static enum err of_batch(struct catalog_sqlite *c, enum catalog_statement which, const char *principal, const char *id,
			 sqlite3_stmt **out)
{
	enum err err = catalog_statement(c, which, out);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(*out, 1, principal);
	catalog_bind_text(*out, 2, id);
	return ERR_OK;
}

static enum err load_counts(struct catalog_sqlite *c, struct batch_info *row)
{
	sqlite3_stmt *stmt;
	enum err err = of_batch(c, STATEMENT_BATCH_COUNTS, row->principal, row->id, &stmt);
	if (err != ERR_OK)
		return err;
	int rc;
	while (err == ERR_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
		enum phase phase;
		err = catalog_error(c, rc);
		if (err == ERR_OK && phase_parse((const char *)sqlite3_column_text(stmt, 0), &phase))
			row->counts[phase] = (uint64_t)sqlite3_column_int64(stmt, 1);
	}
	catalog_done(stmt);
	return err;
}

static enum err load_errors(struct catalog_sqlite *c, struct batch_info *row)
{
	sqlite3_stmt *stmt;
	if (row->counts[PHASE_ERROR] == 0)
		return ERR_OK;
	row->errors = calloc(ERR_COUNT, sizeof *row->errors);
	if (!row->errors)
		return catalog_fail(c, ERR_NO_MEMORY);
	enum err err = of_batch(c, STATEMENT_BATCH_ERRORS, row->principal, row->id, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int(stmt, 3, ERR_COUNT);
	int rc;
	while (err == ERR_OK && row->error_count < ERR_COUNT && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
		struct batch_error *error = &row->errors[row->error_count];
		err = catalog_error(c, rc);
		if (err != ERR_OK)
			break;
		catalog_column_error(stmt, 0, &error->code);
		error->count = (uint64_t)sqlite3_column_int64(stmt, 1);
		row->error_count++;
	}
	catalog_done(stmt);
	return err;
}

/* The batch that a bound SELECT finds, with its counts; gives the statement back. */
static enum err load(struct catalog_sqlite *c, sqlite3_stmt *stmt, struct batch_info *row)
{
	int rc = sqlite3_step(stmt);
	enum err err = rc == SQLITE_ROW ? load_batch(stmt, row) : catalog_error(c, rc);
	catalog_done(stmt);
	if (rc == SQLITE_DONE)
		return ERR_NOT_FOUND;
	if (err == ERR_OK)
		err = load_counts(c, row);
	if (err == ERR_OK)
		err = load_errors(c, row);
	if (err != ERR_OK)
		batch_info_release(row);
	return catalog_fail(c, err);
}

enum err catalog_batch_get(struct catalog *base, const char *principal, const char *id, struct batch_info *row)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	*row = (struct batch_info){ 0 };
	enum err err;
	if (principal) {
		err = of_batch(c, STATEMENT_BATCH_GET, principal, id, &stmt);
	} else {
		err = catalog_statement(c, STATEMENT_BATCH_FIND, &stmt);
		if (err == ERR_OK)
			catalog_bind_text(stmt, 1, id);
	}
	return err == ERR_OK ? load(c, stmt, row) : err;
}

/* Gathered before the callbacks, which may use the catalog. */
static enum err list_read(struct catalog_sqlite *c, sqlite3_stmt *stmt, unsigned limit, struct batch_info *rows,
			  unsigned *count)
{
	enum err err = ERR_OK;
	int rc;
	while (err == ERR_OK && *count < limit && (rc = sqlite3_step(stmt)) != SQLITE_DONE)
		err = rc == SQLITE_ROW ? catalog_fail(c, load_batch(stmt, &rows[(*count)++])) : catalog_error(c, rc);
	catalog_done(stmt);
	for (unsigned i = 0; err == ERR_OK && i < *count; i++) {
		err = load_counts(c, &rows[i]);
		if (err == ERR_OK)
			err = load_errors(c, &rows[i]);
	}
	return err;
}

enum err catalog_batch_list(struct catalog *base, const char *principal, int64_t before, unsigned limit,
			    enum err (*batch)(void *arg, const struct batch_info *batch), void *arg)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct batch_info *rows = calloc(LIMIT_LIST_ITEMS, sizeof *rows);
	sqlite3_stmt *stmt;
	unsigned count = 0;
	if (limit > LIMIT_LIST_ITEMS)
		limit = LIMIT_LIST_ITEMS;
	enum err err = rows ? catalog_statement(c, principal ? STATEMENT_BATCHES_OF : STATEMENT_BATCHES, &stmt)
			    : catalog_fail(c, ERR_NO_MEMORY);
	if (err == ERR_OK) {
		sqlite3_bind_int64(stmt, 1, before > 0 ? before : INT64_MAX);
		sqlite3_bind_int64(stmt, 2, limit);
		if (principal)
			catalog_bind_text(stmt, 3, principal);
		err = list_read(c, stmt, limit, rows, &count);
	}
	for (unsigned i = 0; i < count; i++) {
		if (err == ERR_OK)
			err = batch(arg, &rows[i]);
		batch_info_release(&rows[i]);
	}
	free(rows);
	return err;
}

/* Its end */

enum err catalog_batch_settle(struct catalog_sqlite *c, const struct recording_info *item, int64_t now_ms)
{
	struct batch_info batch;
	sqlite3_stmt *stmt;
	if (!item->batch || !phase_ended(item->phase))
		return ERR_OK;
	enum err err = of_batch(c, STATEMENT_BATCH_COMPLETE, item->principal, item->batch, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 3, now_ms);
	err = catalog_run(c, stmt);
	if (err != ERR_OK || sqlite3_changes(c->db) == 0)
		return err;
	err = catalog_batch_get(&c->base, item->principal, item->batch, &batch);
	if (err == ERR_OK)
		err = catalog_write_event_of(c, item, "batch.completed", &batch, now_ms);
	batch_info_release(&batch);
	return err;
}

static void bind_said(sqlite3_stmt *stmt, const struct batch_info *batch)
{
	catalog_bind_text(stmt, 3, batch->name);
	if (batch->total != BYTES_UNKNOWN)
		sqlite3_bind_int64(stmt, 4, (sqlite3_int64)batch->total);
	sqlite3_bind_int64(stmt, 5, batch->created_ms);
}

/* A total may say that it is at its end already. */
static enum err batch_say(struct catalog_sqlite *c, const struct batch_info *batch)
{
	struct recording_info item = { 0 };
	sqlite3_stmt *stmt;
	enum err err = of_batch(c, STATEMENT_BATCH_SAY, batch->principal, batch->id, &stmt);
	if (err != ERR_OK)
		return err;
	bind_said(stmt, batch);
	err = catalog_run(c, stmt);
	if (err != ERR_OK || sqlite3_changes(c->db) == 0)
		return err;
	err = of_batch(c, STATEMENT_BATCH_ENDED, batch->principal, batch->id, &stmt);
	if (err == ERR_OK)
		err = catalog_load(c, stmt, &item);
	if (err == ERR_OK)
		err = catalog_batch_settle(c, &item, batch->created_ms);
	recording_info_release(&item);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err catalog_batch_create(struct catalog *base, const struct batch_info *batch, bool *created,
			      struct batch_info *row)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	assert(c->open);
	*created = false;
	*row = (struct batch_info){ 0 };
	enum err err = of_batch(c, STATEMENT_BATCH_CREATE, batch->principal, batch->id, &stmt);
	if (err != ERR_OK)
		return err;
	bind_said(stmt, batch);
	err = catalog_run(c, stmt);
	if (err != ERR_OK)
		return err;
	*created = sqlite3_changes(c->db) > 0;
	if (!*created)
		err = batch_say(c, batch);
	return err != ERR_OK ? err : catalog_batch_get(base, batch->principal, batch->id, row);
}

enum err catalog_batch_put(struct catalog_sqlite *c, const struct recording_info *item)
{
	sqlite3_stmt *stmt;
	enum err err = of_batch(c, STATEMENT_BATCH_RESTORE, item->principal, item->batch, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 3, item->created_ms);
	return catalog_run(c, stmt);
}

/* Slices */

/* Is it the item that there is? One whose content nobody kept (it was deleted) is. */
static bool same_content(sqlite3_stmt *stmt, const struct recording_info *info)
{
	if (!info->has_item || sqlite3_column_bytes(stmt, 2) != sizeof info->item.bytes)
		return true;
	return memcmp(sqlite3_column_blob(stmt, 2), info->item.bytes, sizeof info->item.bytes) == 0;
}

/* NOT_FOUND: it is new. */
static enum err item_find(struct catalog_sqlite *c, const struct catalog_slice *slice, struct catalog_item *item)
{
	sqlite3_stmt *stmt;
	item->err = ERR_OK;
	item->inserted = false;
	item->phase = PHASE_COUNT;
	enum err err = of_batch(c, STATEMENT_ITEM_FIND, slice->principal, slice->batch, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 3, item->info.batch_key);
	int rc = sqlite3_step(stmt);
	err = rc == SQLITE_ROW ? catalog_column_id(stmt, 0, &item->id) : catalog_error(c, rc);
	if (rc == SQLITE_ROW && err == ERR_OK) {
		if (!phase_parse((const char *)sqlite3_column_text(stmt, 1), &item->phase))
			err = ERR_CORRUPT;
		else if (!same_content(stmt, &item->info))
			item->err = ERR_ITEM_DIFFERS;
	}
	catalog_done(stmt);
	return rc == SQLITE_DONE ? ERR_NOT_FOUND : catalog_fail(c, err);
}

static enum err item_insert(struct catalog_sqlite *c, struct catalog_item *item)
{
	const struct recording_info *info = &item->info;
	enum err err = catalog_write_row(c, STATEMENT_INSERT, info);
	if (err == ERR_OK && sqlite3_changes(c->db) == 0)
		err = catalog_fail(c, ERR_INTERNAL); /* its id is somebody's */
	if (err == ERR_OK && info->source_url && !info->on_demand)
		err = catalog_queue_job(c, &info->id, JOB_FETCH, 0, info->created_ms);
	item->inserted = err == ERR_OK;
	item->id = info->id;
	item->phase = info->phase;
	return err;
}

static bool key_before(const struct catalog_slice *slice, unsigned at)
{
	for (unsigned i = 0; i < at; i++) {
		if (strcmp(slice->items[i].info.batch_key, slice->items[at].info.batch_key) == 0)
			return true;
	}
	return false;
}

static enum err count_new(struct catalog_sqlite *c, const struct catalog_slice *slice, uint64_t *fresh)
{
	*fresh = 0;
	for (unsigned i = 0; i < slice->count; i++) {
		enum err err = item_find(c, slice, &slice->items[i]);
		if (err == ERR_NOT_FOUND)
			*fresh += !key_before(slice, i);
		else if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

enum err catalog_slice(struct catalog *base, const struct catalog_slice *slice, enum err *refusal)
{
	struct catalog_sqlite *c = catalog_self(base);
	struct batch_info batch;
	uint64_t fresh;
	assert(c->open);
	*refusal = ERR_OK;
	enum err err = catalog_batch_get(base, slice->principal, slice->batch, &batch);
	if (err != ERR_OK)
		return err;
	uint64_t most = batch.total < LIMIT_BATCH_ITEMS ? batch.total : LIMIT_BATCH_ITEMS;
	uint64_t items = batch_info_items(&batch);
	batch_info_release(&batch);
	err = count_new(c, slice, &fresh);
	if (err != ERR_OK || fresh == 0)
		return err;
	if (items + fresh > most)
		*refusal = ERR_LIMIT_EXCEEDED;
	else if (fresh > slice->most_new)
		*refusal = slice->above;
	for (unsigned i = 0; i < slice->count && err == ERR_OK && *refusal == ERR_OK; i++) {
		err = item_find(c, slice, &slice->items[i]); /* the same key may stand there twice */
		if (err == ERR_NOT_FOUND)
			err = item_insert(c, &slice->items[i]);
	}
	return err;
}

enum err catalog_item_fill(struct catalog *base, const struct recording_info *info, struct recording_info *row)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	assert(c->open);
	*row = (struct recording_info){ 0 };
	enum err err = catalog_statement_for(c, STATEMENT_ITEM_FILL, &info->id, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 2, info->name);
	catalog_bind_text(stmt, 3, info->mime);
	catalog_bind_text(stmt, 4, info->ext);
	err = catalog_run(c, stmt);
	return err == ERR_OK ? catalog_load_id(c, &info->id, row) : err;
}
