/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_hostile_dumps.c - small files that claim to be terabytes, or lie otherwise: every command that reads
 * dumps ends soon with each of them, says what is wrong, and is killed by none.
 */
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"
#include "tests/vmcores/mini.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/lz4/lz4_frame.h"
#include "dump/lz4/lz4_table.h"
#include "dump/linux/linux_log.h"
#include "vmm/cli/commands.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIB(x) ((uint64_t)(x) << 40)
/* of CPU, which other work does not change; with a sanitizer some of it is start and end */
#define SECONDS 1
/* of the clock: nobody waits for ever */
#define ALARM 60

static struct dump_fixture f;
static char path[128], saved[128], output[128];

/* ---- the files ------------------------------------------------------------------------------------------ */

static void put(int fd, uint64_t off, const void *data, size_t len)
{
	ck_assert_int_eq(io_pwrite_full(fd, data, len, off), 0);
}

static Elf64_Ehdr ehdr_of(uint16_t phnum)
{
	return (Elf64_Ehdr){
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = phnum};
}

/* One segment, and @size bytes of file. */
static void one_segment(int fd, uint64_t filesz, uint64_t memsz, uint64_t size)
{
	const Elf64_Ehdr ehdr = ehdr_of(1);
	const Elf64_Phdr phdr = {.p_type = PT_LOAD, .p_offset = 4096, .p_filesz = filesz, .p_memsz = memsz};

	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	put(fd, 0, &ehdr, sizeof(ehdr));
	put(fd, sizeof(ehdr), &phdr, sizeof(phdr));
}

static void a_segment_beyond_the_end(int fd)
{
	one_segment(fd, TIB(1), TIB(1), 4096);
}

static void a_segment_of_holes(int fd)
{
	one_segment(fd, TIB(1), TIB(1), 4096 + TIB(1));
}

static void a_segment_of_zeros(int fd)
{
	one_segment(fd, 0, TIB(16), 8192);
}

/* Each names the same bytes at another address. */
static void many_segments_of_the_same_bytes(int fd)
{
	enum { NR = 60000, BYTES = 1 << 20 };
	const Elf64_Ehdr ehdr = ehdr_of(NR);
	Elf64_Phdr *phdrs = calloc(NR, sizeof(*phdrs));
	unsigned char *bytes = malloc(BYTES);

	ck_assert(phdrs && bytes);
	memset(bytes, 0x5a, BYTES);
	for (size_t i = 0; i < NR; i++)
		phdrs[i] = (Elf64_Phdr){.p_type = PT_LOAD,
			.p_offset = MIB(8),
			.p_paddr = i * BYTES,
			.p_filesz = BYTES,
			.p_memsz = BYTES};
	put(fd, 0, &ehdr, sizeof(ehdr));
	put(fd, sizeof(ehdr), phdrs, NR * sizeof(*phdrs));
	put(fd, MIB(8), bytes, BYTES);
	free(bytes);
	free(phdrs);
}

static void headers_in_a_hole(int fd)
{
	Elf64_Ehdr ehdr = ehdr_of(PN_XNUM);
	const Elf64_Shdr first = {.sh_info = 1u << 20};

	ehdr.e_shoff = sizeof(ehdr);
	ehdr.e_phoff = 4096;
	ck_assert_int_eq(ftruncate(fd, (off_t)GIB(1)), 0);
	put(fd, 0, &ehdr, sizeof(ehdr));
	put(fd, sizeof(ehdr), &first, sizeof(first));
}

static void notes_without_end(int fd)
{
	const Elf64_Ehdr ehdr = ehdr_of(2);
	const Elf64_Phdr phdrs[] = {{.p_type = PT_NOTE, .p_offset = 4096, .p_filesz = TIB(16)},
		{.p_type = PT_LOAD, .p_offset = 4096, .p_filesz = 4096, .p_memsz = 4096}};

	ck_assert_int_eq(ftruncate(fd, (off_t)GIB(4)), 0);
	put(fd, 0, &ehdr, sizeof(ehdr));
	put(fd, sizeof(ehdr), phdrs, sizeof(phdrs));
}

/* A dump of ours of @ram bytes, all of it holes, with what @change makes of its trailer. */
static void ours(int fd, uint64_t ram, uint32_t role, uint32_t state, int32_t error)
{
	autofree unsigned char *head = NULL;
	struct dump_record *record = f.record;
	struct vmcore_trailer trailer = {.version = VMCORE_VERSION,
		.size = sizeof(trailer),
		.role = role,
		.error = error,
		.chunk = DUMP_CHUNK_MIN};
	struct vmcore_notes notes;
	uint64_t timeline;
	size_t bytes;

	ck_assert_int_eq(dump_layout_init(&record->layout, ram, GIB(3), GIB(4)), 0);
	record->options.chunk = DUMP_CHUNK_MIN;
	ck_assert_int_eq(vmcore_notes_create(record, &notes), 0);
	ck_assert_int_eq(vmcore_head_create(record, &notes, NULL, 0, &head, &bytes, &timeline), 0);
	free(notes.buf);
	memcpy(trailer.magic, VMCORE_TRAILER_MAGIC, sizeof(trailer.magic));
	atomic_store(&trailer.state, state);
	trailer.nr_segments = record->layout.nr_segments;
	trailer.file_size = dump_layout_file_size(&record->layout);
	trailer.head = record->layout.head;
	trailer.ram = ram;
	trailer.tail = record->layout.tail;
	trailer.places = vmcore_places(&record->layout, DUMP_CHUNK_MIN);
	memcpy(trailer.segments, record->layout.segments, sizeof(trailer.segments));
	strcpy(trailer.name, "guest-test-g0");
	ck_assert_int_eq(ftruncate(fd, (off_t)trailer.file_size), 0);
	put(fd, 0, head, bytes);
	put(fd, trailer.file_size - 4096, &trailer, sizeof(trailer));
}

static void the_largest_dump(int fd)
{
	ours(fd, TIB(64), VMCORE_ROLE_DUMP, VMCORE_STATE_COMPLETE, 0);
}

static void the_largest_partial_dump(int fd)
{
	ours(fd, TIB(64), VMCORE_ROLE_DUMP, VMCORE_STATE_DUMPING, 0);
}

static void the_largest_dump_that_was_not_begun(int fd)
{
	ours(fd, TIB(64), VMCORE_ROLE_DUMP, VMCORE_STATE_PREPARING, 0);
}

static void the_largest_region(int fd)
{
	ours(fd, TIB(64), VMCORE_ROLE_REGION, VMCORE_STATE_PREPARING, 0);
}

static void an_error_that_has_no_negative(int fd)
{
	ours(fd, MIB(4), VMCORE_ROLE_DUMP, VMCORE_STATE_FAILED, INT32_MIN);
}

static void an_error_that_is_none(int fd)
{
	ours(fd, MIB(4), VMCORE_ROLE_DUMP, VMCORE_STATE_FAILED, INT32_MAX);
}

static void half_a_dump(int fd)
{
	ours(fd, MIB(4), VMCORE_ROLE_DUMP, VMCORE_STATE_COMPLETE, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)MIB(4)), 0);
}

static void all_but_a_byte(int fd)
{
	ours(fd, MIB(4), VMCORE_ROLE_DUMP, VMCORE_STATE_COMPLETE, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)f.record->layout.head + (off_t)MIB(4) +
					       (off_t)f.record->layout.tail - 1),
		0);
}

static struct mini mini;

/* Kernel-virtual memory of 1 GiB in which each page is the same one, of zeros; its address. */
static uint64_t map_a_page_everywhere(void)
{
	const uint64_t gva = MINI_DIRECT + GIB(1), present = 3;
	const uint64_t directory = MINI_HOLE_END, table = directory + 4096, page = table + 4096;
	uint64_t at = MINI_IMAGE_PHYS;

	mini_init(&mini, MINI_6_12, true);
	for (int shift = 48; shift > 30; shift -= 9)
		at = ((uint64_t *)mini_phys(&mini, at))[gva >> shift & 511] & ~0xfffull;
	((uint64_t *)mini_phys(&mini, at))[gva >> 30 & 511] = directory | present;
	for (size_t i = 0; i < 512; i++) {
		((uint64_t *)mini_phys(&mini, directory))[i] = table | present;
		((uint64_t *)mini_phys(&mini, table))[i] = page | present;
	}
	return gva;
}

/* The small Linux's memory with a log as large as one can be, which is one page over and over. */
static void a_log_of_millions(int fd)
{
	struct {
		Elf64_Ehdr ehdr;
		Elf64_Phdr phdrs[3];
		Elf64_Nhdr note;
		char name[12], text[4096];
	} head = {.ehdr = ehdr_of(3), .note = {.n_namesz = 11}, .name = "VMCOREINFO"};
	const uint64_t descs = map_a_page_everywhere(), infos = descs + MIB(512);

	memcpy(mini_at(&mini, MINI_LOG + 0x40), &(uint32_t){LINUX_LOG_COUNT_BITS_MAX}, 4);
	memcpy(mini_at(&mini, MINI_LOG + 0x40 + 8), &descs, 8);
	memcpy(mini_at(&mini, MINI_LOG + 0x40 + 16), &infos, 8);
	memcpy(mini_at(&mini, MINI_LOG + 0x40 + 24), &(uint64_t){UINT64_MAX >> 2}, 8); /* head_id */
	memcpy(mini_at(&mini, MINI_LOG + 0x40 + 48), &(uint32_t){LINUX_LOG_SIZE_BITS_MAX}, 4);
	head.note.n_descsz = (uint32_t)strlen(mini.info);
	strcpy(head.text, mini.info);
	head.phdrs[0] = (Elf64_Phdr){.p_type = PT_NOTE,
		.p_offset = sizeof(head.ehdr) + sizeof(head.phdrs),
		.p_filesz = sizeof(head.note) + sizeof(head.name) + sizeof(head.text)};
	for (int i = 0; i < 2; i++)
		head.phdrs[1 + i] = (Elf64_Phdr){.p_type = PT_LOAD,
			.p_offset = KIB(64) + (uint64_t)i * MIB(1),
			.p_paddr = i ? MINI_HOLE_END : 0,
			.p_filesz = MIB(1),
			.p_memsz = MIB(1)};
	put(fd, 0, &head, sizeof(head));
	put(fd, KIB(64), mini.ram, MINI_RAM);
}

/* An LZ4 file whose table of blocks is a hole of gigabytes. */
static void a_table_of_holes(int fd)
{
	struct lz4_table_header header = {.version = LZ4_TABLE_VERSION,
		.size = sizeof(header),
		.image = {.head = MIB(2),
			.ram = 200000000ull * LZ4_CHUNK_MIN,
			.tail = 4096,
			.chunk = LZ4_CHUNK_MIN}};
	uint64_t bytes = lz4_table_bytes(&header.image), frame_off = GIB(2);
	struct lz4_table_footer footer = {.frame_off = frame_off};
	unsigned char frame[LZ4_SKIPPABLE_HEADER], start[LZ4_FRAME_HEADER];

	memcpy(header.magic, LZ4_TABLE_MAGIC, sizeof(header.magic));
	memcpy(footer.magic, LZ4_TABLE_MAGIC, sizeof(footer.magic));
	header.nr_blocks = lz4_image_blocks(&header.image);
	lz4_frame_build(lz4_image_size(&header.image), start);
	lz4_put32(frame, LZ4_TABLE_FRAME);
	lz4_put32(frame + 4, (uint32_t)(bytes + sizeof(footer)));
	put(fd, 0, start, sizeof(start));
	put(fd, frame_off, frame, sizeof(frame));
	put(fd, frame_off + sizeof(frame), &header, sizeof(header));
	put(fd, frame_off + sizeof(frame) + bytes, &footer, sizeof(footer));
}

static void a_frame_that_claims_much(int fd)
{
	unsigned char start[LZ4_FRAME_HEADER + LZ4_BLOCK_HEADER + 2] = {0};

	lz4_frame_build(TIB(64), start);
	lz4_put32(start + LZ4_FRAME_HEADER, LZ4_BLOCK_STORED | LZ4_BLOCK_MAX);
	ck_assert_int_eq(ftruncate(fd, (off_t)TIB(1)), 0);
	put(fd, 0, start, sizeof(start));
}

static void nothing(int fd)
{
	(void)fd;
}

static void noise(int fd)
{
	put(fd, 0, "no dump at all", 14);
}

/* ---- the commands --------------------------------------------------------------------------------------- */

struct command_line {
	const char *name;
	const char *args[8]; /* behind "dump" */
};

static const struct command_line command_lines[] = {
	{"list", {"list", f.dir}},
	{"info", {"info", path}},
	{"info --json", {"info", path, "--json", "--all"}},
	{"read", {"read", path, "--phys=0", "--len=4096", "--output", output}},
	{"read of a TiB", {"read", path, "--phys=0", "--len=0x10000000000", "--output", output}},
	{"dmesg", {"dmesg", path}},
	{"bt", {"bt", path}},
	{"save elf", {"save", path, saved, "--format=elf"}},
	{"save lz4", {"save", path, saved, "--format=lz4"}},
	{"save virtual", {"save", path, saved, "--format=virtual"}},
};
#define NR_COMMANDS ARRAY_LEN(command_lines)

/* The exit code of each command, as digits in the order above (a = 10); and what "info" must say, on whichever way. */
static const struct {
	const char *name;
	void (*make)(int fd);
	const char *codes;
	const char *words;
} files[] = {
	{"a segment beyond the end", a_segment_beyond_the_end, "0666666666",
		"the file is shorter than its headers say"},
	{"a segment of holes", a_segment_of_holes, "00000aa0aa", ""},
	{"a segment of zeros", a_segment_of_zeros, "00000aa0aa", ""},
	{"many segments of the same bytes", many_segments_of_the_same_bytes, "00002aa0aa", ""},
	{"headers in a hole", headers_in_a_hole, "0333333333", ""},
	{"notes without end", notes_without_end, "00002aa666", "its notes are incomplete"},
	{"the largest dump", the_largest_dump, "00002aa0aa", ""},
	{"the largest partial dump", the_largest_partial_dump, "00002aa666", ""},
	{"the largest dump that was not begun", the_largest_dump_that_was_not_begun, "0666266666", ""},
	{"the largest region", the_largest_region, "00002aa666", ""},
	{"half a dump", half_a_dump, "0660266666", "the file is shorter than its headers say"},
	{"a dump but for its last byte", all_but_a_byte, "00002aa666", "its trailer is missing"},
	{"an error that has no negative", an_error_that_has_no_negative, "00002aa666", "given up because"},
	{"an error that is none", an_error_that_is_none, "00002aa666", "given up because"},
	{"a log of millions", a_log_of_millions, "00002a00a0", ""},
	{"a table of holes", a_table_of_holes, "0333333333", ""},
	{"a frame that claims much", a_frame_that_claims_much, "0333333333", ""},
	{"nothing", nothing, "0333333333", "no crash dump"},
	{"noise", noise, "0333333333", "no crash dump"},
};

/* Plays minivmm; what it says goes to @fd. */
static void run_command(const struct command_line *line, int fd)
{
	char *argv[12] = {strdup("dump")};
	int argc = 1;

	for (size_t i = 0; i < ARRAY_LEN(line->args) && line->args[i]; i++)
		argv[argc++] = strdup(line->args[i]);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	/* a command that goes on and on would fill the memory of this machine */
	setrlimit(RLIMIT_CPU, &(struct rlimit){SECONDS + 1, SECONDS + 2});
	alarm(ALARM);
	_exit(command_dump(argc, argv));
}

static double seconds_of(const struct rusage *usage)
{
	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
	       (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

/* Ends the test if the command does not end soon, by itself, and with @code. */
static void check_command(size_t file, const struct command_line *line, char code)
{
	int want = code == 'a' ? 10 : code - '0';
	char *text = calloc(1, 65536);
	int fd = memfd_create("said", MFD_CLOEXEC);
	struct rusage usage;
	pid_t child;
	int status;

	ck_assert(text && fd >= 0);
	child = fork();
	if (!child)
		run_command(line, fd);
	ck_assert_int_eq(wait4(child, &status, 0, &usage), child);
	ck_assert_int_ge(pread(fd, text, 65535, 0), 0);
	ck_assert_msg(WIFEXITED(status), "%s, %s: %s\n%.2000s", files[file].name, line->name,
		strsignal(WTERMSIG(status)), text);
	ck_assert_msg(WEXITSTATUS(status) == want, "%s, %s: exit code %d, not %d\n%.2000s",
		files[file].name, line->name, WEXITSTATUS(status), want, text);
	ck_assert_msg(seconds_of(&usage) < SECONDS, "%s, %s: took %.1f s of CPU", files[file].name,
		line->name, seconds_of(&usage));
	ck_assert_msg(
		!want || strstr(text, "minivmm: "), "%s, %s: says nothing", files[file].name, line->name);
	ck_assert_msg(strcmp(line->name, "info") || strstr(text, files[file].words),
		"%s: '%s' is not in\n%.2000s", files[file].name, files[file].words, text);
	close(fd);
	free(text);
}

static void remove_saved(void)
{
	static const char *const names[] = {"x.vmcore", "x.vmcore.lz4", "x.virtual"};
	char name[160];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(name, sizeof(name), "%s/%s", saved, names[i]);
		unlink(name);
	}
	unlink(output);
}

START_TEST(every_command_ends_soon_with_a_file_that_lies)
{
	int fd;

	fixture_init(&f, MIB(4), GIB(3), 1);
	snprintf(path, sizeof(path), "%s/x.vmcore", f.dir);
	snprintf(saved, sizeof(saved), "%s/saved", f.dir);
	snprintf(output, sizeof(output), "%s/output", f.dir);
	ck_assert_int_eq(mkdir(saved, 0700), 0);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	files[_i].make(fd);
	close(fd);
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		check_command((size_t)_i, &command_lines[i], files[_i].codes[i]);
		remove_saved();
	}
	rmdir(saved);
	fixture_fini(&f);
}
END_TEST

Suite *suite_hostile_dumps(void)
{
	Suite *s = suite_create("hostile dumps");
	TCase *tc = tcase_create("files that lie");

	tcase_set_timeout(tc, 600);
	tcase_add_loop_test(tc, every_command_ends_soon_with_a_file_that_lies, 0, (int)ARRAY_LEN(files));
	suite_add_tcase(s, tc);
	return s;
}
