/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/boot/acpi.c - see acpi.h.  Numbers in comments are sections of the ACPI specification 6.5.
 *
 *      ACPI_BASE   RSDP -> XSDT -> FADT -> DSDT
 *                               -> MADT
 */
#include "vmm/boot/acpi.h"

#include "dump/base/cleanup.h"
#include "vmm/memory/gmem.h"

#include <errno.h>
#include <string.h>

#define OEM_ID "MINIVM"
#define OEM_TABLE_ID "MINIVMM "
#define CREATOR_ID "MVMM"
#define HYPERVISOR_ID "minivmm\0"

#define TABLE_ALIGN 16 /* 5.2.5.1: the RSDP; our choice for the others */

#define XSDT_REVISION 1
#define MADT_REVISION 5
#define FADT_REVISION 6
#define FADT_MINOR 5
#define DSDT_REVISION 2 /* 64-bit integers */
#define RSDP_REVISION 2
#define RSDP_V1_SIZE 20
#define RSDP_SIZE 36

/* 5.2.9: offsets in the FADT */
#define FADT_DSDT 40
#define FADT_BOOT_ARCH 109
#define FADT_FLAGS 112
#define FADT_RESET_REG 116
#define FADT_RESET_VALUE 128
#define FADT_MINOR_VERSION 131
#define FADT_X_DSDT 140
#define FADT_SLEEP_CONTROL 244
#define FADT_SLEEP_STATUS 256
#define FADT_HYPERVISOR 268
#define FADT_SIZE 276

/* 5.2.9.3 */
#define BOOT_ARCH_NO_VGA 0x04u
#define BOOT_ARCH_NO_CMOS_RTC 0x20u
/* 5.2.9, table 5.10 */
#define FLAG_WBINVD (1u << 0)
#define FLAG_NO_FIXED_POWER_BUTTON (1u << 4)
#define FLAG_NO_FIXED_SLEEP_BUTTON (1u << 5)
#define FLAG_RESET_REGISTER (1u << 10)
#define FLAG_HEADLESS (1u << 12)
#define FLAG_HW_REDUCED (1u << 20)

/* 5.2.3.2: generic address structure */
#define GAS_IO 1
#define GAS_BYTE 1

/* 5.2.12 */
#define MADT_LAPIC 0
#define MADT_LAPIC_SIZE 8
#define MADT_LAPIC_ENABLED 1
#define MADT_IOAPIC 1
#define MADT_IOAPIC_SIZE 12
#define IOAPIC_ID 0

static uint8_t checksum(const uint8_t *bytes, size_t len)
{
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *bytes++);
	return (uint8_t)-sum;
}

static void align(struct aml *out)
{
	while (out->len % TABLE_ALIGN && !out->full)
		aml_u8(out, 0);
}

/* 5.2.6: header of every table but the RSDP; length and checksum come at the end. */
static size_t begin_table(struct aml *out, const char signature[static 4], uint8_t revision)
{
	size_t begin;

	align(out);
	begin = out->len;
	aml_bytes(out, signature, 4);
	aml_u32(out, 0); /* length */
	aml_u8(out, revision);
	aml_u8(out, 0); /* checksum */
	aml_bytes(out, OEM_ID, 6);
	aml_bytes(out, OEM_TABLE_ID, 8);
	aml_u32(out, 1); /* OEM revision */
	aml_bytes(out, CREATOR_ID, 4);
	aml_u32(out, 1); /* creator revision */
	return begin;
}

static gpa_t end_table(struct aml *out, size_t begin)
{
	uint32_t len = (uint32_t)(out->len - begin);

	if (!out->full) {
		memcpy(out->buf + begin + 4, &len, sizeof(len));
		out->buf[begin + 9] = checksum(out->buf + begin, len);
	}
	return ACPI_BASE + begin;
}

static void put_gas(uint8_t *at, uint16_t port)
{
	uint64_t address = port;

	at[0] = GAS_IO;
	at[1] = 8; /* bits */
	at[3] = GAS_BYTE;
	memcpy(at + 4, &address, sizeof(address));
}

static gpa_t put_fadt(struct aml *out, gpa_t dsdt)
{
	uint32_t flags = FLAG_WBINVD | FLAG_NO_FIXED_POWER_BUTTON | FLAG_NO_FIXED_SLEEP_BUTTON |
			 FLAG_RESET_REGISTER | FLAG_HEADLESS | FLAG_HW_REDUCED;
	uint16_t boot_arch = BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_CMOS_RTC;
	size_t begin = begin_table(out, "FACP", FADT_REVISION);
	uint8_t fadt[FADT_SIZE] = {0};
	uint32_t dsdt32 = (uint32_t)dsdt;

	memcpy(fadt + FADT_DSDT, &dsdt32, sizeof(dsdt32));
	memcpy(fadt + FADT_BOOT_ARCH, &boot_arch, sizeof(boot_arch));
	memcpy(fadt + FADT_FLAGS, &flags, sizeof(flags));
	put_gas(fadt + FADT_RESET_REG, PORT_RESET);
	fadt[FADT_RESET_VALUE] = RESET_VALUE;
	fadt[FADT_MINOR_VERSION] = FADT_MINOR;
	memcpy(fadt + FADT_X_DSDT, &dsdt, sizeof(dsdt));
	put_gas(fadt + FADT_SLEEP_CONTROL, PORT_SLEEP_CONTROL);
	put_gas(fadt + FADT_SLEEP_STATUS, PORT_SLEEP_STATUS);
	memcpy(fadt + FADT_HYPERVISOR, HYPERVISOR_ID, 8);
	aml_bytes(out, fadt + ACPI_TABLE_HEADER, FADT_SIZE - ACPI_TABLE_HEADER);
	return end_table(out, begin);
}

static gpa_t put_madt(struct aml *out, uint32_t nr_vcpus)
{
	size_t begin = begin_table(out, "APIC", MADT_REVISION);

	aml_u32(out, (uint32_t)LAPIC_BASE);
	aml_u32(out, 0); /* flags: no 8259 that the guest has to mask */
	for (uint32_t i = 0; i < nr_vcpus; i++) {
		aml_u8(out, MADT_LAPIC);
		aml_u8(out, MADT_LAPIC_SIZE);
		aml_u8(out, (uint8_t)i); /* processor UID */
		aml_u8(out, (uint8_t)i); /* APIC id */
		aml_u32(out, MADT_LAPIC_ENABLED);
	}
	aml_u8(out, MADT_IOAPIC);
	aml_u8(out, MADT_IOAPIC_SIZE);
	aml_u8(out, IOAPIC_ID);
	aml_u8(out, 0);
	aml_u32(out, (uint32_t)IOAPIC_BASE);
	aml_u32(out, 0); /* its first GSI */
	return end_table(out, begin);
}

/* 5.2.5.3; it is first, and filled in last. */
static void fill_rsdp(uint8_t *rsdp, gpa_t xsdt)
{
	uint32_t len = RSDP_SIZE;

	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, OEM_ID, 6);
	rsdp[15] = RSDP_REVISION;
	memcpy(rsdp + 20, &len, sizeof(len));
	memcpy(rsdp + 24, &xsdt, sizeof(xsdt));
	rsdp[8] = checksum(rsdp, RSDP_V1_SIZE);
	rsdp[32] = checksum(rsdp, RSDP_SIZE);
}

size_t acpi_build(const struct acpi_machine *machine, uint8_t *buf, size_t size)
{
	static const uint8_t room[RSDP_SIZE];
	struct aml out = {.buf = buf, .size = size};
	gpa_t dsdt, fadt, madt, xsdt;
	size_t begin;

	aml_bytes(&out, room, sizeof(room));
	begin = begin_table(&out, "DSDT", DSDT_REVISION);
	acpi_dsdt(&out, machine);
	dsdt = end_table(&out, begin);
	fadt = put_fadt(&out, dsdt);
	madt = put_madt(&out, machine->nr_vcpus);
	begin = begin_table(&out, "XSDT", XSDT_REVISION);
	aml_u64(&out, fadt);
	aml_u64(&out, madt);
	xsdt = end_table(&out, begin);
	if (out.full)
		return 0;
	fill_rsdp(buf, xsdt);
	return out.len;
}

int acpi_write(const struct acpi_machine *machine, const struct region *region)
{
	autofree uint8_t *buf = malloc(ACPI_SIZE_MAX);
	size_t len;

	if (!buf)
		return -ENOMEM;
	len = acpi_build(machine, buf, ACPI_SIZE_MAX);
	return len ? gmem_copy_out(region, ACPI_BASE, buf, len) : -ENOSPC;
}
