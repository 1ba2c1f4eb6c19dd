/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/release.h - giving the crashed region's memory back to the host.
 */
#ifndef DUMP_ENGINE_RELEASE_H
#define DUMP_ENGINE_RELEASE_H

#include "dump/base/num.h"

#include <stdint.h>

struct dump_engine;

/*
 * dump_release - punch [@off, @off + @len) of RAM out of the region.  Nothing in there may be needed any
 * more: excluded by the page bitmap in the file, or marked as done in its progress table.
 * Errors: -errno.  Locks: any thread.
 */
int warn_unused dump_release(struct dump_engine *engine, uint64_t off, uint64_t len);

/*
 * dump_release_excluded - release what needs no copy: runs of pages that are not in tail.selected, before
 * the first chunk is copied.  Of a region with huge pages, only whole ones; the rest goes with its chunk.
 * To be called once, when the bitmap in the file is valid (state DUMPING), before the strategy.
 */
void dump_release_excluded(struct dump_engine *engine);

#endif /* DUMP_ENGINE_RELEASE_H */
