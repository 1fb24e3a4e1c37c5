/* `holdfast status`, see status.h. Asks the server's control.sock; a terminal is drawn anew from its top each time, so
 * that nothing flickers, and is left as it was found. */
#include "status.h"

#include "base/limits.h"
#include "config/config.h"
#include "control_client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { REDRAW_MS = 1000, NAME_COLUMNS = 28 };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* --- figures --- */

static double number_of(const json_t *object, const char *field)
{
	return json_number_value(json_object_get(object, field));
}

static const char *text_of(const json_t *object, const char *field, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(object, field));
	return text ? text : otherwise;
}

static const char *plural(double count)
{
	return count == 1 ? "" : "s";
}

static const char *size_text(double bytes, char out[24])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	unsigned unit = 0;
	for (; bytes >= 1024 && unit < 4; unit++)
		bytes /= 1024;
	snprintf(out, 24, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
	return out;
}

static const char *duration_text(double ms, char out[24])
{
	unsigned long s = (unsigned long)(ms / 1000);
	if (s >= 86400)
		snprintf(out, 24, "%lud %luh", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(out, 24, "%luh %lum", s / 3600, s / 60 % 60);
	else
		snprintf(out, 24, "%lum %lus", s / 60, s % 60);
	return out;
}

/* --- drawing --- */

struct screen {
	bool live;
	unsigned rows, columns, used;
};

__attribute__((format(printf, 2, 3))) static void line(struct screen *s, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	if (s->live && s->used + 1 >= s->rows)
		return;
	s->used++;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	printf("%s%s\n", text, s->live ? "\033[K" : "");
}

/* A name in at most NAME_COLUMNS characters, cut between two of them. */
static void name_cut(const char *name, char out[NAME_COLUMNS * 4 + 1])
{
	size_t len = 0, chars = 0;
	for (; name[len] && len < NAME_COLUMNS * 4; len++) {
		bool begins = ((unsigned char)name[len] & 0xc0) != 0x80;
		if (begins && chars++ == NAME_COLUMNS)
			break;
		out[len] = name[len];
	}
	out[len] = '\0';
	for (size_t i = chars < NAME_COLUMNS ? chars : NAME_COLUMNS; i < NAME_COLUMNS && len < NAME_COLUMNS * 4; i++)
		out[len++] = ' ';
	out[len] = '\0';
}

static void draw_recording(struct screen *s, const json_t *r)
{
	char bytes[24], name[NAME_COLUMNS * 4 + 1];
	name_cut(text_of(r, "name", text_of(r, "ref", text_of(r, "sessionId", ""))), name);
	/* the id last: it is what a narrow terminal may cut */
	line(s, "%-9s  %-8s  %10s  %s  %s", text_of(r, "phase", "?"),
	     json_is_true(json_object_get(r, "attached")) ? "attached" : "waits",
	     size_text(number_of(r, "bytes"), bytes), name, text_of(r, "id", "?"));
}

static void draw_queue(struct screen *s, const json_t *work, const char *kind, const char *what, const char *lack)
{
	const json_t *q = json_object_get(work, kind);
	double queued = number_of(q, "queued"), running = number_of(q, "running"), failed = number_of(q, "failed"),
	       parked = number_of(q, "parked");
	char ended[64] = "";
	if (parked > 0)
		snprintf(ended, sizeof ended, ", %.0f parked", parked);
	else if (failed > 0)
		snprintf(ended, sizeof ended, ", %.0f failed", failed);
	if (queued + running + failed + parked > 0)
		line(s, "%s: %.0f waiting, %.0f at work%s%s", what, queued, running, ended, lack);
}

static void draw_work(struct screen *s, const json_t *work)
{
	const char *lack = "";
	if (number_of(work, "workers") == 0)
		lack = ", and no workers (--workers 0)";
	else if (number_of(work, "workersAlive") == 0)
		lack = ", no worker lives";
	draw_queue(s, work, "finalize", "finishing", lack);
	draw_queue(s, work, "fetch", "fetching", "");
	draw_queue(s, work, "notify", "webhooks", "");
	draw_queue(s, work, "push", "pushing", "");
	const json_t *last = json_object_get(work, "lastError");
	if (last)
		line(s, "last error, of %s: %s", text_of(last, "id", "?"), text_of(last, "message", "?"));
}

static void draw_authority(struct screen *s, const json_t *a)
{
	if (json_is_object(a))
		line(s, "authority: asked %.0f times, %.0f failed, %.0f refused; %.0f answers known, %.0f awaited",
		     number_of(a, "asked"), number_of(a, "failed"), number_of(a, "refused"), number_of(a, "cached"),
		     number_of(a, "waiting"));
}

static void draw(struct screen *s, const json_t *status)
{
	char up[24], a[24], b[24], c[24];
	const json_t *recordings = json_object_get(status, "recordings");
	size_t count = json_array_size(recordings), shown = 0;
	line(s, "holdfast %s at %s, up %s, %.0f connection%s", text_of(status, "version", "?"),
	     text_of(status, "listen", "?"), duration_text(number_of(status, "uptimeMs"), up),
	     number_of(status, "connections"), plural(number_of(status, "connections")));
	line(s, "%.0f recording%s open, %.0f attached; %s received, %s durable", number_of(status, "takes"),
	     plural(number_of(status, "takes")), number_of(status, "attached"),
	     size_text(number_of(status, "bytesReceived"), a), size_text(number_of(status, "bytesDurable"), b));
	line(s, "%s of %s free, %s kept in reserve%s", size_text(number_of(status, "freeBytes"), a),
	     size_text(number_of(status, "totalBytes"), b), size_text(number_of(status, "reserveBytes"), c),
	     json_is_true(json_object_get(status, "paused")) ? "; reading is paused: the disk is behind" : "");
	draw_work(s, json_object_get(status, "work"));
	draw_authority(s, json_object_get(status, "authority"));
	if (count > 0)
		line(s, "%s", "");
	for (; shown < count && (!s->live || s->used + 3 < s->rows); shown++)
		draw_recording(s, json_array_get(recordings, shown));
	if (number_of(status, "takes") > (double)shown)
		line(s, "… and %.0f more", number_of(status, "takes") - (double)shown);
}

/* --- the command --- */

/* The status, to be released; NULL after a sentence. */
static json_t *ask(const char *dir, struct control_client **server)
{
	json_t *answer = NULL, *request = json_pack("{s:s}", "do", "status");
	enum err err = *server ? ERR_OK : control_connect(dir, server);
	if (err == ERR_OK)
		err = control_ask(*server, request, &answer);
	json_decref(request);
	if (err == ERR_OK && json_is_true(json_object_get(answer, "ok")))
		return answer;
	fprintf(stderr,
		err == ERR_NOT_FOUND ? "holdfast: no server runs on %s\n" : "holdfast: the server on %s went away\n",
		dir);
	json_decref(answer);
	return NULL;
}

static int print_once(const struct config *config, json_t *status)
{
	struct screen s = { 0 };
	if (!config->json) {
		draw(&s, status);
		return 0;
	}
	json_object_del(status, "ok");
	char *text = json_dumps(status, JSON_COMPACT);
	if (text)
		puts(text);
	free(text);
	return text ? 0 : 1;
}

static void draw_live(const json_t *status)
{
	struct winsize size = { 0 };
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	struct screen s = { .live = true, .rows = size.ws_row ? size.ws_row : 24 };
	fputs("\033[H", stdout);
	draw(&s, status);
	fputs("\033[J", stdout);
	fflush(stdout);
}

/* Until Ctrl-C, or the server goes. */
static int follow(const char *dir, struct control_client **server, json_t *status)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	fputs("\033[?1049h\033[?25l\033[?7l", stdout); /* another screen, no cursor, long lines are cut */
	while (status && !interrupted) {
		draw_live(status);
		json_decref(status);
		status = NULL;
		nanosleep(&(struct timespec){ .tv_sec = REDRAW_MS / 1000 }, NULL);
		if (!interrupted)
			status = ask(dir, server);
	}
	fputs("\033[?7h\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	bool gone = !status && !interrupted;
	json_decref(status);
	if (gone) /* what was said on the other screen is lost with it */
		fprintf(stderr, "holdfast: the server on %s went away\n", dir);
	return gone ? 1 : 0;
}

int status_main(int argc, char **argv)
{
	struct config config;
	struct control_client *server = NULL;
	int status = config_load(&config, CONFIG_STATUS, argc, argv, environ);
	if (status == CONFIG_GO) {
		json_t *first = ask(config.data, &server);
		if (!first) {
			status = 1;
		} else if (!config.json && isatty(STDOUT_FILENO)) {
			status = follow(config.data, &server, first);
		} else {
			status = print_once(&config, first);
			json_decref(first);
		}
	}
	control_disconnect(server);
	config_release(&config);
	return status;
}
