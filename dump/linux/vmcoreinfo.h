/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/linux/vmcoreinfo.h - what a Linux kernel tells about itself in its memory: VMCOREINFO, lines of KEY=VALUE.
 *
 * The kernel makes it early (subsys_initcall) as an ELF note at the start of a page:
 *
 *      u32 namesz = 11, u32 descsz (about 3,260; at most 4,096), u32 type = 0, "VMCOREINFO\0\0", text
 *
 * The text is hostile.  It is copied once; a key is found by whole lines; a number that is not written as
 * the kernel writes it counts as absent.  Locks: none; read-only once it is filled in.
 */
#ifndef DUMP_LINUX_VMCOREINFO_H
#define DUMP_LINUX_VMCOREINFO_H

#include "dump/region/guest_view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* include/linux/vmcore_info.h: VMCOREINFO_BYTES, one page */
#define VMCOREINFO_TEXT_MAX 4096
/* our choice: shorter ones name nothing that is of use */
#define VMCOREINFO_TEXT_MIN 64

/*
 * our choice: pages of RAM that a dump looks at before it asks the kernel (dump/linux/linux_find.h).  It usually is in the
 * first one or two windows, and to look at as many pages as this costs some milliseconds at most.
 */
#define VMCOREINFO_QUICK_PAGES 8192

/* our choice: twice as many as kernels have keys, and more; some fifty of them are asked for at each crash */
#define VMCOREINFO_SLOTS 512

struct vmcoreinfo {
	size_t len;                         /* 0 = none: nothing else counts then */
	char text[VMCOREINFO_TEXT_MAX + 1]; /* NUL-terminated; printable ASCII and newlines alone */
	uint16_t first
		[VMCOREINFO_SLOTS]; /* 1 + offset of the first line whose key is of this slot; 0 = none */
};

/*
 * vmcoreinfo_set - take a copy of @len bytes of text, as they are in a note of a core file.  NULs at the
 * end are padding.  False, and *ret empty, if it does not begin with OSRELEASE= or holds what is no text.
 */
bool vmcoreinfo_set(struct vmcoreinfo *ret, const char *text, size_t len);

/* Whether a found VMCOREINFO is the one that is wanted: a kernel that is gone may have left another. */
typedef bool vmcoreinfo_accept_fn(void *arg, const struct vmcoreinfo *info);

/*
 * vmcoreinfo_scan - look for it at the start of every page of RAM that has memory behind it.  A kernel
 * has it where its allocator began: the last segment is looked at first, each from both ends.
 * @accept: NULL takes the first one.  What is refused is looked behind.  @workers: threads, 1 or more.
 * @pages_max: pages that are looked at, about; UINT64_MAX = all of them, which takes long in vain.
 * Result: 1 and *ret; 0 if there is none, *ret is then the first that was refused, or empty; or -errno.
 */
int warn_unused vmcoreinfo_scan(const struct guest_view *view, uint32_t workers, uint64_t pages_max,
	vmcoreinfo_accept_fn *accept, void *arg, struct vmcoreinfo *ret);

/*
 * vmcoreinfo_at - the one whose note begins at guest-physical @gpa, a page.  False if there is none, *ret
 * is then undefined.
 */
bool vmcoreinfo_at(const struct guest_view *view, uint64_t gpa, struct vmcoreinfo *ret);

/*
 * vmcoreinfo_hex, _decimal - the value of @kind(@name)=VALUE, e.g. "SYMBOL", "mem_section"; hexadecimal
 * digits alone, or decimal with a sign.  @kind NULL: of NAME=VALUE.  The first such line counts.
 * False: absent or no such number; *ret is then unchanged.
 */
bool vmcoreinfo_hex(const struct vmcoreinfo *info, const char *kind, const char *name, uint64_t *ret);
bool vmcoreinfo_decimal(const struct vmcoreinfo *info, const char *kind, const char *name, int64_t *ret);

/* The value of NAME=VALUE as text, cut to @size with its NUL; "" if absent. */
void vmcoreinfo_string(const struct vmcoreinfo *info, const char *name, char *buf, size_t size);

/* Short forms. */
static inline bool vmcoreinfo_symbol(const struct vmcoreinfo *info, const char *name, uint64_t *ret)
{
	return vmcoreinfo_hex(info, "SYMBOL", name, ret);
}

static inline bool vmcoreinfo_number(const struct vmcoreinfo *info, const char *name, int64_t *ret)
{
	return vmcoreinfo_decimal(info, "NUMBER", name, ret);
}

/* Sizes, offsets and lengths of kernel structures: 0 .. @max. */
bool vmcoreinfo_measure(
	const struct vmcoreinfo *info, const char *kind, const char *name, uint64_t max, uint64_t *ret);

#endif /* DUMP_LINUX_VMCOREINFO_H */
