/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/release.h - giving back to the host what no copy is needed of.
 */
#ifndef DUMP_ENGINE_RELEASE_H
#define DUMP_ENGINE_RELEASE_H

struct dump_engine;

/*
 * dump_release_excluded - release what needs no copy: runs of pages that are not in tail.selected, before
 * the first chunk is copied.  Of a region with huge pages, only whole ones; the rest goes with its chunk.
 * To be called once, when the bitmap in the file is valid (state DUMPING), before the strategy.
 */
void dump_release_excluded(struct dump_engine *engine);

#endif /* DUMP_ENGINE_RELEASE_H */
