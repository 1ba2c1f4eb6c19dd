/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/save/salvage_final.c - what has the final name of the dump already: see salvage_impl.h
 *
 * A name proves nothing.  A file is the complete dump if it says so itself and is the dump that the .partial files
 * belong to; nothing is removed for the sake of any other.
 */
#include "dump/save/salvage_impl.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What the file under a final name is to the dump that is salvaged. */
enum final {
	FINAL_NONE,
	FINAL_COMPLETE, /* the dump itself, whole */
	FINAL_FALSE,    /* one of the .partial files, which is not complete: it must not have that name */
	FINAL_OTHER,    /* another dump, or no dump */
	FINAL_MIXED,    /* the dump, whole, but the region is of another one */
};

struct reader *salvage_read_alone(int fd)
{
	int own = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct reader *reader;
	char why[256];

	if (own < 0 || reader_open_fds(own, -1, &reader, why, sizeof(why)))
		return NULL;
	return reader;
}

/* Files made before there were ids have none. */
static bool has_id(const struct vmcore_trailer *trailer)
{
	static const uint8_t none[DUMP_ID_BYTES];

	return memcmp(trailer->identity.id, none, sizeof(none)) != 0;
}

bool salvage_is_same_crash(const struct vmcore_trailer *a, const struct vmcore_trailer *b)
{
	if (has_id(a) || has_id(b))
		return !memcmp(a->identity.id, b->identity.id, sizeof(a->identity.id));
	return !strcmp(a->name, b->name) && a->head == b->head && a->ram == b->ram &&
	       !memcmp(a->segments, b->segments, sizeof(b->segments));
}

/* 1: the open file is of that dump; 0: of another one; -1: it is not there or says nothing of itself. */
static int is_of(const struct reader *final, int fd)
{
	struct reader *partial = salvage_read_alone(fd);
	int same = partial && partial->has_trailer
			   ? salvage_is_same_crash(&final->trailer, &partial->trailer)
			   : -1;

	reader_close(partial);
	return same;
}

static enum final look_at(struct salvage *salvage, int fd, const struct stat *st)
{
	bool own = salvage_is_file(st, salvage->dump_fd) || salvage_is_file(st, salvage->region_fd);
	struct reader *final = salvage_read_alone(fd);
	enum final what = own ? FINAL_FALSE : FINAL_OTHER;

	if (final && final->kind == READER_COMPLETE && !final->damage[0]) {
		int dump = is_of(final, salvage->dump_fd), region = is_of(final, salvage->region_fd);

		if (own || (dump && region && dump + region >= 0))
			what = own && !region ? FINAL_MIXED : FINAL_COMPLETE;
	}
	reader_close(final);
	return what;
}

/* Opens what has the name. */
static int open_final(struct salvage *salvage, const char *name, int *ret_fd, enum final *ret)
{
	autoclose int fd = openat(salvage->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	*ret = FINAL_NONE;
	if (fd < 0 && errno == ENOENT)
		return 0;
	*ret = FINAL_OTHER;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	*ret = look_at(salvage, fd, &st);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* The file keeps its .partial name, and is salvaged by that. */
static int take_false_name(struct salvage *salvage, const char *name)
{
	int r = io_unlink(salvage->dir_fd, name);

	return r ? salvage_fail(salvage, r, "%s is not complete, and cannot lose its name: %s", name,
			   strerror(-r))
		 : 0;
}

static int settle_name(struct salvage *salvage, const char *name)
{
	autoclose int fd = -1;
	enum final what;
	int r = open_final(salvage, name, &fd, &what);

	if (r || what == FINAL_NONE)
		return r;
	if (what == FINAL_OTHER)
		return salvage_fail(salvage, -EEXIST, "%s is another dump", name);
	if (what == FINAL_MIXED)
		return salvage_fail(
			salvage, -EINVAL, "%s: the region is of another VM", salvage->region_path);
	if (what == FINAL_FALSE)
		return take_false_name(salvage, name);
	if (name != salvage->names.final)
		strcpy(salvage->names.final, name);
	r = salvage_commit(
		salvage, fd, salvage->dir_fd, salvage->names.final, NULL, false, !salvage->request->keep);
	return r ? r : 1;
}

/* A compressed dump may have become one that is not, too. */
int salvage_settle(struct salvage *salvage)
{
	struct publish_names plain;
	int r = settle_name(salvage, salvage->names.final);

	if (r || !salvage->lz4)
		return r;
	publish_names_init(&plain, salvage->name);
	return settle_name(salvage, plain.final);
}
