/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/host/terminal.h - the mode of the terminal that keys come from: raw while it is ours, else as it was.
 *
 * A terminal is shared by jobs: whoever is in its foreground may change its mode and read its keys.  One that is not
 * the controlling terminal knows no jobs, and is ours.
 *
 * Locks: one thread; at most one terminal in a process, since what ends the process must find it.
 */
#ifndef VMM_HOST_TERMINAL_H
#define VMM_HOST_TERMINAL_H

#include <stdbool.h>

/* True if the terminal @fd is no other job's now. */
bool terminal_is_ours(int fd);

/*
 * terminal_raw - raw mode: keys come as they are typed.  Undone by terminal_restore(), and when the process exits, dies
 * of a signal, or is stopped (SIGTSTP); when it goes on in the foreground the mode is raw again.
 * Result: true if it is raw now; false: it cannot be changed, or is not ours.
 */
bool terminal_raw(int fd);

/* True if the mode is ours now. */
bool terminal_is_raw(void);

/* Gives the terminal its mode back, if that is ours. */
void terminal_restore(void);

#endif /* VMM_HOST_TERMINAL_H */
