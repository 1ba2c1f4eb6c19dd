/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/machine/vcpu.c - see vcpu.h.  The run loop is run_guest(), the exit switch handle_exit(). */
#include "vmm/machine/vcpu.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/host/dump_dir.h"
#include "vmm/machine/cpuid.h"
#include "vmm/machine/vm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* our choice: enough to find a guest's mistake; a hostile one may make any number of calls */
#define REFUSED_LINES_MAX 16

/* ---- exits -------------------------------------------------------------------------------------- */

static enum bus_verdict end_crash(struct vcpu *vcpu, enum dump_reason reason, uint64_t detail)
{
	vm_end(vcpu->vm, &(struct vm_end){.kind = VM_END_CRASH,
				 .reason = reason,
				 .cpu = vcpu->id,
				 .detail = detail,
				 .ns = clock_mono_ns()});
	return BUS_STOP;
}

static enum bus_verdict handle_io(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	uint32_t size = run->io.size, count = run->io.count;
	uint8_t *data = (uint8_t *)vcpu->run + run->io.data_offset;
	enum bus_verdict verdict = BUS_CONTINUE;

	/* a repeated access moves through the data; the port stays */
	for (uint32_t i = 0; i < count && verdict == BUS_CONTINUE; i++, data += size) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			bus_read(&vcpu->vm->ports, vcpu->id, run->io.port, data, size);
		else
			verdict = bus_write(&vcpu->vm->ports, vcpu->id, run->io.port, data, size);
	}
	return verdict;
}

static enum bus_verdict handle_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint32_t len = (uint32_t)u64_min(run->mmio.len, sizeof(run->mmio.data));

	if (run->mmio.is_write)
		return bus_write(&vcpu->vm->memory, vcpu->id, run->mmio.phys_addr, run->mmio.data, len);
	bus_read(&vcpu->vm->memory, vcpu->id, run->mmio.phys_addr, run->mmio.data, len);
	return BUS_CONTINUE;
}

static enum bus_verdict handle_system_event(struct vcpu *vcpu)
{
	struct vm_end end = {.cpu = vcpu->id, .ns = clock_mono_ns()};

	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		end.kind = VM_END_POWER_OFF;
		break;
	case KVM_SYSTEM_EVENT_RESET:
		end.kind = VM_END_REBOOT;
		break;
	default:
		return end_crash(vcpu, DUMP_REASON_PANIC, vcpu->run->system_event.type);
	}
	vm_end(vcpu->vm, &end);
	return BUS_STOP;
}

static enum bus_verdict handle_exit(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return handle_io(vcpu);
	case KVM_EXIT_MMIO:
		return handle_mmio(vcpu);
	case KVM_EXIT_HLT: /* not with an in-kernel irqchip; harmless: the next KVM_RUN goes on */
	case KVM_EXIT_INTR:
		return BUS_CONTINUE;
	case KVM_EXIT_SHUTDOWN:
		return end_crash(vcpu, DUMP_REASON_TRIPLE_FAULT, 0);
	case KVM_EXIT_INTERNAL_ERROR:
		return end_crash(vcpu, DUMP_REASON_INTERNAL_ERROR, run->internal.suberror);
	case KVM_EXIT_FAIL_ENTRY:
		return end_crash(
			vcpu, DUMP_REASON_ENTRY_FAILED, run->fail_entry.hardware_entry_failure_reason);
	case KVM_EXIT_SYSTEM_EVENT:
		return handle_system_event(vcpu);
	case KVM_EXIT_UNKNOWN:
		log_error(
			"vCPU %u: the processor left the guest for a reason that KVM does not know: 0x%llx",
			vcpu->id, (unsigned long long)run->hw.hardware_exit_reason);
		return end_crash(vcpu, DUMP_REASON_INTERNAL_ERROR, run->hw.hardware_exit_reason);
	default:
		log_error("vCPU %u: exit reason %u from KVM is not known here", vcpu->id, run->exit_reason);
		return end_crash(vcpu, DUMP_REASON_INTERNAL_ERROR, run->exit_reason);
	}
}

/* ---- the thread --------------------------------------------------------------------------------- */

static void note_first_run(struct vm *vm)
{
	uint64_t ns = clock_mono_ns();

	/* first: once the supervisor knows of the run, it may be done with the predecessor */
	if (vm->predecessor)
		dump_record_mark(vm->predecessor, DUMP_MOMENT_RECOVERY_RUN, ns);
	atomic_store(&vm->first_run_ns, ns);
	vm_notify(vm);
}

/* KVM does not go on.  Memory that is not to be had is no fault of KVM's. */
static void end_failed_run(struct vcpu *vcpu, int err)
{
	const struct vm_shared *shared = vcpu->vm->shared;

	if (err == EFAULT && dump_dir_is_full(shared->dir_fd)) {
		log_error("vCPU %u: %s is full: there is no memory for the guest", vcpu->id,
			shared->memory_dir);
		end_crash(vcpu, DUMP_REASON_NO_MEMORY, (uint64_t)err);
		return;
	}
	log_error("vCPU %u: KVM_RUN: %s", vcpu->id, strerror(err));
	end_crash(vcpu, DUMP_REASON_INTERNAL_ERROR, (uint64_t)err);
}

static void run_guest(void *opaque)
{
	struct vcpu *vcpu = opaque;
	struct vm *vm = vcpu->vm;

	if (vcpu->id == 0 && !atomic_load(&vm->first_run_ns))
		note_first_run(vm);
	while (!vcpu->over && atomic_load(&vm->command) == VM_RUN) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
			int err = errno;

			/* pairs with vcpu_kick: clear first, then read the command again */
			__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
			if (err == EINTR || err == EAGAIN)
				continue;
			end_failed_run(vcpu, err);
			vcpu->over = true;
		} else if (handle_exit(vcpu) == BUS_STOP) {
			vcpu->over = true;
		}
	}
}

/*
 * The last exit may have left an instruction half done (an IN whose result is not in RAX yet, an OUT
 * with RIP still on it): entering with immediate_exit set completes it without running the guest.
 */
static void complete_exit(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	while (!ioctl(vcpu->fd, KVM_RUN, 0) && vcpu->run->exit_reason != KVM_EXIT_SHUTDOWN)
		(void)handle_exit(vcpu); /* a string access may exit once more for its next element */
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

/* The guest's watchdogs are told that the time was none of its; without kvmclock an error. */
static void note_resumed(void *opaque)
{
	const struct vcpu *vcpu = opaque;

	(void)ioctl(vcpu->fd, KVM_KVMCLOCK_CTRL, 0);
}

static void park(void *opaque)
{
	struct vcpu *vcpu = opaque;

	complete_exit(vcpu);
	vcpu_save(vcpu, &vcpu->vm->record->cpus[vcpu->id]);
}

static void *vcpu_thread(void *opaque)
{
	static const struct vm_duties duties = {.run = run_guest, .resumed = note_resumed, .park = park};
	struct vcpu *vcpu = opaque;
	char name[16];
	sigset_t kick;

	snprintf(name, sizeof(name), "vcpu%" PRIu32, vcpu->id);
	pthread_setname_np(pthread_self(), name);
	sigemptyset(&kick);
	sigaddset(&kick, VCPU_KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	vm_obey(vcpu->vm, &duties, vcpu);
	return NULL;
}

static void kick_handler(int signal)
{
	(void)signal; /* interrupting KVM_RUN is all it is for */
}

int vcpu_kick_init(void)
{
	struct sigaction action = {.sa_handler = kick_handler};
	sigset_t kick;

	sigemptyset(&action.sa_mask);
	if (sigaction(VCPU_KICK_SIGNAL, &action, NULL) < 0)
		return -errno;
	sigemptyset(&kick);
	sigaddset(&kick, VCPU_KICK_SIGNAL);
	return -pthread_sigmask(SIG_BLOCK, &kick, NULL); /* vCPU threads unblock it for themselves */
}

void vcpu_kick(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, VCPU_KICK_SIGNAL);
}

/* ---- creation ----------------------------------------------------------------------------------- */

int vcpu_create(struct vcpu *ret, struct vm *vm, uint32_t id, const struct boot_entry *entry)
{
	const struct kvm *kvm = vm->shared->kvm;
	struct kvm_cpuid_table cpuid;
	void *run;
	int err;

	*ret = (struct vcpu){
		.vm = vm, .id = id, .fd = -1, .stats_fd = -1, .refused.burst = REFUSED_LINES_MAX};
	ret->fd = ioctl(vm->fd, KVM_CREATE_VCPU, id);
	if (ret->fd < 0)
		return -errno;
	run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, ret->fd, 0);
	if (run == MAP_FAILED) {
		err = -errno;
		goto fail;
	}
	ret->run = run;
	cpuid_for_vcpu(kvm, id, vm->shared->nr_vcpus, &cpuid);
	if (ioctl(ret->fd, KVM_SET_CPUID2, &cpuid) < 0) {
		err = -errno;
		goto fail;
	}
	if (vm->shared->watchdog)
		ret->stats_fd = ioctl(ret->fd, KVM_GET_STATS_FD, NULL); /* -1: this KVM has none */
	err = vcpu_set_boot_state(ret, entry);
	if (!err)
		err = -pthread_create(&ret->thread, NULL, vcpu_thread, ret);
	if (err)
		goto fail;
	ret->started = true;
	return 0;
fail:
	vcpu_destroy(ret);
	return err;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (vcpu->started)
		pthread_join(vcpu->thread, NULL);
	vcpu->started = false;
	if (vcpu->refused.suppressed)
		log_debug("generation %u: vCPU %u: %" PRIu64 " more firmware calls that were refused",
			vcpu->vm->generation, vcpu->id, vcpu->refused.suppressed);
	if (vcpu->run)
		munmap(vcpu->run, vcpu->vm->shared->kvm->run_size);
	vcpu->run = NULL;
	if (vcpu->stats_fd >= 0)
		close(vcpu->stats_fd);
	vcpu->stats_fd = -1;
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	vcpu->fd = -1;
}
