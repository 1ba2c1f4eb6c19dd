/* SPDX-License-Identifier: Apache-2.0 */
/* dump/linux/signature_text.c - see signature_text.h */
#include "dump/linux/signature_text.h"

#include "dump/base/num.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "0123456789", hex_digits[] = "0123456789abcdefABCDEF";
static const char name_chars[] = "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/* our choice: so many hexadecimal digits are an address, not a word */
#define ADDRESS_DIGITS 8

/* What stands before the text of some of them, possibly one behind the other. */
static const char *const prefixes[] = {"watchdog: ", "NMI watchdog: ", "rcu: ", "traps: ", "Oops: "};

/* Lines that begin so, and what they are called; the rest of the line is of one crash alone. */
static const struct known {
	const char *begin, *kind;
	enum crash_weight weight;
	bool waits;
} known[] = {
	{"BUG: kernel NULL pointer dereference", NULL, CRASH_STRONG, false},
	{"BUG: unable to handle page fault", NULL, CRASH_STRONG, false},
	{"BUG: unable to handle kernel paging request", "BUG: unable to handle page fault", CRASH_STRONG,
		false},
	{"BUG: unable to handle kernel NULL pointer", "BUG: kernel NULL pointer dereference", CRASH_STRONG,
		false},
	{"BUG: soft lockup", NULL, CRASH_STRONG, false},
	{"BUG: workqueue lockup", NULL, CRASH_STRONG, false},
	{"BUG: scheduling while atomic", NULL, CRASH_STRONG, false},
	{"BUG: Bad page state", NULL, CRASH_STRONG, false},
	{"BUG: Bad page map", NULL, CRASH_STRONG, false},
	{"BUG: Bad rss-counter state", NULL, CRASH_STRONG, false},
	{"BUG: stack guard page was hit", NULL, CRASH_STRONG, false},
	{"BUG: TASK stack guard page was hit", "BUG: stack guard page was hit", CRASH_STRONG, false},
	{"BUG: IRQ stack guard page was hit", "BUG: stack guard page was hit", CRASH_STRONG, false},
	{"PANIC: double fault", "double fault", CRASH_STRONG, false},
	{"Watchdog detected hard LOCKUP", "hard LOCKUP", CRASH_STRONG, false},
	{"INFO: rcu_", "INFO: rcu stall", CRASH_STRONG, false},
	{"INFO: task ", "INFO: task hung", CRASH_STRONG, true},
};

/* ---- names and numbers ---------------------------------------------------------------------------------- */

bool signature_function(const char *text, char ret[SIGNATURE_NAME_MAX])
{
	size_t len = strspn(text, name_chars);
	size_t suffix = strspn(text + len, name_chars) + strcspn(text + len, "+ \n");

	if (!len || strspn(text, digits) || strncmp(text + len + suffix, "+0x", 3) != 0 ||
		(suffix && text[len] != '.'))
		return false;
	snprintf(ret, SIGNATURE_NAME_MAX, "%.*s", (int)u64_min(len, SIGNATURE_NAME_MAX - 1), text);
	return true;
}

bool signature_frame(const char *line, char ret[SIGNATURE_NAME_MAX])
{
	line += strspn(line, " \t");
	if (!strncmp(line, "[<", 2)) {
		line += strcspn(line, "]");
		line += strspn(line, "] ");
	}
	return signature_function(line, ret);
}

/* Bytes of @text that are an offset behind a name, "+0x12/0x34", with a compiler's suffix before it. */
static size_t offset_length(const char *text)
{
	size_t len = *text == '.' ? strspn(text + 1, name_chars) + 1 : 0;

	while (len && text[len] == '.')
		len += strspn(text + len + 1, name_chars) + 1;
	if (strncmp(text + len, "+0x", 3) != 0)
		return 0;
	len += 3;
	len += strspn(text + len, hex_digits);
	if (!strncmp(text + len, "/0x", 3))
		len += 3 + strspn(text + len + 3, hex_digits);
	return len;
}

/* Bytes of @text, which no name runs into, that are a number, and what it becomes. */
static size_t number_length(const char *text, char *ret)
{
	size_t hex = strspn(text, hex_digits), decimal = strspn(text, digits);

	*ret = 'X';
	if (!strncmp(text, "0x", 2) && strspn(text + 2, hex_digits))
		return 2 + strspn(text + 2, hex_digits);
	if (hex >= ADDRESS_DIGITS && !strspn(text + hex, name_chars) && strcspn(text, digits) < hex)
		return hex;
	*ret = 'N';
	return decimal;
}

void signature_normalise(const char *text, char *buf, size_t size)
{
	size_t len = 0;
	bool in_name = false;

	while (*text && len + 1 < size) {
		char number;
		size_t skip = in_name ? offset_length(text) : number_length(text, &number);

		if (skip) {
			if (!in_name)
				buf[len++] = number;
			text += skip;
			continue;
		}
		in_name = strchr(name_chars, *text);
		buf[len++] = *text >= ' ' && *text <= '~' ? *text : '?';
		text++;
	}
	while (len && strchr(" .:,", buf[len - 1]))
		len--;
	buf[len] = '\0';
}

/* ---- lines that crashes begin with ---------------------------------------------------------------------- */

static const char *skip_prefixes(const char *line)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < ARRAY_LEN(prefixes) && !more; i++) {
			size_t len = strlen(prefixes[i]);

			more = !strncmp(line, prefixes[i], len);
			line += more ? len : 0;
		}
		/* 6.17 and later: "CPU1: Watchdog detected hard LOCKUP on cpu 1" */
		if (!strncmp(line, "CPU", 3) && strspn(line + 3, digits) &&
			!strncmp(line + 3 + strspn(line + 3, digits), ": Watchdog", 10))
			line += 3 + strspn(line + 3, digits) + 2;
	}
	return line;
}

static bool set_kind(struct crash_line *ret, enum crash_weight weight, const char *text, size_t len)
{
	char part[sizeof(ret->kind)];

	snprintf(part, sizeof(part), "%.*s", (int)u64_min(len, sizeof(part) - 1), text);
	signature_normalise(part, ret->kind, sizeof(ret->kind));
	ret->weight = weight;
	return ret->kind[0];
}

static bool is_known(const char *line, struct crash_line *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		const struct known *k = &known[i];
		const char *kind = k->kind ? k->kind : k->begin;

		if (strncmp(line, k->begin, strlen(k->begin)) != 0)
			continue;
		/* other lines about tasks and RCU are no trouble */
		if ((k->waits && !strstr(line, " blocked for more than ")) ||
			(!strcmp(k->begin, "INFO: rcu_") && !strstr(line, "stall")))
			continue;
		ret->waits = k->waits;
		return set_kind(ret, k->weight, kind, strlen(kind));
	}
	return false;
}

/* Takes "FILE:LINE" at @at, what is before it in the line, and the function that may stand behind it. */
static bool take_file(struct crash_line *ret, enum crash_weight weight, const char *what, const char *at)
{
	size_t len = strcspn(at, ": \n");
	char kind[sizeof(ret->kind)];

	snprintf(kind, sizeof(kind), "%s%.*s", what, (int)u64_min(len, 80), at);
	return set_kind(ret, weight, kind, strlen(kind));
}

/* "WARNING: CPU: 0 PID: 1 at FILE:LINE function+0x", since 6.19 "WARNING: FILE:LINE at function+0x, CPU#0: ..." */
static bool is_warning(const char *line, struct crash_line *ret)
{
	const char *text = line + strlen("WARNING: "), *at;

	if (strncmp(line, "WARNING: ", strlen("WARNING: ")) != 0)
		return false;
	at = strstr(text, " at ");
	if (!strncmp(text, "CPU: ", 5) && at) {
		const char *behind = strchr(at + 4, ' ');

		if (behind)
			(void)signature_function(behind + 1, ret->function);
		return take_file(ret, CRASH_WARNING, "WARNING at ", at + 4);
	}
	if (at && signature_function(at + 4, ret->function))
		return take_file(ret, CRASH_WARNING, "WARNING at ", text);
	return set_kind(ret, CRASH_WARNING, line, strlen(line));
}

/* "BUG: KASAN: kind in function+0x", and whatever else begins with BUG. */
static bool is_bug(const char *line, struct crash_line *ret)
{
	static const char sleeping[] = "BUG: sleeping function called from invalid context at ";
	const char *text = line, *in = strstr(line, " in ");

	if (!strncmp(line, "kernel BUG at ", 14))
		return take_file(ret, CRASH_STRONG, "kernel BUG at ", line + 14);
	if (!strncmp(line, "UBSAN: ", 7) && in) {
		char what[80];

		snprintf(what, sizeof(what), "%.*s in ", (int)u64_min((uint64_t)(in - line), 70), line);
		return take_file(ret, CRASH_STRONG, what, in + 4);
	}
	if (strncmp(line, "BUG: ", 5) != 0)
		return false;
	if (in && line[5] == 'K' && strstr(line, ": ") && signature_function(in + 4, ret->function)) {
		text = line + 5; /* a sanitizer's name says enough */
		if (!strstr(in, " / "))
			return set_kind(ret, CRASH_STRONG, text, (size_t)(in - text));
		ret->function[0] = '\0'; /* two functions that race */
		return set_kind(ret, CRASH_STRONG, text, strlen(text));
	}
	if (!strncmp(line, sleeping, sizeof(sleeping) - 1))
		return take_file(ret, CRASH_STRONG, sleeping, line + sizeof(sleeping) - 1);
	return set_kind(ret, CRASH_STRONG, line, strcspn(line, ",("));
}

/* "general protection fault, probably for ...: 0000 [#1] SMP": a trap's name, an error code, how many there were. */
static bool is_trap(const char *line, struct crash_line *ret)
{
	const char *number = strstr(line, " [#");
	const char *code = number;

	while (code && code > line && strchr(hex_digits, code[-1]))
		code--;
	if (!number || code == number)
		return false;
	ret->again = strtoul(number + 3, NULL, 10) > 1;
	if (code == line) /* of a page fault */
		return set_kind(ret, CRASH_WEAK, "Oops", 4);
	if (code - line < 3 || strncmp(code - 2, ": ", 2) != 0)
		return false;
	return set_kind(ret, CRASH_WEAK, line, u64_min(strcspn(line, ",:"), (uint64_t)(code - 2 - line)));
}

bool signature_classify(const char *line, struct crash_line *ret)
{
	memset(ret, 0, sizeof(*ret));
	line = skip_prefixes(line);
	if (is_known(line, ret) || is_trap(line, ret) || is_warning(line, ret) || is_bug(line, ret))
		return true;
	memset(ret, 0, sizeof(*ret));
	return false;
}
