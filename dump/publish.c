/* SPDX-License-Identifier: Apache-2.0 */
/* dump/publish.c - see publish.h */
#include "dump/publish.h"

#include "dump/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

void publish_names_init(struct publish_names *names, const char *name)
{
	snprintf(names->region_partial, sizeof(names->region_partial), "%s.region.partial", name);
	snprintf(names->dump_partial, sizeof(names->dump_partial), "%s.vmcore.partial", name);
	snprintf(names->final, sizeof(names->final), "%s.vmcore", name);
}

int publish_proc_open(void)
{
	int fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int publish_tmpfile(int dir_fd, uint64_t size, int *ret_fd)
{
	autoclose int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0)
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
	if (!linkat(proc_fd, number, dir_fd, name, AT_SYMLINK_FOLLOW))
		return 0;
	saved = errno;
	return saved == EEXIST && is_same_file(fd, dir_fd, name) ? 0 : -saved;
}
