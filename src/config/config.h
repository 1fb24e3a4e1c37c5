/* The settings of the subcommands that work on a data directory.
 *
 * One table (config.c) makes of every option a long option, a HOLDFAST_… variable of the environment, a key of the ini
 * file named by --config, and a line of --help. What is given twice is taken from the command line, else from the
 * environment, else from the file; what is not given has the default that --help shows. Nothing is clamped: a value out
 * of range is refused with a sentence that names where it stands. */
#ifndef HOLDFAST_CONFIG_CONFIG_H
#define HOLDFAST_CONFIG_CONFIG_H

#include "base/log.h"
#include "store/journal.h"

#include <stdbool.h>
#include <stdint.h>

struct config {
	char *data;	      /* owned */
	char *listen_host;    /* owned: "127.0.0.1", "::1": an address, never a name */
	uint16_t listen_port; /* 0: the system picks one */
	char *tls_cert;	      /* owned: files; both or neither. Without them listen_host is loopback */
	char *tls_key;
	bool lan;		/* also listen on the local network … */
	unsigned lan_port;	/* … at this port; 0: the system picks one */
	char *source_host;	/* owned: Icecast's sources are listened for there, "" everywhere; NULL: nowhere */
	uint16_t source_port;	/* 0: the system picks one */
	char *source_password;	/* owned: of all shows … */
	char *source_passwords; /* owned: … or the file of each one's; with source_host one of them, or both */
	char *icecast;		/* owned: the Icecast that what is on air is pushed to (relay_url.h); NULL: none */
	uint32_t grace_ms, heartbeat_ms;
	uint64_t late_resume_ms;
	uint64_t upload_expires_ms;
	uint32_t rate_per_s, rate_burst; /* new recordings of each principal; rate_per_s 0: no limit */
	bool takeover;			 /* of a show on air, by another principal */
	uint64_t memory_bytes, journal_bytes;
	enum journal_io journal_io;
	bool hash_early;
	uint64_t reserve_bytes;			 /* 0: the default rule */
	uint64_t retain_originals_ms, retain_ms; /* after completion; UINT64_MAX: for ever */
	bool listen_open;			 /* anybody may listen to shows */
	char *auth_url;				 /* owned: an outside authority; NULL: none is asked */
	char *auth_ca, *auth_secret_file;	 /* owned: files */
	char *allow_origin; /* owned: "https://a,http://b:81", in lower case, without default ports; NULL: none */
	unsigned max_connections;
	unsigned workers; /* processes of holdfast-worker; 0: none */
	uint32_t lease_ms, queue_wait_ms;
	char *fetch_allow; /* owned: "10.1.0.0/16,fd12::/16"; NULL: none */
	bool fetch_http;
	uint64_t fetch_max, fetch_timeout_ms;
	char *fetch_ca, *fetch_credentials;  /* owned: files */
	char *webhook, *webhook_secret_file; /* owned; both or neither */
	char *push;			     /* owned: s3://…; NULL: nothing is pushed */
	char *push_credentials, *push_ca;    /* owned: files */
	bool push_http;
	uint64_t push_part;
	enum log_level log_level;
	bool rebuild; /* verify only */
	bool json;    /* not serve */
};

enum config_command {
	CONFIG_SERVE = 1,
	CONFIG_VERIFY = 2,
	CONFIG_TOKEN = 4,
	CONFIG_STATUS = 8,
};

enum { CONFIG_GO = -1 }; /* of config_load: *out holds the settings */

/* Reads the command line (argv[0] is the subcommand's name), the environment `env` (as environ; NULL: none) and the
 * file. Returns CONFIG_GO, or the exit status: 0 after --help on standard output, 2 after a sentence on standard error.
 * *out is to be released in every case. */
int config_load(struct config *out, enum config_command command, int argc, char **argv, char **env);
void config_release(struct config *c);

/* For commands that work on a data directory: opening one makes what is missing, and a mistyped name must not leave a
 * folder behind. False after a sentence on standard error. */
bool config_data_is_there(const struct config *c);

/* Exported for their tests. "500ms", "30s", "5m", "2h", "7d" to ms; "64K", "96M", "1G" or plain bytes; false when it is
 * neither or too large for 63 bits. */
bool config_duration_parse(const char *text, uint64_t *out_ms);
bool config_size_parse(const char *text, uint64_t *out_bytes);

/* The two forms that a wrong command line is answered with: what is wrong, where help is. */
void config_try_help(const char *command);

#endif
