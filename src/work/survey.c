/* The first look at a recording: its tracks' parts and their streams, see take.h. */
#include "work/boxes.h"
#include "work/take.h"

#include <libavutil/mem.h>
#include <stdlib.h>
#include <string.h>

/* Parts by their offsets. What begins with no container belongs to the part before it: then the boundary was none. */
static enum err find_parts(struct take *t, unsigned track)
{
	const struct media_track *from = &t->watch->job->tracks[track];
	struct source *s = &t->sources[track];
	s->parts = calloc((size_t)from->part_count + 1, sizeof *s->parts);
	s->packet = av_packet_alloc();
	if (!s->parts || !s->packet)
		return ERR_NO_MEMORY;
	uint64_t begin = 0;
	for (unsigned i = 0; i <= from->part_count; i++) {
		uint64_t end = i < from->part_count ? from->parts[i] : from->bytes;
		enum container c;
		if (end > from->bytes)
			end = from->bytes;
		if (end <= begin)
			continue;
		enum err err = sniff(from->fd, begin, end, &c);
		if (err)
			return err;
		if (c != CONTAINER_NONE) {
			s->parts[s->part_count++] = (struct part){ { from->fd, begin, end }, .container = c };
		} else if (s->part_count > 0) {
			s->parts[s->part_count - 1].range.end = end;
			watch_warn(t->watch, "parts_differ",
				   "Part %u begins with no header of its own; it is read as the rest of "
				   "the part before it.",
				   i + 1);
		} else if (from->part_count > 0) {
			watch_warn(t->watch, "parts_differ", "Part %u is no media; it is only in the original.", i + 1);
		}
		begin = end;
	}
	return ERR_OK;
}

static void part_streams(struct take *t, unsigned track, unsigned number, const AVFormatContext *format)
{
	struct part *part = &t->sources[track].parts[number];
	unsigned ordinals[8] = { 0 };
	part->start_us = AV_NOPTS_VALUE;
	part->stream_count =
		(uint8_t)(format->nb_streams < LIMIT_MEDIA_STREAMS ? format->nb_streams : LIMIT_MEDIA_STREAMS);
	for (unsigned i = 0; i < part->stream_count; i++) {
		const AVStream *st = format->streams[i];
		unsigned kind = (unsigned)(st->codecpar->codec_type + 1) & 7;
		part->slots[i] = take_slot(t, track, number, st, ordinals[kind]++ * 8 + kind);
		if (part->slots[i] == SLOT_NONE || st->start_time == AV_NOPTS_VALUE ||
		    st->disposition & AV_DISPOSITION_ATTACHED_PIC)
			continue;
		int64_t start = av_rescale_q(st->start_time, st->time_base, AV_TIME_BASE_Q);
		if (part->start_us == AV_NOPTS_VALUE || start < part->start_us)
			part->start_us = start;
	}
	if (format->nb_streams > LIMIT_MEDIA_STREAMS)
		watch_warn(t->watch, "stream_dropped",
			   "There are more than %d streams; the rest is only in the original.", LIMIT_MEDIA_STREAMS);
	if (number == 0)
		return;
	for (unsigned i = 0; i < t->slot_count; i++) {
		if (t->slots[i].track == track && t->slots[i].part + 1 == number)
			watch_warn(t->watch, "parts_differ", "Part %u lacks a stream that the part before it has.",
				   number + 1);
	}
}

static enum err part_boxes(struct take *t, struct part *part, const AVFormatContext *format)
{
	struct boxes boxes;
	enum err err = boxes_walk(t->watch, &part->range, &boxes);
	if (err)
		return err;
	if (boxes.cut)
		watch_warn(t->watch, "truncated", "The media end in the middle; all that could be read is there.");
	part->samples = boxes.samples;
	for (unsigned i = 0; boxes.samples == 0 && i < format->nb_streams; i++)
		part->samples += (uint64_t)avformat_index_get_entries_count(format->streams[i]);
	/* A sample without a byte is no sound and no picture: who claims more than there are bytes lies. */
	if (part->samples > part->range.end - part->range.begin)
		part->samples = part->range.end - part->range.begin;
	return ERR_OK;
}

/* Opens the part `number`; if there is nothing to read in it, it is taken out of the list. */
static enum err survey_part(struct take *t, unsigned track, unsigned number)
{
	struct source *s = &t->sources[track];
	struct part *part = &s->parts[number];
	bool cut = false, honest;
	enum err err = input_open(&s->input, t->watch, &part->range, part->container, true);
	if (!err) {
		s->open = true;
		part_streams(t, track, number, s->input.format);
		err = watch_err(t->watch, 0, ERR_OK);
		if (!err && part->container == CONTAINER_MP4)
			err = part_boxes(t, part, s->input.format);
		if (!err && part->container == CONTAINER_WAV)
			err = sniff_wav_length(part->range.fd, part->range.begin, part->range.end, &honest, &cut);
		if (cut)
			watch_warn(t->watch, "truncated",
				   "The media end in the middle; all that could be read is there.");
		return err;
	}
	if (err != ERR_MEDIA_UNREADABLE)
		return err;
	if (s->part_count > 1)
		watch_warn(t->watch, "parts_differ", "A part can't be read; it is only in the original.");
	memmove(part, part + 1, (s->part_count - number - 1) * sizeof *part);
	s->part_count--;
	return ERR_OK;
}

static enum err survey_track(struct take *t, unsigned track)
{
	struct source *s = &t->sources[track];
	enum err err = find_parts(t, track);
	for (unsigned i = 0; !err && i < s->part_count;) {
		unsigned before = s->part_count;
		if (s->open)
			input_close(&s->input);
		s->open = false;
		err = survey_part(t, track, i);
		i += s->part_count == before;
	}
	return err;
}

/* Where each track's clock begins in the file. Tracks of one device share a clock, which keeps them together; where
 * they begin far from each other they do not, and each begins at 0. */
static void set_offsets(struct take *t)
{
	int64_t first = INT64_MAX;
	for (unsigned i = 0; i < t->source_count; i++) {
		const struct source *s = &t->sources[i];
		if (s->part_count && s->parts[0].start_us != AV_NOPTS_VALUE && s->parts[0].start_us < first)
			first = s->parts[0].start_us;
	}
	for (unsigned i = 0; i < t->source_count; i++) {
		struct source *s = &t->sources[i];
		int64_t own = s->part_count ? s->parts[0].start_us : AV_NOPTS_VALUE;
		s->time_us = INT64_MIN;
		s->end_us = 0;
		s->at = 0;
		s->errors = 0;
		if (own == AV_NOPTS_VALUE)
			s->offset_us = 0;
		else
			s->offset_us = own - first <= LIMIT_MEDIA_APART_MS * 1000LL ? -first : -own;
	}
}

enum err take_survey(struct take *t, struct watch *w)
{
	const struct media_job *job = w->job;
	unsigned media = 0, others = 0;
	*t = (struct take){ .watch = w };
	t->sources = calloc(job->track_count ? job->track_count : 1, sizeof *t->sources);
	if (!t->sources)
		return ERR_NO_MEMORY;
	for (; t->source_count < job->track_count; t->source_count++)
		t->bytes += job->tracks[t->source_count].bytes;
	for (unsigned i = 0; i < t->source_count; i++) {
		enum err err = survey_track(t, i);
		if (err)
			return err;
		media += t->sources[i].part_count > 0;
		others += t->sources[i].part_count == 0;
	}
	for (unsigned i = 0; media && others && i < t->source_count; i++) {
		if (t->sources[i].part_count == 0)
			watch_warn(w, "tracks_differ", "The track \"%s\" is no media; it is only in the original.",
				   job->tracks[i].name);
	}
	take_choose(t);
	set_offsets(t);
	take_rewind(t);
	return ERR_OK;
}

void take_rewind(struct take *t)
{
	for (unsigned i = 0; i < t->source_count; i++) {
		struct source *s = &t->sources[i];
		/* What was opened last stays open if it is also what comes first, and was not read yet. */
		if (s->open && (s->part_count != 1 || s->input.taken))
			input_close(&s->input), s->open = false;
		if (s->packet)
			av_packet_unref(s->packet);
		s->has = false;
	}
	for (unsigned i = 0; i < t->slot_count; i++) {
		struct slot *slot = &t->slots[i];
		slot->stream = NULL;
		slot->packets = 0;
		slot->last_dts = slot->last_us = AV_NOPTS_VALUE;
		slot->longest_us = 0;
	}
	t->taken = 0;
	set_offsets(t);
}

/* By the first packets of a part: how many are in all of it. */
static uint64_t part_packets(struct take *t, const struct part *part)
{
	struct input in;
	uint64_t count = 0, bytes = 1;
	AVPacket *packet = av_packet_alloc();
	if (!packet || input_open(&in, t->watch, &part->range, part->container, false)) {
		av_packet_free(&packet);
		return 0;
	}
	while (count < 1000 && av_read_frame(in.format, packet) >= 0) {
		count++;
		bytes += (uint64_t)packet->size;
		av_packet_unref(packet);
	}
	input_close(&in);
	av_packet_free(&packet);
	return (uint64_t)((double)(part->range.end - part->range.begin) / (double)bytes * (double)count * 1.5);
}

uint64_t take_packets(struct take *t)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < t->source_count; i++) {
		const struct source *s = &t->sources[i];
		for (unsigned p = 0; p < s->part_count; p++)
			sum += s->parts[p].samples ? s->parts[p].samples : part_packets(t, &s->parts[p]);
	}
	return sum;
}

void take_release(struct take *t)
{
	for (unsigned i = 0; i < t->source_count; i++) {
		struct source *s = &t->sources[i];
		if (s->open)
			input_close(&s->input);
		av_packet_free(&s->packet);
		free(s->parts);
	}
	for (unsigned i = 0; i < t->slot_count; i++) {
		struct slot *slot = &t->slots[i];
		avcodec_parameters_free(&slot->par);
		av_dict_free(&slot->metadata);
		for (int d = 0; d < slot->side_data_count; d++)
			av_free(slot->side_data[d].data);
		av_freep(&slot->side_data);
	}
	free(t->sources);
	*t = (struct take){ 0 };
}
