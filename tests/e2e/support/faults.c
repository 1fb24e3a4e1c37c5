/* A preloaded library that makes the disk under the server slow, stuck or broken, for the end-to-end tests.
 *
 * HOLDFAST_FAULTS names a file that is read at every sync: "slow N" makes the sync take N ms more, "hold" makes it wait
 * until the file says something else, "fail" makes it fail with EIO, "skip" makes it say success without syncing
 * anything. No file, or anything else: the sync is the system's. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the file says now; "" when there is none. */
static void fault_read(char *out, int size)
{
	const char *path = getenv("HOLDFAST_FAULTS");
	FILE *file = path ? fopen(path, "re") : NULL;
	out[0] = '\0';
	if (!file)
		return;
	if (!fgets(out, size, file))
		out[0] = '\0';
	fclose(file);
}

static int fault_sync(const char *name, int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
	char fault[64];
	fault_read(fault, sizeof fault);
	if (strncmp(fault, "slow ", 5) == 0)
		usleep((useconds_t)strtoul(fault + 5, NULL, 10) * 1000);
	while (strncmp(fault, "hold", 4) == 0) {
		usleep(5000);
		fault_read(fault, sizeof fault);
	}
	if (strncmp(fault, "fail", 4) == 0) {
		errno = EIO;
		return -1;
	}
	if (strncmp(fault, "skip", 4) == 0)
		return 0;
	return real(fd);
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
	return fault_sync("fdatasync", fd);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
	return fault_sync("fsync", fd);
}
