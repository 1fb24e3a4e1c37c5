/* Which stream of the finished file a part's stream becomes.
 *
 * A later part goes on in the stream of the earlier one where a decoder can follow: always when the parameters are the
 * same, and for VP8, VP9, AV1 and Opus also when size or channels differ, because those codecs say so themselves in
 * each keyframe or packet. Otherwise it gets a further stream. Either way nothing is lost, and a warning says so. */
#include "work/take.h"

#include <libavutil/mem.h>
#include <string.h>

static bool same_extradata(const AVCodecParameters *a, const AVCodecParameters *b)
{
	return a->extradata_size == b->extradata_size &&
	       (a->extradata_size == 0 || memcmp(a->extradata, b->extradata, (size_t)a->extradata_size) == 0);
}

static bool same_sound(const AVCodecParameters *a, const AVCodecParameters *b)
{
	return a->sample_rate == b->sample_rate && a->ch_layout.nb_channels == b->ch_layout.nb_channels &&
	       a->bits_per_coded_sample == b->bits_per_coded_sample;
}

/* The mapping family 0 of Opus: one or two channels, each packet says which. */
static bool plain_opus(const AVCodecParameters *p)
{
	return p->extradata_size >= 19 && p->extradata[18] == 0;
}

/* Can a decoder of `a` go on with `b`? *differs: its parameters are others. */
static bool goes_on(const AVCodecParameters *a, const AVCodecParameters *b, bool *differs)
{
	*differs = false;
	if (a->codec_type != b->codec_type || a->codec_id != b->codec_id)
		return false;
	bool pictures = a->codec_type == AVMEDIA_TYPE_VIDEO;
	*differs = pictures ? a->width != b->width || a->height != b->height : !same_sound(a, b);
	switch (a->codec_id) {
	case AV_CODEC_ID_VP8:
	case AV_CODEC_ID_VP9:
	case AV_CODEC_ID_AV1:
		return true;
	case AV_CODEC_ID_OPUS:
		return !*differs || (plain_opus(a) && plain_opus(b));
	case AV_CODEC_ID_FLAC: /* its extradata has the checksum of the sound */
		return !*differs;
	default:
		return !*differs && same_extradata(a, b);
	}
}

static bool usable(const AVStream *st)
{
	const AVCodecParameters *p = st->codecpar;
	switch (p->codec_type) {
	case AVMEDIA_TYPE_VIDEO:
		return p->codec_id != AV_CODEC_ID_NONE && p->width > 0 && p->height > 0;
	case AVMEDIA_TYPE_AUDIO:
		return p->codec_id != AV_CODEC_ID_NONE && p->sample_rate > 0 && p->ch_layout.nb_channels > 0;
	case AVMEDIA_TYPE_SUBTITLE:
		return p->codec_id != AV_CODEC_ID_NONE;
	default:
		return false;
	}
}

static bool slot_side_data(struct slot *slot, const AVStream *st)
{
	if (st->nb_side_data == 0)
		return true;
	slot->side_data = av_calloc((size_t)st->nb_side_data, sizeof *slot->side_data);
	if (!slot->side_data)
		return false;
	for (int i = 0; i < st->nb_side_data; i++) {
		const AVPacketSideData *from = &st->side_data[i];
		uint8_t *data = av_memdup(from->data, from->size);
		if (!data)
			return false;
		slot->side_data[slot->side_data_count++] =
			(AVPacketSideData){ .data = data, .size = from->size, .type = from->type };
	}
	return true;
}

static uint8_t slot_new(struct take *t, unsigned track, unsigned ordinal, const AVStream *st)
{
	if (t->slot_count == LIMIT_MEDIA_STREAMS) {
		watch_warn(t->watch, "stream_dropped",
			   "There are more than %d streams; the rest is only in the original.", LIMIT_MEDIA_STREAMS);
		return SLOT_NONE;
	}
	struct slot *slot = &t->slots[t->slot_count];
	*slot = (struct slot){ .time_base = st->time_base, .frame_rate = st->avg_frame_rate, .track = track };
	slot->aspect = st->sample_aspect_ratio;
	slot->disposition = st->disposition;
	slot->ordinal = ordinal;
	slot->par = avcodec_parameters_alloc();
	t->slot_count++; /* from here on released with the take */
	if (!slot->par || avcodec_parameters_copy(slot->par, st->codecpar) < 0 ||
	    av_dict_copy(&slot->metadata, st->metadata, 0) < 0 || !slot_side_data(slot, st)) {
		watch_fail(t->watch, ERR_NO_MEMORY, "");
		slot->dropped = true;
		return SLOT_NONE;
	}
	return (uint8_t)(t->slot_count - 1);
}

uint8_t take_slot(struct take *t, unsigned track, unsigned part, const AVStream *st, unsigned ordinal)
{
	static const char *const kinds[] = { "video", "audio", "data", "subtitle", "attachment" };
	int type = st->codecpar->codec_type;
	bool differs, later = false;
	if (!usable(st)) {
		watch_warn(t->watch, "stream_dropped", "A stream (%s) can't be copied; it is only in the original.",
			   type >= 0 && type < 5 ? kinds[type] : "unknown");
		return SLOT_NONE;
	}
	for (unsigned i = 0; i < t->slot_count; i++) {
		struct slot *slot = &t->slots[i];
		if (slot->track != track)
			continue;
		later |= slot->part < part;
		if (slot->ordinal != ordinal || slot->part >= part || !goes_on(slot->par, st->codecpar, &differs))
			continue;
		if (differs)
			watch_warn(t->watch, "parts_differ",
				   "Size or channels change at part %u; the stream goes on with the new ones.",
				   part + 1);
		slot->part = part;
		return (uint8_t)i;
	}
	uint8_t made = slot_new(t, track, ordinal, st);
	if (made != SLOT_NONE)
		t->slots[made].part = part;
	if (made != SLOT_NONE && later)
		watch_warn(t->watch, "parts_differ",
			   "Part %u has another codec or other parameters; it is in a further stream.", part + 1);
	return made;
}
