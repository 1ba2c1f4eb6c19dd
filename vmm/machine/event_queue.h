/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/machine/event_queue.h - events that wait for the guest to read them: calls 8 and 9 of firmware/abi.h.
 *
 * A table of fixed size: a guest that never acknowledges costs nothing more than that.  Knows nothing of
 * KVM; who posts an event rings the interrupt.
 *
 * Locks: its own; any thread may call.
 */
#ifndef VMM_MACHINE_EVENT_QUEUE_H
#define VMM_MACHINE_EVENT_QUEUE_H

#include "dump/base/num.h"
#include "firmware/abi.h"

#include <pthread.h>
#include <stdint.h>

struct event_queue {
	pthread_mutex_t lock;
	uint64_t posted;                       /* guarded by lock: number of the newest event, 0 = none */
	uint64_t acked;                        /* guarded by lock: all up to this one wait no more */
	struct fw_event events[FW_EVENTS_MAX]; /* guarded by lock: event n is at n % FW_EVENTS_MAX */
};

void event_queue_init(struct event_queue *queue);
void event_queue_fini(struct event_queue *queue);

/*
 * event_queue_post - a new event.
 * Errors: -ENOSPC if FW_EVENTS_MAX wait already; nothing happens then.
 */
int warn_unused event_queue_post(struct event_queue *queue, uint32_t type, uint64_t data0, uint64_t data1);

/* event_queue_poll - at most @max of the oldest that wait; *ret_waiting: how many there are. */
uint32_t event_queue_poll(
	struct event_queue *queue, struct fw_event *events, uint32_t max, uint32_t *ret_waiting);

/* event_queue_ack - FW_OK, or FW_EINVAL for the number of an event that has not happened. */
int32_t event_queue_ack(struct event_queue *queue, uint64_t seq);

#endif /* VMM_MACHINE_EVENT_QUEUE_H */
