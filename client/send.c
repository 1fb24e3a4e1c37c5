/* `holdfast send`, see send.h: one take after the other over one link at a time. Standard input is read into its take's
 * spool from the beginning, whatever else is being sent meanwhile: what records live does not wait. */
#include "send.h"

#include "guess.h"
#include "progress.h"
#include "send_options.h"
#include "take.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TURN_MS = 100, /* signals and the display are looked at so often */
	INPUT_BYTES = 64 * 1024,
	LAST_BYTES_MS = 2000, /* after Ctrl-C: what writes to us got it too and may still have a trailer to write */
};

static volatile sig_atomic_t interrupts, terminated;

static void on_signal(int number)
{
	if (number == SIGINT)
		interrupts++;
	else
		terminated = 1;
}

/* Standard input on its way into its take. */
struct input {
	bool wanted, eof, ended, failed;
	struct hf_take *take; /* made when the first byte came */
	char buffer[INPUT_BYTES];
	size_t waiting;	       /* bytes in the buffer that the spool had no room for */
	uint64_t last_call_ms; /* when reading ends after Ctrl-C; 0: not asked to */
};

/* What an earlier run left for this server. */
struct leftover {
	char *session, *source, *failed; /* owned; source NULL: from standard input */
	bool done;
};

struct send {
	struct send_options options;
	struct progress show;
	struct input input;
	struct leftover *leftovers;
	unsigned leftover_count;
	bool failed; /* something was not saved */
};

static bool asked_to_leave(const struct send *s)
{
	return terminated || interrupts > 1 || (interrupts > 0 && !s->input.wanted);
}

static void fail(struct send *s, const char *label, const char *why)
{
	progress_failed(&s->show, label, why);
	s->failed = true;
}

static void collect(void *arg, const struct hf_spooled *spooled)
{
	struct send *s = arg;
	if (strcmp(spooled->url, s->options.to.text) != 0)
		return;
	struct leftover *grown = realloc(s->leftovers, (s->leftover_count + 1) * sizeof *grown);
	if (!grown)
		return;
	s->leftovers = grown;
	struct leftover *l = &grown[s->leftover_count++];
	*l = (struct leftover){ .session = strdup(spooled->session_id) };
	l->source = spooled->source_path ? strdup(spooled->source_path) : NULL;
	l->failed = spooled->failed ? strdup(spooled->failed) : NULL;
}

static struct hf_options base_options(const struct send *s)
{
	return (struct hf_options){ .url = s->options.to.text, .spool_dir = s->options.spool };
}

/* The take of standard input begins with its first bytes, which tell what it is. */
static int input_begin(struct send *s)
{
	struct hf_options o = base_options(s);
	struct guess guess = s->options.mime ? guess_from_mime(s->options.mime)
					     : guess_from_bytes(s->input.buffer, s->input.waiting);
	o.session_id = s->options.session;
	o.name = s->options.name;
	o.mime = s->options.mime ? s->options.mime : guess.mime;
	o.ext = guess.ext;
	return hf_take_new(&o, &s->input.take);
}

static bool is_full(int result)
{
	return result == -ENOSPC || result == -EDQUOT;
}

static void input_fail(struct send *s, const char *why)
{
	fail(s, "standard input", why);
	s->input.failed = s->input.ended = true;
}

/* No more comes: the take ends, as soon as the local disk can note it. */
static void input_end(struct send *s)
{
	s->input.eof = true;
	int result = s->input.take ? hf_take_end(s->input.take) : 0;
	if (!s->input.take)
		input_fail(s, "nothing came; nothing was recorded");
	else if (result == 0)
		s->input.ended = true;
	else if (!is_full(result))
		input_fail(s, hf_strerror(result));
}

/* Moves what waits into the spool. A full local disk is waited out: acks make room. */
static void input_store(struct send *s)
{
	struct input *in = &s->input;
	if (in->waiting == 0)
		return;
	int result = in->take ? 0 : input_begin(s);
	if (result == 0)
		result = hf_take_write(in->take, in->buffer, in->waiting);
	if (result == 0)
		in->waiting = 0;
	else if (!is_full(result))
		input_fail(s, hf_strerror(result));
}

static int input_fd(const struct send *s)
{
	const struct input *in = &s->input;
	return in->wanted && !in->eof && !in->ended && in->waiting == 0 ? STDIN_FILENO : -1;
}

static void input_turn(struct send *s, uint64_t now_ms)
{
	struct input *in = &s->input;
	if (!in->wanted || in->ended)
		return;
	input_store(s);
	if (interrupts > 0 && in->last_call_ms == 0)
		in->last_call_ms = now_ms + LAST_BYTES_MS;
	struct pollfd ready = { .fd = input_fd(s), .events = POLLIN };
	if (ready.fd >= 0 && poll(&ready, 1, 0) > 0) {
		ssize_t len = read(STDIN_FILENO, in->buffer, INPUT_BYTES);
		if (len == 0)
			in->eof = true;
		else if (len > 0)
			in->waiting = (size_t)len;
		else if (errno != EINTR && errno != EAGAIN)
			input_fail(s, strerror(errno));
		input_store(s);
	}
	bool last_call = in->last_call_ms && now_ms >= in->last_call_ms;
	if (!in->ended && in->waiting == 0 && (in->eof || last_call))
		input_end(s);
}

/* One turn: the link of `take`, standard input, the display. True when the take has ended. */
static bool turn(struct send *s, struct hf_take *take)
{
	bool ended = hf_take_run(take, input_fd(s), TURN_MS) == HF_RUN_ENDED;
	uint64_t now_ms = take_now_ms();
	input_turn(s, now_ms);
	const char *note = (s->input.waiting || (s->input.eof && !s->input.ended)) && take == s->input.take
				   ? "the local disk is full; reading waits"
				   : NULL;
	progress_bytes(&s->show, take, note, now_ms);
	return ended;
}

static void tell_saved(struct send *s, const struct hf_take *take)
{
	char url[1024];
	const char *path = hf_take_url(take);
	const struct url *to = &s->options.to;
	if (*path == '/')
		snprintf(url, sizeof url, "%s://%s%s", to->tls ? "https" : "http", to->authority, path);
	else
		snprintf(url, sizeof url, "%s", path);
	progress_saved(&s->show, take, url);
}

/* Works on a take until it has ended or we shall leave. */
static void finish(struct send *s, struct hf_take *take, const char *label)
{
	struct hf_progress p;
	progress_begin(&s->show, label);
	while (!asked_to_leave(s) && !(take == s->input.take && s->input.failed) && !turn(s, take))
		;
	hf_take_progress(take, &p);
	if (p.state == HF_SAVED)
		tell_saved(s, take);
	else if (p.state == HF_FAILED)
		fail(s, label, hf_take_error(take));
	else if (asked_to_leave(s))
		fail(s, label, "interrupted; the next run with the same --to goes on with it");
}

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static int resume(struct send *s, const char *session, struct hf_take **out)
{
	struct hf_options o = base_options(s);
	o.session_id = session;
	return hf_take_resume(&o, out);
}

static void finish_leftover(struct send *s, struct leftover *l)
{
	struct hf_take *take;
	const char *label = l->source ? l->source : "an earlier standard input";
	if (l->failed) {
		progress_note(&s->show, "%s was given up by an earlier run (%s); session %s in %s", label, l->failed,
			      l->session, s->options.spool);
		return;
	}
	int result = resume(s, l->session, &take);
	if (result == -EBUSY || result == -ENOENT) /* another process is at work on it, or has just finished it */
		return;
	if (result == 0) {
		result = hf_take_end(take);
		if (result == 0)
			finish(s, take, label);
		hf_take_free(take);
	}
	if (result != 0)
		fail(s, label, hf_strerror(result));
}

static struct leftover *find_leftover(struct send *s, const char *path)
{
	for (unsigned i = 0; i < s->leftover_count; i++) {
		struct leftover *l = &s->leftovers[i];
		bool same = s->options.session ? strcmp(l->session, s->options.session) == 0
					       : l->source && strcmp(l->source, path) == 0;
		if (same && !l->done)
			return l;
	}
	return NULL;
}

/* Goes on with what an earlier run left of this file, or begins. */
static int open_file(struct send *s, const char *path, struct hf_take **out)
{
	char *real = realpath(path, NULL);
	if (!real)
		return -errno;
	struct leftover *l = find_leftover(s, real);
	free(real);
	if (l)
		l->done = true;
	if (l && !l->failed)
		return resume(s, l->session, out);
	if (l)
		(void)hf_spool_discard(s->options.spool, l->session); /* of a file nothing is kept in the spool */
	struct hf_options o = base_options(s);
	struct guess guess = guess_from_name(path);
	o.session_id = s->options.session;
	o.source_path = path;
	o.name = s->options.name ? s->options.name : basename_of(path);
	o.mime = s->options.mime ? s->options.mime : guess.mime;
	o.ext = guess.ext;
	return hf_take_new(&o, out);
}

static void send_file(struct send *s, const char *path)
{
	struct hf_take *take;
	int result = open_file(s, path, &take);
	if (result != 0) {
		fail(s, path, result == -EINVAL ? "not a regular file" : hf_strerror(result));
		return;
	}
	finish(s, take, path);
	hf_take_free(take);
}

static void send_input(struct send *s)
{
	while (!s->input.take && !s->input.ended && !asked_to_leave(s)) {
		struct pollfd ready = { .fd = input_fd(s), .events = POLLIN };
		poll(&ready, 1, TURN_MS);
		input_turn(s, take_now_ms());
	}
	if (s->input.take && !s->input.failed)
		finish(s, s->input.take, "standard input");
	else if (!s->input.failed)
		fail(s, "standard input", "interrupted before anything came");
}

/* Is this leftover one of the files that we were given? Those have their turn. */
static bool is_input(const struct send *s, const struct leftover *l)
{
	for (int i = 0; l->source && !s->options.session && i < s->options.input_count; i++) {
		char *real = realpath(s->options.inputs[i], NULL);
		bool same = real && strcmp(real, l->source) == 0;
		free(real);
		if (same)
			return true;
	}
	return s->options.session && strcmp(s->options.session, l->session) == 0 && !s->input.wanted;
}

static void send_all(struct send *s)
{
	int result = hf_spool_each(s->options.spool, collect, s);
	if (result != 0)
		fail(s, s->options.spool, hf_strerror(result));
	for (unsigned i = 0; i < s->leftover_count && !asked_to_leave(s); i++)
		if (!is_input(s, &s->leftovers[i])) {
			s->leftovers[i].done = true;
			finish_leftover(s, &s->leftovers[i]);
		}
	for (int i = 0; i < s->options.input_count; i++) {
		if (asked_to_leave(s)) {
			fail(s, s->options.inputs[i], "interrupted");
			break;
		}
		if (strcmp(s->options.inputs[i], "-") == 0)
			send_input(s);
		else
			send_file(s, s->options.inputs[i]);
	}
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal }; /* no SA_RESTART: a wait ends */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL); /* who reads our output may go; the recording stays */
}

static void release(struct send *s)
{
	for (unsigned i = 0; i < s->leftover_count; i++) {
		free(s->leftovers[i].session);
		free(s->leftovers[i].source);
		free(s->leftovers[i].failed);
	}
	free(s->leftovers);
	hf_take_free(s->input.take);
	send_options_release(&s->options);
}

int send_main(int argc, char **argv)
{
	static struct send s; /* large */
	int status = send_options_parse(&s.options, argc, argv);
	if (status == SEND_GO) {
		for (int i = 0; i < s.options.input_count; i++)
			s.input.wanted |= strcmp(s.options.inputs[i], "-") == 0;
		catch_signals();
		progress_init(&s.show, s.options.json, s.options.quiet);
		send_all(&s);
		status = s.failed ? 1 : 0;
	}
	release(&s);
	return status;
}
