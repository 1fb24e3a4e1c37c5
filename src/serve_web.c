/* Fetching, webhooks, pushing and the outside authority as the options say, see serve_web.h. */
#include "serve_web.h"

#include "base/limits.h"
#include "work/authority_curl.h"
#include "work/fetcher_curl.h"
#include "work/notifier_curl.h"
#include "work/pusher_s3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char agent[] = "holdfast/" HOLDFAST_VERSION;

static void complain(const char *path, const char *what)
{
	fprintf(stderr, "holdfast: %s: %s\n", path, what);
}

char *serve_secret_read(const char *path, size_t max)
{
	struct stat is;
	FILE *file = fopen(path, "re");
	char *text = calloc(1, max + 2);
	size_t len = 0;
	const char *problem = NULL;
	if (!file || fstat(fileno(file), &is) != 0)
		problem = strerror(errno);
	else if (is.st_mode & (S_IRWXG | S_IRWXO))
		problem = "it holds a secret, and others than its owner may use it: chmod 600";
	else if (!text || ((len = fread(text, 1, max + 1, file)) == 0 && ferror(file)))
		problem = strerror(errno);
	else if (len > max || memchr(text, '\0', len))
		problem = "it is no text, or too large";
	if (file)
		fclose(file);
	if (!problem)
		return text;
	complain(path, problem);
	if (text)
		explicit_bzero(text, max + 2);
	free(text);
	return NULL;
}

static bool read_credentials(const char *path, struct credentials *out)
{
	unsigned line;
	const char *problem;
	char *text = serve_secret_read(path, LIMIT_CREDENTIALS_BYTES);
	if (!text)
		return false;
	size_t len = strlen(text);
	bool ok = credentials_parse(text, out, &line, &problem);
	explicit_bzero(text, len);
	free(text);
	if (!ok)
		fprintf(stderr, "holdfast: %s:%u: %s\n", path, line, problem);
	return ok;
}

static bool readable(const char *path)
{
	if (!path || access(path, R_OK) == 0)
		return true;
	complain(path, strerror(errno));
	return false;
}

static int open_fetcher(struct serve_web *w, uv_loop_t *loop, const struct config *c)
{
	const char *problem;
	struct fetcher_curl_config config = { .loop = loop,
					      .rules.http = c->fetch_http,
					      .ca_file = c->fetch_ca,
					      .agent = agent,
					      .max_bytes = c->fetch_max };
	if (c->fetch_credentials && !read_credentials(c->fetch_credentials, &config.credentials))
		return 1;
	bool ok = !c->fetch_allow || address_ranges_parse(c->fetch_allow, &config.rules.allow, &problem);
	if (!ok) {
		complain("--fetch-allow", problem);
		credentials_release(&config.credentials);
		return 1;
	}
	enum err err = fetcher_curl_new(&config, &w->fetcher);
	if (err)
		complain("fetching", err_text(err));
	return err ? 1 : 0;
}

static int open_notifier(struct serve_web *w, uv_loop_t *loop, const struct config *c)
{
	struct notifier_curl_config config = {
		.loop = loop, .url = c->webhook, .ca_file = c->fetch_ca, .agent = agent
	};
	if (!c->webhook)
		return 0;
	char *text = serve_secret_read(c->webhook_secret_file, LIMIT_SECRET_BYTES * 4);
	if (!text)
		return 1;
	bool ok = webhook_secret_parse(text, &config.secret);
	explicit_bzero(text, strlen(text));
	free(text);
	if (!ok) {
		complain(c->webhook_secret_file,
			 "it is no secret of a webhook: whsec_ and the base64 of 16 to 128 random bytes");
		return 1;
	}
	enum err err = notifier_curl_new(&config, &w->notifier);
	explicit_bzero(&config.secret, sizeof config.secret);
	if (err)
		complain("the webhook", err_text(err));
	return err ? 1 : 0;
}

static bool read_keys(const char *path, struct s3_keys *out)
{
	unsigned line;
	const char *problem;
	if (!path && s3_keys_environment(out, &problem))
		return true;
	if (!path) {
		fprintf(stderr, "holdfast: --push-credentials is missing, and of the environment: %s\n", problem);
		return false;
	}
	char *text = serve_secret_read(path, LIMIT_CREDENTIALS_BYTES);
	if (!text)
		return false;
	size_t len = strlen(text);
	bool ok = s3_keys_parse(text, out, &line, &problem);
	explicit_bzero(text, len);
	free(text);
	if (!ok)
		fprintf(stderr, "holdfast: %s:%u: %s\n", path, line, problem);
	return ok;
}

static int open_pusher(struct serve_web *w, uv_loop_t *loop, const struct config *c)
{
	const char *problem;
	struct s3_target target;
	struct s3_keys keys;
	if (!c->push)
		return 0;
	if (!s3_url_parse(c->push, c->push_http, &target, &problem)) {
		complain("--push", problem);
		return 1;
	}
	if (!readable(c->push_ca) || !read_keys(c->push_credentials, &keys))
		return 1;
	struct pusher_s3_config config = {
		.loop = loop, .target = &target, .keys = &keys, .ca_file = c->push_ca, .agent = agent
	};
	enum err err = pusher_s3_new(&config, &w->pusher);
	s3_keys_forget(&keys);
	if (err)
		complain("pushing", err_text(err));
	return err ? 1 : 0;
}

static int open_authority(struct serve_web *w, uv_loop_t *loop, const struct config *c)
{
	char *secret = NULL;
	if (!c->auth_url)
		return 0;
	if (!readable(c->auth_ca))
		return 1;
	if (c->auth_secret_file && !(secret = serve_secret_read(c->auth_secret_file, LIMIT_AUTHORITY_SECRET_CHARS + 2)))
		return 1;
	size_t len = secret ? strlen(secret) : 0;
	struct authority_curl_config config = {
		.loop = loop, .url = c->auth_url, .secret = secret, .ca_file = c->auth_ca, .agent = agent
	};
	bool ok = !secret || authority_secret_trim(secret);
	enum err err = ok ? authority_curl_new(&config, &w->authority) : ERR_OK;
	if (!ok)
		complain(c->auth_secret_file, "it is no secret: one line of visible characters");
	else if (err)
		complain("the authority", err_text(err));
	if (secret)
		explicit_bzero(secret, len);
	free(secret);
	return ok && !err ? 0 : 1;
}

int serve_web_open(struct serve_web *w, uv_loop_t *loop, const struct config *config)
{
	if (!readable(config->fetch_ca) || open_fetcher(w, loop, config) != 0)
		return 1;
	int status = open_notifier(w, loop, config);
	if (status == 0)
		status = open_pusher(w, loop, config);
	return status == 0 ? open_authority(w, loop, config) : status;
}

void serve_web_close(struct serve_web *w)
{
	fetcher_curl_close(w->fetcher, NULL, NULL);
	notifier_curl_close(w->notifier, NULL, NULL);
	pusher_s3_close(w->pusher, NULL, NULL);
	authority_curl_close(w->authority, NULL, NULL);
	*w = (struct serve_web){ 0 };
}
