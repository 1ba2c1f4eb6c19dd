/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save/kdump.c - see kdump.h */
#include "dump/save/kdump_impl.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/bitmap.h"
#include "dump/read/linux_dump.h"
#include "dump/base/zero_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* diskdump_mod.h */
#define SIGNATURE "KDUMP   "
#define VERSION 6
#define BLOCK KDUMP_BLOCK
#define STATUS_ZLIB 1u /* of the header: what pages are compressed with */
#define PAGE_ZLIB 1u   /* of a descriptor */
#define UTS_BYTES 390  /* struct new_utsname: 6 x 65 */

/* struct disk_dump_header on x86-64 */
struct header {
	char signature[8];
	uint32_t version;
	char utsname[UTS_BYTES];
	char pad[6];
	uint64_t seconds, microseconds;
	uint32_t status, block_size;
	uint32_t sub_header_blocks, bitmap_blocks; /* both bitmaps */
	uint32_t max_mapnr, total_ram_blocks;      /* max_mapnr: 32 bits of it; all are in the sub header */
	uint32_t device_blocks, written_blocks;
	uint32_t current_cpu, nr_cpus;
};
VMCORE_OFFSET_ASSERT(header, seconds, 408);
VMCORE_OFFSET_ASSERT(header, block_size, 428);
VMCORE_SIZE_ASSERT(header, 464);

/* struct kdump_sub_header, version 6 */
struct sub_header {
	uint64_t phys_base;
	uint32_t dump_level, split;
	uint64_t start_pfn, end_pfn;
	uint64_t vmcoreinfo_off, vmcoreinfo_bytes;
	uint64_t notes_off, notes_bytes;
	uint64_t eraseinfo_off, eraseinfo_bytes;
	uint64_t start_pfn_64, end_pfn_64, max_mapnr;
};
VMCORE_SIZE_ASSERT(sub_header, 104);

/* our choices: pages that are read together, descriptors and bytes that are written together */
#define GROUP ZERO_PAGES_MAX
#define DESCS 4096
#define OUT_BYTES MIB(1)

/* All that is in the file goes through here: it is written, or compared with what is there. */
static int put(struct kdump_writer *w, const void *bytes, uint64_t len, uint64_t off)
{
	int r = 0;

	if (!w->there)
		return io_pwrite_full(w->fd, bytes, len, off);
	for (uint64_t at = 0, part; !r && at < len; at += part) {
		part = u64_min(len - at, OUT_BYTES);
		r = io_pread_full(w->fd, w->there, part, off + at);
		if (r == -ENODATA || (!r && memcmp(w->there, (const char *)bytes + at, part)))
			r = -EBADMSG;
	}
	return r;
}

/* ---- headers -------------------------------------------------------------------------------------------- */

/* What the kernel in the dump says of itself; zeros if there is none. */
static void take_kernel(const struct kdump_writer *w, struct header *header, struct sub_header *sub)
{
	struct linux_dump *dump;
	uint64_t symbol, offset;

	if (linux_dump_open(w->reader, false, &dump))
		return;
	sub->phys_base = dump->kernel.phys_base;
	if (vmcoreinfo_symbol(&dump->kernel.info, "init_uts_ns", &symbol) &&
		vmcoreinfo_measure(&dump->kernel.info, "OFFSET", "uts_namespace.name", 4096, &offset) &&
		linux_kernel_read(&dump->kernel, symbol + offset, header->utsname, UTS_BYTES))
		memset(header->utsname, 0, UTS_BYTES);
	linux_dump_close(dump);
}

static int write_headers(struct kdump_writer *w)
{
	const struct reader *reader = w->reader;
	const struct metadata *metadata = &reader->metadata;
	uint64_t wall_ns = metadata->has_meta ? metadata->meta.wall_ns : 0;
	struct sub_header sub = {
		.dump_level = reader->has_trailer ? reader->trailer.linux_level : 0,
		.notes_off = BLOCK + sizeof(sub),
		.notes_bytes = reader->core.notes_bytes,
		.max_mapnr = w->frames,
	};
	struct header header = {
		.version = VERSION,
		.seconds = wall_ns / NSEC_PER_SEC,
		.microseconds = wall_ns % NSEC_PER_SEC / NSEC_PER_USEC,
		.status = STATUS_ZLIB,
		.block_size = BLOCK,
		.sub_header_blocks = (uint32_t)((sizeof(sub) + sub.notes_bytes + BLOCK - 1) / BLOCK),
		.bitmap_blocks = (uint32_t)(2 * w->bitmap_blocks),
		.max_mapnr = (uint32_t)u64_min(w->frames, UINT32_MAX),
		.total_ram_blocks = (uint32_t)u64_min(w->nr_memory, UINT32_MAX),
		.current_cpu = metadata->has_meta ? metadata->meta.crash_cpu : 0,
		.nr_cpus = metadata->nr_cpus,
	};
	uint64_t bitmap_off = (1 + (uint64_t)header.sub_header_blocks) * BLOCK;
	static const unsigned char zeros[BLOCK];
	unsigned char start[BLOCK + sizeof(sub)] = {0};
	int r;

	memcpy(header.signature, SIGNATURE, sizeof(header.signature));
	if (metadata->vmcoreinfo) {
		sub.vmcoreinfo_off = sub.notes_off +
				     (uint64_t)((const unsigned char *)metadata->vmcoreinfo -
						reader->core.notes);
		sub.vmcoreinfo_bytes = metadata->vmcoreinfo_len;
	}
	take_kernel(w, &header, &sub);
	w->descs_off = bitmap_off + 2 * w->bitmap_blocks * BLOCK;
	w->zero_off = w->descs_off + w->nr_kept * sizeof(struct kdump_page_desc);
	w->out_off = w->zero_off;
	memcpy(start, &header, sizeof(header));
	memcpy(start + BLOCK, &sub, sizeof(sub));
	r = put(w, start, BLOCK + sizeof(sub), 0);
	if (!r)
		r = put(w, reader->core.notes, sub.notes_bytes, sub.notes_off);
	if (!r) /* also what fills the last block, so that each byte of the file is one that was written */
		r = put(w, zeros, bitmap_off - sub.notes_off - sub.notes_bytes,
			sub.notes_off + sub.notes_bytes);
	if (!r)
		r = put(w, w->memory, w->bitmap_blocks * BLOCK, bitmap_off);
	if (!r)
		r = put(w, w->kept, w->bitmap_blocks * BLOCK, bitmap_off + w->bitmap_blocks * BLOCK);
	return r;
}

/* ---- pages ---------------------------------------------------------------------------------------------- */

static int flush_out(struct kdump_writer *w)
{
	int r = put(w, w->out, w->out_bytes, w->out_off);

	w->out_off += w->out_bytes;
	w->out_bytes = 0;
	return r;
}

static int flush_descs(struct kdump_writer *w)
{
	int r = put(w, w->descs, w->nr_descs * sizeof(*w->descs), w->descs_off);

	w->descs_off += w->nr_descs * sizeof(*w->descs);
	w->nr_descs = 0;
	return r;
}

static int add_desc(struct kdump_writer *w, uint64_t off, uint32_t bytes, uint32_t flags)
{
	w->descs[w->nr_descs++] = (struct kdump_page_desc){.off = off, .bytes = bytes, .flags = flags};
	return w->nr_descs == DESCS ? flush_descs(w) : 0;
}

/* Appends the page to @out, compressed if that makes it smaller: bytes, and how in *ret_flags. */
static uint32_t pack(struct kdump_writer *w, const unsigned char *page, uint32_t *ret_flags)
{
	unsigned char *to = w->out + w->out_bytes;

	w->zlib.next_in = (unsigned char *)(uintptr_t)page;
	w->zlib.avail_in = PAGE_SIZE_4K;
	w->zlib.next_out = to;
	w->zlib.avail_out = PAGE_SIZE_4K - 1;
	*ret_flags = PAGE_ZLIB;
	if (deflateReset(&w->zlib) == Z_OK && deflate(&w->zlib, Z_FINISH) == Z_STREAM_END)
		return (uint32_t)(PAGE_SIZE_4K - 1 - w->zlib.avail_out);
	*ret_flags = 0;
	memcpy(to, page, PAGE_SIZE_4K);
	return PAGE_SIZE_4K;
}

static int write_page(struct kdump_writer *w, const unsigned char *page, bool zero)
{
	uint64_t off = w->out_off + w->out_bytes;
	uint32_t bytes, flags;
	int r;

	if (zero)
		return add_desc(w, w->zero_off, PAGE_SIZE_4K, 0);
	bytes = pack(w, page, &flags);
	w->out_bytes += bytes;
	r = add_desc(w, off, bytes, flags);
	return !r && w->out_bytes >= OUT_BYTES ? flush_out(w) : r;
}

/* Frames [@first, @end), at most GROUP, all kept and in one piece. */
static int write_group(struct kdump_writer *w, uint64_t first, uint64_t end, unsigned char *pages)
{
	uint64_t zero;
	int r;

	r = reader_read(w->reader, first * PAGE_SIZE_4K, pages, (end - first) * PAGE_SIZE_4K);
	if (r)
		return r;
	zero = zero_pages(pages, end - first);
	for (uint64_t i = 0; !r && i < end - first; i++)
		r = write_page(w, pages + i * PAGE_SIZE_4K, zero >> i & 1);
	return r;
}

static int write_pages(struct kdump_writer *w, const struct kdump_progress *progress)
{
	autofree unsigned char *pages = aligned_alloc(PAGE_SIZE_4K, GROUP * PAGE_SIZE_4K);
	int r = 0;

	if (!pages)
		return -ENOMEM;
	memset(w->out, 0, PAGE_SIZE_4K); /* the page of zeros */
	w->out_bytes = PAGE_SIZE_4K;
	for (uint64_t pfn = 0, end; !r; pfn = end) {
		pfn = bitmap_next(w->kept, pfn, w->frames, true);
		if (pfn == w->frames)
			break;
		end = bitmap_next(w->kept, pfn, u64_min(pfn + GROUP, w->frames), false);
		r = write_group(w, pfn, end, pages);
		if (progress && progress->tell)
			progress->tell(progress->arg, end, w->frames);
	}
	if (!r)
		r = flush_descs(w);
	return r ? r : flush_out(w);
}

static int write_file(struct kdump_writer *w, const struct kdump_progress *progress)
{
	int r = -ENOMEM;

	if (deflateInit(&w->zlib, Z_BEST_SPEED) != Z_OK)
		return -ENOMEM;
	w->descs = calloc(DESCS, sizeof(*w->descs));
	w->out = malloc(OUT_BYTES + PAGE_SIZE_4K);
	if (w->descs && w->out)
		r = kdump_select(w);
	if (!r)
		r = write_headers(w);
	if (!r)
		r = write_pages(w, progress);
	deflateEnd(&w->zlib);
	free(w->selected);
	free(w->memory);
	free(w->kept);
	free(w->descs);
	free(w->out);
	return r;
}

int kdump_write(struct reader *reader, int fd, const struct kdump_progress *progress)
{
	return write_file(&(struct kdump_writer){.reader = reader, .fd = fd}, progress);
}

int kdump_compare(struct reader *reader, int fd, const struct kdump_progress *progress)
{
	autofree unsigned char *there = malloc(OUT_BYTES);
	struct kdump_writer w = {.reader = reader, .fd = fd, .there = there};
	struct stat st;
	int r = there ? write_file(&w, progress) : -ENOMEM;

	if (!r && fstat(fd, &st) < 0)
		r = -errno;
	return !r && (uint64_t)st.st_size != w.out_off ? -EBADMSG : r;
}
