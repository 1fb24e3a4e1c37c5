/* What the load client measures with: a clock, a histogram, and what a process has used so far. */
#ifndef HOLDFAST_BENCH_STAT_H
#define HOLDFAST_BENCH_STAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	HISTOGRAM_FINE = 32, /* steps per power of two: 3 % precision */
	HISTOGRAM_BUCKETS = 40 * HISTOGRAM_FINE,
};

struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS];
	uint64_t count, max_us;
};

void histogram_add(struct histogram *h, uint64_t us);
/* The value below which `share` (0 to 1) of the samples lie, in µs; the maximum is exact. */
uint64_t histogram_quantile(const struct histogram *h, double share);

/* Monotonic. */
uint64_t clock_us(void);

struct process_use {
	double cpu_s; /* user and system, all threads */
	uint64_t rss_kib, hwm_kib;
};

/* False when the process is gone; then *out is all zero. */
bool process_use_read(pid_t pid, struct process_use *out);
/* CPU seconds that the whole machine has been busy. Work that the kernel does for somebody (write-back) is only here.
 */
double machine_cpu_s(void);
double own_cpu_s(void);

#endif
