/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/dumper_wire.h - what crosses the socket between VMM and dumper.  Private to dump/dumper.c and
 * dump/dumper_client.c.
 *
 *      VMM -> dumper    struct dumper_request with DUMPER_NR_FDS descriptors
 *      dumper -> VMM    struct dumper_event
 *
 * One message is one SEQPACKET record of exactly the struct's size.  Both ends are the same binary.
 */
#ifndef DUMP_DUMPER_WIRE_H
#define DUMP_DUMPER_WIRE_H

#include <stdint.h>

#define DUMPER_REQUEST_MAGIC 0x51524d4d /* "MMRQ" */

/* Descriptors of a request, in this order. */
enum dumper_fd { DUMPER_FD_RECORD, DUMPER_FD_REGION, DUMPER_FD_DIR, DUMPER_NR_FDS };

struct dumper_request {
	uint32_t magic;  /* DUMPER_REQUEST_MAGIC */
	uint32_t nr_fds; /* DUMPER_NR_FDS */
};

#endif /* DUMP_DUMPER_WIRE_H */
