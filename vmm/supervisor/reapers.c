/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/reapers.c - see reapers.h */
#include "vmm/supervisor/reapers.h"

#include "dump/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* as the dumper's: dump/dumper/dumper.c */
#define REAPER_NICE 10

void reapers_init(struct reapers *reapers, struct handover *handover)
{
	*reapers = (struct reapers){.handover = handover};
	pthread_mutex_init(&reapers->lock, NULL);
	pthread_cond_init(&reapers->gone, NULL);
}

void reapers_fini(struct reapers *reapers)
{
	pthread_cond_destroy(&reapers->gone);
	pthread_mutex_destroy(&reapers->lock);
}

struct reap_task {
	struct reapers *reapers;
	struct vm *vm;
};

static void destroy(struct reapers *reapers, struct vm *vm)
{
	uint32_t generation = vm->generation;

	vm_destroy(vm);
	handover_reaped(reapers->handover, generation);
}

static void *reaper_thread(void *opaque)
{
	struct reap_task *task = opaque;
	struct reapers *reapers = task->reapers;

	/* of this thread alone: the next VM is what users wait for */
	if (setpriority(PRIO_PROCESS, (id_t)gettid(), REAPER_NICE) < 0)
		log_debug("reaper: nice %d: %s", REAPER_NICE, strerror(errno));
	destroy(reapers, task->vm);
	free(task);
	pthread_mutex_lock(&reapers->lock);
	reapers->at_work--;
	pthread_cond_signal(&reapers->gone);
	pthread_mutex_unlock(&reapers->lock);
	return NULL;
}

void reapers_take(struct reapers *reapers, struct vm *vm)
{
	struct reap_task *task = malloc(sizeof(*task));
	pthread_t thread;

	if (!budget_has(&reapers->handover->budget, vm->generation))
		handover_claim(reapers->handover, vm, NULL);
	if (task) {
		*task = (struct reap_task){.reapers = reapers, .vm = vm};
		pthread_mutex_lock(&reapers->lock);
		reapers->at_work++;
		pthread_mutex_unlock(&reapers->lock);
		if (!pthread_create(&thread, NULL, reaper_thread, task)) {
			pthread_detach(thread);
			return;
		}
		pthread_mutex_lock(&reapers->lock);
		reapers->at_work--;
		pthread_mutex_unlock(&reapers->lock);
		free(task);
	}
	destroy(reapers, vm); /* no thread to be had: do it here */
}

void reapers_await(struct reapers *reapers)
{
	pthread_mutex_lock(&reapers->lock);
	while (reapers->at_work)
		pthread_cond_wait(&reapers->gone, &reapers->lock);
	pthread_mutex_unlock(&reapers->lock);
}
