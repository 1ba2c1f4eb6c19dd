/* SPDX-License-Identifier: Apache-2.0 */
/* dump/tail.c - see tail.h */
#include "dump/tail.h"

#include "dump/bitmap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

static int allocate(int fd, uint64_t off, uint64_t bytes)
{
	int r;

	do
		r = fallocate(fd, 0, (off_t)off, (off_t)bytes);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int allocate_tables(int fd, const struct vmcore_places *places)
{
	int r = allocate(fd, places->bitmap_off, places->bitmap_bytes);

	if (!r)
		r = allocate(fd, places->progress_off, places->progress_bytes);
	if (!r)
		r = allocate(fd, places->trailer_off, PAGE_SIZE_4K);
	return r;
}

int dump_tail_init(struct dump_tail *tail, int fd, const struct dump_record *record)
{
	const struct dump_layout *layout = &record->layout;
	struct vmcore_places places = vmcore_places(layout, record->options.chunk);
	uint64_t start = layout->head + layout->ram;
	unsigned char *map;
	int r;

	*tail = (struct dump_tail){.map_bytes = layout->tail};
	r = allocate_tables(fd, &places);
	if (r)
		return r;
	map = mmap(NULL, tail->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)start);
	if (map == MAP_FAILED)
		return -errno;
	tail->map = map;
	tail->selected = (uint64_t *)(map + (places.bitmap_off - start));
	tail->progress = (_Atomic uint8_t *)(map + (places.progress_off - start));
	tail->trailer = (struct vmcore_trailer *)(map + (places.trailer_off - start));
	bitmap_fill(tail->selected, layout->ram / PAGE_SIZE_4K);
	vmcore_trailer_init(tail->trailer, record, VMCORE_ROLE_DUMP);
	return 0;
}

void dump_tail_fini(struct dump_tail *tail)
{
	if (tail->map)
		munmap(tail->map, tail->map_bytes);
	*tail = (struct dump_tail){0};
}
