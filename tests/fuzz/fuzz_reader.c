/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_reader.c - intent: whatever is in a dump and in the region beside it, the reader stays inside
 * them and inside its memory, and what it tells about the dump is consistent.
 *
 * Input: a dump as it is; or, since ours are larger than what a fuzzer likes to change, "MVFZ", u32 size of the
 * dump, u32 size of the region (0 = none), and any number of {u32 place, u16 length, bytes}: what is not zeros
 * in them.  The top bit of a place means the region.  All little-endian.
 */
#include "dump/base/io.h"
#include "dump/read/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAGIC "MVFZ"
#define HEADER_BYTES 12
#define RECORD_BYTES 6
#define IN_REGION 0x80000000u
#define FILE_MAX MIB(64)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): a fuzzer's build must not lose it to NDEBUG. */
static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_reader: broken promise: %s\n", what);
		abort();
	}
}

static int make_file(uint64_t size)
{
	int fd = memfd_create("fuzz_reader", MFD_CLOEXEC);

	must(fd >= 0 && !ftruncate(fd, (off_t)size), "a file to read");
	return fd;
}

static uint32_t u32_at(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put(int fd, uint64_t file_size, uint64_t off, const uint8_t *data, size_t len)
{
	if (fd >= 0 && off < file_size)
		must(!io_pwrite_full(fd, data, u64_min(len, file_size - off), off), "a file to write");
}

static void make_files(const uint8_t *data, size_t size, int *ret_dump, int *ret_region)
{
	uint64_t dump_size, region_size;

	*ret_region = -1;
	if (size < HEADER_BYTES || memcmp(data, MAGIC, 4)) {
		*ret_dump = make_file(size);
		put(*ret_dump, size, 0, data, size);
		return;
	}
	dump_size = u64_min(u32_at(data + 4), FILE_MAX);
	region_size = u64_min(u32_at(data + 8), FILE_MAX);
	*ret_dump = make_file(dump_size);
	if (region_size)
		*ret_region = make_file(region_size);
	for (size_t at = HEADER_BYTES; size - at >= RECORD_BYTES;) {
		uint32_t place = u32_at(data + at);
		size_t len = data[at + 4] | (size_t)data[at + 5] << 8;

		at += RECORD_BYTES;
		len = u64_min(len, size - at);
		if (place & IN_REGION)
			put(*ret_region, region_size, place & ~IN_REGION, data + at, len);
		else
			put(*ret_dump, dump_size, place, data + at, len);
		at += len;
	}
}

/* One byte must read as its page's state says. */
static void check_byte(struct reader *reader, uint64_t gpa)
{
	enum reader_page page;
	unsigned char byte;
	int err = reader_page(reader, gpa, &page);
	int read_err = reader_read(reader, gpa, &byte, 1);
	uint64_t gap = reader_gap(reader, gpa);

	must(!gap || read_err || !byte, "a gap reads as zeros");
	must(gap <= reader_contiguous(reader, gpa), "a gap is memory");
	must(err <= 0 && read_err <= 0, "errors are negative");
	if (err)
		return;
	must((page == READER_PAGE_OUTSIDE) == (read_err == -EFAULT), "memory is there or not");
	must((reader_contiguous(reader, gpa) == 0) == (page == READER_PAGE_OUTSIDE), "contiguous memory");
	must(page != READER_PAGE_MISSING || read_err, "what is missing does not read as zeros");
}

static void check_memory(struct reader *reader)
{
	static unsigned char buf[3 * 4096];
	uint64_t end = 0;

	for (size_t i = 0; i < reader->core.nr_segments; i++) {
		const struct core_segment *segment = &reader->core.segments[i];
		uint64_t last;

		must(segment->size && (!i || segment->gpa >= end), "segments ascend and do not overlap");
		must(!u64_add_overflows(segment->gpa, segment->size, &end), "no segment wraps");
		must(segment->file_bytes <= segment->size, "no more in the file than there is");
		last = end - 1;
		check_byte(reader, segment->gpa);
		check_byte(reader, last);
		check_byte(reader, last + 1);
		check_byte(reader, segment->gpa - 1);
		check_byte(reader, segment->gpa + segment->size / 2);
		(void)!reader_read(reader, segment->gpa + 1, buf, u64_min(segment->size, sizeof(buf)));
	}
}

static void check_metadata(const struct metadata *metadata)
{
	const struct vmcore_meta *meta = &metadata->meta;

	if (!metadata->has_meta)
		return;
	must(memchr(meta->guest, '\0', sizeof(meta->guest)) &&
			memchr(meta->name, '\0', sizeof(meta->name)) &&
			memchr(meta->selector, '\0', sizeof(meta->selector)),
		"texts end");
	must(meta->panic_string_len <= sizeof(meta->panic_string), "the panic string is in its field");
	must(!metadata->nr_cpus || meta->crash_cpu < metadata->nr_cpus, "the crashed vCPU is one of them");
}

/* Touches every byte that notes point to, for the sanitizers. */
static unsigned touch_notes(const struct reader *reader)
{
	const struct metadata *metadata = &reader->metadata;
	struct core_note note;
	unsigned sum = 0;

	for (size_t pos = 0; elfcore_note(&reader->core, &pos, &note);) {
		sum += (unsigned)strlen(note.name);
		for (size_t i = 0; i < note.len; i++)
			sum += note.desc[i];
	}
	for (uint32_t i = 0; i < metadata->nr_cpus; i++)
		for (size_t at = 0; at < metadata->cpus[i].raw_bytes; at++)
			sum += metadata->cpus[i].raw[at];
	for (size_t i = 0; i < metadata->timeline_len; i++)
		sum += (unsigned char)metadata->timeline[i];
	return sum;
}

static void check_counts(struct reader *reader)
{
	struct reader_counts counts;
	uint64_t pages;

	(void)!reader_check(reader, NULL, NULL, &pages);
	(void)reader_data_bytes(reader);
	if (reader_count(reader, &counts))
		return;
	must(counts.total == counts.dumped + counts.excluded + counts.pending + counts.missing &&
			counts.zero <= counts.dumped,
		"the counts add up");
	must(reader->kind != READER_COMPLETE || (!counts.pending && !counts.missing),
		"nothing is missing from what is complete");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static volatile unsigned sink;
	struct reader *reader = NULL;
	int dump, region, err;
	char why[128];

	make_files(data, size, &dump, &region);
	err = reader_open_fds(dump, region, &reader, why, sizeof(why));
	if (err) {
		must(err < 0 && !reader, "a failure leaves the result alone");
		must(why[0] && memchr(why, '\0', sizeof(why)), "a refusal says why");
		return 0;
	}
	must(memchr(reader->damage, '\0', sizeof(reader->damage)), "the damage is a text");
	check_memory(reader);
	check_metadata(&reader->metadata);
	check_counts(reader);
	sink = touch_notes(reader);
	(void)sink;
	reader_close(reader);
	return 0;
}
