/* What `holdfast send` has to send, and what is at work of it; see batch.h. */
#include "batch.h"

#include "guess.h"
#include "keep.h"
#include "take.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void note_leftover(void *arg, const struct hf_spooled *spooled)
{
	struct send *s = arg;
	if (strcmp(spooled->url, s->options.to.text) != 0)
		return;
	struct leftover *grown = realloc(s->leftovers, (s->leftover_count + 1) * sizeof *grown);
	if (!grown)
		return;
	s->leftovers = grown;
	struct leftover *l = &grown[s->leftover_count++];
	*l = (struct leftover){ .session = strdup(spooled->session_id) };
	l->source = spooled->source_path ? strdup(spooled->source_path) : NULL;
	l->failed = spooled->failed ? strdup(spooled->failed) : NULL;
}

static void note_unreadable(void *arg, const char *label, const char *why)
{
	struct send *s = arg;
	s->totals.files++;
	send_fail(s, label, why);
}

/* Is this leftover one of the files that we were given? Those have their turn. */
static bool is_given(struct send *s, const struct leftover *l)
{
	if (s->options.session)
		return strcmp(s->options.session, l->session) == 0 && !s->input.wanted;
	return l->source && files_find(&s->files, l->source);
}

static void tell_left_out(struct send *s)
{
	const struct files *f = &s->files;
	char hidden[32], links[32], others[32];
	bars_count(f->hidden_left, hidden);
	bars_count(f->links_left, links);
	bars_count(f->others_left, others);
	if (f->hidden_left)
		progress_note(&s->show, "left out: %s hidden (--hidden sends them, too)", hidden);
	if (f->links_left)
		progress_note(&s->show, "left out: %s symbolic link%s", links, f->links_left > 1 ? "s" : "");
	if (f->others_left)
		progress_note(&s->show, "left out: %s of other kinds (sockets, pipes, devices)", others);
}

void batch_collect(struct send *s)
{
	int result = keep_make_spool(s->options.spool);
	if (result == 0)
		result = sent_open(s->options.spool, &s->sent);
	if (result == 0 && !s->tus)
		result = hf_spool_each(s->options.spool, note_leftover, s);
	if (result != 0)
		send_fail(s, s->options.spool, hf_strerror(result));
	s->files.hidden = s->options.hidden;
	s->files.spool = s->options.spool;
	s->files.failed = note_unreadable;
	s->files.arg = s;
	for (int i = 0; i < s->options.input_count; i++)
		if (strcmp(s->options.inputs[i], "-") != 0 && !files_add(&s->files, s->options.inputs[i]))
			send_fail(s, s->options.inputs[i], hf_strerror(-ENOMEM));
	files_settle(&s->files);
	tell_left_out(s);
	s->totals.files += s->files.count + s->input.wanted;
	s->totals.bytes = s->files.bytes;
	for (unsigned i = 0; i < s->leftover_count; i++)
		s->totals.files += !is_given(s, &s->leftovers[i]) && !s->leftovers[i].failed;
}

static void job_look(struct job *job)
{
	struct show_item *item = &job->item;
	if (job->tus) {
		tus_progress(job->tus, &item->p);
		item->error = tus_error(job->tus);
		item->shown = item->p.bytes_read;
	} else {
		hf_take_progress(job->take, &item->p);
		item->error = hf_take_error(job->take);
		item->session = hf_take_session(job->take);
		item->shown = item->p.bytes_safe;
	}
	if (item->p.state != HF_CONNECTING && job->begun_safe == UINT64_MAX) {
		job->begun_safe = item->p.bytes_safe;
		item->rate.count = 0; /* what was there already is no speed */
	}
}

static uint64_t sent_now(const struct job *job)
{
	return job->begun_safe == UINT64_MAX ? 0 : job->item.p.bytes_safe - job->begun_safe;
}

static struct job *job_add(struct send *s, const char *label, uint64_t size)
{
	struct job *job = &s->jobs[s->job_count++];
	*job = (struct job){ .label = label, .size = size, .item = { .label = label, .counted = true } };
	return job;
}

void batch_add_input(struct send *s)
{
	struct job *job = job_add(s, "standard input", 0);
	job->take = s->input.take;
	job->item.counted = false;
	job_look(job);
}

/* Options of a take that goes on over the connection of the last one that was saved. */
static struct hf_options next_options(struct send *s)
{
	struct hf_options o = send_take_options(s);
	o.after = s->spare_count > 0 ? s->spares[s->spare_count - 1] : NULL;
	return o;
}

static void drop_spare(struct send *s)
{
	if (s->spare_count > 0)
		hf_take_free(s->spares[--s->spare_count]);
}

static int resume(struct send *s, const char *session, struct hf_take **out)
{
	struct hf_options o = next_options(s);
	o.session_id = session;
	return hf_take_resume(&o, out);
}

static void begin_leftover(struct send *s, struct leftover *l)
{
	struct hf_take *take;
	struct hf_progress p;
	const char *label = l->source ? l->source : "an earlier standard input";
	if (l->failed) {
		progress_note(&s->show, "%s was given up by an earlier run (%s); session %s in %s", label, l->failed,
			      l->session, s->options.spool);
		return;
	}
	int result = resume(s, l->session, &take);
	if (result == -EBUSY || result == -ENOENT) { /* another process is at work on it, or has just finished it */
		s->totals.files--;
		return;
	}
	if (result == 0 && (result = hf_take_end(take)) != 0)
		hf_take_free(take);
	if (result != 0) {
		send_fail(s, label, hf_strerror(result));
		return;
	}
	drop_spare(s);
	hf_take_progress(take, &p);
	uint64_t size = p.bytes_total == UINT64_MAX ? 0 : p.bytes_total;
	s->totals.bytes += size;
	struct job *job = job_add(s, label, size);
	job->take = take;
	job->resumed = true;
	job->begun_safe = UINT64_MAX;
	job_look(job);
}

static struct leftover *find_leftover(struct send *s, const char *path)
{
	for (unsigned i = 0; i < s->leftover_count; i++) {
		struct leftover *l = &s->leftovers[i];
		bool same = s->options.session ? strcmp(l->session, s->options.session) == 0
					       : l->source && strcmp(l->source, path) == 0;
		if (same && !l->done)
			return l;
	}
	return NULL;
}

/* Goes on with what an earlier run left of this file, or begins. */
static int open_take(struct send *s, const struct file *file, struct leftover *l, struct hf_take **out)
{
	if (l)
		l->done = true;
	if (l && !l->failed) {
		int result = resume(s, l->session, out);
		if (result != -ESTALE)
			return result;
		progress_note(&s->show, "%s was changed since an earlier run began with it; it is sent anew",
			      file->label);
	}
	if (l)
		(void)hf_spool_discard(s->options.spool, l->session); /* of a file nothing is kept in the spool */
	struct hf_options o = next_options(s);
	struct guess guess = guess_from_name(file->path);
	char title[TEXT_TITLE];
	text_title(s->options.name ? s->options.name : file->name, title);
	char session[SENT_KEY];
	o.session_id = s->options.session;
	/* what was given up, or is wanted once more, is another take */
	o.renewable = !o.session_id && !s->options.again && !(l && l->failed) &&
		      sent_session(&s->sent, s->options.to.text, file, session);
	if (o.renewable)
		o.session_id = session;
	o.source_path = file->path;
	o.name = title;
	o.mime = s->options.mime ? s->options.mime : guess.mime;
	o.ext = guess.ext;
	return hf_take_new(&o, out);
}

static int open_upload(struct send *s, const struct file *file, struct tus **out)
{
	struct guess guess = guess_from_name(file->path);
	char title[TEXT_TITLE];
	text_title(s->options.name ? s->options.name : file->name, title);
	return tus_new(s->tus, file, title, s->options.mime ? s->options.mime : guess.mime, out);
}

/* What it is now, which may be long after the folders were looked through. */
static int look_again(struct send *s, struct file *file)
{
	struct stat st;
	if (stat(file->path, &st) != 0)
		return -errno;
	s->totals.bytes += (uint64_t)st.st_size - file->size; /* may wrap around and back */
	file->size = (uint64_t)st.st_size;
	file->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return 0;
}

static void skip(struct send *s, const struct file *file, const char *id)
{
	progress_skipped(&s->show, file->label, id);
	s->totals.skipped++;
	s->totals.settled += file->size;
}

static void begin_file(struct send *s, struct file *file)
{
	char id[TEXT_TITLE];
	struct job made = { 0 };
	int result = look_again(s, file);
	struct leftover *l = s->tus ? NULL : find_leftover(s, file->path);
	if (result == 0 && !s->options.again && !s->options.session &&
	    sent_find(&s->sent, s->options.to.text, file, id, sizeof id)) {
		if (l) /* it ended between the note and the spool's forgetting */
			l->done = hf_spool_discard(s->options.spool, l->session) == 0;
		skip(s, file, id);
		return;
	}
	if (result == 0)
		result = s->tus ? open_upload(s, file, &made.tus) : open_take(s, file, l, &made.take);
	if (result != 0) {
		s->totals.bytes -= file->size;
		send_fail(s, file->label, result == -EINVAL ? "not a regular file" : hf_strerror(result));
		return;
	}
	if (!s->options.again && !s->options.session && sent_find(&s->sent, s->options.to.text, file, id, sizeof id)) {
		/* another process has sent it since: ours was not begun yet */
		if (made.take)
			(void)hf_take_abort(made.take, NULL);
		hf_take_free(made.take);
		tus_free(made.tus);
		skip(s, file, id);
		return;
	}
	struct job *job = job_add(s, file->label, file->size);
	job->take = made.take;
	job->tus = made.tus;
	job->resumed = l != NULL || made.tus;
	job->begun_safe = job->resumed ? UINT64_MAX : 0;
	job_look(job);
	drop_spare(s);
}

bool batch_begin(struct send *s)
{
	while (s->job_count < s->options.jobs && !s->refused) {
		if (s->next_leftover < s->leftover_count) {
			struct leftover *l = &s->leftovers[s->next_leftover++];
			if (is_given(s, l))
				continue;
			l->done = true;
			begin_leftover(s, l);
		} else if (s->next_file < s->files.count) {
			begin_file(s, &s->files.list[s->next_file++]);
		} else {
			return false;
		}
	}
	return true;
}

/* By the codes that docs/protocol.md gives to trouble with the client and not with the take. */
static bool is_refusal(const char *code)
{
	static const char *const codes[] = { "refused",		"unauthorized",	    "token_expired", "token_revoked",
					     "forbidden_scope", "forbidden_origin", "wrong_host" };
	for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (strcmp(code, codes[i]) == 0)
			return true;
	return false;
}

/* Noted before the spool forgets the take: whatever happens between, the file is not sent twice. */
static void note_sent(struct send *s, const struct job *job, const struct file *file, const char *id)
{
	int result = sent_note(&s->sent, s->options.to.text, file, id);
	if (result == 0 && !(job->take && job->take->keep.meta.renewable)) /* nothing else would find it again */
		result = sent_sync(&s->sent);
	if (result != 0)
		progress_note(&s->show, "%s is safe, but that can't be noted: %s", job->label, hf_strerror(result));
}

static void settle_take(struct send *s, struct job *job)
{
	char url[1024];
	const char *path = hf_take_url(job->take);
	const struct keep_meta *meta = &job->take->keep.meta;
	struct file file = { .path = meta->source_path, .size = meta->source_size, .mtime_ns = meta->source_mtime_ns };
	const struct url *to = &s->options.to;
	if (*path == '/')
		snprintf(url, sizeof url, "%s://%s%s", to->tls ? "https" : "http", to->authority, path);
	else
		snprintf(url, sizeof url, "%s", path);
	if (file.path)
		note_sent(s, job, &file, hf_take_id(job->take));
	struct show_saved saved = { .label = job->label,
				    .session = hf_take_session(job->take),
				    .id = hf_take_id(job->take),
				    .sha256 = hf_take_sha256(job->take),
				    .url = url,
				    .bytes = job->item.p.bytes_safe,
				    .reconnects = job->item.p.reconnects };
	progress_saved(&s->show, &saved);
	take_forget(job->take);
}

static void settle_upload(struct send *s, struct job *job)
{
	struct show_saved saved = { .label = job->label,
				    .id = "",
				    .url = tus_url(job->tus),
				    .bytes = job->item.p.bytes_safe,
				    .reconnects = job->item.p.reconnects };
	note_sent(s, job, tus_file(job->tus), tus_url(job->tus));
	tus_settle(job->tus);
	progress_saved(&s->show, &saved);
}

static void settle(struct send *s, struct job *job)
{
	bool saved = job->item.p.state == HF_SAVED;
	if (saved && job->tus)
		settle_upload(s, job);
	else if (saved)
		settle_take(s, job);
	else
		send_fail(s, job->label, job->item.error);
	if (saved) {
		s->totals.saved++;
		s->totals.settled += job->size;
		s->settled_sent += sent_now(job);
	} else {
		s->totals.bytes -= job->size;
		s->refused |= job->tus ? tus_is_refused(job->tus) : is_refusal(hf_take_code(job->take));
	}
	tus_free(job->tus);
	if (job->take == s->input.take) {
		s->input.ended = true; /* also where it failed: there is nowhere to write to */
		if (job->take)
			return;
	}
	if (saved && job->take)
		s->spares[s->spare_count++] = job->take;
	else
		hf_take_free(job->take);
}

static void look_at_all(struct send *s)
{
	uint64_t at_work = 0;
	for (unsigned i = 0; i < s->job_count;) {
		struct job *job = &s->jobs[i];
		job_look(job);
		bool input_failed = job->take && job->take == s->input.take && s->input.failed;
		if (job->item.p.state >= HF_SAVED && !input_failed)
			settle(s, job);
		if (job->item.p.state < HF_SAVED && !input_failed) {
			at_work += sent_now(job);
			i++;
		} else {
			*job = s->jobs[--s->job_count];
		}
	}
	s->totals.sent = s->settled_sent + at_work;
}

void batch_run(struct send *s, int fd, int timeout_ms)
{
	struct hf_take *takes[SEND_JOBS_MAX + 1];
	for (unsigned i = 0; i < s->job_count; i++)
		takes[i] = s->jobs[i].take;
	if (s->tus)
		tus_server_run(s->tus, timeout_ms);
	else
		(void)hf_run(takes, s->job_count, fd, timeout_ms);
	look_at_all(s);
}

void batch_show(struct send *s, uint64_t now_ms)
{
	struct show_item *items[SEND_JOBS_MAX + 1];
	for (unsigned i = 0; i < s->job_count; i++) {
		items[i] = &s->jobs[i].item;
		items[i]->note = s->jobs[i].take && s->jobs[i].take == s->input.take ? input_note(s) : NULL;
	}
	progress_turn(&s->show, items, s->job_count, &s->totals, now_ms);
}

void batch_leave(struct send *s)
{
	bool one = s->totals.files <= 1;
	for (unsigned i = 0; i < s->job_count; i++, s->totals.left++)
		if (one && !s->refused)
			send_fail(s, s->jobs[i].label, "interrupted; the next run with the same --to goes on with it");
	s->totals.left += s->files.count - s->next_file;
	for (; s->next_leftover < s->leftover_count; s->next_leftover++)
		s->totals.left +=
			!is_given(s, &s->leftovers[s->next_leftover]) && !s->leftovers[s->next_leftover].failed;
	s->failed |= s->totals.left > 0;
	if (s->totals.left > 0 && !one)
		progress_note(&s->show, s->refused ? "The server would refuse the others, too; they are left."
						   : "Interrupted; the same command goes on.");
}

void batch_release(struct send *s)
{
	for (unsigned i = 0; i < s->job_count; i++) {
		tus_free(s->jobs[i].tus);
		if (s->jobs[i].take != s->input.take)
			hf_take_free(s->jobs[i].take);
	}
	hf_take_free(s->input.take);
	while (s->spare_count > 0)
		drop_spare(s);
	for (unsigned i = 0; i < s->leftover_count; i++) {
		free(s->leftovers[i].session);
		free(s->leftovers[i].source);
		free(s->leftovers[i].failed);
	}
	free(s->leftovers);
	for (size_t i = 0; i < s->failure_count; i++)
		free(s->failures[i]);
	free(s->failures);
	files_release(&s->files);
	sent_close(&s->sent);
	tus_server_free(s->tus);
}
