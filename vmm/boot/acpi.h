/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/boot/acpi.h - the ACPI tables that describe the machine: RSDP, XSDT, FADT, MADT, DSDT.
 *
 * A hardware-reduced machine (ACPI specification 4.1): no power management timer, no SCI, no 8042, no CMOS
 * clock.  acpi_dsdt.c lists the devices; the registers that the tables name are served by power.h.
 *
 * Pure but for acpi_write().  Locks: none.
 */
#ifndef VMM_BOOT_ACPI_H
#define VMM_BOOT_ACPI_H

#include "vmm/boot/aml.h"
#include "vmm/memory/memmap.h"
#include "vmm/memory/region.h"

/* A virtio-mmio transport. */
struct acpi_mmio {
	gpa_t base;   /* below 4 GiB */
	uint64_t len; /* bytes */
	uint32_t gsi; /* edge-triggered */
};

struct acpi_machine {
	uint32_t nr_vcpus; /* APIC ids 0 to nr_vcpus - 1 */
	uint32_t nr_mmio;
	struct acpi_mmio mmio[VIRTIO_MMIO_SLOTS];
};

#define ACPI_SIZE_MAX (ACPI_END - ACPI_BASE)
#define ACPI_TABLE_HEADER 36u /* bytes; ACPI specification 5.2.6 */

/*
 * acpi_build - write all tables to @buf of @size bytes as they are to lie from ACPI_BASE on; the RSDP is first.
 * Result: bytes written; 0 if @size is too small.
 */
size_t acpi_build(const struct acpi_machine *machine, uint8_t *buf, size_t size);

/* Puts the tables into guest memory.  Errors: -errno; -ENOSPC if they are too long. */
int warn_unused acpi_write(const struct acpi_machine *machine, const struct region *region);

/* Appends the DSDT's definition block, without its header (acpi_dsdt.c). */
void acpi_dsdt(struct aml *aml, const struct acpi_machine *machine);

#endif /* VMM_BOOT_ACPI_H */
