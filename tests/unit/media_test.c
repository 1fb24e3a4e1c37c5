/* Published media: attempts, publishing once and again, what a worker may not say, and a disk that dies at every call.
 */
#include "sim/disk.h"
#include "store/media.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct uuid id_of(unsigned n)
{
	const uint8_t random[10] = { (uint8_t)n };
	return uuid_v7(1700000000000, random);
}

static struct media_info media(uint32_t revision, uint64_t bytes)
{
	return (struct media_info){
		.revision = revision,
		.bytes = bytes,
		.duration_ms = 2500,
		.mime = "video/webm",
		.ext = "webm",
		.published_ms = 77,
	};
}

/* Writes `content` as the attempt's file. */
static enum err seal(struct vfs *vfs, struct media_attempt *a, uint32_t epoch, const char *content)
{
	struct uuid id = id_of(1);
	struct media_info facts = media(1, strlen(content));
	enum err err = media_attempt_open(vfs, &id, 1, epoch, a);
	if (err == ERR_OK)
		err = vfs_file_write(a->files[MEDIA_FILE], content, strlen(content), 0);
	return err == ERR_OK ? media_attempt_seal(vfs, a, &facts) : err;
}

static enum err finish(struct vfs *vfs, struct media_attempt *a, size_t bytes)
{
	struct media_info facts = media(1, bytes);
	facts.has_thumbnail = true;
	enum err err = vfs_file_write(a->files[MEDIA_THUMBNAIL], "jpeg", 4, 0);
	return err == ERR_OK ? media_attempt_finish(vfs, a, &facts) : err;
}

static void assert_content(struct vfs *vfs, const char *path, const char *content)
{
	char *text;
	size_t len;
	assert_int_equal(vfs_read_all(vfs, path, 4096, &text, &len), ERR_OK);
	assert_string_equal(text, content);
	free(text);
}

static void assert_published(struct vfs *vfs, const char *content, bool thumbnail)
{
	struct uuid id = id_of(1);
	struct media_info read;
	char path[MEDIA_PATH];
	const char *why;
	assert_int_equal(media_read(vfs, &id, &read), ERR_OK);
	assert_int_equal(media_check(vfs, &id, &read, &why), ERR_OK);
	assert_int_equal(read.revision, 1);
	assert_int_equal(read.bytes, strlen(content));
	assert_int_equal(read.duration_ms, 2500);
	assert_int_equal(read.published_ms, 77);
	assert_string_equal(read.mime, "video/webm");
	assert_int_equal(read.has_thumbnail, thumbnail);
	assert_false(read.has_waveform);
	media_part_path(&id, &read, MEDIA_FILE, path);
	assert_content(vfs, path, content);
	if (thumbnail) {
		media_part_path(&id, &read, MEDIA_THUMBNAIL, path);
		assert_content(vfs, path, "jpeg");
	}
}

static enum err count_entry(void *arg, const char *name)
{
	(*(unsigned *)arg)++;
	return ERR_OK;
}

static unsigned entries(struct vfs *vfs, const char *path)
{
	unsigned count = 0;
	enum err err = vfs_list(vfs, path, count_entry, &count);
	assert_true(err == ERR_OK || err == ERR_NOT_FOUND);
	return count;
}

static unsigned folders(struct vfs *vfs)
{
	struct uuid id = id_of(1);
	char text[UUID_TEXT], path[64];
	uuid_format(&id, text);
	snprintf(path, sizeof path, "media/%s", text);
	return entries(vfs, path);
}

static int setup(void **state)
{
	struct disk *disk;
	assert_int_equal(disk_new(1, &disk), ERR_OK);
	*state = disk;
	return 0;
}

static int teardown(void **state)
{
	disk_free(*state);
	return 0;
}

static void what_is_published_stands_there_whole(void **state)
{
	struct vfs *vfs = disk_vfs(*state);
	struct uuid id = id_of(1);
	struct media_attempt a;
	struct media_info read;
	assert_int_equal(seal(vfs, &a, 1, "remuxed"), ERR_OK);
	assert_int_equal(media_read(vfs, &id, &read), ERR_NOT_FOUND);
	assert_int_equal(media_attempt_publish(vfs, &a), ERR_OK);
	assert_published(vfs, "remuxed", false);
	assert_int_equal(media_attempt_publish(vfs, &a), ERR_OK); /* the transaction had to be repeated */
	assert_published(vfs, "remuxed", false);
	assert_int_equal(finish(vfs, &a, 7), ERR_OK);
	assert_int_equal(finish(vfs, &a, 7), ERR_OK);
	media_attempt_close(vfs, &a, true); /* what is published is not discarded */
	assert_published(vfs, "remuxed", true);
	disk_power_cut(*state, DISK_LOSS_ALL);
	assert_published(vfs, "remuxed", true);
	assert_int_equal(folders(vfs), 1);
	assert_int_equal(media_remove(vfs, &id, 1), ERR_OK);
	assert_published(vfs, "remuxed", true);
	assert_int_equal(media_remove(vfs, &id, 0), ERR_OK);
	assert_int_equal(entries(vfs, "media"), 0);
	assert_int_equal(media_remove(vfs, &id, 0), ERR_OK);
}

static void an_attempt_that_is_given_up_leaves_nothing(void **state)
{
	struct vfs *vfs = disk_vfs(*state);
	struct media_attempt a, b;
	assert_int_equal(seal(vfs, &a, 1, "remuxed"), ERR_OK);
	media_attempt_close(vfs, &a, true);
	assert_int_equal(folders(vfs), 0);
	assert_int_equal(media_attempt_publish(vfs, &a), ERR_NOT_FOUND);
	/* nor does one that nobody closed, once the next begins */
	assert_int_equal(seal(vfs, &a, 2, "remuxed"), ERR_OK);
	media_attempt_close(vfs, &a, false);
	assert_int_equal(seal(vfs, &b, 3, "again"), ERR_OK);
	assert_int_equal(folders(vfs), 1);
	media_attempt_close(vfs, &b, true);
}

static void a_revision_may_be_made_again(void **state)
{
	struct vfs *vfs = disk_vfs(*state);
	struct media_attempt first, second;
	assert_int_equal(seal(vfs, &first, 1, "remuxed"), ERR_OK);
	assert_int_equal(media_attempt_publish(vfs, &first), ERR_OK);
	assert_int_equal(seal(vfs, &second, 2, "once more"), ERR_OK);
	assert_published(vfs, "remuxed", false); /* as long as it takes */
	assert_int_equal(media_attempt_publish(vfs, &second), ERR_OK);
	assert_published(vfs, "once more", false);
	assert_int_equal(media_attempt_publish(vfs, &first), ERR_NOT_FOUND);
	assert_int_equal(finish(vfs, &first, 7), ERR_NOT_FOUND); /* too late */
	assert_int_equal(finish(vfs, &second, 9), ERR_OK);
	assert_published(vfs, "once more", true);
	assert_int_equal(folders(vfs), 1);
	media_attempt_close(vfs, &first, true);
	media_attempt_close(vfs, &second, false);
	/* a catalog that was made again counts its epochs from the beginning */
	assert_int_equal(seal(vfs, &first, 2, "anew"), ERR_OK);
	assert_int_equal(media_attempt_publish(vfs, &first), ERR_OK);
	assert_published(vfs, "anew", false);
	media_attempt_close(vfs, &first, false);
}

static void bytes_as_received_have_no_file(void **state)
{
	struct vfs *vfs = disk_vfs(*state);
	struct uuid id = id_of(1);
	struct media_attempt a;
	struct media_info facts = { .revision = 3, .as_is = true, .bytes = 5, .duration_ms = -1 }, read;
	char path[MEDIA_PATH];
	assert_int_equal(media_attempt_open(vfs, &id, 3, 1, &a), ERR_OK);
	assert_int_equal(media_attempt_seal(vfs, &a, &facts), ERR_OK);
	assert_int_equal(media_attempt_publish(vfs, &a), ERR_OK);
	assert_int_equal(media_attempt_finish(vfs, &a, &facts), ERR_OK);
	media_attempt_close(vfs, &a, false);
	assert_int_equal(media_read(vfs, &id, &read), ERR_OK);
	assert_true(read.as_is && read.bytes == 5 && read.duration_ms == -1 && read.revision == 3);
	media_part_path(&id, &read, MEDIA_FILE, path);
	*strrchr(path, '/') = '\0';
	assert_int_equal(entries(vfs, path), 1); /* media.json */
}

static void a_worker_that_lies_is_not_believed(void **state)
{
	static const char *const names[] = { "../../x", "we/bm", "", "WEBM", "a.b" };
	struct vfs *vfs = disk_vfs(*state);
	struct uuid id = id_of(1);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct media_attempt a;
		struct media_info facts = media(1, *names[i] ? 0 : 5);
		snprintf(facts.ext, sizeof facts.ext, "%s", names[i]);
		assert_int_equal(media_attempt_open(vfs, &id, 1, 1, &a), ERR_OK);
		assert_int_equal(media_attempt_seal(vfs, &a, &facts), ERR_CHECK_FAILED);
		media_attempt_close(vfs, &a, true);
	}
	struct media_attempt a;
	assert_int_equal(seal(vfs, &a, 1, "remuxed"), ERR_OK);
	assert_int_equal(media_attempt_publish(vfs, &a), ERR_OK);
	assert_int_equal(finish(vfs, &a, 8), ERR_CHECK_FAILED); /* another size than was published */
	media_attempt_close(vfs, &a, true);
	assert_published(vfs, "remuxed", false);
}

static void damage_is_found(void **state)
{
	struct vfs *vfs = disk_vfs(*state);
	struct uuid id = id_of(1);
	struct media_attempt a;
	struct media_info facts = media(1, 7), read;
	struct vfs_file *file;
	char path[MEDIA_PATH];
	const char *why;
	assert_int_equal(seal(vfs, &a, 1, "remuxed"), ERR_OK);
	assert_int_equal(media_attempt_publish(vfs, &a), ERR_OK);
	media_attempt_close(vfs, &a, false);
	assert_int_equal(media_check(vfs, &id, &facts, &why), ERR_OK);
	media_part_path(&id, &facts, MEDIA_FILE, path);
	assert_int_equal(vfs_open(vfs, path, VFS_WRITE, &file), ERR_OK);
	assert_int_equal(vfs_file_truncate(file, 6), ERR_OK);
	vfs_file_close(file);
	assert_int_equal(media_check(vfs, &id, &facts, &why), ERR_CORRUPT);
	assert_int_equal(media_read(vfs, &id, &read), ERR_NOT_FOUND);
	assert_int_equal(vfs_unlink(vfs, path), ERR_OK);
	assert_int_equal(media_check(vfs, &id, &facts, &why), ERR_NOT_FOUND);
	assert_string_equal(why, "its file is missing");
}

/* Two attempts at the same revision; true when all calls were made. `told`: what was reported as published. */
static bool two_attempts(struct vfs *vfs, const char **told)
{
	struct media_attempt a, b;
	*told = NULL;
	bool fine = seal(vfs, &a, 1, "remuxed") == ERR_OK && media_attempt_publish(vfs, &a) == ERR_OK;
	if (fine)
		*told = "remuxed";
	media_attempt_close(vfs, &a, false);
	if (!fine)
		return false;
	fine = seal(vfs, &b, 2, "once more") == ERR_OK;
	if (fine && media_attempt_publish(vfs, &b) == ERR_OK)
		*told = "once more";
	else
		fine = false;
	fine = fine && finish(vfs, &b, 9) == ERR_OK;
	media_attempt_close(vfs, &b, false);
	return fine;
}

static void no_crash_loses_what_was_published(void **state)
{
	for (int loss = 0; loss < DISK_LOSSES; loss++) {
		bool all = false;
		for (unsigned calls = 1; !all; calls++) {
			struct disk *disk;
			struct uuid id = id_of(1);
			const char *told;
			struct media_info read;
			struct media_attempt next;
			assert_int_equal(disk_new(100 * calls + (unsigned)loss, &disk), ERR_OK);
			struct vfs *vfs = disk_vfs(disk);
			disk_die_after(disk, calls);
			all = two_attempts(vfs, &told);
			disk_power_cut(disk, (enum disk_loss)loss);
			/* recovery cleans up, the next attempt begins, and what was told of is there */
			assert_int_equal(media_remove(vfs, &id, told ? 1 : 0), ERR_OK);
			enum err err = media_read(vfs, &id, &read);
			if (told && err != ERR_OK)
				fail_msg("loss %d after %u calls: what was published is gone", loss, calls);
			assert_int_equal(media_attempt_open(vfs, &id, 1, 9, &next), ERR_OK);
			if (err == ERR_OK && told && strcmp(told, "once more") == 0)
				assert_published(vfs, "once more", read.has_thumbnail);
			if (all)
				assert_true(read.has_thumbnail);
			assert_int_equal(media_attempt_seal(vfs, &next, &(struct media_info){ .as_is = true }), ERR_OK);
			assert_int_equal(media_attempt_publish(vfs, &next), ERR_OK);
			media_attempt_close(vfs, &next, false);
			assert_int_equal(folders(vfs), 1);
			disk_free(disk);
		}
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_published_stands_there_whole),
		TEST(an_attempt_that_is_given_up_leaves_nothing),
		TEST(a_revision_may_be_made_again),
		TEST(bytes_as_received_have_no_file),
		TEST(a_worker_that_lies_is_not_believed),
		TEST(damage_is_found),
		cmocka_unit_test(no_crash_loses_what_was_published),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
