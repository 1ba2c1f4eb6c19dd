/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/memory/memmap.h - every guest-physical address and I/O port of the machine, each with its reason.
 *
 *      0x0000_0000 +--------------------+
 *                  | real-mode area     | boot data at BOOT_INFO_BASE (loader.c)
 *      0x0009_fc00 +--------------------+ LOW_RAM_END: above it firmware tables, reserved to the guest
 *      0x0010_0000 +--------------------+ HIGH_RAM_BASE: kernel images
 *                  | RAM                |
 *      0xc000_0000 +--------------------+ HOLE_BASE: RAM ends here, what is left goes above 4 GiB
 *      0xd000_0000 | virtio-mmio slots  | VIRTIO_MMIO_BASE: one page each
 *      0xfec0_0000 | IOAPIC             |
 *      0xfee0_0000 | local APICs        |
 *      0xfffb_c000 | KVM's own pages    |
 *    0x1_0000_0000 +--------------------+ HOLE_END
 *                  | RAM                |
 *                  +--------------------+
 */
#ifndef VMM_MEMORY_MEMMAP_H
#define VMM_MEMORY_MEMMAP_H

#include <stdint.h>

typedef uint64_t gpa_t; /* guest-physical address, bytes */

/* Where conventional memory ends on a PC: the extended BIOS data area starts there. */
#define LOW_RAM_END 0x9fc00ull
/* The first megabyte ends: PC convention for the lowest address of a kernel. */
#define HIGH_RAM_BASE 0x100000ull

/* our choice: 1 GiB of hole holds all devices and leaves 3 GiB of RAM below 4 GiB, as QEMU's q35 does */
#define HOLE_BASE 0xc0000000ull
#define HOLE_END 0x100000000ull

/* our choice: anywhere in the hole below the IOAPIC; one page a slot, so that an access hits one device */
#define VIRTIO_MMIO_BASE 0xd0000000ull
#define VIRTIO_MMIO_SIZE 0x1000ull /* bytes */
#define VIRTIO_MMIO_SLOTS 16u      /* one interrupt line each, see virtio_mmio_gsi() */

static inline gpa_t virtio_mmio_base(uint32_t slot)
{
	return VIRTIO_MMIO_BASE + slot * VIRTIO_MMIO_SIZE;
}

/*
 * The IOAPIC's input of virtio-mmio slot @slot (edge-triggered, active high).  First those of the 24 inputs that
 * no ISA interrupt shares, then ISA ones that have no user here (of the others: timer 0, keyboard 1, cascade
 * 2, serial ports 3 and 4, clock 8, ACPI events 9, firmware events 13).
 */
static inline uint32_t virtio_mmio_gsi(uint32_t slot)
{
	static const uint8_t gsi[VIRTIO_MMIO_SLOTS] = {
		16, 17, 18, 19, 20, 21, 22, 23, 5, 6, 7, 10, 11, 12, 14, 15};

	return gsi[slot % VIRTIO_MMIO_SLOTS];
}

/*
 * Boot data; our choice: below 640 KiB, above the real-mode IVT and BDA.  The kernel copies what it wants to
 * keep, and owns this memory from then on.
 */
#define BOOT_INFO_BASE 0x6000ull    /* PVH: hvm_start_info, its memory map and modules: one page */
#define BOOT_CMDLINE_BASE 0x7000ull /* command line: up to BOOT_CMDLINE_MAX with the NUL */
#define BOOT_CMDLINE_MAX 4096
#define BOOT_ZERO_PAGE_BASE 0x8000ull /* Linux: boot_params, one page */
#define BOOT_PML4_BASE 0x9000ull      /* Linux: identity map of BOOT_MAPPED bytes: one page each of level */
#define BOOT_PDPT_BASE 0xa000ull      /* 4 and 3, and one of level 2 for each GiB */
#define BOOT_PD_BASE 0xb000ull
#define BOOT_MAPPED 0x100000000ull
#define BOOT_GDT_BASE 0xf000ull /* Linux: one page */
#define BOOT_DATA_END 0x10000ull

/*
 * ACPI tables: where the ACPI specification (5.2.5.1) has the RSDP looked for on a PC, for a kernel that is not
 * told; reserved in the memory map.
 */
#define ACPI_BASE 0xe0000ull /* the RSDP; the other tables follow */
#define ACPI_END 0xf0000ull

/* Intel SDM vol. 3A 9.1.4, seen from real mode (F000:FFF0): where a PC begins, and where kernels jump to reboot */
#define RESET_VECTOR 0xffff0ull

/* Intel SDM vol. 3A 11.4.1: reset address of the local APIC registers */
#define LAPIC_BASE 0xfee00000ull
/* KVM's in-kernel IOAPIC */
#define IOAPIC_BASE 0xfec00000ull

/*
 * Three pages for a real-mode TSS and one for an identity map, which KVM needs on Intel hosts
 * without unrestricted guests (KVM_SET_TSS_ADDR).  Same places as other VMMs: below the BIOS area.
 */
#define KVM_IDENTITY_MAP_BASE 0xfffbc000ull
#define KVM_TSS_BASE 0xfffbd000ull

/* I/O ports */
#define PORT_SERIAL0 0x3f8 /* first serial port of a PC, IRQ 4 */
#define IRQ_SERIAL0 4
/*
 * Input of the interrupt controllers that tells of firmware events.  our choice: the x87's on a PC, which has
 * no other use since CR0.NE
 */
#define GSI_EVENTS 13
#define PORT_POST 0x80     /* power-on self test codes of a PC */
#define PORT_KEYBOARD 0x64 /* command and status port of a PC's keyboard controller */
#define PORT_PVPANIC 0x505 /* QEMU docs/specs/pvpanic: the usual port, which the ACPI tables name too */

/* Intel ICH data sheets, "Reset Control Register": bit 1 = whole system, bit 2 = now */
#define PORT_RESET 0xcf9
#define RESET_VALUE 0x06
#define RESET_NOW 0x04

/* ACPI specification 4.8.3.7: registers of a hardware-reduced machine; our choice of ports and of the type */
#define PORT_SLEEP_CONTROL 0x600
#define PORT_SLEEP_STATUS 0x601
#define SLEEP_TYPE_S5 5
#define IRQ_POWER_BUTTON 9 /* our choice: where a PC has its ACPI events */

#endif /* VMM_MEMORY_MEMMAP_H */
