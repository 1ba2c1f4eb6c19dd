/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/host/kvm.c - see kvm.h */
#include "vmm/host/kvm.h"

#include "dump/base/log.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define KVM_DEVICE "/dev/kvm"

#define CPUID_VMX (1u << 5) /* leaf 1 ECX */
#define CPUID_SVM (1u << 2) /* leaf 0x80000001 ECX */

#define NEED(cap, why)                                                                                     \
	{                                                                                                  \
		cap, #cap, true, why                                                                       \
	}
#define LIKE(cap, why)                                                                                     \
	{                                                                                                  \
		cap, #cap, false, why                                                                      \
	}
const struct kvm_requirement kvm_requirements[] = {
	NEED(KVM_CAP_USER_MEMORY, "guest RAM is a file mapped by minivmm"),
	NEED(KVM_CAP_IRQCHIP, "interrupt controllers in the kernel"),
	NEED(KVM_CAP_PIT2, "timer that guests calibrate against"),
	NEED(KVM_CAP_IRQFD, "interrupts from threads that are no vCPU"),
	NEED(KVM_CAP_IOEVENTFD, "doorbells without an exit to user space"),
	NEED(KVM_CAP_SET_TSS_ADDR, "real mode on older Intel hosts"),
	NEED(KVM_CAP_SET_IDENTITY_MAP_ADDR, "real mode on older Intel hosts"),
	NEED(KVM_CAP_EXT_CPUID, "choosing the guest's CPU features"),
	NEED(KVM_CAP_IMMEDIATE_EXIT, "stopping a vCPU without a race"),
	NEED(KVM_CAP_MP_STATE, "register dump: state of secondary vCPUs"),
	NEED(KVM_CAP_VCPU_EVENTS, "register dump: pending exceptions"),
	NEED(KVM_CAP_XSAVE, "register dump: vector registers"),
	NEED(KVM_CAP_DEBUGREGS, "register dump: debug registers"),
	LIKE(KVM_CAP_TSC_DEADLINE_TIMER, "a timer that Linux need not calibrate"),
	LIKE(KVM_CAP_BINARY_STATS_FD, "vm.watchdog for guests without firmware calls"),
	LIKE(KVM_CAP_XSAVE2, "register dump: XSAVE areas over 4 KiB"),
	LIKE(KVM_CAP_GET_TSC_KHZ, "telling the guest its TSC frequency"),
};
const size_t kvm_nr_requirements = ARRAY_LEN(kvm_requirements);

int kvm_extension(const struct kvm *kvm, int cap)
{
	int value = ioctl(kvm->fd, KVM_CHECK_EXTENSION, cap);

	return value < 0 ? 0 : value;
}

static int open_device(struct kvm *kvm, char *why, size_t why_size)
{
	int err;

	kvm->fd = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);
	if (kvm->fd >= 0)
		return 0;
	err = -errno;
	if (err == -ENOENT || err == -ENODEV || err == -ENXIO)
		snprintf(why, why_size,
			"no usable " KVM_DEVICE
			": load the module kvm_intel or kvm_amd; on a virtual machine,"
			" enable nested virtualization in its host");
	else if (err == -EACCES || err == -EPERM)
		snprintf(why, why_size,
			"no permission to open " KVM_DEVICE ": add this user to its group"
			" (usually: sudo usermod -aG kvm $USER, then log in again)");
	else
		snprintf(why, why_size, "cannot open " KVM_DEVICE ": %s", strerror(-err));
	return err;
}

static int check_extensions(const struct kvm *kvm, char *why, size_t why_size)
{
	int version = ioctl(kvm->fd, KVM_GET_API_VERSION, 0);

	/* Documentation/virt/kvm/api.rst 4.1: applications refuse anything but 12 */
	if (version != KVM_API_VERSION) {
		snprintf(why, why_size, KVM_DEVICE ": API version %d, need %d", version, KVM_API_VERSION);
		return -ENOSYS;
	}
	for (size_t i = 0; i < kvm_nr_requirements; i++) {
		const struct kvm_requirement *need = &kvm_requirements[i];

		if (need->required && !kvm_extension(kvm, need->cap)) {
			snprintf(why, why_size, KVM_DEVICE " lacks %s (%s): a newer kernel is needed",
				need->name, need->why);
			return -ENOSYS;
		}
	}
	return 0;
}

/* Intel SDM vol. 2A CPUID, AMD APM vol. 3 appendix E: whether this CPU has VMX or SVM. */
static bool cpu_runs_guests(void)
{
	uint32_t eax, ebx, ecx, edx;

	return (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & CPUID_VMX)) ||
	       (__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && (ecx & CPUID_SVM));
}

static int read_msr_list(struct kvm *kvm)
{
	struct {
		uint32_t nmsrs; /* layout of struct kvm_msr_list */
		uint32_t indices[4 * KVM_MSRS_MAX];
	} list = {.nmsrs = 4 * KVM_MSRS_MAX};

	if (ioctl(kvm->fd, KVM_GET_MSR_INDEX_LIST, &list) < 0)
		return -errno;
	kvm->nr_msrs = (uint32_t)u64_min(list.nmsrs, KVM_MSRS_MAX);
	memcpy(kvm->msrs, list.indices, kvm->nr_msrs * sizeof(kvm->msrs[0]));
	return 0;
}

int kvm_open(struct kvm *ret, char *why, size_t why_size)
{
	int size, err;

	memset(ret, 0, sizeof(*ret));
	err = open_device(ret, why, why_size);
	if (err)
		return err;
	err = check_extensions(ret, why, why_size);
	if (err)
		goto fail;
	snprintf(why, why_size, KVM_DEVICE ": cannot read what it supports");
	size = ioctl(ret->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run)) {
		err = size < 0 ? -errno : -ENOSYS;
		goto fail;
	}
	ret->run_size = (uint32_t)size;
	ret->xsave_size = (uint32_t)u64_max((uint64_t)kvm_extension(ret, KVM_CAP_XSAVE2), 4096);
	ret->software = !cpu_runs_guests();
	ret->tsc_deadline = kvm_extension(ret, KVM_CAP_TSC_DEADLINE_TIMER);
	ret->cpuid.nent = KVM_CPUID_MAX;
	if (ioctl(ret->fd, KVM_GET_SUPPORTED_CPUID, &ret->cpuid) < 0) {
		err = -errno;
		goto fail;
	}
	err = read_msr_list(ret);
	if (err)
		goto fail;
	why[0] = '\0';
	return 0;
fail:
	kvm_close(ret);
	return err;
}

void kvm_close(struct kvm *kvm)
{
	if (kvm->fd >= 0)
		close(kvm->fd);
	kvm->fd = -1;
}
