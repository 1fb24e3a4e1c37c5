/* Writing through libav to a descriptor, see output.h. */
#include "work/output.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/mem.h>
#include <string.h>
#include <unistd.h>

static int output_bytes(void *opaque, uint8_t *data, int size)
{
	struct output *out = opaque;
	if (!watch_tick(out->watch))
		return AVERROR_EXIT;
	if (out->at + (uint64_t)size > out->most) {
		watch_fail(out->watch, ERR_MEDIA_LIMIT, "The file would be larger than it may be.");
		return AVERROR(EFBIG);
	}
	for (int done = 0; done < size;) {
		ssize_t n = pwrite(out->fd, data + done, (size_t)(size - done), (off_t)out->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EFBIG)
			watch_fail(out->watch, ERR_MEDIA_LIMIT, "The file would be larger than it may be.");
		if (n < 0) {
			watch_fail(out->watch, err_from_errno(errno, ERR_WRITE_FAILED), strerror(errno));
			return AVERROR(EIO);
		}
		done += (int)n;
		out->at += (uint64_t)n;
	}
	if (out->at > out->size)
		out->size = out->at;
	return size;
}

static int64_t output_seek(void *opaque, int64_t offset, int whence)
{
	struct output *out = opaque;
	whence &= ~AVSEEK_FORCE;
	if (whence == AVSEEK_SIZE)
		return (int64_t)out->size;
	int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_END ? (int64_t)out->size : (int64_t)out->at;
	if (__builtin_add_overflow(base, offset, &offset) || offset < 0)
		return AVERROR(EINVAL);
	out->at = (uint64_t)offset;
	return offset;
}

static int no_open(AVFormatContext *s, AVIOContext **io, const char *url, int flags, AVDictionary **options)
{
	return AVERROR(EPERM);
}

static enum err add_stream(struct output *out, struct slot *slot)
{
	AVStream *st = avformat_new_stream(out->format, NULL);
	if (!st || avcodec_parameters_copy(st->codecpar, slot->par) < 0)
		return ERR_NO_MEMORY;
	const struct AVCodecTag *const *tags = out->format->oformat->codec_tag;
	if (!tags || av_codec_get_id(tags, st->codecpar->codec_tag) != st->codecpar->codec_id)
		st->codecpar->codec_tag = 0; /* the muxer's own */
	st->time_base = slot->time_base;
	st->sample_aspect_ratio = st->codecpar->sample_aspect_ratio = slot->aspect; /* muxers want them alike */
	st->avg_frame_rate = slot->frame_rate;
	st->disposition = slot->disposition;
	if (av_dict_copy(&st->metadata, slot->metadata, 0) < 0)
		return ERR_NO_MEMORY;
	for (int i = 0; i < slot->side_data_count; i++) {
		const AVPacketSideData *from = &slot->side_data[i];
		uint8_t *data = av_stream_new_side_data(st, from->type, from->size);
		if (!data)
			return ERR_NO_MEMORY;
		memcpy(data, from->data, from->size);
	}
	slot->stream = st;
	return ERR_OK;
}

/* What an MP4's index takes at most. For each packet of one of several streams: size 4, duration 8, difference of
 * times 8, keyframe 4, and a chunk of its own 20; a lone stream's packets stand in chunks of a MiB. */
static uint64_t index_bytes(const struct take *t, uint64_t packets)
{
	unsigned streams = 0, pictures = 0;
	uint64_t fixed = 16 * KIB;
	for (unsigned i = 0; i < t->slot_count; i++) {
		const struct slot *slot = &t->slots[i];
		if (slot->dropped)
			continue;
		streams++;
		pictures += slot->par->codec_type == AVMEDIA_TYPE_VIDEO;
		fixed += 4 * KIB + (uint64_t)slot->par->extradata_size;
	}
	return fixed + t->bytes / MIB * 20 + packets * (12 + (pictures ? 12 : 0) + (streams > 1 ? 20 : 0));
}

static enum err output_begin(struct output *out, struct take *t, uint64_t packets)
{
	AVDictionary *options = NULL;
	uint8_t *buffer = av_malloc(LIMIT_MEDIA_WRITE_BYTES);
	if (avformat_alloc_output_context2(&out->format, NULL, container_row(t->container)->muxer, NULL) < 0)
		out->format = NULL;
	if (buffer)
		out->io = avio_alloc_context(buffer, LIMIT_MEDIA_WRITE_BYTES, 1, out, NULL, output_bytes, output_seek);
	if (!out->io)
		av_free(buffer);
	if (!out->io || !out->format)
		return ERR_NO_MEMORY;
	out->format->pb = out->io;
	/* Bit-exact: no clock and no random numbers in the file, so an attempt that is repeated gives the same bytes.
	 */
	out->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
	out->format->io_open = no_open;
	out->format->flush_packets = 0;
	out->format->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL;
	for (unsigned i = 0; i < t->slot_count; i++) {
		enum err err = t->slots[i].dropped ? ERR_OK : add_stream(out, &t->slots[i]);
		if (err)
			return err;
	}
	uint64_t place = index_bytes(t, packets);
	if (t->container == CONTAINER_MP4 && place < INT32_MAX) {
		av_dict_set_int(&options, "moov_size", (int64_t)place, 0);
		out->fast_header = true;
	}
	if (t->container == CONTAINER_WAV)
		av_dict_set(&options, "rf64", "auto", 0);
	int rc = avformat_write_header(out->format, &options);
	av_dict_free(&options);
	if (rc < 0)
		return watch_err(out->watch, rc, ERR_MEDIA_UNREADABLE);
	out->headed = true;
	return ERR_OK;
}

enum err output_open(struct output *out, struct take *t, int fd, uint64_t packets)
{
	uint64_t most = t->watch->job->max_output_bytes;
	*out = (struct output){ .watch = t->watch, .fd = fd, .most = 2 * t->bytes + LIMIT_MEDIA_GROWTH_BYTES };
	if (most && out->most > most)
		out->most = most;
	if (ftruncate(fd, 0))
		return ERR_WRITE_FAILED;
	enum err err = output_begin(out, t, packets);
	if (err)
		output_close(out);
	return err;
}

enum err output_write(struct output *out, struct take *t, struct source *s)
{
	static const enum AVRounding rounding = AV_ROUND_NEAR_INF | AV_ROUND_PASS_MINMAX;
	AVPacket *p = s->packet;
	struct slot *slot = s->slot;
	AVRational base = slot->stream->time_base;
	int64_t offset = av_rescale_q(s->offset_us, AV_TIME_BASE_Q, base);
	int64_t dts = av_rescale_q_rnd(p->dts, s->time_base, base, rounding) + offset;
	int64_t pts = av_rescale_q_rnd(p->pts, s->time_base, base, rounding) + offset;
	int64_t step = out->format->oformat->flags & AVFMT_TS_NONSTRICT ? 0 : 1;
	/* A muxer refuses times that go back; a millisecond of haste is better than a packet less. */
	if (slot->last_dts != AV_NOPTS_VALUE && dts < slot->last_dts + step)
		dts = slot->last_dts + step;
	p->dts = dts;
	p->pts = pts < dts ? dts : pts;
	p->duration = av_rescale_q(p->duration, s->time_base, base);
	p->time_base = base;
	p->pos = -1;
	p->stream_index = slot->stream->index;
	slot->last_dts = dts;
	int rc = av_write_frame(out->format, p);
	if (rc >= 0 && out->io->error < 0)
		rc = out->io->error;
	enum err err = rc < 0 ? watch_err(out->watch, rc, ERR_OK) : ERR_OK;
	if (err)
		return err;
	if (rc >= 0) {
		out->errors = 0;
		slot->packets++;
		return ERR_OK;
	}
	watch_warn(out->watch, "truncated", "A damaged packet was left out; it is only in the original.");
	return ++out->errors > LIMIT_MEDIA_ERRORS ? ERR_MEDIA_UNREADABLE : ERR_OK;
}

enum err output_finish(struct output *out)
{
	int rc = av_write_trailer(out->format);
	avio_flush(out->io);
	if (rc >= 0 && out->io->error < 0)
		rc = out->io->error;
	if (rc >= 0)
		return ERR_OK;
	enum err err = watch_err(out->watch, rc, ERR_MEDIA_UNREADABLE);
	out->no_room = err == ERR_MEDIA_UNREADABLE && out->fast_header && rc == AVERROR(EINVAL);
	return err;
}

void output_close(struct output *out)
{
	avformat_free_context(out->format);
	out->format = NULL;
	if (out->io)
		av_freep(&out->io->buffer);
	avio_context_free(&out->io);
}
