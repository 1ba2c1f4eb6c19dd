/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firmware/dispatch.h - host side of the firmware calls: one table, one entry point.
 *
 * Copies the guest's block in once, validates the copy, hands it to the machine through
 * struct fw_machine_ops, copies the OUT fields back.  Knows nothing of KVM or of vmm/.
 *
 * A bad block gets an error status; a block that is not in RAM gets nothing (there is no place to
 * put a status).  Nothing a guest passes is fatal to the VMM.
 *
 * Locks: none of its own; calls from several vCPUs run at once, the ops do their own locking.
 */
#ifndef FIRMWARE_DISPATCH_H
#define FIRMWARE_DISPATCH_H

#include "firmware/abi.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the calling vCPU does next. */
enum fw_verdict {
	FW_VERDICT_CONTINUE, /* return to the guest */
	FW_VERDICT_STOP,     /* the VM is over: panic, reboot, power off */
};

/*
 * What the machine behind the calls must provide.  @machine is fw_dispatch's argument.  All return
 * a status of the ABI (FW_OK or FW_E*) unless said otherwise.  Memory arguments are already copied.
 */
struct fw_machine_ops {
	/* Guest memory, all or nothing: 0 or a negative value when outside RAM. */
	int (*copy_in)(void *machine, fw_gpa_t gpa, void *dst, size_t len);
	int (*copy_out)(void *machine, fw_gpa_t gpa, const void *src, size_t len);

	/* Fills the OUT fields except version and calls. */
	void (*query)(void *machine, struct fw_query *query);
	/* Takes all @len bytes. */
	int32_t (*console_write)(void *machine, const char *text, uint32_t len);
	/*
	 * @call: validated numbers, addresses as given.  @string is not terminated.  FW_EBUSY when the
	 * VM has ended already.  With FW_PANIC_BEGIN in @call->flags the guest goes on afterwards,
	 * whatever the status.
	 */
	int32_t (*panic)(void *machine, uint32_t cpu, const struct fw_panic *call, const char *string,
		uint32_t string_len, const struct fw_regs *regs, uint32_t nr_regs);
	/*
	 * Dumping by the guest itself; all five or none (NULL: FW_ENOTSUP).  Numbers are as given:
	 * nothing is validated but the flags.
	 */
	int32_t (*dump_open)(void *machine, fw_gpa_t start, uint64_t len, uint32_t *ret_stream);
	int32_t (*dump_write)(void *machine, uint32_t stream, fw_gpa_t buf, uint64_t len, bool release);
	int32_t (*dump_close)(void *machine, uint32_t stream);
	int32_t (*mem_add)(void *machine, fw_gpa_t start, uint64_t len, fw_gpa_t *ret_added);
	int32_t (*mem_remove)(void *machine, fw_gpa_t added);
	/*
	 * Events; both or none (NULL: FW_ENOTSUP).  poll: at most @max (up to FW_EVENTS_MAX) of the oldest
	 * that wait, to @events.  ack: the number is as given.
	 */
	int32_t (*events_poll)(void *machine, struct fw_event *events, uint32_t max, uint32_t *ret_count,
		uint32_t *ret_waiting);
	int32_t (*events_ack)(void *machine, uint64_t seq);
	int32_t (*ready)(void *machine, uint32_t cpu);
	int32_t (*heartbeat)(void *machine, uint32_t cpu, uint64_t progress);
	int32_t (*reboot)(void *machine, uint32_t cpu, uint32_t code);
	int32_t (*power_off)(void *machine, uint32_t cpu, uint32_t code);
};

/*
 * fw_dispatch - handle the call block at guest-physical @gpa for vCPU @cpu.
 * Result: whether the vCPU may run on.  *ret_call is the call number, or FW_NR_CALLS if there was
 * no valid block; *ret_status the status that the guest got.
 */
enum fw_verdict fw_dispatch(const struct fw_machine_ops *ops, void *machine, uint32_t cpu, fw_gpa_t gpa,
	uint32_t *ret_call, int32_t *ret_status);

/* Name of a call for messages and --help; NULL past the last. */
const char *fw_call_name(uint32_t call);

/* True if the call is implemented by this VMM. */
int fw_call_supported(uint32_t call);

#endif /* FIRMWARE_DISPATCH_H */
