/* The other side of control.sock: one question, one answer, blocking. */
#ifndef HOLDFAST_CONTROL_CLIENT_H
#define HOLDFAST_CONTROL_CLIENT_H

#include "base/err.h"

#include <jansson.h>

struct control_client;

/* ERR_NOT_FOUND: no server listens there; ERR_NO_MEMORY. */
enum err control_connect(const char *dir, struct control_client **out);
/* The answer, to be released. ERR_READ_FAILED: the server went away, or was silent for LIMIT_CONTROL_WAIT_S. */
enum err control_ask(struct control_client *c, const json_t *request, json_t **out);
void control_disconnect(struct control_client *c); /* accepts NULL */

#endif
