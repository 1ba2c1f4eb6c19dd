/* SPDX-License-Identifier: Apache-2.0 */
/* dump/tail.c - see tail.h */
#include "dump/tail.h"

#include "dump/bitmap.h"
#include "dump/filemap.h"

#include <sys/mman.h>

static int reserve_tables(unsigned char *map, uint64_t start, int fd, const struct vmcore_places *places)
{
	const struct {
		uint64_t off, bytes;
	} tables[] = {
		{places->bitmap_off, places->bitmap_bytes},
		{places->progress_off, places->progress_bytes},
		{places->trailer_off, PAGE_SIZE_4K},
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(tables) && !r; i++)
		r = filemap_reserve(map + (tables[i].off - start), tables[i].bytes, fd, tables[i].off);
	return r;
}

int dump_tail_init(struct dump_tail *tail, int fd, const struct dump_record *record)
{
	const struct dump_layout *layout = &record->layout;
	struct vmcore_places places = vmcore_places(layout, record->options.chunk);
	uint64_t start = layout->head + layout->ram;
	unsigned char *map = NULL;
	int r;

	*tail = (struct dump_tail){.map_bytes = layout->tail};
	r = filemap_open(fd, start, tail->map_bytes, &map);
	if (r)
		return r;
	tail->map = map;
	r = reserve_tables(map, start, fd, &places);
	if (r) {
		dump_tail_fini(tail);
		return r;
	}
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
