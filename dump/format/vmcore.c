/* SPDX-License-Identifier: Apache-2.0 */
/* dump/format/vmcore.c - see vmcore.h */
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

/* The head room as it is filled: appended to, never beyond @size. */
struct head {
	unsigned char *buf;
	size_t size; /* bytes allocated */
	size_t used;
	int error; /* -EFBIG once something did not fit */
};

static void *head_append(struct head *head, const void *data, size_t len)
{
	unsigned char *at = head->buf + head->used;

	if (head->error || len > head->size - head->used) {
		head->error = -EFBIG;
		return NULL;
	}
	if (len)
		memcpy(at, data, len);
	head->used += len;
	return at;
}

static void head_align4(struct head *head)
{
	static const char zeros[4];

	head_append(head, zeros, -head->used & 3);
}

/* Note of two parts, so that a descriptor need not be put together first; @more may be NULL. */
static size_t append_note2(struct head *head, const char *name, uint32_t type, const void *desc, size_t len,
	const void *more, size_t more_len)
{
	Elf64_Nhdr note = {
		.n_namesz = (Elf64_Word)strlen(name) + 1,
		.n_descsz = (Elf64_Word)(len + more_len),
		.n_type = type,
	};
	size_t desc_off;

	head_append(head, &note, sizeof(note));
	head_append(head, name, note.n_namesz);
	head_align4(head);
	desc_off = head->used;
	head_append(head, desc, len);
	head_append(head, more, more_len);
	head_align4(head);
	return desc_off;
}

static size_t append_note(struct head *head, const char *name, uint32_t type, const void *desc, size_t len)
{
	return append_note2(head, name, type, desc, len, NULL, 0);
}

static void append_prstatus(struct head *head, uint32_t nr, const struct dump_cpu *cpu)
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

	append_note(head, "CORE", NT_PRSTATUS, &st, sizeof(st));
}

static void append_qemu(struct head *head, const struct dump_cpu *cpu)
{
	struct qemu_cpu note = {.version = QEMU_NOTE_VERSION, .size = sizeof(note)};

	memcpy(note.state, cpu, sizeof(note.state));
	append_note(head, "QEMU", 0, &note, sizeof(note));
}

static void append_raw(struct head *head, uint32_t nr, const struct dump_cpu *cpu)
{
	struct vmcore_raw raw = {.cpu = nr, .bytes = cpu->raw_len};

	append_note2(head, VMCORE_NOTE_NAME, VMCORE_NOTE_RAW, &raw, sizeof(raw), cpu->raw, cpu->raw_len);
}

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

static void append_meta(struct head *head, const struct dump_record *record)
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
	append_note(head, VMCORE_NOTE_NAME, VMCORE_NOTE_META, &meta, sizeof(meta));
}

/* All notes in the order that the tools insist on.  Result: offset of the timeline text. */
static size_t append_notes(struct head *head, const struct dump_record *record)
{
	char timeline[VMCORE_TIMELINE_BYTES];
	size_t timeline_off;

	for (uint32_t i = 0; i < record->nr_cpus; i++)
		append_prstatus(head, i, &record->cpus[i]);
	for (uint32_t i = 0; i < record->nr_cpus; i++)
		append_qemu(head, &record->cpus[i]);
	if (record->vmcoreinfo_len && record->vmcoreinfo_len <= VMCOREINFO_TEXT_MAX)
		append_note(head, "VMCOREINFO", 0, record->vmcoreinfo, record->vmcoreinfo_len);
	append_meta(head, record);
	vmcore_timeline(record, timeline);
	timeline_off = append_note(
		head, VMCORE_NOTE_NAME, VMCORE_NOTE_TIMELINE, timeline, sizeof(timeline));
	append_note(head, VMCORE_NOTE_NAME, VMCORE_NOTE_REGS, record->regs,
		record->nr_regs * sizeof(record->regs[0]));
	for (uint32_t i = 0; i < record->nr_cpus; i++)
		append_raw(head, i, &record->cpus[i]);
	return timeline_off;
}

/*
 * p_align is 0: crash would otherwise take the file for a netdump.  p_vaddr = p_paddr lets gdb read
 * guest-physical memory by address.
 */
static void append_loads(struct head *head, const struct dump_layout *layout)
{
	for (uint32_t i = 0; i < layout->nr_segments; i++) {
		const struct dump_segment *seg = &layout->segments[i];
		Elf64_Phdr load = {
			.p_type = PT_LOAD,
			.p_flags = PF_R | PF_W | PF_X,
			.p_offset = layout->head + seg->off,
			.p_vaddr = seg->gpa,
			.p_paddr = seg->gpa,
			.p_filesz = seg->size,
			.p_memsz = seg->size,
			.p_align = 0,
		};

		head_append(head, &load, sizeof(load));
	}
}

static void append_ehdr(struct head *head, size_t nr_loads)
{
	Elf64_Ehdr ehdr = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT,
			ELFOSABI_NONE},
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(ehdr), /* makedumpfile looks at offset 64 whatever stands here */
		.e_ehsize = sizeof(ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (Elf64_Half)(1 + nr_loads),
	};

	head_append(head, &ehdr, sizeof(ehdr));
}

/* A bound of what the head of @record takes; far below the head room for any valid record. */
static size_t head_bound(const struct dump_record *record)
{
	size_t per_cpu = sizeof(struct prstatus) + sizeof(struct qemu_cpu) + sizeof(struct vmcore_raw) +
			 DUMP_RAW_MAX + 128 /* three note headers with names */;

	return (record->options.virtual_headers ? VMCORE_VIRTUAL_NOTES_OFF : 0) +
	       PAGE_SIZE_4K /* ELF and program headers, our headers */ + VMCOREINFO_TEXT_MAX +
	       sizeof(struct vmcore_meta) + VMCORE_TIMELINE_BYTES + sizeof(record->regs) +
	       record->nr_cpus * per_cpu;
}

int vmcore_head_create(const struct dump_record *record, const Elf64_Phdr *more, size_t nr_more,
	unsigned char **ret_head, size_t *ret_bytes, uint64_t *ret_timeline_off)
{
	struct head head = {.size = u64_min(head_bound(record), record->layout.head)};
	Elf64_Phdr note = {.p_type = PT_NOTE};
	size_t notes_off, timeline_off;
	unsigned char *note_at;

	assert(nr_more <= (record->options.virtual_headers ? VMCORE_VIRTUAL_MAX : 0));
	head.buf = calloc(1, head.size);
	if (!head.buf)
		return -ENOMEM;
	append_ehdr(&head, record->layout.nr_segments + nr_more);
	note_at = head_append(&head, &note, sizeof(note));
	append_loads(&head, &record->layout);
	head_append(&head, more, nr_more * sizeof(*more));
	if (record->options.virtual_headers && head.size > VMCORE_VIRTUAL_NOTES_OFF)
		head.used = VMCORE_VIRTUAL_NOTES_OFF;
	notes_off = head.used;
	timeline_off = append_notes(&head, record);
	if (head.error) {
		free(head.buf);
		return head.error;
	}
	note.p_offset = notes_off;
	note.p_filesz = head.used - notes_off;
	note.p_memsz = note.p_filesz;
	memcpy(note_at, &note, sizeof(note));
	*ret_head = head.buf;
	*ret_bytes = head.used;
	*ret_timeline_off = timeline_off;
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
	copy_text(trailer->name, sizeof(trailer->name), record->name);
	atomic_store_explicit(&trailer->state, VMCORE_STATE_PREPARING, memory_order_release);
}
