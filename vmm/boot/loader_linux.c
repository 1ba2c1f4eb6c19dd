/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/boot/loader_linux.c - bzImages, entered at their 64-bit entry point: see loader.h.
 *
 * Source: Documentation/arch/x86/boot.rst ("64-bit Boot Protocol") and zero-page.rst of Linux.
 */
#include "vmm/boot/bzimage.h"
#include "vmm/memory/gmem.h"
#include "vmm/boot/loader_memory.h"

#include <errno.h>
#include <string.h>

/* zero-page.rst: offsets in struct boot_params */
#define ZP_ACPI_RSDP 0x070
#define ZP_E820_ENTRIES 0x1e8
#define ZP_VID_MODE 0x1fa
#define ZP_TYPE_OF_LOADER 0x210
#define ZP_RAMDISK_IMAGE 0x218
#define ZP_RAMDISK_SIZE 0x21c
#define ZP_CMD_LINE_PTR 0x228
#define ZP_E820_TABLE 0x2d0
#define ZP_SIZE 4096

#define VID_MODE_NORMAL 0xffffu
#define LOADER_UNDEFINED 0xffu /* boot.rst: no identifier assigned */

#define ENTRY_64 0x200 /* boot.rst: from where the kernel was loaded */

/* Intel SDM vol. 3A 4.5: page table entries */
#define PTE_PRESENT 0x1ull
#define PTE_WRITE 0x2ull
#define PTE_LARGE 0x80ull
#define PTES 512u

_Static_assert(BOOT_PD_BASE + BOOT_MAPPED / GIB(1) * PAGE_SIZE_4K <= BOOT_GDT_BASE, "boot data overlap");

struct e820_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct e820_entry) == 20, "e820_entry");

static void put(uint8_t *page, uint32_t off, uint64_t value, uint32_t len)
{
	memcpy(page + off, &value, len); /* little-endian, as the host is */
}

/*
 * Where the kernel goes: where it likes to be.  A relocatable one could lie higher, but a lower place would not
 * do for less memory: it moves itself up to pref_address (boot.rst, init_size).
 */
static int choose_place(struct loader *l, const struct bzimage *image, gpa_t *ret)
{
	uint64_t off;

	*ret = image->pref_address;
	if (image->relocatable)
		*ret = u64_max(*ret, u64_align_up(HIGH_RAM_BASE, image->alignment));
	if (*ret >= HIGH_RAM_BASE && !region_offset(l->region, *ret, image->init_size, &off))
		return 0;
	return LOADER_BAD(l, l->source->kernel, -EINVAL,
		"the kernel needs 0x%llx bytes from 0x%llx on: the guest needs more memory",
		(unsigned long long)image->init_size, (unsigned long long)*ret);
}

static int write_zero_page(struct loader *l, const struct bzimage *image)
{
	struct loader_range ranges[LOADER_RANGES_MAX];
	uint8_t page[ZP_SIZE] = {0};
	uint32_t nr = loader_memory_map(l->region, ranges);

	memcpy(page + BZIMAGE_HEADER, image->header, image->header_len);
	put(page, ZP_VID_MODE, VID_MODE_NORMAL, 2);
	put(page, ZP_TYPE_OF_LOADER, LOADER_UNDEFINED, 1);
	put(page, ZP_CMD_LINE_PTR, BOOT_CMDLINE_BASE, 4);
	put(page, ZP_RAMDISK_IMAGE, l->initrd, 4); /* below 4 GiB: initrd_max has 32 bits */
	put(page, ZP_RAMDISK_SIZE, l->initrd_size, 4);
	put(page, ZP_ACPI_RSDP, ACPI_BASE, 8);
	put(page, ZP_E820_ENTRIES, nr, 1);
	for (uint32_t i = 0; i < nr; i++) {
		struct e820_entry entry = {ranges[i].start, ranges[i].size, ranges[i].type};

		memcpy(page + ZP_E820_TABLE + i * sizeof(entry), &entry, sizeof(entry));
	}
	return gmem_copy_out(l->region, BOOT_ZERO_PAGE_BASE, page, sizeof(page));
}

/* Maps the first BOOT_MAPPED bytes to themselves, in pages of 2 MiB. */
static int write_page_tables(struct loader *l)
{
	uint64_t table[PTES] = {BOOT_PDPT_BASE | PTE_PRESENT | PTE_WRITE};
	int err = gmem_copy_out(l->region, BOOT_PML4_BASE, table, sizeof(table));

	for (uint64_t i = 0; i < BOOT_MAPPED / GIB(1); i++)
		table[i] = (BOOT_PD_BASE + i * PAGE_SIZE_4K) | PTE_PRESENT | PTE_WRITE;
	if (!err)
		err = gmem_copy_out(l->region, BOOT_PDPT_BASE, table, sizeof(table));
	for (uint64_t i = 0; !err && i < BOOT_MAPPED / GIB(1); i++) {
		for (uint64_t j = 0; j < PTES; j++)
			table[j] = (i * GIB(1) + j * PAGE_SIZE_2M) | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
		err = gmem_copy_out(l->region, BOOT_PD_BASE + i * PAGE_SIZE_4K, table, sizeof(table));
	}
	return err;
}

/* boot.rst: __BOOT_CS 0x10 and __BOOT_DS 0x18, flat, execute/read and read/write. */
static int write_gdt(struct loader *l)
{
	static const uint64_t gdt[] = {0, 0, 0x00af9b000000ffffull, 0x00cf93000000ffffull};

	return gmem_copy_out(l->region, BOOT_GDT_BASE, gdt, sizeof(gdt));
}

int loader_linux(struct loader *l, struct boot_entry *ret)
{
	const char *path = l->source->kernel;
	struct bzimage image;
	gpa_t place;
	int err;

	err = bzimage_read(l->kernel_fd, &image, l->why, l->why_size);
	if (err) {
		if (!l->why[0])
			snprintf(l->why, l->why_size, "%s", strerror(-err));
		loader_blame(l, path);
		return err;
	}
	err = choose_place(l, &image, &place);
	if (err)
		return err;
	err = loader_copy(l, l->kernel_fd, image.file_off, place, image.file_size);
	if (err)
		return LOADER_BAD(l, path, err, "%s", strerror(-err));
	err = loader_put_initrd(l, place + image.init_size, image.initrd_max + 1);
	if (!err)
		err = loader_put_cmdline(l, image.cmdline_max);
	if (err)
		return err;
	err = write_zero_page(l, &image);
	if (!err)
		err = write_page_tables(l);
	if (!err)
		err = write_gdt(l);
	if (err) {
		snprintf(l->why, l->why_size, "boot data: %s", strerror(-err));
		return err;
	}
	*ret = (struct boot_entry){.long_mode = true, .rip = place + ENTRY_64, .rsi = BOOT_ZERO_PAGE_BASE};
	return 0;
}
