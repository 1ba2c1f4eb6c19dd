/* SPDX-License-Identifier: Apache-2.0 */
/* tests/vmcores/mini.c - see mini.h */
#include "tests/vmcores/mini.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRUCT_PAGE_BITS 6
#define STRUCT_PAGE (1u << STRUCT_PAGE_BITS)
#define PAGES_PHYS 0x80000ull
#define SECTIONS_PHYS 0x70000ull
#define TABLES_PHYS 0xa0000ull
#define NOTE_HEADER 24

/* Offsets in struct page, the same since 4.18 */
#define FLAGS 0
#define COMPOUND_HEAD 8
#define MAPPING 24
#define PRIVATE 40
#define MAPCOUNT 48

#define PRESENT 1ull
#define WRITABLE 2ull

/* What the kernels call the same thing. */
struct names {
	const char *release;
	unsigned lru, private, swapcache, swapbacked, slab, head, hwpoison; /* bits; 99 = none */
	int32_t buddy, offline, slab_type, hugetlb_type;                    /* 0 = none */
	unsigned order, dtor;                                               /* of the first tail; 99 */
	bool hugetlb_1;
	bool masks;
};

#define AS_IN_7(release, masks)                                                                            \
	{                                                                                                  \
		release, 5, 14, 10, 17, 99, 6, 21, (int32_t)0xf0000000, (int32_t)0xf1000000,               \
			(int32_t)0xf5000000, (int32_t)0xf4000000, 99, 99, false, masks                     \
	}

static const struct names names[MINI_KERNELS] = {
	[MINI_5_10] = {"5.10.0-mini", 4, 13, 10, 19, 9, 16, 22, -129, -257, 0, 0, 17, 16, false, false},
	[MINI_6_1] = {"6.1.0-mini", 4, 13, 10, 19, 9, 16, 99, -129, -257, 0, 0, 17, 16, false, false},
	[MINI_6_3] = {"6.3.0-mini", 5, 14, 10, 19, 9, 16, 22, -129, -257, 0, 0, 17, 16, false, false},
	[MINI_6_6] = {"6.6.0-mini", 5, 14, 10, 18, 9, 6, 21, -129, -257, 0, 0, 99, 99, true, false},
	[MINI_6_9] = {"6.9.0-mini", 5, 14, 10, 18, 9, 6, 21, -129, -257, 0, -2049, 99, 99, false, false},
	[MINI_6_10] = {"6.10.0-mini", 5, 14, 10, 18, 99, 6, 21, -129, -257, -4097, -2049, 99, 99, false,
		false},
	[MINI_6_12] = {"6.12.0-mini", 5, 14, 10, 17, 99, 6, 20, (int32_t)0xf0000000, (int32_t)0xf1000000,
		(int32_t)0xf5000000, (int32_t)0xf4000000, 99, 99, false, false},
	[MINI_7_1] = AS_IN_7("7.1.0-mini", false),
	[MINI_7_2] = AS_IN_7("7.2.0-mini", true),
};
#define HUGETLB_DTOR 2
#define HUGETLB_1_BIT 8

void *mini_phys(struct mini *mini, uint64_t gpa)
{
	uint64_t off;

	if (dump_layout_offset(&mini->layout, gpa, 1, &off))
		abort();
	return mini->ram + off;
}

void *mini_at(struct mini *mini, uint64_t gva)
{
	return mini_phys(mini, gva - MINI_IMAGE + MINI_IMAGE_PHYS);
}

uint8_t *mini_page(struct mini *mini, uint64_t pfn)
{
	uint64_t nr = pfn < MINI_SEGMENT_PAGES ? pfn : pfn - MINI_HIGH_PFN + MINI_SEGMENT_PAGES;

	return (uint8_t *)mini_phys(mini, PAGES_PHYS) + nr * STRUCT_PAGE;
}

static uint64_t gva_of_page(uint64_t pfn)
{
	return MINI_VMEMMAP + pfn * STRUCT_PAGE;
}

/* ---- VMCOREINFO ----------------------------------------------------------------------------------------- */

static void say(char *text, const char *without, const char *line)
{
	size_t len = strlen(text);

	if (without && !strncmp(line, without, strlen(without)))
		return;
	snprintf(text + len, 4096 - len, "%s\n", line);
}

static void say_number(char *text, const char *without, const char *name, int64_t value)
{
	char line[128];

	snprintf(line, sizeof(line), "%s=%lld", name, (long long)value);
	say(text, without, line);
}

static void say_symbol(char *text, const char *without, const char *name, uint64_t value)
{
	char line[128];

	snprintf(line, sizeof(line), "SYMBOL(%s)=%llx", name, (unsigned long long)value);
	say(text, without, line);
}

static void say_bit(char *text, const char *without, const char *name, unsigned bit)
{
	if (bit != 99)
		say_number(text, without, name, bit);
}

static void say_flags(char *text, const char *without, const struct names *n)
{
	say_bit(text, without, "NUMBER(PG_lru)", n->lru);
	say_bit(text, without, "NUMBER(PG_private)", n->private);
	say_bit(text, without, "NUMBER(PG_swapcache)", n->swapcache);
	say_bit(text, without, "NUMBER(PG_swapbacked)", n->swapbacked);
	say_bit(text, without, "NUMBER(PG_slab)", n->slab);
	say_bit(text, without, "NUMBER(PG_hwpoison)", n->hwpoison);
	if (n->hugetlb_1)
		say_number(text, without, "NUMBER(PG_hugetlb)", HUGETLB_1_BIT);
	say_number(text, without, "NUMBER(PG_head_mask)", 1ll << n->head);
	say_number(text, without, "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", n->buddy);
	say_number(text, without, "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)", n->offline);
	if (n->slab_type)
		say_number(text, without, "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)", n->slab_type);
	if (n->hugetlb_type)
		say_number(text, without, "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)", n->hugetlb_type);
}

static void say_page(char *text, const char *without, enum mini_kernel kernel)
{
	say_number(text, without, "SIZE(page)", STRUCT_PAGE);
	say_number(text, without, "OFFSET(page.flags)", FLAGS);
	say_number(text, without, "OFFSET(page._refcount)", 52);
	say_number(text, without, "OFFSET(page.mapping)", MAPPING);
	say_number(text, without, "OFFSET(page.lru)", 8);
	say_number(text, without, "OFFSET(page._mapcount)", MAPCOUNT);
	say_number(text, without, "OFFSET(page.private)", PRIVATE);
	say_number(text, without,
		kernel >= MINI_7_1 ? "OFFSET(page.compound_info)" : "OFFSET(page.compound_head)",
		COMPOUND_HEAD);
	if (kernel <= MINI_6_1) {
		say_number(text, without, "OFFSET(page.compound_dtor)", 16);
		say_number(text, without, "OFFSET(page.compound_order)", 17);
	} else if (kernel == MINI_6_3) {
		say_number(text, without, "OFFSET(folio._folio_dtor)", STRUCT_PAGE + 16);
		say_number(text, without, "OFFSET(folio._folio_order)", STRUCT_PAGE + 17);
	}
	if (kernel <= MINI_6_3)
		say_number(text, without, "NUMBER(HUGETLB_PAGE_DTOR)", HUGETLB_DTOR);
	say_number(text, without, "LENGTH(zone.free_area)", 11);
}

/* Bytes of struct printk_info. */
static unsigned info_size(enum mini_kernel kernel)
{
	return kernel >= MINI_7_1 ? 112 : 88;
}

static void say_log(char *text, const char *without, enum mini_kernel kernel)
{
	static const char *const numbers[][2] = {
		{"SIZE(printk_ringbuffer)", "88"},
		{"OFFSET(printk_ringbuffer.desc_ring)", "0"},
		{"OFFSET(printk_ringbuffer.text_data_ring)", "48"},
		{"SIZE(prb_desc_ring)", "48"},
		{"OFFSET(prb_desc_ring.count_bits)", "0"},
		{"OFFSET(prb_desc_ring.descs)", "8"},
		{"OFFSET(prb_desc_ring.infos)", "16"},
		{"OFFSET(prb_desc_ring.head_id)", "24"},
		{"OFFSET(prb_desc_ring.tail_id)", "32"},
		{"SIZE(prb_desc)", "24"},
		{"OFFSET(prb_desc.state_var)", "0"},
		{"OFFSET(prb_desc.text_blk_lpos)", "8"},
		{"OFFSET(prb_data_blk_lpos.begin)", "0"},
		{"OFFSET(prb_data_blk_lpos.next)", "8"},
		{"OFFSET(printk_info.seq)", "0"},
		{"OFFSET(printk_info.ts_nsec)", "8"},
		{"OFFSET(printk_info.text_len)", "16"},
		{"OFFSET(printk_info.caller_id)", "20"},
		{"OFFSET(prb_data_ring.size_bits)", "0"},
		{"OFFSET(prb_data_ring.data)", "8"},
		{"OFFSET(atomic_long_t.counter)", "0"},
	};

	say_symbol(text, without, "prb", MINI_LOG);
	say_number(text, without, "SIZE(printk_info)", info_size(kernel));
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		say_number(text, without, numbers[i][0], atoll(numbers[i][1]));
}

static void say_symbols(char *text, const char *without, enum mini_kernel kernel)
{
	if (kernel < MINI_6_1)
		return;
	say_symbol(text, without, "kallsyms_names", MINI_SYMBOLS + 0x1000);
	say_symbol(text, without, "kallsyms_num_syms", MINI_SYMBOLS);
	say_symbol(text, without, "kallsyms_token_table", MINI_SYMBOLS + 0x2000);
	say_symbol(text, without, "kallsyms_token_index", MINI_SYMBOLS + 0x3000);
	say_symbol(text, without, "kallsyms_offsets", MINI_SYMBOLS + 0x4000);
	if (kernel < MINI_7_1)
		say_symbol(text, without, "kallsyms_relative_base", MINI_SYMBOLS + 8);
}

void mini_write_info(struct mini *mini, const char *without)
{
	const struct names *n = &names[mini->kernel];
	char line[128], *text = mini->info;
	uint32_t header[6] = {11, 0, 0};

	text[0] = '\0';
	snprintf(line, sizeof(line), "OSRELEASE=%s", n->release);
	say(text, without, line);
	say_number(text, without, "PAGESIZE", 4096);
	say_symbol(text, without, "init_uts_ns", MINI_UTS);
	if (mini->kernel > MINI_5_10)
		say_number(text, without, "OFFSET(uts_namespace.name)", 4);
	say_symbol(text, without, "_stext", MINI_IMAGE);
	say_symbol(text, without, "mem_section", MINI_DIRECT + SECTIONS_PHYS);
	say_number(text, without, "LENGTH(mem_section)", 2048);
	say_number(text, without, "SIZE(mem_section)", 16);
	say_number(text, without, "OFFSET(mem_section.section_mem_map)", 0);
	say_number(text, without, "NUMBER(SECTION_SIZE_BITS)", 24);
	say_page(text, without, mini->kernel);
	say_flags(text, without, n);
	say_log(text, without, mini->kernel);
	say_symbols(text, without, mini->kernel);
	say_number(text, without, "NUMBER(phys_base)",
		(int64_t)(MINI_IMAGE_PHYS - (MINI_IMAGE - 0xffffffff80000000ull)));
	say_symbol(text, without, "init_top_pgt", MINI_IMAGE);
	say_number(text, without, "NUMBER(pgtable_l5_enabled)", mini->levels5);
	say_number(text, without, "NUMBER(sme_mask)", 0);

	header[1] = (uint32_t)strlen(text);
	memcpy(header + 3, "VMCOREINFO", 10);
	memset(mini_phys(mini, MINI_NOTE_PHYS), 0, 2 * PAGE_SIZE_4K);
	memcpy(mini_phys(mini, MINI_NOTE_PHYS), header, sizeof(header));
	memcpy(mini_phys(mini, MINI_NOTE_PHYS + NOTE_HEADER), text, header[1]);
}

/* ---- page tables ---------------------------------------------------------------------------------------- */

/* The table that entry @index of the table at @table points to, a new one if there is none. */
static uint64_t next_table(struct mini *mini, uint64_t table, unsigned index, uint64_t *free)
{
	uint64_t *entry = (uint64_t *)mini_phys(mini, table) + index;

	if (!*entry) {
		*entry = *free | PRESENT | WRITABLE;
		*free += PAGE_SIZE_4K;
	}
	return *entry & ~0xfffull;
}

static void map(struct mini *mini, uint64_t gva, uint64_t gpa, uint64_t pages, uint64_t *free)
{
	for (; pages; pages--, gva += PAGE_SIZE_4K, gpa += PAGE_SIZE_4K) {
		uint64_t table = MINI_IMAGE_PHYS; /* init_top_pgt */

		for (int shift = mini->levels5 ? 48 : 39; shift > 12; shift -= 9)
			table = next_table(mini, table, gva >> shift & 511, free);
		((uint64_t *)mini_phys(mini, table))[gva >> 12 & 511] = gpa | PRESENT | WRITABLE;
	}
}

/* ---- the log and the symbols ---------------------------------------------------------------------------- */

#define LOG_RING (MINI_LOG + 0x40) /* the variable prb points to it */
#define LOG_DESCS (MINI_LOG + 0x100)
#define LOG_INFOS (MINI_LOG + 0x300)
#define LOG_TEXT (MINI_LOG + 0x1000)
#define LOG_COUNT_BITS 3 /* records */
#define LOG_SIZE_BITS 10 /* bytes of text */
#define STATE_FINALIZED (2ull << 62)

static void put64(struct mini *mini, uint64_t gva, uint64_t value)
{
	memcpy(mini_at(mini, gva), &value, sizeof(value));
}

/* struct printk_ringbuffer as say_log() describes it, with three records. */
static void make_log(struct mini *mini)
{
	static const char *const lines[] = {"Linux version mini", "Kernel panic - not syncing: a test",
		"---[ end Kernel panic - not syncing: a test ]---"};
	uint64_t pos = 0;

	put64(mini, MINI_LOG, LOG_RING);
	put64(mini, LOG_RING, LOG_COUNT_BITS);
	put64(mini, LOG_RING + 8, LOG_DESCS);
	put64(mini, LOG_RING + 16, LOG_INFOS);
	put64(mini, LOG_RING + 24, ARRAY_LEN(lines) - 1); /* head_id: the newest */
	put64(mini, LOG_RING + 32, 0);                    /* tail_id */
	put64(mini, LOG_RING + 48, LOG_SIZE_BITS);
	put64(mini, LOG_RING + 56, LOG_TEXT);
	for (uint64_t i = 0; i < ARRAY_LEN(lines); i++) {
		uint64_t len = strlen(lines[i]), info = LOG_INFOS + i * info_size(mini->kernel);
		uint16_t text_len = (uint16_t)len;

		put64(mini, LOG_DESCS + i * 24, STATE_FINALIZED | i);
		put64(mini, LOG_DESCS + i * 24 + 8, pos);
		put64(mini, LOG_DESCS + i * 24 + 16, u64_align_up(pos + 8 + len, 8));
		put64(mini, info, i);
		put64(mini, info + 8, (i + 1) * NSEC_PER_SEC + i * NSEC_PER_USEC);
		memcpy(mini_at(mini, info + 16), &text_len, sizeof(text_len));
		put64(mini, LOG_TEXT + pos, i); /* the block's descriptor */
		memcpy(mini_at(mini, LOG_TEXT + pos + 8), lines[i], len);
		pos = u64_align_up(pos + 8 + len, 8);
	}
}

/*
 * kallsyms without compression: token n is the character n, a name is its length, its type and its
 * characters.  With 4 levels offsets are as kernels with absolute per-CPU symbols have them, with 5 as newer ones;
 * from 7.0 on as those have them.
 */
static void make_symbols(struct mini *mini)
{
	static const struct {
		const char *name; /* with its type */
		uint32_t offset;
	} symbols[] = {{"T_stext", 0}, {"Tpanic", 0x100}, {"tsysrq_handle_crash", 0x200},
		{"Tlast_function", 0x300}, {"T_etext", 0x400}, {"Dsome_data", 0x1000}};
	uint8_t *name = mini_at(mini, MINI_SYMBOLS + 0x1000);
	uint8_t *tokens = mini_at(mini, MINI_SYMBOLS + 0x2000);
	uint32_t nr = ARRAY_LEN(symbols);

	memcpy(mini_at(mini, MINI_SYMBOLS), &nr, sizeof(nr));
	put64(mini, MINI_SYMBOLS + 8, MINI_IMAGE);
	for (unsigned i = 0; i < 256; i++) {
		uint16_t index = (uint16_t)(2 * i);

		tokens[2 * i] = (uint8_t)i;
		memcpy(mini_at(mini, MINI_SYMBOLS + 0x3000 + 2 * i), &index, sizeof(index));
	}
	for (uint32_t i = 0; i < nr; i++) {
		size_t len = strlen(symbols[i].name);

		/* base - 1 - offset */
		uint32_t offset = mini->levels5 ? symbols[i].offset : UINT32_MAX - symbols[i].offset;

		if (mini->kernel >= MINI_7_1) /* from where it is */
			offset = (uint32_t)(MINI_IMAGE + symbols[i].offset -
					    (MINI_SYMBOLS + 0x4000 + 4 * i));

		*name++ = (uint8_t)len;
		memcpy(name, symbols[i].name, len);
		name += len;
		memcpy(mini_at(mini, MINI_SYMBOLS + 0x4000 + 4 * i), &offset, 4);
	}
}

/* ---- pages ---------------------------------------------------------------------------------------------- */

static void set64(struct mini *mini, uint64_t pfn, unsigned offset, uint64_t value)
{
	memcpy(mini_page(mini, pfn) + offset, &value, sizeof(value));
}

static uint64_t get64(struct mini *mini, uint64_t pfn, unsigned offset)
{
	uint64_t value;

	memcpy(&value, mini_page(mini, pfn) + offset, sizeof(value));
	return value;
}

static void set_type(struct mini *mini, uint64_t pfn, int32_t type)
{
	memcpy(mini_page(mini, pfn) + MAPCOUNT, &type, sizeof(type));
}

/* A page of the kernel's own: nothing but a count of references. */
static void reset(struct mini *mini, uint64_t pfn)
{
	memset(mini_page(mini, pfn), 0, STRUCT_PAGE);
	set_type(mini, pfn, -1);
}

static uint64_t flag(unsigned bit)
{
	return bit == 99 ? 0 : 1ull << bit;
}

static void compound(struct mini *mini, uint64_t pfn, unsigned order)
{
	const struct names *n = &names[mini->kernel];

	for (uint64_t i = 0; i < 1ull << order; i++)
		reset(mini, pfn + i);
	if (!order)
		return;
	set64(mini, pfn, FLAGS, flag(n->head));
	for (uint64_t i = 1; i < 1ull << order; i++)
		set64(mini, pfn + i, COMPOUND_HEAD,
			(n->masks ? UINT64_MAX << order << STRUCT_PAGE_BITS : gva_of_page(pfn)) | 1);
	if (n->order != 99)
		mini_page(mini, pfn + 1)[n->order] = (uint8_t)order;
	else
		set64(mini, pfn + 1, FLAGS, order);
}

void mini_free(struct mini *mini, uint64_t pfn, unsigned order)
{
	for (uint64_t i = 0; i < 1ull << order; i++)
		reset(mini, pfn + i);
	set64(mini, pfn, PRIVATE, order);
	set_type(mini, pfn, names[mini->kernel].buddy);
}

void mini_cache(struct mini *mini, uint64_t pfn, unsigned order, bool private)
{
	const struct names *n = &names[mini->kernel];

	compound(mini, pfn, order);
	set64(mini, pfn, MAPPING, MINI_DIRECT + 0x1230);
	set64(mini, pfn, FLAGS, get64(mini, pfn, FLAGS) | flag(n->lru) | (private ? flag(n->private) : 0));
}

void mini_swapcache(struct mini *mini, uint64_t pfn)
{
	const struct names *n = &names[mini->kernel];

	reset(mini, pfn);
	set64(mini, pfn, FLAGS, flag(n->swapcache) | flag(n->swapbacked));
}

void mini_anon(struct mini *mini, uint64_t pfn, unsigned order)
{
	const struct names *n = &names[mini->kernel];

	compound(mini, pfn, order);
	set64(mini, pfn, MAPPING, MINI_DIRECT + 0x1231);
	set64(mini, pfn, FLAGS, get64(mini, pfn, FLAGS) | flag(n->lru) | flag(n->swapbacked));
}

/* With a word where others have their mapping that looks like an anonymous one's. */
void mini_slab(struct mini *mini, uint64_t pfn, unsigned order)
{
	const struct names *n = &names[mini->kernel];

	compound(mini, pfn, order);
	set64(mini, pfn, MAPPING, 1);
	set64(mini, pfn, FLAGS, get64(mini, pfn, FLAGS) | flag(n->slab));
	if (n->slab_type)
		set_type(mini, pfn, n->slab_type);
}

void mini_hugetlb(struct mini *mini, uint64_t pfn, unsigned order)
{
	const struct names *n = &names[mini->kernel];

	compound(mini, pfn, order);
	if (n->hugetlb_type)
		set_type(mini, pfn, n->hugetlb_type);
	else if (n->hugetlb_1)
		set64(mini, pfn + 1, FLAGS, get64(mini, pfn + 1, FLAGS) | 1ull << HUGETLB_1_BIT);
	else
		mini_page(mini, pfn + 1)[n->dtor] = HUGETLB_DTOR;
}

void mini_offline(struct mini *mini, uint64_t pfn)
{
	reset(mini, pfn);
	set_type(mini, pfn, names[mini->kernel].offline);
}

void mini_hwpoison(struct mini *mini, uint64_t pfn)
{
	reset(mini, pfn);
	set64(mini, pfn, FLAGS, flag(names[mini->kernel].hwpoison));
}

void mini_init(struct mini *mini, enum mini_kernel kernel, bool levels5)
{
	uint64_t free = TABLES_PHYS, *root;
	char *release;

	memset(mini, 0, sizeof(*mini));
	mini->kernel = kernel;
	mini->levels5 = levels5;
	if (dump_layout_init(&mini->layout, MINI_RAM, MINI_HOLE_START, MINI_HOLE_END))
		abort();
	map(mini, MINI_IMAGE, MINI_IMAGE_PHYS, 0x40, &free);
	map(mini, MINI_DIRECT, 0, MINI_SEGMENT_PAGES, &free);
	map(mini, MINI_VMEMMAP, PAGES_PHYS, 4, &free);
	map(mini, gva_of_page(MINI_HIGH_PFN), PAGES_PHYS + 4 * PAGE_SIZE_4K, 4, &free);

	root = mini_phys(mini, SECTIONS_PHYS);
	root[0] = MINI_DIRECT + SECTIONS_PHYS + PAGE_SIZE_4K;
	for (unsigned i = 0; i < 2;
		i++) /* {section_mem_map, usage}: marked present, has map, early, online */
		root[PAGE_SIZE_4K / 8 + i * 2] = MINI_VMEMMAP | 0xf;
	for (uint64_t i = 0; i < MINI_SEGMENT_PAGES; i++) {
		reset(mini, i);
		reset(mini, MINI_HIGH_PFN + i);
	}
	release = (char *)mini_at(mini, MINI_UTS + 4) + 2 * 65;
	snprintf(release, 65, "%s", names[kernel].release);
	put64(mini, MINI_NOTE_POINTER, MINI_DIRECT + MINI_NOTE_PHYS);
	make_log(mini);
	make_symbols(mini);
	mini_write_info(mini, NULL);
}
