/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/host/dump_dir.c - see dump_dir.h */
#include "vmm/host/dump_dir.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/*
 * mkdir -p with mode 0700 for the last part and 0755 for those before it, and open it.  Slashes at the
 * end are cut off first: with them, the last part would be one before it, and a symbolic link followed.
 */
static int make_and_open(const char *path, int *ret_fd)
{
	autofree char *copy = strdup(path);
	size_t len = strlen(path);
	int fd;

	if (!copy)
		return -ENOMEM;
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		if (slash == copy)
			continue;
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	if (mkdir(copy, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(copy, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static bool is_empty(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool empty = true;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			empty = false;
	closedir(dir);
	return empty;
}

static bool is_mount_point(const char *path)
{
	autofree char *parent = NULL;
	struct stat here, above;

	if (asprintf(&parent, "%s/..", path) < 0) {
		parent = NULL;
		return false;
	}
	return !stat(path, &here) && !stat(parent, &above) && here.st_dev != above.st_dev;
}

/*
 * Mounts a tmpfs with huge pages on DUMP_ROOT if nothing is mounted or stored there yet.  Another
 * minivmm may do the same at this moment: the lock on its parent makes one of them find it done.
 * Failing is no error: what is there already serves, only slower.
 */
static void mount_huge_root(void)
{
	autoclose int lock = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int root = -1;
	char options[96];
	struct statfs fs;

	if (lock < 0 || flock(lock, LOCK_EX) < 0 || fstatfs(lock, &fs) < 0)
		return;
	if (mkdir(DUMP_ROOT, 0755) < 0 && errno != EEXIST)
		return;
	root = open(DUMP_ROOT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0 || is_mount_point(DUMP_ROOT) || !is_empty(root))
		return;
	/* the same size as /dev/shm; mode as /tmp: other users may keep guests there too */
	snprintf(options, sizeof(options), "mode=1777,huge=always,size=%llu",
		(unsigned long long)fs.f_blocks * (unsigned long long)fs.f_bsize);
	if (mount("minivmm", DUMP_ROOT, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		log_debug("no huge pages: mount of a tmpfs on %s: %s", DUMP_ROOT, strerror(errno));
	else
		log_debug("mounted a tmpfs with huge pages on %s", DUMP_ROOT);
}

int dump_dir_open_any(const char *path, enum huge_pages huge, int *ret_fd, char *why, size_t why_size)
{
	autoclose int fd = -1;
	struct stat st;
	int err;

	if (huge == HUGE_PAGES_AUTO && geteuid() == 0 &&
		!strncmp(path, DUMP_ROOT "/", strlen(DUMP_ROOT "/")))
		mount_huge_root();
	err = make_and_open(path, &fd);
	if (!err && fstat(fd, &st) < 0)
		err = -errno;
	if (err) {
		snprintf(why, why_size, "%s: %s", path, strerror(-err));
		return err;
	}
	if (st.st_uid != geteuid()) {
		snprintf(why, why_size, "%s: belongs to uid %u, not to this user (uid %u)", path, st.st_uid,
			geteuid());
		return -EPERM;
	}
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX)) {
		snprintf(why, why_size, "%s: other users may write there (mode %04o); chmod 700 it", path,
			st.st_mode & 07777);
		return -EPERM;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

int dump_dir_open(const char *path, enum huge_pages huge, int *ret_fd, char *why, size_t why_size)
{
	autoclose int fd = -1;
	struct statfs fs;
	int err;

	err = dump_dir_open_any(path, huge, &fd, why, why_size);
	if (err)
		return err;
	if (fstatfs(fd, &fs) < 0) {
		err = -errno;
		snprintf(why, why_size, "%s: %s", path, strerror(-err));
		return err;
	}
	if (fs.f_type != TMPFS_MAGIC) {
		snprintf(why, why_size, "%s: not on tmpfs; guest RAM needs shared memory", path);
		return -ENOTSUP;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

int dump_dir_probe(int dir_fd, struct dump_dir_facts *ret)
{
	autoclose int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	const size_t size = 2 * PAGE_SIZE_2M;
	struct statfs fs;
	struct stat st;
	char *map, *aligned;

	if (fd < 0 || fstatfs(dir_fd, &fs) < 0 || ftruncate(fd, (off_t)size) < 0)
		return -errno;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	/* huge=advise needs the advice; anything else ignores it */
	(void)madvise(map, size, MADV_HUGEPAGE);
	aligned = map + (u64_align_up((uintptr_t)map, PAGE_SIZE_2M) - (uintptr_t)map);
	ret->size = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize;
	ret->available = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	ret->huge = false;
	if (ret->available >= size) {
		*(volatile char *)aligned =
			1; /* space was checked: no SIGBUS unless it went this instant */
		if (!fstat(fd, &st))
			ret->huge = io_stat_bytes(&st) >= PAGE_SIZE_2M;
	}
	munmap(map, size);
	return 0;
}
