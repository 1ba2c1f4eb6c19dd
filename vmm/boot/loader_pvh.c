/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/boot/loader_pvh.c - ELF images, by the PVH boot protocol: see loader.h.
 *
 * Source: Xen public headers, arch-x86/hvm/start_info.h, version 1 of the structures.
 */
#include "vmm/boot/elf_image.h"
#include "vmm/memory/gmem.h"
#include "vmm/boot/loader_memory.h"

#include <errno.h>
#include <string.h>

#define START_INFO_MAGIC 0x336ec578

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr;
	uint64_t cmdline_paddr;
	uint64_t rsdp_paddr;
	uint64_t memmap_paddr;
	uint32_t memmap_entries;
	uint32_t reserved;
};
_Static_assert(sizeof(struct start_info) == 56, "start_info");

struct memmap_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};
_Static_assert(sizeof(struct memmap_entry) == 24, "memmap_entry");

struct module_entry {
	uint64_t paddr;
	uint64_t size;
	uint64_t cmdline_paddr;
	uint64_t reserved;
};
_Static_assert(sizeof(struct module_entry) == 32, "module_entry");

struct boot_info {
	struct start_info start;
	struct memmap_entry memmap[LOADER_RANGES_MAX];
	struct module_entry initrd;
};
_Static_assert(BOOT_INFO_BASE + sizeof(struct boot_info) <= BOOT_CMDLINE_BASE, "boot data overlap");
_Static_assert(BOOT_CMDLINE_BASE + BOOT_CMDLINE_MAX <= BOOT_ZERO_PAGE_BASE, "boot data overlap");

/* our choice: as the boot protocol of a bzImage has it; Linux takes an initrd from a 32-bit address only */
#define INITRD_LIMIT GIB(2)

static bool overlaps(const struct elf_segment *segment, gpa_t start, gpa_t end)
{
	return segment->gpa < end && segment->gpa + segment->mem_size > start;
}

/* Why a segment cannot be loaded where it wants to be; NULL if it can. */
static const char *misplaced(const struct loader *l, const struct elf_segment *segment)
{
	uint64_t off;

	if (region_offset(l->region, segment->gpa, segment->mem_size, &off))
		return "does not fit in the guest's RAM";
	if (overlaps(segment, BOOT_INFO_BASE, BOOT_CMDLINE_BASE + BOOT_CMDLINE_MAX))
		return "lies where boot data goes";
	if (overlaps(segment, ACPI_BASE, HIGH_RAM_BASE))
		return "lies where firmware tables go";
	return NULL;
}

static int load_segments(struct loader *l, const struct elf_image *image, gpa_t *ret_end)
{
	const char *path = l->source->kernel;
	gpa_t end = HIGH_RAM_BASE;

	for (uint32_t i = 0; i < image->nr_segments; i++) {
		const struct elf_segment *segment = &image->segments[i];
		gpa_t segment_end = segment->gpa + segment->mem_size;
		const char *wrong = misplaced(l, segment);
		int err;

		if (wrong)
			return LOADER_BAD(l, path, -EINVAL, "segment 0x%llx-0x%llx %s",
				(unsigned long long)segment->gpa, (unsigned long long)segment_end, wrong);
		/* what is over file_size is zero already: the region is new */
		err = loader_copy(l, l->kernel_fd, segment->file_off, segment->gpa, segment->file_size);
		if (err)
			return LOADER_BAD(l, path, err, "%s", strerror(-err));
		if (segment->gpa < HOLE_BASE)
			end = u64_max(end, segment_end);
	}
	*ret_end = end;
	return 0;
}

static int write_boot_info(struct loader *l)
{
	struct loader_range ranges[LOADER_RANGES_MAX];
	struct boot_info info = {
		.start = {
			.magic = START_INFO_MAGIC,
			.version = 1,
			.cmdline_paddr = l->source->cmdline[0] ? BOOT_CMDLINE_BASE : 0,
			.rsdp_paddr = ACPI_BASE,
			.memmap_paddr = BOOT_INFO_BASE + offsetof(struct boot_info, memmap),
		}};
	int err;

	info.start.memmap_entries = loader_memory_map(l->region, ranges);
	for (uint32_t i = 0; i < info.start.memmap_entries; i++)
		info.memmap[i] = (struct memmap_entry){
			.addr = ranges[i].start, .size = ranges[i].size, .type = ranges[i].type};
	if (l->initrd_fd >= 0) {
		info.start.nr_modules = 1;
		info.start.modlist_paddr = BOOT_INFO_BASE + offsetof(struct boot_info, initrd);
		info.initrd = (struct module_entry){.paddr = l->initrd, .size = l->initrd_size};
	}
	err = gmem_copy_out(l->region, BOOT_INFO_BASE, &info, sizeof(info));
	if (err)
		snprintf(l->why, l->why_size, "boot data: %s", strerror(-err));
	return err;
}

int loader_pvh(struct loader *l, struct boot_entry *ret)
{
	struct elf_image image;
	gpa_t end;
	int err;

	err = elf_image_read(l->kernel_fd, &image, l->why, l->why_size);
	if (err) {
		if (!l->why[0])
			snprintf(l->why, l->why_size, "%s", strerror(-err));
		loader_blame(l, l->source->kernel);
		return err;
	}
	err = load_segments(l, &image, &end);
	if (!err)
		err = loader_put_initrd(l, end, INITRD_LIMIT);
	if (!err)
		err = loader_put_cmdline(l, BOOT_CMDLINE_MAX - 1);
	if (!err)
		err = write_boot_info(l);
	if (!err)
		*ret = (struct boot_entry){.rip = image.pvh_entry, .rbx = BOOT_INFO_BASE};
	return err;
}
