/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_select.c - intent: no panic block, selection list, page table or page descriptor makes a
 * selector read outside RAM, mark pages that do not exist, exclude what it must keep, or work for long.
 *
 * Input: u8 flags (bit 0: registers saved; 1: paging; 2: PAE; 3: LA57; 4: vCPU's CR3 = page table), then u64
 * page_table, page_desc, nr_page_desc, select, nr_select, then memory (guest.h).
 */
#include "tests/fuzz/guest.h"

#include "dump/base/bitmap.h"
#include "dump/region/pagewalk.h"
#include "dump/record/record.h"
#include "dump/select/select_list.h"
#include "dump/select/select_pages.h"

#include <string.h>

#define WORDS 3 /* one more than needed, which has to stay 0 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_record(const uint8_t **data, size_t *size, struct dump_record *record)
{
	struct dump_cpu *cpu = &record->cpus[0];
	uint8_t flags;

	fuzz_take(data, size, &flags, sizeof(flags));
	fuzz_take(data, size, &record->panic.page_table, 8);
	fuzz_take(data, size, &record->panic.page_desc, 8);
	fuzz_take(data, size, &record->panic.nr_page_desc, 8);
	fuzz_take(data, size, &record->panic.select, 8);
	fuzz_take(data, size, &record->panic.nr_select, 8);
	record->nr_cpus = 1;
	record->crash_cpu = 0;
	cpu->saved = flags & 1;
	cpu->cr[0] = flags & 2 ? PAGEWALK_CR0_PG : 0;
	cpu->cr[3] = record->panic.page_table;
	cpu->cr[4] = (flags & 4 ? PAGEWALK_CR4_PAE : 0) | (flags & 8 ? PAGEWALK_CR4_LA57 : 0);
	if (flags & 16)
		record->panic.page_table = 0;
}

static void check_bits(const uint64_t bits[WORDS])
{
	must(!(bits[0] >> FUZZ_PAGES) && !bits[1] && !bits[2], "no bits of pages that do not exist");
}

static bool is_marked(const struct fuzz_guest *guest, const uint64_t *bits, uint64_t gpa)
{
	uint64_t off;

	return !dump_layout_offset(&guest->layout, gpa, 1, &off) && bitmap_test(bits, off / PAGE_SIZE_4K);
}

static void check_list(const struct fuzz_guest *guest, const struct dump_record *record)
{
	uint64_t bits[WORDS] = {0};
	uint64_t ignored = ~0ull;
	const struct fw_panic *panic = &record->panic;
	const char *why = select_list_mark(&guest->view, record, bits, &ignored);

	check_bits(bits);
	must(!why || ignored == ~0ull, "a list that is not believed has no result");
	if (why)
		return;
	must(panic->nr_select && panic->nr_select <= FW_SELECT_MAX,
		"believed lists have an allowed length");
	must(ignored < panic->nr_select, "a list that is believed names something");
	must(is_marked(guest, bits, panic->select), "the list is kept");
	must(is_marked(guest, bits, panic->select + panic->nr_select * sizeof(struct fw_select) - 1),
		"to its end");
}

static void check_pages(const struct fuzz_guest *guest, const struct fw_panic *panic)
{
	uint64_t gpa = panic->page_desc, nr = panic->nr_page_desc;
	uint64_t bits[WORDS] = {0};
	const char *why = select_pages_mark(&guest->view, gpa, nr, bits);

	check_bits(bits);
	if (why)
		return;
	for (uint64_t at = gpa; at < gpa + nr * sizeof(struct fw_page_desc);
		at += sizeof(struct fw_page_desc))
		must(!is_marked(guest, bits, at), "the array is kept");
	for (uint64_t page = 0; page < FUZZ_PAGES; page++) {
		uint64_t at = page * PAGE_SIZE_4K;
		uint64_t frame = (at < FUZZ_HOLE_START ? at : at - FUZZ_HOLE_START + FUZZ_HOLE_END) /
				 PAGE_SIZE_4K;
		struct fw_page_desc desc;
		uint64_t off;

		if (!bitmap_test(bits, page))
			continue;
		must(frame < nr, "frames beyond the array are kept");
		must(!dump_layout_offset(&guest->layout, gpa + frame * sizeof(desc), sizeof(desc), &off),
			"array in RAM");
		memcpy(&desc, guest->ram + off, sizeof(desc));
		must(!desc.refcount || desc.flags & FW_PAGE_FREE, "pages in use are kept");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static union {
		struct dump_record record;
		uint8_t bytes[sizeof(struct dump_record) + sizeof(struct dump_cpu)];
	} space;
	struct fuzz_guest *guest;

	take_record(&data, &size, &space.record);
	guest = fuzz_guest_init(data, size);
	check_list(guest, &space.record);
	check_pages(guest, &space.record.panic);
	return 0;
}
