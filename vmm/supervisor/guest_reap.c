/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/guest_reap.c - threads that destroy VMs that are over: see guest.h */
#include "vmm/supervisor/guest.h"

#include "dump/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* as the dumper's: dump/dumper/dumper.c */
#define REAPER_NICE 10

struct reap_task {
	struct guest *guest;
	struct vm *vm;
};

static void destroy(struct guest *guest, struct vm *vm)
{
	uint32_t generation = vm->generation;

	vm_destroy(vm);
	handover_reaped(guest, generation);
}

static void *reaper_thread(void *opaque)
{
	struct reap_task *task = opaque;
	struct guest *guest = task->guest;

	/* of this thread alone: the next VM is what users wait for */
	if (setpriority(PRIO_PROCESS, (id_t)gettid(), REAPER_NICE) < 0)
		log_debug("reaper: nice %d: %s", REAPER_NICE, strerror(errno));
	destroy(guest, task->vm);
	free(task);
	pthread_mutex_lock(&guest->reap_lock);
	guest->reaping--;
	pthread_cond_signal(&guest->reaped);
	pthread_mutex_unlock(&guest->reap_lock);
	return NULL;
}

void guest_reap(struct guest *guest, struct vm *vm)
{
	struct reap_task *task = malloc(sizeof(*task));
	pthread_t thread;

	if (!budget_has(&guest->budget, vm->generation))
		handover_claim(guest, vm, NULL);
	if (task) {
		*task = (struct reap_task){.guest = guest, .vm = vm};
		pthread_mutex_lock(&guest->reap_lock);
		guest->reaping++;
		pthread_mutex_unlock(&guest->reap_lock);
		if (!pthread_create(&thread, NULL, reaper_thread, task)) {
			pthread_detach(thread);
			return;
		}
		pthread_mutex_lock(&guest->reap_lock);
		guest->reaping--;
		pthread_mutex_unlock(&guest->reap_lock);
		free(task);
	}
	destroy(guest, vm); /* no thread to be had: do it here */
}

void guest_await_reapers(struct guest *guest)
{
	pthread_mutex_lock(&guest->reap_lock);
	while (guest->reaping)
		pthread_cond_wait(&guest->reaped, &guest->reap_lock);
	pthread_mutex_unlock(&guest->reap_lock);
}
