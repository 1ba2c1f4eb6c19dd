/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_dump_vmcore.c - the ELF file and its notes, read by a parser of the test's own. */
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"

#include "dump/format/vmcore.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/user.h>
#include <unistd.h>

/* as docs/vmcore.md has it */
#define OUR_TYPE 0x4d4d0000u

static struct dump_fixture f;
static struct elf_view view;

/* A dump of a guest with @nr_cpus vCPUs, open as @view. */
static void make(uint32_t nr_cpus)
{
	struct dump_engine engine;
	int fd;

	fixture_init(&f, MIB(6), MIB(4), nr_cpus);
	f.record->reason = DUMP_REASON_PANIC;
	f.record->generation = 3;
	f.record->crash_cpu = nr_cpus - 1;
	f.record->detail = 77;
	f.record->panic = (struct fw_panic){.time_ns = 11,
		.tsc = 12,
		.cpu = 13,
		.page_table = 0x14000,
		.page_desc = 15,
		.nr_page_desc = 16,
		.select = 17,
		.nr_select = 18};
	memcpy(f.record->panic_string, "oh no", 5);
	f.record->panic_string_len = 5;
	f.record->nr_regs = nr_cpus;
	for (uint32_t i = 0; i < nr_cpus; i++)
		f.record->regs[i] = (struct fw_regs){.cpu = i, .rip = 1000 + i};
	f.record->moments[DUMP_MOMENT_CRASH] = 123456789;
	engine = fixture_engine(&f);
	ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
	fd = fixture_open(&f, "guest-test-g0.vmcore");
	elf_open(&view, fd);
	close(fd);
}

static void teardown(void)
{
	elf_close(&view);
	fixture_fini(&f);
}

static const uint32_t cpu_counts[] = {1, 2, 64};

START_TEST(the_elf_header_is_what_crash_and_makedumpfile_insist_on)
{
	make(cpu_counts[_i]);
	ck_assert_uint_eq(view.ehdr->e_type, ET_CORE);
	ck_assert_uint_eq(view.ehdr->e_machine, EM_X86_64);
	ck_assert_uint_eq(view.ehdr->e_version, 1);
	ck_assert_uint_eq(view.ehdr->e_phoff, 64);
	ck_assert_uint_eq(view.ehdr->e_phentsize, 56);
	ck_assert_uint_eq(view.ehdr->e_phnum, 3);
	ck_assert_uint_eq(view.ehdr->e_shoff, 0);
	ck_assert_uint_eq(view.phdrs[0].p_type, PT_NOTE);
	ck_assert_uint_ge(view.phdrs[0].p_offset, 64 + 3 * 56);
	ck_assert_uint_le(view.phdrs[0].p_offset + view.phdrs[0].p_filesz, MIB(2));
}
END_TEST

START_TEST(each_segment_lies_at_its_ram_offset_with_no_alignment)
{
	make(1);
	for (uint32_t i = 0; i < 2; i++) {
		const Elf64_Phdr *load = &view.phdrs[1 + i];
		const uint64_t gpa[] = {0, GIB(4)}, off[] = {0, MIB(4)}, size[] = {MIB(4), MIB(2)};

		ck_assert_uint_eq(load->p_type, PT_LOAD);
		ck_assert_uint_eq(load->p_align, 0);
		ck_assert_uint_eq(load->p_paddr, gpa[i]);
		ck_assert_uint_eq(load->p_vaddr, gpa[i]);
		ck_assert_uint_eq(load->p_offset, MIB(2) + off[i]);
		ck_assert_uint_eq(load->p_filesz, size[i]);
		ck_assert_uint_eq(load->p_memsz, size[i]);
	}
}
END_TEST

START_TEST(the_notes_come_in_the_order_of_the_specification)
{
	uint32_t n = cpu_counts[_i];

	make(n);
	ck_assert_uint_eq(view.nr_notes, 2 * n + 3 + n);
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_str_eq(view.notes[i].name, "CORE");
		ck_assert_uint_eq(view.notes[i].type, NT_PRSTATUS);
		ck_assert_uint_eq(view.notes[i].len, 0x150);
		ck_assert_str_eq(view.notes[n + i].name, "QEMU");
		ck_assert_uint_eq(view.notes[n + i].type, 0);
		ck_assert_uint_eq(view.notes[n + i].len, 0x1b8);
		ck_assert_uint_eq(view.notes[2 * n + 3 + i].type, VMCORE_NOTE_RAW);
	}
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_str_eq(view.notes[2 * n + i].name, "MINIVMM");
		ck_assert_uint_eq(view.notes[2 * n + i].type, OUR_TYPE + i + 1);
	}
}
END_TEST

START_TEST(prstatus_has_the_registers_in_the_order_of_user_regs_struct)
{
	uint32_t n = cpu_counts[_i];

	make(n);
	for (uint32_t i = 0; i < n; i++) {
		const unsigned char *desc = elf_note(&view, "CORE", NT_PRSTATUS, i)->desc;
		const struct dump_cpu *cpu = &f.record->cpus[i];
		struct user_regs_struct regs;
		uint32_t pid;

		memcpy(&pid, desc + 32, 4);
		memcpy(&regs, desc + 112, sizeof(regs));
		ck_assert_uint_eq(pid, i + 1);
		ck_assert_uint_eq(regs.r15, cpu->r15);
		ck_assert_uint_eq(regs.rbp, cpu->rbp);
		ck_assert_uint_eq(regs.rbx, cpu->rbx);
		ck_assert_uint_eq(regs.r8, cpu->r8);
		ck_assert_uint_eq(regs.rax, cpu->rax);
		ck_assert_uint_eq(regs.rdi, cpu->rdi);
		ck_assert_uint_eq(regs.rip, cpu->rip);
		ck_assert_uint_eq(regs.cs, cpu->cs.selector);
		ck_assert_uint_eq(regs.eflags, cpu->rflags);
		ck_assert_uint_eq(regs.rsp, cpu->rsp);
		ck_assert_uint_eq(regs.fs_base, cpu->fs.base);
		ck_assert_uint_eq(regs.gs_base, cpu->gs.base);
		ck_assert_uint_eq(regs.gs, cpu->gs.selector);
	}
}
END_TEST

static uint64_t u64_at(const unsigned char *desc, size_t off)
{
	uint64_t v;

	memcpy(&v, desc + off, 8);
	return v;
}

static uint32_t u32_at(const unsigned char *desc, size_t off)
{
	uint32_t v;

	memcpy(&v, desc + off, 4);
	return v;
}

START_TEST(the_qemu_note_has_control_registers_and_descriptor_tables)
{
	const unsigned char *desc;
	const struct dump_cpu *cpu;

	make(2);
	cpu = &f.record->cpus[1];
	desc = elf_note(&view, "QEMU", 0, 1)->desc;
	ck_assert_uint_eq(u32_at(desc, 0), 1);
	ck_assert_uint_eq(u32_at(desc, 4), 440);
	ck_assert_uint_eq(u64_at(desc, 8), cpu->rax);
	ck_assert_uint_eq(u64_at(desc, 8 + 6 * 8), cpu->rsp);
	ck_assert_uint_eq(u64_at(desc, 136), cpu->rip);
	ck_assert_uint_eq(u64_at(desc, 144), cpu->rflags);
	ck_assert_uint_eq(u32_at(desc, 152), cpu->cs.selector);
	ck_assert_uint_eq(u64_at(desc, 152 + 9 * 24 + 16), cpu->idt.base);
	ck_assert_uint_eq(u64_at(desc, 392 + 3 * 8), cpu->cr[3]);
	ck_assert_uint_eq(u64_at(desc, 432), cpu->kernel_gs_base);
}
END_TEST

/* Offsets as docs/vmcore.md has them, not taken from the header. */
START_TEST(the_metadata_note_is_laid_out_as_documented)
{
	const struct note *note;

	make(2);
	note = elf_note(&view, "MINIVMM", OUR_TYPE + 1, 0);
	ck_assert_uint_eq(note->len, 1512);
	ck_assert_uint_eq(u32_at(note->desc, 0), 1);
	ck_assert_uint_eq(u32_at(note->desc, 4), 1512);
	ck_assert_uint_eq(u32_at(note->desc, 8), 3);
	ck_assert_uint_eq(u32_at(note->desc, 12), DUMP_REASON_PANIC);
	ck_assert_uint_eq(u32_at(note->desc, 16), 1);
	ck_assert_mem_eq(note->desc + 1496, f.record->id, 16);
	ck_assert_uint_eq(u32_at(note->desc, 20), 2);
	ck_assert_uint_eq(u64_at(note->desc, 24), 1700000000000000000ull);
	ck_assert_uint_eq(u64_at(note->desc, 32), 77);
	ck_assert_uint_eq(u64_at(note->desc, 40), MIB(2));
	ck_assert_uint_eq(u64_at(note->desc, 48), MIB(6));
	ck_assert_uint_eq(u64_at(note->desc, 56) + MIB(8), view.size);
	ck_assert_uint_eq(u64_at(note->desc, 64), MIB(2));
	ck_assert_uint_eq(u64_at(note->desc, 72), MIB(8));        /* bitmap */
	ck_assert_uint_eq(u64_at(note->desc, 80), 1536 / 8);      /* its bytes */
	ck_assert_uint_eq(u64_at(note->desc, 88), MIB(8) + 4096); /* progress */
	ck_assert_uint_eq(u64_at(note->desc, 96), 3);
	ck_assert_uint_eq(u64_at(note->desc, 104), view.size - 4096);
	ck_assert_str_eq((const char *)note->desc + 112, "panic");
	ck_assert_str_eq((const char *)note->desc + 128, "vmapp");
	ck_assert_str_eq((const char *)note->desc + 144, "all");
	ck_assert_str_eq((const char *)note->desc + 208, "guest");
	ck_assert_str_eq((const char *)note->desc + 272, "guest-test-g0");
	ck_assert_str_eq((const char *)note->desc + 368, "0.0-test");
	ck_assert_uint_eq(u64_at(note->desc, 400), 11);
	ck_assert_uint_eq(u64_at(note->desc, 408), 12);
	ck_assert_uint_eq(u32_at(note->desc, 416), 13);
	ck_assert_uint_eq(u64_at(note->desc, 424), 0x14000);
	ck_assert_uint_eq(u64_at(note->desc, 432), 15);
	ck_assert_uint_eq(u64_at(note->desc, 440), 16);
	ck_assert_uint_eq(u64_at(note->desc, 448), 17);
	ck_assert_uint_eq(u64_at(note->desc, 456), 18);
	ck_assert_uint_eq(u32_at(note->desc, 464), 2);
	ck_assert_uint_eq(u32_at(note->desc, 468), 5);
	ck_assert_mem_eq(note->desc + 472, "oh no", 6);
}
END_TEST

START_TEST(the_timeline_is_padded_json_and_knows_the_moments_so_far)
{
	const struct note *note;
	char text[1025] = "";

	make(1);
	note = elf_note(&view, "MINIVMM", OUR_TYPE + 2, 0);
	ck_assert_uint_eq(note->len, 1024);
	memcpy(text, note->desc, 1024);
	ck_assert_uint_eq(strlen(text), 1024);
	ck_assert_int_eq(text[1023], '\n');
	ck_assert_ptr_nonnull(strstr(text, "\"crash\": 123456789,"));
	ck_assert_ptr_nonnull(strstr(text, "\"recovery-run\": null,"));
	ck_assert_ptr_null(strstr(text, "\"copied\": null"));
	ck_assert_ptr_nonnull(strstr(text, "\"ready\": null}}  "));
}
END_TEST

START_TEST(a_timeline_of_the_largest_numbers_fits)
{
	char text[VMCORE_TIMELINE_BYTES];

	make(1);
	for (int i = 0; i < DUMP_MOMENT_NR; i++)
		f.record->moments[i] = UINT64_MAX;
	vmcore_timeline(f.record, text);
	ck_assert_int_eq(text[VMCORE_TIMELINE_BYTES - 1], '\n');
}
END_TEST

START_TEST(register_areas_and_raw_state_come_back_byte_for_byte)
{
	uint32_t n = cpu_counts[_i];
	const struct note *note;

	make(n);
	note = elf_note(&view, "MINIVMM", OUR_TYPE + 3, 0);
	ck_assert_uint_eq(note->len, n * 192);
	ck_assert_mem_eq(note->desc, f.record->regs, note->len);
	for (uint32_t i = 0; i < n; i++) {
		note = elf_note(&view, "MINIVMM", OUR_TYPE + 4, i);
		ck_assert_uint_eq(u32_at(note->desc, 0), i);
		ck_assert_uint_eq(u32_at(note->desc, 4), 1000 + 8 * i);
		ck_assert_uint_eq(note->len, 8 + 1000 + 8 * i);
		ck_assert_mem_eq(note->desc + 8, f.record->cpus[i].raw, note->len - 8);
	}
}
END_TEST

START_TEST(the_largest_possible_notes_fit_into_each_of_their_two_places)
{
	struct vmcore_notes notes;
	uint64_t a, b;

	make(64);
	f.record->nr_regs = FW_PANIC_REGS_MAX;
	f.record->vmcoreinfo_len = VMCOREINFO_TEXT_MAX;
	f.record->layout.nr_segments = DUMP_SEGMENTS_MAX;
	for (uint32_t i = 0; i < 64; i++)
		f.record->cpus[i].raw_len = DUMP_RAW_MAX;
	ck_assert_int_eq(vmcore_notes_create(f.record, &notes), 0);
	a = vmcore_notes_off(VMCORE_SLOT_A, &f.record->layout, notes.timeline);
	b = vmcore_notes_off(VMCORE_SLOT_B, &f.record->layout, notes.timeline);
	ck_assert_uint_ge(a, VMCORE_HEADERS_MAX);
	ck_assert_uint_le(a + notes.bytes, b);
	ck_assert_uint_ge(b, VMCORE_HEADERS_MAX + VMCORE_VIRTUAL_MAX * sizeof(Elf64_Phdr));
	ck_assert_uint_le(b + notes.bytes, DUMP_HEAD_ROOM);
	free(notes.buf);
}
END_TEST

START_TEST(a_timeline_lies_within_one_page_wherever_the_notes_are)
{
	make(1);
	for (size_t timeline = 0; timeline < 3 * PAGE_SIZE_4K; timeline += 4) {
		for (int slot = VMCORE_SLOT_A; slot <= VMCORE_SLOT_B; slot++) {
			uint64_t off = vmcore_notes_off((enum vmcore_slot)slot, &f.layout, timeline);
			uint64_t last = off + timeline + VMCORE_TIMELINE_BYTES - 1;

			ck_assert_uint_eq(off % 4, 0);
			ck_assert_uint_eq((off + timeline) / PAGE_SIZE_4K, last / PAGE_SIZE_4K);
		}
	}
}
END_TEST

START_TEST(the_bitmap_of_a_full_dump_has_one_bit_for_each_page_and_no_more)
{
	make(1);
	for (size_t i = 0; i < 1536 / 8; i++)
		ck_assert_uint_eq(view.map[MIB(8) + i], 0xff);
	ck_assert_uint_eq(view.map[MIB(8) + 1536 / 8], 0);
}
END_TEST

Suite *suite_dump_vmcore(void)
{
	Suite *suite = suite_create("dump vmcore");
	TCase *tc = tcase_create("vmcore");

	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_loop_test(tc, the_elf_header_is_what_crash_and_makedumpfile_insist_on, 0, 3);
	tcase_add_test(tc, each_segment_lies_at_its_ram_offset_with_no_alignment);
	tcase_add_loop_test(tc, the_notes_come_in_the_order_of_the_specification, 0, 3);
	tcase_add_loop_test(tc, prstatus_has_the_registers_in_the_order_of_user_regs_struct, 0, 3);
	tcase_add_test(tc, the_qemu_note_has_control_registers_and_descriptor_tables);
	tcase_add_test(tc, the_metadata_note_is_laid_out_as_documented);
	tcase_add_test(tc, the_timeline_is_padded_json_and_knows_the_moments_so_far);
	tcase_add_test(tc, a_timeline_of_the_largest_numbers_fits);
	tcase_add_loop_test(tc, register_areas_and_raw_state_come_back_byte_for_byte, 0, 3);
	tcase_add_test(tc, the_largest_possible_notes_fit_into_each_of_their_two_places);
	tcase_add_test(tc, a_timeline_lies_within_one_page_wherever_the_notes_are);
	tcase_add_test(tc, the_bitmap_of_a_full_dump_has_one_bit_for_each_page_and_no_more);
	suite_add_tcase(suite, tc);
	return suite;
}
