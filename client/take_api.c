/* libholdfast: how takes begin, and what is asked about them. */
#include "take.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { SESSION_CHARS = 200 };

static struct hf_take *take_alloc(void)
{
	struct hf_take *t = calloc(1, sizeof *t);
	if (t)
		t->keep.dir_fd = t->keep.data_fd = -1;
	return t;
}

static bool copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return !from || *to;
}

static char *random_session(void)
{
	unsigned char bytes[16];
	char *out = malloc(2 * sizeof bytes + 1);
	if (!out || getrandom(bytes, sizeof bytes, 0) != sizeof bytes) {
		free(out);
		return NULL;
	}
	for (unsigned i = 0; i < sizeof bytes; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return out;
}

static int meta_from_options(const struct hf_options *o, struct keep_meta *m)
{
	bool ok = copy_text(&m->url, o->url) && copy_text(&m->name, o->name) && copy_text(&m->mime, o->mime) &&
		  copy_text(&m->ext, o->ext) && copy_text(&m->track, o->track);
	m->session_id = o->session_id ? strdup(o->session_id) : random_session();
	if (!ok || !m->session_id)
		return -ENOMEM;
	if (!o->source_path)
		return 0;
	m->renewable = o->renewable && o->session_id;
	m->source_path = realpath(o->source_path, NULL);
	return m->source_path ? 0 : -errno;
}

HF_API int hf_take_new(const struct hf_options *options, struct hf_take **out)
{
	struct url url;
	struct keep_meta meta = { 0 };
	*out = NULL;
	if (!options->url || !url_parse(options->url, &url) || !options->spool_dir ||
	    (options->session_id && (!*options->session_id || strlen(options->session_id) > 4 * SESSION_CHARS)))
		return -EINVAL;
	struct hf_take *t = take_alloc();
	int result = t ? meta_from_options(options, &meta) : -ENOMEM;
	/* what is stored is the one form of the address */
	if (result == 0) {
		free(meta.url);
		meta.url = strdup(url.text);
		result = meta.url ? take_open(t, options, &meta) : -ENOMEM;
	}
	keep_meta_release(&meta);
	if (result != 0) {
		hf_take_free(t);
		return result;
	}
	*out = t;
	return 0;
}

HF_API int hf_take_resume(const struct hf_options *options, struct hf_take **out)
{
	*out = NULL;
	if (!options->spool_dir || !options->session_id)
		return -EINVAL;
	struct hf_take *t = take_alloc();
	int result = t ? take_open(t, options, NULL) : -ENOMEM;
	if (result != 0) {
		hf_take_free(t);
		return result;
	}
	*out = t;
	return 0;
}

struct each {
	void (*take)(void *arg, const struct hf_spooled *spooled);
	void *arg;
};

static void each_take(void *arg, const struct keep_meta *m)
{
	const struct each *each = arg;
	struct hf_spooled spooled = {
		.session_id = m->session_id,
		.url = m->url,
		.source_path = m->source_path,
		.failed = m->failed,
		.name = m->name,
		.bytes = m->ended ? m->total : m->synced,
		.bytes_total = m->ended ? m->total : UINT64_MAX,
	};
	each->take(each->arg, &spooled);
}

HF_API int hf_spool_each(const char *spool_dir, void (*take)(void *arg, const struct hf_spooled *spooled), void *arg)
{
	struct each each = { take, arg };
	return keep_each(spool_dir, each_take, &each);
}

HF_API int hf_spool_discard(const char *spool_dir, const char *session_id)
{
	return keep_discard(spool_dir, session_id);
}

static enum hf_state public_state(enum sender_state state)
{
	switch (state) {
	case SENDER_ATTACHED:
		return HF_SENDING;
	case SENDER_SAVED:
		return HF_SAVED;
	case SENDER_FAILED:
	case SENDER_ABORTED:
		return HF_FAILED;
	default:
		return HF_CONNECTING;
	}
}

HF_API void hf_take_progress(const struct hf_take *t, struct hf_progress *out)
{
	const struct sender *s = &t->sender;
	uint64_t now_ms = take_now_ms();
	bool waits = s->state == SENDER_DOWN || s->state == SENDER_WAITING;
	*out = (struct hf_progress){
		.state = public_state(s->state),
		.bytes_read = t->keep.meta.source_path ? t->most_sent : s->written,
		.bytes_safe = s->acked,
		.bytes_total = s->ended ? s->written : UINT64_MAX,
		.reconnects = s->reconnects,
		.retry_in_ms = waits && s->retry_at > now_ms ? s->retry_at - now_ms : 0,
	};
}

static const char *when_saved(const struct hf_take *t, const char *text)
{
	return t->sender.state == SENDER_SAVED ? text : NULL;
}

HF_API const char *hf_take_id(const struct hf_take *t)
{
	return when_saved(t, t->sender.id);
}

HF_API const char *hf_take_url(const struct hf_take *t)
{
	return when_saved(t, t->sender.url);
}

HF_API const char *hf_take_sha256(const struct hf_take *t)
{
	return when_saved(t, t->sender.saved_sha256);
}

HF_API const char *hf_take_session(const struct hf_take *t)
{
	return t->keep.meta.session_id;
}

HF_API const char *hf_take_code(const struct hf_take *t)
{
	return t->sender.state == SENDER_ABORTED ? "aborted" : t->sender.code;
}

HF_API const char *hf_take_error(const struct hf_take *t)
{
	char *out = ((struct hf_take *)t)->error; /* a cache of text, no state */
	const struct sender *s = &t->sender;
	if (s->state == SENDER_ABORTED)
		return "aborted: The take was given up.";
	snprintf(out, sizeof t->error, "%s%s%s", s->code, *s->code ? ": " : "", s->text);
	return out;
}

HF_API const char *hf_version(void)
{
	return HOLDFAST_VERSION;
}

HF_API const char *hf_strerror(int error)
{
	static _Thread_local char text[128];
	switch (error) {
	case -EBUSY:
		return "another process is at work on this take";
	case -EEXIST:
		return "there is an unfinished take of this name; resume it";
	case -ESTALE:
		return "the file is not any more what it was when its take began";
	case -EBADMSG:
		return "what is kept of the take is damaged";
	default:
		return strerror_r(error < 0 ? -error : error, text, sizeof text);
	}
}
