/* A worker's word about its lease: it has decoded what came from outside, and is trusted no more than that. */
#include "engine/jobs.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The extension becomes part of a file's name, the type a header. */
static bool media_plausible(const struct media_info *media)
{
	size_t ext = strnlen(media->ext, sizeof media->ext), mime = strnlen(media->mime, sizeof media->mime);
	bool fine = ext < sizeof media->ext && mime < sizeof media->mime;
	for (size_t i = 0; fine && i < ext; i++)
		fine = (media->ext[i] >= 'a' && media->ext[i] <= 'z') || (media->ext[i] >= '0' && media->ext[i] <= '9');
	for (size_t i = 0; fine && i < mime; i++)
		fine = media->mime[i] >= ' ' && media->mime[i] <= '~';
	return fine && media->bytes <= LIMIT_NUMBER;
}

/* A track that was begun and brought nothing while others did: a file without it is not what was meant. */
static void warn_of_empty(const struct recording_info *info, json_t *list)
{
	char message[LIMIT_SENTENCE_CHARS];
	for (uint32_t i = 0; i < info->track_count; i++) {
		if (info->tracks[i].bytes > 0)
			continue;
		snprintf(message, sizeof message, "Nothing was received of the track \"%s\".", info->tracks[i].name);
		json_t *warning = json_pack("{s:s, s:s}", "code", "tracks_differ", "message", message);
		must(json_array_append_new(list, warning) ? NULL : list);
	}
}

/* The worker's and ours; what is no list of warnings is none. */
static char *warnings_of(const struct lease *l, const char *text)
{
	json_t *list = text && strlen(text) <= LIMIT_WARNINGS_BYTES ? json_loads(text, 0, NULL) : NULL;
	if (!json_is_array(list)) {
		json_decref(list);
		list = must(json_array());
	}
	warn_of_empty(&l->info, list);
	char *all = json_array_size(list) > 0 ? must(json_dumps(list, JSON_COMPACT)) : NULL;
	json_decref(list);
	return all;
}

/* Taken once, and before anything that its media can have had a hand in. */
static void take_hashes(struct lease *l, const struct worker_event *event)
{
	unsigned tracks = l->given_job.track_count;
	bool fine = !l->hashed && !l->filed && event->hash_count == l->wanted;
	for (uint32_t i = 0; fine && i < event->hash_count; i++) {
		const struct track_hash *hash = &event->hashes[i];
		fine = hash->track < tracks && l->tracks[hash->track].hash &&
		       (i == 0 || hash->track > event->hashes[i - 1].track);
		if (fine)
			l->hashes[l->hash_count + i] = (struct track_hash){ l->numbers[hash->track], hash->sha256 };
	}
	if (!fine) {
		lease_fail(l, ERR_WORKER_DIED, NULL);
		return;
	}
	l->hashed = true;
	l->hash_count += event->hash_count;
}

void lease_event(struct lease *l, const struct worker_event *event)
{
	switch (event->type) {
	case WORKER_ALIVE:
		l->progress = event->progress < 1000 ? event->progress : 1000;
		break;
	case WORKER_HASHED:
		take_hashes(l, event);
		break;
	case WORKER_FILE:
		if (l->filed)
			break;
		if (l->wanted > 0 && !l->hashed) {
			lease_fail(l, ERR_WORKER_DIED, NULL);
			break;
		}
		if (!media_plausible(event->media)) {
			lease_fail(l, ERR_CHECK_FAILED, NULL);
			break;
		}
		l->filed = true;
		l->file = *event->media;
		l->file_warnings = warnings_of(l, event->warnings);
		break;
	case WORKER_DONE:
		if (!l->filed) {
			lease_fail(l, ERR_WORKER_DIED, NULL);
			break;
		}
		l->ended = true;
		l->progress = 1000;
		l->end.has_thumbnail = event->media->has_thumbnail;
		l->end.has_waveform = event->media->has_waveform;
		l->end_warnings = warnings_of(l, event->warnings);
		break;
	case WORKER_FAILED:
		lease_fail(l, event->err ? event->err : ERR_WORKER_DIED, event->message);
		break;
	default:
		break;
	}
}
