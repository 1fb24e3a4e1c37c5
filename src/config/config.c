/* The one table of options, and where their values are taken from. Nothing is applied before everything was read: a
 * wrong command line leaves no half of a configuration behind. */
#include "config/config_private.h"

#include "base/limits.h"
#include "config/config_value.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ALL = CONFIG_SERVE | CONFIG_VERIFY | CONFIG_TOKEN | CONFIG_STATUS };

#define AT(member) offsetof(struct config, member)

static const struct row rows[] = {
	{ "data", "DIR", KIND_TEXT, ALL, AT(data), NULL, 0, 0, "the data directory (required)" },
	{ "listen", "HOST:PORT", KIND_LISTEN, CONFIG_SERVE, AT(listen_host), "127.0.0.1:8480", 0, 0,
	  "where to listen; without TLS loopback only; port 0 picks one" },
	{ "tls-cert", "FILE", KIND_TEXT, CONFIG_SERVE, AT(tls_cert), NULL, 0, 0,
	  "speak https there: certificate and chain (PEM)" },
	{ "tls-key", "FILE", KIND_TEXT, CONFIG_SERVE, AT(tls_key), NULL, 0, 0, "and the certificate's key (PEM)" },
	{ "lan", NULL, KIND_SWITCH, CONFIG_SERVE, AT(lan), NULL, 0, 0,
	  "also listen on the local network, for phones: https and http" },
	{ "lan-port", "PORT", KIND_COUNT, CONFIG_SERVE, AT(lan_port), "8443", 0, UINT16_MAX,
	  "the port of --lan; 0 picks one" },
	{ "source-listen", "[HOST]:PORT", KIND_SOURCE_LISTEN, CONFIG_SERVE, AT(source_host), NULL, 0, 0,
	  "also listen for tools that speak Icecast's source protocol" },
	{ "source-password", "TEXT", KIND_SECRET, CONFIG_SERVE, AT(source_password), NULL, 0, 0,
	  "what they show; better in the environment or the ini file" },
	{ "source-password-file", "FILE", KIND_TEXT, CONFIG_SERVE, AT(source_passwords), NULL, 0, 0,
	  "lines of 'show password': that show's alone" },
	{ "icecast", "URL", KIND_ICECAST, CONFIG_SERVE, AT(icecast), NULL, 0, 0,
	  "push what is on air to icecast://source:PASSWORD@HOST:PORT/{show}" },
	{ "listen-open", NULL, KIND_SWITCH, CONFIG_SERVE, AT(listen_open), NULL, 0, 0,
	  "let anybody listen to shows on air, without a token" },
	{ "grace", "TIME", KIND_MS32, CONFIG_SERVE, AT(grace_ms), "30s", LIMIT_GRACE_MIN_MS, LIMIT_GRACE_MAX_MS,
	  "how long a take whose link is lost stays open" },
	{ "heartbeat", "TIME", KIND_MS32, CONFIG_SERVE, AT(heartbeat_ms), "20s", LIMIT_HEARTBEAT_MIN_MS,
	  LIMIT_HEARTBEAT_MAX_MS, "how often a connection is pinged" },
	{ "late-resume", "TIME", KIND_MS64, CONFIG_SERVE, AT(late_resume_ms), "7d", 0,
	  LIMIT_LATE_RESUME_DAYS * 86400000ULL, "how long a take that grace ended may be gone on with" },
	{ "upload-expires", "TIME", KIND_MS64, CONFIG_SERVE, AT(upload_expires_ms), "7d", LIMIT_UPLOAD_EXPIRES_MIN_MS,
	  LIMIT_UPLOAD_EXPIRES_DAYS * 86400000ULL, "how long an upload that nobody goes on with is kept" },
	{ "rate", "ITEMS[:BURST]", KIND_RATE, CONFIG_SERVE, AT(rate_per_s), NULL, 1, LIMIT_RATE_MAX,
	  "new recordings a second, of each principal with a token (default: no limit)" },
	{ "takeover", NULL, KIND_SWITCH, CONFIG_SERVE, AT(takeover), NULL, 0, 0,
	  "who goes on air with another's show takes it over, as its next version; else it is refused" },
	{ "memory", "SIZE", KIND_SIZE, CONFIG_SERVE, AT(memory_bytes), "96M", LIMIT_MEMORY_MIN_BYTES, 1024 * GIB,
	  "memory for media that waits for the disk" },
	{ "journal-size", "SIZE", KIND_SIZE, CONFIG_SERVE, AT(journal_bytes), "1G",
	  (uint64_t)LIMIT_SEGMENTS_MIN *LIMIT_SEGMENT_MIN_BYTES, (uint64_t)LIMIT_SEGMENTS_MAX *LIMIT_SEGMENT_BYTES,
	  "the journal's size on disk, all segments together" },
	{ "journal-io", "auto|direct|buffered", KIND_CHOICE, CONFIG_SERVE, AT(journal_io), "auto", 0, 0,
	  "whether the journal bypasses the page cache" },
	{ "hash", "early|late", KIND_CHOICE, CONFIG_SERVE, AT(hash_early), "early", 0, 0,
	  "SHA-256 while bytes come in, or read back at the end" },
	{ "reserve", "SIZE", KIND_SIZE, CONFIG_SERVE, AT(reserve_bytes), NULL, 0, INT64_MAX,
	  "free space to keep (default: 5%, 256M at most)" },
	{ "retain-originals", "TIME|forever", KIND_KEEP, CONFIG_SERVE, AT(retain_originals_ms), "forever", 0,
	  LIMIT_RETAIN_DAYS * 86400000ULL,
	  "how long the bytes as received are kept behind a file that was made of them" },
	{ "retain", "TIME|forever", KIND_KEEP, CONFIG_SERVE, AT(retain_ms), "forever", 0,
	  LIMIT_RETAIN_DAYS * 86400000ULL, "how long complete recordings are kept; 0: until their file was announced" },
	{ "max-connections", "N", KIND_COUNT, CONFIG_SERVE, AT(max_connections), "10240", 1, LIMIT_CONNECTIONS,
	  "connections at one time" },
	{ "workers", "N", KIND_COUNT, CONFIG_SERVE, AT(workers), "2", 0, LIMIT_WORKERS,
	  "recordings made playable at one time; 0: none" },
	{ "lease", "TIME", KIND_MS32, CONFIG_SERVE, AT(lease_ms), "30s", LIMIT_LEASE_MIN_MS, LIMIT_LEASE_MAX_MS,
	  "how long a silent worker keeps its recording" },
	{ "queue-wait", "TIME", KIND_MS32, CONFIG_SERVE, AT(queue_wait_ms), "5m", 1000, LIMIT_QUEUE_WAIT_MAX_MS,
	  "after so long without any worker readers are told" },
	{ "allow-origin", "ORIGIN[,...]", KIND_ORIGINS, CONFIG_SERVE, AT(allow_origin), NULL, 0, 0,
	  "other sites whose pages may use the server; repeatable" },
	{ "auth-url", "URL", KIND_AUTHORITY, CONFIG_SERVE, AT(auth_url), NULL, 0, 0,
	  "ask there what a token allows that is none of ours" },
	{ "auth-ca", "FILE", KIND_TEXT, CONFIG_SERVE, AT(auth_ca), NULL, 0, 0,
	  "trust these certificates (PEM) there instead of the system's" },
	{ "auth-secret-file", "FILE", KIND_TEXT, CONFIG_SERVE, AT(auth_secret_file), NULL, 0, 0,
	  "holds what is shown there, as a bearer token" },
	{ "fetch-allow", "CIDR[,...]", KIND_RANGES, CONFIG_SERVE, AT(fetch_allow), NULL, 0, 0,
	  "fetch recordings from these addresses too, not only public ones" },
	{ "fetch-http", NULL, KIND_SWITCH, CONFIG_SERVE, AT(fetch_http), NULL, 0, 0,
	  "from those of --fetch-allow also by plain http" },
	{ "fetch-max", "SIZE", KIND_SIZE, CONFIG_SERVE, AT(fetch_max), "8G", KIB, 1024 * GIB,
	  "the largest recording that is fetched" },
	{ "fetch-timeout", "TIME", KIND_MS64, CONFIG_SERVE, AT(fetch_timeout_ms), "1h", LIMIT_FETCH_MIN_MS,
	  LIMIT_FETCH_MAX_MS, "how long an attempt to fetch one may take" },
	{ "fetch-ca", "FILE", KIND_TEXT, CONFIG_SERVE, AT(fetch_ca), NULL, 0, 0,
	  "trust these certificates (PEM) instead of the system's" },
	{ "fetch-credentials", "FILE", KIND_TEXT, CONFIG_SERVE, AT(fetch_credentials), NULL, 0, 0,
	  "what is shown to which host when fetching" },
	{ "webhook", "URL", KIND_WEBHOOK, CONFIG_SERVE, AT(webhook), NULL, 0, 0,
	  "where events are sent, as in Standard Webhooks" },
	{ "webhook-secret-file", "FILE", KIND_TEXT, CONFIG_SERVE, AT(webhook_secret_file), NULL, 0, 0,
	  "holds whsec_...: what they are signed with" },
	{ "push", "s3://BUCKET/PREFIX", KIND_TEXT, CONFIG_SERVE, AT(push), NULL, 0, 0,
	  "where finished recordings go, too; ?endpoint=URL&region=NAME" },
	{ "push-credentials", "FILE", KIND_TEXT, CONFIG_SERVE, AT(push_credentials), NULL, 0, 0,
	  "its access key; without it AWS_... of the environment" },
	{ "push-http", NULL, KIND_SWITCH, CONFIG_SERVE, AT(push_http), NULL, 0, 0,
	  "by plain http, too; on this machine that is always allowed" },
	{ "push-ca", "FILE", KIND_TEXT, CONFIG_SERVE, AT(push_ca), NULL, 0, 0,
	  "trust these certificates (PEM) instead of the system's" },
	{ "push-part", "SIZE", KIND_SIZE, CONFIG_SERVE, AT(push_part), "16M", LIMIT_PUSH_PART_MIN_BYTES, GIB,
	  "larger files go in parts of this size" },
	{ "log-level", "error|warn|info|debug", KIND_CHOICE, ALL, AT(log_level), "info", 0, 0,
	  "what is written to standard error" },
	{ "rebuild", NULL, KIND_FLAG, CONFIG_VERIFY, AT(rebuild), NULL, 0, 0,
	  "move the catalog aside, make it again from the folders" },
	{ "json", NULL, KIND_FLAG, CONFIG_VERIFY | CONFIG_TOKEN | CONFIG_STATUS, AT(json), NULL, 0, 0,
	  "print JSON, one object a line" },
};

enum { ROWS = sizeof rows / sizeof rows[0], OPTION_HELP = 1000, OPTION_VERSION, OPTION_CONFIG };

struct load {
	struct config *out;
	enum config_command command;
	struct found found[ROWS];
	const char *file;
	char *file_text; /* owned: values point into it */
	char *origins;	 /* owned: what was given several times, joined */
};

static const struct {
	enum config_command command;
	const char *name, *does;
} commands[] = {
	{ CONFIG_SERVE, "serve", "Takes recordings in and keeps them." },
	{ CONFIG_VERIFY, "verify", "Reads everything back and says what holds. No server may be running on DIR." },
	{ CONFIG_TOKEN, "token", "Makes, lists and revokes tokens." },
	{ CONFIG_STATUS, "status", "Shows what the server on DIR does; live in a terminal." },
};

static unsigned command_index(enum config_command command)
{
	unsigned i = 0;
	while (commands[i].command != command)
		i++;
	return i;
}

static const char *command_name(enum config_command command)
{
	return commands[command_index(command)].name;
}

static const char *command_does(enum config_command command)
{
	return commands[command_index(command)].does;
}

void config_try_help(const char *command)
{
	fprintf(stderr, "Try 'holdfast%s%s --help' for more information.\n", command ? " " : "",
		command ? command : "");
}

static void env_name(const char *name, char out[64])
{
	snprintf(out, 64, "HOLDFAST_%s", name);
	for (char *p = out; *p; p++)
		*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
}

static void print_row(const char *name, const char *arg, const char *help, const char *fallback)
{
	char left[64];
	snprintf(left, sizeof left, "--%s%s%s", name, arg ? "=" : "", arg ? arg : "");
	/* a left side that is too long gets a line of its own */
	if (strlen(left) > 27)
		printf("  %s\n  %-27s", left, "");
	else
		printf("  %-27s", left);
	printf("  %s", help);
	if (fallback)
		printf(" (%s)", fallback);
	printf("\n");
}

static void print_help(enum config_command command)
{
	printf("Usage: holdfast %s --data=DIR [OPTION]...\n%s\n\n", command_name(command), command_does(command));
	for (unsigned i = 0; i < ROWS; i++)
		if (rows[i].commands & command)
			print_row(rows[i].name, rows[i].arg, rows[i].help, rows[i].fallback);
	print_row("config", "FILE", "read options from an ini file: lines of 'key = value'", NULL);
	print_row("help", NULL, "display this help and exit", NULL);
	print_row("version", NULL, "output version information and exit", NULL);
	printf("\nA TIME is a number and ms, s, m, h or d; a SIZE a number and K, M, G or T (powers of 1024).\n"
	       "Every option is also a variable of the environment, HOLDFAST_ and its name (--late-resume:\n"
	       "HOLDFAST_LATE_RESUME), and a key of the ini file. The command line comes before the\n"
	       "environment, the environment before the file.\n");
}

static void found_set(struct found *f, const char *text, const char *where)
{
	f->text = text;
	snprintf(f->where, sizeof f->where, "%s", where);
}

/* What is given several times is one list. */
static char *origins_join(struct load *l, char *more)
{
	char *joined;
	if (!l->origins)
		joined = strdup(more);
	else if (asprintf(&joined, "%s,%s", l->origins, more) < 0)
		joined = NULL;
	free(l->origins);
	l->origins = joined;
	return joined ? joined : more;
}

static int argument_of(const struct row *row)
{
	if (row->kind == KIND_SWITCH)
		return optional_argument; /* --lan=no takes back what the file says */
	return row->arg ? required_argument : no_argument;
}

/* The command line. getopt_long says what is wrong itself, in the words that every GNU program has. */
static int read_arguments(struct load *l, int argc, char **argv)
{
	struct option options[ROWS + 4] = { 0 };
	unsigned count = 0;
	for (unsigned i = 0; i < ROWS; i++)
		if (rows[i].commands & l->command)
			options[count++] = (struct option){ rows[i].name, argument_of(&rows[i]), NULL, (int)i };
	options[count++] = (struct option){ "config", required_argument, NULL, OPTION_CONFIG };
	options[count++] = (struct option){ "help", no_argument, NULL, OPTION_HELP };
	options[count++] = (struct option){ "version", no_argument, NULL, OPTION_VERSION };
	static char program[] = "holdfast";
	argv[0] = program;
	optind = 0; /* glibc: begin anew */
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		char where[96];
		if (option == OPTION_HELP) {
			print_help(l->command);
			return 0;
		} else if (option == OPTION_VERSION) {
			printf("holdfast %s\n", HOLDFAST_VERSION);
			return 0;
		} else if (option == OPTION_CONFIG) {
			l->file = optarg;
		} else if (option >= 0 && option < ROWS) {
			snprintf(where, sizeof where, "option '--%s'", rows[option].name);
			if (rows[option].kind == KIND_ORIGINS)
				optarg = origins_join(l, optarg);
			found_set(&l->found[option], optarg ? optarg : "true", where);
		} else {
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "holdfast: unexpected argument '%s'\n", argv[optind]);
		return EXIT_USAGE;
	}
	return CONFIG_GO;
}

/* An empty variable counts as unset, so that `HOLDFAST_X= holdfast …` takes one back. */
static const char *env_get(char **env, const char *name)
{
	char variable[64];
	env_name(name, variable);
	size_t len = strlen(variable);
	for (char **p = env; p && *p; p++)
		if (strncmp(*p, variable, len) == 0 && (*p)[len] == '=')
			return (*p)[len + 1] ? *p + len + 1 : NULL;
	return NULL;
}

static void read_environment(struct load *l, char **env)
{
	for (unsigned i = 0; i < ROWS; i++) {
		const char *text = l->found[i].text || rows[i].kind == KIND_FLAG ? NULL : env_get(env, rows[i].name);
		if (!text)
			continue;
		env_name(rows[i].name, l->found[i].where);
		l->found[i].text = text;
	}
	if (!l->file)
		l->file = env_get(env, "config");
}

static int file_complain(const struct load *l, unsigned line, const char *what, const char *value)
{
	fprintf(stderr, "holdfast: %s:%u: %s '%s'\n", l->file, line, what, value);
	return EXIT_USAGE;
}

static char *trim(char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	size_t len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	return text;
}

static int file_line(struct load *l, char *line, unsigned number)
{
	line = trim(line);
	if (*line == '\0' || *line == '#' || *line == ';')
		return CONFIG_GO;
	if (*line == '[') /* one section at most, for those whose tools insist on one */
		return strcmp(line, "[holdfast]") == 0 ? CONFIG_GO : file_complain(l, number, "unknown section", line);
	char *equals = strchr(line, '=');
	if (!equals)
		return file_complain(l, number, "not a line of 'key = value':", line);
	*equals = '\0';
	char *key = trim(line), *value = trim(equals + 1);
	size_t len = strlen(value);
	if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
		value[len - 1] = '\0';
		value++;
	}
	for (unsigned i = 0; i < ROWS; i++) {
		char where[96];
		if (rows[i].kind == KIND_FLAG || strcmp(key, rows[i].name) != 0)
			continue;
		snprintf(where, sizeof where, "'%s' in line %u of %.60s", key, number, l->file);
		if (!l->found[i].text)
			found_set(&l->found[i], value, where);
		return CONFIG_GO;
	}
	return file_complain(l, number, "unknown key", key);
}

static int file_complain_errno(const struct load *l)
{
	fprintf(stderr, "holdfast: cannot read %s: %s\n", l->file, strerror(errno));
	return EXIT_USAGE;
}

static int read_file(struct load *l)
{
	FILE *file = fopen(l->file, "re");
	if (!file)
		return file_complain_errno(l);
	l->file_text = calloc(1, LIMIT_CONFIG_BYTES + 1);
	size_t len = l->file_text ? fread(l->file_text, 1, LIMIT_CONFIG_BYTES + 1, file) : 0;
	bool failed = !l->file_text || ferror(file);
	int saved = errno;
	fclose(file);
	if (failed) {
		errno = saved;
		return file_complain_errno(l);
	}
	if (len > LIMIT_CONFIG_BYTES || memchr(l->file_text, '\0', len)) {
		fprintf(stderr, "holdfast: %s is no text, or larger than 64K\n", l->file);
		return EXIT_USAGE;
	}
	unsigned number = 1;
	for (char *line = l->file_text, *next; line; line = next, number++) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		int status = file_line(l, line, number);
		if (status != CONFIG_GO)
			return status;
	}
	return CONFIG_GO;
}

/* The place of `text` among the words of "a|b|c", or -1. */
static int judge_whole(const struct load *l)
{
	const struct config *c = l->out;
	if (!c->data) {
		fprintf(stderr, "holdfast: --data is missing: it names the directory that holds the recordings\n");
		return EXIT_USAGE;
	}
	if (!c->tls_cert != !c->tls_key) {
		fprintf(stderr, "holdfast: --tls-%s is missing: TLS needs a certificate and its key\n",
			c->tls_cert ? "key" : "cert");
		return EXIT_USAGE;
	}
	if (!c->webhook != !c->webhook_secret_file) {
		fprintf(stderr, "holdfast: --webhook%s is missing: events are sent signed, or not at all\n",
			c->webhook ? "-secret-file" : "");
		return EXIT_USAGE;
	}
	if (!c->push && (c->push_credentials || c->push_ca || c->push_http)) {
		fprintf(stderr, "holdfast: --push is missing: it says where to push to\n");
		return EXIT_USAGE;
	}
	if (!c->auth_url && (c->auth_ca || c->auth_secret_file)) {
		fprintf(stderr, "holdfast: --auth-url is missing: it says who is asked\n");
		return EXIT_USAGE;
	}
	bool source_key = c->source_password || c->source_passwords;
	if (!c->source_host != !source_key) {
		fprintf(stderr, "holdfast: --source-%s is missing: sources are let in with a password, or not at all\n",
			source_key ? "listen" : "password");
		return EXIT_USAGE;
	}
	if (c->fetch_http && !c->fetch_allow) {
		fprintf(stderr, "holdfast: --fetch-allow is missing: --fetch-http is for its addresses only\n");
		return EXIT_USAGE;
	}
	for (unsigned i = 0; i < ROWS; i++)
		if (rows[i].kind == KIND_LISTEN && l->found[i].text && !c->tls_cert && c->listen_host &&
		    !value_is_loopback(c->listen_host))
			return config_complain(
				&l->found[i],
				"only loopback addresses can be listened on without TLS (127.0.0.0/8, [::1], "
				"localhost): give --tls-cert and --tls-key, or use --lan");
	return CONFIG_GO;
}

static int load_all(struct load *l, int argc, char **argv, char **env)
{
	int status = read_arguments(l, argc, argv);
	if (status != CONFIG_GO)
		return status;
	read_environment(l, env);
	if (l->file && (status = read_file(l)) != CONFIG_GO)
		return status;
	for (unsigned i = 0; i < ROWS; i++) {
		if (!l->found[i].text && rows[i].fallback)
			found_set(&l->found[i], rows[i].fallback, "its default");
		/* what only the other command uses may stand in the shared file and environment */
		if (!l->found[i].text || !(rows[i].commands & l->command))
			continue;
		status = config_apply(l->out, &rows[i], &l->found[i]);
		if (status != CONFIG_GO)
			return status;
	}
	return judge_whole(l);
}

int config_load(struct config *out, enum config_command command, int argc, char **argv, char **env)
{
	struct load l = { .out = out, .command = command };
	*out = (struct config){ 0 };
	int status = load_all(&l, argc, argv, env);
	free(l.file_text);
	free(l.origins);
	if (status == EXIT_USAGE)
		config_try_help(command_name(command));
	return status;
}

bool config_data_is_there(const struct config *c)
{
	struct stat st;
	if (stat(c->data, &st) == 0 && S_ISDIR(st.st_mode))
		return true;
	fprintf(stderr, "holdfast: %s is no directory\n", c->data);
	return false;
}

static void secret_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void config_release(struct config *c)
{
	free(c->source_host);
	secret_free(c->source_password);
	free(c->source_passwords);
	secret_free(c->icecast);
	free(c->data);
	free(c->listen_host);
	free(c->allow_origin);
	free(c->auth_url);
	free(c->auth_ca);
	free(c->auth_secret_file);
	free(c->fetch_allow);
	free(c->fetch_ca);
	free(c->fetch_credentials);
	free(c->webhook);
	free(c->webhook_secret_file);
	free(c->push);
	free(c->push_credentials);
	free(c->push_ca);
	free(c->tls_cert);
	free(c->tls_key);
	*c = (struct config){ 0 };
}
