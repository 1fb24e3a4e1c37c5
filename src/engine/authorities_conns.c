/* Messages that bring a token which an outside authority is asked about: they wait at the head of what their connection
 * has held, so that their order is kept. See authorities.h. */
#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

/* What the message at the head of a connection's held ones waits for, or got. */
struct asking {
	struct engine_asked asked;
	struct engine *engine;
	uint64_t conn;
	bool answered;
	enum err err;
	struct grant grant;
};

static const char *message_token(const struct message *m)
{
	switch (m->type) {
	case MESSAGE_START:
		return m->start.token;
	case MESSAGE_SUBSCRIBE:
		return m->subscribe.token;
	case MESSAGE_SLICE:
		return m->slice.token;
	default:
		return NULL;
	}
}

static void on_answer(void *arg, enum err err, const struct grant *grant)
{
	struct asking *a = arg;
	struct conn *c = conn_find(a->engine, a->conn);
	a->answered = true;
	a->err = err;
	if (grant)
		a->grant = *grant;
	if (c)
		conn_unblock(a->engine, c);
}

bool authorities_hold(struct engine *e, struct conn *c, const struct message *m, const char *text, size_t len)
{
	const char *token = message_token(m);
	struct grant grant;
	if (!e->authorities.table || !token || c->asking ||
	    authorities_ask(e, token, NULL, &grant) != ERR_BUSY) /* known, or no question at all */
		return false;
	struct asking *a = must(calloc(1, sizeof *a));
	*a = (struct asking){ .engine = e,
			      .conn = c->id,
			      .asked = { .done = on_answer, .arg = a, .origin = c->origin } };
	list_init(&a->asked.link);
	c->asking = a;
	a->err = authorities_ask(e, token, &a->asked, &a->grant);
	a->answered = a->err != ERR_BUSY;
	if (a->answered)
		return false;
	conn_hold_first(e, c, text, len);
	return true;
}

void engine_conn_origin(struct engine *e, uint64_t conn, uint64_t origin)
{
	struct conn *c = conn_find(e, conn);
	if (c)
		c->origin = origin;
}

bool authorities_waits(const struct conn *c)
{
	return c->asking && !c->asking->answered;
}

enum err authorities_grant(struct engine *e, struct conn *c, const char *token, struct grant *out)
{
	const struct asking *a = c->asking;
	if (!a) {
		enum err err = authorities_ask(e, token, NULL, out);
		return err == ERR_BUSY ? ERR_AUTHORITY_FAILED : err;
	}
	*out = a->grant;
	return a->answered ? a->err : ERR_AUTHORITY_FAILED;
}

void authorities_leave(struct conn *c)
{
	if (!c->asking)
		return;
	engine_authority_leave(&c->asking->asked);
	free(c->asking);
	c->asking = NULL;
}
