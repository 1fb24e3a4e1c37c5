/* Published media, see media.h.
 *
 * What stands in media/<id>/<revision>/ was synced before it got that name, but for thumbnail and waveform, which its
 * media.json only knows of once they are synced too. A published revision that is made again (its thumbnail failed) is
 * aside, as <revision>.old.tmp, for the moment between two renames: media_remove and the next attempt put it back.
 *
 * What a worker says is judged here: it reads foreign media. */
#include "store/media.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEDIA	  "media"
#define FACTS	  "media.json"
#define FILE_NAME "file" /* until the facts name its extension */

enum { FACTS_BYTES = 4096 };

static const char *const part_names[MEDIA_PART_COUNT] = { FILE_NAME, "thumbnail.jpg", "waveform.json" };

/* Paths */

static void dir_path(const struct uuid *id, char out[MEDIA_PATH])
{
	char text[UUID_TEXT];
	uuid_format(id, text);
	snprintf(out, MEDIA_PATH, MEDIA "/%s", text);
}

static void revision_path(const struct uuid *id, uint32_t revision, char out[MEDIA_PATH])
{
	char text[UUID_TEXT];
	uuid_format(id, text);
	snprintf(out, MEDIA_PATH, MEDIA "/%s/%u", text, revision);
}

static void aside_path(const struct uuid *id, uint32_t revision, char out[MEDIA_PATH])
{
	char text[UUID_TEXT];
	uuid_format(id, text);
	snprintf(out, MEDIA_PATH, MEDIA "/%s/%u.old.tmp", text, revision);
}

static void attempt_path(const struct media_attempt *a, char out[MEDIA_PATH])
{
	char text[UUID_TEXT];
	uuid_format(&a->id, text);
	snprintf(out, MEDIA_PATH, MEDIA "/%s/%u.%u.tmp", text, a->revision, a->epoch);
}

static void join(const char *dir, const char *name, const char *ext, char out[MEDIA_PATH])
{
	int needed = snprintf(out, MEDIA_PATH, "%s/%s%s%s", dir, name, *ext ? "." : "", ext);
	if (needed >= MEDIA_PATH) /* a foreign name: there is nothing of that name */
		out[0] = '\0';
}

void media_part_path(const struct uuid *id, const struct media_info *media, enum media_part part, char out[MEDIA_PATH])
{
	char dir[MEDIA_PATH];
	revision_path(id, media->revision, dir);
	join(dir, part_names[part], part == MEDIA_FILE ? media->ext : "", out);
}

/* It becomes a part of a path. */
static bool ext_fits(const char *ext)
{
	size_t len = strspn(ext, "abcdefghijklmnopqrstuvwxyz0123456789");
	return ext[len] == '\0' && len <= LIMIT_EXT_CHARS;
}

/* Directories: names are gathered before anything is changed, for a directory must not change while it is read. */

struct names {
	char **names;
	size_t count;
};

static enum err names_add(void *arg, const char *name)
{
	struct names *list = arg;
	if (list->count % 16 == 0) {
		char **names = realloc(list->names, (list->count + 16) * sizeof *names);
		if (!names)
			return ERR_NO_MEMORY;
		list->names = names;
	}
	list->names[list->count] = strdup(name);
	return list->names[list->count++] ? ERR_OK : ERR_NO_MEMORY;
}

static void names_free(struct names *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->names[i]);
	free(list->names);
}

static enum err missing_is_fine(enum err err)
{
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err nothing(void *arg, const char *name)
{
	return ERR_OK;
}

static enum err dir_there(struct vfs *vfs, const char *path)
{
	return vfs_list(vfs, path, nothing, NULL);
}

static enum err make_dir(struct vfs *vfs, const char *path)
{
	enum err err = vfs_mkdir(vfs, path);
	return err == ERR_EXISTS ? ERR_OK : err;
}

/* A folder of files, and all that is in it. */
static enum err remove_folder(struct vfs *vfs, const char *path)
{
	struct names list = { 0 };
	enum err err = vfs_list(vfs, path, names_add, &list);
	for (size_t i = 0; err == ERR_OK && i < list.count; i++) {
		char file[MEDIA_PATH];
		join(path, list.names[i], "", file);
		err = missing_is_fine(vfs_unlink(vfs, file));
	}
	names_free(&list);
	if (err == ERR_OK)
		err = vfs_rmdir(vfs, path);
	return missing_is_fine(err);
}

/* Puts back what a crash between two renames left aside. */
static enum err put_back(struct vfs *vfs, const struct uuid *id, uint32_t revision)
{
	char final[MEDIA_PATH], aside[MEDIA_PATH];
	revision_path(id, revision, final);
	aside_path(id, revision, aside);
	enum err err = dir_there(vfs, final);
	return err == ERR_NOT_FOUND ? missing_is_fine(vfs_rename(vfs, aside, final)) : err;
}

enum err media_remove(struct vfs *vfs, const struct uuid *id, uint32_t keep)
{
	char dir[MEDIA_PATH], kept[16];
	struct names list = { 0 };
	snprintf(kept, sizeof kept, "%u", keep);
	dir_path(id, dir);
	enum err err = keep > 0 ? put_back(vfs, id, keep) : ERR_OK;
	if (err == ERR_OK)
		err = vfs_list(vfs, dir, names_add, &list);
	for (size_t i = 0; err == ERR_OK && i < list.count; i++) {
		char path[MEDIA_PATH];
		if (keep > 0 && strcmp(list.names[i], kept) == 0)
			continue;
		join(dir, list.names[i], "", path);
		err = remove_folder(vfs, path);
	}
	names_free(&list);
	if (err == ERR_OK) /* synced: what a power cut brings back would stay for ever */
		err = keep == 0 ? vfs_rmdir(vfs, dir) : vfs_sync_dir(vfs, dir);
	return missing_is_fine(err);
}

/* Facts */

static enum err facts_write(struct vfs *vfs, const char *dir, const struct media_attempt *a,
			    const struct media_info *media)
{
	char path[MEDIA_PATH];
	json_t *facts = json_pack("{s:i, s:I, s:I, s:b, s:I, s:s, s:s, s:b, s:b, s:I}", "version", 1, "revision",
				  (json_int_t)a->revision, "epoch", (json_int_t)a->epoch, "asIs", media->as_is, "bytes",
				  (json_int_t)media->bytes, "mime", media->mime, "ext", media->ext, "thumbnail",
				  media->has_thumbnail, "waveform", media->has_waveform, "publishedAt",
				  (json_int_t)media->published_ms);
	if (facts && media->duration_ms >= 0)
		json_object_set_new(facts, "durationMs", json_integer(media->duration_ms));
	char *text = facts ? json_dumps(facts, JSON_COMPACT) : NULL;
	json_decref(facts);
	if (!text)
		return ERR_NO_MEMORY;
	join(dir, FACTS, "", path);
	enum err err = vfs_replace(vfs, path, text, strlen(text));
	free(text);
	return err;
}

static bool text_get(const json_t *object, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));
	size_t len = text ? strlen(text) : size;
	if (len >= size)
		return false;
	memcpy(out, text, len + 1);
	return true;
}

static bool number_get(const json_t *object, const char *key, json_int_t most, json_int_t *out)
{
	const json_t *value = json_object_get(object, key);
	*out = json_integer_value(value);
	return json_is_integer(value) && *out >= 0 && *out <= most;
}

static bool facts_parse(const json_t *o, struct media_info *out, uint32_t *epoch)
{
	json_int_t version, revision, number, bytes, published, duration = -1;
	const json_t *length = json_object_get(o, "durationMs");
	bool ok = number_get(o, "version", 1, &version) && number_get(o, "revision", UINT32_MAX, &revision) &&
		  number_get(o, "epoch", UINT32_MAX, &number) &&
		  number_get(o, "bytes", (json_int_t)LIMIT_NUMBER, &bytes) &&
		  number_get(o, "publishedAt", (json_int_t)LIMIT_NUMBER, &published) &&
		  (!length || number_get(o, "durationMs", (json_int_t)LIMIT_NUMBER, &duration)) &&
		  text_get(o, "mime", out->mime, sizeof out->mime) && text_get(o, "ext", out->ext, sizeof out->ext) &&
		  ext_fits(out->ext);
	if (!ok)
		return false;
	out->revision = (uint32_t)revision;
	out->bytes = (uint64_t)bytes;
	out->published_ms = published;
	out->duration_ms = duration;
	out->as_is = json_is_true(json_object_get(o, "asIs"));
	out->has_thumbnail = json_is_true(json_object_get(o, "thumbnail"));
	out->has_waveform = json_is_true(json_object_get(o, "waveform"));
	*epoch = (uint32_t)number;
	return true;
}

/* ERR_NOT_FOUND, ERR_CORRUPT. */
static enum err facts_read(struct vfs *vfs, const char *dir, struct media_info *out, uint32_t *epoch)
{
	char path[MEDIA_PATH], *text;
	size_t len;
	*out = (struct media_info){ 0 };
	join(dir, FACTS, "", path);
	enum err err = vfs_read_all(vfs, path, FACTS_BYTES, &text, &len);
	if (err != ERR_OK)
		return err;
	json_error_t error;
	json_t *facts = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	free(text);
	if (!facts)
		return json_error_code(&error) == json_error_out_of_memory ? ERR_NO_MEMORY : ERR_CORRUPT;
	err = facts_parse(facts, out, epoch) ? ERR_OK : ERR_CORRUPT;
	json_decref(facts);
	return err;
}

/* An attempt */

/* Removes what earlier attempts left, but for what is to be put back. */
static enum err tidy(struct vfs *vfs, const struct media_attempt *a)
{
	char dir[MEDIA_PATH];
	struct names list = { 0 };
	dir_path(&a->id, dir);
	enum err err = put_back(vfs, &a->id, a->revision);
	if (err == ERR_OK)
		err = vfs_list(vfs, dir, names_add, &list);
	for (size_t i = 0; err == ERR_OK && i < list.count; i++) {
		char path[MEDIA_PATH];
		size_t len = strlen(list.names[i]);
		if (len < 4 || strcmp(list.names[i] + len - 4, ".tmp") != 0)
			continue;
		join(dir, list.names[i], "", path);
		err = remove_folder(vfs, path);
	}
	names_free(&list);
	return err;
}

enum err media_attempt_open(struct vfs *vfs, const struct uuid *id, uint32_t revision, uint32_t epoch,
			    struct media_attempt *out)
{
	char dir[MEDIA_PATH];
	*out = (struct media_attempt){ .id = *id, .revision = revision, .epoch = epoch };
	dir_path(id, dir);
	enum err err = make_dir(vfs, MEDIA);
	if (err == ERR_OK)
		err = make_dir(vfs, dir);
	if (err == ERR_OK)
		err = tidy(vfs, out);
	attempt_path(out, dir);
	if (err == ERR_OK)
		err = vfs_mkdir(vfs, dir);
	for (int i = 0; err == ERR_OK && i < MEDIA_PART_COUNT; i++) {
		char path[MEDIA_PATH];
		join(dir, part_names[i], "", path);
		err = vfs_open(vfs, path, VFS_READ | VFS_WRITE | VFS_CREATE | VFS_EXCLUSIVE, &out->files[i]);
	}
	if (err != ERR_OK)
		media_attempt_close(vfs, out, true);
	return err;
}

/* The file as the worker says it is, durable and under its name. */
static enum err seal_file(struct vfs *vfs, struct media_attempt *a, const char *dir, const struct media_info *media)
{
	char from[MEDIA_PATH], to[MEDIA_PATH];
	uint64_t size;
	join(dir, FILE_NAME, "", from);
	join(dir, FILE_NAME, media->ext, to);
	if (media->as_is)
		return missing_is_fine(vfs_unlink(vfs, from));
	enum err err = vfs_file_size(a->files[MEDIA_FILE], &size);
	if (err == ERR_OK && size != media->bytes)
		err = ERR_CHECK_FAILED;
	if (err == ERR_OK)
		err = vfs_file_sync(a->files[MEDIA_FILE]);
	return err == ERR_OK && *media->ext ? vfs_rename(vfs, from, to) : err;
}

enum err media_attempt_seal(struct vfs *vfs, struct media_attempt *a, const struct media_info *media)
{
	char dir[MEDIA_PATH], parent[MEDIA_PATH];
	struct media_info facts = *media;
	if (!ext_fits(media->ext) || media->bytes > LIMIT_NUMBER)
		return ERR_CHECK_FAILED;
	facts.has_thumbnail = facts.has_waveform = false; /* nobody has synced them */
	attempt_path(a, dir);
	dir_path(&a->id, parent);
	enum err err = seal_file(vfs, a, dir, media);
	if (err == ERR_OK)
		err = facts_write(vfs, dir, a, &facts); /* syncs the folder behind it */
	if (err == ERR_OK)
		err = vfs_sync_dir(vfs, MEDIA);
	return err == ERR_OK ? vfs_sync_dir(vfs, "") : err;
}

/* Another attempt's form of the same revision makes room. */
static enum err replace(struct vfs *vfs, const struct media_attempt *a, const char *from, const char *to)
{
	char aside[MEDIA_PATH], parent[MEDIA_PATH];
	aside_path(&a->id, a->revision, aside);
	dir_path(&a->id, parent);
	enum err err = remove_folder(vfs, aside);
	if (err == ERR_OK)
		err = vfs_rename(vfs, to, aside);
	if (err != ERR_OK)
		return err;
	err = vfs_rename(vfs, from, to);
	if (err != ERR_OK) {
		(void)vfs_rename(vfs, aside, to); /* if that fails too, the next attempt sets it right */
		return err;
	}
	err = vfs_sync_dir(vfs, parent);
	if (err == ERR_OK)
		(void)remove_folder(vfs, aside); /* what is left of it goes with the next attempt or the recording */
	return err;
}

enum err media_attempt_publish(struct vfs *vfs, const struct media_attempt *a)
{
	char from[MEDIA_PATH], to[MEDIA_PATH], parent[MEDIA_PATH];
	struct media_info facts;
	uint32_t epoch = 0;
	attempt_path(a, from);
	revision_path(&a->id, a->revision, to);
	dir_path(&a->id, parent);
	enum err err = dir_there(vfs, from);
	if (err == ERR_NOT_FOUND) { /* done before, or there is nothing to publish */
		err = facts_read(vfs, to, &facts, &epoch);
		if (err == ERR_OK && epoch != a->epoch)
			err = ERR_NOT_FOUND;
		return err == ERR_OK ? vfs_sync_dir(vfs, parent) : err;
	}
	if (err != ERR_OK)
		return err;
	err = dir_there(vfs, to);
	if (err == ERR_OK)
		return replace(vfs, a, from, to);
	if (err == ERR_NOT_FOUND)
		err = vfs_rename(vfs, from, to);
	return err == ERR_OK ? vfs_sync_dir(vfs, parent) : err;
}

enum err media_attempt_finish(struct vfs *vfs, struct media_attempt *a, const struct media_info *media)
{
	char dir[MEDIA_PATH];
	struct media_info facts;
	uint32_t epoch;
	const bool there[MEDIA_PART_COUNT] = { true, media->has_thumbnail, media->has_waveform };
	revision_path(&a->id, a->revision, dir);
	enum err err = facts_read(vfs, dir, &facts, &epoch);
	if (err == ERR_OK && epoch != a->epoch)
		err = ERR_NOT_FOUND;
	if (err == ERR_OK && (facts.as_is != media->as_is || facts.bytes != media->bytes ||
			      strcmp(facts.ext, media->ext) != 0 || strcmp(facts.mime, media->mime) != 0))
		err = ERR_CHECK_FAILED; /* it is published, and is not to become something else */
	for (int i = MEDIA_THUMBNAIL; err == ERR_OK && i < MEDIA_PART_COUNT; i++) {
		char path[MEDIA_PATH];
		join(dir, part_names[i], "", path);
		err = there[i] ? vfs_file_sync(a->files[i]) : missing_is_fine(vfs_unlink(vfs, path));
	}
	if (err != ERR_OK)
		return err;
	facts.has_thumbnail = media->has_thumbnail;
	facts.has_waveform = media->has_waveform;
	facts.duration_ms = media->duration_ms;
	return facts_write(vfs, dir, a, &facts);
}

void media_attempt_close(struct vfs *vfs, struct media_attempt *a, bool discard)
{
	char dir[MEDIA_PATH];
	for (int i = 0; i < MEDIA_PART_COUNT; i++) {
		vfs_file_close(a->files[i]);
		a->files[i] = NULL;
	}
	attempt_path(a, dir);
	if (discard)
		(void)remove_folder(vfs, dir); /* what stays is removed by the next attempt */
}

/* Reading back */

static enum err part_size(struct vfs *vfs, const char *path, uint64_t *size)
{
	struct vfs_file *file;
	enum err err = vfs_open(vfs, path, VFS_READ, &file);
	if (err == ERR_OK)
		err = vfs_file_size(file, size);
	vfs_file_close(file);
	return err;
}

enum err media_check(struct vfs *vfs, const struct uuid *id, const struct media_info *media, const char **why)
{
	static const char *const missing[MEDIA_PART_COUNT] = { "its file is missing", "its thumbnail is missing",
							       "its waveform is missing" };
	const bool there[MEDIA_PART_COUNT] = { !media->as_is, media->has_thumbnail, media->has_waveform };
	struct media_info facts;
	char path[MEDIA_PATH];
	uint32_t epoch;
	*why = "its media.json is missing or unreadable";
	revision_path(id, media->revision, path);
	enum err err = facts_read(vfs, path, &facts, &epoch);
	if (err != ERR_OK)
		return err;
	*why = "its media.json says something else";
	if (facts.revision != media->revision || facts.as_is != media->as_is || facts.bytes != media->bytes ||
	    strcmp(facts.ext, media->ext) != 0)
		return ERR_CORRUPT;
	for (int i = 0; i < MEDIA_PART_COUNT; i++) {
		uint64_t size;
		*why = missing[i];
		media_part_path(id, media, (enum media_part)i, path);
		err = there[i] ? part_size(vfs, path, &size) : ERR_OK;
		if (err != ERR_OK)
			return err;
		*why = "its file has another size";
		if (there[i] && i == MEDIA_FILE && size != media->bytes)
			return ERR_CORRUPT;
	}
	*why = NULL;
	return ERR_OK;
}

/* The number that a folder's name is, 0 for any other name. */
static uint32_t revision_of(const char *name)
{
	char canonical[16];
	unsigned long value = strtoul(name, NULL, 10);
	if (value == 0 || value > UINT32_MAX)
		return 0;
	snprintf(canonical, sizeof canonical, "%lu", value);
	return strcmp(canonical, name) == 0 ? (uint32_t)value : 0;
}

enum err media_read(struct vfs *vfs, const struct uuid *id, struct media_info *out)
{
	char dir[MEDIA_PATH];
	struct names list = { 0 };
	*out = (struct media_info){ 0 };
	dir_path(id, dir);
	enum err err = vfs_list(vfs, dir, names_add, &list);
	for (size_t i = 0; err == ERR_OK && i < list.count; i++) {
		char path[MEDIA_PATH];
		struct media_info facts;
		uint32_t epoch, revision = revision_of(list.names[i]);
		const char *why;
		if (revision <= out->revision)
			continue;
		join(dir, list.names[i], "", path);
		enum err read = facts_read(vfs, path, &facts, &epoch);
		if (read == ERR_OK && facts.revision == revision)
			read = media_check(vfs, id, &facts, &why);
		if (read == ERR_OK && facts.revision == revision)
			*out = facts;
		else if (read != ERR_OK && read != ERR_NOT_FOUND && read != ERR_CORRUPT)
			err = read; /* a disk that can't be read now does not mean that it is not whole */
	}
	names_free(&list);
	return err == ERR_OK && out->revision == 0 ? ERR_NOT_FOUND : err;
}
