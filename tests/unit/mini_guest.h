/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/mini_guest.h - the small Linux of tests/vmcores/mini.h in a file, as the dump engine reads it. */
#ifndef TESTS_UNIT_MINI_GUEST_H
#define TESTS_UNIT_MINI_GUEST_H

#include "dump/linux/linux_kernel.h"
#include "tests/vmcores/mini.h"

struct mini_guest {
	struct mini mini;
	struct guest_view view;
	struct vmcoreinfo info;
	struct linux_kernel kernel;
};

/* Each helper ends the test when the host refuses. */
void mini_guest_init(struct mini_guest *guest, enum mini_kernel kernel, bool levels5);
void mini_guest_fini(struct mini_guest *guest);

/* Writes guest->mini.ram to the file: after changes of it. */
void mini_guest_sync(struct mini_guest *guest);

/* Makes guest->kernel of what the file holds; NULL or why not. */
const char *mini_guest_open(struct mini_guest *guest);

/* Bit of frame @pfn in a bitmap of pages of RAM offset. */
uint64_t mini_bit(uint64_t pfn);

#endif /* TESTS_UNIT_MINI_GUEST_H */
