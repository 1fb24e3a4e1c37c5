/* The thumbnail, see thumbnail.h. Only keyframes are decoded, one at each place that is tried. */
#include "work/thumbnail.h"

#include <libavcodec/avcodec.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

struct picture {
	struct watch *watch;
	const struct finished *file;
	struct input input;
	AVStream *stream;
	AVCodecContext *decoder;
	AVFrame *frame; /* as decoded */
	AVFrame *best;	/* scaled; the brightest so far */
	AVPacket *packet;
	unsigned light; /* of `best`: mean and contrast, 0 to 510 */
};

enum { LIGHT_ENOUGH = 60 };

/* The film's pictures, or else that of the album. */
static AVStream *find_stream(const AVFormatContext *format)
{
	AVStream *found = NULL;
	for (unsigned i = 0; i < format->nb_streams; i++) {
		AVStream *st = format->streams[i];
		if (st->codecpar->codec_type != AVMEDIA_TYPE_VIDEO)
			continue;
		if (!(st->disposition & AV_DISPOSITION_ATTACHED_PIC))
			return st;
		if (!found)
			found = st;
	}
	return found;
}

static AVCodecContext *open_decoder(const AVStream *st)
{
	const AVCodec *codec = avcodec_find_decoder(st->codecpar->codec_id);
	AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
	if (!c)
		return NULL;
	c->thread_count = 1;
	c->max_pixels = LIMIT_MEDIA_PIXELS;
	c->skip_frame = AVDISCARD_NONKEY;
	c->pkt_timebase = st->time_base;
	if (avcodec_parameters_to_context(c, st->codecpar) < 0 || avcodec_open2(c, codec, NULL) < 0)
		avcodec_free_context(&c);
	return c;
}

/* Decodes the next keyframe from where the input stands into p->frame. */
static bool next_keyframe(struct picture *p)
{
	bool got = false;
	for (int i = 0; !got && i < LIMIT_THUMBNAIL_PACKETS && watch_tick(p->watch); i++) {
		if (av_read_frame(p->input.format, p->packet) < 0)
			break;
		if (p->packet->stream_index == p->stream->index && p->packet->flags & AV_PKT_FLAG_KEY) {
			/* Drained at once: a decoder that waits for further frames gives this one. */
			got = avcodec_send_packet(p->decoder, p->packet) >= 0 &&
			      avcodec_send_packet(p->decoder, NULL) >= 0 &&
			      avcodec_receive_frame(p->decoder, p->frame) >= 0;
			avcodec_flush_buffers(p->decoder);
		}
		av_packet_unref(p->packet);
	}
	return got && p->frame->width > 0 && p->frame->height > 0;
}

/* Quarter turns clockwise. */
static int turns(const AVStream *st)
{
	const uint8_t *matrix = av_stream_get_side_data(st, AV_PKT_DATA_DISPLAYMATRIX, NULL);
	double angle = matrix ? av_display_rotation_get((const int32_t *)matrix) : 0;
	return isnan(angle) ? 0 : (int)lround(-angle / 90) & 3;
}

static AVFrame *new_frame(int width, int height)
{
	AVFrame *f = av_frame_alloc();
	if (!f)
		return NULL;
	f->width = width;
	f->height = height;
	f->format = AV_PIX_FMT_YUVJ420P;
	f->color_range = AVCOL_RANGE_JPEG;
	if (av_frame_get_buffer(f, 0) < 0)
		av_frame_free(&f);
	return f;
}

/* As it is shown: the pixels' own shape counts, and a phone that was held upright. */
static AVFrame *scale(const AVFrame *from, AVRational aspect, int turned)
{
	double width = from->width, height = from->height;
	if (aspect.num > 0 && aspect.den > 0 && av_q2d(aspect) < 20 && av_q2d(aspect) > 0.05)
		width *= av_q2d(aspect);
	double across = turned & 1 ? height : width, down = turned & 1 ? width : height;
	double factor = fmin(1, fmin(LIMIT_THUMBNAIL_WIDTH / across, LIMIT_THUMBNAIL_HEIGHT / down));
	int w = (int)fmax(1, lround(width * factor)), h = (int)fmax(1, lround(height * factor));
	struct SwsContext *sws = sws_getContext(from->width, from->height, from->format, w, h, AV_PIX_FMT_YUVJ420P,
						SWS_AREA, NULL, NULL, NULL);
	AVFrame *to = sws ? new_frame(w, h) : NULL;
	if (to && sws_scale(sws, (const uint8_t *const *)from->data, from->linesize, 0, from->height, to->data,
			    to->linesize) <= 0)
		av_frame_free(&to);
	sws_freeContext(sws);
	return to;
}

static AVFrame *turn(const AVFrame *from, int turned)
{
	AVFrame *to = turned & 1 ? new_frame(from->height, from->width) : new_frame(from->width, from->height);
	for (int plane = 0; to && plane < 3; plane++) {
		int shift = plane ? 1 : 0, w = -(-from->width >> shift), h = -(-from->height >> shift);
		for (int y = 0; y < h; y++) {
			for (int x = 0; x < w; x++) {
				int tx = turned == 1 ? h - 1 - y : turned == 2 ? w - 1 - x : y;
				int ty = turned == 1 ? x : turned == 2 ? h - 1 - y : w - 1 - x;
				to->data[plane][ty * to->linesize[plane] + tx] =
					from->data[plane][y * from->linesize[plane] + x];
			}
		}
	}
	return to;
}

/* How much there is to see: the mean of its light and its range. */
static unsigned light(const AVFrame *f)
{
	uint64_t sum = 0;
	unsigned low = 255, high = 0;
	for (int y = 0; y < f->height; y++) {
		for (int x = 0; x < f->width; x++) {
			unsigned v = f->data[0][y * f->linesize[0] + x];
			sum += v;
			low = v < low ? v : low;
			high = v > high ? v : high;
		}
	}
	return (unsigned)(sum / ((uint64_t)f->width * (uint64_t)f->height)) + high - low;
}

static void consider(struct picture *p)
{
	AVRational aspect = p->frame->sample_aspect_ratio;
	if (aspect.num <= 0)
		aspect = p->stream->sample_aspect_ratio;
	AVFrame *small = scale(p->frame, aspect, turns(p->stream));
	unsigned seen = small ? light(small) : 0;
	if (small && (!p->best || seen > p->light)) {
		av_frame_free(&p->best);
		p->best = small;
		p->light = seen;
	} else {
		av_frame_free(&small);
	}
	av_frame_unref(p->frame);
}

/* Looks at a tenth of it first, and elsewhere while there is nothing but dark. */
static void look(struct picture *p)
{
	static const double places[] = { 0.1, 0.25, 0.5, 0.75, 0 };
	int64_t duration = p->file->duration_us, start = p->input.format->start_time;
	if (start == AV_NOPTS_VALUE)
		start = 0;
	for (size_t i = 0; i < sizeof places / sizeof *places && p->light < LIGHT_ENOUGH && watch_tick(p->watch); i++) {
		int64_t at = start + (int64_t)((double)duration * places[i]);
		bool picture = p->stream->disposition & AV_DISPOSITION_ATTACHED_PIC;
		if (i > 0 && picture)
			break;
		if (!picture && av_seek_frame(p->input.format, -1, at, AVSEEK_FLAG_BACKWARD) < 0)
			continue;
		if (next_keyframe(p))
			consider(p);
	}
}

static bool write_jpeg(AVFrame *frame, int fd)
{
	AVCodecContext *c = avcodec_alloc_context3(avcodec_find_encoder(AV_CODEC_ID_MJPEG));
	AVPacket *packet = av_packet_alloc();
	bool done = false;
	if (c && packet) {
		c->width = frame->width;
		c->height = frame->height;
		c->pix_fmt = frame->format;
		c->color_range = AVCOL_RANGE_JPEG;
		c->time_base = (AVRational){ 1, 1 };
		c->thread_count = 1;
		c->flags |= AV_CODEC_FLAG_QSCALE;
		c->global_quality = frame->quality = 4 * FF_QP2LAMBDA;
		frame->pts = 0;
		done = avcodec_open2(c, NULL, NULL) >= 0 && avcodec_send_frame(c, frame) >= 0 &&
		       avcodec_send_frame(c, NULL) >= 0 && avcodec_receive_packet(c, packet) >= 0 &&
		       pwrite(fd, packet->data, (size_t)packet->size, 0) == packet->size;
	}
	av_packet_free(&packet);
	avcodec_free_context(&c);
	return done;
}

static bool make(struct picture *p, int fd)
{
	p->decoder = open_decoder(p->stream);
	p->frame = av_frame_alloc();
	p->packet = av_packet_alloc();
	if (!p->decoder || !p->frame || !p->packet)
		return false;
	look(p);
	int turned = turns(p->stream);
	if (p->best && turned) {
		AVFrame *upright = turn(p->best, turned);
		av_frame_free(&p->best);
		p->best = upright;
	}
	return p->best && write_jpeg(p->best, fd);
}

bool thumbnail_make(struct watch *w, const struct finished *file, int fd)
{
	struct picture p = { .watch = w, .file = file };
	bool made = false;
	if (input_open(&p.input, w, &file->range, file->container, true))
		return false;
	p.stream = find_stream(p.input.format);
	if (p.stream)
		made = make(&p, fd);
	if (p.stream && !made)
		watch_warn(w, "no_thumbnail_made", "No picture of it could be decoded.");
	av_frame_free(&p.best);
	av_frame_free(&p.frame);
	av_packet_free(&p.packet);
	avcodec_free_context(&p.decoder);
	input_close(&p.input);
	return made;
}
