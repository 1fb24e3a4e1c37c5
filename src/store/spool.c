/* Folders and files of takes, see spool.h. Every name here is made of an id and a number; nothing from outside is. */
#include "store/spool.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPOOL	   "spool"
#define QUARANTINE "quarantine"

enum { NAME_MAX_BYTES = 256, PATH_BYTES = SPOOL_PATH + NAME_MAX_BYTES };

void spool_dir_path(const struct uuid *id, char *out)
{
	memcpy(out, SPOOL "/", sizeof SPOOL);
	uuid_format(id, out + sizeof SPOOL);
}

void spool_file_path(const struct uuid *id, uint16_t number, char *out)
{
	spool_dir_path(id, out);
	size_t len = strlen(out);
	snprintf(out + len, SPOOL_PATH - len, "/%u", (unsigned)number);
}

void spool_manifest_path(const struct uuid *id, char *out)
{
	spool_dir_path(id, out);
	size_t len = strlen(out);
	snprintf(out + len, SPOOL_PATH - len, "/recording.json");
}

/* Makes a folder of the data directory; its entry is synced by whoever made it, before anything in it is used. */
static enum err make_top(struct vfs *vfs, const char *path)
{
	enum err err = vfs_mkdir(vfs, path);
	if (err == ERR_EXISTS)
		return ERR_OK;
	return err == ERR_OK ? vfs_sync_dir(vfs, "") : err;
}

static enum err make_dir(struct vfs *vfs, const struct uuid *id, bool *made)
{
	char path[SPOOL_PATH];
	spool_dir_path(id, path);
	enum err err = vfs_mkdir(vfs, path);
	if (err == ERR_NOT_FOUND) {
		err = make_top(vfs, SPOOL);
		if (err == ERR_OK)
			err = vfs_mkdir(vfs, path);
	}
	*made = err == ERR_OK;
	return err == ERR_EXISTS ? ERR_OK : err;
}

enum err spool_open(struct vfs *vfs, const struct uuid *id, uint16_t number, struct vfs_file **out)
{
	*out = NULL;
	bool made;
	enum err err = make_dir(vfs, id, &made);
	if (err != ERR_OK)
		return err;
	char path[SPOOL_PATH];
	spool_file_path(id, number, path);
	return vfs_open(vfs, path, VFS_READ | VFS_WRITE | VFS_CREATE | VFS_DIRECT, out);
}

enum err spool_sync(struct vfs *vfs, const struct uuid *id, struct vfs_file *file, bool directories)
{
	enum err err = vfs_file_sync(file);
	if (err != ERR_OK || !directories)
		return err;
	char path[SPOOL_PATH];
	spool_dir_path(id, path);
	err = vfs_sync_dir(vfs, path);
	return err == ERR_OK ? vfs_sync_dir(vfs, SPOOL) : err;
}

/* Puts the manifest's text where it belongs by one of vfs.h's ways to replace a file. */
static enum err manifest_put(struct vfs *vfs, const struct recording_info *info, bool *made,
			     enum err (*replace)(struct vfs *vfs, const char *path, const void *data, size_t len))
{
	char *text = manifest_format(info);
	if (!text)
		return ERR_NO_MEMORY;
	char path[SPOOL_PATH];
	spool_manifest_path(&info->id, path);
	size_t len = strlen(text);
	enum err err = len <= LIMIT_MANIFEST_BYTES ? ERR_OK : ERR_LIMIT_EXCEEDED;
	if (err == ERR_OK)
		err = make_dir(vfs, &info->id, made);
	if (err == ERR_OK)
		err = replace(vfs, path, text, len);
	free(text);
	return err;
}

enum err manifest_write(struct vfs *vfs, const struct recording_info *info)
{
	bool made = false;
	enum err err = manifest_put(vfs, info, &made, vfs_replace);
	return err == ERR_OK && made ? vfs_sync_dir(vfs, SPOOL) : err;
}

enum err manifest_write_begin(struct vfs *vfs, const struct recording_info *info)
{
	bool made;
	return manifest_put(vfs, info, &made, vfs_replace_begin);
}

enum err manifest_write_end(struct vfs *vfs, const struct uuid *id)
{
	char path[SPOOL_PATH];
	spool_manifest_path(id, path);
	return vfs_replace_end(vfs, path);
}

enum err manifest_read(struct vfs *vfs, const struct uuid *id, struct recording_info *out)
{
	*out = (struct recording_info){ 0 };
	char path[SPOOL_PATH];
	spool_manifest_path(id, path);
	char *text;
	size_t len;
	enum err err = vfs_read_all(vfs, path, LIMIT_MANIFEST_BYTES, &text, &len);
	if (err != ERR_OK)
		return err;
	err = manifest_parse(text, len, out);
	free(text);
	if (err == ERR_OK && !uuid_equal(&out->id, id)) {
		recording_info_release(out);
		err = ERR_CORRUPT;
	}
	return err;
}

/* Ids are gathered before the callbacks: those may move or remove the folder that they are called for. */
struct id_list {
	struct uuid *ids;
	size_t count, capacity;
};

static enum err id_list_add(void *arg, const char *name)
{
	struct id_list *list = arg;
	struct uuid id;
	char text[UUID_TEXT];
	if (!uuid_parse(name, &id))
		return ERR_OK;
	uuid_format(&id, text);
	if (strcmp(text, name) != 0) /* only the form that spool_dir_path writes */
		return ERR_OK;
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 256;
		struct uuid *ids = realloc(list->ids, capacity * sizeof *ids);
		if (!ids)
			return ERR_NO_MEMORY;
		list->ids = ids;
		list->capacity = capacity;
	}
	list->ids[list->count++] = id;
	return ERR_OK;
}

static int id_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct uuid));
}

enum err spool_each(struct vfs *vfs, enum err (*recording)(void *arg, const struct uuid *id), void *arg)
{
	struct id_list list = { 0 };
	enum err err = vfs_list(vfs, SPOOL, id_list_add, &list);
	if (err == ERR_NOT_FOUND)
		err = ERR_OK;
	if (err == ERR_OK && list.count > 0)
		qsort(list.ids, list.count, sizeof *list.ids, id_compare); /* the oldest first, the same each time */
	for (size_t i = 0; err == ERR_OK && i < list.count; i++)
		err = recording(arg, &list.ids[i]);
	free(list.ids);
	return err;
}

static enum err ignore_entry(void *arg, const char *name)
{
	return ERR_OK;
}

/* A name in quarantine/ that is not taken: the id, or the id and a number if it was set aside before. */
static enum err quarantine_name(struct vfs *vfs, const struct uuid *id, char *out, size_t size)
{
	char text[UUID_TEXT];
	uuid_format(id, text);
	snprintf(out, size, QUARANTINE "/%s", text);
	for (unsigned i = 1;; i++) {
		enum err err = vfs_list(vfs, out, ignore_entry, NULL);
		if (err == ERR_NOT_FOUND)
			return ERR_OK;
		if (err != ERR_OK)
			return err;
		if (i > LIMIT_SPOOL_FILES)
			return ERR_EXISTS;
		snprintf(out, size, QUARANTINE "/%s.%u", text, i);
	}
}

enum err spool_quarantine(struct vfs *vfs, const struct uuid *id)
{
	char from[SPOOL_PATH], to[SPOOL_PATH];
	spool_dir_path(id, from);
	enum err err = make_top(vfs, QUARANTINE);
	if (err == ERR_OK)
		err = quarantine_name(vfs, id, to, sizeof to);
	if (err == ERR_OK)
		err = vfs_rename(vfs, from, to);
	if (err == ERR_OK)
		err = vfs_sync_dir(vfs, QUARANTINE);
	return err == ERR_OK ? vfs_sync_dir(vfs, SPOOL) : err;
}

/* Names are gathered before anything is unlinked: a directory must not change while it is read. */
struct name_list {
	char (*names)[NAME_MAX_BYTES];
	size_t count;
};

static enum err name_list_add(void *arg, const char *name)
{
	struct name_list *list = arg;
	size_t len = strlen(name);
	if (list->count == LIMIT_SPOOL_FILES || len >= NAME_MAX_BYTES)
		return ERR_LIMIT_EXCEEDED;
	if (list->count % 16 == 0) {
		void *names = realloc(list->names, (list->count + 16) * sizeof *list->names);
		if (!names)
			return ERR_NO_MEMORY;
		list->names = names;
	}
	memcpy(list->names[list->count++], name, len + 1);
	return ERR_OK;
}

enum err spool_remove(struct vfs *vfs, const struct uuid *id)
{
	char dir[SPOOL_PATH], path[PATH_BYTES];
	spool_dir_path(id, dir);
	struct name_list list = { 0 };
	enum err err = vfs_list(vfs, dir, name_list_add, &list);
	for (size_t i = 0; err == ERR_OK && i < list.count; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, list.names[i]);
		err = vfs_unlink(vfs, path);
		if (err == ERR_NOT_FOUND)
			err = ERR_OK;
	}
	free(list.names);
	if (err == ERR_OK)
		err = vfs_rmdir(vfs, dir);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err spool_remove_tracks(struct vfs *vfs, const struct uuid *id, uint32_t count)
{
	char path[SPOOL_PATH];
	enum err err = ERR_OK;
	for (uint32_t i = 0; err == ERR_OK && i < count; i++) {
		spool_file_path(id, (uint16_t)i, path);
		err = vfs_unlink(vfs, path);
		if (err == ERR_NOT_FOUND)
			err = ERR_OK;
	}
	spool_dir_path(id, path);
	if (err == ERR_OK)
		err = vfs_sync_dir(vfs, path);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}
