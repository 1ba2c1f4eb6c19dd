/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/machine/watchdog.c - see watchdog.h.  Source: Documentation/virt/kvm/api.rst 4.133, KVM_GET_STATS_FD */
#include "vmm/machine/watchdog.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/machine/vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

/* our choices: bounds of what the kernel is believed; Linux 6.12 has 40 counters with names of 48 bytes */
#define STATS_MAX 4096
#define NAME_MAX_BYTES 256

/* our choice: how often to look, so that a hang is noticed within a quarter more than its limit */
#define LOOKS 4
#define LOOK_MAX_NS NSEC_PER_SEC

/*
 * Exits that prove nothing: the host's hard lockup detector interrupts each busy CPU every 10 s (Linux,
 * watchdog_thresh), and the kernel that watches may be interrupted for other reasons now and then.  A tick, even the
 * slowest (one a second, of a CPU that runs without), comes more often.
 */
#define STRAY_EXIT_NS (5 * NSEC_PER_SEC)

bool watchdog_alive(uint64_t exits, uint64_t cpu_ns, uint32_t nr_vcpus)
{
	return exits > nr_vcpus * (1 + cpu_ns / STRAY_EXIT_NS);
}

/* The offset of counter @name, of 8 bytes. */
static int find_counter(int fd, const struct kvm_stats_header *header, const char *name, uint64_t *ret)
{
	size_t size = sizeof(struct kvm_stats_desc) + header->name_size;
	autofree char *buf = malloc(size + 1);
	struct kvm_stats_desc desc;

	if (!buf)
		return -ENOMEM;
	for (uint32_t i = 0; i < header->num_desc; i++) {
		int err = io_pread_full(fd, buf, size, header->desc_offset + (uint64_t)i * size);

		if (err)
			return err;
		buf[size] = '\0';
		memcpy(&desc, buf, sizeof(desc));
		if (desc.size == 1 && !strcmp(buf + sizeof(desc), name)) {
			*ret = header->data_offset + (uint64_t)desc.offset;
			return 0;
		}
	}
	return -ENOENT;
}

static int learn_layout(struct watchdog *w, int fd)
{
	struct kvm_stats_header header;
	int err;

	if (fd < 0)
		return -ENOTSUP;
	err = io_pread_full(fd, &header, sizeof(header), 0);
	if (err)
		return err;
	if (header.num_desc > STATS_MAX || header.name_size > NAME_MAX_BYTES)
		return -EPROTO;
	err = find_counter(fd, &header, "exits", &w->exits_off);
	if (!err)
		err = find_counter(fd, &header, "irq_exits", &w->irq_exits_off);
	w->ready = !err;
	return err;
}

/* Exits that the guest itself made, all vCPUs together. */
static int count_exits(const struct watchdog *w, const struct vcpu *vcpus, uint32_t nr, uint64_t *ret)
{
	uint64_t sum = 0, all, irqs;

	for (uint32_t i = 0; i < nr; i++) {
		int fd = vcpus[i].stats_fd;
		int err = io_pread_full(fd, &irqs, sizeof(irqs), w->irq_exits_off);

		/* in this order: an exit in between counts as the guest's, and never below zero */
		if (!err)
			err = io_pread_full(fd, &all, sizeof(all), w->exits_off);
		if (err)
			return err;
		sum += all - u64_min(irqs, all);
	}
	*ret = sum;
	return 0;
}

static uint64_t cpu_time(const struct vcpu *vcpu)
{
	struct timespec time;
	clockid_t clock;

	if (pthread_getcpuclockid(vcpu->thread, &clock) || clock_gettime(clock, &time))
		return 0;
	return (uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_nsec;
}

/* The most that one vCPU has burned since the guest was last seen alive. */
static uint64_t burned(const struct watchdog *w, const struct vcpu *vcpus, uint32_t nr)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < nr; i++)
		most = u64_max(most, cpu_time(&vcpus[i]) - w->cpu_ns[i]);
	return most;
}

static void note_alive(struct watchdog *w, const struct vcpu *vcpus, uint32_t nr, uint64_t exits)
{
	w->exits = exits;
	for (uint32_t i = 0; i < nr; i++)
		w->cpu_ns[i] = cpu_time(&vcpus[i]);
}

bool watchdog_look(struct watchdog *w, const struct vcpu *vcpus, uint32_t nr_vcpus, uint32_t generation,
	uint64_t limit, uint64_t now)
{
	bool first = !w->look_at_ns;
	uint64_t exits, cpu_ns;
	int err = 0;

	if (!w->ready)
		err = learn_layout(w, vcpus[0].stats_fd);
	if (!err)
		err = count_exits(w, vcpus, nr_vcpus, &exits);
	if (err) {
		log_warn("generation %u: vm.watchdog hears heartbeat calls only: KVM's statistics: %s",
			generation, strerror(-err));
		w->look_at_ns = UINT64_MAX;
		return false;
	}
	w->look_at_ns = now + u64_max(u64_min(limit / LOOKS, LOOK_MAX_NS), NSEC_PER_MSEC);
	cpu_ns = burned(w, vcpus, nr_vcpus);
	if (first || watchdog_alive(exits - w->exits, cpu_ns, nr_vcpus))
		note_alive(w, vcpus, nr_vcpus, exits);
	else if (cpu_ns >= limit)
		return true;
	return false;
}
