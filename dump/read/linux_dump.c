/* SPDX-License-Identifier: Apache-2.0 */
/* dump/read/linux_dump.c - see linux_dump.h */
#include "dump/read/linux_dump.h"

#include <errno.h>
#include <stdlib.h>

static int read_dump(void *arg, uint64_t gpa, void *buf, size_t len)
{
	return reader_read(arg, gpa, buf, len);
}

/*
 * The kernel of @info, if it is there and a vCPU has it mapped, as far as the notes tell: one that kexec has
 * replaced may be there, too.  Result: NULL or why not.
 */
static const char *open_kernel(
	struct linux_dump *dump, const struct metadata *metadata, struct vmcoreinfo *info)
{
	const char *why = linux_kernel_init(&dump->kernel, &dump->view, info);
	bool any = false;

	for (uint32_t i = 0; !why && i < metadata->nr_cpus; i++) {
		const struct core_cpu *cpu = &metadata->cpus[i];
		const uint64_t *cr = cpu->regs.cr;

		if (!cpu->has_system || !(cr[0] & PAGEWALK_CR0_PG) || !(cr[4] & PAGEWALK_CR4_PAE))
			continue;
		any = true;
		if (linux_kernel_runs(&dump->kernel, cr[3], cr[4]))
			return NULL;
	}
	return any ? "the kernel that VMCOREINFO describes is not the one that ran" : why;
}

/*
 * The first VMCOREINFO whose kernel is there.  Looks at what the file has, not at what its headers claim; several of
 * them may name the same bytes, so that it ends when as much was seen as there is.
 */
static bool search_for_it(struct reader *reader, struct linux_dump *dump, struct vmcoreinfo *info)
{
	uint64_t left = reader_data_bytes(reader) / PAGE_SIZE_4K + reader->core.nr_segments;

	for (size_t i = 0; i < reader->core.nr_segments; i++) {
		const struct core_segment *seg = &reader->core.segments[i];
		uint64_t end = u64_min(seg->size, seg->file_bytes);
		uint64_t at = 0;

		while (at < end && left) {
			uint64_t gap = reader_gap(reader, seg->gpa + at) / PAGE_SIZE_4K * PAGE_SIZE_4K;

			if (gap) {
				at += gap;
				continue;
			}
			if (vmcoreinfo_at(&dump->view, seg->gpa + at, info) &&
				!open_kernel(dump, &reader->metadata, info))
				return true;
			at += PAGE_SIZE_4K;
			left--;
		}
	}
	return false;
}

const char *linux_dump_open(struct reader *reader, bool search, struct linux_dump **ret)
{
	const struct metadata *metadata = &reader->metadata;
	struct linux_dump *dump = malloc(sizeof(*dump));
	struct vmcoreinfo info;
	const char *why = "the dump has no VMCOREINFO: no Linux, or one that died too early";

	if (!dump)
		return "no memory";
	dump->view = (struct guest_view){.fd = -1, .read = read_dump, .arg = reader};
	if (metadata->vmcoreinfo && vmcoreinfo_set(&info, metadata->vmcoreinfo, metadata->vmcoreinfo_len))
		why = open_kernel(dump, metadata, &info);
	if (why && search && search_for_it(reader, dump, &info))
		why = NULL;
	if (why) {
		free(dump);
		return why;
	}
	*ret = dump;
	return NULL;
}

void linux_dump_close(struct linux_dump *dump)
{
	free(dump);
}
