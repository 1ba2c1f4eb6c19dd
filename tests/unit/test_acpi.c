/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_acpi.c - vmm/boot/acpi.c: the tables hang together, and another reader (iasl) understands them.
 *
 * Tables are read by offset as the ACPI specification 6.5 defines them.
 */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "vmm/boot/acpi.h"
#include "vmm/memory/gmem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint8_t tables[ACPI_SIZE_MAX];
static size_t len;
static struct acpi_machine machine;

static void setup(void)
{
	memset(&machine, 0, sizeof(machine));
	machine.nr_vcpus = 4;
	machine.nr_mmio = 2;
	for (uint32_t i = 0; i < VIRTIO_MMIO_SLOTS; i++)
		machine.mmio[i] = (struct acpi_mmio){
			.base = virtio_mmio_base(i), .len = VIRTIO_MMIO_SIZE, .gsi = virtio_mmio_gsi(i)};
}

static void build(void)
{
	len = acpi_build(&machine, tables, sizeof(tables));
	ck_assert_uint_gt(len, 0);
}

static uint64_t at(const uint8_t *bytes, size_t off, size_t size)
{
	uint64_t value = 0;

	memcpy(&value, bytes + off, size);
	return value;
}

static void check_sum(const uint8_t *bytes, size_t size)
{
	uint8_t sum = 0;

	while (size--)
		sum = (uint8_t)(sum + *bytes++);
	ck_assert_uint_eq(sum, 0);
}

/* The table at guest-physical @gpa, whole and with a good checksum. */
static const uint8_t *table_at(uint64_t gpa, const char *signature)
{
	const uint8_t *table = tables + (gpa - ACPI_BASE);

	ck_assert_uint_ge(gpa, ACPI_BASE);
	ck_assert_uint_lt(gpa - ACPI_BASE + ACPI_TABLE_HEADER, len);
	ck_assert_mem_eq(table, signature, 4);
	ck_assert_uint_le(gpa - ACPI_BASE + at(table, 4, 4), len);
	check_sum(table, at(table, 4, 4));
	return table;
}

static const uint8_t *xsdt(void)
{
	ck_assert_mem_eq(tables, "RSD PTR ", 8);
	check_sum(tables, 20);
	check_sum(tables, 36);
	ck_assert_uint_eq(tables[15], 2); /* revision: there is an XSDT */
	ck_assert_uint_eq(at(tables, 20, 4), 36);
	return table_at(at(tables, 24, 8), "XSDT");
}

static const uint8_t *fadt(void)
{
	return table_at(at(xsdt(), 36, 8), "FACP");
}

static const uint8_t *madt(void)
{
	return table_at(at(xsdt(), 44, 8), "APIC");
}

static const uint8_t *dsdt(void)
{
	return table_at(at(fadt(), 140, 8), "DSDT");
}

START_TEST(every_table_is_reached_from_the_root_and_has_its_checksum)
{
	build();
	ck_assert_uint_eq(at(xsdt(), 4, 4), 36 + 2 * 8);
	ck_assert_uint_eq(at(fadt(), 4, 4), 276);
	ck_assert_uint_eq(at(fadt(), 40, 4), at(fadt(), 140, 8)); /* both pointers to the DSDT */
	(void)madt();
	(void)dsdt();
}
END_TEST

START_TEST(the_machine_is_a_hardware_reduced_one_with_reset_and_sleep_registers)
{
	static const uint8_t gas[] = {1, 8, 0, 1};

	build();
	ck_assert_uint_ne(at(fadt(), 112, 4) & 1u << 20, 0);
	ck_assert_uint_ne(at(fadt(), 112, 4) & 1u << 10, 0); /* there is a reset register */
	ck_assert_mem_eq(fadt() + 116, gas, 4);
	ck_assert_uint_eq(at(fadt(), 120, 8), PORT_RESET);
	ck_assert_uint_ne(fadt()[128] & RESET_NOW, 0);
	ck_assert_mem_eq(fadt() + 244, gas, 4);
	ck_assert_uint_eq(at(fadt(), 248, 8), PORT_SLEEP_CONTROL);
	ck_assert_mem_eq(fadt() + 256, gas, 4);
	ck_assert_uint_eq(at(fadt(), 260, 8), PORT_SLEEP_STATUS);
	ck_assert_mem_eq(fadt() + 268, "minivmm", 8);
}
END_TEST

START_TEST(there_is_a_local_apic_for_each_vcpu_and_one_ioapic)
{
	const uint8_t *entry;

	machine.nr_vcpus = 64;
	build();
	ck_assert_uint_eq(at(madt(), 36, 4), LAPIC_BASE);
	entry = madt() + 44;
	for (uint32_t i = 0; i < 64; i++, entry += 8) {
		const uint8_t expected[] = {0, 8, (uint8_t)i, (uint8_t)i, 1, 0, 0, 0};

		ck_assert_mem_eq(entry, expected, 8);
	}
	ck_assert_uint_eq(at(entry, 0, 2), 1 | 12 << 8);
	ck_assert_uint_eq(at(entry, 4, 4), IOAPIC_BASE);
	ck_assert_uint_eq(at(entry, 8, 4), 0);
	ck_assert_uint_eq(at(madt(), 4, 4), (size_t)(entry + 12 - madt()));
}
END_TEST

START_TEST(tables_that_do_not_fit_are_none)
{
	build();
	for (size_t size = 0; size < len; size++)
		ck_assert_uint_eq(acpi_build(&machine, tables, size), 0);
	ck_assert_uint_eq(acpi_build(&machine, tables, len), len);
}
END_TEST

START_TEST(the_largest_machine_fits_below_1_mib)
{
	machine.nr_vcpus = 64;
	machine.nr_mmio = VIRTIO_MMIO_SLOTS;
	build();
	(void)dsdt();
}
END_TEST

START_TEST(the_tables_are_written_to_guest_memory)
{
	autoclose int shm = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	static uint8_t memory[ACPI_SIZE_MAX];
	struct region region;

	ck_assert_int_eq(region_create(&region, shm, MIB(16)), 0);
	build();
	ck_assert_int_eq(acpi_write(&machine, &region), 0);
	ck_assert_int_eq(gmem_copy_in(&region, ACPI_BASE, memory, len), 0);
	ck_assert_mem_eq(memory, tables, len);
	region_destroy(&region);
}
END_TEST

/* ---- the same, read by iasl --------------------------------------------------------------------------- */

static struct scratch scratch;

/* Result: what iasl makes of @table, or NULL if it is not installed; the caller frees it. */
static char *disassemble(const uint8_t *table, const char *name)
{
	char path[128], command[400], *text = NULL;
	autofree char *dsl = NULL;
	size_t size = 0;
	FILE *stream;

	if (system("command -v iasl >/dev/null 2>&1")) {
		printf("SKIP acpi: iasl (package acpica-tools) is not installed\n");
		return NULL;
	}
	scratch_file(&scratch, name, table, at(table, 4, 4), path, sizeof(path));
	snprintf(command, sizeof(command),
		"cd %s && iasl -d %s >log 2>&1 || { cat log; exit 1; }; ! grep -iE 'error|warning' log "
		"%s.dsl",
		scratch.dir, name, name);
	ck_assert_msg(!system(command), "iasl -d %s", name);
	ck_assert_int_gt(asprintf(&dsl, "%s/%s.dsl", scratch.dir, name), 0);
	stream = fopen(dsl, "re");
	ck_assert_ptr_nonnull(stream);
	ck_assert_int_gt(getdelim(&text, &size, '\0', stream), 0);
	fclose(stream);
	return text;
}

static void has(const char *text, const char *what)
{
	ck_assert_msg(strstr(text, what), "no '%s' in:\n%s", what, text);
}

START_TEST(iasl_reads_the_dsdt_and_finds_every_device)
{
	autofree char *text = NULL;

	scratch_init(&scratch);
	machine.nr_mmio = VIRTIO_MMIO_SLOTS;
	build();
	text = disassemble(dsdt(), "dsdt");
	if (text) {
		has(text, "Device (COM1)");
		has(text, "EisaId (\"PNP0501\")");
		has(text, "0x03F8,             // Range Minimum");
		has(text, "\"QEMU0001\"");
		has(text, "0x0505,             // Range Minimum");
		has(text, "EisaId (\"PNP0C0C\")");
		has(text, "\"ACPI0013\"");
		has(text, "Notify (\\_SB.PWRB, 0x80)");
		has(text, "Device (VR00)");
		has(text, "Device (VR0F)");
		has(text, "\"LNRO0005\"");
		has(text, "0xD000F000,         // Address Base");
		has(text, "Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive, ,, )");
		has(text, "Name (_S5, Package (0x04)");
	}
	scratch_fini(&scratch);
}
END_TEST

START_TEST(iasl_reads_the_other_tables)
{
	autofree char *facp = NULL, *apic = NULL, *root = NULL;

	scratch_init(&scratch);
	build();
	facp = disassemble(fadt(), "facp");
	if (facp) {
		apic = disassemble(madt(), "apic");
		root = disassemble(xsdt(), "xsdt");
		has(facp, "Hardware Reduced (V5) : 1");
		has(facp, "Reset Register Supported (V2) : 1");
		has(apic, "Subtable Type : 01 [I/O APIC]");
		has(root, "ACPI Table Address   1");
	}
	scratch_fini(&scratch);
}
END_TEST

Suite *suite_acpi(void)
{
	Suite *suite = suite_create("acpi");
	TCase *tc = tcase_create("tables"), *iasl = tcase_create("iasl");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, every_table_is_reached_from_the_root_and_has_its_checksum);
	tcase_add_test(tc, the_machine_is_a_hardware_reduced_one_with_reset_and_sleep_registers);
	tcase_add_test(tc, there_is_a_local_apic_for_each_vcpu_and_one_ioapic);
	tcase_add_test(tc, tables_that_do_not_fit_are_none);
	tcase_add_test(tc, the_largest_machine_fits_below_1_mib);
	tcase_add_test(tc, the_tables_are_written_to_guest_memory);
	suite_add_tcase(suite, tc);

	tcase_add_checked_fixture(iasl, setup, NULL);
	tcase_add_test(iasl, iasl_reads_the_dsdt_and_finds_every_device);
	tcase_add_test(iasl, iasl_reads_the_other_tables);
	suite_add_tcase(suite, iasl);
	return suite;
}
