/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_virtio_blk.c - vmm/devices/virtio_blk.c and disk.c: requests good and bad, failing disks, one disk and two VMs */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "tests/unit/virtio_driver.h"
#include "vmm/devices/virtio_blk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define SECTORS 256u
#define HEADER_AT (DRIVER_DATA)
#define STATUS_AT (DRIVER_DATA + 0x100)
#define DATA_AT (DRIVER_DATA + 0x1000)
#define UNTOUCHED 0xee

static struct scratch scratch;
static char image[128];
static struct disk disk;
static struct driver driver;
static struct virtio_blk blk;

static void open_disk(bool readonly, bool direct)
{
	char why[256] = "";

	ck_assert_msg(!disk_open(&disk, "root", image, readonly, direct, why, sizeof(why)), "%s", why);
}

static void plug(void)
{
	memset(&blk, 0, sizeof(blk));
	ck_assert_int_eq(virtio_blk_init(&blk, &disk, &driver.region), 0);
	driver_plug(&driver, &blk.dev);
	driver_start(&driver, 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX);
}

static void setup(void)
{
	static unsigned char content[SECTORS * DISK_SECTOR];

	scratch_init(&scratch);
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (unsigned char)(i / DISK_SECTOR + i);
	scratch_file(&scratch, "image", content, sizeof(content), image, sizeof(image));
	driver_init(&driver);
	open_disk(false, false);
	plug();
}

static void teardown(void)
{
	io_test_hook = NULL;
	driver_fini(&driver);
	disk_close(&disk);
	scratch_fini(&scratch);
}

/* The device as another kind of disk. */
static void replug(bool readonly, bool direct)
{
	driver_fini(&driver);
	disk_close(&disk);
	driver_init(&driver);
	open_disk(readonly, direct);
	plug();
}

/* Offers header, data (if @len) and status as descriptors 0, 1, 2 without waiting. */
static void submit(uint32_t type, uint64_t sector, uint32_t len, bool to_driver)
{
	struct virtio_blk_outhdr header = {.type = type, .sector = sector};

	memcpy(driver_at(&driver, HEADER_AT), &header, sizeof(header));
	*(uint8_t *)driver_at(&driver, STATUS_AT) = UNTOUCHED;
	driver_desc(&driver, 0, 0, HEADER_AT, sizeof(header), NEXT, len ? 1 : 2);
	driver_desc(&driver, 0, 1, DATA_AT, len, NEXT | (to_driver ? WRITE : 0), 2);
	driver_desc(&driver, 0, 2, STATUS_AT, 1, WRITE, 0);
	driver_offer(&driver, 0, 0);
}

static uint8_t status(void)
{
	return *(uint8_t *)driver_at(&driver, STATUS_AT);
}

/* A whole request; its status.  *ret_used: bytes by the used ring. */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t len, bool to_driver, uint32_t *ret_used)
{
	uint32_t used;

	submit(type, sector, len, to_driver);
	used = driver_await(&driver, 0, NULL);
	if (ret_used)
		*ret_used = used;
	return status();
}

static void check_image(uint64_t sector, const void *expected, size_t len)
{
	autoclose int fd = open(image, O_RDONLY | O_CLOEXEC);
	autofree char *have = malloc(len);

	ck_assert_int_eq(io_pread_full(fd, have, len, sector * DISK_SECTOR), 0);
	ck_assert_mem_eq(have, expected, len);
}

/* ---- what drivers do ------------------------------------------------------------------------------ */

START_TEST(the_guest_learns_capacity_block_size_and_limits)
{
	struct virtio_blk_config config;

	for (uint32_t i = 0; i < sizeof(config); i++)
		bus_read(&driver.bus, 0, DRIVER_MMIO + VIRTIO_MMIO_CONFIG + i, (char *)&config + i, 1);
	ck_assert_uint_eq(config.capacity, SECTORS);
	ck_assert_uint_eq(config.blk_size, 512);
	ck_assert_uint_eq(config.seg_max, 254);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_DEVICE_ID), 2);
	ck_assert(blk.dev.offered & 1ull << VIRTIO_BLK_F_FLUSH);
	ck_assert(!(blk.dev.offered & 1ull << VIRTIO_BLK_F_RO));
}
END_TEST

START_TEST(what_is_written_is_read_back_and_is_in_the_image)
{
	uint32_t used;

	memset(driver_at(&driver, DATA_AT), 'x', 4096);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_OUT, 16, 4096, false, &used), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(used, 1);
	check_image(16, driver_at(&driver, DATA_AT), 4096);
	memset(driver_at(&driver, DATA_AT), 0, 8192);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 15, 4608, true, &used), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(used, 4609);
	check_image(15, driver_at(&driver, DATA_AT), 4608);
	ck_assert_mem_eq((char *)driver_at(&driver, DATA_AT) + 512, "xxxx", 4);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, false, &used), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(framing_is_free_header_data_and_status_may_lie_in_any_buffers)
{
	struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_IN, .sector = 3};

	memcpy(driver_at(&driver, HEADER_AT), &header, 16);
	driver_desc(&driver, 0, 9, HEADER_AT, 5, NEXT, 4);
	driver_desc(&driver, 0, 4, HEADER_AT + 5, 11, NEXT, 5);
	driver_desc(&driver, 0, 5, DATA_AT, 100, NEXT | WRITE, 6);
	driver_desc(&driver, 0, 6, DATA_AT + 100, 412 + 1, WRITE, 0); /* status is its last byte */
	driver_offer(&driver, 0, 9);
	ck_assert_uint_eq(driver_await(&driver, 0, NULL), 513);
	check_image(3, driver_at(&driver, DATA_AT), 512);
	ck_assert_uint_eq(*(uint8_t *)driver_at(&driver, DATA_AT + 512), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(the_serial_number_is_the_name_in_the_configuration)
{
	uint32_t used;

	memset(driver_at(&driver, DATA_AT), 'x', 64);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_GET_ID, 0, 20, true, &used), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(used, 21);
	ck_assert_mem_eq(driver_at(&driver, DATA_AT), "root\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x", 21);
}
END_TEST

static uint8_t trim(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes range = {
		.sector = sector, .num_sectors = sectors, .flags = flags};

	memcpy(driver_at(&driver, DATA_AT), &range, sizeof(range));
	return request(type, 0, sizeof(range), false, NULL);
}

START_TEST(zeros_are_written_and_discarded_blocks_become_holes)
{
	static const char zeros[64 * DISK_SECTOR];
	struct stat before, after;

	ck_assert_uint_eq(trim(VIRTIO_BLK_T_WRITE_ZEROES, 8, 64, 0), VIRTIO_BLK_S_OK);
	check_image(8, zeros, sizeof(zeros));
	ck_assert_uint_eq(trim(VIRTIO_BLK_T_WRITE_ZEROES, 80, 8, 1), VIRTIO_BLK_S_OK);
	check_image(80, zeros, 8 * DISK_SECTOR);
	ck_assert_int_eq(stat(image, &before), 0);
	ck_assert_uint_eq(trim(VIRTIO_BLK_T_DISCARD, 128, 64, 0), VIRTIO_BLK_S_OK);
	ck_assert_int_eq(stat(image, &after), 0);
	ck_assert_int_eq(after.st_size, before.st_size);
	ck_assert_int_lt(after.st_blocks, before.st_blocks);
}
END_TEST

START_TEST(many_requests_at_once_all_end_with_their_own_data)
{
	for (uint16_t i = 0; i < 64; i++) {
		struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_IN, .sector = i};
		gpa_t at = DRIVER_DATA + i * 0x1000u;

		memcpy(driver_at(&driver, at), &header, sizeof(header));
		driver_desc(&driver, 0, (uint16_t)(3 * i), at, 16, NEXT, (uint16_t)(3 * i + 1));
		driver_desc(&driver, 0, (uint16_t)(3 * i + 1), at + 512, 512, NEXT | WRITE,
			(uint16_t)(3 * i + 2));
		driver_desc(&driver, 0, (uint16_t)(3 * i + 2), at + 1024, 1, WRITE, 0);
		driver_offer(&driver, 0, (uint16_t)(3 * i));
	}
	for (uint16_t i = 0; i < 64; i++) {
		uint16_t head;

		ck_assert_uint_eq(driver_await(&driver, 0, &head), 513);
		check_image(head / 3, driver_at(&driver, DRIVER_DATA + head / 3 * 0x1000u + 512), 512);
	}
}
END_TEST

START_TEST(requests_are_counted_for_those_who_share_the_disk)
{
	const struct disk_load *seen;
	struct disk_load *load;
	uint64_t latencies = 0, begun_ns = clock_mono_ns();
	int fd;

	ck_assert_int_eq(disk_load_create(&load, &fd), 0);
	ck_assert_int_eq(disk_load_map(fd, &seen), 0);
	disk.load = load;
	ck_assert_int_eq(request(VIRTIO_BLK_T_OUT, 0, 1024, false, NULL), VIRTIO_BLK_S_OK);
	ck_assert_int_eq(request(VIRTIO_BLK_T_IN, 0, 512, true, NULL), VIRTIO_BLK_S_OK);
	ck_assert_int_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_OK);
	ck_assert_int_ne(request(VIRTIO_BLK_T_IN, SECTORS, 512, true, NULL), VIRTIO_BLK_S_OK); /* too */
	ck_assert_uint_eq(atomic_load(&seen->begun), 4);
	ck_assert_uint_eq(atomic_load(&seen->ended), 4);
	ck_assert_uint_eq(disk_load_in_flight(seen), 0);
	ck_assert_uint_eq(atomic_load(&seen->bytes), 1024 + 512 + 512);
	ck_assert_uint_eq(atomic_load(&seen->cost), 4 * DISK_LOAD_COST_MIN);
	ck_assert_uint_ge(atomic_load(&seen->moved_ns), begun_ns);
	for (unsigned i = 0; i < DISK_LOAD_BUCKETS; i++)
		latencies += atomic_load(&seen->latencies[i]);
	ck_assert_uint_eq(latencies, 4);
	disk.load = NULL;
	disk_load_unmap(seen);
	disk_load_unmap(load);
	close(fd);
}
END_TEST

/* ---- what they should not ------------------------------------------------------------------------- */

START_TEST(requests_beyond_the_end_or_of_odd_length_are_errors_and_change_nothing)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
	} bad[] = {{SECTORS, 512}, {SECTORS - 1, 1024}, {UINT64_MAX, 512}, {UINT64_MAX / 512, 1024},
		{1ull << 55, 512}, {0, 511}, {0, 1}, {0, (SECTORS + 1) * 512}};
	uint32_t used;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, bad[i].sector, bad[i].len, true, &used),
			VIRTIO_BLK_S_IOERR);
		ck_assert_uint_eq(used, 1);
		ck_assert_uint_eq(request(VIRTIO_BLK_T_OUT, bad[i].sector, bad[i].len, false, &used),
			VIRTIO_BLK_S_IOERR);
	}
	ck_assert_int_eq((int)lseek(disk.fd, 0, SEEK_END), SECTORS * DISK_SECTOR);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, SECTORS - 1, 512, true, &used), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(a_request_of_an_unknown_type_is_unsupported)
{
	static const uint32_t types[] = {2, 3, 5, 14, 100, VIRTIO_BLK_T_BARRIER, UINT32_MAX};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		ck_assert_uint_eq(request(types[i], 0, 512, true, NULL), VIRTIO_BLK_S_UNSUPP);
}
END_TEST

START_TEST(chains_without_header_or_status_come_back_untouched)
{
	driver_desc(&driver, 0, 0, HEADER_AT, 15, NEXT, 1);
	driver_desc(&driver, 0, 1, STATUS_AT, 1, WRITE, 0);
	driver_offer(&driver, 0, 0);
	ck_assert_uint_eq(driver_await(&driver, 0, NULL), 0);
	driver_desc(&driver, 0, 0, HEADER_AT, 16, 0, 0);
	driver_offer(&driver, 0, 0);
	ck_assert_uint_eq(driver_await(&driver, 0, NULL), 0);
	driver_desc(&driver, 0, 0, STATUS_AT, 1, WRITE, 0);
	driver_offer(&driver, 0, 0);
	ck_assert_uint_eq(driver_await(&driver, 0, NULL), 0);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(discards_that_make_no_sense_are_refused)
{
	ck_assert_uint_eq(trim(VIRTIO_BLK_T_DISCARD, SECTORS - 1, 2, 0), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(trim(VIRTIO_BLK_T_DISCARD, UINT64_MAX, 1, 0), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(trim(VIRTIO_BLK_T_WRITE_ZEROES, 0, UINT32_MAX, 0), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(trim(VIRTIO_BLK_T_DISCARD, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
	ck_assert_uint_eq(trim(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_DISCARD, 0, 15, false, NULL), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_DISCARD, 0, 17 * 16, false, NULL), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_DISCARD, 0, 0, false, NULL), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(trim(VIRTIO_BLK_T_DISCARD, 0, 0, 0), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(a_readonly_disk_is_announced_as_such_and_refuses_every_way_to_write)
{
	char before[DISK_SECTOR];

	replug(true, false);
	check_image(0, "", 0);
	ck_assert(blk.dev.offered & 1ull << VIRTIO_BLK_F_RO);
	ck_assert(!(blk.dev.offered & 1ull << VIRTIO_BLK_F_DISCARD));
	ck_assert_int_eq(io_pread_full(disk.fd, before, sizeof(before), 0), 0);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_OUT, 0, 512, false, NULL), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(trim(VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(trim(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_IOERR);
	check_image(0, before, sizeof(before));
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 0, 512, true, NULL), VIRTIO_BLK_S_OK);
}
END_TEST

/* ---- disks that fail ------------------------------------------------------------------------------ */

static _Atomic int failing_call = -1, failing_errno;

static int fail_one_kind(enum io_call call, size_t *len)
{
	(void)len;
	return (int)call == atomic_load(&failing_call) ? atomic_load(&failing_errno) : 0;
}

START_TEST(an_error_of_the_host_is_an_error_of_the_request_and_said_a_bounded_number_of_times)
{
	autofree char *log = NULL;
	unsigned lines = 0;

	failing_errno = EIO;
	io_test_hook = fail_one_kind;
	stderr_capture();
	for (int i = 0; i < 30; i++) {
		failing_call = IO_PWRITE;
		submit(VIRTIO_BLK_T_OUT, 7, 512, false);
		/* the status byte is written by the same kind of call: wait for the ring alone */
		driver_await(&driver, 0, NULL);
		failing_call = -1;
	}
	failing_call = IO_SYNC;
	ck_assert_uint_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_IOERR);
	failing_call = -1;
	log = stderr_text();
	for (const char *c = log; (c = strchr(c, '\n')); c++)
		lines++;
	ck_assert_uint_ge(lines, 1);
	ck_assert_uint_le(lines, 16);
	ck_assert_ptr_nonnull(
		strstr(log, "disk root: request of type 1 at sector 7 failed: Input/output error"));
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 0, 512, true, NULL), VIRTIO_BLK_S_OK);
}
END_TEST

static _Atomic uint64_t moved;
static _Atomic bool first_ends_the_vm;

/* The VM ends while the first part of a request is under way. */
static int end_vm(enum io_call call, size_t *len)
{
	if (call != IO_PREAD && call != IO_PWRITE && call != IO_FALLOCATE)
		return 0;
	if (atomic_exchange(&first_ends_the_vm, false))
		virtio_dev_kill(&blk.dev);
	atomic_fetch_add(&moved, call == IO_FALLOCATE ? MIB(1) : *len);
	return 0;
}

static const uint32_t long_types[] = {
	VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_DISCARD};

/* A request for 16 MiB and more: the same buffer again and again, or ranges. */
static void submit_long(uint32_t type)
{
	bool ranges = type == VIRTIO_BLK_T_WRITE_ZEROES || type == VIRTIO_BLK_T_DISCARD;
	struct virtio_blk_discard_write_zeroes range[16];
	struct virtio_blk_outhdr header = {.type = type};
	uint16_t flags = NEXT | (type == VIRTIO_BLK_T_IN ? WRITE : 0), nr = 64;

	for (size_t i = 0; i < ARRAY_LEN(range); i++)
		range[i] = (struct virtio_blk_discard_write_zeroes){.num_sectors = MIB(32) / DISK_SECTOR};
	memcpy(driver_at(&driver, HEADER_AT), &header, sizeof(header));
	memcpy(driver_at(&driver, DATA_AT), range, sizeof(range));
	driver_desc(&driver, 0, 0, HEADER_AT, sizeof(header), NEXT, 1);
	for (uint16_t i = 1; i <= nr; i++)
		driver_desc(&driver, 0, i, DATA_AT, ranges ? (i == 1 ? sizeof(range) : 0) : KIB(512), flags,
			ranges   ? 100
			: i < nr ? (uint16_t)(i + 1)
				 : 100);
	driver_desc(&driver, 0, 100, STATUS_AT, 1, WRITE, 0);
	driver_offer(&driver, 0, 0);
}

START_TEST(a_long_request_of_a_vm_that_is_over_keeps_the_disk_for_a_part_of_it_only)
{
	ck_assert_int_eq(truncate(image, (off_t)MIB(64)), 0);
	replug(false, false);
	moved = 0;
	first_ends_the_vm = true;
	io_test_hook = end_vm;
	submit_long(long_types[_i]);
	for (int i = 0; i < 5000 && first_ends_the_vm; i++)
		usleep(1000);
	ck_assert(!first_ends_the_vm);
	ck_assert_int_eq(virtio_dev_wait_quiet(&blk.dev, clock_mono_ns() + 10 * NSEC_PER_SEC), 0);
	ck_assert_uint_le(
		moved, MIB(1) + KIB(4)); /* one part, or one call for a range; and the request itself */
}
END_TEST

START_TEST(a_long_request_is_carried_out_whole)
{
	ck_assert_int_eq(truncate(image, (off_t)MIB(64)), 0);
	replug(false, false);
	submit_long(long_types[_i]);
	driver_await(&driver, 0, NULL);
	ck_assert_uint_eq(status(), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(a_file_that_became_shorter_is_an_error_and_not_zeros)
{
	autofree char *log = NULL;

	ck_assert_int_eq(truncate(image, 100 * DISK_SECTOR), 0);
	stderr_capture();
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 99, 1024, true, NULL), VIRTIO_BLK_S_IOERR);
	log = stderr_text();
	ck_assert_ptr_nonnull(strstr(log, "sector 99 failed"));
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 99, 512, true, NULL), VIRTIO_BLK_S_OK);
}
END_TEST

START_TEST(past_the_page_cache_aligned_and_unaligned_requests_see_the_same_disk)
{
	char why[256];
	struct disk probe;
	int err;

	driver_fini(&driver);
	disk_close(&disk);
	err = disk_open(&probe, "root", image, false, true, why, sizeof(why));
	driver_init(&driver);
	if (err) {
		ck_assert_int_eq(err, -EINVAL); /* this file system has no O_DIRECT */
		open_disk(false, false);
	} else {
		disk_close(&probe);
		open_disk(false, true);
	}
	plug();
	for (uint32_t i = 0; i < 4096; i++)
		((char *)driver_at(&driver, DATA_AT))[i] = (char)(i * 7);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_OUT, 8, 4096, false, NULL), VIRTIO_BLK_S_OK);
	check_image(8, driver_at(&driver, DATA_AT), 4096);
	memset(driver_at(&driver, DATA_AT), 'u', 512);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_OUT, 9, 512, false, NULL), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 8, 4096, true, NULL), VIRTIO_BLK_S_OK);
	ck_assert_mem_eq((char *)driver_at(&driver, DATA_AT) + 512, "uuuu", 4);
	check_image(8, driver_at(&driver, DATA_AT), 4096);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_OK);
}
END_TEST

/* ---- whose disk it is ------------------------------------------------------------------------------ */

START_TEST(a_disk_is_opened_by_one_writer_or_by_readers)
{
	struct disk other;
	char why[256], missing[160];

	ck_assert_int_eq(disk_open(&other, "x", image, false, false, why, sizeof(why)), -EBUSY);
	ck_assert_ptr_nonnull(strstr(why, "in use"));
	ck_assert_int_eq(disk_open(&other, "x", image, true, false, why, sizeof(why)), -EBUSY);
	replug(true, false);
	ck_assert_int_eq(disk_open(&other, "x", image, false, false, why, sizeof(why)), -EBUSY);
	ck_assert_int_eq(disk_open(&other, "x", image, true, false, why, sizeof(why)), 0);
	disk_close(&other);
	scratch_path(&scratch, "missing", missing, sizeof(missing));
	ck_assert_int_eq(disk_open(&other, "x", missing, false, false, why, sizeof(why)), -ENOENT);
	ck_assert_int_eq(disk_open(&other, "x", scratch.dir, true, false, why, sizeof(why)), -ENOTBLK);
	ck_assert_int_eq(disk_open(&other, "x", "/dev/null", false, false, why, sizeof(why)), -ENOTBLK);
	scratch_file(&scratch, "small", "", 0, missing, sizeof(missing));
	ck_assert_int_eq(disk_open(&other, "x", missing, false, false, why, sizeof(why)), -ENODATA);
}
END_TEST

static _Atomic bool blocked, let_go;

/* The first flush does not come back until it is let go: a disk that hangs. */
static int hang_in_sync(enum io_call call, size_t *len)
{
	(void)len;
	if (call == IO_SYNC && !atomic_exchange(&blocked, true))
		while (!atomic_load(&let_go))
			usleep(1000);
	return 0;
}

START_TEST(the_next_vm_gets_the_disk_when_nothing_of_the_dead_one_is_in_flight_and_no_sooner)
{
	static struct driver next;
	static struct virtio_blk next_blk;
	struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_IN};

	io_test_hook = hang_in_sync;
	submit(VIRTIO_BLK_T_FLUSH, 0, 0, false);
	while (!atomic_load(&blocked))
		usleep(1000);
	virtio_dev_kill(&blk.dev);
	ck_assert_int_eq(virtio_dev_wait_quiet(&blk.dev, clock_mono_ns() + 10 * NSEC_PER_MSEC), -ETIMEDOUT);
	ck_assert_ptr_eq(disk.owner, &blk.dev);

	driver_init(&next);
	ck_assert_int_eq(virtio_blk_init(&next_blk, &disk, &next.region), 0);
	driver_plug(&next, &next_blk.dev);
	driver_start(&next, 0);
	memcpy(driver_at(&next, HEADER_AT), &header, sizeof(header));
	driver_desc(&next, 0, 0, HEADER_AT, 16, NEXT, 1);
	driver_desc(&next, 0, 1, DATA_AT, 513, WRITE, 0);
	driver_offer(&next, 0, 0);
	ck_assert(!driver_sees_used(&next, 0, 50)); /* it waits */
	atomic_store(&let_go, true);
	ck_assert_uint_eq(driver_await(&next, 0, NULL), 513);
	ck_assert_ptr_eq(disk.owner, &next_blk.dev);
	ck_assert_uint_eq(status(), UNTOUCHED); /* the dead VM was not told; its memory is the dumper's */
	driver_fini(&next);
	ck_assert_ptr_null(disk.owner);
}
END_TEST

START_TEST(a_vm_that_ends_while_it_waits_for_the_disk_does_not_get_it)
{
	static struct driver next;
	static struct virtio_blk next_blk;

	ck_assert_uint_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_OK);
	driver_init(&next);
	ck_assert_int_eq(virtio_blk_init(&next_blk, &disk, &next.region), 0);
	driver_plug(&next, &next_blk.dev);
	driver_start(&next, 0);
	driver_desc(&next, 0, 0, HEADER_AT, 16, NEXT, 1);
	driver_desc(&next, 0, 1, DATA_AT, 513, WRITE, 0);
	driver_offer(&next, 0, 0);
	ck_assert(!driver_sees_used(&next, 0, 30));
	virtio_dev_kill(&next_blk.dev);
	ck_assert_int_eq(virtio_dev_wait_quiet(&next_blk.dev, clock_mono_ns() + 5 * NSEC_PER_SEC), 0);
	ck_assert_ptr_eq(disk.owner, &blk.dev);
	driver_fini(&next);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_OK);
}
END_TEST

Suite *suite_virtio_blk(void)
{
	Suite *suite = suite_create("virtio blk");
	TCase *tc = tcase_create("virtio blk");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, the_guest_learns_capacity_block_size_and_limits);
	tcase_add_test(tc, what_is_written_is_read_back_and_is_in_the_image);
	tcase_add_test(tc, framing_is_free_header_data_and_status_may_lie_in_any_buffers);
	tcase_add_test(tc, the_serial_number_is_the_name_in_the_configuration);
	tcase_add_test(tc, zeros_are_written_and_discarded_blocks_become_holes);
	tcase_add_test(tc, many_requests_at_once_all_end_with_their_own_data);
	tcase_add_test(tc, requests_are_counted_for_those_who_share_the_disk);
	tcase_add_test(tc, requests_beyond_the_end_or_of_odd_length_are_errors_and_change_nothing);
	tcase_add_test(tc, a_request_of_an_unknown_type_is_unsupported);
	tcase_add_test(tc, chains_without_header_or_status_come_back_untouched);
	tcase_add_test(tc, discards_that_make_no_sense_are_refused);
	tcase_add_test(tc, a_readonly_disk_is_announced_as_such_and_refuses_every_way_to_write);
	tcase_add_test(
		tc, an_error_of_the_host_is_an_error_of_the_request_and_said_a_bounded_number_of_times);
	tcase_add_test(tc, a_file_that_became_shorter_is_an_error_and_not_zeros);
	tcase_add_loop_test(tc, a_long_request_of_a_vm_that_is_over_keeps_the_disk_for_a_part_of_it_only, 0,
		(int)ARRAY_LEN(long_types));
	tcase_add_loop_test(tc, a_long_request_is_carried_out_whole, 0, (int)ARRAY_LEN(long_types));
	tcase_add_test(tc, past_the_page_cache_aligned_and_unaligned_requests_see_the_same_disk);
	tcase_add_test(tc, a_disk_is_opened_by_one_writer_or_by_readers);
	tcase_add_test(
		tc, the_next_vm_gets_the_disk_when_nothing_of_the_dead_one_is_in_flight_and_no_sooner);
	tcase_add_test(tc, a_vm_that_ends_while_it_waits_for_the_disk_does_not_get_it);
	suite_add_tcase(suite, tc);
	return suite;
}
