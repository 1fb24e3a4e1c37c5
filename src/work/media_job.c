/* A finalize job from its descriptors to its result, see media_job.h. The order: survey, copy, check, then the file is
 * told of; thumbnail and waveform come after it and can only add warnings. */
#include "work/check.h"
#include "work/thumbnail.h"
#include "work/waveform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHARE_COPY = 800, SHARE_FILE = 900, SHARE_THUMBNAIL = 910, SHARE_ALL = 1000 }; /* of the progress, per mille */

static bool has_pictures(const struct take *t)
{
	for (unsigned i = 0; i < t->slot_count; i++) {
		if (t->slots[i].par->codec_type == AVMEDIA_TYPE_VIDEO && !t->slots[i].dropped &&
		    !(t->slots[i].disposition & AV_DISPOSITION_ATTACHED_PIC))
			return true;
	}
	return false;
}

/* `t`: what it is known to be. */
static void as_is(const struct media_job *job, struct media_info *media, const struct take *t)
{
	enum container c = CONTAINER_NONE;
	if (t->container != CONTAINER_NONE && t->sources[0].part_count > 0 && t->sources[0].parts[0].range.begin == 0)
		c = t->sources[0].parts[0].container;
	const struct container_row *row = container_row(c);
	*media = (struct media_info){ .as_is = true, .duration_ms = -1 };
	media->bytes = job->track_count ? job->tracks[0].bytes : 0;
	snprintf(media->mime, sizeof media->mime, "%s", has_pictures(t) ? row->video_mime : row->audio_mime);
	snprintf(media->ext, sizeof media->ext, "%s", row->ext);
}

/* Damaged MP3, FLAC and Ogg have no index that says where a packet ends, so they read differently each time. They play
 * as they came as well as they would ever do, and another container changes nothing. */
static bool as_good_as_it_came(const struct take *t)
{
	if (t->container != CONTAINER_MP3 && t->container != CONTAINER_FLAC && t->container != CONTAINER_OGG)
		return false;
	return t->source_count == 1 && t->sources[0].part_count == 1 && t->sources[0].parts[0].range.begin == 0 &&
	       t->sources[0].parts[0].container == t->container;
}

static void describe(const struct take *t, const struct remuxed *made, int64_t duration_us, struct media_info *media)
{
	const struct container_row *row = container_row(t->container);
	*media = (struct media_info){ .bytes = made->bytes, .duration_ms = (duration_us + 500) / 1000 };
	snprintf(media->mime, sizeof media->mime, "%s", has_pictures(t) ? row->video_mime : row->audio_mime);
	snprintf(media->ext, sizeof media->ext, "%s", row->ext);
}

static unsigned lap(int64_t *began)
{
	int64_t now = watch_now_ms(), took = now - *began;
	*began = now;
	return (unsigned)took;
}

static enum err copy_and_check(const struct media_job *job, struct take *t, struct media_result *result)
{
	int64_t began = watch_now_ms(), duration_us = 0;
	struct remuxed made;
	enum err err = remux(t, job->file_fd, SHARE_COPY, &made);
	if (err)
		return err;
	watch_progress(t->watch, SHARE_COPY);
	result->times.copy_ms += lap(&began);
	err = check_file(t, job->file_fd, &made, &duration_us);
	result->times.check_ms += lap(&began);
	if (!err)
		describe(t, &made, duration_us, &result->media);
	return err;
}

/* What reads back otherwise than it was written is damaged or lies, and the next attempt would give the same. It is
 * tried in Matroska, which changes least. */
static enum err make_checked(const struct media_job *job, struct take *t, struct media_result *result)
{
	enum err err = copy_and_check(job, t, result);
	if (err == ERR_CHECK_FAILED && t->container != CONTAINER_MATROSKA && !as_good_as_it_came(t)) {
		watch_forget(t->watch);
		t->container = CONTAINER_MATROSKA;
		take_rewind(t);
		err = copy_and_check(job, t, result);
	}
	return err;
}

/* The file; as_is in `media` if there is nothing to make one of. */
static enum err make_file(const struct media_job *job, struct watch *w, struct media_result *result)
{
	int64_t began = watch_now_ms();
	struct take take;
	enum err err = take_survey(&take, w);
	result->times.copy_ms = lap(&began);
	if (!err)
		err = take.container == CONTAINER_NONE ? ERR_NO_FILE : make_checked(job, &take, result);
	/* Nothing can be made of it; what came is better than nothing, but for several tracks only one could be given.
	 */
	bool came = err == ERR_NO_FILE ||
		    ((err == ERR_CHECK_FAILED || err == ERR_MEDIA_UNREADABLE) && job->track_count == 1);
	if (err == ERR_NO_FILE) {
		watch_warn(w, "not_media", "No media could be found in it; it is published as it came.");
		take.container = CONTAINER_NONE;
	} else if (came) {
		watch_warn(w, "truncated", "It is damaged, and it is published as it came.");
	}
	if (came) {
		watch_forget(w);
		as_is(job, &result->media, &take);
	}
	take_release(&take);
	if (!came)
		return err;
	return ftruncate(job->file_fd, 0) ? ERR_WRITE_FAILED : ERR_OK;
}

/* What can fail without harm. Only to be stopped counts. */
static enum err decorate(const struct media_job *job, struct watch *w, struct media_result *result)
{
	struct media_info *media = &result->media;
	int64_t began = watch_now_ms();
	struct finished file = { .range = { job->file_fd, 0, media->bytes }, .duration_us = media->duration_ms * 1000 };
	if (sniff(job->file_fd, 0, media->bytes, &file.container))
		return ERR_OK;
	media->has_thumbnail = thumbnail_make(w, &file, job->thumbnail_fd);
	watch_progress(w, SHARE_THUMBNAIL);
	result->times.thumbnail_ms = lap(&began);
	media->has_waveform = waveform_make(w, &file, job->waveform_fd, SHARE_ALL);
	result->times.waveform_ms = lap(&began);
	return w->stopped ? ERR_MEDIA_LIMIT : ERR_OK;
}

enum err media_job_run(const struct media_job *job, struct media_result *out)
{
	struct watch w;
	watch_init(&w, job);
	*out = (struct media_result){ .media.duration_ms = -1 };
	watch_tick(&w);
	enum err err = make_file(job, &w, out);
	if (!err && w.lost)
		err = ERR_NO_MEMORY;
	if (!err) {
		watch_progress(&w, SHARE_FILE);
		char *warnings = watch_warnings(&w);
		job->file_done(job->arg, &out->media, warnings);
		free(warnings);
		if (!out->media.as_is)
			err = decorate(job, &w, out);
	}
	if (err)
		watch_explain(&w, err, out->message, sizeof out->message);
	else
		out->warnings = watch_warnings(&w);
	watch_release(&w);
	return err;
}
