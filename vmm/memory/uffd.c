/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/memory/uffd.c - see uffd.h */
#include "vmm/memory/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef USERFAULTFD_IOC_NEW /* Linux 6.1: include/uapi/linux/userfaultfd.h */
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

/* The system call first; where it is refused, the device file may have been opened to this user. */
static int open_any(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	int err = fd < 0 ? -errno : 0;
	int device;

	if (fd >= 0)
		return fd;
	device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return err;
	fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		fd = err;
	close(device);
	return fd;
}

int uffd_open(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_MISSING_SHMEM};
	int fd = open_any();
	int err;

	if (fd < 0)
		return fd;
	if (!ioctl(fd, UFFDIO_API, &api))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int uffd_register(int uffd, uint64_t start, uint64_t len)
{
	struct uffdio_register range = {
		.range = {.start = start, .len = len}, .mode = UFFDIO_REGISTER_MODE_MISSING};

	return ioctl(uffd, UFFDIO_REGISTER, &range) < 0 ? -errno : 0;
}

int uffd_unregister(int uffd, uint64_t start, uint64_t len)
{
	struct uffdio_range range = {.start = start, .len = len};

	return ioctl(uffd, UFFDIO_UNREGISTER, &range) < 0 ? -errno : 0;
}

void uffd_wake(int uffd, uint64_t start, uint64_t len)
{
	struct uffdio_range range = {.start = start, .len = len};

	(void)ioctl(uffd, UFFDIO_WAKE, &range); /* nobody waits there: fine */
}

int uffd_next_fault(int uffd, uint64_t *ret_address)
{
	struct uffd_msg message;
	ssize_t n;

	do
		n = read(uffd, &message, sizeof(message));
	while ((n < 0 && errno == EINTR) ||
		(n == (ssize_t)sizeof(message) && message.event != UFFD_EVENT_PAGEFAULT));
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n != (ssize_t)sizeof(message))
		return -EIO;
	*ret_address = message.arg.pagefault.address;
	return 1;
}
