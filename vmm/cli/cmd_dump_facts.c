/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_dump_facts.c - see cmd_dump_facts.h */
#include "vmm/cli/cmd_dump_facts.h"

#include "dump/base/io.h"
#include "dump/record/choices.h"
#include "dump/files/publish.h"
#include "dump/read/linux_dump.h"

#include <sys/stat.h>

static void add_file(int fd, struct dump_file_facts *facts)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	facts->bytes += io_stat_bytes(&st);
	facts->in_use |= publish_is_locked(fd);
}

void dump_file_facts(const struct reader *reader, struct dump_file_facts *ret)
{
	struct stat st;

	*ret = (struct dump_file_facts){0};
	add_file(reader->image.fd, ret);
	add_file(reader->region.fd, ret);
	if (!fstat(reader->image.fd, &st))
		ret->apparent = (uint64_t)st.st_size;
}

const char *dump_selector_name(size_t index)
{
	return index < dump_nr_selectors ? dump_selectors[index].name : "unknown";
}

bool dump_info_linux(struct reader *reader, struct linux_report *ret)
{
	struct linux_dump *dump;

	if (linux_dump_open(reader, false, &dump))
		return false;
	linux_report_make(ret, &dump->kernel);
	linux_dump_close(dump);
	return true;
}

const struct dump_reg_name dump_reg_names[] = {
#define REG(name)                                                                                          \
	{                                                                                                  \
#name, offsetof(struct core_regs, name)                                                    \
	}
	REG(rip),
	REG(rflags),
	REG(rsp),
	REG(rbp),
	REG(rax),
	REG(rbx),
	REG(rcx),
	REG(rdx),
	REG(rsi),
	REG(rdi),
	REG(r8),
	REG(r9),
	REG(r10),
	REG(r11),
	REG(r12),
	REG(r13),
	REG(r14),
	REG(r15),
#undef REG
};
const size_t dump_nr_reg_names = ARRAY_LEN(dump_reg_names);

const struct dump_reg_name dump_segment_names[] = {
#define SEGMENT(name)                                                                                      \
	{                                                                                                  \
#name, offsetof(struct core_regs, name)                                                    \
	}
	SEGMENT(cs),
	SEGMENT(ss),
	SEGMENT(ds),
	SEGMENT(es),
	SEGMENT(fs),
	SEGMENT(gs),
	SEGMENT(ldt),
	SEGMENT(tr),
	SEGMENT(gdt),
	SEGMENT(idt),
#undef SEGMENT
};
const size_t dump_nr_segment_names = ARRAY_LEN(dump_segment_names);
