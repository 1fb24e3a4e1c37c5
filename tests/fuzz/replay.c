/* A plain main for fuzz targets: replays the files, or all files of the folders, that it is given. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 4 << 20 };

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(INPUT_MAX);
	if (!file || !data) {
		perror(path);
		return -1;
	}
	size_t size = fread(data, 1, INPUT_MAX, file);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

static int replay_folder(DIR *dir, const char *path)
{
	int files = 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		char name[4096];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		if (replay_file(name) != 0)
			return -1;
		files++;
	}
	return files;
}

int main(int argc, char **argv)
{
	int files = 0;
	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		int more = dir ? replay_folder(dir, argv[i]) : replay_file(argv[i]) == 0 ? 1 : -1;
		if (dir)
			closedir(dir);
		if (more < 0)
			return 1;
		files += more;
	}
	printf("%d inputs replayed\n", files);
	return files > 0 ? 0 : 1; /* an empty corpus proves nothing */
}
