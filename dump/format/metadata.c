/* SPDX-License-Identifier: Apache-2.0 */
/* dump/format/metadata.c - see metadata.h */
#include "dump/format/metadata.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NT_PRSTATUS of x86-64: 27 registers of 8 bytes, in the order of struct user_regs_struct. */
#define PRSTATUS_BYTES 0x150
#define PRSTATUS_REGS 112
enum prstatus_reg {
	REG_R15,
	REG_R14,
	REG_R13,
	REG_R12,
	REG_RBP,
	REG_RBX,
	REG_R11,
	REG_R10,
	REG_R9,
	REG_R8,
	REG_RAX,
	REG_RCX,
	REG_RDX,
	REG_RSI,
	REG_RDI,
	REG_ORIG_RAX,
	REG_RIP,
	REG_CS,
	REG_RFLAGS,
	REG_RSP,
	REG_SS,
	REG_FS_BASE,
	REG_GS_BASE,
	REG_DS,
	REG_ES,
	REG_FS,
	REG_GS,
	REG_NR
};

/* QEMU's CPU note: u32 version, u32 size, then struct core_regs. */
#define QEMU_REGS 8

/* the first fields of the metadata, without which the rest has no meaning */
#define META_BYTES_MIN offsetof(struct vmcore_meta, panic_time_ns)

static void end_text(char *text, size_t size)
{
	text[size - 1] = '\0';
}

static void read_meta(struct metadata *metadata, const struct core_note *note)
{
	struct vmcore_meta meta = {0};
	size_t len = u64_min(note->len, sizeof(meta));

	if (metadata->has_meta || note->len < META_BYTES_MIN)
		return;
	memcpy(&meta, note->desc, len);
	if (meta.version != VMCORE_VERSION || meta.size < META_BYTES_MIN || meta.size > note->len)
		return;
	if (meta.size < len)
		memset((unsigned char *)&meta + meta.size, 0, len - meta.size);
	end_text(meta.reason_name, sizeof(meta.reason_name));
	end_text(meta.strategy, sizeof(meta.strategy));
	end_text(meta.selector, sizeof(meta.selector));
	end_text(meta.guest, sizeof(meta.guest));
	end_text(meta.name, sizeof(meta.name));
	end_text(meta.vmm_version, sizeof(meta.vmm_version));
	meta.panic_string_len = (uint32_t)u64_min(meta.panic_string_len, sizeof(meta.panic_string));
	metadata->meta = meta;
	metadata->has_meta = true;
}

/* The decimal number after "@name": in a text of @len bytes; 0 if there is none. */
static uint64_t number_after(const char *text, size_t len, const char *name)
{
	char key[32];
	int key_len = snprintf(key, sizeof(key), "\"%s\":", name);
	const char *at = memmem(text, len, key, (size_t)key_len);
	const char *end = text + len;
	uint64_t value = 0;

	if (!at)
		return 0;
	for (at += key_len; at < end && *at == ' '; at++)
		;
	for (; at < end && isdigit((unsigned char)*at); at++)
		if (u64_mul_overflows(value, 10, &value) ||
			u64_add_overflows(value, (uint64_t)(*at - '0'), &value))
			return 0;
	return value;
}

static void read_timeline(struct metadata *metadata, const struct core_note *note)
{
	const char *text = (const char *)note->desc;

	if (metadata->timeline)
		return;
	metadata->timeline = text;
	metadata->timeline_len = strnlen(text, u64_min(note->len, VMCORE_TIMELINE_BYTES));
	for (int i = 0; i < DUMP_MOMENT_NR; i++)
		metadata->moments[i] = number_after(
			text, metadata->timeline_len, dump_moment_name((enum dump_moment)i));
}

static void read_panic_regs(struct metadata *metadata, const struct core_note *note)
{
	uint32_t nr = (uint32_t)u64_min(note->len / sizeof(struct fw_regs), FW_PANIC_REGS_MAX);

	if (metadata->panic_regs || !nr)
		return;
	metadata->panic_regs = calloc(nr, sizeof(metadata->panic_regs[0]));
	if (!metadata->panic_regs)
		return;
	memcpy(metadata->panic_regs, note->desc, nr * sizeof(metadata->panic_regs[0]));
	metadata->nr_panic_regs = nr;
}

static void read_prstatus(struct core_cpu *cpu, const struct core_note *note)
{
	uint64_t from[REG_NR];

	if (note->len < PRSTATUS_BYTES)
		return;
	memcpy(from, note->desc + PRSTATUS_REGS, sizeof(from));
	cpu->regs = (struct core_regs){
		.rax = from[REG_RAX],
		.rbx = from[REG_RBX],
		.rcx = from[REG_RCX],
		.rdx = from[REG_RDX],
		.rsi = from[REG_RSI],
		.rdi = from[REG_RDI],
		.rsp = from[REG_RSP],
		.rbp = from[REG_RBP],
		.r8 = from[REG_R8],
		.r9 = from[REG_R9],
		.r10 = from[REG_R10],
		.r11 = from[REG_R11],
		.r12 = from[REG_R12],
		.r13 = from[REG_R13],
		.r14 = from[REG_R14],
		.r15 = from[REG_R15],
		.rip = from[REG_RIP],
		.rflags = from[REG_RFLAGS],
		.cs.selector = (uint32_t)from[REG_CS],
		.ds.selector = (uint32_t)from[REG_DS],
		.es.selector = (uint32_t)from[REG_ES],
		.fs = {.selector = (uint32_t)from[REG_FS], .base = from[REG_FS_BASE]},
		.gs = {.selector = (uint32_t)from[REG_GS], .base = from[REG_GS_BASE]},
		.ss.selector = (uint32_t)from[REG_SS],
	};
	cpu->has_general = true;
}

static void read_qemu(struct core_cpu *cpu, const struct core_note *note)
{
	if (note->len < QEMU_REGS + sizeof(cpu->regs))
		return;
	memcpy(&cpu->regs, note->desc + QEMU_REGS, sizeof(cpu->regs));
	cpu->has_general = true;
	cpu->has_system = true;
}

static void read_raw(struct metadata *metadata, const struct core_note *note)
{
	struct vmcore_raw raw;

	if (note->len < sizeof(raw))
		return;
	memcpy(&raw, note->desc, sizeof(raw));
	if (raw.cpu >= metadata->nr_cpus || raw.bytes > note->len - sizeof(raw) ||
		metadata->cpus[raw.cpu].raw)
		return;
	metadata->cpus[raw.cpu].raw = note->desc + sizeof(raw);
	metadata->cpus[raw.cpu].raw_bytes = raw.bytes;
}

static bool is_prstatus(const struct core_note *note)
{
	return !strcmp(note->name, "CORE") && note->type == NT_PRSTATUS;
}

static bool is_qemu(const struct core_note *note)
{
	return !strcmp(note->name, "QEMU") && !note->type;
}

static uint32_t count_cpus(const struct elfcore *core)
{
	uint32_t prstatus = 0, qemu = 0;
	struct core_note note;
	size_t pos = 0;

	while (elfcore_note(core, &pos, &note)) {
		prstatus += is_prstatus(&note);
		qemu += is_qemu(&note);
	}
	return (uint32_t)u64_min(u64_max(prstatus, qemu), METADATA_CPUS_MAX);
}

/* The nth note of a kind is the nth vCPU's.  What QEMU's note says replaces what PRSTATUS says. */
static void read_registers(struct metadata *metadata, const struct elfcore *core)
{
	uint32_t prstatus = 0, qemu = 0;
	struct core_note note;

	for (size_t pos = 0; elfcore_note(core, &pos, &note);)
		if (is_prstatus(&note) && prstatus < metadata->nr_cpus)
			read_prstatus(&metadata->cpus[prstatus++], &note);
	for (size_t pos = 0; elfcore_note(core, &pos, &note);)
		if (is_qemu(&note) && qemu < metadata->nr_cpus)
			read_qemu(&metadata->cpus[qemu++], &note);
}

static void read_ours(struct metadata *metadata, const struct core_note *note)
{
	switch (note->type) {
	case VMCORE_NOTE_META:
		read_meta(metadata, note);
		break;
	case VMCORE_NOTE_TIMELINE:
		read_timeline(metadata, note);
		break;
	case VMCORE_NOTE_REGS:
		read_panic_regs(metadata, note);
		break;
	case VMCORE_NOTE_RAW:
		read_raw(metadata, note);
		break;
	default:
		break; /* of a later version */
	}
}

int metadata_read(const struct elfcore *core, struct metadata *ret)
{
	struct metadata metadata = {.nr_cpus = count_cpus(core)};
	struct core_note note;

	if (metadata.nr_cpus) {
		metadata.cpus = calloc(metadata.nr_cpus, sizeof(metadata.cpus[0]));
		if (!metadata.cpus)
			return -ENOMEM;
		read_registers(&metadata, core);
	}
	for (size_t pos = 0; elfcore_note(core, &pos, &note);) {
		if (!strcmp(note.name, VMCORE_NOTE_NAME)) {
			read_ours(&metadata, &note);
		} else if (!strcmp(note.name, "VMCOREINFO") && !note.type && !metadata.vmcoreinfo) {
			metadata.vmcoreinfo = (const char *)note.desc;
			metadata.vmcoreinfo_len = note.len;
		}
	}
	if (metadata.has_meta && metadata.meta.crash_cpu >= u64_max(metadata.nr_cpus, 1))
		metadata.meta.crash_cpu = 0;
	*ret = metadata;
	return 0;
}

void metadata_fini(struct metadata *metadata)
{
	free(metadata->panic_regs);
	free(metadata->cpus);
	*metadata = (struct metadata){0};
}
