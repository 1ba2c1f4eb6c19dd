/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/boot/loader.c - see loader.h */
#include "vmm/boot/loader.h"

#include "dump/base/io.h"
#include "vmm/boot/bzimage.h"
#include "vmm/boot/loader_memory.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* O_NONBLOCK: a FIFO is to be refused, not waited for. */
static int open_path(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

void boot_files_open(struct boot_files *ret, const struct boot_source *source)
{
	ret->kernel = open_path(source->kernel);
	ret->initrd = source->initrd[0] ? open_path(source->initrd) : -1;
}

void boot_files_close(struct boot_files *files)
{
	if (files->kernel >= 0)
		close(files->kernel);
	if (files->initrd >= 0)
		close(files->initrd);
	*files = BOOT_FILES_NONE;
}

/* @held: the file, if it is open already; a descriptor of one's own is simplest to look after. */
static int open_file(struct loader *l, int held, const char *path, int *ret_fd, uint64_t *ret_size)
{
	int fd = held >= 0 ? fcntl(held, F_DUPFD_CLOEXEC, 0) : open_path(path), err;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return LOADER_BAD(l, path, err, "%s", strerror(-err));
	}
	*ret_fd = fd;
	*ret_size = (uint64_t)st.st_size;
	if (!S_ISREG(st.st_mode))
		return LOADER_BAD(l, path, -EINVAL, "not a regular file");
	return 0;
}

static int open_files(struct loader *l)
{
	const struct boot_files none = BOOT_FILES_NONE;
	const struct boot_files *held = l->source->files ? l->source->files : &none;
	uint64_t kernel_size;
	int err;

	l->buf = malloc(LOADER_COPY);
	if (!l->buf)
		return LOADER_BAD(l, l->source->kernel, -ENOMEM, "%s", strerror(ENOMEM));
	err = open_file(l, held->kernel, l->source->kernel, &l->kernel_fd, &kernel_size);
	if (!err && l->source->initrd[0])
		err = open_file(l, held->initrd, l->source->initrd, &l->initrd_fd, &l->initrd_size);
	if (!err && l->initrd_fd >= 0 && !l->initrd_size)
		return LOADER_BAD(l, l->source->initrd, -EINVAL, "the file is empty");
	return err;
}

static int load_kernel(struct loader *l, struct boot_entry *ret)
{
	uint8_t start[BZIMAGE_HEADER_END] = {0};
	int err = io_pread_full(
		l->kernel_fd, start, sizeof(start), 0); /* a shorter file is none of the two */

	if (!err && bzimage_probe(start, sizeof(start)))
		return loader_linux(l, ret);
	if (err && err != -ENODATA)
		return LOADER_BAD(l, l->source->kernel, err, "%s", strerror(-err));
	if (memcmp(start, ELFMAG, SELFMAG))
		return LOADER_BAD(l, l->source->kernel, -EINVAL, "neither a bzImage nor an ELF file");
	return loader_pvh(l, ret);
}

int loader_load(struct region *region, const struct boot_source *source, struct boot_entry *ret, char *why,
	size_t why_size)
{
	struct loader l = {.region = region,
		.source = source,
		.kernel_fd = -1,
		.initrd_fd = -1,
		.why = why,
		.why_size = why_size};
	struct boot_entry entry = {0};
	int err;

	why[0] = '\0';
	err = open_files(&l);
	if (!err)
		err = load_kernel(&l, &entry);
	if (!err)
		*ret = entry;
	if (l.kernel_fd >= 0)
		close(l.kernel_fd);
	if (l.initrd_fd >= 0)
		close(l.initrd_fd);
	free(l.buf);
	return err;
}
