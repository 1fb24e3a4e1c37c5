/* The raw limit of a disk for anything that syncs what it acknowledges: 1 MiB pwrite and fdatasync, again and again,
 * over a zero-filled file of 256 MiB, through the page cache and past it (O_DIRECT); and past it into space that is
 * only reserved, as takes are written: what is new to the disk may cost more than what is written again.
 *
 *   raw DIR [SECONDS]    prints one line of JSON; the file is gone afterwards */
#include "stat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PIECE_BYTES = 1 << 20,
	FILE_PIECES = 256,
};

struct figure {
	bool once; /* stop at the end of the file */
	double mb_per_s, cpu_s_per_gb;
	struct histogram sync;
};

static int fail(const char *what)
{
	fprintf(stderr, "raw: %s: %s\n", what, strerror(errno));
	return 1;
}

/* Blocks allocated and written, so that a sync has no metadata to write. */
static int file_fill(int fd, const void *zeros)
{
	if (fallocate(fd, 0, 0, (off_t)FILE_PIECES * PIECE_BYTES))
		return fail("fallocate");
	for (int i = 0; i < FILE_PIECES; i++) {
		if (pwrite(fd, zeros, PIECE_BYTES, (off_t)i * PIECE_BYTES) != PIECE_BYTES)
			return fail("pwrite");
	}
	return fsync(fd) ? fail("fsync") : 0;
}

static int measure(const char *path, bool direct, unsigned seconds, const void *piece, struct figure *out)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | (direct ? O_DIRECT : 0));
	if (fd < 0)
		return fail("open");
	double cpu_s = own_cpu_s();
	uint64_t begin_us = clock_us(), now_us = begin_us, pieces = 0;
	while (now_us < begin_us + seconds * 1000000ULL && !(out->once && pieces == FILE_PIECES)) {
		off_t at = (off_t)(pieces++ % FILE_PIECES) * PIECE_BYTES;
		if (pwrite(fd, piece, PIECE_BYTES, at) != PIECE_BYTES || fdatasync(fd)) {
			close(fd);
			return fail("pwrite and fdatasync");
		}
		uint64_t done_us = clock_us();
		histogram_add(&out->sync, done_us - now_us);
		now_us = done_us;
	}
	close(fd);
	double gb = (double)(pieces * PIECE_BYTES) / 1e9;
	out->mb_per_s = gb * 1e9 / (double)(now_us - begin_us);
	out->cpu_s_per_gb = (own_cpu_s() - cpu_s) / gb;
	return 0;
}

/* Once through a new file. */
static int measure_new(const char *path, unsigned seconds, const void *piece, struct figure *out)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int bad = fd < 0 || fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)FILE_PIECES * PIECE_BYTES);
	if (fd >= 0)
		close(fd);
	out->once = true;
	return bad ? fail("a new file") : measure(path, true, seconds, piece, out);
}

static void figure_print(const char *name, const struct figure *f)
{
	printf("\"%s\":{\"mbPerS\":%.1f,\"p50Ms\":%.2f,\"p99Ms\":%.2f,\"maxMs\":%.2f,\"cpuPerGb\":%.3f}", name,
	       f->mb_per_s, (double)histogram_quantile(&f->sync, 0.5) / 1e3,
	       (double)histogram_quantile(&f->sync, 0.99) / 1e3, (double)f->sync.max_us / 1e3, f->cpu_s_per_gb);
}

int main(int argc, char **argv)
{
	static struct figure buffered, direct, fresh;
	char path[4096];
	void *piece;
	if (argc < 2 || argc > 3) {
		fputs("usage: raw DIR [SECONDS]\n", stderr);
		return 2;
	}
	unsigned seconds = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 3;
	snprintf(path, sizeof path, "%s/raw.%d", argv[1], (int)getpid());
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || posix_memalign(&piece, 4096, PIECE_BYTES))
		return fail(path);
	memset(piece, 0, PIECE_BYTES);
	int bad = file_fill(fd, piece);
	close(fd);
	memset(piece, 0xa5, PIECE_BYTES);
	bad = bad || measure(path, false, seconds, piece, &buffered);
	/* Not every file system takes O_DIRECT: then there is only the first figure. */
	bool without = !bad && measure(path, true, seconds, piece, &direct) != 0;
	without = without || (!bad && measure_new(path, seconds, piece, &fresh) != 0);
	unlink(path);
	if (!bad) {
		putchar('{');
		figure_print("buffered", &buffered);
		if (!without) {
			putchar(',');
			figure_print("direct", &direct);
			putchar(',');
			figure_print("fresh", &fresh);
		}
		puts("}");
	}
	free(piece);
	return bad;
}
