/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/boot_fixture.c - see boot_fixture.h */
#include "tests/unit/boot_fixture.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void boot_region(struct region *region, uint64_t ram)
{
	int shm = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	region_destroy(region);
	ck_assert_int_ge(shm, 0);
	ck_assert_int_eq(region_create(region, shm, ram), 0);
	close(shm);
}

int boot_load(struct region *region, int fd, const char *initrd, const char *cmdline,
	struct boot_entry *ret, char *why, size_t why_size)
{
	char path[64];
	const struct boot_source source = {.kernel = path, .initrd = initrd, .cmdline = cmdline};

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return loader_load(region, &source, ret, why, why_size);
}

uint64_t boot_number(const struct region *region, gpa_t gpa, size_t len)
{
	uint64_t value = 0;

	ck_assert_uint_le(len, sizeof(value));
	ck_assert_int_eq(gmem_copy_in(region, gpa, &value, len), 0);
	return value;
}
