/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/control/control_impl.h - one client of the control socket (control_client.c); control.h is the interface.
 */
#ifndef VMM_CONTROL_CONTROL_IMPL_H
#define VMM_CONTROL_CONTROL_IMPL_H

#include "dump/base/io.h"
#include "vmm/control/control.h"

/* Makes the loop look at every client once more. */
static inline void control_wake(const struct control *control)
{
	io_ring(control->wake_fd);
}

/* A refusal as a whole line in @buf; returns its length. */
size_t control_refusal(char *buf, size_t size, const char *error, const char *message);

/* Takes what @client has sent, answers, waits for what can happen next.  @events: EPOLL*; it may be gone afterwards. */
void control_client_handle(struct control *control, struct control_client *client, uint32_t events);

void control_client_drop(struct control *control, struct control_client *client);

/* With the lock held: says what was lost, as soon as there is room for it and for @len bytes more.  True if so. */
bool control_client_make_up(struct control_client *client, size_t len);

#endif /* VMM_CONTROL_CONTROL_IMPL_H */
