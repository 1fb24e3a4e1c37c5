/* Workers as real processes: what they may not do, how each way to end is told, and that none is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/process_rig.h"
#include "work/sandbox.h"
#include "work/worker_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_MS = 60 * 1000, SHORT_MS = 300 };

static struct process_rig rig;

static void test_good_job(void **state)
{
	rig_open(&rig, WORKER);
	rig_ready(&rig);
	worker_ping(rig.workers, 0);
	rig_until(&rig, WORKER_READY);
	rig_give(&rig, "copy", LONG_MS);
	rig_until(&rig, WORKER_GONE);
	static const enum worker_event_type order[] = { WORKER_READY, WORKER_READY, WORKER_ALIVE,
							WORKER_FILE,  WORKER_DONE,  WORKER_GONE };
	assert_int_equal(rig.count, 6);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(rig.events[i].type, order[i]);
	assert_int_equal(rig.events[5].err, ERR_OK);
	assert_int_equal(rig.events[2].progress, 100);
	assert_string_equal(rig.media.mime, "video/webm; codecs=\"vp8\"");
	assert_string_equal(rig.media.ext, "webm");
	assert_int_equal(rig.media.bytes, 10);
	assert_int_equal(rig.media.duration_ms, 1500);
	assert_true(rig.media.has_thumbnail);
	assert_false(rig.media.has_waveform);
	assert_string_equal(rig.warnings, "[{\"code\":\"truncated\",\"message\":\"The end is missing.\"}]");
	char text[11] = "";
	assert_int_equal(pread(rig.fds[0], text, 10, 0), 10);
	assert_string_equal(text, "0123456789");
	/* the slot is free again */
	rig_ready(&rig);
	rig_close(&rig);
}

/* In its cage, and before anything that the media job says. */
static void test_hashes(void **state)
{
	static const uint8_t digits[] = { 0x84, 0xd8, 0x98, 0x77, 0xf0, 0xd4, 0x04, 0x1e },
			     nothing[] = { 0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14 };
	static const enum worker_event_type order[] = { WORKER_READY, WORKER_ALIVE, WORKER_HASHED,
							WORKER_FILE,  WORKER_DONE,  WORKER_GONE };
	rig_open(&rig, WORKER);
	rig.hash = true;
	rig_ready(&rig);
	rig_give(&rig, "copy", LONG_MS);
	rig_until(&rig, WORKER_GONE);
	assert_int_equal(rig.count, 6);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(rig.events[i].type, order[i]);
	assert_int_equal(rig.events[1].progress, 100); /* all that is to be hashed */
	assert_memory_equal(rig.hashes[0].sha256.bytes, digits, sizeof digits);
	assert_memory_equal(rig.hashes[1].sha256.bytes, nothing, sizeof nothing);
	rig_close(&rig);
	/* a file that is shorter than it should be */
	rig_open(&rig, WORKER);
	rig.hash = true;
	rig_ready(&rig);
	assert_int_equal(ftruncate(rig.fds[3], 9), 0);
	rig_give(&rig, "copy", LONG_MS);
	rig_until(&rig, WORKER_FAILED);
	assert_int_equal(rig.events[rig.at - 1].err, ERR_READ_FAILED);
	assert_false(rig_heard(&rig, WORKER_HASHED));
	rig_until(&rig, WORKER_GONE);
	rig_close(&rig);
}

/* Each deed: how it ends, and what the sentence holds. `strict`: only where no sanitizer relaxes the cage. */
static const struct {
	const char *deed;
	enum err err;
	const char *text;
	bool strict, file;
	uint64_t max_ms;
} deeds[] = {
	{ "open", ERR_MEDIA_UNREADABLE, "Permission denied", false, false, LONG_MS },
	{ "open_again", ERR_MEDIA_UNREADABLE, "Permission denied", false, false, LONG_MS },
	{ "write_track", ERR_MEDIA_UNREADABLE, "Invalid argument", false, false, LONG_MS },
	{ "write_description", ERR_MEDIA_UNREADABLE, "Operation not permitted", false, false, LONG_MS },
	{ "make_code", ERR_MEDIA_UNREADABLE, "Permission denied", true, false, LONG_MS },
	{ "socket", ERR_MEDIA_UNREADABLE, "SIGSYS", false, false, LONG_MS },
	{ "connect", ERR_MEDIA_UNREADABLE, "SIGSYS", false, false, LONG_MS },
	{ "exec", ERR_MEDIA_UNREADABLE, "SIGSYS", false, false, LONG_MS },
	{ "fork", ERR_MEDIA_UNREADABLE, "SIGSYS", false, false, LONG_MS },
	{ "ptrace", ERR_MEDIA_UNREADABLE, "SIGSYS", false, false, LONG_MS },
	{ "kill", ERR_MEDIA_UNREADABLE, "SIGSYS", false, false, LONG_MS },
	{ "setrlimit", ERR_MEDIA_UNREADABLE, "SIGSYS", false, false, LONG_MS },
	{ "recvmsg", ERR_MEDIA_UNREADABLE, "SIGSYS", false, false, LONG_MS },
	{ "bomb", ERR_MEDIA_LIMIT, "more memory", true, false, LONG_MS },
	{ "loop", ERR_MEDIA_LIMIT, "more than the 0 s", false, false, SHORT_MS },
	{ "stop", ERR_MEDIA_LIMIT, "more than the 0 s", false, false, SHORT_MS },
	{ "grow", ERR_MEDIA_LIMIT, "larger than allowed", false, false, LONG_MS },
	{ "crash", ERR_MEDIA_UNREADABLE,
	  "crashed on the media (SIGSEGV). It last said: before the end ?[31mred ?? \"quoted\"", false, false,
	  LONG_MS },
	{ "abort", ERR_MEDIA_UNREADABLE, "SIGABRT", false, false, LONG_MS },
	{ "leave", ERR_WORKER_DIED, "status 0", false, false, LONG_MS },
	{ "babble", ERR_MEDIA_UNREADABLE, "writes without end", false, false, LONG_MS },
	{ "flood", ERR_MEDIA_UNREADABLE, "talks without end", false, false, LONG_MS },
	{ "garbage", ERR_MEDIA_UNREADABLE, "trusted", false, false, LONG_MS },
	{ "huge", ERR_MEDIA_UNREADABLE, "too large", false, false, LONG_MS },
	{ "send_descriptor", ERR_MEDIA_UNREADABLE, "too large", false, false, LONG_MS },
	{ "ready_again", ERR_MEDIA_UNREADABLE, "not asked", false, false, LONG_MS },
	{ "hash_late", ERR_MEDIA_UNREADABLE, "hashed what nobody asked for", false, false, LONG_MS },
	{ "lie_about_size", ERR_MEDIA_UNREADABLE, "another size", false, false, LONG_MS },
	{ "lie_about_type", ERR_MEDIA_UNREADABLE, "none of those", false, false, LONG_MS },
	{ "change_story", ERR_MEDIA_UNREADABLE, "something else", false, true, LONG_MS },
	{ "no_thumbnail", ERR_MEDIA_UNREADABLE, "thumbnail", false, true, LONG_MS },
	{ "close_socket", ERR_MEDIA_UNREADABLE, "closed its connection", false, false, LONG_MS },
};

static void test_bad_jobs(void **state)
{
	for (unsigned i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
		if (SANDBOX_RELAXED && deeds[i].strict)
			continue;
		rig_open(&rig, WORKER);
		rig_ready(&rig);
		rig_give(&rig, deeds[i].deed, deeds[i].max_ms);
		rig_until(&rig, WORKER_GONE);
		const struct worker_event *gone = &rig.events[rig.at - 1];
		if (gone->err != deeds[i].err || !strstr(rig.message, deeds[i].text))
			fail_msg("%s: %s: %s", deeds[i].deed, err_code(gone->err), rig.message);
		assert_int_equal(rig_heard(&rig, WORKER_FILE), deeds[i].file);
		assert_false(rig_heard(&rig, WORKER_DONE));
		rig_close(&rig);
	}
}

static void test_what_it_blames_is_made_text(void **state)
{
	rig_open(&rig, WORKER);
	rig_ready(&rig);
	rig_give(&rig, "blame", LONG_MS);
	rig_until(&rig, WORKER_FAILED);
	assert_int_equal(rig.events[rig.at - 1].err, ERR_CHECK_FAILED);
	assert_string_equal(rig.message, "Bad ?? text");
	rig_until(&rig, WORKER_GONE);
	assert_int_equal(rig.events[rig.at - 1].err, ERR_CHECK_FAILED);
	rig_close(&rig);
}

/* A stopped one takes no job: it doesn't answer. Going on, it does. */
static void test_stopped_while_idle(void **state)
{
	rig_open(&rig, WORKER);
	rig_ready(&rig);
	pid_t pid = rig_child(getpid());
	kill(pid, SIGSTOP);
	waitpid(pid, NULL, WUNTRACED);
	worker_ping(rig.workers, 0);
	worker_ping(rig.workers, 0);
	rig_run_ms(&rig, 200);
	assert_int_equal(rig.count, 1);
	/* the second answer comes when it has its job, and is not passed on */
	rig.eager = "copy";
	kill(pid, SIGCONT);
	rig_until(&rig, WORKER_GONE);
	assert_int_equal(rig.events[rig.at - 1].err, ERR_OK);
	assert_int_equal(rig.events[1].type, WORKER_READY);
	assert_int_equal(rig.events[2].type, WORKER_ALIVE);
	rig_ready(&rig);
	pid = rig_child(getpid());
	kill(pid, SIGSTOP);
	worker_kill(rig.workers, 0);
	rig_until(&rig, WORKER_GONE);
	assert_int_equal(rig.events[rig.at - 1].err, ERR_OK);
	rig_close(&rig);
}

static void test_killed(void **state)
{
	rig_open(&rig, WORKER);
	/* from elsewhere, at work */
	rig_ready(&rig);
	rig_give(&rig, "wait", LONG_MS);
	rig_until(&rig, WORKER_ALIVE);
	kill(rig_child(getpid()), SIGKILL);
	rig_until(&rig, WORKER_GONE);
	assert_int_equal(rig.events[rig.at - 1].err, ERR_WORKER_DIED);
	assert_non_null(strstr(rig.message, "SIGKILL"));
	/* by us, at work */
	rig_ready(&rig);
	rig_give(&rig, "wait", LONG_MS);
	rig_until(&rig, WORKER_ALIVE);
	worker_kill(rig.workers, 0);
	rig_until(&rig, WORKER_GONE);
	assert_int_equal(rig.events[rig.at - 1].err, ERR_WORKER_DIED);
	/* it died, and was given a job before that was noticed */
	rig_ready(&rig);
	pid_t pid = rig_child(getpid());
	siginfo_t info;
	kill(pid, SIGKILL);
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	rig_give(&rig, "copy", LONG_MS);
	rig_until(&rig, WORKER_GONE);
	assert_int_equal(rig.events[rig.at - 1].err, ERR_WORKER_DIED);
	/* idle: nothing of anybody's was lost */
	rig_ready(&rig);
	kill(rig_child(getpid()), SIGKILL);
	rig_until(&rig, WORKER_GONE);
	assert_int_equal(rig.events[rig.at - 1].err, ERR_OK);
	rig_close(&rig);
}

static void test_cannot_be_started(void **state)
{
	rig_open(&rig, "/nowhere/holdfast-worker");
	worker_start(rig.workers, 0);
	assert_int_equal(rig.count, 0);
	rig_until(&rig, WORKER_GONE);
	assert_int_equal(rig.count, 1);
	assert_int_equal(rig.events[0].err, ERR_WORKER_DIED);
	assert_non_null(strstr(rig.message, "/nowhere/holdfast-worker could not be started: No such file"));
	worker_start(rig.workers, 0);
	rig_close(&rig); /* before that could be told */
	rig_open(&rig, "/bin/true");
	worker_start(rig.workers, 0);
	rig_until(&rig, WORKER_GONE);
	assert_int_equal(rig.events[0].err, ERR_WORKER_DIED);
	assert_non_null(strstr(rig.message, "before it was ready"));
	rig_close(&rig);
}

/* At each stage of its life. */
static void test_closed_at_work(void **state)
{
	rig_open(&rig, WORKER);
	rig_close(&rig);
	rig_open(&rig, WORKER);
	worker_start(rig.workers, 0);
	rig_close(&rig);
	rig_open(&rig, WORKER);
	rig_ready(&rig);
	rig_give(&rig, "wait", LONG_MS);
	rig_until(&rig, WORKER_ALIVE);
	rig_close(&rig);
	workers_process_close(NULL, NULL, NULL);
}

static void wait_for(int fd)
{
	struct pollfd item = { .fd = fd, .events = POLLIN };
	assert_int_equal(poll(&item, 1, LONG_MS), 1);
}

static void test_server_closes_the_socket(void **state)
{
	struct worker_child child;
	int status = 0;
	assert_int_equal(worker_spawn(WORKER, &child), 0);
	wait_for(child.socket); /* ready */
	close(child.socket);
	wait_for(child.pidfd);
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(child.said);
	close(child.pidfd);
}

/* kill -9 of the server: its worker is gone too, in the middle of a job that never ends, and its socket still open. */
static void test_server_is_killed(void **state)
{
	int told[2];
	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid_t server = fork();
	if (server == 0) {
		rig_open(&rig, WORKER);
		rig_ready(&rig);
		rig_give(&rig, "loop", LONG_MS);
		pid_t worker = rig_child(getpid());
		if (write(told[1], &worker, sizeof worker) == sizeof worker)
			uv_run(&rig.loop, UV_RUN_DEFAULT);
		_exit(1);
	}
	pid_t worker = 0;
	int status = 0;
	assert_int_equal(read(told[0], &worker, sizeof worker), sizeof worker);
	assert_true(worker > 0);
	int pidfd = (int)syscall(SYS_pidfd_open, worker, 0);
	kill(server, SIGKILL);
	assert_int_equal(waitpid(server, NULL, 0), server);
	wait_for(pidfd);
	close(pidfd);
	assert_int_equal(waitpid(worker, &status, 0), worker);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(told[0]);
	close(told[1]);
}

/* What a worker holds: the four it is given, whatever the server forgot to close on exec; and no secret of its
 * environment. */
static void test_nothing_is_inherited(void **state)
{
	struct worker_child child;
	char path[64], text[4096] = "";
	int careless = open("/etc/passwd", O_RDONLY);
	setenv("HOLDFAST_SECRET", "it is one", 1);
	assert_int_equal(worker_spawn(WORKER, &child), 0);
	wait_for(child.socket);
	kill(child.pid, SIGSTOP);
	for (int fd = 4; fd < 64; fd++) {
		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)child.pid, fd);
		assert_int_equal(readlink(path, text, sizeof text - 1), -1);
	}
	snprintf(path, sizeof path, "/proc/%d/environ", (int)child.pid);
	FILE *file = fopen(path, "re");
	if (file) { /* only root may look */
		size_t len = fread(text, 1, sizeof text, file);
		assert_null(memmem(text, len, "HOLDFAST_SECRET", 15));
		assert_non_null(memmem(text, len, "MALLOC_ARENA_MAX", 16));
		fclose(file);
	}
	kill(child.pid, SIGKILL);
	waitpid(child.pid, NULL, 0);
	close(child.socket);
	close(child.said);
	close(child.pidfd);
	close(careless);
	unsetenv("HOLDFAST_SECRET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_job),
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_bad_jobs),
		cmocka_unit_test(test_what_it_blames_is_made_text),
		cmocka_unit_test(test_stopped_while_idle),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_cannot_be_started),
		cmocka_unit_test(test_closed_at_work),
		cmocka_unit_test(test_server_closes_the_socket),
		cmocka_unit_test(test_server_is_killed),
		cmocka_unit_test(test_nothing_is_inherited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
