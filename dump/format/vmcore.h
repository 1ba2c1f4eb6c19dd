/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/format/vmcore.h - the vmcore as it lies in a file: our notes, the tail room, and the writer of the head.
 * docs/vmcore.md is the specification in words; the structs here are what it describes.
 *
 *      head room                  RAM                        tail room
 *      | ELF header               | page at its own offset,  | page bitmap | progress | ... | trailer |
 *      | program headers          | holes: excluded, zero    | 1 bit/page    1 byte/chunk    last 4 KiB
 *      | notes                    | or not dumped yet
 *
 * Everything is little-endian and naturally aligned.  Knows nothing of KVM, of how the bytes of RAM
 * get there, or of file names.  Locks: none.
 */
#ifndef DUMP_FORMAT_VMCORE_H
#define DUMP_FORMAT_VMCORE_H

#include "dump/linux/linux_pages.h"
#include "dump/record/choices.h"
#include "dump/record/record.h"
#include "dump/region/layout.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Our notes' name and types.  The types start far away from those of core files, since gdb and crash
 * look at some notes' types without their names.
 */
#define VMCORE_NOTE_NAME "MINIVMM"
#define VMCORE_NOTE_META 0x4d4d0001     /* struct vmcore_meta */
#define VMCORE_NOTE_TIMELINE 0x4d4d0002 /* JSON text, VMCORE_TIMELINE_BYTES, padded with spaces */
#define VMCORE_NOTE_REGS 0x4d4d0003     /* array of struct fw_regs: what the guest's panic call named */
#define VMCORE_NOTE_RAW 0x4d4d0004      /* struct vmcore_raw and data: one vCPU's whole register state */

#define VMCORE_VERSION 1
/* our choice: twice what the moments of version 1 need, for those to come */
#define VMCORE_TIMELINE_BYTES 1024

/*
 * The notes lie in one of two places of the head room, so that new ones can be written beside those that are in use:
 * A is what is left of the first MiB behind the program headers, B is the second MiB.  With many program headers (virtual
 * addresses) there is only B.  Each has room for the notes of any record: checked in vmcore_notes.c.
 */
enum vmcore_slot { VMCORE_SLOT_A, VMCORE_SLOT_B };
#define VMCORE_SLOT_BYTES MIB(1)

/*
 * What says where the notes are and how many program headers there are.  All of it changes by one write inside one page, of
 * which a kill leaves all or nothing.
 */
struct vmcore_start {
	Elf64_Ehdr ehdr;
	Elf64_Phdr note;
};
#define VMCORE_HEADERS_MAX (sizeof(struct vmcore_start) + DUMP_SEGMENTS_MAX * sizeof(Elf64_Phdr))
_Static_assert(2 * VMCORE_SLOT_BYTES <= DUMP_HEAD_ROOM, "the head room has both places");

/* How many program headers with virtual addresses there is room for. */
#define VMCORE_VIRTUAL_MAX ((VMCORE_SLOT_BYTES - VMCORE_HEADERS_MAX) / sizeof(Elf64_Phdr))

/* Where the tables lie in the file; a pure function of layout and chunk size. */
struct vmcore_places {
	uint64_t bitmap_off;     /* file offset; multiple of 4 KiB */
	uint64_t bitmap_bytes;   /* bytes used: one bit a page, rounded up to 8 bytes */
	uint64_t progress_off;   /* file offset; multiple of 4 KiB */
	uint64_t progress_bytes; /* bytes used: number of chunks */
	uint64_t trailer_off;    /* file offset; the last 4 KiB of the file */
};

/* Note VMCORE_NOTE_META.  Fields are only ever added at the end; @size tells which are there. */
struct vmcore_meta {
	uint32_t version;    /* VMCORE_VERSION */
	uint32_t size;       /* bytes of this struct in the file */
	uint32_t generation; /* of the VM that crashed: 0 is the first VM of the guest */
	uint32_t reason;     /* enum dump_reason */
	uint32_t crash_cpu;  /* vCPU that crashed; 0 when none did */
	uint32_t nr_cpus;
	uint64_t wall_ns; /* host's wall clock at the crash, ns since 1970 */
	uint64_t detail;  /* reason-specific number */
	uint64_t head;    /* bytes: struct dump_layout */
	uint64_t ram;
	uint64_t tail;
	uint64_t chunk; /* bytes of one chunk */
	struct vmcore_places places;
	char reason_name[16]; /* these six: NUL-terminated, NUL-padded */
	char strategy[16];
	char selector[64];
	char guest[64];
	char name[96];
	char vmm_version[32];
	/* what the guest said in its panic call; all 0 without one; believed by nobody */
	uint64_t panic_time_ns;
	uint64_t panic_tsc;
	uint32_t panic_cpu;
	uint32_t panic_flags;
	uint64_t page_table;
	uint64_t page_desc;
	uint64_t nr_page_desc;
	uint64_t select;
	uint64_t nr_select;
	uint32_t nr_regs;          /* entries of note VMCORE_NOTE_REGS */
	uint32_t panic_string_len; /* bytes used in @panic_string */
	char panic_string[FW_PANIC_STRING_MAX];
	uint8_t id[DUMP_ID_BYTES]; /* the crash record's: the same in all files of this dump */
};

/* Starts a note VMCORE_NOTE_RAW; @bytes of {u32 type, u32 bytes, data, padding to 8} follow. */
struct vmcore_raw {
	uint32_t cpu; /* vCPU number; its NT_PRSTATUS has pr_pid = cpu + 1 */
	uint32_t bytes;
};

/* vmcore_trailer.role */
#define VMCORE_ROLE_DUMP 1   /* the dump: RAM holds what was dumped */
#define VMCORE_ROLE_REGION 2 /* the crashed VM's own memory: RAM holds what was not released */

/* vmcore_trailer.state; only ever changes downwards in this list */
#define VMCORE_STATE_PREPARING 1 /* bitmap not valid yet (take every page as selected); nothing released */
#define VMCORE_STATE_DUMPING 2   /* bitmap valid; the progress table tells which chunks are here */
#define VMCORE_STATE_FAILED 3    /* as DUMPING, and the dumper gave up: @error */
#define VMCORE_STATE_COMPLETE 4  /* every selected page is here */

/* One byte of the progress table. */
#define VMCORE_CHUNK_PENDING 0 /* the region still has all of the chunk's selected pages */
#define VMCORE_CHUNK_DONE 1    /* the dump has them; the region may have lost some or all */

#define VMCORE_TRAILER_MAGIC "MVMMTAIL" /* 8 bytes, no NUL */

/*
 * This file alone is not all there was, and has no tables that tell which pages are gone: any hole may be one.
 * In a region since before the first of its memory was released, when the tables are in the dump beside it.
 */
#define VMCORE_FLAG_RELEASED 1u

/*
 * In a dump on a disk: a chunk is marked as done, and a state set, only when what it speaks of is on the disk.  Without
 * it the marks tell what was written, and a write-back that failed since, which the kernel tells once, to somebody
 * who may be dead, makes them wrong.
 */
#define VMCORE_FLAG_DURABLE 2u

/* selectors that the trailer has counters for */
#define VMCORE_SELECTORS_MAX 8
_Static_assert(DUMP_SELECTORS_MAX == VMCORE_SELECTORS_MAX, "each has a counter");

/* our choice: reasons of the selector `linux` that the trailer has counters for */
#define VMCORE_REASONS_MAX 8
_Static_assert((int)LINUX_REASONS <= VMCORE_REASONS_MAX, "reasons have numbers in the file");

/*
 * Whose trailer it is: fixed when the file is made.  Together with the fields from nr_segments to selectors, which are
 * as fixed, it is what a dumper compares that goes on with the file of another one.
 */
struct vmcore_identity {
	uint8_t id[DUMP_ID_BYTES]; /* the crash record's */
	uint32_t strategy;         /* these three: the record's options */
	uint32_t sink;
	uint32_t selectors; /* with the level */
	uint32_t pad;
};

/* Start of the last 4 KiB of the file; what follows it there is 0. */
struct vmcore_trailer {
	char magic[8];
	uint32_t version;       /* VMCORE_VERSION */
	uint32_t size;          /* bytes of this struct in the file */
	uint32_t role;          /* VMCORE_ROLE_* */
	_Atomic uint32_t state; /* VMCORE_STATE_* */
	int32_t error;          /* -errno of a dumper that gave up, else 0 */
	uint32_t nr_segments;
	uint64_t file_size; /* head + ram + tail */
	uint64_t head;
	uint64_t ram;
	uint64_t tail;
	uint64_t chunk;
	struct vmcore_places places;
	struct dump_segment segments[DUMP_SEGMENTS_MAX];
	char name[96]; /* base name of the dump, the same in region and dump */
	/* The selectors, by number: 0 all, 1 zero, 2 list, 3 pages, 4 linux.  Final when the state is. */
	uint32_t selectors;  /* bit n: selector n was asked for */
	uint32_t distrusted; /* bit n: it kept every page, because it could not believe the guest */
	uint64_t excluded[VMCORE_SELECTORS_MAX]; /* pages that selector n was the first to exclude */
	char distrust[128];                      /* why, or why some pages are kept; NUL-terminated */
	uint32_t flags;                          /* VMCORE_FLAG_* */
	/* Selector `linux`: its level, 0 without it, and why it left out what it left out. */
	uint32_t linux_level;
	uint64_t reasons[VMCORE_REASONS_MAX]; /* pages, by enum linux_reason */
	struct vmcore_identity identity;
	uint64_t unreadable; /* selected pages that the host could not read: excluded */
};

/* Number of chunks of @chunk bytes; the last one may be short.  Both numbers are valid ones. */
static inline uint64_t vmcore_nr_chunks(uint64_t ram, uint64_t chunk)
{
	return (ram + chunk - 1) / chunk;
}

/*
 * Where the block table of a compressed dump (dump/lz4/lz4_table.h) lies in the region's file while the dump
 * is made: behind the progress table.
 */
static inline uint64_t vmcore_blocks_off(const struct vmcore_places *places)
{
	return places->progress_off + u64_align_up(places->progress_bytes, PAGE_SIZE_4K);
}

/*
 * Where it is noted while a dump is made, a u32 for each chunk, how many pages of it were dropped right before it was moved:
 * the last thing before the trailer.  0: there is no room for it behind the block table of a compressed dump.
 */
uint64_t vmcore_dropped_off(const struct vmcore_places *places);

/* @layout has passed dump_layout_check; @chunk obeys the rules of struct dump_options. */
struct vmcore_places vmcore_places(const struct dump_layout *layout, uint64_t chunk);

/* The notes of a vmcore, wherever they will lie. */
struct vmcore_notes {
	unsigned char *buf; /* heap block, owned */
	size_t bytes;
	size_t timeline; /* offset of the timeline text, VMCORE_TIMELINE_BYTES of it */
};

/* vmcore_notes_create - of @record as it is now.  Errors: -ENOMEM.  The caller frees ret->buf. */
int warn_unused vmcore_notes_create(const struct dump_record *record, struct vmcore_notes *ret);

/* File offset of notes in @slot, chosen so that their timeline, at @timeline of them, lies within one page. */
uint64_t vmcore_notes_off(enum vmcore_slot slot, const struct dump_layout *layout, size_t timeline);

/* The start of a file with @notes_bytes of notes at @notes_off and @nr_loads PT_LOAD. */
struct vmcore_start vmcore_start(uint64_t notes_off, size_t notes_bytes, size_t nr_loads);

/* The program headers of RAM.  Result: how many. */
size_t vmcore_loads(const struct dump_layout *layout, Elf64_Phdr loads[static DUMP_SEGMENTS_MAX]);

/*
 * vmcore_head_create - the bytes of a new file's head room, as far as they are used.
 * @more: @nr_more program headers besides, at most VMCORE_VIRTUAL_MAX.
 * Result: *ret_head (heap block, owned by the caller), *ret_bytes, and in *ret_timeline_off the file
 * offset of the timeline text, for vmcore_timeline().
 * Errors: -ENOMEM; -EFBIG if the notes do not fit into the head room.
 */
int warn_unused vmcore_head_create(const struct dump_record *record, const struct vmcore_notes *notes,
	const Elf64_Phdr *more, size_t nr_more, unsigned char **ret_head, size_t *ret_bytes,
	uint64_t *ret_timeline_off);

/* The timeline of @record as it stands now, padded: exactly VMCORE_TIMELINE_BYTES, no NUL. */
void vmcore_timeline(const struct dump_record *record, char text[static VMCORE_TIMELINE_BYTES]);

/* Fills in a trailer in state PREPARING. */
void vmcore_trailer_init(struct vmcore_trailer *trailer, const struct dump_record *record, uint32_t role);

/* True if the trailer, as it is in a file, was made for this record, whatever has happened since. */
bool vmcore_trailer_is_of(const struct vmcore_trailer *found, const struct dump_record *record);

#define VMCORE_OFFSET_ASSERT(type, field, offset)                                                          \
	_Static_assert(offsetof(struct type, field) == (offset), #type "." #field)
#define VMCORE_SIZE_ASSERT(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)

VMCORE_OFFSET_ASSERT(vmcore_meta, crash_cpu, 16);
VMCORE_OFFSET_ASSERT(vmcore_meta, wall_ns, 24);
VMCORE_OFFSET_ASSERT(vmcore_meta, head, 40);
VMCORE_OFFSET_ASSERT(vmcore_meta, chunk, 64);
VMCORE_OFFSET_ASSERT(vmcore_meta, places, 72);
VMCORE_OFFSET_ASSERT(vmcore_meta, reason_name, 112);
VMCORE_OFFSET_ASSERT(vmcore_meta, strategy, 128);
VMCORE_OFFSET_ASSERT(vmcore_meta, selector, 144);
VMCORE_OFFSET_ASSERT(vmcore_meta, guest, 208);
VMCORE_OFFSET_ASSERT(vmcore_meta, name, 272);
VMCORE_OFFSET_ASSERT(vmcore_meta, vmm_version, 368);
VMCORE_OFFSET_ASSERT(vmcore_meta, panic_time_ns, 400);
VMCORE_OFFSET_ASSERT(vmcore_meta, panic_tsc, 408);
VMCORE_OFFSET_ASSERT(vmcore_meta, panic_cpu, 416);
VMCORE_OFFSET_ASSERT(vmcore_meta, page_table, 424);
VMCORE_OFFSET_ASSERT(vmcore_meta, nr_page_desc, 440);
VMCORE_OFFSET_ASSERT(vmcore_meta, select, 448);
VMCORE_OFFSET_ASSERT(vmcore_meta, nr_regs, 464);
VMCORE_OFFSET_ASSERT(vmcore_meta, panic_string_len, 468);
VMCORE_OFFSET_ASSERT(vmcore_meta, panic_string, 472);
VMCORE_OFFSET_ASSERT(vmcore_meta, id, 1496);
VMCORE_SIZE_ASSERT(vmcore_meta, 1512);

VMCORE_OFFSET_ASSERT(vmcore_trailer, role, 16);
VMCORE_OFFSET_ASSERT(vmcore_trailer, state, 20);
VMCORE_OFFSET_ASSERT(vmcore_trailer, error, 24);
VMCORE_OFFSET_ASSERT(vmcore_trailer, nr_segments, 28);
VMCORE_OFFSET_ASSERT(vmcore_trailer, file_size, 32);
VMCORE_OFFSET_ASSERT(vmcore_trailer, chunk, 64);
VMCORE_OFFSET_ASSERT(vmcore_trailer, places, 72);
VMCORE_OFFSET_ASSERT(vmcore_trailer, segments, 112);
VMCORE_OFFSET_ASSERT(vmcore_trailer, name, 304);
VMCORE_OFFSET_ASSERT(vmcore_trailer, selectors, 400);
VMCORE_OFFSET_ASSERT(vmcore_trailer, excluded, 408);
VMCORE_OFFSET_ASSERT(vmcore_trailer, distrust, 472);
VMCORE_OFFSET_ASSERT(vmcore_trailer, flags, 600);
VMCORE_OFFSET_ASSERT(vmcore_trailer, linux_level, 604);
VMCORE_OFFSET_ASSERT(vmcore_trailer, reasons, 608);
VMCORE_OFFSET_ASSERT(vmcore_trailer, identity, 672);
VMCORE_OFFSET_ASSERT(vmcore_trailer, unreadable, 704);
VMCORE_SIZE_ASSERT(vmcore_trailer, 712);

#endif /* DUMP_FORMAT_VMCORE_H */
