/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firmware/abi.h - the guest-to-VMM call interface ("firmware calls"), version 1.
 *
 * One header for three readers: the host (firmware/dispatch.c), the guest (guest-stub/) and
 * assembly (only the plain numbers).  It includes nothing of the project and no system header
 * but <stdint.h> and <stddef.h>.  docs/firmware-calls.md is the specification in words.
 *
 * How a call is made:
 *
 *      guest memory                                  I/O port FW_PORT
 *      +------------------------+                    out32(FW_PORT, gpa >> FW_BLOCK_SHIFT)
 *      | struct fw_header       |  <--- gpa          the VMM copies the block in once, validates the
 *      | call-specific fields   |                    copy, acts, and copies the OUT fields back
 *      +------------------------+                    before the vCPU runs again
 *
 * Guest addresses in the structs are plain integers (fw_gpa_t): the host never dereferences them.
 * All fields are little-endian and naturally aligned; every offset is asserted below.
 * IN is written by the guest and read by the host, OUT the other way round.
 */
#ifndef FIRMWARE_ABI_H
#define FIRMWARE_ABI_H

/* our choice: unassigned on PC-compatible machines; 4 bytes wide, used for 32-bit in and out only */
#define FW_PORT 0x5f0
/* in32(FW_PORT) on a machine with firmware calls: "MVMM".  All ones means that there are none. */
#define FW_SIGNATURE 0x4d4d564d
/* "FWCB": first word of every call block */
#define FW_MAGIC 0x42435746
#define FW_VERSION 1
/* Blocks are aligned to 64 bytes, so that a 32-bit port reaches 256 GiB of guest-physical memory. */
#define FW_BLOCK_SHIFT 6
#define FW_BLOCK_ALIGN (1 << FW_BLOCK_SHIFT)
/* our choice: one page is enough for any block, larger data is passed by address */
#define FW_BLOCK_MAX 4096

/* Call numbers.  FW_QUERY tells which of them this VMM answers. */
#define FW_QUERY 0
#define FW_CONSOLE_WRITE 1
#define FW_PANIC 2
#define FW_DUMP_OPEN 3
#define FW_DUMP_WRITE 4
#define FW_DUMP_CLOSE 5
#define FW_MEM_ADD 6
#define FW_MEM_REMOVE 7
#define FW_EVENTS_POLL 8
#define FW_EVENTS_ACK 9
#define FW_READY 10
#define FW_HEARTBEAT 11
#define FW_REBOOT 12
#define FW_POWER_OFF 13
#define FW_NR_CALLS 14

/* fw_header.status */
#define FW_OK 0
#define FW_ENOTSUP (-1)   /* call number reserved or unknown, or not built into this VMM */
#define FW_EBLOCK (-2)    /* magic, version or size of the block is wrong */
#define FW_EFAULT (-3)    /* an address in the block is outside RAM */
#define FW_EINVAL (-4)    /* a field has a value that is not allowed */
#define FW_EBUSY (-5)     /* not now: e.g. a second panic call while the first is handled */
#define FW_ENOSPC (-6)    /* the host has no room for it */
#define FW_PENDING 0x7fff /* what the guest writes before the call: still there afterwards = not seen */

/* Limits of version 1 (our choice: bounds for the host, far above what a guest needs) */
#define FW_CONSOLE_MAX 65536     /* bytes in one console write */
#define FW_PANIC_STRING_MAX 1024 /* bytes of the panic string that are kept */
#define FW_PANIC_REGS_MAX 64     /* register areas in one panic call */
#define FW_SELECT_MAX 65536      /* tuples in one selection list */

/* fw_query.dump_mode */
#define FW_DUMP_MODE_VMM 0       /* the VMM dumps: one plain FW_PANIC is all there is to do */
#define FW_DUMP_MODE_HYPERCALL 1 /* the guest dumps by FW_DUMP_OPEN, _WRITE, _CLOSE */
#define FW_DUMP_MODE_ADDMEM 2    /* the guest dumps by copying into memory from FW_MEM_ADD */

/* fw_panic.flags: at most one of them */
#define FW_PANIC_BEGIN (1u << 0) /* the guest dumps by itself now: the call returns */
#define FW_PANIC_END (1u << 1)   /* the guest has dumped what it wants to: does not return */

/* fw_dump_write.flags */
#define FW_DUMP_RELEASE (1u << 0) /* the guest needs these bytes no more: give their memory back */

#define FW_STREAMS_MAX 64 /* open streams, and areas of added memory, of one VM */

/* fw_query.features */
#define FW_FEATURE_MEMORY_GROWS (1ull << 0) /* memory is added while the VM runs: see fw_event */

#define FW_EVENTS_MAX 64        /* events that may wait, and that one poll gives, at most */
#define FW_EVENT_MEMORY_ADDED 1 /* fw_event.type */

/* fw_page_desc.flags */
#define FW_PAGE_FREE (1u << 0)     /* in the guest's allocator: its contents do not matter */
#define FW_PAGE_RESERVED (1u << 1) /* not RAM the allocator manages (kernel image, tables) */
#define FW_PAGE_SLAB (1u << 2)     /* kernel objects */
#define FW_PAGE_USER (1u << 3)     /* belongs to an application */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

typedef uint64_t fw_gpa_t; /* guest-physical address, bytes */
typedef uint64_t fw_gva_t; /* guest-virtual address, bytes */

/* Starts every block. */
struct fw_header {
	uint32_t magic;   /* IN  FW_MAGIC */
	uint16_t version; /* IN  FW_VERSION */
	uint16_t call;    /* IN  FW_* call number */
	uint32_t size;    /* IN  bytes of the whole block, header included; at most FW_BLOCK_MAX */
	int32_t status;   /* OUT FW_OK or FW_E*; the guest puts FW_PENDING here first */
};

/* FW_QUERY: what this machine offers.  A block of 64 bytes will do: fields beyond a block's size are not given. */
struct fw_query {
	struct fw_header h;
	uint32_t version_min; /* OUT lowest interface version the VMM speaks */
	uint32_t version_max; /* OUT highest */
	uint64_t calls;       /* OUT bit n set: call number n is answered */
	uint64_t memory;      /* OUT bytes of RAM that this VM has now */
	uint32_t vcpus;       /* OUT number of vCPUs; their APIC ids are 0 .. vcpus-1 */
	uint32_t generation;  /* OUT 0 for the first VM of this guest, +1 for each one after it */
	uint32_t recovery;    /* OUT 1 if this VM was started because the one before it crashed */
	uint32_t tsc_khz;     /* OUT frequency of the guest's TSC in kHz; 0 if unknown */
	uint32_t dump_mode;   /* OUT FW_DUMP_MODE_*: who is to dump when this VM panics */
	uint32_t events_gsi;  /* OUT interrupt (GSI, edge) that tells that an event waits; 0 = none */
	uint64_t memory_max;  /* OUT bytes of RAM that this VM can get to: @memory unless memory grows */
	uint64_t features;    /* OUT FW_FEATURE_* */
	fw_gpa_t memory_end;  /* OUT guest-physical address behind the highest RAM that this VM can get */
};
#define FW_QUERY_MIN 64 /* bytes of an FW_QUERY block, at least */

/* FW_CONSOLE_WRITE: append bytes to the console. */
struct fw_console_write {
	struct fw_header h;
	fw_gpa_t buf;     /* IN  first byte */
	uint32_t len;     /* IN  bytes, at most FW_CONSOLE_MAX */
	uint32_t written; /* OUT bytes taken: all of them when status is FW_OK */
};

/* One vCPU's registers at the fault, as the guest's own handler saved them. */
struct fw_regs {
	uint32_t cpu;    /* vCPU number (APIC id) */
	uint32_t vector; /* exception vector, or 0xffffffff when there was no exception */
	uint64_t error;  /* error code pushed by the CPU, or 0 */
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags, cs, ss, cr2, cr3;
};

/* One tuple of a selection list: pages to dump. */
struct fw_select {
	fw_gva_t addr;  /* guest-virtual address in the address space of fw_panic.page_table */
	uint64_t pages; /* 4 KiB pages from there on */
};

/* One page descriptor of the array that fw_panic.page_desc names; index = page frame number. */
struct fw_page_desc {
	uint32_t refcount; /* 0: nobody uses the page */
	uint32_t flags;    /* FW_PAGE_* */
};

/*
 * FW_PANIC: the guest is dead.  All addresses may be 0 = not given.  The call does not return: the
 * VMM stops every vCPU where it is; the caller's registers in the dump are those at the out.
 */
struct fw_panic {
	struct fw_header h;
	uint64_t time_ns;      /* IN  guest's own wall clock at the panic, ns since 1970, or 0 */
	uint64_t tsc;          /* IN  guest's TSC at the panic, or 0 */
	uint32_t cpu;          /* IN  vCPU that panicked */
	uint32_t flags;        /* IN  FW_PANIC_* */
	fw_gpa_t string;       /* IN  panic message, not necessarily NUL-terminated */
	uint32_t string_len;   /* IN  its bytes; what is over FW_PANIC_STRING_MAX is cut */
	uint32_t nr_regs;      /* IN  entries at @regs, at most FW_PANIC_REGS_MAX */
	fw_gpa_t regs;         /* IN  array of struct fw_regs */
	fw_gpa_t page_table;   /* IN  page-table root (CR3 value) for the tuples of @select */
	fw_gpa_t page_desc;    /* IN  array of struct fw_page_desc */
	uint64_t nr_page_desc; /* IN  its entries; entry n describes guest frame n */
	fw_gpa_t select;       /* IN  array of struct fw_select */
	uint64_t nr_select;    /* IN  its entries, at most FW_SELECT_MAX */
};

/*
 * A guest that dumps by itself (fw_query.dump_mode): FW_PANIC with FW_PANIC_BEGIN and all metadata,
 * then the calls below from any number of vCPUs, then FW_PANIC with FW_PANIC_END.  Meanwhile the
 * recovery VM runs already.  When the guest crashes again, takes too long (dump.guest_timeout) or makes
 * a plain FW_PANIC instead, the VMM dumps what is left to dump in its own way.
 *
 * Streams and added memory are windows into the vmcore: what is written for guest-physical address a
 * ends up as the dump's contents of a.  Pages that the guest does not write are not in the dump.
 */

/* FW_DUMP_OPEN: a stream for guest-physical [start, start + len); ranges of streams may not overlap. */
struct fw_dump_open {
	struct fw_header h;
	fw_gpa_t start;  /* IN  multiple of 4 KiB */
	uint64_t len;    /* IN  bytes, multiple of 4 KiB, inside one run of RAM */
	uint32_t stream; /* OUT 1 .. FW_STREAMS_MAX */
	uint32_t pad;    /* IN  0 */
};

/* FW_DUMP_WRITE: like write(2) at the stream's position, which advances; several vCPUs may share it. */
struct fw_dump_write {
	struct fw_header h;
	uint32_t stream; /* IN */
	uint32_t flags;  /* IN  FW_DUMP_RELEASE or 0 */
	fw_gpa_t buf;    /* IN  first byte, in RAM */
	uint64_t len; /* IN  bytes; what is beyond the stream's end gives FW_EINVAL, nothing is written */
	uint64_t written; /* OUT bytes: all of @len when the status is FW_OK */
};

struct fw_dump_close {
	struct fw_header h;
	uint32_t stream; /* IN */
	uint32_t pad;    /* IN  0 */
};

/*
 * FW_MEM_ADD: memory that holds the dump's contents of guest-physical [start, start + len), at an
 * address that the VMM chooses.  It reads as zeros.  Allowed between FW_PANIC_BEGIN and _END.
 */
struct fw_mem_add {
	struct fw_header h;
	fw_gpa_t start; /* IN  multiple of 4 KiB */
	uint64_t len;   /* IN  bytes, multiple of 4 KiB, inside one run of RAM; areas may not overlap */
	fw_gpa_t added; /* OUT where it appears, multiple of 2 MiB plus start % 2 MiB, above all RAM */
};

/* FW_MEM_REMOVE: the area at @added disappears again; what was written to it stays in the dump. */
struct fw_mem_remove {
	struct fw_header h;
	fw_gpa_t added; /* IN  as FW_MEM_ADD gave it */
};

/*
 * Something happened that the guest should know.  Events are numbered from 1 in the order that they
 * happened.  Each rings the interrupt fw_query.events_gsi once, and waits until it is acknowledged.
 */
struct fw_event {
	uint64_t seq;     /* its number */
	uint32_t type;    /* FW_EVENT_*; a guest acknowledges types that it does not know, and no more */
	uint32_t pad;     /* 0 */
	uint64_t data[2]; /* MEMORY_ADDED: guest-physical address, bytes; both multiples of 2 MiB */
};

/* FW_EVENTS_POLL: copies the oldest events that wait; they go on waiting. */
struct fw_events_poll {
	struct fw_header h;
	fw_gpa_t buf;     /* IN  room for @max struct fw_event; what is filled must be RAM */
	uint32_t max;     /* IN  at most FW_EVENTS_MAX; 0 = just ask how many wait */
	uint32_t pad;     /* IN  0 */
	uint32_t count;   /* OUT events at @buf, in ascending order without a gap */
	uint32_t waiting; /* OUT events that wait, those at @buf among them */
};

/* FW_EVENTS_ACK: all events up to and including @seq wait no more. */
struct fw_events_ack {
	struct fw_header h;
	uint64_t seq; /* IN  number of an event that has happened; old ones are fine */
};

/* FW_READY: the guest's service answers; ends the downtime clock.  Only the first call of a VM counts. */
struct fw_ready {
	struct fw_header h;
};

/* FW_HEARTBEAT: feeds the watchdog (vm.watchdog). */
struct fw_heartbeat {
	struct fw_header h;
	uint64_t progress; /* IN  any number that the guest wants to see in the event log */
};

/* FW_REBOOT, FW_POWER_OFF: end this VM; do not return. */
struct fw_power {
	struct fw_header h;
	uint32_t code; /* IN  0; another value is reported in the event log and in the log line */
	uint32_t pad;  /* IN  0 */
};

#define FW_OFFSET_ASSERT(type, field, offset)                                                              \
	_Static_assert(offsetof(struct type, field) == (offset), #type "." #field)
#define FW_SIZE_ASSERT(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)

FW_OFFSET_ASSERT(fw_header, magic, 0);
FW_OFFSET_ASSERT(fw_header, version, 4);
FW_OFFSET_ASSERT(fw_header, call, 6);
FW_OFFSET_ASSERT(fw_header, size, 8);
FW_OFFSET_ASSERT(fw_header, status, 12);
FW_SIZE_ASSERT(fw_header, 16);

FW_OFFSET_ASSERT(fw_query, version_min, 16);
FW_OFFSET_ASSERT(fw_query, version_max, 20);
FW_OFFSET_ASSERT(fw_query, calls, 24);
FW_OFFSET_ASSERT(fw_query, memory, 32);
FW_OFFSET_ASSERT(fw_query, vcpus, 40);
FW_OFFSET_ASSERT(fw_query, generation, 44);
FW_OFFSET_ASSERT(fw_query, recovery, 48);
FW_OFFSET_ASSERT(fw_query, tsc_khz, 52);
FW_OFFSET_ASSERT(fw_query, dump_mode, 56);
FW_OFFSET_ASSERT(fw_query, events_gsi, 60);
FW_OFFSET_ASSERT(fw_query, memory_max, 64);
FW_OFFSET_ASSERT(fw_query, features, 72);
FW_OFFSET_ASSERT(fw_query, memory_end, 80);
FW_SIZE_ASSERT(fw_query, 88);

FW_OFFSET_ASSERT(fw_console_write, buf, 16);
FW_OFFSET_ASSERT(fw_console_write, len, 24);
FW_OFFSET_ASSERT(fw_console_write, written, 28);
FW_SIZE_ASSERT(fw_console_write, 32);

FW_OFFSET_ASSERT(fw_regs, cpu, 0);
FW_OFFSET_ASSERT(fw_regs, vector, 4);
FW_OFFSET_ASSERT(fw_regs, error, 8);
FW_OFFSET_ASSERT(fw_regs, rax, 16);
FW_OFFSET_ASSERT(fw_regs, rbx, 24);
FW_OFFSET_ASSERT(fw_regs, rcx, 32);
FW_OFFSET_ASSERT(fw_regs, rdx, 40);
FW_OFFSET_ASSERT(fw_regs, rsi, 48);
FW_OFFSET_ASSERT(fw_regs, rdi, 56);
FW_OFFSET_ASSERT(fw_regs, rbp, 64);
FW_OFFSET_ASSERT(fw_regs, rsp, 72);
FW_OFFSET_ASSERT(fw_regs, r8, 80);
FW_OFFSET_ASSERT(fw_regs, r15, 136);
FW_OFFSET_ASSERT(fw_regs, rip, 144);
FW_OFFSET_ASSERT(fw_regs, rflags, 152);
FW_OFFSET_ASSERT(fw_regs, cs, 160);
FW_OFFSET_ASSERT(fw_regs, ss, 168);
FW_OFFSET_ASSERT(fw_regs, cr2, 176);
FW_OFFSET_ASSERT(fw_regs, cr3, 184);
FW_SIZE_ASSERT(fw_regs, 192);

FW_SIZE_ASSERT(fw_select, 16);
FW_OFFSET_ASSERT(fw_select, pages, 8);
FW_SIZE_ASSERT(fw_page_desc, 8);
FW_OFFSET_ASSERT(fw_page_desc, flags, 4);

FW_OFFSET_ASSERT(fw_panic, time_ns, 16);
FW_OFFSET_ASSERT(fw_panic, tsc, 24);
FW_OFFSET_ASSERT(fw_panic, cpu, 32);
FW_OFFSET_ASSERT(fw_panic, flags, 36);
FW_OFFSET_ASSERT(fw_panic, string, 40);
FW_OFFSET_ASSERT(fw_panic, string_len, 48);
FW_OFFSET_ASSERT(fw_panic, nr_regs, 52);
FW_OFFSET_ASSERT(fw_panic, regs, 56);
FW_OFFSET_ASSERT(fw_panic, page_table, 64);
FW_OFFSET_ASSERT(fw_panic, page_desc, 72);
FW_OFFSET_ASSERT(fw_panic, nr_page_desc, 80);
FW_OFFSET_ASSERT(fw_panic, select, 88);
FW_OFFSET_ASSERT(fw_panic, nr_select, 96);
FW_SIZE_ASSERT(fw_panic, 104);

FW_OFFSET_ASSERT(fw_dump_open, start, 16);
FW_OFFSET_ASSERT(fw_dump_open, len, 24);
FW_OFFSET_ASSERT(fw_dump_open, stream, 32);
FW_SIZE_ASSERT(fw_dump_open, 40);
FW_OFFSET_ASSERT(fw_dump_write, stream, 16);
FW_OFFSET_ASSERT(fw_dump_write, flags, 20);
FW_OFFSET_ASSERT(fw_dump_write, buf, 24);
FW_OFFSET_ASSERT(fw_dump_write, len, 32);
FW_OFFSET_ASSERT(fw_dump_write, written, 40);
FW_SIZE_ASSERT(fw_dump_write, 48);
FW_OFFSET_ASSERT(fw_dump_close, stream, 16);
FW_SIZE_ASSERT(fw_dump_close, 24);
FW_OFFSET_ASSERT(fw_mem_add, start, 16);
FW_OFFSET_ASSERT(fw_mem_add, len, 24);
FW_OFFSET_ASSERT(fw_mem_add, added, 32);
FW_SIZE_ASSERT(fw_mem_add, 40);
FW_OFFSET_ASSERT(fw_mem_remove, added, 16);
FW_SIZE_ASSERT(fw_mem_remove, 24);

FW_OFFSET_ASSERT(fw_event, seq, 0);
FW_OFFSET_ASSERT(fw_event, type, 8);
FW_OFFSET_ASSERT(fw_event, data, 16);
FW_SIZE_ASSERT(fw_event, 32);
FW_OFFSET_ASSERT(fw_events_poll, buf, 16);
FW_OFFSET_ASSERT(fw_events_poll, max, 24);
FW_OFFSET_ASSERT(fw_events_poll, count, 32);
FW_OFFSET_ASSERT(fw_events_poll, waiting, 36);
FW_SIZE_ASSERT(fw_events_poll, 40);
FW_OFFSET_ASSERT(fw_events_ack, seq, 16);
FW_SIZE_ASSERT(fw_events_ack, 24);

FW_SIZE_ASSERT(fw_ready, 16);
FW_OFFSET_ASSERT(fw_heartbeat, progress, 16);
FW_SIZE_ASSERT(fw_heartbeat, 24);
FW_OFFSET_ASSERT(fw_power, code, 16);
FW_SIZE_ASSERT(fw_power, 24);

#endif /* __ASSEMBLER__ */
#endif /* FIRMWARE_ABI_H */
