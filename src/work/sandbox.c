/* The cage, see sandbox.h: rlimits, Landlock by its raw system calls, seccomp by libseccomp. */
#include "work/sandbox.h"

#include "base/limits.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CALLS(...) ((const int[]){ __VA_ARGS__, END })

enum { END = -1000000 }; /* libseccomp's own numbers for calls that this machine lacks are negative, but not so */

/* Limits. RLIMIT_NPROC is not among them: it counts all threads of the user, and those of the decoders are needed; no
 * process can be made anyway. */

static int limit(int what, uint64_t soft, uint64_t hard)
{
	struct rlimit now, next = { .rlim_cur = soft, .rlim_max = hard };
	if (getrlimit((__rlimit_resource_t)what, &now) != 0)
		return -1;
	if (next.rlim_max > now.rlim_max)
		next.rlim_max = now.rlim_max;
	if (next.rlim_cur > next.rlim_max)
		next.rlim_cur = next.rlim_max;
	return setrlimit((__rlimit_resource_t)what, &next);
}

static int limit_all(void)
{
	int failed = limit(RLIMIT_CORE, 0, 0); /* it would hold a recording */
	failed |= limit(RLIMIT_NOFILE, LIMIT_WORKER_FILES, LIMIT_WORKER_FILES);
	failed |= limit(RLIMIT_MEMLOCK, 0, 0);
	failed |= limit(RLIMIT_MSGQUEUE, 0, 0);
	if (!SANDBOX_RELAXED)
		failed |= limit(RLIMIT_AS, LIMIT_WORKER_MEMORY_BYTES, LIMIT_WORKER_MEMORY_BYTES);
	return failed;
}

/* A server that runs as root has workers that are root in name only. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	return (int)syscall(SYS_capset, &head, none);
}

/* Landlock */

/* Every right that the kernel's version knows; numbers, because older headers lack the newer names. */
static uint64_t path_rights(long abi)
{
	if (abi >= 5)
		return (1ULL << 16) - 1; /* … ioctls of devices */
	if (abi >= 3)
		return (1ULL << 15) - 1; /* … truncating */
	return abi == 2 ? (1ULL << 14) - 1 : (1ULL << 13) - 1;
}

/* No path at all, no TCP port, no abstract socket or signal beyond ourselves. False: this kernel has it not. */
static bool deny_paths(void)
{
	struct {
		uint64_t paths, ports, scopes;
	} rights = { 0 };
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1)
		return false;
	size_t size = abi >= 6 ? sizeof rights : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
	rights.paths = path_rights(abi);
	rights.ports = 3;
	rights.scopes = 3;
	long rules = syscall(SYS_landlock_create_ruleset, &rights, size, 0);
	if (rules < 0)
		return false;
	bool done = syscall(SYS_landlock_restrict_self, (int)rules, 0) == 0;
	close((int)rules);
	return done;
}

/* The filter */

static int add_all(scmp_filter_ctx filter, uint32_t action, const int *calls)
{
	int failed = 0;
	for (; *calls != END; calls++)
		failed |= seccomp_rule_add(filter, action, *calls, 0);
	return failed;
}

/* What runs on descriptors and memory that are there. recvmsg, prlimit64 and seccomp: until sandbox_close. */
static int allow_plain(scmp_filter_ctx f)
{
	return add_all(f, SCMP_ACT_ALLOW,
		       CALLS(SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(preadv2),
			     SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(pwritev),
			     SCMP_SYS(pwritev2), SCMP_SYS(lseek), SCMP_SYS(_llseek), SCMP_SYS(fstat), SCMP_SYS(fstat64),
			     SCMP_SYS(ftruncate), SCMP_SYS(ftruncate64), SCMP_SYS(fallocate), SCMP_SYS(fadvise64),
			     SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(close), SCMP_SYS(poll), SCMP_SYS(ppoll),
			     SCMP_SYS(sendmsg), SCMP_SYS(sendto), SCMP_SYS(recvmsg), SCMP_SYS(brk), SCMP_SYS(munmap),
			     SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(futex_time64),
			     SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield),
			     SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu), SCMP_SYS(clock_gettime),
			     SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
			     SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times), SCMP_SYS(getrusage),
			     SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid),
			     SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getrandom),
			     SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
			     SCMP_SYS(sigaltstack), SCMP_SYS(membarrier), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
			     SCMP_SYS(exit_group), SCMP_SYS(prlimit64), SCMP_SYS(seccomp)));
}

/* What a library asks for without meaning harm (the number of processors, a time zone, a locale, colours of a
 * terminal), so that a sound file does not fail by it. */
static int refuse_harmless(scmp_filter_ctx f)
{
	int failed = add_all(f, SCMP_ACT_ERRNO(EACCES),
			     CALLS(SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(creat),
				   SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(stat),
				   SCMP_SYS(stat64), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(readlink),
				   SCMP_SYS(readlinkat), SCMP_SYS(getcwd)));
	failed |= seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 0);
	failed |= add_all(f, SCMP_ACT_ERRNO(EPERM),
			  CALLS(SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setscheduler), SCMP_SYS(setpriority),
				SCMP_SYS(mlock), SCMP_SYS(mbind), SCMP_SYS(set_mempolicy)));
	return failed;
}

/* Calls of which only some uses are allowed. */
static int allow_partly(scmp_filter_ctx f)
{
	enum { NEW_KINDS = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET };
	const scmp_datum_t thread = CLONE_VM | CLONE_THREAD, bits = thread | (scmp_datum_t)NEW_KINDS;
	/* threads, not processes; clone3 hides its flags in memory, and who is told that there is none uses clone */
	int failed = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, bits, thread));
	failed |= seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* memory that is no code: what can't be mapped is no end, a scaler may go another way */
	const int maps[] = { SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect) };
	for (unsigned i = 0; i < 3; i++) {
		failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, maps[i], 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
		failed |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), maps[i], 1,
					   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	}
	/* fstat of newer C libraries; it can name a path too, and then tells its size and dates, not its bytes */
	failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1, SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH));
	failed |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), 1,
				   SCMP_A3(SCMP_CMP_NE, AT_EMPTY_PATH));
	/* abort() must end in SIGABRT, so that it is told from an intrusion */
	failed |=
		seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	const int names[] = { PR_SET_NAME, PR_GET_NAME, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP };
	for (unsigned i = 0; i < 4; i++)
		failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
					   SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)names[i]));
	const int gets[] = { F_GETFD, F_GETFL };
	for (unsigned i = 0; i < 2; i++)
		failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
					   SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)gets[i]));
	return failed;
}

/* With a sanitizer: by name what only an intruder does. */
static int forbid_intrusion(scmp_filter_ctx f)
{
	const scmp_datum_t bits = CLONE_VM;
	int failed = add_all(f, SCMP_ACT_KILL_PROCESS,
			     CALLS(SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind),
				   SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(ptrace),
				   SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(kill),
				   SCMP_SYS(tkill), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_getfd), SCMP_SYS(bpf),
				   SCMP_SYS(io_uring_setup), SCMP_SYS(mount), SCMP_SYS(unshare), SCMP_SYS(setns)));
	failed |= seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	failed |= seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, bits, 0));
	return failed;
}

static int filter_load(scmp_filter_ctx f, int failed)
{
	if (!f)
		return -1;
	if (!failed)
		failed = seccomp_load(f);
	seccomp_release(f);
	if (failed < 0)
		errno = -failed;
	return failed;
}

static int filter_enter(void)
{
	scmp_filter_ctx f = seccomp_init(SANDBOX_RELAXED ? SCMP_ACT_ALLOW : SCMP_ACT_KILL_PROCESS);
	if (!f)
		return -1;
	return filter_load(f, SANDBOX_RELAXED ? forbid_intrusion(f)
					      : allow_plain(f) | refuse_harmless(f) | allow_partly(f));
}

/* What opens files when it is first used, used once while that is still possible. */
static void use_lazy_parts(void)
{
	tzset();
	(void)sysconf(_SC_NPROCESSORS_ONLN);
	(void)dlopen("libgcc_s.so.1", RTLD_NOW); /* for pthread_exit; kept */
}

enum err sandbox_enter(const char **lacks)
{
	use_lazy_parts();
	*lacks = "no_new_privs";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return ERR_INTERNAL;
	*lacks = "the limits";
	if (limit_all() != 0)
		return ERR_INTERNAL;
	*lacks = "giving up capabilities";
	if (drop_capabilities() != 0)
		return ERR_INTERNAL;
	bool paths = deny_paths();
	*lacks = "the filter of system calls";
	if (filter_enter() != 0)
		return ERR_INTERNAL;
	*lacks = NULL;
	if (SANDBOX_RELAXED)
		*lacks = paths ? "most of the filter and the limit of memory: it is built with a sanitizer"
			       : "Landlock, most of the filter and the limit of memory: it is built with a sanitizer";
	else if (!paths)
		*lacks = "Landlock: this kernel has it not";
	return ERR_OK;
}

enum err sandbox_close(uint64_t max_output_bytes, uint64_t max_ms)
{
	uint64_t seconds = max_ms / 1000 + 1;
	/* SIGXFSZ and SIGXCPU say which limit it was; the second's hard limit would be a SIGKILL */
	if (limit(RLIMIT_FSIZE, max_output_bytes, max_output_bytes) != 0 ||
	    limit(RLIMIT_CPU, seconds, seconds + 5) != 0)
		return ERR_INTERNAL;
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int failed = -1;
	if (f)
		failed = add_all(f, SCMP_ACT_KILL_PROCESS, CALLS(SCMP_SYS(recvmsg), SCMP_SYS(seccomp)));
	/* glibc reads its own limits with it */
	if (f)
		failed |= seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_NE, 0));
	return filter_load(f, failed) == 0 ? ERR_OK : ERR_INTERNAL;
}
