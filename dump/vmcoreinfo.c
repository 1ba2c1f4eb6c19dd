/* SPDX-License-Identifier: Apache-2.0 */
/* dump/vmcoreinfo.c - the text of VMCOREINFO: see vmcoreinfo.h; vmcoreinfo_scan.c finds it */
#include "dump/vmcoreinfo.h"

#include <stdio.h>
#include <string.h>

/* our choice: KIND(NAME)= of any key that is asked for */
#define KEY_MAX 96
/* bytes of a number as text, with its NUL */
#define NUMBER_MAX 24

static bool is_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((text[i] < ' ' || text[i] > '~') && text[i] != '\n' && text[i] != '\t')
			return false;
	return true;
}

bool vmcoreinfo_set(struct vmcoreinfo *ret, const char *text, size_t len)
{
	static const char begin[] = "OSRELEASE=";

	ret->len = 0;
	ret->text[0] = '\0';
	if (len > VMCOREINFO_TEXT_MAX)
		return false;
	while (len && !text[len - 1])
		len--;
	if (len < VMCOREINFO_TEXT_MIN || memcmp(text, begin, sizeof(begin) - 1) || !is_text(text, len))
		return false;
	memcpy(ret->text, text, len);
	ret->text[len] = '\0';
	ret->len = len;
	return true;
}

/* Value of the first line that begins with @key, and its length. */
static const char *find_line(const struct vmcoreinfo *info, const char *key, size_t *ret_len)
{
	size_t key_len = strlen(key);
	const char *line = info->text;

	while (*line) {
		size_t len = strcspn(line, "\n");

		if (len >= key_len && !memcmp(line, key, key_len)) {
			*ret_len = len - key_len;
			return line + key_len;
		}
		line += len + (line[len] == '\n');
	}
	return NULL;
}

static const char *find_value(
	const struct vmcoreinfo *info, const char *kind, const char *name, size_t *ret_len)
{
	char key[KEY_MAX];
	int len = kind ? snprintf(key, sizeof(key), "%s(%s)=", kind, name)
		       : snprintf(key, sizeof(key), "%s=", name);

	assert(len > 0 && (size_t)len < sizeof(key));
	return find_line(info, key, ret_len);
}

/* The value of one digit, or 99. */
static unsigned digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 99;
}

/* All of [@text, @text + @len) as an unsigned number. */
static bool parse(const char *text, size_t len, unsigned base, uint64_t *ret)
{
	uint64_t value = 0;

	if (!len || len > NUMBER_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = digit_of(text[i]);

		if (digit >= base || u64_mul_overflows(value, base, &value) ||
			u64_add_overflows(value, digit, &value))
			return false;
	}
	*ret = value;
	return true;
}

bool vmcoreinfo_hex(const struct vmcoreinfo *info, const char *kind, const char *name, uint64_t *ret)
{
	size_t len;
	const char *text = find_value(info, kind, name, &len);

	return text && parse(text, len, 16, ret);
}

bool vmcoreinfo_decimal(const struct vmcoreinfo *info, const char *kind, const char *name, int64_t *ret)
{
	size_t len;
	const char *text = find_value(info, kind, name, &len);
	bool negative;
	uint64_t value;

	if (!text)
		return false;
	negative = len && text[0] == '-';
	if (!parse(text + negative, len - negative, 10, &value) || value > (uint64_t)INT64_MAX)
		return false;
	*ret = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

bool vmcoreinfo_measure(
	const struct vmcoreinfo *info, const char *kind, const char *name, uint64_t max, uint64_t *ret)
{
	int64_t value;

	if (!vmcoreinfo_decimal(info, kind, name, &value) || value < 0 || (uint64_t)value > max)
		return false;
	*ret = (uint64_t)value;
	return true;
}

void vmcoreinfo_string(const struct vmcoreinfo *info, const char *name, char *buf, size_t size)
{
	size_t len = 0;
	const char *text = find_value(info, NULL, name, &len);

	snprintf(buf, size, "%.*s", text ? (int)len : 0, text ? text : "");
}
