/* A track's packets, part after part, on one clock, see take.h. */
#include "work/tail.h"
#include "work/take.h"

#include <libavcodec/avcodec.h>

static int64_t us(int64_t time, AVRational base)
{
	return av_rescale_q_rnd(time, base, AV_TIME_BASE_Q, AV_ROUND_NEAR_INF | AV_ROUND_PASS_MINMAX);
}

static enum err open_part(struct take *t, struct source *s)
{
	struct part *part = &s->parts[s->at];
	if (!s->open) {
		enum err err = input_open(&s->input, t->watch, &part->range, part->container, true);
		if (err)
			return err;
		s->open = true;
	}
	s->input.taken = &t->taken;
	t->taken += s->input.highest - part->range.begin;
	s->errors = 0;
	s->last_pos = -1;
	if (s->at > 0)
		s->offset_us = s->end_us - (part->start_us == AV_NOPTS_VALUE ? 0 : part->start_us);
	return ERR_OK;
}

static void truncated(struct take *t)
{
	watch_warn(t->watch, "truncated", "The media end in the middle; all that could be read is there.");
}

static void close_part(struct take *t, struct source *s)
{
	struct part *part = &s->parts[s->at];
	if (tail_cut(&part->range, part->container, s->last_pos))
		truncated(t);
	input_close(&s->input);
	s->open = false;
	s->at++;
}

/* Gives a packet without times some, and one with impossible times better ones. */
static void mend_times(struct take *t, struct source *s)
{
	AVPacket *p = s->packet;
	struct slot *slot = s->slot;
	if (p->pts == AV_NOPTS_VALUE)
		p->pts = p->dts;
	if (p->dts == AV_NOPTS_VALUE)
		p->dts = p->pts;
	if (p->dts == AV_NOPTS_VALUE) {
		int64_t next = slot->last_us == AV_NOPTS_VALUE ? s->end_us : slot->last_us + 1;
		p->pts = p->dts = av_rescale_q(next - s->offset_us, AV_TIME_BASE_Q, s->time_base);
	}
	if (p->duration < 0)
		p->duration = 0;
	int64_t due = us(p->dts, s->time_base), last = slot->last_us;
	/* Half of what 64 bits hold is more than any clock; sums stay defined. */
	if (due > INT64_MAX / 4 || due < -INT64_MAX / 4 || p->pts > INT64_MAX / 4 || p->pts < -INT64_MAX / 4) {
		due = last == AV_NOPTS_VALUE ? 0 : last - s->offset_us;
		p->pts = p->dts = av_rescale_q(due, AV_TIME_BASE_Q, s->time_base);
	}
	int64_t back = LIMIT_MEDIA_BACK_MS * 1000LL, gap = LIMIT_MEDIA_GAP_MS * 1000LL;
	if (last == AV_NOPTS_VALUE)
		last = due + s->offset_us < gap ? due + s->offset_us : s->end_us;
	if (due + s->offset_us < last - back || due + s->offset_us > last + gap)
		s->offset_us = s->end_us - due;
	due += s->offset_us;
	if (due > s->time_us)
		s->time_us = due;
	/* A duration is at most a gap, and a packet is not shown a day after it is decoded. */
	if (us(p->duration, s->time_base) > gap)
		p->duration = 0;
	if (p->pts < p->dts || us(p->pts - p->dts, s->time_base) > gap)
		p->pts = p->dts;
	int64_t length = us(p->duration, s->time_base), end = us(p->pts, s->time_base) + s->offset_us;
	if (length == 0 && slot->last_us != AV_NOPTS_VALUE && due > slot->last_us)
		length = due - slot->last_us;
	if (length > slot->longest_us && length < gap)
		slot->longest_us = length;
	if (end + length > s->end_us)
		s->end_us = end + length;
	slot->last_us = due;
}

/* One packet of the present part; *over: there is none any more. */
static enum err read_packet(struct take *t, struct source *s, bool *over)
{
	struct part *part = &s->parts[s->at];
	for (;;) {
		if (!watch_tick(t->watch))
			return ERR_MEDIA_LIMIT;
		int rc = av_read_frame(s->input.format, s->packet);
		enum err err = watch_err(t->watch, rc, ERR_OK);
		if (err)
			return err;
		if (rc == AVERROR_EOF) {
			*over = true;
			return ERR_OK;
		}
		if (rc < 0) {
			truncated(t);
			*over = ++s->errors > LIMIT_MEDIA_ERRORS || avio_feof(s->input.io);
			if (*over)
				return ERR_OK;
			continue;
		}
		s->errors = 0;
		if (s->packet->pos > s->last_pos)
			s->last_pos = s->packet->pos;
		int index = s->packet->stream_index;
		if (index >= part->stream_count)
			watch_warn(t->watch, "stream_dropped",
				   "A stream begins in the middle of a part; it is only in the original.");
		if (index < part->stream_count && part->slots[index] != SLOT_NONE &&
		    !t->slots[part->slots[index]].dropped && s->packet->size > 0) {
			s->slot = &t->slots[part->slots[index]];
			s->time_base = s->input.format->streams[index]->time_base;
			/* The last piece of a WAV is a short one; its header says what is missing. */
			if (s->packet->flags & AV_PKT_FLAG_CORRUPT && part->container != CONTAINER_WAV)
				truncated(t);
			return ERR_OK;
		}
		av_packet_unref(s->packet);
	}
}

enum err source_next(struct take *t, struct source *s)
{
	av_packet_unref(s->packet);
	s->has = false;
	while (s->at < s->part_count) {
		bool over = false;
		enum err err = ERR_OK;
		if (!s->open || !s->input.taken)
			err = open_part(t, s);
		if (err == ERR_MEDIA_UNREADABLE) { /* it could be a moment ago */
			truncated(t);
			s->at++;
			continue;
		}
		if (!err)
			err = read_packet(t, s, &over);
		if (err)
			return err;
		if (over) {
			close_part(t, s);
			continue;
		}
		mend_times(t, s);
		s->has = true;
		return ERR_OK;
	}
	return ERR_OK;
}
