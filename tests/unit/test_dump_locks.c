/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_dump_locks.c - whoever asks knows that somebody will work, or works, on the files of a dump: from
 * the announcement of the crash to the end of the job, whichever processes come and go in between.
 */
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"

#include "dump/files/catalog.h"
#include "dump/save/salvage.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "guest-test-g0"
#define PAGES (4 * 512)
#define SEED 815

/* A job in the VMM: the descriptors that it passes to one dumper after the other. */
struct job {
	struct dump_fixture f;
	int dump_fd; /* the guest's own file, or what a dumper left; -1 */
	bool resume;
};

static void begin(struct job *job, bool guest_dumps)
{
	struct dump_fixture *f = &job->f;

	fixture_init(f, PAGES * PAGE_SIZE_4K, MIB(5), 1);
	fixture_fill(f, 0, PAGES, SEED);
	*job = (struct job){.f = *f, .dump_fd = -1};
	if (guest_dumps)
		ck_assert_int_eq(
			publish_tmpfile(f->dir_fd, dump_layout_file_size(&f->layout), &job->dump_fd), 0);
	ck_assert_int_eq(
		dump_engine_announce(f->record, f->region_fd, f->dir_fd, job->dump_fd, f->dir_fd), 0);
}

static void end(struct job *job)
{
	publish_unlock(job->f.region_fd);
	if (job->dump_fd >= 0) {
		publish_unlock(job->dump_fd);
		close(job->dump_fd);
	}
}

static int salvage_named(struct job *job, const char *suffix)
{
	char path[160], why[256];
	struct salvage_result result;
	int r;

	snprintf(path, sizeof(path), "%s/" NAME "%s", job->f.dir, suffix);
	r = dump_salvage(&(struct salvage_request){.path = path}, &result, why, sizeof(why));
	if (!r)
		free(result.path);
	return r;
}

/* Everybody leaves it alone. */
static void check_in_use(struct job *job, const char *moment)
{
	static const char *const suffixes[] = {".region.partial", ".vmcore.partial"};
	struct catalog catalog;

	ck_assert_int_eq(catalog_read(job->f.dir_fd, &catalog), 0);
	ck_assert_uint_eq(catalog.nr, 1);
	ck_assert_msg(catalog.dumps[0].in_use, "%s: nobody is said to work on it", moment);
	ck_assert_msg(!catalog_is_complete(&catalog.dumps[0]), "%s: called complete", moment);
	catalog_fini(&catalog);
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		char name[64];

		snprintf(name, sizeof(name), NAME "%s", suffixes[i]);
		if (fixture_exists(&job->f, name))
			ck_assert_msg(salvage_named(job, suffixes[i]) == -EBUSY, "%s: salvage of %s",
				moment, suffixes[i]);
	}
}

static void check_free(struct job *job)
{
	struct catalog catalog;

	ck_assert_int_eq(catalog_read(job->f.dir_fd, &catalog), 0);
	ck_assert_uint_eq(catalog.nr, 1);
	ck_assert(!catalog.dumps[0].in_use);
	catalog_fini(&catalog);
}

static void stop_here(struct dump_engine *engine, enum dump_notice notice)
{
	(void)engine;
	if (notice == DUMP_NOTICE_PROGRESS)
		raise(SIGSTOP);
}

/* A dumper process for the job, with its own duplicates; it stops in the middle of its work. */
static pid_t dumper(struct job *job)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct dump_engine engine = fixture_engine(&job->f);

		engine.proc_fd = publish_proc_open(); /* of this process */
		engine.given_dump_fd = job->resume ? job->dump_fd : -1;
		engine.resume = job->resume;
		engine.notify = stop_here;
		_exit(dump_engine_run(&engine) ? 1 : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
	ck_assert_msg(WIFSTOPPED(status), "the dumper has ended: %d", status);
	return pid;
}

static void kill_dumper(pid_t pid)
{
	int status;

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
}

START_TEST(a_dump_is_in_use_from_its_announcement_until_its_job_is_over)
{
	struct dump_engine engine;
	struct job job;

	begin(&job, false);
	check_in_use(&job, "it waits in the queue");
	kill_dumper(dumper(&job));
	check_in_use(&job, "the first dumper is dead");
	job.resume = true;
	job.dump_fd = fixture_open(&job.f, NAME ".vmcore.partial");
	ck_assert_int_eq(publish_lock(job.dump_fd), 0);
	check_in_use(&job, "the dumper is being replaced");
	kill_dumper(dumper(&job));
	check_in_use(&job, "the second dumper is dead");
	engine = fixture_engine(&job.f);
	engine.resume = true;
	engine.given_dump_fd = job.dump_fd;
	ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
	end(&job);
	check_free(&job);
	ck_assert(fixture_exists(&job.f, NAME ".vmcore"));
	ck_assert_uint_eq(fixture_nr_files(&job.f), 1);
	fixture_fini(&job.f);
}
END_TEST

START_TEST(a_dump_that_failed_is_free_only_when_its_job_is_over)
{
	struct dump_engine engine;
	struct job job;

	begin(&job, false);
	engine = fixture_engine(&job.f);
	engine.dir_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* no file can be made there */
	ck_assert_int_ne(dump_engine_run(&engine), 0);
	check_in_use(&job, "the engine has failed, the job is not given up");
	close(engine.dir_fd);
	end(&job);
	check_free(&job);
	ck_assert_int_eq(salvage_named(&job, ".region.partial"), 0);
	fixture_fini(&job.f);
}
END_TEST

START_TEST(a_dump_is_in_use_as_long_as_the_dumper_lives_when_the_vmm_has_died)
{
	struct job job;
	pid_t pid;

	begin(&job, false);
	pid = dumper(&job);
	close(job.f.region_fd);
	job.f.region_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	check_in_use(&job, "the VMM is dead");
	kill_dumper(pid);
	check_free(&job);
	ck_assert_int_eq(salvage_named(&job, ".vmcore.partial"), 0);
	fixture_fini(&job.f);
}
END_TEST

START_TEST(the_file_that_a_guest_dumps_into_is_in_use_too)
{
	struct job job;
	int fd;

	begin(&job, true);
	check_in_use(&job, "the guest dumps");
	fd = fixture_open(&job.f, NAME ".vmcore.partial");
	ck_assert(publish_is_locked(fd));
	end(&job);
	ck_assert(!publish_is_locked(fd));
	close(fd);
	fixture_fini(&job.f);
}
END_TEST

Suite *suite_dump_locks(void)
{
	Suite *suite = suite_create("dump locks");
	TCase *tc = tcase_create("locks");

	tcase_add_test(tc, a_dump_is_in_use_from_its_announcement_until_its_job_is_over);
	tcase_add_test(tc, a_dump_that_failed_is_free_only_when_its_job_is_over);
	tcase_add_test(tc, a_dump_is_in_use_as_long_as_the_dumper_lives_when_the_vmm_has_died);
	tcase_add_test(tc, the_file_that_a_guest_dumps_into_is_in_use_too);
	suite_add_tcase(suite, tc);
	return suite;
}
