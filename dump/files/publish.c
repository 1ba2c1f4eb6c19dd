/* SPDX-License-Identifier: Apache-2.0 */
/* dump/files/publish.c - see publish.h */
#include "dump/files/publish.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX_REGION_PARTIAL ".region.partial"
#define SUFFIX_DUMP_PARTIAL ".vmcore.partial"
#define SUFFIX_FINAL ".vmcore"
#define SUFFIX_LZ4_PARTIAL ".vmcore.lz4.partial"
#define SUFFIX_LZ4_FINAL ".vmcore.lz4"

enum publish_file publish_parse(const char *path, size_t *ret_base)
{
	static const struct {
		const char *suffix;
		enum publish_file file;
	} suffixes[] = {
		{SUFFIX_REGION_PARTIAL, PUBLISH_REGION_PARTIAL},
		{SUFFIX_DUMP_PARTIAL, PUBLISH_DUMP_PARTIAL},
		{SUFFIX_FINAL, PUBLISH_FINAL},
		{SUFFIX_LZ4_PARTIAL, PUBLISH_DUMP_PARTIAL},
		{SUFFIX_LZ4_FINAL, PUBLISH_FINAL},
	};
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		size_t suffix = strlen(suffixes[i].suffix);

		if (len <= suffix || path[len - suffix - 1] == '/' ||
			strcmp(path + len - suffix, suffixes[i].suffix))
			continue;
		*ret_base = len - suffix;
		return suffixes[i].file;
	}
	return PUBLISH_NONE;
}

void publish_names_init(struct publish_names *names, const char *name)
{
	snprintf(names->region_partial, sizeof(names->region_partial), "%s" SUFFIX_REGION_PARTIAL, name);
	snprintf(names->dump_partial, sizeof(names->dump_partial), "%s" SUFFIX_DUMP_PARTIAL, name);
	snprintf(names->final, sizeof(names->final), "%s" SUFFIX_FINAL, name);
}

void publish_names_init_lz4(struct publish_names *names, const char *name)
{
	publish_names_init(names, name);
	snprintf(names->dump_partial, sizeof(names->dump_partial), "%s" SUFFIX_LZ4_PARTIAL, name);
	snprintf(names->final, sizeof(names->final), "%s" SUFFIX_LZ4_FINAL, name);
}

int publish_proc_open(void)
{
	int fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int publish_tmpfile(int dir_fd, uint64_t size, int *ret_fd)
{
	autoclose int fd = io_test_fails(IO_TMPFILE, NULL)
				   ? -1
				   : openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (io_test_fails(IO_TRUNCATE, NULL) || ftruncate(fd, (off_t)size) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

static bool is_same_file(int fd, int dir_fd, const char *name)
{
	struct stat mine, named;

	return !fstat(fd, &mine) && !fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) &&
	       mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

int publish_link(int proc_fd, int fd, int dir_fd, const char *name)
{
	char number[16];
	int saved;

	/* Through /proc, since linkat(AT_EMPTY_PATH) wants a capability that the dumper has dropped. */
	snprintf(number, sizeof(number), "%d", fd);
	if (!io_test_fails(IO_LINK, NULL) && !linkat(proc_fd, number, dir_fd, name, AT_SYMLINK_FOLLOW))
		return 0;
	saved = errno;
	return saved == EEXIST && is_same_file(fd, dir_fd, name) ? 0 : -saved;
}

/* Of the open file and not of the process (F_OFD_*): duplicates share it, whichever process has them. */
static struct flock whole_file(short type)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

static int take_lock(int fd, short type)
{
	struct flock lock = whole_file(type);

	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return 0;
	return errno == EACCES ? -EWOULDBLOCK
			       : -errno; /* fcntl(2): either, for a lock that another one has */
}

int publish_lock(int fd)
{
	return take_lock(fd, F_WRLCK);
}

int publish_lock_read(int fd)
{
	return take_lock(fd, F_RDLCK);
}

bool publish_is_locked(int fd)
{
	struct flock lock = whole_file(F_WRLCK);

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

void publish_unlock(int fd)
{
	struct flock lock = whole_file(F_UNLCK);

	(void)fcntl(fd, F_OFD_SETLK, &lock);
}
