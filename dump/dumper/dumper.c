/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/dumper/dumper.c - the body of the dumper process: one request, one dump, again.
 *
 * The main thread receives, runs the engine and reports the end.  Progress is sent by whichever
 * worker comes by when it is due; it never waits for a VMM that is slow or gone.
 */
#include "dump/dumper/dumper_impl.h"

#include "dump/base/log.h"
#include "dump/dumper/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Measured (docs/performance.md, "Downtime"): while the recovery VM boots, dumper and the end of the dead VM want the
 * CPUs as well, and on few CPUs it is the VM that users wait for.  Where CPUs are idle it changes nothing.
 */
#define DUMPER_NICE 10

/* Where a request's directories are, in its descriptors. */
static const enum dumper_fd dir_places[DUMPER_NR_DIRS] = {
	DUMPER_FD_REGION_DIR, DUMPER_FD_DIR, DUMPER_FD_FALLBACK_DIR};

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
	int dir_fds[DUMPER_NR_DIRS], r;
	struct stat st[DUMPER_NR_DIRS];
	size_t nr = 0;

	for (size_t i = 0; i < DUMPER_NR_DIRS; i++) {
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
		.notify = dumper_on_notice,
		.notify_arg = session,
	};
	const char *wrong;
	uint32_t nr_cpus;
	int r;

	r = dump_record_map(fds[DUMPER_FD_RECORD], &engine.record);
	if (r) {
		dumper_report_refusal(session, 0, r, "the crash record breaks a rule");
		return;
	}
	nr_cpus = engine.record->nr_cpus;
	wrong = dumper_check_region(engine.region_fd, &engine.record->layout);
	if (!wrong)
		wrong = confine(session, fds);
	if (!wrong && engine.given_dump_fd >= 0)
		wrong = dumper_check_given(engine.given_dump_fd, engine.record);
	if (wrong) {
		dumper_report_refusal(session, engine.record->generation, -EINVAL, wrong);
	} else {
		session->progress_ns = 0;
		session->released_fd = fds[DUMPER_FD_RELEASED];
		session->rung = 0;
		r = dump_engine_run(&engine);
		dumper_report(session, &engine, r);
	}
	dump_record_unmap(engine.record, nr_cpus);
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

		r = dumper_receive_request(socket, fds, &nr_fds, &resume);
		if (!r)
			break;
		if (r > 0)
			serve(&session, fds, resume);
		else
			dumper_report_refusal(&session, 0, r, "not a request");
		for (size_t i = 0; i < nr_fds; i++)
			if (fds[i] >= 0)
				close(fds[i]);
	}
	close(session.proc_fd);
	close(socket);
	return EXIT_SUCCESS;
}
