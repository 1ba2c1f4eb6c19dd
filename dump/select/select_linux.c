/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/select/select_linux.c - the selector `linux`: a stock Linux guest is asked nothing, its own page descriptors
 * say what nobody will miss (dump/linux/linux_pages.h).
 *
 * Who is no Linux, or died before it had VMCOREINFO, gets what `zero` leaves.
 */
#include "dump/select/selection.h"

#include "dump/base/bitmap.h"
#include "dump/base/cleanup.h"
#include "dump/region/guest_view.h"

#include <errno.h>

int select_linux(struct selection *selection)
{
	const struct guest_view view = {.fd = selection->region->fd, .layout = selection->region->layout};
	uint64_t words = bitmap_words(view.layout->ram / PAGE_SIZE_4K);
	autofree struct linux_kernel *kernel = malloc(sizeof(*kernel));
	autofree uint64_t *drop = calloc(words, sizeof(*drop));
	const char *why, *lack = NULL;

	if (!kernel || !drop)
		return -ENOMEM;
	why = linux_kernel_init(kernel, &view, selection->vmcoreinfo);
	if (!why)
		why = linux_pages_mark(kernel, dump_select_level(selection->selectors), selection->workers,
			drop, selection->reasons, &lack);
	if (why) {
		dump_select_distrust(selection, DUMP_SELECTOR_LINUX, why);
		selection->selectors |= DUMP_SELECT_ZERO;
		return 0;
	}
	if (lack)
		dump_select_lack(selection, DUMP_SELECTOR_LINUX, lack);
	for (uint64_t i = 0; i < words; i++)
		selection->selected[i] &= ~drop[i];
	return 0;
}
