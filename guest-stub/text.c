/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/text.c - see text.h.
 */
#include "guest-stub/text.h"

static void put(struct text *t, char c)
{
	if (t->len < t->size)
		t->buf[t->len++] = c;
}

static void put_number(struct text *t, uint64_t value, unsigned base, unsigned width, char pad)
{
	char digits[20]; /* 2^64 - 1 in decimal */
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (; width > n; width--)
		put(t, pad);
	while (n)
		put(t, digits[--n]);
}

void text_vprintf(struct text *t, const char *format, va_list args)
{
	for (const char *f = format; *f; f++) {
		unsigned width = 0;
		bool is_long = false;
		char pad = ' ';

		if (*f != '%') {
			put(t, *f);
			continue;
		}
		if (*++f == '0')
			pad = *f++;
		for (; *f >= '0' && *f <= '9'; f++)
			width = width * 10 + (unsigned)(*f - '0');
		if (*f == 'l') {
			is_long = true;
			f++;
		}
		if (*f == 's') {
			for (const char *s = va_arg(args, const char *); *s; s++)
				put(t, *s);
		} else if (*f == 'c') {
			put(t, (char)va_arg(args, int));
		} else if (*f == 'd') {
			int value = va_arg(args, int);

			if (value < 0)
				put(t, '-');
			put_number(t, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, width, pad);
		} else if (*f == 'u' || *f == 'x') {
			uint64_t value = is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned);

			put_number(t, value, *f == 'u' ? 10 : 16, width, pad);
		} else {
			put(t, *f);
		}
	}
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_vprintf(t, format, args);
	va_end(args);
}

size_t str_len(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

bool str_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static int digit(char c, unsigned base)
{
	int value = -1;

	if (c >= '0' && c <= '9')
		value = c - '0';
	else if (c >= 'a' && c <= 'f')
		value = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		value = c - 'A' + 10;
	return value < (int)base ? value : -1;
}

bool str_to_u64(const char *s, uint64_t *ret_value)
{
	unsigned base = 10;
	uint64_t value = 0;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if (!*s)
		return false;
	for (; *s; s++) {
		int d = digit(*s, base);

		if (d < 0 || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
			__builtin_add_overflow(value, (uint64_t)d, &value))
			return false;
	}
	*ret_value = value;
	return true;
}

char *str_cut(char *s, char separator)
{
	for (; *s; s++) {
		if (*s == separator) {
			*s = '\0';
			return s + 1;
		}
	}
	return NULL;
}
