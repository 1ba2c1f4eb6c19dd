/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/elf_builder.h - small kernel images for tests, to be broken field by field.
 *
 *	offset 0      ELF header
 *	64            program headers: note, load, load
 *	0x200         the PVH entry note (20 bytes)
 *	0x300         CODE_BYTES of the first segment, at CODE_GPA
 *	0x400         DATA_BYTES of the second segment, at DATA_GPA; more in memory than in the file
 */
#ifndef TESTS_UNIT_ELF_BUILDER_H
#define TESTS_UNIT_ELF_BUILDER_H

#include <elf.h>
#include <stdint.h>

#define ELF_BUILDER_ENTRY 0x100040u
#define ELF_BUILDER_CODE_GPA 0x100000ull
#define ELF_BUILDER_CODE_BYTES 0x100u
#define ELF_BUILDER_DATA_GPA 0x200ff0ull /* over a page boundary */
#define ELF_BUILDER_DATA_BYTES 0x40u
#define ELF_BUILDER_DATA_MEMORY 0x3000u
#define ELF_BUILDER_HEADERS 3

enum { ELF_BUILDER_NOTE, ELF_BUILDER_CODE, ELF_BUILDER_DATA }; /* index in ph[] */

struct elf_builder {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[ELF_BUILDER_HEADERS];
	struct {
		Elf64_Nhdr head;
		char name[4];
		uint32_t entry;
	} note;
	unsigned char code[ELF_BUILDER_CODE_BYTES];
	unsigned char data[ELF_BUILDER_DATA_BYTES];
};

/* A valid image. */
void elf_builder_init(struct elf_builder *builder);

/* A file (memfd) with the image in it; the caller closes it. */
int elf_builder_file(const struct elf_builder *builder);

#endif /* TESTS_UNIT_ELF_BUILDER_H */
