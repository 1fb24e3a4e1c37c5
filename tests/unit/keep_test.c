/* The client's spool: what is there after a crash, a reboot, a changed file; and the digest that outlives them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keep.h"
#include "keep_meta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MIB_BYTES = 1024 * 1024 };

static char root[64], spool[96];

static int set_up(void **state)
{
	snprintf(root, sizeof root, "/tmp/holdfast-keep-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(spool, sizeof spool, "%s/a/b", root);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf '%s'", root);
	return system(command);
}

static struct keep make(const char *session)
{
	struct keep k;
	struct keep_meta meta = { .session_id = strdup(session), .url = strdup("ws://h:1/ws"), .name = strdup("n") };
	assert_int_equal(keep_new(spool, &meta, &k), 0);
	assert_null(meta.url); /* taken over */
	return k;
}

static void count_one(void *arg, const struct keep_meta *meta)
{
	++*(unsigned *)arg;
}

static void test_goes_on_after_a_crash(void **state)
{
	struct keep k = make("s/../1");
	assert_int_equal(keep_append(&k, "hello ", 6), 0);
	assert_int_equal(keep_append(&k, "world", 5), 0);
	keep_close(&k); /* no keep_persist: the process died */
	assert_int_equal(keep_open(spool, "s/../1", &k), 0);
	assert_int_equal(k.bytes, 11);
	assert_false(k.rebooted);
	assert_string_equal(k.meta.url, "ws://h:1/ws");
	char data[16];
	size_t len;
	assert_int_equal(keep_read(&k, data, sizeof data, 6, &len), 0);
	assert_int_equal(len, 5);
	assert_memory_equal(data, "world", 5);
	assert_int_equal(keep_append(&k, "!", 1), 0);
	assert_int_equal(k.bytes, 12);
	assert_int_equal(keep_remove(&k), 0);
	keep_close(&k);
	assert_int_equal(keep_open(spool, "s/../1", &k), -ENOENT);
	keep_close(&k);
}

static void test_one_process_at_a_time(void **state)
{
	struct keep k = make("s"), other;
	assert_int_equal(keep_open(spool, "s", &other), -EBUSY);
	keep_close(&other);
	struct keep_meta meta = { .session_id = strdup("s"), .url = strdup("u") };
	assert_int_equal(keep_new(spool, &meta, &other), -EBUSY);
	keep_close(&other);
	assert_int_equal(keep_discard(spool, "s"), -EBUSY);
	keep_close(&k);
	meta = (struct keep_meta){ .session_id = strdup("s"), .url = strdup("u") };
	assert_int_equal(keep_new(spool, &meta, &other), -EEXIST);
	keep_close(&other);
	assert_int_equal(keep_discard(spool, "s"), 0);
	assert_int_equal(keep_discard(spool, "s"), 0);
}

/* A power cut may leave what was not synced without its bytes. */
static void test_renewable_begins_anew(void **state)
{
	char source[96], command[256];
	struct keep k;
	snprintf(source, sizeof source, "%s/source", root);
	snprintf(command, sizeof command, "echo bytes >%s", source);
	assert_int_equal(system(command), 0);
	for (int round = 0; round < 3; round++) {
		struct keep_meta meta = { .session_id = strdup("s"),
					  .url = strdup("ws://h:1/ws"),
					  .renewable = round != 2 };
		meta.source_path = strdup(source);
		assert_int_equal(keep_new(spool, &meta, &k), round < 2 ? 0 : -EEXIST);
		if (round < 2) {
			snprintf(command, sizeof command, ">%s/meta.json", k.path);
			assert_int_equal(system(command), 0);
		}
		keep_close(&k);
	}
	/* one that is whole is there */
	assert_int_equal(keep_discard(spool, "s"), 0);
	for (int round = 0; round < 2; round++) {
		struct keep_meta meta = { .session_id = strdup("s"), .url = strdup("ws://h:1/ws"), .renewable = true };
		meta.source_path = strdup(source);
		assert_int_equal(keep_new(spool, &meta, &k), round == 0 ? 0 : -EEXIST);
		keep_close(&k);
	}
}

/* After a reboot only synced bytes count, whatever the file's length says. */
static void test_reboot_cuts_what_was_not_synced(void **state)
{
	struct keep k = make("s");
	assert_int_equal(keep_append(&k, "synced", 6), 0);
	assert_int_equal(keep_persist(&k), 0);
	assert_int_equal(keep_append(&k, "not", 3), 0);
	char path[256], command[600];
	snprintf(path, sizeof path, "%s/meta.json", k.path);
	keep_close(&k);
	snprintf(command, sizeof command, "sed -i 's/\"bootId\": \"[^\"]*\"/\"bootId\": \"another\"/' '%s'", path);
	assert_int_equal(system(command), 0);
	assert_int_equal(keep_open(spool, "s", &k), 0);
	assert_true(k.rebooted);
	assert_int_equal(k.bytes, 6);
	assert_int_equal(keep_skip_to(&k, 9000), 0);
	assert_int_equal(k.bytes, 9000);
	assert_int_equal(k.meta.low, 9000);
	keep_close(&k);
}

static void test_forgets_with_holes_and_keeps_the_digest(void **state)
{
	struct keep k = make("s");
	struct hash whole, resumed;
	char *block = malloc(MIB_BYTES), state_text[HASH_STATE_HEX], digest[65], expected[65];
	assert_non_null(block);
	hash_init(&whole);
	for (unsigned i = 0; i < 9; i++) {
		memset(block, 'a' + (int)i, MIB_BYTES);
		assert_int_equal(keep_append(&k, block, MIB_BYTES), 0);
		hash_feed(&whole, block, MIB_BYTES);
	}
	assert_null(hash_mark_below(&whole, 4 * MIB_BYTES - 1));
	const struct hash_mark *mark = hash_mark_below(&whole, 8 * MIB_BYTES + 5);
	assert_non_null(mark);
	assert_int_equal(mark->position, 8 * MIB_BYTES);
	hash_state_format(mark, state_text);
	assert_int_equal(keep_forget(&k, mark->position, state_text), 0);
	struct stat st;
	assert_int_equal(fstat(k.data_fd, &st), 0);
	assert_int_equal(st.st_size, 9 * MIB_BYTES);
	assert_true(st.st_blocks * 512 <= 2 * MIB_BYTES);
	hash_digest(&whole, expected);
	keep_close(&k);

	assert_int_equal(keep_open(spool, "s", &k), 0);
	size_t len;
	assert_int_equal(keep_read(&k, block, 1, 0, &len), -ENODATA);
	hash_init(&resumed);
	assert_true(hash_state_parse(&resumed, k.meta.low, k.meta.hash_state));
	assert_int_equal(keep_read(&k, block, MIB_BYTES, k.meta.low, &len), 0);
	hash_feed(&resumed, block, len);
	hash_digest(&resumed, digest);
	assert_string_equal(digest, expected);
	assert_false(hash_state_parse(&resumed, k.meta.low - 64, k.meta.hash_state)); /* of another position */
	k.meta.hash_state[0] = 'z';
	assert_false(hash_state_parse(&resumed, k.meta.low, k.meta.hash_state));
	hash_release(&whole);
	hash_release(&resumed);
	free(block);
	keep_close(&k);
}

static void test_marks_stay_few(void **state)
{
	struct hash h;
	static char block[64 * 1024];
	hash_init(&h);
	h.mark_every = sizeof block; /* small, for the test */
	for (unsigned i = 0; i < 3 * HASH_MARKS; i++)
		hash_feed(&h, block, sizeof block);
	assert_true(h.mark_count <= HASH_MARKS);
	const struct hash_mark *mark = hash_mark_below(&h, 1000 * sizeof block);
	assert_non_null(mark);
	assert_in_range(mark->position, 990 * sizeof block, 1000 * sizeof block);
	hash_release(&h);
}

static int write_source(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	return file && fputs(text, file) >= 0 && fclose(file) == 0 ? 0 : -1;
}

static void test_source_must_not_change(void **state)
{
	char path[128];
	struct keep k;
	snprintf(path, sizeof path, "%s/take.webm", root);
	assert_int_equal(write_source(path, "bytes"), 0);
	struct keep_meta meta = { .session_id = strdup("f"), .url = strdup("u"), .source_path = strdup(path) };
	assert_int_equal(keep_new(spool, &meta, &k), 0);
	assert_int_equal(k.bytes, 5);
	assert_true(k.meta.ended);
	assert_int_equal(keep_check_source(&k), 0);
	keep_close(&k);
	assert_int_equal(keep_open(spool, "f", &k), 0);
	assert_int_equal(write_source(path, "other bytes"), 0);
	assert_int_equal(keep_check_source(&k), -ESTALE);
	keep_close(&k);
	assert_int_equal(keep_open(spool, "f", &k), -ESTALE);
	keep_close(&k);
	unlink(path);
	assert_int_equal(keep_open(spool, "f", &k), -ESTALE);
	keep_close(&k);
	/* nothing is left behind by what could not begin */
	meta = (struct keep_meta){ .session_id = strdup("g"), .url = strdup("u"), .source_path = strdup(path) };
	assert_int_equal(keep_new(spool, &meta, &k), -ENOENT);
	keep_close(&k);
	assert_int_equal(keep_open(spool, "g", &k), -ENOENT);
	keep_close(&k);
	assert_int_equal(keep_discard(spool, "f"), 0);
	assert_int_equal(rmdir(spool), 0);
}

static void count(void *arg, const struct keep_meta *meta)
{
	unsigned *n = arg;
	assert_string_equal(meta->url, "ws://h:1/ws");
	(*n)++;
}

static void test_a_path_is_bytes(void **state)
{
	char path[128];
	struct keep k, other;
	snprintf(path, sizeof path, "%s/\xff\n", root);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs("bytes", file);
	fclose(file);
	struct keep_meta meta = { .session_id = strdup("s"),
				  .url = strdup("ws://h:1/ws"),
				  .source_path = strdup(path) };
	assert_int_equal(keep_new(spool, &meta, &k), 0);
	/* one take of a file at a time */
	struct keep_meta again = { .session_id = strdup("t"),
				   .url = strdup("ws://h:1/ws"),
				   .source_path = strdup(path) };
	assert_int_equal(keep_new(spool, &again, &other), -EBUSY);
	keep_close(&other);
	keep_close(&k);
	assert_int_equal(keep_open(spool, "s", &k), 0);
	assert_string_equal(k.meta.source_path, path);
	keep_close(&k);
}

static void test_what_a_crash_left_is_swept(void **state)
{
	char folder[160], data[192];
	struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	struct keep k = make("s");
	snprintf(folder, sizeof folder, "%s/00112233445566778899aabbccddeeff", spool);
	snprintf(data, sizeof data, "%s/data", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(close(open(data, O_CREAT | O_WRONLY, 0600)), 0);
	unsigned count = 0;
	assert_int_equal(keep_each(spool, count_one, &count), 0);
	assert_int_equal(access(data, F_OK), 0); /* it may be just being made */
	assert_int_equal(utimensat(AT_FDCWD, folder, old, 0), 0);
	assert_int_equal(keep_each(spool, count_one, &count), 0);
	assert_int_equal(access(folder, F_OK), -1);
	assert_int_equal(count, 2); /* the take is there */
	keep_close(&k);
}

static void test_each(void **state)
{
	unsigned n = 0;
	assert_int_equal(keep_each(spool, count, &n), 0); /* no folder yet */
	struct keep a = make("a"), b = make("b");
	char damaged[256];
	snprintf(damaged, sizeof damaged, "%s/meta.json", b.path);
	assert_int_equal(truncate(damaged, 20), 0);
	assert_int_equal(keep_each(spool, count, &n), 0);
	assert_int_equal(n, 1);
	keep_close(&a);
	keep_close(&b);
	assert_int_equal(keep_open(spool, "b", &b), -EBADMSG);
	keep_close(&b);
}

static void test_meta_is_judged(void **state)
{
	struct keep_meta m = { .session_id = strdup("s\"\n"), .url = strdup("u"), .low = 4096, .synced = 5000 }, back;
	char *text = keep_meta_format(&m);
	assert_non_null(text);
	assert_true(keep_meta_parse(text, strlen(text), &back));
	assert_string_equal(back.session_id, "s\"\n");
	assert_int_equal(back.low, 4096);
	assert_null(back.name);
	keep_meta_release(&back);
	const char *const wrong[] = { "", "[]", "{}", "{\"version\":2}",
				      "{\"version\":1,\"sessionId\":1,\"url\":\"u\"}" };
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(keep_meta_parse(wrong[i], strlen(wrong[i]), &back));
	free(text);
	m.low = UINT64_MAX; /* reads back as negative */
	text = keep_meta_format(&m);
	assert_false(keep_meta_parse(text, strlen(text), &back));
	free(text);
	keep_meta_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_goes_on_after_a_crash, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_process_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renewable_begins_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reboot_cuts_what_was_not_synced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgets_with_holes_and_keeps_the_digest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_source_must_not_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_path_is_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_a_crash_left_is_swept, set_up, tear_down),
		cmocka_unit_test(test_marks_stay_few),
		cmocka_unit_test(test_meta_is_judged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
