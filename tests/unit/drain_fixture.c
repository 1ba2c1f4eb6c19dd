/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/drain_fixture.c - see drain_fixture.h */
#include "tests/unit/drain_fixture.h"

#include "dump/base/io.h"
#include "dump/files/publish.h"
#include "dump/format/tail.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* pages of RAM: 4 MiB, few of them with contents: what a test does hundreds of times goes to a disk */
#define NR_PAGES 1024ull
#define FIRST 101ull
#define COUNT 200ull
#define SEED 23
#define EXPECTED "expected"

static const char *const formats[] = {"elf", "lz4", "kdump"};

const char drain_in_memory[] = "";

/* Another name of the dump, so that it is still there when it has been drained. */
static void keep_pristine(const struct drain_fixture *f)
{
	ck_assert_int_eq(linkat(f->dump.dir_fd, DRAIN_SOURCE_FILE, f->dump.dir_fd, "pristine", 0), 0);
}

bool drain_fixture_init(struct drain_fixture *f, const char *mount_options)
{
	struct dump_engine engine;

	memset(f, 0, sizeof(*f));
	fixture_init(&f->dump, NR_PAGES * PAGE_SIZE_4K, MIB(2), 2);
	fixture_fill(&f->dump, FIRST, COUNT, SEED);
	engine = fixture_engine(&f->dump);
	ck_assert_int_eq(dump_engine_run(&engine), 0);
	ck_assert_int_eq(mkdirat(f->dump.dir_fd, EXPECTED, 0700), 0);
	keep_pristine(f);
	if (mount_options == drain_in_memory)
		place_init_in(&f->place, "/dev/shm");
	else
		place_init(&f->place, mount_options);
	f->drain = (struct drain){
		.dir_fd = f->place.fd,
		.name = f->name,
		.proc_fd = f->dump.proc_fd,
		.source_dir_fd = f->dump.dir_fd,
		.source_name = DRAIN_SOURCE_FILE,
	};
	drain_fixture_format(f, 0);
	return f->place.fd >= 0;
}

static void remove_expected(struct drain_fixture *f)
{
	char name[NAME_MAX + 16];

	for (size_t i = 0; i < save_nr_formats; i++) {
		snprintf(name, sizeof(name), EXPECTED "/guest-test-g0%s", save_formats[i].suffix);
		unlinkat(f->dump.dir_fd, name, 0);
	}
	unlinkat(f->dump.dir_fd, EXPECTED, AT_REMOVEDIR);
}

void drain_fixture_fini(struct drain_fixture *f)
{
	remove_expected(f);
	place_fini(&f->place);
	fixture_fini(&f->dump);
}

static struct reader *open_source(struct drain_fixture *f, const char *name)
{
	struct reader *reader;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", f->dump.dir, name);
	ck_assert_msg(!reader_open(path, NULL, &reader, f->why, sizeof(f->why)), "%s", f->why);
	return reader;
}

void drain_fixture_format(struct drain_fixture *f, int format)
{
	struct reader *reader = open_source(f, DRAIN_SOURCE_FILE);
	char dir[PATH_MAX], path[PATH_MAX];
	int r;

	f->drain.format = save_find_format(formats[format]);
	ck_assert_int_eq(save_name(DRAIN_SOURCE_FILE, f->drain.format, f->name), 0);
	snprintf(dir, sizeof(dir), "%s/" EXPECTED, f->dump.dir);
	r = dump_save(reader, dir, f->drain.format, NULL, path, f->why, sizeof(f->why));
	ck_assert_msg(!r || r == -EEXIST, "%s", f->why);
	reader_close(reader);
}

void drain_fixture_open(struct drain_fixture *f)
{
	f->drain.reader = open_source(f, DRAIN_SOURCE_FILE);
}

int drain_fixture_run(struct drain_fixture *f)
{
	int (*hook)(enum io_call call, size_t * len) = io_test_hook;
	int r;

	io_test_hook = NULL; /* opening it is not what is tested */
	drain_fixture_open(f);
	io_test_hook = hook;
	f->why[0] = '\0';
	r = drain_run(&f->drain, &f->step, f->why, sizeof(f->why));
	reader_close(f->drain.reader);
	ck_assert((r == 0) == (f->step == DRAIN_DONE));
	ck_assert(!r || f->why[0]);
	return r;
}

/* Byte for byte, holes as zeros. */
static bool is_same(int a, int b)
{
	static unsigned char left[KIB(64)], right[KIB(64)];
	off_t size = lseek(a, 0, SEEK_END);

	if (size != lseek(b, 0, SEEK_END))
		return false;
	for (off_t at = 0; at < size;) {
		ssize_t n = pread(a, left, sizeof(left), at);

		ck_assert_int_gt(n, 0);
		ck_assert_int_eq(pread(b, right, sizeof(right), at), n);
		if (memcmp(left, right, (size_t)n))
			return false;
		at += n;
	}
	return true;
}

bool drain_fixture_copy_is_whole(struct drain_fixture *f)
{
	int copy = openat(f->place.fd, f->name, O_RDONLY | O_CLOEXEC);
	char path[NAME_MAX + 16];
	bool same;
	int want;

	if (copy < 0)
		return false;
	snprintf(path, sizeof(path), EXPECTED "/%s", f->name);
	want = fixture_open(&f->dump, path);
	same = is_same(want, copy);
	close(want);
	close(copy);
	return same;
}

bool drain_fixture_source_is_there(const struct drain_fixture *f)
{
	return fixture_exists(&f->dump, DRAIN_SOURCE_FILE);
}

void drain_fixture_check(struct drain_fixture *f, int r)
{
	bool named = !faccessat(f->place.fd, f->name, F_OK, AT_SYMLINK_NOFOLLOW);

	ck_assert_msg(!named || drain_fixture_copy_is_whole(f), "a copy that is not whole has a name");
	ck_assert_msg(named || r, "it succeeded, and there is nothing");
	ck_assert_msg(drain_fixture_source_is_there(f) || named, "the dump is lost");
	ck_assert_uint_le(place_nr_files(&f->place), 1);
	if (drain_fixture_source_is_there(f)) {
		struct reader *reader = open_source(f, DRAIN_SOURCE_FILE);

		ck_assert_int_eq(save_check(reader, save_find_format("elf"), f->why, sizeof(f->why)), 0);
		reader_close(reader);
	}
}

void drain_fixture_again(struct drain_fixture *f)
{
	unlinkat(f->place.fd, f->name, 0);
	if (!drain_fixture_source_is_there(f))
		ck_assert_int_eq(
			linkat(f->dump.dir_fd, "pristine", f->dump.dir_fd, DRAIN_SOURCE_FILE, 0), 0);
}

int drain_fixture_open_unnamed(const struct drain_fixture *f)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	char path[300], names[PATH_MAX];
	int fd = -1;

	ck_assert_ptr_nonnull(dir);
	/* there are other files without a name: Check has one for its messages */
	while (fd < 0 && (entry = readdir(dir))) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		len = readlink(path, names, sizeof(names) - 1);
		names[len > 0 ? len : 0] = '\0';
		if (!strncmp(names, f->place.path, strlen(f->place.path)) && strstr(names, " (deleted)"))
			fd = open(path, O_RDWR | O_CLOEXEC);
	}
	closedir(dir);
	ck_assert_int_ge(fd, 0);
	return fd;
}

void drain_fixture_spoil(struct drain_fixture *f, int how)
{
	uint32_t state = VMCORE_STATE_DUMPING;
	off_t size = (off_t)dump_layout_file_size(&f->dump.layout);
	int fd = openat(f->dump.dir_fd, DRAIN_SOURCE_FILE, O_RDWR | O_CLOEXEC);

	if (how)
		ck_assert_int_eq(ftruncate(fd, size - 1), 0);
	else
		ck_assert_int_eq(pwrite(fd, &state, sizeof(state), size - 4096 + 20), sizeof(state));
	close(fd);
}

void drain_fixture_need_disk(const struct drain_fixture *f)
{
	if (dump_tail_is_shm(f->place.fd)) {
		printf("SKIP %s is in memory\n", f->place.path);
		exit(0);
	}
}
