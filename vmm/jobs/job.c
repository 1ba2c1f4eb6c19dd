/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/jobs/job.c - see job.h */
#include "vmm/jobs/job.h"

#include "dump/base/io.h"
#include "dump/record/choices.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* <guest>-<UTC time with milliseconds>-g<generation>: sorts by time, unique for one guest */
static void name_dump(struct dump_record *record, uint64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / NSEC_PER_SEC);
	char stamp[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm);
	snprintf(record->name, sizeof(record->name), "%.48s-%s.%03uZ-g%u", record->guest, stamp,
		(unsigned int)(wall_ns / NSEC_PER_MSEC % 1000), record->generation);
}

struct dump_options job_options(const struct config *config)
{
	return (struct dump_options){
		.strategy = (uint32_t)config->dump.strategy,
		.selectors = (uint32_t)config->dump.select,
		.workers = (uint32_t)config->dump.workers,
		.sink = (uint32_t)config->dump.compress,
		.level = (uint32_t)config->dump.compress_level,
		.order = (uint32_t)config->dump.order,
		.virtual_headers = config->dump.virtual,
		.chunk = config->dump.chunk,
	};
}

static void fill_record(const struct config *config, const struct vm *vm, const struct vm_end *end)
{
	struct dump_record *record = vm->record;

	record->generation = vm->generation;
	record->reason = end->reason;
	record->crash_cpu = end->cpu;
	record->detail = end->detail;
	record->wall_ns = clock_wall_ns() - (clock_mono_ns() - end->ns);
	record->options = job_options(config);
	snprintf(record->guest, sizeof(record->guest), "%s", config->vm.name);
	snprintf(record->vmm_version, sizeof(record->vmm_version), "%s", MINIVMM_VERSION);
	name_dump(record, record->wall_ns);
	dump_record_mark(record, DUMP_MOMENT_CRASH, end->ns);
}

int job_create(struct dump_job **ret, const struct config *config, struct vm *vm, const struct vm_end *end)
{
	struct dump_job *job = calloc(1, sizeof(*job));
	int err = job ? 0 : -ENOMEM;

	if (job) {
		job->generation = vm->generation;
		job->dump_fd = -1;
		job->dir = config->dump.dir;
		job->record_fd = fcntl(vm->record_fd, F_DUPFD_CLOEXEC, 0);
		job->region_fd = fcntl(vm->region.fd, F_DUPFD_CLOEXEC, 0);
		if (job->record_fd < 0 || job->region_fd < 0)
			err = -errno;
	}
	fill_record(config, vm, end);
	if (!err)
		err = dump_record_map(job->record_fd, &job->record);
	if (err) {
		job_destroy(job);
		return err;
	}
	/* what is needed of it: once a dumper has it, it may change */
	job->record_bytes = job->record->size;
	job->options = job->record->options;
	job->ram = job->record->layout.ram;
	memcpy(job->name, job->record->name, sizeof(job->name));
	job->populated = io_bytes_behind(job->region_fd);
	*ret = job;
	return 0;
}

void job_destroy(struct dump_job *job)
{
	if (!job)
		return;
	if (job->record)
		munmap(job->record, job->record_bytes);
	if (job->record_fd >= 0)
		close(job->record_fd);
	if (job->region_fd >= 0)
		close(job->region_fd);
	if (job->dump_fd >= 0)
		close(job->dump_fd);
	free(job);
}

void job_names(const struct dump_job *job, struct publish_names *ret)
{
	const struct dump_options *options = &job->options;

	if (dump_strategies[options->strategy].sinks && dump_sinks[options->sink].compressed)
		publish_names_init_lz4(ret, job->name);
	else
		publish_names_init(ret, job->name);
}

void job_set_strategy(struct dump_job *job, uint32_t strategy)
{
	job->options.strategy = strategy;
	job->record->options.strategy = strategy;
}
