/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/dumper/dumper_wire.h - what crosses the socket between VMM and dumper.  Private to dump/dumper/dumper.c and
 * dump/dumper/dumper_client.c.
 *
 *      VMM -> dumper    struct dumper_request with a descriptor for each bit of its mask
 *      dumper -> VMM    struct dumper_event
 *
 * One message is one SEQPACKET record of exactly the struct's size.  Both ends are the same binary.
 */
#ifndef DUMP_DUMPER_DUMPER_WIRE_H
#define DUMP_DUMPER_DUMPER_WIRE_H

#include <stdint.h>

#define DUMPER_REQUEST_MAGIC 0x51524d4d /* "MMRQ" */

/* Descriptors of a request, in this order; see struct dumper_files. */
enum dumper_fd {
	DUMPER_FD_RECORD,
	DUMPER_FD_REGION,
	DUMPER_FD_REGION_DIR,
	DUMPER_FD_DIR,
	DUMPER_FD_FALLBACK_DIR, /* optional */
	DUMPER_FD_DUMP,         /* optional */
	DUMPER_FD_RELEASED,     /* optional */
	DUMPER_NR_FDS
};
#define DUMPER_FDS_REQUIRED                                                                                \
	(1u << DUMPER_FD_RECORD | 1u << DUMPER_FD_REGION | 1u << DUMPER_FD_REGION_DIR | 1u << DUMPER_FD_DIR)

struct dumper_request {
	uint32_t magic;   /* DUMPER_REQUEST_MAGIC */
	uint32_t present; /* bit enum dumper_fd: the descriptor is there */
	uint32_t resume;  /* 0 or 1: struct dumper_files */
	uint32_t pad;
};

#endif /* DUMP_DUMPER_DUMPER_WIRE_H */
