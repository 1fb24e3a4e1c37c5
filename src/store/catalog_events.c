/* The outbox of the SQLite catalog. Sequences ascend for good: AUTOINCREMENT never gives one twice. */
#include "store/catalog_sqlite.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Events are gathered before the callbacks, which may use the catalog; strings stand behind the page. */
struct page {
	struct catalog_event *events;
	char *(*texts)[4]; /* principal, type, show and batch */
	unsigned count;
};

static enum err page_add(struct page *page, sqlite3_stmt *stmt)
{
	struct catalog_event *event = &page->events[page->count];
	char **texts = page->texts[page->count++];
	const char *phase = (const char *)sqlite3_column_text(stmt, 4);
	*event = (struct catalog_event){
		.seq = sqlite3_column_int64(stmt, 0),
		.revision = (uint32_t)sqlite3_column_int64(stmt, 5),
		.at_ms = sqlite3_column_int64(stmt, 6),
	};
	enum err err = catalog_column_id(stmt, 1, &event->recording);
	if (err == ERR_OK && (!phase || !phase_parse(phase, &event->phase)))
		err = ERR_CORRUPT;
	if (err == ERR_OK)
		err = catalog_column_text(stmt, 2, &texts[0]);
	if (err == ERR_OK)
		err = catalog_column_text(stmt, 3, &texts[1]);
	if (err == ERR_OK)
		err = catalog_column_text(stmt, 7, &texts[2]);
	if (err == ERR_OK)
		err = catalog_column_text(stmt, 9, &texts[3]);
	event->principal = texts[0];
	event->type = texts[1];
	event->show = texts[2];
	event->version = (uint32_t)sqlite3_column_int64(stmt, 8);
	event->batch = texts[3];
	event->batch_total = (uint64_t)sqlite3_column_int64(stmt, 10);
	event->batch_failed = (uint64_t)sqlite3_column_int64(stmt, 11);
	return err;
}

static enum err page_read(struct catalog_sqlite *c, const struct catalog_event_filter *filter, unsigned limit,
			  struct page *page)
{
	enum catalog_statement which = STATEMENT_EVENTS;
	sqlite3_stmt *stmt;
	if (filter->recording || filter->principal)
		which = filter->recording ? STATEMENT_EVENTS_OF : STATEMENT_EVENTS_FOR;
	enum err err = catalog_statement(c, which, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 1, filter->after);
	sqlite3_bind_int64(stmt, 2, limit);
	if (filter->recording)
		catalog_bind_id(stmt, 3, filter->recording);
	if (filter->recording || filter->principal)
		catalog_bind_text(stmt, 4, filter->principal);
	int rc;
	while (err == ERR_OK && page->count < limit && (rc = sqlite3_step(stmt)) != SQLITE_DONE)
		err = rc == SQLITE_ROW ? catalog_fail(c, page_add(page, stmt)) : catalog_error(c, rc);
	catalog_done(stmt);
	return err;
}

enum err catalog_events(struct catalog *base, const struct catalog_event_filter *filter,
			enum err (*event)(void *arg, const struct catalog_event *event), void *arg)
{
	struct catalog_sqlite *c = catalog_self(base);
	unsigned limit = filter->limit < LIMIT_EVENTS_PAGE ? filter->limit : LIMIT_EVENTS_PAGE;
	struct page page = { .events = calloc(LIMIT_EVENTS_PAGE, sizeof *page.events),
			     .texts = calloc(LIMIT_EVENTS_PAGE, sizeof *page.texts) };
	enum err err = page.events && page.texts ? page_read(c, filter, limit, &page) : catalog_fail(c, ERR_NO_MEMORY);
	for (unsigned i = 0; i < page.count; i++) {
		if (err == ERR_OK)
			err = event(arg, &page.events[i]);
		for (size_t k = 0; k < sizeof *page.texts / sizeof **page.texts; k++)
			free(page.texts[i][k]);
	}
	free(page.events);
	free(page.texts);
	return err;
}

enum err catalog_event_bounds(struct catalog *base, int64_t *first, int64_t *last)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	*first = *last = 0;
	enum err err = catalog_statement(c, STATEMENT_EVENT_BOUNDS, &stmt);
	if (err != ERR_OK)
		return err;
	int rc = sqlite3_step(stmt);
	err = catalog_error(c, rc);
	if (rc == SQLITE_ROW) {
		*first = sqlite3_column_int64(stmt, 0); /* 0 for NULL */
		*last = sqlite3_column_int64(stmt, 1);
	}
	catalog_done(stmt);
	return err;
}

enum err catalog_event_waits(struct catalog_sqlite *c, const struct uuid *id, int64_t seq, bool *out)
{
	sqlite3_stmt *stmt;
	*out = false;
	enum err err = catalog_statement_for(c, STATEMENT_EVENT_WAITS, id, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 2, seq);
	int rc = sqlite3_step(stmt);
	err = catalog_error(c, rc);
	*out = rc == SQLITE_ROW && sqlite3_column_int(stmt, 0) != 0;
	catalog_done(stmt);
	return err;
}

enum err catalog_events_trim(struct catalog *base, int64_t before_ms)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	assert(c->open);
	enum err err = catalog_statement(c, STATEMENT_EVENTS_TRIM, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 1, before_ms);
	sqlite3_bind_int(stmt, 2, LIMIT_EVENTS_TRIM);
	return catalog_run(c, stmt);
}
