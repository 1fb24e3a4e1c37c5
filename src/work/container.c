/* Which container the finished file gets: the one that the take came in if it holds all streams; else, and for several
 * tracks, WebM if all codecs are allowed there, else MP4, else Matroska, which holds nearly everything. */
#include "work/take.h"

#include <libavcodec/avcodec.h>

static bool attached_picture(const struct slot *slot)
{
	return slot->disposition & AV_DISPOSITION_ATTACHED_PIC;
}

static bool webm_holds(const struct slot *slot)
{
	switch (slot->par->codec_id) {
	case AV_CODEC_ID_VP8:
	case AV_CODEC_ID_VP9:
	case AV_CODEC_ID_AV1:
	case AV_CODEC_ID_OPUS:
	case AV_CODEC_ID_VORBIS:
	case AV_CODEC_ID_WEBVTT:
		return !attached_picture(slot);
	default:
		return false;
	}
}

static bool mp4_holds(const struct slot *slot)
{
	switch (slot->par->codec_id) {
	case AV_CODEC_ID_H264:
	case AV_CODEC_ID_HEVC:
	case AV_CODEC_ID_AV1:
	case AV_CODEC_ID_VP9:
	case AV_CODEC_ID_MPEG4:
	case AV_CODEC_ID_AAC:
	case AV_CODEC_ID_MP3:
	case AV_CODEC_ID_OPUS:
	case AV_CODEC_ID_FLAC:
	case AV_CODEC_ID_AC3:
	case AV_CODEC_ID_EAC3:
	case AV_CODEC_ID_ALAC:
	case AV_CODEC_ID_MOV_TEXT:
		return !attached_picture(slot);
	case AV_CODEC_ID_MJPEG:
	case AV_CODEC_ID_PNG:
		return attached_picture(slot);
	default:
		return false;
	}
}

static bool matroska_holds(const struct slot *slot)
{
	return avformat_query_codec(av_guess_format("matroska", NULL, NULL), slot->par->codec_id,
				    FF_COMPLIANCE_NORMAL) == 1;
}

static bool ogg_holds(const struct slot *slot)
{
	switch (slot->par->codec_id) {
	case AV_CODEC_ID_OPUS:
	case AV_CODEC_ID_VORBIS:
	case AV_CODEC_ID_FLAC:
	case AV_CODEC_ID_SPEEX:
	case AV_CODEC_ID_THEORA:
		return true;
	default:
		return false;
	}
}

static bool wav_holds(const struct slot *slot)
{
	return slot->par->codec_type == AVMEDIA_TYPE_AUDIO &&
	       av_codec_get_tag(av_guess_format("wav", NULL, NULL)->codec_tag, slot->par->codec_id) != 0;
}

static bool mp3_holds(const struct slot *slot)
{
	return slot->par->codec_id == AV_CODEC_ID_MP3 ||
	       (attached_picture(slot) &&
		(slot->par->codec_id == AV_CODEC_ID_MJPEG || slot->par->codec_id == AV_CODEC_ID_PNG));
}

static bool flac_holds(const struct slot *slot)
{
	return slot->par->codec_id == AV_CODEC_ID_FLAC;
}

static bool (*const holds[CONTAINER_COUNT])(const struct slot *) = {
	[CONTAINER_WEBM] = webm_holds, [CONTAINER_MATROSKA] = matroska_holds, [CONTAINER_MP4] = mp4_holds,
	[CONTAINER_OGG] = ogg_holds,   [CONTAINER_WAV] = wav_holds,	      [CONTAINER_MP3] = mp3_holds,
	[CONTAINER_ADTS] = mp4_holds,  [CONTAINER_FLAC] = flac_holds,
};

/* Pictures of an album beside its sound are no reason for another container. */
static bool holds_all(const struct take *t, enum container c)
{
	unsigned sounds = 0, others = 0;
	for (unsigned i = 0; i < t->slot_count; i++) {
		const struct slot *slot = &t->slots[i];
		if (!holds[c](slot) && !(attached_picture(slot) && t->slot_count > 1))
			return false;
		sounds += slot->par->codec_type == AVMEDIA_TYPE_AUDIO;
		others += slot->par->codec_type != AVMEDIA_TYPE_AUDIO && !attached_picture(slot);
	}
	bool one = c == CONTAINER_WAV || c == CONTAINER_MP3 || c == CONTAINER_FLAC;
	return !one || (sounds == 1 && others == 0);
}

/* The container of all parts, NONE if they or the tracks are several. */
static enum container common(const struct take *t)
{
	enum container c = CONTAINER_NONE;
	unsigned tracks = 0;
	for (unsigned i = 0; i < t->source_count; i++) {
		const struct source *s = &t->sources[i];
		for (unsigned p = 0; p < s->part_count; p++) {
			if (c != CONTAINER_NONE && c != s->parts[p].container)
				return CONTAINER_NONE;
			c = s->parts[p].container;
		}
		tracks += s->part_count > 0;
	}
	return tracks == 1 ? c : CONTAINER_NONE;
}

void take_choose(struct take *t)
{
	enum container from = common(t);
	if (from != CONTAINER_NONE && holds_all(t, from))
		t->container = from == CONTAINER_ADTS ? CONTAINER_MP4 : from;
	else if (from != CONTAINER_MATROSKA && holds_all(t, CONTAINER_WEBM))
		t->container = CONTAINER_WEBM;
	else if (from != CONTAINER_MATROSKA && holds_all(t, CONTAINER_MP4))
		t->container = CONTAINER_MP4;
	else
		t->container = CONTAINER_MATROSKA;
	unsigned kept = 0;
	for (unsigned i = 0; i < t->slot_count; i++) {
		struct slot *slot = &t->slots[i];
		if (!holds[t->container](slot)) {
			slot->dropped = true;
			watch_warn(t->watch, "stream_dropped",
				   "A stream (%s) fits into no file; it is only in the original.",
				   avcodec_get_name(slot->par->codec_id));
		}
		kept += !slot->dropped && !attached_picture(slot);
	}
	if (kept == 0)
		t->container = CONTAINER_NONE;
}
