/* Reading through libav from a piece of a descriptor, see input.h. */
#include "work/input.h"

#include <errno.h>
#include <unistd.h>

static int input_read(void *opaque, uint8_t *out, int size)
{
	struct input *in = opaque;
	if (!watch_tick(in->watch))
		return AVERROR_EXIT;
	if (in->at >= in->range.end)
		return AVERROR_EOF;
	uint64_t left = in->range.end - in->at;
	size_t want = (uint64_t)size < left ? (size_t)size : (size_t)left;
	ssize_t n;
	do {
		n = pread(in->range.fd, out, want, (off_t)in->at);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		watch_fail(in->watch, ERR_READ_FAILED, "");
		return AVERROR(EIO);
	}
	if (n == 0)
		return AVERROR_EOF;
	in->at += (uint64_t)n;
	if (in->at > in->highest) {
		if (in->taken)
			*in->taken += in->at - in->highest;
		in->highest = in->at;
	}
	return (int)n;
}

static int64_t input_seek(void *opaque, int64_t offset, int whence)
{
	struct input *in = opaque;
	int64_t size = (int64_t)(in->range.end - in->range.begin);
	whence &= ~AVSEEK_FORCE;
	if (whence == AVSEEK_SIZE)
		return size;
	int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_END ? size : (int64_t)(in->at - in->range.begin);
	if (__builtin_add_overflow(base, offset, &offset) || offset < 0)
		return AVERROR(EINVAL);
	if (offset > size)
		offset = size;
	in->at = in->range.begin + (uint64_t)offset;
	return offset;
}

/* Other files than ours are refused, whatever the media say. */
static int no_open(AVFormatContext *s, AVIOContext **io, const char *url, int flags, AVDictionary **options)
{
	return AVERROR(EPERM);
}

static enum err input_begin(struct input *in, enum container container, bool probe)
{
	AVDictionary *options = NULL;
	uint8_t *buffer = av_malloc(LIMIT_MEDIA_READ_BYTES);
	in->format = avformat_alloc_context();
	if (buffer)
		in->io = avio_alloc_context(buffer, LIMIT_MEDIA_READ_BYTES, 0, in, input_read, NULL, input_seek);
	if (!in->io)
		av_free(buffer);
	if (!in->io || !in->format)
		return ERR_NO_MEMORY;
	in->format->pb = in->io;
	in->format->flags |= AVFMT_FLAG_CUSTOM_IO;
	in->format->io_open = no_open;
	in->format->interrupt_callback = watch_interrupt(in->watch);
	in->format->protocol_whitelist = av_strdup("none");
	in->format->format_whitelist = av_strdup("matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,ogg,wav,mp3,aac,flac");
	in->format->probesize = LIMIT_MEDIA_PROBE_BYTES;
	in->format->max_analyze_duration = LIMIT_MEDIA_PROBE_MS * 1000LL;
	in->format->max_streams = LIMIT_MEDIA_STREAMS * 2;
	if (container == CONTAINER_WAV) {
		bool honest, cut;
		enum err err = sniff_wav_length(in->range.fd, in->range.begin, in->range.end, &honest, &cut);
		if (err)
			return err;
		if (!honest)
			av_dict_set(&options, "ignore_length", "1", 0);
		av_dict_set(&options, "max_size", "16384", 0);
		in->format->max_probe_packets = 1; /* sound that looks like another codec is sound */
	}
	const AVInputFormat *demuxer = av_find_input_format(container_row(container)->demuxer);
	int rc = avformat_open_input(&in->format, "", demuxer, &options);
	av_dict_free(&options);
	/* A WAV's header says all; libav would look for other codecs in the sound. */
	if (rc >= 0 && probe && container != CONTAINER_WAV)
		rc = avformat_find_stream_info(in->format, NULL);
	if (rc < 0)
		return watch_err(in->watch, rc, ERR_MEDIA_UNREADABLE);
	return in->format->nb_streams > 0 ? ERR_OK : ERR_MEDIA_UNREADABLE;
}

enum err input_open(struct input *in, struct watch *w, const struct range *range, enum container container, bool probe)
{
	*in = (struct input){ .watch = w, .range = *range, .at = range->begin, .highest = range->begin };
	enum err err = input_begin(in, container, probe);
	if (err)
		input_close(in);
	return err;
}

void input_close(struct input *in)
{
	avformat_close_input(&in->format);
	if (in->io)
		av_freep(&in->io->buffer);
	avio_context_free(&in->io);
}
