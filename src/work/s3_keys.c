/* The access key of a bucket, see s3_keys.h. */
#include "work/s3_keys.h"

#include <stdlib.h>
#include <string.h>

static char *trim(char *text)
{
	static const char blanks[] = " \t\r";
	text += strspn(text, blanks);
	size_t len = strlen(text);
	while (len > 0 && strchr(blanks, text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* They stand in headers, and none of their kind has a blank. */
static bool set(char *out, size_t size, const char *value, const char **problem)
{
	size_t len = strlen(value);
	*problem = "it was said before";
	if (*out)
		return false;
	*problem = "the value is empty, too long, or no key";
	if (len == 0 || len >= size)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (value[i] <= ' ' || value[i] > '~')
			return false;
	}
	memcpy(out, value, len + 1);
	return true;
}

static bool access_fine(const struct s3_keys *k)
{
	return !strpbrk(k->access, "/,="); /* where it stands, these are signs */
}

static bool pair_parse(struct s3_keys *out, char *line, const char **problem)
{
	char *equals = strchr(line, '=');
	*problem = "it is neither [profile] nor name = value";
	if (!equals)
		return false;
	*equals = '\0';
	const char *name = trim(line), *value = trim(equals + 1);
	if (strcmp(name, "aws_access_key_id") == 0)
		return set(out->access, sizeof out->access, value, problem);
	if (strcmp(name, "aws_secret_access_key") == 0)
		return set(out->secret, sizeof out->secret, value, problem);
	if (strcmp(name, "aws_session_token") == 0)
		return set(out->token, sizeof out->token, value, problem);
	return true; /* AWS's tools keep other settings beside them */
}

static bool whole(const struct s3_keys *k, const char **problem)
{
	*problem = "aws_access_key_id and aws_secret_access_key are both needed";
	if (!*k->access || !*k->secret)
		return false;
	*problem = "aws_access_key_id is no access key";
	return access_fine(k);
}

bool s3_keys_parse(char *text, struct s3_keys *out, unsigned *line, const char **problem)
{
	bool ours = true, ok = true;
	*out = (struct s3_keys){ 0 };
	*line = 1;
	for (char *at = text, *next; at; at = next, *line += 1) {
		next = strchr(at, '\n');
		if (next)
			*next++ = '\0';
		at = trim(at);
		if (*at == '[')
			ours = strcmp(at, "[default]") == 0;
		else if (*at != '\0' && *at != '#' && *at != ';' && ours)
			ok = pair_parse(out, at, problem);
		if (!ok)
			break;
	}
	if (ok) {
		*line = 0;
		ok = whole(out, problem);
	}
	if (!ok)
		s3_keys_forget(out);
	return ok;
}

static bool from_environment(const char *name, char *out, size_t size, const char **problem)
{
	const char *value = getenv(name);
	return !value || !*value || set(out, size, value, problem);
}

bool s3_keys_environment(struct s3_keys *out, const char **problem)
{
	*out = (struct s3_keys){ 0 };
	bool ok = from_environment("AWS_ACCESS_KEY_ID", out->access, sizeof out->access, problem) &&
		  from_environment("AWS_SECRET_ACCESS_KEY", out->secret, sizeof out->secret, problem) &&
		  from_environment("AWS_SESSION_TOKEN", out->token, sizeof out->token, problem);
	if (!ok)
		*problem = "one of AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN is no key";
	else if (!*out->access || !*out->secret)
		*problem = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are both needed";
	else if (!access_fine(out))
		*problem = "AWS_ACCESS_KEY_ID is no access key";
	else
		return true;
	s3_keys_forget(out);
	return false;
}

void s3_keys_forget(struct s3_keys *keys)
{
	explicit_bzero(keys, sizeof *keys);
}
