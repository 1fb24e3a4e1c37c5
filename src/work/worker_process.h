/* Workers that are processes of `holdfast-worker`: started from the program's own folder with nothing but a socket,
 * sandboxed before they see a byte of media (src/work/sandbox.c). Loop thread. */
#ifndef HOLDFAST_WORK_WORKER_PROCESS_H
#define HOLDFAST_WORK_WORKER_PROCESS_H

#include "work/worker.h"

#include <uv.h>

struct workers_config {
	uv_loop_t *loop;
	const char *program;		       /* copied: the path of holdfast-worker */
	unsigned slots;			       /* --workers */
	int (*file_fd)(struct vfs_file *file); /* the descriptor behind a file of the job */
};

enum err workers_process_new(const struct workers_config *config, struct workers **out);
/* Kills what runs; `closed` comes when nothing of it is left on the loop, and it is freed. Accepts NULL (no `closed`).
 */
void workers_process_close(struct workers *w, void (*closed)(void *arg), void *arg);

#endif
