/* Progress of `holdfast send`, see progress.h. */
#include "progress.h"

#include "text.h"

#include <jansson.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REDRAW_MS = 100, JSON_MS = 500, LINE_MS = 5000, FLAP_MS = 1000, RATE_MS = 250, SHOWN = 1024, AGAIN = 50 };

static const char *const states[] = { "connecting", "sending", "saved", "failed" };

static void print_json(json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	json_decref(object);
	if (text)
		puts(text);
	fflush(stdout);
	free(text);
}

/* Names of files are bytes, JSON is text. */
static void set_text(json_t *object, const char *key, const char *bytes)
{
	size_t size = 3 * strlen(bytes) + 1; /* a byte that is no UTF-8 becomes three */
	char *text = malloc(size);
	json_t *value = json_string(bytes);
	if (!value && text) {
		text_shown(bytes, true, text, size);
		value = json_string(text);
	}
	json_object_set_new(object, key, value);
	free(text);
}

static json_t *json_begin(const char *type, const char *label)
{
	json_t *object = json_object();
	json_object_set_new(object, "type", json_string(type));
	if (label)
		set_text(object, "source", label);
	return object;
}

static void set_count(json_t *object, const char *key, uint64_t count)
{
	json_object_set_new(object, key, json_integer((json_int_t)count));
}

/* A name must not steer the terminal. */
static const char *shown(const struct progress *s, const char *bytes, char out[SHOWN])
{
	text_shown(bytes, s->utf8, out, SHOWN);
	return out;
}

static uint64_t rate_add(struct rate *r, uint64_t bytes, uint64_t now_ms)
{
	unsigned newest = (r->next + SHOW_SAMPLES - 1) % SHOW_SAMPLES;
	if (r->count == 0 || now_ms - r->samples[newest].ms >= RATE_MS) {
		r->samples[r->next].ms = now_ms;
		r->samples[r->next].bytes = bytes;
		r->next = (r->next + 1) % SHOW_SAMPLES;
		if (r->count < SHOW_SAMPLES)
			r->count++;
	}
	unsigned oldest = (r->next + SHOW_SAMPLES - r->count) % SHOW_SAMPLES;
	uint64_t ms = now_ms - r->samples[oldest].ms;
	return ms > 0 && bytes > r->samples[oldest].bytes ? (bytes - r->samples[oldest].bytes) * 1000 / ms : 0;
}

/* What is drawn leaves in one piece: nothing flickers. */
static void draw_bars(struct progress *s, const struct bar *list, unsigned count)
{
	struct bars_style style = { .utf8 = s->utf8, .color = s->color };
	char *text = NULL;
	size_t len = 0;
	bars_size(STDERR_FILENO, &style);
	FILE *memory = open_memstream(&text, &len);
	if (!memory)
		return;
	if (list)
		bars_draw(&s->bars, list, count, style, memory);
	else
		bars_clear(&s->bars, style.columns, memory);
	fclose(memory);
	fwrite(text, 1, len, stderr);
	free(text);
}

static void clear(struct progress *s)
{
	if (s->bars.drawn > 0)
		draw_bars(s, NULL, 0);
}

void progress_init(struct progress *s, bool json, bool quiet)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	setlocale(LC_CTYPE, "");
	*s = (struct progress){ .json = json, .quiet = quiet };
	s->terminal = !json && !quiet && isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
	s->hush = s->terminal && isatty(STDOUT_FILENO);
	s->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	s->color = !no_color || !*no_color;
}

void progress_begin(struct progress *s, size_t files, uint64_t now_ms)
{
	s->many = files > 1;
	s->began_ms = now_ms;
}

static void item_json(const struct show_item *item)
{
	const struct hf_progress *p = &item->p;
	json_t *object = json_begin("progress", item->label);
	if (item->session)
		json_object_set_new(object, "session", json_string(item->session));
	json_object_set_new(object, "state", json_string(states[p->state]));
	set_count(object, "bytesRead", p->bytes_read);
	set_count(object, "bytesSafe", p->bytes_safe);
	if (p->bytes_total != UINT64_MAX)
		set_count(object, "bytesTotal", p->bytes_total);
	set_count(object, "reconnects", p->reconnects);
	if (p->state == HF_CONNECTING && *item->error)
		set_text(object, "error", item->error);
	print_json(object);
}

/* An error without its code, which is for programs. */
static const char *sentence_of(const char *error)
{
	size_t code = strspn(error, "abcdefghijklmnopqrstuvwxyz_");
	return code > 0 && strncmp(error + code, ": ", 2) == 0 ? error + code + 2 : error;
}

/* Why it does not move, or "". */
static void trouble(const struct show_item *item, char out[256])
{
	out[0] = '\0';
	if (item->note)
		snprintf(out, 256, "%s", item->note);
	else if (item->p.state == HF_CONNECTING && item->p.retry_in_ms > 0)
		snprintf(out, 256, "next try in %llu s: %.180s", (unsigned long long)(item->p.retry_in_ms + 999) / 1000,
			 sentence_of(item->error));
	else if (item->p.state == HF_CONNECTING && item->p.reconnects > 0)
		snprintf(out, 256, "connecting");
}

static void item_line(const struct progress *s, struct show_item *item, uint64_t now_ms)
{
	char read[32], safe[32], speed[32], state[256], label[SHOWN], why[SHOWN];
	bars_bytes(item->p.bytes_read, read);
	bars_bytes(item->p.bytes_safe, safe);
	bars_bytes(rate_add(&item->rate, item->p.bytes_safe, now_ms), speed);
	trouble(item, state);
	fprintf(stderr, "%s: %s read, %s safe, %s/s, %s\n", shown(s, item->label, label), read, safe, speed,
		*state ? shown(s, state, why) : states[item->p.state]);
}

/* Without a terminal each take speaks for itself, if there is only one; JSON has all of them. */
static void item_turn(struct progress *s, struct show_item *item, uint64_t now_ms)
{
	const struct hf_progress *p = &item->p;
	/* a link that flickers is not told line by line */
	bool changed = item->told_ms == 0 ||
		       (p->state != item->told_state && (p->state >= HF_SAVED || now_ms - item->told_ms >= FLAP_MS));
	bool due = now_ms - item->told_ms >= (s->json ? JSON_MS : LINE_MS) &&
		   (item->note || p->bytes_safe != item->told_safe);
	if (!changed && !due)
		return;
	item->told_ms = now_ms;
	item->told_state = p->state;
	item->told_safe = p->bytes_safe;
	if (s->json)
		item_json(item);
	else
		item_line(s, item, now_ms);
}

static uint64_t done_bytes(struct show_item *const *items, size_t count, const struct show_totals *totals)
{
	uint64_t done = totals->settled;
	for (size_t i = 0; i < count; i++)
		if (items[i]->counted)
			done += items[i]->shown;
	return done < totals->bytes ? done : totals->bytes;
}

static void total_label(const struct show_totals *t, char out[128])
{
	char safe[32], files[32], failed[32];
	bars_count(t->saved + t->skipped, safe);
	bars_count(t->files, files);
	bars_count(t->failed, failed);
	if (t->failed)
		snprintf(out, 128, "%s of %s safe, %s failed", safe, files, failed);
	else
		snprintf(out, 128, "%s of %s safe", safe, files);
}

/* What keeps all of them from moving; "" when one moves. */
static void common_trouble(struct show_item *const *items, size_t count, char out[256])
{
	out[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		trouble(items[i], out);
		if (!*out)
			return;
	}
}

static void total_line(struct progress *s, struct show_item *const *items, size_t count,
		       const struct show_totals *totals, uint64_t now_ms)
{
	char label[128], state[256], why[SHOWN], done[32], bytes[32], speed[32];
	uint64_t rate = rate_add(&s->rate, totals->sent, now_ms);
	common_trouble(items, count, state);
	bool changed = (*state != '\0') != s->told_waiting && now_ms - s->told_ms >= FLAP_MS;
	if (s->told_ms && !changed && now_ms - s->told_ms < LINE_MS)
		return;
	s->told_ms = now_ms;
	s->told_waiting = *state != '\0';
	total_label(totals, label);
	bars_bytes(done_bytes(items, count, totals), done);
	bars_bytes(totals->bytes, bytes);
	bars_bytes(rate, speed);
	fprintf(stderr, "%s; %s of %s, %s/s, %s\n", label, done, bytes, speed,
		*state ? shown(s, state, why) : "sending");
}

static void draw(struct progress *s, struct show_item *const *items, size_t count, const struct show_totals *totals,
		 uint64_t now_ms)
{
	struct bar list[BARS_LINES];
	char troubles[BARS_LINES][256], label[128], all[256];
	unsigned lines = 0;
	for (size_t i = 0; i < count && lines + 1 < BARS_LINES; i++, lines++) {
		struct show_item *item = items[i];
		trouble(item, troubles[lines]);
		list[lines] = (struct bar){ .label = item->label,
					    .done = item->shown,
					    .total = item->p.bytes_total,
					    .rate = rate_add(&item->rate, item->shown, now_ms),
					    .note = *troubles[lines] ? troubles[lines] : NULL };
	}
	if (s->many) {
		total_label(totals, label);
		common_trouble(items, count, all);
		uint64_t rate = rate_add(&s->rate, totals->sent, now_ms);
		list[lines++] = (struct bar){ .label = label,
					      .done = done_bytes(items, count, totals),
					      .total = totals->bytes,
					      .rate = *all ? 0 : rate, /* nothing moves: no time is a guess */
					      .is_total = true,
					      .has_failures = totals->failed > 0 };
	}
	draw_bars(s, list, lines);
}

void progress_turn(struct progress *s, struct show_item **items, size_t count, const struct show_totals *totals,
		   uint64_t now_ms)
{
	if (s->quiet)
		return;
	if (!s->terminal && (s->json || !s->many)) {
		for (size_t i = 0; i < count; i++)
			item_turn(s, items[i], now_ms);
		return;
	}
	if (!s->terminal) {
		total_line(s, items, count, totals, now_ms);
	} else if (now_ms - s->told_ms >= REDRAW_MS || s->bars.drawn == 0) {
		s->told_ms = now_ms;
		draw(s, items, count, totals, now_ms);
	}
}

void progress_saved(struct progress *s, const struct show_saved *saved)
{
	char label[SHOWN];
	if (s->json) {
		json_t *object = json_begin("saved", saved->label);
		if (saved->session)
			json_object_set_new(object, "session", json_string(saved->session));
		json_object_set_new(object, "id", json_string(saved->id));
		set_count(object, "bytes", saved->bytes);
		if (saved->sha256)
			json_object_set_new(object, "sha256", json_string(saved->sha256));
		json_object_set_new(object, "url", json_string(saved->url));
		set_count(object, "reconnects", saved->reconnects);
		print_json(object);
		return;
	}
	if (s->quiet || (s->many && s->hush))
		return;
	clear(s);
	printf("saved %s: %llu bytes", shown(s, saved->label, label), (unsigned long long)saved->bytes);
	if (*saved->id)
		printf(", id %s", saved->id);
	if (saved->sha256)
		printf(", sha256 %s", saved->sha256);
	printf(", %s\n", saved->url);
	fflush(stdout);
}

void progress_skipped(struct progress *s, const char *label, const char *id)
{
	char text[SHOWN];
	if (s->json) {
		json_t *object = json_begin("skipped", label);
		json_object_set_new(object, "id", json_string(id));
		print_json(object);
	} else if (!s->many && !s->quiet) {
		printf("safe already %s: id %s (--again sends it anew)\n", shown(s, label, text), id);
		fflush(stdout);
	}
}

void progress_failed(struct progress *s, const char *label, const char *why)
{
	char text[SHOWN], reason[SHOWN];
	if (s->json) {
		json_t *object = json_begin("failed", label);
		set_text(object, "error", why);
		print_json(object);
		return;
	}
	clear(s);
	bool color = s->terminal && s->color;
	fprintf(stderr, "%sholdfast: %s: %s%s\n", color ? "\033[31m" : "", shown(s, label, text), shown(s, why, reason),
		color ? "\033[0m" : "");
}

void progress_note(struct progress *s, const char *format, ...)
{
	char text[SHOWN], safe[SHOWN];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (s->json) {
		json_t *object = json_begin("note", NULL);
		set_text(object, "message", text);
		print_json(object);
	} else if (!s->quiet) {
		clear(s);
		fprintf(stderr, "%s\n", shown(s, text, safe));
	}
}

static void summary_json(const struct show_totals *t)
{
	json_t *object = json_begin("summary", NULL);
	set_count(object, "files", t->files);
	set_count(object, "saved", t->saved);
	set_count(object, "skipped", t->skipped);
	set_count(object, "failed", t->failed);
	set_count(object, "left", t->left);
	print_json(object);
}

static void summary_part(size_t count, const char *what)
{
	char text[32];
	bars_count(count, text);
	if (count > 0)
		fprintf(stderr, ", %s %s", text, what);
}

void progress_summary(struct progress *s, const struct show_totals *t, const char *const *failures, uint64_t now_ms)
{
	char files[32], saved[32], bytes[32], time[32], text[SHOWN];
	if (s->json) {
		if (t->files != 1) /* of one file the last line says it all */
			summary_json(t);
		return;
	}
	clear(s);
	if (!s->many || s->quiet)
		return;
	bars_count(t->files, files);
	bars_count(t->saved, saved);
	bars_bytes(t->sent, bytes);
	bars_time((now_ms - s->began_ms + 500) / 1000, time);
	fprintf(stderr, "%s files: %s saved (%s in %s)", files, saved, bytes, time);
	summary_part(t->skipped, "safe already");
	summary_part(t->failed, "failed");
	summary_part(t->left, "left for the next run");
	fputs(t->failed ? ":\n" : "\n", stderr);
	for (size_t i = 0; failures && failures[i] && i < AGAIN; i++)
		fprintf(stderr, "  %s\n", shown(s, failures[i], text));
	if (t->failed > AGAIN)
		fprintf(stderr, "  … and %zu more, above\n", t->failed - AGAIN);
}
