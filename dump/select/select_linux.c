/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/select/select_linux.c - the selector `linux`: a stock Linux guest is asked nothing, its own page descriptors
 * say what nobody will miss (dump/linux/linux_pages.h).
 *
 * Who is no Linux, or died before it had VMCOREINFO, gets what `zero` leaves.
 */
#include "dump/base/cleanup.h"
#include "dump/base/bitmap.h"
#include "dump/engine/engine.h"
#include "dump/linux/linux_pages.h"
#include "dump/select/select.h"

#include <errno.h>

int select_linux(struct dump_engine *engine)
{
	const struct guest_view view = {.fd = engine->region_fd, .layout = &engine->layout};
	uint64_t words = (engine->layout.ram / PAGE_SIZE_4K + 63) / 64;
	autofree struct linux_kernel *kernel = malloc(sizeof(*kernel));
	autofree uint64_t *drop = calloc(words, sizeof(*drop));
	const char *why;

	if (!kernel || !drop)
		return -ENOMEM;
	why = linux_kernel_init(kernel, &view, &engine->vmcoreinfo);
	if (!why)
		why = linux_pages_mark(kernel, dump_select_level(engine->selectors), engine->workers, drop,
			engine->reasons);
	if (why) {
		dump_select_distrust(engine, "linux", why);
		engine->selectors |= DUMP_SELECT_ZERO;
		return 0;
	}
	for (uint64_t i = 0; i < words; i++)
		engine->tail.selected[i] &= ~drop[i];
	return 0;
}
