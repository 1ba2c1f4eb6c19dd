/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/config/config.h - guest.cfg: what one guest is, how it is dumped, how it comes back.
 *
 * An INI file read by libinih, then overrides from the command line, then defaults and checks.
 * vmm/config/options.c holds the table of keys; docs/guest.cfg.md documents each of them.
 *
 * Locks: none; a config is made by one thread and read-only afterwards.
 */
#ifndef VMM_CONFIG_CONFIG_H
#define VMM_CONFIG_CONFIG_H

#include "dump/base/num.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* our choice: with the entropy device they fill the places for virtio-mmio devices (memmap.h) at most */
#define CONFIG_DISKS_MAX 8
#define CONFIG_NETS_MAX 7

/* bytes of an Ethernet address; the bit of the first one that means more than one receiver (IEEE 802) */
#define TAP_MAC_LEN 6
#define TAP_MAC_MULTICAST 1u

/* [disk NAME] */
struct config_disk {
	char *name;
	char *path; /* image or block device */
	bool readonly;
	bool direct; /* past the host's page cache */
};

/* [net NAME]: either tap or fd */
struct config_net {
	char *name;
	char *tap;   /* interface; "" = none */
	uint64_t fd; /* inherited descriptor; 0 = none */
	char *mac;   /* "" = derived from the names */
};

/* Every string is owned (heap) and never NULL after config_finish, "" = not given. */
struct config {
	char *path; /* of the file, for messages */
	struct {
		char *name;   /* of the guest: directory, dump names, messages */
		char *kernel; /* bzImage, or ELF file with a PVH entry note */
		char *initrd; /* "" = none */
		char *cmdline;
		uint64_t memory;        /* bytes, multiple of 2 MiB */
		char *memory_dir;       /* on tmpfs: guest RAM */
		bool memory_overcommit; /* also on one that is smaller than the guest */
		uint64_t vcpus;
		uint64_t watchdog;     /* ns without a sign of life that count as a hang; 0 = off */
		uint64_t stop_timeout; /* ns that a guest may take to power off when asked; 0 = any time */
		char *control;         /* path of the control socket, or "none" */
	} vm;
	struct {
		bool enabled;
		char *dir;                   /* of published dumps */
		uint64_t huge_pages;         /* index into huge_pages_names: auto, off */
		uint64_t strategy;           /* index into dump_strategies[] */
		uint64_t select;             /* bit n = dump_selectors[n]: dump/record/choices.h */
		uint64_t chunk;              /* bytes */
		uint64_t max_count;          /* dumps kept in dump.dir; 0 = any number */
		uint64_t max_bytes;          /* of memory or disk behind them; 0 = any */
		uint64_t rotate;             /* enum rotate */
		uint64_t guest_timeout;      /* ns that a guest may take to dump by itself */
		uint64_t workers;            /* 0 = chosen by the dumper */
		uint64_t compress;           /* index into dump_sinks[] */
		uint64_t compress_level;     /* acceleration of LZ4 */
		uint64_t order;              /* enum dump_order */
		bool virtual;                /* a Linux kernel's addresses in the program headers */
		char *fallback_dir;          /* for a dump that has no room in dir; "" = none */
		uint64_t fallback_max_count; /* the same two for dump.fallback_dir */
		uint64_t fallback_max_bytes;
		uint64_t stall_timeout; /* ns without a word from the dumper; 0 = wait for ever */
	} dump;
	struct {
		bool enabled;
		char *kernel;      /* default: vm.kernel */
		char *initrd;      /* default: vm.initrd if the kernel is vm.kernel by default, else none */
		char *cmdline;     /* default: vm.cmdline */
		uint64_t max;      /* recoveries in a row; 0 = none at all */
		uint64_t backoff;  /* ns before a recovery that follows a crashed recovery; doubles */
		uint64_t stable;   /* ns after which a VM is a fresh start, not part of a row of crashes */
		bool concurrent;   /* false: only when the dump is over */
		uint64_t handover; /* enum handover_kind */
		uint64_t reserve;  /* bytes beside vm.memory */
		uint64_t overcommit; /* enum overcommit */
		uint64_t initial;    /* bytes; HANDOVER_EXPLICIT */
	} recovery;
	struct {
		char *output;       /* "stdio", "none" or a file */
		uint64_t max_bytes; /* of that file, before it becomes OUTPUT.1; 0 = any */
	} console;
	struct config_disk disks[CONFIG_DISKS_MAX]; /* in the order of the file */
	struct config_net nets[CONFIG_NETS_MAX];
	uint32_t nr_disks, nr_nets;
};

/* Bytes of the longest path of a Unix socket: sockaddr_un.sun_path without its NUL */
#define CONTROL_PATH_MAX 107

/* Values of dump.huge_pages */
enum huge_pages { HUGE_PAGES_AUTO, HUGE_PAGES_OFF };

/* Values of dump.rotate: which dumps may go for a new one, or for memory that a VM waits for */
enum rotate { ROTATE_NONE, ROTATE_COMPLETE, ROTATE_ALL };

/* Values of recovery.handover */
enum handover_kind { HANDOVER_GATED, HANDOVER_EXPLICIT, HANDOVER_NONE };

/* Values of recovery.overcommit */
enum overcommit { OVERCOMMIT_ALLOW, OVERCOMMIT_WAIT };

/*
 * config_load - read @path, apply the @nr_sets overrides ("section.key=value"), fill in defaults, check.
 * Errors: each mistake is one line through log_error() that names file, line, key, what was found
 * and what is allowed.  -EINVAL when there was any, -errno if the file cannot be read.
 * Owner:  *ret is the caller's, config_fini() frees it; after a failure there is nothing to free.
 */
int warn_unused config_load(struct config *ret, const char *path, const char *const *sets, size_t nr_sets);

void config_fini(struct config *config);

/*
 * Writes the effective configuration in the file's own syntax.  It reads back as the same values, but
 * for what only --set and long directories can make: a path or word that does not fit in a line, a
 * comment sign after a blank, blanks at the ends.
 */
void config_print(const struct config *config, FILE *out);

/* Writes "section.key" lines: every key there is. */
void config_print_keys(FILE *out);

/* Writes every key with its allowed values, default and meaning, for --help. */
void config_print_help(FILE *out);

/* 0 if @text is a unicast Ethernet address, else -EINVAL. */
int warn_unused tap_parse_mac(const char *text, uint8_t ret[TAP_MAC_LEN]);

#endif /* VMM_CONFIG_CONFIG_H */
