/* Standard input of `holdfast send`, see batch.h: read into its take's spool from the beginning, whatever else is being
 * sent meanwhile: what records live does not wait. */
#include "batch.h"

#include "guess.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { LAST_BYTES_MS = 2000 }; /* after Ctrl-C: what writes to us got it too and may still have a trailer to write */

/* The take of standard input begins with its first bytes, which tell what it is. */
static int input_begin(struct send *s)
{
	struct hf_options o = send_take_options(s);
	struct guess guess = s->options.mime ? guess_from_mime(s->options.mime)
					     : guess_from_bytes(s->input.buffer, s->input.waiting);
	o.session_id = s->options.session;
	o.name = s->options.name;
	o.mime = s->options.mime ? s->options.mime : guess.mime;
	o.ext = guess.ext;
	int result = hf_take_new(&o, &s->input.take);
	if (result == 0)
		batch_add_input(s);
	return result;
}

static bool is_full(int result)
{
	return result == -ENOSPC || result == -EDQUOT;
}

static void input_fail(struct send *s, const char *why)
{
	send_fail(s, "standard input", why);
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

int input_fd(const struct send *s)
{
	const struct input *in = &s->input;
	return in->wanted && !in->eof && !in->ended && in->waiting == 0 ? STDIN_FILENO : -1;
}

const char *input_note(const struct send *s)
{
	return s->input.waiting || (s->input.eof && !s->input.ended) ? "the local disk is full; reading waits" : NULL;
}

void input_turn(struct send *s, bool interrupted, uint64_t now_ms)
{
	struct input *in = &s->input;
	if (!in->wanted || in->ended)
		return;
	input_store(s);
	if (interrupted && in->last_call_ms == 0)
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
