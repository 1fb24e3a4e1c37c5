/* Names to addresses on a thread of their own, see resolve.h. The thread and its owner share the answer; whoever lets
 * go last frees it. */
#include "resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct resolve {
	atomic_int owners;
	atomic_bool ready;
	char host[256];
	struct resolved answer;
};

static void let_go(struct resolve *r)
{
	if (atomic_fetch_sub(&r->owners, 1) == 1)
		free(r);
}

static void look_up(struct resolve *r, int flags)
{
	struct addrinfo hints = { .ai_flags = flags, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *list = NULL;
	int result = getaddrinfo(r->host, NULL, &hints, &list);
	struct resolved *a = &r->answer;
	if (result != 0)
		snprintf(a->error, sizeof a->error, "%s: %s", r->host, gai_strerror(result));
	for (struct addrinfo *i = list; i && a->count < RESOLVE_ADDRESSES; i = i->ai_next)
		if (getnameinfo(i->ai_addr, i->ai_addrlen, a->addresses[a->count], RESOLVE_TEXT, NULL, 0,
				NI_NUMERICHOST) == 0)
			a->count++;
	if (list)
		freeaddrinfo(list);
	if (result == 0 && a->count == 0)
		snprintf(a->error, sizeof a->error, "%s has no address", r->host);
}

static void *run(void *arg)
{
	struct resolve *r = arg;
	look_up(r, 0);
	atomic_store(&r->ready, true);
	let_go(r);
	return NULL;
}

struct resolve *resolve_new(const char *host)
{
	struct resolve *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	snprintf(r->host, sizeof r->host, "%s", host);
	atomic_init(&r->owners, 2);
	look_up(r, AI_NUMERICHOST); /* an address needs no thread */
	if (r->answer.count > 0) {
		atomic_store(&r->ready, true);
		let_go(r);
		return r;
	}
	pthread_t thread;
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&thread, &attributes, run, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (!failed)
		return r;
	free(r);
	return NULL;
}

bool resolve_poll(struct resolve *r, struct resolved *out)
{
	if (!atomic_load(&r->ready))
		return false;
	*out = r->answer;
	return true;
}

void resolve_free(struct resolve *r)
{
	if (r)
		let_go(r);
}
