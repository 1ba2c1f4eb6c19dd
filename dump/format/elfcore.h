/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/format/elfcore.h - the ELF side of a vmcore: which guest-physical memory lies where, and the notes.
 *
 * Reads any ELF64 little-endian core file, not only ours.  Everything in the file is hostile; what
 * cannot be used is left out, and what is left out never makes the rest unreadable.
 *
 * Owns the arrays it makes.  Locks: none.
 */
#ifndef DUMP_FORMAT_ELFCORE_H
#define DUMP_FORMAT_ELFCORE_H

#include "dump/format/image.h"

#include <stdint.h>

/* One run of guest-physical memory.  Ascending in gpa, never overlapping. */
struct core_segment {
	uint64_t gpa;
	uint64_t size;       /* bytes, not 0; gpa + size does not wrap */
	uint64_t off;        /* image offset of the first byte */
	uint64_t file_bytes; /* bytes that the program header says are in the file; the rest is zeros */
};

struct elfcore {
	struct core_segment *segments; /* owned */
	size_t nr_segments;
	unsigned char *notes; /* contents of the PT_NOTE segments one after the other, owned */
	size_t notes_bytes;
	bool notes_cut; /* more notes than are read, or notes that are not in the file */
};

/*
 * elfcore_read - parse the headers of @image.
 * Errors: -EINVAL with a sentence in @why if it is no ELF64 core file or has no PT_LOAD; -EFBIG with a
 * sentence for more segments than are handled; else -errno.
 */
int warn_unused elfcore_read(struct image *image, struct elfcore *ret, char *why, size_t why_size);
void elfcore_fini(struct elfcore *core);

/* elfcore_find - the segment that @gpa lies in; NULL if it is outside. */
const struct core_segment *elfcore_find(const struct elfcore *core, uint64_t gpa);

struct core_note {
	const char *name; /* NUL-terminated, in @notes */
	uint32_t type;
	const unsigned char *desc; /* not aligned for anything */
	size_t len;
};

/*
 * elfcore_note - the note at *@pos of core->notes, which is 0 at first; moves *@pos on to the next.
 * Notes that are not whole, and names that do not end, end the list.  True while there is one.
 */
bool elfcore_note(const struct elfcore *core, size_t *pos, struct core_note *ret);

#endif /* DUMP_FORMAT_ELFCORE_H */
