/* Peaks of the first stream of sound, see waveform.h: one for each slice of time, the largest sample of any channel.
 *
 * Decoding three hours of Opus takes twenty seconds of a core. So of takes longer than LIMIT_WAVEFORM_WHOLE_S only the
 * beginning of each slice is decoded, and the file says "sampled": true. */
#include "work/waveform.h"

#include "base/buf.h"

#include <libavcodec/avcodec.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

struct wave {
	struct watch *watch;
	const struct finished *file;
	struct input input;
	AVStream *stream;
	AVCodecContext *decoder;
	AVPacket *packet;
	AVFrame *frame;
	float *peaks;
	int64_t count; /* of peaks */
	int64_t per_second;
	int64_t start, next; /* of the sound, in samples: where the file begins, where the next frame does */
	/* Long takes are decoded in runs, one for each peak. */
	double duty;	/* of the time that is decoded, 0 to 1 */
	int64_t slice;	/* the peak whose run it is */
	int left, warm; /* packets of the run; frames that are not counted: the decoder is not yet settled */
	bool any;
};

/* The largest absolute value of `count` samples; NaN is none. */
#define LARGEST(name, type, absolute)                                                                                  \
	static float largest_##name(const void *data, int first, int last)                                             \
	{                                                                                                              \
		const type *sample = data;                                                                             \
		float most = 0;                                                                                        \
		for (int i = first; i < last; i++) {                                                                   \
			float value = absolute;                                                                        \
			most = value > most ? value : most;                                                            \
		}                                                                                                      \
		return most;                                                                                           \
	}
LARGEST(u8, uint8_t, fabsf((float)sample[i] - 128) / 128)
LARGEST(s16, int16_t, fabsf((float)sample[i]) / 32768)
LARGEST(s32, int32_t, fabsf((float)sample[i]) / 2147483648.0F)
LARGEST(flt, float, fabsf(sample[i]))
LARGEST(dbl, double, fabsf((float)sample[i]))
#undef LARGEST

static float largest(const AVFrame *f, int from, int to)
{
	static float (*const of[])(const void *, int, int) = {
		[AV_SAMPLE_FMT_U8] = largest_u8,   [AV_SAMPLE_FMT_S16] = largest_s16, [AV_SAMPLE_FMT_S32] = largest_s32,
		[AV_SAMPLE_FMT_FLT] = largest_flt, [AV_SAMPLE_FMT_DBL] = largest_dbl,
	};
	enum AVSampleFormat format = av_get_packed_sample_fmt(f->format);
	int channels = f->ch_layout.nb_channels;
	if (format < 0 || format >= (int)(sizeof of / sizeof *of) || !of[format])
		return 0;
	if (!av_sample_fmt_is_planar(f->format))
		return of[format](f->extended_data[0], from * channels, to * channels);
	float most = 0;
	for (int plane = 0; plane < channels; plane++)
		most = fmaxf(most, of[format](f->extended_data[plane], from, to));
	return most;
}

static void add_frame(struct wave *v)
{
	const AVFrame *f = v->frame;
	int rate = f->sample_rate;
	if (rate <= 0 || f->ch_layout.nb_channels <= 0)
		return;
	int64_t at = v->next;
	if (f->pts != AV_NOPTS_VALUE)
		at = av_rescale_q(f->pts, v->stream->time_base, (AVRational){ 1, rate }) -
		     av_rescale_q(v->start, AV_TIME_BASE_Q, (AVRational){ 1, rate });
	v->next = at + f->nb_samples;
	for (int from = 0; from < f->nb_samples;) {
		int64_t slice = at + from < 0 ? 0 : (at + from) * v->per_second / rate;
		int64_t end = ((slice + 1) * rate + v->per_second - 1) / v->per_second - at;
		int to = end < f->nb_samples ? (int)end : f->nb_samples;
		if (to <= from)
			to = from + 1;
		if (slice < v->count) {
			v->peaks[slice] = fmaxf(v->peaks[slice], largest(f, from, to));
			v->any = true;
		}
		from = to;
	}
}

/* Is the packet one of those that are decoded? Of a long take the first ones of each peak. */
static bool chosen(struct wave *v, const AVPacket *packet)
{
	if (v->duty >= 1 || packet->pts == AV_NOPTS_VALUE)
		return true;
	int64_t at = av_rescale_q(packet->pts, v->stream->time_base, AV_TIME_BASE_Q) - v->start;
	int64_t slice = at * v->per_second / AV_TIME_BASE;
	if (slice != v->slice) {
		enum AVCodecID codec = v->stream->codecpar->codec_id;
		double length = av_q2d(v->stream->time_base) * (double)packet->duration;
		double packets = length > 0 ? v->duty / (double)v->per_second / length : 0;
		v->slice = slice;
		if (v->left <= 0) {
			avcodec_flush_buffers(v->decoder);
			v->warm = codec != AV_CODEC_ID_FLAC && av_get_exact_bits_per_sample(codec) == 0 ? 2 : 0;
		}
		v->left = v->warm + (int)fmin(fmax(packets, LIMIT_WAVEFORM_PACKETS), 1e6);
	}
	return v->left-- > 0;
}

static void decode(struct wave *v, const AVPacket *packet)
{
	if (avcodec_send_packet(v->decoder, packet) < 0)
		return;
	while (avcodec_receive_frame(v->decoder, v->frame) >= 0) {
		if (v->warm > 0)
			v->warm--;
		else
			add_frame(v);
		av_frame_unref(v->frame);
	}
}

static void read_all(struct wave *v, unsigned share)
{
	unsigned begun = v->watch->progress;
	double bytes = (double)(v->input.range.end - v->input.range.begin);
	while (watch_tick(v->watch) && av_read_frame(v->input.format, v->packet) >= 0) {
		if (v->packet->stream_index == v->stream->index && chosen(v, v->packet))
			decode(v, v->packet);
		av_packet_unref(v->packet);
		watch_progress(v->watch, begun + (unsigned)((double)(v->input.at - v->input.range.begin) / bytes *
							    (share - begun)));
	}
	decode(v, NULL);
}

static bool write_peaks(const struct wave *v, double seconds, int fd)
{
	struct buf b;
	buf_init(&b);
	buf_addf(&b, "{\"version\": 1, \"duration\": %.3f, \"perSecond\": %d, ", seconds, (int)v->per_second);
	buf_addf(&b, "%s\"peaks\": [", v->duty < 1 ? "\"sampled\": true, " : "");
	for (int64_t i = 0; i < v->count; i++) {
		float peak = v->peaks[i] < 1 ? v->peaks[i] : 1; /* NaN is 1 */
		buf_addf(&b, "%s%d", i ? "," : "", (int)lroundf(peak * 255));
	}
	buf_add_text(&b, "]}\n");
	bool done = !b.failed;
	for (size_t at = 0; done && at < b.len;) {
		ssize_t n = pwrite(fd, b.data + at, b.len - at, (off_t)at);
		done = n > 0;
		at += done ? (size_t)n : 0;
	}
	buf_release(&b);
	return done;
}

static bool make(struct wave *v, int fd, unsigned share)
{
	const AVCodec *codec = avcodec_find_decoder(v->stream->codecpar->codec_id);
	double seconds = (double)v->file->duration_us / AV_TIME_BASE;
	if (!codec || v->file->duration_us <= 0 || seconds > LIMIT_WAVEFORM_SECONDS)
		return false;
	v->per_second = (int64_t)fmax(1, fmin(LIMIT_WAVEFORM_RATE, floor(LIMIT_WAVEFORM_PEAKS / seconds)));
	v->count = (int64_t)ceil(seconds * (double)v->per_second);
	v->start = v->input.format->start_time == AV_NOPTS_VALUE ? 0 : v->input.format->start_time;
	/* Sound of more samples than usual counts for more time. */
	const AVCodecParameters *par = v->stream->codecpar;
	double usual = fmax(1, (double)par->sample_rate * par->ch_layout.nb_channels / LIMIT_WAVEFORM_SAMPLES_S);
	v->duty = LIMIT_WAVEFORM_WHOLE_S / (seconds * usual);
	v->slice = -1;
	v->peaks = calloc((size_t)v->count, sizeof *v->peaks);
	v->packet = av_packet_alloc();
	v->frame = av_frame_alloc();
	v->decoder = avcodec_alloc_context3(codec);
	if (!v->peaks || !v->packet || !v->frame || !v->decoder)
		return false;
	v->decoder->pkt_timebase = v->stream->time_base;
	v->decoder->thread_count = 1;
	if (avcodec_parameters_to_context(v->decoder, v->stream->codecpar) < 0 ||
	    avcodec_open2(v->decoder, codec, NULL) < 0)
		return false;
	read_all(v, share);
	return v->any && write_peaks(v, seconds, fd);
}

bool waveform_make(struct watch *w, const struct finished *file, int fd, unsigned share)
{
	struct wave v = { .watch = w, .file = file };
	bool made = false;
	if (input_open(&v.input, w, &file->range, file->container, true))
		return false;
	for (unsigned i = 0; i < v.input.format->nb_streams; i++) {
		AVStream *st = v.input.format->streams[i];
		if (!v.stream && st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO)
			v.stream = st;
		else
			st->discard = AVDISCARD_ALL;
	}
	if (v.stream)
		made = make(&v, fd, share);
	if (v.stream && !made)
		watch_warn(w, "no_waveform_made", "No sound of it could be decoded.");
	free(v.peaks);
	av_packet_free(&v.packet);
	av_frame_free(&v.frame);
	avcodec_free_context(&v.decoder);
	input_close(&v.input);
	return made;
}
