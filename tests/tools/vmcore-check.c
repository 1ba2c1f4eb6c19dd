/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/tools/vmcore-check.c - the independent judge of a vmcore: structure, notes, every page that
 * the guest stub said it filled, every register that it printed.
 *
 * Knows nothing of the project's code, only <elf.h>, docs/vmcore.md and docs/guest-stub.md: it must
 * not inherit the writer's mistakes.  Prints one line a check, "ok" or "BAD" first, then a summary.
 * Reads holes with pread, so that looking at a sparse dump does not fill it.
 *
 * Exit status: 0 every check passed, 1 one failed or the file cannot be read, 2 usage.
 */
#include "tests/tools/stub-formula.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE ((uint64_t)FORMULA_PAGE)
#define BLOCK_PAGES 256u /* our choice: 1 MiB a read, stays in the second-level cache */
#define PHDRS_MAX 65536u
#define NOTES_MAX (64u << 20) /* bytes; our choice: far above 64 vCPUs' worth */
#define CPUS_MAX 64u
#define RANGES_MAX 4096u
#define BLANKS " \t\r\n"

/* docs/vmcore.md; Linux' struct elf_prstatus and QEMU's QEMUCPUState for x86-64 */
#define PRSTATUS_SIZE 0x150u
#define PRSTATUS_REGS 112u
#define QEMU_NOTE_SIZE 0x1b8u
#define QEMU_NOTE_REGS 8u
#define QEMU_NOTE_SEGMENTS 152u
#define QEMU_NOTE_SEGMENT 24u
#define QEMU_NOTE_CR 392u

enum kind { KIND_PATTERN, KIND_ZERO, KIND_TEXT, KIND_FREED, KIND_TOUCH, KIND_HOLE, KIND_ANY, KIND_NR };

static const char *const kind_names[KIND_NR] = {
	[KIND_PATTERN] = "pattern",
	[KIND_ZERO] = "zero",
	[KIND_TEXT] = "text",
	[KIND_FREED] = "freed",
	[KIND_TOUCH] = "touch",
	[KIND_HOLE] = "hole",
	[KIND_ANY] = "any",
};

/* Frames [first, last] and what they must contain. */
struct range {
	enum kind kind;
	uint64_t first, last;
	uint64_t seed;
};

/* A register by the name that the stub prints. */
struct reg {
	const char *name;
	int prstatus; /* byte offset in NT_PRSTATUS' descriptor; -1 = not there */
	int qemu;     /* byte offset in QEMU's; -1 = not there */
	unsigned qemu_bytes;
};

/* clang-format off: tables read better as tables */
#define REG(name, prstatus_index, qemu_index)                                                              \
	{                                                                                                  \
		name, PRSTATUS_REGS + 8 * (prstatus_index), QEMU_NOTE_REGS + 8 * (qemu_index), 8           \
	}
#define SELECTOR(name, prstatus_index, segment)                                                            \
	{                                                                                                  \
		name, PRSTATUS_REGS + 8 * (prstatus_index),                                                \
			QEMU_NOTE_SEGMENTS + QEMU_NOTE_SEGMENT *(segment), 4                               \
	}
#define BASE(name, prstatus_index, segment)                                                                \
	{                                                                                                  \
		name, PRSTATUS_REGS + 8 * (prstatus_index),                                                \
			QEMU_NOTE_SEGMENTS + QEMU_NOTE_SEGMENT *(segment) + 16, 8                          \
	}
#define CONTROL(name, number)                                                                              \
	{                                                                                                  \
		name, -1, QEMU_NOTE_CR + 8 * (number), 8                                                   \
	}

static const struct reg regs[] = {
	REG("r15", 0, 15),
	REG("r14", 1, 14),
	REG("r13", 2, 13),
	REG("r12", 3, 12),
	REG("rbp", 4, 7),
	REG("rbx", 5, 1),
	REG("r11", 6, 11),
	REG("r10", 7, 10),
	REG("r9", 8, 9),
	REG("r8", 9, 8),
	REG("rax", 10, 0),
	REG("rcx", 11, 2),
	REG("rdx", 12, 3),
	REG("rsi", 13, 4),
	REG("rdi", 14, 5),
	REG("rip", 16, 16),
	REG("rflags", 18, 17),
	REG("rsp", 19, 6),
	SELECTOR("cs", 17, 0),
	SELECTOR("ss", 20, 5),
	SELECTOR("ds", 23, 1),
	SELECTOR("es", 24, 2),
	SELECTOR("fs", 25, 3),
	SELECTOR("gs", 26, 4),
	BASE("fs_base", 21, 3),
	BASE("gs_base", 22, 4),
	CONTROL("cr0", 0),
	CONTROL("cr2", 2),
	CONTROL("cr3", 3),
	CONTROL("cr4", 4),
};
/* clang-format on */
#define NR_REGS (sizeof(regs) / sizeof(regs[0]))

/* What the stub printed of one vCPU. */
struct printed_cpu {
	bool seen;
	bool absent; /* it said that this one did not start or did not stop */
	bool has[NR_REGS];
	uint64_t low[NR_REGS], high[NR_REGS]; /* equal, but for a register printed as a range */
};

struct judge {
	/* what is asked */
	const char *path;
	struct range ranges[RANGES_MAX];
	unsigned nr_ranges;
	unsigned told; /* how many of them the console's log told of */
	struct printed_cpu cpus[CPUS_MAX];
	unsigned want_cpus;  /* 0 = any number */
	unsigned generation; /* the VM of the console's log that was dumped */
	uint64_t want_mib;   /* memory of the VM; 0 = any size */
	/* what was read */
	int fd;
	uint64_t file_size;
	Elf64_Ehdr ehdr;
	Elf64_Phdr *phdrs; /* owned; [0] is to be the PT_NOTE */
	unsigned nr_phdrs;
	unsigned char *notes; /* owned */
	uint64_t notes_size;
	const unsigned char *prstatus[CPUS_MAX], *qemu[CPUS_MAX]; /* into @notes */
	unsigned nr_prstatus, nr_qemu;
	/* the verdict */
	unsigned passed, failed;
	uint64_t pages, registers;
};

/* One line of the verdict. */
__attribute__((format(printf, 3, 4))) static bool check(struct judge *judge, bool ok, const char *fmt, ...)
{
	va_list args;

	fputs(ok ? "ok  " : "BAD ", stdout);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	if (ok)
		judge->passed++;
	else
		judge->failed++;
	return ok;
}

static int pread_full(int fd, void *buf, uint64_t len, uint64_t off)
{
	unsigned char *at = buf;

	while (len) {
		ssize_t n = pread(fd, at, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		at += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* [@off, @off + @len) is inside the file. */
static bool inside(const struct judge *judge, uint64_t off, uint64_t len)
{
	return off <= judge->file_size && len <= judge->file_size - off;
}

/* ---- structure -------------------------------------------------------------------------------- */

static bool check_header(struct judge *judge)
{
	const Elf64_Ehdr *e = &judge->ehdr;
	bool ok;

	if (!check(judge, !pread_full(judge->fd, &judge->ehdr, sizeof(judge->ehdr), 0),
		    "the ELF header is there"))
		return false;
	ok = !memcmp(e->e_ident, ELFMAG, SELFMAG) && e->e_ident[EI_CLASS] == ELFCLASS64 &&
	     e->e_ident[EI_DATA] == ELFDATA2LSB && e->e_ident[EI_VERSION] == EV_CURRENT;
	ok = check(judge, ok, "it is ELF64, little-endian") && ok;
	ok = check(judge, e->e_type == ET_CORE && e->e_machine == EM_X86_64 && e->e_version == EV_CURRENT,
		     "it is a core file of an x86-64 (type %u, machine %u)", e->e_type, e->e_machine) &&
	     ok;
	return check(judge, e->e_phoff == 64 && e->e_ehsize == 64 && e->e_phentsize == sizeof(Elf64_Phdr),
		       "program headers lie at 64 (phoff %llu, %u bytes each)",
		       (unsigned long long)e->e_phoff, e->e_phentsize) &&
	       ok;
}

static bool read_phdrs(struct judge *judge)
{
	uint64_t bytes;

	judge->nr_phdrs = judge->ehdr.e_phnum;
	if (judge->nr_phdrs == PN_XNUM) { /* the real number is in section header 0 */
		Elf64_Shdr shdr;

		if (!check(judge, !pread_full(judge->fd, &shdr, sizeof(shdr), judge->ehdr.e_shoff),
			    "section header 0 holds the number of segments"))
			return false;
		judge->nr_phdrs = shdr.sh_info;
	}
	if (!check(judge, judge->nr_phdrs >= 2 && judge->nr_phdrs <= PHDRS_MAX,
		    "there are %u program headers", judge->nr_phdrs))
		return false;
	bytes = (uint64_t)judge->nr_phdrs * sizeof(Elf64_Phdr);
	judge->phdrs = malloc(bytes);
	return check(judge,
		judge->phdrs && inside(judge, 64, bytes) && !pread_full(judge->fd, judge->phdrs, bytes, 64),
		"the program headers are inside the file");
}

/* A segment's rules that need no other segment; NULL or the rule that is broken. */
static const char *load_fault(const struct judge *judge, const Elf64_Phdr *p)
{
	if (p->p_type != PT_LOAD)
		return "is not a PT_LOAD";
	if (p->p_align)
		return "has p_align other than 0";
	if (!p->p_memsz || p->p_memsz % PAGE || p->p_paddr % PAGE || p->p_paddr + p->p_memsz < p->p_paddr)
		return "has an odd address or size";
	if (p->p_vaddr && p->p_vaddr != p->p_paddr)
		return "has a p_vaddr that is neither 0 nor p_paddr";
	if (p->p_filesz > p->p_memsz || p->p_filesz % PAGE)
		return "has an odd p_filesz";
	if (!inside(judge, p->p_offset, p->p_filesz))
		return "leaves the file";
	return NULL;
}

static bool check_loads(struct judge *judge)
{
	const Elf64_Phdr *note = &judge->phdrs[0], *last = NULL;
	uint64_t low = 64 + (uint64_t)judge->nr_phdrs * sizeof(*note), memory = 0;

	if (!check(judge,
		    note->p_type == PT_NOTE && note->p_filesz && note->p_offset >= low &&
			    inside(judge, note->p_offset, note->p_filesz),
		    "the first segment is the PT_NOTE, behind the program headers, inside the file"))
		return false;
	low = note->p_offset + note->p_filesz;
	for (unsigned i = 1; i < judge->nr_phdrs; i++) {
		const Elf64_Phdr *p = &judge->phdrs[i];
		const char *fault = load_fault(judge, p);

		if (!fault && last && p->p_paddr < last->p_paddr + last->p_memsz)
			fault = "does not lie above the one before it";
		if (!fault && p->p_offset < low)
			fault = "overlaps in the file what comes before it";
		if (fault)
			return check(judge, false, "segment %u %s", i, fault);
		low = p->p_offset + p->p_filesz;
		memory += p->p_memsz;
		last = p;
	}
	check(judge, !judge->want_mib || judge->want_mib << 20 == memory,
		"the segments hold the VM's memory%s", judge->want_mib ? "" : " (its size was not told)");
	return check(judge, true,
		"%u PT_LOADs ascend without overlap, inside the file, p_align 0: %llu MiB",
		judge->nr_phdrs - 1, (unsigned long long)(memory >> 20));
}

/* ---- notes ------------------------------------------------------------------------------------ */

/* The groups of notes in the order in which tools expect them. */
enum note_group { NOTE_CORE, NOTE_QEMU, NOTE_VMCOREINFO, NOTE_MINIVMM, NOTE_GROUPS };

static const char *const note_names[NOTE_GROUPS] = {
	[NOTE_CORE] = "CORE",
	[NOTE_QEMU] = "QEMU",
	[NOTE_VMCOREINFO] = "VMCOREINFO",
	[NOTE_MINIVMM] = "MINIVMM",
};

static enum note_group note_group(const char *name, uint32_t namesz)
{
	unsigned group = 0;

	while (group < NOTE_GROUPS &&
		(namesz != strlen(note_names[group]) + 1 || memcmp(name, note_names[group], namesz)))
		group++;
	return (enum note_group)group;
}

/* Files one note away; false if it breaks a rule. */
static bool take_note(
	struct judge *judge, enum note_group group, const Elf64_Nhdr *n, const unsigned char *desc)
{
	uint32_t head[2];

	switch (group) {
	case NOTE_CORE:
		if (n->n_type != NT_PRSTATUS || n->n_descsz != PRSTATUS_SIZE ||
			judge->nr_prstatus == CPUS_MAX)
			return false;
		judge->prstatus[judge->nr_prstatus++] = desc;
		return true;
	case NOTE_QEMU:
		if (n->n_type || n->n_descsz != QEMU_NOTE_SIZE || judge->nr_qemu == CPUS_MAX)
			return false;
		memcpy(head, desc, sizeof(head)); /* version, size */
		judge->qemu[judge->nr_qemu++] = desc;
		return head[0] == 1 && head[1] == QEMU_NOTE_SIZE;
	case NOTE_VMCOREINFO:
		return !n->n_type && n->n_descsz;
	default: /* type 1 is the metadata, without which a reader knows nothing; others may be empty */
		return n->n_type && (n->n_type != 1 || n->n_descsz);
	}
}

static uint64_t align4(uint64_t v)
{
	return (v + 3) & ~3ull;
}

static bool walk_notes(struct judge *judge)
{
	enum note_group last = NOTE_CORE;
	unsigned count[NOTE_GROUPS] = {0};
	uint64_t at = 0;

	while (at < judge->notes_size) {
		const unsigned char *p = judge->notes + at;
		enum note_group group;
		Elf64_Nhdr n;

		if (judge->notes_size - at < sizeof(n))
			return check(judge, false, "note at +%llu is cut", (unsigned long long)at);
		memcpy(&n, p, sizeof(n));
		at += sizeof(n) + align4(n.n_namesz) + align4(n.n_descsz);
		if (at > judge->notes_size || !n.n_namesz || p[sizeof(n) + n.n_namesz - 1])
			return check(judge, false, "note before +%llu leaves the segment",
				(unsigned long long)at);
		group = note_group((const char *)p + sizeof(n), n.n_namesz);
		if (group == NOTE_GROUPS)
			return check(judge, false, "note with an unknown name '%s'", p + sizeof(n));
		if (group < last)
			return check(judge, false, "note %s after %s", note_names[group], note_names[last]);
		if (!take_note(judge, group, &n, p + sizeof(n) + align4(n.n_namesz)))
			return check(judge, false, "note %s has type %u, size %#x", note_names[group],
				n.n_type, n.n_descsz);
		count[group]++;
		last = group;
	}
	check(judge, true, "notes are well-formed, in the order CORE, QEMU, VMCOREINFO, MINIVMM");
	check(judge, count[NOTE_VMCOREINFO] <= 1, "there is at most one VMCOREINFO note");
	return check(judge, count[NOTE_MINIVMM], "there is a MINIVMM note");
}

static bool check_notes(struct judge *judge)
{
	bool ok;

	judge->notes_size = judge->phdrs[0].p_filesz;
	if (!check(judge, judge->notes_size <= NOTES_MAX, "notes take %llu bytes",
		    (unsigned long long)judge->notes_size))
		return false;
	judge->notes = malloc(judge->notes_size);
	if (!judge->notes ||
		pread_full(judge->fd, judge->notes, judge->notes_size, judge->phdrs[0].p_offset))
		return check(judge, false, "notes cannot be read");
	if (!walk_notes(judge))
		return false;
	ok = judge->nr_prstatus && judge->nr_prstatus == judge->nr_qemu &&
	     (!judge->want_cpus || judge->want_cpus == judge->nr_prstatus);
	return check(judge, ok, "every vCPU has its two notes (%u CORE, %u QEMU%s)", judge->nr_prstatus,
		judge->nr_qemu, judge->want_cpus ? ", as many as asked for" : "");
}

/* ---- registers -------------------------------------------------------------------------------- */

static uint64_t load(const unsigned char *at, unsigned bytes)
{
	uint64_t value = 0;

	memcpy(&value, at, bytes); /* both sides are little-endian */
	return value;
}

/* The two notes of a vCPU are two tellings of one truth. */
static void check_notes_agree(struct judge *judge, unsigned cpu)
{
	for (unsigned i = 0; i < NR_REGS; i++) {
		uint64_t a, b;

		if (regs[i].prstatus < 0)
			continue;
		a = load(judge->prstatus[cpu] + regs[i].prstatus, 8);
		b = load(judge->qemu[cpu] + regs[i].qemu, regs[i].qemu_bytes);
		if (a != b) {
			check(judge, false, "cpu %u: %s is %#llx in CORE, %#llx in QEMU", cpu, regs[i].name,
				(unsigned long long)a, (unsigned long long)b);
			return;
		}
	}
	check(judge, true, "cpu %u: both notes tell the same", cpu);
}

static bool printed_is(const struct printed_cpu *printed, unsigned i, uint64_t found)
{
	return found >= printed->low[i] && found <= printed->high[i];
}

static void check_printed(struct judge *judge, unsigned cpu)
{
	const struct printed_cpu *printed = &judge->cpus[cpu];
	unsigned bad = 0, good = 0;

	if (cpu >= judge->nr_prstatus || cpu >= judge->nr_qemu) {
		check(judge, false, "cpu %u, which the guest printed, has notes", cpu);
		return;
	}
	for (unsigned i = 0; i < NR_REGS; i++) {
		uint64_t found;

		if (!printed->has[i])
			continue;
		found = load(judge->qemu[cpu] + regs[i].qemu, regs[i].qemu_bytes);
		if (printed_is(printed, i, found) && regs[i].prstatus >= 0)
			found = load(judge->prstatus[cpu] + regs[i].prstatus, 8);
		if (printed_is(printed, i, found)) {
			good++;
			continue;
		}
		bad++;
		printf("     cpu %u: %s printed %#llx, dumped %#llx\n", cpu, regs[i].name,
			(unsigned long long)printed->low[i], (unsigned long long)found);
	}
	judge->registers += good;
	check(judge, !bad && good, "cpu %u: %u of %u printed registers are those in the dump", cpu, good,
		good + bad);
}

/* ---- pages ------------------------------------------------------------------------------------ */

static const Elf64_Phdr *find_load(const struct judge *judge, uint64_t paddr)
{
	unsigned low = 1, high = judge->nr_phdrs; /* PT_LOADs ascend: checked before */

	while (low < high) {
		unsigned mid = low + (high - low) / 2;
		const Elf64_Phdr *p = &judge->phdrs[mid];

		if (paddr < p->p_paddr)
			high = mid;
		else if (paddr - p->p_paddr >= p->p_memsz)
			low = mid + 1;
		else
			return p;
	}
	return NULL;
}

/* What frame @pfn of @range must contain. */
static void expected_page(const struct range *range, uint64_t pfn, uint64_t *words)
{
	switch (range->kind) {
	case KIND_PATTERN:
	case KIND_FREED:
	case KIND_TOUCH: /* of which the first word alone is promised */
		formula_pattern(range->seed, pfn, words);
		break;
	case KIND_TEXT:
		formula_text(range->seed, pfn, words);
		break;
	default:
		memset(words, 0, FORMULA_PAGE);
		break;
	}
}

/* Counts the wrong pages among the @count from @pfn on that lie at @block; tells of the first. */
static uint64_t count_bad(
	const struct range *range, uint64_t pfn, unsigned count, const uint64_t *block, bool tell)
{
	uint64_t want[FORMULA_WORDS], bad = 0;
	size_t bytes = range->kind == KIND_TOUCH ? sizeof(want[0]) : FORMULA_PAGE;

	for (unsigned page = 0; page < count; page++) {
		const uint64_t *found = block + (size_t)page * FORMULA_WORDS;
		unsigned i = 0;

		expected_page(range, pfn + page, want);
		if (!memcmp(want, found, bytes))
			continue;
		while (want[i] == found[i])
			i++;
		bad++;
		if (tell && bad == 1)
			printf("     frame %llu: word %u is %#llx, expected %#llx\n",
				(unsigned long long)(pfn + page), i, (unsigned long long)found[i],
				(unsigned long long)want[i]);
	}
	return bad;
}

/* Frames from @pfn on, at most @max, that lie in one piece of the file; 0 if @pfn is in no segment. */
static uint64_t run_in_file(const struct judge *judge, uint64_t pfn, uint64_t max, uint64_t *ret_off)
{
	const Elf64_Phdr *p = find_load(judge, pfn * PAGE);
	uint64_t in, pages;

	if (!p)
		return 0;
	in = pfn * PAGE - p->p_paddr;
	if (in >= p->p_filesz) /* the zero tail of a segment is not in the file */
		return 0;
	pages = (p->p_filesz - in) / PAGE;
	*ret_off = p->p_offset + in;
	return pages < max ? pages : max;
}

/* True if no byte of the run is stored. */
static bool is_hole(const struct judge *judge, uint64_t off, uint64_t len)
{
	off_t data = lseek(judge->fd, (off_t)off, SEEK_DATA);

	return data < 0 ? errno == ENXIO : (uint64_t)data >= off + len;
}

/* Wrong frames of @range; @block has room for BLOCK_PAGES. */
static uint64_t judge_range(const struct judge *judge, const struct range *range, uint64_t *block)
{
	uint64_t pfn = range->first, bad = 0;

	while (pfn <= range->last) {
		uint64_t left = range->last - pfn + 1, off = 0;
		uint64_t max = range->kind == KIND_HOLE || left < BLOCK_PAGES ? left : BLOCK_PAGES;
		uint64_t pages = run_in_file(judge, pfn, max, &off);

		if (!pages) {
			printf("     frame %llu is in no segment\n", (unsigned long long)pfn);
			return bad + left;
		}
		if (range->kind == KIND_HOLE)
			bad += is_hole(judge, off, pages * PAGE) ? 0 : pages;
		else if (pread_full(judge->fd, block, pages * PAGE, off))
			bad += pages;
		else
			bad += count_bad(range, pfn, (unsigned)pages, block, !bad);
		pfn += pages;
	}
	return bad;
}

static void check_ranges(struct judge *judge)
{
	uint64_t *block = malloc(BLOCK_PAGES * PAGE);

	if (!block) {
		check(judge, false, "memory for reading");
		return;
	}
	for (unsigned i = 0; i < judge->nr_ranges; i++) {
		const struct range *range = &judge->ranges[i];
		uint64_t count = range->last - range->first + 1, bad;

		if (range->kind == KIND_ANY)
			continue;
		bad = judge_range(judge, range, block);
		judge->pages += count - bad;
		check(judge, !bad, "frames %llu-%llu, %s, seed %#llx: %llu of %llu are right",
			(unsigned long long)range->first, (unsigned long long)range->last,
			kind_names[range->kind], (unsigned long long)range->seed,
			(unsigned long long)(count - bad), (unsigned long long)count);
	}
	free(block);
}

/* ---- what is asked ---------------------------------------------------------------------------- */

static bool parse_kind(const char *text, size_t len, enum kind *ret)
{
	for (unsigned i = 0; i < KIND_NR; i++) {
		if (strlen(kind_names[i]) == len && !strncmp(text, kind_names[i], len)) {
			*ret = (enum kind)i;
			return true;
		}
	}
	return false;
}

/* A number in @base that ends at a character of @ends (or at the end of the string). */
static bool parse_u64(const char *text, int base, const char *ends, const char **ret_end, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, base);
	*ret_end = end;
	return !errno && end != text && *text != '-' && (!*end || strchr(ends, *end));
}

/* "FIRST-LAST", decimal frame numbers. */
static bool parse_frames(const char *text, const char *ends, const char **ret_end, struct range *range)
{
	const char *end;

	if (!parse_u64(text, 10, "-", &end, &range->first) || *end != '-' ||
		!parse_u64(end + 1, 10, ends, ret_end, &range->last))
		return false;
	return range->first <= range->last && range->last < UINT64_MAX / PAGE;
}

static bool add_range(struct judge *judge, const struct range *range)
{
	if (judge->nr_ranges == RANGES_MAX)
		return false;
	judge->ranges[judge->nr_ranges++] = *range;
	return true;
}

/* --fill KIND:FIRST-LAST:SEED */
static bool parse_fill(struct judge *judge, const char *text)
{
	const char *colon = strchr(text, ':'), *end;
	struct range range;

	return colon && parse_kind(text, (size_t)(colon - text), &range.kind) &&
	       parse_frames(colon + 1, ":", &end, &range) && *end == ':' &&
	       parse_u64(end + 1, 0, "", &end, &range.seed) && add_range(judge, &range);
}

/* --expect-hole FIRST-LAST */
static bool parse_hole(struct judge *judge, const char *text)
{
	struct range range = {.kind = KIND_HOLE};
	const char *end;

	return parse_frames(text, "", &end, &range) && add_range(judge, &range);
}

/* "kind=K pfn=FIRST-LAST seed=S", the rest of a line "stub: fill ..." */
static bool parse_fill_line(struct judge *judge, const char *text)
{
	const char *kind = strstr(text, "kind="), *pfn = strstr(text, "pfn="),
		   *seed = strstr(text, "seed=");
	const char *end;
	struct range range;

	if (!pfn) /* another remark about filling */
		return true;
	judge->told++;
	return kind && seed && parse_kind(kind + 5, strcspn(kind + 5, BLANKS), &range.kind) &&
	       parse_frames(pfn + 4, BLANKS, &end, &range) &&
	       parse_u64(seed + 5, 0, BLANKS, &end, &range.seed) && add_range(judge, &range);
}

/* "NAME=HEX" or "NAME=HEX-HEX"; *at is moved behind it. */
static bool parse_register(const char **at, struct printed_cpu *cpu)
{
	size_t len = strcspn(*at, "=" BLANKS);
	unsigned i = 0;

	while (i < NR_REGS && (strlen(regs[i].name) != len || strncmp(*at, regs[i].name, len)))
		i++;
	if (i == NR_REGS || (*at)[len] != '=' ||
		!parse_u64(*at + len + 1, 16, "-" BLANKS, at, &cpu->low[i]))
		return false;
	cpu->high[i] = cpu->low[i];
	if (**at == '-' && !parse_u64(*at + 1, 16, BLANKS, at, &cpu->high[i]))
		return false;
	cpu->has[i] = true;
	return true;
}

/* "N at-panic REGISTER ...", the rest of a line "stub: cpu ..."; other remarks name a CPU in trouble. */
static bool parse_cpu_line(struct judge *judge, const char *text)
{
	static const char word[] = " at-panic";
	const char *at;
	uint64_t cpu;

	if (!parse_u64(text, 10, BLANKS, &at, &cpu) || cpu >= CPUS_MAX)
		return false;
	if (strncmp(at, word, sizeof(word) - 1)) {
		judge->cpus[cpu].absent = true;
		return true;
	}
	at += sizeof(word) - 1;
	judge->cpus[cpu].seen = true;
	for (at += strspn(at, BLANKS); *at; at += strspn(at, BLANKS))
		if (!parse_register(&at, &judge->cpus[cpu]))
			return false;
	return true;
}

/* "VERSION, N MiB, N cpus, generation N", the rest of the banner that a VM's output begins with. */
static bool parse_banner(struct judge *judge, const char *text, unsigned *ret_generation)
{
	unsigned long long mib;
	unsigned cpus;

	text = strchr(text, ',');
	if (!text || sscanf(text, ", %llu MiB, %u cpus, generation %u", &mib, &cpus, ret_generation) != 3)
		return false;
	if (*ret_generation == judge->generation) {
		judge->want_mib = judge->want_mib ? judge->want_mib : mib;
		judge->want_cpus = judge->want_cpus ? judge->want_cpus : cpus;
	}
	return true;
}

/* A line of the console's log, of which the output of one generation counts. */
static bool parse_line(struct judge *judge, const char *line, unsigned *generation)
{
	static const char banner[] = "stub: minivmm guest-stub ", fill[] = "stub: fill ",
			  cpu[] = "stub: cpu ";
	const char *at;

	if ((at = strstr(line, banner)))
		return parse_banner(judge, at + sizeof(banner) - 1, generation);
	if (*generation != judge->generation)
		return true;
	if ((at = strstr(line, fill)))
		return parse_fill_line(judge, at + sizeof(fill) - 1);
	if ((at = strstr(line, cpu)))
		return parse_cpu_line(judge, at + sizeof(cpu) - 1);
	return true;
}

static bool parse_console(struct judge *judge, const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned generation = judge->generation;
	char *line = NULL;
	size_t room = 0;
	bool ok = file;

	if (!file)
		fprintf(stderr, "vmcore-check: %s: %s\n", path, strerror(errno));
	while (ok && getline(&line, &room, file) >= 0) {
		ok = parse_line(judge, line, &generation);
		if (!ok)
			fprintf(stderr, "vmcore-check: %s: not understood: %s", path, line);
	}
	free(line);
	if (file)
		fclose(file);
	return ok;
}

/* A KIND[,KIND...] that a selector leaves out: what the console tells of such ranges is not in the dump. */
static bool retell(struct judge *judge, const char *kinds, enum kind instead)
{
	while (*kinds) {
		size_t len = strcspn(kinds, ",");
		enum kind kind;

		if (!parse_kind(kinds, len, &kind))
			return false;
		for (unsigned i = 0; i < judge->nr_ranges; i++)
			if (judge->ranges[i].kind == kind)
				judge->ranges[i].kind = instead;
		kinds += len + (kinds[len] == ',');
	}
	return true;
}

static const char usage[] =
	"usage: vmcore-check [--fill KIND:FIRST-LAST:SEED]... [--expect-hole FIRST-LAST]... [--cpus N]\n"
	"                    [--memory MIB]\n"
	"                    [--console LOG [--generation N] [--no-fill] [--no-registers]]\n"
	"                    [--holes KIND,...] [--zeros KIND,...] [--any KIND,...] [--any-registers] "
	"FILE\n"
	"KIND is pattern, zero, text, freed, hole or any; frames are decimal, both ends included.\n"
	"--console takes what must be there from the guest stub's output (of generation 0, or N): fills,\n"
	"registers, number of vCPUs, size of memory.  A log that tells of no fill, or not of every vCPU's\n"
	"registers, fails, unless --no-fill or --no-registers says that it has none to tell.\n"
	"--memory: of a VM that got some while it ran; its banner tells what it began with.\n"
	"--holes, --zeros: ranges filled with these kinds must be holes, or zeros: a selector left them "
	"out.\n"
	"--any: such ranges are not looked at.  --any-registers: registers are not compared, since the "
	"guest\n"
	"was stopped in the middle of its own dump.\n";

struct asked {
	const char *console;
	const char *holes, *zeros, *any; /* kinds, or "" */
	bool no_fill, no_registers, any_registers;
};

static bool parse_options(int argc, char **argv, struct judge *judge, struct asked *asked)
{
	static const struct option longs[] = {
		{"fill", required_argument, NULL, 'f'},
		{"expect-hole", required_argument, NULL, 'h'},
		{"cpus", required_argument, NULL, 'c'},
		{"memory", required_argument, NULL, 'm'},
		{"console", required_argument, NULL, 'l'},
		{"generation", required_argument, NULL, 'g'},
		{"no-fill", no_argument, NULL, 'F'},
		{"no-registers", no_argument, NULL, 'R'},
		{"any-registers", no_argument, NULL, 'Y'},
		{"holes", required_argument, NULL, 'H'},
		{"zeros", required_argument, NULL, 'Z'},
		{"any", required_argument, NULL, 'A'},
		{NULL, 0, NULL, 0},
	};
	uint64_t number = 0;
	const char *end;
	bool ok = true;
	int c;

	while (ok && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			ok = parse_fill(judge, optarg);
			break;
		case 'h':
			ok = parse_hole(judge, optarg);
			break;
		case 'c':
			ok = parse_u64(optarg, 10, "", &end, &number) && number && number <= CPUS_MAX;
			judge->want_cpus = (unsigned)number;
			break;
		case 'm':
			ok = parse_u64(optarg, 10, "", &end, &judge->want_mib) && judge->want_mib;
			break;
		case 'g':
			ok = parse_u64(optarg, 10, "", &end, &number) && number <= UINT32_MAX;
			judge->generation = (unsigned)number;
			break;
		case 'l':
			asked->console = optarg;
			break;
		case 'F':
			asked->no_fill = true;
			break;
		case 'R':
			asked->no_registers = true;
			break;
		case 'Y':
			asked->any_registers = true;
			break;
		case 'H':
			asked->holes = optarg;
			break;
		case 'Z':
			asked->zeros = optarg;
			break;
		case 'A':
			asked->any = optarg;
			break;
		default:
			ok = false;
			break;
		}
	}
	if (!ok || optind + 1 != argc)
		return false;
	judge->path = argv[optind];
	return true;
}

static void check_registers(struct judge *judge, const struct asked *asked)
{
	unsigned printed = 0, absent = 0;

	for (unsigned cpu = 0; cpu < judge->nr_prstatus && cpu < judge->nr_qemu; cpu++)
		check_notes_agree(judge, cpu);
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
		if (judge->cpus[cpu].seen) {
			if (!asked->any_registers)
				check_printed(judge, cpu);
			printed++;
		} else if (judge->cpus[cpu].absent) {
			absent++;
		}
	}
	if (asked->console && !asked->no_registers)
		check(judge, printed && printed + absent == judge->nr_prstatus,
			"the console tells the registers of %u of %u vCPUs, and of %u why not", printed,
			judge->nr_prstatus, absent);
}

static void run_checks(struct judge *judge, const struct asked *asked)
{
	/* Each step relies on the one before it. */
	if (!check_header(judge) || !read_phdrs(judge) || !check_loads(judge))
		return;
	if (check_notes(judge))
		check_registers(judge, asked);
	if (asked->console && !asked->no_fill)
		check(judge, judge->told, "the console tells of %u filled ranges", judge->told);
	check_ranges(judge);
}

int main(int argc, char **argv)
{
	static struct judge judge = {.fd = -1}; /* too large for the stack */
	struct asked asked = {.holes = "", .zeros = "", .any = ""};
	struct stat st;

	if (!parse_options(argc, argv, &judge, &asked)) {
		fputs(usage, stderr);
		return 2;
	}
	if (asked.console && !parse_console(&judge, asked.console))
		return 1;
	if (!retell(&judge, asked.holes, KIND_HOLE) || !retell(&judge, asked.zeros, KIND_ZERO) ||
		!retell(&judge, asked.any, KIND_ANY)) {
		fputs(usage, stderr);
		return 2;
	}
	judge.fd = open(judge.path, O_RDONLY | O_CLOEXEC);
	if (judge.fd < 0 || fstat(judge.fd, &st)) {
		fprintf(stderr, "vmcore-check: %s: %s\n", judge.path, strerror(errno));
		return 1;
	}
	judge.file_size = (uint64_t)st.st_size;
	run_checks(&judge, &asked);
	printf("vmcore-check: %s: %u checks passed, %u failed; %llu pages and %llu registers as the guest "
	       "left them\n",
		judge.path, judge.passed, judge.failed, (unsigned long long)judge.pages,
		(unsigned long long)judge.registers);
	free(judge.phdrs);
	free(judge.notes);
	close(judge.fd);
	return judge.failed ? 1 : 0;
}
