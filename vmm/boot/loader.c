/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/boot/loader.c - see loader.h */
#include "vmm/boot/loader.h"

#include "dump/base/io.h"
#include "vmm/boot/bzimage.h"
#include "vmm/memory/gmem.h"
#include "vmm/boot/loader_impl.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what both kinds of kernel need --------------------------------------------------------------- */

void loader_blame(struct loader *l, const char *file)
{
	char sentence[256];

	snprintf(sentence, sizeof(sentence), "%s", l->why);
	snprintf(l->why, l->why_size, "%s: %s", file, sentence);
}

int loader_copy(struct loader *l, int fd, uint64_t from, gpa_t to, uint64_t len)
{
	while (len) {
		size_t part = (size_t)u64_min(len, LOADER_COPY);
		int err = io_pread_full(fd, l->buf, part, from);

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

/* ---- files ------------------------------------------------------------------------------------------ */

static int open_file(struct loader *l, const char *path, int *ret_fd, uint64_t *ret_size)
{
	/* O_NONBLOCK: a FIFO is to be refused, not waited for */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return LOADER_BAD(l, path, err, "%s", strerror(-err));
	}
	*ret_fd = fd;
	*ret_size = (uint64_t)st.st_size;
	if (!S_ISREG(st.st_mode))
		return LOADER_BAD(l, path, -EINVAL, "not a regular file");
	return 0;
}

static int open_files(struct loader *l)
{
	uint64_t kernel_size;
	int err;

	l->buf = malloc(LOADER_COPY);
	if (!l->buf)
		return LOADER_BAD(l, l->source->kernel, -ENOMEM, "%s", strerror(ENOMEM));
	err = open_file(l, l->source->kernel, &l->kernel_fd, &kernel_size);
	if (!err && l->source->initrd[0])
		err = open_file(l, l->source->initrd, &l->initrd_fd, &l->initrd_size);
	if (!err && l->initrd_fd >= 0 && !l->initrd_size)
		return LOADER_BAD(l, l->source->initrd, -EINVAL, "the file is empty");
	return err;
}

static int load_kernel(struct loader *l, struct boot_entry *ret)
{
	uint8_t start[BZIMAGE_HEADER_END] = {0};
	int err = io_pread_full(
		l->kernel_fd, start, sizeof(start), 0); /* a shorter file is none of the two */

	if (!err && bzimage_probe(start, sizeof(start)))
		return loader_linux(l, ret);
	if (err && err != -ENODATA)
		return LOADER_BAD(l, l->source->kernel, err, "%s", strerror(-err));
	if (memcmp(start, ELFMAG, SELFMAG))
		return LOADER_BAD(l, l->source->kernel, -EINVAL, "neither a bzImage nor an ELF file");
	return loader_pvh(l, ret);
}

int loader_load(struct region *region, const struct boot_source *source, struct boot_entry *ret, char *why,
	size_t why_size)
{
	struct loader l = {.region = region,
		.source = source,
		.kernel_fd = -1,
		.initrd_fd = -1,
		.why = why,
		.why_size = why_size};
	struct boot_entry entry = {0};
	int err;

	why[0] = '\0';
	err = open_files(&l);
	if (!err)
		err = load_kernel(&l, &entry);
	if (!err)
		*ret = entry;
	if (l.kernel_fd >= 0)
		close(l.kernel_fd);
	if (l.initrd_fd >= 0)
		close(l.initrd_fd);
	free(l.buf);
	return err;
}
