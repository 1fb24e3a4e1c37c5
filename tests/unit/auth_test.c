/* Keys, tokens, pairing and signed URLs, with the disk and the clock in the test's hands. */
#include "net/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY (86400000LL)

enum { NOW = 1700000000 };
static const int64_t now = NOW * 1000LL;

/* What a change answered. */
struct heard {
	unsigned times;
	enum err err;
	char token[TOKEN_TEXT], subject[LIMIT_PRINCIPAL_CHARS + 1], id[LIMIT_TOKEN_ID_CHARS + 1];
};

struct rig {
	struct auth *auth;
	char *disk, *saving; /* what is kept; what was handed over */
	unsigned saves;
	bool slow; /* a save ends when the test says so */
	enum err broken;
	uint64_t seed;
	char revoked[64];
};

static void drawn(void *arg, void *out, size_t len)
{
	struct rig *g = arg;
	for (size_t i = 0; i < len; i++) {
		g->seed = g->seed * 6364136223846793005ULL + 1442695040888963407ULL;
		((uint8_t *)out)[i] = (uint8_t)(g->seed >> 56);
	}
}

static void end_save(struct rig *g, struct auth *a)
{
	char *text = g->saving;
	g->saving = NULL;
	if (g->broken) {
		free(text);
	} else {
		free(g->disk);
		g->disk = text;
	}
	auth_saved(a, g->broken);
}

static void save(void *arg, struct auth *a, const char *text, size_t len)
{
	struct rig *g = arg;
	assert_null(g->saving);
	g->saving = strndup(text, len);
	g->saves++;
	if (!g->slow)
		end_save(g, a);
}

static void on_revoked(void *arg, const char *id)
{
	struct rig *g = arg;
	snprintf(g->revoked, sizeof g->revoked, "%s", id);
}

static enum err rig_open(struct rig *g)
{
	struct auth_config config = {
		.text = g->disk,
		.len = g->disk ? strlen(g->disk) : 0,
		.save = save,
		.save_arg = g,
		.random = drawn,
		.random_arg = g,
		.revoked = on_revoked,
		.revoked_arg = g,
	};
	return auth_new(&config, now, &g->auth);
}

/* The process ends, and another begins with what is on the disk. */
static void rig_restart(struct rig *g)
{
	auth_free(g->auth);
	free(g->saving);
	g->saving = NULL;
	g->slow = false;
	g->broken = ERR_OK;
	assert_int_equal(rig_open(g), ERR_OK);
}

static int set_up(void **state)
{
	struct rig *g = calloc(1, sizeof *g);
	*state = g;
	return rig_open(g);
}

static int tear_down(void **state)
{
	struct rig *g = *state;
	auth_free(g->auth);
	free(g->disk);
	free(g->saving);
	free(g);
	return 0;
}

static void hear(void *arg, enum err err, const char *token, const struct auth_token *about)
{
	struct heard *h = arg;
	h->times++;
	h->err = err;
	assert_int_equal(err != ERR_OK && (token || about), 0);
	snprintf(h->token, sizeof h->token, "%s", token ? token : "");
	if (about) {
		memcpy(h->subject, about->token.subject, sizeof h->subject);
		memcpy(h->id, about->token.id, sizeof h->id);
	}
}

static struct heard mint(struct rig *g, struct auth_wish wish)
{
	struct heard h = { 0 };
	auth_mint(g->auth, &wish, now, hear, &h);
	return h;
}

static struct auth_wish wish(const char *subject, unsigned scopes)
{
	return (struct auth_wish){
		.subject = subject, .scopes = scopes, .max_bytes = UINT64_MAX, .expires_ms = now + DAY
	};
}

static void minted_and_checked(void **state)
{
	struct rig *g = *state;
	struct grant grant;
	struct auth_wish w = wish("studio", SCOPE_RECORD | SCOPE_PLAY);
	w.has_recording = true;
	memset(w.recording.bytes, 7, 16);
	w.max_bytes = 1000;
	struct heard h = mint(g, w);
	assert_int_equal(h.times, 1);
	assert_int_equal(h.err, ERR_OK);
	for (int lives = 0; lives < 2; lives++) {
		assert_int_equal(auth_check(g->auth, h.token, now, &grant), ERR_OK);
		assert_string_equal(grant.subject, "studio");
		assert_string_equal(grant.token_id, h.id);
		assert_int_equal(grant.scopes, SCOPE_RECORD | SCOPE_PLAY);
		assert_true(grant.has_resource && uuid_equal(&grant.resource, &w.recording));
		assert_true(grant.max_bytes == 1000 && grant.expires_ms == now + DAY);
		assert_false(grant_is_local(&grant));
		assert_int_equal(auth_check(g->auth, h.token, now + DAY - 1, &grant), ERR_OK);
		assert_int_equal(auth_check(g->auth, h.token, now + DAY, &grant), ERR_TOKEN_EXPIRED);
		rig_restart(g);
	}
	assert_int_equal(auth_check(g->auth, "hf1.e30.AAAA", now, &grant), ERR_UNAUTHORIZED);
	assert_null(strstr(g->disk, h.token)); /* the list holds no token that could be used */
}

static void wishes_that_are_none(void **state)
{
	struct rig *g = *state;
	char long_subject[LIMIT_PRINCIPAL_CHARS + 2];
	memset(long_subject, 'x', sizeof long_subject);
	long_subject[sizeof long_subject - 1] = '\0';
	assert_int_equal(mint(g, wish("a", 0)).err, ERR_BAD_FIELD);
	assert_int_equal(mint(g, wish("a", 64)).err, ERR_BAD_FIELD);
	assert_int_equal(mint(g, wish("", SCOPE_PLAY)).err, ERR_BAD_FIELD);
	assert_int_equal(mint(g, wish("local", SCOPE_PLAY)).err, ERR_BAD_FIELD);
	assert_int_equal(mint(g, wish("a\nb", SCOPE_PLAY)).err, ERR_BAD_FIELD);
	assert_int_equal(mint(g, wish(long_subject, SCOPE_PLAY)).err, ERR_BAD_FIELD);
	struct auth_wish w = wish("a", SCOPE_PLAY);
	w.expires_ms = now;
	assert_int_equal(mint(g, w).err, ERR_BAD_FIELD);
	w.expires_ms = INT64_MAX;
	assert_int_equal(mint(g, w).err, ERR_BAD_FIELD);
	w = wish("a", SCOPE_PLAY);
	w.device = "tab\there";
	assert_int_equal(mint(g, w).err, ERR_BAD_FIELD);
	assert_null(auth_list(g->auth, 0));
}

static void nobody_gets_one_before_it_is_on_disk(void **state)
{
	struct rig *g = *state;
	struct heard a = { 0 }, b = { 0 }, c = { 0 };
	struct auth_wish w = wish("s", SCOPE_PLAY);
	struct grant grant;
	g->slow = true;
	unsigned before = g->saves;
	auth_mint(g->auth, &w, now, hear, &a);
	auth_mint(g->auth, &w, now, hear, &b); /* not covered by the save that is under way */
	auth_mint(g->auth, &w, now, hear, &c);
	assert_int_equal(a.times + b.times + c.times, 0);
	assert_int_equal(g->saves, before + 1);
	end_save(g, g->auth);
	assert_int_equal(a.times, 1);
	assert_int_equal(b.times + c.times, 0);
	assert_int_equal(g->saves, before + 2); /* one for both */
	end_save(g, g->auth);
	assert_int_equal(b.times + c.times, 2);
	rig_restart(g);
	assert_int_equal(auth_check(g->auth, a.token, now, &grant), ERR_OK);
	assert_int_equal(auth_check(g->auth, c.token, now, &grant), ERR_OK);
}

static void a_save_that_fails(void **state)
{
	struct rig *g = *state;
	struct grant grant;
	struct heard kept = mint(g, wish("kept", SCOPE_PLAY)), h = { 0 };
	g->broken = ERR_STORAGE_FULL;
	assert_int_equal(mint(g, wish("lost", SCOPE_PLAY)).err, ERR_STORAGE_FULL);
	assert_null(auth_list(g->auth, 1));
	auth_revoke(g->auth, kept.id, now, hear, &h);
	assert_int_equal(h.err, ERR_STORAGE_FULL);
	assert_int_equal(auth_check(g->auth, kept.token, now, &grant), ERR_TOKEN_REVOKED); /* while we live */
	g->broken = ERR_OK;
	assert_int_equal(mint(g, wish("next", SCOPE_PLAY)).err, ERR_OK); /* and this brings it to the disk */
	rig_restart(g);
	assert_int_equal(auth_check(g->auth, kept.token, now, &grant), ERR_TOKEN_REVOKED);
	assert_non_null(auth_list(g->auth, 1));
	assert_null(auth_list(g->auth, 2));
}

static void revoked(void **state)
{
	struct rig *g = *state;
	struct grant grant;
	struct heard t = mint(g, wish("s", SCOPE_PLAY)), h = { 0 };
	auth_revoke(g->auth, "nobody", now, hear, &h);
	assert_int_equal(h.err, ERR_NOT_FOUND);
	g->slow = true;
	auth_revoke(g->auth, t.id, now, hear, &h);
	assert_int_equal(h.times, 1);
	assert_string_equal(g->revoked, t.id); /* at once; the answer when it is on disk */
	assert_int_equal(auth_check(g->auth, t.token, now, &grant), ERR_TOKEN_REVOKED);
	end_save(g, g->auth);
	assert_int_equal(h.times, 2);
	assert_int_equal(h.err, ERR_OK);
	rig_restart(g);
	assert_int_equal(auth_check(g->auth, t.token, now + 9 * DAY, &grant), ERR_TOKEN_REVOKED);
	auth_revoke(g->auth, t.id, now, hear, &h);
	assert_int_equal(h.err, ERR_OK);
}

static void rotated(void **state)
{
	struct rig *g = *state;
	struct grant grant;
	struct heard first = mint(g, wish("first", SCOPE_PLAY)), h = { 0 };
	auth_rotate(g->auth, now, hear, &h);
	struct heard second = mint(g, wish("second", SCOPE_PLAY));
	assert_int_equal(auth_check(g->auth, first.token, now, &grant), ERR_OK);
	auth_rotate(g->auth, now, hear, &h);
	assert_int_equal(h.times, 2);
	assert_string_equal(g->revoked, first.id);
	rig_restart(g);
	assert_int_equal(auth_check(g->auth, first.token, now, &grant), ERR_UNAUTHORIZED);
	assert_int_equal(auth_check(g->auth, second.token, now, &grant), ERR_OK);
	assert_string_equal(auth_list(g->auth, 0)->token.subject, "second");
}

static void a_list_that_is_none(void **state)
{
	struct rig *g = *state;
	mint(g, wish("s", SCOPE_PLAY));
	char *good = strdup(g->disk);
	static const char *const bad[] = { "", "{}", "[]", "{\"version\":1}",
					   "{\"version\":1,\"keys\":[],\"tokens\":[]}" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad + strlen(good) - 2; i++) {
		auth_free(g->auth);
		free(g->disk);
		g->disk = i < sizeof bad / sizeof *bad ? strdup(bad[i]) : strndup(good, i - sizeof bad / sizeof *bad);
		assert_int_equal(rig_open(g), ERR_CORRUPT);
	}
	free(g->disk);
	g->disk = strdup("{\"version\":2}");
	assert_int_equal(rig_open(g), ERR_SCHEMA_NEWER);
	free(g->disk);
	g->disk = good;
	assert_int_equal(rig_open(g), ERR_OK);
}

static void a_full_list(void **state)
{
	struct rig *g = *state;
	struct auth_wish w = wish("s", SCOPE_PLAY);
	struct heard h;
	g->slow = true; /* one save for all of them */
	for (int i = 0; i < LIMIT_TOKENS; i++) {
		w.expires_ms = now + DAY + (LIMIT_TOKENS - i) * 1000LL;
		h = (struct heard){ 0 };
		auth_mint(g->auth, &w, now, hear, &h);
		if (i % 100 == 0 || i == LIMIT_TOKENS - 1)
			while (g->saving)
				end_save(g, g->auth);
		if (h.times)
			assert_int_equal(h.err, ERR_OK);
	}
	g->slow = false;
	assert_non_null(auth_list(g->auth, LIMIT_TOKENS - 1));
	assert_int_equal(mint(g, w).err, ERR_LIMIT_EXCEEDED);
	h = (struct heard){ 0 };
	char expired[LIMIT_TOKEN_ID_CHARS + 1];
	memcpy(expired, auth_list(g->auth, LIMIT_TOKENS - 1)->token.id, sizeof expired);
	w.expires_ms = now + 9 * DAY;
	auth_mint(g->auth, &w, now + DAY + 5000, hear, &h);
	assert_int_equal(h.err, ERR_OK);
	for (size_t i = 0; auth_list(g->auth, i); i++)
		assert_string_not_equal(auth_list(g->auth, i)->token.id, expired);
	rig_restart(g);
	assert_non_null(auth_list(g->auth, LIMIT_TOKENS - 1));
}

/* --- pairing --- */

static struct heard pair(struct rig *g, struct auth_pair p, int64_t at)
{
	struct heard h = { 0 };
	auth_pair(g->auth, &p, at, hear, &h);
	return h;
}

static void paired_once(void **state)
{
	struct rig *g = *state;
	char code[PAIRING_TEXT], again[PAIRING_TEXT];
	int64_t expires;
	struct grant grant;
	auth_pairing(g->auth, now, code, &expires);
	assert_true(expires == now + LIMIT_PAIRING_MS);
	auth_pairing(g->auth, now + 1000, again, &expires);
	assert_string_equal(code, again);
	struct heard h = pair(g, (struct auth_pair){ code, "n1", "A phone", NULL }, now + 1000);
	assert_int_equal(h.err, ERR_OK);
	assert_int_equal(auth_check(g->auth, h.token, now + 399 * DAY, &grant), ERR_OK);
	assert_int_equal(grant.scopes, SCOPE_RECORD);
	assert_int_equal(auth_check(g->auth, h.token, now + 401 * DAY, &grant), ERR_TOKEN_EXPIRED);
	/* the reply was lost: the same phone gets the same token, nobody else gets any */
	struct heard same = pair(g, (struct auth_pair){ code, "n1", NULL, NULL }, now + 2000);
	assert_int_equal(same.err, ERR_OK);
	assert_string_equal(same.token, h.token);
	assert_int_equal(pair(g, (struct auth_pair){ code, "n2", NULL, NULL }, now + 2000).err, ERR_PAIRING_USED);
	assert_int_equal(pair(g, (struct auth_pair){ code, NULL, NULL, NULL }, now + 2000).err, ERR_PAIRING_USED);
	assert_int_equal(pair(g, (struct auth_pair){ code, "n1", NULL, NULL }, now + 1000 + LIMIT_PAIRING_MS).err,
			 ERR_PAIRING_USED);
	auth_pairing(g->auth, now + 3000, again, &expires);
	assert_string_not_equal(code, again);
	assert_null(auth_list(g->auth, 1));
	/* without a nonce there is no repeat */
	assert_int_equal(pair(g, (struct auth_pair){ again, NULL, NULL, NULL }, now + 3000).err, ERR_OK);
	assert_int_equal(pair(g, (struct auth_pair){ again, NULL, NULL, NULL }, now + 3000).err, ERR_PAIRING_USED);
	assert_int_equal(pair(g, (struct auth_pair){ again, "", NULL, NULL }, now + 3000).err, ERR_PAIRING_USED);
}

static void pairing_ends(void **state)
{
	struct rig *g = *state;
	char code[PAIRING_TEXT], next[PAIRING_TEXT];
	int64_t expires;
	auth_pairing(g->auth, now, code, &expires);
	assert_int_equal(pair(g, (struct auth_pair){ "", NULL, NULL, NULL }, now).err, ERR_PAIRING_INVALID);
	assert_int_equal(pair(g, (struct auth_pair){ "AAAAAAAAAAAAAAAAAAAAAA", NULL, NULL, NULL }, now).err,
			 ERR_PAIRING_INVALID);
	auth_pairing(g->auth, now + LIMIT_PAIRING_MS - 1000, next, &expires); /* nobody is shown what ends now */
	assert_string_not_equal(code, next);
	assert_int_equal(pair(g, (struct auth_pair){ code, "n", NULL, NULL }, now + LIMIT_PAIRING_MS).err,
			 ERR_PAIRING_EXPIRED);
	assert_int_equal(pair(g, (struct auth_pair){ code, "n", NULL, NULL }, now + LIMIT_PAIRING_MS - 1).err, ERR_OK);
	rig_restart(g);
	assert_int_equal(pair(g, (struct auth_pair){ next, "n", NULL, NULL }, now).err, ERR_PAIRING_INVALID);
}

static void pairing_while_it_is_saved(void **state)
{
	struct rig *g = *state;
	struct heard a = { 0 }, b = { 0 }, c = { 0 };
	char code[PAIRING_TEXT];
	int64_t expires;
	auth_pairing(g->auth, now, code, &expires);
	struct auth_pair p = { code, "n", NULL, NULL }, other = { code, "m", NULL, NULL };
	g->slow = true;
	g->broken = ERR_WRITE_FAILED;
	auth_pair(g->auth, &p, now, hear, &a);
	auth_pair(g->auth, &p, now, hear, &b);
	auth_pair(g->auth, &other, now, hear, &c);
	assert_int_equal(a.times + b.times, 0);
	assert_int_equal(c.err, ERR_PAIRING_USED);
	end_save(g, g->auth);
	assert_int_equal(a.err, ERR_WRITE_FAILED);
	assert_int_equal(b.err, ERR_WRITE_FAILED);
	g->broken = ERR_OK; /* nobody has it: it is as good as new */
	auth_pair(g->auth, &other, now, hear, &c);
	auth_pair(g->auth, &other, now, hear, &a);
	end_save(g, g->auth);
	assert_int_equal(c.err, ERR_OK);
	assert_string_equal(a.token, c.token);
	auth_pairing(g->auth, now, code, &expires);
	struct auth_pair last = { code, "n", NULL, NULL };
	auth_pair(g->auth, &last, now, hear, &b);
	auth_free(g->auth); /* in the middle of it */
	assert_int_equal(b.err, ERR_SHUTTING_DOWN);
	free(g->saving);
	g->saving = NULL;
	assert_int_equal(rig_open(g), ERR_OK);
}

static void paired_again(void **state)
{
	struct rig *g = *state;
	char code[PAIRING_TEXT];
	int64_t expires, later = now + 500 * DAY;
	struct heard h = { 0 };
	auth_pairing(g->auth, now, code, &expires);
	struct heard first = pair(g, (struct auth_pair){ code, "n", NULL, NULL }, now);
	auth_pairing(g->auth, later, code, &expires);
	struct heard second = pair(g, (struct auth_pair){ code, "n", NULL, first.token }, later); /* expired: kept */
	assert_string_equal(second.subject, first.subject);
	auth_revoke(g->auth, second.id, later, hear, &h);
	assert_int_equal(pair(g, (struct auth_pair){ code, "n", NULL, NULL }, later).err, ERR_PAIRING_USED);
	auth_pairing(g->auth, later, code, &expires);
	struct heard third = pair(g, (struct auth_pair){ code, "n", NULL, second.token }, later);
	assert_int_equal(third.err, ERR_OK);
	assert_string_not_equal(third.subject, first.subject);
	struct heard play = mint(g, wish("studio", SCOPE_PLAY)); /* who only listens does not become who records */
	auth_pairing(g->auth, later, code, &expires);
	assert_string_not_equal(pair(g, (struct auth_pair){ code, "n", NULL, play.token }, later).subject, "studio");
	auth_pairing(g->auth, later, code, &expires);
	assert_string_not_equal(pair(g, (struct auth_pair){ code, "n", NULL, "hf1.x.y" }, later).subject, "");
}

/* --- signed URLs --- */

static void signed_urls(void **state)
{
	struct rig *g = *state;
	struct uuid id = { { 1, 2, 3 } }, other = { { 9 } };
	char signature[SIGNATURE_TEXT], wrong[SIGNATURE_TEXT];
	struct grant grant;
	struct heard h = { 0 };
	struct auth_url url = { id, "original", "", "1700000600", signature, NULL };
	assert_int_equal(auth_sign(g->auth, &url, NOW + 600, signature), ERR_OK);
	assert_int_equal(auth_signed(g->auth, &url, now, &grant), ERR_OK);
	assert_true(grant.has_resource && uuid_equal(&grant.resource, &id));
	assert_int_equal(grant.scopes, SCOPE_PLAY);
	assert_false(grant_is_local(&grant));
	assert_int_equal(auth_signed(g->auth, &url, now + 599999, &grant), ERR_OK);
	assert_int_equal(auth_signed(g->auth, &url, now + 600000, &grant), ERR_TOKEN_EXPIRED);
	struct auth_url others[] = {
		{ other, "original", "", "1700000600", signature, NULL },
		{ id, "original", "main", "1700000600", signature, NULL },
		{ id, "file", "", "1700000600", signature, NULL },
		{ id, "", "", "1700000600", signature, NULL },
		{ id, "original", "", "1700000601", signature, NULL },
		{ id, "original", "", "01700000600", signature, NULL },
		{ id, "original", "", "1700000600 ", signature, NULL },
		{ id, "original", "", "", signature, NULL },
		{ id, "original", "", NULL, signature, NULL },
		{ id, "original", "", "1700000600", NULL, NULL },
		{ id, "original", "", "1700000600", "", NULL },
		{ id, "original", "", "-1", signature, NULL },
		{ id, "original", "", "1e9", signature, NULL },
	};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_int_equal(auth_signed(g->auth, &others[i], now, &grant), ERR_UNAUTHORIZED);
	for (size_t i = 0; i < SIGNATURE_TEXT - 1; i++) {
		memcpy(wrong, signature, sizeof wrong);
		wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
		url.signature = wrong;
		assert_int_equal(auth_signed(g->auth, &url, now, &grant), ERR_UNAUTHORIZED);
	}
	struct auth_url longer = { id, "original", "", "1700003601", signature, NULL }; /* than any may be */
	auth_sign(g->auth, &longer, NOW + LIMIT_SIGNED_S + 1, signature);
	assert_int_equal(auth_signed(g->auth, &longer, now, &grant), ERR_UNAUTHORIZED);
	struct auth_url file = { id, "waveform", "", "1700000060", signature, NULL };
	auth_sign(g->auth, &file, NOW + 60, signature);
	assert_int_equal(auth_signed(g->auth, &file, now, &grant), ERR_OK);
	struct auth_url track = { id, "original", "a b", "1700000060", signature, NULL };
	auth_sign(g->auth, &track, NOW + 60, signature);
	auth_rotate(g->auth, now, hear, &h);
	assert_int_equal(auth_signed(g->auth, &track, now, &grant), ERR_OK);
	auth_rotate(g->auth, now, hear, &h);
	assert_int_equal(auth_signed(g->auth, &track, now, &grant), ERR_UNAUTHORIZED);
}

static void signed_urls_of_shows(void **state)
{
	struct rig *g = *state;
	char signature[SIGNATURE_TEXT];
	struct grant grant;
	struct auth_url url = { .what = "live", .track = "", .expires = "1700000600", .show = "morning" };
	assert_int_equal(auth_sign(g->auth, &url, NOW + 600, signature), ERR_OK);
	url.signature = signature;
	assert_int_equal(auth_signed(g->auth, &url, now, &grant), ERR_OK);
	assert_int_equal(grant.scopes, SCOPE_LISTEN);
	assert_false(grant.has_resource);
	assert_int_equal(auth_signed(g->auth, &url, now + 600000, &grant), ERR_TOKEN_EXPIRED);
	static const char *const shows[] = { "evening", "morning\n1700000600", "morning\n", "" };
	for (size_t i = 0; i < sizeof shows / sizeof *shows; i++) {
		url.show = shows[i];
		assert_int_equal(auth_signed(g->auth, &url, now, &grant), ERR_UNAUTHORIZED);
	}
	url.show = NULL;
	assert_int_equal(auth_signed(g->auth, &url, now, &grant), ERR_UNAUTHORIZED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(minted_and_checked),
		TEST(wishes_that_are_none),
		TEST(nobody_gets_one_before_it_is_on_disk),
		TEST(a_save_that_fails),
		TEST(revoked),
		TEST(rotated),
		TEST(a_list_that_is_none),
		TEST(a_full_list),
		TEST(paired_once),
		TEST(pairing_ends),
		TEST(pairing_while_it_is_saved),
		TEST(paired_again),
		TEST(signed_urls),
		TEST(signed_urls_of_shows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
