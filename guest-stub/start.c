/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/start.c - see start.h.
 *
 * Runs on the static page tables, so everything it reads must lie in the first GiB.  QEMU puts the memory map
 * into page 0, which is not mapped where it is: LOW_ALIAS shows it a second time.
 */
#include "guest-stub/start.h"

/* xen/include/public/arch-x86/hvm/start_info.h */
#define START_INFO_MAGIC 0x336ec578
#define MEMMAP_TYPE_RAM 1

struct hvm_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr;
	uint64_t cmdline_paddr;
	uint64_t rsdp_paddr;
	/* version 1 and later */
	uint64_t memmap_paddr;
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct memmap_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

struct start start;

/* Where [@addr, @addr + @len) is mapped by the static tables (tables.S), or null if it is not. */
static const void *mapped(uint64_t addr, uint64_t len)
{
	if (addr < PAGE_BYTES && len < 1 << 20)
		return (const void *)(LOW_ALIAS + addr);
	if (addr < 1ull << 30 && len <= (1ull << 30) - addr)
		return (const void *)addr;
	return NULL;
}

/* Inserts in ascending order; a range that touches or overlaps another one is cut to what is new above it. */
static const char *add_ram(uint64_t first, uint64_t end)
{
	uint32_t i = start.nr_ram;

	if (first >= end)
		return NULL;
	if (i == MAX_RAM_RANGES)
		return "more RAM ranges than 32 in the memory map";
	for (; i > 0 && start.ram[i - 1].first > first; i--)
		start.ram[i] = start.ram[i - 1];
	start.ram[i] = (struct ram_range){first, end};
	start.nr_ram++;
	if ((i > 0 && start.ram[i - 1].end > first) ||
		(i + 1 < start.nr_ram && start.ram[i + 1].first < end))
		return "overlapping RAM ranges in the memory map";
	start.ram_pages += end - first;
	return NULL;
}

static const char *read_memmap(const struct hvm_start_info *info)
{
	uint32_t entries = info->memmap_entries;
	const struct memmap_entry *entry = mapped(info->memmap_paddr, entries * sizeof(*entry));

	if (entries > 4096 || !entry)
		return "memory map out of reach";
	for (uint32_t i = 0; i < entries; i++, entry++) {
		/* firmware calls reach 256 GiB (FW_BLOCK_SHIFT), and so does this kernel */
		const uint64_t limit = 1ull << (32 + FW_BLOCK_SHIFT);
		uint64_t end = limit;
		const char *error;

		if (entry->type != MEMMAP_TYPE_RAM || entry->addr >= limit)
			continue;
		if (entry->size < limit - entry->addr)
			end = entry->addr + entry->size;
		error = add_ram((entry->addr + PAGE_BYTES - 1) >> PAGE_SHIFT, end >> PAGE_SHIFT);
		if (error)
			return error;
	}
	return start.nr_ram ? NULL : "no RAM in the memory map";
}

static const char *read_cmdline(uint64_t addr)
{
	if (!addr)
		return NULL;
	for (uint32_t i = 0; i < CMDLINE_BYTES; i++) {
		const char *from = mapped(addr + i, 1);

		if (!from)
			return "command line out of reach";
		start.cmdline[i] = *from;
		if (!*from)
			return NULL;
	}
	start.cmdline[0] = '\0';
	return "command line longer than 4095 bytes";
}

const char *start_read(uint64_t addr)
{
	const struct hvm_start_info *info = mapped(addr, sizeof(*info));
	const char *error;

	if (!info || info->magic != START_INFO_MAGIC)
		return "no PVH start info";
	if (info->version < 1)
		return "PVH start info without a memory map (version 0)";
	error = read_memmap(info);
	return error ? error : read_cmdline(info->cmdline_paddr);
}

bool start_add_ram(uint64_t first, uint64_t end)
{
	struct ram_range *last = &start.ram[start.nr_ram - 1];

	if (first < last->end || first >= end)
		return false;
	if (first > last->end && add_ram(first, end))
		return false;
	if (first == last->end) {
		last->end = end;
		start.ram_pages += end - first;
	}
	return true;
}
