/* The command line of `holdfast send`, see send_options.h. */
#include "send_options.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { EXIT_USAGE = 2 };

enum { JOBS = 4, TOKEN_BYTES = 4096 };

static const char help[] =
	"Usage: holdfast send --to=URL [OPTION]... [FILE]...\n"
	"  or:  holdfast send URL [OPTION]... FILE...\n"
	"Sends recordings to a Holdfast server, or to any tus server, so that no byte is lost: what the\n"
	"server has not yet acknowledged is kept on this device, dropped links are taken up again, and\n"
	"what an earlier run left unfinished is finished first. With FILE -, sends standard input; without\n"
	"a FILE, only what an earlier run left. A FILE that is a folder stands for all files in it and\n"
	"below, named relative to it; hidden files and symbolic links in it are left out.\n"
	"\n"
	"The same command again sends nothing twice: a file that is safe on this server already, and has not\n"
	"changed since, is skipped. A file that can't be read, or that changes while it is sent, is told,\n"
	"and the others go on.\n"
	"\n"
	"  --to=URL                   the server: http://HOST:PORT, https, ws or wss (or HOLDFAST_TO); one\n"
	"                             with a path is asked whether it speaks tus\n"
	"  --jobs=N                   so many files at a time (default: 4, at most 64)\n"
	"  --name=NAME                the recording's title (default: the file's name)\n"
	"  --mime=TYPE                its media type (default: guessed)\n"
	"  --session=ID               the take's own name (default: a random one)\n"
	"  --hidden                   send hidden files in folders, too\n"
	"  --again                    send what is safe already once more\n"
	"  --token-file=FILE          the token that the server wants is in FILE (or in HOLDFAST_TOKEN)\n"
	"  --token=TOKEN              the token itself; others on this machine may see it\n"
	"  --ca=FILE                  PEM: certificate authorities to trust beside the system's\n"
	"  --tus, --no-tus            the server speaks tus, or does not: don't ask\n"
	"  --tus-chunk=BYTES          for tus servers that want it: at most so many bytes a request (K, M, G)\n"
	"  --spool=DIR                where unsent bytes wait, and what is safe is noted (default:\n"
	"                             $XDG_STATE_HOME/holdfast or ~/.local/state/holdfast)\n"
	"  --json                     tell what happens as JSON, one object a line\n"
	"  --quiet                    tell only what failed\n"
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

/* "8M": K, M and G are 1024's powers. 0: it does not read as one. */
static uint64_t size_parse(const char *text)
{
	char *end;
	if (*text < '0' || *text > '9')
		return 0;
	unsigned long long value = strtoull(text, &end, 10);
	const char *const units = "KMG", *unit = *end ? strchr(units, *end) : NULL;
	if (*end && (!unit || end[1]))
		return 0;
	for (long i = 0; unit && i <= unit - units; i++)
		value = value > UINT64_MAX / 1024 ? 0 : value * 1024;
	return value;
}

static bool token_read(struct send_options *out, const char *path)
{
	char text[TOKEN_BYTES];
	FILE *file = fopen(path, "re");
	size_t len = file ? fread(text, 1, sizeof text, file) : 0;
	if (file)
		fclose(file);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		len--;
	free(out->token);
	out->token = len > 0 && len < sizeof text ? strndup(text, len) : NULL;
	return out->token != NULL;
}

/* Each option: a text or a flag that is stored as it comes, or one that needs a look (`what`). */
enum what { TEXT, FLAG, TO, SPOOL, JOBS_AT_ONCE, TOKEN, TOKEN_FILE, PROTOCOL, TUS_CHUNK, HELP, VERSION };

#define AT(member) offsetof(struct send_options, member)

static const struct {
	const char *name;
	enum what what;
	size_t at; /* TEXT, FLAG: in struct send_options; PROTOCOL: which */
} known[] = {
	{ "to", TO, 0 },
	{ "name", TEXT, AT(name) },
	{ "mime", TEXT, AT(mime) },
	{ "session", TEXT, AT(session) },
	{ "spool", SPOOL, 0 },
	{ "jobs", JOBS_AT_ONCE, 0 },
	{ "hidden", FLAG, AT(hidden) },
	{ "again", FLAG, AT(again) },
	{ "token", TOKEN, 0 },
	{ "token-file", TOKEN_FILE, 0 },
	{ "ca", TEXT, AT(ca_file) },
	{ "tus", PROTOCOL, SEND_TUS },
	{ "no-tus", PROTOCOL, SEND_HOLDFAST },
	{ "tus-chunk", TUS_CHUNK, 0 },
	{ "json", FLAG, AT(json) },
	{ "quiet", FLAG, AT(quiet) },
	{ "help", HELP, 0 },
	{ "version", VERSION, 0 },
};

enum { KNOWN = sizeof known / sizeof known[0] };

static bool has_value(enum what what)
{
	return what != FLAG && what != PROTOCOL && what != HELP && what != VERSION;
}

static bool replace(char **text, const char *by)
{
	free(*text);
	*text = strdup(by);
	return *text != NULL;
}

/* SEND_GO, or the exit status. */
static int take_option(struct send_options *out, unsigned index, const char **to)
{
	uint64_t size;
	switch (known[index].what) {
	case TEXT:
		*(const char **)(void *)((char *)out + known[index].at) = optarg;
		return SEND_GO;
	case FLAG:
		*(bool *)(void *)((char *)out + known[index].at) = true;
		return SEND_GO;
	case TO:
		*to = optarg;
		return SEND_GO;
	case SPOOL:
		return replace(&out->spool, optarg) ? SEND_GO : 1;
	case JOBS_AT_ONCE:
		size = size_parse(optarg);
		out->jobs = size <= SEND_JOBS_MAX ? (unsigned)size : 0;
		return out->jobs > 0 ? SEND_GO : wrong("--jobs is a number from 1 to 64, not", optarg);
	case TOKEN:
		return replace(&out->token, optarg) ? SEND_GO : 1;
	case TOKEN_FILE:
		return token_read(out, optarg) ? SEND_GO : wrong("no token can be read from", optarg);
	case PROTOCOL:
		out->protocol = known[index].at;
		return SEND_GO;
	case TUS_CHUNK:
		out->tus_chunk = size_parse(optarg);
		return out->tus_chunk > 0 ? SEND_GO : wrong("--tus-chunk is a number of bytes like 8M, not", optarg);
	case HELP:
		fputs(help, stdout);
		return 0;
	case VERSION:
		printf("holdfast %s\n", HOLDFAST_VERSION);
		return 0;
	}
	return EXIT_USAGE;
}

/* `to` is judged when all is read. */
static int read_arguments(struct send_options *out, const char **to, int argc, char **argv)
{
	static char program[] = "holdfast";
	struct option options[KNOWN + 1] = { 0 };
	for (unsigned i = 0; i < KNOWN; i++)
		options[i] = (struct option){ known[i].name, has_value(known[i].what), NULL, (int)i + 1 };
	argv[0] = program;
	optind = 0;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (option < 1 || option > KNOWN) {
			fputs("Try 'holdfast send --help' for more information.\n", stderr); /* getopt said what */
			return EXIT_USAGE;
		}
		int status = take_option(out, (unsigned)option - 1, to);
		if (status != SEND_GO)
			return status;
	}
	out->inputs = argv + optind;
	out->input_count = argc - optind;
	return SEND_GO;
}

static bool is_url(const char *text)
{
	const char *scheme_end = strstr(text, "://");
	return scheme_end && (strncasecmp(text, "http", 4) == 0 || strncasecmp(text, "ws", 2) == 0) &&
	       scheme_end - text <= 5;
}

/* --to, or the first FILE that is none, or the environment. */
static const char *find_server(struct send_options *out, const char *to)
{
	if (!to && out->input_count > 0 && is_url(out->inputs[0])) {
		out->input_count--;
		return *out->inputs++;
	}
	return to ? to : getenv("HOLDFAST_TO");
}

/* A server that has no path, or one of a WebSocket, is Holdfast's. */
static void judge_protocol(struct send_options *out)
{
	const char *authority = strstr(out->address, "://");
	const char *path = authority ? strchr(authority + 3, '/') : NULL;
	bool has_path = path && path[strspn(path, "/")] != '\0';
	if (out->protocol == SEND_ASK && (!has_path || strncasecmp(out->address, "ws", 2) == 0))
		out->protocol = SEND_HOLDFAST;
}

static int judge(struct send_options *out, const char *to)
{
	int standard_inputs = 0;
	to = find_server(out, to);
	for (int i = 0; i < out->input_count; i++)
		standard_inputs += strcmp(out->inputs[i], "-") == 0;
	if (!to || !*to)
		return wrong("--to is missing: it names the server", NULL);
	if (!url_parse(to, &out->to))
		return wrong("not an address like http://127.0.0.1:8480:", to);
	out->address = to;
	judge_protocol(out);
	if (standard_inputs > 1)
		return wrong("standard input can be sent once only", NULL);
	if (standard_inputs == 1 && out->protocol == SEND_TUS)
		return wrong("standard input can't be sent by tus", NULL);
	if (standard_inputs == 1)
		out->protocol = SEND_HOLDFAST;
	if (out->session && (out->input_count != 1 || !*out->session || out->protocol == SEND_TUS))
		return wrong("--session names one take: it needs exactly one FILE, and no tus", NULL);
	if (out->name && out->input_count > 1)
		return wrong("--name names one recording: it needs one FILE at most", NULL);
	if (!out->spool && !(out->spool = default_spool()))
		return wrong("--spool is missing, and neither XDG_STATE_HOME nor HOME is set", NULL);
	return SEND_GO;
}

int send_options_parse(struct send_options *out, int argc, char **argv)
{
	const char *to = NULL, *token = getenv("HOLDFAST_TOKEN");
	*out = (struct send_options){ .jobs = JOBS };
	if (token && *token)
		out->token = strdup(token);
	int status = read_arguments(out, &to, argc, argv);
	return status == SEND_GO ? judge(out, to) : status;
}

void send_options_release(struct send_options *o)
{
	free(o->spool);
	free(o->token);
	o->spool = o->token = NULL;
}
