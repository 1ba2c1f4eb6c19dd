/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/machine/power.h - how a guest without firmware calls powers off and reboots, and how it is asked to: the registers
 * and the button that the ACPI tables (acpi.h) name, and the reset line of a PC's keyboard controller.
 *
 * Locks: none; write handlers run on vCPU threads and report through vm_end().
 */
#ifndef VMM_MACHINE_POWER_H
#define VMM_MACHINE_POWER_H

#include "dump/base/num.h"

#include <stdbool.h>

struct region;
struct vm;

/* Claims the ports. */
int warn_unused power_add(struct vm *vm);

/*
 * power_put_reset_vector - put a few instructions at the reset vector that reboot by the reset register.  Linux on
 * a hardware-reduced machine without EFI reboots by going there, whatever the ACPI tables offer.
 * Errors: -errno.
 */
int warn_unused power_put_reset_vector(const struct region *region);

/*
 * power_button_press - press the power button.
 * Result: true if the guest listens: its IOAPIC lets the button's interrupt through, which it does once its ACPI
 * driver runs.  What it does then is its own business.  False: nobody would hear it, nothing was done.
 * Any thread.
 */
bool warn_unused power_button_press(struct vm *vm);

#endif /* VMM_MACHINE_POWER_H */
