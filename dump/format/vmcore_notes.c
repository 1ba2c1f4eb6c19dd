/* SPDX-License-Identifier: Apache-2.0 */
/* dump/format/vmcore_notes.c - the notes of a vmcore: see vmcore.h */
#include "dump/format/vmcore.h"

#include "dump/record/choices.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * NT_PRSTATUS as crash, gdb and makedumpfile expect it on x86-64: struct elf_prstatus of 0x150 bytes.
 * Only the fields that a VM has are named.
 */
struct prstatus {
	uint8_t unused1[32];
	uint32_t pid; /* vCPU number + 1: debuggers show it as the thread */
	uint8_t unused2[76];
	struct { /* struct user_regs_struct of <sys/user.h>, in its order */
		uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax;
		uint64_t rip, cs, eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
	} regs;
	uint64_t unused3;
};
VMCORE_OFFSET_ASSERT(prstatus, pid, 32);
VMCORE_OFFSET_ASSERT(prstatus, regs, 112);
VMCORE_SIZE_ASSERT(prstatus, 0x150);

/* QEMU's CPU note, version 1.  From rax on it is laid out as struct dump_cpu. */
#define QEMU_NOTE_VERSION 1
#define QEMU_NOTE_STATE 432
struct qemu_cpu {
	uint32_t version;
	uint32_t size;
	uint8_t state[QEMU_NOTE_STATE]; /* rax .. kernel_gs_base */
};
VMCORE_SIZE_ASSERT(qemu_cpu, 0x1b8);
VMCORE_OFFSET_ASSERT(dump_cpu, rax, 0);
VMCORE_OFFSET_ASSERT(dump_cpu, rip, 128);
VMCORE_OFFSET_ASSERT(dump_cpu, cs, 144);
VMCORE_OFFSET_ASSERT(dump_cpu, idt, 360);
VMCORE_OFFSET_ASSERT(dump_cpu, cr, 384);
VMCORE_OFFSET_ASSERT(dump_cpu, kernel_gs_base, QEMU_NOTE_STATE - 8);

/* The notes as they are put together: appended to, never beyond @size. */
struct notes {
	unsigned char *buf;
	size_t size; /* bytes allocated */
	size_t used;
	int error; /* -EFBIG once something did not fit */
};

static void *notes_append(struct notes *notes, const void *data, size_t len)
{
	unsigned char *at = notes->buf + notes->used;

	if (notes->error || len > notes->size - notes->used) {
		notes->error = -EFBIG;
		return NULL;
	}
	if (len)
		memcpy(at, data, len);
	notes->used += len;
	return at;
}

static void notes_align4(struct notes *notes)
{
	static const char zeros[4];

	notes_append(notes, zeros, -notes->used & 3);
}

/* Note of two parts, so that a descriptor need not be put together first; @more may be NULL. */
static size_t append_note2(struct notes *notes, const char *name, uint32_t type, const void *desc,
	size_t len, const void *more, size_t more_len)
{
	Elf64_Nhdr note = {
		.n_namesz = (Elf64_Word)strlen(name) + 1,
		.n_descsz = (Elf64_Word)(len + more_len),
		.n_type = type,
	};
	size_t desc_off;

	notes_append(notes, &note, sizeof(note));
	notes_append(notes, name, note.n_namesz);
	notes_align4(notes);
	desc_off = notes->used;
	notes_append(notes, desc, len);
	notes_append(notes, more, more_len);
	notes_align4(notes);
	return desc_off;
}

static size_t append_note(
	struct notes *notes, const char *name, uint32_t type, const void *desc, size_t len)
{
	return append_note2(notes, name, type, desc, len, NULL, 0);
}

static void append_prstatus(struct notes *notes, uint32_t nr, const struct dump_cpu *cpu)
{
	struct prstatus st = {
		.pid = nr + 1,
		.regs =
			{
				.r15 = cpu->r15,
				.r14 = cpu->r14,
				.r13 = cpu->r13,
				.r12 = cpu->r12,
				.rbp = cpu->rbp,
				.rbx = cpu->rbx,
				.r11 = cpu->r11,
				.r10 = cpu->r10,
				.r9 = cpu->r9,
				.r8 = cpu->r8,
				.rax = cpu->rax,
				.rcx = cpu->rcx,
				.rdx = cpu->rdx,
				.rsi = cpu->rsi,
				.rdi = cpu->rdi,
				.orig_rax = 0,
				.rip = cpu->rip,
				.cs = cpu->cs.selector,
				.eflags = cpu->rflags,
				.rsp = cpu->rsp,
				.ss = cpu->ss.selector,
				.fs_base = cpu->fs.base,
				.gs_base = cpu->gs.base,
				.ds = cpu->ds.selector,
				.es = cpu->es.selector,
				.fs = cpu->fs.selector,
				.gs = cpu->gs.selector,
			},
	};

	append_note(notes, "CORE", NT_PRSTATUS, &st, sizeof(st));
}

static void append_qemu(struct notes *notes, const struct dump_cpu *cpu)
{
	struct qemu_cpu note = {.version = QEMU_NOTE_VERSION, .size = sizeof(note)};

	memcpy(note.state, cpu, sizeof(note.state));
	append_note(notes, "QEMU", 0, &note, sizeof(note));
}

static void append_raw(struct notes *notes, uint32_t nr, const struct dump_cpu *cpu)
{
	struct vmcore_raw raw = {.cpu = nr, .bytes = cpu->raw_len};

	append_note2(notes, VMCORE_NOTE_NAME, VMCORE_NOTE_RAW, &raw, sizeof(raw), cpu->raw, cpu->raw_len);
}

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

static void append_meta(struct notes *notes, const struct dump_record *record)
{
	struct vmcore_meta meta = {
		.version = VMCORE_VERSION,
		.size = sizeof(meta),
		.generation = record->generation,
		.reason = record->reason,
		.crash_cpu = record->crash_cpu,
		.nr_cpus = record->nr_cpus,
		.wall_ns = record->wall_ns,
		.detail = record->detail,
		.head = record->layout.head,
		.ram = record->layout.ram,
		.tail = record->layout.tail,
		.chunk = record->options.chunk,
		.places = vmcore_places(&record->layout, record->options.chunk),
		.panic_time_ns = record->panic.time_ns,
		.panic_tsc = record->panic.tsc,
		.panic_cpu = record->panic.cpu,
		.panic_flags = record->panic.flags,
		.page_table = record->panic.page_table,
		.page_desc = record->panic.page_desc,
		.nr_page_desc = record->panic.nr_page_desc,
		.select = record->panic.select,
		.nr_select = record->panic.nr_select,
		.nr_regs = record->nr_regs,
		.panic_string_len = record->panic_string_len,
	};

	copy_text(meta.reason_name, sizeof(meta.reason_name), dump_reason_name(record->reason));
	copy_text(meta.strategy, sizeof(meta.strategy), dump_strategies[record->options.strategy].name);
	dump_select_format(record->options.selectors, meta.selector, sizeof(meta.selector));
	copy_text(meta.guest, sizeof(meta.guest), record->guest);
	copy_text(meta.name, sizeof(meta.name), record->name);
	copy_text(meta.vmm_version, sizeof(meta.vmm_version), record->vmm_version);
	memcpy(meta.panic_string, record->panic_string, record->panic_string_len);
	memcpy(meta.id, record->id, sizeof(meta.id));
	append_note(notes, VMCORE_NOTE_NAME, VMCORE_NOTE_META, &meta, sizeof(meta));
}

/* All notes in the order that the tools insist on.  Result: offset of the timeline text. */
static size_t append_notes(struct notes *notes, const struct dump_record *record)
{
	char timeline[VMCORE_TIMELINE_BYTES];
	size_t timeline_off;

	for (uint32_t i = 0; i < record->nr_cpus; i++)
		append_prstatus(notes, i, &record->cpus[i]);
	for (uint32_t i = 0; i < record->nr_cpus; i++)
		append_qemu(notes, &record->cpus[i]);
	if (record->vmcoreinfo_len && record->vmcoreinfo_len <= VMCOREINFO_TEXT_MAX)
		append_note(notes, "VMCOREINFO", 0, record->vmcoreinfo, record->vmcoreinfo_len);
	append_meta(notes, record);
	vmcore_timeline(record, timeline);
	timeline_off = append_note(
		notes, VMCORE_NOTE_NAME, VMCORE_NOTE_TIMELINE, timeline, sizeof(timeline));
	append_note(notes, VMCORE_NOTE_NAME, VMCORE_NOTE_REGS, record->regs,
		record->nr_regs * sizeof(record->regs[0]));
	for (uint32_t i = 0; i < record->nr_cpus; i++)
		append_raw(notes, i, &record->cpus[i]);
	return timeline_off;
}

/* What the largest record takes, and what one of @cpus vCPUs takes; both a bit more than is needed. */
#define CPU_BYTES                                                                                          \
	(sizeof(struct prstatus) + sizeof(struct qemu_cpu) + sizeof(struct vmcore_raw) + DUMP_RAW_MAX +    \
		128 /* three note headers with names */)
#define FIXED_BYTES                                                                                        \
	(PAGE_SIZE_4K /* our headers and names */ + VMCOREINFO_TEXT_MAX + sizeof(struct vmcore_meta) +     \
		VMCORE_TIMELINE_BYTES + FW_PANIC_REGS_MAX * sizeof(struct fw_regs))
_Static_assert(VMCORE_HEADERS_MAX + VMCORE_TIMELINE_BYTES + FIXED_BYTES + DUMP_VCPUS_MAX * CPU_BYTES <=
		       VMCORE_SLOT_BYTES,
	"the notes of any record fit into each of the two places");

int vmcore_notes_create(const struct dump_record *record, struct vmcore_notes *ret)
{
	struct notes notes = {.size = FIXED_BYTES + record->nr_cpus * CPU_BYTES};
	size_t timeline;

	notes.buf = calloc(1, notes.size);
	if (!notes.buf)
		return -ENOMEM;
	timeline = append_notes(&notes, record);
	if (notes.error) {
		free(notes.buf);
		return notes.error;
	}
	*ret = (struct vmcore_notes){.buf = notes.buf, .bytes = notes.used, .timeline = timeline};
	return 0;
}

void vmcore_timeline(const struct dump_record *record, char text[static VMCORE_TIMELINE_BYTES])
{
	char buf[VMCORE_TIMELINE_BYTES + 1];
	int len;

	len = snprintf(
		buf, sizeof(buf), "{\"clock\": \"CLOCK_MONOTONIC\", \"unit\": \"ns\", \"moments\": {");
	for (int i = 0; i < DUMP_MOMENT_NR; i++) {
		uint64_t ns = atomic_load(&record->moments[i]);
		char value[24] = "null";

		if (ns)
			snprintf(value, sizeof(value), "%llu", (unsigned long long)ns);
		len += snprintf(buf + len, sizeof(buf) - (size_t)len, "%s\"%s\": %s", i ? ", " : "",
			dump_moment_name((enum dump_moment)i), value);
		assert(len < VMCORE_TIMELINE_BYTES - 4);
	}
	len += snprintf(buf + len, sizeof(buf) - (size_t)len, "}}");
	memcpy(text, buf, (size_t)len);
	memset(text + len, ' ', VMCORE_TIMELINE_BYTES - (size_t)len);
	text[VMCORE_TIMELINE_BYTES - 1] = '\n';
}
