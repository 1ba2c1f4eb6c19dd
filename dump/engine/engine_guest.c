/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/engine_guest.c - what the crashed guest's memory tells about its kernel, before any of it is moved.
 *
 * It is kept in the crash record: a dumper that goes on after another one finds memory missing.
 */
#include "dump/engine/engine_guest.h"

#include "dump/base/cleanup.h"
#include "dump/base/log.h"
#include "dump/linux/linux_find.h"
#include "dump/linux/linux_kernel.h"
#include "dump/linux/linux_report.h"
#include "dump/region/pagewalk.h"
#include "dump/format/virtual.h"

#include <errno.h>
#include <string.h>

/* Intel SDM vol. 1 3.3.7.1: addresses of the upper half, where Linux and most other kernels live */
#define UPPER_HALF 0xffff800000000000ull

/* our choice: entries of page tables that are looked at for program headers, below 0.2 s */
#define VIRTUAL_STEPS (1ull << 21)

/*
 * Looking for VMCOREINFO in the memory of a guest that cannot have it would cost each crash some
 * milliseconds.  A kernel in the upper half has its interrupt table there, or was there last
 * if it has thrown that away to reset the machine.
 */
static bool may_be_linux(const struct dump_record *record)
{
	for (uint32_t i = 0; i < record->nr_cpus; i++) {
		const struct dump_cpu *cpu = &record->cpus[i];

		if (cpu->saved && cpu->cr[0] & PAGEWALK_CR0_PG &&
			(cpu->idt.base >= UPPER_HALF || cpu->rip >= UPPER_HALF))
			return true;
	}
	return false;
}

static bool has_tables(const struct dump_cpu *cpu)
{
	return cpu->saved && cpu->cr[0] & PAGEWALK_CR0_PG && cpu->cr[4] & PAGEWALK_CR4_PAE;
}

struct running {
	const struct guest_view *view;
	const struct dump_record *record;
};

/* A kernel that is there, and that a vCPU has mapped: one that kexec has replaced may be there, too. */
static bool is_running(void *arg, const struct vmcoreinfo *info)
{
	const struct running *running = arg;
	autofree struct linux_kernel *kernel = malloc(sizeof(*kernel));
	bool any = false;

	if (!kernel || linux_kernel_init(kernel, running->view, info))
		return false;
	for (uint32_t i = 0; i < running->record->nr_cpus; i++) {
		const struct dump_cpu *cpu = &running->record->cpus[i];

		if (!has_tables(cpu))
			continue;
		any = true;
		if (linux_kernel_runs(kernel, cpu->cr[3], cpu->cr[4]))
			return true;
	}
	return !any;
}

/*
 * First where it usually is, then by the kernel's pointer to it: in all of memory it would be a page fault for
 * each page.  All vCPUs have the same kernel, so the first one that has an image mapped tells.
 * As vmcoreinfo_scan().
 */
static int find_info(struct dump_engine *engine, const struct guest_view *view)
{
	const struct dump_record *record = engine->record;
	struct running running = {.view = view, .record = record};
	int r = vmcoreinfo_scan(
		view, engine->workers, VMCOREINFO_QUICK_PAGES, is_running, &running, &engine->vmcoreinfo);
	int found = r ? r : -ENOENT;

	for (uint32_t i = 0; found == -ENOENT && i < record->nr_cpus; i++) {
		const struct dump_cpu *cpu = &record->cpus[i];

		if (has_tables(cpu))
			found = linux_find_info(view, cpu->cr[3], cpu->cr[4], &engine->vmcoreinfo);
	}
	/* one whose memory is whole would be believed by who does not know the vCPUs */
	if (found != 1 && engine->vmcoreinfo.len &&
		linux_kernel_accepts((void *)(uintptr_t)view, &engine->vmcoreinfo))
		engine->vmcoreinfo.len = 0;
	return found == -ENOENT ? 0 : found;
}

void engine_look_at_guest(struct dump_engine *engine)
{
	struct dump_record *record = engine->record;
	struct guest_view view = {.fd = engine->region_fd, .layout = &engine->layout};
	uint32_t len = record->vmcoreinfo_len;
	int r;

	/* what an earlier dumper has found, if that is what it looks like */
	if (len && len <= VMCOREINFO_TEXT_MAX &&
		vmcoreinfo_set(&engine->vmcoreinfo, record->vmcoreinfo, len))
		return;
	if (plan_adopts(engine->plan))
		return; /* it had none */
	record->vmcoreinfo_len = 0;
	if (!may_be_linux(record))
		return;
	r = find_info(engine, &view);
	if (r < 0)
		log_debug("looking for VMCOREINFO: %s", strerror(-r));
	memcpy(record->vmcoreinfo, engine->vmcoreinfo.text, engine->vmcoreinfo.len);
	record->vmcoreinfo_len = (uint32_t)engine->vmcoreinfo.len;
}

size_t engine_virtual_headers(const struct dump_engine *engine, Elf64_Phdr **ret)
{
	const struct dump_layout *layout = &engine->layout;
	struct guest_view view = {.fd = engine->region_fd, .layout = layout};
	struct core_segment segments[DUMP_SEGMENTS_MAX];
	struct elfcore core = {.segments = segments, .nr_segments = layout->nr_segments};
	autofree struct linux_kernel *kernel = malloc(sizeof(*kernel));

	if (!engine->record->options.virtual_headers || !engine->vmcoreinfo.len || !kernel ||
		linux_kernel_init(kernel, &view, &engine->vmcoreinfo))
		return 0;
	*ret = calloc(VMCORE_VIRTUAL_MAX, sizeof(**ret));
	if (!*ret)
		return 0;
	for (uint32_t i = 0; i < layout->nr_segments; i++) {
		const struct dump_segment *seg = &layout->segments[i];

		segments[i] = (struct core_segment){.gpa = seg->gpa,
			.size = seg->size,
			.off = layout->head + seg->off,
			.file_bytes = seg->size};
	}
	return virtual_headers(kernel, &core, false, VIRTUAL_STEPS, *ret, VMCORE_VIRTUAL_MAX);
}

void engine_report_guest(struct dump_engine *engine)
{
	struct guest_view view = {.fd = engine->region_fd, .layout = &engine->layout};
	autofree struct linux_kernel *kernel = malloc(sizeof(*kernel));

	if (!engine->vmcoreinfo.len || plan_adopts(engine->plan) || !kernel ||
		linux_kernel_init(kernel, &view, &engine->vmcoreinfo))
		return;
	linux_report_make(&engine->record->linux_report, kernel);
}
