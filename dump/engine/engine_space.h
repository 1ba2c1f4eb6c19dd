/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/engine_space.h - which directory has room for the dump.
 */
#ifndef DUMP_ENGINE_ENGINE_SPACE_H
#define DUMP_ENGINE_ENGINE_SPACE_H

#include "dump/engine/engine_state.h"

/*
 * Sets out_dir_fd, and detour if it is not the first choice.  0, or -errno with the failure recorded
 * (dump_engine_fail).
 */
int warn_unused engine_choose_dir(struct dump_engine *engine);

#endif /* DUMP_ENGINE_ENGINE_SPACE_H */
