/* SPDX-License-Identifier: Apache-2.0 */
/* dump/linux/linux_kernel.c - see linux_kernel.h */
#include "dump/linux/linux_kernel.h"

#include "dump/base/cleanup.h"

#include <errno.h>
#include <string.h>

/*
 * our choice: tables that one walk may read.  A page descriptor array needs one for each GiB of RAM, the
 * kernel's image and log a handful; random addresses of a hostile log end here.
 */
#define TABLES_MAX (1u << 20)

/* arch/x86/mm/pti.c: a process' own top table is the page behind the kernel's, and lacks most of the kernel */
#define PTI_USER_TABLE PAGE_SIZE_4K

/* include/uapi/linux/utsname.h: struct new_utsname is fields of 65 bytes, sysname, nodename, release */
#define UTS_FIELD 65
#define UTS_RELEASE (2 * UTS_FIELD)

static uint64_t phys_of_image(const struct linux_kernel *kernel, uint64_t symbol)
{
	return symbol - LINUX_KERNEL_MAP + kernel->phys_base;
}

static const char *find_tables(struct linux_kernel *kernel)
{
	const struct vmcoreinfo *info = &kernel->info;
	int64_t phys_base, levels5 = 0, encrypted = 0;
	uint64_t top, probe;

	if (!vmcoreinfo_number(info, "phys_base", &phys_base))
		return "VMCOREINFO has no phys_base";
	kernel->phys_base = (uint64_t)phys_base;
	if (!vmcoreinfo_symbol(info, "init_top_pgt", &top) &&
		!vmcoreinfo_symbol(info, "swapper_pg_dir", &top))
		return "VMCOREINFO names no page tables";
	kernel->root = phys_of_image(kernel, top);
	if (top < LINUX_KERNEL_MAP || kernel->root % PAGE_SIZE_4K ||
		guest_view_read(kernel->view, kernel->root, &probe, sizeof(probe)))
		return "the kernel's page tables are not in RAM";
	if (vmcoreinfo_number(info, "sme_mask", &encrypted) && encrypted)
		return "the guest's memory is encrypted";
	kernel->levels5 = vmcoreinfo_number(info, "pgtable_l5_enabled", &levels5) && levels5 == 1;
	return NULL;
}

/*
 * Where struct uts_namespace has the name: told since 5.11.  Before, a reference count stood before it, of 4 bytes
 * (include/linux/utsname.h).
 */
static uint64_t name_offset(const struct vmcoreinfo *info)
{
	uint64_t offset;

	return vmcoreinfo_measure(info, "OFFSET", "uts_namespace.name", PAGE_SIZE_4K, &offset) ? offset : 4;
}

/* Is the release that the kernel's own memory has the one that VMCOREINFO tells? */
static const char *check_release(struct linux_kernel *kernel)
{
	char told[UTS_FIELD], found[UTS_FIELD];
	uint64_t symbol;

	if (!vmcoreinfo_symbol(&kernel->info, "init_uts_ns", &symbol))
		return "VMCOREINFO does not tell where the kernel has its name";
	if (linux_kernel_read(
		    kernel, symbol + name_offset(&kernel->info) + UTS_RELEASE, found, sizeof(found)))
		return "the kernel's memory is not where VMCOREINFO says";
	vmcoreinfo_string(&kernel->info, "OSRELEASE", told, sizeof(told));
	found[sizeof(found) - 1] = '\0';
	return strcmp(told, found) ? "the kernel in memory is not the one that VMCOREINFO describes" : NULL;
}

const char *linux_kernel_init(
	struct linux_kernel *kernel, const struct guest_view *view, const struct vmcoreinfo *info)
{
	const char *why;

	kernel->view = view;
	kernel->info = *info;
	if (!info->len)
		return "there is no VMCOREINFO in its memory";
	why = find_tables(kernel);
	if (why)
		return why;
	linux_kernel_walk(kernel, &kernel->walk);
	return check_release(kernel);
}

bool linux_kernel_accepts(void *arg, const struct vmcoreinfo *info)
{
	autofree struct linux_kernel *kernel = malloc(sizeof(*kernel));

	return kernel && !linux_kernel_init(kernel, arg, info);
}

static bool maps(const struct linux_kernel *kernel, uint64_t root, uint64_t cr4, uint64_t symbol)
{
	struct pagewalk walk;
	struct pagewalk_run run;

	pagewalk_init(&walk, kernel->view, root, cr4, TABLES_MAX);
	return !pagewalk_run(&walk, symbol, &run) && run.mapped && run.gpa == phys_of_image(kernel, symbol);
}

bool linux_kernel_runs(const struct linux_kernel *kernel, uint64_t cr3, uint64_t cr4)
{
	uint64_t symbol;

	if (!vmcoreinfo_symbol(&kernel->info, "init_uts_ns", &symbol))
		return false;
	return maps(kernel, cr3 & ~(uint64_t)PTI_USER_TABLE, cr4, symbol) || maps(kernel, cr3, cr4, symbol);
}

void linux_kernel_walk(const struct linux_kernel *kernel, struct pagewalk *ret)
{
	pagewalk_init(ret, kernel->view, kernel->root, kernel->levels5 ? PAGEWALK_CR4_LA57 : 0, TABLES_MAX);
}

int linux_walk_read(struct pagewalk *walk, uint64_t gva, void *buf, size_t len)
{
	unsigned char *to = buf;
	uint64_t end;

	if (u64_add_overflows(gva, len, &end))
		return -EFAULT;
	while (len) {
		struct pagewalk_run run;
		size_t part;
		int r;

		r = pagewalk_run(walk, gva, &run);
		if (r)
			return r;
		part = u64_min(run.bytes, len);
		r = run.mapped ? guest_view_read(walk->view, run.gpa, to, part) : -EFAULT;
		if (r)
			return r;
		to += part;
		gva += part;
		len -= part;
	}
	return 0;
}

int linux_kernel_variable(struct linux_kernel *kernel, const char *name, uint64_t *ret)
{
	uint64_t symbol;

	if (!vmcoreinfo_symbol(&kernel->info, name, &symbol))
		return -ENOENT;
	return linux_kernel_read(kernel, symbol, ret, sizeof(*ret));
}

uint32_t linux_kernel_version(const struct linux_kernel *kernel)
{
	unsigned major, minor;
	char release[UTS_FIELD];

	vmcoreinfo_string(&kernel->info, "OSRELEASE", release, sizeof(release));
	if (sscanf(release, "%3u.%3u", &major, &minor) != 2 || major > 255 || minor > 255)
		return 0;
	return major << 8 | minor;
}
