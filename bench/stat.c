/* Clock, histogram and /proc. See stat.h. */
#include "stat.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { FINE_BITS = 5 };
_Static_assert(1 << FINE_BITS == HISTOGRAM_FINE, "one bucket a fine step");

static unsigned bucket_of(uint64_t us)
{
	if (us < HISTOGRAM_FINE)
		return (unsigned)us;
	unsigned top = 63 - (unsigned)__builtin_clzll(us);
	unsigned bucket = (top - FINE_BITS + 1) * HISTOGRAM_FINE + ((us >> (top - FINE_BITS)) & (HISTOGRAM_FINE - 1));
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The highest value that falls into the bucket. */
static uint64_t bucket_top(unsigned bucket)
{
	if (bucket < HISTOGRAM_FINE)
		return bucket;
	unsigned shift = bucket / HISTOGRAM_FINE - 1;
	return ((HISTOGRAM_FINE + bucket % HISTOGRAM_FINE + 1ULL) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t us)
{
	h->buckets[bucket_of(us)]++;
	h->count++;
	if (us > h->max_us)
		h->max_us = us;
}

uint64_t histogram_quantile(const struct histogram *h, double share)
{
	uint64_t rank = (uint64_t)(share * (double)h->count), seen = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen > rank)
			return bucket_top(i) < h->max_us ? bucket_top(i) : h->max_us;
	}
	return h->max_us;
}

uint64_t clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static double ticks_s(unsigned long long ticks)
{
	return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static bool stat_read(pid_t pid, double *cpu_s)
{
	char path[64], line[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	bool read = fgets(line, sizeof line, f) != NULL;
	fclose(f);
	char *after = read ? strrchr(line, ')') : NULL; /* the name may hold anything */
	unsigned long long user, system;
	if (!after || sscanf(after + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
		return false;
	*cpu_s = ticks_s(user + system);
	return true;
}

bool process_use_read(pid_t pid, struct process_use *out)
{
	char path[64], line[256];
	memset(out, 0, sizeof *out);
	if (pid <= 0 || !stat_read(pid, &out->cpu_s))
		return false;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof line, f)) {
		sscanf(line, "VmRSS: %lu", &out->rss_kib);
		sscanf(line, "VmHWM: %lu", &out->hwm_kib);
	}
	fclose(f);
	return true;
}

double machine_cpu_s(void)
{
	unsigned long long v[8] = { 0 };
	FILE *f = fopen("/proc/stat", "re");
	if (!f)
		return 0;
	int n = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
		       &v[6], &v[7]);
	fclose(f);
	/* user, nice, system, (idle, iowait,) irq, softirq; not steal */
	return n == 8 ? ticks_s(v[0] + v[1] + v[2] + v[5] + v[6]) : 0;
}

double own_cpu_s(void)
{
	struct rusage use;
	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}
