/* From the text of an option to its value. */
#include "config/config_private.h"

#include "base/limits.h"
#include "config/config_value.h"
#include "work/authority_curl.h"
#include "work/notifier_curl.h"
#include "work/relay_url.h"
#include "work/source_url.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int choice_find(const char *words, const char *text)
{
	size_t len = strlen(text);
	for (int i = 0;; i++) {
		size_t word = strcspn(words, "|");
		if (word == len && memcmp(words, text, len) == 0)
			return i;
		if (!words[word])
			return -1;
		words += word + 1;
	}
}

int config_complain(const struct found *f, const char *what)
{
	fprintf(stderr, "holdfast: invalid value '%s' for %s: %s\n", f->text, f->where, what);
	return EXIT_USAGE;
}

static int apply_number(struct config *c, const struct row *row, const struct found *f)
{
	char low[32], high[32], what[128];
	void *to = (char *)c + row->offset;
	uint64_t value = 0;
	bool ok;
	if (row->kind == KIND_SIZE) {
		ok = config_size_parse(f->text, &value);
		value_size_format(row->min, low);
		value_size_format(row->max, high);
		snprintf(what, sizeof what, "it must be a size like 96M, from %s to %s", low, high);
	} else if (row->kind == KIND_COUNT) {
		ok = value_count_parse(f->text, row->max, &value);
		snprintf(what, sizeof what, "it must be a number from %llu to %llu", (unsigned long long)row->min,
			 (unsigned long long)row->max);
	} else {
		ok = config_duration_parse(f->text, &value);
		value_duration_format(row->min, low);
		value_duration_format(row->max, high);
		snprintf(what, sizeof what, "it must be a duration like 30s, from %s to %s%s", low, high,
			 row->kind == KIND_KEEP ? ", or 0, or forever" : "");
	}
	if (!ok || value < row->min || value > row->max)
		return config_complain(f, what);
	if (row->kind == KIND_MS32)
		*(uint32_t *)to = (uint32_t)value;
	else if (row->kind == KIND_COUNT)
		*(unsigned *)to = (unsigned)value;
	else
		*(uint64_t *)to = value;
	return CONFIG_GO;
}

static int apply_choice(struct config *c, const struct row *row, const struct found *f)
{
	char what[128];
	int choice = choice_find(row->arg, f->text);
	if (choice < 0) {
		snprintf(what, sizeof what, "it must be one of %s", row->arg);
		return config_complain(f, what);
	}
	switch (row->offset) {
	case offsetof(struct config, journal_io):
		c->journal_io = (enum journal_io)choice;
		break;
	case offsetof(struct config, log_level):
		c->log_level = (enum log_level)choice;
		break;
	default:
		assert(row->offset == offsetof(struct config, hash_early));
		c->hash_early = choice == 0;
	}
	return CONFIG_GO;
}

/* A sentence about a value that is secret. */
static int complain_quietly(const struct found *f, const char *what)
{
	fprintf(stderr, "holdfast: invalid value for %s: %s\n", f->where, what);
	return EXIT_USAGE;
}

static int apply_secret(char **to, const struct found *f)
{
	size_t len = strlen(f->text);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)f->text[i] < ' ' || f->text[i] == 0x7f)
			return complain_quietly(f, "it has a control character");
	if (len == 0 || len > LIMIT_SOURCE_PASSWORD_CHARS)
		return complain_quietly(f, "it must have 1 to 256 bytes");
	*to = strdup(f->text);
	return CONFIG_GO;
}

static int apply_icecast(char **to, const struct found *f)
{
	struct relay_url url;
	const char *problem;
	bool ok = relay_url_parse(f->text, &url, &problem);
	explicit_bzero(&url, sizeof url);
	if (!ok)
		return complain_quietly(f, problem);
	*to = strdup(f->text);
	return CONFIG_GO;
}

static int apply_ranges(char **to, const struct found *f)
{
	struct address_ranges ranges;
	const char *problem;
	if (!address_ranges_parse(f->text, &ranges, &problem))
		return config_complain(f, problem);
	address_ranges_release(&ranges);
	*to = strdup(f->text);
	return CONFIG_GO;
}

int config_apply(struct config *c, const struct row *row, const struct found *f)
{
	const char *problem;
	switch (row->kind) {
	case KIND_KEEP:
		if (strcmp(f->text, "forever") != 0 && strcmp(f->text, "0") != 0)
			return apply_number(c, row, f);
		*(uint64_t *)(void *)((char *)c + row->offset) = *f->text == '0' ? 0 : UINT64_MAX;
		return CONFIG_GO;
	case KIND_TEXT:
		if (!*f->text)
			return config_complain(f, "it is empty");
		*(char **)((char *)c + row->offset) = strdup(f->text);
		return CONFIG_GO;
	case KIND_SECRET:
		return apply_secret((char **)((char *)c + row->offset), f);
	case KIND_ICECAST:
		return apply_icecast((char **)((char *)c + row->offset), f);
	case KIND_RANGES:
		return apply_ranges((char **)((char *)c + row->offset), f);
	case KIND_WEBHOOK:
		if (!notifier_url_fine(f->text))
			return config_complain(f, "it must be a URL like https://host/path");
		*(char **)((char *)c + row->offset) = strdup(f->text);
		return CONFIG_GO;
	case KIND_RATE:
		return value_rate_parse(f->text, &c->rate_per_s, &c->rate_burst)
			       ? CONFIG_GO
			       : config_complain(f, "it must be a number a second like 50, or with a burst 50:1000");
	case KIND_AUTHORITY:
		if (!authority_url_fine(f->text))
			return config_complain(f, "it must be a URL like https://host/path, without a name or password "
						  "in it; http is for this machine only");
		*(char **)((char *)c + row->offset) = strdup(f->text);
		return CONFIG_GO;
	case KIND_LISTEN:
		return value_listen_parse(f->text, false, &c->listen_host, &c->listen_port, &problem)
			       ? CONFIG_GO
			       : config_complain(f, problem);
	case KIND_SOURCE_LISTEN:
		return value_listen_parse(f->text, true, &c->source_host, &c->source_port, &problem)
			       ? CONFIG_GO
			       : config_complain(f, problem);
	case KIND_ORIGINS:
		return value_origins_parse(f->text, (char **)((char *)c + row->offset), &problem)
			       ? CONFIG_GO
			       : config_complain(f, problem);
	case KIND_CHOICE:
		return apply_choice(c, row, f);
	case KIND_FLAG:
		*(bool *)((char *)c + row->offset) = true;
		return CONFIG_GO;
	case KIND_SWITCH:
		return value_switch_parse(f->text, (bool *)((char *)c + row->offset))
			       ? CONFIG_GO
			       : config_complain(f, "it must be yes or no");
	default:
		return apply_number(c, row, f);
	}
}

/* What no option can say alone. */
