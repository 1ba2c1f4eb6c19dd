/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_dump_cli.c - "minivmm dump" on dumps of real guests: what it lists and tells, the bytes it
 * reads, what it makes of a dump whose makers were killed, and what it refuses to remove.
 */
#include "tests/kvm/run.h"
#include "tests/kvm/suites.h"
#include "tests/kvm/vmcore.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_ROOM (2 * MIB) /* docs/vmcore.md: RAM at guest-physical 0 begins here */

static struct output output; /* large; each test is a process of its own */

#define said(run, text) run_assert(run, strstr(output.out, text), "'%s' is not in:\n%s", text, output.out)
#define exits(run, want)                                                                                   \
	run_assert(run, output.code == (want), "exit code %d, not %d:\n%s%s", output.code, want,           \
		output.out, output.err)

/* Crashes a guest of 64 MiB to its end; the path of the dump in @path. */
static void make_dump(struct run *run, char *path, size_t size)
{
	run_start(run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:40,text:20",
			       .recovery = "scenario=ready-poweroff",
			       .vcpus = 2});
	run_ends(run, CODE_OK);
	run_dump_path(run, 0, path, size);
}

START_TEST(a_dump_is_listed_with_its_guest_reason_and_state)
{
	char path[512];
	struct run run;

	NEEDS_KVM();
	make_dump(&run, path, sizeof(path));
	run_minivmm(&run, &output, "dump", "list", run.dump_dir, NULL);
	exits(&run, CODE_OK);
	said(&run, "complete");
	said(&run, run.name);
	said(&run, "panic");
	said(&run, path);
	run_minivmm(&run, &output, "dump", "list", run.dump_dir, "--json", NULL);
	exits(&run, CODE_OK);
	said(&run, "\"state\": \"complete\"");
	said(&run, "\"generation\": 0");
	run_minivmm(&run, &output, "dump", "list", "no/such/directory", NULL);
	exits(&run, CODE_CONFIG);
	run_finish(&run);
}
END_TEST

START_TEST(info_tells_of_the_panic_its_timeline_and_registers)
{
	char path[512];
	struct run run;

	NEEDS_KVM();
	make_dump(&run, path, sizeof(path));
	run_minivmm(&run, &output, "dump", "info", path, NULL);
	exits(&run, CODE_OK);
	said(&run, "null pointer dereference");
	said(&run, "first-release");
	said(&run, "cr3 0x");
	said(&run, "1 more vCPU");
	run_minivmm(&run, &output, "dump", "info", path, "--json", NULL);
	exits(&run, CODE_OK);
	said(&run, "\"reason\": \"panic\"");
	said(&run, "\"total\": 16384");
	said(&run, "\"recovery-run\": ");
	run_finish(&run);
}
END_TEST

/* Bytes of a file, from @off on, must be those of another. */
static void check_same_bytes(struct run *run, const char *path, const char *dump, off_t off, size_t len)
{
	unsigned char *got = malloc(len + 1), *want = malloc(len);
	int fd = open(path, O_RDONLY | O_CLOEXEC), dump_fd = open(dump, O_RDONLY | O_CLOEXEC);

	ck_assert(fd >= 0 && dump_fd >= 0);
	ck_assert_int_eq(pread(dump_fd, want, len, off), (ssize_t)len);
	run_assert(run, read(fd, got, len + 1) == (ssize_t)len, "%s has not %zu bytes", path, len);
	run_assert(run, !memcmp(got, want, len), "%s is not what is in the dump", path);
	close(fd);
	close(dump_fd);
	free(got);
	free(want);
}

START_TEST(read_gives_the_bytes_of_the_guest_and_nothing_else)
{
	char path[512], out[512];
	struct run run;

	NEEDS_KVM();
	make_dump(&run, path, sizeof(path));
	snprintf(out, sizeof(out), "%s/memory", run.dir);
	run_minivmm(&run, &output, "dump", "read", path, "--phys", "0x1fffff", "--len", "3000000",
		"--output", out, NULL);
	exits(&run, CODE_OK);
	check_same_bytes(&run, out, path, (off_t)HEAD_ROOM + 0x1fffff, 3000000);
	run_minivmm(&run, &output, "dump", "read", path, "--phys", "0x3ffffff", "--len", "2", "--output",
		out, NULL);
	exits(&run, CODE_USAGE);
	run_minivmm(
		&run, &output, "dump", "read", path, "--phys", "-1", "--len", "2", "--output", out, NULL);
	exits(&run, CODE_USAGE);
	run_minivmm(&run, &output, "dump", "read", run.console, "--phys", "0", "--len", "2", "--output",
		out, NULL);
	exits(&run, CODE_CONFIG);
	run_finish(&run);
}
END_TEST

START_TEST(rm_removes_dumps_and_nothing_else)
{
	char path[512], other[512];
	struct run run;
	FILE *file;

	NEEDS_KVM();
	make_dump(&run, path, sizeof(path));
	snprintf(other, sizeof(other), "%s/diary.vmcore", run.dir);
	file = fopen(other, "we");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "dear diary\n");
	fclose(file);
	run_minivmm(&run, &output, "dump", "rm", other, path, NULL);
	exits(&run, CODE_CONFIG);
	ck_assert_int_eq(access(other, F_OK), 0);
	run_assert(&run, !run_files(&run, "", NULL, 0), "the dump is still there");
	run_minivmm(&run, &output, "dump", "rm", path, NULL);
	exits(&run, CODE_CONFIG);
	run_finish(&run);
}
END_TEST

/* A dump in mid-work: its dumper is stopped, minivmm is dead.  What is returned is the dumper. */
static void stop_in_mid_dump(struct run *run, struct process *dumper)
{
	run_start(run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:60,text:15,freed:10",
			       .recovery = "scenario=idle",
			       .memory = 1024});
	run_await(run, "run", 0);
	run_find_dumper(run, dumper);
	run_await(run, "dump-linked", 0);
	ck_assert_int_eq(process_signal(dumper, SIGSTOP), 0);
	/* nothing more comes to the console after this */
	run_await(run, "ready", 1);
	run_signal(run, SIGKILL);
	run_wait(run);
}

START_TEST(a_dump_whose_makers_were_killed_is_salvaged_and_before_that_left_alone)
{
	char dump[512], region[512], final[512], memory[512];
	struct process dumper;
	struct run run;

	NEEDS_KVM();
	stop_in_mid_dump(&run, &dumper);
	run_assert(&run,
		run_files(&run, ".vmcore.partial", dump, sizeof(dump)) == 1 &&
			run_files(&run, ".region.partial", region, sizeof(region)) == 1,
		"the dumper was not stopped in the middle of its work");
	snprintf(memory, sizeof(memory), "%s/memory", run.dir);

	run_minivmm(&run, &output, "dump", "list", run.dump_dir, NULL);
	said(&run, "in progress");
	run_minivmm(&run, &output, "dump", "salvage", dump, NULL);
	exits(&run, CODE_DUMP);
	run_minivmm(&run, &output, "dump", "rm", "--force", dump, NULL);
	exits(&run, CODE_DUMP);
	run_minivmm(&run, &output, "dump", "read", region, "--phys", "0x200000", "--len", "0x100000",
		"--output", memory, NULL);
	exits(&run, CODE_OK);

	ck_assert_int_eq(process_signal(&dumper, SIGKILL), 0);
	ck_assert_int_eq(process_wait_gone(&dumper, RUN_LIMIT_MS), 0);
	process_close(&dumper);
	run_minivmm(&run, &output, "dump", "list", run.dump_dir, NULL);
	said(&run, "partial");
	run_minivmm(&run, &output, "dump", "rm", dump, NULL);
	exits(&run, CODE_DUMP);
	run_minivmm(&run, &output, "dump", "salvage", region, "--json", NULL);
	exits(&run, CODE_OK);
	said(&run, "\"in_place\": true");
	run_assert(&run, !run_files(&run, ".partial", NULL, 0), "names of an unfinished dump are left");
	run_dump_path(&run, 0, final, sizeof(final));
	run_judge(&run, final, 0, 0, NULL);
	check_same_bytes(&run, memory, final, (off_t)HEAD_ROOM + 0x200000, 0x100000);
	run_finish(&run);
}
END_TEST

START_TEST(a_dump_that_is_moved_is_whole_where_it_is_and_gone_where_it_was)
{
	char path[512], dir[512], moved[1024];
	struct run run;

	NEEDS_KVM();
	make_dump(&run, path, sizeof(path));
	snprintf(dir, sizeof(dir), "%s/moved", run.dir);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	snprintf(moved, sizeof(moved), "%s%s", dir, strrchr(path, '/'));
	run_minivmm(&run, &output, "dump", "save", path, dir, "--move", "--format", "virtual", NULL);
	run_assert(&run, output.code != CODE_OK && !access(path, F_OK), "moved, and not compared");
	run_minivmm(&run, &output, "dump", "save", path, dir, "--verify", "--pace", "rate=200M", NULL);
	exits(&run, CODE_OK);
	ck_assert_int_eq(access(path, F_OK), 0);
	/* the copy is there, and is the same */
	run_minivmm(&run, &output, "dump", "save", path, dir, "--move", "--json", NULL);
	exits(&run, CODE_OK);
	said(&run, moved);
	run_assert(&run, access(path, F_OK), "%s is still there", path);
	run_judge(&run, moved, 0, 0, NULL);
	ck_assert(!unlink(moved) && !rmdir(dir));
	run_finish(&run);
}
END_TEST

/* A pace that minds a guest, which it finds by its control socket. */
START_TEST(a_pace_minds_a_running_guest_with_disks)
{
	char path[512], dir[512], image[512], more[1024], moved[1024];
	struct run run, other;
	int fd;

	NEEDS_KVM();
	make_dump(&run, path, sizeof(path));
	snprintf(dir, sizeof(dir), "%s/moved", run.dir);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	snprintf(image, sizeof(image), "%s/image", run.dir);
	fd = open(image, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	ck_assert(fd >= 0 && !ftruncate(fd, (off_t)MIB));
	close(fd);
	snprintf(more, sizeof(more), "[disk data]\npath = %s\n", image);
	run_start(&other, &(struct guest){.cmdline = "scenario=idle", .more = more});
	run_await(&other, "run", 0);
	run_minivmm(&run, &output, "dump", "save", path, dir, "--pace", "guest-first", NULL);
	exits(&run, CODE_USAGE);
	run_minivmm(&run, &output, "dump", "save", path, dir, "--pace", "rate=9M", "--beside", other.name,
		NULL);
	exits(&run, CODE_USAGE);
	run_minivmm(&run, &output, "dump", "save", path, dir, "--pace", "guest-first", "--beside", "nobody",
		NULL);
	exits(&run, CODE_NOT_RUNNING);
	run_minivmm(&run, &output, "dump", "save", path, dir, "--move", "--pace", "guest-first", "--beside",
		other.name, NULL);
	exits(&run, CODE_OK);
	run_signal(&other, SIGTERM);
	run_wait(&other);
	run_finish(&other);
	snprintf(moved, sizeof(moved), "%s%s", dir, strrchr(path, '/'));
	run_judge(&run, moved, 0, 0, NULL);
	ck_assert(!unlink(moved) && !rmdir(dir) && !unlink(image));
	run_finish(&run);
}
END_TEST

START_TEST(a_wrong_command_line_is_told_from_a_failure)
{
	struct run run;

	run_prepare(&run);
	run_minivmm(&run, &output, "dump", NULL);
	exits(&run, CODE_USAGE);
	run_minivmm(&run, &output, "dump", "--help", NULL);
	exits(&run, CODE_OK);
	said(&run, "salvage");
	run_minivmm(&run, &output, "dump", "frobnicate", NULL);
	exits(&run, CODE_USAGE);
	run_minivmm(&run, &output, "dump", "info", NULL);
	exits(&run, CODE_USAGE);
	run_minivmm(&run, &output, "dump", "info", "--keep", "x", NULL);
	exits(&run, CODE_USAGE);
	run_minivmm(&run, &output, "dump", "save", "x", ".", "--pace", "slowly", NULL);
	exits(&run, CODE_USAGE);
	run_minivmm(&run, &output, "dump", "info", "no-such-file", NULL);
	exits(&run, CODE_CONFIG);
	run_finish(&run);
}
END_TEST

/* Each command on each kind of file that is no dump says what is wrong, at once, and touches nothing. */
START_TEST(what_is_no_dump_is_told_so_and_left_alone)
{
	static const char *const kinds[] = {"empty", "directory", "fifo", "link"};
	struct run run;

	run_prepare(&run);
	for (int kind = 0; kind < 4; kind++) {
		char path[512];
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s.vmcore.partial", run.dir, kinds[kind]);
		ck_assert_int_eq(kind == 0   ? mknod(path, S_IFREG | 0600, 0)
				 : kind == 1 ? mkdir(path, 0700)
				 : kind == 2 ? mkfifo(path, 0600)
					     : symlink("link.vmcore.partial", path),
			0);
		run_minivmm(&run, &output, "dump", "info", path, NULL);
		exits(&run, CODE_CONFIG);
		run_minivmm(&run, &output, "dump", "read", path, "--phys", "0", "--len", "1", NULL);
		exits(&run, CODE_CONFIG);
		run_minivmm(&run, &output, "dump", "salvage", path, NULL);
		exits(&run, CODE_CONFIG);
		run_minivmm(&run, &output, "dump", "rm", "--force", path, NULL);
		exits(&run, CODE_CONFIG);
		ck_assert_int_eq(lstat(path, &st), 0);
		ck_assert_int_eq(kind == 1 ? rmdir(path) : unlink(path), 0);
	}
	run_finish(&run);
}
END_TEST

Suite *suite_dump_cli(void)
{
	Suite *suite = suite_create("dump-cli");
	TCase *tcase = run_tcase(suite, "commands");

	tcase_add_test(tcase, a_dump_is_listed_with_its_guest_reason_and_state);
	tcase_add_test(tcase, info_tells_of_the_panic_its_timeline_and_registers);
	tcase_add_test(tcase, read_gives_the_bytes_of_the_guest_and_nothing_else);
	tcase_add_test(tcase, rm_removes_dumps_and_nothing_else);
	tcase_add_test(tcase, a_dump_whose_makers_were_killed_is_salvaged_and_before_that_left_alone);
	tcase_add_test(tcase, a_dump_that_is_moved_is_whole_where_it_is_and_gone_where_it_was);
	tcase_add_test(tcase, a_pace_minds_a_running_guest_with_disks);
	tcase_add_test(tcase, what_is_no_dump_is_told_so_and_left_alone);
	tcase_add_test(tcase, a_wrong_command_line_is_told_from_a_failure);
	return suite;
}
