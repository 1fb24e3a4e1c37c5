/* The cage alone, each deed in a process of its own: what it ends, what it refuses, and what must still work. That a
 * worker is in it is tests/contract/worker_process_test.c's to show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "work/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FINE = 0, NOT_FINE = 9, NO_CAGE = 10, OUTPUT_BYTES = 1 << 20 };

static int file; /* open before the cage is */

/* The wait status of `deed` in the cage, which is closed with `max_ms` unless that is UINT64_MAX. */
static int in_cage(int (*deed)(void), uint64_t max_ms)
{
	pid_t pid = fork();
	if (pid == 0) {
		const char *lacks;
		if (sandbox_enter(&lacks) != ERR_OK ||
		    (max_ms != UINT64_MAX && sandbox_close(OUTPUT_BYTES, max_ms) != ERR_OK))
			_exit(NO_CAGE);
		_exit(deed());
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int refused(long result, int why)
{
	return result == -1 && errno == why ? FINE : NOT_FINE;
}

/* Refused. With a sanitizer, whose filter lets them pass, Landlock alone refuses paths. */

static int deed_open(void)
{
	return refused(open("/etc/hostname", O_RDONLY), EACCES);
}
static int deed_open_write(void)
{
	return refused(open("/tmp/holdfast-sandbox", O_WRONLY | O_CREAT, 0600), EACCES);
}
static int deed_openat2(void)
{
	struct {
		uint64_t flags, mode, resolve;
	} how = { O_RDONLY, 0, 0 };
	return refused(syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how), EACCES);
}
static int deed_stat(void)
{
	struct stat st;
	return refused(stat("/etc/hostname", &st), EACCES);
}
static int deed_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return NOT_FINE;
	return refused(mprotect(page, 4096, PROT_READ | PROT_EXEC), EACCES);
}
static int deed_clone3(void)
{
	return refused(syscall(SYS_clone3, NULL, 0), ENOSYS);
}

/* ended */

static int deed_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? NOT_FINE : FINE;
}
static int deed_exec(void)
{
	char name[] = "true", *argv[] = { name, NULL };
	return execve("/bin/true", argv, NULL);
}
static int deed_exec_at(void)
{
	char name[] = "true", *argv[] = { name, NULL };
	return (int)syscall(SYS_execveat, file, "", argv, NULL, AT_EMPTY_PATH);
}
static int deed_fork(void)
{
	return (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
static int deed_kill(void)
{
	return kill(getppid(), 0) == 0 ? NOT_FINE : FINE;
}
static int deed_thread_kill(void)
{
	return (int)syscall(SYS_tgkill, 1, 1, 0);
}
static int deed_read_memory(void)
{
	char byte;
	struct iovec mine = { &byte, 1 }, theirs = { &byte, 1 };
	return process_vm_readv(getppid(), &mine, 1, &theirs, 1, 0) == 1 ? NOT_FINE : FINE;
}
static int deed_uring(void)
{
	return (int)syscall(SYS_io_uring_setup, 1, NULL);
}
static int deed_unlink(void)
{
	return unlink("/tmp/holdfast-sandbox");
}
static int deed_namespace(void)
{
	return (int)syscall(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_NEWNET, 0, 0, 0, 0);
}
static int deed_foreign_calls(void)
{
#ifdef __x86_64__
	long result;
	/* the numbers of 32-bit programs mean other calls: 5 is open there */
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(5), "b"(0), "c"(0) : "memory");
	return FINE;
#else
	return raise(SIGSYS);
#endif
}

static int deed_limit(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	return setrlimit(RLIMIT_FSIZE, &all);
}
static int deed_grow(void)
{
	return pwrite(file, "x", 1, OUTPUT_BYTES) == 1 ? NOT_FINE : FINE;
}
static int deed_loop(void)
{
	for (volatile unsigned long i = 0;; i++) {
	}
	return NOT_FINE;
}
static int deed_abort(void)
{
	abort();
}

/* allowed */

static void *in_thread(void *arg)
{
	free(malloc(4 << 20));
	*(int *)arg = pwrite(file, "abc", 3, 0) == 3 ? FINE : NOT_FINE;
	return NULL;
}

static int deed_work(void)
{
	pthread_t threads[4];
	int results[4];
	struct stat st;
	struct timespec now;
	cpu_set_t set;
	char text[4];
	for (unsigned i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, in_thread, &results[i]) != 0)
			return NOT_FINE;
	for (unsigned i = 0; i < 4; i++)
		if (pthread_join(threads[i], NULL) != 0 || results[i] != FINE)
			return NOT_FINE;
	if (pread(file, text, 3, 0) != 3 || memcmp(text, "abc", 3) != 0 || ftruncate(file, 2) != 0 ||
	    fstat(file, &st) != 0 || st.st_size != 2 || lseek(file, 0, SEEK_END) != 2)
		return NOT_FINE;
	if (clock_gettime(CLOCK_MONOTONIC, &now) != 0 || sched_getaffinity(0, sizeof set, &set) != 0)
		return NOT_FINE;
	(void)sysconf(_SC_NPROCESSORS_ONLN); /* opens files, and takes a refusal */
	(void)sysconf(_SC_PHYS_PAGES);
	(void)isatty(STDERR_FILENO);
	time_t seconds = 0;
	struct tm local;
	return localtime_r(&seconds, &local) ? FINE : NOT_FINE;
}

static int deed_memory(void)
{
	void *some = malloc(256 << 20), *most = malloc(LIMIT_WORKER_MEMORY_BYTES);
	return some && !most ? FINE : NOT_FINE;
}

struct row {
	const char *name;
	int (*deed)(void);
	int signal; /* 0: exits with FINE */
	bool strict;
};

static const struct row rows[] = {
	{ "open", deed_open, 0, false },
	{ "open for writing", deed_open_write, 0, false },
	{ "openat2", deed_openat2, 0, false },
	{ "stat", deed_stat, 0, true },
	{ "code", deed_code, 0, true },
	{ "clone3", deed_clone3, 0, false },
	{ "socket", deed_socket, SIGSYS, false },
	{ "execve", deed_exec, SIGSYS, false },
	{ "execveat", deed_exec_at, SIGSYS, false },
	{ "fork", deed_fork, SIGSYS, false },
	{ "kill", deed_kill, SIGSYS, false },
	{ "tgkill of another", deed_thread_kill, SIGSYS, true },
	{ "process_vm_readv", deed_read_memory, SIGSYS, false },
	{ "io_uring", deed_uring, SIGSYS, false },
	{ "unlink", deed_unlink, SIGSYS, true },
	{ "namespace", deed_namespace, SIGSYS, true },
	{ "32-bit calls", deed_foreign_calls, SIGSYS, true },
	{ "limit", deed_limit, SIGSYS, false },
	{ "grow", deed_grow, SIGXFSZ, false },
	{ "abort", deed_abort, SIGABRT, false },
	{ "work", deed_work, 0, false },
	{ "memory", deed_memory, 0, true },
};

static void judge(const struct row *row, int status)
{
	if (row->signal ? !WIFSIGNALED(status) || WTERMSIG(status) != row->signal
			: !WIFEXITED(status) || WEXITSTATUS(status) != FINE)
		fail_msg("%s: %s %d", row->name, WIFSIGNALED(status) ? "signal" : "status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void test_deeds(void **state)
{
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (!SANDBOX_RELAXED || !rows[i].strict)
			judge(&rows[i], in_cage(rows[i].deed, 60 * 1000));
}

/* A server that stands still kills nobody: the kernel does it, by processor time. */
static void test_endless_loop(void **state)
{
	judge(&(struct row){ "loop", deed_loop, SIGXCPU, false }, in_cage(deed_loop, 0));
}

/* Before the job is known the door is ajar for its limits and descriptors, and for nothing else. */
static int deed_first_step(void)
{
	struct rlimit limit = { 1000, 1000 };
	return setrlimit(RLIMIT_FSIZE, &limit) == 0 ? deed_open() : NOT_FINE;
}

static void test_first_step(void **state)
{
	judge(&(struct row){ "first step", deed_first_step, 0, false }, in_cage(deed_first_step, UINT64_MAX));
	judge(&(struct row){ "socket", deed_socket, SIGSYS, false }, in_cage(deed_socket, UINT64_MAX));
}

int main(void)
{
	struct rlimit none = { 0, 0 };
	setrlimit(RLIMIT_CORE, &none);
	file = memfd_create("sandbox", MFD_CLOEXEC);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deeds),
		cmocka_unit_test(test_endless_loop),
		cmocka_unit_test(test_first_step),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
