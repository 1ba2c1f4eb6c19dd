/* SPDX-License-Identifier: Apache-2.0 */
/* dump/files/dumpfile.c - see dumpfile.h; the head is written in dumpfile_head.c */
#include "dump/files/dumpfile.h"

#include "dump/base/filemap.h"
#include "dump/base/io.h"

#include <errno.h>
#include <string.h>

static uint64_t trailer_off(const struct dump_record *record)
{
	return dump_layout_file_size(&record->layout) - PAGE_SIZE_4K;
}

int dumpfile_write_timeline(int fd, uint64_t off, const struct dump_record *record)
{
	char text[VMCORE_TIMELINE_BYTES];

	vmcore_timeline(record, text);
	return io_pwrite_full(fd, text, sizeof(text), off);
}

struct dumpfile_facts dumpfile_look(int fd, const struct dump_record *record)
{
	struct vmcore_trailer trailer;

	if (fd < 0 || io_pread_full(fd, &trailer, sizeof(trailer), trailer_off(record)) ||
		!vmcore_trailer_is_of(&trailer, record))
		return (struct dumpfile_facts){0};
	return (struct dumpfile_facts){
		.ours = true, .role = trailer.role, .state = trailer.state, .flags = trailer.flags};
}

int dumpfile_write_trailer(int fd, const struct dump_record *record, uint32_t flags)
{
	struct dumpfile_facts facts = dumpfile_look(fd, record);
	struct vmcore_trailer trailer;

	if (facts.ours && facts.role == VMCORE_ROLE_REGION && facts.state == VMCORE_STATE_PREPARING &&
		(facts.flags & flags) == flags)
		return 0;
	vmcore_trailer_init(&trailer, record, VMCORE_ROLE_REGION);
	trailer.flags = flags;
	return filemap_write(fd, trailer_off(record), &trailer, sizeof(trailer));
}

int dumpfile_mark_released(int fd, const struct dump_record *record)
{
	struct dumpfile_facts facts = dumpfile_look(fd, record);
	uint32_t flags = facts.flags | VMCORE_FLAG_RELEASED;

	if (!facts.ours || flags == facts.flags)
		return 0;
	return io_pwrite_full(
		fd, &flags, sizeof(flags), trailer_off(record) + offsetof(struct vmcore_trailer, flags));
}

void dumpfile_copy_counts(struct vmcore_trailer *to, const struct vmcore_trailer *from)
{
	to->distrusted = from->distrusted;
	memcpy(to->excluded, from->excluded, sizeof(to->excluded));
	memcpy(to->distrust, from->distrust, sizeof(to->distrust));
	memcpy(to->reasons, from->reasons, sizeof(to->reasons));
	to->unreadable = from->unreadable;
}

int dumpfile_take_tables(struct dump_tail *to, const struct dump_tail *from)
{
	memcpy(to->selected, from->selected, to->trailer->places.bitmap_bytes);
	dumpfile_copy_counts(to->trailer, from->trailer);
	to->trailer->flags &= ~VMCORE_FLAG_RELEASED;
	return dump_tail_set_state(to, VMCORE_STATE_DUMPING);
}

/*
 * A region is one until it is complete, and only then a dump: what is left by a kill between the two is known to be whole by
 * its state.
 */
int dumpfile_complete(struct dump_tail *tail, uint64_t nr_chunks)
{
	int r = dump_tail_mark_all(tail, nr_chunks, VMCORE_CHUNK_DONE);

	tail->trailer->error = 0;
	if (!r)
		r = dump_tail_set_state(tail, VMCORE_STATE_COMPLETE);
	if (!r && tail->trailer->role != VMCORE_ROLE_DUMP)
		r = dump_tail_set_role(tail, VMCORE_ROLE_DUMP);
	return r;
}
