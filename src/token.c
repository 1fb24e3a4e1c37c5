/* `holdfast token`, see token.h. */
#include "token.h"

#include "config/config.h"
#include "config/config_value.h"
#include "control_client.h"
#include "token_requests.h"
#include "tokens.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, FORWARDED_MAX = 8 };

static const char help[] =
	"Usage: holdfast token COMMAND --data=DIR [OPTION]...\n"
	"Makes, lists and revokes tokens. A token says what its holder may do; it is shown once.\n"
	"\n"
	"  mint         make a token and print it\n"
	"  list         the tokens that were made\n"
	"  revoke ID... these count no longer; what works under them is cut off\n"
	"  rotate       sign with a new key; tokens of the key before the last one are void\n"
	"  pair         print a pairing token, good once, for ten minutes (needs a running server)\n"
	"  forget NAME...  what --auth-url said of these subjects (--all: of everybody) is asked again, and what\n"
	"               works under it is cut off (needs a running server)\n"
	"\n"
	"  --data=DIR                   the data directory (required)\n"
	"  --config=FILE                read options from an ini file\n"
	"  --json                       print JSON, one object a line\n"
	"  --all                        forget: everybody\n"
	"  --help                       display this help and exit\n"
	"  --version                    output version information and exit\n"
	"\n"
	"mint:\n"
	"  --scope=SCOPE[,...]          record, play, listen, import, admin (required)\n"
	"  --subject=NAME               who it is for: his recordings are found by it (a new one)\n"
	"  --recording=ID               only this recording\n"
	"  --max-bytes=SIZE             a take may not be larger\n"
	"  --expires=TIME               how long it is good (90d)\n"
	"  --device=TEXT                a note for the list\n"
	"\n"
	"A TIME is a number and ms, s, m, h or d; a SIZE a number and K, M, G or T (powers of 1024).\n";

struct command {
	struct config config;
	const char *verb;
	char **ids; /* of revoke; of forget the subjects */
	int id_count;
	const char *forwarded[FORWARDED_MAX]; /* options that config.c reads */
	int forwarded_count;
	json_t *scopes;
	const char *subject, *recording, *max_bytes, *expires, *device;
	bool mint_option, all;
	struct control_client *server; /* or: */
	struct vfs *vfs;
	struct tokens tokens;
	json_t *answer; /* of ask, without a server */
};

static int wrong(const char *sentence, const char *value)
{
	fprintf(stderr, "holdfast: %s%s%s\n", sentence, value ? " " : "", value ? value : "");
	config_try_help("token");
	return EXIT_USAGE;
}

/* --- the command line --- */

static void scopes_add(struct command *c, const char *list)
{
	if (!c->scopes)
		c->scopes = json_array();
	for (;;) {
		size_t len = strcspn(list, ",");
		json_array_append_new(c->scopes, json_stringn(list, len));
		if (list[len] == '\0')
			return;
		list += len + 1;
	}
}

enum {
	OPT_DATA,
	OPT_CONFIG,
	OPT_JSON,
	OPT_HELP,
	OPT_VERSION,
	OPT_ALL,
	OPT_SCOPE,
	OPT_SUBJECT,
	OPT_RECORDING,
	OPT_MAX,
	OPT_EXPIRES,
	OPT_DEVICE
};

static const struct option options[] = {
	{ "data", required_argument, NULL, OPT_DATA },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "all", no_argument, NULL, OPT_ALL },
	{ "scope", required_argument, NULL, OPT_SCOPE },
	{ "subject", required_argument, NULL, OPT_SUBJECT },
	{ "recording", required_argument, NULL, OPT_RECORDING },
	{ "max-bytes", required_argument, NULL, OPT_MAX },
	{ "expires", required_argument, NULL, OPT_EXPIRES },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ 0 },
};

/* An option that config.c reads, with all its rules. */
static void forward(struct command *c, const char *name, const char *value)
{
	if (c->forwarded_count + 2 > FORWARDED_MAX)
		return; /* given again and again: the first ones count as well as the last ones */
	c->forwarded[c->forwarded_count++] = name;
	if (value)
		c->forwarded[c->forwarded_count++] = value;
}

static void option_take(struct command *c, int option)
{
	const char **texts[] = { [OPT_SUBJECT] = &c->subject,
				 [OPT_RECORDING] = &c->recording,
				 [OPT_MAX] = &c->max_bytes,
				 [OPT_EXPIRES] = &c->expires,
				 [OPT_DEVICE] = &c->device };
	c->mint_option |= option >= OPT_SCOPE;
	if (option == OPT_DATA)
		forward(c, "--data", optarg);
	else if (option == OPT_CONFIG)
		forward(c, "--config", optarg);
	else if (option == OPT_JSON)
		forward(c, "--json", NULL);
	else if (option == OPT_ALL)
		c->all = true;
	else if (option == OPT_SCOPE)
		scopes_add(c, optarg);
	else
		*texts[option] = optarg;
}

static int read_arguments(struct command *c, int argc, char **argv)
{
	static char program[] = "holdfast";
	argv[0] = program;
	optind = 0;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (option == OPT_HELP || option == OPT_VERSION) {
			fputs(option == OPT_HELP ? help : "holdfast " HOLDFAST_VERSION "\n", stdout);
			return 0;
		}
		if (option == '?') {
			config_try_help("token");
			return EXIT_USAGE;
		}
		option_take(c, option);
	}
	if (optind == argc)
		return wrong("a command is missing: mint, list, revoke, rotate, pair or forget", NULL);
	c->verb = argv[optind++];
	c->ids = argv + optind;
	c->id_count = argc - optind;
	return CONFIG_GO;
}

static int judge(struct command *c)
{
	static const char *const verbs[] = { "mint", "list", "revoke", "rotate", "pair", "forget" };
	bool known = false, forgets = strcmp(c->verb, "forget") == 0;
	for (unsigned i = 0; i < sizeof verbs / sizeof *verbs; i++)
		known |= strcmp(c->verb, verbs[i]) == 0;
	bool revokes = strcmp(c->verb, "revoke") == 0, mints = strcmp(c->verb, "mint") == 0;
	if (!known)
		return wrong("unknown command", c->verb);
	if (revokes && c->id_count == 0)
		return wrong("revoke needs the ID of a token", NULL);
	if (forgets && (c->id_count > 0) == c->all)
		return wrong("forget needs subjects, or --all", NULL);
	if (!forgets && c->all)
		return wrong("--all is for forget", NULL);
	if (!revokes && !forgets && c->id_count > 0)
		return wrong("unexpected argument", c->ids[0]);
	if (mints && !c->scopes)
		return wrong("--scope is missing: it says what the token allows", NULL);
	if (!mints && c->mint_option)
		return wrong("--scope, --subject, --recording, --max-bytes, --expires and --device are for mint", NULL);
	return CONFIG_GO;
}

static int read_config(struct command *c)
{
	char *argv[FORWARDED_MAX + 2] = { (char[]){ "token" } };
	int argc = 1;
	for (int i = 0; i < c->forwarded_count; i++)
		argv[argc++] = (char *)(uintptr_t)c->forwarded[i];
	return config_load(&c->config, CONFIG_TOKEN, argc, argv, environ);
}

/* --- asking --- */

static int fail(const char *what, enum err err)
{
	fprintf(stderr, "holdfast: %s: %s\n", what, err_text(err));
	return 1;
}

/* A server, or the directory itself. */
static int connect_to(struct command *c)
{
	if (!config_data_is_there(&c->config))
		return 1;
	if (control_connect(c->config.data, &c->server) == ERR_OK)
		return 0;
	if (strcmp(c->verb, "pair") == 0 || strcmp(c->verb, "forget") == 0) {
		fprintf(stderr, "holdfast: no server runs on %s: %s needs one\n", c->config.data, c->verb);
		return 1;
	}
	enum err err = vfs_posix_open(c->config.data, &c->vfs);
	if (err == ERR_LOCKED) {
		fprintf(stderr, "holdfast: another process uses %s, and does not answer at its control.sock\n",
			c->config.data);
		return 1;
	}
	if (err != ERR_OK)
		return fail(c->config.data, err);
	c->tokens.vfs = c->vfs;
	err = tokens_open(&c->tokens, time(NULL) * 1000LL, NULL, NULL);
	if (err == ERR_CORRUPT)
		fprintf(stderr, "holdfast: %s/tokens.json is damaged\n", c->config.data);
	return err == ERR_OK ? 0 : fail("the tokens", err);
}

static void answered(void *arg, json_t *answer)
{
	struct command *c = arg;
	c->answer = answer;
}

/* The answer, to be released; NULL after a sentence. Takes the request over. */
static json_t *ask(struct command *c, json_t *request)
{
	json_t *answer = NULL;
	enum err err = ERR_NO_MEMORY;
	if (request && c->server) {
		err = control_ask(c->server, request, &answer);
	} else if (request) {
		c->answer = NULL;
		token_request(c->tokens.auth, request, time(NULL) * 1000LL, answered, c);
		answer = c->answer;
		err = answer ? ERR_OK : ERR_NO_MEMORY;
	}
	json_decref(request);
	if (err != ERR_OK) {
		fail("the server's answer", err);
		return NULL;
	}
	if (json_is_true(json_object_get(answer, "ok")))
		return answer;
	const char *message = json_string_value(json_object_get(answer, "message"));
	fprintf(stderr, "holdfast: %s\n", message ? message : "the server's answer is none");
	json_decref(answer);
	return NULL;
}

/* --- printing --- */

static void print_json(const json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);
	if (text)
		puts(text);
	free(text);
}

static const char *text_of(const json_t *object, const char *field, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(object, field));
	return text ? text : otherwise;
}

static void date_of(const json_t *object, const char *field, char out[24])
{
	time_t at = (time_t)(json_number_value(json_object_get(object, field)) / 1000);
	struct tm parts;
	localtime_r(&at, &parts);
	strftime(out, 24, "%Y-%m-%d %H:%M", &parts);
}

static void scopes_join(const json_t *object, char *out, size_t size)
{
	const json_t *scopes = json_object_get(object, "scopes");
	size_t len = 0;
	*out = '\0';
	for (size_t i = 0; i < json_array_size(scopes) && len < size; i++) {
		const char *scope = json_string_value(json_array_get(scopes, i));
		len += (size_t)snprintf(out + len, size - len, "%s%s", i > 0 ? "," : "", scope ? scope : "?");
	}
}

static void print_token(const json_t *t)
{
	char scopes[64], expires[24], limit[32] = "";
	uint64_t max = (uint64_t)json_number_value(json_object_get(t, "maxBytes"));
	scopes_join(t, scopes, sizeof scopes);
	date_of(t, "expiresAt", expires);
	if (max)
		value_size_format(max, limit);
	printf("%-22s  %-8s  %-16s  %s  %s", text_of(t, "id", "?"), text_of(t, "state", "?"), scopes, expires,
	       text_of(t, "subject", "?"));
	if (json_is_string(json_object_get(t, "recording")))
		printf("  only %s", text_of(t, "recording", ""));
	if (max)
		printf("  up to %s", limit);
	if (json_is_string(json_object_get(t, "device")))
		printf("  (%s)", text_of(t, "device", ""));
	putchar('\n');
}

/* --- the commands --- */

static int mint(struct command *c)
{
	uint64_t expires_ms, max_bytes = 0;
	if (!config_duration_parse(c->expires ? c->expires : "90d", &expires_ms) || expires_ms < 1000)
		return wrong("--expires must be a duration like 30d or 12h:", c->expires);
	if (c->max_bytes && (!config_size_parse(c->max_bytes, &max_bytes) || max_bytes == 0))
		return wrong("--max-bytes must be a size like 500M or 2G:", c->max_bytes);
	json_t *request = json_pack("{s:s, s:O, s:I}", "do", "token.mint", "scopes", c->scopes, "expiresInMs",
				    (json_int_t)expires_ms);
	if (c->subject)
		json_object_set_new(request, "subject", json_string(c->subject));
	if (c->device)
		json_object_set_new(request, "device", json_string(c->device));
	if (c->recording)
		json_object_set_new(request, "recording", json_string(c->recording));
	if (c->max_bytes)
		json_object_set_new(request, "maxBytes", json_integer((json_int_t)max_bytes));
	json_t *answer = ask(c, request);
	if (!answer)
		return 1;
	json_t *about = json_object_get(answer, "about");
	if (c->config.json) {
		json_object_set(about, "token", json_object_get(answer, "token"));
		print_json(about);
	} else {
		char expires[24];
		date_of(about, "expiresAt", expires);
		printf("%s\n", text_of(answer, "token", ""));
		fflush(stdout);
		fprintf(stderr, "id %s, subject %s, good until %s; it is not shown again\n", text_of(about, "id", "?"),
			text_of(about, "subject", "?"), expires);
	}
	json_decref(answer);
	return 0;
}

static int list(struct command *c)
{
	json_t *answer = ask(c, json_pack("{s:s}", "do", "token.list"));
	if (!answer)
		return 1;
	const json_t *tokens = json_object_get(answer, "tokens");
	if (!c->config.json && json_array_size(tokens) == 0)
		fprintf(stderr, "no tokens\n");
	else if (!c->config.json)
		printf("%-22s  %-8s  %-16s  %-16s  %s\n", "ID", "STATE", "SCOPES", "GOOD UNTIL", "SUBJECT");
	for (size_t i = 0; i < json_array_size(tokens); i++) {
		if (c->config.json)
			print_json(json_array_get(tokens, i));
		else
			print_token(json_array_get(tokens, i));
	}
	json_decref(answer);
	return 0;
}

static int revoke_all(struct command *c)
{
	int status = 0;
	for (int i = 0; i < c->id_count; i++) {
		json_t *answer = ask(c, json_pack("{s:s, s:s}", "do", "token.revoke", "id", c->ids[i]));
		if (!answer)
			status = 1;
		else if (c->config.json)
			print_json(json_object_get(answer, "about"));
		else
			printf("revoked %s\n", c->ids[i]);
		json_decref(answer);
	}
	return status;
}

/* What an outside authority said of one subject, or of everybody (NULL). */
static int forget(struct command *c, const char *subject)
{
	json_t *answer = ask(c, json_pack("{s:s, s:s*}", "do", "token.forget", "subject", subject));
	if (!answer)
		return 1;
	int count = (int)json_number_value(json_object_get(answer, "forgotten"));
	const char *of = subject ? " of " : "", *whom = subject ? subject : "";
	json_object_del(answer, "ok");
	if (c->config.json)
		print_json(answer);
	else if (count == 0)
		printf("forgot nothing%s%s\n", of, whom);
	else
		printf("forgot %d token%s%s%s\n", count, count == 1 ? "" : "s", of, whom);
	json_decref(answer);
	return 0;
}

static int forget_all(struct command *c)
{
	int status = c->all ? forget(c, NULL) : 0;
	for (int i = 0; i < c->id_count; i++)
		status |= forget(c, c->ids[i]);
	return status;
}

static int rotate(struct command *c)
{
	json_t *answer = ask(c, json_pack("{s:s}", "do", "token.rotate"));
	if (!answer)
		return 1;
	if (c->config.json)
		print_json(answer);
	else
		printf("a new key signs from now on; tokens of the one before are good until the next rotation\n");
	json_decref(answer);
	return 0;
}

static int pair(struct command *c)
{
	json_t *answer = ask(c, json_pack("{s:s}", "do", "token.pair"));
	if (!answer)
		return 1;
	if (c->config.json)
		print_json(answer);
	else
		printf("%s\n", text_of(answer, "pairing", ""));
	json_decref(answer);
	return 0;
}

static int run(struct command *c)
{
	int status = connect_to(c);
	if (status != 0)
		return status;
	if (strcmp(c->verb, "mint") == 0)
		return mint(c);
	if (strcmp(c->verb, "list") == 0)
		return list(c);
	if (strcmp(c->verb, "revoke") == 0)
		return revoke_all(c);
	if (strcmp(c->verb, "forget") == 0)
		return forget_all(c);
	return strcmp(c->verb, "rotate") == 0 ? rotate(c) : pair(c);
}

int token_main(int argc, char **argv)
{
	struct command c = { 0 };
	int status = read_arguments(&c, argc, argv);
	if (status == CONFIG_GO)
		status = judge(&c);
	if (status == CONFIG_GO)
		status = read_config(&c);
	if (status == CONFIG_GO) {
		log_set_level(c.config.log_level);
		status = run(&c);
	}
	control_disconnect(c.server);
	tokens_close(&c.tokens);
	vfs_free(c.vfs);
	json_decref(c.scopes);
	config_release(&c.config);
	return status;
}
