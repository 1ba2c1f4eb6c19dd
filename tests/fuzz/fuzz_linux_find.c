/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_linux_find.c - intent: no page table and no image of a Linux kernel makes the search for the kernel's
 * own pointer to VMCOREINFO read outside RAM, find what is none, or work for long.
 *
 * Input: as tests/fuzz/linux_guest.h.
 */
#include "tests/fuzz/guest.h"
#include "tests/fuzz/linux_guest.h"

#include "dump/linux/linux_find.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct linux_guest *guest;
	struct vmcoreinfo info;
	uint8_t choice;

	fuzz_take(&data, &size, &choice, 1);
	guest = linux_guest_init(choice, data, size);
	if (linux_find_info(&guest->view, MINI_IMAGE_PHYS, guest->mini->levels5 ? PAGEWALK_CR4_LA57 : 0,
		    &info) == 1)
		must(info.len >= VMCOREINFO_TEXT_MIN, "what is found is a text");
	linux_guest_done(guest);
	return 0;
}
