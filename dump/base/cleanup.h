/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/base/cleanup.h - scope-bound release of file descriptors, heap blocks and streams.
 *
 *	autoclose int fd = open(...);      closed at the end of the scope if >= 0
 *	return take_fd(&fd);               hands it out instead
 *
 * errno is preserved by every cleanup handler.
 */
#ifndef DUMP_BASE_CLEANUP_H
#define DUMP_BASE_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		close(*fd);
		errno = saved;
	}
}

static inline void cleanup_free(void *ptr)
{
	int saved = errno;

	free(*(void **)ptr);
	errno = saved;
}

static inline void cleanup_fclose(FILE **stream)
{
	if (*stream) {
		int saved = errno;

		fclose(*stream);
		errno = saved;
	}
}

#define autoclose __attribute__((cleanup(cleanup_close)))
#define autofree __attribute__((cleanup(cleanup_free)))
#define autofclose __attribute__((cleanup(cleanup_fclose)))

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void *take_ptr_(void **ptr)
{
	void *taken = *ptr;

	*ptr = NULL;
	return taken;
}
#define take_ptr(pp) ((__typeof__(*(pp)))take_ptr_((void **)(pp)))

#endif /* DUMP_BASE_CLEANUP_H */
