/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/boot/aml.c - see aml.h */
#include "vmm/boot/aml.h"

#include <assert.h>
#include <string.h>

/* ACPI specification 20.3, AML byte stream byte values */
#define OP_ZERO 0x00
#define OP_ONE 0x01
#define OP_NAME 0x08
#define OP_BYTE 0x0a
#define OP_WORD 0x0b
#define OP_DWORD 0x0c
#define OP_STRING 0x0d
#define OP_QWORD 0x0e
#define OP_SCOPE 0x10
#define OP_BUFFER 0x11
#define OP_PACKAGE 0x12
#define OP_METHOD 0x14
#define OP_DUAL_NAME 0x2e
#define OP_EXT 0x5b
#define OP_EXT_DEVICE 0x82
#define OP_NOTIFY 0x86

#define METHOD_SERIALIZED 0x08

/* ACPI specification 6.4: resource descriptor tags and flags */
#define TAG_IO 0x47
#define TAG_END 0x79
#define TAG_MEMORY32_FIXED 0x86
#define TAG_INTERRUPT 0x89
#define IO_DECODE16 0x01
#define MEMORY_WRITABLE 0x01
#define INTERRUPT_CONSUMER 0x01
#define INTERRUPT_EDGE 0x02

/* ---- bytes ------------------------------------------------------------------------------------------ */

void aml_bytes(struct aml *aml, const void *bytes, size_t len)
{
	if (len > aml->size - aml->len) {
		aml->full = true;
		return;
	}
	memcpy(aml->buf + aml->len, bytes, len);
	aml->len += len;
}

void aml_u8(struct aml *aml, uint8_t value)
{
	aml_bytes(aml, &value, sizeof(value));
}

/* ACPI is little-endian, as the host is. */
void aml_u16(struct aml *aml, uint16_t value)
{
	aml_bytes(aml, &value, sizeof(value));
}

void aml_u32(struct aml *aml, uint32_t value)
{
	aml_bytes(aml, &value, sizeof(value));
}

void aml_u64(struct aml *aml, uint64_t value)
{
	aml_bytes(aml, &value, sizeof(value));
}

/* ---- objects that hold others ------------------------------------------------------------------------ */

/*
 * Puts PkgLength, which counts itself, in front of what has been written since @begin (20.2.4): 6 bits in
 * one byte, or 4 bits in the first one and 8 in each of up to three more.
 */
void aml_end(struct aml *aml, size_t begin)
{
	size_t len = aml->len - begin, extra = len + 1 < 0x40 ? 0 : len + 2 < 0x1000 ? 1 : 2;
	uint8_t bytes[3];

	assert(begin <= aml->len && len + 3 < 0x100000);
	len += 1 + extra;
	if (1 + extra > aml->size - aml->len) {
		aml->full = true;
		return;
	}
	bytes[0] = (uint8_t)(extra ? extra << 6 | (len & 0xf) : len);
	bytes[1] = (uint8_t)(len >> 4);
	bytes[2] = (uint8_t)(len >> 12);
	memmove(aml->buf + begin + 1 + extra, aml->buf + begin, aml->len - begin);
	memcpy(aml->buf + begin, bytes, 1 + extra);
	aml->len += 1 + extra;
}

/* "\ABCD", "ABCD" or "\ABCD.EFGH": NameString (20.2.2). */
static void put_path(struct aml *aml, const char *path)
{
	size_t segments;

	if (*path == '\\')
		aml_u8(aml, (uint8_t)*path++);
	segments = (strlen(path) + 1) / 5;
	assert(segments >= 1 && segments <= 2 && strlen(path) == segments * 5 - 1);
	if (segments == 2)
		aml_u8(aml, OP_DUAL_NAME);
	for (size_t i = 0; i < segments; i++)
		aml_bytes(aml, path + i * 5, 4);
}

size_t aml_scope(struct aml *aml, const char *path)
{
	size_t begin;

	aml_u8(aml, OP_SCOPE);
	begin = aml->len;
	put_path(aml, path);
	return begin;
}

size_t aml_device(struct aml *aml, const char name[static 4])
{
	size_t begin;

	aml_u8(aml, OP_EXT);
	aml_u8(aml, OP_EXT_DEVICE);
	begin = aml->len;
	aml_bytes(aml, name, 4);
	return begin;
}

size_t aml_method(struct aml *aml, const char name[static 4], unsigned nr_args)
{
	size_t begin;

	aml_u8(aml, OP_METHOD);
	begin = aml->len;
	aml_bytes(aml, name, 4);
	aml_u8(aml, (uint8_t)(nr_args | METHOD_SERIALIZED));
	return begin;
}

size_t aml_package(struct aml *aml, uint8_t nr_elements)
{
	size_t begin;

	aml_u8(aml, OP_PACKAGE);
	begin = aml->len;
	aml_u8(aml, nr_elements);
	return begin;
}

/* Name (_CRS, Buffer (size) {...}): the size is known at the end only, so it has a fixed width. */
size_t aml_resources(struct aml *aml)
{
	size_t begin;

	aml_name(aml, "_CRS");
	aml_u8(aml, OP_BUFFER);
	begin = aml->len;
	aml_u8(aml, OP_WORD);
	aml_u16(aml, 0);
	return begin;
}

void aml_resources_end(struct aml *aml, size_t begin)
{
	uint16_t size;

	aml_u8(aml, TAG_END);
	aml_u8(aml, 0); /* no checksum */
	if (aml->full)
		return;
	size = (uint16_t)(aml->len - begin - 3);
	memcpy(aml->buf + begin + 1, &size, sizeof(size));
	aml_end(aml, begin);
}

/* ---- values ----------------------------------------------------------------------------------------- */

void aml_name(struct aml *aml, const char name[static 4])
{
	aml_u8(aml, OP_NAME);
	aml_bytes(aml, name, 4);
}

void aml_integer(struct aml *aml, uint64_t value)
{
	if (value <= 1) {
		aml_u8(aml, value ? OP_ONE : OP_ZERO);
	} else if (value <= UINT8_MAX) {
		aml_u8(aml, OP_BYTE);
		aml_u8(aml, (uint8_t)value);
	} else if (value <= UINT16_MAX) {
		aml_u8(aml, OP_WORD);
		aml_u16(aml, (uint16_t)value);
	} else if (value <= UINT32_MAX) {
		aml_u8(aml, OP_DWORD);
		aml_u32(aml, (uint32_t)value);
	} else {
		aml_u8(aml, OP_QWORD);
		aml_u64(aml, value);
	}
}

void aml_string(struct aml *aml, const char *text)
{
	aml_u8(aml, OP_STRING);
	aml_bytes(aml, text, strlen(text) + 1);
}

static uint8_t hex(char digit)
{
	return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'A' + 10);
}

/* 19.3.4: three letters in 5 bits each, four hexadecimal digits; the bytes are in that order. */
void aml_eisa_id(struct aml *aml, const char id[static 7])
{
	uint16_t vendor = (uint16_t)((id[0] - '@') << 10 | (id[1] - '@') << 5 | (id[2] - '@'));

	aml_u8(aml, OP_DWORD);
	aml_u8(aml, (uint8_t)(vendor >> 8));
	aml_u8(aml, (uint8_t)vendor);
	aml_u8(aml, (uint8_t)(hex(id[3]) << 4 | hex(id[4])));
	aml_u8(aml, (uint8_t)(hex(id[5]) << 4 | hex(id[6])));
}

void aml_notify(struct aml *aml, const char *path, uint64_t value)
{
	aml_u8(aml, OP_NOTIFY);
	put_path(aml, path);
	aml_integer(aml, value);
}

/* ---- resource descriptors ---------------------------------------------------------------------------- */

void aml_io(struct aml *aml, uint16_t port, uint8_t len)
{
	aml_u8(aml, TAG_IO);
	aml_u8(aml, IO_DECODE16);
	aml_u16(aml, port); /* lowest and highest base: it cannot move */
	aml_u16(aml, port);
	aml_u8(aml, 1); /* alignment */
	aml_u8(aml, len);
}

void aml_memory32(struct aml *aml, uint32_t base, uint32_t len)
{
	aml_u8(aml, TAG_MEMORY32_FIXED);
	aml_u16(aml, 9); /* bytes that follow */
	aml_u8(aml, MEMORY_WRITABLE);
	aml_u32(aml, base);
	aml_u32(aml, len);
}

void aml_interrupt_edge(struct aml *aml, uint32_t gsi)
{
	aml_u8(aml, TAG_INTERRUPT);
	aml_u16(aml, 6); /* bytes that follow */
	aml_u8(aml, INTERRUPT_CONSUMER | INTERRUPT_EDGE);
	aml_u8(aml, 1); /* interrupts in the list */
	aml_u32(aml, gsi);
}
