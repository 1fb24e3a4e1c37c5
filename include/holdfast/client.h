/* libholdfast: sends a recording to a Holdfast server so that no byte that was handed over is lost.
 *
 * A take is spooled to a folder on this device first and sent from there; a byte is forgotten only when the server has
 * acknowledged it (which means: it is on the server's disk). Links that drop are taken up again by themselves; after a
 * crash of the program, hf_take_resume goes on where it was. One thread per take: its functions are called from the
 * thread that made it, and callbacks come from inside hf_take_run. */
#ifndef HOLDFAST_CLIENT_H
#define HOLDFAST_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HF_API __attribute__((visibility("default")))

struct hf_take;

enum hf_state {
	HF_CONNECTING, /* no link; what is written is kept */
	HF_SENDING,    /* attached */
	HF_SAVED,      /* the server has it all, sealed; the local copy may go */
	HF_FAILED,     /* will not go on by itself; hf_take_error tells why; the local copy is kept */
};

struct hf_progress {
	enum hf_state state;
	uint64_t bytes_read;  /* written to the take so far */
	uint64_t bytes_safe;  /* acknowledged: on the server's disk */
	uint64_t bytes_total; /* UINT64_MAX until hf_take_end */
	unsigned reconnects;
	uint64_t retry_in_ms; /* while connecting: when the next attempt comes */
};

struct hf_options {
	const char *url;		       /* http://HOST:PORT or ws://HOST:PORT/ws; https and wss alike */
	const char *spool_dir;		       /* where unsent bytes wait; made if missing */
	const char *session_id;		       /* the take's own name; NULL: 128 random bits */
	const char *name, *mime, *ext, *track; /* NULL: left to the server */
	const char *source_path; /* send from this file instead of a copy of it: all of it, and it must not change
				  * (-ESTALE, or the error source_changed); NULL: bytes come by hf_take_write */
	uint64_t max_unacked;	 /* bytes in flight; 0: 4 MiB */
	void (*progress)(void *arg, const struct hf_progress *progress); /* at every change; may be NULL */
	void *arg;
};

/* All return 0 or a negative errno-like code; hf_strerror has the sentence. */

/* Begins a take: its spool is durable before this returns. Does not connect. */
HF_API int hf_take_new(const struct hf_options *options, struct hf_take **out);

/* Takes up what an earlier run left in options->spool_dir under options->session_id: names, type and source are the
 * earlier run's; a `url` replaces its. -ENOENT when there is none, -EBUSY while another process works on it. */
HF_API int hf_take_resume(const struct hf_options *options, struct hf_take **out);

/* A take that an earlier run did not finish, or that another process is at work on. */
struct hf_spooled {
	const char *session_id;
	const char *url;	 /* as ws://HOST:PORT/PATH */
	const char *source_path; /* NULL: the bytes are in the spool */
	const char *failed;	 /* why it will not go on by itself; NULL: it will */
};

/* Calls back for each take in a spool folder; the strings are good during the call. A folder that is missing has none.
 */
HF_API int hf_spool_each(const char *spool_dir, void (*take)(void *arg, const struct hf_spooled *spooled), void *arg);

/* Forgets a take and its bytes, here only. -EBUSY while another process works on it; 0 when there is none. */
HF_API int hf_spool_discard(const char *spool_dir, const char *session_id);

/* Appends bytes; they are in the spool when this returns. Blocks only on the local disk. */
HF_API int hf_take_write(struct hf_take *take, const void *data, size_t len);

/* No more bytes come. */
HF_API int hf_take_end(struct hf_take *take);

/* Gives the take up, here and on the server. */
HF_API int hf_take_abort(struct hf_take *take, const char *reason);

/* Works on the link for at most timeout_ms, or until `fd` (or -1) is readable. Returns 0, or 1 when the take has ended
 * (HF_SAVED or HF_FAILED). */
HF_API int hf_take_run(struct hf_take *take, int fd, int timeout_ms);

HF_API void hf_take_progress(const struct hf_take *take, struct hf_progress *out);
/* The server's answer when saved: its id of the recording, the path of its bytes, the SHA-256 in hex; NULL before. */
HF_API const char *hf_take_id(const struct hf_take *take);
HF_API const char *hf_take_url(const struct hf_take *take);
HF_API const char *hf_take_sha256(const struct hf_take *take);
HF_API const char *hf_take_session(const struct hf_take *take);
/* The last real error: the server's code and sentence, or the system's. "" when there was none. */
HF_API const char *hf_take_error(const struct hf_take *take);

/* Frees the take; its spool stays unless it was saved or aborted. Accepts NULL. */
HF_API void hf_take_free(struct hf_take *take);

HF_API const char *hf_strerror(int error);

#ifdef __cplusplus
}
#endif
#endif
