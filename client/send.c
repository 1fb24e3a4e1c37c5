/* `holdfast send`, see send.h: files and standard input, several at a time, in one thread. */
#include "send.h"

#include "batch.h"
#include "take.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
	TURN_MS = 100, /* signals and the display are looked at so often */
	ASK_MS = 10 * 1000,
	ASK_AGAIN_MS = 2000,
};

static volatile sig_atomic_t interrupts, terminated;

static void on_signal(int number)
{
	if (number == SIGINT)
		interrupts++;
	else
		terminated = 1;
}

static bool asked_to_leave(const struct send *s)
{
	return terminated || interrupts > 1 || (interrupts > 0 && !s->input.wanted);
}

void send_fail(struct send *s, const char *label, const char *why)
{
	char *line = NULL;
	progress_failed(&s->show, label, why);
	s->failed = true;
	s->totals.failed++;
	char **grown = realloc(s->failures, (s->failure_count + 2) * sizeof *grown);
	if (!grown)
		return;
	s->failures = grown;
	if (asprintf(&line, "%s: %s", label, why) >= 0)
		grown[s->failure_count++] = line;
	grown[s->failure_count] = NULL;
}

struct hf_options send_take_options(const struct send *s)
{
	return (struct hf_options){ .url = s->options.to.text,
				    .spool_dir = s->options.spool,
				    .token = s->options.token,
				    .ca_file = s->options.ca_file };
}

/* Is it a tus server? Nothing can be sent before it has told. */
static void ask_server(struct send *s)
{
	struct tus_options o = { .url = s->options.address,
				 .token = s->options.token,
				 .ca_file = s->options.ca_file,
				 .spool_dir = s->options.spool,
				 .chunk_bytes = s->options.tus_chunk };
	enum tus_ask answer = s->options.protocol == SEND_TUS ? TUS_ASK_YES : TUS_ASK_SILENT;
	const char *why = NULL;
	int result = tus_server_new(&o, &s->tus);
	if (result != 0)
		send_fail(s, s->options.address, hf_strerror(result));
	for (bool told = false; result == 0 && answer == TUS_ASK_SILENT && !asked_to_leave(s); told = true) {
		if (told)
			tus_server_run(s->tus, ASK_AGAIN_MS);
		answer = tus_server_ask(s->tus, ASK_MS, &why);
		if (answer == TUS_ASK_SILENT && !told)
			progress_note(&s->show, "%s does not answer yet (%s); it is asked again", s->options.address,
				      why);
	}
	if (answer == TUS_ASK_IN_VAIN || (answer == TUS_ASK_SILENT && result == 0))
		send_fail(s, s->options.address, answer == TUS_ASK_IN_VAIN ? why : "interrupted before it answered");
	if (answer == TUS_ASK_NO) {
		tus_server_free(s->tus);
		s->tus = NULL;
	}
}

/* Is there something to do or to wait for? */
static bool goes_on(const struct send *s, bool more)
{
	bool input_open = s->input.wanted && !s->input.ended;
	return !asked_to_leave(s) && (more || s->job_count > 0 || input_open);
}

static void send_all(struct send *s)
{
	if (s->options.protocol != SEND_HOLDFAST)
		ask_server(s);
	if (asked_to_leave(s) || s->failed)
		return;
	batch_collect(s);
	progress_begin(&s->show, s->totals.files, take_now_ms());
	bool more = true;
	while (goes_on(s, more && !s->refused)) {
		more = batch_begin(s);
		if (s->job_count == 0 && !s->input.wanted)
			continue;
		batch_run(s, input_fd(s), TURN_MS);
		uint64_t now_ms = take_now_ms();
		input_turn(s, interrupts > 0, now_ms);
		batch_show(s, now_ms);
	}
	if (s->input.wanted && !s->input.take && !s->input.failed)
		send_fail(s, "standard input", "interrupted before anything came");
	batch_leave(s);
	progress_summary(&s->show, &s->totals, (const char *const *)s->failures, take_now_ms());
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

int send_main(int argc, char **argv)
{
	static struct send s; /* large */
	int status = send_options_parse(&s.options, argc, argv);
	s.sent.fd = -1;
	if (status == SEND_GO) {
		for (int i = 0; i < s.options.input_count; i++)
			s.input.wanted |= strcmp(s.options.inputs[i], "-") == 0;
		catch_signals();
		progress_init(&s.show, s.options.json, s.options.quiet);
		send_all(&s);
		status = s.failed ? 1 : 0;
	}
	batch_release(&s);
	send_options_release(&s.options);
	return status;
}
