/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_dump_output.c - see cmd_dump_output.h */
#include "vmm/cli/cmd_dump_output.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/files/publish.h"
#include "vmm/base/exit_codes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* our choice: zeros that one system call writes where no hole can be left */
#define ZEROS KIB(64)
/* our choice: names that are tried for a temporary file */
#define TRIES 16

static bool is_file_of(const struct reader *reader, const struct stat *st)
{
	const int fds[] = {reader->image.fd, reader->region.fd, reader->packed.fd};
	struct stat own;

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0 && !fstat(fds[i], &own) && own.st_dev == st->st_dev &&
			own.st_ino == st->st_ino)
			return true;
	return false;
}

static int fail(const struct dump_output *out, int error)
{
	log_error("%s: %s", out->path, strerror(-error));
	return EXIT_HOST;
}

/* A regular file that is there, by its @path: whether it may go. */
static int check_old(const struct dump_output *out, const struct reader *reader, const struct stat *st)
{
	if (is_file_of(reader, st)) {
		log_error("%s: not written: it is a file of the dump that is read", out->path);
		return EXIT_USAGE;
	}
	if (out->overwrite)
		return EXIT_OK;
	log_error("%s: not written: it is there already (--force replaces it)", out->path);
	return EXIT_USAGE;
}

/* Splits @path into directory and name.  0 or -errno. */
static int open_directory(struct dump_output *out, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	autofree char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

	if (!dir)
		return -ENOMEM;
	if (!name[0])
		return -EISDIR;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	snprintf(out->name, sizeof(out->name), "%s", name);
	out->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return out->dir_fd < 0 ? -errno : 0;
}

/* A name for the file that nobody has.  @make: makes it, by @arg.  0 or -errno. */
static int with_temporary_name(struct dump_output *out, int (*make)(struct dump_output *out))
{
	int r = -EEXIST;

	for (int i = 0; i < TRIES && r == -EEXIST; i++) {
		snprintf(out->temporary, sizeof(out->temporary), ".minivmm-%llx",
			(unsigned long long)clock_mono_ns() << 16 ^ (unsigned long long)getpid());
		r = make(out);
	}
	if (r)
		out->temporary[0] = '\0';
	return r;
}

static int make_named(struct dump_output *out)
{
	out->fd = openat(out->dir_fd, out->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return out->fd < 0 ? -errno : 0;
}

static int link_as(struct dump_output *out, const char *name)
{
	autoclose int proc_fd = publish_proc_open();

	return proc_fd < 0 ? proc_fd : publish_link(proc_fd, out->fd, out->dir_fd, name);
}

static int link_temporary(struct dump_output *out)
{
	return link_as(out, out->temporary);
}

/* Without a name where the file system has such files, so that a kill leaves nothing. */
static int make_file(struct dump_output *out)
{
	out->sparse = true;
	if (!publish_tmpfile(out->dir_fd, 0, &out->fd))
		return 0;
	return with_temporary_name(out, make_named);
}

/* What is no regular file is written to as it is. */
static int open_special(struct dump_output *out)
{
	out->fd = open(out->path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	return out->fd < 0 ? fail(out, -errno) : EXIT_OK;
}

int dump_output_open(struct dump_output *out, const char *path, bool overwrite, const struct reader *reader)
{
	autofree char *real = NULL;
	struct stat st;
	int r;

	*out = (struct dump_output){.path = path, .fd = -1, .dir_fd = -1, .overwrite = overwrite};
	if (!path) {
		out->path = "standard output";
		out->fd = STDOUT_FILENO;
		return EXIT_OK;
	}
	if (!stat(path, &st)) {
		if (!S_ISREG(st.st_mode))
			return open_special(out);
		r = check_old(out, reader, &st);
		if (r)
			return r;
		real = realpath(path, NULL);
	}
	r = open_directory(out, real ? real : path);
	if (!r)
		r = make_file(out);
	return r ? fail(out, r) : EXIT_OK;
}

int dump_output_write(struct dump_output *out, const void *buf, uint64_t len)
{
	static const unsigned char zeros[ZEROS];
	uint64_t left = len;
	int r = 0;

	if (out->sparse && buf)
		r = io_pwrite_full(out->fd, buf, len, out->at);
	else if (!out->sparse && buf)
		r = io_write_full(out->fd, buf, len);
	for (; !r && !buf && !out->sparse && left; left -= u64_min(left, ZEROS))
		r = io_write_full(out->fd, zeros, u64_min(left, ZEROS));
	out->at += len;
	return r;
}

/* The file takes the place of the one that has its name. */
static int replace(struct dump_output *out)
{
	int r = out->temporary[0] ? 0 : with_temporary_name(out, link_temporary);

	if (!r && renameat(out->dir_fd, out->temporary, out->dir_fd, out->name) < 0)
		r = -errno;
	if (!r)
		out->temporary[0] = '\0';
	return r;
}

/* The name must be free.  The temporary one goes when the output is closed. */
static int take_name(struct dump_output *out)
{
	if (!out->temporary[0])
		return link_as(out, out->name);
	if (!linkat(out->dir_fd, out->temporary, out->dir_fd, out->name, 0))
		return 0;
	if (errno != EPERM && errno != EOPNOTSUPP)
		return -errno;
	/* a file system without links */
	return renameat2(out->dir_fd, out->temporary, out->dir_fd, out->name, RENAME_NOREPLACE) < 0 ? -errno
												    : 0;
}

int dump_output_finish(struct dump_output *out)
{
	int r = 0;

	if (out->sparse && ftruncate(out->fd, (off_t)out->at) < 0)
		r = -errno;
	if (!r && out->dir_fd >= 0)
		r = out->overwrite ? replace(out) : take_name(out);
	return r ? fail(out, r) : EXIT_OK;
}

void dump_output_close(struct dump_output *out)
{
	if (out->temporary[0])
		(void)unlinkat(out->dir_fd, out->temporary, 0);
	if (out->fd >= 0 && out->fd != STDOUT_FILENO)
		close(out->fd);
	if (out->dir_fd >= 0)
		close(out->dir_fd);
}
