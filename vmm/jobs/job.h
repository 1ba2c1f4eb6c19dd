/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/jobs/job.h - one dump: its files, its options, its names, how far it is.
 *
 * Locks: none; everything is the main thread's.
 */
#ifndef VMM_JOBS_JOB_H
#define VMM_JOBS_JOB_H

#include "dump/dumper/dumper.h"
#include "dump/files/publish.h"
#include "vmm/config/config.h"
#include "vmm/machine/vm.h"

/* One dump: from the crash until its timeline has been printed. */
struct dump_job {
	struct dump_job *next;    /* owned by the list, oldest first */
	uint32_t generation;      /* of the VM that crashed */
	char name[DUMP_NAME_MAX]; /* the record's, and below its options: the dumper can write there */
	struct dump_options options;
	size_t record_bytes;        /* of the mapping */
	struct dump_record *record; /* owned: this job's own mapping */
	int record_fd, region_fd;   /* owned; -1 once they are not needed any more */
	int dump_fd;                /* owned; file that guest or dumper has begun to fill, or -1 */
	const char *dir;            /* borrowed: where the dump goes, for messages */
	uint64_t ram;               /* bytes of the dead VM's RAM */
	uint64_t populated;         /* bytes of memory behind the dead VM's RAM when it crashed */
	uint64_t given_back;        /* bytes that the guest had released before the dumper began */
	bool held;                  /* its VM is not done with the memory: not yet for the dumper */
	bool awaits_room; /* not yet for the dumper: earlier dumps leave no room before they can be rotated */
	bool sent;        /* the dumper has it */
	bool announced;   /* the dead VM's memory has its .partial name */
	bool linked;      /* the dump has, too: releasing may have begun */
	bool told_linked; /* by the dumper that is at work now */
	bool retried;     /* the dumper died of it once: @dump_fd is what it left */
	bool cancelled;   /* the operator does not want it any more */
	bool finished;    /* published or failed */
	bool failed;
	bool awaits_recovery; /* the timeline waits for generation @successor to be ready or over */
	uint32_t successor;
	struct dumper_event last; /* newest progress */
};

/* How the configuration has a crash dumped. */
struct dump_options job_options(const struct config *config);

/*
 * job_create - a dump of @vm, which crashed as @end says: fills in the record, and takes references of its own to record
 * and region.
 * Errors: -errno; the record is filled in all the same.  Owner: job_destroy().
 */
int warn_unused job_create(
	struct dump_job **ret, const struct config *config, struct vm *vm, const struct vm_end *end);
void job_destroy(struct dump_job *job);

/* The names of its files. */
void job_names(const struct dump_job *job, struct publish_names *ret);

/* Has @job dumped in another way than the configuration says. */
void job_set_strategy(struct dump_job *job, uint32_t strategy);

/* It waits for a dumper to take it. */
static inline bool job_is_waiting(const struct dump_job *job)
{
	return !job->sent && !job->finished && !job->held;
}

#endif /* VMM_JOBS_JOB_H */
