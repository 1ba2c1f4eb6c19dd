/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/io_recorder.h - what calls a piece of code makes, in their order, and one of them made to fail:
 * dump/base/io.h's hook, told in short words.
 *
 * "data" a write, "release" a fallocate, "sync", "dir" the sync of a directory, "name" a link, "remove" an unlink; repetitions are told
 * once, the sync of ranges and calls of other kinds not at all.  Any thread may make the calls.
 */
#ifndef TESTS_UNIT_IO_RECORDER_H
#define TESTS_UNIT_IO_RECORDER_H

#include "dump/base/io.h"

/* From here on calls are recorded.  The @nth one of kind @fail, from 1, fails with @error; 0: none does. */
void io_recorder_start(enum io_call fail, unsigned nth, int error);

/* Ends it.  Result: "data sync name dir remove" etc., static. */
const char *io_recorder_stop(void);

/* How many calls of kind @call there were. */
unsigned io_recorder_calls(enum io_call call);

#endif /* TESTS_UNIT_IO_RECORDER_H */
