/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/fullness.c - the tmpfs of vm.memory_dir is full: see guest_impl.h
 *
 * A VM that touches memory which the host does not have stands still in KVM, or KVM gives up with it: which, is the
 * kernel's choice, and neither tells what is wrong.  So somebody looks, and says it; before that, old dumps go.
 */
#include "vmm/supervisor/guest_impl.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/host/dump_dir.h"

/* our choice: one call in so long, of a machine that runs a VM; nobody wants to wait longer for the reason */
#define LOOK_NS NSEC_PER_SEC

uint64_t fullness_deadline(const struct guest *guest)
{
	return guest->recovery.vm ? guest->fullness.look_ns : UINT64_MAX;
}

/* A VM that has all its memory wants no more. */
static bool is_short(const struct vm *vm, int dir_fd)
{
	return dump_dir_is_full(dir_fd) && io_bytes_behind(vm->region.fd) < vm->region.layout.ram;
}

void fullness_check(struct guest *guest, uint64_t now)
{
	const struct vm *vm = guest->recovery.vm;
	struct fullness *fullness = &guest->fullness;

	if (now < fullness_deadline(guest))
		return;
	fullness->look_ns = now + LOOK_NS;
	if (!is_short(vm, guest->around.dir_fd)) {
		fullness->said = false;
		return;
	}
	if (fullness->said || jobs_free_memory(&guest->jobs))
		return;
	fullness->said = true;
	log_error("generation %u: %s is full: the guest stands still when it touches more memory, until "
		  "something is removed there, or crashes",
		vm->generation, guest->config->vm.memory_dir);
	EVENT(&guest->around.events, "dir-full", vm->generation,
		EV_STR("dir", guest->config->vm.memory_dir));
}
