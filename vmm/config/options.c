/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/config/options.c - see options.h.  Adding a key: one line in options[], one field in struct config. */
#include "vmm/config/options.h"

#include "dump/record/record.h"
#include "dump/record/choices.h"

#include <string.h>

/* our choice: far above any sensible time-out, small enough to add to a clock without overflow */
#define DURATION_MAX (24 * 3600 * NSEC_PER_SEC)

static const char *strategy_name(size_t index)
{
	return index < dump_nr_strategies ? dump_strategies[index].name : NULL;
}

static const char *selector_name(size_t index)
{
	return index < dump_nr_selectors ? dump_selectors[index].name : NULL;
}

static const char *sink_name(size_t index)
{
	return index < dump_nr_sinks ? dump_sinks[index].name : NULL;
}

static const char *huge_pages_name(size_t index)
{
	static const char *const names[] = {[HUGE_PAGES_AUTO] = "auto", [HUGE_PAGES_OFF] = "off"};

	return index < ARRAY_LEN(names) ? names[index] : NULL;
}

static const char *rotate_name(size_t index)
{
	static const char *const names[] = {
		[ROTATE_NONE] = "no", [ROTATE_COMPLETE] = "yes", [ROTATE_ALL] = "all"};

	return index < ARRAY_LEN(names) ? names[index] : NULL;
}

static const char *handover_name(size_t index)
{
	static const char *const names[] = {
		[HANDOVER_GATED] = "gated", [HANDOVER_EXPLICIT] = "explicit", [HANDOVER_NONE] = "none"};

	return index < ARRAY_LEN(names) ? names[index] : NULL;
}

static const char *overcommit_name(size_t index)
{
	static const char *const names[] = {[OVERCOMMIT_ALLOW] = "allow", [OVERCOMMIT_WAIT] = "wait"};

	return index < ARRAY_LEN(names) ? names[index] : NULL;
}

#define FIELD(s, f) .section = #s, .key = #f, .offset = offsetof(struct config, s.f)

const struct config_option options[] = {
	{FIELD(vm, name), .type = OPTION_NAME,
		.help = "name of the guest (default: the file's name without .cfg)"},
	{FIELD(vm, kernel), .type = OPTION_PATH,
		.help = "kernel image: bzImage, or ELF with a PVH entry note (required)"},
	{FIELD(vm, initrd), .type = OPTION_PATH, .help = "initial RAM disk (default: none)"},
	{FIELD(vm, cmdline), .type = OPTION_STRING, .fallback = "", .help = "kernel command line"},
	/* 16M: less does not hold a kernel; 128G: FW_BLOCK_SHIFT reaches 256 GiB of addresses */
	{FIELD(vm, memory), .type = OPTION_SIZE, .fallback = "512M", .min = MIB(16), .max = GIB(128),
		.multiple = PAGE_SIZE_2M, .help = "guest RAM"},
	{FIELD(vm, memory_dir), .type = OPTION_PATH,
		.help = "directory on tmpfs for guest RAM (default: <vm.name> in /dev/shm/minivmm, "
			"or in a place of the user's own)"},
	{FIELD(vm, memory_overcommit), .type = OPTION_BOOL, .fallback = "no",
		.help = "start although the tmpfs of vm.memory_dir is smaller than vm.memory"},
	{FIELD(vm, vcpus), .type = OPTION_UINT, .fallback = "1", .min = 1, .max = DUMP_VCPUS_MAX,
		.help = "number of vCPUs"},
	{FIELD(vm, watchdog), .type = OPTION_DURATION, .fallback = "0", .min = 0, .max = DURATION_MAX,
		.help = "time without a sign of life that counts as a hang; 0 = never"},
	{FIELD(vm, stop_timeout), .type = OPTION_DURATION, .fallback = "1m", .min = 0, .max = DURATION_MAX,
		.help = "time that a guest may take to power off when it is asked to; 0 = any"},
	{FIELD(vm, control), .type = OPTION_SOCKET,
		.help = "Unix socket for minivmm ctl, or none (default: control in vm.memory_dir)"},

	{FIELD(dump, enabled), .type = OPTION_BOOL, .fallback = "yes", .help = "dump a crashed VM"},
	{FIELD(dump, dir), .type = OPTION_PATH, .help = "directory for dumps (default: vm.memory_dir)"},
	{FIELD(dump, huge_pages), .type = OPTION_CHOICE, .fallback = "auto", .choice = huge_pages_name,
		.help = "auto: as root, mount a tmpfs with huge pages on /dev/shm/minivmm; off: take what "
			"is there"},
	{FIELD(dump, strategy), .type = OPTION_CHOICE, .fallback = "vmapp", .choice = strategy_name,
		.help = "who moves the bytes into the dump"},
	{FIELD(dump, select), .type = OPTION_SELECT, .fallback = "all", .choice = selector_name,
		.help = "which pages belong in the dump: all, or some of the others, separated by commas"},
	{FIELD(dump, chunk), .type = OPTION_SIZE, .fallback = "2M", .min = KIB(64), .max = GIB(1),
		.power_of_two = true, .help = "unit of dumping and of giving memory back"},
	{FIELD(dump, max_count), .type = OPTION_UINT, .fallback = "16", .min = 0, .max = 1000000,
		.help = "dumps of this guest that dump.dir may hold; 0 = any number"},
	{FIELD(dump, max_bytes), .type = OPTION_SIZE, .fallback = "0", .min = 0, .max = GIB(1024) * 1024,
		.help = "memory or disk that they may occupy; 0 = any"},
	{FIELD(dump, rotate), .type = OPTION_CHOICE, .fallback = "yes", .choice = rotate_name,
		.help = "what goes when a new dump has no room, or a VM waits for memory: yes: the oldest "
			"complete dumps; all: unfinished ones too, but for the newest; no: nothing"},
	{FIELD(dump, guest_timeout), .type = OPTION_DURATION, .fallback = "30s", .min = NSEC_PER_MSEC,
		.max = DURATION_MAX,
		.help = "time that a guest may take to dump by itself (hypercall, addmem)"},
	{FIELD(dump, workers), .type = OPTION_UINT, .fallback = "0", .min = 0, .max = 64,
		.help = "threads that dump; 0 = chosen by the dumper"},
	{FIELD(dump, order), .type = OPTION_CHOICE, .fallback = "ascending", .choice = dump_order_name,
		.help = "order in which memory is dumped and given back"},
	{FIELD(dump, virtual), .type = OPTION_BOOL, .fallback = "no",
		.help = "program headers with a Linux kernel's virtual addresses besides, for gdb"},
	{FIELD(dump, compress), .type = OPTION_CHOICE, .fallback = "none", .choice = sink_name,
		.help = "none: an ELF file; lz4: an LZ4 file of it (strategy vmapp)"},
	{FIELD(dump, compress_level), .type = OPTION_UINT, .fallback = "1", .min = 1, .max = DUMP_LEVEL_MAX,
		.help = "acceleration of LZ4: 1 compresses best, more is faster"},
	{FIELD(dump, fallback_dir), .type = OPTION_PATH,
		.help = "directory for a dump that has no room in dump.dir (default: none)"},
	{FIELD(dump, fallback_max_count), .type = OPTION_UINT, .fallback = "0", .min = 0, .max = 1000000,
		.help = "as dump.max_count, of dump.fallback_dir"},
	{FIELD(dump, fallback_max_bytes), .type = OPTION_SIZE, .fallback = "0", .min = 0,
		.max = GIB(1024) * 1024, .help = "as dump.max_bytes, of dump.fallback_dir"},
	{FIELD(dump, stall_timeout), .type = OPTION_DURATION, .fallback = "10s", .min = 0,
		.max = DURATION_MAX,
		.help = "time without progress after which the dumper is replaced; 0 = never"},

	{FIELD(recovery, enabled), .type = OPTION_BOOL, .fallback = "yes",
		.help = "start a recovery VM when the guest crashes"},
	{FIELD(recovery, kernel), .type = OPTION_PATH, .help = "its kernel image (default: vm.kernel)"},
	{FIELD(recovery, initrd), .type = OPTION_PATH,
		.help = "its initial RAM disk (default: vm.initrd; none if recovery.kernel is given)"},
	{FIELD(recovery, cmdline), .type = OPTION_STRING, .help = "its command line (default: vm.cmdline)"},
	{FIELD(recovery, max), .type = OPTION_UINT, .fallback = "5", .min = 0, .max = 1000000,
		.help = "recoveries in a row; a VM that was stable ends the row"},
	{FIELD(recovery, backoff), .type = OPTION_DURATION, .fallback = "1s", .min = 0, .max = DURATION_MAX,
		.help = "pause before the recovery of a recovery VM that was never ready; doubles, 60 s at "
			"most"},
	{FIELD(recovery, stable), .type = OPTION_DURATION, .fallback = "1m", .min = NSEC_PER_MSEC,
		.max = DURATION_MAX,
		.help = "a VM is stable when it has run for so long after it was ready, or at all if no VM "
			"of "
			"this guest was ever ready"},
	{FIELD(recovery, concurrent), .type = OPTION_BOOL, .fallback = "yes",
		.help = "start the recovery VM beside the dump; no: after it"},
	{FIELD(recovery, handover), .type = OPTION_CHOICE, .fallback = "gated", .choice = handover_name,
		.help = "how the recovery VM gets the memory that the crashed one gives back"},
	{FIELD(recovery, reserve), .type = OPTION_SIZE, .fallback = "64M", .min = 0, .max = GIB(128),
		.help = "host memory that crashed VM, dump and recovery VM may take together beside "
			"vm.memory"},
	{FIELD(recovery, overcommit), .type = OPTION_CHOICE, .fallback = "allow", .choice = overcommit_name,
		.help = "when the dump itself keeps memory: allow the recovery VM more, or let it wait"},
	{FIELD(recovery, initial), .type = OPTION_SIZE, .fallback = "64M", .min = MIB(16), .max = GIB(128),
		.multiple = PAGE_SIZE_2M,
		.help = "memory that a recovery VM boots with (handover = explicit)"},

	{FIELD(console, output), .type = OPTION_SINK, .fallback = "stdio",
		.help = "console: stdio, none, or a file to append to"},
	{FIELD(console, max_bytes), .type = OPTION_SIZE, .fallback = "64M", .min = 0,
		.max = GIB(1024) * 1024,
		.help = "a file that would grow over it becomes FILE.1, and a new one is begun; 0 = it "
			"grows"},
};
const size_t nr_options = ARRAY_LEN(options);

const struct config_option *option_find(const char *section, const char *key)
{
	for (size_t i = 0; i < nr_options; i++)
		if (!strcmp(options[i].section, section) && !strcmp(options[i].key, key))
			return &options[i];
	return NULL;
}

char **option_string(const struct config_option *option, void *fields)
{
	switch (option->type) {
	case OPTION_NAME:
	case OPTION_STRING:
	case OPTION_PATH:
	case OPTION_SINK:
	case OPTION_SOCKET:
		return (char **)((char *)fields + option->offset);
	default:
		return NULL;
	}
}

uint64_t *option_number(const struct config_option *option, void *fields)
{
	return (uint64_t *)(void *)((char *)fields + option->offset);
}

bool *option_bool(const struct config_option *option, void *fields)
{
	return (bool *)((char *)fields + option->offset);
}
