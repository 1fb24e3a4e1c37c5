/* Files and folders of a command line, see files.h. */
#include "files.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool append(struct files *f, struct file file, const struct stat *st)
{
	if (f->count == f->capacity) {
		size_t capacity = f->capacity ? 2 * f->capacity : 64;
		struct file *grown = file.path && file.label ? realloc(f->list, capacity * sizeof *grown) : NULL;
		if (grown) {
			f->list = grown;
			f->capacity = capacity;
		}
	}
	if (!file.path || !file.label || f->count == f->capacity) {
		free(file.path);
		free(file.label);
		return false;
	}
	file.size = (uint64_t)st->st_size;
	file.mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	f->list[f->count++] = file;
	return true;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* `rest`: of the path behind the folder's, with its slash. */
static char *label_of(const char *argument, const char *rest)
{
	char *label = NULL;
	size_t len = strlen(argument);
	while (len > 1 && argument[len - 1] == '/')
		len--;
	if (len == 1 && *argument == '/' && *rest == '/')
		rest++;
	return asprintf(&label, "%.*s%s", (int)len, argument, rest) < 0 ? NULL : label;
}

static bool leave_out(struct files *f, const FTSENT *entry)
{
	const struct stat *st = entry->fts_statp;
	if (entry->fts_level > 0 && *entry->fts_name == '.' && !f->hidden)
		f->hidden_left++;
	else if (entry->fts_info == FTS_SL || entry->fts_info == FTS_SLNONE)
		f->links_left++;
	else if (entry->fts_info == FTS_DEFAULT)
		f->others_left++;
	else if (entry->fts_info != FTS_D || st->st_ino != f->spool_ino || st->st_dev != f->spool_dev)
		return false;
	return true;
}

/* One entry of a folder. False when memory is out. */
static bool visit(struct files *f, FTS *fts, FTSENT *entry, const char *argument, size_t root_len)
{
	const char *rest = entry->fts_path + root_len;
	if (entry->fts_info == FTS_DP)
		return true;
	if (leave_out(f, entry)) {
		(void)fts_set(fts, entry, FTS_SKIP);
		return true;
	}
	char *label = label_of(argument, rest);
	bool ok = label != NULL;
	if (ok && entry->fts_info == FTS_F) {
		struct file file = { .path = strdup(entry->fts_path), .label = label };
		file.name = file.path ? file.path + root_len : NULL;
		while (file.name && *file.name == '/')
			file.name++;
		return append(f, file, entry->fts_statp);
	}
	if (ok && entry->fts_info != FTS_D)
		f->failed(f->arg, label, strerror(entry->fts_errno));
	free(label);
	return ok;
}

static bool walk(struct files *f, const char *argument, char *root)
{
	char *const roots[] = { root, NULL };
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	if (!fts) {
		f->failed(f->arg, argument, strerror(errno));
		return errno != ENOMEM;
	}
	bool ok = true;
	size_t root_len = strcmp(root, "/") == 0 ? 0 : strlen(root);
	for (FTSENT *entry; ok && (errno = 0, entry = fts_read(fts));)
		ok = visit(f, fts, entry, argument, root_len);
	if (ok && errno != 0)
		f->failed(f->arg, argument, strerror(errno));
	fts_close(fts);
	return ok;
}

bool files_add(struct files *f, const char *argument)
{
	struct stat st;
	if (f->spool && !f->spool_ino && stat(f->spool, &st) == 0) {
		f->spool_dev = st.st_dev;
		f->spool_ino = st.st_ino;
	}
	char *root = realpath(argument, NULL);
	if (!root || stat(root, &st) != 0) {
		f->failed(f->arg, argument, strerror(errno));
		free(root);
		return true;
	}
	bool ok = true;
	if (S_ISDIR(st.st_mode)) {
		ok = walk(f, argument, root);
	} else if (!S_ISREG(st.st_mode)) {
		f->failed(f->arg, argument, "not a regular file");
	} else {
		struct file file = { .path = root, .label = strdup(argument) };
		const char *slash = file.label ? strrchr(file.label, '/') : NULL;
		file.name = slash ? slash + 1 : file.label;
		return append(f, file, &st);
	}
	free(root);
	return ok;
}

static int by_path(const void *a, const void *b)
{
	const struct file *const *x = a, *const *y = b;
	int order = strcmp((*x)->path, (*y)->path);
	return order != 0 ? order : *x < *y ? -1 : *x > *y;
}

void files_settle(struct files *f)
{
	struct file **sorted = calloc(f->count + 1, sizeof *sorted);
	for (size_t i = 0; sorted && i < f->count; i++)
		sorted[i] = &f->list[i];
	if (sorted)
		qsort(sorted, f->count, sizeof(struct file *), by_path);
	for (size_t i = 1; sorted && i < f->count; i++) /* the first of equals stays */
		sorted[i]->done = strcmp(sorted[i]->path, sorted[i - 1]->path) == 0;
	free(sorted);
	size_t kept = 0;
	f->bytes = 0;
	for (size_t i = 0; i < f->count; i++) {
		if (f->list[i].done) {
			free(f->list[i].path);
			free(f->list[i].label);
			continue;
		}
		f->bytes += f->list[i].size;
		f->list[kept++] = f->list[i];
	}
	f->count = kept;
}

/* Asked a few times a run, for what an earlier one left. */
struct file *files_find(struct files *f, const char *path)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->list[i].path, path) == 0)
			return &f->list[i];
	return NULL;
}

void files_release(struct files *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free(f->list[i].path);
		free(f->list[i].label);
	}
	free(f->list);
	f->list = NULL;
	f->count = f->capacity = 0;
}
