/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/machine/event_queue.c - see event_queue.h */
#include "vmm/machine/event_queue.h"

#include <errno.h>
#include <string.h>

void event_queue_init(struct event_queue *queue)
{
	memset(queue, 0, sizeof(*queue));
	pthread_mutex_init(&queue->lock, NULL);
}

void event_queue_fini(struct event_queue *queue)
{
	pthread_mutex_destroy(&queue->lock);
}

int event_queue_post(struct event_queue *queue, uint32_t type, uint64_t data0, uint64_t data1)
{
	int err = 0;

	pthread_mutex_lock(&queue->lock);
	if (queue->posted - queue->acked == FW_EVENTS_MAX) {
		err = -ENOSPC;
	} else {
		uint64_t seq = ++queue->posted;

		queue->events[seq % FW_EVENTS_MAX] = (struct fw_event){
			.seq = seq, .type = type, .data = {data0, data1}};
	}
	pthread_mutex_unlock(&queue->lock);
	return err;
}

uint32_t event_queue_poll(
	struct event_queue *queue, struct fw_event *events, uint32_t max, uint32_t *ret_waiting)
{
	uint32_t waiting, count;

	pthread_mutex_lock(&queue->lock);
	waiting = (uint32_t)(queue->posted - queue->acked);
	count = max < waiting ? max : waiting;
	for (uint32_t i = 0; i < count; i++)
		events[i] = queue->events[(queue->acked + 1 + i) % FW_EVENTS_MAX];
	pthread_mutex_unlock(&queue->lock);
	*ret_waiting = waiting;
	return count;
}

int32_t event_queue_ack(struct event_queue *queue, uint64_t seq)
{
	int32_t status = FW_OK;

	pthread_mutex_lock(&queue->lock);
	if (seq > queue->posted)
		status = FW_EINVAL;
	else
		queue->acked = u64_max(queue->acked, seq);
	pthread_mutex_unlock(&queue->lock);
	return status;
}
