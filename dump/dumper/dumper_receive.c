/* SPDX-License-Identifier: Apache-2.0 */
/* dump/dumper/dumper_receive.c - takes a request of the VMM's and checks what came with it: see dumper_impl.h */
#include "dump/dumper/dumper_impl.h"

#include "dump/record/choices.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

const char *dumper_check_region(int fd, const struct dump_layout *layout)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) != O_RDWR)
		return "the region is not open for reading and writing";
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return "the region is no regular file";
	if ((uint64_t)st.st_size != dump_layout_file_size(layout))
		return "the region's size is not its layout's";
	return NULL;
}

const char *dumper_check_given(int fd, const struct dump_record *record)
{
	const struct dump_options *options = &record->options;
	struct stat st;

	if (!dump_strategies[options->strategy].sinks || !dump_sinks[options->sink].compressed)
		return dumper_check_region(fd, &record->layout);
	return fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ? "the dump is no regular file" : NULL;
}

/* Takes the descriptors out of @msg into @fds; result: their number.  The buffer has no room for more. */
static size_t take_fds(struct msghdr *msg, int fds[DUMPER_NR_FDS])
{
	size_t nr = 0;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		nr = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		assert(nr <= DUMPER_NR_FDS);
		memcpy(fds, CMSG_DATA(cmsg), nr * sizeof(int));
	}
	return nr;
}

/* Puts the descriptors, which came in the order of their bits, where they belong; -1 for the others. */
static void place_fds(uint32_t present, int fds[DUMPER_NR_FDS])
{
	int placed[DUMPER_NR_FDS];
	size_t next = 0;

	for (size_t i = 0; i < DUMPER_NR_FDS; i++)
		placed[i] = present & 1u << i ? fds[next++] : -1;
	memcpy(fds, placed, sizeof(placed));
}

int dumper_receive_request(int socket, int fds[DUMPER_NR_FDS], size_t *ret_nr_fds, bool *ret_resume)
{
	struct dumper_request request = {0};
	struct iovec iov = {.iov_base = &request, .iov_len = sizeof(request)};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(DUMPER_NR_FDS * sizeof(int))];
	} control;
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(
			DUMPER_NR_FDS * sizeof(int)) /* CMSG_SPACE would admit one more */};
	ssize_t n;

	/* ECONNRESET: the VMM died with events unread.  Reported once, before the crashes that still wait. */
	do
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n <= 0)
		return 0;
	*ret_nr_fds = take_fds(&msg, fds);
	if (n != sizeof(request) || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
		request.magic != DUMPER_REQUEST_MAGIC || request.present >> DUMPER_NR_FDS ||
		(request.present & DUMPER_FDS_REQUIRED) != DUMPER_FDS_REQUIRED || request.resume > 1 ||
		*ret_nr_fds != (size_t)__builtin_popcount(request.present))
		return -EPROTO;
	place_fds(request.present, fds);
	*ret_nr_fds = DUMPER_NR_FDS;
	*ret_resume = request.resume;
	return 1;
}
