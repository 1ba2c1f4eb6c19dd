/* SPDX-License-Identifier: Apache-2.0 */
/* dump/select/selection.c - see selection.h */
#include "dump/select/selection.h"

#include <stdio.h>
#include <string.h>

void dump_select_lack(struct selection *selection, enum dump_selector_number selector, const char *why)
{
	size_t len = strlen(selection->distrust);

	snprintf(selection->distrust + len, sizeof(selection->distrust) - len, "%s%s: %s", len ? "; " : "",
		dump_selectors[selector].name, why);
}

void dump_select_distrust(struct selection *selection, enum dump_selector_number selector, const char *why)
{
	dump_select_lack(selection, selector, why);
	selection->distrusted |= 1u << selector;
}
