/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/linux/linux_kernel.h - a crashed Linux kernel on x86-64: where its virtual memory is, by VMCOREINFO.
 *
 *      kernel image    SYMBOL - 0xffffffff80000000 + phys_base     (KASLR is in both)
 *      everything      page tables at init_top_pgt, 4 or 5 levels: direct map, vmemmap, vmalloc
 *
 * Hostile throughout: VMCOREINFO by vmcoreinfo.h, page tables by pagewalk.h, reads by copy from inside
 * RAM.  Kernels 5.10 and newer.  Locks: none; linux_kernel_read() is for one thread at a time.
 */
#ifndef DUMP_LINUX_LINUX_KERNEL_H
#define DUMP_LINUX_LINUX_KERNEL_H

#include "dump/region/pagewalk.h"
#include "dump/linux/vmcoreinfo.h"

/* arch/x86/include/asm/page_64_types.h: __START_KERNEL_map, where the kernel image is mapped */
#define LINUX_KERNEL_MAP 0xffffffff80000000ull

struct linux_kernel {
	const struct guest_view *view; /* borrowed */
	struct vmcoreinfo info;
	uint64_t phys_base; /* modulo 2^64: it may be negative */
	uint64_t root;      /* guest-physical address of the kernel's page tables */
	bool levels5;
	struct pagewalk walk; /* linux_kernel_read()'s */
};

/*
 * linux_kernel_init - the kernel that @info tells of, in @view.  26 KiB: not for small stacks.
 * Result: NULL; or why it cannot be used (static text): a key is missing, its page tables are not in RAM,
 * or the kernel that lies there has another release: then @info is what an earlier kernel has left.
 */
const char *warn_unused linux_kernel_init(
	struct linux_kernel *kernel, const struct guest_view *view, const struct vmcoreinfo *info);

/* For vmcoreinfo_scan(): accepts what linux_kernel_init() does.  @arg: a struct guest_view. */
bool linux_kernel_accepts(void *arg, const struct vmcoreinfo *info);

/*
 * linux_kernel_runs - do the page tables of a vCPU (@cr3, @cr4, 64-bit paging) have this kernel where it is?  A kernel
 * that was replaced by kexec may have left all of its memory, and have the same release.
 */
bool linux_kernel_runs(const struct linux_kernel *kernel, uint64_t cr3, uint64_t cr4);

/* A walk of the same page tables, for another thread. */
void linux_kernel_walk(const struct linux_kernel *kernel, struct pagewalk *ret);

/*
 * linux_walk_read - copy @len bytes at kernel-virtual @gva to @buf; @len is below 2^32.
 * Errors: -EFAULT if some of it is not mapped or not in RAM; as pagewalk_run and guest_view_read.
 */
int warn_unused linux_walk_read(struct pagewalk *walk, uint64_t gva, void *buf, size_t len);

static inline int warn_unused linux_kernel_read(
	struct linux_kernel *kernel, uint64_t gva, void *buf, size_t len)
{
	return linux_walk_read(&kernel->walk, gva, buf, len);
}

/* The value of the 8-byte variable named by SYMBOL(@name).  -ENOENT if there is none, else as above. */
int warn_unused linux_kernel_variable(struct linux_kernel *kernel, const char *name, uint64_t *ret);

/* Major and minor of OSRELEASE, e.g. 6.12: 0x060c; 0 if it begins otherwise. */
uint32_t linux_kernel_version(const struct linux_kernel *kernel);

#endif /* DUMP_LINUX_LINUX_KERNEL_H */
