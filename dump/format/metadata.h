/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/format/metadata.h - what the notes of a vmcore say about the crash: our metadata, the timeline, the
 * registers.  docs/vmcore.md describes the notes.
 *
 * Notes are hostile: what breaks a rule is left out, texts are made to end, numbers that count or
 * measure something are checked.  Texts may still hold any byte: they are not for a terminal as they are.
 *
 * Locks: none.
 */
#ifndef DUMP_FORMAT_METADATA_H
#define DUMP_FORMAT_METADATA_H

#include "dump/format/elfcore.h"
#include "dump/format/vmcore.h"

/* our choice: more vCPUs than any dump that this project or another makes */
#define METADATA_CPUS_MAX 4096

/* Registers of a vCPU in the layout of QEMU's CPU note from its rax on, which is that of struct dump_cpu. */
struct core_regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
	struct dump_cpu_segment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
	uint64_t cr[5];
	uint64_t kernel_gs_base;
};
VMCORE_OFFSET_ASSERT(core_regs, rip, 128);
VMCORE_OFFSET_ASSERT(core_regs, cs, 144);
VMCORE_OFFSET_ASSERT(core_regs, kernel_gs_base, 424);
VMCORE_SIZE_ASSERT(core_regs, 432);

struct core_cpu {
	struct core_regs regs;    /* as far as the notes tell; the rest is 0 */
	bool has_general;         /* a PRSTATUS or QEMU note: general registers, rip, rflags, selectors */
	bool has_system;          /* a QEMU note: the rest too */
	size_t raw_bytes;         /* of raw register state, 0 = none */
	const unsigned char *raw; /* in the notes; not aligned */
};

struct metadata {
	bool has_meta;           /* @meta is there and obeys the rules */
	struct vmcore_meta meta; /* fields beyond meta.size are 0, every text ends */
	const char *timeline;    /* the note's text, in the notes, not NUL-terminated; NULL = none */
	size_t timeline_len;
	uint64_t moments[DUMP_MOMENT_NR]; /* parsed from the timeline; 0 = not reached or not told */
	struct fw_regs *panic_regs;       /* owned: what the panic call named */
	uint32_t nr_panic_regs;
	const char *vmcoreinfo; /* in the notes, not NUL-terminated; NULL = none */
	size_t vmcoreinfo_len;
	struct core_cpu *cpus; /* owned */
	uint32_t nr_cpus;
};

/*
 * metadata_read - from the notes of @core, which must outlive *ret.
 * Errors: -ENOMEM alone; a file without any note of ours gives one with has_meta false.
 */
int warn_unused metadata_read(const struct elfcore *core, struct metadata *ret);
void metadata_fini(struct metadata *metadata);

#endif /* DUMP_FORMAT_METADATA_H */
