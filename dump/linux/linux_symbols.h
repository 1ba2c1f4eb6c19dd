/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/linux/linux_symbols.h - names of a crashed kernel's functions and variables, by its own kallsyms tables, which
 * VMCOREINFO names since 6.0.  Modules' symbols are not among them.
 *
 *      names     for each symbol: bytes of the name (bit 7: a second byte), then that many tokens
 *      tokens    256 texts that names are made of; the first character of a name is its type
 *      offsets   s32 each: below 0, relative base - 1 - offset; else per-CPU
 *                since 6.15 base + offset, without per-CPU ones; since 7.0 the address of the offset itself + offset
 *
 * Hostile, and therefore copied and bounded; names are made printable.  Locks: none, read-only once loaded.
 */
#ifndef DUMP_LINUX_LINUX_SYMBOLS_H
#define DUMP_LINUX_LINUX_SYMBOLS_H

#include "dump/linux/linux_kernel.h"

/* our choices: a kernel with everything has 300,000 symbols and 5 MiB of names */
#define LINUX_SYMBOLS_MAX (1u << 21)
#define LINUX_SYMBOL_BYTES_MAX (64u << 20)
/* include/linux/kallsyms.h: KSYM_NAME_LEN, with the NUL */
#define LINUX_SYMBOL_NAME_MAX 512

struct linux_symbols;

struct linux_symbol {
	uint64_t address; /* of its first byte */
	uint64_t size;    /* bytes to the next one; 0 = it is the last */
	char type;        /* as nm(1) has it */
	char name[LINUX_SYMBOL_NAME_MAX];
};

/* Result: NULL and *ret; or why there are none (static text). */
const char *warn_unused linux_symbols_load(struct linux_kernel *kernel, struct linux_symbols **ret);
void linux_symbols_free(struct linux_symbols *symbols); /* NULL is fine */

/* The symbol that @address lies in.  False if it is below all of them. */
bool linux_symbols_find(const struct linux_symbols *symbols, uint64_t address, struct linux_symbol *ret);

/* The address of the first symbol called @name. */
bool linux_symbols_address(const struct linux_symbols *symbols, const char *name, uint64_t *ret);

/* True if @address is in the kernel's text, between the symbols _stext and _etext. */
bool linux_symbols_is_text(const struct linux_symbols *symbols, uint64_t address);

#endif /* DUMP_LINUX_LINUX_SYMBOLS_H */
