/* Guesses, see guess.h. */
#include "guess.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const struct guess known[] = {
	{ "webm", "video/webm" },      { "weba", "audio/webm" },     { "mkv", "video/x-matroska" },
	{ "mka", "audio/x-matroska" }, { "mp4", "video/mp4" },	     { "m4a", "audio/mp4" },
	{ "m4v", "video/mp4" },	       { "mov", "video/quicktime" }, { "ogg", "audio/ogg" },
	{ "oga", "audio/ogg" },	       { "opus", "audio/ogg" },	     { "ogv", "video/ogg" },
	{ "wav", "audio/wav" },	       { "flac", "audio/flac" },     { "mp3", "audio/mpeg" },
	{ "aac", "audio/aac" },	       { "ts", "video/mp2t" },	     { "avi", "video/x-msvideo" },
};

enum { KNOWN = sizeof known / sizeof known[0] };

struct guess guess_from_name(const char *name)
{
	const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash : name, '.');
	for (unsigned i = 0; dot && i < KNOWN; i++)
		if (strcasecmp(dot + 1, known[i].ext) == 0)
			return known[i];
	return (struct guess){ 0 };
}

struct guess guess_from_mime(const char *mime)
{
	size_t len = strcspn(mime, "; ");
	for (unsigned i = 0; i < KNOWN; i++)
		if (strlen(known[i].mime) == len && strncasecmp(mime, known[i].mime, len) == 0)
			return known[i];
	return (struct guess){ 0 };
}

static bool at(const void *data, size_t len, size_t offset, const char *magic, size_t magic_len)
{
	return len >= offset + magic_len && memcmp((const char *)data + offset, magic, magic_len) == 0;
}

struct guess guess_from_bytes(const void *data, size_t len)
{
	if (at(data, len, 0, "\x1a\x45\xdf\xa3", 4)) { /* EBML; its DocType stands near the front */
		for (size_t i = 4; i < len && i < GUESS_BYTES; i++)
			if (at(data, len, i, "matroska", 8))
				return guess_from_name(".mkv");
		return guess_from_name(".webm");
	}
	if (at(data, len, 0, "OggS", 4))
		return guess_from_name(".ogg");
	if (at(data, len, 4, "ftypM4A", 7))
		return guess_from_name(".m4a");
	if (at(data, len, 4, "ftyp", 4) || at(data, len, 4, "moof", 4))
		return guess_from_name(".mp4");
	if (at(data, len, 0, "RIFF", 4) && at(data, len, 8, "WAVE", 4))
		return guess_from_name(".wav");
	if (at(data, len, 0, "fLaC", 4))
		return guess_from_name(".flac");
	if (at(data, len, 0, "ID3", 3))
		return guess_from_name(".mp3");
	return (struct guess){ 0 };
}
