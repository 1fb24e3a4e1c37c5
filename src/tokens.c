/* tokens.json, see tokens.h. A failed sync is not tried again on the same file: each save writes a new one beside the
 * old, which stays what it was until the new one is safe. */
#include "tokens.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char path[] = "tokens.json";

struct save {
	struct task task;
	struct vfs *vfs;
	struct auth *auth;
	enum err err;
	size_t len;
	char text[];
};

static void save_run(struct task *task)
{
	struct save *s = (struct save *)task;
	s->err = vfs_replace(s->vfs, path, s->text, s->len);
}

static void save_done(struct task *task)
{
	struct save *s = (struct save *)task;
	if (s->err != ERR_OK)
		log_event(LOG_ERROR, "tokens_not_saved", "code", err_code(s->err), NULL);
	auth_saved(s->auth, s->err);
	explicit_bzero(s->text, s->len);
	free(s);
}

static void save(void *arg, struct auth *a, const char *text, size_t len)
{
	struct tokens *t = arg;
	struct save *s = malloc(sizeof *s + len);
	if (!s) {
		auth_saved(a, ERR_NO_MEMORY);
		return;
	}
	*s = (struct save){ .task = { .run = save_run, .done = save_done }, .vfs = t->vfs, .auth = a, .len = len };
	memcpy(s->text, text, len);
	if (t->exec) {
		exec_submit(t->exec, LANE_POOL, &s->task);
		return;
	}
	save_run(&s->task);
	save_done(&s->task);
}

static void fill_random(void *arg, void *out, size_t len)
{
	uint8_t *bytes = out;
	(void)arg;
	while (len > 0) {
		ssize_t got = getrandom(bytes, len, 0);
		if (got > 0) {
			bytes += got;
			len -= (size_t)got;
		}
	}
}

enum err tokens_open(struct tokens *t, int64_t now_ms, void (*revoked)(void *arg, const char *token_id), void *arg)
{
	char *text;
	size_t len;
	enum err err = vfs_read_all(t->vfs, path, LIMIT_TOKENS_BYTES, &text, &len);
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return err;
	struct auth_config config = {
		.text = text,
		.len = len,
		.save = save,
		.save_arg = t,
		.random = fill_random,
		.revoked = revoked,
		.revoked_arg = arg,
	};
	err = auth_new(&config, now_ms, &t->auth);
	if (text)
		explicit_bzero(text, len);
	free(text);
	return err;
}

void tokens_close(struct tokens *t)
{
	auth_free(t->auth);
	t->auth = NULL;
}
