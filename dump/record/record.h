/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/record/record.h - the crash record: everything the dumper must know about a dead VM besides its
 * memory.  It lies in a memfd that the VMM creates and that both processes map.
 *
 * The VMM fills it before it sends it.  From then on both change it: the timeline (atomics, written by whichever process
 * sees the moment), what a dumper leaves for its successor, what it finds of a Linux guest.  A dumper that its input has
 * taken over can change all of it at any moment: what the VMM needs of the record later, its size above all, it has
 * copied before it sent it, and the rest is for people to read.  Both ends are the same binary, so the structs need no
 * versioning between them; what reaches a file is encoded by dump/format/vmcore.c.
 *
 * The strings and numbers that come from the guest are hostile: bounded here, never trusted.
 */
#ifndef DUMP_RECORD_RECORD_H
#define DUMP_RECORD_RECORD_H

#include "dump/region/layout.h"
#include "dump/linux/linux_report.h"
#include "dump/linux/vmcoreinfo.h"
#include "firmware/abi.h"

#include <stdatomic.h>
#include <stdint.h>

#define DUMP_RECORD_MAGIC 0x4452434d /* "MCRD" */

/* our choices: bounds of what is kept */
#define DUMP_NAME_MAX 96   /* bytes of a dump's base name, with the NUL */
#define DUMP_VCPUS_MAX 64  /* vCPUs of one VM */
#define DUMP_ID_BYTES 16   /* by chance: no two dumps have the same */
#define DUMP_RAW_MAX 14336 /* bytes of raw register state of one vCPU: see enum dump_raw */

/* Why a VM counts as crashed.  dump_reason_name() gives the words used in logs, events and notes. */
enum dump_reason {
	DUMP_REASON_PANIC,          /* "panic": the panic firmware call */
	DUMP_REASON_TRIPLE_FAULT,   /* "triple-fault": KVM_EXIT_SHUTDOWN */
	DUMP_REASON_INTERNAL_ERROR, /* "internal-error": KVM could not emulate the guest */
	DUMP_REASON_ENTRY_FAILED,   /* "entry-failed": the CPU refused the guest's state */
	DUMP_REASON_HANG,           /* "hang": the watchdog ran out */
	DUMP_REASON_OPERATOR,       /* "operator": SIGUSR1 */
	DUMP_REASON_PVPANIC,        /* "pvpanic": the pvpanic device */
	DUMP_REASON_NO_MEMORY,      /* "no-memory": the host had none for it */
	DUMP_REASON_NR
};
const char *dump_reason_name(enum dump_reason reason);

/* Moments of a crash, CLOCK_MONOTONIC ns, 0 = not yet.  dump_moment_name() gives the words. */
enum dump_moment {
	DUMP_MOMENT_CRASH,         /* "crash": the VMM saw the panic call, fault, time-out or signal */
	DUMP_MOMENT_PARKED,        /* "parked": every vCPU stopped, registers saved */
	DUMP_MOMENT_RECOVERY_RUN,  /* "recovery-run": first KVM_RUN of the next VM */
	DUMP_MOMENT_DUMP_START,    /* "dump-start": the dumper has the record and the region */
	DUMP_MOMENT_LINKED,        /* "linked": region and dump have .partial names; a kill loses nothing */
	DUMP_MOMENT_FIRST_RELEASE, /* "first-release": the first memory went back to the host */
	DUMP_MOMENT_EXCLUDED,  /* "excluded": what no copy is needed of went back; not with selector all */
	DUMP_MOMENT_COPIED,    /* "copied": the last chunk was dumped and released */
	DUMP_MOMENT_PUBLISHED, /* "published": the dump is complete under its final name */
	DUMP_MOMENT_READY,     /* "ready": the next VM's service answered */
	DUMP_MOMENT_NR
};
const char *dump_moment_name(enum dump_moment moment);

#define DUMP_LEVEL_MAX 65537 /* liblz4's fastest and least */

enum dump_order { DUMP_ORDER_ASCENDING, DUMP_ORDER_DESCENDING, DUMP_ORDER_NR };
const char *dump_order_name(size_t order); /* NULL from DUMP_ORDER_NR on */

/* How to dump.  Indexes are into the tables of dump/record/choices.h. */
struct dump_options {
	uint32_t strategy;  /* index into dump_strategies[] */
	uint32_t selectors; /* bit n = dump_selectors[n], and a level: dump/record/choices.h */
	uint32_t workers;   /* threads, 1..64; 0 = one for every two CPUs of the host, 1..4 */
	uint32_t sink;      /* index into dump_sinks[] */
	uint32_t level;     /* of the sink's compression: 1 .. DUMP_LEVEL_MAX; 0 = 1 */
	uint32_t order;     /* of chunks: enum dump_order */
	uint32_t
		virtual_headers; /* 1: a Linux kernel's virtual addresses in the program headers (dump/format/virtual.h) */
	uint32_t pad;
	uint64_t chunk; /* bytes of one unit of dumping and release; power of two, DUMP_CHUNK_MIN .. _MAX */
};

/* Layout of one segment register as in QEMU's CPU note (docs/vmcore.md). */
struct dump_cpu_segment {
	uint32_t selector, limit, flags, pad;
	uint64_t base;
};

/* Contents of dump_cpu.raw: a sequence of {u32 type, u32 bytes, data, padding to 8 bytes}. */
enum dump_raw {
	DUMP_RAW_REGS = 1,  /* struct kvm_regs */
	DUMP_RAW_SREGS,     /* struct kvm_sregs */
	DUMP_RAW_XSAVE,     /* XSAVE area, standard format */
	DUMP_RAW_EVENTS,    /* struct kvm_vcpu_events */
	DUMP_RAW_MSRS,      /* pairs of u64: index, value */
	DUMP_RAW_DEBUGREGS, /* struct kvm_debugregs */
	DUMP_RAW_LAPIC,     /* 1 KiB of APIC registers */
	DUMP_RAW_MP_STATE,  /* u32: KVM_MP_STATE_* */
};

/* One vCPU as it was parked. */
struct dump_cpu {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
	struct dump_cpu_segment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
	uint64_t cr[5]; /* cr[1] is 0 */
	uint64_t kernel_gs_base;
	uint32_t apic_id;
	uint32_t saved;   /* 0: this vCPU's registers could not be read; everything above is 0 */
	uint32_t raw_len; /* bytes used in @raw, at most DUMP_RAW_MAX */
	uint32_t pad;
	uint8_t raw[DUMP_RAW_MAX];
};

struct dump_record {
	uint32_t magic;      /* DUMP_RECORD_MAGIC */
	uint32_t size;       /* bytes of the whole record with its vCPUs */
	uint32_t generation; /* of the VM that crashed */
	uint32_t reason;     /* enum dump_reason */
	uint32_t crash_cpu;  /* vCPU that crashed; 0 when none did (hang, operator) */
	uint32_t nr_cpus;    /* 1 .. DUMP_VCPUS_MAX */
	uint64_t wall_ns;    /* host's CLOCK_REALTIME at the crash */
	uint64_t detail;     /* reason-specific: KVM suberror, hardware entry failure reason, else 0 */
	uint8_t id[DUMP_ID_BYTES]; /* of this crash: in each of its files */
	struct dump_options options;
	struct dump_layout layout;
	char guest[64];           /* vm.name, NUL-terminated */
	char name[DUMP_NAME_MAX]; /* base name of the dump: <guest>-<UTC time>-g<generation> */
	char vmm_version[32];
	struct fw_panic panic;     /* as the guest gave it; all 0 without a panic call */
	uint32_t panic_string_len; /* bytes used in @panic_string */
	uint32_t nr_regs;          /* entries used in @regs */
	char panic_string[FW_PANIC_STRING_MAX];
	struct fw_regs regs[FW_PANIC_REGS_MAX];
	_Atomic uint64_t moments[DUMP_MOMENT_NR];
	/*
	 * For a dumper that goes on after another one: from here on memory may be missing, so that what was learnt of it is
	 * in the files and here, and nowhere else; and the file that is about to get, or has, the final name, 0 = none.
	 */
	_Atomic uint32_t released;
	uint32_t pad;
	_Atomic uint64_t final_dev, final_ino;
	/* The dumper's: what it found in the memory of a Linux guest; 0 bytes before and without. */
	uint32_t vmcoreinfo_len;
	char vmcoreinfo[VMCOREINFO_TEXT_MAX];
	struct linux_report linux_report; /* for the VMM once the dump is done; it cleans a copy */
	struct dump_cpu cpus[];
};

/*
 * dump_record_create - a new record for @nr_cpus vCPUs, zeroed, magic, size, nr_cpus and id set.
 * Result: *ret_fd (owned by the caller, close-on-exec) and *ret_record (mapped; dump_record_unmap).
 */
int warn_unused dump_record_create(uint32_t nr_cpus, int *ret_fd, struct dump_record **ret_record);

/*
 * dump_record_map - map a record received as @fd and check every field a reader relies on.  The
 * file is sealed against changes of its size, so that neither process can make the other fault.
 * Errors: -EINVAL for a record that breaks a rule, else -errno.  @fd stays the caller's.
 */
int warn_unused dump_record_map(int fd, struct dump_record **ret_record);

/* Bytes of a record for @nr_cpus vCPUs. */
size_t dump_record_bytes(uint32_t nr_cpus);

/* @nr_cpus: as when it was created or mapped, from memory that only this process can write; @record may be NULL. */
void dump_record_unmap(struct dump_record *record, uint32_t nr_cpus);

/* Sets a moment if it is not set yet.  Any thread of either process. */
void dump_record_mark(struct dump_record *record, enum dump_moment moment, uint64_t ns);

#endif /* DUMP_RECORD_RECORD_H */
