/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/vmcore.h - reads minivmm's own parts of a vmcore, and completes one that a kill cut short.
 *
 * Written from docs/vmcore.md, like vmcore-check, which judges everything else.
 */
#ifndef TESTS_KVM_VMCORE_H
#define TESTS_KVM_VMCORE_H

#include <stddef.h>
#include <stdint.h>

/* Notes with the name MINIVMM. */
#define NOTE_META 0x4d4d0001u
#define NOTE_TIMELINE 0x4d4d0002u
#define NOTE_REGS 0x4d4d0003u

/* Offsets in the descriptor of NOTE_META. */
enum {
	META_VERSION = 0,
	META_GENERATION = 8,
	META_REASON = 12,
	META_CPU = 16,
	META_NR_CPUS = 20,
	META_WALL_NS = 24,
	META_RAM = 48,
	META_CHUNK = 64,
	META_REASON_NAME = 112,
	META_GUEST = 208,
	META_NAME = 272,
	META_PANIC_CPU = 416,
	META_PAGE_TABLE = 424,
	META_PAGE_DESC = 432,
	META_NR_PAGE_DESC = 440,
	META_NR_REGS = 464,
	META_STRING_LEN = 468,
	META_STRING = 472,
	META_SIZE = 1512,
};

/* Bytes of one struct fw_regs in NOTE_REGS. */
#define REGS_SIZE 192

/*
 * vmcore_note - the descriptor of the first note MINIVMM of @type.
 * Result: its length, and its first @size bytes in @buf; -ENOENT if there is none, -EINVAL if the file
 * is no such vmcore, else -errno.
 */
long vmcore_note(const char *path, uint32_t type, void *buf, size_t size);

/* A little-endian number at @offset of a descriptor. */
uint32_t vmcore_u32(const void *desc, size_t offset);
uint64_t vmcore_u64(const void *desc, size_t offset);

/*
 * vmcore_complete - what docs/vmcore.md tells to do with the two files of a dump that was cut short: every
 * chunk that is not in @dump (NAME.vmcore.partial) is copied there from @region (NAME.region.partial).
 * Result: chunks copied, or -errno; -EINVAL if a trailer is not what it must be.
 */
long vmcore_complete(const char *dump, const char *region);

#endif /* TESTS_KVM_VMCORE_H */
