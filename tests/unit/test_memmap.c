/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_memmap.c - vmm/memory/memmap.h and the table of announced devices: nothing overlaps */
#include "tests/unit/suites.h"
#include "vmm/machine/vm.h"

#include <errno.h>
#include <stdlib.h>

START_TEST(each_virtio_slot_has_an_interrupt_of_its_own_that_no_other_device_uses)
{
	uint32_t seen = 1u << 0 | 1u << 1 | 1u << 2 | 1u << IRQ_SERIAL0 | 1u << 8 | 1u << 9 | 1u << 13;

	for (uint32_t slot = 0; slot < VIRTIO_MMIO_SLOTS; slot++) {
		uint32_t gsi = virtio_mmio_gsi(slot);

		ck_assert_uint_lt(gsi, 24); /* inputs of the IOAPIC */
		ck_assert(!(seen >> gsi & 1));
		seen |= 1u << gsi;
	}
}
END_TEST

START_TEST(the_virtio_slots_lie_in_the_hole_below_the_interrupt_controllers)
{
	ck_assert_uint_ge(virtio_mmio_base(0), HOLE_BASE);
	ck_assert_uint_le(virtio_mmio_base(VIRTIO_MMIO_SLOTS), IOAPIC_BASE);
	ck_assert_uint_eq(virtio_mmio_base(1) - virtio_mmio_base(0), VIRTIO_MMIO_SIZE);
}
END_TEST

Suite *suite_memmap(void)
{
	Suite *suite = suite_create("memmap");
	TCase *tc = tcase_create("memmap");

	tcase_add_test(tc, each_virtio_slot_has_an_interrupt_of_its_own_that_no_other_device_uses);
	tcase_add_test(tc, the_virtio_slots_lie_in_the_hole_below_the_interrupt_controllers);
	suite_add_tcase(suite, tc);
	return suite;
}
