/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_dump_dir.c - vmm/host/dump_dir.c: which directories may hold guest RAM and dumps.
 *
 * Everything happens in a directory of its own on /dev/shm.  What needs root, or a /dev/shm of its own,
 * is not tested without.
 */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "tests/unit/suites.h"
#include "vmm/base/places.h"
#include "vmm/host/dump_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[64], why[256];

static void setup(void)
{
	umask(0); /* the modes asked for are the modes that count */
	snprintf(base, sizeof(base), "/dev/shm/minivmm-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	why[0] = '\0';
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void teardown(void)
{
	nftw(base, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *below(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	return path;
}

static unsigned mode_of(const char *path)
{
	struct stat st;

	ck_assert_msg(!lstat(path, &st), "%s: %s", path, strerror(errno));
	return st.st_mode & 07777;
}

static unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Refused with one of two errors, a reason that names @path, and nothing left open. */
static void refuses(const char *path, int err, int other, const char *reason)
{
	unsigned before = open_files();
	int fd = -7, r;

	r = dump_dir_open(path, HUGE_PAGES_OFF, &fd, why, sizeof(why));
	ck_assert_msg(r == err || r == other, "%s: %d", path, r);
	ck_assert_int_eq(fd, -7);
	ck_assert_msg(strstr(why, path) && strstr(why, reason), "the reason for %s: %s", path, why);
	ck_assert_uint_eq(open_files(), before);
}

START_TEST(a_missing_directory_is_made_for_its_owner_alone)
{
	autoclose int fd = -1;

	ck_assert_int_eq(dump_dir_open(below("a/b/c"), HUGE_PAGES_OFF, &fd, why, sizeof(why)), 0);
	ck_assert_int_ge(fd, 0);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_uint_eq(mode_of(below("a/b/c")), 0700);
	ck_assert_uint_eq(mode_of(below("a/b")), 0755);
	ck_assert_uint_eq(mode_of(below("a")), 0755);
}
END_TEST

START_TEST(slashes_in_a_row_and_at_the_end_change_nothing)
{
	autoclose int fd = -1, again = -1;

	ck_assert_int_eq(dump_dir_open(below("a//b//"), HUGE_PAGES_OFF, &fd, why, sizeof(why)), 0);
	ck_assert_uint_eq(mode_of(below("a/b")), 0700);
	ck_assert_int_eq(dump_dir_open(below("a/b"), HUGE_PAGES_OFF, &again, why, sizeof(why)), 0);
}
END_TEST

START_TEST(an_existing_directory_is_opened_as_it_is)
{
	autoclose int fd = -1;

	ck_assert_int_eq(mkdir(below("mine"), 0750), 0);
	ck_assert_int_eq(dump_dir_open(below("mine"), HUGE_PAGES_AUTO, &fd, why, sizeof(why)), 0);
	ck_assert_uint_eq(mode_of(below("mine")), 0750);
}
END_TEST

START_TEST(a_symbolic_link_is_refused_with_and_without_a_slash_behind_it)
{
	ck_assert_int_eq(mkdir(below("target"), 0700), 0);
	ck_assert_int_eq(symlink("target", below("link")), 0);
	refuses(below("link"), -ELOOP, -ENOTDIR, strerror(ENOTDIR));
	refuses(below("link/"), -ELOOP, -ENOTDIR, strerror(ENOTDIR));
	ck_assert_int_eq(symlink("nowhere", below("dangling")), 0);
	refuses(below("dangling"), -ELOOP, -ENOTDIR, "");
}
END_TEST

START_TEST(a_file_in_the_way_is_refused)
{
	autoclose int fd = open(below("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	refuses(below("file"), -ENOTDIR, -ENOTDIR, strerror(ENOTDIR));
	refuses(below("file/sub"), -ENOTDIR, -ENOTDIR, strerror(ENOTDIR));
}
END_TEST

START_TEST(a_file_system_that_is_not_tmpfs_is_refused)
{
	refuses("/proc/self/task", -ENOTSUP, -ENOTSUP, "not on tmpfs; guest RAM needs shared memory");
}
END_TEST

START_TEST(a_directory_that_cannot_be_made_is_refused)
{
	refuses("/proc/self/task/minivmm/x", -ENOENT, -EACCES, "");
}
END_TEST

START_TEST(a_directory_of_another_user_is_refused)
{
	if (geteuid()) {
		refuses("/dev/shm", -EPERM, -EPERM, "belongs to uid 0, not to this user");
		return;
	}
	ck_assert_int_eq(mkdir(below("theirs"), 0777), 0);
	ck_assert_int_eq(chown(below("theirs"), 12345, 12345), 0);
	refuses(below("theirs"), -EPERM, -EPERM, "belongs to uid 12345, not to this user (uid 0)");
}
END_TEST

START_TEST(probing_tells_the_size_and_leaves_nothing_behind)
{
	struct dump_dir_facts facts;
	autoclose int fd = -1;
	unsigned before;

	ck_assert_int_eq(dump_dir_open(below("d"), HUGE_PAGES_OFF, &fd, why, sizeof(why)), 0);
	before = open_files();
	ck_assert_int_eq(dump_dir_probe(fd, &facts), 0);
	ck_assert_uint_gt(facts.size, 0);
	ck_assert_uint_le(facts.available, facts.size);
	ck_assert_uint_eq(open_files(), before);
	ck_assert_int_eq(rmdir(below("d")), 0);
	ck_assert_int_lt(dump_dir_probe(-1, &facts), 0);
}
END_TEST

/* ---- with a /dev/shm of our own ----------------------------------------------------------------- */

/* False if this host does not let us; gone with the test's process. */
static bool own_shm(const char *options)
{
	return !geteuid() && !unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("unit", "/dev/shm", "tmpfs", 0, options);
}

static dev_t device_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_dev;
}

START_TEST(as_root_the_default_place_becomes_a_tmpfs_of_its_own_once)
{
	autoclose int first = -1, second = -1;
	dev_t mounted;

	if (!own_shm("size=64M"))
		return;
	ck_assert_int_eq(dump_dir_open(PLACES_ROOT "/g", HUGE_PAGES_AUTO, &first, why, sizeof(why)), 0);
	mounted = device_of(PLACES_ROOT);
	if (mounted == device_of("/dev/shm"))
		return; /* a kernel without huge pages in tmpfs: it serves all the same */
	ck_assert_uint_eq(mode_of(PLACES_ROOT), 01777);
	ck_assert_uint_eq(mode_of(PLACES_ROOT "/g"), 0700);
	ck_assert_int_eq(dump_dir_open(PLACES_ROOT "/h", HUGE_PAGES_AUTO, &second, why, sizeof(why)), 0);
	ck_assert_uint_eq(device_of(PLACES_ROOT "/h"), mounted);
}
END_TEST

START_TEST(nothing_is_mounted_over_what_is_there_or_when_huge_pages_are_off)
{
	autoclose int first = -1, second = -1;

	if (!own_shm("size=64M"))
		return;
	ck_assert_int_eq(dump_dir_open(PLACES_ROOT "/g", HUGE_PAGES_OFF, &first, why, sizeof(why)), 0);
	ck_assert_uint_eq(device_of(PLACES_ROOT), device_of("/dev/shm"));
	ck_assert_int_eq(dump_dir_open(PLACES_ROOT "/h", HUGE_PAGES_AUTO, &second, why, sizeof(why)), 0);
	ck_assert_uint_eq(device_of(PLACES_ROOT), device_of("/dev/shm"));
	ck_assert_uint_eq(mode_of(PLACES_ROOT "/g"), 0700); /* still there */
}
END_TEST

/* ---- other users ----------------------------------------------------------------------------------- */

/* our choice: numbers that no account has */
#define UID_A 41001
#define UID_B 41002

/* Runs @what as @uid in a process of its own.  Its result must be 0. */
static void as_user(uid_t uid, int (*what)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(setgid(uid) || setuid(uid) ? 99 : what());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "as uid %u: status 0x%x", uid, status);
}

/* The guest "web" where it is by default, and found again. */
static int open_web(void)
{
	char place[PLACES_PATH_MAX], path[128], found[128];
	autoclose int fd = -1;
	struct stat st;

	places_own(place);
	snprintf(path, sizeof(path), "%s/web", place);
	if (dump_dir_open(path, HUGE_PAGES_AUTO, &fd, why, sizeof(why)))
		return 1;
	if (fstat(fd, &st) || st.st_uid != geteuid() || (st.st_mode & 07777) != 0700)
		return 2;
	return places_find("web", found, sizeof(found)) && !strcmp(found, path) ? 0 : 3;
}

START_TEST(three_users_have_a_guest_of_one_name_whoever_comes_first)
{
	static const uid_t orders[][3] = {{0, UID_A, UID_B}, {UID_A, 0, UID_B}, {UID_A, UID_B, 0}};

	if (!own_shm("size=64M"))
		return;
	for (size_t i = 0; i < 3; i++)
		as_user(orders[_i][i], open_web);
	for (size_t i = 0; i < 3; i++) /* once more: each finds its own */
		as_user(orders[_i][i], open_web);
}
END_TEST

static int take_roots_place(void)
{
	return mkdir(PLACES_ROOT, 0777);
}

START_TEST(root_keeps_nothing_in_a_place_that_another_user_has_made)
{
	int fd = -1;

	if (!own_shm("size=64M"))
		return;
	as_user(UID_A, take_roots_place);
	ck_assert_int_eq(dump_dir_open(PLACES_ROOT "/g", HUGE_PAGES_AUTO, &fd, why, sizeof(why)), -EPERM);
	ck_assert_ptr_nonnull(strstr(why, "uid 41001"));
	ck_assert_uint_eq(device_of(PLACES_ROOT), device_of(PLACES_SHM));
	as_user(UID_B, open_web); /* who has a place of his own does not care */
}
END_TEST

static int take_places_of_b(void)
{
	return mkdir(PLACES_ROOT "-41002", 0777) || chmod(PLACES_ROOT "-41002", 0777);
}

START_TEST(a_user_keeps_nothing_in_a_place_that_another_user_has_made_for_him)
{
	int status;
	pid_t pid;

	if (!own_shm("size=64M"))
		return;
	as_user(UID_A, take_places_of_b);
	pid = fork();
	if (!pid)
		_exit(setuid(UID_B) ? 99 : open_web());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 1);
}
END_TEST

/* Holds whatever of /dev/shm it may lock. */
static pid_t lock_everything(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		int shm = open(PLACES_SHM, O_RDONLY | O_CLOEXEC),
		    root = open(PLACES_ROOT, O_RDONLY | O_CLOEXEC);

		if (setuid(UID_A) || flock(shm, LOCK_EX))
			_exit(1);
		if (root >= 0)
			flock(root, LOCK_EX);
		ck_assert_int_eq(write(ready[1], "x", 1), 1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

START_TEST(nobody_can_make_root_wait)
{
	autoclose int fd = -1;
	pid_t pid;

	if (!own_shm("size=64M"))
		return;
	ck_assert_int_eq(mkdir(PLACES_ROOT, 0755), 0);
	pid = lock_everything();
	ck_assert_int_eq(dump_dir_open(PLACES_ROOT "/g", HUGE_PAGES_AUTO, &fd, why, sizeof(why)), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

#define VICTIM PLACES_SHM "/victim"
/* measured: a mount by path was hit each time within this */
#define EXCHANGE_NS (2 * NSEC_PER_SEC)

/* Exchanges root's place for a link to the victim and back, as fast as it can. */
static pid_t exchange_for_ever(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (setuid(UID_A))
		_exit(1);
	for (;;) {
		mkdir(PLACES_ROOT, 0777);
		rmdir(PLACES_ROOT);
		if (!symlink(VICTIM, PLACES_ROOT))
			unlink(PLACES_ROOT);
	}
}

START_TEST(nothing_is_mounted_elsewhere_while_another_user_exchanges_the_place)
{
	pid_t pid;

	if (!own_shm("size=64M"))
		return;
	ck_assert_int_eq(mkdir(VICTIM, 0755), 0);
	pid = exchange_for_ever();
	for (uint64_t end = clock_mono_ns() + EXCHANGE_NS; clock_mono_ns() < end;) {
		int fd = -1;

		if (!dump_dir_open(PLACES_ROOT "/g", HUGE_PAGES_AUTO, &fd, why, sizeof(why)))
			close(fd);
		ck_assert_uint_eq(device_of(VICTIM), device_of(PLACES_SHM));
		ck_assert_int_ne(access(VICTIM "/g", F_OK), 0);
		/* when root was first the place is root's: once more from the beginning */
		umount2(PLACES_ROOT, MNT_DETACH | UMOUNT_NOFOLLOW);
		unlinkat(AT_FDCWD, PLACES_ROOT "/g", AT_REMOVEDIR);
		unlinkat(AT_FDCWD, PLACES_ROOT, AT_REMOVEDIR);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(probing_a_tiny_tmpfs_touches_nothing)
{
	struct dump_dir_facts facts;
	autoclose int fd = -1;

	if (!own_shm("size=1M"))
		return;
	ck_assert_int_eq(dump_dir_open("/dev/shm/d", HUGE_PAGES_OFF, &fd, why, sizeof(why)), 0);
	ck_assert_int_eq(dump_dir_probe(fd, &facts), 0);
	ck_assert_uint_eq(facts.size, MIB(1));
	ck_assert(!facts.huge);
}
END_TEST

Suite *suite_dump_dir(void)
{
	Suite *suite = suite_create("dump directory");
	TCase *tc = tcase_create("dump directory");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_missing_directory_is_made_for_its_owner_alone);
	tcase_add_test(tc, slashes_in_a_row_and_at_the_end_change_nothing);
	tcase_add_test(tc, an_existing_directory_is_opened_as_it_is);
	tcase_add_test(tc, a_symbolic_link_is_refused_with_and_without_a_slash_behind_it);
	tcase_add_test(tc, a_file_in_the_way_is_refused);
	tcase_add_test(tc, a_file_system_that_is_not_tmpfs_is_refused);
	tcase_add_test(tc, a_directory_that_cannot_be_made_is_refused);
	tcase_add_test(tc, a_directory_of_another_user_is_refused);
	tcase_add_test(tc, probing_tells_the_size_and_leaves_nothing_behind);
	suite_add_tcase(suite, tc);

	tc = tcase_create("own /dev/shm"); /* no fixture: its directory would be hidden below the mount */
	tcase_add_test(tc, as_root_the_default_place_becomes_a_tmpfs_of_its_own_once);
	tcase_add_test(tc, nothing_is_mounted_over_what_is_there_or_when_huge_pages_are_off);
	tcase_add_test(tc, probing_a_tiny_tmpfs_touches_nothing);
	tcase_add_loop_test(tc, three_users_have_a_guest_of_one_name_whoever_comes_first, 0, 3);
	tcase_add_test(tc, root_keeps_nothing_in_a_place_that_another_user_has_made);
	tcase_add_test(tc, a_user_keeps_nothing_in_a_place_that_another_user_has_made_for_him);
	tcase_add_test(tc, nobody_can_make_root_wait);
	tcase_add_test(tc, nothing_is_mounted_elsewhere_while_another_user_exchanges_the_place);
	suite_add_tcase(suite, tc);
	return suite;
}
