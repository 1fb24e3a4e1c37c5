/* The stream copy. Packets of one track keep the order in which they came; tracks are merged by time, one packet of
 * each at hand, so that nothing is queued however the tracks lie to each other. */
#include "work/remux.h"
#include "work/output.h"

#include <unistd.h>

static struct source *earliest(struct take *t)
{
	struct source *first = NULL;
	for (unsigned i = 0; i < t->source_count; i++) {
		struct source *s = &t->sources[i];
		if (s->has && (!first || s->time_us < first->time_us))
			first = s;
	}
	return first;
}

static enum err copy(struct take *t, struct output *out, unsigned share)
{
	enum err err = ERR_OK;
	for (unsigned i = 0; !err && i < t->source_count; i++)
		err = source_next(t, &t->sources[i]);
	struct source *s;
	while (!err && (s = earliest(t))) {
		err = output_write(out, t, s);
		if (!err)
			err = source_next(t, s);
		if (t->bytes)
			watch_progress(t->watch, (unsigned)((double)t->taken / (double)t->bytes * share));
	}
	return err;
}

static void gather(const struct take *t, const struct output *out, struct remuxed *done)
{
	*done = (struct remuxed){ .bytes = out->size };
	for (unsigned i = 0; i < t->source_count; i++) {
		if (t->sources[i].end_us > done->duration_us)
			done->duration_us = t->sources[i].end_us;
	}
	for (unsigned i = 0; i < t->slot_count; i++) {
		const struct slot *slot = &t->slots[i];
		if (slot->stream)
			done->packets[done->stream_count++] = (uint64_t)slot->stream->nb_frames;
	}
}

/* A FLAC's header counts its samples; whoever writes into a pipe says 0, and of a take that was cut there are fewer.
 * The checksum of the sound (RFC 9639, 8.2) stays if the number was right and else is unknown: all zero. */
static enum err mend_flac(struct take *t, int fd, const struct remuxed *done)
{
	enum { AT = 21, SUM = 16 };
	uint8_t h[5 + SUM];
	size_t got;
	int rate = 0;
	for (unsigned i = 0; i < t->slot_count; i++)
		rate = t->slots[i].stream && t->slots[i].par->sample_rate ? t->slots[i].par->sample_rate : rate;
	uint64_t samples = (uint64_t)av_rescale(done->duration_us, rate, AV_TIME_BASE);
	enum err err = sniff_read(fd, AT, h, sizeof h, &got);
	if (err || got < sizeof h)
		return err;
	uint64_t said = (uint64_t)(h[0] & 15) << 32 | (uint64_t)h[1] << 24 | h[2] << 16 | h[3] << 8 | h[4];
	if (said == samples)
		return ERR_OK;
	if (samples < said)
		watch_warn(t->watch, "truncated", "The media end in the middle; all that could be read is there.");
	h[0] = (uint8_t)((h[0] & 0xf0) | (samples >> 32 & 15));
	for (int i = 1; i < 5; i++)
		h[i] = (uint8_t)(samples >> (32 - 8 * i));
	for (int i = 5; said && i < 5 + SUM; i++)
		h[i] = 0;
	return pwrite(fd, h, sizeof h, AT) == sizeof h ? ERR_OK : ERR_WRITE_FAILED;
}

/* packets: in, how many are expected; out, how many there were. */
static enum err attempt(struct take *t, int fd, unsigned share, uint64_t *packets, struct remuxed *done)
{
	struct output out;
	uint64_t count = 0;
	enum err err = output_open(&out, t, fd, *packets);
	if (err)
		return err;
	err = copy(t, &out, share);
	for (unsigned i = 0; i < t->slot_count; i++)
		count += t->slots[i].packets;
	if (!err && count == 0)
		err = ERR_NO_FILE;
	if (!err)
		err = output_finish(&out);
	if (!err)
		gather(t, &out, done);
	if (!err && t->container == CONTAINER_FLAC)
		err = mend_flac(t, fd, done);
	*packets = out.no_room ? count : 0;
	output_close(&out);
	return err;
}

enum err remux(struct take *t, int fd, unsigned share, struct remuxed *done)
{
	uint64_t packets = t->container == CONTAINER_MP4 ? take_packets(t) : 0;
	enum err err = attempt(t, fd, share, &packets, done);
	/* The guess was too low; now the number is known. */
	if (err == ERR_MEDIA_UNREADABLE && packets > 0) {
		take_rewind(t);
		err = attempt(t, fd, share, &packets, done);
	}
	/* A muxer that doesn't like what it gets says so with its header. Matroska is the least picky. */
	if (err == ERR_MEDIA_UNREADABLE && t->container != CONTAINER_MATROSKA) {
		t->container = CONTAINER_MATROSKA;
		take_rewind(t);
		err = attempt(t, fd, share, &packets, done);
	}
	return err;
}
