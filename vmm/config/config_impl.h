/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/config/config_impl.h - the steps of config_load(), one file each; config.h is the interface.
 *
 *      config_file.c      lines of the file and --set: what each key is set to
 *      config_defaults.c  what was not set
 *      config_print.c     all of it, as one could write it
 */
#ifndef VMM_CONFIG_CONFIG_IMPL_H
#define VMM_CONFIG_CONFIG_IMPL_H

#include "vmm/config/config.h"
#include "vmm/config/options.h"

#include <ini.h>

#define VALUE_MAX (OPTION_TEXT_MAX + 1) /* bytes of a value joined from continuation lines, and the NUL */

#define LINE_LEN_MAX (INI_MAX_LINE - 2) /* bytes of a line, without its end and the NUL */

/* Takes in the file @path.  Result: the number of mistakes, each reported, or -errno (reported, but for -ENOMEM). */
int warn_unused config_read_file(struct config *config, const char *path);

/* @set is "section.key=value", or "section.NAME.key=value".  Result: the number of mistakes, each reported. */
int warn_unused config_apply_set(struct config *config, const char *set);

/* Before anything is read: the defaults that the table of options has.  -ENOMEM. */
int warn_unused config_set_fallbacks(struct config *config);

/* Afterwards: the defaults that depend on other values, and paths from the file's directory.  -ENOMEM. */
int warn_unused config_set_computed(struct config *config);

#endif /* VMM_CONFIG_CONFIG_IMPL_H */
