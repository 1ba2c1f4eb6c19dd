/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_pagewalk.c - intent: whatever the page tables say, pagewalk_run agrees with a walker
 * that knows no cache, stays inside RAM and its bounds, and never translates what it should refuse.
 *
 * Input: u64 CR3, u64 CR4, u8 number of addresses (modulo 8), u64 addresses, then memory (guest.h).
 */
#include "tests/fuzz/guest.h"

#include "dump/region/pagewalk.h"

#include <errno.h>
#include <string.h>

#define TABLES_MAX 30
#define ADDRESS 0x000ffffffffff000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the walk of one address has to give: straight from the manual, one entry after the other. */
static int expected(
	const struct fuzz_guest *guest, uint64_t cr3, bool la57, uint64_t gva, struct pagewalk_run *ret)
{
	uint64_t table = cr3 & ADDRESS;
	int top = la57 ? 56 : 47;
	bool writable = true;

	if ((int64_t)gva >> top != 0 && (int64_t)gva >> top != -1)
		return -ERANGE;
	for (int shift = la57 ? 48 : 39;; shift -= 9) {
		uint64_t size = 1ull << shift, left = size - (gva & (size - 1));
		uint64_t entry, off;
		bool large;

		if (table >= FUZZ_HOLE_END && table < FUZZ_HOLE_END + FUZZ_RAM - FUZZ_HOLE_START)
			off = table - FUZZ_HOLE_END + FUZZ_HOLE_START;
		else if (table < FUZZ_HOLE_START)
			off = table;
		else
			return -EFAULT;
		memcpy(&entry, guest->ram + off + (gva >> shift & 511) * 8, 8);
		if (!(entry & 1)) {
			*ret = (struct pagewalk_run){.bytes = left};
			return 0;
		}
		large = entry & 0x80 && shift > 12;
		if (large && shift > 30)
			return -EINVAL;
		if (large && entry & ADDRESS & (size - 1) & ~0x1000ull)
			return -EINVAL;
		table = entry & ADDRESS;
		writable = writable && entry & 2;
		if (large || shift == 12) {
			*ret = (struct pagewalk_run){
				true, writable, (table & ~(size - 1)) | (gva & (size - 1)), left};
			return 0;
		}
	}
}

static void check_table(void *arg, uint64_t gpa)
{
	const struct fuzz_guest *guest = arg;
	uint64_t off;

	must(!dump_layout_offset(&guest->layout, gpa, PAGE_SIZE_4K, &off),
		"tables that are told lie in RAM");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pagewalk walk;
	struct fuzz_guest *guest;
	uint64_t cr3, cr4, gvas[8];
	uint8_t nr;

	fuzz_take(&data, &size, &cr3, sizeof(cr3));
	fuzz_take(&data, &size, &cr4, sizeof(cr4));
	fuzz_take(&data, &size, &nr, sizeof(nr));
	nr %= 8;
	fuzz_take(&data, &size, gvas, nr * sizeof(gvas[0]));
	guest = fuzz_guest_init(data, size);
	pagewalk_init(&walk, &guest->view, cr3, cr4, TABLES_MAX);
	walk.on_table = check_table;
	walk.arg = guest;
	for (unsigned i = 0; i < nr; i++) {
		struct pagewalk_run want = {0}, got = {0};
		uint64_t before = walk.tables_left;
		int r = pagewalk_run(&walk, gvas[i], &got);

		must(before - walk.tables_left <= walk.levels, "one table a level");
		must((r == -ERANGE) == !pagewalk_is_canonical(&walk, gvas[i]), "what is canonical");
		if (r == -E2BIG) {
			must(!walk.tables_left, "tables may be read as long as there are some left");
			continue;
		}
		must(r == expected(guest, cr3, cr4 & PAGEWALK_CR4_LA57, gvas[i], &want), "the same result");
		must(got.mapped == want.mapped && got.writable == want.writable && got.gpa == want.gpa &&
				got.bytes == want.bytes,
			"the same run");
		must(r || (got.bytes && got.bytes <= pagewalk_room(&walk, gvas[i])),
			"runs stay in their half");
	}
	return 0;
}
