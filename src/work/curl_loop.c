/* libcurl on a libuv loop, see curl_loop.h. */
#include "work/curl_loop.h"

#include <stdlib.h>

struct curl_loop {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer; /* libcurl's own */
	uv_timer_t soon_timer;
	void (*soon)(void *arg);
	void *soon_arg;
	unsigned handles; /* that are not closed */
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* A socket that libcurl wants watched. */
struct watch {
	uv_poll_t poll;
	struct curl_loop *loop;
	curl_socket_t fd;
};

static void handle_gone(struct curl_loop *l)
{
	l->handles--;
	if (l->handles > 0 || !l->closing)
		return;
	void (*closed)(void *arg) = l->closed;
	void *arg = l->closed_arg;
	free(l);
	if (closed)
		closed(arg);
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct watch *w = handle->data;
	struct curl_loop *l = w->loop;
	free(w);
	handle_gone(l);
}

static void on_timer_closed(uv_handle_t *handle)
{
	handle_gone(handle->data);
}

/* Tells the owners of transfers that ended. A `done` may begin and drop others. */
static void reap(struct curl_loop *l)
{
	CURLMsg *message;
	int left;
	while (!l->closing && (message = curl_multi_info_read(l->multi, &left))) {
		struct curl_transfer *transfer = NULL;
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
		transfer->done(transfer, code);
	}
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	struct curl_loop *l = w->loop;
	int flags = status < 0 ? CURL_CSELECT_ERR : 0;
	int running;
	if (l->closing)
		return;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(l->multi, w->fd, flags, &running); /* w may be gone behind this */
	reap(l);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct curl_loop *l = arg;
	struct watch *w = socket_arg;
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w) {
			curl_multi_assign(l->multi, fd, NULL);
			uv_poll_stop(&w->poll);
			uv_close((uv_handle_t *)&w->poll, on_watch_closed);
		}
		return 0;
	}
	if (!w) {
		w = calloc(1, sizeof *w);
		if (!w || uv_poll_init_socket(l->loop, &w->poll, fd) != 0) {
			free(w);
			return -1;
		}
		w->poll.data = w;
		w->loop = l;
		w->fd = fd;
		l->handles++;
		curl_multi_assign(l->multi, fd, w);
	}
	int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
	return uv_poll_start(&w->poll, events, on_ready) == 0 ? 0 : -1;
}

static void on_timeout(uv_timer_t *timer)
{
	struct curl_loop *l = timer->data;
	int running;
	if (l->closing)
		return;
	curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	reap(l);
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct curl_loop *l = arg;
	(void)multi;
	if (timeout_ms < 0 || l->closing)
		uv_timer_stop(&l->timer);
	else
		uv_timer_start(&l->timer, on_timeout, (uint64_t)timeout_ms, 0);
	return 0;
}

static void on_soon(uv_timer_t *timer)
{
	struct curl_loop *l = timer->data;
	if (l->closing)
		return;
	l->soon(l->soon_arg);
	if (!l->closing)
		reap(l);
}

void curl_loop_soon(struct curl_loop *l)
{
	if (!l->closing)
		uv_timer_start(&l->soon_timer, on_soon, 0, 0);
}

enum err curl_loop_new(uv_loop_t *loop, void (*soon)(void *arg), void *arg, struct curl_loop **out)
{
	*out = NULL;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return ERR_NO_MEMORY;
	struct curl_loop *l = calloc(1, sizeof *l);
	CURLM *multi = l ? curl_multi_init() : NULL;
	if (!multi) {
		free(l);
		return ERR_NO_MEMORY;
	}
	*l = (struct curl_loop){ .loop = loop, .multi = multi, .soon = soon, .soon_arg = arg, .handles = 2 };
	uv_timer_init(loop, &l->timer);
	uv_timer_init(loop, &l->soon_timer);
	l->timer.data = l->soon_timer.data = l;
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, l);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, l);
	curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	*out = l;
	return ERR_OK;
}

void curl_loop_close(struct curl_loop *l, void (*closed)(void *arg), void *arg)
{
	l->closing = true;
	l->closed = closed;
	l->closed_arg = arg;
	curl_multi_cleanup(l->multi); /* may still call on_socket */
	uv_close((uv_handle_t *)&l->timer, on_timer_closed);
	uv_close((uv_handle_t *)&l->soon_timer, on_timer_closed);
}

CURL *curl_loop_easy(void)
{
	CURL *easy = curl_easy_init();
	if (!easy)
		return NULL;
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a look-up under way is not joined by the loop */
	curl_easy_setopt(easy, CURLOPT_PROXY, "");	/* whatever the environment says */
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	return easy;
}

bool curl_loop_begin(struct curl_loop *l, struct curl_transfer *transfer)
{
	curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
	transfer->added = curl_multi_add_handle(l->multi, transfer->easy) == CURLM_OK;
	return transfer->added;
}

void curl_transfer_drop(struct curl_loop *l, struct curl_transfer *transfer)
{
	if (transfer->added)
		curl_multi_remove_handle(l->multi, transfer->easy);
	if (transfer->easy)
		curl_easy_cleanup(transfer->easy);
	transfer->easy = NULL;
	transfer->added = false;
}

uint64_t curl_retry_after_ms(CURL *easy)
{
	const curl_off_t day_s = 24 * 3600;
	curl_off_t after_s = 0;
	curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &after_s);
	return after_s < 0 ? 0 : (uint64_t)(after_s < day_s ? after_s : day_s) * 1000;
}
