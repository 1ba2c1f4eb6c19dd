/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/guest.c - see guest.h.  The event loop is event_loop(). */
#include "vmm/guest.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/tables.h"
#include "vmm/dump_dir.h"
#include "vmm/exit_codes.h"
#include "vmm/power.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WHY_MAX 512
/* our choice: a terminal that is only slow takes a line in this time; a stopped one holds up no crash longer */
#define LOG_PATIENCE_MS 100
/* our choice: as for a crash, a vCPU leaves the guest within a scheduler slice */
#define RETIRE_TIMEOUT_NS (2 * NSEC_PER_SEC)
/* as the dumper's: dump/dumper.c */
#define REAPER_NICE 10
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
	if (vm && (!atomic_load(&vm->first_run_ns) || (jobs_busy(guest) && !atomic_load(&vm->ready_ns))))
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

struct reap_task {
	struct guest *guest;
	struct vm *vm;
};

static void destroy(struct guest *guest, struct vm *vm)
{
	uint32_t generation = vm->generation;

	vm_destroy(vm);
	handover_reaped(guest, generation);
}

static void *reaper_thread(void *opaque)
{
	struct reap_task *task = opaque;
	struct guest *guest = task->guest;

	/* of this thread alone: the next VM is what users wait for */
	if (setpriority(PRIO_PROCESS, (id_t)gettid(), REAPER_NICE) < 0)
		log_debug("reaper: nice %d: %s", REAPER_NICE, strerror(errno));
	destroy(guest, task->vm);
	free(task);
	pthread_mutex_lock(&guest->reap_lock);
	guest->reaping--;
	pthread_cond_signal(&guest->reaped);
	pthread_mutex_unlock(&guest->reap_lock);
	return NULL;
}

void guest_reap(struct guest *guest, struct vm *vm)
{
	struct reap_task *task = malloc(sizeof(*task));
	pthread_t thread;

	if (!budget_has(&guest->budget, vm->generation))
		handover_claim(guest, vm, NULL);
	if (task) {
		*task = (struct reap_task){.guest = guest, .vm = vm};
		pthread_mutex_lock(&guest->reap_lock);
		guest->reaping++;
		pthread_mutex_unlock(&guest->reap_lock);
		if (!pthread_create(&thread, NULL, reaper_thread, task)) {
			pthread_detach(thread);
			return;
		}
		pthread_mutex_lock(&guest->reap_lock);
		guest->reaping--;
		pthread_mutex_unlock(&guest->reap_lock);
		free(task);
	}
	destroy(guest, vm); /* no thread to be had: do it here */
}

static void wait_for_reapers(struct guest *guest)
{
	pthread_mutex_lock(&guest->reap_lock);
	while (guest->reaping)
		pthread_cond_wait(&guest->reaped, &guest->reap_lock);
	pthread_mutex_unlock(&guest->reap_lock);
}

/* The VM is over without a crash: it stands still before anything else happens. */
static void retire_vm(struct guest *guest)
{
	struct vm *vm = guest->vm;

	vm_ask_to_park(vm); /* first: none goes far behind an open gate */
	handover_end(guest, vm);
	if (vm_park(vm, RETIRE_TIMEOUT_NS))
		log_warn("generation %u: not every vCPU could be stopped", vm->generation);
	vm_quiesce_devices(vm);
	guest->vm = NULL;
	jobs_settle(guest, vm->generation, 0);
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
		jobs_settle(guest, vm->generation, ready);
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

static void reboot_now(struct guest *guest)
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
		if (jobs_busy(guest))
			log_warn("%s again: leaving; the dumper process finishes the dump by itself", why);
		guest->abandon = true;
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
	if (jobs_busy(guest))
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

/* ---- deadlines ------------------------------------------------------------------------------------ */

/*
 * When the watchdog bites, or, of a guest that makes no firmware calls, looks for signs of life (watchdog.h);
 * UINT64_MAX = never.
 */
static uint64_t watchdog_deadline(struct guest *guest)
{
	uint64_t last, stalled;

	/* a guest's own crash kernel takes its time */
	if (!guest->vm || !guest->config->vm.watchdog || vm_is_paused(guest->vm) ||
		atomic_load(&guest->vm->crash_loaded))
		return UINT64_MAX;
	if (!atomic_load(&guest->vm->calls_made))
		return atomic_load(&guest->vm->first_run_ns) ? guest->vm->watchdog.look_at_ns : UINT64_MAX;
	stalled = gate_stalled_until(&guest->gate);
	if (stalled == UINT64_MAX)
		return UINT64_MAX; /* it waits for memory, and is not to blame */
	last = u64_max(atomic_load(&guest->vm->first_run_ns), atomic_load(&guest->vm->heartbeat_ns));
	last = u64_max(last, last ? stalled : 0);
	last = u64_max(last, guest->resumed_ns);
	return last ? last + guest->config->vm.watchdog : UINT64_MAX;
}

static void check_deadlines(struct guest *guest)
{
	uint64_t now = clock_mono_ns();

	if (now >= watchdog_deadline(guest) &&
		(atomic_load(&guest->vm->calls_made) ||
			watchdog_look(guest->vm, guest->config->vm.watchdog, now))) {
		vm_end(guest->vm,
			&(struct vm_end){.kind = VM_END_CRASH, .reason = DUMP_REASON_HANG, .ns = now});
		guest_check_vm(guest);
	}
	if (guest->recover_at_ns && now >= guest->recover_at_ns)
		crash_recover_now(guest);
	if (guest->reboot_at_ns && now >= guest->reboot_at_ns)
		reboot_now(guest);
	if (guest->vm && guest->stop_at_ns && now >= guest->stop_at_ns)
		guest_stop(guest, "vm.stop_timeout");
	if (now >= crash_settle_deadline(guest))
		jobs_settle(guest, guest->vm->generation, 0);
	jobs_check_stall(guest, now);
}

/* For epoll_wait: ms until the next deadline, -1 = none. */
static int next_timeout(struct guest *guest)
{
	uint64_t at = watchdog_deadline(guest), now = clock_mono_ns();

	at = u64_min(at, jobs_stall_deadline(guest));
	at = u64_min(at, crash_settle_deadline(guest));
	if (guest->recover_at_ns)
		at = u64_min(at, guest->recover_at_ns);
	if (guest->reboot_at_ns)
		at = u64_min(at, guest->reboot_at_ns);
	if (guest->vm && guest->stop_at_ns)
		at = u64_min(at, guest->stop_at_ns);
	for (const struct vm *vm = guest->dying; vm; vm = vm->next_dying)
		at = u64_min(at, vm->dying_deadline_ns);
	if (at == UINT64_MAX)
		return -1;
	return at <= now ? 0 : (int)u64_min((at - now) / NSEC_PER_MSEC + 1, 1000);
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
		       !guest->reboot_at_ns && !jobs_busy(guest));
}

static void handle_ready_fd(struct guest *guest, int fd)
{
	uint64_t count;

	if (fd == guest->notify_fd) {
		if (read(fd, &count, sizeof(count)) < 0)
			log_debug("eventfd: %s", strerror(errno));
	} else if (fd == guest->signal_fd) {
		handle_signals(guest);
	} else if (fd == guest->dumper.socket) {
		jobs_receive(guest);
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
		int n = epoll_wait(guest->epoll_fd, ready, ARRAY_LEN(ready), next_timeout(guest));

		for (int i = 0; i < n; i++)
			handle_ready_fd(guest, ready[i].data.fd);
		guest_check_vm(guest);
		check_dying(guest);
		check_deadlines(guest);
		crash_check_waiting(guest);
		handover_check(guest);
		prepare_standby(guest);
	}
}

/* ---- start and end --------------------------------------------------------------------------------- */

static int watch(struct guest *guest, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(guest->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* The signals that the loop reads.  Before the first thread starts: each thread inherits the mask. */
static int block_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGHUP);
	sigaddset(ret, SIGUSR1);
	/* a pipe without a reader, a file at its limit (RLIMIT_FSIZE): results of calls, not the end */
	if (pthread_sigmask(SIG_BLOCK, ret, NULL) || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
		signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return -EINVAL;
	return 0;
}

static int open_loop(struct guest *guest, const sigset_t *signals)
{
	int err;

	guest->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	guest->signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	guest->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (guest->epoll_fd < 0 || guest->signal_fd < 0 || guest->notify_fd < 0)
		return -errno;
	err = vcpu_kick_init();
	if (!err)
		err = watch(guest, guest->signal_fd);
	if (!err)
		err = watch(guest, guest->notify_fd);
	if (!err && guest->console.in_fd >= 0)
		err = watch(guest, guest->console.in_fd);
	return err;
}

/* Opens vm.memory_dir and locks it: two minivmm with one guest name would mix up their files. */
static int open_memory_dir(struct guest *guest)
{
	const struct config *config = guest->config;
	struct dump_dir_facts facts;
	char why[WHY_MAX], have[24];

	if (dump_dir_open(config->vm.memory_dir, (enum huge_pages)config->dump.huge_pages, &guest->dir_fd,
		    why, sizeof(why))) {
		log_error("[vm] memory_dir: %s", why);
		return EXIT_HOST;
	}
	/* a descriptor of its own: the dumper shares dir_fd's open file, and may outlive this process */
	guest->lock_fd = openat(guest->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (guest->lock_fd < 0 || flock(guest->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		log_error("[vm] memory_dir: %s: %s", config->vm.memory_dir,
			errno == EWOULDBLOCK ? "another minivmm uses it" : strerror(errno));
		return EXIT_HOST;
	}
	if (!dump_dir_probe(guest->dir_fd, &facts)) {
		guest->huge_pages = facts.huge;
		report_bytes(facts.available, have, sizeof(have));
		if (facts.available < config->vm.memory)
			log_warn("%s has only %s free, less than vm.memory", config->vm.memory_dir, have);
		EVENT(&guest->events, "dir", 0, EV_STR("dir", config->vm.memory_dir),
			EV_BOOL("huge", facts.huge), EV_U64("available", facts.available));
	}
	return EXIT_OK;
}

/* A dump that stays where the memory is cannot get a name on another file system. */
static int check_in_place(const struct guest *guest)
{
	const struct config *config = guest->config;
	const struct dump_strategy *strategy = &dump_strategies[config->dump.strategy];
	struct stat memory, dumps;

	if (!config->dump.enabled || !strategy->in_place || fstat(guest->dir_fd, &memory) ||
		fstat(guest->dump_dir_fd, &dumps) || memory.st_dev == dumps.st_dev)
		return EXIT_OK;
	log_error(
		"[dump] strategy = %s needs [dump] dir on the file system of [vm] memory_dir: %s is not on "
		"that of %s",
		strategy->name, config->dump.dir, config->vm.memory_dir);
	return EXIT_CONFIG;
}

static int open_dirs(struct guest *guest)
{
	const struct config *config = guest->config;
	char why[WHY_MAX];
	int code = open_memory_dir(guest);

	if (code)
		return code;
	if (dump_dir_open_any(config->dump.dir, (enum huge_pages)config->dump.huge_pages,
		    &guest->dump_dir_fd, why, sizeof(why))) {
		log_error("[dump] dir: %s", why);
		return EXIT_HOST;
	}
	if (config->dump.fallback_dir[0] && dump_dir_open_any(config->dump.fallback_dir, HUGE_PAGES_OFF,
						    &guest->fallback_dir_fd, why, sizeof(why))) {
		log_error("[dump] fallback_dir: %s", why);
		return EXIT_HOST;
	}
	return check_in_place(guest);
}

static int open_all(struct guest *guest, const char *events_path)
{
	sigset_t signals;
	char why[WHY_MAX];
	int err;

	err = block_signals(&signals);
	if (err) {
		log_error("signals: %s", strerror(-err));
		return EXIT_HOST;
	}
	err = events_open(&guest->events, events_path);
	if (err) {
		log_error("--events %s: %s", events_path, strerror(-err));
		return EXIT_HOST;
	}
	EVENT(&guest->events, "start", 0, EV_STR("version", MINIVMM_VERSION),
		EV_STR("guest", guest->config->vm.name), EV_U64("memory", guest->config->vm.memory),
		EV_U64("vcpus", guest->config->vm.vcpus));
	if (kvm_open(&guest->kvm, why, sizeof(why))) {
		log_error("%s", why);
		return EXIT_NO_KVM;
	}
	err = console_open(&guest->console, guest->config->console.output);
	if (err) {
		log_error("[console] output: %s: %s", guest->config->console.output, strerror(-err));
		return EXIT_HOST;
	}
	err = open_dirs(guest);
	if (err)
		return err;
	err = backends_open(&guest->backends, guest->config);
	if (err)
		return err == -ENOENT || err == -ENOTBLK || err == -ENODATA ? EXIT_CONFIG : EXIT_HOST;
	err = open_loop(guest, &signals);
	if (err) {
		log_error("event loop: %s", strerror(-err));
		return EXIT_HOST;
	}
	if (guest_control_open(guest))
		return EXIT_HOST;
	if (guest->control.epoll_fd >= 0 && watch(guest, guest->control.epoll_fd)) {
		log_error("event loop: the control socket cannot be watched");
		return EXIT_HOST;
	}
	guest->shared = (struct vm_shared){.kvm = &guest->kvm,
		.console = &guest->console,
		.backends = &guest->backends,
		.events = &guest->events,
		.dir_fd = guest->dir_fd,
		.dump_dir_fd = guest->dump_dir_fd,
		.dump_mode = guest->config->dump.enabled
				     ? dump_strategies[guest->config->dump.strategy].guest_mode
				     : FW_DUMP_MODE_VMM,
		.notify_fd = guest->notify_fd,
		.watchdog = guest->config->vm.watchdog,
		.nr_vcpus = (uint32_t)guest->config->vm.vcpus,
		.memory = guest->config->vm.memory};
	err = handover_open(guest);
	if (err)
		log_error("event loop: %s", strerror(-err));
	return err ? EXIT_HOST : EXIT_OK;
}

static void close_all(struct guest *guest)
{
	if (guest->vm)
		handover_end(guest, guest->vm);
	vm_destroy(guest->vm);
	vm_destroy(guest->standby);
	while (guest->dying) {
		struct vm *next = guest->dying->next_dying;

		vm_destroy(guest->dying);
		guest->dying = next;
	}
	wait_for_reapers(guest);
	handover_close(guest);
	backends_close(&guest->backends);
	jobs_fini(guest); /* after the VMs, which may point at a job's record */
	if (guest->dumper.socket >= 0)
		dumper_fini(&guest->dumper);
	guest_control_close(guest);
	console_close(&guest->console);
	kvm_close(&guest->kvm);
	events_close(&guest->events);
	for (size_t i = 0; i < 7; i++) {
		int *fds[] = {&guest->dir_fd, &guest->dump_dir_fd, &guest->fallback_dir_fd, &guest->lock_fd,
			&guest->epoll_fd, &guest->signal_fd, &guest->notify_fd};

		if (*fds[i] >= 0)
			close(*fds[i]);
	}
	pthread_cond_destroy(&guest->reaped);
	pthread_mutex_destroy(&guest->reap_lock);
}

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
	dumper_init(&guest.dumper);
	gate_none(&guest.gate);
	budget_init(&guest.budget, 0, 0, 0, -1, -1);
	guest.console.out_fd = guest.console.in_fd = -1;
	pthread_mutex_init(&guest.reap_lock, NULL);
	pthread_cond_init(&guest.reaped, NULL);
	guest.exit_code = open_all(&guest, events_path);
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
	if (config->dump.enabled && jobs_start_dumper(&guest))
		guest.dump_failed = true;
	event_loop(&guest);
	if (!guest.exit_code && guest.dump_failed)
		guest.exit_code = EXIT_DUMP;
	EVENT(&guest.events, "exit", guest.generation, EV_U64("code", (uint64_t)guest.exit_code));
out:
	close_all(&guest);
	return guest.exit_code;
}
