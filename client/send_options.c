/* The command line of `holdfast send`, see send_options.h. */
#include "send_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2 };

static const char help[] =
	"Usage: holdfast send --to=URL [OPTION]... [FILE]...\n"
	"Sends recordings to a Holdfast server so that no byte is lost: what the server has not yet\n"
	"acknowledged is kept on this device, dropped links are taken up again, and what an earlier run\n"
	"left unfinished is finished first. With FILE -, sends standard input; without a FILE, only\n"
	"what an earlier run left.\n"
	"\n"
	"  --to=URL                   the server: http://HOST:PORT, https, ws or wss (or HOLDFAST_TO)\n"
	"  --name=NAME                the recording's title (default: the file's name)\n"
	"  --mime=TYPE                its media type (default: guessed)\n"
	"  --session=ID               the take's own name (default: a random one)\n"
	"  --spool=DIR                where unsent bytes wait (default: $XDG_STATE_HOME/holdfast or\n"
	"                             ~/.local/state/holdfast)\n"
	"  --json                     tell what happens as JSON, one object a line\n"
	"  --quiet                    no progress\n"
	"  --help                     display this help and exit\n"
	"  --version                  output version information and exit\n"
	"\n"
	"Interrupted once (Ctrl-C), standard input ends there and what was read is finished; interrupted\n"
	"twice, or while sending files, what is left waits for the next run.\n"
	"Exit status: 0 when all is saved, 1 when not, 2 for a wrong command line.\n";

static int wrong(const char *sentence, const char *value)
{
	fprintf(stderr, "holdfast: %s%s%s%s\nTry 'holdfast send --help' for more information.\n", sentence,
		value ? " '" : "", value ? value : "", value ? "'" : "");
	return EXIT_USAGE;
}

static char *default_spool(void)
{
	char *out = NULL;
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int len = -1;
	if (state && *state == '/') /* the specification has relative ones ignored */
		len = asprintf(&out, "%s/holdfast", state);
	else if (home && *home)
		len = asprintf(&out, "%s/.local/state/holdfast", home);
	return len > 0 ? out : NULL;
}

/* What getopt_long found; `to` is judged when all is read. */
static int read_arguments(struct send_options *out, const char **to, int argc, char **argv)
{
	enum { TO = 1, NAME, MIME, SESSION, SPOOL, JSON, QUIET, HELP, VERSION };
	static const struct option options[] = {
		{ "to", required_argument, NULL, TO },	     { "name", required_argument, NULL, NAME },
		{ "mime", required_argument, NULL, MIME },   { "session", required_argument, NULL, SESSION },
		{ "spool", required_argument, NULL, SPOOL }, { "json", no_argument, NULL, JSON },
		{ "quiet", no_argument, NULL, QUIET },	     { "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION },   { 0 },
	};
	static char program[] = "holdfast";
	argv[0] = program;
	optind = 0;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (option) {
		case TO:
			*to = optarg;
			break;
		case NAME:
			out->name = optarg;
			break;
		case MIME:
			out->mime = optarg;
			break;
		case SESSION:
			out->session = optarg;
			break;
		case SPOOL:
			free(out->spool);
			out->spool = strdup(optarg);
			break;
		case JSON:
			out->json = true;
			break;
		case QUIET:
			out->quiet = true;
			break;
		case HELP:
			fputs(help, stdout);
			return 0;
		case VERSION:
			printf("holdfast %s\n", HOLDFAST_VERSION);
			return 0;
		default:
			fputs("Try 'holdfast send --help' for more information.\n", stderr); /* getopt said what */
			return EXIT_USAGE;
		}
	}
	out->inputs = argv + optind;
	out->input_count = argc - optind;
	return SEND_GO;
}

static int judge(struct send_options *out, const char *to)
{
	int standard_inputs = 0;
	for (int i = 0; i < out->input_count; i++)
		standard_inputs += strcmp(out->inputs[i], "-") == 0;
	if (!to)
		to = getenv("HOLDFAST_TO");
	if (!to || !*to)
		return wrong("--to is missing: it names the server", NULL);
	if (!url_parse(to, &out->to))
		return wrong("not an address like http://127.0.0.1:8480:", to);
	if (standard_inputs > 1)
		return wrong("standard input can be sent once only", NULL);
	if (out->session && (out->input_count != 1 || !*out->session))
		return wrong("--session names one take: it needs exactly one FILE", NULL);
	if (out->name && out->input_count > 1)
		return wrong("--name names one recording: it needs one FILE at most", NULL);
	if (!out->spool && !(out->spool = default_spool()))
		return wrong("--spool is missing, and neither XDG_STATE_HOME nor HOME is set", NULL);
	return SEND_GO;
}

int send_options_parse(struct send_options *out, int argc, char **argv)
{
	const char *to = NULL;
	*out = (struct send_options){ 0 };
	int status = read_arguments(out, &to, argc, argv);
	return status == SEND_GO ? judge(out, to) : status;
}

void send_options_release(struct send_options *o)
{
	free(o->spool);
	o->spool = NULL;
}
