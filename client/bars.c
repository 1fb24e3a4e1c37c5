/* Bars in a terminal, see bars.h.
 *
 *   label            ━━━━━━━━━━━━────────   62%   12.3 MiB/s   0:41
 *
 * A narrow terminal has no time, then no rate, then no bar; a note (the link is lost …) stands where bar, rate and time
 * were. */
#include "bars.h"

#include "text.h"

#include <string.h>
#include <sys/ioctl.h>

enum {
	PERCENT = 6, /* "  100%" */
	RATE = 14,   /* "  1023.9 KiB/s" */
	TIME = 10,   /* "  10:59:59" */
	BAR_LEAST = 10,
	BAR_MOST = 48,
	LABEL_LEAST = 12,
};

static const char *const RED = "\033[31m", *const GREEN = "\033[32m", *const YELLOW = "\033[33m",
			 *const DIM = "\033[2m", *const BOLD = "\033[1m", *const PLAIN = "\033[0m";

void bars_bytes(uint64_t bytes, char out[32])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	unsigned unit = 0;
	for (; value >= 1023.95 && unit < 4; unit++)
		value /= 1024;
	snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

void bars_count(uint64_t count, char out[32])
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count), at = 0;
	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
}

void bars_time(uint64_t seconds, char out[32])
{
	unsigned long long minutes = seconds / 60, hours = minutes / 60;
	if (hours > 99)
		snprintf(out, 32, "%llu d", hours / 24);
	else if (hours > 0)
		snprintf(out, 32, "%llu:%02llu:%02llu", hours, minutes % 60, (unsigned long long)seconds % 60);
	else
		snprintf(out, 32, "%llu:%02llu", minutes, (unsigned long long)seconds % 60);
}

/* A line that grows: columns are counted beside bytes. */
struct line {
	char *out;
	size_t len;
	unsigned columns;
	const struct bars_style *style;
};

static void add_raw(struct line *l, const char *bytes)
{
	size_t len = strlen(bytes);
	if (l->len + len >= BARS_LINE - 8) /* room for PLAIN */
		return;
	memcpy(l->out + l->len, bytes, len + 1);
	l->len += len;
}

static void add_color(struct line *l, const char *color)
{
	if (l->style->color)
		add_raw(l, color);
}

static void add_cells(struct line *l, const char *text, unsigned columns, bool keep_end)
{
	char cells[BARS_LINE];
	text_cells(text, columns, (struct text_style){ l->style->utf8, keep_end }, cells, sizeof cells);
	add_raw(l, cells);
	l->columns += columns;
}

/* To the right of a field of `columns`. */
static void add_right(struct line *l, const char *text, unsigned columns)
{
	unsigned width = text_width(text, l->style->utf8);
	add_cells(l, "", columns > width ? columns - width : 0, false);
	add_cells(l, text, width < columns ? width : columns, false);
}

static void add_bar(struct line *l, const struct bar *bar, unsigned columns)
{
	double share = bar->total == 0 ? 1 : (double)bar->done / (double)bar->total;
	unsigned filled = (unsigned)(share * columns + 0.001);
	filled = filled < columns ? filled : columns;
	add_color(l, bar->is_total ? BOLD : "");
	add_color(l, GREEN);
	for (unsigned i = 0; i < columns; i++) {
		if (i == filled) {
			add_color(l, PLAIN);
			add_color(l, DIM);
		}
		add_raw(l, l->style->utf8 ? (i < filled ? "━" : "─") : i < filled ? "#" : ".");
	}
	add_color(l, PLAIN);
	l->columns += columns;
}

static void add_note(struct line *l, const struct bar *bar, unsigned columns)
{
	char bytes[32], text[64];
	if (bar->note) {
		add_color(l, YELLOW);
		add_cells(l, bar->note, columns, false);
		add_color(l, PLAIN);
		return;
	}
	bars_bytes(bar->done, bytes);
	snprintf(text, sizeof text, "%s safe", bytes);
	add_cells(l, text, columns, false);
}

static void add_figures(struct line *l, const struct bar *bar, bool with_rate, bool with_time)
{
	char text[48];
	if (with_rate) {
		bars_bytes(bar->rate, text);
		strncat(text, "/s", sizeof text - strlen(text) - 1);
		add_color(l, DIM);
		add_right(l, bar->rate ? text : "", RATE);
		add_color(l, PLAIN);
	}
	if (with_time) {
		bool known = bar->rate > 0 && bar->total != UINT64_MAX && bar->total > bar->done;
		bars_time(known ? (bar->total - bar->done + bar->rate - 1) / bar->rate : 0, text);
		add_right(l, known ? text : "", TIME);
	}
}

unsigned bars_line(const struct bar *bar, const struct bars_style *style, char out[BARS_LINE])
{
	struct line l = { .out = out, .style = style };
	unsigned columns = style->columns, label = style->label_columns;
	char percent[16] = "";
	out[0] = '\0';
	bool with_bar = columns >= LABEL_LEAST + BAR_LEAST + PERCENT + 2;
	bool with_rate = columns >= LABEL_LEAST + BAR_LEAST + PERCENT + RATE + 4;
	bool with_time = with_rate && columns >= LABEL_LEAST + BAR_LEAST + PERCENT + RATE + TIME + 8;
	unsigned right = PERCENT + (with_rate ? RATE : 0) + (with_time ? TIME : 0);
	if (columns <= PERCENT + 2)
		return 0;
	unsigned most = columns - right - (with_bar ? BAR_LEAST + 2 : 0);
	label = label < most && with_bar ? label : most;
	add_color(&l, bar->has_failures ? RED : bar->is_total ? BOLD : "");
	add_cells(&l, bar->label, label, true);
	add_color(&l, PLAIN);
	if (with_bar) {
		unsigned room = columns - label - (bar->note ? PERCENT : right) - 2;
		room = room < BAR_MOST || bar->note ? room : BAR_MOST;
		add_cells(&l, "", 2, false);
		if (bar->note || bar->total == UINT64_MAX)
			add_note(&l, bar, room);
		else
			add_bar(&l, bar, room);
	}
	if (bar->total != UINT64_MAX) /* all of it only when it is all */
		snprintf(percent, sizeof percent, "%u%%",
			 bar->total == 0 ? 100 : (unsigned)((double)bar->done / (double)bar->total * 100));
	add_right(&l, percent, PERCENT);
	if (!bar->note)
		add_figures(&l, bar, with_rate, with_time);
	return l.columns;
}

static void back_to_first(struct bars *b, unsigned columns, FILE *to)
{
	unsigned rows = 0;
	for (unsigned i = 0; i < b->drawn; i++) /* those that a narrower terminal has wrapped take more */
		rows += b->widths[i] > columns ? (b->widths[i] + columns - 1) / columns : 1;
	if (rows > 1)
		fprintf(to, "\033[%uA", rows - 1);
	if (rows > 0)
		fputc('\r', to);
}

void bars_size(int fd, struct bars_style *out)
{
	struct winsize size;
	bool known = ioctl(fd, TIOCGWINSZ, &size) == 0;
	out->rows = known && size.ws_row > 0 ? size.ws_row : 24;
	out->columns = known && size.ws_col > 0 ? size.ws_col : 80;
}

void bars_clear(struct bars *b, unsigned columns, FILE *to)
{
	if (b->drawn == 0)
		return;
	back_to_first(b, columns, to);
	fputs("\033[J", to);
	b->drawn = 0;
}

static void choose_label_columns(struct bars *b, const struct bar *list, unsigned count, struct bars_style *style)
{
	unsigned most = style->columns * 2 / 5;
	for (unsigned i = 0; i < count; i++) {
		unsigned width = text_width(list[i].label, style->utf8);
		b->label_columns = width > b->label_columns ? width : b->label_columns;
	}
	style->label_columns = b->label_columns < most ? b->label_columns : most;
	if (style->label_columns < LABEL_LEAST)
		style->label_columns = LABEL_LEAST;
}

void bars_draw(struct bars *b, const struct bar *list, unsigned count, struct bars_style style, FILE *to)
{
	char line[BARS_LINE];
	unsigned columns = style.columns, line_count = 0;
	style.columns = columns - 1 < BARS_MAX_COLUMNS ? columns - 1 : BARS_MAX_COLUMNS;
	choose_label_columns(b, list, count, &style);
	unsigned most = style.rows > 2 ? style.rows - 1 : 1;
	most = most < BARS_LINES ? most : BARS_LINES;
	back_to_first(b, columns, to);
	for (unsigned i = 0; i < count; i++) {
		if (i + 1 < count && line_count + 1 >= most)
			continue; /* of what has no room, the last one, which is the total, stays */
		unsigned width = bars_line(&list[i], &style, line);
		fprintf(to, "%s%s\033[K", line_count > 0 ? "\n" : "", line);
		b->widths[line_count++] = width;
	}
	b->drawn = line_count;
	fputs("\033[J", to);
}
