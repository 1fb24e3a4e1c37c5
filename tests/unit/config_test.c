/* The settings: values, the order of their sources, and the answers to what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Runs config_load with both outputs caught in `said`. */
static char said[16384];

static int load(struct config *c, enum config_command command, char **argv, char **env)
{
	int argc = 0;
	while (argv[argc])
		argc++;
	fflush(NULL);
	FILE *file = tmpfile();
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
	assert_non_null(file);
	dup2(fileno(file), STDOUT_FILENO);
	dup2(fileno(file), STDERR_FILENO);
	int status = config_load(c, command, argc, argv, env);
	fflush(NULL);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	rewind(file);
	said[fread(said, 1, sizeof said - 1, file)] = '\0';
	fclose(file);
	return status;
}

#define ARGV(...) ((char *[]){ (char[]){ "serve" }, __VA_ARGS__, NULL })
#define DATA                                                                                                           \
	(char[])                                                                                                       \
	{                                                                                                              \
		"--data=/d"                                                                                            \
	}
#define ARG(text)                                                                                                      \
	(char[])                                                                                                       \
	{                                                                                                              \
		text                                                                                                   \
	}

static void refuses(char **argv, char **env, const char *sentence)
{
	struct config c;
	assert_int_equal(load(&c, CONFIG_SERVE, argv, env), 2);
	if (!strstr(said, sentence))
		fail_msg("said: %s", said);
	assert_non_null(strstr(said, "\nTry 'holdfast serve --help' for more information.\n"));
	config_release(&c);
}

static void test_durations(void **state)
{
	uint64_t ms;
	assert_true(config_duration_parse("500ms", &ms));
	assert_int_equal(ms, 500);
	assert_true(config_duration_parse("30s", &ms));
	assert_int_equal(ms, 30000);
	assert_true(config_duration_parse("5m", &ms));
	assert_int_equal(ms, 300000);
	assert_true(config_duration_parse("2h", &ms));
	assert_int_equal(ms, 7200000);
	assert_true(config_duration_parse("7d", &ms));
	assert_int_equal(ms, 604800000);
	const char *const wrong[] = { "",
				      "30",
				      "s",
				      "-3s",
				      "+3s",
				      "3 s",
				      "3ss",
				      "3S",
				      "18446744073709551616s",
				      "9223372036854775808ms",
				      "3000000000000d" };
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(config_duration_parse(wrong[i], &ms));
}

static void test_sizes(void **state)
{
	uint64_t bytes;
	assert_true(config_size_parse("64K", &bytes));
	assert_int_equal(bytes, 65536);
	assert_true(config_size_parse("96M", &bytes));
	assert_int_equal(bytes, 96 * MIB);
	assert_true(config_size_parse("1G", &bytes));
	assert_int_equal(bytes, GIB);
	assert_true(config_size_parse("12", &bytes));
	assert_int_equal(bytes, 12);
	const char *const wrong[] = { "", "K", "1k", "1KB", "0x10", "1.5G", "9999999999G" };
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(config_size_parse(wrong[i], &bytes));
}

static void test_defaults(void **state)
{
	struct config c;
	assert_int_equal(load(&c, CONFIG_SERVE, ARGV(DATA), NULL), CONFIG_GO);
	assert_string_equal(c.data, "/d");
	assert_string_equal(c.listen_host, "127.0.0.1");
	assert_int_equal(c.listen_port, 8480);
	assert_int_equal(c.grace_ms, 30000);
	assert_int_equal(c.heartbeat_ms, 20000);
	assert_int_equal(c.late_resume_ms, 7 * 86400000);
	assert_true(c.retain_ms == UINT64_MAX && c.retain_originals_ms == UINT64_MAX);
	assert_int_equal(c.memory_bytes, 96 * MIB);
	assert_int_equal(c.journal_bytes, GIB);
	assert_int_equal(c.journal_io, JOURNAL_IO_AUTO);
	assert_true(c.hash_early);
	assert_int_equal(c.reserve_bytes, 0);
	assert_int_equal(c.max_connections, LIMIT_CONNECTIONS);
	assert_int_equal(c.workers, 2);
	assert_int_equal(c.lease_ms, LIMIT_LEASE_MS);
	assert_int_equal(c.queue_wait_ms, LIMIT_QUEUE_WAIT_MS);
	assert_int_equal(c.log_level, LOG_INFO);
	config_release(&c);
}

static void test_workers(void **state)
{
	struct config c;
	assert_int_equal(
		load(&c, CONFIG_SERVE, ARGV(DATA, ARG("--workers=0"), ARG("--lease=4s"), ARG("--queue-wait=1s")), NULL),
		CONFIG_GO);
	assert_int_equal(c.workers, 0);
	assert_int_equal(c.lease_ms, 4000);
	assert_int_equal(c.queue_wait_ms, 1000);
	config_release(&c);
	refuses(ARGV(DATA, ARG("--workers=65")), NULL, "it must be a number from 0 to 64");
	refuses(ARGV(DATA, ARG("--workers=-1")), NULL, "it must be a number from 0 to 64");
	refuses(ARGV(DATA, ARG("--lease=3999ms")), NULL, "it must be a duration like 30s, from 4s to 1h");
	refuses(ARGV(DATA, ARG("--lease=30")), NULL, "it must be a duration like 30s, from 4s to 1h");
	refuses(ARGV(DATA, ARG("--queue-wait=0s")), NULL, "it must be a duration like 30s, from 1s to 1d");
}

static char *write_file(const char *text)
{
	static char path[] = "/tmp/holdfast-config-XXXXXX";
	memcpy(path + sizeof path - 7, "XXXXXX", 6);
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	return path;
}

static void test_sources_in_order(void **state)
{
	char *path = write_file("# comment\n\n[holdfast]\ngrace = 1s\nheartbeat=2s\n  late-resume  =  \"3d\"  \n"
				"data = /file\n; another\nhash = late");
	char config[128];
	snprintf(config, sizeof config, "HOLDFAST_CONFIG=%s", path);
	char *env[] = { ARG("HOLDFAST_GRACE=10s"), ARG("HOLDFAST_HEARTBEAT=11s"), ARG("HOLDFAST_HASH="), config, NULL };
	struct config c;
	assert_int_equal(load(&c, CONFIG_SERVE, ARGV(ARG("--grace"), ARG("20s")), env), CONFIG_GO);
	assert_int_equal(c.grace_ms, 20000);	 /* line before environment before file */
	assert_int_equal(c.heartbeat_ms, 11000); /* environment before file */
	assert_int_equal(c.late_resume_ms, 3 * 86400000);
	assert_string_equal(c.data, "/file");
	assert_false(c.hash_early); /* an empty variable is none */
	config_release(&c);
	unlink(path);
}

static void test_file_is_judged(void **state)
{
	const struct {
		const char *text, *sentence;
	} files[] = {
		{ "grace = 1s\nspeed = 3\n", ":2: unknown key 'speed'\n" },
		{ "grace\n", ":1: not a line of 'key = value': 'grace'\n" },
		{ "[other]\n", ":1: unknown section '[other]'\n" },
		{ "\ngrace = 1w\n", "holdfast: invalid value '1w' for 'grace' in line 2 of " },
		{ "rebuild = 1\n", ":1: unknown key 'rebuild'\n" },
	};
	for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++) {
		char *path = write_file(files[i].text);
		refuses(ARGV(DATA, ARG("--config"), path), NULL, files[i].sentence);
		unlink(path);
	}
	refuses(ARGV(DATA, ARG("--config=/nonexistent/x")), NULL,
		"holdfast: cannot read /nonexistent/x: No such file or directory\n");
}

static void test_listen(void **state)
{
	const struct {
		const char *arg, *host;
		unsigned port;
	} good[] = { { "--listen=127.0.0.1:0", "127.0.0.1", 0 },
		     { "--listen=127.9.8.7:65535", "127.9.8.7", 65535 },
		     { "--listen=localhost:80", "127.0.0.1", 80 },
		     { "--listen=[::1]:8480", "::1", 8480 } };
	struct config c;
	for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
		char arg[64];
		snprintf(arg, sizeof arg, "%s", good[i].arg);
		assert_int_equal(load(&c, CONFIG_SERVE, ARGV(DATA, arg), NULL), CONFIG_GO);
		assert_string_equal(c.listen_host, good[i].host);
		assert_int_equal(c.listen_port, good[i].port);
		config_release(&c);
	}
	const char *const foreign = "only loopback addresses can be listened on without TLS";
	refuses(ARGV(DATA, ARG("--listen=0.0.0.0:8480")), NULL, foreign);
	refuses(ARGV(DATA, ARG("--listen=128.0.0.1:8480")), NULL, foreign);
	refuses(ARGV(DATA, ARG("--listen=[::]:8480")), NULL, foreign);
	char *env[] = { ARG("HOLDFAST_LISTEN=0.0.0.0:1"), NULL };
	refuses(ARGV(DATA), env, "'0.0.0.0:1' for HOLDFAST_LISTEN: only loopback");
	const char *const nameless = "the host must be an address";
	refuses(ARGV(DATA, ARG("--listen=example.org:8480")), NULL, nameless);
	refuses(ARGV(DATA, ARG("--listen=[127.0.0.1]:8480")), NULL, nameless);
	refuses(ARGV(DATA, ARG("--listen=[localhost]:8480")), NULL, nameless);
	refuses(ARGV(DATA, ARG("--listen=127.0.0.1")), NULL, "it must be HOST:PORT");
	refuses(ARGV(DATA, ARG("--listen=127.0.0.1:65536")), NULL, "it must be HOST:PORT");
	refuses(ARGV(DATA, ARG("--listen=127.0.0.1:-1")), NULL, "it must be HOST:PORT");
	refuses(ARGV(DATA, ARG("--listen=:80")), NULL, "it must be HOST:PORT");
}

static void test_tls(void **state)
{
	struct config c;
	assert_int_equal(load(&c, CONFIG_SERVE,
			      ARGV(DATA, ARG("--listen=[::]:443"), ARG("--tls-cert=/c"), ARG("--tls-key=/k")), NULL),
			 CONFIG_GO);
	assert_string_equal(c.listen_host, "::");
	assert_string_equal(c.tls_cert, "/c");
	assert_string_equal(c.tls_key, "/k");
	config_release(&c);
	refuses(ARGV(DATA, ARG("--tls-cert=/c")), NULL, "holdfast: --tls-key is missing: ");
	refuses(ARGV(DATA, ARG("--tls-key=/k")), NULL, "holdfast: --tls-cert is missing: ");
}

static void test_lan(void **state)
{
	static const struct {
		const char *arg, *env, *file;
		bool on;
	} rows[] = {
		{ NULL, NULL, "", false },
		{ "--lan", NULL, "", true },
		{ NULL, "HOLDFAST_LAN=yes", "", true },
		{ NULL, "HOLDFAST_LAN=0", "lan = on", false },
		{ NULL, NULL, "lan = true", true },
		{ "--lan=no", "HOLDFAST_LAN=1", "lan = on", false },
		{ "--lan", NULL, "lan = false", true },
		{ NULL, NULL, "lan = off", false },
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct config c;
		char arg[32], env[32], *path = write_file(rows[i].file);
		snprintf(arg, sizeof arg, "%s", rows[i].arg ? rows[i].arg : "--memory=96M");
		snprintf(env, sizeof env, "%s", rows[i].env ? rows[i].env : "X=");
		assert_int_equal(
			load(&c, CONFIG_SERVE, ARGV(DATA, ARG("--config"), path, arg), (char *[]){ env, NULL }),
			CONFIG_GO);
		assert_int_equal(c.lan, rows[i].on);
		assert_int_equal(c.lan_port, 8443);
		config_release(&c);
		unlink(path);
	}
	struct config c;
	assert_int_equal(load(&c, CONFIG_SERVE, ARGV(DATA, ARG("--lan-port=0")), NULL), CONFIG_GO);
	assert_int_equal(c.lan_port, 0);
	config_release(&c);
	refuses(ARGV(DATA, ARG("--lan=perhaps")), NULL, "'perhaps' for option '--lan': it must be yes or no\n");
	refuses(ARGV(DATA, ARG("--lan-port=65536")), NULL, "it must be a number from 0 to 65535\n");
}

static void test_wrong_lines(void **state)
{
	refuses(ARGV(DATA, ARG("--x")), NULL, "holdfast: unrecognized option '--x'\n");
	refuses(ARGV(DATA, ARG("-x")), NULL, "holdfast: invalid option -- 'x'\n");
	refuses(ARGV(DATA, ARG("--rebuild")), NULL, "holdfast: unrecognized option '--rebuild'\n");
	refuses(ARGV(DATA, ARG("--grace")), NULL, "holdfast: option '--grace' requires an argument\n");
	refuses(ARGV(DATA, ARG("--log=info"), ARG("--j=1")), NULL, "holdfast: option '--j=1' is ambiguous");
	refuses(ARGV(DATA, ARG("more")), NULL, "holdfast: unexpected argument 'more'\n");
	refuses(ARGV(ARG("--grace=1s")), NULL, "holdfast: --data is missing");
	refuses(ARGV(ARG("--data=")), NULL, "holdfast: invalid value '' for option '--data': it is empty\n");
	refuses(ARGV(DATA, ARG("--grace=99ms")), NULL,
		"holdfast: invalid value '99ms' for option '--grace': it must be a duration like 30s, from 100ms to "
		"1d\n");
	refuses(ARGV(DATA, ARG("--memory=1M")), NULL, "it must be a size like 96M, from 8M to 1T\n");
	refuses(ARGV(DATA, ARG("--journal-size=1M")), NULL, "from 64M to 64G\n");
	refuses(ARGV(DATA, ARG("--max-connections=0")), NULL, "it must be a number from 1 to 10240\n");
	refuses(ARGV(DATA, ARG("--journal-io=fast")), NULL, "it must be one of auto|direct|buffered\n");
	refuses(ARGV(DATA, ARG("--journal-io=auto|direct")), NULL, "it must be one of");
	char *env[] = { ARG("HOLDFAST_JOURNAL_SIZE=x"), NULL };
	refuses(ARGV(DATA), env, "holdfast: invalid value 'x' for HOLDFAST_JOURNAL_SIZE: it must be a size");
}

static void test_choices(void **state)
{
	struct config c;
	assert_int_equal(load(&c, CONFIG_SERVE,
			      ARGV(DATA, ARG("--journal-io=buffered"), ARG("--hash=late"), ARG("--log-level=debug")),
			      NULL),
			 CONFIG_GO);
	assert_int_equal(c.journal_io, JOURNAL_IO_BUFFERED);
	assert_false(c.hash_early);
	assert_int_equal(c.log_level, LOG_DEBUG);
	config_release(&c);
}

static void test_retention(void **state)
{
	const struct {
		const char *text;
		uint64_t ms;
	} good[] = { { "0", 0 },
		     { "0s", 0 },
		     { "7d", 7 * 86400000 },
		     { "36525d", 36525 * 86400000ULL },
		     { "forever", UINT64_MAX } };
	for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct config c;
		char whole[64], originals[64];
		snprintf(whole, sizeof whole, "--retain=%s", good[i].text);
		snprintf(originals, sizeof originals, "--retain-originals=%s", good[i].text);
		assert_int_equal(load(&c, CONFIG_SERVE, ARGV(DATA, whole), NULL), CONFIG_GO);
		assert_true(c.retain_ms == good[i].ms && c.retain_originals_ms == UINT64_MAX);
		config_release(&c);
		assert_int_equal(load(&c, CONFIG_SERVE, ARGV(DATA, originals), NULL), CONFIG_GO);
		assert_true(c.retain_originals_ms == good[i].ms && c.retain_ms == UINT64_MAX);
		config_release(&c);
	}
	/* what is misread deletes recordings */
	const char *const sentence = "it must be a duration like 30s, from 0ms to 36525d, or 0, or forever";
	refuses(ARGV(DATA, ARG("--retain=7")), NULL, sentence);
	refuses(ARGV(DATA, ARG("--retain=")), NULL, sentence);
	refuses(ARGV(DATA, ARG("--retain=00")), NULL, sentence);
	refuses(ARGV(DATA, ARG("--retain=never")), NULL, sentence);
	refuses(ARGV(DATA, ARG("--retain-originals=36526d")), NULL, sentence);
	refuses(ARGV(DATA, ARG("--retain-originals=-1d")), NULL, sentence);
}

static void test_push(void **state)
{
	struct config c;
	char *env[] = { (char[]){ "HOLDFAST_PUSH_PART=64M" }, NULL };
	assert_int_equal(load(&c, CONFIG_SERVE, ARGV(DATA), NULL), CONFIG_GO);
	assert_null(c.push);
	assert_int_equal(c.push_part, 16 * MIB);
	config_release(&c);
	assert_int_equal(load(&c, CONFIG_SERVE,
			      ARGV(DATA, ARG("--push=s3://takes/live?region=eu-west-1"), ARG("--push-credentials=/k"),
				   ARG("--push-ca=/ca"), ARG("--push-http")),
			      env),
			 CONFIG_GO);
	assert_string_equal(c.push, "s3://takes/live?region=eu-west-1");
	assert_string_equal(c.push_credentials, "/k");
	assert_string_equal(c.push_ca, "/ca");
	assert_true(c.push_http);
	assert_int_equal(c.push_part, 64 * MIB);
	config_release(&c);
	refuses(ARGV(DATA, ARG("--push-http")), NULL, "--push is missing");
	refuses(ARGV(DATA, ARG("--push-credentials=/k")), NULL, "--push is missing");
	refuses(ARGV(DATA, ARG("--push=s3://a"), ARG("--push-part=4M")), NULL, "from 5M to 1G");
}

static void test_authority(void **state)
{
	struct config c;
	(void)state;
	assert_int_equal(
		load(&c, CONFIG_SERVE, ARGV(DATA, ARG("--auth-url=https://a.example/b"), ARG("--auth-ca=/c")), NULL),
		CONFIG_GO);
	assert_string_equal(c.auth_url, "https://a.example/b");
	assert_string_equal(c.auth_ca, "/c");
	assert_null(c.auth_secret_file);
	config_release(&c);
	refuses(ARGV(DATA, ARG("--auth-url=http://a.example/b")), NULL, "http is for this machine only");
	refuses(ARGV(DATA, ARG("--auth-url=https://me:word@a.example/")), NULL, "without a name or password");
	refuses(ARGV(DATA, ARG("--auth-ca=/c")), NULL, "--auth-url is missing");
	refuses(ARGV(DATA, ARG("--auth-secret-file=/c")), NULL, "--auth-url is missing");
}

static void test_help(void **state)
{
	struct config c;
	assert_int_equal(load(&c, CONFIG_SERVE, ARGV(ARG("--help")), NULL), 0);
	const char *const options[] = {
		"data",		"listen",     "grace",	 "heartbeat", "late-resume",	  "memory",
		"journal-size", "journal-io", "hash",	 "reserve",   "max-connections",  "log-level",
		"config",	"tls-cert",   "tls-key", "lan-port",  "retain-originals", "retain"
	};
	for (unsigned i = 0; i < sizeof options / sizeof options[0]; i++) {
		char option[64];
		snprintf(option, sizeof option, "\n  --%s=", options[i]);
		if (!strstr(said, option))
			fail_msg("%s is not in --help", option);
	}
	assert_non_null(strstr(said, "\n  --lan  "));
	assert_null(strstr(said, "--rebuild"));
	assert_int_equal(load(&c, CONFIG_SERVE, ARGV(ARG("--version")), NULL), 0);
	assert_memory_equal(said, "holdfast ", 9);
	config_release(&c);
}

static void test_verify_shares_the_file(void **state)
{
	char *path = write_file("grace = nonsense\ndata = /file\n");
	struct config c;
	char *argv[] = { ARG("verify"), ARG("--config"), path, ARG("--rebuild"), NULL };
	assert_int_equal(load(&c, CONFIG_VERIFY, argv, NULL), CONFIG_GO);
	assert_true(c.rebuild);
	assert_false(c.json);
	assert_string_equal(c.data, "/file");
	config_release(&c);
	unlink(path);
}

static void origins(void **state)
{
	static const struct {
		const char *text, *list; /* NULL: refused */
	} rows[] = {
		{ "https://example.com", "https://example.com" },
		{ "HTTPS://Example.COM:443", "https://example.com" },
		{ "http://a:80, http://b:81 ,http://[::1]:8480", "http://a,http://b:81,http://[::1]:8480" },
		{ "https://a:80", "https://a:80" },
		{ "", NULL },
		{ "*", NULL },
		{ "null", NULL },
		{ "example.com", NULL },
		{ "https://", NULL },
		{ "https://a/", NULL },
		{ "https://a/b", NULL },
		{ "https://a:0", NULL },
		{ "https://a:65536", NULL },
		{ "https://a:08", NULL },
		{ "https://a:", NULL },
		{ "https://a b", NULL },
		{ "https://a@b", NULL },
		{ "https://[::1", NULL },
		{ "https://a,", NULL },
		{ ",https://a", NULL },
		{ "ftp://a", NULL },
		{ "https://a\r\nX: y", NULL },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct config c;
		char option[200];
		snprintf(option, sizeof option, "--allow-origin=%s", rows[i].text);
		int status = load(&c, CONFIG_SERVE, ARGV(DATA, option), NULL);
		if ((status == CONFIG_GO) != (rows[i].list != NULL))
			fail_msg("%s: %d", rows[i].text, status);
		if (rows[i].list)
			assert_string_equal(c.allow_origin, rows[i].list);
		config_release(&c);
	}
	struct config c;
	assert_int_equal(load(&c, CONFIG_SERVE,
			      ARGV(DATA, ARG("--allow-origin=http://a"), ARG("--allow-origin=http://b,http://c")),
			      NULL),
			 CONFIG_GO);
	assert_string_equal(c.allow_origin, "http://a,http://b,http://c");
	config_release(&c);
	assert_int_equal(
		load(&c, CONFIG_SERVE, ARGV(DATA), (char *[]){ ARG("HOLDFAST_ALLOW_ORIGIN=http://a,http://b"), NULL }),
		CONFIG_GO);
	assert_string_equal(c.allow_origin, "http://a,http://b");
	config_release(&c);
	char many[1000] = "--allow-origin=http://a";
	for (int i = 0; i < LIMIT_ORIGINS; i++)
		snprintf(many + strlen(many), sizeof many - strlen(many), ",http://a%d", i);
	refuses(ARGV(DATA, many), NULL, "more than 16");
}

static void test_sources_of_icecast(void **state)
{
	struct config c;
	assert_int_equal(
		load(&c, CONFIG_SERVE, ARGV(DATA, ARG("--source-listen=:8000"), ARG("--source-password=a b")), NULL),
		CONFIG_GO);
	assert_string_equal(c.source_host, "");
	assert_int_equal(c.source_port, 8000);
	assert_string_equal(c.source_password, "a b");
	assert_string_equal(c.listen_host, "127.0.0.1");
	config_release(&c);
	assert_int_equal(load(&c, CONFIG_SERVE,
			      ARGV(DATA, ARG("--source-listen=[::]:0"), ARG("--source-password-file=/p")), NULL),
			 CONFIG_GO);
	assert_string_equal(c.source_host, "::");
	assert_string_equal(c.source_passwords, "/p");
	config_release(&c);
	refuses(ARGV(DATA, ARG("--source-listen=:8000")), NULL, "--source-password is missing");
	refuses(ARGV(DATA, ARG("--source-password=x")), NULL, "--source-listen is missing");
	refuses(ARGV(DATA, ARG("--source-listen=[]:80"), ARG("--source-password=x")), NULL, "it must be HOST:PORT");
	refuses(ARGV(DATA, ARG("--source-listen=example.org:80"), ARG("--source-password=x")), NULL,
		"the host must be an address");
	refuses(ARGV(DATA, ARG("--source-listen=:80"), ARG("--source-password=")), NULL, "1 to 256 bytes");
}

/* A wrong value is not repeated where it may be a secret. */
static void test_secrets_are_not_said(void **state)
{
	refuses(ARGV(DATA, ARG("--source-listen=:80"), ARG("--source-password=pass\x01word")), NULL,
		"invalid value for option '--source-password': it has a control character");
	assert_null(strstr(said, "word\n"));
	assert_null(strstr(said, "pass\x01"));
	refuses(ARGV(DATA, ARG("--icecast=icecast://source:hackme@/x")), NULL,
		"invalid value for option '--icecast': its host or port is none");
	assert_null(strstr(said, "hackme"));
	struct config c;
	assert_int_equal(load(&c, CONFIG_SERVE, ARGV(DATA),
			      (char *[]){ ARG("HOLDFAST_ICECAST=icecast://:hackme@h/{show}"), NULL }),
			 CONFIG_GO);
	assert_string_equal(c.icecast, "icecast://:hackme@h/{show}");
	config_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(origins),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_workers),
		cmocka_unit_test(test_sources_in_order),
		cmocka_unit_test(test_file_is_judged),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_wrong_lines),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_retention),
		cmocka_unit_test(test_push),
		cmocka_unit_test(test_authority),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_verify_shares_the_file),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_lan),
		cmocka_unit_test(test_sources_of_icecast),
		cmocka_unit_test(test_secrets_are_not_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
