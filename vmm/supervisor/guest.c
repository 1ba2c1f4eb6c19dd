/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/guest.c - see guest.h.  The event loop is event_loop(). */
#include "vmm/supervisor/guest.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/base/exit_codes.h"
#include "vmm/supervisor/guest_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* our choice: a terminal that is only slow takes a line in this time; a stopped one holds up no crash longer */
#define LOG_PATIENCE_MS 100

/* ---- what wakes the loop up --------------------------------------------------------------------------- */

static void handle_signals(struct guest *guest)
{
	struct signalfd_siginfo info;

	while (read(guest->around.signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			guest_crash_now(guest);
		else
			(void)guest_ask_to_stop(guest, strsignal((int)info.ssi_signo));
	}
}

static void handle_input(struct guest *guest)
{
	char keys[256];
	int n = console_read(&guest->around.console, keys, sizeof(keys));

	if (n == -ECANCELED)
		guest_stop(guest, "Ctrl-A x");
	else if (n > 0 && guest->recovery.vm)
		serial_input(&guest->recovery.vm->serial, keys, (size_t)n);
}

/* ---- the loop -------------------------------------------------------------------------------------- */

static bool is_over(const struct guest *guest)
{
	const struct recovery *recovery = &guest->recovery;

	return recovery->abandon ||
	       (recovery->state == GUEST_ENDING && !guest->dying && !jobs_busy(&guest->jobs));
}

static void handle_ready_fd(struct guest *guest, int fd)
{
	uint64_t count;

	if (fd == guest->around.notify_fd) {
		if (read(fd, &count, sizeof(count)) < 0)
			log_debug("eventfd: %s", strerror(errno));
	} else if (fd == guest->around.signal_fd) {
		handle_signals(guest);
	} else if (fd == guest->jobs.dumper.socket) {
		jobs_receive(&guest->jobs);
	} else if (fd == guest->handover.released_fd) {
		if (read(fd, &count, sizeof(count)) < 0)
			log_debug("eventfd: %s", strerror(errno));
		handover_grant(&guest->handover, guest->recovery.vm);
	} else if (fd == guest->handover.dumps_fd) {
		handover_dump_removed(&guest->handover, guest->recovery.vm);
	} else if (fd == guest->around.console.input_fd) {
		handle_input(guest);
	} else if (fd == guest->control.epoll_fd) {
		control_dispatch(&guest->control);
	}
}

static void event_loop(struct guest *guest)
{
	struct epoll_event ready[8];

	while (!is_over(guest)) {
		int n = epoll_wait(guest->around.epoll_fd, ready, ARRAY_LEN(ready), deadlines_next(guest));

		for (int i = 0; i < n; i++)
			handle_ready_fd(guest, ready[i].data.fd);
		vm_reports_check(guest);
		vm_reports_check_dying(guest);
		deadlines_check(guest);
		recovery_check(guest);
		handover_check(&guest->handover, &guest->jobs, guest->recovery.vm);
		recovery_prepare(guest);
		jobs_retire(&guest->jobs);
	}
}

/* ---- a guest's whole life --------------------------------------------------------------------------- */

int guest_run(const struct config *config, const char *events_path)
{
	struct guest guest;
	int code = guest_open(&guest, config, events_path);

	if (code || !recovery_start_first(&guest))
		goto out;
	console_raw_mode(&guest.around.console);
	log_set_patience(LOG_PATIENCE_MS);
	log_set_prefix(isatty(STDERR_FILENO) ? "\r\033[K" : NULL);
	/* the guest has started; what only a crash needs is made while it boots */
	if (config->dump.enabled)
		jobs_begin(&guest.jobs);
	event_loop(&guest);
	if (guest.jobs.failed)
		recovery_fail(&guest.recovery, EXIT_DUMP);
	EVENT(&guest.around.events, "exit", guest.recovery.generation,
		EV_U64("code", (uint64_t)guest.recovery.exit_code));
out:
	if (!code)
		code = guest.recovery.exit_code;
	guest_close(&guest);
	return code;
}
