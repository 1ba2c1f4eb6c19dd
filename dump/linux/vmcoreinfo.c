/* SPDX-License-Identifier: Apache-2.0 */
/* dump/linux/vmcoreinfo.c - the text of VMCOREINFO: see vmcoreinfo.h; vmcoreinfo_scan.c finds it */
#include "dump/linux/vmcoreinfo.h"

#include <stdio.h>
#include <string.h>

/* our choice: KIND(NAME) of any key that is asked for */
#define KEY_MAX 96
/* bytes of a number as text, with its NUL */
#define NUMBER_MAX 24

/* printable ASCII, tab and newline */
static const char plain[] = "\t\n !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
			    "abcdefghijklmnopqrstuvwxyz{|}~";

/* ---- the index ------------------------------------------------------------------------------------------ */

/*
 * A slot of the index for the @len bytes of a key.  Both ends of keys that are alike, as in SIZE(page) and
 * OFFSET(page.lru), count; the factor is 2^64 over the golden ratio.
 */
static unsigned slot_of(const char *key, size_t len)
{
	size_t part = u64_min(len, sizeof(uint64_t));
	uint64_t first = 0, last = 0;

	memcpy(&first, key, part);
	memcpy(&last, key + len - part, part);
	return (unsigned)(((first ^ last * 3 ^ len) * 0x9e3779b97f4a7c15ull) >> 32) % VMCOREINFO_SLOTS;
}

/* The first line with a key of each slot. */
static void make_index(struct vmcoreinfo *info)
{
	const char *line = info->text, *end = info->text + info->len;

	memset(info->first, 0, sizeof(info->first));
	while (line < end) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		const char *equal;

		if (!next)
			next = end;
		equal = memchr(line, '=', (size_t)(next - line));
		if (equal) {
			uint16_t *first = &info->first[slot_of(line, (size_t)(equal - line))];

			if (!*first)
				*first = (uint16_t)(line - info->text + 1);
		}
		line = next + 1;
	}
}

/* Value of the first line that begins with @key and "=", and its length. */
static const char *find_line(
	const struct vmcoreinfo *info, const char *key, size_t key_len, size_t *ret_len)
{
	const char *line, *end = info->text + info->len;
	uint16_t first = info->len ? info->first[slot_of(key, key_len)] : 0;

	if (!first)
		return NULL;
	/* those before it have other keys; it itself may have another one too */
	for (line = info->text + first - 1; line < end;) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)((next ? next : end) - line);

		if (len > key_len && line[key_len] == '=' && !memcmp(line, key, key_len)) {
			*ret_len = len - key_len - 1;
			return line + key_len + 1;
		}
		line += len + 1;
	}
	return NULL;
}

/* ---- keys and values ------------------------------------------------------------------------------------ */

bool vmcoreinfo_set(struct vmcoreinfo *ret, const char *text, size_t len)
{
	static const char begin[] = "OSRELEASE=";

	ret->len = 0;
	ret->text[0] = '\0';
	if (len > VMCOREINFO_TEXT_MAX)
		return false;
	while (len && !text[len - 1])
		len--;
	if (len < VMCOREINFO_TEXT_MIN || memcmp(text, begin, sizeof(begin) - 1))
		return false;
	memcpy(ret->text, text, len);
	ret->text[len] = '\0';
	if (strspn(ret->text, plain) != len) {
		ret->text[0] = '\0';
		return false;
	}
	ret->len = len;
	make_index(ret);
	return true;
}

static const char *find_value(
	const struct vmcoreinfo *info, const char *kind, const char *name, size_t *ret_len)
{
	char key[KEY_MAX];
	int len = kind ? snprintf(key, sizeof(key), "%s(%s)", kind, name)
		       : snprintf(key, sizeof(key), "%s", name);

	assert(len > 0 && (size_t)len < sizeof(key));
	return find_line(info, key, (size_t)len, ret_len);
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
