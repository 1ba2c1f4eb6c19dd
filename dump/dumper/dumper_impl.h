/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/dumper/dumper_impl.h - the inside of the dumper process.  Private to dump/dumper/dumper.c (its loop),
 * dump/dumper/dumper_receive.c (requests) and dump/dumper/dumper_events.c (what goes back).
 */
#ifndef DUMP_DUMPER_DUMPER_IMPL_H
#define DUMP_DUMPER_DUMPER_IMPL_H

#include "dump/dumper/dumper.h"
#include "dump/dumper/dumper_wire.h"
#include "dump/engine/engine.h"
#include "dump/engine/engine_state.h"

#include <pthread.h>

/* Directories of a request: of the region, of the dumps, and the fallback. */
#define DUMPER_NR_DIRS 3

/* One connection to the VMM; outlives each dump. */
struct session {
	int socket;
	int proc_fd;
	bool confined; /* to the directories of the first request */
	size_t nr_dirs;
	struct {
		dev_t dev;
		ino_t ino;
	} dirs[DUMPER_NR_DIRS];        /* if confined: these */
	pthread_mutex_t progress_lock; /* guards @progress_ns, and the order of progress messages */
	uint64_t progress_ns;          /* when the last one was sent */
	int released_fd;               /* of this dump's request; -1 = none */
	_Atomic uint64_t rung;         /* bytes released when it was rung last */
};

/*
 * dumper_receive_request - one message; waits for it.  The descriptors are the caller's to close, also those of rubbish.
 * Result: 1 and its descriptors in @fds; 0 when the VMM is gone; -EPROTO for rubbish.
 */
int warn_unused dumper_receive_request(
	int socket, int fds[DUMPER_NR_FDS], size_t *ret_nr_fds, bool *ret_resume);

/* NULL if the region is what the record says, else what is wrong. */
const char *dumper_check_region(int fd, const struct dump_layout *layout);

/* The same for a file that somebody has begun: the guest, or another dumper. */
const char *dumper_check_given(int fd, const struct dump_record *record);

/* dump_engine.notify; its argument is the session.  Any thread of the engine's. */
void dumper_on_notice(struct dump_engine *engine, enum dump_notice notice);

/* The end of a dump.  Nobody else may be there to tell the operator, so then the dumper does. */
void dumper_report(const struct session *session, const struct dump_engine *engine, int error);

/* A request that no dump was begun for. */
void dumper_report_refusal(const struct session *session, uint32_t generation, int error, const char *what);

#endif /* DUMP_DUMPER_DUMPER_IMPL_H */
