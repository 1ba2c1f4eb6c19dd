/* SPDX-License-Identifier: Apache-2.0 */
/* dump/format/vmcore_head.c - ELF header and program headers of a vmcore, and where its notes lie: see vmcore.h */
#include "dump/format/vmcore.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * p_align is 0: crash would otherwise take the file for a netdump.  p_vaddr = p_paddr lets gdb read
 * guest-physical memory by address.
 */
size_t vmcore_loads(const struct dump_layout *layout, Elf64_Phdr loads[static DUMP_SEGMENTS_MAX])
{
	for (uint32_t i = 0; i < layout->nr_segments; i++) {
		const struct dump_segment *seg = &layout->segments[i];

		loads[i] = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags = PF_R | PF_W | PF_X,
			.p_offset = layout->head + seg->off,
			.p_vaddr = seg->gpa,
			.p_paddr = seg->gpa,
			.p_filesz = seg->size,
			.p_memsz = seg->size,
			.p_align = 0,
		};
	}
	return layout->nr_segments;
}

struct vmcore_start vmcore_start(uint64_t notes_off, size_t notes_bytes, size_t nr_loads)
{
	struct vmcore_start start = {
		.ehdr =
			{
				.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
					EV_CURRENT, ELFOSABI_NONE},
				.e_type = ET_CORE,
				.e_machine = EM_X86_64,
				.e_version = EV_CURRENT,
				/* makedumpfile looks at offset 64 whatever stands here */
				.e_phoff = sizeof(start.ehdr),
				.e_ehsize = sizeof(start.ehdr),
				.e_phentsize = sizeof(Elf64_Phdr),
				.e_phnum = (Elf64_Half)(1 + nr_loads),
			},
		.note =
			{
				.p_type = PT_NOTE,
				.p_offset = notes_off,
				.p_filesz = notes_bytes,
				.p_memsz = notes_bytes,
			},
	};

	return start;
}

/* The first place from @from on where notes may begin and their timeline lies in one page. */
static uint64_t place_notes(uint64_t from, size_t timeline)
{
	uint64_t in_page = (from + timeline) % PAGE_SIZE_4K;

	return in_page + VMCORE_TIMELINE_BYTES <= PAGE_SIZE_4K ? from : from + PAGE_SIZE_4K - in_page;
}

uint64_t vmcore_notes_off(enum vmcore_slot slot, const struct dump_layout *layout, size_t timeline)
{
	return place_notes(slot == VMCORE_SLOT_A
				   ? sizeof(struct vmcore_start) + layout->nr_segments * sizeof(Elf64_Phdr)
				   : VMCORE_SLOT_BYTES,
		timeline);
}

int vmcore_head_create(const struct dump_record *record, const struct vmcore_notes *notes,
	const Elf64_Phdr *more, size_t nr_more, unsigned char **ret_head, size_t *ret_bytes,
	uint64_t *ret_timeline_off)
{
	uint64_t notes_off = vmcore_notes_off(
		nr_more ? VMCORE_SLOT_B : VMCORE_SLOT_A, &record->layout, notes->timeline);
	Elf64_Phdr loads[DUMP_SEGMENTS_MAX];
	size_t nr_loads = vmcore_loads(&record->layout, loads);
	struct vmcore_start start = vmcore_start(notes_off, notes->bytes, nr_loads + nr_more);
	unsigned char *at;

	assert(nr_more <= VMCORE_VIRTUAL_MAX);
	if (notes_off + notes->bytes > record->layout.head)
		return -EFBIG;
	*ret_head = at = calloc(1, notes_off + notes->bytes);
	if (!at)
		return -ENOMEM;
	memcpy(at, &start, sizeof(start));
	memcpy(at + sizeof(start), loads, nr_loads * sizeof(*loads));
	if (nr_more)
		memcpy(at + sizeof(start) + nr_loads * sizeof(*loads), more, nr_more * sizeof(*more));
	memcpy(at + notes_off, notes->buf, notes->bytes);
	*ret_bytes = notes_off + notes->bytes;
	*ret_timeline_off = notes_off + notes->timeline;
	return 0;
}
