/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/engine_guest.h - what the crashed guest's memory tells about its kernel, before any of it is moved.
 */
#ifndef DUMP_ENGINE_ENGINE_GUEST_H
#define DUMP_ENGINE_ENGINE_GUEST_H

#include "dump/engine/engine_state.h"

#include <elf.h>

/* Finds VMCOREINFO, if the guest has it: engine->vmcoreinfo and the record's copy. */
void engine_look_at_guest(struct dump_engine *engine);

/* The end of its log and what else people want to know first, into the record; before memory is released. */
void engine_report_guest(struct dump_engine *engine);

/*
 * With dump_options.virtual_headers and a Linux that can be believed: program headers with its virtual addresses.
 * Result: how many; *ret: heap block, owned by the caller, untouched if there are none.
 */
size_t engine_virtual_headers(const struct dump_engine *engine, Elf64_Phdr **ret);

#endif /* DUMP_ENGINE_ENGINE_GUEST_H */
