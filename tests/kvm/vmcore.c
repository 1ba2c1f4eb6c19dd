/* SPDX-License-Identifier: Apache-2.0 */
/* tests/kvm/vmcore.c - see vmcore.h */
#include "tests/kvm/vmcore.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u
#define NOTES_MAX (4u << 20) /* bytes; 64 vCPUs need about 1 MiB */
#define COPY_BYTES (1u << 20)

/* Offsets in the trailer, which is the last page of the file. */
enum {
	TRAILER_ROLE = 16,
	TRAILER_STATE = 20,
	TRAILER_HEAD = 40,
	TRAILER_RAM = 48,
	TRAILER_CHUNK = 64,
	TRAILER_PROGRESS = 88,
	TRAILER_NR_CHUNKS = 96,
};
enum { ROLE_DUMP = 1, ROLE_REGION = 2 };
enum { STATE_PREPARING = 1, STATE_COMPLETE = 4 };

uint32_t vmcore_u32(const void *desc, size_t offset)
{
	uint32_t value;

	memcpy(&value, (const char *)desc + offset, sizeof(value));
	return value;
}

uint64_t vmcore_u64(const void *desc, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const char *)desc + offset, sizeof(value));
	return value;
}

static int pread_full(int fd, void *buf, size_t len, uint64_t off)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (char *)buf + done, len - done, (off_t)(off + done));

		if (n <= 0)
			return n ? -errno : -EINVAL;
		done += (size_t)n;
	}
	return 0;
}

static int pwrite_full(int fd, const void *buf, size_t len, uint64_t off)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, (const char *)buf + done, len - done, (off_t)(off + done));

		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

/* ---- notes ----------------------------------------------------------------------------------- */

static size_t align4(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

static long find_note(const char *notes, size_t size, uint32_t type, void *buf, size_t buf_size)
{
	static const char name[] = "MINIVMM";
	size_t at = 0;

	while (size - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		size_t desc;

		memcpy(&note, notes + at, sizeof(note));
		desc = at + sizeof(note) + align4(note.n_namesz);
		if (note.n_namesz > size || note.n_descsz > size || desc + note.n_descsz > size)
			return -EINVAL;
		if (note.n_type == type && note.n_namesz == sizeof(name) &&
			!memcmp(notes + at + sizeof(note), name, sizeof(name))) {
			memcpy(buf, notes + desc, note.n_descsz < buf_size ? note.n_descsz : buf_size);
			return note.n_descsz;
		}
		at = desc + align4(note.n_descsz);
		if (at > size)
			break;
	}
	return -ENOENT;
}

static long read_note(int fd, uint32_t type, void *buf, size_t size)
{
	Elf64_Phdr note;
	char *notes;
	long r = pread_full(fd, &note, sizeof(note), sizeof(Elf64_Ehdr));

	if (r)
		return r;
	if (note.p_type != PT_NOTE || note.p_filesz > NOTES_MAX)
		return -EINVAL;
	notes = malloc(note.p_filesz + 1);
	if (!notes)
		return -ENOMEM;
	r = pread_full(fd, notes, note.p_filesz, note.p_offset);
	if (!r)
		r = find_note(notes, note.p_filesz, type, buf, size);
	free(notes);
	return r;
}

long vmcore_note(const char *path, uint32_t type, void *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long r = fd < 0 ? -errno : read_note(fd, type, buf, size);

	if (fd >= 0)
		close(fd);
	return r;
}

/* ---- a dump that was cut short --------------------------------------------------------------- */

static int read_trailer(int fd, unsigned char trailer[PAGE], uint32_t role)
{
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((size_t)st.st_size < PAGE)
		return -EINVAL;
	err = pread_full(fd, trailer, PAGE, (uint64_t)st.st_size - PAGE);
	if (err)
		return err;
	if (memcmp(trailer, "MVMMTAIL", 8) || vmcore_u32(trailer, TRAILER_ROLE) != role ||
		!vmcore_u64(trailer, TRAILER_CHUNK))
		return -EINVAL;
	return 0;
}

/* Copies [@off, @off + @len) as far as @from has memory there; the rest are holes in both files. */
static int copy_data(int from, int to, uint64_t off, uint64_t len, char *buf)
{
	uint64_t end = off + len;

	for (;;) {
		off_t data = lseek(from, (off_t)off, SEEK_DATA), stop;

		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		if ((uint64_t)data >= end)
			return 0;
		stop = lseek(from, data, SEEK_HOLE);
		if (stop < 0)
			return -errno;
		for (off = (uint64_t)data; off < (uint64_t)stop && off < end;) {
			uint64_t last = (uint64_t)stop < end ? (uint64_t)stop : end;
			size_t part = last - off < COPY_BYTES ? (size_t)(last - off) : COPY_BYTES;
			int err = pread_full(from, buf, part, off);

			if (!err)
				err = pwrite_full(to, buf, part, off);
			if (err)
				return err;
			off += part;
		}
	}
}

static long complete(int dump, int region)
{
	unsigned char trailer[PAGE], other[PAGE], *progress;
	uint64_t head, ram, chunk, nr;
	char *buf;
	long copied = 0, err;

	err = read_trailer(dump, trailer, ROLE_DUMP);
	if (!err)
		err = read_trailer(region, other, ROLE_REGION);
	if (err)
		return err;
	head = vmcore_u64(trailer, TRAILER_HEAD);
	ram = vmcore_u64(trailer, TRAILER_RAM);
	chunk = vmcore_u64(trailer, TRAILER_CHUNK);
	nr = vmcore_u64(trailer, TRAILER_NR_CHUNKS);
	if (head != vmcore_u64(other, TRAILER_HEAD) || ram != vmcore_u64(other, TRAILER_RAM) ||
		nr != (ram + chunk - 1) / chunk)
		return -EINVAL;
	if (vmcore_u32(trailer, TRAILER_STATE) == STATE_COMPLETE)
		return 0;
	progress = malloc(nr);
	buf = malloc(COPY_BYTES);
	err = progress && buf ? pread_full(dump, progress, nr, vmcore_u64(trailer, TRAILER_PROGRESS))
			      : -ENOMEM;
	for (uint64_t i = 0; !err && i < nr; i++) {
		uint64_t off = i * chunk, len = ram - off < chunk ? ram - off : chunk;

		if (progress[i] && vmcore_u32(trailer, TRAILER_STATE) != STATE_PREPARING)
			continue;
		/* what the dump has of it may be half a copy: the region's word alone counts, holes too */
		if (fallocate(dump, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(head + off),
			    (off_t)len) < 0)
			err = -errno;
		else
			err = copy_data(region, dump, head + off, len, buf);
		copied++;
	}
	free(progress);
	free(buf);
	return err ? err : copied;
}

long vmcore_complete(const char *dump, const char *region)
{
	int to = open(dump, O_RDWR | O_CLOEXEC), from = open(region, O_RDONLY | O_CLOEXEC);
	long r = to < 0 || from < 0 ? -errno : complete(to, from);

	if (to >= 0)
		close(to);
	if (from >= 0)
		close(from);
	return r;
}
