/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/service.h - a guest that does what a server does when it starts: it touches much memory at once,
 * then it is ready.  docs/guest-stub.md, "A service".
 */
#ifndef GUEST_STUB_SERVICE_H
#define GUEST_STUB_SERVICE_H

struct config;

/* Scenario service: touches config.touch_mib MiB, reports ready, goes on to config.then or idles. */
void service_run(const struct config *config);

#endif /* GUEST_STUB_SERVICE_H */
