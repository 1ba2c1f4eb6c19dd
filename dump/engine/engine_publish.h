/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/engine_publish.h - the end of a dump.
 */
#ifndef DUMP_ENGINE_ENGINE_PUBLISH_H
#define DUMP_ENGINE_ENGINE_PUBLISH_H

#include "dump/engine/engine_state.h"

/* Everything is dumped: final timeline, state, name.  0, or -errno with the failure recorded (dump_engine_fail). */
int warn_unused engine_publish(struct dump_engine *engine);

#endif /* DUMP_ENGINE_ENGINE_PUBLISH_H */
