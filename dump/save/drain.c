/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save/drain.c - see drain.h */
#include "dump/save/drain.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/files/catalog.h"
#include "dump/files/commit.h"
#include "dump/files/publish.h"
#include "dump/format/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* our choice: how often the file system of the source is asked how full it is */
#define LOOK_NS NSEC_PER_SEC
/* our choice: from so many per cent on a memory file system counts as filling up */
#define FILLING_PERCENT 75

/* A drain under way. */
struct work {
	const struct drain *drain;
	enum drain_step step;
	int fd;          /* owned: the copy; -1 = none yet */
	bool adopted;    /* it was there */
	bool in_memory;  /* it is on tmpfs: nothing has to be brought to a disk */
	bool direct;     /* O_DIRECT */
	uint64_t behind; /* bytes behind the copy as far as they are paid for */
	uint64_t done;   /* bytes compared as far as they are paid for */
	uint64_t looked_ns;
	int error; /* the first of a piece */
	char *why;
	size_t why_size;
};

static const char *const steps[] = {
	[DRAIN_SOURCE] = "source",
	[DRAIN_COPY] = "copy",
	[DRAIN_DURABLE] = "durable",
	[DRAIN_VERIFY] = "verify",
	[DRAIN_NAME] = "name",
	[DRAIN_REMOVAL] = "removal",
	[DRAIN_DONE] = "done",
};

const char *drain_step_name(enum drain_step step)
{
	return steps[step];
}

static int source_fd(const struct work *work)
{
	return work->drain->reader->image.fd;
}

/* ---- the pace ------------------------------------------------------------------------------------------- */

unsigned drain_urgency(uint64_t free_bytes, uint64_t total_bytes)
{
	double used = total_bytes ? 100 - 100.0 * (double)free_bytes / (double)total_bytes : 0;

	if (used <= FILLING_PERCENT)
		return 0;
	return (unsigned)((used - FILLING_PERCENT) * 100 / (100 - FILLING_PERCENT));
}

/* The memory is wanted the more the less of it is left, if it will be given up at all. */
static void look_at_memory(struct work *work, uint64_t now_ns)
{
	struct statvfs fs;

	if (work->drain->keep || !dump_tail_is_shm(source_fd(work)) ||
		(work->looked_ns && now_ns - work->looked_ns < LOOK_NS))
		return;
	work->looked_ns = now_ns;
	if (!fstatvfs(source_fd(work), &fs))
		pacer_set_urgency(work->drain->pacer, drain_urgency((uint64_t)fs.f_bavail * fs.f_frsize,
							      (uint64_t)fs.f_blocks * fs.f_frsize));
}

static void wait_until(uint64_t ns)
{
	const struct timespec until = {
		.tv_sec = (time_t)(ns / NSEC_PER_SEC), .tv_nsec = (long)(ns % NSEC_PER_SEC)};

	(void)clock_nanosleep(
		CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL); /* too early: it is asked again */
}

/* @bytes have gone to or come from the disk; returns when the next piece may. */
static void pace(struct work *work, uint64_t bytes)
{
	struct pacer *pacer = work->drain->pacer;
	uint64_t now_ns, when_ns;

	if (!pacer)
		return;
	now_ns = clock_mono_ns();
	look_at_memory(work, now_ns);
	pacer_took(pacer, now_ns, bytes);
	while ((when_ns = pacer_ask(pacer, clock_mono_ns())))
		wait_until(when_ns);
}

static void tell(const struct work *work, uint64_t done, uint64_t total)
{
	const struct drain *drain = work->drain;

	if (drain->tell)
		drain->tell(drain->arg, work->step, done, total);
}

/* A piece has been written: to the disk with it, as far as it is not there already. */
static void on_written(void *arg, uint64_t done, uint64_t total)
{
	struct work *work = arg;
	uint64_t behind;
	int r = 0;

	if (!work->direct && !work->in_memory)
		r = io_sync_range(work->fd, 0, 0); /* sync_file_range(2): 0 = to its end */
	if (r && !work->error)
		work->error = r;
	behind = io_bytes_behind(work->fd);
	pace(work, behind > work->behind ? behind - work->behind : 0);
	work->behind = behind;
	tell(work, done, total);
}

/* A piece has been read back; what of it was a hole the disk has not had to find. */
static void on_compared(void *arg, uint64_t done, uint64_t total)
{
	struct work *work = arg;
	uint64_t behind = total ? (uint64_t)((double)work->behind * (double)done / (double)total) : 0;

	pace(work, behind > work->done ? behind - work->done : 0);
	work->done = behind;
	tell(work, done, total);
}

/* ---- the steps ------------------------------------------------------------------------------------------ */

static int explain(struct work *work, int error, const char *what)
{
	snprintf(work->why, work->why_size, "%s: %s", what, strerror(-error));
	return error;
}

static int check_source(struct work *work)
{
	const struct drain *drain = work->drain;
	int r;

	if (!drain->format->compare) {
		snprintf(work->why, work->why_size,
			"a copy in the format %s cannot be compared with the dump", drain->format->name);
		return -EOPNOTSUPP;
	}
	r = publish_lock_read(source_fd(work));
	if (r == -EWOULDBLOCK) {
		snprintf(work->why, work->why_size, "somebody works on it");
		return -EBUSY;
	}
	/* some file systems cannot lock */
	return save_check(drain->reader, drain->format, work->why, work->why_size);
}

static bool is_same_file(int a, int b)
{
	struct stat left, right;

	/* of files that cannot be asked nothing is believed */
	if (fstat(a, &left) < 0 || fstat(b, &right) < 0)
		return true;
	return left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

/* The copy that has the name already, if it may be one.  0 also if there is none. */
static int adopt(struct work *work)
{
	const struct drain *drain = work->drain;
	autoclose int fd = openat(
		drain->dir_fd, drain->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return explain(work, errno == ELOOP ? -EEXIST : -errno, drain->name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || is_same_file(fd, source_fd(work)))
		return explain(work, -EEXIST, drain->name);
	work->adopted = true;
	work->fd = take_fd(&fd);
	return 0;
}

/* Makes and fills the copy; -EINVAL if the disk does not take pages past its cache. */
static int fill(struct work *work, bool direct)
{
	const struct drain *drain = work->drain;
	const struct kdump_progress progress = {on_written, work};
	int r;

	cleanup_close(&work->fd);
	work->fd = -1;
	work->behind = 0;
	r = publish_tmpfile(drain->dir_fd, 0, &work->fd);
	if (r)
		return r;
	work->in_memory = dump_tail_is_shm(work->fd);
	work->direct = direct && !work->in_memory && fcntl(work->fd, F_SETFL, O_DIRECT) >= 0;
	r = drain->format->write(drain->reader, work->fd, &progress);
	return r ? r : work->error;
}

static int copy(struct work *work)
{
	const struct drain *drain = work->drain;
	bool pages = drain->format->pages && !(drain->reader->image.size % PAGE_SIZE_4K);
	int r = adopt(work);

	if (r || work->adopted)
		return r;
	r = fill(work, pages);
	if (r == -EINVAL && work->direct)
		r = fill(work, false);
	return r ? explain(work, r, "cannot be copied") : 0;
}

static int make_durable(struct work *work)
{
	int r = commit_data(work->fd, NULL, NULL);

	return r ? explain(work, r, "what was copied cannot be brought to the disk") : 0;
}

static int verify(struct work *work)
{
	const struct kdump_progress progress = {on_compared, work};
	int r;

	work->behind = io_bytes_behind(work->fd);
	/* it is on the disk: the cache need not have it, and what is asked for now comes from there */
	(void)posix_fadvise(work->fd, 0, 0, POSIX_FADV_DONTNEED);
	r = work->drain->format->compare(work->drain->reader, work->fd, &progress);
	if (r == -EBADMSG && work->adopted)
		return explain(work, -EEXIST, work->drain->name);
	if (r == -EBADMSG)
		snprintf(work->why, work->why_size, "what the disk gives back is not what was written");
	else if (r)
		explain(work, r, "what was copied cannot be read back");
	return r;
}

/* ---- its name, and the source's ------------------------------------------------------------------------------ */

/* The names of the source, in the order in which they go: what is left under .partial names before its own. */
struct names {
	struct publish_names names;
	struct commit_removal removals[3];
	size_t nr;
};

static void find_names(const struct work *work, struct names *names)
{
	const struct drain *drain = work->drain;
	const enum publish_file partial[] = {PUBLISH_REGION_PARTIAL, PUBLISH_DUMP_PARTIAL};
	struct catalog_dump dump = {.files = CATALOG_FINAL};
	size_t base = 0;
	bool lz4;

	names->nr = 0;
	if (drain->keep)
		return;
	if (publish_parse(drain->source_name, &base) == PUBLISH_FINAL && base < sizeof(dump.name)) {
		snprintf(dump.name, sizeof(dump.name), "%.*s", (int)base, drain->source_name);
		lz4 = !!strcmp(drain->source_name + base, ".vmcore");
		dump.files |= lz4 ? CATALOG_LZ4 : 0;
		if (lz4)
			publish_names_init_lz4(&names->names, dump.name);
		else
			publish_names_init(&names->names, dump.name);
		for (size_t i = 0; i < ARRAY_LEN(partial); i++) {
			/* the one with the tables last */
			enum publish_file file = partial[lz4 ? ARRAY_LEN(partial) - 1 - i : i];

			if (catalog_is_leftover(drain->source_dir_fd, &dump, file))
				names->removals[names->nr++] = (struct commit_removal){drain->source_dir_fd,
					file == PUBLISH_DUMP_PARTIAL ? names->names.dump_partial
								     : names->names.region_partial,
					-1};
		}
	}
	names->removals[names->nr++] = (struct commit_removal){
		drain->source_dir_fd, drain->source_name, source_fd(work)};
}

static int name_and_remove(struct work *work)
{
	const struct drain *drain = work->drain;
	enum commit_step step = COMMIT_DATA;
	struct names names;
	struct commit request = {
		.fd = work->fd,
		.proc_fd = drain->proc_fd,
		.dir_fd = drain->dir_fd,
		.name = drain->name,
		.removals = names.removals,
		.is_copy = !work->adopted,
	};
	int r;

	find_names(work, &names);
	request.nr_removals = names.nr;
	r = commit(&request, &step);
	if (step == COMMIT_REMOVAL)
		work->step = DRAIN_REMOVAL;
	if (r)
		commit_explain(&request, step, r, work->why, work->why_size);
	return r;
}

int drain_run(const struct drain *drain, enum drain_step *ret_step, char *why, size_t why_size)
{
	static int (*const all[])(struct work * work) = {
		[DRAIN_SOURCE] = check_source,
		[DRAIN_COPY] = copy,
		[DRAIN_DURABLE] = make_durable,
		[DRAIN_VERIFY] = verify,
		[DRAIN_NAME] = name_and_remove,
	};
	struct work work = {.drain = drain, .fd = -1, .why = why, .why_size = why_size};
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_LEN(all); i++) {
		work.step = (enum drain_step)i;
		r = all[i](&work);
	}
	cleanup_close(&work.fd);
	publish_unlock(source_fd(&work));
	*ret_step = r ? work.step : DRAIN_DONE;
	return r;
}
