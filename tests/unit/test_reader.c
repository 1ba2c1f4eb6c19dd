/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_reader.c - dumps are read back: complete ones, partial ones at every stage with and without
 * their region, ones that are being written, other programs' core files, and files that lie.
 */
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/lz4/lz4_writer.h"
#include "dump/read/reader.h"
#include "dump/record/choices.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define REGION_PARTIAL "guest-test-g0.region.partial"
#define DUMP_PARTIAL "guest-test-g0.vmcore.partial"
#define FINAL "guest-test-g0.vmcore"
#define LZ4_PARTIAL "guest-test-g0.vmcore.lz4.partial"
#define SEED 777
#define CHUNK_PAGES 512

static struct reader *open_reader(const struct dump_fixture *f, const char *name)
{
	struct reader *reader = NULL;
	char path[160], why[256];
	int r;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	r = reader_open(path, NULL, &reader, why, sizeof(why));
	ck_assert_msg(!r, "%s: %s (%d)", name, why, r);
	return reader;
}

static uint64_t gpa_of(const struct dump_fixture *f, uint64_t page)
{
	uint64_t off = page * PAGE_SIZE_4K;
	uint32_t i = 0;

	while (off >= f->layout.segments[i].off + f->layout.segments[i].size)
		i++;
	return f->layout.segments[i].gpa + off - f->layout.segments[i].off;
}

/* Pages that the reader gives wrong; a page not in [@first, @first + @count) must read as zeros. */
static uint64_t wrong_pages(struct dump_fixture *f, struct reader *reader, uint64_t first, uint64_t count)
{
	static const unsigned char zeros[4096];
	unsigned char got[4096], want[4096];
	uint64_t bad = 0;
	int fd = memfd_create("want", MFD_CLOEXEC);
	struct dump_fixture model = *f;

	model.region_fd = fd;
	fixture_fill(&model, first, count, SEED);
	for (uint64_t page = 0; page < f->layout.ram / 4096; page++) {
		bool filled = page >= first && page < first + count;

		if (filled)
			ck_assert_int_eq(
				pread(fd, want, 4096, (off_t)(f->layout.head + page * 4096)), 4096);
		bad += reader_read(reader, gpa_of(f, page), got, 4096) ||
		       memcmp(got, filled ? want : zeros, 4096);
	}
	close(fd);
	return bad;
}

static void run_engine(struct dump_fixture *f)
{
	struct dump_engine engine = fixture_engine(f);

	ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
}

static unsigned stop_after;

static void stop_in_the_middle(struct dump_engine *engine, enum dump_notice notice)
{
	(void)engine;
	if (notice == DUMP_NOTICE_LINKED && !stop_after)
		_exit(0);
	if (notice == DUMP_NOTICE_PROGRESS && !--stop_after)
		_exit(0);
}

/* Runs a dump in a process that ends after @chunks chunks, as if it had been killed. */
static void run_engine_up_to(struct dump_fixture *f, unsigned chunks)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct dump_engine engine = fixture_engine(f);

		engine.proc_fd = publish_proc_open(); /* of this process */
		stop_after = chunks;
		engine.notify = stop_in_the_middle;
		_exit(dump_engine_run(&engine) ? 2 : 3);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(a_complete_dump_gives_back_every_page_and_the_holes_between)
{
	struct dump_fixture f;
	struct reader *reader;
	struct reader_counts counts;
	enum reader_page page;
	unsigned char byte;

	fixture_init(&f, MIB(16), MIB(5), 2);
	fixture_fill(&f, 1000, 700, SEED);
	run_engine(&f);
	reader = open_reader(&f, FINAL);
	ck_assert_int_eq(reader->kind, READER_COMPLETE);
	ck_assert_str_eq(reader->damage, "");
	ck_assert_str_eq(reader_format_name(reader), "elf");
	ck_assert_uint_eq(reader->core.nr_segments, 2);
	ck_assert_uint_eq(wrong_pages(&f, reader, 1000, 700), 0);
	ck_assert_int_eq(reader_read(reader, MIB(5), &byte, 1), -EFAULT);
	ck_assert_int_eq(reader_page(reader, MIB(5), &page), 0);
	ck_assert_int_eq(page, READER_PAGE_OUTSIDE);
	ck_assert_int_eq(reader_page(reader, MIB(5) - 1, &page), 0);
	ck_assert_int_eq(page, READER_PAGE_DUMPED);
	ck_assert_uint_eq(reader_contiguous(reader, KIB(4)), MIB(5) - KIB(4));
	ck_assert_uint_eq(reader_contiguous(reader, MIB(5)), 0);
	ck_assert_int_eq(reader_count(reader, &counts), 0);
	ck_assert_uint_eq(counts.total, 4096);
	ck_assert_uint_eq(counts.dumped, 4096);
	ck_assert_uint_eq(counts.zero, 4096 - 700);
	reader_close(reader);
	fixture_fini(&f);
}
END_TEST

START_TEST(the_metadata_is_what_the_record_said)
{
	struct dump_fixture f;
	struct reader *reader;
	const struct metadata *got;

	fixture_init(&f, MIB(4), GIB(3), 3);
	f.record->crash_cpu = 2;
	f.record->panic_string_len = 5;
	memcpy(f.record->panic_string, "a\0b\x1b[", 5);
	f.record->nr_regs = 2;
	f.record->regs[1].rip = 0x1234;
	dump_record_mark(f.record, DUMP_MOMENT_CRASH, 123456789);
	run_engine(&f);
	reader = open_reader(&f, FINAL);
	got = &reader->metadata;
	ck_assert(got->has_meta);
	ck_assert_uint_eq(got->meta.size, sizeof(got->meta));
	ck_assert_str_eq(got->meta.guest, "guest");
	ck_assert_str_eq(got->meta.reason_name, "panic");
	ck_assert_uint_eq(got->meta.crash_cpu, 2);
	ck_assert_mem_eq(got->meta.panic_string, "a\0b\x1b[", 5);
	ck_assert_uint_eq(got->moments[DUMP_MOMENT_CRASH], 123456789);
	ck_assert_uint_gt(got->moments[DUMP_MOMENT_COPIED], 0);
	ck_assert_uint_eq(got->moments[DUMP_MOMENT_READY], 0);
	ck_assert_uint_eq(got->nr_panic_regs, 2);
	ck_assert_uint_eq(got->panic_regs[1].rip, 0x1234);
	ck_assert_uint_eq(got->nr_cpus, 3);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert(got->cpus[i].has_general && got->cpus[i].has_system);
		ck_assert_mem_eq(&got->cpus[i].regs, &f.record->cpus[i], sizeof(got->cpus[i].regs));
		ck_assert_uint_eq(got->cpus[i].raw_bytes, 1000 + 8 * i);
		ck_assert_mem_eq(got->cpus[i].raw, f.record->cpus[i].raw, 1000 + 8 * i);
	}
	ck_assert_ptr_null(got->vmcoreinfo);
	reader_close(reader);
	fixture_fini(&f);
}
END_TEST

/* Stages of a dump of 8 chunks at which its process ends. */
static const unsigned stages[] = {0, 1, 4, 7};

START_TEST(a_partial_dump_and_its_region_together_give_every_page)
{
	static const char *const names[] = {DUMP_PARTIAL, REGION_PARTIAL};
	unsigned done = stages[_i];
	struct dump_fixture f;
	struct reader_counts counts;

	fixture_init(&f, MIB(16), MIB(5), 1);
	fixture_fill(&f, 0, 4096, SEED);
	run_engine_up_to(&f, done);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct reader *reader = open_reader(&f, names[i]);

		ck_assert_int_eq(reader->kind, READER_PARTIAL);
		ck_assert(reader->has_region);
		ck_assert_ptr_nonnull(strstr(reader->path, DUMP_PARTIAL));
		ck_assert_uint_eq(wrong_pages(&f, reader, 0, 4096), 0);
		ck_assert_int_eq(reader_count(reader, &counts), 0);
		ck_assert_uint_eq(counts.total, 4096);
		ck_assert_uint_eq(counts.dumped, done * CHUNK_PAGES);
		ck_assert_uint_eq(counts.pending, (8 - done) * CHUNK_PAGES);
		ck_assert_uint_eq(counts.zero + counts.excluded + counts.missing, 0);
		reader_close(reader);
	}
	fixture_fini(&f);
}
END_TEST

START_TEST(without_its_region_a_partial_dump_says_what_is_missing_instead_of_zeros)
{
	struct dump_fixture f;
	struct reader *reader;
	struct reader_counts counts;
	unsigned char bytes[2];
	enum reader_page page;

	fixture_init(&f, MIB(16), GIB(3), 1);
	fixture_fill(&f, 0, 4096, SEED);
	run_engine_up_to(&f, 3);
	ck_assert_int_eq(unlinkat(f.dir_fd, REGION_PARTIAL, 0), 0);
	reader = open_reader(&f, DUMP_PARTIAL);
	ck_assert(!reader->has_region);
	ck_assert_int_eq(reader_read(reader, MIB(6) - 1, bytes, 1), 0);
	ck_assert_int_eq(reader_read(reader, MIB(6), bytes, 1), -ENODATA);
	ck_assert_int_eq(reader_read(reader, MIB(6) - 1, bytes, 2), -ENODATA);
	ck_assert_int_eq(reader_page(reader, MIB(6), &page), 0);
	ck_assert_int_eq(page, READER_PAGE_MISSING);
	ck_assert_int_eq(reader_count(reader, &counts), 0);
	ck_assert_uint_eq(counts.missing, 5 * CHUNK_PAGES);
	reader_close(reader);
	fixture_fini(&f);
}
END_TEST

START_TEST(a_region_alone_is_the_whole_memory)
{
	struct dump_fixture f;
	struct reader *reader;
	struct reader_counts counts;

	fixture_init(&f, MIB(4), GIB(3), 1);
	fixture_fill(&f, 100, 10, SEED);
	run_engine_up_to(&f, 0);
	ck_assert_int_eq(unlinkat(f.dir_fd, DUMP_PARTIAL, 0), 0);
	reader = open_reader(&f, REGION_PARTIAL);
	ck_assert_int_eq(reader->kind, READER_REGION);
	ck_assert(reader->metadata.has_meta);
	ck_assert_uint_eq(wrong_pages(&f, reader, 100, 10), 0);
	ck_assert_int_eq(reader_count(reader, &counts), 0);
	ck_assert_uint_eq(counts.pending, 1024);
	reader_close(reader);
	fixture_fini(&f);
}
END_TEST

/* The region of another VM beside a dump would give a mixture of two guests. */
/* The dumper's work on chunk @moving, done when the reader has looked at its mark and reads its page. */
static struct {
	int dump, region;
	uint64_t mark_off, chunk_off, chunk;
} moving;

static int move_meanwhile(enum io_call call, size_t *len)
{
	uint8_t done = VMCORE_CHUNK_DONE;

	if (call != IO_PREAD || !len || *len != 4096)
		return 0;
	io_test_hook = NULL;
	ck_assert_int_eq(pwrite(moving.dump, &done, 1, (off_t)moving.mark_off), 1);
	ck_assert_int_eq(fallocate(moving.region, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 (off_t)moving.chunk_off, (off_t)moving.chunk),
		0);
	return 0;
}

START_TEST(a_chunk_that_moves_between_mark_and_bytes_is_read_where_it_is_then)
{
	static unsigned char chunk[MIB(2)], got[4096], want[4096];
	struct dump_fixture f;
	struct reader *reader;

	fixture_init(&f, MIB(16), MIB(5), 1);
	fixture_fill(&f, 0, 4096, SEED);
	run_engine_up_to(&f, 3);
	reader = open_reader(&f, DUMP_PARTIAL);
	moving.dump = openat(f.dir_fd, DUMP_PARTIAL, O_RDWR | O_CLOEXEC);
	moving.region = openat(f.dir_fd, REGION_PARTIAL, O_RDWR | O_CLOEXEC);
	moving.chunk = sizeof(chunk);
	moving.chunk_off = f.layout.head + 6 * sizeof(chunk);
	moving.mark_off = reader->trailer.places.progress_off + 6;
	ck_assert_int_eq(io_pread_full(moving.region, chunk, sizeof(chunk), moving.chunk_off), 0);
	ck_assert_int_eq(io_pwrite_full(moving.dump, chunk, sizeof(chunk), moving.chunk_off), 0);
	io_test_hook = move_meanwhile;
	ck_assert_int_eq(reader_read(reader, gpa_of(&f, 6 * CHUNK_PAGES + 7), got, sizeof(got)), 0);
	ck_assert_ptr_null(io_test_hook);
	fixture_page(6 * CHUNK_PAGES + 7, SEED, want);
	ck_assert_mem_eq(got, want, sizeof(got));
	reader_close(reader);
	close(moving.dump);
	close(moving.region);
	fixture_fini(&f);
}
END_TEST

START_TEST(what_a_region_alone_has_lost_is_missing_and_not_zeros)
{
	struct dump_fixture f;
	struct reader *reader;
	struct reader_counts counts;
	enum reader_page page;
	char buf[8192];

	fixture_init(&f, MIB(16), MIB(5), 1);
	fixture_fill(&f, 0, 4096, SEED);
	run_engine_up_to(&f, 3);
	unlinkat(f.dir_fd, DUMP_PARTIAL, 0);
	reader = open_reader(&f, REGION_PARTIAL);
	ck_assert_int_eq(reader_read(reader, gpa_of(&f, 5), buf, 4096), -ENODATA);
	ck_assert_int_eq(reader_page(reader, gpa_of(&f, 5), &page), 0);
	ck_assert_int_eq(page, READER_PAGE_MISSING);
	/* one page of two is enough */
	ck_assert_int_eq(reader_read(reader, gpa_of(&f, 3 * CHUNK_PAGES - 1), buf, 8192), -ENODATA);
	ck_assert_int_eq(reader_read(reader, gpa_of(&f, 3 * CHUNK_PAGES), buf, 4096), 0);
	ck_assert_int_eq(reader_page(reader, gpa_of(&f, 3 * CHUNK_PAGES), &page), 0);
	ck_assert_int_eq(page, READER_PAGE_PENDING);
	ck_assert_int_eq(reader_count(reader, &counts), 0);
	ck_assert_uint_eq(counts.missing, 3 * CHUNK_PAGES);
	reader_close(reader);
	fixture_fini(&f);
}
END_TEST

START_TEST(a_region_of_another_dump_is_not_used)
{
	struct dump_fixture f;
	struct reader *reader;
	int fd;

	fixture_init(&f, MIB(4), GIB(3), 1);
	fixture_fill(&f, 0, 1024, SEED);
	run_engine_up_to(&f, 1);
	fd = openat(f.dir_fd, REGION_PARTIAL, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "other", 5,
				 (off_t)dump_layout_file_size(&f.layout) - 4096 +
					 (off_t)offsetof(struct vmcore_trailer, name)),
		5);
	close(fd);
	reader = open_reader(&f, DUMP_PARTIAL);
	ck_assert(!reader->has_region);
	ck_assert_str_ne(reader->damage, "");
	reader_close(reader);
	fixture_fini(&f);
}
END_TEST

/* Reads all of a dump that is being written, whenever a chunk has been released. */
static void read_beside(struct dump_engine *engine, enum dump_notice notice)
{
	struct dump_fixture *f = engine->notify_arg;
	bool compressed = f->record->options.sink;
	static struct reader *early;
	struct reader *reader;

	if (notice != DUMP_NOTICE_PROGRESS || !fixture_exists(f, REGION_PARTIAL))
		return;
	reader = open_reader(f, compressed ? LZ4_PARTIAL : DUMP_PARTIAL);
	ck_assert_str_eq(reader_format_name(reader), compressed ? "lz4" : "elf");
	ck_assert_uint_eq(wrong_pages(f, reader, 0, 2048), 0);
	if (!early)
		early = reader;
	else
		reader_close(reader);
	/* one that was opened before much of it was dumped */
	ck_assert_uint_eq(wrong_pages(f, early, 0, 2048), 0);
}

START_TEST(a_dump_that_is_being_written_reads_right_at_every_moment)
{
	struct dump_fixture f;
	struct dump_engine engine;

	fixture_init(&f, MIB(8), GIB(3), 1);
	fixture_fill(&f, 0, 2048, SEED);
	while (_i && strcmp(dump_sinks[f.record->options.sink].name, "lz4"))
		f.record->options.sink++;
	engine = fixture_engine(&f);
	engine.notify = read_beside;
	engine.notify_arg = &f;
	ck_assert_int_eq(dump_engine_run(&engine), 0);
	fixture_fini(&f);
}
END_TEST

START_TEST(the_bitmap_tells_excluded_from_zero)
{
	struct dump_fixture f;
	struct reader *reader;
	struct reader_counts counts;
	enum reader_page page;
	uint64_t word = ~(1ull << 5 | 1ull << 9);
	int fd;

	fixture_init(&f, MIB(4), GIB(3), 1);
	fixture_fill(&f, 0, 5, SEED);
	run_engine(&f);
	fd = openat(f.dir_fd, FINAL, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, &word, 8, (off_t)(f.layout.head + f.layout.ram)), 8);
	close(fd);
	reader = open_reader(&f, FINAL);
	ck_assert_int_eq(reader_page(reader, 5 * 4096 + 17, &page), 0);
	ck_assert_int_eq(page, READER_PAGE_EXCLUDED);
	ck_assert_int_eq(reader_page(reader, 6 * 4096, &page), 0);
	ck_assert_int_eq(page, READER_PAGE_DUMPED);
	ck_assert_int_eq(reader_count(reader, &counts), 0);
	ck_assert_uint_eq(counts.excluded, 2);
	ck_assert_uint_eq(counts.dumped, 1022);
	ck_assert_uint_eq(counts.zero, 1017);
	reader_close(reader);
	fixture_fini(&f);
}
END_TEST

/* Compresses the dump FINAL into the empty @fd. */
static void compress(const struct dump_fixture *f, int fd)
{
	const struct lz4_image image = {
		.head = f->layout.head, .ram = f->layout.ram, .tail = f->layout.tail, .chunk = MIB(2)};
	void *table = calloc(1, lz4_table_bytes(&image));
	unsigned char *bytes = malloc(MIB(4));
	struct lz4_writer *writer;
	struct lz4_worker *worker;
	struct lz4_run run = {.data = bytes};
	int from = fixture_open(f, FINAL);
	uint64_t tail = image.head + image.ram;

	ck_assert_int_eq(lz4_writer_create(fd,
				 &(struct lz4_writer_options){
					 .image = image, .acceleration = 1, .spares = 2, .table = table},
				 &writer),
		0);
	ck_assert_int_eq(lz4_worker_create(writer, &worker), 0);
	for (uint64_t off = 0; off < image.ram; off += image.chunk) {
		run.len = (uint32_t)u64_min(image.chunk, image.ram - off);
		ck_assert_int_eq(io_pread_full(from, bytes, run.len, image.head + off), 0);
		ck_assert_int_eq(lz4_worker_put(worker, off / image.chunk, &run, 1, 0), 0);
	}
	lz4_worker_destroy(worker);
	ck_assert_int_eq(lz4_writer_finish(writer), 0);
	ck_assert_int_eq(io_pread_full(from, bytes, image.head, 0), 0);
	ck_assert_int_eq(lz4_writer_patch(writer, 0, bytes, image.head), 0);
	ck_assert_int_eq(io_pread_full(from, bytes, image.tail, tail), 0);
	ck_assert_int_eq(lz4_writer_patch(writer, tail, bytes, image.tail), 0);
	ck_assert_int_eq(lz4_writer_sum(writer), 0);
	lz4_writer_destroy(writer);
	close(from);
	free(bytes);
	free(table);
}

START_TEST(a_compressed_dump_reads_like_a_plain_one)
{
	struct dump_fixture f;
	struct reader *reader;
	struct reader_counts counts;
	char why[256];
	struct stat st;
	int fd;

	fixture_init(&f, MIB(16), MIB(5), 2);
	fixture_fill(&f, 1000, 700, SEED);
	run_engine(&f);
	fd = memfd_create("lz4", MFD_CLOEXEC);
	compress(&f, fd);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(reader_open_fds(dup(fd), -1, &reader, why, sizeof(why)), 0);
	ck_assert_str_eq(reader_format_name(reader), "lz4");
	ck_assert_int_eq(reader->kind, READER_COMPLETE);
	ck_assert_str_eq(reader->damage, "");
	ck_assert_str_eq(reader->metadata.meta.guest, "guest");
	ck_assert_uint_eq(wrong_pages(&f, reader, 1000, 700), 0);
	ck_assert_int_eq(reader_count(reader, &counts), 0);
	ck_assert_uint_eq(counts.dumped, 4096);
	ck_assert_uint_ge(counts.zero, 2048);
	reader_close(reader);

	/* cut off: what is before the cut can still be read */
	ck_assert_int_eq(ftruncate(fd, st.st_size - 20000), 0);
	ck_assert_int_eq(reader_open_fds(fd, -1, &reader, why, sizeof(why)), 0);
	ck_assert_str_ne(reader->damage, "");
	ck_assert_int_eq(reader_read(reader, gpa_of(&f, 1000), (char[4096]){0}, 4096), 0);
	reader_close(reader);
	fixture_fini(&f);
}
END_TEST

/* ---- core files of others, and lies ------------------------------------------------------------------ */

struct small_core {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdrs[4];
	unsigned char notes[64];
	unsigned char memory[8192];
};

static void small_core_init(struct small_core *core)
{
	*core = (struct small_core){
		.ehdr = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				 EV_CURRENT},
			.e_type = ET_CORE,
			.e_machine = EM_X86_64,
			.e_phoff = offsetof(struct small_core, phdrs),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 4},
		.phdrs = {{.p_type = PT_NOTE,
				  .p_offset = offsetof(struct small_core, notes),
				  .p_filesz = sizeof(core->notes)},
			/* not in order, overlapping, not aligned, with a zero-filled end */
			{.p_type = PT_LOAD,
				.p_offset = offsetof(struct small_core, memory) + 4096,
				.p_paddr = 0x5000,
				.p_filesz = 4096,
				.p_memsz = 6000},
			{.p_type = PT_LOAD,
				.p_offset = offsetof(struct small_core, memory),
				.p_paddr = 0x1000,
				.p_filesz = 4096,
				.p_memsz = 4096},
			{.p_type = PT_LOAD,
				.p_offset = offsetof(struct small_core, memory) + 100,
				.p_paddr = 0x1064,
				.p_filesz = 200,
				.p_memsz = 200}},
	};
	for (size_t i = 0; i < sizeof(core->memory); i++)
		core->memory[i] = (unsigned char)(i * 7 + 1);
}

/* Opens the bytes as a dump. */
static int open_bytes(const void *data, size_t len, struct reader **ret)
{
	int fd = memfd_create("core", MFD_CLOEXEC);
	char why[256];
	int r;

	ck_assert_int_eq(io_pwrite_full(fd, data, len, 0), 0);
	r = reader_open_fds(fd, -1, ret, why, sizeof(why));
	ck_assert_msg(!r || why[0], "no reason given");
	return r;
}

START_TEST(a_core_file_of_another_program_is_read_as_far_as_it_goes)
{
	struct small_core core;
	struct reader *reader;
	struct reader_counts counts;
	unsigned char got[6001];

	small_core_init(&core);
	ck_assert_int_eq(open_bytes(&core, sizeof(core), &reader), 0);
	ck_assert_int_eq(reader->kind, READER_FOREIGN);
	ck_assert_uint_eq(reader->core.nr_segments, 2);
	ck_assert(!reader->metadata.has_meta);
	ck_assert_int_eq(reader_read(reader, 0x1000, got, 4096), 0);
	ck_assert_mem_eq(got, core.memory, 4096);
	ck_assert_int_eq(reader_read(reader, 0x5000, got, 6000), 0);
	ck_assert_mem_eq(got, core.memory + 4096, 4096);
	for (size_t i = 4096; i < 6000; i++)
		ck_assert_uint_eq(got[i], 0);
	ck_assert_int_eq(reader_read(reader, 0x5000, got, 6001), -EFAULT);
	ck_assert_int_eq(reader_read(reader, 0x1fff, got, 2), -EFAULT);
	ck_assert_int_eq(reader_read(reader, UINT64_MAX, got, 2), -EFAULT);
	ck_assert_int_eq(reader_count(reader, &counts), 0);
	ck_assert_uint_eq(counts.total, 3);
	ck_assert_uint_eq(counts.dumped, 3);
	reader_close(reader);
}
END_TEST

START_TEST(a_file_that_is_cut_off_says_so_and_gives_what_it_has)
{
	struct small_core core;
	struct reader *reader;
	struct reader_counts counts;
	enum reader_page page;
	unsigned char byte;

	small_core_init(&core);
	ck_assert_int_eq(open_bytes(&core, offsetof(struct small_core, memory) + 4096 + 10, &reader), 0);
	ck_assert_ptr_nonnull(strstr(reader->damage, "shorter"));
	ck_assert_int_eq(reader_read(reader, 0x1fff, &byte, 1), 0);
	ck_assert_int_eq(reader_read(reader, 0x5009, &byte, 1), 0);
	ck_assert_int_eq(reader_read(reader, 0x500a, &byte, 1), -ENODATA);
	ck_assert_int_eq(reader_page(reader, 0x500a, &page), 0);
	ck_assert_int_eq(page, READER_PAGE_MISSING);
	ck_assert_int_eq(reader_count(reader, &counts), 0);
	ck_assert_uint_eq(counts.missing, 1);
	reader_close(reader);
}
END_TEST

START_TEST(what_is_no_core_file_is_refused_with_a_reason)
{
	struct small_core core;
	struct reader *reader;

	ck_assert_int_eq(open_bytes("", 0, &reader), -EINVAL);
	ck_assert_int_eq(open_bytes("hello", 5, &reader), -EINVAL);
	ck_assert_int_eq(open_bytes("\177ELF", 4, &reader), -EINVAL);
	small_core_init(&core);
	for (size_t len = 0; len < offsetof(struct small_core, notes); len++)
		ck_assert_int_eq(open_bytes(&core, len, &reader), -EINVAL);
	core.ehdr.e_type = ET_EXEC;
	ck_assert_int_eq(open_bytes(&core, sizeof(core), &reader), -EINVAL);
	small_core_init(&core);
	core.ehdr.e_phnum = 1;
	ck_assert_int_eq(open_bytes(&core, sizeof(core), &reader), -EINVAL);
	ck_assert_int_eq(reader_open("/nonexistent/file", NULL, &reader, (char[64]){0}, 64), -ENOENT);
	ck_assert_int_eq(reader_open("/dev/zero", NULL, &reader, (char[64]){0}, 64), -EINVAL);
}
END_TEST

START_TEST(headers_that_wrap_or_lie_are_left_out)
{
	struct small_core core;
	struct reader *reader;
	unsigned char byte;

	small_core_init(&core);
	core.phdrs[1].p_paddr = UINT64_MAX - 100;
	core.phdrs[3].p_offset = UINT64_MAX - 100;
	core.phdrs[0].p_filesz = UINT64_MAX;
	ck_assert_int_eq(open_bytes(&core, sizeof(core), &reader), 0);
	ck_assert_uint_eq(reader->core.nr_segments, 1);
	ck_assert(reader->core.notes_cut);
	ck_assert_int_eq(reader_read(reader, 0x1000, &byte, 1), 0);
	reader_close(reader);

	small_core_init(&core);
	core.phdrs[2].p_offset = INT64_MAX - 4096; /* no such place in a file */
	ck_assert_int_eq(open_bytes(&core, sizeof(core), &reader), 0);
	ck_assert_int_eq(reader_read(reader, 0x1000, &byte, 1), -ENODATA);
	reader_close(reader);

	/* the number of headers stands in a section header that is not there */
	small_core_init(&core);
	core.ehdr.e_phnum = PN_XNUM;
	core.ehdr.e_shoff = UINT64_MAX - 8;
	ck_assert_int_eq(open_bytes(&core, sizeof(core), &reader), -EINVAL);
}
END_TEST

/* Each field of a trailer that a reader relies on, with a value that must not be believed. */
static const struct {
	size_t off;
	uint64_t value;
	size_t bytes;
} lies[] = {
	{offsetof(struct vmcore_trailer, version), 2, 4},
	{offsetof(struct vmcore_trailer, size), 10, 4},
	{offsetof(struct vmcore_trailer, role), 7, 4},
	{offsetof(struct vmcore_trailer, state), 0, 4},
	{offsetof(struct vmcore_trailer, state), 5, 4},
	{offsetof(struct vmcore_trailer, nr_segments), 9, 4},
	{offsetof(struct vmcore_trailer, nr_segments), 0, 4},
	{offsetof(struct vmcore_trailer, file_size), MIB(6), 8},
	{offsetof(struct vmcore_trailer, head), MIB(4), 8},
	{offsetof(struct vmcore_trailer, ram), UINT64_MAX - 4095, 8},
	{offsetof(struct vmcore_trailer, tail), 0, 8},
	{offsetof(struct vmcore_trailer, chunk), 0, 8},
	{offsetof(struct vmcore_trailer, chunk), 4096, 8},
	{offsetof(struct vmcore_trailer, chunk), 3 << 20, 8},
	{offsetof(struct vmcore_trailer, places.bitmap_off), 0, 8},
	{offsetof(struct vmcore_trailer, places.bitmap_off), UINT64_MAX, 8},
	{offsetof(struct vmcore_trailer, places.bitmap_bytes), 1, 8},
	{offsetof(struct vmcore_trailer, places.bitmap_bytes), UINT64_MAX, 8},
	{offsetof(struct vmcore_trailer, places.progress_off), MIB(2), 8},
	{offsetof(struct vmcore_trailer, places.progress_bytes), 0, 8},
	{offsetof(struct vmcore_trailer, segments[0].gpa), 1, 8},
	{offsetof(struct vmcore_trailer, segments[0].size), UINT64_MAX, 8},
	{offsetof(struct vmcore_trailer, segments[0].off), 4096, 8},
};

START_TEST(a_trailer_that_lies_is_not_believed_and_the_memory_still_reads)
{
	struct dump_fixture f;
	struct reader *reader;
	off_t trailer;
	int fd;

	fixture_init(&f, MIB(4), GIB(3), 1);
	fixture_fill(&f, 0, 20, SEED);
	run_engine(&f);
	trailer = (off_t)dump_layout_file_size(&f.layout) - 4096;
	fd = openat(f.dir_fd, FINAL, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, &lies[_i].value, lies[_i].bytes, trailer + (off_t)lies[_i].off),
		(ssize_t)lies[_i].bytes);
	close(fd);
	reader = open_reader(&f, FINAL);
	ck_assert(!reader->has_trailer);
	ck_assert_ptr_nonnull(strstr(reader->damage, "trailer"));
	ck_assert_uint_eq(wrong_pages(&f, reader, 0, 20), 0);
	reader_close(reader);
	fixture_fini(&f);
}
END_TEST

START_TEST(a_file_that_shrinks_under_the_reader_gives_an_error_and_no_signal)
{
	struct dump_fixture f;
	struct reader *reader;
	struct reader_counts counts;
	unsigned char byte;
	int fd;

	fixture_init(&f, MIB(4), GIB(3), 1);
	fixture_fill(&f, 0, 1024, SEED);
	run_engine(&f);
	reader = open_reader(&f, FINAL);
	fd = openat(f.dir_fd, FINAL, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	close(fd);
	ck_assert_int_eq(reader_read(reader, 0, &byte, 1), -ENODATA);
	ck_assert_int_eq(reader_count(reader, &counts), -ENODATA);
	reader_close(reader);
	fixture_fini(&f);
}
END_TEST

Suite *suite_reader(void)
{
	Suite *suite = suite_create("reader");
	TCase *tc = tcase_create("dumps");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_complete_dump_gives_back_every_page_and_the_holes_between);
	tcase_add_test(tc, the_metadata_is_what_the_record_said);
	tcase_add_loop_test(
		tc, a_partial_dump_and_its_region_together_give_every_page, 0, ARRAY_LEN(stages));
	tcase_add_test(tc, without_its_region_a_partial_dump_says_what_is_missing_instead_of_zeros);
	tcase_add_test(tc, a_region_alone_is_the_whole_memory);
	tcase_add_test(tc, a_chunk_that_moves_between_mark_and_bytes_is_read_where_it_is_then);
	tcase_add_test(tc, what_a_region_alone_has_lost_is_missing_and_not_zeros);
	tcase_add_test(tc, a_region_of_another_dump_is_not_used);
	tcase_add_loop_test(tc, a_dump_that_is_being_written_reads_right_at_every_moment, 0, 2);
	tcase_add_test(tc, the_bitmap_tells_excluded_from_zero);
	tcase_add_test(tc, a_compressed_dump_reads_like_a_plain_one);
	suite_add_tcase(suite, tc);

	tc = tcase_create("hostile");
	tcase_add_test(tc, a_core_file_of_another_program_is_read_as_far_as_it_goes);
	tcase_add_test(tc, a_file_that_is_cut_off_says_so_and_gives_what_it_has);
	tcase_add_test(tc, what_is_no_core_file_is_refused_with_a_reason);
	tcase_add_test(tc, headers_that_wrap_or_lie_are_left_out);
	tcase_add_loop_test(
		tc, a_trailer_that_lies_is_not_believed_and_the_memory_still_reads, 0, ARRAY_LEN(lies));
	tcase_add_test(tc, a_file_that_shrinks_under_the_reader_gives_an_error_and_no_signal);
	suite_add_tcase(suite, tc);
	return suite;
}
