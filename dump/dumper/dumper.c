/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/dumper/dumper.c - the body of the dumper process: one request, one dump, again.
 *
 * The main thread receives, runs the engine and reports the end.  Progress is sent by whichever
 * worker comes by when it is due; it never waits for a VMM that is slow or gone.
 */
#include "dump/dumper/dumper.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/dumper/dumper_wire.h"
#include "dump/engine/engine.h"
#include "dump/dumper/sandbox.h"
#include "dump/engine/sink.h"
#include "dump/engine/tables.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* our choice: a progress bar needs no more */
#define PROGRESS_INTERVAL_NS (50 * NSEC_PER_MSEC)

/*
 * Measured (docs/performance.md, "Downtime"): while the recovery VM boots, dumper and the end of the dead VM want the
 * CPUs as well, and on few CPUs it is the VM that users wait for.  Where CPUs are idle it changes nothing.
 */
#define DUMPER_NICE 10

/*
 * our choice: bytes given back before the VMM is told again, 2 ms' worth at 4 GB/s; a waiting VM takes as
 * long to fill it
 */
#define RELEASED_STEP MIB(8)
/* Where a request's directories are, in its descriptors. */
static const enum dumper_fd dir_places[] = {DUMPER_FD_REGION_DIR, DUMPER_FD_DIR, DUMPER_FD_FALLBACK_DIR};
#define NR_DIRS ARRAY_LEN(dir_places)

/* One connection to the VMM; outlives each dump. */
struct session {
	int socket;
	int proc_fd;
	bool confined; /* to the directories of the first request */
	size_t nr_dirs;
	struct {
		dev_t dev;
		ino_t ino;
	} dirs[NR_DIRS];               /* if confined: these */
	pthread_mutex_t progress_lock; /* guards @progress_ns, and the order of progress messages */
	uint64_t progress_ns;          /* when the last one was sent */
	int released_fd;               /* of this dump's request; -1 = none */
	_Atomic uint64_t rung;         /* bytes released when it was rung last */
};

static struct dumper_event make_event(const struct dump_engine *engine, enum dumper_event_type type)
{
	struct dumper_event event = {
		.type = type,
		.generation = engine->record->generation,
		.done = engine->done,
		.total = engine->layout.ram,
		.released = engine->released,
		.dumped = engine->dumped,
		.distrusted = engine->distrusted,
	};

	for (size_t i = 0; i < VMCORE_SELECTORS_MAX; i++)
		event.excluded[i] = engine->excluded[i];
	memcpy(event.reasons, engine->reasons, sizeof(event.reasons));
	return event;
}

/* False if the VMM is gone, or when not to @wait its buffer is full. */
static bool send_event(const struct session *session, const struct dumper_event *event, bool wait)
{
	ssize_t n;

	do
		n = send(session->socket, event, sizeof(*event), MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*event);
}

static void send_progress(struct session *session, const struct dump_engine *engine, bool last)
{
	uint64_t now = clock_mono_ns();
	struct dumper_event event;

	if (last)
		pthread_mutex_lock(&session->progress_lock);
	else if (pthread_mutex_trylock(&session->progress_lock))
		return;
	if (last || now - session->progress_ns >= PROGRESS_INTERVAL_NS) {
		session->progress_ns = now;
		event = make_event(engine, DUMPER_PROGRESS);
		send_event(session, &event, false);
	}
	pthread_mutex_unlock(&session->progress_lock);
}

/* Tells the VMM that memory has been given back: now and then, for the first time and for the @last time. */
static void ring_released(struct session *session, const struct dump_engine *engine, bool last)
{
	uint64_t released = engine->released, rung = atomic_load(&session->rung), one = 1;

	if (session->released_fd < 0 || released == rung)
		return;
	if (rung && released - rung < RELEASED_STEP && !last)
		return;
	if (!atomic_compare_exchange_strong(&session->rung, &rung, released) && !last)
		return; /* another worker has just done it */
	if (write(session->released_fd, &one, sizeof(one)) < 0)
		log_debug("dumper: eventfd: %s", strerror(errno)); /* full: it is readable all the same */
}

static void on_notice(struct dump_engine *engine, enum dump_notice notice)
{
	struct session *session = engine->notify_arg;
	struct dumper_event event;

	switch (notice) {
	case DUMP_NOTICE_LINKED:
		event = make_event(engine, DUMPER_LINKED);
		event.fallback = !!engine->detour[0];
		snprintf(event.text, sizeof(event.text), "%s", engine->detour);
		send_event(session, &event, false);
		break;
	case DUMP_NOTICE_PROGRESS:
	case DUMP_NOTICE_COPIED:
		ring_released(session, engine, notice == DUMP_NOTICE_COPIED);
		send_progress(session, engine, notice == DUMP_NOTICE_COPIED);
		break;
	}
}

/* Host memory behind the published dump; 0 if it cannot be asked. */
static uint64_t file_bytes(const struct dump_engine *engine)
{
	struct stat st;

	if (fstatat(engine->out_dir_fd, engine->names.final, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return io_stat_bytes(&st);
}

/* Nobody else may be there to tell the operator, so then the dumper does. */
static void report(const struct session *session, const struct dump_engine *engine, int error)
{
	struct dumper_event event = make_event(engine, error ? DUMPER_FAILED : DUMPER_DONE);

	event.status = error;
	snprintf(event.text, sizeof(event.text), "%s", error ? engine->why : engine->distrust);
	if (!error)
		event.file_bytes = file_bytes(engine);
	if (send_event(session, &event, true))
		return;
	if (error)
		log_error("dump %s failed: %s", engine->record->name, engine->why);
	else
		log_info("dump %s is complete", engine->names.final);
}

static void report_refusal(const struct session *session, uint32_t generation, int error, const char *what)
{
	struct dumper_event event = {.type = DUMPER_FAILED, .generation = generation, .status = error};

	snprintf(event.text, sizeof(event.text), "request refused: %s: %s", what, strerror(-error));
	if (!send_event(session, &event, true))
		log_error("%s", event.text);
}

/* NULL if the region is what the record says, else what is wrong. */
static const char *check_region(int fd, const struct dump_layout *layout)
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

/* The same for a file that somebody has begun: the guest, or another dumper. */
static const char *check_given(int fd, const struct dump_record *record)
{
	const struct dump_options *options = &record->options;
	struct stat st;

	if (!dump_strategies[options->strategy].sinks || !dump_sinks[options->sink]->compressed)
		return check_region(fd, &record->layout);
	return fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ? "the dump is no regular file" : NULL;
}

static bool is_confined_to(const struct session *session, const struct stat *st)
{
	for (size_t i = 0; i < session->nr_dirs; i++)
		if (session->dirs[i].dev == st->st_dev && session->dirs[i].ino == st->st_ino)
			return true;
	return false;
}

/*
 * Before the first byte of a guest is looked at: from here on this process reaches the directories that it was
 * given, and no others.  A VMM sends the same ones each time.  NULL, or what is wrong.
 */
static const char *confine(struct session *session, const int fds[DUMPER_NR_FDS])
{
	int dir_fds[NR_DIRS], r;
	struct stat st[NR_DIRS];
	size_t nr = 0;

	for (size_t i = 0; i < NR_DIRS; i++) {
		int fd = fds[dir_places[i]];

		if (fd < 0)
			continue;
		if (fstat(fd, &st[nr]) < 0 || !S_ISDIR(st[nr].st_mode))
			return "the dump directory is no directory";
		if (session->confined && !is_confined_to(session, &st[nr]))
			return "another directory than that of the first dump";
		dir_fds[nr++] = fd;
	}
	if (session->confined)
		return NULL;
	r = sandbox_confine(dir_fds, nr);
	if (r) {
		log_debug("dumper: paths are not confined: %s", strerror(-r));
		return NULL;
	}
	for (size_t i = 0; i < nr; i++) {
		session->dirs[i].dev = st[i].st_dev;
		session->dirs[i].ino = st[i].st_ino;
	}
	session->nr_dirs = nr;
	session->confined = true;
	return NULL;
}

static void serve(struct session *session, const int fds[DUMPER_NR_FDS], bool resume)
{
	struct dump_engine engine = {
		.region_fd = fds[DUMPER_FD_REGION],
		.region_dir_fd = fds[DUMPER_FD_REGION_DIR],
		.dir_fd = fds[DUMPER_FD_DIR],
		.fallback_dir_fd = fds[DUMPER_FD_FALLBACK_DIR],
		.given_dump_fd = fds[DUMPER_FD_DUMP],
		.resume = resume,
		.proc_fd = session->proc_fd,
		.notify = on_notice,
		.notify_arg = session,
	};
	const char *wrong;
	int r;

	r = dump_record_map(fds[DUMPER_FD_RECORD], &engine.record);
	if (r) {
		report_refusal(session, 0, r, "the crash record breaks a rule");
		return;
	}
	wrong = check_region(engine.region_fd, &engine.record->layout);
	if (!wrong)
		wrong = confine(session, fds);
	if (!wrong && engine.given_dump_fd >= 0)
		wrong = check_given(engine.given_dump_fd, engine.record);
	if (wrong) {
		report_refusal(session, engine.record->generation, -EINVAL, wrong);
	} else {
		session->progress_ns = 0;
		session->released_fd = fds[DUMPER_FD_RELEASED];
		session->rung = 0;
		r = dump_engine_run(&engine);
		report(session, &engine, r);
	}
	dump_record_unmap(engine.record);
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

/* One message.  Result: 1 and its descriptors in @fds; 0 when the VMM is gone; -EPROTO for rubbish. */
static int receive(int socket, int fds[DUMPER_NR_FDS], size_t *ret_nr_fds, bool *ret_resume)
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

static void prepare_process(void)
{
	/* A VMM that is gone, a full disk quota: results of calls, not the end of the process. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	close_range(DUMPER_SOCKET_FD + 1, ~0u, 0);
	if (setpriority(PRIO_PROCESS, 0, DUMPER_NICE) < 0)
		log_debug("dumper: nice %d: %s", DUMPER_NICE, strerror(errno));
}

int dumper_main(int socket)
{
	struct session session = {.socket = socket, .progress_lock = PTHREAD_MUTEX_INITIALIZER};
	int r;

	prepare_process();
	session.proc_fd = publish_proc_open();
	if (session.proc_fd < 0) {
		log_error("dumper: cannot open /proc/self/fd: %s", strerror(-session.proc_fd));
		return EXIT_FAILURE;
	}
	r = sandbox_enter();
	if (r)
		log_warn("dumper: the sandbox is not complete: %s", strerror(-r));
	for (;;) {
		int fds[DUMPER_NR_FDS];
		size_t nr_fds = 0;
		bool resume = false;

		r = receive(socket, fds, &nr_fds, &resume);
		if (!r)
			break;
		if (r > 0)
			serve(&session, fds, resume);
		else
			report_refusal(&session, 0, r, "not a request");
		for (size_t i = 0; i < nr_fds; i++)
			if (fds[i] >= 0)
				close(fds[i]);
	}
	close(session.proc_fd);
	close(socket);
	return EXIT_SUCCESS;
}
