/* The parts of `holdfast send`: names, bars, files and folders, what is noted as safe, its command line, tus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bars.h"
#include "files.h"
#include "send_options.h"
#include "sent.h"
#include "text.h"
#include "tus_record.h"
#include "tus_request.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_titles(void **state)
{
	char out[TEXT_TITLE], longest[TEXT_TITLE_CHARS * 2 + 1] = "";
	text_title("sub/take one.webm", out);
	assert_string_equal(out, "sub/take one.webm");
	text_title("a\nb\x7f\xc2\x85", out);
	assert_string_equal(out, "a\xef\xbf\xbd"
				 "b\xef\xbf\xbd\xef\xbf\xbd");
	text_title("\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80.", out); /* overlong, a surrogate, too large */
	for (const char *at = out; *at && *at != '.';)
		assert_int_equal(text_next(&at), 0xfffd);
	memset(longest, 'x', sizeof longest - 1);
	memcpy(longest + sizeof longest - 4, "end", 4);
	text_title(longest, out);
	assert_int_equal(strlen(out), 3 + TEXT_TITLE_CHARS - 1);
	assert_memory_equal(out, "\xe2\x80\xa6xxx", 6);
	assert_string_equal(out + strlen(out) - 3, "end");
	longest[TEXT_TITLE_CHARS] = '\0';
	text_title(longest, out);
	assert_string_equal(out, longest);
	text_title("\xe6\x97", out); /* cut short at the end */
	assert_string_equal(out, "\xef\xbf\xbd\xef\xbf\xbd");
}

static void assert_cells(const char *bytes, unsigned columns, bool keep_end, const char *expected)
{
	char out[200];
	text_cells(bytes, columns, (struct text_style){ true, keep_end }, out, sizeof out);
	assert_string_equal(out, expected);
}

static void test_cells(void **state)
{
	char out[200];
	assert_cells("take", 6, true, "take  ");
	assert_cells("a long name.webm", 10, true,
		     "a l\xe2\x80\xa6"
		     "e.webm");
	assert_cells("a long sentence", 10, false, "a long se\xe2\x80\xa6");
	assert_cells("\xe6\x97\xa5\xe6\x9c\xac", 4, true, "\xe6\x97\xa5\xe6\x9c\xac");
	assert_cells("\x1b[31m", 5, true, "\xef\xbf\xbd[31m");
	assert_cells("\xe2\x80\xae"
		     "cod",
		     4, true,
		     "\xef\xbf\xbd"
		     "cod"); /* turns the direction */
	assert_cells("abc", 0, true, "");
	assert_cells("abc", 1, true, "\xe2\x80\xa6");
	text_cells("\xe6\x97\xa5"
		   "a long name",
		   5, (struct text_style){ false, true }, out, sizeof out);
	assert_string_equal(out, "?~ame");
	/* whatever is cut where: exactly so many columns */
	for (unsigned columns = 0; columns < 30; columns++) {
		text_cells("a\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e long \xe6\x97\xa5\xe6\x9c\xac.webm", columns,
			   (struct text_style){ true, true }, out, sizeof out);
		assert_int_equal(text_width(out, true), columns);
	}
	text_cells("does not fit", 12, (struct text_style){ true, true }, out, 5);
	assert_string_equal(out, "does");
}

static void test_figures(void **state)
{
	char out[32];
	const struct {
		uint64_t bytes;
		const char *text;
	} bytes[] = { { 0, "0 B" },
		      { 1023, "1023 B" },
		      { 1024, "1.0 KiB" },
		      { 1048575, "1.0 MiB" },
		      { UINT64_MAX, "16777216.0 TiB" } };
	for (unsigned i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
		bars_bytes(bytes[i].bytes, out);
		assert_string_equal(out, bytes[i].text);
	}
	bars_count(1234567, out);
	assert_string_equal(out, "1,234,567");
	bars_count(999, out);
	assert_string_equal(out, "999");
	bars_time(61, out);
	assert_string_equal(out, "1:01");
	bars_time(3600 + 62, out);
	assert_string_equal(out, "1:01:02");
	bars_time(400 * 3600, out);
	assert_string_equal(out, "16 d");
}

static void test_lines(void **state)
{
	char out[BARS_LINE];
	struct bar bar = { .label = "take.webm", .done = 50, .total = 100, .rate = 10 };
	struct bars_style style = { .columns = 70, .label_columns = 12 };
	assert_int_equal(bars_line(&bar, &style, out), 70);
	assert_string_equal(out, "take.webm     #############.............   50%        10 B/s      0:05");
	style.columns = 40;
	bars_line(&bar, &style, out);
	assert_string_equal(out, "take.webm     ##########..........   50%");
	style.columns = 20;
	assert_int_equal(bars_line(&bar, &style, out), 20);
	assert_string_equal(out, "take.webm        50%");
	style.columns = 5;
	assert_int_equal(bars_line(&bar, &style, out), 0);
	bar.done = 199;
	bar.total = 200;
	style.columns = 70;
	bars_line(&bar, &style, out);
	assert_non_null(strstr(out, " 99%")); /* all only when it is all */
	/* no line is wider than it may be, however odd */
	const uint64_t totals[] = { 0, 1, UINT64_MAX - 1, UINT64_MAX };
	for (unsigned columns = 0; columns < 170; columns++)
		for (unsigned i = 0; i < 8; i++) {
			struct bar odd = { .label = "\xe6\x97\xa5\xe6\x9c\xac a long name",
					   .done = i & 1 ? UINT64_MAX - 1 : 0,
					   .total = totals[i / 2],
					   .rate = UINT64_MAX,
					   .note = i == 3 ? "the link is lost" : NULL };
			struct bars_style any = {
				.utf8 = true, .color = true, .columns = columns, .label_columns = 12
			};
			assert_true(bars_line(&odd, &any, out) <= columns);
			assert_true(strlen(out) < BARS_LINE);
		}
}

static void test_drawing(void **state)
{
	char *text = NULL;
	size_t len;
	struct bars bars = { 0 };
	const struct bar list[] = { { .label = "one", .total = 1 },
				    { .label = "two", .total = 1 },
				    { .label = "all", .total = 1 } };
	FILE *to = open_memstream(&text, &len);
	struct bars_style style = { .rows = 24, .columns = 80 };
	bars_draw(&bars, list, 3, style, to);
	assert_int_equal(bars.drawn, 3);
	style.columns = 40; /* narrower: those lines wrapped, and take two rows each */
	bars_draw(&bars, list, 3, style, to);
	fflush(to);
	assert_non_null(strstr(text, "\033[5A\r"));
	style.rows = 3; /* no room for all: the total stays */
	bars_draw(&bars, list, 3, style, to);
	assert_int_equal(bars.drawn, 2);
	bars_clear(&bars, 40, to);
	assert_int_equal(bars.drawn, 0);
	fclose(to);
	assert_non_null(strstr(text + len - 160, "all"));
	assert_null(strstr(text + len - 90, "two"));
	free(text);
}

static char root[64];

static int make_root(void **state)
{
	snprintf(root, sizeof root, "/tmp/holdfast-send-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command);
}

static char *put(const char *name, const char *bytes)
{
	static char path[512];
	snprintf(path, sizeof path, "%s/%s", root, name);
	for (char *slash = strchr(path + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(bytes, file);
	fclose(file);
	return path;
}

static unsigned failures;

static void on_failed(void *arg, const char *label, const char *why)
{
	failures++;
}

static void test_files(void **state)
{
	char argument[128];
	struct files files = { .failed = on_failed };
	put("d/b", "22");
	put("d/a", "1");
	put("d/sub/c", "333");
	put("d/.hidden", "h");
	put("d/.folder/x", "h");
	snprintf(argument, sizeof argument, "%s/d/loop", root);
	assert_int_equal(symlink(".", argument), 0);
	snprintf(argument, sizeof argument, "%s/d//", root);
	failures = 0;
	assert_true(files_add(&files, argument));
	assert_true(files_add(&files, put("d/a", "1")));
	assert_true(files_add(&files, "/nowhere/at/all"));
	assert_true(files_add(&files, "/dev/null"));
	files_settle(&files);
	assert_int_equal(failures, 2);
	assert_int_equal(files.count, 3); /* one of them was named twice */
	assert_int_equal(files.bytes, 6);
	assert_string_equal(files.list[0].name, "a");
	assert_string_equal(files.list[1].name, "b");
	assert_string_equal(files.list[2].name, "sub/c");
	assert_string_equal(files.list[2].label + strlen(root), "/d/sub/c");
	assert_int_equal(files.hidden_left, 2);
	assert_int_equal(files.links_left, 1);
	assert_ptr_equal(files_find(&files, files.list[1].path), &files.list[1]);
	assert_null(files_find(&files, "/other"));
	files_release(&files);
}

static void test_sent(void **state)
{
	char id[64];
	struct sent sent, other;
	struct file file = { .path = (char *)"/a\n\xff", .size = 3, .mtime_ns = 5 }, changed = file;
	assert_int_equal(sent_open(root, &sent), 0);
	assert_int_equal(sent_open(root, &other), 0);
	assert_false(sent_find(&sent, "s", &file, id, sizeof id));
	assert_int_equal(sent_note(&sent, "s", &file, "id-1"), 0);
	assert_true(sent_find(&other, "s", &file, id, sizeof id)); /* another process sees it */
	assert_string_equal(id, "id-1");
	changed.mtime_ns++;
	assert_false(sent_find(&sent, "s", &changed, id, sizeof id));
	assert_false(sent_find(&sent, "t", &file, id, sizeof id));
	assert_int_equal(sent_note(&sent, "s", &changed, "no id"), -EINVAL);
	for (int i = 0; i < 1000; i++) {
		changed.size = (uint64_t)i;
		snprintf(id, sizeof id, "id-%d", i);
		assert_int_equal(sent_note(&sent, "many", &changed, id), 0);
	}
	/* a line that a crash cut short, and one of nobody's */
	assert_int_equal(write(sent.fd, "nonsense\n0123456789abcdef", 25), 25);
	sent_close(&sent);
	sent_close(&other);
	assert_int_equal(sent_open(root, &sent), 0);
	changed.size = 777;
	assert_true(sent_find(&sent, "many", &changed, id, sizeof id));
	assert_string_equal(id, "id-777");
	assert_int_equal(sent_note(&sent, "after", &file, "id-2"), 0);
	sent_close(&sent);
	assert_int_equal(sent_open(root, &sent), 0);
	assert_true(sent_find(&sent, "after", &file, id, sizeof id));
	sent_close(&sent);
	assert_int_equal(sent_open("/nowhere", &sent), -ENOENT);
	assert_false(sent_find(&sent, "s", &file, id, sizeof id));
	assert_int_equal(sent_note(&sent, "s", &file, "id"), -EBADF);
	sent_close(&sent);
}

static void test_sessions(void **state)
{
	struct sent sent, again;
	char session[SENT_KEY], other[SENT_KEY];
	struct file file = { .path = (char *)"/a", .size = 3, .mtime_ns = 5 };
	assert_int_equal(sent_open(root, &sent), 0);
	assert_true(sent_session(&sent, "s", &file, session));
	assert_int_equal(strlen(session), SENT_KEY - 1);
	assert_int_equal(sent_open(root, &again), 0);
	assert_true(sent_session(&again, "s", &file, other));
	assert_string_equal(session, other);
	assert_true(sent_session(&again, "t", &file, other));
	assert_string_not_equal(session, other);
	file.mtime_ns++;
	assert_true(sent_session(&again, "s", &file, other));
	assert_string_not_equal(session, other);
	file.mtime_ns--;
	memset(again.device, '0', SENT_KEY - 1); /* another device */
	assert_true(sent_session(&again, "s", &file, other));
	assert_string_not_equal(session, other);
	*again.device = '\0';
	assert_false(sent_session(&again, "s", &file, other));
	sent_close(&sent);
	sent_close(&again);
}

static void test_records(void **state)
{
	struct tus_record record, other;
	struct file file = { .path = (char *)"/take", .size = 3, .mtime_ns = -5 };
	assert_int_equal(tus_record_open(&record, root, "http://s/files", &file), 0);
	assert_null(record.url);
	assert_int_equal(tus_record_open(&other, root, "http://s/files", &file), -EBUSY);
	tus_record_close(&other);
	assert_int_equal(tus_record_set(&record, "http://s/files/1 2", &file), 0);
	tus_record_close(&record);
	assert_int_equal(tus_record_open(&record, root, "http://s/files", &file), 0);
	assert_string_equal(record.url, "http://s/files/1 2");
	assert_int_equal(tus_record_open(&other, root, "http://t/files", &file), 0);
	assert_null(other.url);
	tus_record_close(&other);
	tus_record_close(&record);
	file.size = 4; /* it changed: what was begun is of no use */
	assert_int_equal(tus_record_open(&record, root, "http://s/files", &file), 0);
	assert_null(record.url);
	assert_int_equal(ftruncate(record.fd, 10), 0); /* cut short */
	tus_record_close(&record);
	file.size = 3;
	assert_int_equal(tus_record_open(&record, root, "http://s/files", &file), 0);
	assert_null(record.url);
	tus_record_close(&record);
}

static void test_locations(void **state)
{
	const struct {
		const char *base, *location, *url;
	} cases[] = {
		{ "http://h:1080/files/", "/files/1", "http://h:1080/files/1" },
		{ "http://h:1080/files/", "1?a=b", "http://h:1080/files/1?a=b" },
		{ "https://h/files", "//other/1", "https://other/1" },
		{ "http://h/files", "https://h/files/1", "https://h/files/1" },
	};
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *url = tus_url_resolve(cases[i].base, cases[i].location);
		assert_string_equal(url, cases[i].url);
		free(url);
	}
	assert_null(tus_url_resolve("http://h/", ""));
	assert_true(tus_url_same_origin("http://h/files", "http://H:80/other"));
	assert_false(tus_url_same_origin("https://h/files", "http://h/files"));
	assert_false(tus_url_same_origin("http://h/files", "http://h:81/files"));
	assert_false(tus_url_same_origin("http://h/files", "http://h.evil/files"));
	struct tus_answer answer = { .text = "{\"title\":\"No\",\"detail\":\"Not now.\"}" };
	char sentence[100];
	tus_answer_sentence(&answer, sentence, sizeof sentence);
	assert_string_equal(sentence, "Not now.");
	snprintf(answer.text, sizeof answer.text, "one\r\ntwo");
	tus_answer_sentence(&answer, sentence, sizeof sentence);
	assert_string_equal(sentence, "one");
	snprintf(answer.text, sizeof answer.text, "<html>");
	tus_answer_sentence(&answer, sentence, sizeof sentence);
	assert_string_equal(sentence, "");
}

static int parse(struct send_options *out, const char *const *arguments)
{
	char *argv[16] = { (char *)"send" };
	int argc = 1;
	for (; *arguments; arguments++)
		argv[argc++] = (char *)*arguments;
	return send_options_parse(out, argc, argv);
}

static void test_options(void **state)
{
	struct send_options o;
	setenv("HOLDFAST_TOKEN", "from the environment", 1);
	setenv("HOLDFAST_TO", "http://environment", 1);
	assert_int_equal(parse(&o, (const char *[]){ "--spool=x", "https://h/files/", "a", "--tus-chunk=8M", NULL }),
			 SEND_GO);
	assert_string_equal(o.address, "https://h/files/");
	assert_int_equal(o.protocol, SEND_ASK);
	assert_int_equal(o.tus_chunk, 8 << 20);
	assert_int_equal(o.jobs, 4);
	assert_int_equal(o.input_count, 1);
	assert_string_equal(o.token, "from the environment");
	send_options_release(&o);
	char *path = put("token", "hf1.x.y\r\n");
	assert_int_equal(parse(&o, (const char *[]){ "--spool=x", "--token-file", path, "a", NULL }), SEND_GO);
	assert_string_equal(o.address, "http://environment");
	assert_int_equal(o.protocol, SEND_HOLDFAST); /* no path: it is not asked */
	assert_string_equal(o.token, "hf1.x.y");
	send_options_release(&o);
	assert_int_equal(parse(&o, (const char *[]){ "--spool=x", "--to=http://h/prefix", "-", NULL }), SEND_GO);
	assert_int_equal(o.protocol, SEND_HOLDFAST); /* what is live does not wait for an answer */
	send_options_release(&o);
	assert_int_equal(parse(&o, (const char *[]){ "--spool=x", "--to=http://h", "--tus", "a", NULL }), SEND_GO);
	assert_int_equal(o.protocol, SEND_TUS);
	send_options_release(&o);
}

int main(void)
{
	setlocale(LC_CTYPE, "C.UTF-8");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_titles),
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_drawing),
		cmocka_unit_test_setup_teardown(test_files, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_sent, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_sessions, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_records, make_root, remove_root),
		cmocka_unit_test(test_locations),
		cmocka_unit_test_setup_teardown(test_options, make_root, remove_root),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
