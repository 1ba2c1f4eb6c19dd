/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/base/json_read.c - see json_read.h */
#include "vmm/base/json_read.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct json_cursor *c)
{
	while (c->at < c->end && is_blank(*c->at))
		c->at++;
}

/* Behind the string literal at @at, or NULL if it does not end. */
static const char *end_of_string(const char *at, const char *end)
{
	for (at++; at < end; at++) {
		if (*at == '"')
			return at + 1;
		if (*at == '\\')
			at++;
	}
	return NULL;
}

/* Behind the object or array at @at, or NULL. */
static const char *end_of_nested(const char *at, const char *end)
{
	size_t depth = 0;

	while (at < end) {
		char c = *at;

		if (c == '"') {
			at = end_of_string(at, end);
			if (!at)
				return NULL;
			continue;
		}
		at++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && !--depth)
			return at;
	}
	return NULL;
}

/* Takes the value at the cursor; false if there is none. */
static bool take_value(struct json_cursor *c, struct json_slice *ret)
{
	const char *at = c->at, *behind = at;

	if (at >= c->end)
		return false;
	if (*at == '"')
		behind = end_of_string(at, c->end);
	else if (*at == '{' || *at == '[')
		behind = end_of_nested(at, c->end);
	else
		while (behind < c->end && !is_blank(*behind) && !strchr(",:]}[{\"", *behind))
			behind++;
	if (!behind || behind == at)
		return false;
	*ret = (struct json_slice){.text = at, .len = (size_t)(behind - at)};
	c->at = behind;
	return true;
}

bool json_enter(struct json_slice value, struct json_cursor *ret)
{
	*ret = (struct json_cursor){.at = value.text, .end = value.text + value.len};
	skip_blanks(ret);
	if (ret->at >= ret->end || (*ret->at != '{' && *ret->at != '['))
		return false;
	ret->closing = *ret->at++ == '{' ? '}' : ']';
	return true;
}

bool json_next(struct json_cursor *c, struct json_slice *ret_name, struct json_slice *ret_value)
{
	*ret_name = (struct json_slice){.text = ""};
	skip_blanks(c);
	if (c->at < c->end && *c->at == ',')
		c->at++;
	skip_blanks(c);
	if (c->at >= c->end || *c->at == c->closing)
		return false;
	if (c->closing == '}') {
		if (*c->at != '"' || !take_value(c, ret_name))
			return false;
		skip_blanks(c);
		if (c->at >= c->end || *c->at++ != ':')
			return false;
		skip_blanks(c);
		/* without the quotes; our names have no escapes */
		ret_name->text++;
		ret_name->len -= 2;
	}
	return take_value(c, ret_value);
}

bool json_find(struct json_slice object, const char *name, struct json_slice *ret)
{
	struct json_slice found, value;
	struct json_cursor cursor;

	if (!json_enter(object, &cursor) || cursor.closing != '}')
		return false;
	while (json_next(&cursor, &found, &value)) {
		if (found.len != strlen(name) || memcmp(found.text, name, found.len))
			continue;
		*ret = value;
		return true;
	}
	return false;
}

uint64_t json_find_u64(struct json_slice object, const char *name)
{
	struct json_slice value;
	uint64_t number = 0;

	if (!json_find(object, name, &value))
		return 0;
	for (size_t i = 0; i < value.len; i++) {
		if (value.text[i] < '0' || value.text[i] > '9')
			return 0;
		if (__builtin_mul_overflow(number, 10, &number) ||
			__builtin_add_overflow(number, (uint64_t)(value.text[i] - '0'), &number))
			return 0;
	}
	return number;
}

bool json_find_true(struct json_slice object, const char *name)
{
	struct json_slice value;

	return json_find(object, name, &value) && value.len == 4 && !memcmp(value.text, "true", 4);
}

void json_find_text(struct json_slice object, const char *name, char *buf, size_t size)
{
	struct json_slice value;

	buf[0] = '\0';
	if (json_find(object, name, &value) && !json_decode(value, buf, size))
		buf[0] = '\0';
}

bool json_decode(struct json_slice value, char *buf, size_t size)
{
	size_t len = 0;

	if (value.len < 2 || value.text[0] != '"')
		return false;
	for (size_t i = 1; i + 1 < value.len && len + 1 < size; i++) {
		if (value.text[i] == '\\' && (value.text[i + 1] == '"' || value.text[i + 1] == '\\'))
			i++;
		/* not from our own side of the wire, perhaps: nothing that a terminal obeys */
		buf[len++] = value.text[i] >= ' ' && value.text[i] <= '~' ? value.text[i] : '?';
	}
	buf[len] = '\0';
	return true;
}
