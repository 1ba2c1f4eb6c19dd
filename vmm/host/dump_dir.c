/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/host/dump_dir.c - see dump_dir.h */
#include "vmm/host/dump_dir.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/base/places.h"

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

#define ROOT_NAME (&PLACES_ROOT[sizeof(PLACES_SHM)]) /* its last part */
/* our choice: the kernel counts by CPU, so that the last pages may be there and not to be had */
#define FULL_BELOW KIB(256)
#define MOUNT_LOCK "/run/minivmm.lock"

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

/*
 * Held while the place is looked at and mounted.  In a directory of root's, mode 0600: nobody else can open it, so that
 * nobody can make root wait.  -1: there is none, and nothing is mounted then.
 */
static int lock_mounting(void)
{
	autoclose int fd = open(MOUNT_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 077) ||
		flock(fd, LOCK_EX) < 0)
		return -1;
	return take_fd(&fd);
}

/* Mounts a tmpfs with huge pages on the empty directory @root_fd, as large as the file system it is in. */
static void mount_huge(int root_fd)
{
	char options[96], target[32];
	struct statfs fs;

	if (fstatfs(root_fd, &fs) < 0)
		return;
	/* mode as /tmp: other users may keep guests there too */
	snprintf(options, sizeof(options), "mode=1777,huge=always,size=%llu",
		(unsigned long long)fs.f_blocks * (unsigned long long)fs.f_bsize);
	/* on the directory itself: what its path leads to may be another one by now */
	snprintf(target, sizeof(target), "/proc/self/fd/%d", root_fd);
	if (mount("minivmm", target, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		log_debug("no huge pages: mount of a tmpfs on %s: %s", PLACES_ROOT, strerror(errno));
	else
		log_debug("mounted a tmpfs with huge pages on %s", PLACES_ROOT);
}

/*
 * Root's place: made, found to be root's, and with huge pages if @mount and nothing is mounted or stored there yet.
 * That there are none is no error: what is there already serves, only slower.
 */
static int prepare_root(bool mount, char *why, size_t why_size)
{
	autoclose int shm = open(PLACES_SHM, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int lock = mount ? lock_mounting() : -1;
	autoclose int root = -1;
	struct stat here, above;

	if (shm < 0)
		return 0; /* whoever makes the directory says what is wrong */
	if (mkdirat(shm, ROOT_NAME, 0755) < 0 && errno != EEXIST)
		return 0;
	root = openat(shm, ROOT_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0 || fstat(root, &here) < 0 || fstat(shm, &above) < 0) {
		snprintf(why, why_size, "%s: %s", PLACES_ROOT, strerror(errno));
		return -errno;
	}
	if (here.st_uid != 0 || ((here.st_mode & (S_IWGRP | S_IWOTH)) && !(here.st_mode & S_ISVTX))) {
		snprintf(why, why_size,
			"%s: belongs to uid %u, mode %04o: another user could exchange what root keeps "
			"there; "
			"remove it, or set vm.memory_dir",
			PLACES_ROOT, here.st_uid, here.st_mode & 07777);
		return -EPERM;
	}
	if (lock >= 0 && here.st_dev == above.st_dev && is_empty(root))
		mount_huge(root);
	return 0;
}

/* A plain user's own place, if @path is in it: made, and found to be nobody else's. */
static int prepare_own(const char *path, char *why, size_t why_size)
{
	char places[PLACES_MAX][PLACES_PATH_MAX];
	autoclose int fd = -1;
	struct stat st;
	size_t nr, i = 0;

	places_of_user(places, &nr);
	while (i < 2 && (strncmp(path, places[i], strlen(places[i])) || path[strlen(places[i])] != '/'))
		i++;
	if (i == 2 || (mkdir(places[i], 0700) < 0 && errno != EEXIST))
		return 0; /* whoever makes the directory says what is wrong */
	fd = open(places[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		snprintf(why, why_size, "%s: %s", places[i], strerror(errno));
		return -errno;
	}
	if (st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	snprintf(why, why_size,
		"%s: belongs to uid %u, mode %04o: not this user's alone; set vm.memory_dir", places[i],
		st.st_uid, st.st_mode & 07777);
	return -EPERM;
}

int dump_dir_open_any(const char *path, enum huge_pages huge, int *ret_fd, char *why, size_t why_size)
{
	autoclose int fd = -1;
	struct stat st;
	int err = 0;

	if (geteuid() != 0)
		err = prepare_own(path, why, why_size);
	else if (!strncmp(path, PLACES_ROOT "/", strlen(PLACES_ROOT "/")))
		err = prepare_root(huge == HUGE_PAGES_AUTO, why, why_size);
	if (err)
		return err;
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

bool dump_dir_is_full(int dir_fd)
{
	struct statfs fs;

	/* no blocks: without a limit */
	return !fstatfs(dir_fd, &fs) && fs.f_blocks &&
	       (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize < FULL_BELOW;
}
