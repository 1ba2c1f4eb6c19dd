/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/loader.c - see loader.h */
#include "vmm/loader.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "vmm/elf_image.h"
#include "vmm/gmem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* our choice: one copy of a usual kernel image takes a few calls */
#define COPY_BYTES MIB(1)

/* Xen public headers, arch-x86/hvm/start_info.h: structures of the PVH boot protocol, version 1 */
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

/* ACPI specification, address range types */
#define MEMMAP_RAM 1
#define MEMMAP_RESERVED 2

#define MEMMAP_MAX (DUMP_SEGMENTS_MAX + 2)

struct boot_info {
	struct start_info start;
	struct memmap_entry memmap[MEMMAP_MAX];
};
_Static_assert(BOOT_INFO_BASE + sizeof(struct boot_info) <= BOOT_CMDLINE_BASE, "boot data overlap");
_Static_assert(BOOT_CMDLINE_BASE + BOOT_CMDLINE_MAX <= LOW_RAM_END, "boot data below 640 KiB");

static int copy_segment(struct region *region, int fd, const struct elf_segment *segment, char *buf)
{
	uint64_t left = segment->file_size, from = segment->file_off, to = segment->gpa;

	while (left) {
		size_t part = (size_t)u64_min(left, COPY_BYTES);
		int err = io_pread_full(fd, buf, part, from);

		if (!err)
			err = gmem_copy_out(region, to, buf, part);
		if (err)
			return err;
		left -= part;
		from += part;
		to += part;
	}
	return 0; /* the rest of mem_size is zero already: the region is new */
}

static bool overlaps_boot_data(const struct elf_segment *segment)
{
	return segment->gpa < BOOT_CMDLINE_BASE + BOOT_CMDLINE_MAX &&
	       segment->gpa + segment->mem_size > BOOT_INFO_BASE;
}

static int load_image(
	struct region *region, const char *path, uint32_t *ret_entry, char *why, size_t why_size)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	autofree char *buf = malloc(COPY_BYTES);
	struct elf_image image;
	char reason[160] = "";
	uint64_t off;
	int err;

	if (fd < 0 || !buf) {
		err = -errno;
		snprintf(why, why_size, "%s: %s", path, strerror(-err));
		return err;
	}
	err = elf_image_read(fd, &image, reason, sizeof(reason));
	for (uint32_t i = 0; !err && i < image.nr_segments; i++) {
		const struct elf_segment *segment = &image.segments[i];

		err = region_offset(region, segment->gpa, segment->mem_size, &off);
		if (err || overlaps_boot_data(segment)) {
			snprintf(reason, sizeof(reason), "segment 0x%llx-0x%llx %s",
				(unsigned long long)segment->gpa,
				(unsigned long long)(segment->gpa + segment->mem_size),
				err ? "does not fit in the guest's RAM" : "lies where boot data goes");
			err = -EINVAL;
			break;
		}
		err = copy_segment(region, fd, segment, buf);
	}
	if (err)
		snprintf(why, why_size, "%s: %s", path, reason[0] ? reason : strerror(-err));
	else
		*ret_entry = image.pvh_entry;
	return err;
}

static void add_range(struct boot_info *info, uint64_t start, uint64_t end, uint32_t type)
{
	if (start >= end)
		return;
	assert(info->start.memmap_entries < MEMMAP_MAX);
	info->memmap[info->start.memmap_entries++] = (struct memmap_entry){
		.addr = start, .size = end - start, .type = type};
}

static int write_boot_info(struct region *region, size_t cmdline_size)
{
	const struct dump_layout *layout = &region->layout;
	struct boot_info info = {
		.start = {
			.magic = START_INFO_MAGIC,
			.version = 1,
			.cmdline_paddr = cmdline_size > 1 ? BOOT_CMDLINE_BASE : 0,
			.memmap_paddr = BOOT_INFO_BASE + offsetof(struct boot_info, memmap),
		}};

	add_range(&info, 0, LOW_RAM_END, MEMMAP_RAM);
	add_range(&info, LOW_RAM_END, HIGH_RAM_BASE, MEMMAP_RESERVED);
	for (uint32_t i = 0; i < layout->nr_segments; i++) {
		const struct dump_segment *seg = &layout->segments[i];
		uint64_t usable = region_usable(region);
		/* memory that comes later is announced by events, not here */
		uint64_t size = usable > seg->off ? u64_min(seg->size, usable - seg->off) : 0;

		add_range(&info, u64_max(seg->gpa, HIGH_RAM_BASE), seg->gpa + size, MEMMAP_RAM);
	}
	return gmem_copy_out(region, BOOT_INFO_BASE, &info, sizeof(info));
}

int loader_load(struct region *region, const char *path, const char *cmdline, struct boot_entry *ret,
	char *why, size_t why_size)
{
	size_t cmdline_size = strlen(cmdline) + 1;
	uint32_t entry = 0;
	int err;

	if (cmdline_size > BOOT_CMDLINE_MAX) {
		snprintf(why, why_size, "command line of %zu bytes; at most %d", cmdline_size - 1,
			BOOT_CMDLINE_MAX - 1);
		return -E2BIG;
	}
	err = load_image(region, path, &entry, why, why_size);
	if (err)
		return err;
	err = gmem_copy_out(region, BOOT_CMDLINE_BASE, cmdline, cmdline_size);
	if (!err)
		err = write_boot_info(region, cmdline_size);
	if (err) {
		snprintf(why, why_size, "boot data: %s", strerror(-err));
		return err;
	}
	*ret = (struct boot_entry){.rip = entry, .rbx = BOOT_INFO_BASE};
	return 0;
}
