/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_dump_places.c - dumps on a disk, and the second directory for those without room.
 */
#include "tests/unit/dump_ways.h"
#include "tests/unit/place.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(a_dump_on_a_disk_has_the_same_pages_and_holes)
{
	const struct way *way = way_for_disks(_i);
	struct dump_fixture f;
	struct dump_engine engine;
	struct place disk;

	if (!way_setup(&f, way))
		return;
	place_init(&disk, NULL);
	engine = fixture_engine(&f);
	engine.dir_fd = disk.fd;
	ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
	way_check(&f, way, disk.fd);
	ck_assert_uint_eq(fixture_nr_files(&f), 0);
	ck_assert_uint_eq(fixture_populated(f.region_fd, f.layout.head, f.layout.ram), 0);
	place_fini(&disk);
	fixture_fini(&f);
}
END_TEST

static void stop_in_the_middle(struct dump_engine *engine, enum dump_notice notice)
{
	if (notice == DUMP_NOTICE_PROGRESS && engine->done > engine->layout.ram / 2)
		_exit(0);
}

START_TEST(an_engine_that_dies_while_it_writes_to_a_disk_is_replaced)
{
	const struct way *way = way_for_disks(_i);
	struct publish_names names;
	struct dump_fixture f;
	struct dump_engine engine;
	struct place disk;
	pid_t child;

	if (!way_setup(&f, way))
		return;
	place_init(&disk, NULL);
	f.record->options.chunk = KIB(256);
	engine = fixture_engine(&f);
	engine.dir_fd = disk.fd;
	child = fork();
	if (!child) {
		engine.proc_fd = publish_proc_open();
		engine.notify = stop_in_the_middle;
		_exit(dump_engine_run(&engine) ? 1 : 2);
	}
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	way_names(way, &names);
	engine.resume = true;
	engine.given_dump_fd = openat(disk.fd, names.dump_partial, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(engine.given_dump_fd, 0);
	ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
	close(engine.given_dump_fd);
	way_check(&f, way, disk.fd);
	ck_assert_uint_eq(fixture_nr_files(&f), 0);
	place_fini(&disk);
	fixture_fini(&f);
}
END_TEST

/* ---- no room --------------------------------------------------------------------------------------------- */

static const struct way plain = {"vmapp", "none", "all", 1, DUMP_ORDER_ASCENDING, false};

static bool setup_small(struct dump_fixture *f, struct place *small)
{
	place_init(small, "size=1m");
	if (small->fd < 0) {
		printf("SKIP places: cannot mount a tmpfs: %s\n", strerror(errno));
		place_fini(small);
		return false;
	}
	return way_setup(f, &plain);
}

START_TEST(a_dump_without_room_goes_to_the_second_directory)
{
	struct dump_fixture f;
	struct dump_engine engine;
	struct place small, disk;

	if (!setup_small(&f, &small))
		return;
	place_init(&disk, NULL);
	engine = fixture_engine(&f);
	engine.dir_fd = small.fd;
	engine.fallback_dir_fd = disk.fd;
	ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
	ck_assert_ptr_nonnull(strstr(engine.detour, "MiB free"));
	way_check(&f, &plain, disk.fd);
	place_fini(&small);
	place_fini(&disk);
	fixture_fini(&f);
}
END_TEST

START_TEST(without_room_anywhere_the_memory_is_kept_and_the_message_says_what_is_missing)
{
	struct dump_fixture f;
	struct dump_engine engine;
	struct place small, second;

	if (!setup_small(&f, &small))
		return;
	place_init(&second, "size=512k");
	engine = fixture_engine(&f);
	engine.dir_fd = small.fd;
	engine.fallback_dir_fd = _i ? second.fd : -1;
	ck_assert_int_eq(dump_engine_run(&engine), -ENOSPC);
	ck_assert_uint_eq(engine.released, 0);
	ck_assert(fixture_exists(&f, "guest-test-g0.region.partial"));
	ck_assert_ptr_nonnull(strstr(engine.why, "MiB"));
	ck_assert_ptr_nonnull(strstr(engine.why, _i ? "fallback directory" : "missing"));
	ck_assert_ptr_nonnull(strstr(engine.why, "kept: guest-test-g0.region.partial"));
	/* and nothing stands in the way of a second attempt */
	engine = fixture_engine(&f);
	engine.resume = true;
	ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
	way_check(&f, &plain, f.dir_fd);
	place_fini(&small);
	place_fini(&second);
	fixture_fini(&f);
}
END_TEST

START_TEST(a_dump_that_somebody_works_on_is_left_alone)
{
	struct dump_fixture f;
	struct dump_engine engine;
	struct publish_names names;
	int other;

	ck_assert(way_setup(&f, &plain));
	publish_names_init(&names, "guest-test-g0");
	ck_assert_int_eq(publish_link(f.proc_fd, f.region_fd, f.dir_fd, names.region_partial), 0);
	other = openat(f.dir_fd, names.region_partial, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(publish_lock(other), 0);
	engine = fixture_engine(&f);
	ck_assert_int_eq(dump_engine_run(&engine), -EBUSY);
	close(other);
	ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
	/* and it is free again */
	other = fixture_open(&f, names.final);
	ck_assert_int_eq(publish_lock(other), 0);
	ck_assert_int_eq(publish_lock(f.region_fd), 0);
	close(other);
	fixture_fini(&f);
}
END_TEST

START_TEST(to_ask_whether_somebody_works_on_a_file_takes_no_lock)
{
	struct scratch scratch;
	int reader, writer, second;
	char path[128];

	scratch_init(&scratch);
	scratch_file(&scratch, "file", "x", 1, path, sizeof(path));
	writer = open(path, O_RDWR | O_CLOEXEC);
	second = open(path, O_RDWR | O_CLOEXEC);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert(!publish_is_locked(reader));
	ck_assert_int_eq(publish_lock(writer), 0); /* although @reader is still open */
	ck_assert(publish_is_locked(reader));
	ck_assert(!publish_is_locked(writer)); /* its own */
	ck_assert_int_eq(publish_lock(second), -EWOULDBLOCK);
	publish_unlock(writer);
	ck_assert(!publish_is_locked(reader));
	ck_assert_int_eq(publish_lock(second), 0);
	close(writer);
	close(second);
	close(reader);
	scratch_fini(&scratch);
}
END_TEST

Suite *suite_dump_places(void)
{
	Suite *suite = suite_create("dump places");
	TCase *tc = tcase_create("places");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_dump_on_a_disk_has_the_same_pages_and_holes, 0, nr_ways_for_disks());
	tcase_add_loop_test(
		tc, an_engine_that_dies_while_it_writes_to_a_disk_is_replaced, 0, nr_ways_for_disks());
	tcase_add_test(tc, a_dump_without_room_goes_to_the_second_directory);
	tcase_add_loop_test(
		tc, without_room_anywhere_the_memory_is_kept_and_the_message_says_what_is_missing, 0, 2);
	tcase_add_test(tc, a_dump_that_somebody_works_on_is_left_alone);
	tcase_add_test(tc, to_ask_whether_somebody_works_on_a_file_takes_no_lock);
	suite_add_tcase(suite, tc);
	return suite;
}
