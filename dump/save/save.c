/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save/save.c - see save.h */
#include "dump/save/save.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/lz4/lz4_writer.h"
#include "dump/files/commit.h"
#include "dump/files/publish.h"
#include "dump/save/save_compare.h"
#include "dump/save/save_virtual.h"
#include "dump/base/zero_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* zeros in LZ4 take this part of their size (lz4_Block_format.md: a length's further bytes) */
#define ZEROS_SHRINK 255
/* our choice: what the holes of a dump may take in LZ4, beside its contents; 256 GiB of them */
#define HOLES_MAX GIB(1)

/* our choice: what is read at a time */
#define PIECE (ZERO_PAGES_MAX * PAGE_SIZE_4K)

static void tell(const struct kdump_progress *progress, uint64_t done, uint64_t total)
{
	if (progress && progress->tell)
		progress->tell(progress->arg, done / PAGE_SIZE_4K, total / PAGE_SIZE_4K);
}

/* ---- elf ------------------------------------------------------------------------------------------------ */

/* Writes @len bytes of @piece at @off, but for pages of zeros. */
static int write_sparse(int fd, const unsigned char *piece, uint64_t off, uint64_t len)
{
	uint64_t pages = len / PAGE_SIZE_4K;
	uint64_t zero = zero_pages(piece, pages), first = 0;
	int r = 0;

	while (!r && first < pages) {
		uint64_t end = first;

		while (end < pages && !(zero >> end & 1))
			end++;
		if (end > first)
			r = io_pwrite_full(fd, piece + first * PAGE_SIZE_4K, (end - first) * PAGE_SIZE_4K,
				off + first * PAGE_SIZE_4K);
		first = end + 1;
	}
	if (!r && len % PAGE_SIZE_4K)
		r = io_pwrite_full(
			fd, piece + pages * PAGE_SIZE_4K, len % PAGE_SIZE_4K, off + pages * PAGE_SIZE_4K);
	return r;
}

static int save_elf(struct reader *reader, int fd, const struct kdump_progress *progress)
{
	autofree unsigned char *piece = aligned_alloc(PAGE_SIZE_4K, PIECE);
	struct image *image = &reader->image;
	uint64_t start, end, at = 0;
	int r = piece ? 0 : -ENOMEM;

	if (!r && (io_test_fails(IO_TRUNCATE, NULL) || ftruncate(fd, (off_t)image->size) < 0))
		r = -errno;
	while (!r && (r = image_data(image, at, &start, &end)) == 1) {
		r = 0;
		for (at = u64_align_down(start, PAGE_SIZE_4K); !r && at < end;) {
			uint64_t len = u64_min(PIECE, image->size - at);

			r = image_read(image, at, piece, len);
			if (!r)
				r = write_sparse(fd, piece, at, len);
			at += len;
			tell(progress, at, image->size);
		}
	}
	return r;
}

static int save_virtual(struct reader *reader, int fd, const struct kdump_progress *progress)
{
	int r = save_elf(reader, fd, progress);

	return r ? r : save_virtual_add(reader, fd);
}

/* ---- lz4 ------------------------------------------------------------------------------------------------ */

/* One thread hands in one chunk after the other: each is in the file when lz4_worker_put() returns. */
struct chunk {
	unsigned char *bytes; /* borrowed: room for one */
	uint64_t written;     /* how many are in the file */
};

static void on_written(void *arg, uint64_t chunk, uint64_t count, uint64_t tag)
{
	struct chunk *c = arg;

	(void)chunk;
	(void)tag;
	c->written += count;
}

static int put_chunk(struct reader *reader, struct lz4_worker *worker, struct chunk *chunk, uint64_t index)
{
	const struct vmcore_trailer *trailer = &reader->trailer;
	uint64_t off = index * trailer->chunk;
	const struct lz4_run run = {
		.len = (uint32_t)u64_min(trailer->chunk, trailer->ram - off), .data = chunk->bytes};
	int r = image_read(&reader->image, trailer->head + off, chunk->bytes, run.len);

	if (!r)
		r = lz4_worker_put(worker, index, &run, 1, 0);
	assert(r || chunk->written == index + 1); /* nobody looks at the bytes any more */
	return r;
}

/* Chunks from @index on that are holes: no one has to be read, or packed. */
static uint64_t count_holes(struct reader *reader, uint64_t index, uint64_t nr)
{
	const struct vmcore_trailer *trailer = &reader->trailer;
	uint64_t start, end;
	int r = image_data(&reader->image, trailer->head + index * trailer->chunk, &start, &end);

	if (r < 0)
		return 0; /* reading tells why */
	return r ? u64_min((start - trailer->head) / trailer->chunk, nr) - index : nr - index;
}

/* Head or tail: what is not zero of it. */
static int patch(struct reader *reader, struct lz4_writer *writer, uint64_t off, uint64_t end)
{
	unsigned char page[PAGE_SIZE_4K] __attribute__((aligned(64)));
	uint64_t start, stop;
	int r = 0;

	while (off < end && (r = image_data(&reader->image, off, &start, &stop)) == 1) {
		off = u64_max(off, u64_align_down(start, sizeof(page)));
		for (r = 0; !r && off < u64_min(stop, end); off += sizeof(page)) {
			r = image_read(&reader->image, off, page, sizeof(page));
			if (!r && !zero_pages(page, 1))
				r = lz4_writer_patch(writer, off, page, sizeof(page));
		}
		if (r)
			return r;
	}
	return r;
}

static int write_lz4(struct reader *reader, struct lz4_writer *writer, struct chunk *chunk,
	const struct kdump_progress *progress)
{
	const struct vmcore_trailer *trailer = &reader->trailer;
	uint64_t nr = vmcore_nr_chunks(trailer->ram, trailer->chunk);
	struct lz4_worker *worker;
	int r = lz4_worker_create(writer, &worker);

	if (r)
		return r;
	for (uint64_t i = 0; !r && i < nr;) {
		uint64_t holes = count_holes(reader, i, nr);

		r = holes ? lz4_writer_zeros(writer, i, holes) : put_chunk(reader, worker, chunk, i);
		i += u64_max(holes, 1);
		tell(progress, u64_min(i * trailer->chunk, trailer->ram), trailer->ram);
	}
	lz4_worker_destroy(worker);
	if (!r)
		r = lz4_writer_finish(writer);
	if (!r)
		r = patch(reader, writer, 0, trailer->head);
	if (!r)
		r = patch(reader, writer, trailer->head + trailer->ram, trailer->file_size);
	return r ? r : lz4_writer_sum(writer);
}

static const char *check_lz4(struct reader *reader)
{
	if (reader->kind == READER_FOREIGN)
		return "not a dump of minivmm's, which format lz4 is for";
	return reader->image.size / ZEROS_SHRINK > reader_data_bytes(reader) + HOLES_MAX
		       ? "so many holes that they would take gigabytes as LZ4 blocks, and none as elf"
		       : NULL;
}

static int save_lz4(struct reader *reader, int fd, const struct kdump_progress *progress)
{
	const struct vmcore_trailer *trailer = &reader->trailer;
	struct chunk chunk = {0};
	struct lz4_writer_options options = {
		.image = {trailer->head, trailer->ram, trailer->tail, trailer->chunk},
		.acceleration = LZ4_ACCELERATION_LEAST,
		.written = on_written,
		.written_arg = &chunk,
	};
	autofree void *table = NULL, *bytes = NULL;
	struct lz4_writer *writer;
	int r;

	if (!reader->has_trailer)
		return -EINVAL; /* not a dump of ours: its layout is not the format's */
	r = lz4_image_check(&options.image);
	if (r)
		return r;
	table = calloc(1, lz4_table_bytes(&options.image));
	bytes = malloc(trailer->chunk);
	if (!table || !bytes)
		return -ENOMEM;
	chunk.bytes = bytes;
	options.table = table;
	r = lz4_writer_create(fd, &options, &writer);
	if (r)
		return r;
	r = write_lz4(reader, writer, &chunk, progress);
	lz4_writer_destroy(writer);
	return r;
}

/* ---- all ------------------------------------------------------------------------------------------------ */

const struct save_format save_formats[] = {
	{"elf", ".vmcore", "an ELF file with holes, as it is in memory", NULL, save_elf, save_compare_image,
		true},
	{"lz4", ".vmcore.lz4", "a standard LZ4 file of that", check_lz4, save_lz4, save_compare_image,
		false},
	{"kdump", ".kdump", "a kdump file with zlib pages, for crash, drgn and makedumpfile", kdump_check,
		kdump_write, kdump_compare, false},
	{"virtual", ".virtual", "the ELF file with the virtual addresses of a Linux kernel, for gdb",
		save_virtual_check, save_virtual, NULL, false},
};
const size_t save_nr_formats = ARRAY_LEN(save_formats);

const struct save_format *save_find_format(const char *name)
{
	for (size_t i = 0; i < save_nr_formats; i++)
		if (!strcmp(save_formats[i].name, name))
			return &save_formats[i];
	return NULL;
}

int save_name(const char *path, const struct save_format *format, char name[NAME_MAX])
{
	const char *slash = strrchr(path, '/');
	const char *own = slash ? slash + 1 : path;
	size_t len = 0;

	if (publish_parse(own, &len) == PUBLISH_NONE)
		len = strlen(own);
	if (!len || len + strlen(format->suffix) >= NAME_MAX)
		return -ENAMETOOLONG;
	snprintf(name, NAME_MAX, "%.*s%s", (int)len, own, format->suffix);
	return 0;
}

/* Makes, fills and links the file @name. */
static int save_as(struct reader *reader, int dir_fd, const char *name, const struct save_format *format,
	const struct kdump_progress *progress)
{
	autoclose int proc_fd = publish_proc_open();
	autoclose int fd = -1;
	int r = proc_fd < 0 ? proc_fd : publish_tmpfile(dir_fd, 0, &fd);

	if (!r)
		r = format->write(reader, fd, progress);
	return r ? r
		 : commit(
			   &(struct commit){
				   .fd = fd,
				   .proc_fd = proc_fd,
				   .dir_fd = dir_fd,
				   .name = name,
				   .is_copy = true,
			   },
			   NULL);
}

/* -EINVAL unless all of it is there: the file up to its last byte, its trailer, each page that was selected. */
static int check_whole(struct reader *reader, char *why, size_t why_size)
{
	struct reader_counts counts;
	int r;

	if (reader->kind != READER_COMPLETE && reader->kind != READER_FOREIGN) {
		snprintf(why, why_size, "incomplete: minivmm dump salvage makes a whole dump of it");
		return -EINVAL;
	}
	if (reader->damage[0] || !image_is_whole(&reader->image)) {
		snprintf(why, why_size, "incomplete: %s",
			reader->damage[0] ? reader->damage : "the file ends too early");
		return -EINVAL;
	}
	r = reader_count(reader, &counts);
	if (r) {
		snprintf(why, why_size, "cannot count its pages: %s", strerror(-r));
		return r;
	}
	if (!counts.missing)
		return 0;
	snprintf(why, why_size, "incomplete: %" PRIu64 " of its pages are missing", counts.missing);
	return -EINVAL;
}

int save_check(struct reader *reader, const struct save_format *format, char *why, size_t why_size)
{
	int r = check_whole(reader, why, why_size);
	const char *wrong = r || !format->check ? NULL : format->check(reader);

	if (wrong) {
		snprintf(why, why_size, "%s", wrong);
		r = -EOPNOTSUPP;
	}
	return r;
}

int dump_save(struct reader *reader, const char *dir, const struct save_format *format,
	const struct kdump_progress *progress, char path[PATH_MAX], char *why, size_t why_size)
{
	autoclose int dir_fd = -1;
	char name[NAME_MAX] = "";
	int r;

	r = save_check(reader, format, why, why_size);
	if (r)
		return r;
	r = save_name(reader->path, format, name);
	if (!r && snprintf(path, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		r = -ENAMETOOLONG;
	if (!r) {
		dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = dir_fd < 0 ? -errno : 0;
	}
	/* asked now, so that nobody waits for nothing; linking asks again */
	if (!r && !faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW))
		r = -EEXIST;
	if (!r)
		r = save_as(reader, dir_fd, name, format, progress);
	if (r)
		snprintf(why, why_size, "not saved in %s as %s: %s", dir, name, strerror(-r));
	return r;
}
