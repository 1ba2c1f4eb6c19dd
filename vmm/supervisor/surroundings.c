/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/surroundings.c - see surroundings.h */
#include "vmm/supervisor/surroundings.h"

#include "dump/base/log.h"
#include "dump/record/choices.h"
#include "vmm/base/exit_codes.h"
#include "vmm/base/text.h"
#include "vmm/host/dump_dir.h"

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

void surroundings_init(struct surroundings *around, const struct config *config)
{
	*around = (struct surroundings){.config = config,
		.kvm.fd = -1,
		.dir_fd = -1,
		.lock_fd = -1,
		.dump_dir_fd = -1,
		.fallback_dir_fd = -1,
		.epoll_fd = -1,
		.signal_fd = -1,
		.notify_fd = -1};
	console_init(&around->console);
}

int surroundings_watch(const struct surroundings *around, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(around->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* The signals that the loop reads.  Before the first thread starts: each thread inherits the mask. */
static int block_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGHUP);
	sigaddset(ret, SIGUSR1);
	/*
	 * A pipe without a reader, a file at its limit (RLIMIT_FSIZE): results of calls, not the end.  A job in the
	 * background that writes to its terminal, or reads from it just after it has left the foreground, goes on.
	 */
	if (pthread_sigmask(SIG_BLOCK, ret, NULL) || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
		signal(SIGXFSZ, SIG_IGN) == SIG_ERR || signal(SIGTTOU, SIG_IGN) == SIG_ERR ||
		signal(SIGTTIN, SIG_IGN) == SIG_ERR)
		return -EINVAL;
	return 0;
}

static int open_loop(struct surroundings *around, const sigset_t *signals)
{
	int err;

	around->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	around->signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	around->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (around->epoll_fd < 0 || around->signal_fd < 0 || around->notify_fd < 0)
		return -errno;
	err = vcpu_kick_init();
	if (!err)
		err = surroundings_watch(around, around->signal_fd);
	if (!err)
		err = surroundings_watch(around, around->notify_fd);
	if (!err && around->console.input_fd >= 0)
		err = surroundings_watch(around, around->console.input_fd);
	return err;
}

/* Opens vm.memory_dir and locks it: two minivmm with one guest name would mix up their files. */
static int open_memory_dir(struct surroundings *around)
{
	const struct config *config = around->config;
	struct dump_dir_facts facts;
	char why[WHY_MAX], have[24], size[24];

	if (dump_dir_open(config->vm.memory_dir, (enum huge_pages)config->dump.huge_pages, &around->dir_fd,
		    why, sizeof(why))) {
		log_error("[vm] memory_dir: %s", why);
		return EXIT_HOST;
	}
	/* a descriptor of its own: the dumper shares dir_fd's open file, and may outlive this process */
	around->lock_fd = openat(around->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (around->lock_fd < 0 || flock(around->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		log_error("[vm] memory_dir: %s: %s", config->vm.memory_dir,
			errno == EWOULDBLOCK ? "another minivmm uses it" : strerror(errno));
		return EXIT_HOST;
	}
	if (!dump_dir_probe(around->dir_fd, &facts)) {
		around->huge_pages = facts.huge;
		report_bytes(facts.available, have, sizeof(have));
		report_bytes(facts.size, size, sizeof(size));
		if (facts.size && facts.size < config->vm.memory && !config->vm.memory_overcommit) {
			log_error("[vm] memory_dir: %s is on a tmpfs of %s, less than vm.memory: a guest "
				  "that "
				  "uses all its memory would stand still or crash (memory_overcommit = yes "
				  "starts it all the same)",
				config->vm.memory_dir, size);
			return EXIT_CONFIG;
		}
		if (facts.available < config->vm.memory)
			log_warn("%s has only %s free, less than vm.memory", config->vm.memory_dir, have);
		EVENT(&around->events, "dir", 0, EV_STR("dir", config->vm.memory_dir),
			EV_BOOL("huge", facts.huge), EV_U64("available", facts.available));
	}
	return EXIT_OK;
}

/* A dump that stays where the memory is cannot get a name on another file system. */
static int check_in_place(const struct surroundings *around)
{
	const struct config *config = around->config;
	const struct dump_strategy *strategy = &dump_strategies[config->dump.strategy];
	struct stat memory, dumps;

	if (!config->dump.enabled || !strategy->in_place || fstat(around->dir_fd, &memory) ||
		fstat(around->dump_dir_fd, &dumps) || memory.st_dev == dumps.st_dev)
		return EXIT_OK;
	log_error(
		"[dump] strategy = %s needs [dump] dir on the file system of [vm] memory_dir: %s is not on "
		"that of %s",
		strategy->name, config->dump.dir, config->vm.memory_dir);
	return EXIT_CONFIG;
}

static int open_dirs(struct surroundings *around)
{
	const struct config *config = around->config;
	char why[WHY_MAX];
	int code = open_memory_dir(around);

	if (code)
		return code;
	if (dump_dir_open_any(config->dump.dir, (enum huge_pages)config->dump.huge_pages,
		    &around->dump_dir_fd, why, sizeof(why))) {
		log_error("[dump] dir: %s", why);
		return EXIT_HOST;
	}
	if (config->dump.fallback_dir[0] && dump_dir_open_any(config->dump.fallback_dir, HUGE_PAGES_OFF,
						    &around->fallback_dir_fd, why, sizeof(why))) {
		log_error("[dump] fallback_dir: %s", why);
		return EXIT_HOST;
	}
	return check_in_place(around);
}

static void share(struct surroundings *around)
{
	const struct config *config = around->config;

	around->shared = (struct vm_shared){.kvm = &around->kvm,
		.console = &around->console,
		.backends = &around->backends,
		.events = &around->events,
		.dir_fd = around->dir_fd,
		.memory_dir = around->config->vm.memory_dir,
		.dump_dir_fd = around->dump_dir_fd,
		.dump_mode = config->dump.enabled ? dump_strategies[config->dump.strategy].guest_mode
						  : FW_DUMP_MODE_VMM,
		.notify_fd = around->notify_fd,
		.watchdog = config->vm.watchdog,
		.nr_vcpus = (uint32_t)config->vm.vcpus,
		.memory = config->vm.memory};
}

int surroundings_open(struct surroundings *around, const char *events_path)
{
	const struct config *config = around->config;
	sigset_t signals;
	char why[WHY_MAX];
	int err;

	err = block_signals(&signals);
	if (err) {
		log_error("signals: %s", strerror(-err));
		return EXIT_HOST;
	}
	err = events_open(&around->events, events_path);
	if (err) {
		log_error("--events %s: %s", events_path, strerror(-err));
		return EXIT_HOST;
	}
	EVENT(&around->events, "start", 0, EV_STR("version", MINIVMM_VERSION),
		EV_STR("guest", config->vm.name), EV_U64("memory", config->vm.memory),
		EV_U64("vcpus", config->vm.vcpus));
	if (kvm_open(&around->kvm, why, sizeof(why))) {
		log_error("%s", why);
		return EXIT_NO_KVM;
	}
	err = console_open(&around->console, config->console.output, config->console.max_bytes);
	if (err) {
		log_error("[console] output: %s: %s", config->console.output, strerror(-err));
		return EXIT_HOST;
	}
	err = open_dirs(around);
	if (err)
		return err;
	err = backends_open(&around->backends, config);
	if (err)
		return err == -ENOENT || err == -ENOTBLK || err == -ENODATA ? EXIT_CONFIG : EXIT_HOST;
	err = open_loop(around, &signals);
	if (err) {
		log_error("event loop: %s", strerror(-err));
		return EXIT_HOST;
	}
	share(around);
	return EXIT_OK;
}

void surroundings_close(struct surroundings *around)
{
	int *fds[] = {&around->dir_fd, &around->dump_dir_fd, &around->fallback_dir_fd, &around->lock_fd,
		&around->epoll_fd, &around->signal_fd, &around->notify_fd};

	console_close(&around->console);
	kvm_close(&around->kvm);
	events_close(&around->events);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}
