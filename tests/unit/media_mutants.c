/* Damaged media through media_job_run: bits turned, ends cut off, pieces swapped, runs of zeros, sizes that lie. Each
 * mutant runs in a process of its own, with a limit of time; a mutant is a file and a seed, and made again from them.
 *
 *     media_mutants [--count 2000] [--seed 1] [--only SEED]
 *
 * A mutant fails if the process dies, does not come to an end, or answers with what is not an answer. Run it from a
 * build with ASan and UBSan. */
#include "support/media_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 60, RUN_ERROR = 3 };

static const struct {
	const char *name, *args;
} sources[] = {
	{ "a.webm", "pipe -t 1 " RIG_VIDEO "-t 1 " RIG_AUDIO RIG_VP8 "-c:a libopus -live 1 -f webm" },
	{ "b.mp4", "-t 1 " RIG_VIDEO "-t 1 " RIG_AUDIO RIG_H264 "-c:a aac -movflags frag_keyframe+empty_moov" },
	{ "c.mp4", "-t 1 " RIG_VIDEO "-t 1 " RIG_AUDIO RIG_H264 "-c:a aac" },
	{ "d.mkv", "-t 1 " RIG_VIDEO "-t 1 " RIG_AUDIO RIG_H264 "-c:a flac" },
	{ "e.ogg", RIG_AUDIO "-c:a libvorbis" },
	{ "f.ogg", RIG_AUDIO "-c:a libopus" },
	{ "g.wav", RIG_AUDIO },
	{ "h.mp3", RIG_AUDIO "-c:a libmp3lame" },
	{ "i.aac", RIG_AUDIO "-c:a aac" },
	{ "j.flac", RIG_AUDIO "-c:a flac" },
};
enum { SOURCES = sizeof sources / sizeof *sources };

struct bytes {
	uint8_t *data;
	size_t len;
};

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static size_t below(uint64_t *state, size_t limit)
{
	return limit ? (size_t)(next(state) % limit) : 0;
}

static void swap_in(struct bytes *b, const struct bytes *other, uint64_t *state)
{
	size_t at = below(state, b->len), from = below(state, other->len);
	size_t len = below(state, 4096) + 1;
	if (len > b->len - at)
		len = b->len - at;
	if (len > other->len - from)
		len = other->len - from;
	memmove(b->data + at, other->data + from, len);
}

/* A number of four or eight bytes becomes a large or a small one: sizes and counts. */
static void lie(struct bytes *b, size_t near, uint64_t *state)
{
	static const uint8_t large[8] = { 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	size_t at = below(state, near < b->len ? near : b->len), len = below(state, 2) ? 4 : 8;
	if (len > b->len - at)
		return;
	switch (below(state, 4)) {
	case 0:
		memset(b->data + at, 0xff, len);
		break;
	case 1:
		memset(b->data + at, 0, len);
		break;
	case 2:
		memcpy(b->data + at, large, len);
		break;
	default:
		b->data[at + len - 1] ^= (uint8_t)next(state);
	}
}

static void mutate(struct bytes *b, const struct bytes *other, uint64_t *state)
{
	/* Half of all changes are near the beginning, where the structure is. */
	for (size_t rounds = below(state, 6) + 1; rounds > 0 && b->len > 0; rounds--) {
		size_t near = below(state, 2) ? b->len : b->len < 2048 ? b->len : 2048, at = below(state, near);
		size_t zeros = below(state, 512);
		switch (below(state, 6)) {
		case 0:
			for (size_t i = below(state, 64); i > 0; i--)
				b->data[below(state, near)] ^= (uint8_t)(1 << below(state, 8));
			break;
		case 1:
			b->len = below(state, 4) ? b->len : at;
			break;
		case 2:
			swap_in(b, b, state);
			break;
		case 3:
			swap_in(b, other, state);
			break;
		case 4:
			memset(b->data + at, 0, zeros < b->len - at ? zeros : b->len - at);
			break;
		default:
			lie(b, near, state);
		}
	}
}

static struct bytes load(const struct media_rig *rig, const char *name)
{
	struct stat st;
	int fd = open(rig_path(rig, name), O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		abort();
	struct bytes b = { malloc((size_t)st.st_size + 1), (size_t)st.st_size };
	if (!b.data || read(fd, b.data, b.len) != (ssize_t)b.len)
		abort();
	close(fd);
	return b;
}

static bool an_answer(const struct rig_run *run)
{
	switch (run->err) {
	case ERR_OK:
		return run->told == 1 && run->told_whole && run->result.media.mime[0];
	case ERR_MEDIA_UNREADABLE:
	case ERR_MEDIA_LIMIT:
	case ERR_CHECK_FAILED:
	case ERR_NO_MEMORY:
		return run->result.message[0] && (run->told == 0 || run->err == ERR_MEDIA_LIMIT);
	default:
		return false;
	}
}

/* In the child. */
static int run_mutant(struct media_rig *rig, const struct bytes *all, uint64_t seed)
{
	uint64_t state = seed * 0x2545f4914f6cdd1d;
	size_t which = below(&state, SOURCES);
	struct bytes b = all[which];
	char name[64], second[64];
	struct rig_run run = { .max_bytes = 64 * MIB };
	mutate(&b, &all[below(&state, SOURCES)], &state);
	snprintf(name, sizeof name, "mutant-%llu", (unsigned long long)seed);
	snprintf(second, sizeof second, "%s", sources[below(&state, SOURCES)].name);
	rig_write(rig, name, b.data, b.len);
	/* One in four has a second part, one in four a second track. */
	struct rig_track tracks[2] = { { { name }, 0 }, { { second }, 0 } };
	size_t form = below(&state, 4);
	if (form == 0)
		tracks[0].files[1] = second;
	rig_run(rig, &run, tracks, form == 1 ? 2 : 1);
	unlink(rig_path(rig, name));
	int status = an_answer(&run) ? (int)(run.err != ERR_OK) + 10 * run.result.media.as_is : RUN_ERROR;
	if (status == RUN_ERROR || run.err == ERR_CHECK_FAILED)
		fprintf(stderr, "%llu %s: %s %s\n", (unsigned long long)seed, sources[which].name, err_code(run.err),
			run.result.message);
	rig_done(&run);
	return status;
}

/* 0: made a file, 1: an error, 10: as it came; else it failed. */
static int try(struct media_rig *rig, const struct bytes *all, uint64_t seed)
{
	int status;
	pid_t pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		alarm(SECONDS);
		_exit(run_mutant(rig, all, seed));
	}
	if (waitpid(pid, &status, 0) != pid)
		abort();
	if (WIFEXITED(status) && (WEXITSTATUS(status) <= 1 || WEXITSTATUS(status) == 10))
		return WEXITSTATUS(status);
	if (WIFSIGNALED(status))
		fprintf(stderr, "seed %llu died of signal %d\n", (unsigned long long)seed, WTERMSIG(status));
	else
		fprintf(stderr, "seed %llu failed with %d\n", (unsigned long long)seed, WEXITSTATUS(status));
	return RUN_ERROR;
}

int main(int argc, char **argv)
{
	struct media_rig rig;
	struct bytes all[SOURCES];
	uint64_t count = 200, first = 1;
	unsigned made = 0, came = 0, refused = 0, failed = 0;
	for (int i = 1; i + 1 < argc; i += 2) {
		uint64_t value = strtoull(argv[i + 1], NULL, 10);
		if (strcmp(argv[i], "--count") == 0)
			count = value;
		else
			first = value;
		if (strcmp(argv[i], "--only") == 0)
			count = 1;
	}
	rig_init(&rig);
	for (size_t i = 0; i < SOURCES; i++) {
		rig_make(&rig, sources[i].name, sources[i].args);
		all[i] = load(&rig, sources[i].name);
	}
	for (uint64_t seed = first; seed < first + count; seed++) {
		int status = try(&rig, all, seed);
		made += status == 0;
		came += status == 10;
		refused += status == 1;
		failed += status == RUN_ERROR;
	}
	for (size_t i = 0; i < SOURCES; i++)
		free(all[i].data);
	rig_release(&rig);
	printf("%u files, %u as they came, %u refused, %u failed\n", made, came, refused, failed);
	return failed > 0;
}
