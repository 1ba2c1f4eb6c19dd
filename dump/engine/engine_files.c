/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/engine_files.c - the two files of a dump and their names: when each gets one, and what is in the
 * file by then.  docs/vmcore.md, "Names, and partial dumps", is the specification in words.
 */
#include "dump/engine/engine_files.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/engine/engine.h"
#include "dump/base/log.h"
#include "dump/base/filemap.h"
#include "dump/engine/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int write_small(int fd, uint64_t off, const void *data, uint64_t len)
{
	return dump_tail_is_shm(fd) ? filemap_write(fd, off, data, len)
				    : io_pwrite_full(fd, data, len, off);
}

static int lock_file(struct dump_engine *engine, int fd, const char *name)
{
	int r = publish_lock(fd);

	if (r == -EWOULDBLOCK)
		return dump_engine_fail(engine, -EBUSY, "another process works on %s", name);
	if (r)
		log_debug("%s is not locked: %s", name, strerror(-r)); /* some file systems cannot */
	return 0;
}

/* ---- the region --------------------------------------------------------------------------------------- */

/* Tables of @fd: new ones, or those of an earlier engine if it had got beyond preparing them. */
static int open_tables(
	struct dump_engine *engine, struct dump_tail *tail, int fd, uint32_t role, bool adopt)
{
	int r;

	if (!adopt)
		return dump_tail_init(tail, fd, engine->record, role);
	r = dump_tail_adopt(tail, fd, engine->record, role, &engine->found);
	if (engine->found == VMCORE_STATE_PREPARING)
		engine->found = 0;
	return r;
}

/* Where the dump's tables are in the region itself. */
static int open_region_tables(struct dump_engine *engine)
{
	return open_tables(engine, engine->strategy->scratch ? &engine->seal : &engine->tail,
		engine->region_fd, VMCORE_ROLE_REGION, engine->resume);
}

static uint64_t region_trailer_off(const struct dump_engine *engine)
{
	return dump_layout_file_size(&engine->layout) - PAGE_SIZE_4K;
}

/* The flags of the region's trailer; -ENOENT if it has none: its head may be missing too then. */
static int region_flags(const struct dump_engine *engine, uint32_t *ret)
{
	struct vmcore_trailer trailer;
	int r = io_pread_full(engine->region_fd, &trailer, sizeof(trailer), region_trailer_off(engine));

	if (!r && memcmp(trailer.magic, VMCORE_TRAILER_MAGIC, sizeof(trailer.magic)))
		r = -ENOENT;
	if (!r)
		*ret = trailer.flags;
	return r;
}

/* @released: some of its memory may be gone already. */
static int write_region_trailer(const struct dump_engine *engine, bool released)
{
	struct vmcore_trailer trailer;

	vmcore_trailer_init(&trailer, engine->record, VMCORE_ROLE_REGION);
	trailer.flags = released ? VMCORE_FLAG_RELEASED : 0;
	return filemap_write(engine->region_fd, region_trailer_off(engine), &trailer, sizeof(trailer));
}

int engine_mark_released(struct dump_engine *engine)
{
	uint32_t flags = VMCORE_FLAG_RELEASED;
	int r = 0;

	if (engine->seal.map) {
		r = dump_tail_set_flags(&engine->seal, flags);
	} else if (!engine->region_tables) {
		uint32_t before;

		r = region_flags(engine, &before);
		if (r == -ENOENT)
			return 0; /* there was no room for a trailer: nothing there that could be believed */
		if (!r && before != flags)
			r = io_pwrite_full(engine->region_fd, &flags, sizeof(flags),
				region_trailer_off(engine) + offsetof(struct vmcore_trailer, flags));
	}
	return r ? dump_engine_fail(engine, r, "cannot mark %s", engine->names.region_partial) : 0;
}

/*
 * The region gets the head too, so that it is a vmcore by itself from the moment it has a name.  If
 * there is no room for that, a region without it is still better than none; but no dump.
 */
static int describe_region(struct dump_engine *engine)
{
	bool begun = engine->resume || engine->given_dump_fd >= 0;
	uint32_t flags;
	int r = 0;

	/* the VMM has done so (dump_engine_announce), but for a guest that went on: its registers are newer */
	if (region_flags(engine, &flags) || flags)
		r = filemap_write(engine->region_fd, 0, engine->head, engine->head_len);
	if (!r)
		r = engine->region_tables ? open_region_tables(engine)
					  : write_region_trailer(engine, begun);
	if (!r || !engine->region_tables) {
		if (r)
			log_debug("%s has no metadata: %s", engine->names.region_partial, strerror(-r));
		return 0;
	}
	return dump_engine_fail(engine, r, "cannot make the tables of %s", engine->names.region_partial);
}

int engine_link_region(struct dump_engine *engine)
{
	int described, r;

	r = lock_file(engine, engine->region_fd, engine->names.region_partial);
	if (r)
		return r;
	described = describe_region(engine);
	r = publish_link(
		engine->proc_fd, engine->region_fd, engine->region_dir_fd, engine->names.region_partial);
	if (r == -EXDEV) {
		log_warn("%s: the guest's memory is on another file system; a kill during the dump loses "
			 "what is not dumped yet",
			engine->names.region_partial);
		return described;
	}
	if (r == -ENOENT && engine->resume)
		return described; /* published, and then unlinked: what is left is the end of it */
	if (r)
		return dump_engine_fail(engine, r, "cannot link %s", engine->names.region_partial);
	engine->region_linked = true;
	return described;
}

/* ---- the dump ----------------------------------------------------------------------------------------- */

static bool has_name(int fd, int dir_fd, const char *name)
{
	struct stat file, named;

	return dir_fd >= 0 && !fstat(fd, &file) && !fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) &&
	       file.st_dev == named.st_dev && file.st_ino == named.st_ino;
}

/* A file that was begun elsewhere stays where it is. */
static void find_out_dir(struct dump_engine *engine)
{
	if (has_name(engine->dump_fd, engine->fallback_dir_fd, engine->names.dump_partial) ||
		has_name(engine->dump_fd, engine->fallback_dir_fd, engine->names.final))
		engine->out_dir_fd = engine->fallback_dir_fd;
}

static int duplicate(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -errno : copy;
}

static int open_dump(struct dump_engine *engine)
{
	uint64_t size = engine->sink->compressed ? 0 : dump_layout_file_size(&engine->layout);
	int r = 0;

	if (engine->given_dump_fd >= 0 && !engine->sink->compressed) {
		engine->dump_fd = duplicate(engine->given_dump_fd);
		r = engine->dump_fd < 0 ? engine->dump_fd : 0;
		if (!r)
			find_out_dir(engine);
	} else {
		r = publish_tmpfile(engine->out_dir_fd, size, &engine->dump_fd);
		if (r == -EOPNOTSUPP || r == -EISDIR)
			return dump_engine_fail(engine, r,
				"the dump directory's file system has no files without a name (O_TMPFILE)");
	}
	if (r)
		return dump_engine_fail(engine, r, "cannot create the dump file");
	engine->on_disk = !dump_tail_is_shm(engine->dump_fd);
	return 0;
}

/* Head and tables, new ones or what was there. */
static int fill_dump(struct dump_engine *engine)
{
	int r;

	if (engine->sink->compressed)
		return 0; /* the tables are the region's, the head comes with the sink */
	r = open_tables(engine, &engine->tail, engine->dump_fd, VMCORE_ROLE_DUMP,
		engine->resume && engine->given_dump_fd >= 0);
	if (r)
		return dump_engine_fail(
			engine, r, "cannot make the tables of %s", engine->names.dump_partial);
	r = write_small(engine->dump_fd, 0, engine->head, engine->head_len);
	if (r)
		return dump_engine_fail(
			engine, r, "cannot write the head of %s", engine->names.dump_partial);
	return 0;
}

static int link_dump(struct dump_engine *engine)
{
	int r;

	/* what was published once does not become partial again */
	if (engine->found == VMCORE_STATE_COMPLETE || engine->old_fd >= 0)
		return 0;
	r = publish_link(engine->proc_fd, engine->dump_fd, engine->out_dir_fd, engine->names.dump_partial);
	if (r)
		return dump_engine_fail(engine, r, "cannot link %s", engine->names.dump_partial);
	engine->dump_linked = true;
	return 0;
}

int engine_take_region(struct dump_engine *engine)
{
	cleanup_close(&engine->dump_fd);
	engine->dump_fd = duplicate(engine->region_fd);
	return engine->dump_fd < 0 ? dump_engine_fail(engine, engine->dump_fd, "cannot use the region") : 0;
}

static bool is_begun(const struct dump_engine *engine)
{
	for (uint64_t i = 0; i < engine->nr_chunks; i++)
		if (dump_tail_is_done(&engine->tail, i))
			return true;
	return false;
}

/*
 * Nobody can go on in the middle of an LZ4 frame.  If chunks have been released, the old file and the
 * region stay as they are until a new file has everything (dump/engine/sink_lz4.c); it has no name before.
 */
static int look_at_compressed(struct dump_engine *engine)
{
	int given = engine->given_dump_fd;

	if (has_name(given, engine->dir_fd, engine->names.final) ||
		has_name(given, engine->fallback_dir_fd, engine->names.final)) {
		engine->found = VMCORE_STATE_COMPLETE;
		engine->dump_fd = duplicate(given);
	} else if (engine->found && is_begun(engine)) {
		if (given < 0)
			return dump_engine_fail(
				engine, -ENOENT, "there is no %s", engine->names.dump_partial);
		engine->old_fd = given;
	}
	if (has_name(given, engine->fallback_dir_fd, engine->names.dump_partial) ||
		has_name(given, engine->fallback_dir_fd, engine->names.final))
		engine->out_dir_fd = engine->fallback_dir_fd;
	if (engine->old_fd < 0 && engine->found != VMCORE_STATE_COMPLETE)
		/* what may be under the name is of no use to anybody */
		unlinkat(engine->out_dir_fd, engine->names.dump_partial, 0);
	return 0;
}

int engine_make_dump(struct dump_engine *engine)
{
	int r;

	if (engine->sink->compressed && engine->resume) {
		r = look_at_compressed(engine);
		if (r || engine->found == VMCORE_STATE_COMPLETE)
			return r;
	}
	if (engine->strategy->scratch && engine->found) {
		/* its tables are filled in when all is done: nothing but the name is missing */
		engine->found = VMCORE_STATE_COMPLETE;
		engine->tail = engine->seal;
		engine->seal = (struct dump_tail){.fd = -1};
		return engine_take_region(engine);
	}
	if (engine->strategy->in_place && !engine->strategy->scratch) {
		r = engine_take_region(engine);
	} else {
		r = open_dump(engine);
		if (!r)
			r = lock_file(engine, engine->dump_fd, engine->names.dump_partial);
		if (!r)
			r = fill_dump(engine);
		if (!r)
			r = link_dump(engine);
	}
	if (r)
		return r;
	engine_mark(engine, DUMP_MOMENT_LINKED);
	engine_notify(engine, DUMP_NOTICE_LINKED);
	return 0;
}

void engine_tell_what_is_kept(struct dump_engine *engine)
{
	size_t len = strlen(engine->why);

	snprintf(engine->why + len, sizeof(engine->why) - len, "; kept: %s%s%s%s",
		engine->region_linked ? engine->names.region_partial : "nothing by name",
		engine->dump_linked ? ", " : "", engine->dump_linked ? engine->names.dump_partial : "",
		engine->region_linked ? " (minivmm dump salvage FILE makes a dump of it)" : "");
}

void engine_close_files(struct dump_engine *engine)
{
	if (engine->sink_state)
		engine->ops->close(engine->sink_state);
	engine->sink_state = NULL;
	dump_tail_fini(&engine->seal);
	dump_tail_fini(&engine->tail);
	cleanup_close(&engine->dump_fd);
	engine->dump_fd = -1;
}

/* Nobody else can have them: they have no names yet.  What cannot be locked is still better named than lost. */
static void lock_announced(const struct dump_record *record, int region_fd, int dump_fd)
{
	int r = publish_lock(region_fd);

	if (!r && dump_fd >= 0)
		r = publish_lock(dump_fd);
	if (r)
		log_debug("the files of %s are not locked: %s", record->name, strerror(-r));
}

int dump_engine_announce(
	const struct dump_record *record, int region_fd, int region_dir_fd, int dump_fd, int dir_fd)
{
	autoclose int proc_fd = publish_proc_open();
	struct publish_names names;
	unsigned char *head = NULL;
	uint64_t timeline_off;
	size_t head_len;
	int r = proc_fd < 0 ? proc_fd : 0;

	publish_names_init(&names, record->name);
	if (!r)
		r = vmcore_head_create(record, NULL, 0, &head, &head_len, &timeline_off);
	if (!r) {
		const struct dump_engine described = {.region_fd = region_fd,
			.layout = record->layout,
			.record = (struct dump_record *)(uintptr_t)record};

		lock_announced(record, region_fd, dump_fd);
		/* without room for them, the names alone are still better than nothing */
		(void)(filemap_write(region_fd, 0, head, head_len) ||
			write_region_trailer(&described, dump_fd >= 0));
		r = publish_link(proc_fd, region_fd, region_dir_fd, names.region_partial);
	}
	if (!r && dump_fd >= 0)
		r = publish_link(proc_fd, dump_fd, dir_fd, names.dump_partial);
	free(head);
	return r;
}
