/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/vmcores/redump.c - a crash out of somebody else's vmcore: its memory becomes a region, its registers a
 * crash record, and the dump engine makes of them what it would make of a guest of ours.
 *
 *      redump [--ram FILE] [--virtual] VMCORE DIR NAME SELECT [STRATEGY [SINK]]   writes DIR/NAME.vmcore; DIR is on tmpfs
 *      redump [--ram FILE] VMCORE DIR time                            times the scan and the classification alone
 *
 * --virtual: with program headers of the kernel's virtual addresses.  --ram: the file that QEMU had the guest's memory in: that is copied, with its holes, and VMCORE only has the
 * registers.  Without it the memory is VMCORE's, and zeros become holes.
 *
 * Memory below 16 MiB in one piece that stands alone is firmware, and left out.  Prints how long the engine
 * took from its start to the end of the selection and to the dump's publication.
 */
#include "dump/base/io.h"
#include "dump/engine/engine.h"
#include "dump/engine/engine_state.h"
#include "dump/linux/linux_find.h"
#include "dump/read/reader.h"
#include "dump/record/choices.h"
#include "dump/base/zero_pages.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALONE MIB(16)

static void die(const char *what, int error)
{
	fprintf(stderr, "redump: %s: %s\n", what, error ? strerror(-error) : "");
	exit(1);
}

/* RAM of @reader as a layout; small gaps, like the one below 1 MiB, become holes of RAM. */
static void make_layout(const struct reader *reader, struct dump_layout *ret)
{
	uint64_t low = 0, high = 0;

	for (size_t i = 0; i < reader->core.nr_segments; i++) {
		const struct core_segment *seg = &reader->core.segments[i];
		uint64_t end = seg->gpa + seg->size;

		if (seg->gpa >= GIB(4))
			high = u64_max(high, end - GIB(4));
		else if (seg->size >= ALONE || seg->gpa < MIB(1))
			low = u64_max(low, end);
	}
	if (dump_layout_init(ret, low + high, high ? low : GIB(4), GIB(4)))
		die("a layout of this memory", 0);
}

static void copy_memory(struct reader *reader, const struct dump_layout *layout, int fd)
{
	static unsigned char block[64 * PAGE_SIZE_4K] __attribute__((aligned(4096)));

	for (uint32_t i = 0; i < layout->nr_segments; i++) {
		const struct dump_segment *seg = &layout->segments[i];

		for (uint64_t at = 0; at < seg->size; at += sizeof(block)) {
			uint64_t len = u64_min(sizeof(block), seg->size - at), zero;

			if (reader_read(reader, seg->gpa + at, block, len))
				continue;
			zero = zero_pages(block, len / PAGE_SIZE_4K);
			for (uint64_t page = 0; page < len / PAGE_SIZE_4K; page++)
				if (!(zero >> page & 1) &&
					io_pwrite_full(fd, block + page * PAGE_SIZE_4K, PAGE_SIZE_4K,
						layout->head + seg->off + at + page * PAGE_SIZE_4K))
					die("writing the region", -errno);
		}
	}
}

/* The memory file @path of QEMU, which has the low part and what is above 4 GiB one after the other, as we do. */
static void copy_ram(const char *path, const struct dump_layout *layout, int to)
{
	static unsigned char block[MIB(2)] __attribute__((aligned(4096)));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t at, end;

	if (fd < 0)
		die(path, -errno);
	if (lseek(fd, 0, SEEK_END) != (off_t)layout->ram)
		die(path, -EINVAL);
	for (at = lseek(fd, 0, SEEK_DATA); at >= 0; at = lseek(fd, end, SEEK_DATA)) {
		end = lseek(fd, at, SEEK_HOLE);
		if (end < 0)
			die(path, -errno);
		while (at < end) {
			uint64_t len = u64_min(sizeof(block), (uint64_t)(end - at));

			if (io_pread_full(fd, block, len, (uint64_t)at) ||
				io_pwrite_full(to, block, len, layout->head + (uint64_t)at))
				die("copying memory", -errno);
			at += (off_t)len;
		}
	}
	close(fd);
}

static void take_cpus(const struct reader *reader, struct dump_record *record)
{
	for (uint32_t i = 0; i < record->nr_cpus; i++) {
		memcpy(&record->cpus[i], &reader->metadata.cpus[i].regs, sizeof(struct core_regs));
		record->cpus[i].saved = reader->metadata.cpus[i].has_system;
	}
}

static uint32_t find_strategy(const char *name)
{
	for (uint32_t i = 0; i < dump_nr_strategies; i++)
		if (!strcmp(dump_strategies[i].name, name))
			return i;
	die("no such strategy", 0);
	return 0;
}

static double ms_of(const struct dump_record *record, enum dump_moment moment)
{
	return (double)(record->moments[moment] - record->moments[DUMP_MOMENT_DUMP_START]) / 1e6;
}

#define RUNS 9

static int by_time(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void tell_times(const char *what, uint64_t ns[RUNS])
{
	qsort(ns, RUNS, sizeof(ns[0]), by_time);
	printf("%-16s best %.1f ms, median %.1f ms, worst %.1f ms of %d:", what, (double)ns[0] / 1e6,
		(double)ns[RUNS / 2] / 1e6, (double)ns[RUNS - 1] / 1e6, RUNS);
	for (int i = 0; i < RUNS; i++)
		printf(" %.2f", (double)ns[i] / 1e6);
	printf("\n");
}

static bool refuse(void *arg, const struct vmcoreinfo *info)
{
	(void)arg;
	(void)info;
	return false;
}

static uint64_t since(uint64_t start)
{
	return clock_mono_ns() - start;
}

/* Makes every note VMCOREINFO in memory unrecognizable. */
static void destroy_notes(const struct guest_view *view)
{
	static const char zeros[24];
	char head[24];

	for (uint64_t off = view->layout->head; off < view->layout->head + view->layout->ram;
		off += PAGE_SIZE_4K)
		if (!io_pread_full(view->fd, head, sizeof(head), off) &&
			!memcmp(head + 12, "VMCOREINFO", 11) &&
			io_pwrite_full(view->fd, zeros, sizeof(zeros), off))
			die("writing the region", -errno);
}

/*
 * One worker each: VMCOREINFO found by a scan, and by the kernel's pointer; struct page of all of memory at
 * level 31; then without the note: the kernel asked in vain, what a dump does in vain, and all of memory looked at.
 */
static int measure(int region_fd, const struct dump_record *record)
{
	const struct guest_view view = {.fd = region_fd, .layout = &record->layout};
	const uint64_t *cr = record->cpus[record->crash_cpu].cr;
	uint64_t bytes = record->layout.ram / PAGE_SIZE_4K / 8;
	uint64_t *drop = calloc(bytes / 8 + 1, 8);
	struct linux_kernel *kernel = malloc(sizeof(*kernel));
	uint64_t times[6][RUNS], counts[LINUX_REASONS], start;
	struct vmcoreinfo info;
	const char *lack;

	for (int i = 0; i < RUNS; i++) {
		start = clock_mono_ns();
		if (vmcoreinfo_scan(&view, 1, UINT64_MAX, linux_kernel_accepts, (void *)(uintptr_t)&view,
			    &info) != 1 ||
			linux_kernel_init(kernel, &view, &info))
			die("no kernel", 0);
		times[0][i] = since(start);
		start = clock_mono_ns();
		if (linux_find_info(&view, cr[3], cr[4], &info) != 1)
			die("the kernel's pointer", 0);
		times[1][i] = since(start);
		memset(drop, 0, bytes);
		start = clock_mono_ns();
		if (linux_pages_mark(kernel, 31, 1, drop, counts, &lack))
			die("classification", 0);
		times[2][i] = since(start);
	}
	destroy_notes(&view);
	for (int i = 0; i < RUNS; i++) {
		start = clock_mono_ns();
		if (linux_find_info(&view, cr[3], cr[4], &info))
			die("a pointer to what is not there", 0);
		times[3][i] = since(start);
		start = clock_mono_ns();
		if (vmcoreinfo_scan(&view, 1, VMCOREINFO_QUICK_PAGES, refuse, NULL, &info) ||
			linux_find_info(&view, cr[3], cr[4], &info))
			die("what is not there", 0);
		times[5][i] = since(start);
		start = clock_mono_ns();
		if (vmcoreinfo_scan(&view, 1, UINT64_MAX, refuse, NULL, &info))
			die("scan", 0);
		times[4][i] = since(start);
	}
	tell_times("found", times[0]);
	tell_times("pointer found", times[1]);
	tell_times("classified", times[2]);
	tell_times("kernel has none", times[3]);
	tell_times("in vain", times[5]);
	tell_times("all looked at", times[4]);
	return 0;
}

int main(int argc, char **argv)
{
	struct dump_engine engine = {.fallback_dir_fd = -1, .given_dump_fd = -1};
	struct dump_record *record;
	struct reader *reader;
	const char *ram = NULL;
	char why[256];
	int record_fd, r;
	bool timing, virtual = false;

	if (argc > 2 && !strcmp(argv[1], "--ram")) {
		ram = argv[2];
		argv += 2;
		argc -= 2;
	}
	if (argc > 1 && !strcmp(argv[1], "--virtual")) {
		virtual = true;
		argv++;
		argc--;
	}
	timing = argc == 4 && !strcmp(argv[3], "time");
	if (argc < 5 && !timing) {
		fprintf(stderr, "usage: redump [--ram FILE] [--virtual] VMCORE DIR NAME SELECT [STRATEGY "
				"[SINK]]\n");
		return 2;
	}
	if (reader_open(argv[1], NULL, &reader, why, sizeof(why)))
		die(why, 0);
	r = dump_record_create(reader->metadata.nr_cpus, &record_fd, &record);
	if (r)
		die("a record", r);
	make_layout(reader, &record->layout);
	take_cpus(reader, record);
	record->options = (struct dump_options){.workers = 1, .chunk = MIB(2), .virtual_headers = virtual};
	if (dump_select_parse(timing ? "all" : argv[4], &record->options.selectors))
		die("no such selector", 0);
	record->options.strategy = find_strategy(argc > 5 ? argv[5] : "vmapp");
	record->options.sink = argc > 6 && !strcmp(argv[6], "lz4");
	snprintf(record->guest, sizeof(record->guest), "linux");
	snprintf(record->name, sizeof(record->name), "%s", argv[3]);
	snprintf(record->vmm_version, sizeof(record->vmm_version), "redump");
	engine.record = record;
	engine.dir_fd = engine.region_dir_fd = open(argv[2], O_RDONLY | O_DIRECTORY);
	engine.region_fd = openat(engine.dir_fd, ".", O_TMPFILE | O_RDWR, 0600);
	engine.proc_fd = publish_proc_open();
	if (engine.region_fd < 0 ||
		ftruncate(engine.region_fd, (off_t)dump_layout_file_size(&record->layout)))
		die(argv[2], -errno);
	if (ram)
		copy_ram(ram, &record->layout, engine.region_fd);
	else
		copy_memory(reader, &record->layout, engine.region_fd);
	reader_close(reader);
	if (timing)
		return measure(engine.region_fd, record);
	r = dump_engine_run(&engine);
	if (r)
		die(engine.why, 0);
	printf("selected %.3f ms, published %.3f ms%s%s\n", ms_of(record, DUMP_MOMENT_EXCLUDED),
		ms_of(record, DUMP_MOMENT_PUBLISHED), engine.selection.distrust[0] ? "; " : "",
		engine.selection.distrust);
	for (size_t i = 0; i < LINUX_REASONS; i++)
		printf("%s %llu\n", linux_reason_name(i), (unsigned long long)engine.selection.reasons[i]);
	return 0;
}
