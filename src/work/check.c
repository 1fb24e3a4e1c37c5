/* Reading a finished file back, see check.h. An MP4's packets are counted in its index, which names the place of each;
 * other files are read through. */
#include "work/check.h"
#include "work/boxes.h"

#include <inttypes.h>
#include <libavcodec/packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static enum err wrong(struct watch *w, const char *what)
{
	watch_fail(w, ERR_CHECK_FAILED, what);
	return w->own;
}

/* Every sample lies inside the file. */
static bool index_fits(const AVStream *st, uint64_t bytes)
{
	int count = avformat_index_get_entries_count(st);
	for (int i = 0; i < count; i++) {
		const AVIndexEntry *e = avformat_index_get_entry((AVStream *)st, i);
		if (e->pos < 0 || (uint64_t)e->pos + (uint64_t)e->size > bytes)
			return false;
	}
	return true;
}

static enum err count_index(struct watch *w, const struct input *in, uint64_t bytes, uint64_t *counts)
{
	for (unsigned i = 0; i < in->format->nb_streams && i < LIMIT_MEDIA_STREAMS; i++) {
		const AVStream *st = in->format->streams[i];
		counts[i] = (uint64_t)avformat_index_get_entries_count(st);
		if (st->disposition & AV_DISPOSITION_ATTACHED_PIC)
			counts[i] = 1;
		if (!index_fits(st, bytes))
			return wrong(w, "A sample lies outside the file.");
	}
	return ERR_OK;
}

static enum err count_packets(struct watch *w, struct input *in, uint64_t *counts)
{
	AVPacket *packet = av_packet_alloc();
	int rc = packet ? 0 : AVERROR(ENOMEM);
	while (rc >= 0 && watch_tick(w)) {
		rc = av_read_frame(in->format, packet);
		if (rc >= 0 && packet->stream_index < LIMIT_MEDIA_STREAMS)
			counts[packet->stream_index]++;
		if (packet)
			av_packet_unref(packet);
	}
	av_packet_free(&packet);
	enum err err = watch_err(w, rc, ERR_OK);
	if (!err && rc != AVERROR_EOF)
		return wrong(w, "The finished file can't be read to its end.");
	return err;
}

static enum err check_counts(struct watch *w, const struct input *in, const struct remuxed *made,
			     const uint64_t *counts)
{
	char line[LIMIT_MEDIA_ERROR_CHARS];
	unsigned streams = in->format->nb_streams, at = 0, filled = 0;
	for (unsigned i = 0; i < made->stream_count; i++)
		filled += made->packets[i] > 0;
	/* A stream of which not one packet came is left out by some muxers. */
	if (streams != made->stream_count && streams != filled)
		return wrong(w, "The finished file has another number of streams.");
	for (unsigned i = 0; i < made->stream_count; i++) {
		if (streams != made->stream_count && made->packets[i] == 0)
			continue;
		uint64_t count = counts[at++];
		if (count == made->packets[i])
			continue;
		snprintf(line, sizeof line, "Stream %u has %" PRIu64 " packets, %" PRIu64 " were written.", i, count,
			 made->packets[i]);
		return wrong(w, line);
	}
	return ERR_OK;
}

static enum err check_duration(const struct take *t, const struct input *in, const struct remuxed *made, int64_t *out)
{
	int64_t slack = 100 * 1000;
	for (unsigned i = 0; i < t->slot_count; i++) {
		if (t->slots[i].stream && t->slots[i].longest_us + 100 * 1000 > slack)
			slack = t->slots[i].longest_us + 100 * 1000;
	}
	*out = in->format->duration;
	for (unsigned i = 0; *out == AV_NOPTS_VALUE && i < in->format->nb_streams; i++) {
		const AVStream *st = in->format->streams[i];
		if (st->duration != AV_NOPTS_VALUE)
			*out = av_rescale_q(st->duration, st->time_base, AV_TIME_BASE_Q);
	}
	if (*out == AV_NOPTS_VALUE)
		return wrong(t->watch, "The finished file does not say how long it lasts.");
	if (llabs(*out - made->duration_us) <= slack)
		return ERR_OK;
	char line[LIMIT_MEDIA_ERROR_CHARS];
	snprintf(line, sizeof line, "It lasts %" PRId64 " ms, %" PRId64 " were written.", *out / 1000,
		 made->duration_us / 1000);
	return wrong(t->watch, line);
}

/* Its first and last bytes are those of its container, and no more than was written. */
static enum err check_ends(const struct take *t, const struct range *range, uint64_t bytes)
{
	struct stat st;
	enum container found;
	if (fstat(range->fd, &st))
		return ERR_READ_FAILED;
	if ((uint64_t)st.st_size != bytes)
		return wrong(t->watch, "The finished file has another size.");
	enum err err = sniff(range->fd, 0, bytes, &found);
	if (err)
		return err;
	if (found != t->container)
		return wrong(t->watch, "The finished file does not begin as it should.");
	if (found != CONTAINER_MP4)
		return ERR_OK;
	struct boxes boxes;
	err = boxes_walk(t->watch, range, &boxes);
	if (!err && (boxes.cut || !boxes.has_index || !boxes.index_first))
		return wrong(t->watch, "The finished file's index is not in its place.");
	return err;
}

enum err check_file(const struct take *t, int fd, const struct remuxed *made, int64_t *duration_us)
{
	struct input in;
	struct range range = { fd, 0, made->bytes };
	uint64_t counts[LIMIT_MEDIA_STREAMS] = { 0 };
	enum err err = check_ends(t, &range, made->bytes);
	if (err)
		return err;
	bool raw = t->container == CONTAINER_MP3 || t->container == CONTAINER_FLAC || t->container == CONTAINER_OGG;
	err = input_open(&in, t->watch, &range, t->container, raw);
	if (err)
		return err == ERR_MEDIA_UNREADABLE ? wrong(t->watch, "The finished file can't be opened.") : err;
	if (t->container == CONTAINER_MP4)
		err = count_index(t->watch, &in, made->bytes, counts);
	else
		err = count_packets(t->watch, &in, counts);
	/* A WAV's sound is read in other pieces than it was written in. */
	if (!err && t->container != CONTAINER_WAV)
		err = check_counts(t->watch, &in, made, counts);
	if (!err)
		err = check_duration(t, &in, made, duration_us);
	input_close(&in);
	return err;
}
