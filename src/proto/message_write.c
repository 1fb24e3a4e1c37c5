/* The server's messages as JSON text, and the text helpers of message.h. Strings are written escaped; what is no UTF-8
 * becomes U+FFFD, so that every message is valid JSON whatever it was given. */
#include "proto/message.h"

#include "base/hex.h"

#include <inttypes.h>
#include <string.h>

/* The length of the UTF-8 sequence at p (RFC 3629: shortest form, no surrogates, up to U+10FFFF) and its code point; 0
 * when there is none. Never reads behind the NUL. */
static size_t utf8_read(const unsigned char *p, uint32_t *out)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	if (p[0] < 0x80) {
		*out = p[0];
		return 1;
	}
	size_t len = p[0] >= 0xc2 && p[0] < 0xe0   ? 2
		     : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
		     : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
						   : 0;
	if (len == 0)
		return 0;
	uint32_t code = p[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3fu);
	}
	if (code < smallest[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	*out = code;
	return len;
}

bool text_valid(const char *text, size_t max_chars)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t chars = 0;
	while (*p) {
		uint32_t code;
		size_t len = utf8_read(p, &code);
		if (len == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0) || ++chars > max_chars)
			return false;
		p += len;
	}
	return true;
}

void sha256_format(const uint8_t sha256[32], char *out)
{
	static const char digits[] = "0123456789abcdef";
	for (int i = 0; i < 32; i++) {
		*out++ = digits[sha256[i] >> 4];
		*out++ = digits[sha256[i] & 15];
	}
	*out = '\0';
}

bool sha256_parse(const char *text, uint8_t out[32])
{
	uint8_t bytes[32];
	if (strlen(text) != 64)
		return false;
	for (int i = 0; i < 32; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(out, bytes, sizeof bytes);
	return true;
}

/* A JSON string, quotes included. */
static void add_string(struct buf *out, const char *text)
{
	buf_add(out, "\"", 1);
	const unsigned char *p = (const unsigned char *)text;
	while (*p) {
		uint32_t code;
		size_t len = utf8_read(p, &code);
		if (len == 0)
			buf_add_text(out, "\xef\xbf\xbd");
		else if (code == '"' || code == '\\')
			buf_addf(out, "\\%c", (char)code);
		else if (code < 0x20 || code == 0x7f)
			buf_addf(out, "\\u%04x", (unsigned)code);
		else
			buf_add(out, p, len);
		p += len > 0 ? len : 1;
	}
	buf_add(out, "\"", 1);
}

static void add_id(struct buf *out, const struct uuid *id)
{
	char text[UUID_TEXT];
	uuid_format(id, text);
	buf_addf(out, ",\"id\":\"%s\"", text);
}

static void add_field(struct buf *out, const char *name, const char *value)
{
	buf_addf(out, ",\"%s\":", name);
	add_string(out, value);
}

void message_started(struct buf *out, const struct message_started *started)
{
	buf_add_text(out, "{\"type\":\"started\"");
	add_id(out, started->id);
	buf_add_text(out, ",\"sessionId\":");
	if (started->session_id)
		add_string(out, started->session_id);
	else
		buf_add_text(out, "null");
	buf_addf(out, ",\"resumed\":%s,\"bytes\":%" PRIu64 ",\"graceMs\":%" PRIu32 ",\"heartbeatMs\":%" PRIu32,
		 started->resumed ? "true" : "false", started->bytes, started->grace_ms, started->heartbeat_ms);
	if (started->show) {
		add_field(out, "show", started->show);
		buf_addf(out, ",\"version\":%" PRIu32, started->version);
	}
	buf_add_text(out, "}");
}

void message_moved(struct buf *out, const char *show, uint32_t version, const struct uuid *id, uint64_t from)
{
	buf_add_text(out, "{\"type\":\"moved\"");
	add_field(out, "show", show);
	buf_addf(out, ",\"version\":%" PRIu32, version);
	add_id(out, id);
	buf_addf(out, ",\"from\":%" PRIu64 "}", from);
}

void message_stopped(struct buf *out, const char *show, uint32_t version, const struct uuid *id)
{
	buf_add_text(out, "{\"type\":\"stopped\"");
	add_field(out, "show", show);
	buf_addf(out, ",\"version\":%" PRIu32, version);
	if (id)
		add_id(out, id);
	else
		buf_add_text(out, ",\"id\":null");
	buf_add_text(out, "}");
}

void message_ack(struct buf *out, uint64_t bytes)
{
	buf_addf(out, "{\"type\":\"ack\",\"bytes\":%" PRIu64 "}", bytes);
}

void message_saved(struct buf *out, const struct uuid *id, uint64_t bytes, const uint8_t sha256[32], const char *url)
{
	char hex[65];
	buf_add_text(out, "{\"type\":\"saved\"");
	add_id(out, id);
	buf_addf(out, ",\"bytes\":%" PRIu64, bytes);
	if (sha256) {
		sha256_format(sha256, hex);
		buf_addf(out, ",\"sha256\":\"%s\"", hex);
	}
	buf_add_text(out, ",\"url\":");
	add_string(out, url);
	buf_add_text(out, "}");
}

void message_aborted(struct buf *out, const struct uuid *id, const char *reason)
{
	buf_add_text(out, "{\"type\":\"aborted\"");
	add_id(out, id);
	if (reason) {
		buf_add_text(out, ",\"reason\":");
		add_string(out, reason);
	}
	buf_add_text(out, "}");
}

void message_error(struct buf *out, enum err err, const char *message, const struct uuid *id, uint64_t bytes)
{
	buf_addf(out, "{\"type\":\"error\",\"code\":\"%s\",\"message\":", err_code(err));
	add_string(out, message ? message : err_text(err));
	buf_addf(out, ",\"retry\":%s", err_retry(err) ? "true" : "false");
	if (id)
		add_id(out, id);
	if (bytes != MESSAGE_NO_BYTES)
		buf_addf(out, ",\"bytes\":%" PRIu64, bytes);
	buf_add_text(out, "}");
}

/* What a subscription is about, as it was asked for. */
static void add_about(struct buf *out, const struct message_subscribe *about)
{
	if (about->all)
		buf_add_text(out, ",\"all\":true");
	if (about->id)
		add_field(out, "id", about->id);
	if (about->batch)
		add_field(out, "batchId", about->batch);
	if (about->show)
		add_field(out, "show", about->show);
}

void message_subscription_error(struct buf *out, enum err err, const char *message,
				const struct message_subscribe *about)
{
	buf_addf(out, "{\"type\":\"error\",\"code\":\"%s\",\"message\":", err_code(err));
	add_string(out, message ? message : err_text(err));
	buf_addf(out, ",\"retry\":%s,\"of\":\"subscription\"", err_retry(err) ? "true" : "false");
	add_about(out, about);
	buf_add_text(out, "}");
}

void message_subscribed(struct buf *out, const struct message_subscribe *about)
{
	buf_add_text(out, "{\"type\":\"subscribed\"");
	add_about(out, about);
	buf_add_text(out, "}");
}

void message_slice_ack(struct buf *out, const char *batch_id, const char *slice_id, const struct message_outcome *items,
		       size_t count)
{
	buf_add_text(out, "{\"type\":\"slice_ack\"");
	add_field(out, "batchId", batch_id);
	add_field(out, "sliceId", slice_id);
	buf_add_text(out, ",\"items\":[");
	for (size_t i = 0; i < count; i++) {
		const struct message_outcome *item = &items[i];
		buf_add_text(out, i > 0 ? ",{\"key\":" : "{\"key\":");
		add_string(out, item->key);
		if (item->id)
			add_id(out, item->id);
		else
			buf_add_text(out, ",\"id\":null");
		if (item->id)
			add_field(out, "status", item->status);
		else
			buf_add_text(out, ",\"status\":null");
		buf_addf(out, ",\"isNew\":%s", item->is_new ? "true" : "false");
		if (item->err) {
			buf_addf(out, ",\"error\":{\"code\":\"%s\",\"message\":", err_code(item->err));
			add_string(out, item->why ? item->why : err_text(item->err));
			buf_add_text(out, "}");
		}
		buf_add_text(out, "}");
	}
	buf_add_text(out, "]}");
}

void message_slice_error(struct buf *out, enum err err, const char *message, const struct message_slice *about,
			 uint64_t retry_ms)
{
	buf_addf(out, "{\"type\":\"error\",\"code\":\"%s\",\"message\":", err_code(err));
	add_string(out, message ? message : err_text(err));
	buf_addf(out, ",\"retry\":%s,\"of\":\"slice\"", err_retry(err) ? "true" : "false");
	if (about->batch_id)
		add_field(out, "batchId", about->batch_id);
	if (about->slice_id)
		add_field(out, "sliceId", about->slice_id);
	if (retry_ms > 0)
		buf_addf(out, ",\"retryAfterMs\":%" PRIu64, retry_ms);
	buf_add_text(out, "}");
}

void message_status(struct buf *out, const char *of, const char *object)
{
	buf_addf(out, "{\"type\":\"status\",\"of\":\"%s\",", of);
	buf_add_text(out, object + 1);
}

void message_status_server(struct buf *out, const struct server_figures *figures)
{
	buf_addf(out,
		 "{\"type\":\"status\",\"of\":\"server\",\"freeBytes\":%" PRIu64 ",\"totalBytes\":%" PRIu64
		 ",\"reserveBytes\":%" PRIu64 ",\"recordings\":%u}",
		 figures->free_bytes, figures->total_bytes, figures->reserve_bytes, figures->recordings);
}
