/* libholdfast: sends a recording to a Holdfast server so that no byte that was handed over is lost.
 *
 * A take is spooled to a folder on this device first and sent from there; a byte is forgotten only when the server has
 * acknowledged it (which means: it is on the server's disk). Links that drop are taken up again by themselves; after a
 * crash of the program, or of the machine, hf_spool_each lists what was left and hf_take_resume goes on where it was.
 *
 * Begin by hf_take_new, hand bytes over by hf_take_write, call hf_take_run often (it does all the sending), say
 * hf_take_end, and go on with hf_take_run until it returns HF_RUN_ENDED. examples/record.c is a whole program.
 *
 * Threads: the library has none that works on takes. A take is used by one thread at a time, takes that are run
 * together by hf_run all by the same one; other takes may be used on other threads meanwhile. Callbacks come from
 * inside of hf_take_run and hf_run, and must not free the take. hf_take_write never waits for the network, hf_take_run
 * never longer than it was told to. The process' SIGPIPE is ignored from the first take on, and libwebsockets logs
 * nothing.
 *
 * Errors: functions that return int return 0 (or what their comment says), or a negative errno (-ENOSPC, -EBUSY …),
 * whose sentence is hf_strerror's. A call that failed changed nothing and may be repeated. What the server refuses, and
 * what can't go on, is no return value but the state HF_FAILED; hf_take_code and hf_take_error tell why. Texts are
 * UTF-8, but for paths, which are bytes. Strings and options are copied; what is handed out belongs to the take. */
#ifndef HOLDFAST_CLIENT_H
#define HOLDFAST_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HF_API __attribute__((visibility("default")))

#define HF_VERSION_MAJOR 0
#define HF_VERSION_MINOR 1
#define HF_VERSION_PATCH 0

/* The library's version at run time, "0.1.0". Within one major number (within one minor one, while that is 0) programs
 * that were built with an older one go on working. */
HF_API const char *hf_version(void);

struct hf_take;

enum hf_state {
	HF_CONNECTING, /* no link; what is written is kept */
	HF_SENDING,    /* attached */
	HF_SAVED,      /* the server has it all, sealed; the local copy goes with hf_take_free */
	HF_FAILED,     /* will not go on by itself; hf_take_error tells why; the local copy is kept */
};

struct hf_progress {
	enum hf_state state;
	unsigned reconnects;
	uint64_t bytes_read;  /* written to the take so far; of a file: read and sent */
	uint64_t bytes_safe;  /* acknowledged: on the server's disk */
	uint64_t bytes_total; /* UINT64_MAX until hf_take_end */
	uint64_t retry_in_ms; /* while connecting: when the next attempt comes */
	uint64_t reserved[4];
};

/* What is NULL or 0 is left out; begin with {0}, so that members of later versions are, too. */
struct hf_options {
	const char *url;	/* http://HOST:PORT or ws://HOST:PORT/ws; https and wss alike */
	const char *spool_dir;	/* where unsent bytes wait; made if missing (0700) */
	const char *token;	/* "hf1.…", if the server wants one; never kept on disk */
	const char *ca_file;	/* PEM: authorities to trust beside the system's, like the one of a server's --lan */
	const char *session_id; /* the take's own name, never used again for another; NULL: 128 random bits */
	const char *name, *mime, *ext, *track; /* NULL: left to the server */
	const char *const *tracks; /* all tracks that the recording will have, then NULL; each is a take with the same
				    * session_id and its track, and a spool_dir of its own. NULL: not declared */
	const char *source_path;   /* send from this file instead of a copy of it: all of it, and it must not change
				    * (-ESTALE, or the error source_changed); NULL: bytes come by hf_take_write */
	struct hf_take *after; /* a take that is saved, of the same url, token and ca_file: its connection is taken over
				* rather than another made. It is still to be freed, and need not be of any use */
	uint64_t max_unacked;  /* bytes in flight; 0: 4 MiB */
	void (*progress)(void *arg, const struct hf_progress *progress); /* at every change; may be NULL */
	void *arg;
	bool renewable; /* with source_path: the caller will know this session_id again, whatever happens here, and the
			 * server then knows how far the take is. So the spool is not synced, which many small files
			 * would wait for longer than for the server */
	const void *reserved[7];
};

/* Begins a take: its spool is durable before this returns, unless it is renewable. Does not connect. -EEXIST: an
 * unfinished one has this session_id, see hf_take_resume. -EINVAL: the url can't be read, or spool_dir is missing. */
HF_API int hf_take_new(const struct hf_options *options, struct hf_take **out);

/* Takes up what an earlier run left in options->spool_dir under options->session_id: names, type and source are the
 * earlier run's; a `url` replaces its. -ENOENT when there is none, -EBUSY while another process (or take) works on it.
 * What is written now is appended; say hf_take_end if nothing more comes. */
HF_API int hf_take_resume(const struct hf_options *options, struct hf_take **out);

/* A take that an earlier run did not finish, or that somebody is at work on. */
struct hf_spooled {
	const char *session_id;
	const char *url;	 /* as ws://HOST:PORT/PATH */
	const char *source_path; /* NULL: the bytes are in the spool */
	const char *failed;	 /* why it will not go on by itself; NULL: it will */
	const char *name;	 /* or NULL */
	uint64_t bytes;		 /* written so far, as of the last sync */
	uint64_t bytes_total;	 /* UINT64_MAX: hf_take_end was not said */
	const void *reserved[4];
};

/* Calls back for each take in a spool folder; the strings are good during the call, and the take may be resumed,
 * finished and freed in it. A folder that is missing has none. */
HF_API int hf_spool_each(const char *spool_dir, void (*take)(void *arg, const struct hf_spooled *spooled), void *arg);

/* Forgets a take and its bytes, here only. -EBUSY while somebody works on it; 0 when there is none. */
HF_API int hf_spool_discard(const char *spool_dir, const char *session_id);

/* Appends bytes; they are in the spool when this returns, all or none. Blocks only on the local disk. They outlive a
 * crash of the program at once, and one of the machine when hf_take_run has synced them, which it does every two
 * seconds. */
HF_API int hf_take_write(struct hf_take *take, const void *data, size_t len);

/* No more bytes come. May be said again. */
HF_API int hf_take_end(struct hf_take *take);

/* Gives the take up, here and on the server; go on with hf_take_run until it has ended (HF_FAILED, code "aborted"). */
HF_API int hf_take_abort(struct hf_take *take, const char *reason);

/* Why hf_take_run returned. */
enum hf_run {
	HF_RUN_TIMEOUT = 0,
	HF_RUN_ENDED = 1,    /* the take is HF_SAVED or HF_FAILED (of several: one is, at least) */
	HF_RUN_READABLE = 2, /* none has ended, and `fd` can be read */
};

/* Works on the link for at most timeout_ms, or until `fd` (or -1) is readable. Returns an enum hf_run. */
HF_API int hf_take_run(struct hf_take *take, int fd, int timeout_ms);

/* The same for several takes at once, none of which keeps another waiting. */
HF_API int hf_run(struct hf_take *const *takes, size_t count, int fd, int timeout_ms);

HF_API void hf_take_progress(const struct hf_take *take, struct hf_progress *out);
/* The server's answer when saved: its id of the recording, the path of its bytes, the SHA-256 in hex; NULL before. */
HF_API const char *hf_take_id(const struct hf_take *take);
HF_API const char *hf_take_url(const struct hf_take *take);
HF_API const char *hf_take_sha256(const struct hf_take *take);
HF_API const char *hf_take_session(const struct hf_take *take);
/* The last real error: the server's code (docs/protocol.md), or "link_lost", "refused", "source_changed",
 * "local_storage", "position_conflict", "checksum_mismatch", "aborted"; "" when there was none. */
HF_API const char *hf_take_code(const struct hf_take *take);
/* The same for people: "code: sentence". "" when there was none. Good until the next call. */
HF_API const char *hf_take_error(const struct hf_take *take);

/* Frees the take; its spool stays unless it was saved or aborted. Accepts NULL. */
HF_API void hf_take_free(struct hf_take *take);

HF_API const char *hf_strerror(int error);

#ifdef __cplusplus
}
#endif
#endif
