/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/bzimage_builder.h - small bzImages for tests, to be broken byte by byte.
 *
 *	offset 0      boot sector and setup, BZIMAGE_BUILDER_SETUP bytes; its header as boot.rst has it
 *	2048          the kernel proper: byte n is (n * 7) & 0xff
 */
#ifndef TESTS_UNIT_BZIMAGE_BUILDER_H
#define TESTS_UNIT_BZIMAGE_BUILDER_H

#include <stddef.h>
#include <stdint.h>

#define BZIMAGE_BUILDER_SETUP 2048u /* 3 sectors of setup and the boot sector */
#define BZIMAGE_BUILDER_KERNEL 5000u
#define BZIMAGE_BUILDER_INIT_SIZE 0x300000u
#define BZIMAGE_BUILDER_PREF 0x1000000u

struct bzimage_builder {
	uint8_t bytes[BZIMAGE_BUILDER_SETUP + BZIMAGE_BUILDER_KERNEL];
	size_t len;
};

/* A valid image. */
void bzimage_builder_init(struct bzimage_builder *builder);

/* Stores @value in @len bytes at @off. */
void bzimage_builder_put(struct bzimage_builder *builder, uint32_t off, uint64_t value, size_t len);

/* A file (memfd) with the image in it; the caller closes it. */
int bzimage_builder_file(const struct bzimage_builder *builder);

#endif /* TESTS_UNIT_BZIMAGE_BUILDER_H */
