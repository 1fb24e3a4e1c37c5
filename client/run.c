/* libholdfast: one poll() for all takes that a thread works on. */
#include "take.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

enum { FEW = 16 }; /* more than those need memory for their descriptors */

/* One turn of all; how many have ended. `fds` has room for one more than count. */
static int turn(struct hf_take *const *takes, size_t count, struct pollfd *fds, uint64_t now_ms, uint64_t deadline)
{
	int wait = (int)(deadline > now_ms ? deadline - now_ms : 0), ended = 0;
	for (size_t i = 0; i < count; i++) {
		take_step(takes[i], now_ms);
		fds[i] = (struct pollfd){ .fd = -1 };
		if (!takes[i]->link) /* it was saved, and another take has its connection */
			continue;
		int its = link_prepare(takes[i]->link, &fds[i], take_wait_ms(takes[i], now_ms, deadline));
		wait = its < wait ? its : wait;
	}
	if (poll(fds, (nfds_t)count + 1, wait) < 0)
		for (size_t i = 0; i <= count; i++)
			fds[i].revents = 0; /* a signal */
	for (size_t i = 0; i < count; i++) {
		if (takes[i]->link)
			link_service(takes[i]->link, fds[i].revents);
		ended += take_look(takes[i]);
	}
	return ended;
}

HF_API int hf_run(struct hf_take *const *takes, size_t count, int fd, int timeout_ms)
{
	struct pollfd few[FEW + 1], *fds = few;
	uint64_t now_ms = take_now_ms(), deadline = now_ms + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
	if (count > FEW && !(fds = calloc(count + 1, sizeof *fds)))
		return -ENOMEM;
	int ended;
	bool readable;
	do {
		fds[count] = (struct pollfd){ .fd = fd, .events = POLLIN };
		ended = turn(takes, count, fds, now_ms, deadline);
		readable = fds[count].revents != 0;
		now_ms = take_now_ms();
	} while (ended == 0 && !readable && now_ms < deadline);
	if (fds != few)
		free(fds);
	return ended ? HF_RUN_ENDED : readable ? HF_RUN_READABLE : HF_RUN_TIMEOUT;
}

HF_API int hf_take_run(struct hf_take *take, int fd, int timeout_ms)
{
	return hf_run(&take, 1, fd, timeout_ms);
}
