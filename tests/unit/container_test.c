/* Where listeners may join: each container by its rules, the same however the stream is cut, and back again behind
 * noise. */
#include "base/limits.h"
#include "proto/container.h"
#include "support/live_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct live live;

static int begin(void **state)
{
	live_init(&live);
	return 0;
}

static int end(void **state)
{
	live_release(&live);
	return 0;
}

struct hearing {
	struct container_scan scan;
	struct buf marks;
	const struct live *live;
};

/* The header is the stream's own bytes, but for a Segment's length. */
static void header_check(const struct hearing *h, uint64_t at, const uint8_t *header, size_t len)
{
	static uint8_t own[LIMIT_LIVE_HEADER_BYTES];
	assert_true(at + len <= h->live->data.len);
	memcpy(own, h->live->data.data + at, len);
	uint8_t *segment = len > 0 ? memmem(own, len, "\x18\x53\x80\x67", 4) : NULL;
	if (segment)
		memcpy(segment + 4, "\x01\xff\xff\xff\xff\xff\xff\xff", 8);
	if (len > 0)
		assert_memory_equal(header, own, len);
}

static void hear(void *arg, enum container_mark what, uint64_t at)
{
	struct hearing *h = arg;
	size_t len;
	const uint8_t *header = container_scan_header(&h->scan, &len);
	if (what == CONTAINER_MARK_JOIN) {
		buf_addf(&h->marks, "J%zu ", (size_t)at);
		return;
	}
	buf_addf(&h->marks, "H%zu+%zu:%s ", (size_t)at, len, container_scan_mime(&h->scan));
	assert_int_equal(container_scan_unknown(&h->scan),
			 !strcmp(container_scan_mime(&h->scan), "application/octet-stream"));
	header_check(h, at, header, len);
}

/* Feeds [from, to) in copies of their own, so that a read beyond is seen. */
static void feed(struct hearing *h, size_t from, size_t to, size_t step)
{
	for (size_t at = from; at < to;) {
		size_t len = to - at < step ? to - at : step;
		uint8_t *copy = malloc(len);
		assert_non_null(copy);
		memcpy(copy, h->live->data.data + at, len);
		container_scan_feed(&h->scan, copy, len);
		free(copy);
		at += len;
	}
}

/* Scans it all in pieces of `step`, the first one of `first` bytes. */
static void scan_is(const struct live *l, size_t first, size_t step, const char *want)
{
	struct hearing h = { .live = l };
	size_t part = l->part_at ? l->part_at : l->data.len;
	container_scan_init(&h.scan, hear, &h);
	buf_add_text(&h.marks, "");
	feed(&h, 0, first < part ? first : part, SIZE_MAX);
	feed(&h, first < part ? first : part, part, step);
	if (part < l->data.len) {
		container_scan_part(&h.scan);
		feed(&h, part, l->data.len, step);
	}
	assert_string_equal(h.marks.data, want);
	container_scan_release(&h.scan);
	buf_release(&h.marks);
}

/* What was written is told as written, whole, in pieces, byte by byte, and cut in two: at each place of a short
 * stream, at every fifth of a longer one. */
static void check(void)
{
	const char *want = live.want.data ? live.want.data : "";
	scan_is(&live, 0, SIZE_MAX, want);
	scan_is(&live, 0, 1, want);
	scan_is(&live, 0, 7, want);
	scan_is(&live, 0, 4096, want);
	for (size_t cut = 1; cut < live.data.len && live.data.len < 16 * 1024; cut += live.data.len < 4096 ? 1 : 5)
		scan_is(&live, cut, SIZE_MAX, want);
}

static void webm_of_sound_joins_at_clusters(void **state)
{
	webm_header(&live, false, false);
	for (int i = 0; i < 4; i++) {
		live_join(&live);
		webm_sound(&live, 3, 900);
	}
	check();
}

static void webm_with_lengths_gets_an_open_segment(void **state)
{
	webm_header(&live, false, true);
	live_join(&live);
	webm_cluster(&live, 6 + 2508);
	webm_block(&live, 1, true, 2500 + 1);
	live_join(&live);
	webm_cluster(&live, 6 + 2508);
	webm_block(&live, 1, true, 2500 + 1);
	live_bytes(&live, "\x1c\x53\xbb\x6b\x83xyz", 8); /* Cues */
	check();
}

static void webm_of_video_joins_at_keyframes(void **state)
{
	webm_header(&live, true, false);
	live_join(&live); /* sound comes first */
	webm_cluster(&live, 0);
	webm_block(&live, 1, true, 300);
	webm_block(&live, 2, true, 2000);
	webm_cluster(&live, 0); /* another picture is not the first */
	webm_block(&live, 2, false, 2000);
	webm_block(&live, 2, true, 2000);
	webm_sound(&live, 1, 3000); /* no picture */
	webm_cluster(&live, 0);
	webm_group(&live, 2, true, 2500);
	live_join(&live);
	webm_cluster(&live, 0);
	webm_group(&live, 1, false, 300);
	webm_group(&live, 2, false, 2500);
	webm_cluster(&live, 0);
	live.data.len -= 7; /* no Timecode */
	webm_block(&live, 2, true, 2500);
	check();
}

static void webm_begins_anew_inside_of_a_block(void **state)
{
	webm_header(&live, false, false);
	live_join(&live);
	webm_sound(&live, 3, 900);
	live_join(&live);
	webm_cluster(&live, 4000);
	webm_block(&live, 1, true, 3000);
	webm_header(&live, true, true);
	live_join(&live);
	webm_cluster(&live, 0);
	webm_block(&live, 2, true, 2500);
	check();
}

static void webm_finds_its_way_behind_noise(void **state)
{
	webm_header(&live, false, false);
	live_join(&live);
	webm_sound(&live, 3, 900);
	live_bytes(&live, "\x02", 1);
	live_noise(&live, 3000);
	/* not a Cluster: no Timecode follows, but a block that would lead beyond the next one */
	live_bytes(&live, "\x1f\x43\xb6\x75\xff\xa3\x10\x00\x20\x00", 10);
	live_noise(&live, 3000);
	live_join(&live);
	webm_sound(&live, 3, 900);
	live_bytes(&live, "\xb6\x10\x0f\x00\x00", 5); /* nothing that may stand in a Cluster */
	live_noise(&live, 100);
	live_join(&live);
	webm_cluster(&live, 2000);
	live_bytes(&live, "\xa3\x10\x00\x20\x00", 5); /* longer than its Cluster, and beyond the next one */
	live_noise(&live, 3000);
	live_join(&live);
	webm_cluster(&live, 100000); /* its end is not that of the next one */
	live_bytes(&live, "\x02", 1);
	live_noise(&live, 3000);
	live_join(&live);
	webm_sound(&live, 3, 900);
	live_bytes(&live, "\x02", 1);
	live_noise(&live, 3000);
	webm_header(&live, false, false);
	live_join(&live);
	webm_sound(&live, 3, 900);
	check();
}

static void webm_with_a_broken_header_waits_for_another(void **state)
{
	webm_header(&live, false, false);
	live.want.len = 0;
	live_bytes(&live, "\xb6\x40\xff", 3); /* nothing that may stand in a Segment */
	webm_sound(&live, 3, 900);
	webm_sound(&live, 3, 900);
	webm_header(&live, false, false);
	live_join(&live);
	webm_sound(&live, 3, 900);
	check();
}

static void webm_is_lost_inside_of_a_group(void **state)
{
	webm_header(&live, true, false);
	webm_cluster(&live, 0);
	live_bytes(&live, "\xa0\x10\x00\x20\x00\xa1\x84\x82\0\0\0\x02", 12); /* a block of video, then noise */
	live_noise(&live, 3000);
	live_join(&live);
	webm_cluster(&live, 0);
	webm_block(&live, 2, true, 2500);
	check();
}

static void matroska_says_so(void **state)
{
	webm_header(&live, true, false);
	memcpy(memmem(live.data.data, live.data.len, "webm", 4), "matr", 4);
	live.want.len = 0;
	buf_addf(&live.want, "H0+%zu:video/x-matroska J%zu ", live.data.len, live.data.len);
	webm_cluster(&live, 0);
	webm_block(&live, 2, true, 2500);
	check();
}

static void a_header_too_large_is_unknown(void **state)
{
	webm_header(&live, false, false);
	live.want.len = 0;
	while (live.data.len <= LIMIT_LIVE_HEADER_BYTES) {
		live_bytes(&live, "\x12\x54\xc3\x67\x60\x00", 6); /* Tags of 8 KiB */
		live_noise(&live, 8192);
	}
	webm_sound(&live, 3, 900);
	webm_sound(&live, 3, 900);
	buf_add_text(&live.want, "H0+0:application/octet-stream ");
	live.part_at = live.data.len;
	mp3_frames(&live, 3);
	buf_addf(&live.want, "H%zu+0:audio/mpeg J%zu ", live.part_at, live.part_at);
	check();
}

static void mp4_of_sound_joins_at_fragments(void **state)
{
	mp4_header(&live, false, 0);
	live_join(&live);
	mp4_fragment(&live, false);
	live_join(&live);
	mp4_box(&live, "styp", "msdh\0\0\0\0msdh", 12);
	mp4_box(&live, "prft", "\0\0\0\0\0\0\0\0", 8);
	mp4_fragment(&live, false);
	mp4_fragment(&live, true); /* its data is at a place that a latecomer's stream does not have */
	mp4_box(&live, "sidx", "\0\0\0\0", 4);
	mp4_box(&live, "free", "", 0);
	live_join(&live);
	mp4_fragment(&live, false);
	mp4_header(&live, true, SYNC);
	live_join(&live);
	mp4_video(&live, SAYS_TREX, 0);
	mp4_header(&live, false, 0);
	live_join(&live);
	mp4_fragment(&live, false);
	check();
}

static void mp4_of_video_joins_at_sync_samples(void **state)
{
	mp4_header(&live, true, NOT_SYNC);
	for (enum mp4_says says = SAYS_TREX; says <= SAYS_SAMPLE; says++) {
		mp4_video(&live, says, NOT_SYNC);
		if (says != SAYS_TREX)
			live_join(&live);
		mp4_video(&live, says, SYNC);
	}
	mp4_video(&live, SAYS_FIRST, 0x01000000); /* made from others, whatever else it says */
	mp4_video(&live, SAYS_FIRST, 0x00010000);
	mp4_fragment(&live, false); /* no picture */
	check();
}

static void mp4_with_media_before_its_header_waits_for_another(void **state)
{
	mp4_box(&live, "ftyp", "isom\0\0\0\0", 8);
	live_bytes(&live, "\0\x12\0\0mdat", 8);
	live_noise(&live, 0x120000 - 8);
	mp4_header(&live, false, 0);
	live_join(&live);
	mp4_fragment(&live, false);
	check();
}

static void mp4_finds_its_way_behind_noise(void **state)
{
	mp4_header(&live, false, 0);
	live_join(&live);
	mp4_fragment(&live, false);
	live_bytes(&live, "\0\0\0\7free", 8);
	live_noise(&live, 3000);
	live_bytes(&live,
		   "\0\0\x10\0moof\0\0\xf\xf8" /* not a moof, and beyond the next one */
		   "free",
		   16);
	live_noise(&live, 3000);
	live_join(&live);
	mp4_fragment(&live, false);
	live_bytes(&live, "\0\0\0\x40moof\0\0\x40\0free", 16); /* what is in it does not fit */
	live_noise(&live, 3000);
	live_join(&live);
	mp4_fragment(&live, false);
	live_bytes(&live, "\0\0\0\0mdat", 8); /* "up to the end" */
	live_noise(&live, 3000);
	mp4_header(&live, false, 0);
	live_join(&live);
	mp4_fragment(&live, false);
	check();
}

static void ogg_joins_where_packets_begin(void **state)
{
	ogg_page(&live, &(struct ogg_page){ 5, OGG_BEGINS, 0, "OpusHead\1\2", 10, 19, false });
	ogg_page(&live, &(struct ogg_page){ 5, 0, 0, "OpusTags", 8, 510, true }); /* and no more of that */
	ogg_opus(&live, 7);
	live_join(&live);
	ogg_page(&live, &(struct ogg_page){ 7, 0, 960, "", 0, 5100, true });
	ogg_page(&live, &(struct ogg_page){ 7, OGG_CONTINUES, 1920, "", 0, 3000, false });
	ogg_page(&live, &(struct ogg_page){ 8, 0, 1920, "", 0, 3000, false }); /* a stream that never began */
	ogg_page(&live, &(struct ogg_page){ 7, 0, 1920, "", 0, 0, true });     /* nothing in it */
	live_join(&live);
	ogg_page(&live, &(struct ogg_page){ 7, OGG_ENDS, 2880, "", 0, 3000, false });
	ogg_opus(&live, 9); /* the next chain */
	live_join(&live);
	ogg_page(&live, &(struct ogg_page){ 9, 0, 960, "", 0, 300, false });
	check();
}

static void ogg_with_video_joins_at_keyframes(void **state)
{
	live_header_begin(&live);
	ogg_page(&live, &(struct ogg_page){ 1, OGG_BEGINS, 0, "\x80theora", 7, 42, false });
	ogg_page(&live, &(struct ogg_page){ 2, OGG_BEGINS, 0, "\x01vorbis", 7, 30, false });
	ogg_page(&live, &(struct ogg_page){ 1, 0, 0, "\x81theora", 7, 60, false });
	ogg_page(&live, &(struct ogg_page){ 2, 0, 0, "\x03vorbis", 7, 60, false });
	ogg_page(&live, &(struct ogg_page){ 2, 0, 0, "\x05vorbis", 7, 600, false });
	ogg_page(&live, &(struct ogg_page){ 1, 0, 0, "\x82theora", 7, 600, false });
	live_header_end(&live, "video/ogg");
	ogg_page(&live, &(struct ogg_page){ 2, 0, 1024, "\x30", 1, 3000, false });
	live_join(&live);
	ogg_page(&live, &(struct ogg_page){ 1, 0, 64, "\x30", 1, 3000, false });
	ogg_page(&live, &(struct ogg_page){ 1, 0, 65, "\x70", 1, 3000, false });
	live_bytes(&live, "OggS\0\0\x42\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\2\0\1\x30", 30);
	ogg_page(&live,
		 &(struct ogg_page){ 1, 0, 67, "\x70", 1, 3000, false }); /* before it: an empty frame, then a key */
	ogg_opus(&live, 2);
	live_join(&live);
	ogg_page(&live, &(struct ogg_page){ 2, 0, 960, "", 0, 300, false });
	check();
}

static void ogg_flac_and_strangers_have_headers(void **state)
{
	live_header_begin(&live);
	ogg_page(&live, &(struct ogg_page){ 1, OGG_BEGINS, 0,
					    "\x7f"
					    "FLAC\1\0\0\1fLaC",
					    13, 51, false });
	ogg_page(&live, &(struct ogg_page){ 1, 0, 0, "\x84", 1, 60, false });
	live_header_end(&live, "audio/ogg");
	live_join(&live);
	ogg_page(&live, &(struct ogg_page){ 1, 0, 4096, "", 0, 300, false });
	live_header_begin(&live);
	ogg_page(&live, &(struct ogg_page){ 2, OGG_BEGINS, 0,
					    "\x7f"
					    "FLAC\1\0\0\0fLaC",
					    13, 51, false });
	ogg_page(&live, &(struct ogg_page){ 3, OGG_BEGINS, 0, "stranger", 8, 51, false });
	ogg_page(&live, &(struct ogg_page){ 2, 0, 0, "", 0, 60, false });
	live_header_end(&live, "audio/ogg");
	live_join(&live);
	ogg_page(&live, &(struct ogg_page){ 2, 0, 4096, "", 0, 300, false });
	check();
}

static void ogg_finds_its_way_behind_noise(void **state)
{
	ogg_opus(&live, 7);
	live_join(&live);
	ogg_page(&live, &(struct ogg_page){ 7, 0, 960, "", 0, 3000, false });
	live_noise(&live, 3000);
	live_bytes(&live, "OggS\0\0", 6); /* no page: what follows it is none */
	live_noise(&live, 12000);
	ogg_page(&live, &(struct ogg_page){ 7, 0, 1920, "", 0, 3000, false });
	live_join(&live);
	ogg_page(&live, &(struct ogg_page){ 7, 0, 2880, "", 0, 3000, false });
	check();
}

static void frames_are_joined_anywhere_behind_a_tag(void **state)
{
	buf_add_text(&live.want, "H0+0:audio/mpeg ");
	id3_tag(&live, 20000);
	for (int i = 0; i < 3; i++) {
		live_join(&live);
		mp3_frames(&live, 3);
	}
	live_bytes(&live, "\xff\xf1\x4c\x80\x57\x9f\xfc", 7); /* a head, but of other frames */
	live_noise(&live, 1000);
	check();
}

static void frames_begin_inside_of_one(void **state)
{
	buf_add_text(&live.want, "H0+0:audio/aac ");
	live_bytes(&live, "\xff\xfb\xe4\x64", 4); /* a head of MP3 that leads to nothing */
	live_noise(&live, 1000);
	live_join(&live);
	adts_frames(&live, 3);
	live_join(&live);
	adts_frames(&live, 3);
	live_noise(&live, 100);
	live_bytes(&live, "\xff\xf1\x4c\x80\x57\x9f\xfc", 7); /* a head that leads to nothing */
	live_noise(&live, 800);
	live_bytes(&live, "ID3\4\0\0\0\0\x10\x34", 10); /* a tag of 2,100 bytes */
	adts_frames(&live, 3);
	live_join(&live);
	adts_frames(&live, 2);
	check();
}

static void noise_is_unknown(void **state)
{
	live_noise(&live, LIMIT_LIVE_SNIFF_BYTES + 9); /* nine more are needed to look at the last */
	check();
	live_noise(&live, 1);
	buf_add_text(&live.want, "H0+0:application/octet-stream ");
	check();
	webm_header(&live, false, false);
	webm_sound(&live, 3, 900);
	live.want.len = strlen("H0+0:application/octet-stream ");
	live.want.data[live.want.len] = '\0';
	check();
}

static void other_formats_are_unknown_at_once(void **state)
{
	live_bytes(&live, "fLaC\0\0\0\x22\x10\0", 10);
	buf_add_text(&live.want, "H0+0:application/octet-stream ");
	live.part_at = live.data.len;
	live_bytes(&live, "RIFF\xff\xff\xff\xffWAVE", 12);
	buf_add_text(&live.want, "H10+0:application/octet-stream ");
	check();
}

static void a_part_that_is_told_begins_anew(void **state)
{
	webm_header(&live, false, false);
	live_join(&live);
	webm_sound(&live, 3, 900);
	live.data.len -= 500; /* cut inside of a block */
	live.part_at = live.data.len;
	mp4_header(&live, false, 0);
	live_join(&live);
	mp4_fragment(&live, false);
	check();
}

static void a_part_begins_anew_behind_noise_or_half_a_head(void **state)
{
	webm_header(&live, false, false);
	live_join(&live);
	webm_sound(&live, 3, 900);
	live_bytes(&live, "\x02", 1);
	live_noise(&live, 300);
	live_bytes(&live, "\x1f\x43\xb6", 3);
	live.part_at = live.data.len;
	mp4_header(&live, false, 0);
	live_join(&live);
	mp4_fragment(&live, false);
	check();
}

static void the_old_header_stays_until_the_new_one_is_whole(void **state)
{
	struct hearing h = { .live = &live };
	size_t len;
	container_scan_init(&h.scan, hear, &h);
	container_scan_header(&h.scan, &len);
	assert_int_equal(len, 0);
	assert_string_equal(container_scan_mime(&h.scan), "application/octet-stream");
	assert_false(container_scan_unknown(&h.scan));
	webm_header(&live, false, false);
	size_t header = live.data.len;
	webm_sound(&live, 3, 900);
	feed(&h, 0, live.data.len, 100);
	container_scan_part(&h.scan);
	size_t second = live.data.len;
	mp4_header(&live, true, 0);
	feed(&h, second, live.data.len - 1, 100);
	container_scan_header(&h.scan, &len);
	assert_int_equal(len, header);
	assert_string_equal(container_scan_mime(&h.scan), "audio/webm");
	feed(&h, live.data.len - 1, live.data.len, 100);
	container_scan_header(&h.scan, &len);
	assert_int_equal(len, live.data.len - second);
	assert_string_equal(container_scan_mime(&h.scan), "video/mp4");
	container_scan_release(&h.scan);
	buf_release(&h.marks);
}

static void joins_near_to_each_other_are_one(void **state)
{
	webm_header(&live, false, false);
	for (size_t joined = 0; live.data.len < 16 * 1024;) {
		if (joined == 0 || live.data.len - joined >= LIMIT_LIVE_JOIN_BYTES) {
			live_join(&live);
			joined = live.data.len;
		}
		webm_sound(&live, 1, 200);
	}
	check();
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		T(webm_of_sound_joins_at_clusters),
		T(webm_with_lengths_gets_an_open_segment),
		T(webm_of_video_joins_at_keyframes),
		T(webm_begins_anew_inside_of_a_block),
		T(webm_finds_its_way_behind_noise),
		T(webm_with_a_broken_header_waits_for_another),
		T(webm_is_lost_inside_of_a_group),
		T(matroska_says_so),
		T(a_header_too_large_is_unknown),
		T(mp4_of_sound_joins_at_fragments),
		T(mp4_of_video_joins_at_sync_samples),
		T(mp4_with_media_before_its_header_waits_for_another),
		T(mp4_finds_its_way_behind_noise),
		T(ogg_joins_where_packets_begin),
		T(ogg_with_video_joins_at_keyframes),
		T(ogg_flac_and_strangers_have_headers),
		T(ogg_finds_its_way_behind_noise),
		T(frames_are_joined_anywhere_behind_a_tag),
		T(frames_begin_inside_of_one),
		T(noise_is_unknown),
		T(other_formats_are_unknown_at_once),
		T(a_part_that_is_told_begins_anew),
		T(a_part_begins_anew_behind_noise_or_half_a_head),
		T(the_old_header_stays_until_the_new_one_is_whole),
		T(joins_near_to_each_other_are_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
