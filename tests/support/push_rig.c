/* See push_rig.h. */
#include "support/push_rig.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { WAIT_MS = 30 * 1000 };

int64_t push_rig_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void feed(struct push_rig *g, unsigned which)
{
	uint64_t id = g->reads[which].id, offset = g->reads[which].offset;
	size_t len = g->reads[which].len;
	g->read_count--;
	memmove(&g->reads[which], &g->reads[which + 1], (g->read_count - which) * sizeof g->reads[0]);
	uint8_t *copy = malloc(len ? len : 1); /* an exact copy that goes at once */
	assert_non_null(copy);
	memcpy(copy, g->file + offset, len);
	g->p->ops->feed(g->p, id, offset, copy, len);
	free(copy);
}

static void on_reading(uv_timer_t *timer)
{
	struct push_rig *g = timer->data;
	while (g->read_count > 0 && !g->never)
		feed(g, g->backwards ? g->read_count - 1 : 0);
}

static void on_want(void *arg, uint64_t id, uint64_t offset, size_t len)
{
	struct push_rig *g = arg;
	assert_int_equal(id, g->id);
	assert_true(len > 0 && offset + len <= g->bytes);
	assert_true(g->read_count < 4);
	g->wants++;
	g->reads[g->read_count].id = id;
	g->reads[g->read_count].offset = offset;
	g->reads[g->read_count++].len = len;
	if (g->read_count > g->most_reads)
		g->most_reads = g->read_count;
	if (g->cancel)
		g->p->ops->cancel(g->p, id);
	if (g->inline_reads)
		feed(g, 0);
	else
		uv_timer_start(&g->reading, on_reading, 1, 0);
}

static void on_done(void *arg, uint64_t id, const struct push_result *r)
{
	struct push_rig *g = arg;
	assert_int_equal(id, g->id);
	assert_int_equal(r->err == ERR_OK, r->message == NULL);
	assert_true(r->part_count <= RIG_PARTS && r->upload_count <= RIG_UPLOADS);
	g->done++;
	g->err = r->err;
	g->retry_after_ms = r->retry_after_ms;
	g->length = r->bytes;
	g->more = r->more;
	g->part_count = r->part_count;
	g->upload_count = r->upload_count;
	snprintf(g->message, sizeof g->message, "%s", r->message ? r->message : "");
	snprintf(g->upload, sizeof g->upload, "%s", r->upload);
	snprintf(g->etag, sizeof g->etag, "%s", r->etag);
	snprintf(g->sha256, sizeof g->sha256, "%s", r->sha256);
	if (r->part_count > 0)
		memcpy(g->parts, r->parts, r->part_count * sizeof *r->parts);
	if (r->upload_count > 0)
		memcpy(g->uploads, r->uploads, r->upload_count * sizeof *r->uploads);
	uv_stop(&g->loop);
}

static void on_late(uv_timer_t *timer)
{
	((struct push_rig *)timer->data)->late = true;
}

void push_rig_init(struct push_rig *g)
{
	uv_loop_init(&g->loop);
	uv_timer_init(&g->loop, &g->deadline);
	uv_timer_init(&g->loop, &g->reading);
	g->deadline.data = g->reading.data = g;
}

void push_rig_open(struct push_rig *g, const char *url, const struct s3_keys *keys, const struct pusher_s3_config *with)
{
	struct pusher_s3_config config = with ? *with : (struct pusher_s3_config){ 0 };
	struct s3_target target;
	const char *problem = NULL;
	if (!s3_url_parse(url, false, &target, &problem))
		fail_msg("%s: %s", url, problem);
	config.loop = &g->loop;
	config.target = &target;
	config.keys = keys;
	config.agent = "test/1";
	assert_int_equal(pusher_s3_new(&config, &g->p), ERR_OK);
	g->p->events = (struct pusher_events){ on_want, on_done, g };
}

static void on_closed(void *arg)
{
	((struct push_rig *)arg)->closed = true;
}

void push_rig_close(struct push_rig *g)
{
	g->closed = false;
	uv_timer_stop(&g->reading); /* what was wanted is fed to nobody */
	g->read_count = 0;
	pusher_s3_close(g->p, on_closed, g);
	while (!g->closed)
		uv_run(&g->loop, UV_RUN_ONCE);
	g->p = NULL;
}

void push_rig_release(struct push_rig *g)
{
	if (g->p)
		push_rig_close(g);
	uv_close((uv_handle_t *)&g->deadline, NULL);
	uv_close((uv_handle_t *)&g->reading, NULL);
	uv_run(&g->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&g->loop), 0);
	free(g->file);
}

void push_rig_file(struct push_rig *g, uint64_t bytes)
{
	uint32_t state = 1;
	free(g->file);
	g->file = malloc(bytes ? bytes : 1);
	g->bytes = bytes;
	assert_non_null(g->file);
	for (uint64_t i = 0; i < bytes; i++) {
		state = state * 1664525 + 1013904223;
		g->file[i] = (uint8_t)(state >> 24);
	}
}

struct push_body push_rig_body(const struct push_rig *g, uint64_t offset, uint64_t len)
{
	struct push_body body = { .offset = offset, .len = len };
	assert_true(offset + len <= g->bytes);
	assert_int_equal(EVP_Digest(g->file + offset, len, body.sha256, NULL, EVP_sha256(), NULL), 1);
	return body;
}

void push_rig_start(struct push_rig *g, struct push_step step)
{
	g->done = 0;
	g->wants = g->most_reads = 0;
	g->err = ERR_COUNT;
	step.id = ++g->id;
	if (!step.now_ms)
		step.now_ms = push_rig_now_ms();
	if (!step.key)
		step.key = "take.webm";
	g->p->ops->start(g->p, &step);
	assert_int_equal(g->done, 0);
}

void push_rig_wait(struct push_rig *g)
{
	g->late = false;
	uv_timer_start(&g->deadline, on_late, WAIT_MS, 0);
	while (!g->done && !g->late)
		uv_run(&g->loop, UV_RUN_ONCE);
	uv_timer_stop(&g->deadline);
	assert_int_equal(g->done, 1);
}

enum err push_rig_do(struct push_rig *g, struct push_step step)
{
	push_rig_start(g, step);
	push_rig_wait(g);
	return g->err;
}
