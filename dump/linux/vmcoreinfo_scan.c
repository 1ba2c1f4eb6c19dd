/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/linux/vmcoreinfo_scan.c - finds VMCOREINFO in RAM: vmcoreinfo_scan() of vmcoreinfo.h.
 *
 * A string search would find it too, and copies of it and of its name besides.  The note's header at the
 * start of a page is found once, and looking at nothing but page starts is what makes it quick: one load
 * a page, through a mapping, where the file has memory at all.
 */
#include "dump/linux/vmcoreinfo.h"

#include "dump/base/io.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * our choice: what is mapped and looked at before the next window is asked for; the first windows of a guest
 * usually hold it, and unmapping what was not looked at costs nothing
 */
#define WINDOW MIB(8)

struct note_header {
	uint32_t namesz, descsz, type;
	char name[12]; /* with the padding */
};

static const struct note_header wanted = {.namesz = 11, .name = "VMCOREINFO"};

struct scan {
	const struct guest_view *view;
	const unsigned char *ram; /* the region's RAM, mapped shared: holes are never touched */
	vmcoreinfo_accept_fn *accept;
	void *arg;
	uint64_t pages_max;
	_Atomic uint64_t pages; /* looked at */
	_Atomic uint64_t next;  /* number of the next window */
	_Atomic int error;      /* the first one */
	_Atomic bool done;
	pthread_mutex_t lock; /* guards the rest, and calls of @accept */
	bool accepted;
	struct vmcoreinfo *ret;
};

static bool is_header(const struct note_header *header)
{
	return header->namesz == wanted.namesz && header->type == wanted.type &&
	       header->descsz >= VMCOREINFO_TEXT_MIN && header->descsz <= VMCOREINFO_TEXT_MAX &&
	       !memcmp(header->name, wanted.name, sizeof(wanted.name));
}

bool vmcoreinfo_at(const struct guest_view *view, uint64_t gpa, struct vmcoreinfo *ret)
{
	struct note_header header;
	char text[VMCOREINFO_TEXT_MAX];

	if (guest_view_read(view, gpa, &header, sizeof(header)) || !is_header(&header))
		return false;
	if (guest_view_read(view, gpa + sizeof(header), text, header.descsz))
		return false;
	return vmcoreinfo_set(ret, text, header.descsz);
}

static void consider(struct scan *scan, uint64_t gpa)
{
	struct vmcoreinfo info;

	if (!vmcoreinfo_at(scan->view, gpa, &info))
		return;
	pthread_mutex_lock(&scan->lock);
	if (!scan->accepted) {
		scan->accepted = !scan->accept || scan->accept(scan->arg, &info);
		if (scan->accepted || !scan->ret->len)
			*scan->ret = info;
		if (scan->accepted)
			atomic_store(&scan->done, true);
	}
	pthread_mutex_unlock(&scan->lock);
}

/* RAM offsets [@start, @end) have memory behind them. */
static int look(struct scan *scan, const struct dump_segment *seg, uint64_t start, uint64_t end)
{
	uint64_t pages = (end - start) / PAGE_SIZE_4K;
	const uint32_t *first;

	/* before 5.14 refused: the pages are then mapped as they are read */
	if (madvise((void *)(uintptr_t)(scan->ram + start), end - start, MADV_POPULATE_READ) < 0 &&
		errno != EINVAL)
		return -errno;
	for (uint64_t off = start; off < end; off += PAGE_SIZE_4K) {
		first = (const uint32_t *)(const void *)(scan->ram + off);
		if (__atomic_load_n(first, __ATOMIC_RELAXED) == wanted.namesz)
			consider(scan, seg->gpa + (off - seg->off));
	}
	if (atomic_fetch_add(&scan->pages, pages) + pages >= scan->pages_max)
		atomic_store(&scan->done, true);
	return 0;
}

static int scan_window(struct scan *scan, const struct dump_segment *seg, uint64_t from, uint64_t end)
{
	uint64_t head = scan->view->layout->head;
	int fd = scan->view->fd;

	while (from < end) {
		off_t start = io_test_fails(IO_SEEK, NULL) ? -1
							   : lseek(fd, (off_t)(head + from), SEEK_DATA);
		off_t stop;
		int r;

		if (start < 0)
			return errno == ENXIO ? 0 : -errno;
		if ((uint64_t)start - head >= end)
			return 0;
		stop = lseek(fd, start, SEEK_HOLE);
		if (stop < 0)
			return -errno;
		from = u64_min((uint64_t)stop - head, end);
		r = look(scan, seg, u64_align_down((uint64_t)start - head, PAGE_SIZE_4K),
			u64_min(u64_align_up(from, PAGE_SIZE_4K), end));
		if (r)
			return r;
	}
	return 0;
}

static uint64_t windows_of(const struct dump_segment *seg)
{
	return (seg->size + WINDOW - 1) / WINDOW;
}

/*
 * Window @nr: the last segment's come first, and of each segment those at its ends, in turn.  That is where
 * young kernels' allocators begin: 6.1 at the beginning, 6.12 at the end.
 */
static const struct dump_segment *find_window(
	const struct dump_layout *layout, uint64_t nr, uint64_t *ret_off)
{
	for (uint32_t i = layout->nr_segments; i-- > 0;) {
		const struct dump_segment *seg = &layout->segments[i];

		if (nr < windows_of(seg)) {
			nr = nr % 2 ? windows_of(seg) - 1 - nr / 2 : nr / 2;
			*ret_off = seg->off + nr * WINDOW;
			return seg;
		}
		nr -= windows_of(seg);
	}
	return NULL;
}

static void *scan_thread(void *arg)
{
	struct scan *scan = arg;

	while (!atomic_load(&scan->done)) {
		uint64_t nr = atomic_fetch_add(&scan->next, 1);
		uint64_t off;
		const struct dump_segment *seg = find_window(scan->view->layout, nr, &off);
		int r;

		if (!seg)
			break;
		r = scan_window(scan, seg, off, u64_min(off + WINDOW, seg->off + seg->size));
		if (r) {
			int none = 0;

			atomic_compare_exchange_strong(&scan->error, &none, r);
			atomic_store(&scan->done, true);
		}
	}
	return NULL;
}

static void run_threads(struct scan *scan, uint32_t workers)
{
	pthread_t threads[63];
	uint32_t nr = 0;

	while (nr + 1 < workers && nr < ARRAY_LEN(threads) &&
		!pthread_create(&threads[nr], NULL, scan_thread, scan))
		nr++;
	scan_thread(scan);
	while (nr)
		pthread_join(threads[--nr], NULL);
}

int vmcoreinfo_scan(const struct guest_view *view, uint32_t workers, uint64_t pages_max,
	vmcoreinfo_accept_fn *accept, void *arg, struct vmcoreinfo *ret)
{
	struct scan scan = {.view = view,
		.pages_max = pages_max,
		.accept = accept,
		.arg = arg,
		.ret = ret,
		.lock = PTHREAD_MUTEX_INITIALIZER};
	void *ram = mmap(NULL, view->layout->ram, PROT_READ, MAP_SHARED | MAP_NORESERVE, view->fd,
		(off_t)view->layout->head);

	ret->len = 0;
	ret->text[0] = '\0';
	if (ram == MAP_FAILED)
		return -errno;
	scan.ram = ram;
	run_threads(&scan, workers);
	munmap(ram, view->layout->ram);
	if (scan.accepted)
		return 1;
	return atomic_load(&scan.error);
}
