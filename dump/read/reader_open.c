/* SPDX-License-Identifier: Apache-2.0 */
/* dump/read/reader_open.c - finds the files of a dump and what they are: see reader.h */
#include "dump/read/reader.h"

#include "dump/base/cleanup.h"
#include "dump/lz4/lz4_reader.h"
#include "dump/lz4/lz4_table.h"
#include "dump/files/publish.h"
#include "dump/read/reader_chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

const char *reader_kind_name(enum reader_kind kind)
{
	static const char *const names[READER_KINDS] = {
		[READER_FOREIGN] = "foreign",
		[READER_COMPLETE] = "complete",
		[READER_PARTIAL] = "partial",
		[READER_REGION] = "region",
	};

	return (unsigned)kind < READER_KINDS ? names[kind] : "unknown";
}

static void note_damage(struct reader *reader, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* include/linux/err.h: no error number is larger */
#define ERRNO_MAX 4095

/* The first thing wrong is the one to tell. */
static void note_damage(struct reader *reader, const char *fmt, ...)
{
	va_list args;

	if (reader->damage[0])
		return;
	va_start(args, fmt);
	vsnprintf(reader->damage, sizeof(reader->damage), fmt, args);
	va_end(args);
}

/* ---- the trailer ------------------------------------------------------------------------------------ */

/* Result: 1 and a valid trailer; 0 when there is none, with the damage noted if there is a broken one. */
static int read_trailer(struct reader *reader, struct image *image, struct vmcore_trailer *ret)
{
	struct vmcore_trailer trailer;
	const char *wrong;
	int r;

	if (image->size < PAGE_SIZE_4K)
		return 0;
	r = image_read(image, image->size - PAGE_SIZE_4K, &trailer, sizeof(trailer));
	if (r)
		return r == -ENODATA ? 0 : r;
	if (memcmp(trailer.magic, VMCORE_TRAILER_MAGIC, sizeof(trailer.magic)))
		return 0;
	wrong = reader_check_trailer(&trailer, image->size);
	if (wrong) {
		note_damage(reader, "the trailer is %s", wrong);
		return 0;
	}
	if (trailer.size < sizeof(trailer))
		memset((unsigned char *)&trailer + trailer.size, 0, sizeof(trailer) - trailer.size);
	trailer.distrust[sizeof(trailer.distrust) - 1] = '\0';
	if (trailer.error > 0 || trailer.error < -ERRNO_MAX)
		trailer.error = -EBADMSG;
	*ret = trailer;
	return 1;
}

/* ---- opening ---------------------------------------------------------------------------------------- */

static enum reader_kind kind_of(const struct reader *reader)
{
	const struct vmcore_trailer *trailer = &reader->trailer;

	if (!reader->has_trailer)
		return READER_FOREIGN;
	if (reader->compressed)
		return READER_PARTIAL;
	if (trailer->role == VMCORE_ROLE_REGION)
		return READER_REGION;
	return reader_state(reader) == VMCORE_STATE_COMPLETE ? READER_COMPLETE : READER_PARTIAL;
}

/* A region that is not this dump's would put another VM's memory into it. */
static bool regions_match(const struct vmcore_trailer *dump, const struct vmcore_trailer *region)
{
	return region->role == VMCORE_ROLE_REGION && region->head == dump->head &&
	       region->ram == dump->ram && !strcmp(region->name, dump->name) &&
	       !memcmp(region->segments, dump->segments, sizeof(dump->segments));
}

/* Takes @fd.  A region that cannot be used is noted as damage. */
static int attach_region(struct reader *reader, int fd)
{
	autoclose int owned = fd;
	struct vmcore_trailer trailer;
	int r;

	if (reader->kind != READER_PARTIAL)
		return 0;
	r = image_open_raw(owned, &reader->region);
	if (r) {
		note_damage(reader, "its region cannot be used: %s", strerror(-r));
		reader->region.fd = -1;
		return 0;
	}
	take_fd(&owned);
	r = read_trailer(reader, &reader->region, &trailer);
	if (r < 0)
		return r;
	/* no trailer: the host had no room for one */
	reader->has_region = reader->region.size == reader->trailer.file_size &&
			     (!r || regions_match(&reader->trailer, &trailer));
	if (!reader->has_region) {
		note_damage(reader, "the region beside it is of another VM");
		image_close(&reader->region);
	}
	return 0;
}

static void check_truncation(struct reader *reader)
{
	for (size_t i = 0; i < reader->core.nr_segments; i++) {
		const struct core_segment *segment = &reader->core.segments[i];
		uint64_t end = segment->off + segment->file_bytes; /* checked when it was parsed */

		if (segment->file_bytes && end > reader->image.size) {
			note_damage(reader, "the file is shorter than its headers say");
			return;
		}
	}
}

/* While a compressed dump is made, its region has its tables, and its writer's table of blocks. */
static int find_block_table(struct reader *reader)
{
	const struct vmcore_trailer *trailer = &reader->trailer;
	char magic[sizeof(LZ4_TABLE_MAGIC) - 1];
	int r;

	if (!reader->has_trailer || trailer->role != VMCORE_ROLE_REGION || !reader_has_bitmap(reader))
		return 0;
	r = image_read(&reader->image, vmcore_blocks_off(&trailer->places), magic, sizeof(magic));
	if (r)
		return r == -ENODATA ? 0 : r;
	reader->compressed = !memcmp(magic, LZ4_TABLE_MAGIC, sizeof(magic));
	reader->has_region = reader->compressed;
	return 0;
}

/*
 * The region of a compressed dump is set up: now the LZ4 file beside it.  Takes @fd.  One that cannot be used
 * is noted as damage, and what is done is then missing.
 */
static void attach_packed(struct reader *reader, int fd)
{
	autoclose int owned = fd;
	int r;

	if (!reader->compressed)
		return;
	r = image_open_lz4_partial(
		owned, reader->image.fd, vmcore_blocks_off(&reader->trailer.places), &reader->packed);
	if (!r && reader->packed.size == reader->trailer.file_size) {
		take_fd(&owned);
		return;
	}
	if (!r)
		lz4_reader_close(reader->packed.state);
	reader->packed.fd = -1;
	note_damage(reader, "the compressed dump beside the region cannot be used: %s",
		r ? strerror(-r) : "it is of another size");
}

int reader_reopen_packed(struct reader *reader)
{
	autoclose int fd = fcntl(reader->packed.fd, F_DUPFD_CLOEXEC, 0);
	struct image again;
	int r;

	if (fd < 0)
		return -errno;
	r = image_open_lz4_partial(
		fd, reader->image.fd, vmcore_blocks_off(&reader->trailer.places), &again);
	if (r)
		return r;
	take_fd(&fd);
	image_close(&reader->packed);
	reader->packed = again;
	return 0;
}

static int setup(struct reader *reader, int *fd, char *why, size_t why_size)
{
	int r;

	r = image_open(*fd, &reader->image);
	if (r) {
		reader->image.fd = -1;
		snprintf(why, why_size, "%s", r == -EINVAL ? "no crash dump" : strerror(-r));
		return r;
	}
	take_fd(fd);
	r = elfcore_read(&reader->image, &reader->core, why, why_size);
	if (!r)
		r = metadata_read(&reader->core, &reader->metadata);
	if (!r)
		r = read_trailer(reader, &reader->image, &reader->trailer);
	if (r == -EBADMSG)
		snprintf(why, why_size, "damaged: its headers or tables cannot be read");
	if (r < 0)
		return r;
	reader->has_trailer = r;
	r = find_block_table(reader);
	if (r)
		return r;
	reader->kind = kind_of(reader);
	check_truncation(reader);
	if (reader->metadata.has_meta && !reader->has_trailer)
		note_damage(reader, "its trailer is missing: which pages are in it is not known");
	if (reader_is_lossy(reader))
		note_damage(reader,
			"memory was released that only its dump has, which is not beside it: pages "
			"without contents may be missing");
	if (reader->core.notes_cut)
		note_damage(reader, "its notes are incomplete");
	return 0;
}

/* An LZ4 file whose tables are still in its region: its own trailer comes last.  At first it is empty. */
static bool is_unfinished_lz4(int fd)
{
	struct reader *reader;
	bool unfinished;
	struct stat st;
	char why[64];
	int own;

	if (!fstat(fd, &st) && !st.st_size)
		return true;
	if (!image_is_lz4(fd) || image_is_lz4_partial(fd))
		return image_is_lz4(fd);
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0 || reader_open_fds(own, -1, &reader, why, sizeof(why)))
		return true;
	unfinished = reader->kind != READER_COMPLETE;
	reader_close(reader);
	return unfinished;
}

int reader_open_fds(int fd, int region_fd, struct reader **ret, char *why, size_t why_size)
{
	autoclose int owned = fd, owned_region = region_fd;
	bool packed = region_fd >= 0 && is_unfinished_lz4(fd);
	struct reader *reader = calloc(1, sizeof(*reader));
	int r = -ENOMEM;

	why[0] = '\0';
	if (reader) {
		reader->image.fd = -1;
		reader->region.fd = -1;
		reader->packed.fd = -1;
		reader->scratch = malloc(READER_SCRATCH);
		r = reader->scratch ? setup(reader, packed ? &owned_region : &owned, why, why_size)
				    : -ENOMEM;
	}
	if (!r && packed)
		attach_packed(reader, take_fd(&owned));
	else if (!r && region_fd >= 0)
		r = attach_region(reader, take_fd(&owned_region));
	if (r) {
		if (!why[0])
			snprintf(why, why_size, "%s", strerror(-r));
		reader_close(reader);
		return r;
	}
	*ret = reader;
	return 0;
}

/*
 * Not a FIFO's writer to wait for, nor a terminal to be taken.  @more: O_NOFOLLOW for a file that nobody named, so
 * that a link which somebody else made in a shared directory leads nowhere.
 */
static int open_file(const char *path, int more)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | more);

	return fd < 0 ? -errno : fd;
}

/* The file @suffix beside @path, whose name has @base bytes before its own suffix. */
static int open_beside(const char *path, size_t base, const char *suffix, char **ret_path)
{
	autofree char *beside = NULL;
	int fd;

	if (asprintf(&beside, "%.*s%s", (int)base, path, suffix) < 0) {
		beside = NULL;
		return -ENOMEM;
	}
	fd = open_file(beside, O_NOFOLLOW);
	if (fd >= 0)
		*ret_path = take_ptr(&beside);
	return fd;
}

/*
 * Opens what is to be read for @path, and the region with it.  For a region that is the dump beside it: a
 * dump that was begun or even finished is where the memory has gone that the region has not got any more.
 */
static int open_pair(const char *path, int *ret_fd, int *ret_region, char **ret_path)
{
	autofree char *region_path = NULL, *dump_path = NULL;
	enum publish_file file;
	size_t base = 0;
	int fd;

	fd = open_file(path, 0);
	if (fd < 0)
		return fd;
	file = publish_parse(path, &base);
	if (file == PUBLISH_DUMP_PARTIAL)
		*ret_region = open_beside(path, base, ".region.partial", &region_path);
	*ret_fd = fd;
	if (file == PUBLISH_REGION_PARTIAL) {
		static const char *const suffixes[] = {
			".vmcore.partial", ".vmcore.lz4.partial", ".vmcore", ".vmcore.lz4"};
		int dump = -ENOENT;

		for (size_t i = 0; i < ARRAY_LEN(suffixes) && dump < 0; i++)
			dump = open_beside(path, base, suffixes[i], &dump_path);
		if (dump >= 0) {
			*ret_fd = dump;
			*ret_region = fd;
			*ret_path = take_ptr(&dump_path);
			return 0;
		}
	}
	*ret_path = strdup(path);
	return *ret_path ? 0 : -ENOMEM;
}

int reader_open(const char *path, const char *region_path, struct reader **ret, char *why, size_t why_size)
{
	autoclose int fd = -1, region = -1;
	autofree char *read_path = NULL;
	int r;

	r = open_pair(path, &fd, &region, &read_path);
	if (!r && region_path) {
		cleanup_close(&region);
		region = open_file(region_path, 0);
		r = region < 0 ? region : 0;
	}
	if (r) {
		snprintf(why, why_size, "%s", strerror(-r));
		return r;
	}
	r = reader_open_fds(take_fd(&fd), take_fd(&region), ret, why, why_size);
	if (!r)
		(*ret)->path = take_ptr(&read_path);
	return r;
}

void reader_close(struct reader *reader)
{
	if (!reader)
		return;
	image_close(&reader->packed);
	image_close(&reader->image);
	image_close(&reader->region);
	metadata_fini(&reader->metadata);
	elfcore_fini(&reader->core);
	free(reader->scratch);
	free(reader->path);
	free(reader);
}
