/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_guest_dump.c - what the dump calls of a guest do to its dump file, without KVM.
 */
#include "tests/unit/suites.h"

#include "vmm/machine/guest_dump.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RAM MIB(4)
#define OLD 0x5a

static char dir[] = "/dev/shm/minivmm-test-XXXXXX";
static int dir_fd;
static struct region region;
static struct guest_dump dump;
static const _Atomic bool stopping;

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(region_create(&region, dir_fd, RAM), 0);
	guest_dump_init(&dump);
	ck_assert_int_eq(guest_dump_begin(&dump, &(struct guest_dump_source){.vm_fd = -1,
							 .dir_fd = dir_fd,
							 .region = &region,
							 .layout = &region.layout,
							 .phys_bits = 36,
							 .stopping = &stopping}),
		0);
}

static void teardown(void)
{
	guest_dump_fini(&dump);
	region_destroy(&region);
	close(dir_fd);
	rmdir(dir);
}

/* A stream for all of RAM, at its start. */
static uint32_t open_stream(void)
{
	uint32_t stream;

	ck_assert_int_eq(guest_dump_open(&dump, 0, RAM, &stream), FW_OK);
	return stream;
}

static void write_stream(uint32_t stream, uint64_t from, uint64_t len)
{
	ck_assert_int_eq(guest_dump_write(&dump, stream, from, len, false), FW_OK);
}

static unsigned char dumped(uint64_t off)
{
	unsigned char byte;

	ck_assert_int_eq(pread(dump.file_fd, &byte, 1, (off_t)(region.layout.head + off)), 1);
	return byte;
}

/* Lengths that end in the middle of a page as well. */
static const struct {
	uint64_t lead, len; /* bytes written before the zeros; zeros */
} shapes[] = {{0, 65536}, {0, 4096}, {4096, 8192}, {100, 4096}, {100, 50000}, {0, 100}, {4000, 200}};

START_TEST(zeros_from_memory_that_was_never_touched_replace_what_was_written_before)
{
	uint64_t lead = shapes[_i].lead, len = shapes[_i].len;
	const uint64_t hole = MIB(2); /* of the guest's memory */
	uint32_t stream;

	memset(region.map, OLD, MIB(1));
	stream = open_stream();
	write_stream(stream, 0, MIB(1));
	ck_assert_int_eq(guest_dump_close(&dump, stream), FW_OK);
	stream = open_stream();
	if (lead)
		write_stream(stream, 0, lead);
	write_stream(stream, hole, len);
	for (uint64_t off = 0; off < lead + len + 4096; off++)
		if (dumped(off) != (off >= lead && off < lead + len ? 0 : OLD))
			ck_abort_msg("byte %llu", (unsigned long long)off);
	/* and the source was not given memory by being looked at */
	ck_assert_int_lt(lseek(region.fd, (off_t)(region.layout.head + hole), SEEK_DATA), 0);
}
END_TEST

START_TEST(memory_that_was_never_touched_takes_none_in_the_dump)
{
	uint32_t stream = open_stream();
	off_t head = (off_t)region.layout.head;

	memset(region.map + MIB(2), OLD, 4096);
	write_stream(stream, 0, MIB(2) + 4096);
	ck_assert_int_eq(dumped(0), 0);
	ck_assert_int_eq(dumped(MIB(2)), OLD);
	ck_assert_int_eq(lseek(dump.file_fd, head, SEEK_DATA), head + (off_t)MIB(2));
}
END_TEST

Suite *suite_guest_dump(void)
{
	Suite *suite = suite_create("guest dump");
	TCase *tc = tcase_create("streams");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, zeros_from_memory_that_was_never_touched_replace_what_was_written_before, 0,
		ARRAY_LEN(shapes));
	tcase_add_test(tc, memory_that_was_never_touched_takes_none_in_the_dump);
	suite_add_tcase(suite, tc);
	return suite;
}
