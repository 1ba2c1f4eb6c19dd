/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/guest_open.c - all that is open as long as the guest runs: directories, devices, event loop; see guest.h */
#include "vmm/supervisor/guest.h"

#include "dump/base/log.h"
#include "vmm/base/text.h"
#include "dump/record/choices.h"
#include "vmm/host/dump_dir.h"
#include "vmm/base/exit_codes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHY_MAX 512

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

static void hear_of_job(void *opaque, enum jobs_news news, const struct dump_job *job)
{
	struct guest *guest = opaque;

	handover_hear(guest, news, job);
	if (news == JOBS_RETIRED && guest->recover_job == job)
		guest->recover_job = NULL;
}

int guest_open(struct guest *guest, const char *events_path)
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
	if (err) {
		log_error("event loop: %s", strerror(-err));
		return EXIT_HOST;
	}
	jobs_open(&guest->jobs, &(struct jobs_setup){.config = guest->config,
					.events = &guest->events,
					.epoll_fd = guest->epoll_fd,
					.dir_fd = guest->dir_fd,
					.dump_dir_fd = guest->dump_dir_fd,
					.fallback_dir_fd = guest->fallback_dir_fd,
					.released_fd = guest->released_fd,
					.tell = hear_of_job,
					.opaque = guest});
	return EXIT_OK;
}

void guest_close(struct guest *guest)
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
	guest_await_reapers(guest);
	handover_close(guest);
	backends_close(&guest->backends);
	jobs_fini(&guest->jobs); /* after the VMs, which may point at a job's record */
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
