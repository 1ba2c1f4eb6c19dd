/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_dump.c - the dump of a guest that dereferences a null pointer: every page, register
 * and note is what the guest said it is, and the memory it came from is given back.
 *
 * vmcore-check compares pages and registers with what the stub printed; here is the rest.
 */
#include "tests/kvm/run.h"
#include "tests/kvm/suites.h"
#include "tests/kvm/vmcore.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define PAGE 4096ull
#define ALL_KINDS "scenario=null-deref fill=pattern:40,text:20,zero:10,freed:10"
/* our choice: what a stub touches besides its fills, each touch costing a huge page; with head and tail */
#define OVERHEAD (32 * MIB)

/* What the stub said it filled, all "stub: fill" lines of the console: bytes, and the highest frame. */
static uint64_t filled_bytes(const struct run *run, uint64_t *ret_last)
{
	static char console[1 << 16];
	uint64_t bytes = 0;

	*ret_last = 0;
	read_file(run->console, console, sizeof(console));
	for (const char *at = console; (at = strstr(at, "stub: fill kind=")); at++) {
		unsigned long long first, last;
		const char *pfn = strstr(at, "pfn=");

		if (!pfn || sscanf(pfn, "pfn=%llu-%llu", &first, &last) != 2)
			continue;
		bytes += (last - first + 1) * PAGE;
		*ret_last = last > *ret_last ? last : *ret_last;
	}
	return bytes;
}

/* A dump is as large as what was filled, private, and everything it took was given back. */
static void check_amounts(struct run *run, const char *path, uint64_t memory)
{
	const char *done = run_event(run, "dump-done", 0);
	uint64_t dumped = run_u64(run, done, "dumped"), released = run_u64(run, done, "released");
	uint64_t file_bytes = run_u64(run, done, "file_bytes"), last, filled = filled_bytes(run, &last);
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	run_assert(run, (st.st_mode & 07777) == 0600, "mode %o", st.st_mode & 07777);
	run_assert(run, (uint64_t)st.st_blocks * 512 == file_bytes, "%lld blocks, but file_bytes says %llu",
		(long long)st.st_blocks, (unsigned long long)file_bytes);
	run_assert(run, dumped == released, "%llu bytes dumped, %llu released", (unsigned long long)dumped,
		(unsigned long long)released);
	run_assert(run, filled && released >= filled && released <= filled + OVERHEAD && released <= memory,
		"%llu bytes released, %llu filled", (unsigned long long)released,
		(unsigned long long)filled);
	run_assert(run, file_bytes >= dumped && file_bytes <= dumped + OVERHEAD,
		"the dump takes %llu bytes for %llu", (unsigned long long)file_bytes,
		(unsigned long long)dumped);
}

struct shape {
	unsigned memory, vcpus; /* MiB */
	const char *dump;       /* lines of [dump] */
};

static void crash_and_judge(struct run *run, const struct shape *shape, char *path, size_t size)
{
	char more[128];

	snprintf(more, sizeof(more), "[dump]\n%s", shape->dump ? shape->dump : "");
	run_start(run, &(struct guest){.cmdline = ALL_KINDS,
			       .recovery = "scenario=ready-poweroff",
			       .memory = shape->memory,
			       .vcpus = shape->vcpus,
			       .more = more});
	run_ends(run, CODE_OK);
	run_dump_path(run, 0, path, size);
	run_judge(run, path, 0, 0, NULL);
	check_amounts(run, path, shape->memory * MIB);
}

static const struct shape shapes[] = {
	{512, 2, NULL},
	{34, 4, NULL},
	{64, 1, "huge_pages = off"},
	{256, 2, "chunk = 64K\nworkers = 1"},
	{256, 2, "chunk = 64K\nworkers = 4"},
	{256, 2, "chunk = 2M\nworkers = 1"},
	{256, 2, "chunk = 2M\nworkers = 4"},
	{256, 2, "chunk = 64M\nworkers = 1"},
	{256, 2, "chunk = 64M\nworkers = 4"},
	{34, 1, "chunk = 1G\nworkers = 64"},
};

START_TEST(every_page_and_register_is_in_the_dump_as_the_guest_left_it)
{
	char path[512];
	struct run run;

	NEEDS_KVM();
	crash_and_judge(&run, &shapes[_i], path, sizeof(path));
	run_finish(&run);
}
END_TEST

/* Memory of the host that a test may use. */
static uint64_t free_memory(void)
{
	unsigned long long kib = 0;
	char text[4096];
	struct statvfs fs;
	const char *at;

	read_file("/proc/meminfo", text, sizeof(text));
	at = strstr(text, "MemAvailable:");
	if (!at || sscanf(at, "MemAvailable: %llu", &kib) != 1 || statvfs("/dev/shm", &fs))
		return 0;
	return kib << 10 < fs.f_bavail * fs.f_bsize ? kib << 10 : fs.f_bavail * fs.f_bsize;
}

/* The second segment begins at 4 GiB and holds filled frames. */
static void check_split(struct run *run, const char *path)
{
	struct output output;
	uint64_t last;

	run_program(
		run, &output, (char *[]){arg("/usr/bin/env"), arg("readelf"), arg("-lW"), arg(path), NULL});
	run_assert(run, strstr(output.out, "0x0000000100000000 0x0000000100000000"),
		"no segment at 4 GiB:\n%.1000s", output.out);
	filled_bytes(run, &last);
	run_assert(run, last * PAGE >= 4096 * MIB, "nothing is filled above 4 GiB");
}

START_TEST(a_guest_with_memory_above_4_gib_is_dumped_around_the_hole)
{
	static const struct shape large = {3584, 2, NULL};
	char path[512];
	struct run run;

	NEEDS_KVM();
	if (free_memory() < 6144 * MIB) {
		print_skip(__func__, "less than 6 GiB of memory or of /dev/shm are free");
		return;
	}
	run_start(&run,
		&(struct guest){.cmdline = "scenario=null-deref fill=zero:5,freed:30,text:20,pattern:40",
			.recovery = "scenario=ready-poweroff",
			.memory = large.memory,
			.vcpus = large.vcpus});
	run_ends(&run, CODE_OK);
	run_dump_path(&run, 0, path, sizeof(path));
	run_judge(&run, path, 0, 0, NULL);
	check_amounts(&run, path, large.memory * MIB);
	check_split(&run, path);
	run_finish(&run);
}
END_TEST

/* The rest of the console's line that begins with @start, in @buf. */
static void console_line(struct run *run, const char *start, char *buf, size_t size)
{
	static char console[1 << 16];
	const char *at;

	read_file(run->console, console, sizeof(console));
	at = strstr(console, start);
	run_assert(run, at, "the console has no line '%s'", start);
	at += strlen(start);
	snprintf(buf, size, "%.*s", (int)strcspn(at, "\n"), at);
}

static void check_metadata(struct run *run, const char *path, unsigned vcpus)
{
	unsigned char meta[META_SIZE];
	char said[256], name[512];
	size_t len;

	run_assert(run, vmcore_note(path, NOTE_META, meta, sizeof(meta)) >= META_SIZE, "no metadata note");
	ck_assert_uint_eq(vmcore_u32(meta, META_VERSION), 1);
	ck_assert_uint_eq(vmcore_u32(meta, META_GENERATION), 0);
	ck_assert_uint_eq(vmcore_u32(meta, META_REASON), 0);
	ck_assert_str_eq((char *)meta + META_REASON_NAME, "panic");
	ck_assert_uint_eq(vmcore_u32(meta, META_CPU), 0);
	ck_assert_uint_eq(vmcore_u32(meta, META_PANIC_CPU), 0);
	ck_assert_uint_eq(vmcore_u32(meta, META_NR_CPUS), vcpus);
	ck_assert_uint_eq(vmcore_u64(meta, META_RAM), 64 * MIB);
	ck_assert_uint_eq(vmcore_u64(meta, META_CHUNK), 2 * MIB);
	ck_assert_uint_eq(vmcore_u64(meta, META_NR_PAGE_DESC), 64 * MIB / PAGE);
	ck_assert_uint_ne(vmcore_u64(meta, META_PAGE_DESC), 0);
	ck_assert_str_eq((char *)meta + META_GUEST, run->name);
	snprintf(name, sizeof(name), "%s/%.95s.vmcore", run->dump_dir, (char *)meta + META_NAME);
	ck_assert_str_eq(name, path);
	console_line(run, "stub: panic: cpu 0: ", said, sizeof(said));
	len = vmcore_u32(meta, META_STRING_LEN);
	run_assert(run, len == strlen(said) && !memcmp(meta + META_STRING, said, len),
		"the note's panic string is '%.*s', the guest printed '%s'", (int)(len < 256 ? len : 256),
		(char *)meta + META_STRING, said);
}

/* Where "name=" of the lines "stub: regs cpu=N" lies in struct fw_regs (docs/firmware-calls.md). */
static const struct {
	const char *name;
	size_t offset;
} areas[] = {{" error=", 8}, {" rax=", 16}, {" rbx=", 24}, {" rcx=", 32}, {" rdx=", 40}, {" rsi=", 48},
	{" rdi=", 56}, {" rbp=", 64}, {" rsp=", 72}, {" r8=", 80}, {" r9=", 88}, {" r10=", 96},
	{" r11=", 104}, {" r12=", 112}, {" r13=", 120}, {" r14=", 128}, {" r15=", 136}, {" rip=", 144},
	{" rflags=", 152}, {" cs=", 160}, {" ss=", 168}, {" cr2=", 176}, {" cr3=", 184}};

/* The register area of the CPU that faulted is what it printed of its fault. */
static void check_fault_registers(struct run *run, const char *path)
{
	unsigned char meta[META_SIZE], area[REGS_SIZE];
	static char console[1 << 16];
	const char *lines;
	long len = vmcore_note(path, NOTE_REGS, area, sizeof(area));

	run_assert(run, vmcore_note(path, NOTE_META, meta, sizeof(meta)) >= META_SIZE, "no metadata note");
	run_assert(run, len >= REGS_SIZE && len == REGS_SIZE * (long)vmcore_u32(meta, META_NR_REGS),
		"%ld bytes of register areas, for %u", len, vmcore_u32(meta, META_NR_REGS));
	ck_assert_uint_eq(vmcore_u32(area, 0), 0);  /* CPU */
	ck_assert_uint_eq(vmcore_u32(area, 4), 14); /* page fault */
	read_file(run->console, console, sizeof(console));
	lines = strstr(console, "stub: regs cpu=0 vector=14");
	run_assert(run, lines, "the console tells no registers of a page fault");
	for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); i++) {
		const char *at = strstr(lines, areas[i].name);
		uint64_t want = at ? strtoull(at + strlen(areas[i].name), NULL, 16) : 0;

		run_assert(run, at && vmcore_u64(area, areas[i].offset) == want,
			"%s%#llx in the note, %#llx printed", areas[i].name,
			(unsigned long long)vmcore_u64(area, areas[i].offset), (unsigned long long)want);
	}
}

static void check_timeline(struct run *run, const char *path)
{
	static const char *const moments[] = {
		"crash", "parked", "dump-start", "linked", "first-release", "copied"};
	const char *event = run_event(run, "timeline", 0);
	char text[1025] = "", key[64];
	long len = vmcore_note(path, NOTE_TIMELINE, text, sizeof(text) - 1);

	run_assert(run, len == 1024, "a timeline of %ld bytes", len);
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		unsigned long long ns = 0;
		const char *at;

		snprintf(key, sizeof(key), "\"%s\": ", moments[i]);
		at = strstr(text, key);
		run_assert(run, at && sscanf(at + strlen(key), "%llu", &ns) == 1, "no moment '%s' in %s",
			moments[i], text);
		run_assert(run, ns == run_u64(run, event, moments[i]),
			"'%s' is %llu in the dump, another in %s", moments[i], ns, event);
	}
}

START_TEST(the_notes_tell_what_the_guest_printed)
{
	unsigned vcpus = _i ? 4 : 1;
	char path[512];
	struct run run;

	NEEDS_KVM();
	crash_and_judge(&run, &(struct shape){64, vcpus, NULL}, path, sizeof(path));
	check_metadata(&run, path, vcpus);
	check_fault_registers(&run, path);
	check_timeline(&run, path);
	run_finish(&run);
}
END_TEST

START_TEST(readelf_takes_the_dump_without_a_warning)
{
	struct output output;
	char path[512];
	struct run run;

	NEEDS_KVM();
	crash_and_judge(&run, &(struct shape){64, 2, NULL}, path, sizeof(path));
	run_program(&run, &output,
		(char *[]){arg("/usr/bin/env"), arg("readelf"), arg("-hlnW"), arg(path), NULL});
	run_assert(&run, !output.code && !output.err[0], "readelf ends with %d and says:\n%.1000s",
		output.code, output.err);
	run_assert(&run, strstr(output.out, "NT_PRSTATUS") && strstr(output.out, "CORE (Core file)"),
		"readelf does not see a core file with registers:\n%.1000s", output.out);
	run_assert(&run, !strstr(output.out, "arning") && !strstr(output.out, "rror"),
		"readelf says:\n%.1000s", output.out);
	run_finish(&run);
}
END_TEST

START_TEST(nobody_holds_the_crashed_memory_when_the_dump_is_done)
{
	struct process dumper;
	uint64_t held;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:80",
				.recovery = "scenario=idle",
				.memory = 512,
				.vcpus = 2});
	run_await(&run, "dump-done", 0);
	run_await(&run, "ready", 1);
	run_find_dumper(&run, &dumper);
	/* regions have no names any more: the recovery VM's and the standby's, a few MiB each, are left */
	held = process_unnamed_bytes(run.vmm.pid);
	run_assert(&run, held && held <= OVERHEAD, "minivmm holds %llu bytes of unnamed files",
		(unsigned long long)held);
	held = process_unnamed_bytes(dumper.pid);
	run_assert(&run, held <= MIB, "the dumper holds %llu bytes of unnamed files",
		(unsigned long long)held);
	process_close(&dumper);
	run_stops(&run);
	run_finish(&run);
}
END_TEST

START_TEST(a_dump_needs_no_room_for_a_second_copy_of_the_guest)
{
	char dir[256], path[512];
	struct run run;

	NEEDS_KVM();
	/* at no moment may the guest's 448 MiB, the dump and two new VMs take more than this together */
	if (!private_tmpfs(dir, sizeof(dir), _i ? "size=512M,huge=never" : "size=512M,huge=always")) {
		print_skip(__func__, "this user may not mount a tmpfs");
		return;
	}
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:70,freed:17",
				.recovery = "scenario=ready-poweroff",
				.memory = 512,
				.vcpus = 2,
				.dir = dir});
	run_ends(&run, CODE_OK);
	run_dump_path(&run, 0, path, sizeof(path));
	run_judge(&run, path, 0, 0, NULL);
	check_amounts(&run, path, 512 * MIB);
	run_finish(&run);
}
END_TEST

START_TEST(a_dump_may_lie_on_another_file_system_than_the_guests_memory)
{
	char dir[256], path[512];
	struct run run;

	NEEDS_KVM();
	if (!private_tmpfs(dir, sizeof(dir), "size=256M")) {
		print_skip(__func__, "this user may not mount a tmpfs");
		return;
	}
	run_start(&run, &(struct guest){.cmdline = ALL_KINDS,
				.recovery = "scenario=ready-poweroff",
				.memory = 128,
				.vcpus = 2,
				.dump_dir = dir});
	run_ends(&run, CODE_OK);
	run_dump_path(&run, 0, path, sizeof(path));
	run_judge(&run, path, 0, 0, NULL);
	check_amounts(&run, path, 128 * MIB);
	run_finish(&run);
}
END_TEST

START_TEST(a_guest_that_is_not_to_be_dumped_is_recovered_all_the_same)
{
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = ALL_KINDS,
				.recovery = "scenario=ready-poweroff",
				.more = "[dump]\nenabled = no"});
	run_ends(&run, CODE_OK);
	run_count(&run, "crash", 1);
	run_count(&run, "dump-start", 0);
	run_event(&run, "ready", 1);
	run_assert(&run, !run_files(&run, "", NULL, 0), "files are left");
	run_finish(&run);
}
END_TEST

Suite *suite_dump(void)
{
	Suite *suite = suite_create("dump");
	TCase *tcase = run_tcase(suite, "pages");

	tcase_add_loop_test(tcase, every_page_and_register_is_in_the_dump_as_the_guest_left_it, 0,
		(int)(sizeof(shapes) / sizeof(shapes[0])));
	tcase_add_test(tcase, a_guest_with_memory_above_4_gib_is_dumped_around_the_hole);

	tcase = run_tcase(suite, "file");
	tcase_add_loop_test(tcase, the_notes_tell_what_the_guest_printed, 0, 2);
	tcase_add_test(tcase, readelf_takes_the_dump_without_a_warning);
	tcase_add_test(tcase, nobody_holds_the_crashed_memory_when_the_dump_is_done);
	tcase_add_loop_test(tcase, a_dump_needs_no_room_for_a_second_copy_of_the_guest, 0, 2);
	tcase_add_test(tcase, a_dump_may_lie_on_another_file_system_than_the_guests_memory);
	tcase_add_test(tcase, a_guest_that_is_not_to_be_dumped_is_recovered_all_the_same);
	return suite;
}
