/* Fields of the draft for resumable uploads, see resumable.h. */
#include "proto/resumable.h"

#include "base/hex.h"
#include "base/limits.h"
#include "proto/base64.h"
#include "proto/message.h"
#include "proto/tus.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Is there nothing but parameters? */
static bool parameters(const char *text)
{
	while (*text == ';') {
		text += 1 + strspn(text + 1, " ");
		size_t name = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-.*");
		if (name == 0)
			return false;
		text += name;
		if (*text == '=')
			text += strcspn(text, ";,");
	}
	return *text == '\0';
}

bool field_boolean(const char *text, bool *out)
{
	if (text[0] != '?' || (text[1] != '0' && text[1] != '1') || !parameters(text + 2))
		return false;
	*out = text[1] == '1';
	return true;
}

enum err field_integer(const char *text, uint64_t *out)
{
	enum { DIGITS = 15 }; /* of an Integer, RFC 9651, section 3.3.1 */
	char digits[DIGITS + 1];
	size_t len = strspn(text, "0123456789");
	if (len == 0 || len > DIGITS || !parameters(text + len))
		return ERR_BAD_FIELD;
	memcpy(digits, text, len);
	digits[len] = '\0';
	return tus_number_parse(digits, out);
}

enum err field_digest(const char *text, uint8_t sha256[32], bool *found)
{
	static const char name[] = "sha-256";
	*found = false;
	for (;;) {
		text += strspn(text, " \t");
		size_t key = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-.*");
		const char *value = text + key;
		if (key == 0 || value[0] != '=' || value[1] != ':')
			return ERR_BAD_FIELD;
		value += 2;
		size_t len = strcspn(value, ":"), decoded = 0;
		if (value[len] != ':')
			return ERR_BAD_FIELD;
		if (key == sizeof name - 1 && memcmp(text, name, key) == 0) { /* of one name the last counts */
			if (!base64_parse(value, len, sha256, 32, &decoded) || decoded != 32)
				return ERR_BAD_FIELD;
			*found = true;
		}
		text = value + len + 1;
		if (!strchr(",; \t", *text))
			return ERR_BAD_FIELD;
		text += strcspn(text, ",");
		if (*text == '\0')
			return ERR_OK;
		text++;
	}
}

/* --- a file's name --- */

/* Decodes percent signs in place; false when one is none. */
static bool percent_decode(char *text)
{
	char *to = text;
	for (; *text; text++) {
		char c = *text;
		if (c == '%') {
			int high = hex_value(text[1]), low = high < 0 ? -1 : hex_value(text[2]);
			if (low < 0 || (high | low) == 0)
				return false;
			c = (char)(high << 4 | low);
			text += 2;
		}
		*to++ = c;
	}
	*to = '\0';
	return true;
}

/* The value of a parameter, a token or quoted, copied; *end is behind it. */
static char *value_copy(const char *text, const char **end)
{
	char *out = malloc(strlen(text) + 1), *to = out;
	if (!out)
		return NULL;
	if (*text == '"') {
		for (text++; *text && *text != '"'; text++) {
			if (*text == '\\' && text[1])
				text++;
			*to++ = *text;
		}
		text += *text == '"';
	} else {
		size_t len = strcspn(text, "; \t");
		memcpy(out, text, len);
		to += len;
		text += len;
	}
	*to = '\0';
	*end = text;
	return out;
}

/* What stands behind the last slash: some clients send paths. */
static void name_cut(char *name)
{
	char *slash = strrchr(name, '/');
	if (slash)
		memmove(name, slash + 1, strlen(slash + 1) + 1);
}

enum err field_filename(const char *text, size_t max_chars, char **out)
{
	static const char charset[] = "utf-8'";
	bool extended = false;
	*out = NULL;
	for (text += strcspn(text, ";"); *text == ';';) {
		text += 1 + strspn(text + 1, " \t");
		size_t name = strcspn(text, "=;");
		bool star = name == 9 && strncasecmp(text, "filename*", name) == 0;
		bool plain = name == 8 && strncasecmp(text, "filename", name) == 0;
		if (text[name] != '=') {
			text += name;
			continue;
		}
		char *value = value_copy(text + name + 1, &text);
		if (!value)
			return ERR_NO_MEMORY;
		text += strcspn(text, ";");
		bool good = plain && !extended;
		if (star && strncasecmp(value, charset, sizeof charset - 1) == 0) {
			const char *language = strchr(value + sizeof charset - 1, '\'');
			good = language != NULL;
			if (language)
				memmove(value, language + 1, strlen(language + 1) + 1);
			good = good && percent_decode(value);
		}
		name_cut(value);
		if (good && *value && text_valid(value, max_chars)) {
			free(*out);
			*out = value;
			extended = star;
		} else {
			free(value);
		}
	}
	return ERR_OK;
}
