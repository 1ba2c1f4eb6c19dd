/* SPDX-License-Identifier: Apache-2.0 */
/* dump/linux/signature_text.h - single lines of a Linux log.  Private to dump/linux/signature*.c.  Pure. */
#ifndef DUMP_LINUX_SIGNATURE_TEXT_H
#define DUMP_LINUX_SIGNATURE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* include/linux/kallsyms.h allows 512; our choice of what is told */
#define SIGNATURE_NAME_MAX 64

enum crash_weight {
	CRASH_NONE,    /* no line that a crash begins with */
	CRASH_WARNING, /* the kernel goes on, unless it has been told to panic */
	CRASH_WEAK,    /* names the trap; a line shortly before it says what it was for */
	CRASH_STRONG
};

/* What a line says by itself. */
struct crash_line {
	enum crash_weight weight;
	bool again;     /* an oops after another one */
	bool waits;     /* of a task that does not run: its stack begins with the scheduler */
	char kind[128]; /* normalised */
	char function[SIGNATURE_NAME_MAX]; /* "" = it does not say */
};

/* Result: ret->weight is not CRASH_NONE. */
bool signature_classify(const char *line, struct crash_line *ret);

/*
 * signature_normalise - @text without what differs from one crash to the next: numbers become N, hexadecimal ones X;
 * offsets behind names, and suffixes of the compiler, go.  What is not printable becomes '?'.
 */
void signature_normalise(const char *text, char *buf, size_t size);

/* The function's name that @text begins with: "name.isra.0+0x12/0x34 [module]".  False if there is none. */
bool signature_function(const char *text, char ret[SIGNATURE_NAME_MAX]);

/* The function of a line of a call trace, also with an address before it.  False for one that is marked "?". */
bool signature_frame(const char *line, char ret[SIGNATURE_NAME_MAX]);

#endif /* DUMP_LINUX_SIGNATURE_TEXT_H */
