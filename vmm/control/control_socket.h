/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/control/control_socket.h - the Unix socket behind vm.control: its file, who is on the other end.  Locks: none.
 */
#ifndef VMM_CONTROL_CONTROL_SOCKET_H
#define VMM_CONTROL_CONTROL_SOCKET_H

#include "dump/base/num.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * control_socket_listen - a listening socket at @path, mode 0600, non-blocking.  The file of a socket that
 * nobody listens on is replaced.
 * Errors: -errno with a sentence in @why; -ENAMETOOLONG, -EADDRINUSE.
 * Result: *ret_fd, owned by the caller; *ret_dev and *ret_ino tell the file from others of that name.
 */
int warn_unused control_socket_listen(
	const char *path, int *ret_fd, dev_t *ret_dev, ino_t *ret_ino, char *why, size_t why_size);

/* Removes the file at @path if it is the one that control_socket_listen made. */
void control_socket_remove(const char *path, dev_t dev, ino_t ino);

/* A connection to the socket at @path, blocking, in *ret_fd.  Errors: -errno. */
int warn_unused control_socket_connect(const char *path, int *ret_fd);

/* True if the peer of @fd is a process of this process's user. */
bool control_peer_is_us(int fd);

#endif /* VMM_CONTROL_CONTROL_SOCKET_H */
