/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/guest.c - see guest.h.  The event loop is event_loop(). */
#include "vmm/supervisor/guest.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/base/exit_codes.h"
#include "vmm/machine/power.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define WHY_MAX 512
/* our choice: a terminal that is only slow takes a line in this time; a stopped one holds up no crash longer */
#define LOG_PATIENCE_MS 100
/* our choice: as for a crash, a vCPU leaves the guest within a scheduler slice */
#define RETIRE_TIMEOUT_NS (2 * NSEC_PER_SEC)
/* our choice: no guest that does any work reboots more often; each reboot is a VM, and lines in the log */
#define REBOOT_INTERVAL_NS NSEC_PER_SEC

/* ---- VMs ------------------------------------------------------------------------------------------ */

static struct vm *create_vm(
	struct guest *guest, uint64_t initial, const struct boot_source *source, const char *what)
{
	char why[WHY_MAX] = "";
	struct vm *vm;
	int err;

	err = vm_create(&vm, &guest->shared, initial, source, why, sizeof(why));
	if (!err)
		return vm;
	log_error("%s: %s", what, why);
	if (!guest->exit_code)
		guest->exit_code = err == -EINVAL || err == -ENOENT || err == -E2BIG ? EXIT_CONFIG
										     : EXIT_HOST;
	return NULL;
}

/* What a VM boots with beside a dump; 0 = all its memory. */
static uint64_t initial_memory(const struct config *config)
{
	return config->recovery.handover == HANDOVER_EXPLICIT ? config->recovery.initial : 0;
}

static struct vm *create_first_vm(struct guest *guest, uint64_t initial, const char *what)
{
	const struct config *config = guest->config;

	return create_vm(guest, initial,
		&(struct boot_source){config->vm.kernel, config->vm.initrd, config->vm.cmdline}, what);
}

static struct vm *create_recovery_vm(struct guest *guest)
{
	const struct config *config = guest->config;

	return create_vm(guest, initial_memory(config),
		&(struct boot_source){
			config->recovery.kernel, config->recovery.initrd, config->recovery.cmdline},
		"recovery VM");
}

struct vm *guest_take_standby(struct guest *guest)
{
	struct vm *vm = guest->standby;

	guest->standby = NULL;
	return vm ? vm : create_recovery_vm(guest);
}

/* Makes the standby when nothing urgent is under way. */
static void prepare_standby(struct guest *guest)
{
	const struct vm *vm = guest->vm;
	int exit_code = guest->exit_code;

	if (guest->standby || guest->standby_failed || guest->stopping || !guest->config->recovery.enabled)
		return;
	if (guest->recoveries >= guest->config->recovery.max)
		return;
	if (vm && (!atomic_load(&vm->first_run_ns) ||
			  (jobs_busy(&guest->jobs) && !atomic_load(&vm->ready_ns))))
		return;
	guest->standby = create_recovery_vm(guest);
	guest->standby_failed = !guest->standby;
	handover_set_standby(guest);
	guest->exit_code = exit_code; /* the guest itself runs: it is warned, nothing has failed yet */
}

void guest_start_vm(struct guest *guest, struct vm *vm, struct dump_job *job)
{
	guest->generation = guest->next_generation++;
	vm->generation = guest->generation;
	vm->predecessor = job ? job->record : NULL;
	guest->vm = vm;
	guest->announced_run = false;
	guest->announced_ready = false;
	guest->announced_crash_loaded = false;
	handover_start(guest, vm);
	guest->resumed_ns = 0;
	vm_start(vm);
	handover_grant(guest);
}

/* The VM is over without a crash: it stands still before anything else happens. */
static void retire_vm(struct guest *guest)
{
	struct vm *vm = guest->vm;

	vm_ask_to_park(vm); /* first: none goes far behind an open gate */
	handover_end(guest, vm);
	if (vm_park(vm, RETIRE_TIMEOUT_NS))
		log_warn("generation %u: not every vCPU could be stopped", vm->generation);
	vm_devices_quiesce(vm->devices, vm->generation);
	guest->vm = NULL;
	jobs_settle(&guest->jobs, vm->generation, 0);
	guest_reap(guest, vm);
}

/* ---- what the VM reports -------------------------------------------------------------------------- */

static void announce(struct guest *guest)
{
	const struct vm *vm = guest->vm;
	uint64_t first_run = atomic_load(&vm->first_run_ns);
	uint64_t ready = atomic_load(&vm->ready_ns);

	if (first_run && !guest->announced_run) {
		guest->announced_run = true;
		EVENT_AT(&guest->events, "run", first_run, vm->generation,
			EV_BOOL("recovery", vm->recovery));
	}
	if (atomic_load(&vm->crash_loaded) && !guest->announced_crash_loaded) {
		guest->announced_crash_loaded = true;
		log_warn("generation %u: has panicked and runs its own crash kernel: left alone",
			vm->generation);
		EVENT(&guest->events, "crash-loaded", vm->generation);
	}
	if (ready && !guest->announced_ready) {
		guest->announced_ready = true;
		guest->reports_ready = true;
		log_info("generation %u: ready", vm->generation);
		EVENT_AT(&guest->events, "ready", ready, vm->generation);
		jobs_settle(&guest->jobs, vm->generation, ready);
	}
}

static void handle_power_off(struct guest *guest)
{
	uint64_t code = guest->vm->end.detail;

	console_flush(&guest->console, 100 * NSEC_PER_MSEC);
	if (code)
		log_error("generation %u: powered off with code %" PRIu64, guest->vm->generation, code);
	else
		log_info("generation %u: powered off", guest->vm->generation);
	EVENT_AT(&guest->events, "power-off", guest->vm->end.ns, guest->vm->generation,
		EV_U64("code", code));
	if (code && !guest->exit_code)
		guest->exit_code = EXIT_GUEST;
	guest->stopping = true;
	retire_vm(guest);
}

static void handle_reboot(struct guest *guest)
{
	uint64_t first_run = atomic_load(&guest->vm->first_run_ns);

	console_flush(&guest->console, 100 * NSEC_PER_MSEC);
	log_info("generation %u: reboots", guest->vm->generation);
	EVENT_AT(&guest->events, "reboot", guest->vm->end.ns, guest->vm->generation,
		EV_U64("code", guest->vm->end.detail));
	retire_vm(guest);
	if (!guest->stopping)
		guest->reboot_at_ns = first_run + REBOOT_INTERVAL_NS; /* mostly long ago */
}

void guest_reboot_now(struct guest *guest)
{
	struct vm *vm = create_first_vm(
		guest, handover_is_free(guest) ? 0 : initial_memory(guest->config), "reboot");

	guest->reboot_at_ns = 0;
	if (vm)
		guest_start_vm(guest, vm, NULL);
}

/* VMs that dump by themselves: those that are done, and those out of time. */
static void check_dying(struct guest *guest)
{
	uint64_t now = clock_mono_ns();
	struct vm *vm, *next;

	for (vm = guest->dying; vm; vm = next) {
		next = vm->next_dying;
		if (atomic_load_explicit(&vm->end_valid, memory_order_acquire) ||
			now >= vm->dying_deadline_ns)
			crash_finish(guest, vm);
	}
}

void guest_check_vm(struct guest *guest)
{
	const struct vm *vm = guest->vm;
	bool dying, ended;

	if (!vm)
		return;
	/* before announce(): a VM that is ready and ends at once has been ready */
	dying = atomic_load_explicit(&vm->dying, memory_order_acquire);
	/* pairs with the release in vm_end */
	ended = atomic_load_explicit(&vm->end_valid, memory_order_acquire);
	announce(guest);
	if (dying) {
		crash_begin(guest);
		return;
	}
	if (!ended)
		return;
	switch (vm->end.kind) {
	case VM_END_CRASH:
		crash_handle(guest);
		break;
	case VM_END_REBOOT:
		handle_reboot(guest);
		break;
	case VM_END_POWER_OFF:
		handle_power_off(guest);
		break;
	}
}

/* ---- what the operator does ------------------------------------------------------------------------ */

void guest_stop(struct guest *guest, const char *why)
{
	if (guest->stopping && !guest->vm) {
		if (jobs_busy(&guest->jobs))
			log_warn("%s again: leaving; the dumper process finishes the dump by itself", why);
		guest->abandon = true;
		jobs_abandon(&guest->jobs);
		return;
	}
	log_info("%s: stopping", why);
	guest->stopping = true;
	guest_check_vm(guest); /* a crash that was seen before is dumped all the same */
	guest->recover_at_ns = 0;
	guest->recovery_waits = RECOVERY_WAITS_NOT;
	guest->reboot_at_ns = 0;
	if (guest->recover_job)
		guest->recover_job->awaits_recovery = false;
	guest->recover_job = NULL;
	if (guest->vm) {
		EVENT(&guest->events, "stop", guest->vm->generation, EV_STR("why", why));
		retire_vm(guest);
	}
	if (jobs_busy(&guest->jobs))
		log_info("waiting for the dump to complete; stop again to leave it to the dumper process");
}

void guest_crash_now(struct guest *guest)
{
	if (guest->vm)
		vm_end(guest->vm, &(struct vm_end){.kind = VM_END_CRASH,
					  .reason = DUMP_REASON_OPERATOR,
					  .ns = clock_mono_ns()});
}

bool guest_ask_to_stop(struct guest *guest, const char *why)
{
	uint64_t timeout = guest->config->vm.stop_timeout;

	if (guest->stopping || !guest->vm || vm_is_paused(guest->vm) || !power_button_press(guest->vm)) {
		guest_stop(guest, why);
		return false;
	}
	log_info("%s: pressed the guest's power button; once more stops it at once", why);
	EVENT(&guest->events, "power-button", guest->vm->generation, EV_STR("why", why));
	guest->stopping = true;
	guest->stop_at_ns = timeout ? clock_mono_ns() + timeout : 0;
	return true;
}

/* ---- what wakes the loop up --------------------------------------------------------------------------- */

static void handle_signals(struct guest *guest)
{
	struct signalfd_siginfo info;

	while (read(guest->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			guest_crash_now(guest);
		else
			(void)guest_ask_to_stop(guest, strsignal((int)info.ssi_signo));
	}
}

static void handle_input(struct guest *guest)
{
	char keys[256];
	int n = console_read(&guest->console, keys, sizeof(keys));

	if (n == -ECANCELED)
		guest_stop(guest, "Ctrl-A x");
	else if (n < 0)
		epoll_ctl(guest->epoll_fd, EPOLL_CTL_DEL, guest->console.in_fd, NULL);
	else if (n > 0 && guest->vm)
		serial_input(&guest->vm->serial, keys, (size_t)n);
}

/* ---- the loop -------------------------------------------------------------------------------------- */

static bool is_over(const struct guest *guest)
{
	return guest->abandon ||
	       (!guest->vm && !guest->dying && !guest->recover_at_ns && !guest->recovery_waits &&
		       !guest->reboot_at_ns && !jobs_busy(&guest->jobs));
}

static void handle_ready_fd(struct guest *guest, int fd)
{
	uint64_t count;

	if (fd == guest->notify_fd) {
		if (read(fd, &count, sizeof(count)) < 0)
			log_debug("eventfd: %s", strerror(errno));
	} else if (fd == guest->signal_fd) {
		handle_signals(guest);
	} else if (fd == guest->jobs.dumper.socket) {
		jobs_receive(&guest->jobs);
	} else if (fd == guest->released_fd) {
		if (read(fd, &count, sizeof(count)) < 0)
			log_debug("eventfd: %s", strerror(errno));
		handover_grant(guest);
	} else if (fd == guest->dumps_fd) {
		handover_dump_removed(guest);
	} else if (fd == guest->console.in_fd) {
		handle_input(guest);
	} else if (fd == guest->control.epoll_fd) {
		control_dispatch(&guest->control);
	}
}

static void event_loop(struct guest *guest)
{
	struct epoll_event ready[8];

	while (!is_over(guest)) {
		int n = epoll_wait(guest->epoll_fd, ready, ARRAY_LEN(ready), deadlines_next(guest));

		for (int i = 0; i < n; i++)
			handle_ready_fd(guest, ready[i].data.fd);
		guest_check_vm(guest);
		check_dying(guest);
		deadlines_check(guest);
		crash_check_waiting(guest);
		handover_check(guest);
		prepare_standby(guest);
		jobs_retire(&guest->jobs);
	}
}

/* ---- a guest's whole life --------------------------------------------------------------------------- */

int guest_run(const struct config *config, const char *events_path)
{
	struct guest guest = {.config = config,
		.kvm.fd = -1,
		.events.fd = -1,
		.dir_fd = -1,
		.dump_dir_fd = -1,
		.fallback_dir_fd = -1,
		.lock_fd = -1,
		.epoll_fd = -1,
		.signal_fd = -1,
		.notify_fd = -1,
		.dumps_fd = -1,
		.released_fd = -1};
	struct vm *vm;

	guest.started_ns = clock_mono_ns();
	control_init(&guest.control);
	jobs_init(&guest.jobs);
	gate_none(&guest.gate);
	budget_init(&guest.budget, 0, 0, 0, -1, -1);
	guest.console.out_fd = guest.console.in_fd = -1;
	pthread_mutex_init(&guest.reap_lock, NULL);
	pthread_cond_init(&guest.reaped, NULL);
	guest.exit_code = guest_open(&guest, events_path);
	if (guest.exit_code)
		goto out;
	vm = create_first_vm(&guest, 0, config->path);
	if (!vm)
		goto out;
	console_raw_mode(&guest.console);
	log_set_patience(LOG_PATIENCE_MS);
	log_set_prefix(isatty(STDERR_FILENO) ? "\r\033[K" : NULL);
	/* the guest starts at once; what only a crash needs is made while it boots */
	guest_start_vm(&guest, vm, NULL);
	if (config->dump.enabled)
		jobs_begin(&guest.jobs);
	event_loop(&guest);
	if (!guest.exit_code && guest.jobs.failed)
		guest.exit_code = EXIT_DUMP;
	EVENT(&guest.events, "exit", guest.generation, EV_U64("code", (uint64_t)guest.exit_code));
out:
	guest_close(&guest);
	return guest.exit_code;
}
