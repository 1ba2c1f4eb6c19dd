/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/boot/loader_memory.c - see loader_memory.h */
#include "vmm/boot/loader_memory.h"

#include "dump/base/io.h"
#include "vmm/memory/gmem.h"

#include <errno.h>
#include <string.h>

void loader_blame(struct loader *l, const char *file)
{
	char sentence[256];

	snprintf(sentence, sizeof(sentence), "%s", l->why);
	snprintf(l->why, l->why_size, "%s: %s", file, sentence);
}

static bool is_unwanted(const struct loader *l)
{
	return l->source->unwanted && atomic_load(l->source->unwanted);
}

int loader_copy(struct loader *l, int fd, uint64_t from, gpa_t to, uint64_t len)
{
	while (len) {
		size_t part = (size_t)u64_min(len, LOADER_COPY);
		int err = is_unwanted(l) ? -ECANCELED : io_pread_full(fd, l->buf, part, from);

		if (!err)
			err = gmem_copy_out(l->region, to, l->buf, part);
		if (err)
			return err;
		len -= part;
		from += part;
		to += part;
	}
	return 0;
}

/* Where the RAM that begins at 0 ends, as far as the guest has it from the beginning. */
static gpa_t low_ram_end(const struct region *region)
{
	return u64_min(region->layout.segments[0].size, region_usable(region));
}

int loader_put_initrd(struct loader *l, gpa_t floor, gpa_t limit)
{
	const char *path = l->source->initrd;
	gpa_t end = u64_min(limit, low_ram_end(l->region));
	int err;

	if (l->initrd_fd < 0)
		return 0;
	floor = u64_align_up(floor, PAGE_SIZE_4K);
	if (end < floor || end - floor < l->initrd_size)
		return LOADER_BAD(l, path, -EINVAL,
			"initrd of %llu KiB does not fit between the kernel's end (0x%llx) and 0x%llx: the "
			"guest needs more memory",
			(unsigned long long)(l->initrd_size + 1023) / 1024, (unsigned long long)floor,
			(unsigned long long)end);
	l->initrd = u64_align_down(end - l->initrd_size, PAGE_SIZE_4K);
	err = loader_copy(l, l->initrd_fd, 0, l->initrd, l->initrd_size);
	return err ? LOADER_BAD(l, path, err, "%s", strerror(-err)) : 0;
}

int loader_put_cmdline(struct loader *l, uint64_t max)
{
	size_t size = strlen(l->source->cmdline) + 1;
	int err;

	max = u64_min(max, BOOT_CMDLINE_MAX - 1);
	if (size - 1 > max) {
		snprintf(l->why, l->why_size, "command line of %zu bytes; at most %llu", size - 1,
			(unsigned long long)max);
		return -E2BIG;
	}
	err = gmem_copy_out(l->region, BOOT_CMDLINE_BASE, l->source->cmdline, size);
	if (err)
		snprintf(l->why, l->why_size, "command line: %s", strerror(-err));
	return err;
}

static void add_range(
	struct loader_range *ranges, uint32_t *nr, uint64_t start, uint64_t end, uint32_t type)
{
	if (start >= end)
		return;
	assert(*nr < LOADER_RANGES_MAX);
	ranges[(*nr)++] = (struct loader_range){.start = start, .size = end - start, .type = type};
}

uint32_t loader_memory_map(const struct region *region, struct loader_range ret[static LOADER_RANGES_MAX])
{
	const struct dump_layout *layout = &region->layout;
	uint32_t nr = 0;

	add_range(ret, &nr, 0, LOW_RAM_END, LOADER_RAM);
	add_range(ret, &nr, LOW_RAM_END, HIGH_RAM_BASE, LOADER_RESERVED);
	for (uint32_t i = 0; i < layout->nr_segments; i++) {
		const struct dump_segment *seg = &layout->segments[i];
		uint64_t usable = region_usable(region);
		/* memory that comes later is announced by events, not here */
		uint64_t size = usable > seg->off ? u64_min(seg->size, usable - seg->off) : 0;

		add_range(ret, &nr, u64_max(seg->gpa, HIGH_RAM_BASE), seg->gpa + size, LOADER_RAM);
	}
	return nr;
}
