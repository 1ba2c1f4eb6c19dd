/* SPDX-License-Identifier: Apache-2.0 */
/* dump/read/reader_trailer.c - whether a trailer can be relied on: see reader_chunk.h */
#include "dump/read/reader_chunk.h"

#include <string.h>

/* what the first dumps had; fields after it were added */
#define TRAILER_BYTES_MIN offsetof(struct vmcore_trailer, selectors)

/* True if @bytes at @off are in the tail room, before the trailer. */
static bool is_in_tail(const struct vmcore_trailer *trailer, uint64_t off, uint64_t bytes)
{
	uint64_t start = trailer->head + trailer->ram;
	uint64_t end = trailer->file_size - PAGE_SIZE_4K;

	return off >= start && off <= end && bytes <= end - off;
}

static bool geometry_is_valid(const struct vmcore_trailer *trailer, uint64_t image_size)
{
	struct dump_layout layout = {
		.head = trailer->head,
		.ram = trailer->ram,
		.tail = trailer->tail,
		.nr_segments = trailer->nr_segments,
	};
	const struct vmcore_places *places = &trailer->places;

	memcpy(layout.segments, trailer->segments, sizeof(layout.segments));
	return !dump_layout_check(&layout) && trailer->file_size == image_size &&
	       dump_layout_file_size(&layout) == image_size && u64_is_pow2(trailer->chunk) &&
	       trailer->chunk >= DUMP_CHUNK_MIN && trailer->chunk <= DUMP_CHUNK_MAX &&
	       is_in_tail(trailer, places->bitmap_off, places->bitmap_bytes) &&
	       places->bitmap_bytes >= (layout.ram / PAGE_SIZE_4K + 7) / 8 &&
	       is_in_tail(trailer, places->progress_off, places->progress_bytes) &&
	       places->progress_bytes >= vmcore_nr_chunks(layout.ram, trailer->chunk);
}

const char *reader_check_trailer(const struct vmcore_trailer *trailer, uint64_t image_size)
{
	uint32_t state = atomic_load_explicit(&trailer->state, memory_order_relaxed);

	if (trailer->version != VMCORE_VERSION || trailer->size < TRAILER_BYTES_MIN)
		return "of another version";
	if (trailer->role != VMCORE_ROLE_DUMP && trailer->role != VMCORE_ROLE_REGION)
		return "neither of a dump nor of a region";
	if (state < VMCORE_STATE_PREPARING || state > VMCORE_STATE_COMPLETE)
		return "in no known state";
	if (!memchr(trailer->name, '\0', sizeof(trailer->name)))
		return "with a name that does not end";
	return geometry_is_valid(trailer, image_size) ? NULL : "with sizes that contradict each other";
}
