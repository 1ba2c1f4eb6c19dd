/* SPDX-License-Identifier: Apache-2.0 */
/* dump/format/vmcore.c - places and trailer: see vmcore.h */
#include "dump/format/vmcore.h"

#include "dump/lz4/lz4_table.h"
#include "dump/record/choices.h"

#include <stdio.h>
#include <string.h>

struct vmcore_places vmcore_places(const struct dump_layout *layout, uint64_t chunk)
{
	uint64_t pages = layout->ram / PAGE_SIZE_4K;
	struct vmcore_places places = {
		.bitmap_off = layout->head + layout->ram,
		.bitmap_bytes = u64_align_up((pages + 7) / 8, 8),
		.progress_bytes = vmcore_nr_chunks(layout->ram, chunk),
		.trailer_off = dump_layout_file_size(layout) - PAGE_SIZE_4K,
	};

	places.progress_off = places.bitmap_off + u64_align_up(places.bitmap_bytes, PAGE_SIZE_4K);
	assert(places.progress_off + places.progress_bytes <= places.trailer_off);
	return places;
}

/* our choice: more than the blocks of any head and tail room, which are the largest ones that there are */
#define ROOM_BLOCKS 64

uint64_t vmcore_dropped_off(const struct vmcore_places *places)
{
	uint64_t blocks = places->progress_bytes + ROOM_BLOCKS;
	uint64_t end = vmcore_blocks_off(places) + sizeof(struct lz4_table_header) +
		       blocks * sizeof(struct lz4_entry);
	uint64_t bytes = u64_align_up(places->progress_bytes * sizeof(uint32_t), PAGE_SIZE_4K);

	end = u64_align_up(end, PAGE_SIZE_4K);
	return end + bytes <= places->trailer_off ? places->trailer_off - bytes : 0;
}

void vmcore_trailer_init(struct vmcore_trailer *trailer, const struct dump_record *record, uint32_t role)
{
	memset(trailer, 0, sizeof(*trailer));
	memcpy(trailer->magic, VMCORE_TRAILER_MAGIC, sizeof(trailer->magic));
	trailer->version = VMCORE_VERSION;
	trailer->size = sizeof(*trailer);
	trailer->role = role;
	trailer->nr_segments = record->layout.nr_segments;
	trailer->file_size = dump_layout_file_size(&record->layout);
	trailer->head = record->layout.head;
	trailer->ram = record->layout.ram;
	trailer->tail = record->layout.tail;
	trailer->chunk = record->options.chunk;
	trailer->places = vmcore_places(&record->layout, record->options.chunk);
	trailer->selectors = record->options.selectors & DUMP_SELECT_SET;
	trailer->linux_level = dump_select_level(record->options.selectors);
	memcpy(trailer->segments, record->layout.segments, sizeof(trailer->segments));
	snprintf(trailer->name, sizeof(trailer->name), "%s", record->name);
	trailer->identity = (struct vmcore_identity){.strategy = record->options.strategy,
		.sink = record->options.sink,
		.selectors = record->options.selectors};
	memcpy(trailer->identity.id, record->id, sizeof(record->id));
	atomic_store_explicit(&trailer->state, VMCORE_STATE_PREPARING, memory_order_release);
}

bool vmcore_trailer_is_of(const struct vmcore_trailer *found, const struct dump_record *record)
{
	const size_t shape = offsetof(struct vmcore_trailer, nr_segments);
	const size_t shape_end = offsetof(struct vmcore_trailer, distrusted);
	struct vmcore_trailer want;

	vmcore_trailer_init(&want, record, VMCORE_ROLE_DUMP);
	return !memcmp(found->magic, want.magic, sizeof(want.magic)) && found->version == want.version &&
	       found->size == want.size &&
	       !memcmp((const char *)found + shape, (const char *)&want + shape, shape_end - shape) &&
	       !memcmp(&found->identity, &want.identity, sizeof(want.identity));
}
