/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/preload/faults.c - LD_PRELOAD: a host that is slow or full, for one minivmm under test.
 *
 *      SLOW_FILE=PATH   reading this file takes SLOW_MS milliseconds for each call
 *      FULL_BUILDS=N    the first N unnamed files that are made by other threads than the main one get ENOSPC:
 *                       the memory of VMs that are made ahead of their time
 *
 * The dumper, which minivmm starts by exec, is spared.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct stat slow;
static long slow_ms;
static _Atomic long full_builds;

__attribute__((constructor)) static void init(void)
{
	const char *file = getenv("SLOW_FILE"), *ms = getenv("SLOW_MS"), *builds = getenv("FULL_BUILDS");

	if (file && ms && !stat(file, &slow))
		slow_ms = atol(ms);
	if (builds)
		atomic_store(&full_builds, atol(builds));
	unsetenv("LD_PRELOAD");
}

static ssize_t slowly(const char *name, int fd, void *buf, size_t len, off_t off)
{
	ssize_t (*real)(int, void *, size_t, off_t);
	struct stat st;

	*(void **)&real = dlsym(RTLD_NEXT, name);
	if (slow_ms && !fstat(fd, &st) && st.st_dev == slow.st_dev && st.st_ino == slow.st_ino)
		nanosleep(&(struct timespec){slow_ms / 1000, slow_ms % 1000 * 1000000}, NULL);
	return real(fd, buf, len, off);
}

ssize_t pread(int fd, void *buf, size_t len, off_t off)
{
	return slowly("pread", fd, buf, len, off);
}

ssize_t pread64(int fd, void *buf, size_t len, off64_t off)
{
	return slowly("pread64", fd, buf, len, off);
}

static int limited(const char *name, int dir_fd, const char *path, int flags, mode_t mode)
{
	int (*real)(int, const char *, int, ...);

	*(void **)&real = dlsym(RTLD_NEXT, name);
	if ((flags & O_TMPFILE) == O_TMPFILE && gettid() != getpid() &&
		atomic_fetch_sub(&full_builds, 1) > 0) {
		errno = ENOSPC;
		return -1;
	}
	return real(dir_fd, path, flags, mode);
}

int openat(int dir_fd, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return limited("openat", dir_fd, path, flags, mode);
}

int openat64(int dir_fd, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return limited("openat64", dir_fd, path, flags, mode);
}
