/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/dump.c - see dump.h.
 */
#include "guest-stub/crew.h"
#include "guest-stub/dump.h"
#include "guest-stub/machine.h"

/* Where the next window is cut. */
struct cutter {
	enum mem_pages which;
	uint32_t range;   /* of start.ram */
	uint64_t frame;   /* everything below it is cut */
	uint64_t longest; /* frames of one window */
};

enum step { STEP_WORKED, STEP_WAIT, STEP_NOTHING };

struct dump_options dump_options;

/* The dump under way. */
static struct dump {
	const struct dump_driver *driver;
	struct window windows[FW_STREAMS_MAX];
	uint32_t nr_windows; /* of them are used */
	uint64_t piece;      /* bytes */
	uint64_t total;      /* bytes of all windows */
	uint64_t moved;      /* bytes; advanced atomically by every CPU */
	uint32_t lock;       /* guards what follows */
	struct cutter cutter;
	bool all_cut;       /* also read without the lock, to leave it to those who need it */
	uint64_t opened;    /* windows so far */
	const char *failed; /* what the VMM refused first; read without the lock to stop early */
	int32_t failed_status;
} dump;

/* The next run of frames to be a window; false: all are cut. */
static bool cut(struct cutter *c, struct run *ret)
{
	for (; c->range < start.nr_ram; c->range++) {
		const struct ram_range *ram = &start.ram[c->range];
		uint64_t from = c->frame > ram->first ? c->frame : ram->first;
		struct run run = mem_next(c->which, from, ram->end);

		if (!run.count)
			continue;
		if (run.count > c->longest)
			run.count = c->longest;
		c->frame = run.first + run.count;
		*ret = run;
		return true;
	}
	return false;
}

static uint64_t count_frames(enum mem_pages which)
{
	struct cutter all = {.which = which, .longest = UINT64_MAX};
	uint64_t frames = 0;
	struct run run;

	while (cut(&all, &run))
		frames += run.count;
	return frames;
}

/* Remembers the first refusal; true if @status is none. */
static bool succeeded(int32_t status, const char *what)
{
	if (status == FW_OK)
		return true;
	spin_lock(&dump.lock);
	if (!dump.failed) {
		dump.failed_status = status;
		__atomic_store_n(&dump.failed, what, __ATOMIC_RELEASE); /* work() */
	}
	spin_unlock(&dump.lock);
	return false;
}

/* With the lock of @w held: makes it the next window; false: there is none, or it cannot be opened. */
static bool open_next(struct cpu *cpu, struct window *w)
{
	struct run run;
	bool found;

	if (__atomic_load_n(&dump.all_cut, __ATOMIC_RELAXED))
		return false;
	spin_lock(&dump.lock);
	found = cut(&dump.cutter, &run);
	__atomic_store_n(&dump.all_cut, !found, __ATOMIC_RELAXED);
	dump.opened += found;
	spin_unlock(&dump.lock);
	if (!found)
		return false;
	w->start = w->next = run.first << PAGE_SHIFT;
	w->end = (run.first + run.count) << PAGE_SHIFT;
	w->open = succeeded(dump.driver->open(cpu, w), "open");
	return w->open;
}

/* crash-in-dump=, hang-in-dump= */
static void misbehave(uint64_t moved)
{
	uint64_t *nowhere = NULL;

	if (moved < dump.total / 2)
		return;
	__asm__("" : "+r"(nowhere)); /* the compiler must not know that it is null */
	if (dump_options.crash_in_dump)
		*nowhere = 1;
	while (dump_options.hang_in_dump)
		cpu_relax();
}

/* Moves one piece of @w, if it is free. */
static enum step step(struct cpu *cpu, struct window *w)
{
	uint64_t from, len;
	bool ok;

	if (!spin_trylock(&w->lock))
		return STEP_WAIT;
	if ((!w->open && !open_next(cpu, w)) || w->next == w->end) {
		enum step result = w->open ? STEP_WAIT : STEP_NOTHING; /* others finish it */

		spin_unlock(&w->lock);
		return result;
	}
	from = w->next;
	/* pieces end at their own multiples, so that huge pages are moved whole */
	len = dump.piece - from % dump.piece;
	len = w->end - from < len ? w->end - from : len;
	w->next += len;
	w->moving++;
	if (!dump.driver->in_order)
		spin_unlock(&w->lock);
	ok = succeeded(dump.driver->move(cpu, w, from, len), "move");
	if (!dump.driver->in_order)
		spin_lock(&w->lock);
	w->moving--;
	if (ok && w->next == w->end && !w->moving && succeeded(dump.driver->close(cpu, w), "close"))
		w->open = false;
	spin_unlock(&w->lock);
	misbehave(__atomic_add_fetch(&dump.moved, len, __ATOMIC_RELAXED));
	return STEP_WORKED;
}

/* On every CPU: a piece of each window in turn, until a whole round finds nothing. */
static void work(struct cpu *cpu)
{
	uint32_t at = cpu->id, idle = 0;

	while (idle < dump.nr_windows && !__atomic_load_n(&dump.failed, __ATOMIC_ACQUIRE)) {
		idle = step(cpu, &dump.windows[at++ % dump.nr_windows]) == STEP_NOTHING ? idle + 1 : 0;
		cpu_relax();
	}
}

const struct dump_driver *dump_driver_find(void)
{
	static const struct dump_driver *const drivers[] = {
		[FW_DUMP_MODE_HYPERCALL] = &dump_hypercall, [FW_DUMP_MODE_ADDMEM] = &dump_addmem};

	return machine.dump_mode < ARRAY_LEN(drivers) ? drivers[machine.dump_mode] : NULL;
}

/* Splits what is to be dumped into windows of equal length, and of whole 2 MiB blocks if that is one or more. */
static void plan(const struct dump_driver *driver)
{
	uint64_t asked = driver == &dump_addmem ? dump_options.areas : dump_options.streams;
	enum mem_pages which = driver->cut();
	uint64_t frames = count_frames(which), longest;

	if (!asked)
		asked = crew_size();
	dump.nr_windows = asked < FW_STREAMS_MAX ? (uint32_t)asked : FW_STREAMS_MAX;
	longest = (frames + dump.nr_windows - 1) / dump.nr_windows;
	if (longest > PAGES_PER_BLOCK)
		longest = (longest + PAGES_PER_BLOCK - 1) / PAGES_PER_BLOCK * PAGES_PER_BLOCK;
	dump.driver = driver;
	dump.piece = dump_options.piece_kib << 10;
	dump.total = frames << PAGE_SHIFT;
	dump.cutter = (struct cutter){.which = which, .longest = longest};
}

bool dump_run(const struct dump_driver *driver, struct cpu *self)
{
	uint64_t begin = read_tsc();

	plan(driver);
	con_printf("stub: dump %s: %lu pages, %u cpus, %u %s at a time\n", driver->name,
		dump.total >> PAGE_SHIFT, crew_size(), dump.nr_windows, driver->windows);
	con_flush();
	crew_run(self, work);
	if (dump.failed) {
		con_printf("stub: error: dump %s: %s: status %d\n", driver->name, dump.failed,
			dump.failed_status);
		con_flush();
		return false;
	}
	con_printf("stub: dump %s: done, %lu %s", driver->name, dump.opened, driver->windows);
	if (machine.tsc_khz)
		con_printf(", %lu us", (read_tsc() - begin) * 1000 / machine.tsc_khz);
	con_printf("\n");
	con_flush();
	return true;
}
