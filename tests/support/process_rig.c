/* See process_rig.h. */
#include "support/process_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MINUTE_MS = 60 * 1000 };

static int file_fd(struct vfs_file *file)
{
	return *(int *)(void *)file;
}

static void on_event(void *arg, unsigned slot, const struct worker_event *event)
{
	struct process_rig *rig = arg;
	assert_int_equal(slot, 0);
	assert_true(rig->count < RIG_EVENTS);
	rig->events[rig->count] = *event;
	rig->count++;
	if (event->type == WORKER_HASHED) {
		assert_int_equal(event->hash_count, 2);
		memcpy(rig->hashes, event->hashes, sizeof rig->hashes);
	}
	if (event->type == WORKER_FILE || event->type == WORKER_DONE) {
		rig->media = *event->media;
		snprintf(rig->warnings, sizeof rig->warnings, "%s", event->warnings ? event->warnings : "");
	}
	if (event->type == WORKER_FAILED || event->type == WORKER_GONE)
		snprintf(rig->message, sizeof rig->message, "%s", event->message ? event->message : "");
	uv_stop(&rig->loop);
	if (event->type == WORKER_READY && rig->eager) {
		const char *deed = rig->eager;
		rig->eager = NULL;
		rig_give(rig, deed, MINUTE_MS);
	}
}

void rig_open(struct process_rig *rig, const char *program)
{
	memset(rig, 0, sizeof *rig);
	assert_int_equal(uv_loop_init(&rig->loop), 0);
	struct workers_config config = { .loop = &rig->loop, .program = program, .slots = 1, .file_fd = file_fd };
	assert_int_equal(workers_process_new(&config, &rig->workers), ERR_OK);
	rig->workers->event = on_event;
	rig->workers->arg = rig;
	for (unsigned i = 0; i < 5; i++) {
		char path[] = "/tmp/holdfast-worker-XXXXXX"; /* Landlock knows no files in memory */
		rig->fds[i] = mkostemp(path, O_CLOEXEC);
		assert_true(rig->fds[i] >= 0);
		unlink(path);
	}
	assert_int_equal(pwrite(rig->fds[3], "0123456789", 10, 0), 10);
}

static void on_closed(void *arg)
{
	struct process_rig *rig = arg;
	rig->closed = true;
}

void rig_close(struct process_rig *rig)
{
	unsigned before = rig->count;
	workers_process_close(rig->workers, on_closed, rig);
	assert_false(rig->closed); /* never from inside */
	uv_run(&rig->loop, UV_RUN_DEFAULT);
	assert_true(rig->closed);
	assert_int_equal(rig->count, before);
	assert_int_equal(uv_loop_close(&rig->loop), 0);
	for (unsigned i = 0; i < 5; i++)
		close(rig->fds[i]);
	assert_int_equal(rig_child(getpid()), 0);
}

static void on_late(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
	uv_stop(timer->loop);
}

/* Until `until` events are there or the time is over; true: the time is over. */
static bool run(struct process_rig *rig, unsigned ms, unsigned until)
{
	bool late = false;
	uv_timer_t timer;
	uv_timer_init(&rig->loop, &timer);
	timer.data = &late;
	uv_update_time(&rig->loop);
	uv_timer_start(&timer, on_late, ms, 0);
	while (!late && rig->count < until)
		uv_run(&rig->loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&rig->loop, UV_RUN_NOWAIT);
	return late;
}

void rig_until(struct process_rig *rig, enum worker_event_type type)
{
	for (;;) {
		if (rig->at == rig->count && run(rig, MINUTE_MS, rig->at + 1))
			fail_msg("event %d did not come", (int)type);
		if (rig->events[rig->at++].type == type)
			return;
	}
}

void rig_run_ms(struct process_rig *rig, unsigned ms)
{
	run(rig, ms, RIG_EVENTS);
}

bool rig_heard(const struct process_rig *rig, enum worker_event_type type)
{
	for (unsigned i = 0; i < rig->count; i++)
		if (rig->events[i].type == type)
			return true;
	return false;
}

void rig_ready(struct process_rig *rig)
{
	unsigned before = rig->count;
	worker_start(rig->workers, 0);
	assert_int_equal(rig->count, before);
	rig_until(rig, WORKER_READY);
}

void rig_give(struct process_rig *rig, const char *deed, uint64_t max_ms)
{
	static const uint64_t parts[] = { 3, 3, 7 };
	static char server[16];
	snprintf(server, sizeof server, "%d", (int)getpid());
	for (unsigned i = 0; i < 2; i++)
		rig->tracks[i] = (struct worker_track){ .name = i == 0 ? deed : server,
							.file = (struct vfs_file *)(void *)&rig->fds[3 + i],
							.bytes = i == 0 ? 10 : 0,
							.parts = parts,
							.part_count = i == 0 ? 3 : 0,
							.hash = rig->hash };
	rig->job = (struct worker_job){ .revision = 1,
					.tracks = rig->tracks,
					.track_count = 2,
					.file = (struct vfs_file *)(void *)&rig->fds[0],
					.thumbnail = (struct vfs_file *)(void *)&rig->fds[1],
					.waveform = (struct vfs_file *)(void *)&rig->fds[2],
					.max_output_bytes = 1 << 20,
					.max_ms = max_ms };
	unsigned before = rig->count;
	worker_give(rig->workers, 0, &rig->job);
	assert_int_equal(rig->count, before);
}

pid_t rig_child(pid_t parent)
{
	pid_t found = 0;
	DIR *dir = opendir("/proc");
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		char path[300], text[512] = "", state;
		int of;
		snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
		FILE *file = *entry->d_name >= '1' && *entry->d_name <= '9' ? fopen(path, "re") : NULL;
		if (!file)
			continue;
		if (fgets(text, sizeof text, file) && strrchr(text, ')') &&
		    sscanf(strrchr(text, ')') + 2, "%c %d", &state, &of) == 2 && of == (int)parent)
			found = (pid_t)strtol(entry->d_name, NULL, 10);
		fclose(file);
	}
	closedir(dir);
	return found;
}
