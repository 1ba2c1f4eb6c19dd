/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/text.h - bounded text building: a tiny printf, and string helpers.
 *
 * Ring 3 only.  Owns nothing: the caller owns the buffers.
 */
#ifndef GUEST_STUB_TEXT_H
#define GUEST_STUB_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *buf;   /* owned by the caller */
	size_t size; /* bytes of @buf */
	size_t len;  /* bytes used; never over @size.  There is no NUL at the end. */
};

/*
 * text_printf - append to @t; what does not fit is cut.
 * Conversions: %s %c %% %d (int) %u %x (unsigned int) %lu %lx (uint64_t), with an optional 0 and width.
 */
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(struct text *t, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

size_t str_len(const char *s);
bool str_equal(const char *a, const char *b);

/* str_to_u64 - the whole of @s as decimal or 0x hexadecimal.  False: not a number, or over 2^64 - 1. */
bool str_to_u64(const char *s, uint64_t *ret_value);

/* str_cut - ends @s at the first @separator.  Returns what follows it, or null if there is none. */
char *str_cut(char *s, char separator);

#endif /* GUEST_STUB_TEXT_H */
