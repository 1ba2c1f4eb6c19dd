/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/boot/acpi_dsdt.c - the devices that the guest is told of: see acpi.h.
 *
 *	\_S5    power-off
 *	\_SB    COM1  serial port            PNP0501
 *	        PEVT  pvpanic                QEMU0001
 *	        PWRB  power button           PNP0C0C
 *	        GED0  generic event device   ACPI0013: its interrupt presses the button
 *	        VRnn  virtio-mmio transport  LNRO0005
 */
#include "vmm/boot/acpi.h"

#include <stdio.h>

#define NOTIFY_BUTTON_PRESSED 0x80 /* ACPI specification 5.6.6 */

static void put_serial(struct aml *aml)
{
	size_t device = aml_device(aml, "COM1"), resources;

	aml_name(aml, "_HID");
	aml_eisa_id(aml, "PNP0501");
	aml_name(aml, "_UID");
	aml_integer(aml, 0);
	resources = aml_resources(aml);
	aml_io(aml, PORT_SERIAL0, 8);
	aml_interrupt_edge(aml, IRQ_SERIAL0);
	aml_resources_end(aml, resources);
	aml_end(aml, device);
}

static void put_pvpanic(struct aml *aml)
{
	size_t device = aml_device(aml, "PEVT"), resources;

	aml_name(aml, "_HID");
	aml_string(aml, "QEMU0001");
	resources = aml_resources(aml);
	aml_io(aml, PORT_PVPANIC, 1);
	aml_resources_end(aml, resources);
	aml_end(aml, device);
}

/* ACPI specification 5.6.9: events of a hardware-reduced machine are interrupts of this device. */
static void put_power_button(struct aml *aml)
{
	size_t device = aml_device(aml, "PWRB"), resources, method;

	aml_name(aml, "_HID");
	aml_eisa_id(aml, "PNP0C0C");
	aml_end(aml, device);

	device = aml_device(aml, "GED0");
	aml_name(aml, "_HID");
	aml_string(aml, "ACPI0013");
	aml_name(aml, "_UID");
	aml_integer(aml, 0);
	resources = aml_resources(aml);
	aml_interrupt_edge(aml, IRQ_POWER_BUTTON);
	aml_resources_end(aml, resources);
	method = aml_method(aml, "_EVT", 1); /* the interrupt's number: there is only one */
	aml_notify(aml, "\\_SB_.PWRB", NOTIFY_BUTTON_PRESSED);
	aml_end(aml, method);
	aml_end(aml, device);
}

static void put_virtio(struct aml *aml, uint32_t number, const struct acpi_mmio *mmio)
{
	size_t device, resources;
	char name[8];

	snprintf(name, sizeof(name), "VR%02X", number & 0xff);
	device = aml_device(aml, name);
	aml_name(aml, "_HID");
	aml_string(aml, "LNRO0005");
	aml_name(aml, "_UID");
	aml_integer(aml, number);
	aml_name(aml, "_CCA"); /* coherent with caches */
	aml_integer(aml, 1);
	resources = aml_resources(aml);
	aml_memory32(aml, (uint32_t)mmio->base, (uint32_t)mmio->len);
	aml_interrupt_edge(aml, mmio->gsi);
	aml_resources_end(aml, resources);
	aml_end(aml, device);
}

void acpi_dsdt(struct aml *aml, const struct acpi_machine *machine)
{
	size_t scope, package;

	/* 7.4.2.5: what to write to the sleep control register; the second value and the rest are not used */
	aml_name(aml, "_S5_");
	package = aml_package(aml, 4);
	aml_integer(aml, SLEEP_TYPE_S5);
	for (int i = 0; i < 3; i++)
		aml_integer(aml, 0);
	aml_end(aml, package);

	scope = aml_scope(aml, "\\_SB_");
	put_serial(aml);
	put_pvpanic(aml);
	put_power_button(aml);
	for (uint32_t i = 0; i < machine->nr_mmio; i++)
		put_virtio(aml, i, &machine->mmio[i]);
	aml_end(aml, scope);
}
