/* libholdfast: joins the spool (keep), the digest (hash), the protocol (sender) and the connection (link) into a take.
 *
 * Bytes are appended to the spool before the sender hears of them, and given up in the spool only after the sender
 * heard their ack and a durable meta.json says so. */
#include "take.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
	HASH_STEP_BYTES = 1024 * 1024, /* hashed in one turn of the loop when the digest is behind */
	TIDY_MS = 2000,		       /* how often the spool is synced and shortened … */
	TIDY_BYTES = 64 * 1024 * 1024, /* … or after so many bytes */
	PAGE = 4096,
};

uint64_t take_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Trouble on this device: the take can't go on, what it has is kept. */
static void fail_local(struct hf_take *t, const char *what, int error)
{
	char text[WIRE_TEXT];
	if (error == -ESTALE) {
		sender_fail(&t->sender, "source_changed", "The file was changed while it was sent.");
		return;
	}
	snprintf(text, sizeof text, "%s: %s", what, hf_strerror(error));
	sender_fail(&t->sender, "local_storage", text);
}

/* A digest that is complete, or can never be, is all that `end` waits for. */
static void hash_settle(struct hf_take *t)
{
	char digest[65] = "";
	if (!t->sender.ended || t->sender.hash_ready)
		return;
	if (!t->hash.lost && t->hash.position < t->keep.bytes)
		return;
	int result = keep_check_source(&t->keep);
	if (result != 0) {
		fail_local(t, "source", result);
		return;
	}
	if (!t->hash.lost)
		hash_digest(&t->hash, digest);
	sender_hashed(&t->sender, digest);
}

/* Is the digest behind? It goes along with what is written or sent; after a resume it has to read up. */
static bool hash_behind(const struct hf_take *t)
{
	uint64_t target = t->keep.meta.source_path ? t->sender.sent : t->keep.bytes;
	return !t->hash.lost && t->hash.position < target && !sender_done(&t->sender);
}

static void hash_step(struct hf_take *t)
{
	size_t len;
	if (!hash_behind(t))
		return;
	int result = keep_read(&t->keep, t->buffer, HASH_STEP_BYTES, t->hash.position, &len);
	if (result == 0 && len == 0)
		result = t->keep.meta.source_path ? -ESTALE : -EIO;
	if (result == 0)
		hash_feed(&t->hash, t->buffer, len);
	else
		fail_local(t, "reading the spool", result);
}

/* Syncs the copy now and then, and gives up what the server has. */
static void tidy(struct hf_take *t, uint64_t now_ms)
{
	char state[HASH_STATE_HEX];
	if (t->keep.meta.source_path || sender_done(&t->sender))
		return;
	if (now_ms - t->tidied_at < TIDY_MS && t->keep.bytes - t->keep.meta.synced < TIDY_BYTES)
		return;
	t->tidied_at = now_ms;
	const struct hash_mark *mark = t->hash.lost ? NULL : hash_mark_below(&t->hash, t->sender.acked);
	uint64_t low = t->hash.lost ? t->sender.acked / PAGE * PAGE : mark ? mark->position : 0;
	int result = 0;
	if (low > t->keep.meta.low) {
		if (mark)
			hash_state_format(mark, state);
		result = keep_forget(&t->keep, low, mark ? state : NULL);
		if (result == 0)
			sender_released(&t->sender, low);
	} else if (t->keep.bytes > t->keep.meta.synced) {
		result = keep_persist(&t->keep);
	}
	if (result != 0)
		fail_local(t, "writing the spool", result);
}

static void on_up(void *arg)
{
	struct hf_take *t = arg;
	sender_link_up(&t->sender, take_now_ms());
}

static void on_lost(void *arg, const char *why, int http_status)
{
	struct hf_take *t = arg;
	sender_link_lost(&t->sender, why, http_status, take_now_ms());
}

static void on_received(void *arg)
{
	struct hf_take *t = arg;
	sender_received(&t->sender, take_now_ms());
}

static void on_text(void *arg, const char *text, size_t len)
{
	struct hf_take *t = arg;
	struct wire_message m;
	if (!wire_parse(text, len, &m))
		return; /* nothing that we know how to answer */
	sender_message(&t->sender, &m, take_now_ms());
	if (!t->sender.adopted)
		return;
	t->sender.adopted = false;
	t->hash.lost = true;
	int result = keep_skip_to(&t->keep, t->sender.written);
	if (result != 0)
		fail_local(t, "writing the spool", result);
	else if (!sender_done(&t->sender))
		sender_released(&t->sender, t->keep.meta.low);
}

static bool fill_bytes(struct hf_take *t, const struct sender_out *next, char *out, size_t *len)
{
	int result = keep_read(&t->keep, out, next->len, next->offset, len);
	if (result == 0 && *len < next->len)
		result = t->keep.meta.source_path ? -ESTALE : -EIO;
	if (result != 0) {
		fail_local(t, "reading the spool", result);
		return false;
	}
	if (next->offset == t->hash.position && !t->hash.lost)
		hash_feed(&t->hash, out, *len);
	return true;
}

/* Nothing is sent from a file that is not any more what it was. */
static bool fill(void *arg, char *out, size_t size, size_t *len, bool *is_text)
{
	struct hf_take *t = arg;
	const struct keep_meta *m = &t->keep.meta;
	struct wire_start start = { m->session_id,   m->name,  m->mime,
				    m->ext,	     m->track, t->sender.low,
				    t->sender.begun, t->token, (const char *const *)t->tracks };
	struct sender_out next = sender_out(&t->sender);
	char *text = NULL;
	*is_text = next.type != SENDER_OUT_BYTES;
	switch (next.type) {
	case SENDER_OUT_NONE:
		return false;
	case SENDER_OUT_BYTES:
		return fill_bytes(t, &next, out, len);
	case SENDER_OUT_START:
		text = wire_format_start(&start);
		break;
	case SENDER_OUT_END:
		text = wire_format_end(t->sender.written, *t->sender.sha256 ? t->sender.sha256 : NULL);
		break;
	case SENDER_OUT_ABORT:
		text = wire_format_abort(t->abort_reason);
		break;
	}
	*len = text ? strlen(text) : 0;
	bool ok = text && *len <= size;
	if (ok)
		memcpy(out, text, *len);
	else
		sender_fail(&t->sender, "local",
			    "The message could not be made: no memory, or a text that is no UTF-8.");
	free(text);
	return ok;
}

/* What the machine wants of the link; looked at again after each event. */
static void drive_link(struct hf_take *t, uint64_t now_ms)
{
	switch (sender_link(&t->sender, now_ms)) {
	case SENDER_LINK_CONNECT:
		link_connect(t->link);
		break;
	case SENDER_LINK_CLOSE:
		/* when all is saved, link_free takes leave */
		if (t->sender.state != SENDER_SAVED)
			link_close(t->link);
		break;
	case SENDER_LINK_KEEP:
		break;
	}
	if (sender_wants_out(&t->sender))
		link_want_write(t->link);
}

int take_wait_ms(const struct hf_take *t, uint64_t now_ms, uint64_t deadline)
{
	uint64_t wake = sender_next_wake(&t->sender);
	if (hash_behind(t) || sender_done(&t->sender))
		return 0;
	if (!t->keep.meta.source_path && wake > t->tidied_at + TIDY_MS)
		wake = t->tidied_at + TIDY_MS;
	if (wake > deadline)
		wake = deadline;
	return wake > now_ms ? (int)(wake - now_ms) : 0;
}

/* Another token, address or server mends it: the take goes on then, and is not given up. */
static bool is_mendable(const char *code)
{
	static const char *const codes[] = { "refused",		"unauthorized",	    "token_expired", "token_revoked",
					     "forbidden_scope", "forbidden_origin", "wrong_host",    "quota_exceeded" };
	for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (strcmp(code, codes[i]) == 0)
			return true;
	return false;
}

/* An end that going on can't change is written down, so that the next run does not try in vain. */
static void note_failure(struct hf_take *t)
{
	if (t->sender.state == SENDER_FAILED && !t->keep.meta.failed && !is_mendable(t->sender.code))
		keep_give_up(&t->keep, hf_take_error(t));
}

static void report(struct hf_take *t)
{
	struct hf_progress now;
	if (t->sender.sent > t->most_sent)
		t->most_sent = t->sender.sent;
	hf_take_progress(t, &now);
	const struct hf_progress *then = &t->reported;
	if (!t->progress || (t->has_reported && now.state == then->state && now.bytes_read == then->bytes_read &&
			     now.bytes_safe == then->bytes_safe && now.bytes_total == then->bytes_total &&
			     now.reconnects == then->reconnects))
		return;
	t->reported = now;
	t->has_reported = true;
	t->progress(t->arg, &now);
}

void take_step(struct hf_take *t, uint64_t now_ms)
{
	hash_step(t);
	hash_settle(t);
	tidy(t, now_ms);
	drive_link(t, now_ms);
}

bool take_look(struct hf_take *t)
{
	report(t);
	if (!sender_done(&t->sender))
		return false;
	drive_link(t, take_now_ms());
	note_failure(t);
	return true;
}

HF_API int hf_take_write(struct hf_take *t, const void *data, size_t len)
{
	if (t->keep.meta.source_path || t->sender.ended)
		return -EINVAL;
	uint64_t before = t->keep.bytes;
	int result = keep_append(&t->keep, data, len);
	if (result != 0)
		return result;
	if (t->hash.position == before && !t->hash.lost)
		hash_feed(&t->hash, data, len);
	sender_written(&t->sender, t->keep.bytes);
	return 0;
}

HF_API int hf_take_end(struct hf_take *t)
{
	if (t->sender.ended)
		return 0;
	/* of a tail that was lost with the power only the server knows the length: it stays open here */
	if (!t->sender.may_adopt) {
		t->keep.meta.ended = true;
		t->keep.meta.total = t->keep.bytes;
		int result = keep_persist(&t->keep);
		if (result != 0)
			return result;
	}
	sender_ended(&t->sender);
	return 0;
}

HF_API int hf_take_abort(struct hf_take *t, const char *reason)
{
	if (reason && !(t->abort_reason = strdup(reason)))
		return -ENOMEM;
	sender_abort(&t->sender);
	return 0;
}

/* The connection of a take that needs it no longer, or one of our own. */
static int link_up(struct hf_take *t, const struct hf_options *options)
{
	static const struct link_callbacks callbacks = {
		.up = on_up, .lost = on_lost, .text = on_text, .received = on_received, .fill = fill
	};
	struct link_callbacks mine = callbacks;
	struct hf_take *after = options->after;
	mine.arg = t;
	if (!after || !after->link || after->sender.state != SENDER_SAVED || !link_is_up(after->link) ||
	    strcmp(after->url.text, t->url.text) != 0)
		return link_new(&t->url, options->ca_file, &mine, &t->link);
	t->link = after->link;
	after->link = NULL;
	link_bind(t->link, &mine);
	sender_adopt_link(&t->sender, t->tidied_at);
	return 0;
}

static int set_up(struct hf_take *t, bool begun, const struct hf_options *options)
{
	struct keep_meta *m = &t->keep.meta;
	struct sender_setup setup = {
		.low = m->low,
		.written = t->keep.bytes,
		.max_unacked = options->max_unacked,
		.ended = m->ended,
		.may_adopt = t->keep.rebooted && !m->ended && !m->source_path,
		.begun = begun,
	};
	if (getrandom(&setup.seed, sizeof setup.seed, 0) != sizeof setup.seed)
		setup.seed = take_now_ms();
	hash_init(&t->hash);
	t->hash.lost = m->low > 0 && (!m->hash_state || !hash_state_parse(&t->hash, m->low, m->hash_state));
	t->tidied_at = take_now_ms();
	sender_init(&t->sender, &setup, t->tidied_at);
	t->buffer = malloc(HASH_STEP_BYTES);
	return t->buffer ? link_up(t, options) : -ENOMEM;
}

/* What is no part of the kept take. */
static bool copy_options(struct hf_take *t, const struct hf_options *options)
{
	unsigned count = 0;
	if (options->token && !(t->token = strdup(options->token)))
		return false;
	if (!options->tracks)
		return true;
	while (options->tracks[count])
		count++;
	t->tracks = calloc(count + 1, sizeof *t->tracks);
	bool ok = t->tracks != NULL;
	for (unsigned i = 0; ok && i < count; i++)
		ok = (t->tracks[i] = strdup(options->tracks[i])) != NULL;
	return ok;
}

int take_open(struct hf_take *t, const struct hf_options *options, struct keep_meta *meta)
{
	int result;
	t->progress = options->progress;
	t->arg = options->arg;
	if (!copy_options(t, options))
		return -ENOMEM;
	if (meta)
		result = keep_new(options->spool_dir, meta, &t->keep);
	else
		result = keep_open(options->spool_dir, options->session_id, &t->keep);
	struct keep_meta *m = &t->keep.meta;
	if (result == -ESTALE && !meta)
		keep_give_up(&t->keep, "source_changed: The file was changed after its take had begun.");
	if (result != 0)
		return result;
	if (!url_parse(options->url ? options->url : m->url, &t->url))
		return -EINVAL;
	free(m->url);
	free(m->failed);
	m->failed = NULL;
	m->url = strdup(t->url.text);
	if (!m->url)
		return -ENOMEM;
	return set_up(t, !meta, options);
}

void take_forget(struct hf_take *t)
{
	bool over = t->sender.state == SENDER_SAVED || t->sender.state == SENDER_ABORTED;
	if (!over || t->keep.dir_fd < 0)
		return;
	(void)keep_remove(&t->keep);
	close(t->keep.dir_fd);
	t->keep.dir_fd = -1;
}

HF_API void hf_take_free(struct hf_take *t)
{
	if (!t)
		return;
	link_free(t->link); /* NULL where another take has it */
	take_forget(t);
	keep_close(&t->keep);
	hash_release(&t->hash);
	free(t->buffer);
	free(t->abort_reason);
	free(t->token);
	for (unsigned i = 0; t->tracks && t->tracks[i]; i++)
		free(t->tracks[i]);
	free(t->tracks);
	free(t);
}
