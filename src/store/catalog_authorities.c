/* What an outside authority said, in the SQLite catalog: a cache that lasts over a restart. */
#include "store/catalog_sqlite.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void catalog_authority_release(struct catalog_authority *said)
{
	free(said->subject);
	free(said->answer);
	*said = (struct catalog_authority){ 0 };
}

static void bind_token(sqlite3_stmt *stmt, const struct sha256 *token)
{
	sqlite3_bind_blob(stmt, 1, token->bytes, sizeof token->bytes, SQLITE_STATIC);
}

static enum err trim(struct catalog_sqlite *c, int64_t now_ms)
{
	sqlite3_stmt *stmt;
	enum err err = catalog_statement(c, STATEMENT_AUTHORITY_TRIM, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int64(stmt, 1, now_ms);
	sqlite3_bind_int(stmt, 2, LIMIT_AUTHORITY_TRIM);
	err = catalog_run(c, stmt);
	if (err == ERR_OK)
		err = catalog_statement(c, STATEMENT_AUTHORITY_BOUND, &stmt);
	if (err != ERR_OK)
		return err;
	sqlite3_bind_int(stmt, 1, LIMIT_AUTHORITY_ROWS);
	return catalog_run(c, stmt);
}

enum err catalog_authority_put(struct catalog *base, const struct catalog_authority *said, int64_t now_ms)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	assert(c->open);
	enum err err = catalog_statement(c, STATEMENT_AUTHORITY_PUT, &stmt);
	if (err != ERR_OK)
		return err;
	bind_token(stmt, &said->token);
	catalog_bind_text(stmt, 2, said->subject);
	catalog_bind_text(stmt, 3, said->answer);
	sqlite3_bind_int64(stmt, 4, said->expires_ms);
	err = catalog_run(c, stmt);
	return err == ERR_OK ? trim(c, now_ms) : err;
}

enum err catalog_authority_get(struct catalog *base, const struct sha256 *token, struct catalog_authority *out)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	*out = (struct catalog_authority){ .token = *token };
	enum err err = catalog_statement(c, STATEMENT_AUTHORITY_GET, &stmt);
	if (err != ERR_OK)
		return err;
	bind_token(stmt, token);
	int rc = sqlite3_step(stmt);
	err = rc == SQLITE_DONE ? ERR_NOT_FOUND : catalog_error(c, rc);
	if (err == ERR_OK)
		err = catalog_column_text(stmt, 0, &out->subject);
	if (err == ERR_OK)
		err = catalog_column_text(stmt, 1, &out->answer);
	out->expires_ms = err == ERR_OK ? sqlite3_column_int64(stmt, 2) : 0;
	catalog_done(stmt);
	if (err != ERR_OK)
		catalog_authority_release(out);
	return catalog_fail(c, err);
}

/* The tokens of a subject, one after the other. */
static enum err each_of(struct catalog_sqlite *c, const char *subject,
			enum err (*each)(void *arg, const struct sha256 *token), void *arg)
{
	sqlite3_stmt *stmt;
	struct sha256 token;
	int rc;
	enum err err = catalog_statement(c, STATEMENT_AUTHORITY_OF, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 1, subject);
	while (err == ERR_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
		err = catalog_error(c, rc);
		if (err == ERR_OK && sqlite3_column_bytes(stmt, 0) != sizeof token.bytes)
			err = ERR_CORRUPT;
		if (err != ERR_OK)
			break;
		memcpy(token.bytes, sqlite3_column_blob(stmt, 0), sizeof token.bytes);
		err = each(arg, &token);
	}
	catalog_done(stmt);
	return catalog_fail(c, err);
}

enum err catalog_authority_forget(struct catalog *base, const char *subject,
				  enum err (*each)(void *arg, const struct sha256 *token), void *arg)
{
	struct catalog_sqlite *c = catalog_self(base);
	sqlite3_stmt *stmt;
	assert(c->open);
	enum err err = each_of(c, subject, each, arg);
	if (err == ERR_OK)
		err = catalog_statement(c, STATEMENT_AUTHORITY_FORGET, &stmt);
	if (err != ERR_OK)
		return err;
	catalog_bind_text(stmt, 1, subject);
	return catalog_run(c, stmt);
}
