/* `holdfast verify`, see verify.h: the catalog is held against what verify_takes.c found on the disk, or with --rebuild
 * made again from it. For lengths and seals the catalog may lag what the journal still holds, and never leads it. */
#include "verify.h"

#include "config/config.h"
#include "store/catalog.h"
#include "store/media.h"
#include "store/spool.h"
#include "verify_takes.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_BYTES = 32 * 1024 * 1024, ASIDE_NAME = 64 };

struct run {
	struct config config;
	struct verify verify;
	struct vfs *vfs;
	struct exec_threads *threads;
	struct catalog *catalog;
	bool terminal;
	uint64_t shown;		/* bytes read when the progress was last shown */
	char aside[ASIDE_NAME]; /* what --rebuild moved the old catalog to */
};

/* Output */

static void print_json(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);
	if (text)
		puts(text);
	free(text);
	json_decref(object);
}

static void clear_progress(struct run *r)
{
	if (r->terminal)
		fputs("\r\033[K", stderr);
}

static void on_problem(void *arg, const struct uuid *id, const char *sentence)
{
	struct run *r = arg;
	char text[UUID_TEXT] = "";
	if (id)
		uuid_format(id, text);
	clear_progress(r);
	if (r->config.json)
		print_json(id ? json_pack("{s:s, s:s, s:s}", "type", "problem", "id", text, "problem", sentence)
			      : json_pack("{s:s, s:s}", "type", "problem", "problem", sentence));
	else
		printf("%s%s%s\n", text, id ? ": " : "", sentence);
	fflush(stdout);
}

static void on_progress(void *arg)
{
	struct run *r = arg;
	if (!r->terminal || r->verify.bytes_read - r->shown < PROGRESS_BYTES)
		return;
	r->shown = r->verify.bytes_read;
	fprintf(stderr, "\r\033[K%llu MiB of spools read, %llu problems", (unsigned long long)(r->shown / MIB),
		(unsigned long long)r->verify.problems);
	fflush(stderr);
}

static void print_summary(struct run *r)
{
	const struct verify *v = &r->verify;
	unsigned long long recordings = v->recordings, bytes = v->bytes, problems = v->problems;
	clear_progress(r);
	if (r->config.json) {
		print_json(json_pack("{s:s, s:I, s:I, s:I}", "type", "summary", "recordings", (json_int_t)recordings,
				     "bytes", (json_int_t)bytes, "problems", (json_int_t)problems));
		return;
	}
	if (*r->aside)
		printf("the catalog was made again; the old one is %s/%s\n", r->config.data, r->aside);
	printf("%llu recording%s, %llu bytes, ", recordings, recordings == 1 ? "" : "s", bytes);
	if (problems == 0)
		printf("all hold\n");
	else
		printf("%llu problem%s\n", problems, problems == 1 ? "" : "s");
}

static int fail(const char *what, enum err err)
{
	fprintf(stderr, "holdfast: %s: %s\n", what, err_text(err));
	return 1;
}

/* The catalog against the disk */

static bool is_sealed(enum phase phase)
{
	return phase == PHASE_QUEUED || phase == PHASE_PROCESSING || phase == PHASE_GENERATING_THUMBNAIL ||
	       phase == PHASE_COMPLETE;
}

static void compare_tracks(struct run *r, const struct checked_take *t, const struct recording_info *row)
{
	if (row->track_count != t->info.track_count) {
		verify_problem(&r->verify, &t->id, "the catalog has %u tracks, the folder %u", row->track_count,
			       t->info.track_count);
		return;
	}
	for (uint32_t i = 0; i < row->track_count; i++) {
		const struct track_info *a = &row->tracks[i], *b = &t->info.tracks[i];
		if (a->bytes != b->bytes)
			verify_problem(&r->verify, &t->id, "track %u: the catalog has %llu bytes, the folder %llu", i,
				       (unsigned long long)a->bytes, (unsigned long long)b->bytes);
		else if (a->has_sha256 && b->has_sha256 && memcmp(&a->sha256, &b->sha256, sizeof a->sha256) != 0)
			verify_problem(&r->verify, &t->id, "track %u: the catalog has another SHA-256 than the folder",
				       i);
	}
}

/* What the catalog says is published has to be there, and whole. */
static void compare_media(struct run *r, const struct checked_take *t, const struct recording_info *row)
{
	const char *why;
	if (t->removed && !row->original_removed)
		verify_problem(&r->verify, &t->id, "its bytes are missing, and nobody removed them");
	if (row->media.revision == 0)
		return;
	enum err err = media_check(r->vfs, &t->id, &row->media, &why);
	if (err != ERR_OK)
		verify_problem(&r->verify, &t->id, "revision %u was published, and %s", row->media.revision,
			       err == ERR_NOT_FOUND || err == ERR_CORRUPT ? why : err_code(err));
}

/* What recovery will still bring into the catalog is no problem. */
static void compare_row(struct run *r, const struct checked_take *t, const struct recording_info *row)
{
	struct verify *v = &r->verify;
	const struct recording_info *info = &t->info;
	if (row->phase != PHASE_DELETED)
		compare_media(r, t, row);
	if (row->phase == PHASE_DELETED || row->phase == PHASE_ERROR)
		return; /* neither is the folder's to say */
	if (row->revision > info->revision) {
		verify_problem(v, &t->id, "the catalog knows revision %u, the folder only %u", row->revision,
			       info->revision);
		return;
	}
	if (t->in_journal)
		return;
	if (row->revision < info->revision || is_sealed(row->phase) != is_sealed(info->phase))
		verify_problem(v, &t->id, "the catalog says %s (revision %u), the folder %s (revision %u)",
			       phase_name(row->phase), row->revision, phase_name(info->phase), info->revision);
	else if (is_sealed(row->phase))
		compare_tracks(r, t, row);
}

static void compare_takes(struct run *r)
{
	for (struct checked_take *t = r->verify.first; t; t = t->sibling) {
		struct recording_info row = { 0 };
		if (!t->known || t->deleted)
			continue;
		enum err err = r->catalog->ops->get(r->catalog, &t->id, &row);
		if (err == ERR_OK)
			compare_row(r, t, &row);
		else if (err != ERR_NOT_FOUND)
			verify_problem(&r->verify, &t->id, "its row in the catalog can't be read: %s", err_code(err));
		else if (!t->in_journal)
			verify_problem(&r->verify, &t->id, "the catalog does not know it");
		recording_info_release(&row);
	}
}

struct page {
	struct run *run;
	struct uuid last;
	unsigned count;
};

static enum err compare_listed(void *arg, const struct recording_info *row)
{
	struct page *page = arg;
	struct run *r = page->run;
	page->last = row->id;
	page->count++;
	const struct checked_take *t = verify_find(&r->verify, &row->id);
	if (row->phase == PHASE_ERROR && row->error == ERR_QUARANTINED)
		verify_problem(&r->verify, &row->id, "it could not be recovered whole and is in quarantine");
	else if ((!t || !t->known) && recording_info_bytes(row) > 0)
		verify_problem(&r->verify, &row->id, "the catalog has %llu bytes of it, and its folder is missing",
			       (unsigned long long)recording_info_bytes(row));
	else if (!t || !t->known)
		r->verify.recordings++; /* begun, without a byte */
	return ERR_OK;
}

static enum err compare_rows(struct run *r)
{
	struct page page = { .run = r };
	enum err err;
	do {
		struct catalog_filter filter = { .phase = -1, .before = page.last, .limit = LIMIT_LIST_ITEMS };
		page.count = 0;
		err = r->catalog->ops->list(r->catalog, &filter, compare_listed, &page);
	} while (err == ERR_OK && page.count > 0);
	return err;
}

static void compare(struct run *r)
{
	enum err err = catalog_sqlite_open(r->vfs, true, &r->catalog);
	if (err == ERR_NOT_FOUND && !r->verify.first)
		return; /* nothing was ever recorded here */
	if (err == ERR_OK) {
		compare_takes(r);
		err = compare_rows(r);
	}
	if (err == ERR_NOT_SUPPORTED)
		verify_problem(
			&r->verify, NULL,
			"an earlier version wrote the catalog; start the server once, which brings it up to date, "
			"and verify then");
	else if (err != ERR_OK)
		verify_problem(&r->verify, NULL, "the catalog can't be read (%s); --rebuild makes it again",
			       err == ERR_NOT_FOUND ? "it is missing" : err_code(err));
}

/* --rebuild */

static enum err restore_all(struct run *r)
{
	struct catalog *c = r->catalog;
	enum err err = c->ops->begin(c);
	if (err != ERR_OK)
		return err;
	for (struct checked_take *t = r->verify.first; t && err == ERR_OK; t = t->sibling)
		if (t->known && !t->deleted)
			err = c->ops->restore(c, &t->info);
	if (err == ERR_OK)
		return c->ops->commit(c);
	c->ops->rollback(c);
	return err;
}

/* The WAL has to keep its place beside its database, so that the old catalog can still be looked at. */
static enum err move_catalog(struct vfs *vfs, const char *from, const char *to)
{
	const char *const suffixes[] = { "-wal", "-shm", "" };
	for (unsigned i = 0; i < 3; i++) {
		char old[ASIDE_NAME + 8], new[ASIDE_NAME + 8];
		snprintf(old, sizeof old, "%s%s", from, suffixes[i]);
		snprintf(new, sizeof new, "%s%s", to, suffixes[i]);
		enum err err = vfs_rename(vfs, old, new);
		if (err != ERR_OK && err != ERR_NOT_FOUND)
			return err;
	}
	return vfs_sync_dir(vfs, "");
}

static void remove_catalog(struct vfs *vfs)
{
	(void)vfs_unlink(vfs, "catalog.db-wal");
	(void)vfs_unlink(vfs, "catalog.db-shm");
	(void)vfs_unlink(vfs, "catalog.db");
}

static enum err rebuild(struct run *r)
{
	time_t now = time(NULL);
	struct tm utc;
	gmtime_r(&now, &utc);
	strftime(r->aside, sizeof r->aside, "catalog.db.%Y%m%dT%H%M%SZ", &utc);
	enum err err = move_catalog(r->vfs, "catalog.db", r->aside);
	if (err != ERR_OK)
		return err;
	err = catalog_sqlite_open(r->vfs, false, &r->catalog);
	if (err == ERR_OK)
		err = restore_all(r);
	catalog_close(r->catalog);
	r->catalog = NULL;
	if (err == ERR_OK)
		return ERR_OK;
	remove_catalog(r->vfs);
	(void)move_catalog(r->vfs, r->aside, "catalog.db");
	r->aside[0] = '\0';
	return err;
}

/* The whole */

static int run_verify(struct run *r)
{
	enum err err = exec_threads_new(NULL, NULL, &r->threads);
	if (err == ERR_OK)
		err = verify_read(&r->verify, exec_threads_exec(r->threads), r->config.journal_bytes);
	if (err != ERR_OK)
		return fail("reading back", err);
	if (r->config.rebuild && (err = rebuild(r)) != ERR_OK)
		return fail("making the catalog again; the old one is in place", err);
	compare(r);
	print_summary(r);
	return r->verify.problems == 0 ? 0 : 1;
}

static int open_data(struct run *r)
{
	if (!config_data_is_there(&r->config))
		return 1;
	enum err err = vfs_posix_open(r->config.data, &r->vfs);
	if (err == ERR_LOCKED) {
		fprintf(stderr, "holdfast: another process, probably a server, uses %s; stop it first\n",
			r->config.data);
		return 1;
	}
	return err == ERR_OK ? 0 : fail(r->config.data, err);
}

int verify_main(int argc, char **argv)
{
	static struct run r;
	int status = config_load(&r.config, CONFIG_VERIFY, argc, argv, environ);
	if (status != CONFIG_GO) {
		config_release(&r.config);
		return status;
	}
	log_set_level(r.config.log_level);
	verify_init(&r.verify);
	r.verify.problem = on_problem;
	r.verify.progress = on_progress;
	r.verify.arg = &r;
	r.terminal = !r.config.json && isatty(STDERR_FILENO);
	status = open_data(&r);
	if (status == 0) {
		r.verify.vfs = r.vfs;
		status = run_verify(&r);
	}
	catalog_close(r.catalog);
	verify_release(&r.verify);
	exec_threads_free(r.threads);
	vfs_free(r.vfs);
	config_release(&r.config);
	return status;
}
