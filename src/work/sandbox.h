/* The cage of holdfast-worker. Two steps: sandbox_enter before the first word to the server, sandbox_close when the job
 * is known and before the first byte of media. Not undone.
 *
 * After both the process has its descriptors, memory, threads and clocks, and nothing else: no file can be opened, no
 * socket made, no program run, no process made, traced or signalled. What decoders ask for harmlessly is refused
 * (EACCES); what only an intruder asks for ends the process (SIGSYS). */
#ifndef HOLDFAST_WORK_SANDBOX_H
#define HOLDFAST_WORK_SANDBOX_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* A sanitizer needs address space and system calls of its own: then what an intruder would do is still forbidden, the
 * rest is not, and `lacks` says so. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_RELAXED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANDBOX_RELAXED true
#endif
#endif
#ifndef SANDBOX_RELAXED
#define SANDBOX_RELAXED false
#endif

/* No privileges, no core dumps, limits, no paths, and the filter. ERR_OK; *lacks: what is missing of it ("Landlock"),
 * NULL if nothing. Else the process must not work; *lacks says what failed, errno why. One thread runs. */
enum err sandbox_enter(const char **lacks);
/* The job's limits: no file above max_output_bytes, no more processor time than max_ms; then no limit can be changed
 * and nothing be received any more. */
enum err sandbox_close(uint64_t max_output_bytes, uint64_t max_ms);

#endif
