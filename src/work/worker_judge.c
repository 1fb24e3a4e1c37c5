/* What the server believes of a worker, see worker_private.h: only what can be so, in the order in which it can be. */
#include "work/worker_private.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static bool has_size(int fd, uint64_t min, uint64_t max)
{
	struct stat st;
	return fstat(fd, &st) == 0 && (uint64_t)st.st_size >= min && (uint64_t)st.st_size <= max;
}

static bool wants_hash(const struct worker_job *job)
{
	for (uint32_t i = 0; i < job->track_count; i++)
		if (job->tracks[i].hash)
			return true;
	return false;
}

/* Once, of exactly those tracks, and before its first word about their media: until then nobody who made them can have
 * had a say. */
static const char *judge_hashes(struct worker_state *s, const struct worker_event *e)
{
	uint32_t next = 0;
	if (!s->job || !wants_hash(s->job) || s->hashed || s->file || s->finished)
		return "It hashed what nobody asked for.";
	for (uint32_t i = 0; i < s->job->track_count; i++)
		if (s->job->tracks[i].hash && (next == e->hash_count || e->hashes[next++].track != i))
			return "It hashed other tracks than it was asked for.";
	if (next != e->hash_count)
		return "It hashed other tracks than it was asked for.";
	s->hashed = true;
	return NULL;
}

static const char *judge_file(struct worker_state *s, struct wire_event *e, int (*file_fd)(struct vfs_file *file))
{
	struct media_info *m = &e->media;
	if (!s->job || s->file || s->finished)
		return "It finished a file that nobody asked for.";
	if (!s->hashed && wants_hash(s->job))
		return "It finished a file before it had hashed what it was made of.";
	if (m->as_is ? m->bytes != s->job->tracks[0].bytes
		     : m->bytes == 0 || m->bytes > s->job->max_output_bytes ||
			       !has_size(file_fd(s->job->file), m->bytes, m->bytes))
		return "The finished file has another size than it says.";
	m->has_thumbnail = m->has_waveform = false;
	s->media = *m;
	s->file = true;
	return NULL;
}

static const char *judge_done(struct worker_state *s, struct wire_event *e, int (*file_fd)(struct vfs_file *file))
{
	const struct media_info *m = &e->media, *f = &s->media;
	if (!s->job || !s->file || s->finished)
		return "It is done with what it had not begun.";
	if (m->as_is != f->as_is || m->bytes != f->bytes || m->duration_ms != f->duration_ms ||
	    strcmp(m->mime, f->mime) != 0 || strcmp(m->ext, f->ext) != 0)
		return "It says something else about the file than before.";
	if ((m->has_thumbnail && !has_size(file_fd(s->job->thumbnail), 1, s->job->max_output_bytes)) ||
	    (m->has_waveform && !has_size(file_fd(s->job->waveform), 1, s->job->max_output_bytes)))
		return "The thumbnail or the waveform is not what it says.";
	s->finished = true;
	return NULL;
}

const char *worker_judge(struct worker_state *s, struct wire_event *e, int (*file_fd)(struct vfs_file *file))
{
	switch (e->event.type) {
	case WORKER_READY:
		if (s->ready && s->pings == 0)
			return "It answered what was not asked.";
		if (s->ready)
			s->pings--;
		s->ready = true;
		return NULL;
	case WORKER_ALIVE:
		return s->job && !s->finished ? NULL : "It works on nothing.";
	case WORKER_HASHED:
		return judge_hashes(s, &e->event);
	case WORKER_FILE:
		return judge_file(s, e, file_fd);
	case WORKER_DONE:
		return judge_done(s, e, file_fd);
	default:
		if (!s->job || s->finished)
			return "It failed at nothing.";
		s->finished = true;
		return NULL;
	}
}

enum err worker_death(int status, char *out, size_t size)
{
	if (!WIFSIGNALED(status)) {
		snprintf(out, size, "The worker ended before it had finished, with status %d.", WEXITSTATUS(status));
		return ERR_WORKER_DIED;
	}
	int number = WTERMSIG(status);
	const char *name = sigabbrev_np(number);
	switch (number) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGABRT:
	case SIGTRAP:
		snprintf(out, size, "The decoder crashed on the media (SIG%s).", name);
		return ERR_MEDIA_UNREADABLE;
	case SIGSYS:
		snprintf(out, size, "The media made the decoder do what its sandbox forbids (SIGSYS).");
		return ERR_MEDIA_UNREADABLE;
	case SIGXCPU:
		snprintf(out, size, "The media needs more processor time than a worker may take.");
		return ERR_MEDIA_LIMIT;
	case SIGXFSZ:
		snprintf(out, size, "The finished file would be larger than allowed.");
		return ERR_MEDIA_LIMIT;
	default:
		snprintf(out, size, "Something killed the worker while it worked on the recording (SIG%s).",
			 name ? name : "?");
		return ERR_WORKER_DIED;
	}
}

void worker_tail(const char *said, size_t len, char out[LIMIT_WORKER_TAIL_BYTES + 1])
{
	size_t used = 0;
	while (len > 0 && (unsigned char)said[len - 1] <= ' ')
		len--;
	if (len > LIMIT_WORKER_TAIL_BYTES) {
		said += len - LIMIT_WORKER_TAIL_BYTES;
		len = LIMIT_WORKER_TAIL_BYTES;
	}
	for (size_t i = 0; i < len; i++) {
		char c = said[i];
		bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
		if (blank && (used == 0 || out[used - 1] == ' '))
			continue;
		out[used++] = (char)(blank ? ' ' : c > ' ' && c <= '~' ? c : '?');
	}
	out[used] = '\0';
}
