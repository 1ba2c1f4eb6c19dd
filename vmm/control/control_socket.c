/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/control/control_socket.c - see control_socket.h */
#include "vmm/control/control_socket.h"

#include "dump/base/cleanup.h"
#include "vmm/config/config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* our choice: connections that wait while the event loop is busy with a crash */
#define BACKLOG 64

static_assert(CONTROL_PATH_MAX + 1 == sizeof(((struct sockaddr_un *)0)->sun_path), "see config.h");

static int make_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return 0;
}

static int connect_to(const char *path, int flags, int *ret_fd)
{
	struct sockaddr_un address;
	autoclose int fd = -1;
	int err = make_address(path, &address);

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

int control_socket_connect(const char *path, int *ret_fd)
{
	return connect_to(path, 0, ret_fd);
}

/* Removes what a minivmm that was killed has left at @path.  0 if the name is free then. */
static int clear_way(const char *path, char *why, size_t why_size)
{
	autoclose int fd = -1;
	struct stat st;
	int err;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(why, why_size, "%s is there and no socket", path);
		return -EADDRINUSE;
	}
	err = connect_to(path, SOCK_NONBLOCK, &fd);
	if (err != -ECONNREFUSED) {
		snprintf(why, why_size, "%s: another process listens there", path);
		return -EADDRINUSE;
	}
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int control_socket_listen(
	const char *path, int *ret_fd, dev_t *ret_dev, ino_t *ret_ino, char *why, size_t why_size)
{
	struct sockaddr_un address;
	autoclose int fd = -1;
	struct stat st;
	int err = make_address(path, &address);

	snprintf(why, why_size, "%s: %s", path, strerror(-err));
	if (!err)
		err = clear_way(path, why, why_size);
	if (err == -EADDRINUSE)
		return err;
	if (!err)
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* the mode of the socket is that of the file from its first moment: unix(7) has only the umask */
	if (!err && (fd < 0 || fchmod(fd, 0600) < 0 ||
			    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0))
		err = -errno;
	if (!err && (chmod(path, 0600) < 0 || lstat(path, &st) < 0 || listen(fd, BACKLOG) < 0)) {
		err = -errno;
		unlink(path);
	}
	if (err) {
		snprintf(why, why_size, "%s: %s", path, strerror(-err));
		return err;
	}
	*ret_fd = take_fd(&fd);
	*ret_dev = st.st_dev;
	*ret_ino = st.st_ino;
	return 0;
}

void control_socket_remove(const char *path, dev_t dev, ino_t ino)
{
	struct stat st;

	if (!lstat(path, &st) && st.st_dev == dev && st.st_ino == ino)
		unlink(path);
}

bool control_peer_is_us(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) && len == sizeof(peer) &&
	       peer.uid == geteuid();
}
