/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/base/deadly.c - see deadly.h */
#include "vmm/base/deadly.h"

#include "dump/base/num.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* signal(7): their default action stops the process, goes on with it, or does nothing; or they cannot be caught */
static const int harmless[] = {
	SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGCHLD, SIGURG, SIGWINCH};

static void (*_Atomic watcher)(void);

void deadly_call(void)
{
	void (*before)(void) = atomic_load(&watcher);

	if (before)
		before();
}

static void die(int number)
{
	deadly_call();
	signal(number, SIG_DFL);
	raise(number); /* pending until this handler returns */
}

static bool is_harmless(int number)
{
	for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
		if (harmless[i] == number)
			return true;
	return false;
}

void deadly_watch(void (*before)(void))
{
	struct sigaction ours = {.sa_handler = die}, now;

	atomic_store(&watcher, before);
	sigfillset(&ours.sa_mask); /* one at a time */
	for (int i = 1; i <= SIGRTMAX; i++) {
		if (is_harmless(i) || sigaction(i, NULL, &now)) /* the C library keeps two to itself */
			continue;
		if (before && now.sa_handler == SIG_DFL)
			sigaction(i, &ours, NULL);
		else if (!before && now.sa_handler == die)
			signal(i, SIG_DFL);
	}
}
