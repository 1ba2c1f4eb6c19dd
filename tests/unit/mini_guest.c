/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/mini_guest.c - see mini_guest.h */
#include "tests/unit/mini_guest.h"

#include "dump/base/io.h"

#include <check.h>
#include <sys/mman.h>
#include <unistd.h>

void mini_guest_init(struct mini_guest *guest, enum mini_kernel kernel, bool levels5)
{
	int fd = memfd_create("mini-guest", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	mini_init(&guest->mini, kernel, levels5);
	ck_assert_int_eq(ftruncate(fd, (off_t)dump_layout_file_size(&guest->mini.layout)), 0);
	guest->view = (struct guest_view){.fd = fd, .layout = &guest->mini.layout};
	mini_guest_sync(guest);
}

void mini_guest_fini(struct mini_guest *guest)
{
	close(guest->view.fd);
}

void mini_guest_sync(struct mini_guest *guest)
{
	ck_assert_int_eq(
		io_pwrite_full(guest->view.fd, guest->mini.ram, MINI_RAM, guest->mini.layout.head), 0);
}

const char *mini_guest_open(struct mini_guest *guest)
{
	mini_guest_sync(guest);
	if (vmcoreinfo_scan(&guest->view, 1, UINT64_MAX, NULL, NULL, &guest->info) != 1)
		return "no VMCOREINFO";
	return linux_kernel_init(&guest->kernel, &guest->view, &guest->info);
}

uint64_t mini_bit(uint64_t pfn)
{
	return pfn < MINI_SEGMENT_PAGES ? pfn : pfn - MINI_HIGH_PFN + MINI_SEGMENT_PAGES;
}
