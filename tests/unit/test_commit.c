/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_commit.c - the one order in which a dump gets its name, on tmpfs and on a disk, and what is left when
 * any of its calls fails.
 */
#include "tests/unit/io_recorder.h"
#include "tests/unit/suites.h"

#include "dump/files/commit.h"
#include "dump/files/publish.h"
#include "dump/format/tail.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FINAL "g.vmcore"
#define DUMP "g.vmcore.partial"
#define REGION "g.region.partial"

/* A dump in progress and its region, in a directory. */
struct files {
	char dir[64];
	int dir_fd, proc_fd, fd, region_fd;
	struct commit_removal removals[2];
	struct commit commit;
	unsigned sealed, told, named;
};

static int open_new(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, MIB(40)), 0);
	return fd;
}

static int on_seal(void *arg)
{
	struct files *files = arg;

	files->sealed++;
	return io_pwrite_full(files->fd, "complete", 8, 0);
}

static void on_progress(void *arg)
{
	((struct files *)arg)->told++;
}

static bool is_there(const struct files *files, const char *name)
{
	return !faccessat(files->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

static void on_named(void *arg)
{
	struct files *files = arg;

	files->named++;
	ck_assert(is_there(files, FINAL) && is_there(files, DUMP) && is_there(files, REGION));
}

/* On a disk or in memory.  False if the host has none. */
static bool setup(struct files *files, bool on_disk)
{
	memset(files, 0, sizeof(*files));
	snprintf(files->dir, sizeof(files->dir), "%s/minivmm-commit-XXXXXX",
		on_disk ? "/var/tmp" : "/dev/shm");
	ck_assert_ptr_nonnull(mkdtemp(files->dir));
	files->dir_fd = open(files->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	files->proc_fd = publish_proc_open();
	ck_assert(files->dir_fd >= 0 && files->proc_fd >= 0);
	files->fd = open_new(files->dir_fd, DUMP);
	files->region_fd = open_new(files->dir_fd, REGION);
	files->removals[0] = (struct commit_removal){files->dir_fd, REGION, -1};
	files->removals[1] = (struct commit_removal){files->dir_fd, DUMP, files->fd};
	files->commit = (struct commit){
		.fd = files->fd,
		.proc_fd = files->proc_fd,
		.dir_fd = files->dir_fd,
		.name = FINAL,
		.seal = on_seal,
		.progress = on_progress,
		.named = on_named,
		.arg = files,
		.removals = files->removals,
		.nr_removals = 2,
	};
	if (on_disk != dump_tail_is_shm(files->dir_fd))
		return true;
	printf("SKIP %s is %s\n", files->dir, on_disk ? "in memory" : "on a disk");
	return false;
}

static void fini(struct files *files)
{
	static const char *const names[] = {FINAL, DUMP, REGION};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unlinkat(files->dir_fd, names[i], 0);
	close(files->fd);
	close(files->region_fd);
	close(files->proc_fd);
	close(files->dir_fd);
	ck_assert_int_eq(rmdir(files->dir), 0);
}

START_TEST(what_is_durable_gets_its_name_and_only_then_something_goes)
{
	bool on_disk = _i;
	enum commit_step step = COMMIT_DATA;
	struct files files;

	if (setup(&files, on_disk)) {
		io_recorder_start(IO_NR_CALLS, 0, 0);
		ck_assert_int_eq(commit(&files.commit, &step), 0);
		ck_assert_str_eq(io_recorder_stop(),
			on_disk ? "sync data sync name dir remove" : "data name remove");
		ck_assert_int_eq(step, COMMIT_DONE);
		ck_assert(is_there(&files, FINAL) && !is_there(&files, DUMP) && !is_there(&files, REGION));
		ck_assert_uint_eq(files.named, 1);
		ck_assert_uint_eq(files.told, on_disk ? 2 : 0); /* slices of 40 MiB */
		/* done once more by who did not see the end of it */
		ck_assert_int_eq(commit(&(struct commit){.fd = files.fd,
						.proc_fd = files.proc_fd,
						.dir_fd = files.dir_fd,
						.name = FINAL,
						.removals = files.removals,
						.nr_removals = 2},
					 NULL),
			0);
		ck_assert(is_there(&files, FINAL));
	}
	fini(&files);
}
END_TEST

/* Each call of it, made to fail. */
static const struct {
	enum io_call call;
	unsigned nth;
	bool on_disk;
	enum commit_step step;
} faults[] = {
	{IO_SYNC_RANGE, 1, true, COMMIT_DATA},
	{IO_SYNC_RANGE, 2, true, COMMIT_DATA},
	{IO_SYNC, 1, true, COMMIT_DATA},
	{IO_PWRITE, 1, true, COMMIT_SEAL},
	{IO_SYNC, 2, true, COMMIT_SEAL},
	{IO_LINK, 1, true, COMMIT_NAME},
	{IO_SYNC_DIR, 1, true, COMMIT_DIRECTORY},
	{IO_UNLINK, 1, true, COMMIT_REMOVAL},
	{IO_UNLINK, 2, true, COMMIT_REMOVAL},
	{IO_PWRITE, 1, false, COMMIT_SEAL},
	{IO_LINK, 1, false, COMMIT_NAME},
	{IO_UNLINK, 1, false, COMMIT_REMOVAL},
	{IO_UNLINK, 2, false, COMMIT_REMOVAL},
};

START_TEST(whatever_call_fails_ends_it_and_nothing_goes_before_its_time)
{
	enum commit_step step = COMMIT_DONE;
	struct files files;
	char why[256];
	int r;

	if (setup(&files, faults[_i].on_disk)) {
		io_recorder_start(faults[_i].call, faults[_i].nth, EIO);
		r = commit(&files.commit, &step);
		io_recorder_stop();
		ck_assert_int_eq(r, -EIO);
		ck_assert_int_eq(step, faults[_i].step);
		commit_explain(&files.commit, step, r, why, sizeof(why));
		ck_assert_msg(strstr(why, strerror(EIO)) && strstr(why, "g."), "%s", why);
		ck_assert(is_there(&files, DUMP));
		ck_assert(is_there(&files, FINAL) == (step == COMMIT_REMOVAL));
		ck_assert(is_there(&files, REGION) || (step == COMMIT_REMOVAL && faults[_i].nth == 2));
		ck_assert(files.sealed == (step > COMMIT_DATA));
		/* tables that cannot be removed keep nobody from trying again */
		files.commit.named = NULL;
		ck_assert_int_eq(commit(&files.commit, &step), 0);
		ck_assert(is_there(&files, FINAL) && !is_there(&files, DUMP) && !is_there(&files, REGION));
	}
	fini(&files);
}
END_TEST

START_TEST(a_name_that_another_file_has_ends_it)
{
	enum commit_step step = COMMIT_DONE;
	struct files files;

	if (setup(&files, _i)) {
		close(open_new(files.dir_fd, FINAL));
		ck_assert_int_eq(commit(&files.commit, &step), -EEXIST);
		ck_assert_int_eq(step, COMMIT_NAME);
		ck_assert(is_there(&files, DUMP) && is_there(&files, REGION));
	}
	fini(&files);
}
END_TEST

START_TEST(what_another_file_is_called_meanwhile_stays)
{
	struct files files;

	if (setup(&files, _i)) {
		ck_assert_int_eq(linkat(files.dir_fd, DUMP, files.dir_fd, FINAL, 0), 0);
		ck_assert_int_eq(renameat(files.dir_fd, REGION, files.dir_fd, DUMP), 0); /* in its place */
		files.commit.named = NULL;
		ck_assert_int_eq(commit(&files.commit, NULL), 0);
		ck_assert(is_there(&files, FINAL) && is_there(&files, DUMP));
	}
	fini(&files);
}
END_TEST

START_TEST(a_file_system_that_syncs_no_directory_is_no_error)
{
	struct files files;

	if (setup(&files, true)) {
		io_recorder_start(IO_SYNC_DIR, 1, EINVAL);
		ck_assert_int_eq(commit(&files.commit, NULL), 0);
		io_recorder_stop();
		ck_assert(is_there(&files, FINAL) && !is_there(&files, REGION));
	}
	fini(&files);
}
END_TEST

/* The only name of what cannot be had again stays, whatever is known of the directory. */
START_TEST(a_name_is_taken_back_only_if_nothing_goes_with_it)
{
	bool is_copy = _i;
	struct files files;

	if (setup(&files, true)) {
		ck_assert_int_eq(unlinkat(files.dir_fd, DUMP, 0), 0);
		close(files.fd);
		ck_assert_int_eq(publish_tmpfile(files.dir_fd, MIB(1), &files.fd), 0);
		files.commit.fd = files.removals[1].fd = files.fd;
		files.commit.is_copy = is_copy;
		io_recorder_start(IO_SYNC_DIR, 1, EIO);
		ck_assert_int_eq(commit(&files.commit, NULL), -EIO);
		io_recorder_stop();
		ck_assert(is_there(&files, FINAL) == !is_copy && is_there(&files, REGION));
	}
	fini(&files);
}
END_TEST

Suite *suite_commit(void)
{
	Suite *suite = suite_create("commit");
	TCase *tc = tcase_create("commit");

	tcase_add_loop_test(tc, what_is_durable_gets_its_name_and_only_then_something_goes, 0, 2);
	tcase_add_loop_test(
		tc, whatever_call_fails_ends_it_and_nothing_goes_before_its_time, 0, ARRAY_LEN(faults));
	tcase_add_loop_test(tc, a_name_that_another_file_has_ends_it, 0, 2);
	tcase_add_loop_test(tc, what_another_file_is_called_meanwhile_stays, 0, 2);
	tcase_add_test(tc, a_file_system_that_syncs_no_directory_is_no_error);
	tcase_add_loop_test(tc, a_name_is_taken_back_only_if_nothing_goes_with_it, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
