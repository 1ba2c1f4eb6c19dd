/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/guest.h - the supervisor: one guest through all its generations.
 *
 *      guest.c          event loop: signals, console input, VMs, dumps, requests
 *      guest_open.c     what is opened, in which order, and closed
 *      guest_control.c  requests of the control socket
 *      deadlines.c      what happens when its time has come
 *      operator.c       stop, crash
 *      vm_reports.c     what the running VM says: ready, reboot, power-off, crash
 *      crash.c          the crash sequence: stop the dead VM, start the next one, hand over to the dumper
 *      recovery.c       the states of the guest: which VM runs, what the next one waits for
 *      report.c         the end of a VM, and what follows on it, in words
 *      crash_loop.c     crash after crash: how often, how soon
 *      guest_state.c    which state may follow on which
 *      standby.c        VMs that are made ahead of their time
 *      reapers.c        threads that destroy VMs that are over
 *      handover.c       the crashed VM's memory becomes the recovery VM's
 *      surroundings.c   all that is open as long as the guest runs
 *
 * Each file calls only those below it.
 */
#ifndef VMM_SUPERVISOR_GUEST_H
#define VMM_SUPERVISOR_GUEST_H

#include "vmm/config/config.h"

/*
 * guest_run - boot the guest and stay with it to its end.
 * @events_path: event log, or NULL.  Result: the process's exit code (exit_codes.h); every failure has
 * been reported.
 */
int warn_unused guest_run(const struct config *config, const char *events_path);

#endif /* VMM_SUPERVISOR_GUEST_H */
