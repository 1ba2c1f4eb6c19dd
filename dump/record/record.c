/* SPDX-License-Identifier: Apache-2.0 */
/* dump/record/record.c - see record.h */
#include "dump/record/record.h"

#include "dump/base/cleanup.h"
#include "dump/record/choices.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* our choice: far above what a host has CPUs for copying */
#define WORKERS_MAX 64

static const char *const reason_names[DUMP_REASON_NR] = {
	[DUMP_REASON_PANIC] = "panic",
	[DUMP_REASON_TRIPLE_FAULT] = "triple-fault",
	[DUMP_REASON_INTERNAL_ERROR] = "internal-error",
	[DUMP_REASON_ENTRY_FAILED] = "entry-failed",
	[DUMP_REASON_HANG] = "hang",
	[DUMP_REASON_OPERATOR] = "operator",
	[DUMP_REASON_PVPANIC] = "pvpanic",
	[DUMP_REASON_NO_MEMORY] = "no-memory",
};

static const char *const moment_names[DUMP_MOMENT_NR] = {
	[DUMP_MOMENT_CRASH] = "crash",
	[DUMP_MOMENT_PARKED] = "parked",
	[DUMP_MOMENT_RECOVERY_RUN] = "recovery-run",
	[DUMP_MOMENT_DUMP_START] = "dump-start",
	[DUMP_MOMENT_LINKED] = "linked",
	[DUMP_MOMENT_FIRST_RELEASE] = "first-release",
	[DUMP_MOMENT_EXCLUDED] = "excluded",
	[DUMP_MOMENT_COPIED] = "copied",
	[DUMP_MOMENT_PUBLISHED] = "published",
	[DUMP_MOMENT_READY] = "ready",
};

const char *dump_reason_name(enum dump_reason reason)
{
	return (unsigned)reason < DUMP_REASON_NR ? reason_names[reason] : "unknown";
}

const char *dump_moment_name(enum dump_moment moment)
{
	return (unsigned)moment < DUMP_MOMENT_NR ? moment_names[moment] : "unknown";
}

const char *dump_order_name(size_t order)
{
	static const char *const names[DUMP_ORDER_NR] = {
		[DUMP_ORDER_ASCENDING] = "ascending",
		[DUMP_ORDER_DESCENDING] = "descending",
	};

	return order < DUMP_ORDER_NR ? names[order] : NULL;
}

size_t dump_record_bytes(uint32_t nr_cpus)
{
	return sizeof(struct dump_record) + (size_t)nr_cpus * sizeof(struct dump_cpu);
}

/* NULL and errno on failure. */
static struct dump_record *map_whole(int fd, size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

int dump_record_create(uint32_t nr_cpus, int *ret_fd, struct dump_record **ret_record)
{
	size_t size = dump_record_bytes(nr_cpus);
	struct dump_record *record;
	autoclose int fd = -1;

	if (!nr_cpus || nr_cpus > DUMP_VCPUS_MAX)
		return -EINVAL;
	fd = memfd_create("minivmm-record", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	/* Allocated now: a store into the mapping must not find the host out of memory later. */
	if (fallocate(fd, 0, 0, (off_t)size) < 0)
		return -errno;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	record = map_whole(fd, size);
	if (!record)
		return -errno;
	if (getrandom(record->id, sizeof(record->id), 0) != (ssize_t)sizeof(record->id)) {
		munmap(record, size);
		return -EAGAIN;
	}
	record->magic = DUMP_RECORD_MAGIC;
	record->size = (uint32_t)size;
	record->nr_cpus = nr_cpus;
	*ret_record = record;
	*ret_fd = take_fd(&fd);
	return 0;
}

static bool is_terminated(const char *text, size_t size)
{
	return strnlen(text, size) < size;
}

/* The name becomes part of file names: no directories, nothing hidden, nothing a shell or a terminal minds. */
static bool name_is_valid(const char *name)
{
	if (!is_terminated(name, DUMP_NAME_MAX) || !name[0] || name[0] == '.' || name[0] == '-')
		return false;
	for (const char *c = name; *c; c++)
		if (!isascii((unsigned char)*c) || (!isalnum((unsigned char)*c) && !strchr("._-+:@", *c)))
			return false;
	return true;
}

static bool options_are_valid(const struct dump_options *options)
{
	return options->strategy < dump_nr_strategies && dump_select_is_valid(options->selectors) &&
	       options->workers <= WORKERS_MAX && options->sink < dump_nr_sinks &&
	       options->level <= DUMP_LEVEL_MAX && options->order < DUMP_ORDER_NR &&
	       options->virtual_headers <= 1 && u64_is_pow2(options->chunk) &&
	       options->chunk >= DUMP_CHUNK_MIN && options->chunk <= DUMP_CHUNK_MAX;
}

static bool cpus_are_valid(const struct dump_record *record)
{
	for (uint32_t i = 0; i < record->nr_cpus; i++)
		if (record->cpus[i].raw_len > DUMP_RAW_MAX)
			return false;
	return true;
}

static bool record_is_valid(const struct dump_record *record)
{
	return record->reason < DUMP_REASON_NR && record->crash_cpu < record->nr_cpus &&
	       options_are_valid(&record->options) && !dump_layout_check(&record->layout) &&
	       is_terminated(record->guest, sizeof(record->guest)) && name_is_valid(record->name) &&
	       is_terminated(record->vmm_version, sizeof(record->vmm_version)) &&
	       record->panic_string_len <= FW_PANIC_STRING_MAX && record->nr_regs <= FW_PANIC_REGS_MAX &&
	       cpus_are_valid(record);
}

/* Bytes of the file if it can hold a record and cannot change its size any more, else -errno. */
static ssize_t checked_size(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW))
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)dump_record_bytes(1) ||
		st.st_size > (off_t)dump_record_bytes(DUMP_VCPUS_MAX))
		return -EINVAL;
	return (ssize_t)st.st_size;
}

int dump_record_map(int fd, struct dump_record **ret_record)
{
	ssize_t checked = checked_size(fd);
	size_t size = (size_t)checked;
	struct dump_record *record;

	if (checked < 0)
		return (int)checked;
	record = map_whole(fd, size);
	if (!record)
		return -errno;
	if (record->magic == DUMP_RECORD_MAGIC && record->size == size && record->nr_cpus &&
		record->nr_cpus <= DUMP_VCPUS_MAX && dump_record_bytes(record->nr_cpus) == size &&
		record_is_valid(record)) {
		*ret_record = record;
		return 0;
	}
	munmap(record, size);
	return -EINVAL;
}

void dump_record_unmap(struct dump_record *record, uint32_t nr_cpus)
{
	if (record)
		munmap(record, dump_record_bytes(nr_cpus));
}

void dump_record_mark(struct dump_record *record, enum dump_moment moment, uint64_t ns)
{
	uint64_t unset = 0;

	assert((unsigned)moment < DUMP_MOMENT_NR);
	atomic_compare_exchange_strong(&record->moments[moment], &unset, ns);
}
