/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_dump_output.c - "dump read --output": never writes to a file of the dump that it reads, replaces
 * another one only when told to, and leaves everything as it was when it fails.
 */
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"

#include "dump/base/io.h"
#include "dump/lz4/lz4_reader.h"
#include "dump/record/choices.h"
#include "vmm/cli/commands.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEED 31
#define OK 0
#define HOST 1
#define USAGE 2
#define DUMP 6

static struct dump_fixture f;

/* The dumps there are: which files they consist of.  The first is the one that is named. */
static const struct dump {
	const char *sink;
	unsigned chunks; /* the engine ends after so many; 0 = it ends by itself */
	const char *files[2];
} dumps[] = {
	{"none", 0, {"guest-test-g0.vmcore"}},
	{"lz4", 0, {"guest-test-g0.vmcore.lz4"}},
	{"none", 3, {"guest-test-g0.vmcore.partial", "guest-test-g0.region.partial"}},
	{"none", 3, {"guest-test-g0.region.partial", "guest-test-g0.vmcore.partial"}},
	{"lz4", 3, {"guest-test-g0.vmcore.lz4.partial", "guest-test-g0.region.partial"}},
	{"lz4", 3, {"guest-test-g0.region.partial", "guest-test-g0.vmcore.lz4.partial"}},
};

static unsigned left;

static void stop(struct dump_engine *engine, enum dump_notice notice)
{
	(void)engine;
	if (notice == DUMP_NOTICE_PROGRESS && left && !--left)
		_exit(0);
}

static void make(const struct dump *dump)
{
	pid_t child;
	int status;

	fixture_init(&f, MIB(4), GIB(3), 1);
	fixture_fill(&f, 0, 1024, SEED);
	f.record->options.chunk = KIB(64);
	f.record->options.sink = !strcmp(dump->sink, "lz4");
	child = fork();
	if (!child) {
		struct dump_engine engine = fixture_engine(&f);

		engine.proc_fd = publish_proc_open(); /* of this process */
		engine.notify = stop;
		left = dump->chunks;
		_exit(dump_engine_run(&engine) ? 1 : 0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

static char *path_of(const char *name, char path[192])
{
	snprintf(path, 192, "%s/%s", f.dir, name);
	return path;
}

/* Reads @len bytes of @dump into @output, which is a name in the directory or a path.  The exit code. */
static int read_to(const char *dump, const char *output, const char *len, bool force)
{
	char from[192], to[192];
	pid_t child = fork();
	int status;

	if (!child) {
		char *argv[] = {strdup("dump"), strdup("read"), path_of(dump, from),
			strdup("--phys=0x1000"), strdup(len), strdup("--output"),
			output[0] == '/' ? strdup(output) : path_of(output, to),
			force ? strdup("--force") : NULL, NULL};

		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		_exit(command_dump(force ? 8 : 7, argv));
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* All bytes of a file of the directory; NULL if it is not there. */
static unsigned char *contents(const char *name, size_t *ret_len)
{
	int fd = openat(f.dir_fd, name, O_RDONLY | O_CLOEXEC);
	unsigned char *bytes;
	struct stat st;

	if (fd < 0)
		return NULL;
	ck_assert_int_eq(fstat(fd, &st), 0);
	*ret_len = (size_t)st.st_size;
	bytes = malloc(*ret_len + 1);
	ck_assert_ptr_nonnull(bytes);
	ck_assert_int_eq(io_pread_full(fd, bytes, *ret_len, 0), 0);
	close(fd);
	return bytes;
}

static void check_unchanged(const char *name, const unsigned char *before, size_t len)
{
	size_t now_len = 0;
	unsigned char *now = contents(name, &now_len);

	ck_assert_msg(now && now_len == len && !memcmp(now, before, len), "%s has changed", name);
	free(now);
}

/* Page 1 of the guest, which is what read_to() reads first. */
static void check_page(const char *name)
{
	unsigned char want[4096];
	size_t len = 0;
	unsigned char *have = contents(name, &len);
	struct stat st;

	fixture_page(1, SEED, want);
	ck_assert(have && len == 4096);
	ck_assert_mem_eq(have, want, 4096);
	ck_assert_int_eq(fstatat(f.dir_fd, name, &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	free(have);
}

static unsigned count_names(void)
{
	return fixture_nr_files(&f);
}

START_TEST(a_file_of_the_dump_is_never_written_to_by_any_name)
{
	const struct dump *dump = &dumps[_i];

	make(dump);
	for (size_t i = 0; i < 2 && dump->files[i]; i++) {
		size_t len = 0;
		unsigned char *before = contents(dump->files[i], &len);
		char path[192];

		ck_assert_msg(before, "no %s", dump->files[i]);
		ck_assert_int_eq(linkat(f.dir_fd, dump->files[i], f.dir_fd, "hard", 0), 0);
		ck_assert_int_eq(symlinkat(path_of(dump->files[i], path), f.dir_fd, "soft"), 0);
		for (int force = 0; force < 2; force++) {
			ck_assert_int_eq(
				read_to(dump->files[0], dump->files[i], "--len=4096", force), USAGE);
			ck_assert_int_eq(read_to(dump->files[0], "hard", "--len=4096", force), USAGE);
			ck_assert_int_eq(read_to(dump->files[0], "soft", "--len=4096", force), USAGE);
			check_unchanged(dump->files[i], before, len);
		}
		unlinkat(f.dir_fd, "hard", 0);
		unlinkat(f.dir_fd, "soft", 0);
		free(before);
	}
	fixture_fini(&f);
}
END_TEST

START_TEST(another_file_is_replaced_only_by_force_and_only_when_all_is_read)
{
	static const char precious[] = "precious";
	const struct dump *dump = &dumps[_i];
	unsigned names;
	int fd;

	make(dump);
	ck_assert_int_eq(read_to(dump->files[0], "new", "--len=4096", false), OK);
	check_page("new");
	fd = openat(f.dir_fd, "old", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_eq(io_write_full(fd, precious, sizeof(precious)), 0);
	close(fd);
	names = count_names();
	ck_assert_int_eq(read_to(dump->files[0], "old", "--len=4096", false), USAGE);
	check_unchanged("old", (const unsigned char *)precious, sizeof(precious));
	ck_assert_int_eq(read_to(dump->files[0], "old", "--len=4096", true), OK);
	check_page("old");
	ck_assert_uint_eq(count_names(), names);
	fixture_fini(&f);
}
END_TEST

/* The memory behind the chunks that were done is in no file. */
START_TEST(what_cannot_be_read_to_its_end_leaves_no_file_and_the_old_one)
{
	static const char precious[] = "precious";
	unsigned names;
	int fd;

	make(&dumps[2]);
	unlinkat(f.dir_fd, dumps[2].files[1], 0);
	fd = openat(f.dir_fd, "old", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_eq(io_write_full(fd, precious, sizeof(precious)), 0);
	close(fd);
	names = count_names();
	ck_assert_int_eq(read_to(dumps[2].files[0], "new", "--len=0x200000", false), DUMP);
	ck_assert_int_eq(read_to(dumps[2].files[0], "old", "--len=0x200000", true), DUMP);
	check_unchanged("old", (const unsigned char *)precious, sizeof(precious));
	ck_assert_uint_eq(count_names(), names);
	ck_assert_int_eq(read_to(dumps[2].files[0], "new", "--len=4096", false), OK);
	check_page("new");
	fixture_fini(&f);
}
END_TEST

START_TEST(what_is_no_regular_file_is_written_to_or_refused)
{
	make(&dumps[0]);
	ck_assert_int_eq(read_to(dumps[0].files[0], "/dev/null", "--len=4096", false), OK);
	ck_assert_int_eq(read_to(dumps[0].files[0], "/dev/full", "--len=4096", false), HOST);
	ck_assert_int_eq(read_to(dumps[0].files[0], "/tmp", "--len=4096", true), HOST);
	ck_assert_int_eq(read_to(dumps[0].files[0], "/no/such/directory", "--len=4096", false), HOST);
	fixture_fini(&f);
}
END_TEST

/* Runs "dump COMMAND FILE ..."; what it says is in @said.  The exit code. */
static int run_said(const char *command, const char *more, char *said, size_t size)
{
	int fd = memfd_create("said", MFD_CLOEXEC), status;
	char from[192];
	pid_t child = fork();
	ssize_t n;

	if (!child) {
		char *argv[] = {strdup("dump"), strdup(command), path_of(dumps[1].files[0], from),
			more ? strdup(more) : NULL, NULL};

		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		_exit(command_dump(more ? 4 : 3, argv));
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	n = pread(fd, said, size - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	close(fd);
	return WEXITSTATUS(status);
}

/* Flips a bit in the middle of the block that holds @ram_off of the guest's memory. */
static void damage(uint64_t ram_off)
{
	int fd = openat(f.dir_fd, dumps[1].files[0], O_RDWR | O_CLOEXEC);
	struct lz4_reader *reader;
	struct lz4_block block;
	unsigned char byte;
	uint64_t at;

	ck_assert_int_eq(lz4_reader_open(fd, 0, &reader), 0);
	ck_assert_int_eq(lz4_reader_block(reader, f.layout.head + ram_off, &block), 0);
	lz4_reader_close(reader);
	at = block.file_off + 4 + block.size / 2;
	ck_assert_int_eq(io_pread_full(fd, &byte, 1, at), 0);
	byte ^= 16;
	ck_assert_int_eq(io_pwrite_full(fd, &byte, 1, at), 0);
	close(fd);
}

START_TEST(a_flipped_bit_is_told_by_every_command_and_costs_one_chunk)
{
	static char said[65536];

	make(&dumps[1]);
	ck_assert_int_eq(run_said("info", NULL, said, sizeof(said)), OK);
	ck_assert_ptr_null(strstr(said, "damaged"));
	damage(5 * KIB(64) + 100);
	ck_assert_int_eq(run_said("info", NULL, said, sizeof(said)), DUMP);
	ck_assert_msg(strstr(said, "0x50000            0x60000"), "%s", said);
	ck_assert_msg(strstr(said, "16 of its pages are damaged"), "%s", said);
	ck_assert_int_eq(run_said("info", "--json", said, sizeof(said)), DUMP);
	ck_assert_msg(strstr(said, "\"damaged_pages\": 16"), "%s", said);
	ck_assert_int_eq(run_said("save", f.dir, said, sizeof(said)), DUMP);
	ck_assert_msg(strstr(said, "0x50000 to 0x60000"), "%s", said);
	ck_assert(!fixture_exists(&f, "guest-test-g0.vmcore"));
	/* page 1 is of another chunk */
	ck_assert_int_eq(read_to(dumps[1].files[0], "new", "--len=0x4f000", false), OK);
	ck_assert_int_eq(read_to(dumps[1].files[0], "more", "--len=0x50000", false), DUMP);
	ck_assert(!fixture_exists(&f, "more"));
	fixture_fini(&f);
}
END_TEST

Suite *suite_dump_output(void)
{
	Suite *s = suite_create("dump output");
	TCase *tc = tcase_create("read");
	int nr = (int)ARRAY_LEN(dumps);

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_file_of_the_dump_is_never_written_to_by_any_name, 0, nr);
	tcase_add_loop_test(tc, another_file_is_replaced_only_by_force_and_only_when_all_is_read, 0, nr);
	tcase_add_test(tc, what_cannot_be_read_to_its_end_leaves_no_file_and_the_old_one);
	tcase_add_test(tc, a_flipped_bit_is_told_by_every_command_and_costs_one_chunk);
	tcase_add_test(tc, what_is_no_regular_file_is_written_to_or_refused);
	suite_add_tcase(s, tc);
	return s;
}
