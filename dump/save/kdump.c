/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save/kdump.c - see kdump.h */
#include "dump/save/kdump.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/bitmap.h"
#include "dump/read/linux_dump.h"
#include "dump/read/reader_chunk.h"
#include "dump/base/zero_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <zlib.h>

/* diskdump_mod.h */
#define SIGNATURE "KDUMP   "
#define VERSION 6
#define BLOCK PAGE_SIZE_4K
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

struct page_desc {
	uint64_t off;
	uint32_t bytes, flags;
	uint64_t page_flags;
};
VMCORE_SIZE_ASSERT(page_desc, 24);

/* our choice: 16 TiB of guest-physical addresses; a bitmap has a bit for each page */
#define FRAMES_MAX (1ull << 32)
/*
 * our choices: so much memory costs 64 MiB of tables whatever is in the file; who names more has so many pages in the file for
 * each page that is not
 */
#define ABSENT_PAGES_FREE (1ull << 28)
#define ABSENT_PAGES_PER_PAGE 1024

/* our choices: pages that are read together, descriptors and bytes that are written together */
#define GROUP ZERO_PAGES_MAX
#define DESCS 4096
#define OUT_BYTES MIB(1)

struct writer {
	struct reader *reader;
	int fd;
	z_stream zlib;
	uint64_t *selected; /* owned: page bitmap of the dump; NULL = it has none */
	uint64_t *memory, *kept;
	uint64_t frames;        /* highest one that is memory, + 1 */
	uint64_t bitmap_blocks; /* of one bitmap */
	uint64_t nr_memory, nr_kept;
	uint64_t descs_off, zero_off;
	struct page_desc *descs; /* owned: DESCS of them, not written yet */
	size_t nr_descs;
	unsigned char *out; /* owned: OUT_BYTES and a page, not written yet */
	size_t out_bytes;
	uint64_t out_off; /* of @out in the file */
};

/* ---- which pages ---------------------------------------------------------------------------------------- */

static bool is_selected(const struct writer *w, uint64_t image_off)
{
	if (!w->selected || !reader_is_ram(w->reader, image_off))
		return true;
	return bitmap_test(w->selected, (image_off - w->reader->trailer.head) / PAGE_SIZE_4K);
}

static int load_selection(struct writer *w)
{
	const struct vmcore_trailer *trailer = &w->reader->trailer;
	uint64_t pages = trailer->ram / PAGE_SIZE_4K;

	if (!w->reader->has_trailer)
		return 0;
	w->selected = calloc((pages + 63) / 64, sizeof(uint64_t));
	if (!w->selected)
		return -ENOMEM;
	return image_read(&w->reader->image, trailer->places.bitmap_off, w->selected, (pages + 7) / 8);
}

/* The tables are known before anything is written.  What the pages take when they are packed is not. */
static int check_room(const struct writer *w, uint64_t nr_kept)
{
	uint64_t need = 2 * w->bitmap_blocks * BLOCK + nr_kept * sizeof(struct page_desc);
	struct statvfs fs;

	/* some file systems do not know */
	if (fstatvfs(w->fd, &fs) < 0 || !fs.f_blocks)
		return 0;
	return fs.f_bavail < need / fs.f_frsize ? -ENOSPC : 0;
}

/* Frames of the segment of which the file has a byte, [*ret_first, result). */
static uint64_t frames_there(const struct core_segment *seg, uint64_t *ret_first)
{
	uint64_t last = (seg->gpa + seg->size) / PAGE_SIZE_4K;

	*ret_first = (seg->gpa + PAGE_SIZE_4K - 1) / PAGE_SIZE_4K;
	if (!seg->file_bytes)
		return *ret_first;
	last = u64_min(last, (seg->gpa + seg->file_bytes + PAGE_SIZE_4K - 1) / PAGE_SIZE_4K);
	return u64_max(last, *ret_first);
}

static void take_segment(struct writer *w, const struct core_segment *seg)
{
	uint64_t first, there = frames_there(seg, &first), last = (seg->gpa + seg->size) / PAGE_SIZE_4K;

	if (first < last)
		bitmap_set_range(w->memory, first, last);
	if (!w->selected)
		bitmap_set_range(w->kept, first, there);
	for (uint64_t pfn = first; w->selected && pfn < there; pfn++)
		if (is_selected(w, seg->off + (pfn * PAGE_SIZE_4K - seg->gpa)))
			bitmap_set(w->kept, pfn);
}

static int find_pages(struct writer *w)
{
	const struct elfcore *core = &w->reader->core;
	uint64_t end = 0, there = 0, first;
	int r;

	for (size_t i = 0; i < core->nr_segments; i++) {
		end = u64_max(end, core->segments[i].gpa + core->segments[i].size);
		there += frames_there(&core->segments[i], &first) - first;
	}
	w->frames = end / PAGE_SIZE_4K;
	w->bitmap_blocks = (w->frames + 8 * BLOCK - 1) / (8 * BLOCK);
	if (!w->frames || w->frames > FRAMES_MAX)
		return -EFBIG;
	r = check_room(w, w->selected ? 0 : there); /* before there are tables in memory */
	if (r)
		return r;
	w->memory = calloc(w->bitmap_blocks, BLOCK);
	w->kept = calloc(w->bitmap_blocks, BLOCK);
	if (!w->memory || !w->kept)
		return -ENOMEM;
	for (size_t i = 0; i < core->nr_segments; i++)
		take_segment(w, &core->segments[i]);
	w->nr_memory = bitmap_count(w->memory, w->frames);
	w->nr_kept = bitmap_count(w->kept, w->frames);
	return check_room(w, w->nr_kept);
}

const char *kdump_check(struct reader *reader)
{
	uint64_t absent = 0, there = 0;

	for (size_t i = 0; i < reader->core.nr_segments; i++) {
		const struct core_segment *seg = &reader->core.segments[i];

		there += seg->file_bytes / PAGE_SIZE_4K;
		absent += (seg->size - u64_min(seg->size, seg->file_bytes)) / PAGE_SIZE_4K;
	}
	if (absent <= ABSENT_PAGES_FREE || absent / ABSENT_PAGES_PER_PAGE <= there)
		return NULL;
	return "its headers name far more memory than the file holds, and a kdump file has a bit for each "
	       "page";
}

/* ---- headers -------------------------------------------------------------------------------------------- */

/* What the kernel in the dump says of itself; zeros if there is none. */
static void take_kernel(const struct writer *w, struct header *header, struct sub_header *sub)
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

static int write_headers(struct writer *w)
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
	w->zero_off = w->descs_off + w->nr_kept * sizeof(struct page_desc);
	w->out_off = w->zero_off;
	r = io_pwrite_full(w->fd, &header, sizeof(header), 0);
	if (!r)
		r = io_pwrite_full(w->fd, &sub, sizeof(sub), BLOCK);
	if (!r)
		r = io_pwrite_full(w->fd, reader->core.notes, sub.notes_bytes, sub.notes_off);
	if (!r)
		r = io_pwrite_full(w->fd, w->memory, w->bitmap_blocks * BLOCK, bitmap_off);
	if (!r)
		r = io_pwrite_full(
			w->fd, w->kept, w->bitmap_blocks * BLOCK, bitmap_off + w->bitmap_blocks * BLOCK);
	return r;
}

/* ---- pages ---------------------------------------------------------------------------------------------- */

static int flush_out(struct writer *w)
{
	int r = io_pwrite_full(w->fd, w->out, w->out_bytes, w->out_off);

	w->out_off += w->out_bytes;
	w->out_bytes = 0;
	return r;
}

static int flush_descs(struct writer *w)
{
	int r = io_pwrite_full(w->fd, w->descs, w->nr_descs * sizeof(*w->descs), w->descs_off);

	w->descs_off += w->nr_descs * sizeof(*w->descs);
	w->nr_descs = 0;
	return r;
}

static int add_desc(struct writer *w, uint64_t off, uint32_t bytes, uint32_t flags)
{
	w->descs[w->nr_descs++] = (struct page_desc){.off = off, .bytes = bytes, .flags = flags};
	return w->nr_descs == DESCS ? flush_descs(w) : 0;
}

/* Appends the page to @out, compressed if that makes it smaller: bytes, and how in *ret_flags. */
static uint32_t pack(struct writer *w, const unsigned char *page, uint32_t *ret_flags)
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

static int write_page(struct writer *w, const unsigned char *page, bool zero)
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
static int write_group(struct writer *w, uint64_t first, uint64_t end, unsigned char *pages)
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

static int write_pages(struct writer *w, const struct kdump_progress *progress)
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

int kdump_write(struct reader *reader, int fd, const struct kdump_progress *progress)
{
	struct writer w = {.reader = reader, .fd = fd};
	int r = -ENOMEM;

	if (deflateInit(&w.zlib, Z_BEST_SPEED) != Z_OK)
		return -ENOMEM;
	w.descs = calloc(DESCS, sizeof(*w.descs));
	w.out = malloc(OUT_BYTES + PAGE_SIZE_4K);
	if (w.descs && w.out)
		r = load_selection(&w);
	if (!r)
		r = find_pages(&w);
	if (!r)
		r = write_headers(&w);
	if (!r)
		r = write_pages(&w, progress);
	deflateEnd(&w.zlib);
	free(w.selected);
	free(w.memory);
	free(w.kept);
	free(w.descs);
	free(w.out);
	return r;
}
