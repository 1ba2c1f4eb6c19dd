/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/select.h - the selection list of the panic call: which pages the guest wants in its dump.
 */
#ifndef GUEST_STUB_SELECT_H
#define GUEST_STUB_SELECT_H

#include "guest-stub/config.h"

/*
 * select_prepare - for select=: map the ranges of the named fills a second time at SELECT_ALIAS, and make the list
 * of these, of the kernel's image, its tables and descriptors, and the areas of its CPUs.  Prints every range.
 * The first range is mapped in 4 KiB pages with the last frame first, the others in 2 MiB pages.
 */
void select_prepare(const struct config *config);

#endif /* GUEST_STUB_SELECT_H */
