/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/elf_builder.c - see elf_builder.h */
#include "tests/unit/elf_builder.h"

#include "dump/base/io.h"

#include <check.h>
#include <string.h>
#include <sys/mman.h>

#define NOTE_OFFSET 0x200
#define CODE_OFFSET 0x300
#define DATA_OFFSET 0x400
#define PHYS32_ENTRY 18 /* Xen public headers, elfnote.h */

void elf_builder_init(struct elf_builder *b)
{
	memset(b, 0, sizeof(*b));
	memcpy(b->eh.e_ident, ELFMAG, SELFMAG);
	b->eh.e_ident[EI_CLASS] = ELFCLASS64;
	b->eh.e_ident[EI_DATA] = ELFDATA2LSB;
	b->eh.e_ident[EI_VERSION] = EV_CURRENT;
	b->eh.e_type = ET_EXEC;
	b->eh.e_machine = EM_X86_64;
	b->eh.e_version = EV_CURRENT;
	b->eh.e_phoff = sizeof(b->eh);
	b->eh.e_ehsize = sizeof(b->eh);
	b->eh.e_phentsize = sizeof(Elf64_Phdr);
	b->eh.e_phnum = ELF_BUILDER_HEADERS;
	b->ph[ELF_BUILDER_NOTE] = (Elf64_Phdr){.p_type = PT_NOTE,
		.p_offset = NOTE_OFFSET,
		.p_filesz = sizeof(b->note),
		.p_memsz = sizeof(b->note),
		.p_align = 4};
	b->ph[ELF_BUILDER_CODE] = (Elf64_Phdr){.p_type = PT_LOAD,
		.p_offset = CODE_OFFSET,
		.p_paddr = ELF_BUILDER_CODE_GPA,
		.p_filesz = sizeof(b->code),
		.p_memsz = sizeof(b->code)};
	b->ph[ELF_BUILDER_DATA] = (Elf64_Phdr){.p_type = PT_LOAD,
		.p_offset = DATA_OFFSET,
		.p_paddr = ELF_BUILDER_DATA_GPA,
		.p_filesz = sizeof(b->data),
		.p_memsz = ELF_BUILDER_DATA_MEMORY};
	b->note.head = (Elf64_Nhdr){.n_namesz = 4, .n_descsz = 4, .n_type = PHYS32_ENTRY};
	memcpy(b->note.name, "Xen", 4);
	b->note.entry = ELF_BUILDER_ENTRY;
	for (size_t i = 0; i < sizeof(b->code); i++)
		b->code[i] = (unsigned char)(i + 1);
	for (size_t i = 0; i < sizeof(b->data); i++)
		b->data[i] = (unsigned char)(0x80 + i);
}

int elf_builder_file(const struct elf_builder *b)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert(!io_pwrite_full(fd, &b->eh, sizeof(b->eh), 0) &&
		  !io_pwrite_full(fd, b->ph, sizeof(b->ph), sizeof(b->eh)) &&
		  !io_pwrite_full(fd, &b->note, sizeof(b->note), NOTE_OFFSET) &&
		  !io_pwrite_full(fd, b->code, sizeof(b->code), CODE_OFFSET) &&
		  !io_pwrite_full(fd, b->data, sizeof(b->data), DATA_OFFSET));
	return fd;
}
