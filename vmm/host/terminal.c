/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/host/terminal.c - see terminal.h.  Handlers of signals run here: they call only what signal-safety(7) allows. */
#include "vmm/host/terminal.h"

#include "vmm/base/deadly.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

/* Global, for exit and signals.  @is_raw is stored last and read first. */
static int raw_fd = -1;
static struct termios saved, raw;
static _Atomic bool is_raw;

bool terminal_is_ours(int fd)
{
	pid_t foreground = tcgetpgrp(fd);

	return foreground <= 0 || foreground == getpgrp();
}

bool terminal_is_raw(void)
{
	return atomic_load(&is_raw);
}

void terminal_restore(void)
{
	int error = errno;

	/* another job's terminal has the mode that this job wants */
	if (atomic_exchange(&is_raw, false) && terminal_is_ours(raw_fd))
		tcsetattr(raw_fd, TCSANOW, &saved);
	errno = error;
}

/* Asked to stop: as the default action, with the terminal as it was. */
static void handle_stop(int number)
{
	int error = errno;
	bool again = atomic_load(&is_raw);

	(void)number;
	terminal_restore();
	kill(getpid(), SIGSTOP);
	/* it goes on; SIGCONT may have come before this thread knew that it was stopped */
	if (again && terminal_is_ours(raw_fd))
		atomic_store(&is_raw, !tcsetattr(raw_fd, TCSANOW, &raw));
	errno = error;
}

/* After SIGSTOP, of which nothing is heard: a shell has set its own mode meanwhile. */
static void handle_continue(int number)
{
	int error = errno;

	(void)number;
	if (atomic_load(&is_raw))
		atomic_store(&is_raw, terminal_is_ours(raw_fd) && !tcsetattr(raw_fd, TCSANOW, &raw));
	errno = error;
}

static void handle(int number, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, now;

	if (!sigaction(number, NULL, &now) && now.sa_handler == SIG_DFL)
		sigaction(number, &action, NULL);
}

bool terminal_raw(int fd)
{
	static bool at_exit;

	if (!terminal_is_ours(fd) || tcgetattr(fd, &saved) < 0)
		return false;
	raw_fd = fd;
	raw = saved;
	/* keys go to the guest as they are; output processing stays, so that lines end properly */
	raw.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INLCR | IGNCR | INPCK | ISTRIP | IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (!at_exit)
		at_exit = !atexit(terminal_restore);
	deadly_watch(terminal_restore);
	handle(SIGTSTP, handle_stop);
	handle(SIGCONT, handle_continue);
	if (tcsetattr(fd, TCSANOW, &raw) < 0)
		return false;
	atomic_store(&is_raw, true);
	return true;
}
