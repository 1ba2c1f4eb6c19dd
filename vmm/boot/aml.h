/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/boot/aml.h - writes ACPI machine language: the few objects that a description of fixed devices needs.
 *
 * Source: ACPI specification 6.5, chapter 20 (AML grammar) and 6.4 (resource data types).
 * Everything is appended to a buffer; one that is too small sets @full, and the rest is dropped.
 * Locks: none.
 */
#ifndef VMM_BOOT_AML_H
#define VMM_BOOT_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *buf; /* borrowed */
	size_t size;  /* bytes of it */
	size_t len;   /* bytes written */
	bool full;    /* something did not fit: the result is worthless */
};

void aml_bytes(struct aml *aml, const void *bytes, size_t len);
void aml_u8(struct aml *aml, uint8_t value);
void aml_u16(struct aml *aml, uint16_t value);
void aml_u32(struct aml *aml, uint32_t value);
void aml_u64(struct aml *aml, uint64_t value);

/* Objects that hold others: from the begin function to aml_end() with what it returned. */
size_t aml_scope(struct aml *aml, const char *path);
size_t aml_device(struct aml *aml, const char name[static 4]);
size_t aml_method(struct aml *aml, const char name[static 4], unsigned nr_args);
size_t aml_package(struct aml *aml, uint8_t nr_elements);
size_t aml_resources(struct aml *aml); /* ends with aml_resources_end() */
void aml_end(struct aml *aml, size_t begin);
void aml_resources_end(struct aml *aml, size_t begin);

/* Name (@name, ...): the value follows. */
void aml_name(struct aml *aml, const char name[static 4]);

/* Values. */
void aml_integer(struct aml *aml, uint64_t value);
void aml_string(struct aml *aml, const char *text);
void aml_eisa_id(struct aml *aml, const char id[static 7]); /* "PNP0501" */

/* Notify (@path, @value); @path as in ASL. */
void aml_notify(struct aml *aml, const char *path, uint64_t value);

/* Resource descriptors, between aml_resources() and aml_resources_end(). */
void aml_io(struct aml *aml, uint16_t port, uint8_t len);
void aml_memory32(struct aml *aml, uint32_t base, uint32_t len); /* bytes, read and write */
void aml_interrupt_edge(struct aml *aml, uint32_t gsi);          /* active high, exclusive */

#endif /* VMM_BOOT_AML_H */
