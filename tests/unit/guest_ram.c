/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/guest_ram.c - see guest_ram.h */
#include "tests/unit/guest_ram.h"

#include <check.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void guest_ram_init(struct guest_ram *ram)
{
	int fd = memfd_create("guest-ram", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(dump_layout_init(&ram->layout, GUEST_RAM, GUEST_HOLE_START, GUEST_HOLE_END), 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)dump_layout_file_size(&ram->layout)), 0);
	ram->view = (struct guest_view){.fd = fd, .layout = &ram->layout};
}

void guest_ram_fini(struct guest_ram *ram)
{
	close(ram->view.fd);
}

void guest_ram_put(struct guest_ram *ram, uint64_t gpa, const void *data, size_t len)
{
	uint64_t off;

	ck_assert_int_eq(dump_layout_offset(&ram->layout, gpa, len, &off), 0);
	ck_assert_int_eq(pwrite(ram->view.fd, data, len, (off_t)(ram->layout.head + off)), (ssize_t)len);
}

void guest_ram_entry(struct guest_ram *ram, uint64_t table, unsigned index, uint64_t entry)
{
	guest_ram_put(ram, table + index * 8, &entry, sizeof(entry));
}

uint64_t guest_ram_populated(const struct guest_ram *ram)
{
	struct stat st;

	ck_assert_int_eq(fstat(ram->view.fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}
