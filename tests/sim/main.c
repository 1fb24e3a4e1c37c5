/* sim: runs seeds of the simulation, each in a process of its own, and says which broke a promise and how to run it
 * again.
 *
 *   sim [--seeds N] [--from S]       N seeds from S on (2000 from 1)
 *   sim --seed S [--trace]           one seed, here; --trace prints everything that happens
 *   --twice                          each seed twice: the traces must be the same
 *   --jobs N                         processes at a time (as many as there are cores)
 *   --find                           stop at the first broken seed, and print only its number */
#include "onair.h"
#include "outside.h"
#include "uploader.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOBS_MAX = 64, SEED_SECONDS = 120 };

struct options {
	uint64_t from, seeds, seed;
	unsigned jobs;
	bool one, trace, twice, find;
};

/* What a seed's process leaves behind: memory shared with the parent. */
struct result {
	uint64_t hash;
	struct tally tally;
};

struct job {
	pid_t pid;
	uint64_t seed;
	bool second;
	FILE *output;
	struct result *result;
	uint64_t first_hash;
};

static bool calm_and_done(struct world *w)
{
	return w->calm && w->up && clients_done(w) && hosts_done(w) && uploaders_done(w);
}

static bool is_up(struct world *w)
{
	return w->up;
}

static bool all_answered(struct world *w)
{
	return w->open_requests == 0;
}

static bool all_idle(struct world *w)
{
	return workers_idle(w) && outside_idle(w);
}

/* The figures of the queues are those of its last look. */
static void settle(struct world *w)
{
	for (unsigned i = 0; i < 20; i++) {
		world_run(w, w->sim.now_us + 10 * MINUTE, all_idle);
		world_run(w, w->sim.now_us + 3 * SECOND, NULL);
		if (all_idle(w))
			return;
	}
}

static void read_all_back(struct world *w)
{
	callers_check_all(w);
	importers_check_all(w);
	onair_check_all(w);
	uploaders_check_all(w);
	world_run(w, w->sim.now_us + 2 * MINUTE, all_answered);
	if (w->open_requests > 0)
		sim_fail(&w->sim, "every request is answered", "%u are not", w->open_requests);
}

static void run_seed(uint64_t seed, bool trace, struct result *result)
{
	static struct world w;
	world_init(&w, seed, trace);
	liars_begin(&w);
	clients_begin(&w);
	callers_begin(&w);
	watchers_begin(&w);
	workers_begin(&w);
	sources_begin(&w);
	importers_begin(&w);
	receiver_begin(&w);
	pushes_begin(&w);
	followers_begin(&w);
	batchers_begin(&w);
	onair_begin(&w);
	uploaders_begin(&w);
	world_start(&w);
	plan_begin(&w);
	world_run(&w, w.plan.calm_us + 10 * MINUTE, calm_and_done);
	if (!calm_and_done(&w)) {
		char text[256];
		if (!clients_done(&w))
			clients_describe(&w, text, sizeof text);
		else if (!hosts_done(&w))
			hosts_describe(&w, text, sizeof text);
		else
			uploaders_describe(&w, text, sizeof text);
		sim_fail(&w.sim, "liveness", "%s", w.up ? text : "the server is down");
	}
	/* What was left to grace is sealed now. */
	world_run(&w, w.sim.now_us + (uint64_t)w.plan.grace_ms * MS + 25 * SECOND, NULL);
	/* What was sealed is finished, or given up. */
	if (w.plan.notifies || w.plan.pushes || w.plan.imports > 0 || w.plan.batches > 0)
		w.sim.wall_ms += 9LL * 3600 * 1000; /* whatever was put off */
	importers_again(&w);
	world_run(&w, w.sim.now_us + 3 * SECOND, NULL);
	settle(&w);
	if (!workers_idle(&w))
		sim_fail(&w.sim, "liveness", "recordings are left in the queue");
	if (!outside_idle(&w))
		sim_fail(&w.sim, "liveness", "fetches, webhooks, pushes, uploads or batches are left");
	world_run(&w, w.sim.now_us + 10 * SECOND, NULL);
	watchers_check(&w);
	onair_check(&w);
	w.quiet = true;
	read_all_back(&w);
	w.quiet = false;
	oracle_final(&w);
	if (rng_chance(&w.sim.rng, 40)) { /* and again after a power cut that forgives nothing */
		world_crash(&w, CRASH_POWER);
		world_run(&w, w.sim.now_us + MINUTE, is_up);
		if (!w.up)
			sim_fail(&w.sim, "it starts again", "the server is down");
		read_all_back(&w);
	}
	w.ending = true;
	world_stop(&w);
	world_run(&w, w.sim.now_us + 3 * MINUTE, world_down);
	if (!world_down(&w))
		sim_fail(&w.sim, "a clean stop", "it does not come to its end");
	oracle_audit(&w);
	result->hash = w.sim.hash;
	result->tally = w.tally;
	world_release(&w);
}

static void job_start(struct job *job, const struct options *o)
{
	job->output = tmpfile();
	if (!job->output) {
		perror("sim: tmpfile");
		exit(2);
	}
	fflush(stdout);
	job->pid = fork();
	if (job->pid < 0) {
		perror("sim: fork");
		exit(2);
	}
	if (job->pid > 0)
		return;
	dup2(fileno(job->output), STDOUT_FILENO);
	dup2(fileno(job->output), STDERR_FILENO);
	alarm(SEED_SECONDS);
	run_seed(job->seed, false, job->result);
	fflush(stdout);
	_exit(0);
}

/* The end of what the process printed. */
static void print_output(FILE *output)
{
	char text[8192];
	fseek(output, 0, SEEK_END);
	long size = ftell(output), from = size > (long)sizeof text ? size - (long)sizeof text : 0;
	fseek(output, from, SEEK_SET);
	size_t n = fread(text, 1, sizeof text, output);
	fwrite(text, 1, n, stdout);
	if (n > 0 && text[n - 1] != '\n')
		putchar('\n');
}

/* False: the seed broke something. */
static bool job_judge(struct job *job, int status, const struct options *o)
{
	bool fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	bool same = !job->second || job->first_hash == job->result->hash;
	if (fine && same)
		return true;
	if (o->find) {
		printf("%" PRIu64 "\n", job->seed);
		print_output(job->output);
		return false;
	}
	print_output(job->output);
	if (WIFSIGNALED(status))
		printf("seed %" PRIu64 " ended by signal %d (%s)\n", job->seed, WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	if (fine && !same)
		printf("seed %" PRIu64 " ran otherwise the second time\n", job->seed);
	printf("run it again: sim --seed %" PRIu64 " --trace\n", job->seed);
	return false;
}

static void tally_add(struct tally *sum, const struct tally *t)
{
	for (unsigned i = 0; i < TALLY_COUNT; i++)
		sum->counts[i] += t->counts[i];
}

static void tally_print(const struct tally *t)
{
	static const char *const names[TALLY_COUNT] = {
#define X(name, text) text,
		TALLY_TABLE(X)
#undef X
	};
	for (unsigned i = 0; i < TALLY_COUNT; i++)
		printf("%s%s %" PRIu64, i ? ", " : "  ", names[i], t->counts[i]);
	putchar('\n');
}

static int run_all(const struct options *o)
{
	struct job jobs[JOBS_MAX] = { 0 };
	struct result *results =
		mmap(NULL, JOBS_MAX * sizeof *results, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct tally sum = { 0 };
	uint64_t next = o->from, end = o->from + o->seeds, done = 0, broken = 0;
	unsigned running = 0;
	if (results == MAP_FAILED)
		return 2;
	while (running > 0 || (next < end && !(o->find && broken))) {
		for (unsigned i = 0; i < o->jobs && next < end && !(o->find && broken); i++) {
			if (jobs[i].pid)
				continue;
			jobs[i] = (struct job){ .seed = next++, .result = &results[i] };
			job_start(&jobs[i], o);
			running++;
		}
		int status;
		pid_t pid = wait(&status);
		for (unsigned i = 0; i < o->jobs; i++) {
			struct job *job = &jobs[i];
			if (job->pid != pid)
				continue;
			bool fine = job_judge(job, status, o);
			fclose(job->output);
			if (fine && o->twice && !job->second) {
				job->second = true;
				job->first_hash = job->result->hash;
				job_start(job, o);
				continue;
			}
			job->pid = 0;
			running--;
			broken += !fine;
			if (fine)
				tally_add(&sum, &job->result->tally);
			if (++done % 500 == 0 && !o->find)
				printf("%" PRIu64 " seeds, %" PRIu64 " broken\n", done, broken);
		}
	}
	if (!o->find) {
		printf("sim: %" PRIu64 " seeds from %" PRIu64 ", %" PRIu64 " broken\n", done, o->from, broken);
		tally_print(&sum);
	}
	munmap(results, JOBS_MAX * sizeof *results);
	return broken ? 1 : 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: sim [--seeds N] [--from S] [--seed S [--trace]] [--twice] [--jobs N] [--find]\n");
	return 2;
}

static bool parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		uint64_t *number = NULL, jobs = o->jobs;
		if (strcmp(arg, "--seeds") == 0)
			number = &o->seeds;
		else if (strcmp(arg, "--from") == 0)
			number = &o->from;
		else if (strcmp(arg, "--seed") == 0)
			number = &o->seed;
		else if (strcmp(arg, "--jobs") == 0)
			number = &jobs;
		if (number) {
			char *rest;
			if (++i == argc)
				return false;
			*number = strtoull(argv[i], &rest, 10);
			if (*rest || rest == argv[i])
				return false;
		} else if (strcmp(arg, "--trace") == 0) {
			o->trace = true;
		} else if (strcmp(arg, "--twice") == 0) {
			o->twice = true;
		} else if (strcmp(arg, "--find") == 0) {
			o->find = true;
		} else {
			return false;
		}
		o->one = o->one || number == &o->seed;
		o->jobs = jobs < 1 ? 1 : jobs > JOBS_MAX ? JOBS_MAX : (unsigned)jobs;
	}
	return true;
}

int main(int argc, char **argv)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct options o = { .from = 1, .seeds = 2000, .jobs = cores > 0 && cores < JOBS_MAX ? (unsigned)cores : 2 };
	if (!parse(argc, argv, &o))
		return usage();
	log_set_level(o.trace ? LOG_DEBUG : LOG_ERROR);
	if (!o.one)
		return run_all(&o);
	struct result result = { 0 };
	run_seed(o.seed, o.trace, &result);
	printf("seed %" PRIu64 " kept every promise, trace %016" PRIx64 "\n", o.seed, result.hash);
	tally_print(&result.tally);
	fflush(stdout);
	_exit(0); /* what crashed processes held is not freed */
}
