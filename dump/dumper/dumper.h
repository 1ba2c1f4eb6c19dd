/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/dumper/dumper.h - the dumper process, seen from the VMM: start it, hand it a crash, hear from it.
 *
 *      VMM                                          dumper (same binary, own address space)
 *      dumper_spawn     ---- exec "minivmm dumper" -->  sandboxes itself, waits
 *      dumper_start     ---- record, region, dir ---->  links .partial names, dumps, releases
 *      dumper_receive   <--- progress, done, failed --  publishes, waits for the next crash
 *
 * The dumper holds nothing but shm file descriptors and its socket.  It finishes a dump in
 * progress when the VMM dies, and exits when idle and alone.  It may be compromised by the memory
 * it parses: the VMM checks each message (type, length, bounds) and treats text as text.
 *
 * Locks: none; one thread of the VMM owns a struct dumper.
 */
#ifndef DUMP_DUMPER_DUMPER_H
#define DUMP_DUMPER_DUMPER_H

#include "dump/linux/linux_pages.h"
#include "dump/record/record.h"
#include "dump/format/vmcore.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* argv[1] of the process; the socket is file descriptor DUMPER_SOCKET_FD */
#define DUMPER_COMMAND "dumper"
#define DUMPER_SOCKET_FD 3
/* our choice: an idle dumper exits within a millisecond, on a loaded host within a few slices */
#define DUMPER_EXIT_MS 1000

struct dumper {
	pid_t pid;  /* 0 = not running */
	int socket; /* owned, SOCK_SEQPACKET, close-on-exec; -1 = none */
	bool busy;  /* a crash was sent and neither DONE nor FAILED has come back */
};

enum dumper_event_type {
	DUMPER_LINKED = 1, /* .partial names exist: from here on a kill loses nothing */
	DUMPER_PROGRESS,   /* @done of @total bytes handled, @released bytes given back */
	DUMPER_DONE,       /* complete and published as <name>.vmcore */
	DUMPER_FAILED,     /* @status; what is left under .partial names is kept; @text says why */
};

struct dumper_event {
	uint32_t type;       /* enum dumper_event_type */
	uint32_t generation; /* of the VM being dumped */
	int32_t status;      /* DUMPER_FAILED: -errno */
	uint32_t fallback; /* DUMPER_LINKED: 1 = the dump goes to the fallback directory, 0 = it does not */
	uint64_t done;     /* bytes of guest memory handled so far (dumped, excluded or empty) */
	uint64_t total;    /* bytes of guest memory */
	uint64_t released; /* bytes of host memory given back to the host so far */
	uint64_t dumped;   /* bytes of guest memory written into the dump */
	uint64_t file_bytes; /* DUMPER_DONE: host memory that the dump occupies (st_blocks) */
	uint64_t excluded[VMCORE_SELECTORS_MAX]; /* pages that dump_selectors[n] was the first to exclude */
	uint64_t reasons[LINUX_REASONS];         /* pages that `linux` excluded, by enum linux_reason */
	uint32_t distrusted; /* DUMPER_DONE: selectors that kept every page (bit n), as @text tells */
	uint32_t pad2;
	/*
	 * NUL-terminated.  DUMPER_FAILED: which object, why, and what is kept under which name.
	 * DUMPER_DONE: "" or which selectors could not believe the guest, and why.
	 */
	char text[512];
};

/*
 * dumper_spawn - start the process by exec of /proc/self/exe.
 * Errors: -errno of socketpair or posix_spawn; @dumper is then as after dumper_init.
 */
int warn_unused dumper_spawn(struct dumper *dumper);

static inline void dumper_init(struct dumper *dumper)
{
	dumper->pid = 0;
	dumper->socket = -1;
	dumper->busy = false;
}

/* What a crash consists of; all stay owned by the caller. */
struct dumper_files {
	int record;       /* from dump_record_create */
	int region;       /* the crashed region: an O_TMPFILE that may still be linked, read-write */
	int region_dir;   /* directory on the region's file system: its .partial name goes there */
	int dir;          /* directory of the dumps; may be the same */
	int fallback_dir; /* directory on disk for a dump that has no room in @dir; -1 = none */
	int dump;         /* file that somebody has begun to fill in, laid out as the region; -1 = none */
	bool resume;      /* that was a dumper with this record, which died; else it was the guest */
	int released;     /* eventfd: rung when memory has been given back; -1 = nobody waits for any */
};

/*
 * dumper_start - send a crash.  The caller may close its files right after.
 * Errors: -EPIPE or -ECONNRESET when the dumper is gone, -EAGAIN when so many crashes wait that its queue
 * is full, else -errno.  Never waits.
 */
int warn_unused dumper_start(struct dumper *dumper, const struct dumper_files *files);

/*
 * dumper_receive - next event, without waiting.
 * Result: 1 and *ret_event; 0 when there is none now; -EPIPE when the process is gone;
 * -EPROTO when it sent something that is no valid event.
 */
int warn_unused dumper_receive(struct dumper *dumper, struct dumper_event *ret_event);

/*
 * Closes the socket: an idle dumper then exits and is waited for (at most DUMPER_EXIT_MS); a busy one finishes by itself.
 * One that has not ended by then is waited for by a thread of its own, so that none stays a zombie.  @dumper is then as
 * after dumper_init.
 */
void dumper_fini(struct dumper *dumper);

/* The same at once, for a process that is dead or has to be: it works no more beside its successor. */
void dumper_kill(struct dumper *dumper);

/* Body of the process.  @socket is owned.  Result: exit status of the process. */
int dumper_main(int socket);

#endif /* DUMP_DUMPER_DUMPER_H */
